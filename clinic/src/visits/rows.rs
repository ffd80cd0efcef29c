//! The rows of visits and questions, on either engine: statements only, no rule.

use domain::visit::{AppointmentState, BeganBy, Question, VisitEnd};
use domain::{PersonId, PointId, UtcMillis, ZoneId};
use sqlx::FromRow;
use store::Error;

use super::{OpenQuestion, Visit};
use crate::acting::Actor;
use crate::rows::{code, column, optional};

/// Columns of a visit, in the order of [`VisitRow`]; the beginning of every statement that reads one.
macro_rules! select_visit {
    ($rest:literal) => {
        concat!(
            "SELECT id, no, patient, staff, workstation, zone, session, appointment, began_by, started_ms, ended_ms, \
             ended_why, suspended_ms FROM visit ",
            $rest
        )
    };
}
pub(crate) use select_visit;

/// A stored visit.
#[derive(FromRow)]
pub(crate) struct VisitRow {
    id: String,
    no: i64,
    patient: String,
    staff: String,
    workstation: String,
    zone: String,
    session: String,
    appointment: Option<String>,
    began_by: String,
    started_ms: i64,
    ended_ms: Option<i64>,
    ended_why: Option<String>,
    suspended_ms: Option<i64>,
}

impl VisitRow {
    pub(crate) fn read(self) -> Result<Visit, Error> {
        const T: &str = "visit";
        let person = |name, text: &str| column(T, name, text, str::parse::<PersonId>);
        let ended = match (self.ended_ms, self.ended_why) {
            (Some(at), Some(why)) => Some((UtcMillis(at), code(T, "ended_why", &why, VisitEnd::parse)?)),
            (Some(_), None) => return Err(Error::bad_row(T, "ended_why", "it ended for no reason")),
            (None, _) => None,
        };
        Ok(Visit {
            no: self.no.cast_unsigned(),
            patient: person("patient", &self.patient)?,
            staff: person("staff", &self.staff)?,
            workstation: column(T, "workstation", &self.workstation, PointId::new)?,
            zone: column(T, "zone", &self.zone, ZoneId::new)?,
            session: self.session,
            appointment: self.appointment,
            began_by: code(T, "began_by", &self.began_by, BeganBy::parse)?,
            started: UtcMillis(self.started_ms),
            ended,
            suspended: self.suspended_ms.map(UtcMillis),
            id: self.id,
        })
    }
}

/// A stored question.
#[derive(FromRow)]
pub(crate) struct QuestionRow {
    id: String,
    workstation: String,
    session: String,
    staff: String,
    patient: String,
    zone: String,
    why: String,
    visit: Option<String>,
    tapped_ms: i64,
}

impl QuestionRow {
    pub(crate) fn read(self) -> Result<OpenQuestion, Error> {
        const T: &str = "visit_question";
        Ok(OpenQuestion {
            workstation: column(T, "workstation", &self.workstation, PointId::new)?,
            staff: column(T, "staff", &self.staff, str::parse)?,
            patient: column(T, "patient", &self.patient, str::parse)?,
            zone: column(T, "zone", &self.zone, ZoneId::new)?,
            why: code(T, "why", &self.why, Question::parse)?,
            visit: self.visit,
            tapped: UtcMillis(self.tapped_ms),
            session: self.session,
            id: self.id,
        })
    }
}

/// A stored appointment near a tap.
#[derive(FromRow)]
pub(crate) struct NearRow {
    pub id: String,
    pub staff: Option<String>,
    pub zone: Option<String>,
    pub starts_ms: i64,
}

/// An appointment as it is taken by a visit.
#[derive(Debug, Clone)]
pub(crate) struct Taken {
    pub patient: PersonId,
    pub staff: Option<PersonId>,
    pub state: AppointmentState,
    pub starts: UtcMillis,
}

