//! What peers report as having happened, and what becomes of grants whose end they have not reported yet.
//!
//! A peer has the door: it says how a release ended. A grant that it says nothing about ends at the door after its
//! time, but not in the record: somebody may have gone through while the link was down, and the report then comes
//! later. Only after [`REPORT_WAIT`] with the peer present, or [`REPORT_WAIT_MAX`] at all, it is recorded as not taken
//! for want of a report.

use std::sync::Arc;
use std::time::Duration;

use domain::decide::PointCondition;
use domain::door::{Holder, Input, Order};
use domain::event::AGE_UNKNOWN_MS;
use domain::ids::{LineId, PointId, ReaderId};
use domain::{CardId, Draft, Kind, Reason};
use tokio::time::Instant;
use wire::bus::ReaderState;

use super::equipment::Works;
use super::{Core, clipped};
use crate::line::{Age, BATCH_MAX_REPORTS, Batch, Happened, Passage, PointState, ReaderFact, ReaderOrder, Report};

/// How long a report is waited for while its peer is there.
const REPORT_WAIT: Duration = Duration::from_secs(60);
/// How long at most.
const REPORT_WAIT_MAX: Duration = Duration::from_secs(24 * 3600);
/// Grants without a report that are kept; the oldest ends when one more comes.
const OPEN_GRANTS_MAX: usize = 4096;

/// A grant at a peer whose end was not reported in time.
pub(super) struct OpenGrant {
    ask: Option<u64>,
    /// As it will be recorded if no report comes.
    fact: Draft,
    /// When it was last known that the peer is away.
    waits_from: Instant,
    given_up_at: Instant,
}

impl OpenGrant {
    pub(super) fn new(ask: Option<u64>, fact: Draft) -> Self {
        let now = Instant::now();
        Self { ask, fact, waits_from: now, given_up_at: now + REPORT_WAIT_MAX }
    }

    fn is_of(&self, point: &PointId, ask: Option<u64>, card: Option<CardId>) -> bool {
        self.fact.point.as_ref() == Some(point)
            && match (ask, self.ask) {
                (Some(ask), Some(mine)) => ask == mine,
                _ => card.is_some() && card == self.fact.card,
            }
    }
}

impl Core {
    /// Records what a peer reports, all of it with the mark in one commit.
    pub(super) fn happened(&mut self, line: &LineId, batch: Batch) {
        if !self.lines.contains_key(line) {
            // The peer was taken out of the settings; nobody waits for the answer.
            return;
        }
        debug_assert!(batch.reports.len() <= BATCH_MAX_REPORTS, "a batch fits one append");
        self.gathering = Some(Vec::new());
        for report in batch.reports {
            match report {
                Report::Passage(passage) => self.passage(passage),
                Report::State { reader, state, age } => self.point_state(&reader, state, age),
                Report::Alarm { reader, reason, detail } => {
                    let point = reader.as_ref().and_then(|id| self.readers.get(id)?.place.point.clone());
                    let detail = detail.map(|detail| clipped(&detail));
                    let at = self.clock.now();
                    self.record(Draft { point, reader, reason: Some(reason), detail, ..Draft::new(at, Kind::Alarm) });
                }
            }
        }
        let facts = self.gathering.take().unwrap_or_default();
        self.recorder.report(facts, batch.mark, batch.done);
    }

    fn passage(&mut self, passage: Passage) {
        let Some(reader) = self.readers.get(&passage.reader) else { return };
        let (direction, Some(point)) = (reader.place.direction, reader.place.point.clone()) else { return };
        let card = passage.number.and_then(Result::ok).map(|number| self.keys.card.id(&number));
        let holder = card.and_then(|card| self.policy.as_ref()?.pass(card)).map(|pass| pass.person());
        let late = match passage.age {
            Age::Known(age) if age <= self.settings.stale_after => None,
            Age::Known(age) => Some(u32::try_from(age.as_millis()).unwrap_or(AGE_UNKNOWN_MS)),
            Age::Unknown => Some(AGE_UNKNOWN_MS),
        };
        let base = Draft {
            point: Some(point.clone()),
            reader: Some(passage.reader.clone()),
            direction: Some(direction),
            card,
            person: holder.or(passage.person),
            age_ms: late,
            ..Draft::new(self.clock.now(), Kind::Tap)
        };
        match passage.what {
            Happened::Passed => self.ended(&point, &passage.reader, base, passage.ask, passage.reason, true),
            Happened::NotTaken => self.ended(&point, &passage.reader, base, passage.ask, passage.reason, false),
            // Its own answer, which is on record already.
            Happened::Granted | Happened::Refused if passage.ask.is_some() => {}
            Happened::Granted => self.granted_by_peer(&point, base, passage.reason),
            Happened::Refused => {
                let reason = Some(passage.reason.unwrap_or(Reason::PeerDecision));
                self.record(base.clone());
                self.record(Draft { kind: Kind::Refused, reason, ..base });
            }
            Happened::Forced => self.record(Draft { kind: Kind::Forced, ..base }),
            Happened::Duress => {
                self.record(Draft { kind: Kind::Alarm, reason: Some(Reason::Duress), ..base });
            }
        }
    }

