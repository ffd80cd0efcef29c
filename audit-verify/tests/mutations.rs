//! Ten thousand ways to spoil a stored log, drawn at random with a fixed seed: all are found, given what was published.
//!
//! The table's own rules are lifted first, as somebody who commands the database would do.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests and what they share")]

mod log;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use audit_verify::{FaultKind, verify_database};
use domain::audit::{Entry, Peaks, TreeHash};
use log::{Log, published};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row, SqliteConnection};
use store::Database;

/// How many mutations of a log in SQLite.
const MUTATIONS: u64 = 10_000;
/// How many threads work on them.
const WORKERS: u64 = 4;

/// The columns of the log, with what kind of value stands there.
const COLUMNS: &[(&str, &[(&str, Kind)])] = &[
    (
        "audit_entry",
        &[
            ("no", Kind::Number),
            ("at_ms", Kind::Number),
            ("actor_kind", Kind::Text),
            ("actor", Kind::Text),
            ("session", Kind::Text),
            ("address", Kind::Text),
            ("action", Kind::Text),
            ("outcome", Kind::Text),
            ("subject", Kind::Text),
            ("object", Kind::Text),
            ("fields", Kind::Text),
            ("purpose", Kind::Text),
            ("detail", Kind::Text),
            ("note", Kind::Text),
            ("note_salt", Kind::Bytes),
            ("note_hash", Kind::Bytes),
            ("glass", Kind::Text),
            ("leaf", Kind::Bytes),
        ],
    ),
    ("audit_node", &[("upto", Kind::Number), ("level", Kind::Number), ("hash", Kind::Bytes)]),
    ("audit_state", &[("id", Kind::Number), ("size", Kind::Number), ("peaks", Kind::Text)]),
    ("audit_head", &[("no", Kind::Number), ("size", Kind::Number), ("at_ms", Kind::Number), ("line", Kind::Text)]),
];

#[derive(Clone, Copy)]
enum Kind {
    Number,
    Text,
    Bytes,
}

/// A log, the same log at earlier times, and what was published of it.
struct Scene {
    now: PathBuf,
    earlier: Vec<PathBuf>,
    heads: PathBuf,
    size: u64,
}

async fn connect(path: &Path) -> SqliteConnection {
    SqliteConnectOptions::new()
        .filename(path)
        .pragma("synchronous", "OFF")
        .pragma("journal_mode", "MEMORY")
        .connect()
        .await
        .unwrap()
}

/// Runs a text that a test has put together.
async fn run(conn: &mut SqliteConnection, sql: String) -> Result<u64, sqlx::Error> {
    Ok(sqlx::query(AssertSqlSafe(sql)).execute(conn).await?.rows_affected())
}

async fn scene(folder: &Path) -> Scene {
    let (path, heads) = (folder.join("now.db"), folder.join("heads"));
    let mut earlier = Vec::new();
    for (copy, entries) in [15_u64, 12, 20, 16].into_iter().enumerate() {
        let database = Database::open(&format!("sqlite:{}", path.display())).await.unwrap();
        let mut log = Log::new(database, &heads);
        log.write(entries).await;
        log.publish().await;
        log.database.close().await;
        let mut conn = connect(&path).await;
        let triggers: Vec<String> = sqlx::query_scalar("SELECT name FROM sqlite_schema WHERE type = 'trigger'")
            .fetch_all(&mut conn)
            .await
            .unwrap();
        for name in triggers {
            run(&mut conn, format!("DROP TRIGGER {name}")).await.unwrap();
        }
        conn.close().await.unwrap();
        let kept = folder.join(format!("earlier-{copy}.db"));
        std::fs::copy(&path, &kept).unwrap();
        earlier.push(kept);
    }
    earlier.pop();
    let mut conn = connect(&path).await;
    let size: i64 = sqlx::query_scalar("SELECT size FROM audit_state").fetch_one(&mut conn).await.unwrap();
    conn.close().await.unwrap();
    Scene { now: path, earlier, heads, size: size.cast_unsigned() }
}

