//! Webhooks to a receiver that checks signatures by itself.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use clinic::changes::ChangeKind;
use clinic::outbox::{DeliveryState, Fault, FaultCode};
use domain::SiteId;
use mis_bridge::delivery::{self, Deliver, Delivered};
use mis_bridge::webhook::{Secret, Settings, SetupError, Webhook};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::fhir::fact;
use crate::world::{self, Hand, open, until, whole_visits};

const FIRST: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const SECOND: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

#[derive(Clone, Default)]
struct Receiver {
    got: Arc<Mutex<Vec<(HeaderMap, Bytes)>>>,
    answers: Arc<Mutex<Vec<(u16, &'static str)>>>,
}

impl Receiver {
    async fn start(&self) -> url::Url {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook?for=tapward", listener.local_addr().unwrap()).parse().unwrap();
        let app = Router::new().fallback(take).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        url
    }
}

async fn take(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> Response {
    receiver.got.lock().unwrap().push((headers, body));
    let mut answers = receiver.answers.lock().unwrap();
    match (!answers.is_empty()).then(|| answers.remove(0)) {
        Some((status, after)) => {
            (StatusCode::from_u16(status).unwrap(), [("retry-after", after)], "whatever").into_response()
        }
        None => StatusCode::NO_CONTENT.into_response(),
    }
}

fn settings(url: url::Url, secrets: &[&str]) -> Settings {
    let secrets = secrets.iter().map(|text| Secret::parse(text).unwrap()).collect();
    Settings { url, secrets, http: mis_bridge::http::Settings::default(), site: SiteId::new("clinic-3").unwrap() }
}

/// Whether an independent implementation of the signature finds it right by this secret.
fn is_signed(headers: &HeaderMap, body: &Bytes, secret: &str) -> bool {
    let script = "import sys, hmac, hashlib, base64\n\
        key = base64.b64decode(sys.argv[1].removeprefix('whsec_'))\n\
        signed = (sys.argv[2] + '.' + sys.argv[3] + '.').encode() + sys.stdin.buffer.read()\n\
        mac = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()\n\
        sys.exit(0 if 'v1,' + mac in sys.argv[4].split(' ') else 1)";
    let text = |name: &str| headers[name].to_str().unwrap().to_owned();
    let mut python = std::process::Command::new("python3")
        .args(["-c", script, secret, &text("webhook-id"), &text("webhook-timestamp"), &text("webhook-signature")])
        .stdin(std::process::Stdio::piped())
        .spawn()
        .expect("python3 is missing: run `make prepare`");
    std::io::Write::write_all(&mut python.stdin.take().unwrap(), body).unwrap();
    python.wait().unwrap().success()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_signed_by_each_secret_and_bears_the_same_id_at_each_repetition() {
    let receiver = Receiver::default();
    let url = receiver.start().await;
    let hook = Webhook::new(settings(url, &[FIRST, SECOND]), Hand::new().1).unwrap();
    let fact = fact(ChangeKind::VisitStarted, 7);
    assert_eq!(hook.deliver(&fact).await, Delivered::Done);
    assert_eq!(hook.deliver(&fact).await, Delivered::Done);
    let got = receiver.got.lock().unwrap().clone();
    assert_eq!(got[0].0["webhook-id"], got[1].0["webhook-id"]);
    let seconds: i64 = got[0].0["webhook-timestamp"].to_str().unwrap().parse().unwrap();
    assert_eq!(seconds, world::NOW.0 / 1000);
    for secret in [FIRST, SECOND] {
        assert!(is_signed(&got[0].0, &got[0].1, secret));
    }
    assert!(!is_signed(&got[0].0, &Bytes::from_static(b"{}"), FIRST), "another body");
    let body: Value = serde_json::from_slice(&got[0].1).unwrap();
    assert_eq!(body["version"], 1);
    assert_eq!(body["type"], "visit_started");
    assert_eq!(body["id"], 70);
    assert_eq!(body["visit"]["id"], world::visit_id(7));
    assert_eq!(body["patient"]["aliases"][0], "P-7");
    assert_eq!(body["happened"], "2026-11-22T08:00:01.234Z");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_answer_is_understood() {
    let receiver = Receiver::default();
    let url = receiver.start().await;
    let hook = Webhook::new(settings(url, &[FIRST]), Hand::new().1).unwrap();
    let fact = fact(ChangeKind::VisitStarted, 7);
    let wait = Some(Duration::from_secs(3));
    let status = |code, text: &str| Fault::new(code, text);
    for (answer, wanted) in [
        (200, Delivered::Done),
        (202, Delivered::Done),
        (400, Delivered::Dead(status(FaultCode::Refused, "400"))),
        (401, Delivered::Away(status(FaultCode::Unauthorised, "401"), wait)),
        (404, Delivered::Retry(status(FaultCode::NotFound, "404"), wait)),
        (410, Delivered::Away(status(FaultCode::Gone, "410"), wait)),
        (413, Delivered::Dead(status(FaultCode::TooLong, "413"))),
        (429, Delivered::Away(status(FaultCode::Overloaded, "429"), wait)),
        (500, Delivered::Retry(status(FaultCode::ServerFault, "500"), wait)),
        (301, Delivered::Retry(status(FaultCode::BadAnswer, "301"), wait)),
    ] {
        receiver.answers.lock().unwrap().push((answer, "3"));
        assert_eq!(hook.deliver(&fact).await, wanted, "{answer}");
    }
}

#[test]
fn a_webhook_without_a_secret_or_in_clear_is_refused() {
    let here: url::Url = "http://127.0.0.1:1/".parse().unwrap();
    let there: url::Url = "http://mis.example/".parse().unwrap();
    let refused = |settings| Webhook::new(settings, Hand::new().1).unwrap_err();
    assert!(matches!(refused(settings(here.clone(), &[])), SetupError::BadSecret));
    assert!(matches!(refused(settings(here, &[FIRST, SECOND, FIRST])), SetupError::BadSecret));
    assert!(matches!(refused(settings(there, &[FIRST])), SetupError::BadAddress));
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_happens_arrives_in_order_for_each_patient() {
    let folder = tempfile::tempdir().unwrap();
    let database =
        store::Database::open(&format!("sqlite:{}", folder.path().join("clinic.db").display())).await.unwrap();
    open(&database, 50).await;
    let (_, clock) = Hand::new();
    let receiver = Receiver::default();
    receiver.answers.lock().unwrap().extend([(500, "0"), (503, "0"), (429, "0")]);
    let hook = Webhook::new(settings(receiver.start().await, &[FIRST]), clock.clone()).unwrap();
    let settings = world::settings();
    clinic::outbox::register(&database, &settings.destination, world::NOW).await.unwrap();
    whole_visits(&database, 50).await;
    let stop = CancellationToken::new();
    let task = tokio::spawn(delivery::run(settings, database.clone(), clock, hook, stop.clone()));
    until(&database, DeliveryState::Done, 100).await;
    stop.cancel();
    task.await.unwrap().unwrap();
    let got = receiver.got.lock().unwrap();
    let mut told: std::collections::BTreeMap<String, Vec<String>> = std::collections::BTreeMap::new();
    for (_, body) in got.iter() {
        let body: Value = serde_json::from_slice(body).unwrap();
        let kinds = told.entry(body["visit"]["id"].as_str().unwrap().to_owned()).or_default();
        kinds.push(body["type"].as_str().unwrap().to_owned());
        kinds.dedup();
    }
    assert!(told.values().all(|kinds| *kinds == ["visit_started", "visit_ended"]), "{told:?}");
    assert_eq!(told.len(), 50);
}
