//! Which of our readers the device means. A place is written `DOOR` or `DOOR/READER` in the settings, as the device
//! numbers them from 1. Where two readers share a door without a number of their own, the device's odd readers are those
//! of the way in and its even ones those of the way out, as such controllers are wired.

use domain::ids::{Direction, ReaderId};

use crate::settings::{PeerReader, Place};

/// The readers of one device.
#[derive(Debug)]
pub(super) struct Places(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    door: Option<u32>,
    number: Option<u32>,
    place: Place,
}

impl Places {
    pub(super) fn new(readers: &[PeerReader]) -> Self {
        let entries = readers.iter().map(|reader| {
            let (door, number) = match reader.at.split_once('/') {
                Some((door, number)) => (door, Some(number)),
                None => (reader.at.as_str(), None),
            };
            let parse = |text: &str| text.trim().parse::<u32>().ok();
            Entry { door: parse(door), number: number.and_then(parse), place: reader.place.clone() }
        });
        Self(entries.collect())
    }

    /// The reader of an event at a door, or at a reader of the device whose door it does not say.
    pub(super) fn find(&self, door: Option<u32>, number: Option<u32>) -> Option<&Place> {
        let of_door: Vec<&Entry> = match door {
            Some(_) => self.0.iter().filter(|entry| entry.door == door).collect(),
            // Without a door the number must say it, or there is only one reader anyway.
            None if self.0.len() == 1 => self.0.iter().collect(),
            None => self.0.iter().filter(|entry| number.is_some() && entry.number == number).collect(),
        };
        let exact = of_door.iter().find(|entry| entry.number.is_some() && entry.number == number);
        let way = match number {
            Some(number) if number % 2 == 0 => Direction::Out,
            _ => Direction::In,
        };
        let open = || of_door.iter().filter(|entry| entry.number.is_none());
        let by_way = || open().find(|entry| entry.place.direction == way);
        let found = exact.or_else(by_way).or_else(|| open().next());
        // An event of a door as a whole belongs to whichever reader stands there.
        let any = || of_door.first().filter(|_| number.is_none());
        found.or_else(any).map(|entry| &entry.place)
    }

    /// The door that a reader stands at.
    pub(super) fn door_of(&self, reader: &ReaderId) -> Option<u32> {
        self.0.iter().find(|entry| entry.place.reader == *reader).and_then(|entry| entry.door)
    }

    /// All readers.
    pub(super) fn readers(&self) -> impl Iterator<Item = &ReaderId> {
        self.0.iter().map(|entry| &entry.place.reader)
    }

    /// Doors with the places at them.
    pub(super) fn doors(&self) -> impl Iterator<Item = (u32, &Place)> {
        self.0.iter().filter_map(|entry| Some((entry.door?, &entry.place)))
    }
}

#[cfg(test)]
mod tests {
    use domain::ids::PointId;

    use super::*;

    fn reader(id: &str, at: &str, direction: Direction) -> PeerReader {
        let reader = ReaderId::new(id).unwrap();
        let place = Place { reader, point: PointId::new("p").ok(), direction, uid_reversed: false };
        PeerReader { place, at: at.into() }
    }

    #[test]
    fn a_device_number_finds_the_reader_that_is_meant() {
        let places = Places::new(&[
            reader("a-in", "1", Direction::In),
            reader("a-out", "1", Direction::Out),
            reader("b-in", "2/7", Direction::In),
            reader("b-out", "2/8", Direction::Out),
        ]);
        let found = |door, number| places.find(door, number).map(|place| place.reader.as_str().to_owned());
        assert_eq!(found(Some(1), Some(1)).as_deref(), Some("a-in"));
        assert_eq!(found(Some(1), Some(2)).as_deref(), Some("a-out"));
        assert_eq!(found(Some(1), None).as_deref(), Some("a-in"));
        assert_eq!(found(Some(2), Some(8)).as_deref(), Some("b-out"));
        assert_eq!(found(None, Some(7)).as_deref(), Some("b-in"));
        assert_eq!(found(Some(2), None).as_deref(), Some("b-in"));
        assert_eq!(found(Some(2), Some(9)), None, "a reader that nobody declared is not guessed");
        assert_eq!(found(Some(3), Some(1)), None);
        assert_eq!(found(None, None), None);
        let single = Places::new(&[reader("c", "1", Direction::In)]);
        assert!(single.find(None, None).is_some() && single.find(None, Some(2)).is_some());
    }
}
