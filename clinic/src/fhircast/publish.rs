//! What programs publish, and who asks what is open.

use domain::{PersonId, UtcMillis};
use serde_json::Value;
use store::{read, transact};

use super::contexts::Applied;
use super::log::{BoardRow, Entry, Log, LoggedKind};
use super::message::Message;
use super::names::{Anchor, EventName};
use super::scopes::Access;
use super::secret::Topic;
use super::state::{self, TroubleKind};
use super::{Caller, Hub, HubError, resources};
use crate::audit::{self, Action, Draft};

/// An event with the id of one of so short a time ago is the same one, sent again by an impatient program, in
/// milliseconds. Later it is one that asks to be told again, as the standard has it after an error.
const SAME_WITHIN_MS: i64 = 5_000;

impl Hub {
    /// Takes an event that a program publishes; it is then told to all who follow, that program too, under the same id.
    /// An event from the future is taken as one of now: another's clock must not keep the next patient out.
    ///
    /// # Errors
    /// [`HubError`]; [`HubError::Older`] when something was opened after this happened.
    pub async fn publish(&self, caller: &Caller, topic: &Topic, message: Message) -> Result<(), HubError> {
        let (session, scopes) = self.session_of(caller, topic).await?;
        if matches!(message.event(), EventName::UserLogout | EventName::UserHibernate) {
            return Err(HubError::Forbidden(
                "a session is ended and locked at the workstation: by a tap, on its page, or by the provider's sign-out",
            ));
        }
        if !scopes.allow(message.event(), Access::Write) {
            return Err(HubError::Forbidden("the access token does not allow to publish this event"));
        }
        let now = self.clock.now();
        let stated = message.happened();
        let message = if stated.0 == 0 || stated > now { message.at(now) } else { message };
        let entry = self.chart_opened(caller, &session, &message, now).await?;
        let refusal = match message.event() {
            EventName::SyncError => resources::read_sync_error(message.context()),
            _ => (None, None),
        };
        let client = caller.grant.as_ref().map(|grant| grant.client.clone());
        let key = self.key();
        let applied = transact!(self.database, "fhircast.publish", |conn| {
            let last = conn.lock_log().await?;
            let row: Option<BoardRow> = sqlx::query_as(
                "SELECT session, topic_hash, latest_ms, contexts, ended_ms FROM fhircast_session
                 WHERE session = $1 AND ended_ms IS NULL",
            )
            .bind(&session)
            .fetch_optional(&mut *conn)
            .await?;
            let Some(row) = row else { return Ok(None) };
            let again: i64 = sqlx::query_scalar(
                "SELECT COUNT(*) FROM fhircast_event WHERE session = $1 AND message_id = $2 AND at_ms > $3",
            )
            .bind(&session)
            .bind(&message.id)
            .bind(now.0.saturating_sub(SAME_WITHIN_MS))
            .fetch_one(&mut *conn)
            .await?;
            if again > 0 {
                return Ok(Some(Applied::Taken));
            }
            let mut board = row.read(&key)?;
            let applied = board.contexts.apply(&message, &mut board.latest);
            if applied != Applied::Taken {
                return Ok(Some(applied));
            }
            let logged = Entry {
                session: session.clone(),
                kind: LoggedKind::Event,
                subscription: None,
                message: Some(message.clone()),
            };
            conn.write_log(&key, now, last, &[logged]).await?;
            if message.event().anchor().is_some() {
                conn.write_boards(&key, &[board]).await?;
            }
            if let Some(entry) = &entry {
                audit::record!(conn, entry);
            }
            if *message.event() == EventName::SyncError {
                let troubled = sqlx::query(
                    "UPDATE fhircast_subscription SET trouble = $1, trouble_event = $2, trouble_ms = $3
                     WHERE session = $4 AND ended_ms IS NULL AND (name = $5 OR name IS NULL AND client = $6)",
                )
                .bind(TroubleKind::Refused.as_str())
                .bind(&refusal.0)
                .bind(now.0)
                .bind(&session)
                .bind(&refusal.1)
                .bind(&client)
                .execute(&mut *conn)
                .await?;
                if troubled.rows_affected() > 0 {
                    state::note!(conn, now, &session, Some(TroubleKind::Refused));
                }
            }
            Ok(Some(applied))
        })?;
        match applied {
            None => Err(HubError::UnknownTopic),
            Some(Applied::Taken) => Ok(()),
            Some(Applied::Older) => Err(HubError::Older),
            Some(Applied::NotOpen) => Err(HubError::NotOpen),
        }
    }

    /// What is open at a topic, as the standard answers it.
    ///
    /// # Errors
    /// [`HubError`].
    pub async fn context(&self, caller: &Caller, topic: &Topic) -> Result<Value, HubError> {
        let (session, scopes) = self.session_of(caller, topic).await?;
        let key = self.key();
        let row: Option<BoardRow> = read!(self.database, "fhircast.context", |conn| {
            Ok(sqlx::query_as(
                "SELECT session, topic_hash, latest_ms, contexts, ended_ms FROM fhircast_session WHERE session = $1",
            )
            .bind(&session)
            .fetch_optional(&mut *conn)
            .await?)
        })?;
        let board = row.ok_or(HubError::UnknownTopic)?.read(&key)?;
        if let Some(last) = board.contexts.open().last()
            && !scopes.allow(last.event(), Access::Read)
        {
            return Err(HubError::Forbidden("the access token does not allow to read what is open"));
        }
        Ok(board.contexts.answer())
    }

    /// The entry of the audit log about a chart that a program opened.
    async fn chart_opened(
        &self,
        caller: &Caller,
        session: &str,
        message: &Message,
        now: UtcMillis,
    ) -> Result<Option<Draft>, HubError> {
        if !matches!(message.event(), EventName::Open(anchor) if *anchor != Anchor::Home) {
            return Ok(None);
        }
        let subject = match message.resource_id(Anchor::Patient) {
            Some(id) => self.person_of(id).await?,
            None => None,
        };
        Ok(Some(Draft {
            subject,
            object: Some(format!("fhircast {session}")),
            detail: Some(message.event().to_string()),
            ..Self::acting(caller, session).draft(now, Action::ChartOpened)
        }))
    }

    /// Who a patient's resource is, if it is one of ours.
    async fn person_of(&self, id: &str) -> Result<Option<PersonId>, store::Error> {
        if let Ok(person) = id.parse::<PersonId>() {
            return Ok(Some(person));
        }
        let Some(system) = self.settings.patient_id_of.as_deref() else { return Ok(None) };
        let person: Option<String> = read!(self.database, "fhircast.person", |conn| {
            Ok(sqlx::query_scalar("SELECT person FROM person_alias WHERE system = $1 AND value = $2")
                .bind(system)
                .bind(id)
                .fetch_optional(&mut *conn)
                .await?)
        })?;
        Ok(person.and_then(|person| person.parse().ok()))
    }
}
