//! Workstations in a real browser: a browser is enrolled by a code, a doctor taps and types the PIN, a patient taps, the
//! visit is ended, another doctor's tap takes over, work without the card takes three steps and is reviewed, a reader in
//! the computer's own port works. With `TAPWARD_SCREENS=FOLDER` pictures of the pages are written there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests and what they share")]

mod chromium;
mod scene;

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chromium::{click, keys, shows, until};
use clinic::accounts::{Accounts, Login, NewAccount, Password, SessionRules, Visitor};
use clinic::acting::Acting;
use clinic::audit::Purpose;
use clinic::desk::{Desk, PinText};
use clinic::roles::Grant;
use clinic::staff::{self, Staff};
use clinic::vault::Vault;
use clinic::workstations::Workstations;
use clinic::{policy, staff as members};
use controller_sim::identity::Sex;
use controller_sim::portrait::{Look, portrait};
use dashboard::{Dashboard, DeskSettings, Launch, Settings, TlsSource};
use domain::policy::{Layout, Point, PointKind};
use domain::vault::{BirthDate, Names, Passport};
use domain::{CategoryId, Clock, Direction, Kind, PointId, Reason, Shipped, SiteId, UtcMillis, ZoneId};
use fantoccini::{Client, Locator};
use scene::{Recorder, card, fact, person};
use store::{Database, sqlx};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const PASSWORD: &str = "a quiet morning in Kyiv";
const PIN: &str = "4902";
const DESK: &str = "desk-214";
/// Two who have a pass of staff, and some who have one of a patient.
const DOCTOR: u32 = 3;
const OTHER_DOCTOR: u32 = 10;
const PATIENT: u32 = 0;
const NEXT_PATIENT: u32 = 1;
const NAMES: &[(u32, &str, &str)] = &[
    (DOCTOR, "Petrenko", "Ihor"),
    (OTHER_DOCTOR, "Sydorenko", "Anna"),
    (PATIENT, "Ivanenko", "Olena"),
    (NEXT_PATIENT, "Bondar", "Maksym"),
    (7, "Kowalska", "Anna"),
    (8, "Гнатюк", "Оксана"),
];

struct Stage {
    _folder: TempDir,
    database: Database,
    clock: Clock,
    address: SocketAddr,
    shutdown: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
    recorder: Recorder,
    workstations: Workstations,
}

#[expect(clippy::disallowed_methods, reason = "a browser compares the server's clock with its own")]
fn wall_ms() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(now.as_millis()).unwrap()
}

/// The scene's clinic with three rooms that have a desk.
async fn layout(database: &Database, now: UtcMillis) {
    let zone = |name: &str| ZoneId::new(name).unwrap();
    let point =
        |name: &str, kind, from: &str, to: &str| Point::new(PointId::new(name).unwrap(), kind, zone(from), zone(to));
    let desk = |name: &str, room: &str| point(name, PointKind::Workstation, room, room);
    let mut layout = Layout {
        time_zone: "Europe/Kyiv".to_owned(),
        categories: ["patient-paying", "patient-insured", "patient-day", "surgeon", "nurse", "visitor", "ambulance"]
            .iter()
            .map(|name| CategoryId::new(name).unwrap())
            .collect(),
        points: vec![
            point("turnstile-1", PointKind::Turnstile, "street", "hall"),
            point("turnstile-2", PointKind::Turnstile, "street", "hall"),
            desk(DESK, "room-214"),
            desk("desk-215", "room-215"),
            desk("desk-216", "room-216"),
        ],
        ..Layout::empty()
    };
    layout.complete_zones();
    policy::put_layout(database, layout, now).await.unwrap();
}

