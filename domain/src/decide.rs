//! The decision: may this card pass this point in this direction now.
//!
//! Owns the order of the checks. Changes nothing: the caller records the decision as a fact and applies the fact to
//! [`Presence`] before it decides again. No allocation, no lock, no clock. [`explain`] is the same code with a
//! tracer that writes down each step. May import `policy`, `presence`, `pin` (hashes), `zone`, `schedule`.
//!
//! # Order of the checks
//! What was ordered at the door comes first and counts at soft points too:
//! 1. the point is unknown: `no_point`; the presence belongs to another layout: `no_policy`;
//! 2. emergency release: `out` is granted to anybody, `in` is decided as usual; locked by command: `point_locked`;
//!    free passage: granted to anybody.
//!
//! Then the pass. At a hard point the first failure refuses; at a soft one it is remembered, and the answer is a
//! grant with that reason:
//! 3. `unknown_card`;
//! 4. `blocked`, `lost`;
//! 5. **whoever is known to be inside and taps to go out may go**: none of the following is asked (life safety; the
//!    pass is answered for when it next comes in). A point's `from` is therefore its less protected side;
//! 6. `withdrawn`, `policy_too_old`, `not_yet_valid`, `expired`;
//! 7. the one-time pass: `pass_used`;
//! 8. rules: `denied_by_rule`, `outside_hours`, `no_rule`;
//! 9. what the zones entered ask besides, on the way in only, the outermost zone first, in each the conditions and
//!    then the purpose: `condition_missing`, `no_purpose`;
//! 10. area anti-passback (a zone with soft anti-passback only notes it) and timed reuse: `anti_passback`,
//!    `reused_too_soon`;
//! 11. capacity of the zones entered: `zone_full`;
//! 12. the door, at soft points too: another door of the interlock is open: `interlock`; another holder's grant is
//!     being taken: `point_busy`. So late, so that a pass that is not good is told what is wrong with it;
//! 13. PIN, on the way in only, and last, so that nobody is asked for one in vain: `pin_locked`, `pin_missing`,
//!     `pin_wrong`. A soft point asks too, and grants without.

use crate::event::Reason;
use crate::ids::{CardId, CategoryId, Direction, PersonId, PointId};
use crate::pin::PinHash;
use crate::policy::{Mode, Pass, PassKind, PassState, PointEntry, Policy, RuleOutcome, Unmet, Verify};
use crate::presence::Presence;
use crate::time::UtcMillis;
use crate::zone::{AntiPassback, ZoneNo, ZoneTree};

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
    /// What was ordered at the door.
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
    /// What a zone asks besides: a visit that leads there, a condition.
    Demand,
    /// Which side the holder is on.
    AntiPassback,
    /// When the pass was last used here.
    Reuse,
    /// Room in the zones entered.
    Capacity,
    /// Nobody else's grant and no other door of the interlock is in the way.
    Free,
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
    weigh(policy, presence, request, &mut Silent)
}

/// Answers a request and says why. Allocates; for people, not for doors.
pub fn explain(policy: &Policy, presence: &Presence, request: &Request<'_>) -> Explanation {
    let mut writer = Writer { policy, steps: Vec::new() };
    let decision = weigh(policy, presence, request, &mut writer);
    let category = decision.category.and_then(|no| policy.layout().categories.get(usize::from(no)).cloned());
    Explanation { decision, category, steps: writer.steps }
}

/// Whether a PIN is the card's own or its duress PIN; `None` for an unknown card. For counting tries: a decision's
/// reason may name something that came before the PIN.
pub fn pin_is_right(policy: &Policy, card: CardId, pin: PinHash) -> Option<bool> {
    let pass = policy.pass(card)?;
    Some(policy.pins(pass).is_some_and(|pins| pins.pin == Some(pin) || pins.duress == Some(pin)))
}

/// What a step is about, before anybody wants to read it.
#[derive(Clone, Copy)]
enum About {
    Nothing,
    Rule(u16),
    Zone(ZoneNo),
    Condition(u16),
}

trait Trace {
    fn step(&mut self, check: Check, outcome: Outcome, about: About);
}

/// The tracer of [`decide`]: costs nothing.
struct Silent;

impl Trace for Silent {
    #[inline(always)]
    fn step(&mut self, _: Check, _: Outcome, _: About) {}
}

/// The tracer of [`explain`].
struct Writer<'a> {
    policy: &'a Policy,
    steps: Vec<Step>,
}

