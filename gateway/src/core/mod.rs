//! The decision core: one task that knows the policy, who is where, and what every door is doing.
//!
//! A tap's way: [`LineFact`] → [`Core::card`] → [`domain::decide::decide`] → journal (durable) → door → order to the
//! reader. Nothing between waits for a network or a database. If the journal does not confirm within its bound, the
//! point follows its declared mode.
//!
//! The task owns all of its state; others reach it by [`Input`]. Its inputs are bounded: events by
//! [`crate::line::EVENTS_MAX`], requests by [`REQUESTS_MAX`].

mod doors;
mod keypad;
mod recorder;
mod taps;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use chrono::NaiveDate;
use domain::card::CardKey;
use domain::ids::{LineId, PersonId, PointId, ReaderId};
use domain::pin::{Lockout, LockoutSettings, PinKey};
use domain::policy::Policy;
use domain::presence::Presence;
use domain::{Clock, Draft, Kind, Reason, UtcMillis};
use futures_util::FutureExt;
use futures_util::future::join_all;
use store::journal::Journal;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use wire::bus::{Action, CommandOutcome, DoorStatus, LineStatus, ReaderState, ReaderStatus};

use crate::line::{self, LineEvent, LineFact, LineHandle, LineOrder, ReaderCounters, ReaderFact, ReaderOrder};
use crate::settings::{GatewaySettings, Place, Protocol, Security};
use doors::DoorUnit;
use keypad::Keypad;
use recorder::Recorder;
use taps::WaitingTap;

/// Requests that may wait for the core.
pub const REQUESTS_MAX: usize = 64;
/// Changes of the board within this time are published together.
const BOARD_GAP: Duration = Duration::from_millis(50);
/// A wall clock that moves this much against the monotonic one between two looks has jumped.
const CLOCK_JUMP: Duration = Duration::from_secs(2);

/// At the end: how long grants may take to end (the default release and a little), lines to end, and the journal to
/// take the last facts. Together with what the uplink takes this stays below ten seconds, after which people and
/// service managers kill.
const STOP_GRANTS: Duration = Duration::from_millis(3500);
const STOP_LINES: Duration = Duration::from_millis(2500);
const STOP_JOURNAL: Duration = Duration::from_millis(1500);

/// What the core is asked by the rest of the gateway.
#[derive(Debug)]
pub enum Request {
    /// A new policy is in force from now; the first one comes with who is inside.
    Policy(Arc<Policy>, Option<Box<Presence>>),
    /// The policy in force is confirmed as current.
    PolicyConfirmed(UtcMillis),
    /// An authentic, admitted command of a person.
    Command {
        /// What.
        action: Action,
        /// Who, for the journal.
        actor: String,
        /// Why, in that person's words.
        reason: Option<String>,
        /// What became of it.
        answer: oneshot::Sender<CommandOutcome>,
    },
    /// New settings are in force from now.
    Settings(Arc<GatewaySettings>),
    /// Something to record that is not the core's own.
    Record(Draft),
}

/// How the gateway is, for the status messages.
#[derive(Debug, Clone, Default)]
pub struct Board {
    /// Lines.
    pub lines: Vec<LineStatus>,
    /// Readers.
    pub readers: Vec<ReaderStatus>,
    /// Doors.
    pub doors: Vec<DoorStatus>,
    /// Version of the policy in force.
    pub policy_version: Option<u64>,
    /// When it was last confirmed.
    pub policy_confirmed: Option<UtcMillis>,
    /// Rises with every change that is worth telling at once.
    pub revision: u64,
}

/// Keys of the site that the core needs.
pub struct SiteKeys {
    /// Makes pseudonyms of card numbers.
    pub card: CardKey,
    /// Makes hashes of PINs.
    pub pin: PinKey,
}

struct ReaderUnit {
    place: Place,
    line: LineId,
    security_accepted: Option<String>,
    /// The last day (UTC) on which it may work in clear.
    accepted_until: Option<NaiveDate>,
    /// That day is over.
    acceptance_over: bool,
    keyed: bool,
    osdp: bool,
    status: ReaderStatus,
    offline_for: Option<Instant>,
    keypad: Option<Keypad>,
    /// Its input contacts as last reported; kept while it is away.
    inputs: Option<u32>,
    /// When it was put into the settings.
    since: Instant,
}

