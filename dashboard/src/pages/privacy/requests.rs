//! Requests of persons: the list by the day of the law, taking one in, answering it.

use askama::Template;
use axum::extract::{Form, Path};
use axum::http::StatusCode;
use axum::response::Response;
use clinic::requests::{self, Channel, Filter, Identity, Kind, Law, NewRequest, Request, RequestError, State};
use domain::{PersonId, UtcMillis};
use serde::Deserialize;

use super::{Choice, Names, choices, code_of};
use crate::csv::Csv;
use crate::fault::Fault;
use crate::language::Texts;
use crate::pages::query::Query;
use crate::view::{Frame, go, page as render};
use crate::visit::Visit;
use crate::words::short_id;

/// Days before the day of the law from which a request is marked.
const SOON_MS: i64 = 7 * 24 * 60 * 60 * 1000;

#[derive(Template)]
#[template(path = "privacy/requests.html")]
struct Page {
    frame: Frame,
    lines: Vec<Line>,
    kinds: Vec<Choice>,
    states: Vec<Choice>,
    laws: Vec<Choice>,
    channels: Vec<Choice>,
    identities: Vec<Choice>,
    kind: String,
    state: String,
    person: String,
    is_filtered: bool,
    export: String,
    problem: Option<String>,
}

struct Line {
    link: String,
    person: String,
    person_id: String,
    what: String,
    law: String,
    received: String,
    due: String,
    left: String,
    tone: &'static str,
    state: String,
}

fn line(visit: &Visit, request: &Request) -> Line {
    let (texts, times, now) = (visit.texts(), visit.times(), visit.app.now());
    let left = request.due.since_ms(now);
    let (tone, state) = tone(request, texts, now);
    Line {
        link: format!("/requests/{}", request.id),
        person: short_id(&request.person.to_string()),
        person_id: request.person.to_string(),
        what: texts.code("request-kind-", request.kind.as_str()),
        law: texts.code("law-", request.law.as_str()),
        received: times.day(request.received),
        due: times.day(request.due.plus_ms(-1)),
        left: match (request.state, left > 0) {
            (State::Open, true) => texts.a("request-left", &times.span(left)),
            (State::Open, false) => texts.a("request-late-by", &times.span(-left)),
            _ => String::new(),
        },
        tone,
        state,
    }
}

fn tone(request: &Request, texts: Texts, now: UtcMillis) -> (&'static str, String) {
    let words = texts.code("request-state-", request.state.as_str());
    match request.state {
        State::Open if request.is_late(now) => ("bad", texts.t("request-late")),
        State::Open if request.due.since_ms(now) < SOON_MS => ("warn", words),
        State::Open => ("info", words),
        State::Answered => ("ok", words),
        State::Refused | State::Withdrawn => ("info", words),
    }
}

fn filter_of(query: &Query) -> Result<Filter, Fault> {
    let person = match query.one("person") {
        Some(text) => Some(text.parse::<PersonId>().map_err(|_| Fault::Invalid)?),
        None => None,
    };
    Ok(Filter { state: code_of(query, "state", State::parse)?, kind: code_of(query, "kind", Kind::parse)?, person })
}

/// `GET /requests`
pub async fn list(visit: Visit, query: Query) -> Result<Response, Fault> {
    page(&visit, StatusCode::OK, &query, None).await
}

async fn page(visit: &Visit, status: StatusCode, query: &Query, problem: Option<String>) -> Result<Response, Fault> {
    let (filter, texts) = (filter_of(query)?, visit.texts());
    let found = requests::list(&visit.app.database, &visit.acting()?, &filter).await?;
    let text = |key: &str| query.one(key).unwrap_or_default().to_owned();
    let page = Page {
        frame: Frame::new(visit, "requests"),
        lines: found.iter().map(|request| line(visit, request)).collect(),
        kinds: choices(texts, "request-kind-", Kind::ALL.iter().map(|it| it.as_str())),
        states: choices(texts, "request-state-", State::ALL.iter().map(|it| it.as_str())),
        laws: choices(texts, "law-", Law::ALL.iter().map(|it| it.as_str())),
        channels: choices(texts, "channel-", Channel::ALL.iter().map(|it| it.as_str())),
        identities: choices(texts, "identity-", Identity::ALL.iter().map(|it| it.as_str())),
        kind: text("kind"),
        state: text("state"),
        person: text("person"),
        is_filtered: filter != Filter::default(),
        export: format!("/requests.csv{}", query.with("", None)),
        problem,
    };
    render(status, &page)
}

/// `GET /requests.csv`
pub async fn export(visit: Visit, query: Query) -> Result<Response, Fault> {
    let found = requests::list(&visit.app.database, &visit.acting()?, &filter_of(&query)?).await?;
    let times = visit.times();
    let mut csv = Csv::new(&["id", "person", "kind", "law", "channel", "state", "received", "due", "answered", "late"]);
    for request in &found {
        let late = request.answered.map_or_else(|| request.is_late(visit.app.now()), |at| at >= request.due);
        csv.row(&[
            request.id.clone(),
            request.person.to_string(),
            request.kind.to_string(),
            request.law.to_string(),
            request.channel.to_string(),
            request.state.to_string(),
            times.exact(request.received),
            times.exact(request.due),
            request.answered.map(|at| times.exact(at)).unwrap_or_default(),
            late.to_string(),
        ]);
    }
    super::disclosures::note(&visit, "/requests.csv", found.len()).await?;
    Ok(csv.into_response("requests.csv"))
}

