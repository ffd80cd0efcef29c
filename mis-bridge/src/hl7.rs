//! HL7 version 2 over MLLP, with TLS or without: a destination that is told of visits ([`Sender`]), and a listener to which
//! other systems tell patients, merges and appointments ([`Receiver`]).
//!
//! Owns connections and the rules of acknowledging: one message in flight, an answer counts only for the message whose
//! number it names, what came in is answered after it was stored. Never holds a queue (that is `clinic::outbox`, and the
//! sender's own), never logs what a message says. May import `wire::hl7`, `clinic` and the certificates of [`crate::http`].

mod answer;
mod line;
mod receiver;
mod sender;
mod settings;
mod socket;
mod take;
mod tell;

pub use line::{Line, LineFault, Verdict};
pub use receiver::Receiver;
pub use sender::{Sender, delivery_settings};
pub use settings::{AckMode, Names, ReceiverSettings, SenderRule, SenderSettings, SettingsError, TlsClient, TlsServer};