/// People under the pseudonyms of the scene, two of them doctors, with appointments of today.
async fn people(database: &Database, vault: &Vault, desk: &Desk, now: UtcMillis) {
    let acting = Acting::console();
    let rows: Vec<(String, String)> =
        NAMES.iter().map(|(n, ..)| (person(*n).to_string(), format!("P-{}", 10_000 + n))).collect();
    store::transact!(database, "test.persons", |conn| {
        for (id, reference) in &rows {
            sqlx::query("UPDATE person SET external_ref = $2 WHERE id = $1")
                .bind(id)
                .bind(reference)
                .execute(&mut *conn)
                .await?;
        }
        Ok(())
    })
    .unwrap();
    let passport = |n: u32, family: &str, given: &str| Passport {
        names: Names::new(family, given, ""),
        birth_date: BirthDate::new(1970 + i32::try_from(n).unwrap(), 4, 21),
        ..Passport::default()
    };
    let batch = NAMES.iter().map(|(n, family, given)| (person(*n), passport(*n, family, given).into())).collect();
    vault.load(&acting, batch, Purpose::Maintenance).await.unwrap();
    for (n, ..) in NAMES {
        let sex = if n.is_multiple_of(2) { Sex::Woman } else { Sex::Man };
        let picture = portrait(&Look::draw(u64::from(*n) + 3, sex, 30 + u8::try_from(*n).unwrap(), None)).unwrap();
        vault.put_photo(&acting, person(*n), picture, Some(now)).await.unwrap();
    }
    for (n, login) in [(DOCTOR, "petrenko"), (OTHER_DOCTOR, "sydorenko")] {
        let member = Staff {
            login: Some(login.to_owned()),
            specialty: Some("therapy".to_owned()),
            ..Staff::new(person(n), Shipped::Doctor)
        };
        members::put(database, &acting, &member, now).await.unwrap();
        desk.set_pin(&acting, person(n), PinText::new(PIN).unwrap()).await.unwrap();
    }
    let minutes = |n: i64| now.plus_ms(n * 60_000).0;
    let booked = [(PATIENT, "room-214", -5), (NEXT_PATIENT, "room-214", 20), (7, "room-214", 40), (8, "room-214", -20)];
    let booked: Vec<(String, String, &str, i64)> =
        booked.iter().map(|(n, zone, at)| (format!("a-{n}"), person(*n).to_string(), *zone, minutes(*at))).collect();
    let doctor = person(DOCTOR).to_string();
    store::transact!(database, "test.appointments", |conn| {
        for (id, patient, zone, at) in &booked {
            sqlx::query(
                "INSERT INTO appointment (id, source, external, patient, staff, zone, purpose, starts_ms, ends_ms, state,
                     changed_ms) VALUES ($1, 'test', $1, $2, $3, $4, 'consultation', $5, $6, 'booked', 0)",
            )
            .bind(id)
            .bind(patient)
            .bind(&doctor)
            .bind(*zone)
            .bind(at)
            .bind(at + 20 * 60_000)
            .execute(&mut *conn)
            .await?;
        }
        Ok(())
    })
    .unwrap();
}

