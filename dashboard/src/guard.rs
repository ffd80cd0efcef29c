//! The one door before every handler: who asks, may they, does a change come from where it must. What is not in the
//! table of routes is not reached. Every refusal of somebody who is signed in becomes an entry of the audit log here,
//! also one that a handler or the clinic gave; a form that is not ours is recorded whoever sent it.

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use clinic::acting::{Acting, Actor};
use clinic::audit::{self, Action, Outcome};
use domain::{Permission, Rights};
use tokio::time::Instant;

use crate::app::App;
use crate::fault::Fault;
use crate::form::{self, Foreign};
use crate::rate::TooSoon;
use crate::routes::{Access, Csrf, Desk, Route, Verb};
use crate::visit::{VISIT_COOKIE, Visit, set_cookie};

/// Largest form, in bytes; the largest real one is a role with every permission, under 4 KiB.
pub const FORM_MAX_BYTES: usize = 16 * 1024;

/// Why a request does not reach its handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    SignIn,
    Forbidden,
    /// Not the browser of a workstation.
    NotAtDesk,
    /// Nobody is bound to the workstation, or it is locked.
    DeskClosed,
    Foreign(Foreign),
    TooLarge,
    /// Asked too often for what is expensive.
    TooSoon(TooSoon),
}

impl Refusal {
    fn response(self) -> Response {
        match self {
            Self::SignIn => Fault::SignIn.into_response(),
            Self::Forbidden => Fault::Forbidden.into_response(),
            Self::NotAtDesk => Fault::NotAtDesk.into_response(),
            Self::DeskClosed => Fault::DeskClosed.into_response(),
            Self::Foreign(_) => Fault::Form.into_response(),
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE.into_response(),
            Self::TooSoon(soon) => {
                let seconds = HeaderValue::from(soon.retry_after.as_secs());
                (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, seconds)]).into_response()
            }
        }
    }
}

/// Lets a request through to its handler, or answers instead of it.
pub async fn guard(State((app, route)): State<(App, &'static Route)>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let read = match route.access {
        Access::AtDesk(_) => Visit::at_desk(&app, &parts, route).await,
        _ => Visit::read(&app, &parts, Some(route), route.uses_session).await,
    };
    let visit = match read {
        Ok(visit) => visit,
        Err(fault) => return fault.into_response(),
    };
    let mut response = match check(&visit, route, parts, body).await {
        Ok(mut request) => {
            request.extensions_mut().insert(visit.clone());
            if let Some(desk) = &visit.desk {
                request.extensions_mut().insert(desk.clone());
            }
            let response = next.run(request).await;
            if let Some(why) = refused_inside(route, &response) {
                note(&visit, route, why).await;
            }
            response
        }
        Err(refusal) => {
            let why = match refusal {
                Refusal::SignIn => "nobody_signed_in",
                Refusal::Forbidden => "no_permission",
                Refusal::NotAtDesk => "not_at_a_workstation",
                Refusal::DeskClosed => "workstation_closed",
                Refusal::Foreign(foreign) => foreign.as_str(),
                Refusal::TooLarge => "too_large",
                Refusal::TooSoon(_) => "rate",
            };
            let is_repeated = matches!(refusal, Refusal::TooSoon(soon) if !soon.begins);
            let is_somebody = visit.session.is_some() || (visit.desk.is_some() && refusal == Refusal::Forbidden);
            if (is_somebody && !is_repeated) || matches!(refusal, Refusal::Foreign(_)) {
                note(&visit, route, why).await;
            }
            refusal.response()
        }
    };
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

/// What a handler refused: a missing right, or a thing that is not there for this one, as when somebody tries ids.
fn refused_inside(route: &Route, response: &Response) -> Option<&'static str> {
    let names_something = route.verb != Verb::Show || route.path.contains('{');
    match response.extensions().get::<Fault>() {
        Some(Fault::Forbidden) => Some("no_permission"),
        Some(Fault::NotFound) if names_something && !route.is_asset => Some("not_there"),
        _ => None,
    }
}

/// Writes the refusal down. A failure to do so cannot undo anything, nothing was done; it is logged.
async fn note(visit: &Visit, route: &Route, why: &'static str) {
    let now = visit.app.now();
    let acting = visit.acting().unwrap_or_else(|_| Acting {
        actor: Actor::Anybody,
        rights: Rights::default(),
        session: None,
        address: Some(visit.visitor.address),
        glass: None,
    });
    let mut draft = match route.access {
        Access::Needs(permission) if why == "no_permission" => acting.refusal(now, domain::Denied(permission)),
        _ => acting.draft(now, Action::Refused),
    };
    draft.outcome = Outcome::Refused;
    draft.object.get_or_insert_with(|| route.path.to_owned());
    draft.detail = Some(format!("{why}: {} {}", route.verb.as_str(), route.path));
    tracing::warn!(path = route.path, account = acting.account(), address = %visit.visitor.address, why, "page.refused");
    if let Err(error) = audit::write(&visit.app.database, draft).await {
        tracing::error!(error = %error, "page.refusal.unrecorded");
    }
}

/// Whether a route of workstations is open to this browser. Being asked counts as use of the binding.
async fn check_desk(visit: &Visit, route: &Route, wants: Desk) -> Result<(), Refusal> {
    let desk = visit.desk.as_ref().ok_or(Refusal::NotAtDesk)?;
    if wants == Desk::Open {
        let (_, acting) = desk.signed_in().map_err(|_| Refusal::DeskClosed)?;
        if !acting.rights.allows(Permission::DeskUse) {
            return Err(Refusal::Forbidden);
        }
    }
    if let Some(session) = desk.session.as_ref().filter(|session| route.uses_session && session.is_open()) {
        // Only how long it stays open hangs on it; the page itself must not.
        if let Err(error) = visit.app.desk.used(session).await {
            tracing::error!(error = %error, "page.desk.use.unrecorded");
        }
    }
    Ok(())
}

async fn check(visit: &Visit, route: &Route, parts: Parts, body: Body) -> Result<Request, Refusal> {
    if let Access::AtDesk(wants) = route.access {
        check_desk(visit, route, wants).await?;
    } else if !route.access.lets(visit.rights()) {
        return Err(if visit.rights().is_none() { Refusal::SignIn } else { Refusal::Forbidden });
    }
    // Counted when it is known to be meant: a foreign form must not use up what somebody may do.
    let count = || {
        let session = visit.session.as_ref().map(|session| session.account.id.as_str());
        let desk = visit.desk.as_ref().map(|desk| desk.workstation.point.as_str());
        match session.or(desk) {
            Some(who) => visit.app.rates.take(who, route.rate, Instant::now()).map_err(Refusal::TooSoon),
            None => Ok(()),
        }
    };
    if route.verb == Verb::Show {
        count()?;
        return Ok(Request::from_parts(parts, Body::empty()));
    }
    if route.csrf == Csrf::Form {
        form::check_sender(&parts.headers).map_err(Refusal::Foreign)?;
    }
    let body = to_bytes(body, route.body_max).await.map_err(|_| Refusal::TooLarge)?;
    if route.csrf == Csrf::Form {
        let given = form::given(&parts.headers, &body);
        let (given, now) = (given.as_deref(), visit.app.now());
        let checked = match &visit.desk {
            Some(desk) => desk.check_form(given, now),
            None => form::check(visit.form_secret(), given, now),
        };
        checked.map_err(Refusal::Foreign)?;
    }
    count()?;
    Ok(Request::from_parts(parts, Body::from(body)))
}
