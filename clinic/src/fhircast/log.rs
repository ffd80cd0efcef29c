//! The one order of what is told: the table `fhircast_event`, and what is open at each session. What publishing and
//! following share inside their transactions.

use std::sync::Arc;

use domain::vault::{BoxKey, Place};
use domain::{UtcMillis, codes};
use store::{Error, read};

use super::contexts::Contexts;
use super::message::Message;
use super::{Hub, open, seal};
use crate::rows::code;

/// Most entries read at once.
pub const READ_MAX: u32 = 500;
/// How long an entry is kept, in milliseconds: a dashboard that was away for longer has no sockets left.
pub const LOG_KEPT_MS: i64 = 15 * 60_000;

codes! {
    /// What an entry of the log says.
    LoggedKind {
        /// An event for all who follow its topic and asked for it.
        Event = "event",
        /// A subscription has another list or another end: its socket confirms it again.
        Changed = "changed",
        /// A subscription ended: its socket closes.
        Ended = "ended",
    }
}

/// An entry of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    /// 1, 2, 3 … in the order of the commits.
    pub id: u64,
    /// Of which session.
    pub session: String,
    /// What it says.
    pub kind: LoggedKind,
    /// The subscription that it is about: the one that changed or ended; for an event the one that is not told it.
    pub subscription: Option<String>,
    /// The event.
    pub message: Option<Message>,
}

/// An entry to be written.
pub(super) struct Entry {
    pub session: String,
    pub kind: LoggedKind,
    pub subscription: Option<String>,
    pub message: Option<Message>,
}

/// What is open at a session, as it is stored.
pub(super) struct Board {
    pub session: String,
    /// Whether somebody knows its topic.
    pub is_followed: bool,
    pub latest: UtcMillis,
    pub contexts: Contexts,
    pub ended: Option<UtcMillis>,
}

#[derive(sqlx::FromRow)]
pub(super) struct BoardRow {
    session: String,
    topic_hash: Option<String>,
    latest_ms: i64,
    contexts: Option<Vec<u8>>,
    ended_ms: Option<i64>,
}

impl BoardRow {
    pub(super) fn read(self, key: &BoxKey) -> Result<Board, Error> {
        const T: &str = "fhircast_session";
        let contexts = match self.contexts {
            None => Contexts::default(),
            Some(sealed) => {
                let clear = open(key, place(&self.session), T, "contexts", sealed)?;
                serde_json::from_slice(&clear).map_err(|error| Error::bad_row(T, "contexts", error.classify_name()))?
            }
        };
        Ok(Board {
            session: self.session,
            is_followed: self.topic_hash.is_some(),
            latest: UtcMillis(self.latest_ms),
            contexts,
            ended: self.ended_ms.map(UtcMillis),
        })
    }
}

/// What kind of JSON problem it is, without the value.
trait ClassifyName {
    fn classify_name(&self) -> &'static str;
}

impl ClassifyName for serde_json::Error {
    fn classify_name(&self) -> &'static str {
        match self.classify() {
            serde_json::error::Category::Data => "another form than this version writes",
            _ => "no JSON",
        }
    }
}

const fn place(session: &str) -> Place<'_> {
    Place { table: "fhircast_session", column: "contexts", row: session }
}

/// An engine's connection inside a transaction that changes what is open.
pub(super) trait Log {
    /// Takes the log for this transaction: nobody else changes it until the end. The number of its last entry.
    async fn lock_log(&mut self) -> Result<i64, Error>;
    /// Writes entries behind `last`, which [`Log::lock_log`] gave.
    async fn write_log(&mut self, key: &BoxKey, at: UtcMillis, last: i64, entries: &[Entry]) -> Result<(), Error>;
    /// Writes what is open at sessions, and makes the rows that are not there.
    async fn write_boards(&mut self, key: &BoxKey, boards: &[Board]) -> Result<(), Error>;
}

