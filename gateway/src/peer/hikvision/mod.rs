//! Hikvision peers.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::PeerContext;
use crate::line::{LineOrder, Teller};
use crate::settings::{HikvisionDevice, PeerSettings};

/// Works with a peer until cancelled.
pub async fn run(
    device: HikvisionDevice,
    settings: PeerSettings,
    teller: Teller,
    mut orders: mpsc::Receiver<LineOrder>,
    context: Arc<PeerContext>,
    cancel: CancellationToken,
) {
    let _ = (device, settings, teller, context);
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            Some(_) = orders.recv() => {}
        }
    }
}
