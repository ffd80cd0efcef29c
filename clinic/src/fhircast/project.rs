//! From what happens at desks to events: the feed of changes is followed by a cursor of the database, so that each change
//! becomes events once, whichever of several dashboards comes first.

use std::collections::{BTreeMap, HashMap};

use domain::{PersonId, UtcMillis};
use store::{Error, transact};
use uuid::Uuid;

use super::contexts::{Applied, Contexts};
use super::log::{Board, BoardRow, Entry, Log, LoggedKind};
use super::message::Message;
use super::names::{Anchor, EventName};
use super::resources::{self, Alias, Cause};
use super::{Hub, Settings};
use crate::changes::ChangeKind;
use crate::rows::{code, column};

/// Most changes taken in one transaction.
const BATCH: i64 = 200;

/// A change with what its events are made of.
#[derive(sqlx::FromRow)]
struct Row {
    id: i64,
    happened_ms: i64,
    kind: String,
    reason: Option<String>,
    session: Option<String>,
    patient: Option<String>,
    visit: Option<String>,
    no: Option<i64>,
    started_ms: Option<i64>,
    ended_ms: Option<i64>,
}

impl Hub {
    /// Makes events of changes that have none yet; the number of changes taken. Call it again while that is not 0.
    ///
    /// # Errors
    /// Engine errors; then nothing was taken.
    pub async fn work(&self) -> Result<usize, Error> {
        let (now, key, settings) = (self.clock.now(), self.key(), std::sync::Arc::clone(&self.settings));
        transact!(self.database, "fhircast.work", |conn| {
            let last = conn.lock_log().await?;
            let from: i64 = sqlx::query_scalar("SELECT last_id FROM follower WHERE name = 'fhircast'")
                .fetch_one(&mut *conn)
                .await?;
            let rows: Vec<Row> = sqlx::query_as(
                "SELECT c.id, c.happened_ms, c.kind, c.reason, COALESCE(c.session, v.session) AS session,
                     COALESCE(m.into_person, v.patient, c.patient) AS patient, c.visit, v.no, v.started_ms, v.ended_ms
                 FROM change c LEFT JOIN visit v ON v.id = c.visit
                     LEFT JOIN person_merge m ON m.person = COALESCE(v.patient, c.patient)
                 WHERE c.id > $1 ORDER BY c.id LIMIT $2",
            )
            .bind(from)
            .bind(BATCH)
            .fetch_all(&mut *conn)
            .await?;
            let Some(upto) = rows.last().map(|row| row.id) else { return Ok(0) };
            let taken = rows.len();
            let aliases: Vec<(String, String, String)> = sqlx::query_as(
                "SELECT DISTINCT a.person, a.system, a.value
                 FROM change c LEFT JOIN visit v ON v.id = c.visit
                     LEFT JOIN person_merge m ON m.person = COALESCE(v.patient, c.patient)
                     JOIN person_alias a ON a.person = COALESCE(m.into_person, v.patient, c.patient)
                 WHERE c.id > $1 AND c.id <= $2 AND c.visit IS NOT NULL
                 ORDER BY a.person, a.system, a.value",
            )
            .bind(from)
            .bind(upto)
            .fetch_all(&mut *conn)
            .await?;
            let boards: Vec<BoardRow> = sqlx::query_as(
                "SELECT f.session, f.topic_hash, f.latest_ms, f.contexts, f.ended_ms FROM fhircast_session f
                 WHERE f.session IN (SELECT COALESCE(c.session, v.session) FROM change c LEFT JOIN visit v ON v.id = c.visit
                     WHERE c.id > $1 AND c.id <= $2)",
            )
            .bind(from)
            .bind(upto)
            .fetch_all(&mut *conn)
            .await?;
            let mut desk = Boards::default();
            for board in boards {
                let board = board.read(&key)?;
                desk.boards.insert(board.session.clone(), board);
            }
            let mut known: HashMap<String, Vec<Alias>> = HashMap::new();
            for (person, system, value) in aliases {
                known.entry(person).or_default().push((system, value));
            }
            for row in rows {
                desk.take(row, &known, &settings)?;
            }
            conn.write_log(&key, now, last, &desk.entries).await?;
            let boards: Vec<Board> = desk.boards.into_values().collect();
            conn.write_boards(&key, &boards).await?;
            let ended: Vec<&str> =
                boards.iter().filter(|board| board.ended.is_some()).map(|board| board.session.as_str()).collect();
            if !ended.is_empty() {
                let mut query = sqlx::QueryBuilder::<Db>::new("UPDATE fhircast_subscription SET ended_ms = ");
                query
                    .push_bind(now.0)
                    .push(", ended_why = 'session_ended', trouble = NULL WHERE ended_ms IS NULL AND session IN (");
                let mut listed = query.separated(", ");
                for session in ended {
                    listed.push_bind(session);
                }
                query.push(")");
                query.build().execute(&mut *conn).await?;
            }
            sqlx::query("UPDATE follower SET last_id = $1 WHERE name = 'fhircast'")
                .bind(upto)
                .execute(&mut *conn)
                .await?;
            Ok(taken)
        })
    }
}

