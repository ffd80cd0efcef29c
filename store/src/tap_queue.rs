//! What an agent at somebody's computer must not forget: the taps that the gateway has not acknowledged, and how far each
//! end has come. A small SQLite file of its own (WAL, synced at each tap), used by one program at a time. What was tapped is
//! sealed. Never opens a connection; knows nothing of messages.

use std::fs::File;
use std::path::Path;

use domain::UtcMillis;
use domain::vault::{BoxKey, Nonce, Place, Sealed};
use sqlx::{ConnectOptions, Connection, SqliteConnection};

use crate::database::{check_file, is_sound, sqlite_options};
use crate::error::{Error, Fault};

/// "TWA1" as a number: says that an SQLite file is a queue of ours (`PRAGMA application_id`).
const APPLICATION_ID: i64 = 0x5457_4131;

const TABLES: &str = "
    CREATE TABLE place (
        one      INTEGER PRIMARY KEY CHECK (one = 1),
        epoch    BLOB NOT NULL,
        last     INTEGER NOT NULL,
        acked    INTEGER NOT NULL,
        peer     BLOB,
        held     INTEGER NOT NULL
    );
    CREATE TABLE tap (
        seq   INTEGER PRIMARY KEY,
        id    BLOB NOT NULL,
        at_ms INTEGER NOT NULL,
        late  INTEGER NOT NULL,
        what  BLOB NOT NULL
    );
";

/// A tap that waits.
#[derive(Clone, PartialEq, Eq)]
pub struct QueuedTap {
    /// Its number within the epoch.
    pub seq: u64,
    /// Its id, the same however often it is told.
    pub id: [u8; 16],
    /// When it was read.
    pub at: UtcMillis,
    /// It was read while nobody could be told.
    pub is_late: bool,
    /// What was read.
    pub what: String,
}

impl std::fmt::Debug for QueuedTap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "QueuedTap({}, redacted)", self.seq)
    }
}

/// An open queue. It is locked against other programs as long as it lives.
pub struct TapQueue {
    connection: SqliteConnection,
    key: BoxKey,
    max: u64,
    epoch: [u8; 16],
    last: u64,
    acked: u64,
    peer: Option<[u8; 16]>,
    held: u64,
    waiting: u64,
    _lock: File,
}

impl std::fmt::Debug for TapQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TapQueue({} waiting)", self.waiting)
    }
}

#[derive(sqlx::FromRow)]
struct PlaceRow {
    epoch: Vec<u8>,
    last: i64,
    acked: i64,
    peer: Option<Vec<u8>>,
    held: i64,
}

#[derive(sqlx::FromRow)]
struct TapRow {
    seq: i64,
    id: Vec<u8>,
    at_ms: i64,
    late: bool,
    what: Vec<u8>,
}

impl TapQueue {
    /// Opens or makes the file; `fresh` is the epoch of a new one. At most `max` taps wait.
    ///
    /// # Errors
    /// [`Fault::Busy`] when another program has it open, [`Fault::NotADatabase`] for another file, or the disk.
    pub async fn open(path: &Path, key: BoxKey, max: u64, fresh: [u8; 16]) -> Result<Self, Error> {
        let named = |error: Error| error.during(format!("opening the queue {}", path.display()));
        check_file(path).map_err(named)?;
        let lock = lock(path).map_err(named)?;
        let mut connection = sqlite_options(path).connect().await.map_err(|error| named(Error::from(error)))?;
        let (place, waiting) = prepare(&mut connection, fresh).await.map_err(named)?;
        Ok(Self {
            connection,
            key,
            max,
            epoch: bytes("epoch", &place.epoch)?,
            last: place.last.cast_unsigned(),
            acked: place.acked.cast_unsigned(),
            peer: place.peer.map(|peer| bytes("peer", &peer)).transpose()?,
            held: place.held.cast_unsigned(),
            waiting,
            _lock: lock,
        })
    }

    /// Made when the file was: numbers count within it.
    pub const fn epoch(&self) -> [u8; 16] {
        self.epoch
    }

    /// The number of the last tap; 0: none yet.
    pub const fn last(&self) -> u64 {
        self.last
    }

    /// Taps up to this are acknowledged.
    pub const fn acked(&self) -> u64 {
        self.acked
    }

    /// The other end's epoch and how far we have followed it.
    pub const fn held(&self) -> Option<([u8; 16], u64)> {
        match self.peer {
            Some(peer) => Some((peer, self.held)),
            None => None,
        }
    }

    /// Taps that wait.
    pub const fn waiting(&self) -> u64 {
        self.waiting
    }

