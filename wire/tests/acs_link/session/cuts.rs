//! The connection is lost at every message, and at any byte: nothing is lost, doubled or reordered.

use proptest::prelude::*;

use super::rig::*;
use crate::documents::accepted_by_xmllint;
use wire::acs_link::*;

/// Two nodes with so many messages for each other; the gateway connects if `reverse`.
fn nodes(events: usize, commands: usize, reverse: bool) -> [Node; 2] {
    let (mut acs, mut gw) = (Node::new(Role::Acs, 1), Node::new(Role::Gw, 2));
    acs.record(events);
    gw.record(commands);
    if reverse { [gw, acs] } else { [acs, gw] }
}

fn assert_all_arrived(nodes: &[Node; 2]) {
    for (from, to) in [(0, 1), (1, 0)] {
        assert_eq!(nodes[to].held(), nodes[from].journal, "from {:?}", nodes[from].role);
        assert_eq!(nodes[from].acked.unwrap_or(0), nodes[from].journal.len() as u64, "from {:?}", nodes[from].role);
    }
}

#[test]
fn everything_arrives_over_a_good_connection() {
    for reverse in [false, true] {
        let mut nodes = nodes(100, 40, reverse);
        let mut pipe = Pipe::new(&nodes, ms(0));
        pipe.settle(&mut nodes, 1 << 20);
        assert_all_arrived(&nodes);
        assert!(pipe.documents.len() > 140 && accepted_by_xmllint(&pipe.documents).into_iter().all(|fine| fine));
    }
}

#[test]
fn everything_arrives_byte_by_byte() {
    let mut nodes = nodes(10, 5, false);
    Pipe::new(&nodes, ms(0)).settle(&mut nodes, 1);
    assert_all_arrived(&nodes);
}

/// With every frame as the last one that gets through, whoever sent it, and stores of every size.
#[test]
fn a_cut_after_any_message_loses_doubles_and_reorders_nothing() {
    for (reverse, batch) in [(false, 1), (true, 1), (false, 3), (true, 3)] {
        let mut cut_after = 0;
        loop {
            let mut nodes = nodes(12, 7, reverse);
            for node in &mut nodes {
                node.batch = batch;
            }
            let mut pipe = Pipe::new(&nodes, ms(0));
            let mut ended = false;
            for _ in 0..2_000 {
                // One frame at a time: chunks as long as the first frame that waits.
                let chunk = pipe
                    .way
                    .iter()
                    .filter_map(|way| way.first_chunk::<4>())
                    .map(|length| u32::from_be_bytes(*length) as usize + 4);
                let chunk = chunk.min().unwrap_or(1);
                if pipe.frames >= cut_after {
                    ended = true;
                    break;
                }
                pipe.turn(&mut nodes, chunk);
                pipe.t += ms(5);
            }
            for node in &mut nodes {
                node.waiting.clear();
            }
            let mut again = Pipe::new(&nodes, pipe.t);
            again.settle(&mut nodes, 1 << 20);
            assert_all_arrived(&nodes);
            assert_eq!(nodes.iter().map(Node::codes).collect::<Vec<_>>(), [[], []]);
            if !ended {
                break;
            }
            cut_after += 1;
        }
        assert!(cut_after > 20, "only {cut_after} frames went");
    }
}

/// Acknowledgements are the messages that get lost, every one of them: repetitions come and are dropped.
#[test]
fn every_lost_acknowledgement_is_given_again() {
    for lost in 0..12 {
        let mut nodes = nodes(12, 0, false);
        let mut pipe = Pipe::new(&nodes, ms(0));
        let mut acknowledged = 0;
        for _ in 0..500 {
            pipe.turn(&mut nodes, 1 << 20);
            pipe.t += ms(20);
            let held = nodes[1].held().len();
            if held > lost && nodes[0].acked.unwrap_or(0) as usize <= lost {
                // Stored, and not yet acknowledged: cut here.
                acknowledged = held;
                break;
            }
        }
        assert!(acknowledged > lost, "no acknowledgement to lose at {lost}");
        let mut again = Pipe::new(&nodes, pipe.t);
        again.settle(&mut nodes, 1 << 20);
        assert_all_arrived(&nodes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Any number of connections, each cut after so many bytes; nodes record more between them, store late, and lose
    /// what they did not store.
    #[test]
    fn nothing_is_lost_doubled_or_reordered_whatever_the_connection_does(
        reverse: bool,
        connections in prop::collection::vec((1_usize..6_000, 1_usize..700, 0_usize..6, 0_usize..6, 1_usize..6), 1..12),
    ) {
        let mut nodes = nodes(3, 3, reverse);
        let mut t = ms(0);
        for (bytes, chunk, more, others, batch) in connections {
            nodes[0].record(more);
            nodes[1].record(others);
            for node in &mut nodes {
                node.batch = batch;
            }
            let mut pipe = Pipe::new(&nodes, t);
            let mut left = bytes;
            while left > 0 && pipe.turn(&mut nodes, chunk.min(left)) && pipe.t < t + ms(60_000) {
                left = left.saturating_sub(chunk);
                pipe.t += ms(7);
            }
            t = pipe.t;
            for node in &mut nodes {
                node.waiting.clear();
            }
            prop_assert_eq!(nodes.iter().map(Node::codes).collect::<Vec<_>>(), [[], []]);
            for (from, to) in [(0, 1), (1, 0)] {
                prop_assert!(nodes[from].journal.starts_with(nodes[to].held()));
                prop_assert!(nodes[from].acked.unwrap_or(0) as usize <= nodes[to].held().len());
            }
        }
        Pipe::new(&nodes, t).settle(&mut nodes, 1 << 20);
        assert_all_arrived(&nodes);
    }

    /// The same, and now and then one node loses its journal and begins a new epoch, or forgets what the peer
    /// acknowledged: what is recorded in the present epoch arrives all the same, once and in order.
    #[test]
    fn a_new_epoch_begins_at_one_and_loses_nothing(
        reverse: bool,
        connections in prop::collection::vec((1_usize..4_000, 1_usize..700, 0_usize..6, any::<bool>(), any::<bool>()), 1..10),
    ) {
        let mut nodes = nodes(5, 5, reverse);
        let mut t = ms(0);
        for (epoch, (bytes, chunk, more, first, anew)) in (10..).zip(connections) {
            let mut pipe = Pipe::new(&nodes, t);
            let mut left = bytes;
            while left > 0 && pipe.turn(&mut nodes, chunk.min(left)) && pipe.t < t + ms(60_000) {
                left = left.saturating_sub(chunk);
                pipe.t += ms(7);
            }
            t = pipe.t;
            prop_assert_eq!(nodes.iter().map(Node::codes).collect::<Vec<_>>(), [[], []]);
            let place = usize::from(!first);
            if anew {
                let known = nodes[place].known.clone();
                nodes[place] = Node { known, ..Node::new(nodes[place].role, epoch) };
            }
            nodes[place].record(more);
            for node in &mut nodes {
                node.waiting.clear();
            }
        }
        Pipe::new(&nodes, t).settle(&mut nodes, 1 << 20);
        assert_all_arrived(&nodes);
    }
}
