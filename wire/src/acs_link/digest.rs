//! The digest of a full resync: both ends make it of what they hold and compare. Owns the order and the line's form.
//! May import the checked values beside it.

use sha2::{Digest, Sha256};

use super::token::Token;

/// SHA-256 of the lines `key|rev`, each ending in a line feed, sorted by the bytes of the line: `a-b|3` stands before
/// `a|1`, for `-` does before `|`. Keys are unique, so the revision never decides. Of nothing it is the digest of the
/// empty text.
///
/// Sorts in place; time is that of sorting, memory is the caller's.
pub fn sync_digest(passes: &mut [(Token, u64)]) -> [u8; 32] {
    passes.sort_unstable_by(|(one, _), (other, _)| line(one).cmp(line(other)));
    let mut hash = Sha256::new();
    for (key, rev) in passes.iter() {
        hash.update(key.as_str());
        hash.update(format!("|{rev}\n"));
    }
    hash.finalize().into()
}

/// A line as far as it decides the order: no key holds the bar.
fn line(key: &Token) -> impl Iterator<Item = u8> {
    key.as_str().bytes().chain([b'|'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_that_of_sorted_lines() {
        // printf 'a|1\na-b|3\nb|2\n' | LC_ALL=C sort | sha256sum
        let known = "41b875f9ed689ca2dae5f11b8b525a32";
        let pass = |key: &str, rev| (Token::new(key).unwrap(), rev);
        let one = sync_digest(&mut [pass("b", 2), pass("a-b", 3), pass("a", 1)]);
        assert_eq!(one, sync_digest(&mut [pass("a", 1), pass("a-b", 3), pass("b", 2)]));
        assert_ne!(one, sync_digest(&mut [pass("a", 1), pass("b", 2)]));
        let hex: String = one.iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(hex.starts_with(known), "{hex}");
    }
}
