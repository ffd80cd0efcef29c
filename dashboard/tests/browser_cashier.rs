//! The cash desk in a real browser: a cashier's whole day, from the opening of the drawer over payments of every kind to its
//! closing with a difference and the closing of the day; money back that somebody else allows; two cashiers on one item;
//! forms that are sent twice; what a phone shows. With `TAPWARD_SCREENS=FOLDER` pictures of the pages are written there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests and what they share")]

mod chromium;
mod scene;

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chromium::until;
use clinic::accounts::{Accounts, Login, NewAccount, Password, SessionRules, Visitor};
use clinic::acting::Acting;
use clinic::audit::Purpose;
use clinic::roles::Grant;
use clinic::till::{NewCharge, NewPrice, NewService, NewTerms, Till};
use dashboard::{Dashboard, DeskSettings, Settings, TillSettings, TlsSource};
use domain::money::{Amount, Currency};
use domain::till::Owner;
use domain::vault::{Names, Passport};
use domain::visit::OutOfCardCode;
use domain::{Clock, PersonId, Shipped, SiteId, UtcMillis};
use fantoccini::{Client, Locator};
use scene::{card, person};
use store::{Database, sqlx};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const PASSWORD: &str = "a quiet morning in Kyiv";
const PATIENT: u32 = 0;
const OTHER: u32 = 1;
const SERVICES: &[(&str, &str, i64)] =
    &[("CONS", "Consultation", 62_000), ("US-ABD", "Ultrasound, abdomen", 94_000), ("LAB", "Blood count", 24_000)];

struct Stage {
    _folder: TempDir,
    database: Database,
    address: SocketAddr,
    shutdown: CancellationToken,
    server: JoinHandle<()>,
    till: Till,
    keys: u32,
}

#[expect(clippy::disallowed_methods, reason = "a browser compares the server's clock with its own")]
fn wall_ms() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(now.as_millis()).unwrap()
}

fn uah() -> Currency {
    Currency::parse("UAH").unwrap()
}

async fn stage() -> Stage {
    let folder = tempfile::tempdir().unwrap();
    let database = scene::database(folder.path()).await;
    let (begin, since) = (wall_ms(), tokio::time::Instant::now());
    let clock = Clock::new(move || UtcMillis(begin + i64::try_from(since.elapsed().as_millis()).unwrap()));
    let vault = scene::vault(&database, clock.clone(), folder.path()).await;
    scene::furnish(&database, clock.now()).await;
    let acting = Acting::console();
    let passport = |family: &str, given: &str| Passport { names: Names::new(family, given, ""), ..Passport::default() };
    let named = [(PATIENT, "Ivanenko", "Olena"), (OTHER, "Bondar", "Maksym")];
    let batch = named.iter().map(|(n, family, given)| (person(*n), passport(family, given).into())).collect();
    vault.load(&acting, batch, Purpose::Maintenance).await.unwrap();
    let record = person(OTHER).to_string();
    store::transact!(database, "test.alias", |conn| {
        sqlx::query("INSERT INTO person_alias (system, value, person) VALUES ('mis', '70017', $1)")
            .bind(&record)
            .execute(&mut *conn)
            .await?;
        Ok(())
    })
    .unwrap();
    let till_settings = TillSettings::of(uah());
    let till = Till::new(database.clone(), clock.clone(), chrono_tz::Europe::Kyiv, till_settings.rules.clone());
    for (code, name, _) in SERVICES {
        till.put_service(&acting, NewService::new(code, name)).await.unwrap();
    }
    let price = |(code, _, minor): &(&str, &str, i64)| NewPrice::new(code, uah(), Amount::new(*minor).unwrap());
    till.set_prices(&acting, None, SERVICES.iter().map(price).collect()).await.unwrap();
    let limit = Amount::new(400_000).unwrap();
    till.put_terms(&acting, NewTerms::postpaid(Owner::Everybody, uah(), limit, till.today())).await.unwrap();
    let accounts =
        Accounts::new(database.clone(), clock.clone(), SessionRules::default(), "clinic-3", scene::accounts_key());
    let visitor = || Visitor::new("127.0.0.1".parse().unwrap(), "test");
    for (login, role, name) in [
        ("cashier", Shipped::Cashier, "Iryna Koval"),
        ("cashier2", Shipped::Cashier, "Marko Lys"),
        ("accountant", Shipped::Accountant, "Nadia Hrynko"),
    ] {
        let new = NewAccount {
            login: Login::new(login).unwrap(),
            shown_name: name.to_owned(),
            roles: vec![Grant::site(role)],
            locale: "en".to_owned(),
        };
        let link = accounts.create(&acting, new).await.unwrap();
        accounts.redeem_password(&link, Password::new(PASSWORD), &visitor()).await.unwrap();
    }
    let reader = |line: &str| (0..60).find(|n| line.trim() == format!("{:08X}", 0x04A1_0000 + n)).map(card);
    let settings = Settings {
        site: SiteId::new("clinic-3").unwrap(),
        time_zone: chrono_tz::Europe::Kyiv,
        language: "en".to_owned(),
        tls: TlsSource::Own { folder: folder.path().join("tls"), names: vec![] },
        sessions: SessionRules::default(),
        accounts_key: scene::accounts_key(),
        trusted_proxies: Vec::new(),
        till: till_settings,
        desk: DeskSettings { reader: Some(Arc::new(reader)), ..DeskSettings::default() },
        retention: clinic::retention::Terms::default(),
    };
    let dashboard = Dashboard::new(settings, database.clone(), clock.clone(), vault);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let shutdown = CancellationToken::new();
    let (ready, is_ready) = oneshot::channel();
    let ending = shutdown.clone();
    let server = tokio::spawn(async move { dashboard.serve(listener, ending, Some(ready)).await.unwrap() });
    let address = is_ready.await.unwrap();
    Stage { _folder: folder, database, address, shutdown, server, till, keys: 0 }
}

