//! One's own account: language, look, password, sessions.

use askama::Template;
use axum::extract::{Form, Query};
use axum::http::{StatusCode, header};
use axum::response::Response;
use clinic::accounts::{AccountError, OpenSession, PASSWORD_MIN_CHARS, Password, SessionId, Theme};
use serde::Deserialize;

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
    problem: Option<(&'static str, String)>,
    done: Option<String>,
    least: usize,
}

impl Page {
    fn browser(&self, agent: &str) -> String {
        browser(agent).unwrap_or_else(|| agent.to_owned())
    }

    fn is_bad(&self, field: &str) -> bool {
        self.problem.as_ref().is_some_and(|(at, _)| *at == field)
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
    page(&visit, StatusCode::OK, None, done).await
}

async fn page(
    visit: &Visit,
    status: StatusCode,
    problem: Option<(&'static str, String)>,
    done: Option<String>,
) -> Result<Response, Fault> {
    let session = visit.signed_in()?;
    let sessions = visit.app.accounts.list_sessions(&session.account.id).await?;
    let (frame, login, this) = (Frame::new(visit, "me"), session.account.login.to_string(), session.id.clone());
    render(status, &Page { frame, login, sessions, this, problem, done, least: PASSWORD_MIN_CHARS })
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
    let texts = visit.texts();
    if typed.password != typed.again {
        let problem = Some(("again", texts.t("password-differs")));
        return page(&visit, StatusCode::UNPROCESSABLE_ENTITY, problem, None).await;
    }
    let (current, new) = (Password::new(typed.current), Password::new(typed.password));
    let problem = match visit.app.accounts.change_own_password(session, current, new, &visit.visitor).await {
        Ok(token) => {
            let mut response = go("/me?done=password");
            if let Some(cookie) = set_cookie(SESSION_COOKIE, &token) {
                response.headers_mut().append(header::SET_COOKIE, cookie);
            }
            return Ok(response);
        }
        Err(AccountError::WrongPassword) => ("current", texts.t("password-wrong")),
        Err(AccountError::BadPassword(why)) => ("password", texts.code("password-", why.as_str())),
        Err(AccountError::Wait { wait_ms }) => {
            ("current", texts.a("sign-in-wait", &visit.times().span(wait_ms.saturating_add(999))))
        }
        Err(other) => return Err(other.into()),
    };
    page(&visit, StatusCode::UNPROCESSABLE_ENTITY, Some(problem), None).await
}

/// Which session to end; all others without one.
#[derive(Deserialize)]
pub struct EndSession {
    session: Option<String>,
}

/// `POST /me/sessions`
pub async fn sessions(visit: Visit, Form(asked): Form<EndSession>) -> Result<Response, Fault> {
    let session = visit.signed_in()?;
    match asked.session {
        Some(id) => {
            let id = SessionId::parse(&id).ok_or(Fault::Invalid)?;
            visit.app.accounts.end_session(&visit.acting()?, &id).await?;
        }
        None => visit.app.accounts.end_sessions_of(&visit.acting()?, &session.account.id).await?,
    }
    Ok(go("/me?done=sessions"))
}

/// A browser's description of itself in three words; `None` if it is not a usual one.
fn browser(agent: &str) -> Option<String> {
    const PROGRAMS: &[(&str, &str)] = &[
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("YaBrowser/", "Yandex Browser"),
        ("Firefox/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("Version/", "Safari"),
    ];
    const SYSTEMS: &[(&str, &str)] = &[
        ("Windows", "Windows"),
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Mac OS X", "macOS"),
        ("CrOS", "ChromeOS"),
        ("Linux", "Linux"),
    ];
    let (mark, program) = PROGRAMS.iter().find(|(mark, _)| agent.contains(mark))?;
    let version: String = agent.split(mark).nth(1)?.chars().take_while(char::is_ascii_digit).collect();
    let system = SYSTEMS.iter().find(|(mark, _)| agent.contains(mark)).map_or("", |(_, name)| name);
    Some(format!("{program} {version} · {system}"))
}

#[cfg(test)]
mod tests {
    use super::browser;

    #[test]
    fn usual_browsers_are_named_in_words() {
        let chrome =
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36";
        assert_eq!(browser(chrome).as_deref(), Some("Chrome 156 · Linux"));
        assert_eq!(browser("curl/8.1"), None);
    }
}
