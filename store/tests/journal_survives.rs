//! What a journal owes to those it has answered, when its process is killed or its disk is full. The journal runs in a
//! child process: this test's own executable, started again with an instruction in its environment.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests and what they share")]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use domain::{Clock, Draft, Epoch, GatewayId, Kind, UtcMillis};
use store::Fault;
use store::journal::{AppendError, Journal, JournalReader};

const ROLE: &str = "TAPWARD_TEST_JOURNAL_ROLE";
const PLACE: &str = "TAPWARD_TEST_JOURNAL_PLACE";

fn clock() -> Clock {
    Clock::new(|| UtcMillis(1))
}

async fn open(path: &Path) -> Journal {
    Journal::open(path, GatewayId::new("gw-1").unwrap(), Epoch([1; 16]), &clock()).await.unwrap()
}

fn fact(number: u64) -> Draft {
    Draft { detail: Some(number.to_string()), ..Draft::new(UtcMillis(number.cast_signed()), Kind::Tap) }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Starts this test again as the process that owns the journal.
fn child(role: &str, path: &Path, wrapper: &[&str]) -> Child {
    let exe = std::env::current_exe().unwrap();
    let mut command = match wrapper.split_first() {
        Some((program, arguments)) => {
            let mut command = Command::new(program);
            command.args(arguments).arg(exe);
            command
        }
        None => Command::new(exe),
    };
    command
        .args(["--exact", "the_process_that_owns_the_journal", "--nocapture", "--test-threads=1"])
        .env(ROLE, role)
        .env(PLACE, path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Not a test of its own: what a child does. Started as an ordinary test it has no instruction and returns.
#[test]
fn the_process_that_owns_the_journal() {
    let (Ok(role), Ok(place)) = (std::env::var(ROLE), std::env::var(PLACE)) else { return };
    match role.as_str() {
        "write" => runtime().block_on(write_until_killed(Path::new(&place))),
        "fill" => runtime().block_on(fill_the_disk(Path::new(&place))),
        other => panic!("unknown role {other}"),
    }
}

/// Eight writers; each says "number seq" only after the journal has answered.
async fn write_until_killed(path: &Path) {
    let journal = open(path).await;
    for writer in 0..8_u64 {
        let journal = journal.clone();
        tokio::spawn(async move {
            for number in 0.. {
                let number = number * 8 + writer;
                let seqs = journal.append(vec![fact(number)]).unwrap().await.unwrap();
                let line = format!("acked {number} {}\n", seqs.start());
                if std::io::stdout().write_all(line.as_bytes()).is_err() {
                    // Nobody listens: the test itself is gone.
                    std::process::exit(1);
                }
            }
        });
    }
    std::future::pending::<()>().await;
}

#[test]
fn every_answered_append_is_there_after_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let mut answered = Vec::new();
    for round in 0..8_usize {
        let mut process = child("write", &path, &[]);
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        // At a moment that differs from round to round; what was said before counts, also what is still in the pipe.
        let mut said = 0;
        for line in lines.by_ref().map_while(Result::ok) {
            answered.extend(acked(&line));
            said += 1;
            if said > 40 + round * 37 {
                break;
            }
        }
        process.kill().unwrap();
        process.wait().unwrap();
        answered.extend(lines.map_while(Result::ok).filter_map(|line| acked(&line)));
    }
    assert!(answered.len() > 8 * 40);
    runtime().block_on(async {
        let journal = open(&path).await;
        let verification = journal.verify().await.unwrap();
        assert_eq!(verification.problems, []);
        let mut stored = std::collections::HashMap::new();
        while let Some(last) = journal.read_after(stored.len() as u64, 5000).await.unwrap().last().map(|it| it.seq) {
            for entry in journal.read_after(stored.len() as u64, 5000).await.unwrap() {
                stored.insert(entry.seq, entry.fact);
            }
            assert_eq!(stored.len() as u64, last, "numbers without a gap");
        }
        for (number, seq) in &answered {
            assert_eq!(stored.get(seq), Some(&fact(*number)), "answered, so it must be there: {seq}");
        }
    });
}

fn acked(line: &str) -> Option<(u64, u64)> {
    let mut words = line.split(' ').skip_while(|word| *word != "acked").skip(1);
    Some((words.next()?.parse().ok()?, words.next()?.trim().parse().ok()?))
}

/// Appends under a limit of file size until the journal says so, then without the limit again.
async fn fill_the_disk(path: &Path) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let journal = open(path).await;
    let free = getrlimit(Resource::Fsize);
    setrlimit(Resource::Fsize, Rlimit { current: Some(256 * 1024), maximum: free.maximum }).unwrap();
    let mut answered = Vec::new();
    let mut failures = 0;
    for number in 0..20_000_u64 {
        match journal.append(vec![fact(number); 20]).unwrap().await {
            Ok(seqs) => answered.extend(seqs.map(|seq| (number, seq))),
            Err(AppendError::Storage(error)) => {
                let text = error.to_string();
                assert!(matches!(error.fault(), Fault::Full | Fault::Io), "{text}");
                failures += 1;
                if failures == 5 {
                    break;
                }
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(failures, 5, "the limit was met");
    assert!(!answered.is_empty());
    setrlimit(Resource::Fsize, free).unwrap();
    for number in 50_000..50_010_u64 {
        let seqs = journal.append(vec![fact(number)]).unwrap().await.unwrap();
        answered.extend(seqs.map(|seq| (number, seq)));
    }
    let verification = journal.verify().await.unwrap();
    assert_eq!(verification.problems, []);
    journal.close().await;
    let reader = JournalReader::open(path).await.unwrap();
    let mut after = 0;
    let mut stored = std::collections::HashMap::new();
    loop {
        let entries = reader.read_after(after, 5000).await.unwrap();
        let Some(last) = entries.last() else { break };
        after = last.seq;
        stored.extend(entries.into_iter().map(|entry| (entry.seq, entry.fact)));
    }
    for (number, seq) in answered {
        assert_eq!(stored.get(&seq), Some(&fact(number)), "answered, so it must be there: {seq}");
    }
    std::io::stdout().write_all(b"recovered\n").unwrap();
}

#[test]
fn a_full_disk_fails_appends_and_the_journal_recovers_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    // Without the trap the system would end the process at the limit instead of failing its writes.
    let process = child("fill", &path, &["sh", "-c", "trap '' XFSZ; exec \"$@\"", "sh"]);
    let output = process.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("recovered"), "{text}");
}