    /// How a release ended: of the grant being taken, of one that waits for its report, or of one unknown here.
    fn ended(
        &mut self,
        point: &PointId,
        reader: &ReaderId,
        base: Draft,
        ask: Option<u64>,
        reason: Option<Reason>,
        passed: bool,
    ) {
        let (direction, late) = (base.direction, base.age_ms.is_some());
        let taking = self.doors.get(point).is_some_and(|unit| {
            let asked = ask.is_some() && unit.ask == ask && unit.is_taking_a_grant();
            asked || base.card.zip(direction).is_some_and(|(card, way)| unit.door.repeats(way, card))
        });
        if taking {
            return self.door_input(point, Some(reader), Input::Outcome(passed));
        }
        let kind = if passed { Kind::Passed } else { Kind::NotTaken };
        if let Some(index) = self.open_grants.iter().position(|grant| grant.is_of(point, ask, base.card)) {
            let granted = self.open_grants.remove(index).fact;
            return self.record(Draft {
                at: base.at,
                kind,
                reason: None,
                age_ms: base.age_ms,
                detail: None,
                ..granted
            });
        }
        let anybody = !late && self.doors.get(point).is_some_and(|unit| unit.door.awaits_anybody());
        if anybody && base.card.is_none() {
            return self.door_input(point, Some(reader), Input::Outcome(passed));
        }
        self.record(Draft { kind, reason: Some(reason.unwrap_or(Reason::PeerDecision)), ..base });
    }

    /// The peer let somebody in by itself.
    fn granted_by_peer(&mut self, point: &PointId, base: Draft, reason: Option<Reason>) {
        let (late, person, direction) = (base.age_ms.is_some(), base.person, base.direction);
        let reason = Some(reason.unwrap_or(Reason::PeerDecision));
        self.record(base.clone());
        self.record(Draft { kind: Kind::Granted, reason, ..base.clone() });
        let reports = self.doors.get(point).and_then(|unit| unit.by_peer).unwrap_or(true);
        if late || self.condition(point) != PointCondition::Ready {
            if !reports {
                let detail = Some("assumed: passage cannot be seen here".to_owned());
                self.record(Draft { kind: Kind::Passed, detail, ..base });
            }
        } else if let Some(direction) = direction {
            if let Some(unit) = self.doors.get_mut(point) {
                unit.ask = None;
            }
            let holder = Holder { card: base.card, person };
            self.door_input(point, base.reader.as_ref(), Input::Grant(direction, holder));
        }
    }

    fn point_state(&mut self, id: &ReaderId, state: PointState, age: Age) {
        let late = !matches!(age, Age::Known(age) if age <= self.settings.stale_after);
        match state {
            // How it was is no news of how it is.
            PointState::Online | PointState::Offline if late => {}
            PointState::Online => {
                // As usual again: its case, too.
                if self.readers.get(id).is_some_and(|reader| reader.status.tamper) {
                    self.reader_fact(id, ReaderFact::Tamper(false), Duration::ZERO);
                }
                self.reader_fact(id, ReaderFact::Online, Duration::ZERO);
            }
            PointState::Offline => self.reader_fact(id, ReaderFact::Offline(Duration::ZERO), Duration::ZERO),
            PointState::Tamper => self.reader_fact(id, ReaderFact::Tamper(true), Duration::ZERO),
            PointState::Fault => {
                let detail = late.then(|| "reported late".to_owned());
                self.reader_fact(id, ReaderFact::Alarm(Reason::DeviceFault, detail), Duration::ZERO);
            }
            PointState::Normal | PointState::FreePassage | PointState::Locked | PointState::Emergency => {
                self.mode_reported(id, state, late);
            }
        }
    }

