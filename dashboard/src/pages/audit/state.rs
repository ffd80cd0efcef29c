//! How the log itself is doing: its size, its last signed head, the second places, the last check.

use clinic::audit::{self, PlaceState};
use domain::UtcMillis;

use crate::fault::Fault;
use crate::visit::Visit;

/// The strip above the search.
pub struct State {
    pub size: u64,
    pub head: String,
    pub places: Vec<Shown>,
    pub check: Shown,
    pub is_checking: bool,
}

/// Something with a state chip.
pub struct Shown {
    pub name: String,
    pub tone: &'static str,
    pub word: String,
    pub text: String,
}

impl State {
    /// Reads it; says nothing about anybody.
    pub async fn read(visit: &Visit) -> Result<Self, Fault> {
        let (database, acting, texts, times) = (&visit.app.database, visit.acting()?, visit.texts(), visit.times());
        let heads = audit::heads(database, &acting, 1).await?;
        let head = match heads.first() {
            Some(head) => {
                texts.n("audit-head-size", head.head.size) + &texts.a("audit-head-at", &times.full(head.head.at))
            }
            None => texts.t("audit-head-none"),
        };
        let places = audit::places(database, &acting).await?.into_iter().map(|place| {
            let (tone, word) = match place.state {
                PlaceState::Current => ("ok", "audit-place-current"),
                PlaceState::Away => ("warn", "audit-place-away"),
                PlaceState::Ahead => ("bad", "audit-place-ahead"),
                PlaceState::Strange => ("bad", "audit-place-strange"),
            };
            let told = match (place.size, place.told) {
                (Some(size), Some(at)) => texts.n("audit-place-told", size) + &at_words(visit, at),
                _ => texts.t("audit-place-untold"),
            };
            let text = match place.problem {
                Some(problem) => format!("{told}{}: {problem}", at_words(visit, place.since)),
                None => told,
            };
            Shown { name: place.name, tone, word: texts.t(word), text }
        });
        let checks = audit::checks(database, &acting, 2).await?;
        let is_checking = checks.first().is_some_and(|check| check.result.is_none());
        let check = match checks.iter().find_map(|check| check.result.as_ref()) {
            None => Shown {
                name: texts.t("audit-check"),
                tone: "idle",
                word: texts.t("audit-check-never"),
                text: String::new(),
            },
            Some(result) => {
                let sound = result.faults == 0;
                let text = texts.n("audit-check-size", result.size) + &at_words(visit, result.ended);
                let first = result.first.as_ref().map(|first| format!(" {first}")).unwrap_or_default();
                Shown {
                    name: texts.t("audit-check"),
                    tone: if sound { "ok" } else { "bad" },
                    word: if sound {
                        texts.t("audit-check-sound")
                    } else {
                        texts.n("audit-check-faults", result.faults)
                    },
                    text: text + &first,
                }
            }
        };
        Ok(Self { size: audit::size(database).await?, head, places: places.collect(), check, is_checking })
    }
}

fn at_words(visit: &Visit, at: UtcMillis) -> String {
    format!(" · {}", visit.times().full(at))
}
