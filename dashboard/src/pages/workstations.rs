//! Setting up workstations: which there are, who is signed in there, which browser is its own. For who manages them.

use std::collections::HashMap;

use askama::Template;
use axum::body::Bytes;
use axum::http::{StatusCode, header};
use axum::response::Response;
use clinic::audit::Purpose;
use clinic::desk::DeskSession;
use clinic::watch;
use clinic::workstations::{NAME_MAX_CHARS, Workstation, WorkstationError};
use domain::{Permission, PointId};

use crate::csv::Csv;
use crate::desk_visit::set_cookie;
use crate::faces::Faces;
use crate::fault::Fault;
use crate::pages::query::Query;
use crate::view::{Frame, go, page as render};
use crate::visit::Visit;
use crate::words::{label, short_id};

#[derive(Template)]
#[template(path = "workstations.html")]
struct Page {
    frame: Frame,
    lines: Vec<Line>,
    all: usize,
    search: String,
    only: String,
    export: String,
    open: Option<Line>,
    /// A code just made, and for which workstation: shown once.
    code: Option<(String, String)>,
    done: Option<String>,
    problem: Option<String>,
    name_max: usize,
}

#[derive(Clone)]
struct Line {
    point: String,
    link: String,
    name: String,
    own_name: String,
    room: String,
    reader: Option<(&'static str, String)>,
    who: Option<String>,
    state: Option<(&'static str, String)>,
    since: String,
    enrolled: Option<String>,
    enrolled_by: String,
    code_until: Option<String>,
    is_open: bool,
}

/// `GET /workstations`
pub async fn show(visit: Visit, query: Query) -> Result<Response, Fault> {
    let mut page = page(&visit, &query).await?;
    page.done = query.one("done").and_then(|done| visit.texts().code_if_any("workstations-done-", done));
    render(StatusCode::OK, &page)
}

/// `GET /workstations.csv`
pub async fn export(visit: Visit, query: Query) -> Result<Response, Fault> {
    let page = page(&visit, &query).await?;
    let mut csv = Csv::new(&["point", "name", "room", "reader", "signed_in", "state", "since", "browser"]);
    for line in page.lines {
        csv.row(&[
            line.point,
            line.name,
            line.room,
            line.reader.map(|(_, text)| text).unwrap_or_default(),
            line.who.unwrap_or_default(),
            line.state.map(|(_, text)| text).unwrap_or_default(),
            line.since,
            line.enrolled.unwrap_or_default(),
        ]);
    }
    Ok(csv.into_response("workstations.csv"))
}

async fn page(visit: &Visit, query: &Query) -> Result<Page, Fault> {
    let acting = visit.acting()?;
    let all = visit.app.workstations.list(&acting).await?;
    let sessions = visit.app.desk.all_current().await?;
    let persons = sessions.iter().map(|session| session.person).collect();
    let faces = Faces::look(&visit.app, &acting, persons, Purpose::Maintenance).await?;
    let sessions: HashMap<PointId, DeskSession> =
        sessions.into_iter().map(|session| (session.workstation.clone(), session)).collect();
    let readers = readers(visit).await?;
    let (search, only) = (query.one("q").unwrap_or_default(), query.one("only").unwrap_or_default());
    let open = query.one("open");
    let wanted = search.to_lowercase();
    let count = all.len();
    let lines: Vec<Line> = all
        .iter()
        .map(|one| line(visit, query, one, sessions.get(&one.point), &faces, &readers, open))
        .filter(|line| {
            let text = format!("{} {} {}", line.point, line.name, line.room).to_lowercase();
            text.contains(&wanted)
                && match only {
                    "open" => line.who.is_some(),
                    "missing" => line.enrolled.is_none(),
                    _ => true,
                }
        })
        .collect();
    let shown = lines.iter().find(|line| line.is_open).cloned();
    Ok(Page {
        frame: Frame::new(visit, "workstations"),
        all: count,
        search: search.to_owned(),
        only: only.to_owned(),
        export: format!("/workstations.csv{}", query.with("open", None)),
        open: shown,
        lines,
        code: None,
        done: None,
        problem: None,
        name_max: NAME_MAX_CHARS,
    })
}

/// The readers by point, with tone and words; nothing for who may not see devices.
async fn readers(visit: &Visit) -> Result<HashMap<PointId, (&'static str, String)>, Fault> {
    let acting = visit.acting()?;
    if !acting.rights.allows(Permission::DevicesSee) {
        return Ok(HashMap::new());
    }
    let texts = visit.texts();
    let equipment = watch::equipment(&visit.app.database, &acting).await?;
    let said = equipment.readers.iter().filter_map(|seen| {
        let reader = &seen.device;
        let is_online = matches!(reader.state, clinic::devices::ReaderState::Online);
        let words = texts.code("workstations-reader-", reader.state.as_str());
        Some((reader.point.clone()?, (if is_online { "ok" } else { "bad" }, words)))
    });
    Ok(said.collect())
}

fn line(
    visit: &Visit,
    query: &Query,
    one: &Workstation,
    session: Option<&DeskSession>,
    faces: &Faces,
    readers: &HashMap<PointId, (&'static str, String)>,
    open: Option<&str>,
) -> Line {
    let (texts, times) = (visit.texts(), visit.times());
    let name = if one.name.is_empty() { label(one.point.as_str()) } else { one.name.clone() };
    let who = |session: &DeskSession| {
        faces.name(Some(session.person)).map_or_else(|| short_id(&session.person.to_string()), str::to_owned)
    };
    let state = |session: &DeskSession| {
        let code = session.state.as_str();
        (if session.is_open() { "ok" } else { "warn" }, texts.code("workstations-state-", code))
    };
    Line {
        link: format!("/workstations{}#workstation", query.with("open", Some(one.point.as_str()))),
        point: one.point.to_string(),
        own_name: one.name.clone(),
        room: label(one.zone.as_str()),
        reader: readers.get(&one.point).cloned(),
        who: session.map(who),
        state: session.map(state),
        since: session.map(|session| times.full(session.opened)).unwrap_or_default(),
        enrolled: one.enrolled.map(|at| times.full(at)),
        enrolled_by: one.enrolled_by.as_deref().map(short_id).unwrap_or_default(),
        code_until: one.code_until.map(|at| times.clock(at)),
        is_open: open == Some(one.point.as_str()),
        name,
    }
}

/// `POST /workstations/enrol`: the browser that asks becomes the workstation's.
pub async fn enrol(visit: Visit, body: Bytes) -> Result<Response, Fault> {
    let point = point(&read(&body)?)?;
    let token = visit.app.workstations.enrol(&visit.acting()?, &point).await?;
    let mut response = go(&format!("/workstations?done=enrolled&open={point}#workstation"));
    if let Some(cookie) = set_cookie(&token) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// `POST /workstations/code`: the code is on the answer and on no other page.
pub async fn code(visit: Visit, body: Bytes) -> Result<Response, Fault> {
    let point = point(&read(&body)?)?;
    let code = visit.app.workstations.make_code(&visit.acting()?, &point).await?;
    let query = Query::read(&format!("open={point}"));
    let mut page = page(&visit, &query).await?;
    let name = page.open.as_ref().map_or_else(|| label(point.as_str()), |line| line.name.clone());
    page.code = Some((name, code.reveal()));
    render(StatusCode::OK, &page)
}

/// `POST /workstations/withdraw`
pub async fn withdraw(visit: Visit, body: Bytes) -> Result<Response, Fault> {
    let point = point(&read(&body)?)?;
    visit.app.workstations.withdraw(&visit.acting()?, &point).await?;
    Ok(go(&format!("/workstations?done=withdrawn&open={point}#workstation")))
}

/// `POST /workstations/rename`
pub async fn rename(visit: Visit, body: Bytes) -> Result<Response, Fault> {
    let typed = read(&body)?;
    let point = point(&typed)?;
    match visit.app.workstations.rename(&visit.acting()?, &point, typed.one("name").unwrap_or_default()).await {
        Ok(()) => Ok(go(&format!("/workstations?done=renamed&open={point}#workstation"))),
        Err(WorkstationError::BadName) => {
            let mut page = page(&visit, &Query::read(&format!("open={point}"))).await?;
            page.problem = Some(visit.texts().t("workstations-bad-name"));
            render(StatusCode::UNPROCESSABLE_ENTITY, &page)
        }
        Err(error) => Err(error.into()),
    }
}

/// `POST /workstations/end`: ends the session of whoever is signed in there.
pub async fn end(visit: Visit, body: Bytes) -> Result<Response, Fault> {
    let point = point(&read(&body)?)?;
    let session = visit.app.desk.current(&point).await?.ok_or(Fault::NotFound)?;
    visit.app.desk.end(&visit.acting()?, &session).await?;
    Ok(go(&format!("/workstations?done=ended&open={point}#workstation")))
}

fn point(typed: &Query) -> Result<PointId, Fault> {
    typed.one("point").and_then(|text| PointId::new(text).ok()).ok_or(Fault::NotFound)
}

fn read(body: &Bytes) -> Result<Query, Fault> {
    Ok(Query::read(std::str::from_utf8(body).map_err(|_| Fault::Invalid)?))
}
