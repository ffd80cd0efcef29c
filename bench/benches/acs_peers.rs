//! acs-link peers of one gateway, over TLS on loopback; the other end is a process of its own.
//!
//! - idle: 2,000 peers with a heartbeat each 5 s: CPU of the gateway's process, and its memory a peer;
//! - taps: 270 peers, each asking once a second: from the question to the answer, its record durable between;
//! - events: 64 peers that report as fast as they are acknowledged, against the journal's own group commit.
//!
//! A limit stands where a floor would (5 % of a core, 5 ms): the ratio says how much of it is used.

#![expect(clippy::print_stdout, reason = "a benchmark prints")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a benchmark may stop")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bench::{Goal, heading, line, percentile, resident_mb};
use bus::{Party, local::Hub};
use domain::card::{self, CardFormat, CardKey, CardNumber, SealKey};
use domain::pin::PinKey;
use domain::policy::{Credential, Layout, PassKind, PassState, Point, PointKind, PolicySource};
use domain::{
    CategoryId, Clock, Direction, Draft, Epoch, GatewayId, Kind, LineId, PersonId, PointId, ReaderId, SiteId,
    UtcMillis, ZoneId,
};
use gateway::core::SiteKeys;
use gateway::peer::acs_link::tls::Tls;
use gateway::settings::{
    AcsLinkListener, AcsLinkPeer, Cache, GatewaySettings, OnFault, PeerProtocol, PeerReader, PeerSettings, Place,
    PointSettings, TlsFiles,
};
use gateway::{Gateway, Parts};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    SanType,
};
use rustls::pki_types::ServerName;
use store::journal::Journal;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use wire::acs_link::message::{AccessRequest, ClockState, Direction as Way, PassCode, PassEvent, PassResult, Verdict};
use wire::acs_link::session::{Event, Now, Positions, Session, Settings};
use wire::acs_link::{Body, Credential as Shown, Instant as At, NODE_URI, Role, Token, Uuid};
use wire::bus::{KeyRing, LinkKey};

/// The first argument of the other process.
const ROLE: &str = "--nodes";
const IDLE_PEERS: usize = 2000;
const TAPPING_PEERS: usize = 270;
const REPORTING_PEERS: usize = 64;
/// How long each is measured.
const IDLE_TIME: Duration = Duration::from_secs(20);
const TAPS_TIME: Duration = Duration::from_secs(30);
const EVENTS_TIME: Duration = Duration::from_secs(10);
/// Handshakes at once: fewer than the gateway takes from one address.
const CONNECTING: usize = 32;
/// What 2,000 idle peers may take of a core.
const CPU_LIMIT: f64 = 0.05;
/// What a decision may take, in milliseconds.
const DECISION_LIMIT_MS: f64 = 5.0;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().map(String::as_str) == Some(ROLE) {
        return runtime().block_on(play(&arguments[1..]));
    }
    println!("{}", heading("acs-link peers over TLS on loopback, the other end in another process"));
    idle();
    taps();
    events();
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap()
}

// ---- what is measured ----

fn idle() {
    let runtime = runtime();
    let clinic = Clinic::new(IDLE_PEERS);
    let (gateway, shutdown) = runtime.block_on(clinic.gateway(Duration::from_secs(5)));
    let address = runtime.block_on(listening(&gateway));
    std::thread::sleep(Duration::from_secs(2));
    let before = resident_mb();
    let nodes = Nodes::start(address, &clinic, "idle");
    let grown = resident_mb() - before;
    // The burst of connecting is over when the second heartbeat has gone.
    std::thread::sleep(Duration::from_secs(7));
    let used = cpu();
    std::thread::sleep(IDLE_TIME);
    let share = (cpu() - used) as f64 / IDLE_TIME.as_nanos() as f64;
    let title = format!("{IDLE_PEERS} idle peers, heartbeat 5 s: cores");
    println!("{}", line(title, share, CPU_LIMIT, "cores", Goal::AtMost(1.0)));
    println!(
        "{}",
        line("memory an idle peer, both halves", grown * 1000.0 / IDLE_PEERS as f64, 60.0, "kB", Goal::Shown)
    );
    nodes.stop();
    runtime.block_on(end(gateway, &shutdown));
}

