//! Where one person is now and where they were today: each look is recorded.

use std::collections::HashMap;

use domain::{Direction, Permission, PersonId, PointId, UtcMillis, ZoneId, codes};
use store::{Database, Error, transact};

use super::{BEFORE_MS, WhereError, span};
use crate::acting::Acting;
use crate::audit::{self, Action, Draft, Purpose};
use crate::rows::{code, column};

/// Most passages, visits and bindings of one answer.
const LINES_MAX: i64 = 2000;

codes! {
    /// What tells where somebody is.
    Source {
        /// They went through a door or turnstile.
        Passage = "passage",
        /// They tapped at a workstation as its specialist.
        Desk = "desk",
        /// Their visit with a specialist.
        Visit = "visit",
    }
}

/// A time spent somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stay {
    /// Where.
    pub zone: ZoneId,
    /// Since when.
    pub from: UtcMillis,
    /// Until when; `None`: still, as far as is known.
    pub until: Option<UtcMillis>,
    /// What tells it.
    pub source: Source,
    /// At which point.
    pub point: Option<PointId>,
    /// The visit, and who the other one of it is: the specialist of a patient, the patient of a specialist.
    pub visit: Option<(String, PersonId)>,
}

/// Where somebody is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// Who.
    pub person: PersonId,
    /// The latest that is known; `None`: nothing, or outside.
    pub stay: Option<Stay>,
}

/// Where somebody was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Today {
    /// Who.
    pub person: PersonId,
    /// In order of their beginning. Zones by passages, and within them visits and bindings.
    pub stays: Vec<Stay>,
    /// Whether there is more than is shown.
    pub is_cut: bool,
}

/// Where a patient or an employee is now: a visit or a binding that runs counts before the last passage, unless that is
/// later. The look is recorded with its purpose.
///
/// # Errors
/// [`WhereError::Denied`] without `person_locate`, [`WhereError::Unknown`]; engine errors.
pub async fn locate(
    database: &Database,
    acting: &Acting,
    person: PersonId,
    purpose: Purpose,
    now: UtcMillis,
) -> Result<Located, WhereError> {
    let today = today(database, acting, person, purpose, now.plus_ms(-BEFORE_MS), now.plus_ms(1), now).await?;
    let stay = today.stays.into_iter().filter(|stay| stay.until.is_none()).max_by_key(|stay| stay.from);
    Ok(Located { person, stay })
}

type Moves = Vec<(i64, String, String)>;
type Bound = Vec<(String, String, i64, Option<i64>)>;
type Seen = Vec<(String, String, String, String, String, i64, Option<i64>)>;

