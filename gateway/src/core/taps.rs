//! From a card at a reader to the answer: deciding, waiting for the record, acting.

use std::time::Duration;

use domain::card::{CardError, CardNumber};
use domain::decide::{self, Decision, PinEntry, PointCondition, Verdict};
use domain::desk;
use domain::door::{Holder, Input};
use domain::ids::{Direction, PointId, ReaderId};
use domain::pin::PinHash;
use domain::policy::PointKind;
use domain::{CardId, Draft, Kind, Reason};
use tokio::time::Instant;

use super::keypad::{Keypad, Typed};
use super::recorder::{Done, stall_alarm};
use super::{Core, clipped};
use crate::line::{Ask, ReaderOrder, Signal};
use crate::settings::OnFault;

/// A tap whose record is on its way to the disk. Nothing is shown at the reader before it is there.
pub(super) struct WaitingTap {
    reader: ReaderId,
    point: Option<PointId>,
    then: Then,
    /// What was decided, as recorded.
    fact: Draft,
    /// The peer's question that it answers.
    ask: Option<Ask>,
    /// When the point follows its declared mode.
    pub(super) until: Instant,
}

/// What to do when the record is durable.
enum Then {
    /// Release the point for the holder.
    Open(Direction, Holder),
    /// Show that it stays closed.
    Refuse,
    /// Show the green light again: the way is open for this holder.
    ShowAgain,
    /// Ask for the PIN of this card.
    AskPin(CardId),
}

impl Core {
    /// A card was read; `ask`: its peer waits for the answer.
    pub(super) fn card(
        &mut self,
        id: &ReaderId,
        number: Result<CardNumber, CardError>,
        age: Duration,
        ask: Option<Ask>,
    ) {
        let Some(reader) = self.readers.get_mut(id) else { return };
        reader.keypad = None;
        let (point, direction) = (reader.place.point.clone(), reader.place.direction);
        let trusted = reader.is_trusted();
        let card = number.as_ref().ok().map(|number| self.keys.card.id(number));
        let tap = Draft {
            point: point.clone(),
            reader: Some(id.clone()),
            direction: Some(direction),
            card,
            person: card.and_then(|card| Some(self.policy.as_ref()?.pass(card)?.person())),
            age_ms: Some(u32::try_from(age.as_millis()).unwrap_or(u32::MAX)).filter(|age| *age > 0),
            ..Draft::new(self.clock.now(), Kind::Tap)
        };
        if age > self.settings.stale_after {
            // Late is not live: it is recorded, and moves nothing. The red light asks whoever stands there to tap again.
            let late = Draft { kind: Kind::LateTap, reason: Some(Reason::StaleRead), ..tap };
            return self.wait(id.clone(), ask, Then::Refuse, vec![late.clone()], late);
        }
        if self.stopping {
            let detail = Some("the gateway was stopping".to_owned());
            return self.record(Draft { kind: Kind::LateTap, detail, ..tap });
        }
        let refuse = |reason| Decision {
            verdict: Verdict::Refused,
            reason,
            person: None,
            category: None,
            kind: None,
            soft: false,
            duress: false,
        };
        let (Some(point), Some(card)) = (point, card) else {
            let reason = if card.is_none() { Reason::UnreadableCard } else { Reason::NoPoint };
            let detail = number.err().map(|error| clipped(&error.to_string()));
            return self.decided(Draft { detail, ..tap }, ask, true, refuse(reason));
        };
        if !trusted {
            return self.decided(tap, ask, true, refuse(Reason::ReaderUntrusted));
        }
        if self.doors.get(&point).is_some_and(|unit| unit.door.repeats(direction, card)) {
            if let (Some(unit), Some(ask)) = (self.doors.get_mut(&point), ask) {
                unit.ask = Some(ask.no);
            }
            return self.wait(id.clone(), ask, Then::ShowAgain, vec![tap.clone()], tap);
        }
        // A peer asks once, and has no keypad for us.
        let pin = if ask.is_some() { PinEntry::Missing } else { PinEntry::NotYet };
        self.ask(tap, ask, point, card, direction, pin, true);
    }

