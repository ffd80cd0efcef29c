//! The rows of cases, on either engine: statements only, no rule.

use domain::visit::{IrregularVerdict, OutOfCardCode, OutOfCardKind};
use domain::{PersonId, PointId, UtcMillis, ZoneId};
use sqlx::FromRow;
use store::Error;

use super::{Case, Review};
use crate::rows::{code, column, optional};

/// Columns of a case, in the order of [`CaseRow`].
macro_rules! select_case {
    ($rest:literal) => {
        concat!(
            "SELECT id, kind, code, staff, patient, visit, workstation, zone, session, source, entry, at_ms, expires_ms, \
             ended_ms, due_ms, reviewed_ms, reviewer, verdict, review_entry FROM irregular ",
            $rest
        )
    };
}
pub(super) use select_case;

/// A stored case.
#[derive(FromRow)]
pub(super) struct CaseRow {
    id: String,
    kind: String,
    code: String,
    staff: Option<String>,
    patient: Option<String>,
    visit: Option<String>,
    workstation: Option<String>,
    zone: Option<String>,
    session: Option<String>,
    source: Option<String>,
    entry: i64,
    at_ms: i64,
    expires_ms: Option<i64>,
    ended_ms: Option<i64>,
    due_ms: i64,
    reviewed_ms: Option<i64>,
    reviewer: Option<String>,
    verdict: Option<String>,
    review_entry: Option<i64>,
}

impl CaseRow {
    pub(super) fn read(self) -> Result<Case, Error> {
        const T: &str = "irregular";
        let person = |name, text: Option<String>| optional(T, name, text.as_deref(), str::parse::<PersonId>);
        let review = match (self.reviewed_ms, self.verdict) {
            (Some(at), Some(verdict)) => Some(Review {
                at: UtcMillis(at),
                by: self.reviewer.unwrap_or_default(),
                verdict: code(T, "verdict", &verdict, IrregularVerdict::parse)?,
                entry: self.review_entry.unwrap_or_default().cast_unsigned(),
            }),
            _ => None,
        };
        Ok(Case {
            kind: code(T, "kind", &self.kind, OutOfCardKind::parse)?,
            code: code(T, "code", &self.code, OutOfCardCode::parse)?,
            staff: person("staff", self.staff)?,
            patient: person("patient", self.patient)?,
            visit: self.visit,
            workstation: optional(T, "workstation", self.workstation.as_deref(), PointId::new)?,
            zone: self.zone.as_deref().map(|zone| column(T, "zone", zone, ZoneId::new)).transpose()?,
            session: self.session,
            source: self.source,
            entry: self.entry.cast_unsigned(),
            at: UtcMillis(self.at_ms),
            expires: self.expires_ms.map(UtcMillis),
            ended: self.ended_ms.map(UtcMillis),
            due: UtcMillis(self.due_ms),
            review,
            id: self.id,
        })
    }
}

/// A case as it is stored first.
#[derive(Debug, Clone)]
pub(crate) struct NewCase {
    pub case: Case,
    pub external: Option<String>,
}

/// The binding of a workstation, as work without the card needs it.
#[derive(Debug, Clone)]
pub(crate) struct Binding {
    pub workstation: PointId,
    pub staff: PersonId,
    pub is_usable: bool,
    pub confirmed: UtcMillis,
    /// The zone in which the workstation stands.
    pub zone: Option<ZoneId>,
}