/// Where a patient or an employee was within a time of at most 31 days. The look is recorded with its purpose.
///
/// # Errors
/// [`WhereError::Denied`] without `person_locate`, [`WhereError::Unknown`], [`WhereError::BadSpan`]; engine errors.
pub async fn today(
    database: &Database,
    acting: &Acting,
    person: PersonId,
    purpose: Purpose,
    from: UtcMillis,
    until: UtcMillis,
    now: UtcMillis,
) -> Result<Today, WhereError> {
    acting.must(Permission::PersonLocate)?;
    span(from, until)?;
    let id = person.to_string();
    let draft = Draft {
        subject: Some(person),
        purpose: Some(purpose),
        detail: Some(format!("from={from}; until={until}")),
        ..acting.draft(now, Action::PersonLocated)
    };
    let own = id.clone();
    let found: Option<(Moves, Bound, Seen, Layout)> = transact!(database, "whereabouts.person", |conn| {
        let known: Option<String> =
            sqlx::query_scalar("SELECT id FROM person WHERE id = $1").bind(&id).fetch_optional(&mut *conn).await?;
        if known.is_none() {
            return Ok(None);
        }
        let points =
            sqlx::query_as("SELECT id, from_zone, to_zone FROM point WHERE kind NOT IN ('workstation', 'enrolment')")
                .fetch_all(&mut *conn)
                .await?;
        let outside = sqlx::query_scalar("SELECT id FROM zone WHERE outside <> 0").fetch_all(&mut *conn).await?;
        let moves = sqlx::query_as(
            "SELECT at_ms, point, direction FROM event
                 WHERE person = $1 AND at_ms >= $2 AND at_ms < $3 AND kind = 'passed' AND point IS NOT NULL
                   AND direction IS NOT NULL
                 ORDER BY at_ms, id LIMIT $4",
        )
        .bind(&id)
        .bind(from.plus_ms(-BEFORE_MS).0)
        .bind(until.0)
        .bind(LINES_MAX + 1)
        .fetch_all(&mut *conn)
        .await?;
        let bound = sqlx::query_as(
            "SELECT s.workstation, p.to_zone, s.opened_ms, s.ended_ms
                 FROM desk_session s JOIN point p ON p.id = s.workstation
                 WHERE s.person = $1 AND s.opened_ms >= $2 AND s.opened_ms < $3 ORDER BY s.opened_ms, s.id LIMIT $4",
        )
        .bind(&id)
        .bind(from.plus_ms(-BEFORE_MS).0)
        .bind(until.0)
        .bind(LINES_MAX + 1)
        .fetch_all(&mut *conn)
        .await?;
        let seen = sqlx::query_as(
            "SELECT id, workstation, zone, patient, staff, started_ms, ended_ms FROM visit
                 WHERE (patient = $1 OR staff = $1) AND started_ms >= $2 AND started_ms < $3
                   AND (ended_why IS NULL OR ended_why <> 'cancelled')
                 ORDER BY started_ms, id LIMIT $4",
        )
        .bind(&id)
        .bind(from.plus_ms(-BEFORE_MS).0)
        .bind(until.0)
        .bind(LINES_MAX + 1)
        .fetch_all(&mut *conn)
        .await?;
        audit::record!(conn, &draft);
        Ok(Some((moves, bound, seen, Layout { points, outside })))
    })?;
    let Some((moves, bound, seen, layout)) = found else { return Err(WhereError::Unknown) };
    let over = |rows: usize| i64::try_from(rows).is_ok_and(|rows| rows > LINES_MAX);
    let is_cut = over(moves.len()) || over(bound.len()) || over(seen.len());
    let mut stays = passages(moves, &layout)?;
    for (workstation, zone, opened, ended) in bound {
        stays.push(Stay {
            zone: column("point", "to_zone", &zone, ZoneId::new)?,
            from: UtcMillis(opened),
            until: ended.map(UtcMillis),
            source: Source::Desk,
            point: Some(column("desk_session", "workstation", &workstation, PointId::new)?),
            visit: None,
        });
    }
    for (visit, workstation, zone, patient, staff, started, ended) in seen {
        let other = if patient == own { staff } else { patient };
        stays.push(Stay {
            zone: column("visit", "zone", &zone, ZoneId::new)?,
            from: UtcMillis(started),
            until: ended.map(UtcMillis),
            source: Source::Visit,
            point: Some(column("visit", "workstation", &workstation, PointId::new)?),
            visit: Some((visit, column("visit", "patient", &other, str::parse)?)),
        });
    }
    stays.retain(|stay| stay.until.is_none_or(|end| end > from) && stay.from < until);
    stays.sort_by_key(|stay| (stay.from, stay.source));
    stays.truncate(usize::try_from(LINES_MAX).unwrap_or(usize::MAX));
    Ok(Today { person, stays, is_cut })
}

/// Points as (id, from, to), and the zones that are outside.
struct Layout {
    points: Vec<(String, String, String)>,
    outside: Vec<String>,
}

/// Passages as stays: each lasts until the next; outside nobody stays. Passages at points that are no longer there are
/// left out.
fn passages(moves: Moves, layout: &Layout) -> Result<Vec<Stay>, Error> {
    let by_id: HashMap<&str, (&str, &str)> =
        layout.points.iter().map(|(id, from, to)| (id.as_str(), (from.as_str(), to.as_str()))).collect();
    let mut stays: Vec<Stay> = Vec::new();
    let mut is_open = false;
    for (at, point, direction) in moves {
        let Some((from, to)) = by_id.get(point.as_str()) else { continue };
        let direction = code("event", "direction", &direction, Direction::parse)?;
        let zone = match direction {
            Direction::In => *to,
            Direction::Out => *from,
        };
        if let Some(last) = stays.last_mut().filter(|_| is_open) {
            last.until = Some(UtcMillis(at));
        }
        is_open = !layout.outside.iter().any(|outside| outside == zone);
        if is_open {
            stays.push(Stay {
                zone: column("point", "to_zone", zone, ZoneId::new)?,
                from: UtcMillis(at),
                until: None,
                source: Source::Passage,
                point: Some(column("event", "point", &point, PointId::new)?),
                visit: None,
            });
        }
    }
    Ok(stays)
}
