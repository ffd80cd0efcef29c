//! A program that works through taps is killed at random moments, many times. Afterwards every tap was taken once: the
//! bindings are those of a model that knows no database, and everything written is as if nothing had happened.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "tests and what they share"
)]

#[path = "desk/scene.rs"]
#[allow(dead_code, reason = "shared with the stories")]
mod scene;

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use clinic::Database;
use clinic::desk::{Desk, Rules};
use domain::policy::PassState;
use domain::{Clock, Draft, Kind, PointId, Reason};
use scene::{NOW, Scene, card, plain, point};

/// Kills in one run; `TAPWARD_KILLS` asks for more.
const KILLS: u32 = 24;
/// Taps for each kill: more than one life can take.
const TAPS_PER_KILL: u32 = 60;
/// All taps happen within this time, so that none is too old for a clock that stands at its end.
const SPAN_MS: i64 = 55_000;
/// Tells a child what to work on.
const CHILD: &str = "TAPWARD_DESK_CHILD";

fn rules() -> Rules {
    Rules { debounce_ms: 200, ..plain() }
}

/// The child: works until it is killed, or nothing is left.
async fn work(url: &str) {
    let database = Database::open(url).await.unwrap();
    let desk = Desk::new(database, Clock::new(|| NOW.plus_ms(SPAN_MS)), rules());
    println!("working");
    desk.work().await.unwrap();
}

fn start(url: &str, test: &str) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .env(CHILD, url)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    // The harness says something of its own first.
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    lines.find(|line| line.as_ref().is_ok_and(|line| line.contains("working"))).expect("the child begins").unwrap();
    std::thread::spawn(move || lines.for_each(drop));
    child
}

/// Taps of three doctors (with a second card each), patients, somebody blocked and somebody unknown, at four desks.
fn queue(total: u32) -> Vec<(u8, u8, i64)> {
    let mut draw = fastrand::Rng::with_seed(2026);
    let cards = [1, 2, 3, 1, 2, 3, 31, 32, 33, 10, 11, 12, 13, 14, 4, 20, 99];
    (0..total)
        .map(|no| {
            let at = i64::from(no) * SPAN_MS / i64::from(total);
            (draw.u8(1..=4), cards[draw.usize(..cards.len())], at)
        })
        .collect()
}

/// Doctor at each desk as the words of the rules have it: no database, no rules of the program.
#[derive(Default)]
struct Model {
    desks: BTreeMap<u8, (u8, bool, i64)>,
    opened: Vec<(u8, u8, i64)>,
    ended: usize,
}

impl Model {
    fn tap(&mut self, desk: u8, card: u8, at: i64) {
        let doctor = if card > 30 { card - 30 } else { card };
        if !(1..=3).contains(&doctor) {
            return;
        }
        match self.desks.get_mut(&desk) {
            Some((bound, is_open, confirmed)) if *bound == doctor => {
                if at - *confirmed < 200 {
                    return;
                }
                (*is_open, *confirmed) = (true, at);
            }
            other => {
                self.ended += usize::from(other.is_some());
                self.desks.insert(desk, (doctor, true, at));
                self.opened.push((desk, doctor, at));
            }
        }
        for (other, (bound, is_open, _)) in &mut self.desks {
            if *other != desk && *bound == doctor {
                *is_open = false;
            }
        }
    }
}

/// What the tables hold, without what is drawn at random.
async fn written(database: &Database) -> Vec<String> {
    let mut all: Vec<String> = store::read!(database, "test.sessions", |conn| {
        Ok(sqlx::query_scalar(
            "SELECT 'session ' || workstation || ' ' || person || ' ' || state || ' ' || CAST(opened_ms AS TEXT) || ' '
                 || CAST(confirmed_ms AS TEXT) || ' ' || COALESCE(CAST(ended_ms AS TEXT) || ' ' || ended_why, '')
             FROM desk_session ORDER BY opened_ms, workstation",
        )
        .fetch_all(&mut *conn)
        .await?)
    })
    .unwrap();
    let changes: Vec<String> = store::read!(database, "test.changes", |conn| {
        Ok(sqlx::query_scalar(
            "SELECT CAST(id AS TEXT) || ' ' || CAST(happened_ms AS TEXT) || ' ' || kind || ' ' || COALESCE(reason, '') || ' '
                 || COALESCE(workstation, '') || ' ' || COALESCE(staff, '') || ' ' || COALESCE(patient, '')
             FROM change ORDER BY id",
        )
        .fetch_all(&mut *conn)
        .await?)
    })
    .unwrap();
    let visits: Vec<String> = store::read!(database, "test.visits", |conn| {
        Ok(sqlx::query_scalar(
            "SELECT 'visit ' || CAST(no AS TEXT) || ' ' || patient || ' ' || staff || ' ' || workstation || ' '
                 || CAST(started_ms AS TEXT) || ' ' || COALESCE(ended_why, '')
             FROM visit ORDER BY no",
        )
        .fetch_all(&mut *conn)
        .await?)
    })
    .unwrap();
    let log: Vec<String> = store::read!(database, "test.log", |conn| {
        Ok(sqlx::query_scalar(
            "SELECT CAST(no AS TEXT) || ' ' || action || ' ' || outcome || ' ' || COALESCE(object, '-')
             FROM audit_entry WHERE action IN ('desk_opened', 'desk_ended') ORDER BY no",
        )
        .fetch_all(&mut *conn)
        .await?)
    })
    .unwrap();
    all.extend(changes);
    all.extend(visits);
    all.extend(log);
    all
}

