use domain::card::{self, CardFormat, CardKey, SealKey};
use domain::ids::{CategoryId, Direction, PointId, ReaderId, ZoneId};
use domain::pin::PinKey;
use domain::policy::{Credential, Layout, PassState, Point, PointKind, PolicySource};

use super::*;
use crate::settings::{PeerReader, Place};

fn keys() -> SiteKeys {
    SiteKeys { card: CardKey::new([7; 32]), pin: PinKey::new([8; 32]), numbers: SealKey::new([9; 32]) }
}

fn places() -> Places {
    let place = Place {
        reader: ReaderId::new("r").unwrap(),
        point: PointId::new("turnstile").ok(),
        direction: Direction::In,
        uid_reversed: false,
    };
    Places::new(&[PeerReader { place, at: "1".into() }])
}

fn credential(uid: &str, person: u8) -> Credential {
    let number = card::parse(CardFormat::UidHex, uid).unwrap();
    Credential {
        card: keys().card.id(&number),
        person: PersonId([person; 16]),
        category: 0,
        kind: PassKind::Staff,
        state: PassState::Active,
        one_time: false,
        valid_from: None,
        valid_until: None,
        pin: None,
        duress_pin: None,
        number: Some(keys().numbers.seal(&number)),
    }
}

fn of(credentials: Vec<Credential>, cache: Cache) -> (Policy, Everybody) {
    let zone = |name| ZoneId::new(name).unwrap();
    let point = Point::new(PointId::new("turnstile").unwrap(), PointKind::Turnstile, zone("street"), zone("hall"));
    let mut layout = Layout {
        version: 1,
        categories: vec![CategoryId::new("staff").unwrap()],
        points: vec![point],
        ..Layout::empty()
    };
    layout.complete_zones();
    let policy = Policy::compile(PolicySource { layout, credentials, grants: Vec::new() }, 1).unwrap();
    let all = everybody(&policy, &keys(), cache, &places(), CardForm::UidDecimal, UtcMillis(1_000_000));
    (policy, all)
}

#[test]
fn those_who_may_pass_without_us_are_wanted_and_nobody_else() {
    let blocked = Credential { state: PassState::Blocked, ..credential("00000002", 2) };
    let once = Credential { one_time: true, ..credential("00000003", 3) };
    let patient = Credential { kind: PassKind::Patient, ..credential("00000004", 4) };
    let secret = Credential { number: None, ..credential("00000005", 5) };
    let all = vec![credential("00000001", 1), blocked, once, patient, secret];
    let (_, staff) = of(all.clone(), Cache::Staff);
    assert_eq!(staff.people.keys().collect::<Vec<_>>(), [&PersonId([1; 16])]);
    assert_eq!(staff.unknown_numbers, 1);
    let (policy, everybody) = of(all.clone(), Cache::Everybody);
    assert_eq!(everybody.people.len(), 2);
    let person = &everybody.people[&PersonId([1; 16])];
    let cards = person.cards(PersonId([1; 16]), &policy, &keys(), &places(), CardForm::UidDecimal);
    assert_eq!((cards.len(), cards[0].number.as_str()), (1, "1"));
    assert_eq!(of(all, Cache::Nobody).1, Everybody::default());
}

#[test]
fn a_person_has_five_cards_of_one_period_at_most() {
    let mut cards: Vec<Credential> = (1..=7).map(|n| credential(&format!("000000{n:02}"), 1)).collect();
    cards.push(Credential { valid_until: Some(UtcMillis(2_000_000)), ..credential("000000AA", 1) });
    let (_, all) = of(cards, Cache::Staff);
    let person = &all.people[&PersonId([1; 16])];
    assert_eq!((person.cards.len(), person.left_out, all.left_out), (5, 3, 3));
    assert_eq!(person.until, i64::MAX);
}

#[test]
fn validity_is_written_in_the_devices_own_time() {
    let from = UtcMillis::from_rfc3339("2026-11-21T09:00:00Z").unwrap();
    let until = UtcMillis::from_rfc3339("2026-12-21T09:00:00Z").unwrap();
    let wanted = |from: i64, until: i64| Wanted { doors: [1].into(), from, until, cards: BTreeSet::new(), left_out: 0 };
    let zone = Zone::ahead_s(10_800);
    let user = wanted(from.0, until.0).user(PersonId([1; 16]), zone);
    assert_eq!(user.valid, Some(("2026-11-21T12:00:00".into(), "2026-12-21T12:00:00".into())));
    assert_eq!(wanted(i64::MIN, i64::MAX).user(PersonId([1; 16]), zone).valid, None);
    let far = wanted(i64::MIN, UtcMillis::from_rfc3339("2099-01-01T00:00:00Z").unwrap().0);
    assert_eq!(far.user(PersonId([1; 16]), zone).valid, Some(("2000-01-01T00:00:00".into(), LATEST.into())));
    let digests = [wanted(0, 1), wanted(0, 2), wanted(1, 2)].map(|wanted| wanted.digest(zone, CardForm::UidDecimal));
    assert!(digests[0] != digests[1] && digests[1] != digests[2]);
}
