//! The page of deliveries in a real browser: a system that works, one that fails, dead letters that are tried again and given
//! up, phone width. With `TAPWARD_SCREENS=FOLDER` pictures are written there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests and what they share")]

mod chromium;
mod scene;

use std::net::TcpListener;
use std::time::Duration;

use clinic::accounts::{Accounts, SessionRules};
use clinic::acting::Acting;
use clinic::changes::ChangeKind;
use clinic::outbox::{self, Begin, DeliveryState, Destination, Ended, Fault, FaultCode, Filter, Settled};
use dashboard::{Dashboard, Settings, TlsSource};
use domain::SiteId;
use fantoccini::{Client, Locator};
use store::{Database, sqlx, transact};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

const PASSWORD: &str = "a quiet morning in Kyiv";

/// A morning of visits told to three systems.
async fn deliveries(database: &Database, hands: &scene::Hands) {
    let now = hands.now();
    for (name, kind) in [("mis", "fhir"), ("billing", "webhook"), ("laboratory", "hl7")] {
        let wants = vec![ChangeKind::VisitStarted, ChangeKind::VisitEnded];
        let destination = Destination { name: name.to_owned(), kind: kind.to_owned(), wants, begin: Begin::Now };
        outbox::register(database, &destination, now).await.unwrap();
    }
    transact!(database, "test.changes", |conn| {
        for n in 1..=40_i64 {
            let kind = if n % 2 == 0 { "visit_ended" } else { "visit_started" };
            let patient = scene::person(u32::try_from((n + 1) / 2).unwrap()).to_string();
            sqlx::query("INSERT INTO change (id, at_ms, happened_ms, kind, patient) VALUES ($1, $2, $2, $3, $4)")
                .bind(n)
                .bind(now.0 - (40 - n) * 60_000)
                .bind(kind)
                .bind(patient)
                .execute(&mut *conn)
                .await?;
        }
        sqlx::query("UPDATE counter SET value = 40 WHERE name = 'change'").execute(&mut *conn).await?;
        Ok(())
    })
    .unwrap();
    for name in ["mis", "billing", "laboratory"] {
        outbox::fill(database, name, now).await.unwrap();
    }
    let end = |change: u64, name: &str| match (name, change) {
        ("mis", 3) => Ended::Dead(Fault::new(FaultCode::Refused, "422 required Encounter.subject")),
        ("mis", 9) => Ended::Dead(Fault::new(FaultCode::NoAlias, "patient")),
        ("mis", 21) => Ended::Again(now.plus_ms(64_000), Fault::new(FaultCode::ServerFault, "500")),
        ("mis", 22..) | ("laboratory", _) => Ended::Released,
        _ => Ended::Done,
    };
    for name in ["mis", "billing", "laboratory"] {
        let taken = outbox::claim(database, name, "test", 100, now, now.plus_ms(30_000)).await.unwrap();
        let settle = |it: outbox::Claimed| Settled { change: it.change, ended: end(it.change, name) };
        outbox::settle(database, name, "test", taken.into_iter().map(settle).collect(), now).await.unwrap();
    }
    let away = Fault::of(FaultCode::Unreachable);
    outbox::hold_back(database, "laboratory", &away, now, now.plus_ms(24_000)).await.unwrap();
    hands.pass(8 * 60_000);
    let later = hands.now();
    outbox::hold_back(database, "laboratory", &away, later, later.plus_ms(24_000)).await.unwrap();
}

async fn shoot(page: &Client, name: &str) {
    if let Some(folder) = std::env::var_os("TAPWARD_SCREENS") {
        std::fs::create_dir_all(&folder).unwrap();
        let file = std::path::Path::new(&folder).join(format!("{name}.png"));
        std::fs::write(file, page.screenshot().await.unwrap()).unwrap();
    }
}

async fn fits(page: &Client, what: &str) {
    let width = page.execute("return [document.documentElement.scrollWidth, innerWidth]", vec![]).await.unwrap();
    assert!(width[0].as_i64() <= width[1].as_i64(), "{what} scrolls sideways: {width}");
}

