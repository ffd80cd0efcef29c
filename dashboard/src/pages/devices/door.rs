//! One door beside the others: its state, the orders that this role may give there, and what became of the last ones.
//! Owns the way of an order from the page into the clinic's record; who may give which stands in the table of routes.
//!
//! An order is given in two steps, in place: choose it, then confirm it with a reason. The number of an order is drawn
//! when it is chosen, so that a form sent twice gives one order. Without an answer it is never carried out later.

use std::time::Duration;

use axum::extract::Form;
use axum::http::StatusCode;
use axum::response::Response;
use clinic::accounts::AccountId;
use clinic::commands::{self, LIFE_MS, Order, Progress};
use clinic::devices::{self, Seen};
use clinic::watch;
use domain::{GatewayId, PersonId, PointId};
use serde::Deserialize;
use tokio::time::Instant;

use super::facts::{door_link, door_state};
use crate::fault::Fault;
use crate::language::Texts;
use crate::pages::query::Query;
use crate::post::REPORT_STALE_MS;
use crate::routes;
use crate::view::go;
use crate::visit::Visit;
use crate::words::{Tone, label};

/// The orders for one door, in the order of their buttons; the last part of the path that takes each.
const ORDERS: &[&str] = &["open", "normal", "lock", "free_passage", "emergency"];
/// Why somebody orders; `other` must be explained.
const REASONS: &[&str] = &["delivery", "forgotten_card", "help", "repair", "drill", "other"];
/// Longest explanation, in characters.
const NOTE_MAX_CHARS: usize = 80;
/// Orders shown as the last ones.
const LAST: i64 = 5;
/// How long the answer is waited for before the page is shown without it.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// How often it is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(100);

pub struct DoorPanel {
    pub gateway: String,
    pub point: String,
    pub name: String,
    pub tone: &'static str,
    pub state: String,
    pub since: String,
    /// Whether orders can arrive.
    pub is_heard: bool,
    pub choices: Vec<Choice>,
    pub asked: Option<Asked>,
    pub given: Option<Given>,
    pub last: Vec<PastOrder>,
    /// Where the page is without an order chosen.
    pub link: String,
}

/// One order that may be chosen.
pub struct Choice {
    pub text: String,
    pub link: String,
    pub is_grave: bool,
    pub is_chosen: bool,
}

