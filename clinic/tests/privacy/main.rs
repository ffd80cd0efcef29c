//! What the privacy officer relies on, told on both engines: breaking glass, the register of disclosures, requests of
//! persons, retention, incidents, erasure.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests and what they share")]

mod data_map;
mod disclosures;
mod erasure;
mod glass;
mod incidents;
mod requests;
mod retention;
#[path = "../till_model/stage.rs"]
#[allow(dead_code, reason = "shared with the tests of the till")]
mod stage;
mod till;

use clinic::Database;
use clinic::acting::{Acting, Actor};
use domain::{PersonId, Rights, Shipped, UtcMillis};

/// 2026-11-20T08:00:00Z, a Friday, 10:00 in Kyiv.
pub(crate) const NOW: UtcMillis = UtcMillis(1_795_161_600_000);
pub(crate) const MINUTE: i64 = 60_000;
pub(crate) const DAY: i64 = 24 * 60 * MINUTE;

/// Somebody of a shipped role; the account's id is the digit repeated.
pub(crate) fn acting(role: Shipped, digit: char) -> Acting {
    let id: String = std::iter::repeat_n(digit, 32).collect();
    Acting {
        actor: Actor::Account(id),
        rights: Rights::of(role),
        session: None,
        address: Some("10.0.0.7".parse().unwrap()),
        glass: None,
    }
}

pub(crate) fn officer() -> Acting {
    acting(Shipped::PrivacyOfficer, 'f')
}

pub(crate) fn person(number: u8) -> PersonId {
    PersonId([number; 16])
}

/// Writes a person as an import would.
pub(crate) async fn register(database: &Database, number: u8, reference: Option<&str>) {
    let (id, reference) = (person(number).to_string(), reference.map(str::to_owned));
    store::transact!(database, "test.register", |conn| {
        sqlx::query("INSERT INTO person (id, external_ref, created_ms) VALUES ($1, $2, $3)")
            .bind(&id)
            .bind(reference.as_deref())
            .bind(NOW.0)
            .execute(&mut *conn)
            .await?;
        Ok(())
    })
    .unwrap();
}

/// One entry of the audit log: action, outcome, object, detail, note, glass.
pub(crate) type Entry = (String, String, Option<String>, Option<String>, Option<String>, Option<String>);

/// The audit log, oldest first.
pub(crate) async fn log(database: &Database) -> Vec<Entry> {
    store::read!(database, "test.log", |conn| {
        Ok(sqlx::query_as("SELECT action, outcome, object, detail, note, glass FROM audit_entry ORDER BY no")
            .fetch_all(&mut *conn)
            .await?)
    })
    .unwrap()
}
