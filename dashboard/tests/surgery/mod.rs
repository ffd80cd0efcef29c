//! A doctor's room with a desk and a till for browser tests: prices, a scale of discounts, terms, patients who speak
//! different languages, a day full of appointments.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests and what they share")]

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::time::Duration;

use clinic::accounts::SessionRules;
use clinic::acting::Acting;
use clinic::audit::Purpose;
use clinic::desk::{Desk, Factor, Rules};
use clinic::people::{self, Spoken};
use clinic::policy;
use clinic::staff::{self, Staff};
use clinic::till::payments::NewPayment;
use clinic::till::{Charge, Member, NewCharge, NewPayer, NewPrice, NewScheme, NewService, NewTerms, PayerKind, Till};
use clinic::vault::Vault;
use clinic::workstations::Workstations;
use dashboard::{Dashboard, DeskSettings, Settings, TillSettings, TlsSource};
use domain::policy::{Layout, Point, PointKind};
use domain::till::{Method, Mode, Owner, Rounding, Step};
use domain::vault::{Names, Passport};
use domain::visit::OutOfCardCode;
use domain::{
    Amount, CategoryId, Clock, Currency, Direction, Kind, PointId, Reason, Shipped, SiteId, UtcMillis, ZoneId,
};
use fantoccini::{Client, Locator};
use store::{Database, sqlx};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::chromium::{click, keys, until};
use crate::scene::{self, Recorder, fact, person};

const DESK: &str = "desk-214";
pub const DOCTOR: u32 = 3;
/// On postpaid terms up to 2,500, who speaks Russian.
pub const PATIENT: u32 = 0;
/// On prepaid terms.
pub const PREPAID: u32 = 1;
/// Two on postpaid terms who share a pot of 1,000.
pub const MEMBER: u32 = 7;
pub const RELATIVE: u32 = 8;
/// Code, names, price in minor units, at home.
pub const SERVICES: &[(&str, &str, &str, i64, bool)] = &[
    ("CONS-2", "Consultation, repeated", "Консультация повторная", 62_000, false),
    ("US-ABD", "Ultrasound, abdomen", "УЗИ брюшной полости", 94_000, false),
    ("LAB-EXT", "Blood panel, extended", "Анализ крови расширенный", 148_000, false),
    ("LAB-BASE", "Blood count", "Общий анализ крови", 24_000, false),
    ("PLASTER", "Plaster", "Пластырь", 3_333, false),
    ("HOME", "Visit at home", "Вызов врача на дом", 90_000, true),
    (
        "MRI-HEAD",
        "Magnetic resonance imaging of the head with contrast",
        "Магнитно-резонансная томография головного мозга с контрастным усилением",
        1_240_000,
        false,
    ),
];

pub struct Stage {
    _folder: TempDir,
    pub database: Database,
    pub clock: Clock,
    pub address: SocketAddr,
    shutdown: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
    recorder: Recorder,
    pub till: Till,
    acts: u32,
}

#[expect(clippy::disallowed_methods, reason = "a browser compares the server's clock with its own")]
pub fn wall_ms() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(now.as_millis()).unwrap()
}

pub fn uah() -> Currency {
    Currency::parse("UAH").unwrap()
}

pub fn units(count: i64) -> Amount {
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
    let named = [
        (DOCTOR, "Petrenko", "Ihor"),
        (PATIENT, "Ivanenko", "Olena"),
        (PREPAID, "Bondar", "Maksym"),
        (MEMBER, "Kowalska", "Anna"),
        (RELATIVE, "Kowalski", "Jan"),
        (14, "Гнатюк", "Оксана"),
        (15, "Sydorenko", "Pavlo"),
        (21, "Константинопольская", "Александра"),
        (22, "Melnyk", "Taras"),
    ];
    let passport = |family: &str, given: &str| Passport { names: Names::new(family, given, ""), ..Passport::default() };
    let batch = named.iter().map(|(n, family, given)| (person(*n), passport(family, given).into())).collect();
    vault.load(&acting, batch, Purpose::Maintenance).await.unwrap();
    staff::put(database, &acting, &Staff::new(person(DOCTOR), Shipped::Doctor), now).await.unwrap();
    people::set_language(database, &acting, person(PATIENT), Spoken::parse("ru-UA"), now).await.unwrap();
}