impl Trace for Writer<'_> {
    fn step(&mut self, check: Check, outcome: Outcome, about: About) {
        let about = match about {
            About::Nothing => None,
            About::Rule(no) => self.policy.layout().rules.get(usize::from(no)).map(|rule| rule.name.clone()),
            About::Zone(no) => Some(self.policy.zones().id(no).to_string()),
            About::Condition(no) => self.policy.condition(no).map(|id| id.to_string()),
        };
        self.steps.push(Step { check, outcome, about });
    }
}

/// A decision in the making: what is known of the holder, and the first thing that a soft point lets pass.
struct Weighing<'t, T> {
    trace: &'t mut T,
    soft: bool,
    noted: Option<Reason>,
    pass: Option<Pass>,
    duress: bool,
}

/// The decision is made.
type Settled = Result<(), Decision>;

impl<T: Trace> Weighing<'_, T> {
    #[inline]
    fn met(&mut self, check: Check) {
        self.trace.step(check, Outcome::Met, About::Nothing);
    }

    /// A check that is not good: noted at a soft point, the end at a hard one.
    #[inline]
    fn fail(&mut self, check: Check, reason: Reason, about: About) -> Settled {
        if self.soft {
            self.note(check, reason, about);
            return Ok(());
        }
        self.refuse(check, reason, about)
    }

    #[inline]
    fn note(&mut self, check: Check, reason: Reason, about: About) {
        self.trace.step(check, Outcome::Noted(reason), about);
        self.noted = self.noted.or(Some(reason));
    }

    /// A check that counts at soft points too.
    #[inline]
    fn refuse(&mut self, check: Check, reason: Reason, about: About) -> Settled {
        self.trace.step(check, Outcome::Failed(reason), about);
        Err(self.decision(Verdict::Refused, reason))
    }

    #[inline]
    fn check(&mut self, check: Check, failure: Option<Reason>) -> Settled {
        match failure {
            Some(reason) => self.fail(check, reason, About::Nothing),
            None => {
                self.met(check);
                Ok(())
            }
        }
    }

    #[inline]
    fn granted(&self, reason: Reason) -> Decision {
        self.decision(Verdict::Granted, self.noted.unwrap_or(reason))
    }

    #[inline]
    fn decision(&self, verdict: Verdict, reason: Reason) -> Decision {
        Decision {
            verdict,
            reason,
            person: self.pass.map(|pass| pass.person()),
            category: self.pass.map(|pass| pass.category()),
            kind: self.pass.map(|pass| pass.kind()),
            soft: verdict == Verdict::Granted && self.noted.is_some(),
            duress: verdict == Verdict::Granted && self.duress,
        }
    }
}

#[inline]
fn weigh<T: Trace>(policy: &Policy, presence: &Presence, request: &Request<'_>, trace: &mut T) -> Decision {
    let mut weighing = Weighing { trace, soft: false, noted: None, pass: None, duress: false };
    match settle(policy, presence, request, &mut weighing) {
        Ok(()) => weighing.granted(Reason::Allowed),
        Err(decision) => decision,
    }
}

#[inline]
fn settle<T: Trace>(
    policy: &Policy,
    presence: &Presence,
    request: &Request<'_>,
    weighing: &mut Weighing<'_, T>,
) -> Settled {
    let Some(point) = policy.point(request.point) else {
        return weighing.refuse(Check::Point, Reason::NoPoint, About::Nothing);
    };
    if presence.shape() != policy.shape() {
        return weighing.refuse(Check::Point, Reason::NoPolicy, About::Nothing);
    }
    weighing.met(Check::Point);
    weighing.soft = point.mode == Mode::Soft;
    let pass = policy.pass(request.card);
    weighing.pass = pass.copied();
    condition(request, weighing)?;
    match pass {
        None => weighing.fail(Check::Card, Reason::UnknownCard, About::Nothing)?,
        Some(pass) => entitled(policy, presence, pass, point, request, weighing)?,
    }
    free(request, weighing)?;
    match pass {
        Some(pass) if point.verify == Verify::CardPin && request.direction == Direction::In => {
            pin(policy, pass, request, weighing)
        }
        _ => Ok(()),
    }
}

