//! Sockets for MLLP: TCP or TLS behind one type, with the operating system asking whether a silent end is still there.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustix::net::sockopt;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::line::LineFault;
use super::settings::{SenderSettings, SettingsError, TlsServer};
use crate::http::TlsError;
use crate::http::tls::{certificates, certified, configuration};

/// How often a silent end is asked before it counts as gone.
const PROBES: u32 = 3;

/// A connection.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Sends small pieces at once, and notices an end that went away without a word.
pub(crate) fn prepare(stream: &TcpStream, keepalive: Duration) -> io::Result<()> {
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    let seconds = Duration::from_secs(keepalive.as_secs().max(1));
    sockopt::set_tcp_keepidle(stream, seconds)?;
    sockopt::set_tcp_keepintvl(stream, Duration::from_secs((seconds.as_secs() / 3).max(1)))?;
    sockopt::set_tcp_keepcnt(stream, PROBES)?;
    Ok(())
}

/// Makes connections to one system.
pub(crate) struct Dialer {
    host: String,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    keepalive: Duration,
}

impl Dialer {
    /// Reads the certificates; connects to nothing yet.
    pub(crate) fn new(settings: &SenderSettings) -> Result<Self, SettingsError> {
        let tls = match &settings.tls {
            None => None,
            Some(tls) => {
                let config = configuration(&tls.roots, tls.identity.as_ref())?;
                let name = ServerName::try_from(settings.host.clone()).map_err(|_| SettingsError::ServerName)?;
                Some((TlsConnector::from(Arc::new(config)), name))
            }
        };
        Ok(Self { host: settings.host.clone(), port: settings.port, tls, keepalive: settings.keepalive })
    }

    /// Connects; the caller bounds the time.
    pub(crate) async fn dial(&self) -> Result<Box<dyn Stream>, LineFault> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(|_| LineFault::Unreachable)?;
        prepare(&stream, self.keepalive).map_err(|_| LineFault::Unreachable)?;
        match &self.tls {
            None => Ok(Box::new(stream)),
            Some((connector, name)) => match connector.connect(name.clone(), stream).await {
                Ok(stream) => Ok(Box::new(stream)),
                Err(error) => Err(of_tls(&error)),
            },
        }
    }
}

/// What went wrong with a protected connection: a certificate, or the line.
pub(crate) fn of_tls(error: &io::Error) -> LineFault {
    match error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) {
        true => LineFault::Tls,
        false => LineFault::Broken,
    }
}

/// TLS of the listener: 1.2 or 1.3, and nobody without a certificate of the given authorities.
pub(crate) fn acceptor(tls: &TlsServer) -> Result<TlsAcceptor, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&tls.clients).ok_or(TlsError::NoRoots)? {
        roots.add(certificate).map_err(|_| TlsError::NoRoots)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .build()
        .map_err(|_| TlsError::NoRoots)?;
    let (chain, key): (Vec<CertificateDer<'static>>, _) = certified(&tls.identity)?;
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| TlsError::Unusable)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .map_err(|_| TlsError::Unusable)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
