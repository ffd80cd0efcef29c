//! What the journal keeps of peers, read: by the gateway's tasks, and by `tapward peers` beside a running gateway. A
//! file that no gateway of this release has opened yet has none.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering;

use domain::card::SealedBytes;
use domain::{Epoch, LineId, UtcMillis};
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{Sqlite, SqliteRow};
use sqlx::{Connection, Row};

use super::file::{has_peers, sized, unsigned};
use super::peer_file::{self, PeerRow};
use super::peer_sql;
use super::peers::{Message, PeerRecord, QUARANTINE_MAX, Quarantine, Quarantined, Told};
use super::reader::{JournalReader, bounded, signed};
use crate::Error;

// `CROSS JOIN` keeps the order of the tables: SQLite does not know that a list is short, and would rather go through
// a hundred thousand events for each id that is asked for. A test looks at the plans.

const KNOWN_EVENTS: &str = "SELECT e.id FROM peer p CROSS JOIN json_each($2) j
     CROSS JOIN peer_event e ON e.peer = p.no AND e.id = unhex(j.value) WHERE p.id = $1";
const OUTGOING: &str = "SELECT o.seq, o.id, o.body FROM peer p CROSS JOIN peer_out o ON o.peer = p.no
     WHERE p.id = $1 AND o.seq > MAX(p.dropped, $2) ORDER BY o.seq LIMIT $3";
const TOLD: &str = "SELECT t.key, t.rev, t.digest FROM peer p CROSS JOIN peer_told t ON t.peer = p.no
     WHERE p.id = $1 AND t.key > $2 ORDER BY t.key LIMIT $3";
const QUARANTINED_OF_ONE: &str = "SELECT p.id, q.epoch, q.seq, q.at_ms, q.why, q.bytes FROM peer p
     CROSS JOIN peer_quarantine q ON q.peer = p.no WHERE p.id = $1 ORDER BY q.no DESC LIMIT $2";
const QUARANTINED: &str = "SELECT p.id, q.epoch, q.seq, q.at_ms, q.why, q.bytes FROM peer_quarantine q
     CROSS JOIN peer p ON p.no = q.peer ORDER BY q.no DESC LIMIT $1";

impl JournalReader {
    /// All peers, by name.
    ///
    /// # Errors
    /// Engine errors.
    pub async fn peers(&self) -> Result<Vec<PeerRecord>, Error> {
        let read = async {
            let Some(mut connection) = self.with_peers().await? else { return Ok(Vec::new()) };
            // One moment for all three: the log may be folded at any time.
            let mut moment = connection.begin().await?;
            let aside: Vec<(i64, i64)> = sqlx::query_as("SELECT peer, COUNT(*) FROM peer_quarantine GROUP BY peer")
                .fetch_all(&mut *moment)
                .await?;
            let aside: HashMap<i64, i64> = aside.into_iter().collect();
            let known = peer_file::load(&mut moment).await?;
            moment.rollback().await?;
            let record = |(peer, row): (LineId, PeerRow)| PeerRecord {
                peer,
                position: row.position,
                outgoing: row.outgoing(self.epoch()),
                told: row.told,
                quarantined: aside.get(&row.no).map_or(0, |count| count.cast_unsigned()),
            };
            let mut records: Vec<PeerRecord> = known.peers.into_iter().map(record).collect();
            records.sort_by(|left, right| left.peer.cmp(&right.peer));
            Ok(records)
        };
        read.await.map_err(|error: Error| error.during("journal.peers"))
    }

    /// Messages set aside, of one peer or of all, the newest first, at most `limit` (and [`QUARANTINE_MAX`]).
    ///
    /// # Errors
    /// Engine errors.
    pub async fn quarantined(&self, peer: Option<&LineId>, limit: usize) -> Result<Vec<Quarantine>, Error> {
        let read = async {
            let Some(mut connection) = self.with_peers().await? else { return Ok(Vec::new()) };
            let query = match peer {
                Some(peer) => sqlx::query(QUARANTINED_OF_ONE).bind(peer.as_str()),
                None => sqlx::query(QUARANTINED),
            };
            let rows = query.bind(bounded(limit.min(QUARANTINE_MAX))).fetch_all(&mut *connection).await?;
            rows.iter().map(quarantine).collect()
        };
        read.await.map_err(|error: Error| error.during("journal.quarantined"))
    }

    /// Messages for a peer behind a number, in order, at most `limit` (and [`super::READ_MAX`]).
    ///
    /// # Errors
    /// Engine errors.
    pub async fn outgoing(&self, peer: &LineId, after: u64, limit: usize) -> Result<Vec<Message>, Error> {
        let read = async {
            let Some(mut connection) = self.with_peers().await? else { return Ok(Vec::new()) };
            let rows = sqlx::query(OUTGOING)
                .bind(peer.as_str())
                .bind(signed(after))
                .bind(bounded(limit))
                .fetch_all(&mut *connection)
                .await?;
            rows.iter().map(message).collect()
        };
        read.await.map_err(|error: Error| error.during("journal.outgoing"))
    }

