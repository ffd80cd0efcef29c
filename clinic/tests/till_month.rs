//! A simulated month: patients on all terms, services, payments, services taken back, write-offs, money given back, a drawer
//! opened and closed and the day closed each evening. At its end the trial balance is zero, balances are what the ledger
//! says, limits are what is open, discounts come out the same when worked out again, and statements agree.
//! `TAPWARD_MONTH` asks for more charges a day.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "tests and what they share"
)]

#[path = "till_model/stage.rs"]
#[allow(dead_code, reason = "shared with the other tests of the till")]
mod stage;

use std::collections::BTreeMap;

use clinic::Database;
use clinic::till::payments::NewPayment;
use clinic::till::requests::{NewWriteOff, WriteOffReason};
use clinic::till::shifts::{Closing, DifferenceReason, NewShift};
use clinic::till::{CancelReason, Member, NewPayer, NewScheme, NewTerms, PayerKind, TillError};
use domain::money::Amount;
use domain::till::{Ledger, Method, Mode, Owner, Rounding, Step};
use fastrand::Rng;
use stage::{NOW, Stage, WHY, amount, patient, uah};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const DAYS: i64 = 30;
const PATIENTS: usize = 60;
/// Charges of a day.
const CHARGES: usize = 24;
const PRICES: [i64; 6] = [12_000, 45_050, 99_999, 7_505, 150_000, 33_333];

fn charges_a_day() -> usize {
    std::env::var("TAPWARD_MONTH").ok().and_then(|text| text.parse().ok()).unwrap_or(CHARGES)
}

async fn set_up(stage: &Stage) {
    let (till, chief) = (&stage.till, &stage.chief);
    for (number, price) in PRICES.iter().enumerate() {
        stage.service(&format!("s{number}"), *price, number == 5).await;
    }
    let step = |from, rate| Step { from: amount(from), rate };
    let steps = vec![step(100_000, 300), step(500_000, 500), step(1_000_000, 725)];
    let scale = NewScheme {
        id: "loyal".to_owned(),
        name: "Loyal patients".to_owned(),
        currency: uah(),
        steps,
        rounding: Rounding::HalfEven,
        unit: 1,
    };
    till.put_scheme(chief, scale).await.unwrap();
    till.put_payer(chief, NewPayer::new("firm", PayerKind::Contract, "A firm")).await.unwrap();
    till.set_pot(chief, "firm", uah(), amount(3_000_000)).await.unwrap();
    let scheme = Some("loyal".to_owned());
    let everybody = NewTerms { scheme: scheme.clone(), ..stage.terms(Mode::Postpaid, Some(400_000)) };
    till.put_terms(chief, everybody).await.unwrap();
    let firm = NewTerms { pot: Some("firm".to_owned()), scheme, ..stage.terms(Mode::Postpaid, Some(900_000)) };
    till.put_terms(chief, NewTerms { owner: Owner::Payer("firm".to_owned()), ..firm }).await.unwrap();
    for who in 0..PATIENTS {
        let owner = Owner::Patient(patient(who));
        match who % 4 {
            0 => {
                let member = Member { person: patient(who), from: stage.today(), until: None };
                till.put_member(chief, "firm", member).await.unwrap();
            }
            1 => drop(till.put_terms(chief, NewTerms { owner, ..stage.terms(Mode::Deposit, None) }).await.unwrap()),
            2 if who % 8 == 2 => {
                drop(till.put_terms(chief, NewTerms { owner, ..stage.terms(Mode::Prepaid, None) }).await.unwrap());
            }
            _ => {}
        }
    }
}

/// How often what happened.
#[derive(Debug, Default)]
struct Counts {
    registered: usize,
    refused: usize,
    paid: usize,
    cancelled: usize,
    rendered: usize,
    written_off: usize,
    given_back: usize,
}

