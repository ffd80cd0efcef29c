//! A dashboard with a till and its accounts, for browser tests of the cash desk, the office and the figures; and the small acts
//! that these tests share. What is pressed and typed is done in one step of a script where the page could be exchanged between
//! finding and doing. With `TAPWARD_SCREENS=FOLDER` pictures of the pages are written there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests and what they share")]
#![allow(dead_code, reason = "each test uses its part")]

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use clinic::accounts::{Accounts, Login, NewAccount, Password, SessionRules, Visitor};
use clinic::acting::Acting;
use clinic::audit::Purpose;
use clinic::roles::Grant;
use clinic::till::{NewCharge, NewPrice, NewService, Till, TillError};
use clinic::vault::Vault;
use dashboard::{Dashboard, DeskSettings, Settings, TillSettings, TlsSource};
use domain::money::{Amount, Currency};
use domain::vault::{Names, Passport};
use domain::visit::OutOfCardCode;
use domain::{Clock, Shipped, SiteId, UtcMillis};
use fantoccini::{Client, Locator};
use store::{Database, sqlx};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::chromium::{self, until};
use crate::scene::{self, card, person};

const PASSWORD: &str = "a quiet morning in Kyiv";

/// A running dashboard, and the till behind it.
pub struct Stage {
    pub folder: TempDir,
    pub database: Database,
    pub clock: Clock,
    pub vault: Vault,
    pub till: Till,
    address: SocketAddr,
    shutdown: CancellationToken,
    server: JoinHandle<()>,
    ahead_ms: Arc<AtomicI64>,
    keys: u32,
}

#[expect(clippy::disallowed_methods, reason = "a browser compares the server's clock with its own")]
fn wall_ms() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(now.as_millis()).unwrap()
}

pub fn uah() -> Currency {
    Currency::parse("UAH").unwrap()
}

pub fn minor(minor: i64) -> Amount {
    Amount::new(minor).unwrap()
}

/// One piece of a service for a patient, without the card.
pub fn charge(key: &str, patient: u32, service: &str) -> NewCharge {
    NewCharge {
        key: key.to_owned(),
        patient: person(patient),
        visit: None,
        session: None,
        out_of_card: Some((OutOfCardCode::ALL[0], "the reader of the room is being repaired".to_owned())),
        service: service.to_owned(),
        quantity: 1,
        currency: None,
        shown: None,
    }
}

impl Stage {
    /// A dashboard with these accounts, on the wall's clock until [`Stage::pass`].
    pub async fn start(accounts: &[(&str, Shipped, &str)], till_settings: TillSettings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = scene::database(folder.path()).await;
        let (begin, since) = (wall_ms(), tokio::time::Instant::now());
        let ahead_ms = Arc::new(AtomicI64::new(0));
        let ahead = ahead_ms.clone();
        let clock = Clock::new(move || {
            let passed = i64::try_from(since.elapsed().as_millis()).unwrap();
            UtcMillis(begin + passed + ahead.load(Ordering::Relaxed))
        });
        let vault = scene::vault(&database, clock.clone(), folder.path()).await;
        scene::furnish(&database, clock.now()).await;
        let till = Till::new(database.clone(), clock.clone(), chrono_tz::Europe::Kyiv, till_settings.rules.clone());
        let rules = SessionRules::default();
        let known = Accounts::new(database.clone(), clock.clone(), rules, "clinic-3", scene::accounts_key());
        let visitor = Visitor::new("127.0.0.1".parse().unwrap(), "test");
        for (login, role, name) in accounts {
            let new = NewAccount {
                login: Login::new(login).unwrap(),
                shown_name: (*name).to_owned(),
                roles: vec![Grant::site(*role)],
                locale: "en".to_owned(),
            };
            let link = known.create(&Acting::console(), new).await.unwrap();
            known.redeem_password(&link, Password::new(PASSWORD), &visitor).await.unwrap();
        }
        let reader = |line: &str| (0..60).find(|n| line.trim() == format!("{:08X}", 0x04A1_0000 + n)).map(card);
        let settings = Settings {
            site: SiteId::new("clinic-3").unwrap(),
            time_zone: chrono_tz::Europe::Kyiv,
            language: "en".to_owned(),
            tls: TlsSource::Own { folder: folder.path().join("tls"), names: vec![] },
            sessions: rules,
            accounts_key: scene::accounts_key(),
            trusted_proxies: Vec::new(),
            till: till_settings,
            desk: DeskSettings { reader: Some(Arc::new(reader)), ..DeskSettings::default() },
            retention: clinic::retention::Terms::default(),
        };
        let dashboard = Dashboard::new(settings, database.clone(), clock.clone(), vault.clone());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let shutdown = CancellationToken::new();
        let (ready, is_ready) = oneshot::channel();
        let ending = shutdown.clone();
        let server = tokio::spawn(async move { dashboard.serve(listener, ending, Some(ready)).await.unwrap() });
        let address = is_ready.await.unwrap();
        Self { folder, database, clock, vault, till, address, shutdown, server, ahead_ms, keys: 0 }
    }

