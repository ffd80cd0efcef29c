//! One entry, and the bytes of which its leaf is the hash.

use sha2::{Digest as _, Sha256};

use super::{TreeHash, leaf_hash};
use crate::time::UtcMillis;

/// The version of the encoding; the first byte of every leaf.
const VERSION: u8 = 1;
/// What the hash of a note begins with, so that it is the hash of nothing else.
const NOTE_CONTEXT: &[u8] = b"tapward audit note 1\0";
/// Length of the salt of a note, in bytes: with it gone, the hash tells nothing about a short note either.
pub const NOTE_SALT_BYTES: usize = 32;

/// What the log says about one act. The note itself is not in it, only its salted hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number: the first entry is 1, and none is left out.
    pub no: u64,
    /// When, in milliseconds UTC.
    pub at: UtcMillis,
    /// What kind of actor: `account`, `api_key`, `console`, `system`, `anybody`.
    pub actor_kind: String,
    /// Its id, where the kind has one.
    pub actor: Option<String>,
    /// The session's id.
    pub session: Option<String>,
    /// The network address.
    pub address: Option<String>,
    /// What was done, as a stable code.
    pub action: String,
    /// How it ended, as a stable code.
    pub outcome: String,
    /// The person whose data it is about, by pseudonym.
    pub subject: Option<String>,
    /// What else it is about.
    pub object: Option<String>,
    /// Which fields of the person, as codes with commas between.
    pub fields: Option<String>,
    /// What for, as a stable code.
    pub purpose: Option<String>,
    /// Further facts.
    pub detail: Option<String>,
    /// The hash of the note, see [`note_hash`].
    pub note_hash: Option<TreeHash>,
    /// The breaking of glass under which it was done.
    pub glass: Option<String>,
}

impl Entry {
    /// The canonical bytes: version, number and time (8 bytes each, the highest first), then each text in the order of
    /// the structure as a presence byte and, if present, its length in 4 bytes and its UTF-8; the hash of the note
    /// likewise, 32 bytes. Two different entries never have the same bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(256);
        bytes.push(VERSION);
        bytes.extend(self.no.to_be_bytes());
        bytes.extend(self.at.0.to_be_bytes());
        let mut put = |value: Option<&[u8]>| match value {
            None => bytes.push(0),
            Some(value) => {
                bytes.push(1);
                // Columns are bounded far below 4 GiB; a longer one would only make the leaf unverifiable.
                bytes.extend(u32::try_from(value.len()).unwrap_or(u32::MAX).to_be_bytes());
                bytes.extend(value);
            }
        };
        put(Some(self.actor_kind.as_bytes()));
        put(self.actor.as_deref().map(str::as_bytes));
        put(self.session.as_deref().map(str::as_bytes));
        put(self.address.as_deref().map(str::as_bytes));
        put(Some(self.action.as_bytes()));
        put(Some(self.outcome.as_bytes()));
        put(self.subject.as_deref().map(str::as_bytes));
        put(self.object.as_deref().map(str::as_bytes));
        put(self.fields.as_deref().map(str::as_bytes));
        put(self.purpose.as_deref().map(str::as_bytes));
        put(self.detail.as_deref().map(str::as_bytes));
        put(self.note_hash.as_ref().map(|hash| &hash.0[..]));
        put(self.glass.as_deref().map(str::as_bytes));
        bytes
    }

    /// The hash of its leaf in the tree.
    pub fn leaf(&self) -> TreeHash {
        leaf_hash(&self.to_bytes())
    }
}

/// What the log keeps of a note: enough to show later that it is the one, nothing once note and salt are gone.
pub fn note_hash(salt: &[u8; NOTE_SALT_BYTES], note: &str) -> TreeHash {
    let mut hash = Sha256::new();
    hash.update(NOTE_CONTEXT);
    hash.update(salt);
    hash.update(note.as_bytes());
    TreeHash(hash.finalize().into())
}

/// The object of the entry that tells that the note of entry `no` was blotted out. A verifier asks for it wherever a
/// note is missing.
pub fn blot_object(no: u64) -> String {
    format!("entry:{no}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plain() -> Entry {
        Entry {
            no: 1,
            at: UtcMillis(1_700_000_000_000),
            actor_kind: "account".to_owned(),
            actor: Some("a1".to_owned()),
            session: None,
            address: None,
            action: "signed_in".to_owned(),
            outcome: "done".to_owned(),
            subject: None,
            object: None,
            fields: None,
            purpose: None,
            detail: None,
            note_hash: None,
            glass: None,
        }
    }

    #[test]
    fn the_bytes_of_an_entry_are_the_documented_ones() {
        let bytes = plain().to_bytes();
        let mut told = vec![1];
        told.extend(1_u64.to_be_bytes());
        told.extend(1_700_000_000_000_i64.to_be_bytes());
        told.extend(b"\x01\0\0\0\x07account\x01\0\0\0\x02a1\0\0\x01\0\0\0\x09signed_in\x01\0\0\0\x04done");
        told.extend([0; 7]);
        assert_eq!(bytes, told);
    }

    #[test]
    fn absent_and_empty_are_not_the_same() {
        let empty = Entry { object: Some(String::new()), ..plain() };
        assert_ne!(plain().leaf(), empty.leaf());
    }

    #[test]
    fn a_text_cannot_move_into_the_next_column() {
        let left = Entry { object: Some("ab".to_owned()), fields: Some("c".to_owned()), ..plain() };
        let right = Entry { object: Some("a".to_owned()), fields: Some("bc".to_owned()), ..plain() };
        assert_ne!(left.to_bytes(), right.to_bytes());
    }

    fn any() -> impl Strategy<Value = Entry> {
        let text = || proptest::option::of("[a-b]{0,2}");
        let first = (0_u64..3, 0_i64..3, "[a-b]{0,2}", text(), text(), text(), "[a-b]{0,2}", "[a-b]{0,2}");
        let rest = (text(), text(), text(), text(), text(), proptest::option::of(0_u8..2), text());
        (first, rest).prop_map(|(first, rest)| Entry {
            no: first.0,
            at: UtcMillis(first.1),
            actor_kind: first.2,
            actor: first.3,
            session: first.4,
            address: first.5,
            action: first.6,
            outcome: first.7,
            subject: rest.0,
            object: rest.1,
            fields: rest.2,
            purpose: rest.3,
            detail: rest.4,
            note_hash: rest.5.map(|byte| TreeHash([byte; 32])),
            glass: rest.6,
        })
    }

    proptest! {
        #[test]
        fn different_entries_have_different_bytes(left in any(), right in any()) {
            prop_assert_eq!(left == right, left.to_bytes() == right.to_bytes());
        }
    }
}
