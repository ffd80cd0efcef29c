//! The address for notices: sealed, and believed only when its holder has confirmed it by a link sent to it.

use std::fmt;

use domain::UtcMillis;

use super::{AccountError, Accounts, LINK_LIFE_MS, LinkToken, Password, Session, Visitor, own_entry};
use crate::audit::{self, Action, Draft};
use crate::notices::{self, Notice, NoticeKind, To};

/// Longest address, in characters (RFC 5321, 4.5.3.1.3).
const EMAIL_MAX_CHARS: usize = 254;
/// Longest part before the `@`, in characters (RFC 5321, 4.5.3.1.1).
const LOCAL_MAX_CHARS: usize = 64;

/// An e-mail address of the plain kind that people have: no quotes, no comments, one line.
#[derive(Clone, PartialEq, Eq)]
pub struct Email(String);

impl Email {
    /// Takes what was typed, without spaces around it.
    ///
    /// # Errors
    /// [`AccountError::BadEmail`].
    pub fn new(typed: &str) -> Result<Self, AccountError> {
        let typed = typed.trim();
        let (local, host) = typed.rsplit_once('@').ok_or(AccountError::BadEmail)?;
        let dotted = |text: &str| !text.starts_with('.') && !text.ends_with('.') && !text.contains("..");
        let local_ok = !local.is_empty()
            && local.len() <= LOCAL_MAX_CHARS
            && local.bytes().all(|b| b.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&b))
            && dotted(local);
        let host_ok = !host.is_empty()
            && host.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-')
            && host.split('.').all(|label| !label.is_empty() && !label.starts_with('-') && !label.ends_with('-'));
        if typed.len() > EMAIL_MAX_CHARS || !local_ok || !host_ok {
            return Err(AccountError::BadEmail);
        }
        Ok(Self(typed.to_owned()))
    }

    /// The address.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email(redacted)")
    }
}

/// Where one's notices go.
#[derive(Debug, Clone, Default)]
pub struct EmailState {
    /// The confirmed address.
    pub address: Option<Email>,
    /// One that waits to be confirmed.
    pub waiting: Option<Email>,
}

/// The confirmed address and the one that waits, sealed.
type Boxes = (Option<Vec<u8>>, Option<Vec<u8>>);

impl Accounts {
    /// One's own addresses.
    pub async fn email_state(&self, session: &Session) -> Result<EmailState, AccountError> {
        let (now, id) = (self.clock.now(), session.account.id.as_str());
        let row: Option<Boxes> = store::read!(self.database, "accounts.email", |conn| {
            Ok(store::sqlx::query_as(
                "SELECT account.email_box, account_email.email_box FROM account \
                 LEFT JOIN account_email ON account_email.account = account.id AND account_email.expires_at > $2 \
                 WHERE account.id = $1",
            )
            .bind(id)
            .bind(now.0)
            .fetch_optional(&mut *conn)
            .await?)
        })?;
        let (address, waiting) = row.ok_or(AccountError::NoAccount)?;
        let open = |table, sealed: Option<Vec<u8>>| {
            sealed.map(|sealed| self.cabinet.open_text(table, "email_box", id, sealed).map(Email)).transpose()
        };
        Ok(EmailState { address: open("account", address)?, waiting: open("account_email", waiting)? })
    }

    /// Asks for notices to go to this address, by one's password. It counts once the link sent to it is followed.
    ///
    /// # Errors
    /// [`AccountError::WrongPassword`], [`AccountError::Wait`].
    pub async fn ask_email(
        &self,
        session: &Session,
        password: Password,
        email: &Email,
        visitor: &Visitor,
    ) -> Result<(), AccountError> {
        self.prove(session, password, visitor.address).await?;
        let now = self.clock.now();
        let id = session.account.id.as_str().to_owned();
        let link = LinkToken::draw()?;
        let stored = link.stored();
        let sealed = self.cabinet.seal("account_email", "email_box", &id, email.reveal().as_bytes())?;
        let notice = Notice::new(now, To::Account(id.clone()), NoticeKind::EmailConfirm)
            .with_address(&self.cabinet, email.reveal())?
            .with_link(&self.cabinet, &format!("/me/email/{}", link.reveal()))?;
        let entry = own_entry(now, Action::PreferencesChanged, &id, Some(session.id.as_str()), visitor);
        let entry = Draft { detail: Some("address for notices asked".to_owned()), ..entry };
        store::transact!(self.database, "accounts.email", |conn| {
            store::sqlx::query(
                "INSERT INTO account_email (account, email_box, token_hash, asked_at, expires_at) \
                 VALUES ($1, $2, $3, $4, $5) ON CONFLICT (account) DO UPDATE SET email_box = excluded.email_box, \
                 token_hash = excluded.token_hash, asked_at = excluded.asked_at, expires_at = excluded.expires_at",
            )
            .bind(&id)
            .bind(&sealed)
            .bind(&stored)
            .bind(now.0)
            .bind(now.plus_ms(LINK_LIFE_MS).0)
            .execute(&mut *conn)
            .await?;
            notices::enqueue!(conn, &notice);
            audit::record!(conn, &entry);
            Ok(())
        })?;
        Ok(())
    }

