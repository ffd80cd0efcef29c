//! The pages about people in a real browser: found, seen masked, unmasked with a purpose; a guard's page with faces and
//! how fast a face is there; names that try to be markup; phone width. With `TAPWARD_SCREENS=FOLDER` pictures of the
//! pages are written there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests and what they share")]

mod chromium;
mod scene;

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::time::Duration;

use chromium::until;
use clinic::accounts::{Accounts, Login, NewAccount, Password, SessionRules, Visitor};
use clinic::acting::Acting;
use clinic::audit::{self, Action, Purpose};
use clinic::roles::Grant;
use clinic::vault::Vault;
use controller_sim::identity::Sex;
use controller_sim::portrait::{Look, portrait};
use dashboard::{Dashboard, Settings, TlsSource};
use domain::vault::{BirthDate, Contact, ContactKind, Document, DocumentKind, Names, Passport};
use domain::{Clock, Direction, Field, Kind, Reason, Shipped, SiteId, UtcMillis};
use fantoccini::{Client, Locator};
use scene::{Recorder, fact, person};
use store::{Database, sqlx};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const PASSWORD: &str = "a quiet morning in Kyiv";
/// Persons with a passport; the first ones have a photograph too.
const PERSONS: u32 = 60;
const PHOTOS: u32 = 14;
const HOSTILE: &str = "<img src=x onerror=\"document.title='owned'\">";
/// Whose family name is hostile.
const HOSTILE_PERSON: u32 = 11;
const FAMILIES: &[&str] =
    &["Бондар", "Іваненко", "Petrenko", "Ковальчук", "Sydorenko", "Мельник", "Shevchuk", "Гнатюк"];
const GIVEN: &[&str] = &["Олена", "Ihor", "Марія", "Петро", "Anna", "Сергій", "Оксана"];

struct Stage {
    _folder: TempDir,
    database: Database,
    clock: Clock,
    address: SocketAddr,
    shutdown: CancellationToken,
    server: JoinHandle<()>,
    recorder: Recorder,
}

#[expect(clippy::disallowed_methods, reason = "a browser compares the server's clock with its own")]
fn wall_ms() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(now.as_millis()).unwrap()
}

fn name_of(n: u32) -> Names {
    let family = if n == HOSTILE_PERSON { HOSTILE } else { FAMILIES[n as usize % FAMILIES.len()] };
    Names::new(family, GIVEN[n as usize % GIVEN.len()], if n.is_multiple_of(3) { "Петрівна" } else { "" })
}

/// Persons under the pseudonyms that the scene's events use, with passports and photographs.
async fn fill(database: &Database, vault: &Vault, now: UtcMillis) {
    let acting = Acting::console();
    let mut batch = Vec::new();
    for n in 0..PERSONS {
        let passport = Passport {
            names: name_of(n),
            birth_date: BirthDate::new(1950 + i32::try_from(n).unwrap(), 4, 21),
            documents: vec![Document {
                kind: DocumentKind::Passport,
                number: format!("СН {}", 700_100 + n).as_str().into(),
                issued: "2019".into(),
            }],
            contacts: vec![Contact {
                kind: ContactKind::Phone,
                value: format!("+380 67 555 {:04}", 100 + n).as_str().into(),
            }],
        };
        batch.push((person(n), passport.into()));
    }
    let rows: Vec<(String, String)> =
        (0..PERSONS).map(|n| (person(n).to_string(), format!("E-{}", 1000 + n))).collect();
    store::transact!(database, "test.persons", |conn| {
        for (id, reference) in &rows {
            sqlx::query("INSERT INTO person (id, external_ref, created_ms) VALUES ($1, $2, $3)")
                .bind(id)
                .bind(reference)
                .bind(now.0)
                .execute(&mut *conn)
                .await?;
        }
        Ok(())
    })
    .unwrap();
    vault.load(&acting, batch, Purpose::Maintenance).await.unwrap();
    for n in 0..PHOTOS {
        let sex = if n.is_multiple_of(2) { Sex::Woman } else { Sex::Man };
        let look = Look::draw(u64::from(n) + 3, sex, 25 + u8::try_from(n).unwrap() * 3, None);
        let picture = portrait(&look).unwrap();
        vault.put_photo(&acting, person(n), picture, Some(now)).await.unwrap();
    }
}

