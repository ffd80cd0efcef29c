//! Every form in which a secret could lie about: as it is, in other letters, as hexadecimal digits, in base64 (wherever
//! it begins within a longer text), in UTF-16, percent-encoded, and as JSON and HTML write it.

use aho_corasick::{AhoCorasick, AhoCorasickBuilder};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// Looks for many secrets at once.
pub struct Hunter {
    patterns: Vec<(String, &'static str)>,
    folded: AhoCorasick,
    folded_ids: Vec<usize>,
    exact: AhoCorasick,
    exact_ids: Vec<usize>,
}

impl Hunter {
    /// What must not be found. Each should be so rare that it cannot be there by chance.
    pub fn new(secrets: &[&str]) -> Self {
        let (mut patterns, mut folded, mut exact) = (Vec::new(), Vec::new(), Vec::new());
        let (mut folded_ids, mut exact_ids) = (Vec::new(), Vec::new());
        for secret in secrets {
            assert!(secret.chars().count() >= 5, "{secret} could be there by chance");
            for (form, bytes, fold) in forms(secret) {
                let id = patterns.len();
                patterns.push(((*secret).to_owned(), form));
                if fold {
                    folded.push(bytes);
                    folded_ids.push(id);
                } else {
                    exact.push(bytes);
                    exact_ids.push(id);
                }
            }
        }
        let folded = AhoCorasickBuilder::new().ascii_case_insensitive(true).build(folded).unwrap();
        Self { patterns, folded, folded_ids, exact: AhoCorasick::new(exact).unwrap(), exact_ids }
    }

    /// What lies in these bytes: the secret, its form and where.
    pub fn find(&self, bytes: &[u8]) -> Vec<(&str, &'static str, usize)> {
        let hits = |machine: &AhoCorasick, ids: &[usize]| {
            let found = machine.find_overlapping_iter(bytes).take(20);
            found.map(|hit| (ids[hit.pattern().as_usize()], hit.start())).collect::<Vec<_>>()
        };
        let mut all = hits(&self.folded, &self.folded_ids);
        all.extend(hits(&self.exact, &self.exact_ids));
        all.into_iter().map(|(id, at)| (self.patterns[id].0.as_str(), self.patterns[id].1, at)).collect()
    }
}

/// Name, bytes, and whether ASCII case does not matter.
fn forms(secret: &str) -> Vec<(&'static str, Vec<u8>, bool)> {
    let mut all: Vec<(&'static str, Vec<u8>, bool)> = Vec::new();
    let lower = secret.to_lowercase();
    let upper = secret.to_uppercase();
    for text in [secret, lower.as_str(), upper.as_str()] {
        let utf8 = text.as_bytes();
        let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        all.push(("clear", utf8.to_vec(), true));
        all.push(("UTF-16, little end first", little.clone(), true));
        all.push(("UTF-16, big end first", big, true));
        for bytes in [utf8, little.as_slice()] {
            all.push(("hexadecimal", bytes.iter().map(|b| format!("{b:02x}")).collect::<String>().into_bytes(), true));
            all.extend(base64_forms(bytes).into_iter().map(|form| ("base64", form, false)));
        }
        let percent: String = utf8
            .iter()
            .map(|b| if b.is_ascii_alphanumeric() { char::from(*b).to_string() } else { format!("%{b:02x}") })
            .collect();
        all.push(("percent-encoded", percent.into_bytes(), true));
        if !text.is_ascii() {
            let json: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
            let html: String = text.chars().map(|c| format!("&#{};", u32::from(c))).collect();
            let html16: String = text.chars().map(|c| format!("&#x{:x};", u32::from(c))).collect();
            all.push(("JSON escapes", json.into_bytes(), true));
            all.push(("HTML escapes", html.into_bytes(), true));
            all.push(("HTML escapes", html16.into_bytes(), true));
        }
    }
    all.sort();
    all.dedup();
    all
}

/// The part of the base64 form that does not depend on what stands before and behind, for each of the three places
/// where the text can begin within a group.
fn base64_forms(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for before in 0..3_usize {
        let padded = [vec![0; before], bytes.to_vec()].concat();
        for encoded in [STANDARD_NO_PAD.encode(&padded), URL_SAFE_NO_PAD.encode(&padded)] {
            // Six bits a digit: digits that mix with a neighbour's bits are left out.
            let first = (before * 8).div_ceil(6);
            let last = (padded.len() * 8) / 6;
            if let Some(inner) = encoded.get(first..last)
                && inner.len() >= 6
            {
                all.push(inner.as_bytes().to_vec());
            }
        }
    }
    all
}

#[test]
fn a_secret_is_found_in_every_form() {
    let secret = "Кравчинська";
    let hunter = Hunter::new(&[secret]);
    let around = |bytes: &[u8]| [b"abc".as_slice(), bytes, b"xyz"].concat();
    assert!(hunter.find(&around("Кравченко".as_bytes())).is_empty(), "a neighbour is not it");
    let upper = secret.to_uppercase();
    let mut places: Vec<Vec<u8>> = vec![around(secret.as_bytes()), around(upper.as_bytes())];
    for shift in 0..3 {
        let text = [&vec![b'x'; shift], secret.as_bytes(), b"tail"].concat();
        places.push(STANDARD_NO_PAD.encode(&text).into_bytes());
        places.push(URL_SAFE_NO_PAD.encode(&text).into_bytes());
    }
    places.push(secret.bytes().map(|b| format!("{b:02X}")).collect::<String>().into_bytes());
    places.push(secret.encode_utf16().flat_map(u16::to_le_bytes).collect());
    places.push(secret.bytes().map(|b| format!("%{b:02X}")).collect::<String>().into_bytes());
    places.push(secret.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect::<String>().into_bytes());
    for place in places {
        assert!(!hunter.find(&place).is_empty(), "not found in {}", String::from_utf8_lossy(&place));
    }
}
