//! From a card at a reader to the panel's event and to the durable entry in the journal, and what a dead reader costs.

use std::collections::HashMap;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use bench::{Goal, line, mean, percentile};
use bus::Party;
use bus::local::Hub;
use domain::card;
use domain::{CardId, Epoch, Kind};
use gateway::core::Board;
use gateway::port::{OpenPort, Port};
use gateway::{Gateway, Parts};
use store::journal::Journal;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use wire::bus::{KeyRing, LinkKey};
use wire::osdp::panel::{Bus, BusSettings, EventKind, ReaderSettings, Step};

use crate::simulated::{Simulated, Tap};
use crate::{monotonic, plant};

/// Taps of one measurement.
const TAPS: u32 = 400;
/// The mean time from tap to event that is promised, milliseconds.
const GOAL_MS: f64 = 2.5;

pub fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// A folder on a real disk: the journal is in it.
pub fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// The panel of `wire` alone, as fast as the line goes.
pub fn panel() {
    let folder = folder();
    let mut simulated = Simulated::start(folder.path(), 1);
    let port = folder.path().join("line-0");
    let (tell, told) = channel();
    let cancel = CancellationToken::new();
    let stop = cancel.clone();
    let thread = std::thread::spawn(move || {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            tokio::select! {
                () = stop.cancelled() => {}
                () = run_panel(&port, &tell) => {}
            }
        });
    });
    let until_secure = |told: &Receiver<Told>| {
        let mut secure = 0;
        while secure < plant::READERS {
            secure += u8::from(matches!(told.recv().unwrap(), Told::Secure));
        }
    };
    until_secure(&told);
    simulated.tap_in_vain(20);
    let taps = simulated.tap_in_vain(TAPS);
    cancel.cancel();
    thread.join().unwrap();
    let seen: HashMap<CardId, u64> = told.try_iter().filter_map(Told::card).collect();
    report("panel alone, 32 readers, tap to event", &taps, &seen, Goal::AtMost(1.0));
}

enum Told {
    Secure,
    Card(CardId, u64),
}

impl Told {
    fn card(self) -> Option<(CardId, u64)> {
        match self {
            Self::Card(card, at) => Some((card, at)),
            Self::Secure => None,
        }
    }
}

async fn run_panel(port: &Path, tell: &Sender<Told>) {
    let readers = (0..plant::READERS).map(|number| ReaderSettings::keyed(number, plant::key(0, number))).collect();
    let random = Box::new(|bytes: &mut [u8]| getrandom::fill(bytes).unwrap());
    let mut bus = Bus::new(BusSettings::new(115_200), readers, random).unwrap();
    let mut port = OpenPort::open(&Port::Device(port.into()), 115_200).await.unwrap();
    let (started, mut buffer) = (Instant::now(), [0; 2048]);
    loop {
        while let Some(event) = bus.poll_event() {
            match event.kind {
                EventKind::Secure => tell.send(Told::Secure).unwrap(),
                EventKind::Card { card, .. } => {
                    let at = monotonic();
                    let number = card::from_bits(card.bits(), card.expose()).unwrap();
                    tell.send(Told::Card(plant::card_key().id(&number), at)).unwrap();
                }
                _ => {}
            }
        }
        let until = match bus.next(started.elapsed()) {
            Step::Send(bytes) => {
                port.write(bytes).await.unwrap();
                continue;
            }
            Step::SetBaud(_) => unreachable!("nobody asked for it"),
            Step::WaitUntil(at) => started + at,
        };
        tokio::select! {
            read = port.read(&mut buffer) => bus.on_bytes(started.elapsed(), &buffer[..read.unwrap()]),
            () = sleep_until(until) => {}
        }
    }
}

fn report(name: &str, taps: &[Tap], seen: &HashMap<CardId, u64>, goal: Goal) {
    let mut times: Vec<f64> = taps.iter().map(|tap| (seen[&tap.card] - tap.at) as f64 / 1e6).collect();
    println!("{}", line(format!("{name}, mean"), mean(&times), GOAL_MS, "ms", goal));
    println!("{}", line("  of it, half within", percentile(&mut times, 0.5), GOAL_MS, "ms", Goal::Shown));
    println!("{}", line("  of it, 99 of 100 within", percentile(&mut times, 0.99), GOAL_MS, "ms", Goal::Shown));
}

/// A whole gateway on the lines in its folder.
pub struct Running {
    gateway: Gateway,
    pub journal: Journal,
    shutdown: CancellationToken,
    // Kept: the gateway's link ends with it.
    _hub: Hub,
}

