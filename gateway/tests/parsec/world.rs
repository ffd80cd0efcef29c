//! A simulated ParsecNET server and the gateway's peer task for it, with a journal in a temporary folder. The test plays
//! the decision core: it keeps what the task tells, makes batches durable, and answers questions.

use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use controller_sim::Walk;
use controller_sim::parsec::{Door, Handle, ParsecServer, Settings};
use domain::card::{self, CardFormat, CardKey, CardNumber, SealKey};
use domain::equipment::Peer as PeerStatus;
use domain::ids::*;
use domain::pin::PinKey;
use domain::policy::*;
use domain::{Clock, Epoch, Reason, UtcMillis};
use gateway::core::SiteKeys;
use gateway::line::*;
use gateway::peer::{self, PeerContext, acs_link::Switchboard, push::PushBoard};
use gateway::settings::{self, Cache, ParsecDialect, Password, PeerProtocol, PeerReader, PeerSettings, Place};
use store::journal::Journal;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use wire::parsec::{CardForm, Code, Guid};

/// What a test waits for at most; reached only when something is broken.
pub const PATIENCE: Duration = Duration::from_secs(40);
pub const HALL: Guid = Guid::of(0xD000_0001);
pub const YARD: Guid = Guid::of(0xD000_0002);
pub const PEER: &str = "parsec-1";

pub fn through() -> Walk {
    Walk::Through { after: Duration::ZERO, followers: 0, hold: Duration::ZERO }
}

pub fn number(text: &str) -> CardNumber {
    card::parse(CardFormat::FacilityNumber, text).unwrap()
}

pub fn code(text: &str) -> Code {
    Code::of(&number(text), CardForm::Wiegand).unwrap()
}

/// A clock that runs, and that a test can put forward.
#[derive(Clone)]
pub struct Time {
    started: Instant,
    ahead_ms: Arc<AtomicI64>,
}

impl Time {
    fn new() -> Self {
        Self { started: Instant::now(), ahead_ms: Arc::default() }
    }

    pub fn clock(&self) -> Clock {
        let this = self.clone();
        Clock::new(move || {
            let base = UtcMillis::from_rfc3339("2026-11-21T10:00:00Z").unwrap();
            let elapsed = i64::try_from(this.started.elapsed().as_millis()).unwrap();
            base.plus_ms(elapsed + this.ahead_ms.load(Ordering::Relaxed))
        })
    }

    pub fn put_forward(&self, by: Duration) {
        self.ahead_ms.fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::Relaxed);
    }
}

/// What the task told, in order.
#[derive(Debug, Default)]
pub struct Heard {
    pub opened: usize,
    pub closed: Vec<String>,
    pub passages: Vec<Passage>,
    pub alarms: Vec<(Reason, String)>,
    pub online: Vec<(String, bool)>,
    pub asked: Vec<(String, u64)>,
    pub status: Option<PeerStatus>,
}

impl Heard {
    pub fn happened(&self) -> Vec<(String, Happened)> {
        self.passages.iter().map(|passage| (passage.reader.to_string(), passage.what)).collect()
    }
}

pub struct World {
    pub time: Time,
    pub server: Option<ParsecServer>,
    pub sim: Handle,
    pub policy: watch::Sender<Option<Arc<Policy>>>,
    pub heard: Arc<Mutex<Heard>>,
    /// How questions are answered; `None`: not at all.
    pub allow: Arc<Mutex<Option<bool>>>,
    pub peer: settings::ParsecServer,
    pub settings: PeerSettings,
    pub push: Arc<PushBoard>,
    pub shutdown: CancellationToken,
    pub folder: tempfile::TempDir,
    pub running: Option<Running>,
}

pub struct Running {
    pub orders: mpsc::Sender<LineOrder>,
    journal: Journal,
    cancel: CancellationToken,
    task: JoinHandle<()>,
    hearing: JoinHandle<()>,
}

fn reader(name: &str, point: &str, direction: Direction, at: Guid) -> PeerReader {
    let point = Some(PointId::new(point).unwrap());
    let place = Place { reader: ReaderId::new(name).unwrap(), point, direction, uid_reversed: false };
    PeerReader { place, at: at.to_string() }
}

pub fn keys() -> SiteKeys {
    SiteKeys { card: CardKey::new([7; 32]), pin: PinKey::new([8; 32]), numbers: SealKey::new([9; 32]) }
}

/// A policy with these cards; a card is active unless its name is followed by another state.
pub fn policy(version: u64, cards: &[(&str, u8, PassKind, PassState)]) -> Arc<Policy> {
    Arc::new(Policy::compile(source(version, cards), 1).unwrap())
}

