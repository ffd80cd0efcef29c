//! For systems without OpenID: a signed statement of who is at a workstation, good for 30 seconds and once.

use domain::{PointId, UtcMillis};
use serde_json::{Map, Value, json};
use store::{read, transact};

use super::read::{DeskState, at_desk, sign_in, staff_name};
use super::secret::{draw_id, stored};
use super::{Authenticated, Code, OpenIdError, Provider, Refusal};
use crate::acting::{Acting, Actor};
use crate::audit::{self, Action, Draft};
use crate::jose::Algorithm;

/// The header's `typ` of an assertion: no other token of ours is taken for one.
pub(super) const KIND: &str = "tapward-assertion+jwt";
/// How much the clock of who asks may differ from that of who signed, in milliseconds: both are ours.
const SKEW_MS: i64 = 2000;

/// A signed assertion. `Debug` never shows it.
#[derive(Clone)]
pub struct Assertion {
    pub(super) token: String,
    /// When it stops being good.
    pub expires: UtcMillis,
}

impl Assertion {
    /// The token, for the system.
    pub fn reveal(&self) -> &str {
        &self.token
    }
}

impl std::fmt::Debug for Assertion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Assertion(redacted)")
    }
}

/// What an assertion said, to a system that let us check it.
#[derive(Clone, PartialEq)]
pub struct Vouched(pub Map<String, Value>);

impl std::fmt::Debug for Vouched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vouched(redacted)")
    }
}

impl Provider {
    /// Vouches to a system for who is bound to a workstation now. Ask for it where the browser of that workstation asks,
    /// or where the system itself does and has proved who it is.
    ///
    /// # Errors
    /// [`Code::UnauthorizedClient`]: the system takes none; [`Code::LoginRequired`]: nobody is bound there;
    /// [`Code::InteractionRequired`]: the PIN is wanted; [`Code::AccessDenied`]: the specialist has no name there.
    pub async fn vouch(&self, workstation: &PointId, client: &str) -> Result<Assertion, OpenIdError> {
        let refuse = |code, what| Err(OpenIdError::Refused(Refusal::new(code, what)));
        let client = self.client(client).await?.filter(|client| client.ended.is_none() && client.is.takes_assertions);
        let Some(client) = client else {
            return refuse(Code::UnauthorizedClient, "this system is not registered for assertions");
        };
        let place = workstation.as_str();
        let (desk, names) = read!(self.database, "openid.vouch", |conn| {
            let desk = at_desk!(conn, place);
            let names = match &desk {
                Some(desk) => staff_name!(conn, desk.person),
                None => None,
            };
            Ok((desk, names))
        })?;
        let Some(desk) = desk.filter(|desk| desk.state == DeskState::Open) else {
            return refuse(Code::LoginRequired, "nobody is signed in at this workstation: tap the card");
        };
        if desk.strength < client.is.strength {
            return refuse(Code::InteractionRequired, "the specialist's PIN is wanted");
        }
        let Some(subject) = client.subject_of(desk.person, names.as_ref()) else {
            return refuse(Code::AccessDenied, "this specialist has no name in this system");
        };
        let now = self.now();
        let expires = now.plus_ms(self.rules.assertion_ms.min(super::rules::ASSERTION_MAX_MS));
        let (jti, new) = (draw_id()?, draw_id()?);
        let sealed = self.sealer.seal("openid_sign_in", &new, subject.as_bytes())?;
        let acting =
            Acting { actor: Actor::Staff(desk.person), session: Some(desk.session.clone()), ..Acting::system() };
        let entry = Draft {
            subject: Some(desk.person),
            object: Some(format!("openid:{}", client.id)),
            detail: Some(format!("assertion; at {}; {}", desk.workstation, desk.strength)),
            ..acting.draft(now, Action::BadgeSignedIn)
        };
        let (hash, id, seen) = (stored(&jti), client.id.clone(), desk.clone());
        let sid = transact!(self.database, "openid.vouched", |conn| {
            let still = at_desk!(conn, &seen.workstation);
            if !still.is_some_and(|still| still.session == seen.session && still.state == DeskState::Open) {
                return Ok(None);
            }
            let sid = sign_in!(conn, seen, &id, (&new, &sealed), now);
            sqlx::query("INSERT INTO openid_once (client, hash, sid, made_ms, expires_ms) VALUES ($1, $2, $3, $4, $5)")
                .bind(&id)
                .bind(&hash)
                .bind(&sid)
                .bind(now.0)
                .bind(expires.0)
                .execute(&mut *conn)
                .await?;
            sqlx::query("UPDATE openid_client SET used_ms = $1 WHERE id = $2")
                .bind(now.0)
                .bind(&id)
                .execute(&mut *conn)
                .await?;
            audit::record!(conn, &entry);
            Ok(Some(sid))
        })?;
        let Some(sid) = sid else {
            return refuse(Code::LoginRequired, "nobody is signed in at this workstation: tap the card");
        };
        let claims = json!({
            "iss": self.rules.issuer,
            "aud": client.id,
            "sub": subject,
            "jti": jti,
            "iat": now.0 / 1000,
            "exp": expires.0 / 1000,
            "auth_time": desk.confirmed.0 / 1000,
            "acr": self.rules.acr(desk.strength),
            "workstation": desk.workstation,
            "sid": sid,
        });
        Ok(Assertion { token: self.sign(Algorithm::Es256, KIND, &claims).await?, expires })
    }

    /// Checks an assertion for a system that cannot, and uses it up.
    ///
    /// # Errors
    /// [`Code::InvalidGrant`], the same whatever is wrong; [`Code::UnauthorizedClient`]; or the database.
    pub async fn consume(&self, caller: &Authenticated, assertion: &str) -> Result<Vouched, OpenIdError> {
        const BAD: Refusal = Refusal::new(
            Code::InvalidGrant,
            "the assertion is not ours, not for this system, was used, or is older than 30 seconds",
        );
        caller.must_prove()?;
        let (client, now) = (caller.client().id.clone(), self.now());
        let Some(token) = self.own(assertion).await? else { return Err(BAD.into()) };
        let claims = &token.claims;
        let is_for_it = claims.text("aud") == Some(&client) && claims.text("iss") == Some(&self.rules.issuer);
        let is_current = claims.is_current(now, super::rules::ASSERTION_MAX_MS, SKEW_MS);
        let Some(jti) = claims.text("jti") else { return Err(BAD.into()) };
        if token.kind.as_deref() != Some(KIND) || !is_for_it || !is_current {
            return Err(BAD.into());
        }
        let hash = stored(jti);
        let is_first = transact!(self.database, "openid.consume", |conn| {
            let done = sqlx::query(
                "UPDATE openid_once SET used_ms = $1
                 WHERE client = $2 AND hash = $3 AND used_ms IS NULL AND EXISTS (
                     SELECT 1 FROM openid_sign_in s JOIN desk_session d ON d.id = s.session
                     WHERE s.sid = openid_once.sid AND s.ended_ms IS NULL AND d.ended_ms IS NULL)",
            )
            .bind(now.0)
            .bind(&client)
            .bind(&hash)
            .execute(&mut *conn)
            .await?;
            Ok(done.rows_affected() == 1)
        })?;
        if is_first { Ok(Vouched(claims.0.clone())) } else { Err(BAD.into()) }
    }
}
