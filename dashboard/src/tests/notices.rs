//! Signed notices of payment services over HTTP: what is believed, what is told twice, what is refused, and that nothing of a
//! notice stands in the log.

use std::io::Write;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clinic::acting::Acting;
use clinic::till::Till;
use clinic::till::inbound::{NoticeSecret, PaymentService};
use clinic::till::payments::PaymentFilter;
use domain::{Currency, PersonId};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use super::{Answer, Stage, scene};
use crate::TillSettings;

const SECRET: [u8; 32] = [7; 32];
const OTHER: [u8; 32] = [8; 32];
const MINUTE_MS: i64 = 60_000;
/// What must not stand in any log.
const CANARY: &str = "kanareika-4711";

struct Bank {
    stage: Stage,
    till: Till,
}

/// A message as a service sends it.
#[derive(Clone)]
struct Message {
    source: &'static str,
    id: String,
    at: String,
    signature: String,
    body: String,
}

impl Message {
    fn request(&self) -> Request<Body> {
        Request::post(format!("/api/v1/payments/notices/{}", self.source))
            .header(header::HOST, "localhost")
            .header(header::CONTENT_TYPE, "application/json")
            .header("webhook-id", &self.id)
            .header("webhook-timestamp", &self.at)
            .header("webhook-signature", &self.signature)
            .body(Body::from(self.body.clone()))
            .unwrap()
    }
}

impl Bank {
    async fn new() -> Self {
        let secret = |bytes: [u8; 32]| NoticeSecret::parse(&format!("whsec_{}", STANDARD.encode(bytes))).unwrap();
        let service = |name: &str, bytes| PaymentService { name: name.to_owned(), secrets: vec![secret(bytes)] };
        let euro = Currency::default();
        let settings =
            TillSettings { services: vec![service("bank", SECRET), service("shop", OTHER)], ..TillSettings::of(euro) };
        let stage = Stage::with(settings).await;
        scene::furnish(&stage.database, stage.hands.now()).await;
        let rules = clinic::till::Rules::of(euro);
        let till = Till::new(stage.database.clone(), stage.hands.clock(), chrono_tz::Europe::Kyiv, rules);
        store::transact!(stage.database, "test.alias", |conn| {
            store::sqlx::query("INSERT INTO person_alias (system, value, person) VALUES ('urn:mis:patient', $1, $2)")
                .bind(CANARY)
                .bind(scene::person(3).to_string())
                .execute(&mut *conn)
                .await?;
            Ok(())
        })
        .unwrap();
        Self { stage, till }
    }

    /// Signed with a secret, its time so far from ours.
    fn signed(&self, id: &str, body: &str, secret: [u8; 32], off_ms: i64) -> Message {
        let at = ((self.stage.hands.now().0 + off_ms) / 1000).to_string();
        let mut mac = Hmac::<Sha256>::new_from_slice(&secret).unwrap();
        mac.update(format!("{id}.{at}.{body}").as_bytes());
        let signature = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        Message { source: "bank", id: id.to_owned(), at, signature, body: body.to_owned() }
    }

    fn good(&self, id: &str, body: &Value) -> Message {
        self.signed(id, &body.to_string(), SECRET, 0)
    }

    async fn send(&self, message: &Message) -> Answer {
        self.stage.ask(message.request()).await
    }

    /// Receipts, and what is in the patient's deposit.
    async fn booked(&self) -> (usize, i64) {
        let acting = Acting::console();
        let payments = self.till.payments(&acting, &PaymentFilter::default()).await.unwrap().len();
        let person: PersonId = scene::person(3);
        let account = self.till.account(&acting, person, clinic::audit::Purpose::Payment).await.unwrap();
        (payments, account.balance(Currency::default()).account.deposit.minor())
    }
}

fn paid(id: &str, amount: &str) -> Value {
    json!({"kind": "paid", "id": id, "amount": amount, "currency": "EUR",
           "record": {"system": "urn:mis:patient", "value": CANARY}})
}

fn read(answer: &Answer) -> Value {
    serde_json::from_str(&answer.text).unwrap_or_else(|_| panic!("{}", answer.text))
}