/// The order to be confirmed.
pub struct Asked {
    pub path: String,
    pub title: String,
    pub text: String,
    pub button: String,
    pub is_grave: bool,
    /// The number of this order.
    pub id: String,
    pub reasons: Vec<(&'static str, String)>,
    pub reason: String,
    pub note: String,
    pub note_max: usize,
    pub problem: Option<String>,
}

/// What became of an order.
pub struct Given {
    pub tone: &'static str,
    pub text: String,
    /// The same as a sentence.
    pub sentence: String,
    pub detail: Option<String>,
    /// Whether there will be more to say in a moment.
    pub is_pending: bool,
}

pub struct PastOrder {
    pub at: String,
    pub what: String,
    pub who: String,
    pub why: String,
    pub tone: &'static str,
    pub result: String,
}

/// A confirmed order.
#[derive(Deserialize)]
pub struct Typed {
    #[serde(default)]
    gateway: String,
    #[serde(default)]
    point: String,
    #[serde(default)]
    id: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    note: String,
}

/// The panel that the query asks for, if there is such a door.
pub async fn panel(visit: &Visit, query: &Query) -> Result<Option<DoorPanel>, Fault> {
    let (Some(gateway), Some(point)) = (query.one("gateway"), query.one("door")) else { return Ok(None) };
    let Some(door) = find(visit, gateway, point).await? else { return Ok(None) };
    let mut panel = read(visit, &door).await?;
    panel.given = match query.one("given").and_then(id_of) {
        Some(id) => commands::progress(&visit.app.database, id, visit.app.now()).await?,
        None => None,
    }
    .map(|progress| given(progress, &visit.texts()));
    if let Some(action) = query.one("order").and_then(|text| ORDERS.iter().find(|order| **order == text))
        && may(visit, action)
    {
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(|_| Fault::Unavailable)?;
        panel.choose(action, &PersonId(id).to_string(), &visit.texts());
    }
    Ok(Some(panel))
}

/// `POST /doors/ORDER`
pub async fn give(visit: Visit, Form(typed): Form<Typed>) -> Result<Response, Fault> {
    let action = visit.route.and_then(|route| route.path.strip_prefix("/doors/")).ok_or(Fault::NotFound)?;
    let door = find(&visit, &typed.gateway, &typed.point).await?.ok_or(Fault::NotFound)?;
    let (id, texts) = (id_of(&typed.id).ok_or(Fault::Invalid)?, visit.texts());
    let reason = match reason_of(&typed) {
        Ok(reason) => reason,
        Err(problem) => {
            let mut panel = read(&visit, &door).await?;
            panel.choose(action, &typed.id, &texts);
            if let Some(asked) = &mut panel.asked {
                asked.problem = Some(texts.t(problem));
                asked.reason.clone_from(&typed.reason);
                asked.note.clone_from(&typed.note);
            }
            return super::page(&visit, &Query::default(), StatusCode::UNPROCESSABLE_ENTITY, Some(panel)).await;
        }
    };
    let account = visit.signed_in()?.account.id.clone();
    let now = visit.app.now();
    let order = Order {
        id,
        gateway: door.gateway.clone(),
        action: action.to_owned(),
        point: Some(door.device.point.clone()),
        person: None,
        actor: account.as_str().to_owned(),
        reason: Some(reason),
        issued_at: now,
        expires_at: now.plus_ms(LIFE_MS),
    };
    watch::order(&visit.app.database, &visit.acting()?, &order).await?;
    tracing::info!(
        account = account.as_str(), action, gateway = %door.gateway, point = %door.device.point, "order.given"
    );
    wait_for_answer(&visit, id).await?;
    Ok(go(&door_link(door.gateway.as_str(), door.device.point.as_str(), &[("given", &typed.id)])))
}

/// Until it is answered, or for [`ANSWER_WITHIN`].
async fn wait_for_answer(visit: &Visit, id: [u8; 16]) -> Result<(), Fault> {
    let end = Instant::now() + ANSWER_WITHIN;
    while Instant::now() < end {
        match commands::progress(&visit.app.database, id, visit.app.now()).await? {
            Some(Progress::Waiting | Progress::Sent) => tokio::time::sleep(LOOK_EVERY).await,
            Some(Progress::Done | Progress::Refused(_) | Progress::Expired) | None => break,
        }
    }
    Ok(())
}

async fn find(visit: &Visit, gateway: &str, point: &str) -> Result<Option<Seen<devices::Door>>, Fault> {
    let (Ok(gateway), Ok(point)) = (GatewayId::new(gateway), PointId::new(point)) else { return Ok(None) };
    let doors = watch::equipment(&visit.app.database, &visit.acting()?).await?.doors;
    Ok(doors.into_iter().find(|door| door.gateway == gateway && door.device.point == point))
}

async fn read(visit: &Visit, door: &Seen<devices::Door>) -> Result<DoorPanel, Fault> {
    let (database, texts, times, now) = (&visit.app.database, visit.texts(), visit.times(), visit.app.now());
    let acting = visit.acting()?;
    let gateways = devices::gateways(database).await?;
    let is_heard = gateways
        .iter()
        .any(|known| known.id == door.gateway && known.online && now.since_ms(known.seen) <= REPORT_STALE_MS);
    let (gateway, point) = (door.gateway.as_str(), door.device.point.as_str());
    let (tone, state) = door_state(is_heard.then_some(door.device.state), &texts);
    let orders = ORDERS.iter().filter(|action| may(visit, action));
    let choices = orders
        .map(|action| Choice {
            text: texts.code("order-", action),
            // To the field of the reason: it gets the focus.
            link: door_link(gateway, point, &[("order", action)]).replace("#door", "#reason"),
            is_grave: is_grave(action),
            is_chosen: false,
        })
        .collect();
    let mut last = Vec::new();
    for (order, progress) in watch::orders_at(database, &acting, &door.gateway, &door.device.point, LAST, now).await? {
        let who = match AccountId::parse(&order.actor) {
            Some(id) => visit.app.accounts.shown_name(&id).await?,
            None => None,
        };
        let given = given(progress, &texts);
        last.push(PastOrder {
            at: times.full(order.issued_at),
            what: texts.code("order-", &order.action),
            who: who.unwrap_or_else(|| order.actor.clone()),
            why: order.reason.as_deref().map(|reason| reason_in_words(reason, &texts)).unwrap_or_default(),
            tone: given.tone,
            result: given.text,
        });
    }
    Ok(DoorPanel {
        gateway: gateway.to_owned(),
        point: point.to_owned(),
        name: label(point),
        tone: tone.class(),
        state,
        since: texts.a("for-span", &times.span(now.since_ms(door.device.since))),
        is_heard,
        choices,
        asked: None,
        given: None,
        last,
        link: door_link(gateway, point, &[]),
    })
}

impl DoorPanel {
    fn choose(&mut self, action: &str, id: &str, texts: &Texts) {
        for choice in &mut self.choices {
            choice.is_chosen = choice.link.contains(&format!("order={action}#"));
        }
        self.asked = Some(Asked {
            path: format!("/doors/{action}"),
            title: texts.code("order-", action),
            text: texts.a(&format!("order-text-{action}"), &self.name),
            button: texts.code("order-button-", action),
            is_grave: is_grave(action),
            id: id.to_owned(),
            reasons: REASONS.iter().map(|code| (*code, texts.code("order-reason-", code))).collect(),
            reason: String::new(),
            note: String::new(),
            note_max: NOTE_MAX_CHARS,
            problem: None,
        });
    }
}

fn may(visit: &Visit, action: &str) -> bool {
    visit.rights().is_some_and(|rights| routes::opens(rights, &format!("/doors/{action}")))
}

/// What leaves a door open, or nobody in, until somebody ends it.
fn is_grave(action: &str) -> bool {
    matches!(action, "lock" | "free_passage" | "emergency")
}

fn given(progress: Progress, texts: &Texts) -> Given {
    let (tone, key, is_pending) = match &progress {
        Progress::Waiting | Progress::Sent => (Tone::Info, "given-pending", true),
        Progress::Done => (Tone::Ok, "given-done", false),
        Progress::Refused(_) => (Tone::Bad, "given-refused", false),
        Progress::Expired => (Tone::Bad, "given-expired", false),
    };
    let detail = match progress {
        Progress::Refused(problem) => Some(problem),
        Progress::Waiting | Progress::Sent | Progress::Done | Progress::Expired => None,
    };
    Given { tone: tone.class(), text: texts.t(key), sentence: texts.t(&format!("{key}-text")), detail, is_pending }
}

/// The code of the reason, with the explanation behind it.
fn reason_of(typed: &Typed) -> Result<String, &'static str> {
    let code = REASONS.iter().find(|code| **code == typed.reason).ok_or("order-reason-missing")?;
    let note: String = typed.note.chars().filter(|c| !c.is_control()).take(NOTE_MAX_CHARS).collect();
    match (*code, note.trim()) {
        ("other", "") => Err("order-note-missing"),
        (code, "") => Ok(code.to_owned()),
        (code, note) => Ok(format!("{code}: {note}")),
    }
}

