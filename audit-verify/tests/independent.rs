//! The format as others see it: an export and a proof checked by a Python program that was written from the words of
//! `docs/audit.md`, and by our verifier; spoilt files are found by both.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests and what they share")]

mod log;

use std::path::{Path, PathBuf};
use std::process::Command;

use audit_verify::{verify_export, verify_proof};
use clinic::acting::Acting;
use clinic::audit;
use log::{Log, published};

/// The interpreter of the tests' own environment.
fn python() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let venv = std::env::var_os("TAPWARD_VENV").map_or_else(|| root.join("target/venv"), PathBuf::from);
    let python = venv.join("bin/python");
    assert!(python.is_file(), "{} is missing: run `make prepare`", python.display());
    python
}

fn independent(export: &Path, proof: &Path) -> Result<String, String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/independent.py");
    let output = Command::new(python()).arg(script).arg(export).arg(proof).output().unwrap();
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout).unwrap()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// Writes an export as the command line does.
async fn export(log: &Log, path: &Path) {
    let now = log.clock.now();
    let mut export =
        audit::export(&log.database, &Acting::console(), now, audit::Filter::default(), "test").await.unwrap();
    let mut text = export.first_line(&domain::SiteId::new("clinic-1").unwrap()) + "\n";
    loop {
        let block = export.next().await.unwrap();
        if block.is_empty() {
            break;
        }
        for recorded in &block {
            text += &(audit::line(recorded) + "\n");
        }
    }
    text += &(export.last_line().await.unwrap() + "\n");
    std::fs::write(path, text).unwrap();
}

#[tokio::test]
async fn an_independent_program_agrees_on_export_and_proof_on_both_engines() {
    let folder = tempfile::tempdir().unwrap();
    for (n, database) in store::testing::both(folder.path()).await.into_iter().enumerate() {
        let name = |what: &str| folder.path().join(format!("{what}-{n}"));
        let (heads, lines, file) = (name("heads"), name("export.jsonl"), name("proof.json"));
        let mut log = Log::new(database, &heads);
        log.write(41).await;
        log.publish().await;
        log.write(7).await;
        let proof = audit::proof(&log.database, &Acting::console(), log.clock.now(), 17).await.unwrap().unwrap();
        std::fs::write(&file, proof.to_json()).unwrap();
        export(&log, &lines).await;

        let told = independent(&lines, &file).unwrap();
        let report = verify_export(&lines, published(&heads)).unwrap();
        assert!(report.is_sound(), "{report}");
        assert_eq!(report.covered, 42, "41 entries and the one that tells of the blotted note");
        assert_eq!(told, format!("{}\nproved\n", report.root.unwrap()));
        let proved = verify_proof(&file, &published(&heads)).unwrap();
        assert!(proved.is_sound() && proved.place.is_some(), "{proved}");

        let text = std::fs::read_to_string(&lines).unwrap();
        for (from, to) in [
            ("\"rows=2\"", "\"rows=3\""),
            ("reason number 4\"", "reason number 5\""),
            ("\"action\":\"refused\"", "\"action\":\"imported\""),
            ("192.0.2.7", "192.0.2.8"),
        ] {
            let spoilt = name("spoilt.jsonl");
            assert!(text.contains(from), "{from}");
            std::fs::write(&spoilt, text.replacen(from, to, 1)).unwrap();
            assert!(!verify_export(&spoilt, published(&heads)).unwrap().is_sound(), "{from}");
            assert!(independent(&spoilt, &file).is_err(), "{from}");
        }
        for cut in [1, 10, 40] {
            let spoilt = name("cut.jsonl");
            let kept: Vec<&str> = text.lines().take(text.lines().count() - cut).collect();
            std::fs::write(&spoilt, kept.join("\n") + "\n").unwrap();
            assert!(!verify_export(&spoilt, published(&heads)).unwrap().is_sound(), "{cut} lines less");
        }
        let file_text = std::fs::read_to_string(&file).unwrap();
        let spoilt = name("spoilt.json");
        for (from, to) in
            [("\"no\": 17", "\"no\": 18"), ("\"size\": 42", "\"size\": 41"), ("person_revealed", "person_seen")]
        {
            assert!(file_text.contains(from), "{from} in {file_text}");
            std::fs::write(&spoilt, file_text.replacen(from, to, 1)).unwrap();
            assert!(!verify_proof(&spoilt, &published(&heads)).unwrap().is_sound(), "{from}");
        }
    }
}