async fn pay(stage: &Stage, draw: &mut Rng, who: usize, counts: &mut Counts) {
    let open = stage.till.open_charges(&stage.cashier, patient(who)).await.unwrap();
    let some = open.iter().take(draw.usize(1..=6));
    let is_part = draw.u8(..5) == 0;
    let parts: Vec<(String, Amount)> = some
        .map(|charge| {
            let open = charge.open();
            (charge.id.clone(), if is_part { amount((open.minor() / 2).max(1)) } else { open })
        })
        .collect();
    let rest = if who % 4 == 1 { 200_000 } else { 0 };
    if parts.is_empty() && rest == 0 {
        return;
    }
    let method = [Method::Cash, Method::Cash, Method::Transfer][draw.usize(..3)];
    let new = NewPayment { method, ..stage.payment(stage.key(), who, parts, rest) };
    stage.till.pay(&stage.cashier, new).await.unwrap();
    counts.paid += 1;
}

async fn a_day(stage: &Stage, draw: &mut Rng, counts: &mut Counts) {
    let till = &stage.till;
    let new = NewShift { key: stage.key(), drawer: "front".to_owned(), currency: None, float: amount(50_000) };
    let shift = till.open_shift(&stage.cashier, new).await.unwrap();
    let mut today = Vec::new();
    for _ in 0..charges_a_day() {
        stage.set_clock(stage.now() + draw.i64(1..=60_000));
        let who = draw.usize(..PATIENTS);
        let service = format!("s{}", draw.usize(..PRICES.len()));
        match till.register(&stage.doctor, stage.charge(stage.key(), who, &service, draw.u32(1..=2))).await {
            Ok(charge) => {
                counts.registered += 1;
                today.push(charge.id);
            }
            Err(TillError::Refused(_)) => {
                counts.refused += 1;
                pay(stage, draw, who, counts).await;
            }
            Err(other) => panic!("{other}"),
        }
        if draw.u8(..3) == 0 {
            let who = draw.usize(..PATIENTS);
            pay(stage, draw, who, counts).await;
        }
    }
    for id in &today {
        match draw.u8(..20) {
            0..=1 => {
                let done = till.cancel(&stage.doctor, stage.key(), id, CancelReason::Mistake, "").await;
                counts.cancelled += usize::from(done.is_ok());
            }
            2..=12 => {
                let done = till.render(&stage.doctor, stage.key(), id, None).await;
                counts.rendered += usize::from(done.is_ok());
            }
            13 => {
                let charge = till.charge(&stage.cashier, id).await.unwrap();
                let ask = NewWriteOff {
                    key: stage.key(),
                    charge: id.clone(),
                    amount: amount((charge.open().minor() / 3).max(1)),
                    reason: WriteOffReason::Small,
                    words: WHY.to_owned(),
                };
                if let Ok(request) = till.ask_write_off(&stage.cashier, ask).await {
                    till.decide_request(&stage.chief, &request.id, true, WHY).await.unwrap();
                    counts.written_off += 1;
                }
            }
            _ => {}
        }
    }
    let who = draw.usize(..PATIENTS);
    let account = balance(stage, who, "deposit_minor").await;
    if account > 0 {
        stage.give_back(who, account.min(5_000)).await;
        counts.given_back += 1;
    }
    let totals = till.shift_totals(&stage.cashier, &shift.id).await.unwrap();
    let difference = [0, 0, 0, -100, 50][draw.usize(..5)];
    let closing = Closing {
        key: stage.key(),
        shift: shift.id,
        counted: amount((totals.cash.minor() + difference).max(0)),
        card: totals.card,
        reason: (difference != 0).then_some(DifferenceReason::Counting),
        words: if difference == 0 { String::new() } else { WHY.to_owned() },
    };
    till.close_shift(&stage.cashier, closing).await.unwrap();
    till.close_day(&stage.chief, stage.today()).await.unwrap();
}

async fn balance(stage: &Stage, who: usize, column: &str) -> i64 {
    let person = patient(who).to_string();
    let row: Option<(i64, i64)> = store::read!(stage.database, "test.balance", |conn| {
        Ok(sqlx::query_as("SELECT owed_minor, deposit_minor FROM till_balance WHERE person = $1")
            .bind(&person)
            .fetch_optional(&mut *conn)
            .await?)
    })
    .unwrap();
    row.map_or(0, |(owed, deposit)| if column == "owed_minor" { owed } else { deposit })
}

