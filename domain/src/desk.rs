//! Who is bound to a workstation: a state machine of taps, second factors, idleness and orders. Owns the rules and their
//! defaults; keeps nothing, reads no clock and knows no table. May import events, ids,
//! PINs, policy and time.
//!
//! A card is identification; the second factor makes it a sign-in. A specialist confirms once a shift, and while that
//! lasts a tap is enough. That it runs out never cuts an open session: the next tap asks again.
//!
//! Times of taps are those of the reader. Idleness is counted by the clock of whoever keeps the sessions, so that a wrong
//! clock at a reader neither locks a desk at once nor leaves it open.

#[cfg(test)]
mod tests;

use crate::codes;
use crate::event::Reason;
use crate::ids::{CardId, PersonId};
use crate::pin::PinHash;
use crate::policy::{PassState, Policy};
use crate::time::UtcMillis;

/// A tap that is older than this when it is looked at binds nobody, in milliseconds: whoever tapped has gone on.
pub const TAP_AGE_MAX_MS: i64 = 60_000;
/// A reader's clock may run ahead by this, in milliseconds; a tap from further ahead binds nobody.
pub const TAP_AHEAD_MAX_MS: i64 = 2_000;
/// Shortest time for which a second factor counts, in milliseconds: one hour.
pub const FACTOR_MIN_MS: i64 = 3_600_000;
/// Longest time for which a second factor counts, in milliseconds: twelve hours.
pub const FACTOR_MAX_MS: i64 = 12 * 3_600_000;

codes! {
    /// How a binding stands.
    SessionState {
        /// The second factor is wanted; nothing can be used.
        Waiting = "waiting",
        /// The workstation can be used.
        Open = "open",
        /// The specialist stays bound, but nothing can be used before they tap again.
        Locked = "locked",
        /// It is over.
        Ended = "ended",
    }
}

codes! {
    /// What was shown besides the card.
    Factor {
        /// Nothing: a card alone is identification.
        None = "none",
        /// A PIN.
        Pin = "pin",
    }
}

codes! {
    /// What another tap of the one who is bound does, once it is no double reading.
    Again {
        /// Shows who is signed in.
        Show = "show",
        /// Locks the workstation.
        Lock = "lock",
        /// Ends the binding.
        End = "end",
    }
}

codes! {
    /// What becomes of a specialist's other workstation when they tap at this one.
    Elsewhere {
        /// Its binding ends.
        End = "end",
        /// It is locked.
        Lock = "lock",
    }
}

codes! {
    /// Why a binding ended.
    EndWhy {
        /// The specialist ended it.
        ByHand = "by_hand",
        /// The specialist tapped again, where that ends it.
        Retap = "retap",
        /// Another specialist tapped here.
        AnotherSpecialist = "another_specialist",
        /// The specialist tapped at another workstation.
        Elsewhere = "elsewhere",
        /// Nothing was done here for too long.
        Idle = "idle",
        /// The second factor did not come.
        FactorMissing = "factor_missing",
        /// The card was blocked, lost, withdrawn or given to somebody else, or ran out.
        CardNotValid = "card_not_valid",
        /// The specialist no longer works here.
        StaffLeft = "staff_left",
        /// Somebody who manages workstations ended it.
        ByManager = "by_manager",
    }
}

codes! {
    /// Why a workstation was locked.
    LockWhy {
        /// The specialist locked it.
        ByHand = "by_hand",
        /// The specialist tapped again, where that locks it.
        Retap = "retap",
        /// The specialist tapped at another workstation.
        Elsewhere = "elsewhere",
        /// Nothing was done here for a while.
        Idle = "idle",
        /// Somebody who manages workstations locked it.
        ByManager = "by_manager",
    }
}

