//! The migrations: listed as they stand in the folder, each with a reason, the same tables on both engines, and the
//! schema that they make as it is recorded in `migrations/schema.txt`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests and what they share")]

use std::collections::BTreeSet;
use std::path::Path;

use store::{migrate, read};

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations")
}

#[test]
fn every_file_of_the_folder_is_in_the_list_with_its_reason() {
    let listed: BTreeSet<String> =
        migrate::FILES.iter().map(|(number, name, _)| format!("{number:04}_{name}.sql")).collect();
    let found: BTreeSet<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".sql"))
        .collect();
    assert!(!found.is_empty(), "the folder was looked at");
    assert_eq!(listed, found);
    let numbers: Vec<i64> = migrate::FILES.iter().map(|(number, ..)| *number).collect();
    assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "in order");
    for (_, name, text) in migrate::FILES {
        assert!(text.starts_with("-- Why: "), "{name} begins with its reason");
    }
}

/// To record an intended change: `UPDATE_SCHEMA=1 cargo test -p store --test schema`.
#[tokio::test]
async fn the_schema_is_the_recorded_one() {
    let temporary = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", temporary.path().join("clinic.db").display());
    let database = store::Database::open(&url).await.unwrap();
    let statements: Vec<String> = read!(database, "test.schema", |conn| {
        Ok(sqlx::query_scalar(
            "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE '\\_%' ESCAPE '\\' ORDER BY name",
        )
        .fetch_all(&mut *conn)
        .await?)
    })
    .unwrap();
    let found = statements.join(";\n\n") + ";\n";
    let file = folder().join("schema.txt");
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(&file, &found).unwrap();
    }
    let recorded = std::fs::read_to_string(&file).unwrap();
    assert_eq!(recorded, found, "record an intended change with UPDATE_SCHEMA=1");
}

#[tokio::test]
async fn both_engines_have_the_same_columns() {
    let temporary = tempfile::tempdir().unwrap();
    let mut seen = Vec::new();
    for database in store::testing::both(temporary.path()).await {
        let columns: Vec<(String, String)> = match database.engine() {
            store::Engine::Sqlite => read!(database, "test.columns", |conn| {
                Ok(sqlx::query_as(
                    "SELECT t.name, c.name FROM sqlite_schema t, pragma_table_info(t.name) c
                     WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%' AND t.name <> '_sqlx_migrations'
                     ORDER BY 1, 2",
                )
                .fetch_all(&mut *conn)
                .await?)
            }),
            store::Engine::Postgres => read!(database, "test.columns", |conn| {
                Ok(sqlx::query_as(
                    "SELECT table_name::text, column_name::text FROM information_schema.columns
                     WHERE table_schema = 'public' AND table_name <> '_sqlx_migrations'
                     ORDER BY table_name::text COLLATE \"C\", column_name::text COLLATE \"C\"",
                )
                .fetch_all(&mut *conn)
                .await?)
            }),
        }
        .unwrap();
        assert!(columns.len() > 50);
        seen.push(columns);
    }
    assert_eq!(seen[0], seen[1]);
}
