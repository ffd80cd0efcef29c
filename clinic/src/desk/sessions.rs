//! What happens to a binding, on either engine, inside a transaction: opened, confirmed, locked, unlocked, ended. Each
//! writes the row, its entry of the audit log and its change; what a visit must know of it is told to `visits`.

use domain::desk::{EndWhy, Factor, LockWhy, SessionState};
use domain::{PersonId, UtcMillis};
use store::Error;

use super::DeskSession;
use super::patients;
use super::rows::{Row, select};
use crate::acting::{Acting, Actor};
use crate::audit::{self, Action, Draft};
use crate::changes::{self, Change, ChangeKind};

/// Who does it, and when.
#[derive(Debug, Clone)]
pub(crate) struct By {
    /// Who.
    pub acting: Acting,
    /// When it happened.
    pub at: UtcMillis,
    /// Now.
    pub now: UtcMillis,
}

impl By {
    /// The program's own rules.
    pub(crate) fn system(now: UtcMillis) -> Self {
        Self { acting: Acting::system(), at: now, now }
    }

    /// Somebody's tap.
    pub(crate) fn tap(person: PersonId, at: UtcMillis, now: UtcMillis) -> Self {
        Self { acting: Acting { actor: Actor::Staff(person), ..Acting::system() }, at, now }
    }

    fn draft(&self, session: &DeskSession, action: Action, detail: String) -> Draft {
        Draft {
            session: Some(session.id.clone()),
            object: Some(session.workstation.to_string()),
            detail: Some(format!("{detail}; at={}", self.at)),
            ..self.acting.draft(self.now, action)
        }
    }

    fn change(&self, session: &DeskSession, kind: ChangeKind, reason: Option<&str>) -> Change {
        Change {
            reason: reason.map(str::to_owned),
            workstation: Some(session.workstation.clone()),
            session: Some(session.id.clone()),
            staff: Some(session.person),
            ..Change::new(self.now, self.at, kind)
        }
    }
}

/// An engine's connection inside a transaction, on which bindings change.
pub(crate) trait Sessions {
    /// The binding that has not ended at a workstation.
    async fn session_at(&mut self, workstation: &str) -> Result<Option<DeskSession>, Error>;

    /// One binding.
    async fn session_by_id(&mut self, id: &str) -> Result<Option<DeskSession>, Error>;

    /// A person's bindings that have not ended.
    async fn sessions_of(&mut self, person: PersonId) -> Result<Vec<DeskSession>, Error>;

    /// Writes a new binding, open or waiting.
    async fn open_session(&mut self, session: &DeskSession, by: &By) -> Result<(), Error>;

    /// The one who is bound is here: a tap, or a PIN with its factor. The state becomes `state`.
    async fn confirm_session(
        &mut self,
        session: &DeskSession,
        state: SessionState,
        factor: Factor,
        by: &By,
    ) -> Result<(), Error>;

    /// Locks an open binding.
    async fn lock_session(&mut self, session: &DeskSession, why: LockWhy, by: &By) -> Result<(), Error>;

    /// Ends a binding. Its running visit is told.
    async fn end_session(&mut self, session: &DeskSession, why: EndWhy, by: &By) -> Result<(), Error>;

    /// Ends all bindings of a person by a rule.
    async fn end_all_of(&mut self, person: PersonId, why: EndWhy, now: UtcMillis) -> Result<(), Error>;
}

