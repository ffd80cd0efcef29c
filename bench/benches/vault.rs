//! The identity vault with a million persons.
//!
//! - search: one search by name with its entries in the audit log, on SQLite and on PostgreSQL (with `PERSONS` other
//!   than a million if the environment says so), the slower end of many kinds of queries against the goal of 50 ms;
//! - cards: one person's card, as a tap needs it, against reading one row of the same file;
//! - photograph: opening a sealed one of 64 KiB, against a bare XChaCha20-Poly1305 over as many bytes;
//! - unwrap: a person's key, which is why none is kept in memory.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench, not the product"
)]

use std::path::Path;
use std::time::Instant;

use bench::{Goal, heading, line, percentile};
use clinic::acting::{Acting, Actor};
use clinic::audit::Purpose;
use clinic::vault::{Blobs, KeySource, Vault, VaultError, testing};
use domain::vault::{BirthDate, BoxKey, Dek, Kek, Names, Nonce, Passport, Place};
use domain::{Clock, PersonId, Rights, Shipped, UtcMillis};
use store::Database;

/// Persons, unless the environment variable `PERSONS` says otherwise.
const PERSONS: usize = 1_000_000;
/// Searches of each kind.
const SEARCHES: usize = 40;
/// A search may take this long, in milliseconds.
const SEARCH_GOAL_MS: f64 = 50.0;

const STEMS: [&str; 24] = [
    "Ковал",
    "Шевч",
    "Бондар",
    "Ткач",
    "Кравч",
    "Олійн",
    "Мельн",
    "Лис",
    "Гавр",
    "Руд",
    "Савч",
    "Пав",
    "Мороз",
    "Коваль",
    "Пол",
    "Вас",
    "Пет",
    "Іван",
    "Семен",
    "Федор",
    "Григор",
    "Марч",
    "Кост",
    "Сид",
];
const MIDDLES: [&str; 10] = ["", "ен", "ук", "ів", "ій", "от", "ар", "ов", "он", "ес"];
const ENDINGS: [&str; 10] = ["ко", "енко", "чук", "ський", "ець", "юк", "ян", "ова", "ич", "ак"];
const GIVEN: [&str; 40] = [
    "Олександр",
    "Олена",
    "Ольга",
    "Олег",
    "Андрій",
    "Анна",
    "Анастасія",
    "Артем",
    "Богдан",
    "Вадим",
    "Валентина",
    "Василь",
    "Віктор",
    "Віра",
    "Володимир",
    "Галина",
    "Ганна",
    "Дарина",
    "Денис",
    "Дмитро",
    "Євген",
    "Іван",
    "Ірина",
    "Катерина",
    "Лариса",
    "Людмила",
    "Максим",
    "Марія",
    "Микола",
    "Михайло",
    "Надія",
    "Наталія",
    "Оксана",
    "Павло",
    "Роман",
    "Світлана",
    "Сергій",
    "Тетяна",
    "Юлія",
    "Юрій",
];

/// Invented people; a few names are much more frequent than others, as in life.
fn people(seed: u64, count: usize) -> impl Iterator<Item = Passport> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut pick = move |list: &[&'static str]| {
        let share = random.f64();
        list[(share * share * list.len() as f64) as usize]
    };
    (0..count).map(move |number| {
        let family = format!("{}{}{}", pick(&STEMS), pick(&MIDDLES), pick(&ENDINGS));
        let middle = format!("{}ович", pick(&GIVEN));
        Passport {
            names: Names::new(&family, pick(&GIVEN), &middle),
            birth_date: BirthDate::new(1940 + (number % 80) as i32, 1 + (number % 12) as u32, 1 + (number % 28) as u32),
            ..Passport::default()
        }
    })
}

fn office() -> Acting {
    Acting {
        actor: Actor::Account("bench".to_owned()),
        rights: Rights::of(Shipped::PassOffice),
        session: Some("bench".to_owned()),
        address: None,
        glass: None,
    }
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(run());
}

async fn run() {
    let count = std::env::var("PERSONS").ok().and_then(|text| text.parse().ok()).unwrap_or(PERSONS);
    println!("{}", heading(&format!("the identity vault with {count} persons")));
    primitives();
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("bench.db").display());
    engine("SQLite", &url, folder.path(), count).await;
    if std::env::var_os("SQLITE_ONLY").is_none() {
        let url = tokio::task::spawn_blocking(store::testing::postgres_url).await.unwrap();
        engine("PostgreSQL", &url, folder.path(), count).await;
    }
}

