//! Pages of workstations, for the browser that stands at one: who is signed in, whose visit runs, what is next. Which
//! browser and which binding it is says `desk_visit`; what may be done says the clinic.

use askama::Template;
use axum::body::Bytes;
use axum::http::{StatusCode, header};
use axum::response::Response;
use clinic::workstations::{EnrolCode, WorkstationError};

use crate::desk_visit::set_cookie;
use crate::fault::Fault;
use crate::pages::query::Query;
use crate::view::{Frame, go, page as render};
use crate::visit::Visit;

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
    render(status, &NotHere { frame, problem })
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
