//! The provider as relying parties of other authors use it, over TLS: the npm library `openid-client` and the Python
//! libraries Authlib and joserfc. Browsers are played by the scripts; taps are made here, at the readers of two desks.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods, reason = "tests")]

mod scene;

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clinic::acting::{Acting, Actor};
use clinic::desk::{Desk, Factor, Rules as DeskRules};
use clinic::openid::{CallOutcome, NewClient, Provider, Rules};
use clinic::staff::{self, Staff};
use clinic::workstations::Workstations;
use clinic::{people, policy};
use dashboard::{Dashboard, DeskSettings, Settings, TlsSource};
use domain::policy::{Layout, Point, PointKind};
use domain::{CategoryId, Clock, PointId, Rights, Shipped, SiteId, UtcMillis, ZoneId};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use store::Database;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// How long a script may take.
const WITHIN: Duration = Duration::from_secs(200);

fn clock() -> Clock {
    Clock::new(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        UtcMillis(i64::try_from(since.as_millis()).unwrap())
    })
}

fn administrator() -> Acting {
    let rights = Rights::of(Shipped::Administrator);
    Acting { actor: Actor::Account("e".repeat(32)), rights, session: None, address: None, glass: None }
}

/// Two desks, three doctors, a provider.
struct Site {
    folder: TempDir,
    address: SocketAddr,
    desk: Desk,
    provider: Provider,
    cookies: Vec<String>,
    shutdown: CancellationToken,
}

async fn furnish(database: &Database, now: UtcMillis) {
    let zone = |name: &str| ZoneId::new(name).unwrap();
    let point = |n: u8| {
        let (name, room) = (format!("desk-{n}"), format!("room-{n}"));
        Point::new(PointId::new(&name).unwrap(), PointKind::Workstation, zone("hall"), zone(&room))
    };
    let mut layout = Layout {
        time_zone: "Europe/Kyiv".to_owned(),
        categories: vec![CategoryId::new("surgeon").unwrap()],
        points: vec![point(1), point(2)],
        ..Layout::empty()
    };
    layout.complete_zones();
    policy::put_layout(database, layout, now).await.unwrap();
    let mut sheet = String::from("person,kind,category,card_format,card_number,valid_from,valid_until\n");
    for n in 0..3 {
        sheet += &format!("{},staff,surgeon,uid_hex,{:08X},,\n", scene::person(n), 0x04A1_0000 + n);
    }
    let options = people::Options {
        card_key: domain::card::CardKey::new([7; 32]),
        pin_key: None,
        seal_key: None,
        zone: chrono_tz::Europe::Kyiv,
        dry_run: false,
    };
    let report = people::import_csv(database, std::io::Cursor::new(sheet.into_bytes()), options, now).await.unwrap();
    assert!(report.errors.is_empty(), "{report:?}");
    for n in 0..3 {
        let staff = Staff {
            login: Some(format!("doctor-{n}")),
            practitioner: Some(format!("pr-{n}")),
            ..Staff::new(scene::person(n), Shipped::Doctor)
        };
        staff::put(database, &administrator(), &staff, now).await.unwrap();
    }
}

