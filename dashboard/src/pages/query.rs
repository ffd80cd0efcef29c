//! Query strings with repeated keys, and fields left empty.

use std::convert::Infallible;

use axum::extract::{FromRequestParts, RawQuery};
use axum::http::request::Parts;

/// Pairs read from one query at most.
const PAIRS_MAX: usize = 100;

/// The pairs of a query string, decoded.
#[derive(Debug, Clone, Default)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Every value of a key.
    pub fn all(&self, key: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// All pairs, in their order.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The first value of a key, without surrounding space, unless it is empty.
    pub fn one(&self, key: &str) -> Option<&str> {
        self.all(key).map(str::trim).find(|value| !value.is_empty())
    }

    /// Reads a query string.
    pub fn read(text: &str) -> Self {
        Self::read_up_to(text, PAIRS_MAX)
    }

    /// Reads a form of more pairs than a page usually has; what is beyond the bound is not read.
    pub fn read_up_to(text: &str, pairs_max: usize) -> Self {
        let pairs = text.split('&').filter(|pair| !pair.is_empty()).take(pairs_max);
        Self(
            pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).map(|(k, v)| (decode(k), decode(v))).collect(),
        )
    }

    /// Writes a query string: the pairs with another value for `key`, or without it.
    pub fn with(&self, key: &str, value: Option<&str>) -> String {
        let mut text = String::new();
        let kept = self.0.iter().filter(|(name, v)| name != key && !v.is_empty());
        let kept = kept.map(|(name, v)| (name.as_str(), v.as_str()));
        for (name, value) in kept.chain(value.map(|value| (key, value))) {
            text.push(if text.is_empty() { '?' } else { '&' });
            encode(name, &mut text);
            text.push('=');
            encode(value, &mut text);
        }
        text
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let RawQuery(text) = RawQuery::from_request_parts(parts, state).await?;
        Ok(Self::read(text.as_deref().unwrap_or_default()))
    }
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (first, tail) {
            (b'+', _) => bytes.push(b' '),
            (b'%', [high, low, after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                let digit = |d: u8| char::from(d).to_digit(16).and_then(|d| u8::try_from(d).ok()).unwrap_or(0);
                bytes.push((digit(*high) << 4) | digit(*low));
                rest = after;
            }
            (other, _) => bytes.push(*other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn encode(text: &str, out: &mut String) {
    use std::fmt::Write;
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_keys_and_escapes_are_read_and_written_back() {
        let query = Query::read("point=a&point=b&q=%D0%B4+%26&from=&&x");
        assert_eq!(query.all("point").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(query.one("q"), Some("д &"));
        assert_eq!(query.one("from"), None);
        assert_eq!(query.with("page", Some("1:2")), "?point=a&point=b&q=%D0%B4%20%26&page=1:2");
        assert_eq!(Query::read("%zz=%f&%").one("%zz"), Some("%f"));
    }
}
