//! What was known of a person before it was corrected, and whether their data are frozen.

use domain::vault::{
    BirthDate, Contact, Document, Names, Sealed, unpack_birth_date, unpack_contacts, unpack_documents, unpack_names,
};
use domain::{Field, Permission, PersonId, UtcMillis};
use store::{read, sqlx, transact};

use super::change::field_of;
use super::rows::{self, Part};
use super::{Vault, VaultError};
use crate::acting::Acting;
use crate::audit::{self, Action, Draft, Purpose};

/// Most corrections shown, the latest first.
const SHOWN_MAX: i64 = 100;

/// One correction: what was known until then. One of the parts is set.
#[derive(Debug, Clone)]
pub struct Past {
    /// When it was corrected.
    pub until: UtcMillis,
    /// The names before.
    pub names: Option<Names>,
    /// The date of birth before; the inner option is empty if none was known.
    pub birth_date: Option<Option<BirthDate>>,
    /// The documents before.
    pub documents: Option<Vec<Document>>,
    /// The contacts before.
    pub contacts: Option<Vec<Contact>>,
}

impl Vault {
    /// What was known of a person before corrections, as far as the role shows it. A reveal, and recorded as one.
    ///
    /// # Errors
    /// As [`Vault::reveal`].
    pub async fn history(&self, acting: &Acting, person: PersonId, purpose: Purpose) -> Result<Vec<Past>, VaultError> {
        acting.must(Permission::PersonReveal)?;
        let shown: Vec<Part> = Part::ALL.into_iter().filter(|part| acting.rights.shows(field_of(*part))).collect();
        if shown.is_empty() {
            return Err(VaultError::NothingToShow);
        }
        let ring = self.ring()?;
        let draft = Draft {
            subject: Some(person),
            fields: shown.iter().map(|part| field_of(*part)).collect::<Vec<Field>>(),
            purpose: Some(purpose),
            detail: Some("corrections".to_owned()),
            ..acting.draft(self.now(), Action::PersonRevealed)
        };
        let row = self.fetch(person, Some(draft)).await?;
        let dek = ring.unwrap(person, row.wrapped()?)?;
        let id = person.to_string();
        let past: Vec<(String, Vec<u8>, i64)> = read!(self.inner.database, "vault.history", |conn| {
            Ok(sqlx::query_as(
                "SELECT part, sealed, until_ms FROM passport_past WHERE person = $1 ORDER BY id DESC LIMIT $2",
            )
            .bind(&id)
            .bind(SHOWN_MAX)
            .fetch_all(&mut *conn)
            .await?)
        })?;
        let mut told = Vec::new();
        for (column, sealed, until) in past {
            let until = UtcMillis(until);
            let Some(part) = shown.iter().copied().find(|part| part.column() == column) else { continue };
            let row = rows::past_row(person, until);
            let clear = dek.open(rows::past_place(part, &row), &Sealed::from_bytes(sealed)?)?;
            let mut one = Past { until, names: None, birth_date: None, documents: None, contacts: None };
            match part {
                Part::Names => one.names = Some(unpack_names(&clear)?),
                Part::Birth => one.birth_date = Some(unpack_birth_date(&clear)?),
                Part::Documents => one.documents = Some(unpack_documents(&clear)?),
                Part::Contacts => one.contacts = Some(unpack_contacts(&clear)?),
            }
            told.push(one);
        }
        Ok(told)
    }

    /// Freezes a person's data, or lifts that: frozen, they are found only by who may manage privacy.
    ///
    /// # Errors
    /// [`VaultError::Unknown`] and engine errors.
    pub async fn restrict(&self, acting: &Acting, person: PersonId, restricted: bool) -> Result<(), VaultError> {
        acting.must(Permission::PrivacyManage)?;
        let now = self.now();
        let (id, since) = (person.to_string(), restricted.then_some(now.0));
        let detail = Some(if restricted { "restricted" } else { "lifted" }.to_owned());
        let draft = Draft { subject: Some(person), detail, ..acting.draft(now, Action::PersonRestricted) };
        let changed = transact!(self.inner.database, "vault.restrict", |conn| {
            let changed = sqlx::query("UPDATE passport SET restricted_ms = $1 WHERE person = $2")
                .bind(since)
                .bind(&id)
                .execute(&mut *conn)
                .await?
                .rows_affected();
            if changed > 0 {
                audit::record!(conn, &draft);
            }
            Ok(changed)
        })?;
        if changed > 0 { Ok(()) } else { Err(VaultError::Unknown) }
    }
}
