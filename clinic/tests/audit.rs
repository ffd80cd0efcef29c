//! The audit log on both engines: entries get numbers without a gap whoever writes, the tables refuse change, and what
//! strangers are refused cannot flood it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests and what they share")]

use clinic::acting::Actor;
use clinic::audit::{Action, Draft, Outcome, flush_strangers, write};
use domain::UtcMillis;
use domain::audit::Peaks;
use store::{Database, read, transact};

const NOW: UtcMillis = UtcMillis(1_790_000_000_000);

fn draft(action: Action) -> Draft {
    Draft::new(NOW, Actor::Account("0a".repeat(16)), action)
}

/// Numbers, leaves and state as they are stored.
async fn stored(database: &Database) -> (Vec<i64>, Peaks, Peaks) {
    let rows: Vec<(i64, Vec<u8>)> = read!(database, "test.entries", |conn| {
        Ok(sqlx::query_as("SELECT no, leaf FROM audit_entry ORDER BY no").fetch_all(&mut *conn).await?)
    })
    .unwrap();
    let (size, peaks): (i64, String) = read!(database, "test.state", |conn| {
        Ok(sqlx::query_as("SELECT size, peaks FROM audit_state").fetch_one(&mut *conn).await?)
    })
    .unwrap();
    let mut grown = Peaks::default();
    for (_, leaf) in &rows {
        grown.append(domain::audit::TreeHash::from_slice(leaf).unwrap(), |_, _| {});
    }
    let state = Peaks::from_text(size.cast_unsigned(), &peaks).unwrap();
    (rows.iter().map(|(no, _)| *no).collect(), grown, state)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_four_writers_at_once_leave_numbers_without_a_gap() {
    let folder = tempfile::tempdir().unwrap();
    for database in store::testing::both(folder.path()).await {
        let writers = (0..64).map(|_| {
            let database = database.clone();
            tokio::spawn(async move {
                for _ in 0..4 {
                    write(&database, draft(Action::PersonSeen)).await.unwrap();
                }
            })
        });
        for writer in writers.collect::<Vec<_>>() {
            writer.await.unwrap();
        }
        let (numbers, grown, state) = stored(&database).await;
        assert_eq!(numbers, (1..=256).collect::<Vec<i64>>(), "{:?}", database.engine());
        assert_eq!(grown, state, "{:?}", database.engine());
    }
}

#[tokio::test]
async fn the_tables_refuse_change_and_removal_but_a_note_can_be_blotted_out() {
    let folder = tempfile::tempdir().unwrap();
    for database in store::testing::both(folder.path()).await {
        for note in [None, Some("why"), None, None] {
            let note = note.map(str::to_owned);
            write(&database, Draft { note, ..draft(Action::PersonSeen) }).await.unwrap();
        }
        for statement in [
            "DELETE FROM audit_entry WHERE no = 2",
            "UPDATE audit_entry SET action = 'x' WHERE no = 2",
            "UPDATE audit_entry SET note = 'another' WHERE no = 2",
            "UPDATE audit_entry SET no = 9 WHERE no = 2",
            "DELETE FROM audit_node",
            "UPDATE audit_node SET level = level + 1",
            "UPDATE audit_state SET size = 1",
            "DELETE FROM audit_state",
        ] {
            let outcome: Result<(), store::Error> = transact!(database, "test.change", |conn| {
                sqlx::query(statement).execute(&mut *conn).await?;
                Ok(())
            });
            let error = outcome.unwrap_err().to_string();
            assert!(error.contains("audit log"), "{statement}: {error}");
        }
        transact!(database, "test.blot", |conn| {
            sqlx::query("UPDATE audit_entry SET note = NULL, note_salt = NULL WHERE no = 2")
                .execute(&mut *conn)
                .await?;
            Ok(())
        })
        .unwrap();
    }
}

#[tokio::test]
async fn refusals_of_strangers_are_one_entry_a_minute_and_network_with_their_number() {
    let folder = tempfile::tempdir().unwrap();
    for database in store::testing::both(folder.path()).await {
        let refused = |at: i64, address: &str| Draft {
            outcome: Outcome::Refused,
            address: Some(address.to_owned()),
            ..Draft::new(NOW.plus_ms(at), Actor::Anybody, Action::Refused)
        };
        for second in 0..59 {
            write(&database, refused(second * 1000, "192.0.2.7")).await.unwrap();
        }
        write(&database, refused(1000, "192.0.2.8")).await.unwrap();
        write(&database, refused(61_000, "192.0.2.7")).await.unwrap();
        write(&database, refused(62_000, "192.0.2.7")).await.unwrap();
        flush_strangers(&database, NOW.plus_ms(63_000), true).await.unwrap();
        let told: Vec<(Option<String>, Option<String>)> = read!(database, "test.told", |conn| {
            Ok(sqlx::query_as("SELECT address, detail FROM audit_entry ORDER BY no").fetch_all(&mut *conn).await?)
        })
        .unwrap();
        let told: Vec<(&str, Option<&str>)> =
            told.iter().map(|(address, detail)| (address.as_deref().unwrap(), detail.as_deref())).collect();
        assert_eq!(
            told,
            [("192.0.2.7", None), ("192.0.2.8", None), ("192.0.2.7", Some("times=58")), ("192.0.2.7", Some("times=1")),]
        );
    }
}
