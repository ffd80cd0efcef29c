//! The auditor's page in a real browser: search, an entry with its proof, the saved proof, a rolled-back place, phone
//! width. With `TAPWARD_SCREENS=FOLDER` pictures are written there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests and what they share")]

mod chromium;
mod scene;

use std::net::TcpListener;
use std::time::Duration;

use clinic::accounts::{Accounts, SessionRules};
use clinic::acting::Actor;
use clinic::audit::{self, Action, CheckResult, Draft, HeadKey, Outcome, Publisher, Publishing, Purpose};
use dashboard::{Dashboard, Settings, TlsSource};
use domain::{Field, SiteId};
use fantoccini::{Client, Locator};
use store::{Database, read, sqlx};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

const PASSWORD: &str = "a quiet morning in Kyiv";

/// A morning of acts.
async fn acts(database: &Database, hands: &scene::Hands) {
    let account: String = read!(database, "test.account", |conn| {
        Ok(sqlx::query_scalar("SELECT id FROM account").fetch_one(&mut *conn).await?)
    })
    .unwrap();
    for n in 0..30_u32 {
        hands.pass(7_000);
        let draft = match n % 6 {
            0 => Draft {
                subject: Some(scene::person(n)),
                fields: vec![Field::Name, Field::BirthDate],
                purpose: Some(Purpose::Treatment),
                note: Some("asked at the desk which visit is next".to_owned()),
                address: Some("192.0.2.17".to_owned()),
                session: Some("5e".repeat(16)),
                ..Draft::new(hands.now(), Actor::Account(account.clone()), Action::PersonRevealed)
            },
            1 => Draft {
                outcome: Outcome::Refused,
                object: Some("vault_manage".to_owned()),
                ..Draft::new(hands.now(), Actor::Account(account.clone()), Action::Refused)
            },
            2 => {
                Draft { detail: Some("rows=3".to_owned()), ..Draft::new(hands.now(), Actor::Console, Action::Imported) }
            }
            3 => Draft {
                subject: Some(scene::person(n)),
                glass: Some("61a55e".to_owned()),
                purpose: Some(Purpose::Emergency),
                ..Draft::new(hands.now(), Actor::Account(account.clone()), Action::PersonSeen)
            },
            4 => Draft {
                object: Some("turnstile-2".to_owned()),
                ..Draft::new(hands.now(), Actor::Account(account.clone()), Action::DoorOrdered)
            },
            _ => Draft {
                subject: Some(scene::person(n)),
                purpose: Some(Purpose::Checkpoint),
                ..Draft::new(hands.now(), Actor::ApiKey("a1".repeat(16)), Action::PersonSeen)
            },
        };
        audit::write(database, draft).await.unwrap();
    }
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

#[tokio::test(flavor = "multi_thread")]
async fn an_auditor_finds_an_entry_sees_its_proof_and_a_place_that_knows_more() {
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

    open(&link).await;
    for (field, text) in
        [("login", "olena.b"), ("shown_name", "Olena Bondar"), ("password", PASSWORD), ("again", PASSWORD)]
    {
        page.find(Locator::Id(field)).await.unwrap().send_keys(text).await.unwrap();
    }
    page.find(Locator::Css("button.primary")).await.unwrap().click().await.unwrap();
    chromium::until(page, "signed in", "return !!document.querySelector('.rail')").await;
    acts(&database, &hands).await;
    let heads = folder.path().join("heads");
    let publishing = Publishing {
        site: SiteId::new("clinic-3").unwrap(),
        key: HeadKey::from_seed(&[7; 32]).unwrap(),
        places: vec![heads.clone(), folder.path().join("not-mounted/heads")],
        every: Duration::from_secs(600),
    };
    Publisher::new(database.clone(), hands.clock(), publishing).round(true).await;
    let sound = CheckResult { ended: hands.now(), size: 31, faults: 0, first: None };
    audit::note_check(&database, None, &sound).await.unwrap();

    open("/audit").await;
    fits(page, "the list").await;
    shoot(page, "audit-list").await;
    open("/audit?action=person_revealed&purpose=treatment").await;
    let rows = page.execute("return document.querySelectorAll('table.journal tbody tr').length", vec![]).await.unwrap();
    assert_eq!(rows.as_i64(), Some(5));
    page.find(Locator::Css("table.journal a.whole")).await.unwrap().click().await.unwrap();
    chromium::until(page, "the entry", "return !!document.getElementById('entry')").await;
    let text = page.find(Locator::Id("entry")).await.unwrap().text().await.unwrap();
    for told in ["Fields revealed", "Olena Bondar", "asked at the desk", "name, date of birth", "Proved:"] {
        assert!(text.contains(told), "{told} in {text}");
    }
    shoot(page, "audit-entry").await;
    page.set_window_size(360, 780).await.unwrap();
    fits(page, "the entry on a phone").await;
    shoot(page, "audit-entry-phone").await;
    open("/audit").await;
    fits(page, "the list on a phone").await;
    shoot(page, "audit-list-phone").await;
    page.find(Locator::Css("form[action='/audit/check'] button")).await.unwrap().click().await.unwrap();
    chromium::until(page, "the check is asked for", "return document.body.innerText.includes('being checked')").await;
    assert!(audit::take_check(&database, hands.now()).await.unwrap().is_some());
    assert!(std::fs::read_to_string(&heads).unwrap().starts_with("tapward-audit-head-1 clinic-3 "));

    browser.end().await;
    shutdown.cancel();
    tokio::time::timeout(Duration::from_secs(8), server).await.expect("an orderly end").unwrap();
}
