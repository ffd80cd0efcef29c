//! Managing accounts: an administrator makes them, gives roles and closes them; everybody keeps their own password and
//! preferences.

use std::net::IpAddr;

use domain::UtcMillis;

use super::account::{account_from, check_locale, check_shown_name};
use super::{
    AccountError, AccountId, AccountSummary, Accounts, LinkToken, LogLine, NewAccount, Password, Role, Session, Theme,
    log_line,
};

/// Most accounts in the list: a clinic's guards, managers and administrators, not its patients.
const LISTED_MAX: i64 = 500;

enum Changed {
    Yes,
    Missing,
    LastAdministrator,
}

impl Changed {
    fn into_result(self) -> Result<(), AccountError> {
        match self {
            Self::Yes => Ok(()),
            Self::Missing => Err(AccountError::NoAccount),
            Self::LastAdministrator => Err(AccountError::LastAdministrator),
        }
    }
}

/// Inside a transaction: how many administrators can sign in without `$id`.
macro_rules! other_administrators {
    ($conn:expr, $id:expr) => {{
        let others: i64 = store::sqlx::query_scalar(
            "SELECT COUNT(*) FROM account WHERE role = 'administrator' AND disabled_at IS NULL \
             AND password_hash IS NOT NULL AND id <> $1",
        )
        .bind($id)
        .fetch_one(&mut *$conn)
        .await?;
        others
    }};
}

/// Inside a transaction: ends every open session of `$id`.
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

impl Accounts {
    /// All accounts, by sign-in name.
    pub async fn list(&self, actor: &Session) -> Result<Vec<AccountSummary>, AccountError> {
        type Row = (String, String, String, String, String, String, i64, Option<i64>, Option<i64>, i64, i64);
        actor.must_be_administrator()?;
        let now = self.clock.now();
        let idle_since = now.plus_ms(-self.rules.idle_ms);
        let rows: Vec<Row> = store::read!(self.database, "accounts.list", |conn| {
            Ok(store::sqlx::query_as(
                "SELECT id, login, shown_name, role, locale, theme, created_at, signed_in_at, disabled_at, \
                 CAST(CASE WHEN password_hash IS NULL THEN 0 ELSE 1 END AS BIGINT), \
                 (SELECT COUNT(*) FROM account_session s WHERE s.account = account.id AND s.ended_at IS NULL \
                  AND s.expires_at > $1 AND s.seen_at > $2) \
                 FROM account ORDER BY login LIMIT $3",
            )
            .bind(now.0)
            .bind(idle_since.0)
            .bind(LISTED_MAX)
            .fetch_all(&mut *conn)
            .await?)
        })?;
        rows.into_iter()
            .map(|(id, login, shown, role, locale, theme, created, signed_in, disabled, has_password, sessions)| {
                Ok(AccountSummary {
                    account: account_from((id, login, shown, role, locale, theme))?,
                    created_at: UtcMillis(created),
                    signed_in_at: signed_in.map(UtcMillis),
                    disabled_at: disabled.map(UtcMillis),
                    has_password: has_password == 1,
                    sessions,
                })
            })
            .collect()
    }

    /// The shown name of an account, for pages that say who did something; the sign-in name if none was given. `None`
    /// for an account that never was.
    pub async fn shown_name(&self, id: &AccountId) -> Result<Option<String>, AccountError> {
        let id = id.as_str().to_owned();
        Ok(store::read!(self.database, "accounts.shown_name", |conn| {
            Ok(store::sqlx::query_scalar(
                "SELECT CASE WHEN shown_name = '' THEN login ELSE shown_name END FROM account WHERE id = $1",
            )
            .bind(&id)
            .fetch_optional(&mut *conn)
            .await?)
        })?)
    }

    /// The newest lines of the log of accounts.
    pub async fn log(&self, actor: &Session, limit: i64) -> Result<Vec<LogLine>, AccountError> {
        type Row = (i64, Option<String>, String, Option<String>, Option<String>);
        actor.must_be_administrator()?;
        let rows: Vec<Row> = store::read!(self.database, "accounts.log", |conn| {
            Ok(store::sqlx::query_as(
                "SELECT l.at, a.login, l.action, t.login, l.address FROM account_log l \
                 LEFT JOIN account a ON a.id = l.actor LEFT JOIN account t ON t.id = l.target \
                 ORDER BY l.at DESC, l.id LIMIT $1",
            )
            .bind(limit)
            .fetch_all(&mut *conn)
            .await?)
        })?;
        let lines = rows.into_iter();
        Ok(lines
            .map(|(at, actor, action, target, address)| LogLine { at: UtcMillis(at), actor, action, target, address })
            .collect())
    }

