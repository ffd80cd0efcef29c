//! What a journal owes to those it has answered, when its process is killed or its disk is full. The journal runs in a
//! child process: this test's own executable, started again with an instruction in its environment.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests and what they share")]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use domain::{Clock, Draft, Epoch, GatewayId, Kind, LineId, SealedBytes, UtcMillis};
use store::Fault;
use store::journal::{AppendError, Journal, JournalReader, Mark, MarkError, Note, Outgoing, Position, PostError, Told};

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
        "peers" => runtime().block_on(take_in_peers_until_killed(Path::new(&place))),
        "fill-peers" => runtime().block_on(fill_the_disk_with_peers(Path::new(&place))),
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

const PEERS: u64 = 8;

fn peer(no: u64) -> LineId {
    LineId::new(&format!("peer-{no}")).unwrap()
}

/// Message `seq` of a peer: two facts, one of them with an event.
fn report(no: u64, seq: u64) -> (Vec<Draft>, Mark) {
    let detail = Some(format!("{no}:{seq}"));
    let fact = Draft { detail, ..Draft::new(UtcMillis(0), Kind::Passed) };
    let (epoch, at, events) = (Epoch([9; 16]), UtcMillis(0), vec![format!("event-{no}-{seq}")]);
    (vec![fact.clone(), fact], Mark { peer: peer(no), epoch, seq, at, events, quarantined: Vec::new() })
}

/// What we tell a peer: one pass, again and again.
fn order(seq: u64) -> Outgoing {
    let told = Told { key: "pass".to_owned(), rev: seq, digest: [0; 16] };
    Outgoing { id: [0; 16], body: SealedBytes::from_stored(seq.to_be_bytes().to_vec()), note: Some(Note::Told(told)) }
}

async fn held(journal: &Journal, no: u64) -> u64 {
    journal.position(&peer(no)).await.unwrap().map_or(0, |position: Position| position.seq)
}

/// Eight peers that report and are told something, and go on where the journal says that they were.
async fn take_in_peers_until_killed(path: &Path) {
    let journal = open(path).await;
    for no in 0..PEERS {
        let journal = journal.clone();
        tokio::spawn(async move {
            let mut seq = held(&journal, no).await;
            loop {
                seq += 1;
                let (facts, mark) = report(no, seq);
                let marked = journal.append_marked(facts, mark).unwrap();
                let last = journal.outgoing_state(&peer(no)).await.unwrap().last;
                let posted = journal.post(&peer(no), vec![order(last + 1)]).await.unwrap();
                assert_eq!(*posted.start(), last + 1);
                marked.await.unwrap();
                journal.drop_outgoing(&peer(no), last.saturating_sub(3));
                let line = format!("taken {no} {seq} {}\n", posted.start());
                if std::io::stdout().write_all(line.as_bytes()).is_err() {
                    std::process::exit(1);
                }
            }
        });
    }
    std::future::pending::<()>().await;
}

/// Everything that must be true of the file, whenever its writer ended. `answered`: by peer, what it was told.
async fn check_peers(path: &Path, answered: &[(u64, u64)]) {
    let journal = open(path).await;
    let mut facts = std::collections::HashMap::<String, u64>::new();
    let mut after = 0;
    loop {
        let entries = journal.read_after(after, 5000).await.unwrap();
        let Some(last) = entries.last() else { break };
        after = last.seq;
        for entry in entries.into_iter().filter_map(|entry| entry.fact.detail) {
            *facts.entry(entry).or_default() += 1;
        }
    }
    assert_eq!(journal.verify().await.unwrap().problems, []);
    let mut expected = 0;
    for (no, (taken, posted)) in (0..).zip(answered) {
        let held = held(&journal, no).await;
        assert!(held >= *taken, "peer {no} was acknowledged {taken}, the journal has {held}");
        let ids: Vec<String> = (1..=held + 1).map(|seq| format!("event-{no}-{seq}")).collect();
        let known = journal.known_events(&peer(no), &ids).await.unwrap();
        assert_eq!(known.len() as u64, held, "every event up to the position, and none behind it");
        for seq in 1..=held {
            assert_eq!(facts.get(&format!("{no}:{seq}")), Some(&2), "once, and whole: {no}:{seq}");
        }
        expected += held;

        let state = journal.outgoing_state(&peer(no)).await.unwrap();
        assert!(state.last >= *posted, "{state:?} {posted}");
        let waiting = journal.outgoing(&peer(no), 0, 5000).await.unwrap();
        let seqs: Vec<u64> = waiting.iter().map(|message| message.seq).collect();
        assert_eq!(seqs, (state.dropped + 1..=state.last).collect::<Vec<_>>());
        assert!(waiting.iter().all(|message| message.body.as_bytes() == message.seq.to_be_bytes()));
        let told = journal.told(&peer(no), None, 10).await.unwrap();
        assert_eq!(
            told.iter().map(|told| told.rev).collect::<Vec<_>>(),
            [state.last].repeat(1.min(state.last as usize))
        );
    }
    assert_eq!(facts.len() as u64, expected, "no facts without their position");
    journal.close().await;
}

