//! Peers in the journal's file: their tables, and their rows, which the writer holds in memory.
//!
//! Marks are written to a log, one row an event, at the end of the file like entries: where each peer's position and
//! events have their place there is another page for each peer, and sixty peers that speak at once would write sixty
//! pages. Now and then the log is folded into those places, and is empty again. So what is known of a peer is its row
//! and what the log says behind it, in the order of the log.

use std::collections::{HashMap, HashSet};

use domain::{Epoch, LineId, UtcMillis};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::file::{sized, unsigned};
use super::peers::{EVENTS_KEPT, OutgoingState, Position};
use crate::Error;

/// Event ids beyond [`EVENTS_KEPT`] that gather before the oldest are removed: removing looks at all of one peer.
const EVENTS_SLACK: u64 = EVENTS_KEPT / 10;

/// Since layout 2.
pub(super) const TABLES: &str = "
CREATE TABLE peer (
    no INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    epoch BLOB,
    seq INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    events INTEGER NOT NULL,
    out_epoch BLOB,
    posted INTEGER NOT NULL,
    dropped INTEGER NOT NULL,
    told INTEGER NOT NULL
) STRICT;
CREATE TABLE peer_event (
    peer INTEGER NOT NULL,
    id BLOB NOT NULL,
    no INTEGER NOT NULL,
    PRIMARY KEY (peer, id)
) STRICT, WITHOUT ROWID;
CREATE TABLE peer_log (
    no INTEGER PRIMARY KEY,
    peer INTEGER NOT NULL,
    event BLOB,
    event_no INTEGER NOT NULL,
    epoch BLOB NOT NULL,
    seq INTEGER NOT NULL,
    at_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE peer_quarantine (
    no INTEGER PRIMARY KEY,
    peer INTEGER NOT NULL,
    epoch BLOB NOT NULL,
    seq INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    why TEXT NOT NULL,
    bytes BLOB NOT NULL
) STRICT;
CREATE INDEX peer_quarantine_by_peer ON peer_quarantine (peer, no);
CREATE TABLE peer_out (
    peer INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    id BLOB NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (peer, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE peer_told (
    peer INTEGER NOT NULL,
    key BLOB NOT NULL,
    rev INTEGER NOT NULL,
    digest BLOB NOT NULL,
    PRIMARY KEY (peer, key)
) STRICT, WITHOUT ROWID;
";

/// One peer's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PeerRow {
    pub no: i64,
    pub position: Option<Position>,
    /// How many event ids were ever noted; the number of the last.
    pub events: u64,
    /// What `events` was when the log was folded last; not stored.
    pub folded: u64,
    pub out_epoch: Option<Epoch>,
    pub posted: u64,
    pub dropped: u64,
    pub told: u64,
    /// `posted` when the file was opened; not stored.
    pub at_open: u64,
}

impl PeerRow {
    pub const fn new(no: i64) -> Self {
        Self { no, position: None, events: 0, folded: 0, out_epoch: None, posted: 0, dropped: 0, told: 0, at_open: 0 }
    }

    pub fn outgoing(&self, journal: Epoch) -> OutgoingState {
        OutgoingState {
            epoch: self.out_epoch.unwrap_or(journal),
            last: self.posted,
            dropped: self.dropped,
            at_open: self.at_open,
        }
    }

    /// Ids up to this number are to be removed with the folding of the log.
    pub fn events_due(&self) -> Option<u64> {
        let crossed = self.events / EVENTS_SLACK > self.folded / EVENTS_SLACK;
        self.events.checked_sub(EVENTS_KEPT).filter(|until| crossed && *until > 0)
    }
}

/// A row of `peer` (all columns) with its name.
pub(super) fn read_row(row: &SqliteRow) -> Result<(LineId, PeerRow), Error> {
    const T: &str = "peer";
    let epoch = |column: &'static str| -> Result<Option<Epoch>, Error> {
        let bytes: Option<&[u8]> = row.try_get(column)?;
        bytes.map(|bytes| sized(bytes, T, column).map(Epoch)).transpose()
    };
    let number = |column: &'static str| unsigned(row.try_get(column)?, T, column);
    let id: &str = row.try_get("id")?;
    let id = LineId::new(id).map_err(|problem| Error::bad_row(T, "id", problem))?;
    let (seq, at) = (number("seq")?, UtcMillis(row.try_get("at_ms")?));
    let (posted, events) = (number("posted")?, number("events")?);
    let found = PeerRow {
        no: row.try_get("no")?,
        position: epoch("epoch")?.map(|epoch| Position { epoch, seq, at }),
        events,
        folded: events,
        out_epoch: epoch("out_epoch")?,
        posted,
        dropped: number("dropped")?,
        told: number("told")?,
        at_open: posted,
    };
    Ok((id, found))
}

/// The number of the next peer.
pub(super) fn next_no<'a>(rows: impl Iterator<Item = &'a PeerRow>) -> i64 {
    rows.map(|row| row.no).max().unwrap_or(0) + 1
}

/// What the file knows of peers.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub peers: HashMap<LineId, PeerRow>,
    /// Peers in the log, with the events that are in it only.
    pub recent: Recent,
    /// Rows of the log.
    pub log: usize,
}

/// Ids of events by peer.
pub(super) type Recent = HashMap<LineId, HashSet<Vec<u8>>>;

/// All peers, the log counted in.
pub(super) async fn load(connection: &mut SqliteConnection) -> Result<Known, Error> {
    const T: &str = "peer_log";
    let rows = sqlx::query("SELECT * FROM peer").fetch_all(&mut *connection).await?;
    let mut known = Known { peers: rows.iter().map(read_row).collect::<Result<_, _>>()?, ..Known::default() };
    let names: HashMap<i64, LineId> = known.peers.iter().map(|(id, row)| (row.no, id.clone())).collect();
    let log = sqlx::query("SELECT * FROM peer_log ORDER BY no").fetch_all(&mut *connection).await?;
    known.log = log.len();
    for row in &log {
        let of = || names.get(&row.try_get("peer").ok()?);
        let id = of().ok_or_else(|| Error::bad_row(T, "peer", "there is no such peer"))?;
        let Some(peer) = known.peers.get_mut(id) else { continue };
        peer.position = Some(Position {
            epoch: Epoch(sized(row.try_get("epoch")?, T, "epoch")?),
            seq: unsigned(row.try_get("seq")?, T, "seq")?,
            at: UtcMillis(row.try_get("at_ms")?),
        });
        peer.events = peer.events.max(unsigned(row.try_get("event_no")?, T, "event_no")?);
        let event: Option<Vec<u8>> = row.try_get("event")?;
        known.recent.entry(id.clone()).or_default().extend(event);
    }
    Ok(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_event_ids_are_removed_now_and_then() {
        let due = |folded, events| PeerRow { events, folded, ..PeerRow::new(1) }.events_due();
        assert_eq!(due(39_000, 50_000), None, "nothing is too much yet");
        assert_eq!(due(99_999, EVENTS_KEPT), None);
        assert_eq!(due(109_999, 110_001), Some(10_001));
        assert_eq!(due(110_001, 110_002), None, "not at every folding");
    }
}