async fn fill(database: Database, taps: &[(u8, u8, i64)]) -> Scene {
    let scene = Scene::new(database, rules()).await;
    for doctor in 1..=3 {
        scene.pass(doctor, 30 + doctor, domain::policy::PassKind::Staff).await;
    }
    clinic::people::set_state(&scene.database, card(20), PassState::Blocked, NOW).await.unwrap();
    let facts: Vec<Draft> = taps
        .iter()
        .map(|(desk, number, at)| Draft {
            at: NOW.plus_ms(*at),
            ..scene.fact(*desk, *number, Kind::Granted, Reason::Allowed)
        })
        .collect();
    for facts in facts.chunks(5000) {
        scene.record(facts.to_vec()).await;
    }
    scene
}

/// Kills `children` at once, again and again, and compares.
async fn killed(url: &str, untouched: Database, kills: u32, children: usize, test: &str) {
    let taps = queue(kills * TAPS_PER_KILL * u32::try_from(children).unwrap());
    let scene = fill(Database::open(url).await.unwrap(), &taps).await;
    let mut moments = fastrand::Rng::with_seed(7);
    let mut in_between = 0;
    for _ in 0..kills {
        let mut running: Vec<Child> = (0..children).map(|_| start(url, test)).collect();
        std::thread::sleep(Duration::from_micros(moments.u64(..60_000)));
        for child in &mut running {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        let upto = follower(&scene.database).await;
        in_between += u32::from(upto > 0 && upto < taps.len() as i64);
    }
    let begun = Instant::now();
    while follower(&scene.database).await < taps.len() as i64 {
        assert!(begun.elapsed() < Duration::from_secs(240), "the last life takes what is left");
        assert!(start(url, test).wait().unwrap().success());
    }
    assert!(in_between * 2 > kills, "most died at work: {in_between} of {kills}");

    let reference = fill(untouched, &taps).await;
    let desk = Desk::new(reference.database.clone(), Clock::new(|| NOW.plus_ms(SPAN_MS)), rules());
    let worked = desk.work().await.unwrap();
    assert_eq!(worked.taps, taps.len() as u64);
    let (found, expected) = (written(&scene.database).await, written(&reference.database).await);
    assert_eq!(found.len(), expected.len());
    for (one, other) in found.iter().zip(&expected) {
        assert_eq!(one, other);
    }

    let mut model = Model::default();
    for (desk, number, at) in &taps {
        model.tap(*desk, *number, *at);
    }
    for (desk, (doctor, is_open, _)) in &model.desks {
        let state = if *is_open { "open" } else { "locked" };
        assert_eq!(scene.shown(*desk).await, format!("{state} {doctor}"));
    }
    let opened: Vec<(PointId, String, i64)> = store::read!(scene.database, "test.opened", |conn| {
        let rows: Vec<(String, String, i64)> =
            sqlx::query_as("SELECT workstation, person, opened_ms FROM desk_session ORDER BY opened_ms, workstation")
                .fetch_all(&mut *conn)
                .await?;
        Ok(rows.into_iter().map(|(desk, who, at)| (PointId::new(&desk).unwrap(), who, at)).collect())
    })
    .unwrap();
    let mut expected: Vec<_> = model
        .opened
        .iter()
        .map(|(desk, doctor, at)| (point(*desk), scene::person(*doctor).to_string(), NOW.plus_ms(*at).0))
        .collect();
    expected.sort_by(|one, other| (one.2, &one.0).cmp(&(other.2, &other.0)));
    assert_eq!(opened, expected);
    assert!(model.ended > 10);
    println!("{kills} kills of {children}, {} taps: none lost, none doubled; {in_between} died at work", taps.len());
}

async fn follower(database: &Database) -> i64 {
    store::read!(database, "test.follower", |conn| {
        Ok(sqlx::query_scalar("SELECT last_id FROM follower WHERE name = 'desk'").fetch_one(&mut *conn).await?)
    })
    .unwrap()
}

fn kills() -> u32 {
    std::env::var("TAPWARD_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(KILLS)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_tap_is_lost_or_doubled_by_kill_9_on_sqlite() {
    if let Ok(url) = std::env::var(CHILD) {
        return work(&url).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let url = |name: &str| format!("sqlite:{}", folder.path().join(name).display());
    let untouched = Database::open(&url("untouched.db")).await.unwrap();
    let test = "no_tap_is_lost_or_doubled_by_kill_9_on_sqlite";
    killed(&url("killed.db"), untouched, kills(), 1, test).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_tap_is_lost_or_doubled_by_kill_9_of_two_at_once_on_postgres() {
    if let Ok(url) = std::env::var(CHILD) {
        return work(&url).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let url = tokio::task::spawn_blocking(store::testing::postgres_url).await.unwrap();
    let untouched = Database::open(&format!("sqlite:{}", folder.path().join("untouched.db").display())).await.unwrap();
    let test = "no_tap_is_lost_or_doubled_by_kill_9_of_two_at_once_on_postgres";
    killed(&url, untouched, kills() / 3, 2, test).await;
}
