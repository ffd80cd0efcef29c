//! Changing keys while everything goes on: the vault's key, the index's key, one person's key.
//!
//! A change of the vault's key begins with one transaction that makes the new key the current one and keeps the former
//! one sealed under it; from then on the new key alone opens everything. Step by step persons' keys are then wrapped
//! anew, and when none is left under the former key, it goes. Whatever is interrupted goes on at the next start: at
//! each moment each person's key is under one of the two, and both are at hand.

use domain::vault::{Dek, IndexKey, KEY_BYTES, Kek};
use domain::{Permission, PersonId, UtcMillis};
use store::{read, sqlx, transact};
use zeroize::Zeroizing;

use super::keys::{self, Recipe};
use super::opening::seal_index;
use super::photos::{self, Pair, PhotoId, Size};
use super::ring::Ring;
use super::rows::{self, Part, Row, row_columns};
use super::{BlobId, KeySource, Passphrase, Vault, VaultError};
use crate::acting::Acting;
use crate::audit::{self, Action, Draft};

/// Persons of one step: a transaction of some milliseconds, between which others write.
const STEP: i64 = 200;

/// What the new key is made of.
#[derive(Debug, Clone)]
pub enum NewKey {
    /// Random bytes, written into the key's file.
    Random,
    /// A new passphrase.
    Passphrase(Passphrase),
}

/// How far a change of keys has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Persons who are not yet under the new key, or not yet in the new index.
    pub left: u64,
    /// Persons altogether.
    pub all: u64,
    /// Whether a change is under way.
    pub changing: bool,
}

impl Progress {
    /// From 0 to 100.
    pub const fn percent(self) -> u64 {
        match (100 * self.all.saturating_sub(self.left)).checked_div(self.all) {
            Some(percent) => percent,
            None => 100,
        }
    }
}

impl Vault {
    /// Begins to change the vault's key. From now on new values are under the new key; the steps bring the rest over.
    ///
    /// # Errors
    /// [`VaultError::AlreadyChanging`], [`VaultError::OtherSource`], [`VaultError::WeakPassphrase`] and others.
    pub async fn rotate(&self, acting: &Acting, new: NewKey) -> Result<(), VaultError> {
        acting.must(Permission::VaultManage)?;
        let _turn = self.inner.turn.lock().await;
        let ring = self.ring()?;
        if ring.is_changing() {
            return Err(VaultError::AlreadyChanging);
        }
        let draft = Draft { detail: Some("begun".to_owned()), ..acting.draft(self.now(), Action::VaultKeyChanged) };
        let kek = match (&self.inner.source, new) {
            (KeySource::Own(path) | KeySource::File(path), NewKey::Random) => {
                let own = keys::read_key_file(path)?
                    .into_iter()
                    .find(|key| Kek::new(**key).id() == ring.current.id())
                    .ok_or(super::Locked::WrongKey)?;
                let fresh = Zeroizing::new(keys::random::<KEY_BYTES>()?);
                // Both in the file before the database learns of the new one: it must never name a lost key.
                keys::write_key_file(path, &[&own, &fresh], false)?;
                let kek = Kek::new(*fresh);
                self.begin(&ring, &kek, None, draft).await?;
                keys::write_key_file(path, &[&fresh], false)?;
                kek
            }
            (KeySource::Passphrase(_), NewKey::Passphrase(passphrase)) => {
                passphrase.check()?;
                let (kek, recipe) = keys::derive(passphrase, None).await?;
                self.begin(&ring, &kek, Some(recipe), draft).await?;
                kek
            }
            _ => return Err(VaultError::OtherSource),
        };
        let ring = self.assemble(kek).await?;
        self.hold(Ok(ring.into()));
        Ok(())
    }

