//! Whether the programs at a workstation follow: for the page of the specialist. What went wrong is kept with the
//! subscription until the program follows again.

use domain::{UtcMillis, codes};
use store::{Database, Error, read, transact};

use super::Hub;
use super::log::{Entry, Log, LoggedKind};
use super::message::Message;
use super::names::EventName;
use super::resources;
use crate::draw;
use crate::rows::code;

codes! {
    /// What is wrong with a subscriber. Stable codes, keys of translations.
    TroubleKind {
        /// It refused to follow.
        Refused = "refused",
        /// It failed while following.
        Failed = "failed",
        /// It said nothing within the time.
        Silent = "silent",
        /// Its connection broke.
        Broken = "broken",
        /// It took too long to be sent to.
        Slow = "slow",
    }
}

/// Session, name, client, the event that failed last.
type SubscriberRow = (String, Option<String>, Option<String>, Option<String>);

impl TroubleKind {
    const fn words(self) -> &'static str {
        match self {
            Self::Refused => "refused to follow the context",
            Self::Failed => "failed to follow the context",
            Self::Silent => "did not answer in time",
            Self::Broken => "lost its connection",
            Self::Slow => "could not keep up",
        }
    }
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// What.
    pub kind: TroubleKind,
    /// Since when.
    pub since: UtcMillis,
}

/// A program at a workstation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscriber {
    /// What it calls itself, or the id of the OpenID client.
    pub name: Option<String>,
    /// Whether its socket is open.
    pub is_connected: bool,
    /// What is wrong with it.
    pub trouble: Option<Trouble>,
}

/// Who follows a session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HubState {
    /// Programs that are connected, or with which something is wrong.
    pub subscribers: Vec<Subscriber>,
}

impl HubState {
    /// Those that may show another chart than the one that is open.
    pub fn out_of_sync(&self) -> impl Iterator<Item = &Subscriber> {
        self.subscribers.iter().filter(|subscriber| subscriber.trouble.is_some())
    }
}

/// Which programs follow a session, and which do not. For the page of the one who is bound; one statement.
///
/// # Errors
/// Engine errors.
pub async fn state(database: &Database, session: &str) -> Result<HubState, Error> {
    type Row = (Option<String>, Option<String>, Option<i64>, Option<String>, Option<i64>);
    let rows: Vec<Row> = read!(database, "fhircast.state", |conn| {
        Ok(sqlx::query_as(
            "SELECT name, client, connected_ms, trouble, trouble_ms FROM fhircast_subscription
             WHERE session = $1 AND (ended_ms IS NULL AND connected_ms IS NOT NULL OR trouble IS NOT NULL)
             ORDER BY made_ms, id LIMIT 50",
        )
        .bind(session)
        .fetch_all(&mut *conn)
        .await?)
    })?;
    let read = |(name, client, connected, trouble, since): Row| {
        let kind =
            trouble.map(|text| code("fhircast_subscription", "trouble", &text, TroubleKind::parse)).transpose()?;
        let trouble = kind.map(|kind| Trouble { kind, since: UtcMillis(since.unwrap_or_default()) });
        Ok(Subscriber { name: name.or(client), is_connected: connected.is_some(), trouble })
    };
    Ok(HubState { subscribers: rows.into_iter().map(read).collect::<Result<_, Error>>()? })
}

/// Tells the feed of changes whether the programs of a session follow: `note!(conn, now, session, Some(kind))`, or `None`
/// when one follows again.
macro_rules! note {
    ($conn:expr, $now:expr, $session:expr, $kind:expr) => {{
        let kind: Option<$crate::fhircast::state::TroubleKind> = $kind;
        let bound: Option<(String, String)> =
            sqlx::query_as("SELECT workstation, person FROM desk_session WHERE id = $1")
                .bind($session)
                .fetch_optional(&mut *$conn)
                .await?;
        if let Some((workstation, person)) = bound {
            let what = match kind {
                Some(_) => $crate::changes::ChangeKind::OutOfSync,
                None => $crate::changes::ChangeKind::InSync,
            };
            let change = $crate::changes::Change {
                reason: kind.map(|kind| kind.as_str().to_owned()),
                workstation: domain::PointId::new(&workstation).ok(),
                session: Some($session.to_owned()),
                staff: person.parse().ok(),
                ..$crate::changes::Change::new($now, $now, what)
            };
            $crate::changes::append!($conn, &change);
        }
    }};
}
pub(super) use note;

impl Hub {
    /// A subscriber did not follow: all others are told by a `SyncError`, and the page of the specialist. The event is
    /// named by its id and name; empty, if it was none in particular.
    ///
    /// # Errors
    /// Engine errors.
    pub async fn failed(&self, id: &str, event_id: &str, event_name: &str, kind: TroubleKind) -> Result<(), Error> {
        let (now, key, message_id) = (self.clock.now(), self.key(), draw::id()?);
        let (id, event_id, event_name) = (id.to_owned(), event_id.to_owned(), event_name.to_owned());
        transact!(self.database, "fhircast.failed", |conn| {
            let last = conn.lock_log().await?;
            let row: Option<SubscriberRow> =
                sqlx::query_as("SELECT session, name, client, trouble_event FROM fhircast_subscription WHERE id = $1")
                    .bind(&id)
                    .fetch_optional(&mut *conn)
                    .await?;
            let Some((session, name, client, told)) = row else { return Ok(()) };
            if told.as_deref() == Some(event_id.as_str()) && !event_id.is_empty() {
                return Ok(());
            }
            sqlx::query(
                "UPDATE fhircast_subscription SET trouble = $1, trouble_event = $2, trouble_ms = $3 WHERE id = $4",
            )
            .bind(kind.as_str())
            .bind(&event_id)
            .bind(now.0)
            .bind(&id)
            .execute(&mut *conn)
            .await?;
            let who = name.or(client).unwrap_or_else(|| "a subscriber without a name".to_owned());
            let words = format!("{who} {}", kind.words());
            let context = vec![resources::sync_error(&event_id, &event_name, &who, &words)];
            let message = Message::new(message_id.clone(), now, EventName::SyncError, context);
            let entry = Entry {
                session: session.clone(),
                kind: LoggedKind::Event,
                subscription: Some(id.clone()),
                message: Some(message),
            };
            conn.write_log(&key, now, last, &[entry]).await?;
            note!(conn, now, &session, Some(kind));
            Ok(())
        })
    }

    /// A subscriber that had not followed does again.
    ///
    /// # Errors
    /// Engine errors.
    pub async fn recovered(&self, id: &str) -> Result<(), Error> {
        let (now, id) = (self.clock.now(), id.to_owned());
        transact!(self.database, "fhircast.recovered", |conn| {
            let session: Option<String> = sqlx::query_scalar(
                "UPDATE fhircast_subscription SET trouble = NULL, trouble_event = NULL, trouble_ms = NULL
                 WHERE id = $1 AND trouble IS NOT NULL RETURNING session",
            )
            .bind(&id)
            .fetch_optional(&mut *conn)
            .await?;
            if let Some(session) = session {
                note!(conn, now, &session, None);
            }
            Ok(())
        })
    }
}
