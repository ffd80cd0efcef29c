//! Setting up the till in a real browser: prices, a price list with a bad line, a contract with its members and a shared limit, a
//! scale, terms, more than a limit for an hour, and what a manager then sees of it; what is typed wrongly stays in the form,
//! with what is wrong beside it. With `TAPWARD_SCREENS=FOLDER` pictures of the pages are written there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests and what they share")]

mod chromium;
mod scene;
mod till;

use chromium::until;
use clinic::acting::Acting;
use clinic::till::{NewPrice, NewTerms};
use dashboard::TillSettings;
use domain::Shipped;
use domain::till::Owner;
use fantoccini::{Client, Locator};
use scene::person;
use till::{Stage, choose, fetched, fill, fits, has, holds, key, minor, picture, press, says, set, text, uah, unfold};

const ANNA: u32 = 0;
const MAKSYM: u32 = 1;
const HOUR_MS: i64 = 60 * 60 * 1000;
const SERVICES: &[(&str, &str, i64)] = &[("CONS", "Consultation", 50_000), ("LAB", "Blood count", 24_000)];

async fn stage() -> Stage {
    let accounts =
        [("accountant", Shipped::Accountant, "Nadia Hrynko"), ("manager", Shipped::Manager, "Oksana Melnyk")];
    let stage = Stage::start(&accounts, TillSettings::of(uah())).await;
    stage.name(&[(ANNA, "Ivanenko", "Anna"), (MAKSYM, "Bondar", "Maksym")]).await;
    stage.number(ANNA, "70001").await;
    stage.number(MAKSYM, "70002").await;
    stage
}

/// Gives the page's form a file of this text.
async fn give_file(stage: &Stage, page: &Client, name: &str, text: &str) {
    let path = stage.folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    page.find(Locator::Id("file")).await.unwrap().send_keys(path.to_str().unwrap()).await.unwrap();
}

