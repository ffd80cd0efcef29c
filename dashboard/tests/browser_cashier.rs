//! The cash desk in a real browser: a cashier's whole day, from the opening of the drawer over payments of every kind to its
//! closing with a difference and the closing of the day; money back that somebody else allows; two cashiers on one item;
//! forms that are sent twice; what a phone shows. With `TAPWARD_SCREENS=FOLDER` pictures of the pages are written there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests and what they share")]

mod chromium;
mod scene;
mod till;

use std::time::Duration;

use chromium::until;
use clinic::acting::Acting;
use clinic::till::NewTerms;
use dashboard::TillSettings;
use domain::till::Owner;
use domain::{PersonId, Shipped};
use fantoccini::{Client, Locator};
use scene::person;
use store::sqlx;
use till::{Stage, choose, fill, fits, has, holds, key, minor, picture, press, says, text, uah};
use tokio_util::sync::CancellationToken;

const PATIENT: u32 = 0;
const OTHER: u32 = 1;
const SERVICES: &[(&str, &str, i64)] = &[
    ("CONS", "Consultation", 62_000),
    ("US-ABD", "Ultrasound, abdomen", 94_000),
    ("LAB", "Blood count", 24_000),
    ("FREE", "Advice", 0),
];

async fn stage() -> Stage {
    let accounts = [
        ("cashier", Shipped::Cashier, "Iryna Koval"),
        ("cashier2", Shipped::Cashier, "Marko Lys"),
        ("accountant", Shipped::Accountant, "Nadia Hrynko"),
    ];
    let stage = Stage::start(&accounts, TillSettings::of(uah())).await;
    stage.name(&[(PATIENT, "Ivanenko", "Olena"), (OTHER, "Bondar", "Maksym")]).await;
    stage.number(OTHER, "70017").await;
    stage.services(SERVICES).await;
    let terms = NewTerms::postpaid(Owner::Everybody, uah(), minor(400_000), stage.till.today());
    stage.till.put_terms(&Acting::console(), terms).await.unwrap();
    stage
}

/// What is open of a patient.
async fn open(stage: &Stage, patient: u32) -> i64 {
    let open = stage.till.open_charges(&Acting::console(), person(patient)).await.unwrap();
    open.iter().map(|charge| charge.open().minor()).sum()
}

/// How many payments were taken.
async fn payments(stage: &Stage) -> i64 {
    store::read!(stage.database, "test.payments", |conn| {
        Ok(sqlx::query_scalar("SELECT COUNT(*) FROM payment WHERE state = 'done'").fetch_one(&mut *conn).await?)
    })
    .unwrap()
}

fn account(patient: PersonId) -> String {
    format!("/till/patient/{patient}")
}

