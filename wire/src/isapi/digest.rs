//! HTTP digest authentication (RFC 7616, and RFC 2617 which most devices speak): MD5 or SHA-256, `qop=auth` or none.
//!
//! Owns both ends' arithmetic. Never draws the random client nonce and never counts time: both are parameters. MD5 is
//! what the devices offer; it keeps the password off the wire, and nothing more. Use TLS or a network of its own.

use md5::{Digest, Md5};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::json::hex;

/// Longest header that is read, in bytes.
pub const HEADER_MAX_BYTES: usize = 2048;

/// Why a header is not usable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DigestError {
    /// It asks for or uses another scheme.
    #[error("not digest authentication")]
    Scheme,
    /// Too long, or not made of `name=value` pairs.
    #[error("the header cannot be read")]
    Form,
    /// No nonce, realm, response or user.
    #[error("the header has no {0}")]
    Missing(&'static str),
    /// An algorithm that is not spoken here.
    #[error("the algorithm is neither MD5 nor SHA-256")]
    Algorithm,
    /// A quality of protection other than `auth`.
    #[error("the quality of protection is not auth")]
    Protection,
}

/// The hash function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Algorithm {
    /// MD5 (RFC 2617).
    Md5,
    /// SHA-256 (RFC 7616).
    Sha256,
}

impl Algorithm {
    fn hash(self, text: &str) -> String {
        match self {
            Self::Md5 => hex(&Md5::digest(text.as_bytes())),
            Self::Sha256 => hex(&Sha256::digest(text.as_bytes())),
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA-256",
        }
    }
}

/// What a server asks for: one `WWW-Authenticate` header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// Whose users.
    pub realm: String,
    /// The server's nonce.
    pub nonce: String,
    /// To be given back.
    pub opaque: Option<String>,
    /// The hash function.
    pub algorithm: Algorithm,
    /// Whether `qop=auth` is offered; without it the answer has neither count nor client nonce.
    pub auth: bool,
    /// The nonce was too old and the password right: ask again with the new one.
    pub stale: bool,
}

impl Challenge {
    /// Reads a header.
    ///
    /// # Errors
    /// See [`DigestError`].
    pub fn read(header: &str) -> Result<Self, DigestError> {
        let fields = Fields::read(header)?;
        let algorithm = match fields.get("algorithm").map(str::to_ascii_uppercase).as_deref() {
            None | Some("MD5") => Algorithm::Md5,
            Some("SHA-256") => Algorithm::Sha256,
            Some(_) => return Err(DigestError::Algorithm),
        };
        let auth = match fields.get("qop") {
            None => false,
            Some(offered) if offered.split(',').any(|qop| qop.trim().eq_ignore_ascii_case("auth")) => true,
            Some(_) => return Err(DigestError::Protection),
        };
        Ok(Self {
            realm: fields.required("realm")?.to_owned(),
            nonce: fields.required("nonce")?.to_owned(),
            opaque: fields.get("opaque").map(str::to_owned),
            algorithm,
            auth,
            stale: fields.get("stale").is_some_and(|stale| stale.eq_ignore_ascii_case("true")),
        })
    }

