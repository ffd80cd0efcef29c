//! A gateway with one acs-link peer and, where a test plays the bridge, policies and commands.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bus::{Incoming, Link, Party, local::Hub};
use domain::card::{self, CardFormat, CardKey, CardNumber, SealKey};
use domain::ids::*;
use domain::pin::PinKey;
use domain::policy::*;
use domain::{CardId, Clock, Draft, Epoch, Kind, Reason, UtcMillis};
use gateway::core::SiteKeys;
use gateway::settings::*;
use gateway::{Gateway, Parts};
use sha2::{Digest, Sha256};
use store::journal::Journal;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use wire::bus::{Action, Channel, Command, CommandId, Down, KeyRing, LinkKey, PolicyChunk, PolicyOffer, Topic, Up};

use super::site::Site;

/// What a test waits for at most; reached only when something is broken.
pub const PATIENCE: Duration = Duration::from_secs(20);
pub const NODE: &str = "acs-1";
pub const GATE: &str = "clinic-1/hall/gate-1";
pub const ACTIVE: &str = "10,1001";
pub const BLOCKED: &str = "10,1002";
pub const UNKNOWN: &str = "10,4444";
const LINK_KEY: &[u8; 32] = b"a key that only tests would use!";
const NOON: i64 = 1_795_255_200_000;

pub fn number(text: &str) -> CardNumber {
    card::parse(CardFormat::Wiegand26, text).unwrap()
}

pub fn card_id(text: &str) -> CardId {
    CardKey::new([7; 32]).id(&number(text))
}

/// A pass of staff, its number kept.
pub fn pass(text: &str, n: u8, state: PassState) -> Credential {
    Credential {
        card: card_id(text),
        person: PersonId([n; 16]),
        category: 0,
        kind: PassKind::Staff,
        state,
        one_time: false,
        valid_from: None,
        valid_until: None,
        pin: None,
        duress_pin: None,
        number: Some(SealKey::new([9; 32]).seal(&number(text))),
    }
}

pub fn policy_of(version: u64, credentials: Vec<Credential>) -> PolicySource {
    let zone = |name: &str| ZoneId::new(name).unwrap();
    let point = Point::new(PointId::new("turnstile-1").unwrap(), PointKind::Turnstile, zone("street"), zone("hall"));
    let mut layout = Layout {
        version,
        built_at: UtcMillis(NOON),
        categories: vec![CategoryId::new("staff").unwrap()],
        points: vec![point],
        ..Layout::empty()
    };
    layout.complete_zones();
    PolicySource { layout, credentials, grants: Vec::new() }
}

pub fn usual_policy(version: u64) -> PolicySource {
    policy_of(version, vec![pass(ACTIVE, 1, PassState::Active), pass(BLOCKED, 2, PassState::Blocked)])
}

pub fn peer(cache: Cache) -> PeerSettings {
    let reader = |name: &str, direction| PeerReader {
        place: Place {
            reader: ReaderId::new(name).unwrap(),
            point: Some(PointId::new("turnstile-1").unwrap()),
            direction,
            uid_reversed: false,
        },
        at: GATE.to_owned(),
    };
    PeerSettings {
        id: LineId::new("entrance").unwrap(),
        protocol: PeerProtocol::AcsLink(AcsLinkPeer {
            node: NODE.to_owned(),
            connect: None,
            heartbeat: Duration::from_secs(1),
        }),
        readers: vec![reader("gate-1-in", Direction::In), reader("gate-1-out", Direction::Out)],
        cache,
        reports_passage: true,
    }
}

pub fn settings(tls: Option<TlsFiles>, cache: Cache) -> GatewaySettings {
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
    GatewaySettings {
        site: SiteId::new("clinic-1").unwrap(),
        gateway: GatewayId::new("gw-1").unwrap(),
        points: BTreeMap::from([(PointId::new("turnstile-1").unwrap(), wiring)]),
        lines: Vec::new(),
        peers: vec![peer(cache)],
        acs_link: Some(AcsLinkListener { listen: Some("127.0.0.1:0".parse().unwrap()), node: "gw-1".to_owned(), tls }),
        push: None,
        journal_stall: Duration::from_millis(2000),
        stale_after: Duration::from_secs(3),
        policy_max_age: None,
        wrong_pins: 3,
        pin_lock: Duration::from_secs(300),
    }
}

