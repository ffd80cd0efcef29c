//! A clinic with visits that happened, without the desks at which they did.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use clinic::changes::ChangeKind;
use clinic::outbox::{self, DeliveryState, Filter};
use domain::{Clock, PersonId, UtcMillis};
use mis_bridge::delivery::Settings;
use store::Database;

/// 2026-11-22T08:00:00Z.
pub const NOW: UtcMillis = UtcMillis(1_795_334_400_000);
/// How long a story may take.
pub const WITHIN: Duration = Duration::from_secs(60);

/// A clock that goes, and that a test can move on.
#[derive(Clone)]
pub struct Hand(Arc<AtomicI64>);

impl Hand {
    pub fn new() -> (Self, Clock) {
        let hand = Self(Arc::new(AtomicI64::new(0)));
        let (own, begun) = (hand.clone(), tokio::time::Instant::now());
        let clock = Clock::new(move || {
            let passed = i64::try_from(begun.elapsed().as_millis()).unwrap();
            NOW.plus_ms(passed + own.0.load(Ordering::Relaxed))
        });
        (hand, clock)
    }

    pub fn forward(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::Relaxed);
    }
}

pub fn person(number: u64) -> PersonId {
    let mut bytes = [7; 16];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    PersonId(bytes)
}

pub fn visit_id(number: u64) -> String {
    format!("00000000-0000-4000-8000-{number:012x}")
}

/// The specialist of all visits.
pub fn doctor() -> PersonId {
    PersonId([9; 16])
}

/// A change to be appended.
pub struct New {
    pub kind: ChangeKind,
    /// The number of the patient, and of the visit.
    pub visit: u64,
    /// After [`NOW`], in milliseconds.
    pub after_ms: i64,
}

pub fn started(visit: u64) -> New {
    New { kind: ChangeKind::VisitStarted, visit, after_ms: i64::try_from(visit).unwrap() * 10 }
}

pub fn ended(visit: u64) -> New {
    New { kind: ChangeKind::VisitEnded, visit, after_ms: 60_000 + i64::try_from(visit).unwrap() * 10 }
}

/// Visits 1 to `count`, each of a patient of its own who is `P-n` at the system `mis`.
pub async fn open(database: &Database, count: u64) {
    store::transact!(database.clone(), "test.open", |conn| {
        macro_rules! run {
            ($sql:expr) => {
                store::sqlx::query($sql).execute(&mut *conn).await?
            };
        }
        let doctor = doctor().to_string();
        store::sqlx::query("INSERT INTO person (id, created_ms) VALUES ($1, 0)").bind(&doctor).execute(&mut *conn).await?;
        store::sqlx::query("INSERT INTO staff (person, role, login, practitioner, changed_ms) VALUES ($1, 'doctor', 'd42', 'D0042', 0)")
            .bind(&doctor)
            .execute(&mut *conn)
            .await?;
        run!("INSERT INTO workstation (point, name, external) VALUES ('desk-1', 'Room 204', 'L-204')");
        store::sqlx::query(
            "INSERT INTO desk_session (id, workstation, zone, person, state, factor, opened_ms, confirmed_ms, used_ms, ended_ms)
             VALUES ('s-1', 'desk-1', 'hall', $1, 'ended', 'none', 0, 0, 0, 1)",
        )
        .bind(&doctor)
        .execute(&mut *conn)
        .await?;
        let numbers: Vec<u64> = (1..=count).collect();
        for some in numbers.chunks(1000) {
            let mut insert = store::sqlx::QueryBuilder::<Db>::new("INSERT INTO person (id, created_ms) ");
            insert.push_values(some, |mut row, number| {
                row.push_bind(person(*number).to_string()).push_bind(0_i64);
            });
            insert.build().execute(&mut *conn).await?;
            let mut insert = store::sqlx::QueryBuilder::<Db>::new("INSERT INTO person_alias (system, value, person) ");
            insert.push_values(some, |mut row, number| {
                row.push_bind("mis").push_bind(format!("P-{number}")).push_bind(person(*number).to_string());
            });
            insert.build().execute(&mut *conn).await?;
            let mut insert = store::sqlx::QueryBuilder::<Db>::new(
                "INSERT INTO visit (id, no, patient, staff, workstation, zone, session, began_by, started_ms, ended_ms, ended_why) ",
            );
            insert.push_values(some, |mut row, number| {
                row.push_bind(visit_id(*number))
                    .push_bind(number.cast_signed())
                    .push_bind(person(*number).to_string())
                    .push_bind(doctor.clone())
                    .push_bind("desk-1")
                    .push_bind("hall")
                    .push_bind("s-1")
                    .push_bind("card")
                    .push_bind(NOW.0 + started(*number).after_ms)
                    .push_bind(NOW.0 + ended(*number).after_ms)
                    .push_bind("tap_out");
            });
            insert.build().execute(&mut *conn).await?;
        }
        Ok(())
    })
    .unwrap();
}