macro_rules! log_on {
    ($connection:ty) => {
        impl Log for $connection {
            async fn lock_log(&mut self) -> Result<i64, Error> {
                let last: i64 =
                    sqlx::query_scalar("UPDATE counter SET value = value WHERE name = 'fhircast' RETURNING value")
                        .fetch_one(&mut *self)
                        .await?;
                Ok(last)
            }

            async fn write_log(
                &mut self,
                key: &BoxKey,
                at: UtcMillis,
                last: i64,
                entries: &[Entry],
            ) -> Result<(), Error> {
                if entries.is_empty() {
                    return Ok(());
                }
                let mut rows = Vec::with_capacity(entries.len());
                let mut id = last;
                for entry in entries {
                    id += 1;
                    let body = match &entry.message {
                        None => None,
                        Some(message) => {
                            let row = id.to_string();
                            let place = Place { table: "fhircast_event", column: "body", row: &row };
                            let text = serde_json::to_vec(message)
                                .map_err(|_| Error::bad_row("fhircast_event", "body", "it cannot be written"))?;
                            Some(seal(key, place, &text)?)
                        }
                    };
                    rows.push((id, entry, body));
                }
                let mut query = sqlx::QueryBuilder::<<$connection as sqlx::Connection>::Database>::new(
                    "INSERT INTO fhircast_event (id, session, kind, name, message_id, subscription, at_ms, body) ",
                );
                query.push_values(rows, |mut row, (id, entry, body)| {
                    row.push_bind(id)
                        .push_bind(entry.session.as_str())
                        .push_bind(entry.kind.as_str())
                        .push_bind(entry.message.as_ref().map(|message| message.event().to_string()))
                        .push_bind(entry.message.as_ref().map(|message| message.id.as_str()))
                        .push_bind(entry.subscription.as_deref())
                        .push_bind(at.0)
                        .push_bind(body);
                });
                query.build().execute(&mut *self).await?;
                sqlx::query("UPDATE counter SET value = $1 WHERE name = 'fhircast'")
                    .bind(id)
                    .execute(&mut *self)
                    .await?;
                Ok(())
            }

            async fn write_boards(&mut self, key: &BoxKey, boards: &[Board]) -> Result<(), Error> {
                if boards.is_empty() {
                    return Ok(());
                }
                let mut rows = Vec::with_capacity(boards.len());
                for board in boards {
                    let sealed = if board.contexts.is_empty() {
                        None
                    } else {
                        let text = serde_json::to_vec(&board.contexts)
                            .map_err(|_| Error::bad_row("fhircast_session", "contexts", "it cannot be written"))?;
                        Some(seal(key, place(&board.session), &text)?)
                    };
                    rows.push((board, sealed));
                }
                let mut query = sqlx::QueryBuilder::<<$connection as sqlx::Connection>::Database>::new(
                    "INSERT INTO fhircast_session (session, latest_ms, contexts, ended_ms) ",
                );
                query.push_values(rows, |mut row, (board, sealed)| {
                    row.push_bind(board.session.as_str())
                        .push_bind(board.latest.0)
                        .push_bind(sealed)
                        .push_bind(board.ended.map(|at| at.0));
                });
                query.push(
                    " ON CONFLICT (session) DO UPDATE SET latest_ms = excluded.latest_ms,
                       contexts = excluded.contexts, ended_ms = excluded.ended_ms",
                );
                query.build().execute(&mut *self).await?;
                Ok(())
            }
        }
    };
}

store::for_each_connection!(log_on);

#[derive(sqlx::FromRow)]
struct Row {
    id: i64,
    session: String,
    kind: String,
    subscription: Option<String>,
    body: Option<Vec<u8>>,
}

impl Hub {
    /// The number of the newest entry; 0 if there is none. One row.
    ///
    /// # Errors
    /// Engine errors.
    pub async fn last_id(&self) -> Result<u64, Error> {
        let id: i64 = read!(self.database, "fhircast.last", |conn| {
            Ok(sqlx::query_scalar("SELECT value FROM counter WHERE name = 'fhircast'").fetch_one(&mut *conn).await?)
        })?;
        Ok(id.cast_unsigned())
    }

    /// Entries after number `id` in order, at most `limit` (at most [`READ_MAX`]), and the number up to which they were
    /// read.
    ///
    /// # Errors
    /// Engine errors. An entry that cannot be opened is left out and logged: it must not hold up the others.
    pub async fn after(&self, id: u64, limit: u32) -> Result<(Vec<Logged>, u64), Error> {
        let rows: Vec<Row> = read!(self.database, "fhircast.after", |conn| {
            Ok(sqlx::query_as(
                "SELECT id, session, kind, subscription, body FROM fhircast_event WHERE id > $1 ORDER BY id LIMIT $2",
            )
            .bind(id.cast_signed())
            .bind(i64::from(limit.min(READ_MAX)))
            .fetch_all(&mut *conn)
            .await?)
        })?;
        let mut read = Vec::with_capacity(rows.len());
        let upto = rows.last().map_or(id, |row| row.id.cast_unsigned());
        for row in rows {
            let id = row.id;
            match self.read_entry(row) {
                Ok(entry) => read.push(entry),
                Err(error) => tracing::error!(entry = id, error = %error, "fhircast.entry.unreadable"),
            }
        }
        Ok((read, upto))
    }

    fn read_entry(&self, row: Row) -> Result<Logged, Error> {
        const T: &str = "fhircast_event";
        let name = row.id.to_string();
        let message = match row.body {
            None => None,
            Some(sealed) => {
                let clear = open(&self.key, Place { table: T, column: "body", row: &name }, T, "body", sealed)?;
                let read = serde_json::from_slice(&clear);
                Some(read.map_err(|error| Error::bad_row(T, "body", error.classify_name()))?)
            }
        };
        Ok(Logged {
            id: row.id.cast_unsigned(),
            session: row.session,
            kind: code(T, "kind", &row.kind, LoggedKind::parse)?,
            subscription: row.subscription,
            message,
        })
    }

    /// The key that seals, for a transaction that moves what it captures.
    pub(super) fn key(&self) -> Arc<BoxKey> {
        Arc::clone(&self.key)
    }
}
