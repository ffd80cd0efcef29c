//! The whole process is killed with signal 9 at random moments while people pass turnstiles joined by acs-link. Their
//! controllers let people through by their own cache meanwhile. Everybody who went through must be in the journal
//! afterwards, as often as that happened, and every entry once in the database.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

mod acs_link_site;
mod installation;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use acs_link_site::{GATEWAY, certificates, free_port, listener, peer, simulated};
use controller_sim::Outcome;
use domain::LineId;
use installation::*;
use tokio_util::sync::CancellationToken;

/// Kills in one run; `TAPWARD_KILLS` asks for more.
const KILLS: u32 = 6;
const NODES: [&str; 4] = ["north", "east", "south", "west"];

#[tokio::test(flavor = "multi_thread")]
async fn everybody_who_passed_is_recorded_once_although_the_gateway_is_killed() {
    let kills = std::env::var("TAPWARD_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(KILLS);
    let (port, acs) = (free_port(), tempfile::tempdir().unwrap());
    certificates(acs.path(), Some(GATEWAY), &NODES);
    let plant: String = NODES.iter().map(|node| simulated(node, node, port, acs.path())).collect();
    let peers: String = NODES.iter().map(|node| peer(node, node, "")).collect();
    let site = Arc::new(Site::with_plant(&plant, &format!("{}{peers}", listener(port, acs.path()))).await);
    let cards = cards(u32::try_from(NODES.len()).unwrap());
    site.import(&cards);
    let controllers: Vec<_> =
        NODES.iter().map(|node| site.sim.controller(&node.parse::<LineId>().unwrap()).unwrap()).collect();

    // A first life, so that the controllers know the passes.
    let mut program = site.start("run").await;
    for mut controller in controllers.clone() {
        let told = controller.wait_for(|state| state.passes == cards.len());
        tokio::time::timeout(PATIENCE, told).await.expect("the controllers are told the passes").unwrap();
    }
    let stop = CancellationToken::new();
    let passed: Arc<Mutex<HashMap<String, u64>>> = Arc::default();
    let key = site.card_key();
    let people: Vec<_> = NODES
        .iter()
        .zip(&cards)
        .map(|(node, card)| {
            let (site, stop, passed, card) = (site.clone(), stop.clone(), passed.clone(), card.clone());
            let (reader, id) = (format!("{node}-in").parse().unwrap(), key.id(&card).to_string());
            tokio::spawn(async move {
                while !stop.is_cancelled() {
                    let outcome = site.sim.tap(&reader, &card, QUICKLY, Duration::from_secs(4)).await.unwrap();
                    assert_eq!(outcome, Outcome::Passed, "the cache knows everybody, whatever the gateway does");
                    *passed.lock().unwrap().entry(id.clone()).or_default() += 1;
                }
            })
        })
        .collect();
    let mut moments = fastrand::Rng::with_seed(2027);
    for _ in 0..kills {
        tokio::time::sleep(Duration::from_millis(moments.u64(200..2200))).await;
        program.kill().await;
        program = site.start("run").await;
    }
    stop.cancel();
    for person in people {
        person.await.unwrap();
    }
    for (node, mut controller) in NODES.iter().zip(controllers) {
        let told = controller.wait_for(|state| state.up && state.acked == state.last);
        let told = tokio::time::timeout(PATIENCE, told).await;
        assert!(told.is_ok(), "{node} still has events to tell; the log:\n{}", site.log());
    }
    program.stop().await;

    let journal = site.journal();
    assert!(site.tapward(&["journal", "verify"]).status.success());
    let mut recorded: HashMap<String, u64> = HashMap::new();
    for entry in journal.iter().filter(|entry| entry["kind"] == "passed") {
        *recorded.entry(entry["card"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    let passed = passed.lock().unwrap().clone();
    let total: u64 = passed.values().sum();
    assert!(total >= u64::from(kills) * 3, "too few people passed to prove anything: {total}");
    assert_eq!(recorded, passed);
    println!("{kills} kills, {total} passes: none lost, none doubled");
}
