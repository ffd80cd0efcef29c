//! Eyes: the pages of guards, managers and administrators, live updates, exports.
//!
//! Owns everything that a browser sees. Never decides about doors and never writes facts: it reads the clinic's
//! database through `clinic` and writes accounts only. May import `domain`, `clinic` and `store`.
//!
//! A request goes `server` (TLS, limits) → `fault::dress` (headers, error pages) → `guard` (session, role, form) → a
//! handler of `pages`, found in the one table of `routes`. Events go `feed` → `pages::live::stream` → browser.

mod address;
mod api;
mod app;
mod browser;
mod changes;
mod connection;
mod csv;
mod desk_visit;
mod faces;
mod fault;
mod feed;
mod fhircast;
mod form;
mod guard;
mod headers;
mod language;
mod letters;
#[allow(dead_code, reason = "used by the pages of the till")]
mod money;
mod multipart;
mod openid;
mod pages;
mod papers;
mod post;
mod rate;
mod routes;
mod server;
mod service;
mod settings;
mod times;
mod tls;
mod view;
mod visit;
mod words;

#[cfg(test)]
mod tests;

pub use letters::wording;
pub use papers::PaperSettings;
pub use server::{Dashboard, DashboardError};
pub use settings::{DeskReader, DeskSettings, FeedSetup, Launch, Settings, TillSettings, TlsSource};
