//! A code becomes tokens, once. A code that comes a second time takes back what the first gave.

use domain::{PersonId, UtcMillis};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256, Sha384};
use store::{read, transact};

use super::clients::Strength;
use super::read::staff_name;
use super::secret::{challenge_of, same, stored};
use super::{Authenticated, Client, Code, OpenIdError, Provider, Refusal, Token};
use crate::acting::{Acting, Actor};
use crate::audit::{self, Action, Draft, Outcome};
use crate::jose::{self, Algorithm};
use crate::rows::{code, column};

/// Lengths of a PKCE verifier (RFC 7636 4.1).
const VERIFIER_CHARS: std::ops::RangeInclusive<usize> = 43..=128;

/// What a system asks the token endpoint for. `Debug` shows nothing of it.
#[derive(Clone, Default)]
pub struct TokenAsked {
    /// `grant_type`.
    pub grant_type: String,
    /// `code`.
    pub code: Option<String>,
    /// `redirect_uri`, as in the request.
    pub redirect_uri: Option<String>,
    /// `code_verifier`.
    pub code_verifier: Option<String>,
    /// `auth_req_id`.
    pub auth_req_id: Option<String>,
}

impl std::fmt::Debug for TokenAsked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenAsked(redacted)")
    }
}

/// What a SMART launch is told beside the tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// The FHIR id of the patient whose visit is open at the workstation.
    pub patient: String,
    /// The id of the visit: the FHIR Encounter's.
    pub encounter: String,
}

/// Tokens for a system.
#[derive(Debug, Clone)]
pub struct TokenAnswer {
    /// The access token.
    pub access_token: Token,
    /// The signed id token.
    pub id_token: IdToken,
    /// For how long the access token is good, in seconds.
    pub expires_in: i64,
    /// What it allows.
    pub scope: String,
    /// The session at the workstation.
    pub session: String,
    /// The patient, with the scope `launch`, if a visit is open.
    pub launch: Option<Launch>,
}

/// A signed id token. `Debug` never shows it.
#[derive(Clone)]
pub struct IdToken(pub(super) String);

impl IdToken {
    /// The token, for the system.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for IdToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IdToken(redacted)")
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    sid: String,
    client: String,
    redirect_uri: String,
    scope: String,
    challenge: String,
    sealed: Vec<u8>,
    strength: String,
    auth_ms: i64,
    expires_ms: i64,
    used_ms: Option<i64>,
    session: String,
    person: String,
    subject: Vec<u8>,
    is_over: i64,
    workstation: String,
}

/// Who is signed in, as an id token tells it.
pub(super) struct SignedIn<'a> {
    pub client: &'a Client,
    pub sid: &'a str,
    pub subject: &'a str,
    pub person: PersonId,
    pub scope: &'a str,
    pub strength: Strength,
    pub has_typed_pin: bool,
    pub auth: UtcMillis,
    pub nonce: Option<&'a Value>,
    pub further: Map<String, Value>,
}

