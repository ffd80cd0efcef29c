//! Reading visits: by the program itself (deliveries, FHIRcast), and by a specialist at their workstation.

use domain::{Permission, PersonId, PointId};
use store::{Database, Error, read};

use super::rows::{QuestionRow, VisitRow, select_visit};
use super::{OpenQuestion, Visit, VisitError, Visits};
use crate::acting::Acting;
use crate::appointments::{self, Appointment};

/// A question with what may be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The question.
    pub question: OpenQuestion,
    /// Open appointments of this patient within a day of the tap, the nearest first; at most 50.
    pub appointments: Vec<Appointment>,
}

/// A visit, for the program itself: who shows it to somebody asks for a right before.
///
/// # Errors
/// Engine errors.
pub async fn of(database: &Database, id: &str) -> Result<Option<Visit>, Error> {
    let row: Option<VisitRow> = read!(database, "visits.of", |conn| {
        Ok(sqlx::query_as(select_visit!("WHERE id = $1")).bind(id).fetch_optional(&mut *conn).await?)
    })?;
    row.map(VisitRow::read).transpose()
}

/// The visit that runs at a workstation, for the program itself.
///
/// # Errors
/// Engine errors.
pub async fn running_at(database: &Database, workstation: &PointId) -> Result<Option<Visit>, Error> {
    let row: Option<VisitRow> = read!(database, "visits.running_at", |conn| {
        Ok(sqlx::query_as(select_visit!("WHERE workstation = $1 AND ended_ms IS NULL"))
            .bind(workstation.as_str())
            .fetch_optional(&mut *conn)
            .await?)
    })?;
    row.map(VisitRow::read).transpose()
}

/// The visit of a patient that runs anywhere, for the program itself.
///
/// # Errors
/// Engine errors.
pub async fn running_of(database: &Database, patient: PersonId) -> Result<Option<Visit>, Error> {
    let row: Option<VisitRow> = read!(database, "visits.running_of", |conn| {
        Ok(sqlx::query_as(select_visit!("WHERE patient = $1 AND ended_ms IS NULL"))
            .bind(patient.to_string())
            .fetch_optional(&mut *conn)
            .await?)
    })?;
    row.map(VisitRow::read).transpose()
}

impl Visits {
    /// The visit that runs at a workstation. By pseudonym: no look at personal data.
    ///
    /// # Errors
    /// [`VisitError::Denied`] without `desk_use`; engine errors.
    pub async fn current(&self, acting: &Acting, workstation: &PointId) -> Result<Option<Visit>, VisitError> {
        acting.must(Permission::DeskUse)?;
        Ok(running_at(&self.database, workstation).await?)
    }

    /// What is asked at a workstation, with the appointments that may be chosen.
    ///
    /// # Errors
    /// [`VisitError::Denied`] without `desk_use`; engine errors.
    pub async fn asked(&self, acting: &Acting, workstation: &PointId) -> Result<Option<Asked>, VisitError> {
        acting.must(Permission::DeskUse)?;
        let row: Option<QuestionRow> = read!(self.database, "visits.asked", |conn| {
            Ok(sqlx::query_as(
                "SELECT id, workstation, session, staff, patient, zone, why, visit, tapped_ms FROM visit_question
                 WHERE workstation = $1",
            )
            .bind(workstation.as_str())
            .fetch_optional(&mut *conn)
            .await?)
        })?;
        let Some(question) = row.map(QuestionRow::read).transpose()? else { return Ok(None) };
        let appointments = appointments::near(&self.database, question.patient, question.tapped).await?;
        Ok(Some(Asked { question, appointments }))
    }
}
