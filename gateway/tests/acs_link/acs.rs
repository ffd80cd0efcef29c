//! The other end: a node that speaks acs-link by the session of `wire`, with its journals in memory. It does what a
//! test says and nothing by itself, but for heartbeats and acknowledgements.

use std::net::SocketAddr;
use std::time::Duration;

use domain::Clock;
use gateway::peer::acs_link::tls::{Tls, explain_io};
use gateway::settings::TlsFiles;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};
use wire::acs_link::message::*;
use wire::acs_link::session::{Durable, Event, Now, Positions, Session, Settings};
use wire::acs_link::{Body, Credential, Instant as At, Msg, Role, Token, Uuid};

use super::rig::{GATE, NODE, PATIENCE, number};

pub trait Bytes: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Bytes for T {}

/// What the node keeps over connections.
pub struct Memory {
    pub node: String,
    pub epoch: Uuid,
    /// What happened here, from number 1 on.
    pub events: Vec<(Uuid, Option<Uuid>, Body)>,
    /// The gateway has everything up to here.
    pub acked: Option<u64>,
    /// The gateway's stream: its epoch and how far it was taken.
    pub held: Option<(Uuid, u64)>,
    /// What it was told.
    pub commands: Vec<Durable>,
}

impl Memory {
    pub fn new() -> Self {
        Self { node: NODE.to_owned(), epoch: uuid(), events: Vec::new(), acked: None, held: None, commands: Vec::new() }
    }

    pub fn push(&mut self, re: Option<Uuid>, body: Body) -> u64 {
        self.events.push((uuid(), re, body));
        self.events.len() as u64
    }
}

pub fn uuid() -> Uuid {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).unwrap();
    Uuid(bytes)
}

pub struct Acs {
    pub memory: Memory,
    pub session: Session,
    pub stream: Box<dyn Bytes>,
    pub clock: Clock,
    /// Whether commands are stored and acknowledged at once.
    pub takes: bool,
    started: Instant,
    unread: Vec<u8>,
}

/// Connects with TLS.
pub async fn dial(address: SocketAddr, files: &TlsFiles, clock: &Clock) -> Result<Box<dyn Bytes>, String> {
    let tls = Tls::load(files, clock).unwrap();
    let (connector, _) = tls.connector("gw-1").unwrap();
    let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
    stream.set_nodelay(true).unwrap();
    let name = ServerName::IpAddress(address.ip().into());
    let stream = timeout(PATIENCE, connector.connect(name, stream)).await.expect("the handshake ends");
    Ok(Box::new(stream.map_err(|error| explain_io(&error))?))
}

impl Acs {
    /// Says Hello over a connection.
    pub fn connect(stream: Box<dyn Bytes>, memory: Memory, clock: &Clock) -> Self {
        let started = Instant::now();
        let node = Token::new(&memory.node).unwrap();
        let positions = Positions { last: memory.events.len() as u64, acked: memory.acked, held: memory.held };
        let now = Now { mono: Duration::ZERO, wall: clock.now() };
        let settings = Settings::new(Role::Acs, node, memory.epoch);
        let random = Box::new(|bytes: &mut [u8]| getrandom::fill(bytes).unwrap());
        let session = Session::connect(settings, positions, now, random);
        Self { memory, session, stream, clock: clock.clone(), takes: true, started, unread: Vec::new() }
    }

    /// Waits for Hello on a connection that the gateway made, and welcomes it.
    pub fn accept(stream: Box<dyn Bytes>, memory: Memory, clock: &Clock) -> Self {
        let started = Instant::now();
        let node = Token::new(&memory.node).unwrap();
        let now = Now { mono: Duration::ZERO, wall: clock.now() };
        let settings = Settings::new(Role::Acs, node, memory.epoch);
        let random = Box::new(|bytes: &mut [u8]| getrandom::fill(bytes).unwrap());
        let session = Session::accept(settings, now, random);
        Self { memory, session, stream, clock: clock.clone(), takes: true, started, unread: Vec::new() }
    }

    /// Writes bytes past the session.
    pub async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// Writes what the session still has to say.
    pub async fn flush(&mut self) {
        let out = self.session.output(self.now()).to_vec();
        self.write(&out).await;
    }

    pub fn now(&self) -> Now {
        Now { mono: self.started.elapsed(), wall: self.clock.now() }
    }

