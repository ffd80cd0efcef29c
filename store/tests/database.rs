//! What a database promises its callers, whichever engine.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests and what they share")]

use store::{Database, Engine, Fault, read, transact};

async fn sqlite(folder: &tempfile::TempDir) -> Database {
    Database::open(&format!("sqlite:{}", folder.path().join("clinic.db").display())).await.unwrap()
}

async fn with_table(database: &Database) {
    transact!(database, "test.table", |conn| {
        sqlx::query("CREATE TABLE note (id BIGINT PRIMARY KEY, text TEXT NOT NULL)").execute(&mut *conn).await?;
        Ok(())
    })
    .unwrap();
}

async fn count(database: &Database) -> i64 {
    read!(database, "test.count", |conn| {
        Ok(sqlx::query_scalar("SELECT COUNT(*) FROM note").fetch_one(&mut *conn).await?)
    })
    .unwrap()
}

#[tokio::test]
async fn a_body_runs_on_the_engine_and_its_rows_are_seen_by_readers() {
    let folder = tempfile::tempdir().unwrap();
    let database = sqlite(&folder).await;
    assert_eq!(database.engine(), Engine::Sqlite);
    with_table(&database).await;
    let texts = ["a".to_owned(), "b".to_owned()];
    let added: u64 = transact!(database, "test.add", |conn| {
        let mut rows = sqlx::QueryBuilder::<Db>::new("INSERT INTO note (id, text) ");
        rows.push_values(texts.iter().zip(1_i64..), |mut row, (text, id)| {
            row.push_bind(id).push_bind(text.clone());
        });
        Ok(rows.build().execute(&mut *conn).await?.rows_affected())
    })
    .unwrap();
    assert_eq!((added, count(&database).await), (2, 2));
}

#[tokio::test]
async fn a_failed_body_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let database = sqlite(&folder).await;
    with_table(&database).await;
    let outcome: Result<(), store::Error> = transact!(database, "note.add", |conn| {
        sqlx::query("INSERT INTO note VALUES (1, 'x')").execute(&mut *conn).await?;
        sqlx::query("INSERT INTO note VALUES (1, 'y')").execute(&mut *conn).await?;
        Ok(())
    });
    let error = outcome.unwrap_err();
    assert!(matches!(error.fault(), Fault::Conflict(_)), "{error}");
    assert!(error.to_string().starts_with("note.add: "), "{error}");
    assert_eq!(count(&database).await, 0);
}

#[tokio::test]
async fn a_caller_that_goes_away_does_not_stop_a_transaction() {
    let folder = tempfile::tempdir().unwrap();
    let database = sqlite(&folder).await;
    with_table(&database).await;
    let (entered, seen) = tokio::sync::oneshot::channel();
    let entered = std::sync::Mutex::new(Some(entered));
    let (go, wait) = tokio::sync::watch::channel(false);
    let writer = database.clone();
    let caller = tokio::spawn(async move {
        transact!(writer, "test.slow", |conn| {
            sqlx::query("INSERT INTO note VALUES (1, 'x')").execute(&mut *conn).await?;
            if let Some(entered) = entered.lock().unwrap().take() {
                entered.send(()).unwrap();
            }
            wait.clone().wait_for(|go| *go).await.unwrap();
            sqlx::query("INSERT INTO note VALUES (2, 'y')").execute(&mut *conn).await?;
            Ok(())
        })
    });
    seen.await.unwrap();
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    go.send(true).unwrap();
    // The one writer is free again only when the abandoned transaction has ended.
    transact!(database, "test.after", |conn| {
        sqlx::query("INSERT INTO note VALUES (3, 'z')").execute(&mut *conn).await?;
        Ok(())
    })
    .unwrap();
    assert_eq!(count(&database).await, 3);
}

#[tokio::test]
async fn durability_settings_are_in_force_on_the_writer() {
    let folder = tempfile::tempdir().unwrap();
    let database = sqlite(&folder).await;
    for (pragma, expected) in [("synchronous", 2_i64), ("foreign_keys", 1), ("secure_delete", 1)] {
        let found: i64 = transact!(database, "test.pragma", |conn| {
            let found: i64 = match pragma {
                "synchronous" => sqlx::query_scalar("PRAGMA synchronous").fetch_one(&mut *conn).await?,
                "foreign_keys" => sqlx::query_scalar("PRAGMA foreign_keys").fetch_one(&mut *conn).await?,
                _ => sqlx::query_scalar("PRAGMA secure_delete").fetch_one(&mut *conn).await?,
            };
            Ok(found)
        })
        .unwrap();
        assert_eq!(found, expected, "{pragma}");
    }
}

#[tokio::test]
async fn readers_cannot_write() {
    let folder = tempfile::tempdir().unwrap();
    let database = sqlite(&folder).await;
    with_table(&database).await;
    let outcome = read!(database, "test.sneak", |conn| {
        sqlx::query("INSERT INTO note VALUES (1, 'x')").execute(&mut *conn).await?;
        Ok(())
    });
    assert_eq!(*outcome.unwrap_err().fault(), Fault::ReadOnly);
}

