//! The pages in a real browser: first sign-in by link, a live event within a second, a lost connection, phone width,
//! no foreign requests. With `TAPWARD_SCREENS=FOLDER` pictures of every page are written there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests and what they share")]

mod chromium;
mod scene;

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::time::Duration;

use clinic::accounts::{Accounts, SessionRules};
use dashboard::{Dashboard, Settings, TlsSource};
use domain::{Clock, Direction, Kind, Reason, SiteId, UtcMillis};
use fantoccini::{Client, Locator};
use scene::{Recorder, fact};
use store::Database;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const PASSWORD: &str = "a quiet morning in Kyiv";

struct Stage {
    folder: TempDir,
    database: Database,
    clock: Clock,
    address: SocketAddr,
    link: String,
    shutdown: CancellationToken,
    server: JoinHandle<()>,
    recorder: Recorder,
}

#[expect(clippy::disallowed_methods, reason = "a browser compares the server's clock with its own")]
fn wall() -> Clock {
    let begin = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let begin = i64::try_from(begin.as_millis()).unwrap();
    let since = tokio::time::Instant::now();
    Clock::new(move || UtcMillis(begin + i64::try_from(since.elapsed().as_millis()).unwrap()))
}

async fn stage() -> Stage {
    let folder = tempfile::tempdir().unwrap();
    let database = scene::database(folder.path()).await;
    let clock = wall();
    scene::furnish(&database, clock.now()).await;
    let mut recorder = Recorder::new(&database);
    scene::morning(&mut recorder, clock.now()).await;
    scene::equipment(&database, clock.now()).await;
    let accounts =
        Accounts::new(database.clone(), clock.clone(), SessionRules::default(), "clinic-3", scene::accounts_key());
    let link = accounts.create_first_run_link().await.unwrap().unwrap().path();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (shutdown, address, server) = serve(&folder, &database, &clock, listener).await;
    Stage { folder, database, clock, address, link, shutdown, server, recorder }
}

async fn serve(
    folder: &TempDir,
    database: &Database,
    clock: &Clock,
    listener: TcpListener,
) -> (CancellationToken, SocketAddr, JoinHandle<()>) {
    let settings = Settings {
        site: SiteId::new("clinic-3").unwrap(),
        time_zone: chrono_tz::Europe::Kyiv,
        language: "en".to_owned(),
        tls: TlsSource::Own { folder: folder.path().join("tls"), names: vec![] },
        sessions: SessionRules::default(),
        retention: clinic::retention::Terms::default(),
        accounts_key: scene::accounts_key(),
        trusted_proxies: Vec::new(),
        desk: dashboard::DeskSettings::default(),
        till: dashboard::TillSettings::default(),
    };
    let vault = scene::vault(database, clock.clone(), folder.path()).await;
    let dashboard = Dashboard::new(settings, database.clone(), clock.clone(), vault);
    let shutdown = CancellationToken::new();
    let (ready, is_ready) = oneshot::channel();
    let ending = shutdown.clone();
    let server = tokio::spawn(async move { dashboard.serve(listener, ending, Some(ready)).await.unwrap() });
    (shutdown, is_ready.await.unwrap(), server)
}

