//! How a person is found without a name in clear: words are brought to one spelling, and the index holds keyed hashes
//! of their beginnings. Documents and telephone numbers are found whole.
//!
//! One spelling: compatibility decomposition (Unicode NFKD), lower case, marks dropped (so `ё` is `е`, `й` is `и`,
//! `ł` is `l`), the Ukrainian letters `і ї` as `и`, `є` as `е`, `ґ` as `г`; apostrophes vanish, anything else that is
//! neither letter nor digit parts words. A hash is the first eight bytes of HMAC-SHA256 over `"tapward index 1"`, one byte
//! for the kind (`p` beginning of a name, `w` whole name longer than that, `d` document, `t` telephone, `e` e-mail)
//! and the text.

use std::collections::BTreeSet;
use std::fmt;

use thiserror::Error;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::{ContactKind, KEY_BYTES, KeyId, Passport};
use crate::card::keyed_hash;

/// Shortest and longest beginning of a word that is in the index, in letters.
const PREFIX_MIN: usize = 2;
const PREFIX_MAX: usize = 8;
/// Most words of one name or query; further ones are left out.
const WORDS_MAX: usize = 9;
/// Longest word, in letters; a longer one is cut.
const WORD_MAX: usize = 64;
/// So many last digits tell telephone numbers apart, with or without the country's code.
const PHONE_DIGITS: usize = 9;
/// A query with at least so many digits is a number, not a name.
const NUMBER_DIGITS_MIN: usize = 4;

/// The key of the index: separate from all keys that encrypt. Wiped when dropped, never printed.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct IndexKey([u8; KEY_BYTES]);

/// What somebody looks for, as hashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Query {
    /// Every one of these words must be in the names; never empty.
    Names(Vec<QueryWord>),
    /// A document, telephone number or e-mail address: any of these hashes; never empty.
    Number(Vec<i64>),
}

/// One word of a name looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryWord {
    /// Hash of the whole word, if it is longer than what the index holds of beginnings.
    pub whole: Option<i64>,
    /// Hash of its beginning.
    pub beginning: i64,
}

/// Why a query cannot be looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum QueryRefused {
    /// No word of two letters, no number of four digits.
    #[error("type at least two letters of a name, or a whole document or telephone number")]
    TooShort,
}

impl IndexKey {
    /// Takes 32 random bytes.
    pub const fn new(bytes: [u8; KEY_BYTES]) -> Self {
        Self(bytes)
    }

    /// Which key this is.
    pub fn id(&self) -> KeyId {
        let [a, b, c, d, e, f, g, h, ..] = keyed_hash(&self.0, &[b"tapward key id 1", b"index"]);
        KeyId([a, b, c, d, e, f, g, h])
    }

    /// The bytes, to be sealed by the site's key. Nothing else may keep them.
    pub fn reveal(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// All hashes by which a person is to be found, sorted, each once.
    pub fn tokens_of(&self, passport: &Passport) -> Vec<i64> {
        let mut tokens = BTreeSet::new();
        let names = [&passport.names.family, &passport.names.given, &passport.names.middle];
        for word in names.iter().flat_map(|name| normalised_words(name.reveal())) {
            let letters: Vec<char> = word.chars().collect();
            for length in PREFIX_MIN..=letters.len().min(PREFIX_MAX) {
                tokens.insert(self.token(b'p', &letters[..length].iter().collect::<String>()));
            }
            if letters.len() > PREFIX_MAX {
                tokens.insert(self.token(b'w', &word));
            }
        }
        for document in &passport.documents {
            tokens.insert(self.token(b'd', &document_form(document.number.reveal())));
        }
        for contact in &passport.contacts {
            match contact.kind {
                ContactKind::Phone => {
                    tokens.insert(self.token(b't', &phone_form(contact.value.reveal())));
                }
                ContactKind::Email => {
                    tokens.insert(self.token(b'e', &email_form(contact.value.reveal())));
                }
                ContactKind::Address => {}
            }
        }
        tokens.into_iter().collect()
    }

    /// What to look for, from what somebody typed.
    ///
    /// # Errors
    /// [`QueryRefused`].
    pub fn query(&self, typed: &str) -> Result<Query, QueryRefused> {
        if typed.contains('@') {
            return Ok(Query::Number(vec![self.token(b'e', &email_form(typed))]));
        }
        if typed.chars().filter(char::is_ascii_digit).count() >= NUMBER_DIGITS_MIN {
            let (document, phone) = (document_form(typed), phone_form(typed));
            return Ok(Query::Number(vec![self.token(b'd', &document), self.token(b't', &phone)]));
        }
        let words: Vec<QueryWord> = normalised_words(typed)
            .iter()
            .filter(|word| word.chars().nth(PREFIX_MIN - 1).is_some())
            .map(|word| {
                let whole = word.chars().nth(PREFIX_MAX).map(|_| self.token(b'w', word));
                QueryWord { whole, beginning: self.token(b'p', &word.chars().take(PREFIX_MAX).collect::<String>()) }
            })
            .collect();
        if words.is_empty() { Err(QueryRefused::TooShort) } else { Ok(Query::Names(words)) }
    }

    fn token(&self, kind: u8, text: &str) -> i64 {
        let [a, b, c, d, e, f, g, h, ..] = keyed_hash(&self.0, &[b"tapward index 1", &[kind], text.as_bytes()]);
        i64::from_be_bytes([a, b, c, d, e, f, g, h])
    }
}

impl fmt::Debug for IndexKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IndexKey(redacted)")
    }
}

