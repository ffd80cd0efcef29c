//! The server itself: listener, TLS, start and orderly end.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum_server::Handle;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use clinic::vault::Vault;
use domain::Clock;
use store::Database;
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::settings::Settings;
use crate::{routes, tls};

/// How long open requests may take to finish at the end.
const END_WITHIN: Duration = Duration::from_secs(5);
/// How long a TLS handshake may take: who says nothing keeps no place.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);

/// Why the dashboard could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum DashboardError {
    /// The certificate or its key cannot be read or made.
    #[error("{file}: {problem}")]
    Tls {
        /// Which file.
        file: String,
        /// What is wrong and what to do.
        problem: String,
    },
    /// The network refused.
    #[error("the pages' listener: {0}")]
    Listener(#[from] std::io::Error),
}

/// The dashboard, ready to serve.
pub struct Dashboard {
    app: App,
    nudge: Arc<Notify>,
}

impl std::fmt::Debug for Dashboard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Dashboard")
    }
}

impl Dashboard {
    /// A dashboard over `database`; `vault` says who pseudonyms are, as far as it is open.
    pub fn new(settings: Settings, database: Database, clock: Clock, vault: Vault) -> Self {
        let app = App::new(settings, database, clock, vault, CancellationToken::new());
        Self { app, nudge: Arc::new(Notify::new()) }
    }

    /// Notify it after each commit of new events in this process, and live pages show them at once instead of at the
    /// next look (150 ms).
    pub fn nudge(&self) -> Arc<Notify> {
        Arc::clone(&self.nudge)
    }

    /// The pages without a listener, for a server of one's own and for tests. [`Dashboard::follow`] must run beside.
    pub fn router(&self) -> Router {
        routes::router(self.app.clone())
    }

    /// Follows the feeds of events and changes until `shutdown`; then open streams end.
    pub async fn follow(&self, shutdown: CancellationToken) {
        let ending = self.app.ending.clone();
        let feed = self.app.feed.run(self.app.database.clone(), Arc::clone(&self.nudge), ending.clone());
        let changes = self.app.changes.run(ending.clone());
        let cast = async {
            if let Some(cast) = &self.app.fhircast {
                cast.sockets.run(&cast.hub, self.app.changes.subscribe(), ending.clone()).await;
            }
        };
        let openid = async {
            if let Some(provider) = &self.app.openid {
                crate::openid::run(provider, self.app.changes.subscribe(), ending.clone()).await;
            }
        };
        // What a program left behind when it was ended between asking a card terminal and storing its answer.
        let terminals = self.app.terminals.run(ending.cancelled());
        tokio::select! {
            ((), (), (), (), ()) = async { tokio::join!(feed, changes, cast, openid, terminals) } => {}
            () = shutdown.cancelled() => ending.cancel(),
        }
        if let Some(cast) = &self.app.fhircast {
            cast.sockets.drained().await;
        }
    }

    /// Serves until `shutdown`, then ends open requests and streams in order (at most 5 s). `ready` gets the address
    /// when connections are accepted.
    ///
    /// # Errors
    /// The certificate or the listener.
    pub async fn serve(
        self,
        listener: TcpListener,
        shutdown: CancellationToken,
        ready: Option<oneshot::Sender<SocketAddr>>,
    ) -> Result<(), DashboardError> {
        let configuration = tls::configuration(&self.app.settings.tls)?;
        listener.set_nonblocking(true)?;
        let handle: Handle<SocketAddr> = Handle::new();
        let acceptor = RustlsAcceptor::new(RustlsConfig::from_config(configuration))
            .handshake_timeout(HANDSHAKE_WITHIN)
            .acceptor(crate::connection::Bounded::default());
        let acceptor = crate::connection::Prompt(acceptor);
        let mut server = axum_server::from_tcp(listener)?.handle(handle.clone()).acceptor(acceptor);
        crate::connection::bound_headers(&mut server);
        let service = self.router().into_make_service_with_connect_info::<SocketAddr>();
        let ender = async {
            if let (Some(address), Some(ready)) = (handle.listening().await, ready) {
                let _ = ready.send(address);
            }
            Box::pin(self.follow(shutdown.clone())).await;
            handle.graceful_shutdown(Some(END_WITHIN));
        };
        let (served, ()) = tokio::join!(server.serve(service), ender);
        tracing::info!("dashboard.ended");
        Ok(served?)
    }
}
