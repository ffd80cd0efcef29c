//! The HTTP API for other systems: JSON under `/api/v1`, keys instead of sessions, its description made from the table
//! of routes.
//!
//! Owns what every call goes through (`guard`: key, permission, rate, parameters, body; `problem`: what is said when it
//! fails) and one file of endpoints for each capability. Cookies are never read here, so nothing here can be forged by
//! a browser. Decides nothing: each endpoint asks a service of `clinic` with the rights of its key, and the service
//! checks them again. A number or name in an answer never leaves its type in the description: unknown fields are
//! refused on the way in and not made on the way out.

mod call;
pub mod describe;
mod guard;
pub mod openapi;
pub mod problem;

mod audit;
mod codes;
mod devices;
mod events;
mod orders;
mod passes;
mod persons;
mod presence;
mod pulls;
mod site;
mod staff;
mod table;
mod trust;

pub use call::Call;
pub use guard::guard;
pub use problem::Problem;
pub use table::CALLS;

use axum::http::header;
use axum::response::{IntoResponse, Response};

use crate::fault::Dressed;

/// Largest body of a call, in bytes; the largest real one is under 4 KiB.
pub const BODY_MAX_BYTES: usize = 64 * 1024;
/// Where the API begins.
pub const ROOT: &str = "/api/v1";

/// Whether a path belongs to the API: what goes wrong there is said in JSON, and cookies do not count.
pub fn is_call(path: &str) -> bool {
    path.strip_prefix(ROOT).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
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