async fn open_drawer(stage: &Stage, page: &Client, name: &str, float: &str) {
    stage.go(page, "/till/drawer").await;
    fill(page, "drawer", name).await;
    fill(page, "float", float).await;
    press(page, "main button.primary").await;
    has(page, "Your drawer is open").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cashiers_day_from_the_open_drawer_to_the_closed_day() {
    let mut stage = stage().await;
    for service in ["CONS", "US-ABD", "LAB"] {
        stage.serve(PATIENT, service).await;
    }
    let browser = chromium::Browser::start(1280, 1000).await;
    let page = browser.page();
    stage.sign_in(page, "cashier").await;
    stage.go(page, "/till").await;
    has(page, "No drawer is open").await;
    has(page, "Olena").await;
    picture(page, "till-find").await;
    open_drawer(&stage, page, "Desk 1", "500").await;
    picture(page, "drawer-open").await;

    // Found by name; the first result is a key away.
    stage.go(page, "/till").await;
    page.find(Locator::Id("words")).await.unwrap().send_keys("iva ole\n").await.unwrap();
    until(page, "found", "return document.activeElement?.matches('a.whole')").await;
    press(page, "a.whole").await;
    has(page, "1 800.00 UAH").await;
    picture(page, "account").await;

    // In part: 100 of the ultrasound and the blood count, with a note of 500; the rest is change.
    let amount = "input[aria-label$='Ultrasound, abdomen']";
    page.find(Locator::Css(amount)).await.unwrap().clear().await.unwrap();
    page.find(Locator::Css(amount)).await.unwrap().send_keys("100").await.unwrap();
    press(page, "table.items tbody tr:first-child [name=item]").await;
    until(page, "the sum", "return document.querySelector('[data-sum]').innerText.startsWith('340.00')").await;
    fill(page, "received", "500").await;
    until(page, "change", "return document.querySelector('[data-change]').innerText.startsWith('160.00')").await;
    picture(page, "account-part").await;
    key(page, "t").await;
    has(page, "Take 340.00 UAH in cash").await;
    has(page, "840.00 UAH stays open").await;
    has(page, "160.00 UAH").await;
    picture(page, "sure").await;
    assert_eq!(payments(&stage).await, 0, "nothing yet");
    page.find(Locator::Css(".sure button.primary")).await.unwrap().send_keys("\n").await.unwrap();
    has(page, "340.00 UAH taken, cash. Receipt 1").await;
    has(page, "160.00 UAH").await;
    let receipt = page.find(Locator::Css(".paid a.primary")).await.unwrap().attr("href").await.unwrap().unwrap();
    assert!(receipt.starts_with("/till/payments/") && receipt.ends_with("/receipt.pdf"), "{receipt}");
    picture(page, "paid").await;
    assert_eq!(open(&stage, PATIENT).await, 146_000);

    // Too little received: it is said, and nothing that was typed is lost.
    press(page, "table.items tbody tr:first-child [name=item]").await;
    fill(page, "received", "100").await;
    key(page, "t").await;
    has(page, "740.00 UAH").await;
    until(page, "said", "return !!document.querySelector('[role=alert]')").await;
    holds(page, "#received", "100").await;
    until(page, "not ticked", "return !document.querySelector('table.items tbody tr:first-child [name=item]').checked")
        .await;
    fill(page, "received", "").await;

    // Everything else with one press.
    key(page, "a").await;
    has(page, "1 460.00 UAH taken, cash. Receipt 2").await;
    has(page, "Everything is paid").await;
    assert_eq!((open(&stage, PATIENT).await, payments(&stage).await), (0, 2));

    // A deposit by card with the slip's number.
    press(page, "details [value=card] + span").await;
    fill(page, "in-amount", "250,50").await;
    fill(page, "in-external", "0042").await;
    press(page, "form[action$='/pay-in'] button.btn").await;
    has(page, "Pay in 250.50 UAH by card, 0042").await;
    press(page, ".sure button.primary").await;
    has(page, "250.50 UAH taken, card. Receipt 3").await;

    // Money back is asked for; oneself cannot allow it.
    key(page, "g").await;
    fill(page, "back-amount", "50").await;
    press(page, "form[action$='/give-back'] [value=cash] + span").await;
    choose(page, "back-reason", "wish").await;
    fill(page, "back-words", "the patient leaves for another town").await;
    picture(page, "give-back").await;
    press(page, "form[action$='/give-back'] button.btn").await;
    has(page, "somebody else must allow it").await;
    press(page, ".sure button.primary").await;
    has(page, "Waits for a decision").await;
    stage.go(page, "/till/requests").await;
    press(page, "a.whole").await;
    has(page, "Nobody allows what they asked for themselves").await;
    picture(page, "request-own").await;

    let chief = chromium::Browser::start(1280, 1000).await;
    let office = chief.page();
    stage.sign_in(office, "accountant").await;
    stage.go(office, "/till/requests").await;
    press(office, "a.whole").await;
    until(office, "the request", "return !!document.getElementById('request')").await;
    press(office, "[name=verdict][value=allow]").await;
    fill(office, "words", "as the patient asked, in order").await;
    picture(office, "request").await;
    press(office, "#request button.primary").await;
    has(office, "Allowed and done").await;

    // The drawer: 500 of change, 340 and 1460 taken, 50 given back: 2250; 2249 are counted.
    stage.go(page, "/till/drawer").await;
    has(page, "2 250.00 UAH").await;
    fits(page, "a drawer with its notes").await;
    for (piece, count) in [("100000", "2"), ("20000", "1"), ("2000", "2"), ("100", "9")] {
        page.find(Locator::Css(&format!("[name=piece-{piece}]"))).await.unwrap().send_keys(count).await.unwrap();
    }
    until(page, "the sum", "return document.getElementById('counted').value === '2249.00'").await;
    fill(page, "slips", "250.50").await;
    picture(page, "drawer-count").await;
    press(page, "form[data-count] button.primary").await;
    has(page, "It differs: cash −1.00 UAH").await;
    choose(page, "reason", "change").await;
    fill(page, "words", "one coin too much was given as change").await;
    press(page, "form[data-count] button.primary").await;
    has(page, "The drawer is closed").await;
    until(page, "the paper", "return !!document.querySelector(\"a[href$='/closing.pdf']\")").await;
    picture(page, "drawer-closed").await;

    // The day.
    stage.go(office, "/till/days").await;
    press(office, "a.whole").await;
    until(office, "the day", "return !!document.querySelector('#day button.primary')").await;
    picture(office, "days").await;
    press(office, "#day button.primary").await;
    has(office, "The day is closed").await;
    picture(office, "day-closed").await;
    stage.go(office, "/till/drawers").await;
    has(office, "a mistake when giving change").await;
    picture(office, "drawers").await;
    stage.go(office, "/till/payments?method=cash").await;
    let listed = text(office).await;
    assert!(listed.contains("1 460.00 UAH") && listed.contains("−50.00 UAH"), "{listed}");
    assert!(!listed.contains("250.50"), "narrowed to cash: {listed}");
    picture(office, "payments").await;
    browser.end().await;
    chief.end().await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drawer_with_a_difference_and_the_day_are_closed_while_services_are_registered() {
    let mut stage = stage().await;
    stage.serve(PATIENT, "CONS").await;
    let (browser, chief) = (chromium::Browser::start(1280, 1000).await, chromium::Browser::start(1280, 1000).await);
    let (page, office) = (browser.page(), chief.page());
    stage.sign_in(page, "cashier").await;
    stage.sign_in(office, "accountant").await;
    open_drawer(&stage, page, "Desk 1", "100").await;
    let (stop, registrar) = (CancellationToken::new(), stage.till.clone());
    let ending = stop.clone();
    // A doctor who registers one service after the other, also when the day is closed.
    let doctor = tokio::spawn(async move {
        let (mut done, mut pace) = (0_u32, tokio::time::interval(Duration::from_millis(100)));
        while !ending.is_cancelled() {
            pace.tick().await;
            let new = till::charge(&format!("doctor-charge-{done}"), OTHER, "FREE");
            registrar.register(&Acting::console(), new).await.unwrap();
            done += 1;
        }
        done
    });
    stage.go(page, &account(person(PATIENT))).await;
    key(page, "a").await;
    has(page, "Receipt 1").await;
    stage.go(page, "/till/drawer").await;
    has(page, "720.00 UAH").await;
    fill(page, "counted", "719.50").await;
    press(page, "form[data-count] button.primary").await;
    has(page, "It differs: cash −0.50 UAH").await;
    holds(page, "#counted", "719.50").await;
    // Nobody closes the day over an open drawer.
    stage.go(office, "/till/days").await;
    press(office, "a.whole").await;
    until(office, "what hinders it", "return !!document.querySelector('#day .points a')").await;
    says(office, "tr[aria-current] .chip", "open").await;
    fits(office, "a day beside the list").await;
    picture(office, "day-hindered").await;
    choose(page, "reason", "change").await;
    fill(page, "words", "a coin too much was given as change").await;
    press(page, "form[data-count] button.primary").await;
    has(page, "The drawer is closed").await;
    stage.go(office, "/till/days").await;
    press(office, "a.whole").await;
    until(office, "the day", "return !!document.querySelector('#day button.primary')").await;
    press(office, "#day button.primary").await;
    has(office, "The day is closed").await;
    has(office, "−0.50 UAH").await;
    // Registering went on, before and after; what came late counts to the next day, and the books agree.
    stage.serve(PATIENT, "LAB").await;
    stop.cancel();
    assert!(doctor.await.unwrap() > 10);
    let (today, acting) = (stage.till.today(), Acting::console());
    let late = stage.till.open_charges(&acting, person(PATIENT)).await.unwrap();
    assert_eq!(late.iter().map(|charge| charge.day.0 - today.0).collect::<Vec<_>>(), [1]);
    let checked = stage.till.check(&acting).await.unwrap();
    assert!(checked.findings.is_empty(), "{checked:?}");
    browser.end().await;
    chief.end().await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_cashiers_on_one_item_and_forms_sent_twice_take_the_money_once() {
    let mut stage = stage().await;
    stage.serve(OTHER, "CONS").await;
    let (one, other) = (chromium::Browser::start(1280, 900).await, chromium::Browser::start(1280, 900).await);
    for (browser, login, drawer) in [(&one, "cashier", "Desk 1"), (&other, "cashier2", "Desk 2")] {
        stage.sign_in(browser.page(), login).await;
        open_drawer(&stage, browser.page(), drawer, "0").await;
        stage.go(browser.page(), &account(person(OTHER))).await;
        has(browser.page(), "620.00 UAH").await;
    }
    let page = one.page();
    // Both see it open; the second one is told, and nothing is taken twice.
    key(page, "a").await;
    has(page, "Receipt 1").await;
    key(other.page(), "a").await;
    has(other.page(), "somebody else was quicker").await;
    assert_eq!(payments(&stage).await, 1);
    picture(other.page(), "too-late").await;

    // The very same form again, as a double press or a page sent again from the history would.
    stage.serve(OTHER, "LAB").await;
    stage.go(page, &account(person(OTHER))).await;
    has(page, "240.00 UAH").await;
    let send = "const done = arguments[arguments.length - 1]; const form = document.getElementById('pay'); \
                const fields = new URLSearchParams(new FormData(form)); fields.set('all', '1'); \
                const send = () => fetch(form.action, { method: 'POST', body: fields }).then((answer) => answer.url); \
                Promise.all([send(), send()]).then(async (both) => done([...both, await send()]));";
    let urls = page.execute_async(send, vec![]).await.unwrap();
    let urls: Vec<&str> = urls.as_array().unwrap().iter().map(|url| url.as_str().unwrap()).collect();
    assert!(urls.iter().all(|url| url.contains("done=paid") && *url == urls[0]), "one outcome: {urls:?}");
    assert_eq!((payments(&stage).await, open(&stage, OTHER).await), (2, 0));

    // Back to the form by the history: the page is made anew, with nothing left to pay.
    stage.go(page, "/till").await;
    page.back().await.unwrap();
    has(page, "Everything is paid").await;
    // By record number and by card's line, straight to the account.
    for words in ["70017", "04A10001"] {
        stage.go(page, "/till").await;
        page.find(Locator::Id("words")).await.unwrap().send_keys(&format!("{words}\n")).await.unwrap();
        until(page, words, "return location.pathname.startsWith('/till/patient/')").await;
        has(page, "Bondar").await;
    }
    one.end().await;
    other.end().await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cash_desk_fits_a_phone_and_works_without_its_script() {
    let mut stage = stage().await;
    stage.serve(PATIENT, "CONS").await;
    stage.serve(PATIENT, "US-ABD").await;
    let phone = chromium::Browser::start(360, 780).await;
    let page = phone.page();
    stage.sign_in(page, "accountant").await;
    open_drawer(&stage, page, "Desk 1", "100").await;
    let of_patient = account(person(PATIENT));
    for (name, path) in [
        ("find", "/till"),
        ("account", of_patient.as_str()),
        ("payments", "/till/payments"),
        ("drawer", "/till/drawer"),
        ("drawers", "/till/drawers"),
        ("requests", "/till/requests"),
        ("notices", "/till/notices"),
        ("days", "/till/days"),
    ] {
        stage.go(page, path).await;
        until(page, name, "return !!document.querySelector('main h1')").await;
        fits(page, path).await;
        picture(page, &format!("phone-{name}")).await;
    }
    // The plain form, as a browser without scripts sends it: what is not cash needs its number, and says so.
    stage.go(page, &of_patient).await;
    page.execute("const f = document.getElementById('pay'); f.querySelector('[value=transfer]').checked = true; f.requestSubmit(f.querySelector('[data-key=t]'))", vec![]).await.unwrap();
    has(page, "Type the reference of the transfer").await;
    until(page, "the method stays", "return document.querySelector('#pay [value=transfer]').checked").await;
    fits(page, "a problem").await;
    picture(page, "phone-problem").await;
    // An item that was paid meanwhile is asked about again before anything is taken.
    stage.go(page, &of_patient).await;
    stage.serve(PATIENT, "LAB").await;
    page.execute("document.querySelector('[name=item]').value = document.querySelector('[name=item]').value.replace(/:.*/, ':70000')", vec![]).await.unwrap();
    page.execute("const f = document.getElementById('pay'); f.requestSubmit(f.querySelector('[data-key=t]'))", vec![])
        .await
        .unwrap();
    has(page, "somebody else was quicker").await;
    assert_eq!(payments(&stage).await, 0);
    phone.end().await;
    stage.end().await;
}
