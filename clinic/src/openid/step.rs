//! A waiting sign-in goes on: answered by who is bound to its workstation, as soon as what it demands is there. A tap counts
//! at its own workstation only, and where a fresh one is demanded, only one from after the request.

use domain::{PersonId, PointId, UtcMillis};
use serde_json::{Value, json};
use store::{read, transact};

use super::clients::Strength;
use super::read::{AtDesk, ClientRow, DeskState, at_desk, client, last_tap, staff_name};
use super::secret::{draw_id, stored};
use super::uris::with_query;
use super::{Client, Code, OpenIdError, Provider, Refusal, Token};
use crate::rows::{code, optional};

/// What a waiting sign-in still lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitFor {
    /// A tap: nobody is bound here.
    Tap,
    /// A tap from now on, though somebody is bound here.
    FreshTap,
    /// The card of the one who had signed in there before.
    OtherPerson,
    /// The workstation is locked: its specialist's tap.
    Unlock,
    /// The PIN.
    Pin,
}

/// How a waiting sign-in stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Show the system's name and what is missing.
    Wait {
        /// The name of the system.
        name: String,
        /// What is missing.
        what: WaitFor,
        /// When it gives up.
        expires: UtcMillis,
    },
    /// Send the browser there.
    Go(String),
    /// It is over: answered, too old, or never was. Begin again in that system.
    Spent,
    /// It belongs to another workstation.
    Elsewhere,
}

#[derive(sqlx::FromRow)]
struct Row {
    client: String,
    workstation: Option<String>,
    redirect_uri: String,
    scope: String,
    challenge: String,
    sealed: Vec<u8>,
    prompt: String,
    max_age_s: Option<i64>,
    strength: String,
    person: Option<String>,
    floor: i64,
    made_ms: i64,
    expires_ms: i64,
    done_ms: Option<i64>,
}

/// What a sign-in demands, apart from which system it is for.
#[derive(Debug, Clone)]
struct Demand {
    is_silent: bool,
    is_fresh: bool,
    max_age_s: Option<i64>,
    strength: Strength,
    person: Option<PersonId>,
    made: UtcMillis,
}

/// What is so at the workstation.
#[derive(Debug, Clone)]
struct Found {
    desk: Option<AtDesk>,
    /// The last tap in this session from after the request came, at the reader.
    tapped: Option<UtcMillis>,
    /// When the system itself signed its user out in this session.
    signed_out: Option<UtcMillis>,
}

fn judge(demand: &Demand, found: &Found, now: UtcMillis) -> Result<(), WaitFor> {
    let Some(desk) = &found.desk else { return Err(WaitFor::Tap) };
    match desk.state {
        DeskState::Ended => return Err(WaitFor::Tap),
        DeskState::Locked => return Err(WaitFor::Unlock),
        DeskState::Waiting => return Err(WaitFor::Pin),
        DeskState::Open => {}
    }
    if demand.person.is_some_and(|person| person != desk.person) {
        return Err(WaitFor::OtherPerson);
    }
    let is_old = demand.max_age_s.is_some_and(|age| now.since_ms(desk.confirmed) > age.saturating_mul(1000));
    let is_signed_out = found.signed_out.is_some_and(|at| at >= desk.confirmed);
    let is_fresh = found.tapped.is_some_and(|at| at > demand.made);
    // With `max_age` a tap from after the request is fresh enough, however long its report took.
    if !is_fresh && (demand.is_fresh || is_old || is_signed_out) {
        return Err(WaitFor::FreshTap);
    }
    if desk.strength < demand.strength {
        return Err(WaitFor::Pin);
    }
    Ok(())
}

/// Everything that is read for a step.
struct Read {
    row: Row,
    client: Option<(ClientRow, Vec<(String, String)>)>,
    desk: Option<AtDesk>,
    tapped: Option<i64>,
    signed_out: Option<i64>,
    sid: Option<String>,
    names: Option<(Option<String>, Option<String>)>,
}

impl Provider {
    /// Goes on with a waiting sign-in at this workstation. The first workstation that asks is its own; no other one ever
    /// answers it.
    ///
    /// # Errors
    /// The database, or random bytes.
    pub async fn step(&self, handle: &str, workstation: &PointId) -> Result<Step, OpenIdError> {
        // Once more where another window of the same browser was a moment earlier.
        match self.step_once(handle, workstation).await? {
            Some(step) => Ok(step),
            None => Ok(self.step_once(handle, workstation).await?.unwrap_or(Step::Spent)),
        }
    }