codes! {
    /// Why a tap at a workstation did nothing.
    Refusal {
        /// The card is not registered. Nothing is begun by it.
        UnknownCard = "unknown_card",
        /// The card was not read well.
        UnreadableCard = "unreadable_card",
        /// The pass is blocked.
        Blocked = "blocked",
        /// The card was reported lost.
        Lost = "lost",
        /// The pass was withdrawn.
        Withdrawn = "withdrawn",
        /// The pass is not valid yet.
        NotYetValid = "not_yet_valid",
        /// The pass has run out.
        Expired = "expired",
        /// An employee's card, but its holder is not among those who work at workstations.
        NotStaff = "not_staff",
        /// Its holder no longer works here.
        StaffLeft = "staff_left",
        /// A patient's card, and no specialist is bound here.
        NoSpecialist = "no_specialist",
        /// A patient's card, and the workstation is locked or waits for a second factor.
        DeskLocked = "desk_locked",
        /// It was read while nobody listened.
        LateTap = "late_tap",
        /// It came to us too late.
        StaleTap = "stale_tap",
        /// The reader's clock is ahead of ours.
        ClockAhead = "clock_ahead",
        /// It happened before what we know already.
        OutOfOrder = "out_of_order",
        /// The reader or its rules refused the card; the event says why.
        RefusedAtReader = "refused_at_reader",
        /// The PIN typed at the reader was wrong.
        PinWrong = "pin_wrong",
        /// Too many wrong PINs.
        PinLocked = "pin_locked",
        /// We could not take it; the log of the program says why.
        OurFault = "our_fault",
    }
}

/// How workstations behave. Times are in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// A second reading of the same card within this time is the same tap.
    pub debounce_ms: i64,
    /// What a later tap of the one who is bound does.
    pub again: Again,
    /// What becomes of the specialist's other workstation.
    pub elsewhere: Elsewhere,
    /// Idle for so long: a warning.
    pub idle_warn_ms: i64,
    /// Idle for so long: locked.
    pub idle_lock_ms: i64,
    /// Idle for so long: ended.
    pub idle_end_ms: i64,
    /// What is wanted besides the card.
    pub factor: Factor,
    /// How long a second factor counts: see [`FACTOR_MIN_MS`] and [`FACTOR_MAX_MS`].
    pub factor_ms: i64,
    /// How long a session waits for its second factor before it ends.
    pub factor_wait_ms: i64,
}

impl Default for Rules {
    /// A double reading within 3 s is one tap, a later one shows who is signed in; the other workstation is locked;
    /// a warning after 4 minutes, locked after 5, ended after 60; a PIN once in 8 hours, waited for for 2 minutes.
    fn default() -> Self {
        Self {
            debounce_ms: 3_000,
            again: Again::Show,
            elsewhere: Elsewhere::Lock,
            idle_warn_ms: 4 * 60_000,
            idle_lock_ms: 5 * 60_000,
            idle_end_ms: 60 * 60_000,
            factor: Factor::Pin,
            factor_ms: 8 * 3_600_000,
            factor_wait_ms: 2 * 60_000,
        }
    }
}

impl Rules {
    /// The first setting that makes no sense, with what it should be; `None` if all do.
    pub fn problem(&self) -> Option<&'static str> {
        if !(0..=60_000).contains(&self.debounce_ms) {
            return Some("the time of a double reading is 0 to 60 seconds");
        }
        if !(0 < self.idle_warn_ms && self.idle_warn_ms <= self.idle_lock_ms && self.idle_lock_ms <= self.idle_end_ms) {
            return Some("idle times rise: warning, lock, end, each more than 0");
        }
        if self.idle_end_ms > 24 * 3_600_000 {
            return Some("an idle workstation is ended within 24 hours");
        }
        if !(FACTOR_MIN_MS..=FACTOR_MAX_MS).contains(&self.factor_ms) {
            return Some("a second factor counts for 1 to 12 hours");
        }
        if !(10_000..=3_600_000).contains(&self.factor_wait_ms) {
            return Some("a second factor is waited for for 10 seconds to one hour");
        }
        None
    }

    /// Until when a second factor counts that was shown at `at`.
    pub const fn factor_until(&self, at: UtcMillis) -> UtcMillis {
        at.plus_ms(self.factor_ms)
    }

    /// Whether somebody whose factor counts until `until` must show it again at `at`.
    pub fn wants_factor(&self, until: Option<UtcMillis>, at: UtcMillis) -> bool {
        self.factor != Factor::None && until.is_none_or(|until| until <= at)
    }
}

