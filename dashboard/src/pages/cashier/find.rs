//! Whom it is about: a patient is found by name, record number or card, or picked from those who have something to pay
//! today. What is typed or read travels in the body of a form, never in an address; who was shown is recorded.

use askama::Template;
use axum::Json;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use clinic::audit::Purpose;
use clinic::people;
use clinic::till::counter::{TO_PAY_MAX, ToPay};
use clinic::vault::{PersonCard, VaultError};
use domain::schedule::LocalDate;
use domain::{CardId, Permission, PersonId};
use serde_json::json;

use super::account::name_of;
use super::{day_of, day_words, lacking, read};
use crate::csv::Csv;
use crate::faces::{Face, Faces};
use crate::fault::{Dressed, Fault};
use crate::language::Texts;
use crate::money;
use crate::pages::assets;
use crate::pages::query::Query;
use crate::view::{Frame, go, page as render};
use crate::visit::Visit;
use crate::words::short_id;

/// People shown by one search.
const FOUND_MAX: usize = 24;
/// Longest text to search for, in characters.
const TYPED_MAX: usize = 120;
/// Longest line of a reader, in bytes.
pub const LINE_MAX_BYTES: usize = 256;

#[derive(Template)]
#[template(path = "cashier/find.html")]
struct Page {
    frame: Frame,
    script: String,
    reader: String,
    typed: String,
    found: Option<Vec<Hit>>,
    more: bool,
    problem: Option<String>,
    lines: Vec<Line>,
    day: String,
    day_name: String,
    export: String,
    drawer: Option<String>,
    has_reader: bool,
}

/// One result.
struct Hit {
    link: String,
    name: String,
    pseudonym: String,
    instead: Option<String>,
    restricted: bool,
}

/// A patient with something to pay.
struct Line {
    link: String,
    name: String,
    count: u64,
    open: String,
    last: String,
}

/// `GET /till`
pub async fn show(visit: Visit, query: Query) -> Result<Response, Fault> {
    if let Some(page) = lacking(&visit, "till")? {
        return Ok(page);
    }
    page(&visit, StatusCode::OK, &query, String::new(), Outcome::Nothing).await
}

enum Outcome {
    Nothing,
    Problem(String),
    Found(Vec<Hit>, bool),
}

fn asked_day(visit: &Visit, query: &Query) -> Result<LocalDate, Fault> {
    Ok(day_of(query.one("day"))?.unwrap_or_else(|| visit.app.till.today()))
}

async fn page(
    visit: &Visit,
    status: StatusCode,
    query: &Query,
    typed: String,
    outcome: Outcome,
) -> Result<Response, Fault> {
    let (acting, texts, times) = (visit.acting()?, visit.texts(), visit.times());
    let day = asked_day(visit, query)?;
    let waiting = visit.app.till.to_pay(&acting, day, TO_PAY_MAX).await?;
    let persons = waiting.iter().map(|line| line.patient).collect();
    let faces = Faces::look(&visit.app, &acting, persons, Purpose::Payment).await?;
    let line = |one: &ToPay| Line {
        link: link(one.patient),
        name: name_of(&faces, one.patient, &texts),
        count: one.count,
        open: money::amount(&texts, one.currency, one.open),
        last: times.clock(one.last),
    };
    let shift = visit.app.till.shift_of(&acting).await?;
    let (found, more, problem) = match outcome {
        Outcome::Nothing => (None, false, None),
        Outcome::Problem(text) => (None, false, Some(text)),
        Outcome::Found(hits, more) => (Some(hits), more, None),
    };
    render(
        status,
        &Page {
            frame: Frame::new(visit, "till"),
            script: assets::path("cashier.js"),
            reader: assets::path("reader.js"),
            typed,
            found,
            more,
            problem,
            lines: waiting.iter().map(line).collect(),
            day: day.to_string(),
            day_name: day_words(&times, day),
            export: format!("/till/to-pay.csv?day={day}"),
            drawer: shift.map(|shift| shift.drawer),
            has_reader: visit.app.settings.desk.reader.is_some(),
        },
    )
}

fn link(person: PersonId) -> String {
    format!("/till/patient/{person}")
}