    async fn begin(&self, ring: &Ring, kek: &Kek, recipe: Option<Recipe>, draft: Draft) -> Result<(), VaultError> {
        let (old_id, new_id) = (ring.current.id().to_string(), kek.id().to_string());
        let former = kek.wrap_former(keys::nonce()?, &ring.current).into_bytes();
        let mut indexes = Vec::new();
        for index in &ring.index {
            indexes.push((index.id().to_string(), seal_index(kek, index)?));
        }
        let source = self.inner.source.word();
        let (salt, cost) = recipe.map(|recipe| (recipe.salt, recipe.cost)).unzip();
        let begun = transact!(self.inner.database, "vault.rotate", |conn| {
            let changed =
                sqlx::query("UPDATE vault_key SET state = 'former', former = $1 WHERE id = $2 AND state = 'current'")
                    .bind(&former)
                    .bind(&old_id)
                    .execute(&mut *conn)
                    .await?
                    .rows_affected();
            if changed == 0 {
                return Ok(false);
            }
            sqlx::query(
                "INSERT INTO vault_key (id, state, source, salt, cost, made_ms)
                 VALUES ($1, 'current', $2, $3, $4, $5)",
            )
            .bind(&new_id)
            .bind(source)
            .bind(&salt)
            .bind(&cost)
            .bind(draft.at.0)
            .execute(&mut *conn)
            .await?;
            for (id, sealed) in &indexes {
                sqlx::query("UPDATE vault_index SET sealed = $1 WHERE id = $2")
                    .bind(sealed)
                    .bind(id)
                    .execute(&mut *conn)
                    .await?;
            }
            audit::record!(conn, &draft);
            Ok(true)
        })?;
        if begun { Ok(()) } else { Err(VaultError::Interrupted) }
    }

    /// Begins to change the index's key: all hashes are made anew, step by step; meanwhile both are searched.
    ///
    /// # Errors
    /// [`VaultError::AlreadyChanging`] and others.
    pub async fn rebuild_index(&self, acting: &Acting) -> Result<(), VaultError> {
        acting.must(Permission::VaultManage)?;
        let _turn = self.inner.turn.lock().await;
        let ring = self.ring()?;
        if ring.is_changing() {
            return Err(VaultError::AlreadyChanging);
        }
        let index = IndexKey::new(keys::random::<KEY_BYTES>()?);
        let (id, sealed) = (index.id().to_string(), seal_index(&ring.current, &index)?);
        let draft =
            Draft { detail: Some("index begun".to_owned()), ..acting.draft(self.now(), Action::VaultKeyChanged) };
        transact!(self.inner.database, "vault.rebuild_index", |conn| {
            sqlx::query("UPDATE vault_index SET state = 'former'").execute(&mut *conn).await?;
            sqlx::query("INSERT INTO vault_index (id, state, sealed, made_ms) VALUES ($1, 'current', $2, $3)")
                .bind(&id)
                .bind(&sealed)
                .bind(draft.at.0)
                .execute(&mut *conn)
                .await?;
            audit::record!(conn, &draft);
            Ok(())
        })?;
        let ring = self.assemble(ring.current.clone()).await?;
        self.hold(Ok(ring.into()));
        Ok(())
    }

    /// Brings the next persons over to the new keys and says how far it is. To be called while that says `changing`;
    /// may be stopped and taken up again at any time, and run by several programs at once.
    ///
    /// # Errors
    /// [`VaultError::Locked`] and engine errors.
    pub async fn rotate_step(&self) -> Result<Progress, VaultError> {
        let ring = self.ring()?;
        if let Some(former) = ring.former.first()
            && self.rewrap(&ring, former).await? == 0
        {
            self.end_key(&ring, former).await?;
        }
        if let Some(former) = ring.index.get(1)
            && self.reindex(&ring, former).await? == 0
        {
            self.end_index(&ring, former).await?;
        }
        self.progress().await
    }

