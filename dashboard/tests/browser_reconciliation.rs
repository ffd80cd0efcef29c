//! Charges compared with another system, in a real browser: asked for, waited for, told again, taken away as a file; and what
//! the page says when the other system refuses. With `TAPWARD_SCREENS=FOLDER` pictures of the pages are written there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests and what they share")]

mod chromium;
mod scene;
mod till;

use std::collections::BTreeSet;

use chromium::until;
use clinic::acting::Acting;
use clinic::changes::ChangeKind;
use clinic::outbox::{self, Begin, Destination, Ended, Fault, FaultCode, Settled};
use clinic::till::NewTerms;
use clinic::till::reconcile::{self, Basis, Theirs, compare};
use dashboard::TillSettings;
use domain::Shipped;
use domain::till::Owner;
use till::{Stage, choose, fetched, fits, has, holds, minor, picture, press, says, set, uah};

const ANNA: u32 = 0;
const SERVICES: &[(&str, &str, i64)] = &[("CONS", "Consultation", 50_000), ("LAB", "Blood count", 24_000)];

async fn stage() -> Stage {
    let accounts =
        [("integrator", Shipped::Integrator, "Ivan Dub"), ("accountant", Shipped::Accountant, "Nadia Hrynko")];
    let stage = Stage::start(&accounts, TillSettings::of(uah())).await;
    stage.services(SERVICES).await;
    let terms = NewTerms::postpaid(Owner::Everybody, uah(), minor(1_000_000), stage.till.today());
    stage.till.put_terms(&Acting::console(), terms).await.unwrap();
    stage
}

/// Four charges, told to a system that took all but the second.
async fn told(stage: &mut Stage) {
    let wants = vec![ChangeKind::ChargeRendered, ChangeKind::ChargeCancelled];
    let mis = Destination { name: "mis".to_owned(), kind: "hl7".to_owned(), wants, begin: Begin::Now };
    outbox::register(&stage.database, &mis, stage.clock.now()).await.unwrap();
    for service in ["CONS", "LAB", "CONS", "LAB"] {
        stage.serve(ANNA, service).await;
    }
    let now = stage.clock.now();
    outbox::fill(&stage.database, "mis", now).await.unwrap();
    let claimed = outbox::claim(&stage.database, "mis", "bridge", 100, now, now.plus_ms(30_000)).await.unwrap();
    assert_eq!(claimed.len(), 4);
    let end = |n: usize| match n {
        1 => Ended::Dead(Fault::new(FaultCode::Refused, "422")),
        _ => Ended::Done,
    };
    let ended = claimed.iter().enumerate().map(|(n, it)| Settled { change: it.change, ended: end(n) }).collect();
    outbox::settle(&stage.database, "mis", "bridge", ended, now).await.unwrap();
}

