//! What the commands of the till are asked with in the matrix of rights.

use super::*;

pub(super) const KEY: &str = "key-of-the-matrix";
pub(super) const WORDS: &str = "a reason in words";

pub(super) fn one() -> Amount {
    Amount::new(1).unwrap()
}

pub(super) fn money(scene: &Scene) -> NewPayment {
    NewPayment {
        key: KEY.to_owned(),
        patient: Some(scene.person),
        payer: None,
        method: Method::Transfer,
        currency: Currency::default(),
        amount: one(),
        parts: Vec::new(),
        rest_to_deposit: true,
        terminal: None,
        external: None,
    }
}

pub(super) fn money_back(scene: &Scene) -> NewRefund {
    NewRefund {
        key: KEY.to_owned(),
        patient: scene.person,
        method: Method::Transfer,
        currency: Currency::default(),
        amount: one(),
        external: None,
        refunds: None,
        reason: RefundReason::Wish,
        words: WORDS.to_owned(),
    }
}

pub(super) fn drawer() -> NewShift {
    NewShift { key: KEY.to_owned(), drawer: "1".to_owned(), currency: None, float: Amount::ZERO }
}

pub(super) fn closing() -> Closing {
    let (key, shift) = (KEY.to_owned(), ID.to_owned());
    Closing { key, shift, counted: Amount::ZERO, card: Amount::ZERO, reason: None, words: String::new() }
}

pub(super) fn write_off() -> NewWriteOff {
    let (key, charge, words) = (KEY.to_owned(), ID.to_owned(), WORDS.to_owned());
    NewWriteOff { key, charge, amount: one(), reason: WriteOffReason::Small, words }
}

pub(super) fn notice() -> NewNotice {
    NewNotice {
        source: "bank".to_owned(),
        external: "1".to_owned(),
        kind: NoticeKind::Paid,
        of: None,
        currency: Currency::default(),
        amount: one(),
        patient: None,
        record: None,
        charges: Vec::new(),
    }
}

pub(super) fn charge(scene: &Scene) -> clinic::till::NewCharge {
    clinic::till::NewCharge {
        key: "key-of-the-matrix".to_owned(),
        patient: scene.person,
        visit: None,
        session: None,
        out_of_card: Some((OutOfCardCode::Other, WHY.to_owned())),
        service: "nothing".to_owned(),
        quantity: 1,
        currency: None,
        shown: None,
    }
}

pub(super) fn till(scene: &Scene) -> Till {
    let rules = clinic::till::Rules::of(domain::money::Currency::default());
    Till::new(scene.database.clone(), Clock::new(|| NOW), chrono_tz::UTC, rules)
}

pub(super) fn scale() -> clinic::till::NewScheme {
    let step = domain::till::Step { from: domain::money::Amount::ZERO, rate: 0 };
    clinic::till::NewScheme {
        id: "scale".to_owned(),
        name: "Scale".to_owned(),
        currency: domain::money::Currency::default(),
        steps: vec![step],
        rounding: domain::till::Rounding::Down,
        unit: 1,
    }
}

pub(super) fn more(person: PersonId) -> clinic::till::NewOverride {
    clinic::till::NewOverride {
        owner: clinic::till::OverrideOwner::Patient(person),
        currency: domain::money::Currency::default(),
        extra: domain::money::Amount::new(1).unwrap(),
        until: NOW.plus_ms(1000),
        reason: clinic::till::OverrideReason::Other,
        words: WHY.to_owned(),
    }
}