/// Every discount again, from nothing but the list of charges and the scale, in the order of the ledger.
async fn discounts_come_out_the_same(stage: &Stage) {
    type Row = (i64, String, Option<String>, i64, i64, i64, i64);
    let rows: Vec<Row> = store::read!(stage.database, "test.discounts", |conn| {
        Ok(sqlx::query_as(
            "SELECT no, patient, scheme, gross_minor, discount_minor, before_minor, rate FROM charge ORDER BY no",
        )
        .fetch_all(&mut *conn)
        .await?)
    })
    .unwrap();
    assert!(rows.len() > 100);
    let mut with_discount = 0;
    for (no, _, scheme, gross, discount, before, rate) in rows {
        let expected_rate = match (scheme, before) {
            (None, _) | (Some(_), ..100_000) => 0,
            (_, ..500_000) => 300,
            (_, ..1_000_000) => 500,
            _ => 725,
        };
        assert_eq!(rate, expected_rate, "charge {no}");
        // To the even one in the middle, in whole numbers.
        let (whole, rest) = (gross * rate / 10_000, gross * rate % 10_000);
        let up = rest * 2 > 10_000 || (rest * 2 == 10_000 && whole % 2 == 1);
        assert_eq!(discount, whole + i64::from(up), "charge {no}");
        with_discount += usize::from(discount > 0);
    }
    assert!(with_discount > 20, "{with_discount}");
}

/// What a patient's rows of the ledger sum up to, by hand, is the balance.
async fn statements_agree(stage: &Stage) {
    type Row = (String, String, String, i64);
    let rows: Vec<Row> = store::read!(stage.database, "test.ledger", |conn| {
        Ok(sqlx::query_as("SELECT patient, debit, credit, minor FROM ledger WHERE patient IS NOT NULL ORDER BY no")
            .fetch_all(&mut *conn)
            .await?)
    })
    .unwrap();
    let (mut owed, mut deposit) = (BTreeMap::<String, i64>::new(), BTreeMap::<String, i64>::new());
    for (person, debit, credit, minor) in rows {
        let owed = owed.entry(person.clone()).or_default();
        let deposit = deposit.entry(person).or_default();
        for (sums, name, sign) in [(owed, "owed", 1), (deposit, "deposit", -1)] {
            *sums += sign * (minor * i64::from(debit == name) - minor * i64::from(credit == name));
        }
    }
    for who in 0..PATIENTS {
        let person = patient(who).to_string();
        assert_eq!(balance(stage, who, "owed_minor").await, owed.get(&person).copied().unwrap_or(0));
        assert_eq!(balance(stage, who, "deposit_minor").await, deposit.get(&person).copied().unwrap_or(0));
    }
}

async fn month(database: Database, name: &str) {
    let stage = Stage::new(database, PATIENTS).await;
    set_up(&stage).await;
    let mut draw = Rng::with_seed(30);
    let mut counts = Counts::default();
    for day in 0..DAYS {
        stage.set_clock(NOW + day * DAY_MS);
        a_day(&stage, &mut draw, &mut counts).await;
    }
    stage.is_sound().await;
    discounts_come_out_the_same(&stage).await;
    statements_agree(&stage).await;
    let lines = stage.till.trial_balance(&stage.chief, None).await.unwrap();
    let of = |ledger: Ledger| {
        lines.iter().find(|line| line.ledger == ledger).map_or(0, |line| line.balance().unwrap().minor())
    };
    assert_eq!(of(Ledger::Drawer), 0, "every drawer was closed");
    assert!(of(Ledger::Revenue) < 0 && of(Ledger::Discount) > 0 && of(Ledger::Difference) != 0);
    for (what, count) in [
        ("refused", counts.refused),
        ("paid", counts.paid),
        ("cancelled", counts.cancelled),
        ("rendered", counts.rendered),
        ("written off", counts.written_off),
        ("given back", counts.given_back),
    ] {
        assert!(count > 0, "a month without anything {what} shows too little: {counts:?}");
    }
    println!("{name}: {counts:?}; the trial balance is zero");
    stage.close_database().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_month_everything_adds_up_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("month.db").display());
    month(Database::open(&url).await.unwrap(), "SQLite").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_month_everything_adds_up_on_postgres() {
    let url = tokio::task::spawn_blocking(store::testing::postgres_url).await.unwrap();
    month(Database::open(&url).await.unwrap(), "PostgreSQL").await;
}
