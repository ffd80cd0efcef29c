//! The description of the HTTP API for people, made from the same table as the one for programs. In English only, like
//! the description itself: names of calls and fields are.

use std::collections::BTreeMap;

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use crate::api::describe::{Operation, Place};
use crate::api::openapi::operations;
use crate::api::problem::Problem;
use crate::fault::Fault;
use crate::rate::Rate;
use crate::routes::{Access, Route};
use crate::view::{Frame, page as render};
use crate::visit::Visit;

#[derive(Template)]
#[template(path = "api.html")]
struct Page {
    frame: Frame,
    groups: Vec<(&'static str, Vec<Line>)>,
    kinds: Vec<Kind>,
}

/// One call.
struct Line {
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    about: &'static str,
    needs: Option<&'static str>,
    parameters: Vec<(&'static str, &'static str, &'static str)>,
    takes: Option<String>,
    is_repeatable: bool,
    per_minute: u32,
}

/// One kind of problem.
struct Kind {
    code: &'static str,
    status: u16,
    title: &'static str,
}

/// `GET /api`
pub async fn show(visit: Visit) -> Result<Response, Fault> {
    let mut groups: BTreeMap<&'static str, Vec<Line>> = BTreeMap::new();
    for (route, operation) in operations() {
        groups.entry(operation.tag).or_default().push(line(route, operation));
    }
    let kinds = Problem::samples();
    let kinds = kinds.iter().map(|it| Kind { code: it.code(), status: it.status().as_u16(), title: it.title() });
    let frame = Frame::new(&visit, "api_keys");
    render(StatusCode::OK, &Page { frame, groups: groups.into_iter().collect(), kinds: kinds.collect() })
}

fn line(route: &Route, operation: &Operation) -> Line {
    let parameters = operation.parameters.iter().map(|parameter| {
        let place = match parameter.place {
            Place::Path => "path",
            Place::Query => "query",
            Place::Header => "header",
        };
        (parameter.name, place, parameter.about)
    });
    Line {
        method: route.verb.as_str(),
        path: route.path,
        summary: operation.summary,
        about: operation.about,
        needs: match route.access {
            // No call of the API is made from a workstation.
            Access::Anyone | Access::AtDesk(_) => None,
            Access::SignedIn => Some("any key"),
            Access::Needs(permission) => Some(permission.as_str()),
        },
        parameters: parameters.collect(),
        takes: operation.takes.map(|shape| (shape.name)().into_owned()),
        is_repeatable: operation.repeatable,
        per_minute: if operation.rate == Rate::Page { 0 } else { operation.rate.per_minute() },
    }
}
