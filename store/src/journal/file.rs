//! The journal's file: its tables, opening it, and one entry as a row.

use std::fs::File;
use std::path::{Path, PathBuf};

use domain::event::DETAIL_MAX_BYTES;
use domain::{CardId, Direction, Draft, Entry, Epoch, GatewayId, Kind, PersonId, PointId, ReaderId, Reason, UtcMillis};
use sqlx::sqlite::SqliteRow;
use sqlx::{ConnectOptions, Connection, QueryBuilder, Row, Sqlite, SqliteConnection};

use super::chain::{self, Link};
use super::peer_file::{self, Known};
use crate::database::{check_file, is_sound, sqlite_options};
use crate::error::{Error, Fault};

/// "TWJ1" as a number: says that an SQLite file is a journal of ours (`PRAGMA application_id`).
const APPLICATION_ID: i64 = 0x5457_4a31;
/// The layout below (`PRAGMA user_version`).
const LAYOUT: i64 = 2;
/// The layout before peers: raised at opening, and still read.
const LAYOUT_WITHOUT_PEERS: i64 = 1;
/// Up to this size the file's pages are checked at opening (about a second); beyond, `journal verify` does it.
const CHECKED_AT_OPEN_MAX_BYTES: u64 = 64 << 20;

/// Statements kept prepared: those of small groups, with marks and without, differ by the number of facts.
const PREPARED_MAX: usize = 256;

/// The last entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub seq: u64,
    pub link: Link,
}

/// An open file with its only writing connection.
pub(super) struct Opened {
    pub path: PathBuf,
    pub connection: SqliteConnection,
    pub epoch: Epoch,
    pub head: Head,
    pub acked: u64,
    pub known: Known,
    /// Held as long as we write; other processes may read.
    pub lock: File,
}

pub(super) async fn open(path: &Path, gateway: &GatewayId, fresh: Epoch, now: UtcMillis) -> Result<Opened, Error> {
    let named = |error: Error| error.during(format!("opening the journal {}", path.display()));
    check_file(path).map_err(named)?;
    let lock = lock(path).map_err(named)?;
    let mut connection = connect(path, true).await.map_err(named)?;
    prepare(&mut connection, path, gateway, fresh, now).await.map_err(named)?;
    let meta = read_meta(&mut connection).await.map_err(named)?;
    if meta.gateway != *gateway {
        let problem = format!("this is the journal of gateway {:?}, not of {gateway:?}", meta.gateway);
        return Err(named(Error::new("", Fault::BadRow { table: "meta", column: "gateway", problem })));
    }
    let mut head = read_head(&mut connection, &meta).await.map_err(named)?;
    if head.seq < meta.acked {
        // Its end was cut off. Numbers that the receiver has must not be given to other facts: it would take those
        // for repetitions. So numbering goes on after them, and verification reports the hole.
        tracing::error!(last = head.seq, acked = meta.acked, "journal.end_missing");
        head.seq = meta.acked;
    }
    let known = peer_file::load(&mut connection).await.map_err(named)?;
    Ok(Opened { path: path.to_owned(), connection, epoch: meta.epoch, head, acked: meta.acked, known, lock })
}

/// Opens the writing connection; `create` only at the very first opening, so that a file removed under a running
/// gateway is an error and not a fresh, empty journal.
pub(super) async fn connect(path: &Path, create: bool) -> Result<SqliteConnection, Error> {
    let options = sqlite_options(path).create_if_missing(create).statement_cache_capacity(PREPARED_MAX);
    let mut connection = options.connect().await?;
    let version: String = sqlx::query_scalar("SELECT sqlite_version()").fetch_one(&mut connection).await?;
    if !is_sound(&version) {
        return Err(Error::new("", Fault::OldEngine(version)));
    }
    Ok(connection)
}

fn lock(path: &Path) -> Result<File, Error> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let cannot = |_| Error::new("", Fault::CannotOpen);
    let file = File::options().create(true).truncate(false).write(true).open(name).map_err(cannot)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(_) => Err(Error::new("another gateway has this journal open", Fault::Busy)),
    }
}

