//! Peers in the journal's file: their tables, their rows, which the writer holds in memory, and the pieces of SQL that
//! a group's commit is put together from.
//!
//! Lists go to the engine as one JSON parameter, bytes in it as hexadecimal digits: the text of a statement is then the
//! same for every length of list, and stays prepared.

use std::collections::{HashMap, HashSet};
use std::fmt::Write;

use domain::{Epoch, LineId, UtcMillis};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};

use super::file::{sized, unsigned};
use super::peers::{
    EVENTS_KEPT, Outgoing, OutgoingState, Position, QUARANTINE_MAX, QUARANTINE_MAX_BYTES, Quarantined, Told,
    WHY_MAX_BYTES,
};
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
    pub out_epoch: Option<Epoch>,
    pub posted: u64,
    pub dropped: u64,
    pub told: u64,
    /// `posted` when the file was opened; not stored.
    pub at_open: u64,
}

impl PeerRow {
    pub const fn new(no: i64) -> Self {
        Self { no, position: None, events: 0, out_epoch: None, posted: 0, dropped: 0, told: 0, at_open: 0 }
    }

    pub fn outgoing(&self, journal: Epoch) -> OutgoingState {
        OutgoingState {
            epoch: self.out_epoch.unwrap_or(journal),
            last: self.posted,
            dropped: self.dropped,
            at_open: self.at_open,
        }
    }

