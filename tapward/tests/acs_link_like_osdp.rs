//! Two turnstiles side by side, one on a serial line (OSDP), one with a controller of its own (acs-link over TLS).
//! The same happens at both. Journal, presence, explanations and the database must say the same of both.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

mod acs_link_site;
mod installation;

use std::fmt::Write as _;
use std::time::Duration;

use acs_link_site::{GATEWAY, certificates, free_port, listener, peer, simulated};
use clinic::commands::{self, Order};
use controller_sim::acs_link::Mode;
use controller_sim::{Outcome, Walk};
use domain::card::{self, CardFormat, CardNumber};
use domain::{CardId, PersonId, PointId, ReaderId};
use installation::*;
use serde_json::Value;

const OSDP: &str = "osdp";
const ACS: &str = "acs";

/// What becomes of people: each turnstile has one of each.
const ROLES: [&str; 6] = ["valid", "hesitant", "blocked", "expired", "followed", "unknown"];

/// The card of a role at a turnstile.
fn number(gate: &str, role: &str) -> CardNumber {
    let place = ROLES.iter().position(|other| *other == role).unwrap();
    let n = if gate == OSDP { 100 } else { 200 } + place;
    card::parse(CardFormat::Wiegand26, &format!("20,{n}")).unwrap()
}

fn people() -> String {
    let mut csv = "person,kind,category,card_format,card_number,valid_from,valid_until\n".to_owned();
    for gate in [OSDP, ACS] {
        for role in ROLES.iter().filter(|role| **role != "unknown") {
            let (_, text) = number(gate, role).reveal_as().into_iter().next().unwrap();
            let until = if *role == "expired" { "2020-12-31" } else { "" };
            writeln!(csv, "{gate}-{role},staff,nurse,wiegand26,\"{text}\",,{until}").unwrap();
        }
    }
    csv
}

fn reader(gate: &str, way: &str) -> ReaderId {
    format!("{gate}-{way}").parse().unwrap()
}

/// Everything that happens at one turnstile.
async fn story(site: &Site, gate: &str) {
    let tap = async |way: &str, role: &str, walk: Walk, outcome: Outcome| {
        let done = site.sim.tap(&reader(gate, way), &number(gate, role), walk, Duration::from_secs(5)).await.unwrap();
        assert_eq!(done, outcome, "{role} at {gate}-{way}; the log:\n{}", site.log());
    };
    tap("in", "valid", QUICKLY, Outcome::Passed).await;
    tap("in", "valid", QUICKLY, Outcome::Refused).await;
    tap("out", "valid", QUICKLY, Outcome::Passed).await;
    tap("in", "hesitant", Walk::Away, Outcome::NotTaken).await;
    // At once behind somebody who turned away: the point must be free again.
    tap("in", "valid", QUICKLY, Outcome::Passed).await;
    tap("in", "unknown", QUICKLY, Outcome::Refused).await;
    tap("in", "blocked", QUICKLY, Outcome::Refused).await;
    tap("in", "expired", QUICKLY, Outcome::Refused).await;
    let followed = Walk::Through { after: Duration::from_millis(30), followers: 1, hold: Duration::ZERO };
    tap("in", "followed", followed, Outcome::Passed).await;
    force(site, gate, "forced").await;

    order(site, gate, "lock", Mode::Locked).await;
    tap("in", "hesitant", QUICKLY, Outcome::Refused).await;
    order(site, gate, "normal", Mode::Normal).await;
    order(site, gate, "free_passage", Mode::FreePass).await;
    force(site, gate, "passed").await;
    order(site, gate, "normal", Mode::Normal).await;
    order(site, gate, "open", Mode::Normal).await;
    force(site, gate, "passed").await;
    tap("in", "hesitant", QUICKLY, Outcome::Passed).await;
}

