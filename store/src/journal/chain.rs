//! The chain: each entry carries SHA-256 over the previous link and its own canonical bytes, so that an edit, a
//! removal, an insertion or an exchange anywhere is found and located. Who can rewrite the whole tail can also compute
//! it anew: compare the head with one noted elsewhere to find that.

use domain::{Draft, Epoch, GatewayId};
use sha2::{Digest, Sha256};

/// One link: SHA-256.
pub(super) type Link = [u8; 32];

/// The link before entry 1.
pub(super) fn genesis(gateway: &GatewayId, epoch: Epoch) -> Link {
    let mut hash = Sha256::new();
    hash.update(b"tapward-journal-1");
    put(&mut hash, gateway.as_str().as_bytes());
    hash.update(epoch.0);
    hash.finalize().into()
}

/// The link of entry `seq`. Canonical bytes: seq and time as big-endian 64-bit numbers, then every text field in the
/// order of [`Draft`] with a 16-bit length plus one (0: absent), then the ids and the age with a presence byte.
pub(super) fn link(previous: &Link, seq: u64, fact: &Draft) -> Link {
    let mut hash = Sha256::new();
    hash.update(previous);
    hash.update(seq.to_be_bytes());
    hash.update(fact.at.0.to_be_bytes());
    put(&mut hash, fact.kind.as_str().as_bytes());
    maybe(&mut hash, fact.reason.map(|it| it.as_str()));
    maybe(&mut hash, fact.point.as_ref().map(|it| it.as_str()));
    maybe(&mut hash, fact.reader.as_ref().map(|it| it.as_str()));
    maybe(&mut hash, fact.direction.map(|it| it.as_str()));
    maybe_bytes(&mut hash, fact.card.map(|it| it.0).as_ref().map(<[u8; 16]>::as_slice));
    maybe_bytes(&mut hash, fact.person.map(|it| it.0).as_ref().map(<[u8; 16]>::as_slice));
    maybe_bytes(&mut hash, fact.age_ms.map(u32::to_be_bytes).as_ref().map(<[u8; 4]>::as_slice));
    maybe(&mut hash, fact.detail.as_deref());
    hash.finalize().into()
}

fn maybe(hash: &mut Sha256, text: Option<&str>) {
    maybe_bytes(hash, text.map(str::as_bytes));
}

fn maybe_bytes(hash: &mut Sha256, bytes: Option<&[u8]>) {
    match bytes {
        Some(bytes) => put(hash, bytes),
        None => hash.update([0, 0]),
    }
}

fn put(hash: &mut Sha256, bytes: &[u8]) {
    // Every field is far shorter than 64 KiB: names 64 bytes, details 200.
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX - 1);
    hash.update((length + 1).to_be_bytes());
    hash.update(bytes);
}

#[cfg(test)]
mod tests {
    use domain::{CardId, Direction, Kind, PersonId, PointId, ReaderId, Reason, UtcMillis};

    use super::*;

    fn full() -> Draft {
        Draft {
            at: UtcMillis(1_000),
            kind: Kind::Granted,
            reason: Some(Reason::Allowed),
            point: Some(PointId::new("p").unwrap()),
            reader: Some(ReaderId::new("r").unwrap()),
            direction: Some(Direction::In),
            card: Some(CardId([1; 16])),
            person: Some(PersonId([2; 16])),
            age_ms: Some(3),
            detail: Some("d".to_owned()),
        }
    }

    #[test]
    fn every_field_changes_the_link() {
        let base = link(&[0; 32], 1, &full());
        let changes: [fn(&mut Draft); 10] = [
            |it| it.at = UtcMillis(1_001),
            |it| it.kind = Kind::Refused,
            |it| it.reason = None,
            |it| it.point = Some(PointId::new("q").unwrap()),
            |it| it.reader = None,
            |it| it.direction = Some(Direction::Out),
            |it| it.card = Some(CardId([3; 16])),
            |it| it.person = None,
            |it| it.age_ms = Some(4),
            |it| it.detail = Some(String::new()),
        ];
        for (number, change) in changes.iter().enumerate() {
            let mut other = full();
            change(&mut other);
            assert_ne!(link(&[0; 32], 1, &other), base, "change {number}");
        }
        assert_ne!(link(&[0; 32], 2, &full()), base);
        assert_ne!(link(&[1; 32], 1, &full()), base);
    }

    #[test]
    fn a_text_cannot_move_to_the_next_field() {
        let mut left = full();
        left.point = Some(PointId::new("ab").unwrap());
        left.reader = Some(ReaderId::new("c").unwrap());
        let mut right = full();
        right.point = Some(PointId::new("a").unwrap());
        right.reader = Some(ReaderId::new("bc").unwrap());
        assert_ne!(link(&[0; 32], 1, &left), link(&[0; 32], 1, &right));
    }
}
