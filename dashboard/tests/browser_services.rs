//! Services of a visit in a real browser: a doctor types, chooses by arrows and registers by Enter; a limit refuses, the
//! patient reads why in their own language, pays, and the page opens by itself; what is ordered is paid and rendered; a price
//! that changed is asked about again; a service is taken back; nothing is registered twice. With `TAPWARD_SCREENS=FOLDER`
//! pictures of the pages are written there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests and what they share")]

mod chromium;
mod scene;

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::time::Duration;

use chromium::until;
use clinic::accounts::SessionRules;
use clinic::acting::Acting;
use clinic::audit::Purpose;
use clinic::desk::{Desk, Factor, Rules};
use clinic::people::{self, Spoken};
use clinic::policy;
use clinic::staff::{self, Staff};
use clinic::till::payments::NewPayment;
use clinic::till::{NewPrice, NewScheme, NewService, NewTerms, Till};
use clinic::vault::Vault;
use clinic::workstations::Workstations;
use dashboard::{Dashboard, DeskSettings, Settings, TillSettings, TlsSource};
use domain::policy::{Layout, Point, PointKind};
use domain::till::{Method, Mode, Owner, Rounding, Step};
use domain::vault::{Names, Passport};
use domain::{
    Amount, CategoryId, Clock, Currency, Direction, Kind, PointId, Reason, Shipped, SiteId, UtcMillis, ZoneId,
};
use fantoccini::{Client, Locator};
use scene::{Recorder, fact, person};
use store::Database;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const DESK: &str = "desk-214";
const DOCTOR: u32 = 3;
/// On postpaid terms, and on prepaid ones.
const PATIENT: u32 = 0;
const PREPAID: u32 = 1;
const SERVICES: &[(&str, &str, &str, i64)] = &[
    ("CONS-2", "Consultation, repeated", "Консультация повторная", 620),
    ("US-ABD", "Ultrasound, abdomen", "УЗИ брюшной полости", 940),
    ("LAB-EXT", "Blood panel, extended", "Анализ крови расширенный", 1480),
    ("LAB-BASE", "Blood count", "Общий анализ крови", 240),
];

struct Stage {
    _folder: TempDir,
    database: Database,
    clock: Clock,
    address: SocketAddr,
    shutdown: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
    recorder: Recorder,
    till: Till,
    paid: u32,
}

#[expect(clippy::disallowed_methods, reason = "a browser compares the server's clock with its own")]
fn wall_ms() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(now.as_millis()).unwrap()
}

fn uah() -> Currency {
    Currency::parse("UAH").unwrap()
}

fn units(count: i64) -> Amount {
    Amount::new(count * 100).unwrap()
}

async fn room(database: &Database, vault: &Vault, now: UtcMillis) {
    let zone = |name: &str| ZoneId::new(name).unwrap();
    let desk = Point::new(PointId::new(DESK).unwrap(), PointKind::Workstation, zone("room-214"), zone("room-214"));
    let mut layout = Layout {
        time_zone: "Europe/Kyiv".to_owned(),
        categories: ["patient-paying", "patient-insured", "patient-day", "surgeon", "nurse", "visitor", "ambulance"]
            .iter()
            .map(|name| CategoryId::new(name).unwrap())
            .collect(),
        points: vec![desk],
        ..Layout::empty()
    };
    layout.complete_zones();
    policy::put_layout(database, layout, now).await.unwrap();
    let acting = Acting::console();
    let named = [(DOCTOR, "Petrenko", "Ihor"), (PATIENT, "Ivanenko", "Olena"), (PREPAID, "Bondar", "Maksym")];
    let passport = |family: &str, given: &str| Passport { names: Names::new(family, given, ""), ..Passport::default() };
    let batch = named.iter().map(|(n, family, given)| (person(*n), passport(family, given).into())).collect();
    vault.load(&acting, batch, Purpose::Maintenance).await.unwrap();
    staff::put(database, &acting, &Staff::new(person(DOCTOR), Shipped::Doctor), now).await.unwrap();
    people::set_language(database, &acting, person(PATIENT), Spoken::parse("ru-UA"), now).await.unwrap();
}

