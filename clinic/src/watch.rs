//! What somebody who is signed in, or calls by a key, may see and order at doors: events, presence, devices, and only
//! within the zones that their rights reach.
//!
//! Every function takes who acts and checks; the pages and the HTTP API read through here. The modules below (`events`,
//! `presence`, `devices`, `commands`) know nothing of rights: they serve the programs. Owns no table. What is out of
//! reach looks as if it were not there. May import `domain`, `store` and its neighbours.

use std::collections::BTreeSet;

use domain::{Denied, GatewayId, Permission, PointId, UtcMillis, ZoneId};
use store::{Database, Error, transact};
use thiserror::Error as ThisError;

use crate::acting::Acting;
use crate::audit::{self, Action, Draft};
use crate::commands::{self, Order, Progress};
use crate::devices::{self, Door, Gateway, Line, Reader, Seen};
use crate::disclosures::{self, Class, Disclosure, DisclosureError};
use crate::events::{self, Event, Filter, Page, Position};
use crate::presence::{self, Present, ZoneCount};
use crate::roles::{self, Reach};

/// Why something is not shown or done.
#[derive(Debug, ThisError)]
pub enum WatchError {
    /// No right.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// It is not there, or not in a zone that the rights reach.
    #[error("there is no such place, or it is not in your zones")]
    NotThere,
    /// The database did not do it.
    #[error(transparent)]
    Store(#[from] Error),
}

/// How far one permission of who acts reaches.
///
/// # Errors
/// [`WatchError::Denied`], or the database.
pub async fn reach(database: &Database, acting: &Acting, permission: Permission) -> Result<Reach, WatchError> {
    acting.must(permission)?;
    Ok(roles::reach(database, &acting.rights, permission).await?)
}

/// Searches the journal, latest first.
///
/// # Errors
/// [`WatchError::Denied`], or the database.
pub async fn search(
    database: &Database,
    acting: &Acting,
    filter: &Filter,
    behind: Option<Position>,
    limit: u32,
) -> Result<Page, WatchError> {
    found(database, acting, Permission::JournalSee, filter, behind, limit).await
}

/// What a live page shows when it opens, latest first.
///
/// # Errors
/// [`WatchError::Denied`], or the database.
pub async fn lately(database: &Database, acting: &Acting, filter: &Filter, limit: u32) -> Result<Page, WatchError> {
    found(database, acting, Permission::LiveWatch, filter, None, limit).await
}

async fn found(
    database: &Database,
    acting: &Acting,
    permission: Permission,
    filter: &Filter,
    behind: Option<Position>,
    limit: u32,
) -> Result<Page, WatchError> {
    let reach = reach(database, acting, permission).await?;
    let filter = Filter { points: within(filter.points.as_ref(), &reach), ..filter.clone() };
    Ok(events::search(database, &filter, behind, limit).await?)
}

/// The points asked for that are in reach.
fn within(asked: Option<&BTreeSet<PointId>>, reach: &Reach) -> Option<BTreeSet<PointId>> {
    match (asked, reach.points()) {
        (None, points) => points.cloned(),
        (Some(asked), None) => Some(asked.clone()),
        (Some(asked), Some(points)) => Some(asked.intersection(points).cloned().collect()),
    }
}

/// One event of the journal; `None` if there is none of that number in reach.
///
/// # Errors
/// [`WatchError::Denied`], or the database.
pub async fn event(database: &Database, acting: &Acting, id: u64) -> Result<Option<Event>, WatchError> {
    let reach = reach(database, acting, Permission::JournalSee).await?;
    let event = events::get(database, id).await?;
    Ok(event.filter(|event| reach.has(event.entry.fact.point.as_ref())))
}

/// The search of somebody who takes the journal away as a file, begun: it stands in the register of disclosures and in
/// the audit log before the first line is given.
#[derive(Debug)]
pub struct Export {
    filter: Filter,
}

/// Begins an export of the journal; `object` is the path or name of the file.
///
/// # Errors
/// [`WatchError::Denied`], or the database; nothing may be given then.
pub async fn export(
    database: &Database,
    acting: &Acting,
    now: UtcMillis,
    object: &str,
    filter: &Filter,
) -> Result<Export, WatchError> {
    let reach = reach(database, acting, Permission::JournalExport).await?;
    let filter = Filter { points: within(filter.points.as_ref(), &reach), ..filter.clone() };
    let disclosure = Disclosure::export(acting, object, &[Class::LocationTrace]);
    match disclosures::register(database, acting, disclosure, None, now).await {
        Ok(_) => Ok(Export { filter }),
        Err(DisclosureError::Store(error)) => Err(WatchError::Store(error)),
        Err(DisclosureError::Denied(denied)) => Err(WatchError::Denied(denied)),
        Err(DisclosureError::TooMany | DisclosureError::BadRecipient) => Err(WatchError::NotThere),
    }
}

impl Export {
    /// The next part of it, latest first.
    ///
    /// # Errors
    /// The database.
    pub async fn next(&self, database: &Database, behind: Option<Position>, limit: u32) -> Result<Page, WatchError> {
        Ok(events::search(database, &self.filter, behind, limit).await?)
    }
}

/// Events that arrived after number `after`, for a caller that follows the feed; with the number to go on from, which
/// counts what is out of reach too, and whether there is more.
///
/// # Errors
/// [`WatchError::Denied`], or the database.
pub async fn feed(
    database: &Database,
    acting: &Acting,
    after: u64,
    limit: u32,
) -> Result<(Vec<Event>, u64, bool), WatchError> {
    let reach = reach(database, acting, Permission::FeedRead).await?;
    let found = events::after(database, after, limit).await?;
    let next = found.last().map_or(after, |event| event.id);
    let more = found.len() >= limit as usize;
    let seen = found.into_iter().filter(|event| reach.has(event.entry.fact.point.as_ref())).collect();
    Ok((seen, next, more))
}

/// How many are inside, by zone and category.
///
/// # Errors
/// [`WatchError::Denied`], or the database.
pub async fn counts(database: &Database, acting: &Acting) -> Result<Vec<ZoneCount>, WatchError> {
    let reach = reach(database, acting, Permission::PresenceSee).await?;
    let mut counts = presence::counts(database).await?;
    counts.retain(|count| reach.has_zone(&count.zone));
    Ok(counts)
}

/// Who is in one zone directly, by pseudonym, latest first.
///
/// # Errors
/// [`WatchError::Denied`], [`WatchError::NotThere`] for a zone out of reach, or the database.
pub async fn inside(
    database: &Database,
    acting: &Acting,
    zone: &ZoneId,
    limit: u32,
) -> Result<Vec<Present>, WatchError> {
    let reach = reach(database, acting, Permission::PresenceSee).await?;
    if !reach.has_zone(zone) {
        return Err(WatchError::NotThere);
    }
    Ok(presence::inside(database, Some(zone), limit).await?)
}

/// Everything that reports its state, as of one look.
#[derive(Debug, Clone, Default)]
pub struct Equipment {
    /// Gateways with something in reach; all of them for who sees the whole site.
    pub gateways: Vec<Gateway>,
    /// Their lines that carry a reader in reach.
    pub lines: Vec<Seen<Line>>,
    /// Readers at points in reach.
    pub readers: Vec<Seen<Reader>>,
    /// Doors in reach.
    pub doors: Vec<Seen<Door>>,
}

/// The equipment in reach.
///
/// # Errors
/// [`WatchError::Denied`], or the database.
pub async fn equipment(database: &Database, acting: &Acting) -> Result<Equipment, WatchError> {
    let reach = reach(database, acting, Permission::DevicesSee).await?;
    let mut all = Equipment {
        gateways: devices::gateways(database).await?,
        lines: devices::lines(database).await?,
        readers: devices::readers(database).await?,
        doors: devices::doors(database).await?,
    };
    if reach != Reach::Everywhere {
        all.readers.retain(|reader| reach.has(reader.device.point.as_ref()));
        all.doors.retain(|door| reach.has_point(&door.device.point));
        let readers = &all.readers;
        all.lines.retain(|line| {
            readers.iter().any(|reader| reader.gateway == line.gateway && reader.device.line == line.device.id)
        });
        let doors = &all.doors;
        all.gateways.retain(|gateway| {
            readers.iter().any(|reader| reader.gateway == gateway.id)
                || doors.iter().any(|door| door.gateway == gateway.id)
        });
    }
    Ok(all)
}

/// The permission that an order needs: helping somebody through, or what stays in force until somebody ends it.
pub fn needs(action: &str) -> Permission {
    if matches!(action, "open" | "emergency") { Permission::DoorOpen } else { Permission::DoorCommand }
}

/// Gives an order to a door in reach, with its entry in the audit log in the same transaction. Giving the same order
/// again changes nothing.
///
/// # Errors
/// [`WatchError::Denied`], [`WatchError::NotThere`] without a point in reach, or the database.
pub async fn order(database: &Database, acting: &Acting, order: &Order) -> Result<(), WatchError> {
    let reach = reach(database, acting, needs(&order.action)).await?;
    let point = order.point.as_ref().filter(|point| reach.has_point(point)).ok_or(WatchError::NotThere)?;
    let detail = format!("{} at {}", order.action, order.gateway);
    let draft = Draft {
        object: Some(point.to_string()),
        subject: order.person,
        detail: Some(detail),
        note: order.reason.clone(),
        ..acting.draft(order.issued_at, Action::DoorOrdered)
    };
    let order = order.clone();
    transact!(database, "watch.order", |conn| {
        if commands::put!(conn, &order) {
            audit::record!(conn, &draft);
        }
        Ok(())
    })?;
    Ok(())
}

/// The last orders at a door in reach, newest first, with what became of each.
///
/// # Errors
/// [`WatchError::Denied`], [`WatchError::NotThere`], or the database.
pub async fn orders_at(
    database: &Database,
    acting: &Acting,
    gateway: &GatewayId,
    point: &PointId,
    limit: i64,
    now: UtcMillis,
) -> Result<Vec<(Order, Progress)>, WatchError> {
    let reach = reach(database, acting, Permission::DevicesSee).await?;
    if !reach.has_point(point) {
        return Err(WatchError::NotThere);
    }
    Ok(commands::last_at(database, gateway, point, limit, now).await?)
}
