//! A client that somebody else wrote (zeep, made from the service's description) beside ours at the same server: each
//! sees what the other did, and both see the same events.

use std::path::PathBuf;
use std::process::Stdio;

use domain::policy::{PassKind, PassState};
use domain::{Direction, PersonId};
use gateway::line::{Age, Happened};
use gateway::settings::Cache;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;
use wire::parsec::{Charset, Code, Guid};

use crate::world::*;

fn python() -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let venv = std::env::var_os("TAPWARD_VENV").map_or_else(|| root.join("../target/venv"), PathBuf::from);
    let python = venv.join("bin/python");
    assert!(python.exists(), "the Python environment with zeep is missing ({}): run `make prepare`", python.display());
    python
}

/// The other client's process.
struct Other {
    _child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Other {
    fn start(url: &str, version: &str) -> Self {
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/parsec/client.py");
        let mut child = Command::new(python())
            .arg(script)
            .args([url, version])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { input: child.stdin.take().unwrap(), output, _child: child }
    }

    async fn says(&mut self) -> Value {
        let line = timeout(PATIENCE, self.output.next_line()).await.expect("the other client speaks").unwrap();
        let line =
            line.expect("the other client goes on; it said why on its standard error (zeep missing? `make prepare`)");
        serde_json::from_str(&line).unwrap()
    }

    async fn go_on(&mut self) {
        self.input.write_all(b"go\n").await.unwrap();
    }
}

#[tokio::test]
async fn a_client_that_we_did_not_write_sees_the_same_server() {
    for (version, charset) in [("1.1", Charset::Utf8), ("1.2", Charset::Windows1251)] {
        let mut world = World::new(|settings| settings.charset = charset).await;
        world.settings.cache = Cache::Everybody;
        world.policy.send_replace(Some(policy(1, &[("10,1001", 1, PassKind::Staff, PassState::Active)])));
        world.start().await;
        let mut other = Other::start(&world.peer.url, version);
        let first = other.says().await;
        let names: Vec<&str> =
            first["territories"].as_array().unwrap().iter().filter_map(|territory| territory[2].as_str()).collect();
        assert_eq!(names, ["Система", "Холл", "Двор"]);

        // The card that the other client issued, and a strange one.
        let (issued, strange) = (Code::parse("000A2711").unwrap(), Code::parse("00AAAAAA").unwrap());
        world.sim.present_code(&issued, HALL, Direction::In, through()).await;
        world.sim.present_code(&strange, HALL, Direction::Out, through()).await;
        world.until("our client has them", |heard| heard.passages.len() == 3).await;
        other.go_on().await;
        let second = other.says().await;
        assert_eq!(second["count"], 3);
        {
            let heard = world.heard.lock().unwrap();
            let theirs = second["events"].as_array().unwrap();
            let codes: Vec<u64> = theirs.iter().map(|event| event["code"].as_u64().unwrap()).collect();
            let ours: Vec<Happened> = heard.passages.iter().map(|passage| passage.what).collect();
            assert_eq!(codes, [590_144, 590_152, 600_002]);
            assert_eq!(ours, [Happened::Granted, Happened::Passed, Happened::Refused]);
            for (passage, event) in heard.passages.iter().zip(theirs) {
                let card = Code::parse(event["card"].as_str().unwrap()).unwrap();
                assert_eq!(passage.number, Some(card.number(world.peer.dialect.cards)));
                assert_eq!(event["source"], "Холл");
                assert!(matches!(passage.age, Age::Known(_)));
            }
            assert_eq!(theirs[0]["person"], first["person"]);
        }

        // The card that our client told the server.
        world.until_true("our card is told", || world.sim.calls("AddPersonIdentifier") >= 2).await;
        world.until_true("its editing session is closed", || world.sim.open_edits() == 0).await;
        other.go_on().await;
        let third = other.says().await;
        assert_eq!(third["name"], "Tapward");
        assert_eq!(third["id"], Guid::from(PersonId([1; 16])).to_string());
        assert_eq!(third["cards"].as_array().unwrap().len(), 1);
        assert_eq!(other.says().await["done"], true);
        world.stop().await;
    }
}
