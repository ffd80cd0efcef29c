//! From rows to bindings.

use domain::desk::{EndWhy, Factor, SessionState};
use domain::{PointId, UtcMillis, ZoneId};
use sqlx::FromRow;
use store::Error;

use super::DeskSession;
use crate::rows::{code, column, optional};

/// The beginning of every statement that reads bindings. A macro so that each statement stays one literal.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT s.id, s.workstation, s.zone, s.person, s.card, s.state, s.factor, s.opened_ms, s.confirmed_ms,
                    s.used_ms, s.ended_ms, s.ended_why, f.confirmed_ms AS factor_ms, f.until_ms AS factor_until_ms
             FROM desk_session s LEFT JOIN desk_factor f ON f.person = s.person ",
            $rest
        )
    };
}
pub(super) use select;

/// A binding as it is stored.
#[derive(FromRow)]
pub(super) struct Row {
    id: String,
    workstation: String,
    zone: String,
    person: String,
    card: Option<String>,
    state: String,
    factor: String,
    opened_ms: i64,
    confirmed_ms: i64,
    used_ms: i64,
    ended_ms: Option<i64>,
    ended_why: Option<String>,
    factor_ms: Option<i64>,
    factor_until_ms: Option<i64>,
}

impl TryFrom<Row> for DeskSession {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        const T: &str = "desk_session";
        let ended = match (row.ended_ms, row.ended_why.as_deref()) {
            (Some(at), Some(why)) => Some((UtcMillis(at), code(T, "ended_why", why, EndWhy::parse)?)),
            (None, None) => None,
            _ => return Err(Error::bad_row(T, "ended_why", "an end has a time and a reason")),
        };
        Ok(Self {
            id: row.id,
            workstation: column(T, "workstation", &row.workstation, PointId::new)?,
            zone: column(T, "zone", &row.zone, ZoneId::new)?,
            person: column(T, "person", &row.person, |text: &str| text.parse())?,
            card: optional(T, "card", row.card.as_deref(), |text: &str| text.parse())?,
            state: code(T, "state", &row.state, SessionState::parse)?,
            factor: code(T, "factor", &row.factor, Factor::parse)?,
            factor_at: row.factor_ms.map(UtcMillis),
            factor_until: row.factor_until_ms.map(UtcMillis),
            opened: UtcMillis(row.opened_ms),
            confirmed: UtcMillis(row.confirmed_ms),
            used: UtcMillis(row.used_ms),
            ended,
        })
    }
}