    /// Confirms one's own new address by the link that was sent to it. The old address is told.
    ///
    /// # Errors
    /// [`AccountError::LinkSpent`] for an unknown, used or expired link, or somebody else's.
    pub async fn confirm_email(
        &self,
        session: &Session,
        link: &LinkToken,
        visitor: &Visitor,
    ) -> Result<(), AccountError> {
        let now = self.clock.now();
        let (id, stored) = (session.account.id.as_str().to_owned(), link.stored());
        let state = self.email_state(session).await?;
        let Some(waiting) = state.waiting else { return Err(AccountError::LinkSpent) };
        let sealed = self.cabinet.seal("account", "email_box", &id, waiting.reveal().as_bytes())?;
        let told = match &state.address {
            Some(old) => Some(
                Notice::new(now, To::Account(id.clone()), NoticeKind::EmailChanged)
                    .with_address(&self.cabinet, old.reveal())?,
            ),
            None => None,
        };
        let entry = own_entry(now, Action::PreferencesChanged, &id, Some(session.id.as_str()), visitor);
        let entry = Draft { detail: Some("address for notices confirmed".to_owned()), ..entry };
        let done = store::transact!(self.database, "accounts.email", |conn| {
            let used = store::sqlx::query(
                "DELETE FROM account_email WHERE account = $1 AND token_hash = $2 AND expires_at > $3",
            )
            .bind(&id)
            .bind(&stored)
            .bind(now.0)
            .execute(&mut *conn)
            .await?;
            if used.rows_affected() != 1 {
                return Ok(false);
            }
            store::sqlx::query("UPDATE account SET email_box = $1 WHERE id = $2")
                .bind(&sealed)
                .bind(&id)
                .execute(&mut *conn)
                .await?;
            if let Some(told) = &told {
                notices::enqueue!(conn, told);
            }
            audit::record!(conn, &entry);
            Ok(true)
        })?;
        if done { Ok(()) } else { Err(AccountError::LinkSpent) }
    }

    /// Removes one's own address, by the password: no more notices. The old address is told.
    ///
    /// # Errors
    /// [`AccountError::WrongPassword`], [`AccountError::Wait`].
    pub async fn remove_email(
        &self,
        session: &Session,
        password: Password,
        visitor: &Visitor,
    ) -> Result<(), AccountError> {
        self.prove(session, password, visitor.address).await?;
        let now: UtcMillis = self.clock.now();
        let id = session.account.id.as_str().to_owned();
        let told = match self.email_state(session).await?.address {
            Some(old) => Some(
                Notice::new(now, To::Account(id.clone()), NoticeKind::EmailChanged)
                    .with_address(&self.cabinet, old.reveal())?,
            ),
            None => None,
        };
        let entry = own_entry(now, Action::PreferencesChanged, &id, Some(session.id.as_str()), visitor);
        let entry = Draft { detail: Some("address for notices removed".to_owned()), ..entry };
        store::transact!(self.database, "accounts.email", |conn| {
            store::sqlx::query("DELETE FROM account_email WHERE account = $1").bind(&id).execute(&mut *conn).await?;
            store::sqlx::query("UPDATE account SET email_box = NULL WHERE id = $1")
                .bind(&id)
                .execute(&mut *conn)
                .await?;
            if let Some(told) = &told {
                notices::enqueue!(conn, told);
            }
            audit::record!(conn, &entry);
            Ok(())
        })?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_the_plain_ones_that_people_have() {
        for good in ["olena@clinic.example", " o.bondar+doors@mail.clinic.example ", "root@localhost"] {
            assert_eq!(Email::new(good).unwrap().reveal(), good.trim());
        }
        for bad in [
            "",
            "olena",
            "@clinic.example",
            "olena@",
            "a@b@c d",
            "a b@c",
            "a@b\r\nBcc: c@d",
            "a@b,c@d",
            "<a@b>",
            "\"a b\"@c",
            "a..b@c",
            ".a@b",
            "a@-b",
            "a@b..c",
            "олена@clinic.example",
            "a@клініка.example",
            &format!("{}@clinic.example", "a".repeat(65)),
            &format!("a@{}", "b".repeat(254)),
        ] {
            assert!(matches!(Email::new(bad), Err(AccountError::BadEmail)), "{bad:?}");
        }
        assert!(!format!("{:?}", Email::new("olena@clinic.example").unwrap()).contains("olena"));
    }
}
