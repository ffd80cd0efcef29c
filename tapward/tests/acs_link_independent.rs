//! A whole gateway against an acs-link client that shares no line of code with it: Python with a general XML library,
//! written from the specification and the schema alone. The client validates every message in both directions.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

mod acs_link_site;
mod installation;

use std::path::Path;

use acs_link_site::{Client, GATEWAY, Way, certificates, free_port, listener, peer};
use installation::*;
use serde_json::{Value, json};

const POINTS: &str = "[[point]]\nid = \"north\"\nkind = \"turnstile\"\nfrom = \"street\"\nto = \"hall\"\n";

/// An installation with one turnstile of a peer, five cards, and the port where its gateway listens.
async fn site(more_of_peer: &str) -> (Site, u16) {
    let port = free_port();
    let config = format!("{}\n{}", listener(port, Path::new("acs")), peer("py-1", "north", more_of_peer));
    let site = Site::with_plant(POINTS, &config).await;
    certificates(&site.folder.path().join("acs"), Some(GATEWAY), &["py-1", "py-2"]);
    site.import(&cards(5));
    (site, port)
}

/// A card as the link writes it: 24 bits in hexadecimal.
fn hex(n: u32) -> String {
    format!("{:06X}", (20 << 16) + n)
}

fn event(n: u32, code: &str, by: &str) -> Value {
    json!({
        "do": "event", "point": "clinic/north", "direction": "in", "format": "wiegand26", "credential": hex(n),
        "code": code, "by": by, "reason": "ok"
    })
}

/// Kind, reason and card of what the journal says about the turnstile; opening of links left out.
fn told(site: &Site) -> Vec<String> {
    let names: Vec<String> = cards(5).iter().map(|card| site.card_key().id(card).to_string()).collect();
    let line = |entry: &Value| {
        let kind = entry["kind"].as_str()?;
        if entry["point"] != "north" || matches!(kind, "online" | "offline" | "secure" | "session_lost") {
            return None;
        }
        let card = entry["card"].as_str().map_or("-".to_owned(), |card| {
            names.iter().position(|name| name == card).map_or("?".to_owned(), |place| (place + 1).to_string())
        });
        let late = if entry["age_ms"].as_u64().is_some_and(|age| age > 3000) { " late" } else { "" };
        Some(format!("{kind} {} {card}{late}", entry["reason"].as_str().unwrap_or("-")))
    };
    site.journal().iter().filter_map(line).collect()
}

