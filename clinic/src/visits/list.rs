//! Lists of visits by pseudonym: for who looks at the work of the clinic, and a specialist's own day.

use domain::visit::{BeganBy, VisitEnd};
use domain::{Permission, PersonId, PointId, UtcMillis, ZoneId};
use store::read;

use super::rows::{VisitRow, select_visit};
use super::{Visit, VisitError, Visits};
use crate::acting::Acting;

/// Most visits of one page.
pub const LIST_MAX: u32 = 1000;

/// Which visits; everything given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Started not earlier than this.
    pub from: Option<UtcMillis>,
    /// Started earlier than this.
    pub until: Option<UtcMillis>,
    /// Of this patient.
    pub patient: Option<PersonId>,
    /// With this specialist.
    pub staff: Option<PersonId>,
    /// In this zone, itself.
    pub zone: Option<ZoneId>,
    /// At this workstation.
    pub workstation: Option<PointId>,
    /// Began so.
    pub began_by: Option<BeganBy>,
    /// Ended for this reason.
    pub ended: Option<VisitEnd>,
    /// Only those that run.
    pub is_running: bool,
}

/// Where a page ended; the next one starts behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The start of the last visit shown.
    pub started: UtcMillis,
    /// Its id.
    pub id: String,
}

/// One page of visits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Latest first.
    pub visits: Vec<Visit>,
    /// Give this to get the next page; `None` when this is the last one.
    pub next: Option<Position>,
}

impl Visits {
    /// Visits, the latest first, at most `limit` (at most [`LIST_MAX`]).
    ///
    /// # Errors
    /// [`VisitError::Denied`] without `visit_see`; engine errors.
    pub async fn list(
        &self,
        acting: &Acting,
        filter: &Filter,
        after: Option<&Position>,
        limit: u32,
    ) -> Result<Page, VisitError> {
        acting.must(Permission::VisitSee)?;
        Ok(self.page(filter, after, limit).await?)
    }

    /// The visits of a staff member that started within a time, the latest first, at most [`LIST_MAX`]: for themselves.
    ///
    /// # Errors
    /// [`VisitError::Denied`] without `desk_use`; engine errors.
    pub async fn day_of(
        &self,
        acting: &Acting,
        staff: PersonId,
        from: UtcMillis,
        until: UtcMillis,
    ) -> Result<Vec<Visit>, VisitError> {
        acting.must(Permission::DeskUse)?;
        let filter = Filter { staff: Some(staff), from: Some(from), until: Some(until), ..Filter::default() };
        Ok(self.page(&filter, None, LIST_MAX).await?.visits)
    }

    async fn page(&self, filter: &Filter, after: Option<&Position>, limit: u32) -> Result<Page, store::Error> {
        let limit = limit.clamp(1, LIST_MAX);
        let (from, until) = (filter.from.map_or(i64::MIN, |at| at.0), filter.until.map_or(i64::MAX, |at| at.0));
        let (before_ms, before_id) = after.map_or((i64::MAX, ""), |place| (place.started.0, place.id.as_str()));
        let (patient, staff) = (filter.patient.map(|id| id.to_string()), filter.staff.map(|id| id.to_string()));
        let rows: Vec<VisitRow> = read!(self.database, "visits.list", |conn| {
            let mut query = sqlx::QueryBuilder::<Db>::new(select_visit!("WHERE started_ms >= "));
            query.push_bind(from).push(" AND started_ms < ").push_bind(until);
            query.push(" AND (started_ms < ").push_bind(before_ms);
            query.push(" OR (started_ms = ").push_bind(before_ms).push(" AND id < ").push_bind(before_id).push("))");
            if let Some(patient) = &patient {
                query.push(" AND patient = ").push_bind(patient);
            }
            if let Some(staff) = &staff {
                query.push(" AND staff = ").push_bind(staff);
            }
            if let Some(zone) = &filter.zone {
                query.push(" AND zone = ").push_bind(zone.as_str());
            }
            if let Some(workstation) = &filter.workstation {
                query.push(" AND workstation = ").push_bind(workstation.as_str());
            }
            if let Some(began_by) = filter.began_by {
                query.push(" AND began_by = ").push_bind(began_by.as_str());
            }
            if let Some(ended) = filter.ended {
                query.push(" AND ended_why = ").push_bind(ended.as_str());
            }
            if filter.is_running {
                query.push(" AND ended_ms IS NULL");
            }
            query.push(" ORDER BY started_ms DESC, id DESC LIMIT ").push_bind(i64::from(limit) + 1);
            Ok(query.build_query_as().fetch_all(&mut *conn).await?)
        })?;
        let mut visits: Vec<Visit> = rows.into_iter().map(VisitRow::read).collect::<Result<_, _>>()?;
        let is_more = visits.len() > limit as usize;
        visits.truncate(limit as usize);
        let last = visits.last().map(|visit| Position { started: visit.started, id: visit.id.clone() });
        Ok(Page { next: last.filter(|_| is_more), visits })
    }
}
