//! A bridge that is killed between sending and the answer, again and again: a system that knows its numbers has each
//! message once. The bridge runs in a child process: this test's own executable, started again with an instruction in its
//! environment.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clinic::outbox::Begin;
use mis_bridge::delivery::{self, run};
use mis_bridge::hl7::{Sender, SenderSettings, delivery_settings};
use tokio_util::sync::CancellationToken;
use wire::hl7::Message;
use wire::hl7::view::Patient;

use super::clinic_of::{clock, database, settle_in, visit};
use super::liars::{Act, Liar};
use super::{PATIENCE, ZONE, answer};

const PLACE: &str = "TAPWARD_TEST_HL7_PLACE";
const PORT: &str = "TAPWARD_TEST_HL7_PORT";
const VISITS: u32 = 8;
/// Each start of a bridge waits for the lease of the one before.
const WITHIN: Duration = Duration::from_secs(150);
/// Every so many messages the bridge is killed before its answer.
const KILL_EVERY: usize = 4;

/// Not a test of its own: what a child does. Started as an ordinary test it has no instruction and returns.
#[tokio::test(flavor = "multi_thread")]
async fn the_bridge_that_is_killed() {
    let (Ok(place), Ok(port)) = (std::env::var(PLACE), std::env::var(PORT)) else { return };
    let database = database(Path::new(&place)).await;
    let settings = SenderSettings {
        answer_within: PATIENCE,
        ..SenderSettings::new("mis", "127.0.0.1", port.parse().unwrap(), ZONE)
    };
    let told = delivery_settings(&settings);
    let sender = Sender::new(settings, database.clone(), None, clock()).unwrap();
    let mut delivery = delivery::Settings {
        // A killed bridge's deliveries are taken over when its lease is over: by real time, so that is short.
        lease: Duration::from_secs(1),
        ..told
    };
    delivery.destination.begin = Begin::Everything;
    let ticking = domain::Clock::new(move || {
        domain::UtcMillis(std::time::UNIX_EPOCH.elapsed().unwrap().as_millis().try_into().unwrap())
    });
    run(delivery, database, ticking, sender, CancellationToken::new()).await.unwrap();
}

fn bridge(place: &Path, port: u16) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "killed::the_bridge_that_is_killed", "--test-threads=1"])
        .env(PLACE, place)
        .env(PORT, port.to_string())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bridge_killed_between_message_and_answer_tells_each_visit_once_to_who_knows_its_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let database = database(folder.path()).await;
    settle_in(&database, VISITS).await;
    for number in 1..=VISITS {
        visit(&database, number, true).await;
    }
    database.close().await;

    let running: Arc<Mutex<Option<Child>>> = Arc::default();
    let kills: Arc<Mutex<BTreeSet<usize>>> = Arc::default();
    let (child, killed) = (Arc::clone(&running), Arc::clone(&kills));
    let liar = Liar::start(move |got, before| {
        if before % KILL_EVERY == 0
            && let Some(mut child) = child.lock().unwrap().take()
        {
            child.kill().unwrap();
            child.wait().unwrap();
            killed.lock().unwrap().insert(before);
            return vec![Act::Close];
        }
        // Slow enough that a bridge writes down what it told before it is killed over one of the next messages.
        vec![Act::Wait(Duration::from_millis(60)), Act::Say(answer("AA", &got.control))]
    })
    .await;
    let numbers = || liar.got().into_iter().map(|got| got.control).collect::<BTreeSet<_>>().len();
    let all = 2 * VISITS as usize;
    let started = std::cell::Cell::new(0);
    let ends = tokio::time::Instant::now() + WITHIN;
    while numbers() < all {
        let said = format!("{} of {all} after {} starts", numbers(), started.get());
        assert!(tokio::time::Instant::now() < ends, "not in time: {said}");
        {
            let mut running = running.lock().unwrap();
            if running.as_mut().is_none_or(|child| child.try_wait().unwrap().is_some()) {
                *running = Some(bridge(folder.path(), liar.address.port()));
                started.set(started.get() + 1);
            }
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    if let Some(mut child) = running.lock().unwrap().take() {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(kills.lock().unwrap().len() >= 4 && started.get() > 4, "it was killed in the midst");
    // What a system does that knows numbers: the first of each.
    let (mut known, mut taken) = (BTreeMap::new(), BTreeMap::<String, Vec<String>>::new());
    for got in liar.got() {
        if let Some(before) = known.insert(got.control.clone(), got.bytes.clone()) {
            assert_eq!(before, got.bytes, "sent again it is the same message, byte for byte");
            continue;
        }
        let message = Message::parse(&got.bytes, 1_000_000, wire::hl7::Charset::Ascii).unwrap();
        let patient = Patient::read(&message).unwrap();
        taken.entry(patient.ids[0].value.clone()).or_default().push(got.event);
    }
    assert_eq!(taken.len(), VISITS as usize);
    assert!(taken.values().all(|events| *events == ["A04", "A03"]), "{taken:?}");
}
