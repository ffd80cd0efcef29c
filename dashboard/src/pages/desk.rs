//! Pages of workstations, for the browser that stands at one: who is signed in, whose visit runs, what is next. Which
//! browser and which binding it is says `desk_visit`; what may be done says the clinic.

mod acts;
mod board;
mod day;
mod services;
mod stream;
mod without;

use askama::Template;
use axum::body::Bytes;
use axum::http::{StatusCode, header};
use axum::response::Response;
use clinic::workstations::{EnrolCode, WorkstationError};

pub use acts::{answer, cancel_visit, confirm_pin, end, end_visit, here, lock, set_pin, tap};
pub use day::show as day;
pub use services::acts::{
    cancel as services_cancel, find as services_find, register as services_register, render as services_render,
};
pub use services::without::{register as without_register, show as without_service};
pub use stream::stream;
pub use without::{find as without_find, show as without, start as without_start};

use board::{Board, Seen};

use crate::desk_visit::{AtDesk, set_cookie};
use crate::fault::Fault;
use crate::pages::assets;
use crate::pages::query::Query;
use crate::view::{Frame, Place, go, page as render};
use crate::visit::{self, VISIT_COOKIE, Visit};
use crate::words::label;

#[derive(Template)]
#[template(path = "desk/not_here.html")]
struct NotHere {
    frame: Frame,
    problem: Option<String>,
}

/// What a browser is shown that is no workstation's: where to type the code that makes it one.
///
/// # Errors
/// The template.
pub fn not_here(visit: &Visit, status: StatusCode, problem: Option<String>) -> Result<Response, Fault> {
    let mut frame = Frame::new(visit, "");
    frame.alone();
    let mut response = render(status, &NotHere { frame, problem })?;
    // The form of somebody unknown hangs on this cookie.
    if visit.session.is_none()
        && !visit.has_visit_cookie
        && let Some(cookie) = visit::set_cookie(VISIT_COOKIE, &visit.visit_token)
    {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// `POST /desk/enrol`: a one-time code makes this browser a workstation's.
pub async fn enrol(visit: Visit, body: Bytes) -> Result<Response, Fault> {
    let typed = read(&body)?;
    let bad = || not_here(&visit, StatusCode::UNPROCESSABLE_ENTITY, Some(visit.texts().t("desk-code-bad")));
    let Some(code) = typed.one("code").and_then(EnrolCode::parse) else { return bad() };
    match visit.app.workstations.redeem(&code, Some(visit.visitor.address)).await {
        Ok((_, token)) => {
            let mut response = go("/desk");
            if let Some(cookie) = set_cookie(&token) {
                response.headers_mut().append(header::SET_COOKIE, cookie);
            }
            Ok(response)
        }
        Err(WorkstationError::CodeSpent) => bad(),
        Err(error) => Err(error.into()),
    }
}

fn read(body: &Bytes) -> Result<Query, Fault> {
    Ok(Query::read(std::str::from_utf8(body).map_err(|_| Fault::Invalid)?))
}

#[derive(Template)]
#[template(path = "desk/page.html")]
struct Page {
    frame: Frame,
    script: String,
    reader: String,
    room: String,
    state: &'static str,
    places: Places,
    board: Board,
    /// Where services are found and added; empty without a visit.
    adder: String,
    after: u64,
    notice: Option<(&'static str, String)>,
    has_reader: bool,
}

#[derive(Template)]
#[template(path = "desk/pin.html")]
struct PinPage {
    frame: Frame,
    room: String,
    state: &'static str,
    places: Places,
    problem: Option<String>,
}

/// The places of a workstation's rail.
type Places = Vec<Place>;

/// The places of a workstation.
fn places(here: &str) -> Places {
    let all = [("desk", "/desk"), ("desk-day", "/desk/day"), ("desk-without", "/desk/without")];
    all.into_iter().map(|(key, path)| Place { key, path, is_here: key == here }).collect()
}

/// How people call a workstation: its name, or its room.
fn room_of(desk: &AtDesk) -> String {
    match desk.workstation.name.as_str() {
        "" => label(desk.workstation.zone.as_str()),
        name => name.to_owned(),
    }
}

/// `GET /desk`
pub async fn show(visit: Visit, desk: AtDesk, query: Query) -> Result<Response, Fault> {
    let said = query.one("said").and_then(|said| visit.texts().code_if_any("desk-said-", said));
    let wish = services::Wish::read(&query);
    let mut response = page_with(&visit, &desk, said.map(|said| ("ok", said)), StatusCode::OK, wish).await?;
    // Each visit keeps the cookie for as long again.
    if let Some(cookie) = desk.renewed() {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

async fn page(
    visit: &Visit,
    desk: &AtDesk,
    notice: Option<(&'static str, String)>,
    status: StatusCode,
) -> Result<Response, Fault> {
    page_with(visit, desk, notice, status, services::Wish::default()).await
}

/// The page with a wish for a service: what was searched for, and what was refused.
async fn page_with(
    visit: &Visit,
    desk: &AtDesk,
    notice: Option<(&'static str, String)>,
    status: StatusCode,
    wish: services::Wish,
) -> Result<Response, Fault> {
    // First where the stream will go on, then how things stand: nothing falls between.
    let after = clinic::changes::last_id(&visit.app.database).await?;
    let board = board::board(visit, desk, &mut Seen::default()).await?;
    let adder = services::adder(visit, desk, wish).await?;
    let page = Page {
        frame: Frame::new(visit, "desk"),
        script: assets::path("desk.js"),
        reader: assets::path("reader.js"),
        room: room_of(desk),
        state: board.state,
        places: places("desk"),
        board,
        adder,
        after,
        notice,
        has_reader: visit.app.settings.desk.reader.is_some(),
    };
    render(status, &page)
}

/// `GET /desk/pin`
pub async fn show_pin(visit: Visit, desk: AtDesk) -> Result<Response, Fault> {
    pin_page(&visit, &desk, None)
}

fn pin_page(visit: &Visit, desk: &AtDesk, problem: Option<String>) -> Result<Response, Fault> {
    let status = if problem.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let state = board::state_of(desk);
    render(status, &PinPage { frame: Frame::new(visit, ""), room: room_of(desk), state, places: places(""), problem })
}
