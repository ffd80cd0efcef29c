//! Reading a journal, also from another process while a gateway writes: `journal tail`, `journal verify`, the uplink.
//! Opens the file read-only and can change nothing.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use domain::{Entry, Epoch, GatewayId, Kind, UtcMillis};
use sqlx::sqlite::SqlitePoolOptions;
use sqlx::{Row, SqlitePool};

use super::READ_MAX;
use super::chain;
use super::file::{self, Head};
use crate::database::sqlite_options;
use crate::error::{Error, Fault};

/// Problems that one verification reports; a file with more is broken enough.
const PROBLEMS_MAX: usize = 100;

/// A journal, for reading only. Cheap to clone.
#[derive(Debug, Clone)]
pub struct JournalReader {
    pub(super) pool: SqlitePool,
    /// Whether the file is known to have tables for peers.
    pub(super) has_peers: Arc<AtomicBool>,
    gateway: GatewayId,
    epoch: Epoch,
}

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// How many entries were read.
    pub entries: u64,
    /// The first and last number, if there is an entry.
    pub range: Option<(u64, u64)>,
    /// The last link of the chain: note it elsewhere, and a later verification can be compared with it.
    pub head: [u8; 32],
    /// What is wrong, in order, at most 100.
    pub problems: Vec<Problem>,
}

/// One thing wrong with a journal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Entries are missing.
    #[error("entries {from} to {to} are missing")]
    Missing {
        /// The first missing number.
        from: u64,
        /// The last one.
        to: u64,
    },
    /// The entry, or the one before it, is not what was written.
    #[error("entry {seq} or the one before it was changed after it was written")]
    Changed {
        /// Its number.
        seq: u64,
    },
    /// The entry cannot be read at all.
    #[error("entry {seq} cannot be read: {why}")]
    Unreadable {
        /// Its number.
        seq: u64,
        /// The column and what is wrong with it.
        why: String,
    },
    /// The receiver has acknowledged more than is left here.
    #[error("the journal ends at {last}, but entries up to {acked} were acknowledged: its end was cut off")]
    CutOff {
        /// The last entry left.
        last: u64,
        /// The last one acknowledged.
        acked: u64,
    },
}

impl JournalReader {
    /// Opens an existing journal.
    ///
    /// # Errors
    /// [`Fault::CannotOpen`] when there is none; [`Fault::NotADatabase`], [`Fault::NewerSchema`], [`Fault::Corrupt`].
    pub async fn open(path: &Path) -> Result<Self, Error> {
        let named = |error: Error| error.during(format!("reading the journal {}", path.display()));
        if !path.is_file() {
            return Err(named(Error::new("", Fault::CannotOpen)));
        }
        let pool = SqlitePoolOptions::new()
            .max_connections(2)
            .acquire_timeout(Duration::from_secs(15))
            .max_lifetime(None)
            .test_before_acquire(false)
            .connect_with(sqlite_options(path).create_if_missing(false).read_only(true))
            .await
            .map_err(|error| named(error.into()))?;
        let mut connection = pool.acquire().await.map_err(|error| named(error.into()))?;
        file::check_layout(&mut connection).await.map_err(named)?;
        let meta = file::read_meta(&mut connection).await.map_err(named)?;
        drop(connection);
        Ok(Self { pool, has_peers: Arc::default(), gateway: meta.gateway, epoch: meta.epoch })
    }

    /// Whose journal this is.
    pub fn gateway(&self) -> &GatewayId {
        &self.gateway
    }

    /// Which life of it.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Entries after `seq`, in order, at most `limit` (and at most [`READ_MAX`]). To follow a running gateway, ask
    /// again after the last one seen.
    ///
    /// # Errors
    /// Engine errors, or [`Fault::BadRow`].
    pub async fn read_after(&self, seq: u64, limit: usize) -> Result<Vec<Entry>, Error> {
        let rows = sqlx::query("SELECT * FROM entry WHERE seq > $1 ORDER BY seq LIMIT $2")
            .bind(signed(seq))
            .bind(bounded(limit))
            .fetch_all(&self.pool)
            .await
            .map_err(|error| Error::from(error).during("journal.read"))?;
        rows.iter().map(|row| file::entry(row, &self.gateway, self.epoch)).collect()
    }

