//! The tree of zones: campus, building, floor, room. Owns names, nesting and what each zone asks of those who enter.
//! May import `ids`.

use std::collections::HashMap;

use crate::ids::ZoneId;

/// Most zones of one layout: bounds the tables that are indexed by zone.
pub const ZONES_MAX: usize = 4096;
/// Deepest nesting (campus, building, wing, floor, department, room and some more).
pub const DEPTH_MAX: usize = 16;

/// What happens when a holder who is already on one side taps to come to it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum AntiPassback {
    /// Nothing.
    #[default]
    None,
    /// It is granted and recorded with the reason `anti_passback`.
    Soft,
    /// It is refused.
    Hard,
}

/// A zone as it is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    /// Its name.
    pub id: ZoneId,
    /// The zone around it.
    pub inside: Option<ZoneId>,
    /// Outside the territory (the street): who is there is not present, and a one-time pass starts and ends there.
    pub outside: bool,
    /// At points whose `to` is this zone, in both directions.
    pub anti_passback: AntiPassback,
    /// Most persons in it at once, those in zones inside it included.
    pub capacity: Option<u32>,
}

impl Zone {
    /// A zone without demands; fill in the rest by struct update.
    pub const fn new(id: ZoneId) -> Self {
        Self { id, inside: None, outside: false, anti_passback: AntiPassback::None, capacity: None }
    }
}

/// Position of a zone in one policy's tree. Means nothing for another policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ZoneNo(pub u16);

/// Why zones do not make a tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ZoneError {
    /// More than [`ZONES_MAX`].
    #[error("there are {0} zones, at most {ZONES_MAX} are possible")]
    TooMany(usize),
    /// Two zones of one name.
    #[error("zone \"{0}\" is declared twice")]
    Twice(ZoneId),
    /// `inside` names no zone.
    #[error("zone \"{zone}\" is inside \"{inside}\", which is no zone")]
    Unknown {
        /// The zone that says so.
        zone: ZoneId,
        /// The name that is missing.
        inside: ZoneId,
    },
    /// A zone is inside itself by way of others.
    #[error("zone \"{0}\" is inside itself")]
    Circle(ZoneId),
    /// Nested deeper than [`DEPTH_MAX`].
    #[error("zone \"{0}\" is nested deeper than {DEPTH_MAX} zones")]
    TooDeep(ZoneId),
}

/// Zones, compiled: every question is an index away.
#[derive(Debug, Clone)]
pub struct ZoneTree {
    nodes: Vec<Node>,
    by_name: HashMap<ZoneId, ZoneNo>,
    any_outside: bool,
}

#[derive(Debug, Clone)]
struct Node {
    id: ZoneId,
    /// The zone itself, then the zones around it, from the inside outwards.
    chain: Vec<ZoneNo>,
    outside: bool,
    anti_passback: AntiPassback,
    capacity: Option<u32>,
}

impl ZoneTree {
    /// Checks and compiles. A zone inside an outside zone is outside too.
    pub fn new(zones: &[Zone]) -> Result<Self, ZoneError> {
        if zones.len() > ZONES_MAX {
            return Err(ZoneError::TooMany(zones.len()));
        }
        let mut by_name = HashMap::with_capacity(zones.len());
        for (i, zone) in zones.iter().enumerate() {
            if by_name.insert(zone.id.clone(), ZoneNo(i as u16)).is_some() {
                return Err(ZoneError::Twice(zone.id.clone()));
            }
        }
        let mut nodes = Vec::with_capacity(zones.len());
        for (i, zone) in zones.iter().enumerate() {
            let chain = chain(zones, &by_name, ZoneNo(i as u16))?;
            nodes.push(Node {
                id: zone.id.clone(),
                outside: chain.iter().any(|no| zones[usize::from(no.0)].outside),
                chain,
                anti_passback: zone.anti_passback,
                capacity: zone.capacity,
            });
        }
        let any_outside = nodes.iter().any(|node| node.outside);
        Ok(Self { nodes, by_name, any_outside })
    }

    /// The zone of that name.
    pub fn find(&self, id: &ZoneId) -> Option<ZoneNo> {
        self.by_name.get(id).copied()
    }