/// Turns the rotor by hand, and waits until the journal says what that was.
async fn force(site: &Site, gate: &str, kind: &str) {
    let count = || site.journal().iter().filter(|entry| entry["point"] == gate && entry["kind"] == kind).count();
    let before = count();
    // A contact that was at rest for less than its debounce time has not turned again.
    tokio::time::sleep(Duration::from_millis(300)).await;
    site.sim.force(&gate.parse().unwrap(), Duration::ZERO).await.unwrap();
    until(&format!("{kind} at {gate}"), async || count() > before).await;
    // The rotor comes to rest.
    tokio::time::sleep(Duration::from_millis(600)).await;
}

/// Gives an order as a page does, and waits until it is carried out.
async fn order(site: &Site, gate: &str, action: &str, mode: Mode) {
    let commands =
        || site.journal().iter().filter(|entry| entry["point"] == gate && entry["kind"] == "command").count();
    let before = commands();
    let (now, mut id) = (clock().now(), [0; 16]);
    getrandom::fill(&mut id).unwrap();
    let order = Order {
        id,
        gateway: GATEWAY.parse().unwrap(),
        action: action.to_owned(),
        point: Some(PointId::new(gate).unwrap()),
        person: None,
        actor: "7".into(),
        reason: Some("a test".into()),
        issued_at: now,
        expires_at: now.plus_ms(commands::LIFE_MS),
    };
    let database = clinic::Database::open(&site.database).await.unwrap();
    commands::give(&database, &order).await.unwrap();
    database.close().await;
    until(&format!("{action} at {gate} is recorded"), async || commands() > before).await;
    if gate == ACS {
        let mut controller = site.sim.controller(&ACS.parse().unwrap()).unwrap();
        let point: PointId = ACS.parse().unwrap();
        let held = controller.borrow().held;
        let obeyed = controller.wait_for(|state| {
            let moved = action != "open" || state.held > held || state.acked == state.last;
            moved && state.modes == [(point.clone(), mode)]
        });
        tokio::time::timeout(PATIENCE, obeyed).await.expect("the controller obeys").unwrap();
    }
    // A release that was ordered reaches the rotor.
    tokio::time::sleep(Duration::from_millis(300)).await;
}

/// What the journal says about a turnstile, with roles in place of cards and without the state of the line.
fn told(site: &Site, gate: &str) -> Vec<String> {
    let key = site.card_key();
    let roles: Vec<(String, &str)> =
        ROLES.iter().map(|role| (key.id(&number(gate, role)).to_string(), *role)).collect();
    let line = |entry: &Value| {
        let kind = entry["kind"].as_str()?;
        // A serial contact also tells when the rotor comes to rest after it was forced; acs-link has no such event.
        let of_line = ["online", "offline", "secure", "session_lost", "forced_end"];
        if entry["point"] != gate || of_line.contains(&kind) {
            return None;
        }
        let role = |card: &str| roles.iter().find(|(id, _)| id == card).map_or("a stranger", |(_, role)| role);
        let who = entry["card"].as_str().map_or("nobody", role);
        let person = if entry["person"].is_string() { "known" } else { "unknown" };
        Some(format!("{kind} {} {who} {person}", entry["reason"].as_str().unwrap_or("-")))
    };
    site.journal().iter().filter_map(line).collect()
}

/// Why a card would be allowed or refused, by the code that decides.
fn explained(site: &Site, gate: &str, card: CardId) -> Value {
    let done = site.tapward(&["policy", "explain", "--point", gate, "--card", &card.to_string(), "--json"]);
    let text = String::from_utf8(done.stdout).unwrap();
    let mut value: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let object = value.as_object_mut().unwrap();
    object.remove("point");
    object.remove("at");
    value
}