/// The wall clock of a test.
#[derive(Clone)]
pub struct Wall(Arc<AtomicI64>);

impl Wall {
    pub fn clock(&self) -> Clock {
        let (began, shown) = (tokio::time::Instant::now(), Arc::clone(&self.0));
        Clock::new(move || {
            let passed = i64::try_from(began.elapsed().as_millis()).unwrap();
            UtcMillis(shown.load(Ordering::SeqCst) + passed)
        })
    }
}

pub struct Rig {
    pub gateway: Gateway,
    pub journal: Journal,
    pub site: Arc<Site>,
    pub folder: tempfile::TempDir,
    pub shutdown: CancellationToken,
    pub settings: GatewaySettings,
    pub clock: Clock,
    bridge: bus::Publisher,
    snapshot: Arc<Mutex<(u64, Vec<u8>)>>,
    commands: u8,
}

impl Rig {
    pub async fn start(cache: Cache) -> Self {
        let site = Arc::new(Site::new("this site"));
        let settings = settings(Some(site.node("gw-1")), cache);
        Self::with(site, settings, usual_policy(1)).await
    }

    pub async fn with(site: Arc<Site>, settings: GatewaySettings, policy: PolicySource) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let bytes = wire::snapshot::encode(&policy).unwrap();
        gateway::snapshot::keep(&folder.path().join("policy.bin"), &bytes).unwrap();
        Self::in_folder(folder, site, settings).await
    }

    pub async fn in_folder(folder: tempfile::TempDir, site: Arc<Site>, settings: GatewaySettings) -> Self {
        let clock = Wall(Arc::new(AtomicI64::new(NOON))).clock();
        let hub = Hub::new();
        let link = hub.join(Party::Bridge("bridge".into()));
        let path = folder.path().join("journal.db");
        let mut epoch = [0; 16];
        getrandom::fill(&mut epoch).unwrap();
        let journal = Journal::open(&path, settings.gateway.clone(), Epoch(epoch), &clock).await.unwrap();
        let shutdown = CancellationToken::new();
        let parts = Parts {
            link: hub.join(Party::Gateway(settings.gateway.clone())),
            settings: settings.clone(),
            keys: SiteKeys { card: CardKey::new([7; 32]), pin: PinKey::new([8; 32]), numbers: SealKey::new([9; 32]) },
            journal: journal.clone(),
            down_keys: KeyRing::new(vec![LinkKey::new("k1", *LINK_KEY).unwrap()]).unwrap(),
            clock: clock.clone(),
            policy_file: folder.path().join("policy.bin"),
            software: "test".into(),
        };
        let gateway = Gateway::start(parts, shutdown.clone()).await.unwrap();
        let snapshot = Arc::new(Mutex::new((0, Vec::new())));
        let bridge = link.publisher.clone();
        tokio::spawn(play_bridge(link, Arc::clone(&snapshot)));
        Self { gateway, journal, site, folder, shutdown, settings, clock, bridge, snapshot, commands: 0 }
    }

    /// Where the listener listens.
    pub async fn address(&self) -> SocketAddr {
        let mut listening = self.gateway.acs_link();
        let address = timeout(PATIENCE, listening.wait_for(Option::is_some)).await.expect("the gateway listens");
        address.unwrap().unwrap()
    }

    /// Puts a policy in force.
    pub async fn hand_out(&self, policy: &PolicySource) {
        let (version, bytes) = (policy.layout.version, wire::snapshot::encode(policy).unwrap());
        let offer = PolicyOffer {
            gateway: self.settings.gateway.clone(),
            version,
            at: self.clock.now(),
            bytes: bytes.len() as u64,
            digest: Sha256::digest(&bytes).into(),
        };
        *self.snapshot.lock().unwrap() = (version, bytes);
        self.say(Down::Policy(offer), Channel::Policy).await;
    }

    /// Gives a person's order.
    pub async fn order(&mut self, action: Action) {
        self.commands += 1;
        let now = self.clock.now();
        let command = Command {
            id: CommandId([self.commands; 16]),
            gateway: self.settings.gateway.clone(),
            action,
            actor: "guard.ivanova".into(),
            reason: None,
            issued_at: now,
            expires_at: now.plus_ms(10_000),
        };
        self.say(Down::Command(command), Channel::Command).await;
    }

    async fn say(&self, down: Down, channel: Channel) {
        let key = LinkKey::new("k1", *LINK_KEY).unwrap();
        let topic = Topic::new(self.settings.gateway.clone(), channel);
        self.bridge.publish(&topic, down.encode(&key).unwrap()).await.unwrap();
    }

    /// Waits until the journal has a fact behind `seq` that fits; gives all facts behind `seq` up to it.
    pub async fn until(&self, seq: u64, what: &str, fits: impl Fn(&Draft) -> bool) -> Vec<Draft> {
        let mut last = self.journal.watch_last();
        let look = async {
            loop {
                let facts: Vec<Draft> =
                    self.journal.read_after(seq, 5000).await.unwrap().into_iter().map(|entry| entry.fact).collect();
                if let Some(at) = facts.iter().position(&fits) {
                    return facts[..=at].to_vec();
                }
                last.changed().await.unwrap();
            }
        };
        match timeout(PATIENCE, look).await {
            Ok(facts) => facts,
            Err(_) => {
                let entries = self.journal.read_after(seq, 5000).await.unwrap();
                panic!("no {what} after {seq}; the journal has {entries:#?}");
            }
        }
    }

    pub async fn kind(&self, seq: u64, kind: Kind) -> Draft {
        self.until(seq, kind.as_str(), |fact| fact.kind == kind).await.pop().unwrap()
    }

    pub async fn alarm(&self, seq: u64, reason: Reason) -> String {
        let wanted = |fact: &Draft| fact.kind == Kind::Alarm && fact.reason == Some(reason);
        self.until(seq, reason.as_str(), wanted).await.pop().unwrap().detail.unwrap_or_default()
    }

    /// Everything recorded behind `seq` so far.
    pub async fn facts(&self, seq: u64) -> Vec<Draft> {
        self.journal.read_after(seq, 5000).await.unwrap().into_iter().map(|entry| entry.fact).collect()
    }

    /// Waits until the state of the only line fits.
    pub async fn line(&self, what: &str, fits: impl Fn(&wire::bus::LineStatus) -> bool) -> wire::bus::LineStatus {
        let mut board = self.gateway.board();
        let found = timeout(PATIENCE, board.wait_for(|board| board.lines.first().is_some_and(&fits))).await;
        match found {
            Ok(board) => board.unwrap().lines[0].clone(),
            Err(_) => panic!("the line never is {what}: {:#?}", self.gateway.board().borrow().lines),
        }
    }

    /// Waits until both readers are on record as connected.
    pub async fn ready(&self) {
        let secure = std::cell::Cell::new(0);
        let both = |fact: &Draft| {
            secure.set(secure.get() + u32::from(fact.kind == Kind::Secure));
            secure.get() == 2
        };
        let mut last = self.journal.watch_last();
        let look = async {
            while !self.facts(0).await.iter().any(&both) {
                secure.set(0);
                last.changed().await.unwrap();
            }
        };
        timeout(PATIENCE, look).await.expect("both readers are secure");
    }

    /// How the only peer is doing.
    pub fn peer(&self) -> wire::bus::PeerStatus {
        let board = self.gateway.board();
        let board = board.borrow();
        let unknown = || wire::bus::PeerStatus::new(wire::bus::PeerKind::AcsLink, String::new());
        board.lines.first().and_then(|line| line.peer.clone()).unwrap_or_else(unknown)
    }

    pub async fn stop(self) -> (tempfile::TempDir, Arc<Site>, GatewaySettings) {
        self.shutdown.cancel();
        timeout(PATIENCE, self.gateway.finish()).await.expect("the gateway ends");
        (self.folder, self.site, self.settings)
    }
}

async fn play_bridge(link: Link, snapshot: Arc<Mutex<(u64, Vec<u8>)>>) {
    let Link { publisher, mut inbox } = link;
    while let Some(incoming) = inbox.next().await {
        let Incoming::Message(message) = incoming else { continue };
        let Ok(Up::ChunkRequest(_)) = Up::decode(&message.bytes) else { continue };
        let (version, bytes) = snapshot.lock().unwrap().clone();
        for index in 0.. {
            let Some(chunk) = PolicyChunk::cut(version, &bytes, index) else { break };
            let topic = Topic::new(message.topic.gateway.clone(), Channel::Policy);
            publisher.publish(&topic, chunk.encode()).await.unwrap();
        }
    }
}

pub fn kinds(facts: &[Draft]) -> Vec<Kind> {
    facts.iter().map(|fact| fact.kind).collect()
}
