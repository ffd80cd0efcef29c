//! Gateway, bridge and pages as three processes, joined by a real broker, on each of the two databases. Broker and
//! bridge die while people tap: doors go on, and afterwards every entry of the journal is in the database, once.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a test")]

mod installation;

use bus::testing::Mosquitto;
use controller_sim::Outcome;
use installation::*;
use tokio::time::Instant;

/// People who go through while something is away, before it comes back.
const MEANWHILE: u64 = 20;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_tapped_while_broker_and_bridge_are_away_is_stored_once_in_sqlite() {
    let broker = tokio::task::spawn_blocking(|| Mosquitto::new(&bus::testing::Config::default())).await.unwrap();
    let site = site(&broker, "").await;
    broker_and_bridge_die(site, broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_tapped_while_broker_and_bridge_are_away_is_stored_once_in_postgresql() {
    let broker = tokio::task::spawn_blocking(|| Mosquitto::new(&bus::testing::Config::default())).await.unwrap();
    let url = tokio::task::spawn_blocking(store::testing::postgres_url).await.unwrap();
    let mut site = site(&broker, &format!("[database]\nurl = \"{url}\"\n")).await;
    site.database = url;
    broker_and_bridge_die(site, broker).await;
}

async fn site(broker: &Mosquitto, database: &str) -> Site {
    let bus = format!("[bus]\nurl = \"mqtt://127.0.0.1:{}\"\ncommand_key = \"file:keys/bus\"\n", broker.port());
    let site = Site::new(&format!("{database}{bus}")).await;
    let mut key = [0; 32];
    getrandom::fill(&mut key).unwrap();
    let digits: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    write_secret(&site.folder.path().join("keys/bus"), &digits);
    site
}

async fn broker_and_bridge_die(site: Site, mut broker: Mosquitto) {
    let cards = cards(32);
    site.import(&cards);
    // All at once, as after a power cut.
    let mut bridge = site.start("bridge").await;
    let gateway = site.start("gateway").await;
    let mut pages = site.start("dashboard").await;
    assert!(pages.line("Tapward is at").await.starts_with("https://127.0.0.1:"));
    site.secure().await;
    site.tap_until("west-1-in", &cards[0], Outcome::Passed).await;

    let crowd = site.crowd(&cards);
    through(&site, "with everything at work").await;
    broker.kill();
    through(&site, "without a broker").await;
    broker.start();
    through(&site, "with the broker back").await;
    bridge.kill().await;
    through(&site, "without a bridge").await;
    broker.kill();
    through(&site, "without both").await;
    broker.start();
    bridge = site.start("bridge").await;
    through(&site, "with both back").await;
    crowd.go_home().await;

    let mut journal = site.journal();
    until("the database catches up", async || {
        journal = site.journal();
        site.stored().await.len() >= journal.len()
    })
    .await;
    assert!(site.tapward(&["journal", "verify"]).status.success());
    site.stored_once(&journal).await;
    println!("{} entries: none lost, none doubled", journal.len());

    let asked = Instant::now();
    let done = site.tapward(&["people", "set", "p-1", "blocked"]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    site.tap_until("west-1-in", &cards[1], Outcome::Refused).await;
    println!("blocked by command, refused at the reader {:?} later", asked.elapsed());
    let refused = site.journal().into_iter().rfind(|entry| entry["kind"] == "refused").unwrap();
    assert_eq!(refused["reason"], "blocked");
    site.tap_until("west-1-in", &cards[2], Outcome::Passed).await;

    pages.stop().await;
    gateway.stop().await;
    bridge.stop().await;
    site.simulator.stop().await;
}

/// Waits until people went through.
async fn through(site: &Site, when: &str) {
    let (begin, before) = (Instant::now(), site.sim.report().passed);
    until(&format!("people go through {when}"), async || site.sim.report().passed >= before + MEANWHILE).await;
    println!("{MEANWHILE} people {when}: {:?}", begin.elapsed());
}
