//! Breaking glass: somebody sees, for a while and with a reason, what their role does not show, because somebody's
//! life or safety cannot wait. It works at once, is told to the reviewers at once, marks every entry of the audit log,
//! ends by itself, and is looked at afterwards by somebody else.
//!
//! Owns the table `glass`. Nobody prolongs their own: while one is open there is no second, and a new one needs a new
//! reason and is counted. Needs the database only: no broker, no other system. May import `domain` and `store`.

mod review;

use domain::{Denied, Field, Permission, Rights, UtcMillis, Zones, codes};
use sqlx::FromRow;
use store::{Database, read};
use thiserror::Error;

use crate::accounts::AccountId;
use crate::acting::{Acting, Actor};
use crate::audit::{self, Action, Draft};
use crate::notices::{self, Notice, NoticeKind, To};
use crate::{disclosures, draw, staff};

pub use review::{Look, Queue, Verdict, list, looked_at, of, review, unreviewed};

/// Fewest characters of a reason.
pub const REASON_MIN_CHARS: usize = 10;
/// Most characters of a reason or a comment.
pub const REASON_MAX_CHARS: usize = 500;
/// Shortest time, in minutes.
pub const MINUTES_MIN: i64 = 5;
/// Longest time, in minutes.
pub const MINUTES_MAX: i64 = 240;
/// Time offered, in minutes.
pub const MINUTES_DEFAULT: i64 = 60;
/// Earlier ones of the same account within this time are counted for the reviewer: 30 days.
const COUNTED_MS: i64 = 30 * 24 * 60 * 60 * 1000;
const MINUTE_MS: i64 = 60_000;

/// What an open glass adds to somebody's rights.
pub const PERMISSIONS: &[Permission] = &[Permission::PersonFind, Permission::PersonSee, Permission::PersonReveal];
/// The fields it shows: all but what a visit is for, which no emergency at a door needs.
pub const FIELDS: &[Field] = &[
    Field::Name,
    Field::Photo,
    Field::Validity,
    Field::Category,
    Field::BirthDate,
    Field::Document,
    Field::Contact,
    Field::Reference,
];

codes! {
    /// Why it ended.
    Ended {
        /// Its holder ended it.
        ByHand = "by_hand",
        /// A reviewer ended it.
        ByReviewer = "by_reviewer",
        /// Its time was over.
        ByTime = "by_time",
    }
}

/// An open breaking of glass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glass {
    /// Its id, which every entry made under it carries.
    pub id: String,
    /// Since when.
    pub started: UtcMillis,
    /// Until when.
    pub ends: UtcMillis,
}

impl Glass {
    /// Milliseconds that remain; never negative.
    pub fn remaining_ms(&self, now: UtcMillis) -> i64 {
        self.ends.since_ms(now).max(0)
    }

    /// Adds what it grants, on the whole site.
    pub fn widen(&self, rights: &mut Rights) {
        rights.add(PERMISSIONS, FIELDS, &Zones::All);
    }
}

/// A breaking of glass with its whole story.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// What it is while open.
    pub glass: Glass,
    /// Whose it was, by account; `staff:` and the pseudonym for somebody at a workstation who has none.
    pub account: String,
    /// Why, in their words.
    pub reason: String,
    /// From which network address.
    pub address: Option<String>,
    /// When it ended and why; `None` while it is open, or when its time ran out and that is not written yet.
    pub ended: Option<(UtcMillis, Ended)>,
    /// The review: when, by which account, what was found, and the comment.
    pub review: Option<Reviewed>,
}

impl Case {
    /// Whether it is in force.
    pub fn is_open(&self, now: UtcMillis) -> bool {
        self.ended.is_none() && now < self.glass.ends
    }
}

/// What a review found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reviewed {
    /// When.
    pub at: UtcMillis,
    /// By which account.
    pub by: String,
    /// Whether it was justified.
    pub verdict: Verdict,
    /// The reviewer's words.
    pub comment: String,
}

