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
    /// The PIN was typed since the session began, not earlier in the shift.
    pub has_typed_pin: bool,
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
    opened_ms: i64,
    confirmed_ms: i64,
    factor_ms: Option<i64>,
    ended_ms: Option<i64>,
}

impl DeskRow {
    /// When the specialist last showed their PIN.
    pub const fn factor_ms(&self) -> Option<i64> {
        self.factor_ms
    }

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
            has_typed_pin: self.factor == "pin" && self.factor_ms.is_some_and(|at| at >= self.opened_ms),
            confirmed: UtcMillis(self.confirmed_ms),
        })
    }
}

/// The session that has not ended at a workstation: `at_desk!(conn, workstation)`, an `Option`.
macro_rules! at_desk {
    ($conn:expr, $workstation:expr) => {{
        let row: Option<$crate::openid::read::DeskRow> = sqlx::query_as(
            "SELECT s.id, s.workstation, s.person, s.state, s.factor, s.opened_ms, s.confirmed_ms,
                 f.confirmed_ms AS factor_ms, s.ended_ms
             FROM desk_session s LEFT JOIN desk_factor f ON f.person = s.person
             WHERE s.workstation = $1 AND s.ended_ms IS NULL",
        )
        .bind($workstation)
        .fetch_optional(&mut *$conn)
        .await?;
        row.map($crate::openid::read::DeskRow::read).transpose()?
    }};
}
pub(super) use at_desk;

/// When the last tap (or PIN) in a session was, of those that were stored after change number `floor`, at the reader:
/// `last_tap!(conn, &at_desk, floor)`, an `Option` of milliseconds.
macro_rules! last_tap {
    ($conn:expr, $desk:expr, $floor:expr) => {
        sqlx::query_scalar::<_, Option<i64>>(
            "SELECT MAX(happened_ms) FROM change
             WHERE workstation = $1 AND id > $2 AND session = $3
                 AND kind IN ('session_opened', 'session_confirmed', 'session_unlocked')",
        )
        .bind(&$desk.workstation)
        .bind($floor)
        .bind(&$desk.session)
        .fetch_one(&mut *$conn)
        .await?
    };
}
pub(super) use last_tap;

/// What the medical system calls a specialist who has not left: `staff_name!(conn, person)`, an `Option` of user name and
/// practitioner.
macro_rules! staff_name {
    ($conn:expr, $person:expr) => {
        sqlx::query_as::<_, (Option<String>, Option<String>)>(
            "SELECT login, practitioner FROM staff WHERE person = $1 AND ended_ms IS NULL",
        )
        .bind($person.to_string())
        .fetch_optional(&mut *$conn)
        .await?
    };
}
pub(super) use staff_name;

/// The id under which a system knows a session, made if it is not signed in there yet:
/// `sign_in!(conn, &desk, &client_id, (new_sid, sealed_subject), now)`.
macro_rules! sign_in {
    ($conn:expr, $desk:expr, $client:expr, $new:expr, $now:expr) => {{
        let (sid, sealed) = $new;
        sqlx::query(
            "INSERT INTO openid_sign_in (sid, session, client, person, sealed, began_ms)
             VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (session, client) WHERE ended_ms IS NULL DO NOTHING",
        )
        .bind(sid)
        .bind(&$desk.session)
        .bind($client)
        .bind($desk.person.to_string())
        .bind(sealed)
        .bind($now.0)
        .execute(&mut *$conn)
        .await?;
        sqlx::query_scalar::<_, String>(
            "SELECT sid FROM openid_sign_in WHERE session = $1 AND client = $2 AND ended_ms IS NULL",
        )
        .bind(&$desk.session)
        .bind($client)
        .fetch_one(&mut *$conn)
        .await?
    }};
}
pub(super) use sign_in;

impl Client {
    /// What this system calls a specialist; `None`: nothing yet.
    pub(super) fn subject_of(
        &self,
        person: PersonId,
        names: Option<&(Option<String>, Option<String>)>,
    ) -> Option<String> {
        let (login, practitioner) = names?;
        match self.is.subject {
            Subject::Login => login.clone(),
            Subject::Practitioner => practitioner.clone(),
            Subject::Person => Some(person.to_string()),
        }
    }
}