    /// Ids up to this number are to be removed now, after `before` had been noted.
    pub fn events_due(&self, before: u64) -> Option<u64> {
        let crossed = self.events / EVENTS_SLACK > before / EVENTS_SLACK;
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
    let posted = number("posted")?;
    let found = PeerRow {
        no: row.try_get("no")?,
        position: epoch("epoch")?.map(|epoch| Position { epoch, seq, at }),
        events: number("events")?,
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

/// All peers.
pub(super) async fn load(connection: &mut SqliteConnection) -> Result<HashMap<LineId, PeerRow>, Error> {
    let rows = sqlx::query("SELECT * FROM peer").fetch_all(connection).await?;
    rows.iter().map(read_row).collect()
}

/// Which of these keys the peers were told of: pairs of peer and key.
pub(super) async fn told_keys(
    connection: &mut SqliteConnection,
    keys: impl Iterator<Item = (i64, &str)>,
) -> Result<HashSet<(i64, Vec<u8>)>, Error> {
    let mut list = List::new();
    keys.for_each(|(peer, key)| {
        list.row(|row| {
            row.number(peer).hex(key.as_bytes());
        });
    });
    let found: Vec<(i64, Vec<u8>)> = sqlx::query_as(
        "SELECT t.peer, t.key FROM json_each($1) j
         JOIN peer_told t ON t.peer = j.value ->> 0 AND t.key = unhex(j.value ->> 1)",
    )
    .bind(list.end())
    .fetch_all(connection)
    .await?;
    Ok(found.into_iter().collect())
}

/// Writes rows as they are now.
pub(super) fn push_peers<'a>(sql: &mut QueryBuilder<Sqlite>, peers: impl Iterator<Item = (&'a LineId, &'a PeerRow)>) {
    let mut list = List::new();
    for (id, peer) in peers {
        list.row(|row| {
            let position = peer.position.as_ref();
            row.number(peer.no)
                .text(id.as_str())
                .maybe_hex(position.map(|it| it.epoch.0.as_slice()))
                .number(position.map_or(0, |it| it.seq.cast_signed()))
                .number(position.map_or(0, |it| it.at.0))
                .number(peer.events.cast_signed())
                .maybe_hex(peer.out_epoch.as_ref().map(|it| it.0.as_slice()))
                .number(peer.posted.cast_signed())
                .number(peer.dropped.cast_signed())
                .number(peer.told.cast_signed());
        });
    }
    sql.push(
        "INSERT INTO peer (no, id, epoch, seq, at_ms, events, out_epoch, posted, dropped, told)
         SELECT value ->> 0, value ->> 1, unhex(value ->> 2), value ->> 3, value ->> 4, value ->> 5, unhex(value ->> 6),
             value ->> 7, value ->> 8, value ->> 9 FROM json_each(",
    );
    sql.push_bind(list.end());
    sql.push(
        ") WHERE TRUE ON CONFLICT (no) DO UPDATE SET epoch = excluded.epoch, seq = excluded.seq, at_ms = excluded.at_ms,
             events = excluded.events, out_epoch = excluded.out_epoch, posted = excluded.posted,
             dropped = excluded.dropped, told = excluded.told; ",
    );
}

/// Notes event ids: peer, id, number.
pub(super) fn push_events<'a>(sql: &mut QueryBuilder<Sqlite>, events: impl Iterator<Item = (i64, &'a str, u64)>) {
    let mut list = List::new();
    events.for_each(|(peer, id, no)| {
        list.row(|row| {
            row.number(peer).hex(id.as_bytes()).number(no.cast_signed());
        });
    });
    sql.push(
        "INSERT INTO peer_event (peer, id, no)
         SELECT value ->> 0, unhex(value ->> 1), value ->> 2 FROM json_each(",
    );
    sql.push_bind(list.end());
    sql.push(") WHERE TRUE ON CONFLICT (peer, id) DO NOTHING; ");
}

/// Removes a peer's event ids up to a number.
pub(super) fn push_events_due(sql: &mut QueryBuilder<Sqlite>, peer: i64, until: u64) {
    sql.push("DELETE FROM peer_event WHERE peer = ").push_bind(peer);
    sql.push(" AND no <= ").push_bind(until.cast_signed()).push("; ");
}

/// Sets messages aside.
pub(super) fn push_quarantine(sql: &mut QueryBuilder<Sqlite>, peer: i64, at: Position, messages: &[Quarantined]) {
    sql.push("INSERT INTO peer_quarantine (peer, epoch, seq, at_ms, why, bytes) ");
    sql.push_values(messages, |mut row, message| {
        let why = &message.why[..message.why.floor_char_boundary(WHY_MAX_BYTES)];
        row.push_bind(peer)
            .push_bind(at.epoch.0.to_vec())
            .push_bind(message.seq.cast_signed())
            .push_bind(at.at.0)
            .push_bind(why.to_owned())
            .push_bind(message.bytes.as_bytes().to_vec());
    });
    sql.push("; DELETE FROM peer_quarantine WHERE no IN (SELECT no FROM (SELECT no, ROW_NUMBER() OVER newest AS nth, SUM(LENGTH(bytes)) OVER newest AS size FROM peer_quarantine WHERE peer = ");
    sql.push_bind(peer);
    sql.push(" WINDOW newest AS (ORDER BY no DESC)) WHERE nth > ").push_bind(QUARANTINE_MAX as i64);
    sql.push(" OR size > ").push_bind(QUARANTINE_MAX_BYTES as i64).push("); ");
}

/// Keeps messages for their peers: peer, number, message.
pub(super) fn push_outgoing<'a>(
    sql: &mut QueryBuilder<Sqlite>,
    messages: impl Iterator<Item = (i64, u64, &'a Outgoing)>,
) {
    sql.push("INSERT INTO peer_out (peer, seq, id, body) ");
    sql.push_values(messages, |mut row, (peer, seq, message)| {
        row.push_bind(peer)
            .push_bind(seq.cast_signed())
            .push_bind(message.id.to_vec())
            .push_bind(message.body.as_bytes().to_vec());
    });
    sql.push("; ");
}

/// Notes what peers were told: peer and the pass.
pub(super) fn push_told<'a>(sql: &mut QueryBuilder<Sqlite>, told: impl Iterator<Item = (i64, &'a Told)>) {
    let mut list = List::new();
    told.for_each(|(peer, told)| {
        list.row(|row| {
            row.number(peer).hex(told.key.as_bytes()).number(told.rev.cast_signed()).hex(&told.digest);
        });
    });
    sql.push(
        "INSERT INTO peer_told (peer, key, rev, digest)
         SELECT value ->> 0, unhex(value ->> 1), value ->> 2, unhex(value ->> 3) FROM json_each(",
    );
    sql.push_bind(list.end());
    sql.push(") WHERE TRUE ON CONFLICT (peer, key) DO UPDATE SET rev = excluded.rev, digest = excluded.digest; ");
}

/// Forgets what peers were told: peer and key.
pub(super) fn push_forget<'a>(sql: &mut QueryBuilder<Sqlite>, keys: impl Iterator<Item = (i64, &'a str)>) {
    let mut list = List::new();
    keys.for_each(|(peer, key)| {
        list.row(|row| {
            row.number(peer).hex(key.as_bytes());
        });
    });
    sql.push("DELETE FROM peer_told WHERE (peer, key) IN (SELECT value ->> 0, unhex(value ->> 1) FROM json_each(");
    sql.push_bind(list.end()).push(")); ");
}

