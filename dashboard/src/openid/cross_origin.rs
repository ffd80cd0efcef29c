//! Which pages of other sites may call: what is public, everybody; what takes a code or a token, only the sites that are
//! registered with a system. No cookie counts on any of these routes.

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use clinic::openid::Provider;

use crate::app::App;

/// Readable by pages of every site.
pub fn public(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("cross-origin"));
    response
}

/// Readable by the pages that asked, if theirs is a registered site.
pub async fn registered(provider: &Provider, asked: &HeaderMap, mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    let Some(origin) = asked.get(header::ORIGIN) else { return response };
    let is_known = match origin.to_str() {
        Ok(text) => provider.knows_origin(text).await.unwrap_or(false),
        Err(_) => false,
    };
    if is_known {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers
            .insert(HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("cross-origin"));
    }
    response
}

fn may(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("authorization, content-type"));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    response
}

/// `OPTIONS` of what is public.
pub async fn may_ask_public() -> Response {
    may(public(StatusCode::NO_CONTENT.into_response()))
}

/// `OPTIONS` of the rest.
pub async fn may_ask(State(app): State<App>, headers: HeaderMap) -> Response {
    match &app.openid {
        Some(provider) => may(registered(provider, &headers, StatusCode::NO_CONTENT.into_response()).await),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
