//! Managing accounts: an administrator makes them, gives roles and closes them; everybody keeps their own password and
//! preferences.

use std::collections::BTreeMap;
use std::net::IpAddr;

use domain::{Permission, UtcMillis};

use super::account::{account_from, check_locale, check_shown_name};
use super::{
    AccountError, AccountId, AccountSummary, Accounts, LinkToken, LogLine, NewAccount, Password, Session, Theme,
    log_line,
};
use crate::acting::Acting;
use crate::roles::{self, Held, RoleError};

/// Most accounts in the list: a clinic's guards, managers and administrators, not its patients.
const LISTED_MAX: i64 = 500;

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
    pub async fn list(&self, acting: &Acting) -> Result<Vec<AccountSummary>, AccountError> {
        type Row = (String, String, String, String, String, i64, Option<i64>, Option<i64>, i64, i64);
        acting.must(Permission::AccountSee)?;
        let now = self.clock.now();
        let idle_since = now.plus_ms(-self.rules.idle_ms);
        let rows: Vec<Row> = store::read!(self.database, "accounts.list", |conn| {
            Ok(store::sqlx::query_as(
                "SELECT id, login, shown_name, locale, theme, created_at, signed_in_at, disabled_at, \
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
        let given: Vec<(String, String, String, Option<String>)> =
            store::read!(self.database, "accounts.list", |conn| {
                Ok(store::sqlx::query_as(
                    "SELECT account_role.account, account_role.role, account_role.zone, role.name FROM account_role \
                 LEFT JOIN role ON role.id = account_role.role \
                 ORDER BY account_role.account, account_role.role, account_role.zone",
                )
                .fetch_all(&mut *conn)
                .await?)
            })?;
        let mut roles: BTreeMap<String, Vec<Held>> = BTreeMap::new();
        for (account, role, zone, name) in given {
            roles.entry(account).or_default().push(roles::held_from((role, zone, name))?);
        }
        rows.into_iter()
            .map(|(id, login, shown, locale, theme, created, signed_in, disabled, has_password, sessions)| {
                Ok(AccountSummary {
                    roles: roles.remove(&id).unwrap_or_default(),
                    account: account_from((id, login, shown, locale, theme))?,
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
    pub async fn log(&self, acting: &Acting, limit: i64) -> Result<Vec<LogLine>, AccountError> {
        type Row = (i64, Option<String>, String, Option<String>, Option<String>);
        acting.must(Permission::AccountSee)?;
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
    pub async fn create(&self, acting: &Acting, new: NewAccount) -> Result<LinkToken, AccountError> {
        acting.must(Permission::AccountEdit)?;
        let shown_name = check_shown_name(&new.shown_name)?;
        let id = AccountId::draw();
        let now = self.clock.now();
        let (stored_id, actor_id) = (id.as_str().to_owned(), acting.account().map(str::to_owned));
        let (login, locale) = (new.login.as_str().to_owned(), check_locale(&new.locale));
        let (given, rights) = (new.roles, acting.rights.clone());
        let detail = roles::words(&given);
        let made = store::transact!(self.database, "accounts.create", |conn| {
            let tables = roles::tables!(conn);
            if let Err(refused) = roles::check(&tables, &rights, &given) {
                return Ok(Err(refused));
            }
            let inserted = store::sqlx::query(
                "INSERT INTO account (id, login, shown_name, locale, theme, created_at) \
                 VALUES ($1, $2, $3, $4, 'system', $5) ON CONFLICT (login) DO NOTHING",
            )
            .bind(&stored_id)
            .bind(&login)
            .bind(&shown_name)
            .bind(&locale)
            .bind(now.0)
            .execute(&mut *conn)
            .await?;
            if inserted.rows_affected() == 0 {
                return Ok(Ok(false));
            }
            roles::put_roles!(conn, &stored_id, &given);
            log_line!(conn, now, actor_id.as_ref(), "created", Some(&stored_id), None::<String>, Some(&detail));
            Ok(Ok(true))
        })?;
        if !made? {
            return Err(AccountError::LoginTaken);
        }
        self.create_password_link(acting, &id).await
    }

    /// Closes an account (its sessions end at once) or opens it again.
    pub async fn set_disabled(&self, acting: &Acting, account: &AccountId, disabled: bool) -> Result<(), AccountError> {
        acting.must(Permission::AccountEdit)?;
        let now = self.clock.now();
        let id = account.as_str().to_owned();
        let (actor, rights) = (acting.account().map(str::to_owned), acting.rights.clone());
        store::transact!(self.database, "accounts.set_disabled", |conn| {
            let found: Option<String> = store::sqlx::query_scalar("SELECT id FROM account WHERE id = $1")
                .bind(&id)
                .fetch_optional(&mut *conn)
                .await?;
            if found.is_none() {
                return Ok(Err(RoleError::NoAccount));
            }
            if !roles::covers_account!(conn, rights, &id, now) {
                return Ok(Err(RoleError::Beyond));
            }
            if disabled && roles::keepers!(conn, &id) == 0 {
                return Ok(Err(RoleError::LastKeeper));
            }
            store::sqlx::query("UPDATE account SET disabled_at = $1 WHERE id = $2")
                .bind(disabled.then_some(now.0))
                .bind(&id)
                .execute(&mut *conn)
                .await?;
            if disabled {
                end_all!(conn, now, &id, "", "disabled");
            }
            let action = if disabled { "disabled" } else { "enabled" };
            log_line!(conn, now, actor.as_ref(), action, Some(&id), None::<String>, None::<String>);
            Ok(Ok(()))
        })??;
        Ok(())
    }

    /// Ends all sessions of an account: one's own (but this one), or anybody's with [`Permission::AccountEdit`].
    pub async fn end_sessions_of(&self, acting: &Acting, account: &AccountId) -> Result<(), AccountError> {
        if acting.account() != Some(account.as_str()) {
            acting.must(Permission::AccountEdit)?;
        }
        let now = self.clock.now();
        let (id, keep) = (account.as_str().to_owned(), acting.session.clone().unwrap_or_default());
        let actor = acting.account().map(str::to_owned);
        store::transact!(self.database, "accounts.end_sessions", |conn| {
            end_all!(conn, now, &id, &keep, "ended");
            log_line!(conn, now, actor.as_ref(), "sessions_ended", Some(&id), None::<String>, None::<String>);
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
