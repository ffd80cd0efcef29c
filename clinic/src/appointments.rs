//! Appointments as they are read: near a tap, and the next patients of a specialist with whether they are in the
//! building. Rows are written by what other systems tell (`feeds`) and moved on by `visits`; never here. Knows
//! pseudonyms only. May import `domain` and `store`.

use domain::visit::AppointmentState;
use domain::{Denied, Permission, PersonId, UtcMillis, ZoneId};
use sqlx::FromRow;
use store::{Database, Error, read};
use thiserror::Error as ThisError;

use crate::acting::Acting;
use crate::rows::{code, column, optional};

/// Most appointments handed out at once.
pub const LIST_MAX: i64 = 200;
/// Appointments near a tap: within a day of it.
const NEAR_MS: i64 = 24 * 60 * 60 * 1000;
/// Next patients are those of so long before and after now: an appointment that is half an hour late is still awaited.
const NEXT_BEFORE_MS: i64 = 2 * 60 * 60 * 1000;
const NEXT_AFTER_MS: i64 = 12 * 60 * 60 * 1000;

/// An appointment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appointment {
    /// Its id here.
    pub id: String,
    /// The system that told it.
    pub source: String,
    /// Its id there.
    pub external: String,
    /// Whose.
    pub patient: PersonId,
    /// With whom; `None`: anybody.
    pub staff: Option<PersonId>,
    /// In which zone; `None`: not told.
    pub zone: Option<ZoneId>,
    /// What for, as a code of that system: health data, shown to who may see what a visit is for.
    pub purpose: Option<String>,
    /// When it begins.
    pub starts: UtcMillis,
    /// When it ends.
    pub ends: UtcMillis,
    /// How far it has come.
    pub state: AppointmentState,
    /// When the patient arrived.
    pub arrived: Option<UtcMillis>,
}

/// Somebody who comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Next {
    /// The appointment.
    pub appointment: Appointment,
    /// Where the patient is and since when, if they are in the building.
    pub inside: Option<(ZoneId, UtcMillis)>,
}

/// Why nothing is shown.
#[derive(Debug, ThisError)]
pub enum AppointmentError {
    /// No right.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The database.
    #[error(transparent)]
    Store(#[from] Error),
}

#[derive(FromRow)]
struct Row {
    id: String,
    source: String,
    external: String,
    patient: String,
    staff: Option<String>,
    zone: Option<String>,
    purpose: Option<String>,
    starts_ms: i64,
    ends_ms: i64,
    state: String,
    arrived_ms: Option<i64>,
}

impl Row {
    fn read(self) -> Result<Appointment, Error> {
        const T: &str = "appointment";
        Ok(Appointment {
            patient: column(T, "patient", &self.patient, str::parse)?,
            staff: optional(T, "staff", self.staff.as_deref(), str::parse)?,
            zone: optional(T, "zone", self.zone.as_deref(), ZoneId::new)?,
            purpose: self.purpose,
            starts: UtcMillis(self.starts_ms),
            ends: UtcMillis(self.ends_ms),
            state: code(T, "state", &self.state, AppointmentState::parse)?,
            arrived: self.arrived_ms.map(UtcMillis),
            source: self.source,
            external: self.external,
            id: self.id,
        })
    }
}

/// An appointment, for the program itself.
///
/// # Errors
/// Engine errors.
pub async fn of(database: &Database, id: &str) -> Result<Option<Appointment>, Error> {
    let row: Option<Row> = read!(database, "appointments.of", |conn| {
        Ok(sqlx::query_as(
            "SELECT id, source, external, patient, staff, zone, purpose, starts_ms, ends_ms, state, arrived_ms
             FROM appointment WHERE id = $1",
        )
        .bind(id)
        .fetch_optional(&mut *conn)
        .await?)
    })?;
    row.map(Row::read).transpose()
}

/// Open appointments of a patient within a day of an instant, the nearest first.
///
/// # Errors
/// Engine errors.
pub(crate) async fn near(database: &Database, patient: PersonId, at: UtcMillis) -> Result<Vec<Appointment>, Error> {
    let rows: Vec<Row> = read!(database, "appointments.near", |conn| {
        Ok(sqlx::query_as(
            "SELECT id, source, external, patient, staff, zone, purpose, starts_ms, ends_ms, state, arrived_ms
             FROM appointment
             WHERE patient IN (SELECT CAST($1 AS TEXT) UNION ALL SELECT person FROM person_merge WHERE into_person = $1)
               AND starts_ms >= $2 AND starts_ms <= $3 AND state IN ('pending', 'booked', 'arrived')
             ORDER BY starts_ms, id LIMIT 50",
        )
        .bind(patient.to_string())
        .bind(at.plus_ms(-NEAR_MS).0)
        .bind(at.plus_ms(NEAR_MS).0)
        .fetch_all(&mut *conn)
        .await?)
    })?;
    let mut found: Vec<Appointment> = rows.into_iter().map(Row::read).collect::<Result<_, _>>()?;
    found.sort_by_key(|appointment| appointment.starts.since_ms(at).abs());
    Ok(found)
}

/// Who comes next to a specialist: open appointments from two hours ago to twelve hours from now that no visit has taken
/// yet, in order, with whether the patient is in the building. By pseudonym.
///
/// # Errors
/// [`AppointmentError::Denied`] without `desk_use`; engine errors.
pub async fn next_for(
    database: &Database,
    acting: &Acting,
    staff: PersonId,
    now: UtcMillis,
    limit: u32,
) -> Result<Vec<Next>, AppointmentError> {
    acting.must(Permission::DeskUse)?;
    #[derive(FromRow)]
    struct NextRow {
        #[sqlx(flatten)]
        row: Row,
        inside_zone: Option<String>,
        inside_ms: Option<i64>,
    }
    let rows: Vec<NextRow> = read!(database, "appointments.next_for", |conn| {
        Ok(sqlx::query_as(
            "SELECT a.id, a.source, a.external, a.patient, a.staff, a.zone, a.purpose, a.starts_ms, a.ends_ms, a.state,
                 a.arrived_ms, CASE WHEN COALESCE(z.outside, 0) = 0 THEN p.zone END AS inside_zone,
                 CASE WHEN COALESCE(z.outside, 0) = 0 THEN p.at_ms END AS inside_ms
             FROM appointment a
             LEFT JOIN presence p ON p.person = a.patient
             LEFT JOIN zone z ON z.id = p.zone
             WHERE a.staff = $1 AND a.starts_ms >= $2 AND a.starts_ms <= $3 AND a.state IN ('pending', 'booked')
             ORDER BY a.starts_ms, a.id LIMIT $4",
        )
        .bind(staff.to_string())
        .bind(now.plus_ms(-NEXT_BEFORE_MS).0)
        .bind(now.plus_ms(NEXT_AFTER_MS).0)
        .bind(i64::from(limit).min(LIST_MAX))
        .fetch_all(&mut *conn)
        .await?)
    })?;
    rows.into_iter()
        .map(|next| {
            let zone = optional("presence", "zone", next.inside_zone.as_deref(), ZoneId::new)?;
            let inside = zone.zip(next.inside_ms.map(UtcMillis));
            Ok(Next { appointment: next.row.read()?, inside })
        })
        .collect()
}
