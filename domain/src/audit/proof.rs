//! Proofs: that an entry is in a tree (RFC 9162, 2.1.3) and that a tree continues an earlier one (2.1.4).
//!
//! Making one is a dialogue without input or output: [`inclusion_wants`] and [`consistency_wants`] say which complete
//! subtrees are needed, the caller fetches their hashes, and [`Want::hash`] folds them to the hashes of the path.

use super::tree::fold;
use super::{Node, TreeHash, node_hash};

/// Entries `first ..= last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Number of the first entry.
    pub first: u64,
    /// Number of the last entry.
    pub last: u64,
}

/// One hash of a path: that of the subtree over a span, which at the right edge consists of several complete ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Want {
    /// Which entries it stands over.
    pub span: Span,
    /// The complete subtrees of which it consists, the highest first; never empty.
    pub nodes: Vec<Node>,
}

impl Want {
    /// The subtree over entries `first ..= last`, where the tree has one: from the beginning, or as a path needs it.
    pub fn over(first: u64, last: u64) -> Self {
        let (mut nodes, mut from) = (Vec::new(), first);
        while from <= last {
            let level = (last - from + 1).ilog2();
            let upto = from + (1 << level) - 1;
            nodes.push(Node { upto, level });
            from = upto + 1;
        }
        Self { span: Span { first, last }, nodes }
    }

    /// The hash, from those of [`Want::nodes`] in their order; `None` for none.
    pub fn hash(&self, found: &[TreeHash]) -> Option<TreeHash> {
        if found.len() == self.nodes.len() { fold(found) } else { None }
    }
}

/// The largest power of two below `n`, for `n` of at least 2.
const fn split(n: u64) -> u64 {
    1 << (n - 1).ilog2()
}

/// What the path of entry `no` in a tree of `size` entries needs, the lowest first; `None` if there is no such entry.
pub fn inclusion_wants(no: u64, size: u64) -> Option<Vec<Want>> {
    if no == 0 || no > size {
        return None;
    }
    let (mut first, mut last) = (1, size);
    let mut wants = Vec::new();
    while first < last {
        let middle = first + split(last - first + 1);
        if no < middle {
            wants.push(Want::over(middle, last));
            last = middle - 1;
        } else {
            wants.push(Want::over(first, middle - 1));
            first = middle;
        }
    }
    wants.reverse();
    Some(wants)
}

/// What the proof that a tree of `size` entries continues its state of `earlier` entries needs; empty if the two are
/// the same, `None` if `earlier` is none or more.
pub fn consistency_wants(earlier: u64, size: u64) -> Option<Vec<Want>> {
    if earlier == 0 || earlier > size {
        return None;
    }
    let (mut first, mut last, mut whole) = (1, size, true);
    let mut wants = Vec::new();
    while last != earlier {
        let middle = first + split(last - first + 1);
        if earlier < middle {
            wants.push(Want::over(middle, last));
            last = middle - 1;
        } else {
            wants.push(Want::over(first, middle - 1));
            first = middle;
            whole = false;
        }
    }
    if !whole {
        wants.push(Want::over(first, last));
    }
    wants.reverse();
    Some(wants)
}

/// That an entry is in a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inclusion {
    /// The entry's number.
    pub no: u64,
    /// The size of the tree.
    pub size: u64,
    /// The hashes beside the way from the leaf up to the root.
    pub path: Vec<TreeHash>,
}

impl Inclusion {
    /// The root to which leaf and path lead (RFC 9162, 2.1.3.2); `None` if the path has not the right length. The entry
    /// is in the tree if this is the tree's root.
    pub fn root(&self, leaf: TreeHash) -> Option<TreeHash> {
        if self.no == 0 || self.no > self.size {
            return None;
        }
        let (mut at, mut last, mut hash) = (self.no - 1, self.size - 1, leaf);
        for beside in &self.path {
            if last == 0 {
                return None;
            }
            if at & 1 == 1 || at == last {
                hash = node_hash(beside, &hash);
                while at & 1 == 0 && at != 0 {
                    at >>= 1;
                    last >>= 1;
                }
            } else {
                hash = node_hash(&hash, beside);
            }
            at >>= 1;
            last >>= 1;
        }
        (last == 0).then_some(hash)
    }

    /// Whether it shows that `leaf` is in the tree of this root.
    pub fn holds(&self, leaf: TreeHash, root: TreeHash) -> bool {
        self.root(leaf) == Some(root)
    }
}

/// That a tree continues an earlier one: nothing up to then was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consistency {
    /// The earlier size; never 0.
    pub earlier: u64,
    /// The later size.
    pub size: u64,
    /// The hashes of RFC 9162, 2.1.4.1.
    pub path: Vec<TreeHash>,
}

