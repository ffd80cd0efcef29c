//! The executable: reads the command line and the configuration, composes the programs, waits.

mod agent;
mod audit;
mod cli;
mod clock;
mod commands;
mod compose;
mod config;
mod desk_reader;
mod exchange;
mod keys;
mod mail;
mod upkeep;
mod vault;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use chrono::NaiveDate;
use clap::Parser;
use cli::{Cli, Command, ConfigCommand, LogFormat, exit};
use compose::Programs;
use config::{Config, ConfigError};
use domain::Clock;
use tracing_subscriber::EnvFilter;

/// Where the configuration is looked for when nobody says.
const PLACES: [&str; 2] = ["tapward.toml", "/etc/tapward/tapward.toml"];

fn main() -> ExitCode {
    let cli = Cli::parse();
    // What this program writes is for its own account only, whatever the shell says.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    if let Err(problem) = start_log(&cli) {
        eprintln!("tapward: {problem}");
        return ExitCode::from(2);
    }
    // One cryptography for every TLS of the process.
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        tracing::debug!("a TLS provider is installed already");
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("tapward: the runtime cannot start: {error}");
            return ExitCode::from(exit::FAILED);
        }
    };
    match runtime.block_on(carry_out(cli)) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("tapward: {error:#}");
            let code = if error.is::<ConfigError>() { exit::CONFIGURATION } else { exit::FAILED };
            ExitCode::from(code)
        }
    }
}

fn start_log(cli: &Cli) -> Result<(), String> {
    let filter = EnvFilter::try_new(&cli.log).map_err(|error| format!("--log {:?}: {error}", cli.log))?;
    // A log that cannot be written, on a full disk, must not end a task by a panic: doors come before their log.
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).log_internal_errors(false);
    match cli.log_format {
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).init(),
        LogFormat::Json => builder.json().init(),
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the answer to the person at the terminal")]
async fn carry_out(cli: Cli) -> anyhow::Result<u8> {
    let clock = clock::system();
    let configured = || load(cli.config.as_deref(), &clock);
    let programs = match &cli.command {
        Command::Run => Programs::ALL,
        Command::Gateway => Programs { gateway: true, bridge: false, dashboard: false },
        Command::Bridge => Programs { gateway: false, bridge: true, dashboard: false },
        Command::Dashboard => Programs { gateway: false, bridge: false, dashboard: true },
        _ => return Box::pin(carry_out_tool(cli.command, cli.config.clone(), configured, &clock)).await,
    };
    let (file, config) = configured()?;
    if programs.gateway && !programs.bridge && config.bus.is_none() {
        println!("note: without [bus] this gateway keeps its journal for itself");
    }
    commands::run::run(config, &file, programs, clock.clone()).await?;
    Ok(0)
}

#[expect(clippy::print_stdout, reason = "the answer to the person at the terminal")]
async fn carry_out_tool(
    command: Command,
    config: Option<PathBuf>,
    configured: impl FnOnce() -> anyhow::Result<(PathBuf, Config)>,
    clock: &Clock,
) -> anyhow::Result<u8> {
    match command {
        Command::Config(ConfigCommand::Default) => print!("{}", config::DEFAULT),
        Command::Config(ConfigCommand::Check) => {
            let (file, config) = configured()?;
            let readers: usize = config.gateway.attached().map(|line| line.places().len()).sum();
            println!(
                "{}: good. {} lines, {readers} readers, {} points, {} rules",
                file.display(),
                config.gateway.lines.len(),
                config.layout.points.len(),
                config.layout.rules.len()
            );
            if config.layout.rules.is_empty() {
                println!("note: without any [[rule]], every valid pass may go everywhere");
            }
        }
        Command::Version => println!("tapward {}", env!("CARGO_PKG_VERSION")),
        Command::Agent => return Box::pin(commands::agent::agent(config, clock.clone())).await,
        Command::Sim(arguments) => return commands::sim::sim(arguments, clock.clone()).await,
        Command::Demo(arguments) => return Box::pin(commands::demo::demo(arguments, clock.clone())).await,
        Command::Peers(arguments) => return commands::peers::peers(&configured()?.1, arguments, clock).await,
        Command::AcsLink(command) => return commands::acs_link::acs_link(command, clock),
        Command::Osdp(command) => return commands::osdp::osdp(command).await,
        Command::Journal(command) => return commands::journal::journal(&configured()?.1, command).await,
        Command::Policy(command) => return commands::policy::policy(&configured()?.1, command, clock).await,
        Command::People(command) => return commands::people::people(&configured()?.1, command, clock).await,
        Command::Feeds(command) => return commands::feeds::feeds(&configured()?.1, &command),
        Command::Privacy(command) => return commands::privacy::privacy(&configured()?.1, command, clock).await,
        Command::Audit(command) => return commands::audit::audit(&configured()?.1, command, clock).await,
        Command::Till(command) => return commands::till::till(&configured()?.1, command, clock).await,
        Command::Vault(command) => return commands::vault::vault(&configured()?.1, command, clock).await,
        Command::Accounts(command) => return commands::accounts::accounts(&configured()?.1, &command, clock).await,
        Command::Run | Command::Gateway | Command::Bridge | Command::Dashboard => {}
    }
    Ok(0)
}

fn load(given: Option<&Path>, clock: &Clock) -> anyhow::Result<(PathBuf, Config)> {
    let file = match given {
        Some(file) => file.to_owned(),
        None => PLACES.iter().map(PathBuf::from).find(|file| file.exists()).unwrap_or_else(|| PLACES[0].into()),
    };
    let config = config::load(&file, today(clock, None))?;
    Ok((file, config))
}

/// The date now, in a zone (UTC if none).
fn today(clock: &Clock, zone: Option<chrono_tz::Tz>) -> NaiveDate {
    let now = clock.now().to_chrono().unwrap_or_default();
    zone.map_or_else(|| now.date_naive(), |zone| now.with_timezone(&zone).date_naive())
}
