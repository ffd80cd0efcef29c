//! Services of a visit in a real browser: a doctor types, chooses by arrows and registers by Enter; a limit refuses, the
//! patient reads why in their own language, pays, and the page opens by itself; what is ordered is paid and rendered; a price
//! that changed is asked about again; a service is taken back; nothing is registered twice; several pieces cost what the page
//! said. With `TAPWARD_SCREENS=FOLDER` pictures of the pages are written there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests and what they share")]

mod chromium;
#[path = "surgery/looks.rs"]
mod looks;
mod scene;
mod surgery;
#[path = "surgery/without.rs"]
mod without;

use chromium::{click, keys, shows, until};
use clinic::people::{self, Spoken};
use domain::Amount;
use surgery::{MEMBER, PATIENT, PREPAID, RELATIVE, fits, register, rows, scroll_to, stage, units, wall_ms};

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_refuses_says_why_to_both_and_opens_when_the_patient_has_paid() {
    let mut stage = stage("en").await;
    let browser = chromium::Browser::start(1280, 1100).await;
    let page = browser.page();
    stage.visit(page, PATIENT).await;
    shows(page, &["0.00 of 2 500.00 UAH used", "5 % by the scale: 0.00 of services before; 7 % from 15 000.00"]).await;
    stage.picture(page, "services-empty").await;

    register(page, "cons", "Consultation").await;
    rows(page, 1).await;
    register(page, "ultra", "Ultrasound").await;
    rows(page, 2).await;
    shows(page, &["1 482.00 of 2 500.00", "589.00", "893.00", "5 %"]).await;

    register(page, "extended", "Blood panel").await;
    until(page, "a refusal", "return !!document.querySelector('[data-refused]')").await;
    let why = ["Not registered: it would pass the postpaid limit by 388.00 UAH", "Left of 2 500.00 UAH: 1 018.00 UAH"];
    shows(page, &why).await;
    assert_eq!(stage.charges("rendered").await, 2);
    fits(page, "a refusal").await;
    stage.picture(page, "services-refused").await;
    // The patient is shown it in their own language.
    click(page, "[data-to-patient] summary").await;
    until(page, "shown", "return document.querySelector('.to-patient-fact')?.checkVisibility() === true").await;
    shows(page, &["Недостаёт: 388,00 UAH", "Анализ крови расширенный"]).await;
    until(page, "Russian", "return document.querySelector('.to-patient-sheet')?.lang === 'ru'").await;
    stage.picture(page, "services-to-patient").await;
    click(page, "[data-to-patient] summary").await;

    let before = wall_ms();
    stage.pay(PATIENT, units(388)).await;
    until(page, "open again", "return !!document.querySelector('[data-ready]')").await;
    println!("paid to open again on the page: {} ms", wall_ms() - before);
    stage.picture(page, "services-open-again").await;
    click(page, "[data-ready] button").await;
    rows(page, 3).await;
    shows(page, &["2 500.00 of 2 500.00"]).await;
    stage.picture(page, "services-full").await;

    // One is taken back, and the limit is there again at once.
    click(page, ".charges tbody tr:last-child summary").await;
    until(page, "why", "return !!document.querySelector('.charges details[open] select')").await;
    stage.picture(page, "services-take-back").await;
    click(page, ".charges details[open] .danger").await;
    until(page, "taken back", "return document.querySelector('.charges')?.innerText.includes('taken back') === true")
        .await;
    shows(page, &["1 094.00 of 2 500.00"]).await;
    browser.end().await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_said_in_russian_to_the_doctor_and_in_english_to_the_patient_and_paying_opens_without_a_reload() {
    let mut stage = stage("ru").await;
    let english = Spoken::parse("en").unwrap();
    let acting = clinic::acting::Acting::console();
    people::set_language(&stage.database, &acting, scene::person(PATIENT), Some(english), stage.clock.now())
        .await
        .unwrap();
    let browser = chromium::Browser::speaking("ru", 1280, 800).await;
    let page = browser.page();
    stage.visit(page, PATIENT).await;
    until(page, "a mark", "window.isTheSamePage = true; return true").await;
    register(page, "узи", "УЗИ брюшной полости").await;
    rows(page, 1).await;
    register(page, "расшир", "Анализ крови расширенный").await;
    rows(page, 2).await;
    register(page, "повтор", "Консультация").await;
    shows(
        page,
        &[
            "Не зарегистрировано: лимит постоплаты был бы превышен на 388,00 UAH.",
            "Осталось из 2 500,00 UAH: 201,00 UAH.",
            "Пациент может оплатить 388,00 UAH или больше в кассе",
        ],
    )
    .await;
    stage.picture(page, "refused-ru").await;
    click(page, "[data-to-patient] summary").await;
    shows(page, &["Consultation, repeated", "Left of your limit of 2 500.00 UAH: 201.00 UAH.", "Missing: 388.00 UAH."])
        .await;
    until(page, "English", "return document.querySelector('.to-patient-sheet')?.lang === 'en'").await;
    stage.picture(page, "refused-ru-to-patient").await;
    keys(page, "\u{e00c}").await;
    until(page, "closed", "return !document.querySelector('[data-to-patient][open]')").await;
    // Too little first: it stays refused, with what is missing now.
    stage.pay(PATIENT, units(300)).await;
    shows(page, &["был бы превышен на 88,00 UAH", "Осталось из 2 500,00 UAH: 501,00 UAH."]).await;
    stage.pay(PATIENT, units(88)).await;
    until(page, "open again", "return !!document.querySelector('[data-ready]')").await;
    shows(page, &["Теперь можно зарегистрировать.", "Пациент оплатил."]).await;
    stage.picture(page, "ready-ru").await;
    click(page, "[data-ready] button").await;
    rows(page, 3).await;
    until(page, "never loaded anew", "return window.isTheSamePage === true").await;
    browser.end().await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_ordered_is_paid_and_rendered_and_nothing_is_registered_twice() {
    let mut stage = stage("en").await;
    let browser = chromium::Browser::start(360, 800).await;
    let page = browser.page();
    stage.visit(page, PREPAID).await;
    fits(page, "the services on a phone").await;
    scroll_to(page, "[data-services]").await;
    stage.picture(page, "phone-services").await;
    // The same form, sent three times as by a double click or the way back.
    let twice = "const form = document.querySelector('[data-offer=\"CONS-2\"] [data-register]'); \
                 const body = new URLSearchParams(new FormData(form)); \
                 const send = () => fetch('/desk/services', { method: 'POST', body }).then((answer) => answer.status); \
                 return Promise.all([send(), send(), send()])";
    let sent = page.execute(twice, vec![]).await.unwrap();
    assert_eq!(sent.as_array().unwrap().iter().filter(|it| it.as_u64() == Some(200)).count(), 3, "{sent}");
    rows(page, 1).await;
    assert_eq!(stage.charges("ordered").await, 1);
    shows(page, &["ordered", "pay 620.00 UAH first"]).await;
    scroll_to(page, "[data-services]").await;
    stage.picture(page, "phone-ordered").await;
    fits(page, "an order on a phone").await;
    stage.pay(PREPAID, units(620)).await;
    click(page, "form[action='/desk/services/render'] button").await;
    until(page, "rendered", "return document.querySelector('.charges .chip')?.innerText === 'registered'").await;

    // The price changes between what is shown and what is confirmed. The page may be told of something meanwhile and be drawn
    // anew: the form says in the step of pressing which price it showed.
    stage.price("US-ABD", units(1_700)).await;
    let press_old = "const form = document.querySelector('[data-offer=\"US-ABD\"] [data-register]'); \
                     if (!form) return false; form.net.value = '94000'; form.of.value = '1'; \
                     form.querySelector('.offer-acts button').click(); return true";
    until(page, "an old price", press_old).await;
    shows(page, &["the price has changed", "To pay before: 940.00 UAH. To pay now: 1 700.00 UAH."]).await;
    assert_eq!(stage.charges("ordered").await, 0);
    fits(page, "a new price on a phone").await;
    scroll_to(page, "[data-ready]").await;
    stage.picture(page, "phone-new-price").await;
    click(page, "[data-ready] button").await;
    rows(page, 2).await;

    // Without the script the forms do the same: the page says what was done.
    let plain = "const form = document.querySelector('[data-register]'); if (!form) return false; \
                 HTMLFormElement.prototype.submit.call(form); return true";
    until(page, "a form", plain).await;
    until(page, "a page", "return document.querySelector('[data-notice]')?.innerText.includes('Ordered') === true")
        .await;
    rows(page, 3).await;
    browser.end().await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_pieces_cost_what_the_page_says_before_they_are_registered() {
    let mut stage = stage("en").await;
    let browser = chromium::Browser::start(1280, 900).await;
    let page = browser.page();
    stage.visit(page, PATIENT).await;
    // 5 % of 33.33 is 1.67, of three of them 5.00: three cost 94.99, and not three times 31.66.
    let row = "[data-offer=\"PLASTER\"]";
    let sum = format!("document.querySelector('{row} [data-net]')?.innerText");
    until(page, "one", &format!("return {sum} === '31.66'")).await;
    click(page, "#pieces-PLASTER").await;
    let select =
        "const it = document.activeElement; if (it?.id !== 'pieces-PLASTER') return false; it.select(); return true";
    until(page, "the number", select).await;
    keys(page, "3").await;
    until(page, "three", &format!("return {sum} === '94.99'")).await;
    stage.picture(page, "services-three").await;
    // The page is drawn anew because of something else: the number and its price stay, and so does the place of the hands.
    stage.pay(PATIENT, units(1)).await;
    shows(page, &["Left of the deposit: 1.00 UAH"]).await;
    let stays = format!(
        "return document.activeElement?.id === 'pieces-PLASTER' && document.activeElement.value === '3' && {sum} === '94.99'"
    );
    until(page, "still three", &stays).await;
    keys(page, "\u{e007}").await;
    rows(page, 1).await;
    let told = "return document.querySelector('.charges tbody tr')?.innerText.replace(/\\s+/g, ' ')";
    until(page, "what was said", &format!("{told}.includes('94.99')")).await;

    // Numbers that cannot be are shown no price, and nothing is sent.
    for bad in ["0", "10001", "2.5", ""] {
        let typed = format!(
            "const it = document.getElementById('pieces-PLASTER'); it.value = '{bad}'; \
             it.dispatchEvent(new Event('input', {{ bubbles: true }})); \
             document.getElementById('register-PLASTER').click(); return {sum} === '…'"
        );
        until(page, bad, &typed).await;
    }
    assert_eq!(stage.charges("rendered").await, 1);

    // Whoever is quicker than the price, or has no script, is asked.
    let plain = "const form = document.querySelector('[data-offer=\"PLASTER\"] [data-register]'); if (!form) return false; \
                 form.pieces.value = '3'; HTMLFormElement.prototype.submit.call(form); return true";
    until(page, "a form", plain).await;
    shows(page, &["It can be registered now.", "Register Plaster × 3 for 94.99 UAH"]).await;
    assert_eq!(stage.charges("rendered").await, 1);
    click(page, "[data-ready] button").await;
    rows(page, 2).await;
    browser.end().await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_of_a_group_are_given_is_shown_and_what_they_pay_opens_what_was_refused() {
    let mut stage = stage("en").await;
    let browser = chromium::Browser::start(1280, 1000).await;
    let page = browser.page();
    stage.visit(page, MEMBER).await;
    shows(page, &["Shared limit “The Kowalskis”: 0.00 of 1 000.00 UAH used, 1 000.00 UAH left"]).await;
    let before = wall_ms();
    stage.give(RELATIVE, "CONS-2").await;
    shows(page, &["620.00 of 1 000.00 UAH used, 380.00 UAH left"]).await;
    println!("given to another of the group to seen on the page: {} ms", wall_ms() - before);
    // Somebody of no group changes nothing here, and the page goes on.
    stage.give(PATIENT, "LAB-BASE").await;
    register(page, "ultra", "Ultrasound").await;
    shows(
        page,
        &[
            "it would pass the shared limit of the group by 560.00 UAH",
            "Left of the group’s 1 000.00 UAH: 380.00 UAH.",
            "Somebody of the group can pay 560.00 UAH or more",
        ],
    )
    .await;
    stage.picture(page, "services-pot").await;
    click(page, "[data-to-patient] summary").await;
    until(page, "the patient's", "return document.querySelector('.to-patient-sheet')?.checkVisibility() === true")
        .await;
    let theirs = "return !/380|560/.test(document.querySelector('.to-patient-sheet').innerText)";
    until(page, "nothing of what others owe", theirs).await;
    click(page, "[data-to-patient] summary").await;
    stage.pay(RELATIVE, units(620)).await;
    until(page, "open again", "return !!document.querySelector('[data-ready]')").await;
    click(page, "[data-ready] button").await;
    rows(page, 1).await;
    assert_eq!(stage.charges("rendered").await, 3);
    browser.end().await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_ordered_before_is_rendered_in_a_later_visit_once_it_is_paid() {
    let mut stage = stage("en").await;
    let browser = chromium::Browser::start(1280, 900).await;
    let page = browser.page();
    let order = stage.give(PREPAID, "US-ABD").await;
    stage.visit(page, PREPAID).await;
    shows(page, &["Ordered before", "Ultrasound, abdomen", "pay 940.00 UAH first"]).await;
    until(page, "no way yet", "return !document.querySelector('form[action=\"/desk/services/render\"]')").await;
    stage.picture(page, "services-ordered-before").await;
    stage.pay(PREPAID, units(940)).await;
    click(page, "[data-orders] form[action='/desk/services/render'] button").await;
    until(page, "a page", "return document.querySelector('[data-notice]')?.innerText.includes('Rendered') === true")
        .await;
    until(page, "no order", "return !document.querySelector('[data-orders]')").await;
    assert_eq!(stage.charges("rendered").await, 1);
    let acting = clinic::acting::Acting::console();
    let rendered = stage.till.charge(&acting, &order.id).await.unwrap();
    assert_eq!((rendered.staff, rendered.open()), (Some(scene::person(surgery::DOCTOR)), Amount::ZERO));
    browser.end().await;
    stage.end().await;
}
