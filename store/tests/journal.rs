//! What the journal promises: numbering, durability before the answer, bounded waiting, recovery, and finding edits.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests and what they share")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use domain::event::DETAIL_MAX_BYTES;
use domain::{CardId, Clock, Direction, Draft, Epoch, GatewayId, Kind, PersonId, PointId, ReaderId, Reason, UtcMillis};
use store::Fault;
use store::journal::{APPEND_MAX_FACTS, Journal, JournalReader, Problem, QUEUE_MAX_FACTS, Refused};

fn gateway() -> GatewayId {
    GatewayId::new("gw-1").unwrap()
}

fn clock() -> Clock {
    Clock::new(|| UtcMillis(1_700_000_000_000))
}

fn fact(number: i64) -> Draft {
    Draft {
        reason: Some(Reason::Allowed),
        point: Some(PointId::new("turnstile-1").unwrap()),
        reader: Some(ReaderId::new("turnstile-1-in").unwrap()),
        direction: Some(Direction::In),
        card: Some(CardId([7; 16])),
        person: Some(PersonId([9; 16])),
        age_ms: Some(12),
        detail: Some(format!("number {number}")),
        ..Draft::new(UtcMillis(number), Kind::Passed)
    }
}

async fn open(path: &Path) -> Journal {
    Journal::open(path, gateway(), Epoch([1; 16]), &clock()).await.unwrap()
}

fn place() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    (folder, path)
}

#[tokio::test]
async fn facts_come_back_as_they_were_numbered_from_one() {
    let (_folder, path) = place();
    let journal = open(&path).await;
    assert_eq!(journal.last_seq(), 0);
    let first = journal.append(vec![fact(1), Draft::new(UtcMillis(2), Kind::Started)]).unwrap().await.unwrap();
    let second = journal.append(vec![fact(3)]).unwrap().await.unwrap();
    assert_eq!((first, second), (1..=2, 3..=3));
    assert_eq!(journal.last_seq(), 3);
    let entries = journal.read_after(0, 10).await.unwrap();
    assert_eq!(entries.iter().map(|it| it.seq).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(entries[0].fact, fact(1));
    assert_eq!(entries[1].fact, Draft::new(UtcMillis(2), Kind::Started));
    assert_eq!(entries[2].epoch, Epoch([1; 16]));
    assert_eq!(journal.read_after(1, 1).await.unwrap()[0].seq, 2);
}

#[tokio::test]
async fn numbering_epoch_and_cursor_survive_a_restart() {
    let (_folder, path) = place();
    let journal = open(&path).await;
    journal.append(vec![fact(1), fact(2)]).unwrap().await.unwrap();
    journal.set_acked(1).unwrap();
    journal.set_acked(0).unwrap();
    journal.close().await;
    assert!(matches!(journal.append(vec![fact(3)]), Err(Refused::Closed(facts)) if facts.len() == 1));
    let again = Journal::open(&path, gateway(), Epoch([2; 16]), &clock()).await.unwrap();
    assert_eq!((again.epoch(), again.last_seq(), again.acked()), (Epoch([1; 16]), 2, 1));
    assert_eq!(again.append(vec![fact(3)]).unwrap().await.unwrap(), 3..=3);
    assert_eq!(again.verify().await.unwrap().problems, []);
}

#[tokio::test]
async fn many_writers_get_each_their_own_numbers_without_a_gap() {
    let (_folder, path) = place();
    let journal = Arc::new(open(&path).await);
    let tasks: Vec<_> = (0..64_i64)
        .map(|writer| {
            let journal = Arc::clone(&journal);
            tokio::spawn(async move {
                let mut seen = Vec::new();
                for number in 0..20 {
                    let facts = vec![fact(writer * 100 + number), fact(-1)];
                    seen.extend(journal.append(facts).unwrap().await.unwrap());
                }
                seen
            })
        })
        .collect();
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await.unwrap());
    }
    all.sort_unstable();
    assert_eq!(all, (1..=64 * 40).collect::<Vec<u64>>());
    assert_eq!(journal.verify().await.unwrap().problems, []);
}

#[tokio::test]
async fn a_full_queue_answers_at_once_and_gives_the_facts_back() {
    let (_folder, path) = place();
    let journal = open(&path).await;
    // Nothing is written before this task waits: the runtime has one thread.
    let mut waiting = Vec::new();
    for _ in 0..QUEUE_MAX_FACTS / APPEND_MAX_FACTS {
        waiting.push(journal.append(vec![fact(1); APPEND_MAX_FACTS]).unwrap());
    }
    assert_eq!(journal.room(), 0);
    assert!(matches!(journal.append(vec![fact(2)]), Err(Refused::Full(facts)) if facts == [fact(2)]));
    for pending in waiting {
        pending.await.unwrap();
    }
    assert_eq!(journal.room(), QUEUE_MAX_FACTS);
    let next = journal.append(vec![fact(2)]).unwrap().await.unwrap();
    assert_eq!(*next.start(), QUEUE_MAX_FACTS as u64 + 1);
}

