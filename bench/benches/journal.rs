//! The journal and the taking in of events, against what the disk and the engine give without us.
//!
//! - one writer: median of append-and-wait, against append + fdatasync of as many bytes to a bare file;
//! - 64 writers: entries a second, against a bare group commit (one write and one fdatasync for all that wait), and
//!   against one writer's fdatasyncs a second;
//! - marked: as 64 writers, each fact with a place in a peer's stream and an event id in the same commit, against the
//!   same facts without;
//! - verify: entries a second whose chain is checked from the first to the last, against a fixed goal;
//! - ingest: events a second into a SQLite clinic database, against a prepared statement in a loop, 1000 rows a
//!   transaction, into the same table with the same indexes.
//!
//! Measured and floor take turns in short rounds, and the medians of the rounds are compared, so that a noisy
//! neighbour hits both.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods, reason = "a bench, not the product")]

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bench::{Goal, heading, line, median};
use domain::{
    CardId, Clock, Direction, Draft, Entry, Epoch, GatewayId, Kind, LineId, PersonId, PointId, ReaderId, Reason,
    UtcMillis,
};
use store::journal::{APPEND_MAX_FACTS, Journal, Mark};
use tokio::sync::{mpsc, oneshot};

/// Bytes of one record at the floor: about what an entry takes.
const RECORD_BYTES: usize = 200;
const WRITERS: usize = 64;
const ROUNDS: usize = 7;

fn fact(number: u64) -> Draft {
    Draft {
        reason: Some(Reason::Allowed),
        point: Some(PointId::new("turnstile-1").unwrap()),
        reader: Some(ReaderId::new("turnstile-1-in").unwrap()),
        direction: Some(Direction::In),
        card: Some(CardId(u128::from(number).to_le_bytes())),
        person: Some(PersonId(u128::from(number).to_be_bytes())),
        ..Draft::new(UtcMillis(number.cast_signed()), Kind::Passed)
    }
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    // Beside the build, on a real disk; the temporary folder may be in memory.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let journal = runtime.block_on(async {
        let path = folder.path().join("journal.db");
        let clock = Clock::new(|| UtcMillis(0));
        Journal::open(&path, GatewayId::new("gw").unwrap(), Epoch([1; 16]), &clock).await.unwrap()
    });
    println!("{}", heading("journal and event store, against the disk and the engine alone"));
    one_writer(&runtime, &journal, folder.path());
    many_writers(&runtime, &journal, folder.path());
    marked(&runtime, &journal);
    ingest(&runtime, folder.path());
    verify(&runtime, folder.path());
}

fn one_writer(runtime: &tokio::runtime::Runtime, journal: &Journal, folder: &Path) {
    const SAMPLES: usize = 600;
    let mut file = File::create(folder.join("bare")).unwrap();
    let (mut ours, mut floors) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let mut floor: Vec<f64> = (0..SAMPLES)
            .map(|_| {
                let start = Instant::now();
                file.write_all(&[7; RECORD_BYTES]).unwrap();
                file.sync_data().unwrap();
                start.elapsed().as_secs_f64() * 1e6
            })
            .collect();
        let journal = journal.clone();
        // In a task, as callers are.
        let measured = runtime.spawn(async move {
            let mut samples = Vec::with_capacity(SAMPLES);
            for number in 0..SAMPLES as u64 {
                let start = Instant::now();
                journal.append(vec![fact(number)]).unwrap().await.unwrap();
                samples.push(start.elapsed().as_secs_f64() * 1e6);
            }
            samples
        });
        let mut measured = runtime.block_on(measured).unwrap();
        // The first round warms up.
        if round > 0 {
            floors.push(median(&mut floor));
            ours.push(median(&mut measured));
        }
    }
    let floor = median(&mut floors);
    println!("{}", line("journal, one writer, p50", median(&mut ours), floor, "us", Goal::AtMost(1.6)));
    SINGLE_PER_S.store((1e6 / floor) as u64, Ordering::Relaxed);
}

/// fdatasyncs a second of one writer, for the third comparison.
static SINGLE_PER_S: AtomicU64 = AtomicU64::new(0);

