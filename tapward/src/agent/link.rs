//! The agent's connection to the gateway: made again with growing pauses, and what waits is told in its order.
//!
//! One task owns the queue, the session and the socket. A tap is told under the same number and id until the gateway says
//! that it is stored, so it is there once, whatever was killed between.

use std::io;
use std::time::Duration;

use domain::vault::{NONCE_BYTES, Nonce};
use domain::{Clock, UtcMillis};
use gateway::peer::acs_link::tls::Tls;
use store::tap_queue::{QueuedTap, TapQueue};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;
use wire::acs_link::message::{ClockState, Direction, PassCode, PassEvent, PassResult, Role};
use wire::acs_link::session::{Event, Now, Positions, Session, Settings as Terms};
use wire::acs_link::{Body, CredFormat, Credential, Instant as WireInstant, Reason, Token, Uuid};

use super::settings::Settings;
use super::{Tap, uuid};

/// TCP and TLS together.
const OPEN_WITHIN: Duration = Duration::from_secs(5);
/// First and longest pause before connecting again; of it, a random part.
const PAUSE: (Duration, Duration) = (Duration::from_millis(300), Duration::from_secs(20));
/// A session that stood so long begins the pauses anew.
const STOOD: Duration = Duration::from_secs(10);
/// A tap that could not be told for so long is late, whatever the link looked like, in milliseconds.
const LATE_MS: i64 = 5_000;
/// How long the last words may take.
const BYE_WITHIN: Duration = Duration::from_millis(500);

type Socket = TlsStream<TcpStream>;

/// See the module.
pub(super) struct Link {
    settings: Settings,
    clock: Clock,
    tls: Tls,
    node: Token,
    queue: TapQueue,
    started: Instant,
    session: Option<Session>,
    is_up: bool,
    pause: Duration,
    is_known_lost: bool,
}

/// What came of waiting.
enum Step {
    Heard(usize),
    Wrote(usize),
    Tapped(Tap),
    Time,
    End,
}

impl Link {
    pub(super) fn new(
        settings: Settings,
        clock: Clock,
        tls: Tls,
        node: String,
        queue: TapQueue,
    ) -> anyhow::Result<Self> {
        let node = Token::new(&node).map_err(|error| anyhow::anyhow!("the node in our certificate: {error}"))?;
        let started = Instant::now();
        Ok(Self {
            settings,
            clock,
            tls,
            node,
            queue,
            started,
            session: None,
            is_up: false,
            pause: PAUSE.0,
            is_known_lost: false,
        })
    }

    pub(super) async fn run(
        mut self,
        mut taps: mpsc::Receiver<Tap>,
        shutdown: CancellationToken,
    ) -> anyhow::Result<()> {
        loop {
            let opened = self.open(&mut taps, &shutdown).await?;
            let Some(mut socket) = opened else { return Ok(()) };
            let stood = Instant::now();
            let ended = self.talk(&mut socket, &mut taps, &shutdown).await?;
            let (was_up, _) = (std::mem::take(&mut self.is_up), self.session.take());
            let Some(why) = ended else {
                let _ = timeout(BYE_WITHIN, socket.shutdown()).await;
                return Ok(());
            };
            if was_up || !std::mem::replace(&mut self.is_known_lost, true) {
                tracing::warn!(why, waiting = self.queue.waiting(), "agent.link.lost");
                self.is_known_lost = true;
            }
            if was_up && stood.elapsed() > STOOD {
                self.pause = PAUSE.0;
            }
            if !self.rest(&mut taps, &shutdown).await? {
                return Ok(());
            }
        }
    }

    /// A connection, however long it takes; taps are written down meanwhile. `None`: the end.
    async fn open(
        &mut self,
        taps: &mut mpsc::Receiver<Tap>,
        shutdown: &CancellationToken,
    ) -> anyhow::Result<Option<Socket>> {
        loop {
            let (connector, witness) = self.tls.connector(self.settings.gateway.as_str())?;
            let server = self.settings.server.clone();
            let connect = async move {
                let tcp = TcpStream::connect(&server).await?;
                tcp.set_nodelay(true)?;
                let name = rustls::pki_types::ServerName::IpAddress(std::net::Ipv4Addr::LOCALHOST.into());
                connector.connect(name, tcp).await
            };
            let connect = timeout(OPEN_WITHIN, connect);
            tokio::pin!(connect);
            let opened = loop {
                tokio::select! {
                    () = shutdown.cancelled() => return Ok(None),
                    tap = taps.recv() => match tap {
                        Some(tap) => self.keep(tap).await?,
                        None => return Ok(None),
                    },
                    opened = &mut connect => break opened,
                }
            };
            let why = match opened {
                Ok(Ok(socket)) => return Ok(Some(socket)),
                Ok(Err(error)) => {
                    let refused = witness.claim().and_then(|claim| claim.refused.clone());
                    refused.unwrap_or_else(|| error.to_string())
                }
                Err(_) => "no answer in time".to_owned(),
            };
            if !std::mem::replace(&mut self.is_known_lost, true) {
                tracing::warn!(server = self.settings.server, why, "agent.link.refused");
            }
            if !self.rest(taps, shutdown).await? {
                return Ok(None);
            }
        }
    }

