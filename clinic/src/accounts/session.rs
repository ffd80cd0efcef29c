//! Sessions: signing in, going on, ending. A session is looked up in the database at each request, so an ended one,
//! a disabled account or a lost role takes effect at once.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use domain::{Permission, Rights, UtcMillis};

use super::account::{AccountColumns, account_from, is_id};
use super::throttle::{Known, Subjects};
use super::workers::{Line, Place};
use super::{
    Account, AccountError, AccountId, Accounts, DeviceToken, Password, SESSIONS_PER_ACCOUNT, SessionToken, hashing,
    own_entry,
};
use crate::acting::{Acting, Actor};
use crate::audit::{self, Action, Draft};
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

    pub(super) fn shown_agent(&self) -> String {
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
    /// What tokens of forms are made from: the browser never holds it, so a copied cookie alone makes no token.
    pub form_secret: SessionToken,
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

/// A session that is about to be opened.
pub(super) struct Opening {
    pub token: SessionToken,
    /// What tokens of forms are made from.
    pub form_secret: SessionToken,
    pub id: String,
    pub stored: String,
    pub address: String,
    pub agent: String,
    /// The hash of the browser's long-lived value, where it has one.
    pub device: Option<String>,
}

impl Opening {
    pub(super) fn draw(visitor: &Visitor) -> Result<Self, AccountError> {
        let token = SessionToken::draw()?;
        Ok(Self {
            stored: token.stored(),
            token,
            form_secret: SessionToken::draw()?,
            id: super::random_id(),
            address: visitor.address.to_string(),
            agent: visitor.shown_agent(),
            device: visitor.device.as_ref().map(DeviceToken::stored),
        })
    }
}

/// Inserts a session inside a transaction, ends the oldest ones beyond the allowed number, remembers the browser and
/// tells the holder of one that was not used before.
macro_rules! open_session {
    ($conn:expr, $rules:expr, $now:expr, $opening:expr, $account:expr) => {{
        store::sqlx::query("DELETE FROM account_session WHERE expires_at < $1")
            .bind($now.plus_ms(-$crate::accounts::session::kept_ms()).0)
            .execute(&mut *$conn)
            .await?;
        store::sqlx::query(
            "INSERT INTO account_session \
             (token_hash, id, account, opened_at, seen_at, confirmed_at, expires_at, address, agent, form_secret) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(&$opening.stored)
        .bind(&$opening.id)
        .bind($account)
        .bind($now.0)
        .bind($now.0)
        .bind($now.0)
        .bind($now.plus_ms($rules.absolute_ms).0)
        .bind(&$opening.address)
        .bind(&$opening.agent)
        .bind($opening.form_secret.reveal())
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
        if $crate::accounts::device::remember_device!($conn, $now, $opening.device.as_ref(), $account) {
            let notice = $crate::notices::Notice::new(
                $now,
                $crate::notices::To::Account($account.to_owned()),
                $crate::notices::NoticeKind::NewDevice,
            );
            let notice = notice.with("address", &$opening.address).with("agent", &$opening.agent);
            $crate::notices::enqueue!($conn, &notice);
        }
    }};
}
pub(super) use open_session;

pub(super) const fn kept_ms() -> i64 {
    KEPT_MS
}

/// Inside a transaction: gives a session a new token, with which only its holder goes on. One that has ended stays so.
macro_rules! renew_session {
    ($conn:expr, $now:expr, $session:expr, $token:expr) => {{
        store::sqlx::query(
            "UPDATE account_session SET token_hash = $1, confirmed_at = $2, seen_at = $2 \
             WHERE id = $3 AND ended_at IS NULL",
        )
        .bind($token.stored())
        .bind($now.0)
        .bind($session)
        .execute(&mut *$conn)
        .await?;
    }};
}
pub(super) use renew_session;

/// Inside a transaction: ends every open session of an account but one.
macro_rules! end_all {
    ($conn:expr, $now:expr, $id:expr, $keep:expr, $why:expr) => {
        store::sqlx::query(
            "UPDATE account_session SET ended_at = $1, ended_why = $2 WHERE account = $3 AND ended_at IS NULL AND id <> $4",
        )
        .bind($now.0)
        .bind($why)
        .bind($id)
        .bind($keep)
        .execute(&mut *$conn)
        .await?
    };
}
pub(super) use end_all;

impl Accounts {
    /// Who holds this token, if its session is still open. `use_it` moves the idle limit.
    pub async fn resume(&self, token: &SessionToken, use_it: bool) -> Result<Option<Session>, AccountError> {
        let now = self.clock.now();
        let stored = token.stored();
        let row: Option<(String, i64, i64, i64, String)> = store::read!(self.database, "accounts.resume", |conn| {
            Ok(store::sqlx::query_as(
                "SELECT id, seen_at, confirmed_at, expires_at, form_secret FROM account_session \
                 WHERE token_hash = $1 AND ended_at IS NULL",
            )
            .bind(&stored)
            .fetch_optional(&mut *conn)
            .await?)
        })?;
        let Some((id, seen_at, confirmed_at, expires_at, form_secret)) = row else { return Ok(None) };
        // A session from before forms had secrets of their own.
        let Some(form_secret) = SessionToken::parse(&form_secret) else { return Ok(None) };
        let idle_ms = now.since_ms(UtcMillis(seen_at));
        if now.0 >= expires_at || idle_ms >= self.rules.idle_ms {
            return Ok(None);
        }
        let row: Option<AccountColumns> = store::read!(self.database, "accounts.resume", |conn| {
            Ok(store::sqlx::query_as(
                "SELECT account.id, login, shown_name, name_box, locale, theme FROM account \
                 JOIN account_session ON account_session.account = account.id \
                 WHERE token_hash = $1 AND disabled_at IS NULL",
            )
            .bind(&stored)
            .fetch_optional(&mut *conn)
            .await?)
        })?;
        let Some(row) = row else { return Ok(None) };
        let account = account_from(&self.cabinet, row)?;
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
            form_secret,
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

    /// Checks the password of who is signed in. Answers their place in the line, for a hash that follows.
    pub(super) async fn prove(
        &self,
        session: &Session,
        password: Password,
        address: IpAddr,
    ) -> Result<Arc<Place>, AccountError> {
        let now = self.clock.now();
        let place = Arc::new(self.workers.place(Line::Known)?);
        // Who is signed in is counted by the session: nobody else's guessing keeps them from their own account.
        let known = Known::Session(session.id.as_str().to_owned());
        let subjects = Subjects::password(session.account.login.as_str(), address, &known);
        self.count_try(&subjects, now).await?;
        let id = session.account.id.as_str();
        let stored: Option<Option<String>> = store::read!(self.database, "accounts.confirm", |conn| {
            Ok(store::sqlx::query_scalar("SELECT password_hash FROM account WHERE id = $1")
                .bind(id)
                .fetch_optional(&mut *conn)
                .await?)
        })?;
        let stored = stored.flatten();
        let verdict = self.workers.run(&place, move || hashing::verify(&password, stored.as_deref(), None)).await?;
        if !verdict.is_right {
            return Err(AccountError::WrongPassword);
        }
        self.forgive_try(subjects).await?;
        Ok(place)
    }

    /// Ends the session of this token; nothing happens if it has ended already.
    pub async fn sign_out(&self, session: &Session) -> Result<(), AccountError> {
        let id = session.account.id.as_str();
        let visitor = Visitor::new(IpAddr::from([0, 0, 0, 0]), "");
        let entry = own_entry(self.clock.now(), Action::SessionEnded, id, Some(session.id.as_str()), &visitor);
        self.end_one(Some(id.to_owned()), &session.id, false, Draft { address: None, ..entry }).await
    }

    /// Ends one session: one's own, or anybody's with [`Permission::AccountEdit`].
    pub async fn end_session(&self, acting: &Acting, session: &SessionId) -> Result<(), AccountError> {
        let any = acting.rights.allows(Permission::AccountEdit);
        let entry = acting.draft(self.clock.now(), Action::SessionEnded);
        self.end_one(acting.account().map(str::to_owned), session, any, entry).await
    }

    async fn end_one(
        &self,
        actor_id: Option<String>,
        session: &SessionId,
        any: bool,
        entry: Draft,
    ) -> Result<(), AccountError> {
        let (now, id, any) = (entry.at, session.as_str().to_owned(), i64::from(any));
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
                let entry = Draft { object: Some(owner), detail: Some(format!("session {id}")), ..entry.clone() };
                audit::record!(conn, &entry);
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
