//! A gateway with one simulated terminal, its journal in a temporary folder, and a clock that tests may put forward.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bus::{Party, local::Hub};
use controller_sim::hikvision::{DeviceSettings, HikvisionDevice};
use domain::card::{CardKey, SealKey};
use domain::ids::*;
use domain::pin::PinKey;
use domain::policy::*;
use domain::{Clock, Draft, Kind, Reason, UtcMillis};
use gateway::core::{Request, SiteKeys};
use gateway::settings::{
    self, Cache, DeviceEvents, GatewaySettings, OnFault, Password, PeerProtocol, PeerReader, PeerSettings, Place,
    PointSettings, PushListener,
};
use gateway::{Gateway, Parts};
use store::journal::Journal;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use wire::bus::{Action, KeyRing, LinkKey};
use wire::isapi::card::CardForm;

/// What a test waits for at most; reached only when something is broken.
const PATIENCE: Duration = Duration::from_secs(30);
/// Cards as the device writes them.
pub const GOOD: &str = "3735928559";
pub const BLOCKED: &str = "1122334455";
pub const STRANGE: &str = "999999999";

pub fn point() -> PointId {
    PointId::new("turnstile-1").unwrap()
}

pub struct Setup {
    pub events: DeviceEvents,
    pub online: bool,
    pub cache: Cache,
    pub device: Box<dyn Fn(&mut DeviceSettings) + Send>,
    /// Wait until the device is found.
    pub present: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self { events: DeviceEvents::Push, online: true, cache: Cache::Nobody, device: Box::new(|_| {}), present: true }
    }
}

pub struct Rig {
    pub device: HikvisionDevice,
    pub journal: Journal,
    gateway: Gateway,
    requests: tokio::sync::mpsc::Sender<Request>,
    shutdown: CancellationToken,
    folder: tempfile::TempDir,
    time: Arc<AtomicI64>,
    staff: bool,
}

fn keys() -> SiteKeys {
    SiteKeys { card: CardKey::new([7; 32]), pin: PinKey::new([8; 32]), numbers: SealKey::new([9; 32]) }
}

/// A policy in which these cards are active and the others blocked.
fn policy(version: u64, active: &[&str]) -> PolicySource {
    let credential = |text: &str, person: u8| {
        let number = CardForm::UidDecimal.read(text, false).unwrap();
        let state = if active.contains(&text) { PassState::Active } else { PassState::Blocked };
        Credential {
            card: keys().card.id(&number),
            person: PersonId([person; 16]),
            category: 0,
            kind: PassKind::Staff,
            state,
            one_time: false,
            valid_from: None,
            valid_until: None,
            pin: None,
            duress_pin: None,
            number: Some(keys().numbers.seal(&number)),
        }
    };
    let zone = |name| ZoneId::new(name).unwrap();
    let built_at = UtcMillis::from_rfc3339("2026-11-21T10:00:00Z").unwrap();
    let mut layout = Layout {
        version,
        built_at,
        categories: vec![CategoryId::new("staff").unwrap()],
        points: vec![Point::new(point(), PointKind::Turnstile, zone("street"), zone("hall"))],
        ..Layout::empty()
    };
    layout.complete_zones();
    PolicySource { layout, credentials: vec![credential(GOOD, 1), credential(BLOCKED, 2)], grants: Vec::new() }
}

pub fn keep_policy(folder: &tempfile::TempDir, version: u64, active: &[&str]) {
    let bytes = wire::snapshot::encode(&policy(version, active)).unwrap();
    gateway::snapshot::keep(&folder.path().join("policy.bin"), &bytes).unwrap();
}

async fn free_port() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

fn told(url: String, push: SocketAddr, setup: &Setup) -> GatewaySettings {
    let place = |id: &str, direction| Place {
        reader: ReaderId::new(id).unwrap(),
        point: Some(point()),
        direction,
        uid_reversed: false,
    };
    let wiring = PointSettings {
        kind: PointKind::Turnstile,
        on_fault: OnFault::Secure,
        release: Duration::from_secs(3),
        held: Duration::from_secs(30),
        output: 0,
        contact_input: None,
        exit_input: None,
        fire_input: None,
        interlock: None,
    };
    let device = settings::HikvisionDevice {
        url,
        user: "admin".into(),
        password: Password::new("a password of 1 device".into()),
        events: setup.events,
        online: setup.online,
        set_time: true,
        cards: CardForm::UidDecimal,
        certificate: None,
    };
    GatewaySettings {
        site: SiteId::new("clinic-1").unwrap(),
        gateway: GatewayId::new("gw-1").unwrap(),
        points: BTreeMap::from([(point(), wiring)]),
        lines: Vec::new(),
        peers: vec![PeerSettings {
            id: LineId::new("terminal").unwrap(),
            protocol: PeerProtocol::Hikvision(device),
            readers: vec![
                PeerReader { place: place("in", Direction::In), at: "1/1".into() },
                PeerReader { place: place("out", Direction::Out), at: "1/2".into() },
            ],
            cache: setup.cache,
            reports_passage: true,
        }],
        acs_link: None,
        push: Some(PushListener { listen: push, address: format!("http://{push}") }),
        journal_stall: Duration::from_millis(2000),
        stale_after: Duration::from_secs(3),
        policy_max_age: None,
        wrong_pins: 3,
        pin_lock: Duration::from_secs(300),
    }
}

impl Rig {
    pub async fn start(setup: Setup) -> Self {
        let folder = tempfile::tempdir().unwrap();
        keep_policy(&folder, 1, &[GOOD]);
        let time = Arc::new(AtomicI64::new(UtcMillis::from_rfc3339("2026-11-21T10:00:00Z").unwrap().0));
        let mut device = DeviceSettings::new(clock(&time));
        device.heartbeat = Duration::from_millis(500);
        (setup.device)(&mut device);
        let device = HikvisionDevice::start(device).await.unwrap();
        Self::run(device, folder, time, setup).await
    }

