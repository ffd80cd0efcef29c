//! Deliveries: what other systems are told of what happened, once each, in order for each patient, for as long as it takes.
//!
//! Owns the tables `destination` and `delivery`. A destination is another system by its name in the configuration. It
//! follows the feed of changes from a cursor of its own ([`fill`]); each change that it wants becomes a delivery in the
//! transaction that moves the cursor on, so none is lost and none is made twice. A bridge takes deliveries for a while
//! ([`claim`], [`renew`]), reads what they are about fresh ([`facts`]), and says how they ended, many at once
//! ([`settle`]). One that dies leaves them to the next, so a system may be told twice, and is never not told: every way of
//! telling must bear a repetition.
//!
//! Order: deliveries of one `line` (the patient; without one the specialist, the workstation) are taken in the order of
//! the changes, and none while an earlier one waits; other lines go on. A delivery that failed for good is a dead letter and
//! holds up nobody.
//!
//! Two kinds of failure: a fault of the **delivery** counts attempts; a fault of the **system** (away, overloaded, does not
//! let us in) holds the whole destination back and counts none, so that a system that is away for a weekend gets
//! everything on Monday.
//!
//! Never sends (that is the bridge); never holds names. May import `domain`, `store` and the feed of changes.

mod body;
mod fact;
mod fault;
mod feed;
mod fill;
mod lease;
mod list;
mod manage;
mod money;
mod told;

use domain::{Denied, UtcMillis, codes};
use thiserror::Error as ThisError;

use crate::changes::ChangeKind;

pub use body::{BODY_VERSION, body};
pub use fact::{Fact, FactAppointment, FactDesk, FactParty, FactStaff, FactVisit, facts, facts_of};
pub use fault::{Fault, FaultCode};
pub use feed::feed;
pub use fill::{Filled, fill, register, tidy};
pub use lease::{Claimed, Ended, Settled, TAKE_MAX, claim, has_due, hold_back, renew, settle};
pub use list::{DeliveryLine, DestinationLine, Filter, LIST_MAX, deliveries, destinations, rest_of};
pub use manage::{give_up, pause, resume, retry};
pub use money::{FactCharge, FactPayment};
pub use told::register_told;

/// Longest name of a destination, in bytes.
pub const NAME_MAX_BYTES: usize = 60;

codes! {
    /// Whether a destination is told anything.
    DestinationState {
        /// It is.
        Running = "running",
        /// Somebody paused it; what happens waits.
        Paused = "paused",
    }
}

codes! {
    /// How far a delivery has got.
    DeliveryState {
        /// It waits, or a bridge has it.
        Waiting = "waiting",
        /// The system has it.
        Done = "done",
        /// It failed for good. Somebody must look at it.
        Dead = "dead",
        /// Somebody gave it up.
        GivenUp = "given_up",
    }
}

/// A destination as the configuration says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// Its name: lower-case letters, digits, `-` and `_`, at most [`NAME_MAX_BYTES`].
    pub name: String,
    /// What it speaks: `fhir`, `webhook`, `hl7`. A stable code, for pages.
    pub kind: String,
    /// What it wants to be told; nothing else becomes a delivery.
    pub wants: Vec<ChangeKind>,
    /// Where it begins when it is new.
    pub begin: Begin,
}

codes! {
    /// Where a new destination begins.
    Begin {
        /// With what happens from now on.
        Now = "now",
        /// With everything that the feed of changes still has.
        Everything = "everything",
    }
}

/// Why something about deliveries was not done.
#[derive(Debug, ThisError)]
pub enum OutboxError {
    /// No right.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// A name that cannot be one.
    #[error("the name of a destination has lower-case letters, digits, - and _, at most {NAME_MAX_BYTES} characters")]
    BadName,
    /// A reason is wanted.
    #[error("say why, in at least {} characters", manage::REASON_MIN_CHARS)]
    NoReason,
    /// No such destination, or the delivery is not in a state for it.
    #[error("there is no such destination or delivery, or it is not in a state for that any more; look again")]
    Unknown,
    /// The engine.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Whether a text can be the name of a destination.
pub fn is_name(text: &str) -> bool {
    (1..=NAME_MAX_BYTES).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_'))
}

/// How long the oldest delivery has waited, in milliseconds.
pub fn age_ms(oldest: Option<UtcMillis>, now: UtcMillis) -> i64 {
    oldest.map_or(0, |oldest| now.since_ms(oldest).max(0))
}
