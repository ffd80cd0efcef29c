//! Incidents and their clocks.

use askama::Template;
use axum::extract::{Form, Path};
use axum::http::StatusCode;
use axum::response::Response;
use clinic::accounts::AccountId;
use clinic::incidents::{self, Incident, IncidentError, NewIncident, Step};
use serde::Deserialize;

use crate::fault::Fault;
use crate::view::{Frame, go, page as render};
use crate::visit::Visit;

#[derive(Template)]
#[template(path = "privacy/incidents.html")]
struct Page {
    frame: Frame,
    lines: Vec<Line>,
    problem: Option<String>,
}

struct Line {
    id: String,
    title: String,
    tone: &'static str,
    state: String,
    noticed: String,
    span: Option<String>,
    affected: String,
    done: Vec<(String, String)>,
    left: Vec<(String, String)>,
    next: &'static str,
}

/// `GET /incidents`
pub async fn list(visit: Visit) -> Result<Response, Fault> {
    page(&visit, StatusCode::OK, None).await
}

async fn line(visit: &Visit, incident: &Incident) -> Result<Line, Fault> {
    let (texts, times, now) = (visit.texts(), visit.times(), visit.app.now());
    let affected = incidents::affected(&visit.app.database, &visit.acting()?, &incident.id).await?.len();
    let next = incident.next_term();
    let is_closed = incident.done(Step::Closed).is_some();
    let (tone, state) = match next {
        _ if is_closed => ("ok", texts.code("incident-step-", Step::Closed.as_str())),
        Some((_, end)) if end > now => ("warn", texts.a("request-left", &times.span(end.since_ms(now)))),
        Some((_, end)) => ("bad", texts.a("request-late-by", &times.span(now.since_ms(end)))),
        None => ("info", texts.t("incident-told")),
    };
    let done = incident.steps.iter().map(|(step, at)| (texts.code("incident-step-", step.as_str()), times.full(*at)));
    let left = Step::ALL.iter().filter(|step| !is_closed && incident.done(**step).is_none());
    Ok(Line {
        id: incident.id.clone(),
        title: incident.title.clone(),
        tone,
        state,
        noticed: times.full(incident.noticed),
        span: incident.span.map(|(from, until)| format!("{} – {}", times.full(from), times.full(until))),
        affected: match incident.span {
            Some(_) => texts.n("people-count", affected),
            None => texts.t("incident-unknown"),
        },
        done: done.collect(),
        left: left.map(|step| (step.as_str().to_owned(), texts.code("incident-do-", step.as_str()))).collect(),
        next: next.map_or("", |(step, _)| step.as_str()),
    })
}

async fn page(visit: &Visit, status: StatusCode, problem: Option<String>) -> Result<Response, Fault> {
    let found = incidents::list(&visit.app.database, &visit.acting()?).await?;
    let mut lines = Vec::new();
    for incident in &found {
        lines.push(line(visit, incident).await?);
    }
    render(status, &Page { frame: Frame::new(visit, "privacy"), lines, problem })
}

/// An incident, as typed.
#[derive(Deserialize)]
pub struct Typed {
    #[serde(default)]
    title: String,
    #[serde(default)]
    noticed: String,
    #[serde(default)]
    from: String,
    #[serde(default)]
    until: String,
    #[serde(default)]
    account: String,
    #[serde(default)]
    high: String,
}

/// `POST /incidents/add`
pub async fn add(visit: Visit, Form(typed): Form<Typed>) -> Result<Response, Fault> {
    let (times, now) = (visit.times(), visit.app.now());
    let read = |text: &str| match text.trim() {
        "" => Ok(None),
        text => times.read_field(text).map(Some).ok_or(Fault::Invalid),
    };
    let account = match typed.account.trim() {
        "" => None,
        text => Some(AccountId::parse(text).ok_or(Fault::Invalid)?),
    };
    let new = NewIncident {
        title: typed.title,
        noticed: read(&typed.noticed)?.unwrap_or(now),
        span: read(&typed.from)?.zip(read(&typed.until)?),
        account,
        is_high_risk: typed.high == "yes",
    };
    let problem = match incidents::open(&visit.app.database, &visit.acting()?, new, now).await {
        Ok(_) => return Ok(go("/incidents")),
        Err(IncidentError::BadTitle) => visit.texts().t("incident-bad-title"),
        Err(IncidentError::BadTimes) => visit.texts().t("incident-bad-times"),
        Err(other) => return Err(other.into()),
    };
    page(&visit, StatusCode::UNPROCESSABLE_ENTITY, Some(problem)).await
}

/// A step, as pressed.
#[derive(Deserialize)]
pub struct Pressed {
    #[serde(default)]
    step: String,
}

/// `POST /incidents/{id}`
pub async fn mark(visit: Visit, Path(id): Path<String>, Form(pressed): Form<Pressed>) -> Result<Response, Fault> {
    let step = Step::parse(&pressed.step).ok_or(Fault::Invalid)?;
    incidents::mark(&visit.app.database, &visit.acting()?, &id, step, visit.app.now()).await?;
    Ok(go("/incidents"))
}
