//! A running plant: one task for each line, and a [`Handle`] by which scenarios and tests make things happen.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use domain::card::CardNumber;
use domain::{Clock, LineId, PointId, ReaderId};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wire::osdp::device::DeviceStats;
use wire::osdp::reply::Characters;

use crate::acs_link::{AcsTask, ControllerState};
use crate::fault::Fault;
use crate::gate::Walk;
use crate::line::{LineCommand, LineTask};
use crate::network::NetworkTask;
use crate::passage::{Attempt, Outcome};
use crate::plant::{Peer, Plant, PlantError, PointKind, Speaks};
use crate::reader::ReaderState;
use crate::record::{Record, Report};
use crate::scenario::ScenarioError;

/// Commands waiting for one line. Whoever sends to a full one waits.
const LINE_COMMANDS_MAX: usize = 256;

/// How a simulation runs, whatever it simulates.
#[derive(Debug, Clone)]
pub struct Options {
    /// For the times in the record of taps.
    pub clock: Clock,
    /// Where to append a JSON line for each tap, if anywhere.
    pub tap_record: Option<PathBuf>,
    /// Seed of noise, nonces and hesitation.
    pub seed: u64,
}

/// Why the simulator cannot do what it is asked.
#[derive(Debug, Error)]
pub enum SimError {
    /// The plant is wrong.
    #[error(transparent)]
    Plant(#[from] PlantError),
    /// The scenario is wrong.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// A port cannot be opened.
    #[error("line `{line}` cannot be opened at {port}: {source}")]
    Port {
        /// The line.
        line: LineId,
        /// Its port.
        port: String,
        /// Why.
        source: std::io::Error,
    },
    /// A controller cannot be set up.
    #[error("peer `{peer}` cannot be set up: {source}")]
    Peer {
        /// The peer.
        peer: LineId,
        /// Why.
        source: std::io::Error,
    },
    /// The record of taps cannot be opened.
    #[error("the record of taps cannot be written to {path}: {source}")]
    Record {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// No such line, point or reader.
    #[error("there is no {0} `{1}` in the simulated plant")]
    Unknown(&'static str, String),
    /// The simulator has stopped.
    #[error("the simulator has stopped")]
    Stopped,
}

/// A running plant. Stops when its token is cancelled or it is dropped.
#[derive(Debug)]
pub struct Simulator {
    handle: Handle,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

/// Makes things happen in a running plant. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Handle(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    lines: HashMap<LineId, LineEntry>,
    points: HashMap<PointId, LineId>,
    readers: HashMap<ReaderId, ReaderEntry>,
    record: Arc<Record>,
}

#[derive(Debug)]
struct LineEntry {
    commands: mpsc::Sender<LineCommand>,
    address: Option<SocketAddr>,
    /// Of an acs-link controller: how it is doing.
    controller: Option<watch::Receiver<ControllerState>>,
}

#[derive(Debug)]
struct ReaderEntry {
    line: LineId,
    place: usize,
    point: PointId,
    state: watch::Receiver<ReaderState>,
}

impl Simulator {
    /// Opens all ports and starts a task for each line. All ports are there when this returns.
    pub async fn start(plant: &Plant, options: &Options, shutdown: &CancellationToken) -> Result<Self, SimError> {
        plant.check()?;
        let record = Record::open(options.clock.clone(), options.tap_record.as_deref())
            .map_err(|source| SimError::Record { path: options.tap_record.clone().unwrap_or_default(), source })?;
        let record = Arc::new(record);
        let kinds: HashMap<_, _> = plant.points.iter().map(|point| (point.id.clone(), point.kind)).collect();
        let shutdown = shutdown.child_token();
        let tasks = TaskTracker::new();
        let mut inner =
            Inner { lines: HashMap::new(), points: HashMap::new(), readers: HashMap::new(), record: record.clone() };
        let mut opened = Vec::new();
        for (seed, line) in (options.seed..).zip(&plant.lines) {
            let open = LineTask::open(line.clone(), &kinds, seed, record.clone()).await;
            let (task, states) =
                open.map_err(|source| SimError::Port { line: line.id.clone(), port: line.port.clone(), source })?;
            for ((place, reader), state) in line.readers.iter().enumerate().zip(states) {
                let entry = ReaderEntry { line: line.id.clone(), place, point: reader.point.clone(), state };
                inner.readers.insert(reader.id.clone(), entry);
                inner.points.insert(reader.point.clone(), line.id.clone());
            }
            let (commands, inbox) = mpsc::channel(LINE_COMMANDS_MAX);
            inner.lines.insert(line.id.clone(), LineEntry { commands, address: task.address(), controller: None });
            opened.push((task, inbox));
        }
        let mut peers = Vec::new();
        for (seed, peer) in (options.seed.rotate_left(32)..).zip(&plant.peers) {
            let open = PeerTask::open(peer, &kinds, options, seed, &record, &shutdown).await;
            let (task, states) = open.map_err(|source| SimError::Peer { peer: peer.id.clone(), source })?;
            for ((place, reader), state) in peer.readers.iter().enumerate().zip(states) {
                let entry = ReaderEntry { line: peer.id.clone(), place, point: reader.point.clone(), state };
                inner.readers.insert(reader.id.clone(), entry);
                inner.points.insert(reader.point.clone(), peer.id.clone());
            }
            let (commands, inbox) = mpsc::channel(LINE_COMMANDS_MAX);
            let entry = LineEntry { commands, address: task.address(), controller: task.view() };
            inner.lines.insert(peer.id.clone(), entry);
            peers.push((task, inbox));
        }
        for (task, inbox) in opened {
            tasks.spawn(task.run(inbox, shutdown.clone()));
        }
        for (task, inbox) in peers {
            tasks.spawn(task.run(inbox, shutdown.clone()));
        }
        tasks.close();
        Ok(Self { handle: Handle(Arc::new(inner)), tasks, shutdown })
    }

    /// By which to make things happen.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Stops all lines and takes their ports away.
    pub async fn stop(self) {
        self.shutdown.cancel();
        self.tasks.wait().await;
    }
}

/// The task of a peer, whatever it speaks.
enum PeerTask {
    Controller(Box<AcsTask>, watch::Receiver<ControllerState>),
    Network(NetworkTask),
}

impl PeerTask {
    async fn open(
        peer: &Peer,
        kinds: &HashMap<PointId, PointKind>,
        options: &Options,
        seed: u64,
        record: &Arc<Record>,
        shutdown: &CancellationToken,
    ) -> std::io::Result<(Self, Vec<watch::Receiver<ReaderState>>)> {
        let (clock, record) = (options.clock.clone(), Arc::clone(record));
        match &peer.speaks {
            Speaks::AcsLink(settings) => {
                let kinds = kinds.clone();
                let kind = move |point: &PointId| kinds.get(point).copied().unwrap_or(PointKind::Turnstile);
                let open = AcsTask::open(peer.clone(), settings.clone(), Arc::new(kind), clock, seed, record);
                let (task, view) = open.await?;
                Ok((Self::Controller(Box::new(task), view.controller), view.readers))
            }
            Speaks::Hikvision(settings) => {
                let (task, states) = NetworkTask::hikvision(peer, settings, clock, record).await?;
                Ok((Self::Network(task), states))
            }
            Speaks::Parsec(settings) => {
                let (task, states) = NetworkTask::parsec(peer, settings, clock, seed, record, shutdown).await?;
                Ok((Self::Network(task), states))
            }
        }
    }

    fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Controller(task, _) => task.address(),
            Self::Network(task) => task.address(),
        }
    }

    fn view(&self) -> Option<watch::Receiver<ControllerState>> {
        match self {
            Self::Controller(_, view) => Some(view.clone()),
            Self::Network(_) => None,
        }
    }

    async fn run(self, inbox: mpsc::Receiver<LineCommand>, shutdown: CancellationToken) {
        match self {
            Self::Controller(task, _) => task.run(inbox, shutdown).await,
            Self::Network(task) => task.run(inbox, shutdown).await,
        }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

impl Handle {
    /// Holds a card to a reader and behaves as `walk` says. Waits until it is over: behind other people, for the
    /// answer, and at the gate.
    pub async fn tap(
        &self,
        reader: &ReaderId,
        card: &CardNumber,
        walk: Walk,
        patience: Duration,
    ) -> Result<Outcome, SimError> {
        let entry = self.reader(reader)?;
        let (done, outcome) = oneshot::channel();
        let tap = self.0.record.new_tap();
        let attempt = Attempt { tap, reader: entry.place, card: card.clone(), walk, patience, done };
        self.send(&entry.line, LineCommand::Attempt { point: entry.point.clone(), attempt }).await?;
        outcome.await.map_err(|_| SimError::Stopped)
    }

    /// Presses keys: `0` to `9`, `*`, `#`; other characters are left out.
    pub async fn press_keys(&self, reader: &ReaderId, keys: &str) -> Result<(), SimError> {
        let entry = self.reader(reader)?;
        let keys = keys.bytes().filter_map(|key| match key {
            b'0'..=b'9' => Some(key),
            b'*' => Some(0x7F),
            b'#' => Some(0x0D),
            _ => None,
        });
        self.send(&entry.line, LineCommand::Keys { reader: entry.place, keys: Characters::new(keys.collect()) }).await
    }

    /// Sets an input of a reader by hand.
    pub async fn set_input(&self, reader: &ReaderId, input: u8, active: bool) -> Result<(), SimError> {
        let entry = self.reader(reader)?;
        self.send(&entry.line, LineCommand::Input { reader: entry.place, input, active }).await
    }

    /// Presses a point's request-to-exit button; the presser walks through `after` the release.
    pub async fn press_exit(&self, point: &PointId, after: Duration) -> Result<(), SimError> {
        self.send(self.line_of(point)?, LineCommand::ExitButton { point: point.clone(), after }).await
    }

    /// Forces a gate open; a door stays open `hold` longer than a person needs.
    pub async fn force(&self, point: &PointId, hold: Duration) -> Result<(), SimError> {
        self.0.record.forced.fetch_add(1, Ordering::Relaxed);
        self.send(self.line_of(point)?, LineCommand::Force { point: point.clone(), hold }).await
    }

    /// Switches a fault of a line on.
    pub async fn inject_line(&self, line: &LineId, fault: Fault) -> Result<(), SimError> {
        self.send(line, LineCommand::Inject { reader: None, fault }).await
    }

    /// Switches a fault of a reader on.
    pub async fn inject_reader(&self, reader: &ReaderId, fault: Fault) -> Result<(), SimError> {
        let entry = self.reader(reader)?;
        self.send(&entry.line, LineCommand::Inject { reader: Some(entry.place), fault }).await
    }

    /// Ends all faults of a line, its readers' not included.
    pub async fn heal_line(&self, line: &LineId) -> Result<(), SimError> {
        self.send(line, LineCommand::Heal { reader: None }).await
    }

    /// Ends all faults of a reader.
    pub async fn heal_reader(&self, reader: &ReaderId) -> Result<(), SimError> {
        let entry = self.reader(reader)?;
        self.send(&entry.line, LineCommand::Heal { reader: Some(entry.place) }).await
    }

    /// Counts of a reader's device.
    pub async fn stats(&self, reader: &ReaderId) -> Result<DeviceStats, SimError> {
        let entry = self.reader(reader)?;
        let (answer, stats) = oneshot::channel();
        self.send(&entry.line, LineCommand::Stats { reader: entry.place, answer }).await?;
        stats.await.map_err(|_| SimError::Stopped)
    }

    /// Waits until the reader's state is as wanted, for example `|state| state.secure`.
    pub async fn wait_for(
        &self,
        reader: &ReaderId,
        wanted: impl FnMut(&ReaderState) -> bool,
    ) -> Result<ReaderState, SimError> {
        let mut state = self.reader(reader)?.state.clone();
        state.wait_for(wanted).await.map(|state| *state).map_err(|_| SimError::Stopped)
    }

    /// How an acs-link controller is doing, now and from now on.
    pub fn controller(&self, peer: &LineId) -> Result<watch::Receiver<ControllerState>, SimError> {
        let entry = self.0.lines.get(peer).and_then(|entry| entry.controller.clone());
        entry.ok_or_else(|| SimError::Unknown("acs-link controller", peer.to_string()))
    }

    /// Where a TCP line or a listening peer listens.
    pub fn port_of(&self, line: &LineId) -> Option<SocketAddr> {
        self.0.lines.get(line)?.address
    }

    /// The counts now.
    pub fn report(&self) -> Report {
        self.0.record.report()
    }

    pub(crate) fn record(&self) -> &Record {
        &self.0.record
    }

    fn reader(&self, reader: &ReaderId) -> Result<&ReaderEntry, SimError> {
        self.0.readers.get(reader).ok_or_else(|| SimError::Unknown("reader", reader.to_string()))
    }

    fn line_of(&self, point: &PointId) -> Result<&LineId, SimError> {
        self.0.points.get(point).ok_or_else(|| SimError::Unknown("point with a reader", point.to_string()))
    }

    async fn send(&self, line: &LineId, command: LineCommand) -> Result<(), SimError> {
        let entry = self.0.lines.get(line).ok_or_else(|| SimError::Unknown("line", line.to_string()))?;
        entry.commands.send(command).await.map_err(|_| SimError::Stopped)
    }
}
