//! Opening an engine: pools, settings that the durability promises need, and the check that the engine is sound.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, SqlitePool};

use crate::error::{Error, Fault};

/// The oldest SQLite we trust: earlier ones can lose committed writes in WAL mode when two connections write and
/// checkpoint at once (<https://sqlite.org/wal.html#the_wal_reset_bug>).
pub const SQLITE_FLOOR: &str = "3.51.3";
/// Read connections of a SQLite database: pages and reports beside the one writer.
const SQLITE_READERS: u32 = 4;
/// Connections to PostgreSQL from one program; a server allows 100 by default and several programs share it.
#[cfg(feature = "postgres")]
const POSTGRES_CONNECTIONS: u32 = 12;
/// Page cache of the writing connection, in KiB (negative: that is how SQLite tells it from pages). Ids are random, so
/// a large import touches its indexes everywhere; with the default of 2 MB it reads and writes pages again and again.
const WRITER_CACHE: &str = "-65536";
/// Page cache of each reading connection, in KiB.
const READER_CACHE: &str = "-16384";
/// How long SQLite waits for another process's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a caller waits for a free connection (on SQLite: for the writers before it).
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(15);

/// Which engine serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// One file, one writer.
    Sqlite,
    /// A server that several programs share.
    Postgres,
}

/// The pools behind a [`Database`]; used by [`crate::read!`] and [`crate::transact!`].
#[doc(hidden)]
#[derive(Debug, Clone)]
pub enum Pools {
    /// See [`SqlitePools`].
    Sqlite(SqlitePools),
    /// All connections are alike.
    #[cfg(feature = "postgres")]
    Postgres(sqlx::PgPool),
}

/// SQLite has one writer at a time, so there is one connection that writes and writers queue for it in order, instead
/// of meeting at the file's lock.
#[doc(hidden)]
#[derive(Debug, Clone)]
pub struct SqlitePools {
    /// The one connection that writes.
    pub writer: SqlitePool,
    /// Connections that cannot write.
    pub readers: SqlitePool,
}

/// The clinic's database, on either engine. Cheap to clone.
#[derive(Clone)]
pub struct Database {
    pools: Arc<Pools>,
    /// Transactions that collided again and again run alone.
    turns: Arc<tokio::sync::RwLock<()>>,
}

impl Database {
    /// Opens `sqlite:PATH` (created if missing) or `postgres://user:password@host:port/name`, and brings its tables up
    /// to this program's version.
    ///
    /// # Errors
    /// [`Fault::BadUrl`], [`Fault::CannotOpen`], [`Fault::NotADatabase`], [`Fault::Corrupt`], [`Fault::ReadOnly`],
    /// [`Fault::NewerSchema`], [`Fault::Unavailable`] and the rest of [`Fault`]; the text names the file or server,
    /// never a password.
    pub async fn open(url: &str) -> Result<Self, Error> {
        let database = Self::connect(url).await?;
        crate::migrate::run(&database).await?;
        Ok(database)
    }

    /// As [`Database::open`], leaving the tables as they are.
    pub(crate) async fn connect(url: &str) -> Result<Self, Error> {
        let pools = if let Some(path) = url.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            let what = format!("opening {path}");
            Pools::Sqlite(open_sqlite(Path::new(path)).await.map_err(|error| error.during(what))?)
        } else if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            open_postgres(url).await?
        } else {
            let scheme = url.split(':').next().unwrap_or_default();
            let problem = format!("{scheme:?} is not a kind of database");
            return Err(Error::new("opening the database", Fault::BadUrl(problem)));
        };
        Ok(Self { pools: Arc::new(pools), turns: Arc::default() })
    }

    /// Which engine this is.
    pub fn engine(&self) -> Engine {
        match &*self.pools {
            Pools::Sqlite(_) => Engine::Sqlite,
            #[cfg(feature = "postgres")]
            Pools::Postgres(_) => Engine::Postgres,
        }
    }

    /// For the macros.
    #[doc(hidden)]
    pub fn pools(&self) -> &Pools {
        &self.pools
    }

    /// For the macros: what orders transactions that collide; `None` where one connection writes.
    pub(crate) fn turns(&self) -> Option<&tokio::sync::RwLock<()>> {
        match self.engine() {
            Engine::Sqlite => None,
            Engine::Postgres => Some(&self.turns),
        }
    }

    /// Leaves nothing of what was deleted behind: on SQLite the write-ahead log is folded into the file, whose free
    /// space is overwritten at each deletion, and emptied. On PostgreSQL deleted rows go with the server's own vacuum.
    /// A reader that is busy at that moment keeps the log for a little longer; then the next call empties it.
    ///
    /// # Errors
    /// Engine errors.
    pub async fn scrub(&self) -> Result<(), Error> {
        match &*self.pools {
            Pools::Sqlite(pools) => {
                let folded = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").fetch_all(&pools.writer).await;
                folded.map(drop).map_err(|error| Error::from(error).during("database.scrub"))
            }
            #[cfg(feature = "postgres")]
            Pools::Postgres(_) => Ok(()),
        }
    }

    /// Waits for running work and closes all connections; on SQLite the write-ahead log is folded into the file.
    pub async fn close(&self) {
        match &*self.pools {
            Pools::Sqlite(pools) => {
                pools.readers.close().await;
                pools.writer.close().await;
            }
            #[cfg(feature = "postgres")]
            Pools::Postgres(pool) => pool.close().await,
        }
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Database({:?})", self.engine())
    }
}

