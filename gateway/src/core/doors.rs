//! The doors: what the core does with [`domain::door::Door`]'s outputs, and what readers' inputs mean to a door.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::decide::PointCondition;
use domain::door::{self, Door, DoorKind, DoorSettings, Fact, Input, Order, Output};
use domain::ids::{Direction, PointId, ReaderId};
use domain::policy::PointKind;
use domain::{Draft, Kind, UtcMillis};
use wire::bus::{Action, CommandOutcome, DoorState, DoorStatus, ReaderState};

use super::equipment::Works;
use super::peers::OpenGrant;
use super::{Core, clipped};
use crate::line::ReaderOrder;
use crate::settings::{GatewaySettings, PointSettings};

/// One access point's door and its wiring.
pub(super) struct DoorUnit {
    pub(super) door: Door,
    settings: PointSettings,
    /// The door belongs to a peer, which reports passage or not.
    pub(super) by_peer: Option<bool>,
    /// The peer's question that the grant answers.
    pub(super) ask: Option<u64>,
    /// A person ordered how it stands; its peer is told again when it comes back.
    pub(super) ordered: bool,
    since: UtcMillis,
    shown: DoorState,
    /// Grants decided whose record is not durable yet: the door must not take another meanwhile.
    reserved: u32,
    /// The reader through which it was last released.
    released_by: Option<ReaderId>,
    fire: bool,
    /// A person ordered the emergency and has not ended it.
    emergency_ordered: bool,
    /// Some of its inputs are not known yet.
    unsettled: bool,
}

/// How long a reader's first report of its inputs is awaited before its point does without.
const INPUTS_AWAITED: Duration = Duration::from_secs(10);

impl DoorUnit {
    /// Whether somebody was let in who has neither passed nor turned away yet.
    pub(super) fn is_taking_a_grant(&self) -> bool {
        self.door.condition() == PointCondition::Busy
    }
}

impl Core {
    /// Makes doors of the settings; those whose settings did not change keep their state. Of a door that is wired anew
    /// the grant that was being taken ends, and what was ordered until further notice goes on.
    pub(super) fn put_doors(&mut self) {
        let settings = std::sync::Arc::clone(&self.settings);
        let now = self.now();
        let changed: Vec<PointId> = self
            .doors
            .iter()
            .filter(|(point, unit)| {
                settings.points.get(*point) != Some(&unit.settings) || by_peer(&settings, point) != unit.by_peer
            })
            .map(|(point, _)| point.clone())
            .collect();
        let mut standing: BTreeMap<PointId, (Order, u32)> = BTreeMap::new();
        for point in changed {
            let mut outputs = Vec::new();
            if let Some(unit) = self.doors.get_mut(&point) {
                unit.door.retire(now, &mut outputs);
            }
            self.carry_out(&point, None, outputs);
            let Some(unit) = self.doors.remove(&point) else { continue };
            let order = match unit.door.condition() {
                PointCondition::Locked => Order::Lock,
                PointCondition::FreePassage => Order::FreePassage,
                PointCondition::Emergency => Order::Emergency,
                PointCondition::Ready | PointCondition::Busy | PointCondition::Interlocked => Order::Normal,
            };
            standing.insert(point, (order, unit.reserved));
        }
        for (point, wiring) in &settings.points {
            let kind = match wiring.kind {
                PointKind::Turnstile => DoorKind::Turnstile,
                PointKind::Door => DoorKind::Door,
                PointKind::Barrier => DoorKind::Barrier,
                // Nothing opens at a desk.
                PointKind::Workstation | PointKind::Enrolment => continue,
            };
            if self.doors.contains_key(point) {
                continue;
            }
            let (order, reserved) = standing.remove(point).unwrap_or((Order::Normal, 0));
            let by_peer = by_peer(&settings, point);
            let unit = DoorUnit {
                door: Door::new(DoorSettings {
                    release_ms: millis(wiring.release),
                    held_ms: millis(wiring.held),
                    watched: by_peer.unwrap_or(wiring.contact_input.is_some()),
                    reported: by_peer.is_some(),
                    ..DoorSettings::new(kind)
                }),
                by_peer,
                ask: None,
                ordered: false,
                settings: wiring.clone(),
                since: self.clock.now(),
                shown: DoorState::Locked,
                reserved,
                released_by: None,
                fire: false,
                emergency_ordered: false,
                unsettled: true,
            };
            self.doors.insert(point.clone(), unit);
            if order != Order::Normal {
                self.door_input(point, None, Input::Order(order));
            }
        }
    }