    /// Waits before the next attempt; false at the end.
    async fn rest(&mut self, taps: &mut mpsc::Receiver<Tap>, shutdown: &CancellationToken) -> anyhow::Result<bool> {
        let mut random = [0_u8; 1];
        getrandom::fill(&mut random).map_err(|error| anyhow::anyhow!("no random bytes: {error}"))?;
        let until = Instant::now() + self.pause.mul_f64(0.25 + 0.75 * f64::from(random[0]) / 255.0);
        self.pause = (self.pause * 2).min(PAUSE.1);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return Ok(false),
                tap = taps.recv() => match tap {
                    Some(tap) => self.keep(tap).await?,
                    None => return Ok(false),
                },
                () = sleep_until(until) => return Ok(true),
            }
        }
    }

    /// Writes a tap down. Full: the newest is refused, with a sound, and none before it is lost.
    async fn keep(&mut self, tap: Tap) -> anyhow::Result<()> {
        let Ok(credential) = Credential::of_card(&tap.number) else {
            tracing::warn!("agent.card.unsendable");
            return Ok(());
        };
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|error| anyhow::anyhow!("no random bytes: {error}"))?;
        let what = format!("{} {}", credential.format().as_str(), credential.reveal());
        let is_late = !self.is_up;
        let kept = self.queue.push(uuid(tap.at)?.0, tap.at, is_late, &what, Nonce::new(nonce)).await?;
        if kept {
            tracing::info!(late = is_late, waiting = self.queue.waiting(), "agent.tap");
        } else {
            tracing::error!(
                waiting = self.queue.waiting(),
                "agent.queue.full: this tap was refused; is the gateway reachable?"
            );
            // The bell of a terminal: whoever tapped hears that it did not count.
            let _ = io::Write::write_all(&mut io::stderr(), b"\x07");
        }
        Ok(())
    }

    fn now(&self) -> Now {
        Now { mono: self.started.elapsed(), wall: self.clock.now() }
    }

    /// One session; `None`: the end of the program, else why it ended.
    async fn talk(
        &mut self,
        socket: &mut Socket,
        taps: &mut mpsc::Receiver<Tap>,
        shutdown: &CancellationToken,
    ) -> anyhow::Result<Option<String>> {
        let terms = Terms::new(Role::Acs, self.node.clone(), Uuid(self.queue.epoch()));
        let positions = self.positions();
        let random = Box::new(|bytes: &mut [u8]| {
            // Without random bytes the ids of messages would repeat; the gateway then closes, which is seen.
            let _ = getrandom::fill(bytes);
        });
        self.session = Some(Session::connect(terms, positions, self.now(), random));
        let mut buffer = vec![0_u8; 4096];
        let mut unread: Vec<u8> = Vec::new();
        loop {
            if let Some(why) = self.turn(&mut unread).await? {
                return Ok(Some(why));
            }
            let now = self.now();
            let Some(session) = &mut self.session else { return Ok(Some("no session".to_owned())) };
            let out = session.output(now).to_vec();
            let deadline = session.deadline().map(|(at, _)| self.started + at);
            let timer = async {
                match deadline {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let exchange = async {
                let (mut reading, mut writing) = tokio::io::split(&mut *socket);
                tokio::select! {
                    wrote = async { if out.is_empty() { std::future::pending().await } else { writing.write(&out).await } } => {
                        let count = wrote?;
                        writing.flush().await?;
                        Ok::<Step, io::Error>(Step::Wrote(count))
                    }
                    read = reading.read(&mut buffer) => Ok(Step::Heard(read?)),
                }
            };
            let step = tokio::select! {
                biased;
                () = shutdown.cancelled() => Ok(Step::End),
                tap = taps.recv() => Ok(tap.map_or(Step::End, Step::Tapped)),
                step = exchange => step,
                () = timer => Ok(Step::Time),
            };
            match step {
                Err(error) => return Ok(Some(error.to_string())),
                Ok(Step::Heard(0)) => return Ok(Some("the gateway closed the connection".to_owned())),
                Ok(Step::Heard(count)) => unread.extend_from_slice(buffer.get(..count).unwrap_or_default()),
                Ok(Step::Wrote(count)) => {
                    let now = self.now();
                    if let Some(session) = &mut self.session {
                        session.wrote(count, now);
                    }
                }
                Ok(Step::Tapped(tap)) => self.keep(tap).await?,
                Ok(Step::Time) => {}
                Ok(Step::End) => {
                    self.leave(socket).await;
                    return Ok(None);
                }
            }
        }
    }

    fn positions(&self) -> Positions {
        let acked = (self.queue.acked() > 0).then(|| self.queue.acked());
        let held = self.queue.held().map(|(peer, held)| (Uuid(peer), held));
        Positions { last: self.queue.last(), acked, held }
    }

    /// Everything that is due; why it is over, if it is.
    async fn turn(&mut self, unread: &mut Vec<u8>) -> anyhow::Result<Option<String>> {
        loop {
            let now = self.now();
            let Some(session) = &mut self.session else { return Ok(Some("no session".to_owned())) };
            session.set_clock(ClockState::Synced);
            session.set_queued(u32::try_from(self.queue.waiting()).unwrap_or(u32::MAX));
            let taken = if unread.is_empty() { 0 } else { session.receive(unread, now) };
            unread.drain(..taken.min(unread.len()));
            session.tick(now);
            let mut was_something = taken > 0;
            while let Some(event) = self.session.as_mut().and_then(Session::poll_event) {
                was_something = true;
                self.on_event(event).await?;
            }
            if !was_something {
                break;
            }
        }
        self.tell().await?;
        let now = self.now();
        let Some(session) = &mut self.session else { return Ok(Some("no session".to_owned())) };
        if session.is_closed() && session.output(now).is_empty() {
            return Ok(Some("the session is over".to_owned()));
        }
        Ok(None)
    }

    /// Sends what the window takes.
    async fn tell(&mut self) -> anyhow::Result<()> {
        while let Some(seq) = self.session.as_ref().and_then(Session::wants) {
            let Some(tap) = self.queue.tap(seq).await? else { return Ok(()) };
            let now = self.now();
            let body = Body::PassEvent(self.event(&tap, now.wall)?);
            let Some(session) = &mut self.session else { return Ok(()) };
            if let Err(error) = session.send_durable(seq, Uuid(tap.id), None, body, now) {
                tracing::error!(seq, %error, "agent.tap.unsendable");
                return Ok(());
            }
        }
        Ok(())
    }

    /// A tap in the words of the link. What could not be told when it was read is told as refused: it binds nobody.
    fn event(&self, tap: &QueuedTap, now: UtcMillis) -> anyhow::Result<PassEvent> {
        let (format, value) = tap.what.split_once(' ').unwrap_or_default();
        let format = CredFormat::ALL
            .into_iter()
            .find(|known| known.as_str() == format)
            .ok_or_else(|| anyhow::anyhow!("the queue holds a card of an unknown form"))?;
        let credential = Credential::new(format, value).map_err(|error| anyhow::anyhow!("the queue: {error}"))?;
        let is_late = tap.is_late || now.since_ms(tap.at) > LATE_MS;
        let word = |text: &str| Reason::new(text).ok();
        Ok(PassEvent {
            event_id: Token::new(&Uuid(tap.id).to_string()).map_err(|error| anyhow::anyhow!("{error}"))?,
            occurred_at: WireInstant::from_utc(tap.at),
            clock: ClockState::Synced,
            request: None,
            point: self.settings.point.clone(),
            credential: Some(credential),
            person: None,
            direction: Direction::In,
            result: PassResult {
                code: if is_late { PassCode::Denied } else { PassCode::Granted },
                reason: if is_late { word("stale-read") } else { None },
                by: None,
            },
            ext: Vec::new(),
        })
    }

    async fn on_event(&mut self, event: Event) -> anyhow::Result<()> {
        match event {
            Event::Up(agreed) => {
                self.is_up = true;
                self.is_known_lost = false;
                self.queue.follow(agreed.epoch.0, agreed.held).await?;
                tracing::info!(gateway = %agreed.node, waiting = self.queue.waiting(), "agent.link.up");
            }
            Event::Acked { seq } => self.queue.acknowledge(seq).await?,
            Event::Durable(durable) => {
                // There is nothing here that could be ordered; it is taken and done with.
                tracing::info!(seq = durable.seq, "agent.order.passed_over");
                if let Some((peer, _)) = self.queue.held() {
                    self.queue.follow(peer, durable.seq).await?;
                }
                let now = self.now();
                if let Some(session) = &mut self.session {
                    session.committed(durable.seq, now);
                }
            }
            Event::PeerBehind { held, .. } if held < self.queue.acked() => {
                tracing::warn!("agent.gateway.lost_its_journal: numbers begin anew with what waits");
                self.queue.begin_epoch(uuid(self.clock.now())?.0).await?;
                let now = self.now();
                if let (Some(session), Ok(reason)) = (&mut self.session, Reason::new("new-epoch")) {
                    session.bye(reason, None, now);
                }
            }
            Event::Complaint(failure) => tracing::warn!(code = %failure.code, "agent.gateway.complains"),
            Event::Closed(end) => {
                self.is_up = false;
                tracing::debug!(?end, "agent.session.over");
            }
            Event::Skew { ms, .. } => {
                tracing::warn!(ms, "agent.clock: this computer's clock differs from the gateway's")
            }
            Event::Hello(_)
            | Event::EpochChanged { .. }
            | Event::PeerBehind { .. }
            | Event::Message(_)
            | Event::Heartbeat { .. } => {}
        }
        Ok(())
    }

    /// Leaves in order.
    async fn leave(&mut self, socket: &mut Socket) {
        let now = self.now();
        let Some(session) = &mut self.session else { return };
        if let Ok(reason) = Reason::new("shutdown") {
            session.bye(reason, None, now);
        }
        let out = session.output(now).to_vec();
        let _ = timeout(BYE_WITHIN, async {
            socket.write_all(&out).await?;
            socket.flush().await
        })
        .await;
    }
}
