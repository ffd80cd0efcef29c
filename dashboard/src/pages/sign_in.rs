//! Signing in and out.

use askama::Template;
use axum::extract::{Form, Query};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use clinic::accounts::{AccountError, Password};
use serde::Deserialize;

use crate::fault::Fault;
use crate::routes::Verb;
use crate::view::{Frame, go, page as render};
use crate::visit::{SESSION_COOKIE, VISIT_COOKIE, Visit, clear_cookie, set_cookie};

#[derive(Template)]
#[template(path = "sign_in.html")]
struct Page {
    frame: Frame,
    /// Where to go afterwards.
    next: String,
    login: String,
    problem: Option<String>,
    signed_out: bool,
}

#[derive(Deserialize)]
pub struct Asked {
    #[serde(default)]
    next: String,
    out: Option<String>,
}

/// What is typed.
#[derive(Deserialize)]
pub struct Typed {
    #[serde(default)]
    login: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    next: String,
}

/// `GET /sign-in`
pub async fn show(visit: Visit, Query(asked): Query<Asked>) -> Result<Response, Fault> {
    if visit.session.is_some() {
        return Ok(go("/"));
    }
    let frame = Frame::new(&visit, "");
    let signed_out = asked.out.is_some();
    let template = Page { frame, next: asked.next, login: String::new(), problem: None, signed_out };
    render(StatusCode::OK, &template)
}

/// The same page in place of another one that needs somebody signed in; leads back to it.
pub fn page(visit: &Visit, status: StatusCode, problem: Option<String>) -> Result<Response, Fault> {
    let was_form = visit.route.is_some_and(|route| route.verb == Verb::Change);
    let next = if was_form { "/".to_owned() } else { visit.path_and_query.clone() };
    let mut visit = visit.clone();
    visit.session = None;
    let frame = Frame::new(&visit, "");
    let template = Page { frame, next, login: String::new(), problem, signed_out: false };
    let mut response = render(status, &template)?;
    if !visit.has_visit_cookie
        && let Some(cookie) = set_cookie(VISIT_COOKIE, &visit.visit_token)
    {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// `POST /sign-in`
pub async fn sign_in(visit: Visit, Form(typed): Form<Typed>) -> Result<Response, Fault> {
    let password = Password::new(typed.password);
    let texts = visit.texts();
    let (status, problem) = match visit.app.accounts.sign_in(&typed.login, password, &visit.visitor).await {
        Ok(token) => {
            tracing::info!(address = %visit.visitor.address, "session.opened");
            let mut response = go(if typed.next.is_empty() { "/" } else { &typed.next });
            if let Some(cookie) = set_cookie(SESSION_COOKIE, &token) {
                response.headers_mut().append(header::SET_COOKIE, cookie);
            }
            // The value that the sign-in form was bound to has done its work.
            if let Some(cookie) = clear_cookie(VISIT_COOKIE) {
                response.headers_mut().append(header::SET_COOKIE, cookie);
            }
            return Ok(response);
        }
        Err(AccountError::Wait { wait_ms }) => {
            let wait = visit.times().span(wait_ms.saturating_add(999));
            (StatusCode::TOO_MANY_REQUESTS, texts.a("sign-in-wait", &wait))
        }
        Err(AccountError::WrongPassword) => (StatusCode::UNPROCESSABLE_ENTITY, texts.t("sign-in-wrong")),
        Err(other) => return Err(other.into()),
    };
    tracing::warn!(address = %visit.visitor.address, status = status.as_u16(), "session.refused");
    let login: String = typed.login.chars().take(64).collect();
    let frame = Frame::new(&visit, "");
    render(status, &Page { frame, next: typed.next, login, problem: Some(problem), signed_out: false })
}

/// `POST /sign-out`
pub async fn sign_out(visit: Visit) -> Result<Response, Fault> {
    visit.app.accounts.sign_out(visit.signed_in()?).await?;
    let mut response = go("/sign-in?out=1");
    if let Some(cookie) = clear_cookie(SESSION_COOKIE) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    let clear = HeaderValue::from_static("\"cache\", \"storage\"");
    response.headers_mut().insert("clear-site-data", clear);
    Ok(response)
}
