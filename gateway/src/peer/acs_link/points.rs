//! The peer's names of places, and our readers there.
//!
//! Owns the way from one to the other for one peer. Only what the settings list exists: everything else that a peer
//! names is refused.

use std::collections::HashMap;

use domain::ids::{Direction, PointId, ReaderId};
use wire::acs_link::message;
use wire::acs_link::{Code, Token};

use super::switchboard::Switchboard;
use crate::settings::PeerReader;

/// One place of a peer.
#[derive(Debug, Clone)]
pub struct Spot {
    /// Our point, if the readers there belong to one.
    pub point: Option<PointId>,
    inward: Option<ReaderId>,
    outward: Option<ReaderId>,
}

impl Spot {
    /// The reader of a direction; a peer that cannot say which gets the one that leads in, if there is one.
    pub fn reader(&self, direction: message::Direction) -> Option<&ReaderId> {
        match direction {
            message::Direction::In => self.inward.as_ref(),
            message::Direction::Out => self.outward.as_ref(),
            message::Direction::Unknown => self.inward.as_ref().or(self.outward.as_ref()),
        }
    }

    /// Its readers, one or two.
    pub fn readers(&self) -> impl Iterator<Item = &ReaderId> {
        self.inward.iter().chain(&self.outward)
    }
}

/// A place that a peer named and that it has no readers at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoSpot(pub Code);

/// All places of a peer.
#[derive(Debug)]
pub struct Points {
    node: String,
    spots: HashMap<Token, Spot>,
    switchboard: Switchboard,
}

impl Points {
    /// Of the node with these readers. A name that acs-link cannot carry is left out: the configuration refuses it.
    pub fn new(node: &str, readers: &[PeerReader], switchboard: Switchboard) -> Self {
        let mut spots: HashMap<Token, Spot> = HashMap::new();
        for reader in readers {
            let Ok(at) = Token::new(&reader.at) else {
                tracing::error!(reader.id = %reader.place.reader, "the reader's place is no acs-link point");
                continue;
            };
            let point = reader.place.point.clone();
            let spot = spots.entry(at).or_insert(Spot { point, inward: None, outward: None });
            let way = match reader.place.direction {
                Direction::In => &mut spot.inward,
                Direction::Out => &mut spot.outward,
            };
            *way = Some(reader.place.reader.clone());
        }
        Self { node: node.to_owned(), spots, switchboard }
    }

    /// Where the peer says that it is.
    ///
    /// # Errors
    /// `POINT_FORBIDDEN` for another node's point, `POINT_UNKNOWN` for nobody's.
    pub fn find(&self, at: &Token) -> Result<&Spot, NoSpot> {
        self.spots.get(at).ok_or_else(|| {
            let forbidden = self.switchboard.is_of_another(&self.node, at.as_str());
            NoSpot(if forbidden { Code::PointForbidden } else { Code::PointUnknown })
        })
    }

    /// Our reader where the peer says that it is.
    ///
    /// # Errors
    /// As [`Points::find`]; `POINT_UNKNOWN` also for a direction in which there is no reader.
    pub fn reader(&self, at: &Token, direction: message::Direction) -> Result<&ReaderId, NoSpot> {
        self.find(at)?.reader(direction).ok_or(NoSpot(Code::PointUnknown))
    }

    /// The peer's name of the place of a reader.
    pub fn place_of(&self, reader: &ReaderId) -> Option<&Token> {
        self.spots.iter().find(|(_, spot)| spot.readers().any(|id| id == reader)).map(|(at, _)| at)
    }

    /// All places.
    pub fn iter(&self) -> impl Iterator<Item = (&Token, &Spot)> {
        self.spots.iter()
    }

    /// All readers.
    pub fn readers(&self) -> impl Iterator<Item = &ReaderId> {
        self.spots.values().flat_map(Spot::readers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Place;

    pub fn reader(name: &str, at: &str, direction: Direction) -> PeerReader {
        let place = Place {
            reader: ReaderId::new(name).unwrap(),
            point: Some(PointId::new("turnstile-1").unwrap()),
            direction,
            uid_reversed: false,
        };
        PeerReader { place, at: at.to_owned() }
    }

    #[test]
    fn places_lead_to_readers_and_back_and_others_are_refused() {
        let switchboard = Switchboard::default();
        let _other = switchboard.sit("acs-2", vec!["gate-2".into()]);
        let points = Points::new(
            "acs-1",
            &[reader("t1-in", "gate-1", Direction::In), reader("t1-out", "gate-1", Direction::Out)],
            switchboard,
        );
        let token = |text| Token::new(text).unwrap();
        let found = |direction| points.reader(&token("gate-1"), direction).unwrap().as_str();
        assert_eq!(found(message::Direction::Out), "t1-out");
        assert_eq!(found(message::Direction::Unknown), "t1-in");
        assert_eq!(points.place_of(&ReaderId::new("t1-out").unwrap()), Some(&token("gate-1")));
        assert_eq!(points.find(&token("gate-2")).unwrap_err(), NoSpot(Code::PointForbidden));
        assert_eq!(points.find(&token("gate-3")).unwrap_err(), NoSpot(Code::PointUnknown));
    }

    #[test]
    fn a_direction_without_a_reader_is_no_place() {
        let points = Points::new("acs-1", &[reader("t1-in", "gate-1", Direction::In)], Switchboard::default());
        let at = Token::new("gate-1").unwrap();
        assert_eq!(points.reader(&at, message::Direction::Out).unwrap_err(), NoSpot(Code::PointUnknown));
    }
}
