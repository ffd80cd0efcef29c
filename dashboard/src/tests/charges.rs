//! Services by the HTTP API and without a visit at a desk: what is registered once, what is refused with its numbers, what
//! is asked again.

use axum::body::Body;
use axum::http::{StatusCode, header};
use clinic::acting::Acting;
use clinic::till::{NewPrice, NewService, NewTerms, Till};
use domain::till::Owner;
use domain::{Amount, Currency, Permission};
use serde_json::{Value, json};

use super::api::{Api, plain};
use super::{Answer, scene};

const PATIENT: u32 = 3;

fn units(count: i64) -> Amount {
    Amount::new(count * 100).unwrap()
}

/// An API beside a till with two services and a limit of 1,000.
async fn priced() -> (Api, Till) {
    let api = Api::new().await;
    let euro = Currency::default();
    let rules = clinic::till::Rules::of(euro);
    let till = Till::new(api.stage.database.clone(), api.stage.hands.clock(), chrono_tz::Europe::Kyiv, rules);
    let acting = Acting::console();
    for (code, name) in [("CONS", "Consultation"), ("LAB", "Blood panel")] {
        till.put_service(&acting, NewService::new(code, name)).await.unwrap();
    }
    let prices = vec![NewPrice::new("CONS", euro, units(600)), NewPrice::new("LAB", euro, units(500))];
    till.set_prices(&acting, None, prices).await.unwrap();
    let terms = NewTerms::postpaid(Owner::Everybody, euro, units(1_000), till.today());
    till.put_terms(&acting, terms).await.unwrap();
    (api, till)
}

fn wish(service: &str, shown: &str) -> Value {
    json!({
        "patient": scene::person(PATIENT).to_string(), "service": service, "shown": shown,
        "out_of_card": { "code": "telephone", "words": "called after the visit" },
    })
}

async fn send(api: &Api, path: &str, key: &str, name: Option<&str>, body: &Value) -> Answer {
    let mut request = plain("POST", path, Some(key)).header(header::CONTENT_TYPE, "application/json");
    if let Some(name) = name {
        request = request.header("idempotency-key", name);
    }
    api.stage.ask(request.body(Body::from(body.to_string())).unwrap()).await
}

fn read(answer: &Answer) -> Value {
    serde_json::from_str(&answer.text).unwrap_or_else(|_| panic!("{}", answer.text))
}

#[tokio::test]
async fn a_service_is_registered_once_however_often_it_is_sent() {
    let (api, _till) = priced().await;
    let key = api.key(&[Permission::ServiceRegister, Permission::ChargeSee]).await;
    let path = "/api/v1/charges";
    let offers = api.get(&format!("/api/v1/persons/{}/offers", scene::person(PATIENT)), &key).await;
    let offers = read(&offers);
    assert_eq!((offers["limit"]["left"].as_str(), offers["mode"].as_str()), (Some("1000.00"), Some("postpaid")));
    assert_eq!(offers["services"].as_array().unwrap().len(), 2, "{offers}");

    let without = send(&api, path, &key, None, &wish("CONS", "600.00")).await;
    assert_eq!(without.status, StatusCode::BAD_REQUEST);
    assert_eq!(read(&without)["at"], "idempotency-key");
    let short = send(&api, path, &key, Some("short"), &wish("CONS", "600.00")).await;
    assert_eq!(short.status, StatusCode::BAD_REQUEST, "{}", short.text);

    let first = send(&api, path, &key, Some("order-0001"), &wish("CONS", "600.00")).await;
    assert_eq!(first.status, StatusCode::CREATED, "{}", first.text);
    let charge = read(&first);
    assert_eq!((charge["net"].as_str(), charge["state"].as_str()), (Some("600.00"), Some("rendered")));
    let again = send(&api, path, &key, Some("order-0001"), &wish("CONS", "600.00")).await;
    assert_eq!(read(&again)["id"], charge["id"]);
    let other = send(&api, path, &key, Some("order-0001"), &wish("LAB", "500.00")).await;
    assert_eq!(
        (other.status, read(&other)["type"].as_str().unwrap().to_owned()),
        (StatusCode::CONFLICT, "/api#problem-conflict".to_owned())
    );
    let id = charge["id"].as_str().unwrap();
    let seen = read(&api.get(&format!("/api/v1/charges/{id}"), &key).await);
    assert_eq!(seen["open"], "600.00");

    // Another key may use the same name: names of requests are each key's own.
    let second = api.key(&[Permission::ServiceRegister]).await;
    let theirs = send(&api, path, &second, Some("order-0001"), &wish("LAB", "400.00")).await;
    assert_eq!(read(&theirs)["refused"]["code"], "price_changed", "{}", theirs.text);

    let back = format!("/api/v1/charges/{id}/cancel");
    let done = send(&api, &back, &key, Some("back-00001"), &json!({ "reason": "mistake" })).await;
    assert_eq!(read(&done)["state"], "cancelled", "{}", done.text);
    let unknown = send(&api, &back, &key, Some("back-00002"), &json!({ "reason": "whim" })).await;
    assert_eq!((unknown.status, read(&unknown)["at"].as_str()), (StatusCode::BAD_REQUEST, Some("/reason")));
    api.stage.ending.cancel();
}

