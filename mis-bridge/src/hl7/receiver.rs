//! The listener: takes connections, cuts them into messages, answers each before the next one is looked at.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clinic::feeds::Feeds;
use clinic::received;
use domain::Clock;
use sha2::{Digest, Sha256};
use store::Database;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, Semaphore};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout, timeout_at};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};
use wire::hl7::mllp::Framer;

use super::answer::{Desk, Peer};
use super::settings::{ReceiverSettings, SettingsError};
use super::socket::{Stream, acceptor, prepare};

/// A protected connection has to stand within this time.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// An answer has to be taken within this time.
const WRITE_WITHIN: Duration = Duration::from_secs(15);
/// Before a connection is closed because nothing can be taken now, so that its sender does not come back at once.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often remembered answers are looked through for old ones.
const TIDY_EVERY: Duration = Duration::from_secs(3600);
/// Read at once, in bytes.
const PIECE_BYTES: usize = 16 * 1024;

/// The listener. Bound, not running yet.
pub struct Receiver {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    desk: Arc<Desk>,
}

impl std::fmt::Debug for Receiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Receiver({:?})", self.desk)
    }
}

impl Receiver {
    /// Checks the settings and binds the address.
    ///
    /// # Errors
    /// [`SettingsError`] as the inner error, or what the operating system says of the address.
    pub async fn bind(settings: ReceiverSettings, database: Database, feeds: Feeds, clock: Clock) -> io::Result<Self> {
        let refused = |error: SettingsError| io::Error::new(io::ErrorKind::InvalidInput, error);
        settings.check().map_err(refused)?;
        let tls = settings.tls.as_ref().map(acceptor).transpose().map_err(|error| refused(error.into()))?;
        let listener = TcpListener::bind(settings.listen).await?;
        let turns = settings.senders.iter().map(|_| Mutex::new(())).collect();
        Ok(Self { listener, tls, desk: Arc::new(Desk { settings, feeds, database, clock, turns }) })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `shutdown`; a message that is being taken is answered first.
    pub async fn run(self, shutdown: CancellationToken) {
        let tasks = TaskTracker::new();
        let places = Arc::new(Semaphore::new(self.desk.settings.connections_max));
        let mut tidy = interval(TIDY_EVERY);
        tidy.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let accepted = tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                _ = tidy.tick() => {
                    self.forget().await;
                    continue;
                }
                accepted = self.listener.accept() => accepted,
            };
            let (stream, address) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Too many open files, mostly: it passes, and must not spin.
                    warn!("hl7.listener.not_accepted: {error}");
                    sleep(PATIENCE).await;
                    continue;
                }
            };
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                warn!(address = %address.ip(), "hl7.listener.full: {} connections", self.desk.settings.connections_max);
                continue;
            };
            let (desk, tls, shutdown) = (Arc::clone(&self.desk), self.tls.clone(), shutdown.clone());
            tasks.spawn(async move {
                serve(&desk, tls, stream, address, &shutdown).await;
                drop(place);
            });
        }
        tasks.close();
        tasks.wait().await;
    }

    async fn forget(&self) {
        let kept = i64::try_from(self.desk.settings.remember.as_millis()).unwrap_or(i64::MAX);
        let before = self.desk.clock.now().plus_ms(kept.saturating_neg());
        match received::forget_before(&self.desk.database, before).await {
            Ok(0) => {}
            Ok(count) => debug!(count, "hl7.received.forgotten"),
            Err(error) => warn!("hl7.received.not_forgotten: {error}"),
        }
    }
}

async fn serve(
    desk: &Desk,
    tls: Option<TlsAcceptor>,
    stream: TcpStream,
    address: SocketAddr,
    shutdown: &CancellationToken,
) {
    if let Err(error) = prepare(&stream, desk.settings.keepalive) {
        debug!("hl7.listener.socket: {error}");
        return;
    }
    let mut peer = Peer { address: address.ip(), certificate: None };
    let mut stream: Box<dyn Stream> = match tls {
        None => Box::new(stream),
        Some(acceptor) => match timeout(HANDSHAKE_WITHIN, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => {
                let leaf = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
                peer.certificate = leaf.map(|leaf| Sha256::digest(leaf).into());
                Box::new(stream)
            }
            Ok(Err(error)) => {
                info!(address = %address.ip(), "hl7.listener.not_protected: {error}");
                return;
            }
            Err(_) => return,
        },
    };
    talk(desk, &mut *stream, &peer, shutdown).await;
    // What was written is to arrive; an end that does not take it is not waited for.
    let _ = timeout(WRITE_WITHIN, stream.shutdown()).await;
}

/// Until the other end goes, says nothing for too long, or nothing can be taken.
async fn talk(desk: &Desk, stream: &mut dyn Stream, peer: &Peer, shutdown: &CancellationToken) {
    let mut framer = Framer::new(desk.settings.message_max_bytes);
    let mut piece = vec![0; PIECE_BYTES];
    // A message that trickles in byte by byte has no more time than one that comes at once.
    let mut begun: Option<Instant> = None;
    loop {
        let until = match begun {
            Some(begun) => begun + desk.settings.message_within,
            None => Instant::now() + desk.settings.idle_for,
        };
        let read = tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            read = timeout_at(until, stream.read(&mut piece)) => read,
        };
        let mut input = match read {
            Ok(Ok(0)) | Ok(Err(_)) => return,
            Ok(Ok(count)) => piece.get(..count).unwrap_or_default(),
            Err(_) => {
                debug!(address = %peer.address, inside = begun.is_some(), "hl7.listener.silent");
                return;
            }
        };
        while let Some(framed) = framer.take(&mut input) {
            begun = None;
            let Ok(answer) = desk.answer(framed, peer).await else {
                sleep(PATIENCE).await;
                return;
            };
            let write = async {
                stream.write_all(&answer).await?;
                stream.flush().await
            };
            if !matches!(timeout(WRITE_WITHIN, write).await, Ok(Ok(()))) {
                return;
            }
            if shutdown.is_cancelled() {
                return;
            }
        }
        begun = match framer.is_inside() {
            true => begun.or_else(|| Some(Instant::now())),
            false => None,
        };
    }
}