async fn prepare(
    connection: &mut SqliteConnection,
    path: &Path,
    gateway: &GatewayId,
    fresh: Epoch,
    now: UtcMillis,
) -> Result<(), Error> {
    let tables: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM sqlite_schema").fetch_one(&mut *connection).await?;
    if tables == 0 {
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        sqlx::raw_sql(TABLES).execute(&mut *transaction).await?;
        sqlx::raw_sql(peer_file::TABLES).execute(&mut *transaction).await?;
        sqlx::raw_sql(RAISE_LAYOUT).execute(&mut *transaction).await?;
        sqlx::query("INSERT INTO meta (id, gateway, epoch, created_ms, acked, base_seq, base_chain) VALUES (1, $1, $2, $3, 0, 0, $4)")
            .bind(gateway.as_str())
            .bind(fresh.0.as_slice())
            .bind(now.0)
            .bind(chain::genesis(gateway, fresh).as_slice())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        return Ok(());
    }
    let layout = check_layout(connection).await?;
    let size = std::fs::metadata(path).map_or(0, |found| found.len());
    if size <= CHECKED_AT_OPEN_MAX_BYTES {
        let answer: String = sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(&mut *connection).await?;
        if answer != "ok" {
            return Err(Error::new("", Fault::Corrupt));
        }
    }
    if layout < LAYOUT {
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        sqlx::raw_sql(peer_file::TABLES).execute(&mut *transaction).await?;
        sqlx::raw_sql(RAISE_LAYOUT).execute(&mut *transaction).await?;
        transaction.commit().await?;
        tracing::info!(from = layout, to = LAYOUT, "journal.layout.raised");
    }
    Ok(())
}

/// The layout of a file. Refuses one that is not a journal, or is laid out by a newer program.
pub(super) async fn check_layout(connection: &mut SqliteConnection) -> Result<i64, Error> {
    let application: i64 = sqlx::query_scalar("PRAGMA application_id").fetch_one(&mut *connection).await?;
    if application != APPLICATION_ID {
        return Err(Error::new("", Fault::NotADatabase));
    }
    let layout: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut *connection).await?;
    if !(LAYOUT_WITHOUT_PEERS..=LAYOUT).contains(&layout) {
        return Err(Error::new("", Fault::NewerSchema(layout)));
    }
    Ok(layout)
}

/// Whether the file has tables for peers: a reader may meet one that no gateway of this release has opened yet.
pub(super) async fn has_peers(connection: &mut SqliteConnection) -> Result<bool, Error> {
    Ok(check_layout(connection).await? > LAYOUT_WITHOUT_PEERS)
}

/// The pragmas repeat [`LAYOUT`] and [`APPLICATION_ID`]; a test compares them.
const RAISE_LAYOUT: &str = "PRAGMA user_version = 2;";
/// Of every layout.
const TABLES: &str = "
PRAGMA application_id = 1415006769;
CREATE TABLE meta (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    gateway TEXT NOT NULL,
    epoch BLOB NOT NULL,
    created_ms INTEGER NOT NULL,
    acked INTEGER NOT NULL,
    base_seq INTEGER NOT NULL,
    base_chain BLOB NOT NULL
) STRICT;
CREATE TABLE entry (
    seq INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    kind TEXT NOT NULL,
    reason TEXT,
    point TEXT,
    reader TEXT,
    direction TEXT,
    card BLOB,
    person BLOB,
    age_ms INTEGER,
    detail TEXT,
    chain BLOB NOT NULL
) STRICT;
";

/// The one row about the journal itself.
pub(super) struct Meta {
    pub gateway: GatewayId,
    pub epoch: Epoch,
    pub acked: u64,
    /// The last entry that was pruned; 0 when none was.
    pub base: Head,
}

pub(super) async fn read_meta(connection: &mut SqliteConnection) -> Result<Meta, Error> {
    let row: (String, Vec<u8>, i64, i64, Vec<u8>) =
        sqlx::query_as("SELECT gateway, epoch, acked, base_seq, base_chain FROM meta WHERE id = 1")
            .fetch_optional(&mut *connection)
            .await?
            .ok_or_else(|| Error::new("", Fault::Corrupt))?;
    let (gateway, epoch, acked, base_seq, base_chain) = row;
    Ok(Meta {
        gateway: GatewayId::new(&gateway).map_err(|problem| Error::bad_row("meta", "gateway", problem))?,
        epoch: Epoch(sized(&epoch, "meta", "epoch")?),
        acked: unsigned(acked, "meta", "acked")?,
        base: Head { seq: unsigned(base_seq, "meta", "base_seq")?, link: sized(&base_chain, "meta", "base_chain")? },
    })
}

pub(super) async fn read_head(connection: &mut SqliteConnection, meta: &Meta) -> Result<Head, Error> {
    let row: Option<(i64, Vec<u8>)> =
        sqlx::query_as("SELECT seq, chain FROM entry ORDER BY seq DESC LIMIT 1").fetch_optional(connection).await?;
    match row {
        Some((seq, link)) => Ok(Head { seq: unsigned(seq, "entry", "seq")?, link: sized(&link, "entry", "chain")? }),
        None => Ok(meta.base),
    }
}