/// Settings common to every SQLite file of ours. FULL: in WAL mode a commit must survive a power cut, NORMAL may lose
/// the last ones.
pub(crate) fn sqlite_options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT)
        .foreign_keys(true)
        .pragma("secure_delete", "ON")
        .pragma("temp_store", "MEMORY")
        .disable_statement_logging()
}

async fn open_sqlite(path: &Path) -> Result<SqlitePools, Error> {
    if path.as_os_str().is_empty() || path == Path::new(":memory:") {
        return Err(Error::new("", Fault::BadUrl("a database in memory cannot be shared".to_owned())));
    }
    check_file(path)?;
    let writer = SqlitePoolOptions::new()
        .max_connections(1)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .connect_with(sqlite_options(path).pragma("cache_size", WRITER_CACHE))
        .await?;
    let version: String = sqlx::query_scalar("SELECT sqlite_version()").fetch_one(&writer).await?;
    if !is_sound(&version) {
        return Err(Error::new("", Fault::OldEngine(version)));
    }
    let readers = SqlitePoolOptions::new()
        .max_connections(SQLITE_READERS)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .max_lifetime(None)
        .test_before_acquire(false)
        .connect_with(
            sqlite_options(path).create_if_missing(false).pragma("query_only", "ON").pragma("cache_size", READER_CACHE),
        )
        .await?;
    tracing::debug!(version, "database.sqlite.opened");
    Ok(SqlitePools { writer, readers })
}

/// Finds at once what SQLite would only say at the first write, or in words that do not help.
pub(crate) fn check_file(path: &Path) -> Result<(), Error> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    if !folder.is_dir() {
        return Err(Error::new("", Fault::CannotOpen));
    }
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => Err(Error::new("", Fault::NotADatabase)),
        Ok(found) if found.permissions().readonly() => Err(Error::new("", Fault::ReadOnly)),
        Ok(_) | Err(_) => Ok(()),
    }
}

pub(crate) fn is_sound(version: &str) -> bool {
    fn parts(version: &str) -> Vec<u32> {
        version.split('.').map_while(|part| u32::from_str(part).ok()).collect()
    }
    parts(version) >= parts(SQLITE_FLOOR)
}

#[cfg(feature = "postgres")]
async fn open_postgres(url: &str) -> Result<Pools, Error> {
    use sqlx::Connection as _;
    use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
    // The parser's error may repeat the address with its password.
    let options = PgConnectOptions::from_str(url).map_err(|_| {
        Error::new("opening the database", Fault::BadUrl("this is not a PostgreSQL address".to_owned()))
    })?;
    let what = format!("opening {} at {}", options.get_database().unwrap_or("the database"), options.get_host());
    let options = options
        .application_name("tapward")
        .options([("default_transaction_isolation", "serializable"), ("lock_timeout", "5000")])
        .disable_statement_logging();
    let pool = PgPoolOptions::new()
        .max_connections(POSTGRES_CONNECTIONS)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .after_release(|connection, _| {
            Box::pin(async move {
                // A `BEGIN` whose caller went away can stay open unnoticed by the driver. Outside a transaction this
                // does nothing; inside one it ends it, or fails, and then the connection is closed.
                sqlx::raw_sql("BEGIN; ROLLBACK").execute(connection).await?;
                Ok(true)
            })
        })
        .connect_lazy_with(options.clone());
    // The pool would repeat a refused connection until its time is over and then say only that; ask once, plainly.
    let asked = tokio::time::timeout(BUSY_TIMEOUT, sqlx::PgConnection::connect_with(&options)).await;
    let connection = match asked {
        Ok(answer) => answer.map_err(|error| Error::from(error).during(what))?,
        Err(_) => return Err(Error::new(what, Fault::Unavailable)),
    };
    // A connection that fails to say goodbye is closed all the same.
    let _ = connection.close().await;
    Ok(Pools::Postgres(pool))
}

#[cfg(not(feature = "postgres"))]
#[expect(clippy::unused_async, reason = "same shape as with the feature")]
async fn open_postgres(_url: &str) -> Result<Pools, Error> {
    let problem = "this program was built without PostgreSQL".to_owned();
    Err(Error::new("opening the database", Fault::BadUrl(problem)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number() {
        assert!(is_sound("3.51.3"));
        assert!(is_sound("3.100.0"));
        assert!(!is_sound("3.51.2"));
        assert!(!is_sound("3.9.9"));
        assert!(!is_sound(""));
    }
}
