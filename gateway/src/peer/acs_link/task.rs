//! One peer: its connections one after another.
//!
//! Owns the connection of the moment and everything that outlives it. Orders are always taken, also while the peer is
//! away: then they are void. A loss that is mended within [`GRACE`] is nobody's business; a longer one is told, the
//! readers go offline, and come back when the peer has stood for a moment ([`SETTLE`], if it was lost shortly before).
//!
//! Bytes are parsed by the session, whole frame by whole frame, never inside a `select!`: what waits there are reads and
//! writes that may be given up at any point.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use domain::equipment::{Peer as PeerStatus, PeerKind};
use domain::ids::LineId;
use domain::policy::Policy;
use domain::{Epoch, Reason};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use store::journal::Position;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use wire::acs_link::session::{Positions, Session, Settings};
use wire::acs_link::{Now, Role, Token, Uuid};

use super::aim::Aim;
use super::asks::Asks;
use super::dial::{self, Pace};
use super::events::States;
use super::intake::Intake;
use super::nags::Nags;
use super::outgoing::Outgoing;
use super::points::Points;
use super::switchboard::{Arrival, Connection, Seat};
use super::talk::Done;
use super::telling::Telling;
use super::turns::Turns;
use super::{random, random_below};
use crate::line::{LineFact, LineOrder, ReaderFact, Teller};
use crate::peer::PeerContext;
use crate::settings::{AcsLinkPeer, PeerSettings};

/// A connection that is back after so long was not away.
const GRACE: Duration = Duration::from_millis(1500);
/// A peer that comes back sooner than this after it was last told to be lost, or did not stand the time before, has to
/// stand for [`SETTLE`] first.
const FLAPPING: Duration = Duration::from_secs(10);
/// See [`FLAPPING`].
const SETTLE: Duration = Duration::from_secs(2);
/// Connections that replace one another so often within a minute are two peers with one name.
const REPLACED_MAX: u32 = 3;
/// How long the journal may take to say how far the streams have got.
const JOURNAL_PATIENCE: Duration = Duration::from_secs(5);
/// How often the core hears how the peer is doing, at most.
const STATUS_EVERY: Duration = Duration::from_secs(1);
/// Least time between two looks at what is due while bytes wait to be written.
const FULL_PAUSE: Duration = Duration::from_millis(5);
/// How often another reason why the peer stays away is told.
const WHY_EVERY: Duration = Duration::from_secs(60);
/// Bytes read at once.
const READ_BYTES: usize = 4096;

/// Everything of one peer that outlives a connection.
pub(super) struct Peer {
    pub(super) id: LineId,
    pub(super) node: String,
    pub(super) settings: AcsLinkPeer,
    pub(super) points: Points,
    pub(super) states: States,
    pub(super) asks: Asks,
    pub(super) intake: Intake,
    pub(super) turns: Turns,
    pub(super) outgoing: Outgoing,
    pub(super) telling: Telling,
    pub(super) teller: Teller,
    pub(super) context: Arc<PeerContext>,
    pub(super) jobs: FuturesUnordered<BoxFuture<'static, Done>>,
    pub(super) nags: Nags,
    pub(super) status: PeerStatus,
    pub(super) status_changed: bool,
    /// The peer's epoch on this connection, once the session stands.
    pub(super) epoch: Option<Epoch>,
    /// What we durably hold of the peer's stream.
    pub(super) held: Option<(Epoch, u64)>,
    /// The peer's journal is new since the connection before.
    pub(super) began_anew: bool,
    /// When the session began to stand.
    pub(super) up_since: Option<Instant>,
    started: Instant,
    policy: watch::Receiver<Option<Arc<Policy>>>,
    status_told: Instant,
    /// How long the session before this one stood.
    stood: Option<Duration>,
    /// What the core believes.
    told_open: bool,
    told_closed_at: Option<Instant>,
    /// Why it is away, as the core was told last.
    why: String,
    /// The connection was lost then, and nobody was told yet.
    lost: Option<(Instant, String)>,
    replaced: (Instant, u32),
}

