//! A program that registers services and takes payments as fast as it can is killed at random moments, many times. What it had
//! answered is there afterwards, nothing is there twice, though everything is asked for again with its key, and the till is
//! as its ledger says. `TAPWARD_KILLS` asks for more.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "tests and what they share"
)]

#[path = "till_model/stage.rs"]
#[allow(dead_code, reason = "shared with the other tests of the till")]
mod stage;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use clinic::Database;
use clinic::till::CancelReason;
use clinic::till::payments::{NewRefund, RefundOutcome, RefundReason};
use domain::till::{Method, Mode};
use stage::{Stage, WHY, amount, patient, uah};

/// Kills in one run on SQLite; a third of that, of two programs at once, on PostgreSQL.
const KILLS: u32 = 12;
const PATIENTS: usize = 8;
/// Writers of a child; each has keys of its own and does one thing after the other.
const WRITERS: usize = 6;
const PRICE: i64 = 300;
/// Tells a child what to work on: address, its number, the life it is in.
const CHILD: &str = "TAPWARD_TILL_CHILD";

fn kills() -> u32 {
    std::env::var("TAPWARD_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(KILLS)
}

/// The key of the n-th act of a writer of a child.
fn key(child: usize, writer: usize, number: usize) -> String {
    format!("kill-{child}-{writer}-{number:06}")
}

/// One line for each answer, written before the next is asked.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").unwrap();
    out.flush().unwrap();
}

