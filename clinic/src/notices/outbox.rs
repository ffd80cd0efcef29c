//! The outbox: what is due, who takes it, how it ended.
//!
//! Several bridges may serve one database: whoever moves a row's due time forward has it for [`LEASE_MS`]; one that
//! dies while sending leaves the notice to the next. So a letter may arrive twice, never be lost; both have the same
//! message id. What could not be sent within [`TRIED_FOR_MS`] is given up, and rows go after [`KEPT_MS`].

use std::fmt;
use std::sync::Arc;

use domain::vault::BoxKey;
use domain::{Clock, Permission, UtcMillis, codes};
use store::Database;

use super::NoticeKind;
use crate::accounts::{AccountError, AccountId, Cabinet};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
/// For this long a notice is tried, in milliseconds: a day, as long as a one-time link lives.
pub const TRIED_FOR_MS: i64 = 24 * HOUR_MS;
/// For this long it stays listed, in milliseconds: 90 days.
pub const KEPT_MS: i64 = 90 * 24 * HOUR_MS;
/// For this long a notice belongs to who took it, in milliseconds; sending is cut off sooner.
const LEASE_MS: i64 = 2 * MINUTE_MS;
/// The first wait after a failure; it doubles.
const FIRST_RETRY_MS: i64 = MINUTE_MS;
/// The longest wait between two tries.
const LONGEST_RETRY_MS: i64 = HOUR_MS;
/// Longest words of a mail server that are kept, in characters.
const WORDS_MAX_CHARS: usize = 120;
/// Most people to whom one notice is told.
const HOLDERS_MAX: i64 = 500;

codes! {
    /// How far a notice has got.
    NoticeState {
        /// Waits to be sent.
        Queued = "queued",
        /// The mail server took it.
        Sent = "sent",
        /// It failed and will be tried again.
        Failed = "failed",
        /// It will not be tried again.
        GaveUp = "gave_up",
    }
}

codes! {
    /// Why a notice was not sent.
    ReplyCode {
        /// Nobody whom it concerns has a confirmed address.
        NoAddress = "no_address",
        /// No mail server is configured.
        NoServer = "no_server",
        /// It could not be sent within a day.
        Expired = "expired",
        /// The mail server is not reached, or does not answer in time.
        Away = "away",
        /// The connection could not be protected: no TLS, or a certificate that is not trusted.
        Tls = "tls",
        /// The mail server does not let us in.
        Login = "login",
        /// The mail server refused for now.
        Later = "later",
        /// The mail server refused for good.
        Refused = "refused",
        /// The letter could not be written.
        Letter = "letter",
    }
}

/// Why a notice was not sent, with the server's own words where it gave some.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Why.
    pub code: ReplyCode,
    /// What the server said: one short line, without addresses.
    pub words: String,
}

impl Reply {
    /// Keeps a short line of what the server said, without any word that holds an address.
    pub fn new(code: ReplyCode, said: &str) -> Self {
        let plain: String = said.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let words = plain.split_whitespace().map(|word| if word.contains('@') { "…" } else { word });
        Self { code, words: words.collect::<Vec<_>>().join(" ").chars().take(WORDS_MAX_CHARS).collect() }
    }

    fn stored(&self) -> String {
        format!("{} {}", self.code, self.words)
    }

    pub(super) fn read(stored: &str) -> Option<Self> {
        let (code, words) = stored.split_once(' ')?;
        Some(Self { code: ReplyCode::parse(code)?, words: words.to_owned() })
    }
}

/// How sending ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The mail server took it.
    Sent,
    /// Try again later.
    Failed(Reply),
    /// Do not try again.
    GaveUp(Reply),
}

/// Where a letter goes. Never shown in logs.
#[derive(Clone)]
pub struct Recipient(String);

impl Recipient {
    /// The address.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recipient(redacted)")
    }
}

/// A notice to be sent now.
#[derive(Clone)]
pub struct Due {
    /// Its id; the same at each try.
    pub id: String,
    /// What it tells.
    pub kind: NoticeKind,
    /// When that happened.
    pub at: UtcMillis,
    /// Where it goes.
    pub recipient: Recipient,
    /// The sign-in name of who reads it.
    pub login: String,
    /// The language of who reads it, for example `ru`.
    pub locale: String,
    /// Names and values for its text.
    pub args: Vec<(String, String)>,
    /// The path of a one-time link on the pages.
    pub link: Option<String>,
    attempts: i64,
}

impl fmt::Debug for Due {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Due").field("id", &self.id).field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// A notice in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// One line.
    pub subject: String,
    /// Plain text.
    pub body: String,
}

/// Puts a notice into words. The texts belong to the pages; who composes the programs hands them over.
pub type Wording = Arc<dyn Fn(&Due) -> Letter + Send + Sync>;

/// The notices of a clinic. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Notices {
    pub(super) database: Database,
    pub(super) clock: Clock,
    cabinet: Cabinet,
}

