//! Opening and locking: the key is fetched from its source and compared with what the database knows of it; the first
//! key that a new vault sees becomes its own.

use std::sync::Arc;
use std::time::Duration;

use domain::vault::{IndexKey, KEY_BYTES, Kek, KeyId, Place, Sealed};
use domain::{Permission, UtcMillis};
use store::{read, sqlx, transact};
use zeroize::Zeroizing;

use super::keys::{self, Recipe};
use super::ring::Ring;
use super::{KeySource, Locked, Passphrase, Vault, VaultError, VaultState};
use crate::acting::Acting;
use crate::audit::{self, Action, Draft, Outcome};

/// How often a missing or changed key file is looked for.
const WATCH_EVERY: Duration = Duration::from_secs(2);

/// Between two steps of a change of keys.
const STEP_PAUSE: Duration = Duration::from_millis(5);
/// How often pictures that no row names are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(24 * 60 * 60);

/// A row of `vault_key`: id, state, salt, cost, former.
type KeyRow = (String, String, Option<String>, Option<String>, Option<Vec<u8>>);

/// What the database knows of the keys.
struct Known {
    keys: Vec<KeyRow>,
    indexes: Vec<(String, String, Vec<u8>)>,
}

impl Known {
    fn current(&self) -> Option<&KeyRow> {
        self.keys.iter().find(|(_, state, ..)| state == "current")
    }
}

