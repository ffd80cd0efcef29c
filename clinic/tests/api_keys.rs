//! Keys of the HTTP API: the same stories on SQLite and on PostgreSQL, below HTTP.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests and what they share")]

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use clinic::acting::{Acting, Actor};
use clinic::api_keys::{
    Answered, ApiKeyError, ApiKeys, Begun, Caller, KEYS_PER_ACCOUNT, KeyRefused, KeyToken, LIFE_MAX_DAYS, NewKey,
};
use domain::{Clock, Field, Permission, Rights, Shipped, UtcMillis, ZoneId, Zones};
use store::{Database, transact};

const ACCOUNT: &str = "0123456789abcdef0123456789abcdef";
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

struct Scene {
    now: Arc<AtomicI64>,
    database: Database,
    keys: ApiKeys,
}

impl Scene {
    /// A clinic with one account of this role, and a zone within another.
    async fn new(database: Database, role: Shipped) -> Self {
        let now = Arc::new(AtomicI64::new(1_795_000_000_000));
        let hands = Arc::clone(&now);
        let clock = Clock::new(move || UtcMillis(hands.load(Ordering::Relaxed)));
        let role = role.as_str();
        transact!(database, "test.furnish", |conn| {
            sqlx::query(
                "INSERT INTO account (id, login, shown_name, locale, theme, created_at)
                 VALUES ($1, 'olena', '', 'en', 'system', 0)",
            )
            .bind(ACCOUNT)
            .execute(&mut *conn)
            .await?;
            sqlx::query("INSERT INTO account_role (account, role, zone) VALUES ($1, $2, '')")
                .bind(ACCOUNT)
                .bind(role)
                .execute(&mut *conn)
                .await?;
            Ok(())
        })
        .unwrap();
        let keys = ApiKeys::new(database.clone(), clock);
        Self { now, database, keys }
    }

    fn pass(&self, ms: i64) {
        self.now.fetch_add(ms, Ordering::Relaxed);
    }

    async fn resume(&self, token: &KeyToken) -> Result<Caller, KeyRefused> {
        self.keys.resume(token, address("10.3.0.7")).await.unwrap()
    }

    async fn entries(&self, action: &'static str) -> Vec<String> {
        store::read!(self.database, "test.entries", |conn| {
            Ok(sqlx::query_scalar("SELECT detail FROM audit_entry WHERE action = $1 ORDER BY no")
                .bind(action)
                .fetch_all(&mut *conn)
                .await?)
        })
        .unwrap()
    }
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn acting(role: Shipped) -> Acting {
    Acting {
        actor: Actor::Account(ACCOUNT.to_owned()),
        rights: Rights::of(role),
        session: None,
        address: Some(address("10.3.0.1")),
        glass: None,
    }
}

fn new(permissions: &[Permission]) -> NewKey {
    NewKey {
        name: "Booking".to_owned(),
        permissions: permissions.to_vec(),
        fields: vec![],
        zones: Zones::All,
        networks: vec![],
        life_days: 90,
    }
}

/// Runs a story on both engines, for an account of a role.
macro_rules! story {
    ($name:ident, $role:expr, |$scene:ident| $body:block) => {
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            let folder = tempfile::tempdir().unwrap();
            for database in store::testing::both(folder.path()).await {
                let $scene = Scene::new(database, $role).await;
                $body
            }
        }
    };
}

story!(a_key_does_what_it_was_made_for_and_is_stored_as_a_hash_only, Shipped::Administrator, |scene| {
    let wanted = NewKey { fields: vec![Field::Category], ..new(&[Permission::FeedRead, Permission::DevicesSee]) };
    let (id, token) = scene.keys.make(&acting(Shipped::Administrator), wanted).await.unwrap();
    let caller = scene.resume(&token).await.unwrap();
    assert_eq!(caller.acting.actor, Actor::ApiKey(id.to_string()));
    assert!(caller.acting.must(Permission::FeedRead).is_ok() && caller.acting.must(Permission::AuditSee).is_err());
    assert!(caller.acting.rights.shows(Field::Category) && !caller.acting.rights.shows(Field::Name));
    let stored: Vec<String> = store::read!(scene.database, "test.stored", |conn| {
        Ok(sqlx::query_scalar("SELECT token_hash || id || name FROM api_key").fetch_all(&mut *conn).await?)
    })
    .unwrap();
    let secret = token.reveal();
    assert!(!stored[0].contains(&secret["tapward_".len()..]), "the token stands nowhere");
    let made = scene.entries("api_key_changed").await;
    assert!(made[0].starts_with("made; until ") && made[0].contains("feed_read devices_see"), "{made:?}");
    assert!(!made[0].contains("Booking"), "what somebody typed stays out of the log: {made:?}");
    let other = KeyToken::parse(&format!("tapward_{}", "7".repeat(64))).unwrap();
    assert_eq!(scene.resume(&other).await.unwrap_err(), KeyRefused::Unknown);
});

