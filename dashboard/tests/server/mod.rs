//! A running dashboard over TLS with a small clinic behind it, for tests that speak to it through a socket.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests and what they share")]
#![allow(dead_code, reason = "each test uses its part")]

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::time::Duration;

use clinic::accounts::{Accounts, Login, Password, SessionRules, Visitor};
use clinic::acting::Acting;
use clinic::api_keys::{ApiKeys, NEVER, NewKey};
use clinic::audit::Purpose;
use dashboard::{Dashboard, Settings, TlsSource};
use domain::vault::{BirthDate, Contact, ContactKind, Names, PassportChange};
use domain::{Clock, Network, Permission, SiteId, Zones};
use store::Database;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::scene::{self, Hands, Recorder};

/// A running dashboard.
pub struct Server {
    pub folder: TempDir,
    pub address: SocketAddr,
    pub database: Database,
    pub hands: Hands,
    acting: Acting,
    keys: ApiKeys,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Server {
    /// Starts it; `X-Forwarded-For` of these proxies is believed.
    pub async fn start(proxies: Vec<Network>) -> Self {
        let keys = clinic::feeds::SiteKeys { card: domain::card::CardKey::new([7; 32]), seal: None };
        let settings = clinic::feeds::Settings::new(chrono_tz::Europe::Kyiv);
        let feeds = Some(dashboard::FeedSetup { keys, settings });
        Self::start_with(proxies, dashboard::DeskSettings { feeds, ..Default::default() }).await
    }

    /// As [`Server::start`], with these settings of workstations.
    pub async fn start_with(proxies: Vec<Network>, desk: dashboard::DeskSettings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = scene::database(folder.path()).await;
        let hands = Hands::new();
        let (now, clock): (_, Clock) = (hands.now(), hands.clock());
        scene::furnish(&database, now).await;
        scene::morning(&mut Recorder::new(&database), now).await;
        scene::equipment(&database, now).await;
        let rules = SessionRules::default();
        let accounts = Accounts::new(database.clone(), clock.clone(), rules, "clinic-3", scene::accounts_key());
        let link = accounts.create_first_run_link().await.unwrap().unwrap();
        let (login, visitor) = (Login::new("olena").unwrap(), Visitor::new(IpAddr::from([127, 0, 0, 1]), "test"));
        let password = Password::new("a quiet morning in Kyiv");
        let token = accounts.redeem_first_run(&link, &login, "Olena", "en", password, &visitor).await.unwrap();
        let acting = accounts.resume(&token, true).await.unwrap().unwrap().acting(&visitor);
        let vault = scene::vault(&database, clock.clone(), folder.path()).await;
        for n in 0..20 {
            let passport = PassportChange {
                names: Some(Names::new("Іваненко", &format!("Олена {n}"), "")),
                birth_date: Some(BirthDate::new(1987, 4, 21)),
                contacts: Some(vec![Contact { kind: ContactKind::Phone, value: "+380 67 555 0199".into() }]),
                ..PassportChange::default()
            };
            vault.put(&acting, scene::person(n), passport, Purpose::PassIssue).await.unwrap();
        }
        let settings = Settings {
            site: SiteId::new("clinic-3").unwrap(),
            time_zone: chrono_tz::Europe::Kyiv,
            language: "en".to_owned(),
            tls: TlsSource::Own { folder: folder.path().join("tls"), names: vec![] },
            sessions: rules,
            accounts_key: scene::accounts_key(),
            trusted_proxies: proxies,
            desk,
            till: dashboard::TillSettings::default(),
            retention: clinic::retention::Terms::default(),
        };
        let keys = ApiKeys::new(database.clone(), clock.clone());
        let dashboard = Dashboard::new(settings, database.clone(), clock, vault);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let shutdown = CancellationToken::new();
        let (ready, is_ready) = oneshot::channel();
        let ending = shutdown.clone();
        let task = tokio::spawn(async move { dashboard.serve(listener, ending, Some(ready)).await.unwrap() });
        Self { folder, address: is_ready.await.unwrap(), database, hands, acting, keys, shutdown, task }
    }

    /// A key with these permissions and all fields.
    pub async fn key(&self, permissions: &[Permission]) -> String {
        self.key_from(permissions, vec![]).await
    }

    /// As [`Server::key`], of use from these networks only.
    pub async fn key_from(&self, permissions: &[Permission], networks: Vec<Network>) -> String {
        let new = NewKey {
            name: "test".to_owned(),
            permissions: permissions.to_vec(),
            fields: self.acting.rights.fields().collect(),
            zones: Zones::All,
            networks,
            life_days: 90,
        };
        self.keys.make(&self.acting, new).await.unwrap().1.reveal()
    }

    /// A key with everything that keys may do.
    pub async fn full_key(&self) -> String {
        let all: Vec<_> = Permission::ALL.iter().copied().filter(|permission| !NEVER.contains(permission)).collect();
        self.key(&all).await
    }

    pub fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.address.port())
    }

    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("tls/certificate.pem")
    }

    pub async fn end(self) {
        self.shutdown.cancel();
        tokio::time::timeout(Duration::from_secs(8), self.task).await.expect("an orderly end").unwrap();
    }
}
