//! What systems must be told: that a session ended (Back-Channel Logout), that a confirmation is there (CIBA ping). Rows
//! wait here for the bridge, which sends them; what is sent is made at that moment, so that its time is fresh.

use std::fmt;

use domain::{UtcMillis, codes};
use serde_json::{Value, json};
use store::{read, transact};
use zeroize::Zeroizing;

use super::{Client, OpenIdError, Provider};

/// How long a call that was handed out is left to its sender, in milliseconds; then another one may try.
const LEASE_MS: i64 = 60_000;
/// How long a logout token is good, in milliseconds.
const LOGOUT_LIFE_MS: i64 = 2 * 60_000;
/// The first wait after a failure, in milliseconds; it doubles up to [`WAIT_MAX_MS`].
const WAIT_MS: i64 = 1000;
/// The longest wait, in milliseconds.
const WAIT_MAX_MS: i64 = 5 * 60_000;
/// Tries: about an hour.
const ATTEMPTS_MAX: i64 = 20;
/// Longest reason that is kept, in characters.
const WHY_MAX_CHARS: usize = 200;

codes! {
    /// What a system is told.
    CallKind {
        /// A session ended.
        Logout = "logout",
        /// A confirmation is there, or was refused.
        Ping = "ping",
    }
}

/// A call to be made now, by HTTP POST. `Debug` shows neither address nor content.
#[derive(Clone)]
pub struct Call {
    /// Its id; the same at each try.
    pub id: String,
    /// What it tells.
    pub kind: CallKind,
    /// To which system.
    pub client: String,
    /// Where.
    pub url: String,
    /// The type of the body.
    pub content_type: &'static str,
    /// The body.
    pub body: Zeroizing<String>,
    /// What stands in `Authorization: Bearer`, where something does.
    pub bearer: Option<Zeroizing<String>>,
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("id", &self.id).field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallOutcome {
    /// It was taken.
    Taken,
    /// Try again later, with a reason in a few words of ours.
    Later(String),
    /// It will never be taken, with a reason in a few words of ours.
    Never(String),
}

type DueRow = (String, String, String, String);

impl Provider {
    /// Calls that are due, at most `limit`, for who sends them. Each is left to who got it for a minute.
    ///
    /// # Errors
    /// The database.
    pub async fn calls(&self, limit: u32) -> Result<Vec<Call>, OpenIdError> {
        let now = self.now();
        let due: i64 = read!(self.database, "openid.calls.any", |conn| {
            Ok(sqlx::query_scalar(
                "SELECT COUNT(*) FROM openid_call WHERE next_ms <= $1 AND done_ms IS NULL AND given_up_ms IS NULL",
            )
            .bind(now.0)
            .fetch_one(&mut *conn)
            .await?)
        })?;
        if due == 0 {
            return Ok(Vec::new());
        }
        let rows: Vec<DueRow> = transact!(self.database, "openid.calls", |conn| {
            Ok(sqlx::query_as(
                "UPDATE openid_call SET next_ms = $1 WHERE id IN (
                     SELECT id FROM openid_call
                     WHERE next_ms <= $2 AND done_ms IS NULL AND given_up_ms IS NULL ORDER BY next_ms LIMIT $3)
                     AND next_ms <= $2
                 RETURNING id, kind, client, about",
            )
            .bind(now.plus_ms(LEASE_MS).0)
            .bind(now.0)
            .bind(i64::from(limit))
            .fetch_all(&mut *conn)
            .await?)
        })?;
        let mut calls = Vec::with_capacity(rows.len());
        for (id, kind, client, about) in rows {
            match self.make_call(&id, &kind, &client, &about).await? {
                Some(call) => calls.push(call),
                None => self.called(&id, &CallOutcome::Never("the system or what it is about is gone".into())).await?,
            }
        }
        Ok(calls)
    }

    async fn make_call(&self, id: &str, kind: &str, client: &str, about: &str) -> Result<Option<Call>, OpenIdError> {
        let (Some(kind), Some(client)) = (CallKind::parse(kind), self.client(client).await?) else { return Ok(None) };
        let id = id.to_owned();
        match kind {
            CallKind::Logout => {
                let Some(url) = client.is.logout_uri.clone() else { return Ok(None) };
                let Some(subject) = self.subject_in(about).await? else { return Ok(None) };
                let token = self.logout_token(&client, &id, about, &subject).await?;
                let body = Zeroizing::new(format!("logout_token={token}"));
                let content_type = "application/x-www-form-urlencoded";
                Ok(Some(Call { id, kind, client: client.id, url, content_type, body, bearer: None }))
            }
            CallKind::Ping => {
                let Some(url) = client.is.ping_uri.clone() else { return Ok(None) };
                let Some((request, bearer)) = self.pinged(about).await? else { return Ok(None) };
                let body = Zeroizing::new(json!({"auth_req_id": request.as_str()}).to_string());
                let content_type = "application/json";
                Ok(Some(Call { id, kind, client: client.id, url, content_type, body, bearer: Some(bearer) }))
            }
        }
    }

    async fn logout_token(&self, client: &Client, id: &str, sid: &str, sub: &str) -> Result<String, OpenIdError> {
        let now: UtcMillis = self.now();
        let mut claims = json!({
            "iss": self.rules.issuer,
            "sub": sub,
            "aud": client.id,
            "iat": now.0 / 1000,
            "exp": now.plus_ms(LOGOUT_LIFE_MS).0 / 1000,
            "jti": id,
            "sid": sid,
        });
        claims["events"] =
            json!({"http://schemas.openid.net/event/backchannel-logout": Value::Object(Default::default())});
        self.sign(client.is.algorithm, "logout+jwt", &claims).await
    }

    /// Writes down how a call ended.
    ///
    /// # Errors
    /// The database.
    pub async fn called(&self, id: &str, outcome: &CallOutcome) -> Result<(), OpenIdError> {
        let (id, now) = (id.to_owned(), self.now());
        let (is_done, is_over, why) = match outcome {
            CallOutcome::Taken => (true, false, None),
            CallOutcome::Later(why) => (false, false, Some(why)),
            CallOutcome::Never(why) => (false, true, Some(why)),
        };
        let why: Option<String> = why.map(|why| why.chars().take(WHY_MAX_CHARS).collect());
        transact!(self.database, "openid.called", |conn| {
            let attempts: Option<i64> =
                sqlx::query_scalar("UPDATE openid_call SET attempts = attempts + 1 WHERE id = $1 RETURNING attempts")
                    .bind(&id)
                    .fetch_optional(&mut *conn)
                    .await?;
            let attempts = attempts.unwrap_or(0);
            let wait = WAIT_MS << attempts.clamp(1, 20).saturating_sub(1);
            let is_over = is_over || (!is_done && attempts >= ATTEMPTS_MAX);
            sqlx::query("UPDATE openid_call SET next_ms = $1, done_ms = $2, given_up_ms = $3, why = $4 WHERE id = $5")
                .bind(now.plus_ms(wait.min(WAIT_MAX_MS)).0)
                .bind(is_done.then_some(now.0))
                .bind(is_over.then_some(now.0))
                .bind(why.as_deref())
                .bind(&id)
                .execute(&mut *conn)
                .await?;
            Ok(())
        })?;
        Ok(())
    }
}
