//! The macros that run one body on either engine. Owns the rule that a write transaction, once begun, is finished by a
//! task of its own: a caller that goes away (a closed browser, a timeout) cannot leave it half-way.

use std::future::Future;
use std::time::Duration;

use tokio::sync::{RwLockReadGuard, RwLockWriteGuard};

use crate::{Database, Error};

/// How often a write transaction is run before a collision with others is reported.
const ATTEMPTS: u32 = 8;
/// After so many collisions a transaction is run while no other one of this program is: where many write to one row
/// (the audit log's state), luck alone would leave somebody without.
const ALONE_AFTER: u32 = 2;

/// Runs a read on either engine: `read!(database, "operation.name", |conn| { … })`.
///
/// The body runs once, with `conn` a `&mut` connection of the engine and `Db` naming the engine's sqlx type; it is the
/// inside of an async block returning `Result<T, Error>` (`?` works on sqlx errors). It must not write and sees no
/// snapshot across statements: one statement is one answer. The whole expression is `Result<T, Error>`.
#[macro_export]
macro_rules! read {
    ($database:expr, $operation:literal, |$conn:ident| $body:block) => {
        $crate::__each_engine!($database, pools, sqlite {
            $crate::__read_on!(pools.readers, $operation, $conn, $body)
        } postgres {
            $crate::__read_on!(pools, $operation, $conn, $body)
        })
    };
}

/// Runs a write transaction on either engine: `transact!(database, "operation.name", |conn| { … })`.
///
/// The body is the inside of an async block returning `Result<T, Error>`; `?` works on sqlx errors and on [`Error`].
/// `Ok` commits, `Err` rolls back. It is run again (up to eight times) when it collided with another transaction, so it
/// must have no effect but through `conn` (and begin no other transaction), and must only borrow what it captures. Captured variables are **moved**
/// into the task that runs it: clone before if they are needed later. A refusal by the rules of the clinic is a value
/// (`Ok(Refused)`), found before the first write. The whole expression is `Result<T, Error>`; dropping it does not
/// stop the transaction. Inside the body `Db` names the engine's sqlx type, for `QueryBuilder::<Db>`.
#[macro_export]
macro_rules! transact {
    ($database:expr, $operation:literal, |$conn:ident| $body:block) => {{
        let database = $crate::Database::clone(&$database);
        $crate::run_to_end($operation, async move {
            let mut attempt = 0_u32;
            loop {
                let turn = $crate::turn(&database, attempt).await;
                let outcome = $crate::__each_engine!(database, pools, sqlite {
                    $crate::__transact_on!(pools.writer, Some("BEGIN IMMEDIATE"), $conn, $body)
                } postgres {
                    $crate::__transact_on!(pools, None, $conn, $body)
                });
                drop(turn);
                attempt += 1;
                match outcome {
                    Err(error) if $crate::backoff(&error, attempt).await => {}
                    done => break done,
                }
            }
        })
        .await
    }};
}

/// Calls a macro once with the connection type of each engine, for what several transactions share:
/// `for_each_connection!(log_on)` is `log_on!(SqliteConnection); log_on!(PgConnection);`.
#[cfg(feature = "postgres")]
#[macro_export]
macro_rules! for_each_connection {
    ($for_one:ident) => {
        $for_one!($crate::sqlx::SqliteConnection);
        $for_one!($crate::sqlx::PgConnection);
    };
}

/// Calls a macro once with the connection type of each engine, for what several transactions share.
#[cfg(not(feature = "postgres"))]
#[macro_export]
macro_rules! for_each_connection {
    ($for_one:ident) => {
        $for_one!($crate::sqlx::SqliteConnection);
    };
}

#[cfg(feature = "postgres")]
#[doc(hidden)]
#[macro_export]
macro_rules! __each_engine {
    ($database:expr, $pools:ident, sqlite { $($sqlite:tt)* } postgres { $($postgres:tt)* }) => {
        match $database.pools() {
            $crate::Pools::Sqlite($pools) => {
                #[allow(dead_code)]
                type Db = $crate::sqlx::Sqlite;
                $($sqlite)*
            }
            $crate::Pools::Postgres($pools) => {
                #[allow(dead_code)]
                type Db = $crate::sqlx::Postgres;
                $($postgres)*
            }
        }
    };
}