/// What is wrong is said beside a form, where one looks.
async fn wrong(page: &Client, words: &str) {
    says(page, "[role=alert]", words).await;
    let seen = "const box = document.querySelector('[role=alert]').getBoundingClientRect(); \
                return box.top >= 0 && box.bottom <= innerHeight";
    until(page, &format!("{words}: in sight"), seen).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_price_is_set_and_a_list_is_taken_over_after_a_look() {
    let stage = stage().await;
    let browser = chromium::Browser::start(1280, 900).await;
    let page = browser.page();
    stage.sign_in(page, "accountant").await;
    stage.go(page, "/till/services").await;
    has(page, "No services yet").await;
    picture(page, "services-none").await;

    // A service; what was typed stays while something of it is wrong.
    key(page, "n").await;
    until(page, "the form", "return !!document.getElementById('name-en')").await;
    fill(page, "code", "C 1").await;
    fill(page, "name-en", "Consultation").await;
    fill(page, "service-category", "Visits").await;
    press(page, "form[action$='/put'] button.btn").await;
    wrong(page, "A code has 1 to 40 letters").await;
    picture(page, "service-wrong").await;
    for (field, typed) in [("#code", "C 1"), ("#name-en", "Consultation"), ("#service-category", "Visits")] {
        holds(page, field, typed).await;
    }
    fill(page, "code", "C-1").await;
    press(page, "form[action$='/put'] button.btn").await;
    has(page, "The service is saved.").await;

    // Its price.
    fill(page, "price", "12 three").await;
    press(page, "form[action$='/price'] button.primary").await;
    wrong(page, "This is not a price").await;
    holds(page, "#price", "12 three").await;
    fill(page, "price", "0").await;
    press(page, "form[action$='/price'] button.primary").await;
    wrong(page, "choose “free of charge”").await;
    fill(page, "price", "500").await;
    press(page, "form[action$='/price'] button.primary").await;
    has(page, "The price is set.").await;
    has(page, "500.00 UAH").await;
    let tomorrow = domain::schedule::LocalDate(stage.till.today().0 + 1).to_string();
    fill(page, "price", "600").await;
    set(page, "from", &tomorrow).await;
    press(page, "form[action$='/price'] button.primary").await;
    has(page, &format!("600.00 UAH from {tomorrow}")).await;
    picture(page, "service-open").await;
    // Changing the service keeps it open, and what was typed.
    unfold(page, "#name-en").await;
    fill(page, "name-en", " ").await;
    fill(page, "external", "HV01").await;
    press(page, "form[action$='/put'] button.btn").await;
    wrong(page, "A service has a name in at least one language").await;
    holds(page, "#external", "HV01").await;
    says(page, "#service h2", "Consultation").await;

    // A list with a bad line: nothing is taken, and the line is named.
    stage.go(page, "/till/services/import").await;
    let list = "service,price,currency,name_en,category\nC-1,550.00,UAH,Consultation,Visits\n\
                X-2,0,UAH,X-ray,Pictures\nL-3,240.00,UAH,Blood count,Laboratory\n";
    give_file(&stage, page, "list.csv", list).await;
    press(page, "form[action$='/import'] button.btn").await;
    has(page, "Nothing can be taken").await;
    let told = text(page).await;
    assert!(told.contains("written as the word free") && told.contains('3'), "{told}");
    picture(page, "list-bad").await;
    assert!(stage.till.service(&Acting::console(), "L-3").await.unwrap().is_none());

    // Mended: a look, somebody else is quicker, a look anew, and taken.
    give_file(&stage, page, "list.csv", &list.replace(",0,", ",900.00,")).await;
    press(page, "form[action$='/import'] button.btn").await;
    has(page, "This is what would change").await;
    for words in ["2 new", "1 changed", "500.00 UAH", "550.00 UAH", "stays planned: 600.00 UAH"] {
        has(page, words).await;
    }
    picture(page, "list-look").await;
    let quicker = vec![NewPrice::new("C-1", uah(), minor(52_000))];
    stage.till.set_prices(&Acting::console(), None, quicker).await.unwrap();
    press(page, "form[action$='/take'] button.primary").await;
    has(page, "Meanwhile somebody else changed something").await;
    has(page, "520.00 UAH").await;
    press(page, "form[action$='/take'] button.primary").await;
    has(page, "The price list is taken over.").await;
    picture(page, "services").await;

    // No file, and the day that was typed stays.
    stage.go(page, "/till/services/import").await;
    set(page, "from", &tomorrow).await;
    page.execute("document.getElementById('file').required = false", vec![]).await.unwrap();
    press(page, "form[action$='/import'] button.btn").await;
    wrong(page, "Choose a CSV file").await;
    holds(page, "#from", &tomorrow).await;

    // Narrowed, by keyboard; and the file is that of the narrowed list, and reads back as it is.
    stage.go(page, "/till/services").await;
    key(page, "/").await;
    page.active_element().await.unwrap().send_keys("blood\n").await.unwrap();
    until(page, "narrowed", "return document.querySelectorAll('tbody tr').length === 1").await;
    let export = page.find(Locator::Css("a[href*='services.csv']")).await.unwrap().attr("href").await.unwrap().unwrap();
    let (status, kind, list) = fetched(page, &export).await;
    assert_eq!((status, kind.as_str()), (200, "text/csv; charset=utf-8"));
    assert!(list.contains("L-3") && !list.contains("C-1"), "{list}");
    stage.go(page, "/till/services?category=Nothing").await;
    has(page, "Nothing found").await;
    browser.end().await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contract_with_members_a_shared_limit_a_scale_and_terms_is_made_and_its_use_is_seen() {
    let mut stage = stage().await;
    stage.services(SERVICES).await;
    let browser = chromium::Browser::start(1280, 900).await;
    let page = browser.page();
    stage.sign_in(page, "accountant").await;

    // A contract, its shared limit, its members: one by number, the others from a file.
    stage.go(page, "/till/payers?new=1").await;
    fill(page, "name", "Steel works").await;
    choose(page, "kind", "contract").await;
    fill(page, "code", "steel works").await;
    press(page, "form[action$='/put'] button.btn").await;
    wrong(page, "A code has 1 to 40 letters").await;
    holds(page, "#name", "Steel works").await;
    holds(page, "#kind", "contract").await;
    fill(page, "code", "steel").await;
    press(page, "form[action$='/put'] button.btn").await;
    has(page, "It is saved.").await;
    fill(page, "limit", "a thousand").await;
    press(page, "form[action$='/pot'] button.btn").await;
    wrong(page, "A limit is an amount").await;
    holds(page, "#limit", "a thousand").await;
    fill(page, "limit", "1000").await;
    press(page, "form[action$='/pot'] button.btn").await;
    has(page, "0.00 of 1 000.00 UAH").await;
    unfold(page, "#number").await;
    fill(page, "number", "79999").await;
    press(page, "form[action$='/member'] button.btn").await;
    wrong(page, "No patient, or more than one, has this number.").await;
    holds(page, "#number", "79999").await;
    picture(page, "member-wrong").await;
    fill(page, "number", "70001").await;
    press(page, "form[action$='/member'] button.btn").await;
    has(page, "The member is added.").await;
    has(page, "Ivanenko").await;
    for (list, words) in [
        ("number,from\n79999,2026-01-01\n70002,tomorrow\n", "Nothing can be taken"),
        ("number\n70001\n70002\n", "This is what would change"),
    ] {
        unfold(page, "#file").await;
        give_file(&stage, page, "members.csv", list).await;
        press(page, "form[action$='/look'] button.btn").await;
        has(page, words).await;
    }
    picture(page, "members-look").await;
    press(page, "form[action$='/take'] button.primary").await;
    has(page, "The members are taken over.").await;
    has(page, "Bondar").await;
    picture(page, "payer").await;
    let (status, _, csv) = fetched(page, "/till/payers.csv?q=steel").await;
    assert!(status == 200 && csv.contains("1000.00"), "{csv}");
    let (_, _, csv) = fetched(page, "/till/payers.csv?q=other").await;
    assert!(!csv.contains("steel"), "{csv}");

    // A scale; the calculator shows what it gives.
    stage.go(page, "/till/discounts?new=1").await;
    fill(page, "code", "loyal").await;
    fill(page, "name", "Loyal patients").await;
    for (n, (sum, rate)) in [("0", "0"), ("400", "5"), ("300", "7.5")].iter().enumerate() {
        for (name, typed) in [("sum", sum), ("rate", rate)] {
            let all = page.find_all(Locator::Css(&format!(".scale-steps [name={name}]"))).await.unwrap();
            all[n].send_keys(typed).await.unwrap();
        }
    }
    press(page, "form[action$='/discounts/put'] button.btn").await;
    wrong(page, "sums rise").await;
    let all = page.find_all(Locator::Css(".scale-steps [name=sum]")).await.unwrap();
    assert_eq!(all[2].prop("value").await.unwrap().as_deref(), Some("300"), "what was typed stays");
    picture(page, "scale-wrong").await;
    all[2].clear().await.unwrap();
    all[2].send_keys("2000").await.unwrap();
    press(page, "form[action$='/discounts/put'] button.btn").await;
    has(page, "The scale is saved.").await;
    fill(page, "before", "399").await;
    fill(page, "prices", "10; 100").await;
    press(page, "form[action*='calculator'] button.btn").await;
    for words in ["409.00", "95.00", "105.00"] {
        has(page, words).await;
    }
    picture(page, "scale").await;

    stage.go(page, "/till/discounts?q=nobody").await;
    has(page, "Nothing found").await;
    let (_, _, csv) = fetched(page, "/till/discounts.csv?q=LOYAL").await;
    assert!(csv.contains("loyal") && csv.lines().count() == 4, "{csv}");

    // Terms: everybody pays before; the contract's members owe 800 each, 1000 together, for a year.
    stage.go(page, "/till/terms").await;
    has(page, "There are no terms for everybody today").await;
    key(page, "n").await;
    until(page, "the form", "return !!document.getElementById('mode')").await;
    choose(page, "mode", "prepaid").await;
    press(page, "form[action$='/put'] button.primary").await;
    has(page, "The terms are saved.").await;
    stage.go(page, "/till/terms?new=payer:steel").await;
    choose(page, "mode", "postpaid").await;
    fill(page, "priority", "10").await;
    press(page, "form[action$='/put'] button.primary").await;
    wrong(page, "postpaid terms need a limit").await;
    for (field, typed) in [("#mode", "postpaid"), ("#priority", "10"), ("#owner", "payer:steel")] {
        holds(page, field, typed).await;
    }
    picture(page, "terms-wrong").await;
    fill(page, "limit", "800").await;
    choose(page, "pot", "steel").await;
    choose(page, "scheme", "loyal").await;
    let today = stage.till.today();
    let day = |more: i32| domain::schedule::LocalDate(today.0 + more).to_string();
    set(page, "until", &day(-1)).await;
    press(page, "form[action$='/put'] button.primary").await;
    wrong(page, "the last day does not lie before the first").await;
    set(page, "until", &day(365)).await;
    press(page, "form[action$='/put'] button.primary").await;
    has(page, "The terms are saved.").await;
    has(page, &format!("{} – {}", day(0), day(365))).await;
    picture(page, "terms").await;
    // What counts for one patient, and why not the others.
    fill(page, "number", "79999").await;
    press(page, "form[action$='/terms/patient'] button.btn").await;
    wrong(page, "No patient, or more than one").await;
    holds(page, "#number", "79999").await;
    fill(page, "number", "70001").await;
    press(page, "form[action$='/terms/patient'] button.btn").await;
    has(page, "others have a higher priority").await;
    says(page, "#asked .big", "limit 800.00 UAH").await;
    picture(page, "terms-asked").await;
    let (_, _, csv) = fetched(page, "/till/terms.csv?mode=prepaid").await;
    assert!(csv.contains("everybody") && !csv.contains("steel"), "{csv}");
    let (_, _, csv) = fetched(page, "/till/terms.csv?q=steel").await;
    assert!(csv.contains("contract,steel") && !csv.contains("everybody"), "{csv}");

    // It is used up. A further service is refused, until a manager allows more for an hour.
    stage.serve(ANNA, "CONS").await;
    stage.serve(MAKSYM, "CONS").await;
    stage.is_refused(MAKSYM, "LAB").await;
    let chief = chromium::Browser::start(1280, 900).await;
    let page = chief.page();
    stage.sign_in(page, "manager").await;
    stage.go(page, "/till/exposure?near=1").await;
    has(page, "One limit is near its end").await;
    has(page, "100 %").await;
    picture(page, "exposure").await;
    stage.go(page, "/till/overrides").await;
    has(page, "Nothing is allowed on top now").await;
    choose(page, "pot", "steel").await;
    fill(page, "extra", "999999").await;
    choose(page, "hours", "1").await;
    choose(page, "reason_code", "surety").await;
    fill(page, "words", "the works stand surety by letter of today").await;
    press(page, "form[action$='/add'] button.primary").await;
    wrong(page, "Allow more than 0 and at most").await;
    for (field, typed) in [("#pot", "steel"), ("#extra", "999999"), ("#reason_code", "surety"), ("#hours", "1")] {
        holds(page, field, typed).await;
    }
    holds(page, "#words", "the works stand surety by letter of today").await;
    picture(page, "override-wrong").await;
    fill(page, "extra", "240").await;
    press(page, "form[action$='/add'] button.primary").await;
    has(page, "More is allowed now").await;
    has(page, "Oksana Melnyk").await;
    picture(page, "override").await;
    stage.serve(MAKSYM, "LAB").await;
    stage.is_refused(ANNA, "LAB").await;
    // Another one, of no more use, is ended early; the first one ends by itself.
    fill(page, "number", "70001").await;
    fill(page, "extra", "10").await;
    choose(page, "hours", "4").await;
    choose(page, "reason_code", "mistake").await;
    fill(page, "words", "to see whether it works at all").await;
    press(page, "form[action$='/add'] button.primary").await;
    until(page, "two", "return document.querySelectorAll('tbody tr').length === 2").await;
    press(page, "tbody tr:first-child form[action$='/end'] button").await;
    has(page, "It is ended.").await;
    until(page, "one", "return document.querySelectorAll('tbody tr').length === 1").await;
    stage.pass(HOUR_MS);
    stage.sign_in(page, "manager").await;
    stage.go(page, "/till/overrides").await;
    has(page, "Nothing is allowed on top now").await;
    stage.go(page, "/till/overrides?show=all").await;
    for words in ["ended early", "over", "somebody stands surety"] {
        has(page, words).await;
    }
    picture(page, "overrides-all").await;
    stage.go(page, "/till/overrides?show=all&reason=mistake").await;
    until(page, "one", "return document.querySelectorAll('tbody tr').length === 1").await;
    let (_, _, csv) = fetched(page, "/till/overrides.csv?show=all&reason=mistake").await;
    assert!(csv.contains("10.00") && !csv.contains("surety"), "{csv}");

    // The figures.
    stage.go(page, "/till/exposure").await;
    for words in ["Steel works", "1 228.00 UAH", "somebody stands surety", "limit was set wrongly", "Oksana Melnyk"] {
        has(page, words).await;
    }
    stage.go(page, "/till/revenue?by=service").await;
    for words in ["Consultation", "Blood count", "1 228.00"] {
        has(page, words).await;
    }
    for by in ["staff", "room", "hour"] {
        stage.go(page, &format!("/till/revenue?by={by}")).await;
        has(page, "1 228.00").await;
        let (status, _, csv) = fetched(page, &format!("/till/revenue.csv?by={by}")).await;
        assert!(status == 200 && csv.contains("1228.00"), "{csv}");
    }
    stage.go(page, "/till/discounts-given").await;
    for words in ["Loyal patients, version 1", "5 %", "12.00"] {
        has(page, words).await;
    }
    stage.go(page, "/till/ageing").await;
    has(page, "1 228.00").await;
    picture(page, "ageing").await;
    browser.end().await;
    chief.end().await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_office_fits_a_phone_and_says_what_it_does_not_have() {
    let stage = stage().await;
    let phone = chromium::Browser::start(360, 780).await;
    let page = phone.page();
    stage.sign_in(page, "accountant").await;
    let empty = [
        ("services", "No services yet"),
        ("payers", "No groups or contracts yet"),
        ("terms", "No terms yet"),
        ("discounts", "No scales yet"),
        ("overrides", "Nothing is allowed on top now"),
        ("exposure", "Nothing here"),
        ("revenue", "Nothing here"),
        ("discounts-given", "Nothing here"),
        ("ageing", "Nothing here"),
        ("statements", "Nothing here"),
    ];
    for (at, words) in empty {
        stage.go(page, &format!("/till/{at}")).await;
        has(page, words).await;
        fits(page, at).await;
    }
    stage.services(SERVICES).await;
    let acting = Acting::console();
    let payer = clinic::till::NewPayer {
        id: "steel".to_owned(),
        kind: clinic::till::PayerKind::Contract,
        name: "Steel works of the eastern district, with all branches".to_owned(),
        external: None,
        ended: false,
    };
    stage.till.put_payer(&acting, payer).await.unwrap();
    stage.till.set_pot(&acting, "steel", uah(), minor(12_345_678_900)).await.unwrap();
    let today = stage.till.today();
    let member = clinic::till::Member { person: person(ANNA), from: today, until: None };
    stage.till.put_member(&acting, "steel", member).await.unwrap();
    let terms = NewTerms::postpaid(Owner::Everybody, uah(), minor(250_000), today);
    let terms = stage.till.put_terms(&acting, terms).await.unwrap();
    let terms = format!("/till/terms?open={}", terms.terms.id);
    let of_anna = format!("/till/terms?patient={}", person(ANNA));
    for (name, path) in [
        ("services", "/till/services"),
        ("service", "/till/services?open=CONS"),
        ("service-new", "/till/services?new=1"),
        ("import", "/till/services/import"),
        ("payers", "/till/payers"),
        ("payer", "/till/payers?open=steel"),
        ("terms", terms.as_str()),
        ("terms-asked", of_anna.as_str()),
        ("scale-new", "/till/discounts?new=1"),
        ("overrides", "/till/overrides"),
        ("exposure", "/till/exposure"),
    ] {
        stage.go(page, path).await;
        until(page, name, "return !!document.querySelector('main h1')").await;
        fits(page, path).await;
        picture(page, &format!("phone-{name}")).await;
    }
    // What is wrong is said where one has typed, also far down the page.
    stage.go(page, "/till/payers?open=steel").await;
    unfold(page, "#number").await;
    fill(page, "number", "nobody").await;
    press(page, "form[action$='/member'] button.btn").await;
    wrong(page, "No patient, or more than one, has this number.").await;
    fits(page, "a problem").await;
    picture(page, "phone-wrong").await;
    phone.end().await;
    stage.end().await;
}
