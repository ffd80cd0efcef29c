//! What can go wrong with the vault, said so that the reader knows what to do. Never repeats personal data.

use domain::vault::{BadPack, OpenError, PassportRefused, QueryRefused};
use domain::{Denied, UtcMillis};
use thiserror::Error;

use super::blobs::BlobError;
use super::picture::PictureRefused;

/// Why the vault is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Locked {
    /// Nobody has tried to open it yet.
    #[error("the vault has not been opened yet")]
    NotOpened,
    /// The file with its key is not there: the medium is taken out.
    #[error("the vault's key file is not there; put its medium in")]
    KeyAbsent,
    /// The file is there and cannot be read, or holds something else.
    #[error("the vault's key file cannot be read or does not hold a key; look at its owner, mode and text")]
    KeyUnreadable,
    /// The key is another vault's, or was changed.
    #[error("this is not the vault's key of today; it was changed, or it belongs to another installation")]
    WrongKey,
    /// Somebody must type the passphrase.
    #[error("the vault waits for its passphrase")]
    PassphraseNeeded,
    /// No passphrase was ever set.
    #[error("the vault has no passphrase yet; set it on the page of the vault")]
    NoPassphraseYet,
    /// The list of erased persons cannot be trusted.
    #[error("the list of erased persons is damaged; the log says where; put a whole copy in its place and start again")]
    ListDamaged,
    /// Somebody locked it.
    #[error("the vault was locked by hand")]
    ByHand,
    /// Passports are encrypted by workstations; this program has no key.
    #[error("passports are kept by workstations; this program has no key to them")]
    Workstation,
}

impl Locked {
    /// A stable word, the end of the key of its translation.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotOpened => "not_opened",
            Self::KeyAbsent => "key_absent",
            Self::KeyUnreadable => "key_unreadable",
            Self::WrongKey => "wrong_key",
            Self::PassphraseNeeded => "passphrase_needed",
            Self::NoPassphraseYet => "no_passphrase_yet",
            Self::ListDamaged => "list_damaged",
            Self::ByHand => "by_hand",
            Self::Workstation => "workstation",
        }
    }
}

/// Why the vault did not do it.
#[derive(Debug, Error)]
pub enum VaultError {
    /// The vault is locked; pseudonyms go on.
    #[error("{0}")]
    Locked(#[from] Locked),
    /// Not allowed.
    #[error("{0}")]
    Denied(#[from] Denied),
    /// No such person, or nothing is known of them.
    #[error("nothing is known of this person")]
    Unknown,
    /// The person was erased.
    #[error("this person was erased at {0}")]
    Erased(UtcMillis),
    /// None of the fields asked for may be shown to this role.
    #[error("your role shows none of these fields")]
    NothingToShow,
    /// What was to be stored is refused.
    #[error("{0}")]
    Refused(#[from] PassportRefused),
    /// The picture is refused.
    #[error("{0}")]
    Picture(#[from] PictureRefused),
    /// A photograph needs the consent of the person.
    #[error("a photograph is stored only with the person's consent; a pass works without one")]
    NoConsent,
    /// The query is too short.
    #[error("{0}")]
    Query(#[from] QueryRefused),
    /// The person's key was changed or destroyed meanwhile.
    #[error("the person's data were changed by somebody else meanwhile; try again")]
    Interrupted,
    /// Too many people fit.
    #[error("too many people fit; type more letters, or another name as well")]
    TooMany,
    /// The passphrase does not open the vault.
    #[error("this passphrase does not open the vault")]
    WrongPassphrase,
    /// The passphrase is too easy to guess.
    #[error(
        "the passphrase is too easy to guess; take at least 16 characters, for example five words without a connection"
    )]
    WeakPassphrase,
    /// The vault's key does not come from a passphrase, or not from a file, as would be needed for this.
    #[error("the vault's key comes from elsewhere; see `key` in the part [vault] of the configuration")]
    OtherSource,
    /// The key is being changed already.
    #[error("the vault's key is being changed already; let that end first")]
    AlreadyChanging,
    /// A stored value does not open.
    #[error("a passport cannot be opened: {0}")]
    Damaged(#[from] OpenError),
    /// An opened value cannot be read.
    #[error("a passport cannot be read: {0}")]
    Unreadable(#[from] BadPack),
    /// Where photographs are kept.
    #[error("{0}")]
    Blob(#[from] BlobError),
    /// A file of the vault.
    #[error("{what}: {source}")]
    File {
        /// Which file, and what was tried.
        what: String,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// The list of erased persons has been tampered with or damaged.
    #[error("{0}")]
    ShredList(String),
    /// The operating system gives no random bytes, or a worker was stopped.
    #[error("{0}")]
    System(String),
    /// The database.
    #[error("{0}")]
    Store(#[from] store::Error),
}

impl VaultError {
    pub(super) fn file(what: impl Into<String>, source: std::io::Error) -> Self {
        Self::File { what: what.into(), source }
    }
}
