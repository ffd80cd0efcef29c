//! The whole process is killed at random moments while people tap. Every tap that a reader was answered must be in the
//! journal afterwards, and every entry of the journal once in the database.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

mod installation;

use std::collections::HashMap;
use std::time::Duration;

use domain::CardId;
use domain::card::CardNumber;
use installation::*;

/// Kills in one run; `TAPWARD_KILLS` asks for more.
const KILLS: u32 = 20;

#[tokio::test(flavor = "multi_thread")]
async fn every_answered_tap_survives_kill_9_and_is_stored_once() {
    let kills = std::env::var("TAPWARD_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(KILLS);
    let site = Site::new("").await;
    let cards = cards(64);
    site.import(&cards);
    let crowd = site.crowd(&cards);
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
    crowd.go_home().await;
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
    site.stored_once(&journal).await;
    println!("{kills} kills, {total} answered taps, {} entries: none lost, none doubled", journal.len());
    site.simulator.stop().await;
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
    until("the bridge catches up", async || {
        let last = site.journal().last().unwrap()["seq"].as_u64().unwrap();
        site.stored().await.last().is_some_and(|event| event.entry.seq + 20 >= last)
    })
    .await;
}
