//! A network as people write it: an address, and how many of its leading bits count (RFC 4632, RFC 4291 section 2.3).
//! Pure; knows nothing of sockets.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use thiserror::Error;

const V4_BITS: u8 = 32;
const V6_BITS: u8 = 128;

/// A network, for example `10.3.0.0/16`; one address alone is a network of itself.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network {
    first: IpAddr,
    bits: u8,
}

/// A text is no network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NetworkError {
    /// Before the slash stands no address.
    #[error("write an address like 10.3.0.7, or a network like 10.3.0.0/16")]
    Address,
    /// Behind the slash stands no number, or one that the address does not have.
    #[error("behind the slash stands the number of leading bits: 0 to 32, for IPv6 0 to 128")]
    Bits,
    /// The address has bits behind those that count: it is not clear what is meant.
    #[error("the address reaches beyond its network; did you mean {0}?")]
    Beyond(Network),
}

impl Network {
    /// Whether an address lies in it. An IPv4 address in the form of an IPv6 one (`::ffff:10.3.0.7`) is taken for what
    /// it is.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.first, address.to_canonical()) {
            (IpAddr::V4(_), IpAddr::V4(_)) | (IpAddr::V6(_), IpAddr::V6(_)) => {
                cut(address.to_canonical(), self.bits) == self.first
            }
            _ => false,
        }
    }
}

/// The address with everything behind the leading bits set to zero.
fn cut(address: IpAddr, bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(u32::from(V4_BITS - bits.min(V4_BITS))).unwrap_or(0);
            IpAddr::V4((u32::from(address) & mask).into())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(u32::from(V6_BITS - bits.min(V6_BITS))).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from(u128::from(address) & mask))
        }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address = address.parse::<IpAddr>().map_err(|_| NetworkError::Address)?.to_canonical();
        let most = if address.is_ipv4() { V4_BITS } else { V6_BITS };
        let bits = match bits {
            None => most,
            // `parse` alone would take a sign.
            Some(bits) if bits.bytes().all(|byte| byte.is_ascii_digit()) => {
                bits.parse().ok().filter(|bits| *bits <= most).ok_or(NetworkError::Bits)?
            }
            Some(_) => return Err(NetworkError::Bits),
        };
        let network = Self { first: cut(address, bits), bits };
        if network.first == address { Ok(network) } else { Err(NetworkError::Beyond(network)) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.first)?;
        let most = if self.first.is_ipv4() { V4_BITS } else { V6_BITS };
        if self.bits == most { Ok(()) } else { write!(f, "/{}", self.bits) }
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        text.parse().unwrap()
    }

    #[test]
    fn a_network_holds_its_addresses_and_no_others() {
        let holds = |net: &str, address: &str| network(net).contains(address.parse().unwrap());
        assert!(holds("10.3.0.0/16", "10.3.255.255") && !holds("10.3.0.0/16", "10.4.0.0"));
        assert!(holds("10.3.0.7", "10.3.0.7") && !holds("10.3.0.7", "10.3.0.8"));
        assert!(holds("0.0.0.0/0", "255.255.255.255") && !holds("0.0.0.0/0", "::1"));
        assert!(holds("2001:db8::/32", "2001:db8:1::9") && !holds("2001:db8::/32", "2001:db9::"));
        assert!(holds("::/0", "2001:db9::") && !holds("::/0", "10.0.0.1"));
        assert!(holds("10.3.0.0/16", "::ffff:10.3.0.7"), "IPv4 through an IPv6 socket");
    }

    #[test]
    fn networks_are_written_as_they_are_read() {
        for text in ["10.3.0.0/16", "10.3.0.7", "0.0.0.0/0", "2001:db8::/32", "::1"] {
            assert_eq!(network(text).to_string(), text);
        }
        assert_eq!(network("10.3.0.7/32").to_string(), "10.3.0.7");
    }

    #[test]
    fn what_is_no_network_is_refused_with_words() {
        for text in ["", "/", "10.3.0", "10.3.0.0/", "10.3.0.0/33", "10.3.0.0/+8", "::/129", "10.3.0.0/8/8", "clinic"] {
            assert!(text.parse::<Network>().is_err(), "{text:?}");
        }
        let error = "10.3.0.7/16".parse::<Network>().unwrap_err();
        assert!(error.to_string().contains("10.3.0.0/16"), "{error}");
    }
}
