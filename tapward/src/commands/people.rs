//! `tapward people import|list|set`.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, bail};
use clinic::acting::Acting;
use clinic::audit::Purpose;
use clinic::people::{self, ImportReport, Options, Reference, Who};
use clinic::vault::LOAD_MAX;
use domain::policy::PassState;
use domain::vault::PassportChange;
use domain::{Clock, PersonId};
use gateway::settings::Cache;
use serde_json::json;
use store::Database;

use crate::cli::{PeopleCommand, exit};
use crate::compose;
use crate::config::{Config, hint};
use crate::{keys, vault};

/// Carries it out.
pub async fn people(config: &Config, command: PeopleCommand, clock: &Clock) -> anyhow::Result<u8> {
    keys::private_folder(&config.data)?;
    let database = compose::open_database(config, clock, false).await?;
    let done = match command {
        PeopleCommand::Import { file, dry_run, keep_numbers } => {
            let numbers = keep_numbers || told_numbers(config);
            import(config, &database, &file, How { dry_run, numbers }, clock).await
        }
        PeopleCommand::List { json } => list(&database, json).await,
        PeopleCommand::ForgetNumbers => forget_numbers(config, &database).await,
        PeopleCommand::Set { person, state } => set(&database, &person, &state, clock).await,
    };
    database.close().await;
    done
}

async fn import(config: &Config, database: &Database, path: &Path, how: How, clock: &Clock) -> anyhow::Result<u8> {
    let file = File::open(path).with_context(|| format!("{} cannot be opened", path.display()))?;
    let report = import_file(config, database, file, how, clock).await.with_context(|| path.display().to_string())?;
    print(&report, how.dry_run);
    if report.applied && !report.named.is_empty() {
        keep_names(config, database, report.named.clone(), clock).await?;
    }
    Ok(if report.errors.is_empty() { 0 } else { exit::FOUND })
}

/// Puts what the list says of people into the identity vault.
#[expect(clippy::print_stdout, reason = "the answer to the person at the terminal")]
async fn keep_names(
    config: &Config,
    database: &Database,
    named: Vec<(Who, PassportChange)>,
    clock: &Clock,
) -> anyhow::Result<()> {
    let vault = vault::open(config, database, clock).await?;
    let mut batch = Vec::with_capacity(named.len());
    for (who, passport) in named {
        let person = match who {
            Who::Person(person) => Some(person),
            Who::Reference(reference) => people::find(database, &reference).await?,
        };
        batch.extend(person.map(|person| (person, passport)));
    }
    let (total, mut stored) = (batch.len(), 0);
    for part in batch.chunks(LOAD_MAX) {
        let loaded = vault.load(&Acting::console(), part.to_vec(), Purpose::PassIssue).await;
        stored += loaded.with_context(|| {
            format!("passes are imported, but only {stored} of {total} persons were named; import the list again")
        })?;
    }
    println!("{stored} persons named in the identity vault");
    Ok(())
}

/// Whether a peer of this configuration is to be told card numbers; everywhere else none are kept.
pub fn told_numbers(config: &Config) -> bool {
    config.gateway.peers.iter().any(|peer| peer.cache != Cache::Nobody)
}

/// How to import.
#[derive(Debug, Clone, Copy)]
pub struct How {
    /// Only report.
    pub dry_run: bool,
    /// Keep card numbers, sealed.
    pub numbers: bool,
}

/// Imports from an open file.
pub async fn import_file(
    config: &Config,
    database: &Database,
    source: impl std::io::Read + Send + 'static,
    how: How,
    clock: &Clock,
) -> anyhow::Result<ImportReport> {
    let keys = keys::site_keys(&config.data)?;
    let options = Options {
        card_key: keys.card,
        pin_key: Some(keys.pin),
        seal_key: how.numbers.then_some(keys.numbers),
        zone: config.time_zone,
        dry_run: how.dry_run,
    };
    Ok(people::import_csv(database, source, options, clock.now()).await?)
}