/// An engine's connection inside a transaction, with the rows of visits.
pub(crate) trait VisitsOn {
    /// The record that is left of a person, if theirs was merged into another; else their own.
    async fn survivor(&mut self, person: PersonId) -> Result<PersonId, Error>;
    /// The visit of this id.
    async fn visit(&mut self, id: &str) -> Result<Option<Visit>, Error>;
    /// The visit that runs at a workstation.
    async fn running_at(&mut self, workstation: &PointId) -> Result<Option<Visit>, Error>;
    /// The visit of a patient that runs anywhere.
    async fn running_of(&mut self, patient: PersonId) -> Result<Option<Visit>, Error>;
    /// Whether a visit of the patient began in this binding and was not taken back.
    async fn was_seen(&mut self, session: &str, patient: PersonId) -> Result<bool, Error>;
    /// Open appointments of a patient that begin within a time, at most 50.
    async fn near(&mut self, patient: PersonId, from: UtcMillis, until: UtcMillis) -> Result<Vec<NearRow>, Error>;
    /// The zones around a zone, itself included.
    async fn around(&mut self, zone: &ZoneId) -> Result<Vec<String>, Error>;
    /// Stores a visit that starts and returns its number.
    async fn insert_visit(&mut self, visit: &Visit) -> Result<u64, Error>;
    /// Ends a visit that runs; whether it did.
    async fn close_visit(&mut self, id: &str, at: UtcMillis, why: VisitEnd) -> Result<bool, Error>;
    /// The visit belongs to another binding of the same specialist now, and is not suspended.
    async fn rebind(&mut self, id: &str, session: &str) -> Result<(), Error>;
    /// The visit's specialist is away since then.
    async fn suspend(&mut self, id: &str, at: UtcMillis) -> Result<(), Error>;
    /// Asks at a workstation, in place of what was asked there before.
    async fn ask(&mut self, question: &OpenQuestion, now: UtcMillis) -> Result<(), Error>;
    /// The question of this id.
    async fn question(&mut self, id: &str) -> Result<Option<OpenQuestion>, Error>;
    /// Nothing is asked at a workstation any more.
    async fn unask(&mut self, workstation: &PointId) -> Result<(), Error>;
    /// An appointment, as far as a visit needs it.
    async fn appointment(&mut self, id: &str) -> Result<Option<Taken>, Error>;
    /// The appointment's state becomes this one; `arrived` is set where it is not yet, or taken away.
    async fn move_appointment(
        &mut self,
        id: &str,
        state: AppointmentState,
        arrived: Option<UtcMillis>,
        now: UtcMillis,
    ) -> Result<(), Error>;
    /// The staff member who acts: at a workstation, or by the account that is theirs.
    async fn staff_of(&mut self, actor: &Actor) -> Result<Option<PersonId>, Error>;
    /// Whether a binding is in force and usable: not locked, no second factor wanted.
    async fn is_usable(&mut self, session: &str) -> Result<bool, Error>;
    /// Whether services of the visit are registered and not taken back.
    async fn has_services(&mut self, visit: &str) -> Result<bool, Error>;
    /// A visit that ended runs again, to be taken back in the same transaction.
    async fn reopen_to_cancel(&mut self, id: &str) -> Result<(), Error>;
    /// Nothing is asked about this visit any more.
    async fn unask_visit(&mut self, visit: &str) -> Result<(), Error>;
    /// The visit takes this appointment.
    async fn link_appointment(&mut self, visit: &str, appointment: Option<&str>) -> Result<(), Error>;
    /// What is open without the card for this visit is over: its ids.
    async fn close_out_of_card(&mut self, visit: &str, at: UtcMillis, why: &'static str) -> Result<Vec<String>, Error>;
}

macro_rules! visits_on {
    ($connection:ty) => {
        impl VisitsOn for $connection {
            async fn survivor(&mut self, person: PersonId) -> Result<PersonId, Error> {
                let found: Option<String> = sqlx::query_scalar("SELECT into_person FROM person_merge WHERE person = $1")
                    .bind(person.to_string())
                    .fetch_optional(&mut *self)
                    .await?;
                Ok(optional("person_merge", "into_person", found.as_deref(), str::parse)?.unwrap_or(person))
            }

            async fn visit(&mut self, id: &str) -> Result<Option<Visit>, Error> {
                let row: Option<VisitRow> =
                    sqlx::query_as(select_visit!("WHERE id = $1")).bind(id).fetch_optional(&mut *self).await?;
                row.map(VisitRow::read).transpose()
            }

            async fn running_at(&mut self, workstation: &PointId) -> Result<Option<Visit>, Error> {
                let row: Option<VisitRow> = sqlx::query_as(select_visit!("WHERE workstation = $1 AND ended_ms IS NULL"))
                    .bind(workstation.as_str())
                    .fetch_optional(&mut *self)
                    .await?;
                row.map(VisitRow::read).transpose()
            }

            async fn running_of(&mut self, patient: PersonId) -> Result<Option<Visit>, Error> {
                let row: Option<VisitRow> = sqlx::query_as(select_visit!(
                    "WHERE patient IN (SELECT CAST($1 AS TEXT) UNION ALL SELECT person FROM person_merge WHERE into_person = $1) AND ended_ms IS NULL ORDER BY started_ms DESC LIMIT 1"
                ))
                    .bind(patient.to_string())
                    .fetch_optional(&mut *self)
                    .await?;
                row.map(VisitRow::read).transpose()
            }

            async fn was_seen(&mut self, session: &str, patient: PersonId) -> Result<bool, Error> {
                let found: Option<i64> = sqlx::query_scalar(
                    "SELECT no FROM visit WHERE patient IN (SELECT CAST($1 AS TEXT) UNION ALL SELECT person FROM person_merge WHERE into_person = $1) AND session = $2
                     AND (ended_why IS NULL OR ended_why <> 'cancelled') LIMIT 1",
                )
                .bind(patient.to_string())
                .bind(session)
                .fetch_optional(&mut *self)
                .await?;
                Ok(found.is_some())
            }

            async fn near(&mut self, patient: PersonId, from: UtcMillis, until: UtcMillis) -> Result<Vec<NearRow>, Error> {
                Ok(sqlx::query_as(
                    "SELECT id, staff, zone, starts_ms FROM appointment
                     WHERE patient IN (SELECT CAST($1 AS TEXT) UNION ALL SELECT person FROM person_merge WHERE into_person = $1)
                       AND starts_ms >= $2 AND starts_ms <= $3 AND state IN ('pending', 'booked', 'arrived')
                     ORDER BY starts_ms, id LIMIT 50",
                )
                .bind(patient.to_string())
                .bind(from.0)
                .bind(until.0)
                .fetch_all(&mut *self)
                .await?)
            }

            async fn around(&mut self, zone: &ZoneId) -> Result<Vec<String>, Error> {
                Ok(sqlx::query_scalar(
                    "WITH RECURSIVE up (id, depth) AS (
                         SELECT CAST($1 AS TEXT), 0
                         UNION ALL
                         SELECT zone.inside, up.depth + 1 FROM zone JOIN up ON zone.id = up.id
                         WHERE zone.inside IS NOT NULL AND up.depth < 32
                     ) SELECT id FROM up",
                )
                .bind(zone.as_str())
                .fetch_all(&mut *self)
                .await?)
            }

            async fn insert_visit(&mut self, visit: &Visit) -> Result<u64, Error> {
                let no: i64 = sqlx::query_scalar("UPDATE counter SET value = value + 1 WHERE name = 'visit' RETURNING value")
                    .fetch_one(&mut *self)
                    .await?;
                sqlx::query(
                    "INSERT INTO visit (id, no, patient, staff, workstation, zone, session, appointment, began_by,
                         started_ms)
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
                )
                .bind(&visit.id)
                .bind(no)
                .bind(visit.patient.to_string())
                .bind(visit.staff.to_string())
                .bind(visit.workstation.as_str())
                .bind(visit.zone.as_str())
                .bind(&visit.session)
                .bind(visit.appointment.as_deref())
                .bind(visit.began_by.as_str())
                .bind(visit.started.0)
                .execute(&mut *self)
                .await?;
                Ok(no.cast_unsigned())
            }

            async fn close_visit(&mut self, id: &str, at: UtcMillis, why: VisitEnd) -> Result<bool, Error> {
                let done = sqlx::query(
                    "UPDATE visit SET ended_ms = $1, ended_why = $2, suspended_ms = NULL
                     WHERE id = $3 AND ended_why IS NULL",
                )
                .bind(at.0)
                .bind(why.as_str())
                .bind(id)
                .execute(&mut *self)
                .await?;
                Ok(done.rows_affected() > 0)
            }

            async fn rebind(&mut self, id: &str, session: &str) -> Result<(), Error> {
                sqlx::query("UPDATE visit SET session = $1, suspended_ms = NULL WHERE id = $2")
                    .bind(session)
                    .bind(id)
                    .execute(&mut *self)
                    .await?;
                Ok(())
            }

            async fn suspend(&mut self, id: &str, at: UtcMillis) -> Result<(), Error> {
                sqlx::query("UPDATE visit SET suspended_ms = $1 WHERE id = $2 AND ended_ms IS NULL")
                    .bind(at.0)
                    .bind(id)
                    .execute(&mut *self)
                    .await?;
                Ok(())
            }

            async fn ask(&mut self, question: &OpenQuestion, now: UtcMillis) -> Result<(), Error> {
                sqlx::query(
                    "INSERT INTO visit_question (workstation, id, session, staff, patient, zone, why, visit, tapped_ms,
                         asked_ms)
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
                     ON CONFLICT (workstation) DO UPDATE SET id = excluded.id, session = excluded.session,
                         staff = excluded.staff, patient = excluded.patient, zone = excluded.zone, why = excluded.why,
                         visit = excluded.visit, tapped_ms = excluded.tapped_ms, asked_ms = excluded.asked_ms",
                )
                .bind(question.workstation.as_str())
                .bind(&question.id)
                .bind(&question.session)
                .bind(question.staff.to_string())
                .bind(question.patient.to_string())
                .bind(question.zone.as_str())
                .bind(question.why.as_str())
                .bind(question.visit.as_deref())
                .bind(question.tapped.0)
                .bind(now.0)
                .execute(&mut *self)
                .await?;
                Ok(())
            }

