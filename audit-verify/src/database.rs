//! Reading the log out of the database: one consistent view, never a write. The program may go on writing meanwhile.

use std::path::Path;
#[cfg(feature = "postgres")]
use std::str::FromStr;
use std::time::Duration;

use domain::UtcMillis;
use domain::audit::{Entry, Peaks, TreeHash};
use sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sqlx::{ColumnIndex, ConnectOptions, Connection, Decode, Row, Type};
use store::Fault as StoreFault;

use crate::checker::{Checker, Stored, StoredHead};
use crate::{Error, Published, Report};

/// Entries read at once.
const BLOCK: i64 = 5000;
/// Rows outside the log that are told one by one.
const STRAY_MAX: i64 = 1000;
/// How long SQLite waits for another program's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// Checks the log in a database: `sqlite:PATH` or `postgres://…`.
///
/// # Errors
/// [`Error::Database`] when it cannot be opened or has no audit log.
pub async fn verify_database(url: &str, published: Published) -> Result<Report, Error> {
    if let Some(path) = url.strip_prefix("sqlite:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        let mut connection = open_sqlite(Path::new(path)).await?;
        // A view of one instant, whoever writes meanwhile.
        sqlx::query("BEGIN").execute(&mut connection).await?;
        let report = check_sqlite(&mut connection, published).await;
        connection.close().await?;
        return report;
    }
    #[cfg(feature = "postgres")]
    if url.starts_with("postgres:") || url.starts_with("postgresql:") {
        use sqlx::postgres::PgConnectOptions;
        let options = PgConnectOptions::from_str(url).map_err(|_| bad_url("this is not a PostgreSQL address"))?;
        let mut connection = options
            .application_name("tapward-audit")
            .options([("default_transaction_read_only", "on")])
            .disable_statement_logging()
            .connect()
            .await?;
        sqlx::query("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY").execute(&mut connection).await?;
        let report = check_postgres(&mut connection, published).await;
        connection.close().await?;
        return report;
    }
    Err(bad_url("this is no kind of database").into())
}

fn bad_url(problem: &str) -> store::Error {
    store::Error::new("opening the database", StoreFault::BadUrl(problem.to_owned()))
}

async fn open_sqlite(path: &Path) -> Result<sqlx::SqliteConnection, Error> {
    if !path.is_file() {
        return Err(store::Error::new(format!("opening {}", path.display()), StoreFault::CannotOpen).into());
    }
    let options = SqliteConnectOptions::new()
        .filename(path)
        .read_only(true)
        .busy_timeout(BUSY_TIMEOUT)
        .pragma("cache_size", "-32768")
        .disable_statement_logging();
    let opened = match options.connect().await {
        Ok(mut connection) => {
            sqlx::query("SELECT COUNT(*) FROM sqlite_schema").fetch_one(&mut connection).await.map(|_| connection)
        }
        Err(error) => Err(error),
    };
    match opened {
        Ok(connection) => Ok(connection),
        // A copy on a medium that cannot be written: there is no other program then.
        Err(_) => Ok(options.immutable(true).connect().await?),
    }
}

/// One column; what cannot be read is told by name.
fn column<'r, R, T>(row: &'r R, name: &'static str) -> Result<T, String>
where
    R: Row,
    &'static str: ColumnIndex<R>,
    T: Decode<'r, R::Database> + Type<R::Database>,
{
    row.try_get(name).map_err(|_| format!("its column {name} cannot be read"))
}

macro_rules! stored_from {
    ($name:ident, $row:ty) => {
        fn $name(row: &$row) -> Result<Stored, sqlx::Error> {
            let no: i64 = row.try_get("no")?;
            let hash = |name| -> Result<Option<TreeHash>, String> {
                let bytes: Option<Vec<u8>> = column(row, name)?;
                let read =
                    |bytes: Vec<u8>| TreeHash::from_slice(&bytes).ok_or(format!("its column {name} is not a hash"));
                bytes.map(read).transpose()
            };
            let entry = || -> Result<Entry, String> {
                Ok(Entry {
                    no: no.cast_unsigned(),
                    at: UtcMillis(column(row, "at_ms")?),
                    actor_kind: column(row, "actor_kind")?,
                    actor: column(row, "actor")?,
                    session: column(row, "session")?,
                    address: column(row, "address")?,
                    action: column(row, "action")?,
                    outcome: column(row, "outcome")?,
                    subject: column(row, "subject")?,
                    object: column(row, "object")?,
                    fields: column(row, "fields")?,
                    purpose: column(row, "purpose")?,
                    detail: column(row, "detail")?,
                    note_hash: hash("note_hash")?,
                    glass: column(row, "glass")?,
                })
            };
            let (note, salt) = (column(row, "note"), column(row, "note_salt"));
            let entry = match (entry(), &note, &salt) {
                (Ok(_), Err(problem), _) | (Ok(_), _, Err(problem)) => Err(problem.clone()),
                (entry, ..) => entry,
            };
            Ok(Stored {
                no,
                entry,
                note: note.ok().flatten(),
                salt: salt.ok().flatten(),
                leaf: hash("leaf").ok().flatten(),
            })
        }
    };
}

