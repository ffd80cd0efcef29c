//! Proof that a change comes from a page of ours in this browser: a token in the form, `Origin`, and Fetch metadata.
//!
//! The token is a hash under a secret of the session, which the cookie does not hold, over the hour in which the page was
//! made: no other session's token fits, a copied cookie alone makes none, and a copied page is worth nothing two hours later. The hour before is
//! accepted too; pages that stay open longer, as the live page does, are sent the new token with their stream. Pure.

use axum::http::header::{self, HeaderMap};
use clinic::accounts::SessionToken;
use domain::UtcMillis;
use subtle::ConstantTimeEq;

/// How long a token is the current one, in milliseconds; it is accepted for as long again.
pub const SLOT_MS: i64 = 60 * 60 * 1000;
/// Where a script puts the token when what it sends is not a form.
pub const HEADER: &str = "x-tapward-form";
/// Name of the hidden field; in a multipart body it is the first part.
pub const FIELD: &str = "form";
/// Longest head of the first part of a multipart body, in bytes.
const PART_HEAD_MAX: usize = 256;

/// What gives a request away as not ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Foreign {
    /// `Origin` is another site's.
    Origin,
    /// Fetch metadata says that another site sent it.
    FetchSite,
    /// There is no token, or no form.
    NoToken,
    /// The token is another session's, too old, or invented.
    BadToken,
}

impl Foreign {
    /// For the audit log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Origin => "foreign_origin",
            Self::FetchSite => "foreign_fetch_site",
            Self::NoToken => "no_form_token",
            Self::BadToken => "bad_form_token",
        }
    }
}

fn in_slot(secret: &SessionToken, slot: i64) -> String {
    secret.derive(&format!("form:{slot}"))
}

/// The token for a page made `now`.
pub fn token(secret: &SessionToken, now: UtcMillis) -> String {
    in_slot(secret, now.0.div_euclid(SLOT_MS))
}

/// Whether the token was made for this secret in this hour or the one before.
pub fn check(secret: &SessionToken, given: Option<&str>, now: UtcMillis) -> Result<(), Foreign> {
    let given = given.filter(|given| !given.is_empty()).ok_or(Foreign::NoToken)?;
    let slot = now.0.div_euclid(SLOT_MS);
    let is = |slot: i64| in_slot(secret, slot).as_bytes().ct_eq(given.as_bytes());
    if bool::from(is(slot) | is(slot - 1)) { Ok(()) } else { Err(Foreign::BadToken) }
}

/// Whether the browser says that a page of ours sent it. A browser that says nothing is believed: then the token alone
/// decides. `null` as origin is what browsers send for our own forms, because our pages ask for no referrer; it is
/// taken only where Fetch metadata vouch for it.
pub fn check_sender(headers: &HeaderMap) -> Result<(), Foreign> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("unreadable"));
    let site = text("sec-fetch-site");
    if site.is_some_and(|site| site != "same-origin" && site != "none") {
        return Err(Foreign::FetchSite);
    }
    match text(header::ORIGIN.as_str()) {
        None => Ok(()),
        Some("null") if site == Some("same-origin") => Ok(()),
        Some(origin) => {
            let host = text(header::HOST.as_str()).unwrap_or_default();
            let is_ours = origin.strip_prefix("https://").is_some_and(|from| from.eq_ignore_ascii_case(host));
            if is_ours && !host.is_empty() { Ok(()) } else { Err(Foreign::Origin) }
        }
    }
}

/// The token that a request carries: in the header, in the field of a form, or in the first part of a multipart body.
pub fn given(headers: &HeaderMap, body: &[u8]) -> Option<String> {
    if let Some(value) = headers.get(HEADER) {
        return value.to_str().ok().map(str::to_owned);
    }
    let kind = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let (essence, parameters) = kind.split_once(';').unwrap_or((kind, ""));
    match essence.trim().to_ascii_lowercase().as_str() {
        "application/x-www-form-urlencoded" => in_fields(body),
        "multipart/form-data" => in_first_part(parameters, body),
        _ => None,
    }
}

/// A field given twice is no field: two readers might each take another one.
fn in_fields(body: &[u8]) -> Option<String> {
    let body = std::str::from_utf8(body).ok()?;
    let mut found = body.split('&').filter_map(|pair| pair.strip_prefix(FIELD)?.strip_prefix('='));
    let first = found.next()?.to_owned();
    found.next().is_none().then_some(first)
}

