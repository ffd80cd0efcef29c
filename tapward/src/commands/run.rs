//! `tapward run|gateway|bridge|dashboard`: start, say where, reload on SIGHUP, end on SIGINT or SIGTERM.

use std::path::Path;
use std::time::Duration;

use domain::{Clock, Draft, Kind, Reason};
use tokio::signal::unix::{SignalKind, signal};

use crate::compose::{self, Programs, Running};
use crate::config::{self, Config};

/// Runs until told to stop.
pub async fn run(config: Config, file: &Path, programs: Programs, clock: Clock) -> anyhow::Result<()> {
    let running = compose::start(&config, programs, &clock).await?;
    greet(&running);
    let mut reload = signal(SignalKind::hangup())?;
    // Once for the whole loop: a signal that comes while something else is being done is not lost.
    let stop = asked_to_stop()?;
    tokio::pin!(stop);
    let mut look = tokio::time::interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            () = &mut stop => break,
            Some(()) = reload.recv() => reread(&running, file, &clock).await,
            _ = look.tick() => if !running.is_alive() {
                running.stop().await?;
                anyhow::bail!("a part of the program ended unexpectedly; see the log");
            },
        }
    }
    tracing::info!("stopping");
    running.stop().await
}

/// Where the pages are, on standard output.
#[expect(clippy::print_stdout, reason = "the answer to the person at the terminal")]
pub fn greet(running: &Running) {
    let Some(pages) = &running.pages else { return };
    println!("Tapward is at {}", pages.address);
    if let Some(link) = &pages.first_run {
        println!("First sign-in, once, within 24 hours: {link}");
    }
}

/// Completes at SIGINT or SIGTERM.
pub fn asked_to_stop() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

async fn reread(running: &Running, file: &Path, clock: &Clock) {
    let today = crate::today(clock, None);
    let refused = match config::load(file, today) {
        Ok(config) => running.apply(&config, clock).await.err().map(|error| error.to_string()),
        Err(error) => Some(error.to_string()),
    };
    match refused {
        None => tracing::info!(config.file = %file.display(), "the configuration was read again"),
        Some(why) => {
            tracing::error!(config.file = %file.display(), %why, "the new configuration is refused; the earlier one stays in force");
            let detail = why.lines().next().unwrap_or_default().chars().take(100).collect();
            let at = clock.now();
            let reason = Some(Reason::SettingsRefused);
            running.record(Draft { reason, detail: Some(detail), ..Draft::new(at, Kind::Alarm) }).await;
        }
    }
}
