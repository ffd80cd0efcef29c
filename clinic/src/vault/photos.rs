//! Photographs: prepared from what came, sealed under the person's key, kept as files with random names. A photograph
//! is stored only with consent; a pass works without one.

use std::fmt;
use std::str::FromStr;

use domain::vault::{Dek, Place, Sealed};
use domain::{Field, Permission, PersonId, UtcMillis};
use store::{read, sqlx, transact};
use zeroize::Zeroizing;

use super::look::may_see_people;
use super::{BlobId, Vault, VaultError, keys, picture};
use crate::acting::Acting;
use crate::audit::{self, Action, Draft};

/// A photograph's id: random, fit for an address.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PhotoId([u8; 16]);

impl PhotoId {
    /// A new one.
    pub(super) fn draw() -> Result<Self, VaultError> {
        Ok(Self(keys::random()?))
    }
}

impl fmt::Display for PhotoId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PhotoId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PhotoId {
    type Err = domain::ids::IdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<PersonId>().map(|id| Self(id.0))
    }
}

/// Which of the two pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// 600 by 800 pixels.
    Full,
    /// 150 by 200 pixels.
    Small,
}

/// Whether a person consented to a photograph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consent {
    /// There is one.
    Given(Photo),
    /// The person does not want one; the pass works without.
    Refused(UtcMillis),
    /// There is none, and nobody has asked.
    NotAsked,
}

/// A photograph that is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Photo {
    /// The id.
    pub id: PhotoId,
    /// When the person consented.
    pub consent_at: UtcMillis,
    /// When it was stored.
    pub made_at: UtcMillis,
}

/// A photograph that was stored less than this long ago may be on its way into the database, in milliseconds: an hour.
const SWEEP_AFTER_MS: u64 = 60 * 60 * 1000;

/// A row of `photo`.
type Row = (String, String, String, String, i64, i64);

impl Vault {
    /// Stores a person's photograph in place of an earlier one. `consent` is when the person agreed; without it nothing
    /// is stored. At most two pictures are prepared at a time, further ones wait.
    ///
    /// # Errors
    /// [`VaultError::Picture`], [`VaultError::NoConsent`], [`VaultError::Unknown`] for somebody without a passport.
    pub async fn put_photo(
        &self,
        acting: &Acting,
        person: PersonId,
        bytes: Vec<u8>,
        consent: Option<UtcMillis>,
    ) -> Result<PhotoId, VaultError> {
        acting.must(Permission::PersonEdit)?;
        let consent = consent.ok_or(VaultError::NoConsent)?;
        let ring = self.ring()?;
        let row = self.fetch(person, None).await?;
        let dek = ring.unwrap(person, row.wrapped()?)?;
        let prepared = {
            let turn = self.inner.pictures.acquire().await.map_err(|closed| VaultError::System(closed.to_string()))?;
            let work = tokio::task::spawn_blocking(move || picture::prepare(&bytes));
            let prepared = work.await.map_err(|stopped| VaultError::System(stopped.to_string()))?;
            drop(turn);
            prepared?
        };
        let id = PhotoId::draw()?;
        let blobs = Pair::draw()?;
        // The files first: a row never names a picture that is not there. What a crash leaves behind is swept.
        self.inner.blobs.put(blobs.full, seal(&dek, id, Size::Full, &prepared.full)?).await?;
        self.inner.blobs.put(blobs.small, seal(&dek, id, Size::Small, &prepared.small)?).await?;
        let now = self.now();
        let draft = Draft {
            subject: Some(person),
            fields: vec![Field::Photo],
            detail: Some("stored".to_owned()),
            ..acting.draft(now, Action::PhotoChanged)
        };
        let wrapped = row.wrapped_key;
        let before: Option<Vec<(String, String)>> = transact!(self.inner.database, "vault.put_photo", |conn| {
            let (key, person) = (id.to_string(), person.to_string());
            // Only under the key that sealed the files: it may have been changed or destroyed meanwhile.
            let changed = sqlx::query(
                "UPDATE passport SET photo = $1, photo_consent = 'given', consent_ms = $2
                 WHERE person = $3 AND shredded_ms IS NULL AND wrapped_key = $4",
            )
            .bind(&key)
            .bind(consent.0)
            .bind(&person)
            .bind(&wrapped)
            .execute(&mut *conn)
            .await?
            .rows_affected();
            if changed == 0 {
                return Ok(None);
            }
            let before: Vec<(String, String)> =
                sqlx::query_as("DELETE FROM photo WHERE person = $1 RETURNING full_blob, small_blob")
                    .bind(&person)
                    .fetch_all(&mut *conn)
                    .await?;
            sqlx::query(
                "INSERT INTO photo (id, person, full_blob, small_blob, consent_ms, made_ms)
                 VALUES ($1, $2, $3, $4, $5, $6)",
            )
            .bind(&key)
            .bind(&person)
            .bind(blobs.full.to_string())
            .bind(blobs.small.to_string())
            .bind(consent.0)
            .bind(now.0)
            .execute(&mut *conn)
            .await?;
            audit::record!(conn, &draft);
            Ok(Some(before))
        })?;
        match before {
            Some(before) => {
                self.discard(before).await;
                Ok(id)
            }
            None => {
                self.discard(vec![(blobs.full.to_string(), blobs.small.to_string())]).await;
                Err(VaultError::Interrupted)
            }
        }
    }

