//! TLS for acs-link: who we are, whom we believe, and what a peer's certificate says that it is.
//!
//! TLS 1.3 only, mutual, ALPN [`ALPN`], one pinned authority: the site's. A node's name stands in its certificate as
//! the URI `urn:acs-link:node:<node>`; host names and addresses mean nothing. Tickets for resuming are not given out,
//! so that every connection is judged by the certificate it shows now.
//!
//! Owns the reading of the files and the judging of certificates. Never opens a connection (see [`super::listener`],
//! [`super::dial`]). May import rustls and the clock.

use std::fmt;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use domain::Clock;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::time_provider::TimeProvider;
use rustls::version::TLS13;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, ServerConfig,
    SignatureScheme,
};
use thiserror::Error as ThisError;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use wire::acs_link::{ALPN, NODE_URI, Token};

use crate::settings::TlsFiles;

/// Why our side of TLS cannot be set up.
#[derive(Debug, ThisError)]
#[error("{file}: {problem}")]
pub struct TlsError {
    /// Which file.
    pub file: String,
    /// What is wrong with it, and what to do.
    pub problem: String,
}

/// Our side of every acs-link connection. Cheap to clone.
#[derive(Clone)]
pub struct Tls {
    provider: Arc<CryptoProvider>,
    time: Arc<WallTime>,
    roots: Arc<RootCertStore>,
    clients: Arc<dyn ClientCertVerifier>,
    identity: Arc<SingleCertAndKey>,
    own: CertificateDer<'static>,
    between: Arc<Vec<CertificateDer<'static>>>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// A file that is missing, unreadable, not what it should be, or a key that others on this computer may read.
    pub fn load(files: &TlsFiles, clock: &Clock) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let mut roots = RootCertStore::empty();
        for certificate in chain(&files.ca)? {
            roots.add(certificate).map_err(|error| fault(&files.ca, error))?;
        }
        let roots = Arc::new(roots);
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider))
            .build()
            .map_err(|error| fault(&files.ca, error))?;
        let mut own_chain = chain(&files.cert)?;
        check_mode(&files.key)?;
        let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| fault(&files.key, error))?;
        let certified = CertifiedKey::from_der(own_chain.clone(), key, &provider).map_err(|error| {
            fault(&files.cert, format!("{error}; the certificate and {} must belong together", files.key.display()))
        })?;
        let own = own_chain.remove(0);
        let time = Arc::new(WallTime(clock.clone()));
        let identity = Arc::new(SingleCertAndKey::from(certified));
        Ok(Self { provider, time, roots, clients, identity, own, between: Arc::new(own_chain) })
    }

    /// Which node our own certificate says that we are.
    ///
    /// # Errors
    /// Why it says none.
    pub fn own_node(&self) -> Result<String, String> {
        node_of(&self.own)
    }

    /// What others will find wrong with our own certificate now: expired, signed by somebody else.
    pub fn complaint(&self) -> Option<String> {
        let now = self.time.current_time()?;
        self.verify_server(&self.own, &self.between, now).err().map(|error| format!("our own {}", explain(&error)))
    }

    /// For one connection that somebody makes to us.
    ///
    /// # Errors
    /// What rustls says; not expected.
    pub fn acceptor(&self) -> Result<(TlsAcceptor, Witness), Error> {
        let witness = Witness::default();
        let verifier = WatchedClients { inner: Arc::clone(&self.clients), witness: witness.clone() };
        let mut config = ServerConfig::builder_with_details(Arc::clone(&self.provider), self.time.clone())
            .with_protocol_versions(&[&TLS13])?
            .with_client_cert_verifier(Arc::new(verifier))
            .with_cert_resolver(Arc::clone(&self.identity) as _);
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Ok((TlsAcceptor::from(Arc::new(config)), witness))
    }

    /// For one connection that we make to `node`.
    ///
    /// # Errors
    /// What rustls says; not expected.
    pub fn connector(&self, node: &str) -> Result<(TlsConnector, Witness), Error> {
        let witness = Witness::default();
        let verifier = PinnedNode { tls: self.clone(), node: node.to_owned(), witness: witness.clone() };
        let mut config = ClientConfig::builder_with_details(Arc::clone(&self.provider), self.time.clone())
            .with_protocol_versions(&[&TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_cert_resolver(Arc::clone(&self.identity) as _);
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.enable_sni = false;
        config.resumption = rustls::client::Resumption::disabled();
        Ok((TlsConnector::from(Arc::new(config)), witness))
    }

    fn verify_server(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let parsed = rustls::server::ParsedCertificate::try_from(certificate)?;
        rustls::client::verify_server_cert_signed_by_trust_anchor(
            &parsed,
            &self.roots,
            between,
            now,
            self.provider.signature_verification_algorithms.all,
        )
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

/// What a peer's certificate claimed, also when the handshake failed over it: without it an operator would only
/// learn an address. A claim that was not verified is only ever shown, never believed.
#[derive(Debug, Clone, Default)]
pub struct Witness(Arc<OnceLock<Claim>>);

/// See [`Witness`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The node named by the certificate, or why it names none.
    pub node: Result<String, String>,
    /// Why the certificate was refused.
    pub refused: Option<String>,
}

impl Witness {
    /// What the certificate said, if one was shown.
    pub fn claim(&self) -> Option<&Claim> {
        self.0.get()
    }

    fn saw(&self, certificate: &CertificateDer<'_>, verdict: Result<(), &Error>) {
        let refused = verdict.err().map(explain);
        // One certificate a connection: there is no second to be told.
        let _ = self.0.set(Claim { node: node_of(certificate), refused });
    }
}

/// Which node a certificate names.
///
/// # Errors
/// What is wrong with the naming, for an operator.
pub fn node_of(certificate: &CertificateDer<'_>) -> Result<String, String> {
    let parsed =
        webpki::EndEntityCert::try_from(certificate).map_err(|error| format!("certificate is damaged: {error}"))?;
    let mut nodes = parsed.valid_uri_names().filter_map(|uri| uri.strip_prefix(NODE_URI));
    let Some(node) = nodes.next() else { return Err(format!("certificate names no node ({NODE_URI}…)")) };
    if nodes.next().is_some() {
        return Err("certificate names more than one node".to_owned());
    }
    match Token::new(node) {
        Ok(_) => Ok(node.to_owned()),
        Err(_) => Err("certificate names a node that is no name".to_owned()),
    }
}

/// What went wrong in a handshake, in an operator's words. Continues "its …" or "our own …".
pub fn explain(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(error) => match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => "certificate has expired".into(),
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "certificate is not valid yet; look at the clocks".into()
            }
            // The second: signed by somebody of the same name.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                "certificate is not signed by this site's authority".into()
            }
            CertificateError::Revoked => "certificate was revoked".into(),
            CertificateError::ApplicationVerificationFailure => "certificate is another node's".into(),
            other => format!("certificate is refused: {other}"),
        },
        Error::NoCertificatesPresented => "certificate is missing: none was shown".into(),
        Error::AlertReceived(alert) => format!("side refused our certificate or settings: {alert:?}"),
        Error::PeerIncompatible(what) => format!("side does not speak TLS 1.3 with {}: {what:?}", alpn_text()),
        Error::NoApplicationProtocol => format!("side does not offer {}", alpn_text()),
        Error::InvalidMessage(_) => "side does not speak TLS".into(),
        other => format!("handshake failed: {other}"),
    }
}

