//! A passport as it is shown before anybody asked for more: initials, kinds and last digits.

use super::{ContactKind, DocumentKind, Passport, Secret};

/// Stands for what is hidden. Always as many, so that lengths tell nothing.
const DOTS: &str = "•••••";
/// So many digits at the end of a number are enough to recognise one's own document, and not to use it.
const SHOWN_END: usize = 2;

/// A passport, masked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Masked {
    /// `І••••• О••••• П•••••`; empty if no name is known.
    pub name: Secret,
    /// Whether a date of birth is known.
    pub has_birth_date: bool,
    /// The documents.
    pub documents: Vec<MaskedDocument>,
    /// The contacts.
    pub contacts: Vec<MaskedContact>,
}

/// A document, masked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaskedDocument {
    /// What it is.
    pub kind: DocumentKind,
    /// `•••••77`.
    pub number: Secret,
}

/// A contact, masked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaskedContact {
    /// Which way.
    pub kind: ContactKind,
    /// `•••••99`, or dots only for an address.
    pub value: Secret,
}

impl Masked {
    /// Masks a passport.
    pub fn of(passport: &Passport) -> Self {
        let names = [&passport.names.family, &passport.names.given, &passport.names.middle];
        let initials = names.iter().filter_map(|name| name.reveal().chars().next());
        let name = initials.map(|initial| format!("{initial}{DOTS}")).collect::<Vec<_>>().join(" ");
        Self {
            name: Secret::new(&name),
            has_birth_date: passport.birth_date.is_some(),
            documents: passport
                .documents
                .iter()
                .map(|document| MaskedDocument { kind: document.kind, number: end_of(&document.number) })
                .collect(),
            contacts: passport
                .contacts
                .iter()
                .map(|contact| {
                    let value = match contact.kind {
                        ContactKind::Phone => end_of(&contact.value),
                        ContactKind::Email | ContactKind::Address => Secret::new(DOTS),
                    };
                    MaskedContact { kind: contact.kind, value }
                })
                .collect(),
        }
    }
}

/// The last characters of a text that has at least three times as many.
fn end_of(text: &Secret) -> Secret {
    let letters: Vec<char> = text.reveal().chars().collect();
    let shown = if letters.len() >= 3 * SHOWN_END { &letters[letters.len() - SHOWN_END..] } else { &[] };
    Secret::new(&format!("{DOTS}{}", shown.iter().collect::<String>()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::{Contact, Document, Names};

    #[test]
    fn a_masked_passport_shows_initials_and_ends_only() {
        let passport = Passport {
            names: Names::new("Іваненко", "Олена", ""),
            documents: vec![Document {
                kind: DocumentKind::Passport, number: "СН 123477".into(), issued: "x".into()
            }],
            contacts: vec![
                Contact { kind: ContactKind::Phone, value: "+380 67 555 0199".into() },
                Contact { kind: ContactKind::Email, value: "olena@example.org".into() },
                Contact { kind: ContactKind::Phone, value: "03".into() },
            ],
            ..Default::default()
        };
        let masked = Masked::of(&passport);
        assert_eq!(masked.name.reveal(), "І••••• О•••••");
        assert_eq!(masked.documents[0].number.reveal(), "•••••77");
        let values: Vec<_> = masked.contacts.iter().map(|contact| contact.value.reveal()).collect();
        assert_eq!(values, ["•••••99", "•••••", "•••••"]);
        assert!(!masked.has_birth_date);
    }
}
