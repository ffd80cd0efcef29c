//! `tapward accounts link`: the way in when nobody can sign in yet.

use domain::Clock;

use crate::cli::{AccountsCommand, exit};
use crate::compose;
use crate::config::Config;
use crate::keys;

/// Carries it out.
#[expect(clippy::print_stdout, reason = "the answer to the person at the terminal")]
pub async fn accounts(config: &Config, command: &AccountsCommand, clock: &Clock) -> anyhow::Result<u8> {
    keys::private_folder(&config.data)?;
    let database = compose::open_database(config, clock, false).await?;
    let AccountsCommand::Link = command;
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
