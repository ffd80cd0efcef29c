//! `tapward peers` and `tapward acs-link` as an operator meets them: what is shown, what is changed, and when not.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use domain::card::SealKey;
use domain::{Clock, Draft, Epoch, GatewayId, Kind, LineId, UtcMillis};
use serde_json::Value;
use store::journal::{Journal, Mark, Note, Outgoing, Quarantined, Told};

const CONFIGURATION: &str = r#"
[site]
id = "clinic-1"
time_zone = "Europe/Kyiv"
[data]
folder = "data"
[acs_link]
listen = "127.0.0.1:0"
[[point]]
id = "hall"
kind = "turnstile"
from = "street"
to = "hall"
[[peer]]
id = "hall"
protocol = "acs-link"
node = "hall-controller"
[[peer.reader]]
id = "hall-in"
at = "clinic-1/hall/1"
point = "hall"
direction = "in"
"#;

fn run(folder: &Path, words: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_tapward"))
        .args(words)
        .current_dir(folder)
        .env_remove("TAPWARD_CONFIG")
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().expect("it was not killed"), text(stdout), text(stderr))
}

fn line(name: &str) -> LineId {
    LineId::new(name).unwrap()
}

async fn journal(folder: &Path) -> Journal {
    let clock = Clock::new(|| UtcMillis(1_795_000_000_000));
    let gateway = GatewayId::new("clinic-1-gw").unwrap();
    Journal::open(&folder.join("data/journal.db"), gateway, Epoch([1; 16]), &clock).await.unwrap()
}

fn mark(peer: &str, seq: u64, quarantined: Vec<Quarantined>) -> Mark {
    let at = UtcMillis(1_795_000_000_000);
    Mark { peer: line(peer), epoch: Epoch([0x7a; 16]), seq, at, events: vec![format!("e:{seq}")], quarantined }
}

/// A site whose controller told 41 messages, one of which made no sense, and was told of one pass.
async fn site() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("tapward.toml"), CONFIGURATION).unwrap();
    fs::create_dir(folder.path().join("data")).unwrap();
    let journal = journal(folder.path()).await;
    let sealed = |text: &[u8]| SealKey::new([5; 32]).seal_bytes(text);
    let strange = Quarantined {
        seq: 40,
        why: "PassEvent: the point \"attic\" is not known".to_owned(),
        bytes: sealed(b"<Msg card=\"04A1B2C3D4E5F6\"/>"),
    };
    let fact = Draft::new(UtcMillis(1_795_000_000_000), Kind::Passed);
    journal.append_marked(vec![fact], mark("hall", 41, vec![strange])).unwrap().await.unwrap();
    journal.append_marked(vec![], mark("old-gate", 7, vec![])).unwrap().await.unwrap();
    let note = Note::Told(Told { key: "pass:1".to_owned(), rev: 1, digest: [0; 16] });
    let message = |no, note| Outgoing { id: [no; 16], body: sealed(b"issue"), note };
    journal.post(&line("hall"), vec![message(1, Some(note)), message(2, None)]).await.unwrap();
    journal.drop_outgoing(&line("hall"), 1);
    journal.close().await;
    folder
}

#[tokio::test]
async fn streams_and_what_was_set_aside_are_shown_without_a_card_number() {
    let site = site().await;
    let (code, text, problem) = run(site.path(), &["peers"]);
    assert_eq!(code, 0, "{problem}");
    for part in [
        "hall  acs-link  node hall-controller",
        "up to 41 of its epoch 7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a",
        "2 messages",
        "1 not acknowledged; 1 passes",
        "old-gate  not in the configuration; `tapward peers forget old-gate`",
        "hall  40  PassEvent: the point \"attic\" is not known",
    ] {
        assert!(text.contains(part), "{part:?} in\n{text}");
    }
    assert!(!text.contains("04A1"), "{text}");
    let (code, text, _) = run(site.path(), &["peers", "--json"]);
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((code, lines.len()), (0, 2), "{text}");
    assert_eq!((&lines[0]["peer"], &lines[0]["held"], &lines[0]["waiting"]), (&"hall".into(), &41.into(), &1.into()));
    assert_eq!(lines[0]["quarantine"][0]["seq"], 40);
    assert_eq!(lines[1]["protocol"], Value::Null);
}

