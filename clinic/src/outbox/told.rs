//! What was told is a disclosure: a line of the register says for each quarter of an hour how much, about whom and to which
//! system. One line for each delivery would say no more.

use std::collections::BTreeSet;

use domain::{Field, PersonId, UtcMillis};
use store::{Database, Error, sqlx, transact};

use crate::acting::{Acting, Actor};
use crate::audit;
use crate::disclosures::{self, Class, Disclosure, Ground, PERSONS_MAX, Recipient, Route};

/// So much time one line tells of, in milliseconds.
const EVERY_MS: i64 = 15 * 60_000;
/// What ended so recently is left for the next line: it may not be committed yet. In milliseconds.
const MARGIN_MS: i64 = 60_000;

/// Registers what a destination was told since the last line, if that is a quarter of an hour ago; the value is how many
/// deliveries those are. Of several bridges one does it.
///
/// # Errors
/// Engine errors.
pub async fn register_told(database: &Database, name: &str, now: UtcMillis) -> Result<u64, Error> {
    let upto = now.plus_ms(-MARGIN_MS);
    let id = disclosures::new_id()?;
    let (name, acting) = (name.to_owned(), Acting::system());
    transact!(database, "outbox.register_told", |conn| {
        let since: Option<i64> = sqlx::query_scalar("SELECT registered_ms FROM destination WHERE name = $1")
            .bind(&name)
            .fetch_optional(&mut *conn)
            .await?;
        let Some(since) = since.filter(|since| upto.since_ms(UtcMillis(*since)) >= EVERY_MS) else { return Ok(0) };
        // Each line of deliveries once: a patient's, a specialist's or a workstation's.
        let lines: Vec<(String, i64)> = sqlx::query_as(
            "SELECT line, COUNT(*) FROM delivery
             WHERE destination = $1 AND ended_ms > $2 AND ended_ms <= $3 AND state = 'done'
             GROUP BY line ORDER BY line LIMIT $4",
        )
        .bind(&name)
        .bind(since)
        .bind(upto.0)
        .bind(i64::try_from(PERSONS_MAX).unwrap_or(i64::MAX))
        .fetch_all(&mut *conn)
        .await?;
        sqlx::query("UPDATE destination SET registered_ms = $1 WHERE name = $2 AND registered_ms = $3")
            .bind(upto.0)
            .bind(&name)
            .bind(since)
            .execute(&mut *conn)
            .await?;
        let records: i64 = lines.iter().map(|(_, count)| count).sum();
        if records == 0 {
            return Ok(0);
        }
        let persons: BTreeSet<PersonId> = lines.iter().filter_map(|(line, _)| line.parse().ok()).collect();
        let disclosure = Disclosure {
            route: Route::Message,
            to: Recipient::of(&Actor::Peer(name.clone())),
            ground: Ground::Operation,
            object: Some(format!("deliveries to {name}")),
            classes: vec![Class::LocationTrace],
            fields: vec![Field::Reference],
            records: records.cast_unsigned(),
            persons,
        };
        let draft = disclosures::entry(&acting, now, &id, &disclosure, None);
        disclosures::disclose!(conn, id.as_str(), now, &acting, &disclosure);
        audit::record!(conn, &draft);
        Ok(records.cast_unsigned())
    })
}