/// A binding that has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// Whose.
    pub person: PersonId,
    /// How it stands; never [`SessionState::Ended`].
    pub state: SessionState,
    /// The tap that opened it.
    pub opened: UtcMillis,
    /// The last tap or second factor of its holder.
    pub confirmed: UtcMillis,
    /// When something was last done here, by our own clock.
    pub used: UtcMillis,
}

/// What is known of a workstation when somebody taps there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Here {
    /// Who is bound.
    pub bound: Option<Bound>,
    /// Whose tap ended the last binding, and when. Only where a tap ends one; otherwise `None`.
    pub left: Option<(PersonId, UtcMillis)>,
}

/// A tap of somebody who works at workstations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StaffTap {
    /// Who.
    pub person: PersonId,
    /// When, at the reader.
    pub at: UtcMillis,
    /// Until when their second factor counts; `None` if they have shown none.
    pub factor_until: Option<UtcMillis>,
}

/// One thing to be done at the workstation of the tap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The binding ends. Comes before [`Effect::Open`] of another.
    End(EndWhy),
    /// The tapping one is bound, in this state: open, or waiting for the second factor.
    Open(SessionState),
    /// The one who is bound is here, and is shown so.
    Confirm,
    /// The workstation is locked.
    Lock(LockWhy),
    /// It can be used again.
    Unlock,
    /// The second factor is wanted before it can be used (again).
    WantFactor,
}

/// What a tap comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// A second reading of the same tap: nothing is done and nothing is written.
    Ignored,
    /// It does nothing and is written down.
    Refused(Refusal),
    /// To be done in this order, all in one step. The first is there only when another's binding ends.
    Done(Option<Effect>, Effect),
}

/// What a tap of a specialist does at a workstation.
pub fn staff_tap(rules: &Rules, here: &Here, tap: &StaffTap) -> Answer {
    let wanted = rules.wants_factor(tap.factor_until, tap.at);
    let opens = Effect::Open(if wanted { SessionState::Waiting } else { SessionState::Open });
    let is_double = |since: UtcMillis| tap.at.since_ms(since) < rules.debounce_ms;
    let Some(bound) = here.bound else {
        let double = here.left.is_some_and(|(person, at)| person == tap.person && is_double(at));
        return if double { Answer::Ignored } else { Answer::Done(None, opens) };
    };
    if bound.person != tap.person {
        if tap.at < bound.confirmed {
            return Answer::Refused(Refusal::OutOfOrder);
        }
        return Answer::Done(Some(Effect::End(EndWhy::AnotherSpecialist)), opens);
    }
    if is_double(bound.confirmed) {
        return Answer::Ignored;
    }
    let only = |effect| Answer::Done(None, effect);
    match (bound.state, rules.again) {
        (SessionState::Open, Again::Lock) => only(Effect::Lock(LockWhy::Retap)),
        (SessionState::Open, Again::End) => only(Effect::End(EndWhy::Retap)),
        _ if wanted => only(Effect::WantFactor),
        (SessionState::Open, Again::Show) => only(Effect::Confirm),
        (SessionState::Waiting | SessionState::Locked | SessionState::Ended, _) => only(Effect::Unlock),
    }
}

/// What a tap of a specialist does at another workstation where they are bound.
pub const fn elsewhere(rules: &Rules, state: SessionState) -> Option<Effect> {
    match (rules.elsewhere, state) {
        (_, SessionState::Ended) | (Elsewhere::Lock, SessionState::Locked) => None,
        // Nothing was used there yet: it is over.
        (Elsewhere::End, _) | (Elsewhere::Lock, SessionState::Waiting) => Some(Effect::End(EndWhy::Elsewhere)),
        (Elsewhere::Lock, SessionState::Open) => Some(Effect::Lock(LockWhy::Elsewhere)),
    }
}

