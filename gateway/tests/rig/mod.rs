//! A gateway with one simulated OSDP reader on a real TCP serial server, its journal in a temporary folder.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use bus::{Link, Party, local::Hub};
use domain::card::{self, CardFormat, CardKey, SealKey};
use domain::ids::*;
use domain::pin::{Pin, PinKey};
use domain::policy::*;
use domain::{CardId, Clock, Draft, Epoch, Kind, UtcMillis};
use gateway::core::SiteKeys;
use gateway::port::Port;
use gateway::settings::{self, *};
use gateway::{Gateway, Parts};
use store::journal::Journal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use wire::bus::{KeyRing, LinkKey};
use wire::osdp::device::{Device, DeviceEvent, DeviceSettings, Step};
use wire::osdp::reply::CardBits;
use wire::osdp::secure::Scbk;

pub const KEY: &str = "8b1f7a02c4d9e6335a90bb17f2e8614d";
/// What a test waits for at most; reached only when something is broken.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub fn now() -> UtcMillis {
    UtcMillis::from_rfc3339("2026-11-21T10:00:00Z").unwrap()
}

fn random(bytes: &mut [u8]) {
    getrandom::fill(bytes).unwrap();
}

/// What a test does to the reader.
pub enum Do {
    Card(u16, Vec<u8>),
    Keys(Vec<u8>),
    Input(u8, bool),
    Tamper(bool),
    /// Close the connection and refuse new ones for a time.
    Unplug(Duration),
}

/// The reader's end of the line.
pub struct Reader {
    pub act: mpsc::UnboundedSender<Do>,
    pub events: mpsc::UnboundedReceiver<DeviceEvent>,
    pub port: u16,
}

impl Reader {
    pub async fn start(settings: DeviceSettings) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (act, acts) = mpsc::unbounded_channel();
        let (tell, events) = mpsc::unbounded_channel();
        tokio::spawn(play(listener, Device::new(settings, Box::new(random)), acts, tell));
        Self { act, events, port }
    }

    pub fn tap(&self, format: CardFormat, text: &str) {
        let (bits, bytes) = card::parse(format, text).unwrap().to_bits();
        self.act.send(Do::Card(bits, bytes)).unwrap();
    }

    /// The next change of an output.
    pub async fn output(&mut self) -> (u8, bool) {
        loop {
            let event = timeout(PATIENCE, self.events.recv()).await.expect("an output changes").unwrap();
            if let DeviceEvent::Output { output, on } = event {
                return (output, on);
            }
        }
    }
}

async fn play(
    listener: TcpListener,
    mut device: Device,
    mut acts: mpsc::UnboundedReceiver<Do>,
    tell: mpsc::UnboundedSender<DeviceEvent>,
) {
    let started = Instant::now();
    loop {
        let Ok((mut stream, _)) = listener.accept().await else { return };
        let mut buffer = [0; 2048];
        loop {
            while let Some(event) = device.poll_event() {
                let _ = tell.send(event);
            }
            let until = match device.next(started.elapsed()) {
                Step::Send(bytes) => {
                    if stream.write_all(bytes).await.is_err() {
                        break;
                    }
                    continue;
                }
                Step::WaitUntil(at) => started + at,
                Step::WaitForBytes => started + started.elapsed() + Duration::from_secs(3600),
            };
            tokio::select! {
                read = stream.read(&mut buffer) => match read {
                    Ok(n) if n > 0 => device.on_bytes(started.elapsed(), &buffer[..n]),
                    _ => break,
                },
                () = sleep_until(until) => {}
                act = acts.recv() => match act {
                    None => return,
                    Some(Do::Card(bits, bytes)) => {
                        device.present_card(started.elapsed(), CardBits::new(bits, bytes).unwrap()).unwrap();
                    }
                    Some(Do::Keys(keys)) => device.press_keys(&keys).unwrap(),
                    Some(Do::Input(input, active)) => device.set_input(input, active),
                    Some(Do::Tamper(open)) => device.set_tamper(open),
                    Some(Do::Unplug(time)) => {
                        drop(stream);
                        tokio::time::sleep(time).await;
                        break;
                    }
                },
            }
        }
    }
}