impl Running {
    pub async fn start(folder: &Path, lines: u8) -> Self {
        let clock = plant::clock();
        let settings = plant::settings(folder, lines);
        let policy_file = folder.join("policy.bin");
        if !policy_file.exists() {
            let bytes = wire::snapshot::encode(&plant::policy(lines)).unwrap();
            gateway::snapshot::keep(&policy_file, &bytes).unwrap();
        }
        let path = folder.join("journal.db");
        let journal = Journal::open(&path, settings.gateway.clone(), Epoch([9; 16]), &clock).await.unwrap();
        let shutdown = CancellationToken::new();
        let hub = Hub::new();
        let key = LinkKey::new("k1", *b"a key that only a bench would us").unwrap();
        let parts = Parts {
            link: hub.join(Party::Gateway(settings.gateway.clone())),
            settings,
            keys: plant::keys(),
            journal: journal.clone(),
            down_keys: KeyRing::new(vec![key]).unwrap(),
            clock,
            policy_file,
            software: "bench".into(),
        };
        let gateway = Gateway::start(parts, shutdown.clone()).await.unwrap();
        Self { gateway, journal, shutdown, _hub: hub }
    }

    pub fn board(&self) -> watch::Receiver<Board> {
        self.gateway.board()
    }

    /// Waits until every reader is secure and was polled for a while.
    pub async fn all_secure(&self) {
        let mut board = self.board();
        let secure = |board: &Board| !board.readers.is_empty() && board.readers.iter().all(|reader| reader.secure);
        board.wait_for(secure).await.unwrap();
        tokio::time::sleep(Duration::from_secs(2)).await;
    }

    pub async fn stop(self) {
        self.shutdown.cancel();
        self.gateway.finish().await;
    }
}

/// The whole gateway: decided and durable.
pub fn gateway() {
    let folder = folder();
    let mut simulated = Simulated::start(folder.path(), 1);
    let runtime = runtime();
    let running = runtime.block_on(async {
        let running = Running::start(folder.path(), 1).await;
        running.all_secure().await;
        running
    });
    // When each entry became durable.
    let mut last = running.journal.watch_last();
    let (tell, told) = channel();
    runtime.spawn(async move {
        while last.changed().await.is_ok() {
            let seq = *last.borrow_and_update();
            if tell.send((seq, monotonic())).is_err() {
                return;
            }
        }
    });
    simulated.tap(20);
    let taps = simulated.tap(TAPS);
    report("gateway, 32 readers, tap to durable entry", &taps, &durable(&runtime, &running, &told), Goal::AtMost(1.0));
    let rate = |runtime: &Runtime| runtime.block_on(others_rate(&running));
    let alive = rate(&runtime);
    simulated.silence(0);
    let dying = rate(&runtime);
    // Shown only: on a line without a pace the machine's other work moves it. `osdp_bus` has the goal, in exact time.
    println!("{}", line("gateway, polls of 31 others, one dying, 10 s", dying, alive, "/s", Goal::Shown));
    // One reply timeout a back-off period of a second; the first silence is asked about twice.
    let lost = runtime.block_on(async { running.board().borrow().readers.iter().map(|it| it.timeouts).max() });
    let lost = lost.unwrap_or_default() as f64;
    println!("{}", line("gateway, slots lost on the dying one", lost, 11.0, "", Goal::AtMost(1.0)));
    let taps = simulated.tap(TAPS);
    report("gateway, one of 32 dead, tap to durable entry", &taps, &durable(&runtime, &running, &told), Goal::Shown);
    runtime.block_on(running.stop());
}

fn durable(runtime: &Runtime, running: &Running, told: &Receiver<(u64, u64)>) -> HashMap<CardId, u64> {
    let entries = runtime.block_on(running.journal.read_after(0, 5000)).unwrap();
    let mut notes = told.try_iter().peekable();
    let mut seen = HashMap::new();
    for entry in entries.iter().filter(|entry| entry.fact.kind == Kind::Tap) {
        while notes.next_if(|(seq, _)| *seq < entry.seq).is_some() {}
        if let (Some(card), Some((_, at))) = (entry.fact.card, notes.peek()) {
            seen.insert(card, *at);
        }
    }
    seen
}

/// Polls a second of all readers but the first, over ten seconds.
async fn others_rate(running: &Running) -> f64 {
    let polls = || {
        let board = running.board();
        let board = board.borrow();
        let others = board.readers.iter().filter(|reader| reader.address != 0);
        others.map(|reader| reader.polls).sum::<u64>()
    };
    let (before, start) = (polls(), Instant::now());
    tokio::time::sleep(Duration::from_secs(10)).await;
    (polls() - before) as f64 / start.elapsed().as_secs_f64()
}
