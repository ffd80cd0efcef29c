//! Journals are taken in once, in order, and move people.

use clinic::ingest::{BATCH_MAX, Ingested, accept_hole, cursor, ingest};
use clinic::{events, policy, presence};
use domain::{Direction, Draft, Epoch, Kind};
use store::testing::both;

use crate::{NOW, card, entry, gateway, layout, passed, person, zone};

fn tap(seq: u64) -> domain::Entry {
    entry("gw-1", seq, Draft::new(NOW.plus_ms(seq.cast_signed()), Kind::Tap))
}

#[tokio::test]
async fn repetitions_overlaps_and_gaps_lose_and_double_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for database in both(folder.path()).await {
        let first: Vec<_> = (1..=3).map(tap).collect();
        let taken = ingest(&database, first.clone(), NOW).await.unwrap();
        assert_eq!(taken, Ingested::Committed { seq: 3, added: 3 }, "{database:?}");
        let again = ingest(&database, first, NOW).await.unwrap();
        assert_eq!(again, Ingested::Committed { seq: 3, added: 0 });
        let overlap = ingest(&database, (2..=5).map(tap).collect(), NOW).await.unwrap();
        assert_eq!(overlap, Ingested::Committed { seq: 5, added: 2 });
        assert_eq!(ingest(&database, vec![tap(7)], NOW).await.unwrap(), Ingested::Gap { have: 5 });
        assert_eq!(cursor(&database, &gateway("gw-1"), Epoch([5; 16])).await.unwrap(), 5);
        assert_eq!(cursor(&database, &gateway("gw-9"), Epoch([5; 16])).await.unwrap(), 0);
        let feed = events::after(&database, 0, 100).await.unwrap();
        assert_eq!(
            feed.iter().map(|event| (event.id, event.entry.seq)).collect::<Vec<_>>(),
            [(1, 1), (2, 2), (3, 3), (4, 4), (5, 5)]
        );
        assert_eq!(feed[0].entry, tap(1));
        assert_eq!(events::last_id(&database).await.unwrap(), 5);
    }
}

#[tokio::test]
async fn another_life_of_a_journal_and_another_gateway_count_from_one() {
    let folder = tempfile::tempdir().unwrap();
    for database in both(folder.path()).await {
        ingest(&database, vec![tap(1), tap(2)], NOW).await.unwrap();
        let mut reborn = tap(1);
        reborn.epoch = Epoch([6; 16]);
        assert_eq!(ingest(&database, vec![reborn], NOW).await.unwrap(), Ingested::Committed { seq: 1, added: 1 });
        let mut other = tap(1);
        other.gateway = gateway("gw-2");
        assert_eq!(ingest(&database, vec![other], NOW).await.unwrap(), Ingested::Committed { seq: 1, added: 1 });
        assert_eq!(events::last_id(&database).await.unwrap(), 4);
    }
}