    async fn step_once(&self, handle: &str, workstation: &PointId) -> Result<Option<Step>, OpenIdError> {
        let (hash, now) = (stored(handle), self.now());
        let Some(read) = self.read_waiting(&hash, workstation).await? else { return Ok(Some(Step::Spent)) };
        let row = &read.row;
        if row.done_ms.is_some() || now.0 >= row.expires_ms {
            return Ok(Some(Step::Spent));
        }
        match row.workstation.as_deref() {
            Some(own) if own == workstation.as_str() => {}
            Some(_) => return Ok(Some(Step::Elsewhere)),
            None if !self.bind_waiting(&hash, workstation).await? => return Ok(Some(Step::Elsewhere)),
            None => {}
        }
        let Some((client, uris)) = read.client else { return Ok(Some(Step::Spent)) };
        let client = client.read(uris)?;
        if client.ended.is_some() {
            return Ok(Some(Step::Spent));
        }
        const TABLE: &str = "openid_request";
        let demand = Demand {
            is_silent: row.prompt == "none",
            is_fresh: row.prompt == "login",
            max_age_s: row.max_age_s,
            strength: code(TABLE, "strength", &row.strength, Strength::parse)?,
            person: optional(TABLE, "person", row.person.as_deref(), str::parse::<PersonId>)?,
            made: UtcMillis(row.made_ms),
        };
        let found =
            Found { desk: read.desk, tapped: read.tapped.map(UtcMillis), signed_out: read.signed_out.map(UtcMillis) };
        let echo: Value = serde_json::from_slice(&self.sealer.open("openid_request", &hash, row.sealed.clone())?)
            .map_err(|_| OpenIdError::System("a waiting sign-in cannot be read"))?;
        let state = echo.get("state").and_then(Value::as_str);
        let refused = |refusal: &Refusal| self.error_url(&row.redirect_uri, state, refusal).unwrap_or_default();
        let desk = match (judge(&demand, &found, now), found.desk) {
            (Ok(()), Some(desk)) => desk,
            (Err(what), _) if demand.is_silent => {
                let refusal = match what {
                    WaitFor::Pin => Refusal::new(Code::InteractionRequired, "the specialist's PIN is wanted"),
                    _ => Refusal::new(Code::LoginRequired, "a tap of the card at this workstation is wanted"),
                };
                let is_ours = self.done(&hash).await?;
                return Ok(Some(if is_ours { Step::Go(refused(&refusal)) } else { Step::Spent }));
            }
            (what, _) => {
                let what = what.err().unwrap_or(WaitFor::Tap);
                return Ok(Some(Step::Wait { name: client.is.name, what, expires: UtcMillis(row.expires_ms) }));
            }
        };
        let Some(subject) = client.subject_of(desk.person, read.names.as_ref()) else {
            let refusal = Refusal::new(
                Code::AccessDenied,
                "this specialist has no name in this system: enter it on the page of staff, or let a feed tell it",
            );
            tracing::warn!(client = client.id, "openid.subject.missing");
            let is_ours = self.done(&hash).await?;
            return Ok(Some(if is_ours { Step::Go(refused(&refusal)) } else { Step::Spent }));
        };
        let nonce = echo.get("nonce").cloned().unwrap_or(Value::Null);
        let granted = Granted { hash: &hash, row, client: &client, desk: &desk, sid: read.sid, subject, nonce };
        let Some(code) = self.grant(granted).await? else { return Ok(None) };
        let mut pairs = vec![("code", code.reveal()), ("iss", self.rules.issuer.as_str())];
        pairs.extend(state.map(|state| ("state", state)));
        let url = with_query(&row.redirect_uri, &pairs);
        url.map(|url| Some(Step::Go(url))).ok_or(OpenIdError::System("a registered address cannot be read"))
    }

    async fn read_waiting(&self, hash: &str, workstation: &PointId) -> Result<Option<Read>, OpenIdError> {
        let (hash, workstation) = (hash.to_owned(), workstation.as_str().to_owned());
        Ok(read!(self.database, "openid.step", |conn| {
            let row: Option<Row> = sqlx::query_as(
                "SELECT client, workstation, redirect_uri, scope, challenge, sealed, prompt, max_age_s, strength, person,
                     floor, made_ms, expires_ms, done_ms
                 FROM openid_request WHERE hash = $1",
            )
            .bind(&hash)
            .fetch_optional(&mut *conn)
            .await?;
            let Some(row) = row else { return Ok(None) };
            let client = client!(conn, &row.client);
            let desk = at_desk!(conn, &workstation);
            let (mut tapped, mut signed_out, mut sid, mut names) = (None, None, None, None);
            if let Some(desk) = &desk {
                tapped = last_tap!(conn, desk, row.floor);
                names = staff_name!(conn, desk.person);
                sid = sqlx::query_scalar(
                    "SELECT sid FROM openid_sign_in WHERE session = $1 AND client = $2 AND ended_ms IS NULL",
                )
                .bind(&desk.session)
                .bind(&row.client)
                .fetch_optional(&mut *conn)
                .await?;
                signed_out = sqlx::query_scalar::<_, Option<i64>>(
                    "SELECT MAX(ended_ms) FROM openid_sign_in WHERE session = $1 AND client = $2",
                )
                .bind(&desk.session)
                .bind(&row.client)
                .fetch_one(&mut *conn)
                .await?;
            }
            Ok(Some(Read { row, client, desk, tapped, signed_out, sid, names }))
        })?)
    }