/// Writes entries. A statement that stands alone is its own transaction.
pub(super) fn push_entries<'a>(sql: &mut QueryBuilder<Sqlite>, rows: impl Iterator<Item = (u64, &'a Draft, Link)>) {
    sql.push(
        "INSERT INTO entry (seq, at_ms, kind, reason, point, reader, direction, card, person, age_ms, detail, chain) ",
    );
    sql.push_values(rows, |mut row, (seq, fact, link)| {
        row.push_bind(seq.cast_signed())
            .push_bind(fact.at.0)
            .push_bind(fact.kind.as_str())
            .push_bind(fact.reason.map(Reason::as_str))
            .push_bind(fact.point.as_ref().map(|it| it.as_str().to_owned()))
            .push_bind(fact.reader.as_ref().map(|it| it.as_str().to_owned()))
            .push_bind(fact.direction.map(Direction::as_str))
            .push_bind(fact.card.map(|it| it.0.to_vec()))
            .push_bind(fact.person.map(|it| it.0.to_vec()))
            .push_bind(fact.age_ms.map(i64::from))
            .push_bind(fact.detail.clone())
            .push_bind(link.to_vec());
    });
    sql.push("; ");
}

/// Cuts a detail to the length that the journal keeps, at a character's edge.
pub(super) fn trim(fact: &mut Draft) {
    if let Some(detail) = &mut fact.detail
        && detail.len() > DETAIL_MAX_BYTES
    {
        detail.truncate(detail.floor_char_boundary(DETAIL_MAX_BYTES));
    }
}

/// A row of `entry` (all columns) as a fact with its number and link.
pub(super) fn read_row(row: &SqliteRow) -> Result<(u64, Draft, Link), Error> {
    const TABLE: &str = "entry";
    fn code<T>(text: &str, column: &'static str, parse: fn(&str) -> Option<T>) -> Result<T, Error> {
        parse(text).ok_or_else(|| Error::bad_row(TABLE, column, format!("{text:?} is not known to this version")))
    }
    let seq = unsigned(row.try_get("seq")?, TABLE, "seq")?;
    let kind: &str = row.try_get("kind")?;
    let reason: Option<&str> = row.try_get("reason")?;
    let point: Option<&str> = row.try_get("point")?;
    let reader: Option<&str> = row.try_get("reader")?;
    let direction: Option<&str> = row.try_get("direction")?;
    let card: Option<&[u8]> = row.try_get("card")?;
    let person: Option<&[u8]> = row.try_get("person")?;
    let age_ms: Option<i64> = row.try_get("age_ms")?;
    let bad = |column| move |problem| Error::bad_row(TABLE, column, problem);
    let fact = Draft {
        at: UtcMillis(row.try_get("at_ms")?),
        kind: code(kind, "kind", Kind::parse)?,
        reason: reason.map(|text| code(text, "reason", Reason::parse)).transpose()?,
        point: point.map(PointId::new).transpose().map_err(bad("point"))?,
        reader: reader.map(ReaderId::new).transpose().map_err(bad("reader"))?,
        direction: direction.map(|text| code(text, "direction", Direction::parse)).transpose()?,
        card: card.map(|bytes| sized(bytes, TABLE, "card").map(CardId)).transpose()?,
        person: person.map(|bytes| sized(bytes, TABLE, "person").map(PersonId)).transpose()?,
        age_ms: age_ms
            .map(|age| u32::try_from(age).map_err(|_| Error::bad_row(TABLE, "age_ms", "out of range")))
            .transpose()?,
        detail: row.try_get("detail")?,
    };
    let link = sized(row.try_get("chain")?, TABLE, "chain")?;
    Ok((seq, fact, link))
}

/// As [`read_row`], as an entry of this journal.
pub(super) fn entry(row: &SqliteRow, gateway: &GatewayId, epoch: Epoch) -> Result<Entry, Error> {
    let (seq, fact, _) = read_row(row)?;
    Ok(Entry { gateway: gateway.clone(), epoch, seq, fact })
}

pub(super) fn unsigned(value: i64, table: &'static str, column: &'static str) -> Result<u64, Error> {
    u64::try_from(value).map_err(|_| Error::bad_row(table, column, "negative"))
}

pub(super) fn sized<const N: usize>(bytes: &[u8], table: &'static str, column: &'static str) -> Result<[u8; N], Error> {
    bytes.try_into().map_err(|_| Error::bad_row(table, column, format!("{} bytes instead of {N}", bytes.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_says_what_it_is() {
        assert!(TABLES.contains(&format!("PRAGMA application_id = {APPLICATION_ID};")));
        assert_eq!(RAISE_LAYOUT, format!("PRAGMA user_version = {LAYOUT};"));
    }
}