    /// What the door says of itself before a decision.
    pub(super) fn condition(&self, point: &PointId) -> PointCondition {
        let Some(unit) = self.doors.get(point) else { return PointCondition::Ready };
        match unit.door.condition() {
            PointCondition::Ready if unit.reserved > 0 => PointCondition::Busy,
            PointCondition::Ready if self.interlocked(point, unit) => PointCondition::Interlocked,
            condition => condition,
        }
    }

    fn interlocked(&self, point: &PointId, unit: &DoorUnit) -> bool {
        unit.settings.interlock.is_some()
            && self.doors.iter().any(|(other, theirs)| {
                other != point
                    && theirs.settings.interlock == unit.settings.interlock
                    && (theirs.reserved > 0 || theirs.door.holds_interlock())
            })
    }

    pub(super) fn reserve(&mut self, point: &PointId) {
        if let Some(unit) = self.doors.get_mut(point) {
            unit.reserved += 1;
        }
    }

    pub(super) fn release_reservation(&mut self, point: &PointId) {
        if let Some(unit) = self.doors.get_mut(point) {
            unit.reserved = unit.reserved.saturating_sub(1);
        }
    }

    /// Something happens to a door; `reader` is where from.
    pub(super) fn door_input(&mut self, point: &PointId, reader: Option<&ReaderId>, input: Input) {
        let now = self.now();
        let Some(unit) = self.doors.get_mut(point) else { return };
        if matches!(input, Input::Grant(..)) {
            unit.released_by = reader.cloned();
        }
        let mut outputs = Vec::new();
        unit.door.handle(now, input, &mut outputs);
        self.carry_out(point, reader, outputs);
    }

    pub(super) fn tick_doors(&mut self) {
        let now = self.now();
        let due: Vec<PointId> = self
            .doors
            .iter()
            .filter(|(_, unit)| unit.door.deadline().is_some_and(|(at, _)| at <= now))
            .map(|(point, _)| point.clone())
            .collect();
        for point in due {
            let mut outputs = Vec::new();
            if let Some(unit) = self.doors.get_mut(&point) {
                unit.door.tick(now, &mut outputs);
            }
            self.carry_out(&point, None, outputs);
        }
    }

