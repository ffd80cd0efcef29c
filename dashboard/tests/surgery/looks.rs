//! How the doctor's page looks: what belongs together stands together, nothing is cut off or scrolls sideways, in both
//! languages, light and dark, on a desk and on a phone.

use fantoccini::Client;

use crate::chromium::{Browser, until};
use crate::surgery::{PATIENT, Stage, fits, register, rows, stage};

/// What a browser on a screen of 1280 by 800 leaves of its height.
const SEEN: i64 = 657;

/// Nothing of the services is wider than its place, and no text lacks its translation.
async fn is_whole(page: &Client, what: &str) {
    fits(page, what).await;
    let cut = "return [...document.querySelectorAll('.services *, .next *, .patient *')] \
               .filter((it) => it.clientWidth > 0 && it.checkVisibility() && it.scrollWidth > it.clientWidth + 1 && !it.matches('.unseen, input, svg, svg *, thead, thead *')) \
               .map((it) => it.className + ': ' + it.textContent.slice(0, 60)).slice(0, 5).join('; ')";
    let cut = page.execute(cut, vec![]).await.unwrap();
    assert_eq!(cut.as_str(), Some(""), "{what}: wider than its place");
    let raw = "const text = document.body.innerText; return (/\\b(services|desk|till|without)-[a-z-]+/.exec(text) ?? [''])[0]";
    let raw = page.execute(raw, vec![]).await.unwrap();
    assert_eq!(raw.as_str(), Some(""), "{what}: a text is missing");
}

async fn pictures(stage: &Stage, page: &Client, name: &str) {
    for theme in ["light", "dark"] {
        let set = format!("document.documentElement.dataset.theme = '{theme}'; return true");
        until(page, theme, &set).await;
        stage.picture(page, &format!("{name}-{theme}")).await;
    }
    until(page, "as before", "document.documentElement.dataset.theme = 'system'; return true").await;
}

async fn top_of(page: &Client, what: &str) -> i64 {
    let script = format!("return Math.round(document.querySelector(\"{what}\").getBoundingClientRect().top + scrollY)");
    page.execute(&script, vec![]).await.unwrap().as_i64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn at_a_desk_the_services_stand_below_the_patient_without_scrolling() {
    for language in ["en", "ru"] {
        let mut stage = stage(language).await;
        stage.book().await;
        let browser = Browser::speaking(language, 1280, 800).await;
        let page = browser.page();
        stage.open(page).await;
        until(page, "the day", "return document.querySelectorAll('.next li').length === 8").await;
        pictures(&stage, page, &format!("desk-{language}-ready")).await;
        stage.tap(PATIENT).await;
        until(page, "services", "return document.querySelectorAll('[data-offer]').length > 0").await;
        until(page, "three next", "return document.querySelectorAll('.next li').length === 3").await;
        is_whole(page, "a visit").await;
        pictures(&stage, page, &format!("desk-{language}-visit")).await;
        let (field, title) = (top_of(page, "#find-service").await, top_of(page, "[data-services] h2").await);
        assert!(title < 480 && field + 44 < SEEN, "{language}: the title at {title}, the field at {field}");
        let (first, second) = match language {
            "en" => (("cons", "Consultation"), ("ultra", "Ultrasound")),
            _ => (("повтор", "Консультация"), ("узи", "УЗИ")),
        };
        register(page, first.0, first.1).await;
        rows(page, 1).await;
        register(page, second.0, second.1).await;
        rows(page, 2).await;
        until(page, "at the top", "scrollTo({ top: 0, behavior: 'instant' }); return scrollY === 0").await;
        is_whole(page, "two services").await;
        pictures(&stage, page, &format!("desk-{language}-two")).await;
        let field = top_of(page, "#find-service").await;
        assert!(field + 44 < 860, "{language}: with two services the field is at {field}");
        until(page, "no sideways", "return document.documentElement.scrollWidth <= innerWidth").await;
        register(page, "mri", "").await;
        is_whole(page, "a refusal").await;
        pictures(&stage, page, &format!("desk-{language}-refused")).await;
        browser.end().await;
        stage.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_phone_the_patient_comes_first_then_the_services_then_who_is_next() {
    for language in ["en", "ru"] {
        let mut stage = stage(language).await;
        stage.book().await;
        let browser = Browser::speaking(language, 390, 844).await;
        let page = browser.page();
        stage.visit(page, PATIENT).await;
        let (patient, services, next) =
            (top_of(page, ".patient").await, top_of(page, "[data-services]").await, top_of(page, ".next").await);
        assert!(patient < services && services < next, "{language}: {patient} {services} {next}");
        is_whole(page, "a visit on a phone").await;
        pictures(&stage, page, &format!("phone-{language}-visit")).await;
        register(page, "cons", "").await;
        rows(page, 1).await;
        register(page, "mri", "").await;
        is_whole(page, "a refusal on a phone").await;
        for (at, what) in ["[data-services]", "[data-refused]", ".limits", ".next"].iter().enumerate() {
            crate::surgery::scroll_to(page, what).await;
            pictures(&stage, page, &format!("phone-{language}-{at}")).await;
        }
        browser.end().await;
        stage.end().await;
    }
}
