//! What goes wrong while the doors work: a disk without room, a configuration that changes or is wrong, the end.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

mod installation;

use std::process::{Command, Stdio};
use std::time::Duration;

use controller_sim::Outcome;
use domain::ReaderId;
use installation::*;
use rustix::process::{Resource, Rlimit, Signal};
use serde_json::Value;
use tokio::time::Instant;

/// How long an orderly end may take.
const END_WITHIN: Duration = Duration::from_secs(10);

/// The executable, with writes beyond a file's largest size failing as on a full disk instead of ending the process.
fn survives_a_full_disk() -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", r#"trap "" XFSZ; exec "$0" "$@""#, env!("CARGO_BIN_EXE_tapward")]).stdin(Stdio::null());
    command
}

fn limit_files(program: &Program, bytes: Option<u64>) {
    let limit = Rlimit { current: bytes, maximum: None };
    rustix::process::prlimit(Some(program.pid()), Resource::Fsize, limit).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_points_follow_their_declared_mode_and_afterwards_everything_is_on_record() {
    let site = Site::new("").await;
    // The first turnstile of the second line stands open when in doubt; all the others stay closed.
    site.edit(|text| text.replace("id = \"east-1\"\n", "id = \"east-1\"\non_fault = \"safe\"\n"));
    let cards = cards(4);
    site.import(&cards);
    let mut program = Program::run(survives_a_full_disk(), &site.config(), "run");
    site.secure().await;
    // The first reading after a start may be an old one; it moves nothing.
    for reader in ["west-1-in", "west-2-out", "east-3-in", "east-1-in"] {
        site.tap_until(reader, &cards[0], Outcome::Passed).await;
    }

    // Journal, database and log all stop growing.
    limit_files(&program, Some(4096));
    for (reader, card) in [("west-1-in", 0), ("west-2-out", 1), ("east-3-in", 2)] {
        assert_eq!(tap(&site, reader, &cards[card]).await, Outcome::Refused, "{reader} stays closed");
    }
    assert_eq!(tap(&site, "east-1-in", &cards[3]).await, Outcome::Passed, "this one is declared safe");
    assert!(program.child.try_wait().unwrap().is_none(), "the program goes on");

    limit_files(&program, None);
    until("the journal says that it stalled and works again", async || {
        let journal = site.journal();
        alarms(&journal, "journal_stalled").len() == 2
    })
    .await;
    site.tap_until("west-1-in", &cards[0], Outcome::Passed).await;
    let journal = site.journal();
    let id = |n: usize| site.card_key().id(&cards[n]).to_string();
    for (reader, card, kind) in [
        ("west-2-out", id(1), "tap"),
        ("west-2-out", id(1), "not_taken"),
        ("east-3-in", id(2), "tap"),
        ("east-1-in", id(3), "tap"),
        ("east-1-in", id(3), "granted"),
    ] {
        let entries =
            journal.iter().filter(|entry| entry["reader"] == reader && entry["card"] == *card && entry["kind"] == kind);
        assert_eq!(entries.count(), 1, "{kind} of {reader}: {journal:#?}");
    }
    let shut_out = [id(1), id(2)];
    let through =
        journal.iter().filter(|entry| entry["kind"] == "passed" && shut_out.iter().any(|id| entry["card"] == *id));
    assert_eq!(through.count(), 0, "nothing else was opened: {journal:#?}");
    program.stop().await;
    assert!(site.tapward(&["journal", "verify"]).status.success());
    site.simulator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_leaves_the_other_lines_alone_and_a_wrong_one_changes_nothing() {
    let site = Site::new("").await;
    let cards = cards(2);
    site.import(&cards);
    let whole = std::fs::read_to_string(site.config()).unwrap();
    let at = whole.find("[[line]]\nid = \"east\"").unwrap();
    site.edit(|text| text[..at].to_owned());
    let mut program = site.start("run").await;
    for n in 1..=4 {
        site.secure_reader(&format!("west-{n}-in").parse().unwrap()).await;
        site.secure_reader(&format!("west-{n}-out").parse().unwrap()).await;
    }
    site.tap_until("west-1-in", &cards[0], Outcome::Passed).await;
    let quiet_from = site.journal().last().unwrap()["seq"].as_u64().unwrap();

    // A line more.
    site.edit(|_| whole.clone());
    program.reload();
    site.secure().await;
    site.tap_until("east-1-in", &cards[1], Outcome::Passed).await;
    assert_eq!(tap(&site, "west-1-in", &cards[0]).await, Outcome::Passed);

    // Rubbish.
    site.edit(|text| text.replacen("kind = \"turnstile\"", "knid = \"turnstile\"", 1));
    program.reload();
    until("the refusal is logged", async || site.log().contains("the earlier one stays in force")).await;
    let log = site.log();
    assert!(log.contains("knid: unknown key (did you mean") && log.contains("tapward.toml:"), "{log}");
    // The commands below need a configuration that can be read.
    site.edit(|_| whole.clone());
    until("the refusal is on record", async || !alarms(&site.journal(), "settings_refused").is_empty()).await;
    let alarm = alarms(&site.journal(), "settings_refused").remove(0);
    assert!(alarm["detail"].as_str().unwrap().contains("knid"), "the alarm says what is wrong: {alarm}");
    assert_eq!(tap(&site, "east-1-in", &cards[1]).await, Outcome::Passed, "the earlier one is in force");
    assert_eq!(tap(&site, "west-1-in", &cards[0]).await, Outcome::Passed);

    // A line less.
    site.edit(|_| whole[..at].to_owned());
    program.reload();
    until("the line is given up", async || {
        site.journal().iter().filter(|entry| entry["kind"] == "settings_changed").count() == 2
    })
    .await;
    assert_eq!(tap(&site, "west-1-in", &cards[0]).await, Outcome::Passed);

    let disturbed: Vec<Value> = site
        .journal()
        .into_iter()
        .filter(|entry| entry["seq"].as_u64().unwrap() > quiet_from)
        .filter(|entry| entry["reader"].as_str().is_some_and(|reader| reader.starts_with("west")))
        .filter(|entry| ["online", "offline", "secure", "insecure", "alarm"].contains(&entry["kind"].as_str().unwrap()))
        .collect();
    assert!(disturbed.is_empty(), "the first line was disturbed: {disturbed:#?}");

    // The end, while somebody stands at a reader.
    let at_the_reader = {
        let (sim, card) = (site.sim.clone(), cards[0].clone());
        tokio::spawn(
            async move { sim.tap(&"west-1-in".parse().unwrap(), &card, QUICKLY, Duration::from_secs(1)).await },
        )
    };
    let asked = Instant::now();
    rustix::process::kill_process(program.pid(), Signal::TERM).unwrap();
    let status = tokio::time::timeout(END_WITHIN, program.child.wait())
        .await
        .unwrap_or_else(|_| panic!("it did not end within {END_WITHIN:?}; the log:\n{}", site.log()))
        .unwrap();
    assert!(status.success(), "{status}");
    println!("ended {:?} after SIGTERM", asked.elapsed());
    at_the_reader.await.unwrap().unwrap();
    assert_eq!(site.journal().last().unwrap()["kind"], "stopped");
    site.simulator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unplugged_line_comes_back_by_itself_and_the_other_keeps_working() {
    let site = Site::new("").await;
    let cards = cards(2);
    site.import(&cards);
    let program = site.start("run").await;
    site.secure().await;
    site.tap_until("west-1-in", &cards[0], Outcome::Passed).await;
    for line in ["west", "east"] {
        let (other, own) = if line == "west" { ("east-1-in", "west-1-in") } else { ("west-1-in", "east-1-in") };
        site.sim.inject_line(&line.parse().unwrap(), controller_sim::Fault::Unplug).await.unwrap();
        until("the loss is on record", async || {
            let lost = alarms(&site.journal(), "line_lost");
            lost.iter().any(|alarm| alarm["detail"].as_str().unwrap().contains(&format!("line {line}")))
        })
        .await;
        site.tap_until(other, &cards[0], Outcome::Passed).await;
        site.sim.heal_line(&line.parse().unwrap()).await.unwrap();
        site.tap_until(own, &cards[1], Outcome::Passed).await;
        let back = alarms(&site.journal(), "line_back");
        assert!(back.iter().any(|alarm| alarm["detail"].as_str().unwrap().contains(line)), "{back:?}");
    }
    program.stop().await;
    site.simulator.stop().await;
}

async fn tap(site: &Site, reader: &str, card: &domain::card::CardNumber) -> Outcome {
    let reader: ReaderId = reader.parse().unwrap();
    site.tap(&reader, card).await
}

fn alarms(journal: &[Value], reason: &str) -> Vec<Value> {
    journal.iter().filter(|entry| entry["kind"] == "alarm" && entry["reason"] == reason).cloned().collect()
}
