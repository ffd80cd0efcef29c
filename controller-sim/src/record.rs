//! What the simulator saw: counts for a report, and, if asked for, one JSON line for each tap that was answered or
//! was not. Tests that kill the gateway compare these lines with its journal: every tap answered must be there.
//!
//! The lines hold card numbers in clear. They are the simulator's own inventions; never run it with real numbers.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use domain::card::CardNumber;
use domain::{Clock, ReaderId};

use crate::passage::{AnsweredBy, Outcome};

/// Counts since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Report {
    /// Cards held to readers.
    pub taps: u64,
    /// Taps that the panel answered.
    pub answered: u64,
    /// Taps that it did not.
    pub unanswered: u64,
    /// People who went through after a release.
    pub passed: u64,
    /// People who did not go although released.
    pub not_taken: u64,
    /// People answered and not released.
    pub refused: u64,
    /// Gates forced open.
    pub forced: u64,
    /// Visits begun.
    pub visits: u64,
    /// People who came without their card.
    pub forgotten: u64,
    /// Longest wait for an answer, in milliseconds.
    pub longest_wait_ms: u64,
    /// Sum of all waits for an answer, in microseconds; divide by `answered`.
    pub sum_wait_us: u64,
}

impl Report {
    /// Mean wait for an answer.
    pub fn mean_wait(&self) -> Duration {
        Duration::from_micros(self.sum_wait_us.checked_div(self.answered).unwrap_or(0))
    }
}

/// Where everything is counted.
#[derive(Debug)]
pub(crate) struct Record {
    clock: Clock,
    file: Option<File>,
    taps: AtomicU64,
    answered: AtomicU64,
    unanswered: AtomicU64,
    passed: AtomicU64,
    not_taken: AtomicU64,
    refused: AtomicU64,
    pub(crate) forced: AtomicU64,
    pub(crate) visits: AtomicU64,
    pub(crate) forgotten: AtomicU64,
    longest_wait_ms: AtomicU64,
    sum_wait_us: AtomicU64,
}

impl Record {
    /// Appends to the file at `path`, if there is one.
    pub(crate) fn open(clock: Clock, path: Option<&Path>) -> std::io::Result<Self> {
        let file = path.map(|path| File::options().create(true).append(true).open(path)).transpose()?;
        Ok(Self {
            clock,
            file,
            taps: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            unanswered: AtomicU64::new(0),
            passed: AtomicU64::new(0),
            not_taken: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            forced: AtomicU64::new(0),
            visits: AtomicU64::new(0),
            forgotten: AtomicU64::new(0),
            longest_wait_ms: AtomicU64::new(0),
            sum_wait_us: AtomicU64::new(0),
        })
    }

    /// The number of a new tap.
    pub(crate) fn new_tap(&self) -> u64 {
        self.taps.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// A tap was answered.
    pub(crate) fn answered(&self, tap: u64, reader: &ReaderId, card: &CardNumber, by: AnsweredBy, waited: Duration) {
        self.answered.fetch_add(1, Ordering::Relaxed);
        let micros = u64::try_from(waited.as_micros()).unwrap_or(u64::MAX);
        self.sum_wait_us.fetch_add(micros, Ordering::Relaxed);
        self.longest_wait_ms.fetch_max(micros / 1000, Ordering::Relaxed);
        let by = match by {
            AnsweredBy::Output => "output",
            AnsweredBy::Led => "led",
            AnsweredBy::Buzzer => "buzzer",
            AnsweredBy::Text => "text",
        };
        let waited = waited.as_millis();
        self.line(tap, reader, card, &format!(r#""answered":true,"by":"{by}","wait_ms":{waited}"#));
    }

    /// An attempt is over.
    pub(crate) fn ended(&self, tap: u64, reader: &ReaderId, card: &CardNumber, outcome: Outcome, answered: bool) {
        let count = match outcome {
            Outcome::Passed => Some(&self.passed),
            Outcome::NotTaken => Some(&self.not_taken),
            Outcome::Refused => Some(&self.refused),
            Outcome::Unanswered | Outcome::QueueFull => Some(&self.unanswered),
            Outcome::Answered | Outcome::Printed => None,
        };
        if let Some(count) = count {
            count.fetch_add(1, Ordering::Relaxed);
        }
        if !answered {
            self.line(tap, reader, card, r#""answered":false"#);
        }
    }

    /// The counts now.
    pub(crate) fn report(&self) -> Report {
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Report {
            taps: get(&self.taps),
            answered: get(&self.answered),
            unanswered: get(&self.unanswered),
            passed: get(&self.passed),
            not_taken: get(&self.not_taken),
            refused: get(&self.refused),
            forced: get(&self.forced),
            visits: get(&self.visits),
            forgotten: get(&self.forgotten),
            longest_wait_ms: get(&self.longest_wait_ms),
            sum_wait_us: get(&self.sum_wait_us),
        }
    }

    /// One line, in one write: several lines of readers share the file.
    fn line(&self, tap: u64, reader: &ReaderId, card: &CardNumber, rest: &str) {
        let Some(mut file) = self.file.as_ref() else { return };
        // Names of readers and written numbers hold nothing that JSON would have to escape.
        let (at, number) = (self.clock.now(), card.reveal());
        let line = format!("{{\"at\":\"{at}\",\"tap\":{tap},\"reader\":\"{reader}\",\"card\":\"{number}\",{rest}}}\n");
        if let Err(error) = file.write_all(line.as_bytes()) {
            tracing::error!(error = %error, "the record of taps cannot be written");
        }
    }
}