/// A request, as typed.
#[derive(Deserialize)]
pub struct Typed {
    #[serde(default)]
    person: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    law: String,
    #[serde(default)]
    channel: String,
    #[serde(default)]
    identity: String,
    #[serde(default)]
    received: String,
    #[serde(default)]
    note: String,
}

/// `POST /requests/add`
pub async fn add(visit: Visit, Form(typed): Form<Typed>) -> Result<Response, Fault> {
    let problem = match read(&visit, &typed) {
        None => "request-incomplete",
        Some(new) => {
            let zone = visit.app.settings.time_zone;
            let (acting, now) = (visit.acting()?, visit.app.now());
            match requests::take_in(&visit.app.database, &acting, new, zone, now).await {
                Ok(id) => return Ok(go(&format!("/requests/{id}"))),
                Err(RequestError::NotFound) => "request-unknown-person",
                Err(RequestError::BadDay) => "request-bad-day",
                Err(other) => return Err(other.into()),
            }
        }
    };
    let problem = Some(visit.texts().t(problem));
    page(&visit, StatusCode::UNPROCESSABLE_ENTITY, &Query::default(), problem).await
}

fn read(visit: &Visit, typed: &Typed) -> Option<NewRequest> {
    let received = match typed.received.trim() {
        "" => visit.app.now(),
        text => visit.times().read_field(text)?,
    };
    let note = typed.note.trim();
    Some(NewRequest {
        person: typed.person.trim().parse().ok()?,
        kind: Kind::parse(&typed.kind)?,
        law: Law::parse(&typed.law)?,
        channel: Channel::parse(&typed.channel)?,
        identity: Identity::parse(&typed.identity)?,
        received,
        note: (!note.is_empty()).then(|| note.to_owned()),
    })
}

#[derive(Template)]
#[template(path = "privacy/request.html")]
struct One {
    frame: Frame,
    line: Line,
    id: String,
    channel: String,
    identity: String,
    is_identified: bool,
    is_open: bool,
    may_extend: bool,
    is_access: bool,
    is_erasure: bool,
    is_restriction: bool,
    taken_by: String,
    answered: Option<(String, String)>,
    identities: Vec<Choice>,
    problem: Option<String>,
}

/// `GET /requests/{id}`
pub async fn show(visit: Visit, Path(id): Path<String>) -> Result<Response, Fault> {
    one(&visit, StatusCode::OK, &id, None).await
}

async fn one(visit: &Visit, status: StatusCode, id: &str, problem: Option<String>) -> Result<Response, Fault> {
    let request = requests::of(&visit.app.database, &visit.acting()?, id).await?;
    let (texts, mut names) = (visit.texts(), Names::default());
    let answered = match (&request.answered, &request.answered_by) {
        (Some(at), Some(by)) => Some((visit.times().full(*at), names.of(visit, by).await?)),
        _ => None,
    };
    let page = One {
        frame: Frame::new(visit, "requests"),
        line: line(visit, &request),
        id: request.id.clone(),
        channel: texts.code("channel-", request.channel.as_str()),
        identity: texts.code("identity-", request.identity.as_str()),
        is_identified: request.identity != Identity::NotYet,
        is_open: request.state == State::Open,
        may_extend: !request.is_extended && request.law != Law::Ua2297,
        is_access: matches!(request.kind, Kind::Access | Kind::Portability),
        is_erasure: request.kind == Kind::Erasure,
        is_restriction: matches!(request.kind, Kind::Restriction | Kind::Objection),
        taken_by: names.of(visit, &request.taken_by).await?,
        answered,
        identities: choices(
            texts,
            "identity-",
            Identity::ALL.iter().filter(|it| **it != Identity::NotYet).map(|it| it.as_str()),
        ),
        problem,
    };
    render(status, &page)
}

/// A step, as typed.
#[derive(Deserialize)]
pub struct Stepped {
    #[serde(default)]
    what: String,
    #[serde(default)]
    identity: String,
    #[serde(default)]
    note: String,
}

/// `POST /requests/{id}`
pub async fn step(visit: Visit, Path(id): Path<String>, Form(typed): Form<Stepped>) -> Result<Response, Fault> {
    let (acting, now, database) = (visit.acting()?, visit.app.now(), &visit.app.database);
    let done = match (typed.what.as_str(), State::parse(&typed.what)) {
        ("identify", _) => {
            let identity = Identity::parse(&typed.identity).ok_or(Fault::Invalid)?;
            requests::identify(database, &acting, &id, identity, now).await
        }
        ("extend", _) => requests::extend(database, &acting, &id, &typed.note, visit.app.settings.time_zone, now).await,
        (_, Some(state)) => requests::close(database, &acting, &id, state, Some(&typed.note), now).await,
        _ => return Err(Fault::Invalid),
    };
    let key = match done {
        Ok(()) => return Ok(go(&format!("/requests/{id}"))),
        Err(RequestError::BadReason) => "request-bad-reason",
        Err(RequestError::NotIdentified) => "request-not-identified",
        Err(RequestError::NotOpen) => "request-not-open",
        Err(RequestError::NoDelay) => "request-no-delay",
        Err(other) => return Err(other.into()),
    };
    let problem = Some(visit.texts().t(key));
    one(&visit, StatusCode::UNPROCESSABLE_ENTITY, &id, problem).await
}