fn in_first_part(parameters: &str, body: &[u8]) -> Option<String> {
    let boundary = parameters.split(';').find_map(|part| part.trim().strip_prefix("boundary="))?.trim_matches('"');
    if boundary.is_empty() {
        return None;
    }
    let rest = body.strip_prefix(b"--")?.strip_prefix(boundary.as_bytes())?.strip_prefix(b"\r\n")?;
    let head = rest.get(..PART_HEAD_MAX.min(rest.len()))?;
    let end = head.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(head.get(..end)?).ok()?;
    let disposition = head.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim().eq_ignore_ascii_case("content-disposition").then_some(value)
    })?;
    if !disposition.split(';').any(|part| part.trim() == format!("name=\"{FIELD}\"")) {
        return None;
    }
    let value = rest.get(end + 4..)?;
    let end = value.iter().position(|byte| *byte == b'\r').filter(|end| *end <= PART_HEAD_MAX)?;
    std::str::from_utf8(value.get(..end)?).ok().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_token_is_good_for_its_hour_and_the_next_and_for_its_session_only() {
        let (secret, other) = (SessionToken::draw().unwrap(), SessionToken::draw().unwrap());
        let made = UtcMillis(SLOT_MS * 400_000);
        let token = token(&secret, made);
        let check = |secret: &SessionToken, ms: i64| check(secret, Some(&token), made.plus_ms(ms));
        assert_eq!(check(&secret, 0), Ok(()));
        assert_eq!(check(&secret, 2 * SLOT_MS - 1), Ok(()));
        assert_eq!(check(&secret, 2 * SLOT_MS), Err(Foreign::BadToken));
        assert_eq!(check(&secret, -1), Err(Foreign::BadToken), "from the future");
        assert_eq!(check(&other, 0), Err(Foreign::BadToken));
        assert_eq!(super::check(&secret, None, made), Err(Foreign::NoToken));
        assert_eq!(super::check(&secret, Some(""), made), Err(Foreign::NoToken));
    }

    #[test]
    fn another_site_gives_itself_away() {
        let host = ("host", "clinic.example:8443");
        for (ours, pairs) in [
            (Ok(()), vec![host]),
            (Ok(()), vec![host, ("origin", "https://clinic.example:8443")]),
            (Ok(()), vec![host, ("origin", "https://clinic.example:8443"), ("sec-fetch-site", "same-origin")]),
            (Ok(()), vec![host, ("origin", "null"), ("sec-fetch-site", "same-origin")]),
            (Ok(()), vec![host, ("sec-fetch-site", "none")]),
            (Err(Foreign::Origin), vec![host, ("origin", "null")]),
            (Err(Foreign::Origin), vec![host, ("origin", "null"), ("sec-fetch-site", "none")]),
            (Err(Foreign::Origin), vec![host, ("origin", "http://clinic.example:8443")]),
            (Err(Foreign::Origin), vec![host, ("origin", "https://clinic.example")]),
            (Err(Foreign::Origin), vec![host, ("origin", "https://evil.example"), ("sec-fetch-site", "same-origin")]),
            (Err(Foreign::Origin), vec![("origin", "https://")]),
            (Err(Foreign::FetchSite), vec![host, ("sec-fetch-site", "same-site")]),
            (Err(Foreign::FetchSite), vec![host, ("sec-fetch-site", "cross-site")]),
        ] {
            assert_eq!(check_sender(&headers(&pairs)), ours, "{pairs:?}");
        }
    }

    #[test]
    fn the_token_is_found_in_header_form_and_first_part_and_nowhere_else() {
        let form = headers(&[("content-type", "application/x-www-form-urlencoded; charset=UTF-8")]);
        assert_eq!(given(&form, b"a=1&form=abc&b=2").as_deref(), Some("abc"));
        assert_eq!(given(&form, b"a=1&form=abc&form=abc"), None, "twice");
        assert_eq!(given(&form, b"xform=abc"), None);
        assert_eq!(given(&HeaderMap::new(), b"form=abc"), None);
        assert_eq!(given(&headers(&[("content-type", "text/plain")]), b"form=abc"), None);
        assert_eq!(given(&headers(&[(HEADER, "abc")]), b"anything").as_deref(), Some("abc"));
        let parts = headers(&[("content-type", "multipart/form-data; boundary=\"x-y\"")]);
        let body = "--x-y\r\nContent-Disposition: form-data; name=\"form\"\r\n\r\nabc\r\n--x-y\r\n";
        assert_eq!(given(&parts, body.as_bytes()).as_deref(), Some("abc"));
        let second = body.replace("name=\"form\"", "name=\"photo\"");
        assert_eq!(given(&parts, second.as_bytes()), None, "only the first part");
        for cut in 0..body.len() - 12 {
            assert_eq!(given(&parts, &body.as_bytes()[..cut]), None, "{cut}");
        }
    }
}
