//! The one door before every handler: session, role, form. What is not in the table of routes is not reached.

use axum::body::{Body, to_bytes};
use axum::extract::{Form, FromRequest, Request, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use subtle::ConstantTimeEq;

use crate::app::App;
use crate::fault::Fault;
use crate::routes::{Access, Route, Verb};
use crate::visit::{VISIT_COOKIE, Visit, set_cookie};

/// Largest form, in bytes; the largest real one is under 1 KiB.
pub const FORM_MAX_BYTES: usize = 16 * 1024;

#[derive(Deserialize)]
struct FormToken {
    form: Option<String>,
}

/// Lets a request through to its handler, or answers instead of it.
pub async fn guard(State((app, route)): State<(App, &'static Route)>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let visit = match Visit::read(&app, &parts, Some(route), route.uses_session).await {
        Ok(visit) => visit,
        Err(fault) => return fault.into_response(),
    };
    let checked = match check(&visit, route, parts, body).await {
        Ok(request) => {
            let mut request = request;
            request.extensions_mut().insert(visit.clone());
            next.run(request).await
        }
        Err(refusal) => {
            tracing::warn!(
                path = route.path,
                account = visit.session.as_ref().map(|session| session.account.id.as_str()),
                address = %visit.visitor.address,
                status = refusal.status().as_u16(),
                "page.refused"
            );
            refusal
        }
    };
    let mut response = checked;
    if visit.session.is_none()
        && !visit.has_visit_cookie
        && route.access == Access::Anyone
        && let Some(cookie) = set_cookie(VISIT_COOKIE, &visit.visit_token)
        && !route.is_asset
    {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response.extensions_mut().insert(visit);
    response
}

async fn check(visit: &Visit, route: &Route, parts: Parts, body: Body) -> Result<Request, Response> {
    if !route.access.lets(visit.rights()) {
        let fault = if visit.session.is_none() { Fault::SignIn } else { Fault::Forbidden };
        return Err(fault.into_response());
    }
    if route.verb == Verb::Show {
        return Ok(Request::from_parts(parts, Body::empty()));
    }
    // Everything else changes something, and must come from a form of ours in this browser.
    let body = to_bytes(body, route.body_max).await.map_err(|_| StatusCode::PAYLOAD_TOO_LARGE.into_response())?;
    let copy = Request::from_parts(parts.clone(), Body::from(body.clone()));
    let given = match Form::<FormToken>::from_request(copy, &()).await {
        Ok(Form(given)) => given.form.unwrap_or_default(),
        Err(_) => return Err(Fault::Form.into_response()),
    };
    let expected = visit.form_token();
    if !bool::from(expected.as_bytes().ct_eq(given.as_bytes())) {
        return Err(Fault::Form.into_response());
    }
    Ok(Request::from_parts(parts, Body::from(body)))
}
