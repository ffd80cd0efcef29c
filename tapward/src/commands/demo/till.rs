//! The till of the demo: services and prices, terms, a scale of discounts, a group with a shared limit; and what doctors and
//! patients do at it while the day runs: services are registered in visits, and whoever has reached a limit pays. All of it
//! goes through the same commands as the pages.

use std::time::Duration;

use anyhow::Context;
use clinic::acting::Acting;
use clinic::desk::{Desk, DeskSession};
use clinic::people::Reference;
use clinic::till::payments::NewPayment;
use clinic::till::{
    Member, NewCharge, NewPayer, NewPrice, NewScheme, NewService, NewTerms, PayerKind, ServiceFilter, Till, TillError,
};
use controller_sim::Scenario;
use domain::till::{Method, Mode, Owner, Refusal, Rounding, Step};
use domain::{Amount, Clock, PersonId};
use store::Database;

use super::desks::is_of;
use crate::compose;
use crate::config::Config;

/// The demo's currency, for its configuration.
pub const CURRENCY: &str = "UAH";
/// The group whose members share a limit, and the contract whose patients pay in before.
const GROUP: &str = "families";
const CONTRACT: &str = "C-2026-17";
/// Of so many patients one is in the group, one under the contract, one pays before.
const KINDS: usize = 4;
/// How often doctors register something, and how many services a visit has at most.
const EVERY: Duration = Duration::from_secs(4);
const SERVICES_MAX: usize = 3;

/// Code, English and Russian name, category, price in whole units (none: free), at home.
pub(super) const SERVICES: &[(&str, &str, &str, &str, i64, bool)] = &[
    ("CONS-1", "Consultation, first", "Консультация первичная", "consultations", 850, false),
    ("CONS-2", "Consultation, repeated", "Консультация повторная", "consultations", 620, false),
    ("ECG", "Electrocardiogram", "Электрокардиограмма", "diagnostics", 380, false),
    ("US-ABD", "Ultrasound, abdomen", "УЗИ брюшной полости", "diagnostics", 940, false),
    ("XR-CHEST", "X-ray, chest", "Рентген грудной клетки", "diagnostics", 560, false),
    ("LAB-BASE", "Blood count", "Общий анализ крови", "laboratory", 240, false),
    ("LAB-EXT", "Blood panel, extended", "Анализ крови расширенный", "laboratory", 1480, false),
    ("INJ", "Injection", "Инъекция", "procedures", 120, false),
    ("DRESS", "Dressing", "Перевязка", "procedures", 210, false),
    ("HOME", "Visit at home", "Вызов врача на дом", "consultations", 1600, true),
    ("NOTE", "Certificate of attendance", "Справка о посещении", "papers", 0, false),
];

/// Sets up services, prices and terms, unless there are services already.
pub async fn put(config: &Config, scenario: &Scenario, clock: &Clock) -> anyhow::Result<()> {
    let database = compose::open_database(config, clock, false).await?;
    let till = Till::new(database.clone(), clock.clone(), config.time_zone, config.till.rules.clone());
    let done = set_up(&till, scenario, &database).await;
    drop(till);
    database.close().await;
    done.context("the demo's till could not be set up")
}

