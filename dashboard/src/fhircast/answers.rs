//! The answers of the hub to requests. Errors are plain text for the developer of a program; they never repeat what was
//! sent.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use clinic::fhircast::{Ask, Caller, Endpoint, EventName, Hub, HubError, Topic};
use domain::UtcMillis;
use serde_json::{Value, json};

use super::ask::{Asked, Fields};
use super::{Cast, PATH, SOCKETS};
use crate::app::App;
use crate::service::Peer;

/// Longest `Authorization` header that is looked at, in bytes.
const BEARER_MAX_BYTES: usize = 8192;

/// Why a request is not answered as asked.
pub(super) struct Refused(StatusCode, String);

impl From<HubError> for Refused {
    fn from(error: HubError) -> Self {
        let status = match &error {
            HubError::TokenNeeded => StatusCode::UNAUTHORIZED,
            HubError::Forbidden(_) => StatusCode::FORBIDDEN,
            HubError::UnknownTopic => StatusCode::NOT_FOUND,
            HubError::Bad(_) => StatusCode::BAD_REQUEST,
            HubError::Older | HubError::NotOpen => StatusCode::CONFLICT,
            HubError::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
            HubError::Store(problem) => {
                tracing::error!(error = %problem, "fhircast.database.failed");
                return Self(StatusCode::SERVICE_UNAVAILABLE, "the database does not answer now; try again".to_owned());
            }
        };
        Self(status, error.to_string())
    }
}

impl From<store::Error> for Refused {
    fn from(error: store::Error) -> Self {
        HubError::from(error).into()
    }
}

