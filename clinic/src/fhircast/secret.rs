//! Topics and addresses of sockets: 256 random bits each, stored as a hash (a topic sealed beside it). `Debug` never shows
//! one, and nothing logs one: who has a topic is told which chart is open.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use store::{Error, Fault};
use zeroize::Zeroizing;

const RANDOM_BYTES: usize = 32;
/// Longest text that is looked at; ours have 43 characters.
const TEXT_MAX_BYTES: usize = 200;

macro_rules! secret {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq)]
        pub struct $name(Zeroizing<String>);

        impl $name {
            /// Draws a new one from the operating system.
            pub(super) fn draw() -> Result<Self, Error> {
                let mut bytes = Zeroizing::new([0_u8; RANDOM_BYTES]);
                getrandom::fill(&mut *bytes).map_err(|_| Error::new("drawing a secret", Fault::Io))?;
                Ok(Self(Zeroizing::new(URL_SAFE_NO_PAD.encode(*bytes))))
            }

            /// One that somebody showed; `None` for what cannot be one.
            pub fn given(text: &str) -> Option<Self> {
                let text = text.trim();
                let is_plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
                (!text.is_empty() && text.len() <= TEXT_MAX_BYTES && is_plain)
                    .then(|| Self(Zeroizing::new(text.to_owned())))
            }

            /// The text, for the one who holds it. Nothing else may keep it.
            pub fn reveal(&self) -> &str {
                &self.0
            }

            /// What the database stores.
            pub(super) fn stored(&self) -> String {
                let hash = Sha256::digest(self.0.as_bytes());
                URL_SAFE_NO_PAD.encode(hash)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(redacted)"))
            }
        }
    };
}

secret!(/// What programs at one workstation share while one specialist is bound to it.
    Topic);
secret!(/// The last part of a socket's address: it opens once.
    Endpoint);

impl Endpoint {
    /// The one in an address that somebody showed: its last part.
    pub fn of_url(url: &str) -> Option<Self> {
        let path = url.trim().split(['?', '#']).next()?;
        Self::given(path.trim_end_matches('/').rsplit('/').next()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_has_256_bits_and_does_not_show_itself() {
        let (one, other) = (Topic::draw().unwrap(), Topic::draw().unwrap());
        assert_ne!(one, other);
        assert_eq!(one.reveal().len(), 43);
        assert_eq!(format!("{one:?}"), "Topic(redacted)");
        assert!(!one.stored().contains(one.reveal()));
        assert_eq!(Topic::given(one.reveal()), Some(one));
        for wrong in ["", "a b", "../..", "é", &"a".repeat(201)] {
            assert_eq!(Topic::given(wrong), None);
        }
    }

    #[test]
    fn an_address_is_known_by_its_last_part() {
        let endpoint = Endpoint::draw().unwrap();
        for url in ["wss://host/fhircast/ws/{}", "{}", "wss://host:1/x/{}/\n", "wss://host/{}?x=1"] {
            let url = url.replace("{}", endpoint.reveal());
            assert_eq!(Endpoint::of_url(&url).as_ref(), Some(&endpoint), "{url}");
        }
        assert_eq!(Endpoint::of_url("wss://"), None);
    }
}