#[tokio::test]
async fn a_stream_begins_anew_or_moves_only_while_the_gateway_is_stopped() {
    let site = site().await;
    let running = journal(site.path()).await;
    for words in [&["peers", "reset", "hall"][..], &["peers", "forget", "old-gate"]] {
        let (code, _, problem) = run(site.path(), words);
        assert!(code == 1 && problem.contains("stop the gateway first"), "{words:?}: {code} {problem}");
    }
    assert_eq!(run(site.path(), &["peers"]).0, 0, "looking is always possible");
    running.close().await;
    drop(running);

    let (code, text, problem) = run(site.path(), &["peers", "reset", "hall"]);
    assert_eq!(code, 0, "{problem}");
    assert!(
        text.contains("begins anew") && text.contains("1 messages that it had not acknowledged are void"),
        "{text}"
    );
    let (code, text, _) = run(site.path(), &["peers", "reset", "hall", "--held", "55"]);
    assert!(code == 0 && text.contains("its messages 42 to 55, 14 of them, are given up"), "{text}");
    let (code, text, _) = run(site.path(), &["peers", "reset", "hall", "--held", "10"]);
    assert!(code == 0 && text.contains("sends again from 11"), "{text}");
    let opened = journal(site.path()).await;
    let (position, outgoing) =
        (opened.position(&line("hall")).await.unwrap().unwrap(), opened.outgoing_state(&line("hall")).await.unwrap());
    assert_eq!((position.seq, position.epoch), (10, Epoch([0x7a; 16])), "its own epoch stays");
    assert_eq!((outgoing.last, outgoing.waiting()), (0, 0));
    assert_ne!(outgoing.epoch, Epoch([1; 16]), "the peer sees that it is another stream");
    opened.close().await;
    drop(opened);
    let (code, text, _) = run(site.path(), &["peers", "reset", "hall", "--held", "0"]);
    assert!(code == 0 && text.contains("as never heard"), "{text}");

    let (code, _, problem) = run(site.path(), &["peers", "reset", "hal"]);
    assert!(code == 1 && problem.contains("did you mean \"hall\"?"), "{problem}");
    let (code, _, problem) = run(site.path(), &["peers", "forget", "hall"]);
    assert!(code == 1 && problem.contains("is in the configuration"), "{problem}");
    let (code, text, problem) = run(site.path(), &["peers", "forget", "old-gate"]);
    assert!(code == 0 && text.contains("is removed"), "{problem}");
    assert!(!run(site.path(), &["peers"]).1.contains("old-gate"));
}

#[test]
fn without_a_journal_it_says_so() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("tapward.toml"), CONFIGURATION).unwrap();
    for words in [&["peers"][..], &["peers", "reset", "hall"]] {
        let (code, _, problem) = run(folder.path(), words);
        assert!(code == 1 && problem.contains("journal.db"), "{words:?}: {code} {problem}");
    }
    assert!(!folder.path().join("data/journal.db").exists(), "looking makes nothing");
}

#[test]
fn a_message_is_judged_by_the_parser_that_decides() {
    let folder = tempfile::tempdir().unwrap();
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/protocol/acs-link-samples");
    let good = samples.join("passEvent.xml");
    let bad = folder.path().join("bad.xml");
    fs::write(&bad, fs::read_to_string(&good).unwrap().replace("<Point>", "<!-- here --><Point>")).unwrap();
    let long = folder.path().join("long.xml");
    fs::write(&long, " ".repeat(70_000)).unwrap();
    let words = ["acs-link", "validate", good.to_str().unwrap(), "bad.xml", "long.xml"];
    let (code, text, problem) = run(folder.path(), &words);
    assert_eq!(code, 4, "{problem}");
    for part in ["passEvent.xml: good, PassEvent", "bad.xml: XML_FORBIDDEN", "long.xml: FRAME_TOO_LARGE"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(run(folder.path(), &["acs-link", "validate", good.to_str().unwrap()]).0, 0);
    assert_eq!(run(folder.path(), &["acs-link", "validate", "nothing.xml"]).0, 1);
}

#[test]
fn numbers_are_forgotten_only_when_no_peer_needs_them() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tapward.toml");
    fs::write(&file, CONFIGURATION.replace("node =", "cache = \"staff\"\nnode =")).unwrap();
    let list =
        "person,kind,category,card_format,card_number,valid_from,valid_until\nE-1,staff,nurse,wiegand26,\"20,1\",,\n";
    fs::write(folder.path().join("people.csv"), list).unwrap();
    let (code, text, problem) = run(folder.path(), &["people", "import", "people.csv"]);
    assert_eq!(code, 0, "{text}{problem}");
    let (code, _, problem) = run(folder.path(), &["people", "forget-numbers"]);
    assert!(code == 1 && problem.contains("peer \"hall\" is still to be told cards"), "{problem}");
    fs::write(&file, CONFIGURATION).unwrap();
    let (code, text, problem) = run(folder.path(), &["people", "forget-numbers"]);
    assert!(code == 0 && text.contains("1 sealed card numbers removed"), "{text}{problem}");
    assert!(run(folder.path(), &["people", "forget-numbers"]).1.contains("0 sealed card numbers"));
}

#[test]
fn certificates_that_were_made_are_what_the_configuration_asks_for() {
    let folder = tempfile::tempdir().unwrap();
    let words =
        ["acs-link", "certificates", "--folder", "acs", "--gateway", "clinic-1-gw", "--node", "hall-controller"];
    let (code, text, problem) = run(folder.path(), &words);
    assert_eq!(code, 0, "{problem}");
    let printed = text.split("[acs_link]\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let written = CONFIGURATION.replace("[acs_link]\n", &format!("[acs_link]\n{printed}\n"));
    fs::write(folder.path().join("tapward.toml"), written).unwrap();
    let (code, text, problem) = run(folder.path(), &["config", "check"]);
    assert_eq!(code, 0, "{text}{problem}");
    for (file, mode) in [("ca-key.pem", 0o600), ("node-hall-controller-key.pem", 0o600), ("ca.pem", 0o644)] {
        let found = fs::metadata(folder.path().join("acs").join(file)).unwrap().permissions().mode() & 0o777;
        assert_eq!(found, mode, "{file}");
    }
    let (code, _, problem) = run(folder.path(), &words);
    assert!(code == 1 && problem.contains("is not overwritten"), "{problem}");
    let (code, _, problem) = run(folder.path(), &["acs-link", "certificates", "--folder", "acs"]);
    assert!(code == 2 && problem.contains("--node"), "{problem}");
}
