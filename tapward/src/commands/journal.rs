//! `tapward journal tail|verify`: reads the journal beside a running gateway.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use chrono_tz::Tz;
use domain::Entry;
use domain::event::AGE_UNKNOWN_MS;
use serde_json::{Map, Value};
use store::journal::JournalReader;

use crate::cli::{JournalCommand, exit};
use crate::config::Config;

/// Entries read at once.
const CHUNK: usize = 1000;
/// How many entries `tail` begins with for people.
const LAST: u64 = 20;
/// How often `--follow` looks for new ones.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Carries it out.
pub async fn journal(config: &Config, command: JournalCommand) -> anyhow::Result<u8> {
    let path = config.data.join("journal.db");
    let reader = JournalReader::open(&path).await?;
    let done = match command {
        JournalCommand::Tail { json, follow, after } => tail(&reader, config.time_zone, json, follow, after).await,
        JournalCommand::Verify => return verify(&reader, &path).await,
    };
    match done {
        // Whoever read us has enough.
        Err(error) if super::is_broken_pipe(&error) => Ok(0),
        Err(error) => Err(error),
        Ok(()) => Ok(0),
    }
}

async fn tail(reader: &JournalReader, zone: Tz, json: bool, follow: bool, after: Option<u64>) -> anyhow::Result<()> {
    let mut seq = match after {
        Some(seq) => seq,
        None if json => 0,
        None => reader.read_last(1).await?.first().map_or(0, |entry| entry.seq.saturating_sub(LAST)),
    };
    loop {
        let entries = reader.read_after(seq, CHUNK).await?;
        let mut out = io::stdout().lock();
        for entry in &entries {
            seq = entry.seq;
            if json {
                serde_json::to_writer(&mut out, &as_json(entry)).map_err(io::Error::from)?;
                out.write_all(b"\n")?;
            } else {
                writeln!(out, "{}", as_text(entry, zone))?;
            }
        }
        out.flush()?;
        drop(out);
        if entries.is_empty() {
            if !follow {
                return Ok(());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

fn as_json(entry: &Entry) -> Value {
    let fact = &entry.fact;
    let text = |value: Option<String>| value.map_or(Value::Null, Value::String);
    let mut object = Map::new();
    object.insert("gateway".into(), entry.gateway.as_str().into());
    object.insert("epoch".into(), entry.epoch.to_string().into());
    object.insert("seq".into(), entry.seq.into());
    object.insert("at".into(), fact.at.to_rfc3339().into());
    object.insert("kind".into(), fact.kind.as_str().into());
    object.insert("point".into(), text(fact.point.as_ref().map(ToString::to_string)));
    object.insert("reader".into(), text(fact.reader.as_ref().map(ToString::to_string)));
    object.insert("direction".into(), text(fact.direction.map(|direction| direction.to_string())));
    object.insert("card".into(), text(fact.card.map(|card| card.to_string())));
    object.insert("person".into(), text(fact.person.map(|person| person.to_string())));
    object.insert("reason".into(), text(fact.reason.map(|reason| reason.to_string())));
    object.insert("age_ms".into(), fact.age_ms.map_or(Value::Null, Value::from));
    object.insert("detail".into(), text(fact.detail.clone()));
    Value::Object(object)
}

fn as_text(entry: &Entry, zone: Tz) -> String {
    let fact = &entry.fact;
    let at = fact
        .at
        .to_chrono()
        .map_or_else(|| fact.at.to_string(), |at| at.with_timezone(&zone).format("%Y-%m-%d %H:%M:%S%.3f").to_string());
    let mut line = format!("{:>8}  {at}  {:<16}", entry.seq, fact.kind.as_str());
    let parts = [
        fact.point.as_ref().map(|point| format!("{point} {}", fact.direction.map_or("", |d| d.as_str()))),
        fact.reader.as_ref().filter(|_| fact.point.is_none()).map(|reader| format!("reader {reader}")),
        fact.reason.map(|reason| reason.to_string()),
        fact.card.map(|card| format!("card {}", &card.to_string()[..8])),
        fact.person.map(|person| format!("person {}", &person.to_string()[..8])),
        fact.age_ms.map(|age| match age {
            AGE_UNKNOWN_MS => "(earlier, nobody knows when)".to_owned(),
            age => format!("({}.{} s earlier)", age / 1000, age % 1000 / 100),
        }),
        fact.detail.clone(),
    ];
    for part in parts.into_iter().flatten() {
        line.push_str("  ");
        line.push_str(part.trim_end());
    }
    line
}

#[expect(clippy::print_stdout, reason = "the answer to the person at the terminal")]
async fn verify(reader: &JournalReader, path: &Path) -> anyhow::Result<u8> {
    let found = reader.verify().await.with_context(|| format!("{} cannot be checked", path.display()))?;
    let range =
        found.range.map_or_else(|| "no entries".to_owned(), |(first, last)| format!("entries {first} to {last}"));
    println!("journal of {}, epoch {}: {range}", reader.gateway(), reader.epoch());
    println!("head {}", crate::keys::hex(&found.head).as_str());
    if found.problems.is_empty() {
        println!("whole: every entry is as it was written, none is missing");
        return Ok(0);
    }
    for problem in &found.problems {
        println!("DAMAGED: {problem}");
    }
    Ok(exit::FOUND)
}
