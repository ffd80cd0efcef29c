//! The calls of the API, as rows of the one table of routes.

use clinic::audit::Action;
use domain::Permission as P;

use super::{
    audit, changes, charges, devices, events, feeds, language, openapi, orders, passes, payments, persons, presence,
    prices, site, staff, trust,
};
use crate::routes::{Access, Data, Route, Verb, call};

use axum::routing::on;

const PASS: Access = Access::Needs(P::PassEdit);

/// All calls.
pub static CALLS: &[Route] = &[
    call(Verb::Show, "/api/v1/health", Access::Anyone, &site::HEALTH, |at| on(at, site::health)),
    call(Verb::Show, "/api/v1/openapi.json", Access::Anyone, &site::DESCRIPTION, |at| on(at, openapi::show)),
    call(Verb::Show, "/api/v1/site", Access::SignedIn, &site::SITE, |at| on(at, site::site)),
    call(Verb::Show, "/api/v1/events", Access::Needs(P::FeedRead), &events::FEED, |at| on(at, events::feed))
        .shows(&[Data::Traces]),
    call(Verb::Show, "/api/v1/changes", Access::Needs(P::FeedRead), &changes::FEED, |at| on(at, changes::feed))
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
    // The last part of each of these paths is the order.
    call(Verb::Change, "/api/v1/points/{point}/open", Access::Needs(P::DoorOpen), &orders::OPEN, |at| {
        on(at, orders::give)
    })
    .recorded(Action::DoorOrdered),
    call(Verb::Change, "/api/v1/points/{point}/emergency", Access::Needs(P::DoorOpen), &orders::EMERGENCY, |at| {
        on(at, orders::give)
    })
    .recorded(Action::DoorOrdered),
    call(Verb::Change, "/api/v1/points/{point}/lock", Access::Needs(P::DoorCommand), &orders::LOCK, |at| {
        on(at, orders::give)
    })
    .recorded(Action::DoorOrdered),
    call(Verb::Change, "/api/v1/points/{point}/free_passage", Access::Needs(P::DoorCommand), &orders::FREE, |at| {
        on(at, orders::give)
    })
    .recorded(Action::DoorOrdered),
    call(Verb::Change, "/api/v1/points/{point}/normal", Access::Needs(P::DoorCommand), &orders::NORMAL, |at| {
        on(at, orders::give)
    })
    .recorded(Action::DoorOrdered),
    call(Verb::Show, "/api/v1/orders/{order}", Access::SignedIn, &orders::PROGRESS, |at| on(at, orders::progress)),
    call(Verb::Change, "/api/v1/persons/search", Access::Needs(P::PersonFind), &persons::SEARCH, |at| {
        on(at, persons::search)
    })
    .shows(&[Data::Identity])
    .recorded(Action::PersonSearched),
    call(Verb::Show, "/api/v1/persons/{person}", Access::Needs(P::PersonSee), &persons::MASKED, |at| {
        on(at, persons::masked)
    })
    .shows(&[Data::Identity])
    .recorded(Action::PersonSeen),
    call(Verb::Change, "/api/v1/persons/{person}/reveal", Access::Needs(P::PersonReveal), &persons::REVEAL, |at| {
        on(at, persons::reveal)
    })
    .shows(&[Data::Identity])
    .recorded(Action::PersonRevealed),
    call(Verb::Change, "/api/v1/persons/{person}/language", Access::Needs(P::PersonEdit), &language::SET, |at| {
        on(at, language::set)
    })
    .recorded(Action::PersonChanged),
    call(Verb::Show, "/api/v1/persons/{person}/passes", Access::Needs(P::PersonSee), &passes::OF_PERSON, |at| {
        on(at, passes::of_person)
    })
    .shows(&[Data::Traces]),
    call(Verb::Show, "/api/v1/passes/{card}", Access::Needs(P::PersonSee), &passes::SHOW, |at| on(at, passes::show))
        .shows(&[Data::Traces]),
    // The last part of each of these paths is what becomes of the pass.
    call(Verb::Change, "/api/v1/passes/{card}/block", PASS, &passes::BLOCK, |at| on(at, passes::change))
        .recorded(Action::PassChanged),
    call(Verb::Change, "/api/v1/passes/{card}/lose", PASS, &passes::LOSE, |at| on(at, passes::change))
        .recorded(Action::PassChanged),
    call(Verb::Change, "/api/v1/passes/{card}/activate", PASS, &passes::ACTIVATE, |at| on(at, passes::change))
        .recorded(Action::PassChanged),
    call(Verb::Change, "/api/v1/passes/{card}/withdraw", PASS, &passes::WITHDRAW, |at| on(at, passes::change))
        .recorded(Action::PassChanged),
    call(Verb::Change, "/api/v1/charges", Access::Needs(P::ServiceRegister), &charges::REGISTER, |at| {
        on(at, charges::register)
    })
    .recorded(Action::ServiceRegistered),
    call(Verb::Show, "/api/v1/charges/{charge}", Access::Needs(P::ChargeSee), &charges::SHOW, |at| {
        on(at, charges::show)
    })
    .shows(&[Data::Health])
    .recorded(Action::AccountSeen),
    call(Verb::Change, "/api/v1/charges/{charge}/render", Access::Needs(P::ServiceRegister), &charges::RENDER, |at| {
        on(at, charges::render)
    })
    .recorded(Action::ServiceRegistered),
    call(Verb::Change, "/api/v1/charges/{charge}/cancel", Access::Needs(P::ServiceRegister), &charges::CANCEL, |at| {
        on(at, charges::cancel)
    })
    .recorded(Action::ServiceCancelled),
    call(Verb::Show, "/api/v1/persons/{person}/offers", Access::Needs(P::ServiceRegister), &charges::OFFERS, |at| {
        on(at, charges::offers)
    })
    .shows(&[Data::Health])
    .recorded(Action::AccountSeen),
    call(Verb::Change, "/api/v1/payments", Access::Needs(P::PaymentTake), &payments::PAY, |at| on(at, payments::pay))
        .recorded(Action::PaymentTaken),
    call(Verb::Show, "/api/v1/payments", Access::Needs(P::ChargeSee), &payments::LIST, |at| on(at, payments::list))
        .shows(&[Data::Health])
        .recorded(Action::AccountSeen),
    call(Verb::Show, "/api/v1/payments/{payment}", Access::Needs(P::ChargeSee), &payments::SHOW, |at| {
        on(at, payments::show)
    })
    .shows(&[Data::Health])
    .recorded(Action::AccountSeen),
    // Known by its signature, which the handler checks with the secret of the service.
    call(Verb::Change, "/api/v1/payments/notices/{source}", Access::Anyone, &payments::NOTICE, |at| {
        on(at, payments::notice)
    })
    .recorded(Action::PaymentTaken),
    call(Verb::Show, "/api/v1/services", Access::Needs(P::ChargeSee), &prices::LIST, |at| on(at, prices::list)),
    call(Verb::Change, prices::PRICES, Access::Needs(P::PriceEdit), &prices::TAKE, |at| on(at, prices::take))
        .sized(super::LIST_MAX_BYTES)
        .recorded(Action::PricesChanged),
    call(Verb::Show, "/api/v1/accounts", Access::Needs(P::AccountSee), &staff::ACCOUNTS, |at| on(at, staff::accounts))
        .shows(&[Data::Staff]),
    call(Verb::Show, "/api/v1/roles", Access::Needs(P::AccountSee), &staff::ROLES, |at| on(at, staff::roles)),
    call(Verb::Show, "/api/v1/audit", Access::Needs(P::AuditSee), &audit::SEARCH, |at| on(at, audit::search))
        .shows(&[Data::Audit])
        .recorded(Action::AuditRead),
    call(Verb::Show, "/api/v1/audit/{no}", Access::Needs(P::AuditSee), &audit::ENTRY, |at| on(at, audit::entry))
        .shows(&[Data::Audit])
        .recorded(Action::AuditRead),
    call(Verb::Show, "/api/v1/audit/{no}/proof", Access::Needs(P::AuditSee), &audit::PROOF, |at| on(at, audit::proof))
        .shows(&[Data::Audit])
        .recorded(Action::AuditRead),
    call(Verb::Show, "/api/v1/disclosures", Access::Needs(P::DisclosureSee), &trust::DISCLOSURES, |at| {
        on(at, trust::list)
    })
    .shows(&[Data::Disclosures]),
    call(Verb::Show, "/api/v1/glass", Access::Needs(P::BreakGlassReview), &trust::GLASS, |at| on(at, trust::glass))
        .shows(&[Data::Staff]),
    call(Verb::Change, "/api/v1/feeds/{source}/{kind}", Access::Needs(P::FeedWrite), &feeds::TAKE, |at| {
        on(at, feeds::take)
    })
    .sized(super::LIST_MAX_BYTES)
    .recorded(Action::FeedTaken),
    call(Verb::Change, "/api/v1/irregular-sign-ins", Access::Needs(P::FeedWrite), &feeds::SIGN_IN, |at| {
        on(at, feeds::sign_in)
    })
    .recorded(Action::IrregularSignIn),
];
