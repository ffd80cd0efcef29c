//! Who follows a topic: asking, connecting, leaving. A subscription is one socket at a time; its address opens within two
//! minutes of the asking, and again within a minute of a broken connection.

use std::sync::Arc;

use domain::UtcMillis;
use domain::vault::Place;
use store::{Error, read, transact};

use super::contexts::Contexts;
use super::log::{BoardRow, Entry, Log, LoggedKind};
use super::message::Message;
use super::names::EventList;
use super::scopes::Access;
use super::secret::{Endpoint, Topic};
use super::state::{self, TroubleKind};
use super::{Caller, Hub, HubError, open, seal};
use crate::audit::{self, Action, Draft};
use crate::draw;

/// Most subscriptions of one topic that have not ended; one more is refused.
pub const SUBSCRIBERS_MAX: i64 = 16;
/// Longest name of a subscriber, in characters; the rest is cut off.
const NAME_MAX_CHARS: usize = 64;
/// How long a new address can be opened, in milliseconds.
const OPEN_WITHIN_MS: i64 = 120_000;
/// How long it can be opened again after a broken connection, in milliseconds.
const REOPEN_WITHIN_MS: i64 = 60_000;
/// A socket whose program has not said for so long that it holds it is lost, in milliseconds.
const LOST_AFTER_MS: i64 = 90_000;
/// Shortest lease, in seconds.
const LEASE_MIN_S: i64 = 10;

/// What a program asks for.
#[derive(Debug, Clone)]
pub struct Ask {
    /// Which topic.
    pub topic: Topic,
    /// Which events.
    pub events: EventList,
    /// For how long, in seconds.
    pub lease_s: Option<i64>,
    /// What it calls itself.
    pub name: Option<String>,
    /// The address of a socket that it has already: its subscription is changed instead of another one made.
    pub endpoint: Option<Endpoint>,
}

/// A subscription that was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// Where its socket is.
    pub endpoint: EndpointGiven,
    /// What it will be told.
    pub events: EventList,
    /// Until when.
    pub until: UtcMillis,
}

/// Where the socket of a subscription is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndpointGiven {
    /// A new one is to be opened.
    New(Endpoint),
    /// The one that it has goes on.
    Same(Endpoint),
}

/// Id, endpoint, name, client.
type SubscribedRow = (String, String, Option<String>, Option<String>);

impl EndpointGiven {
    /// The last part of the address.
    pub const fn endpoint(&self) -> &Endpoint {
        match self {
            Self::New(endpoint) | Self::Same(endpoint) => endpoint,
        }
    }
}

/// A socket that was opened.
#[derive(Debug, Clone)]
pub struct Connected {
    /// The subscription.
    pub id: String,
    /// Of which session.
    pub session: String,
    /// The topic, for the messages.
    pub topic: Topic,
    /// What the subscriber calls itself.
    pub name: Option<String>,
    /// What it is told.
    pub events: EventList,
    /// Until when.
    pub until: UtcMillis,
    /// What is open, of what it asked for, in the order of opening.
    pub open: Vec<Message>,
    /// The number of the newest entry of the log at that moment: what comes later is sent.
    pub upto: u64,
}

/// How a socket ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The subscriber closed it in order (1000 or 1001), unsubscribed, its lease or session ended: nothing is wrong.
    InOrder,
    /// The connection broke.
    Broken,
    /// The hub's program ends: the subscriber may come back to the same address.
    Away,
    /// It said nothing within the time, or could not be sent to: it is cut off.
    CutOff,
}

#[derive(sqlx::FromRow)]
struct SubscriptionRow {
    id: String,
    session: String,
    client: Option<String>,
    name: Option<String>,
    events: String,
    until_ms: i64,
}