impl Refused {
    pub(super) fn bad(text: impl Into<String>) -> Self {
        Self(StatusCode::BAD_REQUEST, text.into())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let mut response = open_to_pages((self.0, self.1).into_response());
        if self.0 == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// Programs are pages of other sites too: they may read the answers. Nothing here depends on a cookie.
fn open_to_pages(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("cross-origin"));
    response
}

/// Whether a page of another site may ask.
pub(super) async fn may_ask() -> Response {
    let mut response = open_to_pages(StatusCode::NO_CONTENT.into_response());
    for (name, value) in [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST"),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "authorization, content-type, accept, cache-control, x-requested-with, x-medplum",
        ),
        (header::ACCESS_CONTROL_MAX_AGE, "3600"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

pub(super) fn cast(app: &App) -> Result<&Cast, Refused> {
    app.fhircast
        .as_ref()
        .ok_or_else(|| Refused(StatusCode::NOT_FOUND, "the FHIRcast hub is not set up here".to_owned()))
}

/// What this hub can do.
pub(super) async fn configuration(State(app): State<App>) -> Result<Response, Refused> {
    cast(&app)?;
    let events = EventName::SUPPORTED;
    Ok(open_to_pages(
        Json(json!({
            "eventsSupported": events,
            "websocketSupport": true,
            "webhookSupport": false,
            "fhircastVersion": "3.0.0",
            "fhirVersion": "4.0.1",
            "getCurrentSupport": true,
            "capabilities": { "supportsGetCurrentContext": true },
        }))
        .into_response(),
    ))
}

/// A subscription, its end, or an event.
pub(super) async fn post(
    State(app): State<App>,
    Extension(Peer(address)): Extension<Peer>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    take(&app, address, &headers, None, &body).await
}

/// The same at the address of a topic, as some programs publish.
pub(super) async fn post_to_topic(
    State(app): State<App>,
    Extension(Peer(address)): Extension<Peer>,
    Path(topic): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    take(&app, address, &headers, Some(&topic), &body).await
}

async fn take(
    app: &App,
    address: std::net::IpAddr,
    headers: &HeaderMap,
    in_address: Option<&str>,
    body: &[u8],
) -> Result<Response, Refused> {
    let cast = cast(app)?;
    let caller = caller(app, address, headers).await?;
    let asked = Asked::read(body).map_err(Refused::bad)?;
    let topic = |named: Option<&str>| {
        let topic = match (in_address, named) {
            (Some(one), Some(other)) if one != other => {
                return Err(Refused::bad("the address names another topic than the body"));
            }
            (one, other) => one.or(other).ok_or_else(|| Refused::bad("hub.topic is missing"))?,
        };
        Topic::given(topic).ok_or_else(|| HubError::UnknownTopic.into())
    };
    match asked {
        Asked::Subscribe(fields) => {
            let topic = topic(fields.topic.as_deref())?;
            subscribe(app, cast, &caller, headers, topic, fields).await
        }
        Asked::Unsubscribe(fields) => {
            let topic = topic(fields.topic.as_deref())?;
            let endpoint = fields.endpoint.as_deref().and_then(Endpoint::of_url);
            cast.hub.unsubscribe(&caller, &topic, endpoint.as_ref(), fields.name.as_deref()).await?;
            cast.sockets.nudge();
            Ok(accepted(fields.endpoint))
        }
        Asked::Publish(published) => {
            let topic = topic(published.topic.as_deref())?;
            cast.hub.publish(&caller, &topic, published.message).await?;
            cast.sockets.nudge();
            Ok(open_to_pages((StatusCode::ACCEPTED, Json(json!({}))).into_response()))
        }
    }
}

async fn subscribe(
    app: &App,
    cast: &Cast,
    caller: &Caller,
    headers: &HeaderMap,
    topic: Topic,
    fields: Fields,
) -> Result<Response, Refused> {
    let endpoint = fields.endpoint.as_deref().and_then(Endpoint::of_url);
    let ask = Ask { topic, events: fields.events, lease_s: fields.lease_s, name: fields.name, endpoint };
    let accepted_as = cast.hub.subscribe(caller, ask).await?;
    cast.sockets.nudge();
    let base = base(app, &cast.hub, headers)?;
    let url = format!("wss://{base}{SOCKETS}{}", accepted_as.endpoint.endpoint().reveal());
    Ok(accepted(Some(url)))
}

fn accepted(endpoint: Option<String>) -> Response {
    let body = match endpoint {
        Some(endpoint) => json!({ "hub.channel.endpoint": endpoint }),
        None => json!({}),
    };
    open_to_pages((StatusCode::ACCEPTED, Json(body)).into_response())
}

/// The site's host and port: as configured, else as the program reached it.
fn base(app: &App, hub: &Hub, headers: &HeaderMap) -> Result<String, Refused> {
    if let Some(url) = hub.settings().public_url.as_deref() {
        let host = url.split_once("://").map_or(url, |(_, rest)| rest);
        return Ok(host.trim_end_matches('/').to_owned());
    }
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let is_host = !host.is_empty()
        && host.len() <= 255
        && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'[' | b']'));
    if is_host {
        return Ok(host.to_owned());
    }
    tracing::warn!(site = %app.settings.site, "fhircast.host.missing");
    Err(Refused::bad("the Host header is missing or is no host"))
}

/// What is open at a topic.
pub(super) async fn context(
    State(app): State<App>,
    Extension(Peer(address)): Extension<Peer>,
    Path(topic): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let cast = cast(&app)?;
    let caller = caller(&app, address, &headers).await?;
    let topic = Topic::given(&topic).ok_or(HubError::UnknownTopic)?;
    let answer: Value = cast.hub.context(&caller, &topic).await?;
    Ok(open_to_pages(Json(answer).into_response()))
}

/// Who asks: what the access token says, if one is shown. One that is not good counts as none: it is refused, unless the
/// topic alone is enough.
async fn caller(app: &App, address: std::net::IpAddr, headers: &HeaderMap) -> Result<Caller, Refused> {
    let given = headers.get(header::AUTHORIZATION).filter(|value| value.len() <= BEARER_MAX_BYTES);
    let bearer = given.and_then(|value| value.to_str().ok()).and_then(|text| {
        let (scheme, token) = text.trim().split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    let Some(token) = bearer.filter(|token| !token.is_empty()) else {
        return Ok(Caller { grant: None, address: Some(address) });
    };
    let grant = app.fhircast_grant(token).await?;
    if grant.is_none() && !cast(app)?.hub.settings().topic_is_enough {
        return Err(Refused(StatusCode::UNAUTHORIZED, "the access token is not known, or is over".to_owned()));
    }
    Ok(Caller { grant, address: Some(address) })
}

/// The address of the hub, for the answer to a sign-in (`hub.url`).
#[allow(dead_code, reason = "for the provider's answer to a sign-in")]
pub(super) fn hub_url(base: &str) -> String {
    format!("{}{PATH}", base.trim_end_matches('/'))
}

/// Milliseconds from `now` until then, not below 0, as seconds.
pub(super) fn seconds_until(now: UtcMillis, then: UtcMillis) -> i64 {
    (then.since_ms(now).max(0) + 999) / 1000
}