/// The words of a text in their one spelling, in their order.
pub fn normalised_words(text: &str) -> Vec<String> {
    // Each letter may become up to 18 by decomposition; names are short, and what is longer is not looked at.
    let bounded: String = text.chars().take(WORDS_MAX * WORD_MAX).collect();
    let lower = bounded.nfkd().collect::<String>().to_lowercase();
    let plain = lower.chars().filter(|c| !is_combining_mark(*c) && !is_apostrophe(*c)).map(fold);
    let spelled: String = plain.collect();
    spelled
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .take(WORDS_MAX)
        .map(|word| word.chars().take(WORD_MAX).collect())
        .collect()
}

const fn is_apostrophe(c: char) -> bool {
    matches!(c, '\'' | '’' | '‘' | 'ʼ' | '`' | '´' | '′')
}

/// Letters that differ by language or by a stroke that is no mark of Unicode.
const fn fold(c: char) -> char {
    match c {
        'і' | 'ї' | 'й' => 'и',
        'ё' | 'є' | 'э' => 'е',
        'ґ' => 'г',
        'ł' => 'l',
        'đ' => 'd',
        'ø' => 'o',
        'ı' => 'i',
        other => other,
    }
}

/// Letters and digits in upper case, everything else dropped: `ab 12-34` is `AB1234`.
fn document_form(text: &str) -> String {
    let plain = text.nfkd().filter(|c| c.is_alphanumeric()).take(WORD_MAX).collect::<String>();
    plain.to_uppercase()
}

/// The last nine digits.
fn phone_form(text: &str) -> String {
    let digits: Vec<char> = text.chars().filter(char::is_ascii_digit).take(WORD_MAX).collect();
    digits[digits.len().saturating_sub(PHONE_DIGITS)..].iter().collect()
}

fn email_form(text: &str) -> String {
    text.trim().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::{Contact, Document, DocumentKind, Names};

    fn key() -> IndexKey {
        IndexKey::new([7; KEY_BYTES])
    }

    fn named(family: &str, given: &str, middle: &str) -> Passport {
        Passport { names: Names::new(family, given, middle), ..Default::default() }
    }

    fn finds(passport: &Passport, typed: &str) -> bool {
        let tokens = key().tokens_of(passport);
        match key().query(typed).unwrap() {
            Query::Names(words) => words.iter().all(|word| tokens.contains(&word.whole.unwrap_or(word.beginning))),
            Query::Number(any) => any.iter().any(|token| tokens.contains(token)),
        }
    }

    #[test]
    fn one_spelling_for_what_people_type() {
        assert_eq!(normalised_words("  Семёнова-Йовчик  "), ["семенова", "иовчик"]);
        assert_eq!(normalised_words("Мар'яна Ґалаґан"), ["маряна", "галаган"]);
        assert_eq!(normalised_words("ŁUKASZ Żółć"), ["lukasz", "zolc"]);
        assert_eq!(normalised_words("Їжакевич Євген"), ["ижакевич", "евген"]);
        assert_eq!(normalised_words("ﬁ Ⅷ 北京"), ["fi", "viii", "北京"]);
        assert!(normalised_words("… — !").is_empty());
    }

    #[test]
    fn a_person_is_found_by_beginnings_of_names_in_any_order() {
        let person = named("Константинопольская", "Олена", "Петрівна");
        for typed in ["ко", "Константинопольская", "олена конст", "ПЕТР ол", "Олена Петрівна Константинопольская"]
        {
            assert!(finds(&person, typed), "{typed}");
        }
        for typed in ["онст", "олена иван", "Константинопольский", "Оленка"] {
            assert!(!finds(&person, typed), "{typed}");
        }
    }

    #[test]
    fn numbers_are_found_whole_whatever_stands_between_their_digits() {
        let person = Passport {
            documents: vec![Document {
                kind: DocumentKind::Passport, number: "СН 123-477".into(), issued: "".into()
            }],
            contacts: vec![
                Contact { kind: ContactKind::Phone, value: "+380 67 555 01 99".into() },
                Contact { kind: ContactKind::Email, value: "Olena@Example.org".into() },
            ],
            ..Default::default()
        };
        for typed in ["сн123477", "СН 123 477", "0675550199", "380-67-555-01-99", " olena@example.ORG "] {
            assert!(finds(&person, typed), "{typed}");
        }
        for typed in ["123477", "5550199", "olena@example.com"] {
            assert!(!finds(&person, typed), "{typed}");
        }
    }

    #[test]
    fn too_short_a_query_is_refused() {
        for typed in ["", " ", "о", "о п", "-", "12"] {
            let outcome = key().query(typed);
            let two_digits = typed == "12";
            assert_eq!(outcome.is_ok(), two_digits, "{typed}");
        }
    }

    #[test]
    fn another_key_gives_other_hashes() {
        let person = named("Іваненко", "Олена", "");
        let other = IndexKey::new([8; KEY_BYTES]);
        let (a, b) = (key().tokens_of(&person), other.tokens_of(&person));
        assert!(a.iter().all(|token| !b.contains(token)));
        assert_ne!(key().id(), other.id());
    }
}
