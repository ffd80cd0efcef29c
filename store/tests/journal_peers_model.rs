//! What the journal keeps of peers against a plain model in memory, over any order of calls and restarts.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests and what they share")]

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;

use domain::{Clock, Draft, Epoch, GatewayId, Kind, LineId, SealedBytes, UtcMillis};
use proptest::prelude::*;
use store::journal::{AppendError, Journal, Mark, MarkError, Message, Note, Outgoing, Position, Told};

const OWN_EPOCH: Epoch = Epoch([1; 16]);
const EVENTS: usize = 6;
const KEYS: usize = 4;

#[derive(Debug, Clone)]
enum Step {
    /// Of a peer's stream: life, distance from the position held, events, facts.
    Mark(usize, u8, i64, BTreeSet<usize>, usize),
    /// For a peer: each message with its note, told (with a revision) or forgotten.
    Post(usize, Vec<Option<(usize, Option<u64>)>>),
    Drop(usize, u64),
    Restart(usize, u8),
    Position(usize, Option<(u8, u64)>),
    Forget(usize),
    Facts(usize),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let peer = 0..3_usize;
    let events = proptest::collection::btree_set(0..EVENTS, 0..4);
    let note = proptest::option::of((0..KEYS, proptest::option::of(any::<u64>())));
    prop_oneof![
        6 => (peer.clone(), 0..2_u8, -1..4_i64, events, 0..3_usize)
            .prop_map(|(peer, life, ahead, events, facts)| Step::Mark(peer, life, ahead, events, facts)),
        5 => (peer.clone(), proptest::collection::vec(note, 1..4)).prop_map(|(peer, notes)| Step::Post(peer, notes)),
        3 => (peer.clone(), 0..12_u64).prop_map(|(peer, up_to)| Step::Drop(peer, up_to)),
        1 => (peer.clone(), any::<u8>()).prop_map(|(peer, life)| Step::Restart(peer, life)),
        1 => (peer.clone(), proptest::option::of((0..2_u8, 0..9_u64))).prop_map(|(peer, to)| Step::Position(peer, to)),
        1 => peer.prop_map(Step::Forget),
        1 => (1..3_usize).prop_map(Step::Facts),
        1 => Just(Step::Reopen),
    ]
}

/// What is known of one peer.
#[derive(Debug, Clone, Default, PartialEq)]
struct Known {
    position: Option<(u8, u64)>,
    events: BTreeSet<usize>,
    life: Option<u8>,
    last: u64,
    dropped: u64,
    messages: BTreeMap<u64, Vec<u8>>,
    told: BTreeMap<usize, u64>,
}

#[derive(Debug, Default)]
struct Model {
    peers: BTreeMap<usize, Known>,
    facts: u64,
    posts: u64,
}

fn peer(no: usize) -> LineId {
    LineId::new(&format!("peer-{no}")).unwrap()
}

fn event(no: usize) -> String {
    format!("event-{no}")
}

async fn open(path: &Path) -> Journal {
    let clock = Clock::new(|| UtcMillis(1));
    Journal::open(path, GatewayId::new("gw-1").unwrap(), OWN_EPOCH, &clock).await.unwrap()
}

fn facts(count: usize) -> Vec<Draft> {
    vec![Draft::new(UtcMillis(0), Kind::Passed); count]
}

