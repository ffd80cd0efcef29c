//! Notices over real SMTP, to a mail server that is not ours, on both engines.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests and what they share")]

use std::io::{BufRead, BufReader};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clinic::accounts::{Accounts, Email, Login, NewAccount, Password, Session, SessionRules, Visitor};
use clinic::acting::Acting;
use clinic::notices::{Letter, NoticeFilter, NoticeKind, NoticeState, Notices, ReplyCode, TRIED_FOR_MS, Wording};
use clinic::roles::Grant;
use domain::vault::BoxKey;
use domain::{Clock, Shipped, UtcMillis};
use mis_bridge::mail::{MailPassword, Security, Sender, Settings, SettingsError, run};
use store::Database;
use tokio_util::sync::CancellationToken;

const PASSWORD: &str = "a quiet morning in Kyiv";
const WITHIN: Duration = Duration::from_secs(20);

/// The mail server's process; ends with its owner.
struct Server {
    process: Child,
    port: u16,
    letters: Arc<Mutex<Vec<serde_json::Value>>>,
    authority: PathBuf,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    fn start(folder: &Path, behaviour: &str) -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let (certificate, key) = (folder.join("mail.pem"), folder.join("mail.key"));
        std::fs::write(&certificate, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let venv = std::env::var_os("TAPWARD_VENV").map_or_else(|| root.join("target/venv"), PathBuf::from);
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/smtp_server.py");
        let mut process = Command::new(venv.join("bin/python"))
            .arg(script)
            .arg(behaviour)
            .args([&certificate, &key])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{} is missing ({error}): run `make prepare`", venv.display()));
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
        let port = lines.next().and_then(|line| line.parse().ok());
        let port = port.expect("the mail server says its port; is aiosmtpd there? run `make prepare`");
        let letters = Arc::new(Mutex::new(Vec::new()));
        let taken = Arc::clone(&letters);
        std::thread::spawn(move || {
            for line in lines {
                taken.lock().unwrap().push(serde_json::from_str(&line).unwrap());
            }
        });
        Self { process, port, letters, authority: certificate }
    }

    fn settings(&self) -> Settings {
        Settings {
            server: "localhost".to_owned(),
            port: self.port,
            security: Security::StartTls,
            login: None,
            from: "Tapward <tapward@clinic.example>".to_owned(),
            authority: Some(self.authority.clone()),
        }
    }

    fn letters(&self) -> Vec<serde_json::Value> {
        self.letters.lock().unwrap().clone()
    }
}

struct Scene {
    now: Arc<AtomicI64>,
    database: Database,
    accounts: Accounts,
    notices: Notices,
    olena: Session,
    stop: CancellationToken,
}

fn wording() -> Wording {
    Arc::new(|due| Letter {
        subject: format!("{}\r\nBcc: planted@clinic.example", due.kind),
        body: format!("{} {:?} {}", due.login, due.args, due.link.as_deref().unwrap_or("no link")),
    })
}

fn visitor() -> Visitor {
    Visitor::new(IpAddr::from([10, 0, 0, 7]), "Firefox/150")
}

impl Scene {
    async fn new(database: Database) -> Self {
        let now = Arc::new(AtomicI64::new(1_795_000_000_000));
        let hand = Arc::clone(&now);
        let clock = Clock::new(move || UtcMillis(hand.load(Ordering::Relaxed)));
        let key = || BoxKey::new([8; 32]);
        let accounts = Accounts::new(database.clone(), clock.clone(), SessionRules::default(), "clinic-3", key());
        let notices = Notices::new(database.clone(), clock.clone(), key());
        let link = accounts.create_first_run_link().await.unwrap().unwrap();
        let (login, password) = (Login::new("olena").unwrap(), Password::new(PASSWORD));
        let token = accounts.redeem_first_run(&link, &login, "Olena", "ru", password, &visitor()).await.unwrap();
        let olena = accounts.resume(&token, true).await.unwrap().unwrap();
        Self { now, database, accounts, notices, olena, stop: CancellationToken::new() }
    }

    fn clock(&self) -> Clock {
        let hand = Arc::clone(&self.now);
        Clock::new(move || UtcMillis(hand.load(Ordering::Relaxed)))
    }

    fn send_by(&self, settings: Option<&Settings>) -> tokio::task::JoinHandle<()> {
        let sender = settings.map(|settings| Sender::new(settings).unwrap());
        tokio::spawn(run(sender, self.notices.clone(), wording(), self.clock(), self.stop.clone()))
    }