/// Cards of the policy: one for each interesting state.
pub struct Cards {
    pub key: [u8; 32],
}

impl Cards {
    pub fn id(&self, text: &str) -> CardId {
        CardKey::new(self.key).id(&card::parse(CardFormat::Wiegand26, text).unwrap())
    }
}

pub struct Rig {
    pub gateway: Gateway,
    pub reader: Reader,
    pub journal: Journal,
    /// The bridge's end; who plays the bridge takes it.
    pub bridge: Option<Link>,
    pub hub: Hub,
    pub folder: tempfile::TempDir,
    pub shutdown: CancellationToken,
    pub settings: GatewaySettings,
}

pub const ACTIVE: &str = "10,1001";
pub const BLOCKED: &str = "10,1002";
pub const WITH_PIN: &str = "10,1003";
pub const ONE_TIME: &str = "10,1005";
pub const UNKNOWN: &str = "10,4444";

pub fn policy(verify: Verify, version: u64) -> PolicySource {
    let cards = Cards { key: [7; 32] };
    let pins = PinKey::new([8; 32]);
    let category = CategoryId::new("staff").unwrap();
    let credential = |text: &str, n: u8, state| Credential {
        card: cards.id(text),
        person: PersonId([n; 16]),
        category: 0,
        kind: PassKind::Staff,
        state,
        one_time: false,
        valid_from: None,
        valid_until: None,
        pin: None,
        duress_pin: None,
        number: None,
    };
    let with_pin = cards.id(WITH_PIN);
    let mut point = Point::new(
        PointId::new("turnstile-1").unwrap(),
        PointKind::Turnstile,
        ZoneId::new("street").unwrap(),
        ZoneId::new("hall").unwrap(),
    );
    point.verify = verify;
    let mut layout =
        Layout { version, built_at: now(), categories: vec![category], points: vec![point], ..Layout::empty() };
    layout.complete_zones();
    let credentials = vec![
        credential(ACTIVE, 1, PassState::Active),
        credential(BLOCKED, 2, PassState::Blocked),
        Credential { one_time: true, ..credential(ONE_TIME, 4, PassState::Active) },
        Credential {
            pin: Some(pins.hash(with_pin, &Pin::new("1234").unwrap())),
            duress_pin: Some(pins.hash(with_pin, &Pin::new("4321").unwrap())),
            ..credential(WITH_PIN, 3, PassState::Active)
        },
    ];
    PolicySource { layout, credentials, grants: Vec::new() }
}

pub fn settings(port: u16, on_fault: OnFault) -> GatewaySettings {
    let point = PointId::new("turnstile-1").unwrap();
    let place = Place {
        reader: ReaderId::new("turnstile-1-in").unwrap(),
        point: Some(point.clone()),
        direction: Direction::In,
        uid_reversed: false,
    };
    let reader = OsdpReader {
        place,
        address: 1,
        security: settings::Security::Key(Scbk::from_hex(KEY).unwrap()),
        offline_after: Duration::from_secs(1),
        serial: None,
        vendor: None,
    };
    let wiring = PointSettings {
        kind: PointKind::Turnstile,
        on_fault,
        release: Duration::from_secs(3),
        held: Duration::from_secs(30),
        output: 0,
        contact_input: Some(0),
        exit_input: Some(1),
        fire_input: Some(2),
        interlock: None,
    };
    GatewaySettings {
        site: SiteId::new("clinic-1").unwrap(),
        gateway: GatewayId::new("gw-1").unwrap(),
        points: BTreeMap::from([(point, wiring)]),
        lines: vec![LineSettings {
            id: LineId::new("entrance").unwrap(),
            port: Port::Tcp { host: "127.0.0.1".into(), port },
            baud: 115_200,
            protocol: Protocol::Osdp(vec![reader]),
        }],
        journal_stall: Duration::from_millis(250),
        stale_after: Duration::from_secs(3),
        policy_max_age: None,
        wrong_pins: 3,
        pin_lock: Duration::from_secs(300),
        peers: Vec::new(),
        acs_link: None,
        push: None,
    }
}

