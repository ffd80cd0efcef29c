//! A clinic in Kyiv on a Sunday noon, with an accountant and some people.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use clinic::acting::{Acting, Actor};
use clinic::people::{self, Reference};
use clinic::till::{Rules, Till};
use domain::money::{Amount, Currency};
use domain::schedule::LocalDate;
use domain::{Clock, PersonId, Rights, Shipped, UtcMillis};
use store::Database;

/// 2026-11-22 10:00 UTC.
pub const NOON: i64 = 1_795_341_600_000;
pub const HOUR: i64 = 3_600_000;

pub struct Scene {
    pub database: Database,
    pub till: Till,
    pub boss: Acting,
    now: Arc<AtomicI64>,
}

pub fn uah(minor: i64) -> Amount {
    Amount::new(minor).unwrap()
}

pub fn hryvnia() -> Currency {
    Currency::parse("UAH").unwrap()
}

pub fn day(text: &str) -> LocalDate {
    text.parse().unwrap()
}

impl Scene {
    pub fn new(database: Database) -> Self {
        let now = Arc::new(AtomicI64::new(NOON));
        let hand = now.clone();
        let clock = Clock::new(move || UtcMillis(hand.load(Ordering::Relaxed)));
        let till = Till::new(database.clone(), clock, chrono_tz::Europe::Kyiv, Rules::of(hryvnia()));
        let actor = Actor::Account("a".repeat(32));
        let boss = Acting { actor, ..Acting::console() };
        Self { database, till, boss, now }
    }

    pub fn set(&self, now: i64) {
        self.now.store(now, Ordering::Relaxed);
    }

    pub fn now(&self) -> UtcMillis {
        UtcMillis(self.now.load(Ordering::Relaxed))
    }

    pub async fn person(&self, number: &str) -> PersonId {
        people::register(&self.database, &self.boss, Reference::new(number), self.now()).await.unwrap()
    }

    /// The audit log's words about an object, in order.
    pub async fn words(&self, object: &str) -> Vec<String> {
        store::read!(self.database, "test.words", |conn| {
            Ok(store::sqlx::query_scalar("SELECT detail FROM audit_entry WHERE object = $1 ORDER BY no")
                .bind(object)
                .fetch_all(&mut *conn)
                .await?)
        })
        .unwrap()
    }

    /// How many changes were told, with the patient where there is one.
    pub async fn told(&self) -> Vec<Option<String>> {
        store::read!(self.database, "test.told", |conn| {
            Ok(store::sqlx::query_scalar("SELECT patient FROM change WHERE kind = 'terms_changed' ORDER BY id")
                .fetch_all(&mut *conn)
                .await?)
        })
        .unwrap()
    }
}

/// Somebody who is only a cashier.
pub fn cashier() -> Acting {
    Acting { rights: Rights::of(Shipped::Cashier), ..Acting::console() }
}

/// Runs a story on both engines.
macro_rules! story {
    ($name:ident, |$scene:ident| $body:block) => {
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            let folder = tempfile::tempdir().unwrap();
            for database in store::testing::both(folder.path()).await {
                let $scene = crate::scene::Scene::new(database);
                $body
                $scene.database.close().await;
            }
        }
    };
}
pub(crate) use story;