async fn stage() -> Stage {
    let folder = tempfile::tempdir().unwrap();
    let database = scene::database(folder.path()).await;
    let (begin, since) = (wall_ms(), tokio::time::Instant::now());
    let clock = Clock::new(move || UtcMillis(begin + i64::try_from(since.elapsed().as_millis()).unwrap()));
    let vault = scene::vault(&database, clock.clone(), folder.path()).await;
    fill(&database, &vault, clock.now()).await;
    scene::furnish(&database, clock.now()).await;
    let mut recorder = Recorder::new(&database);
    scene::morning(&mut recorder, clock.now()).await;
    scene::equipment(&database, clock.now()).await;
    let accounts =
        Accounts::new(database.clone(), clock.clone(), SessionRules::default(), "clinic-3", scene::accounts_key());
    let visitor = || Visitor::new("127.0.0.1".parse().unwrap(), "test");
    for role in [Shipped::Guard, Shipped::PassOffice, Shipped::Manager, Shipped::PrivacyOfficer] {
        let new = NewAccount {
            login: Login::new(role.as_str()).unwrap(),
            shown_name: String::new(),
            roles: vec![Grant::site(role)],
            locale: "en".to_owned(),
        };
        let link = accounts.create(&Acting::console(), new).await.unwrap();
        accounts.redeem_password(&link, Password::new(PASSWORD), &visitor()).await.unwrap();
    }
    let settings = Settings {
        site: SiteId::new("clinic-3").unwrap(),
        time_zone: chrono_tz::Europe::Kyiv,
        language: "en".to_owned(),
        tls: TlsSource::Own { folder: folder.path().join("tls"), names: vec![] },
        sessions: SessionRules::default(),
        accounts_key: scene::accounts_key(),
        trusted_proxies: Vec::new(),
        desk: dashboard::DeskSettings::default(),
        till: dashboard::TillSettings::default(),
        retention: clinic::retention::Terms::default(),
    };
    let dashboard = Dashboard::new(settings, database.clone(), clock.clone(), vault);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let shutdown = CancellationToken::new();
    let (ready, is_ready) = oneshot::channel();
    let ending = shutdown.clone();
    let server = tokio::spawn(async move { dashboard.serve(listener, ending, Some(ready)).await.unwrap() });
    let address = is_ready.await.unwrap();
    Stage { _folder: folder, database, clock, address, shutdown, server, recorder }
}

impl Stage {
    fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.address)
    }

    async fn sign_in(&self, page: &Client, role: Shipped) {
        page.goto(&self.url("/sign-in")).await.unwrap();
        for (field, text) in [("login", role.as_str()), ("password", PASSWORD)] {
            page.find(Locator::Id(field)).await.unwrap().send_keys(text).await.unwrap();
        }
        page.find(Locator::Css("button.primary")).await.unwrap().click().await.unwrap();
        until(page, "signed in", "return location.pathname !== '/sign-in' && !!document.querySelector('.rail')").await;
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
    }
}

