//! Photographs that a browser decoded, drew anew and sealed: two boxes, kept where all pictures are kept.

use domain::vault::KeyId;
use domain::{Field, Permission, PersonId, UtcMillis};
use store::{read, sqlx, transact};

use super::{LocalError, LocalRefused, boxed};
use crate::acting::Acting;
use crate::audit::{self, Action, Draft, Purpose};
use crate::vault::look::known_as;
use crate::vault::rows::Row;
use crate::vault::{BlobId, PhotoId, Size, Vault, VaultError, keys};

/// Largest sealed photograph of 600×800 pixels, in bytes.
pub const FULL_MAX_BYTES: usize = 512 * 1024;
/// Largest sealed photograph of 150×200 pixels, in bytes.
pub const SMALL_MAX_BYTES: usize = 64 * 1024;

/// A photograph as a browser sealed it, form checked.
#[derive(Debug, Clone)]
pub struct LocalPhoto {
    id: PhotoId,
    by: KeyId,
    full: Vec<u8>,
    small: Vec<u8>,
}

impl LocalPhoto {
    /// Takes the id that the browser drew and the two boxes.
    ///
    /// # Errors
    /// [`LocalRefused::Form`].
    pub fn new(id: PhotoId, full: Vec<u8>, small: Vec<u8>) -> Result<Self, LocalRefused> {
        let full = boxed(full, FULL_MAX_BYTES, "the photograph")?;
        let small = boxed(small, SMALL_MAX_BYTES, "the small photograph")?;
        if full.key_id() != small.key_id() {
            return Err(LocalRefused::Form("the small photograph"));
        }
        Ok(Self { id, by: full.key_id(), full: full.into_bytes(), small: small.into_bytes() })
    }
}

impl Vault {
    /// Stores a sealed photograph in place of an earlier one. `consent` is when the person agreed.
    ///
    /// # Errors
    /// [`VaultError::NoConsent`], [`VaultError::Unknown`] for a person whose passport no workstation has sealed,
    /// [`LocalRefused::Form`] for one sealed with another person's key, and others.
    pub async fn local_put_photo(
        &self,
        acting: &Acting,
        person: PersonId,
        photo: LocalPhoto,
        consent: Option<UtcMillis>,
    ) -> Result<(), LocalError> {
        acting.must(Permission::PersonEdit)?;
        let consent = consent.ok_or(VaultError::NoConsent)?;
        let now = self.now();
        let row = self.fetch(person, None).await?;
        if let Some(at) = row.shredded_ms {
            return Err(VaultError::Erased(UtcMillis(at)).into());
        }
        let key = row.names.as_ref().and_then(|sealed| domain::vault::Sealed::from_bytes(sealed.clone()).ok());
        if row.mode != "local" {
            return Err(VaultError::Unknown.into());
        }
        if key.is_some_and(|sealed| sealed.key_id() != photo.by) {
            return Err(LocalRefused::Form("the photograph").into());
        }
        // The files first: a row without its file would be a lie, a file without its row is swept away.
        let (full, small) = (BlobId::new(keys::random()?), BlobId::new(keys::random()?));
        self.inner.blobs.put(full, photo.full).await.map_err(VaultError::from)?;
        self.inner.blobs.put(small, photo.small).await.map_err(VaultError::from)?;
        let (id, subject) = (photo.id.to_string(), person.to_string());
        let draft = Draft {
            subject: Some(person),
            fields: vec![Field::Photo],
            detail: Some("sealed box".to_owned()),
            ..acting.draft(now, Action::PhotoChanged)
        };
        let before: Vec<(String, String)> = transact!(self.inner.database, "local.put_photo", |conn| {
            let before = sqlx::query_as("SELECT full_blob, small_blob FROM photo WHERE person = $1")
                .bind(&subject)
                .fetch_all(&mut *conn)
                .await?;
            sqlx::query("DELETE FROM photo WHERE person = $1").bind(&subject).execute(&mut *conn).await?;
            sqlx::query(
                "INSERT INTO photo (id, person, full_blob, small_blob, consent_ms, made_ms)
                 VALUES ($1, $2, $3, $4, $5, $6)",
            )
            .bind(&id)
            .bind(&subject)
            .bind(full.to_string())
            .bind(small.to_string())
            .bind(consent.0)
            .bind(now.0)
            .execute(&mut *conn)
            .await?;
            sqlx::query("UPDATE passport SET photo = $1, photo_consent = 'given', consent_ms = $2 WHERE person = $3")
                .bind(&id)
                .bind(consent.0)
                .bind(&subject)
                .execute(&mut *conn)
                .await?;
            audit::record!(conn, &draft);
            Ok(before)
        })?;
        for blob in before.iter().flat_map(|(full, small)| [full, small]).filter_map(|name| name.parse().ok()) {
            // What cannot be removed now is swept away later.
            let _ = self.inner.blobs.remove(blob).await;
        }
        Ok(())
    }

    /// Hands out a sealed photograph, with whose it is and the person's wrapped key. Recorded as a look; again within
    /// ten minutes by the same session is one entry.
    ///
    /// # Errors
    /// [`VaultError::Unknown`] for an id that is nobody's, [`VaultError::NothingToShow`], and others.
    pub async fn local_photo(
        &self,
        acting: &Acting,
        id: &PhotoId,
        size: Size,
        purpose: Purpose,
    ) -> Result<Vec<u8>, VaultError> {
        let ways = [Permission::PersonSee, Permission::LiveWatch];
        if !ways.iter().any(|way| acting.rights.allows(*way)) {
            return Err(domain::Denied(Permission::PersonSee).into());
        }
        if !acting.rights.shows(Field::Photo) {
            return Err(VaultError::NothingToShow);
        }
        let name = id.to_string();
        let found: Option<(String, String, String)> = read!(self.inner.database, "local.photo", |conn| {
            Ok(sqlx::query_as("SELECT person, full_blob, small_blob FROM photo WHERE id = $1")
                .bind(&name)
                .fetch_optional(&mut *conn)
                .await?)
        })?;
        let (person, full, small) = found.ok_or(VaultError::Unknown)?;
        let person: PersonId = person.parse().map_err(|_| VaultError::Unknown)?;
        let now = self.now();
        let look = (known_as(acting), person, 32);
        let draft = (!self.is_repeated(&look, now)).then(|| Draft {
            subject: Some(person),
            fields: vec![Field::Photo],
            purpose: Some(purpose),
            detail: Some("sealed box".to_owned()),
            ..acting.draft(now, Action::PersonSeen)
        });
        let row: Row = self.fetch(person, draft).await?;
        self.remember(vec![look], now);
        if row.mode != "local" || row.shredded_ms.is_some() {
            return Err(VaultError::Unknown);
        }
        let blob = if size == Size::Full { full } else { small };
        Ok(self.inner.blobs.get(blob.parse().map_err(|_| VaultError::Unknown)?).await?)
    }
}
