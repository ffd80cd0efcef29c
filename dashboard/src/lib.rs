//! Eyes: the pages of guards, managers and administrators, live updates, exports.
//!
//! Owns everything that a browser sees. Never decides about doors and never writes facts: it reads the clinic's
//! database through `clinic` and writes accounts only. May import `domain`, `clinic` and `store`.

mod server;
mod settings;

pub use server::{Dashboard, DashboardError};
pub use settings::{Settings, TlsSource};