/// The core's state.
pub struct Core {
    clock: Clock,
    started: Instant,
    settings: Arc<GatewaySettings>,
    keys: SiteKeys,
    policy: Option<Arc<Policy>>,
    policy_confirmed: Option<UtcMillis>,
    presence: Option<Presence>,
    lockout: Lockout,
    doors: BTreeMap<PointId, DoorUnit>,
    readers: HashMap<ReaderId, ReaderUnit>,
    lines: BTreeMap<LineId, (LineHandle, LineStatus)>,
    line_events: mpsc::Sender<LineEvent>,
    recorder: Recorder,
    waiting: HashMap<u64, WaitingTap>,
    next_tap: u64,
    stalled: bool,
    stopping: bool,
    last_look: (Instant, UtcMillis),
    board: watch::Sender<Board>,
    revision: u64,
    /// When the board must be published because something on it changed.
    board_due: Option<Instant>,
}

impl Core {
    /// A core that knows who is inside; no line is open yet.
    pub fn new(
        settings: Arc<GatewaySettings>,
        keys: SiteKeys,
        journal: Journal,
        policy: Option<(Arc<Policy>, Presence)>,
        clock: Clock,
        line_events: mpsc::Sender<LineEvent>,
    ) -> (Self, watch::Receiver<Board>) {
        let (board, watcher) = watch::channel(Board::default());
        let started = Instant::now();
        let lockout = Lockout::new(LockoutSettings {
            wrong_max: settings.wrong_pins,
            locked_for: settings.pin_lock,
            ..LockoutSettings::default()
        });
        let (policy, presence) = policy.unzip();
        let policy_confirmed = policy.as_ref().map(|policy: &Arc<Policy>| policy.built_at());
        let last_look = (started, clock.now());
        let core = Self {
            clock,
            started,
            settings,
            keys,
            policy,
            policy_confirmed,
            presence,
            lockout,
            doors: BTreeMap::new(),
            readers: HashMap::new(),
            lines: BTreeMap::new(),
            line_events,
            recorder: Recorder::new(journal),
            waiting: HashMap::new(),
            next_tap: 1,
            stalled: false,
            stopping: false,
            last_look,
            board,
            revision: 0,
            board_due: None,
        };
        (core, watcher)
    }

