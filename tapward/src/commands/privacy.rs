//! `tapward privacy map|records|sets|retention`: the papers of this installation, and clearing by hand.

use std::fmt::Write as _;

use clinic::acting::Acting;
use clinic::data_map::{self, papers};
use clinic::{people, retention};
use domain::policy::PassKind;
use domain::{Clock, UtcMillis};
use serde_json::json;
use store::Database;

use crate::cli::PrivacyCommand;
use crate::compose;
use crate::config::Config;
use crate::keys;

/// Carries it out.
#[expect(clippy::print_stdout, reason = "the answer to the person at the terminal")]
pub async fn privacy(config: &Config, command: PrivacyCommand, clock: &Clock) -> anyhow::Result<u8> {
    let text = match command {
        PrivacyCommand::Map { json } => map(json),
        PrivacyCommand::Records => papers::records(data_map::map(), Some(&site(config, clock).await?)),
        PrivacyCommand::Sets => papers::sets(data_map::map(), Some(&site(config, clock).await?)),
        PrivacyCommand::Retention { dry_run } => clear(config, dry_run, clock).await?,
    };
    print!("{text}");
    Ok(0)
}

/// One line for each column and file.
fn map(as_json: bool) -> String {
    let mut text = String::new();
    for entry in &data_map::map().entries {
        // Writing to a string cannot fail.
        let _ = if as_json {
            let line = json!({
                "place": entry.place.to_string(), "set": entry.set, "class": entry.class.as_str(),
                "purpose": entry.purpose, "basis": entry.basis, "kept": entry.kept,
                "protection": entry.protection, "seen_by": entry.seen_by,
            });
            writeln!(text, "{line}")
        } else {
            writeln!(text, "{:<34} {:<15} {}", entry.place.to_string(), entry.class.as_str(), entry.purpose)
        };
    }
    text
}

async fn open(config: &Config, clock: &Clock) -> anyhow::Result<Database> {
    keys::private_folder(&config.data)?;
    compose::open_database(config, clock, false).await
}

/// What this installation counts of itself.
async fn site(config: &Config, clock: &Clock) -> anyhow::Result<papers::Site> {
    let database = open(config, clock).await?;
    let counts = people::counts(&database).await?;
    let (events, accounts) = data_map::papers::counts(&database).await?;
    database.close().await;
    let staff = counts.passes.iter().filter(|(kind, ..)| *kind == PassKind::Staff).map(|(_, _, count)| count).sum();
    Ok(papers::Site { site: config.gateway.site.to_string(), persons: counts.persons, staff, events, accounts })
}

/// Clears what has outlived its term, or says what that would be.
async fn clear(config: &Config, is_dry: bool, clock: &Clock) -> anyhow::Result<String> {
    let database = open(config, clock).await?;
    let (terms, now) = (config.retention, clock.now());
    let lines = match is_dry {
        true => retention::dry_run(&database, &Acting::console(), &terms, now).await?,
        false => retention::run(&database, &Acting::console(), &terms, now).await?,
    };
    database.close().await;
    let mut text = String::new();
    for line in lines {
        let term = line.days.map_or_else(|| "for ever".to_owned(), |days| format!("{days} days"));
        let last =
            line.last.filter(|_| is_dry).map_or_else(String::new, |at: UtcMillis| format!("  last cleared {at}"));
        let _ = writeln!(text, "{:<10} {:>9}  {:>8} rows{last}", line.class.as_str(), term, line.rows);
    }
    let end = if is_dry { "dry run: nothing was removed" } else { "removed, and written into the audit log" };
    let _ = writeln!(text, "{end}");
    Ok(text)
}