impl Hub {
    /// The topic of a session, made when it is first asked for; it stays the same until the session ends. For the answer
    /// to a sign-in (`hub.topic`). `None`: there is no such session, or it has ended.
    ///
    /// # Errors
    /// Engine errors, or a topic sealed with another key.
    pub async fn topic(&self, session: &str) -> Result<Option<Topic>, Error> {
        let new = Topic::draw()?;
        let (key, session, hash) = (self.key(), session.to_owned(), new.stored());
        let sealed = seal(&key, topic_place(&session), new.reveal().as_bytes())?;
        let kept = transact!(self.database, "fhircast.topic", |conn| {
            let opened: Option<i64> =
                sqlx::query_scalar("SELECT opened_ms FROM desk_session WHERE id = $1 AND ended_ms IS NULL")
                    .bind(&session)
                    .fetch_optional(&mut *conn)
                    .await?;
            let Some(opened) = opened else { return Ok(None) };
            conn.lock_log().await?;
            sqlx::query(
                "INSERT INTO fhircast_session (session, topic_hash, topic, latest_ms) VALUES ($1, $2, $3, $4)
                 ON CONFLICT (session) DO UPDATE SET topic_hash = excluded.topic_hash, topic = excluded.topic
                 WHERE fhircast_session.topic_hash IS NULL",
            )
            .bind(&session)
            .bind(&hash)
            .bind(&sealed)
            .bind(opened)
            .execute(&mut *conn)
            .await?;
            let kept: Option<Vec<u8>> =
                sqlx::query_scalar("SELECT topic FROM fhircast_session WHERE session = $1 AND ended_ms IS NULL")
                    .bind(&session)
                    .fetch_optional(&mut *conn)
                    .await?
                    .flatten();
            Ok(kept.map(|kept| (session.clone(), kept)))
        })?;
        kept.map(|(session, kept)| open_topic(&key, &session, kept)).transpose()
    }

    /// The session of a topic, if it has not ended, with what the caller may do there.
    pub(super) async fn session_of(&self, caller: &Caller, topic: &Topic) -> Result<(String, super::Scopes), HubError> {
        let hash = topic.stored();
        let session: Option<String> = read!(self.database, "fhircast.session", |conn| {
            Ok(sqlx::query_scalar(
                "SELECT f.session FROM fhircast_session f JOIN desk_session d ON d.id = f.session
                 WHERE f.topic_hash = $1 AND f.ended_ms IS NULL AND d.ended_ms IS NULL",
            )
            .bind(&hash)
            .fetch_optional(&mut *conn)
            .await?)
        })?;
        // Without a token nothing is said about topics, unless the installation takes them.
        if caller.grant.is_none() && !self.settings.topic_is_enough {
            return Err(HubError::TokenNeeded);
        }
        let session = session.ok_or(HubError::UnknownTopic)?;
        let scopes = self.scopes(caller, &session, self.clock.now())?;
        Ok((session, scopes))
    }

    /// Accepts a subscription, or changes the one whose socket is named.
    ///
    /// # Errors
    /// [`HubError`].
    pub async fn subscribe(&self, caller: &Caller, ask: Ask) -> Result<Accepted, HubError> {
        if ask.events.is_empty() {
            return Err(HubError::Bad(format!(
                "hub.events names no event of this hub; it knows {}",
                super::EventName::SUPPORTED.join(",")
            )));
        }
        let (session, scopes) = self.session_of(caller, &ask.topic).await?;
        let events = ask.events.filtered(|event| scopes.allow(event, Access::Read));
        if events.is_empty() {
            return Err(HubError::Forbidden("the access token allows to read none of these events"));
        }
        let now = self.clock.now();
        let longest = self.settings.lease_max_s.max(LEASE_MIN_S);
        let lease_s =
            ask.lease_s.filter(|asked| *asked > 0).unwrap_or(self.settings.lease_s).clamp(LEASE_MIN_S, longest);
        let mut until = now.plus_ms(lease_s.saturating_mul(1000));
        if let Some(grant) = &caller.grant {
            until = until.min(grant.until);
        }
        let name = ask.name.as_deref().map(clean_name).filter(|name| !name.is_empty());
        let client = caller.grant.as_ref().map(|grant| grant.client.clone());
        let (id, fresh) = (draw::id()?, Endpoint::draw()?);
        let (hash, old_hash) = (fresh.stored(), ask.endpoint.as_ref().map(Endpoint::stored));
        let entry = Draft {
            object: Some(format!("fhircast {session}")),
            detail: Some(format!("subscribed: {events}")),
            ..Self::acting(caller, &session).draft(now, Action::ExchangeChanged)
        };
        let (key, listed) = (self.key(), events.to_string());
        let outcome = transact!(self.database, "fhircast.subscribe", |conn| {
            let last = conn.lock_log().await?;
            if let Some(old_hash) = &old_hash {
                let changed: Option<String> = sqlx::query_scalar(
                    "UPDATE fhircast_subscription SET events = $1, until_ms = $2, name = COALESCE($3, name)
                     WHERE endpoint_hash = $4 AND session = $5 AND ended_ms IS NULL AND until_ms > $6 RETURNING id",
                )
                .bind(&listed)
                .bind(until.0)
                .bind(&name)
                .bind(old_hash)
                .bind(&session)
                .bind(now.0)
                .fetch_optional(&mut *conn)
                .await?;
                if let Some(changed) = changed {
                    let changed = Entry::about(&session, LoggedKind::Changed, changed);
                    conn.write_log(&key, now, last, &[changed]).await?;
                    audit::record!(conn, &entry);
                    return Ok(Some(false));
                }
            }
            let live: i64 = sqlx::query_scalar(
                "SELECT COUNT(*) FROM fhircast_subscription WHERE session = $1 AND ended_ms IS NULL AND until_ms > $2
                 AND (connected_ms IS NOT NULL OR open_until_ms > $2)",
            )
            .bind(&session)
            .bind(now.0)
            .fetch_one(&mut *conn)
            .await?;
            if live >= SUBSCRIBERS_MAX {
                return Ok(None);
            }
            sqlx::query(
                "INSERT INTO fhircast_subscription
                     (id, session, endpoint_hash, client, name, events, made_ms, until_ms, open_until_ms)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            )
            .bind(&id)
            .bind(&session)
            .bind(&hash)
            .bind(&client)
            .bind(&name)
            .bind(&listed)
            .bind(now.0)
            .bind(until.0)
            .bind(now.0.saturating_add(OPEN_WITHIN_MS))
            .execute(&mut *conn)
            .await?;
            audit::record!(conn, &entry);
            Ok(Some(true))
        })?;
        let endpoint = match (outcome, ask.endpoint) {
            (None, _) => {
                return Err(HubError::TooMany(
                    "this topic has as many subscribers as it may; unsubscribe those that are gone",
                ));
            }
            (Some(false), Some(same)) => EndpointGiven::Same(same),
            (Some(_), _) => EndpointGiven::New(fresh),
        };
        Ok(Accepted { endpoint, events, until })
    }

