//! One-time links: the first administrator's account, or a new password.

use askama::Template;
use axum::extract::{Form, Path};
use axum::http::StatusCode;
use axum::response::Response;
use clinic::accounts::{AccountError, LinkPurpose, LinkToken, Login, PASSWORD_MIN_CHARS, Password};
use serde::Deserialize;

use crate::fault::Fault;
use crate::pages::sign_in::{half_open, opened};
use crate::view::{Frame, go, page as render};
use crate::visit::Visit;

#[derive(Template)]
#[template(path = "welcome.html")]
struct Page {
    frame: Frame,
    path: String,
    /// The account whose password is set; `None`: the first run, which chooses its name.
    known_login: Option<String>,
    login: String,
    shown_name: String,
    problem: Option<Problem>,
    least: usize,
}

impl Page {
    fn is_bad(&self, field: &str) -> bool {
        self.problem.as_ref().is_some_and(|problem| problem.field == field)
    }
}

/// What is wrong, at which field.
struct Problem {
    field: &'static str,
    text: String,
}

#[derive(Template)]
#[template(path = "spent.html")]
struct Spent {
    frame: Frame,
}

/// What is typed.
#[derive(Deserialize)]
pub struct Typed {
    #[serde(default)]
    login: String,
    #[serde(default)]
    shown_name: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    again: String,
}

/// `GET /welcome/{link}`
pub async fn show(visit: Visit, Path(link): Path<String>) -> Result<Response, Fault> {
    let Some(token) = LinkToken::parse(&link) else { return spent(&visit) };
    match visit.app.accounts.inspect_link(&token).await {
        Ok(state) => form(&visit, &token, &state.purpose, StatusCode::OK, Typed::empty(), None),
        Err(AccountError::LinkSpent) => spent(&visit),
        Err(other) => Err(other.into()),
    }
}

/// `POST /welcome/{link}`
pub async fn redeem(visit: Visit, Path(link): Path<String>, Form(typed): Form<Typed>) -> Result<Response, Fault> {
    let Some(token) = LinkToken::parse(&link) else { return spent(&visit) };
    let accounts = &visit.app.accounts;
    let purpose = match accounts.inspect_link(&token).await {
        Ok(state) => state.purpose,
        Err(AccountError::LinkSpent) => return spent(&visit),
        Err(other) => return Err(other.into()),
    };
    let (texts, visitor) = (visit.texts(), visit.with_device()?);
    let outcome = if typed.password == typed.again {
        let password = Password::new(typed.password.clone());
        match &purpose {
            LinkPurpose::SetPassword(_) => accounts.redeem_password(&token, password, &visitor).await,
            LinkPurpose::FirstRun => match Login::new(&typed.login) {
                Ok(login) => {
                    let locale = visit.language.code();
                    accounts.redeem_first_run(&token, &login, &typed.shown_name, locale, password, &visitor).await
                }
                Err(error) => Err(error),
            },
        }
    } else {
        let problem = Problem { field: "again", text: texts.t("password-differs") };
        return form(&visit, &token, &purpose, StatusCode::UNPROCESSABLE_ENTITY, typed, Some(problem));
    };
    let problem = match outcome {
        Ok(session) => {
            tracing::info!(address = %visit.visitor.address, "account.password.set");
            return Ok(opened(go("/"), &session, &visitor));
        }
        Err(AccountError::SecondStep(half)) => return Ok(half_open(&half, "")),
        Err(AccountError::Busy { retry_ms }) => {
            Problem { field: "password", text: texts.a("sign-in-busy", &visit.times().span(retry_ms)) }
        }
        Err(AccountError::LinkSpent) => return spent(&visit),
        Err(AccountError::BadLogin) => Problem { field: "login", text: texts.t("login-bad") },
        Err(AccountError::LoginTaken) => Problem { field: "login", text: texts.t("login-taken") },
        Err(AccountError::BadShownName) => Problem { field: "shown_name", text: texts.t("shown-name-bad") },
        Err(AccountError::BadPassword(why)) => {
            Problem { field: "password", text: texts.code("password-", why.as_str()) }
        }
        Err(other) => return Err(other.into()),
    };
    form(&visit, &token, &purpose, StatusCode::UNPROCESSABLE_ENTITY, typed, Some(problem))
}

fn form(
    visit: &Visit,
    token: &LinkToken,
    purpose: &LinkPurpose,
    status: StatusCode,
    typed: Typed,
    problem: Option<Problem>,
) -> Result<Response, Fault> {
    // Whoever is signed in here, this page is about somebody else's account.
    let mut frame = Frame::new(visit, "");
    frame.who = None;
    frame.groups.clear();
    let known_login = match purpose {
        LinkPurpose::FirstRun => None,
        LinkPurpose::SetPassword(login) => Some(login.to_string()),
    };
    let (path, login, shown_name) = (token.path(), typed.login, typed.shown_name);
    render(status, &Page { frame, path, known_login, login, shown_name, problem, least: PASSWORD_MIN_CHARS })
}

fn spent(visit: &Visit) -> Result<Response, Fault> {
    render(StatusCode::NOT_FOUND, &Spent { frame: Frame::new(visit, "") })
}

impl Typed {
    fn empty() -> Self {
        Self { login: String::new(), shown_name: String::new(), password: String::new(), again: String::new() }
    }
}