async fn engine(name: &str, url: &str, folder: &Path, count: usize) {
    let database = Database::open(url).await.unwrap();
    let clock = Clock::new(|| UtcMillis(1_795_000_000_000));
    let key = KeySource::Own(folder.join(format!("{name}.key")));
    let vault = Vault::new(database, clock, Blobs::folder(&folder.join(name)), key);
    vault.start().await.unwrap();
    let start = Instant::now();
    let persons = testing::fill(&vault, people(7, count)).await.unwrap();
    println!("   {name}: filled in {:.0} s", start.elapsed().as_secs_f64());
    for (kind, words) in queries(count) {
        let mut samples = Vec::new();
        let mut cut = 0;
        for words in &words {
            // A session of its own: no look is a repetition, each is written.
            let acting = Acting { session: Some(words.clone()), ..office() };
            let start = Instant::now();
            match vault.search(&acting, words, 20, Purpose::PassIssue).await {
                Ok(_) => {}
                Err(VaultError::TooMany) => cut += 1,
                Err(error) => panic!("{words}: {error}"),
            }
            samples.push(start.elapsed().as_secs_f64() * 1000.0);
        }
        let kind = if cut > 0 { format!("{kind}, {cut} asked for more letters") } else { kind.to_owned() };
        let median = percentile(&mut samples, 0.5);
        let worst = percentile(&mut samples, 0.95);
        println!("{}", line(format!("{name}: {kind}, p50"), median, SEARCH_GOAL_MS, "ms", Goal::Shown));
        println!("{}", line(format!("{name}: {kind}, p95"), worst, SEARCH_GOAL_MS, "ms", Goal::AtMost(1.0)));
    }
    let mut random = fastrand::Rng::with_seed(3);
    let guard = Acting { rights: Rights::of(Shipped::Guard), ..office() };
    for (kind, again) in [("first look, recorded", false), ("looked at again", true)] {
        let mut samples = Vec::new();
        for number in 0..200_usize {
            let person: PersonId = if again { persons[number] } else { persons[random.usize(..persons.len())] };
            if again {
                vault.cards(&guard, &[person], Purpose::Checkpoint).await.unwrap();
            }
            let start = Instant::now();
            vault.cards(&guard, &[person], Purpose::Checkpoint).await.unwrap();
            samples.push(start.elapsed().as_secs_f64() * 1000.0);
        }
        let median = percentile(&mut samples, 0.5);
        println!("{}", line(format!("{name}: one card, {kind}"), median, 1.0, "ms", Goal::Shown));
    }
}

/// Several kinds of queries, each with names as people have them.
fn queries(count: usize) -> Vec<(&'static str, Vec<String>)> {
    let start = |text: &str, letters: usize| text.chars().take(letters).collect::<String>();
    let some: Vec<Passport> = people(7, count).skip(count / 3).take(SEARCHES).collect();
    let of = |make: &dyn Fn(&Names) -> String| some.iter().map(|passport| make(&passport.names)).collect();
    vec![
        ("two letters", of(&|names| start(names.family.reveal(), 2))),
        ("family name", of(&|names| names.family.reveal().to_owned())),
        ("family and given name", of(&|names| format!("{} {}", names.family.reveal(), names.given.reveal()))),
        (
            "three letters of each",
            of(&|names| {
                format!(
                    "{} {} {}",
                    start(names.family.reveal(), 3),
                    start(names.given.reveal(), 3),
                    start(names.middle.reveal(), 3)
                )
            }),
        ),
        ("whole name", of(&|names| names.full().reveal().to_owned())),
        ("a name that nobody has", (0..SEARCHES).map(|number| format!("Щ{number}ьк Олена")).collect()),
    ]
}

/// What sealing costs by itself, in microseconds.
fn primitives() {
    let (kek, dek, key) = (Kek::new([1; 32]), Dek::new([2; 32]), BoxKey::new([3; 32]));
    let wrapped = kek.wrap(PersonId([4; 16]), Nonce::new([5; 24]), &dek);
    let unwrap = timed(2000, || drop(kek.unwrap(PersonId([4; 16]), &wrapped).unwrap()));
    let picture = vec![7_u8; 64 << 10];
    let place = Place { table: "photo", column: "full_blob", row: "00000000000000000000000000000000" };
    let sealed = key.seal(place, Nonce::new([6; 24]), &picture);
    let open = timed(300, || drop(key.open(place, &sealed).unwrap()));
    let copy = timed(300, || drop(std::hint::black_box(picture.clone())));
    println!("{}", line("unwrap a person's key", unwrap, 10.0, "us", Goal::AtMost(1.0)));
    println!("{}", line("open a photograph of 64 KiB, against copying it", open, copy, "us", Goal::Shown));
}

fn timed(rounds: usize, mut work: impl FnMut()) -> f64 {
    let mut samples: Vec<f64> = (0..rounds)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    percentile(&mut samples, 0.5)
}