/// How a connection ended.
pub(super) struct Ended {
    why: String,
    next: Option<Box<Connection>>,
    stopped: bool,
}

/// Works with a peer until cancelled.
pub async fn run(
    peer: AcsLinkPeer,
    settings: PeerSettings,
    teller: Teller,
    mut orders: mpsc::Receiver<LineOrder>,
    context: Arc<PeerContext>,
    cancel: CancellationToken,
) {
    let places = settings.readers.iter().map(|reader| reader.at.clone()).collect();
    let mut seat = context.acs_link.sit(&peer.node, places);
    let mut state = Peer::new(peer, &settings, teller, context);
    let mut pace = Pace::default();
    let mut connection = None;
    loop {
        let next = match connection.take() {
            Some(next) => next,
            None => match state.away(&mut seat, &mut orders, &mut pace, &cancel).await {
                Some(next) => next,
                None => return,
            },
        };
        let ended = state.drive(next, &mut seat, &mut orders, &cancel).await;
        let stood = state.up_since.take().map_or(Duration::ZERO, |at| at.elapsed());
        pace.lost_after(stood);
        state.stood = Some(stood);
        if ended.stopped {
            return;
        }
        tracing::info!(line.id = %state.id, why = %ended.why, "an acs-link connection ended");
        state.lost.get_or_insert((Instant::now(), ended.why));
        connection = ended.next;
    }
}

impl Peer {
    fn new(peer: AcsLinkPeer, settings: &PeerSettings, teller: Teller, context: Arc<PeerContext>) -> Self {
        let points = Points::new(&peer.node, &settings.readers, context.acs_link.clone());
        let places = points.iter().filter_map(|(at, spot)| Some((at.clone(), spot.point.clone()?)));
        let telling = Telling::new(Aim::new(settings.cache, places));
        let address = peer.connect.clone().unwrap_or_default();
        let status = PeerStatus { node: Some(peer.node.clone()), ..PeerStatus::new(PeerKind::AcsLink, address) };
        let now = Instant::now();
        Self {
            id: settings.id.clone(),
            node: peer.node.clone(),
            settings: peer,
            points,
            states: States::default(),
            asks: Asks::new(random_below(u64::MAX)),
            intake: Intake::default(),
            turns: Turns::default(),
            outgoing: Outgoing::default(),
            telling,
            teller,
            policy: context.policy.clone(),
            context,
            jobs: FuturesUnordered::new(),
            nags: Nags::default(),
            status,
            status_changed: true,
            epoch: None,
            held: None,
            began_anew: false,
            up_since: None,
            started: now,
            status_told: now,
            stood: None,
            told_open: false,
            told_closed_at: None,
            why: String::new(),
            lost: Some((now, "it has not connected yet".to_owned())),
            replaced: (now, 0),
        }
    }

    pub(super) fn now(&self) -> Now {
        Now { mono: self.started.elapsed(), wall: self.context.clock.now() }
    }

    /// Tells the operator, unless it was told shortly before.
    pub(super) async fn notice(&mut self, reason: Reason, text: String) {
        tracing::warn!(line.id = %self.id, reason = reason.as_str(), %text, "trouble with an acs-link peer");
        if let Some(text) = self.nags.tell(reason, text, Instant::now()) {
            let detail = format!("{}: {text}", self.id);
            self.teller.tell(LineFact::Notice { reason, detail }).await;
        }
    }

    // ---- without a connection ----