    /// Somebody changed how a point works at the peer itself.
    fn mode_reported(&mut self, id: &ReaderId, state: PointState, late: bool) {
        let Some(point) = self.readers.get(id).and_then(|reader| reader.place.point.clone()) else { return };
        let (what, orders): (_, &[Order]) = match state {
            PointState::FreePassage => ("free passage", &[Order::FreePassage]),
            PointState::Locked => ("locked", &[Order::Lock]),
            PointState::Emergency => ("emergency", &[Order::Emergency]),
            _ => ("normal", &[Order::EmergencyEnd, Order::Normal]),
        };
        let condition = self.doors.get(&point).map(|unit| unit.door.condition());
        let already = match (state, condition) {
            (PointState::FreePassage, Some(PointCondition::FreePassage))
            | (PointState::Locked, Some(PointCondition::Locked))
            | (PointState::Emergency, Some(PointCondition::Emergency)) => true,
            (PointState::Normal, Some(condition)) => {
                !matches!(condition, PointCondition::FreePassage | PointCondition::Locked | PointCondition::Emergency)
            }
            _ => false,
        };
        if already {
            return;
        }
        if !late {
            for order in orders {
                self.door_input(&point, Some(id), Input::Order(*order));
            }
        }
        let detail = Some(format!("{what}, reported by the controller{}", if late { ", late" } else { "" }));
        let (kind, reason) = match state {
            PointState::Emergency => (Kind::Alarm, Some(Reason::Emergency)),
            _ => (Kind::Command, None),
        };
        let at = self.clock.now();
        self.record(Draft { point: Some(point), reader: Some(id.clone()), reason, detail, ..Draft::new(at, kind) });
    }

    // ---- grants without a report ----

    pub(super) fn keep_open_grant(&mut self, grant: OpenGrant) {
        if self.open_grants.len() >= OPEN_GRANTS_MAX {
            let oldest = self.open_grants.remove(0);
            self.record(oldest.fact);
        }
        self.open_grants.push(grant);
    }

    /// Once a second: those that no report will come for any more.
    pub(super) fn look_at_open_grants(&mut self) {
        let now = Instant::now();
        let mut ended = Vec::new();
        for mut grant in std::mem::take(&mut self.open_grants) {
            let present = grant.fact.point.as_ref().is_some_and(|point| self.present_peer_reader(point).is_some());
            if !present {
                grant.waits_from = now;
            }
            if grant.given_up_at <= now || now.duration_since(grant.waits_from) >= REPORT_WAIT {
                ended.push(grant.fact);
            } else {
                self.open_grants.push(grant);
            }
        }
        for fact in ended {
            self.record(Draft { at: self.clock.now(), ..fact });
        }
    }

    // ---- orders ----

    /// A reader of the point's peer that answers.
    fn present_peer_reader(&self, point: &PointId) -> Option<ReaderId> {
        let of_peer = |unit: &super::ReaderUnit| {
            unit.works == Works::ByPeer
                && unit.place.point.as_ref() == Some(point)
                && unit.status.state == ReaderState::Online
        };
        self.readers.iter().filter(|(_, unit)| of_peer(unit)).map(|(id, _)| id.clone()).min()
    }

    /// The peer of a point, if it has one and that is away.
    pub(super) fn absent_peer(&self, point: &PointId) -> Option<LineId> {
        let peer = self.settings.peer_of(point)?;
        self.present_peer_reader(point).is_none().then(|| peer.id.clone())
    }

    /// Passes a person's order on to the point's peer, if it has one. What stands until further notice is repeated
    /// when an absent peer comes back.
    pub(super) fn order_peer(&mut self, point: &PointId, order: Order, actor: &str) {
        let Some(unit) = self.doors.get_mut(point).filter(|unit| unit.by_peer.is_some()) else { return };
        unit.ordered = !matches!(order, Order::OpenOnce(_));
        if let Some(reader) = self.present_peer_reader(point) {
            self.order(&reader, ReaderOrder::Control { order, actor: token(actor) });
        }
    }

    /// A peer's reader is there again: its door must be as was ordered here. A door that nobody ordered anything about
    /// is left as its peer has it.
    pub(super) fn bring_peer_into_line(&mut self, id: &ReaderId) {
        let Some(point) = self.readers.get(id).and_then(|reader| reader.place.point.clone()) else { return };
        let Some(unit) = self.doors.get(&point).filter(|unit| unit.ordered) else { return };
        let order = match unit.door.condition() {
            PointCondition::Emergency => Order::Emergency,
            PointCondition::FreePassage => Order::FreePassage,
            PointCondition::Locked => Order::Lock,
            PointCondition::Ready | PointCondition::Busy | PointCondition::Interlocked => Order::Normal,
        };
        self.order(id, ReaderOrder::Control { order, actor: "tapward".into() });
    }
}

/// A name as peers take it: at most 64 letters, digits and `._:/-`.
fn token(actor: &str) -> Arc<str> {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._:/-".contains(c) { c } else { '-' };
    let token: String = actor.chars().map(plain).take(64).collect();
    if token.is_empty() { "operator".into() } else { token.into() }
}
