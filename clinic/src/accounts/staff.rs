//! Managing accounts: an administrator makes them, gives roles and closes them; everybody keeps their own password and
//! preferences.

use std::collections::BTreeMap;

use domain::{Permission, UtcMillis};

use super::account::{account_from, check_locale, check_shown_name, name_from, seal_name};
use super::device::forget_devices;
use super::session::{end_all, renew_session};
use super::{
    AccountError, AccountId, AccountSummary, Accounts, DeviceToken, Email, LinkToken, LogLine, Login, NewAccount,
    Password, Session, SessionToken, Theme, Visitor, own_entry,
};
use crate::acting::Acting;
use crate::audit::{self, Action, Draft};
use crate::notices::{self, Notice, NoticeKind, To};
use crate::roles::{self, Held, RoleError};

/// Most accounts in the list: a clinic's guards, managers and administrators, not its patients.
const LISTED_MAX: i64 = 500;

impl Accounts {
    /// All accounts, by sign-in name.
    pub async fn list(&self, acting: &Acting) -> Result<Vec<AccountSummary>, AccountError> {
        type Row = (String, String, String, Option<Vec<u8>>, String, String, i64, Option<i64>, Option<i64>, i64, i64);
        acting.must(Permission::AccountSee)?;
        let now = self.clock.now();
        let idle_since = now.plus_ms(-self.rules.idle_ms);
        let rows: Vec<Row> = store::read!(self.database, "accounts.list", |conn| {
            Ok(store::sqlx::query_as(
                "SELECT id, login, shown_name, name_box, locale, theme, created_at, signed_in_at, disabled_at, \
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
            .map(|(id, login, clear, sealed, locale, theme, created, signed_in, disabled, has_password, sessions)| {
                Ok(AccountSummary {
                    roles: roles.remove(&id).unwrap_or_default(),
                    account: account_from(&self.cabinet, (id, login, clear, sealed, locale, theme))?,
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
        type Row = (String, String, Option<Vec<u8>>);
        let id = id.as_str();
        let row: Option<Row> = store::read!(self.database, "accounts.shown_name", |conn| {
            Ok(store::sqlx::query_as("SELECT login, shown_name, name_box FROM account WHERE id = $1")
                .bind(id)
                .fetch_optional(&mut *conn)
                .await?)
        })?;
        let Some((login, clear, sealed)) = row else { return Ok(None) };
        name_from(&self.cabinet, id, &Login::new(&login)?, clear, sealed).map(Some)
    }

    /// Seals names that an earlier version stored in the clear. Answers how many.
    pub async fn seal_names(&self) -> Result<usize, AccountError> {
        let clear: Vec<(String, String)> = store::read!(self.database, "accounts.seal_names", |conn| {
            Ok(store::sqlx::query_as("SELECT id, shown_name FROM account WHERE shown_name <> ''")
                .fetch_all(&mut *conn)
                .await?)
        })?;
        let mut sealed = Vec::with_capacity(clear.len());
        for (id, name) in clear {
            let name_box = seal_name(&self.cabinet, &id, &name)?;
            sealed.push((id, name_box));
        }
        let count = sealed.len();
        store::transact!(self.database, "accounts.seal_names", |conn| {
            for (id, name_box) in &sealed {
                store::sqlx::query("UPDATE account SET shown_name = '', name_box = $1 WHERE id = $2")
                    .bind(name_box)
                    .bind(id)
                    .execute(&mut *conn)
                    .await?;
            }
            Ok(())
        })?;
        Ok(count)
    }

    /// The newest lines of the log of accounts.
    pub async fn log(&self, acting: &Acting, limit: i64) -> Result<Vec<LogLine>, AccountError> {
        type Row = (i64, Option<String>, String, Option<String>, Option<String>);
        acting.must(Permission::AccountSee)?;
        let rows: Vec<Row> = store::read!(self.database, "accounts.log", |conn| {
            Ok(store::sqlx::query_as(
                "SELECT e.at_ms, a.login, e.action, t.login, e.address FROM audit_entry e \
                 LEFT JOIN account a ON a.id = e.actor LEFT JOIN account t ON t.id = e.object \
                 WHERE e.action IN ('signed_in', 'sign_in_failed', 'session_ended', 'sessions_ended', 'first_run', \
                  'account_created', 'account_disabled', 'account_enabled', 'roles_changed', 'link_made', \
                  'password_set', 'password_changed', 'factor_changed') \
                 ORDER BY e.no DESC LIMIT $1",
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
        self.invite(acting, new, None).await
    }

    /// As [`Accounts::create`], with an address to which the link is sent as well, and later notices.
    pub async fn invite(
        &self,
        acting: &Acting,
        new: NewAccount,
        email: Option<&Email>,
    ) -> Result<LinkToken, AccountError> {
        acting.must(Permission::AccountEdit)?;
        let shown_name = check_shown_name(&new.shown_name)?;
        let id = AccountId::draw();
        let now = self.clock.now();
        let stored_id = id.as_str().to_owned();
        let name_box = seal_name(&self.cabinet, &stored_id, &shown_name)?;
        let email_box = match email {
            Some(email) => Some(self.cabinet.seal("account", "email_box", &stored_id, email.reveal().as_bytes())?),
            None => None,
        };
        let (login, locale) = (new.login.as_str().to_owned(), check_locale(&new.locale));
        let (given, rights) = (new.roles, acting.rights.clone());
        let entry = acting.draft(now, Action::AccountCreated);
        let entry = Draft { object: Some(stored_id.clone()), detail: Some(roles::words(&given)), ..entry };
        let made = store::transact!(self.database, "accounts.create", |conn| {
            let tables = roles::tables!(conn);
            if let Err(refused) = roles::check(&tables, &rights, &given) {
                return Ok(Err(refused));
            }
            let inserted = store::sqlx::query(
                "INSERT INTO account (id, login, shown_name, name_box, email_box, locale, theme, created_at) \
                 VALUES ($1, $2, '', $3, $4, $5, 'system', $6) ON CONFLICT (login) DO NOTHING",
            )
            .bind(&stored_id)
            .bind(&login)
            .bind(&name_box)
            .bind(&email_box)
            .bind(&locale)
            .bind(now.0)
            .execute(&mut *conn)
            .await?;
            if inserted.rows_affected() == 0 {
                return Ok(Ok(false));
            }
            roles::put_roles!(conn, &stored_id, &given);
            audit::record!(conn, &entry);
            Ok(Ok(true))
        })?;
        if !made? {
            return Err(AccountError::LoginTaken);
        }
        self.make_link(acting, &id, NoticeKind::Registered).await
    }

    /// Closes an account (its sessions end at once) or opens it again.
    pub async fn set_disabled(&self, acting: &Acting, account: &AccountId, disabled: bool) -> Result<(), AccountError> {
        acting.must(Permission::AccountEdit)?;
        let now = self.clock.now();
        let id = account.as_str().to_owned();
        let rights = acting.rights.clone();
        let action = if disabled { Action::AccountDisabled } else { Action::AccountEnabled };
        let entry = Draft { object: Some(id.clone()), ..acting.draft(now, action) };
        let notice = Notice::new(now, To::Account(id.clone()), NoticeKind::AccountClosed);
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
                crate::api_keys::end_keys_of!(conn, now, &id);
                store::sqlx::query("DELETE FROM account_half WHERE account = $1").bind(&id).execute(&mut *conn).await?;
                notices::enqueue!(conn, &notice);
            }
            audit::record!(conn, &entry);
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
        let entry = Draft { object: Some(id.clone()), ..acting.draft(now, Action::SessionsEnded) };
        store::transact!(self.database, "accounts.end_sessions", |conn| {
            end_all!(conn, now, &id, &keep, "ended");
            store::sqlx::query("DELETE FROM account_half WHERE account = $1").bind(&id).execute(&mut *conn).await?;
            audit::record!(conn, &entry);
            Ok(())
        })?;
        Ok(())
    }

    /// Changes one's own password; the current one is needed even in a fresh session. This session goes on with a new
    /// token, all others end, and other browsers are strangers again.
    pub async fn change_own_password(
        &self,
        session: &Session,
        current: Password,
        new: Password,
        visitor: &Visitor,
    ) -> Result<SessionToken, AccountError> {
        let place = self.prove(session, current, visitor.address).await?;
        let hash = self.new_hash(&place, new, self.about(&session.account.login, &session.account.shown_name)).await?;
        let now = self.clock.now();
        let (id, own) = (session.account.id.as_str().to_owned(), session.id.as_str().to_owned());
        let device = visitor.device.as_ref().map(DeviceToken::stored).unwrap_or_default();
        let token = SessionToken::draw()?;
        let renewed = token.clone();
        let entry = own_entry(now, Action::PasswordChanged, &id, Some(&own), visitor);
        let notice =
            Notice::new(now, To::Account(id.clone()), NoticeKind::PasswordChanged).with("address", visitor.address);
        store::transact!(self.database, "accounts.change_password", |conn| {
            store::sqlx::query("UPDATE account SET password_hash = $1, password_set_at = $2 WHERE id = $3")
                .bind(&hash)
                .bind(now.0)
                .bind(&id)
                .execute(&mut *conn)
                .await?;
            end_all!(conn, now, &id, &own, "new_password");
            renew_session!(conn, now, &own, renewed);
            forget_devices!(conn, &id, &device);
            store::sqlx::query("DELETE FROM account_half WHERE account = $1").bind(&id).execute(&mut *conn).await?;
            audit::record!(conn, &entry);
            notices::enqueue!(conn, &notice);
            Ok(())
        })?;
        Ok(token)
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
