//! Rows of systems and of sessions at workstations, as several transactions read them.

use domain::{PersonId, UtcMillis};
use store::Error;

use super::clients::{Auth, Client, NewClient, Source, Strength, Subject};
use crate::jose::Algorithm;
use crate::rows::{code, column};

/// A stored system.
#[derive(sqlx::FromRow)]
pub(super) struct ClientRow {
    pub id: String,
    name: String,
    source: String,
    auth: String,
    secret_hash: Option<String>,
    jwks: Option<String>,
    algorithm: String,
    subject: String,
    fhir_user: Option<String>,
    strength: String,
    scopes: String,
    access_ms: i64,
    logout_uri: Option<String>,
    ping_uri: Option<String>,
    start_uri: Option<String>,
    takes_assertions: i64,
    made_ms: i64,
    used_ms: Option<i64>,
    ended_ms: Option<i64>,
}

impl ClientRow {
    pub fn read(self, uris: Vec<(String, String)>) -> Result<Client, Error> {
        const TABLE: &str = "openid_client";
        let of = |wanted: &str| {
            let own = uris.iter().filter(|(kind, _)| kind == wanted);
            own.map(|(_, uri)| uri.clone()).collect::<Vec<_>>()
        };
        let is = NewClient {
            redirect_uris: of("redirect"),
            post_logout_uris: of("post_logout"),
            origins: of("origin"),
            name: self.name,
            auth: code(TABLE, "auth", &self.auth, Auth::parse)?,
            jwks: self.jwks,
            algorithm: code(TABLE, "algorithm", &self.algorithm, Algorithm::parse)?,
            subject: code(TABLE, "subject", &self.subject, Subject::parse)?,
            fhir_user: self.fhir_user,
            strength: code(TABLE, "strength", &self.strength, Strength::parse)?,
            scopes: self.scopes,
            access_ms: self.access_ms,
            logout_uri: self.logout_uri,
            ping_uri: self.ping_uri,
            start_uri: self.start_uri,
            takes_assertions: self.takes_assertions != 0,
        };
        Ok(Client {
            id: self.id,
            is,
            source: code(TABLE, "source", &self.source, Source::parse)?,
            made: UtcMillis(self.made_ms),
            used: self.used_ms.map(UtcMillis),
            ended: self.ended_ms.map(UtcMillis),
            secret_hash: self.secret_hash,
        })
    }
}

/// Reads a system with its addresses inside a read or a transaction: `client!(conn, &id)`, an `Option` of both.
macro_rules! client {
    ($conn:expr, $id:expr) => {{
        let row: Option<$crate::openid::read::ClientRow> = sqlx::query_as(
            "SELECT id, name, source, auth, secret_hash, jwks, algorithm, subject, fhir_user, strength, scopes,
                 access_ms, logout_uri, ping_uri, start_uri, takes_assertions, made_ms, used_ms, ended_ms
             FROM openid_client WHERE id = $1",
        )
        .bind($id)
        .fetch_optional(&mut *$conn)
        .await?;
        match row {
            None => None,
            Some(row) => {
                let uris: Vec<(String, String)> =
                    sqlx::query_as("SELECT kind, uri FROM openid_client_uri WHERE client = $1 ORDER BY kind, uri")
                        .bind(&row.id)
                        .fetch_all(&mut *$conn)
                        .await?;
                Some((row, uris))
            }
        }
    }};
}
pub(super) use client;

/// A session at a workstation, as far as a sign-in needs to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AtDesk {
    pub session: String,
    pub workstation: String,
    pub person: PersonId,
    pub state: DeskState,
    pub strength: Strength,
    /// The last tap or PIN, at the reader.
    pub confirmed: UtcMillis,
}

/// What a session at a workstation allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DeskState {
    /// The PIN is wanted first.
    Waiting,
    Open,
    Locked,
    Ended,
}

/// A stored session of a workstation.
#[derive(sqlx::FromRow)]
pub(super) struct DeskRow {
    id: String,
    workstation: String,
    person: String,
    state: String,
    factor: String,
    confirmed_ms: i64,
    ended_ms: Option<i64>,
}

impl DeskRow {
    pub fn read(self) -> Result<AtDesk, Error> {
        const TABLE: &str = "desk_session";
        let state = match (self.ended_ms, self.state.as_str()) {
            (Some(_), _) | (None, "ended") => DeskState::Ended,
            (None, "open") => DeskState::Open,
            (None, "locked") => DeskState::Locked,
            (None, _) => DeskState::Waiting,
        };
        Ok(AtDesk {
            session: self.id,
            workstation: self.workstation,
            person: column(TABLE, "person", &self.person, str::parse::<PersonId>)?,
            state,
            strength: if self.factor == "pin" { Strength::BadgePin } else { Strength::Badge },
            confirmed: UtcMillis(self.confirmed_ms),
        })
    }
}

/// The session that has not ended at a workstation: `at_desk!(conn, workstation)`, an `Option`.
#[allow(unused_macros, reason = "used by the steps of a sign-in")]
macro_rules! at_desk {
    ($conn:expr, $workstation:expr) => {{
        let row: Option<$crate::openid::read::DeskRow> = sqlx::query_as(
            "SELECT id, workstation, person, state, factor, confirmed_ms, ended_ms FROM desk_session
             WHERE workstation = $1 AND ended_ms IS NULL",
        )
        .bind($workstation)
        .fetch_optional(&mut *$conn)
        .await?;
        row.map($crate::openid::read::DeskRow::read).transpose()?
    }};
}
#[allow(unused_imports, reason = "used by the steps of a sign-in")]
pub(super) use at_desk;
