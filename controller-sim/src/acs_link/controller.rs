//! The controller itself: cards to questions, answers to rotors, commands to passes, all of it to events.
//!
//! Owns the points, the memory and the session of the present connection. Sans-IO but for its own file: bytes and time
//! come in, bytes and the next deadline go out. Everything is written down before it is said, and before the rotor
//! moves. Never opens a connection.
//!
//! # Run loop
//! ```text
//! loop {
//!     controller.turn(now)?;
//!     write controller.output(now), then controller.wrote(…);
//!     wait for bytes (controller.heard), room to write, a command, or controller.deadline();
//! }
//! ```

use std::sync::Arc;
use std::time::Duration;

use domain::{PointId, UtcMillis};
use wire::acs_link::message::{
    AccessDecision, AccessRequest, ClockState, CommandResult, CommandStatus, Control, Direction, PassEvent, PassResult,
    PointState, PointStatus, Role, Verdict as Decision,
};
use wire::acs_link::session::{Agreed, Durable, End, Event, Now, Positions, Session, Settings as Terms, Side, Skew};
use wire::acs_link::{Body, Code, Credential, Instant, Msg, Reason, Token, Uuid};

use super::memory::{Memory, MemoryError};
use super::passes::{Found, Verdict};
use super::settings::Settings;
use super::turnstile::{Happening, Mode, Passage, Tap, Turnstile};
use crate::gate::Gate;
use crate::passage::{Action, PassagePoint};
use crate::plant::{Peer, PointKind};
use crate::record::Record;

/// The shortest release that a decision can ask for.
const RELEASE_LEAST: Duration = Duration::from_millis(500);

/// How a controller is doing, for tests and pages.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ControllerState {
    /// The session stands.
    pub up: bool,
    /// Sessions that have stood so far.
    pub sessions: u64,
    /// The last event numbered.
    pub last: u64,
    /// Events up to this are acknowledged.
    pub acked: u64,
    /// Commands up to this are followed.
    pub held: u64,
    /// Passes in the cache.
    pub passes: usize,
    /// What stands at each point.
    pub modes: Vec<(PointId, Mode)>,
    /// Why the last session ended, as the link says it, or in words.
    pub ended: Option<String>,
    /// It connects no more until somebody begins a new epoch: the gateway holds more than it ever sent.
    pub stopped: bool,
}

/// One controller.
pub(super) struct Controller {
    settings: Settings,
    node: Token,
    gateway: Option<String>,
    directions: Vec<Direction>,
    points: Vec<(PointId, Turnstile)>,
    reader_ids: Vec<domain::ReaderId>,
    memory: Memory,
    session: Option<Session>,
    state: ControllerState,
    time_unknown: bool,
    record: Arc<Record>,
    rng: fastrand::Rng,
}

/// Why a controller cannot be set up.
pub(super) fn wrong(what: impl std::fmt::Display) -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::InvalidInput, what.to_string())
}

impl Controller {
    /// Sets a controller up, with what its file holds.
    pub(super) fn open(
        peer: &Peer,
        settings: &Settings,
        kinds: impl Fn(&PointId) -> PointKind,
        record: Arc<Record>,
        mut rng: fastrand::Rng,
    ) -> std::io::Result<Self> {
        let fresh = uuid(&mut rng, UtcMillis(0));
        let capacity = usize::try_from(settings.capacity).unwrap_or(usize::MAX);
        let memory = Memory::open(&settings.file, capacity, fresh).map_err(std::io::Error::other)?;
        let node = Token::new(&settings.node).map_err(|error| wrong(format!("node `{}`: {error}", settings.node)))?;
        let mut points: Vec<(PointId, Turnstile)> = Vec::new();
        for reader in &peer.readers {
            let at = Token::new(&reader.at).map_err(|error| wrong(format!("reader `{}`: {error}", reader.id)))?;
            if points.iter().all(|(id, _)| *id != reader.point) {
                let gate = Gate::new(kinds(&reader.point).gate());
                points.push((reader.point.clone(), Turnstile::new(at, gate)));
            }
        }
        let direction = |way| if way == domain::Direction::In { Direction::In } else { Direction::Out };
        Ok(Self {
            settings: settings.clone(),
            node,
            gateway: settings.tls.as_ref().map(|tls| tls.gateway.clone()),
            directions: peer.readers.iter().map(|reader| direction(reader.direction)).collect(),
            points,
            reader_ids: peer.readers.iter().map(|reader| reader.id.clone()).collect(),
            memory,
            session: None,
            state: ControllerState::default(),
            time_unknown: false,
            record,
            rng,
        })
    }

