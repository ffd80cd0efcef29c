//! The decision: may this card pass this point in this direction now.
//!
//! Owns the order of the checks. Changes nothing: the caller records the decision as a fact and applies the fact to
//! [`Presence`] before it decides again. No allocation, no lock, no clock. [`explain`] is the same code with a
//! tracer that writes down each step. May import `policy`, `presence`, `pin` (hashes), `zone`, `schedule`.
//!
//! # Order of the checks
//! What is wrong with the door itself comes first and counts at soft points too, because it is about safety or was
//! ordered by a person:
//! 1. the point is unknown: `no_point`; the presence belongs to another layout: `no_policy`;
//! 2. emergency release: `out` is granted to anybody, `in` is decided as usual; locked by command: `point_locked`;
//!    another door of the interlock: `interlock`; another holder's grant: `point_busy`; free passage: granted to
//!    anybody.
//!
//! Then the pass. At a hard point the first failure refuses; at a soft one it is remembered, and the answer is a
//! grant with that reason:
//! 3. `unknown_card`;
//! 4. `blocked`, `lost`;
//! 5. **whoever is known to be inside and taps to go out may go**: none of the following is asked (life safety; the
//!    pass is answered for when it next comes in);
//! 6. `withdrawn`, `policy_too_old`, `not_yet_valid`, `expired`;
//! 7. the one-time pass: `pass_used`;
//! 8. rules: `denied_by_rule`, `outside_hours`, `no_rule`;
//! 9. area anti-passback (a zone with soft anti-passback only notes it) and timed reuse: `anti_passback`,
//!    `reused_too_soon`;
//! 10. capacity of the zones entered: `zone_full`;
//! 11. PIN, last, so that nobody is asked for one in vain: `pin_locked`, `pin_missing`, `pin_wrong`. A soft point
//!     asks too, and grants without.

use crate::event::Reason;
use crate::ids::{CardId, CategoryId, Direction, PersonId, PointId};
use crate::pin::PinHash;
use crate::policy::{PassKind, Policy};
use crate::presence::Presence;
use crate::time::UtcMillis;

/// What the door says of itself before the decision; see [`crate::door::Door::condition`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum PointCondition {
    /// It can take a grant.
    #[default]
    Ready,
    /// Another holder's grant is being taken.
    Busy,
    /// Another door of its interlock is open or released.
    Interlocked,
    /// Locked by command.
    Locked,
    /// On free passage by command.
    FreePassage,
    /// Opened by the fire input or emergency release.
    Emergency,
}

/// The PIN part of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PinEntry {
    /// None has been entered yet; if one is needed, the answer is [`Verdict::AskPin`].
    #[default]
    NotYet,
    /// None came in time, or the reader has no keypad.
    Missing,
    /// This one, hashed for this card.
    Entered(PinHash),
    /// The card waits after too many wrong ones (see [`crate::pin::Lockout`]).
    Locked,
}

/// A question.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Where.
    pub point: &'a PointId,
    /// Which way the reader leads.
    pub direction: Direction,
    /// Which card.
    pub card: CardId,
    /// When.
    pub now: UtcMillis,
    /// The PIN, if any.
    pub pin: PinEntry,
    /// What the door says of itself.
    pub condition: PointCondition,
    /// The snapshot is older than the configured bound.
    pub policy_too_old: bool,
}

impl<'a> Request<'a> {
    /// A card alone at a door that is ready; fill in the rest by struct update.
    pub fn new(point: &'a PointId, direction: Direction, card: CardId, now: UtcMillis) -> Self {
        Self {
            point,
            direction,
            card,
            now,
            pin: PinEntry::default(),
            condition: PointCondition::default(),
            policy_too_old: false,
        }
    }
}

/// The answer in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Release the point.
    Granted,
    /// Keep it closed.
    Refused,
    /// Ask for the PIN, then decide again.
    AskPin,
}

/// An answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// Granted, refused, or the PIN first.
    pub verdict: Verdict,
    /// Why. With `Granted`: `allowed`, `free_passage`, `emergency`, or what was let pass because the point (or the
    /// zone's anti-passback) is soft.
    pub reason: Reason,
    /// The holder, where the card is known.
    pub person: Option<PersonId>,
    /// Position of the holder's category in the policy.
    pub category: Option<u16>,
    /// What kind of pass it is.
    pub kind: Option<PassKind>,
    /// Granted in spite of `reason`.
    pub soft: bool,
    /// The PIN says that the holder is being forced: grant as if nothing were, and raise a silent alarm.
    pub duress: bool,
}

impl Decision {
    /// Whether the point is to be released.
    pub fn granted(&self) -> bool {
        self.verdict == Verdict::Granted
    }
}

/// One check of the list above.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Check {
    /// The point is known.
    Point,
    /// The door can take a grant.
    Condition,
    /// The card is registered.
    Card,
    /// The pass works.
    State,
    /// Somebody inside goes out.
    Leaving,
    /// The snapshot is fresh enough.
    PolicyAge,
    /// The pass is valid today.
    Validity,
    /// The one-time pass is unused.
    OneTime,
    /// A rule.
    Rule,
    /// Which side the holder is on.
    AntiPassback,
    /// When the pass was last used here.
    Reuse,
    /// Room in the zones entered.
    Capacity,
    /// The PIN.
    Pin,
}

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Good, or not asked of this pass.
    Met,
    /// Not good: this ends the decision at a hard point.
    Failed(Reason),
    /// Not good, but noted only.
    Noted(Reason),
}

/// One step of an explanation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What was looked at.
    pub check: Check,
    /// How it came out.
    pub outcome: Outcome,
    /// Name of the rule that settled it, zone that is full, and the like.
    pub about: Option<String>,
}

/// A decision with its reasons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The same as [`decide`] answers.
    pub decision: Decision,
    /// The holder's category.
    pub category: Option<CategoryId>,
    /// Every check in its order, up to the one that settled it.
    pub steps: Vec<Step>,
}

/// Answers a request.
pub fn decide(policy: &Policy, presence: &Presence, request: &Request<'_>) -> Decision {
    let _ = (policy, presence, request);
    todo!()
}

/// Answers a request and says why.
pub fn explain(policy: &Policy, presence: &Presence, request: &Request<'_>) -> Explanation {
    let _ = (policy, presence, request);
    todo!()
}
