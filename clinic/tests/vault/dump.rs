//! What somebody learns who has every file of the installation but the keys: not one card number, though there are only
//! 2^24 numbers in 26-bit cards and each can be tried.
//!
//! What is tried, for each of the 16.7 million numbers: SHA-256 of its three bytes and of its decimal digits, cut
//! anywhere, stored as bytes or as hexadecimal digits; and the numbers of the enrolled cards as people write them.

use std::collections::HashSet;

use domain::card::{CardKey, parse};
use domain::{CardFormat, PersonId};
use sha2::block_api::compress256;
use sha2::{Digest, Sha256};
use store::{sqlx, transact};

use crate::scene::{Scene, both};

/// Numbers in 26-bit cards: eight bits of facility, sixteen of number.
const NUMBERS: u32 = 1 << 24;
/// The state of SHA-256 before its first block (FIPS 180-4, 5.3.3).
const START: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// Every run of eight bytes in a dump, as it stands and read as hexadecimal digits; with a coarse sieve in front, as
/// nearly every question is answered no.
struct Dump {
    sieve: Vec<u64>,
    windows: HashSet<u64>,
    bytes: Vec<u8>,
}

impl Dump {
    fn of(bytes: Vec<u8>) -> Self {
        let mut dump = Self { sieve: vec![0; 1 << 18], windows: HashSet::new(), bytes: Vec::new() };
        for window in bytes.windows(8) {
            dump.add(u64::from_be_bytes(window.try_into().unwrap()));
        }
        for window in bytes.windows(16) {
            let text =
                std::str::from_utf8(window).ok().filter(|text| text.bytes().all(|digit| digit.is_ascii_hexdigit()));
            if let Some(number) = text.and_then(|text| u64::from_str_radix(text, 16).ok()) {
                dump.add(number);
            }
        }
        dump.bytes = bytes;
        dump
    }

    fn add(&mut self, window: u64) {
        let place = (window >> 40) as usize;
        self.sieve[place >> 6] |= 1 << (place & 63);
        self.windows.insert(window);
    }

    fn has(&self, window: u64) -> bool {
        let place = (window >> 40) as usize;
        self.sieve[place >> 6] & (1 << (place & 63)) != 0 && self.windows.contains(&window)
    }

    fn has_text(&self, text: &str) -> bool {
        self.bytes.windows(text.len()).any(|window| window == text.as_bytes())
    }

    /// Numbers whose plain hash stands somewhere.
    fn found(&self) -> Vec<u32> {
        let half =
            |numbers: std::ops::Range<u32>| -> Vec<u32> { numbers.filter(|number| self.gives_away(*number)).collect() };
        std::thread::scope(|scope| {
            let other = scope.spawn(|| half(NUMBERS / 2..NUMBERS));
            let mut found = half(0..NUMBERS / 2);
            found.extend(other.join().unwrap());
            found
        })
    }

    fn gives_away(&self, number: u32) -> bool {
        let [_, raw @ ..] = number.to_be_bytes();
        let mut digits = [0; 8];
        let mut at = digits.len();
        let mut rest = number;
        loop {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        [&raw[..], &digits[at..]].iter().any(|form| {
            let hash = hashed(form);
            // The first and the last eight bytes: a hash that is cut keeps one of them.
            let word = |at: usize| u64::from(hash[at]) << 32 | u64::from(hash[at + 1]);
            self.has(word(0)) || self.has(word(6))
        })
    }
}

/// SHA-256 of a short text, without what a general hasher does around it: this runs 33 million times.
fn hashed(text: &[u8]) -> [u32; 8] {
    let mut block = [0; 64];
    block[..text.len()].copy_from_slice(text);
    block[text.len()] = 0x80;
    block[63] = (text.len() * 8) as u8;
    let mut state = START;
    compress256(&mut state, &[block]);
    state
}

/// Enrols a card as imports do: its number becomes a keyed hash.
async fn enrol(scene: &Scene, person: PersonId, id: i64, card: &str) {
    let card = card.to_owned();
    transact!(scene.database, "test.enrol", |conn| {
        sqlx::query(
            "INSERT INTO credential (id, card, person, kind, category, state, one_time, since_ms)
             VALUES ($1, $2, $3, 'personal', 'staff', 'active', 0, 0)",
        )
        .bind(id)
        .bind(&card)
        .bind(person.to_string())
        .execute(&mut *conn)
        .await?;
        Ok(())
    })
    .unwrap();
}

#[tokio::test]
async fn a_stolen_database_gives_away_no_26_bit_card_number() {
    let mut key = [0; 32];
    getrandom::fill(&mut key).unwrap();
    let key = CardKey::new(key);
    let scenes = both().await;
    let scene = scenes.into_iter().find(|scene| scene.database.engine() == store::Engine::Sqlite).unwrap();
    for number in 0..40_i64 {
        let person = scene.registered("Іваненко", "Олена").await;
        let card = parse(CardFormat::Wiegand26, &format!("{},{}", 90 + number, 20_324 + number)).unwrap();
        enrol(&scene, person, number + 1, &key.id(&card).to_string()).await;
    }
    let dumped = || -> Vec<u8> {
        let files = scene.all_files().into_iter().filter(|path| path.extension().is_none_or(|ending| ending != "key"));
        files.flat_map(|path| std::fs::read(path).unwrap()).collect()
    };
    let dump = Dump::of(dumped());
    assert!(dump.bytes.len() > 100_000 && dump.windows.len() > 10_000, "{} bytes are no dump", dump.bytes.len());
    for number in 0..40 {
        for text in
            [format!("{},{}", 90 + number, 20_324 + number), ((90 + number) << 16 | (20_324 + number)).to_string()]
        {
            assert!(!dump.has_text(&text), "card {number} stands there in clear");
        }
    }
    // The attack works: it finds the one card whose plain hash somebody has put into a column.
    let person = scene.person().await;
    let plain = Sha256::digest(b"5918308").iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let found = dump.found();
    assert!(found.is_empty(), "{} numbers found", found.len());
    enrol(&scene, person, 99, &plain[..32]).await;
    assert_eq!(Dump::of(dumped()).found(), [5_918_308]);
}

/// Wrapped key, names, birth, documents, contacts.
type SealedRow = (Vec<u8>, Vec<u8>, Vec<u8>, Vec<u8>, Vec<u8>);

#[tokio::test]
async fn no_nonce_is_ever_used_twice() {
    let scene = both().await.into_iter().next().unwrap();
    let mut batch = Vec::new();
    for _ in 0..1000 {
        batch.push((scene.person().await, crate::scene::passport("Іваненко", "Олена").into()));
    }
    scene.vault.load(&crate::scene::office(), batch, clinic::audit::Purpose::PassIssue).await.unwrap();
    let rows: Vec<SealedRow> = store::read!(scene.database, "test.nonces", |conn| {
        Ok(sqlx::query_as("SELECT wrapped_key, names, birth, documents, contacts FROM passport")
            .fetch_all(&mut *conn)
            .await?)
    })
    .unwrap();
    let mut nonces = HashSet::new();
    let sealed = rows.iter().flat_map(|(a, b, c, d, e)| [a, b, c, d, e]);
    let count = sealed.map(|sealed| nonces.insert(sealed[9..33].to_vec())).filter(|is_new| *is_new).count();
    assert_eq!((count, rows.len()), (5000, 1000));
}
