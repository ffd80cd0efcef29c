//! What the journal promises about peers: facts and position together or neither, each event once, messages numbered and
//! kept until acknowledged, nothing without a bound, and an older copy put back is found.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests and what they share")]

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use domain::card::{CardFormat, SealKey, SealedBytes, parse};
use domain::{Clock, Draft, Epoch, GatewayId, Kind, LineId, UtcMillis};
use store::Fault;
use store::journal::{
    AppendError, BODY_MAX_BYTES, EVENTS_KEPT, Journal, JournalReader, Mark, MarkError, Note, OUTGOING_MAX, Outgoing,
    POST_MAX_MESSAGES, Position, PostError, QUARANTINE_MAX, QUARANTINE_MAX_BYTES, Quarantined, Refused, SEQ_MAX, Told,
};

fn clock() -> Clock {
    Clock::new(|| UtcMillis(1))
}

async fn open(path: &Path) -> Journal {
    Journal::open(path, GatewayId::new("gw-1").unwrap(), Epoch([1; 16]), &clock()).await.unwrap()
}

fn place() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    (folder, path)
}

fn peer(no: u32) -> LineId {
    LineId::new(&format!("peer-{no}")).unwrap()
}

fn fact(number: i64) -> Draft {
    Draft::new(UtcMillis(number), Kind::Passed)
}

fn mark(peer_no: u32, epoch: u8, seq: u64) -> Mark {
    Mark {
        peer: peer(peer_no),
        epoch: Epoch([epoch; 16]),
        seq,
        at: UtcMillis(seq.cast_signed()),
        events: Vec::new(),
        quarantined: Vec::new(),
    }
}

