//! The other systems: takes in what gateways recorded, hands out policy and commands, works taps at workstations, tells
//! medical systems (FHIR, HL7, webhooks, FHIRcast, GNU Health) and hears them, and asks card terminals.
//!
//! Owns: the bridge's task and its rules of acknowledging and offering; how other systems are spoken to. Never: decides
//! about access, contains SQL (that is `clinic`), keeps delivery state (that is the database's). May import: `domain`,
//! `wire::bus`, `wire::snapshot`, `wire::hl7`, `bus`, `clinic`.
//!
//! One task owns what comes from gateways and does one thing at a time, so that an acknowledgement can never overtake the
//! commit that it speaks of; beside it stand the desk's task and one for each other system. What may take long stands aside
//! too: building a policy snapshot, and sending its chunks. Several bridges may serve one database: what both take in is
//! taken once.
//!
//! When the database is away the bridge acknowledges nothing and keeps nothing: gateways send again from what was
//! acknowledged, which the answer to their next status tells them.

mod chunks;
mod commands;
pub mod delivery;
mod desk;
pub mod feeds;
pub mod fhir;
pub mod fhircast;
pub mod gnuhealth;
pub mod hl7;
pub mod http;
mod intake;
pub mod logout;
pub mod mail;
mod policy;
pub mod reconcile;
mod run;
pub mod terminal;
pub mod webhook;

pub use run::{Settings, run};
