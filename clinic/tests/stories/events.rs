//! Search answers what was asked, page by page, and an unreadable row is named.

use clinic::Database;
use clinic::events::{self, Filter, Position};
use clinic::ingest::ingest;
use domain::{Direction, Draft, Kind, Reason};
use store::testing::both;
use store::{Fault, transact};

use crate::{NOW, card, entry, passed, person, point};

async fn fill(database: &Database) {
    let refused = |seconds, who, reason| Draft {
        kind: Kind::Refused,
        reason: Some(reason),
        ..passed(seconds, who, "door-1", Direction::In)
    };
    let facts = [
        passed(0, 1, "turnstile-1", Direction::In),
        passed(1, 2, "turnstile-1", Direction::In),
        refused(2, 1, Reason::NoRule),
        refused(3, 2, Reason::Blocked),
        Draft::new(NOW.plus_ms(3000), Kind::Started),
        passed(4, 1, "turnstile-1", Direction::Out),
        passed(2, 9, "turnstile_2", Direction::In),
    ];
    let batch = facts.into_iter().zip(1..).map(|(fact, seq)| entry("gw-1", seq, fact)).collect();
    ingest(database, batch, NOW).await.unwrap();
}

async fn ids(database: &Database, filter: &Filter) -> Vec<u64> {
    events::search(database, filter, None, 100).await.unwrap().events.iter().map(|event| event.id).collect()
}

#[tokio::test]
async fn each_filter_narrows_and_the_latest_comes_first() {
    let folder = tempfile::tempdir().unwrap();
    for database in both(folder.path()).await {
        fill(&database).await;
        let all = Filter::default();
        assert_eq!(ids(&database, &all).await, [6, 5, 4, 7, 3, 2, 1], "{database:?}");
        let cases = [
            (Filter { point: Some(point("door-1")), ..all.clone() }, vec![4, 3]),
            (Filter { person: Some(person(1)), ..all.clone() }, vec![6, 3, 1]),
            (Filter { card: Some(card(2)), ..all.clone() }, vec![4, 2]),
            (Filter { kinds: vec![Kind::Refused, Kind::Started], ..all.clone() }, vec![5, 4, 3]),
            (Filter { reasons: vec![Reason::Blocked], ..all.clone() }, vec![4]),
            (Filter { from: Some(NOW.plus_ms(1000)), until: Some(NOW.plus_ms(3000)), ..all.clone() }, vec![7, 3, 2]),
            (Filter { text: Some("DOOR".into()), ..all.clone() }, vec![4, 3]),
            (Filter { text: Some("1-out".into()), ..all.clone() }, vec![6]),
            (Filter { text: Some("_".into()), ..all.clone() }, vec![7]),
            (Filter { text: Some("%".into()), ..all.clone() }, vec![]),
            (Filter { text: Some("'; DROP TABLE event; --".into()), ..all.clone() }, vec![]),
            (Filter { person: Some(person(1)), kinds: vec![Kind::Passed], ..all.clone() }, vec![6, 1]),
        ];
        for (filter, expected) in cases {
            assert_eq!(ids(&database, &filter).await, expected, "{database:?} {filter:?}");
        }
    }
}

#[tokio::test]
async fn pages_put_together_are_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    for database in both(folder.path()).await {
        fill(&database).await;
        let mut behind: Option<Position> = None;
        let mut seen = Vec::new();
        loop {
            let page = events::search(&database, &Filter::default(), behind, 2).await.unwrap();
            assert!(page.events.len() <= 2);
            seen.extend(page.events.iter().map(|event| event.id));
            behind = page.next;
            if behind.is_none() {
                break;
            }
        }
        assert_eq!(seen, [6, 5, 4, 7, 3, 2, 1]);
        assert_eq!(events::get(&database, 5).await.unwrap().unwrap().entry.fact.kind, Kind::Started);
        assert_eq!(events::get(&database, 99).await.unwrap(), None);
        let counts = events::counts_since(&database, NOW.plus_ms(1000)).await.unwrap();
        let counts: Vec<_> = counts.iter().map(|it| (it.point.as_str(), it.kind, it.count)).collect();
        assert_eq!(
            counts,
            [("door-1", Kind::Refused, 2), ("turnstile-1", Kind::Passed, 2), ("turnstile_2", Kind::Passed, 1)]
        );
    }
}

#[tokio::test]
async fn a_row_that_cannot_be_read_names_table_and_column() {
    let folder = tempfile::tempdir().unwrap();
    for database in both(folder.path()).await {
        fill(&database).await;
        transact!(database, "test.damage", |conn| {
            sqlx::query("UPDATE event SET person = 'Ivan' WHERE id = 1").execute(&mut *conn).await?;
            Ok(())
        })
        .unwrap();
        let error = events::after(&database, 0, 10).await.unwrap_err();
        assert!(matches!(error.fault(), Fault::BadRow { table: "event", column: "person", .. }), "{error}");
        assert!(!error.to_string().contains("Ivan"), "{error}");
    }
}
