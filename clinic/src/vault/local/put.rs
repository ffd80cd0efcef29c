//! Taking in what a browser sealed: forms are checked, keys are told apart by their numbers, and a change that was made
//! over another one is refused.

use domain::vault::{KeyId, Sealed};
use domain::{Field, Permission, PersonId, UtcMillis};
use store::{sqlx, transact};

use super::{BOX_MAX_BYTES, LocalError, LocalRefused, TOKENS_MAX, WRAPPED_BYTES, boxed};
use crate::acting::Acting;
use crate::audit::{self, Action, Draft, Purpose};
use crate::vault::change::field_of;
use crate::vault::rows::{self, Part, Row, row_columns};
use crate::vault::{Vault, VaultError};

/// A passport as a browser sealed it, form checked.
#[derive(Debug, Clone)]
pub struct LocalPassport {
    wrapped_key: Sealed,
    /// In the order of the columns; `None` is left as it is.
    parts: [Option<Sealed>; 4],
    tokens: Vec<i64>,
}

impl LocalPassport {
    /// Takes the wrapped key, the parts by the names of their columns, and the hashes of the index.
    ///
    /// # Errors
    /// [`LocalRefused::Form`].
    pub fn new(wrapped: Vec<u8>, parts: Vec<(String, Vec<u8>)>, mut tokens: Vec<i64>) -> Result<Self, LocalRefused> {
        let wrapped_key = boxed(wrapped, WRAPPED_BYTES, "the wrapped key")?;
        if wrapped_key.as_bytes().len() != WRAPPED_BYTES {
            return Err(LocalRefused::Form("the wrapped key"));
        }
        let mut sealed = [const { None }; 4];
        let mut by: Option<KeyId> = None;
        for (name, bytes) in parts {
            let at = Part::ALL.iter().position(|part| part.column() == name);
            let (part, slot) = at.and_then(|at| Some((Part::ALL[at], sealed.get_mut(at)?))).ok_or(FORM)?;
            let taken = boxed(bytes, BOX_MAX_BYTES, part.column())?;
            if *by.get_or_insert(taken.key_id()) != taken.key_id() || slot.is_some() {
                return Err(LocalRefused::Form(part.column()));
            }
            *slot = Some(taken);
        }
        tokens.sort_unstable();
        tokens.dedup();
        if tokens.len() > TOKENS_MAX {
            return Err(LocalRefused::Form("the index"));
        }
        Ok(Self { wrapped_key, parts: sealed, tokens })
    }

    fn fields(&self) -> Vec<Field> {
        Part::ALL
            .into_iter()
            .zip(&self.parts)
            .filter(|(_, part)| part.is_some())
            .map(|(part, _)| field_of(part))
            .collect()
    }
}

const FORM: LocalRefused = LocalRefused::Form("a part of the passport");

/// Puts the hashes of a passport in place of those before. Used inside `transact!`.
macro_rules! put_tokens {
    ($conn:expr, $no:expr, $before:expr, $after:expr) => {{
        for token in $before.iter().filter(|token| !$after.contains(token)) {
            sqlx::query("DELETE FROM passport_token WHERE token = $1 AND passport = $2")
                .bind(token)
                .bind($no)
                .execute(&mut *$conn)
                .await?;
        }
        let fresh: Vec<i64> = $after.iter().copied().filter(|token| !$before.contains(token)).collect();
        if !fresh.is_empty() {
            let mut insert = sqlx::QueryBuilder::<Db>::new("INSERT INTO passport_token (token, passport) ");
            insert.push_values(fresh, |mut values, token| {
                values.push_bind(token).push_bind($no);
            });
            insert.push(" ON CONFLICT DO NOTHING");
            insert.build().execute(&mut *$conn).await?;
        }
    }};
}
pub(super) use put_tokens;