    async fn bind_waiting(&self, hash: &str, workstation: &PointId) -> Result<bool, OpenIdError> {
        let (hash, workstation) = (hash.to_owned(), workstation.as_str().to_owned());
        Ok(transact!(self.database, "openid.bind", |conn| {
            let done =
                sqlx::query("UPDATE openid_request SET workstation = $1 WHERE hash = $2 AND workstation IS NULL")
                    .bind(&workstation)
                    .bind(&hash)
                    .execute(&mut *conn)
                    .await?;
            Ok(done.rows_affected() == 1)
        })?)
    }

    async fn done(&self, hash: &str) -> Result<bool, OpenIdError> {
        let (hash, now) = (hash.to_owned(), self.now());
        Ok(transact!(self.database, "openid.done", |conn| {
            let done = sqlx::query("UPDATE openid_request SET done_ms = $1 WHERE hash = $2 AND done_ms IS NULL")
                .bind(now.0)
                .bind(&hash)
                .execute(&mut *conn)
                .await?;
            Ok(done.rows_affected() == 1)
        })?)
    }

    /// Draws the code, if everything is still so: the request not answered, the session open and nobody else's.
    async fn grant(&self, granted: Granted<'_>) -> Result<Option<Token>, OpenIdError> {
        let code = Token::draw()?;
        let stored_code = code.stored();
        let now = self.now();
        let is_new = granted.sid.is_none();
        let sid = match granted.sid {
            Some(sid) => sid,
            None => draw_id()?,
        };
        let subject = self.sealer.seal("openid_sign_in", &sid, granted.subject.as_bytes())?;
        let clear = json!({"nonce": granted.nonce, "pin": granted.desk.has_typed_pin}).to_string();
        let sealed = self.sealer.seal("openid_code", &stored_code, clear.as_bytes())?;
        let expires = now.plus_ms(self.rules.code_ms.min(super::rules::CODE_MAX_MS));
        let (hash, client) = (granted.hash.to_owned(), granted.client.id.clone());
        let (uri, scope, challenge) =
            (granted.row.redirect_uri.clone(), granted.row.scope.clone(), granted.row.challenge.clone());
        let desk = granted.desk.clone();
        let is_done = transact!(self.database, "openid.grant", |conn| {
            // Order matters on PostgreSQL: the request's row is what two browsers' steps meet at.
            let done = sqlx::query("UPDATE openid_request SET done_ms = $1 WHERE hash = $2 AND done_ms IS NULL")
                .bind(now.0)
                .bind(&hash)
                .execute(&mut *conn)
                .await?;
            let still = at_desk!(conn, &desk.workstation);
            let is_same = still.is_some_and(|still| still.session == desk.session && still.state == DeskState::Open);
            let current: Option<String> = sqlx::query_scalar(
                "SELECT sid FROM openid_sign_in WHERE session = $1 AND client = $2 AND ended_ms IS NULL",
            )
            .bind(&desk.session)
            .bind(&client)
            .fetch_optional(&mut *conn)
            .await?;
            let is_current = if is_new { current.is_none() } else { current.as_ref() == Some(&sid) };
            if done.rows_affected() != 1 {
                return Ok(false);
            }
            if !is_same || !is_current {
                // Nothing was done: the request may be tried again.
                sqlx::query("UPDATE openid_request SET done_ms = NULL WHERE hash = $1 AND done_ms = $2")
                    .bind(&hash)
                    .bind(now.0)
                    .execute(&mut *conn)
                    .await?;
                return Ok(false);
            }
            if is_new {
                let made = sqlx::query(
                    "INSERT INTO openid_sign_in (sid, session, client, person, sealed, began_ms)
                     VALUES ($1, $2, $3, $4, $5, $6)
                     ON CONFLICT (session, client) WHERE ended_ms IS NULL DO NOTHING",
                )
                .bind(&sid)
                .bind(&desk.session)
                .bind(&client)
                .bind(desk.person.to_string())
                .bind(&subject)
                .bind(now.0)
                .execute(&mut *conn)
                .await?;
                if made.rows_affected() != 1 {
                    // The other window was in the middle of the same.
                    sqlx::query("UPDATE openid_request SET done_ms = NULL WHERE hash = $1 AND done_ms = $2")
                        .bind(&hash)
                        .bind(now.0)
                        .execute(&mut *conn)
                        .await?;
                    return Ok(false);
                }
            }
            sqlx::query(
                "INSERT INTO openid_code (hash, sid, client, redirect_uri, scope, challenge, sealed, strength, auth_ms,
                     made_ms, expires_ms)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
            )
            .bind(&stored_code)
            .bind(&sid)
            .bind(&client)
            .bind(&uri)
            .bind(&scope)
            .bind(&challenge)
            .bind(&sealed)
            .bind(desk.strength.as_str())
            .bind(desk.confirmed.0)
            .bind(now.0)
            .bind(expires.0)
            .execute(&mut *conn)
            .await?;
            Ok(true)
        })?;
        Ok(is_done.then_some(code))
    }
}