impl Stage {
    fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.address)
    }

    async fn sign_in(&self, page: &Client, login: &str) {
        page.goto(&self.url("/sign-in")).await.unwrap();
        for (field, text) in [("login", login), ("password", PASSWORD)] {
            page.find(Locator::Id(field)).await.unwrap().send_keys(text).await.unwrap();
        }
        page.find(Locator::Css("button.primary")).await.unwrap().click().await.unwrap();
        until(page, "signed in", "return location.pathname !== '/sign-in' && !!document.querySelector('.rail')").await;
    }

    /// A service is registered for a patient, as a doctor does.
    async fn serve(&mut self, patient: u32, service: &str) {
        self.keys += 1;
        let new = NewCharge {
            key: format!("test-charge-{}", self.keys),
            patient: person(patient),
            visit: None,
            session: None,
            out_of_card: Some((OutOfCardCode::ALL[0], "the reader of the room is being repaired".to_owned())),
            service: service.to_owned(),
            quantity: 1,
            currency: None,
            shown: None,
        };
        self.till.register(&Acting::console(), new).await.unwrap();
    }

    async fn open(&self, patient: u32) -> i64 {
        let open = self.till.open_charges(&Acting::console(), person(patient)).await.unwrap();
        open.iter().map(|charge| charge.open().minor()).sum()
    }

    async fn payments(&self) -> i64 {
        store::read!(self.database, "test.payments", |conn| {
            Ok(sqlx::query_scalar("SELECT COUNT(*) FROM payment WHERE state = 'done'").fetch_one(&mut *conn).await?)
        })
        .unwrap()
    }

    async fn picture(&self, page: &Client, name: &str) {
        if let Some(folder) = std::env::var_os("TAPWARD_SCREENS").map(PathBuf::from) {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join(format!("{name}.png")), page.screenshot().await.unwrap()).unwrap();
        }
    }

    async fn end(self) {
        self.shutdown.cancel();
        tokio::time::timeout(Duration::from_secs(8), self.server).await.expect("an orderly end").unwrap();
        self.database.close().await;
    }
}

async fn text(page: &Client) -> String {
    let all = page.execute("return document.querySelector('main').innerText", vec![]).await.unwrap();
    all.as_str().unwrap().replace('\u{a0}', " ")
}

async fn has(page: &Client, what: &str) {
    let what = what.replace(' ', "\u{a0}");
    let script = format!(
        "return document.querySelector('main')?.innerText.replaceAll(' ', '\\u00a0').includes({})",
        serde_json::to_string(&what).unwrap()
    );
    until(page, &what, &script).await;
}

async fn fill(page: &Client, id: &str, typed: &str) {
    let field = page.find(Locator::Id(id)).await.unwrap();
    field.clear().await.unwrap();
    field.send_keys(typed).await.unwrap();
}

async fn press(page: &Client, css: &str) {
    page.find(Locator::Css(css)).await.unwrap_or_else(|_| panic!("{css}")).click().await.unwrap();
}

/// A key of the keyboard while nothing is typed in.
async fn key(page: &Client, key: &str) {
    let script = format!(
        "document.activeElement?.blur(); document.body.dispatchEvent(new KeyboardEvent('keydown', {{ key: '{key}', bubbles: true }}))"
    );
    page.execute(&script, vec![]).await.unwrap();
}