    /// The best of several headers: the strongest hash function that is spoken here.
    pub fn best<'a>(headers: impl Iterator<Item = &'a str>) -> Option<Self> {
        headers.filter_map(|header| Self::read(header).ok()).max_by_key(|challenge| challenge.algorithm)
    }

    /// Writes a header.
    pub fn write(&self) -> String {
        let opaque = self.opaque.as_ref().map(|opaque| format!(", opaque=\"{opaque}\"")).unwrap_or_default();
        let (qop, stale) =
            (if self.auth { ", qop=\"auth\"" } else { "" }, if self.stale { ", stale=true" } else { "" });
        let algorithm = self.algorithm.name();
        format!("Digest realm=\"{}\", nonce=\"{}\", algorithm={algorithm}{qop}{opaque}{stale}", self.realm, self.nonce)
    }

    /// The `Authorization` header that answers it: for a request by `method` to `uri`, as the `count`-th use of this
    /// nonce, with a client nonce of random hexadecimal digits.
    pub fn answer(&self, login: &Login<'_>, method: &str, uri: &str, count: u32, client_nonce: &str) -> String {
        let secret = self.secret(login);
        let response = self.response(&secret, method, uri, count, client_nonce);
        let mut header = format!(
            "Digest username=\"{}\", realm=\"{}\", nonce=\"{}\", uri=\"{uri}\", algorithm={}, response=\"{response}\"",
            login.user.replace(['"', '\\', '\r', '\n'], ""),
            self.realm,
            self.nonce,
            self.algorithm.name(),
        );
        if self.auth {
            header.push_str(&format!(", qop=auth, nc={count:08x}, cnonce=\"{client_nonce}\""));
        }
        if let Some(opaque) = &self.opaque {
            header.push_str(&format!(", opaque=\"{opaque}\""));
        }
        header
    }

    fn secret(&self, login: &Login<'_>) -> Zeroizing<String> {
        let plain = Zeroizing::new(format!("{}:{}:{}", login.user, self.realm, login.password));
        Zeroizing::new(self.algorithm.hash(&plain))
    }

    fn response(&self, secret: &str, method: &str, uri: &str, count: u32, client_nonce: &str) -> String {
        let call = self.algorithm.hash(&format!("{method}:{uri}"));
        let nonce = &self.nonce;
        if self.auth {
            self.algorithm.hash(&format!("{secret}:{nonce}:{count:08x}:{client_nonce}:auth:{call}"))
        } else {
            self.algorithm.hash(&format!("{secret}:{nonce}:{call}"))
        }
    }
}

/// A name and its password.
pub struct Login<'a> {
    /// Name.
    pub user: &'a str,
    /// Password.
    pub password: &'a str,
}

impl std::fmt::Debug for Login<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Login({}, redacted)", self.user)
    }
}

/// What a client answered: one `Authorization` header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Who.
    pub user: String,
    /// To which nonce.
    pub nonce: String,
    /// For which address.
    pub uri: String,
    /// Which use of the nonce; 0 without `qop`.
    pub count: u32,
    client_nonce: String,
    response: String,
    auth: bool,
}

impl Answer {
    /// Reads a header.
    ///
    /// # Errors
    /// See [`DigestError`].
    pub fn read(header: &str) -> Result<Self, DigestError> {
        let fields = Fields::read(header)?;
        let auth = fields.get("qop").is_some();
        let count =
            fields.get("nc").map(|nc| u32::from_str_radix(nc, 16)).transpose().map_err(|_| DigestError::Form)?;
        Ok(Self {
            user: fields.required("username")?.to_owned(),
            nonce: fields.required("nonce")?.to_owned(),
            uri: fields.required("uri")?.to_owned(),
            count: count.unwrap_or(0),
            client_nonce: fields.get("cnonce").unwrap_or_default().to_owned(),
            response: fields.required("response")?.to_owned(),
            auth,
        })
    }

    /// Whether it answers `challenge` with the right password, for a request by `method`.
    pub fn is_right(&self, challenge: &Challenge, login: &Login<'_>, method: &str) -> bool {
        if self.user != login.user || self.nonce != challenge.nonce || self.auth != challenge.auth {
            return false;
        }
        let secret = challenge.secret(login);
        let wanted = challenge.response(&secret, method, &self.uri, self.count, &self.client_nonce);
        wanted.as_bytes().ct_eq(self.response.to_ascii_lowercase().as_bytes()).into()
    }
}

/// `name=value` pairs behind the scheme.
struct Fields(Vec<(String, String)>);

