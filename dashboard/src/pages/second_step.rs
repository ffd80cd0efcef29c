//! The second step of signing in: a code, or setting a second factor up where one is needed. What stands between the
//! two steps is a cookie of ten minutes that opens only this page.

use askama::Template;
use axum::extract::{Form, Query};
use axum::http::{StatusCode, header};
use axum::response::Response;
use clinic::accounts::{AccountError, Enrolment, HalfToken, RecoveryCode, Step};
use serde::Deserialize;

use crate::fault::Fault;
use crate::pages::sign_in::opened;
use crate::view::{Frame, go, page as render};
use crate::visit::{STEP_COOKIE, Visit, clear_cookie};

/// A picture to scan and a key to type.
pub struct Scan {
    pub picture: String,
    pub key: String,
}

impl Scan {
    /// Draws what a telephone scans: dark on light whatever the page's look, as scanners want it.
    pub fn of(enrolment: &Enrolment) -> Result<Self, Fault> {
        let code = qrcode::QrCode::new(enrolment.uri().as_bytes()).map_err(|error| {
            tracing::error!(%error, "page.qr.failed");
            Fault::Unavailable
        })?;
        let drawn = code.render::<qrcode::render::svg::Color>().min_dimensions(220, 220).build();
        // Without the prolog of a file of its own.
        let picture = drawn.find("<svg").map_or(String::new(), |at| drawn[at..].to_owned());
        Ok(Self { picture, key: enrolment.key() })
    }
}

#[derive(Template)]
#[template(path = "step.html")]
struct Page {
    frame: Frame,
    next: String,
    /// What to scan, where a second factor is set up.
    scan: Option<Scan>,
    problem: Option<String>,
}

#[derive(Template)]
#[template(path = "codes.html")]
struct Codes {
    frame: Frame,
    codes: Vec<String>,
    next: String,
}

/// Recovery codes, shown once.
pub fn codes(visit: &Visit, codes: &[RecoveryCode], next: &str) -> Result<Response, Fault> {
    let mut frame = Frame::new(visit, "");
    frame.alone();
    let codes = codes.iter().map(RecoveryCode::reveal).collect();
    let next = if next.is_empty() { "/".to_owned() } else { next.to_owned() };
    render(StatusCode::OK, &Codes { frame, codes, next })
}

#[derive(Deserialize)]
pub struct Asked {
    #[serde(default)]
    next: String,
}

/// What is typed.
#[derive(Deserialize)]
pub struct Typed {
    #[serde(default)]
    code: String,
    #[serde(default)]
    next: String,
}

/// `GET /sign-in/step`
pub async fn show(visit: Visit, Query(asked): Query<Asked>) -> Result<Response, Fault> {
    let Some(half) = visit.half.clone() else { return Ok(go("/sign-in")) };
    page(&visit, &half, StatusCode::OK, asked.next, None).await
}

async fn page(
    visit: &Visit,
    half: &HalfToken,
    status: StatusCode,
    next: String,
    problem: Option<String>,
) -> Result<Response, Fault> {
    let scan = match visit.app.accounts.step_of(half).await {
        Ok(Step::Code) => None,
        Ok(Step::Enrol) => Some(Scan::of(&visit.app.accounts.enrol_half(half).await?)?),
        Err(AccountError::StepSpent) => return Ok(lapsed()),
        Err(other) => return Err(other.into()),
    };
    let mut frame = Frame::new(visit, "");
    frame.alone();
    render(status, &Page { frame, next, scan, problem })
}

/// Back to the first step.
fn lapsed() -> Response {
    let mut response = go("/sign-in?lapsed=1");
    if let Some(cookie) = clear_cookie(STEP_COOKIE) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// `POST /sign-in/step`
pub async fn finish(visit: Visit, Form(typed): Form<Typed>) -> Result<Response, Fault> {
    let Some(half) = visit.half.clone() else { return Ok(go("/sign-in")) };
    let (accounts, visitor) = (&visit.app.accounts, visit.with_device()?);
    let step = match accounts.step_of(&half).await {
        Ok(step) => step,
        Err(AccountError::StepSpent) => return Ok(lapsed()),
        Err(other) => return Err(other.into()),
    };
    let outcome = match step {
        Step::Code => accounts.finish_sign_in(&half, &typed.code, &visitor).await.map(|token| (token, Vec::new())),
        Step::Enrol => accounts.finish_enrolment(&half, &typed.code, &visitor).await,
    };
    let texts = visit.texts();
    let (status, problem) = match outcome {
        Ok((token, drawn)) => {
            let response = match drawn.is_empty() {
                true => go(if typed.next.is_empty() { "/" } else { &typed.next }),
                false => codes(&visit, &drawn, &typed.next)?,
            };
            return Ok(opened(response, &token, &visitor));
        }
        Err(AccountError::StepSpent) => return Ok(lapsed()),
        Err(AccountError::WrongCode) => (StatusCode::UNPROCESSABLE_ENTITY, texts.t("code-wrong")),
        Err(AccountError::Wait { wait_ms }) => {
            let wait = visit.times().span(wait_ms.saturating_add(999));
            (StatusCode::TOO_MANY_REQUESTS, texts.a("sign-in-wait", &wait))
        }
        Err(other) => return Err(other.into()),
    };
    tracing::warn!(address = %visit.visitor.address, status = status.as_u16(), "session.refused");
    page(&visit, &half, status, typed.next, Some(problem)).await
}