    /// As [`JournalReader::read_after`], only entries of these kinds and not older than `since`.
    ///
    /// # Errors
    /// As [`JournalReader::read_after`].
    pub async fn read_kinds_after(
        &self,
        kinds: &[Kind],
        since: UtcMillis,
        seq: u64,
        limit: usize,
    ) -> Result<Vec<Entry>, Error> {
        // Codes are plain ASCII words, so this is valid JSON.
        let kinds = kinds.iter().map(|kind| format!("\"{kind}\"")).collect::<Vec<_>>().join(",");
        let rows = sqlx::query(
            "SELECT * FROM entry
             WHERE seq > $1 AND at_ms >= $2 AND kind IN (SELECT value FROM json_each($3))
             ORDER BY seq LIMIT $4",
        )
        .bind(signed(seq))
        .bind(since.0)
        .bind(format!("[{kinds}]"))
        .bind(bounded(limit))
        .fetch_all(&self.pool)
        .await
        .map_err(|error| Error::from(error).during("journal.read"))?;
        rows.iter().map(|row| file::entry(row, &self.gateway, self.epoch)).collect()
    }

    /// The last `count` entries, in order.
    ///
    /// # Errors
    /// As [`JournalReader::read_after`].
    pub async fn read_last(&self, count: usize) -> Result<Vec<Entry>, Error> {
        let mut rows = sqlx::query("SELECT * FROM entry ORDER BY seq DESC LIMIT $1")
            .bind(bounded(count))
            .fetch_all(&self.pool)
            .await
            .map_err(|error| Error::from(error).during("journal.read"))?;
        rows.reverse();
        rows.iter().map(|row| file::entry(row, &self.gateway, self.epoch)).collect()
    }

    /// Reads everything and checks numbering and chain.
    ///
    /// # Errors
    /// Engine errors only.
    pub async fn verify(&self) -> Result<Verification, Error> {
        self.check().await.map_err(|error| error.during("journal.verify"))
    }

    async fn check(&self) -> Result<Verification, Error> {
        let mut connection = self.pool.acquire().await?;
        let meta = file::read_meta(&mut connection).await?;
        let mut problems = Vec::new();
        let mut head: Head = meta.base;
        let (mut entries, mut first) = (0_u64, None);
        loop {
            let rows = sqlx::query("SELECT * FROM entry WHERE seq > $1 ORDER BY seq LIMIT $2")
                .bind(signed(head.seq))
                .bind(bounded(READ_MAX))
                .fetch_all(&mut *connection)
                .await?;
            if rows.is_empty() || problems.len() >= PROBLEMS_MAX {
                break;
            }
            for row in &rows {
                let seq = u64::try_from(row.try_get::<i64, _>("seq")?)
                    .map_err(|_| Error::bad_row("entry", "seq", "negative"))?;
                entries += 1;
                first.get_or_insert(seq);
                if seq != head.seq + 1 {
                    problems.push(Problem::Missing { from: head.seq + 1, to: seq - 1 });
                }
                head = match file::read_row(row) {
                    Ok((_, fact, stored)) => {
                        // After a hole the previous link is unknown: the hole is the finding, not this entry.
                        if seq == head.seq + 1 && chain::link(&head.link, seq, &fact) != stored {
                            problems.push(Problem::Changed { seq });
                        }
                        Head { seq, link: stored }
                    }
                    Err(error) => {
                        problems.push(Problem::Unreadable { seq, why: error.to_string() });
                        Head { seq, link: row.try_get::<&[u8], _>("chain")?.try_into().unwrap_or([0; 32]) }
                    }
                };
            }
        }
        // The journal only notes acknowledgements of entries that it has.
        if meta.acked > head.seq {
            problems.push(Problem::CutOff { last: head.seq, acked: meta.acked });
        }
        problems.truncate(PROBLEMS_MAX);
        Ok(Verification { entries, range: first.map(|first| (first, head.seq)), head: head.link, problems })
    }

    /// Closes the connections.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// Sequence numbers beyond `i64` do not occur; one from outside then simply finds nothing.
pub(super) fn signed(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

pub(super) fn bounded(limit: usize) -> i64 {
    i64::try_from(limit.min(READ_MAX)).unwrap_or(i64::MAX)
}
