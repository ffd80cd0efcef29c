//! The HTTP API without a network: every call of the table, with every kind of key, against its own description.

mod asked;

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use clinic::acting::Acting;
use clinic::api_keys::{ApiKeys, KeyId, KeyToken, NEVER, NewKey};
use clinic::audit::Purpose;
use domain::vault::{BirthDate, Contact, ContactKind, Document, DocumentKind, Names, PassportChange};
use domain::{Field, Permission, Shipped, Zones};
use serde_json::Value;

use self::asked::{body_of, path_of};
use super::schema::fits;
use super::{Answer, Stage, scene, visitor};
use crate::api::describe::{Gives, Operation};
use crate::api::openapi::{document, operations};
use crate::headers;
use crate::rate::Rate;
use crate::routes::{self, Access, Route, Verb};

/// A stage with people, events and equipment, and what a key needs.
pub(super) struct Api {
    pub stage: Stage,
    pub keys: ApiKeys,
}

impl Api {
    pub async fn new() -> Self {
        let mut stage = Stage::new().await;
        let now = stage.hands.now();
        scene::furnish(&stage.database, now).await;
        scene::morning(&mut stage.recorder, now).await;
        scene::equipment(&stage.database, now).await;
        let keys = ApiKeys::new(stage.database.clone(), stage.hands.clock());
        let api = Self { stage, keys };
        let passport = PassportChange {
            names: Some(Names::new("Іваненко", "Олена", "Петрівна")),
            birth_date: Some(BirthDate::new(1987, 4, 21)),
            documents: Some(vec![Document {
                kind: DocumentKind::Passport,
                number: "СН 123477".into(),
                issued: "Kyiv, 2010".into(),
            }]),
            contacts: Some(vec![Contact { kind: ContactKind::Phone, value: "+380 67 555 0199".into() }]),
        };
        let acting = api.acting(Shipped::Administrator).await;
        api.stage.vault.put(&acting, scene::person(3), passport, Purpose::PassIssue).await.unwrap();
        api
    }

    pub async fn acting(&self, role: Shipped) -> Acting {
        self.stage.session(&self.stage.token(role)).await.acting(&visitor())
    }

    /// A key of a role with these permissions and everything else that the role has.
    pub async fn key_of(&self, role: Shipped, permissions: &[Permission]) -> (KeyId, KeyToken) {
        let acting = self.acting(role).await;
        let new = NewKey {
            name: "test".to_owned(),
            permissions: permissions.to_vec(),
            fields: acting.rights.fields().collect(),
            zones: Zones::All,
            networks: vec![],
            life_days: 90,
        };
        self.keys.make(&acting, new).await.unwrap()
    }

    pub async fn key(&self, permissions: &[Permission]) -> String {
        self.key_of(Shipped::Administrator, permissions).await.1.reveal()
    }

    /// Everything that a key may ever do.
    pub async fn full(&self) -> String {
        let all: Vec<_> = Permission::ALL.iter().copied().filter(|permission| !NEVER.contains(permission)).collect();
        self.key(&all).await
    }

    pub async fn call(&self, route: &Route, key: Option<&str>) -> Answer {
        self.stage.ask(made(route, &path_of(route), key)).await
    }

    pub async fn get(&self, path: &str, key: &str) -> Answer {
        self.stage.ask(plain("GET", path, Some(key)).body(Body::empty()).unwrap()).await
    }

    pub async fn post(&self, path: &str, key: &str, body: &str) -> Answer {
        let request = plain("POST", path, Some(key)).header(header::CONTENT_TYPE, "application/json");
        self.stage.ask(request.body(Body::from(body.to_owned())).unwrap()).await
    }
}

pub(super) fn plain(method: &str, path: &str, key: Option<&str>) -> axum::http::request::Builder {
    let request = Request::builder().method(method).uri(path).header(header::HOST, "localhost");
    match key {
        Some(key) => request.header(header::AUTHORIZATION, format!("Bearer {key}")),
        None => request,
    }
}