    /// Works until cancelled; then closes the lines and writes everything down.
    pub async fn run(
        mut self,
        mut events: mpsc::Receiver<LineEvent>,
        mut requests: mpsc::Receiver<Request>,
        shutdown: CancellationToken,
    ) {
        self.record(Draft::new(self.clock.now(), Kind::Started));
        let settings = Arc::clone(&self.settings);
        self.put_settings(settings);
        let mut look = tokio::time::interval(Duration::from_secs(1));
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let until = self.deadline();
            let listening = !self.recorder.is_full();
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                done = self.recorder.next() => self.recorded(&done),
                Some(request) = requests.recv() => self.request(request),
                Some(event) = events.recv(), if listening => self.event(event),
                () = sleep_until(until) => {}
                _ = look.tick() => self.look(),
            }
            self.expire();
        }
        self.stop(&mut events).await;
    }

    /// Ends in order. Nothing is decided any more: cards that still come are recorded and move nothing.
    async fn stop(mut self, events: &mut mpsc::Receiver<LineEvent>) {
        self.stopping = true;
        self.let_grants_end(events).await;
        let lines: Vec<LineHandle> = std::mem::take(&mut self.lines).into_values().map(|(handle, _)| handle).collect();
        for handle in &lines {
            handle.cancel.cancel();
        }
        let until = Instant::now() + STOP_LINES;
        for handle in lines {
            // A line may be waiting for room to tell something: take it in, as facts that moved nothing.
            let mut task = handle.task;
            loop {
                tokio::select! {
                    _ = &mut task => break,
                    Some(event) = events.recv() => self.event(event),
                    () = sleep_until(until) => {
                        tracing::warn!(line.id = %handle.settings.id, "the line does not end; it is cut off");
                        task.abort();
                        break;
                    }
                }
            }
        }
        while let Ok(event) = events.try_recv() {
            self.event(event);
        }
        self.record(Draft::new(self.clock.now(), Kind::Stopped));
        if tokio::time::timeout(STOP_JOURNAL, self.recorder.flush()).await.is_err() {
            tracing::error!("the journal does not answer; the last facts may be lost");
        }
    }

    /// Whoever was let in may still go through, and every grant gets its end. A grant that takes longer than
    /// [`STOP_GRANTS`] stays open in the journal, as after a crash: nobody can say then whether its holder passed.
    async fn let_grants_end(&mut self, events: &mut mpsc::Receiver<LineEvent>) {
        let until = Instant::now() + STOP_GRANTS;
        while Instant::now() < until
            && (!self.waiting.is_empty() || self.doors.values().any(DoorUnit::is_taking_a_grant))
        {
            let deadline = self.deadline().min(until);
            let listening = !self.recorder.is_full();
            tokio::select! {
                biased;
                done = self.recorder.next() => self.recorded(&done),
                Some(event) = events.recv(), if listening => self.event(event),
                () = sleep_until(deadline) => {}
            }
            self.expire();
        }
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn record(&mut self, fact: Draft) {
        self.apply(&fact);
        self.recorder.facts(vec![fact]);
    }

    /// Lets the presence see a fact, in the order in which facts are recorded.
    fn apply(&mut self, fact: &Draft) {
        if let (Some(policy), Some(presence)) = (&self.policy, &mut self.presence) {
            presence.apply(policy, fact);
        }
    }

    fn deadline(&self) -> Instant {
        let doors = self.doors.values().filter_map(|unit| unit.door.deadline()).map(|(at, _)| self.started + at);
        let taps = self.waiting.values().map(|tap| tap.until);
        let pins =
            self.readers.values().filter_map(|reader| reader.keypad.as_ref()).map(|pad| self.started + pad.until);
        doors
            .chain(taps)
            .chain(pins)
            .chain(self.board_due)
            .min()
            .unwrap_or_else(|| Instant::now() + Duration::from_secs(1))
    }

    fn expire(&mut self) {
        self.expire_taps();
        self.expire_pins();
        self.tick_doors();
        if self.board_due.is_some_and(|due| due <= Instant::now()) {
            self.publish_board();
        }
    }

    /// Once a second: clock, journal, lines, board.
    fn look(&mut self) {
        let (instant, wall) = (Instant::now(), self.clock.now());
        let steady = i64::try_from(instant.duration_since(self.last_look.0).as_millis()).unwrap_or(i64::MAX);
        let drift = wall.since_ms(self.last_look.1).saturating_sub(steady);
        self.last_look = (instant, wall);
        if drift.unsigned_abs() > CLOCK_JUMP.as_millis() as u64 {
            self.alarm(None, Reason::ClockJumped, Some(format!("by {drift} ms")));
        }
        self.recorder.retry();
        if self.stalled && !self.recorder.failing() && self.recorder.backlog() == 0 {
            self.stalled = false;
            self.record(recorder::stall_alarm(wall, "the journal works again; nothing was lost".into()));
        }
        self.look_at_inputs();
        self.look_at_acceptances();
        self.restart_dead_lines();
        self.publish_board();
    }

    // ---- settings and lines ----

    fn put_settings(&mut self, settings: Arc<GatewaySettings>) {
        self.settings = settings;
        self.put_doors();
        let wanted: BTreeMap<LineId, _> =
            self.settings.lines.iter().map(|line| (line.id.clone(), line.clone())).collect();
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
                port: line.port.to_string(),
                open: false,
                polls_per_1000_s: 0,
                problem: None,
            };
            let handle = line::start(line, ended.clone(), self.line_events.clone());
            self.lines.insert(id, (handle, status));
        }
        self.look_at_inputs();
        self.look_at_acceptances();
        self.changed();
    }

    /// A reader in clear whose acceptance has ended is not believed any more, from that day on, without a restart.
    fn look_at_acceptances(&mut self) {
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

    fn add_readers(&mut self, line: &crate::settings::LineSettings) {
        for place in line.places() {
            let osdp = match &line.protocol {
                Protocol::Osdp(readers) => readers.iter().find(|reader| reader.place == *place),
                Protocol::Ascii(_) => None,
            };
            let accepted = osdp.and_then(|reader| match &reader.security {
                Security::Key(_) => None,
                Security::Insecure { accepted_by, until } => Some(format!("{accepted_by}, {until}")),
            });
            let status = ReaderStatus {
                id: place.reader.clone(),
                line: line.id.clone(),
                point: place.point.clone(),
                direction: Some(place.direction),
                address: osdp.map_or(0, |reader| reader.address),
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
                line: line.id.clone(),
                keyed: osdp.is_some() && accepted.is_none(),
                security_accepted: accepted,
                accepted_until: osdp.and_then(|reader| match &reader.security {
                    Security::Key(_) => None,
                    // A date that cannot be read was not accepted by anybody.
                    Security::Insecure { until, .. } => Some(until.parse().unwrap_or(NaiveDate::MIN)),
                }),
                acceptance_over: false,
                osdp: osdp.is_some(),
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
    fn restart_dead_lines(&mut self) {
        let dead: Vec<LineId> =
            self.lines.iter().filter(|(_, (handle, _))| handle.task.is_finished()).map(|(id, _)| id.clone()).collect();
        for id in dead {
            if let Some((handle, status)) = self.lines.remove(&id) {
                tracing::error!(line.id = %id, "the line's task ended unexpectedly and is started again");
                self.alarm(None, Reason::LineLost, Some(format!("line {id}: internal fault, started again")));
                let handle = line::start(handle.settings, std::future::ready(()), self.line_events.clone());
                self.lines.insert(id, (handle, status));
            }
        }
    }

    // ---- events ----

    fn event(&mut self, event: LineEvent) {
        match event.what {
            LineFact::Opened { complaint } => self.line_opened(&event.line, complaint),
            LineFact::Closed { why } => self.line_closed(&event.line, why),
            LineFact::Reader(reader, fact) => self.reader_fact(&reader, fact, event.at.elapsed()),
            LineFact::Counters(counters) => self.counters(&event.line, counters),
        }
    }

    fn line_opened(&mut self, line: &LineId, complaint: Option<String>) {
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

    fn line_closed(&mut self, line: &LineId, why: String) {
        let Some((_, status)) = self.lines.get_mut(line) else { return };
        status.open = false;
        status.problem = Some(why.clone());
        self.alarm(None, Reason::LineLost, Some(format!("line {line}: {why}")));
        self.changed();
    }

    fn counters(&mut self, line: &LineId, counters: Vec<(ReaderId, ReaderCounters)>) {
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
    fn reader_fact(&mut self, id: &ReaderId, fact: ReaderFact, waited: Duration) {
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
            ReaderFact::Card { number, age } => return self.card(id, number, age.saturating_add(waited)),
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
                self.record(fact);
                self.bring_into_line(id);
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

    fn alarm(&mut self, point: Option<PointId>, reason: Reason, detail: Option<String>) {
        let at = self.clock.now();
        let detail = detail.map(|detail| clipped(&detail));
        self.record(Draft { point, reason: Some(reason), detail, ..Draft::new(at, Kind::Alarm) });
    }

    fn order(&mut self, reader: &ReaderId, what: ReaderOrder) {
        let Some(unit) = self.readers.get(reader).filter(|unit| unit.osdp) else { return };
        let (line, point) = (unit.line.clone(), unit.place.point.clone());
        let Some((handle, _)) = self.lines.get(&line) else { return };
        if handle.orders.try_send(LineOrder { reader: reader.clone(), what }).is_err() {
            tracing::error!(reader.id = %reader, "the line takes no orders");
            if !matches!(what, ReaderOrder::Show(_)) {
                self.alarm(
                    point,
                    Reason::Overload,
                    Some(format!("an order to reader {reader} was lost: the line is full")),
                );
            }
        }
    }

    // ---- requests ----

    fn request(&mut self, request: Request) {
        match request {
            Request::Policy(policy, presence) => self.put_policy(policy, presence),
            Request::PolicyConfirmed(at) => self.policy_confirmed = self.policy_confirmed.max(Some(at)),
            Request::Command { action, actor, reason, answer } => {
                let outcome = self.command(&action, &actor, reason.as_deref());
                // Whoever asked may have gone; the journal has the record.
                let _ = answer.send(outcome);
            }
            Request::Settings(settings) => {
                self.put_settings(settings);
                self.record(Draft::new(self.clock.now(), Kind::SettingsChanged));
            }
            Request::Record(fact) => self.record(fact),
        }
    }

    fn put_policy(&mut self, policy: Arc<Policy>, rebuilt: Option<Box<Presence>>) {
        match (&mut self.presence, rebuilt) {
            (Some(presence), _) => presence.adopt(&policy),
            (None, Some(rebuilt)) => self.presence = Some(*rebuilt),
            (None, None) => self.presence = Some(Presence::new(&policy)),
        }
        let detail = format!("version {}, {} passes", policy.version(), policy.credentials());
        self.policy = Some(policy);
        self.policy_confirmed = Some(self.clock.now());
        let at = self.clock.now();
        self.record(Draft { detail: Some(detail), ..Draft::new(at, Kind::PolicyChanged) });
        self.changed();
    }

    fn command(&mut self, action: &Action, actor: &str, reason: Option<&str>) -> CommandOutcome {
        let mut detail = format!("{} by {actor}", action.as_str());
        if let Some(reason) = reason {
            detail = format!("{detail}: {reason}");
        }
        let fact = Draft {
            point: action.point().cloned(),
            person: action.person(),
            detail: Some(clipped(&detail)),
            ..Draft::new(self.clock.now(), Kind::Command)
        };
        let outcome = match action {
            Action::Forgive(person) => self.forgive(*person),
            Action::Report => CommandOutcome::Done,
            Action::Open(_) | Action::Lock(_) | Action::Normal(_) | Action::FreePassage(_) | Action::Emergency(_) => {
                self.order_doors(action, fact.clone())
            }
        };
        match &outcome {
            CommandOutcome::Done if action.point().is_none() => self.record(fact),
            CommandOutcome::Done => {}
            CommandOutcome::Refused(why) => {
                let detail = Some(clipped(&format!("{detail}: {why}")));
                self.record(Draft { kind: Kind::Alarm, reason: Some(Reason::CommandRefused), detail, ..fact });
            }
        }
        self.changed();
        outcome
    }

    fn forgive(&mut self, person: Option<PersonId>) -> CommandOutcome {
        if let Some(presence) = &mut self.presence {
            match person {
                Some(person) => presence.forgive(person),
                None => presence.forgive_all(),
            }
        }
        CommandOutcome::Done
    }

    // ---- board ----

    /// Something on the board changed. It is published soon, for many changes at once: a full copy for each tap of a
    /// large gateway would cost more than the tap.
    fn changed(&mut self) {
        self.revision += 1;
        self.board_due.get_or_insert_with(|| Instant::now() + BOARD_GAP);
    }

    fn publish_board(&mut self) {
        self.board_due = None;
        let mut readers: Vec<ReaderStatus> = self.readers.values().map(ReaderUnit::status).collect();
        readers.sort_by(|a, b| a.id.cmp(&b.id));
        let board = Board {
            lines: self.lines.values().map(|(_, status)| status.clone()).collect(),
            readers,
            doors: self.doors.iter().map(|(point, unit)| self.door_status(point, unit)).collect(),
            policy_version: self.policy.as_ref().map(|policy| policy.version()),
            policy_confirmed: self.policy_confirmed,
            revision: self.revision,
        };
        self.board.send_replace(board);
    }
}

impl ReaderUnit {
    /// Whether its word may move a door.
    const fn is_trusted(&self) -> bool {
        if self.keyed { self.status.secure } else { !self.acceptance_over }
    }

    fn status(&self) -> ReaderStatus {
        let silent = self.offline_for.map_or(0, |since| u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX));
        ReaderStatus { silent_ms: silent, ..self.status.clone() }
    }
}

/// At most [`domain::event::DETAIL_MAX_BYTES`] bytes of a text, cut between characters.
pub(crate) fn clipped(text: &str) -> String {
    let mut end = text.len().min(domain::event::DETAIL_MAX_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}
