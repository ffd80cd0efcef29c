//! Telling other systems: one task for each destination takes deliveries, hands each to who speaks that system's
//! language, and says how they ended, many at once.
//!
//! Owns the pace: how many at a time, how long to wait, when a failure is the system's and not the delivery's. Never
//! decides what is told (that is [`clinic::outbox`]) nor how it is said (that is whoever implements [`Deliver`]). May
//! import `clinic` and `domain`.

mod engine;
mod hand;

use std::future::Future;
use std::time::Duration;

use clinic::changes::ChangeKind;
use clinic::outbox::{Begin, Destination, Fault};

pub use clinic::outbox::{Fact, FaultCode};
pub use engine::run;

/// Speaks a system's language.
///
/// A fact may come a second time, after a crash in between: saying it again must do no harm there. Facts of one patient
/// come one after the other; of several patients several come at once, up to [`Settings::at_once`].
pub trait Deliver: Send + Sync + 'static {
    /// Tells one fact; gives up by itself within [`Settings::lease`]. Write it as `async fn deliver(&self, fact: &Fact)
    /// -> Delivered`.
    fn deliver(&self, fact: &Fact) -> impl Future<Output = Delivered> + Send;
}

/// How telling ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivered {
    /// The system has it, or there is nothing to tell.
    Done,
    /// It failed and may go well later. Counts as an attempt; after [`Settings::attempts_max`] it is a dead letter. The
    /// second value is the least wait, where the system named one.
    Retry(Fault, Option<Duration>),
    /// The system as a whole cannot be told anything now: away, overloaded, does not let us in. Counts no attempt and holds
    /// back everything; the delivery is tried again first.
    Away(Fault, Option<Duration>),
    /// It will never go well: a dead letter.
    Dead(Fault),
}

impl Delivered {
    /// [`Delivered::Retry`] without a wait of the system's own.
    pub fn retry(code: FaultCode, detail: &str) -> Self {
        Self::Retry(Fault::new(code, detail), None)
    }

    /// [`Delivered::Away`] without a wait of the system's own.
    pub fn away(code: FaultCode, detail: &str) -> Self {
        Self::Away(Fault::new(code, detail), None)
    }

    /// [`Delivered::Dead`].
    pub fn dead(code: FaultCode, detail: &str) -> Self {
        Self::Dead(Fault::new(code, detail))
    }
}

/// How a destination is told. `Settings::new` is right for nearly everybody.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Its name, kind, and what it wants.
    pub destination: Destination,
    /// The system of `person_alias` in which its names for people stand; normally its name.
    pub system: String,
    /// Facts told at once, of different patients. 8.
    pub at_once: usize,
    /// Facts taken from the database at once. 500.
    pub batch: usize,
    /// Tries before a dead letter. 20: with the waits below, about nine hours.
    pub attempts_max: u32,
    /// The first wait after a failure; it doubles, with a random part. 2 s.
    pub first_wait: Duration,
    /// The longest wait. 1 h for a delivery.
    pub longest_wait: Duration,
    /// The longest wait while the whole system is away. 30 s.
    pub longest_rest: Duration,
    /// For how long a delivery is ours; extended while we live. After a crash others wait for so long. 30 s.
    pub lease: Duration,
    /// How often new changes are looked for. 40 ms.
    pub look_every: Duration,
    /// For how long deliveries that ended stay listed. 30 days.
    pub kept: Duration,
}

impl Settings {
    /// A destination of this name and kind that wants these changes, from now on.
    pub fn new(name: &str, kind: &str, wants: &[ChangeKind]) -> Self {
        let (name, kind, wants) = (name.to_owned(), kind.to_owned(), wants.to_vec());
        Self {
            system: name.clone(),
            destination: Destination { name, kind, wants, begin: Begin::Now },
            at_once: 8,
            batch: 500,
            attempts_max: 20,
            first_wait: Duration::from_secs(2),
            longest_wait: Duration::from_secs(3600),
            longest_rest: Duration::from_secs(30),
            lease: Duration::from_secs(30),
            look_every: Duration::from_millis(40),
            kept: Duration::from_secs(30 * 24 * 3600),
        }
    }
}