/// What is open at the sessions of one batch, and what is to be told.
#[derive(Default)]
struct Boards {
    boards: BTreeMap<String, Board>,
    entries: Vec<Entry>,
}

impl Boards {
    fn take(&mut self, row: Row, known: &HashMap<String, Vec<Alias>>, settings: &Settings) -> Result<(), Error> {
        let kind = code("change", "kind", &row.kind, ChangeKind::parse)?;
        let Some(session) = row.session.clone() else { return Ok(()) };
        let happened = UtcMillis(row.happened_ms);
        match kind {
            ChangeKind::SessionOpened => {
                self.boards.entry(session.clone()).or_insert_with(|| new_board(session, happened));
            }
            ChangeKind::SessionLocked => {
                let context = vec![resources::hibernate(Cause::of_reason(row.reason.as_deref()))];
                let event = EventName::UserHibernate;
                self.tell(session, Message::new(message_id(&row, "lock"), happened, event, context));
            }
            ChangeKind::SessionEnded => {
                let context = vec![resources::logout(Cause::of_reason(row.reason.as_deref()))];
                let event = EventName::UserLogout;
                self.tell(session.clone(), Message::new(message_id(&row, "end"), happened, event, context));
                if let Some(board) = self.boards.get_mut(&session) {
                    board.ended = Some(happened);
                }
            }
            ChangeKind::VisitStarted | ChangeKind::VisitConfirmed => {
                if let Some((patient, encounter)) = chart(&row, known, settings, "in-progress")? {
                    let open = |anchor, context| {
                        Message::new(message_id(&row, open_code(anchor)), happened, EventName::Open(anchor), context)
                    };
                    self.tell(session.clone(), open(Anchor::Patient, vec![patient.clone()]));
                    self.tell(session, open(Anchor::Encounter, vec![encounter, patient]));
                }
            }
            ChangeKind::VisitEnded | ChangeKind::VisitCancelled => {
                let status = if kind == ChangeKind::VisitEnded { "finished" } else { "entered-in-error" };
                if let Some((patient, encounter)) = chart(&row, known, settings, status)? {
                    let close = |anchor, context| {
                        Message::new(message_id(&row, close_code(anchor)), happened, EventName::Close(anchor), context)
                    };
                    self.tell(session.clone(), close(Anchor::Encounter, vec![encounter, patient.clone()]));
                    self.tell(session, close(Anchor::Patient, vec![patient]));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn tell(&mut self, session: String, message: Message) {
        let happened = message.happened();
        let board = self.boards.entry(session.clone()).or_insert_with(|| new_board(session.clone(), happened));
        if board.ended.is_some() || board.contexts.apply(&message, &mut board.latest) != Applied::Taken {
            return;
        }
        if board.is_followed {
            self.entries.push(Entry { session, kind: LoggedKind::Event, subscription: None, message: Some(message) });
        }
    }
}

const fn open_code(anchor: Anchor) -> &'static str {
    if matches!(anchor, Anchor::Patient) { "patient-open" } else { "encounter-open" }
}

const fn close_code(anchor: Anchor) -> &'static str {
    if matches!(anchor, Anchor::Patient) { "patient-close" } else { "encounter-close" }
}

fn new_board(session: String, latest: UtcMillis) -> Board {
    Board { session, is_followed: false, latest, contexts: Contexts::default(), ended: None }
}

/// The id of an event made of a change: the same whoever makes it.
fn message_id(row: &Row, what: &str) -> String {
    let session = row.session.as_deref().unwrap_or_default();
    Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("tapward:{session}:{}:{what}", row.id).as_bytes()).to_string()
}

/// The entries of patient and visit.
fn chart(
    row: &Row,
    known: &HashMap<String, Vec<Alias>>,
    settings: &Settings,
    status: &str,
) -> Result<Option<(serde_json::Value, serde_json::Value)>, Error> {
    let (Some(person), Some(visit)) = (&row.patient, &row.visit) else { return Ok(None) };
    let id: PersonId = column("change", "patient", person, str::parse)?;
    let aliases = known.get(person).map_or(&[][..], Vec::as_slice);
    let patient = resources::patient(id, aliases, settings.patient_id_of.as_deref(), &settings.record_numbers);
    let visit = resources::Visit {
        id: visit,
        no: row.no.unwrap_or_default(),
        started: UtcMillis(row.started_ms.unwrap_or(row.happened_ms)),
        ended: row.ended_ms.map(UtcMillis).filter(|_| status != "in-progress"),
        status,
    };
    let encounter = resources::encounter(visit, &resources::patient_id(id, aliases, settings.patient_id_of.as_deref()));
    Ok(Some((patient, encounter)))
}
