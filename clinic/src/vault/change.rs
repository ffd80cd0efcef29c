//! Registering and correcting: what changes is sealed anew, what was known before is kept sealed among the corrections,
//! and the hashes of the index follow, all in one transaction with its entry in the audit log.

use domain::vault::{Dek, KEY_BYTES, Passport, PassportChange};
use domain::{Field, Permission, PersonId, UtcMillis};
use store::{Error, sqlx, transact};

use super::keys;
use super::ring::Ring;
use super::rows::{self, Part, Row, row_columns};
use super::{Vault, VaultError};
use crate::acting::Acting;
use crate::audit::{self, Action, Draft, Purpose};

/// Most persons of one [`Vault::load`]: one transaction holds the one writer of SQLite for so long.
pub const LOAD_MAX: usize = 1000;

/// Writes one passport inside a transaction: `Result<Done, VaultError>` is the value, engine errors leave by `?`.
macro_rules! put_passport {
    ($conn:expr, $ring:expr, $person:expr, $change:expr, $now:expr) => {{
        // Holds the key's row until the end of the transaction: its change waits for us or we see that it was changed.
        let in_use = sqlx::query("UPDATE vault_key SET made_ms = made_ms WHERE id = $1 AND state = 'current'")
            .bind($ring.current.id().to_string())
            .execute(&mut *$conn)
            .await?
            .rows_affected();
        let row: Option<Row> = sqlx::query_as(concat!("SELECT ", row_columns!(), " FROM passport WHERE person = $1"))
            .bind($person.to_string())
            .fetch_optional(&mut *$conn)
            .await?;
        match written($ring, $person, row.as_ref(), $change, $now) {
            _ if in_use == 0 => Err(VaultError::Interrupted),
            Err(refused) => Err(refused),
            Ok(new) => {
                let no = match &row {
                    Some(row) => row.no,
                    None => {
                        sqlx::query_scalar(
                            "UPDATE counter SET value = value + 1 WHERE name = 'passport' RETURNING value",
                        )
                        .fetch_one(&mut *$conn)
                        .await?
                    }
                };
                for (part, sealed) in &new.past {
                    let id: i64 = sqlx::query_scalar(
                        "UPDATE counter SET value = value + 1 WHERE name = 'passport_past' RETURNING value",
                    )
                    .fetch_one(&mut *$conn)
                    .await?;
                    sqlx::query(
                        "INSERT INTO passport_past (id, person, part, sealed, until_ms) VALUES ($1, $2, $3, $4, $5)",
                    )
                    .bind(id)
                    .bind($person.to_string())
                    .bind(part.column())
                    .bind(sealed)
                    .bind($now.0)
                    .execute(&mut *$conn)
                    .await?;
                }
                sqlx::query(
                    "INSERT INTO passport (no, person, mode, kek, wrapped_key, names, birth, documents, contacts,
                         tokens, index_key, created_ms, changed_ms)
                     VALUES ($1, $2, 'server', $3, $4, $5, $6, $7, $8, $9, $10, $11, $11)
                     ON CONFLICT (person) DO UPDATE SET kek = excluded.kek, wrapped_key = excluded.wrapped_key,
                         names = excluded.names, birth = excluded.birth, documents = excluded.documents,
                         contacts = excluded.contacts, tokens = excluded.tokens, index_key = excluded.index_key,
                         changed_ms = excluded.changed_ms",
                )
                .bind(no)
                .bind($person.to_string())
                .bind(&new.kek)
                .bind(&new.wrapped_key)
                .bind(&new.sealed[0])
                .bind(&new.sealed[1])
                .bind(&new.sealed[2])
                .bind(&new.sealed[3])
                .bind(rows::tokens_to_bytes(&new.tokens))
                .bind(&new.index_key)
                .bind($now.0)
                .execute(&mut *$conn)
                .await?;
                for token in new.tokens_before.iter().filter(|token| !new.tokens.contains(token)) {
                    sqlx::query("DELETE FROM passport_token WHERE token = $1 AND passport = $2")
                        .bind(token)
                        .bind(no)
                        .execute(&mut *$conn)
                        .await?;
                }
                let fresh = new.tokens.iter().filter(|token| !new.tokens_before.contains(token));
                rows::insert_tokens!($conn, Db, fresh.map(|token| (*token, no)).collect());
                Ok(new.fields)
            }
        }
    }};
}

/// A row to be written.
struct Written {
    kek: String,
    wrapped_key: Vec<u8>,
    /// In the order of [`Part::ALL`].
    sealed: [Option<Vec<u8>>; 4],
    past: Vec<(Part, Vec<u8>)>,
    tokens_before: Vec<i64>,
    tokens: Vec<i64>,
    index_key: String,
    fields: Vec<Field>,
}

