//! How routes of the table are made: pages and changes that need a permission, those of workstations, calls of the HTTP
//! API. Only these functions make one, so that nothing is left out.

use clinic::audit::Action;
use domain::Permission;

use super::{Access, Csrf, Data, Desk, Group, Mount, Place, Rate, Route, Verb};
use crate::api;
use crate::api::describe::Operation;
use crate::guard::FORM_MAX_BYTES;
use crate::pages::sealed::boxes::PAGE_MAX_BYTES as BOXES_MAX_BYTES;

const fn route(verb: Verb, path: &'static str, access: Access, mount: Mount) -> Route {
    let csrf = if matches!(verb, Verb::Show) { Csrf::None } else { Csrf::Form };
    Route {
        verb,
        path,
        access,
        csrf,
        data: &[],
        audit: None,
        place: None,
        body_max: FORM_MAX_BYTES,
        rate: Rate::Page,
        operation: None,
        uses_session: true,
        is_asset: false,
        mount,
    }
}

/// A page that needs a permission.
pub(super) const fn show(path: &'static str, needs: Permission, data: &'static [Data], mount: Mount) -> Route {
    Route { data, ..route(Verb::Show, path, Access::Needs(needs), mount) }
}

/// A change that needs a permission.
pub(super) const fn change(path: &'static str, needs: Permission, audit: Action, mount: Mount) -> Route {
    Route { audit: Some(audit), ..route(Verb::Change, path, Access::Needs(needs), mount) }
}

/// A page of a workstation's browser.
pub(super) const fn desk(path: &'static str, wants: Desk, data: &'static [Data], mount: Mount) -> Route {
    Route { data, ..route(Verb::Show, path, Access::AtDesk(wants), mount) }
}

/// A change from a workstation's browser.
pub(super) const fn act(path: &'static str, wants: Desk, audit: Action, mount: Mount) -> Route {
    Route { audit: Some(audit), ..route(Verb::Change, path, Access::AtDesk(wants), mount) }
}

/// A call of the HTTP API.
pub const fn call(
    verb: Verb,
    path: &'static str,
    access: Access,
    operation: &'static Operation,
    mount: Mount,
) -> Route {
    let csrf = if matches!(verb, Verb::Show) { Csrf::None } else { Csrf::Key };
    let (rate, body_max) = (operation.rate, api::BODY_MAX_BYTES);
    Route { csrf, rate, body_max, operation: Some(operation), uses_session: false, ..route(verb, path, access, mount) }
}

/// Sealed boxes, in or out, as JSON with the form's token in a header.
pub(super) const fn boxes(
    path: &'static str,
    needs: Permission,
    audit: Action,
    data: &'static [Data],
    mount: Mount,
) -> Route {
    Route { data, body_max: BOXES_MAX_BYTES, ..change(path, needs, audit, mount) }
}

impl Route {
    /// What it shows.
    pub const fn shows(self, data: &'static [Data]) -> Self {
        Self { data, ..self }
    }

    /// What the audit log says about it.
    pub const fn recorded(self, action: Action) -> Self {
        Self { audit: Some(action), ..self }
    }

    /// The largest body that it takes, in bytes.
    pub const fn sized(self, body_max: usize) -> Self {
        Self { body_max, ..self }
    }

    /// How much work it makes.
    pub const fn rated(self, rate: Rate) -> Self {
        Self { rate, ..self }
    }

    /// As a place in the navigation; `key` names its text and its icon.
    pub(super) const fn at(self, group: Group, key: &'static str) -> Self {
        Self { place: Some(Place { key, group }), ..self }
    }

    /// For everybody, or for everybody who is signed in.
    pub(super) const fn open_to(self, access: Access) -> Self {
        Self { access, ..self }
    }
}
