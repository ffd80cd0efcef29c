//! What is done on a workstation's page. Each act is one command of the clinic, in the binding that the page was opened
//! under; afterwards the page shows how things stand.

use axum::Json;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use clinic::desk::{DeskError, PinAnswer, PinText, TapOutcome};
use clinic::visits::{Answer, VisitError};
use serde_json::json;

use super::read;
use crate::desk_visit::AtDesk;
use crate::fault::{Dressed, Fault};
use crate::view::go;
use crate::visit::Visit;

/// Longest line of a reader that the page may post, in bytes; the longest real one is below 100.
const LINE_MAX_BYTES: usize = 256;

/// `POST /desk/here`: somebody moved the mouse; the guard has counted it.
pub async fn here() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

/// `POST /desk/lock`
pub async fn lock(visit: Visit, desk: AtDesk) -> Result<Response, Fault> {
    let (session, acting) = desk.signed_in()?;
    visit.app.desk.lock(acting, session).await?;
    Ok(go("/desk"))
}

/// `POST /desk/end`
pub async fn end(visit: Visit, desk: AtDesk) -> Result<Response, Fault> {
    let (session, acting) = desk.signed_in()?;
    visit.app.desk.end(acting, session).await?;
    Ok(go("/desk"))
}

/// `POST /desk/pin/confirm`: the second factor of the one whose card was read.
pub async fn confirm_pin(visit: Visit, desk: AtDesk, body: Bytes) -> Result<Response, Fault> {
    let typed = read(&body)?;
    let session = desk.session.as_ref().ok_or(Fault::DeskClosed)?;
    let (texts, times) = (visit.texts(), visit.times());
    let back = |said: String| super::page(&visit, &desk, Some(("bad", said)), StatusCode::UNPROCESSABLE_ENTITY);
    let pin = match PinText::new(typed.one("pin").unwrap_or_default()) {
        Ok(pin) => pin,
        Err(_) => return back(texts.t("desk-pin-bad")).await,
    };
    let span = |ms: i64| times.span(ms.saturating_add(999));
    match visit.app.desk.confirm_pin(session, pin).await {
        Ok(PinAnswer::Right(_)) => {
            let to = typed.one("back").filter(|path| *path == "/desk/without").unwrap_or("/desk");
            Ok(go(to))
        }
        Ok(PinAnswer::Wrong { left }) => back(texts.n("desk-pin-wrong", left)).await,
        Ok(PinAnswer::Blocked { wait_ms }) => back(texts.a("desk-pin-blocked", &span(wait_ms))).await,
        Ok(PinAnswer::DeskBlocked { wait_ms }) => back(texts.a("desk-pin-desk-blocked", &span(wait_ms))).await,
        Ok(PinAnswer::NotSet) => back(texts.t("desk-pin-none")).await,
        Err(DeskError::Busy { .. }) => back(texts.t("desk-pin-busy")).await,
        Err(error) => Err(error.into()),
    }
}

/// `POST /desk/pin`: one's own PIN.
pub async fn set_pin(visit: Visit, desk: AtDesk, body: Bytes) -> Result<Response, Fault> {
    let typed = read(&body)?;
    let (session, acting) = desk.signed_in()?;
    let texts = visit.texts();
    if typed.one("pin") != typed.one("again") {
        return super::pin_page(&visit, &desk, Some(texts.t("desk-pin-differs")));
    }
    let set = match PinText::new(typed.one("pin").unwrap_or_default()) {
        Ok(pin) => visit.app.desk.set_pin(acting, session.person, pin).await,
        Err(error) => Err(error),
    };
    match set {
        Ok(()) => Ok(go("/desk?said=pin")),
        Err(DeskError::BadPin) => super::pin_page(&visit, &desk, Some(texts.t("desk-pin-bad"))),
        Err(DeskError::WeakPin) => super::pin_page(&visit, &desk, Some(texts.t("desk-pin-weak"))),
        Err(DeskError::Busy { .. }) => super::pin_page(&visit, &desk, Some(texts.t("desk-pin-busy"))),
        Err(DeskError::Denied(_)) => super::pin_page(&visit, &desk, Some(texts.t("without-fresh"))),
        Err(error) => Err(error.into()),
    }
}

