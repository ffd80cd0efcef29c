//! The calls of the API, as rows of the one table of routes.

use domain::Permission as P;

use super::{devices, events, openapi, presence, site};
use crate::routes::{Access, Data, Route, Verb, call};

use axum::routing::on;

/// All calls.
pub static CALLS: &[Route] = &[
    call(Verb::Show, "/api/v1/health", Access::Anyone, &site::HEALTH, |at| on(at, site::health)),
    call(Verb::Show, "/api/v1/openapi.json", Access::Anyone, &site::DESCRIPTION, |at| on(at, openapi::show)),
    call(Verb::Show, "/api/v1/site", Access::SignedIn, &site::SITE, |at| on(at, site::site)),
    call(Verb::Show, "/api/v1/events", Access::Needs(P::FeedRead), &events::FEED, |at| on(at, events::feed))
        .shows(&[Data::Traces]),
    call(Verb::Show, "/api/v1/presence", Access::Needs(P::PresenceSee), &presence::OCCUPANCY, |at| {
        on(at, presence::occupancy)
    })
    .shows(&[Data::Traces]),
    call(Verb::Show, "/api/v1/presence/{zone}", Access::Needs(P::PresenceSee), &presence::INSIDE, |at| {
        on(at, presence::inside)
    })
    .shows(&[Data::Traces]),
    call(Verb::Show, "/api/v1/devices", Access::Needs(P::DevicesSee), &devices::DEVICES, |at| on(at, devices::show))
        .shows(&[Data::Devices]),
    call(Verb::Show, "/api/v1/points", Access::Needs(P::DevicesSee), &devices::POINTS, |at| on(at, devices::points))
        .shows(&[Data::Devices]),
];