async fn stage() -> Stage {
    let folder = tempfile::tempdir().unwrap();
    let database = scene::database(folder.path()).await;
    let (begin, since) = (wall_ms(), tokio::time::Instant::now());
    let clock = Clock::new(move || UtcMillis(begin + i64::try_from(since.elapsed().as_millis()).unwrap()));
    let vault = scene::vault(&database, clock.clone(), folder.path()).await;
    scene::furnish(&database, clock.now()).await;
    layout(&database, clock.now()).await;
    // A test taps quicker than people do.
    let rules = clinic::desk::Rules { debounce_ms: 0, ..clinic::desk::Rules::default() };
    let desk = Desk::new(database.clone(), clock.clone(), rules);
    people(&database, &vault, &desk, clock.now()).await;
    let accounts =
        Accounts::new(database.clone(), clock.clone(), SessionRules::default(), "clinic-3", scene::accounts_key());
    let visitor = || Visitor::new("127.0.0.1".parse().unwrap(), "test");
    for role in [Shipped::Manager, Shipped::Administrator] {
        let new = NewAccount {
            login: Login::new(role.as_str()).unwrap(),
            shown_name: String::new(),
            roles: vec![Grant::site(role)],
            locale: "en".to_owned(),
        };
        let link = accounts.create(&Acting::console(), new).await.unwrap();
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
        till: dashboard::TillSettings::default(),
        desk: DeskSettings {
            reader: Some(Arc::new(reader)),
            launches: vec![Launch { name: "GNU Health".to_owned(), url: "https://mis.example/".to_owned() }],
            ..DeskSettings::default()
        },
        retention: clinic::retention::Terms::default(),
    };
    let dashboard = Dashboard::new(settings, database.clone(), clock.clone(), vault);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let shutdown = CancellationToken::new();
    let (ready, is_ready) = oneshot::channel();
    let ending = shutdown.clone();
    let server = tokio::spawn(async move { dashboard.serve(listener, ending, Some(ready)).await.unwrap() });
    let address = is_ready.await.unwrap();
    // What the bridge does beside: taps become bindings and visits.
    let (works, ending) = (desk.clone(), shutdown.clone());
    let worker = tokio::spawn(async move {
        while !ending.is_cancelled() {
            works.work().await.unwrap();
            works.tick().await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let recorder = Recorder::new(&database);
    let workstations = Workstations::new(database.clone(), clock.clone());
    let tasks = vec![server, worker];
    Stage { _folder: folder, database, clock, address, shutdown, tasks, recorder, workstations }
}

impl Stage {
    fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.address)
    }

    /// Somebody's card at the reader of the workstation.
    async fn tap(&mut self, holder: u32) {
        let fact = fact(self.clock.now(), Kind::Granted, DESK, Direction::In, Some(holder), Some(Reason::Allowed));
        self.recorder.record(vec![fact]).await;
    }

    async fn enrol(&self, page: &Client) {
        let code = self.workstations.make_code(&Acting::console(), &PointId::new(DESK).unwrap()).await.unwrap();
        page.goto(&self.url("/desk")).await.unwrap();
        until(page, "a stranger", "return !!document.getElementById('code')").await;
        page.find(Locator::Id("code")).await.unwrap().send_keys(&code.reveal().to_lowercase()).await.unwrap();
        click(page, "form[action='/desk/enrol'] button").await;
        until(page, "a workstation", "return document.querySelector('[data-link-state=live]') !== null").await;
    }

    async fn sign_in(&self, page: &Client, role: Shipped) {
        page.goto(&self.url("/sign-in")).await.unwrap();
        for (field, text) in [("login", role.as_str()), ("password", PASSWORD)] {
            page.find(Locator::Id(field)).await.unwrap().send_keys(text).await.unwrap();
        }
        page.find(Locator::Css("button.primary")).await.unwrap().click().await.unwrap();
        until(page, "signed in", "return location.pathname !== '/sign-in' && !!document.querySelector('.rail')").await;
    }

    /// Taps as this doctor and types the PIN.
    async fn open(&mut self, page: &Client, doctor: u32) {
        self.tap(doctor).await;
        until(page, "the PIN", "return document.activeElement?.id === 'pin'").await;
        keys(page, PIN).await;
        click(page, ".pin-form .primary").await;
        until(page, "open", "return document.body.dataset.state === 'open'").await;
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
        self.database.close().await;
    }
}

async fn count(database: &Database, what: &'static str) -> i64 {
    let sql = match what {
        "visits" => "SELECT COUNT(*) FROM visit",
        "running" => "SELECT COUNT(*) FROM visit WHERE ended_ms IS NULL",
        "open" => "SELECT COUNT(*) FROM desk_session WHERE state = 'open'",
        _ => "SELECT COUNT(*) FROM irregular WHERE reviewed_ms IS NULL",
    };
    store::read!(database, "test.count", |conn| { Ok(sqlx::query_scalar(sql).fetch_one(&mut *conn).await?) }).unwrap()
}

async fn text(page: &Client) -> String {
    let all = page.execute("return document.body.innerText", vec![]).await.unwrap();
    all.as_str().unwrap().to_owned()
}

async fn fits(page: &Client, what: &str) {
    let wide = page.execute("return document.documentElement.scrollWidth - innerWidth", vec![]).await.unwrap();
    assert!(wide.as_i64().unwrap() <= 0, "{what} scrolls sideways by {wide}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_doctor_and_a_patient_tap_and_the_page_follows() {
    let mut stage = stage().await;
    let browser = chromium::Browser::start(1280, 900).await;
    let page = browser.page();
    stage.enrol(page).await;
    stage.picture(page, "desk-empty").await;
    stage.tap(PATIENT).await;
    until(
        page,
        "a refusal",
        "return document.querySelector('[data-notice] .bad')?.innerText.includes('no specialist')",
    )
    .await;
    assert_eq!(count(&stage.database, "visits").await, 0);
    stage.tap(DOCTOR).await;
    until(page, "the PIN", "return document.activeElement?.id === 'pin'").await;
    stage.picture(page, "desk-pin").await;
    keys(page, "1357").await;
    until(page, "another page follows", "window.isOld = true; return true").await;
    click(page, ".pin-form .primary").await;
    let asked = "return !window.isOld && !!document.querySelector('[data-notice] .bad') && document.activeElement?.id === 'pin'";
    until(page, "a wrong PIN", asked).await;
    keys(page, PIN).await;
    click(page, ".pin-form .primary").await;
    until(page, "open", "return document.body.dataset.state === 'open'").await;
    shows(page, &["Petrenko", "Bondar", "card only until"]).await;
    stage.picture(page, "desk-open").await;

    let tapped = wall_ms();
    stage.tap(PATIENT).await;
    until(page, "the patient", "return document.querySelector('.patient h1')?.innerText.includes('Ivanenko')").await;
    println!("tap committed to the patient on the page: {} ms", wall_ms() - tapped);
    shows(page, &["by card", "P-10000", "planned 20 min"]).await;
    until(page, "a photograph", "return document.querySelector('.patient img')?.naturalWidth > 100").await;
    stage.picture(page, "desk-visit").await;
    // A tap again changes nothing; the key ends the visit.
    stage.tap(PATIENT).await;
    until(page, "said", "return document.querySelector('[data-notice]')?.innerText.includes('goes on') === true").await;
    assert_eq!(count(&stage.database, "visits").await, 1);
    keys(page, "e").await;
    shows(page, &["Ready for the next patient"]).await;
    assert_eq!(count(&stage.database, "running").await, 0);
    page.goto(&stage.url("/desk/day")).await.unwrap();
    shows(page, &["Ivanenko"]).await;
    stage.picture(page, "desk-day").await;

    // Another doctor's tap: the first is out before the second is in, and an old page does nothing.
    page.goto(&stage.url("/desk")).await.unwrap();
    until(page, "live", "return document.querySelector('[data-link-state=live]') !== null").await;
    let old = page.execute("return document.querySelector('input[name=form]').value", vec![]).await.unwrap();
    stage.open(page, OTHER_DOCTOR).await;
    let other = "return document.body.innerText.includes('Sydorenko') && !document.body.innerText.includes('Petrenko')";
    until(page, "the other doctor alone", other).await;
    assert_eq!(count(&stage.database, "open").await, 1);
    let post = format!(
        "return fetch('/desk/lock', {{method: 'POST', redirect: 'manual', headers: {{'x-tapward-form': '{}'}}}}).then(a => a.status)",
        old.as_str().unwrap()
    );
    assert_eq!(page.execute(&post, vec![]).await.unwrap().as_i64(), Some(403), "a page of the one before");
    keys(page, "l").await;
    until(page, "locked", "return document.body.dataset.state === 'locked'").await;
    stage.picture(page, "desk-locked").await;
    stage.tap(OTHER_DOCTOR).await;
    until(page, "open again", "return document.body.dataset.state === 'open'").await;
    browser.end().await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn work_without_the_card_takes_three_steps_and_is_reviewed() {
    let mut stage = stage().await;
    let browser = chromium::Browser::start(1280, 900).await;
    let page = browser.page();
    stage.enrol(page).await;
    stage.open(page, DOCTOR).await;
    keys(page, "o").await;
    let who = "return location.pathname === '/desk/without' && document.activeElement?.id === 'find-words'";
    until(page, "who", who).await;
    stage.picture(page, "desk-without-who").await;
    keys(page, "kowal").await;
    click(page, "form[role=search] .primary").await;
    // The first page offers the patients of today; the one that was searched for is the only one found.
    until(page, "found", "return document.querySelectorAll('a.hit').length === 1").await;
    click(page, "a.hit").await;
    until(page, "why", "document.querySelector('input[value=card_forgotten]').click(); return true").await;
    until(page, "words", "document.getElementById('words').focus(); return document.activeElement.id === 'words'")
        .await;
    keys(page, "left it at home today").await;
    stage.picture(page, "desk-without-why").await;
    click(page, "form.fields .primary").await;
    until(page, "started", "return document.querySelector('.patient h1')?.innerText.includes('Kowalska')").await;
    shows(page, &["without card"]).await;
    stage.picture(page, "desk-without-visit").await;
    assert_eq!(count(&stage.database, "irregular").await, 1);

    let office = chromium::Browser::start(1280, 1000).await;
    stage.sign_in(office.page(), Shipped::Manager).await;
    for (path, name) in [("/visits", "visits"), ("/visits/graph", "graph"), ("/visits/rooms", "rooms")] {
        office.page().goto(&stage.url(path)).await.unwrap();
        let seen = text(office.page()).await;
        assert!(!seen.contains("Kowalska") && !seen.contains("Petrenko"), "{path}: a manager is shown names: {seen}");
        stage.picture(office.page(), name).await;
    }
    office.page().goto(&stage.url("/irregular")).await.unwrap();
    office.page().find(Locator::Css("a.whole")).await.unwrap().click().await.unwrap();
    until(office.page(), "the case", "return !!document.getElementById('case')").await;
    let seen = text(office.page()).await;
    assert!(seen.contains("left it at home today") && !seen.contains("Kowalska"), "{seen}");
    stage.picture(office.page(), "irregular-case").await;
    office.page().execute("document.querySelector('input[value=regular]').click(); return 1", vec![]).await.unwrap();
    office.page().find(Locator::Id("comment")).await.unwrap().send_keys("talked about it, in order").await.unwrap();
    office.page().find(Locator::Css("#case .primary")).await.unwrap().click().await.unwrap();
    until(office.page(), "reviewed", "return document.body.innerText.includes('Reviewed.')").await;
    assert_eq!(count(&stage.database, "irregular").await, 0);
    office.end().await;
    browser.end().await;
    stage.end().await;
}

/// Plugs a reader in: what `feed` is given comes from its port.
async fn plug(page: &Client) {
    let fake = "const port = { open: async () => {}, close: async () => {}, \
                readable: new ReadableStream({ start(c) { window.feed = (t) => c.enqueue(new TextEncoder().encode(t)) } }) }; \
                Object.defineProperty(navigator, 'serial', { configurable: true, value: { requestPort: async () => port, getPorts: async () => [] } }); \
                const card = document.querySelector('[data-serial]'); const shown = !card.hidden; \
                document.querySelector('[data-serial-choose]').click(); return shown";
    let shown = page.execute(fake, vec![]).await.unwrap();
    assert_eq!(shown.as_bool(), Some(true), "the browser can read ports, and the page offers it");
    until(
        page,
        "connected",
        "return !!window.feed && document.querySelector('[data-serial]').classList.contains('is-on')",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_in_the_computers_own_port_is_a_reader_of_the_workstation() {
    let stage = stage().await;
    let browser = chromium::Browser::start(390, 844).await;
    let page = browser.page();
    stage.enrol(page).await;
    fits(page, "the empty workstation").await;
    plug(page).await;
    // In two pieces, as a port delivers it; then a line that is no card.
    let number = format!("{:08X}", 0x04A1_0000 + DOCTOR);
    page.execute(&format!("feed('{}'); feed('{}\\r\\n'); return 1", &number[..3], &number[3..]), vec![]).await.unwrap();
    until(page, "the PIN", "return document.body.dataset.state === 'waiting'").await;
    let kept = page.execute("return document.documentElement.outerHTML + location.href", vec![]).await.unwrap();
    assert!(!kept.as_str().unwrap().contains(&number), "the number stays nowhere");
    page.execute("feed('nonsense\\r\\n'); return 1", vec![]).await.unwrap();
    until(page, "said", "return document.querySelector('[data-notice] .bad')?.innerText.includes('not read well')")
        .await;
    stage.picture(page, "phone-desk-pin").await;
    until(page, "the field", "return document.activeElement?.id === 'pin'").await;
    keys(page, PIN).await;
    click(page, ".pin-form .primary").await;
    until(page, "open", "return document.body.dataset.state === 'open'").await;
    for (path, name) in [
        ("/desk", "phone-desk"),
        ("/desk/day", "phone-day"),
        ("/desk/without", "phone-without"),
        ("/desk/pin", "phone-pin"),
    ] {
        page.goto(&stage.url(path)).await.unwrap();
        fits(page, path).await;
        stage.picture(page, name).await;
    }
    // The same at a cash desk: a line that is no card is said, a patient's card opens their account.
    stage.sign_in(page, Shipped::Administrator).await;
    page.goto(&stage.url("/till")).await.unwrap();
    plug(page).await;
    page.execute("feed('nonsense\\r\\n'); return 1", vec![]).await.unwrap();
    shows(page, &["This card belongs to nobody here."]).await;
    stage.picture(page, "phone-till-reader").await;
    page.execute(&format!("feed('{:08X}\\r\\n'); return 1", 0x04A1_0000 + PATIENT), vec![]).await.unwrap();
    let account = format!("return location.pathname === '/till/patient/{}'", person(PATIENT));
    until(page, "their account", &account).await;
    browser.end().await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_setting_up_and_of_the_office_fit_a_phone_and_say_what_is_missing() {
    let mut stage = stage().await;
    let (phone, wide) = (chromium::Browser::start(390, 844).await, chromium::Browser::start(1280, 1000).await);
    stage.enrol(wide.page()).await;
    stage.open(wide.page(), DOCTOR).await;
    stage.tap(PATIENT).await;
    until(wide.page(), "the patient", "return !!document.querySelector('.patient')").await;
    stage.sign_in(phone.page(), Shipped::Administrator).await;
    stage.sign_in(wide.page(), Shipped::Administrator).await;
    let member = person(DOCTOR);
    let paths = [
        ("/workstations?open=desk-214", "workstations"),
        (&format!("/staff?open={member}"), "staff"),
        ("/where", "where"),
        ("/visits", "visits-admin"),
        ("/visits/graph", "graph-admin"),
        ("/visits/rooms", "rooms-admin"),
        ("/irregular", "irregular"),
    ];
    for (path, name) in paths {
        for (page, size) in [(phone.page(), "phone"), (wide.page(), "wide")] {
            page.goto(&stage.url(path)).await.unwrap();
            let seen = text(page).await;
            assert!(!seen.contains("workstations-") && !seen.contains("staff-"), "{path}: {seen}");
            fits(page, path).await;
            stage.picture(page, &format!("{size}-{name}")).await;
        }
    }
    // Where a patient is: searched by name, with a purpose; the way of today names the room.
    let page = wide.page();
    page.goto(&stage.url("/where")).await.unwrap();
    page.find(Locator::Id("words")).await.unwrap().send_keys("ivanenko").await.unwrap();
    page.find(Locator::Id("purpose")).await.unwrap().select_by_value("incident").await.unwrap();
    page.find(Locator::Css("form.seek .primary")).await.unwrap().click().await.unwrap();
    until(page, "found", "return !!document.querySelector('button.hit')").await;
    page.find(Locator::Css("button.hit")).await.unwrap().click().await.unwrap();
    until(page, "the room", "return document.querySelector('.where-now')?.innerText === 'Room 214'").await;
    let address = page.current_url().await.unwrap();
    assert_eq!(address.path(), "/where", "nobody stands in an address");
    assert_eq!(address.query(), None);
    stage.picture(page, "wide-where-found").await;
    // Who manages workstations ends a session there.
    page.goto(&stage.url("/workstations?open=desk-214")).await.unwrap();
    page.find(Locator::Css("form[action='/workstations/end'] .danger")).await.unwrap().click().await.unwrap();
    until(page, "ended", "return document.body.innerText.includes('The session was ended')").await;
    assert_eq!(count(&stage.database, "open").await, 0);
    let left = staff::by_person(&stage.database, member).await.unwrap().unwrap().ended;
    assert_eq!(left, None, "they still work here");
    phone.end().await;
    wide.end().await;
    stage.end().await;
}
