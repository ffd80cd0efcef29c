//! The till against a slow reference: random histories of everything that can be asked of it, on both engines at once. After
//! each act the answers must be the same, refusals with the same numbers, and so must every balance, limit and charge.
//! `TAPWARD_HISTORIES` asks for more histories, `TAPWARD_SEED` for one of them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "tests and what they share"
)]

mod engine;
mod history;
mod money;
mod reference;
#[allow(dead_code, reason = "shared with the other tests of the till")]
mod stage;
mod wants;

use std::path::Path;

use clinic::Database;
use engine::Engine;
use history::{Act, PATIENTS, PAYERS, SERVICES};
use stage::Stage;
use wants::Model;

/// Histories of one run.
const HISTORIES: u64 = 6;
/// Acts of a history.
const ACTS: usize = 160;
/// Runs that may be spent on making a failed history shorter.
const SHRINK_MAX: usize = 150;
/// What the services cost first; the last one is at home.
pub(crate) const FIRST_PRICES: [i64; SERVICES] = [12_345, 5_000, 0, 19_999, 30_000];

fn model() -> Model {
    let mut model = Model::default();
    model.reference.now = stage::NOW;
    model.reference.at_home = (0..SERVICES).map(|number| number == SERVICES - 1).collect();
    model.reference.prices = (0..SERVICES).map(|number| (number, 0, stage::NOW, Some(FIRST_PRICES[number]))).collect();
    model.first_day = model.reference.today();
    model
}

/// Where a history parts from the reference, and how.
type Parted = (usize, String);

async fn run(acts: &[Act], engines: &mut [Engine]) -> Result<Model, Parted> {
    let mut model = model();
    for (number, act) in acts.iter().enumerate() {
        for want in model.wants(number, act) {
            let expected = model.apply(&want);
            let state = model.state(PATIENTS, PAYERS);
            for engine in &mut *engines {
                let found = engine.apply(&want).await;
                if found != expected {
                    let text = format!("{}: {want:?}\n  expected {expected}\n  found    {found}", engine.name);
                    return Err((number, text));
                }
                let has = engine.state().await;
                if has != state {
                    let differs = |one: &[String], other: &[String]| {
                        one.iter().filter(|line| !other.contains(line)).map(|line| format!("\n    {line}")).collect()
                    };
                    let (expected, found): (String, String) = (differs(&state, &has), differs(&has, &state));
                    let text = format!("{}: after {want:?}\n  expected{expected}\n  found{found}", engine.name);
                    return Err((number, text));
                }
            }
        }
    }
    for engine in engines {
        let checked = engine.stage.check().await;
        if !checked.is_right() {
            return Err((acts.len() - 1, format!("{}: {checked:#?}", engine.name)));
        }
        engine.stage.is_sound().await;
    }
    Ok(model)
}

async fn on_sqlite(folder: &Path, name: &str) -> Engine {
    let url = format!("sqlite:{}", folder.join(name).display());
    let database = Database::open(&url).await.unwrap();
    Engine::new(Stage::new(database, PATIENTS).await, "SQLite").await
}

/// The shortest history that still fails, found by leaving acts out; on SQLite only.
async fn shortest(folder: &Path, mut acts: Vec<Act>) -> Vec<Act> {
    let (mut size, mut runs) = (acts.len() / 2, 0);
    while size > 0 && runs < SHRINK_MAX {
        let mut at = 0;
        while at < acts.len() && runs < SHRINK_MAX {
            let mut fewer = acts.clone();
            fewer.drain(at..(at + size).min(acts.len()));
            runs += 1;
            let mut engines = [on_sqlite(folder, &format!("shrink-{runs}.db")).await];
            match run(&fewer, &mut engines).await {
                Err((last, _)) => acts = fewer[..=last].to_vec(),
                Ok(_) => at += size,
            }
            let [engine] = engines;
            engine.stage.close_database().await;
            let _ = std::fs::remove_file(folder.join(format!("shrink-{runs}.db")));
        }
        size /= 2;
    }
    acts
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

#[tokio::test(flavor = "multi_thread")]
async fn random_histories_end_as_the_slow_reference_says_on_both_engines() {
    let folder = tempfile::tempdir().unwrap();
    let seeds: Vec<u64> = match number("TAPWARD_SEED") {
        Some(seed) => vec![seed],
        None => (1..=number("TAPWARD_HISTORIES").unwrap_or(HISTORIES)).collect(),
    };
    let mut registered = 0;
    for seed in &seeds {
        let acts = history::draw(*seed, ACTS);
        let [sqlite, postgres] = store::testing::both(folder.path()).await;
        let mut engines = [
            Engine::new(Stage::new(sqlite, PATIENTS).await, "SQLite").await,
            Engine::new(Stage::new(postgres, PATIENTS).await, "PostgreSQL").await,
        ];
        match run(&acts, &mut engines).await {
            Ok(model) => registered += model.reference.charges.len(),
            Err((last, text)) => {
                let few = shortest(folder.path(), acts[..=last].to_vec()).await;
                let few: Vec<String> = few.iter().map(|act| format!("    {act:?}")).collect();
                panic!("seed {seed}, act {last}: {text}\n  the shortest that fails:\n{}", few.join("\n"));
            }
        }
        for engine in engines {
            engine.stage.close_database().await;
        }
    }
    println!("{} histories of {ACTS} acts, {registered} charges: all alike", seeds.len());
    assert!(
        registered > seeds.len() * 10,
        "histories in which hardly anything was registered show nothing: {registered}"
    );
}
