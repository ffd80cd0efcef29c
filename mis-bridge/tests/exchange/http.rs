//! The HTTP client against servers that break the rules.

use std::sync::Arc;
use std::time::Duration;

use mis_bridge::http::{Client, HttpError, Identity, Request, Roots, Settings};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use zeroize::Zeroizing;

/// What it does, what it answers, whether it stays, what we make of it.
type Case = (&'static str, Vec<u8>, bool, Result<u16, HttpError>);

fn impatient() -> Settings {
    Settings {
        answer_within: Duration::from_millis(400),
        whole_within: Duration::from_millis(800),
        answer_max_bytes: 1000,
        request_max_bytes: 1000,
        ..Settings::default()
    }
}

/// Reads until the head of a request is there.
async fn hear(stream: &mut (impl AsyncRead + Unpin)) {
    let (mut heard, mut part) = (Vec::new(), [0; 1024]);
    while !heard.windows(4).any(|four| four == b"\r\n\r\n") {
        match stream.read(&mut part).await {
            Ok(0) | Err(_) => return,
            Ok(count) => heard.extend_from_slice(&part[..count]),
        }
    }
}

/// A server that answers each connection with these bytes, and then keeps it open or not.
async fn serve(answer: Vec<u8>, stays: bool) -> url::Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/fhir", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let answer = answer.clone();
            tokio::spawn(async move {
                hear(&mut stream).await;
                let _ = stream.write_all(&answer).await;
                if stays {
                    std::future::pending::<()>().await;
                }
            });
        }
    });
    url
}

async fn ask(settings: Settings, url: url::Url) -> Result<u16, HttpError> {
    Client::new(settings).unwrap().send(Request::get(url)).await.map(|answer| answer.status)
}

#[tokio::test]
async fn each_way_of_breaking_the_rules_has_its_name_and_takes_no_longer_than_allowed() {
    let long = [b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n".as_slice(), &[b'x'; 5000]].concat();
    let endless = [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1388\r\n".as_slice(), &[b'x'; 5000]].concat();
    let head = [b"HTTP/1.1 200 OK\r\nx: ".as_slice(), &[b'x'; 100_000], b"\r\n\r\n"].concat();
    let cases: Vec<Case> = vec![
        ("nothing at all", vec![], true, Err(HttpError::Late)),
        ("hanging up", vec![], false, Err(HttpError::Broken)),
        ("no HTTP", b"SSH-2.0-OpenSSH_9.6\r\n".to_vec(), true, Err(HttpError::Broken)),
        ("half a head", b"HTTP/1.1 200 OK\r\ncontent-le".to_vec(), true, Err(HttpError::Late)),
        ("half a body", b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{\"a\"".to_vec(), true, Err(HttpError::Late)),
        (
            "a body cut off",
            b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{\"a\"".to_vec(),
            false,
            Err(HttpError::Broken),
        ),
        ("a long body", long, true, Err(HttpError::AnswerTooLong)),
        ("a body without end", endless, true, Err(HttpError::AnswerTooLong)),
        ("a long head", head, true, Err(HttpError::Broken)),
        (
            "elsewhere",
            b"HTTP/1.1 307 X\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n".to_vec(),
            true,
            Ok(307),
        ),
        ("well", b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}".to_vec(), true, Ok(200)),
    ];
    for (what, answer, stays, wanted) in cases {
        let begun = tokio::time::Instant::now();
        let got = ask(impatient(), serve(answer, stays).await).await;
        // A head that is too long is given up, or read no further.
        let is_well = got == wanted || (what == "a long head" && got == Err(HttpError::Late));
        assert!(is_well, "{what}: {got:?}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{what}: {:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn what_is_too_long_or_in_clear_to_elsewhere_is_not_even_sent() {
    let client = Client::new(impatient()).unwrap();
    let url = serve(vec![], true).await;
    let long = Request::post(url, "text/plain", vec![b'x'; 1001]);
    assert_eq!(client.send(long).await.unwrap_err(), HttpError::RequestTooLong);
    let clear = Request::get("http://192.0.2.1/".parse().unwrap());
    assert_eq!(client.send(clear).await.unwrap_err(), HttpError::Plain);
}

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    fn sign(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }
}

async fn speak(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
    hear(stream).await;
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await;
    let _ = stream.flush().await;
    std::future::pending::<()>().await;
}

/// A server with a certificate of `authority` that lets those in who have one of it too.
async fn serve_tls(authority: &Authority, name: &str) -> url::Url {
    let (certificate, key) = authority.sign(name);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(rustls::pki_types::pem::PemObject::from_pem_slice(authority.pem.as_bytes()).unwrap()).unwrap();
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(clients)
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
        .unwrap();
    let (acceptor, listener) = (TlsAcceptor::from(Arc::new(config)), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let url = format!("https://localhost:{}/", listener.local_addr().unwrap().port()).parse().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                if let Ok(mut stream) = acceptor.accept(stream).await {
                    speak(&mut stream).await;
                }
            });
        }
    });
    url
}

#[tokio::test]
async fn only_the_right_authority_the_right_name_and_our_own_certificate_get_through() {
    let (ours, others) = (Authority::new(), Authority::new());
    let url = serve_tls(&ours, "localhost").await;
    let with = |roots: &Authority, own: Option<&Authority>| {
        let identity = own.map(|authority| {
            let (certificate, key) = authority.sign("tapward");
            Identity::new(certificate.pem().into_bytes(), Zeroizing::new(key.serialize_pem().into_bytes()))
        });
        let settings =
            Settings { roots: Roots::Given(roots.pem.clone().into_bytes()), identity, ..Settings::default() };
        ask(Settings { answer_within: Duration::from_secs(5), ..settings }, url.clone())
    };
    assert_eq!(with(&ours, Some(&ours)).await, Ok(200));
    assert_eq!(with(&others, Some(&ours)).await, Err(HttpError::Tls), "an authority that is not ours");
    assert!(
        matches!(with(&ours, None).await, Err(HttpError::Tls | HttpError::Broken)),
        "without a certificate of ours"
    );
    assert!(matches!(with(&ours, Some(&others)).await, Err(HttpError::Tls | HttpError::Broken)));
    let elsewhere = serve_tls(&ours, "mis.example").await;
    let (certificate, key) = ours.sign("tapward");
    let identity = Identity::new(certificate.pem().into_bytes(), Zeroizing::new(key.serialize_pem().into_bytes()));
    let roots = Roots::Given(ours.pem.clone().into_bytes());
    let settings = Settings { roots, identity: Some(identity), ..Settings::default() };
    assert_eq!(ask(settings, elsewhere).await, Err(HttpError::Tls), "the certificate of another host");
}

#[tokio::test]
async fn a_connection_that_the_server_closed_meanwhile_is_opened_anew() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url: url::Url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                hear(&mut stream).await;
                // It says that it stays, and goes.
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await;
            });
        }
    });
    let client = Client::new(Settings::default()).unwrap();
    for _ in 0..20 {
        assert_eq!(client.send(Request::get(url.clone())).await.map(|answer| answer.status), Ok(200));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