    /// Keeps a tap; false when the queue is full: then it is as if it had not been read. It is on the disk when this
    /// returns. `nonce` has just been drawn.
    ///
    /// # Errors
    /// The disk.
    pub async fn push(
        &mut self,
        id: [u8; 16],
        at: UtcMillis,
        is_late: bool,
        what: &str,
        nonce: Nonce,
    ) -> Result<bool, Error> {
        if self.waiting >= self.max {
            return Ok(false);
        }
        let seq = self.last + 1;
        let sealed = self.key.seal(place(&hex(&id)), nonce, what.as_bytes()).into_bytes();
        let mut transaction = self.connection.begin_with("BEGIN IMMEDIATE").await?;
        sqlx::query("INSERT INTO tap (seq, id, at_ms, late, what) VALUES ($1, $2, $3, $4, $5)")
            .bind(seq.cast_signed())
            .bind(id.as_slice())
            .bind(at.0)
            .bind(is_late)
            .bind(sealed)
            .execute(&mut *transaction)
            .await?;
        sqlx::query("UPDATE place SET last = $1").bind(seq.cast_signed()).execute(&mut *transaction).await?;
        transaction.commit().await?;
        self.last = seq;
        self.waiting += 1;
        Ok(true)
    }

    /// The tap of this number, if it waits.
    ///
    /// # Errors
    /// The disk, or a tap that was sealed with another key.
    pub async fn tap(&mut self, seq: u64) -> Result<Option<QueuedTap>, Error> {
        let row: Option<TapRow> = sqlx::query_as("SELECT seq, id, at_ms, late, what FROM tap WHERE seq = $1")
            .bind(seq.cast_signed())
            .fetch_optional(&mut self.connection)
            .await?;
        row.map(|row| self.read(row)).transpose()
    }

    /// Taps up to this number are acknowledged: they are forgotten.
    ///
    /// # Errors
    /// The disk.
    pub async fn acknowledge(&mut self, seq: u64) -> Result<(), Error> {
        if seq <= self.acked || seq > self.last {
            return Ok(());
        }
        let mut transaction = self.connection.begin_with("BEGIN IMMEDIATE").await?;
        let gone = sqlx::query("DELETE FROM tap WHERE seq <= $1")
            .bind(seq.cast_signed())
            .execute(&mut *transaction)
            .await?
            .rows_affected();
        sqlx::query("UPDATE place SET acked = $1").bind(seq.cast_signed()).execute(&mut *transaction).await?;
        transaction.commit().await?;
        self.acked = seq;
        self.waiting = self.waiting.saturating_sub(gone);
        Ok(())
    }

    /// We have followed the other end's messages of this epoch up to here.
    ///
    /// # Errors
    /// The disk.
    pub async fn follow(&mut self, peer: [u8; 16], held: u64) -> Result<(), Error> {
        if self.held() == Some((peer, held)) {
            return Ok(());
        }
        sqlx::query("UPDATE place SET peer = $1, held = $2")
            .bind(peer.as_slice())
            .bind(held.cast_signed())
            .execute(&mut self.connection)
            .await?;
        (self.peer, self.held) = (Some(peer), held);
        Ok(())
    }

    /// Numbers begin anew with what waits: after the other end lost its journal.
    ///
    /// # Errors
    /// The disk.
    pub async fn begin_epoch(&mut self, fresh: [u8; 16]) -> Result<(), Error> {
        let acked = self.acked.cast_signed();
        let mut transaction = self.connection.begin_with("BEGIN IMMEDIATE").await?;
        // All of one statement, and upwards by way of negative numbers, so that no two rows ever have one number.
        sqlx::query("UPDATE tap SET seq = $1 - seq").bind(acked).execute(&mut *transaction).await?;
        sqlx::query("UPDATE tap SET seq = -seq").execute(&mut *transaction).await?;
        let last = self.last.saturating_sub(self.acked);
        sqlx::query("UPDATE place SET epoch = $1, last = $2, acked = 0")
            .bind(fresh.as_slice())
            .bind(last.cast_signed())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        (self.epoch, self.last, self.acked) = (fresh, last, 0);
        Ok(())
    }

    fn read(&self, row: TapRow) -> Result<QueuedTap, Error> {
        let id: [u8; 16] = bytes("id", &row.id)?;
        let bad = |problem: &dyn std::fmt::Display| Error::bad_row("tap", "what", problem.to_string());
        let sealed = Sealed::from_bytes(row.what).map_err(|problem| bad(&problem))?;
        let clear = self.key.open(place(&hex(&id)), &sealed).map_err(|problem| bad(&problem))?;
        let what = String::from_utf8(clear.to_vec()).map_err(|_| bad(&"it is no text"))?;
        Ok(QueuedTap { seq: row.seq.cast_unsigned(), id, at: UtcMillis(row.at_ms), is_late: row.late, what })
    }
}

