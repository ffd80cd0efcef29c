//! Opens the identity vault as the configuration says.

use std::path::Path;

use anyhow::Context;
use clinic::vault::blobs::S3Place;
use clinic::vault::{Blobs, KeySource, Vault, VaultState};
use domain::Clock;
use store::Database;

use crate::config::Config;
use crate::config::trust::{PhotoPlace, VaultKey, VaultMode};
use crate::keys;

/// The vault, open if its key is at hand; a locked vault is no error, people are then pseudonyms. Erased persons are
/// looked for and erased again: a restored copy of the database brings nobody back.
pub async fn open(config: &Config, database: &Database, clock: &Clock) -> anyhow::Result<Vault> {
    keys::private_folder(&config.data.join("keys"))?;
    let mut places = vec![config.data.join("shredded.log")];
    places.extend(config.vault.shredded_copy.clone());
    let vault = Vault::new(database.clone(), clock.clone(), blobs(&config.vault.photos)?, source(config));
    let vault = vault.remembering(places);
    if let VaultState::Locked(why) = vault.start().await.context("the identity vault cannot be opened")? {
        tracing::warn!(%why, "vault.locked");
    }
    Ok(vault)
}

fn source(config: &Config) -> KeySource {
    match (config.vault.mode, &config.vault.key) {
        (VaultMode::Workstation, _) => KeySource::Workstation,
        (VaultMode::Server, VaultKey::Own) => KeySource::Own(config.data.join("keys/vault.key")),
        (VaultMode::Server, VaultKey::File(path)) => KeySource::File(path.clone()),
        (VaultMode::Server, VaultKey::Passphrase(file)) => KeySource::Passphrase(file.clone()),
    }
}

fn blobs(place: &PhotoPlace) -> anyhow::Result<Blobs> {
    match place {
        PhotoPlace::Folder(folder) => Ok(Blobs::folder(Path::new(folder))),
        PhotoPlace::S3(bucket) => Ok(Blobs::s3(&S3Place {
            endpoint: bucket.endpoint.clone(),
            bucket: bucket.bucket.clone(),
            prefix: bucket.prefix.clone(),
            region: bucket.region.clone(),
            key_id: bucket.key_id.clone(),
            secret: bucket.secret.clone(),
            ca: bucket.ca.clone(),
        })?),
    }
}
