//! A clinic that charges: desks with visits, services with prices, terms for everybody.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use clinic::Database;
use clinic::acting::{Acting, Actor};
use clinic::till::{Charge, NewCharge, NewPrice, NewScheme, NewService, NewTerms, Rules, Till, TillError};
use domain::money::{Amount, Currency};
use domain::schedule::LocalDate;
use domain::till::terms::{Mode, Owner};
use domain::till::{Account, Refusal, Rounding, Step};
use domain::visit::OutOfCardCode;
use domain::{Clock, PersonId, Rights, Shipped, UtcMillis};

use crate::scene::{NOW, Scene, manager, person, plain};

pub(crate) fn amount(minor: i64) -> Amount {
    Amount::new(minor).unwrap()
}

pub(crate) fn uah() -> Currency {
    Currency::parse("UAH").unwrap()
}

pub(crate) struct Clinic {
    pub(crate) scene: Arc<Scene>,
    pub(crate) till: Till,
    keys: AtomicU64,
}

/// The same clinic on both engines: `blood` costs 100.00, `scan` 620.00, `free` nothing, `home` 500.00 at the patient's home.
pub(crate) async fn both(folder: &Path) -> Vec<Clinic> {
    let mut clinics = Vec::new();
    for database in store::testing::both(folder).await {
        clinics.push(Clinic::new(database).await);
    }
    clinics
}

/// A doctor at their desk.
pub(crate) fn doctor(number: u8) -> Acting {
    Acting { actor: Actor::Staff(person(number)), rights: Rights::of(Shipped::Doctor), ..Acting::system() }
}

impl Clinic {
    pub(crate) async fn new(database: Database) -> Self {
        let mut scene = Scene::new(database.clone(), plain()).await;
        scene.desk = scene.desk.clone().with_visits(domain::visit::Rules::default());
        let scene = Arc::new(scene);
        let till = till(&scene);
        let clinic = Self { scene, till, keys: AtomicU64::new(0) };
        for (code, price, at_home) in
            [("blood", 10_000, false), ("scan", 62_000, false), ("free", 0, false), ("home", 50_000, true)]
        {
            clinic.service(code, at_home).await;
            clinic.price(code, price).await;
        }
        clinic
    }

    pub(crate) async fn service(&self, code: &str, at_home: bool) {
        let names = [("en", format!("The {code}")), ("uk", format!("Послуга {code}"))];
        let new = NewService {
            code: code.to_owned(),
            names: names.into_iter().map(|(language, name)| (language.to_owned(), name)).collect(),
            category: "any".to_owned(),
            at_home,
            external: None,
            ended: false,
        };
        self.till.put_service(&manager(), new).await.unwrap();
    }

    pub(crate) async fn price(&self, code: &str, minor: i64) {
        let prices = vec![NewPrice::new(code, uah(), amount(minor))];
        self.till.set_prices(&manager(), None, prices).await.unwrap();
    }

    /// Terms for everybody.
    pub(crate) async fn terms(&self, mode: Mode, limit: Option<i64>, scheme: Option<&str>) {
        self.terms_for(Owner::Everybody, mode, limit, None, scheme, 0).await;
    }

    pub(crate) async fn terms_for(
        &self,
        owner: Owner,
        mode: Mode,
        limit: Option<i64>,
        pot: Option<&str>,
        scheme: Option<&str>,
        priority: u32,
    ) {
        let new = NewTerms {
            mode,
            limit: limit.map(amount),
            pot: pot.map(str::to_owned),
            scheme: scheme.map(str::to_owned),
            priority,
            ..NewTerms::new(owner, uah(), LocalDate(20_000))
        };
        self.till.put_terms(&manager(), new).await.unwrap();
    }

    /// A scale: 3 % from 100.00 on, 10 % from 500.00 on.
    pub(crate) async fn scheme(&self, id: &str) {
        self.scheme_from(id, 10_000).await;
    }

    /// The same with its first step from another sum on.
    pub(crate) async fn scheme_from(&self, id: &str, first: i64) {
        let step = |from, rate| Step { from: amount(from), rate };
        let new = NewScheme {
            id: id.to_owned(),
            name: id.to_owned(),
            currency: uah(),
            steps: vec![step(first, 300), step(50_000, 1_000)],
            rounding: Rounding::HalfUp,
            unit: 1,
        };
        self.till.put_scheme(&manager(), new).await.unwrap();
    }

    /// A key that nobody used.
    pub(crate) fn key(&self) -> String {
        format!("key-of-test-{}", self.keys.fetch_add(1, Ordering::Relaxed))
    }

    /// The doctor's tap, then the patient's; the binding and the visit.
    pub(crate) async fn visit(&self, doctor: u8, patient: u8) -> (String, String) {
        if self.scene.at(doctor).await.is_none() {
            self.scene.tap(doctor, doctor).await;
        }
        self.scene.tap(doctor, patient).await;
        let session = self.scene.at(doctor).await.unwrap().id;
        let visit = clinic::visits::running_of(&self.scene.database, person(patient)).await.unwrap().unwrap();
        (session, visit.id)
    }

    /// A wish for a service without a visit.
    pub(crate) fn wish(&self, patient: u8, service: &str) -> NewCharge {
        NewCharge {
            key: self.key(),
            patient: person(patient),
            visit: None,
            session: None,
            out_of_card: Some((OutOfCardCode::Telephone, "asked for it by telephone".to_owned())),
            service: service.to_owned(),
            quantity: 1,
            currency: None,
            shown: None,
        }
    }

