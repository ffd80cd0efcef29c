//! What an event of the server means here: a report for the journal, a question for the core, or nothing.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use domain::UtcMillis;
use domain::card::{CardError, CardNumber};
use domain::ids::ReaderId;
use tokio::time::Instant;
use wire::parsec::event::{Event, Meaning, What};
use wire::parsec::object::TransactionType;
use wire::parsec::{CardForm, Guid};

use super::asks::Asks;
use super::places::Places;
use crate::line::{Age, Ask, Happened, Passage, Report};

/// Clocks that differ by less are taken as equal, milliseconds: the server tells its time to the second.
const SKEW_MIN_MS: i64 = 2_000;
/// An event that is further ahead of our clock has a time that cannot be believed, milliseconds.
const AHEAD_MAX_MS: i64 = 5_000;
/// How long the server is believed to wait for a guard's answer. Its own setting is not told.
pub(super) const GUARD_WAIT: Duration = Duration::from_secs(10);
/// Names of the dictionary that are kept, and codes that are told of once.
const TYPES_MAX: usize = 10_000;

/// What to do about an event.
#[derive(Debug)]
pub(super) enum Made {
    /// Record it.
    Report(Report),
    /// Ask the core.
    Ask { reader: ReaderId, number: Result<CardNumber, CardError>, age: Duration, ask: Ask },
    /// Nothing, and that needs no words.
    Nothing,
    /// Nothing; said once for each code.
    Unknown { code: u32, name: String },
    /// It happened where no reader of ours stands.
    Nowhere,
}

/// What the server's codes mean.
#[derive(Debug, Default)]
pub(super) struct Dictionary {
    names: HashMap<u32, String>,
    /// Codes that ask for verification; `None`: we do not answer.
    asks: Option<BTreeSet<u32>>,
    told: HashSet<u32>,
}

impl Dictionary {
    /// Learns the server's dictionary. `asks`: the codes that ask for verification, empty: by their names; `None`: they
    /// are not answered.
    pub(super) fn learn(&mut self, types: Vec<TransactionType>, asks: Option<&[u32]>) {
        self.names = types.into_iter().take(TYPES_MAX).map(|kind| (kind.id, kind.name)).collect();
        self.asks = asks.map(|codes| {
            let by_name = |(code, name): (&u32, &String)| {
                Meaning::of(*code, Some(name)).is_some_and(|meaning| meaning.what == What::Asks).then_some(*code)
            };
            if codes.is_empty() {
                self.names.iter().filter_map(by_name).collect()
            } else {
                codes.iter().copied().collect()
            }
        });
    }

    /// Whether nothing can ever be asked though it should.
    pub(super) fn asks_nothing(&self) -> bool {
        self.asks.as_ref().is_some_and(BTreeSet::is_empty)
    }

    /// How many codes it has.
    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    fn meaning(&self, code: u32) -> Option<Meaning> {
        let name = self.names.get(&code).map(String::as_str);
        let meaning = Meaning::of(code, name);
        if self.asks.as_ref().is_some_and(|asks| asks.contains(&code)) {
            let direction = meaning.and_then(|meaning| meaning.direction);
            return Some(Meaning { what: What::Asks, direction, reason: None });
        }
        meaning
    }
}

/// Everything that an event is judged by.
pub(super) struct Judge<'a> {
    pub(super) places: &'a Places,
    pub(super) dictionary: &'a mut Dictionary,
    pub(super) asks: &'a mut Asks,
    pub(super) form: CardForm,
    pub(super) now: UtcMillis,
    /// Our clock less the server's, if it is known.
    pub(super) skew_ms: Option<i64>,
}

impl Judge<'_> {
    /// Judges an event of a territory.
    pub(super) fn event(&mut self, event: &Event, territory: Guid) -> Made {
        let Some(meaning) = self.dictionary.meaning(event.code) else {
            let new = self.dictionary.told.len() < TYPES_MAX && self.dictionary.told.insert(event.code);
            let name = self.dictionary.names.get(&event.code).cloned().unwrap_or_default();
            return if new { Made::Unknown { code: event.code, name } } else { Made::Nothing };
        };
        let Some(reader) = self.places.reader(territory, meaning.direction).cloned() else { return Made::Nowhere };
        let age = age(event.at, self.now, self.skew_ms);
        let number = event.card.as_ref().map(|card| card.number(self.form));
        if meaning.what == What::Asks {
            return self.question(event, territory, reader, number, age);
        }
        let end = self.asks.end(territory, event, meaning.what);
        let (ask, what, reason) = match end {
            Some((no, what, reason)) => (Some(no), what, reason),
            None => {
                let what = match meaning.what {
                    What::Granted => Happened::Granted,
                    What::Refused => Happened::Refused,
                    What::Passed => Happened::Passed,
                    What::Forced => Happened::Forced,
                    What::Duress => Happened::Duress,
                    What::Asks => return Made::Nothing,
                };
                (None, what, meaning.reason)
            }
        };
        // Persons of the server's own are nobody here; ours are known by their cards.
        Made::Report(Report::Passage(Passage { reader, what, reason, number, person: None, ask, age }))
    }

    fn question(
        &mut self,
        event: &Event,
        territory: Guid,
        reader: ReaderId,
        number: Option<Result<CardNumber, CardError>>,
        age: Age,
    ) -> Made {
        let answered = self.dictionary.asks.as_ref().is_some_and(|asks| asks.contains(&event.code));
        // Without a card nothing can be decided, and without a person nothing can be answered. A question whose time
        // is over, or whose time nobody knows, is not asked any more: late is not live.
        let (Age::Known(age), Some(number), Some(person), true) = (age, number, event.person, answered) else {
            return Made::Nothing;
        };
        if age >= GUARD_WAIT {
            return Made::Nothing;
        }
        let until = Instant::now() + GUARD_WAIT.saturating_sub(age);
        let no = self.asks.begin(territory, person, event, until);
        Made::Ask { reader, number, age, ask: Ask { no, until } }
    }
}

/// How long ago something happened at the server's time `at`.
pub(super) fn age(at: UtcMillis, now: UtcMillis, skew_ms: Option<i64>) -> Age {
    let skew = skew_ms.filter(|skew| skew.abs() >= SKEW_MIN_MS).unwrap_or(0);
    match now.since_ms(at.plus_ms(skew)) {
        ms @ 0.. => Age::Known(Duration::from_millis(ms.unsigned_abs())),
        ms if ms >= -AHEAD_MAX_MS => Age::Known(Duration::ZERO),
        _ => Age::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_go_by_the_servers_clock_and_the_future_is_not_believed() {
        let at = UtcMillis(100_000);
        let known = |ms| Age::Known(Duration::from_millis(ms));
        assert_eq!(age(at, at.plus_ms(700), None), known(700));
        assert_eq!(age(at, at.plus_ms(700), Some(1500)), known(700), "within a second clocks are equal");
        assert_eq!(age(at, at.plus_ms(-60_000), Some(-60_000)), known(0));
        assert_eq!(age(at, at.plus_ms(61_000), Some(60_000)), known(1000));
        assert_eq!(age(at, at.plus_ms(-4000), None), known(0));
        assert_eq!(age(at, at.plus_ms(-6000), None), Age::Unknown);
    }
}