    // ---- the connection ----

    /// A connection stands.
    pub(super) fn connected(&mut self, side: Side, now: Now) {
        let (terms, positions) = (self.terms(), self.positions());
        let mut rng = self.rng.fork();
        let random = Box::new(move |bytes: &mut [u8]| rng.fill(bytes));
        self.session = Some(match side {
            Side::Connector => Session::connect(terms, positions, now, random),
            Side::Acceptor => Session::accept(terms, now, random),
        });
    }

    /// Who it is, for a session.
    pub(super) fn terms(&self) -> Terms {
        Terms { caps: caps(), ..Terms::new(Role::Acs, self.node.clone(), self.memory.epoch()) }
    }

    /// What it holds, for a session.
    pub(super) fn positions(&self) -> Positions {
        let memory = &self.memory;
        let acked = (memory.acked() > 0).then(|| memory.acked());
        Positions { last: memory.last(), acked, held: memory.peer().map(|epoch| (epoch, memory.held())) }
    }

    /// The connection is gone. Questions under way are decided here.
    pub(super) fn disconnected(&mut self, now: Now, why: &str) -> Result<(), MemoryError> {
        if self.session.take().is_some() && self.state.ended.is_none() {
            self.state.ended = Some(why.to_owned());
        }
        self.state.up = false;
        for place in 0..self.points.len() {
            if let Some((tap, request)) = self.points[place].1.give_up_asking() {
                self.decide(place, &tap, Some(request), now);
                self.memory.commit()?;
            }
        }
        Ok(())
    }

    /// Bytes of the gateway. They must have been followed by [`Controller::turn`] before more are given.
    pub(super) fn heard(&mut self, mut bytes: &[u8], now: Now) -> Result<(), MemoryError> {
        while !bytes.is_empty() {
            let Some(session) = &mut self.session else { return Ok(()) };
            let taken = session.receive(bytes, now);
            bytes = bytes.get(taken..).unwrap_or_default();
            self.turn(now)?;
        }
        Ok(())
    }

    /// Bytes for the gateway.
    pub(super) fn output(&mut self, now: Now) -> &[u8] {
        self.session.as_mut().map_or(&[], |session| session.output(now))
    }

    /// So many of them went.
    pub(super) fn wrote(&mut self, count: usize, now: Now) {
        if let Some(session) = &mut self.session {
            session.wrote(count, now);
        }
    }

    /// Nothing more will be said on this connection.
    pub(super) fn is_over(&self) -> bool {
        self.session.as_ref().is_some_and(Session::is_closed)
    }

    /// Leaves in order.
    pub(super) fn bye(&mut self, now: Now) {
        if let (Some(session), Ok(reason)) = (&mut self.session, Reason::new("shutdown")) {
            session.bye(reason, None, now);
        }
    }

    // ---- its time ----

    /// The clock was never set, or is set.
    pub(super) fn set_time_unknown(&mut self, unknown: bool) {
        self.time_unknown = unknown;
    }

    fn clock(&self) -> ClockState {
        let drifts = |session: &Session| session.skew().is_some_and(|(_, grade)| grade != Skew::Fine);
        match self.time_unknown {
            true => ClockState::Unset,
            false if self.session.as_ref().is_some_and(drifts) => ClockState::Drifting,
            false => ClockState::Synced,
        }
    }

    // ---- one turn ----

    /// Does everything that is due.
    pub(super) fn turn(&mut self, now: Now) -> Result<(), MemoryError> {
        let clock = self.clock();
        if let Some(session) = &mut self.session {
            session.set_clock(clock);
            session.set_queued(u32::try_from(self.memory.queue().len()).unwrap_or(u32::MAX));
            session.tick(now);
        }
        while let Some(event) = self.session.as_mut().and_then(Session::poll_event) {
            self.on_event(event, now)?;
            self.memory.commit()?;
        }
        self.turn_without_link(now)?;
        self.send(now);
        let memory = &self.memory;
        (self.state.last, self.state.acked, self.state.held) = (memory.last(), memory.acked(), memory.held());
        self.state.passes = memory.passes().issued();
        self.state.modes = self.points.iter().map(|(id, point)| (id.clone(), point.mode())).collect();
        Ok(())
    }

