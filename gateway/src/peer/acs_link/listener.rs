//! Where acs-link nodes connect.
//!
//! Owns the listening socket and the connections that have not shown yet who they are. Such a one has [`HELLO_TIME`]
//! for its handshake, and in clear as much again for its first frame; then it goes to the task of its node, or is told
//! why not and closed. Strangers cost little: [`HALF_DONE_MAX`] connections may be half done, [`HALF_DONE_EACH`] of
//! them from one address; more are not taken from the system until others are done, or closed at once. What strangers
//! do is told to the operator once a minute an address.
//!
//! Never speaks for a node. May import TLS, the switchboard and the session's refusals.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use domain::{Clock, Reason};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsStream;
use tokio_util::sync::CancellationToken;
use wire::acs_link::frame::FRAME_MAX;
use wire::acs_link::session::{HELLO_TIME, Now, Session, Settings};
use wire::acs_link::{ALPN, Body, Code, Refusal, Role, Token, Uuid, read};

use super::stream::Stream;
use super::switchboard::{Arrival, Connection, Identity, Switchboard};
use super::tls::{self, Tls, Witness};
use super::{fill_random, random};
use crate::line::{LineFact, Teller};
use crate::peer::PeerContext;
use crate::settings::AcsLinkListener;

/// Connections that have not shown yet who they are: about 10 MB at worst. The next one waits in the system's queue.
pub const HALF_DONE_MAX: usize = 256;
/// Of them from one address; the next one is closed at once.
pub const HALF_DONE_EACH: usize = 64;
/// How often the port is tried again when it is taken.
const BIND_AGAIN: Duration = Duration::from_millis(250);
/// A port that is still taken after so long is told to the operator: the listener before this one has let go by then.
const BIND_PATIENCE: Duration = Duration::from_secs(2);
/// How often the operator hears of one address.
const TOLD_EVERY: Duration = Duration::from_secs(60);
/// Addresses about which that is remembered.
const TOLD_MAX: usize = 256;

/// Listens for peers until cancelled, and hands them to the tasks of their nodes.
pub async fn listen(settings: AcsLinkListener, teller: Teller, context: Arc<PeerContext>, cancel: CancellationToken) {
    let switchboard = context.acs_link.clone();
    match prepare(&settings, &context.clock) {
        Ok(identity) => {
            if let Some(complaint) = identity.tls.as_ref().and_then(Tls::complaint) {
                let detail = format!("{complaint}; peers will refuse this gateway");
                teller.tell(LineFact::Notice { reason: Reason::SettingsRefused, detail }).await;
            }
            switchboard.set_identity(Some(identity));
        }
        Err(problem) => {
            tracing::error!(%problem, "acs-link does not listen");
            teller.tell(LineFact::Notice { reason: Reason::SettingsRefused, detail: problem }).await;
            // Who we were before: certificates that were good this morning are better than none.
            if switchboard.identity().is_none() {
                return;
            }
        }
    }
    let Some(address) = settings.listen else { return };
    let Some(listener) = bind(address, &teller, &cancel).await else { return };
    switchboard.set_listening(listener.local_addr().ok());
    let mut front = Front { teller, context, halves: HashMap::new(), told: HashMap::new(), tasks: JoinSet::new() };
    front.serve(&listener, &cancel).await;
    switchboard.set_listening(None);
}

/// Checks what a configuration says of acs-link, and reads the certificates.
///
/// # Errors
/// What is wrong and what to do, for the operator.
pub fn prepare(settings: &AcsLinkListener, clock: &Clock) -> Result<Identity, String> {
    let node = settings.node.clone();
    if Token::new(&node).is_err() {
        return Err(format!("the acs-link node {node:?} is no name: 1 to 64 letters, digits and . _ : / -"));
    }
    let Some(files) = &settings.tls else {
        return match settings.listen {
            Some(address) if !address.ip().is_loopback() => Err(format!(
                "acs-link without certificates listens on this machine only, not on {address}: name the files ca, \
                 cert and key, or listen on 127.0.0.1"
            )),
            _ => Ok(Identity { node, tls: None }),
        };
    };
    let tls = Tls::load(files, clock).map_err(|error| format!("acs-link: {error}"))?;
    match tls.own_node() {
        Ok(own) if own == node => Ok(Identity { node, tls: Some(tls) }),
        Ok(own) => Err(format!("acs-link: the certificate {} is of node {own}, not of {node}", files.cert.display())),
        Err(problem) => Err(format!("acs-link: {}: the {problem}", files.cert.display())),
    }
}

