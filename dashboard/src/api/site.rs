//! What this installation is and what the calling key may do; and whether the program answers at all.

use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::call::{Call, ok};
use super::describe::{Operation, Shape};
use super::problem::Problem;
use crate::api::codes;

/// Whether the program answers, for a watchdog. It says nothing about anybody.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Health {
    /// Always `ok`: if the database does not answer, the status is 503.
    status: &'static str,
}

/// This installation, and the key that asks.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Site {
    /// Its name.
    site: String,
    /// The version of the program.
    version: &'static str,
    /// Its time zone (IANA); times in answers are UTC.
    time_zone: String,
    /// Its clock.
    #[schema(format = DateTime)]
    now: String,
    /// The key.
    key: Key,
}

/// A key of the API, as it sees itself.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Key {
    /// Its id: no secret.
    #[schema(pattern = "^[0-9a-f]{32}$")]
    id: String,
    /// What it may do now: never more than the account that answers for it.
    #[schema(schema_with = codes::permissions)]
    permissions: Vec<&'static str>,
    /// Which fields of persons it may see.
    #[schema(schema_with = codes::fields)]
    fields: Vec<&'static str>,
}

pub const HEALTH: Operation = Operation {
    about: "For a watchdog. 503 when the database does not answer.",
    ..Operation::reads("health", "site", "Whether the server answers", Shape::of::<Health>())
};

pub const SITE: Operation =
    Operation::reads("site", "site", "This installation, and what the calling key may do", Shape::of::<Site>());

pub const DESCRIPTION: Operation =
    Operation::reads("description", "site", "This description", Shape::of::<Description>());

/// An OpenAPI description.
#[derive(Debug, ToSchema)]
pub struct Description {
    /// The version of the language.
    #[allow(dead_code, reason = "the form of the description in itself")]
    openapi: String,
}

/// `GET /api/v1/health`
pub async fn health(call: Call) -> Result<Response, Problem> {
    clinic::events::last_id(&call.app.database).await?;
    ok(&Health { status: "ok" })
}

/// `GET /api/v1/site`
pub async fn site(call: Call) -> Result<Response, Problem> {
    let (caller, settings) = (call.caller()?, &call.app.settings);
    let rights = &caller.acting.rights;
    ok(&Site {
        site: settings.site.to_string(),
        version: env!("CARGO_PKG_VERSION"),
        time_zone: settings.time_zone.to_string(),
        now: call.app.now().to_rfc3339(),
        key: Key {
            id: caller.key.to_string(),
            permissions: rights.permissions().map(|permission| permission.as_str()).collect(),
            fields: rights.fields().map(|field| field.as_str()).collect(),
        },
    })
}
