//! The decision core: one task that knows the policy, who is where, and what every door is doing.
//!
//! A tap's way: [`LineFact`] → [`Core::card`] → [`domain::decide::decide`] → journal (durable) → door → order to the
//! reader. Nothing between waits for a network or a database. If the journal does not confirm within its bound, the
//! point follows its declared mode.
//!
//! The task owns all of its state; others reach it by [`Input`]. Its inputs are bounded: events by
//! [`crate::line::EVENTS_MAX`], requests by [`REQUESTS_MAX`].

mod doors;
mod equipment;
mod keypad;
mod peers;
mod recorder;
mod taps;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use domain::card::{CardKey, SealKey};
use domain::ids::{LineId, PersonId, PointId, ReaderId};
use domain::pin::{Lockout, LockoutSettings, PinKey};
use domain::policy::Policy;
use domain::presence::Presence;
use domain::{Clock, Draft, Kind, Reason, UtcMillis};
use store::journal::Journal;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use wire::bus::{Action, CommandOutcome, DoorStatus, LineStatus, ReaderStatus};

use crate::line::{LineEvent, LineHandle};
use crate::peer::{Listeners, PeerContext};
use crate::settings::GatewaySettings;
use doors::DoorUnit;
use equipment::ReaderUnit;
use peers::OpenGrant;
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
    /// Opens the numbers of cards that peers must be told.
    pub numbers: SealKey,
}

/// The core's state.
pub struct Core {
    clock: Clock,
    started: Instant,
    settings: Arc<GatewaySettings>,
    keys: Arc<SiteKeys>,
    policy: Option<Arc<Policy>>,
    policy_confirmed: Option<UtcMillis>,
    presence: Option<Presence>,
    lockout: Lockout,
    doors: BTreeMap<PointId, DoorUnit>,
    readers: HashMap<ReaderId, ReaderUnit>,
    lines: BTreeMap<LineId, (LineHandle, LineStatus)>,
    line_events: mpsc::Sender<LineEvent>,
    peers: Arc<PeerContext>,
    listeners: Listeners,
    /// Policies for the tasks of peers.
    policies: watch::Sender<Option<Arc<Policy>>>,
    /// Grants at peers whose end was not reported in time, by the order in which they were given.
    open_grants: Vec<OpenGrant>,
    /// While set, facts gather here instead of going to the recorder: they belong to one report.
    gathering: Option<Vec<Draft>>,
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
        let keys = Arc::new(keys);
        let policies = watch::Sender::new(policy.clone());
        let peers = Arc::new(PeerContext {
            clock: clock.clone(),
            journal: journal.clone(),
            policy: policies.subscribe(),
            keys: Arc::clone(&keys),
            site: settings.site.clone(),
            gateway: settings.gateway.clone(),
            acs_link: crate::peer::acs_link::Switchboard::default(),
            push: Arc::default(),
        });
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
            peers,
            listeners: Listeners::default(),
            policies,
            open_grants: Vec::new(),
            gathering: None,
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

    /// What the tasks of peers are given.
    pub(crate) const fn peers(&self) -> &Arc<PeerContext> {
        &self.peers
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
        self.listeners.stop();
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
                        tracing::warn!(line.id = %handle.settings.id(), "the line does not end; it is cut off");
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
        match &mut self.gathering {
            Some(gathering) => gathering.push(fact),
            None => self.recorder.facts(vec![fact]),
        }
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
        self.look_at_open_grants();
        self.restart_dead_lines();
        self.publish_board();
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
        self.policies.send_replace(Some(Arc::clone(&policy)));
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
                self.order_doors(action, actor, fact.clone())
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

/// At most [`domain::event::DETAIL_MAX_BYTES`] bytes of a text, cut between characters.
pub(crate) fn clipped(text: &str) -> String {
    let mut end = text.len().min(domain::event::DETAIL_MAX_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}