            async fn question(&mut self, id: &str) -> Result<Option<OpenQuestion>, Error> {
                let row: Option<QuestionRow> = sqlx::query_as(
                    "SELECT id, workstation, session, staff, patient, zone, why, visit, tapped_ms FROM visit_question
                     WHERE id = $1",
                )
                .bind(id)
                .fetch_optional(&mut *self)
                .await?;
                row.map(QuestionRow::read).transpose()
            }

            async fn unask(&mut self, workstation: &PointId) -> Result<(), Error> {
                sqlx::query("DELETE FROM visit_question WHERE workstation = $1")
                    .bind(workstation.as_str())
                    .execute(&mut *self)
                    .await?;
                Ok(())
            }

            async fn appointment(&mut self, id: &str) -> Result<Option<Taken>, Error> {
                let row: Option<(String, Option<String>, String, i64)> =
                    sqlx::query_as("SELECT patient, staff, state, starts_ms FROM appointment WHERE id = $1")
                        .bind(id)
                        .fetch_optional(&mut *self)
                        .await?;
                const T: &str = "appointment";
                let Some((patient, staff, state, starts)) = row else { return Ok(None) };
                Ok(Some(Taken {
                    patient: column(T, "patient", &patient, str::parse)?,
                    staff: optional(T, "staff", staff.as_deref(), str::parse)?,
                    state: code(T, "state", &state, AppointmentState::parse)?,
                    starts: UtcMillis(starts),
                }))
            }

