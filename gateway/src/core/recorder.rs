//! Makes facts durable, and keeps those that the journal does not take until it does.
//!
//! Two ways: a tap waits for its record before anything moves ([`Recorder::tap`]); other facts are recorded behind
//! what happened ([`Recorder::facts`]). A failed append of either kind goes to the backlog, which is tried again every
//! second, in order. When [`BACKLOG_MAX`] facts wait, [`Recorder::is_full`] makes the core stop listening to the
//! lines, which stops polling: cards stay in the readers, and nothing is dropped.

use std::collections::VecDeque;

use domain::{Draft, Kind, Reason, UtcMillis};
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use store::journal::{APPEND_MAX_FACTS, Journal, Pending, Refused};

/// Facts kept in memory while the journal takes none: about 10 MB, and minutes of a full disk at the published size.
pub const BACKLOG_MAX: usize = 20_000;

/// What became of an append.
#[derive(Debug)]
pub enum Done {
    /// A tap is durable.
    TapDurable(u64),
    /// A tap is not known to be durable; its facts are in the backlog.
    TapFailed(u64),
    /// Facts are durable, or in the backlog again.
    Facts,
}

enum Ended {
    Tap(u64, Vec<Draft>, bool),
    Facts(Vec<Draft>, bool),
}

/// The core's way to the journal.
pub struct Recorder {
    journal: Journal,
    under_way: FuturesUnordered<BoxFuture<'static, Ended>>,
    backlog: VecDeque<Draft>,
    failing: bool,
    retrying: bool,
}

impl Recorder {
    /// Nothing waits.
    pub fn new(journal: Journal) -> Self {
        Self { journal, under_way: FuturesUnordered::new(), backlog: VecDeque::new(), failing: false, retrying: false }
    }

    /// Whether no more events should be taken from the lines.
    pub fn is_full(&self) -> bool {
        self.backlog.len() >= BACKLOG_MAX
    }

    /// Whether the journal failed last.
    pub const fn failing(&self) -> bool {
        self.failing
    }

    /// How many facts wait in memory.
    pub fn backlog(&self) -> usize {
        self.backlog.len()
    }

    /// Records a tap under the number `tap`; [`Recorder::next`] says what became of it.
    pub fn tap(&mut self, tap: u64, facts: Vec<Draft>) {
        match self.journal.append(facts.clone()) {
            Ok(pending) => self.follow(pending, move |durable| Ended::Tap(tap, facts, durable)),
            Err(refused) => {
                let facts = given_back(refused);
                self.under_way.push(Box::pin(async move { Ended::Tap(tap, facts, false) }));
            }
        }
    }

    /// Records facts, now or when the journal works again.
    pub fn facts(&mut self, facts: Vec<Draft>) {
        if facts.is_empty() {
            return;
        }
        if !self.backlog.is_empty() || self.failing {
            self.backlog.extend(facts);
            return;
        }
        self.send(facts);
    }

    fn send(&mut self, facts: Vec<Draft>) {
        match self.journal.append(facts.clone()) {
            Ok(pending) => self.follow(pending, move |durable| Ended::Facts(facts, durable)),
            Err(refused) => {
                for fact in given_back(refused).into_iter().rev() {
                    self.backlog.push_front(fact);
                }
                self.failing = true;
                self.retrying = false;
            }
        }
    }

    fn follow(&mut self, pending: Pending, end: impl FnOnce(bool) -> Ended + Send + 'static) {
        self.under_way.push(Box::pin(async move {
            match pending.await {
                Ok(_) => end(true),
                Err(error) => {
                    tracing::error!(%error, "the journal did not take a record");
                    end(false)
                }
            }
        }));
    }

    /// What became of the next append to end. Waits for ever while none is under way; may be cancelled.
    pub async fn next(&mut self) -> Done {
        let Some(ended) = self.under_way.next().await else { return std::future::pending().await };
        match ended {
            Ended::Tap(tap, _, true) => {
                self.failing = false;
                Done::TapDurable(tap)
            }
            Ended::Tap(tap, facts, false) => {
                self.failing = true;
                self.backlog.extend(facts);
                Done::TapFailed(tap)
            }
            Ended::Facts(_, true) => {
                self.failing = false;
                self.retrying = false;
                self.retry();
                Done::Facts
            }
            Ended::Facts(facts, false) => {
                self.failing = true;
                self.retrying = false;
                for fact in facts.into_iter().rev() {
                    self.backlog.push_front(fact);
                }
                Done::Facts
            }
        }
    }

    /// Tries the backlog again; to be called every second. One group at a time, so that the order is kept.
    pub fn retry(&mut self) {
        if self.retrying || self.backlog.is_empty() {
            return;
        }
        let group: Vec<Draft> = self.backlog.drain(..self.backlog.len().min(APPEND_MAX_FACTS)).collect();
        self.retrying = true;
        self.send(group);
    }

    /// Writes everything that can be written, at the end.
    pub async fn flush(&mut self) {
        while !self.under_way.is_empty() {
            self.next().await;
        }
        while !self.backlog.is_empty() {
            self.failing = false;
            self.retry();
            while !self.under_way.is_empty() {
                self.next().await;
            }
            if self.failing {
                tracing::error!(facts = self.backlog.len(), "facts could not be recorded before the end");
                return;
            }
        }
    }
}

fn given_back(refused: Refused) -> Vec<Draft> {
    match refused {
        Refused::Full(facts) | Refused::Size(facts) | Refused::Closed(facts) => facts,
    }
}

/// The alarm that says that the journal stalled, and how it ended.
pub fn stall_alarm(at: UtcMillis, detail: String) -> Draft {
    Draft { reason: Some(Reason::JournalStalled), detail: Some(detail), ..Draft::new(at, Kind::Alarm) }
}
