//! What was published: the lines of second places, checked against the public key.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use domain::audit::{KeyId, SignedHead};
use ring::signature::{ED25519, UnparsedPublicKey};

use crate::report::{Fault, FaultKind};
use crate::{Error, Report};

/// Longest file of heads read, in bytes: a head a minute for forty years.
const FILE_MAX_BYTES: u64 = 8 << 30;
/// Longest line read, in bytes; a head has less.
const LINE_MAX_BYTES: u64 = 4096;

/// The public half of a signing key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(pub [u8; 32]);

impl PublicKey {
    /// Reads 64 hexadecimal digits, or a file that holds them.
    ///
    /// # Errors
    /// [`Error::Key`].
    pub fn read(text: &str) -> Result<Self, Error> {
        let digits = |text: &str| text.trim().parse::<domain::audit::TreeHash>().ok().map(|key| Self(key.0));
        if let Some(key) = digits(text) {
            return Ok(key);
        }
        let held = std::fs::read_to_string(text).ok();
        held.as_deref().and_then(digits).ok_or_else(|| Error::Key(format!("{text:?}")))
    }

    /// Its short name in heads.
    pub fn id(&self) -> KeyId {
        KeyId::of(&self.0)
    }
}

/// The keys that may have signed.
#[derive(Debug, Clone, Default)]
pub struct PublicKeys(pub Vec<PublicKey>);

impl PublicKeys {
    /// Whether one of them signed it.
    pub fn signed(&self, head: &SignedHead) -> bool {
        let text = head.head.to_signed_text();
        self.0
            .iter()
            .filter(|key| key.id() == head.head.key)
            .any(|key| UnparsedPublicKey::new(&ED25519, key.0).verify(text.as_bytes(), &head.signature).is_ok())
    }
}

/// A head and where it was published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedHead {
    /// The head; its signature is right.
    pub signed: SignedHead,
    /// For example `line 7 of /mnt/heads`.
    pub place: String,
}

/// Everything that was published, and what is wrong with it.
#[derive(Debug, Clone, Default)]
pub struct Published {
    /// The keys.
    pub keys: PublicKeys,
    /// The heads, in the order of their sizes.
    pub heads: Vec<PublishedHead>,
    /// Lines that are none.
    pub faults: Vec<Fault>,
}

impl Published {
    /// Nothing published: only what is wrong in itself can be found.
    pub fn nothing(keys: PublicKeys) -> Self {
        Self { keys, ..Self::default() }
    }

    /// Reads the files of second places.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn read<'a>(keys: PublicKeys, files: impl IntoIterator<Item = &'a Path>) -> Result<Self, Error> {
        let mut published = Self::nothing(keys);
        for path in files {
            published.read_file(path)?;
        }
        published.heads.sort_by_key(|head| head.signed.head.size);
        let pairs = published.heads.windows(2).filter_map(|pair| match pair {
            [one, other] => Some((one, other)),
            _ => None,
        });
        let mut faults = Vec::new();
        for (one, other) in pairs {
            let (a, b) = (&one.signed.head, &other.signed.head);
            if a.size == b.size && a.root != b.root {
                let found = format!("{} and {} tell different logs of {} entries", one.place, other.place, a.size);
                faults.push(Fault { kind: FaultKind::HeadsDisagree, entries: None, found });
            } else if a.site != b.site {
                let found = format!("{} is of {}, {} of {}", one.place, a.site, other.place, b.site);
                faults.push(Fault { kind: FaultKind::HeadsDisagree, entries: None, found });
            }
        }
        published.faults.extend(faults);
        Ok(published)
    }

    /// Adds a head that was published in another way, for example in an export.
    pub fn add(&mut self, signed: SignedHead, place: String) {
        if self.keys.signed(&signed) {
            let at = self.heads.partition_point(|head| head.signed.head.size <= signed.head.size);
            self.heads.insert(at, PublishedHead { signed, place });
        } else {
            let found = format!("{place}: no key that was given signed this");
            self.faults.push(Fault { kind: FaultKind::HeadUnreadable, entries: None, found });
        }
    }

    fn read_file(&mut self, path: &Path) -> Result<(), Error> {
        let failed = |error| Error::File { path: path.to_owned(), error };
        let mut reader = BufReader::new(File::open(path).map_err(failed)?.take(FILE_MAX_BYTES));
        let mut number = 0_u64;
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            if reader.by_ref().take(LINE_MAX_BYTES).read_until(b'\n', &mut bytes).map_err(failed)? == 0 {
                return Ok(());
            }
            number += 1;
            let place = format!("line {number} of {}", path.display());
            let line = std::str::from_utf8(bytes.strip_suffix(b"\n").unwrap_or(&bytes));
            let problem = match line.map(str::parse::<SignedHead>) {
                Ok(Ok(signed)) if self.keys.signed(&signed) => {
                    self.heads.push(PublishedHead { signed, place });
                    continue;
                }
                Ok(Ok(signed)) => format!("no key that was given signed this; it names the key {}", signed.head.key),
                Ok(Err(error)) => error.to_string(),
                Err(_) => "this is not text".to_owned(),
            };
            let found = format!("{place}: {problem}");
            if self.faults.len() < crate::FAULTS_MAX {
                self.faults.push(Fault { kind: FaultKind::HeadUnreadable, entries: None, found });
            }
        }
    }
}

impl Report {
    /// A report about published heads alone.
    pub fn of_heads(published: &Published) -> Self {
        Self {
            entries: 0,
            root: published.heads.last().map(|head| head.signed.head.root),
            heads: published.heads.len() as u64,
            covered: published.heads.last().map_or(0, |head| head.signed.head.size),
            faults: published.faults.clone(),
            further: 0,
        }
    }
}
