//! The agent at somebody's own computer: forwards the taps of the reader that is plugged in there to the gateway, as an
//! acs-link controller whose one point is the workstation.
//!
//! Owns the order of things: a tap is written down before it is told, and forgotten when the gateway has stored it. What
//! was read while the gateway could not be reached is told later as such and binds nobody. Never decides, never learns a
//! name, keeps nothing but what waits. May import `gateway` (ports, TLS), `store` (the queue) and `wire`.

mod link;
mod pcsc;
mod reader;
mod settings;

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use domain::vault::BoxKey;
use domain::{Clock, UtcMillis};
use gateway::peer::acs_link::tls::Tls;
use sha2::{Digest, Sha256};
use store::tap_queue::TapQueue;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use wire::acs_link::Uuid;
use zeroize::Zeroizing;

pub use settings::Settings;

/// Taps that wait to be written down; the reader waits when there are more.
const TAPS_MAX: usize = 32;
/// How long the last words to the gateway may take.
const END_WITHIN: Duration = Duration::from_secs(3);

/// A card at the reader: the text of its number as the link carries it.
#[derive(Clone)]
pub(crate) struct Tap {
    pub at: UtcMillis,
    pub number: domain::card::CardNumber,
}

/// Runs until `shutdown`.
///
/// # Errors
/// What prevents the start: files, the queue of another agent, a reader of a kind that this program was not built for.
pub async fn run(settings: Settings, clock: Clock, shutdown: CancellationToken) -> anyhow::Result<()> {
    let tls = Tls::load(&settings.tls, &clock)?;
    if let Some(complaint) = tls.complaint() {
        tracing::warn!(complaint, "agent.certificate");
    }
    let node = tls.own_node().map_err(|problem| anyhow::anyhow!("{}: {problem}", settings.tls.cert.display()))?;
    let key = queue_key(&settings.tls.key)?;
    let queue = TapQueue::open(&settings.queue, key, settings.queue_max, uuid(clock.now())?.0).await?;
    tracing::info!(node, point = %settings.point, waiting = queue.waiting(), "agent.started");
    let (sender, taps) = mpsc::channel(TAPS_MAX);
    let reading = tokio::spawn(reader::run(settings.reader.clone(), clock.clone(), sender, shutdown.clone()));
    let link = link::Link::new(settings, clock, tls, node, queue)?;
    link.run(taps, shutdown.clone()).await?;
    shutdown.cancel();
    match tokio::time::timeout(END_WITHIN, reading).await {
        Ok(Ok(ended)) => ended,
        Ok(Err(panicked)) => Err(panicked).context("the reader's task"),
        Err(_) => Ok(()),
    }
}

/// What seals the queue: made of the agent's own private key, so that a copy of the queue alone says nothing.
fn queue_key(key: &Path) -> anyhow::Result<BoxKey> {
    let text = Zeroizing::new(std::fs::read(key).with_context(|| key.display().to_string())?);
    let mut hash = Sha256::new();
    hash.update(b"tapward agent queue\0");
    hash.update(&*text);
    Ok(BoxKey::new(hash.finalize().into()))
}

fn uuid(now: UtcMillis) -> anyhow::Result<Uuid> {
    let mut random = [0; 10];
    getrandom::fill(&mut random).map_err(|error| anyhow::anyhow!("no random bytes: {error}"))?;
    Ok(Uuid::v7(now.0, random))
}