    /// Waits for the next connection. `None`: cancelled.
    async fn away(
        &mut self,
        seat: &mut Seat,
        orders: &mut mpsc::Receiver<LineOrder>,
        pace: &mut Pace,
        cancel: &CancellationToken,
    ) -> Option<Box<Connection>> {
        let mut dialling: Pin<Box<dyn Future<Output = Result<Connection, String>> + Send>> = self.dial(pace);
        loop {
            let grace = self.lost.as_ref().map(|(at, _)| *at + GRACE);
            tokio::select! {
                biased;
                () = cancel.cancelled() => return None,
                // Void: a late opening must never open. What stands is ordered again when the readers are back.
                Some(order) = orders.recv() => self.order(order, None).await,
                Some(done) = self.jobs.next(), if !self.jobs.is_empty() => { let _ = self.done(done, None).await; }
                arrival = seat.next() => match arrival {
                    Arrival::Connected(connection) => return Some(connection),
                    Arrival::Refused { why } => self.refused(why).await,
                },
                dialled = &mut dialling => match dialled {
                    Ok(connection) => return Some(Box::new(connection)),
                    Err(why) => {
                        tracing::info!(line.id = %self.id, %why, "an acs-link peer cannot be reached");
                        self.told_why(why).await;
                        dialling = self.dial(pace);
                    }
                },
                () = sleep_until(grace.unwrap_or_else(Instant::now)), if grace.is_some() => {
                    if let Some((at, why)) = self.lost.take() {
                        self.tell_closed(at, why).await;
                    }
                }
            }
        }
    }

    fn dial(&self, pace: &mut Pace) -> Pin<Box<dyn Future<Output = Result<Connection, String>> + Send>> {
        let Some(address) = self.settings.connect.clone() else { return Box::pin(std::future::pending()) };
        let (wait, node, switchboard) = (pace.next(), self.node.clone(), self.context.acs_link.clone());
        Box::pin(async move {
            sleep(wait).await;
            dial::connect(&address, &node, switchboard.identity()).await
        })
    }

    /// Somebody who says that it is this peer was refused.
    pub(super) async fn refused(&mut self, why: String) {
        if self.epoch.is_none() {
            self.told_why(why.clone()).await;
        }
        self.notice(Reason::PeerRefused, why).await;
    }

    /// Another reason for which the peer is not there: that of the moment counts, not that of the first loss.
    async fn told_why(&mut self, why: String) {
        if let Some((_, told)) = &mut self.lost {
            *told = why;
        } else if !self.told_open && self.why != why && self.told_closed_at.is_some_and(|at| at.elapsed() >= WHY_EVERY)
        {
            // A reason a second would fill the journal.
            self.tell_closed(Instant::now(), why).await;
        }
    }

    async fn tell_closed(&mut self, since: Instant, why: String) {
        self.told_closed_at = Some(Instant::now());
        self.why.clone_from(&why);
        self.status.connected_since = None;
        self.status.secure = false;
        self.status_changed = true;
        self.teller.tell(LineFact::Closed { why }).await;
        if std::mem::take(&mut self.told_open) {
            let readers: Vec<_> = self.points.readers().cloned().collect();
            for reader in readers {
                self.teller.reader(Instant::now(), &reader, ReaderFact::Offline(since.elapsed())).await;
            }
        }
        self.tell_status(true).await;
    }

    /// The session stands, and has stood long enough to be worth telling.
    async fn tell_open(&mut self) {
        self.lost = None;
        if std::mem::replace(&mut self.told_open, true) {
            return;
        }
        self.teller.tell(LineFact::Opened { complaint: None }).await;
        let readers: Vec<_> = self.points.readers().cloned().collect();
        for reader in readers {
            let at = self.points.place_of(&reader);
            if at.is_some_and(|at| self.states.is_offline(at)) {
                continue;
            }
            self.teller.reader(Instant::now(), &reader, ReaderFact::Online).await;
            if self.status.secure {
                self.teller.reader(Instant::now(), &reader, ReaderFact::Secure).await;
            }
        }
    }

    async fn tell_status(&mut self, at_once: bool) {
        if self.status_changed && (at_once || self.status_told.elapsed() >= STATUS_EVERY) {
            self.status_changed = false;
            self.status_told = Instant::now();
            self.teller.tell(LineFact::Peer(Box::new(self.status.clone()))).await;
        }
    }