/// A call that its description allows.
fn made(route: &Route, path: &str, key: Option<&str>) -> Request<Body> {
    let mut request = plain(route.verb.as_str(), path, key);
    let moves_money = ["/api/v1/charges", "/api/v1/payments"].iter().any(|begin| route.path.starts_with(begin));
    if moves_money && route.verb == Verb::Change {
        request = request.header("idempotency-key", "a-key-of-a-test");
    }
    match route.operation.unwrap().takes {
        Some(_) => request.header(header::CONTENT_TYPE, "application/json").body(Body::from(body_of(route))).unwrap(),
        None => request.body(Body::empty()).unwrap(),
    }
}

fn calls() -> impl Iterator<Item = (&'static Route, &'static Operation)> {
    operations()
}

fn problem(answer: &Answer) -> Value {
    assert_eq!(answer.headers[header::CONTENT_TYPE], "application/problem+json; charset=utf-8", "{}", answer.text);
    let problem: Value = serde_json::from_str(&answer.text).unwrap();
    fits(&problem, "ProblemBody").unwrap();
    assert_eq!(problem["status"], answer.status.as_u16());
    problem
}

#[test]
fn every_call_of_the_table_is_described_and_nothing_else() {
    let document = serde_json::to_value(document()).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    let mut described = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            described.insert(format!("{} {path}", method.to_uppercase()));
        }
    }
    let in_table = routes::all().filter(|route| route.path.starts_with("/api/v1"));
    let in_table: BTreeSet<String> = in_table.map(|route| format!("{} {}", route.verb.as_str(), route.path)).collect();
    assert!(in_table.len() > 15, "the table was looked at");
    assert_eq!(described, in_table);
    let ids: BTreeSet<_> = calls().map(|(_, operation)| operation.id).collect();
    assert_eq!(ids.len(), calls().count(), "each call has an id of its own");
    for (route, operation) in calls() {
        let in_path = route.path.matches('{').count();
        let described = operation.parameters.iter();
        let described = described.filter(|it| it.place == crate::api::describe::Place::Path);
        assert!(described.clone().all(|it| route.path.contains(&format!("{{{}}}", it.name))), "{}", route.path);
        assert_eq!(described.count(), in_path, "{}", route.path);
    }
}

#[test]
fn every_reference_of_the_description_leads_somewhere() {
    let document = serde_json::to_value(document()).unwrap();
    let mut open = vec![&document];
    let mut seen = 0;
    while let Some(value) = open.pop() {
        match value {
            Value::Object(object) => {
                if let Some(reference) = object.get("$ref").and_then(Value::as_str) {
                    let pointer = reference.strip_prefix('#').unwrap();
                    assert!(document.pointer(pointer).is_some(), "{reference}");
                    seen += 1;
                }
                open.extend(object.values());
            }
            Value::Array(list) => open.extend(list),
            _ => {}
        }
    }
    assert!(seen > 30, "{seen} references");
}

#[tokio::test]
async fn every_answer_is_what_the_description_says() {
    let api = Api::new().await;
    let key = api.full().await;
    for (route, operation) in calls() {
        let answer = api.call(route, Some(&key)).await;
        let status = answer.status.as_u16();
        if status >= 400 {
            problem(&answer);
            assert!(matches!(status, 404 | 503), "{}: {} {}", route.path, status, answer.text);
            continue;
        }
        assert_eq!(status, operation.gives.status(), "{}: {}", route.path, answer.text);
        let Gives::Json(_, shape) = operation.gives;
        {
            assert_eq!(answer.headers[header::CONTENT_TYPE], "application/json; charset=utf-8", "{}", route.path);
            let body: Value = serde_json::from_str(&answer.text).unwrap();
            fits(&body, &(shape.name)()).unwrap_or_else(|why| panic!("{}: {why}\n{}", route.path, answer.text));
        }
    }
}