    /// Its name.
    pub fn id(&self, zone: ZoneNo) -> &ZoneId {
        &self.node(zone).id
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// All zones in the order of their declaration.
    pub fn all(&self) -> impl Iterator<Item = ZoneNo> {
        (0..self.nodes.len()).map(|i| ZoneNo(i as u16))
    }

    /// The zone itself and the zones around it, from the inside outwards.
    pub fn chain(&self, zone: ZoneNo) -> &[ZoneNo] {
        &self.node(zone).chain
    }

    /// Whether `zone` is `around` or lies inside it.
    pub fn is_within(&self, zone: ZoneNo, around: ZoneNo) -> bool {
        self.chain(zone).contains(&around)
    }

    /// Whether it is outside the territory.
    pub fn is_outside(&self, zone: ZoneNo) -> bool {
        self.node(zone).outside
    }

    /// Whether any zone is outside the territory.
    pub const fn any_outside(&self) -> bool {
        self.any_outside
    }

    /// What it asks at its points.
    pub fn anti_passback(&self, zone: ZoneNo) -> AntiPassback {
        self.node(zone).anti_passback
    }

    /// Most persons in it at once.
    pub fn capacity(&self, zone: ZoneNo) -> Option<u32> {
        self.node(zone).capacity
    }

    fn node(&self, zone: ZoneNo) -> &Node {
        &self.nodes[usize::from(zone.0)]
    }
}

fn chain(zones: &[Zone], by_name: &HashMap<ZoneId, ZoneNo>, start: ZoneNo) -> Result<Vec<ZoneNo>, ZoneError> {
    let first = &zones[usize::from(start.0)];
    let mut chain = vec![start];
    let mut zone = first;
    while let Some(inside) = &zone.inside {
        let unknown = || ZoneError::Unknown { zone: zone.id.clone(), inside: inside.clone() };
        let no = *by_name.get(inside).ok_or_else(unknown)?;
        if chain.contains(&no) {
            return Err(ZoneError::Circle(zones[usize::from(no.0)].id.clone()));
        }
        if chain.len() == DEPTH_MAX {
            return Err(ZoneError::TooDeep(first.id.clone()));
        }
        chain.push(no);
        zone = &zones[usize::from(no.0)];
    }
    Ok(chain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> ZoneId {
        ZoneId::new(name).unwrap()
    }

    fn zone(name: &str, inside: &str) -> Zone {
        Zone { inside: (!inside.is_empty()).then(|| id(inside)), ..Zone::new(id(name)) }
    }

    #[test]
    fn nesting_is_known_in_both_directions() {
        let tree = ZoneTree::new(&[
            zone("room", "floor"),
            zone("clinic", ""),
            zone("floor", "clinic"),
            Zone { outside: true, ..zone("street", "") },
            zone("yard", "street"),
        ])
        .unwrap();
        let no = |name| tree.find(&id(name)).unwrap();
        assert!(tree.is_within(no("room"), no("clinic")) && tree.is_within(no("room"), no("room")));
        assert!(!tree.is_within(no("clinic"), no("room")) && !tree.is_within(no("street"), no("clinic")));
        assert!(tree.is_outside(no("yard")) && !tree.is_outside(no("room")) && tree.any_outside());
        assert_eq!(tree.chain(no("room")), [no("room"), no("floor"), no("clinic")]);
    }

    #[test]
    fn what_is_no_tree_is_refused_by_name() {
        assert_eq!(ZoneTree::new(&[zone("a", ""), zone("a", "")]).unwrap_err(), ZoneError::Twice(id("a")));
        assert_eq!(
            ZoneTree::new(&[zone("a", "b")]).unwrap_err(),
            ZoneError::Unknown { zone: id("a"), inside: id("b") }
        );
        let circle = [zone("a", "b"), zone("b", "c"), zone("c", "b")];
        assert_eq!(ZoneTree::new(&circle).unwrap_err(), ZoneError::Circle(id("b")));
        let deep: Vec<Zone> = (0..17)
            .map(|i| zone(&format!("z{i}"), &if i == 0 { String::new() } else { format!("z{}", i - 1) }))
            .collect();
        assert_eq!(ZoneTree::new(&deep).unwrap_err(), ZoneError::TooDeep(id("z16")));
        assert!(ZoneTree::new(&deep[..16]).is_ok());
    }
}
