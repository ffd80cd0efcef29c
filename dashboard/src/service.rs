//! Routes of standards that other programs speak, beside pages and the HTTP API: who asks is proved by a token, a code or a
//! secret in the request, which no browser sends by itself. So no cookie is read here, no form token is asked for, and an
//! error is never a page.

use std::net::IpAddr;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::time::{Instant, timeout};

use crate::address;
use crate::app::App;
use crate::fault::Dressed;
use crate::routes::{Mount, Rate, Verb};

/// How long a body may take to arrive.
const BODY_WITHIN: Duration = Duration::from_secs(10);

/// One route of this kind. Its handler takes the body as [`axum::body::Bytes`] and the caller's address from [`Peer`].
#[derive(Clone, Copy)]
pub struct Service {
    /// The method.
    pub verb: Verb,
    /// In the router's syntax.
    pub path: &'static str,
    /// Largest body, in bytes.
    pub body_max: usize,
    /// How much work it makes; counted by the caller's address.
    pub rate: Rate,
    /// Makes its part of the router.
    pub mount: Mount,
}

/// One route.
pub const fn service(verb: Verb, path: &'static str, body_max: usize, mount: Mount) -> Service {
    Service { verb, path, body_max, rate: Rate::Service, mount }
}

/// From which address a request of a program comes, in the request's extensions.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub IpAddr);

/// Takes in the body within its bounds, counts the caller, and marks the answer as no page.
pub async fn guard(State((app, service)): State<(App, &'static Service)>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let address = address::of(&parts, &app.settings.trusted_proxies);
    if let Err(soon) = app.rates.take(&address.to_string(), service.rate, Instant::now()) {
        if soon.begins {
            tracing::warn!(path = service.path, address = %address, why = "rate", "service.refused");
        }
        let seconds = HeaderValue::from(soon.retry_after.as_secs());
        return dressed(
            (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, seconds)], "too many requests").into_response(),
        );
    }
    let body = match timeout(BODY_WITHIN, to_bytes(body, service.body_max)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => {
            let text = format!("the body is longer than {} bytes, or broke off", service.body_max);
            return dressed((StatusCode::PAYLOAD_TOO_LARGE, text).into_response());
        }
        Err(_) => return dressed((StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time").into_response()),
    };
    let mut request = Request::from_parts(parts, Body::from(body));
    request.extensions_mut().insert(Peer(address));
    dressed(next.run(request).await)
}

fn dressed(mut response: Response) -> Response {
    response.extensions_mut().insert(Dressed);
    response
}
