//! A bridge that can be restarted and killed, and a gateway made of a list and a link.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bus::testing::{Config, Mosquitto};
use bus::{Incoming, Link, Message, Party};
use clinic::Database;
use domain::policy::{Layout, Point, PointKind};
use domain::{Clock, Draft, Entry, Epoch, GatewayId, Kind, PersonId, PointId, SiteId, UtcMillis, ZoneId};
use mis_bridge::Settings;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use wire::bus::{Ack, Channel, Down, EventBatch, KeyRing, LinkKey, Status, Topic, Up};

pub const NOW: UtcMillis = UtcMillis(1_795_000_000_000);
/// Longer than anything takes on a busy machine; reached only by a failing test.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub fn key() -> LinkKey {
    LinkKey::new("k1", std::array::from_fn(|n| u8::try_from(n).unwrap())).unwrap()
}

pub fn gateway_id() -> GatewayId {
    GatewayId::new("gw-1").unwrap()
}

pub fn site() -> SiteId {
    SiteId::new("clinic-1").unwrap()
}

/// The way between them.
pub enum Bus {
    Hub(bus::local::Hub),
    Broker(Box<Mosquitto>),
}

impl Bus {
    pub fn hub() -> Self {
        Self::Hub(bus::local::Hub::new())
    }

    pub fn broker() -> Self {
        Self::Broker(Box::new(Mosquitto::new(&Config::default())))
    }

    pub fn join(&self, party: Party) -> Link {
        match self {
            Self::Hub(hub) => hub.join(party),
            Self::Broker(broker) => {
                let (first, longest) = (Duration::from_millis(10), Duration::from_millis(100));
                let retry = bus::mqtt::Retry { first, longest, steady: Duration::from_secs(30) };
                let settings = bus::mqtt::Settings { retry, ..bus::mqtt::Settings::loopback(broker.port()) };
                bus::mqtt::connect(&settings, &site(), party).unwrap()
            }
        }
    }

    /// Breaks every connection and lets them come back.
    pub fn shake(&mut self) {
        match self {
            Self::Hub(hub) => {
                hub.interrupt();
                hub.resume();
            }
            Self::Broker(broker) => {
                broker.kill();
                broker.start();
            }
        }
    }
}

/// Everything around a bridge.
pub struct World {
    pub bus: Bus,
    pub database: Database,
    pub settings: Settings,
    now: Arc<AtomicI64>,
    bridge: Option<(JoinHandle<()>, CancellationToken)>,
    _folder: tempfile::TempDir,
}

impl World {
    /// With a SQLite file and a layout.
    pub async fn new(bus: Bus) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&format!("sqlite:{}", folder.path().join("clinic.db").display())).await.unwrap();
        Self::with(bus, database, folder).await
    }

    /// With a database on a private PostgreSQL server.
    pub async fn on_postgres(bus: Bus) -> Self {
        let url = tokio::task::spawn_blocking(store::testing::postgres_url).await.unwrap();
        let database = Database::open(&url).await.unwrap();
        Self::with(bus, database, tempfile::tempdir().unwrap()).await
    }

    /// With this database.
    pub async fn with(bus: Bus, database: Database, folder: tempfile::TempDir) -> Self {
        clinic::policy::put_layout(&database, layout(), NOW).await.unwrap();
        let mut settings = Settings::new(key());
        settings.look_every = Duration::from_millis(20);
        let now = Arc::new(AtomicI64::new(NOW.0));
        let mut world = Self { bus, database, settings, now, bridge: None, _folder: folder };
        world.start();
        world
    }

    pub fn clock(&self) -> Clock {
        let now = Arc::clone(&self.now);
        Clock::new(move || UtcMillis(now.load(Ordering::Relaxed)))
    }

    pub fn start(&mut self) {
        assert!(self.bridge.is_none());
        let (settings, database) = (self.settings.clone(), self.database.clone());
        let (clock, shutdown) = (self.clock(), CancellationToken::new());
        let link = self.bus.join(Party::Bridge("b1".into()));
        let run = mis_bridge::run(settings, database, link, clock, shutdown.clone());
        self.bridge = Some((tokio::spawn(run), shutdown));
    }

    /// Stops the bridge in order.
    pub async fn stop(&mut self) {
        let (bridge, shutdown) = self.bridge.take().unwrap();
        shutdown.cancel();
        timeout(PATIENCE, bridge).await.expect("the bridge stops in time").unwrap();
    }

    /// Kills the bridge wherever it stands.
    pub async fn kill(&mut self) {
        let (bridge, _) = self.bridge.take().unwrap();
        bridge.abort();
        let _ = bridge.await;
    }

    /// How far the gateway's journal is committed.
    pub async fn committed(&self) -> u64 {
        clinic::ingest::cursor(&self.database, &gateway_id(), Epoch([3; 16])).await.unwrap()
    }

    /// All events in the order of the feed.
    pub async fn events(&self) -> Vec<Entry> {
        let mut all = Vec::new();
        let mut last = 0;
        loop {
            let page = clinic::events::after(&self.database, last, 1000).await.unwrap();
            let Some(end) = page.last() else { return all };
            last = end.id;
            all.extend(page.into_iter().map(|event| event.entry));
        }
    }
}

