//! Grants as bytes: person (16), what (u16: the position, the highest bit set for a condition), from (i64), until (i64).

use domain::policy::{GRANTS_MAX, Grant, Granted};
use domain::{PersonId, UtcMillis};

use super::SnapshotError;

/// Of one grant.
pub(super) const BYTES: usize = 16 + 2 + 8 + 8;
const CONDITION: u16 = 1 << 15;

pub(super) fn write(grant: &Grant, out: &mut Vec<u8>) {
    let what = match grant.of {
        Granted::Zone(position) => position & !CONDITION,
        Granted::Condition(position) => position | CONDITION,
    };
    out.extend_from_slice(&grant.person.0);
    out.extend_from_slice(&what.to_be_bytes());
    out.extend_from_slice(&grant.from.0.to_be_bytes());
    out.extend_from_slice(&grant.until.0.to_be_bytes());
}

/// The grants at the beginning of `bytes`, still bytes, and what follows.
pub(super) fn split(bytes: &[u8]) -> Result<(Grants<'_>, &[u8]), SnapshotError> {
    let (count, rest) = super::length(bytes)?;
    if count > GRANTS_MAX {
        return Err(SnapshotError::TooLarge(GRANTS_MAX as u64, "grants"));
    }
    let (rows, rest) = rest.split_at_checked(count * BYTES).ok_or(SnapshotError::Length)?;
    Ok((Grants(rows.as_chunks::<BYTES>().0.iter()), rest))
}

/// Reads grants one after the other.
#[derive(Debug, Clone, Default)]
pub struct Grants<'a>(std::slice::Iter<'a, [u8; BYTES]>);

impl Iterator for Grants<'_> {
    type Item = Grant;

    fn next(&mut self) -> Option<Grant> {
        let (person, rest) = self.0.next()?.split_first_chunk::<16>()?;
        let (what, rest) = rest.split_first_chunk::<2>()?;
        let (from, rest) = rest.split_first_chunk::<8>()?;
        let (until, _) = rest.split_first_chunk::<8>()?;
        let what = u16::from_be_bytes(*what);
        let of = if what & CONDITION == 0 { Granted::Zone(what) } else { Granted::Condition(what & !CONDITION) };
        let (from, until) = (UtcMillis(i64::from_be_bytes(*from)), UtcMillis(i64::from_be_bytes(*until)));
        Some(Grant { person: PersonId(*person), of, from, until })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}