#[tokio::test]
async fn a_wrong_address_or_file_is_named_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("notes.txt");
    std::fs::write(&text, "this is certainly not a database, it is a shopping list of more than sixteen bytes")
        .unwrap();
    for (url, fault) in [
        ("mysql://x".to_owned(), None),
        ("sqlite:".to_owned(), None),
        (format!("sqlite:{}", text.display()), Some(Fault::NotADatabase)),
        (format!("sqlite:{}", folder.path().display()), Some(Fault::NotADatabase)),
        (format!("sqlite:{}/no/such/folder.db", folder.path().display()), Some(Fault::CannotOpen)),
        ("postgres://u:hunter2@127.0.0.1:1/x".to_owned(), Some(Fault::Unavailable)),
    ] {
        let error = Database::open(&url).await.unwrap_err();
        match fault {
            Some(fault) => assert_eq!(*error.fault(), fault, "{url}: {error}"),
            None => assert!(matches!(error.fault(), Fault::BadUrl(_)), "{url}: {error}"),
        }
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}

#[tokio::test]
async fn a_database_of_a_newer_program_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let database = sqlite(&folder).await;
    transact!(database, "test.future", |conn| {
        sqlx::query(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
             VALUES (9999, 'future', TRUE, x'00', 0)",
        )
        .execute(&mut *conn)
        .await?;
        Ok(())
    })
    .unwrap();
    database.close().await;
    let url = format!("sqlite:{}", folder.path().join("clinic.db").display());
    let error = Database::open(&url).await.unwrap_err();
    assert_eq!(*error.fault(), Fault::NewerSchema(9999), "{error}");
    assert!(error.to_string().contains("newer version"), "{error}");
}

#[tokio::test]
async fn both_engines_give_the_same_answers_to_the_same_text() {
    let folder = tempfile::tempdir().unwrap();
    for database in store::testing::both(folder.path()).await {
        with_table(&database).await;
        let mut ids = Vec::new();
        for text in ["a", "b"] {
            let id: i64 = transact!(database, "test.counter", |conn| {
                let id: i64 =
                    sqlx::query_scalar("UPDATE counter SET value = value + 1 WHERE name = 'event' RETURNING value")
                        .fetch_one(&mut *conn)
                        .await?;
                sqlx::query("INSERT INTO note (id, text) VALUES ($1, $2)")
                    .bind(id)
                    .bind(text)
                    .execute(&mut *conn)
                    .await?;
                Ok(id)
            })
            .unwrap();
            ids.push(id);
        }
        assert_eq!((ids, count(&database).await), (vec![1, 2], 2), "{database:?}");
    }
}

#[tokio::test]
async fn colliding_transactions_are_run_again_until_each_has_counted() {
    let folder = tempfile::tempdir().unwrap();
    for database in store::testing::both(folder.path()).await {
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let database = database.clone();
                tokio::spawn(async move {
                    for _ in 0..10 {
                        // Read, then write what was read: lost updates show.
                        transact!(database, "test.count_up", |conn| {
                            let value: i64 = sqlx::query_scalar("SELECT value FROM counter WHERE name = 'event'")
                                .fetch_one(&mut *conn)
                                .await?;
                            sqlx::query("UPDATE counter SET value = $1 WHERE name = 'event'")
                                .bind(value + 1)
                                .execute(&mut *conn)
                                .await?;
                            Ok(())
                        })
                        .unwrap();
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        let value: i64 = read!(database, "test.value", |conn| {
            Ok(sqlx::query_scalar("SELECT value FROM counter WHERE name = 'event'").fetch_one(&mut *conn).await?)
        })
        .unwrap();
        assert_eq!(value, 80, "{database:?}");
    }
}

#[tokio::test]
async fn a_transaction_left_open_unnoticed_does_not_reach_the_next_borrower() {
    let folder = tempfile::tempdir().unwrap();
    let [_, database] = store::testing::both(folder.path()).await;
    with_table(&database).await;
    // What a `BEGIN` whose caller went away leaves behind: the driver does not know of it.
    read!(database, "test.leak", |conn| {
        sqlx::raw_sql("BEGIN; INSERT INTO note VALUES (1, 'x')").execute(&mut *conn).await?;
        Ok(())
    })
    .unwrap();
    for _ in 0..20 {
        assert_eq!(count(&database).await, 0);
        let open: bool = read!(database, "test.state", |conn| {
            Ok(sqlx::query_scalar("SELECT pg_current_xact_id_if_assigned() IS NOT NULL").fetch_one(&mut *conn).await?)
        })
        .unwrap();
        assert!(!open, "the borrowed connection is inside somebody's transaction");
    }
}