story!(nobody_gives_a_key_what_they_do_not_have_nor_what_is_for_people, Shipped::Integrator, |scene| {
    let integrator = acting(Shipped::Integrator);
    let made = async |wanted: NewKey| scene.keys.make(&integrator, wanted).await.map(|_| ());
    assert!(matches!(made(new(&[Permission::PersonFind])).await, Err(ApiKeyError::Beyond(Permission::PersonFind))));
    assert!(matches!(made(new(&[Permission::ApiKeyEdit])).await, Err(ApiKeyError::Never(_))));
    assert!(matches!(made(new(&[])).await, Err(ApiKeyError::NoPermission)));
    let seeing = NewKey { fields: vec![Field::Name], ..new(&[Permission::FeedRead]) };
    assert!(matches!(made(seeing).await, Err(ApiKeyError::BeyondField(Field::Name))));
    for life_days in [0, LIFE_MAX_DAYS + 1] {
        let wanted = NewKey { life_days, ..new(&[Permission::FeedRead]) };
        assert!(matches!(made(wanted).await, Err(ApiKeyError::BadLife)));
    }
    let nameless = NewKey { name: " \n".to_owned(), ..new(&[Permission::FeedRead]) };
    assert!(matches!(made(nameless).await, Err(ApiKeyError::BadName)));
    let guard = scene.keys.make(&acting(Shipped::Guard), new(&[Permission::DevicesSee])).await;
    assert!(matches!(guard, Err(ApiKeyError::Denied(_))));
    let broken = Acting { glass: Some("g".to_owned()), ..acting(Shipped::Integrator) };
    let made = scene.keys.make(&broken, new(&[Permission::FeedRead])).await;
    assert!(matches!(made, Err(ApiKeyError::Glass)), "borrowed rights make nothing lasting");
    let made = scene.keys.make(&Acting::console(), new(&[Permission::FeedRead])).await;
    assert!(matches!(made, Err(ApiKeyError::NotAnAccount)));
    assert!(scene.entries("api_key_changed").await.is_empty(), "nothing was made");
});

story!(a_key_loses_what_its_account_loses, Shipped::Administrator, |scene| {
    let wanted = new(&[Permission::AuditSee, Permission::DevicesSee]);
    let (_, token) = scene.keys.make(&acting(Shipped::Administrator), wanted).await.unwrap();
    assert!(scene.resume(&token).await.unwrap().acting.must(Permission::AuditSee).is_ok());
    transact!(scene.database, "test.demote", |conn| {
        sqlx::query("UPDATE account_role SET role = 'guard'").execute(&mut *conn).await?;
        Ok(())
    })
    .unwrap();
    let caller = scene.resume(&token).await.unwrap();
    assert!(caller.acting.must(Permission::AuditSee).is_err(), "at once");
    assert!(caller.acting.must(Permission::DevicesSee).is_ok(), "what a guard may");
});