/// `POST /till`: a name, a record number, a card's line or a pseudonym.
pub async fn search(visit: Visit, body: Bytes) -> Result<Response, Fault> {
    if let Some(page) = lacking(&visit, "till")? {
        return Ok(page);
    }
    let form = read(&body)?;
    let (acting, texts) = (visit.acting()?, visit.texts());
    let words: String = form.one("words").unwrap_or_default().chars().take(TYPED_MAX).collect();
    let refused = |problem: String| {
        page(&visit, StatusCode::UNPROCESSABLE_ENTITY, &form, words.clone(), Outcome::Problem(problem))
    };
    if words.is_empty() {
        return refused(texts.t("people-words-short")).await;
    }
    if !acting.rights.allows(Permission::PersonFind) {
        return refused(texts.t("cashier-no-find")).await;
    }
    let _turn = visit.app.heavy.acquire().await.map_err(|_| Fault::Unavailable)?;
    if let Some(person) = by_id_or_card(&visit, &words).await? {
        return Ok(go(&link(person)));
    }
    if words.chars().any(|letter| letter.is_ascii_digit()) {
        let of_record = visit.app.till.of_record(&acting, &words).await?;
        if let [person] = of_record.as_slice() {
            return Ok(go(&link(*person)));
        }
        if !of_record.is_empty() {
            let cards = visit.app.vault.cards(&acting, &of_record, Purpose::Payment).await?;
            let hits = cards.iter().map(|card| hit(&visit, card)).collect::<Result<_, _>>()?;
            return page(&visit, StatusCode::OK, &form, words, Outcome::Found(hits, false)).await;
        }
    }
    let found = match visit.app.vault.search(&acting, &words, FOUND_MAX, Purpose::Payment).await {
        Ok(found) => found,
        Err(VaultError::Query(_)) => return refused(texts.t("people-words-short")).await,
        Err(VaultError::TooMany) => return refused(texts.t("people-words-many")).await,
        Err(VaultError::Locked(_)) => return refused(texts.t("cashier-locked")).await,
        Err(error) => return Err(error.into()),
    };
    let hits = found.people.iter().map(|card| hit(&visit, card)).collect::<Result<_, _>>()?;
    page(&visit, StatusCode::OK, &form, words, Outcome::Found(hits, found.more)).await
}

/// The person of a pseudonym, or of a line that is a card here.
async fn by_id_or_card(visit: &Visit, words: &str) -> Result<Option<PersonId>, Fault> {
    let database = &visit.app.database;
    if let Ok(id) = words.parse::<PersonId>() {
        let card = people::pass(database, CardId(id.0)).await?;
        return Ok(Some(card.map_or(id, |pass| pass.person)));
    }
    let Some(reader) = &visit.app.settings.desk.reader else { return Ok(None) };
    match reader(words) {
        Some(card) => Ok(people::pass(database, card).await?.map(|pass| pass.person)),
        None => Ok(None),
    }
}

fn hit(visit: &Visit, card: &PersonCard) -> Result<Hit, Fault> {
    let texts: Texts = visit.texts();
    let face = Face::of(card, &visit.acting()?);
    let pseudonym = short_id(&card.person.to_string());
    Ok(Hit {
        link: link(card.person),
        name: face.name.clone().unwrap_or_else(|| texts.a("person-short", &pseudonym)),
        pseudonym,
        instead: face.instead(&texts),
        restricted: face.restricted,
    })
}

/// `POST /till/card`: a line of the reader at this computer, told to the page's script: where to go, or what is wrong. The
/// line goes no further than the reader's own rules, which make it the card's pseudonym.
pub async fn card(visit: Visit, body: Bytes) -> Result<Response, Fault> {
    let texts = visit.texts();
    let reader = visit.app.settings.desk.reader.as_ref().ok_or(Fault::NotFound)?;
    if body.len() > LINE_MAX_BYTES {
        return Err(Fault::Invalid);
    }
    let line = std::str::from_utf8(&body).map_err(|_| Fault::Invalid)?;
    let person = match reader(line) {
        Some(card) => people::pass(&visit.app.database, card).await?.map(|pass| pass.person),
        None => None,
    };
    let told = match person {
        Some(person) => json!({ "go": link(person) }),
        None => json!({ "text": texts.t("cashier-card-unknown") }),
    };
    let mut response = Json(told).into_response();
    response.extensions_mut().insert(Dressed);
    Ok(response)
}

/// `GET /till/to-pay.csv`: by pseudonym.
pub async fn export(visit: Visit, query: Query) -> Result<Response, Fault> {
    let acting = visit.acting()?;
    if !acting.rights.allows(Permission::ChargeSee) {
        return Ok(go("/till"));
    }
    let _turn = visit.app.heavy.acquire().await.map_err(|_| Fault::Unavailable)?;
    let day = asked_day(&visit, &query)?;
    let times = visit.times();
    let mut csv = Csv::new(&["day", "patient", "charges", "open", "currency", "last"]);
    for line in visit.app.till.to_pay(&acting, day, TO_PAY_MAX).await? {
        csv.row(&[
            day.to_string(),
            line.patient.to_string(),
            line.count.to_string(),
            line.currency.decimal(line.open),
            line.currency.to_string(),
            times.exact(line.last),
        ]);
    }
    Ok(csv.into_response("to-pay.csv"))
}