    // ---- with one ----

    /// Works with a connection until it ends.
    async fn drive(
        &mut self,
        connection: Box<Connection>,
        seat: &mut Seat,
        orders: &mut mpsc::Receiver<LineOrder>,
        cancel: &CancellationToken,
    ) -> Ended {
        let Connection { stream, first, from, ours } = *connection;
        let gone = |why: String| Ended { why, next: None, stopped: false };
        let positions = match timeout(JOURNAL_PATIENCE, self.positions()).await {
            Ok(Ok(positions)) => positions,
            Ok(Err(error)) => {
                return gone(format!("the journal cannot say how far the peer's stream has got: {error}"));
            }
            Err(_) => return gone("the journal does not answer".to_owned()),
        };
        let Some(mut session) = self.session(positions, ours) else {
            return gone("this gateway has no acs-link identity".to_owned());
        };
        self.status.address = from.to_string();
        self.status.secure = stream.is_secure();
        self.status_changed = true;
        let (mut reader, mut writer) = tokio::io::split(stream);
        let mut unread = first;
        let mut buffer = vec![0; READ_BYTES].into_boxed_slice();
        let mut unflushed = false;
        let mut ended = loop {
            let taken = session.receive(&unread, self.now());
            unread.drain(..taken);
            if let Some(ended) = self.events(&mut session, positions).await {
                break ended;
            }
            if session.is_closed() {
                continue;
            }
            if let Some(ended) = self.move_on(&mut session).await {
                break ended;
            }
            let now = self.now();
            let deadline = self.deadline(&session);
            let out = session.output(now);
            // What is due while the peer takes nothing can only wait: not by looking again and again.
            let deadline = if out.is_empty() { deadline } else { deadline.max(Instant::now() + FULL_PAUSE) };
            let writing =
                async { if out.is_empty() { writer.flush().await.map(|()| 0) } else { writer.write(out).await } };
            tokio::select! {
                biased;
                () = cancel.cancelled() => {
                    session.bye(self.word("shutdown"), None, self.now());
                    break Ended { why: "shutdown".to_owned(), next: None, stopped: true };
                }
                Some(order) = orders.recv() => self.order(order, Some(&mut session)).await,
                Some(done) = self.jobs.next(), if !self.jobs.is_empty() => {
                    if let Some(why) = self.done(done, Some(&mut session)).await {
                        session.bye(self.word("busy"), Some(GRACE), self.now());
                        break gone(why);
                    }
                }
                Ok(()) = self.policy.changed() => self.telling.policy_changed(),
                arrival = seat.next() => match arrival {
                    Arrival::Connected(next) => {
                        self.count_replacement(&next).await;
                        session.bye(self.word("replaced"), None, self.now());
                        break Ended { why: "a newer connection replaced it".to_owned(), next: Some(next), stopped: false };
                    }
                    Arrival::Refused { why } => self.refused(why).await,
                },
                written = writing, if !out.is_empty() || unflushed => match written {
                    Ok(count) => {
                        unflushed = count > 0;
                        session.wrote(count, self.now());
                    }
                    Err(error) => break gone(broke_off(&error)),
                },
                read = reader.read(&mut buffer), if unread.is_empty() => match read {
                    Ok(0) => break gone("the peer closed the connection".to_owned()),
                    Ok(count) => unread.extend_from_slice(&buffer[..count]),
                    Err(error) => break gone(broke_off(&error)),
                },
                () = sleep_until(deadline) => session.tick(self.now()),
            }
        };
        self.forget_connection();
        // The last words must not hold up the next connection.
        let words = session.output(self.now()).to_vec();
        let stream = reader.unsplit(writer);
        let closing = stream.close_with(words);
        if ended.stopped {
            closing.await;
        } else {
            tokio::spawn(closing);
        }
        if ended.next.is_none() && !ended.stopped {
            // What came meanwhile is not left in the seat's queue for longer than needed.
            ended.next = match seat.next().now_or_never() {
                Some(Arrival::Connected(next)) => Some(next),
                _ => None,
            };
        }
        ended
    }

