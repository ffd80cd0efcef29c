//! What a peer says happened, in the words of the core.
//!
//! Owns the translation of `PassEvent` and `PointStatus`. Never decides and never records. What cannot be translated is
//! [`Poison`]: it is set aside with its bytes, and nothing behind it waits.

use std::collections::HashMap;

use domain::ids::PersonId;
use domain::{Reason, UtcMillis};
use wire::acs_link::message::{self, PassCode, PassEvent, PointStatus};
use wire::acs_link::{Code, NotCard, Token};

use super::ages::{self, Dated};
use super::asks::Asks;
use super::points::{NoSpot, Points};
use crate::line::{Happened, Passage, PointState, Report};

/// A message that makes no sense here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Poison {
    /// What is wrong, in the words of the link.
    pub code: Code,
    /// The same for an operator; never personal data.
    pub why: String,
}

/// What became of a message.
#[derive(Debug)]
pub struct Told {
    /// What the core is to be told.
    pub reports: Vec<Report>,
    /// Its time is more than a day ahead.
    pub absurd: bool,
}

/// When a message came, and what is known of its sender's clock.
#[derive(Debug, Clone, Copy)]
pub struct Received {
    /// By our clock.
    pub at: UtcMillis,
    /// The difference of the clocks, once known: positive if the peer's is behind.
    pub skew_ms: Option<i64>,
}

/// Somebody was at a point.
///
/// # Errors
/// See [`Poison`].
pub fn pass_event(event: &PassEvent, received: Received, points: &Points, asks: &Asks) -> Result<Told, Poison> {
    let reader = points.reader(&event.point, event.direction).map_err(|wrong| no_spot(wrong, &event.point))?.clone();
    let number = match event.credential.as_ref().map(message_card) {
        None => None,
        Some(Ok(number)) => Some(Ok(number)),
        // A QR code or a PIN is no card number, and no mistake either.
        Some(Err(NotCard::Kind(_))) => None,
        Some(Err(wrong)) => return Err(Poison { code: Code::CredentialFormat, why: wrong.to_string() }),
    };
    let Dated { age, absurd } = ages::of_event(event.occurred_at, event.clock, received.at, received.skew_ms);
    let bearing = asks.bearing(event.request, event.result.code);
    let passage = Passage {
        reader: reader.clone(),
        what: happened(event.result.code),
        reason: event.result.reason.as_ref().and_then(reason),
        number,
        person: event.person.as_ref().and_then(|person| person.as_str().parse::<PersonId>().ok()),
        ask: bearing.ask,
        age,
    };
    let mut reports = vec![Report::Passage(passage)];
    if let Some(no) = bearing.in_vain {
        // We had let the holder in, too late: the peer had decided otherwise. That grant ends here.
        let passage =
            Passage { reader, what: Happened::NotTaken, reason: None, number: None, person: None, ask: Some(no), age };
        reports.push(Report::Passage(passage));
    }
    Ok(Told { reports, absurd })
}

fn message_card(credential: &wire::acs_link::Credential) -> Result<domain::card::CardNumber, NotCard> {
    credential.card()
}

const fn happened(code: PassCode) -> Happened {
    match code {
        PassCode::Granted => Happened::Granted,
        PassCode::Passed => Happened::Passed,
        PassCode::NotTaken => Happened::NotTaken,
        PassCode::Denied => Happened::Refused,
        PassCode::Forced => Happened::Forced,
        PassCode::Duress => Happened::Duress,
    }
}

/// Our word for a reason of the link, if we have one: the same letters, with `_` for `-`.
pub fn reason(reason: &wire::acs_link::Reason) -> Option<Reason> {
    match reason.as_str() {
        "credential-expired" => Some(Reason::Expired),
        "credential-unknown" | "unknown-credential" => Some(Reason::UnknownCard),
        "credential-blocked" => Some(Reason::Blocked),
        word => Reason::parse(&word.replace('-', "_")),
    }
}

/// The link's word for a reason of ours.
pub fn reason_word(reason: Reason) -> wire::acs_link::Reason {
    let word = reason.as_str().replace('_', "-");
    #[expect(clippy::expect_used, reason = "a constant, and a test makes all codes into reasons")]
    wire::acs_link::Reason::new(&word)
        .unwrap_or_else(|_| wire::acs_link::Reason::new("other").expect("`other` is a reason"))
}

fn no_spot(NoSpot(code): NoSpot, at: &Token) -> Poison {
    let why = match code {
        Code::PointForbidden => format!("point {at} belongs to another node"),
        _ => format!("there is no reader here for point {at}; add it to the peer's readers"),
    };
    Poison { code, why }
}

/// How the points of one peer are, as it said last: `online` ends whatever it said before.
#[derive(Debug, Default)]
pub struct States(HashMap<Token, message::PointState>);

impl States {
    /// A point changed.
    ///
    /// # Errors
    /// See [`Poison`].
    pub fn point_status(&mut self, status: &PointStatus, received: Received, points: &Points) -> Result<Told, Poison> {
        let spot = points.find(&status.point).map_err(|wrong| no_spot(wrong, &status.point))?;
        // A status carries no state of the clock; a clock that was never set is found by the difference.
        let clock = message::ClockState::Synced;
        let Dated { age, absurd } = ages::of_event(status.occurred_at, clock, received.at, received.skew_ms);
        let before = self.0.insert(status.point.clone(), status.state);
        let mut reports = Vec::new();
        let state = |reader: &domain::ReaderId, state, age| Report::State { reader: reader.clone(), state, age };
        let first = spot.readers().next();
        match status.state {
            message::PointState::Online => {
                reports.extend(spot.readers().map(|reader| state(reader, PointState::Online, age)));
                let mode = matches!(
                    before,
                    Some(message::PointState::FreePass | message::PointState::Locked | message::PointState::Emergency)
                );
                if let (true, Some(first)) = (mode, first) {
                    reports.push(state(first, PointState::Normal, age));
                }
            }
            message::PointState::Offline => {
                reports.extend(spot.readers().map(|reader| state(reader, PointState::Offline, age)));
            }
            message::PointState::FreePass => reports.extend(first.map(|at| state(at, PointState::FreePassage, age))),
            message::PointState::Locked => reports.extend(first.map(|at| state(at, PointState::Locked, age))),
            message::PointState::Emergency => reports.extend(first.map(|at| state(at, PointState::Emergency, age))),
            message::PointState::Tamper => reports.extend(first.map(|at| state(at, PointState::Tamper, age))),
            message::PointState::Fault => reports.extend(first.map(|at| state(at, PointState::Fault, age))),
        }
        Ok(Told { reports, absurd })
    }

    /// Whether the peer said of a point that it is not there.
    pub fn is_offline(&self, at: &Token) -> bool {
        self.0.get(at) == Some(&message::PointState::Offline)
    }
}

#[cfg(test)]
mod tests;
