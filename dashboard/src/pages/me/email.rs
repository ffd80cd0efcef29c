//! The address for one's notices: asked for by password, believed when the link sent there is followed.

use askama::Template;
use axum::extract::{Form, Path};
use axum::http::StatusCode;
use axum::response::Response;
use clinic::accounts::{AccountError, Email, LinkToken, Password};
use serde::Deserialize;

use super::failed;
use crate::fault::Fault;
use crate::view::{Frame, go, page as render};
use crate::visit::Visit;

#[derive(Template)]
#[template(path = "email.html")]
struct Page {
    frame: Frame,
    /// The address that is waited for; `None`: the link does not count any more.
    waiting: Option<String>,
    path: String,
}

/// What is typed.
#[derive(Deserialize)]
pub struct Typed {
    #[serde(default)]
    what: String,
    #[serde(default)]
    email: String,
    #[serde(default)]
    password: String,
}

/// `POST /me/email`
pub async fn ask_email(visit: Visit, Form(typed): Form<Typed>) -> Result<Response, Fault> {
    let (session, accounts) = (visit.signed_in()?, &visit.app.accounts);
    let password = Password::new(typed.password);
    let shown: String = typed.email.chars().take(254).collect();
    let outcome = match (typed.what.as_str(), Email::new(&typed.email)) {
        ("remove", _) => accounts.remove_email(session, password, &visit.visitor).await.map(|()| "email_removed"),
        (_, Ok(email)) => accounts.ask_email(session, password, &email, &visit.visitor).await.map(|()| "email_asked"),
        (_, Err(error)) => Err(error),
    };
    match outcome {
        Ok(done) => Ok(go(&format!("/me?done={done}"))),
        Err(error @ AccountError::BadEmail) => failed(&visit, "email", error, shown).await,
        Err(error) => failed(&visit, "email-password", error, shown).await,
    }
}

/// `GET /me/email/{link}`: a look changes nothing, as mail programs look at links by themselves.
pub async fn show_email(visit: Visit, Path(link): Path<String>) -> Result<Response, Fault> {
    let state = visit.app.accounts.email_state(visit.signed_in()?).await?;
    let link = LinkToken::parse(&link);
    let waiting = state.waiting.filter(|_| link.is_some()).map(|email| email.reveal().to_owned());
    let path = link.map_or(String::new(), |link| format!("/me/email/{}", link.reveal()));
    let status = if waiting.is_some() { StatusCode::OK } else { StatusCode::NOT_FOUND };
    render(status, &Page { frame: Frame::new(&visit, "me"), waiting, path })
}

/// `POST /me/email/{link}`
pub async fn confirm_email(visit: Visit, Path(link): Path<String>) -> Result<Response, Fault> {
    let session = visit.signed_in()?;
    let Some(link) = LinkToken::parse(&link) else { return Err(Fault::NotFound) };
    match visit.app.accounts.confirm_email(session, &link, &visit.visitor).await {
        Ok(()) => Ok(go("/me?done=email")),
        Err(AccountError::LinkSpent) => {
            let frame = Frame::new(&visit, "me");
            render(StatusCode::NOT_FOUND, &Page { frame, waiting: None, path: String::new() })
        }
        Err(other) => Err(other.into()),
    }
}