    fn session(&self, positions: Positions, ours: bool) -> Option<Session> {
        let identity = self.context.acs_link.identity()?;
        let node = Token::new(&identity.node).ok()?;
        let epoch = Uuid(self.outgoing.state().epoch.0);
        let mut settings = Settings::new(Role::Gw, node, epoch);
        settings.heartbeat = self.settings.heartbeat;
        let now = self.now();
        Some(match ours {
            true => Session::connect(settings, positions, now, random()),
            false => Session::accept(settings, now, random()),
        })
    }

    /// What the journal holds of both streams.
    async fn positions(&mut self) -> Result<Positions, store::Error> {
        let journal = &self.context.journal;
        let state = journal.outgoing_state(&self.id).await?;
        // While a batch is on its way the journal does not know of it yet, and what comes again is recognised.
        if !self.intake.is_under_way() {
            let position = journal.position(&self.id).await?;
            self.held = position.map(|Position { epoch, seq, .. }| (epoch, seq));
        }
        self.outgoing.begin(state);
        Ok(Positions {
            last: state.last,
            acked: (state.dropped > 0).then_some(state.dropped),
            held: self.held.map(|(epoch, seq)| (Uuid(epoch.0), seq)),
        })
    }

    fn forget_connection(&mut self) {
        self.epoch = None;
        self.intake.lost();
        self.turns.lost();
        self.asks.lost(Instant::now());
    }

    /// What can be done without waiting: batches, messages, the state.
    async fn move_on(&mut self, session: &mut Session) -> Option<Ended> {
        self.begin_batch(session);
        let broken = self.send(session).await;
        if let Some(at) = self.up_since {
            let flapping = self.told_closed_at.is_some_and(|closed| at.duration_since(closed) < FLAPPING)
                || self.stood.is_some_and(|stood| stood < SETTLE);
            if !flapping || at.elapsed() >= SETTLE {
                self.tell_open().await;
            }
        }
        self.tell_status(false).await;
        broken.map(|why| Ended { why, next: None, stopped: false })
    }

    fn deadline(&self, session: &Session) -> Instant {
        let session = session.deadline().map(|(at, _)| self.started + at);
        let settle = self.up_since.filter(|_| !self.told_open).map(|at| at + SETTLE);
        let status = self.status_changed.then(|| self.status_told + STATUS_EVERY);
        let all = [session, settle, status, self.telling.deadline().filter(|_| self.epoch.is_some())];
        all.into_iter().flatten().min().unwrap_or_else(|| Instant::now() + Duration::from_secs(1))
    }

    async fn count_replacement(&mut self, next: &Connection) {
        let now = Instant::now();
        if now.duration_since(self.replaced.0) > Duration::from_secs(60) {
            self.replaced = (now, 0);
        }
        self.replaced.1 += 1;
        if self.replaced.1 >= REPLACED_MAX {
            let text = format!(
                "connections of node {} replace one another, the last from {}: do two controllers have its certificate?",
                self.node, next.from
            );
            self.notice(Reason::PeerRefused, text).await;
        }
    }
}

impl Ended {
    /// The session is over.
    pub(super) const fn because(why: String) -> Self {
        Self { why, next: None, stopped: false }
    }

    /// Why.
    pub(super) fn into_why(self) -> String {
        self.why
    }
}

/// A lost connection in words: what libraries say of it is for those who know TLS.
fn broke_off(error: &std::io::Error) -> String {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, TimedOut, UnexpectedEof};
    match error.kind() {
        UnexpectedEof | ConnectionReset | ConnectionAborted | BrokenPipe => {
            "the connection was cut: the controller or its program stopped, or the network".to_owned()
        }
        TimedOut => "the connection was lost: the controller cannot be reached".to_owned(),
        _ => format!("the connection broke off: {error}"),
    }
}
