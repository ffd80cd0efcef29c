//! What people do with a binding on a page: use, lock, end; and with which rights.

use std::net::IpAddr;

use domain::desk::{EndWhy, LockWhy};
use domain::{Permission, Rights};
use store::{read, transact};

use super::sessions::{By, Sessions};
use super::{Desk, DeskError, DeskSession};
use crate::accounts::AccountId;
use crate::acting::{Acting, Actor};
use crate::{break_glass, roles, staff};

/// A binding's last use is written at most so often, in milliseconds.
const USED_EVERY_MS: i64 = 5_000;

impl Desk {
    /// Who acts in an open binding: the specialist, with the rights of their account if one is linked and open, or else
    /// of their role.
    ///
    /// # Errors
    /// [`DeskError::NoSession`], [`DeskError::NotOpen`], [`DeskError::NotStaff`], or engine errors.
    pub async fn acting(&self, session: &DeskSession, address: Option<IpAddr>) -> Result<Acting, DeskError> {
        let session = self.session(&session.id).await?.ok_or(DeskError::NoSession)?;
        if session.ended.is_some() {
            return Err(DeskError::NoSession);
        }
        if !session.is_open() {
            return Err(DeskError::NotOpen);
        }
        let found = staff::by_person(&self.database, session.person).await?;
        let member = found.filter(|member| member.ended.is_none()).ok_or(DeskError::NotStaff)?;
        let mut acting = Acting {
            actor: Actor::Staff(session.person),
            rights: Rights::default(),
            session: Some(session.id),
            address,
            glass: None,
        };
        match &member.account {
            Some(account) => {
                if self.is_open_account(account).await? {
                    let standing = roles::standing_of(&self.database, account, self.clock.now()).await?;
                    acting.rights = standing.rights;
                    acting.glass = standing.glass.map(|glass| glass.id);
                }
            }
            None => {
                acting.rights = Rights::of(member.role);
                if acting.rights.allows(Permission::BreakGlassUse) {
                    let key = break_glass::holder(&acting);
                    let open = break_glass::open_of(&self.database, &key, self.clock.now()).await?;
                    if let Some(glass) = open {
                        glass.widen(&mut acting.rights);
                        acting.glass = Some(glass.id);
                    }
                }
            }
        }
        Ok(acting)
    }

    async fn is_open_account(&self, account: &AccountId) -> Result<bool, DeskError> {
        let account = account.as_str();
        let open: Option<i64> = read!(self.database, "desk.account", |conn| {
            Ok(sqlx::query_scalar("SELECT 1 FROM account WHERE id = $1 AND disabled_at IS NULL")
                .bind(account)
                .fetch_optional(&mut *conn)
                .await?)
        })?;
        Ok(open.is_some())
    }

    /// Something was done in a binding: it is not idle. Written at most every few seconds.
    ///
    /// # Errors
    /// Engine errors.
    pub async fn used(&self, session: &DeskSession) -> Result<(), DeskError> {
        let now = self.clock.now();
        if now.since_ms(session.used) < USED_EVERY_MS {
            return Ok(());
        }
        let id = session.id.clone();
        transact!(self.database, "desk.used", |conn| {
            sqlx::query("UPDATE desk_session SET used_ms = $1 WHERE id = $2 AND state = 'open' AND used_ms < $1")
                .bind(now.0)
                .bind(&id)
                .execute(&mut *conn)
                .await?;
            Ok(())
        })?;
        Ok(())
    }

    /// Locks an open binding: one's own, or another's by who manages workstations.
    ///
    /// # Errors
    /// [`DeskError::NoSession`], no right, or engine errors.
    pub async fn lock(&self, acting: &Acting, session: &DeskSession) -> Result<(), DeskError> {
        let own = is_own(acting, session);
        if !own {
            acting.must(Permission::DeskManage)?;
        }
        let why = if own { LockWhy::ByHand } else { LockWhy::ByManager };
        let (now, id, acting) = (self.clock.now(), session.id.clone(), acting.clone());
        let done = transact!(self.database, "desk.lock", |conn| {
            match conn.session_by_id(&id).await? {
                Some(session) if session.is_open() => {
                    conn.lock_session(&session, why, &By { acting: acting.clone(), at: now, now }).await?;
                    Ok(true)
                }
                _ => Ok(false),
            }
        })?;
        if done { Ok(()) } else { Err(DeskError::NoSession) }
    }

    /// Ends a binding: one's own, or another's by who manages workstations.
    ///
    /// # Errors
    /// [`DeskError::NoSession`], no right, or engine errors.
    pub async fn end(&self, acting: &Acting, session: &DeskSession) -> Result<(), DeskError> {
        let own = is_own(acting, session);
        if !own {
            acting.must(Permission::DeskManage)?;
        }
        let why = if own { EndWhy::ByHand } else { EndWhy::ByManager };
        let (now, id, acting) = (self.clock.now(), session.id.clone(), acting.clone());
        let done = transact!(self.database, "desk.end", |conn| {
            match conn.session_by_id(&id).await? {
                Some(session) if session.ended.is_none() => {
                    conn.end_session(&session, why, &By { acting: acting.clone(), at: now, now }).await?;
                    Ok(true)
                }
                _ => Ok(false),
            }
        })?;
        if done { Ok(()) } else { Err(DeskError::NoSession) }
    }
}

/// Whether who acts is bound by this very binding.
fn is_own(acting: &Acting, session: &DeskSession) -> bool {
    acting.actor == Actor::Staff(session.person) && acting.session.as_deref() == Some(session.id.as_str())
}
