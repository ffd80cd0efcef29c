//! Which addresses a system may be registered with.

use url::{Host, Url};

/// Longest address, in bytes.
pub(super) const URI_MAX_BYTES: usize = 1000;

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Whether a browser may be sent there: `https`, `http` on this machine only, or the private scheme of a program
/// (`org.example.mis:/back`). No fragment, no user, no pattern: it is compared as a whole text.
pub(super) fn is_redirect(text: &str) -> bool {
    let Some(url) = absolute(text) else { return false };
    match url.scheme() {
        "https" => true,
        "http" => is_loopback(&url),
        // RFC 8252 7.1: a name of somebody's own, which has a dot; this leaves out `javascript`, `data` and the like.
        scheme => scheme.contains('.') && !url.has_host(),
    }
}

/// Whether our server may call there.
pub(super) fn is_callable(text: &str) -> bool {
    absolute(text).is_some_and(|url| url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url)))
}

/// Whether it is an origin of pages, as browsers send it.
pub(super) fn is_origin(text: &str) -> bool {
    is_callable(text) && absolute(text).is_some_and(|url| url.origin().ascii_serialization() == text)
}

fn absolute(text: &str) -> Option<Url> {
    if text.len() > URI_MAX_BYTES || text.contains('*') || text.chars().any(|c| c.is_control() || c == ' ') {
        return None;
    }
    let url = Url::parse(text).ok()?;
    (url.fragment().is_none() && url.username().is_empty() && url.password().is_none()).then_some(url)
}

/// The origin of an address that a browser is sent to, for scripts of the same site.
pub(super) fn origin_of(text: &str) -> Option<String> {
    let url = absolute(text)?;
    matches!(url.scheme(), "https" | "http").then(|| url.origin().ascii_serialization())
}

/// An address with further parameters.
pub(super) fn with_query(text: &str, pairs: &[(&str, &str)]) -> Option<String> {
    let mut url = Url::parse(text).ok()?;
    url.query_pairs_mut().extend_pairs(pairs);
    Some(url.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_addresses_of_safe_kinds_are_taken() {
        for good in
            ["https://mis.example/back?a=1", "http://127.0.0.1:8080/back", "http://[::1]/", "org.example.mis:/back"]
        {
            assert!(is_redirect(good), "{good}");
        }
        for bad in [
            "http://mis.example/back",
            "https://mis.example/back#x",
            "https://*.mis.example/",
            "https://a@mis.example/",
            "javascript:alert(1)",
            "data:text/html,x",
            "/back",
            "",
            "https://mis.example/a b",
            "http://localhost.example/",
        ] {
            assert!(!is_redirect(bad), "{bad}");
        }
        assert!(is_origin("https://mis.example") && !is_origin("https://mis.example/"));
        assert!(is_callable("https://mis.example/x") && !is_callable("http://10.0.0.1/x"));
        assert_eq!(
            with_query("https://m.example/b?a=1", &[("code", "x y")]).unwrap(),
            "https://m.example/b?a=1&code=x+y"
        );
    }
}