/// The child: every writer registers a service, pays it, now and then takes it back and gives the money back, again and again,
/// each beginning with the last thing
/// that it cannot know the outcome of.
async fn work(told: &str) {
    let [url, child, begin] = told.split('|').collect::<Vec<_>>()[..] else { panic!("{told}") };
    let (child, begin): (usize, usize) = (child.parse().unwrap(), begin.parse().unwrap());
    let database = Database::open(url).await.unwrap();
    let stage = Stage::new(database, 0).await;
    say("working");
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let stage = stage.clone();
            tokio::spawn(async move {
                for number in begin.. {
                    let who = (writer + number) % PATIENTS;
                    let key = key(child, writer, number);
                    let new = stage.charge(key.clone(), who, "one", 1);
                    let charge = loop {
                        match stage.till.register(&stage.doctor, new.clone()).await {
                            Ok(charge) => break charge,
                            // Another program was quicker, again and again; nothing was done.
                            Err(clinic::till::TillError::Busy) => {}
                            Err(other) => panic!("{other}"),
                        }
                    };
                    say(&format!("charge {key} {}", charge.no));
                    if number % 3 == 0 {
                        continue;
                    }
                    let part = amount(if number % 3 == 1 { PRICE } else { PRICE / 2 });
                    let new = stage.payment(format!("pay-{key}"), who, vec![(charge.id.clone(), part)], 0);
                    let Ok(payment) = stage.till.pay(&stage.cashier, new).await else { continue };
                    say(&format!("payment pay-{key} {}", payment.no.unwrap()));
                    if number % 5 > 0 {
                        continue;
                    }
                    // Taken back, and what was paid for it goes back as money.
                    let (act, why) = (format!("take-{key}"), CancelReason::Mistake);
                    if stage.till.cancel(&stage.chief_doctor(), act, &charge.id, why, WHY).await.is_err() {
                        continue;
                    }
                    let new = NewRefund {
                        key: format!("back-{key}"),
                        patient: patient(who),
                        method: Method::Transfer,
                        currency: uah(),
                        amount: part,
                        external: None,
                        refunds: None,
                        reason: RefundReason::ServiceCancelled,
                        words: WHY.to_owned(),
                    };
                    if let Ok(RefundOutcome::Paid(payment)) = stage.till.refund(&stage.cashier, new).await {
                        say(&format!("payment back-{key} {}", payment.no.unwrap()));
                    }
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
}

/// A child and what it answers.
struct Life {
    child: Child,
    answers: std::thread::JoinHandle<Vec<String>>,
}

fn start(url: &str, number: usize, begin: usize, test: &str) -> Life {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .env(CHILD, format!("{url}|{number}|{begin}"))
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines.find(|line| line.as_ref().is_ok_and(|line| line.contains("working"))).expect("the child begins").unwrap();
    // A line that was cut by the kill was no answer.
    let answers = std::thread::spawn(move || lines.map_while(Result::ok).collect());
    Life { child, answers }
}

/// Numbers of charges and payments by key.
async fn stored(database: &Database) -> BTreeMap<String, i64> {
    let charges: Vec<(String, i64)> = store::read!(database, "test.charges", |conn| {
        Ok(sqlx::query_as("SELECT key, no FROM charge").fetch_all(&mut *conn).await?)
    })
    .unwrap();
    let payments: Vec<(String, i64)> = store::read!(database, "test.payments", |conn| {
        Ok(sqlx::query_as("SELECT key, no FROM payment").fetch_all(&mut *conn).await?)
    })
    .unwrap();
    charges.into_iter().chain(payments).collect()
}

/// The last act of a child that may not have been answered, over all its writers: there it begins again.
fn resume(all: &BTreeMap<String, i64>, child: usize) -> usize {
    let mine = format!("kill-{child}-");
    let last = all.keys().filter_map(|key| key.strip_prefix(&mine)).filter_map(|rest| rest.split('-').nth(1));
    last.filter_map(|number| number.parse::<usize>().ok()).max().map_or(0, |last| last.saturating_sub(2))
}

async fn killed(url: &str, kills: u32, children: usize, test: &str) {
    let stage = Stage::new(Database::open(url).await.unwrap(), PATIENTS).await;
    stage.service("one", PRICE, false).await;
    stage.till.put_terms(&stage.chief, stage.terms(Mode::Postpaid, Some(900_000_000))).await.unwrap();
    let mut moments = fastrand::Rng::with_seed(11);
    let (mut answered, mut lives_with_work) = (BTreeMap::new(), 0);
    for life in 0..kills {
        let before = stored(&stage.database).await;
        let running: Vec<Life> = (0..children).map(|child| start(url, child, resume(&before, child), test)).collect();
        let moment = Duration::from_micros(moments.u64(20_000..400_000));
        tokio::task::spawn_blocking(move || std::thread::sleep(moment)).await.unwrap();
        for mut one in running {
            one.child.kill().unwrap();
            one.child.wait().unwrap();
            for line in one.answers.join().unwrap() {
                let words: Vec<&str> = line.split(' ').collect();
                let [_, key, no] = words[..] else { continue };
                let Ok(no) = no.parse::<i64>() else { continue };
                let known = answered.entry(key.to_owned()).or_insert(no);
                assert_eq!(*known, no, "life {life}: {key} was answered with another number before");
            }
        }
        let after = stored(&stage.database).await;
        for (key, no) in &answered {
            assert_eq!(after.get(key), Some(no), "life {life}: {key} was answered and must be there");
        }
        lives_with_work += u32::from(after.len() > before.len());
        stage.is_sound().await;
    }
    assert!(lives_with_work * 2 > kills, "most died at work: {lives_with_work} of {kills}");
    let all = stored(&stage.database).await;
    println!(
        "{kills} kills of {children}: {} charges and payments, {} answered, none lost, none doubled; {lives_with_work} \
         died at work",
        all.len(),
        answered.len()
    );
    stage.close_database().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_charge_is_lost_or_doubled_by_kill_9_on_sqlite() {
    if let Ok(told) = std::env::var(CHILD) {
        return work(&told).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("killed.db").display());
    killed(&url, kills(), 1, "no_charge_is_lost_or_doubled_by_kill_9_on_sqlite").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_charge_is_lost_or_doubled_by_kill_9_of_two_at_once_on_postgres() {
    if let Ok(told) = std::env::var(CHILD) {
        return work(&told).await;
    }
    let url = tokio::task::spawn_blocking(store::testing::postgres_url).await.unwrap();
    let test = "no_charge_is_lost_or_doubled_by_kill_9_of_two_at_once_on_postgres";
    killed(&url, kills().div_ceil(3), 2, test).await;
}
