//! How one simulated acs-link controller is set up, as a scenario writes it.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

/// One controller.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Its node id: what its certificate says (`urn:acs-link:node:<node>`) and its Hello repeats.
    pub node: String,
    /// Who connects to whom.
    #[serde(flatten)]
    pub link: Link,
    /// Certificates; none: plain TCP, which a gateway takes on loopback only.
    #[serde(default)]
    pub tls: Option<Tls>,
    /// Where the queue of events and the cache of passes are kept; relative to a folder of the caller's choice
    /// ([`crate::Plant::place_ports`]).
    pub file: PathBuf,
    /// How long a tap waits for the gateway's decision, 50 to 10,000 ms.
    #[serde(default = "default_answer_within")]
    pub answer_within_ms: u32,
    /// What happens to a card that is not in the cache when the gateway does not answer: true lets it through.
    #[serde(default)]
    pub fallback_grant: bool,
    /// How long the rotor is released after a decision of its own, and at most after one of the gateway's.
    #[serde(default = "default_release")]
    pub release_ms: u32,
    /// Most passes in the cache; an issue beyond is rejected with CREDENTIAL_CAPACITY.
    #[serde(default = "default_capacity")]
    pub capacity: u32,
}

/// Who connects to whom.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Link {
    /// The controller connects to the gateway at `host:port`.
    Connect(String),
    /// The gateway connects to the controller, which listens here (port 0: any; see [`crate::Handle::port_of`]).
    Listen(SocketAddr),
}

/// Certificate files in PEM.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The site's authority, which signed both ends.
    pub ca: PathBuf,
    /// The controller's certificate.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The gateway's node id, which its certificate must name.
    pub gateway: String,
}

fn default_answer_within() -> u32 {
    700
}

fn default_release() -> u32 {
    5000
}

fn default_capacity() -> u32 {
    10_000
}

#[cfg(test)]
mod tests {
    use crate::plant::{Plant, Speaks};

    use super::*;

    #[test]
    fn a_controller_is_written_as_a_peer_and_a_mistake_is_named() {
        let text = r#"
            point = [{ id = "gate", kind = "turnstile" }]
            [[peer]]
            id = "north"
            [peer.speaks.acs_link]
            node = "north-1"
            connect = "127.0.0.1:7443"
            file = "north.acs"
            [[peer.reader]]
            id = "gate-in"
            point = "gate"
            direction = "in"
            at = "clinic/north/gate"
        "#;
        let plant: Plant = toml::from_str(text).unwrap();
        plant.check().unwrap();
        let Speaks::AcsLink(settings) = &plant.peers[0].speaks else { panic!("another protocol") };
        assert_eq!(settings.link, Link::Connect("127.0.0.1:7443".into()));
        assert_eq!((settings.answer_within_ms, settings.fallback_grant), (700, false));
        let wrong = text.replace("file =", "capasity = 3\n            file =");
        let wrong = toml::from_str::<Plant>(&wrong).unwrap_err().to_string();
        assert!(wrong.contains("capasity"), "{wrong}");
        let listening = text.replace("connect = \"127.0.0.1:7443\"", "listen = \"127.0.0.1:0\"");
        assert!(toml::from_str::<Plant>(&listening).is_ok());
    }
}