/// Whether the pass is good here and now, the PIN left aside.
#[inline]
fn entitled<T: Trace>(
    policy: &Policy,
    presence: &Presence,
    pass: &Pass,
    point: &PointEntry,
    request: &Request<'_>,
    weighing: &mut Weighing<'_, T>,
) -> Settled {
    weighing.met(Check::Card);
    let (from, to) = point.way(request.direction);
    let whereabouts = presence.whereabouts(pass.person());
    let inside = whereabouts.is_some_and(|(zone, _)| !policy.zones().is_outside(zone));
    let leaving = request.direction == Direction::Out && from != to && inside;
    match pass.state() {
        PassState::Active => weighing.met(Check::State),
        PassState::Blocked => weighing.fail(Check::State, Reason::Blocked, About::Nothing)?,
        PassState::Lost => weighing.fail(Check::State, Reason::Lost, About::Nothing)?,
        PassState::Withdrawn if leaving => {}
        PassState::Withdrawn => weighing.fail(Check::State, Reason::Withdrawn, About::Nothing)?,
    }
    weighing.duress = under_duress(policy, pass, request);
    if leaving {
        weighing.met(Check::Leaving);
        return Ok(());
    }
    weighing.check(Check::PolicyAge, request.policy_too_old.then_some(Reason::PolicyTooOld))?;
    let validity = match (pass.not_yet_valid(request.now), pass.expired(request.now)) {
        (true, _) => Some(Reason::NotYetValid),
        (false, true) => Some(Reason::Expired),
        (false, false) => None,
    };
    weighing.check(Check::Validity, validity)?;
    if pass.one_time() {
        let used = presence.one_time_is_used(policy, pass, point, request.direction);
        weighing.check(Check::OneTime, used.then_some(Reason::PassUsed))?;
    }
    rules(policy, pass, point, request, weighing)?;
    if request.direction == Direction::In {
        demands(policy, pass, point, request, weighing)?;
    }
    if from != to {
        anti_passback(policy, presence, pass, point, request, whereabouts, weighing)?;
        match presence.full_zone(policy, pass.person(), to) {
            Some(zone) => weighing.fail(Check::Capacity, Reason::ZoneFull, About::Zone(zone))?,
            None => weighing.met(Check::Capacity),
        }
    }
    Ok(())
}

/// Whether the door can take a grant now.
#[inline]
fn free<T: Trace>(request: &Request<'_>, weighing: &mut Weighing<'_, T>) -> Settled {
    match request.condition {
        PointCondition::Interlocked => weighing.refuse(Check::Free, Reason::Interlock, About::Nothing),
        PointCondition::Busy => weighing.refuse(Check::Free, Reason::PointBusy, About::Nothing),
        _ => {
            weighing.met(Check::Free);
            Ok(())
        }
    }
}

#[inline]
fn condition<T: Trace>(request: &Request<'_>, weighing: &mut Weighing<'_, T>) -> Settled {
    let reason = match (request.condition, request.direction) {
        (PointCondition::Ready | PointCondition::Busy | PointCondition::Interlocked, _)
        | (PointCondition::Emergency, Direction::In) => {
            weighing.met(Check::Condition);
            return Ok(());
        }
        (PointCondition::Emergency, Direction::Out) => Reason::Emergency,
        (PointCondition::FreePassage, _) => Reason::FreePassage,
        (PointCondition::Locked, _) => return weighing.refuse(Check::Condition, Reason::PointLocked, About::Nothing),
    };
    weighing.met(Check::Condition);
    Err(weighing.granted(reason))
}

#[inline]
fn rules<T: Trace>(
    policy: &Policy,
    pass: &Pass,
    point: &PointEntry,
    request: &Request<'_>,
    weighing: &mut Weighing<'_, T>,
) -> Settled {
    match policy.ask_rules(point.to, pass.category(), pass.kind(), request.direction, request.now) {
        RuleOutcome::Allowed(rule) => {
            weighing.trace.step(Check::Rule, Outcome::Met, rule.map_or(About::Nothing, About::Rule));
            Ok(())
        }
        RuleOutcome::Denied(rule) => weighing.fail(Check::Rule, Reason::DeniedByRule, About::Rule(rule)),
        RuleOutcome::NotNow(rule) => weighing.fail(Check::Rule, Reason::OutsideHours, About::Rule(rule)),
        RuleOutcome::Nothing => weighing.fail(Check::Rule, Reason::NoRule, About::Nothing),
    }
}

