//! Messages of other systems that number them (HL7): how each was answered, so that one that is sent again gets the same
//! answer and has no second effect.
//!
//! Owns the table `hl7_received`. What a message did stands in the tables of whoever took it in and was committed before
//! its answer is remembered here: between the two a message may be taken twice, which taking the same again allows.
//! Never keeps a message. May import `domain`, `store` and the references of `people`.

use domain::{UtcMillis, ZoneId};
use store::{Database, Error, read, transact};

use crate::people::Reference;
use crate::rows::optional;

/// Rows forgotten by one statement: the table is locked only so long.
const FORGOTTEN_AT_ONCE: i64 = 5000;

/// Which message it was: the number that the sender gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Numbered {
    /// The configured system.
    pub source: String,
    /// Who sent: the application.
    pub application: String,
    /// Who sent: the facility.
    pub facility: String,
    /// The number.
    pub control: String,
    /// A short sum of what it said. Another one under the same number is another message.
    pub content: u32,
}

/// How a message was answered, byte for byte; `None` if it is new.
///
/// # Errors
/// Engine errors.
pub async fn answer_of(database: &Database, message: &Numbered) -> Result<Option<String>, Error> {
    let message = message.clone();
    read!(database, "received.answer", |conn| {
        Ok(sqlx::query_scalar(
            "SELECT answer FROM hl7_received
             WHERE source = $1 AND application = $2 AND facility = $3 AND control = $4 AND content = $5",
        )
        .bind(&message.source)
        .bind(&message.application)
        .bind(&message.facility)
        .bind(&message.control)
        .bind(i64::from(message.content))
        .fetch_optional(&mut *conn)
        .await?)
    })
}

/// Remembers an answer before it is given. Returns the one to give: if another bridge answered the same message
/// meanwhile, its.
///
/// # Errors
/// Engine errors; the answer must not be given then.
pub async fn remember(
    database: &Database,
    message: &Numbered,
    answer: String,
    now: UtcMillis,
) -> Result<String, Error> {
    let message = message.clone();
    transact!(database, "received.remember", |conn| {
        let kept: Option<String> = sqlx::query_scalar(
            "SELECT answer FROM hl7_received
             WHERE source = $1 AND application = $2 AND facility = $3 AND control = $4 AND content = $5",
        )
        .bind(&message.source)
        .bind(&message.application)
        .bind(&message.facility)
        .bind(&message.control)
        .bind(i64::from(message.content))
        .fetch_optional(&mut *conn)
        .await?;
        if let Some(kept) = kept {
            return Ok(kept);
        }
        sqlx::query(
            "INSERT INTO hl7_received (source, application, facility, control, content, answer, at_ms)
             VALUES ($1, $2, $3, $4, $5, $6, $7)
             ON CONFLICT (source, application, facility, control) DO UPDATE
             SET content = excluded.content, answer = excluded.answer, at_ms = excluded.at_ms",
        )
        .bind(&message.source)
        .bind(&message.application)
        .bind(&message.facility)
        .bind(&message.control)
        .bind(i64::from(message.content))
        .bind(&answer)
        .bind(now.0)
        .execute(&mut *conn)
        .await?;
        Ok(answer.clone())
    })
}

/// Forgets answers given before an instant; returns how many. A message that is sent again later than that is new, and
/// taking it again changes nothing that a newer one told.
///
/// # Errors
/// Engine errors.
pub async fn forget_before(database: &Database, before: UtcMillis) -> Result<u64, Error> {
    let mut forgotten = 0;
    loop {
        let some = transact!(database, "received.forget", |conn| {
            let done = sqlx::query(
                "DELETE FROM hl7_received WHERE (source, application, facility, control) IN
                     (SELECT source, application, facility, control FROM hl7_received WHERE at_ms < $1 LIMIT $2)",
            )
            .bind(before.0)
            .bind(FORGOTTEN_AT_ONCE)
            .execute(&mut *conn)
            .await?;
            Ok(done.rows_affected())
        })?;
        forgotten += some;
        if some < FORGOTTEN_AT_ONCE.cast_unsigned() {
            return Ok(forgotten);
        }
    }
}

/// What is known of an appointment, for messages that say only what changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownAppointment {
    /// When it begins.
    pub starts: UtcMillis,
    /// When it ends.
    pub ends: UtcMillis,
    /// Where.
    pub zone: Option<ZoneId>,
    /// What the source calls its purpose.
    pub purpose: Option<Reference>,
    /// What the source calls the patient.
    pub patient: Option<Reference>,
    /// What it calls the specialist.
    pub staff: Option<Reference>,
}

/// What is known of the appointment that a source calls so.
///
/// # Errors
/// Engine errors, or a row that this version cannot read.
pub async fn known_appointment(
    database: &Database,
    source: &str,
    external: &str,
) -> Result<Option<KnownAppointment>, Error> {
    type Row = (i64, i64, Option<String>, Option<String>, Option<String>, Option<String>);
    let row: Option<Row> = read!(database, "received.appointment", |conn| {
        Ok(sqlx::query_as(
            "SELECT starts_ms, ends_ms, zone, purpose,
                    (SELECT MIN(value) FROM person_alias WHERE system = $1 AND person = appointment.patient),
                    (SELECT MIN(value) FROM person_alias WHERE system = $1 AND person = appointment.staff)
             FROM appointment WHERE source = $1 AND external = $2",
        )
        .bind(source)
        .bind(external)
        .fetch_optional(&mut *conn)
        .await?)
    })?;
    let Some((starts, ends, zone, purpose, patient, staff)) = row else { return Ok(None) };
    let reference = |text: Option<String>| text.as_deref().and_then(Reference::new);
    Ok(Some(KnownAppointment {
        starts: UtcMillis(starts),
        ends: UtcMillis(ends),
        zone: optional("appointment", "zone", zone.as_deref(), ZoneId::new)?,
        purpose: reference(purpose),
        patient: reference(patient),
        staff: reference(staff),
    }))
}
