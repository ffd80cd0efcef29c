//! The table of routes: every path, who may open it, what data it shows and what it changes. The router, the places in
//! the navigation and the tests of access are all made from it; nothing else adds a route.

use std::any::Any;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Response, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::response::IntoResponse;
use axum::routing::{MethodRouter, get, post};
use clinic::accounts::Role::{self, Administrator, Guard, Manager};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::csrf::CsrfLayer;
use tower_http::timeout::TimeoutLayer;

use crate::app::App;
use crate::fault::{Fault, dress};
use crate::guard::guard;
use crate::pages::{accounts, assets, devices, journal, live, me, sign_in, welcome};

/// How long a handler may take; streams are not counted, their answer begins at once.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);

/// Who may open a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Also without signing in.
    Anyone,
    /// These roles.
    Roles(&'static [Role]),
}

/// The most sensitive data that an answer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Data {
    /// Nothing about anybody.
    None,
    /// State of devices.
    Devices,
    /// Pseudonymous traces: who passed where and when.
    Traces,
    /// Accounts of staff.
    Accounts,
}

/// What a route does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// GET, and HEAD with it: changes nothing.
    Show,
    /// POST, from a form of ours.
    Change,
}

/// A place in the navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Key of its text and icon.
    pub key: &'static str,
}

/// One route.
#[derive(Clone, Copy)]
pub struct Route {
    /// Shows or changes.
    pub verb: Verb,
    /// In the router's syntax.
    pub path: &'static str,
    /// Who may open it.
    pub access: Access,
    /// What it shows.
    #[cfg_attr(not(test), expect(dead_code, reason = "read by the tests that are made from the table"))]
    pub data: Data,
    /// The action written down with who did it: in the log of accounts, or for an order in the record of orders and in
    /// the journal of the gateway. For routes that change something.
    #[cfg_attr(not(test), expect(dead_code, reason = "read by the tests that are made from the table"))]
    pub log: Option<&'static str>,
    /// Its place in the navigation, if it is one.
    pub place: Option<Place>,
    /// Whether opening it counts as use of the session.
    pub uses_session: bool,
    /// Fixed files: no cookies.
    pub is_asset: bool,
    handler: fn() -> MethodRouter<App>,
}

const ALL: Access = Access::Roles(&[Guard, Manager, Administrator]);
const OFFICE: Access = Access::Roles(&[Manager, Administrator]);
const ADMIN: Access = Access::Roles(&[Administrator]);

const fn show(path: &'static str, access: Access, data: Data, handler: fn() -> MethodRouter<App>) -> Route {
    let verb = Verb::Show;
    Route { verb, path, access, data, log: None, place: None, uses_session: true, is_asset: false, handler }
}

const fn change(path: &'static str, access: Access, log: &'static str, handler: fn() -> MethodRouter<App>) -> Route {
    let (verb, log) = (Verb::Change, Some(log));
    Route { verb, path, access, data: Data::None, log, place: None, uses_session: true, is_asset: false, handler }
}

const fn place(key: &'static str, route: Route) -> Route {
    Route { place: Some(Place { key }), ..route }
}

/// All routes.
pub static ROUTES: &[Route] = &[
    show("/", ALL, Data::None, || get(live::home)),
    place("live", show("/live", ALL, Data::Traces, || get(live::show))),
    // The stream itself is not use of the session: see the live page for guards.
    Route { uses_session: false, ..show("/live/stream", ALL, Data::Traces, || get(live::stream)) },
    place("devices", show("/devices", ALL, Data::Accounts, || get(devices::show))),
    show("/devices.csv", ALL, Data::Devices, || get(devices::export)),
    // The last part of each of these paths is the order. A guard helps people through and out; what stays in force
    // until somebody ends it is for those who answer for the whole clinic.
    change("/doors/open", ALL, "order_given", || post(devices::give)),
    change("/doors/emergency", ALL, "order_given", || post(devices::give)),
    change("/doors/lock", OFFICE, "order_given", || post(devices::give)),
    change("/doors/free_passage", OFFICE, "order_given", || post(devices::give)),
    change("/doors/normal", OFFICE, "order_given", || post(devices::give)),
    place("journal", show("/journal", ALL, Data::Accounts, || get(journal::show))),
    show("/journal.csv", OFFICE, Data::Traces, || get(journal::export)),
    place("accounts", show("/accounts", ADMIN, Data::Accounts, || get(accounts::show))),
    change("/accounts/create", ADMIN, "created", || post(accounts::create)),
    change("/accounts/change", ADMIN, "role_changed", || post(accounts::change)),
    show("/me", ALL, Data::Accounts, || get(me::show)),
    change("/me/preferences", ALL, "preferences", || post(me::preferences)),
    change("/me/password", ALL, "password_changed", || post(me::password)),
    change("/me/sessions", ALL, "session_ended", || post(me::sessions)),
    change("/sign-out", ALL, "session_ended", || post(sign_in::sign_out)),
    show("/sign-in", Access::Anyone, Data::None, || get(sign_in::show)),
    change("/sign-in", Access::Anyone, "signed_in", || post(sign_in::sign_in)),
    show("/welcome/{link}", Access::Anyone, Data::None, || get(welcome::show)),
    change("/welcome/{link}", Access::Anyone, "password_set", || post(welcome::redeem)),
    Route { is_asset: true, ..show("/assets/{name}", Access::Anyone, Data::None, || get(assets::show)) },
];

/// The places that a role may open, in the order of the table.
pub fn places(role: Role) -> impl Iterator<Item = (&'static str, &'static str)> {
    ROUTES.iter().filter_map(move |route| match (route.place, route.access) {
        (Some(place), Access::Roles(roles)) if roles.contains(&role) => Some((place.key, route.path)),
        _ => None,
    })
}

/// Whether a role may open a path of the table.
pub fn opens(role: Role, path: &str) -> bool {
    ROUTES.iter().any(|route| match route.access {
        Access::Anyone => route.path == path,
        Access::Roles(roles) => route.path == path && roles.contains(&role),
    })
}

/// The whole site. The only place where routes and layers are put together.
pub fn router(app: App) -> Router {
    let mut router = Router::new();
    for route in ROUTES {
        let guarded = (route.handler)().route_layer(from_fn_with_state((app.clone(), route), guard));
        router = router.route(route.path, guarded);
    }
    router
        .fallback(|| async { Fault::NotFound })
        .method_not_allowed_fallback(|| async { StatusCode::METHOD_NOT_ALLOWED })
        // Another site's form or script: refused before anything is read.
        .layer(CsrfLayer::new())
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