/// Removes messages that their peers have acknowledged: peer and the last number.
pub(super) fn push_dropped(sql: &mut QueryBuilder<Sqlite>, dropped: impl Iterator<Item = (i64, u64)>) {
    let mut list = List::new();
    dropped.for_each(|(peer, until)| {
        list.row(|row| {
            row.number(peer).number(until.cast_signed());
        });
    });
    sql.push("DELETE FROM peer_out WHERE (peer, seq) IN (SELECT o.peer, o.seq FROM json_each(");
    sql.push_bind(list.end());
    sql.push(") j JOIN peer_out o ON o.peer = j.value ->> 0 AND o.seq <= j.value ->> 1); ");
}

/// Removes all messages for a peer and all that it was told.
pub(super) fn push_restart(sql: &mut QueryBuilder<Sqlite>, peer: i64) {
    sql.push("DELETE FROM peer_out WHERE peer = ").push_bind(peer);
    sql.push("; DELETE FROM peer_told WHERE peer = ").push_bind(peer).push("; ");
}

/// Removes what else there is of a peer.
pub(super) fn push_gone(sql: &mut QueryBuilder<Sqlite>, peer: i64) {
    sql.push("DELETE FROM peer_event WHERE peer = ").push_bind(peer);
    sql.push("; DELETE FROM peer_quarantine WHERE peer = ").push_bind(peer);
    sql.push("; DELETE FROM peer WHERE no = ").push_bind(peer).push("; ");
}

/// A JSON list of byte strings as hexadecimal digits.
pub(super) fn hex_list<'a>(items: impl Iterator<Item = &'a [u8]>) -> String {
    let mut list = List("[".to_owned());
    items.for_each(|item| {
        list.hex(item);
    });
    if list.0.ends_with(',') {
        list.0.pop();
    }
    list.end()
}

/// A JSON list of lists: numbers, plain names, and bytes as hexadecimal digits, so that nothing needs escaping.
struct List(String);

impl List {
    fn new() -> Self {
        Self("[".to_owned())
    }

    fn row(&mut self, fill: impl FnOnce(&mut Self)) {
        let comma = if self.0.len() > 1 { "," } else { "" };
        self.0.push_str(comma);
        self.0.push('[');
        fill(self);
        // Every value leaves a comma behind it.
        self.0.pop();
        self.0.push(']');
    }

    fn number(&mut self, number: i64) -> &mut Self {
        // Writing to a string cannot fail.
        let _ = write!(self.0, "{number},");
        self
    }

    /// A name: letters, digits and `. _ : / -` only.
    fn text(&mut self, name: &str) -> &mut Self {
        let _ = write!(self.0, "\"{name}\",");
        self
    }

    fn hex(&mut self, bytes: &[u8]) -> &mut Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        self.0.push('"');
        for byte in bytes {
            self.0.push(char::from(DIGITS[usize::from(byte >> 4)]));
            self.0.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
        self.0.push_str("\",");
        self
    }

    fn maybe_hex(&mut self, bytes: Option<&[u8]>) -> &mut Self {
        match bytes {
            Some(bytes) => self.hex(bytes),
            None => {
                self.0.push_str("null,");
                self
            }
        }
    }

    fn end(mut self) -> String {
        self.0.push(']');
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_json() {
        let mut list = List::new();
        list.row(|row| {
            row.number(-1).text("line-1").hex(&[0x0f, 0xa0]).maybe_hex(None);
        });
        list.row(|row| {
            row.number(2).hex(&[]);
        });
        assert_eq!(list.end(), r#"[[-1,"line-1","0fa0",null],[2,""]]"#);
        assert_eq!(List::new().end(), "[]");
    }

    #[test]
    fn old_event_ids_are_removed_now_and_then() {
        let row = |events| PeerRow { events, ..PeerRow::new(1) };
        assert_eq!(row(50_000).events_due(39_000), None, "nothing is too much yet");
        assert_eq!(row(EVENTS_KEPT).events_due(99_999), None);
        assert_eq!(row(110_001).events_due(109_999), Some(10_001));
        assert_eq!(row(110_002).events_due(110_001), None, "not at every batch");
    }
}
