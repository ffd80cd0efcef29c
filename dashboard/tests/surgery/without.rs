//! A service without a visit, in a real browser: who, which, why. What is wrong is said in place, and nothing typed is lost.

use clinic::acting::Acting;
use domain::Amount;
use fantoccini::Client;

use crate::chromium::{Browser, click, keys, shows, until};
use crate::scene::person;
use crate::surgery::{PATIENT, PREPAID, Stage, fits, stage, units};

/// From the page of work without the card to the form of a service for somebody found by name.
async fn find(stage: &Stage, page: &Client, name: &str) {
    page.goto(&stage.url("/desk/without")).await.unwrap();
    until(page, "who", "return document.activeElement?.id === 'find-words'").await;
    keys(page, name).await;
    click(page, "form[role=search] .primary").await;
    click(page, "a.hit").await;
    click(page, "a[href^='/desk/without/service']").await;
    until(
        page,
        "the form",
        "return location.pathname === '/desk/without/service' && !!document.getElementById('pieces')",
    )
    .await;
}

/// Fills the form in; the page does not change by itself here.
async fn fill(page: &Client, service: &str, pieces: &str, code: &str, words: &str) {
    let script = format!(
        "const form = document.querySelector('form[method=post]'); \
         for (const pick of form.querySelectorAll('[name=pick]')) pick.checked = pick.value.startsWith('{service}|'); \
         for (const code of form.querySelectorAll('[name=code]')) code.checked = code.value === '{code}'; \
         form.pieces.value = '{pieces}'; form.words.value = '{words}'; return true"
    );
    until(page, "the form", &script).await;
}

/// Sends it although the browser would say first what is missing: what the server says counts.
async fn send(page: &Client) {
    let script = "const form = document.querySelector('form[method=post]'); form.noValidate = true; window.isOld = true; \
                  form.requestSubmit(); return true";
    until(page, "a form", script).await;
    until(page, "an answer", "return !window.isOld && document.readyState === 'complete'").await;
}

const WORDS: &str = "called after the visit";