/// Spoils a copy; `None` if that changed nothing or the engine refused it. The text says what was done.
async fn spoil(rng: &mut fastrand::Rng, conn: &mut SqliteConnection, size: u64) -> Option<(&'static str, String)> {
    let any = |rng: &mut fastrand::Rng| rng.u64(1..=size);
    match rng.u8(0..20) {
        0..12 => one_value(rng, conn).await.map(|told| ("one value", told)),
        12 => {
            let (first, last) = (any(rng), any(rng));
            let sql = format!("DELETE FROM audit_entry WHERE no BETWEEN {} AND {}", first.min(last), first.max(last));
            run(conn, sql.clone()).await.ok().map(|_| ("entries deleted", sql))
        }
        13 => {
            let (table, _) = COLUMNS[rng.usize(0..COLUMNS.len())];
            let sql =
                format!("DELETE FROM {table} WHERE rowid = (SELECT rowid FROM {table} ORDER BY random() LIMIT 1)");
            let done = run(conn, sql).await.ok()?;
            (done == 1).then(|| ("row deleted", table.to_owned()))
        }
        14 => inserted(rng, conn, size).await.map(|told| ("inserted", told)),
        15 => {
            let (one, other) = (any(rng), any(rng));
            if one == other {
                return None;
            }
            for (from, to) in [(one, 1_000_000), (other, one), (1_000_000, other)] {
                run(conn, format!("UPDATE audit_entry SET no = {to} WHERE no = {from}")).await.unwrap();
            }
            Some(("entries exchanged", format!("{one} and {other}")))
        }
        16 => {
            let (one, other) = (any(rng), any(rng));
            let told: Vec<(String, i64)> = sqlx::query_as("SELECT action, at_ms FROM audit_entry WHERE no IN ($1, $2)")
                .bind(one.cast_signed())
                .bind(other.cast_signed())
                .fetch_all(&mut *conn)
                .await
                .unwrap();
            let [a, b] = &told[..] else { return None };
            if a.0 == b.0 {
                return None;
            }
            for (no, (action, _)) in [(one.min(other), b), (one.max(other), a)] {
                run(conn, format!("UPDATE audit_entry SET action = '{action}' WHERE no = {no}")).await.unwrap();
            }
            Some(("actions exchanged", format!("{one} and {other}")))
        }
        17 => {
            let keep = rng.u64(0..size);
            run(conn, format!("DELETE FROM audit_entry WHERE no > {keep}")).await.unwrap();
            if rng.bool() {
                rebuild(conn).await;
                return Some(("end cut off, the rest made consistent", keep.to_string()));
            }
            Some(("end cut off", keep.to_string()))
        }
        18 => {
            let no = any(rng);
            let sql = format!("UPDATE audit_entry SET action = action || 'x', subject = NULL WHERE no = {no}");
            run(conn, sql).await.unwrap();
            rebuild(conn).await;
            Some(("rewritten, everything made consistent", no.to_string()))
        }
        _ => {
            let no = any(rng);
            run(conn, format!("DELETE FROM audit_entry WHERE no = {no}")).await.unwrap();
            run(conn, format!("UPDATE audit_entry SET no = -no WHERE no > {no}")).await.unwrap();
            run(conn, "UPDATE audit_entry SET no = -no - 1 WHERE no < 0".to_owned()).await.unwrap();
            rebuild(conn).await;
            Some(("removed and closed up, everything made consistent", no.to_string()))
        }
    }
}