fn many_writers(runtime: &tokio::runtime::Runtime, journal: &Journal, folder: &Path) {
    const ROUND: Duration = Duration::from_millis(700);
    let (bare, thread) = BareGroupCommit::start(&folder.join("bare-group"));
    let (mut ours, mut floors) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let bare = bare.clone();
        let floor = runtime.block_on(rate(ROUND, move |_| {
            let bare = bare.clone();
            async move { bare.append().await }
        }));
        let journal = journal.clone();
        let measured = runtime.block_on(rate(ROUND, move |number| {
            let journal = journal.clone();
            async move {
                journal.append(vec![fact(number)]).unwrap().await.unwrap();
            }
        }));
        if round > 0 {
            floors.push(floor);
            ours.push(measured);
        }
    }
    let measured = median(&mut ours);
    println!("{}", line("journal, 64 writers", measured, median(&mut floors), "/s", Goal::AtLeast(0.5)));
    let single = SINGLE_PER_S.load(Ordering::Relaxed) as f64;
    println!("{}", line("journal, 64 writers, against one's fdatasyncs", measured, single, "/s", Goal::AtLeast(8.0)));
    drop(bare);
    thread.join().unwrap();
}

/// Each of 64 writers is a peer of its own; its events have ids that rise, as UUIDs of version 7 do.
fn marked(runtime: &tokio::runtime::Runtime, journal: &Journal) {
    const ROUND: Duration = Duration::from_millis(700);
    let peers: Arc<Vec<LineId>> =
        Arc::new((0..WRITERS).map(|no| LineId::new(&format!("peer-{no}")).unwrap()).collect());
    let mark = move |base: u64, number: u64| {
        let seq = base + number + 1;
        let events = vec![format!("019a9f3e-{:04x}-7{:03x}-9f7e-{number:012x}", base >> 12, base & 0xfff)];
        let peer = peers[number as usize % WRITERS].clone();
        Mark { peer, epoch: Epoch([3; 16]), seq, at: UtcMillis(0), events, quarantined: Vec::new() }
    };
    let (mut ours, mut floors) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let plain = journal.clone();
        let floor = runtime.block_on(rate(ROUND, move |number| {
            let journal = plain.clone();
            async move {
                journal.append(vec![fact(number)]).unwrap().await.unwrap();
            }
        }));
        let (journal, mark) = (journal.clone(), mark.clone());
        let base = round as u64 * 10_000_000;
        let measured = runtime.block_on(rate(ROUND, move |number| {
            let (journal, mark) = (journal.clone(), mark(base, number));
            async move {
                journal.append_marked(vec![fact(number)], mark).unwrap().await.unwrap();
            }
        }));
        if round > 0 {
            floors.push(floor);
            ours.push(measured);
        }
    }
    let (measured, floor) = (median(&mut ours), median(&mut floors));
    println!("{}", line("journal, 64 peers with marks", measured, floor, "/s", Goal::AtLeast(0.5)));
}

/// Operations a second of 64 tasks that each wait for theirs before the next.
async fn rate<F: Future<Output = ()> + Send + 'static>(
    time: Duration,
    operation: impl Fn(u64) -> F + Clone + Send + 'static,
) -> f64 {
    let stop = Arc::new(AtomicBool::new(false));
    let start = Instant::now();
    let tasks: Vec<_> = (0..WRITERS as u64)
        .map(|writer| {
            let (stop, operation) = (Arc::clone(&stop), operation.clone());
            tokio::spawn(async move {
                let mut done = 0;
                while !stop.load(Ordering::Relaxed) {
                    operation(done * WRITERS as u64 + writer).await;
                    done += 1;
                }
                done
            })
        })
        .collect();
    tokio::time::sleep(time).await;
    stop.store(true, Ordering::Relaxed);
    let mut done = 0;
    for task in tasks {
        done += task.await.unwrap();
    }
    done as f64 / start.elapsed().as_secs_f64()
}

/// The least that a durable log with waiting writers can be: a thread that takes all that wait, writes them at once,
/// syncs once and answers.
#[derive(Clone)]
struct BareGroupCommit(mpsc::UnboundedSender<oneshot::Sender<()>>);

impl BareGroupCommit {
    fn start(path: &Path) -> (Self, std::thread::JoinHandle<()>) {
        let mut file = File::create(path).unwrap();
        let (sender, mut queue) = mpsc::unbounded_channel::<oneshot::Sender<()>>();
        let thread = std::thread::spawn(move || {
            let mut waiting = Vec::new();
            while let Some(first) = queue.blocking_recv() {
                waiting.push(first);
                while let Ok(next) = queue.try_recv() {
                    waiting.push(next);
                }
                file.write_all(&vec![7; RECORD_BYTES * waiting.len()]).unwrap();
                file.sync_data().unwrap();
                waiting.drain(..).for_each(|waiter| waiter.send(()).unwrap());
            }
        });
        (Self(sender), thread)
    }