impl Provider {
    /// Answers the token endpoint for the grant `authorization_code`.
    ///
    /// # Errors
    /// [`OpenIdError::Refused`], or ours.
    pub async fn redeem(&self, caller: &Authenticated, asked: &TokenAsked) -> Result<TokenAnswer, OpenIdError> {
        const GRANT: Refusal = Refusal::new(
            Code::InvalidGrant,
            "the code is unknown, used, expired, another system's, or was sent to another redirect_uri",
        );
        const PROOF: Refusal = Refusal::new(Code::InvalidGrant, "code_verifier does not fit the code_challenge");
        let text = asked.code.as_deref().filter(|code| !code.is_empty() && code.len() <= 200);
        let text = text.ok_or(Refusal::new(Code::InvalidRequest, "code is missing"))?;
        let verifier = asked.code_verifier.as_deref().unwrap_or_default();
        if !VERIFIER_CHARS.contains(&verifier.len()) {
            return Err(Refusal::new(Code::InvalidRequest, "code_verifier is missing: 43 to 128 characters").into());
        }
        let (hash, now, client) = (stored(text), self.now(), &caller.client);
        let Some(row) = self.read_code(&hash).await? else { return Err(GRANT.into()) };
        let person = column("openid_sign_in", "person", &row.person, str::parse::<PersonId>)?;
        let entry = |outcome, what: &str| {
            let acting = Acting { actor: Actor::Staff(person), session: Some(row.session.clone()), ..Acting::system() };
            Draft {
                outcome,
                subject: Some(person),
                object: Some(format!("openid:{}", client.id)),
                detail: Some(format!("{what}; at {}; {}", row.workstation, row.strength)),
                ..acting.draft(now, Action::BadgeSignedIn)
            }
        };
        if row.client != client.id {
            audit::write(&self.database, entry(Outcome::Refused, "another system's code")).await?;
            return Err(GRANT.into());
        }
        if row.used_ms.is_some() {
            self.take_back(&hash, entry(Outcome::Refused, "a code came twice; its tokens were revoked")).await?;
            return Err(GRANT.into());
        }
        if now.0 >= row.expires_ms || row.is_over != 0 || asked.redirect_uri.as_deref() != Some(&row.redirect_uri) {
            return Err(GRANT.into());
        }
        if !same(&challenge_of(verifier), &row.challenge) {
            audit::write(&self.database, entry(Outcome::Refused, "a code without its proof")).await?;
            return Err(PROOF.into());
        }
        let echo: Value = serde_json::from_slice(&self.sealer.open("openid_code", &hash, row.sealed.clone())?)
            .map_err(|_| OpenIdError::System("a code cannot be read"))?;
        let subject = self.open_subject(&row.sid, row.subject.clone())?;
        let strength = code("openid_code", "strength", &row.strength, Strength::parse)?;
        let access_token = Token::draw()?;
        let id_token = self
            .id_token(
                SignedIn {
                    client,
                    sid: &row.sid,
                    subject: &subject,
                    person,
                    scope: &row.scope,
                    strength,
                    has_typed_pin: echo.get("pin").and_then(Value::as_bool).unwrap_or(false),
                    auth: UtcMillis(row.auth_ms),
                    nonce: echo.get("nonce"),
                    further: Map::new(),
                },
                &access_token,
            )
            .await?;
        let launch = self.launch(&row.session, &row.scope).await?;
        let expires = now.plus_ms(client.is.access_ms);
        let grant = Grant {
            origin: hash.clone(),
            token: access_token.stored(),
            sid: row.sid.clone(),
            client: client.id.clone(),
            scope: row.scope.clone(),
            session: row.session.clone(),
            now,
            expires,
        };
        let (used, done) = (hash.clone(), entry(Outcome::Done, "signed in"));
        let is_first = transact!(self.database, "openid.redeem", |conn| {
            let first = sqlx::query("UPDATE openid_code SET used_ms = $1 WHERE hash = $2 AND used_ms IS NULL")
                .bind(now.0)
                .bind(&used)
                .execute(&mut *conn)
                .await?;
            if first.rows_affected() != 1 {
                return Ok(None);
            }
            if !give!(conn, grant) {
                return Ok(Some(false));
            }
            audit::record!(conn, &done);
            Ok(Some(true))
        })?;
        match is_first {
            Some(true) => {}
            Some(false) => return Err(GRANT.into()),
            // Two came at once: the one that was a moment earlier loses too.
            None => {
                self.take_back(&hash, entry(Outcome::Refused, "a code came twice; its tokens were revoked")).await?;
                return Err(GRANT.into());
            }
        }
        let expires_in = client.is.access_ms / 1000;
        Ok(TokenAnswer { access_token, id_token, expires_in, scope: row.scope, session: row.session, launch })
    }

    async fn read_code(&self, hash: &str) -> Result<Option<Row>, OpenIdError> {
        Ok(read!(self.database, "openid.code", |conn| {
            Ok(sqlx::query_as(
                "SELECT c.sid, c.client, c.redirect_uri, c.scope, c.challenge, c.sealed, c.strength, c.auth_ms,
                     c.expires_ms, c.used_ms, s.session, s.person, s.sealed AS subject, d.workstation,
                     CAST(CASE WHEN s.ended_ms IS NULL AND d.ended_ms IS NULL THEN 0 ELSE 1 END AS BIGINT) AS is_over
                 FROM openid_code c JOIN openid_sign_in s ON s.sid = c.sid JOIN desk_session d ON d.id = s.session
                 WHERE c.hash = $1",
            )
            .bind(hash)
            .fetch_optional(&mut *conn)
            .await?)
        })?)
    }

    async fn take_back(&self, hash: &str, entry: Draft) -> Result<(), OpenIdError> {
        let (hash, now) = (hash.to_owned(), self.now());
        transact!(self.database, "openid.take_back", |conn| {
            sqlx::query("UPDATE openid_token SET revoked_ms = $1 WHERE origin = $2 AND revoked_ms IS NULL")
                .bind(now.0)
                .bind(&hash)
                .execute(&mut *conn)
                .await?;
            audit::record!(conn, &entry);
            Ok(())
        })?;
        Ok(())
    }

    pub(super) fn open_subject(&self, sid: &str, sealed: Vec<u8>) -> Result<String, OpenIdError> {
        let clear = self.sealer.open("openid_sign_in", sid, sealed)?;
        String::from_utf8(clear.to_vec()).map_err(|_| OpenIdError::System("a subject cannot be read"))
    }

