//! Connecting to a peer that does not connect to us.
//!
//! Owns the pace: 0.5 s doubling to 30 s with full jitter, and from the beginning again after a connection that lasted.

use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsStream;
use wire::acs_link::ALPN;
use wire::acs_link::session::HELLO_TIME;

use super::random_below;
use super::stream::Stream;
use super::switchboard::{Connection, Identity};
use super::tls;

/// First and longest bound of the wait between two attempts.
const AGAIN: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// How long an address may take to answer.
const CONNECT_TIME: Duration = Duration::from_secs(5);
/// A connection that stood so long begins the pace anew.
const LASTED: Duration = Duration::from_secs(30);

/// How long to wait before the next attempt.
#[derive(Debug)]
pub struct Pace {
    bound: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { bound: AGAIN.0 }
    }
}

impl Pace {
    /// The wait before the next attempt: anything up to a bound that doubles each time, so that a thousand peers that
    /// were lost together do not come back together.
    pub fn next(&mut self) -> Duration {
        let bound = self.bound;
        self.bound = (bound * 2).min(AGAIN.1);
        Duration::from_millis(random_below(bound.as_millis().try_into().unwrap_or(u64::MAX)))
    }

    /// A connection that had stood for so long is lost.
    pub fn lost_after(&mut self, stood: Duration) {
        if stood >= LASTED {
            *self = Self::default();
        }
    }
}

/// Connects to `node` at `address` (`host:port`).
///
/// # Errors
/// Why not, for an operator.
pub async fn connect(address: &str, node: &str, identity: Option<Identity>) -> Result<Connection, String> {
    let Some(identity) = identity else { return Err("this gateway has no acs-link identity".to_owned()) };
    let stream = match timeout(CONNECT_TIME, TcpStream::connect(address)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(format!("{address}: {error}")),
        Err(_) => return Err(format!("{address} does not answer")),
    };
    let _ = stream.set_nodelay(true);
    let from = stream.peer_addr().map_err(|error| format!("{address}: {error}"))?;
    let Some(tls) = &identity.tls else {
        if !from.ip().is_loopback() {
            return Err(format!(
                "{address} is not on this machine: plain TCP is not spoken with it, name certificates"
            ));
        }
        return Ok(Connection { stream: Stream::Plain(stream), first: Vec::new(), from, ours: true });
    };
    let (connector, _) = tls.connector(node).map_err(|error| error.to_string())?;
    // Not sent and not looked at: the node's name in the certificate counts.
    let name = ServerName::IpAddress(from.ip().into());
    let stream = match timeout(HELLO_TIME, connector.connect(name, stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(format!("{address}: its {}", tls::explain_io(&error))),
        Err(_) => return Err(format!("{address}: the TLS handshake was not done within 5 s")),
    };
    if stream.get_ref().1.alpn_protocol() != Some(ALPN) {
        return Err(format!("{address} does not speak acs-link/1 (ALPN)"));
    }
    Ok(Connection { stream: Stream::Secure(Box::new(TlsStream::Client(stream))), first: Vec::new(), from, ours: true })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_become_rarer_up_to_half_a_minute_and_never_regular() {
        let mut pace = Pace::default();
        let mut bound = AGAIN.0;
        for _ in 0..20 {
            assert!(pace.next() <= bound);
            bound = (bound * 2).min(AGAIN.1);
        }
        assert_eq!(pace.bound, AGAIN.1);
        pace.lost_after(Duration::from_secs(1));
        assert_eq!(pace.bound, AGAIN.1, "a peer that drops us at once is not pestered");
        pace.lost_after(LASTED);
        assert_eq!(pace.bound, AGAIN.0);
    }

    #[tokio::test]
    async fn plain_tcp_leaves_this_machine_for_nobody() {
        let identity = Identity { node: "gw".into(), tls: None };
        let error = connect("127.0.0.1:1", "acs", None).await.unwrap_err();
        assert!(error.contains("no acs-link identity"), "{error}");
        let closed = connect("127.0.0.1:1", "acs", Some(identity)).await.unwrap_err();
        assert!(closed.starts_with("127.0.0.1:1: "), "{closed}");
    }
}