#[expect(clippy::print_stdout, reason = "the answer to the person at the terminal")]
async fn forget_numbers(config: &Config, database: &Database) -> anyhow::Result<u8> {
    let needing = config.gateway.peers.iter().find(|peer| peer.cache != Cache::Nobody);
    if let Some(peer) = needing {
        bail!("peer \"{}\" is still to be told cards: set its cache to \"nobody\" first", peer.id);
    }
    let removed = people::forget_numbers(database).await?;
    println!("{removed} sealed card numbers removed; their pseudonyms stay, and the cards work as before");
    println!(
        "delete keys/numbers.key in the data folder, and copies of the database from before, when nothing needs them"
    );
    Ok(0)
}

#[expect(clippy::print_stdout, reason = "the answer to the person at the terminal")]
fn print(report: &ImportReport, dry_run: bool) {
    for error in &report.errors {
        println!("{error}");
    }
    if report.more_errors > 0 {
        println!("… and {} more", report.more_errors);
    }
    for category in &report.new_categories {
        println!("note: category \"{category}\" is new; if that is a typing error, correct the file");
    }
    let outcome = match (report.applied, dry_run, report.errors.is_empty()) {
        (true, ..) => "imported",
        (false, true, true) => "dry run: nothing was changed",
        (false, ..) => "nothing was imported: correct the lines above and import again",
    };
    println!(
        "{outcome}. {} rows: {} persons new, {} passes new, {} changed, {} as before",
        report.rows, report.persons_added, report.added, report.changed, report.unchanged
    );
    if report.spoken > 0 {
        println!("{} persons whose language is told anew", report.spoken);
    }
    if report.not_active > 0 {
        println!("{} passes of the file are blocked, lost or withdrawn here and stay so", report.not_active);
    }
}

async fn list(database: &Database, as_json: bool) -> anyhow::Result<u8> {
    match write_list(database, as_json).await {
        // Whoever read us has enough.
        Err(error) if super::is_broken_pipe(&error) => Ok(0),
        Err(error) => Err(error),
        Ok(()) => Ok(0),
    }
}

async fn write_list(database: &Database, as_json: bool) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    let mut after = None;
    loop {
        let passes = people::list(database, after, people::READ_MAX).await?;
        let Some(last) = passes.last() else { return Ok(()) };
        after = Some(last.card);
        for pass in &passes {
            let reference = people::reference_of(database, pass.person).await?;
            let reference = reference.as_ref().map_or("", Reference::reveal);
            if as_json {
                let instant = |at: Option<domain::UtcMillis>| at.map(|at| at.to_rfc3339());
                writeln!(
                    out,
                    "{}",
                    json!({
                        "reference": reference, "person": pass.person.to_string(), "card": pass.card.to_string(),
                        "kind": pass.kind.as_str(), "category": pass.category.as_str(), "state": pass.state.as_str(),
                        "one_time": pass.one_time, "valid_from": instant(pass.valid_from),
                        "valid_until": instant(pass.valid_until), "has_pin": pass.has_pin,
                    })
                )?;
            } else {
                let columns = (pass.person, pass.state, pass.kind, &pass.category);
                writeln!(out, "{}  {:<9} {:<18} {:<18} {reference}", columns.0, columns.1, columns.2, columns.3)?;
            }
        }
    }
}

/// The person of a reference or pseudonym.
pub async fn person(database: &Database, text: &str) -> anyhow::Result<PersonId> {
    if let Some(reference) = Reference::new(text)
        && let Some(person) = people::find(database, &reference).await?
    {
        return Ok(person);
    }
    match text.parse::<PersonId>() {
        Ok(person) if !people::passes_of(database, person).await?.is_empty() => Ok(person),
        _ => bail!("nobody is known by this reference or pseudonym"),
    }
}

#[expect(clippy::print_stdout, reason = "the answer to the person at the terminal")]
async fn set(database: &Database, text: &str, state: &str, clock: &Clock) -> anyhow::Result<u8> {
    let Some(state) = PassState::parse(state) else {
        let words = PassState::ALL.iter().map(|state| state.as_str());
        bail!("\"{state}\" is not one of active, blocked, lost, withdrawn{}", hint(state, words));
    };
    let person = person(database, text).await?;
    let passes = people::passes_of(database, person).await?;
    for pass in &passes {
        people::set_state(database, pass.card, state, clock.now()).await?;
    }
    println!("{} passes are {state} now", passes.len());
    Ok(0)
}
