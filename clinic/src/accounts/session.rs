//! Sessions: signing in, going on, ending. A session is looked up in the database at each request, so an ended one,
//! a disabled account or a lost role takes effect at once.

use std::fmt;
use std::net::IpAddr;

use domain::{Permission, Rights, UtcMillis};

use super::account::{AccountColumns, account_from, is_id};
use super::throttle::Subjects;
use super::{
    Account, AccountError, AccountId, Accounts, DeviceToken, Login, Password, SESSIONS_PER_ACCOUNT, SessionToken,
    log_line,
};
use crate::acting::{Acting, Actor};
use crate::roles::{self, Held, Standing};

/// A session's use is written at most this often, in milliseconds: reading a page must not cost a write each time.
const SEEN_GRAIN_MS: i64 = 1000;
/// Ended sessions stay listed for this long, in milliseconds: 90 days.
const KEPT_MS: i64 = 90 * 24 * 60 * 60 * 1000;
/// Longest stored description of a browser, in characters.
const AGENT_MAX_CHARS: usize = 160;

/// A session's id, fit to be shown; it opens nothing.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct SessionId(String);

impl SessionId {
    /// Reads an id from a form.
    pub fn parse(text: &str) -> Option<Self> {
        is_id(text).then(|| Self(text.to_owned()))
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// From where somebody comes.
#[derive(Debug, Clone)]
pub struct Visitor {
    /// The network address of the connection.
    pub address: IpAddr,
    /// What the browser calls itself; shown in the list of sessions.
    pub agent: String,
    /// By what the browser is known again; it is remembered with the account when signing in succeeds.
    pub device: Option<DeviceToken>,
}

impl Visitor {
    /// Somebody whose browser is not known.
    pub fn new(address: IpAddr, agent: impl Into<String>) -> Self {
        Self { address, agent: agent.into(), device: None }
    }

    fn shown_agent(&self) -> String {
        self.agent.chars().filter(|c| !c.is_control()).take(AGENT_MAX_CHARS).collect()
    }
}

/// Who is signed in, as of this request.
#[derive(Clone)]
pub struct Session {
    /// The id.
    pub id: SessionId,
    /// The secret that the browser holds.
    pub token: SessionToken,
    /// Whose it is.
    pub account: Account,
    /// The roles that it has now.
    pub roles: Vec<Held>,
    /// What it may do now.
    pub rights: Rights,
    /// The open breaking of glass that adds to its rights.
    pub glass: Option<crate::break_glass::Glass>,
    /// Whether the password was given so recently that changes to accounts need not ask for it again.
    pub is_fresh: bool,
    /// When it ends if it is not used again.
    pub idle_until: UtcMillis,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("id", &self.id).field("account", &self.account.id).finish_non_exhaustive()
    }
}

impl Session {
    /// This session as the one who does something, coming from `visitor`.
    pub fn acting(&self, visitor: &Visitor) -> Acting {
        Acting {
            actor: Actor::Account(self.account.id.as_str().to_owned()),
            rights: self.rights.clone(),
            session: Some(self.id.as_str().to_owned()),
            address: Some(visitor.address),
            glass: self.glass.as_ref().map(|glass| glass.id.clone()),
        }
    }
}

/// One line of a list of open sessions.
#[derive(Debug, Clone)]
pub struct OpenSession {
    /// The id.
    pub id: SessionId,
    /// When it was opened.
    pub opened_at: UtcMillis,
    /// When it was last used.
    pub seen_at: UtcMillis,
    /// The network address it was opened from.
    pub address: String,
    /// The browser it was opened with.
    pub agent: String,
}

/// Inserts a session inside a transaction and ends the oldest ones beyond the allowed number.
macro_rules! open_session {
    ($conn:expr, $rules:expr, $now:expr, $token_hash:expr, $account:expr, $address:expr, $agent:expr) => {{
        store::sqlx::query("DELETE FROM account_session WHERE expires_at < $1")
            .bind($now.plus_ms(-$crate::accounts::session::kept_ms()).0)
            .execute(&mut *$conn)
            .await?;
        store::sqlx::query(
            "INSERT INTO account_session \
             (token_hash, id, account, opened_at, seen_at, confirmed_at, expires_at, address, agent) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind($token_hash)
        .bind($crate::accounts::account::random_id())
        .bind($account)
        .bind($now.0)
        .bind($now.0)
        .bind($now.0)
        .bind($now.plus_ms($rules.absolute_ms).0)
        .bind($address)
        .bind($agent)
        .execute(&mut *$conn)
        .await?;
        store::sqlx::query(
            "UPDATE account_session SET ended_at = $1, ended_why = 'too_many' \
             WHERE account = $2 AND ended_at IS NULL AND token_hash NOT IN ( \
             SELECT token_hash FROM account_session WHERE account = $2 AND ended_at IS NULL \
             ORDER BY opened_at DESC, token_hash LIMIT $3)",
        )
        .bind($now.0)
        .bind($account)
        .bind($crate::accounts::SESSIONS_PER_ACCOUNT)
        .execute(&mut *$conn)
        .await?;
        store::sqlx::query("UPDATE account SET signed_in_at = $1 WHERE id = $2")
            .bind($now.0)
            .bind($account)
            .execute(&mut *$conn)
            .await?;
    }};
}
pub(super) use open_session;

pub(super) const fn kept_ms() -> i64 {
    KEPT_MS
}

impl Accounts {
    /// Opens a session for the right name and password; a new token each time. Unknown name, disabled account, no
    /// password yet and wrong password are all [`AccountError::WrongPassword`], after the same work.
    pub async fn sign_in(
        &self,
        login: &str,
        password: Password,
        visitor: &Visitor,
    ) -> Result<SessionToken, AccountError> {
        let now = self.clock.now();
        let login = Login::new(login);
        let name = login.as_ref().map_or("", Login::as_str).to_owned();
        let address = visitor.address.to_string();
        let row: Option<(String, Option<String>, Option<i64>)> =
            store::read!(self.database, "accounts.sign_in", |conn| {
                Ok(store::sqlx::query_as("SELECT id, password_hash, disabled_at FROM account WHERE login = $1")
                    .bind(&name)
                    .fetch_optional(&mut *conn)
                    .await?)
            })?;
        let known: i64 = store::read!(self.database, "accounts.sign_in", |conn| {
            Ok(store::sqlx::query_scalar(
                "SELECT COUNT(*) FROM account_session JOIN account ON account.id = account_session.account \
                 WHERE account.login = $1 AND account_session.address = $2",
            )
            .bind(&name)
            .bind(&address)
            .fetch_one(&mut *conn)
            .await?)
        })?;
        let subjects = Subjects::new(&name, visitor.address, known > 0);
        self.count_try(subjects.clone(), now).await?;
        let (account, stored) = match row {
            Some((id, hash, None)) => (Some(id), hash),
            Some((_, _, Some(_))) | None => (None, None),
        };
        let right = self.workers.verify(password, stored).await?;
        let (true, Some(account)) = (right, account) else {
            self.note_failure(name, address, now).await?;
            return Err(AccountError::WrongPassword);
        };
        self.forgive_try(subjects).await?;
        let token = SessionToken::draw()?;
        let (stored, agent, rules) = (token.stored(), visitor.shown_agent(), self.rules);
        store::transact!(self.database, "accounts.sign_in", |conn| {
            open_session!(conn, rules, now, &stored, &account, &address, &agent);
            log_line!(conn, now, Some(&account), "signed_in", Some(&account), Some(&address), None::<String>);
            Ok(())
        })?;
        Ok(token)
    }

    /// A failure names the account only if there is one: a name that nobody has may be a mistyped password.
    async fn note_failure(&self, login: String, address: String, now: UtcMillis) -> Result<(), AccountError> {
        store::transact!(self.database, "accounts.sign_in", |conn| {
            let target: Option<String> = store::sqlx::query_scalar("SELECT id FROM account WHERE login = $1")
                .bind(&login)
                .fetch_optional(&mut *conn)
                .await?;
            log_line!(conn, now, None::<String>, "sign_in_failed", target, Some(&address), None::<String>);
            Ok(())
        })?;
        Ok(())
    }

    /// Who holds this token, if its session is still open. `use_it` moves the idle limit.
    pub async fn resume(&self, token: &SessionToken, use_it: bool) -> Result<Option<Session>, AccountError> {
        let now = self.clock.now();
        let stored = token.stored();
        let row: Option<(String, i64, i64, i64)> = store::read!(self.database, "accounts.resume", |conn| {
            Ok(store::sqlx::query_as(
                "SELECT id, seen_at, confirmed_at, expires_at FROM account_session \
                 WHERE token_hash = $1 AND ended_at IS NULL",
            )
            .bind(&stored)
            .fetch_optional(&mut *conn)
            .await?)
        })?;
        let Some((id, seen_at, confirmed_at, expires_at)) = row else { return Ok(None) };
        let idle_ms = now.since_ms(UtcMillis(seen_at));
        if now.0 >= expires_at || idle_ms >= self.rules.idle_ms {
            return Ok(None);
        }
        let row: Option<AccountColumns> = store::read!(self.database, "accounts.resume", |conn| {
            Ok(store::sqlx::query_as(
                "SELECT account.id, login, shown_name, locale, theme FROM account \
                 JOIN account_session ON account_session.account = account.id \
                 WHERE token_hash = $1 AND disabled_at IS NULL",
            )
            .bind(&stored)
            .fetch_optional(&mut *conn)
            .await?)
        })?;
        let Some(row) = row else { return Ok(None) };
        let account = account_from(row)?;
        let Standing { roles, rights, glass } = roles::standing_of(&self.database, &account.id, now).await?;
        if use_it && idle_ms >= SEEN_GRAIN_MS {
            store::transact!(self.database, "accounts.resume", |conn| {
                store::sqlx::query(
                    "UPDATE account_session SET seen_at = $1 WHERE token_hash = $2 AND ended_at IS NULL AND seen_at < $1",
                )
                .bind(now.0)
                .bind(&stored)
                .execute(&mut *conn)
                .await?;
                Ok(())
            })?;
        }
        let seen_at = if use_it { now.0.max(seen_at) } else { seen_at };
        Ok(Some(Session {
            id: SessionId::parse(&id).ok_or(AccountError::BadRow { table: "account_session", column: "id" })?,
            token: token.clone(),
            account,
            roles,
            rights,
            glass,
            is_fresh: now.since_ms(UtcMillis(confirmed_at)) < self.rules.fresh_ms,
            idle_until: UtcMillis(seen_at.saturating_add(self.rules.idle_ms).min(expires_at)),
        }))
    }

    /// Makes the session fresh again by the account's password; wrong ones are throttled like a sign-in.
    pub async fn confirm(&self, session: &Session, password: Password, address: IpAddr) -> Result<(), AccountError> {
        self.prove(session, password, address).await?;
        let (now, id) = (self.clock.now(), session.id.as_str().to_owned());
        store::transact!(self.database, "accounts.confirm", |conn| {
            store::sqlx::query("UPDATE account_session SET confirmed_at = $1 WHERE id = $2 AND ended_at IS NULL")
                .bind(now.0)
                .bind(&id)
                .execute(&mut *conn)
                .await?;
            Ok(())
        })?;
        Ok(())
    }

    /// Checks the password of who is signed in.
    pub(super) async fn prove(
        &self,
        session: &Session,
        password: Password,
        address: IpAddr,
    ) -> Result<(), AccountError> {
        let now = self.clock.now();
        let subjects = Subjects::new(session.account.login.as_str(), address, true);
        self.count_try(subjects.clone(), now).await?;
        let id = session.account.id.as_str();
        let stored: Option<Option<String>> = store::read!(self.database, "accounts.confirm", |conn| {
            Ok(store::sqlx::query_scalar("SELECT password_hash FROM account WHERE id = $1")
                .bind(id)
                .fetch_optional(&mut *conn)
                .await?)
        })?;
        if !self.workers.verify(password, stored.flatten()).await? {
            return Err(AccountError::WrongPassword);
        }
        self.forgive_try(subjects).await
    }

    /// Ends the session of this token; nothing happens if it has ended already.
    pub async fn sign_out(&self, session: &Session) -> Result<(), AccountError> {
        self.end_one(Some(session.account.id.as_str().to_owned()), &session.id, false).await
    }

    /// Ends one session: one's own, or anybody's with [`Permission::AccountEdit`].
    pub async fn end_session(&self, acting: &Acting, session: &SessionId) -> Result<(), AccountError> {
        let any = acting.rights.allows(Permission::AccountEdit);
        self.end_one(acting.account().map(str::to_owned), session, any).await
    }

    async fn end_one(&self, actor_id: Option<String>, session: &SessionId, any: bool) -> Result<(), AccountError> {
        let (now, id, any) = (self.clock.now(), session.as_str().to_owned(), i64::from(any));
        store::transact!(self.database, "accounts.end_session", |conn| {
            let owner: Option<String> = store::sqlx::query_scalar(
                "UPDATE account_session SET ended_at = $1, ended_why = 'ended' \
                 WHERE id = $2 AND ended_at IS NULL AND (account = $3 OR $4 = 1) RETURNING account",
            )
            .bind(now.0)
            .bind(&id)
            .bind(&actor_id)
            .bind(any)
            .fetch_optional(&mut *conn)
            .await?;
            if let Some(owner) = owner {
                log_line!(conn, now, actor_id.as_ref(), "session_ended", Some(&owner), None::<String>, None::<String>);
            }
            Ok(())
        })?;
        Ok(())
    }

    /// Open sessions of an account, the newest first.
    pub async fn list_sessions(&self, account: &AccountId) -> Result<Vec<OpenSession>, AccountError> {
        let now = self.clock.now();
        let idle_since = now.plus_ms(-self.rules.idle_ms);
        let account = account.as_str();
        let rows: Vec<(String, i64, i64, String, String)> =
            store::read!(self.database, "accounts.list_sessions", |conn| {
                Ok(store::sqlx::query_as(
                    "SELECT id, opened_at, seen_at, address, agent FROM account_session \
                     WHERE account = $1 AND ended_at IS NULL AND expires_at > $2 AND seen_at > $3 \
                     ORDER BY opened_at DESC, id LIMIT $4",
                )
                .bind(account)
                .bind(now.0)
                .bind(idle_since.0)
                .bind(SESSIONS_PER_ACCOUNT)
                .fetch_all(&mut *conn)
                .await?)
            })?;
        rows.into_iter()
            .map(|(id, opened_at, seen_at, address, agent)| {
                let id =
                    SessionId::parse(&id).ok_or(AccountError::BadRow { table: "account_session", column: "id" })?;
                Ok(OpenSession { id, opened_at: UtcMillis(opened_at), seen_at: UtcMillis(seen_at), address, agent })
            })
            .collect()
    }
}