/// A row that is due.
type DueRow = (String, String, Option<String>, Option<String>, String, i64, i64, i64);
/// What of a row is sealed, and of its account.
type SealedRow = (Option<Vec<u8>>, Option<Vec<u8>>, String, String, Option<Vec<u8>>);

impl Notices {
    /// Over `database`; `key` is the one that the accounts have.
    pub fn new(database: Database, clock: Clock, key: BoxKey) -> Self {
        Self { database, clock, cabinet: Cabinet::new(key) }
    }

    /// The next notice that is due, now for the caller alone. What concerns several people is first made into a notice
    /// for each of them.
    ///
    /// # Errors
    /// Engine errors; a row that does not read or open is given up, so that it does not stop the others.
    pub async fn take_due(&self) -> Result<Option<Due>, AccountError> {
        loop {
            let now = self.clock.now();
            let row: Option<DueRow> = store::read!(self.database, "notices.take", |conn| {
                Ok(store::sqlx::query_as(
                    "SELECT id, kind, account, permission, args, at, attempts, due_at FROM notice \
                     WHERE state IN ('queued', 'failed') AND due_at <= $1 ORDER BY due_at, id LIMIT 1",
                )
                .bind(now.0)
                .fetch_optional(&mut *conn)
                .await?)
            })?;
            let Some(row) = row else { return Ok(None) };
            let id = row.0.clone();
            if !self.claim(&id, row.7, now).await? {
                continue;
            }
            if now.since_ms(UtcMillis(row.5)) >= TRIED_FOR_MS {
                self.end(&id, NoticeState::GaveUp, Some(Reply::new(ReplyCode::Expired, "")), now).await?;
                continue;
            }
            if let (None, Some(permission)) = (&row.2, &row.3) {
                self.spread(&id, permission, now).await?;
                continue;
            }
            match self.open(row).await {
                Ok(Some(due)) => return Ok(Some(due)),
                Ok(None) => {
                    self.end(&id, NoticeState::GaveUp, Some(Reply::new(ReplyCode::NoAddress, "")), now).await?;
                }
                Err(AccountError::Store(error)) => return Err(error.into()),
                Err(error) => {
                    tracing::error!(notice = id, %error, "notice.unreadable");
                    self.end(&id, NoticeState::GaveUp, Some(Reply::new(ReplyCode::Letter, "")), now).await?;
                }
            }
        }
    }

    /// Says how sending ended.
    ///
    /// # Errors
    /// Engine errors.
    pub async fn settle(&self, due: &Due, ending: Ending) -> Result<(), AccountError> {
        let now = self.clock.now();
        match ending {
            Ending::Sent => self.end(&due.id, NoticeState::Sent, None, now).await,
            Ending::GaveUp(reply) => self.end(&due.id, NoticeState::GaveUp, Some(reply), now).await,
            Ending::Failed(reply) => {
                let doublings = u32::try_from(due.attempts).unwrap_or(0).min(10);
                let again = now.plus_ms((FIRST_RETRY_MS << doublings).min(LONGEST_RETRY_MS));
                let (id, reply) = (due.id.clone(), reply.stored());
                Ok(store::transact!(self.database, "notices.settle", |conn| {
                    store::sqlx::query(
                        "UPDATE notice SET state = 'failed', due_at = $1, reply = $2 \
                         WHERE id = $3 AND state IN ('queued', 'failed')",
                    )
                    .bind(again.0)
                    .bind(&reply)
                    .bind(&id)
                    .execute(&mut *conn)
                    .await?;
                    Ok(())
                })?)
            }
        }
    }

    /// Gives up what is older than a day where no mail server is configured, and removes rows that were kept long
    /// enough.
    ///
    /// # Errors
    /// Engine errors.
    pub async fn tidy(&self, has_server: bool) -> Result<(), AccountError> {
        let now = self.clock.now();
        let why = Reply::new(if has_server { ReplyCode::Expired } else { ReplyCode::NoServer }, "").stored();
        Ok(store::transact!(self.database, "notices.tidy", |conn| {
            store::sqlx::query(
                "UPDATE notice SET state = 'gave_up', ended_at = $1, reply = $2, link = NULL, address = NULL \
                 WHERE state IN ('queued', 'failed') AND at <= $3 AND due_at <= $1",
            )
            .bind(now.0)
            .bind(&why)
            .bind(now.plus_ms(-TRIED_FOR_MS).0)
            .execute(&mut *conn)
            .await?;
            store::sqlx::query("DELETE FROM notice WHERE at < $1 AND ended_at IS NOT NULL")
                .bind(now.plus_ms(-KEPT_MS).0)
                .execute(&mut *conn)
                .await?;
            Ok(())
        })?)
    }

    /// Whether the row is ours now.
    async fn claim(&self, id: &str, due_at: i64, now: UtcMillis) -> Result<bool, AccountError> {
        let id = id.to_owned();
        Ok(store::transact!(self.database, "notices.take", |conn| {
            let done = store::sqlx::query(
                "UPDATE notice SET due_at = $1, attempts = attempts + 1 \
                 WHERE id = $2 AND due_at = $3 AND state IN ('queued', 'failed')",
            )
            .bind(now.plus_ms(LEASE_MS).0)
            .bind(&id)
            .bind(due_at)
            .execute(&mut *conn)
            .await?;
            Ok(done.rows_affected() == 1)
        })?)
    }