struct Granted<'a> {
    hash: &'a str,
    row: &'a Row,
    client: &'a Client,
    desk: &'a AtDesk,
    sid: Option<String>,
    subject: String,
    nonce: Value,
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UtcMillis = UtcMillis(1_000_000);

    fn demand() -> Demand {
        Demand {
            is_silent: false,
            is_fresh: false,
            max_age_s: None,
            strength: Strength::Badge,
            person: None,
            made: NOW.plus_ms(-5000),
        }
    }

    fn found(state: DeskState, strength: Strength) -> Found {
        let desk = AtDesk {
            session: "s".into(),
            workstation: "w".into(),
            person: PersonId([1; 16]),
            state,
            strength,
            has_typed_pin: false,
            confirmed: NOW.plus_ms(-60_000),
        };
        Found { desk: Some(desk), tapped: None, signed_out: None }
    }

    #[test]
    fn an_open_session_answers_at_once_and_no_other() {
        let open = found(DeskState::Open, Strength::Badge);
        assert_eq!(judge(&demand(), &open, NOW), Ok(()));
        assert_eq!(judge(&demand(), &Found { desk: None, ..open }, NOW), Err(WaitFor::Tap));
        let state = |state| judge(&demand(), &found(state, Strength::BadgePin), NOW);
        assert_eq!(state(DeskState::Ended), Err(WaitFor::Tap));
        assert_eq!(state(DeskState::Locked), Err(WaitFor::Unlock));
        assert_eq!(state(DeskState::Waiting), Err(WaitFor::Pin));
    }

    #[test]
    fn a_fresh_sign_in_takes_only_a_tap_from_after_the_request() {
        let fresh = Demand { is_fresh: true, ..demand() };
        let at = |ms: i64| Found { tapped: Some(NOW.plus_ms(ms)), ..found(DeskState::Open, Strength::Badge) };
        assert_eq!(judge(&fresh, &found(DeskState::Open, Strength::Badge), NOW), Err(WaitFor::FreshTap));
        assert_eq!(judge(&fresh, &at(-5000), NOW), Err(WaitFor::FreshTap), "reported late, tapped before");
        assert_eq!(judge(&fresh, &at(-4999), NOW), Ok(()));
    }

    #[test]
    fn an_age_beyond_the_asked_one_wants_a_tap() {
        let open = found(DeskState::Open, Strength::Badge);
        let aged = |max_age_s| judge(&Demand { max_age_s: Some(max_age_s), ..demand() }, &open, NOW);
        assert_eq!(aged(60), Ok(()));
        assert_eq!(aged(59), Err(WaitFor::FreshTap));
        let tapped = Found { tapped: Some(NOW.plus_ms(-100)), ..open.clone() };
        assert_eq!(judge(&Demand { max_age_s: Some(0), ..demand() }, &tapped, NOW), Ok(()));
    }

    #[test]
    fn who_signed_out_there_is_not_signed_in_again_without_a_tap() {
        let out = Found { signed_out: Some(NOW.plus_ms(-1000)), ..found(DeskState::Open, Strength::Badge) };
        assert_eq!(judge(&demand(), &out, NOW), Err(WaitFor::FreshTap));
        let before = Found { signed_out: Some(NOW.plus_ms(-61_000)), ..out };
        assert_eq!(judge(&demand(), &before, NOW), Ok(()), "tapped since");
    }

    #[test]
    fn strength_and_person_are_as_demanded() {
        let open = found(DeskState::Open, Strength::Badge);
        let strong = Demand { strength: Strength::BadgePin, ..demand() };
        assert_eq!(judge(&strong, &open, NOW), Err(WaitFor::Pin));
        assert_eq!(judge(&strong, &found(DeskState::Open, Strength::BadgePin), NOW), Ok(()));
        let other = Demand { person: Some(PersonId([2; 16])), ..demand() };
        assert_eq!(judge(&other, &open, NOW), Err(WaitFor::OtherPerson));
    }
}