    pub async fn again(device: HikvisionDevice, folder: tempfile::TempDir, setup: Setup) -> Self {
        let time = Arc::new(AtomicI64::new(UtcMillis::from_rfc3339("2026-11-21T10:00:00Z").unwrap().0));
        Self::run(device, folder, time, setup).await
    }

    async fn run(device: HikvisionDevice, folder: tempfile::TempDir, time: Arc<AtomicI64>, setup: Setup) -> Self {
        let push = free_port().await;
        let settings = told(device.url(), push, &setup);
        let clock = clock(&time);
        let hub = Hub::new();
        let path = folder.path().join("journal.db");
        let journal = Journal::open(&path, settings.gateway.clone(), Epoch([9; 16]), &clock).await.unwrap();
        let shutdown = CancellationToken::new();
        let parts = Parts {
            link: hub.join(Party::Gateway(settings.gateway.clone())),
            settings,
            keys: keys(),
            journal: journal.clone(),
            down_keys: KeyRing::new(vec![LinkKey::new("k1", *b"a key that only tests would use!").unwrap()]).unwrap(),
            clock,
            policy_file: folder.path().join("policy.bin"),
            software: "test".into(),
        };
        let gateway = Gateway::start(parts, shutdown.clone()).await.unwrap();
        let requests = gateway.requests();
        let staff = setup.cache != Cache::Nobody;
        let rig = Self { device, journal, gateway, requests, shutdown, folder, time, staff };
        if setup.present {
            rig.until(0, Kind::Online).await;
            poll(|| rig.device.is_heard() && rig.device.asks() == setup.online).await;
            // The first event fixes our place in the device's journal.
            rig.device.happen(wire::isapi::codes::MAJOR_OPERATION, 0x70, 0);
            rig.taken_in().await;
        }
        rig
    }

    /// The device has been told of those who may pass without us, or somebody did it by hand.
    pub async fn know_staff(&self) {
        if self.staff {
            poll(|| self.device.knows() == (1, 1)).await;
        } else {
            self.device.teach(GOOD, &PersonId([1; 16]).to_string(), 1);
        }
    }

    pub async fn put_policy(&self, version: u64, active: &[&str]) {
        let policy = Policy::compile(policy(version, active), 1).unwrap();
        self.requests.send(Request::Policy(Arc::new(policy), None)).await.unwrap();
    }

    pub async fn command(&self, action: Action) {
        let (answer, answered) = tokio::sync::oneshot::channel();
        let command = Request::Command { action, actor: "guard".into(), reason: None, answer };
        self.requests.send(command).await.unwrap();
        answered.await.unwrap();
    }

    /// Time goes by.
    pub fn later(&self, by: Duration) {
        self.time.fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::Relaxed);
    }

    /// Waits until everything that the device has recorded is in our journal; gives its last number.
    pub async fn taken_in(&self) -> u64 {
        let peer = LineId::new("terminal").unwrap();
        let wait = async {
            loop {
                let last = self.device.last_serial();
                let position = self.journal.position(&peer).await.unwrap();
                if position.is_some_and(|position| position.seq == last) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        if timeout(PATIENCE, wait).await.is_err() {
            let position = self.journal.position(&peer).await.unwrap();
            panic!(
                "the device is at {}, we are at {position:?}: {:#?}",
                self.device.last_serial(),
                self.facts(0).await
            );
        }
        self.journal.last_seq()
    }

    pub async fn facts(&self, seq: u64) -> Vec<Draft> {
        self.journal.read_after(seq, 5000).await.unwrap().into_iter().map(|entry| entry.fact).collect()
    }

    pub async fn count(&self, kind: Kind) -> usize {
        self.facts(0).await.iter().filter(|fact| fact.kind == kind).count()
    }

    /// Waits until the journal has a fact of this kind after `seq`; gives all facts after `seq` up to it.
    pub async fn until(&self, seq: u64, wanted: Kind) -> Vec<Draft> {
        self.find(seq, |fact| fact.kind == wanted, wanted.as_str()).await
    }

    /// Waits for an alarm; gives its detail.
    pub async fn alarm(&self, seq: u64, reason: Reason) -> String {
        let is = |fact: &Draft| fact.kind == Kind::Alarm && fact.reason == Some(reason);
        let facts = self.find(seq, is, reason.as_str()).await;
        facts.last().unwrap().detail.clone().unwrap_or_default()
    }

    async fn find(&self, seq: u64, is: impl Fn(&Draft) -> bool, what: &str) -> Vec<Draft> {
        let mut last = self.journal.watch_last();
        let look = async {
            loop {
                let facts = self.facts(seq).await;
                if let Some(at) = facts.iter().position(&is) {
                    return facts[..=at].to_vec();
                }
                last.changed().await.unwrap();
            }
        };
        match timeout(PATIENCE, look).await {
            Ok(facts) => facts,
            Err(_) => panic!("no {what} after {seq}: {:#?}", self.facts(0).await),
        }
    }

    pub async fn stop(self) -> (HikvisionDevice, tempfile::TempDir) {
        self.shutdown.cancel();
        self.gateway.finish().await;
        (self.device, self.folder)
    }
}

fn clock(time: &Arc<AtomicI64>) -> Clock {
    let time = Arc::clone(time);
    Clock::new(move || UtcMillis(time.load(Ordering::Relaxed)))
}

/// Waits until a condition holds.
pub async fn poll(condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, wait).await.expect("the condition comes to hold");
}
