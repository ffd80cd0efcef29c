//! The audit log: what a check costs beside the hashing that it cannot do without, and what an entry adds to a
//! transaction.
//!
//! - verify: an export of `ENTRIES` entries (200,000 unless the environment says otherwise), against a bare SHA-256 over
//!   the same bytes of entries, and against the goal of 100,000 entries a second; then the same log from SQLite;
//! - append: a transaction with an entry, against the same transaction without one.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods, reason = "a bench, not the product")]

use std::io::Write;
use std::time::Instant;

use audit_verify::{Published, verify_database, verify_export};
use clinic::acting::{Acting, Actor};
use clinic::audit::{self, Action, Draft, Filter};
use domain::audit::{Entry, leaf_hash};
use domain::{Field, PersonId, SiteId, UtcMillis};
use store::{Database, transact};

/// Entries a second that a check must reach.
const GOAL: f64 = 100_000.0;
/// Transactions of each kind.
const APPENDS: u32 = 2000;

fn entries() -> u64 {
    std::env::var("ENTRIES").ok().and_then(|text| text.parse().ok()).unwrap_or(200_000)
}

fn draft(n: u64) -> Draft {
    let person = u128::from(n % 5000).to_be_bytes();
    Draft {
        subject: Some(PersonId(person)),
        fields: vec![Field::Name, Field::Photo],
        session: Some("5e".repeat(16)),
        address: Some("192.0.2.17".to_owned()),
        ..Draft::new(UtcMillis(1_790_000_000_000), Actor::Account("ac".repeat(16)), Action::PersonSeen)
    }
}

#[tokio::main]
async fn main() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("audit.db").display());
    let database = Database::open(&url).await.unwrap();

    let begin = Instant::now();
    for _ in 0..APPENDS {
        transact!(database, "bench.bare", |conn| {
            store::sqlx::query("UPDATE counter SET value = value + 1 WHERE name = 'policy'")
                .execute(&mut *conn)
                .await?;
            Ok(())
        })
        .unwrap();
    }
    let bare = begin.elapsed().as_secs_f64() / f64::from(APPENDS);
    let begin = Instant::now();
    for n in 0..APPENDS {
        audit::write(&database, draft(u64::from(n))).await.unwrap();
    }
    let append = begin.elapsed().as_secs_f64() / f64::from(APPENDS);
    println!("append: {:.0} us, a bare transaction {:.0} us, ratio {:.2}", append * 1e6, bare * 1e6, append / bare);

    for n in audit::size(&database).await.unwrap()..entries() {
        audit::write(&database, draft(n)).await.unwrap();
    }
    let path = folder.path().join("audit.jsonl");
    let mut file = std::io::BufWriter::new(std::fs::File::create(&path).unwrap());
    let now = UtcMillis(1_790_000_000_000);
    let mut export = audit::export(&database, &Acting::console(), now, Filter::default(), "bench").await.unwrap();
    writeln!(file, "{}", export.first_line(&SiteId::new("bench").unwrap())).unwrap();
    let mut bytes: Vec<Entry> = Vec::new();
    loop {
        let block = export.next().await.unwrap();
        if block.is_empty() {
            break;
        }
        for recorded in block {
            writeln!(file, "{}", audit::line(&recorded)).unwrap();
            bytes.push(recorded.entry);
        }
    }
    writeln!(file, "{}", export.last_line().await.unwrap()).unwrap();
    file.flush().unwrap();

    let inputs: Vec<Vec<u8>> = bytes.iter().map(Entry::to_bytes).collect();
    let begin = Instant::now();
    for input in &inputs {
        std::hint::black_box(leaf_hash(input));
    }
    let floor = begin.elapsed().as_secs_f64();
    let count = inputs.len() as f64;
    let told = |what: &str, seconds: f64| {
        let (speed, ratio) = (count / seconds, seconds / floor);
        let goal = if speed >= GOAL { "reached" } else { "MISSED" };
        println!("{what}: {speed:.0} entries/s, {ratio:.1} times the bare hashing; goal {GOAL:.0} {goal}");
    };
    let begin = Instant::now();
    let report = verify_export(&path, Published::default()).unwrap();
    told("verify an export", begin.elapsed().as_secs_f64());
    assert!(report.is_sound(), "{report}");
    let begin = Instant::now();
    let report = verify_database(&url, Published::default()).await.unwrap();
    told("verify SQLite", begin.elapsed().as_secs_f64());
    assert!(report.is_sound(), "{report}");
}