    #[expect(clippy::too_many_arguments, reason = "one question, asked from two places")]
    fn ask(
        &mut self,
        tap: Draft,
        ask: Option<Ask>,
        point: PointId,
        card: CardId,
        direction: Direction,
        pin: PinEntry,
        first: bool,
    ) {
        let now = self.now();
        let pin = if self.lockout.is_locked(card, now) { PinEntry::Locked } else { pin };
        let condition = self.condition(&point);
        let decision = match (&self.policy, &self.presence) {
            (Some(policy), Some(presence)) => {
                let request = decide::Request {
                    pin,
                    condition,
                    policy_too_old: self.policy_too_old(),
                    ..decide::Request::new(&point, direction, card, tap.at)
                };
                decide::decide(policy, presence, &request)
            }
            _ => self.without_policy(condition, direction),
        };
        if let (Verdict::AskPin, Some(reader)) = (decision.verdict, &tap.reader) {
            return self.wait(reader.clone(), ask, Then::AskPin(card), vec![tap.clone()], tap);
        }
        self.decided(tap, ask, first, decision);
    }

    fn without_policy(&self, condition: PointCondition, direction: Direction) -> Decision {
        let open = match condition {
            PointCondition::Emergency => direction == Direction::Out,
            PointCondition::FreePassage => true,
            PointCondition::Ready | PointCondition::Busy | PointCondition::Interlocked | PointCondition::Locked => {
                false
            }
        };
        let reason = match (open, condition) {
            (true, PointCondition::Emergency) => Reason::Emergency,
            (true, _) => Reason::FreePassage,
            (false, _) => Reason::NoPolicy,
        };
        let verdict = if open { Verdict::Granted } else { Verdict::Refused };
        Decision { verdict, reason, person: None, category: None, kind: None, soft: false, duress: false }
    }

    fn policy_too_old(&self) -> bool {
        let (Some(bound), Some(confirmed)) = (self.settings.policy_max_age, self.policy_confirmed) else {
            return false;
        };
        let bound = i64::try_from(bound.as_millis()).unwrap_or(i64::MAX);
        self.clock.now().since_ms(confirmed) > bound
    }

    /// Records a decision and lets it wait for the disk. `with_tap`: the tap itself is not on record yet.
    fn decided(&mut self, tap: Draft, ask: Option<Ask>, with_tap: bool, decision: Decision) {
        let granted = decision.granted();
        let fact = Draft {
            kind: if granted { Kind::Granted } else { Kind::Refused },
            reason: Some(decision.reason),
            person: decision.person.or(tap.person),
            age_ms: None,
            ..tap.clone()
        };
        self.apply(&fact);
        let Some(reader) = tap.reader.clone() else { return };
        let mut facts = Vec::with_capacity(3);
        if with_tap {
            facts.push(Draft { detail: None, ..tap.clone() });
        }
        if decision.duress {
            facts.push(Draft { kind: Kind::Alarm, reason: Some(Reason::Duress), ..fact.clone() });
        }
        facts.push(fact.clone());
        let then = match (granted, &tap.point) {
            (true, Some(point)) => {
                self.reserve(point);
                let holder = Holder { card: tap.card, person: fact.person };
                Then::Open(tap.direction.unwrap_or(Direction::In), holder)
            }
            _ => Then::Refuse,
        };
        self.wait(reader, ask, then, facts, fact);
    }

    fn wait(&mut self, reader: ReaderId, ask: Option<Ask>, then: Then, facts: Vec<Draft>, fact: Draft) {
        let until = Instant::now() + self.settings.journal_stall;
        let number = self.next_tap;
        self.next_tap += 1;
        self.waiting.insert(number, WaitingTap { reader, point: fact.point.clone(), then, fact, ask, until });
        self.recorder.tap(number, facts);
    }

    /// The journal answered.
    pub(super) fn recorded(&mut self, done: &Done) {
        match done {
            Done::TapDurable(number) => {
                if let Some(tap) = self.waiting.remove(number) {
                    self.act(tap);
                }
            }
            Done::TapFailed(number) => {
                if let Some(tap) = self.waiting.remove(number) {
                    self.not_durable(tap, "the journal refused the record");
                }
            }
            Done::Facts => {}
        }
    }

    pub(super) fn expire_taps(&mut self) {
        let now = Instant::now();
        let late: Vec<u64> =
            self.waiting.iter().filter(|(_, tap)| tap.until <= now).map(|(number, _)| *number).collect();
        for number in late {
            if let Some(tap) = self.waiting.remove(&number) {
                self.not_durable(tap, "the journal did not answer in time");
            }
        }
    }

