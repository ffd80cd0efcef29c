//! The program is killed (`kill -9`) at each step of telling, and at random: no visit is lost, none is there twice.
//!
//! The program is this test itself, started again as a process of its own that only tells.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clinic::outbox::DeliveryState;
use domain::{Clock, SiteId, UtcMillis};
use mis_bridge::delivery;
use mis_bridge::fhir::{Fhir, Settings};
use store::Database;
use tokio_util::sync::CancellationToken;

use crate::liar::Liar;
use crate::world::{self, count, open, settings, visit_id, whole_visits};

const DATABASE: &str = "TAPWARD_TEST_CRASH_DATABASE";
const PEER: &str = "TAPWARD_TEST_CRASH_PEER";

/// The clock of the machine: both lives of the program must have the same.
#[allow(clippy::disallowed_methods, reason = "the test is a program of its own here")]
fn machine_clock() -> Clock {
    Clock::new(|| {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        UtcMillis(i64::try_from(since.as_millis()).unwrap())
    })
}

/// Not a test: what is killed. Started by the others with the address of a database and of a peer.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "the program that the other tests start and kill"]
async fn program() {
    let (Ok(path), Ok(peer)) = (std::env::var(DATABASE), std::env::var(PEER)) else { return };
    let database = Database::open(&path).await.unwrap();
    let mut settings = settings();
    settings.lease = Duration::from_millis(300);
    let fhir = Settings::new(peer.parse().unwrap(), SiteId::new("clinic-3").unwrap());
    let fhir = Fhir::new(fhir, machine_clock()).unwrap();
    delivery::run(settings, database, machine_clock(), fhir, CancellationToken::new()).await.unwrap();
}

fn start(database: &Path, liar: &Liar) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "crash::program"])
        .env(DATABASE, format!("sqlite:{}", database.display()))
        .env(PEER, liar.base.as_str())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// A clinic in which so many visits happened, as a file to be copied.
async fn seed(path: &Path, visits: u64) {
    let database = Database::open(&format!("sqlite:{}", path.display())).await.unwrap();
    open(&database, visits).await;
    clinic::outbox::register(&database, &settings().destination, machine_clock().now()).await.unwrap();
    whole_visits(&database, visits).await;
    database.close().await;
}

async fn until_told(path: &Path, deliveries: usize, mut when_not: impl FnMut()) {
    let database = Database::open(&format!("sqlite:{}", path.display())).await.unwrap();
    let begun = tokio::time::Instant::now();
    while count(&database, DeliveryState::Done).await < deliveries {
        assert!(begun.elapsed() < world::WITHIN, "{} of {deliveries}", count(&database, DeliveryState::Done).await);
        when_not();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(count(&database, DeliveryState::Done).await, deliveries);
    assert_eq!(count(&database, DeliveryState::Dead).await, 0);
    database.close().await;
}

fn assert_once(liar: &Liar, visits: u64, what: &str) {
    let inside = liar.inside();
    assert_eq!(inside.all("Encounter").len() as u64, visits, "{what}");
    for number in 1..=visits {
        let versions = &inside.resources[&("Encounter".to_owned(), visit_id(number))];
        let states: Vec<&str> = versions.iter().map(|version| version["status"].as_str().unwrap()).collect();
        assert_eq!(states, ["in-progress", "finished"], "{what}, visit {number}");
        assert_eq!(versions[1]["statusHistory"].as_array().unwrap().len(), 1, "{what}, visit {number}");
    }
}

fn end(child: &Mutex<Option<Child>>) {
    if let Some(mut child) = child.lock().unwrap().take() {
        let _ = child.kill();
        let _ = child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_step_it_loses_no_visit_and_doubles_none() {
    let folder = tempfile::tempdir().unwrap();
    let seeded = folder.path().join("seeded.db");
    seed(&seeded, 2).await;
    let mut steps = 0;
    'steps: for step in 1.. {
        for before in [true, false] {
            let path = folder.path().join(format!("{step}-{before}.db"));
            std::fs::copy(&seeded, &path).unwrap();
            let liar = Liar::start().await;
            let child = Arc::new(Mutex::new(None));
            let (own, killed) = (Arc::clone(&child), Arc::new(Mutex::new(false)));
            let noted = Arc::clone(&killed);
            liar.inside().hook = Some(Arc::new(move |nth, is_before| {
                if nth == step && is_before == before && !*noted.lock().unwrap() {
                    *noted.lock().unwrap() = true;
                    end(&own);
                }
            }));
            *child.lock().unwrap() = Some(start(&path, &liar));
            let again = Arc::clone(&child);
            until_told(&path, 4, || {
                let mut child = again.lock().unwrap();
                if child.is_none() {
                    *child = Some(start(&path, &liar));
                }
            })
            .await;
            end(&child);
            assert_once(&liar, 2, &format!("step {step}, before: {before}"));
            if !*killed.lock().unwrap() {
                steps = step - 1;
                break 'steps;
            }
        }
    }
    assert!(steps >= 11, "{steps} steps were seen");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_random_again_and_again_it_loses_no_visit_and_doubles_none() {
    /// Enough that a fast machine is still at it when the first kill comes.
    const VISITS: u64 = 900;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clinic.db");
    seed(&path, VISITS).await;
    let liar = Liar::start().await;
    let child = Mutex::new(Some(start(&path, &liar)));
    let (mut kills, mut next) = (0, tokio::time::Instant::now() + Duration::from_millis(60));
    until_told(&path, 1800, || {
        if tokio::time::Instant::now() < next {
            return;
        }
        next = tokio::time::Instant::now() + Duration::from_millis(fastrand::u64(40..250));
        if kills < 15 {
            kills += 1;
            end(&child);
            *child.lock().unwrap() = Some(start(&path, &liar));
        }
    })
    .await;
    end(&child);
    assert_once(&liar, VISITS, &format!("{kills} kills"));
    assert!(kills > 0, "it was faster than the killer");
}
