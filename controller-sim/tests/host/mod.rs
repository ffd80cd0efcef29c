//! A gateway's end of acs-link for tests: the gateway's role of `wire` on a plain socket. Decides as it is told, keeps
//! what was reported, sends commands. What a gateway keeps on disk survives here in memory.

#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use domain::UtcMillis;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use wire::acs_link::message::{AccessDecision, Role, Verdict};
use wire::acs_link::session::{End, Event, Now, Positions, Session, Settings};
use wire::acs_link::{self as acs, Body, Msg, Reason, Token, Uuid};

/// What a test waits for at most; reached only when something is broken.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// The time that is "now" for everybody in these tests when they start.
pub const NOW: UtcMillis = UtcMillis(1_792_000_000_000);

/// What the host does with questions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Grant,
    Deny,
    Silence,
}

/// What a gateway would keep, and what the test looks at.
#[derive(Debug, Default)]
pub struct Kept {
    pub epoch: u8,
    pub held: Option<(Uuid, u64)>,
    pub events: Vec<Msg>,
    pub commands: VecDeque<(u64, Uuid, Body)>,
    pub last_command: u64,
    pub acked: Option<u64>,
    pub answer: Option<Answer>,
    pub ends: Vec<End>,
    pub sessions: u32,
    pub beats: Vec<acs::message::ClockState>,
}

/// The other end.
#[derive(Clone)]
pub struct Host {
    pub port: u16,
    kept: Arc<Mutex<Kept>>,
    changed: Arc<watch::Sender<u64>>,
}

