//! One's own account: sessions, password, second factor, address for notices, language and look.

mod email;
mod factor;

pub use email::{ask_email, confirm_email, show_email};
pub use factor::{change_factor, confirm_factor, show_factor};

use askama::Template;
use axum::extract::{Form, Query};
use axum::http::{StatusCode, header};
use axum::response::Response;
use clinic::accounts::{
    AccountError, EmailState, FactorState, OpenSession, PASSWORD_MIN_CHARS, Password, SessionId, SessionToken, Theme,
};
use serde::Deserialize;

use crate::browser::browser;
use crate::fault::Fault;
use crate::language::Language;
use crate::view::{Frame, go, page as render};
use crate::visit::{SESSION_COOKIE, Visit, set_cookie};

#[derive(Template)]
#[template(path = "me.html")]
struct Page {
    frame: Frame,
    login: String,
    sessions: Vec<OpenSession>,
    this: SessionId,
    factor: FactorState,
    email: EmailState,
    typed_email: String,
    problem: Option<Problem>,
    done: Option<String>,
    least: usize,
}

/// What is wrong, at which field.
struct Problem {
    field: &'static str,
    text: String,
}

impl Page {
    fn browser(&self, agent: &str) -> String {
        browser(agent).unwrap_or_else(|| agent.to_owned())
    }

    fn problem_at(&self, fields: &[&str]) -> Option<&str> {
        self.problem.as_ref().filter(|problem| fields.contains(&problem.field)).map(|problem| problem.text.as_str())
    }

    fn is_bad(&self, field: &str) -> bool {
        self.problem.as_ref().is_some_and(|problem| problem.field == field)
    }
}

/// What was just done.
#[derive(Deserialize)]
pub struct Asked {
    done: Option<String>,
}

/// `GET /me`
pub async fn show(visit: Visit, Query(asked): Query<Asked>) -> Result<Response, Fault> {
    let done = asked.done.as_deref().and_then(|done| visit.texts().code_if_any("me-done-", done));
    page(&visit, StatusCode::OK, None, String::new(), done).await
}

async fn page(
    visit: &Visit,
    status: StatusCode,
    problem: Option<Problem>,
    typed_email: String,
    done: Option<String>,
) -> Result<Response, Fault> {
    let (session, accounts) = (visit.signed_in()?, &visit.app.accounts);
    let sessions = accounts.list_sessions(&session.account.id).await?;
    let (factor, email) = (accounts.factor_state(session).await?, accounts.email_state(session).await?);
    let (frame, login, this) = (Frame::new(visit, "me"), session.account.login.to_string(), session.id.clone());
    let least = PASSWORD_MIN_CHARS;
    render(status, &Page { frame, login, sessions, this, factor, email, typed_email, problem, done, least })
}

/// The page again, with what went wrong at a field for one's own password.
async fn failed(
    visit: &Visit,
    field: &'static str,
    error: AccountError,
    typed_email: String,
) -> Result<Response, Fault> {
    let (status, text) = words(visit, error)?;
    page(visit, status, Some(Problem { field, text }), typed_email, None).await
}

/// What is said about a refusal, if it is one that its reader can do something about.
fn words(visit: &Visit, error: AccountError) -> Result<(StatusCode, String), Fault> {
    let texts = visit.texts();
    let unfit = StatusCode::UNPROCESSABLE_ENTITY;
    Ok(match error {
        AccountError::WrongPassword => (unfit, texts.t("password-wrong")),
        AccountError::BadPassword(why) => (unfit, texts.code("password-", why.as_str())),
        AccountError::WrongCode => (unfit, texts.t("code-wrong")),
        AccountError::BadEmail => (unfit, texts.t("email-bad")),
        AccountError::FactorNeeded => (unfit, texts.t("factor-needed")),
        AccountError::Wait { wait_ms } => {
            let wait = visit.times().span(wait_ms.saturating_add(999));
            (StatusCode::TOO_MANY_REQUESTS, texts.a("sign-in-wait", &wait))
        }
        AccountError::Busy { retry_ms } => {
            (StatusCode::SERVICE_UNAVAILABLE, texts.a("sign-in-busy", &visit.times().span(retry_ms)))
        }
        other => return Err(other.into()),
    })
}

/// The session goes on with a new token.
fn renewed(mut response: Response, token: &SessionToken) -> Response {
    if let Some(cookie) = set_cookie(SESSION_COOKIE, token) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// Language and look.
#[derive(Deserialize)]
pub struct Preferences {
    language: Option<String>,
    theme: Option<String>,
    back: Option<String>,
}

/// `POST /me/preferences`
pub async fn preferences(visit: Visit, Form(asked): Form<Preferences>) -> Result<Response, Fault> {
    let session = visit.signed_in()?;
    let language = asked.language.as_deref().and_then(Language::parse).unwrap_or(visit.language);
    let theme = asked.theme.as_deref().and_then(Theme::parse).unwrap_or(session.account.theme);
    visit.app.accounts.change_preferences(session, language.code(), theme).await?;
    Ok(go(asked.back.as_deref().unwrap_or("/me")))
}

/// A new password.
#[derive(Deserialize)]
pub struct NewPassword {
    #[serde(default)]
    current: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    again: String,
}

/// `POST /me/password`
pub async fn password(visit: Visit, Form(typed): Form<NewPassword>) -> Result<Response, Fault> {
    let session = visit.signed_in()?;
    if typed.password != typed.again {
        let problem = Problem { field: "again", text: visit.texts().t("password-differs") };
        return page(&visit, StatusCode::UNPROCESSABLE_ENTITY, Some(problem), String::new(), None).await;
    }
    let (current, new) = (Password::new(typed.current), Password::new(typed.password));
    match visit.app.accounts.change_own_password(session, current, new, &visit.visitor).await {
        Ok(token) => Ok(renewed(go("/me?done=password"), &token)),
        Err(error) => {
            let field = if matches!(error, AccountError::BadPassword(_)) { "password" } else { "current" };
            failed(&visit, field, error, String::new()).await
        }
    }
}

/// Which session to end; all others without one.
#[derive(Deserialize)]
pub struct EndSession {
    session: Option<String>,
}

/// `POST /me/sessions`
pub async fn sessions(visit: Visit, Form(asked): Form<EndSession>) -> Result<Response, Fault> {
    let (session, acting) = (visit.signed_in()?, visit.acting()?);
    match asked.session {
        Some(id) => {
            let id = SessionId::parse(&id).ok_or(Fault::Invalid)?;
            visit.app.accounts.end_session(&acting, &id).await?;
        }
        None => visit.app.accounts.end_sessions_of(&acting, &session.account.id).await?,
    }
    Ok(go("/me?done=sessions"))
}
