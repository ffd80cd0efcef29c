//! PV1: where a patient is with whom.

use super::header::Party;
use super::person::{Id, Practitioner};
use crate::hl7::error::{Hl7Error, Place};
use crate::hl7::message::{Message, Repetition};
use crate::hl7::stamp::Stamp;
use crate::hl7::value::Told;

/// A place (data type PL).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Location {
    /// PL-1: ward, department; in outpatient clinics often the room itself.
    pub point_of_care: String,
    /// PL-2.
    pub room: String,
    /// PL-4.
    pub facility: Party,
}

impl Location {
    pub(crate) fn read(field: Repetition<'_>) -> Option<Self> {
        let part = |number| field.subcomponent(4, number).text().unwrap_or_default().to_owned();
        let facility = Party { namespace: part(1), universal: part(2), kind: part(3) };
        let text = |component| field.text(component).unwrap_or_default();
        let found = Self { point_of_care: text(1), room: text(2), facility };
        (!found.point_of_care.is_empty() || !found.room.is_empty()).then_some(found)
    }

    /// The room, or what stands for it.
    pub fn name(&self) -> &str {
        if self.room.is_empty() { &self.point_of_care } else { &self.room }
    }
}

/// What PV1 says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visit {
    /// PV1-2: `O`, `I`, `E`; empty if not said.
    pub class: String,
    /// PV1-3.
    pub location: Option<Location>,
    /// PV1-7, the first.
    pub doctor: Option<Practitioner>,
    /// PV1-19.
    pub number: Option<Id>,
    /// PV1-44.
    pub admitted: Told<Stamp>,
    /// PV1-45.
    pub discharged: Told<Stamp>,
}

impl Visit {
    /// Reads it; `Ok(None)` if the message has none.
    ///
    /// # Errors
    /// [`Hl7Error::BadValue`].
    pub fn read(message: &Message) -> Result<Option<Self>, Hl7Error> {
        let Some(segment) = message.segment("PV1") else { return Ok(None) };
        let stamp =
            |field| segment.value(field).told(Stamp::read, Hl7Error::BadValue(Place::of("PV1", field), "a time"));
        Ok(Some(Self {
            class: segment.text(2).unwrap_or_default(),
            location: Location::read(segment.field(3)),
            doctor: Practitioner::read(segment.field(7)),
            number: Id::read(segment.field(19)),
            admitted: stamp(44)?,
            discharged: stamp(45)?,
        }))
    }
}