    /// Lets time pass.
    pub fn pass(&self, ms: i64) {
        self.ahead_ms.fetch_add(ms, Ordering::Relaxed);
    }

    /// Gives people names.
    pub async fn name(&self, named: &[(u32, &str, &str)]) {
        let passport =
            |family: &str, given: &str| Passport { names: Names::new(family, given, ""), ..Passport::default() };
        let batch = named.iter().map(|(n, family, given)| (person(*n), passport(family, given).into())).collect();
        self.vault.load(&Acting::console(), batch, Purpose::Maintenance).await.unwrap();
    }

    /// Gives somebody a record number of the medical system.
    pub async fn number(&self, patient: u32, number: &str) {
        let (person, number) = (person(patient).to_string(), number.to_owned());
        store::transact!(self.database, "test.alias", |conn| {
            sqlx::query("INSERT INTO person_alias (system, value, person) VALUES ('mis', $1, $2)")
                .bind(&number)
                .bind(&person)
                .execute(&mut *conn)
                .await?;
            Ok(())
        })
        .unwrap();
    }

    /// Makes services with their prices in minor units.
    pub async fn services(&self, services: &[(&str, &str, i64)]) {
        let acting = Acting::console();
        for (code, name, _) in services {
            self.till.put_service(&acting, NewService::new(code, name)).await.unwrap();
        }
        let price = |(code, _, price): &(&str, &str, i64)| NewPrice::new(code, uah(), minor(*price));
        self.till.set_prices(&acting, None, services.iter().map(price).collect()).await.unwrap();
    }

    fn charge(&mut self, patient: u32, service: &str) -> NewCharge {
        self.keys += 1;
        charge(&format!("test-charge-{}", self.keys), patient, service)
    }

    /// A service is registered for a patient, as a doctor does.
    pub async fn serve(&mut self, patient: u32, service: &str) {
        let new = self.charge(patient, service);
        self.till.register(&Acting::console(), new).await.unwrap();
    }

    /// That a limit refuses it.
    pub async fn is_refused(&mut self, patient: u32, service: &str) {
        let new = self.charge(patient, service);
        let refused = self.till.register(&Acting::console(), new).await;
        assert!(matches!(refused, Err(TillError::Refused(_))), "{refused:?}");
    }

    pub fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.address)
    }

    pub async fn go(&self, page: &Client, path: &str) {
        page.goto(&self.url(path)).await.unwrap();
    }

    pub async fn sign_in(&self, page: &Client, login: &str) {
        self.go(page, "/sign-in").await;
        for (field, text) in [("login", login), ("password", PASSWORD)] {
            page.find(Locator::Id(field)).await.unwrap().send_keys(text).await.unwrap();
        }
        press(page, "button.primary").await;
        until(page, "signed in", "return location.pathname !== '/sign-in' && !!document.querySelector('.rail')").await;
    }

    pub async fn end(self) {
        self.shutdown.cancel();
        tokio::time::timeout(Duration::from_secs(8), self.server).await.expect("an orderly end").unwrap();
        self.database.close().await;
    }
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

