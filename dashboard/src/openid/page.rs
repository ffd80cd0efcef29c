//! The page on which a browser waits until who stands before it has tapped their card, at the reader of this workstation
//! and no other; and what the specialist sees of confirmations.

use std::time::Duration;

use askama::Template;
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use clinic::desk::{DeskError, PinAnswer, PinText};
use clinic::openid::{Confirmation, Provider, Step, WaitFor};
use serde_json::json;
use tokio::time::{Instant, timeout_at};

use super::answers::{fault, see};
use crate::app::App;
use crate::desk_visit::AtDesk;
use crate::fault::Fault;
use crate::pages::assets;
use crate::pages::query::Query;
use crate::view::{Frame, go, page as render};
use crate::visit::Visit;

/// How long the page's script waits for one answer; below the time that a request may take.
const WAIT: Duration = Duration::from_secs(15);

#[derive(Template)]
#[template(path = "openid/sign_in.html")]
struct Page {
    frame: Frame,
    script: String,
    room: String,
    name: String,
    request: String,
    /// What is missing, a key of texts; `none` where nothing is waited for.
    what: &'static str,
    desk_form: String,
    wants_pin: bool,
    problem: Option<String>,
    /// It is answered: the browser goes on by asking again.
    is_done: bool,
    languages: Vec<(&'static str, &'static str, bool)>,
}

const fn key(what: WaitFor) -> &'static str {
    match what {
        WaitFor::Tap => "tap",
        WaitFor::FreshTap => "fresh",
        WaitFor::OtherPerson => "other",
        WaitFor::Unlock => "unlock",
        WaitFor::Pin => "pin",
    }
}

fn provider(app: &App) -> Result<&Provider, Fault> {
    app.openid.as_ref().ok_or(Fault::NotFound)
}

fn page(visit: &Visit, desk: Option<&AtDesk>, request: &str, what: &'static str) -> Page {
    let mut frame = Frame::new(visit, "");
    frame.alone();
    let room = desk.map(|desk| match desk.workstation.name.as_str() {
        "" => crate::words::label(desk.workstation.point.as_str()),
        name => name.to_owned(),
    });
    let own = visit.language;
    Page {
        frame,
        script: assets::path("openid.js"),
        room: room.unwrap_or_default(),
        name: String::new(),
        request: request.to_owned(),
        what,
        desk_form: desk.map(|desk| desk.form_token(visit.app.now())).unwrap_or_default(),
        wants_pin: what == "pin",
        problem: None,
        is_done: false,
        languages: crate::language::Language::ALL
            .iter()
            .map(|language| (language.code(), language.own_name(), *language == own))
            .collect(),
    }
}

fn over(visit: &Visit, desk: Option<&AtDesk>, what: &'static str) -> Result<Response, Fault> {
    let status = if what == "not_here" { StatusCode::FORBIDDEN } else { StatusCode::BAD_REQUEST };
    render(status, &page(visit, desk, "", what))
}

/// `GET /openid/sign-in?request=…`
pub async fn show(visit: Visit, desk: Option<AtDesk>, query: Query) -> Result<Response, Fault> {
    let provider = provider(&visit.app)?;
    if query.one("problem").is_some() {
        return over(&visit, desk.as_ref(), "unknown");
    }
    let request = query.one("request").unwrap_or_default().to_owned();
    let Some(desk) = desk else { return over(&visit, None, "not_here") };
    match provider.step(&request, &desk.workstation.point).await.map_err(fault)? {
        Step::Go(url) => Ok(see(&url)),
        Step::Spent => over(&visit, Some(&desk), "spent"),
        Step::Elsewhere => over(&visit, Some(&desk), "elsewhere"),
        Step::Wait { name, what, .. } => {
            render(StatusCode::OK, &Page { name, ..page(&visit, Some(&desk), &request, key(what)) })
        }
    }
}

/// `GET /openid/sign-in/wait?request=…&what=…`: answers when something else is missing than the page shows, or nothing.
pub async fn wait(State(app): State<App>, desk: AtDesk, query: Query) -> Result<Response, Fault> {
    let provider = provider(&app)?;
    let request = query.one("request").unwrap_or_default().to_owned();
    let shown = query.one("what").unwrap_or_default();
    let deadline = Instant::now() + WAIT;
    let mut changed = app.changes.subscribe();
    loop {
        let seen = *changed.borrow_and_update();
        let is_same = match provider.step(&request, &desk.workstation.point).await.map_err(fault)? {
            Step::Go(url) => return Ok(Json(json!({"go": url})).into_response()),
            Step::Wait { what, .. } => key(what) == shown,
            Step::Spent | Step::Elsewhere => false,
        };
        if !is_same {
            return Ok(Json(json!({"reload": true})).into_response());
        }
        // Only what happens at this workstation is worth another look.
        let mut last = seen;
        loop {
            match timeout_at(deadline, changed.changed()).await {
                Err(_) => return Ok(Json(json!({})).into_response()),
                Ok(Err(_)) => return Ok(Json(json!({})).into_response()),
                Ok(Ok(())) => {}
            }
            let news = app.changes.after(last).await?;
            last = news.last().map_or(last, |change| change.id);
            changed.borrow_and_update();
            if news.iter().any(|change| change.workstation.as_ref() == Some(&desk.workstation.point)) {
                break;
            }
        }
    }
}