    /// Durable: answer the reader, move the door.
    fn act(&mut self, tap: WaitingTap) {
        let mut signal = match tap.then {
            Then::Open(..) | Then::ShowAgain => Signal::Granted,
            Then::Refuse => Signal::Refused,
            Then::AskPin(_) => Signal::AskPin,
        };
        let reader = tap.reader.clone();
        let (ask, reason) = (tap.ask, tap.fact.reason);
        match (tap.then, &tap.point) {
            (Then::Open(direction, holder), Some(point)) => {
                self.release_reservation(point);
                if self.is_gone(point) {
                    // The point was taken out of the settings meanwhile.
                    signal = Signal::Refused;
                    self.not_taken(tap.fact, None);
                } else if ask.is_some_and(|ask| ask.until <= Instant::now()) {
                    // The peer has decided without us; what it did, it reports.
                    signal = Signal::Refused;
                    self.not_taken(tap.fact, Some(Reason::ReportMissing));
                } else {
                    if let Some(unit) = self.doors.get_mut(point) {
                        unit.ask = ask.map(|ask| ask.no);
                    }
                    if matches!(self.condition(point), PointCondition::Locked | PointCondition::Busy) {
                        // The door ends the grant itself: it was locked between the decision and its record.
                        signal = Signal::Refused;
                    }
                    self.door_input(point, Some(&tap.reader), Input::Grant(direction, holder));
                    self.await_desk_pin(&tap.reader, point, holder.card);
                }
            }
            (Then::AskPin(card), _) => {
                let now = self.now();
                if let Some(reader) = self.readers.get_mut(&tap.reader) {
                    reader.keypad = Some(Keypad::new(card, now));
                }
            }
            _ => {}
        }
        self.show(&reader, ask, signal, reason.unwrap_or(Reason::Allowed));
    }

    /// At a workstation a PIN may follow the card, if the card has one.
    fn await_desk_pin(&mut self, id: &ReaderId, point: &PointId, card: Option<CardId>) {
        let is_desk = self.settings.points.get(point).is_some_and(|point| point.kind == PointKind::Workstation);
        let policy = self.policy.as_ref().filter(|_| is_desk);
        let card = card.filter(|card| policy.is_some_and(|policy| desk::has_pin(policy, *card)));
        let now = self.now();
        if let (Some(card), Some(reader)) = (card, self.readers.get_mut(id)) {
            reader.keypad = Some(Keypad::at_desk(card, now));
        }
    }

    /// Answers at the reader: by its lights, or by its peer.
    fn show(&mut self, reader: &ReaderId, ask: Option<Ask>, signal: Signal, reason: Reason) {
        let Some(ask) = ask else { return self.order(reader, ReaderOrder::Show(signal)) };
        let point = self.readers.get(reader).and_then(|unit| unit.place.point.as_ref());
        let release = point.and_then(|point| self.settings.points.get(point)).map(|point| point.release);
        let granted = signal == Signal::Granted;
        let answer = ReaderOrder::Answer { ask: ask.no, granted, reason, release: release.unwrap_or_default() };
        self.order(reader, answer);
    }

    /// Not durable: the point follows its declared mode.
    fn not_durable(&mut self, tap: WaitingTap, why: &str) {
        let at = self.clock.now();
        if !self.stalled {
            self.stalled = true;
            tracing::error!(%why, "points follow their declared fault mode");
            self.record(Draft { point: tap.point.clone(), ..stall_alarm(at, why.to_owned()) });
        }
        let mode = tap.point.as_ref().and_then(|point| self.settings.points.get(point)).map(|point| point.on_fault);
        if mode == Some(OnFault::Safe) {
            return self.act(tap);
        }
        self.show(&tap.reader, tap.ask, Signal::Refused, Reason::JournalStalled);
        if let (Then::Open(..), Some(point)) = (&tap.then, &tap.point) {
            self.release_reservation(point);
            self.not_taken(tap.fact, Some(Reason::JournalStalled));
        }
    }

    /// Every grant ends once, also one that was never carried out.
    fn not_taken(&mut self, granted: Draft, reason: Option<Reason>) {
        self.record(Draft { at: self.clock.now(), kind: Kind::NotTaken, reason, detail: None, ..granted });
    }

