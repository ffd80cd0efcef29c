//! ParsecNET 3 servers: their IntegrationService by SOAP.
//!
//! Three things go on at once for each server, each with a connection of its own, all in one session: [`listen`] reads
//! events and keeps the session, [`speak`] carries out answers and orders, [`keep`] tells the server whose cards are
//! good. A slow report of events therefore never delays the answer to somebody at a door.
//!
//! Owns the session and everything that is known of the server. Never decides who may pass; never believes the body of
//! a push (its form is not public): a push means "look now", and the report is the truth. May import `wire::parsec`,
//! the HTTP client, the journal's marks.
//!
//! | bound | | when reached |
//! |---|---|---|
//! | an answer of the server | 4 MB, 10 s | the connection counts as broken |
//! | events of one report | 20 000 | its window of time is halved |
//! | questions remembered | 256 | the oldest is forgotten: its events count as the server's own |
//! | passes told | 200 000 (the journal's bound) | the rest is not told, and an alarm says so |

mod asks;
mod client;
mod history;
mod judge;
mod keep;
mod listen;
mod passes;
mod places;
mod speak;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::Reason;
use domain::equipment::{Peer as PeerStatus, PeerKind};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use wire::parsec::object::Session;

use super::PeerContext;
use crate::line::{LineFact, LineOrder, Teller};
use crate::settings::{ParsecServer, PeerSettings};
use asks::Asks;
use client::Client;

/// What the three parts share.
struct Shared {
    server: ParsecServer,
    settings: PeerSettings,
    teller: Teller,
    context: Arc<PeerContext>,
    cancel: CancellationToken,
    /// The session, while there is one.
    session: watch::Sender<Option<Session>>,
    asks: Mutex<Asks>,
    status: Mutex<PeerStatus>,
}

impl Shared {
    /// Never held across an await.
    fn asks(&self) -> MutexGuard<'_, Asks> {
        self.asks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn status(&self) -> MutexGuard<'_, PeerStatus> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn notice(&self, reason: Reason, detail: String) {
        tracing::warn!(line.id = %self.settings.id, %detail, "parsec");
        self.teller.tell(LineFact::Notice { reason, detail: format!("{}: {detail}", self.settings.id) }).await;
    }
}

/// Works with a peer until cancelled.
pub async fn run(
    server: ParsecServer,
    settings: PeerSettings,
    teller: Teller,
    mut orders: mpsc::Receiver<LineOrder>,
    context: Arc<PeerContext>,
    cancel: CancellationToken,
) {
    let client = match Client::new(&server, context.clock.clone()) {
        Ok(client) => client,
        Err(error) => {
            teller.tell(LineFact::Closed { why: error.to_string() }).await;
            // Orders are taken all the same, and are void.
            loop {
                tokio::select! {
                    () = cancel.cancelled() => return,
                    order = orders.recv() => if order.is_none() { return },
                }
            }
        }
    };
    let (speaking, keeping) = (client.sibling(), client.sibling());
    let mut status = PeerStatus::new(PeerKind::Parsec, client.authority());
    status.secure = server.url.starts_with("https:");
    let session = watch::Sender::new(None);
    let shared = Arc::new(Shared {
        server,
        settings,
        teller,
        context,
        cancel,
        session,
        asks: Mutex::default(),
        status: Mutex::new(status),
    });
    let listening = listen::Listener::new(Arc::clone(&shared), client).run();
    let speaking = speak::run(Arc::clone(&shared), speaking, &mut orders);
    let keeping = keep::run(Arc::clone(&shared), keeping);
    // Boxed: three connections are large, and a peer task is moved about.
    tokio::join!(Box::pin(listening), Box::pin(speaking), Box::pin(keeping));
}
