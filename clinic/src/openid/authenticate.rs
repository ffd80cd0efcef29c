//! Which system calls, and whether it proves so: by the one method that it was registered with.

use store::transact;

use super::clients::{Auth, Client};
use super::secret::stored;
use super::{Code, OpenIdError, Provider, Refusal};
use crate::jose::{Algorithm, TOKEN_MAX_BYTES, verify};

/// The type of a signed proof (RFC 7523).
const BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// How long ahead a proof may end, in milliseconds.
const PROOF_LIFE_MS: i64 = 5 * 60_000;
/// How much clocks may differ, in milliseconds.
const SKEW_MS: i64 = 30_000;

/// What a system sent to prove itself. `Debug` shows nothing of it.
#[derive(Clone, Default)]
pub struct Credentials {
    /// From HTTP basic authentication: `client_id` and secret, already without their form encoding.
    pub basic: Option<(String, String)>,
    /// `client_id` of the form.
    pub client_id: Option<String>,
    /// `client_secret` of the form.
    pub client_secret: Option<String>,
    /// `client_assertion_type` of the form.
    pub assertion_type: Option<String>,
    /// `client_assertion` of the form.
    pub assertion: Option<String>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials(redacted)")
    }
}

/// A system that proved itself, or that has nothing to prove itself with.
#[derive(Debug, Clone)]
pub struct Authenticated {
    pub(super) client: Client,
}

impl Authenticated {
    /// Which system.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// That it proved itself by something that only it has.
    ///
    /// # Errors
    /// [`Code::UnauthorizedClient`].
    pub fn must_prove(&self) -> Result<(), Refusal> {
        if self.client.is.auth == Auth::None {
            return Err(Refusal::new(Code::UnauthorizedClient, "this is for systems that prove who they are"));
        }
        Ok(())
    }
}

impl Provider {
    /// Which system calls.
    ///
    /// # Errors
    /// [`Code::InvalidClient`], the same whatever is wrong; or the database.
    pub async fn authenticate(&self, sent: &Credentials) -> Result<Authenticated, OpenIdError> {
        const REFUSED: Refusal = Refusal::new(
            Code::InvalidClient,
            "client authentication failed: use the method and the secret or key that this client_id is registered with",
        );
        let ways = [sent.basic.is_some(), sent.client_secret.is_some(), sent.assertion.is_some()];
        if ways.iter().filter(|way| **way).count() > 1 {
            return Err(Refusal::new(Code::InvalidRequest, "only one way of client authentication at once").into());
        }
        let named = sent.basic.as_ref().map(|(id, _)| id.as_str()).or(sent.client_id.as_deref());
        // A signed proof names its system itself.
        let signer = sent.assertion.as_deref().and_then(unverified_subject);
        let id = named.or(signer.as_deref()).unwrap_or_default();
        let Some(client) = self.client(id).await?.filter(|client| client.ended.is_none()) else {
            return Err(REFUSED.into());
        };
        let is_proven = match client.is.auth {
            Auth::None => !ways.contains(&true),
            Auth::Basic => sent.basic.as_ref().is_some_and(|(_, secret)| client.has_secret(secret)),
            Auth::Post => sent.client_secret.as_ref().is_some_and(|secret| client.has_secret(secret)),
            Auth::Key => match &sent.assertion {
                Some(proof) if sent.assertion_type.as_deref() == Some(BEARER) => self.is_proof(&client, proof).await?,
                _ => false,
            },
        };
        if is_proven { Ok(Authenticated { client }) } else { Err(REFUSED.into()) }
    }

    /// Whether a signed proof is by this system, for us, now, and not seen before.
    async fn is_proof(&self, client: &Client, proof: &str) -> Result<bool, OpenIdError> {
        let Ok(token) = verify(proof, &client.keys(), Algorithm::ALL) else { return Ok(false) };
        let claims = &token.claims;
        let now = self.now();
        let is_own = claims.text("iss") == Some(&client.id) && claims.text("sub") == Some(&client.id);
        let is_ours = [self.rules.issuer.clone(), self.rules.url("/openid/token"), self.rules.url("/openid/ciba")];
        let is_for_us = is_ours.iter().any(|own| claims.is_for(own));
        let jti = claims.text("jti").filter(|jti| !jti.is_empty() && jti.len() <= 500);
        let (Some(jti), Some(ends)) = (jti, claims.time("exp")) else { return Ok(false) };
        if !is_own || !is_for_us || !claims.is_current(now, PROOF_LIFE_MS, SKEW_MS) {
            return Ok(false);
        }
        let (id, hash, until) = (client.id.clone(), stored(jti), ends.plus_ms(SKEW_MS));
        Ok(transact!(self.database, "openid.proof", |conn| {
            let done = sqlx::query(
                "INSERT INTO openid_once (client, hash, made_ms, expires_ms, used_ms) VALUES ($1, $2, $3, $4, $3)
                 ON CONFLICT (client, hash) DO NOTHING",
            )
            .bind(&id)
            .bind(&hash)
            .bind(now.0)
            .bind(until.0)
            .execute(&mut *conn)
            .await?;
            Ok(done.rows_affected() == 1)
        })?)
    }
}

/// Who a signed proof says it is, before anything of it is believed.
fn unverified_subject(proof: &str) -> Option<String> {
    if proof.len() > TOKEN_MAX_BYTES {
        return None;
    }
    let bytes = crate::jose::decode(proof.split('.').nth(1)?).ok()?;
    let claims: serde_json::Value = serde_json::from_slice(&bytes).ok()?;
    claims.get("sub")?.as_str().map(str::to_owned)
}