#[tokio::test]
async fn a_malformed_batch_is_refused_as_a_whole() {
    let folder = tempfile::tempdir().unwrap();
    for database in both(folder.path()).await {
        let mut mixed = vec![tap(1), tap(2)];
        mixed[1].gateway = gateway("gw-2");
        let too_long = (1..=BATCH_MAX as u64 + 1).map(tap).collect();
        for batch in [vec![], vec![tap(0)], vec![tap(1), tap(3)], vec![tap(2), tap(1)], mixed, too_long] {
            assert_eq!(ingest(&database, batch, NOW).await.unwrap(), Ingested::Malformed);
        }
        assert_eq!(events::last_id(&database).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn a_hole_is_accepted_only_on_request_and_never_goes_back() {
    let folder = tempfile::tempdir().unwrap();
    for database in both(folder.path()).await {
        assert_eq!(ingest(&database, vec![tap(9)], NOW).await.unwrap(), Ingested::Gap { have: 0 });
        accept_hole(&database, &gateway("gw-1"), Epoch([5; 16]), 8).await.unwrap();
        accept_hole(&database, &gateway("gw-1"), Epoch([5; 16]), 3).await.unwrap();
        let taken = ingest(&database, vec![tap(9)], NOW).await.unwrap();
        assert_eq!(taken, Ingested::Committed { seq: 9, added: 1 }, "{database:?}");
    }
}

#[tokio::test]
async fn passages_move_people_and_grants_do_not() {
    let folder = tempfile::tempdir().unwrap();
    for database in both(folder.path()).await {
        policy::put_layout(&database, layout(), NOW).await.unwrap();
        let granted = Draft { kind: Kind::Granted, ..passed(0, 1, "turnstile-1", Direction::In) };
        ingest(&database, vec![entry("gw-1", 1, granted)], NOW).await.unwrap();
        assert_eq!(presence::whereabouts(&database, person(1)).await.unwrap(), None);
        let facts = [
            passed(1, 1, "turnstile-1", Direction::In),
            passed(2, 2, "turnstile-1", Direction::In),
            passed(3, 1, "door-1", Direction::In),
            passed(4, 1, "desk-1", Direction::In),
            passed(5, 3, "no-such-point", Direction::In),
        ];
        let batch = facts.into_iter().zip(2..).map(|(fact, seq)| entry("gw-1", seq, fact)).collect();
        ingest(&database, batch, NOW).await.unwrap();
        let at = |seconds: i64| NOW.plus_ms(seconds * 1000);
        assert_eq!(presence::whereabouts(&database, person(1)).await.unwrap(), Some((zone("ward"), at(3))));
        assert_eq!(presence::whereabouts(&database, person(2)).await.unwrap(), Some((zone("hall"), at(2))));
        assert_eq!(presence::whereabouts(&database, person(3)).await.unwrap(), None);
        let inside = presence::inside(&database, None, 10).await.unwrap();
        assert_eq!(
            inside.iter().map(|it| (it.person, it.card)).collect::<Vec<_>>(),
            [(person(1), Some(card(1))), (person(2), Some(card(2)))]
        );
        assert_eq!(presence::inside(&database, Some(&zone("hall")), 10).await.unwrap().len(), 1);
        let counts = presence::counts(&database).await.unwrap();
        assert_eq!(
            counts.iter().map(|it| (it.zone.as_str(), it.persons)).collect::<Vec<_>>(),
            [("hall", 1), ("ward", 1)]
        );
        ingest(&database, vec![entry("gw-1", 7, passed(9, 2, "turnstile-1", Direction::Out))], NOW).await.unwrap();
        assert_eq!(presence::inside(&database, None, 10).await.unwrap().len(), 1, "the street is not inside");
    }
}

#[tokio::test]
async fn an_earlier_passage_that_arrives_late_brings_nobody_back() {
    let folder = tempfile::tempdir().unwrap();
    for database in both(folder.path()).await {
        policy::put_layout(&database, layout(), NOW).await.unwrap();
        ingest(&database, vec![entry("gw-1", 1, passed(10, 1, "turnstile-1", Direction::Out))], NOW).await.unwrap();
        ingest(&database, vec![entry("gw-2", 1, passed(5, 1, "door-1", Direction::In))], NOW).await.unwrap();
        assert_eq!(presence::inside(&database, None, 10).await.unwrap(), []);
        // Within one batch, too: the clock of a gateway was set back.
        let batch = vec![
            entry("gw-1", 2, passed(20, 2, "turnstile-1", Direction::Out)),
            entry("gw-1", 3, passed(15, 2, "turnstile-1", Direction::In)),
        ];
        ingest(&database, batch, NOW).await.unwrap();
        assert_eq!(presence::inside(&database, None, 10).await.unwrap(), []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_of_the_feed_misses_nothing_while_many_write() {
    const WRITERS: u64 = 6;
    const BATCHES: u64 = 12;
    const SIZE: u64 = 7;
    let folder = tempfile::tempdir().unwrap();
    for database in both(folder.path()).await {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let database = database.clone();
                tokio::spawn(async move {
                    for batch in 0..BATCHES {
                        let entries: Vec<_> = (batch * SIZE + 1..=(batch + 1) * SIZE)
                            .map(|seq| entry(&format!("gw-{writer}"), seq, Draft::new(NOW, Kind::Tap)))
                            .collect();
                        // As a bridge does: an engine that is too busy is asked again.
                        while let Err(error) = ingest(&database, entries.clone(), NOW).await {
                            assert!(error.is_transient(), "{error}");
                        }
                    }
                })
            })
            .collect();
        let mut seen = Vec::new();
        while seen.len() < usize::try_from(WRITERS * BATCHES * SIZE).unwrap() {
            let after = seen.last().copied().unwrap_or(0);
            seen.extend(events::after(&database, after, 50).await.unwrap().iter().map(|event| event.id));
        }
        for writer in writers {
            writer.await.unwrap();
        }
        assert_eq!(seen, (1..=WRITERS * BATCHES * SIZE).collect::<Vec<_>>(), "{database:?}");
    }
}
