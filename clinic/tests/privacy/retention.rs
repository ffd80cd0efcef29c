//! Terms of keeping: exactly at the boundary, dry before wet, nothing of a person under a hold.

use clinic::Database;
use clinic::retention::{self, Class, Cleared, Terms};
use domain::{Shipped, UtcMillis};
use store::testing::both;

use crate::{DAY, NOW, acting, log, officer, person, register};

async fn event(database: &Database, id: i64, at: UtcMillis, who: u8) {
    store::transact!(database, "test.event", |conn| {
        sqlx::query(
            "INSERT INTO event (id, journal, seq, received_ms, at_ms, kind, person) VALUES ($1, 1, $1, $2, $2, 'passed', $3)",
        )
        .bind(id)
        .bind(at.0)
        .bind(person(who).to_string())
        .execute(&mut *conn)
        .await?;
        Ok(())
    })
    .unwrap();
}

async fn journal(database: &Database) {
    store::transact!(database, "test.journal", |conn| {
        sqlx::query("INSERT INTO journal (no, gateway, epoch, last_seq) VALUES (1, 'g', 'e', 0)")
            .execute(&mut *conn)
            .await?;
        Ok(())
    })
    .unwrap();
}

fn rows(all: &[Cleared], class: Class) -> u64 {
    all.iter().find(|line| line.class == class).map_or(0, |line| line.rows)
}

#[tokio::test]
async fn events_go_when_their_term_is_over_and_not_a_millisecond_before() {
    let folder = tempfile::tempdir().unwrap();
    let terms = Terms { events: Some(30), ..Terms::default() };
    for database in both(folder.path()).await {
        journal(&database).await;
        let edge = NOW.plus_ms(-30 * DAY);
        for (id, at) in [(1, edge.plus_ms(-1)), (2, edge), (3, NOW)] {
            event(&database, id, at, 1).await;
        }
        let dry = retention::dry_run(&database, &officer(), &terms, NOW).await.unwrap();
        assert_eq!(rows(&dry, Class::Events), 1);
        assert_eq!(
            rows(&retention::dry_run(&database, &officer(), &terms, NOW).await.unwrap(), Class::Events),
            1,
            "dry"
        );
        assert!(log(&database).await.is_empty());
        let done = retention::run(&database, &officer(), &terms, NOW).await.unwrap();
        assert_eq!(rows(&done, Class::Events), 1);
        let again = retention::run(&database, &officer(), &terms, NOW).await.unwrap();
        assert_eq!(rows(&again, Class::Events), 0);
        let entries = log(&database).await;
        assert_eq!(entries.len(), 1, "only what removed something is an entry");
        assert_eq!((entries[0].0.as_str(), entries[0].2.as_deref()), ("data_expired", Some("retention/events")));
        let after = retention::dry_run(&database, &officer(), &terms, NOW.plus_ms(1)).await.unwrap();
        assert_eq!(rows(&after, Class::Events), 1, "the next millisecond the second one's term is over");
        assert_eq!(after.iter().find(|line| line.class == Class::Events).unwrap().last, Some(NOW));
    }
}

#[tokio::test]
async fn events_are_kept_for_ever_unless_the_clinic_sets_a_term_and_under_a_hold_in_any_case() {
    let folder = tempfile::tempdir().unwrap();
    for database in both(folder.path()).await {
        journal(&database).await;
        register(&database, 2, None).await;
        event(&database, 1, UtcMillis(0), 1).await;
        event(&database, 2, UtcMillis(0), 2).await;
        let kept = retention::run(&database, &officer(), &Terms::default(), NOW).await.unwrap();
        assert_eq!(rows(&kept, Class::Events), 0);
        let ground = "Criminal case, order of the court";
        clinic::requests::hold(&database, &officer(), person(2), ground, None, NOW).await.unwrap();
        let terms = Terms { events: Some(1), ..Terms::default() };
        let cleared = retention::run(&database, &officer(), &terms, NOW).await.unwrap();
        assert_eq!(rows(&cleared, Class::Events), 1, "the held person's event stays");
    }
}

#[tokio::test]
async fn more_rows_than_one_transaction_takes_are_all_removed() {
    let folder = tempfile::tempdir().unwrap();
    for database in both(folder.path()).await {
        store::transact!(database, "test.many", |conn| {
            for some in 0..13 {
                let mut insert = sqlx::QueryBuilder::<Db>::new(
                    "INSERT INTO account_throttle (subject, failures, last_at, open_at) ",
                );
                insert.push_values(0..1000, |mut row, n| {
                    row.push_bind(format!("{some}-{n}")).push_bind(1_i64).push_bind(0_i64).push_bind(0_i64);
                });
                insert.build().execute(&mut *conn).await?;
            }
            Ok(())
        })
        .unwrap();
        let done = retention::run(&database, &officer(), &Terms::default(), NOW).await.unwrap();
        assert_eq!(rows(&done, Class::Throttle), 13_000);
    }
}

#[tokio::test]
async fn every_class_can_be_cleared_and_only_by_who_may() {
    let folder = tempfile::tempdir().unwrap();
    let all = Terms {
        sessions: Some(1),
        links: Some(1),
        throttle: Some(1),
        notices: Some(1),
        api_keys: Some(1),
        orders: Some(1),
        presence: Some(1),
        events: Some(1),
    };
    for database in both(folder.path()).await {
        let done = retention::run(&database, &officer(), &all, NOW).await.unwrap();
        assert_eq!(done.len(), Class::ALL.len(), "each statement is good on this engine");
        for role in [Shipped::Guard, Shipped::Manager, Shipped::Auditor, Shipped::Integrator] {
            assert!(retention::run(&database, &acting(role, '1'), &all, NOW).await.is_err(), "{role}");
            assert!(retention::dry_run(&database, &acting(role, '1'), &all, NOW).await.is_err(), "{role}");
        }
    }
}
