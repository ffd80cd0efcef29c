//! What is done with services at a workstation: looked for, registered, rendered, taken back. Each form carries a key, so
//! that a double click, a reload or the way back never does it twice. With the header `x-tapward-part` the answer is the
//! adder alone, for the page's script; without it, the whole page.

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use clinic::till::{CancelReason, NewCharge, TillError};
use domain::money::Amount;
use domain::till::Refusal;
use domain::till::register::QUANTITY_MAX;

use super::super::{page_with, read};
use super::adder::{self, Wish};
use crate::desk_visit::AtDesk;
use crate::fault::{Dressed, Fault};
use crate::money;
use crate::pages::query::Query;
use crate::view::go;
use crate::visit::Visit;

/// Says that the page's script asks, and wants its part only.
const PART: &str = "x-tapward-part";

/// `GET /desk/services`: what fits the words, as the part of the page; with `offer` and `pieces` one line of it, with what
/// so many cost together.
pub async fn find(visit: Visit, desk: AtDesk, query: Query) -> Result<Response, Fault> {
    desk.signed_in()?;
    if let Some(service) = query.one("offer") {
        let pieces = query.one("pieces").and_then(|text| text.parse().ok()).ok_or(Fault::Invalid)?;
        return Ok(bare(StatusCode::OK, adder::one(&visit, &desk, service, pieces).await?));
    }
    part(&visit, &desk, Wish::read(&query), StatusCode::OK).await
}

async fn part(visit: &Visit, desk: &AtDesk, wish: Wish, status: StatusCode) -> Result<Response, Fault> {
    Ok(bare(status, adder::adder(visit, desk, wish).await?))
}

/// A piece of a page, for its script.
fn bare(status: StatusCode, drawn: String) -> Response {
    let mut response = (status, Html(drawn)).into_response();
    response.extensions_mut().insert(Dressed);
    response
}

/// `POST /desk/services`: registers a service in the visit that runs here.
pub async fn register(visit: Visit, desk: AtDesk, headers: HeaderMap, body: Bytes) -> Result<Response, Fault> {
    let form = read(&body)?;
    let (session, acting) = desk.signed_in()?;
    let (app, texts) = (&visit.app, visit.texts());
    let is_part = headers.contains_key(PART);
    let mut wish = Wish { find: form.one("find").unwrap_or_default().to_owned(), pieces: 1, ..Wish::default() };
    let pieces = form.one("pieces").unwrap_or("1").parse().ok().filter(|pieces| (1..=QUANTITY_MAX).contains(pieces));
    let (Some(service), Some(key)) = (form.one("service"), form.one("key")) else { return Err(Fault::Invalid) };
    let running = app.visits.current(acting, &desk.workstation.point).await?;
    // A page that was opened in an earlier visit registers nothing in the next one's.
    let running = running.filter(|running| form.one("visit") == Some(running.id.as_str()));
    let (Some(running), Some(pieces)) = (running, pieces) else {
        let field = if pieces.is_none() { "quantity" } else { "visit" };
        wish.problem = Some(texts.code("till-problem-field-", field));
        return answer(&visit, &desk, is_part, wish).await;
    };
    wish.pieces = pieces;
    // What was shown counts for as many pieces as it was shown for. For another number the page says what they cost, and
    // asks: nobody orders what they have not seen the price of.
    let is_for_all = form.one("of").and_then(|text| text.parse().ok()) == Some(pieces);
    let shown = form.one("net").filter(|_| is_for_all).and_then(|text| text.parse().ok()).and_then(Amount::new);
    let Some(shown) = shown else {
        wish.wanted = Some(service.to_owned());
        return answer(&visit, &desk, is_part, wish).await;
    };
    let new = NewCharge {
        key: key.to_owned(),
        patient: running.patient,
        visit: Some(running.id.clone()),
        session: Some(session.id.clone()),
        out_of_card: None,
        service: service.to_owned(),
        quantity: pieces,
        currency: None,
        shown: Some(shown),
    };
    let currency = app.till.rules().currency;
    match app.till.register(acting, new).await {
        Ok(_) if is_part => part(&visit, &desk, Wish::default(), StatusCode::OK).await,
        Ok(charge) => Ok(go(if charge.rendered.is_some() { "/desk?said=registered" } else { "/desk?said=ordered" })),
        Err(TillError::Refused(refusal)) => {
            wish.wanted = Some(service.to_owned());
            wish.old = matches!(refusal, Refusal::PriceChanged { .. }).then_some(shown);
            wish.refusal = Some(refusal);
            answer(&visit, &desk, is_part, wish).await
        }
        Err(error) => {
            let Some(problem) = money::problem(&texts, currency, &error) else { return Err(error.into()) };
            wish.problem = Some(problem);
            answer(&visit, &desk, is_part, wish).await
        }
    }
}

/// Nothing was done; the page says why.
async fn answer(visit: &Visit, desk: &AtDesk, is_part: bool, wish: Wish) -> Result<Response, Fault> {
    let status = StatusCode::UNPROCESSABLE_ENTITY;
    if is_part { part(visit, desk, wish, status).await } else { page_with(visit, desk, None, status, wish).await }
}

/// `POST /desk/services/render`: what was ordered and paid is rendered.
pub async fn render(visit: Visit, desk: AtDesk, body: Bytes) -> Result<Response, Fault> {
    let form = read(&body)?;
    let (session, acting) = desk.signed_in()?;
    let charge = form.one("charge").ok_or(Fault::Invalid)?;
    // A charge is rendered once, whoever sends it how often.
    let key = format!("desk-render-{charge}");
    let done = visit.app.till.render(acting, key, charge, Some(session.id.clone())).await;
    finish(&visit, &desk, done.map(|_| ()), "/desk?said=rendered").await
}

/// `POST /desk/services/cancel`: takes a service back.
pub async fn cancel(visit: Visit, desk: AtDesk, body: Bytes) -> Result<Response, Fault> {
    let form = read(&body)?;
    let (_, acting) = desk.signed_in()?;
    let charge = form.one("charge").ok_or(Fault::Invalid)?;
    let Some(reason) = form.one("reason").and_then(CancelReason::parse) else {
        let field = TillError::Invalid { field: "reason", problem: String::new() };
        return finish(&visit, &desk, Err(field), "").await;
    };
    let key = format!("desk-cancel-{charge}");
    let words = form.one("words").unwrap_or_default();
    let done = visit.app.till.cancel(acting, key, charge, reason, words).await;
    finish(&visit, &desk, done.map(|_| ()), "/desk?said=taken-back").await
}

async fn finish(visit: &Visit, desk: &AtDesk, done: Result<(), TillError>, to: &str) -> Result<Response, Fault> {
    let Err(error) = done else { return Ok(go(to)) };
    let Some(problem) = money::problem(&visit.texts(), visit.app.till.rules().currency, &error) else {
        return Err(error.into());
    };
    page_with(visit, desk, Some(("bad", problem)), StatusCode::UNPROCESSABLE_ENTITY, Wish::default()).await
}
