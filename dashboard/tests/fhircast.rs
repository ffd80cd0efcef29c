//! The FHIRcast hub over its real listener: programs that follow taps at a workstation, publish, refuse, break off and
//! come back; and programs that we did not write.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it measured"
)]

mod cast;
mod scene;
mod server;

use std::time::Duration;

use cast::{Clinic, OTHER_SURGEON, SURGEON, WITHIN, settings};
use clinic::fhircast::{Settings, TroubleKind, state};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

const ALL: &str =
    "Patient-open,Patient-close,Encounter-open,Encounter-close,UserLogout,UserHibernate,SyncError,Home-open";

fn open(topic: &str, id: &str, at: &str, patient: &str) -> Value {
    json!({ "timestamp": at, "id": id, "event": { "hub.topic": topic, "hub.event": "Patient-open", "context": [
        { "key": "patient", "resource": { "resourceType": "Patient", "id": patient, "identifier": [{ "value": patient }] } },
    ] } })
}

async fn trouble(clinic: &Clinic, session: &str) -> Option<TroubleKind> {
    let state = state(&clinic.server.database, session).await.unwrap();
    state.out_of_sync().next().map(|subscriber| subscriber.trouble.as_ref().unwrap().kind)
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let begun = tokio::time::Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < WITHIN, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patients_tap_opens_the_chart_and_the_next_patients_tap_closes_it() {
    let mut clinic = Clinic::open().await;
    clinic.tap(SURGEON, "desk-1").await;
    let topic = clinic.topic("desk-1").await;
    assert_eq!(clinic.topic("desk-1").await, topic, "the same until the session ends");
    let mut mis = clinic.follow(&topic, ALL, "MIS").await;
    clinic.pass(60_000);
    clinic.tap(0, "desk-1").await;
    let patient = mis.event("Patient-open").await;
    assert_eq!(patient["timestamp"], clinic.now().to_rfc3339());
    let resource = &patient["event"]["context"][0]["resource"];
    assert_eq!((&resource["id"], &resource["identifier"][0]["system"]), (&json!("P-10000"), &json!("urn:clinic:mrn")));
    let encounter = mis.event("Encounter-open").await;
    let visit = &encounter["event"]["context"][0]["resource"];
    assert_eq!((&visit["status"], &visit["class"]["code"]), (&json!("in-progress"), &json!("AMB")));
    assert_eq!(visit["subject"]["reference"], "Patient/P-10000");
    assert_eq!(visit["period"]["start"], clinic.now().to_rfc3339());
    assert!(visit["identifier"][0]["value"].as_str().unwrap().starts_with("V-"));
    let (status, context) = clinic.ask("GET", &format!("/fhircast/STU3/{topic}"), "text/plain", "").await;
    let context: Value = serde_json::from_str(&context).unwrap();
    assert_eq!(
        (status, &context["context.type"], &context["context.versionId"]),
        (200, &json!("Encounter"), &encounter["id"])
    );
    assert_eq!(context["context"], encounter["event"]["context"]);

    clinic.pass(600_000);
    clinic.tap(1, "desk-1").await;
    let closed = mis.event("Encounter-close").await;
    assert_eq!(closed["event"]["context"][0]["resource"]["id"], visit["id"], "closed by the id it was opened with");
    assert_eq!(closed["event"]["context"][0]["resource"]["status"], "finished");
    assert_eq!(mis.event("Patient-close").await["event"]["context"][0]["resource"]["id"], "P-10000");
    assert_eq!(mis.event("Patient-open").await["event"]["context"][0]["resource"]["id"], "P-10001");
    mis.event("Encounter-open").await;

    // A program that comes later is told what is open, with its own time, and only of what it asked for.
    clinic.pass(5_000);
    let mut late = clinic.follow(&topic, "patient-OPEN", "second").await;
    let told = late.event("Patient-open").await;
    assert_eq!(told["event"]["context"][0]["resource"]["id"], "P-10001");
    assert_eq!(told["timestamp"], clinic.now().plus_ms(-5_000).to_rfc3339());
    late.hears_nothing().await;

    // Another specialist: the session ends, its programs are told and let go; the topic is no more.
    clinic.pass(60_000);
    clinic.tap(OTHER_SURGEON, "desk-1").await;
    let ended = loop {
        let event = mis.read().await;
        if event["event"]["hub.event"] == "UserLogout" {
            break event;
        }
        mis.acknowledge(&event, "200").await;
    };
    let code = &ended["event"]["context"][0]["resource"]["parameter"][0]["valueCoding"]["code"];
    assert_eq!(code, "system-initiated");
    assert_eq!(mis.read().await["hub.mode"], "denied");
    assert_eq!(mis.read().await, Value::Null);
    assert_eq!(clinic.ask("GET", &format!("/fhircast/STU3/{topic}"), "text/plain", "").await.0, 404);
    let next = clinic.topic("desk-1").await;
    assert_ne!(next, topic);
    let (_, empty) = clinic.ask("GET", &format!("/fhircast/STU3/{next}"), "text/plain", "").await;
    let empty: Value = serde_json::from_str(&empty).unwrap();
    assert_eq!(empty, json!({ "context.type": "", "context.versionId": "", "context": [] }));
    clinic.server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_program_publishes_is_told_to_all_with_its_id_and_older_events_are_refused() {
    let mut clinic = Clinic::open().await;
    clinic.tap(SURGEON, "desk-1").await;
    let topic = clinic.topic("desk-1").await;
    let (mut one, mut other) = (clinic.follow(&topic, ALL, "one").await, clinic.follow(&topic, ALL, "other").await);
    clinic.pass(60_000);
    let now = clinic.now();
    assert_eq!(clinic.publish(&open(&topic, "my-1", &now.to_rfc3339(), "P-1")).await.0, 202);
    for follower in [&mut one, &mut other] {
        let told = follower.event("Patient-open").await;
        assert_eq!((&told["id"], &told["timestamp"]), (&json!("my-1"), &json!(now.to_rfc3339())));
    }
    // At the address of the topic, without a zone, as text: some do.
    let later = now.plus_ms(1000).to_rfc3339().replace('Z', "");
    clinic.pass(2_000);
    let event = open(&topic, "my-2", &later, "P-2").to_string();
    assert_eq!(clinic.ask("POST", &format!("/fhircast/STU3/{topic}"), "text/plain", event).await.0, 202);
    assert_eq!(one.event("Patient-open").await["id"], "my-2");
    other.event("Patient-open").await;
    let (status, why) = clinic.publish(&open(&topic, "old", &now.to_rfc3339(), "P-1")).await;
    assert_eq!((status, why.contains("changed after")), (409, true), "{why}");
    let (status, _) = clinic.publish(&open(&topic, "my-2", &later, "P-2")).await;
    assert_eq!(status, 202, "the same once more is taken, and told once");
    // A clock ahead of ours does not keep the next patient out.
    assert_eq!(clinic.publish(&open(&topic, "ahead", "2099-01-01T00:00:00Z", "P-3")).await.0, 202);
    let told = one.event("Patient-open").await;
    assert_eq!((&told["id"], &told["timestamp"]), (&json!("ahead"), &json!(clinic.now().to_rfc3339())));
    clinic.pass(1_000);
    clinic.tap(7, "desk-1").await;
    assert_eq!(one.event("Patient-open").await["event"]["context"][0]["resource"]["id"], "P-10007");
    // What must not be published, and what cannot be read.
    for (event, status) in [
        (json!({ "id": "1", "event": { "hub.topic": topic, "hub.event": "UserLogout", "context": [] } }), 403),
        (json!({ "id": "1", "event": { "hub.topic": topic, "hub.event": "Patient-open", "context": [] } }), 400),
        (json!({ "id": "1", "event": { "hub.topic": "x".repeat(43), "hub.event": "Home-open", "context": [] } }), 404),
        (json!({ "id": "1", "event": { "hub.event": "Home-open", "context": [] } }), 400),
    ] {
        assert_eq!(clinic.publish(&event).await.0, status, "{event}");
    }
    let (status, text) = clinic.ask("POST", "/fhircast/STU3", "application/json", "{\"id\": \"1\", \"ev").await;
    assert_eq!((status, text.contains("no JSON")), (400, true), "{text}");
    clinic.server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_follow_is_known_to_the_others_and_to_the_specialist() {
    let mut clinic =
        Clinic::open_with(Settings { ack_within_ms: 1000, silent: vec!["quiet".to_owned()], ..settings() }).await;
    clinic.tap(SURGEON, "desk-1").await;
    let (topic, session) = (clinic.topic("desk-1").await, clinic.session("desk-1").await);
    let mut good = clinic.follow(&topic, ALL, "good").await;
    let mut bad = clinic.follow(&topic, "Patient-open,Patient-close", "bad").await;
    let mut quiet = clinic.follow(&topic, "Patient-open", "quiet").await;
    clinic.pass(60_000);
    clinic.tap(0, "desk-1").await;
    good.event("Patient-open").await;
    good.event("Encounter-open").await;
    let event = bad.read().await;
    bad.acknowledge(&event, "409").await;
    assert_eq!(quiet.read().await["id"], event["id"]);
    let error = good.event("SyncError").await;
    let issue = &error["event"]["context"][0]["resource"]["issue"][0];
    let codings: Vec<(&str, &str)> = issue["details"]["coding"]
        .as_array()
        .unwrap()
        .iter()
        .map(|coding| {
            (coding["system"].as_str().unwrap().rsplit('/').next().unwrap(), coding["code"].as_str().unwrap())
        })
        .collect();
    assert_eq!(issue["severity"], "warning");
    assert_eq!(
        codings,
        [("eventid", event["id"].as_str().unwrap()), ("eventname", "Patient-open"), ("subscribername", "bad")]
    );
    assert_eq!(trouble(&clinic, &session).await, Some(TroubleKind::Refused));
    // It follows the next one: all is well again.
    clinic.pass(60_000);
    clinic.tap(1, "desk-1").await;
    let closed = bad.event("Patient-close").await;
    assert_eq!(closed["event"]["context"][0]["resource"]["id"], "P-10000");
    until("in step again", async || trouble(&clinic, &session).await.is_none()).await;
    for name in ["Encounter-close", "Patient-close", "Patient-open", "Encounter-open"] {
        good.event(name).await;
    }
    // It says nothing: it is let go, and the others are told.
    let silent = bad.read().await;
    assert_eq!(silent["event"]["hub.event"], "Patient-open");
    let error = good.event("SyncError").await;
    assert_eq!(error["event"]["context"][0]["resource"]["issue"][0]["details"]["coding"][0]["code"], silent["id"]);
    assert_eq!(bad.read().await["hub.mode"], "denied");
    assert_eq!(trouble(&clinic, &session).await, Some(TroubleKind::Silent));
    // A new subscription of the same name is in step.
    let mut bad = clinic.follow(&topic, "Patient-open", "bad").await;
    bad.event("Patient-open").await;
    assert_eq!(trouble(&clinic, &session).await, None);
    // The connection breaks: an error. Closing in order is none, with a code or without.
    drop(bad.socket);
    assert_eq!(
        good.event("SyncError").await["event"]["context"][0]["resource"]["issue"][0]["details"]["coding"][2]["code"],
        "bad"
    );
    assert_eq!(trouble(&clinic, &session).await, Some(TroubleKind::Broken));
    let mut third = clinic.follow(&topic, "Patient-open", "third").await;
    third.event("Patient-open").await;
    third.socket.close(None).await.unwrap();
    let mut fourth = clinic.follow(&topic, "Patient-open", "fourth").await;
    fourth.event("Patient-open").await;
    let away = CloseFrame { code: 1001.into(), reason: "".into() };
    fourth.socket.close(Some(away)).await.unwrap();
    good.hears_nothing().await;
    // An error that a program publishes itself.
    let error = json!({ "id": "e-1", "event": { "hub.topic": topic, "hub.event": "syncerror", "context": [{ "key": "operationoutcome",
        "resource": { "resourceType": "OperationOutcome", "issue": [{ "severity": "warning", "code": "processing", "details": { "coding": [
            { "system": "https://fhircast.hl7.org/events/syncerror/eventid", "code": "x" },
            { "system": "https://fhircast.hl7.org/events/syncerror/subscriber", "code": "quiet" }] } }] } }] } });
    assert_eq!(clinic.publish(&error).await.0, 202);
    assert_eq!(good.event("SyncError").await["id"], "e-1");
    let state = state(&clinic.server.database, &session).await.unwrap();
    assert!(state.out_of_sync().any(|subscriber| subscriber.name.as_deref() == Some("quiet")), "{state:?}");
    clinic.server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_is_changed_ended_and_runs_out() {
    let mut clinic = Clinic::open().await;
    clinic.tap(SURGEON, "desk-1").await;
    let topic = clinic.topic("desk-1").await;
    let url = clinic.subscribe(&topic, "Patient-open", "MIS").await;
    assert!(url.starts_with("wss://localhost:"), "{url}");
    let mut mis = clinic.dial(&url).await.unwrap();
    mis.topic.clone_from(&topic);
    assert_eq!(mis.read().await["hub.events"], "Patient-open");
    assert!(clinic.dial(&url).await.is_err(), "one socket at a time");
    // Other events by the same socket.
    let change = [
        ("hub.mode", "subscribe"),
        ("hub.topic", &topic),
        ("hub.events", "UserHibernate,unknown"),
        ("hub.lease", "100"),
        ("hub.channel.endpoint", &url),
    ];
    let (status, answer) = clinic.form(&change).await;
    assert_eq!((status, answer.contains(&url)), (202, true), "{answer}");
    let confirmed = mis.read().await;
    assert_eq!((&confirmed["hub.events"], &confirmed["hub.lease_seconds"]), (&json!("UserHibernate"), &json!(100)));
    clinic.pass(30_000);
    clinic.tap(0, "desk-1").await;
    mis.hears_nothing().await;
    // Its time runs out: let go, and nobody is told of an error.
    let mut other = clinic.follow(&topic, "SyncError,Home-open", "other").await;
    clinic.pass(71_000);
    mis.say("{}").await;
    assert_eq!(mis.read().await["hub.mode"], "denied");
    assert_eq!(mis.read().await, Value::Null);
    other.hears_nothing().await;
    assert!(clinic.dial(&url).await.is_err(), "an address is dead after the end");
    // Unsubscribed without an address: there is only one of this name.
    let (status, _) =
        clinic.form(&[("hub.mode", "unsubscribe"), ("hub.topic", &topic), ("subscriber.name", "other")]).await;
    assert_eq!(status, 202);
    assert_eq!(other.read().await["hub.mode"], "denied");
    // With the old name of the field.
    let url = clinic.subscribe(&topic, ALL, "third").await;
    let mut third = clinic.dial(&url).await.unwrap();
    third.read().await;
    let (status, _) = clinic.form(&[("hub.mode", "unsubscribe"), ("hub.topic", &topic), ("endpoint", &url)]).await;
    assert_eq!(status, 202);
    while third.read().await["hub.mode"] != "denied" {}
    // A broken connection may come back to its address.
    let url = clinic.subscribe(&topic, "Patient-open", "fifth").await;
    let mut fifth = clinic.dial(&url).await.unwrap();
    fifth.read().await;
    drop(fifth.socket);
    let mut again = None;
    until("back at the same address", async || {
        again = clinic.dial(&url).await.ok();
        again.is_some()
    })
    .await;
    assert_eq!(again.unwrap().read().await["hub.mode"], "subscribe");
    // So many and no more.
    let mut refused = 0;
    for n in 0..20 {
        let name = format!("many-{n}");
        let fields = [
            ("hub.mode", "subscribe"),
            ("hub.topic", topic.as_str()),
            ("hub.events", "Home-open"),
            ("subscriber.name", &name),
        ];
        refused += u32::from(clinic.form(&fields).await.0 == 429);
    }
    assert!(refused >= 4, "{refused}");
    clinic.server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_nothing_is_told_where_the_topic_alone_does_not_count() {
    let mut clinic = Clinic::open_with(Settings { topic_is_enough: false, ..settings() }).await;
    clinic.tap(SURGEON, "desk-1").await;
    let topic = clinic.topic("desk-1").await;
    for known in [topic.as_str(), &"x".repeat(43)] {
        let fields = [("hub.mode", "subscribe"), ("hub.topic", known), ("hub.events", "Patient-open")];
        assert_eq!(clinic.form(&fields).await.0, 401);
        assert_eq!(clinic.ask("GET", &format!("/fhircast/STU3/{known}"), "text/plain", "").await.0, 401);
        assert_eq!(clinic.publish(&open(known, "1", "2026-01-01T00:00:00Z", "P")).await.0, 401);
        let headers = "Authorization: Bearer abc\r\n";
        assert_eq!(clinic.ask_as("GET", &format!("/fhircast/STU3/{known}"), headers, "").await.0, 401);
    }
    let (status, about) =
        clinic.ask("GET", "/fhircast/STU3/.well-known/fhircast-configuration", "text/plain", "").await;
    let about: Value = serde_json::from_str(&about).unwrap();
    assert_eq!((status, &about["websocketSupport"], &about["fhircastVersion"]), (200, &json!(true), &json!("3.0.0")));
    assert_eq!(about["capabilities"]["supportsGetCurrentContext"], true);
    assert_eq!(clinic.ask("OPTIONS", "/fhircast/STU3", "text/plain", "").await.0, 204);
    clinic.server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn noise_on_requests_and_sockets_is_survived() {
    let mut clinic = Clinic::open().await;
    clinic.tap(SURGEON, "desk-1").await;
    let topic = clinic.topic("desk-1").await;
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let seed = open(&topic, "1", "2026-01-05T06:00:11Z", "P-1").to_string().into_bytes();
    for n in 0..150 {
        let mut bytes = if n % 3 == 0 {
            format!("hub.mode=subscribe&hub.topic={topic}&hub.events=Patient-open").into_bytes()
        } else {
            seed.clone()
        };
        for _ in 0..=random() % 8 {
            let at = usize::try_from(random()).unwrap() % bytes.len();
            match random() % 3 {
                0 => bytes[at] = u8::try_from(random() % 256).unwrap(),
                1 => bytes.truncate(at.max(1)),
                _ => bytes.insert(at, u8::try_from(random() % 256).unwrap()),
            }
        }
        let path = if n % 2 == 0 { "/fhircast/STU3".to_owned() } else { format!("/fhircast/STU3/{topic}") };
        let (status, answer) = clinic.ask("POST", &path, "application/json", bytes).await;
        assert!(matches!(status, 202 | 400 | 403 | 404 | 409 | 429), "{status} {answer}");
    }
    for _ in 0..5 {
        let _ = clinic.form(&[("hub.mode", "unsubscribe"), ("hub.topic", &topic)]).await;
    }
    assert_eq!(clinic.ask("POST", "/fhircast/STU3", "application/json", vec![b'{'; 70_000]).await.0, 413);
    clinic.pass(300_000);
    assert_eq!(clinic.ask("GET", "/fhircast/ws/x", "text/plain", "").await.0, 426);
    let mut socket = clinic.follow(&topic, "Patient-open", "noisy").await;
    for _ in 0..100 {
        let length = usize::try_from(random() % 200).unwrap();
        let bytes: Vec<u8> = (0..length).map(|_| u8::try_from(random() % 256).unwrap()).collect();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        socket.socket.send(Frame::Text(text.into())).await.unwrap();
        socket.socket.send(Frame::Binary(bytes.into())).await.unwrap();
    }
    clinic.tap(0, "desk-1").await;
    loop {
        let told = socket.event("Patient-open").await;
        if told["event"]["context"][0]["resource"]["id"] == "P-10000" {
            break;
        }
    }
    // One that never stops talking is let go.
    let talk = async {
        loop {
            if socket.socket.send(Frame::Text("{}".into())).await.is_err() {
                break;
            }
            if let Ok(Some(Ok(Frame::Close(_)) | Err(_)) | None) =
                timeout(Duration::from_millis(1), socket.socket.next()).await
            {
                break;
            }
        }
    };
    timeout(WITHIN, talk).await.expect("let go");
    let (status, _) = clinic.ask("GET", "/fhircast/STU3/.well-known/fhircast-configuration", "text/plain", "").await;
    assert_eq!(status, 200);
    clinic.server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tap_is_at_the_program_within_the_time() {
    let mut clinic = Clinic::open().await;
    clinic.tap(SURGEON, "desk-1").await;
    let topic = clinic.topic("desk-1").await;
    let mut mis = clinic.follow(&topic, "Encounter-open", "MIS").await;
    let mut took = Vec::new();
    // Each patient once: whoever was seen already is asked about first.
    for n in 0..24_u32 {
        // Passes of patients in the scene.
        let patient = n % 3 + 7 * (n / 3);
        clinic.pass(70_000);
        let begun = tokio::time::Instant::now();
        clinic.tap(patient, "desk-1").await;
        let event = mis.read().await;
        took.push(begun.elapsed());
        mis.acknowledge(&event, "200").await;
        assert_eq!(event["event"]["context"][1]["resource"]["id"], format!("P-{}", 10_000 + patient));
    }
    took.sort();
    println!(
        "tap taken in -> event at the subscriber, 24 taps: p50 {:?}, p95 {:?}, max {:?}",
        took[12], took[22], took[23]
    );
    assert!(took[22] < Duration::from_secs(2), "{took:?}");
    clinic.server.end().await;
}

/// Node's packages, and Python's.
fn folder(variable: &str, usual: &str, needs: &str) -> std::path::PathBuf {
    let folder = std::env::var_os(variable).map(std::path::PathBuf::from);
    let folder = folder.unwrap_or_else(|| std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(usual));
    assert!(folder.join(needs).exists(), "{needs} is missing in {}; run `make prepare`", folder.display());
    folder
}

/// A program that we did not write, and what it says.
struct Stranger {
    child: tokio::process::Child,
    says: tokio::io::Lines<tokio::io::BufReader<tokio::process::ChildStdout>>,
}

impl Stranger {
    fn start(command: &mut tokio::process::Command) -> Self {
        use tokio::io::AsyncBufReadExt;
        let command =
            command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let says = tokio::io::BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, says }
    }

    async fn hear(&mut self) -> Value {
        let line = timeout(Duration::from_secs(30), self.says.next_line()).await.expect("a line in time").unwrap();
        serde_json::from_str(&line.expect("it goes on")).unwrap()
    }

    /// What an order publishes comes back as an event, before the order is done or after.
    async fn done_with_event(&mut self) -> Value {
        let (mut event, mut is_done) = (None, false);
        loop {
            let said = self.hear().await;
            assert!(said.get("failed").is_none(), "{said}");
            is_done |= said.get("done").is_some();
            event = said.get("event").cloned().or(event);
            if let (Some(event), true) = (&event, is_done) {
                return event.clone();
            }
        }
    }

    /// Passes over what it says until this key comes.
    async fn until(&mut self, key: &str) -> Value {
        loop {
            let said = self.hear().await;
            assert!(said.get("failed").is_none(), "{said}");
            if let Some(value) = said.get(key) {
                return value.clone();
            }
        }
    }

    async fn order(&mut self, order: &str) {
        use tokio::io::AsyncWriteExt;
        self.child.stdin.as_mut().unwrap().write_all(format!("{order}\n").as_bytes()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_of_medplum_listens_opens_closes_and_asks() {
    let node = folder("TAPWARD_NODE", "target/node", "node_modules/@medplum/core");
    let mut clinic = Clinic::open().await;
    clinic.tap(SURGEON, "desk-1").await;
    let topic = clinic.topic("desk-1").await;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/independent/fhircast_medplum.mjs");
    let mut command = tokio::process::Command::new("node");
    command.arg(script).arg(clinic.server.url("/")).arg(&topic);
    command.env("TAPWARD_NODE", node.canonicalize().unwrap()).env("NODE_EXTRA_CA_CERTS", clinic.server.certificate());
    let mut medplum = Stranger::start(&mut command);
    medplum.until("connected").await;
    clinic.pass(60_000);
    clinic.tap(0, "desk-1").await;
    let opened = medplum.until("event").await;
    assert_eq!(opened["event"]["hub.event"], "Patient-open");
    assert_eq!(opened["event"]["context"][0]["resource"]["id"], "P-10000");
    assert_eq!(medplum.until("event").await["event"]["hub.event"], "Encounter-open");
    medplum.order("context").await;
    let context = medplum.until("context").await;
    assert_eq!(context["context.type"], "Encounter");
    clinic.pass(1_000);
    medplum.order(&format!("clock {}", clinic.now().0)).await;
    medplum.until("done").await;
    medplum.order("open P-5").await;
    let echo = medplum.done_with_event().await;
    assert_eq!(echo["event"]["context"][0]["resource"]["id"], "P-5");
    medplum.order("close P-5").await;
    assert_eq!(medplum.done_with_event().await["event"]["hub.event"], "Patient-close");
    medplum.order("context").await;
    assert_eq!(medplum.until("context").await["context.type"], "");
    medplum.order("leave").await;
    medplum.until("disconnected").await;
    medplum.order("end").await;
    clinic.server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_with_the_habits_of_real_ones_is_understood() {
    let venv = folder("TAPWARD_VENV", "target/venv", "bin/python");
    let mut clinic = Clinic::open().await;
    clinic.tap(SURGEON, "desk-1").await;
    let topic = clinic.topic("desk-1").await;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/independent/fhircast_habits.py");
    let mut command = tokio::process::Command::new(venv.join("bin/python"));
    command.arg(script).arg(clinic.server.address.port().to_string()).arg(clinic.server.certificate()).arg(&topic);
    let mut habits = Stranger::start(&mut command);
    habits.until("ready").await;
    clinic.pass(60_000);
    clinic.tap(1, "desk-1").await;
    assert_eq!(habits.until("event").await["event"]["context"][0]["resource"]["id"], "P-10001");
    habits.until("done").await;
    let session = clinic.session("desk-1").await;
    assert_eq!(trouble(&clinic, &session).await, None);
    clinic.server.end().await;
}