async fn told_at_least(site: &Site, count: usize) -> Vec<String> {
    let began = tokio::time::Instant::now();
    loop {
        let found = told(site);
        if found.len() >= count {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "only {found:#?} of {count}; the log:\n{}", site.log());
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_independent_client_is_told_the_passes_asks_and_reports() {
    let (site, port) = site("").await;
    let program = site.start("run").await;
    let mut client = Client::start(site.folder.path(), "py-1", Way::Connect(port)).await;
    client.connects().await;

    // The passes come as a whole first, and the digest of an independent implementation agrees.
    let end = client.gets("SyncEnd").await;
    assert_eq!((&end["status"], &end["digest"]), (&json!("done"), &json!(true)), "{end}");
    client.does(&json!({ "do": "passes" })).await;
    let known = client.hears("its passes", |word| word["passes"].is_object()).await;
    let mut values: Vec<&str> =
        known["passes"].as_object().unwrap().values().map(|pass| pass["value"].as_str().unwrap()).collect();
    values.sort_unstable();
    assert_eq!(values, (1..=5).map(hex).collect::<Vec<_>>());
    assert!(known["passes"].as_object().unwrap().values().all(|pass| pass["levels"] == json!(["clinic/north"])));

    // A question, its answer, and what came of it.
    let ask = json!({
        "do": "request", "point": "clinic/north", "direction": "in", "format": "wiegand26", "credential": hex(1),
        "within": 5000
    });
    client.does(&ask).await;
    let asked = client.hears("its question", |word| word["asked"].is_string()).await["asked"].clone();
    let decision = client.gets("decision").await;
    assert_eq!((&decision["re"], &decision["decision"]), (&asked, &json!("grant")), "{decision}");
    assert!((500..=60_000).contains(&decision["valid_ms"].as_i64().unwrap()), "{decision}");
    for code in ["granted", "passed"] {
        let mut word = event(1, code, "server");
        word["request"] = asked.clone();
        client.does(&word).await;
    }
    assert_eq!(told_at_least(&site, 3).await, ["tap - 1", "granted allowed 1", "passed - 1"]);

    // A card that nobody knows.
    let mut stranger = ask.clone();
    stranger["credential"] = json!("FF0001");
    client.does(&stranger).await;
    assert_eq!(client.gets("decision").await["decision"], "deny");
    assert_eq!(told_at_least(&site, 5).await[3..], ["tap - ?", "refused unknown_card ?"]);

    // A pass is taken back: the client hears of it by itself.
    assert!(site.tapward(&["people", "set", "p-1", "blocked"]).status.success());
    let revoked = client.gets("CredentialRevoke").await;
    assert_eq!(revoked["status"], "done", "{revoked}");
    client.quit().await;
    program.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_without_a_link_is_taken_in_once_whatever_is_killed() {
    let (site, port) = site("").await;
    let program = site.start("run").await;
    let mut client = Client::start(site.folder.path(), "py-1", Way::Connect(port)).await;
    client.connects().await;
    client.gets("SyncEnd").await;
    client.does(&json!({ "do": "drop" })).await;
    client.hears("it is cut off", |word| word["closed"].is_string()).await;
    let mut last = json!(0);
    for n in 1..=3 {
        for code in ["granted", "passed"] {
            let mut word = event(n, code, "offline-cache");
            word["ago_ms"] = json!(60_000);
            client.does(&word).await;
            last = client.hears("it is queued", |word| word["queued"].is_u64()).await["queued"].clone();
        }
    }
    // Neither the client's end nor the gateway's changes anything.
    client.kill().await;
    program.kill().await;
    let program = site.start("run").await;
    let mut client = Client::start(site.folder.path(), "py-1", Way::Connect(port)).await;
    // The first acknowledgements are lost on their way: everything is sent again.
    client.does(&json!({ "do": "lose_acks", "count": 1000 })).await;
    client.connects().await;
    let wanted: Vec<String> = (1..=3)
        .flat_map(|n| {
            [
                format!("tap - {n} late"),
                format!("granted peer_decision {n} late"),
                format!("passed peer_decision {n} late"),
            ]
        })
        .collect();
    let found = told_at_least(&site, wanted.len()).await;
    assert_eq!(found, wanted);
    client.does(&json!({ "do": "drop" })).await;
    client.does(&json!({ "do": "lose_acks", "count": 0 })).await;
    client.connects().await;
    client.hears("the last one is acknowledged", |word| word["acked"] == last).await;
    client.does(&event(4, "denied", "controller")).await;
    let found = told_at_least(&site, wanted.len() + 2).await;
    assert_eq!(found[..wanted.len()], wanted, "nothing twice");
    assert_eq!(found[wanted.len()..], ["tap - 4", "refused peer_decision 4"]);
    client.quit().await;
    program.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_listens_is_dialled_and_a_false_name_is_refused() {
    let port = free_port();
    let (site, _) = site(&format!("connect = \"127.0.0.1:{port}\"")).await;
    let program = site.start("run").await;
    let mut client = Client::start(site.folder.path(), "py-1", Way::Listen(port)).await;
    client.connects().await;
    client.gets("SyncEnd").await;
    client.quit().await;
    program.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_with_another_nodes_certificate_is_told_why_it_is_refused() {
    let (site, port) = site("").await;
    let program = site.start("run").await;
    let mut client = Client::start_as(site.folder.path(), "py-1", "py-2", Way::Connect(port)).await;
    client.does(&json!({ "do": "connect" })).await;
    let error = client.gets("error").await;
    assert_eq!((&error["code"], &error["fatal"]), (&json!("AUTH_NODE_MISMATCH"), &json!(true)), "{error}");
    until("the operator is told", async || site.journal().iter().any(|entry| entry["reason"] == "peer_refused")).await;
    client.quit().await;
    program.stop().await;
}
