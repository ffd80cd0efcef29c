//! Which passes a server shall know, and how they differ from what it was told. Pure.
//!
//! What was told is remembered by the sealed number of the card: a card that is gone from the policy must be withdrawn
//! by its number, which then stands nowhere else.

use std::collections::{BTreeMap, HashMap, HashSet};

use domain::card::{CardKey, SealKey, SealedNumber};
use domain::ids::PointId;
use domain::policy::{Pass, PassKind, PassState, Policy};
use domain::{PersonId, UtcMillis};
use sha2::{Digest, Sha256};
use wire::parsec::Code;

use crate::settings::{Cache, ParsecDialect, PeerSettings};

/// Marks the key of a pass that was given by a visitor's request.
const VISITOR: char = 'v';
/// The years that the service's database takes.
const YEARS: (UtcMillis, UtcMillis) = (UtcMillis(0), UtcMillis(4_102_444_800_000));

/// A pass that the server shall know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) person: PersonId,
    pub(super) code: Code,
    /// From and to; `None`: without end.
    pub(super) valid: Option<(UtcMillis, UtcMillis)>,
    /// By a visitor's request.
    pub(super) visitor: bool,
    /// What it is told, in short.
    pub(super) digest: [u8; 16],
}

/// All of them by key, and what cannot be told.
#[derive(Debug, Default)]
pub(super) struct Wants {
    pub(super) passes: BTreeMap<String, Wanted>,
    /// The keys of each person's passes.
    persons: HashMap<PersonId, Vec<String>>,
    /// Cards whose number the policy does not carry, or that were sealed with another key.
    pub(super) without_number: usize,
    /// Cards whose number is no code of this server.
    pub(super) no_code: usize,
}

/// The key under which a card is remembered.
pub(super) fn key(sealed: SealedNumber, visitor: bool) -> String {
    let mut key: String = sealed.0.iter().map(|byte| format!("{byte:02x}")).collect();
    if visitor {
        key.push(VISITOR);
    }
    key
}

/// The card of a key, and whether it was given by a visitor's request.
pub(super) fn read_key(key: &str) -> Option<(SealedNumber, bool)> {
    let (hex, visitor) = key.strip_suffix(VISITOR).map_or((key, false), |hex| (hex, true));
    if hex.len() != 32 || !hex.is_ascii() {
        return None;
    }
    let mut sealed = [0; 16];
    for (byte, pair) in sealed.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some((SealedNumber(sealed), visitor))
}

impl Wants {
    /// What the server shall know by this policy.
    pub(super) fn of(
        policy: &Policy,
        settings: &PeerSettings,
        dialect: &ParsecDialect,
        answers: bool,
        (cards, numbers): (&CardKey, &SealKey),
        now: UtcMillis,
    ) -> Self {
        let mut wants = Self::default();
        let points: HashSet<&PointId> =
            settings.readers.iter().filter_map(|reader| reader.place.point.as_ref()).collect();
        for pass in policy.passes() {
            let visitor = dialect.visitors && matches!(pass.kind(), PassKind::Visitor | PassKind::PatientTemporary);
            if !settings.cache.takes(pass.kind())
                || !points.iter().any(|point| fits(policy, pass, point, visitor || answers, now))
            {
                continue;
            }
            let Some(sealed) = policy.number(pass.card()) else {
                wants.without_number += 1;
                continue;
            };
            let Ok(number) = numbers.open_for(sealed, pass.card(), cards) else {
                wants.without_number += 1;
                continue;
            };
            let Some(code) = Code::of(&number, dialect.cards) else {
                wants.no_code += 1;
                continue;
            };
            let (from, until) = (pass.valid_from(), pass.valid_until());
            let endless = from <= YEARS.0 && until >= YEARS.1;
            let valid = (!endless || visitor).then(|| (from.max(YEARS.0), until.min(YEARS.1)));
            let person = pass.person();
            let digest = digest(person, valid, visitor, dialect);
            let key = key(sealed, visitor);
            wants.persons.entry(person).or_default().push(key.clone());
            wants.passes.insert(key, Wanted { person, code, valid, visitor, digest });
        }
        wants
    }

    /// The passes of a person that the server shall know.
    pub(super) fn keys_of(&self, person: PersonId) -> impl Iterator<Item = &String> {
        self.persons.get(&person).into_iter().flatten()
    }
}