    /// Ends a subscription: that of the socket that is named, else that of this name or program, else the only one.
    ///
    /// # Errors
    /// [`HubError`].
    pub async fn unsubscribe(
        &self,
        caller: &Caller,
        topic: &Topic,
        endpoint: Option<&Endpoint>,
        name: Option<&str>,
    ) -> Result<(), HubError> {
        let (session, _) = self.session_of(caller, topic).await?;
        let rows: Vec<(String, String, Option<String>, Option<String>)> =
            read!(self.database, "fhircast.unsubscribe", |conn| {
                Ok(sqlx::query_as(
                    "SELECT id, endpoint_hash, client, name FROM fhircast_subscription
                     WHERE session = $1 AND ended_ms IS NULL ORDER BY made_ms LIMIT 100",
                )
                .bind(&session)
                .fetch_all(&mut *conn)
                .await?)
            })?;
        let name = name.map(clean_name);
        let client = caller.grant.as_ref().map(|grant| grant.client.as_str());
        let only = |fits: &dyn Fn(&SubscribedRow) -> bool| {
            let mut fitting = rows.iter().filter(|row| fits(row));
            match (fitting.next(), fitting.next()) {
                (Some(row), None) => Some(row.0.clone()),
                _ => None,
            }
        };
        let chosen = match endpoint {
            // What ended before is as it should be.
            Some(endpoint) => match only(&|row| row.1 == endpoint.stored()) {
                Some(id) => id,
                None => return Ok(()),
            },
            None => {
                let by_name = name.as_deref().and_then(|name| only(&|row| row.3.as_deref() == Some(name)));
                let by_client = || client.and_then(|client| only(&|row| row.2.as_deref() == Some(client)));
                by_name.or_else(by_client).or_else(|| only(&|_| true)).ok_or_else(|| {
                    HubError::Bad("hub.channel.endpoint is missing, and this topic has several subscribers".to_owned())
                })?
            }
        };
        let now = self.clock.now();
        let entry = Draft {
            object: Some(format!("fhircast {session}")),
            detail: Some("unsubscribed".to_owned()),
            ..Self::acting(caller, &session).draft(now, Action::ExchangeChanged)
        };
        let key = self.key();
        transact!(self.database, "fhircast.unsubscribe", |conn| {
            let last = conn.lock_log().await?;
            let done = sqlx::query(
                "UPDATE fhircast_subscription SET ended_ms = $1, ended_why = 'unsubscribed'
                 WHERE id = $2 AND ended_ms IS NULL",
            )
            .bind(now.0)
            .bind(&chosen)
            .execute(&mut *conn)
            .await?;
            if done.rows_affected() > 0 {
                let ended = Entry::about(&session, LoggedKind::Ended, chosen.clone());
                conn.write_log(&key, now, last, &[ended]).await?;
                audit::record!(conn, &entry);
            }
            Ok(())
        })?;
        Ok(())
    }