/// `POST /desk/tap`: a line of the reader at this computer. The line goes no further than the reader's own rules, which
/// make it the card's pseudonym.
pub async fn tap(visit: Visit, desk: AtDesk, body: Bytes) -> Result<Response, Fault> {
    let reader = visit.app.settings.desk.reader.as_ref().ok_or(Fault::NotFound)?;
    if body.len() > LINE_MAX_BYTES {
        return Err(Fault::Invalid);
    }
    let line = std::str::from_utf8(&body).map_err(|_| Fault::Invalid)?;
    let outcome = match reader(line) {
        Some(card) => visit.app.desk.tap_from_page(&desk.workstation.point, card, visit.app.now()).await?,
        None => TapOutcome::Refused("unreadable_card"),
    };
    let code = match &outcome {
        TapOutcome::Ignored => "ignored",
        TapOutcome::Refused(code) => code,
        TapOutcome::Staff(_) => "staff",
        TapOutcome::Patient(code, _) => code,
    };
    // What was read is said by the stream, as for every reader; a line that is no card is said here.
    let texts = visit.texts();
    let text = match outcome {
        TapOutcome::Refused(code) => Some(texts.a("desk-refused", &texts.code("desk-refused-", code))),
        _ => None,
    };
    let mut response = Json(json!({ "outcome": code, "text": text })).into_response();
    response.extensions_mut().insert(Dressed);
    Ok(response)
}

/// `POST /desk/visit/end`
pub async fn end_visit(visit: Visit, desk: AtDesk, body: Bytes) -> Result<Response, Fault> {
    let typed = read(&body)?;
    let (_, acting) = desk.signed_in()?;
    let id = typed.one("visit").ok_or(Fault::Invalid)?;
    match visit.app.visits.end(acting, id).await {
        Ok(_) => Ok(go("/desk")),
        Err(VisitError::CardWanted) => Ok(go("/desk/without?what=end")),
        Err(error) => Err(error.into()),
    }
}

/// `POST /desk/visit/cancel`
pub async fn cancel_visit(visit: Visit, desk: AtDesk, body: Bytes) -> Result<Response, Fault> {
    let typed = read(&body)?;
    let (_, acting) = desk.signed_in()?;
    let id = typed.one("visit").ok_or(Fault::Invalid)?;
    match visit.app.visits.cancel(acting, id, typed.one("reason").unwrap_or_default()).await {
        Ok(_) => Ok(go("/desk?said=cancelled")),
        Err(VisitError::HasServices) => {
            let said = visit.texts().t("desk-cancel-services");
            super::page(&visit, &desk, Some(("bad", said)), StatusCode::CONFLICT).await
        }
        Err(VisitError::ReasonWanted) => {
            let said = visit.texts().t("without-problem-reason");
            super::page(&visit, &desk, Some(("bad", said)), StatusCode::UNPROCESSABLE_ENTITY).await
        }
        Err(error) => Err(error.into()),
    }
}

/// `POST /desk/answer`: which appointment, or none, or that it was no visit.
pub async fn answer(visit: Visit, desk: AtDesk, body: Bytes) -> Result<Response, Fault> {
    let typed = read(&body)?;
    let (_, acting) = desk.signed_in()?;
    let question = typed.one("question").ok_or(Fault::Invalid)?;
    let answer = match (typed.one("nothing"), typed.one("appointment")) {
        (Some(_), _) => Answer::Nothing,
        (None, Some("none") | None) => Answer::Without,
        (None, Some(id)) => Answer::Appointment(id.to_owned()),
    };
    match visit.app.visits.answer(acting, question, answer, typed.one("reason")).await {
        Ok(_) => Ok(go("/desk?said=answered")),
        Err(VisitError::ReasonWanted) => {
            let said = visit.texts().t("without-problem-reason");
            super::page(&visit, &desk, Some(("bad", said)), StatusCode::UNPROCESSABLE_ENTITY).await
        }
        Err(VisitError::Overtaken) => {
            let said = visit.texts().t("desk-refused-overtaken");
            super::page(&visit, &desk, Some(("bad", said)), StatusCode::CONFLICT).await
        }
        Err(error) => Err(error.into()),
    }
}
