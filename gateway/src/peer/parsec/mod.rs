//! ParsecNET peers.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::PeerContext;
use crate::line::{LineOrder, Teller};
use crate::settings::{ParsecServer, PeerSettings};

/// Works with a peer until cancelled.
pub async fn run(
    server: ParsecServer,
    settings: PeerSettings,
    teller: Teller,
    mut orders: mpsc::Receiver<LineOrder>,
    context: Arc<PeerContext>,
    cancel: CancellationToken,
) {
    let _ = (server, settings, teller, context);
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            Some(_) = orders.recv() => {}
        }
    }
}