    fn carry_out(&mut self, point: &PointId, reader: Option<&ReaderId>, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::Release(time) => self.drive(point, |number| ReaderOrder::Release(number, time), false),
                Output::Secure => self.drive(point, ReaderOrder::Secure, true),
                Output::HoldOpen => self.drive(point, ReaderOrder::HoldOpen, true),
                Output::Fact(fact) => self.door_fact(point, reader, &fact),
            }
        }
        let at = self.clock.now();
        let Some(unit) = self.doors.get_mut(point) else { return };
        let shown = shown(unit.door.state());
        if shown != unit.shown {
            unit.shown = shown;
            unit.since = at;
            self.changed();
        }
    }

    /// Sends an order to the reader that released the door last, or to one of its readers, or to all of them.
    fn drive(&mut self, point: &PointId, order: impl Fn(u8) -> ReaderOrder, all: bool) {
        let Some(unit) = self.doors.get(point) else { return };
        let (output, chosen) = (unit.settings.output, unit.released_by.clone());
        let mut readers: Vec<ReaderId> = self
            .readers
            .iter()
            .filter(|(_, reader)| reader.place.point.as_ref() == Some(point))
            .map(|(id, _)| id.clone())
            .collect();
        readers.sort();
        if !all {
            let online =
                |id: &ReaderId| self.readers.get(id).is_some_and(|unit| unit.status.state == ReaderState::Online);
            let one = chosen.filter(|id| online(id)).or_else(|| readers.iter().find(|id| online(id)).cloned());
            readers = one.into_iter().collect();
        }
        for reader in readers {
            self.order(&reader, order(output));
        }
    }

    pub(super) fn door_fact(&mut self, point: &PointId, reader: Option<&ReaderId>, fact: &Fact) {
        let released_by = self.doors.get(point).and_then(|unit| unit.released_by.clone());
        let of_grant = matches!(fact.kind, Kind::Passed | Kind::NotTaken);
        let draft = Draft {
            reason: fact.reason,
            point: Some(point.clone()),
            reader: if of_grant { released_by.or_else(|| reader.cloned()) } else { reader.cloned() },
            direction: fact.direction,
            card: fact.holder.card,
            person: fact.holder.person,
            detail: fact.assumed.then(|| "assumed: passage cannot be seen here".to_owned()),
            ..Draft::new(self.clock.now(), fact.kind)
        };
        if fact.kind == Kind::NotTaken && fact.reason == Some(domain::Reason::ReportMissing) {
            let ask = self.doors.get(point).and_then(|unit| unit.ask);
            return self.keep_open_grant(OpenGrant::new(ask, draft));
        }
        self.record(draft);
    }

    /// A reader reported its input contacts.
    pub(super) fn inputs(&mut self, id: &ReaderId, inputs: u32) {
        let Some(reader) = self.readers.get_mut(id) else { return };
        reader.inputs = Some(inputs);
        if let Some(point) = reader.place.point.clone() {
            self.levels(&point, Some(id));
        }
    }

    /// Inputs that could not be told because not all readers of a point had reported: looked at again.
    pub(super) fn look_at_inputs(&mut self) {
        let unsettled: Vec<PointId> =
            self.doors.iter().filter(|(_, unit)| unit.unsettled).map(|(point, _)| point.clone()).collect();
        for point in unsettled {
            self.levels(&point, None);
        }
    }

    /// Tells a door how its inputs are; `reader` is who reported last. The door itself sees what changed.
    fn levels(&mut self, point: &PointId, reader: Option<&ReaderId>) {
        let Some(unit) = self.doors.get_mut(point) else { return };
        if unit.by_peer.is_some() {
            // Its inputs are its peer's.
            unit.unsettled = false;
            return;
        }
        let wiring = unit.settings.clone();
        let [contact, exit, fire] =
            [wiring.contact_input, wiring.exit_input, wiring.fire_input].map(|input| self.level(point, input));
        if let Some(unit) = self.doors.get_mut(point) {
            unit.unsettled = contact.is_none() || exit.is_none() || fire.is_none();
        }
        if let (Some(active), Some(_)) = (contact, wiring.contact_input) {
            self.door_input(point, reader, Input::Contact(active));
        }
        if let (Some(active), Some(_)) = (exit, wiring.exit_input) {
            self.door_input(point, reader, Input::ExitRequest(active));
        }
        if let (Some(active), Some(_)) = (fire, wiring.fire_input) {
            self.fire(point, reader, active);
        }
    }

    /// Whether an input is active at any of the point's readers. `None` while it is not at those that have reported,
    /// and others, which may be the ones it is wired to, were not heard yet.
    fn level(&self, point: &PointId, input: Option<u8>) -> Option<bool> {
        let Some(bit) = input.and_then(|input| 1_u32.checked_shl(u32::from(input))) else { return Some(false) };
        let mut awaited = false;
        for reader in self.readers.values().filter(|reader| reader.place.point.as_ref() == Some(point)) {
            match reader.inputs {
                Some(inputs) if inputs & bit != 0 => return Some(true),
                Some(_) => {}
                None => {
                    let late = reader.status.state == ReaderState::Offline || reader.since.elapsed() > INPUTS_AWAITED;
                    awaited |= reader.works == Works::Wired && !late;
                }
            }
        }
        (!awaited).then_some(false)
    }

    fn fire(&mut self, point: &PointId, reader: Option<&ReaderId>, active: bool) {
        let Some(unit) = self.doors.get_mut(point).filter(|unit| unit.fire != active) else { return };
        unit.fire = active;
        // The end of the fire input does not end what a person ordered.
        let order = match (active, unit.emergency_ordered) {
            (true, _) => Some(Order::Emergency),
            (false, true) => None,
            (false, false) => Some(Order::EmergencyEnd),
        };
        let detail = if active { "fire input" } else { "fire input ended" };
        // The door first: the record must never hold up the way out.
        if let Some(order) = order {
            self.door_input(point, reader, Input::Order(order));
        }
        self.record(Draft {
            point: Some(point.clone()),
            reader: reader.cloned(),
            reason: Some(domain::Reason::Emergency),
            detail: Some(detail.to_owned()),
            ..Draft::new(self.clock.now(), Kind::Alarm)
        });
    }

    /// A reader is connected again: its output must be as the door is. It may have lost its power in an emergency, or
    /// slept through the end of one.
    pub(super) fn bring_into_line(&mut self, id: &ReaderId) {
        let Some(unit) =
            self.readers.get(id).and_then(|reader| reader.place.point.as_ref()).and_then(|point| self.doors.get(point))
        else {
            return;
        };
        let output = unit.settings.output;
        if unit.by_peer.is_some() {
            return self.bring_peer_into_line(id);
        }
        match unit.door.state() {
            door::DoorState::Emergency => self.order(id, ReaderOrder::HoldOpen(output)),
            // Released for a time: the time ends by itself, and free passage repeats it.
            door::DoorState::Released | door::DoorState::Open | door::DoorState::FreePassage => {}
            door::DoorState::Secured | door::DoorState::Locked | door::DoorState::Forced | door::DoorState::Held => {
                self.order(id, ReaderOrder::Secure(output))
            }
        }
    }

    /// Carries out a person's order at one door or all of them, each with its own record.
    pub(super) fn order_doors(&mut self, action: &Action, actor: &str, fact: Draft) -> CommandOutcome {
        let points: Vec<PointId> = match action.point() {
            Some(point) if self.doors.contains_key(point) => vec![point.clone()],
            Some(point) => return CommandOutcome::Refused(clipped(&format!("there is no door at point {point}"))),
            None => self.doors.keys().cloned().collect(),
        };
        for point in points {
            let fire = self.doors.get(&point).is_some_and(|unit| unit.fire);
            let orders: &[Order] = match action {
                Action::Open(_) => &[Order::OpenOnce(Direction::In)],
                Action::Lock(_) => &[Order::Lock],
                // A person does not end an alarm that the fire panel still gives.
                Action::Normal(_) if fire => return CommandOutcome::Refused("the fire input is still active".into()),
                Action::Normal(_) => &[Order::EmergencyEnd, Order::Normal],
                Action::FreePassage(_) => &[Order::FreePassage],
                Action::Emergency(_) => &[Order::Emergency],
                Action::Forgive(_) | Action::Report => &[],
            };
            if let (Action::Open(_), Some(peer)) = (action, self.absent_peer(&point)) {
                return CommandOutcome::Refused(format!("{peer} is not connected"));
            }
            if let (Action::Emergency(_) | Action::Normal(_), Some(unit)) = (action, self.doors.get_mut(&point)) {
                unit.emergency_ordered = matches!(action, Action::Emergency(_));
            }
            self.record(Draft { point: Some(point.clone()), ..fact.clone() });
            for order in orders {
                self.door_input(&point, None, Input::Order(*order));
            }
            if let Some(order) = orders.last() {
                self.order_peer(&point, *order, actor);
            }
        }
        CommandOutcome::Done
    }

    /// Whether there is no such point any more.
    pub(super) fn is_gone(&self, point: &PointId) -> bool {
        !self.settings.points.contains_key(point)
    }

    pub(super) fn door_status(&self, point: &PointId, unit: &DoorUnit) -> DoorStatus {
        let mut readers = self.readers.values().filter(|reader| reader.place.point.as_ref() == Some(point)).peekable();
        let reachable =
            readers.peek().is_some() && readers.any(|reader| matches!(reader.status.state, ReaderState::Online));
        let state = if reachable { unit.shown } else { DoorState::Unreachable };
        DoorStatus { point: point.clone(), state, since: unit.since }
    }
}

/// Whether the door of a point belongs to a peer, and if so, whether that reports passage.
fn by_peer(settings: &GatewaySettings, point: &PointId) -> Option<bool> {
    settings.peer_of(point).map(|peer| peer.reports_passage)
}

fn shown(state: door::DoorState) -> DoorState {
    match state {
        door::DoorState::Secured => DoorState::Locked,
        door::DoorState::Released => DoorState::Released,
        door::DoorState::Open => DoorState::Open,
        door::DoorState::Forced => DoorState::Forced,
        door::DoorState::Held => DoorState::Held,
        door::DoorState::Locked => DoorState::Blocked,
        door::DoorState::FreePassage => DoorState::Free,
        door::DoorState::Emergency => DoorState::Emergency,
    }
}

fn millis(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}