async fn one_value(rng: &mut fastrand::Rng, conn: &mut SqliteConnection) -> Option<String> {
    // The rows of the log itself are most of it.
    let at = if rng.u8(0..10) < 6 { 0 } else { rng.usize(0..COLUMNS.len()) };
    let (table, columns) = COLUMNS[at];
    let (column, kind) = columns[rng.usize(0..columns.len())];
    let row: i64 = sqlx::query_scalar(AssertSqlSafe(format!("SELECT rowid FROM {table} ORDER BY random() LIMIT 1")))
        .fetch_one(&mut *conn)
        .await
        .unwrap();
    let told = format!("{table}.{column} of row {row}");
    let select = format!("SELECT CAST({column} AS BLOB), {column} FROM {table} WHERE rowid = {row}");
    let value = sqlx::query(AssertSqlSafe(select)).fetch_one(&mut *conn).await.unwrap();
    let bytes: Option<Vec<u8>> = value.try_get(0).unwrap();
    let update = |value: &str| AssertSqlSafe(format!("UPDATE {table} SET {column} = {value} WHERE rowid = {row}"));
    let query = match (kind, bytes) {
        (_, Some(_)) if rng.u8(0..12) == 0 => sqlx::query(update("NULL")),
        (Kind::Number, _) => {
            let number: i64 = value.try_get(1).unwrap();
            sqlx::query(update("$1")).bind(number ^ (1 << rng.u32(0..64)))
        }
        (Kind::Text, None) => sqlx::query(update("$1")).bind(["", "x", "ac"][rng.usize(0..3)]),
        (Kind::Bytes, None) => sqlx::query(update("$1")).bind(vec![rng.u8(..); 32]),
        (kind, Some(mut bytes)) => {
            if bytes.is_empty() {
                return None;
            }
            match rng.u8(0..4) {
                0 => bytes.truncate(rng.usize(0..bytes.len())),
                1 => bytes.push(rng.u8(b'a'..=b'z')),
                _ => {
                    let byte = rng.usize(0..bytes.len());
                    bytes[byte] ^= 1 << rng.u32(0..8);
                }
            }
            match kind {
                Kind::Text => sqlx::query(update("CAST($1 AS TEXT)")).bind(bytes),
                _ => sqlx::query(update("$1")).bind(bytes),
            }
        }
    };
    query.execute(conn).await.ok().map(|_| told)
}

async fn inserted(rng: &mut fastrand::Rng, conn: &mut SqliteConnection, size: u64) -> Option<String> {
    let from = rng.u64(1..=size);
    let sql = match rng.u8(0..4) {
        0 => format!(
            "INSERT INTO audit_entry SELECT {}, at_ms, actor_kind, actor, session, address, action, outcome, subject,
             object, fields, purpose, detail, note, note_salt, note_hash, glass, leaf FROM audit_entry WHERE no = {from}",
            [size + 1, size + 9, 1 << 40][rng.usize(0..3)]
        ),
        1 => format!(
            "INSERT INTO audit_entry SELECT -no, at_ms, actor_kind, actor, session, address, action, outcome, subject,
             object, fields, purpose, detail, note, note_salt, note_hash, glass, leaf FROM audit_entry WHERE no = {from}"
        ),
        2 => format!(
            "INSERT INTO audit_node SELECT {}, level + {}, hash FROM audit_node ORDER BY random() LIMIT 1",
            rng.u64(0..2 * size),
            rng.u8(0..3)
        ),
        _ => "INSERT INTO audit_head SELECT (SELECT MAX(no) + 1 FROM audit_head), size, at_ms, line FROM audit_head LIMIT 1"
            .to_owned(),
    };
    run(conn, sql.clone()).await.ok().filter(|rows| *rows > 0).map(|_| sql)
}