    /// A photograph as JPEG, if the role shows photographs. The look is recorded like that at a card: once in ten
    /// minutes for a session.
    ///
    /// # Errors
    /// [`VaultError::Unknown`] for an id that is nobody's, [`VaultError::NothingToShow`], [`VaultError::Locked`].
    pub async fn photo(&self, acting: &Acting, id: &PhotoId, size: Size) -> Result<Vec<u8>, VaultError> {
        may_see_people(acting)?;
        if !acting.rights.shows(Field::Photo) {
            return Err(VaultError::NothingToShow);
        }
        let ring = self.ring()?;
        let key = id.to_string();
        let found: Option<Row> = read!(self.inner.database, "vault.photo", |conn| {
            Ok(sqlx::query_as("SELECT id, person, full_blob, small_blob, consent_ms, made_ms FROM photo WHERE id = $1")
                .bind(&key)
                .fetch_optional(&mut *conn)
                .await?)
        })?;
        let (_, person, full, small, _, _) = found.ok_or(VaultError::Unknown)?;
        let bad = || VaultError::Store(store::Error::bad_row("photo", "person", "not an id"));
        let person: PersonId = person.parse().map_err(|_| bad())?;
        let blob: BlobId = match size {
            Size::Full => full.parse(),
            Size::Small => small.parse(),
        }
        .map_err(|_| bad())?;
        let now = self.now();
        let draft =
            Draft { subject: Some(person), fields: vec![Field::Photo], ..acting.draft(now, Action::PersonSeen) };
        let draft = (!self.has_seen_photo(acting, person, now)).then_some(draft);
        let row = self.fetch(person, draft).await?;
        self.remember_photo(acting, person, now);
        let dek = ring.unwrap(person, row.wrapped()?)?;
        let sealed = Sealed::from_bytes(self.inner.blobs.get(blob).await?)?;
        let mut clear = dek.open(place(size, &key), &sealed)?;
        Ok(std::mem::take(&mut *clear))
    }

    /// What is known of a person's photograph: its consent, or that the person refused one.
    ///
    /// # Errors
    /// [`VaultError::Unknown`] and engine errors.
    pub async fn photo_of(&self, acting: &Acting, person: PersonId) -> Result<Consent, VaultError> {
        acting.must(Permission::PersonSee)?;
        let person = person.to_string();
        let found: Option<(Option<String>, Option<i64>)> = read!(self.inner.database, "vault.photo_of", |conn| {
            Ok(sqlx::query_as("SELECT photo_consent, consent_ms FROM passport WHERE person = $1")
                .bind(&person)
                .fetch_optional(&mut *conn)
                .await?)
        })?;
        let photo: Option<(String, i64, i64)> = read!(self.inner.database, "vault.photo_of", |conn| {
            Ok(sqlx::query_as("SELECT id, consent_ms, made_ms FROM photo WHERE person = $1")
                .bind(&person)
                .fetch_optional(&mut *conn)
                .await?)
        })?;
        let (consent, at) = found.ok_or(VaultError::Unknown)?;
        Ok(match (photo, consent.as_deref(), at) {
            (Some((id, consent, made)), _, _) => {
                let id = id.parse().map_err(|error| store::Error::bad_row("photo", "id", error))?;
                Consent::Given(Photo { id, consent_at: UtcMillis(consent), made_at: UtcMillis(made) })
            }
            (None, Some("refused"), Some(at)) => Consent::Refused(UtcMillis(at)),
            (None, _, _) => Consent::NotAsked,
        })
    }