    /// What a peer was told, in the order of keys behind `after`, at most `limit` (and [`super::READ_MAX`]).
    ///
    /// # Errors
    /// Engine errors.
    pub async fn told(&self, peer: &LineId, after: Option<&str>, limit: usize) -> Result<Vec<Told>, Error> {
        let read = async {
            let Some(mut connection) = self.with_peers().await? else { return Ok(Vec::new()) };
            let rows = sqlx::query(TOLD)
                .bind(peer.as_str())
                .bind(after.unwrap_or_default().as_bytes())
                .bind(bounded(limit))
                .fetch_all(&mut *connection)
                .await?;
            rows.iter().map(told).collect()
        };
        read.await.map_err(|error: Error| error.during("journal.told"))
    }

    /// Which of these events have been taken in from this peer and folded from the log into their places.
    pub(super) async fn folded_events(&self, peer: &LineId, ids: &[&String]) -> Result<HashSet<String>, Error> {
        let read = async {
            let Some(mut connection) = self.with_peers().await? else { return Ok(HashSet::new()) };
            let found: Vec<Vec<u8>> = sqlx::query_scalar(KNOWN_EVENTS)
                .bind(peer.as_str())
                .bind(peer_sql::hex_list(ids.iter().map(|id| id.as_bytes())))
                .fetch_all(&mut *connection)
                .await?;
            found
                .into_iter()
                .map(|id| String::from_utf8(id).map_err(|_| Error::bad_row("peer_event", "id", "not UTF-8")))
                .collect()
        };
        read.await.map_err(|error: Error| error.during("journal.known_events"))
    }

    /// A connection, if the file has tables for peers. Once it has them, it is not asked again.
    async fn with_peers(&self) -> Result<Option<PoolConnection<Sqlite>>, Error> {
        let mut connection = self.pool.acquire().await?;
        if !self.has_peers.load(Ordering::Relaxed) {
            if !has_peers(&mut connection).await? {
                return Ok(None);
            }
            self.has_peers.store(true, Ordering::Relaxed);
        }
        Ok(Some(connection))
    }
}

fn quarantine(row: &SqliteRow) -> Result<Quarantine, Error> {
    const T: &str = "peer_quarantine";
    let peer: &str = row.try_get("id")?;
    let bytes: Vec<u8> = row.try_get("bytes")?;
    Ok(Quarantine {
        peer: LineId::new(peer).map_err(|problem| Error::bad_row("peer", "id", problem))?,
        epoch: Epoch(sized(row.try_get("epoch")?, T, "epoch")?),
        at: UtcMillis(row.try_get("at_ms")?),
        message: Quarantined {
            seq: unsigned(row.try_get("seq")?, T, "seq")?,
            why: row.try_get("why")?,
            bytes: SealedBytes::from_stored(bytes),
        },
    })
}

fn message(row: &SqliteRow) -> Result<Message, Error> {
    const T: &str = "peer_out";
    let body: Vec<u8> = row.try_get("body")?;
    Ok(Message {
        seq: unsigned(row.try_get("seq")?, T, "seq")?,
        id: sized(row.try_get("id")?, T, "id")?,
        body: SealedBytes::from_stored(body),
    })
}

fn told(row: &SqliteRow) -> Result<Told, Error> {
    const T: &str = "peer_told";
    let (key, rev): (Vec<u8>, i64) = (row.try_get("key")?, row.try_get("rev")?);
    Ok(Told {
        key: String::from_utf8(key).map_err(|_| Error::bad_row(T, "key", "not UTF-8"))?,
        rev: rev.cast_unsigned(),
        digest: sized(row.try_get("digest")?, T, "digest")?,
    })
}

#[cfg(test)]
mod tests {
    use domain::{Clock, GatewayId};
    use sqlx::{AssertSqlSafe, ConnectOptions};

    use super::super::Journal;
    use super::super::peer_sql::{DROPPED_OF_LIST, TOLD_OF_LIST};
    use super::*;

    #[tokio::test]
    async fn rows_are_found_by_their_keys_however_many_there_are() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.db");
        let clock = Clock::new(|| UtcMillis(0));
        Journal::open(&path, GatewayId::new("gw").unwrap(), Epoch([1; 16]), &clock).await.unwrap().close().await;
        let mut connection = crate::database::sqlite_options(&path).connect().await.unwrap();
        let cases = [
            (KNOWN_EVENTS, "SEARCH e USING PRIMARY KEY (peer=? AND id=?)"),
            (OUTGOING, "SEARCH o USING PRIMARY KEY (peer=? AND seq>?)"),
            (TOLD, "SEARCH t USING PRIMARY KEY (peer=? AND key>?)"),
            (QUARANTINED_OF_ONE, "SEARCH q USING INDEX peer_quarantine_by_peer (peer=?)"),
            (TOLD_OF_LIST, "SEARCH t USING PRIMARY KEY (peer=? AND key=?)"),
            (DROPPED_OF_LIST, "SEARCH o USING PRIMARY KEY (peer=? AND seq<?)"),
        ];
        for (statement, expected) in cases {
            let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
            let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(explain).fetch_all(&mut connection).await.unwrap();
            assert!(plan.iter().any(|step| step.3 == expected), "{statement}: {plan:#?}");
            let scans: Vec<_> = plan.iter().filter(|step| step.3.starts_with("SCAN ")).collect();
            assert!(scans.iter().all(|step| step.3.starts_with("SCAN j ")), "{statement}: {plan:#?}");
            assert!(!plan.iter().any(|step| step.3.contains("TEMP B-TREE")), "{statement}: {plan:#?}");
        }
    }
}
