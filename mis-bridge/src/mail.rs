//! Sends the clinic's notices by SMTP: takes what is due, sends one after the other, says how it ended.
//!
//! Owns the connection to the mail server. Never words a letter (the texts belong to the pages; they come in as a
//! function), never logs an address, a subject or a body, never sends in the clear but to this computer. May import
//! `clinic::notices`.

mod sender;
mod settings;

pub use sender::{Sender, run};
pub use settings::{MailPassword, Security, Settings, SettingsError};
