//! The real listener, spoken to byte by byte: what is no TLS, what is old TLS, requests that two servers would read
//! differently, sizes, and who may say where a request comes from.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod scene;
mod server;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use domain::Permission;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};
use server::Server;

const WITHIN: Duration = Duration::from_secs(15);

fn dial(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(WITHIN)).unwrap();
    stream
}

fn tls(
    address: SocketAddr,
    certificate: &Path,
    version: &'static SupportedProtocolVersion,
) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), dial(address))
}

/// Sends bytes over TLS and reads all that comes back until the server closes.
async fn send(server: &Server, bytes: impl Into<Vec<u8>>) -> String {
    let (address, certificate, bytes) = (server.address, server.certificate(), bytes.into());
    tokio::task::spawn_blocking(move || {
        let mut stream = tls(address, &certificate, &TLS13);
        // The server may close before it has read everything; what it answered is there all the same.
        let _ = stream.write_all(&bytes).and_then(|()| stream.flush());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    })
    .await
    .unwrap()
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_two_servers_would_read_differently_are_refused() {
    let server = Server::start(vec![]).await;
    let second = "GET /api/v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let post = "POST /api/v1/persons/search HTTP/1.1\r\nHost: localhost\r\n";
    let corpus = [
        ("two lengths", format!("{post}Content-Length: 0\r\nContent-Length: 45\r\n\r\n{second}")),
        ("a list of lengths", format!("{post}Content-Length: 0, 45\r\n\r\n{second}")),
        ("a signed length", format!("{post}Content-Length: +0\r\n\r\n{second}")),
        ("a negative length", format!("{post}Content-Length: -1\r\n\r\n{second}")),
        ("a hexadecimal length", format!("{post}Content-Length: 0x0\r\n\r\n{second}")),
        ("chunked not last", format!("{post}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n{second}")),
        ("unknown coding", format!("{post}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n{second}")),
        (
            "chunked in HTTP/1.0",
            format!("{}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n{second}", post.replace("1.1", "1.0")),
        ),
        ("blank before the colon", format!("{post}Content-Length : 0\r\n\r\n{second}")),
        ("folded header", format!("{post}X: a\r\n Content-Length: 45\r\n\r\n{second}")),
        ("NUL in a header", format!("{post}X: a\0b\r\nContent-Length: 0\r\n\r\n{second}")),
        ("bare CR in a header", format!("{post}X: a\rb\r\nContent-Length: 0\r\n\r\n{second}")),
        ("blank in the target", "GET /api/v1/health /x HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned()),
        ("no version", "GET /api/v1/health\r\n\r\n".to_owned()),
        ("rubbish", "\u{16}\u{3}rubbish\r\n\r\n".to_owned()),
    ];
    for (name, bytes) in corpus {
        let answer = send(&server, bytes).await;
        assert_eq!(status(&answer), 400, "{name}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{name}: nothing behind it is answered: {answer}");
    }
    // Both lengths: the chunks count, the connection ends with the answer (RFC 9112 section 6.1), so that nothing of a
    // second request is ever read as one.
    for both in ["Content-Length: 5\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nContent-Length: 5"] {
        let answer = send(&server, format!("{post}{both}\r\n\r\n0\r\n\r\n{second}")).await;
        assert!((400..500).contains(&status(&answer)) && answer.contains("connection: close"), "{both}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{both}: {answer}");
    }
    let broken = send(&server, format!("{post}Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n{second}")).await;
    assert!(status(&broken) == 400 && broken.matches("HTTP/1.1 ").count() == 1, "a broken chunk: {broken}");
    let good =
        send(&server, format!("{}Connection: close\r\n\r\n", second.trim_end_matches("\r\n\r\n").to_owned() + "\r\n"))
            .await;
    assert_eq!(status(&good), 200, "{good}");
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn old_http_and_huge_headers_are_bounded() {
    let server = Server::start(vec![]).await;
    let old = send(&server, "GET /api/v1/health HTTP/1.0\r\nHost: localhost\r\n\r\n").await;
    assert_eq!(status(&old), 200, "{old}");
    assert!(!old.to_lowercase().contains("transfer-encoding"), "{old}");
    let long = format!("GET /api/v1/health HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "a".repeat(64 * 1024));
    let answer = send(&server, long).await;
    assert!(matches!(status(&answer), 0 | 431), "cut off or told: {answer}");
    let many: String = (0..200).map(|n| format!("X-{n}: a\r\n")).collect();
    let answer = send(&server, format!("GET /api/v1/health HTTP/1.1\r\nHost: localhost\r\n{many}\r\n")).await;
    assert!(matches!(status(&answer), 0 | 431), "{answer}");
    let long = format!("GET /api/v1/health?{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "a".repeat(70 * 1024));
    let answer = send(&server, long).await;
    assert!(matches!(status(&answer), 0 | 414 | 431), "{answer}");
    let good = send(&server, "GET /api/v1/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
    assert_eq!(status(&good), 200, "others are served: {good}");
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_request_at_the_tls_port_is_told_so() {
    let server = Server::start(vec![]).await;
    let address = server.address;
    let answer = tokio::task::spawn_blocking(move || {
        let mut stream = dial(address);
        stream.write_all(b"GET /sign-in HTTP/1.1\r\nHost: clinic\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    })
    .await
    .unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(answer.contains("https://") && !answer.to_lowercase().contains("set-cookie"), "{answer}");
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_tls_1_2_and_1_3_are_spoken() {
    let server = Server::start(vec![]).await;
    for version in [&TLS12, &TLS13] {
        let (address, certificate) = (server.address, server.certificate());
        let answer = tokio::task::spawn_blocking(move || {
            let mut stream = tls(address, &certificate, version);
            stream.write_all(b"GET /api/v1/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer);
            String::from_utf8_lossy(&answer).into_owned()
        });
        assert_eq!(status(&answer.await.unwrap()), 200, "{version:?}");
    }
    // A client that knows nothing newer than SSL 3.0, TLS 1.0 or TLS 1.1 (RFC 5246 section 7.4.1.2).
    for old in [0x00_u8, 0x01, 0x02] {
        let address = server.address;
        let answer = tokio::task::spawn_blocking(move || {
            let mut stream = dial(address);
            stream.write_all(&client_hello(old)).unwrap();
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer);
            answer
        })
        .await
        .unwrap();
        assert!(answer.is_empty() || answer[0] == 0x15, "an alert, not a handshake: {answer:02x?}");
    }
    server.end().await;
}

/// A ClientHello of version 3.`minor` with a few ciphers of its time and nothing else.
fn client_hello(minor: u8) -> Vec<u8> {
    let mut hello = vec![3, minor];
    hello.extend([7; 32]);
    hello.push(0);
    hello.extend([0, 6, 0xc0, 0x13, 0x00, 0x2f, 0x00, 0x0a]);
    hello.extend([1, 0]);
    let mut message = vec![1, 0, 0, u8::try_from(hello.len()).unwrap()];
    message.extend(hello);
    let mut record = vec![0x16, 3, minor, 0, u8::try_from(message.len()).unwrap()];
    record.extend(message);
    record
}

#[tokio::test(flavor = "multi_thread")]
async fn only_trusted_proxies_say_where_a_request_comes_from() {
    let far = "203.0.113.0/24".parse().unwrap();
    for (proxies, believed) in [(vec![], false), (vec!["127.0.0.1".parse().unwrap()], true)] {
        let server = Server::start(proxies).await;
        let key = server.key_from(&[Permission::DevicesSee], vec![far]).await;
        let ask = |headers: &str| {
            format!(
                "GET /api/v1/site HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {key}\r\n{headers}\r\n"
            )
        };
        let named = send(&server, ask("X-Forwarded-For: 198.51.100.1, 203.0.113.9\r\n")).await;
        assert_eq!(status(&named), if believed { 200 } else { 401 }, "{named}");
        for forged in [
            "",
            "X-Real-IP: 203.0.113.9\r\n",
            "X-User: administrator\r\n",
            "Forwarded: for=203.0.113.9\r\n",
            "X-Forwarded-For: 203.0.113.9, 198.51.100.1\r\n",
            "True-Client-IP: 203.0.113.9\r\n",
        ] {
            assert_eq!(status(&send(&server, ask(forged)).await), 401, "{forged}");
        }
        server.end().await;
    }
}
