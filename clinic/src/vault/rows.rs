//! A passport's row, and the one way from its sealed columns to clear text and back.

use domain::vault::{
    self, Dek, Passport, Place, Sealed, unpack_birth_date, unpack_contacts, unpack_documents, unpack_names,
};
use domain::{PersonId, UtcMillis};
use sqlx::FromRow;
use store::sqlx;
use zeroize::Zeroizing;

use super::{VaultError, keys};

/// How many random bytes a sealed value gets is [`keys`]' business; which columns there are is this module's.
pub(super) const TABLE: &str = "passport";

/// A passport as it is stored.
#[derive(Debug, Clone, FromRow)]
pub(super) struct Row {
    pub no: i64,
    pub person: String,
    pub mode: String,
    pub wrapped_key: Option<Vec<u8>>,
    pub names: Option<Vec<u8>>,
    pub birth: Option<Vec<u8>>,
    pub documents: Option<Vec<u8>>,
    pub contacts: Option<Vec<u8>>,
    pub tokens: Option<Vec<u8>>,
    pub photo: Option<String>,
    pub changed_ms: i64,
    pub restricted_ms: Option<i64>,
    pub shredded_ms: Option<i64>,
}

/// The columns of [`Row`], for `SELECT`.
macro_rules! row_columns {
    () => {
        "no, person, mode, wrapped_key, names, birth, documents, contacts, tokens, photo, changed_ms, restricted_ms, shredded_ms"
    };
}
pub(super) use row_columns;

/// One sealed part of a passport.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Names,
    Birth,
    Documents,
    Contacts,
}

impl Part {
    pub const ALL: [Self; 4] = [Self::Names, Self::Birth, Self::Documents, Self::Contacts];

    /// The column.
    pub const fn column(self) -> &'static str {
        match self {
            Self::Names => "names",
            Self::Birth => "birth",
            Self::Documents => "documents",
            Self::Contacts => "contacts",
        }
    }
}

impl Row {
    pub fn sealed(&self, part: Part) -> Option<&Vec<u8>> {
        match part {
            Part::Names => self.names.as_ref(),
            Part::Birth => self.birth.as_ref(),
            Part::Documents => self.documents.as_ref(),
            Part::Contacts => self.contacts.as_ref(),
        }
    }

    /// The person's wrapped key, if this program may open it.
    ///
    /// # Errors
    /// [`VaultError::Erased`], or that it is a workstation's.
    pub fn wrapped(&self) -> Result<&[u8], VaultError> {
        if let Some(at) = self.shredded_ms {
            return Err(VaultError::Erased(UtcMillis(at)));
        }
        if self.mode != "server" {
            return Err(super::Locked::Workstation.into());
        }
        self.wrapped_key.as_deref().ok_or(VaultError::Unknown)
    }

    /// Opens the parts that `wanted` names; the others stay empty.
    pub fn open(&self, person: PersonId, dek: &Dek, wanted: &[Part]) -> Result<Passport, VaultError> {
        let mut passport = Passport::default();
        for part in wanted {
            let Some(sealed) = self.sealed(*part) else { continue };
            let clear = open_part(person, dek, *part, sealed)?;
            match part {
                Part::Names => passport.names = unpack_names(&clear)?,
                Part::Birth => passport.birth_date = unpack_birth_date(&clear)?,
                Part::Documents => passport.documents = unpack_documents(&clear)?,
                Part::Contacts => passport.contacts = unpack_contacts(&clear)?,
            }
        }
        Ok(passport)
    }
}

/// Packs and seals one part.
pub(super) fn seal_part(person: PersonId, dek: &Dek, part: Part, passport: &Passport) -> Result<Vec<u8>, VaultError> {
    let clear = match part {
        Part::Names => vault::pack_names(&passport.names),
        Part::Birth => vault::pack_birth_date(passport.birth_date),
        Part::Documents => vault::pack_documents(&passport.documents),
        Part::Contacts => vault::pack_contacts(&passport.contacts),
    };
    let row = person.to_string();
    let place = Place { table: TABLE, column: part.column(), row: &row };
    Ok(dek.seal(place, keys::nonce()?, &clear).into_bytes())
}

fn open_part(person: PersonId, dek: &Dek, part: Part, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let row = person.to_string();
    let place = Place { table: TABLE, column: part.column(), row: &row };
    Ok(dek.open(place, &Sealed::from_bytes(sealed.to_vec())?)?)
}

/// What was known until `until` is sealed anew for its place among the corrections.
pub(super) fn reseal_past(
    person: PersonId,
    dek: &Dek,
    part: Part,
    sealed: &[u8],
    until: UtcMillis,
) -> Result<Vec<u8>, VaultError> {
    let clear = open_part(person, dek, part, sealed)?;
    let row = past_row(person, until);
    Ok(dek.seal(past_place(part, &row), keys::nonce()?, &clear).into_bytes())
}

pub(super) fn past_row(person: PersonId, until: UtcMillis) -> String {
    format!("{person}/{}", until.0)
}

pub(super) fn past_place(part: Part, row: &str) -> Place<'_> {
    Place { table: "passport_past", column: part.column(), row }
}

/// The hashes of a row as one value, and back: what is to be removed when they change.
pub(super) fn tokens_to_bytes(tokens: &[i64]) -> Vec<u8> {
    tokens.iter().flat_map(|token| token.to_be_bytes()).collect()
}

pub(super) fn tokens_from_bytes(bytes: &[u8]) -> Vec<i64> {
    bytes.as_chunks::<8>().0.iter().map(|token| i64::from_be_bytes(*token)).collect()
}

/// A correction under a person's new key.
pub(super) fn renew_past(
    person: PersonId,
    (old, new): (&Dek, &Dek),
    part: Part,
    sealed: &[u8],
    until: UtcMillis,
) -> Result<Vec<u8>, VaultError> {
    let row = past_row(person, until);
    let clear = old.open(past_place(part, &row), &Sealed::from_bytes(sealed.to_vec())?)?;
    Ok(new.seal(past_place(part, &row), keys::nonce()?, &clear).into_bytes())
}

/// Inserts hashes inside a transaction, a few hundred at a time: each engine bounds the parameters of one statement.
macro_rules! insert_tokens {
    ($conn:expr, $db:ty, $pairs:expr) => {{
        let pairs: Vec<(i64, i64)> = $pairs;
        for some in pairs.chunks(500) {
            let mut insert = sqlx::QueryBuilder::<$db>::new("INSERT INTO passport_token (token, passport) ");
            insert.push_values(some, |mut values, (token, no)| {
                values.push_bind(*token).push_bind(*no);
            });
            insert.push(" ON CONFLICT DO NOTHING");
            insert.build().execute(&mut *$conn).await?;
        }
    }};
}
pub(super) use insert_tokens;
