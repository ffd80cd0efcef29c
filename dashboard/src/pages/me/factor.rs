//! Setting one's second factor up, anew or aside, and drawing recovery codes.

use askama::Template;
use axum::extract::Form;
use axum::http::StatusCode;
use axum::response::Response;
use clinic::accounts::{AccountError, Password};
use serde::Deserialize;

use super::{failed, renewed, words};
use crate::fault::Fault;
use crate::pages::second_step::{Scan, codes};
use crate::view::{Frame, go, page as render};
use crate::visit::Visit;

#[derive(Template)]
#[template(path = "factor.html")]
struct Page {
    frame: Frame,
    scan: Scan,
    problem: Option<String>,
}

/// What to do with the second factor.
#[derive(Deserialize)]
pub struct Change {
    #[serde(default)]
    what: String,
    #[serde(default)]
    password: String,
}

/// The first code.
#[derive(Deserialize)]
pub struct FirstCode {
    #[serde(default)]
    code: String,
}

/// `GET /me/factor`: what to scan, while a second factor is being set up.
pub async fn show_factor(visit: Visit) -> Result<Response, Fault> {
    page(&visit, StatusCode::OK, None).await
}

async fn page(visit: &Visit, status: StatusCode, problem: Option<String>) -> Result<Response, Fault> {
    let enrolment = match visit.app.accounts.enrolment(visit.signed_in()?).await {
        Ok(enrolment) => enrolment,
        Err(AccountError::NoFactor) => return Ok(go("/me")),
        Err(other) => return Err(other.into()),
    };
    render(status, &Page { frame: Frame::new(visit, "me"), scan: Scan::of(&enrolment)?, problem })
}

/// `POST /me/factor`
pub async fn change_factor(visit: Visit, Form(asked): Form<Change>) -> Result<Response, Fault> {
    let (session, accounts, visitor) = (visit.signed_in()?, &visit.app.accounts, &visit.visitor);
    let password = Password::new(asked.password);
    let done = match asked.what.as_str() {
        "begin" => accounts.begin_factor(session, password, visitor).await.map(|_| go("/me/factor")),
        "codes" => match accounts.new_recovery_codes(session, password, visitor).await {
            Ok(drawn) => return codes(&visit, &drawn, "/me"),
            Err(error) => Err(error),
        },
        "remove" => accounts
            .remove_factor(session, password, visitor)
            .await
            .map(|token| renewed(go("/me?done=factor_removed"), &token)),
        _ => return Err(Fault::Invalid),
    };
    match done {
        Ok(response) => Ok(response),
        Err(error) => failed(&visit, "factor", error, String::new()).await,
    }
}

/// `POST /me/factor/confirm`
pub async fn confirm_factor(visit: Visit, Form(typed): Form<FirstCode>) -> Result<Response, Fault> {
    let session = visit.signed_in()?;
    match visit.app.accounts.confirm_factor(session, &typed.code, &visit.visitor).await {
        Ok((token, drawn)) => Ok(renewed(codes(&visit, &drawn, "/me?done=factor")?, &token)),
        Err(AccountError::NoFactor) => Ok(go("/me")),
        Err(error) => {
            let (status, text) = words(&visit, error)?;
            page(&visit, status, Some(text)).await
        }
    }
}
