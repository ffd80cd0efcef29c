//! Lines and readers as the core knows them: which there are, how they are doing, what they report and are ordered.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::NaiveDate;
use domain::ids::{LineId, PointId, ReaderId};
use domain::{Draft, Kind, Reason};
use futures_util::FutureExt;
use futures_util::future::join_all;
use tokio::time::Instant;
use wire::bus::{LineStatus, ReaderState, ReaderStatus};

use super::keypad::Keypad;
use super::{Core, clipped};
use crate::line::{self, LineEvent, LineFact, LineOrder, ReaderCounters, ReaderFact, ReaderOrder};
use crate::settings::{Attached, GatewaySettings, Place, Protocol, Security};

/// What a reader can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Works {
    /// Lights, sound, outputs and inputs: OSDP.
    Wired,
    /// Nothing: it prints cards.
    Printing,
    /// Answers and orders, carried out by its peer, which has the door.
    ByPeer,
}

/// One reader: where it belongs and how it is.
pub(super) struct ReaderUnit {
    pub(super) place: Place,
    pub(super) line: LineId,
    pub(super) security_accepted: Option<String>,
    /// The last day (UTC) on which it may work in clear.
    pub(super) accepted_until: Option<NaiveDate>,
    /// That day is over.
    pub(super) acceptance_over: bool,
    pub(super) keyed: bool,
    pub(super) works: Works,
    pub(super) status: ReaderStatus,
    pub(super) offline_for: Option<Instant>,
    pub(super) keypad: Option<Keypad>,
    /// Its input contacts as last reported; kept while it is away.
    pub(super) inputs: Option<u32>,
    /// When it was put into the settings.
    pub(super) since: Instant,
}

impl Core {
    pub(super) fn put_settings(&mut self, settings: Arc<GatewaySettings>) {
        self.settings = settings;
        self.listeners.apply(&self.settings, &self.line_events, &self.peers);
        self.put_doors();
        let wanted: BTreeMap<LineId, Attached> =
            self.settings.attached().map(|attached| (attached.id().clone(), attached)).collect();
        let gone: Vec<LineId> = self
            .lines
            .iter()
            .filter(|(id, (handle, _))| wanted.get(*id) != Some(&handle.settings))
            .map(|(id, _)| id.clone())
            .collect();
        let mut ended = Vec::new();
        for id in gone {
            if let Some((handle, _)) = self.lines.remove(&id) {
                handle.cancel.cancel();
                ended.push(handle.task);
                self.readers.retain(|_, reader| reader.line != id);
            }
        }
        // A port is held by one line at a time: those that end let go first.
        let ended = join_all(ended).map(drop).boxed().shared();
        for (id, line) in wanted {
            if self.lines.contains_key(&id) {
                continue;
            }
            self.add_readers(&line);
            let status = LineStatus {
                id: id.clone(),
                port: line.address(),
                open: false,
                polls_per_1000_s: 0,
                problem: None,
                peer: line.peer_status(),
            };
            let handle = line::start(line, ended.clone(), self.line_events.clone(), Arc::clone(&self.peers));
            self.lines.insert(id, (handle, status));
        }
        self.look_at_inputs();
        self.look_at_acceptances();
        self.changed();
    }

    /// A reader in clear whose acceptance has ended is not believed any more, from that day on, without a restart.
    pub(super) fn look_at_acceptances(&mut self) {
        let Some(today) = self.clock.now().to_chrono().map(|now| now.date_naive()) else { return };
        let mut ended = Vec::new();
        for (id, reader) in &mut self.readers {
            let over = reader.accepted_until.is_some_and(|until| until < today);
            if over && !reader.acceptance_over {
                ended.push((id.clone(), reader.place.point.clone()));
            }
            reader.acceptance_over = over;
            if let (true, ReaderState::Online) = (over, reader.status.state) {
                reader.status.state = ReaderState::Untrusted;
            }
        }
        for (id, point) in ended {
            let detail = Some(format!("reader {id} works in clear and its acceptance has ended"));
            self.alarm(point, Reason::ReaderUntrusted, detail);
            self.changed();
        }
    }

