//! That somebody looked at what a patient was charged and owes is written into the audit log: once for who looks, the patient
//! and a quarter of an hour, because a page that searches while one types would otherwise write an entry for each key.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use domain::{PersonId, UtcMillis};
use store::{Error, transact};

use super::Till;
use crate::acting::{Acting, Actor};
use crate::audit::{self, Action, Draft, Purpose};

/// One look counts for so long, in milliseconds.
const LOOK_MS: i64 = 15 * 60 * 1000;
/// Looks remembered; when there are more all are forgotten, and each is written once more.
const LOOKS_MAX: usize = 4096;

/// Whose look, at whom, under which breaking of glass.
type Look = (String, Option<String>, PersonId, Option<String>);

/// Looks of the last quarter of an hour, shared by all clones of a till.
#[derive(Debug, Default)]
pub(crate) struct Looks {
    seen: Mutex<HashMap<Look, UtcMillis>>,
}

impl Looks {
    /// Whether such a look was written not long ago.
    fn is_known(&self, look: &Look, now: UtcMillis) -> bool {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(look).is_some_and(|at| (0..LOOK_MS).contains(&now.since_ms(*at)))
    }

    /// It is written now.
    fn remember(&self, look: Look, now: UtcMillis) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= LOOKS_MAX {
            seen.clear();
        }
        seen.insert(look, now);
    }
}

impl Till {
    /// Records that somebody looked at what a patient was charged. Before anything is shown.
    pub(super) async fn looked(&self, acting: &Acting, patient: PersonId, purpose: Purpose) -> Result<(), Error> {
        let actor = acting.actor.id().map(|id| id.into_owned());
        let kind = acting.actor.kind().to_owned();
        let look = (kind, actor.or_else(|| acting.session.clone()), patient, acting.glass.clone());
        let now = self.clock.now();
        // What nobody stands behind is written each time.
        let is_somebody = matches!(acting.actor, Actor::Account(_) | Actor::Staff(_) | Actor::ApiKey(_));
        if is_somebody && self.looks.is_known(&look, now) {
            return Ok(());
        }
        let draft = Draft { subject: Some(patient), purpose: Some(purpose), ..acting.draft(now, Action::AccountSeen) };
        transact!(self.database, "till.looked", |conn| {
            audit::record!(conn, &draft);
            Ok(())
        })?;
        self.looks.remember(look, now);
        Ok(())
    }
}
