//! Sending policy chunks, aside: they may have to wait for room on the line, and acknowledgements must not.

use std::sync::Arc;

use bus::Publisher;
use tokio::sync::mpsc;
use tracing::debug;
use wire::bus::{Channel, ChunkRequest, PolicyChunk, Topic};

use crate::policy::Offered;

/// Requests that wait. When there are more, a request is dropped: the gateway asks again.
const WAITING_MAX: usize = 64;

pub(crate) struct ChunkSender(mpsc::Sender<(ChunkRequest, Arc<Offered>)>);

impl ChunkSender {
    /// Its task ends with it.
    pub(crate) fn new(publisher: Publisher) -> Self {
        let (requests, waiting) = mpsc::channel(WAITING_MAX);
        tokio::spawn(serve(publisher, waiting));
        Self(requests)
    }

    pub(crate) fn send(&self, request: ChunkRequest, offered: Arc<Offered>) {
        if let Err(error) = self.0.try_send((request, offered)) {
            debug!("a request for policy chunks is dropped: {error}");
        }
    }
}

async fn serve(publisher: Publisher, mut waiting: mpsc::Receiver<(ChunkRequest, Arc<Offered>)>) {
    while let Some((request, offered)) = waiting.recv().await {
        let topic = Topic::new(request.gateway, Channel::Policy);
        for index in request.first..request.first.saturating_add(request.count) {
            let Some(chunk) = PolicyChunk::cut(offered.version, &offered.bytes, index) else { break };
            if let Err(error) = publisher.publish(&topic, chunk.encode()).await {
                debug!(gateway = %topic.gateway, "policy chunks are not sent: {error}");
                break;
            }
        }
    }
}
