//! Where the vault's key comes from: a file, possibly on a medium that is taken out, or a passphrase.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use argon2::{Algorithm, Argon2, Params, Version};
use domain::vault::{KEY_BYTES, Kek, Nonce};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{Locked, VaultError};

/// Shortest passphrase, in characters.
const PASSPHRASE_MIN_CHARS: usize = 16;
/// Longest passphrase, in bytes: Argon2 takes more, people do not.
const PASSPHRASE_MAX_BYTES: usize = 1024;
/// Longest key file, in bytes: two keys and line ends, with room for a comment.
const KEY_FILE_MAX_BYTES: u64 = 1024;
/// Random bytes of salt.
const SALT_BYTES: usize = 16;
/// Argon2id's memory in KiB and passes, for new keys: a key of a whole clinic may cost more than a sign-in.
const MEMORY_KIB: u32 = 64 * 1024;
const PASSES: u32 = 3;
/// The highest stored cost that we accept: more would let a forged row stall the start.
const MEMORY_KIB_MAX: u32 = 1024 * 1024;
const PASSES_MAX: u32 = 16;

/// Where the vault's key comes from.
#[derive(Debug, Clone)]
pub enum KeySource {
    /// A file in the data folder, made at the first start.
    Own(PathBuf),
    /// A file that somebody else made, possibly on a medium that is taken out: then the vault is locked.
    File(PathBuf),
    /// A passphrase, read from this file at the start if there is one, else typed.
    Passphrase(Option<PathBuf>),
    /// None: passports are sealed by workstations.
    Workstation,
}

impl KeySource {
    /// The word that the database remembers.
    pub(super) const fn word(&self) -> &'static str {
        match self {
            Self::Own(_) | Self::File(_) => "file",
            Self::Passphrase(_) => "passphrase",
            Self::Workstation => "workstation",
        }
    }
}

/// What somebody typed. Wiped when dropped, never printed.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Passphrase(String);

impl Passphrase {
    /// Takes a text; line ends behind it, as files have them, do not count.
    pub fn new(text: &str) -> Self {
        Self(text.trim_end_matches(['\r', '\n']).to_owned())
    }

    /// Whether it is hard enough to guess to become a key.
    ///
    /// # Errors
    /// [`VaultError::WeakPassphrase`].
    pub fn check(&self) -> Result<(), VaultError> {
        let long = self.0.chars().count() >= PASSPHRASE_MIN_CHARS && self.0.len() <= PASSPHRASE_MAX_BYTES;
        let start: String = self.0.chars().take(100).collect();
        let strong = long && zxcvbn::zxcvbn(&start, &["tapward", "vault"]).score() >= zxcvbn::Score::Four;
        if strong { Ok(()) } else { Err(VaultError::WeakPassphrase) }
    }

    /// The key that this passphrase gives with `salt` at `cost`. Takes some tenths of a second and much memory: call it
    /// where that may wait.
    fn derive(&self, salt: &[u8], cost: Cost) -> Result<Kek, VaultError> {
        if self.0.len() > PASSPHRASE_MAX_BYTES {
            return Err(VaultError::WrongPassphrase);
        }
        let params = Params::new(cost.memory_kib, cost.passes, 1, Some(KEY_BYTES))
            .map_err(|error| VaultError::System(format!("the stored cost of the passphrase: {error}")))?;
        let mut key = Zeroizing::new([0_u8; KEY_BYTES]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(self.0.as_bytes(), salt, &mut *key)
            .map_err(|error| VaultError::System(format!("the passphrase cannot become a key: {error}")))?;
        Ok(Kek::new(*key))
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(redacted)")
    }
}

/// What Argon2id is asked for; stored beside the salt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cost {
    memory_kib: u32,
    passes: u32,
}

impl Cost {
    const TODAY: Self = Self { memory_kib: MEMORY_KIB, passes: PASSES };

    fn parse(text: &str) -> Option<Self> {
        let (memory, passes) = text.strip_prefix("argon2id m=")?.split_once(" t=")?;
        let (memory_kib, passes) = (memory.parse().ok()?, passes.parse().ok()?);
        let sound = (8..=MEMORY_KIB_MAX).contains(&memory_kib) && (1..=PASSES_MAX).contains(&passes);
        sound.then_some(Self { memory_kib, passes })
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "argon2id m={} t={}", self.memory_kib, self.passes)
    }
}

/// How a passphrase became a key, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Recipe {
    pub salt: String,
    pub cost: String,
}

/// Derives a key on a thread that may wait; with a new salt if no recipe is given.
pub(super) async fn derive(passphrase: Passphrase, recipe: Option<Recipe>) -> Result<(Kek, Recipe), VaultError> {
    let (salt, cost) = match &recipe {
        Some(recipe) => {
            let bad = || VaultError::Store(store::Error::bad_row("vault_key", "cost", "not a cost of Argon2id"));
            (from_hex(&recipe.salt).ok_or_else(bad)?, Cost::parse(&recipe.cost).ok_or_else(bad)?)
        }
        None => (random::<SALT_BYTES>()?.to_vec(), Cost::TODAY),
    };
    let recipe = Recipe { salt: to_hex(&salt), cost: cost.to_string() };
    let job = tokio::task::spawn_blocking(move || passphrase.derive(&salt, cost));
    let kek = job.await.map_err(|stopped| VaultError::System(stopped.to_string()))??;
    Ok((kek, recipe))
}

