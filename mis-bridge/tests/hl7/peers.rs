//! Implementations that are not ours at the other end: hl7apy and hl7 (Python), node-hl7-client and
//! node-hl7-server.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use clinic::changes::ChangeKind;
use mis_bridge::delivery::{Deliver, Delivered};
use mis_bridge::hl7::{AckMode, Sender, SenderSettings};

use super::clinic_of::{charge, clock, database, fact, payment};
use super::listener::{Office, admit};
use super::{PATIENCE, ZONE, until};

fn python(arguments: &[&str]) -> Command {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let venv = std::env::var_os("TAPWARD_VENV").map_or_else(|| root.join("../target/venv"), PathBuf::from);
    let mut command = Command::new(venv.join("bin/python"));
    command.arg(root.join("tests/hl7/peers.py")).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

fn node(arguments: &[&str]) -> Command {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let packages = std::env::var_os("TAPWARD_NODE").map_or_else(|| root.join("../target/node"), PathBuf::from);
    for package in ["node-hl7-client", "node-hl7-server"] {
        let place = packages.join("node_modules").join(package);
        assert!(place.exists(), "{} is missing: run `make prepare`", place.display());
    }
    let mut command = Command::new("node");
    command.arg(root.join("tests/hl7/peers.mjs")).arg(packages).args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

fn start(command: &mut Command) -> Child {
    command.spawn().unwrap_or_else(|error| panic!("{command:?} cannot be started ({error}): run `make prepare`"))
}

/// A server's process; ends with its owner.
struct Server {
    process: Child,
    port: u16,
    said: Arc<Mutex<Vec<String>>>,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    fn start(command: &mut Command) -> Self {
        let mut process = start(command);
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
        let port = lines.next().and_then(|line| line.parse().ok());
        let port = port.expect("the server says its port; is everything there? run `make prepare`");
        let said = Arc::new(Mutex::new(Vec::new()));
        let known = Arc::clone(&said);
        std::thread::spawn(move || lines.for_each(|line| known.lock().unwrap().push(line)));
        Self { process, port, said }
    }
}

async fn told_and_judged(kind: &str) {
    let folder = tempfile::tempdir().unwrap();
    let database = database(folder.path()).await;
    let server = Server::start(&mut python(&[kind]));
    for mode in [AckMode::Original, AckMode::Commit] {
        let settings = SenderSettings {
            mode,
            payments: true,
            answer_within: PATIENCE,
            ..SenderSettings::new("mis", "127.0.0.1", server.port, ZONE)
        };
        let sender = Sender::new(settings, database.clone(), None, clock()).unwrap();
        let base = if mode == AckMode::Original { 0 } else { 100 };
        for number in 1..=10 {
            for kind in [ChangeKind::VisitStarted, ChangeKind::VisitEnded, ChangeKind::VisitCancelled] {
                assert_eq!(sender.deliver(&fact(base + number, kind)).await, Delivered::Done);
            }
            for kind in [ChangeKind::ChargeRendered, ChangeKind::ChargeCancelled] {
                assert_eq!(sender.deliver(&charge(base + number, kind)).await, Delivered::Done);
            }
            assert_eq!(sender.deliver(&payment(base + number, ChangeKind::PaymentTaken)).await, Delivered::Done);
        }
    }
    until("the server has said everything", || server.said.lock().unwrap().len() == 120).await;
    let said = server.said.lock().unwrap().clone();
    assert!(said.iter().all(|line| line.ends_with(" 0") && !line.contains(" - ")), "{said:#?}");
    database.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_hl7apy_takes_our_messages_and_finds_nothing_wrong() {
    told_and_judged("server-hl7apy").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_hl7_takes_our_messages_and_finds_nothing_wrong() {
    told_and_judged("server-hl7").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_hl7_tells_us_patients_and_understands_our_answers() {
    let office = Office::open(|_| {}).await;
    let mut client = start(&mut python(&["client-hl7", &office.address.port().to_string()]));
    let mut stdin = client.stdin.take().unwrap();
    for number in 1..=20 {
        stdin.write_all(admit(&format!("M{number}"), &format!("P-{number}"), "Иванова").as_bytes()).unwrap();
        stdin.write_all(b"\x1c").unwrap();
    }
    drop(stdin);
    let said = tokio::task::spawn_blocking(move || {
        let mut said = String::new();
        client.stdout.take().unwrap().read_to_string(&mut said).unwrap();
        (said, client.wait().unwrap())
    });
    let (said, ended) = said.await.unwrap();
    assert!(ended.success(), "{said}; are hl7apy and hl7 there? run `make prepare`");
    let want: Vec<String> = (1..=20).map(|number| format!("AA M{number} 2.5.1")).collect();
    assert_eq!(said.lines().collect::<Vec<_>>(), want);
    assert!(office.knows("P-20").await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_node_that_answers_some_messages_twice_is_told_each_visit() {
    let folder = tempfile::tempdir().unwrap();
    let database = database(folder.path()).await;
    let server = Server::start(&mut node(&["server"]));
    let settings =
        SenderSettings { answer_within: PATIENCE, ..SenderSettings::new("mis", "127.0.0.1", server.port, ZONE) };
    let sender = Sender::new(settings, database.clone(), None, clock()).unwrap();
    for number in 1..=10 {
        assert_eq!(sender.deliver(&fact(number, ChangeKind::VisitStarted)).await, Delivered::Done);
    }
    let numbers = || server.said.lock().unwrap().iter().collect::<std::collections::BTreeSet<_>>().len();
    until("the server has said everything", || numbers() == 10).await;
    database.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_node_tells_us_patients_and_understands_our_answers() {
    let office = Office::open(|_| {}).await;
    let client = start(&mut node(&["client", &office.address.port().to_string(), "15"]));
    let ended = tokio::task::spawn_blocking(move || client.wait_with_output().unwrap()).await.unwrap();
    let said = String::from_utf8(ended.stdout).unwrap();
    let want: Vec<String> = (1..=15).map(|number| format!("AA N{number}")).collect();
    assert_eq!(said.lines().collect::<Vec<_>>(), want);
    assert!(office.knows("P-15").await.is_some());
}
