//! Which browser stands at which desk: the same stories on SQLite and on PostgreSQL.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests and what they share")]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use clinic::acting::Acting;
use clinic::policy;
use clinic::workstations::{CODE_LIFE_MS, DeskToken, EnrolCode, WorkstationError, Workstations};
use domain::policy::{Layout, Point, PointKind};
use domain::{Clock, PointId, UtcMillis, ZoneId};
use store::Database;

fn desk(name: &str) -> PointId {
    PointId::new(name).unwrap()
}

async fn scene(database: &Database) -> (Workstations, Arc<AtomicI64>) {
    let now = Arc::new(AtomicI64::new(1_795_000_000_000));
    let hands = Arc::clone(&now);
    let clock = Clock::new(move || UtcMillis(hands.load(Ordering::Relaxed)));
    lay_out(database, &["desk-1", "desk-2"]).await;
    (Workstations::new(database.clone(), clock), now)
}

async fn lay_out(database: &Database, desks: &[&str]) {
    let zone = |name: &str| ZoneId::new(name).unwrap();
    let mut layout = Layout { time_zone: "Europe/Kyiv".to_owned(), ..Layout::empty() };
    layout.points.push(Point::new(desk("door-1"), PointKind::Door, zone("street"), zone("hall")));
    layout
        .points
        .extend(desks.iter().map(|name| Point::new(desk(name), PointKind::Workstation, zone("hall"), zone("hall"))));
    layout.complete_zones();
    policy::put_layout(database, layout, UtcMillis(1)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_makes_one_browser_a_workstations_once_and_not_for_long() {
    let folder = tempfile::tempdir().unwrap();
    for database in store::testing::both(folder.path()).await {
        let (workstations, now) = scene(&database).await;
        let acting = Acting::console();
        let code = workstations.make_code(&acting, &desk("desk-1")).await.unwrap();
        let (point, token) = workstations.redeem(&code, None).await.unwrap();
        assert_eq!(point, desk("desk-1"));
        assert!(matches!(workstations.redeem(&code, None).await, Err(WorkstationError::CodeSpent)), "a second time");
        let found = workstations.resume(&token).await.unwrap().unwrap();
        assert_eq!((found.point, found.zone.as_str()), (desk("desk-1"), "hall"));
        assert!(workstations.resume(&DeskToken::draw().unwrap()).await.unwrap().is_none(), "an invented cookie");

        let old = workstations.make_code(&acting, &desk("desk-1")).await.unwrap();
        let new = workstations.make_code(&acting, &desk("desk-1")).await.unwrap();
        assert!(matches!(workstations.redeem(&old, None).await, Err(WorkstationError::CodeSpent)), "replaced");
        now.fetch_add(CODE_LIFE_MS, Ordering::Relaxed);
        assert!(matches!(workstations.redeem(&new, None).await, Err(WorkstationError::CodeSpent)), "too old");
        let invented = EnrolCode::draw().unwrap();
        assert!(matches!(workstations.redeem(&invented, None).await, Err(WorkstationError::CodeSpent)));
        assert!(workstations.resume(&token).await.unwrap().is_some(), "codes that were not used change nothing");
        database.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_browser_withdrawal_and_the_layout_each_end_a_browser() {
    let folder = tempfile::tempdir().unwrap();
    for database in store::testing::both(folder.path()).await {
        let (workstations, _) = scene(&database).await;
        let acting = Acting::console();
        let first = workstations.enrol(&acting, &desk("desk-1")).await.unwrap();
        let other = workstations.enrol(&acting, &desk("desk-2")).await.unwrap();
        let second = workstations.enrol(&acting, &desk("desk-1")).await.unwrap();
        assert!(workstations.resume(&first).await.unwrap().is_none(), "one browser at a time");
        assert!(workstations.resume(&second).await.unwrap().is_some());
        let code = workstations.make_code(&acting, &desk("desk-1")).await.unwrap();
        workstations.withdraw(&acting, &desk("desk-1")).await.unwrap();
        assert!(workstations.resume(&second).await.unwrap().is_none(), "withdrawn");
        assert!(matches!(workstations.redeem(&code, None).await, Err(WorkstationError::CodeSpent)), "with its code");
        assert!(workstations.resume(&other).await.unwrap().is_some(), "others stay");
        lay_out(&database, &["desk-1"]).await;
        assert!(workstations.resume(&other).await.unwrap().is_none(), "no workstation any more");
        let listed = workstations.list(&acting).await.unwrap();
        assert_eq!(listed.iter().map(|it| it.point.clone()).collect::<Vec<_>>(), [desk("desk-1")]);
        for unknown in ["door-1", "nowhere"] {
            let enrolled = workstations.enrol(&acting, &desk(unknown)).await;
            assert!(matches!(enrolled, Err(WorkstationError::Unknown)), "{unknown}");
        }
        for bad in ["", " ", "a\u{7}b", &"n".repeat(81)] {
            let renamed = workstations.rename(&acting, &desk("desk-1"), bad).await;
            assert!(matches!(renamed, Err(WorkstationError::BadName)), "{bad:?}");
        }
        workstations.rename(&acting, &desk("desk-1"), " Room 1 ").await.unwrap();
        assert_eq!(workstations.list(&acting).await.unwrap()[0].name, "Room 1");
        database.close().await;
    }
}
