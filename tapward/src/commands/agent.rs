//! `tapward agent`: forwards the taps of this computer's reader to the gateway.

use std::path::PathBuf;

use anyhow::Context;
use domain::Clock;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::agent::{self, Settings};

/// Where its configuration is looked for when nobody says.
const PLACES: [&str; 2] = ["agent.toml", "/etc/tapward/agent.toml"];

/// Runs until a signal.
pub async fn agent(config: Option<PathBuf>, clock: Clock) -> anyhow::Result<u8> {
    let file = config
        .or_else(|| PLACES.iter().map(PathBuf::from).find(|place| place.exists()))
        .context("no configuration: write agent.toml and say --config FILE (docs/guide/workstation-agent.md)")?;
    let settings = Settings::read(&file)?;
    let shutdown = CancellationToken::new();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let ending = shutdown.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        ending.cancel();
    });
    agent::run(settings, clock, shutdown).await?;
    Ok(0)
}
