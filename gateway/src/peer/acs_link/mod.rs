//! acs-link peers.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::PeerContext;
use crate::line::{LineOrder, Teller};
use crate::settings::{AcsLinkListener, AcsLinkPeer, PeerSettings};

/// Works with a peer until cancelled.
pub async fn run(
    peer: AcsLinkPeer,
    settings: PeerSettings,
    teller: Teller,
    mut orders: mpsc::Receiver<LineOrder>,
    context: Arc<PeerContext>,
    cancel: CancellationToken,
) {
    let _ = (peer, settings, teller, context);
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            Some(_) = orders.recv() => {}
        }
    }
}

/// Hands connections to the tasks of their nodes.
#[derive(Debug, Default)]
pub struct Switchboard {}

/// Listens for peers until cancelled, and hands them to the tasks of their nodes.
pub async fn listen(settings: AcsLinkListener, teller: Teller, context: Arc<PeerContext>, cancel: CancellationToken) {
    let _ = (settings, teller, context);
    cancel.cancelled().await;
}