macro_rules! sessions_on {
    ($connection:ty) => {
        impl Sessions for $connection {
            async fn session_at(&mut self, workstation: &str) -> Result<Option<DeskSession>, Error> {
                let row: Option<Row> = sqlx::query_as(select!("WHERE s.workstation = $1 AND s.ended_ms IS NULL"))
                    .bind(workstation)
                    .fetch_optional(&mut *self)
                    .await?;
                row.map(DeskSession::try_from).transpose()
            }

            async fn session_by_id(&mut self, id: &str) -> Result<Option<DeskSession>, Error> {
                let row: Option<Row> =
                    sqlx::query_as(select!("WHERE s.id = $1")).bind(id).fetch_optional(&mut *self).await?;
                row.map(DeskSession::try_from).transpose()
            }

            async fn sessions_of(&mut self, person: PersonId) -> Result<Vec<DeskSession>, Error> {
                let rows: Vec<Row> = sqlx::query_as(select!("WHERE s.person = $1 AND s.ended_ms IS NULL ORDER BY s.id"))
                    .bind(person.to_string())
                    .fetch_all(&mut *self)
                    .await?;
                rows.into_iter().map(DeskSession::try_from).collect()
            }

            async fn open_session(&mut self, session: &DeskSession, by: &By) -> Result<(), Error> {
                sqlx::query(
                    "INSERT INTO desk_session (id, workstation, zone, person, card, state, factor, opened_ms,
                         confirmed_ms, used_ms)
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9)",
                )
                .bind(&session.id)
                .bind(session.workstation.as_str())
                .bind(session.zone.as_str())
                .bind(session.person.to_string())
                .bind(session.card.map(|card| card.to_string()))
                .bind(session.state.as_str())
                .bind(session.factor.as_str())
                .bind(session.opened.0)
                .bind(session.used.0)
                .execute(&mut *self)
                .await?;
                let detail = format!("{}; factor={}", session.state, session.factor);
                audit::record!(self, &by.draft(session, Action::DeskOpened, detail));
                if session.state == SessionState::Open {
                    patients::session_bound(&mut *self, session, by).await?;
                }
                let kind = match session.state {
                    SessionState::Waiting => ChangeKind::FactorWanted,
                    _ => ChangeKind::SessionOpened,
                };
                changes::append!(self, &by.change(session, kind, None));
                Ok(())
            }

            async fn confirm_session(
                &mut self,
                session: &DeskSession,
                state: SessionState,
                factor: Factor,
                by: &By,
            ) -> Result<(), Error> {
                sqlx::query(
                    "UPDATE desk_session SET state = $1, factor = $2, confirmed_ms = $3, used_ms = $4 WHERE id = $5",
                )
                .bind(state.as_str())
                .bind(factor.as_str())
                .bind(by.at.0)
                .bind(by.now.0)
                .bind(&session.id)
                .execute(&mut *self)
                .await?;
                let (kind, said) = match (session.state, state) {
                    (_, SessionState::Waiting | SessionState::Ended) => (ChangeKind::FactorWanted, "factor wanted"),
                    (SessionState::Locked, _) => (ChangeKind::SessionUnlocked, "unlocked"),
                    // A first factor opens what only waited; a later one is a confirmation.
                    (SessionState::Waiting, _) if session.factor == Factor::None => (ChangeKind::SessionOpened, "open"),
                    (SessionState::Waiting, _) => (ChangeKind::SessionUnlocked, "unlocked"),
                    _ => (ChangeKind::SessionConfirmed, "confirmed"),
                };
                let detail = format!("{said}; factor={factor}");
                audit::record!(self, &by.draft(session, Action::DeskOpened, detail));
                if state == SessionState::Open && session.state != SessionState::Open {
                    patients::session_bound(&mut *self, session, by).await?;
                }
                changes::append!(self, &by.change(session, kind, None));
                Ok(())
            }

            async fn lock_session(&mut self, session: &DeskSession, why: LockWhy, by: &By) -> Result<(), Error> {
                // A tap that locks is a tap all the same: a second reading of it must not unlock.
                let confirmed = if why == LockWhy::Retap { by.at } else { session.confirmed };
                sqlx::query("UPDATE desk_session SET state = $1, confirmed_ms = $2 WHERE id = $3")
                    .bind(SessionState::Locked.as_str())
                    .bind(confirmed.0)
                    .bind(&session.id)
                    .execute(&mut *self)
                    .await?;
                audit::record!(self, &by.draft(session, Action::DeskEnded, format!("locked {why}")));
                changes::append!(self, &by.change(session, ChangeKind::SessionLocked, Some(why.as_str())));
                Ok(())
            }

            async fn end_session(&mut self, session: &DeskSession, why: EndWhy, by: &By) -> Result<(), Error> {
                // Never before it began: a clock that was set back must not make a negative stay.
                let at = by.at.max(session.opened);
                sqlx::query(
                    "UPDATE desk_session SET state = $1, ended_ms = $2, ended_why = $3 WHERE id = $4 AND ended_ms IS NULL",
                )
                .bind(SessionState::Ended.as_str())
                .bind(at.0)
                .bind(why.as_str())
                .bind(&session.id)
                .execute(&mut *self)
                .await?;
                let by = By { at, ..by.clone() };
                audit::record!(self, &by.draft(session, Action::DeskEnded, format!("ended {why}")));
                patients::session_ended(&mut *self, session, why, &by).await?;
                changes::append!(self, &by.change(session, ChangeKind::SessionEnded, Some(why.as_str())));
                Ok(())
            }

            async fn end_all_of(&mut self, person: PersonId, why: EndWhy, now: UtcMillis) -> Result<(), Error> {
                for session in self.sessions_of(person).await? {
                    self.end_session(&session, why, &By::system(now)).await?;
                }
                Ok(())
            }
        }
    };
}

store::for_each_connection!(sessions_on);
