//! Where the desk meets visits: hands over patients' taps, and tells what became of the binding they belong to.

use domain::PersonId;
use domain::desk::{EndWhy, Refusal, patient_tap};
use domain::policy::PassKind;
use store::Error;

use super::sessions::By;
use super::tap::Tap;
use super::{DeskSession, TapOutcome};

/// Whose card it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Patient {
    /// Whom the pass names.
    pub pass_of: PersonId,
    /// Who that is, after merges.
    pub person: PersonId,
    /// What kind of pass it is.
    pub pass: PassKind,
}

/// A patient's tap. `Err`: refused, and nothing is written yet.
pub(super) async fn take<C>(
    _conn: &mut C,
    tap: &Tap,
    patient: &Patient,
    here: Option<&DeskSession>,
) -> Result<Result<TapOutcome, Refusal>, Error> {
    let bound = here.and_then(DeskSession::bound);
    if let Err(refusal) = patient_tap(bound.as_ref(), tap.at) {
        return Ok(Err(refusal));
    }
    tracing::debug!(pass = %patient.pass, merged = patient.pass_of != patient.person, "desk.patient");
    Ok(Ok(TapOutcome::Patient("taken", None)))
}

/// A binding began or became usable.
pub(super) async fn session_bound<C>(_conn: &mut C, _session: &DeskSession, _by: &By) -> Result<(), Error> {
    Ok(())
}

/// A binding ended.
pub(super) async fn session_ended<C>(
    _conn: &mut C,
    _session: &DeskSession,
    _why: EndWhy,
    _by: &By,
) -> Result<(), Error> {
    Ok(())
}
