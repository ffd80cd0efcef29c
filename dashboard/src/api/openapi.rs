//! The description of the API (OpenAPI 3.1), made from the table of routes: what is not in the table is not described,
//! and what is described is in the table.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{OperationBuilder, Parameter as Described, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, HttpMethod, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, PathsBuilder,
    Ref, RefOr, Required, ResponseBuilder,
};

use super::call::Call;
use super::describe::{Gives, Operation, Parameter, Place, Shape};
use super::guard::REQUEST_NAME;
use super::problem::{CONTENT_TYPE as PROBLEM, Problem, ProblemBody};
use crate::fault::Dressed;
use crate::routes::{self, Access, Route, Verb};

/// Name of the way to be let in.
const KEY: &str = "key";
const ABOUT: &str = "People are known here by pseudonym; names and the like are given one person at a time, with a \
     purpose, to keys that may see them, and each such answer is recorded. Times are UTC (RFC 3339). Parameters and \
     fields that are not described are refused. Every key has a rate; beyond it, 429 says when to come back.";

static TEXT: LazyLock<String> = LazyLock::new(|| document().to_json().unwrap_or_default());

/// `GET /api/v1/openapi.json`
pub async fn show(_: Call) -> Result<Response, Problem> {
    let mut response = TEXT.as_str().into_response();
    let json = HeaderValue::from_static("application/json; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response.extensions_mut().insert(Dressed);
    Ok(response)
}

/// Calls of the table, with how they are described.
pub fn operations() -> impl Iterator<Item = (&'static Route, &'static Operation)> {
    routes::all().filter_map(|route| Some((route, route.operation?)))
}

/// The whole description.
pub fn document() -> OpenApi {
    let mut schemas: BTreeMap<String, RefOr<Schema>> = BTreeMap::new();
    let mut paths = PathsBuilder::new();
    let mut items: BTreeMap<&'static str, Vec<(HttpMethod, utoipa::openapi::path::Operation)>> = BTreeMap::new();
    let mut learn = |shape: Shape| {
        let mut parts = Vec::new();
        (shape.parts)(&mut parts);
        schemas.extend(parts);
        schemas.insert((shape.name)().into_owned(), (shape.schema)());
    };
    learn(Shape::of::<ProblemBody>());
    for (route, operation) in operations() {
        let Gives::Json(_, shape) = operation.gives;
        learn(shape);
        if let Some(shape) = operation.takes {
            learn(shape);
        }
        let method = if route.verb == Verb::Show { HttpMethod::Get } else { HttpMethod::Post };
        items.entry(route.path).or_default().push((method, describe(route, operation)));
    }
    for (path, operations) in items {
        let mut item = utoipa::openapi::path::PathItem::default();
        for (method, operation) in operations {
            item.merge_operations(utoipa::openapi::PathItem::new(method, operation));
        }
        paths = paths.path(path, item);
    }
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("tapward_ and 64 hexadecimal digits");
    let components = ComponentsBuilder::new()
        .schemas_from_iter(schemas)
        .security_scheme(KEY, SecurityScheme::Http(bearer.description(Some("Made on the page /api-keys.")).build()));
    let info = InfoBuilder::new()
        .title("Tapward")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT))
        .license(Some(LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build()));
    OpenApiBuilder::new().info(info).paths(paths).components(Some(components.build())).build()
}

fn describe(route: &Route, operation: &Operation) -> utoipa::openapi::path::Operation {
    let needs = match route.access {
        // No call of the API is made from a workstation.
        Access::Anyone | Access::AtDesk(_) => "Needs no key.".to_owned(),
        Access::SignedIn => "Needs a key, with whatever permission.".to_owned(),
        Access::Needs(permission) => format!("Needs the permission `{permission}`."),
    };
    let about = [operation.about, &needs].join(" ");
    let mut built = OperationBuilder::new()
        .operation_id(Some(operation.id))
        .tag(operation.tag)
        .summary(Some(operation.summary))
        .description(Some(about.trim()));
    for parameter in operation.parameters.iter().chain(operation.repeatable.then_some(&REQUEST_NAME)) {
        built = built.parameter(described(parameter));
    }
    if let Some(shape) = operation.takes {
        let body = RequestBodyBuilder::new().required(Some(Required::True));
        built = built.request_body(Some(body.content("application/json", content(shape)).build()));
    }
    let good = ResponseBuilder::new().description("Done.");
    let good = match operation.gives {
        Gives::Json(_, shape) => good.content("application/json", content(shape)),
    };
    built = built.response(operation.gives.status().to_string(), good.build());
    for status in problems(route, operation) {
        built = built.response(status.to_string(), problem(status));
    }
    if route.access != Access::Anyone {
        built = built.security(SecurityRequirement::new(KEY, Vec::<String>::new()));
    }
    built.build()
}

/// The statuses of problems that a call may answer with.
fn problems(route: &Route, operation: &Operation) -> Vec<u16> {
    let mut statuses = vec![400, 406, 429, 500, 503];
    if route.access != Access::Anyone {
        statuses.extend([401, 403]);
    }
    if operation.parameters.iter().any(|parameter| parameter.place == Place::Path) {
        statuses.push(404);
    }
    if route.verb == Verb::Change {
        // 403: a page of another site.
        statuses.push(403);
    }
    if operation.takes.is_some() {
        statuses.extend([408, 413, 415]);
    }
    if operation.repeatable {
        statuses.push(409);
    }
    statuses.extend(operation.problems);
    statuses.sort_unstable();
    statuses.dedup();
    statuses
}

fn problem(status: u16) -> utoipa::openapi::Response {
    let text = Problem::samples().into_iter().find(|sample| sample.status().as_u16() == status);
    let text = text.map_or("A problem.", |sample| sample.title());
    let essence = PROBLEM.split(';').next().unwrap_or(PROBLEM);
    let mut built = ResponseBuilder::new().description(text).content(essence, content(Shape::of::<ProblemBody>()));
    if status == 429 {
        let seconds = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1));
        built = built.header("Retry-After", HeaderBuilder::new().schema(Some(seconds)).build());
    }
    built.build()
}

fn content(shape: Shape) -> utoipa::openapi::Content {
    ContentBuilder::new().schema(Some(Ref::from_schema_name((shape.name)()))).build()
}

fn described(parameter: &Parameter) -> Described {
    let (place, required) = match parameter.place {
        Place::Path => (ParameterIn::Path, Required::True),
        Place::Query => (ParameterIn::Query, Required::False),
        Place::Header => (ParameterIn::Header, Required::False),
    };
    ParameterBuilder::new()
        .name(parameter.name)
        .parameter_in(place)
        .required(required)
        .description(Some(parameter.about))
        .schema(Some(parameter.form.schema()))
        .build()
}
