//! Orders on their way: from the clinic's table to the gateway, and the answer back.

use clinic::{Database, Error, commands};
use domain::UtcMillis;
use tracing::warn;
use wire::bus::{Action, Command, CommandId, CommandOutcome, CommandResult, Down};

use crate::run::Line;

/// Sends what waits. An order that the line does not take now is tried again at the next look, until it expires.
/// Sent twice (the program died between sending and noting) it is done once: the gateway refuses the repetition.
pub(crate) async fn send_waiting(database: &Database, line: &Line, now: UtcMillis) -> Result<(), Error> {
    for order in commands::waiting(database, now).await? {
        let (id, gateway) = (order.id, order.gateway.clone());
        match Action::from_parts(&order.action, order.point, order.person) {
            Ok(action) => {
                let command = Command {
                    id: CommandId(id),
                    gateway: order.gateway,
                    action,
                    actor: order.actor,
                    reason: order.reason,
                    issued_at: order.issued_at,
                    expires_at: order.expires_at,
                };
                if line.send(&Down::Command(command)).is_ok() {
                    commands::sent(database, id, now).await?;
                }
            }
            Err(problem) => {
                warn!(gateway = %gateway, "an order cannot be sent: {problem}");
                commands::ended(database, &gateway, id, Some(&problem), now).await?;
            }
        }
    }
    Ok(())
}

/// Notes a gateway's answer.
pub(crate) async fn note_result(database: &Database, result: &CommandResult, now: UtcMillis) -> Result<(), Error> {
    let problem = match &result.outcome {
        CommandOutcome::Done => None,
        CommandOutcome::Refused(problem) => Some(problem.as_str()),
    };
    commands::ended(database, &result.gateway, result.id.0, problem, now).await
}