#[tokio::test]
async fn an_append_has_one_to_64_facts_and_details_are_cut_at_a_character() {
    let (_folder, path) = place();
    let journal = open(&path).await;
    assert!(matches!(journal.append(vec![]), Err(Refused::Size(_))));
    assert!(matches!(journal.append(vec![fact(1); APPEND_MAX_FACTS + 1]), Err(Refused::Size(_))));
    let mut long = fact(1);
    long.detail = Some(format!("x{}", "д".repeat(DETAIL_MAX_BYTES)));
    journal.append(vec![long]).unwrap().await.unwrap();
    let stored = journal.read_after(0, 1).await.unwrap().remove(0).fact.detail.unwrap();
    assert_eq!(stored.len(), DETAIL_MAX_BYTES - 1);
    assert_eq!(journal.verify().await.unwrap().problems, []);
}

#[tokio::test]
async fn an_acknowledgement_beyond_the_end_is_reported() {
    let (_folder, path) = place();
    let journal = open(&path).await;
    journal.append(vec![fact(1)]).unwrap().await.unwrap();
    let error = journal.set_acked(5).unwrap_err();
    assert_eq!((error.acked, error.last), (5, 1));
    assert_eq!(journal.acked(), 0);
}

#[tokio::test]
async fn only_kinds_asked_for_are_read() {
    let (_folder, path) = place();
    let journal = open(&path).await;
    journal.append(vec![fact(1), Draft::new(UtcMillis(2), Kind::Tap), fact(3), fact(4)]).unwrap().await.unwrap();
    let seqs = |entries: Vec<domain::Entry>| entries.iter().map(|it| it.seq).collect::<Vec<_>>();
    let kinds = [Kind::Passed, Kind::Forced];
    assert_eq!(seqs(journal.read_kinds_after(&kinds, UtcMillis(2), 0, 10).await.unwrap()), [3, 4]);
    assert_eq!(seqs(journal.read_kinds_after(&kinds, UtcMillis(0), 3, 10).await.unwrap()), [4]);
}

#[tokio::test]
async fn pruning_removes_only_what_was_acknowledged_and_the_chain_still_verifies() {
    let (_folder, path) = place();
    let journal = open(&path).await;
    journal.append((1..=10).map(fact).collect()).unwrap().await.unwrap();
    assert_eq!(journal.prune(0).await.unwrap(), 0, "nothing was acknowledged");
    journal.set_acked(8).unwrap();
    assert_eq!(journal.prune(3).await.unwrap(), 5);
    let found = journal.verify().await.unwrap();
    assert_eq!((found.range, found.problems), (Some((6, 10)), vec![]));
    assert_eq!(journal.prune(0).await.unwrap(), 3);
    journal.set_acked(10).unwrap();
    assert_eq!(journal.prune(0).await.unwrap(), 2);
    journal.close().await;
    let again = open(&path).await;
    assert_eq!(again.append(vec![fact(11)]).unwrap().await.unwrap(), 11..=11);
    assert_eq!(again.verify().await.unwrap().problems, []);
}

#[tokio::test]
async fn a_reader_follows_a_running_journal_and_a_second_writer_is_refused() {
    let (_folder, path) = place();
    let journal = open(&path).await;
    let reader = JournalReader::open(&path).await.unwrap();
    assert_eq!(reader.read_after(0, 10).await.unwrap(), []);
    journal.append(vec![fact(1), fact(2)]).unwrap().await.unwrap();
    assert_eq!(reader.read_after(1, 10).await.unwrap()[0].fact, fact(2));
    assert_eq!(reader.read_last(1).await.unwrap()[0].seq, 2);
    let error = Journal::open(&path, gateway(), Epoch([1; 16]), &clock()).await.unwrap_err();
    assert_eq!(*error.fault(), Fault::Busy, "{error}");
    journal.close().await;
    open(&path).await.close().await;
}

#[tokio::test]
async fn wrong_files_are_refused_by_name() {
    let (folder, path) = place();
    open(&path).await.close().await;
    let other = GatewayId::new("gw-2").unwrap();
    let error = Journal::open(&path, other, Epoch([1; 16]), &clock()).await.unwrap_err();
    assert!(error.to_string().contains("gw-1"), "{error}");
    assert_eq!(*JournalReader::open(&folder.path().join("none.db")).await.unwrap_err().fault(), Fault::CannotOpen);
    let text = folder.path().join("text.db");
    std::fs::write(&text, [b'x'; 4096]).unwrap();
    let error = Journal::open(&text, gateway(), Epoch([1; 16]), &clock()).await.unwrap_err();
    assert_eq!(*error.fault(), Fault::NotADatabase, "{error}");
    let newer = folder.path().join("newer.db");
    open(&newer).await.close().await;
    sql(&newer, "PRAGMA user_version = 7").await;
    let error = Journal::open(&newer, gateway(), Epoch([1; 16]), &clock()).await.unwrap_err();
    assert_eq!(*error.fault(), Fault::NewerSchema(7), "{error}");
}