impl Site {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = scene::database(folder.path()).await;
        furnish(&database, clock().now()).await;
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let issuer = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let rules = DeskRules { factor: Factor::None, debounce_ms: 0, ..DeskRules::default() };
        let openid = Rules::new(&issuer);
        let provider = Provider::new(database.clone(), clock(), scene::accounts_key(), openid.clone());
        provider.tick().await.unwrap();
        let settings = Settings {
            site: SiteId::new("clinic-3").unwrap(),
            time_zone: chrono_tz::Europe::Kyiv,
            language: "en".to_owned(),
            tls: TlsSource::Own { folder: folder.path().join("tls"), names: vec![] },
            sessions: clinic::accounts::SessionRules::default(),
            accounts_key: scene::accounts_key(),
            trusted_proxies: vec![],
            till: dashboard::TillSettings::default(),
            desk: DeskSettings { rules, openid: Some(openid), ..DeskSettings::default() },
            retention: clinic::retention::Terms::default(),
        };
        let vault = scene::vault(&database, clock(), folder.path()).await;
        let dashboard = Dashboard::new(settings, database.clone(), clock(), vault);
        let workstations = Workstations::new(database.clone(), clock());
        let mut cookies = Vec::new();
        for n in 1..=2 {
            let point = PointId::new(&format!("desk-{n}")).unwrap();
            let token = workstations.enrol(&administrator(), &point).await.unwrap();
            cookies.push(format!("__Host-tapward-desk={}", token.reveal()));
        }
        let shutdown = CancellationToken::new();
        let (ready, is_ready) = oneshot::channel();
        let ending = shutdown.clone();
        tokio::spawn(async move { dashboard.serve(listener, ending, Some(ready)).await.unwrap() });
        let address = is_ready.await.unwrap();
        let desk = Desk::new(database, clock(), rules);
        Self { folder, address, desk, provider, cookies, shutdown }
    }

    fn certificate(&self) -> PathBuf {
        self.folder.path().join("tls/certificate.pem")
    }

    /// What a script asks for: a tap, the end of a session, the calls that systems wait for.
    async fn obey(&self, order: &str) -> String {
        let words: Vec<_> = order.split(' ').collect();
        match words.as_slice() {
            ["tap", desk, doctor] => {
                let point = PointId::new(&format!("desk-{desk}")).unwrap();
                let card = scene::card(doctor.parse().unwrap());
                let outcome = self.desk.tap_from_page(&point, card, clock().now()).await.unwrap();
                assert!(matches!(outcome, clinic::desk::TapOutcome::Staff(_)), "{order}: {outcome:?}");
                "ok".to_owned()
            }
            // What the bridge does.
            ["deliver"] => {
                let mut sent = 0;
                for _ in 0..100 {
                    while self.provider.follow().await.unwrap() > 0 {}
                    self.provider.settle_confirmations().await.unwrap();
                    for call in self.provider.calls(10).await.unwrap() {
                        let client: Client<_, Full<bytes::Bytes>> = Client::builder(TokioExecutor::new()).build_http();
                        let mut request =
                            axum::http::Request::post(&call.url).header("content-type", call.content_type);
                        if let Some(bearer) = &call.bearer {
                            request = request.header("authorization", format!("Bearer {}", bearer.as_str()));
                        }
                        let body = Full::new(bytes::Bytes::from(call.body.as_bytes().to_vec()));
                        let answer = client.request(request.body(body).unwrap()).await.unwrap();
                        assert!(answer.status().is_success(), "{}", answer.status());
                        self.provider.called(&call.id, &CallOutcome::Taken).await.unwrap();
                        sent += 1;
                    }
                    if sent > 0 {
                        break;
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                format!("{sent}")
            }
            // The specialist says on the page that the next tap is for this.
            ["begin", desk] => {
                let point = PointId::new(&format!("desk-{desk}")).unwrap();
                let session = self.desk.current(&point).await.unwrap().unwrap().id;
                let list = self.provider.confirmations(&session).await.unwrap();
                assert!(self.provider.begin_confirmation(&session, &list[0].id).await.unwrap());
                list[0].message.clone()
            }
            _ => panic!("{order}"),
        }
    }

    /// Runs a script to its end, doing what it asks for, and returns what it printed besides.
    async fn play(&self, mut command: Command, clients: &[(&str, &str)]) -> Vec<String> {
        command
            .env("ISSUER", format!("https://localhost:{}", self.address.port()))
            .env("DESK_1", &self.cookies[0])
            .env("DESK_2", &self.cookies[1])
            .env("NODE_EXTRA_CA_CERTS", self.certificate())
            .env("REQUESTS_CA_BUNDLE", self.certificate())
            .env("SSL_CERT_FILE", self.certificate())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        command.envs(clients.iter().copied());
        let mut child = command.spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut said = Vec::new();
        let work = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                match line.strip_prefix("> ") {
                    Some(order) => {
                        let answer = self.obey(order).await;
                        input.write_all(format!("{answer}\n").as_bytes()).await.unwrap();
                    }
                    None => said.push(line),
                }
            }
            child.wait().await.unwrap()
        };
        let status = tokio::time::timeout(WITHIN, work).await.expect("the script ends in time");
        assert!(status.success(), "{status}: {said:#?}");
        said
    }
}

fn python() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/venv");
    let venv = std::env::var_os("TAPWARD_VENV").map_or(own, PathBuf::from);
    let python = venv.join("bin/python");
    assert!(python.exists(), "{} is missing: run `make prepare`", python.display());
    python
}

fn node() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/node");
    let folder = std::env::var_os("TAPWARD_NODE").map_or(own, PathBuf::from);
    let library = folder.join("node_modules/openid-client/package.json");
    assert!(library.exists(), "{} is missing: run `make prepare`", library.display());
    folder
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/independent").join(name)
}

fn system(listener: &str) -> NewClient {
    NewClient {
        name: "The MIS".to_owned(),
        redirect_uris: vec!["https://mis.example/back".to_owned()],
        post_logout_uris: vec!["https://mis.example/bye".to_owned()],
        fhir_user: Some("https://mis.example/fhir/Practitioner/".to_owned()),
        logout_uri: Some(format!("{listener}/logout")),
        ping_uri: Some(format!("{listener}/ping")),
        takes_assertions: true,
        ..NewClient::default()
    }
}

/// A port for the script to listen at.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[tokio::test(flavor = "multi_thread")]
async fn openid_client_of_npm_signs_doctors_in_and_out() {
    let site = Site::start().await;
    let port = free_port().to_string();
    let new = system(&format!("http://127.0.0.1:{port}"));
    let made = site.provider.make_client(&administrator(), Some("mis".into()), new.clone()).await.unwrap();
    let public = NewClient { auth: clinic::openid::Auth::None, ping_uri: None, ..new };
    site.provider.make_client(&administrator(), Some("public".into()), public).await.unwrap();
    let secret = made.secret.unwrap().reveal().to_owned();
    // The script stands where the library is, so that it is found.
    let folder = node();
    let mut command = Command::new("node");
    command.current_dir(&folder).arg(script("openid_client.mjs")).env("LIBRARY", folder.join("node_modules"));
    let said = site.play(command, &[("PORT", &port), ("CLIENT_ID", "mis"), ("CLIENT_SECRET", &secret)]).await;
    assert_eq!(said.last().map(String::as_str), Some("done"), "{said:#?}");
    for line in said.iter().filter(|line| line.starts_with("tap to tokens")) {
        println!("{line}");
    }
    site.shutdown.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn authlib_of_python_signs_doctors_in_and_confirms() {
    let site = Site::start().await;
    let port = free_port().to_string();
    let new = system(&format!("http://127.0.0.1:{port}"));
    let made = site.provider.make_client(&administrator(), Some("mis".into()), new).await.unwrap();
    let secret = made.secret.unwrap().reveal().to_owned();
    let mut command = Command::new(python());
    command.arg(script("openid_authlib.py"));
    let said = site.play(command, &[("PORT", &port), ("CLIENT_ID", "mis"), ("CLIENT_SECRET", &secret)]).await;
    assert_eq!(said.last().map(String::as_str), Some("done"), "{said:#?}");
    site.shutdown.cancel();
}