#[test]
fn facts_and_positions_of_peers_agree_after_kill_9_at_any_moment() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let mut answered = vec![(0, 0); PEERS as usize];
    let note = |answered: &mut Vec<(u64, u64)>, line: &str| {
        let words = line.split(' ').skip_while(|word| *word != "taken").skip(1);
        if let [no, seq, posted] = words.filter_map(|word| word.trim().parse::<u64>().ok()).collect::<Vec<_>>()[..] {
            answered[no as usize] = (seq, posted);
        }
    };
    for round in 0..10_usize {
        let mut process = child("peers", &path, &[]);
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        // The log of marks is folded at 2048: one round goes beyond.
        let enough = if round == 5 { 2100 } else { 30 + round * 23 };
        for line in lines.by_ref().map_while(Result::ok).take(enough) {
            note(&mut answered, &line);
        }
        process.kill().unwrap();
        process.wait().unwrap();
        lines.map_while(Result::ok).for_each(|line| note(&mut answered, &line));
        runtime().block_on(check_peers(&path, &answered));
    }
    assert!(answered.iter().all(|(taken, posted)| *taken > 50 && *posted > 50), "{answered:?}");
}

/// Takes in reports and posts orders under a limit of file size until the journal says so, then without the limit.
async fn fill_the_disk_with_peers(path: &Path) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let journal = open(path).await;
    let free = getrlimit(Resource::Fsize);
    setrlimit(Resource::Fsize, Rlimit { current: Some(1024 * 1024), maximum: free.maximum }).unwrap();
    let (mut seq, mut posted) = (0, 0);
    let (mut failed_marks, mut failed_posts) = (0, 0);
    while failed_marks < 5 || failed_posts < 5 {
        let (facts, mark) = report(0, seq + 1);
        match journal.append_marked(facts, mark).unwrap().await {
            Ok(_) => seq += 1,
            // It had been written by the try that failed.
            Err(AppendError::Mark(MarkError::NotAhead { held, .. })) => {
                assert_eq!(held, seq + 1);
                seq += 1;
            }
            Err(AppendError::Storage(error)) => {
                assert!(matches!(error.fault(), Fault::Full | Fault::Io), "{error}");
                failed_marks += 1;
            }
            Err(AppendError::Closed) => panic!("the journal gave up"),
        }
        match journal.post(&peer(0), vec![order(posted + 1)]).await {
            Ok(seqs) => posted = *seqs.end(),
            Err(PostError::Storage(error)) => {
                assert!(matches!(error.fault(), Fault::Full | Fault::Io), "{error}");
                failed_posts += 1;
                posted = match journal.outgoing_state(&peer(0)).await {
                    Ok(state) => state.last,
                    Err(_) => posted,
                };
            }
            Err(other) => panic!("{other}"),
        }
        journal.drop_outgoing(&peer(0), posted.saturating_sub(100));
    }
    assert!(seq > 20 && posted > 20, "{seq} {posted}");
    setrlimit(Resource::Fsize, free).unwrap();
    seq = held(&journal, 0).await;
    for _ in 0..10 {
        let (facts, mark) = report(0, seq + 1);
        journal.append_marked(facts, mark).unwrap().await.unwrap();
        seq += 1;
        let last = journal.outgoing_state(&peer(0)).await.unwrap().last;
        posted = *journal.post(&peer(0), vec![order(last + 1)]).await.unwrap().end();
    }
    journal.close().await;
    check_peers(path, &[(seq, posted)]).await;
    std::io::stdout().write_all(b"recovered\n").unwrap();
}

#[test]
fn a_full_disk_parts_no_facts_from_their_position() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let process = child("fill-peers", &path, &["sh", "-c", "trap '' XFSZ; exec \"$@\"", "sh"]);
    let output = process.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("recovered"), "{text}");
}