async fn set_up(till: &Till, scenario: &Scenario, database: &Database) -> anyhow::Result<()> {
    let acting = Acting::console();
    if !till.services(&acting, &ServiceFilter { limit: 1, ..ServiceFilter::default() }).await?.is_empty() {
        return Ok(());
    }
    let (currency, today) = (till.rules().currency, till.today());
    let mut prices = Vec::new();
    for (code, en, ru, category, price, at_home) in SERVICES.iter().copied() {
        let mut service = NewService::new(code, en);
        service.names.insert("ru".to_owned(), ru.to_owned());
        till.put_service(&acting, NewService { category: category.to_owned(), at_home, ..service }).await?;
        prices.push(NewPrice::new(code, currency, units(till, price)));
    }
    till.set_prices(&acting, None, prices).await?;
    let step = |from, rate| Step { from: units(till, from), rate };
    till.put_scheme(
        &acting,
        NewScheme {
            id: "loyal".to_owned(),
            name: "Loyal patients".to_owned(),
            currency,
            steps: vec![step(3_000, 300), step(8_000, 500), step(15_000, 700)],
            rounding: Rounding::HalfUp,
            unit: 1,
        },
    )
    .await?;
    till.put_payer(&acting, NewPayer::new(GROUP, PayerKind::Group, "Families of staff")).await?;
    till.set_pot(&acting, GROUP, currency, units(till, 12_000)).await?;
    till.put_payer(&acting, NewPayer::new(CONTRACT, PayerKind::Contract, "Contract 17/2026")).await?;
    let terms = |owner| NewTerms { scheme: Some("loyal".to_owned()), ..NewTerms::new(owner, currency, today) };
    let limit = Some(units(till, 2_500));
    let everybody = NewTerms { mode: Mode::Postpaid, limit, ..terms(Owner::Everybody) };
    let group = NewTerms {
        mode: Mode::Postpaid,
        limit: Some(units(till, 4_000)),
        pot: Some(GROUP.to_owned()),
        ..terms(Owner::Payer(GROUP.to_owned()))
    };
    let contract = NewTerms { mode: Mode::Deposit, ..terms(Owner::Payer(CONTRACT.to_owned())) };
    for new in [everybody, group, contract] {
        till.put_terms(&acting, new).await?;
    }
    for (place, patient) in patients(scenario, database).await?.into_iter().enumerate() {
        let member = Member { person: patient, from: today, until: None };
        match place % KINDS {
            0 => till.put_member(&acting, GROUP, member).await?,
            1 => {
                till.put_member(&acting, CONTRACT, member).await?;
                let paid_in = pay_in(till, patient, units(till, 3_000), &format!("demo-deposit-{place}"));
                till.pay(&acting, paid_in).await?;
            }
            2 => {
                let terms = NewTerms { mode: Mode::Prepaid, ..terms(Owner::Patient(patient)) };
                till.put_terms(&acting, terms).await?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// The patients who come to the rooms.
async fn patients(scenario: &Scenario, database: &Database) -> anyhow::Result<Vec<PersonId>> {
    let mut found = Vec::new();
    let people = controller_sim::people(scenario);
    for person in people.iter().filter(|it| is_of(scenario, it, "patient")).take(2 * super::desks::BOOKED) {
        let Some(reference) = Reference::new(&person.reference) else { continue };
        found.extend(clinic::people::find(database, &reference).await?);
    }
    Ok(found)
}

fn units(till: &Till, count: i64) -> Amount {
    Amount::new(count * till.rules().currency.unit()).unwrap_or(Amount::ZERO)
}

fn pay_in(till: &Till, patient: PersonId, amount: Amount, key: &str) -> NewPayment {
    NewPayment {
        key: key.to_owned(),
        patient: Some(patient),
        payer: None,
        method: Method::Transfer,
        currency: till.rules().currency,
        amount,
        parts: Vec::new(),
        rest_to_deposit: true,
        terminal: None,
        external: Some(key.to_owned()),
    }
}

/// Registers services in the visits that run, as their doctors, and pays what has reached a limit. Never ends; what fails is
/// told and tried again.
pub async fn play(config: &Config, clock: &Clock) {
    let mut warned = false;
    loop {
        if let Err(error) = try_play(config, clock).await
            && !std::mem::replace(&mut warned, true)
        {
            tracing::warn!(error = %error, "demo.till");
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn try_play(config: &Config, clock: &Clock) -> anyhow::Result<()> {
    let database = compose::open_database(config, clock, false).await?;
    let till = Till::new(database.clone(), clock.clone(), config.time_zone, config.till.rules.clone());
    let desk = Desk::new(database.clone(), clock.clone(), config.desk).with_visits(config.visits);
    loop {
        for session in desk.all_current().await?.into_iter().filter(DeskSession::is_open) {
            at_desk(&till, &desk, &database, &session).await?;
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// One more service in the visit of a workstation, if one runs there.
async fn at_desk(till: &Till, desk: &Desk, database: &Database, session: &DeskSession) -> anyhow::Result<()> {
    let Some(visit) = clinic::visits::running_at(database, &session.workstation).await? else { return Ok(()) };
    let acting = desk.acting(session, None).await?;
    let done = till.charges_of_visit(&acting, &visit.id).await?.len();
    if done >= SERVICES_MAX {
        return Ok(());
    }
    // Which one follows from the visit's number, so that the same day is played the same way.
    let turn = usize::try_from(visit.no).unwrap_or(0) * SERVICES_MAX + done * 5;
    let (service, ..) = SERVICES[turn % SERVICES.len()];
    let new = NewCharge {
        key: format!("demo-{}-{done}", visit.id),
        patient: visit.patient,
        visit: Some(visit.id.clone()),
        session: Some(session.id.clone()),
        out_of_card: None,
        service: service.to_owned(),
        quantity: 1,
        currency: None,
        shown: None,
    };
    match till.register(&acting, new).await {
        // Every third patient who is told so pays; the others keep the page of refusals alive.
        Err(TillError::Refused(Refusal::PatientLimit { .. } | Refusal::PotLimit { .. } | Refusal::Deposit { .. }))
            if visit.no % 3 == 0 =>
        {
            settle(till, visit.patient, &format!("demo-pay-{}-{done}", visit.id)).await
        }
        Ok(_) | Err(TillError::Refused(_) | TillError::NotTheirs | TillError::NotFound) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Pays what a patient owes, and something on top.
async fn settle(till: &Till, patient: PersonId, key: &str) -> anyhow::Result<()> {
    let acting = Acting::console();
    let open = till.open_charges(&acting, patient).await?;
    let parts: Vec<(String, Amount)> = open.iter().map(|charge| (charge.id.clone(), charge.open())).collect();
    let sum = parts.iter().try_fold(units(till, 1_000), |sum, (_, amount)| sum.plus(*amount));
    let amount = sum.context("a sum of the demo is too large")?;
    till.pay(&acting, NewPayment { parts, ..pay_in(till, patient, amount, key) }).await?;
    Ok(())
}
