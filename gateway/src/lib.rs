//! Doors: one task per serial line, the decision core, the journal, the uplink.
//!
//! Nothing here waits for a database, a network or the MIS to decide. A tap becomes a decision in memory, then a
//! durable journal entry, then an answer to the reader; the uplink copies the journal to the bridge whenever it can.

pub mod port;
