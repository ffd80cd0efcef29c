//! The clinic's own key is announced, and changed: the browser fetches people page by page, wraps their keys anew and
//! gives them back with new hashes. Stopped at any moment, each passport is under the old key or the new one, whole.

use domain::vault::{KeyId, Sealed};
use domain::{Field, Permission, PersonId, UtcMillis};
use store::{sqlx, transact};

use super::put::put_tokens;
use super::{Handed, LocalError, LocalRefused, LocalState, TOKENS_MAX, WRAPPED_BYTES, boxed, handed};
use crate::acting::Acting;
use crate::audit::{self, Action, Draft, Purpose};
use crate::vault::Vault;
use crate::vault::rows::{self, Part, Row, row_columns};

/// Persons of one page of a change of the key.
pub const CHANGE_PAGE: usize = 100;

/// A page of people who are still under the former key.
#[derive(Debug, Clone)]
pub struct ToRewrap {
    /// Their boxes, with everything that the index is made of.
    pub people: Vec<Handed>,
    /// How many are left with them.
    pub left: u64,
}

/// One person's key, wrapped anew, form checked.
#[derive(Debug, Clone)]
pub struct Rewrapped {
    person: PersonId,
    before: Vec<u8>,
    after: Sealed,
    tokens: Vec<i64>,
}

impl Rewrapped {
    /// Takes whose key it is, the wrapped key as it was fetched, the new one and the new hashes.
    ///
    /// # Errors
    /// [`LocalRefused::Form`].
    pub fn new(person: PersonId, before: Vec<u8>, after: Vec<u8>, mut tokens: Vec<i64>) -> Result<Self, LocalRefused> {
        let after = boxed(after, WRAPPED_BYTES, "the wrapped key")?;
        tokens.sort_unstable();
        tokens.dedup();
        if after.as_bytes().len() != WRAPPED_BYTES || tokens.len() > TOKENS_MAX {
            return Err(LocalRefused::Form("the wrapped key"));
        }
        Ok(Self { person, before, after, tokens })
    }
}

impl Vault {
    /// Announces the clinic's key by its number: the first one, or one that follows `after`.
    ///
    /// # Errors
    /// [`LocalRefused::NotAfter`] when another key is in use, [`LocalRefused::AlreadyChanging`].
    pub async fn local_announce(
        &self,
        acting: &Acting,
        key: KeyId,
        after: Option<KeyId>,
    ) -> Result<LocalState, LocalError> {
        acting.must(Permission::VaultManage)?;
        let at = self.now();
        let draft = Draft { object: Some(key.to_string()), ..acting.draft(at, Action::VaultKeyChanged) };
        let done: Result<(), LocalRefused> = transact!(self.inner.database, "local.announce", |conn| {
            let rows: Vec<(String, i64)> =
                sqlx::query_as("SELECT id, since_ms FROM local_key WHERE until_ms IS NULL ORDER BY since_ms DESC, id")
                    .fetch_all(&mut *conn)
                    .await?;
            let keys: Vec<KeyId> = rows.iter().filter_map(|(id, _)| id.parse().ok()).collect();
            match (keys.as_slice(), after) {
                ([], _) => {}
                ([current, ..], _) if *current == key => return Ok(Ok(())),
                ([current], Some(after)) if *current == after => {}
                ([_, _, ..], _) => return Ok(Err(LocalRefused::AlreadyChanging)),
                ([current, ..], _) => return Ok(Err(LocalRefused::NotAfter(*current))),
            }
            let known: Option<String> = sqlx::query_scalar("SELECT id FROM local_key WHERE id = $1")
                .bind(key.to_string())
                .fetch_optional(&mut *conn)
                .await?;
            if known.is_some() {
                // A key that was given up may be known to others; it does not come back.
                return Ok(Err(LocalRefused::NotAfter(keys.first().copied().unwrap_or(key))));
            }
            // The order of the keys is that of their times.
            let since = rows.first().map_or(at, |(_, newest)| at.max(UtcMillis(newest + 1)));
            sqlx::query("INSERT INTO local_key (id, since_ms) VALUES ($1, $2)")
                .bind(key.to_string())
                .bind(since.0)
                .execute(&mut *conn)
                .await?;
            audit::record!(conn, &draft);
            Ok(Ok(()))
        })?;
        done?;
        Ok(self.local_state().await?)
    }