/// Reads the keys of a file: one, or two while the key is being changed.
pub(super) fn read_key_file(path: &Path) -> Result<Vec<Zeroizing<[u8; KEY_BYTES]>>, Locked> {
    let file = match File::open(path) {
        Ok(file) => file,
        // A medium that was pulled out answers with many different errors; its folder is what tells.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(Locked::KeyAbsent),
        Err(_) => return Err(Locked::KeyUnreadable),
    };
    let mut text = Zeroizing::new(String::with_capacity(KEY_FILE_MAX_BYTES as usize + 1));
    file.take(KEY_FILE_MAX_BYTES + 1).read_to_string(&mut text).map_err(|_| Locked::KeyUnreadable)?;
    if text.len() as u64 > KEY_FILE_MAX_BYTES {
        return Err(Locked::KeyUnreadable);
    }
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let keys: Option<Vec<_>> = lines
        .map(|line| {
            let bytes = Zeroizing::new(from_hex(line)?);
            bytes.as_slice().try_into().ok().map(Zeroizing::<[u8; KEY_BYTES]>::new)
        })
        .collect();
    match keys {
        Some(keys) if !keys.is_empty() => Ok(keys),
        _ => Err(Locked::KeyUnreadable),
    }
}

/// Makes a file with a new key, mode 0600; never overwrites.
///
/// # Errors
/// [`VaultError::File`].
pub fn make_key_file(path: &Path) -> Result<(), VaultError> {
    let key = Zeroizing::new(random::<KEY_BYTES>()?);
    write_key_file(path, &[&key], true)
}

/// The key file of the data folder, made if it is not there: programs that start at the same moment agree on one, and
/// none ever sees half of it.
pub(super) fn ensure_key_file(path: &Path) -> Result<(), VaultError> {
    let mine = path.with_extension(format!("new-{}", std::process::id()));
    let told = |error| VaultError::file(format!("the key file {} cannot be made", path.display()), error);
    match fs::remove_file(&mine) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(told(error)),
        // Nothing there, or a leftover of a program that was killed here.
        _ => make_key_file(&mine)?,
    }
    let placed = fs::hard_link(&mine, path);
    fs::remove_file(&mine).map_err(told)?;
    match placed {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(told(error)),
        _ => Ok(()),
    }
}

/// Writes a key file beside the old one and puts it in its place, so that a power cut leaves one of the two.
pub(super) fn write_key_file(path: &Path, keys: &[&[u8; KEY_BYTES]], must_be_new: bool) -> Result<(), VaultError> {
    let mut text = Zeroizing::new(String::with_capacity(keys.len() * (2 * KEY_BYTES + 1)));
    for key in keys {
        let digits = Zeroizing::new(to_hex(*key));
        text.push_str(&digits);
        text.push('\n');
    }
    let write = || -> io::Result<()> {
        let target = if must_be_new { path.to_owned() } else { path.with_extension("new") };
        let mut options = OpenOptions::new();
        options.write(true).mode(0o600);
        if must_be_new {
            options.create_new(true)
        } else {
            options.create(true).truncate(true)
        };
        let mut file = options.open(&target)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        if !must_be_new {
            fs::rename(&target, path)?;
        }
        match path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            Some(folder) => File::open(folder)?.sync_all(),
            None => Ok(()),
        }
    };
    write().map_err(|error| VaultError::file(format!("the key file {} cannot be written", path.display()), error))
}

/// Random bytes of the operating system.
pub(super) fn random<const N: usize>() -> Result<[u8; N], VaultError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| VaultError::System(format!("no random bytes: {error}")))?;
    Ok(bytes)
}

/// A fresh nonce.
pub(super) fn nonce() -> Result<Nonce, VaultError> {
    Ok(Nonce::new(random()?))
}

fn to_hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Reads hexadecimal digits of either case.
fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    let nibble = |digit: u8| char::from(digit).to_digit(16).map(|value| value as u8);
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    digits.chunks_exact(2).map(|pair| Some((nibble(pair[0])? << 4) | nibble(pair[1])?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_file_is_made_once_for_its_owner_only_and_reads_back() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vault.key");
        make_key_file(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(read_key_file(&path).unwrap().len(), 1);
        assert!(matches!(make_key_file(&path), Err(VaultError::File { .. })), "never overwrites");
        write_key_file(&path, &[&[1; KEY_BYTES], &[2; KEY_BYTES]], false).unwrap();
        let keys: Vec<_> = read_key_file(&path).unwrap().iter().map(|key| **key).collect();
        assert_eq!(keys, [[1; KEY_BYTES], [2; KEY_BYTES]]);
    }

    #[test]
    fn what_is_not_a_key_file_is_told_apart_from_an_absent_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vault.key");
        assert_eq!(read_key_file(&path).unwrap_err(), Locked::KeyAbsent);
        for bad in ["", "\n", "00", &"g".repeat(64), &"0".repeat(63), &"0 ".repeat(600), "é"] {
            fs::write(&path, bad).unwrap();
            assert_eq!(read_key_file(&path).unwrap_err(), Locked::KeyUnreadable, "{bad:?}");
        }
    }

    #[test]
    fn a_guessable_passphrase_is_refused() {
        for weak in ["", "short", "passwordpassword", "1234567890123456", "tapwardtapwardtapward"] {
            assert!(Passphrase::new(weak).check().is_err(), "{weak}");
        }
        Passphrase::new("seven quiet herons over Podil").check().unwrap();
        assert!(!format!("{:?}", Passphrase::new("seven quiet herons")).contains("heron"));
    }

    #[test]
    fn a_forged_cost_is_refused() {
        assert_eq!(Cost::parse(&Cost::TODAY.to_string()), Some(Cost::TODAY));
        for bad in ["", "argon2id m=1 t=1", "argon2id m=9999999 t=1", "argon2id m=65536 t=999", "argon2i m=65536 t=3"] {
            assert_eq!(Cost::parse(bad), None, "{bad}");
        }
    }
}