story!(a_key_of_a_zone_reaches_no_further_than_its_account, Shipped::Administrator, |scene| {
    let zone = |name: &str| ZoneId::new(name).unwrap();
    let only = |names: &[&str]| Zones::Only(names.iter().map(|name| zone(name)).collect::<BTreeSet<_>>());
    let mut hall = Rights::default();
    hall.add(&[Permission::ApiKeyEdit, Permission::LiveWatch], &[], &only(&["hall"]));
    let local = Acting { rights: hall, ..acting(Shipped::Guard) };
    let yard = NewKey { zones: only(&["yard"]), ..new(&[Permission::LiveWatch]) };
    assert!(matches!(scene.keys.make(&local, yard).await, Err(ApiKeyError::BeyondZone(_))));
    let everywhere = scene.keys.make(&local, new(&[Permission::LiveWatch])).await;
    assert!(matches!(everywhere, Err(ApiKeyError::BeyondZone(_))));
    let own = NewKey { zones: only(&["hall"]), ..new(&[Permission::LiveWatch]) };
    let (_, token) = scene.keys.make(&local, own).await.unwrap();
    let caller = scene.resume(&token).await.unwrap();
    assert_eq!(caller.acting.rights.zones(Permission::LiveWatch), Some(&only(&["hall"])));
});

story!(a_key_ends_by_hand_by_time_and_elsewhere_it_never_works, Shipped::Administrator, |scene| {
    let administrator = acting(Shipped::Administrator);
    let wanted = NewKey { networks: vec!["10.3.0.0/16".parse().unwrap()], ..new(&[Permission::DevicesSee]) };
    let (id, token) = scene.keys.make(&administrator, wanted).await.unwrap();
    assert!(scene.resume(&token).await.is_ok());
    let elsewhere = scene.keys.resume(&token, address("10.4.0.1")).await.unwrap();
    assert_eq!(elsewhere.unwrap_err(), KeyRefused::Network);
    scene.pass(90 * DAY_MS - 1);
    assert!(scene.resume(&token).await.is_ok(), "one millisecond before");
    scene.pass(1);
    assert_eq!(scene.resume(&token).await.unwrap_err(), KeyRefused::Expired);
    scene.keys.end(&administrator, id).await.unwrap();
    scene.keys.end(&administrator, id).await.unwrap();
    assert_eq!(scene.resume(&token).await.unwrap_err(), KeyRefused::Ended);
    assert_eq!(scene.entries("api_key_changed").await.len(), 2, "made and ended, once each");
    assert!(matches!(scene.keys.end(&acting(Shipped::Guard), id).await, Err(ApiKeyError::Denied(_))));
    let listed = scene.keys.list(&administrator).await.unwrap();
    assert!(listed[0].ended_at.is_some() && listed[0].used_from.as_deref() == Some("10.3.0.7"), "{listed:?}");
});

story!(an_account_has_a_bounded_number_of_keys, Shipped::Administrator, |scene| {
    let administrator = acting(Shipped::Administrator);
    for _ in 0..KEYS_PER_ACCOUNT {
        scene.keys.make(&administrator, new(&[Permission::DevicesSee])).await.unwrap();
    }
    let one_more = scene.keys.make(&administrator, new(&[Permission::DevicesSee])).await;
    assert!(matches!(one_more, Err(ApiKeyError::TooMany)));
});

story!(a_named_request_is_done_once_also_when_many_ask_at_once, Shipped::Administrator, |scene| {
    let (id, _) = scene.keys.make(&acting(Shipped::Administrator), new(&[Permission::DevicesSee])).await.unwrap();
    let asked = (0..16).map(|_| {
        let keys = scene.keys.clone();
        tokio::spawn(async move { keys.begin_request(id, "one", b"open").await.unwrap() })
    });
    let mut first = 0;
    for answer in asked.collect::<Vec<_>>() {
        match answer.await.unwrap() {
            Begun::First => first += 1,
            begun => assert_eq!(begun, Begun::Open),
        }
    }
    assert_eq!(first, 1, "exactly one does it");
    assert_eq!(scene.keys.begin_request(id, "one", b"close").await.unwrap(), Begun::Other);
    let answer = Answered { status: 202, body: "{}".to_owned() };
    scene.keys.finish_request(id, "one", Some(answer.clone())).await.unwrap();
    assert_eq!(scene.keys.begin_request(id, "one", b"open").await.unwrap(), Begun::Done(answer));
    scene.pass(DAY_MS + 1);
    assert_eq!(scene.keys.begin_request(id, "one", b"open").await.unwrap(), Begun::First, "forgotten after a day");
    scene.keys.finish_request(id, "one", None).await.unwrap();
    assert_eq!(scene.keys.begin_request(id, "one", b"open").await.unwrap(), Begun::First, "nothing was done");
});
