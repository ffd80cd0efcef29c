//! What things mean in a clinic's access control: ids, card numbers, policy and decision, presence, doors.
//!
//! This crate is pure: no clock, no randomness, no file, socket, database or async runtime. Time and random bytes
//! come in as parameters, so every rule can be tested exhaustively and every decision can be explained later from
//! the code that made it. It knows nothing of wire formats or storage.

pub mod audit;
pub mod card;
mod codes;
pub mod decide;
pub mod desk;
pub mod door;
pub mod equipment;
pub mod event;
pub mod ids;
mod keyed;
mod language;
pub mod money;
pub mod network;
pub mod pin;
pub mod policy;
pub mod presence;
pub mod rights;
pub mod schedule;
pub mod till;
pub mod time;
pub mod vault;
pub mod visit;
pub mod zone;

pub use card::{CardFormat, CardKey, CardNumber, SealKey, SealedBytes, SealedNumber};
pub use decide::{Decision, Request, Verdict, decide, explain};
pub use event::{Draft, Entry, Kind, Reason};
pub use ids::{
    CardId, CategoryId, ConditionId, Direction, Epoch, GatewayId, LineId, PersonId, PointId, ReaderId, ScheduleId,
    SiteId, ZoneId,
};
pub use language::Spoken;
pub use money::{Amount, Currency};
pub use network::Network;
pub use policy::{Policy, PolicySource};
pub use presence::Presence;
pub use rights::{Denied, Field, Permission, Rights, Shipped, Zones};
pub use time::{Clock, UtcMillis};