fn taps() {
    let runtime = runtime();
    let clinic = Clinic::new(TAPPING_PEERS);
    let (gateway, shutdown) = runtime.block_on(clinic.gateway(Duration::from_secs(5)));
    let address = runtime.block_on(listening(&gateway));
    let nodes = Nodes::start(address, &clinic, "taps");
    let mut samples: Vec<f64> = nodes.result().split_whitespace().map(|sample| sample.parse().unwrap()).collect();
    let asked = samples.len();
    let (p50, p99) = (percentile(&mut samples, 0.5), percentile(&mut samples, 0.99));
    let title = format!("{TAPPING_PEERS} peers, a question a second ({asked}): p99");
    println!("{}", line(title, p99, DECISION_LIMIT_MS, "ms", Goal::AtMost(1.0)));
    println!("{}", line("of that, p50", p50, DECISION_LIMIT_MS, "ms", Goal::Shown));
    runtime.block_on(end(gateway, &shutdown));
}

fn events() {
    let runtime = runtime();
    let clinic = Clinic::new(REPORTING_PEERS);
    let floor = runtime.block_on(group_commit(clinic.folder.path()));
    let (gateway, shutdown) = runtime.block_on(clinic.gateway(Duration::from_secs(5)));
    let address = runtime.block_on(listening(&gateway));
    let nodes = Nodes::start(address, &clinic, "events");
    let used = cpu();
    let measured: f64 = nodes.result().trim().parse().unwrap();
    let cpu_us = (cpu() - used) as f64 / 1000.0 / (measured * EVENTS_TIME.as_secs_f64());
    let title = format!("{REPORTING_PEERS} peers, durable acknowledged events");
    println!("{}", line(title, measured, floor, "/s", Goal::AtLeast(0.5)));
    println!("{}", line("of that, CPU of the gateway an event", cpu_us, 1e6 / floor, "us", Goal::Shown));
    runtime.block_on(end(gateway, &shutdown));
}

/// Facts a second that as many waiting writers get from the journal, one fact each.
async fn group_commit(folder: &Path) -> f64 {
    let path = folder.join("floor.db");
    let journal = Journal::open(&path, GatewayId::new("gw-0").unwrap(), Epoch([1; 16]), &clock()).await.unwrap();
    let until = Instant::now() + EVENTS_TIME / 2;
    let writers = (0..REPORTING_PEERS).map(|_| {
        let journal = journal.clone();
        tokio::spawn(async move {
            let mut written = 0_u64;
            while Instant::now() < until {
                let fact = Draft { person: Some(PersonId([3; 16])), ..Draft::new(UtcMillis(0), Kind::Passed) };
                journal.append(vec![fact]).unwrap().await.unwrap();
                written += 1;
            }
            written
        })
    });
    let writers: Vec<_> = writers.collect();
    let mut written = 0;
    for writer in writers {
        written += writer.await.unwrap();
    }
    journal.close().await;
    written as f64 / (EVENTS_TIME / 2).as_secs_f64()
}

/// CPU time of this process in nanoseconds, in the kernel too.
fn cpu() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    u64::try_from(time.tv_sec).unwrap() * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap()
}

// ---- the gateway's end ----

/// A clinic whose every turnstile is a controller of its own.
struct Clinic {
    folder: tempfile::TempDir,
    peers: usize,
}

fn node(n: usize) -> String {
    format!("acs-{n}")
}

fn number() -> CardNumber {
    card::parse(CardFormat::Wiegand26, "10,1001").unwrap()
}

fn clock() -> Clock {
    Clock::new(|| {
        let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        UtcMillis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    })
}

impl Clinic {
    fn new(peers: usize) -> Self {
        let clinic = Self { folder: tempfile::tempdir().unwrap(), peers };
        clinic.certificates();
        clinic
    }

