//! Sixty-four writers, at two programs' worth of tills over one database, race for the last unit of a patient's limit and of
//! a shared one. As many are accepted as fit, to the last unit, and never one more. `TAPWARD_RACES` asks for more attempts.

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

use std::time::Instant;

use clinic::Database;
use clinic::till::{Member, NewPayer, NewTerms, PayerKind, Till, TillError};
use domain::till::{Mode, Owner, Refusal};
use stage::{Stage, amount, patient, uah};

const WRITERS: usize = 64;
/// Attempts of each writer in a round.
const EACH: usize = 2;
/// Attempts of one run for each race and engine.
const ATTEMPTS: usize = 2_048;
/// What one piece costs.
const PRICE: i64 = 700;
/// Pieces that fit into the limit in each round.
const FIT: usize = 5;

fn rounds() -> usize {
    let attempts = std::env::var("TAPWARD_RACES").ok().and_then(|text| text.parse().ok()).unwrap_or(ATTEMPTS);
    (attempts / (WRITERS * EACH)).max(1)
}

/// How a round ended.
#[derive(Debug, Default, PartialEq, Eq)]
struct Ended {
    accepted: usize,
    refused: usize,
    /// Pieces that were registered.
    pieces: i64,
    /// The fewest pieces that were refused to somebody.
    fewest_refused: Option<i64>,
}

/// All writers at once: what each asks for, at which till.
async fn race(
    stage: &Stage,
    tills: &[Till; 2],
    round: usize,
    wanted: impl Fn(usize, usize) -> (usize, u32),
    is_expected: fn(&Refusal) -> bool,
) -> Ended {
    let begin = std::sync::Arc::new(tokio::sync::Barrier::new(WRITERS));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (till, stage, begin) = (tills[writer % 2].clone(), stage.clone(), begin.clone());
            let asked: Vec<(usize, u32)> = (0..EACH).map(|attempt| wanted(writer, attempt)).collect();
            tokio::spawn(async move {
                begin.wait().await;
                let mut outcomes = Vec::new();
                for (attempt, (who, pieces)) in asked.into_iter().enumerate() {
                    let key = format!("race-{round:06}-{writer:02}-{attempt}-{who}");
                    let outcome = till.register(&stage.doctor, stage.charge(key, who, "one", pieces)).await;
                    outcomes.push((pieces, outcome));
                }
                outcomes
            })
        })
        .collect();
    let mut ended = Ended::default();
    for writer in writers {
        for (pieces, outcome) in writer.await.unwrap() {
            match outcome {
                Ok(_) => {
                    ended.accepted += 1;
                    ended.pieces += i64::from(pieces);
                }
                Err(TillError::Refused(refusal)) if is_expected(&refusal) => {
                    ended.refused += 1;
                    let least = ended.fewest_refused.unwrap_or(i64::MAX).min(i64::from(pieces));
                    ended.fewest_refused = Some(least);
                }
                Err(other) => panic!("neither accepted nor refused for its limit: {other}"),
            }
        }
    }
    ended
}

async fn number(database: &Database, who: usize) -> i64 {
    let person = patient(who).to_string();
    store::read!(database, "test.owed", |conn| {
        Ok(sqlx::query_scalar("SELECT owed_minor FROM till_balance WHERE person = $1")
            .bind(&person)
            .fetch_one(&mut *conn)
            .await?)
    })
    .unwrap()
}

async fn used(database: &Database) -> i64 {
    store::read!(database, "test.used", |conn| {
        Ok(sqlx::query_scalar("SELECT used_minor FROM pot").fetch_one(&mut *conn).await?)
    })
    .unwrap()
}

