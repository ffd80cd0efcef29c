//! Signing in and out.

use askama::Template;
use axum::extract::{Form, Query};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use clinic::accounts::{AccountError, DEVICE_LIFE_MS, HalfToken, Password, STEP_LIFE_MS, SessionToken, Visitor};
use serde::Deserialize;

use crate::fault::Fault;
use crate::routes::Verb;
use crate::view::{Frame, go, page as render};
use crate::visit::{
    DEVICE_COOKIE, SESSION_COOKIE, STEP_COOKIE, VISIT_COOKIE, Visit, clear_cookie, set_cookie, set_lasting_cookie,
};

#[derive(Template)]
#[template(path = "sign_in.html")]
struct Page {
    frame: Frame,
    /// Where to go afterwards.
    next: String,
    login: String,
    problem: Option<String>,
    signed_out: bool,
    lapsed: bool,
}

#[derive(Deserialize)]
pub struct Asked {
    #[serde(default)]
    next: String,
    out: Option<String>,
    lapsed: Option<String>,
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
    let lapsed = asked.lapsed.is_some();
    let template = Page { frame, next: asked.next, login: String::new(), problem: None, signed_out, lapsed };
    render(StatusCode::OK, &template)
}

/// The same page in place of another one that needs somebody signed in; leads back to it.
pub fn page(visit: &Visit, status: StatusCode, problem: Option<String>) -> Result<Response, Fault> {
    let was_form = visit.route.is_some_and(|route| route.verb == Verb::Change);
    let next = if was_form { "/".to_owned() } else { visit.path_and_query.clone() };
    let mut visit = visit.clone();
    visit.session = None;
    let frame = Frame::new(&visit, "");
    let template = Page { frame, next, login: String::new(), problem, signed_out: false, lapsed: false };
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
    let (texts, visitor) = (visit.texts(), visit.with_device()?);
    let (status, problem) = match visit.app.accounts.sign_in(&typed.login, password, &visitor).await {
        Ok(token) => {
            tracing::info!(address = %visitor.address, "session.opened");
            return Ok(opened(go(if typed.next.is_empty() { "/" } else { &typed.next }), &token, &visitor));
        }
        Err(AccountError::SecondStep(half)) => return Ok(half_open(&half, &typed.next)),
        Err(AccountError::Wait { wait_ms }) => {
            let wait = visit.times().span(wait_ms.saturating_add(999));
            (StatusCode::TOO_MANY_REQUESTS, texts.a("sign-in-wait", &wait))
        }
        Err(AccountError::Busy { retry_ms }) => {
            let wait = visit.times().span(retry_ms);
            (StatusCode::SERVICE_UNAVAILABLE, texts.a("sign-in-busy", &wait))
        }
        Err(AccountError::WrongPassword) => (StatusCode::UNPROCESSABLE_ENTITY, texts.t("sign-in-wrong")),
        Err(other) => return Err(other.into()),
    };
    tracing::warn!(address = %visit.visitor.address, status = status.as_u16(), "session.refused");
    let login: String = typed.login.chars().take(64).collect();
    let frame = Frame::new(&visit, "");
    let template = Page { frame, next: typed.next, login, problem: Some(problem), signed_out: false, lapsed: false };
    let mut response = render(status, &template)?;
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
    }
    Ok(response)
}

/// Hands the session out, and what the browser is known again by.
pub fn opened(mut response: Response, token: &SessionToken, visitor: &Visitor) -> Response {
    let device = visitor.device.as_ref().map(|device| device.reveal());
    let cookies = [
        set_cookie(SESSION_COOKIE, token),
        device.and_then(|device| set_lasting_cookie(DEVICE_COOKIE, &device, DEVICE_LIFE_MS / 1000)),
        // What the forms before were bound to has done its work.
        clear_cookie(VISIT_COOKIE),
        clear_cookie(STEP_COOKIE),
    ];
    for cookie in cookies.into_iter().flatten() {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// To the second step.
pub fn half_open(half: &HalfToken, next: &str) -> Response {
    let path = match next.is_empty() {
        true => "/sign-in/step".to_owned(),
        false => format!("/sign-in/step{}", crate::pages::query::Query::default().with("next", Some(next))),
    };
    let mut response = go(&path);
    if let Some(cookie) = set_lasting_cookie(STEP_COOKIE, &half.reveal(), STEP_LIFE_MS / 1000) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
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
