//! Who is trusted, and who we are. Keys are read from files by whoever configures; here they are bytes.

use std::fmt;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use thiserror::Error;
use zeroize::Zeroizing;

/// Most certificates of one file.
const CERTIFICATES_MAX: usize = 1000;

/// Whose certificates are trusted.
#[derive(Clone)]
pub enum Roots {
    /// The public authorities.
    Public,
    /// These authorities only: a text of PEM certificates.
    Given(Vec<u8>),
}

impl fmt::Debug for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Public => "Roots(public)",
            Self::Given(_) => "Roots(given)",
        })
    }
}

/// Our own certificate and its key, both as PEM.
#[derive(Clone)]
pub struct Identity {
    certificates: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
}

impl Identity {
    /// The certificate with those that lead to its authority, and the key. Read when a client is made.
    pub const fn new(certificates: Vec<u8>, key: Zeroizing<Vec<u8>>) -> Self {
        Self { certificates, key }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(redacted)")
    }
}

/// Why certificates cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TlsError {
    /// No certificate of an authority in the text.
    #[error("the file of authorities holds no PEM certificate that reads")]
    NoRoots,
    /// Our certificate does not read.
    #[error("our certificate holds no PEM certificate that reads")]
    NoCertificate,
    /// Our key does not read.
    #[error("the key of our certificate is no PEM private key that reads")]
    NoKey,
    /// They do not belong together, or the provider of TLS cannot use them.
    #[error("our certificate and its key do not belong together, or are of a kind that cannot be used")]
    Unusable,
}

/// What TLS is spoken by.
pub(crate) fn configuration(roots: &Roots, identity: Option<&Identity>) -> Result<ClientConfig, TlsError> {
    let mut trusted = RootCertStore::empty();
    match roots {
        Roots::Public => trusted.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Roots::Given(text) => {
            for certificate in certificates(text).ok_or(TlsError::NoRoots)? {
                trusted.add(certificate).map_err(|_| TlsError::NoRoots)?;
            }
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| TlsError::Unusable)?
        .with_root_certificates(trusted);
    let Some(identity) = identity else { return Ok(builder.with_no_client_auth()) };
    let (chain, key) = certified(identity)?;
    builder.with_client_auth_cert(chain, key).map_err(|_| TlsError::Unusable)
}

/// The certificates and key of an identity, for a listener of ours.
pub(crate) fn certified(
    identity: &Identity,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
    let chain = certificates(&identity.certificates).ok_or(TlsError::NoCertificate)?;
    Ok((chain, PrivateKeyDer::from_pem_slice(&identity.key).map_err(|_| TlsError::NoKey)?))
}

/// All certificates of a text; `None` if there is none, or one that does not read.
pub(crate) fn certificates(text: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).take(CERTIFICATES_MAX).collect();
    found.ok().filter(|found| !found.is_empty())
}
