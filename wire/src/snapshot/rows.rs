//! Credentials as bytes.

use domain::card::SealedNumber;
use domain::pin::PinHash;
use domain::policy::{Credential, PassKind, PassState};
use domain::{CardId, PersonId, UtcMillis};

use super::SnapshotError;

/// Card, person, category, flags.
const SHORTEST_BYTES: usize = 16 + 16 + 2 + 2;
/// With both dates, both PINs and the sealed number.
pub(super) const LONGEST_BYTES: usize = SHORTEST_BYTES + 8 + 8 + 16 + 16 + 16;
/// With both dates.
pub(super) const USUAL_BYTES: usize = SHORTEST_BYTES + 8 + 8;

const ONE_TIME: u16 = 1 << 5;
const FROM: u16 = 1 << 6;
const UNTIL: u16 = 1 << 7;
const PIN: u16 = 1 << 8;
const DURESS: u16 = 1 << 9;
const NUMBER: u16 = 1 << 10;
/// Of format 1, and of format 2.
const KNOWN: [u16; 2] = [NUMBER - 1, (NUMBER << 1) - 1];

// The codes of kinds and states are their positions; these lines fail when somebody changes the order.
const _: () = {
    assert!(matches!(
        PassKind::ALL,
        [
            PassKind::PatientTemporary,
            PassKind::Patient,
            PassKind::Staff,
            PassKind::Visitor,
            PassKind::Contractor,
            PassKind::Vehicle
        ]
    ));
    assert!(matches!(PassState::ALL, [PassState::Active, PassState::Blocked, PassState::Lost, PassState::Withdrawn]));
};

pub(super) fn write(credential: &Credential, out: &mut Vec<u8>) {
    let flag = |set: bool, flag: u16| if set { flag } else { 0 };
    let flags = credential.kind as u16
        | (credential.state as u16) << 3
        | flag(credential.one_time, ONE_TIME)
        | flag(credential.valid_from.is_some(), FROM)
        | flag(credential.valid_until.is_some(), UNTIL)
        | flag(credential.pin.is_some(), PIN)
        | flag(credential.duress_pin.is_some(), DURESS)
        | flag(credential.number.is_some(), NUMBER);
    out.extend_from_slice(&credential.card.0);
    out.extend_from_slice(&credential.person.0);
    out.extend_from_slice(&credential.category.to_be_bytes());
    out.extend_from_slice(&flags.to_be_bytes());
    for at in [credential.valid_from, credential.valid_until].into_iter().flatten() {
        out.extend_from_slice(&at.0.to_be_bytes());
    }
    for pin in [credential.pin, credential.duress_pin].into_iter().flatten() {
        out.extend_from_slice(&pin.0);
    }
    if let Some(number) = credential.number {
        out.extend_from_slice(&number.0);
    }
}

/// Reads credentials one after the other. After an error it ends.
#[derive(Debug, Clone)]
pub struct Credentials<'a> {
    rest: &'a [u8],
    read: u32,
    count: u32,
    known: u16,
}

impl<'a> Credentials<'a> {
    /// Refuses a number that the bytes cannot hold, so that nobody makes room for what does not come.
    pub(super) fn new(rest: &'a [u8], count: usize, numbers: bool) -> Result<Self, SnapshotError> {
        let least = count.checked_mul(SHORTEST_BYTES).ok_or(SnapshotError::Length)?;
        let most = count.checked_mul(LONGEST_BYTES).ok_or(SnapshotError::Length)?;
        if !(least..=most).contains(&rest.len()) {
            return Err(SnapshotError::Length);
        }
        let count = u32::try_from(count).map_err(|_| SnapshotError::Length)?;
        Ok(Self { rest, read: 0, count, known: KNOWN[usize::from(numbers)] })
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], SnapshotError> {
        let (bytes, rest) = self.rest.split_first_chunk::<N>().ok_or(SnapshotError::Length)?;
        self.rest = rest;
        Ok(*bytes)
    }

    fn take_if<const N: usize>(&mut self, wanted: bool) -> Result<Option<[u8; N]>, SnapshotError> {
        if wanted { self.take().map(Some) } else { Ok(None) }
    }

    fn row(&mut self) -> Result<Credential, SnapshotError> {
        let (card, person) = (CardId(self.take()?), PersonId(self.take()?));
        let (category, flags) = (u16::from_be_bytes(self.take()?), u16::from_be_bytes(self.take()?));
        let unknown = SnapshotError::Credential(self.read);
        if flags & !self.known != 0 {
            return Err(unknown);
        }
        let Some(kind) = PassKind::ALL.get(usize::from(flags & 7)).copied() else { return Err(unknown) };
        let Some(state) = PassState::ALL.get(usize::from(flags >> 3 & 3)).copied() else { return Err(unknown) };
        let instant = |bytes| UtcMillis(i64::from_be_bytes(bytes));
        Ok(Credential {
            card,
            person,
            category,
            kind,
            state,
            one_time: flags & ONE_TIME != 0,
            valid_from: self.take_if(flags & FROM != 0)?.map(instant),
            valid_until: self.take_if(flags & UNTIL != 0)?.map(instant),
            pin: self.take_if(flags & PIN != 0)?.map(PinHash),
            duress_pin: self.take_if(flags & DURESS != 0)?.map(PinHash),
            number: self.take_if(flags & NUMBER != 0)?.map(SealedNumber),
        })
    }
}

impl Iterator for Credentials<'_> {
    type Item = Result<Credential, SnapshotError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.read == self.count {
            // What is left over belongs to nobody.
            let left_over = !std::mem::take(&mut self.rest).is_empty();
            return left_over.then_some(Err(SnapshotError::Length));
        }
        let row = self.row();
        self.read += 1;
        if row.is_err() {
            (self.rest, self.read) = (&[], self.count);
        }
        Some(row)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = usize::try_from(self.count - self.read).unwrap_or(usize::MAX);
        // One more if bytes are left over.
        (0, left.checked_add(1))
    }
}

impl Credentials<'_> {
    /// How many there are; bounded by the bytes that are there.
    pub fn expected(&self) -> usize {
        usize::try_from(self.count - self.read).unwrap_or(usize::MAX)
    }
}
