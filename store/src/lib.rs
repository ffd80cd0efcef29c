//! The two engines: SQLite by default, PostgreSQL when one machine is outgrown; and the gateway's journal.
//!
//! Owns connections, write transactions, retries, migrations and the journal's own file. Never decides anything about
//! people or doors, never builds SQL from input: every statement is a literal with `$1` parameters and runs on both
//! engines. May import `domain`.
//!
//! One SQL text serves both engines if it keeps to: `TEXT` ids, `BIGINT` times (milliseconds since 1970 UTC), flags
//! (0 or 1) and money, `BYTEA` bytes, `$n` parameters, `ON CONFLICT`, `RETURNING` inside [`transact!`] only,
//! `CAST(SUM(x) AS BIGINT)`, `COALESCE`, `LIMIT`, no dialect functions.
//!
//! ```no_run
//! # async fn example(database: store::Database, point: String) -> Result<(), store::Error> {
//! let seen: i64 = store::read!(database, "points.count", |conn| {
//!     Ok(store::sqlx::query_scalar("SELECT COUNT(*) FROM point WHERE id = $1").bind(&point).fetch_one(&mut *conn).await?)
//! })?;
//! store::transact!(database, "points.add", |conn| {
//!     store::sqlx::query("INSERT INTO point (id) VALUES ($1)").bind(&point).execute(&mut *conn).await?;
//!     Ok(())
//! })?;
//! # drop(seen); Ok(()) }
//! ```

mod database;
mod error;
pub mod journal;
mod macros;
mod many;
pub mod migrate;
pub mod tap_queue;
#[cfg(feature = "testing")]
pub mod testing;

pub use database::{Database, Engine, Pools, SqlitePools};
pub use error::{Error, Fault};
#[doc(hidden)]
pub use macros::{Turn, backoff, run_to_end, turn};
pub use many::{in_parts, padded};
/// The driver that the macros and their callers share.
pub use sqlx;
