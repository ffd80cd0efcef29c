//! How long each class of data is kept, and the work that removes what has outlived its term: daily by the program, by
//! hand with a dry run. Owns the table `retention_run`; removes rows of other modules' tables that nothing points to
//! any more. Never touches the audit log, the register of disclosures, acts of destruction or anything of a person
//! under a legal hold. May import `domain` and `store`.

use domain::{Denied, Permission, UtcMillis, codes};
use store::{Database, Error, read, transact};
use thiserror::Error;

use crate::acting::Acting;
use crate::audit::{self, Action, Draft};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// Rows removed by one transaction: doors' records wait for no longer than this takes.
const AT_ONCE: i64 = 5000;

codes! {
    /// What is kept for a term.
    Class {
        /// Ended sessions: who was signed in from where.
        Sessions = "sessions",
        /// One-time links that were used or ran out.
        Links = "links",
        /// Counters of failed sign-ins.
        Throttle = "throttle",
        /// E-mail notices that were sent or given up.
        Notices = "notices",
        /// Keys of the HTTP API that ended.
        ApiKeys = "api_keys",
        /// Orders given to doors.
        Orders = "orders",
        /// Where persons were last seen, when nobody has seen them since.
        Presence = "presence",
        /// Events: who passed where and when, by pseudonym.
        Events = "events",
    }
}

/// Terms in days; `None` keeps for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// See [`Class::Sessions`].
    pub sessions: Option<u32>,
    /// See [`Class::Links`].
    pub links: Option<u32>,
    /// See [`Class::Throttle`].
    pub throttle: Option<u32>,
    /// See [`Class::Notices`].
    pub notices: Option<u32>,
    /// See [`Class::ApiKeys`].
    pub api_keys: Option<u32>,
    /// See [`Class::Orders`].
    pub orders: Option<u32>,
    /// See [`Class::Presence`].
    pub presence: Option<u32>,
    /// See [`Class::Events`]. Off by default: the term is for the clinic to decide.
    pub events: Option<u32>,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            sessions: Some(90),
            links: Some(30),
            throttle: Some(30),
            notices: Some(180),
            api_keys: Some(365),
            orders: Some(365),
            presence: Some(7),
            events: None,
        }
    }
}

impl Terms {
    /// The term of a class, in days.
    pub const fn of(&self, class: Class) -> Option<u32> {
        match class {
            Class::Sessions => self.sessions,
            Class::Links => self.links,
            Class::Throttle => self.throttle,
            Class::Notices => self.notices,
            Class::ApiKeys => self.api_keys,
            Class::Orders => self.orders,
            Class::Presence => self.presence,
            Class::Events => self.events,
        }
    }
}

/// What a class holds beyond its term, or what was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cleared {
    /// The class.
    pub class: Class,
    /// Its term in days.
    pub days: Option<u32>,
    /// Rows.
    pub rows: u64,
    /// When it was last cleared.
    pub last: Option<UtcMillis>,
}