/// Where the people of a turnstile are, by role.
async fn whereabouts(site: &Site, gate: &str) -> Vec<Option<String>> {
    let key = site.card_key();
    let journal = site.journal();
    let database = clinic::Database::open(&site.database).await.unwrap();
    let mut all = Vec::new();
    for role in ROLES {
        let card = key.id(&number(gate, role)).to_string();
        let person = journal.iter().filter(|entry| entry["card"] == card).find_map(|entry| entry["person"].as_str());
        let person: Option<PersonId> = person.map(|person| person.parse().unwrap());
        let place = match person {
            Some(person) => clinic::presence::whereabouts(&database, person).await.unwrap(),
            None => None,
        };
        all.push(place.map(|(zone, _)| zone.to_string()));
    }
    database.close().await;
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turnstile_joined_by_acs_link_is_told_of_like_one_joined_by_osdp() {
    let (port, acs) = (free_port(), tempfile::tempdir().unwrap());
    certificates(acs.path(), Some(GATEWAY), &[ACS]);
    let plant = format!(
        "[[point]]\nid = \"{OSDP}\"\nkind = \"turnstile\"\nfrom = \"street\"\nto = \"hall\"\n\
         [[line]]\nid = \"line\"\nport = \"line\"\n\
         [[line.reader]]\nid = \"{OSDP}-in\"\naddress = 1\npoint = \"{OSDP}\"\ndirection = \"in\"\n\
         [[line.reader]]\nid = \"{OSDP}-out\"\naddress = 2\npoint = \"{OSDP}\"\ndirection = \"out\"\n{}",
        simulated(ACS, ACS, port, acs.path())
    );
    let config = format!(
        "[[zone]]\nid = \"hall\"\nanti_passback = \"hard\"\n{}{}",
        listener(port, acs.path()),
        peer(ACS, ACS, "")
    );
    let site = Site::with_plant(&plant, &config).await;
    let file = site.folder.path().join("everybody.csv");
    std::fs::write(&file, people()).unwrap();
    let done = site.tapward(&["people", "import", file.to_str().unwrap()]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
    for gate in [OSDP, ACS] {
        let person = format!("{gate}-blocked");
        assert!(site.tapward(&["people", "set", &person, "blocked"]).status.success());
    }
    let program = site.start("run").await;
    for gate in [OSDP, ACS] {
        for way in ["in", "out"] {
            site.secure_reader(&reader(gate, way)).await;
        }
    }
    // The rules come from the bridge, shortly after the start.
    until("rules are in force", async || site.journal().iter().any(|entry| entry["kind"] == "policy_changed")).await;
    tokio::join!(story(&site, OSDP), story(&site, ACS));

    until("the last pass is recorded", async || {
        [OSDP, ACS].iter().all(|gate| told(&site, gate).last().is_some_and(|line| line == "passed - hesitant known"))
    })
    .await;
    let (by_osdp, by_acs) = (told(&site, OSDP), told(&site, ACS));
    assert_eq!(by_acs, by_osdp);
    for wanted in [
        "granted allowed valid known",
        "refused anti_passback valid known",
        "not_taken - hesitant known",
        "refused unknown_card unknown unknown",
        "refused blocked blocked known",
        "refused expired expired known",
        "forced - nobody unknown",
        "refused point_locked hesitant known",
        "passed free_passage nobody unknown",
        "passed - hesitant known",
    ] {
        assert!(by_osdp.iter().any(|line| line == wanted), "{wanted} is not in {by_osdp:#?}");
    }
    let key = site.card_key();
    for role in ROLES {
        let card = key.id(&number(ACS, role));
        assert_eq!(explained(&site, ACS, card), explained(&site, OSDP, card), "{role}");
    }
    until("the database has it all", async || {
        let journal = site.journal();
        site.stored().await.last().is_some_and(|event| Some(event.entry.seq) >= journal.last().unwrap()["seq"].as_u64())
    })
    .await;
    let (at_osdp, at_acs) = (whereabouts(&site, OSDP).await, whereabouts(&site, ACS).await);
    assert_eq!(at_acs, at_osdp);
    assert_eq!(at_osdp.iter().flatten().filter(|zone| *zone == "hall").count(), 3, "{at_osdp:?}");
    program.stop().await;
    site.stored_once(&site.journal()).await;
}