/// Prices, a scale, and terms: postpaid for everybody, prepaid for one, a shared pot for two.
async fn price_list(till: &Till) {
    let acting = Acting::console();
    for (code, en, ru, _, at_home) in SERVICES {
        let mut service = NewService { at_home: *at_home, ..NewService::new(code, en) };
        service.names.insert("ru".to_owned(), (*ru).to_owned());
        till.put_service(&acting, service).await.unwrap();
    }
    let prices = SERVICES.iter();
    let prices =
        prices.map(|(code, _, _, price, _)| NewPrice::new(code, uah(), Amount::new(*price).unwrap())).collect();
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
    let family = till.put_payer(&acting, NewPayer::new("family", PayerKind::Group, "The Kowalskis")).await.unwrap().id;
    till.set_pot(&acting, &family, uah(), units(1_000)).await.unwrap();
    for member in [MEMBER, RELATIVE] {
        let member = Member { person: person(member), from: till.today(), until: None };
        till.put_member(&acting, &family, member).await.unwrap();
    }
    let shared = NewTerms::postpaid(Owner::Payer(family.clone()), uah(), units(2_000), till.today());
    till.put_terms(&acting, NewTerms { pot: Some(family), ..shared }).await.unwrap();
}

/// The room, with pages in a language.
pub async fn stage(language: &str) -> Stage {
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
        language: language.to_owned(),
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
    Stage { _folder: folder, database, clock, address, shutdown, tasks, recorder, till, acts: 0 }
}

