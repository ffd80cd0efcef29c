//! The whole process is killed at random moments while people tap. Every tap that a reader was answered must be in the
//! journal afterwards, and every entry of the journal once in the database.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

mod installation;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use domain::card::CardNumber;
use domain::{CardId, ReaderId};
use installation::*;
use tokio_util::sync::CancellationToken;

/// Kills in one run; `TAPWARD_KILLS` asks for more.
const KILLS: u32 = 20;

#[tokio::test(flavor = "multi_thread")]
async fn every_answered_tap_survives_kill_9_and_is_stored_once() {
    let kills = std::env::var("TAPWARD_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(KILLS);
    let site = Site::new("").await;
    let cards = cards(64);
    site.import(&cards);
    let stop = CancellationToken::new();
    let people: Vec<_> = cards
        .iter()
        .enumerate()
        .map(|(i, card)| {
            let reader = site.readers[i % site.readers.len()].clone();
            tokio::spawn(tap_on(site.sim.clone(), reader, card.clone(), stop.clone()))
        })
        .collect();
    let mut moments = fastrand::Rng::with_seed(2026);
    for _ in 0..kills {
        let program = site.start("run").await;
        // Most die while people tap, some while they start.
        if moments.u8(..5) > 0 {
            site.secure().await;
        }
        tokio::time::sleep(Duration::from_millis(moments.u64(..1500))).await;
        program.kill().await;
    }
    // A last life, ended in order, so that the bridge has taken everything in.
    let program = site.start("run").await;
    site.secure().await;
    stop.cancel();
    for person in people {
        person.await.unwrap();
    }
    caught_up(&site).await;
    program.stop().await;

    let journal = site.journal();
    assert!(site.tapward(&["journal", "verify"]).status.success());
    let mut recorded: HashMap<(String, String), u64> = HashMap::new();
    for entry in journal.iter().filter(|entry| entry["kind"] == "tap" || entry["kind"] == "late_tap") {
        let key = (entry["reader"].as_str().unwrap().to_owned(), entry["card"].as_str().unwrap().to_owned());
        *recorded.entry(key).or_default() += 1;
    }
    let answered = answered_taps(&site, &cards);
    let total: u64 = answered.values().sum();
    assert!(total > u64::from(kills) * 3, "too few taps were answered to prove anything: {total}");
    for (key, count) in &answered {
        let kept = recorded.get(key).copied().unwrap_or(0);
        assert!(kept >= *count, "{count} taps of {key:?} were answered, {kept} are in the journal");
    }
    stored_once(&site, &journal).await;
    println!("{kills} kills, {total} answered taps, {} entries: none lost, none doubled", journal.len());
    site.simulator.stop().await;
}

async fn tap_on(sim: controller_sim::Handle, reader: ReaderId, card: CardNumber, stop: CancellationToken) {
    while !stop.is_cancelled() {
        sim.tap(&reader, &card, QUICKLY, Duration::from_millis(800)).await.unwrap();
    }
}

/// Taps that got an answer, by reader and pseudonym.
fn answered_taps(site: &Site, cards: &[CardNumber]) -> HashMap<(String, String), u64> {
    let key = site.card_key();
    let ids: HashMap<String, CardId> = cards.iter().map(|card| (card.reveal(), key.id(card))).collect();
    let record = std::fs::read_to_string(site.folder.path().join("taps.jsonl")).unwrap();
    let mut answered = HashMap::new();
    for line in record.lines() {
        let tap: serde_json::Value = serde_json::from_str(line).unwrap();
        if tap["answered"] == true {
            let id = ids[tap["card"].as_str().unwrap()];
            *answered.entry((tap["reader"].as_str().unwrap().to_owned(), id.to_string())).or_default() += 1;
        }
    }
    answered
}

/// Waits until the database has what the journal has.
async fn caught_up(site: &Site) {
    let look = async {
        loop {
            let last = site.journal().last().unwrap()["seq"].as_u64().unwrap();
            let database =
                clinic::Database::open(&format!("sqlite:{}/tapward.db", site.data().display())).await.unwrap();
            let stored = clinic::events::last_id(&database).await.unwrap();
            database.close().await;
            if stored + 20 >= last {
                return;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(PATIENCE, look).await.expect("the bridge catches up");
}

/// Every entry of the journal is in the database, once.
async fn stored_once(site: &Site, journal: &[serde_json::Value]) {
    let database = clinic::Database::open(&format!("sqlite:{}/tapward.db", site.data().display())).await.unwrap();
    let (mut after, mut stored) = (0, HashSet::new());
    loop {
        let events = clinic::events::after(&database, after, 1000).await.unwrap();
        let Some(last) = events.last() else { break };
        after = last.id;
        for event in events {
            let key = (event.entry.epoch.to_string(), event.entry.seq);
            assert!(stored.insert(key), "entry {} is stored twice", event.entry.seq);
        }
    }
    database.close().await;
    let missing: Vec<u64> = journal
        .iter()
        .filter(|entry| {
            !stored.contains(&(entry["epoch"].as_str().unwrap().to_owned(), entry["seq"].as_u64().unwrap()))
        })
        .map(|entry| entry["seq"].as_u64().unwrap())
        .collect();
    assert!(missing.is_empty(), "entries {missing:?} never reached the database");
    assert_eq!(stored.len(), journal.len());
}