impl Vault {
    /// Stores what a browser sealed. `base` is when the passport was last changed as the browser saw it; `None` says
    /// that there was none sealed by a workstation: then the person is made if need be, and a passport that the server
    /// sealed is replaced with everything that was known before its corrections.
    ///
    /// # Errors
    /// [`LocalRefused::OtherKey`], [`LocalRefused::Changed`], [`LocalRefused::NoKey`], [`VaultError::Erased`] and
    /// others.
    pub async fn local_put(
        &self,
        acting: &Acting,
        person: PersonId,
        passport: LocalPassport,
        base: Option<UtcMillis>,
        purpose: Purpose,
    ) -> Result<UtcMillis, LocalError> {
        acting.must(Permission::PersonEdit)?;
        let at = self.now();
        let id = person.to_string();
        let draft = Draft {
            subject: Some(person),
            fields: passport.fields(),
            purpose: Some(purpose),
            detail: Some("sealed box".to_owned()),
            ..acting.draft(at, Action::PersonChanged)
        };
        let done: Result<UtcMillis, LocalError> = transact!(self.inner.database, "local.put", |conn| {
            let key: Option<String> = sqlx::query_scalar(
                "SELECT id FROM local_key WHERE until_ms IS NULL ORDER BY since_ms DESC, id LIMIT 1",
            )
            .fetch_optional(&mut *conn)
            .await?;
            let Some(key) = key.and_then(|key| key.parse::<KeyId>().ok()) else {
                return Ok(Err(LocalRefused::NoKey.into()));
            };
            if passport.wrapped_key.key_id() != key {
                return Ok(Err(LocalRefused::OtherKey(passport.wrapped_key.key_id(), key).into()));
            }
            let row: Option<Row> =
                sqlx::query_as(concat!("SELECT ", row_columns!(), " FROM passport WHERE person = $1"))
                    .bind(&id)
                    .fetch_optional(&mut *conn)
                    .await?;
            if let Some(erased) = row.as_ref().and_then(|row| row.shredded_ms) {
                return Ok(Err(VaultError::Erased(UtcMillis(erased)).into()));
            }
            let sealed_here = row.as_ref().filter(|row| row.mode == "local");
            if sealed_here.map(|row| UtcMillis(row.changed_ms)) != base {
                return Ok(Err(LocalRefused::Changed.into()));
            }
            // Two changes within a millisecond must differ, or the second would not see the first.
            let now = base.map_or(at, |base| at.max(base.plus_ms(1)));
            let no: i64 = match &row {
                Some(row) => row.no,
                None => {
                    sqlx::query("INSERT INTO person (id, created_ms) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING")
                        .bind(&id)
                        .bind(now.0)
                        .execute(&mut *conn)
                        .await?;
                    sqlx::query_scalar("UPDATE counter SET value = value + 1 WHERE name = 'passport' RETURNING value")
                        .fetch_one(&mut *conn)
                        .await?
                }
            };
            let kept = |part: Part| sealed_here.and_then(|row| row.sealed(part)).cloned();
            let mut columns = [None, None, None, None];
            for ((slot, part), new) in columns.iter_mut().zip(Part::ALL).zip(&passport.parts) {
                let Some(new) = new else {
                    *slot = kept(part);
                    continue;
                };
                *slot = Some(new.as_bytes().to_vec());
                let Some(past) = kept(part) else { continue };
                let past_id: i64 = sqlx::query_scalar(
                    "UPDATE counter SET value = value + 1 WHERE name = 'passport_past' RETURNING value",
                )
                .fetch_one(&mut *conn)
                .await?;
                // The box of before stays as it was sealed: its place is still the passport's.
                sqlx::query(
                    "INSERT INTO passport_past (id, person, part, sealed, until_ms) VALUES ($1, $2, $3, $4, $5)",
                )
                .bind(past_id)
                .bind(&id)
                .bind(part.column())
                .bind(past)
                .bind(now.0)
                .execute(&mut *conn)
                .await?;
            }
            if row.is_some() && sealed_here.is_none() {
                // Sealed under a key that ends here: nobody could read it any more.
                sqlx::query("DELETE FROM passport_past WHERE person = $1").bind(&id).execute(&mut *conn).await?;
                sqlx::query("DELETE FROM photo WHERE person = $1").bind(&id).execute(&mut *conn).await?;
                sqlx::query("UPDATE passport SET photo = NULL WHERE person = $1").bind(&id).execute(&mut *conn).await?;
            }
            let [names, birth, documents, contacts] = columns;
            sqlx::query(
                "INSERT INTO passport (no, person, mode, kek, wrapped_key, names, birth, documents, contacts, tokens,
                     index_key, created_ms, changed_ms)
                 VALUES ($1, $2, 'local', $3, $4, $5, $6, $7, $8, $9, $3, $10, $10)
                 ON CONFLICT (person) DO UPDATE SET mode = excluded.mode, kek = excluded.kek,
                     wrapped_key = excluded.wrapped_key, names = excluded.names, birth = excluded.birth,
                     documents = excluded.documents, contacts = excluded.contacts, tokens = excluded.tokens,
                     index_key = excluded.index_key, changed_ms = excluded.changed_ms",
            )
            .bind(no)
            .bind(&id)
            .bind(key.to_string())
            .bind(passport.wrapped_key.as_bytes())
            .bind(names)
            .bind(birth)
            .bind(documents)
            .bind(contacts)
            .bind(rows::tokens_to_bytes(&passport.tokens))
            .bind(now.0)
            .execute(&mut *conn)
            .await?;
            let before: Vec<i64> =
                row.as_ref().and_then(|row| row.tokens.as_deref()).map(rows::tokens_from_bytes).unwrap_or_default();
            put_tokens!(conn, no, before, passport.tokens);
            audit::record!(conn, &draft);
            Ok(Ok(now))
        })?;
        done
    }
}