    /// Makes an account and the link by which its holder sets the password.
    pub async fn create(&self, actor: &Session, new: NewAccount) -> Result<LinkToken, AccountError> {
        actor.must_be_administrator()?;
        let shown_name = check_shown_name(&new.shown_name)?;
        let id = AccountId::draw();
        let now = self.clock.now();
        let (stored_id, actor_id) = (id.as_str().to_owned(), actor.account.id.as_str().to_owned());
        let (login, locale, role) = (new.login.as_str().to_owned(), check_locale(&new.locale), new.role.as_str());
        let made = store::transact!(self.database, "accounts.create", |conn| {
            let inserted = store::sqlx::query(
                "INSERT INTO account (id, login, shown_name, role, locale, theme, created_at) \
                 VALUES ($1, $2, $3, $4, $5, 'system', $6) ON CONFLICT (login) DO NOTHING",
            )
            .bind(&stored_id)
            .bind(&login)
            .bind(&shown_name)
            .bind(role)
            .bind(&locale)
            .bind(now.0)
            .execute(&mut *conn)
            .await?;
            if inserted.rows_affected() == 0 {
                return Ok(false);
            }
            log_line!(conn, now, Some(&actor_id), "created", Some(&stored_id), None::<String>, Some(role));
            Ok(true)
        })?;
        if !made {
            return Err(AccountError::LoginTaken);
        }
        self.create_password_link(actor, &id).await
    }

    /// Gives another role. Takes effect at the account's next request.
    pub async fn change_role(&self, actor: &Session, account: &AccountId, role: Role) -> Result<(), AccountError> {
        actor.must_be_administrator()?;
        let now = self.clock.now();
        let (id, actor, role) = (account.as_str().to_owned(), actor.account.id.as_str().to_owned(), role.as_str());
        store::transact!(self.database, "accounts.change_role", |conn| {
            if role != "administrator" && other_administrators!(conn, &id) == 0 {
                return Ok(Changed::LastAdministrator);
            }
            let done = store::sqlx::query("UPDATE account SET role = $1 WHERE id = $2")
                .bind(role)
                .bind(&id)
                .execute(&mut *conn)
                .await?;
            if done.rows_affected() == 0 {
                return Ok(Changed::Missing);
            }
            log_line!(conn, now, Some(&actor), "role_changed", Some(&id), None::<String>, Some(role));
            Ok(Changed::Yes)
        })?
        .into_result()
    }

    /// Closes an account (its sessions end at once) or opens it again.
    pub async fn set_disabled(&self, actor: &Session, account: &AccountId, disabled: bool) -> Result<(), AccountError> {
        actor.must_be_administrator()?;
        let now = self.clock.now();
        let (id, actor) = (account.as_str().to_owned(), actor.account.id.as_str().to_owned());
        store::transact!(self.database, "accounts.set_disabled", |conn| {
            if disabled && other_administrators!(conn, &id) == 0 {
                return Ok(Changed::LastAdministrator);
            }
            let done = store::sqlx::query("UPDATE account SET disabled_at = $1 WHERE id = $2")
                .bind(disabled.then_some(now.0))
                .bind(&id)
                .execute(&mut *conn)
                .await?;
            if done.rows_affected() == 0 {
                return Ok(Changed::Missing);
            }
            if disabled {
                end_all!(conn, now, &id, "", "disabled");
            }
            let action = if disabled { "disabled" } else { "enabled" };
            log_line!(conn, now, Some(&actor), action, Some(&id), None::<String>, None::<String>);
            Ok(Changed::Yes)
        })?
        .into_result()
    }

    /// Ends all sessions of an account: one's own (but this one), or anybody's for an administrator.
    pub async fn end_sessions_of(&self, actor: &Session, account: &AccountId) -> Result<(), AccountError> {
        if *account != actor.account.id {
            actor.must_be_administrator()?;
        }
        let now = self.clock.now();
        let (id, keep) = (account.as_str().to_owned(), actor.id.as_str().to_owned());
        let actor = actor.account.id.as_str().to_owned();
        store::transact!(self.database, "accounts.end_sessions", |conn| {
            end_all!(conn, now, &id, &keep, "ended");
            log_line!(conn, now, Some(&actor), "sessions_ended", Some(&id), None::<String>, None::<String>);
            Ok(())
        })?;
        Ok(())
    }

    /// Changes one's own password; the current one is needed even in a fresh session. Other sessions end.
    pub async fn change_own_password(
        &self,
        session: &Session,
        current: Password,
        new: Password,
        address: IpAddr,
    ) -> Result<(), AccountError> {
        self.prove(session, current, address).await?;
        new.check(&[session.account.login.as_str(), &self.site, "tapward"])?;
        let hash = self.workers.hash(new).await?;
        let now = self.clock.now();
        let (id, keep) = (session.account.id.as_str().to_owned(), session.id.as_str().to_owned());
        let address = address.to_string();
        store::transact!(self.database, "accounts.change_password", |conn| {
            store::sqlx::query("UPDATE account SET password_hash = $1, password_set_at = $2 WHERE id = $3")
                .bind(&hash)
                .bind(now.0)
                .bind(&id)
                .execute(&mut *conn)
                .await?;
            end_all!(conn, now, &id, &keep, "new_password");
            log_line!(conn, now, Some(&id), "password_changed", Some(&id), Some(&address), None::<String>);
            Ok(())
        })?;
        Ok(())
    }

    /// Sets one's own language and look.
    pub async fn change_preferences(&self, session: &Session, locale: &str, theme: Theme) -> Result<(), AccountError> {
        let (id, locale, theme) = (session.account.id.as_str().to_owned(), check_locale(locale), theme.as_str());
        store::transact!(self.database, "accounts.preferences", |conn| {
            store::sqlx::query("UPDATE account SET locale = $1, theme = $2 WHERE id = $3")
                .bind(&locale)
                .bind(theme)
                .bind(&id)
                .execute(&mut *conn)
                .await?;
            Ok(())
        })?;
        Ok(())
    }
}
