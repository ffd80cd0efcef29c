//! What events of the device mean for the core. Pure: an event, its age and `now` in, reports out.
//!
//! Remembers, for each door, the grant being taken, and the last questions that the core answered: the device reports
//! after each of them what it did, and that must not become a second decision in the record.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use domain::Reason;
use domain::card::{CardError, CardNumber};
use domain::ids::{PersonId, ReaderId};
use tokio::time::Instant;
use wire::isapi::card::CardForm;
use wire::isapi::codes::{self, Meaning};
use wire::isapi::event::Access;

use super::places::Places;
use crate::line::{Age, Happened, Passage, PointState, ReaderFact, Report};

/// Answers that are remembered for the report about them.
const ANSWERS_MAX: usize = 64;
/// How long the device may take from our answer to its report.
const ANSWER_FOLLOWED: Duration = Duration::from_secs(30);
/// Codes without a meaning that are remembered as logged.
const UNKNOWN_MAX: usize = 256;

/// A number as it was read, or why it is none.
pub(super) type Number = Result<CardNumber, CardError>;

/// A question that the core has answered.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) no: u64,
    pub(super) door: Option<u32>,
    pub(super) reader: ReaderId,
    pub(super) number: Number,
    pub(super) granted: bool,
    pub(super) at: Instant,
}

/// What to do with an event.
#[derive(Debug)]
pub(super) enum Said {
    /// To be recorded.
    Report(Report),
    /// How a reader is now.
    Now(ReaderId, ReaderFact),
    /// The device decided although it should have asked, or did not wait for the answer.
    Unheard,
    /// A code that is in no table, seen for the first time.
    Unknown,
}

/// What must be remembered between events.
#[derive(Debug)]
pub(super) struct Memory {
    reports_passage: bool,
    online: bool,
    grants: HashMap<u32, Grant>,
    answers: VecDeque<Answered>,
    unknown: Vec<(u32, u32)>,
}

#[derive(Debug)]
struct Grant {
    ask: Option<u64>,
    number: Option<Number>,
    person: Option<PersonId>,
    reader: ReaderId,
}

impl Memory {
    pub(super) fn new(reports_passage: bool, online: bool) -> Self {
        Self { reports_passage, online, grants: HashMap::new(), answers: VecDeque::new(), unknown: Vec::new() }
    }

    /// The core has answered a question, in time for the device.
    pub(super) fn answered(&mut self, answer: Answered) {
        if self.answers.len() >= ANSWERS_MAX {
            self.answers.pop_front();
        }
        self.answers.push_back(answer);
    }

    /// We opened a door for somebody without a card: who goes through next is that.
    pub(super) fn opened(&mut self, door: u32, reader: ReaderId) {
        self.grants.insert(door, Grant { ask: None, number: None, person: None, reader });
    }

    /// The device forgot everything: what was being taken ends unseen.
    pub(super) fn forget(&mut self) {
        self.grants.clear();
    }

    /// What an event means.
    pub(super) fn translate(
        &mut self,
        event: &Access,
        age: Age,
        now: Instant,
        places: &Places,
        form: CardForm,
    ) -> Vec<Said> {
        let meaning = codes::meaning(event.major, event.minor);
        let Some(place) = places.find(event.door, event.reader) else {
            return self.of_the_device(meaning, event, places);
        };
        let reader = &place.reader;
        let number = event.card.as_ref().map(|card| form.read(card, place.uid_reversed));
        let person = event.employee.as_ref().and_then(|employee| employee.parse::<PersonId>().ok());
        let door = event.door.or_else(|| places.door_of(reader)).unwrap_or(0);
        let live = matches!(age, Age::Known(age) if age < ANSWER_FOLLOWED);
        let timed_out = event.remote_result.as_deref() == Some("timeout");
        let passage = |what, reason, number, ask| {
            let reader = reader.clone();
            Said::Report(Report::Passage(Passage { reader, what, reason, number, person, ask, age }))
        };
        let state = |state| vec![Said::Report(Report::State { reader: reader.clone(), state, age })];
        let alarm = |reason, detail: &str| {
            let (reader, detail) = (Some(reader.clone()), Some(detail.to_owned()));
            vec![Said::Report(Report::Alarm { reader, reason, detail })]
        };
        match meaning {
            Meaning::Granted => {
                let answer = live.then(|| self.take_answer(door, number.as_ref(), now)).flatten();
                let ask = answer.as_ref().filter(|answer| answer.granted).map(|answer| answer.no);
                let mut said = Vec::new();
                if ask.is_none() {
                    said.push(passage(Happened::Granted, None, number.clone(), None));
                }
                // Also where it came to the same: everybody waited for it.
                if self.online && live && (ask.is_none() || timed_out) {
                    said.push(Said::Unheard);
                }
                self.grants.insert(door, Grant { ask, number, person, reader: reader.clone() });
                said
            }
            Meaning::Refused(reason) => {
                let answer = live.then(|| self.take_answer(door, number.as_ref(), now)).flatten();
                match answer {
                    Some(answer) if !answer.granted => Vec::new(),
                    Some(answer) => vec![
                        passage(Happened::NotTaken, Some(Reason::PassNotTaken), number, Some(answer.no)),
                        Said::Unheard,
                    ],
                    None => {
                        let mut said = vec![passage(Happened::Refused, reason, number, None)];
                        // A card that the device itself turns away before it asks is no sign of a lost channel.
                        if self.online && live && timed_out {
                            said.push(Said::Unheard);
                        }
                        said
                    }
                }
            }
            Meaning::Opened | Meaning::NotTaken | Meaning::Locked => self.ended(meaning, door, age, live, now),
            Meaning::Forced => vec![passage(Happened::Forced, None, number, None)],
            Meaning::Duress => vec![passage(Happened::Duress, Some(Reason::Duress), number, None)],
            Meaning::Held => alarm(Reason::DeviceFault, "the door stands open for too long"),
            Meaning::Free(true) => state(PointState::FreePassage),
            Meaning::Shut(true) => state(PointState::Locked),
            Meaning::Fire(true) => state(PointState::Emergency),
            Meaning::Free(false) | Meaning::Shut(false) | Meaning::Fire(false) => state(PointState::Normal),
            Meaning::Tamper(true) => state(PointState::Tamper),
            Meaning::Tamper(false) if live => vec![Said::Now(reader.clone(), ReaderFact::Tamper(false))],
            Meaning::PowerFault(fault) if live => vec![Said::Now(reader.clone(), ReaderFact::PowerFault(fault))],
            Meaning::PartLost(true) => alarm(Reason::DeviceFault, "a reader or module of the device does not answer"),
            Meaning::Restarted | Meaning::MemoryFull => self.of_the_device(meaning, event, places),
            Meaning::Unknown => self.unknown(event),
            Meaning::Asks
            | Meaning::Unlocked
            | Meaning::Closed
            | Meaning::ExitButton
            | Meaning::Tamper(false)
            | Meaning::PowerFault(_)
            | Meaning::PartLost(false)
            | Meaning::Echo
            | Meaning::Nothing => Vec::new(),
        }
    }