    /// Signs who is signed in. Nothing in it is stronger than what happened: a card is read by its number, which can be
    /// copied, so `amr` says `user` (somebody was there, RFC 8176), never `hwk`, `sc` or `mfa`.
    pub(super) async fn id_token(&self, of: SignedIn<'_>, access: &Token) -> Result<IdToken, OpenIdError> {
        let (now, algorithm) = (self.now(), of.client.is.algorithm);
        let mut amr = vec!["user"];
        if of.has_typed_pin {
            amr.push("pin");
        }
        let mut claims = Map::new();
        let mut set = |name: &str, value: Value| claims.insert(name.to_owned(), value);
        set("iss", self.rules.issuer.as_str().into());
        set("sub", of.subject.into());
        set("aud", of.client.id.as_str().into());
        set("iat", (now.0 / 1000).into());
        set("exp", (now.plus_ms(self.rules.id_ms).0 / 1000).into());
        set("auth_time", (of.auth.0 / 1000).into());
        set("acr", self.rules.acr(of.strength).into());
        set("amr", json!(amr));
        set("sid", of.sid.into());
        set("at_hash", at_hash(algorithm, access.reveal()).into());
        if let Some(nonce) = of.nonce.filter(|nonce| nonce.is_string()) {
            set("nonce", nonce.clone());
        }
        claims.extend(self.about(of.client, of.person, of.scope).await?);
        claims.extend(of.further);
        Ok(IdToken(self.sign(algorithm, "JWT", &Value::Object(claims)).await?))
    }

    /// What scopes tell of a specialist beside `sub`.
    pub(super) async fn about(
        &self,
        client: &Client,
        person: PersonId,
        scope: &str,
    ) -> Result<Map<String, Value>, OpenIdError> {
        let has = |wanted: &str| scope.split_whitespace().any(|one| one == wanted);
        let mut claims = Map::new();
        if !has("fhirUser") && !has("profile") {
            return Ok(claims);
        }
        let names = read!(self.database, "openid.about", |conn| { Ok(staff_name!(conn, person)) })?;
        let Some((login, practitioner)) = names else { return Ok(claims) };
        if let (true, Some(prefix), Some(id)) = (has("fhirUser"), &client.is.fhir_user, practitioner) {
            claims.insert("fhirUser".to_owned(), format!("{prefix}{id}").into());
        }
        if let (true, Some(login)) = (has("profile"), login) {
            claims.insert("preferred_username".to_owned(), login.into());
        }
        Ok(claims)
    }

    /// The patient whose visit is open in a session.
    async fn launch(&self, session: &str, scope: &str) -> Result<Option<Launch>, OpenIdError> {
        if !scope.split_whitespace().any(|one| one.starts_with("launch")) {
            return Ok(None);
        }
        let system = self.rules.patient_system.clone().unwrap_or_default();
        let found: Option<(String, String, Option<String>)> = read!(self.database, "openid.launch", |conn| {
            Ok(sqlx::query_as(
                "SELECT v.id, v.patient,
                     (SELECT MIN(a.value) FROM person_alias a WHERE a.person = v.patient AND a.system = $2)
                 FROM visit v WHERE v.session = $1 AND v.ended_ms IS NULL",
            )
            .bind(session)
            .bind(&system)
            .fetch_optional(&mut *conn)
            .await?)
        })?;
        Ok(found.map(|(encounter, person, alias)| Launch { patient: alias.unwrap_or(person), encounter }))
    }
}

/// Half of the hash of the access token (OpenID Connect Core 3.1.3.6).
fn at_hash(algorithm: Algorithm, token: &str) -> String {
    match algorithm {
        Algorithm::Es256 | Algorithm::Rs256 => jose::encode(&Sha256::digest(token.as_bytes())[..16]),
        Algorithm::Es384 | Algorithm::Rs384 => jose::encode(&Sha384::digest(token.as_bytes())[..24]),
    }
}

/// An access token to be stored.
pub(super) struct Grant {
    pub origin: String,
    pub token: String,
    pub sid: String,
    pub client: String,
    pub scope: String,
    pub session: String,
    pub now: UtcMillis,
    pub expires: UtcMillis,
}

/// Stores an access token inside a transaction, unless the session has ended meanwhile: `give!(conn, grant)`, whether it
/// was given.
macro_rules! give {
    ($conn:expr, $grant:expr) => {{
        let done = sqlx::query(
            "INSERT INTO openid_token (hash, origin, sid, client, scope, made_ms, expires_ms)
             SELECT $1, $2, $3, $4, $5, $6, $7
             WHERE EXISTS (SELECT 1 FROM desk_session WHERE id = $8 AND ended_ms IS NULL)
                 AND EXISTS (SELECT 1 FROM openid_sign_in WHERE sid = $3 AND ended_ms IS NULL)",
        )
        .bind(&$grant.token)
        .bind(&$grant.origin)
        .bind(&$grant.sid)
        .bind(&$grant.client)
        .bind(&$grant.scope)
        .bind($grant.now.0)
        .bind($grant.expires.0)
        .bind(&$grant.session)
        .execute(&mut *$conn)
        .await?;
        if done.rows_affected() == 1 {
            sqlx::query("UPDATE openid_client SET used_ms = $1 WHERE id = $2")
                .bind($grant.now.0)
                .bind(&$grant.client)
                .execute(&mut *$conn)
                .await?;
            true
        } else {
            false
        }
    }};
}
pub(super) use give;