            async fn move_appointment(
                &mut self,
                id: &str,
                state: AppointmentState,
                arrived: Option<UtcMillis>,
                now: UtcMillis,
            ) -> Result<(), Error> {
                sqlx::query(
                    "UPDATE appointment SET state = $1, changed_ms = $2,
                         arrived_ms = CASE WHEN $1 = 'booked' THEN NULL ELSE COALESCE(arrived_ms, $3) END
                     WHERE id = $4",
                )
                .bind(state.as_str())
                .bind(now.0)
                .bind(arrived.map(|at| at.0))
                .bind(id)
                .execute(&mut *self)
                .await?;
                Ok(())
            }

            async fn staff_of(&mut self, actor: &Actor) -> Result<Option<PersonId>, Error> {
                let account = match actor {
                    Actor::Staff(person) => return Ok(Some(*person)),
                    Actor::Account(account) => account,
                    _ => return Ok(None),
                };
                let person: Option<String> =
                    sqlx::query_scalar("SELECT person FROM staff WHERE account = $1 AND ended_ms IS NULL")
                        .bind(account)
                        .fetch_optional(&mut *self)
                        .await?;
                optional("staff", "person", person.as_deref(), str::parse)
            }

            async fn is_usable(&mut self, session: &str) -> Result<bool, Error> {
                let state: Option<String> =
                    sqlx::query_scalar("SELECT state FROM desk_session WHERE id = $1 AND ended_ms IS NULL")
                        .bind(session)
                        .fetch_optional(&mut *self)
                        .await?;
                Ok(state.as_deref() == Some("open"))
            }

            async fn has_services(&mut self, visit: &str) -> Result<bool, Error> {
                let found: Option<i64> =
                    sqlx::query_scalar("SELECT no FROM charge WHERE visit = $1 AND state <> 'cancelled' LIMIT 1")
                        .bind(visit)
                        .fetch_optional(&mut *self)
                        .await?;
                Ok(found.is_some())
            }

            async fn reopen_to_cancel(&mut self, id: &str) -> Result<(), Error> {
                // Not "runs again": a row that another visit follows would break the rule of one at a time.
                sqlx::query("UPDATE visit SET ended_why = NULL WHERE id = $1").bind(id).execute(&mut *self).await?;
                Ok(())
            }

            async fn unask_visit(&mut self, visit: &str) -> Result<(), Error> {
                sqlx::query("DELETE FROM visit_question WHERE visit = $1").bind(visit).execute(&mut *self).await?;
                Ok(())
            }

            async fn link_appointment(&mut self, visit: &str, appointment: Option<&str>) -> Result<(), Error> {
                sqlx::query("UPDATE visit SET appointment = $1 WHERE id = $2")
                    .bind(appointment)
                    .bind(visit)
                    .execute(&mut *self)
                    .await?;
                Ok(())
            }

            async fn close_out_of_card(
                &mut self,
                visit: &str,
                at: UtcMillis,
                why: &'static str,
            ) -> Result<Vec<String>, Error> {
                Ok(sqlx::query_scalar(
                    "UPDATE irregular SET ended_ms = $1, ended_why = $2
                     WHERE visit = $3 AND expires_ms IS NOT NULL AND ended_ms IS NULL RETURNING id",
                )
                .bind(at.0)
                .bind(why)
                .bind(visit)
                .fetch_all(&mut *self)
                .await?)
            }
        }
    };
}

store::for_each_connection!(visits_on);
