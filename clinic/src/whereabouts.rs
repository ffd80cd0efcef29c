//! Where people are and how they moved: a patient or a colleague now and today, the graph of specialists and patients, and
//! which rooms were occupied by whom. Put together from passages, bindings of workstations and visits.
//!
//! Owns no table. A look at one person is an entry of the audit log; graph and rooms are by pseudonym. Every question is
//! bounded in time and size and says when it was cut. May import `domain`, `store` and the audit log.

mod graph;
mod person;
mod rooms;

use domain::Denied;
use store::Error;
use thiserror::Error as ThisError;

pub use graph::{EDGES_MAX, Edge, Graph, Part, graph};
pub use person::{Located, Source, Stay, Today, locate, today};
pub use rooms::{Occupied, Room, Rooms, at as occupied_at, day as rooms};

/// Longest time that one question may be about: 31 days.
pub const SPAN_MAX_MS: i64 = 31 * 24 * 60 * 60 * 1000;
/// Longest visit that is looked for before the time asked about: no visit is longer than a day.
const BEFORE_MS: i64 = 24 * 60 * 60 * 1000;

/// Why nothing is shown.
#[derive(Debug, ThisError)]
pub enum WhereError {
    /// No right.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The time is empty, backward or too long.
    #[error("the time asked about must be 1 ms to 31 days")]
    BadSpan,
    /// No such person.
    #[error("there is no such person")]
    Unknown,
    /// The database.
    #[error(transparent)]
    Store(#[from] Error),
}

/// Checks the time that a question is about.
fn span(from: domain::UtcMillis, until: domain::UtcMillis) -> Result<(), WhereError> {
    let length = until.since_ms(from);
    if length <= 0 || length > SPAN_MAX_MS { Err(WhereError::BadSpan) } else { Ok(()) }
}
