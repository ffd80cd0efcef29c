//! The feed of changes for systems that ask themselves: the same facts in the same form, behind a number that the asker
//! keeps.

use domain::{Field, Permission};
use store::Database;

use super::{Fact, OutboxError, facts_of, is_name};
use crate::acting::Acting;
use crate::changes;

/// Facts behind number `after` in order, at most `limit`; with the number to ask for next and whether there is more.
/// `system` names the system of `person_alias` whose names for people are told; they are shown to those only who may see
/// what other systems call people, charges and payments to those only who may see what patients were charged.
///
/// # Errors
/// [`OutboxError::Denied`] without [`Permission::FeedRead`]; [`OutboxError::BadName`]; engine errors.
pub async fn feed(
    database: &Database,
    acting: &Acting,
    system: &str,
    after: u64,
    limit: u32,
) -> Result<(Vec<Fact>, u64, bool), OutboxError> {
    acting.must(Permission::FeedRead)?;
    if !system.is_empty() && !is_name(system) {
        return Err(OutboxError::BadName);
    }
    let found = changes::after(database, after, limit).await?;
    let next = found.last().map_or(after, |change| change.id);
    let more = found.len() >= limit.min(changes::READ_MAX) as usize;
    let mut facts = facts_of(database, system, found).await?;
    if !acting.rights.shows(Field::Reference) {
        facts.iter_mut().for_each(Fact::without_names);
    }
    if !acting.rights.allows(Permission::ChargeSee) {
        facts.iter_mut().for_each(Fact::without_money);
    }
    Ok((facts, next, more))
}