/// Whether the server may let this pass through there. One-time passes only where it asks us for each passage, or
/// where they are visitors' requests, of which the server itself keeps account.
fn fits(policy: &Policy, pass: &Pass, point: &PointId, one_time: bool, now: UtcMillis) -> bool {
    if pass.one_time() && one_time {
        let works = pass.state() == PassState::Active && !pass.expired(now);
        return works && policy.may_ever_pass(pass, point, now);
    }
    policy.may_pass_offline(pass, point, now)
}

impl Cache {
    fn takes(self, kind: PassKind) -> bool {
        match self {
            Self::Nobody => false,
            Self::Staff => matches!(kind, PassKind::Staff | PassKind::Contractor),
            Self::Everybody => true,
        }
    }
}

fn digest(person: PersonId, valid: Option<(UtcMillis, UtcMillis)>, visitor: bool, dialect: &ParsecDialect) -> [u8; 16] {
    let mut hash = Sha256::new();
    hash.update(person.0);
    let (from, until) = valid.unwrap_or((UtcMillis(i64::MIN), UtcMillis(i64::MAX)));
    hash.update(from.0.to_be_bytes());
    hash.update(until.0.to_be_bytes());
    hash.update([u8::from(visitor)]);
    hash.update(dialect.access_group.as_deref().unwrap_or_default());
    let full: [u8; 32] = hash.finalize().into();
    let mut cut = [0; 16];
    cut.copy_from_slice(&full[..16]);
    cut
}

/// One thing to tell the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Withdraw the card of this key.
    Withdraw(String),
    /// Issue it, or tell it anew.
    Issue(String),
}

impl Step {
    /// The pass.
    pub(super) fn key(&self) -> &str {
        match self {
            Self::Withdraw(key) | Self::Issue(key) => key,
        }
    }
}

/// What was told, by key: revision and digest.
pub(super) type Told = HashMap<String, (u64, [u8; 16])>;

/// What has to be told, withdrawals first.
pub(super) fn steps(wants: &Wants, told: &Told) -> Vec<Step> {
    let mut gone: Vec<&String> = told.keys().filter(|key| !wants.passes.contains_key(*key)).collect();
    gone.sort();
    let new =
        wants.passes.iter().filter(|(key, wanted)| told.get(*key).map(|(_, digest)| digest) != Some(&wanted.digest));
    let withdraw = gone.into_iter().cloned().map(Step::Withdraw);
    withdraw.chain(new.map(|(key, _)| Step::Issue(key.clone()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(person: u8, digest: u8) -> Wanted {
        let (person, digest) = (PersonId([person; 16]), [digest; 16]);
        Wanted { person, code: Code::parse("A1").unwrap(), valid: None, visitor: false, digest }
    }

    #[test]
    fn a_key_names_its_card_and_how_it_was_given() {
        let sealed = SealedNumber(*b"0123456789abcdef");
        for visitor in [false, true] {
            assert_eq!(read_key(&key(sealed, visitor)), Some((sealed, visitor)));
        }
        for bad in ["", "v", "zz112233445566778899aabbccddeeff", "00112233445566778899aabbccddeeffx"] {
            assert_eq!(read_key(bad), None, "{bad}");
        }
        assert!(key(sealed, true).len() <= store::journal::KEY_MAX_BYTES);
    }

    #[test]
    fn only_differences_are_told_and_withdrawals_come_first() {
        let passes = BTreeMap::from([
            ("a".to_owned(), wanted(1, 1)),
            ("b".to_owned(), wanted(2, 2)),
            ("c".to_owned(), wanted(3, 3)),
        ]);
        let wants = Wants { passes, ..Wants::default() };
        let told = Told::from([
            ("z".to_owned(), (1, [9; 16])),
            ("a".to_owned(), (1, [1; 16])),
            ("b".to_owned(), (4, [9; 16])),
            ("y".to_owned(), (1, [9; 16])),
        ]);
        let expected =
            [Step::Withdraw("y".into()), Step::Withdraw("z".into()), Step::Issue("b".into()), Step::Issue("c".into())];
        assert_eq!(steps(&wants, &told), expected);
        assert_eq!(steps(&Wants::default(), &Told::new()), []);
    }
}