async fn apply(journal: Journal, model: &mut Model, step: &Step, path: &Path) -> Journal {
    match step {
        Step::Mark(no, life, ahead, events, count) => {
            let held = model.peers.get(no).and_then(|known| known.position);
            let seq = held.map_or(0, |(_, seq)| seq).saturating_add_signed(*ahead);
            let mark = Mark {
                peer: peer(*no),
                epoch: Epoch([*life; 16]),
                seq,
                at: UtcMillis(0),
                events: events.iter().map(|no| event(*no)).collect(),
                quarantined: Vec::new(),
            };
            let outcome = journal.append_marked(facts(*count), mark).unwrap().await;
            match held.filter(|(of, held)| of == life && *held >= seq) {
                Some((_, held)) => {
                    let expected = MarkError::NotAhead { peer: peer(*no), seq, held };
                    assert!(matches!(outcome, Err(AppendError::Mark(error)) if error == expected));
                }
                None => {
                    let first = model.facts + 1;
                    model.facts += *count as u64;
                    assert_eq!(outcome.unwrap(), first..=model.facts);
                    let known = model.peers.entry(*no).or_default();
                    known.position = Some((*life, seq));
                    known.events.extend(events);
                }
            }
        }
        Step::Post(no, notes) => {
            let known = model.peers.entry(*no).or_default();
            let first = known.last + 1;
            let mut messages = Vec::new();
            for note in notes {
                model.posts += 1;
                known.last += 1;
                let body = model.posts.to_be_bytes().to_vec();
                known.messages.insert(known.last, body.clone());
                let note = note.map(|(key, rev)| match rev {
                    Some(rev) => {
                        known.told.insert(key, rev);
                        Note::Told(Told { key: format!("key-{key}"), rev, digest: [rev as u8; 16] })
                    }
                    None => {
                        known.told.remove(&key);
                        Note::Forget(format!("key-{key}"))
                    }
                });
                messages.push(Outgoing { id: [0; 16], body: SealedBytes::from_stored(body), note });
            }
            assert_eq!(journal.post(&peer(*no), messages).await.unwrap(), first..=known.last);
        }
        Step::Drop(no, up_to) => {
            journal.drop_outgoing(&peer(*no), *up_to);
            if let Some(known) = model.peers.get_mut(no) {
                known.dropped = known.dropped.max(known.last.min(*up_to));
            }
        }
        Step::Restart(no, life) => {
            journal.restart_outgoing(&peer(*no), Epoch([*life; 16])).await.unwrap();
            let known = model.peers.entry(*no).or_default();
            let (position, events) = (known.position, std::mem::take(&mut known.events));
            *known = Known { position, events, life: Some(*life), ..Known::default() };
        }
        Step::Position(no, to) => {
            let position = to.map(|(life, seq)| Position { epoch: Epoch([life; 16]), seq, at: UtcMillis(0) });
            journal.reset_position(&peer(*no), position).await.unwrap();
            if to.is_some() || model.peers.contains_key(no) {
                model.peers.entry(*no).or_default().position = *to;
            }
        }
        Step::Forget(no) => {
            journal.forget_peer(&peer(*no)).await.unwrap();
            model.peers.remove(no);
        }
        Step::Facts(count) => {
            let first = model.facts + 1;
            model.facts += *count as u64;
            assert_eq!(journal.append(facts(*count)).unwrap().await.unwrap(), first..=model.facts);
        }
        Step::Reopen => {
            journal.close().await;
            return open(path).await;
        }
    }
    journal
}

async fn compare(journal: &Journal, model: &Model) {
    let all: Vec<String> = (0..EVENTS).map(event).collect();
    for no in 0..3 {
        let known = model.peers.get(&no).cloned().unwrap_or_default();
        let position = journal.position(&peer(no)).await.unwrap();
        assert_eq!(position.map(|it| (it.epoch.0[0], it.seq)), known.position);
        let events = journal.known_events(&peer(no), &all).await.unwrap();
        assert_eq!(events, known.events.iter().map(|no| event(*no)).collect::<HashSet<_>>());
        let state = journal.outgoing_state(&peer(no)).await.unwrap();
        let epoch = known.life.map_or(OWN_EPOCH, |life| Epoch([life; 16]));
        assert_eq!((state.epoch, state.last, state.dropped), (epoch, known.last, known.dropped));
        let told = journal.told(&peer(no), None, 100).await.unwrap();
        let expected = known.told.iter().map(|(key, rev)| (format!("key-{key}"), *rev));
        assert_eq!(told.into_iter().map(|told| (told.key, told.rev)).collect::<Vec<_>>(), expected.collect::<Vec<_>>());
        let waiting = journal.outgoing(&peer(no), known.dropped, 1000).await.unwrap();
        let waiting: Vec<_> =
            waiting.into_iter().map(|Message { seq, body, .. }| (seq, body.as_bytes().to_vec())).collect();
        assert_eq!(waiting, known.messages.into_iter().filter(|(seq, _)| *seq > known.dropped).collect::<Vec<_>>());
    }
    let records = journal.peers().await.unwrap();
    assert_eq!(records.len(), model.peers.len());
    for (record, (no, known)) in records.iter().zip(&model.peers) {
        assert_eq!((&record.peer, record.told), (&peer(*no), known.told.len() as u64));
        assert_eq!(record.position.map(|it| (it.epoch.0[0], it.seq)), known.position);
    }
    let found = journal.verify().await.unwrap();
    assert_eq!((found.entries, found.problems), (model.facts, vec![]));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn the_journal_knows_of_peers_what_a_model_knows(steps in proptest::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("journal.db");
            let (mut journal, mut model) = (open(&path).await, Model::default());
            for (nth, step) in steps.iter().enumerate() {
                journal = apply(journal, &mut model, step, &path).await;
                if nth % 7 == 0 {
                    compare(&journal, &model).await;
                }
            }
            compare(&journal, &model).await;
            journal.close().await;
            compare(&open(&path).await, &model).await;
        });
    }
}