/// Prices, a scale, and terms: postpaid for everybody, prepaid for one.
async fn price_list(till: &Till) {
    let acting = Acting::console();
    for (code, en, ru, _) in SERVICES {
        let mut service = NewService::new(code, en);
        service.names.insert("ru".to_owned(), (*ru).to_owned());
        till.put_service(&acting, service).await.unwrap();
    }
    let prices = SERVICES.iter().map(|(code, _, _, price)| NewPrice::new(code, uah(), units(*price))).collect();
    till.set_prices(&acting, None, prices).await.unwrap();
    let scheme = NewScheme {
        id: "loyal".to_owned(),
        name: "Loyal patients".to_owned(),
        currency: uah(),
        steps: vec![Step { from: Amount::ZERO, rate: 500 }, Step { from: units(15_000), rate: 700 }],
        rounding: Rounding::HalfUp,
        unit: 1,
    };
    till.put_scheme(&acting, scheme).await.unwrap();
    let postpaid = NewTerms::postpaid(Owner::Everybody, uah(), units(2_500), till.today());
    till.put_terms(&acting, NewTerms { scheme: Some("loyal".to_owned()), ..postpaid }).await.unwrap();
    let prepaid = NewTerms::new(Owner::Patient(person(PREPAID)), uah(), till.today());
    assert_eq!(prepaid.mode, Mode::Prepaid);
    till.put_terms(&acting, prepaid).await.unwrap();
}

