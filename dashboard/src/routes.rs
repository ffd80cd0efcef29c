//! The table of routes: every path, who may open it, what data it shows and what it changes. The router, the places in
//! the navigation and the tests of access are all made from it; nothing else adds a route.

#![allow(
    dead_code,
    reason = "the table says more than the router needs: tests, the navigation and the HTTP API read it"
)]

mod make;
mod words;

use std::any::Any;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Response, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::response::IntoResponse;
use axum::routing::{MethodFilter, MethodRouter, on};
use clinic::audit::Action;
use domain::{Permission, Rights};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;

use crate::api;
use crate::api::describe::Operation;
use crate::app::App;
use crate::fault::{Fault, dress};
use crate::guard::guard;
use crate::openid;
use crate::pages::audit;
use crate::pages::cashier;
use crate::pages::sealed::boxes;
use crate::pages::till_report;
use crate::pages::{
    accounts, api as api_page, api_keys, assets, desk as desk_page, devices, journal, live, me, privacy, roles, sealed,
    sign_in, vault, welcome,
};
use crate::pages::{exchange, notices, reconciliation, second_step};
use crate::pages::{feeds, inside, irregular, people, staff, till_office, visits, whereabouts, workstations};
use crate::papers;
pub use crate::rate::Rate;
use crate::service::{self, Service};
pub use make::call;
use make::{act, boxes, change, desk, show};
pub use words::{Access, Csrf, Data, Desk, Group, Place, Verb};

/// How long a handler may take; streams are not counted, their answer begins at once.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);

/// Makes the part of a router that answers with a handler at the methods given to it.
pub type Mount = fn(MethodFilter) -> MethodRouter<App>;

/// One route. Only the functions of this module make one, so that nothing is left out.
#[derive(Clone, Copy)]
pub struct Route {
    /// The method.
    pub verb: Verb,
    /// In the router's syntax.
    pub path: &'static str,
    /// Who may open it.
    pub access: Access,
    /// What a change must prove.
    pub csrf: Csrf,
    /// What it shows.
    pub data: &'static [Data],
    /// What the audit log says about it. Every change has one; a look at personal data too.
    pub audit: Option<Action>,
    /// Its place in the navigation, if it is one.
    pub place: Option<Place>,
    /// Largest body, in bytes.
    pub body_max: usize,
    /// How much work it makes.
    pub rate: Rate,
    /// Its description, for routes of the HTTP API.
    pub operation: Option<&'static Operation>,
    /// Whether opening it counts as use of the session.
    pub uses_session: bool,
    /// Fixed files: no cookies.
    pub is_asset: bool,
    mount: Mount,
}

use Permission as P;

