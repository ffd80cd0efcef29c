//! One-time links: the only way by which a password is set first, and the way to set a new one. Drawn at random, valid
//! once and for [`LINK_LIFE_MS`]; who made the link never learns the password.

use domain::{Permission, Shipped, UtcMillis};

use super::account::{AccountId, check_locale, check_shown_name};
use super::session::open_session;
use super::{AccountError, Accounts, LINK_LIFE_MS, LinkToken, Login, Password, SessionToken, Visitor, log_line};
use crate::acting::Acting;
use crate::roles::{self, Grant, RoleError};

/// What a link lets its holder do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkPurpose {
    /// Make the first administrator's account.
    FirstRun,
    /// Set the password of this account.
    SetPassword(Login),
}

/// A link that is still good.
#[derive(Debug, Clone)]
pub struct LinkState {
    /// What for.
    pub purpose: LinkPurpose,
    /// Until when.
    pub expires_at: UtcMillis,
}

enum Redeemed {
    Yes,
    Spent,
    Taken,
}

impl Accounts {
    /// A link for making the first administrator; earlier unused ones stop working. `None` when an administrator who
    /// can sign in exists.
    pub async fn create_first_run_link(&self) -> Result<Option<LinkToken>, AccountError> {
        let now = self.clock.now();
        let link = LinkToken::draw()?;
        let stored = link.stored();
        let made = store::transact!(self.database, "accounts.first_run", |conn| {
            if roles::keepers!(conn, "") > 0 {
                return Ok(false);
            }
            store::sqlx::query("DELETE FROM account_link WHERE purpose = 'first_run' AND used_at IS NULL")
                .execute(&mut *conn)
                .await?;
            store::sqlx::query(
                "INSERT INTO account_link (token_hash, purpose, created_at, expires_at) VALUES ($1, 'first_run', $2, $3)",
            )
            .bind(&stored)
            .bind(now.0)
            .bind(now.plus_ms(LINK_LIFE_MS).0)
            .execute(&mut *conn)
            .await?;
            Ok(true)
        })?;
        Ok(made.then_some(link))
    }

    /// A link by which the holder of `account` sets a new password; an administrator asks for it and passes it on.
    pub async fn create_password_link(&self, acting: &Acting, account: &AccountId) -> Result<LinkToken, AccountError> {
        acting.must(Permission::AccountEdit)?;
        let now = self.clock.now();
        let link = LinkToken::draw()?;
        let (stored, id) = (link.stored(), account.as_str().to_owned());
        let (actor, rights) = (acting.account().map(str::to_owned), acting.rights.clone());
        let made = store::transact!(self.database, "accounts.password_link", |conn| {
            let found: Option<String> = store::sqlx::query_scalar("SELECT id FROM account WHERE id = $1")
                .bind(&id)
                .fetch_optional(&mut *conn)
                .await?;
            if found.is_none() {
                return Ok(Err(RoleError::NoAccount));
            }
            // Whoever holds the link holds the account.
            if !roles::covers_account!(conn, rights, &id, now) {
                return Ok(Err(RoleError::Beyond));
            }
            store::sqlx::query("DELETE FROM account_link WHERE account = $1 AND used_at IS NULL")
                .bind(&id)
                .execute(&mut *conn)
                .await?;
            store::sqlx::query(
                "INSERT INTO account_link (token_hash, purpose, account, created_at, expires_at) \
                 VALUES ($1, 'set_password', $2, $3, $4)",
            )
            .bind(&stored)
            .bind(&id)
            .bind(now.0)
            .bind(now.plus_ms(LINK_LIFE_MS).0)
            .execute(&mut *conn)
            .await?;
            log_line!(conn, now, actor.as_ref(), "link_made", Some(&id), None::<String>, None::<String>);
            Ok(Ok(()))
        })?;
        made?;
        Ok(link)
    }

    /// What a link is good for.
    ///
    /// # Errors
    /// [`AccountError::LinkSpent`] for an unknown, used or expired one.
    pub async fn inspect_link(&self, link: &LinkToken) -> Result<LinkState, AccountError> {
        let (now, stored) = (self.clock.now(), link.stored());
        let row: Option<(String, i64, Option<String>)> = store::read!(self.database, "accounts.link", |conn| {
            Ok(store::sqlx::query_as(
                "SELECT account_link.purpose, account_link.expires_at, account.login FROM account_link \
                 LEFT JOIN account ON account.id = account_link.account \
                 WHERE token_hash = $1 AND used_at IS NULL AND expires_at > $2 AND account.disabled_at IS NULL",
            )
            .bind(&stored)
            .bind(now.0)
            .fetch_optional(&mut *conn)
            .await?)
        })?;
        let (purpose, expires_at, login) = row.ok_or(AccountError::LinkSpent)?;
        let purpose = match (purpose.as_str(), login) {
            ("first_run", None) => LinkPurpose::FirstRun,
            ("set_password", Some(login)) => LinkPurpose::SetPassword(Login::new(&login)?),
            _ => return Err(AccountError::BadRow { table: "account_link", column: "purpose" }),
        };
        Ok(LinkState { purpose, expires_at: UtcMillis(expires_at) })
    }