#[tokio::test]
async fn a_key_opens_what_its_permission_says_and_nothing_else() {
    let api = Api::new().await;
    for permission in Permission::ALL.iter().copied().filter(|permission| !NEVER.contains(permission)) {
        let key = api.key(&[permission]).await;
        for (route, _) in calls() {
            let answer = api.call(route, Some(&key)).await;
            let allowed = match route.access {
                Access::AtDesk(_) => false,
                // Its handler asks for one of two.
                Access::SignedIn if route.path.contains("/orders/") => continue,
                Access::Anyone | Access::SignedIn => true,
                Access::Needs(needed) => needed == permission,
            };
            let what = format!("{permission}: {} {}", route.path, answer.text);
            if allowed {
                assert_ne!(answer.status, StatusCode::FORBIDDEN, "{what}");
                assert_ne!(answer.status, StatusCode::UNAUTHORIZED, "{what}");
            } else {
                assert_eq!(answer.status, StatusCode::FORBIDDEN, "{what}");
                let Access::Needs(needed) = route.access else { unreachable!() };
                assert_eq!(problem(&answer)["needs"], needed.as_str(), "{what}");
            }
        }
    }
}

#[tokio::test]
async fn without_a_key_only_health_and_the_description_answer() {
    let api = Api::new().await;
    let cookie = api.stage.token(Shipped::Administrator).reveal();
    for (route, _) in calls() {
        let bare = api.call(route, None).await;
        let mut signed_in = made(route, &path_of(route), None);
        let cookie = format!("{}={cookie}", crate::visit::SESSION_COOKIE);
        signed_in.headers_mut().insert(header::COOKIE, cookie.parse().unwrap());
        let signed_in = api.stage.ask(signed_in).await;
        for answer in [bare, signed_in] {
            if route.path.ends_with("/notices/{source}") {
                // Anybody may knock; what is not signed by a service that we know is turned away.
                assert_eq!(answer.status, StatusCode::NOT_FOUND, "{}", route.path);
            } else if route.access == Access::Anyone {
                assert_eq!(answer.status, StatusCode::OK, "{}", route.path);
            } else {
                assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{}: cookies do not count", route.path);
                assert_eq!(answer.headers[header::WWW_AUTHENTICATE], "Bearer realm=\"tapward\"");
                problem(&answer);
            }
            assert!(!answer.headers.contains_key(header::SET_COOKIE), "{}", route.path);
        }
    }
}