fn reason_in_words(reason: &str, texts: &Texts) -> String {
    let (code, note) = reason.split_once(": ").unwrap_or((reason, ""));
    match (texts.code_if_any("order-reason-", code), note) {
        (Some(words), "") => words,
        (Some(_), note) if code == "other" => note.to_owned(),
        (Some(words), note) => format!("{words}: {note}"),
        (None, _) => reason.to_owned(),
    }
}

/// 32 hexadecimal digits, as a pseudonym has.
fn id_of(text: &str) -> Option<[u8; 16]> {
    text.parse::<PersonId>().ok().map(|id| id.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::Language;

    fn typed(reason: &str, note: &str) -> Typed {
        let empty = String::new;
        Typed { gateway: empty(), point: empty(), id: empty(), reason: reason.to_owned(), note: note.to_owned() }
    }

    #[test]
    fn a_reason_is_a_word_of_the_list_and_other_needs_an_explanation() {
        assert_eq!(reason_of(&typed("delivery", "")), Ok("delivery".to_owned()));
        assert_eq!(reason_of(&typed("repair", " lift\n ")), Ok("repair: lift".to_owned()));
        assert_eq!(reason_of(&typed("other", " ")), Err("order-note-missing"));
        assert_eq!(reason_of(&typed("because", "")), Err("order-reason-missing"));
        let long = reason_of(&typed("other", &"я".repeat(500))).unwrap();
        assert_eq!(long.chars().count(), "other: ".len() + NOTE_MAX_CHARS);
    }

    #[test]
    fn a_stored_reason_is_read_in_the_language_of_the_page() {
        let texts = Language::En.texts();
        assert_eq!(reason_in_words("delivery", &texts), texts.t("order-reason-delivery"));
        assert_eq!(reason_in_words("other: a wedding", &texts), "a wedding");
        assert_eq!(reason_in_words("by hand", &texts), "by hand", "not given on a page");
    }

    #[test]
    fn every_order_and_reason_has_words_in_every_language() {
        for language in Language::ALL {
            let texts = language.texts();
            for action in ORDERS {
                for prefix in ["order-", "order-text-", "order-button-"] {
                    assert!(texts.code_if_any(prefix, action).is_some(), "{language:?} {prefix}{action}");
                }
            }
            for code in REASONS {
                assert!(texts.code_if_any("order-reason-", code).is_some(), "{language:?} {code}");
            }
        }
    }
}
