//! How far a right reaches: the zones in which it counts, as points and as places of presence.

use std::collections::BTreeSet;

use domain::{Permission, PointId, Rights, ZoneId, Zones};
use store::{Database, Error};

use super::RoleError;
use crate::acting::Acting;
use crate::rows;

/// Where somebody may do one thing. A point is in reach if either of its sides lies in one of the zones: who guards a
/// hall sees its doors whichever way they lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// Everywhere, also what belongs to no zone.
    Everywhere,
    /// Here only.
    Here {
        /// The zones.
        zones: BTreeSet<ZoneId>,
        /// The points at them.
        points: BTreeSet<PointId>,
    },
}

impl Reach {
    /// Whether a point is in reach.
    pub fn has_point(&self, point: &PointId) -> bool {
        match self {
            Self::Everywhere => true,
            Self::Here { points, .. } => points.contains(point),
        }
    }

    /// Whether something at this point is in reach; what is at no point belongs to the whole site.
    pub fn has(&self, point: Option<&PointId>) -> bool {
        match self {
            Self::Everywhere => true,
            Self::Here { .. } => point.is_some_and(|point| self.has_point(point)),
        }
    }

    /// Whether a zone is in reach.
    pub fn has_zone(&self, zone: &ZoneId) -> bool {
        match self {
            Self::Everywhere => true,
            Self::Here { zones, .. } => zones.contains(zone),
        }
    }

    /// The points, where they are limited.
    pub fn points(&self) -> Option<&BTreeSet<PointId>> {
        match self {
            Self::Everywhere => None,
            Self::Here { points, .. } => Some(points),
        }
    }
}

/// How far `permission` reaches for somebody with `rights`. Without the permission: nowhere.
///
/// # Errors
/// The database.
pub async fn reach(database: &Database, rights: &Rights, permission: Permission) -> Result<Reach, Error> {
    let zones = match rights.zones(permission) {
        Some(Zones::All) => return Ok(Reach::Everywhere),
        Some(Zones::Only(zones)) => zones.clone(),
        None => return Ok(Reach::Here { zones: BTreeSet::new(), points: BTreeSet::new() }),
    };
    let rows: Vec<(String, String, String)> = store::read!(database, "roles.reach", |conn| {
        Ok(store::sqlx::query_as("SELECT id, from_zone, to_zone FROM point").fetch_all(&mut *conn).await?)
    })?;
    let mut points = BTreeSet::new();
    for (id, from, to) in rows {
        let from = rows::column("point", "from_zone", &from, ZoneId::new)?;
        let to = rows::column("point", "to_zone", &to, ZoneId::new)?;
        if zones.contains(&from) || zones.contains(&to) {
            points.insert(rows::column("point", "id", &id, PointId::new)?);
        }
    }
    Ok(Reach::Here { zones, points })
}

/// The zones of the layout in its order: where a role may be given.
///
/// # Errors
/// [`RoleError::Denied`], or the database.
pub async fn zones(database: &Database, acting: &Acting) -> Result<Vec<ZoneId>, RoleError> {
    acting.must(Permission::AccountSee)?;
    let zones: Vec<String> = store::read!(database, "roles.zones", |conn| {
        Ok(store::sqlx::query_scalar("SELECT id FROM zone ORDER BY position, id").fetch_all(&mut *conn).await?)
    })?;
    Ok(zones.iter().map(|zone| rows::column("zone", "id", zone, ZoneId::new)).collect::<Result<_, _>>()?)
}