/// What the page says, with ordinary spaces.
pub async fn text(page: &Client) -> String {
    let all = page.execute("return document.querySelector('main').innerText", vec![]).await.unwrap();
    all.as_str().unwrap().replace('\u{a0}', " ")
}

/// Waits until the page says something.
pub async fn has(page: &Client, what: &str) {
    let script = format!(
        "return document.querySelector('main')?.innerText.replaceAll('\\u00a0', ' ').includes({})",
        quoted(&what.replace('\u{a0}', " "))
    );
    until(page, what, &script).await;
}

/// Waits until an element says something.
pub async fn says(page: &Client, css: &str, what: &str) {
    let script = format!(
        "return !!document.querySelector({})?.innerText.replaceAll('\\u00a0', ' ').includes({})",
        quoted(css),
        quoted(what)
    );
    until(page, &format!("{css}: {what}"), &script).await;
}

/// Waits until a field holds something.
pub async fn holds(page: &Client, css: &str, value: &str) {
    let script = format!("return document.querySelector({})?.value === {}", quoted(css), quoted(value));
    until(page, &format!("{css} = {value}"), &script).await;
}

/// Types into a field that may hold something.
pub async fn fill(page: &Client, id: &str, typed: &str) {
    let field = page.find(Locator::Id(id)).await.unwrap_or_else(|_| panic!("#{id}"));
    field.clear().await.unwrap();
    field.send_keys(typed).await.unwrap();
}

/// Sets a field that a driver cannot type into in one way everywhere, such as a day.
pub async fn set(page: &Client, id: &str, value: &str) {
    let script = format!("const field = document.getElementById({}); field.value = {};", quoted(id), quoted(value));
    let more = " field.dispatchEvent(new Event('input', { bubbles: true }));";
    page.execute(&(script + more), vec![]).await.unwrap();
}

pub async fn press(page: &Client, css: &str) {
    chromium::click(page, css).await;
}

/// Opens a part of the page that is folded away.
pub async fn unfold(page: &Client, css: &str) {
    let script =
        format!("const fold = document.querySelector({}).closest('details'); if (fold) fold.open = true;", quoted(css));
    page.execute(&script, vec![]).await.unwrap();
}

/// A key of the keyboard while nothing is typed in.
pub async fn key(page: &Client, key: &str) {
    let script = format!(
        "document.activeElement?.blur(); document.body.dispatchEvent(new KeyboardEvent('keydown', {{ key: '{key}', bubbles: true }}))"
    );
    page.execute(&script, vec![]).await.unwrap();
}

pub async fn choose(page: &Client, id: &str, value: &str) {
    let css = format!("#{id} option[value='{value}']");
    page.find(Locator::Css(&css)).await.unwrap_or_else(|_| panic!("{css}")).click().await.unwrap();
}

/// That nothing scrolls sideways.
pub async fn fits(page: &Client, what: &str) {
    let wide = page.execute("return document.documentElement.scrollWidth - innerWidth", vec![]).await.unwrap();
    assert!(wide.as_i64().unwrap() <= 0, "{what} scrolls sideways by {wide}");
}

/// What the browser's own session gets from an address: status, kind and text.
pub async fn fetched(page: &Client, path: &str) -> (u64, String, String) {
    const SCRIPT: &str = "const [path, done] = arguments; fetch(path).then(async answer => \
        done([answer.status, answer.headers.get('content-type'), await answer.text()]), error => done([0, String(error), '']))";
    let answer = page.execute_async(SCRIPT, vec![path.into()]).await.unwrap();
    let part = |at: usize| answer[at].as_str().unwrap_or_default().to_owned();
    (answer[0].as_u64().unwrap(), part(1), part(2))
}

pub async fn picture(page: &Client, name: &str) {
    if let Some(folder) = std::env::var_os("TAPWARD_SCREENS").map(PathBuf::from) {
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(format!("{name}.png")), page.screenshot().await.unwrap()).unwrap();
    }
}