#[tokio::test]
async fn a_signed_notice_is_booked_once_however_often_it_is_told() {
    let bank = Bank::new().await;
    let message = bank.good("msg-1", &paid("tx-1", "10.50"));
    let first = bank.send(&message).await;
    assert_eq!((first.status, read(&first)["state"].as_str()), (StatusCode::OK, Some("done")), "{}", first.text);
    assert_eq!(bank.booked().await, (1, 1_050));
    let again = bank.send(&message).await;
    assert_eq!((again.status, read(&again)), (StatusCode::OK, read(&first)), "the same message");
    // The service has not heard our answer and signs a new message about the same payment.
    bank.stage.hands.pass(MINUTE_MS);
    let anew = bank.send(&bank.good("msg-2", &paid("tx-1", "10.50"))).await;
    assert_eq!((anew.status, read(&anew)), (StatusCode::OK, read(&first)), "another message");
    let other = bank.send(&bank.good("msg-3", &paid("tx-1", "10.51"))).await;
    assert_eq!(other.status, StatusCode::CONFLICT, "{}", other.text);
    assert_eq!(bank.booked().await, (1, 1_050));
    // Two secrets are two services, and their ids are their own.
    let shop = Message { source: "shop", ..bank.signed("msg-1", &paid("tx-1", "2.00").to_string(), OTHER, 0) };
    assert_eq!(bank.send(&shop).await.status, StatusCode::OK);
    assert_eq!(bank.booked().await, (2, 1_250));
    // Taken back once, however often it is told.
    let back = json!({"kind": "reversed", "id": "tx-2", "of": "tx-1", "amount": "10.50", "currency": "EUR"});
    for id in ["msg-4", "msg-5"] {
        let told = bank.send(&bank.good(id, &back)).await;
        assert_eq!(read(&told)["state"], "done", "{}", told.text);
    }
    assert_eq!(bank.booked().await, (3, 200));
}

#[tokio::test]
async fn many_at_once_with_one_id_are_one_payment() {
    let bank = Bank::new().await;
    let message = bank.good("msg-1", &paid("tx-1", "10.50"));
    let all = (0..16).map(|_| {
        let (router, request) = (bank.stage.router.clone(), message.request());
        tokio::spawn(async move { tower::ServiceExt::oneshot(router, request).await.unwrap().status() })
    });
    for one in all.collect::<Vec<_>>() {
        assert_eq!(one.await.unwrap(), StatusCode::OK);
    }
    assert_eq!(bank.booked().await, (1, 1_050));
}

#[tokio::test]
async fn what_is_not_signed_by_the_service_now_is_not_believed() {
    let bank = Bank::new().await;
    let body = paid("tx-1", "10.50").to_string();
    let good = bank.signed("msg-1", &body, SECRET, 0);
    let mut bad: Vec<(&str, Message)> = vec![
        ("another secret", bank.signed("msg-1", &body, OTHER, 0)),
        ("the secret of another service", Message { source: "shop", ..good.clone() }),
        ("another id", Message { id: "msg-2".to_owned(), ..good.clone() }),
        ("another body", Message { body: paid("tx-1", "10.51").to_string(), ..good.clone() }),
        ("a body with one blank more", Message { body: format!("{body} "), ..good.clone() }),
        ("no signature", Message { signature: String::new(), ..good.clone() }),
        ("another scheme", Message { signature: good.signature.replace("v1,", "v1a,"), ..good.clone() }),
        ("no time", Message { at: String::new(), ..good.clone() }),
        ("a time that is none", Message { at: "soon".to_owned(), ..good.clone() }),
        ("too old", bank.signed("msg-1", &body, SECRET, -5 * MINUTE_MS - 1_000)),
        ("a clock that is ahead", bank.signed("msg-1", &body, SECRET, 5 * MINUTE_MS + 1_000)),
        ("long ago", bank.signed("msg-1", &body, SECRET, -400 * 24 * 60 * MINUTE_MS)),
    ];
    let later = Message { at: (good.at.parse::<i64>().unwrap() + 1).to_string(), ..good.clone() };
    bad.push(("another time", later));
    for (name, message) in bad {
        let answer = bank.send(&message).await;
        assert!(matches!(answer.status, StatusCode::UNAUTHORIZED | StatusCode::BAD_REQUEST), "{name}: {}", answer.text);
        assert!(!answer.text.contains(CANARY), "{name}: {}", answer.text);
    }
    let bare = Request::post("/api/v1/payments/notices/bank")
        .header(header::HOST, "localhost")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(body.clone()))
        .unwrap();
    assert!(bank.stage.ask(bare).await.status.is_client_error(), "no headers at all");
    assert_eq!(bank.booked().await, (0, 0));
    // Clocks that differ a little are no attack; a message that was overheard and comes later is one.
    for (id, off) in [("msg-1", -290_000), ("msg-2", 290_000)] {
        let told = bank.send(&bank.signed(id, &paid(id, "1.00").to_string(), SECRET, off)).await;
        assert_eq!(told.status, StatusCode::OK, "{}", told.text);
    }
    bank.stage.hands.pass(6 * MINUTE_MS);
    assert_eq!(bank.send(&good).await.status, StatusCode::UNAUTHORIZED, "overheard and told again later");
    assert_eq!(bank.booked().await, (2, 200));
}