#[tokio::test]
async fn forged_keys_open_nothing() {
    let api = Api::new().await;
    let good = api.full().await;
    let flipped = format!("{}{}", &good[..good.len() - 1], if good.ends_with('0') { '1' } else { '0' });
    let lines = [
        String::new(),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        format!("Basic {good}"),
        format!("Bearer {flipped}"),
        format!("Bearer {}", &good[..good.len() - 1]),
        format!("Bearer {good}0"),
        format!("Bearer {}", good.to_uppercase()),
        format!("Bearer {}", &good["tapward_".len()..]),
        format!("Bearer {good}, Bearer {good}"),
        good.clone(),
    ];
    for line in &lines {
        let request = plain("GET", "/api/v1/site", None).header(header::AUTHORIZATION, line.as_str());
        let answer = api.stage.ask(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{line:?}");
    }
    let line = format!("Bearer {good}");
    let twice = plain("GET", "/api/v1/site", Some(&good)).header(header::AUTHORIZATION, &line);
    assert_eq!(api.stage.ask(twice.body(Body::empty()).unwrap()).await.status, StatusCode::UNAUTHORIZED);
    let in_query = format!("/api/v1/site?access_token={good}");
    let answer = api.stage.ask(plain("GET", &in_query, None).body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "a key in an address is no key");
    assert_eq!(api.get("/api/v1/site", &good).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_key_ends_with_its_time_its_maker_and_by_hand() {
    let api = Api::new().await;
    let all = [Permission::DevicesSee];
    let (id, token) = api.key_of(Shipped::Administrator, &all).await;
    let status = async |token: &KeyToken| api.get("/api/v1/devices", &token.reveal()).await.status;
    assert_eq!(status(&token).await, StatusCode::OK);
    api.keys.end(&api.acting(Shipped::Administrator).await, id).await.unwrap();
    assert_eq!(status(&token).await, StatusCode::UNAUTHORIZED);

    let (_, token) = api.key_of(Shipped::Integrator, &all).await;
    assert_eq!(status(&token).await, StatusCode::OK);
    let account = api.stage.account(Shipped::Integrator).await;
    api.stage.accounts.set_disabled(&api.acting(Shipped::Administrator).await, &account, true).await.unwrap();
    assert_eq!(status(&token).await, StatusCode::UNAUTHORIZED, "a closed account closes its keys");

    let (_, token) = api.key_of(Shipped::Administrator, &all).await;
    api.stage.hands.pass(90 * 24 * 60 * 60 * 1000 - 1000);
    assert_eq!(status(&token).await, StatusCode::OK, "one second before");
    api.stage.hands.pass(1000);
    assert_eq!(status(&token).await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn only_described_parameters_and_fields_are_taken() {
    let api = Api::new().await;
    let key = api.full().await;
    let card = scene::card(3);
    for (path, at) in [
        ("/api/v1/events?role=administrator", "query"),
        ("/api/v1/events?after=1&after=2", "after"),
        ("/api/v1/events?after=-1", "after"),
        ("/api/v1/events?limit=0", "limit"),
        ("/api/v1/events?limit=5001", "limit"),
        ("/api/v1/events?limit=1e2", "limit"),
        ("/api/v1/audit?action=everything", "action"),
        ("/api/v1/audit?from=yesterday", "from"),
        ("/api/v1/audit?behind=1", "behind"),
        ("/api/v1/passes/..%2F..%2Fetc%2Fpasswd", "card"),
        ("/api/v1/presence/%27%3B%20DROP%20TABLE%20event%3B--", "zone"),
    ] {
        let answer = api.get(path, &key).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}: {}", answer.text);
        assert_eq!(problem(&answer)["at"], at, "{path}");
        assert!(!answer.text.contains("DROP") && !answer.text.contains("passwd"), "{path}: {}", answer.text);
    }
    let before = api.get(&format!("/api/v1/passes/{card}"), &key).await.text;
    for body in [
        r#"{"state":"active"}"#,
        r#"{"note":"a","note":"b"}"#,
        r#"{"note":7}"#,
        r#"{"note":"a","role":"administrator"}"#,
        r#"[]"#,
        r#"{"note":"a"} {}"#,
        r#"{"note":"#,
        "",
        "\u{feff}{}",
        r#"{"note":"line\nbreak"}"#,
    ] {
        let answer = api.post(&format!("/api/v1/passes/{card}/block"), &key, body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}: {}", answer.text);
        problem(&answer);
    }
    assert_eq!(api.get(&format!("/api/v1/passes/{card}"), &key).await.text, before, "nothing was changed");
}

#[tokio::test]
async fn what_is_wrong_in_a_body_is_said_without_repeating_it() {
    let api = Api::new().await;
    let key = api.full().await;
    let path = format!("/api/v1/passes/{}/block", scene::card(3));
    let answer = api.post(&path, &key, r#"{"note":["Іваненко Олена"]}"#).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(!answer.text.contains("Іваненко"), "{}", answer.text);
    let answer = api.post(&path, &key, r#"{"reason":"x"}"#).await;
    assert!(answer.text.contains("unknown field `reason`"), "{}", answer.text);
}

#[tokio::test]
async fn bodies_content_types_and_methods_are_bounded() {
    let api = Api::new().await;
    let key = api.full().await;
    let path = format!("/api/v1/passes/{}/block", scene::card(4));
    let send = async |kind: Option<&str>, body: String| {
        let mut request = plain("POST", &path, Some(&key));
        if let Some(kind) = kind {
            request = request.header(header::CONTENT_TYPE, kind);
        }
        api.stage.ask(request.body(Body::from(body)).unwrap()).await
    };
    let most = crate::api::BODY_MAX_BYTES;
    let padded = |length: usize| format!("{{}}{}", " ".repeat(length - 2));
    assert_eq!(send(Some("application/json"), padded(most)).await.status, StatusCode::OK);
    let answer = send(Some("application/json"), padded(most + 1)).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(problem(&answer)["detail"].as_str().unwrap().contains(&most.to_string()));
    for kind in
        [None, Some("text/plain"), Some("application/x-www-form-urlencoded"), Some("application/json; charset=utf-16")]
    {
        assert_eq!(send(kind, "{}".to_owned()).await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{kind:?}");
    }
    assert_eq!(send(Some("application/json; charset=UTF-8"), "{}".to_owned()).await.status, StatusCode::OK);
    for method in ["PUT", "PATCH", "DELETE", "GET", "TRACE", "OPTIONS"] {
        let answer = api.stage.ask(plain(method, &path, Some(&key)).body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method}");
        assert_eq!(answer.headers[header::ALLOW], "POST", "{method}");
        problem(&answer);
    }
    for accept in ["text/html", "application/xml, text/*", "application/json;q=0"] {
        let request = plain("GET", "/api/v1/site", Some(&key)).header(header::ACCEPT, accept);
        let answer = api.stage.ask(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::NOT_ACCEPTABLE, "{accept}");
    }
    for accept in ["*/*", "application/*", "text/html, application/json;q=0.5", "APPLICATION/JSON"] {
        let request = plain("GET", "/api/v1/site", Some(&key)).header(header::ACCEPT, accept);
        let answer = api.stage.ask(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::OK, "{accept}");
    }
}

#[tokio::test]
async fn every_answer_of_the_api_has_the_headers() {
    let api = Api::new().await;
    let key = api.full().await;
    let mut answers = Vec::new();
    for (route, _) in calls() {
        answers.push((route.path, api.call(route, Some(&key)).await));
        answers.push((route.path, api.call(route, None).await));
    }
    answers.push(("/api/v1/nowhere", api.get("/api/v1/nowhere", &key).await));
    answers.push(("/api/v1", api.get("/api/v1", &key).await));
    for (path, answer) in answers {
        for (name, value) in headers::ALWAYS {
            assert_eq!(answer.headers.get(*name).map(|v| v.to_str().unwrap()), Some(*value), "{path} {name}");
        }
        assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store", "{path}");
        let kind = answer.headers[header::CONTENT_TYPE].to_str().unwrap();
        assert!(kind.ends_with("charset=utf-8"), "{path}: {kind}");
        assert!(!answer.headers.contains_key("access-control-allow-origin"), "{path}");
        assert!(!answer.headers.contains_key(header::SET_COOKIE), "{path}");
    }
}

#[tokio::test]
async fn unknown_paths_are_problems_too() {
    let api = Api::new().await;
    let key = api.full().await;
    for path in ["/api/v1", "/api/v1/", "/api/v1/nowhere", "/api/v1/devices/", "/api/v1/%2e%2e/live"] {
        let answer = api.get(path, &key).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        problem(&answer);
    }
}

#[tokio::test]
async fn a_page_of_another_site_changes_nothing_even_with_a_key() {
    let api = Api::new().await;
    let key = api.full().await;
    let path = format!("/api/v1/passes/{}/block", scene::card(5));
    for (name, value) in [("origin", "https://evil.example"), ("origin", "null"), ("sec-fetch-site", "cross-site")] {
        let request = plain("POST", &path, Some(&key)).header(name, value);
        let request = request.header(header::CONTENT_TYPE, "application/json").body(Body::from("{}")).unwrap();
        let answer = api.stage.ask(request).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{name}: {value}");
        problem(&answer);
    }
    let pass: Value =
        serde_json::from_str(&api.get(&format!("/api/v1/passes/{}", scene::card(5)), &key).await.text).unwrap();
    assert_eq!(pass["state"], "active");
}

#[tokio::test]
async fn a_request_sent_again_does_nothing_twice() {
    let api = Api::new().await;
    let key = api.full().await;
    let path = format!("/api/v1/passes/{}/block", scene::card(6));
    let send = async |name: &str, body: &'static str| {
        let request = plain("POST", &path, Some(&key)).header("idempotency-key", name);
        let request = request.header(header::CONTENT_TYPE, "application/json").body(Body::from(body)).unwrap();
        api.stage.ask(request).await
    };
    let first = send("7f3c", "{}").await;
    assert_eq!(first.status, StatusCode::OK, "{}", first.text);
    assert!(first.text.contains("\"changed\":true"));
    let again = send("7f3c", "{}").await;
    assert_eq!((again.status, &again.text), (first.status, &first.text), "the first answer");
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert_eq!(send("7f3c", r#"{"note":"other"}"#).await.status, StatusCode::CONFLICT, "another request");
    assert!(send("7f3d", "{}").await.text.contains("\"changed\":false"), "another name is another request");
    assert_eq!(send("with space", "{}").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(send(&"x".repeat(65), "{}").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(send("bad", "[").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(send("bad", "{}").await.status, StatusCode::OK, "what was refused can be tried again");
}

#[tokio::test]
async fn a_pass_that_was_changed_meanwhile_is_left_alone() {
    let api = Api::new().await;
    let key = api.full().await;
    let card = scene::card(8);
    let read = api.get(&format!("/api/v1/passes/{card}"), &key).await;
    let tag = read.headers[header::ETAG].to_str().unwrap().to_owned();
    api.stage.hands.pass(1000);
    let send = async |what: &str, tag: &str| {
        let request = plain("POST", &format!("/api/v1/passes/{card}/{what}"), Some(&key)).header("if-match", tag);
        let request = request.header(header::CONTENT_TYPE, "application/json").body(Body::from("{}")).unwrap();
        api.stage.ask(request).await
    };
    assert_eq!(send("block", &tag).await.status, StatusCode::OK);
    let late = send("withdraw", &tag).await;
    assert_eq!(late.status, StatusCode::PRECONDITION_FAILED, "{}", late.text);
    let pass: Value = serde_json::from_str(&api.get(&format!("/api/v1/passes/{card}"), &key).await.text).unwrap();
    assert_eq!(pass["state"], "blocked");
    assert_eq!(send("withdraw", "rubbish").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(api.post(&format!("/api/v1/passes/{card}/withdraw"), &key, "{}").await.status, StatusCode::OK);
    let back = api.post(&format!("/api/v1/passes/{card}/activate"), &key, "{}").await;
    assert_eq!(back.status, StatusCode::CONFLICT, "withdrawn for good: {}", back.text);
}

#[tokio::test]
async fn the_feed_misses_nothing_and_repeats_nothing() {
    let api = Api::new().await;
    let key = api.key(&[Permission::FeedRead]).await;
    let (mut after, mut ids) = (0, Vec::new());
    loop {
        let answer = api.get(&format!("/api/v1/events?after={after}&limit=37"), &key).await;
        let feed: Value = serde_json::from_str(&answer.text).unwrap();
        ids.extend(feed["events"].as_array().unwrap().iter().map(|event| event["id"].as_u64().unwrap()));
        after = feed["next"].as_u64().unwrap();
        if feed["more"] == false {
            break;
        }
    }
    assert_eq!(ids.len() as u64, clinic::events::last_id(&api.stage.database).await.unwrap());
    assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
}

#[tokio::test]
async fn fields_that_a_key_does_not_see_are_not_in_the_answer() {
    let api = Api::new().await;
    let acting = api.acting(Shipped::Administrator).await;
    let new = |fields: Vec<Field>| NewKey {
        name: "narrow".to_owned(),
        permissions: vec![Permission::PersonSee, Permission::FeedRead, Permission::PresenceSee],
        fields,
        zones: Zones::All,
        networks: vec![],
        life_days: 1,
    };
    let blind = api.keys.make(&acting, new(vec![])).await.unwrap().1.reveal();
    let seeing = api.keys.make(&acting, new(vec![Field::Category, Field::Validity])).await.unwrap().1.reveal();
    for path in
        [format!("/api/v1/passes/{}", scene::card(3)), "/api/v1/events".to_owned(), "/api/v1/presence".to_owned()]
    {
        let (blind, seeing) = (api.get(&path, &blind).await.text, api.get(&path, &seeing).await.text);
        assert!(!blind.contains("categor") && !blind.contains("valid_"), "{path}: {blind}");
        assert!(seeing.contains("categor"), "{path}: {seeing}");
    }
}

#[tokio::test]
async fn persons_are_found_masked_and_revealed_with_a_purpose_and_each_is_a_disclosure() {
    let api = Api::new().await;
    let person = scene::person(3).to_string();
    let permissions = [Permission::PersonFind, Permission::PersonSee, Permission::PersonReveal];
    let acting = api.acting(Shipped::Administrator).await;
    let new = NewKey {
        name: "Booking".to_owned(),
        permissions: permissions.to_vec(),
        fields: Shipped::ContactCentre.fields().iter().copied().filter(|field| *field != Field::BirthDate).collect(),
        zones: Zones::All,
        networks: vec![],
        life_days: 30,
    };
    let (id, token) = api.keys.make(&acting, new).await.unwrap();
    let key = token.reveal();
    let found = api.post("/api/v1/persons/search", &key, r#"{"words":"оле іван","purpose":"booking"}"#).await;
    let found: Value = serde_json::from_str(&found.text).unwrap();
    assert_eq!(found["persons"][0]["person"], person, "{found}");
    assert_eq!(found["persons"][0]["name"]["family"], "Іваненко");
    let masked = api.get(&format!("/api/v1/persons/{person}"), &key).await;
    assert!(masked.text.contains("І••••• О•••••") && !masked.text.contains("Іваненко"), "{}", masked.text);
    let path = format!("/api/v1/persons/{person}/reveal");
    let body = r#"{"fields":["name","document","contact"],"purpose":"booking","note":"asked by telephone"}"#;
    let revealed = api.post(&path, &key, body).await;
    let shown: Value = serde_json::from_str(&revealed.text).unwrap();
    assert_eq!(shown["contacts"][0]["value"], "+380 67 555 0199", "{shown}");
    assert!(
        shown.get("documents").is_none() && shown.get("birth_date").is_none(),
        "the role shows no documents: {shown}"
    );
    let hidden = api.post(&path, &key, r#"{"fields":["document"],"purpose":"booking"}"#).await;
    assert_eq!(hidden.status, StatusCode::FORBIDDEN, "{}", hidden.text);
    for body in [
        r#"{"fields":["name"]}"#,
        r#"{"fields":["name"],"purpose":"curiosity"}"#,
        r#"{"fields":["photo"],"purpose":"booking"}"#,
    ] {
        assert_eq!(api.post(&path, &key, body).await.status, StatusCode::BAD_REQUEST, "{body}");
    }
    let full = api.full().await;
    let audit = api.get(&format!("/api/v1/audit?key={id}&action=person_revealed"), &full).await.text;
    assert!(audit.contains("\"purpose\":\"booking\"") && audit.contains(&person), "{audit}");
    assert!(!audit.contains("Іваненко") && !audit.contains("telephone"), "{audit}");
    let register = api.get(&format!("/api/v1/disclosures?person={person}"), &full).await.text;
    assert!(register.matches(&id.to_string()).count() >= 3, "{register}");
    assert!(!register.contains("Іваненко"), "{register}");
}

#[tokio::test]
async fn an_order_for_a_door_is_given_once_recorded_and_followed() {
    let api = Api::new().await;
    let (id, token) = api.key_of(Shipped::Administrator, &[Permission::DoorOpen]).await;
    let key = token.reveal();
    let send = async |path: &str| {
        let request = plain("POST", path, Some(&key)).header("idempotency-key", "delivery-1");
        let request = request.header(header::CONTENT_TYPE, "application/json");
        api.stage.ask(request.body(Body::from(r#"{"reason":"delivery"}"#)).unwrap()).await
    };
    let (first, again) = (send("/api/v1/points/turnstile-1/open").await, send("/api/v1/points/turnstile-1/open").await);
    assert_eq!(first.status, StatusCode::ACCEPTED, "{}", first.text);
    assert_eq!(first.text, again.text);
    let waiting = clinic::commands::waiting(&api.stage.database, api.stage.hands.now()).await.unwrap();
    assert_eq!(waiting.len(), 1, "given once");
    let order: Value = serde_json::from_str(&first.text).unwrap();
    let path = format!("/api/v1/orders/{}", order["order"].as_str().unwrap());
    assert!(api.get(&path, &key).await.text.contains("\"state\":\"waiting\""));
    api.stage.hands.pass(60_000);
    assert!(api.get(&path, &key).await.text.contains("\"state\":\"expired\""), "late is not live");
    assert_eq!(api.post("/api/v1/points/nowhere/open", &key, "{}").await.status, StatusCode::NOT_FOUND);
    assert_eq!(api.post("/api/v1/points/turnstile-1/lock", &key, "{}").await.status, StatusCode::FORBIDDEN);
    let full = api.full().await;
    let audit = api.get(&format!("/api/v1/audit?key={id}&action=door_ordered"), &full).await.text;
    assert!(audit.contains("\"object\":\"turnstile-1\""), "{audit}");
}

#[tokio::test]
async fn refusals_of_keys_are_in_the_audit_log() {
    let api = Api::new().await;
    let (id, token) = api.key_of(Shipped::Administrator, &[Permission::DevicesSee]).await;
    assert_eq!(api.get("/api/v1/audit", &token.reveal()).await.status, StatusCode::FORBIDDEN);
    let key = api.full().await;
    let answer = api.get(&format!("/api/v1/audit?key={id}&outcome=refused"), &key).await;
    let page: Value = serde_json::from_str(&answer.text).unwrap();
    let entry = &page["entries"][0];
    assert_eq!(entry["object"], "audit_see", "{}", answer.text);
    assert_eq!(entry["detail"], "no_permission: GET /api/v1/audit");
}

#[tokio::test]
async fn ids_that_are_tried_are_not_there_and_recorded() {
    let api = Api::new().await;
    let (id, token) = api.key_of(Shipped::Administrator, &[Permission::PersonSee, Permission::PassEdit]).await;
    for n in 1..4_u8 {
        let path = format!("/api/v1/passes/{}", format!("{n:02x}").repeat(16));
        let answer = api.get(&path, &token.reveal()).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{}", answer.text);
    }
    let key = api.full().await;
    let answer = api.get(&format!("/api/v1/audit?key={id}&outcome=refused"), &key).await;
    assert_eq!(answer.text.matches("not_there: GET /api/v1/passes/{card}").count(), 3, "{}", answer.text);
}

#[tokio::test]
async fn who_asks_too_often_for_what_is_dear_must_wait() {
    let api = Api::new().await;
    let (id, token) = api.key_of(Shipped::Administrator, &[Permission::AuditSee]).await;
    let (mut last, mut let_through) = (None, 0);
    for _ in 0..=Rate::Search.burst() + 5 {
        let answer = api.get("/api/v1/audit?limit=1", &token.reveal()).await;
        if answer.status == StatusCode::OK {
            let_through += 1;
        } else {
            last = Some(answer);
            break;
        }
    }
    assert!(let_through >= Rate::Search.burst(), "{let_through}");
    let refused = last.expect("the rate ends");
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(refused.headers[header::RETRY_AFTER].to_str().unwrap().parse::<u64>().unwrap() >= 1);
    problem(&refused);
    let other = api.key(&[Permission::AuditSee]).await;
    let answer = api.get(&format!("/api/v1/audit?key={id}&outcome=refused"), &other).await;
    assert!(
        answer.text.contains("rate: GET /api/v1/audit"),
        "others are not held up, and it is recorded: {}",
        answer.text
    );
}

#[tokio::test]
async fn no_call_that_shows_changes_anything() {
    let api = Api::new().await;
    let key = api.full().await;
    let before = api.stage.state().await;
    for (route, _) in calls().filter(|(route, _)| route.verb == Verb::Show) {
        api.call(route, Some(&key)).await;
    }
    assert_eq!(api.stage.state().await, before);
}
