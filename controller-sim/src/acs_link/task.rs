//! One controller's task: its connection to the gateway, made again whenever it is lost, and the faults that are on.
//!
//! Owns the socket, the timers of reconnecting and the damage. What the controller does is [`Controller`]'s business.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use domain::{Clock, LineId, UtcMillis};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wire::acs_link::message::{Body, Direction, PassCode, PassEvent, PassResult, Received, Stream as Numbers};
use wire::acs_link::session::{Now, Session, Side};
use wire::acs_link::{Msg, Token, Version, write};

use super::controller::{Controller, ControllerState, uuid};
use super::memory::MemoryError;
use super::settings::{Link, Settings};
use super::stream::{Done, Stream};
use super::tls::Ends;
use crate::fault::Fault;
use crate::line::LineCommand;
use crate::plant::{Peer, PointKind};
use crate::reader::ReaderState;
use crate::record::Record;

/// First and longest wait before connecting again; of it, a random part (specification, 9).
const RECONNECT: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// A session that stood so long begins the waits anew.
const STOOD: Duration = Duration::from_secs(10);
/// The time of a clock that was never set: 2000-01-01T00:00:00Z.
const NEVER_SET: UtcMillis = UtcMillis(946_684_800_000);
/// How long a second connection of the same node is held.
const DOUBLE_HELD: Duration = Duration::from_secs(20);

/// One controller's task.
pub(crate) struct AcsTask {
    id: LineId,
    settings: Settings,
    peer: Peer,
    kinds: Arc<dyn Fn(&domain::PointId) -> PointKind + Send + Sync>,
    record: Arc<Record>,
    clock: Clock,
    rng: fastrand::Rng,
    started: Instant,
    ends: Option<Ends>,
    listener: Option<TcpListener>,
    controller: Controller,
    stream: Option<Stream>,
    /// A connection being made.
    opening: Option<(Side, JoinHandle<io::Result<Stream>>)>,
    connect_at: Option<Instant>,
    wait: Duration,
    connected_at: Instant,
    faults: Faults,
    /// The file as it was when the controller started.
    backup: Vec<u8>,
    seen: watch::Sender<ControllerState>,
    readers: Vec<watch::Sender<ReaderState>>,
}

/// The faults that are on.
#[derive(Debug, Default)]
struct Faults {
    unplugged: bool,
    frozen: bool,
    slow: Option<(Duration, Instant)>,
    reset_in_frame: bool,
    offset_ms: i64,
    time_unknown: bool,
    /// Bytes that go out before anything else.
    inject: Vec<u8>,
}

/// What others see of a controller.
#[derive(Debug, Clone)]
pub(crate) struct View {
    pub(crate) controller: watch::Receiver<ControllerState>,
    pub(crate) readers: Vec<watch::Receiver<ReaderState>>,
}

impl AcsTask {
    /// Opens the file and, if it listens, the port.
    pub(crate) async fn open(
        peer: Peer,
        settings: Settings,
        kinds: Arc<dyn Fn(&domain::PointId) -> PointKind + Send + Sync>,
        clock: Clock,
        seed: u64,
        record: Arc<Record>,
    ) -> io::Result<(Self, View)> {
        let mut rng = fastrand::Rng::with_seed(seed);
        let ends = settings.tls.as_ref().map(Ends::load).transpose()?;
        let listener = match &settings.link {
            Link::Listen(at) => Some(TcpListener::bind(at).await?),
            Link::Connect(_) => None,
        };
        let controller = Controller::open(&peer, &settings, kinds.as_ref(), Arc::clone(&record), rng.fork())?;
        let backup = std::fs::read(&settings.file)?;
        let (seen, view) = watch::channel(ControllerState::default());
        let (readers, views) = peer.readers.iter().map(|_| watch::channel(ReaderState::default())).unzip();
        let now = Instant::now();
        let task = Self {
            id: peer.id.clone(),
            settings,
            peer,
            kinds,
            record,
            clock,
            rng,
            started: now,
            ends,
            listener,
            controller,
            stream: None,
            opening: None,
            connect_at: Some(now),
            wait: RECONNECT.0,
            connected_at: now,
            faults: Faults::default(),
            backup,
            seen,
            readers,
        };
        Ok((task, View { controller: view, readers: views }))
    }

