//! The same random history on both engines gives the same answers.

use clinic::events::{self, Filter};
use clinic::ingest::ingest;
use clinic::people::{self, Options, import_csv};
use clinic::{Database, policy, presence};
use domain::card::{CardFormat, CardKey, parse};
use domain::policy::PassState;
use domain::{CardId, Direction, Draft, Kind, Reason};
use proptest::prelude::*;
use store::testing::both;

use crate::{NOW, entry, layout, passed, person, point};

#[derive(Debug, Clone)]
enum Step {
    /// Facts of a gateway; `skip` numbers are left out or repeated before them.
    Facts { at_gateway: u8, skip: i64, facts: Vec<(i64, u8, u8, bool, u8)> },
    /// A list of people: (person, card, category, days of validity).
    List(Vec<(u8, u8, u8, u8)>),
    /// A change of a pass.
    State(u8, u8),
    /// Another layout: without this many points.
    Layout(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let fact = (0..100_i64, 0..6_u8, 0..4_u8, any::<bool>(), 0..4_u8);
    prop_oneof![
        4 => (0..3_u8, -2..2_i64, prop::collection::vec(fact, 0..6))
            .prop_map(|(at_gateway, skip, facts)| Step::Facts { at_gateway, skip, facts }),
        2 => prop::collection::vec((0..6_u8, 0..8_u8, 0..3_u8, 0..4_u8), 1..5).prop_map(Step::List),
        1 => (0..8_u8, 0..4_u8).prop_map(|(card, state)| Step::State(card, state)),
        1 => (0..2_usize).prop_map(Step::Layout),
    ]
}

fn card(number: u8) -> CardId {
    CardKey::new([3; 32]).id(&parse(CardFormat::UidHex, &format!("04A1B2{number:02X}")).unwrap())
}

async fn perform(database: &Database, step: &Step, next: &mut [u64; 3]) -> String {
    match step {
        Step::Facts { at_gateway, skip, facts } => {
            let slot = &mut next[usize::from(*at_gateway)];
            let first = slot.saturating_add_signed(*skip).max(1);
            let batch: Vec<_> = facts
                .iter()
                .zip(first..)
                .map(|((seconds, who, place, inwards, kind), seq)| {
                    let names = ["turnstile-1", "door-1", "desk-1", "gone"];
                    let direction = if *inwards { Direction::In } else { Direction::Out };
                    let fact = passed(*seconds, *who, names[usize::from(*place)], direction);
                    let fact = match kind {
                        0 => Draft { kind: Kind::Refused, reason: Some(Reason::NoRule), person: None, ..fact },
                        1 => Draft { card: Some(card(*who)), age_ms: Some(5), ..fact },
                        _ => fact,
                    };
                    entry(&format!("gw-{at_gateway}"), seq, fact)
                })
                .collect();
            let outcome = ingest(database, batch.clone(), NOW).await.unwrap();
            if let clinic::ingest::Ingested::Committed { seq, .. } = outcome {
                *slot = seq + 1;
            }
            format!("{outcome:?}")
        }
        Step::List(rows) => {
            let mut text = "person,kind,category,card_format,card_number,valid_from,valid_until\n".to_owned();
            for (who, number, category, days) in rows {
                // Pseudonyms, so that both engines name people alike.
                let until = if *days == 0 { String::new() } else { format!("2026-12-{days:02}") };
                text.push_str(&format!("{},staff,c-{category},uid_hex,04A1B2{number:02X},,{until}\n", person(*who)));
            }
            let options = Options {
                card_key: CardKey::new([3; 32]),
                pin_key: None,
                seal_key: None,
                zone: chrono_tz::Europe::Kyiv,
                dry_run: false,
            };
            format!("{:?}", import_csv(database, std::io::Cursor::new(text), options, NOW).await.unwrap())
        }
        Step::State(number, state) => {
            let state = PassState::ALL[usize::from(*state)];
            format!("{:?}", people::set_state(database, card(*number), state, NOW).await.unwrap())
        }
        Step::Layout(fewer) => {
            let mut layout = layout();
            layout.points.truncate(3 - fewer);
            format!("{:?}", policy::put_layout(database, layout, NOW).await.unwrap())
        }
    }
}

async fn answers(database: &Database) -> Vec<String> {
    let filter = Filter { point: Some(point("door-1")), text: Some("door".into()), ..Filter::default() };
    vec![
        format!("{:?}", events::after(database, 0, 1000).await.unwrap()),
        format!("{:?}", events::search(database, &Filter::default(), None, 7).await.unwrap()),
        format!("{:?}", events::search(database, &filter, None, 100).await.unwrap()),
        format!("{:?}", events::counts_since(database, NOW).await.unwrap()),
        format!("{:?}", presence::counts(database).await.unwrap()),
        format!("{:?}", presence::inside(database, None, 100).await.unwrap()),
        format!("{:?}", people::list(database, None, 100).await.unwrap()),
        format!("{:?}", people::counts(database).await.unwrap()),
        format!("{:?}", policy::source(database, NOW).await.unwrap()),
    ]
}

#[test]
fn the_same_history_gives_the_same_answers_on_both_engines() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    proptest!(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() },
        |(steps in prop::collection::vec(step(), 1..14))| {
        runtime.block_on(async {
            let [sqlite, postgres] = both(folder.path()).await;
            let (mut left, mut right) = ([1; 3], [1; 3]);
            for step in &steps {
                let first = perform(&sqlite, step, &mut left).await;
                let second = perform(&postgres, step, &mut right).await;
                assert_eq!(first, second, "{step:?}");
            }
            assert_eq!(answers(&sqlite).await, answers(&postgres).await);
            postgres.close().await;
            sqlite.close().await;
        });
    });
}