async fn states(database: &Database) -> Vec<DeliveryState> {
    let filter = Filter { destination: "mis".to_owned(), ..Filter::default() };
    let lines = outbox::deliveries(database, &Acting::console(), &filter, None, 100).await.unwrap();
    [3, 9].iter().map(|change| lines.iter().find(|line| line.change == *change).unwrap().state).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_found_tried_again_and_given_up_and_a_system_is_paused() {
    let folder = tempfile::tempdir().unwrap();
    let database = scene::database(folder.path()).await;
    let hands = scene::Hands::new();
    scene::furnish(&database, hands.now()).await;
    let rules = SessionRules::default();
    let accounts = Accounts::new(database.clone(), hands.clock(), rules, "clinic-3", scene::accounts_key());
    let link = accounts.create_first_run_link().await.unwrap().unwrap().path();
    let settings = Settings {
        site: SiteId::new("clinic-3").unwrap(),
        time_zone: chrono_tz::Europe::Kyiv,
        language: "en".to_owned(),
        tls: TlsSource::Own { folder: folder.path().join("tls"), names: vec![] },
        sessions: rules,
        retention: clinic::retention::Terms::default(),
        accounts_key: scene::accounts_key(),
        trusted_proxies: Vec::new(),
        desk: dashboard::DeskSettings::default(),
        till: dashboard::TillSettings::default(),
    };
    let vault = scene::vault(&database, hands.clock(), folder.path()).await;
    let dashboard = Dashboard::new(settings, database.clone(), hands.clock(), vault);
    let (shutdown, (ready, is_ready)) = (CancellationToken::new(), oneshot::channel());
    let (ending, listener) = (shutdown.clone(), TcpListener::bind("127.0.0.1:0").unwrap());
    let server = tokio::spawn(async move { dashboard.serve(listener, ending, Some(ready)).await.unwrap() });
    let address = is_ready.await.unwrap();
    let browser = chromium::Browser::start(1280, 900).await;
    let page = browser.page();
    let open = async |path: &str| page.goto(&format!("https://{address}{path}")).await.unwrap();
    let press = async |css: &str| page.find(Locator::Css(css)).await.unwrap().click().await.unwrap();
    let says = async |text: &str| {
        let script = format!("return document.body.innerText.includes({})", serde_json::to_string(text).unwrap());
        chromium::until(page, text, &script).await;
    };

    open(&link).await;
    for (field, text) in
        [("login", "olena.b"), ("shown_name", "Olena Bondar"), ("password", PASSWORD), ("again", PASSWORD)]
    {
        page.find(Locator::Id(field)).await.unwrap().send_keys(text).await.unwrap();
    }
    press("button.primary").await;
    chromium::until(page, "signed in", "return !!document.querySelector('.rail')").await;
    open("/exchange").await;
    says("No other system is told anything").await;
    deliveries(&database, &hands).await;

    open("/exchange").await;
    says("fails for 8 min").await;
    says("The system refused it as wrong. (422 required Encounter.subject)").await;
    fits(page, "the page").await;
    shoot(page, "exchange").await;
    press("a[href*='open=mis:9#'], a[href*='open=mis%3A9#']").await;
    chromium::until(page, "the letter", "return !!document.getElementById('letter')").await;
    shoot(page, "exchange-letter").await;
    page.find(Locator::Id("why")).await.unwrap().send_keys("entered by hand at the desk").await.unwrap();
    press("form[action='/exchange/give-up'] button").await;
    says("Given up.").await;
    press("a[href*='open=mis:3#'], a[href*='open=mis%3A3#']").await;
    press("#letter form[action='/exchange/retry'] button").await;
    says("It is tried again.").await;
    assert_eq!(states(&database).await, [DeliveryState::Waiting, DeliveryState::GivenUp]);
    press("form[action='/exchange/pause'] button").await;
    says("Paused.").await;
    press("form[action='/exchange/resume'] button").await;
    says("It goes on.").await;
    page.set_window_size(360, 780).await.unwrap();
    open("/exchange?state=all").await;
    fits(page, "the page on a phone").await;
    shoot(page, "exchange-phone").await;
    open("/exchange?state=all&destination=mis&open=mis%3A21").await;
    fits(page, "a delivery on a phone").await;
    shoot(page, "exchange-letter-phone").await;

    browser.end().await;
    shutdown.cancel();
    tokio::time::timeout(Duration::from_secs(8), server).await.expect("an orderly end").unwrap();
}
