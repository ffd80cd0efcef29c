//! A clinic with a till: patients, a doctor, a cashier, a chief cashier and a price list; the clock is in our hands. Shared by
//! the tests that try to break it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use chrono_tz::Tz;
use clinic::Database;
use clinic::acting::{Acting, Actor};
use clinic::feeds::{Alias, Feeds, Settings, SiteKeys, Source};
use clinic::people::Reference as Called;
use clinic::till::check::Checked;
use clinic::till::payments::{NewPayment, NewRefund, RefundOutcome, RefundReason};
use clinic::till::{NewCharge, NewPrice, NewService, NewTerms, Rules, Till, TillError};
use domain::money::{Amount, Currency};
use domain::schedule::LocalDate;
use domain::till::{Ledger, Method, Mode, Owner, Refusal};
use domain::visit::OutOfCardCode;
use domain::{Clock, Permission, PersonId, Rights, Shipped, UtcMillis, Zones};

/// 2026-11-20T08:00:00Z, ten o'clock in Kyiv.
pub(crate) const NOW: i64 = 1_795_161_600_000;
pub(crate) const WHY: &str = "because the test asks for it";
pub(crate) const ZONE: Tz = chrono_tz::Europe::Kyiv;

pub(crate) fn amount(minor: i64) -> Amount {
    Amount::new(minor).unwrap()
}

pub(crate) fn uah() -> Currency {
    Currency::parse("UAH").unwrap()
}

/// Patients are 0, 1, 2 …
pub(crate) fn patient(number: usize) -> PersonId {
    let mut id = [7; 16];
    id[..8].copy_from_slice(&(number as u64).to_be_bytes());
    PersonId(id)
}

pub(crate) fn rules() -> Rules {
    Rules { override_max: amount(1_000_000), refund_alone_max: amount(5_000), ..Rules::of(uah()) }
}

#[derive(Clone)]
pub(crate) struct Stage {
    pub(crate) database: Database,
    pub(crate) till: Till,
    pub(crate) doctor: Acting,
    pub(crate) cashier: Acting,
    pub(crate) chief: Acting,
    now: Arc<AtomicI64>,
    keys: Arc<AtomicU64>,
}

async fn account(database: &Database, letter: &str, role: Shipped) -> Acting {
    let id = letter.repeat(32);
    let row = id.clone();
    store::transact!(database, "test.account", |conn| {
        sqlx::query(
            "INSERT INTO account (id, login, shown_name, locale, theme, created_at) VALUES ($1, $2, $2, 'en', 'auto', 0)
             ON CONFLICT DO NOTHING",
        )
        .bind(&row)
        .bind(&row)
        .execute(&mut *conn)
        .await?;
        Ok(())
    })
    .unwrap();
    let mut rights = Rights::of(role);
    // What a card needs a visit for, an account does without.
    rights.add(&[Permission::ServiceRegister], &[], &Zones::All);
    Acting { actor: Actor::Account(id), rights, session: None, address: None, glass: None }
}

impl Stage {
    /// With so many patients, over an empty database or over one that has such a stage already.
    pub(crate) async fn new(database: Database, patients: usize) -> Self {
        let now = Arc::new(AtomicI64::new(NOW));
        let clock = {
            let now = now.clone();
            Clock::new(move || UtcMillis(now.load(Ordering::Relaxed)))
        };
        let till = Till::new(database.clone(), clock, ZONE, rules());
        let doctor = account(&database, "d", Shipped::Doctor).await;
        let cashier = account(&database, "c", Shipped::Cashier).await;
        let chief = account(&database, "e", Shipped::Accountant).await;
        let all: Vec<usize> = (0..patients).collect();
        for some in all.chunks(500) {
            let some: Vec<String> = some.iter().map(|number| patient(*number).to_string()).collect();
            store::transact!(database, "test.patients", |conn| {
                let mut insert = sqlx::QueryBuilder::<Db>::new("INSERT INTO person (id, created_ms) ");
                insert.push_values(&some, |mut row, id| {
                    row.push_bind(id.clone()).push_bind(NOW);
                });
                insert.push(" ON CONFLICT (id) DO NOTHING");
                insert.build().execute(&mut *conn).await?;
                Ok(())
            })
            .unwrap();
        }
        Self { database, till, doctor, cashier, chief, now, keys: Arc::new(AtomicU64::new(0)) }
    }

    /// Another program's till over the same database and clock.
    pub(crate) fn another_till(&self, database: Database) -> Till {
        let now = self.now.clone();
        Till::new(database, Clock::new(move || UtcMillis(now.load(Ordering::Relaxed))), ZONE, rules())
    }

    /// Somebody who may both register and approve.
    pub(crate) fn chief_doctor(&self) -> Acting {
        let mut rights = self.chief.rights.clone();
        rights.add(&[Permission::ServiceRegister], &[], &Zones::All);
        Acting { rights, ..self.chief.clone() }
    }

    pub(crate) fn now(&self) -> i64 {
        self.now.load(Ordering::Relaxed)
    }

    pub(crate) fn set_clock(&self, ms: i64) {
        self.now.store(ms, Ordering::Relaxed);
    }

    pub(crate) fn today(&self) -> LocalDate {
        self.till.today()
    }