pub fn device() -> DeviceSettings {
    let mut settings = DeviceSettings::new(1);
    settings.key = Some(Scbk::from_hex(KEY).unwrap());
    settings.inputs = 4;
    settings.outputs = 2;
    settings
}

impl Rig {
    pub async fn start(verify: Verify, on_fault: OnFault) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let bytes = wire::snapshot::encode(&policy(verify, 1)).unwrap();
        gateway::snapshot::keep(&folder.path().join("policy.bin"), &bytes).unwrap();
        let reader = Reader::start(device()).await;
        let settings = settings(reader.port, on_fault);
        Self::in_folder(folder, reader, settings).await
    }

    pub async fn in_folder(folder: tempfile::TempDir, reader: Reader, settings: GatewaySettings) -> Self {
        let clock = Clock::new(now);
        let hub = Hub::new();
        let bridge = hub.join(Party::Bridge("bridge".into()));
        let path: PathBuf = folder.path().join("journal.db");
        let journal = Journal::open(&path, settings.gateway.clone(), Epoch([9; 16]), &clock).await.unwrap();
        let shutdown = CancellationToken::new();
        let parts = Parts {
            link: hub.join(Party::Gateway(settings.gateway.clone())),
            settings: settings.clone(),
            keys: SiteKeys { card: CardKey::new([7; 32]), pin: PinKey::new([8; 32]), numbers: SealKey::new([9; 32]) },
            journal: journal.clone(),
            down_keys: KeyRing::new(vec![LinkKey::new("k1", *b"a key that only tests would use!").unwrap()]).unwrap(),
            clock,
            policy_file: folder.path().join("policy.bin"),
            software: "test".into(),
        };
        let gateway = Gateway::start(parts, shutdown.clone()).await.unwrap();
        Self { gateway, reader, journal, bridge: Some(bridge), hub, folder, shutdown, settings }
    }

    /// Waits until the journal has a fact of this kind after `seq`; gives all facts after `seq` up to it.
    pub async fn until(&self, seq: u64, wanted: Kind) -> Vec<Draft> {
        let mut last = self.journal.watch_last();
        let look = async {
            loop {
                let facts: Vec<Draft> =
                    self.journal.read_after(seq, 5000).await.unwrap().into_iter().map(|entry| entry.fact).collect();
                if let Some(at) = facts.iter().position(|fact| fact.kind == wanted) {
                    return facts[..=at].to_vec();
                }
                last.changed().await.unwrap();
            }
        };
        match timeout(PATIENCE, look).await {
            Ok(facts) => facts,
            Err(_) => {
                let entries = self.journal.read_after(seq, 5000).await.unwrap();
                panic!("no {wanted} after {seq}; the journal has {entries:#?}");
            }
        }
    }

    pub async fn secure(&self) {
        self.secure_after(0).await;
    }

    /// Waits until the reader is secure and was polled in vain: only then can a card's age be bounded.
    pub async fn secure_after(&self, seq: u64) {
        self.until(seq, Kind::Secure).await;
        let mut board = self.gateway.board();
        let polls = board.borrow().readers[0].polls;
        let polled = board.wait_for(|board| board.readers[0].polls > polls + 3);
        timeout(PATIENCE, polled).await.expect("the reader is polled").unwrap();
    }

    pub async fn stop(self) -> (tempfile::TempDir, Reader, GatewaySettings) {
        self.shutdown.cancel();
        self.gateway.finish().await;
        (self.folder, self.reader, self.settings)
    }
}

pub fn kinds(facts: &[Draft]) -> Vec<Kind> {
    facts.iter().map(|fact| fact.kind).collect()
}