impl Vault {
    /// Registers what is known of a person, or corrects it. The person must exist among the pseudonyms.
    ///
    /// # Errors
    /// [`VaultError::Refused`], [`VaultError::Locked`], [`VaultError::Erased`] and others.
    pub async fn put(
        &self,
        acting: &Acting,
        person: PersonId,
        change: PassportChange,
        purpose: Purpose,
    ) -> Result<(), VaultError> {
        acting.must(Permission::PersonEdit)?;
        let now = self.now();
        check(&change, now)?;
        let ring = self.ring()?;
        let draft = Draft { subject: Some(person), purpose: Some(purpose), ..acting.draft(now, Action::PersonChanged) };
        transact!(self.inner.database, "vault.put", |conn| {
            let fields = match put_passport!(conn, &ring, person, &change, now) {
                Ok(fields) => fields,
                Err(refused) => return Ok(Err(refused)),
            };
            if !fields.is_empty() {
                let draft = Draft { fields, ..draft.clone() };
                audit::record!(conn, &draft);
            }
            Ok(Ok(()))
        })?
    }

    /// Registers many at once, for an import: all of them or none, with one entry in the audit log for each. Returns
    /// how many were stored.
    ///
    /// # Errors
    /// As [`Vault::put`]; at most [`LOAD_MAX`] at a time.
    pub async fn load(
        &self,
        acting: &Acting,
        batch: Vec<(PersonId, PassportChange)>,
        purpose: Purpose,
    ) -> Result<usize, VaultError> {
        acting.must(Permission::PersonEdit)?;
        if batch.len() > LOAD_MAX {
            return Err(VaultError::System(format!("at most {LOAD_MAX} persons may be loaded at a time")));
        }
        let now = self.now();
        batch.iter().try_for_each(|(_, change)| check(change, now))?;
        let ring = self.ring()?;
        let draft = Draft { purpose: Some(purpose), ..acting.draft(now, Action::PersonChanged) };
        transact!(self.inner.database, "vault.load", |conn| {
            for (person, change) in &batch {
                let fields = match put_passport!(conn, &ring, *person, change, now) {
                    Ok(fields) => fields,
                    Err(refused) => return refuse(refused),
                };
                let draft = Draft { subject: Some(*person), fields, ..draft.clone() };
                audit::record!(conn, &draft);
            }
            Ok(Ok(batch.len()))
        })?
    }
}

/// A refusal in the middle of a batch must undo what was written before it.
fn refuse<T>(refused: VaultError) -> Result<Result<T, VaultError>, Error> {
    match refused {
        VaultError::Store(error) => Err(error),
        other => Err(Error::new(
            "vault.load",
            store::Fault::BadRow { table: "passport", column: "person", problem: other.to_string() },
        )),
    }
}

fn check(change: &PassportChange, now: UtcMillis) -> Result<(), VaultError> {
    let today = now.to_chrono().map(|at| at.date_naive()).unwrap_or_default();
    Ok(change.check(today)?)
}

/// What the row becomes. Pure but for the random bytes.
fn written(
    ring: &Ring,
    person: PersonId,
    row: Option<&Row>,
    change: &PassportChange,
    now: UtcMillis,
) -> Result<Written, VaultError> {
    let (dek, before) = match row {
        Some(row) => {
            let dek = ring.unwrap(person, row.wrapped()?)?;
            let before = row.open(person, &dek, &Part::ALL)?;
            (dek, before)
        }
        None => (Dek::new(keys::random::<KEY_BYTES>()?), Passport::default()),
    };
    let after = Passport {
        names: change.names.clone().unwrap_or_else(|| before.names.clone()),
        birth_date: change.birth_date.unwrap_or(before.birth_date),
        documents: change.documents.clone().unwrap_or_else(|| before.documents.clone()),
        contacts: change.contacts.clone().unwrap_or_else(|| before.contacts.clone()),
    };
    let mut new = Written {
        kek: ring.current.id().to_string(),
        wrapped_key: ring.current.wrap(person, keys::nonce()?, &dek).into_bytes(),
        sealed: [None, None, None, None],
        past: Vec::new(),
        tokens_before: row.and_then(|row| row.tokens.as_deref()).map(rows::tokens_from_bytes).unwrap_or_default(),
        tokens: ring.index_key()?.tokens_of(&after),
        index_key: ring.index_key()?.id().to_string(),
        fields: Vec::new(),
    };
    for (slot, part) in new.sealed.iter_mut().zip(Part::ALL) {
        let stored = row.and_then(|row| row.sealed(part));
        let changed = match part {
            Part::Names => before.names != after.names,
            Part::Birth => before.birth_date != after.birth_date,
            Part::Documents => before.documents != after.documents,
            Part::Contacts => before.contacts != after.contacts,
        };
        *slot = match stored {
            Some(sealed) if !changed => Some(sealed.clone()),
            Some(sealed) => {
                new.past.push((part, rows::reseal_past(person, &dek, part, sealed, now)?));
                Some(rows::seal_part(person, &dek, part, &after)?)
            }
            // A part that was never known stays out of the row until it is.
            None if !changed => None,
            None => Some(rows::seal_part(person, &dek, part, &after)?),
        };
        if changed {
            new.fields.push(field_of(part));
        }
    }
    Ok(new)
}

/// The field whose right shows a part.
pub(super) const fn field_of(part: Part) -> Field {
    match part {
        Part::Names => Field::Name,
        Part::Birth => Field::BirthDate,
        Part::Documents => Field::Document,
        Part::Contacts => Field::Contact,
    }
}