    async fn lines(&self) -> Vec<clinic::notices::NoticeLine> {
        let acting = self.olena.acting(&visitor());
        self.notices.list(&acting, &NoticeFilter::default(), None, 100).await.unwrap()
    }

    async fn until(&self, what: &str, met: impl Fn(&[clinic::notices::NoticeLine]) -> bool) {
        let end = tokio::time::Instant::now() + WITHIN;
        loop {
            let lines = self.lines().await;
            if met(&lines) {
                return;
            }
            assert!(tokio::time::Instant::now() < end, "{what}: not seen in {lines:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn invite(&self, login: &str, role: Shipped, email: &str) {
        let new = NewAccount {
            login: Login::new(login).unwrap(),
            shown_name: String::new(),
            roles: vec![Grant::site(role)],
            locale: "en".to_owned(),
        };
        self.accounts.invite(&Acting::console(), new, Some(&Email::new(email).unwrap())).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_arrives_over_starttls_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    for database in store::testing::both(folder.path()).await {
        let scene = Scene::new(database).await;
        let server = Server::start(folder.path(), "login");
        let login = Some(("tapward".to_owned(), MailPassword::new("the mail password")));
        scene.invite("guard.1", Shipped::Guard, "guard.one@clinic.example").await;
        let sending = scene.send_by(Some(&Settings { login, ..server.settings() }));
        scene.until("sent", |lines| lines.iter().any(|line| line.state == NoticeState::Sent)).await;
        scene.stop.cancel();
        sending.await.unwrap();
        let letters = server.letters();
        assert_eq!(letters.len(), 1);
        assert_eq!(letters[0]["to"], serde_json::json!(["guard.one@clinic.example"]));
        assert_eq!((&letters[0]["tls"], &letters[0]["login"]), (&true.into(), &true.into()));
        let text = letters[0]["bytes"].as_str().unwrap().to_owned();
        let script = "import base64,sys,email; m=email.message_from_bytes(base64.b64decode(sys.argv[1])); print(m['Subject'], m['Bcc'], m['Auto-Submitted'], m['Message-ID'], m.get_payload(decode=True).decode())";
        let venv = std::env::var_os("TAPWARD_VENV")
            .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/venv"), PathBuf::from);
        let read = Command::new(venv.join("bin/python")).args(["-c", script, &text]).output().unwrap();
        let read = String::from_utf8(read.stdout).unwrap();
        assert!(
            read.contains("registered") && read.contains(" None auto-generated <"),
            "no header was planted: {read}"
        );
        assert!(read.contains("/welcome/"), "{read}");
        let line = scene.lines().await.remove(0);
        assert_eq!((line.state, line.attempts, line.login.as_deref()), (NoticeState::Sent, 1, Some("guard.1")));
        // What was secret is gone with the sending.
        let left: i64 = store::read!(scene.database, "test", |conn| {
            Ok(store::sqlx::query_scalar("SELECT COUNT(*) FROM notice WHERE link IS NOT NULL")
                .fetch_one(&mut *conn)
                .await?)
        })
        .unwrap();
        assert_eq!(left, 0);
        scene.database.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_refuses_is_told_and_what_fails_is_tried_again_for_a_day() {
    let folder = tempfile::tempdir().unwrap();
    for database in store::testing::both(folder.path()).await {
        let scene = Scene::new(database).await;
        scene.invite("guard.1", Shipped::Guard, "guard.one@clinic.example").await;
        let server = Server::start(folder.path(), "refuse");
        let sending = scene.send_by(Some(&server.settings()));
        scene.until("given up", |lines| lines[0].state == NoticeState::GaveUp).await;
        let reply = scene.lines().await.remove(0).reply.unwrap();
        assert_eq!(reply.code, ReplyCode::Refused);
        assert!(!reply.words.contains("guard.one"), "{reply:?}");
        sending.abort();

        scene.invite("guard.2", Shipped::Guard, "guard.two@clinic.example").await;
        let server = Server::start(folder.path(), "later");
        let sending = scene.send_by(Some(&server.settings()));
        let failed = |lines: &[clinic::notices::NoticeLine], times| {
            lines.iter().any(|line| line.state == NoticeState::Failed && line.attempts == times)
        };
        scene.until("failed once", |lines| failed(lines, 1)).await;
        scene.now.fetch_add(2 * 60_000, Ordering::Relaxed);
        scene.until("failed twice", |lines| failed(lines, 2)).await;
        scene.now.fetch_add(TRIED_FOR_MS, Ordering::Relaxed);
        scene
            .until("given up after a day", |lines| {
                // The try that was under way may have put the next one a little later than this clock stands.
                scene.now.fetch_add(60_000, Ordering::Relaxed);
                lines.iter().all(|line| line.state == NoticeState::GaveUp)
            })
            .await;
        assert!(server.letters().is_empty());
        sending.abort();
        scene.database.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_said_to_a_server_that_cannot_protect_it_or_is_not_the_one_we_trust() {
    let folder = tempfile::tempdir().unwrap();
    let [database, _] = store::testing::both(folder.path()).await;
    let scene = Scene::new(database).await;
    for (behaviour, trusted) in [("no-tls", true), ("good", false)] {
        let server = Server::start(folder.path(), behaviour);
        let authority = trusted.then(|| server.authority.clone());
        let settings = Settings { authority, ..server.settings() };
        scene.invite(&format!("guard.{behaviour}"), Shipped::Guard, "guard@clinic.example").await;
        let due = scene.notices.take_due().await.unwrap().unwrap();
        let sender = Sender::new(&settings).unwrap();
        let ending = sender.send(&due, &wording()(&due), &scene.clock()).await;
        let clinic::notices::Ending::Failed(reply) = &ending else { panic!("{behaviour}: {ending:?}") };
        assert_eq!(reply.code, ReplyCode::Tls, "{behaviour}: {reply:?}");
        assert!(server.letters().is_empty(), "{behaviour}");
        scene.notices.settle(&due, ending).await.unwrap();
    }
    let missing =
        Settings { authority: Some("/nowhere/ca.pem".into()), ..Server::start(folder.path(), "good").settings() };
    assert!(matches!(Sender::new(&missing), Err(SettingsError::Authority { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_concerns_several_goes_to_each_who_may_know_and_can_be_reached() {
    let folder = tempfile::tempdir().unwrap();
    for database in store::testing::both(folder.path()).await {
        let scene = Scene::new(database).await;
        let server = Server::start(folder.path(), "good");
        for (login, role) in [
            ("guard.1", Shipped::Guard),
            ("privacy.1", Shipped::PrivacyOfficer),
            ("privacy.2", Shipped::PrivacyOfficer),
        ] {
            scene.invite(login, role, &format!("{login}@clinic.example")).await;
        }
        let acting = Acting::console();
        let asked = clinic::break_glass::start(
            &scene.database,
            &Acting { actor: clinic::acting::Actor::Account(scene.olena.account.id.as_str().to_owned()), ..acting },
            "an unconscious patient at the door",
            15,
            UtcMillis(scene.now.load(Ordering::Relaxed)),
        )
        .await;
        assert!(asked.is_ok(), "{asked:?}");
        let sending = scene.send_by(Some(&server.settings()));
        scene
            .until("all sent", |lines| {
                let sent =
                    |kind| lines.iter().filter(|line| line.kind == kind && line.state == NoticeState::Sent).count();
                (sent(NoticeKind::BreakGlass), sent(NoticeKind::Registered)) == (2, 3)
            })
            .await;
        scene.stop.cancel();
        sending.await.unwrap();
        let glass: Vec<String> =
            server.letters().iter().map(|letter| letter["to"][0].as_str().unwrap().to_owned()).collect();
        assert_eq!(glass.iter().filter(|to| to.starts_with("privacy.")).count(), 4, "invited and told: {glass:?}");
        assert_eq!(glass.iter().filter(|to| to.starts_with("guard.")).count(), 1, "invited only: {glass:?}");
        scene.database.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_mail_server_notices_are_given_up_after_a_day() {
    let folder = tempfile::tempdir().unwrap();
    let [database, _] = store::testing::both(folder.path()).await;
    let scene = Scene::new(database).await;
    scene.invite("guard.1", Shipped::Guard, "guard.one@clinic.example").await;
    scene.now.fetch_add(TRIED_FOR_MS, Ordering::Relaxed);
    let sending = scene.send_by(None);
    scene.until("given up", |lines| lines.iter().all(|line| line.state == NoticeState::GaveUp)).await;
    assert_eq!(scene.lines().await.remove(0).reply.unwrap().code, ReplyCode::NoServer);
    scene.stop.cancel();
    sending.await.unwrap();
}
