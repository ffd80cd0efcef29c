//! Doors: one task per serial line and network peer, the decision core, the journal, the uplink.
//!
//! Nothing here waits for a database, a network or the MIS to decide. A tap becomes a decision in memory, then a
//! durable journal entry, then an answer to the reader; the uplink copies the journal to the bridge whenever it can.
//!
//! | module | owns |
//! |---|---|
//! | [`settings`] | what a gateway is told |
//! | [`port`] | bytes in and out of a device or serial server |
//! | [`line`], `osdp_line`, [`desktop`] | one task a line: protocol to facts, orders to protocol |
//! | [`peer`] | one task a network peer: acs-link, Hikvision, ParsecNET |
//! | [`core`] | one task: deciding, doors, waiting for the journal, answering |
//! | [`snapshot`] | the policy kept for a restart |
//! | `history` | who is inside, rebuilt from the journal |
//! | [`uplink`] | one task: journal to bridge, acknowledgements, policies, commands |

pub mod core;
pub mod desktop;
mod history;
pub mod line;
mod osdp_line;
pub mod peer;
pub mod port;
pub mod settings;
pub mod snapshot;
pub mod uplink;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bus::Link;
use domain::{Clock, Draft, Kind, Reason};
use store::journal::Journal;
use thiserror::Error;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use wire::bus::KeyRing;

use crate::core::{Board, Core, REQUESTS_MAX, Request, SiteKeys};
use crate::settings::GatewaySettings;

/// How long the uplink may take to say goodbye.
const STOP_UPLINK: Duration = Duration::from_secs(1);
/// How long the journal may take to close.
const STOP_JOURNAL: Duration = Duration::from_secs(1);

/// What a gateway is made of.
pub struct Parts {
    /// What it is told.
    pub settings: GatewaySettings,
    /// Keys for card numbers and PINs.
    pub keys: SiteKeys,
    /// Its journal, open.
    pub journal: Journal,
    /// Its link to the bus.
    pub link: Link,
    /// Keys by which it believes the bridge.
    pub down_keys: KeyRing,
    /// Wall time.
    pub clock: Clock,
    /// Where the policy is kept for a restart.
    pub policy_file: PathBuf,
    /// Program version, for the status.
    pub software: String,
}

/// Why a gateway does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] store::Error),
    /// A task could not be run.
    #[error("starting failed: {0}")]
    Task(#[from] tokio::task::JoinError),
}

/// A running gateway.
#[derive(Debug)]
pub struct Gateway {
    requests: mpsc::Sender<Request>,
    board: watch::Receiver<Board>,
    core: JoinHandle<()>,
    uplink: JoinHandle<()>,
    stop_uplink: CancellationToken,
    journal: Journal,
    acs_link: watch::Receiver<Option<SocketAddr>>,
}

impl Gateway {
    /// Starts: reads the kept policy, rebuilds who is inside from the journal, opens the lines.
    ///
    /// # Errors
    /// See [`StartError`]; nothing is left running then.
    pub async fn start(parts: Parts, shutdown: CancellationToken) -> Result<Self, StartError> {
        let file = parts.policy_file.clone();
        // A damaged copy must not keep doors dead: the bridge hands the policy out again within seconds.
        let (policy, damage) = match tokio::task::spawn_blocking(move || snapshot::load(&file)).await? {
            Ok(policy) => (policy, None),
            Err(error) => {
                tracing::error!(%error, "the policy kept for a restart cannot be used; doors refuse until the bridge hands it out again");
                (None, Some(error.to_string()))
            }
        };
        let presence = match &policy {
            Some(policy) => Some(history::presence(&parts.journal, policy).await?),
            None => None,
        };
        let (events, event_queue) = mpsc::channel(line::EVENTS_MAX);
        let (requests, request_queue) = mpsc::channel(REQUESTS_MAX);
        let gateway = parts.settings.gateway.clone();
        let version = policy.as_ref().map(|policy| policy.version());
        let (core, board) = Core::new(
            Arc::new(parts.settings),
            parts.keys,
            parts.journal.clone(),
            policy.zip(presence),
            parts.clock.clone(),
            events,
        );
        let acs_link = core.peers().acs_link.listening();
        let core = tokio::spawn(core.run(event_queue, request_queue, shutdown));
        if let Some(why) = damage {
            let detail = Some(core::clipped(&format!("kept for a restart: {why}")));
            let alarm =
                Draft { reason: Some(Reason::PolicyRefused), detail, ..Draft::new(parts.clock.now(), Kind::Alarm) };
            // The core has just begun to listen.
            let _ = requests.send(Request::Record(alarm)).await;
        }
        let stop_uplink = CancellationToken::new();
        let uplink = uplink::Parts {
            gateway,
            journal: parts.journal.clone(),
            link: parts.link,
            keys: parts.down_keys,
            clock: parts.clock,
            board: board.clone(),
            requests: requests.clone(),
            policy_file: parts.policy_file,
            software: parts.software,
            version,
        };
        let uplink = tokio::spawn(uplink::run(uplink, stop_uplink.clone()));
        Ok(Self { requests, board, core, uplink, stop_uplink, journal: parts.journal, acs_link })
    }

    /// Puts new settings in force: lines that did not change go on undisturbed.
    pub async fn apply(&self, settings: GatewaySettings) {
        // The core only goes away at shutdown, when settings no longer matter.
        let _ = self.requests.send(Request::Settings(Arc::new(settings))).await;
    }

    /// Where the core is asked, for who has no bus: tools and tests.
    pub fn requests(&self) -> mpsc::Sender<Request> {
        self.requests.clone()
    }

    /// How it is.
    pub fn board(&self) -> watch::Receiver<Board> {
        self.board.clone()
    }

    /// Where acs-link peers can connect now; `None` while nothing listens.
    pub fn acs_link(&self) -> watch::Receiver<Option<SocketAddr>> {
        self.acs_link.clone()
    }

    /// Records something that concerns the gateway as a whole.
    pub async fn record(&self, fact: Draft) {
        let _ = self.requests.send(Request::Record(fact)).await;
    }

    /// Waits until the core has stopped (after its shutdown token was cancelled), everything is written down, and the
    /// bridge was sent what it could be sent.
    pub async fn finish(self) {
        if let Err(error) = self.core.await {
            tracing::error!(%error, "the decision core ended by a fault");
        }
        self.stop_uplink.cancel();
        let mut uplink = self.uplink;
        match tokio::time::timeout(STOP_UPLINK, &mut uplink).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the uplink ended by a fault"),
            Err(_) => {
                tracing::warn!("the bus does not let go; what it did not take is sent after the next start");
                uplink.abort();
            }
        }
        if tokio::time::timeout(STOP_JOURNAL, self.journal.close()).await.is_err() {
            tracing::error!("the journal does not close; the disk does not answer");
        }
    }

    /// Whether the core is still at work; `false` before shutdown means a fault of ours.
    pub fn is_alive(&self) -> bool {
        !self.core.is_finished()
    }
}
