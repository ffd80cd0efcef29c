//! A queue drains to a server that answers at once: everything told, and each fact once. Prints how fast; eight hours of a
//! large clinic: `TAPWARD_LOAD_VISITS=50000 cargo test -p mis-bridge --test exchange -- --nocapture load::`

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tokio::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use clinic::outbox::{self, DeliveryState};
use domain::SiteId;
use mis_bridge::delivery::{self, Deliver};
use mis_bridge::fhir::{Fhir, Settings};
use mis_bridge::webhook::{Secret, Webhook};
use store::Database;
use tokio_util::sync::CancellationToken;

use crate::world::{self, Hand, count, open, settings, whole_visits};

#[derive(Clone, Default)]
struct Peer {
    has: Arc<Mutex<HashMap<String, (usize, Bytes)>>>,
}

async fn answer(State(peer): State<Peer>, method: Method, uri: Uri, body: Bytes) -> Response {
    let path = uri.path().to_owned();
    match method {
        Method::PUT => {
            let mut has = peer.has.lock().unwrap();
            let entry = has.entry(path).or_default();
            *entry = (entry.0 + 1, body);
            StatusCode::OK.into_response()
        }
        Method::GET if path.contains("/Patient/") => {
            let id = path.rsplit('/').next().unwrap();
            format!("{{\"resourceType\":\"Patient\",\"id\":\"{id}\"}}").into_response()
        }
        Method::GET => match peer.has.lock().unwrap().get(&path) {
            Some((version, body)) => ([("etag", format!("W/\"{version}\""))], body.clone()).into_response(),
            None => StatusCode::NOT_FOUND.into_response(),
        },
        // A webhook: each fact has words of its own.
        _ => {
            let mut has = peer.has.lock().unwrap();
            has.entry(String::from_utf8_lossy(&body).into_owned()).or_default().0 += 1;
            StatusCode::NO_CONTENT.into_response()
        }
    }
}

fn visits() -> u64 {
    std::env::var("TAPWARD_LOAD_VISITS").ok().and_then(|text| text.parse().ok()).unwrap_or(1_000)
}

async fn drain(name: &str, database: &Database, deliver: impl Deliver, at_once: usize) {
    let (_, clock) = Hand::new();
    let mut settings = settings();
    settings.at_once = at_once;
    let visits = visits();
    outbox::register(database, &settings.destination, world::NOW).await.unwrap();
    whole_visits(database, visits).await;
    let stop = CancellationToken::new();
    let begun = Instant::now();
    let task = tokio::spawn(delivery::run(settings, database.clone(), clock, deliver, stop.clone()));
    let wanted = usize::try_from(visits * 2).unwrap();
    let mut told = 0;
    while told < wanted {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        told = count(database, DeliveryState::Done).await;
        assert!(begun.elapsed().as_secs() < 280, "{told} of {wanted}");
    }
    let seconds = begun.elapsed().as_secs_f64();
    eprintln!(
        "{name}: {wanted} deliveries of {visits} visits in {seconds:.1} s: {:.0}/s, {at_once} at once",
        wanted as f64 / seconds
    );
    stop.cancel();
    task.await.unwrap().unwrap();
}

async fn peer() -> (Peer, url::Url) {
    let peer = Peer::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/fhir", listener.local_addr().unwrap()).parse().unwrap();
    let app = Router::new().fallback(answer).with_state(peer.clone());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    (peer, base)
}

async fn clinic(folder: &std::path::Path) -> Database {
    let database = Database::open(&format!("sqlite:{}", folder.join("clinic.db").display())).await.unwrap();
    open(&database, visits()).await;
    database
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_queue_is_told_to_a_fhir_server_each_visit_begun_and_ended_once() {
    let folder = tempfile::tempdir().unwrap();
    let database = clinic(folder.path()).await;
    let (peer, base) = peer().await;
    let settings = Settings::new(base, SiteId::new("clinic-3").unwrap());
    let fhir = Fhir::new(settings, Hand::new().1).unwrap();
    drain("FHIR (SQLite)", &database, fhir, 16).await;
    let has = peer.has.lock().unwrap();
    let encounters = has.iter().filter(|(path, _)| path.contains("/Encounter/"));
    assert!(encounters.clone().all(|(_, (versions, _))| *versions == 2));
    assert_eq!(encounters.count() as u64, visits());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_queue_is_told_to_a_webhook_each_fact_once() {
    let folder = tempfile::tempdir().unwrap();
    let database = clinic(folder.path()).await;
    let (peer, url) = peer().await;
    let secrets = vec![Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap()];
    let http = mis_bridge::http::Settings::default();
    let settings = mis_bridge::webhook::Settings { url, secrets, http, site: SiteId::new("clinic-3").unwrap() };
    drain("webhook (SQLite)", &database, Webhook::new(settings, Hand::new().1).unwrap(), 16).await;
    let has = peer.has.lock().unwrap();
    assert!(has.values().all(|(times, _)| *times == 1));
    assert_eq!(has.len() as u64, 2 * visits());
}
