//! From bytes on a line to words on a guard's page, in a real browser, with the built executable: what is tapped
//! appears, a killed program is noticed, and what happened meanwhile is caught up.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

#[path = "../../dashboard/tests/chromium/mod.rs"]
mod chromium;
mod installation;

use chromium::{Browser, until};
use controller_sim::Outcome;
use domain::card::{self, CardFormat, CardNumber};
use domain::{Kind, Reason};
use fantoccini::{Client, Locator};
use installation::{Site, cards};
use tokio::time::Instant;

const PASSWORD: &str = "a quiet morning in Kyiv";
/// The live page has a line for it.
const IS_LIVE: &str = "return !!document.querySelector('[data-link-state=live]')";
/// Notes the line of every event that appears from now on.
const WATCH: &str = "window.seen = []; new MutationObserver(c => c.forEach(m => m.addedNodes.forEach(n => n.dataset && seen.push(n.dataset.id)))).observe(document.querySelector('[data-feed]'), {childList: true})";
const LOST: &str = "return document.querySelector('.is-lost') && document.querySelector('[data-over-text]').textContent.startsWith('Connection lost')";
/// Unknown cards tapped while nobody can look.
const MEANWHILE: u32 = 5;

#[tokio::test(flavor = "multi_thread")]
async fn taps_appear_in_words_and_a_killed_program_loses_and_doubles_nothing_on_the_page() {
    let site = Site::new("").await;
    let port = free_port();
    site.edit(|text| text.replace("127.0.0.1:0", &format!("127.0.0.1:{port}")));
    let cards = cards(2);
    site.import(&cards);
    let mut program = site.start("run").await;
    let address = program.line("Tapward is at").await;
    let link = program.line("First sign-in, once, within 24 hours:").await;
    assert!(link.starts_with(&address), "{link}");
    let browser = Browser::start(1280, 1000).await;
    let page = browser.page();
    first_sign_in(page, &link).await;
    site.secure().await;
    site.tap_until("west-1-in", &cards[0], Outcome::Passed).await;

    let tapped = Instant::now();
    site.tap_until("east-2-in", &cards[1], Outcome::Passed).await;
    until(page, "the passage", "const row = document.querySelector('[data-feed] tr'); return row.innerText.includes('East 2') && row.querySelector('.chip').textContent === 'passed'").await;
    println!("from tap to passage on the page: {:?}", tapped.elapsed());
    let tapped = Instant::now();
    site.tap_until("east-3-out", &stranger(0), Outcome::Refused).await;
    until(page, "the refusal, large, in words and spoken", "const now = document.querySelector('.now'); return now.dataset.tone === 'bad' && now.innerText.includes('This card is not registered.') && now.innerText.includes('East 3') && document.querySelector('[data-say]').textContent.includes('not registered')").await;
    println!("from tap to refusal on the page: {:?}", tapped.elapsed());

    let shown = site.stored().await.last().unwrap().id;
    page.execute(WATCH, vec![]).await.unwrap();
    program.kill().await;
    until(page, "the loss, said", LOST).await;
    // Doors go on without pages; the journal keeps what happens.
    let gateway = site.start("gateway").await;
    site.secure().await;
    for n in 1..=MEANWHILE {
        site.tap_until("west-2-in", &stranger(n), Outcome::Refused).await;
    }
    gateway.stop().await;
    program = site.start("run").await;
    site.secure().await;
    site.tap_until("west-3-in", &cards[0], Outcome::Passed).await;
    until(page, "the newest passage, after everything before it", "const row = document.querySelector('[data-feed] tr'); return !document.querySelector('.is-lost') && row.innerText.includes('West 3') && row.querySelector('.chip').textContent === 'passed'").await;
    let seen: Vec<String> = serde_json::from_value(page.execute("return window.seen", vec![]).await.unwrap()).unwrap();
    let seen: Vec<u64> = seen.iter().map(|id| id.parse().unwrap()).collect();
    assert!(seen.is_sorted_by(|a, b| a < b), "in order, each once: {seen:?}");
    let refused = refused_after(&site, shown).await;
    assert!(refused.len() >= MEANWHILE as usize, "{refused:?}");
    let missed: Vec<&u64> = refused.iter().filter(|id| !seen.contains(id)).collect();
    assert!(missed.is_empty(), "refusals {missed:?} are not among {seen:?}");

    page.goto(&format!("{address}/devices")).await.unwrap();
    let secured = "return [...document.querySelectorAll('table.readers tbody tr')].filter(r => r.innerText.includes('secured') && r.innerText.includes('answers')).length";
    let secured = format!("{secured} === {}", site.readers.len());
    until_reloaded(page, "every reader secured", &secured).await;
    browser.end().await;
    program.stop().await;
    site.simulator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_from_the_page_reaches_the_door_and_its_answer_the_page() {
    let site = Site::new("").await;
    let port = free_port();
    site.edit(|text| text.replace("127.0.0.1:0", &format!("127.0.0.1:{port}")));
    let cards = cards(1);
    site.import(&cards);
    let mut program = site.start("run").await;
    let address = program.line("Tapward is at").await;
    let link = program.line("First sign-in, once, within 24 hours:").await;
    let browser = Browser::start(1280, 1000).await;
    let page = browser.page();
    first_sign_in(page, &link).await;
    site.secure().await;
    site.tap_until("west-1-in", &cards[0], Outcome::Passed).await;

    let given = Instant::now();
    order(page, &address, "west-1", "Open once", "help").await;
    println!("from the button to the answer on the page: {:?}", given.elapsed());
    order(page, &address, "west-1", "Lock", "drill").await;
    let blocked = "return [...document.querySelectorAll('.door-tiles li')].some(t => t.innerText.includes('West 1') && t.innerText.includes('blocked by command'))";
    until_reloaded(page, "the locked door", blocked).await;
    site.tap_until("west-1-in", &cards[0], Outcome::Refused).await;
    order(page, &address, "west-1", "Back to normal", "drill").await;
    site.tap_until("west-1-in", &cards[0], Outcome::Passed).await;

    let journal = site.journal();
    let orders: Vec<&str> = journal
        .iter()
        .filter(|entry| entry["kind"] == "command" && entry["point"] == "west-1")
        .map(|entry| entry["detail"].as_str().unwrap())
        .collect();
    assert_eq!(orders.len(), 3, "{orders:?}");
    for (detail, (action, reason)) in orders.iter().zip([("open", "help"), ("lock", "drill"), ("normal", "drill")]) {
        let (what, rest) = detail.split_once(" by ").unwrap();
        let (who, why) = rest.split_once(": ").unwrap();
        assert_eq!((what, why), (action, reason));
        assert!(who.len() == 32 && who.bytes().all(|byte| byte.is_ascii_hexdigit()), "no name: {detail}");
    }
    assert!(!site.log().contains("olena"), "no name in the log");
    browser.end().await;
    program.stop().await;
    site.simulator.stop().await;
}

/// Gives an order from a door's panel and waits for the answer.
async fn order(page: &Client, address: &str, door: &str, words: &str, reason: &str) {
    page.goto(&format!("{address}/devices?gateway=clinic-1-gw&door={door}")).await.unwrap();
    page.find(Locator::LinkText(words)).await.unwrap().click().await.unwrap();
    until(page, "the form", "return document.readyState === 'complete' && !!document.querySelector('form.order')")
        .await;
    let choose = format!(
        "document.querySelector('#reason').value = '{reason}'; document.querySelector('form.order button').click(); return 1"
    );
    page.execute(&choose, vec![]).await.unwrap();
    until(page, "the answer", "return document.querySelector('#door [role=status]')?.textContent.startsWith('The gateway has carried it out')").await;
}

async fn first_sign_in(page: &Client, link: &str) {
    page.goto(link).await.unwrap();
    for (field, text) in
        [("login", "olena.b"), ("shown_name", "Olena Bondar"), ("password", PASSWORD), ("again", PASSWORD)]
    {
        page.find(Locator::Id(field)).await.unwrap().send_keys(text).await.unwrap();
    }
    page.find(Locator::Css("button.primary")).await.unwrap().click().await.unwrap();
    until(page, "the live page", IS_LIVE).await;
}

/// A card that nobody registered.
fn stranger(n: u32) -> CardNumber {
    card::parse(CardFormat::Wiegand26, &format!("99,{}", 700 + n)).unwrap()
}

/// Cards answered in red after this event: unknown ones, and those read before the reader had ever been polled.
async fn refused_after(site: &Site, id: u64) -> Vec<u64> {
    let events = site.stored().await.into_iter().filter(|event| event.id > id);
    let refused = events.filter(|event| match event.entry.fact.kind {
        Kind::Refused => event.entry.fact.reason == Some(Reason::UnknownCard),
        kind => kind == Kind::LateTap,
    });
    refused.map(|event| event.id).collect()
}

/// For a page that shows how things are when it is asked.
async fn until_reloaded(page: &Client, what: &str, script: &str) {
    installation::until(what, async || {
        page.refresh().await.unwrap();
        page.execute(script, vec![]).await.unwrap().as_bool() == Some(true)
    })
    .await;
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