    pub(crate) fn key(&self) -> String {
        format!("key-{:08}", self.keys.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) async fn service(&self, code: &str, minor: i64, at_home: bool) {
        let new = NewService { at_home, ..NewService::new(code, code) };
        self.till.put_service(&self.chief, new).await.unwrap();
        self.price(code, Some(minor)).await;
    }

    pub(crate) async fn price(&self, code: &str, minor: Option<i64>) {
        let price = NewPrice { amount: minor.map(amount), ..NewPrice::new(code, uah(), Amount::ZERO) };
        self.till.set_prices(&self.chief, None, vec![price]).await.unwrap();
    }

    /// Terms from today on; for everybody, unless changed.
    pub(crate) fn terms(&self, mode: Mode, limit: Option<i64>) -> NewTerms {
        NewTerms { mode, limit: limit.map(amount), ..NewTerms::new(Owner::Everybody, uah(), self.today()) }
    }

    /// A service without a visit, with its reason.
    pub(crate) fn charge(&self, key: String, who: usize, service: &str, quantity: u32) -> NewCharge {
        NewCharge {
            key,
            patient: patient(who),
            visit: None,
            session: None,
            out_of_card: Some((OutOfCardCode::ALL[0], WHY.to_owned())),
            service: service.to_owned(),
            quantity,
            currency: None,
            shown: None,
        }
    }

    /// Money for charges of a patient, by transfer.
    pub(crate) fn payment(&self, key: String, who: usize, parts: Vec<(String, Amount)>, rest: i64) -> NewPayment {
        let sum = parts.iter().fold(amount(rest), |sum, (_, minor)| sum.plus(*minor).unwrap());
        NewPayment {
            key,
            patient: Some(patient(who)),
            payer: None,
            method: Method::Transfer,
            currency: uah(),
            amount: sum,
            parts,
            rest_to_deposit: rest > 0,
            terminal: None,
            external: None,
        }
    }

    /// Gives a patient money back from the deposit, by transfer, as much as a cashier may alone.
    pub(crate) async fn give_back(&self, who: usize, minor: i64) {
        let new = NewRefund {
            key: self.key(),
            patient: patient(who),
            method: Method::Transfer,
            currency: uah(),
            amount: amount(minor),
            external: None,
            refunds: None,
            reason: RefundReason::Wish,
            words: WHY.to_owned(),
        };
        let outcome = self.till.refund(&self.cashier, new).await.unwrap();
        assert!(matches!(outcome, RefundOutcome::Paid(_)), "{outcome:?}");
    }

    /// One record becomes another, as the medical system says it.
    pub(crate) async fn merge(&self, gone: usize, into: usize) {
        store::transact!(self.database, "test.aliases", |conn| {
            for number in [gone, into] {
                sqlx::query(
                    "INSERT INTO person_alias (system, value, person) VALUES ('mis', $1, $2) ON CONFLICT DO NOTHING",
                )
                .bind(format!("P-{number}"))
                .bind(patient(number).to_string())
                .execute(&mut *conn)
                .await?;
            }
            Ok(())
        })
        .unwrap();
        let keys = SiteKeys { card: domain::CardKey::new([3; 32]), seal: None };
        let now = UtcMillis(self.now());
        let feeds = Feeds::new(self.database.clone(), Clock::new(move || now), None, keys, Settings::new(ZONE));
        let (mis, called) = (Source::new("mis").unwrap(), |number| Called::new(&format!("P-{number}")).unwrap());
        let (gone, into) = (Alias::own(called(gone)), Alias::own(called(into)));
        feeds.merge(&Acting::feed(&mis), &mis, &gone, &into, now).await.unwrap();
    }

    pub(crate) async fn check(&self) -> Checked {
        self.till.check(&self.chief).await.unwrap()
    }

    /// All is right, and debits are credits.
    pub(crate) async fn is_sound(&self) {
        let checked = self.check().await;
        assert!(checked.is_right(), "{checked:#?}");
        let lines = self.till.trial_balance(&self.chief, None).await.unwrap();
        let sum: i64 = lines.iter().map(|line| line.balance().unwrap().minor()).sum();
        assert_eq!(sum, 0, "{lines:?}");
        assert!(lines.iter().all(|line| line.ledger != Ledger::Merged || line.balance() == Some(Amount::ZERO)));
    }

    pub(crate) async fn close_database(self) {
        self.database.close().await;
    }
}

/// Why not, in the words of the reference.
pub(crate) fn no(error: &TillError) -> String {
    let text = match error {
        TillError::Refused(refusal) => return refused(refusal),
        TillError::NotFound => "over",
        TillError::NotTheirs => "not_theirs",
        TillError::Changed => "changed",
        TillError::KeyReused => "key_reused",
        TillError::OwnRequest => "own_request",
        TillError::NoShift => "no_shift",
        TillError::ReasonWanted => "reason_wanted",
        TillError::Invalid { field, .. } => return format!("invalid {field}"),
        other => panic!("{other}"),
    };
    text.to_owned()
}

fn refused(refusal: &Refusal) -> String {
    let code = refusal.code();
    match *refusal {
        Refusal::PriceChanged { shown, now } => format!("{code} shown={} now={}", shown.minor(), now.minor()),
        Refusal::PatientLimit { limit, left, missing } | Refusal::PotLimit { limit, left, missing } => {
            format!("{code} limit={} left={} missing={}", limit.minor(), left.minor(), missing.minor())
        }
        Refusal::Deposit { left, missing } => format!("{code} left={} missing={}", left.minor(), missing.minor()),
        Refusal::NotPaid { missing } => format!("{code} missing={}", missing.minor()),
        _ => code.to_owned(),
    }
}