async fn bind(address: SocketAddr, teller: &Teller, cancel: &CancellationToken) -> Option<TcpListener> {
    let (began, mut told) = (Instant::now(), false);
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return Some(listener),
            Err(error) if !told && began.elapsed() >= BIND_PATIENCE => {
                told = true;
                let detail = format!("acs-link cannot listen on {address}: {error}; it is tried again");
                tracing::error!(%address, %error, "acs-link cannot listen");
                teller.tell(LineFact::Notice { reason: Reason::SettingsRefused, detail }).await;
            }
            Err(_) => {}
        }
        tokio::select! {
            () = cancel.cancelled() => return None,
            () = sleep(BIND_AGAIN) => {}
        }
    }
}

/// The listener and those who stand before it.
struct Front {
    teller: Teller,
    context: Arc<PeerContext>,
    /// Half-done connections by address.
    halves: HashMap<IpAddr, usize>,
    /// When the operator last heard of an address, and how often it was passed over since.
    told: HashMap<IpAddr, (Instant, u32)>,
    tasks: JoinSet<(SocketAddr, Result<(), Turned>)>,
}

/// Why a connection went to no task.
struct Turned {
    /// The node that it claims to be, if any.
    claim: Option<String>,
    /// Continues "a connection from … was refused: ".
    why: String,
}

impl Front {
    async fn serve(&mut self, listener: &TcpListener, cancel: &CancellationToken) {
        loop {
            tokio::select! {
                biased;
                () = cancel.cancelled() => return,
                Some(done) = self.tasks.join_next(), if !self.tasks.is_empty() => match done {
                    Ok((from, outcome)) => self.done(from, outcome).await,
                    Err(error) => tracing::error!(%error, "a handshake ended by a fault"),
                },
                accepted = listener.accept(), if self.tasks.len() < HALF_DONE_MAX => match accepted {
                    Ok((stream, from)) => self.accept(stream, from),
                    Err(error) => {
                        // Out of descriptors or memory: it passes, or nothing here can help.
                        tracing::warn!(%error, "a connection could not be taken");
                        sleep(BIND_AGAIN).await;
                    }
                },
            }
        }
    }

    fn accept(&mut self, stream: TcpStream, from: SocketAddr) {
        let half = self.halves.entry(from.ip()).or_default();
        if *half >= HALF_DONE_EACH {
            return;
        }
        *half += 1;
        let (switchboard, clock) = (self.context.acs_link.clone(), self.context.clock.clone());
        self.tasks.spawn(async move { (from, receive(stream, from, &switchboard, &clock).await) });
    }

    async fn done(&mut self, from: SocketAddr, outcome: Result<(), Turned>) {
        if let Some(half) = self.halves.get_mut(&from.ip()) {
            *half -= 1;
            if *half == 0 {
                self.halves.remove(&from.ip());
            }
        }
        let Err(Turned { claim, why }) = outcome else { return };
        tracing::warn!(peer.address = %from, peer.claim = claim.as_deref(), %why, "an acs-link connection was refused");
        let told = format!("a connection from {from} was refused: {why}");
        if let Some(node) = &claim
            && self.context.acs_link.deliver(node, Arrival::Refused { why: told.clone() })
        {
            return;
        }
        if let Some(more) = self.may_tell(from.ip()) {
            let detail = if more == 0 { told } else { format!("{told}; {more} more before") };
            self.teller.tell(LineFact::Notice { reason: Reason::PeerRefused, detail }).await;
        }
    }

    /// Whether the operator may hear of this address again, and how often it was not told since the last time.
    fn may_tell(&mut self, address: IpAddr) -> Option<u32> {
        let now = Instant::now();
        if let Some((at, passed_over)) = self.told.get_mut(&address)
            && now.duration_since(*at) < TOLD_EVERY
        {
            *passed_over = passed_over.saturating_add(1);
            return None;
        }
        if self.told.len() >= TOLD_MAX {
            self.told.retain(|_, (at, _)| now.duration_since(*at) < TOLD_EVERY);
        }
        if self.told.len() >= TOLD_MAX {
            return None;
        }
        self.told.insert(address, (now, 0)).map_or(Some(0), |(_, passed_over)| Some(passed_over))
    }
}

/// Finds out who has connected, and hands the connection to that node's task.
async fn receive(stream: TcpStream, from: SocketAddr, switchboard: &Switchboard, clock: &Clock) -> Result<(), Turned> {
    let turned = |claim, why: String| Turned { claim, why };
    // Small messages that somebody waits for at a door.
    let _ = stream.set_nodelay(true);
    let Some(identity) = switchboard.identity() else {
        return Err(turned(None, "this gateway has no acs-link identity".into()));
    };
    let (stream, node, first) = match &identity.tls {
        Some(tls) => {
            let (stream, node) = secure(stream, tls).await?;
            (stream, node, Vec::new())
        }
        None if from.ip().is_loopback() => greeting(stream, &identity, clock).await?,
        None => return Err(turned(None, "plain TCP is for this machine only".into())),
    };
    if !switchboard.knows(&node) {
        let why = format!("no peer with the node {node} is configured here");
        refuse(stream, &identity, Code::AuthNodeMismatch, &why, clock).await;
        return Err(turned(Some(node), why));
    }
    let connection = Box::new(Connection { stream, first, from, ours: false });
    match switchboard.deliver(&node, Arrival::Connected(connection)) {
        true => Ok(()),
        false => Err(turned(Some(node), "the node connects faster than its connections can be taken".into())),
    }
}

