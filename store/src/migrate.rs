//! Bringing a database to this program's version. Owns the list of migrations; their text stands in `/migrations`,
//! is written once for both engines and is never changed after it has been published: add a file instead.
//!
//! Two liberties are taken with the text. On SQLite `BIGINT PRIMARY KEY` becomes `INTEGER PRIMARY KEY`, which makes the
//! column the row's own number there instead of a second index. And what the engines cannot say alike (triggers)
//! stands twice at the end of a file, behind the lines `-- On SQLite:` and `-- On PostgreSQL:`.

use std::borrow::Cow;

use sqlx::AssertSqlSafe;
use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};

use crate::{Database, Engine, Error, Pools};

/// Number, name and text of each file in `/migrations`, in order. A test compares this list with the folder.
pub const FILES: &[(i64, &str, &str)] = &[
    (1, "clinic", include_str!("../../migrations/0001_clinic.sql")),
    (2, "accounts", include_str!("../../migrations/0002_accounts.sql")),
    (3, "commands", include_str!("../../migrations/0003_commands.sql")),
    (4, "numbers", include_str!("../../migrations/0004_numbers.sql")),
    (5, "peers", include_str!("../../migrations/0005_peers.sql")),
    (6, "audit", include_str!("../../migrations/0006_audit.sql")),
    (7, "roles", include_str!("../../migrations/0007_roles.sql")),
    (8, "vault", include_str!("../../migrations/0008_vault.sql")),
    (9, "factors_and_notices", include_str!("../../migrations/0009_factors_and_notices.sql")),
    (10, "privacy", include_str!("../../migrations/0010_privacy.sql")),
    (11, "api_keys", include_str!("../../migrations/0011_api_keys.sql")),
    (12, "local_keys", include_str!("../../migrations/0012_local_keys.sql")),
    (13, "form_secrets", include_str!("../../migrations/0013_form_secrets.sql")),
    (14, "desk", include_str!("../../migrations/0014_desk.sql")),
    (15, "desk_factors", include_str!("../../migrations/0015_desk_factors.sql")),
    (16, "visits", include_str!("../../migrations/0016_visits.sql")),
    (17, "openid", include_str!("../../migrations/0017_openid.sql")),
    (18, "fhircast", include_str!("../../migrations/0018_fhircast.sql")),
    (19, "outbox", include_str!("../../migrations/0019_outbox.sql")),
    (20, "hl7", include_str!("../../migrations/0020_hl7.sql")),
    (21, "feeds", include_str!("../../migrations/0021_feeds.sql")),
    (22, "enrolment", include_str!("../../migrations/0022_enrolment.sql")),
    (23, "till", include_str!("../../migrations/0023_till.sql")),
];

/// Applies what is missing. Several programs may start at once: on PostgreSQL they take turns by an advisory lock, on
/// SQLite by the write lock.
///
/// # Errors
/// [`crate::Fault::NewerSchema`] when the database has migrations that this program does not know.
pub async fn run(database: &Database) -> Result<(), Error> {
    let migrator = migrator(database.engine());
    match database.pools() {
        Pools::Sqlite(pools) => {
            // Two processes that both see an empty file collide on the first table; the second then finds it done.
            let mut attempt = 0;
            loop {
                attempt += 1;
                match migrator.run(&pools.writer).await.map_err(Error::from) {
                    Err(error) if crate::backoff(&error, attempt).await => {}
                    done => break done,
                }
            }
        }
        #[cfg(feature = "postgres")]
        Pools::Postgres(pool) => Ok(migrator.run(pool).await?),
    }
}

fn migrator(engine: Engine) -> Migrator {
    let migrations = FILES
        .iter()
        .map(|(version, name, text)| {
            let text = match engine {
                Engine::Sqlite => of_engine(text, engine).replace("BIGINT PRIMARY KEY", "INTEGER PRIMARY KEY"),
                Engine::Postgres => of_engine(text, engine),
            };
            // Our own embedded text, no input in it.
            let sql = AssertSqlSafe(text).into_sql_str();
            Migration::new(*version, Cow::Borrowed(*name), MigrationType::Simple, sql, false)
        })
        .collect();
    Migrator::with_migrations(migrations)
}

/// The text without the part that is for the other engine.
fn of_engine(text: &str, engine: Engine) -> String {
    let mut part = None;
    let mut kept = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        match line.trim_end() {
            "-- On SQLite:" => part = Some(Engine::Sqlite),
            "-- On PostgreSQL:" => part = Some(Engine::Postgres),
            _ if part.is_none_or(|part| part == engine) => kept.push_str(line),
            _ => {}
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_engine_gets_the_common_part_and_its_own() {
        let text = "common;\n-- On SQLite:\nlite;\n-- On PostgreSQL:\nserver;\n";
        assert_eq!(of_engine(text, Engine::Sqlite), "common;\nlite;\n");
        assert_eq!(of_engine(text, Engine::Postgres), "common;\nserver;\n");
    }
}