    /// The next event of the session; what is durable is stored and will be acknowledged.
    pub async fn next(&mut self) -> Event {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(event) = self.session.poll_event() {
                self.note(&event);
                return event;
            }
            assert!(Instant::now() < until, "nothing comes any more");
            self.step().await;
        }
    }

    /// One step of the connection: sends what may go, then waits for bytes or time.
    pub async fn step(&mut self) {
        let now = self.now();
        if !self.unread.is_empty() {
            let taken = self.session.receive(&self.unread, now);
            self.unread.drain(..taken);
            if taken > 0 {
                return;
            }
        }
        while let Some(seq) = self.session.wants() {
            let Some((id, re, body)) = self.memory.events.get(seq as usize - 1).cloned() else { break };
            self.session.send_durable(seq, id, re, body, now).unwrap();
        }
        let out = self.session.output(now).to_vec();
        if !out.is_empty() {
            let written = async {
                self.stream.write_all(&out).await?;
                self.stream.flush().await
            };
            // A connection that is gone shows at the next read.
            let _ = written.await;
            self.session.wrote(out.len(), now);
        }
        let deadline = self.session.deadline().map_or(Duration::from_secs(1), |(at, _)| at);
        let mut buffer = [0; 4096];
        tokio::select! {
            read = self.stream.read(&mut buffer) => match read {
                Ok(count) if count > 0 => self.unread.extend_from_slice(&buffer[..count]),
                _ => {
                    // Whatever had come is taken first.
                    let now = self.now();
                    while !self.unread.is_empty() && self.session.receive(&self.unread, now) > 0 {}
                    if !self.session.is_closed() {
                        self.session.bye(wire::acs_link::Reason::new("gone").unwrap(), None, now);
                    }
                }
            },
            () = sleep_until(self.started + deadline) => self.session.tick(self.now()),
        }
    }

    fn note(&mut self, event: &Event) {
        let now = self.now();
        match event {
            Event::Hello(_) => {
                let memory = &self.memory;
                let positions = Positions { last: memory.events.len() as u64, acked: memory.acked, held: memory.held };
                self.session.welcome(positions, now).unwrap();
            }
            Event::Up(agreed) => self.memory.held = Some((agreed.epoch, agreed.held)),
            Event::Acked { seq } => self.memory.acked = Some(*seq),
            Event::Durable(message) if self.takes => {
                self.memory.commands.push(message.clone());
                self.memory.held.as_mut().unwrap().1 = message.seq;
                self.session.committed(message.seq, now);
            }
            _ => {}
        }
    }

    /// Waits for an event that fits.
    pub async fn until<T>(&mut self, what: &str, mut fits: impl FnMut(Event) -> Option<T>) -> T {
        let waiting = async {
            loop {
                let event = self.next().await;
                let seen = format!("{event:?}");
                if let Some(found) = fits(event) {
                    return found;
                }
                assert!(!seen.starts_with("Closed"), "no {what}, but {seen}");
            }
        };
        timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("no {what}"))
    }

    /// Waits until the session stands.
    pub async fn up(&mut self) {
        self.until("welcome", |event| matches!(event, Event::Up(_)).then_some(())).await;
    }

    /// Waits until the gateway has stored everything up to `seq`.
    pub async fn acked(&mut self, seq: u64) {
        if self.memory.acked.is_some_and(|acked| acked >= seq) {
            return;
        }
        let what = format!("acknowledgement of {seq}");
        self.until(&what, |event| matches!(event, Event::Acked { seq: acked } if acked >= seq).then_some(())).await;
    }

    /// Goes on with heartbeats and acknowledgements until something has come about elsewhere.
    pub async fn idle_until(&mut self, mut came: impl FnMut() -> bool) {
        let until = Instant::now() + PATIENCE;
        while !came() {
            assert!(Instant::now() < until, "it never comes about");
            let _ = timeout(Duration::from_millis(20), self.step()).await;
            while let Some(event) = self.session.poll_event() {
                self.note(&event);
            }
        }
    }

    /// Waits for the end, and says how it was.
    pub async fn end(&mut self) -> wire::acs_link::session::End {
        self.until("end", |event| if let Event::Closed(end) = event { Some(end) } else { None }).await
    }

    /// Waits for the next command.
    pub async fn command(&mut self) -> Msg {
        self.until("command", |event| if let Event::Durable(message) = event { Some(*message.msg) } else { None }).await
    }

    /// Asks whether a card may pass.
    pub fn ask(&mut self, card: &str, direction: Direction, within_ms: u32) -> Uuid {
        let now = self.now();
        let request = AccessRequest {
            occurred_at: At::from_utc(now.wall),
            answer_within_ms: within_ms,
            fallback: Verdict::Deny,
            point: Token::new(GATE).unwrap(),
            credential: Credential::of_card(&number(card)).unwrap(),
            direction,
            ext: Vec::new(),
        };
        self.session.send(None, Body::AccessRequest(request), now).unwrap()
    }

    /// Waits for the answer to a question.
    pub async fn answer(&mut self, request: Uuid) -> AccessDecision {
        self.until("answer", |event| match event {
            Event::Message(msg) if msg.re == Some(request) => match msg.body {
                Body::AccessDecision(decision) => Some(decision),
                _ => None,
            },
            _ => None,
        })
        .await
    }

    /// Reports what happened to somebody.
    pub fn pass(&mut self, event_id: &str, card: Option<&str>, code: PassCode, request: Option<Uuid>) -> u64 {
        let at = At::from_utc(self.clock.now());
        let by = if request.is_some() { Source::Server } else { Source::OfflineCache };
        self.memory.push(None, pass_event(event_id, GATE, card, code, request, by, at))
    }

    /// The connection breaks off; what it remembers is kept.
    pub fn cut(self) -> Memory {
        self.memory
    }
}

pub fn pass_event(
    event_id: &str,
    point: &str,
    card: Option<&str>,
    code: PassCode,
    request: Option<Uuid>,
    by: Source,
    at: At,
) -> Body {
    Body::PassEvent(PassEvent {
        event_id: Token::new(event_id).unwrap(),
        occurred_at: at,
        clock: ClockState::Synced,
        request,
        point: Token::new(point).unwrap(),
        credential: card.map(|card| Credential::of_card(&number(card)).unwrap()),
        person: None,
        direction: Direction::In,
        result: PassResult { code, reason: None, by: Some(by) },
        ext: Vec::new(),
    })
}
