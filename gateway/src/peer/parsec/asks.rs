//! Questions of the server (it wants a guard's answer) and what became of them.
//!
//! The server says by an event that it waits, takes the answer by a call, and reports by further events what happened.
//! Those events belong to the question if they are of the same place and card and come soon: then they are the end of
//! a decision of ours, not a decision of the server.

use std::collections::VecDeque;

use domain::{Reason, UtcMillis};
use tokio::time::Instant;
use wire::parsec::event::{Event, What};
use wire::parsec::{Code, Guid};

use crate::line::Happened;

/// Questions remembered; the oldest is forgotten.
const ASKS_MAX: usize = 256;
/// How long events belong to a question, milliseconds: the wait for the answer and a slow walk.
const BELONGS_MS: i64 = 60_000;

struct Asked {
    no: u64,
    territory: Guid,
    person: Guid,
    card: Option<Code>,
    at: UtcMillis,
    /// An answer after this is not sent.
    until: Instant,
    granted: Option<bool>,
    over: bool,
}

/// The questions of one peer.
#[derive(Default)]
pub(super) struct Asks {
    last: u64,
    asked: VecDeque<Asked>,
}

impl Asks {
    /// Notes a question; its number.
    pub(super) fn begin(&mut self, territory: Guid, person: Guid, event: &Event, until: Instant) -> u64 {
        self.last += 1;
        if self.asked.len() >= ASKS_MAX {
            self.asked.pop_front();
        }
        let (card, at) = (event.card.clone(), event.at);
        self.asked.push_back(Asked { no: self.last, territory, person, card, at, until, granted: None, over: false });
        self.last
    }

    /// What is to be answered there, and notes the answer; `None` if it was answered, or comes too late.
    pub(super) fn answer(&mut self, no: u64, granted: bool, now: Instant) -> Option<(Guid, Guid)> {
        let open = |asked: &&mut Asked| asked.no == no && asked.granted.is_none() && now < asked.until;
        let asked = self.asked.iter_mut().find(open)?;
        asked.granted = Some(granted);
        Some((asked.territory, asked.person))
    }

    /// The answer was not taken: what comes is the server's own decision.
    pub(super) fn not_taken(&mut self, no: u64) {
        self.asked.retain(|asked| asked.no != no);
    }

    /// Which question an event belongs to, and what it means for it.
    pub(super) fn end(
        &mut self,
        territory: Guid,
        event: &Event,
        what: What,
    ) -> Option<(u64, Happened, Option<Reason>)> {
        let belongs = |asked: &&mut Asked| {
            let same = asked.card.is_some() && asked.card == event.card || event.person == Some(asked.person);
            let soon = (0..=BELONGS_MS).contains(&event.at.since_ms(asked.at));
            asked.territory == territory && same && soon && !asked.over
        };
        let asked = self.asked.iter_mut().rev().find(belongs)?;
        Some(match (what, asked.granted?) {
            (What::Granted, true) => (asked.no, Happened::Granted, None),
            (What::Passed, true) => {
                asked.over = true;
                (asked.no, Happened::Passed, None)
            }
            (What::Refused, false) => {
                asked.over = true;
                (asked.no, Happened::Refused, None)
            }
            // Allowed here, refused there: too late, or refused by somebody else.
            (What::Refused, true) => {
                asked.over = true;
                (asked.no, Happened::NotTaken, Some(Reason::PassNotTaken))
            }
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::parsec::event::Source;

    const DOOR: Guid = Guid::of(1);
    const PERSON: Guid = Guid::of(7);

    fn soon() -> Instant {
        Instant::now() + std::time::Duration::from_secs(10)
    }

    fn event(at: i64, card: &str) -> Event {
        let (person, card) = (Some(PERSON), Code::parse(card));
        Event { at: UtcMillis(at), code: 0, source: Source::Unknown, person, card }
    }

    #[test]
    fn what_follows_an_answer_is_its_end() {
        let mut asks = Asks::default();
        let no = asks.begin(DOOR, PERSON, &event(0, "A1"), soon());
        assert_eq!(asks.end(DOOR, &event(1, "A1"), What::Granted), None, "not answered yet");
        assert_eq!(asks.answer(no, true, Instant::now()), Some((DOOR, PERSON)));
        assert_eq!(asks.answer(no, false, Instant::now()), None, "answered once");
        assert_eq!(asks.end(Guid::of(2), &event(1, "A1"), What::Granted), None);
        assert_eq!(asks.end(DOOR, &event(1, "A1"), What::Granted), Some((no, Happened::Granted, None)));
        assert_eq!(asks.end(DOOR, &event(2, "A1"), What::Passed), Some((no, Happened::Passed, None)));
        assert_eq!(asks.end(DOOR, &event(3, "A1"), What::Passed), None, "over");
    }

    #[test]
    fn a_grant_that_the_server_refuses_is_not_taken_and_later_events_are_its_own() {
        let mut asks = Asks::default();
        let no = asks.begin(DOOR, PERSON, &event(0, "A1"), soon());
        asks.answer(no, true, Instant::now());
        let end = asks.end(DOOR, &event(9, "A1"), What::Refused);
        assert_eq!(end, Some((no, Happened::NotTaken, Some(Reason::PassNotTaken))));
        let no = asks.begin(DOOR, PERSON, &event(0, "A1"), soon());
        asks.answer(no, false, Instant::now());
        assert_eq!(asks.end(DOOR, &event(BELONGS_MS + 1, "A1"), What::Refused), None);
        assert_eq!(asks.end(DOOR, &event(5, "A1"), What::Granted), None, "somebody else allowed it");
        assert_eq!(asks.end(DOOR, &event(6, "A1"), What::Refused), Some((no, Happened::Refused, None)));
    }

    #[test]
    fn a_late_answer_is_none() {
        let mut asks = Asks::default();
        let no = asks.begin(DOOR, PERSON, &event(0, "A1"), soon());
        assert_eq!(asks.answer(no, true, soon() + std::time::Duration::from_secs(1)), None);
        assert_eq!(asks.end(DOOR, &event(1, "A1"), What::Granted), None, "whatever comes is the server's own");
    }

    #[test]
    fn questions_are_bounded() {
        let mut asks = Asks::default();
        for _ in 0..1000 {
            asks.begin(DOOR, PERSON, &event(0, "A1"), soon());
        }
        assert_eq!((asks.asked.len(), asks.answer(1, true, Instant::now())), (ASKS_MAX, None));
    }
}
