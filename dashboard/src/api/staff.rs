//! Accounts of staff and their roles, to be read by other systems: who may do what here. Never names of staff, never
//! secrets; accounts are made and changed on the pages only.

use axum::response::Response;
use clinic::accounts::AccountError;
use clinic::roles::{self, RoleError};
use domain::UtcMillis;
use serde::Serialize;
use utoipa::ToSchema;

use super::call::{Call, ok};
use super::codes;
use super::describe::{Operation, Shape};
use super::problem::Problem;

/// Accounts.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Accounts {
    /// By sign-in name.
    accounts: Vec<AccountBody>,
}

/// An account.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountBody {
    /// Its id.
    #[schema(pattern = "^[0-9a-f]{32}$")]
    account: String,
    /// Its sign-in name.
    login: String,
    /// Its roles.
    roles: Vec<HeldRole>,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
    /// Its last sign-in.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    signed_in_at: Option<String>,
    /// Whether it is closed.
    closed: bool,
    /// Sessions open now.
    sessions: i64,
}

/// A role that an account has.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HeldRole {
    /// The code of a shipped role or the id of an own one.
    role: String,
    /// In which zone and what lies in it; nothing: on the whole site.
    #[serde(skip_serializing_if = "Option::is_none")]
    zone: Option<String>,
}

/// Roles.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Roles {
    /// The shipped ones, then the clinic's own.
    roles: Vec<RoleBody>,
}

/// A role.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RoleBody {
    /// The code of a shipped role or the id of an own one.
    role: String,
    /// The name of an own role.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// What it grants.
    #[schema(schema_with = codes::permissions)]
    permissions: Vec<&'static str>,
    /// Which fields of persons it shows.
    #[schema(schema_with = codes::fields)]
    fields: Vec<&'static str>,
    /// How many accounts have it.
    accounts: i64,
}

pub const ACCOUNTS: Operation = Operation::reads("accounts", "staff", "Accounts of staff", Shape::of::<Accounts>());
pub const ROLES: Operation = Operation::reads("roles", "staff", "Roles and what they grant", Shape::of::<Roles>());

/// `GET /api/v1/accounts`
pub async fn accounts(call: Call) -> Result<Response, Problem> {
    let found = call.app.accounts.list(call.acting()?).await?.into_iter().map(|line| AccountBody {
        account: line.account.id.as_str().to_owned(),
        login: line.account.login.to_string(),
        roles: line
            .roles
            .into_iter()
            .map(|held| HeldRole {
                role: held.grant.role.to_string(),
                zone: held.grant.zone.map(|zone| zone.to_string()),
            })
            .collect(),
        created_at: line.created_at.to_rfc3339(),
        signed_in_at: line.signed_in_at.map(UtcMillis::to_rfc3339),
        closed: line.disabled_at.is_some(),
        sessions: line.sessions,
    });
    ok(&Accounts { accounts: found.collect() })
}

/// `GET /api/v1/roles`
pub async fn roles(call: Call) -> Result<Response, Problem> {
    let found = roles::list(&call.app.database, call.acting()?).await?.into_iter().map(|line| RoleBody {
        role: line.role.to_string(),
        name: Some(line.text.name).filter(|name| !name.is_empty()),
        permissions: line.text.permissions.iter().map(|permission| permission.as_str()).collect(),
        fields: line.text.fields.iter().map(|field| field.as_str()).collect(),
        accounts: line.accounts,
    });
    ok(&Roles { roles: found.collect() })
}

impl From<AccountError> for Problem {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::Denied(denied) => denied.into(),
            AccountError::Store(error) => error.into(),
            other => {
                tracing::error!(error = %other, "api.accounts.failed");
                Self::Internal
            }
        }
    }
}

impl From<RoleError> for Problem {
    fn from(error: RoleError) -> Self {
        match error {
            RoleError::Denied(denied) => denied.into(),
            RoleError::Store(error) => error.into(),
            other => {
                tracing::error!(error = %other, "api.roles.failed");
                Self::Internal
            }
        }
    }
}
