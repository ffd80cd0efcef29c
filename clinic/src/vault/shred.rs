//! Erasure by destroying a person's key, remembered outside the database so that a restored backup brings nobody back.
//!
//! The order is what makes it safe to be interrupted anywhere: first the person is written into the list outside (from
//! then on every start finishes the work), then key, hashes and corrections go from the database in one transaction
//! with its entry in the audit log, then the files of the photographs.

use domain::{Permission, PersonId, UtcMillis};
use store::{read, sqlx, transact};

use super::memory::{self, Memory};
use super::{Vault, VaultError};
use crate::acting::Acting;
use crate::audit::{self, Action, Draft};

pub use super::memory::Remembered;

/// What applying the list of erased persons did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reapplied {
    /// How many persons the list names.
    pub remembered: usize,
    /// Those who had come back, with a restored backup, and were erased again.
    pub again: Vec<PersonId>,
}

/// What became of a passport inside a transaction: the names of its pictures, or nothing if nothing was left of it.
macro_rules! destroy {
    ($conn:expr, $person:expr, $at:expr) => {{
        let row: Option<(i64, Option<Vec<u8>>, Option<i64>)> =
            sqlx::query_as("SELECT no, tokens, shredded_ms FROM passport WHERE person = $1")
                .bind($person)
                .fetch_optional(&mut *$conn)
                .await?;
        match row {
            Some((no, tokens, None)) => {
                for token in tokens.as_deref().map(super::rows::tokens_from_bytes).unwrap_or_default() {
                    sqlx::query("DELETE FROM passport_token WHERE token = $1 AND passport = $2")
                        .bind(token)
                        .bind(no)
                        .execute(&mut *$conn)
                        .await?;
                }
                sqlx::query("DELETE FROM passport_past WHERE person = $1").bind($person).execute(&mut *$conn).await?;
                sqlx::query(
                    "UPDATE passport SET kek = NULL, wrapped_key = NULL, names = NULL, birth = NULL, documents = NULL,
                         contacts = NULL, tokens = NULL, index_key = NULL, photo = NULL, photo_consent = NULL,
                         consent_ms = NULL, shredded_ms = $1 WHERE no = $2",
                )
                .bind($at)
                .bind(no)
                .execute(&mut *$conn)
                .await?;
                let pictures: Vec<(String, String)> =
                    sqlx::query_as("DELETE FROM photo WHERE person = $1 RETURNING full_blob, small_blob")
                        .bind($person)
                        .fetch_all(&mut *$conn)
                        .await?;
                Some(pictures)
            }
            Some((_, _, Some(_))) => None,
            None => {
                // Somebody without a passport gets an empty one that says so: nobody fills it by mistake.
                let known: Option<String> = sqlx::query_scalar("SELECT id FROM person WHERE id = $1")
                    .bind($person)
                    .fetch_optional(&mut *$conn)
                    .await?;
                if known.is_some() {
                    sqlx::query("UPDATE counter SET value = value + 1 WHERE name = 'passport'")
                        .execute(&mut *$conn)
                        .await?;
                    sqlx::query(
                        "INSERT INTO passport (no, person, mode, created_ms, changed_ms, shredded_ms)
                         SELECT value, $1, 'server', $2, $2, $2 FROM counter WHERE name = 'passport'",
                    )
                    .bind($person)
                    .bind($at)
                    .execute(&mut *$conn)
                    .await?;
                }
                known.map(|_| Vec::new())
            }
        }
    }};
}

impl Vault {
    /// Erases what the vault knows of a person: their key, and with it everything sealed under it, the hashes of the
    /// index and the photographs. Remembered outside the database first. Needs no open vault; a person erased already,
    /// or without a passport, stays so.
    ///
    /// # Errors
    /// [`VaultError::ShredList`] or [`VaultError::File`] if it cannot be remembered: then nothing is erased.
    pub async fn shred(&self, acting: &Acting, person: PersonId) -> Result<(), VaultError> {
        acting.must(Permission::PersonErase)?;
        let at = self.now();
        {
            let _turn = self.inner.shred_turn.lock().await;
            let places = self.inner.shred_places.clone();
            let work = tokio::task::spawn_blocking(move || memory::remember(&places, Remembered { person, at }));
            work.await.map_err(|stopped| VaultError::System(stopped.to_string()))??;
        }
        self.destroy(acting, Remembered { person, at }, "key destroyed").await?;
        self.fold_away().await
    }

