//! One-time links: the only way by which a password is set first, and the way to set a new one. Drawn at random, valid
//! once and for [`LINK_LIFE_MS`]; who made the link never learns the password.

use std::sync::Arc;

use domain::{Permission, Shipped, UtcMillis};

use super::account::{AccountId, check_locale, check_shown_name, seal_name};
use super::device::forget_devices;
use super::session::{Opening, open_session};
use super::workers::Line;
use super::{AccountError, Accounts, LINK_LIFE_MS, LinkToken, Login, Password, SessionToken, Visitor, own_entry};
use crate::acting::Acting;
use crate::audit::{self, Action, Draft};
use crate::notices::{self, Notice, NoticeKind, To};
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

    /// A link by which the holder of `account` sets a new password; an administrator asks for it and passes it on. It
    /// is also sent to the account's address, where there is one.
    pub async fn create_password_link(&self, acting: &Acting, account: &AccountId) -> Result<LinkToken, AccountError> {
        self.make_link(acting, account, NoticeKind::PasswordLink).await
    }

    pub(super) async fn make_link(
        &self,
        acting: &Acting,
        account: &AccountId,
        told: NoticeKind,
    ) -> Result<LinkToken, AccountError> {
        acting.must(Permission::AccountEdit)?;
        let now = self.clock.now();
        let link = LinkToken::draw()?;
        let (stored, id) = (link.stored(), account.as_str().to_owned());
        let rights = acting.rights.clone();
        let entry = Draft { object: Some(id.clone()), ..acting.draft(now, Action::LinkMade) };
        let notice = Notice::new(now, To::Account(id.clone()), told).with_link(&self.cabinet, &link.path())?;
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
            audit::record!(conn, &entry);
            notices::enqueue!(conn, &notice);
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
        let shown_name = check_shown_name(shown_name)?;
        // Whoever holds a good link is no stranger.
        let place = Arc::new(self.workers.place(Line::Known)?);
        let hash = self.new_hash(&place, password, self.about(login, &shown_name)).await?;
        let now = self.clock.now();
        let account = AccountId::draw().as_str().to_owned();
        let name_box = seal_name(&self.cabinet, &account, &shown_name)?;
        let (spent, rules, opening) = (link.stored(), self.rules, Opening::draw(visitor)?);
        let token = opening.token.clone();
        let (login, locale) = (login.as_str().to_owned(), check_locale(locale));
        let entry = own_entry(now, Action::FirstRun, &account, Some(&opening.id), visitor);
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
                 (id, login, shown_name, name_box, locale, theme, password_hash, created_at, password_set_at) \
                 VALUES ($1, $2, '', $3, $4, 'system', $5, $6, $6)",
            )
            .bind(&account)
            .bind(&login)
            .bind(&name_box)
            .bind(&locale)
            .bind(&hash)
            .bind(now.0)
            .execute(&mut *conn)
            .await?;
            roles::put_roles!(conn, &account, [Grant::site(Shipped::Administrator)]);
            open_session!(conn, rules, now, &opening, &account);
            audit::record!(conn, &entry);
            Ok(Redeemed::Yes)
        })?;
        match done {
            Redeemed::Yes => Ok(token),
            Redeemed::Spent => Err(AccountError::LinkSpent),
            Redeemed::Taken => Err(AccountError::LoginTaken),
        }
    }

    /// Uses a password link: sets the password, ends every open session of that account and signs in.
    ///
    /// # Errors
    /// [`AccountError::SecondStep`] when the password is set and a second factor is needed to go on.
    pub async fn redeem_password(
        &self,
        link: &LinkToken,
        password: Password,
        visitor: &Visitor,
    ) -> Result<SessionToken, AccountError> {
        let LinkPurpose::SetPassword(login) = self.inspect_link(link).await?.purpose else {
            return Err(AccountError::LinkSpent);
        };
        let account = self.find(&login).await?.ok_or(AccountError::LinkSpent)?;
        let shown_name = self.shown_name(&account).await?.unwrap_or_default();
        let place = Arc::new(self.workers.place(Line::Known)?);
        let hash = self.new_hash(&place, password, self.about(&login, &shown_name)).await?;
        let now = self.clock.now();
        let account = account.as_str().to_owned();
        let step = self.second_step(&account, now).await?;
        let (spent, rules, opening) = (link.stored(), self.rules, Opening::draw(visitor)?);
        let token = opening.token.clone();
        let session = step.is_none().then_some(opening.id.as_str());
        let entry = own_entry(now, Action::PasswordSet, &account, session, visitor);
        let notice = Notice::new(now, To::Account(account.clone()), NoticeKind::PasswordChanged)
            .with("address", visitor.address);
        let id = account.clone();
        let done = store::transact!(self.database, "accounts.redeem", |conn| {
            let used = store::sqlx::query(
                "UPDATE account_link SET used_at = $1 \
                 WHERE token_hash = $2 AND account = $3 AND used_at IS NULL AND expires_at > $1",
            )
            .bind(now.0)
            .bind(&spent)
            .bind(&id)
            .execute(&mut *conn)
            .await?;
            if used.rows_affected() != 1 {
                return Ok(Redeemed::Spent);
            }
            store::sqlx::query("UPDATE account SET password_hash = $1, password_set_at = $2 WHERE id = $3")
                .bind(&hash)
                .bind(now.0)
                .bind(&id)
                .execute(&mut *conn)
                .await?;
            store::sqlx::query(
                "UPDATE account_session SET ended_at = $1, ended_why = 'new_password' \
                 WHERE account = $2 AND ended_at IS NULL",
            )
            .bind(now.0)
            .bind(&id)
            .execute(&mut *conn)
            .await?;
            forget_devices!(conn, &id, "");
            store::sqlx::query("DELETE FROM account_half WHERE account = $1").bind(&id).execute(&mut *conn).await?;
            if step.is_none() {
                open_session!(conn, rules, now, &opening, &id);
            }
            audit::record!(conn, &entry);
            notices::enqueue!(conn, &notice);
            Ok(Redeemed::Yes)
        })?;
        match (done, step) {
            (Redeemed::Yes, None) => Ok(token),
            (Redeemed::Yes, Some(step)) => Err(AccountError::SecondStep(self.open_half(&account, step, now).await?)),
            (Redeemed::Spent | Redeemed::Taken, _) => Err(AccountError::LinkSpent),
        }
    }
}