/// The handshake; gives the node of the certificate.
async fn secure(stream: TcpStream, tls: &Tls) -> Result<(Stream, String), Turned> {
    let turned = |witness: &Witness, why: String| Turned {
        claim: witness.claim().and_then(|claim| claim.node.clone().ok()),
        why,
    };
    let (acceptor, witness) = match tls.acceptor() {
        Ok(ready) => ready,
        Err(error) => return Err(turned(&Witness::default(), error.to_string())),
    };
    let stream = match timeout(HELLO_TIME, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            let named = witness.claim().and_then(|claim| claim.node.clone().ok());
            let whose = named.map_or_else(String::new, |node| format!("node {node}: "));
            return Err(turned(&witness, format!("{whose}its {}", tls::explain_io(&error))));
        }
        Err(_) => return Err(turned(&witness, "the TLS handshake was not done within 5 s".into())),
    };
    if stream.get_ref().1.alpn_protocol() != Some(ALPN) {
        // TLS has no alert for what was not offered; the close says it.
        Stream::Secure(Box::new(TlsStream::Server(stream))).close_with(Vec::new()).await;
        return Err(turned(&witness, "it does not offer acs-link/1 (ALPN)".into()));
    }
    match witness.claim().map(|claim| claim.node.clone()) {
        Some(Ok(node)) => Ok((Stream::Secure(Box::new(TlsStream::Server(stream))), node)),
        Some(Err(problem)) => {
            Stream::Secure(Box::new(TlsStream::Server(stream))).close_with(Vec::new()).await;
            Err(turned(&witness, format!("its {problem}")))
        }
        None => Err(turned(&witness, "its certificate was not seen".into())),
    }
}

/// In clear: the first frame says who it is.
async fn greeting(
    mut stream: TcpStream,
    identity: &Identity,
    clock: &Clock,
) -> Result<(Stream, String, Vec<u8>), Turned> {
    let refusal = match timeout(HELLO_TIME, first_frame(&mut stream)).await {
        Ok(Ok(first)) => match read::read(&first[4..]).map(|msg| msg.body) {
            Ok(Body::Hello(hello)) => return Ok((Stream::Plain(stream), hello.node.as_str().to_owned(), first)),
            Ok(_) => Refusal::new(Code::SchemaInvalid, "the first message is a Hello"),
            Err(refusal) => refusal,
        },
        Ok(Err(FirstFrame::Refused(refusal))) => refusal,
        Ok(Err(FirstFrame::Broken(error))) => return Err(Turned { claim: None, why: error.to_string() }),
        Err(_) => Refusal::new(Code::FrameTimeout, "the Hello was not complete within 5 s"),
    };
    let why = refusal.to_string();
    refuse(Stream::Plain(stream), identity, refusal.code, &refusal.text, clock).await;
    Err(Turned { claim: None, why })
}

enum FirstFrame {
    Refused(Refusal),
    Broken(io::Error),
}

/// One whole frame with its length, and nothing of what follows. Memory grows with what arrives.
async fn first_frame(stream: &mut TcpStream) -> Result<Vec<u8>, FirstFrame> {
    let mut head = [0; 4];
    stream.read_exact(&mut head).await.map_err(FirstFrame::Broken)?;
    let length = u32::from_be_bytes(head);
    if length == 0 || length > FRAME_MAX {
        let text = format!("a frame of {length} bytes; 1 to {FRAME_MAX} are taken");
        return Err(FirstFrame::Refused(Refusal::new(Code::FrameTooLarge, text)));
    }
    let mut frame = head.to_vec();
    let read = stream.take(length.into()).read_to_end(&mut frame).await.map_err(FirstFrame::Broken)?;
    if read < length as usize {
        return Err(FirstFrame::Broken(io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(frame)
}

/// Tells a node why it is refused, and closes.
async fn refuse(stream: Stream, identity: &Identity, code: Code, text: &str, clock: &Clock) {
    let Ok(node) = Token::new(&identity.node) else { return };
    let now = Now { mono: Duration::ZERO, wall: clock.now() };
    let mut epoch = [0; 16];
    fill_random(&mut epoch);
    let mut session = Session::accept(Settings::new(Role::Gw, node, Uuid(epoch)), now, random());
    session.refuse(code, text, now);
    stream.close_with(session.output(now).to_vec()).await;
}

#[cfg(test)]
mod tests;
