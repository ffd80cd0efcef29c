//! A system asks by a browser: the request is read strictly, checked, and waits for whom the workstation is bound to. Where
//! it does not name a system and one of its own addresses, nobody is sent anywhere.

use std::borrow::Cow;
use std::collections::BTreeMap;

use domain::PersonId;
use serde_json::json;
use store::{read, transact};

use super::clients::{Client, Strength};
use super::uris::with_query;
use super::{Code, OpenIdError, Provider, Refusal, Token};

/// Longest value of a parameter, in bytes.
pub const VALUE_MAX_BYTES: usize = 2000;
/// Longest hint, in bytes: an id token.
const HINT_MAX_BYTES: usize = 8000;
/// Sign-ins that wait at once, of the whole site: whoever opens the address makes one.
const WAITING_MAX: i64 = 20_000;
/// Longest age that can be asked for, in seconds: beyond that nobody is bound anyway.
const MAX_AGE_MAX_S: i64 = 7 * 24 * 60 * 60;

/// The parameters of a request, as they came. `Debug` names them without values.
#[derive(Clone, Default)]
pub struct Asked {
    values: BTreeMap<String, String>,
    /// A parameter came twice, or was too long.
    broken: Option<&'static str>,
}

impl std::fmt::Debug for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Asked").field(&self.values.keys().collect::<Vec<_>>()).finish()
    }
}

impl Asked {
    /// Takes names and values; unknown ones are of no interest.
    pub fn read<'a>(pairs: impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)>) -> Self {
        const KNOWN: [&str; 18] = [
            "client_id",
            "redirect_uri",
            "response_type",
            "response_mode",
            "scope",
            "state",
            "nonce",
            "code_challenge",
            "code_challenge_method",
            "prompt",
            "max_age",
            "acr_values",
            "login_hint",
            "id_token_hint",
            "ui_locales",
            "request",
            "request_uri",
            "launch",
        ];
        let mut asked = Self::default();
        for (name, value) in pairs {
            let Some(known) = KNOWN.iter().find(|known| **known == name) else { continue };
            let most = if *known == "id_token_hint" { HINT_MAX_BYTES } else { VALUE_MAX_BYTES };
            if value.len() > most {
                asked.broken = Some("a parameter is too long");
            } else if asked.values.insert((*known).to_owned(), value.into_owned()).is_some() {
                asked.broken = Some("a parameter came twice");
                // Which of two is meant cannot be known; for where the answer goes neither is taken.
                if matches!(*known, "client_id" | "redirect_uri") {
                    asked.values.remove(*known);
                }
            }
        }
        asked
    }

    /// A parameter; an empty one is as none.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

/// The name of a waiting sign-in: what the browser holds.
#[derive(Debug, Clone)]
pub struct Handle(pub(super) Token);

impl Handle {
    /// For an address of ours in that browser.
    pub fn reveal(&self) -> &str {
        self.0.reveal()
    }
}

/// Why a request is not taken.
#[derive(Debug)]
pub enum AskError {
    /// The browser stays here and is told.
    Page(Refusal),
    /// The browser goes back to the system with an error.
    Back(String),
    /// Something of ours.
    Inner(OpenIdError),
}

impl<E: Into<OpenIdError>> From<E> for AskError {
    fn from(error: E) -> Self {
        Self::Inner(error.into())
    }
}

/// What of a request has been understood.
struct Good {
    scope: String,
    challenge: String,
    prompt: &'static str,
    max_age_s: Option<i64>,
    strength: Strength,
}