    pub(super) fn add_readers(&mut self, attached: &Attached) {
        let protocol = match attached {
            Attached::Line(line) => Some(&line.protocol),
            Attached::Peer(_) => None,
        };
        let works = match protocol {
            Some(Protocol::Osdp(_)) => Works::Wired,
            Some(Protocol::Ascii(_)) => Works::Printing,
            None => Works::ByPeer,
        };
        for place in attached.places() {
            let osdp = match protocol {
                Some(Protocol::Osdp(readers)) => readers.iter().find(|reader| reader.place == *place),
                Some(Protocol::Ascii(_)) | None => None,
            };
            let accepted = osdp.and_then(|reader| match &reader.security {
                Security::Key(_) => None,
                Security::Insecure { accepted_by, until } => Some(format!("{accepted_by}, {until}")),
            });
            let status = ReaderStatus {
                id: place.reader.clone(),
                line: attached.id().clone(),
                point: place.point.clone(),
                direction: Some(place.direction),
                address: osdp.map_or(0, |reader| reader.address),
                at: match attached {
                    Attached::Line(_) => None,
                    Attached::Peer(peer) => {
                        peer.readers.iter().find(|reader| reader.place == *place).map(|reader| reader.at.clone())
                    }
                },
                state: ReaderState::Unknown,
                secure: false,
                insecure_accepted: accepted.clone(),
                poll_period_us: 0,
                reply_us: 0,
                polls: 0,
                retries: 0,
                timeouts: 0,
                crc_errors: 0,
                alarms: 0,
                silent_ms: 0,
                model: None,
                serial: None,
                firmware: None,
                tamper: false,
            };
            let unit = ReaderUnit {
                place: place.clone(),
                line: attached.id().clone(),
                keyed: osdp.is_some() && accepted.is_none(),
                security_accepted: accepted,
                accepted_until: osdp.and_then(|reader| match &reader.security {
                    Security::Key(_) => None,
                    // A date that cannot be read was not accepted by anybody.
                    Security::Insecure { until, .. } => Some(until.parse().unwrap_or(NaiveDate::MIN)),
                }),
                acceptance_over: false,
                works,
                status,
                offline_for: None,
                keypad: None,
                inputs: None,
                since: Instant::now(),
            };
            self.readers.insert(place.reader.clone(), unit);
        }
    }

    /// A line whose task ended by a fault of ours is started again; the others never noticed.
    pub(super) fn restart_dead_lines(&mut self) {
        let dead: Vec<LineId> =
            self.lines.iter().filter(|(_, (handle, _))| handle.task.is_finished()).map(|(id, _)| id.clone()).collect();
        for id in dead {
            if let Some((handle, status)) = self.lines.remove(&id) {
                tracing::error!(line.id = %id, "the line's task ended unexpectedly and is started again");
                self.alarm(None, Reason::LineLost, Some(format!("line {id}: internal fault, started again")));
                let peers = Arc::clone(&self.peers);
                let handle = line::start(handle.settings, std::future::ready(()), self.line_events.clone(), peers);
                self.lines.insert(id, (handle, status));
            }
        }
    }

    pub(super) fn event(&mut self, event: LineEvent) {
        match event.what {
            LineFact::Opened { complaint } => self.line_opened(&event.line, complaint),
            LineFact::Closed { why } => self.line_closed(&event.line, why),
            LineFact::Reader(reader, fact) => self.reader_fact(&reader, fact, event.at.elapsed()),
            LineFact::Counters(counters) => self.counters(&event.line, counters),
            LineFact::Happened(batch) => self.happened(&event.line, batch),
            LineFact::Peer(peer) => {
                // Shown with the next look, within a second: thousands of peers must not make the board be copied
                // for each of them.
                if let Some((_, status)) = self.lines.get_mut(&event.line) {
                    status.peer = Some(*peer);
                }
            }
            LineFact::Notice { reason, detail } => self.alarm(None, reason, Some(detail)),
        }
    }

    pub(super) fn line_opened(&mut self, line: &LineId, complaint: Option<String>) {
        let Some((_, status)) = self.lines.get_mut(line) else { return };
        let back = status.problem.is_some();
        status.open = true;
        status.problem.clone_from(&complaint);
        if back {
            self.alarm(None, Reason::LineBack, Some(format!("line {line}")));
        }
        if let Some(complaint) = complaint {
            self.alarm(None, Reason::AdapterSlow, Some(format!("line {line}: {complaint}")));
        }
        self.changed();
    }

    pub(super) fn line_closed(&mut self, line: &LineId, why: String) {
        let Some((_, status)) = self.lines.get_mut(line) else { return };
        status.open = false;
        status.problem = Some(why.clone());
        self.alarm(None, Reason::LineLost, Some(format!("line {line}: {why}")));
        self.changed();
    }

    pub(super) fn counters(&mut self, line: &LineId, counters: Vec<(ReaderId, ReaderCounters)>) {
        let mut polls = 0;
        for (id, counters) in counters {
            let Some(reader) = self.readers.get_mut(&id) else { continue };
            let status = &mut reader.status;
            let made = counters.polls.saturating_sub(status.polls);
            polls += made;
            status.poll_period_us = 1_000_000_u64.checked_div(made).unwrap_or(0);
            status.polls = counters.polls;
            status.retries = counters.retries;
            status.timeouts = counters.timeouts;
            status.crc_errors = counters.crc_errors;
            status.reply_us = counters.reply_us;
        }
        if let Some((_, status)) = self.lines.get_mut(line) {
            status.polls_per_1000_s = polls * 1000;
        }
    }

