//! Where a patient or colleague is, and the way they took today. What for is asked, the look is recorded before anything
//! is shown, and neither name nor pseudonym stands in an address.

use askama::Template;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::Response;
use clinic::audit::Purpose;
use clinic::vault::VaultError;
use clinic::whereabouts::{self, Source, Stay, WhereError};
use domain::{Permission, PersonId, UtcMillis};

use crate::faces::{Face, Faces};
use crate::fault::Fault;
use crate::pages::people::purpose::{Choice, Purposes};
use crate::pages::query::Query;
use crate::view::{Frame, page as render};
use crate::visit::Visit;
use crate::words::{label, short_id};

/// People shown by one search.
const FOUND_MAX: usize = 12;
/// Longest text to search for, in characters.
const WORDS_MAX: usize = 120;
const MINUTE_MS: i64 = 60_000;

#[derive(Template)]
#[template(path = "where.html")]
struct Page {
    frame: Frame,
    typed: String,
    purposes: Vec<Choice>,
    purpose: String,
    found: Option<Vec<Hit>>,
    place: Option<Place>,
    problem: Option<String>,
}

struct Hit {
    id: String,
    name: String,
    photo: Option<String>,
    sub: String,
}

/// Where somebody is and was.
struct Place {
    name: String,
    photo: Option<String>,
    now: String,
    since: Option<String>,
    sure: Option<String>,
    steps: Vec<Step>,
    is_cut: bool,
    day: String,
}

/// One stay of the timeline.
struct Step {
    kind: &'static str,
    from: String,
    until: String,
    place: String,
    what: String,
    minutes: String,
    is_now: bool,
}

/// `GET /where`
pub async fn show(visit: Visit, query: Query) -> Result<Response, Fault> {
    page(&visit, String::new(), query.one("for").unwrap_or_default(), Outcome::Nothing)
}

enum Outcome {
    Nothing,
    Problem(String),
    Found(Vec<Hit>),
    Place(Box<Place>),
}

/// `POST /where`: looks for people by words, or shows where one is.
pub async fn look(visit: Visit, body: Bytes) -> Result<Response, Fault> {
    let form = Query::read(std::str::from_utf8(&body).map_err(|_| Fault::Invalid)?);
    let (acting, texts) = (visit.acting()?, visit.texts());
    let typed: String = form.one("words").unwrap_or_default().chars().take(WORDS_MAX).collect();
    let code = form.one("purpose").unwrap_or_default();
    let Some(purpose) = Purposes::of(&acting).read(code) else {
        return page(&visit, typed, code, Outcome::Problem(texts.t("purpose-missing")));
    };
    let chosen = form.one("person").or(Some(typed.as_str())).and_then(|id| id.parse::<PersonId>().ok());
    if let Some(person) = chosen {
        return match place(&visit, person, purpose).await {
            Ok(place) => page(&visit, String::new(), code, Outcome::Place(Box::new(place))),
            Err(Fault::NotFound) => page(&visit, typed, code, Outcome::Problem(texts.t("where-unknown"))),
            Err(fault) => Err(fault),
        };
    }
    if !acting.rights.allows(Permission::PersonFind) {
        return page(&visit, typed, code, Outcome::Problem(texts.t("where-by-id")));
    }
    let _turn = visit.app.heavy.acquire().await.map_err(|_| Fault::Unavailable)?;
    let found = match visit.app.vault.search(&acting, &typed, FOUND_MAX, purpose).await {
        Ok(found) => found,
        Err(VaultError::Query(_) | VaultError::TooMany) => {
            return page(&visit, typed, code, Outcome::Problem(texts.t("without-search-short")));
        }
        Err(VaultError::Locked(_)) => {
            return page(&visit, typed, code, Outcome::Problem(texts.t("without-locked")));
        }
        Err(error) => return Err(error.into()),
    };
    let hits = found.people.iter().map(|card| {
        let face = Face::of(card, &acting);
        let born = card.birth_date.map(|date| date.reveal());
        Hit {
            id: card.person.to_string(),
            name: face.name.clone().unwrap_or_else(|| short_id(&card.person.to_string())),
            photo: face.small,
            sub: born.map(|(year, month, day)| format!("{day:02}.{month:02}.{year}")).unwrap_or_default(),
        }
    });
    let hits = hits.collect();
    page(&visit, typed, code, Outcome::Found(hits))
}

fn page(visit: &Visit, typed: String, purpose: &str, outcome: Outcome) -> Result<Response, Fault> {
    let mut page = Page {
        frame: Frame::new(visit, "where"),
        typed,
        purposes: Purposes::of(&visit.acting()?).choices(purpose, &visit.texts()),
        purpose: purpose.to_owned(),
        found: None,
        place: None,
        problem: None,
    };
    let mut status = StatusCode::OK;
    match outcome {
        Outcome::Nothing => {}
        Outcome::Problem(problem) => {
            status = StatusCode::UNPROCESSABLE_ENTITY;
            page.problem = Some(problem);
        }
        Outcome::Found(found) => page.found = Some(found),
        Outcome::Place(place) => page.place = Some(*place),
    }
    render(status, &page)
}

async fn place(visit: &Visit, person: PersonId, purpose: Purpose) -> Result<Place, Fault> {
    let (acting, texts, times, now) = (visit.acting()?, visit.texts(), visit.times(), visit.app.now());
    let (from, until) = times.day_around(now);
    let database = &visit.app.database;
    let today = match whereabouts::today(database, &acting, person, purpose, from, until, now).await {
        Ok(today) => today,
        Err(WhereError::Unknown) => return Err(Fault::NotFound),
        Err(error) => return Err(error.into()),
    };
    let others = today.stays.iter().filter_map(|stay| stay.visit.as_ref().map(|(_, other)| *other));
    let persons = others.chain([person]).collect();
    let faces = Faces::look(&visit.app, &acting, persons, purpose).await?;
    let name = |person: PersonId| faces.name(Some(person)).map_or_else(|| short_id(&person.to_string()), str::to_owned);
    // Of what still lasts, the latest says most: a visit stands within a zone.
    let last = today.stays.iter().filter(|stay| stay.until.is_none()).max_by_key(|stay| stay.from);
    let clock = |at: UtcMillis| times.clock(at).chars().take(5).collect::<String>();
    let step = |stay: &Stay| {
        let what = match (stay.source, &stay.visit) {
            (Source::Visit, Some((_, other))) => texts.a("where-visit-with", &name(*other)),
            (source, _) => texts.code("where-source-", source.as_str()),
        };
        let lasted = stay.until.unwrap_or(now).since_ms(stay.from).max(0);
        Step {
            kind: match stay.source {
                Source::Visit => "visit",
                Source::Desk => "desk",
                Source::Passage => "passage",
            },
            from: clock(stay.from),
            until: stay.until.map(clock).unwrap_or_default(),
            place: label(stay.zone.as_str()),
            what,
            minutes: texts.n("span-min", lasted / MINUTE_MS),
            is_now: stay.until.is_none(),
        }
    };
    Ok(Place {
        name: name(person),
        photo: faces.get(Some(person)).and_then(|face| face.large.clone()),
        now: match last {
            Some(stay) => label(stay.zone.as_str()),
            None if today.stays.is_empty() => texts.t("where-nowhere"),
            None => texts.t("where-outside"),
        },
        since: last.map(|stay| texts.a("where-since", &times.clock(stay.from))),
        sure: last.map(|stay| texts.code("where-sure-", stay.source.as_str())),
        steps: today.stays.iter().map(step).collect(),
        is_cut: today.is_cut,
        day: times.day(now),
    })
}
