//! A turnstile controller on the pages: a client that was written from the specification alone joins a whole gateway,
//! and a browser sees it like any other equipment.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

mod acs_link_site;
#[path = "../../dashboard/tests/chromium/mod.rs"]
mod chromium;
mod installation;

use acs_link_site::{Client, GATEWAY, Way, certificates, free_port, listener, peer};
use chromium::{Browser, until};
use fantoccini::{Client as Page, Locator};
use installation::{Site, cards};
use serde_json::json;

const PASSWORD: &str = "a quiet morning in Kyiv";
const POINTS: &str = "[[point]]\nid = \"north\"\nkind = \"turnstile\"\nfrom = \"street\"\nto = \"hall\"\n";
/// The controller's row of the table.
const ROW: &str = "[...document.querySelectorAll('table.peers tbody tr')].find(r => r.innerText.includes('Py 1'))";

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_is_seen_ordered_and_told_late_like_any_other_equipment() {
    let (link_port, page_port) = (free_port(), free_port());
    let config = format!("{}\n{}", listener(link_port, std::path::Path::new("acs")), peer("py-1", "north", ""));
    let site = Site::with_plant(POINTS, &config).await;
    site.edit(|text| text.replace("127.0.0.1:0", &format!("127.0.0.1:{page_port}")));
    certificates(&site.folder.path().join("acs"), Some(GATEWAY), &["py-1"]);
    site.import(&cards(5));
    let mut program = site.start("run").await;
    let address = program.line("Tapward is at").await;
    let link = program.line("First sign-in, once, within 24 hours:").await;
    let browser = Browser::start(1280, 1000).await;
    let page = browser.page();
    first_sign_in(page, &link).await;
    let devices = format!("{address}/devices");
    page.goto(&devices).await.unwrap();
    sees(
        page,
        "the controller, away",
        "row.innerText.includes('acs-link controller') && row.innerText.includes('not connected')",
    )
    .await;

    let mut client = Client::start(site.folder.path(), "py-1", Way::Connect(link_port)).await;
    client.connects().await;
    client.gets("SyncEnd").await;
    sees(
        page,
        "the controller with its passes",
        "row.querySelector('.chip').textContent === 'connected' && row.innerText.includes('secured') && row.cells[4].innerText === '5' && row.cells[5].innerText === 'right'",
    )
    .await;
    let readers = "return [...document.querySelectorAll('table.readers tbody tr')].filter(r => r.innerText.includes('clinic/north') && r.innerText.includes('answers') && r.innerText.includes('secured')).length === 2";
    reloaded(page, "both its readers", readers).await;

    // An order from the page is a Control at the controller.
    page.goto(&format!("{devices}?gateway={GATEWAY}&door=north")).await.unwrap();
    page.find(Locator::LinkText("Open once")).await.unwrap().click().await.unwrap();
    until(page, "the form", "return document.readyState === 'complete' && !!document.querySelector('form.order')")
        .await;
    page.execute(
        "document.querySelector('#reason').value = 'help'; document.querySelector('form.order button').click(); return 1",
        vec![],
    )
    .await
    .unwrap();
    let control = client.gets("Control").await;
    assert!(control["action"].as_str().is_some_and(|action| action.starts_with("pulse")), "{control}");
    until(page, "the answer", "return !!document.querySelector('#door .note.ok')").await;

    // What happens now is large; what is told afterwards is in the table only.
    page.goto(&format!("{address}/live")).await.unwrap();
    until(page, "the live page", "return !!document.querySelector('[data-link-state=live]')").await;
    client.does(&event(1, "denied", 0)).await;
    until(page, "the refusal, large", "return document.querySelector('.now').dataset.tone === 'bad' && document.querySelector('.now').innerText.includes('North')").await;
    client.does(&event(2, "passed", 1_800_000)).await;
    until(page, "the late passage, in the table", "const row = document.querySelector('[data-feed] tr'); return row.innerText.includes('30 min earlier') && row.querySelector('.chip').textContent.startsWith('passed')").await;
    let large = "return document.querySelector('.now').innerText.includes('earlier')";
    assert_eq!(page.execute(large, vec![]).await.unwrap(), false, "late is not live");

    client.quit().await;
    page.goto(&devices).await.unwrap();
    sees(page, "the controller, gone", "row.innerText.includes('not connected')").await;
    if let Some(folder) = std::env::var_os("TAPWARD_SCREENS") {
        std::fs::create_dir_all(&folder).unwrap();
        let file = std::path::PathBuf::from(folder).join("peer-page.png");
        std::fs::write(file, page.screenshot().await.unwrap()).unwrap();
    }
    browser.end().await;
    program.stop().await;
    site.simulator.stop().await;
}

/// A card of the installation at the controller's turnstile, so many milliseconds ago.
fn event(card: u32, code: &str, ago_ms: u64) -> serde_json::Value {
    json!({
        "do": "event", "point": "clinic/north", "direction": "in", "format": "wiegand26",
        "credential": format!("{:06X}", (20 << 16) + card), "code": code, "by": "controller", "ago_ms": ago_ms
    })
}

async fn first_sign_in(page: &Page, link: &str) {
    page.goto(link).await.unwrap();
    for (field, text) in
        [("login", "olena.b"), ("shown_name", "Olena Bondar"), ("password", PASSWORD), ("again", PASSWORD)]
    {
        page.find(Locator::Id(field)).await.unwrap().send_keys(text).await.unwrap();
    }
    page.find(Locator::Css("button.primary")).await.unwrap().click().await.unwrap();
    until(page, "the live page", "return !!document.querySelector('[data-link-state=live]')").await;
}

/// The page shows how things are when it is asked.
async fn reloaded(page: &Page, what: &str, script: &str) {
    let began = tokio::time::Instant::now();
    loop {
        page.refresh().await.unwrap();
        if page.execute(script, vec![]).await.unwrap().as_bool() == Some(true) {
            return;
        }
        if began.elapsed() > installation::PATIENCE {
            let tables = "return [...document.querySelectorAll('table')].map(t => t.innerText).join('\\n')";
            panic!("{what}: not seen in {}", page.execute(tables, vec![]).await.unwrap());
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

async fn sees(page: &Page, what: &str, of_row: &str) {
    reloaded(page, what, &format!("const row = {ROW}; return !!row && {of_row}")).await;
}