    /// A notice to everybody with a permission becomes one for each who has it now and can be reached.
    async fn spread(&self, id: &str, permission: &str, now: UtcMillis) -> Result<(), AccountError> {
        let bad = AccountError::BadRow { table: "notice", column: "permission" };
        let permission = Permission::parse(permission).ok_or(bad)?;
        let accounts: Vec<String> = store::read!(self.database, "notices.spread", |conn| {
            Ok(store::sqlx::query_scalar(
                "SELECT id FROM account WHERE disabled_at IS NULL AND email_box IS NOT NULL ORDER BY id LIMIT $1",
            )
            .bind(HOLDERS_MAX)
            .fetch_all(&mut *conn)
            .await?)
        })?;
        let mut holders = Vec::new();
        for account in accounts {
            let Some(known) = AccountId::parse(&account) else { continue };
            if crate::roles::rights_of(&self.database, &known, now).await?.allows(permission) {
                holders.push((account, crate::accounts::random_id()));
            }
        }
        if holders.is_empty() {
            return self.end(id, NoticeState::GaveUp, Some(Reply::new(ReplyCode::NoAddress, "")), now).await;
        }
        let id = id.to_owned();
        Ok(store::transact!(self.database, "notices.spread", |conn| {
            for (account, own) in &holders {
                store::sqlx::query(
                    "INSERT INTO notice (id, kind, account, permission, args, at, state, attempts, due_at) \
                     SELECT $1, kind, $2, permission, args, at, 'queued', 0, $3 FROM notice WHERE id = $4",
                )
                .bind(own)
                .bind(account)
                .bind(now.0)
                .bind(&id)
                .execute(&mut *conn)
                .await?;
            }
            store::sqlx::query("DELETE FROM notice WHERE id = $1").bind(&id).execute(&mut *conn).await?;
            Ok(())
        })?)
    }

    /// Opens what is sealed; `None` if there is nowhere to send it to.
    async fn open(&self, row: DueRow) -> Result<Option<Due>, AccountError> {
        let (id, kind, account, _, args, at, attempts, _) = row;
        let bad = |column| AccountError::BadRow { table: "notice", column };
        let account = account.ok_or(bad("account"))?;
        let sealed: Option<SealedRow> = store::read!(self.database, "notices.take", |conn| {
            Ok(store::sqlx::query_as(
                "SELECT notice.link, notice.address, account.login, account.locale, account.email_box \
                 FROM notice JOIN account ON account.id = notice.account WHERE notice.id = $1",
            )
            .bind(&id)
            .fetch_optional(&mut *conn)
            .await?)
        })?;
        let Some((link, own_address, login, locale, email)) = sealed else { return Ok(None) };
        let address = match (own_address, email) {
            (Some(sealed), _) => self.cabinet.open_text("notice", "address", &id, sealed)?,
            (None, Some(sealed)) => self.cabinet.open_text("account", "email_box", &account, sealed)?,
            (None, None) => return Ok(None),
        };
        let link = link.map(|sealed| self.cabinet.open_text("notice", "link", &id, sealed)).transpose()?;
        let args: serde_json::Value = serde_json::from_str(&args).map_err(|_| bad("args"))?;
        let args = args.as_object().ok_or(bad("args"))?.iter();
        let args = args.map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned())).collect();
        let kind = NoticeKind::parse(&kind).ok_or(bad("kind"))?;
        let (at, recipient) = (UtcMillis(at), Recipient(address));
        Ok(Some(Due { id, kind, at, recipient, login, locale, args, link, attempts }))
    }

    async fn end(
        &self,
        id: &str,
        state: NoticeState,
        reply: Option<Reply>,
        now: UtcMillis,
    ) -> Result<(), AccountError> {
        let (id, state, reply) = (id.to_owned(), state.as_str(), reply.map(|reply| reply.stored()));
        Ok(store::transact!(self.database, "notices.settle", |conn| {
            store::sqlx::query(
                "UPDATE notice SET state = $1, ended_at = $2, reply = $3, link = NULL, address = NULL WHERE id = $4",
            )
            .bind(state)
            .bind(now.0)
            .bind(&reply)
            .bind(&id)
            .execute(&mut *conn)
            .await?;
            Ok(())
        })?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_is_kept_short_and_without_addresses() {
        let reply = Reply::new(ReplyCode::Refused, "550 5.1.1 <olena@clinic.example>\r\n\tuser unknown");
        assert_eq!(reply.words, "550 5.1.1 … user unknown");
        assert_eq!(Reply::read(&reply.stored()), Some(reply));
        assert_eq!(Reply::new(ReplyCode::Later, &"word ".repeat(100)).words.chars().count(), WORDS_MAX_CHARS);
        let bare = Reply::new(ReplyCode::Expired, "");
        assert_eq!(Reply::read(&bare.stored()), Some(bare));
    }
}