/// What the zones entered ask besides the rules.
#[inline]
fn demands<T: Trace>(
    policy: &Policy,
    pass: &Pass,
    point: &PointEntry,
    request: &Request<'_>,
    weighing: &mut Weighing<'_, T>,
) -> Settled {
    let Some(unmet) = policy.unmet(pass, point, request.now) else { return Ok(()) };
    let mut all_met = true;
    for unmet in unmet {
        all_met = false;
        match unmet {
            Unmet::Condition(no) => weighing.fail(Check::Demand, Reason::ConditionMissing, About::Condition(no))?,
            Unmet::Purpose(zone) => weighing.fail(Check::Demand, Reason::NoPurpose, About::Zone(zone))?,
        }
    }
    if all_met {
        weighing.met(Check::Demand);
    }
    Ok(())
}

#[inline]
fn anti_passback<T: Trace>(
    policy: &Policy,
    presence: &Presence,
    pass: &Pass,
    point: &PointEntry,
    request: &Request<'_>,
    whereabouts: Option<(ZoneNo, bool)>,
    weighing: &mut Weighing<'_, T>,
) -> Settled {
    let zones = policy.zones();
    let demand = zones.anti_passback(point.to);
    let forgiven = whereabouts.is_some_and(|(_, forgiven)| forgiven);
    if demand != AntiPassback::None && !forgiven {
        let (from, to) = point.way(request.direction);
        let is_there = |zone: &ZoneNo| is_already_there(zones, *zone, from, to);
        // Where the holder is about to be counts instead of where they were last.
        let mut elsewhere = presence.pending_elsewhere(pass.person(), point).peekable();
        let there = match elsewhere.peek() {
            Some(_) => elsewhere.find(is_there),
            None => whereabouts.map(|(zone, _)| zone).filter(is_there),
        };
        match there {
            Some(zone) if demand == AntiPassback::Soft => {
                weighing.note(Check::AntiPassback, Reason::AntiPassback, About::Zone(zone));
            }
            Some(zone) => weighing.fail(Check::AntiPassback, Reason::AntiPassback, About::Zone(zone))?,
            None => weighing.met(Check::AntiPassback),
        }
    }
    if let Some(reuse_ms) = point.reuse_ms
        && !forgiven
    {
        // A clock that went back makes the last use lie ahead: that is no use "shortly before".
        let since = presence.used_at(pass.card(), point, request.direction).map(|at| request.now.since_ms(at));
        let too_soon = since.is_some_and(|ms| (0..i64::from(reuse_ms)).contains(&ms));
        weighing.check(Check::Reuse, too_soon.then_some(Reason::ReusedTooSoon))?;
    }
    Ok(())
}

/// Whether somebody known to be in `zone` is already on the side that the way `from` → `to` leads to. Between
/// outside and inside only that counts, whatever the room; within the territory a stray location (somebody went
/// through a door on another's tap) is no offence, only being in the very zone (or in one inside it) is.
fn is_already_there(zones: &ZoneTree, zone: ZoneNo, from: ZoneNo, to: ZoneNo) -> bool {
    if zones.is_outside(from) != zones.is_outside(to) {
        return zones.is_outside(zone) == zones.is_outside(to);
    }
    let comes_out_of_a_part = zones.is_within(from, to);
    zones.is_within(zone, to) && !(comes_out_of_a_part && zones.is_within(zone, from))
}

#[inline]
fn under_duress(policy: &Policy, pass: &Pass, request: &Request<'_>) -> bool {
    match request.pin {
        PinEntry::Entered(pin) => policy.pins(pass).is_some_and(|pins| pins.duress == Some(pin)),
        PinEntry::NotYet | PinEntry::Missing | PinEntry::Locked => false,
    }
}

fn pin<T: Trace>(policy: &Policy, pass: &Pass, request: &Request<'_>, weighing: &mut Weighing<'_, T>) -> Settled {
    let failure = match request.pin {
        PinEntry::NotYet => {
            weighing.trace.step(Check::Pin, Outcome::Failed(Reason::PinMissing), About::Nothing);
            return Err(weighing.decision(Verdict::AskPin, Reason::PinMissing));
        }
        PinEntry::Missing => Some(Reason::PinMissing),
        PinEntry::Locked => Some(Reason::PinLocked),
        PinEntry::Entered(pin) => {
            let right = weighing.duress || policy.pins(pass).is_some_and(|pins| pins.pin == Some(pin));
            (!right).then_some(Reason::PinWrong)
        }
    };
    weighing.check(Check::Pin, failure)
}

#[cfg(test)]
mod tests;