    /// Where it listens, if it does.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.listener.as_ref()?.local_addr().ok()
    }

    /// Runs until `shutdown`, or until nobody can send commands any more.
    pub(crate) async fn run(mut self, mut commands: mpsc::Receiver<LineCommand>, shutdown: CancellationToken) {
        if let Err(error) = self.work(&mut commands, &shutdown).await {
            tracing::error!(peer = %self.id, %error, "the simulated controller cannot keep its memory; it stops");
        }
    }

    async fn work(
        &mut self,
        commands: &mut mpsc::Receiver<LineCommand>,
        shutdown: &CancellationToken,
    ) -> Result<(), MemoryError> {
        let mut buffer = vec![0_u8; 4096];
        loop {
            self.settle()?;
            let now = self.now();
            let wake = self.deadline();
            let (out, dwell) = self.outgoing(now);
            let readable = self.stream.is_some() && !self.faults.frozen;
            let stream = &mut self.stream;
            tokio::select! {
                biased;
                () = shutdown.cancelled() => {
                    self.leave().await;
                    return Ok(());
                }
                command = commands.recv() => match command {
                    Some(command) => self.obey(command)?,
                    None => return Ok(()),
                },
                done = exchange(stream, &mut buffer, &out), if readable => match done {
                    Ok(Done::Read(len)) => {
                        let now = self.now();
                        self.controller.heard(buffer.get(..len).unwrap_or_default(), now)?;
                    }
                    Ok(Done::Wrote(len)) => self.wrote(len),
                    Err(error) => self.lost(&error.to_string())?,
                },
                arrived = accept(self.listener.as_ref(), self.opening.is_none() && !self.faults.unplugged) => {
                    self.arrived(arrived);
                }
                (side, opened) = finished(&mut self.opening) => self.opened(opened, side)?,
                () = sleep_until(earlier(wake, dwell)) => {}
            }
            let idle = self.stream.is_none() && self.opening.is_none();
            if idle && self.connect_at.is_some_and(|at| at <= Instant::now()) {
                self.connect();
            }
        }
    }

    /// Its own time.
    fn now(&self) -> Now {
        let mono = self.started.elapsed();
        let since = i64::try_from(mono.as_millis()).unwrap_or(i64::MAX);
        let wall = match self.faults.time_unknown {
            true => NEVER_SET.plus_ms(since),
            false => self.clock.now().plus_ms(self.faults.offset_ms),
        };
        Now { mono, wall }
    }

    /// Does what is due, and tells whoever watches.
    fn settle(&mut self) -> Result<(), MemoryError> {
        let now = self.now();
        if !self.faults.frozen {
            self.controller.turn(now)?;
            let unsaid = !self.controller.output(now).is_empty();
            if self.controller.is_over() && !unsaid {
                self.lost("the session is over")?;
            }
        } else {
            self.controller.turn_without_link(now)?;
        }
        let state = self.controller.state();
        self.seen.send_if_modified(|seen| {
            let news = *seen != *state;
            seen.clone_from(state);
            news
        });
        let secure = state.up && self.stream.as_ref().is_some_and(Stream::is_secure);
        let reader = ReaderState { found: state.up, secure };
        for seen in &self.readers {
            seen.send_if_modified(|seen| std::mem::replace(seen, reader) != reader);
        }
        Ok(())
    }

    fn deadline(&self) -> Option<Instant> {
        let due = match self.faults.frozen {
            true => self.controller.deadline_of_points(),
            false => self.controller.deadline(),
        };
        earlier(due.map(|at| self.started + at), self.connect_at.filter(|_| self.stream.is_none()))
    }

    /// What may be written now, and when more may be.
    fn outgoing(&mut self, now: Now) -> (Vec<u8>, Option<Instant>) {
        if self.faults.frozen || self.stream.is_none() {
            return (Vec::new(), None);
        }
        if !self.faults.inject.is_empty() {
            return (self.faults.inject.clone(), None);
        }
        let out = self.controller.output(now);
        if let Some((_, next)) = self.faults.slow {
            let due = next <= Instant::now();
            let byte = out.get(..usize::from(due && !out.is_empty())).unwrap_or_default();
            return (byte.to_vec(), (!out.is_empty()).then_some(next));
        }
        if self.faults.reset_in_frame && !out.is_empty() {
            return (out.get(..out.len() / 2).unwrap_or_default().to_vec(), None);
        }
        (out.to_vec(), None)
    }

    fn wrote(&mut self, len: usize) {
        if !self.faults.inject.is_empty() {
            self.faults.inject.drain(..len.min(self.faults.inject.len()));
            return;
        }
        let now = self.now();
        self.controller.wrote(len, now);
        if let Some((each, next)) = &mut self.faults.slow {
            *next = Instant::now() + *each;
        }
        if std::mem::take(&mut self.faults.reset_in_frame)
            && let Some(stream) = self.stream.take()
        {
            stream.reset();
            self.connect_at = Some(Instant::now() + self.pause());
        }
    }

    // ---- the connection ----

    fn connect(&mut self) {
        self.connect_at = None;
        let Link::Connect(to) = self.settings.link.clone() else { return };
        if self.faults.unplugged || self.controller.state().stopped {
            return;
        }
        let ends = self.ends.clone();
        let opening = tokio::spawn(async move { Stream::connect(&to, ends.as_ref()).await });
        self.opening = Some((Side::Connector, opening));
    }

    fn arrived(&mut self, arrived: io::Result<TcpStream>) {
        let Ok(tcp) = arrived else { return };
        if !self.controller.state().stopped {
            let ends = self.ends.clone();
            let opening = tokio::spawn(async move { Stream::accept(tcp, ends.as_ref()).await });
            self.opening = Some((Side::Acceptor, opening));
        }
    }

    fn opened(&mut self, opened: io::Result<Stream>, side: Side) -> Result<(), MemoryError> {
        match opened {
            Ok(_) if self.faults.unplugged => Ok(()),
            Ok(stream) => {
                // The newer connection counts.
                if self.stream.is_some() {
                    self.lost("replaced by a newer connection")?;
                }
                self.connected_at = Instant::now();
                self.stream = Some(stream);
                let now = self.now();
                self.controller.connected(side, now);
                Ok(())
            }
            Err(_) if self.stream.is_some() => Ok(()),
            Err(error) => self.lost(&error.to_string()),
        }
    }

    /// The connection is gone, or was not made.
    fn lost(&mut self, why: &str) -> Result<(), MemoryError> {
        tracing::debug!(peer = %self.id, why, "the simulated controller has no link");
        if self.stream.take().is_some() && self.connected_at.elapsed() > STOOD {
            self.wait = RECONNECT.0;
        }
        let now = self.now();
        self.controller.disconnected(now, why)?;
        self.connect_at = Some(Instant::now() + self.pause());
        Ok(())
    }

    /// How long to wait now: full jitter, and twice as long at most the next time.
    fn pause(&mut self) -> Duration {
        let pause = self.wait.mul_f64(self.rng.f64());
        self.wait = (self.wait * 2).min(RECONNECT.1);
        pause
    }

    async fn leave(&mut self) {
        let now = self.now();
        self.controller.bye(now);
        let out = self.controller.output(now).to_vec();
        if self.stream.is_some() && !self.faults.frozen {
            // As much as goes in a moment; the other end will notice anyway.
            let saying = exchange(&mut self.stream, &mut [], &out);
            let _ = tokio::time::timeout(Duration::from_millis(100), saying).await;
        }
    }

    // ---- commands and faults ----

    fn obey(&mut self, command: LineCommand) -> Result<(), MemoryError> {
        let now = self.now();
        match command {
            LineCommand::Attempt { point, attempt } => {
                if let Some(people) = self.controller.people(&point) {
                    people.enqueue(attempt);
                }
            }
            LineCommand::ExitButton { point, after } => {
                if let Some(people) = self.controller.people(&point) {
                    people.gate().press_exit(now.mono, after);
                }
            }
            LineCommand::Force { point, hold } => {
                if let Some(people) = self.controller.people(&point) {
                    people.gate().force(now.mono, hold);
                }
            }
            LineCommand::Inject { reader: None, fault } => self.inject(fault)?,
            LineCommand::Heal { reader: None } => {
                self.faults = Faults::default();
                self.controller.set_time_unknown(false);
                if self.stream.is_none() {
                    self.wait = RECONNECT.0;
                    self.connect_at = Some(Instant::now());
                }
            }
            // A reader of a controller has no wires of its own.
            LineCommand::Keys { .. }
            | LineCommand::Input { .. }
            | LineCommand::Inject { reader: Some(_), .. }
            | LineCommand::Heal { reader: Some(_) }
            | LineCommand::Stats { .. } => {}
        }
        Ok(())
    }

    fn inject(&mut self, fault: Fault) -> Result<(), MemoryError> {
        let now = self.now();
        match fault {
            Fault::Unplug => {
                self.faults.unplugged = true;
                self.lost("unplugged")?;
            }
            Fault::Freeze => self.faults.frozen = true,
            Fault::Slow { ms } => self.faults.slow = Some((Duration::from_millis(ms), Instant::now())),
            Fault::ResetInFrame => self.faults.reset_in_frame = true,
            Fault::Clock { offset_ms } => self.faults.offset_ms = offset_ms,
            Fault::ClockUnset => {
                self.faults.time_unknown = true;
                self.controller.set_time_unknown(true);
            }
            Fault::RestoredBackup => self.restore()?,
            Fault::NewEpoch => {
                self.controller.begin_epoch(now)?;
                self.lost("a new epoch")?;
            }
            Fault::AckAhead => {
                let seq = self.controller.memory().held() + 1000;
                let body = Body::Ack(vec![Received::of(Numbers::Commands, seq)]);
                let id = uuid(&mut self.rng, now.wall);
                let sent_at = wire::acs_link::Instant::from_utc(now.wall);
                let msg = Msg { v: Version::V1_0, id, stream_seq: None, re: None, sent_at, replay: false, body };
                let mut frame = vec![0; 4];
                if write::write(&msg, &mut frame).is_ok() {
                    let len = u32::try_from(frame.len() - 4).unwrap_or(0);
                    frame[..4].copy_from_slice(&len.to_be_bytes());
                    self.faults.inject = frame;
                }
            }
            Fault::LongFrame { bytes } => self.faults.inject = bytes.to_be_bytes().to_vec(),
            Fault::DoubleNode => self.double(),
            Fault::Poison => self.poison(now)?,
            _ => {}
        }
        Ok(())
    }

    /// Puts the file of before in place of the present one, and starts the controller with it.
    fn restore(&mut self) -> Result<(), MemoryError> {
        self.lost("a backup is restored")?;
        let put = std::fs::write(&self.settings.file, &self.backup).and_then(|()| {
            let (peer, settings, record) = (&self.peer, &self.settings, Arc::clone(&self.record));
            Controller::open(peer, settings, self.kinds.as_ref(), record, self.rng.fork())
        });
        match put {
            Ok(controller) => self.controller = controller,
            Err(error) => tracing::error!(peer = %self.id, %error, "the simulated controller has no backup"),
        }
        Ok(())
    }

    /// Somebody else with the same name and certificate.
    fn double(&mut self) {
        let Link::Connect(to) = self.settings.link.clone() else { return };
        let (ends, terms, positions) = (self.ends.clone(), self.controller.terms(), self.controller.positions());
        let (now, mut rng) = (self.now(), self.rng.fork());
        tokio::spawn(async move {
            let mut stream = Stream::connect(&to, ends.as_ref()).await?;
            let mut session = Session::connect(terms, positions, now, Box::new(move |bytes| rng.fill(bytes)));
            let hello = session.output(now).to_vec();
            let mut buffer = [0; 4096];
            stream.exchange(&mut [], &hello).await?;
            let holding = async { while stream.exchange(&mut buffer, &[]).await.is_ok() {} };
            let _ = tokio::time::timeout(DOUBLE_HELD, holding).await;
            io::Result::Ok(())
        });
    }

    /// A well-formed event that means nothing to anybody.
    fn poison(&mut self, now: Now) -> Result<(), MemoryError> {
        let id = uuid(&mut self.rng, now.wall).to_string();
        if let (Ok(event_id), Ok(point)) = (Token::new(&id), Token::new("no/such/point")) {
            let body = Body::PassEvent(PassEvent {
                event_id,
                occurred_at: wire::acs_link::Instant::from_utc(now.wall),
                clock: wire::acs_link::message::ClockState::Synced,
                request: None,
                point,
                credential: None,
                person: None,
                direction: Direction::Unknown,
                result: PassResult { code: PassCode::Forced, reason: None, by: None },
                ext: Vec::new(),
            });
            self.controller.event(None, body, now);
            self.controller.turn(now)?;
        }
        Ok(())
    }
}

async fn exchange(stream: &mut Option<Stream>, buffer: &mut [u8], out: &[u8]) -> io::Result<Done> {
    match stream {
        Some(stream) => stream.exchange(buffer, out).await,
        None => std::future::pending().await,
    }
}

async fn finished(opening: &mut Option<(Side, JoinHandle<io::Result<Stream>>)>) -> (Side, io::Result<Stream>) {
    let Some((side, task)) = opening else { return std::future::pending().await };
    let (side, done) = (*side, task.await.unwrap_or_else(|error| Err(io::Error::other(error))));
    *opening = None;
    (side, done)
}

async fn accept(listener: Option<&TcpListener>, wanted: bool) -> io::Result<TcpStream> {
    match listener.filter(|_| wanted) {
        Some(listener) => Ok(listener.accept().await?.0),
        None => std::future::pending().await,
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    [one, other].into_iter().flatten().min()
}