impl Fields {
    fn read(header: &str) -> Result<Self, DigestError> {
        if header.len() > HEADER_MAX_BYTES {
            return Err(DigestError::Form);
        }
        let header = header.trim();
        let scheme =
            header.get(..6).filter(|scheme| scheme.eq_ignore_ascii_case("digest")).ok_or(DigestError::Scheme)?;
        let mut rest = header[scheme.len()..].trim_start();
        let mut pairs = Vec::new();
        while !rest.is_empty() {
            let (name, behind) = rest.split_once('=').ok_or(DigestError::Form)?;
            let name = name.trim().to_ascii_lowercase();
            let behind = behind.trim_start();
            let (value, behind) = match behind.strip_prefix('"') {
                Some(quoted) => read_quoted(quoted)?,
                None => {
                    let end = behind.find(',').unwrap_or(behind.len());
                    (behind[..end].trim().to_owned(), &behind[end..])
                }
            };
            pairs.push((name, value));
            let behind = behind.trim_start();
            rest = behind.strip_prefix(',').unwrap_or(behind).trim_start();
        }
        Ok(Self(pairs))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    fn required(&self, name: &'static str) -> Result<&str, DigestError> {
        self.get(name).ok_or(DigestError::Missing(name))
    }
}

/// A quoted text up to its closing quote, and what stands behind.
fn read_quoted(text: &str) -> Result<(String, &str), DigestError> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((value, &text[at + 1..])),
            '\\' => value.push(chars.next().ok_or(DigestError::Form)?.1),
            c if c.is_control() => return Err(DigestError::Form),
            c => value.push(c),
        }
    }
    Err(DigestError::Form)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7616 section 3.9.1.
    const NONCE: &str = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v";
    const CLIENT: &str = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
    const MUFASA: Login<'_> = Login { user: "Mufasa", password: "Circle of Life" };

    #[test]
    fn the_examples_of_the_rfc_come_out() {
        for (algorithm, response) in [
            ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
            ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ] {
            let header = format!(
                "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm={algorithm}, nonce=\"{NONCE}\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
            );
            let challenge = Challenge::read(&header).unwrap();
            let answer = challenge.answer(&MUFASA, "GET", "/dir/index.html", 1, CLIENT);
            assert!(answer.contains(response), "{answer}");
            let read = Answer::read(&answer).unwrap();
            assert!(read.is_right(&challenge, &MUFASA, "GET"));
            assert!(!read.is_right(&challenge, &MUFASA, "PUT"));
            let wrong = Login { user: "Mufasa", password: "Circle of Lice" };
            assert!(!read.is_right(&challenge, &wrong, "GET"));
        }
    }

    #[test]
    fn the_strongest_of_several_challenges_is_taken_and_unknown_ones_are_skipped() {
        let md5 = format!("Digest realm=\"a\", nonce=\"{NONCE}\", qop=\"auth\"");
        let sha = format!("digest realm=\"a\", nonce=\"{NONCE}\", algorithm=SHA-256, qop=auth, stale=TRUE");
        let odd = format!("Digest realm=\"a\", nonce=\"{NONCE}\", algorithm=SHA-512-256");
        let best = Challenge::best([odd.as_str(), &md5, &sha, "Basic realm=\"a\""].into_iter()).unwrap();
        assert_eq!((best.algorithm, best.stale), (Algorithm::Sha256, true));
        assert_eq!(Challenge::best(["Basic realm=\"a\""].into_iter()), None);
        assert_eq!(Challenge::read(&odd), Err(DigestError::Algorithm));
        let written = Challenge::read(&best.write()).unwrap();
        assert_eq!(written, best);
    }

    #[test]
    fn what_is_no_header_is_refused() {
        for bad in
            ["", "Digest", "Basic x=y", "Digest realm", "Digest realm=\"a", "Digest realm=\"a\\", "Дигест nonce=1"]
        {
            assert!(Challenge::read(bad).is_err(), "{bad}");
            assert!(Answer::read(bad).is_err(), "{bad}");
        }
        let long = format!("Digest realm=\"{}\"", "a".repeat(HEADER_MAX_BYTES));
        assert_eq!(Challenge::read(&long), Err(DigestError::Form));
    }
}