impl Consistency {
    /// Whether it shows that the tree of root `root` continues the one of root `earlier_root` (RFC 9162, 2.1.4.2).
    pub fn holds(&self, earlier_root: TreeHash, root: TreeHash) -> bool {
        if self.earlier == 0 || self.earlier > self.size {
            return false;
        }
        if self.earlier == self.size {
            return self.path.is_empty() && earlier_root == root;
        }
        let whole = self.earlier.is_power_of_two();
        let mut hashes = whole.then_some(&earlier_root).into_iter().chain(&self.path);
        let Some(first) = hashes.next() else { return false };
        let (mut at, mut last) = (self.earlier - 1, self.size - 1);
        while at & 1 == 1 {
            at >>= 1;
            last >>= 1;
        }
        let (mut old, mut new) = (*first, *first);
        for hash in hashes {
            if last == 0 {
                return false;
            }
            if at & 1 == 1 || at == last {
                old = node_hash(hash, &old);
                new = node_hash(hash, &new);
                while at & 1 == 0 && at != 0 {
                    at >>= 1;
                    last >>= 1;
                }
            } else {
                new = node_hash(&new, hash);
            }
            at >>= 1;
            last >>= 1;
        }
        last == 0 && old == earlier_root && new == root
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;
    use crate::audit::{Peaks, leaf_hash};

    /// A tree with all that a store keeps of it.
    struct Tree {
        nodes: HashMap<Node, TreeHash>,
        roots: Vec<TreeHash>,
    }

    impl Tree {
        fn of(size: u64) -> Self {
            let (mut peaks, mut nodes) = (Peaks::default(), HashMap::new());
            let mut roots = vec![peaks.root()];
            for no in 1..=size {
                nodes.insert(Node { upto: no, level: 0 }, leaf(no));
                peaks.append(leaf(no), |node, hash| {
                    nodes.insert(node, hash);
                });
                roots.push(peaks.root());
            }
            Self { nodes, roots }
        }

        fn path(&self, wants: &[Want]) -> Vec<TreeHash> {
            let hash = |want: &Want| {
                let found: Vec<TreeHash> = want.nodes.iter().map(|node| self.nodes[node]).collect();
                want.hash(&found).unwrap()
            };
            wants.iter().map(hash).collect()
        }

        fn inclusion(&self, no: u64, size: u64) -> Inclusion {
            Inclusion { no, size, path: self.path(&inclusion_wants(no, size).unwrap()) }
        }

        fn consistency(&self, earlier: u64, size: u64) -> Consistency {
            Consistency { earlier, size, path: self.path(&consistency_wants(earlier, size).unwrap()) }
        }
    }

    fn leaf(no: u64) -> TreeHash {
        leaf_hash(&no.to_be_bytes())
    }

    #[test]
    fn every_entry_of_every_small_tree_is_proved_and_no_other() {
        let tree = Tree::of(40);
        for size in 1..=40 {
            let root = tree.roots[size as usize];
            for no in 1..=size {
                let proof = tree.inclusion(no, size);
                assert!(proof.holds(leaf(no), root), "{no} in {size}");
                for other in (1..=size).filter(|other| *other != no) {
                    assert!(!proof.holds(leaf(other), root), "{other} by the proof of {no} in {size}");
                    assert!(!Inclusion { no: other, ..proof.clone() }.holds(leaf(no), root), "{no} as {other}");
                }
            }
        }
        assert_eq!((inclusion_wants(0, 5), inclusion_wants(6, 5)), (None, None));
    }

    #[test]
    fn every_small_tree_continues_its_earlier_states_and_no_others() {
        let tree = Tree::of(40);
        for size in 1..=40_u64 {
            for earlier in 1..=size {
                let proof = tree.consistency(earlier, size);
                let (old, new) = (tree.roots[earlier as usize], tree.roots[size as usize]);
                assert!(proof.holds(old, new), "{earlier} to {size}");
                assert!(!proof.holds(leaf(99), new) && !proof.holds(old, leaf(99)));
                if earlier != size {
                    assert!(!proof.holds(new, old));
                    assert!(!Consistency { earlier: earlier + 1, ..proof }.holds(old, new));
                }
            }
        }
        assert_eq!((consistency_wants(0, 5), consistency_wants(6, 5)), (None, None));
    }

    #[test]
    fn a_path_stays_short() {
        let longest = (1..=1_000_u64).map(|no| inclusion_wants(no * 999, 1_000_000).unwrap().len()).max();
        assert_eq!(longest, Some(20));
    }

    proptest! {
        #[test]
        fn a_changed_proof_does_not_hold(
            size in 2_u64..2_000, pick in any::<prop::sample::Index>(), byte in any::<prop::sample::Index>(), bit in 0..8
        ) {
            let tree = Tree::of(size);
            let no = pick.index(size as usize) as u64 + 1;
            let root = tree.roots[size as usize];
            let proof = tree.inclusion(no, size);
            prop_assert!(proof.holds(leaf(no), root));
            let mut bent = proof.clone();
            let at = byte.index(bent.path.len() * 32);
            bent.path[at / 32].0[at % 32] ^= 1_u8 << bit;
            prop_assert!(!bent.holds(leaf(no), root));
            let mut longer = proof.clone();
            longer.path.push(leaf(0));
            prop_assert!(!longer.holds(leaf(no), root));
            let mut shorter = proof;
            shorter.path.pop();
            prop_assert!(!shorter.holds(leaf(no), root));
            let earlier = no;
            let mut later = tree.consistency(earlier, size);
            let old = tree.roots[earlier as usize];
            prop_assert!(later.holds(old, root));
            if !later.path.is_empty() {
                let at = byte.index(later.path.len() * 32);
                later.path[at / 32].0[at % 32] ^= 1_u8 << bit;
                prop_assert!(!later.holds(old, root));
            }
        }

        #[test]
        fn hostile_proofs_of_any_shape_are_answered(
            no in any::<u64>(), size in any::<u64>(), path in prop::collection::vec(any::<[u8; 32]>(), 0..80)
        ) {
            let path: Vec<TreeHash> = path.into_iter().map(TreeHash).collect();
            let inclusion = Inclusion { no, size, path: path.clone() };
            prop_assert!(!inclusion.holds(leaf(1), leaf(2)));
            let consistency = Consistency { earlier: no, size, path };
            prop_assert!(!consistency.holds(leaf(1), leaf(2)));
        }
    }
}