/// What somebody does who knows how the log is made but has no signing key: all hashes, nodes and the state anew, heads
/// that no longer fit removed.
async fn rebuild(conn: &mut SqliteConnection) {
    let rows = sqlx::query("SELECT * FROM audit_entry ORDER BY no").fetch_all(&mut *conn).await.unwrap();
    run(conn, "DELETE FROM audit_node".to_owned()).await.unwrap();
    let (mut peaks, mut roots) = (Peaks::default(), BTreeMap::new());
    for row in &rows {
        let hash: Option<Vec<u8>> = row.get("note_hash");
        let entry = Entry {
            no: row.get::<i64, _>("no").cast_unsigned(),
            at: domain::UtcMillis(row.get("at_ms")),
            actor_kind: row.get("actor_kind"),
            actor: row.get("actor"),
            session: row.get("session"),
            address: row.get("address"),
            action: row.get("action"),
            outcome: row.get("outcome"),
            subject: row.get("subject"),
            object: row.get("object"),
            fields: row.get("fields"),
            purpose: row.get("purpose"),
            detail: row.get("detail"),
            note_hash: hash.as_deref().and_then(TreeHash::from_slice),
            glass: row.get("glass"),
        };
        let leaf = entry.leaf();
        sqlx::query("UPDATE audit_entry SET leaf = $1 WHERE no = $2")
            .bind(leaf.0.to_vec())
            .bind(entry.no.cast_signed())
            .execute(&mut *conn)
            .await
            .unwrap();
        let mut made = Vec::new();
        peaks.append(leaf, |node, hash| made.push((node, hash)));
        for (node, hash) in made {
            sqlx::query("INSERT INTO audit_node VALUES ($1, $2, $3)")
                .bind(node.upto.cast_signed())
                .bind(i64::from(node.level))
                .bind(hash.0.to_vec())
                .execute(&mut *conn)
                .await
                .unwrap();
        }
        roots.insert(peaks.size(), peaks.root());
    }
    let heads: Vec<(i64, i64, String)> =
        sqlx::query_as("SELECT no, size, line FROM audit_head ORDER BY no").fetch_all(&mut *conn).await.unwrap();
    for (no, size, line) in heads {
        let root = roots.get(&size.cast_unsigned()).map(ToString::to_string);
        if !root.is_some_and(|root| line.contains(&root)) {
            run(conn, format!("DELETE FROM audit_head WHERE no >= {no}")).await.unwrap();
            break;
        }
    }
    sqlx::query("UPDATE audit_state SET size = $1, peaks = $2")
        .bind(peaks.size().cast_signed())
        .bind(peaks.to_text())
        .execute(conn)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ten_thousand_random_mutations_are_all_found() {
    let folder = tempfile::tempdir().unwrap();
    let scene = std::sync::Arc::new(scene(folder.path()).await);
    let url = |path: &Path| format!("sqlite:{}", path.display());
    let sound = verify_database(&url(&scene.now), published(&scene.heads)).await.unwrap();
    assert!(sound.is_sound(), "{sound}");
    assert_eq!((sound.entries, sound.covered), (scene.size, scene.size));

    for earlier in &scene.earlier {
        let report = verify_database(&url(earlier), published(&scene.heads)).await.unwrap();
        assert_eq!(report.faults.first().map(|fault| fault.kind), Some(FaultKind::RolledBack), "{report}");
        let alone = verify_database(&url(earlier), audit_verify::Published::default()).await.unwrap();
        assert!(alone.is_sound(), "nothing but what was published tells an old copy: {alone}");
    }

    let workers = (0..WORKERS).map(|worker| {
        let (scene, folder) = (scene.clone(), folder.path().to_owned());
        tokio::spawn(async move {
            let mut rng = fastrand::Rng::with_seed(0x7a9_0006 + worker);
            let copy = folder.join(format!("copy-{worker}.db"));
            let url = format!("sqlite:{}", copy.display());
            let heads = published(&scene.heads);
            let mut kinds: BTreeMap<&str, u64> = BTreeMap::new();
            let mut done = 0;
            while done < MUTATIONS / WORKERS {
                std::fs::copy(&scene.now, &copy).unwrap();
                let mut conn = connect(&copy).await;
                let spoilt = spoil(&mut rng, &mut conn, scene.size).await;
                conn.close().await.unwrap();
                let Some((kind, told)) = spoilt else { continue };
                let report = verify_database(&url, heads.clone()).await.unwrap();
                assert!(!report.is_sound(), "not found: {kind}: {told}\n{report}");
                *kinds.entry(kind).or_default() += 1;
                done += 1;
            }
            kinds
        })
    });
    let mut kinds: BTreeMap<&str, u64> = BTreeMap::new();
    for worker in workers.collect::<Vec<_>>() {
        for (kind, count) in worker.await.unwrap() {
            *kinds.entry(kind).or_default() += count;
        }
    }
    assert_eq!(kinds.values().sum::<u64>(), MUTATIONS);
    assert!(kinds.len() >= 9 && kinds.values().all(|count| *count >= 100), "every kind was tried: {kinds:?}");
}