impl Host {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let host = Self { port, kept: Arc::default(), changed: Arc::new(watch::channel(0).0) };
        let mine = host.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(mine.clone().serve(stream, false));
            }
        });
        host
    }

    /// Connects to a controller that listens.
    pub async fn dial(&self, port: u16) {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        tokio::spawn(self.clone().serve(stream, true));
    }

    pub fn with<T>(&self, look: impl FnOnce(&mut Kept) -> T) -> T {
        let value = look(&mut self.kept.lock().unwrap());
        self.changed.send_modify(|count| *count += 1);
        value
    }

    pub fn answer(&self, answer: Answer) {
        self.with(|kept| kept.answer = Some(answer));
    }

    /// Queues a command; gives the id that its result will answer.
    pub fn command(&self, body: Body) -> Uuid {
        self.with(|kept| {
            kept.last_command += 1;
            let id = Uuid([kept.epoch, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, kept.last_command as u8]);
            kept.commands.push_back((kept.last_command, id, body));
            id
        })
    }

    /// Waits until what is kept is as wanted.
    pub async fn until<T>(&self, what: &str, mut look: impl FnMut(&Kept) -> Option<T>) -> T {
        let mut changed = self.changed.subscribe();
        let waiting = async {
            loop {
                if let Some(found) = look(&self.kept.lock().unwrap()) {
                    return found;
                }
                changed.changed().await.unwrap();
            }
        };
        match timeout(PATIENCE, waiting).await {
            Ok(found) => found,
            Err(_) => panic!("{what}: not within {PATIENCE:?}; kept: {:#?}", self.kept.lock().unwrap()),
        }
    }

    /// The result of a command: its status and code.
    pub async fn result(&self, id: Uuid) -> (String, Option<String>) {
        self.until("the result of a command", |kept| {
            kept.events.iter().find(|msg| msg.re == Some(id)).map(|msg| match &msg.body {
                Body::CredentialResult(result) | Body::ControlResult(result) => {
                    (result.status.to_string(), result.code.as_ref().map(ToString::to_string))
                }
                other => panic!("{:?} answers a command", other.kind()),
            })
        })
        .await
    }

    /// The passes reported so far: code, who decided, reason.
    pub fn passes(&self) -> Vec<String> {
        self.with(|kept| kept.events.iter().filter_map(pass).collect())
    }

    /// Waits for so many reported passes.
    pub async fn passed(&self, count: usize) -> Vec<String> {
        self.until(&format!("{count} passes"), |kept| {
            let passes: Vec<String> = kept.events.iter().filter_map(pass).collect();
            (passes.len() >= count).then_some(passes)
        })
        .await
    }

    async fn serve(self, mut stream: TcpStream, connects: bool) {
        let started = Instant::now();
        let now = || {
            let mono = started.elapsed();
            Now { mono, wall: NOW.plus_ms(i64::try_from(mono.as_millis()).unwrap()) }
        };
        let epoch = Uuid([7 + self.with(|kept| kept.epoch); 16]);
        let mut settings = Settings::new(Role::Gw, Token::new("gw").unwrap(), epoch);
        settings.heartbeat = Duration::from_secs(1);
        settings.window = 4;
        let random = Box::new(|bytes: &mut [u8]| fastrand::fill(bytes));
        let positions = self.with(|kept| Positions { last: kept.last_command, acked: kept.acked, held: kept.held });
        let mut session = match connects {
            true => Session::connect(settings, positions, now(), random),
            false => Session::accept(settings, now(), random),
        };
        let mut changed = self.changed.subscribe();
        let mut buffer = [0; 4096];
        loop {
            while let Some(event) = session.poll_event() {
                self.take(&mut session, event, now());
            }
            while let Some((seq, id, body)) = session
                .wants()
                .and_then(|seq| self.kept.lock().unwrap().commands.iter().find(|(number, ..)| *number == seq).cloned())
            {
                session.send_durable(seq, id, None, body, now()).unwrap();
            }
            let out = session.output(now()).to_vec();
            if !out.is_empty() {
                if stream.write_all(&out).await.is_err() {
                    return;
                }
                session.wrote(out.len(), now());
                continue;
            }
            if session.is_closed() {
                return;
            }
            let wake =
                session.deadline().map_or(Duration::from_secs(1), |(at, _)| at.saturating_sub(started.elapsed()));
            tokio::select! {
                read = stream.read(&mut buffer) => match read {
                    Ok(len) if len > 0 => {
                        let mut rest = &buffer[..len];
                        while !rest.is_empty() {
                            let taken = session.receive(rest, now());
                            rest = &rest[taken..];
                            while let Some(event) = session.poll_event() {
                                self.take(&mut session, event, now());
                            }
                        }
                    }
                    _ => return,
                },
                _ = changed.changed() => {}
                () = tokio::time::sleep(wake) => session.tick(now()),
            }
        }
    }

    fn take(&self, session: &mut Session, event: Event, now: Now) {
        self.with(|kept| match event {
            Event::Hello(_) => {
                let positions = Positions { last: kept.last_command, acked: kept.acked, held: kept.held };
                session.welcome(positions, now).unwrap();
            }
            Event::Up(agreed) => {
                kept.sessions += 1;
                if kept.held.is_none_or(|(epoch, _)| epoch != agreed.epoch) {
                    kept.held = Some((agreed.epoch, 0));
                }
            }
            Event::Acked { seq } => {
                kept.acked = Some(seq);
                kept.commands.retain(|(number, ..)| *number > seq);
            }
            Event::Durable(durable) => {
                let (_, held) = kept.held.as_mut().unwrap();
                assert_eq!(durable.seq, *held + 1, "in order, without a gap");
                *held = durable.seq;
                kept.events.push(*durable.msg);
                session.committed(durable.seq, now);
            }
            Event::Message(msg) => {
                let verdict = match kept.answer {
                    Some(Answer::Grant) => Verdict::Grant,
                    Some(Answer::Deny) => Verdict::Deny,
                    Some(Answer::Silence) | None => return,
                };
                let decision = AccessDecision {
                    decision: verdict,
                    reason: Reason::new(if verdict == Verdict::Grant { "allowed" } else { "blocked" }).unwrap(),
                    valid_until: acs::Instant::from_utc(now.wall.plus_ms(3000)),
                    show: None,
                };
                session.send(Some(msg.id), Body::AccessDecision(decision), now).unwrap();
            }
            Event::Heartbeat { clock, .. } => kept.beats.push(clock),
            Event::Closed(end) => kept.ends.push(end),
            Event::EpochChanged { .. } | Event::PeerBehind { .. } | Event::Skew { .. } | Event::Complaint(_) => {}
        });
    }
}

fn pass(msg: &Msg) -> Option<String> {
    let Body::PassEvent(event) = &msg.body else { return None };
    let asked = if event.request.is_some() { " asked" } else { "" };
    let by = event.result.by.map_or("-", |by| by.as_str());
    let reason = event.result.reason.as_ref().map_or("-", Reason::as_str);
    Some(format!("{} {} {by} {reason}{asked}", event.direction, event.result.code))
}
