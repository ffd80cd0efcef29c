//! What the clinic knows and does: one module per capability, each with its own rules of storage and its own
//! transactions, deciding by the pure rules of `domain`.
//!
//! Persons and cards are known here by pseudonym only. SQL stands in these modules and in `store`, nowhere else. May
//! import `domain` and `store`; never the programs, never the bus.

pub mod accounts;
pub mod acting;
pub mod api_keys;
pub mod appointments;
pub mod audit;
pub mod break_glass;
pub mod changes;
pub mod commands;
pub mod data_map;
pub mod desk;
pub mod devices;
pub mod disclosures;
mod draw;
pub mod erasure;
pub mod events;
pub mod feeds;
pub mod fhircast;
pub mod incidents;
pub mod ingest;
pub mod irregular;
pub mod jose;
pub mod notices;
pub mod openid;
pub mod outbox;
pub mod people;
pub mod policy;
pub mod presence;
pub mod received;
pub mod requests;
pub mod retention;
pub mod roles;
mod rows;
pub mod staff;
pub mod subjects;
pub mod till;
pub mod vault;
pub mod visits;
pub mod watch;
pub mod whereabouts;
pub mod workstations;

pub use store::{Database, Error};