/// An engine's connection inside a transaction, with the rows of cases.
pub(crate) trait IrregularOn {
    /// Stores a case; false when the same sign-in was reported before.
    async fn insert_case(&mut self, new: &NewCase) -> Result<bool, Error>;
    /// Stores cases of ours, with as few statements as there can be.
    async fn insert_cases(&mut self, cases: &[Case]) -> Result<(), Error>;
    /// Whether a sign-in of this system and id was reported before: its case.
    async fn reported(&mut self, source: &str, external: &str) -> Result<Option<Case>, Error>;
    /// The case of this id.
    async fn case(&mut self, id: &str) -> Result<Option<Case>, Error>;
    /// The binding of this id, if it is in force.
    async fn binding(&mut self, session: &str) -> Result<Option<Binding>, Error>;
    /// Whether there is such a person.
    async fn is_known(&mut self, person: PersonId) -> Result<bool, Error>;
    /// The case is over; whether it was open.
    async fn close_case(&mut self, id: &str, at: UtcMillis, why: &'static str) -> Result<bool, Error>;
    /// Stores a review; whether there was none before.
    async fn store_review(&mut self, id: &str, review: &Review) -> Result<bool, Error>;
}

macro_rules! irregular_on {
    ($connection:ty) => {
        impl IrregularOn for $connection {
            async fn insert_case(&mut self, new: &NewCase) -> Result<bool, Error> {
                let case = &new.case;
                let done = sqlx::query(
                    "INSERT INTO irregular (id, kind, code, staff, patient, visit, workstation, zone, session, source,
                         external, entry, at_ms, expires_ms, ended_ms, due_ms)
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
                     ON CONFLICT (source, external) DO NOTHING",
                )
                .bind(&case.id)
                .bind(case.kind.as_str())
                .bind(case.code.as_str())
                .bind(case.staff.map(|it| it.to_string()))
                .bind(case.patient.map(|it| it.to_string()))
                .bind(case.visit.as_deref())
                .bind(case.workstation.as_ref().map(PointId::as_str))
                .bind(case.zone.as_ref().map(ZoneId::as_str))
                .bind(case.session.as_deref())
                .bind(case.source.as_deref())
                .bind(new.external.as_deref())
                .bind(case.entry.cast_signed())
                .bind(case.at.0)
                .bind(case.expires.map(|at| at.0))
                .bind(case.ended.map(|at| at.0))
                .bind(case.due.0)
                .execute(&mut *self)
                .await?;
                Ok(done.rows_affected() > 0)
            }

            async fn insert_cases(&mut self, cases: &[Case]) -> Result<(), Error> {
                for some in store::in_parts(cases) {
                    let mut insert = sqlx::QueryBuilder::<<$connection as sqlx::Connection>::Database>::new(
                        "INSERT INTO irregular (id, kind, code, staff, patient, visit, workstation, zone, session, source,
                             entry, at_ms, expires_ms, ended_ms, due_ms) ",
                    );
                    insert.push_values(some, |mut row, case| {
                        row.push_bind(case.id.as_str())
                            .push_bind(case.kind.as_str())
                            .push_bind(case.code.as_str())
                            .push_bind(case.staff.map(|it| it.to_string()))
                            .push_bind(case.patient.map(|it| it.to_string()))
                            .push_bind(case.visit.as_deref())
                            .push_bind(case.workstation.as_ref().map(PointId::as_str))
                            .push_bind(case.zone.as_ref().map(ZoneId::as_str))
                            .push_bind(case.session.as_deref())
                            .push_bind(case.source.as_deref())
                            .push_bind(case.entry.cast_signed())
                            .push_bind(case.at.0)
                            .push_bind(case.expires.map(|at| at.0))
                            .push_bind(case.ended.map(|at| at.0))
                            .push_bind(case.due.0);
                    });
                    insert.build().execute(&mut *self).await?;
                }
                Ok(())
            }

            async fn reported(&mut self, source: &str, external: &str) -> Result<Option<Case>, Error> {
                let row: Option<CaseRow> = sqlx::query_as(select_case!("WHERE source = $1 AND external = $2"))
                    .bind(source)
                    .bind(external)
                    .fetch_optional(&mut *self)
                    .await?;
                row.map(CaseRow::read).transpose()
            }

            async fn case(&mut self, id: &str) -> Result<Option<Case>, Error> {
                let row: Option<CaseRow> =
                    sqlx::query_as(select_case!("WHERE id = $1")).bind(id).fetch_optional(&mut *self).await?;
                row.map(CaseRow::read).transpose()
            }

            async fn binding(&mut self, session: &str) -> Result<Option<Binding>, Error> {
                let row: Option<(String, String, String, i64, Option<String>)> = sqlx::query_as(
                    "SELECT s.workstation, s.person, s.state, s.confirmed_ms, p.to_zone
                     FROM desk_session s LEFT JOIN point p ON p.id = s.workstation
                     WHERE s.id = $1 AND s.ended_ms IS NULL",
                )
                .bind(session)
                .fetch_optional(&mut *self)
                .await?;
                const T: &str = "desk_session";
                let Some((workstation, staff, state, confirmed, zone)) = row else { return Ok(None) };
                Ok(Some(Binding {
                    workstation: column(T, "workstation", &workstation, PointId::new)?,
                    staff: column(T, "person", &staff, str::parse)?,
                    is_usable: state == "open",
                    confirmed: UtcMillis(confirmed),
                    zone: optional("point", "to_zone", zone.as_deref(), ZoneId::new)?,
                }))
            }

            async fn is_known(&mut self, person: PersonId) -> Result<bool, Error> {
                let found: Option<String> = sqlx::query_scalar("SELECT id FROM person WHERE id = $1")
                    .bind(person.to_string())
                    .fetch_optional(&mut *self)
                    .await?;
                Ok(found.is_some())
            }

            async fn close_case(&mut self, id: &str, at: UtcMillis, why: &'static str) -> Result<bool, Error> {
                let done = sqlx::query(
                    "UPDATE irregular SET ended_ms = $1, ended_why = $2 WHERE id = $3 AND ended_ms IS NULL",
                )
                .bind(at.0)
                .bind(why)
                .bind(id)
                .execute(&mut *self)
                .await?;
                Ok(done.rows_affected() > 0)
            }

            async fn store_review(&mut self, id: &str, review: &Review) -> Result<bool, Error> {
                let done = sqlx::query(
                    "UPDATE irregular SET reviewed_ms = $1, reviewer = $2, verdict = $3, review_entry = $4
                     WHERE id = $5 AND reviewed_ms IS NULL",
                )
                .bind(review.at.0)
                .bind(&review.by)
                .bind(review.verdict.as_str())
                .bind(review.entry.cast_signed())
                .bind(id)
                .execute(&mut *self)
                .await?;
                Ok(done.rows_affected() > 0)
            }
        }
    };
}

store::for_each_connection!(irregular_on);