impl Vault {
    /// Opens the vault if its key is at hand, and applies the list of erased persons: a restored backup must not bring
    /// anybody back. A vault that stays locked is a state, not an error; so is one whose list of erased persons is
    /// damaged: it is locked until the list is whole and the program starts again.
    ///
    /// # Errors
    /// The database, or a key file that cannot be made.
    pub async fn start(&self) -> Result<VaultState, VaultError> {
        if let KeySource::Own(path) = &self.inner.source
            && !path.exists()
            && self.known().await?.current().is_none()
        {
            keys::ensure_key_file(path)?;
        }
        self.try_open().await?;
        if !self.inner.shred_places.is_empty() {
            match self.reapply(&Acting::system()).await {
                Ok(_) => {}
                Err(error @ (VaultError::ShredList(_) | VaultError::File { .. })) => {
                    // Who was erased is not known for certain, so nobody is shown.
                    tracing::error!(%error, "vault.shredded.damaged");
                    let why = Some("the list of erased persons is damaged".to_owned());
                    let draft = Draft { outcome: Outcome::Failed, detail: why, ..self.opened_draft() };
                    self.record(draft).await?;
                    self.hold(Err(Locked::ListDamaged));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(self.state())
    }

    /// Watches the key's medium for ever: locks the vault when it is taken out, opens it when it is back, takes notice
    /// when another program has changed the key, goes on with a change of keys that is under way, and once a day
    /// removes pictures that no row names. To be run as a task beside the pages.
    pub async fn watch(self) {
        let mut swept: Option<tokio::time::Instant> = None;
        loop {
            tokio::time::sleep(WATCH_EVERY).await;
            if let Err(error) = self.look_at_key().await {
                tracing::warn!(%error, "vault.watch.failed");
            }
            while self.ring().is_ok_and(|ring| ring.is_changing()) {
                if let Err(error) = self.rotate_step().await {
                    tracing::warn!(%error, "vault.rotate.failed");
                    break;
                }
                // Others write between the steps.
                tokio::time::sleep(STEP_PAUSE).await;
            }
            if swept.is_none_or(|at| at.elapsed() >= SWEEP_EVERY) {
                match self.sweep_photos().await {
                    Ok(0) => {}
                    Ok(count) => tracing::info!(count, "vault.photos.swept"),
                    Err(error) => tracing::warn!(%error, "vault.photos.not_swept"),
                }
                swept = Some(tokio::time::Instant::now());
            }
        }
    }

    async fn look_at_key(&self) -> Result<(), VaultError> {
        match (&self.inner.source, self.state()) {
            (KeySource::File(path), VaultState::Open { .. }) if !path.exists() => {
                self.hold(Err(Locked::KeyAbsent));
                tracing::warn!("vault.locked.key_absent");
                let draft = Draft { detail: Some("key absent".to_owned()), ..self.opened_draft() };
                self.record(draft).await
            }
            (KeySource::Own(_) | KeySource::File(_), VaultState::Locked(reason))
                if !matches!(reason, Locked::ByHand | Locked::ListDamaged) =>
            {
                self.try_open().await
            }
            (_, VaultState::Open { key, .. }) => {
                let current = self.known().await?.current().map(|row| row.0.clone());
                if current.is_some_and(|current| current != key.to_string()) {
                    self.hold(Err(Locked::WrongKey));
                    self.try_open().await?;
                }
                Ok(())
            }
            (_, VaultState::Locked(_)) => Ok(()),
        }
    }

    /// Writes an entry of the audit log by itself.
    pub(super) async fn record(&self, draft: Draft) -> Result<(), VaultError> {
        transact!(self.inner.database, "vault.record", |conn| {
            audit::record!(conn, &draft);
            Ok(())
        })?;
        Ok(())
    }

    fn opened_draft(&self) -> Draft {
        Acting::system().draft(self.now(), Action::VaultOpened)
    }

    /// Fetches the key from its source, without a person's help.
    async fn try_open(&self) -> Result<(), VaultError> {
        let _turn = self.inner.turn.lock().await;
        let before = self.state();
        let outcome = match &self.inner.source {
            KeySource::Workstation => Err(Locked::Workstation.into()),
            KeySource::Own(path) | KeySource::File(path) => {
                let path = path.clone();
                match tokio::task::spawn_blocking(move || keys::read_key_file(&path)).await {
                    Ok(Ok(keys)) => self.open_with_any(keys.iter().map(|key| Kek::new(**key)).collect()).await,
                    Ok(Err(locked)) => Err(locked.into()),
                    Err(stopped) => Err(VaultError::System(stopped.to_string())),
                }
            }
            KeySource::Passphrase(None) => {
                let known = self.known().await?;
                let waiting =
                    if known.current().is_some() { Locked::PassphraseNeeded } else { Locked::NoPassphraseYet };
                Err(waiting.into())
            }
            KeySource::Passphrase(Some(path)) => match std::fs::read_to_string(path).map(Zeroizing::new) {
                Ok(text) => self.open_by(Passphrase::new(&text), true).await,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(Locked::KeyAbsent.into()),
                Err(_) => Err(Locked::KeyUnreadable.into()),
            },
        };
        match outcome {
            Ok(ring) => {
                tracing::info!(key = %ring.current.id(), "vault.opened");
                self.hold(Ok(Arc::new(ring)));
                self.record(self.opened_draft()).await
            }
            Err(VaultError::Locked(reason)) => {
                if before != VaultState::Locked(reason) {
                    tracing::warn!(%reason, "vault.locked");
                }
                self.hold(Err(reason));
                Ok(())
            }
            Err(VaultError::WrongPassphrase) => {
                self.hold(Err(Locked::WrongKey));
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Opens the vault by what somebody typed. For a vault that has no passphrase yet see [`Vault::set_passphrase`].
    ///
    /// # Errors
    /// [`VaultError::WrongPassphrase`], [`VaultError::OtherSource`] and others.
    pub async fn unlock(&self, acting: &Acting, passphrase: Passphrase) -> Result<(), VaultError> {
        acting.must(Permission::VaultManage)?;
        if !matches!(self.inner.source, KeySource::Passphrase(_)) {
            return Err(VaultError::OtherSource);
        }
        let _turn = self.inner.turn.lock().await;
        let draft = acting.draft(self.now(), Action::VaultOpened);
        match self.open_by(passphrase, false).await {
            Ok(ring) => {
                self.record(draft).await?;
                self.hold(Ok(Arc::new(ring)));
                Ok(())
            }
            Err(error) => {
                self.record(Draft { outcome: Outcome::Failed, ..draft }).await?;
                Err(error)
            }
        }
    }

    /// Sets the passphrase of a new vault and opens it.
    ///
    /// # Errors
    /// [`VaultError::WeakPassphrase`]; [`VaultError::AlreadyChanging`] if there is one.
    pub async fn set_passphrase(&self, acting: &Acting, passphrase: Passphrase) -> Result<(), VaultError> {
        acting.must(Permission::VaultManage)?;
        if !matches!(self.inner.source, KeySource::Passphrase(_)) {
            return Err(VaultError::OtherSource);
        }
        passphrase.check()?;
        let _turn = self.inner.turn.lock().await;
        if self.known().await?.current().is_some() {
            return Err(VaultError::AlreadyChanging);
        }
        let ring = self.open_by(passphrase, true).await?;
        self.record(acting.draft(self.now(), Action::VaultOpened)).await?;
        self.hold(Ok(Arc::new(ring)));
        Ok(())
    }

    /// Opens the vault from its file again, after it was locked by hand.
    ///
    /// # Errors
    /// As [`Vault::start`].
    pub async fn reopen(&self, acting: &Acting) -> Result<VaultState, VaultError> {
        acting.must(Permission::VaultManage)?;
        self.try_open().await?;
        Ok(self.state())
    }

    /// Forgets the keys until somebody opens the vault again.
    ///
    /// # Errors
    /// The database.
    pub async fn lock(&self, acting: &Acting) -> Result<(), VaultError> {
        acting.must(Permission::VaultManage)?;
        let draft = Draft { detail: Some("locked".to_owned()), ..acting.draft(self.now(), Action::VaultOpened) };
        self.record(draft).await?;
        self.hold(Err(Locked::ByHand));
        Ok(())
    }

    /// One of the keys of a file: the one that the database calls current, or for a new vault the first.
    async fn open_with_any(&self, keys: Vec<Kek>) -> Result<Ring, VaultError> {
        let known = self.known().await?;
        let fitting = match known.current() {
            Some((id, ..)) => keys.into_iter().find(|key| key.id().to_string() == *id),
            None => keys.into_iter().next(),
        };
        let kek = fitting.ok_or(Locked::WrongKey)?;
        self.open_with(kek, known, None).await
    }

    async fn open_by(&self, passphrase: Passphrase, may_be_first: bool) -> Result<Ring, VaultError> {
        let known = self.known().await?;
        let recipe = match known.current() {
            None if may_be_first => {
                passphrase.check()?;
                None
            }
            None => return Err(Locked::NoPassphraseYet.into()),
            Some((_, _, Some(salt), Some(cost), _)) => Some(Recipe { salt: salt.clone(), cost: cost.clone() }),
            Some(_) => return Err(VaultError::OtherSource),
        };
        let (kek, recipe) = keys::derive(passphrase, recipe).await?;
        match self.open_with(kek, known, Some(recipe)).await {
            Err(VaultError::Locked(Locked::WrongKey)) => Err(VaultError::WrongPassphrase),
            done => done,
        }
    }

    async fn open_with(&self, kek: Kek, known: Known, recipe: Option<Recipe>) -> Result<Ring, VaultError> {
        let now = self.now();
        if known.current().is_none() {
            self.found(&kek, recipe, now).await?;
        }
        self.assemble(kek).await
    }

    /// The keys that belong to `kek`, from the database as it is now.
    pub(super) async fn assemble(&self, kek: Kek) -> Result<Ring, VaultError> {
        let known = self.known().await?;
        if known.current().is_none_or(|(id, ..)| *id != kek.id().to_string()) {
            return Err(Locked::WrongKey.into());
        }
        let mut former = Vec::new();
        for (id, _, _, _, sealed) in known.keys.iter().filter(|(_, state, ..)| state == "former") {
            let id: KeyId = id.parse()?;
            let sealed = sealed.clone().ok_or_else(|| store::Error::bad_row("vault_key", "former", "nothing there"))?;
            former.push(kek.unwrap_former(id, &Sealed::from_bytes(sealed)?)?);
        }
        let mut index = Vec::new();
        for (id, _, sealed) in &known.indexes {
            index.push(open_index(&kek, id, sealed)?);
        }
        Ok(Ring { current: kek, former, index, since: self.now() })
    }

    /// Makes `kek` the key of a vault that has none; whoever comes first wins.
    async fn found(&self, kek: &Kek, recipe: Option<Recipe>, now: UtcMillis) -> Result<(), VaultError> {
        let index = IndexKey::new(keys::random::<KEY_BYTES>()?);
        let (id, index_id) = (kek.id().to_string(), index.id().to_string());
        let sealed = seal_index(kek, &index)?;
        let source = self.inner.source.word();
        let (salt, cost) = recipe.map(|recipe| (recipe.salt, recipe.cost)).unzip();
        transact!(self.inner.database, "vault.found", |conn| {
            // Serialises the first start of several programs.
            sqlx::query("UPDATE counter SET value = value WHERE name = 'passport'").execute(&mut *conn).await?;
            let there: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM vault_key").fetch_one(&mut *conn).await?;
            if there > 0 {
                return Ok(());
            }
            sqlx::query(
                "INSERT INTO vault_key (id, state, source, salt, cost, made_ms)
                 VALUES ($1, 'current', $2, $3, $4, $5)",
            )
            .bind(&id)
            .bind(source)
            .bind(&salt)
            .bind(&cost)
            .bind(now.0)
            .execute(&mut *conn)
            .await?;
            sqlx::query("INSERT INTO vault_index (id, state, sealed, made_ms) VALUES ($1, 'current', $2, $3)")
                .bind(&index_id)
                .bind(&sealed)
                .bind(now.0)
                .execute(&mut *conn)
                .await?;
            Ok(())
        })?;
        Ok(())
    }

    async fn known(&self) -> Result<Known, VaultError> {
        let keys = read!(self.inner.database, "vault.keys", |conn| {
            Ok(sqlx::query_as("SELECT id, state, salt, cost, former FROM vault_key ORDER BY made_ms DESC, id")
                .fetch_all(&mut *conn)
                .await?)
        })?;
        let indexes = read!(self.inner.database, "vault.keys", |conn| {
            Ok(sqlx::query_as("SELECT id, state, sealed FROM vault_index ORDER BY state, made_ms DESC, id")
                .fetch_all(&mut *conn)
                .await?)
        })?;
        Ok(Known { keys, indexes })
    }
}

/// Seals the index's key under the vault's.
pub(super) fn seal_index(kek: &Kek, index: &IndexKey) -> Result<Vec<u8>, VaultError> {
    let row = index.id().to_string();
    let place = Place { table: "vault_index", column: "sealed", row: &row };
    Ok(kek.seal(place, keys::nonce()?, index.reveal()).into_bytes())
}

fn open_index(kek: &Kek, id: &str, sealed: &[u8]) -> Result<IndexKey, VaultError> {
    let place = Place { table: "vault_index", column: "sealed", row: id };
    let clear = kek.open(place, &Sealed::from_bytes(sealed.to_vec())?)?;
    let bytes: [u8; KEY_BYTES] =
        clear.as_slice().try_into().map_err(|_| store::Error::bad_row("vault_index", "sealed", "not a key"))?;
    Ok(IndexKey::new(bytes))
}
