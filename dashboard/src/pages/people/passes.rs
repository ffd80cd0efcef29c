//! Passes of a person: how each stands, and what may be done with it.

use axum::extract::{Form, Path};
use axum::response::Response;
use clinic::people::{self, Pass, PassError};
use domain::policy::PassState;
use domain::{CardId, Field, PersonId, UtcMillis};
use serde::Deserialize;

use super::person::{Done, after};
use crate::fault::Fault;
use crate::visit::Visit;
use crate::words::{Tone, label, short_id};

/// Longest reason, in characters.
const NOTE_MAX: usize = 200;

/// A pass on a page.
#[derive(Debug, Clone)]
pub struct PassLine {
    pub card: String,
    pub card_short: String,
    pub kind: String,
    pub category: Option<String>,
    pub tone: &'static str,
    pub state: String,
    pub validity: String,
    pub since: i64,
    /// States it can be put in, with the words of the button and whether it is grave.
    pub orders: Vec<(&'static str, String, bool)>,
}

/// The passes of a person, those that work first.
pub async fn lines(visit: &Visit, person: PersonId) -> Result<Vec<PassLine>, Fault> {
    let acting = visit.acting()?;
    if !acting.rights.shows(Field::Validity) {
        return Ok(Vec::new());
    }
    let mut passes = people::passes_for(&visit.app.database, &acting, person).await?;
    passes.sort_by_key(|pass| (pass.state != PassState::Active, std::cmp::Reverse(pass.since)));
    Ok(passes.iter().map(|pass| line(visit, pass, acting.rights.shows(Field::Category))).collect())
}

fn line(visit: &Visit, pass: &Pass, shows_category: bool) -> PassLine {
    let (texts, times, now) = (visit.texts(), visit.times(), visit.app.now());
    let is_over = pass.valid_until.is_some_and(|until| until <= now);
    let is_early = pass.valid_from.is_some_and(|from| from > now);
    let (tone, state) = match pass.state {
        PassState::Active if is_over => (Tone::Warn, texts.t("pass-over")),
        PassState::Active if is_early => (Tone::Info, texts.t("pass-early")),
        PassState::Active => (Tone::Ok, texts.code("pass-state-", pass.state.as_str())),
        PassState::Blocked | PassState::Lost => (Tone::Bad, texts.code("pass-state-", pass.state.as_str())),
        PassState::Withdrawn => (Tone::Info, texts.code("pass-state-", pass.state.as_str())),
    };
    let validity = match (pass.valid_from.filter(|_| is_early), pass.valid_until) {
        (Some(from), _) => texts.a("valid-from", &times.full(from)),
        (None, Some(until)) if is_over => texts.a("valid-ended", &times.full(until)),
        (None, Some(until)) => texts.a("valid-until", &times.full(until)),
        (None, None) => texts.t("valid-always"),
    };
    let orders: &[(PassState, bool)] = match pass.state {
        PassState::Active => &[(PassState::Blocked, false), (PassState::Lost, false), (PassState::Withdrawn, true)],
        PassState::Blocked | PassState::Lost => &[(PassState::Active, false), (PassState::Withdrawn, true)],
        PassState::Withdrawn => &[],
    };
    let orders = orders.iter().map(|(state, grave)| (state.as_str(), texts.code("pass-do-", state.as_str()), *grave));
    PassLine {
        card: pass.card.to_string(),
        card_short: short_id(&pass.card.to_string()),
        kind: texts.code("pass-", pass.kind.as_str()),
        category: shows_category.then(|| label(pass.category.as_str())),
        tone: tone.class(),
        state,
        validity,
        since: pass.since.0,
        orders: orders.collect(),
    }
}

/// What to do with a pass.
#[derive(Deserialize)]
pub struct Order {
    card: String,
    state: String,
    since: i64,
    #[serde(default)]
    note: String,
    #[serde(default)]
    purpose: String,
}

/// `POST /people/{person}/passes`
pub async fn change(visit: Visit, Path(person): Path<String>, Form(order): Form<Order>) -> Result<Response, Fault> {
    let person: PersonId = person.parse().map_err(|_| Fault::NotFound)?;
    let card: CardId = order.card.parse().map_err(|_| Fault::Invalid)?;
    let state = PassState::parse(&order.state).ok_or(Fault::Invalid)?;
    let (acting, database) = (visit.acting()?, &visit.app.database);
    // A card of somebody else is not this person's to change.
    match people::pass_for(database, &acting, card).await? {
        Some(pass) if pass.person == person => {}
        _ => return Err(Fault::NotFound),
    }
    let note: String = order.note.trim().chars().filter(|c| !c.is_control()).take(NOTE_MAX).collect();
    let note = Some(note).filter(|note| !note.is_empty());
    let seen = Some(UtcMillis(order.since));
    let done = match people::change_state(database, &acting, card, state, seen, note, visit.app.now()).await {
        Ok(_) => Done::Pass,
        Err(PassError::ChangedSince(_) | PassError::Withdrawn) => Done::PassChanged,
        Err(error) => return Err(error.into()),
    };
    Ok(after(person, &order.purpose, done))
}
