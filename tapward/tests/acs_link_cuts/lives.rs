//! Lives of a gateway and of a controller in this process, each in a runtime of its own that can be ended at once:
//! what was not on the disk is gone, as after a power cut.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bus::local::Hub;
use bus::{Link, Party};
use controller_sim::acs_link::ControllerState;
use controller_sim::{Handle, Options, Plant, Simulator};
use domain::card::{self, CardFormat, CardKey, CardNumber, SealKey};
use domain::ids::*;
use domain::pin::PinKey;
use domain::policy::*;
use domain::{Clock, Entry, Epoch, UtcMillis};
use gateway::core::SiteKeys;
use gateway::settings::*;
use gateway::{Gateway, Parts};
use store::journal::{Journal, OutgoingState};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use wire::bus::{KeyRing, LinkKey};

/// The controller.
pub const PEER: &str = "north";
/// How long a life may take to end.
const END: Duration = Duration::from_secs(10);

/// The time at both ends: it stands still, so that ages are exact.
pub fn now() -> UtcMillis {
    UtcMillis::from_rfc3339("2026-11-21T10:00:00Z").unwrap()
}

/// The n-th card.
pub fn number(n: u16) -> CardNumber {
    card::parse(CardFormat::Wiegand26, &format!("20,{n}")).unwrap()
}

/// Its pseudonym.
pub fn card_id(n: u16) -> CardId {
    CardKey::new([7; 32]).id(&number(n))
}

/// A policy in which these cards are good.
pub fn write_policy(folder: &Path, version: u64, cards: impl Iterator<Item = u16>) {
    let zone = |name: &str| ZoneId::new(name).unwrap();
    let point =
        |name: &str| Point::new(PointId::new(name).unwrap(), PointKind::Turnstile, zone("street"), zone("hall"));
    let categories = vec![CategoryId::new("staff").unwrap()];
    let points = vec![point("gate")];
    let mut layout = Layout { version, built_at: now(), categories, points, ..Layout::empty() };
    layout.complete_zones();
    let credential = |n: u16| Credential {
        card: card_id(n),
        person: PersonId([u8::try_from(n % 250).unwrap(); 16]),
        category: 0,
        kind: PassKind::Staff,
        state: PassState::Active,
        one_time: false,
        valid_from: None,
        valid_until: None,
        pin: None,
        duress_pin: None,
        number: Some(SealKey::new([9; 32]).seal(&number(n))),
    };
    let source = PolicySource { layout, credentials: cards.map(credential).collect(), grants: Vec::new() };
    let bytes = wire::snapshot::encode(&source).unwrap();
    gateway::snapshot::keep(&folder.join("policy.bin"), &bytes).unwrap();
}

/// A gateway that runs.
pub struct GatewayLife {
    runtime: Runtime,
    _gateway: Gateway,
    _bridge: Link,
    journal: Journal,
    address: watch::Receiver<Option<SocketAddr>>,
    folder: PathBuf,
}

impl GatewayLife {
    /// Starts with what is in the folder.
    pub fn begin(folder: &Path) -> Self {
        let runtime = runtime();
        let (gateway, bridge, journal) = runtime.block_on(async {
            let clock = Clock::new(now);
            let settings = settings();
            let hub = Hub::new();
            let bridge = hub.join(Party::Bridge("bridge".into()));
            let path = folder.join("journal.db");
            let journal = Journal::open(&path, settings.gateway.clone(), Epoch([9; 16]), &clock).await.unwrap();
            let keys =
                SiteKeys { card: CardKey::new([7; 32]), pin: PinKey::new([8; 32]), numbers: SealKey::new([9; 32]) };
            let key = LinkKey::new("k1", *b"a key that only tests would use!").unwrap();
            let parts = Parts {
                link: hub.join(Party::Gateway(settings.gateway.clone())),
                settings,
                keys,
                journal: journal.clone(),
                down_keys: KeyRing::new(vec![key]).unwrap(),
                clock,
                policy_file: folder.join("policy.bin"),
                software: "test".into(),
            };
            let gateway = Gateway::start(parts, CancellationToken::new()).await.unwrap();
            (gateway, bridge, journal)
        });
        let address = gateway.acs_link();
        Self { runtime, _gateway: gateway, _bridge: bridge, journal, address, folder: folder.to_owned() }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        let mut address = self.address.clone();
        let listening = async { address.wait_for(Option::is_some).await.unwrap().unwrap() };
        self.runtime.block_on(async { tokio::time::timeout(END, listening).await.expect("it listens") })
    }

