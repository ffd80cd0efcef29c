//! What the configuration says about trust: sign-in, the identity vault, the audit log, mail.

use std::path::PathBuf;

use clinic::vault::S3Place;

/// Signing in.
#[derive(Debug, Clone, Copy)]
pub struct AccountSettings {
    /// Who needs a second factor.
    pub second_factor: SecondFactor,
    /// A session unused for this long ends, in milliseconds.
    pub idle_ms: i64,
    /// A session ends this long after sign-in, in milliseconds.
    pub absolute_ms: i64,
}

/// Who needs a second factor at sign-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecondFactor {
    /// Nobody must; everybody may.
    Optional,
    /// Who may change accounts, roles or keys, open the audit log, reveal or erase people.
    Powerful,
    /// Everybody.
    Everybody,
}

/// The identity vault.
#[derive(Debug, Clone)]
pub struct VaultSettings {
    /// Where passports are encrypted and decrypted.
    pub mode: VaultMode,
    /// Where the key comes from.
    pub key: VaultKey,
    /// A second place for the list of erased persons.
    pub shredded_copy: Option<PathBuf>,
    /// Where photographs are kept.
    pub photos: PhotoPlace,
}

/// Where passports are encrypted and decrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VaultMode {
    /// By this program.
    Server,
    /// By the browser, with a key that never leaves the workstation.
    Workstation,
}

/// Where the vault's key comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VaultKey {
    /// A file in the data folder, made at the first start.
    Own,
    /// A file, possibly on a medium that is not always there.
    File(PathBuf),
    /// A passphrase, from this file if one is given, else typed on a page.
    Passphrase(Option<PathBuf>),
}

/// Where photographs are kept, encrypted.
#[derive(Clone)]
pub enum PhotoPlace {
    /// A folder.
    Folder(PathBuf),
    /// An S3 bucket.
    S3(S3Place),
}

impl std::fmt::Debug for PhotoPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Folder(folder) => write!(f, "PhotoPlace({})", folder.display()),
            Self::S3(bucket) => write!(f, "PhotoPlace({}/{})", bucket.endpoint, bucket.bucket),
        }
    }
}

/// The audit log.
#[derive(Debug, Clone)]
pub struct AuditSettings {
    /// Files elsewhere to which signed heads are appended.
    pub heads: Vec<PathBuf>,
    /// How often, in minutes.
    pub every_min: u64,
}

/// E-mail notices.
#[derive(Debug, Clone)]
pub struct MailSettings {
    /// The server that takes them.
    pub server: mis_bridge::mail::Settings,
    /// The address of the pages as people type it, for links in notices.
    pub address: Option<String>,
}
