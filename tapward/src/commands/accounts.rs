//! `tapward accounts`: the way in when nobody can sign in yet, and users of an earlier system.

use std::fs::File;
use std::path::Path;

use anyhow::Context;
use clinic::acting::Acting;
use domain::Clock;
use store::Database;

use crate::cli::{AccountsCommand, exit};
use crate::compose;
use crate::config::Config;
use crate::keys;

/// Carries it out.
#[expect(clippy::print_stdout, reason = "the answer to the person at the terminal")]
pub async fn accounts(config: &Config, command: &AccountsCommand, clock: &Clock) -> anyhow::Result<u8> {
    keys::private_folder(&config.data)?;
    let database = compose::open_database(config, clock, false).await?;
    if let AccountsCommand::Import { file, dry_run } = command {
        let outcome = import(config, &database, clock, file, *dry_run).await;
        database.close().await;
        return outcome;
    }
    let link = compose::first_run_link(config, &database, clock).await?;
    database.close().await;
    match link {
        Some(path) => {
            println!("https://{}{path}", config.dashboard.listen);
            Ok(0)
        }
        None => {
            println!("an administrator exists already: ask them for a link on the page Accounts");
            Ok(exit::FOUND)
        }
    }
}

#[expect(clippy::print_stdout, reason = "the answer to the person at the terminal")]
async fn import(config: &Config, database: &Database, clock: &Clock, path: &Path, dry_run: bool) -> anyhow::Result<u8> {
    let file = File::open(path).with_context(|| format!("{} cannot be opened", path.display()))?;
    let accounts = compose::accounts(config, database, clock)?;
    let report = accounts.import(&Acting::console(), file, dry_run).await?;
    for problem in &report.problems {
        println!("line {}, {}: {}", problem.line, problem.column, problem.advice);
    }
    if !report.problems.is_empty() {
        println!("nothing was imported: {} lines are to be corrected", report.problems.len());
        return Ok(exit::FOUND);
    }
    let (verb, what) = if dry_run { ("would be made", "would need") } else { ("made", "need") };
    println!("{} accounts {verb}, {} there already", report.made, report.known);
    if report.without_password > 0 {
        println!("{} of them {what} a password link: page Accounts", report.without_password);
    }
    Ok(0)
}
