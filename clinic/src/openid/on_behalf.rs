//! Assertions for our own use: what a doctor's card did is written into a system without OpenID as that doctor, also hours
//! later when the system is back. Given to the bridge only; no route leads here.

use domain::UtcMillis;
use serde_json::json;
use store::{read, transact};

use super::assertion::{Assertion, KIND};
use super::secret::draw_id;
use super::{Code, OpenIdError, Provider, Refusal};
use crate::acting::{Acting, Actor};
use crate::audit::{self, Action, Draft};
use crate::feeds::Source;
use crate::jose::Algorithm;

impl Provider {
    /// Signs a specialist in to a system, so that what their card did is written there as theirs. The audience is the
    /// system's name.
    ///
    /// # Errors
    /// [`Code::AccessDenied`]: no specialist has this login; or the database, keys, random bytes.
    pub async fn on_behalf(&self, system: &Source, login: &str) -> Result<Assertion, OpenIdError> {
        let person: Option<String> = read!(self.database, "openid.on_behalf", |conn| {
            Ok(sqlx::query_scalar("SELECT person FROM staff WHERE login = $1")
                .bind(login)
                .fetch_optional(&mut *conn)
                .await?)
        })?;
        if person.is_none() {
            let why = "no specialist has this login in the medical system";
            return Err(OpenIdError::Refused(Refusal::new(Code::AccessDenied, why)));
        }
        self.sign_in_as(system, login, "on behalf of a specialist").await
    }

    /// Signs the user in as whom a system is read. Its login stands in the configuration; it is nobody's at a desk.
    ///
    /// # Errors
    /// As [`Provider::on_behalf`].
    pub async fn as_reader(&self, system: &Source, login: &str) -> Result<Assertion, OpenIdError> {
        self.sign_in_as(system, login, "to read").await
    }

    async fn sign_in_as(&self, system: &Source, login: &str, what_for: &str) -> Result<Assertion, OpenIdError> {
        let now = self.now();
        let expires = UtcMillis(now.0.saturating_add(self.rules.assertion_ms.min(super::rules::ASSERTION_MAX_MS)));
        let acting = Acting { actor: Actor::Peer(system.to_string()), ..Acting::system() };
        let entry = Draft {
            object: Some(format!("system:{system}")),
            detail: Some(format!("assertion; {what_for}")),
            ..acting.draft(now, Action::BadgeSignedIn)
        };
        transact!(self.database, "openid.signed_in_as", |conn| {
            audit::record!(conn, &entry);
            Ok(())
        })?;
        let claims = json!({
            "iss": self.rules.issuer,
            "aud": system.as_str(),
            "sub": login,
            "jti": draw_id()?,
            "iat": now.0 / 1000,
            "exp": expires.0 / 1000,
        });
        Ok(Assertion { token: self.sign(Algorithm::Es256, KIND, &claims).await?, expires })
    }
}
