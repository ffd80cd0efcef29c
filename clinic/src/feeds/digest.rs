//! Whether a record says anything new: keyed digests over its fields, so that what was told need not be kept.

use domain::vault::PassportChange;
use domain::{CardKey, UtcMillis};
use zeroize::Zeroizing;

/// Fields one after another, each with its length. Wiped when dropped.
pub(super) struct Canon(Zeroizing<Vec<u8>>);

impl Canon {
    pub fn new() -> Self {
        Self(Zeroizing::new(Vec::with_capacity(256)))
    }

    pub fn text(&mut self, text: &str) -> &mut Self {
        self.0.push(1);
        self.0.extend((text.len() as u64).to_be_bytes());
        self.0.extend(text.as_bytes());
        self
    }

    pub fn opt(&mut self, text: Option<&str>) -> &mut Self {
        match text {
            Some(text) => self.text(text),
            None => {
                self.0.push(0);
                self
            }
        }
    }

    pub fn number(&mut self, number: i64) -> &mut Self {
        self.0.push(2);
        self.0.extend(number.to_be_bytes());
        self
    }

    pub fn instant(&mut self, at: Option<UtcMillis>) -> &mut Self {
        match at {
            Some(at) => self.number(at.0),
            None => self.opt(None),
        }
    }

    pub fn passport(&mut self, change: Option<&PassportChange>) -> &mut Self {
        let Some(change) = change else { return self.opt(None) };
        if let Some(names) = &change.names {
            self.number(1).text(names.family.reveal()).text(names.given.reveal()).text(names.middle.reveal());
        }
        if let Some(born) = &change.birth_date {
            self.number(2).opt(born.map(|born| born.reveal_iso()).as_ref().map(|born| born.reveal()));
        }
        for document in change.documents.iter().flatten() {
            self.number(3).text(document.kind.as_str()).text(document.number.reveal()).text(document.issued.reveal());
        }
        for contact in change.contacts.iter().flatten() {
            self.number(4).text(contact.kind.as_str()).text(contact.value.reveal());
        }
        self
    }

    /// 32 hexadecimal digits.
    pub fn digest(&self, key: &CardKey) -> String {
        hex(key.digest("feed record", &self.0))
    }
}

pub(super) fn hex(bytes: [u8; 16]) -> String {
    domain::CardId(bytes).to_string()
}