    fn certificates(&self) {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        std::fs::write(self.folder.path().join("ca.pem"), authority.pem()).unwrap();
        for name in (0..self.peers).map(node).chain(["gw-1".to_owned()]) {
            let mut params = CertificateParams::new(Vec::new()).unwrap();
            params.subject_alt_names = vec![SanType::URI(format!("{NODE_URI}{name}").as_str().try_into().unwrap())];
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
            let key = KeyPair::generate().unwrap();
            let files = files(self.folder.path(), &name);
            std::fs::write(&files.cert, params.signed_by(&key, &authority).unwrap().pem()).unwrap();
            std::fs::write(&files.key, key.serialize_pem()).unwrap();
            std::fs::set_permissions(&files.key, std::fs::Permissions::from_mode(0o600)).unwrap();
        }
    }

    fn settings(&self, heartbeat: Duration) -> GatewaySettings {
        let point = |n: usize| PointId::new(&format!("point-{n}")).unwrap();
        let wiring = PointSettings {
            // Nobody has to walk through anything: a door that is taken would refuse the next.
            kind: PointKind::Workstation,
            on_fault: OnFault::Secure,
            release: Duration::from_secs(3),
            held: Duration::from_secs(30),
            output: 0,
            contact_input: None,
            exit_input: None,
            fire_input: None,
            interlock: None,
        };
        let peers = (0..self.peers).map(|n| PeerSettings {
            id: LineId::new(&format!("peer-{n}")).unwrap(),
            protocol: PeerProtocol::AcsLink(AcsLinkPeer { node: node(n), connect: None, heartbeat }),
            readers: vec![PeerReader {
                place: Place {
                    reader: ReaderId::new(&format!("reader-{n}")).unwrap(),
                    point: Some(point(n)),
                    direction: Direction::In,
                    uid_reversed: false,
                },
                at: format!("gate-{n}"),
            }],
            cache: Cache::Nobody,
            reports_passage: true,
        });
        GatewaySettings {
            site: SiteId::new("clinic-1").unwrap(),
            gateway: GatewayId::new("gw-1").unwrap(),
            points: (0..self.peers).map(|n| (point(n), wiring.clone())).collect::<BTreeMap<_, _>>(),
            lines: Vec::new(),
            peers: peers.collect(),
            acs_link: Some(AcsLinkListener {
                listen: Some("127.0.0.1:0".parse().unwrap()),
                node: "gw-1".into(),
                tls: Some(files(self.folder.path(), "gw-1")),
            }),
            push: None,
            journal_stall: Duration::from_secs(2),
            stale_after: Duration::from_secs(3),
            policy_max_age: None,
            wrong_pins: 3,
            pin_lock: Duration::from_secs(300),
        }
    }

    fn policy(&self) -> PolicySource {
        let zone = |name: &str| ZoneId::new(name).unwrap();
        let points = (0..self.peers).map(|n| {
            let id = PointId::new(&format!("point-{n}")).unwrap();
            Point::new(id, PointKind::Workstation, zone("street"), zone("hall"))
        });
        let mut layout = Layout {
            version: 1,
            built_at: clock().now(),
            categories: vec![CategoryId::new("staff").unwrap()],
            points: points.collect(),
            ..Layout::empty()
        };
        layout.complete_zones();
        let credential = Credential {
            card: CardKey::new([7; 32]).id(&number()),
            person: PersonId([1; 16]),
            category: 0,
            kind: PassKind::Staff,
            state: PassState::Active,
            one_time: false,
            valid_from: None,
            valid_until: None,
            pin: None,
            duress_pin: None,
            number: None,
        };
        PolicySource { layout, credentials: vec![credential], grants: Vec::new() }
    }

    async fn gateway(&self, heartbeat: Duration) -> (Gateway, CancellationToken) {
        let (folder, settings) = (self.folder.path(), self.settings(heartbeat));
        let bytes = wire::snapshot::encode(&self.policy()).unwrap();
        gateway::snapshot::keep(&folder.join("policy.bin"), &bytes).unwrap();
        let hub = Hub::new();
        let path = folder.join("journal.db");
        let journal = Journal::open(&path, settings.gateway.clone(), Epoch([9; 16]), &clock()).await.unwrap();
        let shutdown = CancellationToken::new();
        let parts = Parts {
            link: hub.join(Party::Gateway(settings.gateway.clone())),
            settings,
            keys: SiteKeys { card: CardKey::new([7; 32]), pin: PinKey::new([8; 32]), numbers: SealKey::new([9; 32]) },
            journal,
            down_keys: KeyRing::new(vec![LinkKey::new("k1", *b"a key that only tests would use!").unwrap()]).unwrap(),
            clock: clock(),
            policy_file: folder.join("policy.bin"),
            software: "bench".into(),
        };
        (Gateway::start(parts, shutdown.clone()).await.unwrap(), shutdown)
    }
}