    /// The next people whose keys are wrapped by the former key. Each hand-out is in the audit log.
    ///
    /// # Errors
    /// [`LocalRefused::NoKey`] and others.
    pub async fn local_to_rewrap(&self, acting: &Acting) -> Result<ToRewrap, LocalError> {
        acting.must(Permission::VaultManage)?;
        let state = self.local_state().await?;
        let (current, _) = state.current.ok_or(LocalRefused::NoKey)?;
        let draft = Draft {
            fields: vec![Field::Name, Field::Document, Field::Contact],
            purpose: Some(Purpose::Maintenance),
            detail: Some("sealed box; key change".to_owned()),
            ..acting.draft(self.now(), Action::PersonSeen)
        };
        let rows: Vec<Row> = transact!(self.inner.database, "local.to_rewrap", |conn| {
            let rows: Vec<Row> = sqlx::query_as(concat!(
                "SELECT ",
                row_columns!(),
                " FROM passport WHERE mode = 'local' AND kek <> $1 AND shredded_ms IS NULL ORDER BY no LIMIT $2"
            ))
            .bind(current.to_string())
            .bind(CHANGE_PAGE as i64)
            .fetch_all(&mut *conn)
            .await?;
            for row in &rows {
                let draft = Draft { subject: row.person.parse().ok(), ..draft.clone() };
                audit::record!(conn, &draft);
            }
            Ok(rows)
        })?;
        let parts = [Part::Names, Part::Documents, Part::Contacts];
        let people =
            rows.iter().filter_map(|row| Some(handed(acting, row.person.parse().ok()?, row, &parts))).collect();
        Ok(ToRewrap { people, left: state.left })
    }

    /// Takes back a page of keys that were wrapped anew: all of them or none. A person whose key was changed meanwhile
    /// is left for the next page. With the last one the former key is given up.
    ///
    /// # Errors
    /// [`LocalRefused::OtherKey`], [`LocalRefused::NoKey`], [`LocalRefused::Form`] for more than [`CHANGE_PAGE`].
    pub async fn local_rewrap(&self, acting: &Acting, people: Vec<Rewrapped>) -> Result<LocalState, LocalError> {
        acting.must(Permission::VaultManage)?;
        if people.len() > CHANGE_PAGE {
            return Err(LocalRefused::Form("the page").into());
        }
        let state = self.local_state().await?;
        let (current, _) = state.current.ok_or(LocalRefused::NoKey)?;
        if let Some(other) = people.iter().find(|one| one.after.key_id() != current) {
            return Err(LocalRefused::OtherKey(other.after.key_id(), current).into());
        }
        let now = self.now();
        let draft = Draft { object: Some(current.to_string()), ..acting.draft(now, Action::VaultKeyChanged) };
        transact!(self.inner.database, "local.rewrap", |conn| {
            let mut done = 0_u32;
            for one in &people {
                let row: Option<Row> = sqlx::query_as(concat!(
                    "SELECT ",
                    row_columns!(),
                    " FROM passport WHERE person = $1 AND mode = 'local' AND shredded_ms IS NULL"
                ))
                .bind(one.person.to_string())
                .fetch_optional(&mut *conn)
                .await?;
                let Some(row) = row.filter(|row| row.wrapped_key.as_ref() == Some(&one.before)) else { continue };
                sqlx::query(
                    "UPDATE passport SET kek = $1, index_key = $1, wrapped_key = $2, tokens = $3 WHERE no = $4",
                )
                .bind(current.to_string())
                .bind(one.after.as_bytes())
                .bind(rows::tokens_to_bytes(&one.tokens))
                .bind(row.no)
                .execute(&mut *conn)
                .await?;
                let before = row.tokens.as_deref().map(rows::tokens_from_bytes).unwrap_or_default();
                put_tokens!(conn, row.no, before, one.tokens);
                done += 1;
            }
            let left: i64 = sqlx::query_scalar(
                "SELECT COUNT(*) FROM passport WHERE mode = 'local' AND kek <> $1 AND shredded_ms IS NULL",
            )
            .bind(current.to_string())
            .fetch_one(&mut *conn)
            .await?;
            if left == 0 {
                sqlx::query("UPDATE local_key SET until_ms = $1 WHERE until_ms IS NULL AND id <> $2")
                    .bind(now.0)
                    .bind(current.to_string())
                    .execute(&mut *conn)
                    .await?;
            }
            let draft = Draft { detail: Some(format!("wrapped={done}; left={left}")), ..draft.clone() };
            audit::record!(conn, &draft);
            Ok(())
        })?;
        Ok(self.local_state().await?)
    }
}
