//! The clinic's own key (docs/local-keys.md): the server's normalisation, index and packing agree with vectors that an
//! independent program made, and boxes of the browser's form open by a library of another author.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use domain::vault::{
    Algorithm, BirthDate, Contact, ContactKind, Document, DocumentKind, IndexKey, Names, Passport, Query, Sealed,
};
use domain::vault::{normalised_words, pack_birth_date, pack_contacts, pack_documents, pack_names};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, KeyType, Salt};
use ring::hmac;
use serde_json::Value;

fn vectors() -> Value {
    serde_json::from_str(include_str!("vectors/local-keys.json")).unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap();
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// The passport of the vectors, as the server would hold it.
fn passport(parts: &Value) -> Passport {
    let [names, birth, documents, contacts] =
        ["names", "birth", "documents", "contacts"].map(|part| texts(&parts[part]));
    let document = |three: &[String]| Document {
        kind: DocumentKind::parse(&three[0]).unwrap(),
        number: three[1].as_str().into(),
        issued: three[2].as_str().into(),
    };
    let contact =
        |two: &[String]| Contact { kind: ContactKind::parse(&two[0]).unwrap(), value: two[1].as_str().into() };
    Passport {
        names: Names::new(&names[0], &names[1], &names[2]),
        birth_date: BirthDate::parse(&birth[0]),
        documents: documents.chunks(3).map(document).collect(),
        contacts: contacts.chunks(2).map(contact).collect(),
    }
}

struct Bytes32;

impl KeyType for Bytes32 {
    fn len(&self) -> usize {
        32
    }
}

fn derive(master: &[u8], purpose: &str) -> Vec<u8> {
    let mut key = vec![0; 32];
    let source = Salt::new(HKDF_SHA256, &[]).extract(master);
    source.expand(&[purpose.as_bytes()], Bytes32).unwrap().fill(&mut key).unwrap();
    key
}

fn number(key: &[u8], kind: &str) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, format!("tapward key id 1{kind}").as_bytes()).as_ref()[..8].to_vec()
}

fn open(key: &[u8], place: [&str; 3], sealed: &[u8]) -> Option<Vec<u8>> {
    let mut aad = b"tapward vault 1\x02".to_vec();
    aad.extend_from_slice(&sealed[1..9]);
    for part in place {
        aad.extend_from_slice(&(part.len() as u16).to_be_bytes());
        aad.extend_from_slice(part.as_bytes());
    }
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).unwrap());
    let nonce = Nonce::try_assume_unique_for_key(&sealed[9..21]).unwrap();
    let mut body = sealed[21..].to_vec();
    key.open_in_place(nonce, Aad::from(aad), &mut body).ok().map(|clear| clear.to_vec())
}

#[test]
fn the_server_spells_packs_and_hashes_as_the_independent_program_does() {
    let vectors = vectors();
    for case in vectors["words"].as_array().unwrap() {
        assert_eq!(normalised_words(case[0].as_str().unwrap()), texts(&case[1]), "{case}");
    }
    let passport = passport(&vectors["parts"]);
    let packed = [
        ("names", pack_names(&passport.names)),
        ("birth", pack_birth_date(passport.birth_date)),
        ("documents", pack_documents(&passport.documents)),
    ];
    for (part, packed) in packed {
        assert_eq!(packed.as_slice(), bytes(&vectors["packed"][part]), "{part}");
    }
    // The server trims what people type before it is packed; otherwise contacts are alike.
    let trimmed = pack_contacts(&passport.contacts);
    assert_eq!(trimmed.len(), bytes(&vectors["packed"]["contacts"]).len());
    let index = IndexKey::new(bytes(&vectors["index"]).try_into().unwrap());
    let mut tokens: Vec<String> = index.tokens_of(&passport).iter().map(|token| format!("{token:016x}")).collect();
    tokens.sort();
    assert_eq!(tokens, texts(&vectors["tokens"]));
    for case in vectors["queries"].as_array().unwrap() {
        let (all_or_any, hashes) = match index.query(case[0].as_str().unwrap()).unwrap() {
            Query::Names(words) => ("all", words.iter().map(|word| word.whole.unwrap_or(word.beginning)).collect()),
            Query::Number(hashes) => ("any", hashes),
        };
        let hashes: Vec<String> = hashes.iter().map(|hash: &i64| format!("{hash:016x}")).collect();
        assert_eq!(hashes, texts(&case[1][all_or_any]), "{case}");
    }
}

#[test]
fn keys_derive_and_boxes_open_by_another_library_and_only_in_their_place() {
    let vectors = vectors();
    let master = bytes(&vectors["master"]);
    assert_eq!(number(&master, "local"), bytes(&vectors["number"]));
    let wrap = derive(&master, "tapward local wrap 1");
    assert_eq!(wrap, bytes(&vectors["wrap"]));
    assert_eq!(derive(&master, "tapward local index 1"), bytes(&vectors["index"]));
    let person = vectors["person"].as_str().unwrap();
    let wrapped = bytes(&vectors["wrapped"]);
    let key = open(&wrap, ["passport", "wrapped_key", person], &wrapped).unwrap();
    assert_eq!(key, bytes(&vectors["key"]));
    assert_eq!(number(&key, "dek"), bytes(&vectors["key_number"]));
    for part in ["names", "birth", "documents", "contacts"] {
        let sealed = bytes(&vectors["boxes"][part]);
        assert_eq!(open(&key, ["passport", part, person], &sealed), Some(bytes(&vectors["packed"][part])));
        let elsewhere = [["passport", "names2", person], ["photo", part, person], ["passport", part, "0"]];
        assert!(elsewhere.iter().all(|place| open(&key, *place, &sealed).is_none()), "{part}");
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            // The first byte names the algorithm: whoever changes that is refused before anything is opened.
            assert!(changed[0] != 2 || open(&key, ["passport", part, person], &changed).is_none(), "{part} {at}");
        }
    }
}

#[test]
fn the_server_takes_a_browsers_box_for_what_it_is() {
    let vectors = vectors();
    let sealed = Sealed::from_bytes(bytes(&vectors["boxes"]["names"])).unwrap();
    assert_eq!(sealed.algorithm(), Algorithm::Aes256Gcm);
    assert_eq!(sealed.key_id().to_string(), vectors["key_number"].as_str().unwrap());
    let wrapped = Sealed::from_bytes(bytes(&vectors["wrapped"])).unwrap();
    assert_eq!(wrapped.key_id().to_string(), vectors["number"].as_str().unwrap());
}
