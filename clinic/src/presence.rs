//! Who is where, for people who look: counts by zone and category, and who is inside. Gateways decide from their own
//! presence (`domain::presence`); this one is rebuilt from what they recorded, across all gateways.
//!
//! Only a passage moves a person; a grant does not. A passage that is older than what is known of the person changes
//! nothing, in whatever order journals arrive.

use std::collections::HashMap;

use domain::{CardId, CategoryId, Direction, PersonId, PointId, UtcMillis, ZoneId};
use store::{Database, Error, read};

use crate::rows::{self, column};

/// A recorded passage, as ingest hands it over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Passage {
    pub person: PersonId,
    pub point: PointId,
    pub direction: Direction,
    pub at: UtcMillis,
    pub card: Option<CardId>,
    pub event: i64,
}

/// Writes passages within the caller's transaction. A macro because the connection's type differs between engines.
/// Passages at points that are unknown, or where nobody moves (workstation, enrolment), change nothing.
macro_rules! move_people {
    ($conn:ident, $passages:ident) => {
        if !$passages.is_empty() {
            let points: Vec<(String, String, String)> = sqlx::query_as(
                "SELECT id, from_zone, to_zone FROM point WHERE kind NOT IN ('workstation', 'enrolment')",
            )
            .fetch_all(&mut *$conn)
            .await?;
            let moves = $crate::presence::targets(&points, &$passages);
            for moves in moves.chunks(500) {
                let mut upsert =
                    sqlx::QueryBuilder::<Db>::new("INSERT INTO presence (person, zone, at_ms, card, event) ");
                upsert.push_values(moves, |mut row, (zone, passage)| {
                    row.push_bind(passage.person.to_string())
                        .push_bind((*zone).to_owned())
                        .push_bind(passage.at.0)
                        .push_bind(passage.card.map(|it| it.to_string()))
                        .push_bind(passage.event);
                });
                upsert.push(
                    " ON CONFLICT (person) DO UPDATE SET zone = excluded.zone, at_ms = excluded.at_ms,
                      card = excluded.card, event = excluded.event WHERE excluded.at_ms >= presence.at_ms",
                );
                upsert.build().execute(&mut *$conn).await?;
            }
        }
    };
}
pub(crate) use move_people;

/// Where each person's latest passage of the batch leads, passages that move nobody left out; points are
/// (id, from, to). Of two at the same moment the later in the batch counts.
pub(crate) fn targets<'a>(
    points: &'a [(String, String, String)],
    passages: &'a [Passage],
) -> Vec<(&'a str, &'a Passage)> {
    let by_id: HashMap<&str, (&str, &str)> =
        points.iter().map(|(id, from, to)| (id.as_str(), (from.as_str(), to.as_str()))).collect();
    let mut latest: HashMap<PersonId, (&str, &Passage)> = HashMap::new();
    for passage in passages {
        let Some((from, to)) = by_id.get(passage.point.as_str()) else { continue };
        let zone = match passage.direction {
            Direction::In => *to,
            Direction::Out => *from,
        };
        let known = latest.entry(passage.person).or_insert((zone, passage));
        if known.1.at <= passage.at {
            *known = (zone, passage);
        }
    }
    let mut moves: Vec<_> = latest.into_values().collect();
    // A fixed order, so that two transactions never wait for each other's rows.
    moves.sort_by_key(|(_, passage)| passage.person);
    moves
}

/// How many persons of one category are directly in one zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneCount {
    /// The zone.
    pub zone: ZoneId,
    /// The category of the card that was used; `None` when that card is no longer registered.
    pub category: Option<CategoryId>,
    /// Persons there. Those in zones inside it are counted there, not here.
    pub persons: u64,
}

/// Counts by zone and category, outside zones left out; ordered by zone, then category.
///
/// # Errors
/// Engine errors.
pub async fn counts(database: &Database) -> Result<Vec<ZoneCount>, Error> {
    let found: Vec<(String, Option<String>, i64)> = read!(database, "presence.counts", |conn| {
        Ok(sqlx::query_as(
            "SELECT p.zone, c.category, COUNT(*)
             FROM presence p
             LEFT JOIN zone z ON z.id = p.zone
             LEFT JOIN credential c ON c.card = p.card AND c.until_ms IS NULL
             WHERE COALESCE(z.outside, 0) = 0
             GROUP BY p.zone, c.category
             ORDER BY p.zone, COALESCE(c.category, '')",
        )
        .fetch_all(&mut *conn)
        .await?)
    })?;
    found
        .into_iter()
        .map(|(zone, category, persons)| {
            Ok(ZoneCount {
                zone: column("presence", "zone", &zone, ZoneId::new)?,
                category: rows::optional("credential", "category", category.as_deref(), CategoryId::new)?,
                persons: persons.cast_unsigned(),
            })
        })
        .collect()
}

/// One person inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Present {
    /// Who.
    pub person: PersonId,
    /// Where.
    pub zone: ZoneId,
    /// Since when.
    pub since: UtcMillis,
    /// The card used.
    pub card: Option<CardId>,
}

/// Who is inside (of one zone directly, or anywhere), latest first, at most `limit`.
///
/// # Errors
/// Engine errors.
pub async fn inside(database: &Database, zone: Option<&ZoneId>, limit: u32) -> Result<Vec<Present>, Error> {
    let zone = zone.map(ZoneId::as_str);
    let found: Vec<(String, String, i64, Option<String>)> = read!(database, "presence.inside", |conn| {
        Ok(sqlx::query_as(
            "SELECT p.person, p.zone, p.at_ms, p.card
             FROM presence p LEFT JOIN zone z ON z.id = p.zone
             WHERE COALESCE(z.outside, 0) = 0 AND ($1 IS NULL OR p.zone = $1)
             ORDER BY p.at_ms DESC, p.person LIMIT $2",
        )
        .bind(zone)
        .bind(i64::from(limit))
        .fetch_all(&mut *conn)
        .await?)
    })?;
    found
        .into_iter()
        .map(|(person, zone, since, card)| {
            Ok(Present {
                person: column("presence", "person", &person, |text: &str| text.parse())?,
                zone: column("presence", "zone", &zone, ZoneId::new)?,
                since: UtcMillis(since),
                card: rows::optional("presence", "card", card.as_deref(), |text: &str| text.parse())?,
            })
        })
        .collect()
}

/// Where a person is: `None` if nothing is known.
///
/// # Errors
/// Engine errors.
pub async fn whereabouts(database: &Database, person: PersonId) -> Result<Option<(ZoneId, UtcMillis)>, Error> {
    let found: Option<(String, i64)> = read!(database, "presence.whereabouts", |conn| {
        Ok(sqlx::query_as("SELECT zone, at_ms FROM presence WHERE person = $1")
            .bind(person.to_string())
            .fetch_optional(&mut *conn)
            .await?)
    })?;
    found.map(|(zone, at)| Ok((column("presence", "zone", &zone, ZoneId::new)?, UtcMillis(at)))).transpose()
}
