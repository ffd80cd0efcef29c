//! The tree of RFC 9162, grown leaf by leaf. What must be kept to go on is its peaks: the roots of the complete
//! subtrees of which it consists now, at most one of each height.

use sha2::{Digest as _, Sha256};

use super::TreeHash;

/// The hash of a leaf: `SHA-256(0x00 || bytes)`.
pub fn leaf_hash(bytes: &[u8]) -> TreeHash {
    let mut hash = Sha256::new();
    hash.update([0]);
    hash.update(bytes);
    TreeHash(hash.finalize().into())
}

/// The hash of a node: `SHA-256(0x01 || left || right)`.
pub fn node_hash(left: &TreeHash, right: &TreeHash) -> TreeHash {
    let mut hash = Sha256::new();
    hash.update([1]);
    hash.update(left.0);
    hash.update(right.0);
    TreeHash(hash.finalize().into())
}

/// The root of a tree without leaves: `SHA-256("")`.
pub fn empty_root() -> TreeHash {
    TreeHash(Sha256::digest([]).into())
}

/// Where a complete subtree stands: it has `2^level` leaves, the last of which is entry `upto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node {
    /// Number of the last entry below it.
    pub upto: u64,
    /// Its height: 0 is a leaf.
    pub level: u32,
}

impl Node {
    /// Number of the first entry below it.
    pub const fn first(self) -> u64 {
        self.upto + 1 - (1 << self.level)
    }
}

/// The state of a growing tree.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Peaks {
    size: u64,
    hashes: Vec<TreeHash>,
}

impl Peaks {
    /// A tree of `size` leaves with these peaks, the highest first; `None` if it has another number of them.
    pub fn new(size: u64, hashes: Vec<TreeHash>) -> Option<Self> {
        let fits = u32::try_from(hashes.len()).is_ok_and(|count| count == size.count_ones());
        fits.then_some(Self { size, hashes })
    }

    /// Rebuilds a state from what [`Peaks::to_text`] gave; `None` if the text is not that of a tree of this size.
    pub fn from_text(size: u64, text: &str) -> Option<Self> {
        let (hashes, rest) = text.as_bytes().as_chunks::<64>();
        if !rest.is_empty() {
            return None;
        }
        let read = |digits: &[u8; 64]| std::str::from_utf8(digits).ok()?.parse().ok();
        Self::new(size, hashes.iter().map(read).collect::<Option<_>>()?)
    }

    /// The peaks in hexadecimal digits, the highest first, one after the other.
    pub fn to_text(&self) -> String {
        self.hashes.iter().map(TreeHash::to_string).collect()
    }

    /// The peaks, the highest first.
    pub fn hashes(&self) -> &[TreeHash] {
        &self.hashes
    }

    /// How many leaves there are.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf; `made` is told each node above leaves that it completes, the lowest first.
    pub fn append(&mut self, leaf: TreeHash, mut made: impl FnMut(Node, TreeHash)) {
        let upto = self.size + 1;
        let (mut hash, mut level) = (leaf, 0);
        while self.size >> level & 1 == 1 {
            let Some(left) = self.hashes.pop() else { break };
            hash = node_hash(&left, &hash);
            level += 1;
            made(Node { upto, level }, hash);
        }
        self.hashes.push(hash);
        self.size = upto;
    }

    /// The root of the whole.
    pub fn root(&self) -> TreeHash {
        fold(&self.hashes).unwrap_or_else(empty_root)
    }
}

/// The root above peaks, the highest first; `None` for none.
pub(super) fn fold(peaks: &[TreeHash]) -> Option<TreeHash> {
    let (last, rest) = peaks.split_last()?;
    Some(rest.iter().rev().fold(*last, |right, left| node_hash(left, &right)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hex(hash: TreeHash) -> String {
        hash.to_string()
    }

    /// The recursive definition, word by word.
    pub fn by_definition(leaves: &[TreeHash]) -> TreeHash {
        match leaves {
            [] => empty_root(),
            [one] => *one,
            many => {
                let left = many.len().next_power_of_two() / 2;
                node_hash(&by_definition(&many[..left]), &by_definition(&many[left..]))
            }
        }
    }

    /// Leaves and roots of the certificate transparency project's own reference tests.
    #[test]
    fn roots_are_those_of_the_reference_tree() {
        let leaves: [&[u8]; 8] = [
            b"",
            b"\x00",
            b"\x10",
            b"\x20\x21",
            b"\x30\x31",
            b"\x40\x41\x42\x43",
            b"\x50\x51\x52\x53\x54\x55\x56\x57",
            b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
        ];
        let roots = [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        let mut peaks = Peaks::default();
        assert_eq!(hex(peaks.root()), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        for (leaf, root) in leaves.iter().zip(roots) {
            peaks.append(leaf_hash(leaf), |_, _| {});
            assert_eq!(hex(peaks.root()), root);
        }
    }

    #[test]
    fn peaks_of_a_wrong_number_are_refused() {
        let mut peaks = Peaks::default();
        for leaf in 0..5 {
            peaks.append(leaf_hash(&[leaf]), |_, _| {});
        }
        let text = peaks.to_text();
        assert_eq!(Peaks::from_text(5, &text), Some(peaks));
        assert_eq!(Peaks::from_text(4, &text), None);
        assert_eq!(Peaks::from_text(5, &text[1..]), None);
        assert_eq!(Peaks::from_text(5, &text.to_uppercase()), None);
        assert_eq!(Peaks::from_text(0, ""), Some(Peaks::default()));
    }

    proptest! {
        #[test]
        fn growing_gives_the_root_of_the_definition(count in 0_usize..300) {
            let leaves: Vec<TreeHash> = (0..count).map(|n| leaf_hash(&n.to_be_bytes())).collect();
            let mut peaks = Peaks::default();
            for leaf in &leaves {
                peaks.append(*leaf, |node, hash| {
                    let below = &leaves[node.first() as usize - 1..node.upto as usize];
                    assert_eq!(below.len(), 1 << node.level);
                    assert_eq!(hash, by_definition(below));
                });
            }
            prop_assert_eq!(peaks.size(), count as u64);
            prop_assert_eq!(peaks.root(), by_definition(&leaves));
            prop_assert_eq!(Peaks::from_text(peaks.size(), &peaks.to_text()), Some(peaks));
        }
    }
}
