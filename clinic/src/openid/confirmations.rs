//! Confirmations without a browser of the asking system (CIBA Core 1.0, ping and poll): it names a specialist and says what
//! for; the specialist sees that on the page of their workstation and confirms by tapping again, with the PIN where it asks
//! for that strength. A tap that was meant for something else confirms nothing: first the specialist says on the page that
//! the next one is for this.

use domain::{PersonId, UtcMillis};
use serde_json::{Map, Value, json};
use store::{read, transact};
use zeroize::Zeroizing;

use super::clients::{Strength, Subject};
use super::read::{AtDesk, DeskRow, DeskState, last_tap, sign_in, staff_name};
use super::secret::{draw_id, stored};
use super::tokens::{Grant, SignedIn, give};
use super::{Authenticated, Client, Code, OpenIdError, Provider, Refusal, Token, TokenAnswer, TokenAsked};
use crate::acting::{Acting, Actor};
use crate::audit::{self, Action, Draft, Outcome};
use crate::rows::{code, column};

/// Longest message that is shown, in characters.
pub const MESSAGE_MAX_CHARS: usize = 200;
/// Longest token for our answer, in bytes (CIBA 7.1).
const NOTIFICATION_MAX_BYTES: usize = 1024;
/// How long a system waits between two questions, in milliseconds.
const INTERVAL_MS: i64 = 5000;
/// A little less than the interval is no haste: clocks and networks differ.
const GRACE_MS: i64 = 200;
/// Confirmations that wait for one specialist at once.
const WAITING_MAX: i64 = 5;

/// What a system asks. `Debug` shows nothing of it.
#[derive(Clone, Default)]
pub struct ConfirmationAsked {
    /// `scope`.
    pub scope: String,
    /// `acr_values`.
    pub acr_values: Option<String>,
    /// `login_hint`: what the system calls the specialist.
    pub login_hint: Option<String>,
    /// `id_token_hint`.
    pub id_token_hint: Option<String>,
    /// `login_hint_token`: not read.
    pub login_hint_token: Option<String>,
    /// `binding_message`: what is shown.
    pub binding_message: Option<String>,
    /// `client_notification_token`.
    pub notification_token: Option<String>,
    /// `requested_expiry`, in seconds.
    pub requested_expiry: Option<String>,
}

impl std::fmt::Debug for ConfirmationAsked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ConfirmationAsked(redacted)")
    }
}

/// A confirmation was asked for.
#[derive(Debug, Clone)]
pub struct Started {
    /// `auth_req_id`.
    pub request: Token,
    /// For how long it waits, in seconds.
    pub expires_in: i64,
    /// How long to wait between two questions, in seconds.
    pub interval: i64,
}

/// A confirmation as the specialist sees it. `Debug` shows no message.
#[derive(Clone, PartialEq, Eq)]
pub struct Confirmation {
    /// Its id on the page. No secret: it answers nothing.
    pub id: String,
    /// The name of the system.
    pub name: String,
    /// What for, in the system's words.
    pub message: String,
    /// Whether the PIN is wanted too.
    pub wants_pin: bool,
    /// Whether the specialist said that the next tap is for this.
    pub is_begun: bool,
    /// Until when.
    pub expires: UtcMillis,
}

impl std::fmt::Debug for Confirmation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Confirmation").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Lets the asking system be told, inside a transaction.
macro_rules! ping {
    ($conn:expr, $call:expr, $client:expr, $hash:expr, $now:expr) => {
        sqlx::query(
            "INSERT INTO openid_call (id, kind, client, about, made_ms, next_ms, attempts)
             SELECT $1, 'ping', $2, $3, $4, $4, 0
             WHERE EXISTS (SELECT 1 FROM openid_client WHERE id = $2 AND ping_uri IS NOT NULL)
             ON CONFLICT (kind, client, about) DO NOTHING",
        )
        .bind($call)
        .bind($client)
        .bind($hash)
        .bind($now.0)
        .execute(&mut *$conn)
        .await?
    };
}

type ListRow = (String, String, String, Vec<u8>, String, i64, i64);
type PolledRow = (String, String, String, Option<String>, Option<String>, Option<i64>, Option<i64>, i64);

