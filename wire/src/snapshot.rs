//! The bytes of a policy snapshot, on the bus and in a gateway's file.
//!
//! Owns: the format, its checksum and limits. Never: decides whether a policy makes sense (that is
//! `domain::policy`), compiles one. May import: `domain`.
//!
//! # Formats 1 to 3
//! | bytes | what |
//! |---|---|
//! | 4 | `TWPS` |
//! | 1 | format: 1; 2 if any credential has a sealed number; 3 if any zone asks for a visit or a condition |
//! | 4 | length of the layout, big endian |
//! | … | the layout: zones, points, schedules, rules as JSON, for people with a text tool |
//! | 4 | number of grants, big endian (format 3 only) |
//! | … | grants, 34 bytes each: person (16), zone or condition (u16), from and until (i64) (format 3 only) |
//! | 4 | number of credentials, big endian |
//! | … | credentials, 36 to 100 bytes each, 52 for an ordinary one with both dates |
//! | 32 | SHA-256 of everything before |
//!
//! A credential: card (16), person (16), category (u16), flags (u16), then what the flags announce: valid from (i64),
//! valid until (i64), PIN hash (16), duress PIN hash (16), sealed number (16, formats 2 and 3). Flags: bits 0-2 kind,
//! 3-4 state, 5 one-time, 6 from, 7 until, 8 PIN, 9 duress PIN, 10 number; the rest are zero.
//!
//! A policy without numbers is written in format 1, so that a gateway of an earlier release goes on reading it; one
//! with numbers, or with zones that ask, says by its format that it is too new for such a gateway: one that did not know
//! what a zone asks would let everybody in.
//!
//! A million credentials are 52 MB, 68 MB with numbers; they are read one by one, so that compiling needs no second copy:
//! [`Snapshot::read`], then [`Snapshot::credentials`] into `domain::policy::PolicyBuilder`.

mod grants;
mod layout;
mod rows;

pub use grants::Grants;
pub use rows::Credentials;

use domain::PolicySource;
use domain::policy::{CREDENTIALS_MAX, Credential, GRANTS_MAX, Grant, Layout};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::bus::{BusError, POLICY_MAX_BYTES};

const MAGIC: &[u8; 4] = b"TWPS";
/// Without sealed numbers.
const FORMAT: u8 = 1;
/// With them.
const FORMAT_NUMBERS: u8 = 2;
/// With zones that ask, and grants; numbers may be there or not.
const FORMAT_GRANTS: u8 = 3;
/// Where the format stands.
const FORMAT_AT: usize = MAGIC.len();
const DIGEST_BYTES: usize = 32;
/// Longest layout in bytes: its limits in `domain::policy` allow less.
pub const LAYOUT_MAX_BYTES: usize = 16 * 1024 * 1024;

/// Why bytes are not a snapshot, or a policy cannot become one.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SnapshotError {
    /// Something else.
    #[error("these bytes are not a policy snapshot")]
    NotASnapshot,
    /// Written by a newer program.
    #[error(
        "the policy snapshot has format {0}, this program reads formats {FORMAT} to {FORMAT_GRANTS}; bring both programs to one release"
    )]
    Format(u8),
    /// Cut off, or more bytes than it says.
    #[error("the policy snapshot is cut off or has too many bytes")]
    Length,
    /// Changed after it was written.
    #[error("the policy snapshot is damaged: its checksum is wrong")]
    Damaged,
    /// Too large.
    #[error("the policy snapshot would have more than {0} {1}")]
    TooLarge(u64, &'static str),
    /// The layout has a wrong field.
    #[error("the policy's layout: {0}")]
    Layout(#[from] BusError),
    /// A credential has a wrong field.
    #[error("credential {0} of the policy snapshot is not one that this program knows")]
    Credential(u32),
}

/// Writes a snapshot, credential by credential.
#[derive(Debug)]
pub struct SnapshotWriter {
    out: Vec<u8>,
    count_at: usize,
    count: u32,
}

impl SnapshotWriter {
    /// Begins with the layout. `expected` credentials are made room for.
    ///
    /// # Errors
    /// If the layout is too large, or has something that no reader would take.
    pub fn new(layout: &Layout, expected: usize) -> Result<Self, SnapshotError> {
        Self::with_grants(layout, &[], expected)
    }

    /// As [`SnapshotWriter::new`], with what is known of persons that zones ask about; left out if no zone asks.
    ///
    /// # Errors
    /// As there, or if there are too many.
    pub fn with_grants(layout: &Layout, grants: &[Grant], expected: usize) -> Result<Self, SnapshotError> {
        let asks = !layout.demands.is_empty();
        let grants = if asks { grants } else { &[] };
        let grant_count = u32::try_from(grants.len()).ok().filter(|_| grants.len() <= GRANTS_MAX);
        let grant_count = grant_count.ok_or(SnapshotError::TooLarge(GRANTS_MAX as u64, "grants"))?;
        let layout = layout::to_json(layout).to_string().into_bytes();
        // Better found out here, by the one who can change it, than by every gateway.
        layout::from_bytes(&layout)?;
        let length = u32::try_from(layout.len()).ok().filter(|_| layout.len() <= LAYOUT_MAX_BYTES);
        let length = length.ok_or(SnapshotError::TooLarge(LAYOUT_MAX_BYTES as u64, "bytes of layout"))?;
        let rows_bytes = expected.min(CREDENTIALS_MAX) * rows::USUAL_BYTES + grants.len() * grants::BYTES;
        let mut out = Vec::with_capacity(layout.len() + 64 + rows_bytes);
        out.extend_from_slice(MAGIC);
        out.push(if asks { FORMAT_GRANTS } else { FORMAT });
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(&layout);
        if asks {
            out.extend_from_slice(&grant_count.to_be_bytes());
            grants.iter().for_each(|grant| grants::write(grant, &mut out));
        }
        let count_at = out.len();
        out.extend_from_slice(&[0; 4]);
        Ok(Self { out, count_at, count: 0 })
    }

    /// Adds a credential.
    ///
    /// # Errors
    /// If the snapshot becomes larger than the bus carries.
    pub fn push(&mut self, credential: &Credential) -> Result<(), SnapshotError> {
        if (self.out.len() + rows::LONGEST_BYTES + DIGEST_BYTES) as u64 > POLICY_MAX_BYTES {
            return Err(SnapshotError::TooLarge(POLICY_MAX_BYTES, "bytes"));
        }
        self.count += 1;
        if credential.number.is_some() {
            self.out[FORMAT_AT] = self.out[FORMAT_AT].max(FORMAT_NUMBERS);
        }
        rows::write(credential, &mut self.out);
        Ok(())
    }

    /// The whole.
    pub fn finish(mut self) -> Vec<u8> {
        self.out[self.count_at..self.count_at + 4].copy_from_slice(&self.count.to_be_bytes());
        let digest = Sha256::digest(&self.out);
        self.out.extend_from_slice(&digest);
        self.out
    }
}

/// Writes a whole policy.
///
/// # Errors
/// If it is too large.
pub fn encode(source: &PolicySource) -> Result<Vec<u8>, SnapshotError> {
    let mut writer = SnapshotWriter::with_grants(&source.layout, &source.grants, source.credentials.len())?;
    source.credentials.iter().try_for_each(|credential| writer.push(credential))?;
    Ok(writer.finish())
}

/// A snapshot whose checksum is right and whose layout was read; its credentials are still bytes.
#[derive(Debug, Clone)]
pub struct Snapshot<'a> {
    /// Zones, points, schedules, rules.
    pub layout: Layout,
    credentials: Credentials<'a>,
    grants: Grants<'a>,
}

