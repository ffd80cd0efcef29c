//! Passes as people and other systems handle them: with the right to do so, and with an entry of the audit log in the
//! transaction of the change.

use domain::policy::PassState;
use domain::{CardId, Denied, Permission, PersonId, UtcMillis};
use store::{Database, transact};
use thiserror::Error;

use super::{Change, Edit, Pass};
use crate::acting::Acting;
use crate::audit::{self, Action, Draft};

/// Why a pass was not changed.
#[derive(Debug, Error)]
pub enum PassError {
    /// A permission is missing.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// It was changed since the one who asks read it; it has been as it is since this instant.
    #[error("the pass was changed at {0}, after it was read; look at it again")]
    ChangedSince(UtcMillis),
    /// A pass that was withdrawn stays so: its card may belong to somebody else by now.
    #[error("this pass was withdrawn; give a new one instead")]
    Withdrawn,
    /// The database did not do it.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// The pass of a card, for somebody who may see it; `None` for a card that was never registered.
///
/// # Errors
/// [`PassError::Denied`] without `person_see` and without `pass_edit`; the database.
pub async fn pass_for(database: &Database, acting: &Acting, card: CardId) -> Result<Option<Pass>, PassError> {
    may_see(acting)?;
    Ok(super::pass(database, card).await?)
}

/// The passes of a person, for somebody who may see them.
///
/// # Errors
/// As [`pass_for`].
pub async fn passes_for(database: &Database, acting: &Acting, person: PersonId) -> Result<Vec<Pass>, PassError> {
    may_see(acting)?;
    Ok(super::passes_of(database, person).await?)
}

fn may_see(acting: &Acting) -> Result<(), Denied> {
    if acting.rights.allows(Permission::PassEdit) { Ok(()) } else { acting.must(Permission::PersonSee) }
}

/// Blocks a pass, marks it lost, makes it work again or withdraws it. `seen`: the [`Pass::since`] of the pass as the
/// one who asks has read it; if it has changed meanwhile, nothing is done. `note`: why, in their words.
///
/// # Errors
/// [`PassError`].
pub async fn change_state(
    database: &Database,
    acting: &Acting,
    card: CardId,
    state: PassState,
    seen: Option<UtcMillis>,
    note: Option<String>,
    now: UtcMillis,
) -> Result<Change, PassError> {
    acting.must(Permission::PassEdit)?;
    let entry = Draft {
        object: Some(card.to_string()),
        detail: Some(state.to_string()),
        note,
        ..acting.draft(now, Action::PassChanged)
    };
    let card = card.to_string();
    transact!(database, "people.change_state", |conn| {
        let Some(before) = current!(conn, &card) else { return Ok(Ok(Change::Unknown)) };
        let since = UtcMillis(before.since_ms);
        if seen.is_some_and(|seen| seen != since) {
            return Ok(Err(PassError::ChangedSince(since)));
        }
        if before.state == PassState::Withdrawn.as_str() && state != PassState::Withdrawn {
            return Ok(Err(PassError::Withdrawn));
        }
        let Some(after) = Edit::State(state).applied_to(&before) else { return Ok(Ok(Change::Unchanged)) };
        let version = replace!(conn, &before, &after, now);
        let person: PersonId = crate::rows::column("credential", "person", &before.person, |text: &str| text.parse())?;
        let entry = Draft { subject: Some(person), ..entry.clone() };
        audit::record!(conn, &entry);
        Ok(Ok(Change::Changed(version)))
    })?
}