    /// How far a change of keys has come.
    ///
    /// # Errors
    /// Engine errors.
    pub async fn progress(&self) -> Result<Progress, VaultError> {
        let changing = self.ring().is_ok_and(|ring| ring.is_changing());
        let (left, all): (i64, i64) = read!(self.inner.database, "vault.progress", |conn| {
            Ok(sqlx::query_as(
                "SELECT (SELECT COUNT(*) FROM passport
                         WHERE kek IN (SELECT id FROM vault_key WHERE state = 'former'))
                      + (SELECT COUNT(*) FROM passport
                         WHERE index_key IN (SELECT id FROM vault_index WHERE state = 'former')),
                    (SELECT COUNT(*) FROM passport WHERE mode = 'server' AND kek IS NOT NULL)",
            )
            .fetch_one(&mut *conn)
            .await?)
        })?;
        Ok(Progress { left: left.cast_unsigned(), all: all.cast_unsigned(), changing })
    }

    /// Wraps the keys of the next persons anew. How many there were.
    async fn rewrap(&self, ring: &Ring, former: &Kek) -> Result<usize, VaultError> {
        let (old_id, new_id) = (former.id().to_string(), ring.current.id().to_string());
        let rows: Vec<(String, Vec<u8>)> = read!(self.inner.database, "vault.rotate", |conn| {
            Ok(sqlx::query_as(
                "SELECT person, wrapped_key FROM passport WHERE kek = $1 AND wrapped_key IS NOT NULL LIMIT $2",
            )
            .bind(&old_id)
            .bind(STEP)
            .fetch_all(&mut *conn)
            .await?)
        })?;
        let mut renewed = Vec::with_capacity(rows.len());
        for (id, wrapped) in rows {
            let person: PersonId = id.parse().map_err(|error| store::Error::bad_row("passport", "person", error))?;
            let dek = ring.unwrap(person, &wrapped)?;
            renewed.push((id, wrapped, ring.current.wrap(person, keys::nonce()?, &dek).into_bytes()));
        }
        let count = renewed.len();
        if count > 0 {
            transact!(self.inner.database, "vault.rotate", |conn| {
                for (person, before, after) in &renewed {
                    // Only where it is still the same: it may have been erased or renewed meanwhile.
                    sqlx::query(
                        "UPDATE passport SET kek = $1, wrapped_key = $2 WHERE person = $3 AND wrapped_key = $4",
                    )
                    .bind(&new_id)
                    .bind(after)
                    .bind(person)
                    .bind(before)
                    .execute(&mut *conn)
                    .await?;
                }
                Ok(())
            })?;
        }
        Ok(count)
    }

    async fn end_key(&self, ring: &Ring, former: &Kek) -> Result<(), VaultError> {
        let old_id = former.id().to_string();
        let draft =
            Draft { detail: Some("ended".to_owned()), ..Acting::system().draft(self.now(), Action::VaultKeyChanged) };
        transact!(self.inner.database, "vault.rotate", |conn| {
            let ended = sqlx::query(
                "DELETE FROM vault_key WHERE id = $1 AND state = 'former'
                 AND NOT EXISTS (SELECT 1 FROM passport WHERE kek = $1)",
            )
            .bind(&old_id)
            .execute(&mut *conn)
            .await?
            .rows_affected();
            if ended > 0 {
                audit::record!(conn, &draft);
            }
            Ok(())
        })?;
        let ring = self.assemble(ring.current.clone()).await?;
        // A change that was interrupted before the file was tidied left the former key there.
        if let (false, KeySource::Own(path) | KeySource::File(path)) = (ring.is_changing(), &self.inner.source) {
            let keys = keys::read_key_file(path)?;
            let own: Vec<_> = keys.iter().filter(|key| Kek::new(***key).id() == ring.current.id()).collect();
            if let ([own], true) = (own.as_slice(), keys.len() > 1) {
                keys::write_key_file(path, &[own], false)?;
            }
        }
        self.hold(Ok(ring.into()));
        Ok(())
    }

    /// Makes the hashes of the next persons anew. How many there were.
    async fn reindex(&self, ring: &Ring, former: &IndexKey) -> Result<usize, VaultError> {
        let (old_id, new_id) = (former.id().to_string(), ring.index_key()?.id().to_string());
        let rows: Vec<Row> = read!(self.inner.database, "vault.reindex", |conn| {
            Ok(sqlx::query_as(concat!(
                "SELECT ",
                row_columns!(),
                " FROM passport WHERE index_key = $1 AND shredded_ms IS NULL LIMIT $2"
            ))
            .bind(&old_id)
            .bind(STEP)
            .fetch_all(&mut *conn)
            .await?)
        })?;
        let mut renewed = Vec::with_capacity(rows.len());
        for row in rows {
            let person: PersonId =
                row.person.parse().map_err(|error| store::Error::bad_row("passport", "person", error))?;
            let dek = ring.unwrap(person, row.wrapped()?)?;
            let passport = row.open(person, &dek, &Part::ALL)?;
            let before = row.tokens.unwrap_or_default();
            renewed.push((row.no, before, ring.index_key()?.tokens_of(&passport)));
        }
        let count = renewed.len();
        if count > 0 {
            transact!(self.inner.database, "vault.reindex", |conn| {
                let mut gone = Vec::new();
                let mut fresh = Vec::new();
                for (no, before, after) in &renewed {
                    let changed = sqlx::query(
                        "UPDATE passport SET index_key = $1, tokens = $2
                         WHERE no = $3 AND index_key = $4 AND tokens = $5 AND shredded_ms IS NULL",
                    )
                    .bind(&new_id)
                    .bind(rows::tokens_to_bytes(after))
                    .bind(no)
                    .bind(&old_id)
                    .bind(before)
                    .execute(&mut *conn)
                    .await?
                    .rows_affected();
                    if changed > 0 {
                        gone.extend(rows::tokens_from_bytes(before).into_iter().map(|token| (token, *no)));
                        fresh.extend(after.iter().map(|token| (*token, *no)));
                    }
                }
                // In the order of the table: neighbours stand on one page.
                gone.sort_unstable();
                fresh.sort_unstable();
                for (token, no) in gone {
                    sqlx::query("DELETE FROM passport_token WHERE token = $1 AND passport = $2")
                        .bind(token)
                        .bind(no)
                        .execute(&mut *conn)
                        .await?;
                }
                rows::insert_tokens!(conn, Db, fresh);
                Ok(())
            })?;
        }
        Ok(count)
    }

    async fn end_index(&self, ring: &Ring, former: &IndexKey) -> Result<(), VaultError> {
        let old_id = former.id().to_string();
        let draft = Draft {
            detail: Some("index ended".to_owned()),
            ..Acting::system().draft(self.now(), Action::VaultKeyChanged)
        };
        transact!(self.inner.database, "vault.reindex", |conn| {
            let ended = sqlx::query(
                "DELETE FROM vault_index WHERE id = $1 AND state = 'former'
                 AND NOT EXISTS (SELECT 1 FROM passport WHERE index_key = $1)",
            )
            .bind(&old_id)
            .execute(&mut *conn)
            .await?
            .rows_affected();
            if ended > 0 {
                audit::record!(conn, &draft);
            }
            Ok(())
        })?;
        let ring = self.assemble(ring.current.clone()).await?;
        self.hold(Ok(ring.into()));
        Ok(())
    }

    /// Gives a person a new key: everything known of them is sealed anew, photographs too.
    ///
    /// # Errors
    /// [`VaultError::Interrupted`] if somebody changed the person meanwhile: nothing was done, try again.
    pub async fn renew_person(&self, acting: &Acting, person: PersonId) -> Result<(), VaultError> {
        acting.must(Permission::VaultManage)?;
        let ring = self.ring()?;
        let row = self.fetch(person, None).await?;
        let old = ring.unwrap(person, row.wrapped()?)?;
        let passport = row.open(person, &old, &Part::ALL)?;
        let new = Dek::new(keys::random::<KEY_BYTES>()?);
        let id = person.to_string();
        let mut sealed: [Option<Vec<u8>>; 4] = [None, None, None, None];
        for (slot, part) in sealed.iter_mut().zip(Part::ALL) {
            if row.sealed(part).is_some() {
                *slot = Some(rows::seal_part(person, &new, part, &passport)?);
            }
        }
        let past: Vec<(i64, String, Vec<u8>, i64)> = read!(self.inner.database, "vault.renew", |conn| {
            Ok(sqlx::query_as("SELECT id, part, sealed, until_ms FROM passport_past WHERE person = $1")
                .bind(&id)
                .fetch_all(&mut *conn)
                .await?)
        })?;
        let mut past_anew = Vec::with_capacity(past.len());
        for (no, column, sealed, until) in past {
            let part = Part::ALL.into_iter().find(|part| part.column() == column);
            let part = part.ok_or_else(|| store::Error::bad_row("passport_past", "part", "not a part"))?;
            past_anew.push((no, rows::renew_past(person, (&old, &new), part, &sealed, UtcMillis(until))?));
        }
        let picture = self.renew_pictures(&id, &old, &new).await?;
        let wrapped = ring.current.wrap(person, keys::nonce()?, &new).into_bytes();
        let (before, kek) = (row.wrapped_key, ring.current.id().to_string());
        let draft = Draft {
            subject: Some(person),
            detail: Some("person's key".to_owned()),
            ..acting.draft(self.now(), Action::VaultKeyChanged)
        };
        let anew = picture.as_ref().map(|(anew, _)| *anew);
        let done = transact!(self.inner.database, "vault.renew", |conn| {
            let changed = sqlx::query(
                "UPDATE passport SET kek = $1, wrapped_key = $2, names = $3, birth = $4, documents = $5, contacts = $6
                 WHERE person = $7 AND wrapped_key = $8 AND changed_ms = $9",
            )
            .bind(&kek)
            .bind(&wrapped)
            .bind(&sealed[0])
            .bind(&sealed[1])
            .bind(&sealed[2])
            .bind(&sealed[3])
            .bind(&id)
            .bind(&before)
            .bind(row.changed_ms)
            .execute(&mut *conn)
            .await?
            .rows_affected();
            if changed == 0 {
                return Ok(false);
            }
            for (no, sealed) in &past_anew {
                sqlx::query("UPDATE passport_past SET sealed = $1 WHERE id = $2")
                    .bind(sealed)
                    .bind(no)
                    .execute(&mut *conn)
                    .await?;
            }
            if let Some((photo, blobs)) = anew {
                sqlx::query("UPDATE photo SET full_blob = $1, small_blob = $2 WHERE id = $3")
                    .bind(blobs.full.to_string())
                    .bind(blobs.small.to_string())
                    .bind(photo.to_string())
                    .execute(&mut *conn)
                    .await?;
            }
            audit::record!(conn, &draft);
            Ok(true)
        })?;
        match (done, picture) {
            (true, Some((_, old_blobs))) => self.discard(vec![old_blobs]).await,
            (false, Some(((_, blobs), _))) => {
                self.discard(vec![(blobs.full.to_string(), blobs.small.to_string())]).await;
            }
            (_, None) => {}
        }
        if done { Ok(()) } else { Err(VaultError::Interrupted) }
    }

    /// Seals a person's pictures anew, under new names beside the old ones.
    async fn renew_pictures(
        &self,
        person: &str,
        old: &Dek,
        new: &Dek,
    ) -> Result<Option<((PhotoId, Pair), (String, String))>, VaultError> {
        let found: Option<(String, String, String)> = read!(self.inner.database, "vault.renew", |conn| {
            Ok(sqlx::query_as("SELECT id, full_blob, small_blob FROM photo WHERE person = $1")
                .bind(person)
                .fetch_optional(&mut *conn)
                .await?)
        })?;
        let Some((id, full, small)) = found else { return Ok(None) };
        let bad = |error| store::Error::bad_row("photo", "id", error);
        let photo: PhotoId = id.parse().map_err(bad)?;
        let blobs = Pair::draw()?;
        for (size, from, to) in [(Size::Full, &full, blobs.full), (Size::Small, &small, blobs.small)] {
            let from: BlobId = from.parse().map_err(bad)?;
            let clear = photos::open(old, photo, size, self.inner.blobs.get(from).await?)?;
            self.inner.blobs.put(to, photos::seal(new, photo, size, &clear)?).await?;
        }
        Ok(Some(((photo, blobs), (full, small))))
    }
}