    /// A reader did something; the line noticed it `waited` ago.
    pub(super) fn reader_fact(&mut self, id: &ReaderId, fact: ReaderFact, waited: Duration) {
        let Some(reader) = self.readers.get_mut(id) else { return };
        let at = self.clock.now();
        let draft = |kind, reason, detail: Option<String>| Draft {
            reader: Some(id.clone()),
            point: reader.place.point.clone(),
            direction: Some(reader.place.direction),
            reason,
            detail: detail.map(|detail| clipped(&detail)),
            ..Draft::new(at, kind)
        };
        let status = &mut reader.status;
        match fact {
            ReaderFact::Card { number, age } => return self.card(id, number, age.saturating_add(waited), None),
            ReaderFact::Asked { number, age, ask } => {
                return self.card(id, number, age.saturating_add(waited), Some(ask));
            }
            ReaderFact::Keys(_) if waited > self.settings.stale_after => return,
            ReaderFact::Keys(keys) => return self.keys(id, &keys.0),
            ReaderFact::Inputs(inputs) => return self.inputs(id, inputs),
            ReaderFact::Online => {
                let fact = draft(Kind::Online, None, None);
                status.state = if reader.keyed { ReaderState::Untrusted } else { ReaderState::Online };
                reader.offline_for = None;
                let connected = !reader.keyed;
                self.record(fact);
                if connected {
                    self.bring_into_line(id);
                }
            }
            ReaderFact::Offline(silent) => {
                let fact = draft(Kind::Offline, None, Some(format!("silent for {} ms", silent.as_millis())));
                status.state = ReaderState::Offline;
                status.secure = false;
                reader.offline_for = Some(Instant::now());
                reader.keypad = None;
                self.record(fact);
            }
            ReaderFact::Secure => {
                let fact = draft(Kind::Secure, None, None);
                status.state = ReaderState::Online;
                status.secure = true;
                let by_peer = reader.works == Works::ByPeer;
                self.record(fact);
                // A peer's reader was brought into line when it came online; its security is its connection's.
                if !by_peer {
                    self.bring_into_line(id);
                }
            }
            ReaderFact::Insecure => {
                let fact = draft(
                    Kind::Insecure,
                    None,
                    reader.security_accepted.clone().map(|who| format!("accepted by {who}")),
                );
                self.record(fact);
            }
            ReaderFact::SessionLost => {
                let fact = draft(Kind::Alarm, Some(Reason::SessionLost), None);
                status.secure = false;
                status.state = ReaderState::Untrusted;
                reader.keypad = None;
                self.record(fact);
            }
            ReaderFact::Tamper(open) => {
                let fact = draft(if open { Kind::Tamper } else { Kind::TamperEnd }, None, None);
                status.tamper = open;
                self.record(fact);
            }
            ReaderFact::PowerFault(fault) => {
                let fact = draft(if fault { Kind::PowerFault } else { Kind::PowerGood }, None, None);
                self.record(fact);
            }
            ReaderFact::Identity { model, serial, firmware } => {
                status.model = Some(model);
                status.serial = Some(serial);
                status.firmware = Some(firmware);
            }
            ReaderFact::Alarm(reason, detail) => {
                let fact = draft(Kind::Alarm, Some(reason), detail);
                status.alarms += 1;
                self.record(fact);
            }
        }
        self.changed();
    }

    pub(super) fn alarm(&mut self, point: Option<PointId>, reason: Reason, detail: Option<String>) {
        let at = self.clock.now();
        let detail = detail.map(|detail| clipped(&detail));
        self.record(Draft { point, reason: Some(reason), detail, ..Draft::new(at, Kind::Alarm) });
    }

    pub(super) fn order(&mut self, reader: &ReaderId, what: ReaderOrder) {
        let Some(unit) = self.readers.get(reader) else { return };
        let for_peers = matches!(what, ReaderOrder::Answer { .. } | ReaderOrder::Control { .. });
        let understood = match unit.works {
            Works::Wired => !for_peers,
            Works::Printing => false,
            Works::ByPeer => for_peers,
        };
        if !understood {
            return;
        }
        let (line, point) = (unit.line.clone(), unit.place.point.clone());
        let Some((handle, _)) = self.lines.get(&line) else { return };
        let harmless = matches!(what, ReaderOrder::Show(_));
        if handle.orders.try_send(LineOrder { reader: reader.clone(), what }).is_err() {
            tracing::error!(reader.id = %reader, "the line takes no orders");
            if !harmless {
                self.alarm(
                    point,
                    Reason::Overload,
                    Some(format!("an order to reader {reader} was lost: the line is full")),
                );
            }
        }
    }
}

impl ReaderUnit {
    /// Whether its word may move a door.
    pub(super) const fn is_trusted(&self) -> bool {
        if self.keyed { self.status.secure } else { !self.acceptance_over }
    }

    pub(super) fn status(&self) -> ReaderStatus {
        let silent = self.offline_for.map_or(0, |since| u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX));
        ReaderStatus { silent_ms: silent, ..self.status.clone() }
    }
}
