//! The other end of the line: readers, turnstiles, doors, people, and what goes wrong with them.
//!
//! Simulated readers speak real OSDP (the peripheral-device role of `wire`) on real pseudo-terminals or over TCP, so a
//! gateway under test runs exactly as it does in a clinic. A [`Scenario`] fills the building with people; a
//! [`Handle`] lets a test do the same by hand, and pull cables.
//!
//! Never used by the programs of a real installation: only by `tapward sim`, `tapward demo` and tests. May import
//! `domain` and `wire`. Everything random comes from a seed.
//!
//! ```text
//! plant     what stands on the lines: points, lines, readers
//! scenario  who comes when, by which way, and what goes wrong
//! people    the people of a scenario, and the file that registers them
//! identity  their names and papers                      portrait  their drawn faces
//! day       runs a scenario
//! simulator runs a plant; Handle
//! line      one line's task: port, readers, gates, faults       reader    one reader
//! passage   one access point as its users see it       gate   its mechanics
//! port      pseudo-terminal or TCP                      fault  damage to bytes, hostile answers
//! acs_link  a turnstile controller on the network, with its own queue and cache
//! hikvision an access control terminal with an HTTP interface
//! parsec    a ParsecNET 3 server with its doors
//! terminal  a card terminal service, with its money
//! network   terminals and servers as peers of a plant
//! record    counts, and the JSON lines of answered taps
//! ```

pub mod acs_link;
mod ascii_lines;
mod day;
pub mod fault;
pub mod gate;
pub mod hikvision;
pub mod identity;
mod line;
pub mod network;
pub mod parsec;
mod passage;
mod people;
pub mod plant;
mod port;
pub mod portrait;
mod reader;
mod record;
pub mod scenario;
mod simulator;
pub mod terminal;

pub use day::{run, run_on};
pub use fault::{Fault, Hostile};
pub use gate::Walk;
pub use passage::{AnsweredBy, Outcome};
pub use people::{Person, people, people_csv, strange_card};
pub use plant::Plant;
pub use reader::ReaderState;
pub use record::Report;
pub use scenario::{Scenario, ScenarioError};
pub use simulator::{Handle, Options, SimError, Simulator};
