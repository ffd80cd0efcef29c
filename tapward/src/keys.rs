//! Keys of the site that Tapward makes for itself at the first start, in the data folder, mode 0600.
//!
//! `card.key` makes pseudonyms of card numbers, `pin.key` hashes of PINs and `numbers.key` seals numbers for devices that
//! must be told them: every gateway of a site and whoever imports people must have the same files. `accounts.key` seals
//! what belongs to accounts and to other systems (keys of the OpenID provider, topics of FHIRcast), `vault.key` locks the identity vault, `audit.key` signs heads of the audit log: bridge and
//! pages need them. Keep a copy of all in a safe place.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use anyhow::{Context, bail};
use clinic::audit::HeadKey;
use domain::card::{CardKey, SealKey};
use domain::pin::PinKey;
use domain::vault::BoxKey;
use gateway::core::SiteKeys;
use zeroize::Zeroizing;

use crate::config::{parse_key32, read_secret};

/// Makes a folder that only its owner may enter, with those above it.
pub fn private_folder(path: &Path) -> anyhow::Result<()> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.with_context(|| format!("the folder {} cannot be made", path.display()))
}

/// The site's keys, made if they are not there yet.
pub fn site_keys(data: &Path) -> anyhow::Result<SiteKeys> {
    let folder = data.join("keys");
    private_folder(&folder)?;
    Ok(SiteKeys {
        card: CardKey::new(*key32(&folder.join("card.key"))?),
        pin: PinKey::new(*key32(&folder.join("pin.key"))?),
        numbers: SealKey::new(*key32(&folder.join("numbers.key"))?),
    })
}

/// The key that seals what belongs to accounts: shown names, addresses for notices, secrets of second factors.
pub fn accounts_key(data: &Path) -> anyhow::Result<BoxKey> {
    let folder = data.join("keys");
    private_folder(&folder)?;
    Ok(BoxKey::new(*key32(&folder.join("accounts.key"))?))
}

/// The key that signs heads of the audit log.
pub fn audit_key(data: &Path) -> anyhow::Result<HeadKey> {
    let folder = data.join("keys");
    private_folder(&folder)?;
    Ok(HeadKey::from_seed(&*key32(&folder.join("audit.key"))?)?)
}

fn key32(path: &Path) -> anyhow::Result<Zeroizing<[u8; 32]>> {
    if !path.exists() {
        let mut key = Zeroizing::new([0_u8; 32]);
        random(&mut *key)?;
        place_secret(path, &hex(&*key))?;
    }
    let text = read_secret(path).map_err(anyhow::Error::msg)?;
    match parse_key32(text.trim()) {
        Some(key) => Ok(Zeroizing::new(key)),
        None => bail!("{} does not hold 64 hexadecimal digits; restore it from a copy", path.display()),
    }
}

/// Random bytes of the operating system.
pub fn random(bytes: &mut [u8]) -> anyhow::Result<()> {
    getrandom::fill(bytes).map_err(|error| anyhow::anyhow!("the operating system gives no random bytes: {error}"))
}

/// Writes a new file that only its owner may read; never overwrites.
pub fn write_secret(path: &Path, text: &str) -> anyhow::Result<()> {
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(text.as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()
    };
    write().with_context(|| format!("{} cannot be written", path.display()))
}

/// Puts a new secret in its place, unless another program that starts at the same moment was quicker: then its secret
/// counts. Nobody ever sees half of it.
fn place_secret(path: &Path, text: &str) -> anyhow::Result<()> {
    let mine = path.with_extension(format!("new-{}", std::process::id()));
    match fs::remove_file(&mine) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("{} cannot be removed", mine.display()));
        }
        // Nothing there, or a leftover of a program that was killed here.
        _ => write_secret(&mine, text)?,
    }
    let placed = fs::hard_link(&mine, path);
    fs::remove_file(&mine).with_context(|| format!("{} cannot be removed", mine.display()))?;
    match placed {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(error).with_context(|| format!("{} cannot be made", path.display()))
        }
        _ => Ok(()),
    }
}

/// Lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> Zeroizing<String> {
    Zeroizing::new(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
