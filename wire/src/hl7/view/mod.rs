//! What the segments say, in types. What is not there is said so; what cannot be read is an error that names segment and
//! field. Names and dates of birth come in types that do not print themselves.

mod header;
mod person;
mod reply;
mod schedule;
mod visit;

pub use header::{AckWhen, Event, Header, Party};
pub use person::{IDS_MAX, Id, Merge, Patient, Practitioner, merges};
pub use reply::{AckCode, Reply};
pub use schedule::{AppointmentStatus, Schedule};
pub use visit::{Location, Visit};
