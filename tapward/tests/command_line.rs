//! The command line as people and scripts meet it: exit codes, messages that say what to do, and no card number
//! anywhere.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

mod installation;

use std::path::Path;
use std::process::{Output, Stdio};

use controller_sim::Outcome;
use domain::card::{self, CardFormat};
use installation::*;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};

/// One turnstile whose only reader waits for a key.
const BENCH: &str = "[[point]]\nid = \"bench\"\nkind = \"turnstile\"\nfrom = \"street\"\nto = \"hall\"\n[[line]]\nid = \"bench\"\n\
                     port = \"tcp://127.0.0.1:0\"\n[[line.reader]]\nid = \"fresh\"\npoint = \"bench\"\ndirection = \"in\"\naddress = 9\n";

fn code(output: &Output) -> i32 {
    output.status.code().expect("it was not killed")
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A folder with the default configuration.
fn default_site() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let printed = tapward().args(["config", "default"]).output().unwrap();
    assert_eq!(code(&printed), 0);
    let file = folder.path().join("tapward.toml");
    std::fs::write(&file, &printed.stdout).unwrap();
    (folder, file.to_str().unwrap().to_owned())
}

#[test]
fn without_a_configuration_it_says_how_to_write_one() {
    let folder = tempfile::tempdir().unwrap();
    for words in [&["run"][..], &["gateway"], &["bridge"], &["dashboard"], &["config", "check"], &["journal", "verify"]]
    {
        let output = tapward().args(words).current_dir(folder.path()).output().unwrap();
        assert_eq!(code(&output), 3, "{words:?}: {}", err(&output));
        assert!(err(&output).contains("Write one: tapward config default > tapward.toml"), "{}", err(&output));
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was made");
}

#[test]
fn wrong_words_are_wrong_use_and_the_version_is_told() {
    let output = tapward().arg("gatway").output().unwrap();
    assert_eq!(code(&output), 2);
    assert!(err(&output).contains("a similar subcommand exists: 'gateway'"), "{}", err(&output));
    let output = tapward().output().unwrap();
    assert_eq!(code(&output), 2);
    assert!(err(&output).contains("Exit codes"), "{}", err(&output));
    let output = tapward().arg("version").output().unwrap();
    assert_eq!((code(&output), out(&output).trim()), (0, concat!("tapward ", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn the_printed_default_is_good_and_is_found_however_it_is_named() {
    let (folder, file) = default_site();
    for words in [
        &["--config", &file, "config", "check"][..],
        &["config", "check", "--config", &file],
        &["config", "-c", &file, "check"],
    ] {
        let output = tapward().args(words).current_dir("/").output().unwrap();
        assert_eq!(code(&output), 0, "{words:?}: {}", err(&output));
        assert!(out(&output).contains("good. 1 lines, 2 readers, 1 points, 0 rules"), "{}", out(&output));
    }
    let by_folder = tapward().args(["config", "check"]).current_dir(folder.path()).output().unwrap();
    assert_eq!(code(&by_folder), 0, "{}", err(&by_folder));
    let by_name = tapward().args(["config", "check"]).current_dir("/").env("TAPWARD_CONFIG", &file).output().unwrap();
    assert_eq!(code(&by_name), 0, "{}", err(&by_name));
}

#[test]
fn a_typing_error_is_told_with_file_line_key_and_the_nearest_word() {
    let (_folder, file) = default_site();
    let text = std::fs::read_to_string(&file).unwrap();
    for (right, wrong, key, near) in [
        ("release_ms = 3000", "relaese_ms = 3000", "relaese_ms", "release_ms"),
        ("on_fault = \"secure\"", "on_fault = \"secuer\"", "point.on_fault", "secure"),
        ("protocol = \"osdp\"", "protocol = \"ospd\"", "line.protocol", "osdp"),
    ] {
        let line = text.lines().position(|line| line.starts_with(right)).unwrap() + 1;
        std::fs::write(&file, text.replacen(right, wrong, 1)).unwrap();
        for words in [&["config", "check"][..], &["run"]] {
            let output = tapward().args(words).args(["--config", &file]).output().unwrap();
            assert_eq!(code(&output), 3, "{}", err(&output));
            let place = format!("{file}:{line}: {key}: ");
            assert!(err(&output).contains(&place), "{place} is not in {}", err(&output));
            assert!(err(&output).contains(&format!("did you mean \"{near}\"?")), "{}", err(&output));
        }
    }
}

#[test]
fn an_import_with_bad_rows_names_each_of_them_and_changes_nothing() {
    let (folder, file) = default_site();
    let sheet = folder.path().join("people.csv");
    let header = "person,kind,category,card_format,card_number,valid_from,valid_until\n";
    let rows = [
        "p-1,staff,nurse,wiegand26,\"173,48211\",,",
        "p-2,stuff,nurse,wiegand26,\"173,48212\",,",
        "p-3,staff,nurse,wiegand62,\"173,48213\",,",
        "p-4,staff,nurse,wiegand26,\"973,48214\",,",
        "p-5,staff,nurse,wiegand26,\"173,48215\",2026-12-01,2026-11-01",
        "p-6,staff,nurse,wiegand26,\"173,48211\",,",
        "p-7,staff,nurse,wiegand26",
    ];
    std::fs::write(&sheet, header.to_owned() + &rows.join("\n")).unwrap();
    let tapward = |words: &[&str]| tapward().args(words).args(["--config", &file]).output().unwrap();
    for words in [
        &["people", "import", sheet.to_str().unwrap(), "--dry-run"][..],
        &["people", "import", sheet.to_str().unwrap()],
    ] {
        let output = tapward(words);
        assert_eq!(code(&output), 4, "{} {}", out(&output), err(&output));
        for bad in 3..=8 {
            assert!(out(&output).contains(&format!("line {bad}")), "line {bad} is not in {}", out(&output));
        }
        assert!(
            !out(&output).lines().any(|line| line.starts_with("line 2")),
            "a good row is no mistake: {}",
            out(&output)
        );
        assert!(out(&output).contains("nothing was imported"), "{}", out(&output));
        assert!(!out(&output).contains("4821"), "no card number in a message: {}", out(&output));
        let list = tapward(&["people", "list", "--json"]);
        assert_eq!((code(&list), out(&list)), (0, String::new()), "nobody was imported");
    }
    let missing = tapward(&["people", "import", "nowhere.csv"]);
    assert_eq!(code(&missing), 1);
    assert!(err(&missing).contains("nowhere.csv cannot be opened"), "{}", err(&missing));
}

#[test]
fn importing_twice_changes_nothing_and_a_dry_run_only_tells() {
    let (folder, file) = default_site();
    let sheet = folder.path().join("people.csv");
    let header = "person,kind,category,card_format,card_number,valid_from,valid_until\n";
    let rows = "p-1,staff,nurse,wiegand26,\"173,48211\",,\np-2,patient,patients,uid_hex,04A1B2C3D4E5F6,,2027-01-01\n";
    std::fs::write(&sheet, header.to_owned() + rows).unwrap();
    let tapward = |words: &[&str]| {
        let output = tapward().args(words).args(["--config", &file]).output().unwrap();
        assert_eq!(code(&output), 0, "{words:?}: {} {}", out(&output), err(&output));
        out(&output)
    };
    let sheet = sheet.to_str().unwrap();
    assert!(tapward(&["people", "import", sheet, "--dry-run"]).contains("dry run: nothing was changed"));
    assert_eq!(tapward(&["people", "list", "--json"]), "");
    assert!(tapward(&["people", "import", sheet]).contains("2 persons new, 2 passes new, 0 changed, 0 as before"));
    let list = tapward(&["people", "list", "--json"]);
    assert!(tapward(&["people", "import", sheet]).contains("0 persons new, 0 passes new, 0 changed, 2 as before"));
    assert_eq!(tapward(&["people", "list", "--json"]), list);
    assert_eq!(list.lines().count(), 2);
}

#[test]
fn an_explanation_says_granted_or_refused_by_its_exit_code_and_why_in_words() {
    let (folder, file) = default_site();
    let sheet = folder.path().join("people.csv");
    let header = "person,kind,category,card_format,card_number,valid_from,valid_until\n";
    std::fs::write(&sheet, header.to_owned() + "p-1,staff,nurse,wiegand26,\"173,48211\",,\n").unwrap();
    let tapward = |words: &[&str]| tapward().args(words).args(["--config", &file]).output().unwrap();
    let explain = |more: &[&str]| tapward(&[&["policy", "explain", "--point", "turnstile-1"], more].concat());
    assert_eq!(code(&tapward(&["people", "import", sheet.to_str().unwrap()])), 0);
    let granted = explain(&["--person", "p-1"]);
    assert_eq!(code(&granted), 0, "{}", err(&granted));
    assert!(out(&granted).contains("granted (allowed)"), "{}", out(&granted));
    let by_number = explain(&["--card-number", "173,48211", "--card-format", "wiegand26", "--json"]);
    assert_eq!(code(&by_number), 0, "{}", err(&by_number));
    assert_eq!(serde_json::from_str::<Value>(&out(&by_number)).unwrap()["verdict"], "granted");
    let unknown = explain(&["--card-number", "173,48212", "--card-format", "wiegand26"]);
    assert_eq!(code(&unknown), 4, "{}", err(&unknown));
    assert!(out(&unknown).contains("refused (unknown_card)"), "{}", out(&unknown));
    assert_eq!(code(&tapward(&["people", "set", "p-1", "lost"])), 0);
    let lost = explain(&["--person", "p-1", "--json"]);
    assert_eq!(code(&lost), 4, "{}", err(&lost));
    let lost: Value = serde_json::from_str(&out(&lost)).unwrap();
    assert_eq!((&lost["verdict"], &lost["reason"]), (&"refused".into(), &"lost".into()));
    let nowhere = tapward(&["policy", "explain", "--point", "turnstyle-1", "--person", "p-1"]);
    assert_eq!(code(&nowhere), 1);
    assert!(err(&nowhere).contains("did you mean \"turnstile-1\"?"), "{}", err(&nowhere));
    let state = tapward(&["people", "set", "p-1", "blokced"]);
    assert_eq!(code(&state), 1);
    assert!(err(&state).contains("did you mean \"blocked\"?"), "{}", err(&state));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_journal_is_followed_line_by_line_and_a_changed_entry_is_found() {
    let site = Site::new("").await;
    let cards = cards(1);
    site.import(&cards);
    let program = site.start("run").await;
    site.secure().await;
    site.tap_until("west-1-in", &cards[0], Outcome::Passed).await;
    let seen = site.journal().len();
    let mut follow = tokio::process::Command::from(tapward());
    follow.args(["journal", "tail", "--json", "--follow", "--config"]).arg(site.config());
    let mut follow = follow.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(follow.stdout.take().unwrap()).lines();
    for _ in 0..seen {
        lines.next_line().await.unwrap().unwrap();
    }
    assert_eq!(site.tap(&"east-1-out".parse().unwrap(), &cards[0]).await, Outcome::Passed);
    let mut kinds = Vec::new();
    while kinds.last().is_none_or(|kind| kind != "passed") {
        let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.expect("entries follow").unwrap().unwrap();
        let entry: Value = serde_json::from_str(&line).unwrap();
        for key in ["gateway", "epoch", "seq", "at", "kind", "point", "reader", "direction", "card", "person", "reason"]
        {
            assert!(entry.as_object().unwrap().contains_key(key), "{key} is missing: {line}");
        }
        if entry["reader"] == "east-1-out" {
            let id = site.card_key().id(&cards[0]).to_string();
            assert_eq!((&entry["gateway"], &entry["point"]), (&"clinic-1-gw".into(), &"east-1".into()));
            assert_eq!((&entry["direction"], &entry["card"]), (&"out".into(), &Value::from(id)));
            assert!(
                entry["seq"].is_u64() && entry["person"].is_string() && entry["at"].as_str().unwrap().ends_with('Z')
            );
            kinds.push(entry["kind"].as_str().unwrap().to_owned());
        }
    }
    assert_eq!(kinds, ["tap", "granted", "passed"]);
    // Gone before the program ends: the last to close the journal folds its write-ahead log into the file.
    follow.kill().await.unwrap();
    program.stop().await;

    let whole = site.tapward(&["journal", "verify"]);
    assert_eq!(code(&whole), 0, "{}", out(&whole));
    assert!(out(&whole).contains("whole: every entry is as it was written"), "{}", out(&whole));
    // Somebody says that it was another reader.
    let path = site.data().join("journal.db");
    let mut bytes = std::fs::read(&path).unwrap();
    let places: Vec<usize> = (0..bytes.len() - 10).filter(|at| bytes[*at..].starts_with(b"east-1-out")).collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at..at + 10].copy_from_slice(b"east-2-out");
    }
    std::fs::write(&path, bytes).unwrap();
    let changed = site.tapward(&["journal", "verify"]);
    assert_eq!(code(&changed), 4, "{}", out(&changed));
    assert!(out(&changed).contains("DAMAGED: entry "), "{}", out(&changed));
    site.simulator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_is_found_given_a_key_and_then_opens_the_door() {
    let site = Site::with_plant(&(BENCH.to_owned() + "install_mode = true\n"), "").await;
    let port = format!("tcp://{}", site.sim.port_of(&"bench".parse().unwrap()).unwrap());
    let missing = site.tapward(&["config", "check"]);
    assert_eq!(code(&missing), 3, "{}", err(&missing));
    assert!(err(&missing).contains("keys/fresh"), "{}", err(&missing));

    let found = site.tapward(&["osdp", "scan", &port, "--baud", "115200"]);
    assert_eq!(code(&found), 0, "{} {}", out(&found), err(&found));
    assert!(out(&found).contains("address   9 at 115200 baud  serial = \""), "{}", out(&found));

    let file = site.folder.path().join("keys/fresh");
    let provision =
        ["osdp", "provision", &port, "--address", "9", "--baud", "115200", "--key-file", file.to_str().unwrap()];
    let given = site.tapward(&provision);
    assert_eq!(code(&given), 0, "{} {}", out(&given), err(&given));
    let key = std::fs::read_to_string(&file).unwrap();
    assert!(!out(&given).contains(key.trim()) && !err(&given).contains(key.trim()), "the key is never shown");
    let again = site.tapward(&provision);
    assert_eq!(code(&again), 1);
    assert!(err(&again).contains("never overwritten"), "{}", err(&again));

    let cards = cards(1);
    site.import(&cards);
    let program = site.start("run").await;
    site.secure().await;
    site.tap_until("fresh", &cards[0], Outcome::Passed).await;
    program.stop().await;
    assert!(site.journal().iter().any(|entry| entry["kind"] == "secure" && entry["reader"] == "fresh"));
    site.simulator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_card_number_and_no_pin_is_in_any_file_message_or_log() {
    let site = Site::new("").await;
    let known = [
        card::parse(CardFormat::Wiegand26, "173,48211").unwrap(),
        card::parse(CardFormat::Wiegand34, "51966,48213").unwrap(),
        card::parse(CardFormat::UidHex, "04A1B2C3D4E5F6").unwrap(),
    ];
    let stranger = card::parse(CardFormat::UidHex, "04F7E6D5C4B3A2").unwrap();
    let csv = "person,kind,category,card_format,card_number,valid_from,valid_until,pin\n\
               p-1,staff,nurse,wiegand26,\"173,48211\",,,80917264\n\
               p-2,staff,nurse,wiegand34,\"51966,48213\",,,\n\
               p-3,staff,nurse,uid_hex,04A1B2C3D4E5F6,,,\n";
    let sheet = site.folder.path().join("people.csv");
    std::fs::write(&sheet, csv).unwrap();
    let mut said = Vec::new();
    let mut ask = |words: &[&str]| {
        let output = site.tapward(words);
        said.extend([output.stdout, output.stderr].concat());
    };
    ask(&["people", "import", sheet.to_str().unwrap(), "--log", "trace"]);
    let mut loud = tapward();
    loud.env("TAPWARD_LOG", "trace");
    let program = Program::run(loud, &site.config(), "run");
    site.secure().await;
    for card in &known {
        site.tap_until("west-1-in", card, Outcome::Passed).await;
        assert_eq!(site.tap(&"east-1-in".parse().unwrap(), card).await, Outcome::Passed);
    }
    assert_eq!(site.tap(&"west-2-in".parse().unwrap(), &stranger).await, Outcome::Refused);
    program.stop().await;
    ask(&["journal", "tail", "--json"]);
    ask(&["journal", "tail"]);
    ask(&["people", "list", "--json"]);
    ask(&["policy", "explain", "--point", "west-1", "--card-number", "173,48211", "--card-format", "wiegand26"]);
    ask(&["policy", "explain", "--point", "west-1", "--card-number", "173,482111", "--card-format", "wiegand26"]);
    assert!(said.len() > 1000);
    said.extend(site.log().into_bytes());

    let mut forbidden: Vec<Vec<u8>> = vec![b"80917264".to_vec()];
    for card in known.iter().chain([&stranger]) {
        forbidden.extend(card.reveal_as().into_iter().map(|(_, text)| text.into_bytes()));
        let (bits, bytes) = card.to_bits();
        if bits == 56 {
            forbidden.push(bytes.iter().rev().copied().collect());
            forbidden.push(bytes.clone());
        }
        forbidden.push(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into_bytes());
    }
    // 173,48211 and 51966,48213 as hexadecimal numbers.
    forbidden.extend([b"adbc53".to_vec(), b"cafebc55".to_vec()]);
    let mut files = Vec::new();
    collect(&site.data(), &mut files);
    for name in ["journal.db", "tapward.db", "policy.bin"] {
        assert!(files.iter().any(|(path, _)| path.ends_with(name)), "{name} is not among the files");
    }
    files.push(("what was said and logged".into(), said));
    for (path, content) in files {
        let lower = content.to_ascii_lowercase();
        for clear in &forbidden {
            let shown = String::from_utf8_lossy(clear);
            let wanted = clear.to_ascii_lowercase();
            assert!(!lower.windows(wanted.len()).any(|part| part == wanted), "{shown} is in {}", path.display());
        }
    }
    site.simulator.stop().await;
}

fn collect(folder: &Path, files: &mut Vec<(std::path::PathBuf, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => collect(&path, files),
            false => files.push((path.clone(), std::fs::read(&path).unwrap())),
        }
    }
}