#[tokio::test]
async fn a_refusal_says_which_limit_what_is_left_and_what_is_missing() {
    let (api, till) = priced().await;
    let key = api.key(&[Permission::ServiceRegister, Permission::ChargeSee]).await;
    let path = "/api/v1/charges";
    assert_eq!(send(&api, path, &key, Some("order-0001"), &wish("CONS", "600.00")).await.status, StatusCode::CREATED);
    let refused = send(&api, path, &key, Some("order-0002"), &wish("LAB", "500.00")).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    let said = read(&refused);
    assert_eq!(said["type"], "/api#problem-refused");
    let expected = json!({
        "code": "patient_limit", "currency": "EUR", "limit": "1000.00", "left": "400.00", "missing": "100.00",
    });
    assert_eq!(said["refused"], expected);
    // A price that changed since it was shown.
    let price = vec![NewPrice::new("LAB", Currency::default(), units(350))];
    api.stage.hands.pass(1_000);
    till.set_prices(&Acting::console(), None, price).await.unwrap();
    let changed = send(&api, path, &key, Some("order-0003"), &wish("LAB", "500.00")).await;
    let expected = json!({ "code": "price_changed", "currency": "EUR", "shown": "500.00", "now": "350.00" });
    assert_eq!(read(&changed)["refused"], expected, "{}", changed.text);
    // What was refused is not remembered under its name.
    let again = send(&api, path, &key, Some("order-0003"), &wish("LAB", "350.00")).await;
    assert_eq!(again.status, StatusCode::CREATED, "{}", again.text);

    for (field, value, at) in [
        ("currency", json!("XXX"), "/currency"),
        ("shown", json!("1e3"), "/shown"),
        ("shown", json!("1.001"), "/shown"),
        ("patient", json!("nobody"), "/patient"),
        ("quantity", json!(-1), ""),
    ] {
        let mut body = wish("CONS", "600.00");
        body[field] = value;
        let answer = send(&api, path, &key, Some("order-0009"), &body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{field}: {}", answer.text);
        assert!(at.is_empty() || read(&answer)["at"] == at, "{field}: {}", answer.text);
    }
    api.stage.ending.cancel();
}

#[tokio::test]
async fn a_persons_language_is_a_code_or_nothing() {
    let api = Api::new().await;
    let key = api.key(&[Permission::PersonEdit]).await;
    let path = format!("/api/v1/persons/{}/language", scene::person(PATIENT));
    let set = async |code: &str| api.post(&path, &key, &json!({ "language": code }).to_string()).await;
    assert_eq!(read(&set("uk-UA").await)["language"], "uk");
    let acting = Acting::console();
    let known = clinic::people::language_of(&api.stage.database, &acting, scene::person(PATIENT)).await.unwrap();
    assert_eq!(known.unwrap().as_str(), "uk");
    assert_eq!(set("the same as mine").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(read(&set("").await)["language"], "");
    api.stage.ending.cancel();
}
