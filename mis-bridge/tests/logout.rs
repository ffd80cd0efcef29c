//! Systems hear that a session ended: also the one that fails at first, and none waits for another that hangs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods, reason = "tests")]

use std::borrow::Cow;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use clinic::acting::{Acting, Actor};
use clinic::openid::{Asked, NewClient, Provider, Rules, Step};
use domain::vault::BoxKey;
use domain::{Clock, PersonId, PointId, Rights, Shipped, UtcMillis};
use mis_bridge::http::{Client, Settings};
use mis_bridge::logout;
use store::Database;
use tokio_util::sync::CancellationToken;

type Heard = Arc<Mutex<Vec<(String, String)>>>;

fn clock() -> Clock {
    Clock::new(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        UtcMillis(i64::try_from(since.as_millis()).unwrap())
    })
}

async fn good(State(heard): State<Heard>, body: String) -> StatusCode {
    heard.lock().unwrap().push(("good".to_owned(), body));
    StatusCode::OK
}

/// Fails once.
async fn moody(State(heard): State<Heard>, body: String) -> StatusCode {
    let mut heard = heard.lock().unwrap();
    let is_first = !heard.iter().any(|(who, _)| who == "moody");
    heard.push(("moody".to_owned(), body));
    if is_first { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::NO_CONTENT }
}

async fn hanging(State(heard): State<Heard>, body: String) -> StatusCode {
    heard.lock().unwrap().push(("hanging".to_owned(), body));
    tokio::time::sleep(Duration::from_secs(3600)).await;
    StatusCode::OK
}

async fn run(database: &Database, statement: &'static str) {
    store::transact!(database, "test.run", |conn| {
        for one in statement.split(';').filter(|one| !one.trim().is_empty()) {
            store::sqlx::query(store::sqlx::AssertSqlSafe(one.to_owned())).execute(&mut *conn).await?;
        }
        Ok(())
    })
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_session_is_told_again_until_it_is_taken_and_nobody_waits_for_who_hangs() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("clinic.db").display());
    let database = Database::open(&url).await.unwrap();
    let heard = Heard::default();
    let router = Router::new()
        .route("/good", post(good))
        .route("/moody", post(moody))
        .route("/hanging", post(hanging))
        .with_state(Arc::clone(&heard));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });

    let doctor = PersonId([1; 16]);
    run(
        &database,
        "INSERT INTO person (id, created_ms) VALUES ('01010101010101010101010101010101', 0);
         INSERT INTO staff (person, role, login, changed_ms) VALUES ('01010101010101010101010101010101', 'doctor', 'd', 0);
         INSERT INTO desk_session (id, workstation, zone, person, state, factor, opened_ms, confirmed_ms, used_ms)
             VALUES ('s1', 'desk-1', 'room-1', '01010101010101010101010101010101', 'open', 'none', 0, 0, 0)",
    )
    .await;
    assert_eq!(doctor.to_string(), "01".repeat(16));
    let provider =
        Provider::new(database.clone(), clock(), BoxKey::new([8; 32]), Rules::new("https://tapward.example"));
    provider.tick().await.unwrap();
    let rights = Rights::of(Shipped::Administrator);
    let actor = Actor::Account("e".repeat(32));
    let acting = Acting { actor, rights, session: None, address: None, glass: None };
    let desk = PointId::new("desk-1").unwrap();
    for name in ["hanging", "good", "moody"] {
        let new = NewClient {
            name: name.to_owned(),
            redirect_uris: vec!["https://mis.example/back".to_owned()],
            logout_uri: Some(format!("{base}/{name}")),
            ..NewClient::default()
        };
        provider.make_client(&acting, Some(name.to_owned()), new).await.unwrap();
        let pairs = [
            ("client_id", name),
            ("redirect_uri", "https://mis.example/back"),
            ("response_type", "code"),
            ("scope", "openid"),
            ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
            ("code_challenge_method", "S256"),
        ];
        let asked = Asked::read(pairs.into_iter().map(|(name, value)| (Cow::Borrowed(name), Cow::Borrowed(value))));
        let handle = provider.ask(&asked).await.unwrap();
        assert!(matches!(provider.step(handle.reveal(), &desk).await.unwrap(), Step::Go(_)));
    }
    let ending = CancellationToken::new();
    let client = Client::new(Settings::default()).unwrap();
    let sender = tokio::spawn(logout::run(provider.clone(), client, ending.clone()));
    run(&database, "UPDATE desk_session SET ended_ms = 1, ended_why = 'ended', state = 'ended'").await;
    let begun = Instant::now();
    loop {
        let count = |who: &str| heard.lock().unwrap().iter().filter(|(name, _)| name == who).count();
        if count("good") == 1 && count("moody") == 2 && count("hanging") == 1 {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", heard.lock().unwrap().len());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let bodies = heard.lock().unwrap().clone();
    assert!(bodies.iter().all(|(_, body)| body.starts_with("logout_token=eyJ")));
    let moody: Vec<_> = bodies.iter().filter(|(name, _)| name == "moody").map(|(_, body)| body).collect();
    assert_ne!(moody[0], moody[1], "each try has a token of its own time");
    ending.cancel();
    tokio::time::timeout(Duration::from_secs(5), sender).await.expect("it ends").unwrap();
}
