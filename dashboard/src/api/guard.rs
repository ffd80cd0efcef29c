//! The one door before every call: what is accepted, key, rate, permission, parameters, body, repetition. In this order,
//! so that a stranger learns nothing but that a key is needed.

use std::net::IpAddr;

use axum::body::{Body, to_bytes};
use axum::extract::{FromRequestParts, RawPathParams, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use clinic::acting::Acting;
use clinic::api_keys::{Answered, Begun, Caller, KeyId, KeyToken, REQUEST_MAX_BYTES};
use clinic::audit::{self, Action, Draft, Outcome};
use tokio::time::Instant;

use super::describe::{Form, Operation, Parameter, Place};
use super::{BODY_MAX_BYTES, Call, Problem};
use crate::address;
use crate::app::App;
use crate::fault::Dressed;
use crate::form;
use crate::pages::query::Query;
use crate::routes::{Access, Route, Verb};

/// Names a request, so that it can be sent again.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// Says that an answer is the one that was given before.
pub const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The header that names a request, as the description says it.
pub const REQUEST_NAME: Parameter = Parameter::header(
    IDEMPOTENCY_KEY,
    Form::Token(REQUEST_MAX_BYTES),
    "A name of your choice for this request, for example a random UUID. Sent again under the same name within a day, \
     the request does nothing twice and gets the first answer.",
);

/// Lets a call through to its handler, or answers instead of it.
pub async fn guard(
    State((app, route, operation)): State<(App, &'static Route, &'static Operation)>,
    request: Request,
    next: Next,
) -> Response {
    let (mut parts, body) = request.into_parts();
    let call = match check(&app, route, operation, &mut parts, body).await {
        Ok(call) => call,
        Err(problem) => {
            tracing::warn!(path = route.path, status = problem.status().as_u16(), "api.refused");
            return problem.into_response();
        }
    };
    let name = call.text(IDEMPOTENCY_KEY).map(str::to_owned);
    let key = call.caller.as_ref().map(|caller| caller.key);
    match (name, key) {
        (Some(name), Some(key)) if operation.repeatable => once(&app, key, &name, call, parts, next).await,
        _ => run(call, parts, next).await,
    }
}

async fn run(call: Call, parts: Parts, next: Next) -> Response {
    let (app, route, acting) = (call.app.clone(), call.route, call.caller.as_ref().map(|it| it.acting.clone()));
    let mut request = Request::from_parts(parts, Body::from(call.body.clone()));
    request.extensions_mut().insert(call);
    let response = next.run(request).await;
    // A thing that is not there for this key, as when somebody tries ids; or what the service refused.
    let why = match response.status() {
        StatusCode::NOT_FOUND if route.path.contains('{') => "not_there",
        StatusCode::FORBIDDEN => "no_permission",
        _ => return response,
    };
    if let Some(acting) = acting
        && let Err(problem) = refused(&app, &acting, route, why).await
    {
        return problem.into_response();
    }
    response
}

async fn check(
    app: &App,
    route: &'static Route,
    operation: &'static Operation,
    parts: &mut Parts,
    body: Body,
) -> Result<Call, Problem> {
    let address = address::of(parts, &app.settings.trusted_proxies);
    let caller = match route.access {
        Access::Anyone => None,
        _ => Some(caller(app, route, &parts.headers, address).await?),
    };
    let who = caller.as_ref().map_or_else(|| address.to_string(), |caller| caller.key.to_string());
    if let Err(soon) = app.rates.take(&who, operation.rate, Instant::now()) {
        if let (true, Some(caller)) = (soon.begins, &caller) {
            refused(app, &caller.acting, route, "rate").await?;
        }
        return Err(Problem::TooMany(soon.retry_after.as_secs()));
    }
    if let Some(caller) = &caller {
        permit(app, route, caller).await?;
    }
    if let (Some(caller), Err(_)) = (&caller, form::check_sender(&parts.headers)) {
        refused(app, &caller.acting, route, "foreign_page").await?;
        return Err(Problem::ForeignPage);
    }
    accepts_json(&parts.headers, operation)?;
    let parameters = parameters(operation, parts).await?;
    let body = match (route.verb, &operation.takes) {
        (Verb::Change, Some(_)) => {
            is_json(&parts.headers)?;
            to_bytes(body, route.body_max).await.map_err(|_| Problem::TooLarge(route.body_max))?
        }
        // Nothing is expected; what is sent all the same is not read.
        _ => Bytes::new(),
    };
    Ok(Call { app: app.clone(), route, caller, parameters, body })
}

/// Whose key it is. Every reason for refusing looks the same from outside.
async fn caller(app: &App, route: &'static Route, headers: &HeaderMap, address: IpAddr) -> Result<Caller, Problem> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(line), None) = (given.next(), given.next()) else { return Err(Problem::Unauthorized) };
    let token = line.to_str().ok().and_then(|line| line.split_once(' '));
    let token = token.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let Some(token) = token.and_then(|(_, token)| KeyToken::parse(token.trim())) else {
        return Err(Problem::Unauthorized);
    };
    match app.api_keys.resume(&token, address).await? {
        Ok(caller) => Ok(caller),
        Err(reason) => {
            tracing::warn!(?reason, %address, "api.key.refused");
            let stranger = Acting {
                actor: clinic::acting::Actor::Anybody,
                rights: domain::Rights::default(),
                session: None,
                address: Some(address),
                glass: None,
            };
            refused(app, &stranger, route, "api_key").await?;
            Err(Problem::Unauthorized)
        }
    }
}

async fn permit(app: &App, route: &Route, caller: &Caller) -> Result<(), Problem> {
    let Access::Needs(permission) = route.access else { return Ok(()) };
    let Err(denied) = caller.acting.must(permission) else { return Ok(()) };
    let entry = caller.acting.refusal(app.now(), denied);
    let detail = Some(format!("no_permission: {} {}", route.verb.as_str(), route.path));
    audit::write(&app.database, Draft { detail, ..entry }).await?;
    Err(denied.into())
}

/// Records a refusal that is about no permission.
async fn refused(app: &App, acting: &Acting, route: &Route, why: &'static str) -> Result<(), Problem> {
    let object = Some(route.path.to_owned());
    let detail = Some(format!("{why}: {} {}", route.verb.as_str(), route.path));
    let entry = Draft { outcome: Outcome::Refused, object, detail, ..acting.draft(app.now(), Action::Refused) };
    Ok(audit::write(&app.database, entry).await?)
}

/// Whether the caller takes what we give: an `Accept` of nothing else is refused instead of ignored.
fn accepts_json(headers: &HeaderMap, operation: &Operation) -> Result<(), Problem> {
    let own = operation.gives.content_type();
    let main = own.split(['/', ';']).next().unwrap_or_default();
    let essence = own.split(';').next().unwrap_or_default();
    let mut asked = headers.get_all(header::ACCEPT).iter().peekable();
    if asked.peek().is_none() {
        return Ok(());
    }
    let takes = |range: &str| {
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
        let refused = parts.any(|part| matches!(part.trim_start_matches("q="), "0" | "0.0" | "0.00" | "0.000"));
        !refused && (kind == "*/*" || kind == essence || kind.strip_suffix("/*").is_some_and(|kind| kind == main))
    };
    let any = asked.any(|line| line.to_str().unwrap_or_default().split(',').any(takes));
    if any { Ok(()) } else { Err(Problem::NotAcceptable) }
}

/// Reads parameters as the table describes them; anything else in the query is refused, and so is a repetition.
async fn parameters(operation: &Operation, parts: &mut Parts) -> Result<Vec<(&'static str, String)>, Problem> {
    let mut found: Vec<(&'static str, String)> = Vec::new();
    let path = RawPathParams::from_request_parts(parts, &()).await.map_err(|_| Problem::NotFound)?;
    let query = Query::read(parts.uri.query().unwrap_or_default());
    let of = |place: Place| operation.parameters.iter().filter(move |parameter| parameter.place == place);
    for parameter in of(Place::Path) {
        let value = path.iter().find(|(name, _)| *name == parameter.name).map(|(_, value)| value.to_owned());
        found.push((parameter.name, value.ok_or(Problem::NotFound)?));
    }
    for (name, value) in query.pairs() {
        let known = of(Place::Query).find(|parameter| parameter.name == name);
        let Some(parameter) = known else { return Err(Problem::invalid("query", "it holds an unknown parameter")) };
        if found.iter().any(|(known, _)| *known == parameter.name) {
            return Err(Problem::invalid(parameter.name, "it stands in the query twice"));
        }
        found.push((parameter.name, value.to_owned()));
    }
    let repeatable = operation.repeatable.then_some(&REQUEST_NAME);
    for parameter in of(Place::Header).chain(repeatable) {
        let mut lines = parts.headers.get_all(parameter.name).iter();
        let Some(line) = lines.next() else { continue };
        if lines.next().is_some() {
            return Err(Problem::invalid(parameter.name, "this header was sent twice"));
        }
        let value = line.to_str().map_err(|_| Problem::invalid(parameter.name, "this header is no ASCII text"))?;
        found.push((parameter.name, value.to_owned()));
    }
    for (name, value) in &found {
        let parameter = operation.parameters.iter().chain(repeatable).find(|parameter| parameter.name == *name);
        if let Some(Err(expected)) = parameter.map(|parameter| parameter.form.check(value)) {
            return Err(Problem::invalid(*name, expected));
        }
    }
    Ok(found)
}

fn is_json(headers: &HeaderMap) -> Result<(), Problem> {
    let mut lines = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else { return Err(Problem::MediaType) };
    let line = line.to_str().map_err(|_| Problem::MediaType)?.to_ascii_lowercase();
    let mut parts = line.split(';').map(str::trim);
    let is_json = parts.next() == Some("application/json");
    let utf8 = |part: &str| matches!(part.strip_prefix("charset="), Some("utf-8" | "\"utf-8\"" | "utf8"));
    if is_json && parts.all(utf8) { Ok(()) } else { Err(Problem::MediaType) }
}

/// Does a named request once.
async fn once(app: &App, key: KeyId, name: &str, call: Call, parts: Parts, next: Next) -> Response {
    let mut content = format!("{} {}\n", parts.method, parts.uri).into_bytes();
    content.extend_from_slice(&call.body);
    let begun = match app.api_keys.begin_request(key, name, &content).await {
        Ok(begun) => begun,
        Err(error) => return Problem::from(error).into_response(),
    };
    match begun {
        Begun::First => {}
        Begun::Done(answer) => return replay(answer),
        Begun::Open => {
            let what = "The first request of this name has no answer yet. If it does not come, look what was done.";
            return Problem::Conflict(what).into_response();
        }
        Begun::Other => {
            return Problem::Conflict("Another request was sent under this name.").into_response();
        }
    }
    let (parts, body) = run(call, parts, next).await.into_parts();
    let body = to_bytes(body, BODY_MAX_BYTES).await.unwrap_or_default();
    let kept = if parts.status.is_success() {
        Some(Some(Answered { status: parts.status.as_u16(), body: String::from_utf8_lossy(&body).into_owned() }))
    } else if parts.status.is_client_error() {
        Some(None)
    } else {
        // Whether it was done is not known: the name stays open.
        None
    };
    if let Some(answer) = kept
        && let Err(error) = app.api_keys.finish_request(key, name, answer).await
    {
        tracing::error!(error = %error, "api.answer.not_kept");
    }
    Response::from_parts(parts, Body::from(body))
}

fn replay(answer: Answered) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let mut response = (status, answer.body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    response.extensions_mut().insert(Dressed);
    response
}