/// `POST /openid/sign-in/pin`
pub async fn pin(visit: Visit, desk: AtDesk, body: Bytes) -> Result<Response, Fault> {
    let provider = provider(&visit.app)?;
    let typed = read(&body)?;
    let request = typed.one("request").unwrap_or_default().to_owned();
    let texts = visit.texts();
    let problem = match (&desk.session, PinText::new(typed.one("pin").unwrap_or_default())) {
        (None, _) => Some(texts.t("openid-wait-tap")),
        (Some(_), Err(_)) => Some(texts.t("openid-pin-bad")),
        (Some(session), Ok(pin)) => match visit.app.desk.confirm_pin(session, pin).await {
            Ok(PinAnswer::Right(_)) => None,
            Ok(PinAnswer::Wrong { left }) => Some(texts.n("openid-pin-wrong", left)),
            Ok(PinAnswer::Blocked { wait_ms } | PinAnswer::DeskBlocked { wait_ms }) => {
                Some(texts.a("openid-pin-blocked", &visit.times().span(wait_ms)))
            }
            Ok(PinAnswer::NotSet) => Some(texts.t("openid-pin-none")),
            Err(DeskError::Busy { .. }) => Some(texts.t("openid-pin-busy")),
            Err(DeskError::NoSession | DeskError::NotOpen) => Some(texts.t("openid-wait-tap")),
            Err(error) => return Err(error.into()),
        },
    };
    // The binding has changed, and with it what forms must carry.
    let desk = desk.again(&visit.app, Some(visit.visitor.address)).await?.ok_or(Fault::NotAtDesk)?;
    let (name, what) = match provider.step_name(&request).await.map_err(fault)? {
        Some(name) => (name, "pin"),
        None => return over(&visit, Some(&desk), "spent"),
    };
    let is_done = problem.is_none();
    let status = if is_done { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    // Not a redirect: browsers count one that follows a form as sent by the form, and this one leads to another site.
    render(status, &Page { name, problem, is_done, ..page(&visit, Some(&desk), &request, what) })
}

#[derive(Template)]
#[template(path = "openid/signed_out.html")]
struct SignedOut {
    frame: Frame,
    is_bad: bool,
}

/// `GET /openid/signed-out`
pub async fn signed_out(visit: Visit, query: Query) -> Result<Response, Fault> {
    provider(&visit.app)?;
    let mut frame = Frame::new(&visit, "");
    frame.alone();
    render(StatusCode::OK, &SignedOut { frame, is_bad: query.one("problem").is_some() })
}

#[derive(Template)]
#[template(path = "openid/confirmations.html")]
struct Confirmations {
    frame: Frame,
    desk_form: String,
    /// Each with until when it waits.
    list: Vec<(Confirmation, String)>,
    wants_pin: bool,
    problem: Option<String>,
}

/// `GET /desk/confirmations`: what other systems ask this specialist to confirm.
pub async fn confirmations(visit: Visit, desk: AtDesk) -> Result<Response, Fault> {
    shown(&visit, &desk, None, StatusCode::OK).await
}

async fn shown(visit: &Visit, desk: &AtDesk, problem: Option<String>, status: StatusCode) -> Result<Response, Fault> {
    let provider = provider(&visit.app)?;
    let (session, _) = desk.signed_in()?;
    let list = provider.confirmations(&session.id).await.map_err(fault)?;
    let mut frame = Frame::new(visit, "");
    frame.alone();
    let wants_pin = list.iter().any(|one| one.is_begun && one.wants_pin);
    let times = visit.times();
    let until = |one: Confirmation| {
        let text = visit.texts().a("openid-confirm-until", &times.clock(one.expires));
        (one, text)
    };
    let list = list.into_iter().map(until).collect();
    let desk_form = desk.form_token(visit.app.now());
    render(status, &Confirmations { frame, desk_form, list, wants_pin, problem })
}

/// `POST /desk/confirmations`
pub async fn confirm(visit: Visit, desk: AtDesk, body: Bytes) -> Result<Response, Fault> {
    let provider = provider(&visit.app)?;
    let (session, _) = desk.signed_in()?;
    let typed = read(&body)?;
    let id = typed.one("id").unwrap_or_default();
    match typed.one("what") {
        Some("begin") => {
            provider.begin_confirmation(&session.id, id).await.map_err(fault)?;
        }
        Some("refuse") => {
            provider.refuse_confirmation(&session.id, id).await.map_err(fault)?;
        }
        Some("pin") => {
            let right = match PinText::new(typed.one("pin").unwrap_or_default()) {
                Ok(pin) => matches!(visit.app.desk.confirm_pin(session, pin).await?, PinAnswer::Right(_)),
                Err(_) => false,
            };
            if !right {
                let problem = Some(visit.texts().t("openid-pin-not-right"));
                return shown(&visit, &desk, problem, StatusCode::UNPROCESSABLE_ENTITY).await;
            }
            provider.settle_confirmations().await.map_err(fault)?;
        }
        _ => return Err(Fault::Invalid),
    }
    Ok(go("/desk/confirmations"))
}

fn read(body: &Bytes) -> Result<Query, Fault> {
    Ok(Query::read(std::str::from_utf8(body).map_err(|_| Fault::Invalid)?))
}
