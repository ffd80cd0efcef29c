//! The task that sends notices by e-mail, put together: settings, words, outbox.

use clinic::notices::Notices;
use domain::Clock;
use mis_bridge::mail::{Sender, run};
use store::Database;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::keys;

/// Starts it. Without a mail server it only gives up what has waited for a day.
pub fn start(
    config: &Config,
    database: &Database,
    clock: &Clock,
    stop: CancellationToken,
) -> anyhow::Result<JoinHandle<anyhow::Result<()>>> {
    let notices = Notices::new(database.clone(), clock.clone(), keys::accounts_key(&config.data)?);
    let sender = config.mail.as_ref().map(|mail| Sender::new(&mail.server)).transpose()?;
    let address = config.mail.as_ref().and_then(|mail| mail.address.clone());
    let words = dashboard::wording(&config.gateway.site, config.time_zone, &config.dashboard.language, address);
    let clock = clock.clone();
    Ok(tokio::spawn(async move {
        run(sender, notices, words, clock, stop).await;
        Ok(())
    }))
}