/// Why nothing was cleared.
#[derive(Debug, Error)]
pub enum RetentionError {
    /// No right.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The database.
    #[error(transparent)]
    Store(#[from] Error),
}

/// The condition that names what has outlived its term: table and the words behind WHERE, `$1` being the instant
/// before which it ended.
macro_rules! outlived {
    ($class:expr, $then:ident) => {
        match $class {
            Class::Sessions => $then!("account_session", "token_hash", "expires_at < $1"),
            Class::Links => $then!("account_link", "token_hash", "expires_at < $1"),
            Class::Throttle => $then!("account_throttle", "subject", "last_at < $1"),
            Class::Notices => $then!("notice", "id", "at < $1 AND state <> 'queued'"),
            Class::ApiKeys => $then!("api_key", "id", "expires_at < $1"),
            Class::Orders => $then!(
                "command",
                "id",
                "issued_ms < $1 AND (person IS NULL OR person NOT IN (SELECT person FROM legal_hold))"
            ),
            Class::Presence => $then!("presence", "person", "at_ms < $1"),
            Class::Events => $then!(
                "event",
                "id",
                "at_ms < $1 AND (person IS NULL OR person NOT IN (SELECT person FROM legal_hold))"
            ),
        }
    };
}

fn before(now: UtcMillis, days: u32) -> UtcMillis {
    now.plus_ms(-i64::from(days) * DAY_MS)
}

/// What would be removed now.
///
/// # Errors
/// [`Denied`] without `privacy_manage`; engine errors.
pub async fn dry_run(
    database: &Database,
    acting: &Acting,
    terms: &Terms,
    now: UtcMillis,
) -> Result<Vec<Cleared>, RetentionError> {
    acting.must(Permission::PrivacyManage)?;
    let runs: Vec<(String, i64)> = read!(database, "retention.last", |conn| {
        Ok(sqlx::query_as("SELECT class, at_ms FROM retention_run").fetch_all(&mut *conn).await?)
    })?;
    let mut all = Vec::new();
    for class in Class::ALL {
        let rows = match terms.of(*class) {
            Some(days) => count(database, *class, before(now, days)).await?,
            None => 0,
        };
        let last = runs.iter().find(|(code, _)| code == class.as_str()).map(|(_, at)| UtcMillis(*at));
        all.push(Cleared { class: *class, days: terms.of(*class), rows, last });
    }
    Ok(all)
}

async fn count(database: &Database, class: Class, before: UtcMillis) -> Result<u64, Error> {
    macro_rules! text {
        ($table:literal, $key:literal, $condition:literal) => {
            concat!("SELECT COUNT(*) FROM ", $table, " WHERE ", $condition)
        };
    }
    let text: &'static str = outlived!(class, text);
    let count: i64 = read!(database, "retention.count", |conn| {
        Ok(sqlx::query_scalar(text).bind(before.0).fetch_one(&mut *conn).await?)
    })?;
    Ok(count.cast_unsigned())
}

/// Removes what has outlived its term, class by class, a few thousand rows at a time. Each class that had something is
/// an entry of the audit log.
///
/// # Errors
/// [`Denied`] without `privacy_manage`; engine errors: what was removed before stays removed and recorded.
pub async fn run(
    database: &Database,
    acting: &Acting,
    terms: &Terms,
    now: UtcMillis,
) -> Result<Vec<Cleared>, RetentionError> {
    acting.must(Permission::PrivacyManage)?;
    Ok(clear_all(database, acting, terms, now).await?)
}

/// As [`run`], by the program itself, once a day.
///
/// # Errors
/// Engine errors.
pub async fn run_scheduled(database: &Database, terms: &Terms, now: UtcMillis) -> Result<Vec<Cleared>, Error> {
    clear_all(database, &Acting::system(), terms, now).await
}

/// When a clearing was last done; `None` if never.
///
/// # Errors
/// Engine errors.
pub async fn last_run(database: &Database) -> Result<Option<UtcMillis>, Error> {
    let at: Option<i64> = read!(database, "retention.last_run", |conn| {
        Ok(sqlx::query_scalar("SELECT MAX(at_ms) FROM retention_run").fetch_one(&mut *conn).await?)
    })?;
    Ok(at.map(UtcMillis))
}

async fn clear_all(database: &Database, acting: &Acting, terms: &Terms, now: UtcMillis) -> Result<Vec<Cleared>, Error> {
    let mut all = Vec::new();
    for class in Class::ALL {
        let Some(days) = terms.of(*class) else { continue };
        let rows = clear(database, acting, *class, days, now).await?;
        all.push(Cleared { class: *class, days: Some(days), rows, last: Some(now) });
    }
    Ok(all)
}

async fn clear(database: &Database, acting: &Acting, class: Class, days: u32, now: UtcMillis) -> Result<u64, Error> {
    macro_rules! text {
        ($table:literal, $key:literal, $condition:literal) => {
            concat!(
                "DELETE FROM ",
                $table,
                " WHERE ",
                $key,
                " IN (SELECT ",
                $key,
                " FROM ",
                $table,
                " WHERE ",
                $condition,
                " LIMIT $2)"
            )
        };
    }
    let text: &'static str = outlived!(class, text);
    let mut total = 0_u64;
    loop {
        let acting = acting.clone();
        let removed = transact!(database, "retention.clear", |conn| {
            let removed =
                sqlx::query(text).bind(before(now, days).0).bind(AT_ONCE).execute(&mut *conn).await?.rows_affected();
            let so_far = i64::try_from(total + removed).unwrap_or(i64::MAX);
            sqlx::query(
                "INSERT INTO retention_run (class, at_ms, removed) VALUES ($1, $2, $3)
                 ON CONFLICT (class) DO UPDATE SET at_ms = excluded.at_ms, removed = excluded.removed",
            )
            .bind(class.as_str())
            .bind(now.0)
            .bind(so_far)
            .execute(&mut *conn)
            .await?;
            if removed > 0 {
                let draft = Draft {
                    object: Some(format!("retention/{class}")),
                    detail: Some(format!("removed={removed}; older than {days} days")),
                    ..acting.draft(now, Action::DataExpired)
                };
                audit::record!(conn, &draft);
            }
            Ok(removed)
        })?;
        total += removed;
        if i64::try_from(removed).unwrap_or(i64::MAX) < AT_ONCE {
            return Ok(total);
        }
    }
}