#[tokio::test]
async fn a_damaged_file_is_refused_at_opening() {
    let (_folder, path) = place();
    let journal = open(&path).await;
    for _ in 0..20 {
        journal.append((1..=64).map(fact).collect()).unwrap().await.unwrap();
    }
    journal.close().await;
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..middle + 4096].fill(0xa5);
    std::fs::write(&path, bytes).unwrap();
    let error = Journal::open(&path, gateway(), Epoch([1; 16]), &clock()).await.unwrap_err();
    assert_eq!(*error.fault(), Fault::Corrupt, "{error}");
    assert!(error.to_string().contains("journal.db") && error.to_string().contains("backup"), "{error}");
}

/// Does to the closed file what a hostile operator would.
async fn sql(path: &Path, statement: &'static str) {
    use sqlx::{ConnectOptions, Connection};
    let mut connection = sqlx::sqlite::SqliteConnectOptions::new().filename(path).connect().await.unwrap();
    sqlx::query(statement).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
async fn edits_removals_exchanges_and_cuts_are_found_and_located() {
    let cases: [(&str, Vec<Problem>); 6] = [
        ("UPDATE entry SET detail = 'x' WHERE seq = 4", vec![Problem::Changed { seq: 4 }]),
        ("UPDATE entry SET person = NULL WHERE seq = 10", vec![Problem::Changed { seq: 10 }]),
        ("DELETE FROM entry WHERE seq IN (4, 5)", vec![Problem::Missing { from: 4, to: 5 }]),
        (
            "UPDATE entry SET at_ms = 9 - at_ms WHERE seq IN (4, 5)",
            vec![Problem::Changed { seq: 4 }, Problem::Changed { seq: 5 }],
        ),
        ("DELETE FROM entry WHERE seq > 6", vec![Problem::CutOff { last: 6, acked: 8 }]),
        ("UPDATE entry SET chain = zeroblob(32) WHERE seq = 1", {
            vec![Problem::Changed { seq: 1 }, Problem::Changed { seq: 2 }]
        }),
    ];
    for (edit, expected) in cases {
        let (_folder, path) = place();
        let journal = open(&path).await;
        journal.append((1..=10).map(fact).collect()).unwrap().await.unwrap();
        journal.set_acked(8).unwrap();
        journal.close().await;
        sql(&path, edit).await;
        let reader = JournalReader::open(&path).await.unwrap();
        assert_eq!(reader.verify().await.unwrap().problems, expected, "{edit}");
    }
}

#[tokio::test]
async fn numbers_that_the_receiver_has_are_never_given_again() {
    let (_folder, path) = place();
    let journal = open(&path).await;
    journal.append((1..=10).map(fact).collect()).unwrap().await.unwrap();
    journal.set_acked(8).unwrap();
    journal.close().await;
    sql(&path, "DELETE FROM entry WHERE seq > 6").await;
    let journal = open(&path).await;
    assert_eq!(journal.append(vec![fact(1)]).unwrap().await.unwrap(), 9..=9);
    assert_eq!(journal.verify().await.unwrap().problems, [Problem::Missing { from: 7, to: 8 }]);
}

#[tokio::test]
async fn after_an_older_copy_was_put_back_nothing_new_is_taken_for_a_repetition() {
    let (folder, path) = place();
    let journal = open(&path).await;
    journal.append((1..=4).map(fact).collect()).unwrap().await.unwrap();
    journal.close().await;
    let copy = folder.path().join("copy.db");
    std::fs::copy(&path, &copy).unwrap();
    let journal = open(&path).await;
    journal.append((5..=9).map(fact).collect()).unwrap().await.unwrap();
    journal.close().await;
    std::fs::copy(&copy, &path).unwrap();

    let journal = open(&path).await;
    assert_eq!(journal.opened_at(), 4);
    journal.append(vec![fact(100), fact(101)]).unwrap().await.unwrap();
    // The receiver says that it has 9, though only 4 were ever sent by this file.
    assert!(journal.set_acked(9).is_err());
    assert_eq!(journal.resume_after(9).await.unwrap(), Some(10..=11));
    assert_eq!((journal.acked(), journal.last_seq()), (9, 11));
    let entries = journal.read_after(9, 10).await.unwrap();
    assert_eq!(entries.iter().map(|it| it.fact.clone()).collect::<Vec<_>>(), [fact(100), fact(101)]);
    assert_eq!(journal.append(vec![fact(102)]).unwrap().await.unwrap(), 12..=12);
    assert_eq!(journal.verify().await.unwrap().problems, [Problem::Missing { from: 7, to: 9 }]);
    // With nothing recorded meanwhile, only the numbering moves.
    assert_eq!(journal.resume_after(20).await.unwrap(), Some(21..=23), "all since the first resumption");
}
