//! The FHIRcast hub on both engines: topics, subscriptions, what is told in which order, what is open.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use clinic::fhircast::{
    Anchor, Ask, Caller, Ending, EndpointGiven, EventList, EventName, Hub, HubError, LoggedKind, Message, Settings,
    TroubleKind, state,
};
use domain::vault::BoxKey;
use domain::{Clock, UtcMillis};
use serde_json::json;
use store::Database;

const NOW: UtcMillis = UtcMillis(1_795_161_600_000);
const SESSION: &str = "5e5510115e5510115e5510115e551011";
const VISIT: &str = "7f4df2c2-0000-4000-8000-000000000001";

/// Somebody bound to a desk, and a patient.
async fn furnish(database: &Database) {
    store::transact!(database, "test.furnish", |conn| {
        for person in ["01".repeat(16), "02".repeat(16)] {
            store::sqlx::query("INSERT INTO person (id, created_ms) VALUES ($1, $2)")
                .bind(person)
                .bind(NOW.0)
                .execute(&mut *conn)
                .await?;
        }
        store::sqlx::query(
            "INSERT INTO desk_session (id, workstation, zone, person, state, factor, opened_ms, confirmed_ms, used_ms)
             VALUES ($1, 'desk-1', 'hall', $2, 'open', 'none', $3, $3, $3)",
        )
        .bind(SESSION)
        .bind("01".repeat(16))
        .bind(NOW.0)
        .execute(&mut *conn)
        .await?;
        store::sqlx::query(
            "INSERT INTO visit (id, no, patient, staff, workstation, zone, session, began_by, started_ms)
             VALUES ($1, 17, $2, $3, 'desk-1', 'hall', $4, 'card', $5)",
        )
        .bind(VISIT)
        .bind("02".repeat(16))
        .bind("01".repeat(16))
        .bind(SESSION)
        .bind(NOW.0)
        .execute(&mut *conn)
        .await?;
        Ok(())
    })
    .unwrap();
}

/// Something happened at the desk.
async fn happened(database: &Database, kind: &'static str, at: UtcMillis, reason: Option<&'static str>) {
    store::transact!(database, "test.change", |conn| {
        let id: i64 =
            store::sqlx::query_scalar("UPDATE counter SET value = value + 1 WHERE name = 'change' RETURNING value")
                .fetch_one(&mut *conn)
                .await?;
        let visit = kind.starts_with("visit").then_some(VISIT);
        store::sqlx::query(
            "INSERT INTO change (id, at_ms, happened_ms, kind, reason, workstation, session, visit)
             VALUES ($1, $2, $2, $3, $4, 'desk-1', $5, $6)",
        )
        .bind(id)
        .bind(at.0)
        .bind(kind)
        .bind(reason)
        .bind(SESSION)
        .bind(visit)
        .execute(&mut *conn)
        .await?;
        Ok(())
    })
    .unwrap();
}

fn open(id: &str, at: UtcMillis, patient: &str) -> Message {
    let resource = json!({ "key": "patient", "resource": { "resourceType": "Patient", "id": patient } });
    Message::new(id.to_owned(), at, EventName::Open(Anchor::Patient), vec![resource])
}

async fn told(hub: &Hub, after: &mut u64) -> Vec<String> {
    let (entries, upto) = hub.after(*after, 500).await.unwrap();
    *after = upto;
    entries
        .iter()
        .map(|entry| {
            entry.message.as_ref().map_or_else(|| entry.kind.to_string(), |message| message.event().to_string())
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn taps_and_programs_are_told_in_one_order_and_nothing_is_told_twice() {
    let folder = tempfile::tempdir().unwrap();
    for database in store::testing::both(folder.path()).await {
        furnish(&database).await;
        let settings = Settings { topic_is_enough: true, ..Settings::default() };
        let hub = Hub::new(database.clone(), Clock::new(|| NOW.plus_ms(60_000)), BoxKey::new([8; 32]), settings);
        let caller = Caller::default();
        happened(&database, "session_opened", NOW, None).await;
        assert_eq!(hub.work().await.unwrap(), 1);
        assert_eq!(hub.work().await.unwrap(), 0);
        let topic = hub.topic(SESSION).await.unwrap().unwrap();
        assert_eq!(hub.topic(SESSION).await.unwrap().unwrap(), topic);
        assert_eq!(hub.topic("nobody").await.unwrap(), None);

        let ask = |endpoint| Ask {
            topic: topic.clone(),
            events: EventList::all(),
            lease_s: None,
            name: Some("MIS".to_owned()),
            endpoint,
        };
        let accepted = hub.subscribe(&caller, ask(None)).await.unwrap();
        let endpoint = accepted.endpoint.endpoint().clone();
        let connected = hub.connect(&endpoint).await.unwrap().unwrap();
        assert!(connected.open.is_empty() && connected.session == SESSION && connected.topic == topic);
        assert!(hub.connect(&endpoint).await.unwrap().is_none(), "one socket at a time");
        hub.hold(std::slice::from_ref(&connected.id)).await.unwrap();
        let mut place = connected.upto;

        // Two programs take the same change: one of them makes the events.
        happened(&database, "visit_started", NOW.plus_ms(10_000), None).await;
        let (one, other) = tokio::join!(hub.work(), hub.work());
        assert_eq!(one.unwrap() + other.unwrap(), 1);
        assert_eq!(told(&hub, &mut place).await, ["Patient-open", "Encounter-open"]);
        assert_eq!(hub.context(&caller, &topic).await.unwrap()["context.type"], "Encounter");

        let older = hub.publish(&caller, &topic, open("old", NOW.plus_ms(5_000), "x")).await;
        assert!(matches!(older, Err(HubError::Older)), "{older:?}");
        hub.publish(&caller, &topic, open("mine", NOW.plus_ms(20_000), "x")).await.unwrap();
        hub.publish(&caller, &topic, open("mine", NOW.plus_ms(20_000), "x")).await.unwrap();
        assert_eq!(told(&hub, &mut place).await, ["Patient-open"], "told once");
        let again = hub.subscribe(&caller, ask(Some(endpoint.clone()))).await.unwrap();
        assert!(matches!(again.endpoint, EndpointGiven::Same(_)));
        assert_eq!(told(&hub, &mut place).await, [LoggedKind::Changed.as_str()]);

        hub.failed(&connected.id, "mine", "Patient-open", TroubleKind::Refused).await.unwrap();
        hub.failed(&connected.id, "mine", "Patient-open", TroubleKind::Refused).await.unwrap();
        assert_eq!(told(&hub, &mut place).await, ["SyncError"], "an error of one event is told once");
        assert_eq!(state(&database, SESSION).await.unwrap().out_of_sync().count(), 1);
        hub.recovered(&connected.id).await.unwrap();
        assert_eq!(state(&database, SESSION).await.unwrap().out_of_sync().count(), 0);
        hub.disconnected(&connected.id, Ending::Broken).await.unwrap();
        let back = hub.connect(&endpoint).await.unwrap().expect("back at its address");
        assert_eq!(back.open.len(), 1, "what is open: {:?}", back.open);
        hub.sweep().await.unwrap();

        happened(&database, "session_ended", NOW.plus_ms(30_000), Some("idle")).await;
        hub.work().await.unwrap();
        assert_eq!(told(&hub, &mut place).await, ["UserLogout"]);
        assert!(
            matches!(hub.context(&caller, &topic).await, Err(HubError::UnknownTopic))
                || hub.subscription(&back.id).await.unwrap().is_none()
        );
        database.close().await;
    }
}