    /// Opens the socket of a subscription; `None` for an address that is not known, is in use or is over.
    ///
    /// # Errors
    /// Engine errors.
    pub async fn connect(&self, endpoint: &Endpoint) -> Result<Option<Connected>, Error> {
        let (now, hash, key) = (self.clock.now(), endpoint.stored(), self.key());
        let opened = transact!(self.database, "fhircast.connect", |conn| {
            let upto = conn.lock_log().await?;
            let row: Option<SubscriptionRow> = sqlx::query_as(
                "UPDATE fhircast_subscription SET connected_ms = $1, seen_ms = $1
                 WHERE endpoint_hash = $2 AND connected_ms IS NULL AND ended_ms IS NULL AND until_ms > $1
                     AND open_until_ms > $1
                 RETURNING id, session, client, name, events, until_ms",
            )
            .bind(now.0)
            .bind(&hash)
            .fetch_optional(&mut *conn)
            .await?;
            let Some(row) = row else { return Ok(None) };
            let topic: Option<Vec<u8>> =
                sqlx::query_scalar("SELECT topic FROM fhircast_session WHERE session = $1 AND ended_ms IS NULL")
                    .bind(&row.session)
                    .fetch_optional(&mut *conn)
                    .await?
                    .flatten();
            let board: Option<BoardRow> = sqlx::query_as(
                "SELECT session, topic_hash, latest_ms, contexts, ended_ms FROM fhircast_session WHERE session = $1",
            )
            .bind(&row.session)
            .fetch_optional(&mut *conn)
            .await?;
            let (Some(topic), Some(board)) = (topic, board) else { return Ok(None) };
            let cured = sqlx::query(
                "UPDATE fhircast_subscription SET trouble = NULL, trouble_event = NULL, trouble_ms = NULL
                 WHERE session = $1 AND trouble IS NOT NULL AND COALESCE(name, '') = COALESCE($2, '')
                     AND COALESCE(client, '') = COALESCE($3, '')",
            )
            .bind(&row.session)
            .bind(&row.name)
            .bind(&row.client)
            .execute(&mut *conn)
            .await?;
            if cured.rows_affected() > 0 {
                state::note!(conn, now, &row.session, None);
            }
            Ok(Some((row, topic, board.read(&key)?, upto)))
        })?;
        let Some((row, topic, board, upto)) = opened else { return Ok(None) };
        let topic = open_topic(&self.key, &row.session, topic)?;
        let events = EventList::parse(&row.events);
        let open = told(&board.contexts, &events);
        let until = UtcMillis(row.until_ms);
        let upto = upto.cast_unsigned();
        Ok(Some(Connected { id: row.id, session: row.session, topic, name: row.name, events, until, open, upto }))
    }

    /// What a subscription is now, after it was changed: what it is told, until when; `None` if it has ended.
    ///
    /// # Errors
    /// Engine errors.
    pub async fn subscription(&self, id: &str) -> Result<Option<(EventList, UtcMillis)>, Error> {
        let row: Option<(String, i64)> = read!(self.database, "fhircast.subscription", |conn| {
            Ok(sqlx::query_as("SELECT events, until_ms FROM fhircast_subscription WHERE id = $1 AND ended_ms IS NULL")
                .bind(id)
                .fetch_optional(&mut *conn)
                .await?)
        })?;
        Ok(row.map(|(events, until)| (EventList::parse(&events), UtcMillis(until))))
    }

    /// A socket ended.
    ///
    /// # Errors
    /// Engine errors.
    pub async fn disconnected(&self, id: &str, how: Ending) -> Result<(), Error> {
        let (now, id) = (self.clock.now(), id.to_owned());
        let reopen = now.0.saturating_add(match how {
            Ending::Broken => REOPEN_WITHIN_MS,
            Ending::Away => OPEN_WITHIN_MS,
            Ending::InOrder | Ending::CutOff => 0,
        });
        let (ended, why) = match how {
            Ending::InOrder => (Some(now.0), Some("closed")),
            Ending::CutOff => (Some(now.0), Some("cut_off")),
            Ending::Broken | Ending::Away => (None, None),
        };
        transact!(self.database, "fhircast.disconnected", |conn| {
            sqlx::query(
                "UPDATE fhircast_subscription SET connected_ms = NULL, open_until_ms = $1, ended_ms = $2, ended_why = $3
                 WHERE id = $4 AND ended_ms IS NULL",
            )
            .bind(reopen)
            .bind(ended)
            .bind(why)
            .bind(&id)
            .execute(&mut *conn)
            .await?;
            Ok(())
        })
    }

