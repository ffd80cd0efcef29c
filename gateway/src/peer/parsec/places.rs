//! Which of our readers stands where in the server's territories.
//!
//! The server names a territory by GUID, its report of events by name. Names need not be unique, so territories of one
//! name are never asked about in one report.

use std::collections::{HashMap, HashSet};

use domain::Direction;
use domain::ids::ReaderId;
use wire::parsec::Guid;
use wire::parsec::event::Source;
use wire::parsec::object::Territory;

use crate::settings::PeerReader;

/// Territories of a report, none with the name of another.
pub(super) struct Group {
    /// What the report is asked for.
    pub(super) territories: Vec<Guid>,
    names: HashMap<String, Guid>,
}

impl Group {
    /// Which of its territories an event means.
    pub(super) fn find(&self, source: &Source) -> Option<Guid> {
        match source {
            Source::Id(id) => self.territories.contains(id).then_some(*id),
            Source::Name(name) => self.names.get(name.as_str()).copied().or_else(|| self.only()),
            Source::Unknown => self.only(),
        }
    }

    /// A report about one territory is about that one, whatever it calls it.
    fn only(&self) -> Option<Guid> {
        match self.territories.as_slice() {
            [only] => Some(*only),
            _ => None,
        }
    }
}

/// All places of a peer.
pub(super) struct Places {
    readers: Vec<(Guid, Direction, ReaderId)>,
    missing: Vec<ReaderId>,
    groups: Vec<Group>,
}

impl Places {
    /// The places as the settings tell them, before the server was asked. A text that is no GUID belongs nowhere.
    pub(super) fn new(readers: &[PeerReader]) -> Self {
        let place =
            |reader: &PeerReader| Some((reader.at.parse().ok()?, reader.place.direction, reader.place.reader.clone()));
        Self { readers: readers.iter().filter_map(place).collect(), missing: Vec::new(), groups: Vec::new() }
    }

    /// Learns the names of the server's territories.
    pub(super) fn learn(&mut self, territories: &[Territory]) {
        let known: HashMap<Guid, &Territory> = territories.iter().map(|territory| (territory.id, territory)).collect();
        self.missing = self
            .readers
            .iter()
            .filter(|(territory, ..)| !known.contains_key(territory))
            .map(|(.., reader)| reader.clone())
            .collect();
        self.groups.clear();
        let mut seen = HashSet::new();
        for (id, ..) in &self.readers {
            let Some(territory) = known.get(id).filter(|_| seen.insert(*id)) else { continue };
            let name = territory.name.trim().to_owned();
            let group = match self.groups.iter().position(|group| !group.names.contains_key(&name)) {
                Some(at) => self.groups.get_mut(at),
                None => {
                    self.groups.push(Group { territories: Vec::new(), names: HashMap::new() });
                    self.groups.last_mut()
                }
            };
            if let Some(group) = group {
                group.territories.push(*id);
                group.names.insert(name, *id);
            }
        }
    }

    /// What reports are asked for.
    pub(super) fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// Readers whose territory the server does not have.
    pub(super) fn missing(&self) -> &[ReaderId] {
        &self.missing
    }

    /// All territories, each once.
    pub(super) fn territories(&self) -> Vec<Guid> {
        self.groups.iter().flat_map(|group| group.territories.iter().copied()).collect()
    }

    /// All readers at a territory.
    pub(super) fn readers_at(&self, at: Guid) -> impl Iterator<Item = &ReaderId> {
        self.readers.iter().filter(move |(territory, ..)| *territory == at).map(|(.., reader)| reader)
    }

    /// The reader of that direction there; without a direction the first one there.
    pub(super) fn reader(&self, at: Guid, direction: Option<Direction>) -> Option<&ReaderId> {
        let fits = |(territory, way, _): &&(Guid, Direction, ReaderId)| {
            *territory == at && direction.is_none_or(|direction| direction == *way)
        };
        self.readers.iter().find(fits).map(|(.., reader)| reader)
    }

    /// Where a reader is.
    pub(super) fn territory_of(&self, reader: &ReaderId) -> Option<Guid> {
        self.readers.iter().find(|(.., known)| known == reader).map(|(territory, ..)| *territory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Place;

    fn reader(name: &str, at: u128, direction: Direction) -> PeerReader {
        let place = Place { reader: ReaderId::new(name).unwrap(), point: None, direction, uid_reversed: false };
        PeerReader { place, at: Guid::of(at).to_string() }
    }

    fn territory(id: u128, name: &str) -> Territory {
        Territory { id: Guid::of(id), kind: 1, name: name.into(), about: String::new(), parent: Guid::NIL }
    }

    fn name(text: &str) -> Source {
        Source::Name(text.into())
    }

    #[test]
    fn territories_of_one_name_are_told_apart() {
        let readers = [
            reader("a-in", 1, Direction::In),
            reader("a-out", 1, Direction::Out),
            reader("b-in", 2, Direction::In),
            reader("c-in", 3, Direction::In),
            reader("gone", 9, Direction::In),
        ];
        let mut places = Places::new(&readers);
        places.learn(&[territory(1, "Door"), territory(2, "Door "), territory(3, "Gate"), territory(4, "Other")]);
        let found: Vec<Vec<Guid>> = places.groups().iter().map(|group| group.territories.clone()).collect();
        assert_eq!(found, [vec![Guid::of(1), Guid::of(3)], vec![Guid::of(2)]]);
        let [first, second] = places.groups() else { panic!("two groups") };
        assert_eq!(first.find(&name("Door")), Some(Guid::of(1)));
        assert_eq!(first.find(&name("Gate")), Some(Guid::of(3)));
        assert_eq!(first.find(&name("Other")), None);
        assert_eq!(first.find(&Source::Unknown), None);
        assert_eq!(second.find(&Source::Id(Guid::of(2))), Some(Guid::of(2)));
        assert_eq!(second.find(&name("renamed meanwhile")), Some(Guid::of(2)));
        assert_eq!(places.missing(), [ReaderId::new("gone").unwrap()]);
    }

    #[test]
    fn a_reader_is_found_by_place_and_direction() {
        let places = Places::new(&[reader("a-in", 1, Direction::In), reader("b-out", 2, Direction::Out)]);
        let id = |at, direction| places.reader(Guid::of(at), direction).map(ReaderId::as_str);
        assert_eq!(id(1, Some(Direction::In)), Some("a-in"));
        assert_eq!(id(1, Some(Direction::Out)), None);
        assert_eq!(id(2, None), Some("b-out"));
        assert_eq!(places.territory_of(&ReaderId::new("b-out").unwrap()), Some(Guid::of(2)));
    }
}