    /// How a release ended.
    fn ended(&mut self, meaning: Meaning, door: u32, age: Age, live: bool, now: Instant) -> Vec<Said> {
        let grant = self.grants.remove(&door).or_else(|| {
            // A device that reports nothing between our answer and the open door.
            let opened = meaning == Meaning::Opened && live;
            let answer = opened.then(|| self.take_granted(door, now)).flatten()?;
            let Answered { no, reader, number, .. } = answer;
            Some(Grant { ask: Some(no), number: Some(number), person: None, reader })
        });
        // Without a grant it was the button on the way out, or an order.
        let Some(Grant { ask, number, person, reader }) = grant.filter(|_| self.reports_passage) else {
            return Vec::new();
        };
        let what = if meaning == Meaning::Opened { Happened::Passed } else { Happened::NotTaken };
        vec![Said::Report(Report::Passage(Passage { reader, what, reason: None, number, person, ask, age }))]
    }

    /// What concerns the device as a whole, or a door that nobody declared.
    fn of_the_device(&mut self, meaning: Meaning, event: &Access, places: &Places) -> Vec<Said> {
        let reader = places.readers().next();
        let alarm = |reason, detail: &str| {
            vec![Said::Report(Report::Alarm { reader: None, reason, detail: Some(detail.to_owned()) })]
        };
        let now = |fact| reader.map(|reader| Said::Now(reader.clone(), fact)).into_iter().collect();
        match meaning {
            Meaning::Restarted => alarm(Reason::DeviceFault, "the device has started anew"),
            Meaning::MemoryFull => {
                alarm(Reason::StreamGap, "the device's memory for events is nearly full: the oldest will be lost")
            }
            Meaning::PartLost(true) => alarm(Reason::DeviceFault, "a reader or module of the device does not answer"),
            Meaning::Tamper(open) => now(ReaderFact::Tamper(open)),
            Meaning::PowerFault(fault) => now(ReaderFact::PowerFault(fault)),
            Meaning::Unknown => self.unknown(event),
            Meaning::Granted | Meaning::Refused(_) | Meaning::Forced | Meaning::Duress | Meaning::Fire(true) => {
                let which = event.door.map_or_else(|| "an unknown door".to_owned(), |door| format!("door {door}"));
                alarm(Reason::Quarantined, &format!("an event at {which}, which is in no [[peer.reader]]"))
            }
            _ => Vec::new(),
        }
    }

    fn unknown(&mut self, event: &Access) -> Vec<Said> {
        let code = (event.major, event.minor);
        if self.unknown.contains(&code) || self.unknown.len() >= UNKNOWN_MAX {
            return Vec::new();
        }
        self.unknown.push(code);
        vec![Said::Unknown]
    }

    fn take_answer(&mut self, door: u32, number: Option<&Number>, now: Instant) -> Option<Answered> {
        self.drop_old(now);
        let at = self.answers.iter().position(|answer| {
            answer.door.is_none_or(|other| other == door) && number.is_none_or(|number| *number == answer.number)
        })?;
        self.answers.remove(at)
    }

    fn take_granted(&mut self, door: u32, now: Instant) -> Option<Answered> {
        self.drop_old(now);
        let at = self.answers.iter().position(|answer| answer.granted && answer.door == Some(door))?;
        self.answers.remove(at)
    }

    fn drop_old(&mut self, now: Instant) {
        self.answers.retain(|answer| now.saturating_duration_since(answer.at) < ANSWER_FOLLOWED);
    }
}

#[cfg(test)]
mod tests;
