//! What a destination's task has taken and not written down yet: facts by line, which line may go, what has ended. No
//! input or output, no clock: times are given.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use clinic::outbox::{Ended, Fact, Fault, FaultCode, Settled};
use domain::UtcMillis;

use super::{Delivered, Settings};

/// So many lines that failed one after the other, with nothing delivered in between, mean that the system fails, not
/// they.
const FAILING_LINES: usize = 8;
/// The longest wait that a system may ask for.
const ASKED_MAX: Duration = Duration::from_secs(15 * 60);

/// A fact on its way.
#[derive(Debug)]
struct Flight {
    line: String,
    change: u64,
    attempts: u32,
}

/// Why the whole destination is to be left alone for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rest {
    pub(super) fault: Fault,
    /// The least time, where the system named one.
    pub(super) least: Option<Duration>,
}

#[derive(Debug, Default)]
pub(super) struct Hand {
    /// What waits here, by line. A line that is on its way stays, even empty.
    lines: BTreeMap<String, VecDeque<Fact>>,
    /// Lines whose first fact may go.
    ready: VecDeque<String>,
    /// By the number of the worker.
    flights: BTreeMap<usize, Flight>,
    /// Facts in `lines`.
    waiting: usize,
    /// Ended and not written down.
    ended: Vec<Settled>,
    /// Lines that failed since something was delivered.
    failing: BTreeSet<String>,
    rest: Option<Rest>,
    /// Nothing more is started.
    stopped: bool,
}

impl Hand {
    /// Takes facts in, in the order of their changes.
    pub(super) fn add(&mut self, line: String, fact: Fact) {
        self.waiting += 1;
        let is_new = !self.lines.contains_key(&line);
        if is_new {
            self.ready.push_back(line.clone());
        }
        self.lines.entry(line).or_default().push_back(fact);
    }

    /// The next fact for a worker, unless as many as allowed are on their way.
    pub(super) fn start(&mut self, worker: usize, at_once: usize) -> Option<Fact> {
        if self.stopped || self.flights.len() >= at_once {
            return None;
        }
        let line = self.ready.pop_front()?;
        let fact = self.lines.get_mut(&line)?.pop_front()?;
        self.waiting -= 1;
        self.flights.insert(worker, Flight { line, change: fact.change.id, attempts: fact.attempts });
        Some(fact)
    }

    /// Notes how a worker's fact ended.
    pub(super) fn finish(&mut self, worker: usize, delivered: Delivered, now: UtcMillis, settings: &Settings) {
        let Some(Flight { line, change, attempts }) = self.flights.remove(&worker) else { return };
        let mut end = |ended| self.ended.push(Settled { change, ended });
        match delivered {
            Delivered::Done => {
                end(Ended::Done);
                self.failing.clear();
                self.go_on(line);
            }
            Delivered::Dead(fault) => {
                end(Ended::Dead(fault));
                self.go_on(line);
            }
            Delivered::Retry(fault, least) => {
                let worn_out = attempts.saturating_add(1) >= settings.attempts_max;
                if worn_out {
                    end(Ended::Dead(fault.clone()));
                } else {
                    let wait = wait_ms(settings.first_wait, attempts, settings.longest_wait, least);
                    end(Ended::Again(now.plus_ms(wait), fault.clone()));
                }
                let tells_of_system = matches!(
                    fault.code,
                    FaultCode::Late | FaultCode::Broken | FaultCode::ServerFault | FaultCode::BadAnswer
                );
                if tells_of_system {
                    self.failing.insert(line.clone());
                    if self.failing.len() >= FAILING_LINES {
                        self.rest.get_or_insert(Rest { fault, least });
                    }
                }
                if worn_out { self.go_on(line) } else { self.drop_line(&line) }
            }
            Delivered::Away(fault, least) => {
                end(Ended::Released);
                self.drop_line(&line);
                self.rest.get_or_insert(Rest { fault, least });
            }
        }
        if self.rest.is_some() {
            self.drop_all();
        }
    }

    /// A line's next fact may go.
    fn go_on(&mut self, line: String) {
        match self.lines.get(&line) {
            Some(facts) if !facts.is_empty() => self.ready.push_back(line),
            _ => drop(self.lines.remove(&line)),
        }
    }

    /// What waits behind a fact that failed is free again.
    fn drop_line(&mut self, line: &str) {
        let facts = self.lines.remove(line).unwrap_or_default();
        self.waiting -= facts.len();
        self.ended.extend(facts.iter().map(|fact| Settled { change: fact.change.id, ended: Ended::Released }));
    }

    /// Everything that is not on its way is free again.
    pub(super) fn drop_all(&mut self) {
        self.ready.clear();
        let flying: BTreeSet<&str> = self.flights.values().map(|flight| flight.line.as_str()).collect();
        for (line, facts) in &mut self.lines {
            self.waiting -= facts.len();
            let free = facts.drain(..).map(|fact| Settled { change: fact.change.id, ended: Ended::Released });
            self.ended.extend(free);
            debug_assert!(flying.contains(line.as_str()) || facts.is_empty());
        }
        let flying: BTreeSet<String> = flying.into_iter().map(str::to_owned).collect();
        self.lines.retain(|line, _| flying.contains(line));
    }

    /// Starts nothing more and frees what is not on its way.
    pub(super) fn stop(&mut self) {
        self.stopped = true;
        self.drop_all();
    }

    /// What is still on its way will not be heard of any more: free again, told a second time at worst.
    pub(super) fn abandon(&mut self) {
        let flights = std::mem::take(&mut self.flights);
        self.ended.extend(flights.values().map(|flight| Settled { change: flight.change, ended: Ended::Released }));
    }

    /// Says that something ended otherwise: what could not be read.
    pub(super) fn note(&mut self, settled: Settled) {
        self.ended.push(settled);
    }

    /// What is to be written down; it is forgotten here.
    pub(super) fn take_ended(&mut self) -> Vec<Settled> {
        std::mem::take(&mut self.ended)
    }

    /// Puts back what could not be written down.
    pub(super) fn put_back(&mut self, mut ended: Vec<Settled>) {
        ended.append(&mut self.ended);
        self.ended = ended;
    }

    /// Why the destination is to be left alone, once.
    pub(super) fn take_rest(&mut self) -> Option<Rest> {
        let rest = self.rest.take();
        if rest.is_some() {
            self.failing.clear();
        }
        rest
    }

    pub(super) fn ready(&self) -> usize {
        self.ready.len()
    }

    pub(super) fn ended(&self) -> usize {
        self.ended.len()
    }

    pub(super) fn flying(&self) -> usize {
        self.flights.len()
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    pub(super) fn has_rest(&self) -> bool {
        self.rest.is_some()
    }
}

/// How long to wait after so many failures before: it doubles, half of it is random, and the system's own wish counts.
pub(super) fn wait_ms(first: Duration, failures: u32, longest: Duration, least: Option<Duration>) -> i64 {
    let whole = first.saturating_mul(1 << failures.min(20)).min(longest);
    let millis = u64::try_from(whole.as_millis()).unwrap_or(u64::MAX).max(2);
    let mut random = [0; 8];
    // Without randomness the waits are alike; nothing else depends on it.
    let _ = getrandom::fill(&mut random);
    let jittered = millis / 2 + u64::from_le_bytes(random) % (millis / 2 + 1);
    let least = least.map_or(0, |least| u64::try_from(least.min(ASKED_MAX).as_millis()).unwrap_or(u64::MAX));
    i64::try_from(jittered.max(least)).unwrap_or(i64::MAX)
}