/// All routes.
pub static ROUTES: &[Route] = &[
    show("/", P::OwnAccount, &[], |at| on(at, live::home)).open_to(Access::SignedIn),
    show("/live", P::LiveWatch, &[Data::Traces], |at| on(at, live::show)).at(Group::Post, "live"),
    // The stream itself is not use of the session: see the live page for guards.
    Route { uses_session: false, ..show("/live/stream", P::LiveWatch, &[Data::Traces], |at| on(at, live::stream)) },
    show("/devices", P::DevicesSee, &[Data::Devices, Data::Staff], |at| on(at, devices::show))
        .at(Group::Post, "devices"),
    show("/devices.csv", P::DevicesSee, &[Data::Devices], |at| on(at, devices::export)).rated(Rate::Export),
    // The last part of each of these paths is the order. A guard helps people through and out; what stays in force
    // until somebody ends it is for those who answer for the whole clinic.
    change("/doors/open", P::DoorOpen, Action::DoorOrdered, |at| on(at, devices::give)),
    change("/doors/emergency", P::DoorOpen, Action::DoorOrdered, |at| on(at, devices::give)),
    change("/doors/lock", P::DoorCommand, Action::DoorOrdered, |at| on(at, devices::give)),
    change("/doors/free_passage", P::DoorCommand, Action::DoorOrdered, |at| on(at, devices::give)),
    change("/doors/normal", P::DoorCommand, Action::DoorOrdered, |at| on(at, devices::give)),
    show("/journal", P::JournalSee, &[Data::Traces, Data::Staff], |at| on(at, journal::show))
        .at(Group::Post, "journal"),
    show("/journal.csv", P::JournalExport, &[Data::Traces], |at| on(at, journal::export))
        .rated(Rate::Export)
        .recorded(Action::Exported),
    show("/inside", P::PresenceSee, &[Data::Traces, Data::Identity, Data::Photo], |at| on(at, inside::show))
        .recorded(Action::PersonSeen)
        .at(Group::Post, "inside"),
    Route {
        rate: Rate::Export,
        ..show("/inside.csv", P::PresenceSee, &[Data::Traces, Data::Identity], |at| on(at, inside::export))
            .recorded(Action::Exported)
    },
    show("/people", P::PersonFind, &[], |at| on(at, people::show)).at(Group::People, "people"),
    // What is looked for travels in the body, never in an address; it changes nothing but the audit log.
    Route {
        rate: Rate::Search,
        data: &[Data::Identity, Data::Photo],
        ..change("/people", P::PersonFind, Action::PersonSearched, |at| on(at, people::search))
    },
    Route {
        rate: Rate::Export,
        data: &[Data::Identity],
        ..change("/people.csv", P::PersonReveal, Action::Exported, |at| on(at, people::export))
    },
    show("/people/new", P::PersonEdit, &[], |at| on(at, people::new)),
    change("/people/new", P::PersonEdit, Action::PersonChanged, |at| on(at, people::create)),
    show("/people/{person}", P::PersonSee, &[Data::Identity, Data::Photo, Data::Traces], |at| {
        on(at, people::show_person)
    })
    .recorded(Action::PersonSeen),
    Route {
        rate: Rate::Reveal,
        data: &[Data::Identity],
        ..change("/people/{person}/reveal", P::PersonReveal, Action::PersonRevealed, |at| on(at, people::reveal))
    },
    Route {
        rate: Rate::Reveal,
        data: &[Data::Identity],
        ..change("/people/{person}/history", P::PersonReveal, Action::PersonRevealed, |at| on(at, people::history))
    },
    Route {
        data: &[Data::Audit],
        ..change("/people/{person}/looks", P::PrivacyManage, Action::AuditRead, |at| on(at, people::looks))
    },
    Route {
        rate: Rate::Reveal,
        ..show("/people/{person}/edit", P::PersonEdit, &[Data::Identity], |at| on(at, people::edit))
            .recorded(Action::PersonRevealed)
    },
    change("/people/{person}/edit", P::PersonEdit, Action::PersonChanged, |at| on(at, people::save)),
    change("/people/{person}/passes", P::PassEdit, Action::PassChanged, |at| on(at, people::change_pass)),
    show("/people/{person}/photo", P::PersonEdit, &[Data::Identity, Data::Photo], |at| on(at, people::take_photo))
        .recorded(Action::PersonSeen),
    Route {
        rate: Rate::File,
        body_max: people::PHOTO_BODY_MAX,
        ..change("/people/{person}/photo", P::PersonEdit, Action::PhotoChanged, |at| on(at, people::store_photo))
    },
    change("/people/{person}/photo/remove", P::PersonEdit, Action::PhotoChanged, |at| on(at, people::remove_photo)),
    // The vault decides by field: whoever sees people pass or looks at a person may see the photograph that belongs to it.
    Route {
        rate: Rate::File,
        uses_session: false,
        ..show("/photos/{photo}", P::OwnAccount, &[Data::Photo], |at| on(at, people::show_photo))
            .open_to(Access::SignedIn)
            .recorded(Action::PersonSeen)
    },
    // Workstations: who acts is whose card was held to the reader there, not who is signed in to the pages.
    change("/desk/enrol", P::OwnAccount, Action::DeskChanged, |at| on(at, desk_page::enrol))
        .open_to(Access::Anyone)
        .rated(Rate::Secret),
    desk("/desk", Desk::Enrolled, &[Data::Identity, Data::Photo, Data::Health], |at| on(at, desk_page::show)),
    // The stream is not use of the binding: a page that is left alone must lock.
    Route {
        uses_session: false,
        ..desk("/desk/stream", Desk::Enrolled, &[Data::Identity, Data::Photo, Data::Health], |at| {
            on(at, desk_page::stream)
        })
    },
    act("/desk/pin/confirm", Desk::Enrolled, Action::DeskOpened, |at| on(at, desk_page::confirm_pin))
        .rated(Rate::Secret),
    Route { body_max: 1024, ..act("/desk/tap", Desk::Enrolled, Action::DeskOpened, |at| on(at, desk_page::tap)) },
    act("/desk/here", Desk::Open, Action::DeskOpened, |at| on(at, desk_page::here)),
    act("/desk/lock", Desk::Open, Action::DeskEnded, |at| on(at, desk_page::lock)),
    act("/desk/end", Desk::Open, Action::DeskEnded, |at| on(at, desk_page::end)),
    desk("/desk/pin", Desk::Open, &[], |at| on(at, desk_page::show_pin)),
    act("/desk/pin", Desk::Open, Action::DeskChanged, |at| on(at, desk_page::set_pin)).rated(Rate::Secret),
    act("/desk/visit/end", Desk::Open, Action::VisitEnded, |at| on(at, desk_page::end_visit)),
    act("/desk/visit/cancel", Desk::Open, Action::VisitEnded, |at| on(at, desk_page::cancel_visit)),
    desk("/desk/services", Desk::Open, &[Data::Health], |at| on(at, desk_page::services_find)),
    act("/desk/services", Desk::Open, Action::ServiceRegistered, |at| on(at, desk_page::services_register)),
    act("/desk/services/render", Desk::Open, Action::ServiceRegistered, |at| on(at, desk_page::services_render)),
    act("/desk/services/cancel", Desk::Open, Action::ServiceCancelled, |at| on(at, desk_page::services_cancel)),
    act("/desk/answer", Desk::Open, Action::VisitStarted, |at| on(at, desk_page::answer)),
    desk("/desk/without", Desk::Open, &[Data::Identity, Data::Photo], |at| on(at, desk_page::without))
        .recorded(Action::PersonSeen),
    act("/desk/without/find", Desk::Open, Action::PersonSearched, |at| on(at, desk_page::without_find))
        .rated(Rate::Search)
        .shows(&[Data::Identity, Data::Photo]),
    act("/desk/without", Desk::Open, Action::OutOfCard, |at| on(at, desk_page::without_start)),
    desk("/desk/without/service", Desk::Open, &[Data::Identity, Data::Health], |at| on(at, desk_page::without_service)),
    act("/desk/without/service", Desk::Open, Action::ServiceRegistered, |at| on(at, desk_page::without_register)),
    desk("/desk/day", Desk::Open, &[Data::Identity, Data::Traces], |at| on(at, desk_page::day))
        .recorded(Action::PersonSeen),
    Route {
        rate: Rate::File,
        uses_session: false,
        ..desk("/desk/photos/{photo}", Desk::Open, &[Data::Photo], |at| on(at, people::show_photo))
            .recorded(Action::PersonSeen)
    },
    show("/where", P::PersonLocate, &[], |at| on(at, whereabouts::show)).at(Group::Desk, "where"),
    // Whom it is about travels in the body, never in an address; it changes nothing but the audit log.
    Route {
        rate: Rate::Search,
        data: &[Data::Identity, Data::Photo, Data::Traces],
        ..change("/where", P::PersonLocate, Action::PersonLocated, |at| on(at, whereabouts::look))
    },
    show("/visits", P::VisitSee, &[Data::Traces, Data::Identity], |at| on(at, visits::show))
        .recorded(Action::PersonSeen)
        .at(Group::Desk, "visits"),
    show("/visits.csv", P::VisitSee, &[Data::Traces, Data::Identity], |at| on(at, visits::export))
        .rated(Rate::Export)
        .recorded(Action::Exported),
    show("/visits/graph", P::VisitSee, &[Data::Traces, Data::Identity], |at| on(at, visits::graph))
        .recorded(Action::PersonSeen)
        .at(Group::Desk, "visits-graph"),
    show("/visits/graph.csv", P::VisitSee, &[Data::Traces, Data::Identity], |at| on(at, visits::graph_export))
        .rated(Rate::Export)
        .recorded(Action::Exported),
    show("/visits/rooms", P::VisitSee, &[Data::Traces, Data::Identity], |at| on(at, visits::rooms))
        .recorded(Action::PersonSeen)
        .at(Group::Desk, "visits-rooms"),
    show("/visits/rooms.csv", P::VisitSee, &[Data::Traces, Data::Identity], |at| on(at, visits::rooms_export))
        .rated(Rate::Export)
        .recorded(Action::Exported),
    show("/irregular", P::IrregularReview, &[Data::Traces, Data::Identity], |at| on(at, irregular::show))
        .recorded(Action::AuditRead)
        .at(Group::Desk, "irregular"),
    show("/irregular.csv", P::IrregularReview, &[Data::Traces], |at| on(at, irregular::export))
        .rated(Rate::Export)
        .recorded(Action::Exported),
    change("/irregular/{id}", P::IrregularReview, Action::IrregularReviewed, |at| on(at, irregular::review)),
    show("/workstations", P::DeskManage, &[Data::Staff, Data::Devices], |at| on(at, workstations::show))
        .at(Group::Desk, "workstations"),
    show("/workstations.csv", P::DeskManage, &[Data::Staff, Data::Devices], |at| on(at, workstations::export))
        .rated(Rate::Export)
        .recorded(Action::Exported),
    change("/workstations/enrol", P::DeskManage, Action::DeskChanged, |at| on(at, workstations::enrol)),
    change("/workstations/code", P::DeskManage, Action::DeskChanged, |at| on(at, workstations::code))
        .shows(&[Data::Secret]),
    change("/workstations/withdraw", P::DeskManage, Action::DeskChanged, |at| on(at, workstations::withdraw)),
    change("/workstations/rename", P::DeskManage, Action::DeskChanged, |at| on(at, workstations::rename)),
    change("/workstations/end", P::DeskManage, Action::DeskEnded, |at| on(at, workstations::end)),
    show("/staff", P::DeskManage, &[Data::Staff], |at| on(at, staff::show)).at(Group::Desk, "staff"),
    show("/staff.csv", P::DeskManage, &[Data::Staff], |at| on(at, staff::export))
        .rated(Rate::Export)
        .recorded(Action::Exported),
    change("/staff/save", P::DeskManage, Action::PersonChanged, |at| on(at, staff::save)),
    change("/staff/end", P::DeskManage, Action::PersonChanged, |at| on(at, staff::end)),
    change("/staff/pin", P::DeskManage, Action::DeskChanged, |at| on(at, staff::pin)),
    // Sign-in to other systems by card: the browser waits here for its tap.
    show("/openid/sign-in", P::OwnAccount, &[], |at| on(at, openid::page::show)).open_to(Access::Anyone),
    Route { uses_session: false, ..desk("/openid/sign-in/wait", Desk::Enrolled, &[], |at| on(at, openid::page::wait)) },
    act("/openid/sign-in/pin", Desk::Enrolled, Action::DeskOpened, |at| on(at, openid::page::pin)).rated(Rate::Secret),
    show("/openid/signed-out", P::OwnAccount, &[], |at| on(at, openid::page::signed_out)).open_to(Access::Anyone),
    Route {
        uses_session: false,
        ..desk("/desk/confirmations", Desk::Open, &[], |at| on(at, openid::page::confirmations))
    },
    act("/desk/confirmations", Desk::Open, Action::BadgeSignedIn, |at| on(at, openid::page::confirm)),
    show("/exchange/clients", P::ExchangeSee, &[], |at| on(at, openid::clients::show)).at(Group::Exchange, "clients"),
    show("/exchange/clients.csv", P::ExchangeSee, &[], |at| on(at, openid::clients::export)).rated(Rate::Export),
    change("/exchange/clients/save", P::ExchangeManage, Action::ExchangeChanged, |at| on(at, openid::clients::save))
        .shows(&[Data::Secret]),
    change("/exchange/clients/end", P::ExchangeManage, Action::ExchangeChanged, |at| on(at, openid::clients::end)),
    show("/accounts", P::AccountSee, &[Data::Staff], |at| on(at, accounts::show)).at(Group::Office, "accounts"),
    change("/accounts/create", P::AccountEdit, Action::AccountCreated, |at| on(at, accounts::create)),
    show("/accounts.csv", P::AccountSee, &[Data::Staff], |at| on(at, accounts::export))
        .rated(Rate::Export)
        .recorded(Action::Exported),
    change("/accounts/roles", P::AccountEdit, Action::RolesChanged, |at| on(at, accounts::give)),
    change("/accounts/change", P::AccountEdit, Action::AccountDisabled, |at| on(at, accounts::change)),
    show("/roles", P::AccountSee, &[], |at| on(at, roles::show)).at(Group::Office, "roles"),
    show("/roles.csv", P::AccountSee, &[], |at| on(at, roles::export)).rated(Rate::Export),
    change("/roles/create", P::RoleEdit, Action::RoleEdited, |at| on(at, roles::create)),
    change("/roles/change", P::RoleEdit, Action::RoleEdited, |at| on(at, roles::change)),
    change("/roles/remove", P::RoleEdit, Action::RoleEdited, |at| on(at, roles::remove)),
    show("/api", P::OwnAccount, &[], |at| on(at, api_page::show)).open_to(Access::Anyone),
    show("/api-keys", P::ApiKeyEdit, &[Data::Staff], |at| on(at, api_keys::show)).at(Group::Office, "api_keys"),
    show("/api-keys.csv", P::ApiKeyEdit, &[Data::Staff], |at| on(at, api_keys::export)).rated(Rate::Export),
    change("/api-keys/create", P::ApiKeyEdit, Action::ApiKeyChanged, |at| on(at, api_keys::create))
        .shows(&[Data::Secret]),
    change("/api-keys/end", P::ApiKeyEdit, Action::ApiKeyChanged, |at| on(at, api_keys::end)),
    // People whose passports workstations seal: pages without a name in them, and the boxes that their script asks for.
    show("/sealed", P::PersonFind, &[], |at| on(at, sealed::people)).at(Group::People, "sealed"),
    show("/sealed/new", P::PersonEdit, &[], |at| on(at, sealed::register)),
    show("/sealed/{person}", P::PersonSee, &[], |at| on(at, sealed::person)),
    Route {
        rate: Rate::Search,
        ..boxes("/sealed/search", P::PersonFind, Action::PersonSearched, &[Data::Identity], |at| on(at, boxes::search))
    },
    boxes("/sealed/cards", P::PersonSee, Action::PersonSeen, &[Data::Identity], |at| on(at, boxes::cards)),
    // The page of a post asks by itself, so this is not use of the session.
    Route {
        uses_session: false,
        ..boxes("/sealed/live-cards", P::LiveWatch, Action::PersonSeen, &[Data::Identity], |at| on(at, boxes::cards))
    },
    Route {
        rate: Rate::Reveal,
        ..boxes("/sealed/reveal", P::PersonReveal, Action::PersonRevealed, &[Data::Identity], |at| {
            on(at, boxes::reveal)
        })
    },
    boxes("/sealed/put", P::PersonEdit, Action::PersonChanged, &[], |at| on(at, boxes::put)),
    Route {
        rate: Rate::File,
        ..boxes("/sealed/photo", P::PersonSee, Action::PersonSeen, &[Data::Photo], |at| on(at, boxes::photo))
    },
    Route {
        rate: Rate::File,
        uses_session: false,
        ..boxes("/sealed/live-photo", P::LiveWatch, Action::PersonSeen, &[Data::Photo], |at| on(at, boxes::photo))
    },
    Route {
        rate: Rate::File,
        ..boxes("/sealed/photo/put", P::PersonEdit, Action::PhotoChanged, &[], |at| on(at, boxes::put_photo))
    },
    show("/vault/key", P::OwnAccount, &[], |at| on(at, sealed::key)).at(Group::People, "key"),
    boxes("/sealed/key", P::VaultManage, Action::VaultKeyChanged, &[], |at| on(at, boxes::announce)),
    boxes("/sealed/key/next", P::VaultManage, Action::PersonSeen, &[Data::Identity], |at| on(at, boxes::to_rewrap)),
    boxes("/sealed/key/wrapped", P::VaultManage, Action::VaultKeyChanged, &[], |at| on(at, boxes::rewrap)),
    show("/vault", P::VaultManage, &[], |at| on(at, vault::show)).at(Group::Office, "vault"),
    change("/vault/unlock", P::VaultManage, Action::VaultOpened, |at| on(at, vault::unlock)),
    change("/vault/lock", P::VaultManage, Action::VaultOpened, |at| on(at, vault::lock)),
    change("/vault/rotate", P::VaultManage, Action::VaultKeyChanged, |at| on(at, vault::rotate)),
    change("/vault/index", P::VaultManage, Action::VaultKeyChanged, |at| on(at, vault::index)),
    show("/audit", P::AuditSee, &[Data::Audit, Data::Staff], |at| on(at, audit::show))
        .recorded(Action::AuditRead)
        .at(Group::Trust, "audit"),
    show("/audit/proof", P::AuditSee, &[Data::Audit], |at| on(at, audit::proof)).recorded(Action::AuditRead),
    change("/audit/check", P::AuditSee, Action::AuditRead, |at| on(at, audit::check)),
    Route {
        rate: Rate::Export,
        ..show("/audit.csv", P::AuditExport, &[Data::Audit], |at| on(at, audit::csv)).recorded(Action::Exported)
    },
    Route {
        rate: Rate::Export,
        ..show("/audit.jsonl", P::AuditExport, &[Data::Audit], |at| on(at, audit::lines)).recorded(Action::Exported)
    },
    Route {
        rate: Rate::Export,
        ..show("/audit.fhir.ndjson", P::AuditExport, &[Data::Audit], |at| on(at, audit::events))
            .recorded(Action::Exported)
    },
    Route {
        rate: Rate::Export,
        ..show("/audit.fhir.json", P::AuditExport, &[Data::Audit], |at| on(at, audit::bundle))
            .recorded(Action::Exported)
    },
    // Breaking glass: who may, and who answers for it.
    show("/glass/break", P::BreakGlassUse, &[], |at| on(at, privacy::glass::ask)).at(Group::People, "glass-break"),
    change("/glass/break", P::BreakGlassUse, Action::GlassBroken, |at| on(at, privacy::glass::start)),
    change("/glass/end", P::BreakGlassUse, Action::GlassBroken, |at| on(at, privacy::glass::end)),
    show("/privacy", P::PrivacyManage, &[], |at| on(at, privacy::overview::show)).at(Group::Trust, "privacy"),
    change("/privacy/retention", P::PrivacyManage, Action::DataExpired, |at| on(at, privacy::overview::clear)),
    show("/privacy/person", P::PrivacyManage, &[], |at| on(at, privacy::overview::person)),
    show("/privacy/map", P::PrivacyManage, &[], |at| on(at, privacy::map::show)),
    show("/privacy/map.csv", P::PrivacyManage, &[], |at| on(at, privacy::map::export)),
    show("/requests", P::PrivacyManage, &[Data::Traces], |at| on(at, privacy::requests::list))
        .at(Group::Trust, "requests"),
    show("/requests.csv", P::PrivacyManage, &[Data::Traces], |at| on(at, privacy::requests::export)),
    change("/requests/add", P::PrivacyManage, Action::RequestHandled, |at| on(at, privacy::requests::add)),
    show("/requests/{id}", P::PrivacyManage, &[Data::Traces], |at| on(at, privacy::requests::show)),
    change("/requests/{id}", P::PrivacyManage, Action::RequestHandled, |at| on(at, privacy::requests::step)),
    show("/subjects/{person}", P::PrivacyManage, &[Data::Audit, Data::Disclosures, Data::Staff], |at| {
        on(at, privacy::persons::show)
    }),
    change("/subjects/{person}", P::PrivacyManage, Action::PersonRestricted, |at| on(at, privacy::persons::mark)),
    Route {
        data: &[Data::Identity, Data::Photo, Data::Traces, Data::Audit, Data::Disclosures],
        ..change("/subjects/{person}/package", P::PrivacyManage, Action::Disclosed, |at| {
            on(at, privacy::persons::paper)
        })
    },
    Route {
        data: &[Data::Identity, Data::Photo, Data::Traces, Data::Audit, Data::Disclosures],
        ..change("/subjects/{person}/package.json", P::PrivacyManage, Action::Disclosed, |at| {
            on(at, privacy::persons::json)
        })
    },
    show("/subjects/{person}/erase", P::PersonErase, &[], |at| on(at, privacy::persons::ask)),
    change("/subjects/{person}/erase", P::PersonErase, Action::PersonErased, |at| on(at, privacy::persons::erase)),
    show("/erasures", P::PrivacyManage, &[Data::Staff], |at| on(at, privacy::persons::acts)),
    show("/erasures/{id}", P::PrivacyManage, &[Data::Staff], |at| on(at, privacy::persons::act)),
    show("/incidents", P::PrivacyManage, &[], |at| on(at, privacy::incidents::list)),
    change("/incidents/add", P::PrivacyManage, Action::IncidentHandled, |at| on(at, privacy::incidents::add)),
    change("/incidents/{id}", P::PrivacyManage, Action::IncidentHandled, |at| on(at, privacy::incidents::mark)),
    show("/disclosures", P::DisclosureSee, &[Data::Disclosures, Data::Staff], |at| on(at, privacy::disclosures::show))
        .at(Group::Trust, "disclosures"),
    show("/disclosures.csv", P::DisclosureSee, &[Data::Disclosures], |at| on(at, privacy::disclosures::export)),
    change("/disclosures/add", P::PrivacyManage, Action::Disclosed, |at| on(at, privacy::disclosures::add)),
    show("/glass", P::BreakGlassReview, &[Data::Staff], |at| on(at, privacy::glass::list)).at(Group::Trust, "glass"),
    show("/glass.csv", P::BreakGlassReview, &[Data::Staff], |at| on(at, privacy::glass::export)),
    show("/glass/{id}", P::BreakGlassReview, &[Data::Staff, Data::Audit], |at| on(at, privacy::glass::case)),
    change("/glass/{id}/review", P::BreakGlassReview, Action::GlassReviewed, |at| on(at, privacy::glass::review)),
    change("/glass/{id}/end", P::BreakGlassReview, Action::GlassBroken, |at| on(at, privacy::glass::stop)),
    show("/me", P::OwnAccount, &[Data::Staff], |at| on(at, me::show)),
    change("/me/preferences", P::OwnAccount, Action::PreferencesChanged, |at| on(at, me::preferences)),
    change("/me/password", P::OwnAccount, Action::PasswordChanged, |at| on(at, me::password)),
    change("/me/sessions", P::OwnAccount, Action::SessionEnded, |at| on(at, me::sessions)),
    show("/me/factor", P::OwnAccount, &[Data::Secret], |at| on(at, me::show_factor)),
    change("/me/factor", P::OwnAccount, Action::FactorChanged, |at| on(at, me::change_factor)).shows(&[Data::Secret]),
    change("/me/factor/confirm", P::OwnAccount, Action::FactorChanged, |at| on(at, me::confirm_factor))
        .shows(&[Data::Secret]),
    change("/me/email", P::OwnAccount, Action::PreferencesChanged, |at| on(at, me::ask_email)),
    show("/me/email/{link}", P::OwnAccount, &[Data::Staff], |at| on(at, me::show_email)),
    change("/me/email/{link}", P::OwnAccount, Action::PreferencesChanged, |at| on(at, me::confirm_email)),
    show("/exchange/feeds", P::ExchangeSee, &[Data::Devices], |at| on(at, feeds::show)).at(Group::Exchange, "feeds"),
    show("/exchange/feeds.csv", P::ExchangeSee, &[Data::Devices], |at| on(at, feeds::export))
        .rated(Rate::Export)
        .recorded(Action::Exported),
    change("/exchange/feeds/hold", P::ExchangeManage, Action::ExchangeChanged, |at| on(at, feeds::hold)),
    change("/exchange/feeds/purpose", P::ExchangeManage, Action::ExchangeChanged, |at| on(at, feeds::purpose)),
    change("/exchange/feeds/workplace", P::ExchangeManage, Action::ExchangeChanged, |at| on(at, feeds::workplace)),
    show("/exchange", P::ExchangeSee, &[], |at| on(at, exchange::show)).at(Group::Exchange, "exchange"),
    show("/exchange.csv", P::ExchangeSee, &[], |at| on(at, exchange::export)).recorded(Action::Exported),
    change("/exchange/pause", P::ExchangeManage, Action::ExchangeChanged, |at| on(at, exchange::pause)),
    change("/exchange/resume", P::ExchangeManage, Action::ExchangeChanged, |at| on(at, exchange::resume)),
    change("/exchange/retry", P::ExchangeManage, Action::ExchangeChanged, |at| on(at, exchange::retry)),
    change("/exchange/give-up", P::ExchangeManage, Action::ExchangeChanged, |at| on(at, exchange::give_up)),
    show("/till/reconciliation", P::ExchangeSee, &[], |at| on(at, reconciliation::show))
        .at(Group::Exchange, "reconciliation"),
    show("/till/reconciliation.csv", P::ExchangeSee, &[], |at| on(at, reconciliation::export))
        .rated(Rate::Export)
        .recorded(Action::Exported),
    change("/till/reconciliation/run", P::ExchangeManage, Action::ExchangeChanged, |at| on(at, reconciliation::run)),
    change("/till/reconciliation/again", P::ExchangeManage, Action::ExchangeChanged, |at| {
        on(at, reconciliation::again)
    }),
    // The cashier. Whom it is about travels in the body, never in an address but as a pseudonym.
    show("/till", P::PaymentTake, &[Data::Identity], |at| on(at, cashier::find::show))
        .recorded(Action::PersonSeen)
        .at(Group::Till, "till"),
    Route {
        rate: Rate::Search,
        data: &[Data::Identity],
        ..change("/till", P::PaymentTake, Action::PersonSearched, |at| on(at, cashier::find::search))
    },
    change("/till/card", P::PaymentTake, Action::PersonSeen, |at| on(at, cashier::find::card))
        .sized(1024)
        .rated(Rate::Search),
    show("/till/to-pay.csv", P::PaymentTake, &[Data::Traces], |at| on(at, cashier::find::export))
        .rated(Rate::Export)
        .recorded(Action::Exported),
    show("/till/patient/{id}", P::ChargeSee, &[Data::Identity, Data::Health], |at| on(at, cashier::account::show))
        .recorded(Action::AccountSeen),
    change("/till/patient/{id}/pay", P::PaymentTake, Action::PaymentTaken, |at| on(at, cashier::pay::pay))
        .sized(cashier::FORM_MAX_BYTES),
    change("/till/patient/{id}/pay-in", P::PaymentTake, Action::PaymentTaken, |at| on(at, cashier::pay::pay_in)),
    change("/till/patient/{id}/give-back", P::PaymentTake, Action::PaymentReturned, |at| {
        on(at, cashier::pay::give_back)
    }),
    change("/till/patient/{id}/write-off", P::PaymentTake, Action::TillRequested, |at| on(at, cashier::pay::write_off)),
    show("/till/payments", P::PaymentTake, &[Data::Identity], |at| on(at, cashier::payments::show))
        .recorded(Action::PersonSeen)
        .at(Group::Till, "till-payments"),
    show("/till/payments.csv", P::PaymentTake, &[Data::Traces], |at| on(at, cashier::payments::export))
        .rated(Rate::Export)
        .recorded(Action::Exported),
    show("/till/payments/{id}", P::PaymentTake, &[Data::Identity], |at| on(at, cashier::payments::one))
        .recorded(Action::PersonSeen),
    // The page of a payment at a terminal asks by itself, so this is not use of the session.
    Route {
        uses_session: false,
        ..show("/till/payments/{id}/progress", P::PaymentTake, &[], |at| on(at, cashier::payments::progress))
    },
    change("/till/payments/{id}/break-off", P::PaymentTake, Action::PaymentTaken, |at| {
        on(at, cashier::payments::break_off)
    }),
    change("/till/payments/{id}/return", P::TillApprove, Action::PaymentReturned, |at| {
        on(at, cashier::payments::take_back)
    }),
    show("/till/drawer", P::PaymentTake, &[Data::Staff], |at| on(at, cashier::drawer::show))
        .at(Group::Till, "till-drawer"),
    change("/till/drawer/open", P::PaymentTake, Action::DrawerChanged, |at| on(at, cashier::drawer::open)),
    change("/till/drawer/close", P::PaymentTake, Action::DrawerChanged, |at| on(at, cashier::drawer::close)),
    show("/till/requests", P::PaymentTake, &[Data::Identity, Data::Staff], |at| on(at, cashier::requests::show))
        .recorded(Action::PersonSeen)
        .at(Group::Till, "till-requests"),
    show("/till/requests.csv", P::PaymentTake, &[Data::Traces], |at| on(at, cashier::requests::export))
        .rated(Rate::Export)
        .recorded(Action::Exported),
    change("/till/requests/{id}", P::TillApprove, Action::TillDecided, |at| on(at, cashier::requests::decide)),
    show("/till/notices", P::PaymentTake, &[], |at| on(at, cashier::notices::show)).at(Group::Till, "till-notices"),
    show("/till/notices.csv", P::PaymentTake, &[], |at| on(at, cashier::notices::export))
        .rated(Rate::Export)
        .recorded(Action::Exported),
    change("/till/notices/{id}", P::PaymentTake, Action::PaymentTaken, |at| on(at, cashier::notices::assign)),
    change("/till/notices/{id}/aside", P::TillApprove, Action::PaymentTaken, |at| on(at, cashier::notices::put_aside)),
    show("/till/days", P::TillClose, &[Data::Staff], |at| on(at, cashier::days::show)).at(Group::Till, "till-days"),
    show("/till/days.csv", P::TillClose, &[], |at| on(at, cashier::days::export))
        .rated(Rate::Export)
        .recorded(Action::Exported),
    change("/till/days/close", P::TillClose, Action::DayClosed, |at| on(at, cashier::days::close)),
    show("/till/drawers", P::TillClose, &[Data::Staff], |at| on(at, cashier::drawer::all)),
    show("/till/drawers.csv", P::TillClose, &[Data::Staff], |at| on(at, cashier::drawer::export))
        .rated(Rate::Export)
        .recorded(Action::Exported),
    change("/till/drawers/{id}/close", P::TillClose, Action::DrawerChanged, |at| on(at, cashier::drawer::close_other)),
    // Papers, and figures by pseudonym.
    show("/till/patient/{id}/statement.pdf", P::ChargeSee, &[Data::Identity, Data::Health], |at| {
        on(at, papers::statement::of_patient)
    })
    .rated(Rate::File)
    .recorded(Action::AccountSeen),
    show("/till/patient/{id}/slip.pdf", P::ChargeSee, &[Data::Identity, Data::Health], |at| on(at, papers::slip::show))
        .rated(Rate::File)
        .recorded(Action::AccountSeen),
    show("/till/payments/{id}/receipt.pdf", P::ChargeSee, &[Data::Identity, Data::Health], |at| {
        on(at, papers::receipt::show)
    })
    .rated(Rate::File)
    .recorded(Action::AccountSeen),
    show("/till/drawers/{id}/closing.pdf", P::PaymentTake, &[Data::Staff], |at| on(at, papers::closing::drawer))
        .rated(Rate::File),
    show("/till/days/{day}/closing.pdf", P::TillClose, &[], |at| on(at, papers::closing::day)).rated(Rate::File),
    show("/till/statements", P::TillReport, &[Data::Traces], |at| on(at, till_report::statements::show))
        .recorded(Action::AccountSeen)
        .at(Group::Till, "till-statements"),
    show("/till/statements.csv", P::TillReport, &[Data::Traces], |at| on(at, till_report::statements::export))
        .rated(Rate::Export)
        .recorded(Action::Exported),
    show("/till/statements.pdf", P::TillReport, &[Data::Traces], |at| on(at, till_report::statements::print))
        .rated(Rate::Export)
        .recorded(Action::Exported),
    show("/till/exposure", P::TillReport, &[Data::Traces], |at| on(at, till_report::exposure::show))
        .recorded(Action::AccountSeen)
        .at(Group::Till, "till-exposure"),
    show("/till/exposure.csv", P::TillReport, &[Data::Traces], |at| on(at, till_report::exposure::export))
        .rated(Rate::Export)
        .recorded(Action::Exported),
    show("/till/revenue", P::TillReport, &[Data::Staff], |at| on(at, till_report::revenue::show))
        .at(Group::Till, "till-revenue"),
    show("/till/revenue.csv", P::TillReport, &[Data::Staff], |at| on(at, till_report::revenue::export))
        .rated(Rate::Export)
        .recorded(Action::Exported),
    show("/till/discounts-given", P::TillReport, &[], |at| on(at, till_report::discounts::show))
        .at(Group::Till, "till-discounts"),
    show("/till/discounts-given.csv", P::TillReport, &[], |at| on(at, till_report::discounts::export))
        .rated(Rate::Export)
        .recorded(Action::Exported),
    show("/till/ageing", P::TillReport, &[Data::Traces], |at| on(at, till_report::ageing::show))
        .recorded(Action::AccountSeen)
        .at(Group::Till, "till-ageing"),
    show("/till/ageing.csv", P::TillReport, &[Data::Traces], |at| on(at, till_report::ageing::export))
        .rated(Rate::Export)
        .recorded(Action::Exported),
    // Setting up the till.
    show("/till/services", P::ChargeSee, &[], |at| on(at, till_office::services::show))
        .at(Group::Till, "till-services"),
    show("/till/services.csv", P::ChargeSee, &[], |at| on(at, till_office::services::export))
        .rated(Rate::Export)
        .recorded(Action::Exported),
    change("/till/services/put", P::PriceEdit, Action::PricesChanged, |at| on(at, till_office::services::put)),
    change("/till/services/price", P::PriceEdit, Action::PricesChanged, |at| on(at, till_office::services::price)),
    show("/till/services/import", P::PriceEdit, &[], |at| on(at, till_office::import::show)),
    change("/till/services/import", P::PriceEdit, Action::PricesChanged, |at| on(at, till_office::import::look))
        .sized(till_office::import::BODY_MAX)
        .rated(Rate::Export),
    change("/till/services/take", P::PriceEdit, Action::PricesChanged, |at| on(at, till_office::import::take))
        .sized(till_office::import::BODY_MAX)
        .rated(Rate::Export),
    show("/till/payers", P::TermsEdit, &[Data::Identity], |at| on(at, till_office::payers::show))
        .recorded(Action::PersonSeen)
        .at(Group::Till, "till-payers"),
    show("/till/payers.csv", P::TermsEdit, &[], |at| on(at, till_office::payers::export))
        .rated(Rate::Export)
        .recorded(Action::Exported),
    show("/till/payers/{id}/members.csv", P::TermsEdit, &[Data::Traces], |at| {
        on(at, till_office::payers::export_members)
    })
    .rated(Rate::Export)
    .recorded(Action::Exported),
    change("/till/payers/put", P::TermsEdit, Action::TermsChanged, |at| on(at, till_office::payers::put)),
    change("/till/payers/pot", P::TermsEdit, Action::TermsChanged, |at| on(at, till_office::payers::pot)),
    change("/till/payers/member", P::TermsEdit, Action::TermsChanged, |at| on(at, till_office::payers::member))
        .rated(Rate::Search),
    change("/till/payers/leave", P::TermsEdit, Action::TermsChanged, |at| on(at, till_office::payers::leave)),
    change("/till/payers/look", P::TermsEdit, Action::TermsChanged, |at| on(at, till_office::payers::look))
        .sized(till_office::import::BODY_MAX)
        .rated(Rate::Export),
    change("/till/payers/take", P::TermsEdit, Action::TermsChanged, |at| on(at, till_office::payers::take))
        .sized(till_office::import::BODY_MAX)
        .rated(Rate::Export),
    show("/till/terms", P::TermsEdit, &[Data::Identity], |at| on(at, till_office::terms::show))
        .recorded(Action::PersonSeen)
        .at(Group::Till, "till-terms"),
    show("/till/terms.csv", P::TermsEdit, &[Data::Traces], |at| on(at, till_office::terms::export))
        .rated(Rate::Export)
        .recorded(Action::Exported),
    change("/till/terms/put", P::TermsEdit, Action::TermsChanged, |at| on(at, till_office::terms::put)),
    change("/till/terms/withdraw", P::TermsEdit, Action::TermsChanged, |at| on(at, till_office::terms::withdraw)),
    change("/till/terms/patient", P::TermsEdit, Action::PersonSearched, |at| on(at, till_office::terms::patient))
        .rated(Rate::Search),
    show("/till/discounts", P::TermsEdit, &[], |at| on(at, till_office::discounts::show))
        .at(Group::Till, "till-scales"),
    show("/till/discounts.csv", P::TermsEdit, &[], |at| on(at, till_office::discounts::export))
        .rated(Rate::Export)
        .recorded(Action::Exported),
    change("/till/discounts/put", P::TermsEdit, Action::TermsChanged, |at| on(at, till_office::discounts::put)),
    show("/till/overrides", P::LimitOverride, &[Data::Identity], |at| on(at, till_office::overrides::show))
        .recorded(Action::PersonSeen)
        .at(Group::Till, "till-overrides"),
    show("/till/overrides.csv", P::LimitOverride, &[Data::Traces], |at| on(at, till_office::overrides::export))
        .rated(Rate::Export)
        .recorded(Action::Exported),
    change("/till/overrides/add", P::LimitOverride, Action::LimitOverridden, |at| on(at, till_office::overrides::add))
        .rated(Rate::Search),
    change("/till/overrides/end", P::LimitOverride, Action::LimitOverridden, |at| on(at, till_office::overrides::end)),
    show("/notices", P::NoticeSee, &[Data::Staff], |at| on(at, notices::show)).at(Group::Office, "notices"),
    show("/notices.csv", P::NoticeSee, &[Data::Staff], |at| on(at, notices::export)).recorded(Action::Exported),
    change("/notices/test", P::NoticeSee, Action::NoticeTested, |at| on(at, notices::test)),
    change("/sign-out", P::OwnAccount, Action::SessionEnded, |at| on(at, sign_in::sign_out)).open_to(Access::SignedIn),
    show("/sign-in", P::OwnAccount, &[], |at| on(at, sign_in::show)).open_to(Access::Anyone),
    change("/sign-in", P::OwnAccount, Action::SignedIn, |at| on(at, sign_in::sign_in))
        .open_to(Access::Anyone)
        .rated(Rate::Secret),
    show("/sign-in/step", P::OwnAccount, &[], |at| on(at, second_step::show)).open_to(Access::Anyone),
    change("/sign-in/step", P::OwnAccount, Action::SignedIn, |at| on(at, second_step::finish)).open_to(Access::Anyone),
    show("/welcome/{link}", P::OwnAccount, &[], |at| on(at, welcome::show)).open_to(Access::Anyone),
    change("/welcome/{link}", P::OwnAccount, Action::PasswordSet, |at| on(at, welcome::redeem)).open_to(Access::Anyone),
    Route {
        is_asset: true,
        ..show("/assets/{name}", P::OwnAccount, &[], |at| on(at, assets::show)).open_to(Access::Anyone)
    },
];

