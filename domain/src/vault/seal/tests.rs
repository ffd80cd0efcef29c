use super::*;

const PERSON: PersonId = PersonId([1; 16]);
const OTHER: PersonId = PersonId([2; 16]);

fn nonce(seed: u8) -> Nonce {
    Nonce::new([seed; NONCE_BYTES])
}

fn place(row: &str) -> Place<'_> {
    Place { table: "passport", column: "names", row }
}

#[test]
fn what_is_sealed_opens_at_its_place_only() {
    let key = BoxKey::new([3; KEY_BYTES]);
    let sealed = key.seal(place("a"), nonce(9), b"Olena");
    assert_eq!(&**key.open(place("a"), &sealed).unwrap(), b"Olena");
    assert_eq!(key.open(place("b"), &sealed).unwrap_err(), OpenError::Altered);
    let elsewhere = [
        Place { table: "photo", ..place("a") },
        Place { column: "birth", ..place("a") },
        // The border between two parts cannot be moved.
        Place { table: "passpor", column: "tnames", row: "a" },
        Place { table: "passport", column: "name", row: "sa" },
    ];
    for place in elsewhere {
        assert_eq!(key.open(place, &sealed).unwrap_err(), OpenError::Altered, "{place:?}");
    }
}

#[test]
fn a_bit_flipped_anywhere_is_noticed() {
    let key = BoxKey::new([3; KEY_BYTES]);
    let sealed = key.seal(place("a"), nonce(9), b"Olena");
    for index in 0..sealed.as_bytes().len() {
        for bit in 0..8 {
            let mut bytes = sealed.as_bytes().to_vec();
            bytes[index] ^= 1 << bit;
            let opened = Sealed::from_bytes(bytes).and_then(|altered| key.open(place("a"), &altered));
            assert!(opened.is_err(), "byte {index}, bit {bit}");
        }
    }
    for length in 0..sealed.as_bytes().len() {
        let cut = Sealed::from_bytes(sealed.as_bytes()[..length].to_vec());
        assert!(cut.and_then(|cut| key.open(place("a"), &cut)).is_err(), "{length} bytes");
    }
}

#[test]
fn another_key_opens_nothing_and_says_which_is_missing() {
    let (key, other) = (BoxKey::new([3; KEY_BYTES]), BoxKey::new([4; KEY_BYTES]));
    let sealed = key.seal(place("a"), nonce(9), b"Olena");
    assert_eq!(other.open(place("a"), &sealed).unwrap_err(), OpenError::OtherKey(key.id()));
    // With the id changed to fit, the authentication still fails.
    let mut forged = sealed.into_bytes();
    forged[1..=KEY_ID_BYTES].copy_from_slice(&other.id().0);
    let forged = Sealed::from_bytes(forged).unwrap();
    assert_eq!(other.open(place("a"), &forged).unwrap_err(), OpenError::Altered);
}

#[test]
fn a_persons_key_opens_for_that_person_and_the_right_site_only() {
    let (kek, dek) = (Kek::new([5; KEY_BYTES]), Dek::new([6; KEY_BYTES]));
    let wrapped = kek.wrap(PERSON, nonce(1), &dek);
    assert_eq!(kek.unwrap(PERSON, &wrapped).unwrap().id(), dek.id());
    assert_eq!(kek.unwrap(OTHER, &wrapped).unwrap_err(), OpenError::Altered);
    let other = Kek::new([7; KEY_BYTES]);
    assert_eq!(other.unwrap(PERSON, &wrapped).unwrap_err(), OpenError::OtherKey(kek.id()));
    // A wrapped key is not the former key of the site, nor the other way round.
    assert!(kek.unwrap_former(dek.id(), &wrapped).is_err());
    let former = other.wrap_former(nonce(2), &kek);
    assert_eq!(other.unwrap_former(kek.id(), &former).unwrap().id(), kek.id());
    assert!(other.unwrap(PERSON, &former).is_err());
}

#[test]
fn kinds_of_keys_are_told_apart_even_with_equal_bytes() {
    let bytes = [5; KEY_BYTES];
    let ids = [Kek::new(bytes).id(), Dek::new(bytes).id(), BoxKey::new(bytes).id()];
    assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2]);
    assert_eq!(ids[0].to_string().parse::<KeyId>().unwrap(), ids[0]);
    for bad in ["", "00", "+000000000000000", "zz00000000000000", "00000000000000000"] {
        assert_eq!(bad.parse::<KeyId>(), Err(OpenError::Malformed), "{bad}");
    }
}

#[test]
fn debug_shows_neither_keys_nor_clear_text() {
    let key = Kek::new(*b"canary-canary-canary-canary-cana");
    let sealed = key.seal(place("a"), nonce(9), b"canary");
    let shown = format!("{key:?} {sealed:?}");
    assert!(!shown.contains("canary") && !shown.contains("99, 97"), "{shown}");
}

#[test]
fn a_box_of_a_browser_keeps_its_form_and_stays_closed_to_us() {
    let mut bytes = vec![Algorithm::Aes256Gcm.number()];
    bytes.extend_from_slice(&[0xAB; KEY_ID_BYTES + 12 + TAG_BYTES]);
    let sealed = Sealed::from_bytes(bytes.clone()).unwrap();
    assert_eq!(sealed.algorithm(), Algorithm::Aes256Gcm);
    assert_eq!(sealed.key_id(), KeyId([0xAB; KEY_ID_BYTES]));
    assert_eq!(BoxKey::new([1; KEY_BYTES]).open(place("a"), &sealed).unwrap_err(), OpenError::Unsupported);
    bytes.pop();
    assert_eq!(Sealed::from_bytes(bytes), Err(OpenError::Malformed));
    assert_eq!(Sealed::from_bytes(vec![77; 60]), Err(OpenError::Unsupported));
}

/// draft-irtf-cfrg-xchacha-03, appendix A.3.1, without our own authenticated data: the primitive is the published one.
#[test]
fn the_cipher_is_the_published_one() {
    let key: [u8; 32] = std::array::from_fn(|index| 0x80 + index as u8);
    let nonce: [u8; 24] = std::array::from_fn(|index| 0x40 + index as u8);
    let aad = [0x50, 0x51, 0x52, 0x53, 0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7];
    let text = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.";
    let cipher = XChaCha20Poly1305::new(&key.into());
    let sealed = cipher.encrypt(&XNonce::from(nonce), Payload { msg: text, aad: &aad }).unwrap();
    let (body, tag) = sealed.split_at(text.len());
    assert_eq!(body[..8], [0xbd, 0x6d, 0x17, 0x9d, 0x3e, 0x83, 0xd4, 0x3b]);
    assert_eq!(tag, [0xc0, 0x87, 0x59, 0x24, 0xc1, 0xc7, 0x98, 0x79, 0x47, 0xde, 0xaf, 0xd8, 0x78, 0x0a, 0xcf, 0x49]);
}
