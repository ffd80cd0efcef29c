//! The FHIRcast hub as programs at workstations see it: discovery, subscribing, publishing, asking what is open, and the
//! sockets by which they are told.
//!
//! Owns the sockets of this process (`follow`: who holds which, and the one task that reads what is to be told; `socket`:
//! one of them; `acks`: what it has not acknowledged) and how requests are read (`ask`). Decides nothing about charts: that is
//! `clinic::fhircast`. Several dashboards on one database each serve their own sockets. Topics and addresses of sockets are
//! in no log.

mod acks;
mod answers;
mod ask;
mod follow;
mod socket;

use axum::routing::on;
use clinic::fhircast::{Hub, MESSAGE_MAX_BYTES};

use crate::routes::Verb;
use crate::service::{Service, service};

pub use follow::Sockets;

/// Where the hub is: its address is the site's with this path.
pub const PATH: &str = "/fhircast/STU3";
/// Where sockets are, before their last part.
const SOCKETS: &str = "/fhircast/ws/";

/// The hub and its sockets.
pub struct Cast {
    /// What decides.
    pub hub: Hub,
    /// Who is told.
    pub sockets: Sockets,
}

/// Its routes. A topic may stand in the address, as the standard has it.
pub const SERVICES: &[Service] = &[
    service(Verb::Show, "/fhircast/STU3/.well-known/fhircast-configuration", 0, |at| on(at, answers::configuration)),
    service(Verb::Ask, "/fhircast/STU3/.well-known/fhircast-configuration", 0, |at| on(at, answers::may_ask)),
    service(Verb::Change, "/fhircast/STU3", MESSAGE_MAX_BYTES, |at| on(at, answers::post)),
    service(Verb::Ask, "/fhircast/STU3", 0, |at| on(at, answers::may_ask)),
    service(Verb::Change, "/fhircast/STU3/", MESSAGE_MAX_BYTES, |at| on(at, answers::post)),
    service(Verb::Ask, "/fhircast/STU3/", 0, |at| on(at, answers::may_ask)),
    service(Verb::Show, "/fhircast/STU3/{topic}", 0, |at| on(at, answers::context)),
    service(Verb::Change, "/fhircast/STU3/{topic}", MESSAGE_MAX_BYTES, |at| on(at, answers::post_to_topic)),
    service(Verb::Ask, "/fhircast/STU3/{topic}", 0, |at| on(at, answers::may_ask)),
    service(Verb::Show, "/fhircast/ws/{endpoint}", 0, |at| on(at, socket::open)),
];
