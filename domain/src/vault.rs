//! The identity vault, pure: keys and what they seal, what a passport holds, how it is masked and how it is found.
//!
//! A person's passport is sealed under a key of their own ([`Dek`]); that key is stored wrapped by the site's key
//! ([`Kek`]), so destroying one small value makes a whole person unreadable. Everything sealed is bound to its
//! [`Place`] by authentication: moved to another row, column or table it does not open. Words are found by keyed
//! hashes ([`IndexKey`]), never in clear.
//!
//! Never draws a random byte (a [`Nonce`] is a parameter), never reads a clock or a file. May import other modules of
//! this crate. How it is written down byte by byte: `docs/vault.md`.

mod masked;
mod packing;
mod passport;
mod seal;
mod secret;
mod words;

pub use masked::{Masked, MaskedContact, MaskedDocument};
pub use packing::{BadPack, pack_birth_date, pack_contacts, pack_documents, pack_names};
pub use packing::{unpack_birth_date, unpack_contacts, unpack_documents, unpack_names};
pub use passport::{
    BirthDate, CONTACTS_MAX, Contact, ContactKind, DOCUMENTS_MAX, Document, DocumentKind, NAME_MAX_CHARS, Names,
    Passport, PassportChange, PassportRefused, TEXT_MAX_CHARS,
};
pub use seal::{
    Algorithm, BoxKey, Dek, KEY_BYTES, Kek, KeyId, NONCE_BYTES, Nonce, OpenError, Place, SEALED_MAX_BYTES, Sealed,
};
pub use secret::Secret;
pub use words::{IndexKey, Query, QueryRefused, QueryWord, normalised_words};
