use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use wire::isapi::digest::{Algorithm, Answer};

use super::*;

fn password() -> Password {
    Password::new("secret".into())
}

/// A server that answers each request by a script: the head it got goes in, bytes come out; `None` closes.
async fn server(script: impl Fn(usize, &str) -> Option<String> + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut number = 0;
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut head = Vec::new();
            let mut buffer = [0; 1024];
            while let Ok(read @ 1..) = socket.read(&mut buffer).await {
                head.extend_from_slice(&buffer[..read]);
                if !head.windows(4).any(|end| end == b"\r\n\r\n") {
                    continue;
                }
                let reply = script(number, &String::from_utf8_lossy(&head));
                number += 1;
                head.clear();
                let Some(reply) = reply else { break };
                if socket.write_all(reply.as_bytes()).await.is_err() {
                    break;
                }
            }
        }
    });
    format!("http://{at}")
}

fn reply(status: &str, headers: &str, body: &str) -> Option<String> {
    Some(format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{headers}\r\n{body}", body.len()))
}

fn challenge(nonce: &str, stale: bool) -> Challenge {
    let nonce = nonce.to_owned();
    Challenge { realm: "r".into(), nonce, opaque: None, algorithm: Algorithm::Md5, auth: true, stale }
}

fn ask(nonce: &str, stale: bool) -> Option<String> {
    reply("401 Unauthorized", &format!("WWW-Authenticate: {}\r\n", challenge(nonce, stale).write()), "")
}

/// Whether a head answers this nonce rightly, and which use of it that is.
fn used(head: &str, nonce: &str) -> Option<u32> {
    let line = head.lines().find_map(|line| line.strip_prefix("authorization: "))?;
    let answer = Answer::read(line).ok()?;
    let login = Login { user: "admin", password: "secret" };
    let method = head.split(' ').next()?;
    answer.is_right(&challenge(nonce, false), &login, method).then_some(answer.count)
}

#[tokio::test]
async fn a_nonce_is_used_with_a_rising_count_and_renewed_when_it_is_stale() {
    let url = server(|number, head| match number {
        0 => ask("one", false),
        1 => (used(head, "one") == Some(1)).then(|| reply("200 OK", "", "a")).flatten(),
        2 => (used(head, "one") == Some(2)).then(|| ask("two", true)).flatten(),
        _ => (used(head, "two") == Some(1)).then(|| reply("200 OK", "", "b")).flatten(),
    })
    .await;
    let mut client = HttpClient::new(&url, &Trust::Nobody).unwrap().with_login("admin", password());
    assert_eq!(&client.send(&Call::get("/x?y=1")).await.unwrap().body[..], b"a");
    assert_eq!(&client.send(&Call::put("/x", "text/plain", "body")).await.unwrap().body[..], b"b");
}

#[tokio::test]
async fn a_refused_password_is_not_tried_again() {
    let url = server(|number, _| ask(&number.to_string(), false)).await;
    let mut client = HttpClient::new(&url, &Trust::Nobody).unwrap().with_login("admin", password());
    assert_eq!(client.send(&Call::get("/")).await.unwrap_err(), HttpError::WrongPassword);
    // The server would count further questions in its nonces; none comes.
    assert_eq!(client.send(&Call::get("/")).await.unwrap_err(), HttpError::WrongPassword);
    assert_eq!(client.sibling().send(&Call::get("/")).await.unwrap_err(), HttpError::WrongPassword);
}

#[tokio::test]
async fn basic_authentication_gets_no_password() {
    let url = server(|_, head| {
        assert!(!head.to_ascii_lowercase().contains("authorization"), "{head}");
        reply("401 Unauthorized", "WWW-Authenticate: Basic realm=\"x\"\r\n", "")
    })
    .await;
    let mut client = HttpClient::new(&url, &Trust::Nobody).unwrap().with_login("admin", password());
    assert_eq!(client.send(&Call::get("/")).await.unwrap_err(), HttpError::Scheme);
}

#[tokio::test]
async fn what_a_server_sends_is_bounded_in_size_and_time() {
    let url = server(|number, _| match number {
        0 => reply("200 OK", "", &"x".repeat(2000)),
        1 => Some("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf".into()),
        2 => Some("rubbish\r\n\r\n".into()),
        3 => reply("302 Found", "Location: http://192.0.2.1/\r\n", ""),
        _ => None,
    })
    .await;
    let mut client = HttpClient::new(&url, &Trust::Nobody).unwrap();
    let call = Call { limit: 1000, ..Call::get("/") };
    assert_eq!(client.send(&call).await.unwrap_err(), HttpError::TooLong(1000));
    let brief = Duration::from_millis(200);
    assert_eq!(client.send(&Call::get("/").within(brief)).await.unwrap_err(), HttpError::Timeout(brief));
    assert!(matches!(client.send(&Call::get("/")).await.unwrap_err(), HttpError::Broken(_)));
    assert_eq!(client.send(&Call::get("/")).await.unwrap().status, 302, "a redirect is not followed");
    assert!(matches!(client.send(&Call::get("/")).await.unwrap_err(), HttpError::Broken(_)));
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gone = format!("http://{}", nobody.local_addr().unwrap());
    drop(nobody);
    let mut client = HttpClient::new(&gone, &Trust::Nobody).unwrap();
    assert!(matches!(client.send(&Call::get("/")).await.unwrap_err(), HttpError::Connect { .. }));
}

#[test]
fn addresses_that_are_none_are_refused_with_what_is_wrong() {
    for bad in ["", "192.0.2.1", "ftp://x", "http://", "http://admin:secret@x/", "https://x/"] {
        let error = HttpClient::new(bad, &Trust::Nobody).unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
    }
    let client = HttpClient::new("http://[2001:db8::1]/base/", &Trust::Nobody).unwrap();
    assert_eq!((client.base(), client.authority().as_str()), ("/base", "[2001:db8::1]:80"));
    assert!(!format!("{:?}", client.with_login("admin", password())).contains("secret"));
}

#[tokio::test]
async fn only_the_pinned_certificate_is_believed() {
    let made = rcgen::generate_simple_self_signed(vec!["terminal".into()]).unwrap();
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let config = builder.with_single_cert(vec![certificate.clone()], key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(socket).await else { return };
                let mut buffer = [0; 1024];
                let _ = stream.read(&mut buffer).await;
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
                let _ = stream.read(&mut buffer).await;
            });
        }
    });
    let right: [u8; 32] = Sha256::digest(&certificate).into();
    let mut client = HttpClient::new(&url, &Trust::Fingerprint(right)).unwrap();
    assert_eq!(&client.send(&Call::get("/")).await.unwrap().body[..], b"ok");
    let mut client = HttpClient::new(&url, &Trust::Fingerprint([1; 32])).unwrap();
    let error = client.send(&Call::get("/")).await.unwrap_err().to_string();
    assert!(error.contains("not the one in the settings"), "{error}");
    let mut client = HttpClient::new(&url, &Trust::Authorities(vec![certificate])).unwrap();
    assert!(matches!(client.send(&Call::get("/")).await.unwrap_err(), HttpError::Tls { .. }), "the name is another");
}
