//! The pieces of SQL that a commit about peers is put together from.
//!
//! Lists go to the engine as one JSON parameter, bytes in it as hexadecimal digits: the text of a statement is then the
//! same for every length of list, and stays prepared.

use std::collections::HashSet;
use std::fmt::Write;

use domain::LineId;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use super::peer_file::PeerRow;
use super::peers::{Outgoing, Position, QUARANTINE_MAX, QUARANTINE_MAX_BYTES, Quarantined, Told, WHY_MAX_BYTES};
use crate::Error;

/// `CROSS JOIN` keeps the order: first the list, then each row by its key.
pub(super) const TOLD_OF_LIST: &str = "SELECT t.peer, t.key FROM json_each($1) j
     CROSS JOIN peer_told t ON t.peer = j.value ->> 0 AND t.key = unhex(j.value ->> 1)";

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
    let found: Vec<(i64, Vec<u8>)> = sqlx::query_as(TOLD_OF_LIST).bind(list.end()).fetch_all(connection).await?;
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

/// One row of the log.
pub(super) struct Logged<'a> {
    pub peer: i64,
    /// None for a mark without events.
    pub event: Option<&'a str>,
    pub event_no: u64,
    pub position: Position,
}

/// Writes marks at the end of the log.
pub(super) fn push_log<'a>(sql: &mut QueryBuilder<Sqlite>, rows: impl Iterator<Item = Logged<'a>>) {
    let mut list = List::new();
    for logged in rows {
        list.row(|row| {
            row.number(logged.peer)
                .maybe_hex(logged.event.map(str::as_bytes))
                .number(logged.event_no.cast_signed())
                .hex(&logged.position.epoch.0)
                .number(logged.position.seq.cast_signed())
                .number(logged.position.at.0);
        });
    }
    sql.push(
        "INSERT INTO peer_log (peer, event, event_no, epoch, seq, at_ms)
         SELECT value ->> 0, unhex(value ->> 1), value ->> 2, unhex(value ->> 3), value ->> 4, value ->> 5
         FROM json_each(",
    );
    sql.push_bind(list.end());
    sql.push("); ");
}

/// Moves the events of the log to their places. The positions of all its peers must be written with it.
pub(super) fn push_fold(sql: &mut QueryBuilder<Sqlite>) {
    sql.push(
        "INSERT INTO peer_event (peer, id, no)
         SELECT peer, event, event_no FROM peer_log WHERE event IS NOT NULL ORDER BY peer, event
         ON CONFLICT (peer, id) DO NOTHING;
         DELETE FROM peer_log; ",
    );
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

/// Forgets what a peer was told of a pass.
pub(super) fn push_forget(sql: &mut QueryBuilder<Sqlite>, peer: i64, key: &str) {
    sql.push("DELETE FROM peer_told WHERE peer = ").push_bind(peer);
    sql.push(" AND key = ").push_bind(key.as_bytes().to_vec()).push("; ");
}

/// Removes messages that their peers have acknowledged: peer and the last number.
pub(super) fn push_dropped(sql: &mut QueryBuilder<Sqlite>, dropped: impl Iterator<Item = (i64, u64)>) {
    let mut list = List::new();
    dropped.for_each(|(peer, until)| {
        list.row(|row| {
            row.number(peer).number(until.cast_signed());
        });
    });
    let (before, after) = DROPPED_OF_LIST.split_once("$1").unwrap_or((DROPPED_OF_LIST, ""));
    sql.push(before).push_bind(list.end()).push(after).push("; ");
}

/// See [`TOLD_OF_LIST`].
pub(super) const DROPPED_OF_LIST: &str = "DELETE FROM peer_out WHERE (peer, seq) IN (SELECT o.peer, o.seq
     FROM json_each($1) j CROSS JOIN peer_out o ON o.peer = j.value ->> 0 AND o.seq <= j.value ->> 1)";

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
}