impl<'a> Snapshot<'a> {
    /// Checks the frame and reads the layout.
    ///
    /// # Errors
    /// See [`SnapshotError`].
    pub fn read(bytes: &'a [u8]) -> Result<Self, SnapshotError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(SnapshotError::NotASnapshot)?;
        let (format, rest) = rest.split_first().ok_or(SnapshotError::Length)?;
        if !(FORMAT..=FORMAT_GRANTS).contains(format) {
            return Err(SnapshotError::Format(*format));
        }
        if bytes.len() as u64 > POLICY_MAX_BYTES {
            return Err(SnapshotError::TooLarge(POLICY_MAX_BYTES, "bytes"));
        }
        let (content, digest) = bytes.split_last_chunk::<DIGEST_BYTES>().ok_or(SnapshotError::Length)?;
        if <[u8; DIGEST_BYTES]>::from(Sha256::digest(content)) != *digest {
            return Err(SnapshotError::Damaged);
        }
        let rest = &rest[..rest.len().saturating_sub(DIGEST_BYTES)];
        let (length, rest) = length(rest)?;
        if length > LAYOUT_MAX_BYTES {
            return Err(SnapshotError::TooLarge(LAYOUT_MAX_BYTES as u64, "bytes of layout"));
        }
        let (layout, rest) = rest.split_at_checked(length).ok_or(SnapshotError::Length)?;
        let (grants, rest) = if *format == FORMAT_GRANTS { grants::split(rest)? } else { (Grants::default(), rest) };
        let (count, rows) = self::length(rest)?;
        let credentials = Credentials::new(rows, count, *format >= FORMAT_NUMBERS)?;
        let layout = layout::from_bytes(layout)?;
        // A layout that asks, in a format whose readers would not notice, was not written by us.
        if *format != FORMAT_GRANTS && !layout.demands.is_empty() {
            return Err(SnapshotError::Format(*format));
        }
        Ok(Self { layout, credentials, grants })
    }

    /// The credentials, read one by one.
    pub fn credentials(&self) -> Credentials<'a> {
        self.credentials.clone()
    }

    /// What is known of persons that zones ask about.
    pub fn grants(&self) -> Grants<'a> {
        self.grants.clone()
    }
}

/// Reads a whole policy.
///
/// # Errors
/// See [`SnapshotError`].
pub fn decode(bytes: &[u8]) -> Result<PolicySource, SnapshotError> {
    let snapshot = Snapshot::read(bytes)?;
    let credentials = snapshot.credentials().collect::<Result<_, _>>()?;
    let grants = snapshot.grants().collect();
    Ok(PolicySource { layout: snapshot.layout, credentials, grants })
}

fn length(bytes: &[u8]) -> Result<(usize, &[u8]), SnapshotError> {
    let (number, rest) = bytes.split_first_chunk::<4>().ok_or(SnapshotError::Length)?;
    Ok((usize::try_from(u32::from_be_bytes(*number)).map_err(|_| SnapshotError::Length)?, rest))
}
