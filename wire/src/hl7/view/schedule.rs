//! SCH with the resources AIS, AIP and AIL: an appointment.

use super::person::{Id, Patient, Practitioner};
use super::visit::Location;
use crate::hl7::error::{Hl7Error, Place};
use crate::hl7::message::{Message, Segment};
use crate::hl7::stamp::Stamp;

/// Longest appointment that is believed, in minutes.
const DURATION_MAX_MINUTES: i64 = 24 * 60;

/// What became of an appointment, by its event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppointmentStatus {
    /// S12, S13, S14 and others that leave it booked.
    Booked,
    /// Booked by its event, and SCH-25 says that it has begun.
    Started,
    /// Booked by its event, and SCH-25 says that it took place.
    Complete,
    /// S15: called off.
    Cancelled,
    /// S17: it was entered by mistake.
    Deleted,
    /// S26: the patient did not come.
    NoShow,
}

impl AppointmentStatus {
    /// What SCH-25 (HL7 table 0278) makes of an event that leaves it booked.
    fn refined(self, filler: &str) -> Self {
        match (self, filler.to_ascii_lowercase().as_str()) {
            (Self::Booked, "started") => Self::Started,
            (Self::Booked, "complete") => Self::Complete,
            (Self::Booked, "cancelled" | "canceled" | "dc") => Self::Cancelled,
            (Self::Booked, "deleted") => Self::Deleted,
            (Self::Booked, "noshow") => Self::NoShow,
            (status, _) => status,
        }
    }

    /// By the event of an SIU message; `None` for events that are not about one appointment's time or state.
    pub fn of_event(event: &str) -> Option<Self> {
        match event {
            "S12" | "S13" | "S14" | "S16" | "S18" | "S19" | "S20" | "S21" | "S22" | "S24" => Some(Self::Booked),
            "S15" => Some(Self::Cancelled),
            "S17" => Some(Self::Deleted),
            "S26" => Some(Self::NoShow),
            _ => None,
        }
    }
}

/// What an SIU message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// What became of it.
    pub status: AppointmentStatus,
    /// The appointment's id: the filler's (SCH-2), who keeps the book, or else the placer's (SCH-1).
    pub id: Id,
    /// The patient, if the message has one.
    pub patient: Option<Patient>,
    /// When it begins: SCH-11.4, or the earliest resource's. Messages that call off may leave it out.
    pub starts: Option<Stamp>,
    /// When it ends, if said.
    pub ends: Option<Stamp>,
    /// How long it takes, in minutes, if said.
    pub minutes: Option<i64>,
    /// What for: AIS-3.1, SCH-8.1 or SCH-7.1.
    pub purpose: Option<String>,
    /// With whom: AIP-3, or SCH-16.
    pub doctor: Option<Practitioner>,
    /// Where: AIL-3.
    pub location: Option<Location>,
}

impl Schedule {
    /// Reads it.
    ///
    /// # Errors
    /// [`Hl7Error::Missing`], [`Hl7Error::BadValue`].
    pub fn read(message: &Message, status: AppointmentStatus) -> Result<Self, Hl7Error> {
        let schedule = message.must("SCH")?;
        let id = Id::read_entity(schedule.field(2)).or_else(|| Id::read_entity(schedule.field(1)));
        let patient = message.segment("PID").map(Patient::of).transpose()?;
        let of = |name: &'static str| message.segments().filter(move |segment| segment.name() == name);
        let timing = schedule.field(11);
        let time = |text: Option<String>, place: Place| match text {
            None => Ok(None),
            Some(text) => Stamp::read(&text).map(Some).ok_or(Hl7Error::BadValue(place, "a time, YYYYMMDDHHMM[+ZZZZ]")),
        };
        let mut starts = time(timing.text(4), Place::of("SCH", 11))?;
        for (name, field) in [("AIS", 4), ("AIP", 6), ("AIL", 6)] {
            if starts.is_none() {
                starts = time(of(name).find_map(|segment| segment.text(field)), Place::of(name, field))?;
            }
        }
        let long = [duration(schedule, 9, 10)];
        let resources = [("AIS", 7, 8), ("AIP", 9, 10), ("AIL", 9, 10)];
        let resources = resources.into_iter().flat_map(|(name, number, unit)| {
            of(name).map(move |segment| duration(segment, number, unit)).collect::<Vec<_>>()
        });
        let service = of("AIS").find_map(|segment| segment.text(3));
        Ok(Self {
            status: status.refined(&schedule.text(25).unwrap_or_default()),
            id: id.ok_or(Hl7Error::Missing(Place::of("SCH", 2)))?,
            patient,
            starts,
            ends: time(timing.text(5), Place::of("SCH", 11))?,
            minutes: long.into_iter().chain(resources).flatten().next(),
            purpose: service.or_else(|| schedule.text(8)).or_else(|| schedule.text(7)),
            doctor: of("AIP")
                .find_map(|segment| Practitioner::read(segment.field(3)))
                .or_else(|| Practitioner::read(schedule.field(16))),
            location: of("AIL").find_map(|segment| Location::read(segment.field(3))),
        })
    }
}

/// A duration with its unit, in minutes.
fn duration(segment: Segment<'_>, number: usize, unit: usize) -> Option<i64> {
    let count: i64 = segment.text(number)?.parse().ok()?;
    let unit = segment.text(unit).unwrap_or_default().to_ascii_lowercase();
    let minutes = match unit.as_str() {
        "" | "m" | "min" | "mins" | "minute" | "minutes" => count,
        "s" | "sec" | "seconds" => count / 60,
        "h" | "hr" | "hour" | "hours" => count.checked_mul(60)?,
        _ => return None,
    };
    (1..=DURATION_MAX_MINUTES).contains(&minutes).then_some(minutes)
}