/// Routes of standards that other programs speak.
pub static SERVICES: &[&[Service]] = &[crate::fhircast::SERVICES, crate::openid::SERVICES];

/// All routes, of pages and of the HTTP API: what is in neither of these tables, nor in [`SERVICES`], is not reached.
pub fn all() -> impl Iterator<Item = &'static Route> {
    ROUTES.iter().chain(api::CALLS)
}

/// The places that somebody may open, in the order of the table.
pub fn places(rights: &Rights) -> impl Iterator<Item = (Place, &'static str)> {
    ROUTES
        .iter()
        .filter(|route| route.access.lets(Some(rights)))
        .filter_map(|route| route.place.map(|place| (place, route.path)))
}

/// Whether somebody may open a path of the table.
pub fn opens(rights: &Rights, path: &str) -> bool {
    ROUTES.iter().any(|route| route.path == path && route.access.lets(Some(rights)))
}

/// The whole site. The only place where routes and layers are put together.
pub fn router(app: App) -> Router {
    let mut router = Router::new();
    for route in all() {
        let handler = (route.mount)(route.verb.filter());
        let guarded = match route.operation {
            Some(operation) => handler.route_layer(from_fn_with_state((app.clone(), route, operation), api::guard)),
            None => handler.route_layer(from_fn_with_state((app.clone(), route), guard)),
        };
        router = router.route(route.path, guarded);
    }
    for service in SERVICES.iter().copied().flatten() {
        let handler = (service.mount)(service.verb.filter());
        let guarded = handler.route_layer(from_fn_with_state((app.clone(), service), service::guard));
        router = router.route(service.path, guarded);
    }
    router
        .fallback(|| async { Fault::NotFound })
        .method_not_allowed_fallback(|| async { StatusCode::METHOD_NOT_ALLOWED })
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, REQUEST_TIMEOUT))
        .layer(CatchPanicLayer::custom(panicked))
        // Last, so that it is around everything above.
        .layer(from_fn_with_state(app.clone(), dress))
        .with_state(app)
}

fn panicked(panic: Box<dyn Any + Send>) -> Response<Body> {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
    tracing::error!(panic = text, "page.panicked");
    StatusCode::INTERNAL_SERVER_ERROR.into_response()
}
