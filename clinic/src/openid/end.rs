//! Signing out: when the session at a workstation ends, when a system signs its user out, when it gives a token back.

use domain::PersonId;
use serde_json::Value;
use store::{read, transact};

use super::secret::{draw_id, stored};
use super::uris::with_query;
use super::{Authenticated, Code, OpenIdError, Provider, Refusal};
use crate::acting::{Acting, Actor};
use crate::audit::{self, Action, Draft};
use crate::rows::column;

/// Sign-ins ended by one transaction.
const AT_ONCE: i64 = 200;

/// What a system sends a browser to the end of a sign-in with (RP-Initiated Logout).
#[derive(Debug, Clone, Default)]
pub struct EndAsked {
    /// An id token of ours.
    pub id_token_hint: Option<String>,
    /// `client_id`.
    pub client_id: Option<String>,
    /// Where to send the browser.
    pub post_logout_redirect_uri: Option<String>,
    /// To be sent back.
    pub state: Option<String>,
}

/// How that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// Signed out; send the browser there.
    Go(String),
    /// Signed out; say so on a page.
    Page,
    /// Nothing was done: the browser must come with an id token of ours.
    Nothing(Refusal),
}

impl Provider {
    /// Ends the sign-ins of sessions that have ended at their workstation (or are locked, where the rules say so): tokens
    /// are worth nothing, and who wants to hear of it will. How many there were. Ask again while it is not 0; cheap when
    /// there is nothing to do.
    ///
    /// # Errors
    /// The database, or random bytes.
    pub async fn follow(&self) -> Result<u64, OpenIdError> {
        let ends_on_lock = i64::from(self.rules.ends_on_lock);
        let over: Vec<(String, String, Option<String>)> = read!(self.database, "openid.over", |conn| {
            Ok(sqlx::query_as(
                "SELECT s.sid, s.client, c.logout_uri FROM openid_sign_in s
                 JOIN desk_session d ON d.id = s.session LEFT JOIN openid_client c ON c.id = s.client
                 WHERE s.ended_ms IS NULL AND (d.ended_ms IS NOT NULL OR (d.state = 'locked' AND $1 = 1))
                 ORDER BY s.began_ms LIMIT $2",
            )
            .bind(ends_on_lock)
            .bind(AT_ONCE)
            .fetch_all(&mut *conn)
            .await?)
        })?;
        if over.is_empty() {
            return Ok(0);
        }
        let now = self.now();
        let sids: Vec<String> = over.iter().map(|(sid, _, _)| sid.clone()).collect();
        let ended = sids.len() as u64;
        let mut calls = Vec::new();
        for (sid, client, uri) in over {
            if uri.is_some() {
                calls.push((draw_id()?, client, sid));
            }
        }
        transact!(self.database, "openid.follow", |conn| {
            for statement in ["UPDATE openid_sign_in SET ended_ms = ", "UPDATE openid_token SET revoked_ms = "] {
                let mut update = sqlx::QueryBuilder::<Db>::new(statement);
                update.push_bind(now.0).push(" WHERE sid IN (");
                let mut list = update.separated(", ");
                for sid in &sids {
                    list.push_bind(sid.clone());
                }
                list.push_unseparated(")");
                update.build().execute(&mut *conn).await?;
            }
            if !calls.is_empty() {
                let mut insert = sqlx::QueryBuilder::<Db>::new(
                    "INSERT INTO openid_call (id, kind, client, about, made_ms, next_ms, attempts) ",
                );
                insert.push_values(&calls, |mut row, (id, client, sid)| {
                    row.push_bind(id.clone())
                        .push_bind("logout")
                        .push_bind(client.clone())
                        .push_bind(sid.clone())
                        .push_bind(now.0)
                        .push_bind(now.0)
                        .push_bind(0_i64);
                });
                insert.push(" ON CONFLICT (kind, client, about) DO NOTHING");
                insert.build().execute(&mut *conn).await?;
            }
            Ok(())
        })?;
        Ok(ended)
    }

    /// A system signs its user out by the browser. The session at the workstation stays, it is the card's; that system
    /// gets nobody signed in again without another tap.
    ///
    /// # Errors
    /// The database.
    pub async fn end(&self, asked: &EndAsked) -> Result<Ended, OpenIdError> {
        const NO_HINT: Refusal =
            Refusal::new(Code::InvalidRequest, "id_token_hint is missing or is no id token of this provider");
        const OTHER: Refusal = Refusal::new(Code::InvalidRequest, "client_id and id_token_hint do not fit together");
        const BAD_URI: Refusal = Refusal::new(
            Code::InvalidRequest,
            "signed out, but post_logout_redirect_uri is not one of the registered addresses",
        );
        let token = match asked.id_token_hint.as_deref() {
            Some(hint) => self.own(hint).await?,
            None => None,
        };
        let Some(token) = token.filter(|token| token.claims.text("iss") == Some(&self.rules.issuer)) else {
            return Ok(Ended::Nothing(NO_HINT));
        };
        let id = token.claims.text("aud").unwrap_or_default().to_owned();
        if asked.client_id.as_ref().is_some_and(|named| *named != id) {
            return Ok(Ended::Nothing(OTHER));
        }
        let Some(client) = self.client(&id).await? else { return Ok(Ended::Nothing(OTHER)) };
        if let Some(sid) = token.claims.text("sid") {
            self.end_sign_in(sid, &id).await?;
        }
        let Some(uri) = asked.post_logout_redirect_uri.as_deref() else { return Ok(Ended::Page) };
        if !client.is.post_logout_uris.iter().any(|own| own == uri) {
            return Ok(Ended::Nothing(BAD_URI));
        }
        let pairs: Vec<_> = asked.state.as_deref().map(|state| ("state", state)).into_iter().collect();
        // Without parameters the address goes back as it was registered.
        let url = if pairs.is_empty() { Some(uri.to_owned()) } else { with_query(uri, &pairs) };
        Ok(url.map_or(Ended::Page, Ended::Go))
    }