fn events(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn at(epoch: u8, seq: u64) -> Option<Position> {
    Some(Position { epoch: Epoch([epoch; 16]), seq, at: UtcMillis(seq.cast_signed()) })
}

fn body(text: &[u8]) -> SealedBytes {
    SealKey::new([5; 32]).seal_bytes(text)
}

fn message(no: u8) -> Outgoing {
    Outgoing { id: [no; 16], body: body(&[no]), note: None }
}

fn told(key: &str, rev: u64) -> Told {
    Told { key: key.to_owned(), rev, digest: [rev as u8; 16] }
}

fn telling(no: u8, key: &str, rev: u64) -> Outgoing {
    Outgoing { note: Some(Note::Told(told(key, rev))), ..message(no) }
}

fn not_ahead(outcome: Result<std::ops::RangeInclusive<u64>, AppendError>) -> (u64, u64) {
    match outcome {
        Err(AppendError::Mark(MarkError::NotAhead { seq, held, .. })) => (seq, held),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn facts_and_position_become_durable_together_and_survive_a_restart() {
    let (_folder, path) = place();
    let journal = open(&path).await;
    assert_eq!(journal.position(&peer(1)).await.unwrap(), None);
    assert_eq!(journal.append_marked(vec![fact(1), fact(2)], mark(1, 1, 7)).unwrap().await.unwrap(), 1..=2);
    assert_eq!(journal.append(vec![fact(3)]).unwrap().await.unwrap(), 3..=3);
    let nothing = journal.append_marked(vec![], mark(1, 1, 8)).unwrap().await.unwrap();
    assert!(nothing.is_empty(), "{nothing:?}");
    assert_eq!(journal.append_marked(vec![fact(4)], mark(2, 9, 1)).unwrap().await.unwrap(), 4..=4);
    assert_eq!(journal.position(&peer(1)).await.unwrap(), at(1, 8));
    journal.close().await;
    let journal = open(&path).await;
    assert_eq!(journal.position(&peer(1)).await.unwrap(), at(1, 8));
    assert_eq!(journal.position(&peer(2)).await.unwrap(), at(9, 1));
    assert_eq!(journal.last_seq(), 4);
    assert_eq!(journal.verify().await.unwrap().problems, []);
}

#[tokio::test]
async fn a_repeated_mark_writes_nothing_of_what_came_with_it() {
    let (_folder, path) = place();
    let journal = open(&path).await;
    journal.append_marked(vec![fact(1)], mark(1, 1, 7)).unwrap().await.unwrap();
    // In one group with others that are sound, before and behind it.
    let sound = journal.append(vec![fact(2)]).unwrap();
    let again = journal.append_marked(
        vec![fact(3)],
        Mark {
            events: events(&["e"]),
            quarantined: vec![Quarantined { seq: 7, why: "x".to_owned(), bytes: body(b"x") }],
            ..mark(1, 1, 7)
        },
    );
    let next = journal.append_marked(vec![fact(4)], mark(1, 1, 9)).unwrap();
    let behind = journal.append_marked(vec![fact(5)], mark(1, 1, 8)).unwrap();
    assert_eq!(sound.await.unwrap(), 2..=2);
    assert_eq!(not_ahead(again.unwrap().await), (7, 7));
    assert_eq!(next.await.unwrap(), 3..=3);
    assert_eq!(not_ahead(behind.await), (8, 9));
    let facts: Vec<i64> = journal.read_after(0, 10).await.unwrap().iter().map(|entry| entry.fact.at.0).collect();
    assert_eq!(facts, [1, 2, 4]);
    assert_eq!(journal.known_events(&peer(1), &events(&["e"])).await.unwrap(), HashSet::new());
    assert_eq!(journal.quarantined(None, 10).await.unwrap(), []);
    assert_eq!(journal.verify().await.unwrap().problems, []);
}

#[tokio::test]
async fn a_new_epoch_replaces_the_old_one_and_begins_anywhere() {
    let (_folder, path) = place();
    let journal = open(&path).await;
    journal.append_marked(vec![], mark(1, 1, 500)).unwrap().await.unwrap();
    journal.append_marked(vec![], mark(1, 2, 1)).unwrap().await.unwrap();
    assert_eq!(journal.position(&peer(1)).await.unwrap(), at(2, 1));
    assert_eq!(not_ahead(journal.append_marked(vec![], mark(1, 2, 1)).unwrap().await), (1, 1));
}

#[tokio::test]
async fn an_operator_sets_the_position_and_known_events_stay_known() {
    let (_folder, path) = place();
    let journal = open(&path).await;
    let taken = Mark { events: events(&["a"]), ..mark(1, 1, 500) };
    journal.append_marked(vec![], taken).unwrap().await.unwrap();
    journal.reset_position(&peer(1), at(1, 20)).await.unwrap();
    journal.append_marked(vec![], mark(1, 1, 21)).unwrap().await.unwrap();
    journal.reset_position(&peer(1), None).await.unwrap();
    assert_eq!(journal.position(&peer(1)).await.unwrap(), None);
    journal.close().await;
    let journal = open(&path).await;
    assert_eq!(journal.position(&peer(1)).await.unwrap(), None);
    assert_eq!(journal.known_events(&peer(1), &events(&["a", "b"])).await.unwrap().len(), 1);
    // For a peer that nobody knows there is nothing to forget, and something to set.
    journal.reset_position(&peer(7), None).await.unwrap();
    assert_eq!(journal.peers().await.unwrap().len(), 1);
    journal.reset_position(&peer(7), at(3, u64::MAX)).await.unwrap();
    assert_eq!(journal.position(&peer(7)).await.unwrap().unwrap().seq, SEQ_MAX);
}

#[tokio::test]
async fn events_are_known_again_in_another_epoch_but_not_of_another_peer() {
    let (_folder, path) = place();
    let journal = open(&path).await;
    let odd = ["parsec:77:1203344", "дверь \"1\"\\", "\u{1}", "a"];
    journal.append_marked(vec![], Mark { events: events(&odd), ..mark(1, 1, 5) }).unwrap().await.unwrap();
    journal.append_marked(vec![], Mark { events: events(&["b", "a"]), ..mark(1, 2, 1) }).unwrap().await.unwrap();
    let asked = events(&["a", "b", "c", "", odd[0], odd[1], odd[2]]);
    let known = journal.known_events(&peer(1), &asked).await.unwrap();
    let expected: HashSet<String> = events(&["a", "b", odd[0], odd[1], odd[2]]).into_iter().collect();
    assert_eq!(known, expected);
    assert_eq!(journal.known_events(&peer(2), &asked).await.unwrap(), HashSet::new());
    assert_eq!(journal.known_events(&peer(1), &[]).await.unwrap(), HashSet::new());
}

#[tokio::test]
async fn the_newest_hundred_thousand_events_of_a_peer_stay_known() {
    let (_folder, path) = place();
    let journal = open(&path).await;
    let mut waiting = Vec::new();
    let batches = EVENTS_KEPT / 100 + 110;
    for batch in 0..batches {
        let events = (0..100).map(|no| format!("event-{}", batch * 100 + no)).collect();
        waiting.push(journal.append_marked(vec![], Mark { events, ..mark(1, 1, batch + 1) }).unwrap());
        if waiting.len() == 50 {
            for pending in waiting.drain(..) {
                pending.await.unwrap();
            }
        }
    }
    for pending in waiting {
        pending.await.unwrap();
    }
    let last = batches * 100;
    let known = |no: u64| {
        let journal = journal.clone();
        async move { !journal.known_events(&peer(1), &[format!("event-{no}")]).await.unwrap().is_empty() }
    };
    assert!(known(last - 1).await && known(last - EVENTS_KEPT).await);
    assert!(!known(0).await && !known(999).await, "the oldest are gone");
    let kept = count(&path, "SELECT COUNT(*) FROM peer_event").await;
    assert!((EVENTS_KEPT - 2500..=EVENTS_KEPT * 11 / 10).contains(&kept), "{kept}, and the log");
}

#[tokio::test]
async fn marks_beyond_their_limits_are_refused_at_once() {
    let (_folder, path) = place();
    let journal = open(&path).await;
    let quarantined =
        |bytes: usize| Quarantined { seq: 1, why: String::new(), bytes: SealedBytes::from_stored(vec![0; bytes]) };
    let beyond = [
        Mark { events: vec!["e".to_owned(); 129], ..mark(1, 1, 1) },
        Mark { events: vec!["e".repeat(65)], ..mark(1, 1, 1) },
        Mark { events: vec![String::new()], ..mark(1, 1, 1) },
        mark(1, 1, SEQ_MAX + 1),
        Mark { quarantined: vec![quarantined(BODY_MAX_BYTES + 1)], ..mark(1, 1, 1) },
        Mark { quarantined: vec![quarantined(1); 65], ..mark(1, 1, 1) },
        Mark { quarantined: vec![quarantined(BODY_MAX_BYTES); 16], ..mark(1, 1, 1) },
    ];
    for mark in beyond {
        assert!(matches!(journal.append_marked(vec![fact(1)], mark), Err(Refused::Size(facts)) if facts == [fact(1)]));
    }
    let largest = Mark {
        events: (0..128).map(|no| format!("{no:064}")).collect(),
        quarantined: vec![quarantined(BODY_MAX_BYTES); 15],
        ..mark(1, 1, SEQ_MAX)
    };
    journal.append_marked(vec![fact(1); 64], largest).unwrap().await.unwrap();
    assert_eq!(journal.position(&peer(1)).await.unwrap().unwrap().seq, SEQ_MAX);
}

#[tokio::test]
async fn poison_is_kept_with_its_place_and_reason_the_newest_of_each_peer() {
    let (_folder, path) = place();
    let journal = open(&path).await;
    let key = SealKey::new([5; 32]);
    let poison =
        |seq: u64| Quarantined { seq, why: format!("{seq}: Point is missing"), bytes: body(b"<Msg>90,324</Msg>") };
    for no in 0..70_u64 {
        let quarantined = (1..=16).map(|nth| poison(no * 16 + nth)).collect();
        let mark = Mark { quarantined, ..mark(1, 1, no * 16 + 16) };
        journal.append_marked(vec![], mark).unwrap().await.unwrap();
    }
    let other = Mark { quarantined: vec![Quarantined { why: "ж".repeat(300), ..poison(3) }], ..mark(2, 4, 3) };
    journal.append_marked(vec![], other).unwrap().await.unwrap();
    let kept = journal.quarantined(Some(&peer(1)), usize::MAX).await.unwrap();
    assert_eq!((kept.len(), QUARANTINE_MAX), (1000, 1000));
    assert_eq!((kept[0].message.seq, kept[999].message.seq), (70 * 16, 70 * 16 - 999));
    assert_eq!((kept[0].epoch, kept[0].at, &kept[0].peer), (Epoch([1; 16]), UtcMillis(70 * 16), &peer(1)));
    assert_eq!(kept[0].message, poison(70 * 16));
    assert_eq!(key.open_bytes(&kept[0].message.bytes).unwrap().as_slice(), b"<Msg>90,324</Msg>");
    let all = journal.quarantined(None, 2).await.unwrap();
    assert_eq!((all.len(), &all[0].peer, all[0].message.why.len()), (2, &peer(2), 200));
    let records = journal.peers().await.unwrap();
    assert_eq!(records.iter().map(|it| it.quarantined).collect::<Vec<_>>(), [1000, 1]);
}

#[tokio::test]
async fn large_poison_is_bounded_by_bytes() {
    let (_folder, path) = place();
    let journal = open(&path).await;
    let large = |seq| Quarantined { seq, why: String::new(), bytes: SealedBytes::from_stored(vec![7; BODY_MAX_BYTES]) };
    for no in 1..=40 {
        let mark = Mark { quarantined: vec![large(no)], ..mark(1, 1, no) };
        journal.append_marked(vec![], mark).unwrap().await.unwrap();
    }
    let kept = journal.quarantined(Some(&peer(1)), 100).await.unwrap();
    assert_eq!(kept.len(), QUARANTINE_MAX_BYTES / BODY_MAX_BYTES);
    assert_eq!(kept[0].message.seq, 40);
}

#[tokio::test]
async fn messages_are_numbered_for_each_peer_and_wait_until_acknowledged() {
    let (_folder, path) = place();
    let journal = open(&path).await;
    assert_eq!(journal.post(&peer(1), vec![message(1), message(2)]).await.unwrap(), 1..=2);
    assert_eq!(journal.post(&peer(2), vec![message(9)]).await.unwrap(), 1..=1);
    assert_eq!(journal.post(&peer(1), vec![message(3)]).await.unwrap(), 3..=3);
    let waiting = journal.outgoing(&peer(1), 0, 10).await.unwrap();
    assert_eq!(waiting.iter().map(|it| (it.seq, it.id[0])).collect::<Vec<_>>(), [(1, 1), (2, 2), (3, 3)]);
    assert_eq!(waiting[2].body, body(&[3]));
    assert_eq!(journal.outgoing(&peer(1), 1, 1).await.unwrap()[0].seq, 2);
    journal.drop_outgoing(&peer(1), 2);
    journal.drop_outgoing(&peer(1), 1);
    let state = journal.outgoing_state(&peer(1)).await.unwrap();
    assert_eq!((state.epoch, state.last, state.dropped, state.waiting()), (Epoch([1; 16]), 3, 2, 1));
    // Who acknowledges more than there is, acknowledges all.
    journal.drop_outgoing(&peer(1), 50);
    journal.drop_outgoing(&peer(77), 50);
    assert_eq!(journal.outgoing_state(&peer(1)).await.unwrap().waiting(), 0);
    assert_eq!(journal.outgoing_state(&peer(77)).await.unwrap().last, 0);
    journal.close().await;
    let journal = open(&path).await;
    let state = journal.outgoing_state(&peer(1)).await.unwrap();
    assert_eq!((state.last, state.dropped, state.at_open), (3, 3, 3));
    assert_eq!(journal.outgoing(&peer(1), 0, 10).await.unwrap(), []);
    assert_eq!(count(&path, "SELECT COUNT(*) FROM peer_out").await, 1, "the other peer's");
    assert_eq!(journal.post(&peer(1), vec![message(4)]).await.unwrap(), 4..=4);
}

#[tokio::test]
async fn what_was_told_is_noted_with_the_message_the_last_note_of_a_key_counts() {
    let (_folder, path) = place();
    let journal = open(&path).await;
    let forget = |no, key: &str| Outgoing { note: Some(Note::Forget(key.to_owned())), ..message(no) };
    let first = vec![telling(1, "a", 1), telling(2, "b", 1), telling(3, "a", 2), message(4)];
    journal.post(&peer(1), first).await.unwrap();
    journal.post(&peer(2), vec![telling(1, "a", u64::MAX), telling(2, "c", 5), forget(3, "c")]).await.unwrap();
    assert_eq!(journal.told(&peer(1), None, 10).await.unwrap(), [told("a", 2), told("b", 1)]);
    assert_eq!(journal.told(&peer(2), None, 10).await.unwrap(), [told("a", u64::MAX)]);
    let second = vec![forget(5, "b"), telling(6, "ключ", 1), telling(7, "a", 3), forget(8, "unknown")];
    journal.post(&peer(1), second).await.unwrap();
    assert_eq!(journal.told(&peer(1), None, 10).await.unwrap(), [told("a", 3), told("ключ", 1)]);
    assert_eq!(journal.told(&peer(1), Some("a"), 10).await.unwrap(), [told("ключ", 1)]);
    assert_eq!(journal.told(&peer(1), None, 1).await.unwrap(), [told("a", 3)]);
    let records = journal.peers().await.unwrap();
    assert_eq!(records.iter().map(|it| it.told).collect::<Vec<_>>(), [2, 1]);
    // Acknowledged or not: what was told stays.
    journal.drop_outgoing(&peer(1), 8);
    journal.close().await;
    let journal = open(&path).await;
    assert_eq!(journal.told(&peer(1), None, 10).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_stream_begun_anew_starts_at_one_and_the_peer_was_told_nothing() {
    let (_folder, path) = place();
    let journal = open(&path).await;
    journal.append_marked(vec![], mark(1, 1, 3)).unwrap().await.unwrap();
    journal.post(&peer(1), vec![telling(1, "a", 1), telling(2, "b", 1)]).await.unwrap();
    journal.drop_outgoing(&peer(1), 2);
    journal.restart_outgoing(&peer(1), Epoch([8; 16])).await.unwrap();
    let state = journal.outgoing_state(&peer(1)).await.unwrap();
    assert_eq!((state.epoch, state.last, state.dropped, state.at_open), (Epoch([8; 16]), 0, 0, 0));
    assert_eq!(journal.told(&peer(1), None, 10).await.unwrap(), []);
    assert_eq!(journal.position(&peer(1)).await.unwrap(), at(1, 3), "what came in has nothing to do with it");
    assert_eq!(journal.post(&peer(1), vec![telling(3, "a", 1)]).await.unwrap(), 1..=1);
    assert_eq!(journal.peers().await.unwrap()[0].told, 1);
    journal.close().await;
    let journal = open(&path).await;
    assert_eq!(journal.outgoing_state(&peer(1)).await.unwrap().epoch, Epoch([8; 16]));
    assert_eq!(journal.outgoing(&peer(1), 0, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn nobody_can_fill_the_disk_with_messages_for_one_peer() {
    let (_folder, path) = place();
    let journal = open(&path).await;
    for _ in 0..OUTGOING_MAX / POST_MAX_MESSAGES as u64 {
        journal.post(&peer(1), (0..64).map(message).collect()).await.unwrap();
    }
    match journal.post(&peer(1), vec![message(1)]).await {
        Err(PostError::Full { waiting, .. }) => assert_eq!(waiting, OUTGOING_MAX),
        other => panic!("{other:?}"),
    }
    journal.post(&peer(2), vec![message(1)]).await.unwrap();
    journal.drop_outgoing(&peer(1), 1);
    assert_eq!(journal.post(&peer(1), vec![message(1)]).await.unwrap(), OUTGOING_MAX + 1..=OUTGOING_MAX + 1);
    let too_large = Outgoing { body: SealedBytes::from_stored(vec![0; BODY_MAX_BYTES + 1]), ..message(1) };
    for wrong in
        [vec![], vec![message(1); 65], vec![too_large], vec![telling(1, "", 1)], vec![telling(1, &"k".repeat(65), 1)]]
    {
        assert!(matches!(journal.post(&peer(2), wrong).await, Err(PostError::Size)));
    }
    let largest = Outgoing { body: SealedBytes::from_stored(vec![0; BODY_MAX_BYTES]), ..message(1) };
    journal.post(&peer(2), vec![largest; 64]).await.unwrap();
}

#[tokio::test]
async fn posts_and_taps_of_many_share_commits_and_keep_their_own_numbers() {
    let (_folder, path) = place();
    let journal = open(&path).await;
    let tasks: Vec<_> = (0..32_u32)
        .map(|no| {
            let journal = journal.clone();
            tokio::spawn(async move {
                for round in 1..=20_u64 {
                    let events = vec![format!("{no}-{round}")];
                    let mark = Mark { events, ..mark(no, 1, round) };
                    let marked = journal.append_marked(vec![fact(1)], mark).unwrap();
                    let plain = journal.append(vec![fact(2), fact(3)]).unwrap();
                    let posted = journal.post(&peer(no), vec![telling(1, "k", round)]).await.unwrap();
                    assert_eq!(posted, round..=round);
                    assert_eq!(marked.await.unwrap().count() + plain.await.unwrap().count(), 3);
                    journal.drop_outgoing(&peer(no), round - 1);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let found = journal.verify().await.unwrap();
    assert_eq!((found.range, found.problems), (Some((1, 32 * 20 * 3)), vec![]));
    let records = journal.peers().await.unwrap();
    assert_eq!(records.len(), 32);
    for record in records {
        assert_eq!((record.position.unwrap().seq, record.outgoing.last, record.told), (20, 20, 1));
        let no = record.peer.as_str().trim_start_matches("peer-");
        let ids: Vec<String> = (1..=20).map(|round| format!("{no}-{round}")).collect();
        assert_eq!(journal.known_events(&record.peer, &ids).await.unwrap().len(), 20);
    }
}

#[tokio::test]
async fn a_peer_that_is_gone_leaves_nothing_behind() {
    let (_folder, path) = place();
    let journal = open(&path).await;
    for no in [1, 2] {
        let quarantined = vec![Quarantined { seq: 1, why: String::new(), bytes: body(b"x") }];
        let mark = Mark { events: events(&["a"]), quarantined, ..mark(no, 1, 1) };
        journal.append_marked(vec![fact(1)], mark).unwrap().await.unwrap();
        journal.post(&peer(no), vec![telling(1, "a", 1)]).await.unwrap();
    }
    journal.forget_peer(&peer(1)).await.unwrap();
    journal.forget_peer(&peer(3)).await.unwrap();
    assert_eq!(journal.position(&peer(1)).await.unwrap(), None);
    assert_eq!(journal.peers().await.unwrap().len(), 1);
    for table in ["peer_event", "peer_quarantine", "peer_out", "peer_told"] {
        let sql = format!("SELECT COUNT(*) FROM {table}");
        assert_eq!(count(&path, Box::leak(sql.into_boxed_str())).await, 1, "{table}");
    }
    journal.append_marked(vec![], mark(1, 1, 1)).unwrap().await.unwrap();
    assert_eq!(journal.known_events(&peer(1), &events(&["a"])).await.unwrap(), HashSet::new());
    assert_eq!(journal.known_events(&peer(2), &events(&["a"])).await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_older_copy_put_back_is_found_by_what_the_peer_has() {
    let (folder, path) = place();
    let journal = open(&path).await;
    journal.post(&peer(1), vec![message(1), message(2)]).await.unwrap();
    journal.append_marked(vec![fact(1)], mark(1, 1, 10)).unwrap().await.unwrap();
    journal.close().await;
    let copy = folder.path().join("copy.db");
    std::fs::copy(&path, &copy).unwrap();
    let journal = open(&path).await;
    journal.post(&peer(1), vec![message(3), message(4)]).await.unwrap();
    journal.append_marked(vec![fact(2)], mark(1, 1, 20)).unwrap().await.unwrap();
    journal.close().await;
    std::fs::copy(&copy, &path).unwrap();

    let journal = open(&path).await;
    let peer_has = 4;
    assert!(peer_has > journal.outgoing_state(&peer(1)).await.unwrap().last);
    // Also when numbers were given again before the peer came back.
    journal.post(&peer(1), vec![message(5), message(6), message(7)]).await.unwrap();
    let state = journal.outgoing_state(&peer(1)).await.unwrap();
    assert!(peer_has <= state.last && peer_has > state.at_open, "{state:?}");
    assert_eq!(journal.position(&peer(1)).await.unwrap(), at(1, 10), "the peer keeps nothing behind 20: a gap");
}

#[tokio::test]
async fn a_journal_of_the_release_before_peers_is_read_and_raised() {
    let (_folder, path) = place();
    let journal = open(&path).await;
    journal.append(vec![fact(1), fact(2)]).unwrap().await.unwrap();
    journal.set_acked(1).unwrap();
    journal.close().await;
    let head = { JournalReader::open(&path).await.unwrap().verify().await.unwrap().head };
    for table in ["peer", "peer_log", "peer_event", "peer_quarantine", "peer_out", "peer_told"] {
        sql(&path, &format!("DROP TABLE {table}")).await;
    }
    sql(&path, "PRAGMA user_version = 1").await;

    let reader = JournalReader::open(&path).await.unwrap();
    assert_eq!((reader.read_after(0, 10).await.unwrap().len(), reader.peers().await.unwrap()), (2, vec![]));
    assert_eq!(reader.quarantined(None, 10).await.unwrap(), []);
    let journal = open(&path).await;
    assert_eq!((journal.last_seq(), journal.acked(), journal.epoch()), (2, 1, Epoch([1; 16])));
    assert_eq!(journal.verify().await.unwrap().head, head, "the chain is untouched");
    journal.append_marked(vec![fact(3)], mark(1, 1, 1)).unwrap().await.unwrap();
    assert_eq!(reader.peers().await.unwrap().len(), 1, "a reader that was open before sees it");
    reader.close().await;
    journal.close().await;
    assert_eq!(count(&path, "SELECT user_version FROM pragma_user_version").await, 2);
}

#[tokio::test]
async fn who_looks_on_sees_every_peer_at_one_moment_while_the_log_is_folded() {
    let (_folder, path) = place();
    let journal = open(&path).await;
    let reader = JournalReader::open(&path).await.unwrap();
    let looking = tokio::spawn(async move {
        let mut last = 0;
        while last < 9000 {
            let seen = reader.peers().await.unwrap().first().and_then(|record| record.position).map_or(0, |it| it.seq);
            assert!(seen >= last, "{seen} after {last}");
            last = seen;
        }
    });
    for seq in 0..100 {
        let seqs = seq * 90 + 1..=seq * 90 + 90;
        let pending: Vec<_> = seqs.map(|seq| journal.append_marked(vec![], mark(1, 1, seq)).unwrap()).collect();
        for pending in pending {
            pending.await.unwrap();
        }
    }
    tokio::time::timeout(std::time::Duration::from_secs(30), looking).await.unwrap().unwrap();
}

#[tokio::test]
async fn pruning_and_cursor_leave_peers_alone() {
    let (_folder, path) = place();
    let journal = open(&path).await;
    for seq in 1..=10 {
        let mark = Mark { events: vec![seq.to_string()], ..mark(1, 1, seq) };
        journal.append_marked(vec![fact(1)], mark).unwrap().await.unwrap();
    }
    journal.set_acked(10).unwrap();
    assert_eq!(journal.prune(0).await.unwrap(), 10);
    journal.close().await;
    let journal = open(&path).await;
    assert_eq!((journal.acked(), journal.position(&peer(1)).await.unwrap()), (10, at(1, 10)));
    assert_eq!(journal.known_events(&peer(1), &events(&["1", "10"])).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_closed_journal_says_so() {
    let (_folder, path) = place();
    let journal = open(&path).await;
    journal.close().await;
    assert!(
        matches!(journal.append_marked(vec![fact(1)], mark(1, 1, 1)), Err(Refused::Closed(facts)) if facts.len() == 1)
    );
    assert!(matches!(journal.post(&peer(1), vec![message(1)]).await, Err(PostError::Storage(_))));
    assert_eq!(*journal.position(&peer(1)).await.unwrap_err().fault(), Fault::Unavailable);
    journal.drop_outgoing(&peer(1), 1);
}

#[tokio::test]
async fn no_card_number_is_in_the_file_in_clear() {
    let (folder, path) = place();
    let journal = open(&path).await;
    let key = SealKey::new([5; 32]);
    let number = parse(CardFormat::UidHex, "04A1B2C3D4E5F6").unwrap();
    let text = format!("<Credential format=\"uid-hex\">{}</Credential>", &number.reveal()[4..]);
    let quarantined = vec![Quarantined { seq: 1, why: "no Point".to_owned(), bytes: key.seal_bytes(text.as_bytes()) }];
    journal.append_marked(vec![], Mark { quarantined, ..mark(1, 1, 1) }).unwrap().await.unwrap();
    let message = Outgoing { id: [1; 16], body: key.seal_bytes(text.as_bytes()), note: Some(Note::Told(told("a", 1))) };
    journal.post(&peer(1), vec![message]).await.unwrap();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(14).any(|window| window == b"04A1B2C3D4E5F6"));
        assert!(!bytes.windows(7).any(|window| window == [0x04, 0xA1, 0xB2, 0xC3, 0xD4, 0xE5, 0xF6]));
    }
}

async fn sql(path: &Path, statement: &str) {
    use sqlx::{ConnectOptions, Connection};
    let mut connection = sqlx::sqlite::SqliteConnectOptions::new().filename(path).connect().await.unwrap();
    sqlx::query(sqlx::AssertSqlSafe(statement.to_owned())).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

async fn count(path: &Path, statement: &'static str) -> u64 {
    use sqlx::{ConnectOptions, Connection};
    let mut connection = sqlx::sqlite::SqliteConnectOptions::new().filename(path).connect().await.unwrap();
    let count: i64 = sqlx::query_scalar(statement).fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    count.cast_unsigned()
}