impl Provider {
    /// Takes a request for a confirmation.
    ///
    /// # Errors
    /// [`OpenIdError::Refused`], or ours.
    pub async fn start_confirmation(
        &self,
        caller: &Authenticated,
        asked: &ConfirmationAsked,
    ) -> Result<Started, OpenIdError> {
        use Code as C;
        caller.must_prove()?;
        let client = caller.client();
        let refuse = |code, what| Err(OpenIdError::Refused(Refusal::new(code, what)));
        let scopes: Vec<_> =
            asked.scope.split_whitespace().filter(|scope| client.may_have(scope)).map(str::to_owned).collect();
        if !scopes.iter().any(|scope| scope == "openid") {
            return refuse(C::InvalidScope, "scope must contain openid");
        }
        let hints = [&asked.login_hint, &asked.id_token_hint, &asked.login_hint_token];
        if hints.iter().filter(|hint| hint.is_some()).count() != 1 {
            return refuse(C::InvalidRequest, "exactly one of login_hint, id_token_hint is wanted");
        }
        let message = asked.binding_message.clone().unwrap_or_default();
        if message.chars().count() > MESSAGE_MAX_CHARS || message.chars().any(char::is_control) {
            return refuse(C::InvalidBindingMessage, "binding_message: at most 200 characters, one line");
        }
        let bearer = asked.notification_token.clone();
        let is_bearer = |text: &str| {
            !text.is_empty() && text.len() <= NOTIFICATION_MAX_BYTES && text.bytes().all(|byte| byte.is_ascii_graphic())
        };
        if client.is.ping_uri.is_some() && !bearer.as_deref().is_some_and(is_bearer) {
            return refuse(C::InvalidRequest, "client_notification_token is missing: 1 to 1024 ASCII characters");
        }
        let asked_s = match asked.requested_expiry.as_deref().map(str::parse::<i64>) {
            None => None,
            Some(Ok(seconds)) if seconds > 0 => Some(seconds),
            Some(_) => return refuse(C::InvalidRequest, "requested_expiry must be a number of seconds above 0"),
        };
        let life_ms = asked_s
            .map_or(self.rules.confirmation_ms, |asked| asked.saturating_mul(1000).min(self.rules.confirmation_ms));
        let Some(person) = self.person_hinted(client, asked).await? else {
            return refuse(C::UnknownUserId, "nobody among the staff is known by this hint");
        };
        let acr = asked.acr_values.as_deref().unwrap_or_default();
        let wished = acr.split_whitespace().find_map(|acr| self.rules.strength_of(acr));
        let strength = wished.unwrap_or(Strength::Badge).max(client.is.strength);
        let request = Token::draw()?;
        let (hash, now) = (request.stored(), self.now());
        let clear =
            Zeroizing::new(json!({"request": request.reveal(), "bearer": bearer, "message": message}).to_string());
        let sealed = self.sealer.seal("openid_confirmation", &hash, clear.as_bytes())?;
        let (id, expires, scope) = (client.id.clone(), now.plus_ms(life_ms), scopes.join(" "));
        let taken = transact!(self.database, "openid.confirmation.start", |conn| {
            let waiting: i64 = sqlx::query_scalar(
                "SELECT COUNT(*) FROM openid_confirmation
                 WHERE person = $1 AND expires_ms > $2 AND state IN ('waiting', 'begun')",
            )
            .bind(person.to_string())
            .bind(now.0)
            .fetch_one(&mut *conn)
            .await?;
            if waiting >= WAITING_MAX {
                return Ok(false);
            }
            sqlx::query(
                "INSERT INTO openid_confirmation (hash, client, person, scope, strength, sealed, state, floor, made_ms,
                     expires_ms)
                 VALUES ($1, $2, $3, $4, $5, $6, 'waiting', 0, $7, $8)",
            )
            .bind(&hash)
            .bind(&id)
            .bind(person.to_string())
            .bind(&scope)
            .bind(strength.as_str())
            .bind(&sealed)
            .bind(now.0)
            .bind(expires.0)
            .execute(&mut *conn)
            .await?;
            Ok(true)
        })?;
        if !taken {
            return refuse(C::AccessDenied, "too many confirmations wait for this specialist");
        }
        Ok(Started { request, expires_in: life_ms / 1000, interval: INTERVAL_MS / 1000 })
    }

    async fn person_hinted(&self, client: &Client, asked: &ConfirmationAsked) -> Result<Option<PersonId>, OpenIdError> {
        let person: Option<String> = if let Some(hint) = asked.login_hint.as_deref() {
            let kind = client.is.subject;
            read!(self.database, "openid.confirmation.hint", |conn| {
                let query = match kind {
                    Subject::Login => "SELECT person FROM staff WHERE login = $1 AND ended_ms IS NULL",
                    Subject::Practitioner => "SELECT person FROM staff WHERE practitioner = $1 AND ended_ms IS NULL",
                    Subject::Person => "SELECT person FROM staff WHERE person = $1 AND ended_ms IS NULL",
                };
                Ok(sqlx::query_scalar(query).bind(hint).fetch_optional(&mut *conn).await?)
            })?
        } else {
            let token = match asked.id_token_hint.as_deref() {
                Some(hint) => self.own(hint).await?,
                None => None,
            };
            let token = token.filter(|token| token.claims.is_for(&client.id));
            let Some(sid) = token.as_ref().and_then(|token| token.claims.text("sid")) else { return Ok(None) };
            read!(self.database, "openid.confirmation.hint", |conn| {
                Ok(sqlx::query_scalar("SELECT person FROM openid_sign_in WHERE sid = $1")
                    .bind(sid)
                    .fetch_optional(&mut *conn)
                    .await?)
            })?
        };
        Ok(person.map(|text| column("staff", "person", &text, str::parse::<PersonId>)).transpose()?)
    }

    /// The confirmations that wait for who is bound in this session, oldest first.
    ///
    /// # Errors
    /// The database.
    pub async fn confirmations(&self, session: &str) -> Result<Vec<Confirmation>, OpenIdError> {
        let now = self.now();
        let rows: Vec<ListRow> = read!(self.database, "openid.confirmation.list", |conn| {
            Ok(sqlx::query_as(
                "SELECT q.hash, c.name, q.strength, q.sealed, q.state, q.expires_ms, q.made_ms
                 FROM openid_confirmation q JOIN openid_client c ON c.id = q.client
                 JOIN desk_session d ON d.person = q.person
                 WHERE d.id = $1 AND d.ended_ms IS NULL AND q.expires_ms > $2 AND q.state IN ('waiting', 'begun')
                 ORDER BY q.made_ms LIMIT 5",
            )
            .bind(session)
            .bind(now.0)
            .fetch_all(&mut *conn)
            .await?)
        })?;
        let mut list = Vec::with_capacity(rows.len());
        for (id, name, strength, sealed, state, expires, _) in rows {
            let clear = self.opened(&id, sealed)?;
            let message = clear.get("message").and_then(Value::as_str).unwrap_or_default().to_owned();
            list.push(Confirmation {
                id,
                name,
                message,
                wants_pin: code("openid_confirmation", "strength", &strength, Strength::parse)? == Strength::BadgePin,
                is_begun: state == "begun",
                expires: UtcMillis(expires),
            });
        }
        Ok(list)
    }

    fn opened(&self, hash: &str, sealed: Vec<u8>) -> Result<Value, OpenIdError> {
        let clear = self.sealer.open("openid_confirmation", hash, sealed)?;
        serde_json::from_slice(&clear).map_err(|_| OpenIdError::System("a confirmation cannot be read"))
    }

    /// The specialist says that their next tap is for this. Whether it was there to be begun.
    ///
    /// # Errors
    /// The database.
    pub async fn begin_confirmation(&self, session: &str, id: &str) -> Result<bool, OpenIdError> {
        let (session, id, now) = (session.to_owned(), id.to_owned(), self.now());
        Ok(transact!(self.database, "openid.confirmation.begin", |conn| {
            let done = sqlx::query(
                "UPDATE openid_confirmation
                 SET state = 'begun', polled_ms = polled_ms, auth_ms = $1,
                     floor = (SELECT value FROM counter WHERE name = 'change')
                 WHERE hash = $2 AND expires_ms > $1 AND state IN ('waiting', 'begun') AND person IN (
                     SELECT person FROM desk_session WHERE id = $3 AND state = 'open' AND ended_ms IS NULL)",
            )
            .bind(now.0)
            .bind(&id)
            .bind(&session)
            .execute(&mut *conn)
            .await?;
            Ok(done.rows_affected() == 1)
        })?)
    }

    /// The specialist refuses. Whether it was there to be refused.
    ///
    /// # Errors
    /// The database, or random bytes.
    pub async fn refuse_confirmation(&self, session: &str, id: &str) -> Result<bool, OpenIdError> {
        let (own, id, now, call) = (session.to_owned(), id.to_owned(), self.now(), draw_id()?);
        Ok(transact!(self.database, "openid.confirmation.refuse", |conn| {
            let refused: Option<(String, String)> = sqlx::query_as(
                "UPDATE openid_confirmation SET state = 'refused'
                 WHERE hash = $1 AND expires_ms > $2 AND state IN ('waiting', 'begun') AND person IN (
                     SELECT person FROM desk_session WHERE id = $3 AND ended_ms IS NULL)
                 RETURNING client, person",
            )
            .bind(&id)
            .bind(now.0)
            .bind(&own)
            .fetch_optional(&mut *conn)
            .await?;
            let Some((client, person)) = refused else { return Ok(false) };
            ping!(conn, &call, &client, &id, now);
            let person = column("openid_confirmation", "person", &person, str::parse::<PersonId>)?;
            let acting = Acting { actor: Actor::Staff(person), session: Some(own.clone()), ..Acting::system() };
            let entry = Draft {
                outcome: Outcome::Refused,
                subject: Some(person),
                object: Some(format!("openid:{client}")),
                detail: Some("a confirmation was refused".to_owned()),
                ..acting.draft(now, Action::BadgeSignedIn)
            };
            audit::record!(conn, &entry);
            Ok(true)
        })?)
    }

    /// Grants what was begun and has had its tap since, with the PIN where it is wanted. Run it when something changed at
    /// workstations; returns how many were granted.
    ///
    /// # Errors
    /// The database, or random bytes.
    pub async fn settle_confirmations(&self) -> Result<u64, OpenIdError> {
        let now = self.now();
        type Begun = (String, String, String, String, i64, i64);
        let begun: Vec<Begun> = read!(self.database, "openid.confirmation.begun", |conn| {
            Ok(sqlx::query_as(
                "SELECT hash, client, person, strength, floor, auth_ms FROM openid_confirmation
                 WHERE state = 'begun' AND expires_ms > $1 ORDER BY made_ms LIMIT 100",
            )
            .bind(now.0)
            .fetch_all(&mut *conn)
            .await?)
        })?;
        let mut granted = 0;
        for (hash, client, person, strength, floor, begun_ms) in begun {
            let strength = code("openid_confirmation", "strength", &strength, Strength::parse)?;
            let found: Option<(AtDesk, i64, i64)> = read!(self.database, "openid.confirmation.tap", |conn| {
                let rows: Vec<DeskRow> = sqlx::query_as(
                    "SELECT s.id, s.workstation, s.person, s.state, s.factor, s.opened_ms, s.confirmed_ms,
                         f.confirmed_ms AS factor_ms, s.ended_ms
                     FROM desk_session s LEFT JOIN desk_factor f ON f.person = s.person
                     WHERE s.person = $1 AND s.ended_ms IS NULL",
                )
                .bind(&person)
                .fetch_all(&mut *conn)
                .await?;
                for row in rows {
                    let factor = row.factor_ms().unwrap_or(i64::MIN);
                    let desk = row.read()?;
                    if desk.state == DeskState::Open
                        && let Some(tapped) = last_tap!(conn, desk, floor)
                    {
                        return Ok(Some((desk, tapped, factor)));
                    }
                }
                Ok(None)
            })?;
            let Some((desk, tapped, factor)) = found else { continue };
            let is_strong = strength == Strength::Badge || factor > begun_ms;
            if tapped > begun_ms && is_strong && self.grant_confirmation(&hash, &client, desk, tapped).await? {
                granted += 1;
            }
        }
        Ok(granted)
    }

    async fn grant_confirmation(
        &self,
        hash: &str,
        client: &str,
        desk: AtDesk,
        tapped: i64,
    ) -> Result<bool, OpenIdError> {
        let now = self.now();
        let Some(client) = self.client(client).await?.filter(|client| client.ended.is_none()) else { return Ok(false) };
        let person = desk.person;
        let names = read!(self.database, "openid.confirmation.name", |conn| { Ok(staff_name!(conn, person)) })?;
        let Some(subject) = client.subject_of(desk.person, names.as_ref()) else { return Ok(false) };
        let (new, call) = (draw_id()?, draw_id()?);
        let sealed = self.sealer.seal("openid_sign_in", &new, subject.as_bytes())?;
        let acting =
            Acting { actor: Actor::Staff(desk.person), session: Some(desk.session.clone()), ..Acting::system() };
        let entry = Draft {
            subject: Some(desk.person),
            object: Some(format!("openid:{}", client.id)),
            detail: Some(format!("confirmed; at {}; {}", desk.workstation, desk.strength)),
            ..acting.draft(now, Action::BadgeSignedIn)
        };
        let (hash, id, has_ping) = (hash.to_owned(), client.id.clone(), client.is.ping_uri.is_some());
        // `reached` tells strength and whether the PIN was typed in this session.
        let reached = format!("{}{}", desk.strength, if desk.has_typed_pin { " pin" } else { "" });
        Ok(transact!(self.database, "openid.confirmation.grant", |conn| {
            let sid = sign_in!(conn, desk, &id, (&new, &sealed), now);
            let done = sqlx::query(
                "UPDATE openid_confirmation SET state = 'granted', sid = $1, reached = $2, auth_ms = $3
                 WHERE hash = $4 AND state = 'begun'",
            )
            .bind(&sid)
            .bind(&reached)
            .bind(tapped)
            .bind(&hash)
            .execute(&mut *conn)
            .await?;
            if done.rows_affected() != 1 {
                return Ok(false);
            }
            if has_ping {
                ping!(conn, &call, &id, &hash, now);
            }
            audit::record!(conn, &entry);
            Ok(true)
        })?)
    }

    /// Answers the token endpoint for the grant of CIBA.
    ///
    /// # Errors
    /// [`OpenIdError::Refused`], or ours.
    pub async fn confirmed(&self, caller: &Authenticated, asked: &TokenAsked) -> Result<TokenAnswer, OpenIdError> {
        use Code as C;
        caller.must_prove()?;
        let refuse = |code, what| Err(OpenIdError::Refused(Refusal::new(code, what)));
        let text = asked.auth_req_id.as_deref().filter(|text| !text.is_empty() && text.len() <= 200);
        let Some(text) = text else { return refuse(C::InvalidRequest, "auth_req_id is missing") };
        let (hash, now, client) = (stored(text), self.now(), caller.client());
        let (own, id) = (hash.clone(), client.id.clone());
        let row: Option<PolledRow> = transact!(self.database, "openid.confirmation.poll", |conn| {
            let row: Option<PolledRow> = sqlx::query_as(
                "SELECT state, scope, person, sid, reached, auth_ms, polled_ms, expires_ms FROM openid_confirmation
                 WHERE hash = $1 AND client = $2",
            )
            .bind(&own)
            .bind(&id)
            .fetch_optional(&mut *conn)
            .await?;
            sqlx::query("UPDATE openid_confirmation SET polled_ms = $1 WHERE hash = $2 AND client = $3")
                .bind(now.0)
                .bind(&own)
                .bind(&id)
                .execute(&mut *conn)
                .await?;
            Ok(row)
        })?;
        let Some((state, scope, person, sid, reached, auth, polled, expires)) = row else {
            return refuse(C::InvalidGrant, "auth_req_id is not known, or is another system's");
        };
        if now.0 >= expires {
            return refuse(C::ExpiredToken, "the specialist did not confirm in time");
        }
        let (sid, auth, reached) = match (state.as_str(), sid, auth, reached) {
            ("granted", Some(sid), Some(auth), Some(reached)) => (sid, auth, reached),
            ("waiting" | "begun", ..) => {
                let is_hasty = polled.is_some_and(|polled| now.0 - polled < INTERVAL_MS - GRACE_MS);
                if is_hasty {
                    return refuse(C::SlowDown, "wait 5 seconds between two questions");
                }
                return refuse(C::AuthorizationPending, "the specialist has not confirmed yet");
            }
            ("refused", ..) => return refuse(C::AccessDenied, "the specialist refused"),
            _ => return refuse(C::InvalidGrant, "auth_req_id was used"),
        };
        let Some(session) = self.session_of(&sid).await? else {
            return refuse(C::InvalidGrant, "the session at the workstation has ended");
        };
        let subject = self.subject_in(&sid).await?.unwrap_or_default();
        let (strength, pin) = reached.split_once(' ').unwrap_or((&reached, ""));
        let access_token = Token::draw()?;
        let further = Map::from_iter([("urn:openid:params:jwt:claim:auth_req_id".to_owned(), Value::from(text))]);
        let id_token = self
            .id_token(
                SignedIn {
                    client,
                    sid: &sid,
                    subject: &subject,
                    person: column("openid_confirmation", "person", &person, str::parse::<PersonId>)?,
                    scope: &scope,
                    strength: code("openid_confirmation", "reached", strength, Strength::parse)?,
                    has_typed_pin: pin == "pin",
                    auth: UtcMillis(auth),
                    nonce: None,
                    further,
                },
                &access_token,
            )
            .await?;
        let grant = Grant {
            origin: hash.clone(),
            token: access_token.stored(),
            sid,
            client: client.id.clone(),
            scope: scope.clone(),
            session: session.clone(),
            now,
            expires: now.plus_ms(client.is.access_ms),
        };
        let is_given = transact!(self.database, "openid.confirmation.redeem", |conn| {
            let first =
                sqlx::query("UPDATE openid_confirmation SET state = 'used' WHERE hash = $1 AND state = 'granted'")
                    .bind(&hash)
                    .execute(&mut *conn)
                    .await?;
            if first.rows_affected() != 1 {
                return Ok(false);
            }
            Ok(give!(conn, grant))
        })?;
        if !is_given {
            return refuse(C::InvalidGrant, "auth_req_id was used, or the session at the workstation has ended");
        }
        let expires_in = client.is.access_ms / 1000;
        Ok(TokenAnswer { access_token, id_token, expires_in, scope, session, launch: None })
    }

    async fn session_of(&self, sid: &str) -> Result<Option<String>, OpenIdError> {
        Ok(read!(self.database, "openid.session", |conn| {
            Ok(sqlx::query_scalar(
                "SELECT s.session FROM openid_sign_in s JOIN desk_session d ON d.id = s.session
                 WHERE s.sid = $1 AND s.ended_ms IS NULL AND d.ended_ms IS NULL",
            )
            .bind(sid)
            .fetch_optional(&mut *conn)
            .await?)
        })?)
    }

    /// The name of a request and the token of our answer, for the ping.
    pub(super) async fn pinged(
        &self,
        hash: &str,
    ) -> Result<Option<(Zeroizing<String>, Zeroizing<String>)>, OpenIdError> {
        let sealed: Option<Vec<u8>> = read!(self.database, "openid.confirmation.ping", |conn| {
            Ok(sqlx::query_scalar("SELECT sealed FROM openid_confirmation WHERE hash = $1")
                .bind(hash)
                .fetch_optional(&mut *conn)
                .await?)
        })?;
        let Some(sealed) = sealed else { return Ok(None) };
        let clear = self.opened(hash, sealed)?;
        let text = |name: &str| clear.get(name).and_then(Value::as_str).map(|text| Zeroizing::new(text.to_owned()));
        Ok(text("request").zip(text("bearer")))
    }
}