    /// Its stream of commands.
    pub fn commands(&self) -> OutgoingState {
        self.runtime.block_on(self.journal.outgoing_state(&PEER.parse().unwrap())).unwrap()
    }

    /// What it has recorded.
    pub fn entries(&self) -> Vec<Entry> {
        self.runtime.block_on(self.journal.read_after(0, 5000)).unwrap()
    }

    /// Ends at once.
    pub fn cut(self) {
        let Self { runtime, folder, journal, _gateway, _bridge, .. } = self;
        runtime.shutdown_timeout(END);
        drop((journal, _gateway, _bridge));
        closed(&folder.join("journal.db"));
    }
}

/// A controller that runs.
pub struct ControllerLife {
    runtime: Runtime,
    _simulator: Simulator,
    handle: Handle,
}

impl ControllerLife {
    /// Starts with what is in the folder, and connects to that port.
    pub fn begin(folder: &Path, port: u16, seed: u64) -> Self {
        let runtime = runtime();
        let simulator = runtime.block_on(async {
            let mut plant = plant(port);
            plant.place_ports(folder);
            let options = Options { clock: Clock::new(now), tap_record: None, seed };
            Simulator::start(&plant, &options, &CancellationToken::new()).await.unwrap()
        });
        let handle = simulator.handle();
        Self { runtime, _simulator: simulator, handle }
    }

    /// How it is.
    pub fn state(&self) -> ControllerState {
        self.handle.controller(&PEER.parse().unwrap()).unwrap().borrow().clone()
    }

    /// Ends at once.
    pub fn cut(self) {
        // The runtime first: dropping the simulator would say goodbye.
        self.runtime.shutdown_timeout(END);
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// Waits until nobody in this process has the file open any more: what is still being written by a life that was cut
/// would otherwise come after the next one began.
fn closed(file: &Path) {
    let began = tokio::time::Instant::now();
    let is_open = || {
        let open = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
        open.filter_map(|entry| std::fs::read_link(entry.path()).ok()).any(|target| target == file)
    };
    while is_open() {
        assert!(began.elapsed() < END, "{} is never closed", file.display());
        std::thread::sleep(Duration::from_millis(1));
    }
}

pub fn plant(port: u16) -> Plant {
    let text = format!(
        r#"
        point = [{{ id = "gate", kind = "turnstile" }}]
        [[peer]]
        id = "{PEER}"
        [peer.speaks.acs_link]
        node = "north-1"
        connect = "127.0.0.1:{port}"
        file = "north.acs"
        [[peer.reader]]
        id = "gate-in"
        point = "gate"
        direction = "in"
        at = "clinic/gate"
        [[peer.reader]]
        id = "gate-out"
        point = "gate"
        direction = "out"
        at = "clinic/gate"
        "#
    );
    toml::from_str(&text).unwrap()
}

fn settings() -> GatewaySettings {
    let gate = PointId::new("gate").unwrap();
    let reader = |name: &str, direction| PeerReader {
        place: Place {
            reader: ReaderId::new(name).unwrap(),
            point: Some(gate.clone()),
            direction,
            uid_reversed: false,
        },
        at: "clinic/gate".into(),
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
    let peer = AcsLinkPeer { node: "north-1".into(), connect: None, heartbeat: Duration::from_secs(1) };
    GatewaySettings {
        site: SiteId::new("clinic-1").unwrap(),
        gateway: GatewayId::new("gw-1").unwrap(),
        points: BTreeMap::from([(gate.clone(), wiring)]),
        lines: Vec::new(),
        peers: vec![PeerSettings {
            id: PEER.parse().unwrap(),
            protocol: PeerProtocol::AcsLink(peer),
            readers: vec![reader("gate-in", Direction::In), reader("gate-out", Direction::Out)],
            cache: Cache::Everybody,
            reports_passage: true,
        }],
        acs_link: Some(AcsLinkListener {
            listen: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
            node: "clinic-1-gw".into(),
            tls: None,
        }),
        push: None,
        journal_stall: Duration::from_secs(5),
        stale_after: Duration::from_secs(3),
        policy_max_age: None,
        wrong_pins: 3,
        pin_lock: Duration::from_secs(300),
    }
}