    // ---- PIN ----

    pub(super) fn keys(&mut self, id: &ReaderId, keys: &str) {
        let now = self.now();
        let Some(pad) = self.readers.get_mut(id).and_then(|reader| reader.keypad.as_mut()) else { return };
        let (card, at_desk) = (pad.card, pad.at_desk);
        let entry = match pad.keys(keys, now) {
            Typed::More => return,
            Typed::Pin(pin) => PinEntry::Entered(self.keys.pin.hash(card, &pin)),
            Typed::NoPin => PinEntry::Missing,
        };
        match entry {
            PinEntry::Entered(pin) if at_desk => self.desk_pin(id, card, pin),
            _ => self.pin_entered(id, card, entry),
        }
    }

    /// A PIN after a card at a workstation: told, and shown by the reader. A wrong one may be typed again at once, as
    /// long as the card is not locked.
    fn desk_pin(&mut self, id: &ReaderId, card: CardId, pin: PinHash) {
        let now = self.now();
        let Some(reader) = self.readers.get_mut(id) else { return };
        reader.keypad = None;
        let policy = self.policy.as_ref();
        let person = policy.and_then(|policy| Some(policy.pass(card)?.person()));
        let reason = match policy {
            _ if self.lockout.is_locked(card, now) => Reason::PinLocked,
            Some(policy) => desk::typed_pin(policy, card, pin),
            None => Reason::PinWrong,
        };
        let fact = Draft {
            reason: Some(reason),
            point: reader.place.point.clone(),
            reader: Some(id.clone()),
            direction: Some(reader.place.direction),
            card: Some(card),
            person,
            ..Draft::new(self.clock.now(), Kind::PinEntered)
        };
        if reason == Reason::PinWrong {
            reader.keypad = Some(Keypad::at_desk(card, now));
        }
        if reason != Reason::PinLocked {
            self.count_tries(&fact, card, pin);
        }
        let mut facts = Vec::with_capacity(2);
        if reason == Reason::Duress {
            facts.push(Draft { kind: Kind::Alarm, ..fact.clone() });
        }
        facts.push(fact.clone());
        let is_right = matches!(reason, Reason::Allowed | Reason::Duress);
        self.wait(id.clone(), None, if is_right { Then::ShowAgain } else { Then::Refuse }, facts, fact);
    }

    pub(super) fn expire_pins(&mut self) {
        let now = self.now();
        let late: Vec<(ReaderId, CardId)> = self
            .readers
            .iter()
            .filter_map(|(id, reader)| Some((id.clone(), reader.keypad.as_ref().filter(|pad| pad.until <= now)?.card)))
            .collect();
        for (id, card) in late {
            self.pin_entered(&id, card, PinEntry::Missing);
        }
    }

    fn pin_entered(&mut self, id: &ReaderId, card: CardId, entry: PinEntry) {
        let Some(reader) = self.readers.get_mut(id) else { return };
        if reader.keypad.take().is_some_and(|pad| pad.at_desk) {
            // The card was granted without it.
            return;
        }
        let (Some(point), direction) = (reader.place.point.clone(), reader.place.direction) else { return };
        let tap = Draft {
            point: Some(point.clone()),
            reader: Some(id.clone()),
            direction: Some(direction),
            card: Some(card),
            ..Draft::new(self.clock.now(), Kind::Tap)
        };
        let before = self.lockout.is_locked(card, self.now());
        if let (PinEntry::Entered(pin), false) = (entry, before) {
            self.count_tries(&tap, card, pin);
        }
        self.ask(tap, None, point, card, direction, entry, false);
    }

    /// A wrong PIN counts; a right one clears the count. What else a decision would name does not matter: a soft point
    /// that notes another reason first must not give a stolen card fresh tries.
    fn count_tries(&mut self, tap: &Draft, card: CardId, pin: PinHash) {
        let Some(right) = self.policy.as_ref().and_then(|policy| decide::pin_is_right(policy, card, pin)) else {
            return;
        };
        let now = self.started.elapsed();
        if right {
            return self.lockout.right(card);
        }
        if self.lockout.wrong(card, now) {
            self.record(Draft { kind: Kind::Alarm, reason: Some(Reason::PinLocked), ..tap.clone() });
        }
    }
}