#[tokio::test]
async fn what_cannot_be_a_payment_is_refused_and_what_is_for_nobody_waits_for_somebody() {
    let bank = Bank::new().await;
    let unknown = Message { source: "nobody", ..bank.good("msg-1", &paid("tx-1", "10.50")) };
    assert_eq!(bank.send(&unknown).await.status, StatusCode::NOT_FOUND);
    let large = format!("{}{}", paid("tx-1", "10.50"), " ".repeat(crate::api::BODY_MAX_BYTES));
    let large = bank.send(&bank.signed("msg-1", &large, SECRET, 0)).await;
    assert_eq!(large.status, StatusCode::PAYLOAD_TOO_LARGE);
    for text in ["", "{", "[]", "null", "\"paid\"", "{\"kind\": \"paid\"}"] {
        let answer = bank.send(&bank.signed("msg-1", text, SECRET, 0)).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{text}: {}", answer.text);
    }
    let amounts = ["0", "0.00", "-1.00", "1.005", "1e3", "", "one", "99999999999999999999", "10000000000000.01"];
    for text in amounts {
        let answer = bank.send(&bank.good("msg-1", &paid("tx-1", text))).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{text}: {}", answer.text);
    }
    let currencies = ["", "eur", "EURO", "E1R"].map(|code| ("currency", json!(code)));
    let kinds = [("kind", json!("given")), ("kind", json!("returned")), ("id", json!("")), ("id", json!("with blank"))];
    for (field, value) in currencies.into_iter().chain(kinds) {
        let mut body = paid("tx-1", "10.50");
        body[field] = value;
        let answer = bank.send(&bank.good("msg-1", &body)).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}: {}", answer.text);
    }
    assert_eq!(bank.booked().await, (0, 0));

    // The money has come, whatever is wrong with what is said about it.
    let mut stranger = paid("tx-2", "1.00");
    stranger["record"]["value"] = json!("nobody-9");
    let mut nobody = paid("tx-3", "1.00");
    nobody["record"] = Value::Null;
    let reversal = json!({"kind": "reversed", "id": "tx-4", "of": "tx-0", "amount": "1.00", "currency": "EUR"});
    let expected = ["unknown_patient", "unknown_patient", "unknown_payment"];
    for (number, (body, problem)) in [stranger, nobody, reversal].iter().zip(expected).enumerate() {
        let told = bank.send(&bank.good(&format!("msg-{number}"), body)).await;
        assert_eq!((told.status, read(&told)["state"].as_str()), (StatusCode::OK, Some("unassigned")), "{}", told.text);
        assert_eq!(read(&told)["problem"], problem);
    }
    assert_eq!(bank.booked().await, (0, 0));
    assert_eq!(bank.till.payment_notices(&Acting::console(), None, 0).await.unwrap().len(), 3);
}

/// Everything that is logged, as text.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn nothing_of_a_notice_stands_in_the_log() {
    let bank = Bank::new().await;
    let log = Log::default();
    let writer = log.clone();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone()).finish();
    let guard = tracing::subscriber::set_default(subscriber);
    let good = bank.good("msg-secret-1", &paid("tx-secret-1", "4711.12"));
    assert_eq!(bank.send(&good).await.status, StatusCode::OK);
    let forged = bank.signed("msg-secret-2", &paid("tx-secret-2", "4711.12").to_string(), OTHER, 0);
    assert_eq!(bank.send(&forged).await.status, StatusCode::UNAUTHORIZED);
    let mut unknown = paid("tx-secret-3", "4711.12");
    unknown["record"]["value"] = json!("stranger-0815");
    bank.send(&bank.good("msg-secret-3", &unknown)).await;
    bank.send(&bank.signed("msg-secret-4", &format!("{{\"kind\": \"{CANARY}\""), SECRET, 0)).await;
    drop(guard);
    let text = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    assert!(text.contains("till.notice.unbelieved"), "a forged notice is told to whoever watches: {text}");
    for secret in [CANARY, "stranger-0815", "tx-secret", "4711.12", "471112", good.signature.as_str()] {
        assert!(!text.contains(secret), "{secret} stands in the log");
    }
}
