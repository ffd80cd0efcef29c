//! Pictures in a bucket that speaks S3: each request is signed by the query string, goes over TLS (in clear to this
//! machine itself only) and a connection of its own, and is given up after [`REQUEST_LIMIT`]. What is sent is sealed
//! already; TLS is for the access key's signature and for who asks for what.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use domain::vault::SEALED_MAX_BYTES;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Method, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use rusty_s3::{Bucket, Credentials, S3Action, UrlStyle};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use zeroize::Zeroizing;

use super::{BlobError, BlobId};

/// One request, from connecting to the last byte.
const REQUEST_LIMIT: Duration = Duration::from_secs(20);
/// How long a signature is good for: clocks may differ a little.
const SIGNATURE_LIFE: Duration = Duration::from_secs(300);

/// Where the bucket is and how to get in.
#[derive(Clone)]
pub struct S3Place {
    /// `https://host[:port]`; `http://` for this machine itself only.
    pub endpoint: String,
    /// The bucket.
    pub bucket: String,
    /// Before each name; may be empty.
    pub prefix: String,
    /// The region.
    pub region: String,
    /// The access key's id.
    pub key_id: String,
    /// The access key's secret.
    pub secret: Zeroizing<String>,
    /// The authority that signed the server's certificate, if it is not a public one.
    pub ca: Option<PathBuf>,
}

impl std::fmt::Debug for S3Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "S3Place({}/{})", self.endpoint, self.bucket)
    }
}

/// A bucket of sealed pictures. Cheap to clone.
#[derive(Clone)]
pub struct S3Blobs {
    inner: Arc<Inner>,
}

struct Inner {
    bucket: Bucket,
    credentials: Credentials,
    prefix: String,
    host: String,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl std::fmt::Debug for S3Blobs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "S3Blobs({}/{})", self.inner.host, self.inner.bucket.name())
    }
}

impl S3Blobs {
    /// Checks the place; connects to nothing yet.
    ///
    /// # Errors
    /// What is wrong with the address or the authority's file.
    pub fn new(place: &S3Place) -> Result<Self, BlobError> {
        let wrong = |what: String| BlobError::Bucket(what);
        let endpoint = place.endpoint.parse().map_err(|error| wrong(format!("{}: {error}", place.endpoint)))?;
        let bucket = Bucket::new(endpoint, UrlStyle::Path, place.bucket.clone(), place.region.clone())
            .map_err(|error| wrong(format!("{}: {error}", place.endpoint)))?;
        let url = bucket.object_url("x");
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let port = url.port_or_known_default().unwrap_or(443);
        let tls = match url.scheme() {
            "https" => Some(tls(place, &host)?),
            _ if is_this_machine(&host) => None,
            _ => return Err(wrong(format!("{}: write https://, in clear only to this machine", place.endpoint))),
        };
        let credentials = Credentials::new(place.key_id.clone(), place.secret.as_str());
        let prefix = if place.prefix.is_empty() { String::new() } else { format!("{}/", place.prefix) };
        Ok(Self { inner: Arc::new(Inner { bucket, credentials, prefix, host, port, tls }) })
    }

    pub(super) async fn put(&self, id: BlobId, bytes: Vec<u8>) -> Result<(), BlobError> {
        let name = self.name(id);
        let url = self.inner.bucket.put_object(Some(&self.inner.credentials), &name).sign(SIGNATURE_LIFE);
        match self.ask(Method::PUT, url.as_str(), bytes).await? {
            (status, _) if status.is_success() => Ok(()),
            (status, _) => Err(answered(status)),
        }
    }

    pub(super) async fn get(&self, id: BlobId) -> Result<Vec<u8>, BlobError> {
        let name = self.name(id);
        let url = self.inner.bucket.get_object(Some(&self.inner.credentials), &name).sign(SIGNATURE_LIFE);
        match self.ask(Method::GET, url.as_str(), Vec::new()).await? {
            (status, body) if status.is_success() => Ok(body),
            (StatusCode::NOT_FOUND, _) => Err(BlobError::Missing),
            (status, _) => Err(answered(status)),
        }
    }