async fn prepare(connection: &mut SqliteConnection, fresh: [u8; 16]) -> Result<(PlaceRow, u64), Error> {
    let version: String = sqlx::query_scalar("SELECT sqlite_version()").fetch_one(&mut *connection).await?;
    if !is_sound(&version) {
        return Err(Error::new("", Fault::OldEngine(version)));
    }
    let application: i64 = sqlx::query_scalar("PRAGMA application_id").fetch_one(&mut *connection).await?;
    let tables: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM sqlite_schema").fetch_one(&mut *connection).await?;
    if tables == 0 {
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        sqlx::raw_sql(TABLES).execute(&mut *transaction).await?;
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!("PRAGMA application_id = {APPLICATION_ID}")))
            .execute(&mut *transaction)
            .await?;
        sqlx::query("INSERT INTO place (one, epoch, last, acked, held) VALUES (1, $1, 0, 0, 0)")
            .bind(fresh.as_slice())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
    } else if application != APPLICATION_ID {
        return Err(Error::new("", Fault::NotADatabase));
    }
    let place = sqlx::query_as("SELECT epoch, last, acked, peer, held FROM place").fetch_one(&mut *connection).await?;
    let waiting: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM tap").fetch_one(&mut *connection).await?;
    Ok((place, waiting.cast_unsigned()))
}

fn lock(path: &Path) -> Result<File, Error> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let cannot = |_| Error::new("", Fault::CannotOpen);
    let file = File::options().create(true).truncate(false).write(true).open(name).map_err(cannot)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(_) => Err(Error::new("another agent has this queue open", Fault::Busy)),
    }
}

const fn place(row: &str) -> Place<'_> {
    Place { table: "tap", column: "what", row }
}

fn bytes(column: &'static str, bytes: &[u8]) -> Result<[u8; 16], Error> {
    bytes.try_into().map_err(|_| Error::bad_row("place", column, "it is not 16 bytes long"))
}

fn hex(bytes: &[u8; 16]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: UtcMillis = UtcMillis(1_795_248_000_000);

    fn nonce(n: u8) -> Nonce {
        Nonce::new([n; domain::vault::NONCE_BYTES])
    }

    async fn queue(path: &Path) -> TapQueue {
        TapQueue::open(path, BoxKey::new([5; 32]), 5, [1; 16]).await.unwrap()
    }

    #[tokio::test]
    async fn what_was_tapped_is_there_again_until_it_is_acknowledged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("taps.db");
        let mut one = queue(&path).await;
        for n in 0..5 {
            assert!(one.push([n; 16], AT, n == 4, &format!("CARD-{n}"), nonce(n)).await.unwrap());
        }
        assert!(!one.push([9; 16], AT, false, "CARD-9", nonce(9)).await.unwrap(), "full: the newest is refused");
        one.acknowledge(2).await.unwrap();
        one.follow([7; 16], 3).await.unwrap();
        let busy = TapQueue::open(&path, BoxKey::new([5; 32]), 5, [1; 16]).await.unwrap_err();
        assert_eq!(*busy.fault(), Fault::Busy);
        drop(one);
        let files: Vec<u8> = std::fs::read_dir(folder.path())
            .unwrap()
            .flat_map(|file| std::fs::read(file.unwrap().path()).unwrap())
            .collect();
        assert!(!files.windows(4).any(|bytes| bytes == b"CARD"), "sealed");
        let mut again = queue(&path).await;
        assert_eq!((again.epoch(), again.last(), again.acked(), again.waiting()), ([1; 16], 5, 2, 3));
        assert_eq!(again.held(), Some(([7; 16], 3)));
        assert_eq!(again.tap(2).await.unwrap(), None);
        let tap = again.tap(5).await.unwrap().unwrap();
        assert_eq!((tap.what.as_str(), tap.is_late, tap.at, tap.id), ("CARD-4", true, AT, [4; 16]));
        again.begin_epoch([2; 16]).await.unwrap();
        assert_eq!((again.epoch(), again.last(), again.acked()), ([2; 16], 3, 0));
        let whats = [again.tap(1).await.unwrap().unwrap().what, again.tap(3).await.unwrap().unwrap().what];
        assert_eq!(whats, ["CARD-2", "CARD-4"]);
        assert!(again.push([8; 16], AT, false, "CARD-8", nonce(8)).await.unwrap());
        assert_eq!(again.tap(4).await.unwrap().unwrap().id, [8; 16]);
    }

    #[tokio::test]
    async fn another_file_or_another_key_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("taps.db");
        queue(&path).await.push([1; 16], AT, false, "x", nonce(1)).await.unwrap();
        let mut other = TapQueue::open(&path, BoxKey::new([6; 32]), 5, [1; 16]).await.unwrap();
        assert!(other.tap(1).await.is_err());
        let foreign = folder.path().join("foreign.db");
        let mut connection = sqlite_options(&foreign).connect().await.unwrap();
        sqlx::raw_sql("CREATE TABLE x (y)").execute(&mut connection).await.unwrap();
        let error = TapQueue::open(&foreign, BoxKey::new([6; 32]), 5, [1; 16]).await.unwrap_err();
        assert_eq!(*error.fault(), Fault::NotADatabase);
    }
}
