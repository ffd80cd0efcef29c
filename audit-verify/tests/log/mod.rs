//! A log as the clinic writes it, with heads in a second place, for tests to spoil.

#![allow(dead_code, reason = "each test uses a part")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use audit_verify::{PublicKey, PublicKeys, Published, Report, verify_database};
use clinic::acting::{Acting, Actor};
use clinic::audit::{Action, Draft, HeadKey, Outcome, Publisher, Publishing, Purpose, blot, write};
use domain::{Clock, Field, PersonId, SiteId, UtcMillis};
use store::Database;

/// The seed of the test's signing key.
pub const SEED: [u8; 32] = [42; 32];
/// When everything begins.
pub const NOW: i64 = 1_790_000_000_000;

/// A growing log.
pub struct Log {
    pub database: Database,
    pub clock: Clock,
    pub heads: PathBuf,
    time: Arc<AtomicI64>,
    publisher: Publisher,
}

/// Public key and heads, as an auditor has them.
pub fn published(heads: &Path) -> Published {
    let public = PublicKey(*HeadKey::from_seed(&SEED).unwrap().public());
    let files = [heads].into_iter().filter(|path| path.exists());
    Published::read(PublicKeys(vec![public]), files).unwrap()
}

impl Log {
    pub fn new(database: Database, heads: &Path) -> Self {
        let time = Arc::new(AtomicI64::new(NOW));
        let clock = Clock::new({
            let time = Arc::clone(&time);
            move || UtcMillis(time.load(Ordering::Relaxed))
        });
        let publishing = Publishing {
            site: SiteId::new("clinic-1").unwrap(),
            key: HeadKey::from_seed(&SEED).unwrap(),
            places: vec![heads.to_owned()],
            every: Duration::from_secs(3600),
        };
        let publisher = Publisher::new(database.clone(), clock.clone(), publishing);
        Self { database, clock, heads: heads.to_owned(), time, publisher }
    }

    /// Writes so many entries of all shapes; a note here and there, one of them blotted out.
    pub async fn write(&self, count: u64) {
        for n in 0..count {
            let at = UtcMillis(self.time.fetch_add(1000, Ordering::Relaxed));
            let draft = match n % 4 {
                0 => Draft {
                    subject: Some(PersonId([n as u8; 16])),
                    fields: vec![Field::Name, Field::Photo],
                    purpose: Some(Purpose::Treatment),
                    note: Some(format!("reason number {n}")),
                    session: Some("5e".repeat(16)),
                    address: Some("192.0.2.7".to_owned()),
                    ..Draft::new(at, Actor::Account("ac".repeat(16)), Action::PersonRevealed)
                },
                1 => Draft {
                    outcome: Outcome::Refused,
                    ..Draft::new(at, Actor::ApiKey("key1".to_owned()), Action::Refused)
                },
                2 => Draft { detail: Some(format!("rows={n}")), ..Draft::new(at, Actor::Console, Action::Imported) },
                _ => Draft { glass: Some("91a55".to_owned()), ..Draft::new(at, Actor::System, Action::PersonSeen) },
            };
            write(&self.database, draft).await.unwrap();
        }
        blot(&self.database, &Acting::console(), self.clock.now(), 1, "erasure").await.unwrap();
    }

    /// Signs and publishes.
    pub async fn publish(&mut self) {
        self.publisher.round(true).await;
    }

    pub async fn verify(&self, url: &str) -> Report {
        verify_database(url, published(&self.heads)).await.unwrap()
    }
}