    /// Who was erased, from the lists outside the database, each once, in the order of erasure.
    ///
    /// # Errors
    /// [`VaultError::File`]; [`VaultError::ShredList`] for a list that was tampered with.
    pub async fn remembered(&self) -> Result<Vec<Remembered>, VaultError> {
        let memory = self.memory().await?;
        match memory.damage {
            None => Ok(memory.persons),
            Some(damage) => Err(VaultError::ShredList(damage)),
        }
    }

    /// Erases again whoever a restored backup has brought back. Run at every start; a damaged list is applied as far as
    /// it can be read, and then reported.
    ///
    /// # Errors
    /// As [`Vault::shred`].
    pub async fn reapply(&self, acting: &Acting) -> Result<Reapplied, VaultError> {
        let memory = self.memory().await?;
        let mut again = Vec::new();
        for one in &memory.persons {
            if self.destroy(acting, *one, "key destroyed again after a restore").await? {
                again.push(one.person);
            }
        }
        if !again.is_empty() {
            tracing::warn!(count = again.len(), "vault.shredded.again");
            self.fold_away().await?;
        }
        match memory.damage {
            None => Ok(Reapplied { remembered: memory.persons.len(), again }),
            Some(damage) => Err(VaultError::ShredList(damage)),
        }
    }

    async fn memory(&self) -> Result<Memory, VaultError> {
        let _turn = self.inner.shred_turn.lock().await;
        let places = self.inner.shred_places.clone();
        let work = tokio::task::spawn_blocking(move || memory::read_all(&places));
        work.await.map_err(|stopped| VaultError::System(stopped.to_string()))?
    }

    /// Whether there was something left to destroy.
    async fn destroy(&self, acting: &Acting, one: Remembered, detail: &'static str) -> Result<bool, VaultError> {
        let draft = Draft {
            subject: Some(one.person),
            detail: Some(detail.to_owned()),
            ..acting.draft(self.now(), Action::PersonErased)
        };
        let (person, at) = (one.person.to_string(), one.at);
        let pictures = transact!(self.inner.database, "vault.shred", |conn| {
            let pictures = destroy!(conn, &person, at.0);
            if pictures.is_some() {
                audit::record!(conn, &draft);
            }
            Ok(pictures)
        })?;
        match pictures {
            Some(pictures) => {
                self.discard(pictures).await;
                Ok(true)
            }
            None => Ok(false),
        }
    }

    /// SQLite keeps earlier versions of pages in its write-ahead log until they are folded into the file, where deleted
    /// bytes are overwritten with zeros (`secure_delete`). Nothing there is in clear, but the wrapped key is.
    async fn fold_away(&self) -> Result<(), VaultError> {
        if self.inner.database.engine() == store::Engine::Sqlite {
            // Readers may hold it up; then the next one, or the end of the program, does it.
            read!(self.inner.database, "vault.fold", |conn| {
                sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut *conn).await?;
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Whether somebody was erased, and when.
    ///
    /// # Errors
    /// Engine errors.
    pub async fn erased_at(&self, person: PersonId) -> Result<Option<UtcMillis>, VaultError> {
        let person = person.to_string();
        let at: Option<Option<i64>> = read!(self.inner.database, "vault.erased_at", |conn| {
            Ok(sqlx::query_scalar("SELECT shredded_ms FROM passport WHERE person = $1")
                .bind(&person)
                .fetch_optional(&mut *conn)
                .await?)
        })?;
        Ok(at.flatten().map(UtcMillis))
    }
}