fn files(folder: &Path, name: &str) -> TlsFiles {
    let path = |what: &str| folder.join(format!("{name}-{what}.pem"));
    TlsFiles { ca: folder.join("ca.pem"), cert: path("cert"), key: path("key") }
}

async fn listening(gateway: &Gateway) -> SocketAddr {
    gateway.acs_link().wait_for(Option::is_some).await.unwrap().unwrap()
}

async fn end(gateway: Gateway, shutdown: &CancellationToken) {
    shutdown.cancel();
    gateway.finish().await;
}

// ---- the other process, from here ----

/// The nodes, in their process.
struct Nodes {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
}

impl Nodes {
    /// Ready when every node is connected.
    fn start(address: SocketAddr, clinic: &Clinic, what: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([ROLE, what, &address.to_string(), &clinic.peers.to_string()])
            .arg(clinic.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut ready = String::new();
        output.read_line(&mut ready).unwrap();
        assert_eq!(ready.trim(), "ready");
        Self { child, output }
    }

    /// What they have measured.
    fn result(mut self) -> String {
        let mut result = String::new();
        self.output.read_line(&mut result).unwrap();
        self.stop();
        result
    }

    fn stop(mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

// ---- and there ----

async fn play(arguments: &[String]) {
    let [what, address, peers, folder] = arguments else { return };
    let address: SocketAddr = address.parse().unwrap();
    let connecting = Arc::new(Semaphore::new(CONNECTING));
    let ready = Arc::new(Semaphore::new(0));
    let go = CancellationToken::new();
    let peers: usize = peers.parse().unwrap();
    let nodes: Vec<_> = (0..peers)
        .map(|n| {
            let (folder, connecting, ready) = (folder.clone(), Arc::clone(&connecting), Arc::clone(&ready));
            let (what, go) = (what.clone(), go.clone());
            tokio::spawn(async move {
                let room = connecting.acquire_owned().await.unwrap();
                let mut node = Node::connect(n, address, Path::new(&folder)).await;
                drop(room);
                ready.add_permits(1);
                node.play(&what, &go).await
            })
        })
        .collect();
    drop(ready.acquire_many(u32::try_from(peers).unwrap()).await.unwrap());
    println!("ready");
    go.cancel();
    let mut all = Vec::new();
    for node in nodes {
        all.extend(node.await.unwrap());
    }
    match what.as_str() {
        "taps" => println!("{}", all.iter().map(|ms| format!("{ms:.3}")).collect::<Vec<_>>().join(" ")),
        _ => println!("{}", all.iter().sum::<f64>() / EVENTS_TIME.as_secs_f64()),
    }
    sleep(Duration::from_secs(3600)).await;
}

/// One controller.
struct Node<S> {
    n: usize,
    session: Session,
    stream: S,
    started: Instant,
    clock: Clock,
    unread: Vec<u8>,
    acked: u64,
    answered: Option<Uuid>,
}

impl Node<()> {
    async fn connect(n: usize, address: SocketAddr, folder: &Path) -> Node<impl AsyncRead + AsyncWrite + Unpin> {
        let tls = Tls::load(&files(folder, &node(n)), &clock()).unwrap();
        let (connector, _) = tls.connector("gw-1").unwrap();
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let stream = connector.connect(ServerName::IpAddress(address.ip().into()), stream).await.unwrap();
        let now = Now { mono: Duration::ZERO, wall: clock().now() };
        let mut epoch = [0; 16];
        getrandom::fill(&mut epoch).unwrap();
        let settings = Settings::new(Role::Acs, Token::new(&node(n)).unwrap(), Uuid(epoch));
        let random = Box::new(|bytes: &mut [u8]| getrandom::fill(bytes).unwrap());
        let session = Session::connect(settings, Positions::default(), now, random);
        let (started, unread) = (Instant::now(), Vec::new());
        let mut node = Node { n, session, stream, started, clock: clock(), unread, acked: 0, answered: None };
        while !node.step(false, None).await {}
        node
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Node<S> {
    async fn play(&mut self, what: &str, go: &CancellationToken) -> Vec<f64> {
        while !go.is_cancelled() {
            self.step(false, Some(Instant::now() + Duration::from_millis(200))).await;
        }
        let began = Instant::now();
        match what {
            "taps" => self.taps(began).await,
            "events" => {
                while began.elapsed() < EVENTS_TIME {
                    self.step(true, None).await;
                }
                vec![self.acked as f64]
            }
            _ => loop {
                self.step(false, None).await;
            },
        }
    }

    /// A question a second, each node at another moment of it.
    async fn taps(&mut self, began: Instant) -> Vec<f64> {
        let mut due = began + Duration::from_millis(fastrand::u64(0..1000));
        let mut samples = Vec::new();
        while began.elapsed() < TAPS_TIME {
            while Instant::now() < due {
                self.step(false, Some(due)).await;
            }
            let asked = Instant::now();
            let now = self.now();
            let request = AccessRequest {
                occurred_at: At::from_utc(now.wall),
                answer_within_ms: 10_000,
                fallback: Verdict::Deny,
                point: Token::new(&format!("gate-{}", self.n)).unwrap(),
                credential: Shown::of_card(&number()).unwrap(),
                direction: Way::In,
                ext: Vec::new(),
            };
            let id = self.session.send(None, Body::AccessRequest(request), now).unwrap();
            while self.answered != Some(id) {
                self.step(false, None).await;
            }
            samples.push(asked.elapsed().as_secs_f64() * 1000.0);
            due += Duration::from_secs(1);
        }
        samples
    }

    fn now(&self) -> Now {
        Now { mono: self.started.elapsed(), wall: self.clock.now() }
    }

    /// One step; with `reports`, events without end. True when the session has come up.
    async fn step(&mut self, reports: bool, until: Option<Instant>) -> bool {
        let now = self.now();
        let taken = self.session.receive(&self.unread, now);
        self.unread.drain(..taken);
        let mut up = false;
        while let Some(event) = self.session.poll_event() {
            match event {
                Event::Up(_) => up = true,
                Event::Acked { seq } => self.acked = seq,
                Event::Message(msg) => self.answered = msg.re,
                Event::Durable(message) => self.session.committed(message.seq, now),
                Event::Closed(end) => panic!("{end:?}"),
                _ => {}
            }
        }
        while let Some(seq) = self.session.wants().filter(|_| reports) {
            let mut id = [0; 16];
            id[..8].copy_from_slice(&(self.n as u64).to_be_bytes());
            id[8..].copy_from_slice(&seq.to_be_bytes());
            self.session.send_durable(seq, Uuid(id), None, event(self.n, seq, now), now).unwrap();
        }
        let out = self.session.output(now).to_vec();
        if !out.is_empty() {
            self.stream.write_all(&out).await.unwrap();
            self.stream.flush().await.unwrap();
            self.session.wrote(out.len(), now);
        }
        if up || taken > 0 {
            return up;
        }
        let deadline = self.session.deadline().map_or(Duration::from_secs(1), |(at, _)| at);
        let deadline = until.map_or(self.started + deadline, |until| until.min(self.started + deadline));
        let mut buffer = [0; 8192];
        tokio::select! {
            read = self.stream.read(&mut buffer) => {
                let count = read.unwrap();
                assert!(count > 0, "the gateway has closed the connection of node {}", self.n);
                self.unread.extend_from_slice(&buffer[..count]);
            }
            () = sleep_until(deadline) => self.session.tick(self.now()),
        }
        false
    }
}

fn event(n: usize, seq: u64, now: Now) -> Body {
    Body::PassEvent(PassEvent {
        event_id: Token::new(&format!("acs-{n}:{seq:020}")).unwrap(),
        occurred_at: At::from_utc(now.wall),
        clock: ClockState::Synced,
        request: None,
        point: Token::new(&format!("gate-{n}")).unwrap(),
        credential: Some(Shown::of_card(&number()).unwrap()),
        person: None,
        direction: Way::In,
        result: PassResult { code: PassCode::Passed, reason: None, by: None },
        ext: Vec::new(),
    })
}