macro_rules! check_on {
    ($name:ident, $stored:ident, $connection:ty) => {
        async fn $name(conn: &mut $connection, published: Published) -> Result<Report, Error> {
            let states =
                sqlx::query("SELECT id, size, peaks FROM audit_state ORDER BY id").fetch_all(&mut *conn).await?;
            let one = match states.as_slice() {
                [one] => Ok(one),
                rows => Err(format!("the state of the log has {} rows instead of one", rows.len())),
            };
            let state = one.and_then(|row| {
                let (size, peaks): (i64, String) = (column(row, "size")?, column(row, "peaks")?);
                let id: i64 = column(row, "id")?;
                let size = u64::try_from(size).map_err(|_| format!("the stored size is {size}"))?;
                let read = Peaks::from_text(size, &peaks).filter(|_| id == 1);
                read.ok_or_else(|| format!("the stored peaks are not those of a log of {size} entries"))
            });
            let raw: Option<i64> = states.first().and_then(|row| row.try_get("size").ok());
            let size = raw.and_then(|size| u64::try_from(size).ok()).unwrap_or(0);
            let mut checker = Checker::new(published, Some(size));
            let mut last = 0_i64;
            loop {
                let rows = sqlx::query(
                    "SELECT no, at_ms, actor_kind, actor, session, address, action, outcome, subject, object, fields,
                            purpose, detail, note, note_salt, note_hash, glass, leaf
                     FROM audit_entry WHERE no > $1 AND no <= $2 ORDER BY no LIMIT $3",
                )
                .bind(last)
                .bind(size.cast_signed())
                .bind(BLOCK)
                .fetch_all(&mut *conn)
                .await?;
                let Some(end) = rows.last() else { break };
                let end: i64 = end.try_get("no")?;
                let heads = sqlx::query(
                    "SELECT no, size, at_ms, line FROM audit_head WHERE size > $1 AND size <= $2 ORDER BY no, size",
                )
                .bind(last)
                .bind(end)
                .fetch_all(&mut *conn)
                .await?;
                checker.own_heads(
                    heads
                        .iter()
                        .map(|row| StoredHead {
                            no: row.try_get("no").unwrap_or_default(),
                            size: row.try_get("size").unwrap_or_default(),
                            at_ms: row.try_get("at_ms").unwrap_or_default(),
                            line: row.try_get("line").unwrap_or_default(),
                        })
                        .collect(),
                );
                for row in &rows {
                    checker.entry(&$stored(row)?);
                }
                let nodes = sqlx::query(
                    "SELECT upto, level, hash FROM audit_node WHERE upto > $1 AND upto <= $2 ORDER BY upto, level",
                )
                .bind(last)
                .bind(end)
                .fetch_all(&mut *conn)
                .await?;
                let hash = |row| column::<_, Option<Vec<u8>>>(row, "hash").ok().flatten();
                let nodes: Vec<(i64, i64, Option<TreeHash>)> = nodes
                    .iter()
                    .map(|row| {
                        let hash = hash(row).as_deref().and_then(TreeHash::from_slice);
                        (row.try_get("upto").unwrap_or_default(), row.try_get("level").unwrap_or(-1), hash)
                    })
                    .collect();
                checker.nodes(&nodes);
                last = end;
                if checker.gave_up() {
                    break;
                }
            }
            // What lies outside the log that the state tells of.
            let stray: Vec<i64> =
                sqlx::query_scalar("SELECT no FROM audit_entry WHERE no < 1 OR no > $1 ORDER BY no LIMIT $2")
                    .bind(size.cast_signed())
                    .bind(STRAY_MAX)
                    .fetch_all(&mut *conn)
                    .await?;
            for no in stray {
                checker.stray_entry(no);
            }
            let stray: Vec<(i64, i64)> =
                sqlx::query_as("SELECT upto, level FROM audit_node WHERE upto < 1 OR upto > $1 ORDER BY 1, 2 LIMIT $2")
                    .bind(last)
                    .bind(STRAY_MAX)
                    .fetch_all(&mut *conn)
                    .await?;
            for (upto, level) in stray {
                checker.stray_node(upto, level);
            }
            let stray: Vec<i64> =
                sqlx::query_scalar("SELECT no FROM audit_head WHERE size < 1 OR size > $1 ORDER BY no LIMIT $2")
                    .bind(last)
                    .bind(STRAY_MAX)
                    .fetch_all(&mut *conn)
                    .await?;
            for no in stray {
                checker.stray_head(no);
            }
            Ok(checker.finish(Some(state)))
        }
    };
}

stored_from!(stored_sqlite, SqliteRow);
check_on!(check_sqlite, stored_sqlite, sqlx::SqliteConnection);
#[cfg(feature = "postgres")]
stored_from!(stored_postgres, sqlx::postgres::PgRow);
#[cfg(feature = "postgres")]
check_on!(check_postgres, stored_postgres, sqlx::PgConnection);
