//! Visits for who looks at the work of the clinic: the list, who was with whom, and which rooms were used. By pseudonym,
//! unless the role shows names.

mod graph;
mod rooms;

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use clinic::audit::Purpose;
use clinic::disclosures::{self, Class, Disclosure};
use clinic::visits::{Filter, LIST_MAX, Position, Visit as PatientVisit};
use domain::visit::{BeganBy, VisitEnd};
use domain::{Field, PersonId, UtcMillis, ZoneId};

pub use graph::{export as graph_export, show as graph};
pub use rooms::{export as rooms_export, show as rooms};

use crate::csv::{Csv, ROWS_MAX};
use crate::faces::Faces;
use crate::fault::Fault;
use crate::pages::query::Query;
use crate::view::{Frame, page as render};
use crate::visit::Visit;
use crate::words::{label, short_id};

/// Visits of one page.
const PAGE: u32 = 60;
const MINUTE_MS: i64 = 60_000;

#[derive(Template)]
#[template(path = "visits/list.html")]
struct Page {
    frame: Frame,
    lines: Vec<Line>,
    typed: Typed,
    began: Vec<(&'static str, String)>,
    ends: Vec<(&'static str, String)>,
    problem: Option<String>,
    next: Option<String>,
    is_first: bool,
    first: String,
    export: String,
    day: String,
}

struct Typed {
    from: String,
    until: String,
    zone: String,
    person: String,
    began: String,
    ended: String,
    running: bool,
}

struct Line {
    no: u64,
    day: String,
    from: String,
    until: Option<String>,
    why: String,
    minutes: i64,
    patient: String,
    staff: String,
    room: String,
    by_card: bool,
    is_cancelled: bool,
}

/// A name where the role shows one, or the short pseudonym.
pub fn who(faces: &Faces, person: PersonId) -> String {
    faces.name(Some(person)).map_or_else(|| short_id(&person.to_string()), str::to_owned)
}

/// Faces of many people, as many as one look shows; the others stay pseudonyms.
pub async fn faces_of(visit: &Visit, persons: Vec<PersonId>, purpose: Purpose) -> Result<Faces, Fault> {
    Faces::look(&visit.app, &visit.acting()?, persons, purpose).await
}

fn filter_of(visit: &Visit, query: &Query) -> Result<Filter, &'static str> {
    let times = visit.times();
    let mut filter = Filter::default();
    for (key, end) in [("from", &mut filter.from), ("until", &mut filter.until)] {
        if let Some(text) = query.one(key) {
            *end = Some(times.read_field(text).ok_or("journal-bad-time")?);
        }
    }
    // A minute typed as the end is included.
    filter.until = filter.until.map(|until| until.plus_ms(MINUTE_MS));
    if let Some(text) = query.one("zone") {
        filter.zone = Some(ZoneId::new(&text.trim().to_lowercase().replace(' ', "-")).map_err(|_| "visits-bad-zone")?);
    }
    if let Some(text) = query.one("person") {
        let person: PersonId = text.parse().map_err(|_| "visits-bad-person")?;
        match query.one("as") {
            Some("patient") => filter.patient = Some(person),
            _ => filter.staff = Some(person),
        }
    }
    if let Some(text) = query.one("began") {
        filter.began_by = Some(BeganBy::parse(text).ok_or("visits-bad-code")?);
    }
    if let Some(text) = query.one("ended") {
        filter.ended = Some(VisitEnd::parse(text).ok_or("visits-bad-code")?);
    }
    filter.is_running = query.one("running").is_some();
    Ok(filter)
}

fn position_of(query: &Query) -> Option<Position> {
    let (at, id) = query.one("behind")?.split_once(':')?;
    Some(Position { started: UtcMillis(at.parse().ok()?), id: id.to_owned() })
}

fn line(visit: &Visit, one: &PatientVisit, faces: &Faces) -> Line {
    let (texts, times, now) = (visit.texts(), visit.times(), visit.app.now());
    Line {
        no: one.no,
        day: times.day(one.started),
        from: times.clock(one.started),
        until: one.ended.map(|(at, _)| times.clock(at)),
        why: one.ended.map(|(_, why)| texts.code("visit-end-", why.as_str())).unwrap_or_default(),
        minutes: one.lasted_ms(now) / MINUTE_MS,
        patient: who(faces, one.patient),
        staff: who(faces, one.staff),
        room: label(one.zone.as_str()),
        by_card: one.began_by == BeganBy::Card,
        is_cancelled: one.is_cancelled(),
    }
}

/// `GET /visits`
pub async fn show(visit: Visit, query: Query) -> Result<Response, Fault> {
    let _turn = visit.app.heavy.acquire().await.map_err(|_| Fault::Unavailable)?;
    let (acting, texts) = (visit.acting()?, visit.texts());
    let read = filter_of(&visit, &query);
    let problem = read.as_ref().err().map(|key| texts.t(key));
    let behind = position_of(&query);
    let found = match &read {
        Ok(filter) => Some(visit.app.visits.list(&acting, filter, behind.as_ref(), PAGE).await?),
        Err(_) => None,
    };
    let (found, next) = found.map_or((Vec::new(), None), |page| (page.visits, page.next));
    let persons = found.iter().flat_map(|one| [one.patient, one.staff]).collect();
    let faces = faces_of(&visit, persons, Purpose::Maintenance).await?;
    let one = |key: &str| query.one(key).unwrap_or_default().to_owned();
    let next = next.map(|next| {
        let behind = format!("{}:{}", next.started.0, next.id);
        format!("/visits{}", query.with("behind", Some(&behind)))
    });
    let page = Page {
        frame: Frame::new(&visit, "visits"),
        lines: found.iter().map(|one| line(&visit, one, &faces)).collect(),
        typed: Typed {
            from: one("from"),
            until: one("until"),
            zone: one("zone"),
            person: one("person"),
            began: one("began"),
            ended: one("ended"),
            running: query.one("running").is_some(),
        },
        began: BeganBy::ALL.iter().map(|it| (it.as_str(), texts.code("began-", it.as_str()))).collect(),
        ends: VisitEnd::ALL.iter().map(|it| (it.as_str(), texts.code("visit-end-", it.as_str()))).collect(),
        is_first: behind.is_none(),
        first: format!("/visits{}", query.with("behind", None)),
        export: format!("/visits.csv{}", query.with("behind", None)),
        day: visit.times().full(visit.app.now()),
        next,
        problem,
    };
    let status = if page.problem.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    render(status, &page)
}

/// `GET /visits.csv`: the same as a file, at most 100,000 rows; a disclosure of where everybody on it was.
pub async fn export(visit: Visit, query: Query) -> Result<Response, Fault> {
    let _turn = visit.app.heavy.acquire().await.map_err(|_| Fault::Unavailable)?;
    let acting = visit.acting()?;
    let filter = filter_of(&visit, &query).map_err(|_| Fault::Invalid)?;
    let mut found: Vec<PatientVisit> = Vec::new();
    let mut behind = None;
    loop {
        let page = visit.app.visits.list(&acting, &filter, behind.as_ref(), LIST_MAX).await?;
        found.extend(page.visits);
        match page.next {
            Some(next) if found.len() < ROWS_MAX => behind = Some(next),
            _ => break,
        }
    }
    let persons: Vec<PersonId> = found.iter().flat_map(|one| [one.patient, one.staff]).collect();
    let faces = match acting.rights.shows(Field::Name) {
        true => faces_of(&visit, persons.clone(), Purpose::Maintenance).await?,
        false => Faces::default(),
    };
    told(&visit, "/visits.csv", persons, found.len()).await?;
    let times = visit.times();
    let mut csv = Csv::new(&[
        "no",
        "id",
        "from",
        "until",
        "minutes",
        "patient",
        "patient_name",
        "staff",
        "staff_name",
        "room",
        "workstation",
        "began",
        "ended",
    ]);
    for one in &found {
        csv.row(&[
            one.no.to_string(),
            one.id.clone(),
            times.exact(one.started),
            one.ended.map(|(at, _)| times.exact(at)).unwrap_or_default(),
            (one.lasted_ms(visit.app.now()) / MINUTE_MS).to_string(),
            one.patient.to_string(),
            faces.name(Some(one.patient)).unwrap_or_default().to_owned(),
            one.staff.to_string(),
            faces.name(Some(one.staff)).unwrap_or_default().to_owned(),
            one.zone.to_string(),
            one.workstation.to_string(),
            one.began_by.to_string(),
            one.ended.map(|(_, why)| why.to_string()).unwrap_or_default(),
        ]);
    }
    Ok(csv.into_response("visits.csv"))
}

/// Registers that a file says where people were.
async fn told(visit: &Visit, what: &'static str, persons: Vec<PersonId>, records: usize) -> Result<(), Fault> {
    let acting = visit.acting()?;
    let has_names = acting.rights.shows(Field::Name);
    let classes: &[Class] = if has_names { &[Class::LocationTrace, Class::Identity] } else { &[Class::LocationTrace] };
    let mut disclosure = Disclosure::export(&acting, what, classes);
    disclosure.persons = persons.into_iter().collect();
    disclosure.records = records as u64;
    disclosure.fields = if has_names { vec![Field::Name] } else { Vec::new() };
    disclosures::register(&visit.app.database, &acting, disclosure, Some(Purpose::Maintenance), visit.app.now())
        .await?;
    Ok(())
}

/// The time that a page about visits is about: the day, or a few days up to it.
struct Span {
    from: UtcMillis,
    until: UtcMillis,
    /// As a date field has it.
    day: String,
    days: i64,
}

/// Reads `day` (a date in the clinic's zone, today by default) and `days` (1, 7 or 31 up to it).
fn span_of(visit: &Visit, query: &Query) -> Span {
    let (times, now) = (visit.times(), visit.app.now());
    let typed = query.one("day").and_then(|day| times.read_field(&format!("{day}T12:00")));
    let (begin, until) = times.day_around(typed.unwrap_or(now));
    let days =
        query.one("days").and_then(|days| days.parse().ok()).filter(|days| [1, 7, 31].contains(days)).unwrap_or(1);
    let from = match days {
        1 => begin,
        // From noon so many days before: a day with a change of the clocks is still a day.
        days => times.day_around(begin.plus_ms(12 * 3_600_000 - (days - 1) * 24 * 3_600_000)).0,
    };
    let (year, month, day) = times.date(begin);
    Span { from, until, day: format!("{year:04}-{month:02}-{day:02}"), days }
}