    /// Does what is due at the points alone: the link is there and carries nothing.
    pub(super) fn turn_without_link(&mut self, now: Now) -> Result<(), MemoryError> {
        for place in 0..self.points.len() {
            while let Some(happening) = self.points[place].1.next(now.mono, &self.directions) {
                self.on_happening(place, happening, now);
                // Before the rotor moves for anybody.
                self.memory.commit()?;
            }
        }
        Ok(())
    }

    /// When [`Controller::turn`] has something to do.
    pub(super) fn deadline(&self) -> Option<Duration> {
        let session = self.session.as_ref().and_then(Session::deadline).map(|(at, _)| at);
        let points = self.points.iter().filter_map(|(_, point)| point.deadline()).min();
        [session, points].into_iter().flatten().min()
    }

    /// Of the points alone, for while the link is frozen.
    pub(super) fn deadline_of_points(&self) -> Option<Duration> {
        self.points.iter().filter_map(|(_, point)| point.deadline()).min()
    }

    pub(super) const fn state(&self) -> &ControllerState {
        &self.state
    }

    pub(super) const fn memory(&self) -> &Memory {
        &self.memory
    }

    /// The people at a point.
    pub(super) fn people(&mut self, point: &PointId) -> Option<&mut PassagePoint> {
        self.points.iter_mut().find(|(id, _)| id == point).map(|(_, point)| point.people())
    }

    /// Sends what the window takes.
    fn send(&mut self, now: Now) {
        let Some(session) = &mut self.session else { return };
        while let Some(seq) = session.wants() {
            let queue = self.memory.queue();
            let first = queue.front().and_then(|msg| msg.stream_seq).map_or(0, |(_, seq)| seq);
            let place = seq.checked_sub(first).and_then(|place| usize::try_from(place).ok());
            let Some(msg) = place.and_then(|place| queue.get(place)) else { return };
            if let Err(error) = session.send_durable(seq, msg.id, msg.re, msg.body.clone(), now) {
                tracing::error!(node = %self.node, seq, %error, "the simulated controller cannot send an event");
                return;
            }
        }
    }

    // ---- what the gateway says ----

    fn on_event(&mut self, event: Event, now: Now) -> Result<(), MemoryError> {
        match event {
            Event::Hello(hello) => {
                let positions = self.positions();
                let wanted = self.gateway.as_deref().is_none_or(|gateway| gateway == hello.node.as_str());
                if let Some(session) = &mut self.session {
                    match wanted {
                        // The only error is that nobody waits for it.
                        true => session.welcome(positions, now).unwrap_or_default(),
                        false => session.refuse(Code::AuthNodeMismatch, "not the gateway of this controller", now),
                    }
                }
            }
            Event::Up(Agreed { epoch, .. }) => {
                self.memory.meet(epoch);
                self.state.up = true;
                self.state.sessions += 1;
                self.state.ended = None;
            }
            Event::PeerBehind { held, .. } if held < self.memory.acked() => {
                // What it lost is no longer here: what is left goes out under a new epoch.
                tracing::warn!(node = %self.node, "the gateway lost events; the simulated controller begins a new epoch");
                self.begin_epoch(now)?;
                if let (Some(session), Ok(reason)) = (&mut self.session, Reason::new("new-epoch")) {
                    session.bye(reason, None, now);
                }
            }
            Event::Acked { seq } => self.memory.acknowledged(seq),
            Event::Durable(durable) => self.command(&durable, now)?,
            Event::Message(msg) => self.on_message(&msg, now),
            Event::Complaint(failure) => {
                tracing::info!(node = %self.node, code = %failure.code, "the gateway complains about a message");
            }
            Event::Closed(end) => {
                self.state.up = false;
                self.state.stopped |=
                    matches!(end, End::Refused(_) | End::Failed(_)) && end.code() == Some(Code::SeqAhead);
                self.state.ended = Some(words(&end));
            }
            Event::EpochChanged { .. } | Event::PeerBehind { .. } | Event::Heartbeat { .. } | Event::Skew { .. } => {}
        }
        Ok(())
    }

    /// Numbers count anew, from what is not acknowledged yet: after the journals of the two ends no longer fit.
    pub(super) fn begin_epoch(&mut self, now: Now) -> Result<(), MemoryError> {
        let epoch = uuid(&mut self.rng, now.wall);
        self.state.stopped = false;
        self.memory.begin_epoch(epoch)
    }