    /// Uses a first-run link: makes the administrator and signs in.
    pub async fn redeem_first_run(
        &self,
        link: &LinkToken,
        login: &Login,
        shown_name: &str,
        locale: &str,
        password: Password,
        visitor: &Visitor,
    ) -> Result<SessionToken, AccountError> {
        let state = self.inspect_link(link).await?;
        if state.purpose != LinkPurpose::FirstRun {
            return Err(AccountError::LinkSpent);
        }
        password.check(&[login.as_str(), &self.site, "tapward"])?;
        let shown_name = check_shown_name(shown_name)?;
        let hash = self.workers.hash(password).await?;
        let token = SessionToken::draw()?;
        let now = self.clock.now();
        let account = AccountId::draw().as_str().to_owned();
        let (spent, stored, rules) = (link.stored(), token.stored(), self.rules);
        let (login, locale) = (login.as_str().to_owned(), check_locale(locale));
        let (address, agent) = (visitor.address.to_string(), visitor.agent.chars().take(160).collect::<String>());
        let done = store::transact!(self.database, "accounts.redeem", |conn| {
            let taken: i64 = store::sqlx::query_scalar("SELECT COUNT(*) FROM account WHERE login = $1")
                .bind(&login)
                .fetch_one(&mut *conn)
                .await?;
            if taken > 0 {
                return Ok(Redeemed::Taken);
            }
            let used = store::sqlx::query(
                "UPDATE account_link SET used_at = $1 WHERE token_hash = $2 AND used_at IS NULL AND expires_at > $1",
            )
            .bind(now.0)
            .bind(&spent)
            .execute(&mut *conn)
            .await?;
            if used.rows_affected() != 1 {
                return Ok(Redeemed::Spent);
            }
            store::sqlx::query(
                "INSERT INTO account \
                 (id, login, shown_name, locale, theme, password_hash, created_at, password_set_at) \
                 VALUES ($1, $2, $3, $4, 'system', $5, $6, $6)",
            )
            .bind(&account)
            .bind(&login)
            .bind(&shown_name)
            .bind(&locale)
            .bind(&hash)
            .bind(now.0)
            .execute(&mut *conn)
            .await?;
            roles::put_roles!(conn, &account, [Grant::site(Shipped::Administrator)]);
            open_session!(conn, rules, now, &stored, &account, &address, &agent);
            log_line!(conn, now, Some(&account), "first_run", Some(&account), Some(&address), None::<String>);
            Ok(Redeemed::Yes)
        })?;
        match done {
            Redeemed::Yes => Ok(token),
            Redeemed::Spent => Err(AccountError::LinkSpent),
            Redeemed::Taken => Err(AccountError::LoginTaken),
        }
    }

    /// Uses a password link: sets the password, ends every open session of that account and signs in.
    pub async fn redeem_password(
        &self,
        link: &LinkToken,
        password: Password,
        visitor: &Visitor,
    ) -> Result<SessionToken, AccountError> {
        let LinkPurpose::SetPassword(login) = self.inspect_link(link).await?.purpose else {
            return Err(AccountError::LinkSpent);
        };
        password.check(&[login.as_str(), &self.site, "tapward"])?;
        let hash = self.workers.hash(password).await?;
        let token = SessionToken::draw()?;
        let now = self.clock.now();
        let (spent, stored, rules) = (link.stored(), token.stored(), self.rules);
        let (address, agent) = (visitor.address.to_string(), visitor.agent.chars().take(160).collect::<String>());
        let done = store::transact!(self.database, "accounts.redeem", |conn| {
            let account: Option<String> = store::sqlx::query_scalar(
                "UPDATE account_link SET used_at = $1 \
                 WHERE token_hash = $2 AND used_at IS NULL AND expires_at > $1 RETURNING account",
            )
            .bind(now.0)
            .bind(&spent)
            .fetch_optional(&mut *conn)
            .await?;
            let Some(account) = account else { return Ok(Redeemed::Spent) };
            store::sqlx::query("UPDATE account SET password_hash = $1, password_set_at = $2 WHERE id = $3")
                .bind(&hash)
                .bind(now.0)
                .bind(&account)
                .execute(&mut *conn)
                .await?;
            store::sqlx::query(
                "UPDATE account_session SET ended_at = $1, ended_why = 'new_password' \
                 WHERE account = $2 AND ended_at IS NULL",
            )
            .bind(now.0)
            .bind(&account)
            .execute(&mut *conn)
            .await?;
            open_session!(conn, rules, now, &stored, &account, &address, &agent);
            log_line!(conn, now, Some(&account), "password_set", Some(&account), Some(&address), None::<String>);
            Ok(Redeemed::Yes)
        })?;
        match done {
            Redeemed::Yes => Ok(token),
            Redeemed::Spent | Redeemed::Taken => Err(AccountError::LinkSpent),
        }
    }
}