/// The patient's own limit: a new patient in each round.
async fn for_a_patients_limit(stage: &Stage, tills: &[Till; 2]) {
    let limit = PRICE * FIT as i64 + PRICE / 2;
    stage.till.put_terms(&stage.chief, stage.terms(Mode::Postpaid, Some(limit))).await.unwrap();
    for round in 0..rounds() {
        // Every other round with one to three pieces at once.
        let is_even = round % 2 == 0;
        let wanted = |writer: usize, attempt: usize| {
            (round, if is_even { 1 } else { u32::try_from((writer + attempt) % 3 + 1).unwrap() })
        };
        let over = |refusal: &Refusal| matches!(refusal, Refusal::PatientLimit { .. });
        let ended = race(stage, tills, round, wanted, over).await;
        assert_eq!(ended.accepted + ended.refused, WRITERS * EACH);
        assert!(ended.pieces <= FIT as i64, "{ended:?}");
        if is_even {
            assert_eq!(ended.accepted, FIT, "{ended:?}");
        }
        assert_eq!(number(&stage.database, round).await, ended.pieces * PRICE);
        let left = FIT as i64 - ended.pieces;
        assert!(ended.fewest_refused.unwrap() > left, "nobody is refused what still fits at the end: {ended:?}");
    }
}

/// The shared limit: each writer has a patient of their own, all of them members; in each round there is room for some more.
async fn for_a_shared_limit(stage: &Stage, tills: &[Till; 2]) {
    let (till, chief) = (&stage.till, &stage.chief);
    let first = rounds() + 1;
    till.put_payer(chief, NewPayer::new("family", PayerKind::Group, "A family")).await.unwrap();
    till.set_pot(chief, "family", uah(), amount(0)).await.unwrap();
    for writer in 0..WRITERS {
        let member = Member { person: patient(first + writer), from: stage.today(), until: None };
        till.put_member(chief, "family", member).await.unwrap();
    }
    let terms = NewTerms { pot: Some("family".to_owned()), ..stage.terms(Mode::Postpaid, None) };
    till.put_terms(chief, NewTerms { owner: Owner::Payer("family".to_owned()), ..terms }).await.unwrap();
    for round in 0..rounds() {
        let before = used(&stage.database).await;
        till.set_pot(chief, "family", uah(), amount(before + PRICE * FIT as i64 + PRICE - 1)).await.unwrap();
        let wanted = |writer: usize, _| (first + writer, 1);
        let over = |refusal: &Refusal| matches!(refusal, Refusal::PotLimit { .. });
        let ended = race(stage, tills, round, wanted, over).await;
        assert_eq!((ended.accepted, ended.refused), (FIT, WRITERS * EACH - FIT));
        assert_eq!(used(&stage.database).await, before + PRICE * FIT as i64);
    }
}

async fn raced(first: Database, second: Database, name: &str) {
    let stage = Stage::new(first, rounds() + WRITERS + 1).await;
    let tills = [stage.till.clone(), stage.another_till(second.clone())];
    stage.service("one", PRICE, false).await;
    let begun = Instant::now();
    for_a_patients_limit(&stage, &tills).await;
    let patients_ms = begun.elapsed().as_millis();
    for_a_shared_limit(&stage, &tills).await;
    let all_ms = begun.elapsed().as_millis();
    stage.is_sound().await;
    let attempts = rounds() * WRITERS * EACH;
    println!(
        "{name}: {attempts} attempts at patients' limits in {patients_ms} ms, {attempts} at a shared one in {} ms; \
         never over, {FIT} accepted each time",
        all_ms - patients_ms
    );
    drop(tills);
    second.close().await;
    stage.close_database().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_last_unit_of_a_limit_is_given_once_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("race.db").display());
    let first = Database::open(&url).await.unwrap();
    raced(first, Database::open(&url).await.unwrap(), "SQLite").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_last_unit_of_a_limit_is_given_once_on_postgres() {
    let url = tokio::task::spawn_blocking(store::testing::postgres_url).await.unwrap();
    let first = Database::open(&url).await.unwrap();
    raced(first, Database::open(&url).await.unwrap(), "PostgreSQL").await;
}
