//! A controller at a gateway that runs apart from bridge and database, over a real broker, on each of the two engines:
//! what it reports while broker and bridge are away is stored once, and how it is doing arrives with everything else.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

mod acs_link_site;
mod installation;

use std::path::Path;

use acs_link_site::{Client, GATEWAY, Way, certificates, free_port, listener, peer};
use bus::testing::Mosquitto;
use clinic::devices;
use domain::equipment::PeerKind;
use installation::*;
use serde_json::json;

const POINTS: &str = "[[point]]\nid = \"north\"\nkind = \"turnstile\"\nfrom = \"street\"\nto = \"hall\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn what_a_controller_reports_reaches_a_database_behind_a_broker_once_in_sqlite() {
    a_controller_apart("").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_controller_reports_reaches_a_database_behind_a_broker_once_in_postgresql() {
    let url = tokio::task::spawn_blocking(store::testing::postgres_url).await.unwrap();
    a_controller_apart(&url).await;
}

async fn a_controller_apart(url: &str) {
    let mut broker = tokio::task::spawn_blocking(|| Mosquitto::new(&bus::testing::Config::default())).await.unwrap();
    let port = free_port();
    let database = if url.is_empty() { String::new() } else { format!("[database]\nurl = \"{url}\"\n") };
    let config = format!(
        "{database}[bus]\nurl = \"mqtt://127.0.0.1:{}\"\ncommand_key = \"file:keys/bus\"\n{}\n{}",
        broker.port(),
        listener(port, Path::new("acs")),
        peer("py-1", "north", "")
    );
    let mut site = Site::with_plant(POINTS, &config).await;
    if !url.is_empty() {
        site.database = url.to_owned();
    }
    let mut key = [0; 32];
    getrandom::fill(&mut key).unwrap();
    let digits: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    write_secret(&site.folder.path().join("keys/bus"), &digits);
    certificates(&site.folder.path().join("acs"), Some(GATEWAY), &["py-1"]);
    site.import(&cards(5));
    let bridge = site.start("bridge").await;
    let gateway = site.start("gateway").await;
    let mut client = Client::start(site.folder.path(), "py-1", Way::Connect(port)).await;
    client.connects().await;
    // The policy has come over the broker, and with it the numbers of cards.
    client.gets("SyncEnd").await;

    let event = |card: u32, code: &str| {
        json!({
            "do": "event", "point": "clinic/north", "direction": "in", "format": "wiegand26",
            "credential": format!("{:06X}", (20 << 16) + card), "code": code, "by": "controller"
        })
    };
    let ended = |site: &Site| {
        let journal = site.journal();
        journal.iter().filter(|entry| entry["point"] == "north" && entry["kind"] == "passed").count()
    };
    for card in 1..=2 {
        client.does(&event(card, "granted")).await;
        client.does(&event(card, "passed")).await;
    }
    until("two people are through", async || ended(&site) == 2).await;
    broker.kill();
    bridge.kill().await;
    for card in 3..=5 {
        client.does(&event(card, "granted")).await;
        client.does(&event(card, "passed")).await;
    }
    until("three more are through while broker and bridge are away", async || ended(&site) == 5).await;
    broker.start();
    let bridge = site.start("bridge").await;

    let mut journal = site.journal();
    until("the database catches up", async || {
        journal = site.journal();
        site.stored().await.len() >= journal.len()
    })
    .await;
    site.stored_once(&journal).await;
    let database = store::Database::open(&site.database).await.unwrap();
    until("how the controller is doing is known there", async || {
        let lines = devices::lines(&database).await.unwrap();
        lines.iter().any(|line| {
            line.device.open
                && line.device.peer.as_ref().is_some_and(|peer| {
                    peer.kind == PeerKind::AcsLink && peer.secure && (peer.passes_told, peer.passes_wanted) == (5, 5)
                })
        })
    })
    .await;
    database.close().await;
    client.quit().await;
    gateway.stop().await;
    bridge.stop().await;
    site.simulator.stop().await;
}