/// What the bridge does with what was asked for: the other system has the first charge as it is, the third with another
/// amount, the fourth as taken back, and one that nobody here knows.
async fn compared(stage: &Stage) {
    let (database, now) = (&stage.database, stage.clock.now());
    let job = reconcile::claim(database, "mis", "bridge", now, now.plus_ms(60_000)).await.unwrap().unwrap();
    let ours = reconcile::ours(database, &job).await.unwrap().unwrap();
    assert_eq!(ours.len(), 4);
    let ids: Vec<String> = ours.iter().map(|own| own.charge.clone()).collect();
    let told = reconcile::told(database, "mis", ids.clone()).await.unwrap();
    let there = |id: &str, amount: i64, counts: bool| Theirs {
        charge: id.to_owned(),
        external: format!("CI-{}", id.chars().take(4).collect::<String>()),
        money: Some((uah(), minor(amount))),
        counts,
        state: if counts { "billable" } else { "taken_back" }.to_owned(),
    };
    let theirs = vec![
        there(&ids[0], 50_000, true),
        there(&ids[2], 45_000, true),
        there(&ids[3], 24_000, false),
        there("c0c7c1e0-0d9b-4f8e-8a57-000000000099", 777, true),
    ];
    let found =
        compare(&ours, theirs, &BTreeSet::new(), |id| told.get(id).map_or("not_told", |told| told.code()).to_owned());
    assert!(reconcile::end(database, &job, "bridge", Basis::Records, found, now).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn charges_are_compared_and_what_is_missing_is_told_again() {
    let mut stage = stage().await;
    let browser = chromium::Browser::start(1280, 900).await;
    let page = browser.page();
    stage.sign_in(page, "integrator").await;
    stage.go(page, "/till/reconciliation").await;
    has(page, "No system is told charges").await;
    told(&mut stage).await;
    stage.go(page, "/till/reconciliation").await;
    has(page, "Nothing was compared yet").await;

    // A day that makes no sense is said, and nothing is asked for.
    set(page, "from", "2020-01-01").await;
    press(page, "form[action$='/run'] button.primary").await;
    says(page, "[role=alert]", "day").await;
    picture(page, "reconciliation-days").await;
    holds(page, "#from", "2020-01-01").await;
    set(page, "from", &stage.till.today().to_string()).await;
    press(page, "form[action$='/run'] button.primary").await;
    has(page, "Waits for the bridge").await;
    // The page looks again by itself while it waits.
    compared(&stage).await;
    has(page, "4 differences").await;
    for words in ["500.00 UAH", "450.00 UAH", "7.77 UAH", "240.00 UAH"] {
        has(page, words).await;
    }
    picture(page, "reconciliation").await;
    let open = "return document.querySelectorAll('#differences ~ section tbody tr').length";
    let export = "return document.querySelector(\"a[href*='reconciliation.csv']\").getAttribute('href')";
    let export = page.execute(export, vec![]).await.unwrap().as_str().unwrap().to_owned();
    let (status, kind, csv) = fetched(page, &export).await;
    assert_eq!((status, kind.as_str()), (200, "text/csv; charset=utf-8"));
    assert!(csv.contains("missing_there") && csv.contains("7.77") && csv.lines().count() == 5, "{csv}");
    choose(page, "kind", "amount").await;
    press(page, "form[role=search] button.btn").await;
    until(page, "one", &format!("{open} === 1")).await;
    let narrowed = "return document.querySelector(\"a[href*='reconciliation.csv']\").getAttribute('href')";
    let narrowed = page.execute(narrowed, vec![]).await.unwrap().as_str().unwrap().to_owned();
    let (_, _, csv) = fetched(page, &narrowed).await;
    assert_eq!(csv.lines().count(), 2, "the file is that of the narrowed list: {csv}");

    // What is missing there is told again, once.
    choose(page, "kind", "missing_there").await;
    press(page, "form[role=search] button.btn").await;
    until(
        page,
        "the missing one",
        &format!("{open} === 1 && !!document.querySelector(\"td form[action$='/again'] button\")"),
    )
    .await;
    press(page, "td form[action$='/again'] button").await;
    says(page, "[role=status]", "again").await;
    let now = stage.clock.now();
    let again = outbox::claim(&stage.database, "mis", "bridge", 100, now, now.plus_ms(30_000)).await.unwrap();
    assert_eq!(again.len(), 1);

    // Refused by the other system: why, in words.
    set(page, "until", &stage.till.today().to_string()).await;
    press(page, "form[action$='/run'] button.primary").await;
    has(page, "Waits for the bridge").await;
    let now = stage.clock.now();
    let job = reconcile::claim(&stage.database, "mis", "bridge", now, now.plus_ms(60_000)).await.unwrap().unwrap();
    let fault = Fault::new(FaultCode::Refused, "403");
    reconcile::fail(&stage.database, &job, "bridge", &fault, stage.clock.now()).await.unwrap();
    has(page, "The system refused it as wrong").await;
    picture(page, "reconciliation-failed").await;
    browser.end().await;

    // Who may only look has no buttons; and it fits a phone.
    let phone = chromium::Browser::start(360, 780).await;
    let page = phone.page();
    stage.sign_in(page, "accountant").await;
    stage.go(page, "/till/reconciliation").await;
    has(page, "The system refused it as wrong").await;
    fits(page, "a refused comparison").await;
    press(page, "table.rows tbody tr:last-child a.whole").await;
    has(page, "4 differences").await;
    until(page, "no buttons", "return !document.querySelector('main form[method=post]')").await;
    fits(page, "the differences").await;
    picture(page, "phone-reconciliation").await;
    phone.end().await;
    stage.end().await;
}