/// What [`policy`] is made of.
pub fn source(version: u64, cards: &[(&str, u8, PassKind, PassState)]) -> PolicySource {
    let keys = keys();
    let credential = |(text, person, kind, state): &(&str, u8, PassKind, PassState)| {
        let number = number(text);
        Credential {
            card: keys.card.id(&number),
            person: PersonId([*person; 16]),
            category: 0,
            kind: *kind,
            state: *state,
            one_time: kind.is_one_time_by_default(),
            valid_from: None,
            valid_until: None,
            pin: None,
            duress_pin: None,
            number: Some(keys.numbers.seal(&number)),
        }
    };
    let point = |name: &str| {
        let (street, hall) = (ZoneId::new("street").unwrap(), ZoneId::new("hall").unwrap());
        Point::new(PointId::new(name).unwrap(), PointKind::Turnstile, street, hall)
    };
    let mut layout = Layout {
        version,
        built_at: UtcMillis::from_rfc3339("2026-11-21T10:00:00Z").unwrap(),
        categories: vec![CategoryId::new("staff").unwrap()],
        points: vec![point("hall"), point("yard")],
        ..Layout::empty()
    };
    layout.complete_zones();
    PolicySource { layout, credentials: cards.iter().map(credential).collect(), grants: Vec::new() }
}

impl World {
    /// A server with two doors, and a peer that is not started yet.
    pub async fn new(change: impl FnOnce(&mut Settings)) -> Self {
        let (time, shutdown) = (Time::new(), CancellationToken::new());
        let door = |id, name: &str| Door { id, name: name.to_owned(), verify: false };
        let mut settings = Settings::new(time.clock(), vec![door(HALL, "Холл"), door(YARD, "Двор")]);
        change(&mut settings);
        let server = ParsecServer::start(settings, &shutdown).await.unwrap();
        let peer = settings::ParsecServer {
            url: server.url(),
            domain: "SYSTEM".into(),
            user: "parsec".into(),
            password: Password::new("parsec".into()),
            org_unit: None,
            subscribe: false,
            verify: false,
            poll: Duration::from_millis(100),
            certificate: None,
            dialect: ParsecDialect {
                access_group: Some(controller_sim::parsec::ACCESS_GROUP.to_string()),
                ..ParsecDialect::default()
            },
        };
        let readers = vec![
            reader("hall-in", "hall", Direction::In, HALL),
            reader("hall-out", "hall", Direction::Out, HALL),
            reader("yard-in", "yard", Direction::In, YARD),
        ];
        let settings = PeerSettings {
            id: LineId::new(PEER).unwrap(),
            protocol: PeerProtocol::Parsec(peer.clone()),
            readers,
            cache: Cache::Nobody,
            reports_passage: true,
        };
        Self {
            time,
            sim: server.handle(),
            server: Some(server),
            policy: watch::Sender::new(None),
            heard: Arc::default(),
            allow: Arc::new(Mutex::new(None)),
            peer,
            settings,
            push: Arc::default(),
            shutdown,
            folder: tempfile::tempdir().unwrap(),
            running: None,
        }
    }

    /// The usual one, started and signed in.
    pub async fn started() -> Self {
        let mut world = Self::new(|_| {}).await;
        world.start().await;
        world
    }

    /// Starts the peer's task and waits until it is signed in.
    pub async fn start(&mut self) {
        let before = self.heard.lock().unwrap().opened;
        self.start_only().await;
        self.until("it is signed in", |heard| heard.opened > before).await;
    }

    pub async fn start_only(&mut self) {
        let gateway = GatewayId::new("gw-1").unwrap();
        let clock = self.time.clock();
        let path = self.folder.path().join("journal.db");
        let journal = open(&path, &gateway, &clock).await;
        let context = Arc::new(PeerContext {
            clock,
            journal: journal.clone(),
            policy: self.policy.subscribe(),
            keys: Arc::new(keys()),
            site: SiteId::new("clinic-1").unwrap(),
            gateway,
            acs_link: Switchboard::default(),
            push: Arc::clone(&self.push),
        });
        let (events, facts) = mpsc::channel(EVENTS_MAX);
        let (orders, queue) = mpsc::channel(ORDERS_MAX);
        let cancel = CancellationToken::new();
        let teller = Teller::new(self.settings.id.clone(), events);
        let task = peer::parsec::run(self.peer.clone(), self.settings.clone(), teller, queue, context, cancel.clone());
        let task = tokio::spawn(task);
        let hearing = hear(facts, journal.clone(), Arc::clone(&self.heard), Arc::clone(&self.allow), orders.clone());
        self.running = Some(Running { orders, journal, cancel, task, hearing: tokio::spawn(hearing) });
    }

