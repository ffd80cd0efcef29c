//! The page for what cannot be shown.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use crate::fault::Fault;
use crate::view::{Frame, page as render};
use crate::visit::Visit;

#[derive(Template)]
#[template(path = "error.html")]
struct Page {
    frame: Frame,
    status: u16,
    title: String,
    text: String,
    /// Where one begins anew.
    start: &'static str,
}

/// Says what happened and the next step, in the visitor's language.
pub fn page(visit: &Visit, status: StatusCode, fault: Option<Fault>) -> Result<Response, Fault> {
    let key = match (status, fault) {
        (_, Some(Fault::Form)) => "form",
        (_, Some(Fault::Locked)) => "locked",
        (_, Some(Fault::DeskClosed)) => "desk",
        (StatusCode::BAD_REQUEST, _) => "400",
        (StatusCode::UNAUTHORIZED, _) => "401",
        (StatusCode::FORBIDDEN, Some(Fault::Forbidden)) => "403",
        // Refused before any handler: another site's form.
        (StatusCode::FORBIDDEN, _) => "form",
        (StatusCode::NOT_FOUND, _) => "404",
        (StatusCode::METHOD_NOT_ALLOWED, _) => "405",
        (StatusCode::PAYLOAD_TOO_LARGE, _) => "413",
        (StatusCode::TOO_MANY_REQUESTS, _) => "429",
        (StatusCode::SERVICE_UNAVAILABLE, _) => "503",
        (status, _) if status.is_client_error() => "400",
        _ => "500",
    };
    let texts = visit.texts();
    let frame = Frame::new(visit, "");
    let (title, text) = (texts.t(&format!("error-{key}-title")), texts.t(&format!("error-{key}-text")));
    let start = if visit.desk.is_some() { "/desk" } else { "/" };
    render(status, &Page { frame, status: status.as_u16(), title, text, start })
}
