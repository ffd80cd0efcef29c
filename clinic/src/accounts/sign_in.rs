//! Signing in: the password, and what comes after it.
//!
//! In this order, so that a flood costs next to nothing: a place in the line, the throttle, the hash. Unknown name,
//! closed account, no password yet and wrong password take the same way and give the same answer.

use std::sync::Arc;

use domain::UtcMillis;

use super::session::{Opening, open_session};
use super::throttle::{Known, Subjects};
use super::workers::Line;
use super::{AccountError, Accounts, Login, Password, SessionToken, Visitor, failed_entry, hashing, own_entry};
use crate::audit::{self, Action};

/// What is stored of a name: id, hash, since when closed.
type StoredRow = (String, Option<String>, Option<i64>);

impl Accounts {
    /// Opens a session for the right name and password; a new token each time. Unknown name, disabled account, no
    /// password yet and wrong password are all [`AccountError::WrongPassword`], after the same work.
    ///
    /// # Errors
    /// [`AccountError::SecondStep`] when the password is right and a code is needed; [`AccountError::Wait`] and
    /// [`AccountError::Busy`] before anything was looked at.
    pub async fn sign_in(
        &self,
        login: &str,
        password: Password,
        visitor: &Visitor,
    ) -> Result<SessionToken, AccountError> {
        let now = self.clock.now();
        let name = Login::new(login).map_or_else(|_| String::new(), |login| login.as_str().to_owned());
        let by_device = self.known_device(&name, visitor, now).await?;
        let place = self.workers.place(if by_device.is_some() { Line::Known } else { Line::Strangers })?;
        let place = Arc::new(place);
        let known = match by_device {
            Some(known) => known,
            None => self.known_address(&name, visitor).await?,
        };
        let subjects = Subjects::password(&name, visitor.address, &known);
        self.count_try(&subjects, now).await?;
        let row: Option<StoredRow> = store::read!(self.database, "accounts.sign_in", |conn| {
            Ok(store::sqlx::query_as("SELECT id, password_hash, disabled_at FROM account WHERE login = $1")
                .bind(&name)
                .fetch_optional(&mut *conn)
                .await?)
        })?;
        let oldest = self.oldest_cost().await?;
        let id = row.as_ref().map(|(id, ..)| id.clone());
        let (account, stored) = match row {
            Some((id, hash, None)) => (Some(id), hash),
            Some((_, _, Some(_))) | None => (None, None),
        };
        let former = stored.clone();
        let work = move || hashing::verify(&password, stored.as_deref(), oldest);
        let verdict = self.workers.run(&place, work).await?;
        let (true, Some(account)) = (verdict.is_right, account) else {
            let entry = failed_entry(now, id.as_deref(), visitor, "password");
            store::transact!(self.database, "accounts.sign_in", |conn| {
                audit::record!(conn, &entry);
                Ok(())
            })?;
            return Err(AccountError::WrongPassword);
        };
        self.forgive_try(subjects).await?;
        if let (Some(better), Some(former)) = (verdict.better, former) {
            self.replace_hash(&account, former, better).await?;
        }
        match self.second_step(&account, now).await? {
            Some(step) => Err(AccountError::SecondStep(self.open_half(&account, step, now).await?)),
            None => self.open(&account, visitor, now).await,
        }
    }

    /// Opens a session.
    pub(super) async fn open(
        &self,
        account: &str,
        visitor: &Visitor,
        now: UtcMillis,
    ) -> Result<SessionToken, AccountError> {
        let (rules, account, opening) = (self.rules, account.to_owned(), Opening::draw(visitor)?);
        let token = opening.token.clone();
        let entry = own_entry(now, Action::SignedIn, &account, Some(&opening.id), visitor);
        store::transact!(self.database, "accounts.sign_in", |conn| {
            open_session!(conn, rules, now, &opening, &account);
            audit::record!(conn, &entry);
            Ok(())
        })?;
        Ok(token)
    }

    /// The browser, if the account of this name has signed in from it before.
    pub(super) async fn known_device(
        &self,
        login: &str,
        visitor: &Visitor,
        now: UtcMillis,
    ) -> Result<Option<Known>, AccountError> {
        let Some(device) = &visitor.device else { return Ok(None) };
        let is_known = self.knows_device(login, device, now).await?;
        Ok(is_known.then(|| Known::Device(device.clone())))
    }

    async fn known_address(&self, login: &str, visitor: &Visitor) -> Result<Known, AccountError> {
        let address = visitor.address.to_string();
        let found: i64 = store::read!(self.database, "accounts.sign_in", |conn| {
            Ok(store::sqlx::query_scalar(
                "SELECT COUNT(*) FROM account_session JOIN account ON account.id = account_session.account \
                 WHERE account.login = $1 AND account_session.address = $2",
            )
            .bind(login)
            .bind(&address)
            .fetch_one(&mut *conn)
            .await?)
        })?;
        Ok(if found > 0 { Known::Address } else { Known::No })
    }

    /// The highest cost among bcrypt hashes that wait to be replaced.
    async fn oldest_cost(&self) -> Result<Option<u32>, AccountError> {
        let cost: Option<String> = store::read!(self.database, "accounts.sign_in", |conn| {
            Ok(store::sqlx::query_scalar(
                "SELECT MAX(SUBSTR(password_hash, 5, 2)) FROM account WHERE password_hash LIKE '$2%'",
            )
            .fetch_one(&mut *conn)
            .await?)
        })?;
        Ok(cost.and_then(|cost| cost.parse().ok()))
    }

    async fn replace_hash(&self, account: &str, former: String, better: String) -> Result<(), AccountError> {
        let account = account.to_owned();
        store::transact!(self.database, "accounts.rehash", |conn| {
            store::sqlx::query("UPDATE account SET password_hash = $1 WHERE id = $2 AND password_hash = $3")
                .bind(&better)
                .bind(&account)
                .bind(&former)
                .execute(&mut *conn)
                .await?;
            Ok(())
        })?;
        Ok(())
    }
}
