//! E-mail notices: what is to be told to whom, written in the transaction of what it tells of, and whether it arrived.
//!
//! Owns the table `notice`. Never holds a person's data in the clear: arguments are counts, codes, sign-in names,
//! addresses of computers and ids; texts are made at sending, in the language of who reads them. Never sends: that is
//! the bridge, which takes what is due with [`Notices::take_due`] and says how it ended with [`Notices::settle`]. May
//! import `domain`, `store` and the accounts.
//!
//! Inside [`store::transact!`]: `notices::enqueue!(conn, &notice)`.

mod kind;
mod list;
mod outbox;

pub use kind::{Notice, NoticeKind, To};
pub use list::{NoticeFilter, NoticeLine, NoticePlace};
pub use outbox::{
    Due, Ending, KEPT_MS, Letter, NoticeState, Notices, Recipient, Reply, ReplyCode, TRIED_FOR_MS, Wording,
};

pub(crate) use kind::Row;

/// Writes a notice inside a transaction: `notices::enqueue!(conn, &notice)`, with `notice: &Notice`.
macro_rules! enqueue {
    ($conn:expr, $notice:expr) => {{
        let row = $crate::notices::Row::of($notice);
        store::sqlx::query(
            "INSERT INTO notice (id, kind, account, permission, args, link, address, at, state, attempts, due_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'queued', 0, $8)",
        )
        .bind(row.id)
        .bind(row.kind)
        .bind(row.account)
        .bind(row.permission)
        .bind(row.args)
        .bind(row.link)
        .bind(row.address)
        .bind(row.at)
        .execute(&mut *$conn)
        .await?;
    }};
}
pub(crate) use enqueue;
