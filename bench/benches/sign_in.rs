//! A flood of sign-ins beside the day's work: 200 tries a second of strangers with wrong passwords, each from an address
//! of its own, while a guard's page asks for its session and for who is inside, and taps are recorded; each against the
//! same without the flood. (That a known name costs the same work as an unknown one is a test that counts hashes.)

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods, reason = "a bench, not the product")]

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bench::{Goal, heading, line, median, percentile};
use clinic::accounts::{AccountError, Accounts, Login, Password, SessionRules, SessionToken, Visitor};
use clinic::presence;
use domain::vault::BoxKey;
use domain::{CardId, Clock, Direction, Draft, Epoch, GatewayId, Kind, PointId, UtcMillis};
use store::Database;
use store::journal::Journal;

const TRIES_A_SECOND: u64 = 200;
const LASTS: Duration = Duration::from_secs(8);
/// How often the page asks and somebody taps.
const BEAT: Duration = Duration::from_millis(10);

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let folder = tempfile::tempdir().unwrap();
    let begin = Instant::now();
    let clock = Clock::new(move || UtcMillis(1_790_000_000_000 + i64::try_from(begin.elapsed().as_millis()).unwrap()));
    let database = Database::open(&format!("sqlite:{}", folder.path().join("a.db").display())).await.unwrap();
    let accounts =
        Accounts::new(database.clone(), clock.clone(), SessionRules::default(), "bench", BoxKey::new([7; 32]));
    let link = accounts.create_first_run_link().await.unwrap().unwrap();
    let (name, password) = (Login::new("olena.b").unwrap(), Password::new("a quiet morning in Kyiv"));
    let token = accounts.redeem_first_run(&link, &name, "", "en", password, &from(1)).await.unwrap();
    let gateway = GatewayId::new("gateway-1").unwrap();
    let journal = Journal::open(&folder.path().join("journal.db"), gateway, Epoch([3; 16]), &clock).await.unwrap();

    println!("{}", heading("a flood of sign-ins"));
    let quiet = work(&accounts, &database, &token, &journal).await;
    let (stop, counts) = (Arc::new(AtomicBool::new(false)), Arc::new(Counts::default()));
    let flood = tokio::spawn(flood(accounts.clone(), Arc::clone(&stop), Arc::clone(&counts)));
    let busy = work(&accounts, &database, &token, &journal).await;
    stop.store(true, Ordering::Relaxed);
    flood.await.unwrap();
    for (what, quiet, busy) in [("page", quiet.0, busy.0), ("tap", quiet.1, busy.1)] {
        let (mut quiet, mut busy) = (quiet, busy);
        let (a, b) = (median(&mut busy), median(&mut quiet));
        println!("{}", line(format!("{what} under the flood, middle"), a, b, "ms", Goal::AtMost(2.0)));
        let (a, b) = (percentile(&mut busy, 0.99), percentile(&mut quiet, 0.99));
        println!("{}", line(format!("{what} under the flood, 99 of 100"), a, b, "ms", Goal::Shown));
    }
    let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    println!("{} tries: {} answered wrong, {} put off", of(&counts.tried), of(&counts.wrong), of(&counts.put_off));
}

/// Milliseconds of each asking of a page and of each recorded tap.
async fn work(
    accounts: &Accounts,
    database: &Database,
    token: &SessionToken,
    journal: &Journal,
) -> (Vec<f64>, Vec<f64>) {
    let (mut pages, mut taps) = (Vec::new(), Vec::new());
    let begin = Instant::now();
    let mut beat = tokio::time::interval(BEAT);
    let mut n = 0_u64;
    while begin.elapsed() < LASTS {
        beat.tick().await;
        let asked = Instant::now();
        accounts.resume(token, false).await.unwrap().unwrap();
        presence::counts(database).await.unwrap();
        pages.push(asked.elapsed().as_secs_f64() * 1e3);
        let tapped = Instant::now();
        n += 1;
        let tap = Draft {
            point: Some(PointId::new("turnstile-1").unwrap()),
            direction: Some(Direction::In),
            card: Some(CardId(u128::from(n).to_be_bytes())),
            ..Draft::new(UtcMillis(1_790_000_000_000), Kind::Tap)
        };
        journal.append(vec![tap]).unwrap().await.unwrap();
        taps.push(tapped.elapsed().as_secs_f64() * 1e3);
    }
    (pages, taps)
}

#[derive(Default)]
struct Counts {
    tried: AtomicU64,
    wrong: AtomicU64,
    put_off: AtomicU64,
}

async fn flood(accounts: Accounts, stop: Arc<AtomicBool>, counts: Arc<Counts>) {
    let mut beat = tokio::time::interval(Duration::from_micros(1_000_000 / TRIES_A_SECOND));
    let mut n = 100_u32;
    while !stop.load(Ordering::Relaxed) {
        beat.tick().await;
        n += 1;
        let (accounts, counts) = (accounts.clone(), Arc::clone(&counts));
        tokio::spawn(async move {
            let name = format!("somebody{n}");
            let answer = accounts.sign_in(&name, Password::new("a wrong password"), &from(n)).await;
            counts.tried.fetch_add(1, Ordering::Relaxed);
            let counter = match answer {
                Err(AccountError::WrongPassword) => &counts.wrong,
                Ok(_) | Err(_) => &counts.put_off,
            };
            counter.fetch_add(1, Ordering::Relaxed);
        });
    }
}

fn from(n: u32) -> Visitor {
    Visitor::new(IpAddr::V4(Ipv4Addr::from(0x0A00_0000 + n)), "bench")
}