/// Why glass was not broken, ended or reviewed.
#[derive(Debug, Error)]
pub enum GlassError {
    /// No right.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// Only somebody who is signed in by their own account can.
    #[error("only a person who is signed in can break glass")]
    NotAPerson,
    /// The reason is too short, too long or has control characters.
    #[error("a reason needs {REASON_MIN_CHARS} to {REASON_MAX_CHARS} characters")]
    BadReason,
    /// The time is outside what is allowed.
    #[error("glass stays broken for {MINUTES_MIN} to {MINUTES_MAX} minutes")]
    BadTime,
    /// One is open already; it cannot be prolonged.
    #[error("it is broken already until {}; it cannot be prolonged", .0.ends)]
    AlreadyOpen(Glass),
    /// No such one, or it is over.
    #[error("there is no such breaking of glass, or it is over")]
    NotFound,
    /// Nobody reviews their own.
    #[error("nobody reviews their own breaking of glass")]
    Own,
    /// It is still open, or reviewed already.
    #[error("it is still open, or reviewed already")]
    NotReviewable,
    /// The database.
    #[error(transparent)]
    Store(#[from] store::Error),
}

#[derive(FromRow)]
struct OpenRow {
    id: String,
    started_ms: i64,
    ends_ms: i64,
}

impl From<OpenRow> for Glass {
    fn from(row: OpenRow) -> Self {
        Self { id: row.id, started: UtcMillis(row.started_ms), ends: UtcMillis(row.ends_ms) }
    }
}

/// The open breaking of glass of an account; asked at each request, so that its end takes effect at once.
///
/// # Errors
/// Engine errors.
pub async fn open_for(database: &Database, account: &AccountId, now: UtcMillis) -> Result<Option<Glass>, store::Error> {
    open_of(database, account.as_str(), now).await
}

/// As [`open_for`], by what the table holds: an account's id, or `staff:` and the pseudonym of somebody who has none.
pub(crate) async fn open_of(database: &Database, account: &str, now: UtcMillis) -> Result<Option<Glass>, store::Error> {
    let row: Option<OpenRow> = read!(database, "glass.open_for", |conn| {
        Ok(sqlx::query_as(
            "SELECT id, started_ms, ends_ms FROM glass
             WHERE account = $1 AND ended_ms IS NULL AND ends_ms > $2 ORDER BY started_ms DESC LIMIT 1",
        )
        .bind(account)
        .bind(now.0)
        .fetch_optional(&mut *conn)
        .await?)
    })?;
    Ok(row.map(Glass::from))
}

/// Breaks glass for `minutes`; it is in force when this returns.
///
/// # Errors
/// Everything of [`GlassError`] but [`GlassError::Own`] and what is about reviews.
pub async fn start(
    database: &Database,
    acting: &Acting,
    reason: &str,
    minutes: i64,
    now: UtcMillis,
) -> Result<Glass, GlassError> {
    acting.must(Permission::BreakGlassUse)?;
    let account = own_key(database, acting).await?.ok_or(GlassError::NotAPerson)?;
    let reason = words(reason, REASON_MIN_CHARS).ok_or(GlassError::BadReason)?;
    if !(MINUTES_MIN..=MINUTES_MAX).contains(&minutes) {
        return Err(GlassError::BadTime);
    }
    let glass = Glass { id: draw::id()?, started: now, ends: now.plus_ms(minutes * MINUTE_MS) };
    let (new, address) = (glass.clone(), acting.address.map(|address| address.to_string()));
    let draft = Draft {
        glass: Some(glass.id.clone()),
        object: Some(glass.id.clone()),
        note: Some(reason.clone()),
        ..acting.draft(now, Action::GlassBroken)
    };
    let open: Option<OpenRow> = store::transact!(database, "glass.start", |conn| {
        let open: Option<OpenRow> = sqlx::query_as(
            "SELECT id, started_ms, ends_ms FROM glass WHERE account = $1 AND ended_ms IS NULL AND ends_ms > $2 LIMIT 1",
        )
        .bind(&account)
        .bind(now.0)
        .fetch_optional(&mut *conn)
        .await?;
        if open.is_some() {
            return Ok(open);
        }
        let earlier: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM glass WHERE account = $1 AND started_ms > $2")
            .bind(&account)
            .bind(now.plus_ms(-COUNTED_MS).0)
            .fetch_one(&mut *conn)
            .await?;
        sqlx::query(
            "INSERT INTO glass (id, account, reason, started_ms, ends_ms, address) VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(&new.id)
        .bind(&account)
        .bind(&reason)
        .bind(new.started.0)
        .bind(new.ends.0)
        .bind(address.as_deref())
        .execute(&mut *conn)
        .await?;
        let detail = Some(format!("started; minutes={minutes}; earlier_in_30_days={earlier}"));
        let draft = Draft { detail, ..draft.clone() };
        audit::record!(conn, &draft);
        let login: Option<String> = sqlx::query_scalar("SELECT login FROM account WHERE id = $1")
            .bind(&account)
            .fetch_optional(&mut *conn)
            .await?;
        let notice = Notice::new(now, To::Holders(Permission::BreakGlassReview), NoticeKind::BreakGlass)
            .with("login", login.unwrap_or_default())
            .with("minutes", minutes);
        notices::enqueue!(conn, &notice);
        Ok(None)
    })?;
    match open {
        Some(open) => Err(GlassError::AlreadyOpen(open.into())),
        None => Ok(glass),
    }
}

/// Ends a breaking of glass before its time: one's own, or another's for who reviews.
///
/// # Errors
/// [`GlassError::NotFound`] for one that is over, or another's without `break_glass_review`.
pub async fn end(database: &Database, acting: &Acting, id: &str, now: UtcMillis) -> Result<(), GlassError> {
    let own = own_key(database, acting).await?.unwrap_or_default();
    let reviews = acting.rights.allows(Permission::BreakGlassReview);
    let (id, acting) = (id.to_owned(), acting.clone());
    let ended = store::transact!(database, "glass.end", |conn| {
        let holder: Option<String> =
            sqlx::query_scalar("SELECT account FROM glass WHERE id = $1 AND ended_ms IS NULL AND ends_ms > $2")
                .bind(&id)
                .bind(now.0)
                .fetch_optional(&mut *conn)
                .await?;
        let why = match holder {
            Some(holder) if holder == own => Ended::ByHand,
            Some(_) if reviews => Ended::ByReviewer,
            Some(_) | None => return Ok(false),
        };
        sqlx::query("UPDATE glass SET ended_ms = $1, ended_why = $2 WHERE id = $3")
            .bind(now.0)
            .bind(why.as_str())
            .bind(&id)
            .execute(&mut *conn)
            .await?;
        let draft = Draft {
            object: Some(id.clone()),
            glass: Some(id.clone()),
            detail: Some(format!("ended {why}")),
            ..acting.draft(now, Action::GlassBroken)
        };
        audit::record!(conn, &draft);
        Ok(true)
    })?;
    if ended { Ok(()) } else { Err(GlassError::NotFound) }
}

/// Writes down the end of those whose time is over (they ended then by themselves, whether this runs or not). Returns
/// how many.
///
/// # Errors
/// Engine errors.
pub async fn close_expired(database: &Database, now: UtcMillis) -> Result<usize, store::Error> {
    store::transact!(database, "glass.close_expired", |conn| {
        let over: Vec<(String, i64)> = sqlx::query_as(
            "SELECT id, ends_ms FROM glass WHERE ended_ms IS NULL AND ends_ms <= $1 ORDER BY ends_ms, id LIMIT 100",
        )
        .bind(now.0)
        .fetch_all(&mut *conn)
        .await?;
        for (id, ends) in &over {
            sqlx::query("UPDATE glass SET ended_ms = ends_ms, ended_why = $1 WHERE id = $2")
                .bind(Ended::ByTime.as_str())
                .bind(id)
                .execute(&mut *conn)
                .await?;
            let draft = Draft {
                object: Some(id.clone()),
                glass: Some(id.clone()),
                detail: Some(format!("ended {}; at={}", Ended::ByTime, UtcMillis(*ends))),
                ..Draft::new(now, Actor::System, Action::GlassBroken)
            };
            audit::record!(conn, &draft);
        }
        Ok(over.len())
    })
}

/// Whose glass it is, as the table keeps it: an account, also at a workstation if one is linked, or else the staff member.
async fn own_key(database: &Database, acting: &Acting) -> Result<Option<String>, store::Error> {
    match &acting.actor {
        Actor::Account(account) => Ok(Some(account.clone())),
        Actor::Staff(person) => {
            let member = staff::by_person(database, *person).await?.filter(|member| member.ended.is_none());
            let key = |account: Option<AccountId>| account.map_or_else(|| holder(acting), |it| it.as_str().to_owned());
            Ok(member.map(|member| key(member.account)))
        }
        Actor::ApiKey(_) | Actor::Peer(_) | Actor::Console | Actor::System | Actor::Anybody => Ok(None),
    }
}

/// What somebody typed: trimmed, long enough, not too long, without control characters (line breaks become blanks).
pub(crate) fn words(typed: &str, least: usize) -> Option<String> {
    let text = typed.split_whitespace().collect::<Vec<_>>().join(" ");
    let length = text.chars().count();
    let sound = (least..=REASON_MAX_CHARS).contains(&length) && !text.chars().any(char::is_control);
    sound.then_some(text)
}

/// Who acts, as the table keeps it.
pub(crate) fn holder(acting: &Acting) -> String {
    disclosures::actor_code(&acting.actor)
}