impl Stage {
    pub fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.address)
    }

    pub async fn tap(&mut self, holder: u32) {
        let fact = fact(self.clock.now(), Kind::Granted, DESK, Direction::In, Some(holder), Some(Reason::Allowed));
        self.recorder.record(vec![fact]).await;
    }

    /// A workstation with the doctor at it.
    pub async fn open(&mut self, page: &Client) {
        let workstations = Workstations::new(self.database.clone(), self.clock.clone());
        let code = workstations.make_code(&Acting::console(), &PointId::new(DESK).unwrap()).await.unwrap();
        page.goto(&self.url("/desk")).await.unwrap();
        until(page, "a stranger", "return !!document.getElementById('code')").await;
        page.find(Locator::Id("code")).await.unwrap().send_keys(&code.reveal().to_lowercase()).await.unwrap();
        click(page, "form[action='/desk/enrol'] button").await;
        until(page, "a workstation", "return document.querySelector('[data-link-state=live]') !== null").await;
        self.tap(DOCTOR).await;
        until(page, "open", "return document.body.dataset.state === 'open'").await;
    }

    /// The same with a patient.
    pub async fn visit(&mut self, page: &Client, patient: u32) {
        self.open(page).await;
        self.tap(patient).await;
        let script = format!("return document.querySelectorAll('[data-offer]').length === {}", SERVICES.len());
        until(page, "services", &script).await;
    }

    /// A day of appointments, the first of them the patient's who is here.
    pub async fn book(&self) {
        let now = self.clock.now();
        let booked = [PATIENT, PREPAID, MEMBER, RELATIVE, 14, 15, 21, 22];
        let booked: Vec<(String, String, i64)> = (0_i64..)
            .zip(booked)
            .map(|(at, n)| (format!("a-{n}"), person(n).to_string(), now.plus_ms((at * 20 - 5) * 60_000).0))
            .collect();
        let doctor = person(DOCTOR).to_string();
        store::transact!(self.database, "test.appointments", |conn| {
            for (id, patient, at) in &booked {
                sqlx::query(
                    "INSERT INTO appointment (id, source, external, patient, staff, zone, purpose, starts_ms, ends_ms,
                         state, changed_ms)
                     VALUES ($1, 'test', $1, $2, $3, 'room-214', 'consultation', $4, $5, 'booked', 0)",
                )
                .bind(id)
                .bind(patient)
                .bind(&doctor)
                .bind(at)
                .bind(at + 20 * 60_000)
                .execute(&mut *conn)
                .await?;
            }
            Ok(())
        })
        .unwrap();
    }

    /// Somebody is given a service elsewhere, without a visit.
    pub async fn give(&mut self, patient: u32, service: &str) -> Charge {
        self.acts += 1;
        let new = NewCharge {
            key: format!("test-charge-{}", self.acts),
            patient: person(patient),
            visit: None,
            session: None,
            out_of_card: Some((OutOfCardCode::HomeCall, "given by somebody else".to_owned())),
            service: service.to_owned(),
            quantity: 1,
            currency: None,
            shown: None,
        };
        self.till.register(&Acting::console(), new).await.unwrap()
    }

    /// The patient pays so much of what is open, the oldest first; what is left becomes the deposit.
    pub async fn pay(&mut self, patient: u32, amount: Amount) {
        let acting = Acting::console();
        let (mut rest, mut parts) = (amount, Vec::new());
        for charge in self.till.open_charges(&acting, person(patient)).await.unwrap() {
            let part = charge.open().min(rest);
            rest = rest.minus(part).unwrap();
            if part.is_positive() {
                parts.push((charge.id, part));
            }
        }
        self.acts += 1;
        let new = NewPayment {
            key: format!("test-payment-{}", self.acts),
            patient: Some(person(patient)),
            payer: None,
            method: Method::Transfer,
            currency: uah(),
            amount,
            parts,
            rest_to_deposit: true,
            terminal: None,
            external: Some(format!("transfer-{}", self.acts)),
        };
        self.till.pay(&acting, new).await.unwrap();
    }

    pub async fn price(&self, service: &str, amount: Amount) {
        let price = NewPrice::new(service, uah(), amount);
        self.till.set_prices(&Acting::console(), None, vec![price]).await.unwrap();
    }

    /// Charges in a state.
    pub async fn charges(&self, state: &'static str) -> i64 {
        store::read!(self.database, "test.charges", |conn| {
            let query = sqlx::query_scalar("SELECT COUNT(*) FROM charge WHERE state = $1");
            Ok(query.bind(state).fetch_one(&mut *conn).await?)
        })
        .unwrap()
    }

    pub async fn picture(&self, page: &Client, name: &str) {
        if let Some(folder) = std::env::var_os("TAPWARD_SCREENS").map(PathBuf::from) {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join(format!("{name}.png")), page.screenshot().await.unwrap()).unwrap();
        }
    }

    pub async fn end(self) {
        self.shutdown.cancel();
        for task in self.tasks {
            tokio::time::timeout(Duration::from_secs(8), task).await.expect("an orderly end").unwrap();
        }
        drop(self.till);
        self.database.close().await;
    }
}

pub async fn fits(page: &Client, what: &str) {
    let wide = page.execute("return document.documentElement.scrollWidth - innerWidth", vec![]).await.unwrap();
    assert!(wide.as_i64().unwrap() <= 0, "{what} scrolls sideways by {wide}");
}

pub async fn scroll_to(page: &Client, what: &str) {
    let script = format!("document.querySelector(\"{what}\")?.scrollIntoView({{ behavior: 'instant' }}); return true");
    until(page, what, &script).await;
}

/// Lines of the table of services.
pub async fn rows(page: &Client, count: usize) {
    let script = format!("return document.querySelectorAll('.charges tbody tr').length === {count}");
    until(page, &format!("{count} services registered"), &script).await;
}

/// Searches by the keyboard alone: `/`, words, and Enter on the line that fits.
pub async fn register(page: &Client, words: &str, name: &str) {
    until(page, "no field", "document.activeElement?.blur(); return document.activeElement === document.body").await;
    keys(page, "/").await;
    let field =
        "const it = document.activeElement; if (it?.id !== 'find-service') return false; it.select(); return true";
    until(page, "the field", field).await;
    keys(page, words).await;
    let chosen = format!("return document.querySelector('[data-offer][aria-current]')?.innerText.includes('{name}')");
    until(page, name, &chosen).await;
    keys(page, "\u{e007}").await;
    let answered = "const it = document.getElementById('find-service'); \
                    return it?.value === '' && document.activeElement === it || \
                        !!document.querySelector('[data-refused], [data-ready]')";
    until(page, "an answer", answered).await;
}