    /// Ends the task as at the end of the gateway.
    pub async fn stop(&mut self) {
        let Some(running) = self.running.take() else { return };
        running.cancel.cancel();
        timeout(PATIENCE, running.task).await.expect("the task ends").unwrap();
        running.hearing.abort();
        let _ = running.hearing.await;
        running.journal.close().await;
    }

    /// Drops the task wherever it is, as a crash would.
    pub async fn crash(&mut self) {
        let Some(running) = self.running.take() else { return };
        running.task.abort();
        let _ = running.task.await;
        running.hearing.abort();
        let _ = running.hearing.await;
        running.journal.close().await;
    }

    pub async fn order(&self, reader: &str, what: ReaderOrder) {
        let order = LineOrder { reader: ReaderId::new(reader).unwrap(), what };
        self.running.as_ref().unwrap().orders.send(order).await.unwrap();
    }

    /// Waits until what was heard is as wanted.
    pub async fn until(&self, what: &str, mut wanted: impl FnMut(&Heard) -> bool) {
        self.until_true(what, || wanted(&self.heard.lock().unwrap())).await;
    }

    pub async fn until_true(&self, what: &str, mut wanted: impl FnMut() -> bool) {
        let look = async {
            while !wanted() {
                sleep(Duration::from_millis(10)).await;
            }
        };
        if timeout(PATIENCE, look).await.is_err() {
            panic!("it does not happen that {what}; heard: {:#?}", self.heard.lock().unwrap());
        }
    }

    /// Waits until the server was asked for events `times` more: what there was is known then.
    pub async fn looked(&self, times: u64) {
        let wanted = self.sim.calls("CloseEventHistorySession") + times;
        self.until_true("it looks", || self.sim.calls("CloseEventHistorySession") >= wanted).await;
    }

    pub fn alarms(&self, reason: Reason) -> Vec<String> {
        let heard = self.heard.lock().unwrap();
        heard.alarms.iter().filter(|(is, _)| *is == reason).map(|(_, detail)| detail.clone()).collect()
    }
}

async fn open(path: &Path, gateway: &GatewayId, clock: &Clock) -> Journal {
    Journal::open(path, gateway.clone(), Epoch([5; 16]), clock).await.unwrap()
}

/// What the core does with what a peer tells.
pub async fn hear(
    mut facts: mpsc::Receiver<LineEvent>,
    journal: Journal,
    heard: Arc<Mutex<Heard>>,
    allow: Arc<Mutex<Option<bool>>>,
    orders: mpsc::Sender<LineOrder>,
) {
    while let Some(event) = facts.recv().await {
        match event.what {
            LineFact::Opened { .. } => heard.lock().unwrap().opened += 1,
            LineFact::Closed { why } => heard.lock().unwrap().closed.push(why),
            LineFact::Notice { reason, detail } => heard.lock().unwrap().alarms.push((reason, detail)),
            LineFact::Peer(status) => heard.lock().unwrap().status = Some(*status),
            LineFact::Counters(_) => {}
            LineFact::Happened(batch) => {
                assert!(batch.reports.len() <= BATCH_MAX_REPORTS);
                if let Some(mark) = batch.mark {
                    journal.append_marked(Vec::new(), mark).unwrap().await.unwrap();
                }
                {
                    let mut heard = heard.lock().unwrap();
                    for report in batch.reports {
                        match report {
                            Report::Passage(passage) => heard.passages.push(passage),
                            Report::Alarm { reason, detail, .. } => {
                                heard.alarms.push((reason, detail.unwrap_or_default()));
                            }
                            Report::State { .. } => {}
                        }
                    }
                }
                let _ = batch.done.send(());
            }
            LineFact::Reader(reader, fact) => match fact {
                ReaderFact::Online => heard.lock().unwrap().online.push((reader.to_string(), true)),
                ReaderFact::Offline(_) => heard.lock().unwrap().online.push((reader.to_string(), false)),
                ReaderFact::Alarm(reason, detail) => {
                    heard.lock().unwrap().alarms.push((reason, detail.unwrap_or_default()));
                }
                ReaderFact::Asked { number, ask, .. } => {
                    number.unwrap();
                    heard.lock().unwrap().asked.push((reader.to_string(), ask.no));
                    let answer = *allow.lock().unwrap();
                    if let Some(granted) = answer {
                        let (reason, release) = (Reason::Allowed, Duration::from_secs(3));
                        let what = ReaderOrder::Answer { ask: ask.no, granted, reason, release };
                        orders.send(LineOrder { reader, what }).await.unwrap();
                    }
                }
                _ => {}
            },
        }
    }
}