    fn on_message(&mut self, msg: &Msg, now: Now) {
        let (Body::AccessDecision(decision), Some(request)) = (&msg.body, msg.re) else { return };
        let AccessDecision { decision: verdict, reason, valid_until, .. } = decision;
        let asked_for = u64::try_from(valid_until.to_utc().since_ms(msg.sent_at.to_utc())).unwrap_or(0);
        let most = Duration::from_millis(self.settings.release_ms.into()).max(RELEASE_LEAST);
        let time = Duration::from_millis(asked_for).clamp(RELEASE_LEAST, most);
        let granted = *verdict == Decision::Grant;
        for place in 0..self.points.len() {
            let answered = self.points[place].1.answered(now.mono, request, granted, reason.as_str(), time);
            if let Some(passage) = answered {
                self.tell(place, passage, now);
                return;
            }
        }
        // Too late: it was decided here.
    }

    /// Follows a command: its result is on the disk before it is carried out, so that it happens at most once.
    fn command(&mut self, durable: &Durable, now: Now) -> Result<(), MemoryError> {
        let msg = &*durable.msg;
        let (verdict, control) = match &msg.body {
            Body::Control(control) => (self.judge_control(control, msg, now), Some(control)),
            body => (self.memory.passes().judge(body), None),
        };
        let skewed = self.session.as_ref().and_then(Session::skew).is_some_and(|(_, grade)| grade == Skew::Drifting);
        let verdict = match (&msg.body, verdict.status) {
            (Body::CredentialIssue(_), CommandStatus::Done) if skewed => {
                Verdict { status: CommandStatus::Accepted, code: Some(Code::ClockSkew) }
            }
            _ => verdict,
        };
        self.memory.follow(msg, verdict, now.wall)?;
        let at = Instant::from_utc(now.wall);
        let result = CommandResult { status: verdict.status, code: verdict.code.map(Into::into), at, text: None };
        let body = match control {
            Some(_) => Body::ControlResult(result),
            None => Body::CredentialResult(result),
        };
        self.event(Some(msg.id), body, now);
        self.memory.commit()?;
        if let Some(session) = &mut self.session {
            session.committed(durable.seq, now);
        }
        if let Some(control) = control.filter(|_| verdict == Verdict::DONE) {
            self.obey(control, now);
        }
        Ok(())
    }

    /// Whether an order is still in time, by the gateway's clock as far as it is known, and about points of this
    /// controller.
    fn judge_control(&self, control: &Control, msg: &Msg, now: Now) -> Verdict {
        let skew = self.session.as_ref().and_then(Session::skew).map_or(0, |(ms, _)| ms);
        let gateway_now = match self.time_unknown {
            true => msg.sent_at.to_utc(),
            false => now.wall.plus_ms(-skew),
        };
        if control.expires_at.to_utc() <= gateway_now {
            return Verdict { status: CommandStatus::Expired, code: Some(Code::CommandExpired) };
        }
        let known = |at: &Token| self.points.iter().any(|(_, point)| point.at == *at);
        if control.points.iter().all(known) { Verdict::DONE } else { Verdict::rejected(Code::PointUnknown) }
    }

    fn obey(&mut self, control: &Control, now: Now) {
        for place in 0..self.points.len() {
            let point = &mut self.points[place].1;
            if control.points.contains(&point.at)
                && let Some(mode) = point.obey(now.mono, control.action)
            {
                self.status(place, mode.state(), now);
            }
        }
    }

    // ---- what people do ----

    fn on_happening(&mut self, place: usize, happening: Happening, now: Now) {
        match happening {
            Happening::Tapped(tap) if self.memory.is_full() => {
                tracing::error!(node = %self.node, "the simulated controller's queue is full: it lets nobody in");
                self.points[place].1.ignore(now.mono, &tap);
            }
            Happening::Tapped(tap) => self.tapped(place, tap, now),
            Happening::Unanswered(tap, request) => self.decide(place, &tap, Some(request), now),
            Happening::Passage(passage) => self.tell(place, passage, now),
            Happening::Seen(Action::Answered { tap, reader, card, by, waited }) => {
                if let Some(id) = self.reader_ids.get(reader) {
                    self.record.answered(tap, id, &card, by, waited);
                }
            }
            Happening::Seen(Action::Ended { tap, reader, card, outcome, answered }) => {
                if let Some(id) = self.reader_ids.get(reader) {
                    self.record.ended(tap, id, &card, outcome, answered);
                }
            }
            Happening::Seen(Action::Present { .. } | Action::Contact { .. }) => {}
        }
    }

