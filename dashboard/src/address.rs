//! From which address a request comes. Everybody can write `X-Forwarded-For`; it is believed only from proxies that the
//! configuration names, and only as far back as they reach. Other headers of the kind (`X-Real-IP`, `Forwarded`,
//! `X-User`) are never read (ASVS 4.1.3, 15.3.4).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::extract::ConnectInfo;
use axum::http::request::Parts;
use domain::Network;

const FORWARDED_FOR: &str = "x-forwarded-for";
/// Steps of one chain that are read at most.
const STEPS_MAX: usize = 16;

/// The address of the one who asks: the connection's, or what trusted proxies say.
pub fn of(parts: &Parts, proxies: &[Network]) -> IpAddr {
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(peer)| peer.ip().to_canonical());
    let lines = parts.headers.get_all(FORWARDED_FOR).iter();
    // Several lines are one list (RFC 9110 section 5.3); a line that is no text breaks it.
    let chain: Vec<&str> = lines.flat_map(|line| line.to_str().unwrap_or("?").split(',')).collect();
    behind(peer, &chain, proxies)
}

/// Walks back from the connection: each proxy names who asked it.
fn behind(peer: IpAddr, chain: &[&str], proxies: &[Network]) -> IpAddr {
    let is_proxy = |address: IpAddr| proxies.iter().any(|proxy| proxy.contains(address));
    let mut address = peer;
    for step in chain.iter().rev().take(STEPS_MAX) {
        if !is_proxy(address) {
            break;
        }
        // What is no address was not written by a proxy of ours.
        let Ok(named) = step.trim().parse::<IpAddr>() else { break };
        address = named.to_canonical();
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(peer: &str, chain: &str, proxies: &[&str]) -> String {
        let proxies: Vec<Network> = proxies.iter().map(|proxy| proxy.parse().unwrap()).collect();
        let chain: Vec<&str> = chain.split(',').filter(|step| !step.is_empty()).collect();
        behind(peer.parse().unwrap(), &chain, &proxies).to_string()
    }

    #[test]
    fn a_stranger_cannot_say_where_it_comes_from() {
        assert_eq!(seen("203.0.113.9", "10.0.0.1", &[]), "203.0.113.9");
        assert_eq!(seen("203.0.113.9", "10.0.0.1", &["10.0.0.5"]), "203.0.113.9");
    }

    #[test]
    fn a_trusted_proxy_is_believed_one_step_back() {
        assert_eq!(seen("10.0.0.5", "203.0.113.9", &["10.0.0.5"]), "203.0.113.9");
        assert_eq!(seen("10.0.0.5", "1.1.1.1, 203.0.113.9", &["10.0.0.5"]), "203.0.113.9", "the rest was the caller's");
        assert_eq!(seen("10.0.0.5", "203.0.113.9, 10.0.0.6", &["10.0.0.0/24"]), "203.0.113.9", "two proxies");
        assert_eq!(seen("10.0.0.5", "", &["10.0.0.5"]), "10.0.0.5");
        assert_eq!(seen("10.0.0.5", "rubbish", &["10.0.0.5"]), "10.0.0.5");
        assert_eq!(seen("10.0.0.5", "203.0.113.9, rubbish", &["10.0.0.5"]), "10.0.0.5");
        assert_eq!(seen("::ffff:10.0.0.5", "::ffff:203.0.113.9", &["10.0.0.5"]), "203.0.113.9");
    }
}
