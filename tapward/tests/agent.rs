//! The agent at a doctor's own computer: a desktop reader on a pseudo-terminal, the agent's process, the gateway's process.
//! Each tap that the agent wrote down is in the journal once, whatever was killed between; what was tapped without a link is
//! told as late; who is not of this site is not heard.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]
#![allow(dead_code, reason = "what is shared has more than this test needs")]

mod acs_link_site;
mod installation;

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use acs_link_site::{GATEWAY, certificates, free_port, listener};
use controller_sim::{Handle, Options, Plant, Simulator};
use domain::card::CardNumber;
use installation::*;
use tokio_util::sync::CancellationToken;

/// Kills in one run; `TAPWARD_KILLS` asks for more.
const KILLS: u32 = 8;

/// A doctor's computer: a reader, and the agent's files.
struct Computer {
    folder: tempfile::TempDir,
    _simulator: Simulator,
    sim: Handle,
}

impl Computer {
    async fn new(port: u16, acs: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut plant: Plant = toml::from_str(
            "[[point]]\nid = \"there\"\nkind = \"turnstile\"\nfrom = \"street\"\nto = \"hall\"\n\
             [[line]]\nid = \"usb\"\nport = \"usb\"\nprotocol = \"ascii\"\n\
             [[line.reader]]\nid = \"usb-reader\"\npoint = \"there\"\ndirection = \"in\"\n",
        )
        .unwrap();
        plant.place_ports(folder.path());
        let options = Options { clock: clock(), tap_record: None, seed: 9 };
        let simulator = Simulator::start(&plant, &options, &CancellationToken::new()).await.unwrap();
        let sim = simulator.handle();
        let text = format!(
            "server = \"127.0.0.1:{port}\"\ngateway = \"{GATEWAY}\"\npoint = \"desk\"\nca = \"{acs}/ca.pem\"\n\
             cert = \"{acs}/node-room-204.pem\"\nkey = \"{acs}/node-room-204-key.pem\"\nqueue_max = 10\n\
             [reader]\nport = {:?}\nnumber = \"facility-number\"\n",
            plant.lines[0].port,
            acs = acs.display(),
        );
        std::fs::write(folder.path().join("agent.toml"), text).unwrap();
        Self { folder, _simulator: simulator, sim }
    }

    async fn start(&self) -> Program {
        Program::run(tapward(), &self.folder.path().join("agent.toml"), "agent")
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log.txt")).unwrap_or_default()
    }

    fn said(&self, word: &str) -> usize {
        self.log().matches(word).count()
    }