    async fn end_sign_in(&self, sid: &str, client: &str) -> Result<(), OpenIdError> {
        let (sid, client, now) = (sid.to_owned(), client.to_owned(), self.now());
        transact!(self.database, "openid.end", |conn| {
            let ended: Option<(String, String)> = sqlx::query_as(
                "UPDATE openid_sign_in SET ended_ms = $1 WHERE sid = $2 AND client = $3 AND ended_ms IS NULL
                 RETURNING person, session",
            )
            .bind(now.0)
            .bind(&sid)
            .bind(&client)
            .fetch_optional(&mut *conn)
            .await?;
            let Some((person, session)) = ended else { return Ok(()) };
            let person = column("openid_sign_in", "person", &person, str::parse::<PersonId>)?;
            let acting = Acting { actor: Actor::Staff(person), session: Some(session), ..Acting::system() };
            let entry = Draft {
                subject: Some(person),
                object: Some(format!("openid:{client}")),
                detail: Some("signed out in that system".to_owned()),
                ..acting.draft(now, Action::SessionEnded)
            };
            audit::record!(conn, &entry);
            sqlx::query("UPDATE openid_token SET revoked_ms = $1 WHERE sid = $2 AND revoked_ms IS NULL")
                .bind(now.0)
                .bind(&sid)
                .execute(&mut *conn)
                .await?;
            Ok(())
        })?;
        Ok(())
    }

    /// A system gives a token back (RFC 7009). One that is not its own stays; it is told nothing of that.
    ///
    /// # Errors
    /// The database.
    pub async fn revoke(&self, caller: &Authenticated, token: &str) -> Result<(), OpenIdError> {
        let (hash, client, now) = (stored(token), caller.client.id.clone(), self.now());
        transact!(self.database, "openid.revoke", |conn| {
            sqlx::query(
                "UPDATE openid_token SET revoked_ms = $1 WHERE hash = $2 AND client = $3 AND revoked_ms IS NULL",
            )
            .bind(now.0)
            .bind(&hash)
            .bind(&client)
            .execute(&mut *conn)
            .await?;
            Ok(())
        })?;
        Ok(())
    }

    /// What a token of this system is good for (RFC 7662); any other is not active.
    ///
    /// # Errors
    /// [`Code::UnauthorizedClient`], or the database.
    pub async fn introspect(&self, caller: &Authenticated, token: &str) -> Result<Value, OpenIdError> {
        caller.must_prove()?;
        let access = self.access(token).await?.filter(|access| access.client == caller.client.id);
        let Some(access) = access else { return Ok(serde_json::json!({"active": false})) };
        Ok(serde_json::json!({
            "active": true,
            "iss": self.rules.issuer,
            "client_id": access.client,
            "scope": access.scopes.join(" "),
            "sub": self.subject_in(&access.sid).await?,
            "sid": access.sid,
            "iat": access.made.0 / 1000,
            "exp": access.expires.0 / 1000,
            "token_type": "Bearer",
        }))
    }

    /// What the userinfo endpoint tells for a token; `None`: the token is not good.
    ///
    /// # Errors
    /// The database.
    pub async fn userinfo(&self, token: &str) -> Result<Option<Value>, OpenIdError> {
        let Some(access) = self.access(token).await? else { return Ok(None) };
        let Some(client) = self.client(&access.client).await? else { return Ok(None) };
        let mut claims = self.about(&client, access.person, &access.scopes.join(" ")).await?;
        claims.insert("sub".to_owned(), self.subject_in(&access.sid).await?.into());
        Ok(Some(Value::Object(claims)))
    }

    /// What the system of a sign-in calls its specialist.
    pub(super) async fn subject_in(&self, sid: &str) -> Result<Option<String>, OpenIdError> {
        let sealed: Option<Vec<u8>> = read!(self.database, "openid.subject", |conn| {
            Ok(sqlx::query_scalar("SELECT sealed FROM openid_sign_in WHERE sid = $1")
                .bind(sid)
                .fetch_optional(&mut *conn)
                .await?)
        })?;
        sealed.map(|sealed| self.open_subject(sid, sealed)).transpose()
    }
}
