//! Orders for doors. An order is carried out within seconds or never; what became of it is asked for by its number.

use axum::http::StatusCode;
use axum::response::Response;
use clinic::acting::Actor;
use clinic::commands::{self, LIFE_MS, Order, Progress};
use clinic::{devices, watch};
use domain::{Denied, GatewayId, Permission, PersonId, PointId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::call::{Call, json, ok};
use super::codes;
use super::describe::{Form, Gives, Operation, Parameter, Shape};
use super::persons::note_of;
use super::problem::Problem;

/// An order for a door.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewOrder {
    /// The gateway of the point, if points of the same name stand at several.
    #[serde(default)]
    #[schema(pattern = "^[A-Za-z0-9._:/-]{1,64}$")]
    gateway: Option<String>,
    /// Why, in your words. No names of people: it travels to the gateway and its journal.
    #[serde(default)]
    #[schema(max_length = 200)]
    reason: Option<String>,
}

/// An order and what became of it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OrderBody {
    /// Its number.
    #[schema(pattern = "^[0-9a-f]{32}$")]
    order: String,
    /// What became of it: `waiting` to be sent, `sent`, `done`, `refused` by the gateway, `expired` without an answer.
    /// The last three are final.
    #[schema(schema_with = codes::progress)]
    state: &'static str,
    /// Why the gateway refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

const POINT: Parameter = Parameter::path("point", Form::Name, "The point.");

const fn orders(id: &'static str, summary: &'static str) -> Operation {
    Operation {
        about: "Carried out within 10 s or never. Ask for its number to learn what became of it.",
        parameters: &[POINT],
        takes: Some(Shape::of::<NewOrder>()),
        gives: Gives::Json(202, Shape::of::<OrderBody>()),
        repeatable: true,
        ..Operation::reads(id, "doors", summary, Shape::of::<OrderBody>())
    }
}

pub const OPEN: Operation = orders("point_open", "Open a door once");
pub const EMERGENCY: Operation = orders("point_emergency", "Release a door for an emergency");
pub const LOCK: Operation = orders("point_lock", "Lock a door: nobody is let in");
pub const FREE: Operation = orders("point_free_passage", "Set a door free: nobody is asked");
pub const NORMAL: Operation = orders("point_normal", "Put a door back to normal");

pub const PROGRESS: Operation = Operation {
    parameters: &[Parameter::path("order", Form::Id, "The number of the order.")],
    ..Operation::reads("order", "doors", "What became of an order", Shape::of::<OrderBody>())
};

fn body(id: [u8; 16], progress: Progress) -> OrderBody {
    let (state, problem) = match progress {
        Progress::Waiting => ("waiting", None),
        Progress::Sent => ("sent", None),
        Progress::Done => ("done", None),
        Progress::Refused(problem) => ("refused", Some(problem)),
        Progress::Expired => ("expired", None),
    };
    OrderBody { order: PersonId(id).to_string(), state, problem }
}

/// `POST /api/v1/points/{point}/…`: the last part of the path is the order.
pub async fn give(call: Call) -> Result<Response, Problem> {
    let point: PointId = call.given("point")?;
    let asked: NewOrder = call.json()?;
    let action = call.route.path.rsplit('/').next().ok_or(Problem::NotFound)?;
    let gateway = asked.gateway.as_deref().map(GatewayId::new).transpose();
    let gateway = gateway.map_err(|_| Problem::invalid("/gateway", "expected 1 to 64 of A-Z a-z 0-9 . _ : / -"))?;
    let (database, acting, now) = (&call.app.database, call.acting()?, call.app.now());
    // Whether the door is in reach is checked with the order; one that is not is not there.
    let doors = devices::doors(database).await?.into_iter().filter(|door| door.device.point == point);
    let mut here = doors.filter(|door| gateway.as_ref().is_none_or(|wanted| *wanted == door.gateway));
    let door = match (here.next(), here.next()) {
        (Some(door), None) => door,
        (Some(_), Some(_)) => {
            return Err(Problem::invalid("/gateway", "points of this name stand at several gateways"));
        }
        (None, _) => return Err(Problem::NotFound),
    };
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(|_| Problem::Unavailable)?;
    let Actor::ApiKey(key) = &acting.actor else { return Err(Problem::Unauthorized) };
    let order = Order {
        id,
        gateway: door.gateway,
        action: action.to_owned(),
        point: Some(point),
        person: None,
        actor: key.clone(),
        reason: note_of(asked.reason)?,
        issued_at: now,
        expires_at: now.plus_ms(LIFE_MS),
    };
    watch::order(database, acting, &order).await?;
    json(StatusCode::ACCEPTED, &body(id, Progress::Waiting))
}

/// `GET /api/v1/orders/{order}`
pub async fn progress(call: Call) -> Result<Response, Problem> {
    let rights = &call.acting()?.rights;
    if !rights.allows(Permission::DoorOpen) && !rights.allows(Permission::DoorCommand) {
        return Err(Denied(Permission::DoorOpen).into());
    }
    // A pseudonym has the same shape: 128 random bits, so that nobody asks for an order that they do not know of.
    let id: PersonId = call.given("order")?;
    let progress = commands::progress(&call.app.database, id.0, call.app.now()).await?.ok_or(Problem::NotFound)?;
    ok(&body(id.0, progress))
}