    async fn says(&self, word: &str, times: usize) {
        let begun = tokio::time::Instant::now();
        while self.said(word) < times {
            assert!(begun.elapsed() < PATIENCE, "{word} not {times} times; the agent's log:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Holds a card to the reader until the agent has written the tap down.
    async fn tap(&self, card: &CardNumber) {
        let before = self.said("agent.tap");
        let reader = "usb-reader".parse().unwrap();
        // A reader has no memory: what it prints before the agent listens is heard by nobody, so it is held there again.
        for _ in 0..10 {
            let _ = self.sim.tap(&reader, card, QUICKLY, Duration::from_millis(150)).await.unwrap();
            let begun = tokio::time::Instant::now();
            while begun.elapsed() < Duration::from_secs(2) {
                if self.said("agent.tap") > before {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        panic!("the agent heard no tap; its log:\n{}", self.log());
    }
}

/// A gateway with the room's agent as a peer.
async fn site(port: u16, acs: &Path) -> Site {
    let more = format!(
        "{}[[point]]\nid = \"room-204\"\nkind = \"workstation\"\nfrom = \"office\"\nto = \"office\"\n\
         [[peer]]\nid = \"room-204\"\nprotocol = \"acs-link\"\nnode = \"room-204\"\nheartbeat_s = 1\nreports_passage = false\n\
         [[peer.reader]]\nid = \"room-204-desk\"\nat = \"desk\"\npoint = \"room-204\"\ndirection = \"in\"\n",
        listener(port, acs)
    );
    Site::with_plant("", &more).await
}

/// What the journal says of taps at the workstation: kind and reason by card.
fn at_desk(site: &Site) -> Vec<(String, String, String, Option<u64>)> {
    let text = |entry: &serde_json::Value, key: &str| entry[key].as_str().unwrap_or_default().to_owned();
    site.journal()
        .iter()
        .filter(|entry| entry["point"] == "room-204" && (entry["kind"] == "granted" || entry["kind"] == "refused"))
        .map(|entry| (text(entry, "card"), text(entry, "kind"), text(entry, "reason"), entry["age_ms"].as_u64()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tap_at_the_doctors_computer_is_on_record_at_the_workstation() {
    let (port, acs) = (free_port(), tempfile::tempdir().unwrap());
    certificates(acs.path(), Some(GATEWAY), &["room-204"]);
    let (site, computer) = (site(port, acs.path()).await, Computer::new(port, acs.path()).await);
    let cards = cards(4);
    let key = site.start("run").await;
    let mut agent = computer.start().await;
    computer.says("agent.link.up", 1).await;
    computer.tap(&cards[0]).await;
    let id = |n: usize| site.card_key().id(&cards[n]).to_string();
    until("the tap is on record", async || at_desk(&site).len() == 1).await;
    assert_eq!(at_desk(&site)[0], (id(0), "granted".to_owned(), "peer_decision".to_owned(), None));

    // Without a gateway: written down, told later as late, and refused.
    key.stop().await;
    computer.says("agent.link.lost", 1).await;
    computer.tap(&cards[1]).await;
    agent.child.kill().await.unwrap();
    agent = computer.start().await;
    computer.tap(&cards[2]).await;
    let gateway = site.start("run").await;
    until("all three are on record", async || at_desk(&site).len() == 3).await;
    for (n, entry) in at_desk(&site).iter().enumerate().skip(1) {
        assert_eq!((&entry.0, entry.1.as_str(), entry.2.as_str()), (&id(n), "refused", "stale_read"));
        assert_ne!(entry.3, Some(u64::from(u32::MAX)), "its age is known, and may be too short to be told: {entry:?}");
    }
    // One agent for one reader.
    let mut second = computer.start().await;
    let status = tokio::time::timeout(PATIENCE, second.child.wait()).await.unwrap().unwrap();
    assert!(!status.success());
    assert!(computer.log().contains("another agent has this queue open") || computer.said("error") > 0);
    agent.stop().await;
    gateway.stop().await;
    for card in &cards {
        for (_, number) in card.reveal_as() {
            assert!(!computer.log().contains(number.as_str()), "no card number in the log");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_tap_is_lost_or_doubled_although_the_agent_is_killed() {
    let kills: u32 = std::env::var("TAPWARD_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(KILLS);
    let (port, acs) = (free_port(), tempfile::tempdir().unwrap());
    certificates(acs.path(), Some(GATEWAY), &["room-204"]);
    let (site, computer) = (site(port, acs.path()).await, Computer::new(port, acs.path()).await);
    let cards = cards(kills);
    let gateway = site.start("run").await;
    let mut agent = computer.start().await;
    let mut moments = fastrand::Rng::with_seed(204);
    for card in &cards {
        computer.tap(card).await;
        tokio::time::sleep(Duration::from_micros(moments.u64(0..40_000))).await;
        agent.kill().await;
        agent = computer.start().await;
    }
    let wanted: HashMap<String, usize> = cards.iter().map(|card| (site.card_key().id(card).to_string(), 1)).collect();
    let recorded = || {
        let mut found: HashMap<String, usize> = HashMap::new();
        for (card, ..) in at_desk(&site) {
            *found.entry(card).or_default() += 1;
        }
        found
    };
    until("every tap is on record", async || recorded().len() == wanted.len()).await;
    // What was told twice would come now.
    computer.says("agent.link.up", 1).await;
    agent.stop().await;
    gateway.stop().await;
    assert_eq!(recorded(), wanted);
    println!("{kills} kills between tap and acknowledgement: none lost, none doubled");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_of_another_site_is_not_heard() {
    let (port, acs, other) = (free_port(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    certificates(acs.path(), Some(GATEWAY), &["room-204"]);
    certificates(other.path(), Some(GATEWAY), &["room-204"]);
    let (site, computer) = (site(port, acs.path()).await, Computer::new(port, other.path()).await);
    let gateway = site.start("run").await;
    let agent = computer.start().await;
    computer.says("agent.link.refused", 1).await;
    computer.tap(&cards(1)[0]).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(computer.said("agent.link.up"), 0);
    assert!(at_desk(&site).is_empty());
    agent.stop().await;
    gateway.stop().await;
}
