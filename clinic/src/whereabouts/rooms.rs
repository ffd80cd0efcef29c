//! Rooms: by which patient and specialist each was occupied, at an instant and over a day, and how well they are used.
//! By pseudonym.

use std::collections::BTreeMap;

use domain::{Permission, PersonId, PointId, UtcMillis, ZoneId};
use store::{Database, Error, read};

use super::{BEFORE_MS, WhereError, span};
use crate::acting::Acting;
use crate::rows::column;

/// Most visits counted for one answer: two days of a large clinic; beyond that it is cut and says so.
const VISITS_MAX: i64 = 200_000;
/// Most visits shown one by one.
const SHOWN_MAX: i64 = 20_000;

/// A room was occupied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Occupied {
    /// The room.
    pub zone: ZoneId,
    /// The workstation in it.
    pub workstation: PointId,
    /// The visit.
    pub visit: String,
    /// By which patient.
    pub patient: PersonId,
    /// With which specialist.
    pub staff: PersonId,
    /// From when.
    pub from: UtcMillis,
    /// Until when; `None`: it still is.
    pub until: Option<UtcMillis>,
}

/// A room over a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// The room.
    pub zone: ZoneId,
    /// Milliseconds within the time asked about in which at least one visit ran.
    pub occupied_ms: i64,
    /// Milliseconds in which a specialist was bound to a workstation there.
    pub staffed_ms: i64,
    /// Visits that touch the time.
    pub visits: u64,
}

impl Room {
    /// Occupied of staffed time, in thousandths: 750 is 75 %. `None` when nobody was bound there.
    pub fn used_in_thousandths(&self) -> Option<i64> {
        (self.staffed_ms > 0).then(|| self.occupied_ms.saturating_mul(1000) / self.staffed_ms)
    }
}

/// Rooms over a time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rooms {
    /// Each room that was used, by its name.
    pub rooms: Vec<Room>,
    /// When they were occupied, by room and time; of more than 20,000 visits the first ones.
    pub occupied: Vec<Occupied>,
    /// Whether not all visits are counted in `rooms`: there are more than 200,000.
    pub is_cut: bool,
    /// Whether not all visits are in `occupied`.
    pub is_occupied_cut: bool,
}

/// Zone, beginning, end.
type Span = (String, i64, Option<i64>);
type Row = (String, String, String, String, String, i64, Option<i64>);

fn read_row((id, zone, workstation, patient, staff, from, until): Row) -> Result<Occupied, Error> {
    const T: &str = "visit";
    Ok(Occupied {
        zone: column(T, "zone", &zone, ZoneId::new)?,
        workstation: column(T, "workstation", &workstation, PointId::new)?,
        patient: column(T, "patient", &patient, str::parse)?,
        staff: column(T, "staff", &staff, str::parse)?,
        from: UtcMillis(from),
        until: until.map(UtcMillis),
        visit: id,
    })
}

/// Which rooms are occupied at an instant, by room.
///
/// # Errors
/// [`WhereError::Denied`] without `visit_see`; engine errors.
pub async fn at(database: &Database, acting: &Acting, instant: UtcMillis) -> Result<Vec<Occupied>, WhereError> {
    acting.must(Permission::VisitSee)?;
    let rows: Vec<Row> = read!(database, "whereabouts.at", |conn| {
        Ok(sqlx::query_as(
            "SELECT id, zone, workstation, patient, staff, started_ms, ended_ms FROM visit
             WHERE started_ms > $1 AND started_ms <= $2 AND (ended_ms IS NULL OR ended_ms > $2)
               AND (ended_why IS NULL OR ended_why <> 'cancelled')
             ORDER BY zone, started_ms, id LIMIT $3",
        )
        .bind(instant.plus_ms(-BEFORE_MS).0)
        .bind(instant.0)
        .bind(SHOWN_MAX)
        .fetch_all(&mut *conn)
        .await?)
    })?;
    Ok(rows.into_iter().map(read_row).collect::<Result<_, Error>>()?)
}

