//! The pages, one module each. A handler reads its query or form, asks `clinic`, and renders its template.

pub mod accounts;
pub mod api;
pub mod api_keys;
pub mod assets;
pub mod audit;
pub mod desk;
pub mod devices;
pub mod error;
pub mod inside;
pub mod journal;
pub mod live;
pub mod me;
pub mod notices;
pub mod people;
pub mod privacy;
pub mod query;
pub mod roles;
pub mod sealed;
pub mod second_step;
pub mod sign_in;
pub mod staff;
pub mod vault;
pub mod welcome;
pub mod workstations;
