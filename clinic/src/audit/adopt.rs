//! Taking over the lines of the older log of accounts (`account_log`) as the first entries of this one. What they say is
//! from then on as fixed as everything else; what happened to them before cannot be shown.

use std::net::IpAddr;

use domain::UtcMillis;
use sqlx::FromRow;
use store::{Database, Error, transact};

use super::{Action, Draft, record};
use crate::acting::Actor;

/// Lines taken over by one transaction.
const AT_ONCE: i64 = 500;

#[derive(FromRow)]
struct Line {
    id: String,
    at: i64,
    actor: Option<String>,
    action: String,
    target: Option<String>,
    address: Option<String>,
    detail: Option<String>,
}

/// Takes over what is left of the older log and empties it; nothing happens when it is empty. Called at every start: an
/// interrupted run goes on where it stopped.
///
/// # Errors
/// Engine errors.
pub async fn adopt(database: &Database, now: UtcMillis) -> Result<u64, Error> {
    let mut adopted = 0;
    loop {
        let taken: u64 = transact!(database, "audit.adopt", |conn| {
            let lines: Vec<Line> = sqlx::query_as(
                "SELECT id, at, actor, action, target, address, detail FROM account_log ORDER BY at, id LIMIT $1",
            )
            .bind(AT_ONCE)
            .fetch_all(&mut *conn)
            .await?;
            for line in &lines {
                record!(conn, &draft(line));
                sqlx::query("DELETE FROM account_log WHERE id = $1").bind(&line.id).execute(&mut *conn).await?;
            }
            let taken = lines.len() as u64;
            if taken > 0 {
                let detail = Some(format!("lines={taken}"));
                record!(conn, &Draft { detail, ..Draft::new(now, Actor::System, Action::Adopted) });
            }
            Ok(taken)
        })?;
        if taken == 0 {
            return Ok(adopted);
        }
        adopted += taken;
    }
}

fn draft(line: &Line) -> Draft {
    let action = match line.action.as_str() {
        "created" => Action::AccountCreated,
        "disabled" => Action::AccountDisabled,
        "enabled" => Action::AccountEnabled,
        "role_changed" => Action::RolesChanged,
        other => Action::parse(other).unwrap_or(Action::Adopted),
    };
    let outcome = if action == Action::SignInFailed { super::Outcome::Refused } else { super::Outcome::Done };
    let actor = line.actor.clone().map_or(Actor::Anybody, Actor::Account);
    let mut detail = format!("adopted={}", line.action);
    if let Some(more) = &line.detail {
        detail.push_str("; ");
        detail.push_str(more);
    }
    Draft {
        outcome,
        address: line.address.as_deref().and_then(|text| text.parse::<IpAddr>().ok()).map(|it| it.to_string()),
        object: line.target.clone(),
        detail: Some(detail),
        ..Draft::new(UtcMillis(line.at), actor, action)
    }
}