/// Rooms over a time of at most 31 days; of one room where `zone` is given.
///
/// # Errors
/// [`WhereError::Denied`] without `visit_see`, [`WhereError::BadSpan`]; engine errors.
pub async fn day(
    database: &Database,
    acting: &Acting,
    zone: Option<&ZoneId>,
    from: UtcMillis,
    until: UtcMillis,
    now: UtcMillis,
) -> Result<Rooms, WhereError> {
    acting.must(Permission::VisitSee)?;
    span(from, until)?;
    let only = zone.map(ZoneId::as_str);
    let (counted, shown, bound): (Vec<Span>, Vec<Row>, Vec<Span>) = read!(database, "whereabouts.rooms", |conn| {
        let counted = sqlx::query_as(
            "SELECT zone, started_ms, ended_ms FROM visit
             WHERE started_ms > $1 AND started_ms < $2 AND (ended_ms IS NULL OR ended_ms > $3)
               AND (ended_why IS NULL OR ended_why <> 'cancelled') AND ($4 IS NULL OR zone = $4)
             ORDER BY started_ms LIMIT $5",
        )
        .bind(from.plus_ms(-BEFORE_MS).0)
        .bind(until.0)
        .bind(from.0)
        .bind(only)
        .bind(VISITS_MAX + 1)
        .fetch_all(&mut *conn)
        .await?;
        let shown = sqlx::query_as(
            "SELECT id, zone, workstation, patient, staff, started_ms, ended_ms FROM visit
             WHERE started_ms > $1 AND started_ms < $2 AND (ended_ms IS NULL OR ended_ms > $3)
               AND (ended_why IS NULL OR ended_why <> 'cancelled') AND ($4 IS NULL OR zone = $4)
             ORDER BY zone, started_ms, id LIMIT $5",
        )
        .bind(from.plus_ms(-BEFORE_MS).0)
        .bind(until.0)
        .bind(from.0)
        .bind(only)
        .bind(SHOWN_MAX + 1)
        .fetch_all(&mut *conn)
        .await?;
        let bound = sqlx::query_as(
            "SELECT p.to_zone, s.opened_ms, s.ended_ms FROM desk_session s JOIN point p ON p.id = s.workstation
             WHERE s.opened_ms > $1 AND s.opened_ms < $2 AND (s.ended_ms IS NULL OR s.ended_ms > $3)
               AND ($4 IS NULL OR p.to_zone = $4)
             ORDER BY s.opened_ms LIMIT $5",
        )
        .bind(from.plus_ms(-BEFORE_MS).0)
        .bind(until.0)
        .bind(from.0)
        .bind(only)
        .bind(VISITS_MAX)
        .fetch_all(&mut *conn)
        .await?;
        Ok((counted, shown, bound))
    })?;
    let over = |found: usize, most: i64| i64::try_from(found).is_ok_and(|found| found > most);
    let (is_cut, is_occupied_cut) = (over(counted.len(), VISITS_MAX), over(shown.len(), SHOWN_MAX));
    let mut occupied: Vec<Occupied> = shown.into_iter().map(read_row).collect::<Result<_, Error>>()?;
    occupied.truncate(usize::try_from(SHOWN_MAX).unwrap_or(usize::MAX));
    let end = until.min(now);
    let within = |start: UtcMillis, stop: Option<UtcMillis>| (start.max(from), stop.unwrap_or(end).min(end));
    let mut rooms: BTreeMap<String, (Vec<_>, Vec<_>, u64)> = BTreeMap::new();
    for (zone, started, ended) in counted {
        let room = rooms.entry(zone).or_default();
        room.0.push(within(UtcMillis(started), ended.map(UtcMillis)));
        room.2 += 1;
    }
    for (zone, opened, ended) in bound {
        rooms.entry(zone).or_default().1.push(within(UtcMillis(opened), ended.map(UtcMillis)));
    }
    let rooms = rooms.into_iter().map(|(zone, (visits, bound, count))| {
        Ok(Room {
            zone: column("visit", "zone", &zone, ZoneId::new)?,
            occupied_ms: covered(visits),
            staffed_ms: covered(bound),
            visits: count,
        })
    });
    Ok(Rooms { rooms: rooms.collect::<Result<_, Error>>()?, occupied, is_cut, is_occupied_cut })
}

/// How much time these cover together; what overlaps counts once.
fn covered(mut spans: Vec<(UtcMillis, UtcMillis)>) -> i64 {
    spans.sort_unstable();
    let (mut total, mut reached) = (0_i64, UtcMillis(i64::MIN));
    for (start, stop) in spans {
        let start = start.max(reached);
        if stop > start {
            total = total.saturating_add(stop.since_ms(start));
            reached = stop;
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_that_overlaps_counts_once() {
        let at = UtcMillis;
        assert_eq!(covered(vec![]), 0);
        assert_eq!(covered(vec![(at(5), at(10)), (at(0), at(6)), (at(20), at(30)), (at(22), at(25))]), 20);
        assert_eq!(covered(vec![(at(10), at(5))]), 0, "backward");
    }
}