impl Provider {
    /// Takes a request. The browser holds the handle that comes back; [`Provider::step`] goes on with it.
    ///
    /// # Errors
    /// [`AskError`].
    pub async fn ask(&self, asked: &Asked) -> Result<Handle, AskError> {
        const UNKNOWN: Refusal = Refusal::new(
            Code::InvalidRequest,
            "client_id is missing or not registered here, or redirect_uri is not one of its registered addresses, whole",
        );
        let client = match asked.get("client_id") {
            Some(id) => self.client(id).await?.filter(|client| client.ended.is_none()),
            None => None,
        };
        let redirect_uri = asked.get("redirect_uri").unwrap_or_default();
        let client = client.filter(|client| client.is.redirect_uris.iter().any(|own| own == redirect_uri));
        let Some(client) = client else { return Err(AskError::Page(UNKNOWN)) };
        let state = asked.get("state");
        let back = |refusal: Refusal| self.back(redirect_uri, state, &refusal);
        let good = self.understand(&client, asked).map_err(back)?;
        let person = match asked.get("id_token_hint") {
            Some(hint) => Some(self.hinted(&client, hint).await?.map_err(back)?),
            None => None,
        };
        let handle = Token::draw()?;
        let (hash, now) = (handle.stored(), self.now());
        let clear = json!({"state": state, "nonce": asked.get("nonce")}).to_string();
        let sealed = self.sealer.seal("openid_request", &hash, clear.as_bytes())?;
        let expires = now.plus_ms(self.rules.request_ms);
        let (id, uri) = (client.id, redirect_uri.to_owned());
        let taken = transact!(self.database, "openid.ask", |conn| {
            let waiting: i64 =
                sqlx::query_scalar("SELECT COUNT(*) FROM openid_request WHERE expires_ms > $1 AND done_ms IS NULL")
                    .bind(now.0)
                    .fetch_one(&mut *conn)
                    .await?;
            if waiting >= WAITING_MAX {
                return Ok(false);
            }
            sqlx::query(
                "INSERT INTO openid_request (hash, client, redirect_uri, scope, challenge, sealed, prompt, max_age_s,
                     strength, person, floor, made_ms, expires_ms)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10,
                     (SELECT value FROM counter WHERE name = 'change'), $11, $12)",
            )
            .bind(&hash)
            .bind(&id)
            .bind(&uri)
            .bind(&good.scope)
            .bind(&good.challenge)
            .bind(&sealed)
            .bind(good.prompt)
            .bind(good.max_age_s)
            .bind(good.strength.as_str())
            .bind(person.map(|person| person.to_string()))
            .bind(now.0)
            .bind(expires.0)
            .execute(&mut *conn)
            .await?;
            Ok(true)
        })?;
        if taken {
            return Ok(Handle(handle));
        }
        tracing::error!(most = WAITING_MAX, "openid.waiting.full");
        Err(back(Refusal::new(Code::TemporarilyUnavailable, "too many sign-ins are waiting")))
    }

    /// The address that takes an error back to the system.
    pub(super) fn back(&self, redirect_uri: &str, state: Option<&str>, refusal: &Refusal) -> AskError {
        self.error_url(redirect_uri, state, refusal).map_or_else(|| AskError::Page(refusal.clone()), AskError::Back)
    }

    pub(super) fn error_url(&self, redirect_uri: &str, state: Option<&str>, refusal: &Refusal) -> Option<String> {
        let mut pairs = vec![
            ("error", refusal.code.as_str()),
            ("error_description", refusal.what),
            ("iss", self.rules.issuer.as_str()),
        ];
        pairs.extend(state.map(|state| ("state", state)));
        with_query(redirect_uri, &pairs)
    }

    fn understand(&self, client: &Client, asked: &Asked) -> Result<Good, Refusal> {
        use Code as C;
        let refuse = |code, what| Err(Refusal::new(code, what));
        if let Some(what) = asked.broken {
            return refuse(C::InvalidRequest, what);
        }
        if asked.get("request").is_some() {
            return refuse(C::RequestNotSupported, "request objects are not read; send plain parameters");
        }
        if asked.get("request_uri").is_some() {
            return refuse(C::RequestUriNotSupported, "request objects are not fetched; send plain parameters");
        }
        if asked.get("response_type") != Some("code") {
            return refuse(C::UnsupportedResponseType, "response_type must be code");
        }
        if asked.get("response_mode").is_some_and(|mode| mode != "query") {
            return refuse(C::InvalidRequest, "response_mode must be query, or left out");
        }
        let wanted: Vec<_> = asked.get("scope").unwrap_or_default().split_whitespace().collect();
        if !wanted.contains(&"openid") {
            return refuse(C::InvalidScope, "scope must contain openid");
        }
        // What is not known or not allowed is left out, as the standard says; the answer tells what was given.
        let mut given: Vec<_> = wanted.into_iter().filter(|scope| client.may_have(scope)).collect();
        given.sort_unstable();
        given.dedup();
        let challenge = asked.get("code_challenge").unwrap_or_default();
        if asked.get("code_challenge_method") != Some("S256")
            || challenge.len() != 43
            || !challenge.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        {
            return refuse(C::InvalidRequest, "code_challenge (PKCE) is required, with code_challenge_method=S256");
        }
        let prompts: Vec<_> = asked.get("prompt").unwrap_or_default().split_whitespace().collect();
        let prompt = match prompts.as_slice() {
            ["none"] => "none",
            all if all.contains(&"none") => {
                return refuse(C::InvalidRequest, "prompt=none cannot be joined with another prompt");
            }
            all if !all.iter().all(|one| matches!(*one, "login" | "select_account" | "consent")) => {
                return refuse(C::InvalidRequest, "prompt must be of none, login, select_account, consent");
            }
            all if all.contains(&"login") || all.contains(&"select_account") => "login",
            _ => "",
        };
        let max_age_s = match asked.get("max_age").map(str::parse::<i64>) {
            None => None,
            Some(Ok(age)) if age >= 0 => Some(age.min(MAX_AGE_MAX_S)),
            Some(_) => return refuse(C::InvalidRequest, "max_age must be a number of seconds"),
        };
        let acr = asked.get("acr_values").unwrap_or_default();
        let wished = acr.split_whitespace().find_map(|acr| self.rules.strength_of(acr));
        let strength = wished.unwrap_or(Strength::Badge).max(client.is.strength);
        Ok(Good { scope: given.join(" "), challenge: challenge.to_owned(), prompt, max_age_s, strength })
    }

    /// Of whom an id token of ours speaks.
    async fn hinted(&self, client: &Client, hint: &str) -> Result<Result<PersonId, Refusal>, OpenIdError> {
        const BAD: Refusal = Refusal::new(Code::InvalidRequest, "id_token_hint is not an id token of this provider");
        const GONE: Refusal = Refusal::new(Code::LoginRequired, "the sign-in of id_token_hint is not known any more");
        let Some(token) = self.own(hint).await? else { return Ok(Err(BAD)) };
        let is_ours = token.claims.text("iss") == Some(&self.rules.issuer) && token.claims.is_for(&client.id);
        let Some(sid) = token.claims.text("sid").filter(|_| is_ours) else { return Ok(Err(BAD)) };
        let person: Option<String> = read!(self.database, "openid.hint", |conn| {
            Ok(sqlx::query_scalar("SELECT person FROM openid_sign_in WHERE sid = $1")
                .bind(sid)
                .fetch_optional(&mut *conn)
                .await?)
        })?;
        Ok(person.and_then(|person| person.parse().ok()).ok_or(GONE))
    }
}
