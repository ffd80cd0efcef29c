//! The HTTP API for other systems: JSON under `/api/v1`, keys instead of sessions, its description made from the table
//! of routes.
//!
//! Owns what every call goes through (`guard`: key, permission, rate, parameters, body; `problem`: what is said when it
//! fails) and one file of endpoints for each capability. Cookies are never read here, so nothing here can be forged by
//! a browser. Decides nothing: each endpoint asks a service of `clinic` with the rights of its key, and the service
//! checks them again. A number or name in an answer never leaves its type in the description: unknown fields are
//! refused on the way in and not made on the way out.

mod call;
mod changes;
pub mod describe;
mod guard;
pub mod openapi;
pub mod problem;

mod audit;
mod charges;
mod codes;
mod devices;
mod events;
mod feeds;
mod language;
mod orders;
mod passes;
mod payments;
mod persons;
mod presence;
mod prices;
mod pulls;
mod site;
mod staff;
mod table;
mod trust;

use std::time::Duration;

use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use tokio::time::timeout;

use crate::fault::Dressed;

pub use call::Call;
pub use guard::guard;
pub use problem::Problem;
pub use table::CALLS;

/// Largest body of a call, in bytes; the largest real one is under 4 KiB.
pub const BODY_MAX_BYTES: usize = 64 * 1024;
/// Largest body of a call that tells records, in bytes: some ten thousand of them.
pub const LIST_MAX_BYTES: usize = 4 * 1024 * 1024;
/// A body that is too long is taken in up to this, in bytes, so that the caller reads why it was refused.
const THROWN_AWAY_MAX_BYTES: usize = 1024 * 1024;
/// How long a body may take to arrive.
const BODY_WITHIN: Duration = Duration::from_secs(10);
/// Where the API begins.
pub const ROOT: &str = "/api/v1";

/// Where records are told.
const FEEDS: &str = "/api/v1/feeds/";

/// Whether a path belongs to the API: what goes wrong there is said in JSON, and cookies do not count.
pub fn is_call(path: &str) -> bool {
    path.strip_prefix(ROOT).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Takes in the whole body of a call, before anything is decided: an answer to a caller that is still sending would be
/// lost with the connection. What is too long is taken in for a while too, and thrown away.
pub async fn take_in(path: &str, body: Body) -> Result<Body, Problem> {
    let is_list = path.starts_with(FEEDS) || path == prices::PRICES;
    let most = if is_list { LIST_MAX_BYTES } else { BODY_MAX_BYTES };
    let mut taken = Vec::new();
    let mut length = 0_usize;
    let mut parts = body.into_data_stream();
    let all = async {
        while let Some(part) = parts.next().await {
            // The connection broke, or what came is no HTTP.
            let part = part.map_err(|_| Problem::invalid("body", "it broke off"))?;
            length = length.saturating_add(part.len());
            if length > most.max(THROWN_AWAY_MAX_BYTES) {
                break;
            }
            if length <= most {
                taken.extend_from_slice(&part);
            }
        }
        if length > most { Err(Problem::TooLarge(most)) } else { Ok(Body::from(taken)) }
    };
    timeout(BODY_WITHIN, all).await.unwrap_or(Err(Problem::Slow))
}

/// Says in JSON what a bare error means: an unknown path, a method that is not there, a handler that took too long.
pub fn dress(response: Response) -> Response {
    let status = response.status();
    let is_bare = response.extensions().get::<Dressed>().is_none();
    if !is_bare || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let allow = response.headers().get(header::ALLOW).cloned();
    let mut response = Problem::of_status(status).into_response();
    if let Some(allow) = allow {
        response.headers_mut().insert(header::ALLOW, allow);
    }
    response
}