/// Appends changes to the feed.
pub async fn happen(database: &Database, changes: Vec<New>) {
    store::transact!(database.clone(), "test.happen", |conn| {
        for some in changes.chunks(1000) {
            let count = i64::try_from(some.len()).unwrap();
            let last: i64 = store::sqlx::query_scalar(
                "UPDATE counter SET value = value + $1 WHERE name = 'change' RETURNING value",
            )
            .bind(count)
            .fetch_one(&mut *conn)
            .await?;
            let mut insert = store::sqlx::QueryBuilder::<Db>::new(
                "INSERT INTO change (id, at_ms, happened_ms, kind, workstation, session, staff, patient, visit) ",
            );
            insert.push_values(some.iter().enumerate(), |mut row, (index, new)| {
                row.push_bind(last - count + 1 + i64::try_from(index).unwrap())
                    .push_bind(NOW.0)
                    .push_bind(NOW.0 + new.after_ms)
                    .push_bind(new.kind.as_str())
                    .push_bind("desk-1")
                    .push_bind("s-1")
                    .push_bind(doctor().to_string())
                    .push_bind(person(new.visit).to_string())
                    .push_bind(visit_id(new.visit));
            });
            insert.build().execute(&mut *conn).await?;
        }
        Ok(())
    })
    .unwrap();
}

/// Every visit starts, then every visit ends.
pub async fn whole_visits(database: &Database, count: u64) {
    happen(database, (1..=count).map(started).chain((1..=count).map(ended)).collect()).await;
}

/// A destination `mis` that wants visits and is impatient.
pub fn settings() -> Settings {
    let wants = [ChangeKind::VisitStarted, ChangeKind::VisitEnded, ChangeKind::VisitCancelled];
    let mut settings = Settings::new("mis", "test", &wants);
    settings.first_wait = Duration::from_millis(20);
    settings.longest_wait = Duration::from_millis(200);
    settings.longest_rest = Duration::from_millis(100);
    settings.lease = Duration::from_secs(20);
    settings.look_every = Duration::from_millis(5);
    settings
}

pub fn console() -> clinic::acting::Acting {
    clinic::acting::Acting::console()
}

/// How many deliveries are in each of these states.
pub async fn count(database: &Database, state: DeliveryState) -> usize {
    let state_code = state.as_str();
    let found: i64 = store::read!(database.clone(), "test.count", |conn| {
        Ok(store::sqlx::query_scalar("SELECT COUNT(*) FROM delivery WHERE state = $1")
            .bind(state_code)
            .fetch_one(&mut *conn)
            .await?)
    })
    .unwrap();
    usize::try_from(found).unwrap()
}

/// Waits until a state has so many deliveries.
pub async fn until(database: &Database, state: DeliveryState, wanted: usize) {
    let begun = tokio::time::Instant::now();
    loop {
        let found = count(database, state).await;
        if found == wanted {
            return;
        }
        if begun.elapsed() > WITHIN {
            let lines = outbox::deliveries(database, &console(), &Filter::default(), None, 20).await.unwrap();
            let destinations = outbox::destinations(database, &console(), NOW).await.unwrap();
            panic!("{found} {state} instead of {wanted}: {destinations:?} {lines:#?}");
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
