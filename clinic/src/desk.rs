//! Workstations: who is bound to which one, from the tap to the end. Rules are `domain::desk`'s; here they become rows,
//! entries of the audit log and changes, one transaction for each tap.
//!
//! Owns the tables `desk_session`, `desk_factor`, `desk_pin` and `desk_pin_rate`, and the follower `desk` of the events
//! that gateways record. Which person a card is and whether it works is asked of the database at the moment of the tap:
//! a card that was blocked a second ago is refused, whatever the reader said. Several programs may run this at once;
//! whoever has the follower's row takes the next tap. May import `domain`, `store`, the audit log, the feed of changes,
//! `staff` and `visits`.

mod act;
mod patients;
mod pin;
mod read;
mod rows;
pub(crate) mod sessions;
mod tap;
mod tick;
mod work;

use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use domain::desk::Bound;
use domain::{CardId, Clock, Denied, PersonId, PointId, UtcMillis, ZoneId};
use store::{Database, Error};
use thiserror::Error as ThisError;

pub use domain::desk::{Again, Elsewhere, EndWhy, Factor, Idle, LockWhy, Refusal, Rules, SessionState};
pub use pin::{
    DESK_WINDOW_MS, DESK_WRONG_MAX, PIN_BLOCK_MAX_MS, PIN_BLOCK_MS, PIN_WRONG_MAX, PinAnswer, PinState, PinText,
};
pub use tick::Ticked;
pub use work::Worked;

use crate::accounts::PasswordWorkers;

/// Taps and idleness, sessions and PINs of all workstations. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Desk {
    database: Database,
    clock: Clock,
    rules: Rules,
    visit_rules: domain::visit::Rules,
    /// Computes hashes of PINs away from the tasks that answer.
    workers: PasswordWorkers,
    /// What [`Desk::tick`] has seen last: the counter of passes, and when cards were last compared.
    seen: Arc<[AtomicI64; 2]>,
}

/// A binding of a specialist to a workstation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeskSession {
    /// Its id: 128 random bits as 32 hexadecimal digits. No secret.
    pub id: String,
    /// At which workstation.
    pub workstation: PointId,
    /// The zone in which it stood when the binding began.
    pub zone: ZoneId,
    /// The specialist.
    pub person: PersonId,
    /// The card that opened it.
    pub card: Option<CardId>,
    /// How it stands.
    pub state: SessionState,
    /// The second factor that holds in it: shown at its opening, or earlier in the same shift.
    pub factor: Factor,
    /// When the specialist last showed their second factor, here or at another workstation.
    pub factor_at: Option<UtcMillis>,
    /// Until when that counts. That it is over does not cut an open session: the next tap asks again.
    pub factor_until: Option<UtcMillis>,
    /// The tap that opened it.
    pub opened: UtcMillis,
    /// The last tap or PIN of the specialist here.
    pub confirmed: UtcMillis,
    /// When something was last done here.
    pub used: UtcMillis,
    /// When it ended, and why.
    pub ended: Option<(UtcMillis, EndWhy)>,
}

impl DeskSession {
    /// Whether things may be done in it.
    pub fn is_open(&self) -> bool {
        self.state == SessionState::Open
    }

    /// As the rules know it; `None` if it has ended.
    pub fn bound(&self) -> Option<Bound> {
        (self.state != SessionState::Ended).then_some(Bound {
            person: self.person,
            state: self.state,
            opened: self.opened,
            confirmed: self.confirmed,
            used: self.used,
        })
    }

    /// How long nothing has been done here, as far as it matters.
    pub fn idle(&self, rules: &Rules, now: UtcMillis) -> Idle {
        self.bound().map_or(Idle::No, |bound| domain::desk::idle(rules, &bound, now))
    }

    /// Milliseconds for which the second factor still counts; 0 if it does not.
    pub fn factor_remaining_ms(&self, now: UtcMillis) -> i64 {
        self.factor_until.map_or(0, |until| until.since_ms(now).max(0))
    }
}

/// What came of a tap at a workstation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TapOutcome {
    /// A second reading of the same tap: nothing was done.
    Ignored,
    /// Nothing was done, and that is written down. A code of [`Refusal`], or of the refusals of visits.
    Refused(&'static str),
    /// A specialist's tap: this is their binding now. [`SessionState::Waiting`]: the second factor is wanted.
    Staff(Box<DeskSession>),
    /// A patient's tap; the rest is with visits: their code and the visit's or question's id.
    Patient(&'static str, Option<String>),
}

/// Why something at a workstation was not done.
#[derive(Debug, ThisError)]
pub enum DeskError {
    /// No right.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// There is no such binding, or it has ended.
    #[error("there is no such session at a workstation, or it has ended")]
    NoSession,
    /// It is locked, or waits for its second factor.
    #[error("the workstation is locked or waits for the second factor; tap the card")]
    NotOpen,
    /// Not a workstation of the layout.
    #[error("there is no workstation of this name in the layout")]
    NoWorkstation,
    /// Not a staff member.
    #[error("this person is not among the staff, or has ended")]
    NotStaff,
    /// What was typed is not a PIN.
    #[error("a PIN has {} to {} digits", domain::pin::PIN_MIN_DIGITS, domain::pin::PIN_MAX_DIGITS)]
    BadPin,
    /// A PIN that whoever guesses tries first.
    #[error("this PIN is guessed first: no single digit repeated, no row of digits")]
    WeakPin,
    /// Too many hashes are being computed.
    #[error("too many PINs are being checked; try again in {retry_ms} ms")]
    Busy {
        /// When to try again.
        retry_ms: i64,
    },
    /// The operating system.
    #[error("{0}")]
    System(String),
    /// The engine.
    #[error(transparent)]
    Store(#[from] Error),
}

impl Desk {
    /// Workstations of the clinic in `database` by these rules. A setting that makes no sense is replaced by the
    /// default rules as a whole; ask [`Rules::problem`] before.
    pub fn new(database: Database, clock: Clock, rules: Rules) -> Self {
        let rules = if rules.problem().is_none() { rules } else { Rules::default() };
        let seen = Arc::new([AtomicI64::new(-1), AtomicI64::new(i64::MIN)]);
        let visit_rules = domain::visit::Rules::default();
        Self { database, clock, rules, visit_rules, workers: PasswordWorkers::default(), seen }
    }

    /// With what the clinic has decided about visits; without this, the default rules.
    #[must_use]
    pub const fn with_visits(mut self, rules: domain::visit::Rules) -> Self {
        self.visit_rules = rules;
        self
    }

    /// Visits of the same clinic by the same rules.
    pub fn visits(&self) -> crate::visits::Visits {
        crate::visits::Visits::new(self.database.clone(), self.clock.clone(), self.visit_rules)
    }

    /// Work without the card on the same database and clock, for its timer: terms and deadlines stand in the rows.
    pub fn irregular(&self) -> crate::irregular::Irregular {
        let settings = crate::irregular::Settings::default();
        crate::irregular::Irregular::new(self.database.clone(), self.clock.clone(), settings)
    }

    /// The rules in force.
    pub const fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Now, by the clock that idleness is counted by.
    pub fn now(&self) -> UtcMillis {
        self.clock.now()
    }
}