async fn text(page: &Client) -> String {
    let all = page.execute("return document.documentElement.outerHTML", vec![]).await.unwrap();
    all.as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guard_sees_the_face_of_who_passes_at_once_and_a_manager_a_pseudonym() {
    let mut stage = stage().await;
    let (guard, manager) = (chromium::Browser::start(1280, 1000).await, chromium::Browser::start(1280, 1000).await);
    stage.sign_in(guard.page(), Shipped::Guard).await;
    stage.sign_in(manager.page(), Shipped::Manager).await;
    let live = "return !!document.querySelector('[data-link-state=live]')";
    for browser in [&guard, &manager] {
        browser.page().goto(&stage.url("/live")).await.unwrap();
        until(browser.page(), "live", live).await;
    }
    // The page itself notes when each new face is decoded, by the clock of this computer.
    let watch = "window.faces = {}; new MutationObserver(() => { const i = document.querySelector('.now-photo img'); \
                 const slot = i?.closest('.now').dataset.slot; if (i && !(slot in faces)) { faces[slot] = 0; \
                 i.decode().then(() => { faces[slot] = Date.now() }) } }).observe(document.querySelector('[data-now]'), \
                 {childList: true, subtree: true}); return 1";
    guard.page().execute(watch, vec![]).await.unwrap();
    let mut took = Vec::new();
    for n in 0..PHOTOS {
        let tap = fact(stage.clock.now(), Kind::Granted, "turnstile-1", Direction::In, Some(n), Some(Reason::Allowed));
        stage.recorder.record(vec![tap]).await;
        let committed = wall_ms();
        let slot = format!("turnstile-1|in|{}", scene::card(n));
        until(guard.page(), "the face", &format!("return faces['{slot}'] > 0")).await;
        let at = guard.page().execute(&format!("return faces['{slot}']"), vec![]).await.unwrap();
        took.push(at.as_i64().unwrap() - committed);
    }
    took.sort_unstable();
    println!(
        "tap committed to face decoded, ms: median {}, worst {} of {}",
        took[took.len() / 2],
        took[took.len() - 1],
        took.len()
    );
    assert!(took[took.len() / 2] < 1000, "{took:?}");
    stage.picture(guard.page(), "guard-live").await;
    let seen = text(guard.page()).await;
    assert!(seen.contains("Мельник") || seen.contains("Petrenko"), "names for the guard");
    for canary in ["1950", "1955", "700105", "555 01", "E-1005"] {
        assert!(!seen.contains(canary), "a guard is not shown {canary}");
    }
    until(manager.page(), "the last tap", "return document.querySelectorAll('[data-feed] tr').length > 10").await;
    for path in ["/live", "/journal", "/inside"] {
        manager.page().goto(&stage.url(path)).await.unwrap();
        let seen = text(manager.page()).await;
        for name in FAMILIES {
            assert!(!seen.contains(name), "{path}: a manager is shown {name}");
        }
        assert!(!seen.contains("/photos/"), "{path}: a manager is shown a photograph");
        guard.page().goto(&stage.url(path)).await.unwrap();
        let seen = text(guard.page()).await;
        assert!(FAMILIES.iter().any(|name| seen.contains(name)), "{path}: names for the guard");
        assert!(!seen.contains("<img src=\"x\""), "{path}: a name is text");
        assert!(path != "/live" || seen.contains("&lt;img src=x"), "{path}: and it is shown");
        stage.picture(guard.page(), &format!("guard{}", path.replace('/', "-"))).await;
    }
    let title = guard.page().execute("return document.title", vec![]).await.unwrap();
    assert_ne!(title.as_str(), Some("owned"));
    guard.page().goto(&stage.url(&format!("/people/{}", person(5)))).await.unwrap();
    assert!(text(guard.page()).await.contains("Your role does not open this page"));
    guard.end().await;
    manager.end().await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_found_and_unmasked_with_a_purpose_and_the_look_is_recorded() {
    let stage = stage().await;
    let browser = chromium::Browser::start(1280, 1000).await;
    let page = browser.page();
    stage.sign_in(page, Shipped::PassOffice).await;
    page.goto(&stage.url("/people")).await.unwrap();
    stage.picture(page, "people-empty").await;
    page.execute("document.activeElement.blur(); return 1", vec![]).await.unwrap();
    page.find(Locator::Css("body")).await.unwrap().send_keys("/").await.unwrap();
    until(page, "the search in focus", "return document.activeElement.id === 'words'").await;
    page.find(Locator::Id("words")).await.unwrap().send_keys("іва").await.unwrap();
    page.find(Locator::Css("#purpose option[value=pass_issue]")).await.unwrap().click().await.unwrap();
    page.find(Locator::Css(".seek button")).await.unwrap().click().await.unwrap();
    until(page, "results", "return document.querySelectorAll('.person-name').length > 2").await;
    assert_eq!(page.current_url().await.unwrap().as_str(), stage.url("/people"), "nothing in the address");
    stage.picture(page, "people-found").await;
    let link = format!("a[href^='/people/{}']", person(9));
    page.find(Locator::Css(&link)).await.unwrap().click().await.unwrap();
    until(page, "the person", "return !!document.querySelector('.unmask-row.is-masked[data-field=birth_date]')").await;
    stage.picture(page, "person-masked").await;
    assert!(!text(page).await.contains("1959"), "masked at first");
    page.find(Locator::Css("[data-field=birth_date] button")).await.unwrap().click().await.unwrap();
    until(page, "the date", "return document.querySelector('[data-field=birth_date] dd').textContent.includes('1959')")
        .await;
    stage.picture(page, "person-revealed").await;
    let filter =
        audit::Filter { subject: Some(person(9)), actions: vec![Action::PersonRevealed], ..audit::Filter::default() };
    let found = audit::search(&stage.database, &Acting::console(), stage.clock.now(), &filter, None, 5).await.unwrap();
    let entry = &found.entries[0].entry;
    assert_eq!(entry.fields.as_deref(), Some(Field::BirthDate.as_str()));
    assert_eq!(entry.purpose.as_deref(), Some(Purpose::PassIssue.as_str()));
    page.goto(page.current_url().await.unwrap().as_str()).await.unwrap();
    assert!(!text(page).await.contains("1959"), "masked again");

    // Corrected: the first mistake is in focus, then it is saved.
    page.goto(&stage.url(&format!("/people/{}/edit?for=pass_issue", person(9)))).await.unwrap();
    stage.picture(page, "person-edit").await;
    page.execute("document.querySelector('#contact_value-0').value = 'call me'; return 1", vec![]).await.unwrap();
    page.find(Locator::Css("form.wide-fields button.primary")).await.unwrap().click().await.unwrap();
    until(page, "the mistake in focus", "return document.activeElement.id === 'contact_value-0' && document.querySelector('#contact_value-0-problem').textContent.length > 5").await;
    stage.picture(page, "person-edit-problem").await;
    page.execute("document.querySelector('#contact_value-0').value = '+380 44 123'; return 1", vec![]).await.unwrap();
    page.find(Locator::Css("form.wide-fields button.primary")).await.unwrap().click().await.unwrap();
    until(page, "saved", "return location.search.includes('done=saved')").await;

    // Every page on a desk and a phone, light and dark, in both languages.
    let phone = chromium::Browser::start(360, 1100).await;
    stage.sign_in(phone.page(), Shipped::PassOffice).await;
    let id = person(9);
    let places = [
        ("people", "/people".to_owned()),
        ("person", format!("/people/{id}?for=pass_issue")),
        ("hostile", format!("/people/{}", person(HOSTILE_PERSON))),
        ("edit", format!("/people/{id}/edit?for=pass_issue")),
        ("new", "/people/new".to_owned()),
        ("photo", format!("/people/{id}/photo?for=pass_issue")),
        ("live", "/live".to_owned()),
    ];
    let wide = "return Math.max(document.documentElement.scrollWidth, document.body.scrollWidth) - window.innerWidth";
    for (size, page) in [("desk", page), ("phone", phone.page())] {
        for (look, language) in [("light", "en"), ("dark", "ru")] {
            page.goto(&stage.url("/me")).await.unwrap();
            for (name, value) in [("theme", look), ("language", language)] {
                let press = format!("document.querySelector('button[name={name}][value={value}]').click(); return 1");
                page.execute(&press, vec![]).await.unwrap();
                let attribute = if name == "theme" { "data-theme" } else { "lang" };
                until(page, value, &format!("return document.documentElement.getAttribute('{attribute}') === '{value}' && document.readyState === 'complete'")).await;
            }
            for (name, path) in &places {
                page.goto(&stage.url(path)).await.unwrap();
                until(page, "pictures", "return [...document.images].every(i => i.complete)").await;
                stage.picture(page, &format!("{size}-{name}-{look}-{language}")).await;
                let over = page.execute(wide, vec![]).await.unwrap();
                assert!(over.as_i64().unwrap() <= 0, "{size} {path} {language}: {over} px too wide");
                let title = page.execute("return document.title", vec![]).await.unwrap();
                assert_ne!(title.as_str(), Some("owned"), "{path}");
            }
        }
    }
    phone.end().await;
    browser.end().await;
    stage.end().await;
}