/// As [`explain`], for what tokio hands out.
pub fn explain_io(error: &io::Error) -> String {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(error) => explain(error),
        None => format!("connection broke off: {error}"),
    }
}

fn alpn_text() -> String {
    String::from_utf8_lossy(ALPN).into_owned()
}

fn chain(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(file).map_err(|error| fault(file, error))?.collect();
    let certificates = certificates.map_err(|error| fault(file, error))?;
    if certificates.is_empty() {
        return Err(fault(file, "the file contains no certificate"));
    }
    Ok(certificates)
}

fn check_mode(key: &Path) -> Result<(), TlsError> {
    let mode = std::fs::metadata(key).map_err(|error| fault(key, error))?.permissions().mode() & 0o777;
    if mode & 0o007 != 0 {
        return Err(fault(key, format!("mode {mode:o} lets everybody on this computer use it; set 600 or 640")));
    }
    Ok(())
}

fn fault(file: &Path, problem: impl fmt::Display) -> TlsError {
    TlsError { file: file.display().to_string(), problem: problem.to_string() }
}

/// The wall clock as rustls wants it.
#[derive(Debug)]
struct WallTime(Clock);

impl TimeProvider for WallTime {
    fn current_time(&self) -> Option<UnixTime> {
        let millis = u64::try_from(self.0.now().0).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_millis(millis)))
    }
}

/// Clients: the usual verification, watched by a [`Witness`].
#[derive(Debug)]
struct WatchedClients {
    inner: Arc<dyn ClientCertVerifier>,
    witness: Witness,
}

impl ClientCertVerifier for WatchedClients {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verdict = self.inner.verify_client_cert(end_entity, intermediates, now);
        self.witness.saw(end_entity, verdict.as_ref().map(drop));
        verdict
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// A server: signed by the site's authority, and the very node that we want to reach. Its host name is not looked at.
#[derive(Debug)]
struct PinnedNode {
    tls: Tls,
    node: String,
    witness: Witness,
}

impl ServerCertVerifier for PinnedNode {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verdict = self.tls.verify_server(end_entity, intermediates, now).and_then(|()| {
            let is_it = node_of(end_entity).is_ok_and(|node| node == self.node);
            let other = Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure);
            if is_it { Ok(()) } else { Err(other) }
        });
        self.witness.saw(end_entity, verdict.as_ref().copied());
        verdict.map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.tls.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.tls.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.tls.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests;