/// Whether a patient's tap can be taken: by whom it is then seen.
///
/// # Errors
/// Why not.
pub fn patient_tap(bound: Option<&Bound>, at: UtcMillis) -> Result<PersonId, Refusal> {
    match bound {
        None => Err(Refusal::NoSpecialist),
        Some(bound) => match bound.state {
            SessionState::Ended => Err(Refusal::NoSpecialist),
            SessionState::Waiting | SessionState::Locked => Err(Refusal::DeskLocked),
            SessionState::Open if at < bound.opened => Err(Refusal::OutOfOrder),
            SessionState::Open => Ok(bound.person),
        },
    }
}

/// Whether a tap at `at`, looked at at `now`, may bind somebody.
///
/// # Errors
/// [`Refusal::StaleTap`] and [`Refusal::ClockAhead`].
pub const fn timely(at: UtcMillis, now: UtcMillis) -> Result<(), Refusal> {
    let age = now.since_ms(at);
    if age > TAP_AGE_MAX_MS {
        Err(Refusal::StaleTap)
    } else if age < -TAP_AHEAD_MAX_MS {
        Err(Refusal::ClockAhead)
    } else {
        Ok(())
    }
}

/// Whether a pass works at `at`.
///
/// # Errors
/// Why not.
pub fn pass_works(
    state: PassState,
    valid_from: Option<UtcMillis>,
    valid_until: Option<UtcMillis>,
    at: UtcMillis,
) -> Result<(), Refusal> {
    match state {
        PassState::Blocked => Err(Refusal::Blocked),
        PassState::Lost => Err(Refusal::Lost),
        PassState::Withdrawn => Err(Refusal::Withdrawn),
        PassState::Active if valid_from.is_some_and(|from| at < from) => Err(Refusal::NotYetValid),
        PassState::Active if valid_until.is_some_and(|until| until <= at) => Err(Refusal::Expired),
        PassState::Active => Ok(()),
    }
}

/// Whether a PIN may follow a card at a workstation's reader: the card has one.
pub fn has_pin(policy: &Policy, card: CardId) -> bool {
    policy.pass(card).and_then(|pass| policy.pins(pass)).is_some()
}

/// What a PIN typed after a card at a workstation's reader is, as the gateway records it.
pub fn typed_pin(policy: &Policy, card: CardId, pin: PinHash) -> Reason {
    match policy.pass(card).and_then(|pass| policy.pins(pass)) {
        Some(pins) if pins.duress == Some(pin) => Reason::Duress,
        Some(pins) if pins.pin == Some(pin) => Reason::Allowed,
        Some(_) | None => Reason::PinWrong,
    }
}

/// How long nothing has been done at a workstation, as far as it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Idle {
    /// It is in use, or over.
    No,
    /// A warning is shown; it is locked at this instant.
    Warn(UtcMillis),
    /// It is to be locked.
    Lock,
    /// It is to be ended.
    End(EndWhy),
}

/// The one timer of a workstation. A clock that was set back counts as no time.
pub const fn idle(rules: &Rules, bound: &Bound, now: UtcMillis) -> Idle {
    let idle_ms = now.since_ms(bound.used);
    match bound.state {
        SessionState::Ended => Idle::No,
        SessionState::Waiting if idle_ms >= rules.factor_wait_ms => Idle::End(EndWhy::FactorMissing),
        SessionState::Waiting => Idle::No,
        _ if idle_ms >= rules.idle_end_ms => Idle::End(EndWhy::Idle),
        SessionState::Locked => Idle::No,
        SessionState::Open if idle_ms >= rules.idle_lock_ms => Idle::Lock,
        SessionState::Open if idle_ms >= rules.idle_warn_ms => Idle::Warn(bound.used.plus_ms(rules.idle_lock_ms)),
        SessionState::Open => Idle::No,
    }
}