    /// Registers without a visit, as the first doctor.
    pub(crate) async fn register(&self, patient: u8, service: &str) -> Result<Charge, TillError> {
        self.till.register(&doctor(1), self.wish(patient, service)).await
    }

    /// Why it was refused.
    pub(crate) async fn refused(&self, patient: u8, service: &str) -> Refusal {
        match self.register(patient, service).await {
            Err(TillError::Refused(refusal)) => refusal,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn account(&self, patient: PersonId) -> Account {
        let person = patient.to_string();
        let row: Option<(i64, i64, i64, i64)> = store::read!(self.scene.database, "test.account", |conn| {
            Ok(sqlx::query_as(
                "SELECT owed_minor, deposit_minor, held_minor, rendered_minor FROM till_balance WHERE person = $1",
            )
            .bind(&person)
            .fetch_optional(&mut *conn)
            .await?)
        })
        .unwrap();
        let (owed, deposit, held, rendered) = row.unwrap_or_default();
        Account { owed: amount(owed), deposit: amount(deposit), held: amount(held), rendered: amount(rendered) }
    }

    /// What the pot of a payer has given.
    pub(crate) async fn pot_used(&self, payer: &str) -> i64 {
        let payer = payer.to_owned();
        store::read!(self.scene.database, "test.pot", |conn| {
            Ok(sqlx::query_scalar("SELECT used_minor FROM pot WHERE payer = $1")
                .bind(&payer)
                .fetch_one(&mut *conn)
                .await?)
        })
        .unwrap()
    }

    /// The ledger in short: `rendered owed>revenue 100`.
    pub(crate) async fn ledger(&self) -> Vec<String> {
        let rows: Vec<(String, String, String, i64)> = store::read!(self.scene.database, "test.ledger", |conn| {
            Ok(sqlx::query_as("SELECT kind, debit, credit, minor FROM ledger ORDER BY no")
                .fetch_all(&mut *conn)
                .await?)
        })
        .unwrap();
        rows.into_iter().map(|(kind, debit, credit, minor)| format!("{kind} {debit}>{credit} {minor}")).collect()
    }

    /// The audit log of the till, oldest first: action, outcome, detail.
    pub(crate) async fn log(&self) -> Vec<(String, String, String)> {
        store::read!(self.scene.database, "test.log", |conn| {
            Ok(sqlx::query_as(
                "SELECT action, outcome, COALESCE(detail, '') FROM audit_entry
                 WHERE action IN ('service_registered', 'service_refused', 'service_cancelled', 'account_seen') ORDER BY no",
            )
            .fetch_all(&mut *conn)
            .await?)
        })
        .unwrap()
    }

    /// Kinds and reasons of what was told about charges.
    pub(crate) async fn told(&self) -> Vec<String> {
        let all = self.scene.changes().await;
        let about = all.iter().filter(|change| change.kind.as_str().starts_with("charge_"));
        about.map(|change| format!("{} {}", change.kind, change.reason.as_deref().unwrap_or("-"))).collect()
    }

    /// Runs one statement, as no command of ours does.
    pub(crate) async fn sql(&self, text: &'static str, bind: Vec<String>) {
        store::transact!(self.scene.database, "test.sql", |conn| {
            let mut query = sqlx::query(text);
            for value in &bind {
                query = query.bind(value.clone());
            }
            query.execute(&mut *conn).await?;
            Ok(())
        })
        .unwrap();
    }

    /// Money into a patient's deposit.
    pub(crate) async fn pay_in(&self, patient: u8, minor: i64) {
        self.sql(
            "INSERT INTO till_balance (person, currency, owed_minor, deposit_minor, held_minor, rendered_minor)
             VALUES ($1, 'UAH', 0, CAST($2 AS BIGINT), 0, 0)
             ON CONFLICT (person, currency) DO UPDATE SET deposit_minor = till_balance.deposit_minor + excluded.deposit_minor",
            vec![person(patient).to_string(), minor.to_string()],
        )
        .await;
    }

    /// An order is paid in full, as a cashier does it.
    pub(crate) async fn pay_order(&self, charge: &Charge) {
        self.sql("UPDATE charge SET paid_minor = net_minor WHERE id = $1", vec![charge.id.clone()]).await;
        self.sql(
            "INSERT INTO till_balance (person, currency, owed_minor, deposit_minor, held_minor, rendered_minor)
             VALUES ($1, 'UAH', 0, 0, CAST($2 AS BIGINT), 0)
             ON CONFLICT (person, currency) DO UPDATE SET held_minor = till_balance.held_minor + excluded.held_minor",
            vec![charge.patient.to_string(), charge.price.net.minor().to_string()],
        )
        .await;
    }
}

/// A till over the clinic's database, with its clock; each has its own registrar.
pub(crate) fn till(scene: &Arc<Scene>) -> Till {
    let clock = {
        let scene = scene.clone();
        Clock::new(move || scene.now())
    };
    Till::new(scene.database.clone(), clock, chrono_tz::Europe::Kyiv, Rules::of(uah()))
}

/// An instant of the scene's day, in milliseconds after its beginning.
pub(crate) fn at(ms: i64) -> UtcMillis {
    NOW.plus_ms(ms)
}
