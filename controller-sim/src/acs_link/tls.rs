//! The controller's side of TLS: its certificate, the site's authority, and which gateway it wants to talk to.
//!
//! Owns the reading of the files and the judging of the gateway's certificate: TLS 1.3 only, one authority, the node's
//! name as a URI in the certificate. Never opens a connection.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::version::TLS13;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, ServerConfig, SignatureScheme,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use wire::acs_link::{ALPN, NODE_URI};

use super::settings::Tls;

/// Both directions, ready to be used.
#[derive(Clone)]
pub(super) struct Ends {
    pub(super) connector: TlsConnector,
    pub(super) acceptor: TlsAcceptor,
    gateway: String,
}

impl Ends {
    /// Reads the files.
    pub(super) fn load(files: &Tls) -> io::Result<Self> {
        let provider = Arc::new(ring::default_provider());
        let mut roots = RootCertStore::empty();
        for certificate in chain(&files.ca)? {
            roots.add(certificate).map_err(|error| named(&files.ca, error))?;
        }
        let roots = Arc::new(roots);
        let own = chain(&files.cert)?;
        let key = || PrivateKeyDer::from_pem_file(&files.key).map_err(|error| named(&files.key, error));
        let gateway = files.gateway.clone();
        let verifier = Pinned { roots: Arc::clone(&roots), provider: Arc::clone(&provider), gateway: gateway.clone() };
        let mut client = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&TLS13])
            .map_err(io::Error::other)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_auth_cert(own.clone(), key()?)
            .map_err(|error| named(&files.cert, error))?;
        client.alpn_protocols = vec![ALPN.to_vec()];
        client.enable_sni = false;
        let clients = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider))
            .build()
            .map_err(io::Error::other)?;
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .map_err(io::Error::other)?
            .with_client_cert_verifier(clients)
            .with_single_cert(own, key()?)
            .map_err(|error| named(&files.cert, error))?;
        server.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Self {
            connector: TlsConnector::from(Arc::new(client)),
            acceptor: TlsAcceptor::from(Arc::new(server)),
            gateway,
        })
    }

    /// Whether who connected is the gateway.
    pub(super) fn check_client(&self, certificates: Option<&[CertificateDer<'_>]>) -> io::Result<()> {
        let first = certificates.and_then(<[_]>::first).ok_or_else(|| io::Error::other("no certificate"))?;
        check_node(first, &self.gateway).map_err(io::Error::other)
    }
}

impl fmt::Debug for Ends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ends")
    }
}

/// Names mean nothing here, nodes do: for `connect`, which wants a name.
pub(super) fn any_name() -> ServerName<'static> {
    ServerName::IpAddress(std::net::Ipv4Addr::LOCALHOST.into())
}

fn chain(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = read.map_err(|error| named(path, error))?;
    if certificates.is_empty() { Err(named(path, "no certificate is in it")) } else { Ok(certificates) }
}

fn named(path: &Path, error: impl fmt::Display) -> io::Error {
    io::Error::other(format!("{}: {error}", path.display()))
}

fn check_node(certificate: &CertificateDer<'_>, wanted: &str) -> Result<(), Error> {
    let parsed = webpki::EndEntityCert::try_from(certificate)
        .map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))?;
    let mut nodes = parsed.valid_uri_names().filter_map(|uri| uri.strip_prefix(NODE_URI));
    let fits = nodes.next() == Some(wanted) && nodes.next().is_none();
    if fits { Ok(()) } else { Err(Error::InvalidCertificate(CertificateError::NotValidForName)) }
}

#[derive(Debug)]
struct Pinned {
    roots: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
    gateway: String,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let parsed = ParsedCertificate::try_from(certificate)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        rustls::client::verify_server_cert_signed_by_trust_anchor(&parsed, &self.roots, between, now, algorithms)?;
        check_node(certificate, &self.gateway)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.3 only".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