async fn story(width: u32, height: u32, name: &str) {
    let mut stage = stage("en").await;
    let browser = Browser::start(width, height).await;
    let page = browser.page();
    stage.open(page).await;
    find(&stage, page, "ivanenko").await;
    fits(page, "the form").await;
    stage.picture(page, &format!("{name}-form")).await;
    shows(page, &["Register a service without a visit", "Olena", "589.00 UAH"]).await;

    // No reason, words too short, no service, a number that cannot be: each is said, and what was typed stays.
    for (service, pieces, code, words, said) in [
        ("CONS-2", "1", "", WORDS, "Choose a reason."),
        ("CONS-2", "1", "telephone", "short", "A reason of 10 to 500 characters is needed."),
        ("", "1", "telephone", WORDS, "Choose a service."),
        ("CONS-2", "many", "telephone", WORDS, "The number of pieces is a whole number"),
        ("CONS-2", "0", "telephone", WORDS, "the number of pieces is 1 to 10 000"),
    ] {
        fill(page, service, pieces, code, words).await;
        // A field for numbers takes no letters; another program's form would.
        if pieces == "many" {
            until(
                page,
                "a field",
                "const it = document.getElementById('pieces'); it.type = 'text'; it.value = 'many'; return true",
            )
            .await;
        }
        send(page).await;
        shows(page, &[said]).await;
        until(page, "kept", &format!("return document.getElementById('words').value === '{words}'")).await;
        fits(page, said).await;
    }
    assert_eq!(stage.charges("rendered").await, 0);
    stage.picture(page, &format!("{name}-bad")).await;

    // Several pieces: what they cost together is said first.
    fill(page, "PLASTER", "3", "telephone", WORDS).await;
    send(page).await;
    shows(page, &["Plaster × 3: 94.99 UAH to pay altogether."]).await;
    assert_eq!(stage.charges("rendered").await, 0);
    stage.picture(page, &format!("{name}-three")).await;
    send(page).await;
    shows(page, &["Recorded. It waits for review."]).await;
    assert_eq!(stage.charges("rendered").await, 1);

    // A price that changed is said and confirmed.
    find(&stage, page, "ivanenko").await;
    fill(page, "US-ABD", "1", "telephone", WORDS).await;
    stage.price("US-ABD", units(1_000)).await;
    send(page).await;
    shows(page, &["the price has changed", "To pay before: 893.00 UAH. To pay now: 950.00 UAH."]).await;
    fits(page, "a new price").await;
    assert_eq!(stage.charges("rendered").await, 1);
    send(page).await;
    shows(page, &["Recorded. It waits for review."]).await;

    // The limit is used up: the doctor is told in the page's language, the patient in theirs.
    find(&stage, page, "ivanenko").await;
    fill(page, "LAB-EXT", "1", "telephone", WORDS).await;
    send(page).await;
    shows(page, &["Recorded. It waits for review."]).await;
    find(&stage, page, "ivanenko").await;
    fill(page, "CONS-2", "1", "telephone", WORDS).await;
    send(page).await;
    shows(page, &["it would pass the postpaid limit by 539.99 UAH", "Left of 2 500.00 UAH: 49.01 UAH."]).await;
    fits(page, "a refusal").await;
    stage.picture(page, &format!("{name}-refused")).await;
    click(page, "[data-to-patient] summary").await;
    shows(page, &["Консультация повторная", "Недостаёт: 539,99 UAH."]).await;
    until(page, "Russian", "return document.querySelector('.to-patient-sheet')?.lang === 'ru'").await;
    stage.picture(page, &format!("{name}-to-patient")).await;
    click(page, "[data-to-patient] summary").await;
    assert_eq!(stage.charges("rendered").await, 3);
    // They pay, and the same form goes through.
    stage.pay(PATIENT, Amount::new(53_999).unwrap()).await;
    send(page).await;
    shows(page, &["Recorded. It waits for review."]).await;
    assert_eq!(stage.charges("rendered").await, 4);

    // A visit at home is always paid first, whatever the terms: ordered now, rendered when it is paid.
    find(&stage, page, "ivanenko").await;
    until(
        page,
        "said before",
        "return document.querySelector('[value^=\"HOME|\"]').closest('label').innerText.includes('prepaid')",
    )
    .await;
    fill(page, "HOME", "1", "home_call", WORDS).await;
    send(page).await;
    shows(page, &["Ordered, and recorded for review. It is rendered once it is paid."]).await;
    find(&stage, page, "ivanenko").await;
    shows(page, &["Ordered before", "pay 855.00 UAH first"]).await;
    stage.pay(PATIENT, units(3_355)).await;
    find(&stage, page, "ivanenko").await;
    stage.picture(page, &format!("{name}-paid")).await;
    fits(page, "an order").await;
    click(page, "[data-orders] button").await;
    shows(page, &["Rendered."]).await;
    assert_eq!((stage.charges("rendered").await, stage.charges("ordered").await), (5, 0));
    browser.end().await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_without_a_visit_is_registered_at_a_desk() {
    story(1280, 900, "without-desk").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_without_a_visit_is_registered_on_a_phone() {
    story(360, 800, "without-phone").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patient_who_is_not_there_is_chosen_again_and_nothing_is_registered() {
    let mut stage = stage("en").await;
    let browser = Browser::start(1280, 900).await;
    let page = browser.page();
    stage.open(page).await;
    for path in [
        "/desk/without/service",
        "/desk/without/service?patient=nobody",
        &format!("/desk/without/service?patient={}", person(4_000)),
    ] {
        page.goto(&stage.url(path)).await.unwrap();
        shows(page, &["There is no such patient, or the record was erased. Choose the patient again.", "Who is it?"])
            .await;
    }
    // The patient of a form is another one meanwhile: erased, or never there.
    find(&stage, page, "bondar").await;
    fill(page, "CONS-2", "1", "telephone", WORDS).await;
    let other = format!("document.querySelector('form[method=post]').patient.value = '{}'; return true", person(4_000));
    until(page, "another one", &other).await;
    send(page).await;
    shows(page, &["There is no such patient"]).await;
    // A service that is given no more.
    find(&stage, page, "bondar").await;
    fill(page, "CONS-2", "1", "telephone", WORDS).await;
    let mut ended = clinic::till::NewService::new("CONS-2", "Consultation, repeated");
    ended.ended = true;
    stage.till.put_service(&Acting::console(), ended).await.unwrap();
    send(page).await;
    shows(page, &["this service has no price now"]).await;
    assert_eq!((stage.charges("rendered").await, stage.charges("ordered").await), (0, 0));
    let orders = stage.till.orders_of(&Acting::console(), person(PREPAID)).await.unwrap();
    assert_eq!(orders, []);
    browser.end().await;
    stage.end().await;
}
