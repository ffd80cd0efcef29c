//! The till compared with itself after somebody has damaged it: each kind of damage is named, and nothing else is.

use clinic::till::check::CheckCode::{self, *};
use clinic::till::check::Checked;
use clinic::till::{CancelReason, Member, NewPayer, NewScheme, NewTerms, PayerKind};
use domain::money::Amount;
use domain::till::{Method, Mode, Owner, Rounding, Step};

use crate::stage::{Stage, WHY, amount, patient, uah};
use crate::{by, charge, closing, open_drawer, part, story};

/// What is planted, how it is taken away again, and what the check must say to it.
struct Damage {
    plant: &'static [&'static str],
    mend: &'static [&'static str],
    named: &'static [CheckCode],
    /// Where: what the first finding's id is, as a statement that answers with it; empty: not looked at.
    at: &'static str,
}

const fn damage(
    plant: &'static [&'static str],
    mend: &'static [&'static str],
    named: &'static [CheckCode],
    at: &'static str,
) -> Damage {
    Damage { plant, mend, named, at }
}

/// In the order of the codes.
const ALL: &[Damage] = &[
    damage(
        &[
            "UPDATE till_balance SET owed_minor = owed_minor + 1 WHERE person = (SELECT patient FROM charge WHERE no = 1)",
        ],
        &[
            "UPDATE till_balance SET owed_minor = owed_minor - 1 WHERE person = (SELECT patient FROM charge WHERE no = 1)",
        ],
        &[Owed, OwedCharges],
        "SELECT patient FROM charge WHERE no = 1",
    ),
    damage(
        &["UPDATE till_balance SET deposit_minor = deposit_minor + 1
           WHERE person = (SELECT patient FROM charge WHERE no = 3)"],
        &["UPDATE till_balance SET deposit_minor = deposit_minor - 1
           WHERE person = (SELECT patient FROM charge WHERE no = 3)"],
        &[Deposit],
        "SELECT patient FROM charge WHERE no = 3",
    ),
    damage(
        &[
            "UPDATE till_balance SET held_minor = held_minor - 1 WHERE person = (SELECT patient FROM charge WHERE no = 4)",
        ],
        &[
            "UPDATE till_balance SET held_minor = held_minor + 1 WHERE person = (SELECT patient FROM charge WHERE no = 4)",
        ],
        &[Held, HeldCharges],
        "SELECT patient FROM charge WHERE no = 4",
    ),
    damage(
        &["UPDATE till_balance SET rendered_minor = rendered_minor + 1
           WHERE person = (SELECT patient FROM charge WHERE no = 2)"],
        &["UPDATE till_balance SET rendered_minor = rendered_minor - 1
           WHERE person = (SELECT patient FROM charge WHERE no = 2)"],
        &[Rendered],
        "SELECT patient FROM charge WHERE no = 2",
    ),
    damage(
        &["UPDATE pot SET used_minor = used_minor + 1"],
        &["UPDATE pot SET used_minor = used_minor - 1"],
        &[Pot],
        "SELECT payer FROM pot",
    ),
    damage(
        &["UPDATE charge SET quantity = 0 WHERE no = 2"],
        &["UPDATE charge SET quantity = 3 WHERE no = 2"],
        &[ChargeState],
        "SELECT id FROM charge WHERE no = 2",
    ),
    damage(
        &["UPDATE charge SET cancelled_ms = 1 WHERE no = 2"],
        &["UPDATE charge SET cancelled_ms = NULL WHERE no = 2"],
        &[ChargeState],
        "SELECT id FROM charge WHERE no = 2",
    ),
    damage(
        &["UPDATE charge SET gross_minor = gross_minor + 1, net_minor = net_minor + 1 WHERE no = 1"],
        &["UPDATE charge SET gross_minor = gross_minor - 1, net_minor = net_minor - 1 WHERE no = 1"],
        &[Rendered, OwedCharges, ChargePosted],
        "SELECT patient FROM charge WHERE no = 1",
    ),
    damage(
        &["UPDATE charge SET gross_minor = gross_minor + 1, discount_minor = discount_minor + 1 WHERE no = 6"],
        &["UPDATE charge SET gross_minor = gross_minor - 1, discount_minor = discount_minor - 1 WHERE no = 6"],
        &[ChargePosted, ChargeDiscount],
        "SELECT id FROM charge WHERE no = 6",
    ),
    damage(
        &["UPDATE charge SET paid_minor = paid_minor + 1 WHERE no = 1"],
        &["UPDATE charge SET paid_minor = paid_minor - 1 WHERE no = 1"],
        &[OwedCharges, ChargePaid],
        "SELECT patient FROM charge WHERE no = 1",
    ),
    damage(
        &["UPDATE charge SET written_off_minor = written_off_minor + 1 WHERE no = 7"],
        &["UPDATE charge SET written_off_minor = written_off_minor - 1 WHERE no = 7"],
        &[OwedCharges, ChargeWrittenOff],
        "SELECT patient FROM charge WHERE no = 7",
    ),
    // Less was taken back than was charged.
    damage(
        &["UPDATE ledger SET minor = minor - 1 WHERE kind = 'cancelled'"],
        &["UPDATE ledger SET minor = minor + 1 WHERE kind = 'cancelled'"],
        &[Owed, ChargePosted, ChargeLeft, AuditSum],
        "SELECT patient FROM charge WHERE no = 5",
    ),
    damage(
        &["UPDATE payment SET done_ms = NULL WHERE no = 1"],
        &["UPDATE payment SET done_ms = begun_ms WHERE no = 1"],
        &[PaymentState],
        "SELECT id FROM payment WHERE no = 1",
    ),
    damage(
        &["UPDATE payment SET minor = minor + 1 WHERE no = 1"],
        &["UPDATE payment SET minor = minor - 1 WHERE no = 1"],
        &[PaymentPosted],
        "SELECT id FROM payment WHERE no = 1",
    ),
    damage(
        &["UPDATE payment_part SET minor = minor + 1 WHERE payment = (SELECT id FROM payment WHERE no = 1)"],
        &["UPDATE payment_part SET minor = minor - 1 WHERE payment = (SELECT id FROM payment WHERE no = 1)"],
        &[PaymentParts],
        "SELECT id FROM payment WHERE no = 1",
    ),
    damage(
        &["UPDATE till_shift SET expected_minor = expected_minor + 1"],
        &["UPDATE till_shift SET expected_minor = expected_minor - 1"],
        &[DrawerExpected],
        "SELECT id FROM till_shift",
    ),
    damage(
        &["UPDATE ledger SET minor = minor + 1 WHERE kind = 'collected'"],
        &["UPDATE ledger SET minor = minor - 1 WHERE kind = 'collected'"],
        &[DrawerLeft, AuditSum],
        "SELECT id FROM till_shift",
    ),
    // A counter that was set back or forward, and a number that is left out.
    damage(
        &["UPDATE counter SET value = value + 1 WHERE name = 'charge'"],
        &["UPDATE counter SET value = value - 1 WHERE name = 'charge'"],
        &[Numbers],
        "SELECT 'charge'",
    ),
    damage(
        &["UPDATE payment SET no = 9 WHERE no = 2"],
        &["UPDATE payment SET no = 2 WHERE no = 9"],
        &[Numbers],
        "SELECT 'payment'",
    ),
    // A row of the ledger that is gone.
    damage(
        &[
            "CREATE TABLE planted AS SELECT * FROM ledger WHERE kind = 'float'",
            "DELETE FROM ledger WHERE kind = 'float'",
        ],
        &["INSERT INTO ledger SELECT * FROM planted", "DROP TABLE planted"],
        &[DrawerExpected, DrawerLeft, Numbers],
        "SELECT id FROM till_shift",
    ),
    damage(
        &["UPDATE ledger SET shift = NULL WHERE kind = 'float'"],
        &["UPDATE ledger SET shift = (SELECT id FROM till_shift) WHERE kind = 'float'"],
        &[DrawerExpected, DrawerLeft, LedgerRow],
        "SELECT id FROM till_shift",
    ),
    damage(
        &["UPDATE ledger SET debit = 'pocket' WHERE kind = 'collected'"],
        &["UPDATE ledger SET debit = 'safe' WHERE kind = 'collected'"],
        &[LedgerRow, AuditSum],
        "SELECT CAST(no AS TEXT) FROM ledger WHERE kind = 'collected'",
    ),
    // Rows of one entry that disagree, and one without its pair.
    damage(
        &["UPDATE ledger SET day = day + 1 WHERE debit = 'discount'"],
        &["UPDATE ledger SET day = day - 1 WHERE debit = 'discount'"],
        &[LedgerEntry],
        "SELECT CAST(entry AS TEXT) FROM ledger WHERE debit = 'discount'",
    ),
    damage(
        &["UPDATE ledger SET minor = minor + 1 WHERE debit = 'merged'"],
        &["UPDATE ledger SET minor = minor - 1 WHERE debit = 'merged'"],
        &[Owed, LedgerEntry],
        "SELECT patient FROM ledger WHERE debit = 'merged'",
    ),
    damage(
        &["UPDATE ledger SET audit = audit + 100000 WHERE kind = 'float'"],
        &["UPDATE ledger SET audit = audit - 100000 WHERE kind = 'float'"],
        &[AuditMissing],
        "SELECT CAST(audit AS TEXT) FROM ledger WHERE kind = 'float'",
    ),
    // The entry is about something else.
    damage(
        &["UPDATE ledger SET audit = audit - 1 WHERE kind = 'float'"],
        &["UPDATE ledger SET audit = audit + 1 WHERE kind = 'float'"],
        &[AuditSum],
        "SELECT CAST(audit AS TEXT) FROM ledger WHERE kind = 'float'",
    ),
    damage(
        &["UPDATE till_day SET last_ledger = last_ledger - 1"],
        &["UPDATE till_day SET last_ledger = last_ledger + 1"],
        &[ClosedDay],
        "SELECT CAST(MAX(no) AS TEXT) FROM ledger",
    ),
];

/// Something of everything that the check compares. Charges by their numbers: 1 is paid in part, 2 counts against a pot, 3 is
/// paid from a deposit, 4 is an order that is paid, 5 is taken back, 6 has a discount, 7 is written off in part.
async fn furnished(stage: &Stage) {
    let (till, chief, cashier) = (&stage.till, &stage.chief, &stage.cashier);
    let today = stage.today();
    till.put_payer(chief, NewPayer::new("firm", PayerKind::Group, "The firm")).await.unwrap();
    till.set_pot(chief, "firm", uah(), amount(20_000)).await.unwrap();
    till.put_member(chief, "firm", Member { person: patient(1), from: today, until: None }).await.unwrap();
    let scheme = NewScheme {
        id: "loyal".to_owned(),
        name: "A scale".to_owned(),
        currency: uah(),
        steps: vec![Step { from: Amount::ZERO, rate: 1_000 }],
        rounding: Rounding::HalfUp,
        unit: 1,
    };
    till.put_scheme(chief, scheme).await.unwrap();
    let own = |owner, mode, limit| NewTerms { owner, priority: 2, ..stage.terms(mode, limit) };
    let firm = own(Owner::Payer("firm".to_owned()), Mode::Postpaid, None);
    till.put_terms(chief, NewTerms { pot: Some("firm".to_owned()), ..firm }).await.unwrap();
    till.put_terms(chief, own(Owner::Patient(patient(2)), Mode::Deposit, None)).await.unwrap();
    let loyal = own(Owner::Patient(patient(3)), Mode::Postpaid, Some(50_000));
    till.put_terms(chief, NewTerms { scheme: Some("loyal".to_owned()), ..loyal }).await.unwrap();

    let shift = open_drawer(till, cashier, "open-a-drawer", "1", 300).await;
    let first = charge(stage, 0, "visit", 2).await;
    till.pay(cashier, stage.payment(stage.key(), 0, vec![part(&first, 500)], 0)).await.unwrap();
    charge(stage, 1, "visit", 3).await;
    till.pay(cashier, stage.payment(stage.key(), 2, vec![], 5_000)).await.unwrap();
    charge(stage, 2, "visit", 1).await;
    let order = charge(stage, 0, "home", 1).await;
    let cash = by(Method::Cash, stage.payment(stage.key(), 0, vec![part(&order, 700)], 0));
    till.pay(cashier, cash).await.unwrap();
    let mistaken = charge(stage, 0, "visit", 1).await;
    till.cancel(&stage.doctor, stage.key(), &mistaken.id, CancelReason::Mistake, "").await.unwrap();
    charge(stage, 3, "visit", 1).await;
    let lost = charge(stage, 4, "visit", 1).await;
    let new = clinic::till::requests::NewWriteOff {
        key: stage.key(),
        charge: lost.id,
        amount: amount(400),
        reason: clinic::till::requests::WriteOffReason::Small,
        words: WHY.to_owned(),
    };
    let request = till.ask_write_off(cashier, new).await.unwrap();
    till.decide_request(chief, &request.id, true, WHY).await.unwrap();
    stage.give_back(2, 1_000).await;
    stage.merge(3, 4).await;
    till.close_shift(cashier, closing("close-a-drawer", &shift, 1_000, 0)).await.unwrap();
    till.close_day(chief, today).await.unwrap();
}

async fn run(stage: &Stage, all: &'static [&'static str]) {
    store::transact!(stage.database, "test.plant", |conn| {
        for text in all {
            sqlx::query(*text).execute(&mut *conn).await?;
        }
        Ok(())
    })
    .unwrap();
}

fn codes(checked: &Checked) -> Vec<CheckCode> {
    let mut codes: Vec<CheckCode> = checked.findings.iter().map(|finding| finding.code).collect();
    codes.dedup();
    codes
}

story!(every_kind_of_damage_is_named_and_nothing_else, |stage| {
    furnished(&stage).await;
    stage.is_sound().await;
    let refused = store::transact!(stage.database, "test.refused", |conn| {
        sqlx::query("UPDATE ledger SET minor = minor + 1").execute(&mut *conn).await?;
        Ok(())
    });
    assert!(refused.is_err(), "the database itself refuses to change the ledger");
    match stage.database.engine() {
        store::Engine::Sqlite => run(&stage, &["DROP TRIGGER ledger_fixed", "DROP TRIGGER ledger_stays"]).await,
        store::Engine::Postgres => run(&stage, &["ALTER TABLE ledger DISABLE TRIGGER USER"]).await,
    }
    let mut unnamed: Vec<CheckCode> = CheckCode::ALL.to_vec();
    for damage in ALL {
        run(&stage, damage.plant).await;
        let checked = stage.check().await;
        assert_eq!(codes(&checked), damage.named, "{:?}: {checked:#?}", damage.plant);
        let at: String = store::read!(stage.database, "test.at", |conn| {
            Ok(sqlx::query_scalar(damage.at).fetch_one(&mut *conn).await?)
        })
        .unwrap();
        assert_eq!(checked.findings[0].id, at, "{:?}", damage.plant);
        unnamed.retain(|code| !damage.named.contains(code));
        run(&stage, damage.mend).await;
    }
    assert!(unnamed.is_empty(), "no damage shows that these are found: {unnamed:?}");
});

story!(a_difference_is_told_to_the_last_unit_with_what_it_must_be_and_what_it_is, |stage| {
    furnished(&stage).await;
    run(&stage, &["UPDATE pot SET used_minor = used_minor - 7"]).await;
    let checked = stage.check().await;
    let finding = &checked.findings[0];
    assert_eq!((checked.findings.len(), finding.id.as_str(), finding.currency), (1, "firm", Some(uah())));
    assert_eq!((finding.expected, finding.found), (Some(3_000), Some(2_993)));
    run(&stage, &["UPDATE pot SET used_minor = used_minor + 7"]).await;
});
