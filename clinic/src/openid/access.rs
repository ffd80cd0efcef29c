//! Access tokens, as those see them who are shown one.

use domain::{PersonId, UtcMillis};
use store::read;

use super::secret::stored;
use super::{OpenIdError, Provider};
use crate::rows::column;

/// Longest text that is looked up as a token, in bytes; ours have 43.
const TOKEN_MAX_BYTES: usize = 200;

/// What an access token is good for, now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// The system that it was given to.
    pub client: String,
    /// What it allows.
    pub scopes: Vec<String>,
    /// The session at the workstation (`desk_session`), which has not ended.
    pub session: String,
    /// The id of this sign-in, as the system knows it.
    pub sid: String,
    /// Who is signed in.
    pub person: PersonId,
    /// When the token was given.
    pub made: UtcMillis,
    /// When it expires.
    pub expires: UtcMillis,
}

impl Access {
    /// Whether it allows this.
    pub fn allows(&self, scope: &str) -> bool {
        self.scopes.iter().any(|own| own == scope)
    }
}

type Row = (String, String, String, String, String, i64, i64);

impl Provider {
    /// What a token is good for; `None`: it is not ours, has expired, was revoked, its system was ended, or the session
    /// at the workstation has ended.
    ///
    /// # Errors
    /// The database.
    pub async fn access(&self, token: &str) -> Result<Option<Access>, OpenIdError> {
        if token.is_empty() || token.len() > TOKEN_MAX_BYTES {
            return Ok(None);
        }
        let (hash, now) = (stored(token), self.now());
        let row: Option<Row> = read!(self.database, "openid.access", |conn| {
            Ok(sqlx::query_as(
                "SELECT t.client, t.scope, s.session, t.sid, s.person, t.made_ms, t.expires_ms
                 FROM openid_token t
                 JOIN openid_sign_in s ON s.sid = t.sid
                 JOIN desk_session d ON d.id = s.session
                 JOIN openid_client c ON c.id = t.client
                 WHERE t.hash = $1 AND t.expires_ms > $2 AND t.revoked_ms IS NULL AND s.ended_ms IS NULL
                     AND d.ended_ms IS NULL AND c.ended_ms IS NULL",
            )
            .bind(&hash)
            .bind(now.0)
            .fetch_optional(&mut *conn)
            .await?)
        })?;
        let Some((client, scope, session, sid, person, made, expires)) = row else { return Ok(None) };
        Ok(Some(Access {
            client,
            scopes: scope.split_whitespace().map(str::to_owned).collect(),
            session,
            sid,
            person: column("openid_sign_in", "person", &person, str::parse::<PersonId>)?,
            made: UtcMillis(made),
            expires: UtcMillis(expires),
        }))
    }
}

impl Provider {
    /// Whether scripts of this origin may call for some system that is registered here.
    ///
    /// # Errors
    /// The database.
    pub async fn knows_origin(&self, origin: &str) -> Result<bool, OpenIdError> {
        let all = self.all_clients().await?;
        Ok(all.iter().any(|client| client.ended.is_none() && client.allows_origin(origin)))
    }

    /// The name of the system that a waiting sign-in is for; `None`: it is over.
    ///
    /// # Errors
    /// The database.
    pub async fn step_name(&self, handle: &str) -> Result<Option<String>, OpenIdError> {
        let (hash, now) = (stored(handle), self.now());
        Ok(read!(self.database, "openid.step_name", |conn| {
            Ok(sqlx::query_scalar(
                "SELECT c.name FROM openid_request r JOIN openid_client c ON c.id = r.client
                 WHERE r.hash = $1 AND r.done_ms IS NULL AND r.expires_ms > $2",
            )
            .bind(&hash)
            .bind(now.0)
            .fetch_optional(&mut *conn)
            .await?)
        })?)
    }
}
