//! Controllers and systems joined by network: each is a line of its own kind, with readers, facts and orders.
//!
//! One task a peer owns its connection and translates: what the peer says becomes facts for the core, what the core
//! orders becomes messages. It never decides who may pass. Policies reach it by [`PeerContext::policy`], so that it can
//! tell its peer whose cards are good while the link is down.
//!
//! What a peer reports goes to the core as a [`crate::line::Batch`] and is acknowledged only after the batch says
//! that it is durable. Orders must always be taken from their channel, also while the peer is away: an opening for an
//! absent peer is void, and the core repeats standing orders when a reader comes back.

pub mod acs_link;
pub mod hikvision;
pub mod http;
pub mod parsec;
pub mod push;

use std::sync::Arc;

use domain::Clock;
use domain::ids::{GatewayId, LineId, SiteId};
use domain::policy::Policy;
use store::journal::Journal;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::core::SiteKeys;
use crate::line::{LineEvent, LineOrder, Teller};
use crate::settings::{AcsLinkListener, GatewaySettings, PeerProtocol, PeerSettings, PushListener};

/// What every peer's task is given.
pub struct PeerContext {
    /// Wall time.
    pub clock: Clock,
    /// Positions in streams and messages on their way to peers are kept in it.
    pub journal: Journal,
    /// The policy in force.
    pub policy: watch::Receiver<Option<Arc<Policy>>>,
    /// Makes pseudonyms of card numbers, and numbers of sealed ones.
    pub keys: Arc<SiteKeys>,
    /// The clinic.
    pub site: SiteId,
    /// This gateway.
    pub gateway: GatewayId,
    /// Where connections of acs-link peers arrive.
    pub acs_link: acs_link::Switchboard,
    /// Where pushes of devices arrive.
    pub push: Arc<push::PushBoard>,
}

/// What peers connect to. Restarted when its settings change; a listener that cannot start says so in an alarm and
/// tries again, and everything else goes on.
#[derive(Debug, Default)]
pub struct Listeners {
    acs_link: Option<(AcsLinkListener, CancellationToken)>,
    push: Option<(PushListener, CancellationToken)>,
}

impl Listeners {
    /// Brings the listeners into line with the settings.
    pub fn apply(&mut self, settings: &GatewaySettings, events: &mpsc::Sender<LineEvent>, context: &Arc<PeerContext>) {
        let wanted = settings.acs_link.clone();
        // Files may have changed behind the same names: certificates are read again.
        if let Some((_, running)) = self.acs_link.take() {
            running.cancel();
        }
        if let (Some(wanted), Ok(name)) = (wanted, LineId::new("acs-link")) {
            let cancel = CancellationToken::new();
            let teller = Teller::new(name, events.clone());
            tokio::spawn(acs_link::listen(wanted.clone(), teller, Arc::clone(context), cancel.clone()));
            self.acs_link = Some((wanted, cancel));
        }
        self.apply_push(settings.push.clone(), events, context);
    }

    fn apply_push(
        &mut self,
        wanted: Option<PushListener>,
        events: &mpsc::Sender<LineEvent>,
        context: &Arc<PeerContext>,
    ) {
        if self.push.as_ref().map(|(running, _)| running) == wanted.as_ref() {
            return;
        }
        if let Some((_, running)) = self.push.take() {
            running.cancel();
        }
        context.push.set_address(wanted.as_ref().map(|wanted| wanted.address.trim_end_matches('/').to_owned()));
        if let (Some(wanted), Ok(name)) = (wanted, LineId::new("push")) {
            let cancel = CancellationToken::new();
            let teller = Teller::new(name, events.clone());
            tokio::spawn(push::listen(wanted.clone(), teller, Arc::clone(&context.push), cancel.clone()));
            self.push = Some((wanted, cancel));
        }
    }

    /// Ends them.
    pub fn stop(&mut self) {
        if let Some((_, running)) = self.acs_link.take() {
            running.cancel();
        }
        if let Some((_, running)) = self.push.take() {
            running.cancel();
        }
    }
}

/// Works with a peer until cancelled.
pub async fn run(
    settings: PeerSettings,
    teller: Teller,
    orders: mpsc::Receiver<LineOrder>,
    context: Arc<PeerContext>,
    cancel: CancellationToken,
) {
    match settings.protocol.clone() {
        PeerProtocol::AcsLink(peer) => acs_link::run(peer, settings, teller, orders, context, cancel).await,
        PeerProtocol::Hikvision(device) => hikvision::run(device, settings, teller, orders, context, cancel).await,
        PeerProtocol::Parsec(server) => parsec::run(server, settings, teller, orders, context, cancel).await,
    }
}