    /// Asks the gateway if it can be asked.
    fn tapped(&mut self, place: usize, tap: Tap, now: Now) {
        // How the one before went goes out first: until then the point is taken.
        self.send(now);
        let answer_within_ms = self.settings.answer_within_ms;
        let fallback = if self.settings.fallback_grant { Decision::Grant } else { Decision::Deny };
        let question = Credential::of_card(&tap.card).ok().map(|credential| {
            Body::AccessRequest(AccessRequest {
                occurred_at: Instant::from_utc(now.wall),
                answer_within_ms,
                fallback,
                point: self.points[place].1.at.clone(),
                credential,
                direction: tap.direction,
                ext: Vec::new(),
            })
        });
        let session = self.session.as_mut().filter(|_| self.state.up);
        let asked = session.zip(question).and_then(|(session, question)| session.send(None, question, now).ok());
        match asked {
            Some(request) => {
                let until = now.mono + Duration::from_millis(answer_within_ms.into());
                self.points[place].1.ask(tap, request, until);
            }
            None => self.decide(place, &tap, None, now),
        }
    }

    /// Decides by the cache and the fallback.
    fn decide(&mut self, place: usize, tap: &Tap, request: Option<Uuid>, now: Now) {
        let time = Duration::from_millis(self.settings.release_ms.into()).max(RELEASE_LEAST);
        let known_time = (!self.time_unknown).then_some(now.wall);
        let point = &mut self.points[place].1;
        let found: Found = self.memory.passes().find(&tap.card, &point.at, known_time);
        let passage = point.decide(now.mono, tap, request, found, self.settings.fallback_grant, time);
        self.tell(place, passage, now);
    }

    // ---- events ----

    fn tell(&mut self, place: usize, passage: Passage, now: Now) {
        let id = uuid(&mut self.rng, now.wall);
        let Ok(event_id) = Token::new(&id.to_string()) else { return };
        let reason = passage.reason.as_deref().and_then(|reason| Reason::new(reason).ok());
        let body = Body::PassEvent(PassEvent {
            event_id,
            occurred_at: Instant::from_utc(now.wall),
            clock: self.clock(),
            request: passage.request,
            point: self.points[place].1.at.clone(),
            credential: passage.card.as_ref().and_then(|card| Credential::of_card(card).ok()),
            person: passage.person,
            direction: passage.direction,
            result: PassResult { code: passage.code, reason, by: passage.by },
            ext: Vec::new(),
        });
        self.memory.event(id, None, Instant::from_utc(now.wall), body);
    }

    /// Tells how a point is.
    fn status(&mut self, place: usize, state: PointState, now: Now) {
        let point = self.points[place].1.at.clone();
        let occurred_at = Instant::from_utc(now.wall);
        self.event(None, Body::PointStatus(PointStatus { point, state, occurred_at, ext: Vec::new() }), now);
    }

    /// Queues an event of any kind.
    pub(super) fn event(&mut self, re: Option<Uuid>, body: Body, now: Now) {
        let id = uuid(&mut self.rng, now.wall);
        self.memory.event(id, re, Instant::from_utc(now.wall), body);
    }
}

fn caps() -> Vec<Token> {
    ["access-request", "offline-cache", "control"].iter().filter_map(|cap| Token::new(cap).ok()).collect()
}

pub(super) fn uuid(rng: &mut fastrand::Rng, wall: UtcMillis) -> Uuid {
    let mut random = [0; 10];
    rng.fill(&mut random);
    Uuid::v7(wall.0, random)
}

/// An end in a word or two: the link's code where there is one.
fn words(end: &End) -> String {
    match (end, end.code()) {
        (End::Refused(refusal), _) => format!("we refused: {}", refusal.code),
        (End::Failed(failure), _) => failure.code.to_string(),
        (End::Left(bye), _) => format!("bye: {}", bye.reason.as_str()),
        (End::Bye(reason), _) => format!("we left: {}", reason.as_str()),
        (End::Silent(_), _) => "silent".to_owned(),
        (End::Stalled(_), _) => "stalled".to_owned(),
    }
}