    pub(super) async fn remove(&self, id: BlobId) -> Result<(), BlobError> {
        let name = self.name(id);
        let url = self.inner.bucket.delete_object(Some(&self.inner.credentials), &name).sign(SIGNATURE_LIFE);
        match self.ask(Method::DELETE, url.as_str(), Vec::new()).await? {
            (status, _) if status.is_success() || status == StatusCode::NOT_FOUND => Ok(()),
            (status, _) => Err(answered(status)),
        }
    }

    fn name(&self, id: BlobId) -> String {
        format!("{}{id}", self.inner.prefix)
    }

    async fn ask(&self, method: Method, url: &str, body: Vec<u8>) -> Result<(StatusCode, Vec<u8>), BlobError> {
        match tokio::time::timeout(REQUEST_LIMIT, self.exchange(method, url, body)).await {
            Ok(answer) => answer,
            Err(_) => Err(BlobError::Bucket(format!("{} did not answer in time", self.inner.host))),
        }
    }

    async fn exchange(&self, method: Method, url: &str, body: Vec<u8>) -> Result<(StatusCode, Vec<u8>), BlobError> {
        let inner = &self.inner;
        let failed = |error: &dyn std::fmt::Display| BlobError::Bucket(format!("{}: {error}", inner.host));
        let socket = TcpStream::connect((inner.host.as_str(), inner.port)).await.map_err(|error| failed(&error))?;
        // The address holds the signature: it goes to the server and into no error.
        let at =
            url.find("://").and_then(|at| url[at + 3..].find('/').map(|slash| at + 3 + slash)).unwrap_or(url.len());
        let host = format!("{}:{}", inner.host, inner.port);
        let authority = url[..at].split_once("://").map_or(host.as_str(), |(_, authority)| authority).to_owned();
        let request = Request::builder()
            .method(method)
            .uri(&url[at..])
            .header(header::HOST, authority)
            .header(header::CONTENT_LENGTH, body.len())
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| failed(&error))?;
        match &inner.tls {
            Some((connector, name)) => {
                let stream = connector.connect(name.clone(), socket).await.map_err(|error| failed(&error))?;
                talk(stream, request).await
            }
            None => talk(socket, request).await,
        }
        .map_err(|error| failed(&error))
    }
}

type Anything = Box<dyn std::error::Error + Send + Sync>;

async fn talk(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> Result<(StatusCode, Vec<u8>), Anything> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let asking = async move {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), SEALED_MAX_BYTES).collect().await?;
        Ok((status, body.to_bytes().to_vec()))
    };
    // The connection ends when who asks has the answer and lets go of it; what went wrong with it, the one who asks
    // is told as well.
    let (answer, _) = tokio::join!(asking, connection);
    answer
}

fn answered(status: StatusCode) -> BlobError {
    let advice = match status {
        StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => "look at the access key and what it may do",
        StatusCode::NOT_FOUND => "look at the bucket's name",
        _ => "look at the server's own log",
    };
    BlobError::Bucket(format!("the server answered {status}; {advice}"))
}

fn is_this_machine(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn tls(place: &S3Place, host: &str) -> Result<(TlsConnector, ServerName<'static>), BlobError> {
    let wrong = |what: String| BlobError::Bucket(what);
    let mut roots = RootCertStore::empty();
    match &place.ca {
        Some(file) => {
            let bad = |error: &dyn std::fmt::Display| wrong(format!("{}: {error}", file.display()));
            for certificate in CertificateDer::pem_file_iter(file).map_err(|error| bad(&error))? {
                roots.add(certificate.map_err(|error| bad(&error))?).map_err(|error| bad(&error))?;
            }
        }
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).map_err(|error| wrong(error.to_string()))?;
    Ok((TlsConnector::from(Arc::new(config)), name))
}
