//! `tapward vault …`: the identity vault at the command line, beside the running programs, which take notice by
//! themselves.

use std::io::{self, BufRead};
use std::time::Duration;

use anyhow::{Context, bail};
use clinic::acting::Acting;
use clinic::vault::{KeySource, Locked, NewKey, Passphrase, Vault, VaultState, make_key_file};
use domain::Clock;
use zeroize::Zeroizing;

use crate::cli::{VaultCommand, exit};
use crate::compose;
use crate::config::Config;

/// Between two steps of a change of keys: the running programs write meanwhile.
const STEP_PAUSE: Duration = Duration::from_millis(5);

/// Carries it out.
#[expect(clippy::print_stdout, reason = "the answer to the person at the terminal")]
pub async fn vault(config: &Config, command: VaultCommand, clock: &Clock) -> anyhow::Result<u8> {
    if let VaultCommand::MakeKey { file } = &command {
        make_key_file(file)?;
        println!("{} holds a new key; keep a copy of it in a safe place, nobody can make it again", file.display());
        return Ok(0);
    }
    let database = compose::open_database(config, clock, false).await?;
    let vault = crate::vault::open(config, &database, clock).await?;
    let answer = match command {
        VaultCommand::MakeKey { .. } => Ok(0),
        VaultCommand::State => state(&vault).await,
        VaultCommand::Rotate { index } => rotate(&vault, index).await,
        VaultCommand::Reapply => reapply(&vault).await,
        VaultCommand::Sweep => {
            println!("{} pictures that no person has any more were removed", vault.sweep_photos().await?);
            Ok(0)
        }
    };
    database.close().await;
    answer
}

#[expect(clippy::print_stdout, reason = "the answer to the person at the terminal")]
async fn state(vault: &Vault) -> anyhow::Result<u8> {
    let progress = vault.progress().await?;
    let code = match vault.state() {
        VaultState::Open { key, .. } => {
            println!("open, key {key}");
            0
        }
        VaultState::Locked(why) => {
            println!("locked: {why}");
            exit::FOUND
        }
    };
    println!("{} persons", progress.all);
    if progress.changing {
        println!("keys are being changed: {} persons are left, {} per cent is done", progress.left, progress.percent());
    }
    match vault.remembered().await {
        Ok(list) => println!("{} persons were erased", list.len()),
        Err(error) => {
            println!("{error}");
            return Ok(exit::FOUND);
        }
    }
    Ok(code)
}

#[expect(clippy::print_stdout, reason = "the answer to the person at the terminal")]
async fn rotate(vault: &Vault, index: bool) -> anyhow::Result<u8> {
    let acting = Acting::console();
    let is_by_passphrase = matches!(vault.source(), KeySource::Passphrase(_));
    if vault.state() == VaultState::Locked(Locked::PassphraseNeeded) {
        vault.unlock(&acting, typed("the passphrase")?).await?;
    }
    match vault.state() {
        VaultState::Locked(why) => bail!("the vault is locked: {why}"),
        VaultState::Open { changing: true, .. } => println!("a change that was begun goes on"),
        VaultState::Open { .. } if index => vault.rebuild_index(&acting).await?,
        VaultState::Open { .. } if is_by_passphrase => {
            let new = typed("the new passphrase")?;
            vault.rotate(&acting, NewKey::Passphrase(new)).await?;
        }
        VaultState::Open { .. } => vault.rotate(&acting, NewKey::Random).await?,
    }
    let mut told = u64::MAX;
    loop {
        let progress = vault.rotate_step().await?;
        if progress.percent() / 10 != told {
            told = progress.percent() / 10;
            println!("{} per cent, {} persons are left", progress.percent(), progress.left);
        }
        if !progress.changing {
            break;
        }
        tokio::time::sleep(STEP_PAUSE).await;
    }
    println!("done");
    if is_by_passphrase && !index {
        println!("running programs wait for the new passphrase: type it on the page of the vault, or change the file");
    }
    Ok(0)
}

#[expect(clippy::print_stdout, reason = "the answer to the person at the terminal")]
async fn reapply(vault: &Vault) -> anyhow::Result<u8> {
    // Opening the vault has applied the list already; this says so, and tells a list that cannot be applied.
    let applied = vault.reapply(&Acting::console()).await?;
    println!("{} persons were erased and are", applied.remembered);
    Ok(0)
}

/// A line of standard input: a passphrase is no argument, for everybody on the machine can read those.
fn typed(what: &str) -> anyhow::Result<Passphrase> {
    eprintln!("{what}:");
    let mut line = Zeroizing::new(String::new());
    io::stdin().lock().read_line(&mut line).with_context(|| format!("{what} cannot be read"))?;
    Ok(Passphrase::new(&line))
}