    /// Says that this program still holds these sockets (every 20 s). At most 1000 at once.
    ///
    /// # Errors
    /// Engine errors.
    pub async fn hold(&self, ids: &[String]) -> Result<(), Error> {
        if ids.is_empty() {
            return Ok(());
        }
        let (now, ids) = (self.clock.now(), ids.iter().take(1000).cloned().collect::<Vec<_>>());
        transact!(self.database, "fhircast.hold", |conn| {
            let mut query = sqlx::QueryBuilder::<Db>::new("UPDATE fhircast_subscription SET seen_ms = ");
            query.push_bind(now.0).push(" WHERE ended_ms IS NULL AND id IN (");
            let mut listed = query.separated(", ");
            for id in &ids {
                listed.push_bind(id.as_str());
            }
            query.push(")");
            query.build().execute(&mut *conn).await?;
            Ok(())
        })
    }

    /// Ends what nobody holds any more, and forgets what is old. Every minute; several programs may.
    ///
    /// # Errors
    /// Engine errors.
    pub async fn sweep(&self) -> Result<(), Error> {
        let now = self.clock.now();
        let lost: Vec<String> = read!(self.database, "fhircast.sweep", |conn| {
            Ok(sqlx::query_scalar(
                "SELECT id FROM fhircast_subscription
                 WHERE ended_ms IS NULL AND connected_ms IS NOT NULL AND seen_ms < $1 LIMIT 100",
            )
            .bind(now.0.saturating_sub(LOST_AFTER_MS))
            .fetch_all(&mut *conn)
            .await?)
        })?;
        for id in &lost {
            self.failed(id, "", "", TroubleKind::Broken).await?;
            self.disconnected(id, Ending::CutOff).await?;
        }
        transact!(self.database, "fhircast.sweep", |conn| {
            sqlx::query("DELETE FROM fhircast_event WHERE at_ms < $1")
                .bind(now.0.saturating_sub(super::LOG_KEPT_MS))
                .execute(&mut *conn)
                .await?;
            sqlx::query(
                "UPDATE fhircast_subscription SET ended_ms = $1, ended_why = 'over'
                 WHERE ended_ms IS NULL AND connected_ms IS NULL AND (open_until_ms < $1 OR until_ms < $1)",
            )
            .bind(now.0)
            .execute(&mut *conn)
            .await?;
            // What is known of subscriptions ends with their session.
            sqlx::query(
                "DELETE FROM fhircast_subscription WHERE session IN
                     (SELECT session FROM fhircast_session WHERE ended_ms < $1)",
            )
            .bind(now.0.saturating_sub(super::LOG_KEPT_MS))
            .execute(&mut *conn)
            .await?;
            sqlx::query("DELETE FROM fhircast_session WHERE ended_ms < $1")
                .bind(now.0.saturating_sub(super::LOG_KEPT_MS))
                .execute(&mut *conn)
                .await?;
            Ok(())
        })
    }
}

/// What is open, of what somebody asked for.
pub(super) fn told(contexts: &Contexts, events: &EventList) -> Vec<Message> {
    contexts.open().iter().filter(|open| events.has(open.event())).cloned().collect()
}

const fn topic_place(session: &str) -> Place<'_> {
    Place { table: "fhircast_session", column: "topic", row: session }
}

fn open_topic(key: &Arc<domain::vault::BoxKey>, session: &str, sealed: Vec<u8>) -> Result<Topic, Error> {
    const T: &str = "fhircast_session";
    let clear = open(key, topic_place(session), T, "topic", sealed)?;
    let text = String::from_utf8(clear).map_err(|_| Error::bad_row(T, "topic", "it is no text"))?;
    Topic::given(&text).ok_or_else(|| Error::bad_row(T, "topic", "it is no topic"))
}

/// What a subscriber calls itself, in letters that a page may show.
fn clean_name(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(NAME_MAX_CHARS).collect::<String>().trim().to_owned()
}

impl Entry {
    /// An entry about a subscription.
    pub(super) fn about(session: &str, kind: LoggedKind, subscription: String) -> Self {
        Self { session: session.to_owned(), kind, subscription: Some(subscription), message: None }
    }
}