    /// Removes a person's photograph; `refused` says that the person does not want one.
    ///
    /// # Errors
    /// [`VaultError::Unknown`] and engine errors.
    pub async fn remove_photo(&self, acting: &Acting, person: PersonId, refused: bool) -> Result<(), VaultError> {
        acting.must(Permission::PersonEdit)?;
        let now = self.now();
        let detail = Some(if refused { "removed; refused" } else { "removed" }.to_owned());
        let draft = Draft {
            subject: Some(person),
            fields: vec![Field::Photo],
            detail,
            ..acting.draft(now, Action::PhotoChanged)
        };
        let (consent, at) = (refused.then_some("refused"), refused.then_some(now.0));
        let gone: Option<Vec<(String, String)>> = transact!(self.inner.database, "vault.remove_photo", |conn| {
            let person = person.to_string();
            let changed = sqlx::query(
                "UPDATE passport SET photo = NULL, photo_consent = $1, consent_ms = $2
                 WHERE person = $3 AND shredded_ms IS NULL",
            )
            .bind(consent)
            .bind(at)
            .bind(&person)
            .execute(&mut *conn)
            .await?
            .rows_affected();
            if changed == 0 {
                return Ok(None);
            }
            let gone = sqlx::query_as("DELETE FROM photo WHERE person = $1 RETURNING full_blob, small_blob")
                .bind(&person)
                .fetch_all(&mut *conn)
                .await?;
            audit::record!(conn, &draft);
            Ok(Some(gone))
        })?;
        self.discard(gone.ok_or(VaultError::Unknown)?).await;
        Ok(())
    }

    /// Removes pictures that no row names, left behind when the program ended between file and row. To be called once a
    /// day; returns how many there were.
    ///
    /// # Errors
    /// [`VaultError::Blob`] and engine errors.
    pub async fn sweep_photos(&self) -> Result<usize, VaultError> {
        let mut swept = 0;
        for blob in self.inner.blobs.list(SWEEP_AFTER_MS).await? {
            let name = blob.to_string();
            let named: i64 = read!(self.inner.database, "vault.sweep", |conn| {
                Ok(sqlx::query_scalar("SELECT COUNT(*) FROM photo WHERE full_blob = $1 OR small_blob = $1")
                    .bind(&name)
                    .fetch_one(&mut *conn)
                    .await?)
            })?;
            if named == 0 {
                self.inner.blobs.remove(blob).await?;
                swept += 1;
            }
        }
        Ok(swept)
    }

    /// Removes pictures whose rows are gone. One that cannot be removed now is found by the sweep.
    pub(super) async fn discard(&self, pairs: Vec<(String, String)>) {
        for name in pairs.into_iter().flat_map(|(full, small)| [full, small]) {
            let Ok(blob) = name.parse() else { continue };
            if let Err(error) = self.inner.blobs.remove(blob).await {
                tracing::warn!(%error, "vault.photo.not_removed");
            }
        }
    }
}

/// Two new names.
#[derive(Clone, Copy)]
pub(super) struct Pair {
    pub full: BlobId,
    pub small: BlobId,
}

impl Pair {
    pub fn draw() -> Result<Self, VaultError> {
        Ok(Self { full: BlobId::new(keys::random()?), small: BlobId::new(keys::random()?) })
    }
}

fn place(size: Size, id: &str) -> Place<'_> {
    let column = match size {
        Size::Full => "full_blob",
        Size::Small => "small_blob",
    };
    Place { table: "photo", column, row: id }
}

pub(super) fn seal(dek: &Dek, id: PhotoId, size: Size, clear: &[u8]) -> Result<Vec<u8>, VaultError> {
    let row = id.to_string();
    Ok(dek.seal(place(size, &row), keys::nonce()?, clear).into_bytes())
}

pub(super) fn open(dek: &Dek, id: PhotoId, size: Size, sealed: Vec<u8>) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let row = id.to_string();
    Ok(dek.open(place(size, &row), &Sealed::from_bytes(sealed)?)?)
}
