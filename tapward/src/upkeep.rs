//! What an installation does by itself beside its programs: removes what has outlived its term, ends what has run out.
//! Runs where the bridge runs; two of them at once do no harm. (The audit log's own work stands in `audit`, notices in
//! `mail`.)

use std::future::Future;
use std::time::Duration;

use clinic::vault::Vault;
use clinic::{break_glass, erasure, retention};
use domain::{Clock, UtcMillis};
use store::Database;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::config::Config;

/// How often it is looked whether a breaking of glass has run out. Its effect ends by itself; this writes it down.
const GLASS_EVERY: Duration = Duration::from_secs(10);
/// How often it is looked whether the day's clearing is due.
const CLEAR_EVERY: Duration = Duration::from_secs(600);
/// How long after the last clearing the next is due, in milliseconds.
const CLEAR_AFTER_MS: i64 = 24 * 60 * 60 * 1000;

/// What has to be done before pages and bridge work: whoever a restored copy of the database has brought back is erased
/// again.
pub async fn before(database: &Database, vault: &Vault, clock: &Clock) -> anyhow::Result<()> {
    let again = erasure::reapply(database, vault, clock.now()).await?;
    if !again.is_empty() {
        tracing::warn!(persons = again.len(), "privacy.erased_again");
    }
    Ok(())
}

/// Starts the tasks; they end with `stop`.
pub fn start(
    config: &Config,
    database: &Database,
    clock: &Clock,
    stop: &CancellationToken,
) -> Vec<JoinHandle<anyhow::Result<()>>> {
    let (glass, clearing) = (database.clone(), database.clone());
    let (at, terms) = (clock.clone(), config.retention);
    let glass = every(GLASS_EVERY, stop.clone(), clock.clone(), move |now| {
        let database = glass.clone();
        async move {
            if let Err(error) = break_glass::close_expired(&database, now).await {
                tracing::error!(%error, "glass.upkeep.failed");
            }
        }
    });
    let clearing = every(CLEAR_EVERY, stop.clone(), at, move |now| {
        let database = clearing.clone();
        async move {
            if let Err(error) = clear(&database, &terms, now).await {
                tracing::error!(%error, "retention.failed");
            }
        }
    });
    vec![spawn(glass), spawn(clearing)]
}

/// Removes what has outlived its term, if that was not done within the last day.
async fn clear(database: &Database, terms: &retention::Terms, now: UtcMillis) -> Result<(), store::Error> {
    let last = retention::last_run(database).await?;
    if last.is_some_and(|last| (0..CLEAR_AFTER_MS).contains(&now.since_ms(last))) {
        return Ok(());
    }
    for cleared in retention::run_scheduled(database, terms, now).await? {
        if cleared.rows > 0 {
            tracing::info!(class = cleared.class.as_str(), rows = cleared.rows, "retention.cleared");
        }
    }
    Ok(())
}

async fn every<F: Future<Output = ()>>(
    period: Duration,
    stop: CancellationToken,
    clock: Clock,
    mut work: impl FnMut(UtcMillis) -> F,
) {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        work(clock.now()).await;
    }
}

fn spawn(work: impl Future<Output = ()> + Send + 'static) -> JoinHandle<anyhow::Result<()>> {
    tokio::spawn(async move {
        work.await;
        Ok(())
    })
}