async fn fits(page: &Client, what: &str) {
    let wide = page.execute("return document.documentElement.scrollWidth - innerWidth", vec![]).await.unwrap();
    assert!(wide.as_i64().unwrap() <= 0, "{what} scrolls sideways by {wide}");
}

async fn choose(page: &Client, id: &str, value: &str) {
    page.find(Locator::Css(&format!("#{id} option[value='{value}']"))).await.unwrap().click().await.unwrap();
}

fn account(patient: PersonId) -> String {
    format!("/till/patient/{patient}")
}

async fn open_drawer(stage: &Stage, page: &Client, name: &str, float: &str) {
    page.goto(&stage.url("/till/drawer")).await.unwrap();
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
    page.goto(&stage.url("/till")).await.unwrap();
    has(page, "No drawer is open").await;
    has(page, "Olena").await;
    stage.picture(page, "till-find").await;
    open_drawer(&stage, page, "Desk 1", "500").await;
    stage.picture(page, "drawer-open").await;

    // Found by name; the first result is a key away.
    page.goto(&stage.url("/till")).await.unwrap();
    page.find(Locator::Id("words")).await.unwrap().send_keys("iva ole\n").await.unwrap();
    until(page, "found", "return document.activeElement?.matches('a.whole')").await;
    press(page, "a.whole").await;
    has(page, "1 800.00 UAH").await;
    stage.picture(page, "account").await;

    // In part: 100 of the ultrasound and the blood count, with a note of 500; the rest is change.
    let amount = "input[aria-label$='Ultrasound, abdomen']";
    page.find(Locator::Css(amount)).await.unwrap().clear().await.unwrap();
    page.find(Locator::Css(amount)).await.unwrap().send_keys("100").await.unwrap();
    press(page, "table.items tbody tr:first-child [name=item]").await;
    until(page, "the sum", "return document.querySelector('[data-sum]').innerText.startsWith('340.00')").await;
    fill(page, "received", "500").await;
    until(page, "change", "return document.querySelector('[data-change]').innerText.startsWith('160.00')").await;
    stage.picture(page, "account-part").await;
    key(page, "t").await;
    has(page, "Take 340.00 UAH in cash").await;
    has(page, "840.00 UAH stays open").await;
    has(page, "160.00 UAH").await;
    stage.picture(page, "sure").await;
    assert_eq!(stage.payments().await, 0, "nothing yet");
    page.find(Locator::Css(".sure button.primary")).await.unwrap().send_keys("\n").await.unwrap();
    has(page, "340.00 UAH taken, cash. Receipt 1").await;
    has(page, "160.00 UAH").await;
    let receipt = page.find(Locator::Css(".paid a.primary")).await.unwrap().attr("href").await.unwrap().unwrap();
    assert!(receipt.starts_with("/till/payments/") && receipt.ends_with("/receipt.pdf"), "{receipt}");
    stage.picture(page, "paid").await;
    assert_eq!(stage.open(PATIENT).await, 146_000);

    // Everything else with one press.
    key(page, "a").await;
    has(page, "1 460.00 UAH taken, cash. Receipt 2").await;
    has(page, "Everything is paid").await;
    assert_eq!((stage.open(PATIENT).await, stage.payments().await), (0, 2));

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
    stage.picture(page, "give-back").await;
    press(page, "form[action$='/give-back'] button.btn").await;
    has(page, "somebody else must allow it").await;
    press(page, ".sure button.primary").await;
    has(page, "Waits for a decision").await;
    page.goto(&stage.url("/till/requests")).await.unwrap();
    press(page, "a.whole").await;
    has(page, "Nobody allows what they asked for themselves").await;
    stage.picture(page, "request-own").await;

    let chief = chromium::Browser::start(1280, 1000).await;
    let office = chief.page();
    stage.sign_in(office, "accountant").await;
    office.goto(&stage.url("/till/requests")).await.unwrap();
    press(office, "a.whole").await;
    until(office, "the request", "return !!document.getElementById('request')").await;
    press(office, "[name=verdict][value=allow]").await;
    fill(office, "words", "as the patient asked, in order").await;
    stage.picture(office, "request").await;
    press(office, "#request button.primary").await;
    has(office, "Allowed and done").await;

    // The drawer: 500 of change, 340 and 1460 taken, 50 given back: 2250; 2249 are counted.
    page.goto(&stage.url("/till/drawer")).await.unwrap();
    has(page, "2 250.00 UAH").await;
    for (piece, count) in [("100000", "2"), ("20000", "1"), ("2000", "2"), ("100", "9")] {
        page.find(Locator::Css(&format!("[name=piece-{piece}]"))).await.unwrap().send_keys(count).await.unwrap();
    }
    until(page, "the sum", "return document.getElementById('counted').value === '2249.00'").await;
    fill(page, "slips", "250.50").await;
    stage.picture(page, "drawer-count").await;
    press(page, ".count button.primary").await;
    has(page, "It differs: cash −1.00 UAH").await;
    choose(page, "reason", "change").await;
    fill(page, "words", "one coin too much was given as change").await;
    press(page, ".count button.primary").await;
    has(page, "The drawer is closed").await;
    until(page, "the paper", "return !!document.querySelector(\"a[href$='/closing.pdf']\")").await;
    stage.picture(page, "drawer-closed").await;

    // The day.
    office.goto(&stage.url("/till/days")).await.unwrap();
    press(office, "a.whole").await;
    until(office, "the day", "return !!document.querySelector('#day button.primary')").await;
    stage.picture(office, "days").await;
    press(office, "#day button.primary").await;
    has(office, "The day is closed").await;
    stage.picture(office, "day-closed").await;
    office.goto(&stage.url("/till/drawers")).await.unwrap();
    has(office, "a mistake when giving change").await;
    stage.picture(office, "drawers").await;
    office.goto(&stage.url("/till/payments?method=cash")).await.unwrap();
    let listed = text(office).await;
    assert!(listed.contains("1 460.00 UAH") && listed.contains("−50.00 UAH"), "{listed}");
    assert!(!listed.contains("250.50"), "narrowed to cash: {listed}");
    stage.picture(office, "payments").await;
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
        browser.page().goto(&stage.url(&account(person(OTHER)))).await.unwrap();
        has(browser.page(), "620.00 UAH").await;
    }
    let page = one.page();
    // Both see it open; the second one is told, and nothing is taken twice.
    key(page, "a").await;
    has(page, "Receipt 1").await;
    key(other.page(), "a").await;
    has(other.page(), "somebody else was quicker").await;
    assert_eq!(stage.payments().await, 1);
    stage.picture(other.page(), "too-late").await;

    // The very same form again, as a double press or a page sent again from the history would.
    stage.serve(OTHER, "LAB").await;
    page.goto(&stage.url(&account(person(OTHER)))).await.unwrap();
    has(page, "240.00 UAH").await;
    let send = "const done = arguments[arguments.length - 1]; const form = document.getElementById('pay'); \
                const fields = new URLSearchParams(new FormData(form)); fields.set('all', '1'); \
                const send = () => fetch(form.action, { method: 'POST', body: fields }).then((answer) => answer.url); \
                Promise.all([send(), send()]).then(async (both) => done([...both, await send()]));";
    let urls = page.execute_async(send, vec![]).await.unwrap();
    let urls: Vec<&str> = urls.as_array().unwrap().iter().map(|url| url.as_str().unwrap()).collect();
    assert!(urls.iter().all(|url| url.contains("done=paid") && *url == urls[0]), "one outcome: {urls:?}");
    assert_eq!((stage.payments().await, stage.open(OTHER).await), (2, 0));

    // Back to the form by the history: the page is made anew, with nothing left to pay.
    page.goto(&stage.url("/till")).await.unwrap();
    page.back().await.unwrap();
    has(page, "Everything is paid").await;
    // By record number and by card's line, straight to the account.
    for words in ["70017", "04A10001"] {
        page.goto(&stage.url("/till")).await.unwrap();
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
        page.goto(&stage.url(path)).await.unwrap();
        until(page, name, "return !!document.querySelector('main h1')").await;
        fits(page, path).await;
        stage.picture(page, &format!("phone-{name}")).await;
    }
    // The plain form, as a browser without scripts sends it: what is not cash needs its number, and says so.
    page.goto(&stage.url(&of_patient)).await.unwrap();
    page.execute("const f = document.getElementById('pay'); f.querySelector('[value=transfer]').checked = true; f.requestSubmit(f.querySelector('[data-key=t]'))", vec![]).await.unwrap();
    has(page, "Type the reference of the transfer").await;
    fits(page, "a problem").await;
    stage.picture(page, "phone-problem").await;
    // An item that was paid meanwhile is asked about again before anything is taken.
    page.goto(&stage.url(&of_patient)).await.unwrap();
    stage.serve(PATIENT, "LAB").await;
    page.execute("document.querySelector('[name=item]').value = document.querySelector('[name=item]').value.replace(/:.*/, ':70000')", vec![]).await.unwrap();
    page.execute("const f = document.getElementById('pay'); f.requestSubmit(f.querySelector('[data-key=t]'))", vec![])
        .await
        .unwrap();
    has(page, "somebody else was quicker").await;
    assert_eq!(stage.payments().await, 0);
    phone.end().await;
    stage.end().await;
}
