//! The feed of changes in the HTTP API: nothing missed, nothing twice, a wait that ends when something happens, names for
//! those only who may see them.

use std::time::Duration;

use axum::http::StatusCode;
use clinic::api_keys::NewKey;
use domain::{Field, Permission, Shipped, UtcMillis, Zones};
use serde_json::Value;
use store::{Database, sqlx, transact};
use tokio::time::Instant;

use super::api::Api;
use super::scene;

/// Appends so many changes about the person of the scene of number 1, whom the system `billing` calls R-77.
async fn happen(database: &Database, count: i64, at: UtcMillis) {
    transact!(database.clone(), "test.happen", |conn| {
        sqlx::query(
            "INSERT INTO person_alias (system, value, person) VALUES ('billing', 'R-77', $1) ON CONFLICT DO NOTHING",
        )
        .bind(scene::person(1).to_string())
        .execute(&mut *conn)
        .await?;
        for _ in 0..count {
            let id: i64 =
                sqlx::query_scalar("UPDATE counter SET value = value + 1 WHERE name = 'change' RETURNING value")
                    .fetch_one(&mut *conn)
                    .await?;
            sqlx::query(
                "INSERT INTO change (id, at_ms, happened_ms, kind, patient) VALUES ($1, $2, $2, 'person_changed', $3)",
            )
            .bind(id)
            .bind(at.0)
            .bind(scene::person(1).to_string())
            .execute(&mut *conn)
            .await?;
        }
        Ok(())
    })
    .unwrap();
}

async fn read(api: &Api, key: &str, query: &str) -> Value {
    let answer = api.get(&format!("/api/v1/changes?{query}"), key).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    serde_json::from_str(&answer.text).unwrap()
}

#[tokio::test]
async fn the_feed_of_changes_misses_nothing_and_repeats_nothing() {
    let api = Api::new().await;
    happen(&api.stage.database, 90, api.stage.hands.now()).await;
    let key = api.key(&[Permission::FeedRead]).await;
    let (mut after, mut ids) = (0, Vec::new());
    loop {
        let feed = read(&api, &key, &format!("after={after}&limit=40")).await;
        ids.extend(feed["changes"].as_array().unwrap().iter().map(|change| change["id"].as_u64().unwrap()));
        after = feed["next"].as_u64().unwrap();
        if feed["more"] == false {
            break;
        }
    }
    assert_eq!(ids, (1..=90).collect::<Vec<u64>>());
    let nothing = read(&api, &key, "after=90").await;
    assert_eq!((nothing["changes"].as_array().unwrap().len(), nothing["next"].as_u64()), (0, Some(90)));
    let denied = api.key(&[Permission::AuditSee]).await;
    assert_eq!(api.get("/api/v1/changes", &denied).await.status, StatusCode::FORBIDDEN);
    assert_eq!(api.get("/api/v1/changes?system=Not%20a%20name", &key).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn what_a_system_calls_people_is_told_to_it_alone_and_to_keys_that_see_references() {
    let api = Api::new().await;
    happen(&api.stage.database, 1, api.stage.hands.now()).await;
    let acting = api.acting(Shipped::Administrator).await;
    let new = |fields: Vec<Field>| NewKey {
        name: "billing".to_owned(),
        permissions: vec![Permission::FeedRead],
        fields,
        zones: Zones::All,
        networks: vec![],
        life_days: 1,
    };
    let blind = api.keys.make(&acting, new(vec![])).await.unwrap().1.reveal();
    let seeing = api.keys.make(&acting, new(vec![Field::Reference])).await.unwrap().1.reveal();
    let aliases =
        async |key: &str, query: &str| read(&api, key, query).await["changes"][0]["patient"]["aliases"].clone();
    assert_eq!(aliases(&seeing, "system=billing").await, serde_json::json!(["R-77"]));
    assert_eq!(aliases(&seeing, "system=laboratory").await, Value::Null);
    assert_eq!(aliases(&blind, "system=billing").await, Value::Null);
    let registered = clinic::disclosures::count_since(&api.stage.database, &acting, UtcMillis(0)).await.unwrap();
    assert_eq!(registered, 3, "each answer is in the register");
}

#[tokio::test]
async fn a_caller_that_waits_gets_an_answer_when_its_time_is_over() {
    let api = Api::new().await;
    happen(&api.stage.database, 1, api.stage.hands.now()).await;
    let key = api.key(&[Permission::FeedRead]).await;
    let begun = Instant::now();
    for at_once in ["after=0&wait=15", "after=7&wait=15"] {
        read(&api, &key, at_once).await;
    }
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    let begun = Instant::now();
    let nothing = read(&api, &key, "after=1&wait=1").await;
    assert_eq!(nothing["changes"].as_array().unwrap().len(), 0);
    assert!(begun.elapsed() >= Duration::from_millis(900), "{:?}", begun.elapsed());
    assert_eq!(api.get("/api/v1/changes?wait=16", &key).await.status, StatusCode::BAD_REQUEST);
}