    async fn append(&self) {
        let (answer, answered) = oneshot::channel();
        self.0.send(answer).unwrap();
        answered.await.unwrap();
    }
}

fn ingest(runtime: &tokio::runtime::Runtime, folder: &Path) {
    const BATCH: usize = 1000;
    const BATCHES: usize = 20;
    let url = |name: &str| format!("sqlite:{}", folder.join(name).display());
    let database = runtime.block_on(clinic::Database::open(&url("ours.db"))).unwrap();
    runtime.block_on(async { clinic::Database::open(&url("floor.db")).await.unwrap().close().await });
    let mut floor_db = rusqlite::Connection::open(folder.join("floor.db")).unwrap();
    floor_db
        .execute_batch(
            "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; INSERT INTO journal VALUES (1, 'gw', 'e', 0)",
        )
        .unwrap();
    let (mut ours, mut floors) = (Vec::new(), Vec::new());
    let mut seq = 0;
    for round in 0..ROUNDS {
        let batches: Vec<Vec<Entry>> = (0..BATCHES)
            .map(|_| {
                (0..BATCH)
                    .map(|_| {
                        seq += 1;
                        let gateway = GatewayId::new("gw").unwrap();
                        Entry { gateway, epoch: Epoch([1; 16]), seq, fact: fact(seq) }
                    })
                    .collect()
            })
            .collect();
        let start = Instant::now();
        batches.iter().for_each(|batch| bare_ingest(&mut floor_db, batch));
        let floor = (BATCH * BATCHES) as f64 / start.elapsed().as_secs_f64();
        let start = Instant::now();
        runtime.block_on(async {
            for batch in batches {
                let taken = clinic::ingest::ingest(&database, batch, UtcMillis(0)).await.unwrap();
                assert!(matches!(taken, clinic::ingest::Ingested::Committed { added: 1000, .. }));
            }
        });
        let measured = (BATCH * BATCHES) as f64 / start.elapsed().as_secs_f64();
        if round > 0 {
            floors.push(floor);
            ours.push(measured);
        }
    }
    println!("{}", line("ingest into SQLite", median(&mut ours), median(&mut floors), "/s", Goal::AtLeast(0.65)));
}

fn bare_ingest(connection: &mut rusqlite::Connection, batch: &[Entry]) {
    let transaction = connection.transaction().unwrap();
    {
        let mut insert = transaction
            .prepare(
                "INSERT INTO event (id, journal, seq, received_ms, at_ms, kind, reason, point, reader, direction, card,
                     person, age_ms, detail) VALUES (?1, 1, ?1, 0, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, NULL, NULL)",
            )
            .unwrap();
        for entry in batch {
            let fact = &entry.fact;
            insert
                .execute(rusqlite::params![
                    entry.seq.cast_signed(),
                    fact.at.0,
                    fact.kind.as_str(),
                    fact.reason.map(Reason::as_str),
                    fact.point.as_ref().map(PointId::as_str),
                    fact.reader.as_ref().map(ReaderId::as_str),
                    fact.direction.map(Direction::as_str),
                    fact.card.map(|it| it.to_string()),
                    fact.person.map(|it| it.to_string()),
                ])
                .unwrap();
        }
    }
    transaction.commit().unwrap();
}

/// Checks a journal of 192,000 entries, as `tapward journal verify` does.
fn verify(runtime: &tokio::runtime::Runtime, folder: &Path) {
    const GROUP: u64 = APPEND_MAX_FACTS as u64;
    const ENTRIES: u64 = 3000 * GROUP;
    let seconds = runtime.block_on(async {
        let path = folder.join("long.db");
        let clock = Clock::new(|| UtcMillis(0));
        let journal = Journal::open(&path, GatewayId::new("gw").unwrap(), Epoch([2; 16]), &clock).await.unwrap();
        for group in 0..ENTRIES / GROUP {
            let facts = (0..GROUP).map(|n| fact(group * GROUP + n)).collect();
            journal.append(facts).ok().unwrap().await.unwrap();
        }
        let mut seconds = Vec::new();
        for _ in 0..3 {
            let start = Instant::now();
            let found = journal.verify().await.unwrap();
            seconds.push(start.elapsed().as_secs_f64());
            assert!(found.entries == ENTRIES && found.problems.is_empty(), "{found:?}");
        }
        median(&mut seconds)
    });
    println!("{}", line("journal verify", ENTRIES as f64 / seconds, 100_000.0, "/s", Goal::AtLeast(1.0)));
}