async fn stage() -> Stage {
    let folder = tempfile::tempdir().unwrap();
    let database = scene::database(folder.path()).await;
    let (begin, since) = (wall_ms(), tokio::time::Instant::now());
    let clock = Clock::new(move || UtcMillis(begin + i64::try_from(since.elapsed().as_millis()).unwrap()));
    let vault = scene::vault(&database, clock.clone(), folder.path()).await;
    scene::furnish(&database, clock.now()).await;
    room(&database, &vault, clock.now()).await;
    let rules = Rules { debounce_ms: 0, factor: Factor::None, ..Rules::default() };
    let desk = Desk::new(database.clone(), clock.clone(), rules);
    let till_settings = TillSettings::of(uah());
    let till = Till::new(database.clone(), clock.clone(), chrono_tz::Europe::Kyiv, till_settings.rules.clone());
    price_list(&till).await;
    let settings = Settings {
        site: SiteId::new("clinic-3").unwrap(),
        time_zone: chrono_tz::Europe::Kyiv,
        language: "en".to_owned(),
        tls: TlsSource::Own { folder: folder.path().join("tls"), names: vec![] },
        sessions: SessionRules::default(),
        accounts_key: scene::accounts_key(),
        trusted_proxies: Vec::new(),
        till: till_settings,
        desk: DeskSettings { rules, ..DeskSettings::default() },
        retention: clinic::retention::Terms::default(),
    };
    let dashboard = Dashboard::new(settings, database.clone(), clock.clone(), vault);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let shutdown = CancellationToken::new();
    let (ready, is_ready) = oneshot::channel();
    let ending = shutdown.clone();
    let server = tokio::spawn(async move { dashboard.serve(listener, ending, Some(ready)).await.unwrap() });
    let address = is_ready.await.unwrap();
    let ending = shutdown.clone();
    let worker = tokio::spawn(async move {
        while !ending.is_cancelled() {
            desk.work().await.unwrap();
            desk.tick().await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let recorder = Recorder::new(&database);
    let tasks = vec![server, worker];
    Stage { _folder: folder, database, clock, address, shutdown, tasks, recorder, till, paid: 0 }
}

impl Stage {
    async fn tap(&mut self, holder: u32) {
        let fact = fact(self.clock.now(), Kind::Granted, DESK, Direction::In, Some(holder), Some(Reason::Allowed));
        self.recorder.record(vec![fact]).await;
    }

    /// A workstation with the doctor and a patient at it.
    async fn visit(&mut self, page: &Client, patient: u32) {
        let workstations = Workstations::new(self.database.clone(), self.clock.clone());
        let code = workstations.make_code(&Acting::console(), &PointId::new(DESK).unwrap()).await.unwrap();
        page.goto(&format!("https://{}/desk", self.address)).await.unwrap();
        until(page, "a stranger", "return !!document.getElementById('code')").await;
        page.find(Locator::Id("code")).await.unwrap().send_keys(&code.reveal().to_lowercase()).await.unwrap();
        page.find(Locator::Css("button.primary")).await.unwrap().click().await.unwrap();
        until(page, "a workstation", "return document.querySelector('[data-link-state=live]') !== null").await;
        self.tap(DOCTOR).await;
        until(page, "open", "return document.body.dataset.state === 'open'").await;
        self.tap(patient).await;
        until(page, "services", "return document.querySelectorAll('[data-offer]').length === 4").await;
    }

    /// The patient pays so much of what is open, the oldest first.
    async fn pay(&mut self, patient: u32, amount: Amount) {
        let acting = Acting::console();
        let (mut rest, mut parts) = (amount, Vec::new());
        for charge in self.till.open_charges(&acting, person(patient)).await.unwrap() {
            let part = charge.open().min(rest);
            rest = rest.minus(part).unwrap();
            if part.is_positive() {
                parts.push((charge.id, part));
            }
        }
        self.paid += 1;
        let new = NewPayment {
            key: format!("test-payment-{}", self.paid),
            patient: Some(person(patient)),
            payer: None,
            method: Method::Transfer,
            currency: uah(),
            amount,
            parts,
            rest_to_deposit: true,
            terminal: None,
            external: Some(format!("transfer-{}", self.paid)),
        };
        self.till.pay(&acting, new).await.unwrap();
    }

    async fn charges(&self) -> i64 {
        store::read!(self.database, "test.charges", |conn| {
            Ok(store::sqlx::query_scalar("SELECT COUNT(*) FROM charge").fetch_one(&mut *conn).await?)
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
        for task in self.tasks {
            tokio::time::timeout(Duration::from_secs(8), task).await.expect("an orderly end").unwrap();
        }
        drop(self.till);
        self.database.close().await;
    }
}

/// What the page says, with spaces that break.
async fn text(page: &Client) -> String {
    let all = page.execute("return document.body.innerText", vec![]).await.unwrap();
    all.as_str().unwrap().replace('\u{a0}', " ")
}

async fn fits(page: &Client, what: &str) {
    let wide = page.execute("return document.documentElement.scrollWidth - innerWidth", vec![]).await.unwrap();
    assert!(wide.as_i64().unwrap() <= 0, "{what} scrolls sideways by {wide}");
}

/// Presses what may lie below the places of a phone.
async fn press(page: &Client, what: &str) {
    let show = format!("document.querySelector(\"{what}\").scrollIntoView({{ block: 'center' }}); return 1");
    page.execute(&show, vec![]).await.unwrap();
    page.find(Locator::Css(what)).await.unwrap().click().await.unwrap();
}

async fn show_services(page: &Client) {
    page.execute("document.querySelector('[data-services]').scrollIntoView(); return 1", vec![]).await.unwrap();
}

/// Types words, waits until one line fits, and sends Enter.
async fn register(page: &Client, words: &str, name: &str) {
    page.find(Locator::Css("body")).await.unwrap().send_keys("/").await.unwrap();
    until(page, "the field", "return document.activeElement?.id === 'find-service'").await;
    page.find(Locator::Id("find-service")).await.unwrap().send_keys(words).await.unwrap();
    let chosen = format!("return document.querySelector('[data-offer][aria-current]')?.innerText.includes('{name}')");
    until(page, name, &chosen).await;
    page.find(Locator::Id("find-service")).await.unwrap().send_keys("\u{e007}").await.unwrap();
}

async fn rows(page: &Client, count: usize) {
    let script = format!("return document.querySelectorAll('.charges tbody tr').length === {count}");
    until(page, &format!("{count} services registered"), &script).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_refuses_says_why_to_both_and_opens_when_the_patient_has_paid() {
    let mut stage = stage().await;
    let browser = chromium::Browser::start(1280, 1100).await;
    let page = browser.page();
    stage.visit(page, PATIENT).await;
    let seen = text(page).await;
    assert!(seen.contains("0.00 of 2 500.00 UAH used"), "{seen}");
    assert!(seen.contains("5 % by the scale: 0.00 of services before; 7 % from 15 000.00"), "{seen}");
    stage.picture(page, "services-empty").await;

    register(page, "cons", "Consultation").await;
    rows(page, 1).await;
    until(page, "the field again", "return document.activeElement?.id === 'find-service'").await;
    register(page, "ultra", "Ultrasound").await;
    rows(page, 2).await;
    until(page, "the sum", "return document.body.innerText.replace(/\\u00a0/g, ' ').includes('1 482.00 of 2 500.00')")
        .await;
    let seen = text(page).await;
    assert!(seen.contains("589.00") && seen.contains("893.00") && seen.contains("5 %"), "{seen}");

    register(page, "extended", "Blood panel").await;
    until(page, "a refusal", "return !!document.querySelector('[data-refused]')").await;
    let seen = text(page).await;
    for words in
        ["Not registered: it would pass the postpaid limit by 388.00 UAH", "Left of 2 500.00 UAH: 1 018.00 UAH"]
    {
        assert!(seen.contains(words), "{words}: {seen}");
    }
    assert_eq!(stage.charges().await, 2);
    fits(page, "a refusal").await;
    stage.picture(page, "services-refused").await;
    // The patient is shown it in their own language.
    page.find(Locator::Css("[data-to-patient] summary")).await.unwrap().click().await.unwrap();
    until(page, "shown", "return document.querySelector('.to-patient-fact')?.checkVisibility() === true").await;
    let seen = text(page).await;
    assert!(seen.contains("Недостаёт: 388,00 UAH") && seen.contains("Анализ крови расширенный"), "{seen}");
    let language = page.execute("return document.querySelector('.to-patient-sheet').lang", vec![]).await.unwrap();
    assert_eq!(language.as_str(), Some("ru"));
    stage.picture(page, "services-to-patient").await;
    page.find(Locator::Css("[data-to-patient] summary")).await.unwrap().click().await.unwrap();

    let before = wall_ms();
    stage.pay(PATIENT, units(388)).await;
    until(page, "open again", "return !!document.querySelector('[data-ready]')").await;
    println!("paid to open again on the page: {} ms", wall_ms() - before);
    stage.picture(page, "services-open-again").await;
    page.find(Locator::Css("[data-ready] button")).await.unwrap().click().await.unwrap();
    rows(page, 3).await;
    until(page, "used up", "return document.body.innerText.replace(/\\u00a0/g, ' ').includes('2 500.00 of 2 500.00')")
        .await;
    stage.picture(page, "services-full").await;

    // One is taken back, and the limit is there again at once.
    page.find(Locator::Css(".charges tbody tr:last-child summary")).await.unwrap().click().await.unwrap();
    until(page, "why", "return !!document.querySelector('.charges details[open] select')").await;
    stage.picture(page, "services-take-back").await;
    page.find(Locator::Css(".charges details[open] .danger")).await.unwrap().click().await.unwrap();
    until(page, "taken back", "return document.querySelector('.charges')?.innerText.includes('taken back')").await;
    until(page, "left", "return document.body.innerText.replace(/\\u00a0/g, ' ').includes('1 094.00 of 2 500.00')")
        .await;
    browser.end().await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_ordered_is_paid_and_rendered_and_nothing_is_registered_twice() {
    let mut stage = stage().await;
    let browser = chromium::Browser::start(360, 800).await;
    let page = browser.page();
    stage.visit(page, PREPAID).await;
    fits(page, "the services on a phone").await;
    show_services(page).await;
    stage.picture(page, "phone-services").await;
    // The same form, sent twice as by a double click or the way back.
    let twice = "const form = document.querySelector('[data-register]'); const body = new URLSearchParams(new FormData(form)); \
                 const send = () => fetch('/desk/services', { method: 'POST', body }).then((answer) => answer.status); \
                 return Promise.all([send(), send(), send()])";
    let sent = page.execute(twice, vec![]).await.unwrap();
    assert_eq!(sent.as_array().unwrap().iter().filter(|it| it.as_u64() == Some(200)).count(), 3, "{sent}");
    rows(page, 1).await;
    assert_eq!(stage.charges().await, 1);
    let seen = text(page).await;
    assert!(seen.contains("ordered") && seen.contains("first"), "{seen}");
    show_services(page).await;
    stage.picture(page, "phone-ordered").await;
    fits(page, "an order on a phone").await;
    stage.pay(PREPAID, units(620).max(units(1480))).await;
    until(page, "paid", "return !!document.querySelector('form[action=\"/desk/services/render\"] button')").await;
    press(page, "form[action='/desk/services/render'] button").await;
    until(page, "rendered", "return document.querySelector('.charges .chip')?.innerText === 'registered'").await;

    // The price changes between what is shown and what is confirmed: the page may be told of something meanwhile and be
    // drawn anew, so the form says in the same step which price it showed.
    let first =
        "const form = document.querySelector('[data-register]'); return form.service.value + ' ' + form.shown.value";
    let first = page.execute(first, vec![]).await.unwrap().as_str().unwrap().to_owned();
    let (service, shown) = first.split_once(' ').unwrap();
    let price = NewPrice::new(service, uah(), units(1_700));
    stage.till.set_prices(&Acting::console(), None, vec![price]).await.unwrap();
    let press_old = format!(
        "const form = document.querySelector('[data-register]'); form.shown.value = '{shown}'; \
         form.querySelector('.offer-acts button').click(); return 1"
    );
    page.execute(&press_old, vec![]).await.unwrap();
    until(
        page,
        "asked again",
        "return document.querySelector('[data-ready]')?.innerText.includes('price has changed')",
    )
    .await;
    let seen = text(page).await;
    assert!(seen.contains("To pay now: 1 700.00 UAH"), "{seen}");
    assert_eq!(stage.charges().await, 1);
    fits(page, "a new price on a phone").await;
    show_services(page).await;
    stage.picture(page, "phone-new-price").await;
    press(page, "[data-ready] button").await;
    rows(page, 2).await;

    // Without the script the forms do the same: the page says what was done.
    let plain =
        "const form = document.querySelector('[data-register]'); HTMLFormElement.prototype.submit.call(form); return 1";
    page.execute(plain, vec![]).await.unwrap();
    until(page, "a page", "return document.querySelector('[data-notice]')?.innerText.includes('Ordered')").await;
    rows(page, 3).await;
    browser.end().await;
    stage.end().await;
}