pub fn layout() -> Layout {
    let zone = |id: &str| ZoneId::new(id).unwrap();
    let point = Point::new(PointId::new("t-1").unwrap(), PointKind::Turnstile, zone("street"), zone("hall"));
    let mut layout = Layout { points: vec![point], ..Layout::empty() };
    layout.complete_zones();
    layout
}

/// A gateway: its journal is a list, its cursor a number.
pub struct Gateway {
    pub link: Link,
    pub journal: Vec<Entry>,
    pub acked: u64,
    pub sent: u64,
}

impl Gateway {
    pub fn new(bus: &Bus, entries: u64) -> Self {
        let link = bus.join(Party::Gateway(gateway_id()));
        Self { link, journal: (1..=entries).map(entry).collect(), acked: 0, sent: 0 }
    }

    pub fn batch(&self, after: u64, count: usize) -> Option<Up> {
        let rest = self.journal.get(usize::try_from(after).unwrap()..)?;
        EventBatch::beginning(&rest[..rest.len().min(count)]).map(Up::Events)
    }

    pub async fn send(&self, channel: Channel, up: &Up) -> bool {
        self.link.publisher.publish(&Topic::new(gateway_id(), channel), up.encode().unwrap()).await.is_ok()
    }

    pub async fn send_batch(&self, after: u64, count: usize) -> bool {
        match self.batch(after, count) {
            Some(batch) => self.send(Channel::Events, &batch).await,
            None => false,
        }
    }

    pub async fn send_status(&self) -> bool {
        self.send(Channel::Status, &Up::Status(Box::new(self.status()))).await
    }

    pub fn status(&self) -> Status {
        Status {
            gateway: gateway_id(),
            at: NOW,
            started: NOW,
            software: "0.1.0".into(),
            epoch: Epoch([3; 16]),
            last_seq: self.journal.len() as u64,
            acked_seq: self.acked,
            policy_version: None,
            policy_age_ms: None,
            lines: vec![],
            readers: vec![],
            doors: vec![],
        }
    }

    /// The next envelope within `patience`; connection events are passed over.
    pub async fn hear_within(&mut self, patience: Duration) -> Option<Down> {
        loop {
            match timeout(patience, self.link.inbox.next()).await.ok()? {
                Some(Incoming::Message(Message { bytes, .. })) if wire::bus::is_chunk(&bytes) => {}
                Some(Incoming::Message(Message { bytes, .. })) => {
                    let keys = KeyRing::new(vec![key()]).unwrap();
                    return Some(Down::decode(&bytes, &keys, &gateway_id()).unwrap());
                }
                Some(_) => {}
                None => panic!("the link has ended"),
            }
        }
    }

    /// The next ack.
    pub async fn ack(&mut self) -> Ack {
        loop {
            if let Down::Ack(ack) = self.hear_within(PATIENCE).await.expect("an ack in time") {
                return ack;
            }
        }
    }

    /// Sends the status until it is answered by an offer, which comes after any ack: so the bridge is there and has
    /// dealt with everything before. Returns the last ack on the way.
    pub async fn until_served(&mut self) -> Option<Ack> {
        let mut last = None;
        for _ in 0..300 {
            self.send_status().await;
            while let Some(down) = self.hear_within(Duration::from_millis(100)).await {
                match down {
                    Down::Ack(ack) => last = Some(ack),
                    Down::Policy(_) => return last,
                    Down::Command(_) => {}
                }
            }
        }
        panic!("the bridge does not answer");
    }
}

pub fn entry(seq: u64) -> Entry {
    let kind = if seq.is_multiple_of(3) { Kind::Passed } else { Kind::Granted };
    let mut person = [0; 16];
    person[..8].copy_from_slice(&(seq % 50).to_be_bytes());
    let fact = Draft {
        person: Some(PersonId(person)),
        point: Some(PointId::new("t-1").unwrap()),
        direction: Some(if seq.is_multiple_of(2) { domain::Direction::In } else { domain::Direction::Out }),
        detail: Some(format!("entry {seq}")),
        ..Draft::new(NOW.plus_ms(i64::try_from(seq).unwrap()), kind)
    };
    Entry { gateway: gateway_id(), epoch: Epoch([3; 16]), seq, fact }
}
