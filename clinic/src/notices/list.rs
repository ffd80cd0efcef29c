//! Notices as an administrator sees them: to whom, what about, how far.

use domain::{Permission, UtcMillis};

use super::{NoticeKind, NoticeState, Notices, Reply};
use crate::accounts::AccountError;
use crate::acting::Acting;

/// Most lines of one answer.
const LINES_MAX: i64 = 1000;

/// Which notices are asked for; empty: all.
#[derive(Debug, Clone, Default)]
pub struct NoticeFilter {
    /// How far they have got.
    pub state: Option<NoticeState>,
    /// What they tell.
    pub kind: Option<NoticeKind>,
    /// Letters of the reader's sign-in name.
    pub login: String,
    /// From then on.
    pub from: Option<UtcMillis>,
    /// Before then.
    pub until: Option<UtcMillis>,
}

/// Where a page ends; the next one begins behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoticePlace {
    /// When the last notice happened.
    pub at: UtcMillis,
    /// Its id.
    pub id: String,
}

/// One notice.
#[derive(Debug, Clone)]
pub struct NoticeLine {
    /// Its id.
    pub id: String,
    /// When it happened.
    pub at: UtcMillis,
    /// What it tells.
    pub kind: NoticeKind,
    /// Whom it is for: a sign-in name, where it is for one.
    pub login: Option<String>,
    /// Whose holders it is for, where it is for several.
    pub permission: Option<Permission>,
    /// How far it has got.
    pub state: NoticeState,
    /// How often it was tried.
    pub attempts: i64,
    /// When it is tried next, while it waits.
    pub due_at: UtcMillis,
    /// When it was sent or given up.
    pub ended_at: Option<UtcMillis>,
    /// What went wrong last.
    pub reply: Option<Reply>,
}

type LineRow = (String, i64, String, Option<String>, Option<String>, String, i64, i64, Option<i64>, Option<String>);

impl Notices {
    /// Notices, the newest first; `after` goes on where an earlier answer ended.
    ///
    /// # Errors
    /// [`AccountError::Denied`] without [`Permission::NoticeSee`]; engine errors.
    pub async fn list(
        &self,
        acting: &Acting,
        filter: &NoticeFilter,
        after: Option<&NoticePlace>,
        limit: i64,
    ) -> Result<Vec<NoticeLine>, AccountError> {
        acting.must(Permission::NoticeSee)?;
        let state = filter.state.map_or("", NoticeState::as_str);
        let kind = filter.kind.map_or("", NoticeKind::as_str);
        let login = filter.login.trim().to_lowercase();
        let from = filter.from.map_or(i64::MIN, |at| at.0);
        let until = filter.until.map_or(i64::MAX, |at| at.0);
        let (after_at, after_id) = after.map_or((i64::MAX, ""), |place| (place.at.0, place.id.as_str()));
        let rows: Vec<LineRow> = store::read!(self.database, "notices.list", |conn| {
            Ok(store::sqlx::query_as(
                "SELECT notice.id, at, kind, account.login, permission, state, attempts, due_at, ended_at, reply \
                 FROM notice LEFT JOIN account ON account.id = notice.account \
                 WHERE ($1 = '' OR state = $1) AND ($2 = '' OR kind = $2) AND at >= $3 AND at < $4 \
                 AND ($5 = '' OR REPLACE(account.login, $5, '') <> account.login) \
                 AND (at < $6 OR (at = $6 AND notice.id > $7)) ORDER BY at DESC, notice.id LIMIT $8",
            )
            .bind(state)
            .bind(kind)
            .bind(from)
            .bind(until)
            .bind(&login)
            .bind(after_at)
            .bind(after_id)
            .bind(limit.clamp(1, LINES_MAX))
            .fetch_all(&mut *conn)
            .await?)
        })?;
        rows.into_iter().map(line).collect()
    }

    /// Sends a notice to oneself, to see whether mail works.
    ///
    /// # Errors
    /// [`AccountError::Denied`] without [`Permission::NoticeSee`]; [`AccountError::NoAccount`] for who has none.
    pub async fn send_test(&self, acting: &Acting) -> Result<(), AccountError> {
        acting.must(Permission::NoticeSee)?;
        let account = acting.account().ok_or(AccountError::NoAccount)?.to_owned();
        let now = self.clock.now();
        let notice = super::Notice::new(now, super::To::Account(account), NoticeKind::Test);
        let entry = acting.draft(now, crate::audit::Action::NoticeTested);
        Ok(store::transact!(self.database, "notices.test", |conn| {
            super::enqueue!(conn, &notice);
            crate::audit::record!(conn, &entry);
            Ok(())
        })?)
    }
}

fn line(row: LineRow) -> Result<NoticeLine, AccountError> {
    let (id, at, kind, login, permission, state, attempts, due_at, ended_at, reply) = row;
    let bad = |column| AccountError::BadRow { table: "notice", column };
    Ok(NoticeLine {
        id,
        at: UtcMillis(at),
        kind: NoticeKind::parse(&kind).ok_or(bad("kind"))?,
        login,
        permission: permission.as_deref().and_then(Permission::parse),
        state: NoticeState::parse(&state).ok_or(bad("state"))?,
        attempts,
        due_at: UtcMillis(due_at),
        ended_at: ended_at.map(UtcMillis),
        reply: reply.as_deref().and_then(Reply::read),
    })
}