impl Stage {
    fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.address)
    }

    async fn first_sign_in(&self, browser: &Client) {
        browser.goto(&self.url(&self.link)).await.unwrap();
        self.picture(browser, "welcome").await;
        for (field, text) in
            [("login", "olena.b"), ("shown_name", "Olena Bondar"), ("password", PASSWORD), ("again", PASSWORD)]
        {
            browser.find(Locator::Id(field)).await.unwrap().send_keys(text).await.unwrap();
        }
        browser.find(Locator::Css("button.primary")).await.unwrap().click().await.unwrap();
        chromium::until(browser, "the live page", "return !!document.querySelector('[data-link-state=live]')").await;
    }

    async fn sign_in(&self, browser: &Client) {
        browser.goto(&self.url("/")).await.unwrap();
        for (field, text) in [("login", "olena.b"), ("password", PASSWORD)] {
            browser.find(Locator::Id(field)).await.unwrap().send_keys(text).await.unwrap();
        }
        browser.find(Locator::Css("button.primary")).await.unwrap().click().await.unwrap();
        chromium::until(browser, "the live page", "return !!document.querySelector('[data-link-state=live]')").await;
    }

    async fn picture(&self, browser: &Client, name: &str) {
        if let Some(folder) = std::env::var_os("TAPWARD_SCREENS").map(PathBuf::from) {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join(format!("{name}.png")), browser.screenshot().await.unwrap()).unwrap();
        }
    }

    async fn end(self) {
        self.shutdown.cancel();
        tokio::time::timeout(Duration::from_secs(8), self.server).await.expect("an orderly end").unwrap();
        drop(self.folder);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_signs_in_by_link_and_sees_a_tap_within_a_second() {
    let mut stage = stage().await;
    let browser = chromium::Browser::start(1280, 1000).await;
    let page = browser.page();
    stage.first_sign_in(page).await;

    let now = stage.clock.now();
    let tap = fact(now, Kind::Granted, "turnstile-1", Direction::In, Some(5), Some(Reason::Allowed));
    let sent = tokio::time::Instant::now();
    stage.recorder.record(vec![tap]).await;
    chromium::until(page, "the granted line", "return document.querySelector('[data-feed] tr').dataset.slot.startsWith('turnstile-1|in|') && document.querySelector('[data-feed] .chip').textContent === 'granted'").await;
    let took = sent.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");
    println!("event to page: {took:?}");

    let lines = "return document.querySelectorAll('[data-feed] tr').length";
    let before = page.execute(lines, vec![]).await.unwrap();
    let passed = fact(now.plus_ms(900), Kind::Passed, "turnstile-1", Direction::In, Some(5), None);
    stage.recorder.record(vec![passed]).await;
    chromium::until(
        page,
        "the outcome in the same line",
        "return document.querySelector('[data-feed] .chip').textContent === 'passed'",
    )
    .await;
    assert_eq!(page.execute(lines, vec![]).await.unwrap(), before);

    let refused = fact(now.plus_ms(1500), Kind::Refused, "turnstile-2", Direction::In, Some(7), Some(Reason::Expired));
    stage.recorder.record(vec![refused]).await;
    chromium::until(page, "the refusal, large and spoken", "return document.querySelector('.now').dataset.tone === 'bad' && document.querySelector('[data-say]').textContent.includes('expired')").await;
    let foreign = page
        .execute("return performance.getEntriesByType('resource').map(r => r.name).filter(n => !n.startsWith(location.origin))", vec![])
        .await
        .unwrap();
    assert_eq!(foreign, serde_json::json!([]), "pages ask this server only");
    browser.end().await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_is_said_and_made_good_without_loss_or_doubling() {
    let mut stage = stage().await;
    let browser = chromium::Browser::start(1280, 1000).await;
    let page = browser.page();
    stage.first_sign_in(page).await;
    page.execute("window.seen = []; new MutationObserver(c => c.forEach(m => m.addedNodes.forEach(n => n.dataset && seen.push(n.dataset.id)))).observe(document.querySelector('[data-feed]'), {childList: true})", vec![]).await.unwrap();

    stage.shutdown.cancel();
    (&mut stage.server).await.unwrap();
    chromium::until(page, "the loss, said", "return document.querySelector('.is-lost') && document.querySelector('[data-over-text]').textContent.startsWith('Connection lost, showing ')").await;
    stage.picture(page, "live-lost").await;
    let now = stage.clock.now();
    for n in 0..5 {
        let at = now.plus_ms(n * 100);
        let holder = u32::try_from(n).unwrap() + 900;
        stage
            .recorder
            .record(vec![fact(
                at,
                Kind::Refused,
                "turnstile-1",
                Direction::In,
                Some(holder),
                Some(Reason::UnknownCard),
            )])
            .await;
    }
    let listener = TcpListener::bind(stage.address).unwrap();
    let (shutdown, _, server) = serve(&stage.folder, &stage.database, &stage.clock, listener).await;
    (stage.shutdown, stage.server) = (shutdown, server);
    chromium::until(
        page,
        "the five, caught up",
        "return window.seen.length >= 5 && !document.querySelector('.is-lost')",
    )
    .await;
    let seen: Vec<String> = serde_json::from_value(page.execute("return window.seen", vec![]).await.unwrap()).unwrap();
    let last: u64 = clinic::events::last_id(&stage.database).await.unwrap();
    let expected: Vec<String> = (last - 4..=last).map(|id| id.to_string()).collect();
    assert_eq!(seen, expected, "each once, in order");
    browser.end().await;
    stage.end().await;
}

/// Presses what the selector finds and waits for what must be there then.
async fn press(page: &Client, selector: &str, what: &str, then: &str) {
    page.find(Locator::Css(selector)).await.unwrap().click().await.unwrap();
    chromium::until(page, what, then).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_is_copied_changed_given_in_a_zone_and_removed() {
    let stage = stage().await;
    let browser = chromium::Browser::start(1280, 1500).await;
    let page = browser.page();
    stage.first_sign_in(page).await;
    page.goto(&stage.url("/roles?open=guard")).await.unwrap();
    press(page, "a[href*='copy=guard']", "the copy", "return document.getElementById('name')?.value === 'Guard, own'")
        .await;
    page.execute("document.getElementById('name').value = 'Night guard'; return 1", vec![]).await.unwrap();
    press(
        page,
        "input[value=door_open]",
        "no door",
        "return !document.querySelector('input[value=door_open]').checked",
    )
    .await;
    press(
        page,
        "#role .btn.primary",
        "the role",
        "return document.querySelector('.note.ok') && location.search.includes('done=made')",
    )
    .await;

    page.goto(&stage.url("/accounts?open=new")).await.unwrap();
    page.find(Locator::Id("login")).await.unwrap().send_keys("night.1").await.unwrap();
    press(page, "#account .btn.primary", "the link", "return !!document.querySelector('[data-link]')").await;
    let open = "[...document.querySelectorAll('a.whole')].find(a => a.closest('tr').textContent.includes('night.1')).click(); return 1";
    page.execute(open, vec![]).await.unwrap();
    chromium::until(page, "the account", "return !!document.getElementById('add-role')").await;
    let choose = "const pick = (id, text) => { const list = document.getElementById(id); list.value = [...list.options].find(o => o.text === text).value; }; \
                  pick('add-role', 'Night guard'); pick('add-zone', 'Yard'); document.querySelector('input[name=grant]').click(); return 1";
    page.execute(choose, vec![]).await.unwrap();
    press(
        page,
        "form[action='/accounts/roles'] .btn",
        "the roles",
        "return document.querySelector('form[action=\"/accounts/roles\"]').textContent.includes('Night guard · Yard')",
    )
    .await;
    stage.picture(page, "desk-account-given").await;

    let held: Vec<(String, String)> = store::read!(stage.database, "test", |conn| {
        Ok(store::sqlx::query_as(
            "SELECT role.name, zone FROM account_role JOIN account ON account.id = account \
             JOIN role ON role.id = account_role.role WHERE login = 'night.1'",
        )
        .fetch_all(&mut *conn)
        .await?)
    })
    .unwrap();
    assert_eq!(held, [("Night guard".to_owned(), "yard".to_owned())]);
    page.goto(&stage.url("/roles?q=night")).await.unwrap();
    press(page, "a.whole", "the role", "return !!document.querySelector('#role .help')").await;
    let buttons = "return document.querySelectorAll(\"form[action='/roles/remove']\").length";
    assert_eq!(page.execute(buttons, vec![]).await.unwrap(), 0, "somebody has it");
    browser.end().await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_page_scrolls_sideways_on_a_phone_or_a_desk() {
    let stage = stage().await;
    let desk = chromium::Browser::start(1280, 1500).await;
    stage.first_sign_in(desk.page()).await;
    // A row with each state of an account.
    desk.page().goto(&stage.url("/accounts?open=new")).await.unwrap();
    desk.page().find(Locator::Id("login")).await.unwrap().send_keys("guard.07").await.unwrap();
    desk.page().find(Locator::Css("form[action='/accounts/create'] button")).await.unwrap().click().await.unwrap();
    chromium::until(
        desk.page(),
        "the link for the new account",
        "return document.querySelector('[data-link]')?.textContent.startsWith('https://')",
    )
    .await;
    stage.picture(desk.page(), "desk-accounts-link").await;
    let newest = clinic::events::last_id(&stage.database).await.unwrap();
    let entry = format!("/journal?open={newest}");
    let guards: String = store::read!(stage.database, "test", |conn| {
        Ok(store::sqlx::query_scalar("SELECT id FROM account WHERE login = 'guard.07'").fetch_one(&mut *conn).await?)
    })
    .unwrap();
    let account = format!("/accounts?open={guards}");
    let places = [
        ("live", "/live"),
        ("devices", "/devices"),
        ("door", "/devices?gateway=gateway-1&door=garage-gate"),
        ("order", "/devices?gateway=gateway-1&door=surgery-door&order=free_passage"),
        ("journal", "/journal"),
        ("entry", entry.as_str()),
        ("accounts", "/accounts"),
        ("account-new", "/accounts?open=new"),
        ("account", account.as_str()),
        ("roles", "/roles"),
        ("role", "/roles?open=pass_office"),
        ("role-new", "/roles?open=new&copy=guard"),
        ("me", "/me"),
        ("missing", "/nowhere"),
        ("nothing", "/journal?q=nothing-like-it"),
    ];
    let phone = chromium::Browser::start(360, 1300).await;
    stage.sign_in(phone.page()).await;
    let wide = "return Math.max(document.documentElement.scrollWidth, document.body.scrollWidth) - window.innerWidth";
    let sticking_out = "return [...document.querySelectorAll('.card *')].filter(e => e.getClientRects().length && !e.closest('.unseen, thead, .menu-sheet, details:not([open]) > :not(summary)') && e.getBoundingClientRect().right > e.closest('.card').getBoundingClientRect().right + 1).map(e => e.outerHTML.slice(0, 120)).slice(0, 3)";
    for (size, browser) in [("desk", desk.page()), ("phone", phone.page())] {
        for look in ["light", "dark"] {
            for language in ["en", "ru"] {
                browser.goto(&stage.url("/me")).await.unwrap();
                for (name, value) in [("theme", look), ("language", language)] {
                    let press =
                        format!("document.querySelector('button[name={name}][value={value}]').click(); return 1");
                    browser.execute(&press, vec![]).await.unwrap();
                    let attribute = if name == "theme" { "data-theme" } else { "lang" };
                    chromium::until(browser, value, &format!("return document.documentElement.getAttribute('{attribute}') === '{value}' && document.readyState === 'complete'")).await;
                }
                for (name, path) in places {
                    browser.goto(&stage.url(path)).await.unwrap();
                    browser
                        .execute("document.querySelectorAll('main details.more').forEach(d => d.open = true)", vec![])
                        .await
                        .unwrap();
                    if name == "live" {
                        chromium::until(browser, "live", "return !!document.querySelector('[data-link-state=live]')")
                            .await;
                    }
                    if look == "light" || language == "en" {
                        stage.picture(browser, &format!("{size}-{name}-{look}-{language}")).await;
                    }
                    let over = browser.execute(wide, vec![]).await.unwrap();
                    assert!(over.as_i64().unwrap() <= 0, "{size} {path} {language}: {over} px too wide");
                    let out = browser.execute(sticking_out, vec![]).await.unwrap();
                    assert_eq!(out, serde_json::json!([]), "{size} {path} {language}: sticks out of its card");
                }
            }
        }
    }
    desk.page().goto(&stage.url("/me")).await.unwrap();
    desk.page()
        .execute("document.querySelector('form[action=\"/sign-out\"] button').click(); return 1", vec![])
        .await
        .unwrap();
    chromium::until(desk.page(), "the sign-in page", "return location.pathname === '/sign-in'").await;
    stage.picture(desk.page(), "desk-sign-in").await;
    phone.end().await;
    desk.end().await;
    stage.end().await;
}

/// Answers the next order as a bridge and its gateway do.
async fn answer(database: Database, clock: Clock, problem: Option<&'static str>) {
    loop {
        let waiting = clinic::commands::waiting(&database, clock.now()).await.unwrap();
        if let Some(order) = waiting.first() {
            clinic::commands::sent(&database, order.id, clock.now()).await.unwrap();
            clinic::commands::ended(&database, &order.gateway, order.id, problem, clock.now()).await.unwrap();
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_door_is_opened_from_its_tile_with_a_reason_on_a_desk_and_on_a_phone() {
    let stage = stage().await;
    let desk = chromium::Browser::start(1280, 1000).await;
    stage.first_sign_in(desk.page()).await;
    let phone = chromium::Browser::start(360, 900).await;
    stage.sign_in(phone.page()).await;
    for (size, page, problem) in
        [("desk", desk.page(), None), ("phone", phone.page(), Some("the point is locked by the fire panel"))]
    {
        page.goto(&stage.url("/devices")).await.unwrap();
        let tile = Locator::LinkText("Turnstile 2");
        let tile = page.find(tile).await.unwrap();
        // Where a thumb would bring it: not under the bar of places.
        let middle =
            "document.querySelector('a[href*=\"door=turnstile-2\"]').scrollIntoView({block: 'center'}); return 1";
        page.execute(middle, vec![]).await.unwrap();
        tile.click().await.unwrap();
        chromium::until(page, "the door's panel", "return !!document.querySelector('#door .orders')").await;
        let seen = "const box = document.querySelector('#door').getBoundingClientRect(); return box.top >= 0 && box.top < innerHeight && box.left >= 0 && box.right <= innerWidth";
        chromium::until(page, "the panel in view", seen).await;
        let small = "return [...document.querySelectorAll('#door a.btn, #door button')].filter(e => e.getBoundingClientRect().height < 36).length";
        assert_eq!(page.execute(small, vec![]).await.unwrap(), 0, "{size}: buttons for fingers");
        page.find(Locator::LinkText("Open once")).await.unwrap().click().await.unwrap();
        chromium::until(page, "the reason in focus", "return document.activeElement?.id === 'reason'").await;
        stage.picture(page, &format!("{size}-order-open")).await;
        // Without a reason the browser itself does not send it.
        page.find(Locator::Css("form.order button")).await.unwrap().click().await.unwrap();
        let asked =
            "return !!document.querySelector('form.order select:invalid') && location.search.includes('order=open')";
        assert_eq!(page.execute(asked, vec![]).await.unwrap(), true, "{size}");
        let choose = "document.querySelector('#reason').value = 'help'; document.querySelector('#note').value = 'wheelchair'; return 1";
        page.execute(choose, vec![]).await.unwrap();
        let answering = tokio::spawn(answer(stage.database.clone(), stage.clock.clone(), problem));
        page.find(Locator::Css("form.order button")).await.unwrap().click().await.unwrap();
        answering.await.unwrap();
        let words = if problem.is_some() { "It was not carried out" } else { "The gateway has carried it out" };
        let script = format!(
            "return document.querySelector('#door [role=status]')?.textContent.startsWith('{words}') && document.querySelector('.past b').textContent === 'Open once' && document.querySelector('.past').textContent.includes('Somebody needs help: wheelchair')"
        );
        chromium::until(page, "the answer", &script).await;
        stage.picture(page, &format!("{size}-order-answered")).await;
    }
    desk.end().await;
    phone.end().await;
    stage.end().await;
}

/// The code that a telephone would show now, out of the key on the page.
async fn code_on_telephone(stage: &Stage, page: &Client) -> String {
    let key = page.execute("return document.querySelector('.more-key .secret').textContent", vec![]).await.unwrap();
    clinic::accounts::code_of_key(key.as_str().unwrap(), stage.clock.now()).unwrap()
}

async fn type_code(page: &Client, code: &str) {
    page.find(Locator::Id("code")).await.unwrap().send_keys(code).await.unwrap();
    page.find(Locator::Css("form button.primary")).await.unwrap().click().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_factor_is_set_up_by_scanning_and_asked_for_at_the_next_sign_in() {
    let stage = stage().await;
    let desk = chromium::Browser::start(1280, 1400).await;
    let phone = chromium::Browser::start(360, 1300).await;
    let page = desk.page();
    stage.first_sign_in(page).await;
    page.goto(&stage.url("/me")).await.unwrap();
    stage.picture(page, "desk-me").await;
    page.find(Locator::Id("factor-password")).await.unwrap().send_keys(PASSWORD).await.unwrap();
    page.find(Locator::Css("button[value=begin]")).await.unwrap().click().await.unwrap();
    chromium::until(page, "the picture to scan", "return !!document.querySelector('.scan svg path, .scan svg rect')")
        .await;
    stage.picture(page, "desk-factor").await;
    let inline = "return document.querySelectorAll('main [style], main script').length";
    assert_eq!(page.execute(inline, vec![]).await.unwrap(), 0, "nothing inline that the page's policy forbids");
    let key = page.execute("return document.querySelector('.more-key .secret').textContent", vec![]).await.unwrap();
    type_code(page, &code_on_telephone(&stage, page).await).await;
    chromium::until(page, "ten codes", "return document.querySelectorAll('.codes li').length === 10").await;
    stage.picture(page, "desk-codes").await;
    let recovery = page.execute("return document.querySelector('.codes li').textContent", vec![]).await.unwrap();
    page.find(Locator::Css("a.primary")).await.unwrap().click().await.unwrap();
    chromium::until(page, "the account says so", "return !!document.querySelector('button[value=codes]')").await;
    stage.picture(page, "desk-me-factor").await;

    // On another browser: the password alone opens nothing.
    let page = phone.page();
    page.goto(&stage.url("/devices")).await.unwrap();
    for (field, text) in [("login", "olena.b"), ("password", PASSWORD)] {
        page.find(Locator::Id(field)).await.unwrap().send_keys(text).await.unwrap();
    }
    stage.picture(page, "phone-sign-in").await;
    page.find(Locator::Css("button.primary")).await.unwrap().click().await.unwrap();
    chromium::until(page, "the second step", "return location.pathname === '/sign-in/step'").await;
    stage.picture(page, "phone-step").await;
    let wide = "return Math.max(document.documentElement.scrollWidth, document.body.scrollWidth) - window.innerWidth";
    assert!(page.execute(wide, vec![]).await.unwrap().as_i64().unwrap() <= 0);
    type_code(page, "000000").await;
    chromium::until(page, "the refusal", "return !!document.querySelector('#problem')").await;
    stage.picture(page, "phone-step-wrong").await;
    // The code that set it up is used up; a recovery code is not.
    let used = clinic::accounts::code_of_key(key.as_str().unwrap(), stage.clock.now()).unwrap();
    assert_eq!(used.len(), 6);
    type_code(page, recovery.as_str().unwrap()).await;
    chromium::until(page, "where the visit was meant for", "return location.pathname === '/devices'").await;
    for (size, page) in [("desk", desk.page()), ("phone", phone.page())] {
        for (name, path) in [("me", "/me"), ("notices", "/notices")] {
            page.goto(&stage.url(path)).await.unwrap();
            stage.picture(page, &format!("{size}-{name}-after")).await;
            assert!(page.execute(wide, vec![]).await.unwrap().as_i64().unwrap() <= 0, "{size} {path} is too wide");
        }
    }
    let told = "return document.querySelectorAll('table tbody tr').length";
    assert!(phone.page().execute(told, vec![]).await.unwrap().as_i64().unwrap() >= 2, "notices of what happened");
    desk.end().await;
    phone.end().await;
    stage.end().await;
}