#[cfg(not(feature = "postgres"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __each_engine {
    ($database:expr, $pools:ident, sqlite { $($sqlite:tt)* } postgres { $($postgres:tt)* }) => {
        match $database.pools() {
            $crate::Pools::Sqlite($pools) => {
                #[allow(dead_code)]
                type Db = $crate::sqlx::Sqlite;
                $($sqlite)*
            }
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __read_on {
    ($pool:expr, $operation:literal, $conn:ident, $body:block) => {
        match $pool.acquire().await {
            Ok(mut borrowed) => {
                let $conn = &mut *borrowed;
                let outcome: ::core::result::Result<_, $crate::Error> = async { $body }.await;
                outcome.map_err(|error| error.during($operation))
            }
            Err(error) => Err($crate::Error::from(error).during($operation)),
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __transact_on {
    ($pool:expr, $begin:expr, $conn:ident, $body:block) => {
        async {
            use $crate::sqlx::Connection as _;
            let mut borrowed = $pool.acquire().await?;
            let begin: Option<&'static str> = $begin;
            let (outcome, clean) = {
                let begun = match begin {
                    Some(begin) => borrowed.begin_with(begin).await,
                    None => borrowed.begin().await,
                };
                match begun {
                    Err(error) => (Err($crate::Error::from(error)), true),
                    Ok(mut transaction) => {
                        let outcome: ::core::result::Result<_, $crate::Error> = {
                            let $conn = &mut *transaction;
                            async { $body }.await
                        };
                        match outcome {
                            Ok(value) => match transaction.commit().await {
                                Ok(()) => (Ok(value), true),
                                Err(error) => (Err($crate::Error::from(error)), false),
                            },
                            Err(error) => (Err(error), transaction.rollback().await.is_ok()),
                        }
                    }
                }
            };
            // An engine that rolled back by itself (disk full) leaves the driver believing in an open transaction:
            // such a connection must not be used again.
            if !clean {
                let _ = borrowed.close().await;
            }
            outcome
        }
        .await
    };
}

/// Runs a transaction in a task of its own and waits for it.
#[doc(hidden)]
pub async fn run_to_end<T: Send + 'static>(
    operation: &'static str,
    work: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    match tokio::spawn(work).await {
        Ok(outcome) => outcome.map_err(|error| error.during(operation)),
        Err(stopped) => match stopped.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is shutting down; the engine rolls back.
            Err(_) => Err(Error::new(operation, crate::Fault::Unavailable)),
        },
    }
}

/// The right to run a transaction now, beside others of this program or alone; kept until it has ended.
#[doc(hidden)]
#[derive(Debug)]
pub enum Turn<'a> {
    /// Writers queue for the one connection anyway.
    Queued,
    /// Beside others.
    Beside(#[allow(dead_code)] RwLockReadGuard<'a, ()>),
    /// While no other one runs.
    Alone(#[allow(dead_code)] RwLockWriteGuard<'a, ()>),
}

/// Waits for the turn of a transaction that has collided `collisions` times.
#[doc(hidden)]
pub async fn turn(database: &Database, collisions: u32) -> Turn<'_> {
    match database.turns() {
        None => Turn::Queued,
        Some(turns) if collisions < ALONE_AFTER => Turn::Beside(turns.read().await),
        Some(turns) => Turn::Alone(turns.write().await),
    }
}

/// Waits a little before a collided transaction is run again; false when it is not worth it.
#[doc(hidden)]
pub async fn backoff(error: &Error, attempt: u32) -> bool {
    if !error.is_transient() || attempt >= ATTEMPTS {
        return false;
    }
    tracing::debug!(attempt, "database.transaction.retried");
    tokio::time::sleep(Duration::from_millis(2_u64 << attempt.min(6))).await;
    true
}
