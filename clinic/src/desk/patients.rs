//! Where the desk meets visits: hands over patients' taps, and tells what became of the binding they belong to.

use domain::PersonId;
use domain::desk::{EndWhy, Refusal, patient_tap};
use domain::policy::PassKind;
use store::Error;

use super::sessions::By;
use super::tap::Tap;
use super::{DeskSession, TapOutcome};
use crate::audit::Log;
use crate::changes::Feed;
use crate::visits::{self, PatientTap, SessionBound, SessionEnd, VisitOutcome, VisitsOn};

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
pub(super) async fn take<C: VisitsOn + Feed + Log>(
    conn: &mut C,
    tap: &Tap,
    patient: &Patient,
    here: Option<&DeskSession>,
) -> Result<Result<TapOutcome, Refusal>, Error> {
    let bound = here.and_then(DeskSession::bound);
    if let Err(refusal) = patient_tap(bound.as_ref(), tap.at) {
        return Ok(Err(refusal));
    }
    let bound = here.map(|session| domain::visit::Bound {
        session: session.id.clone(),
        staff: session.person,
        is_usable: session.is_open(),
    });
    let tapped = PatientTap {
        workstation: tap.workstation.clone(),
        zone: tap.zone.clone(),
        bound,
        patient: patient.pass_of,
        pass: patient.pass,
        at: tap.at,
        now: tap.now,
        new_id: tap.visit_id.clone(),
    };
    Ok(Ok(match visits::take_patient_tap(conn, &tap.visit_rules, &tapped).await? {
        VisitOutcome::Started(id) => TapOutcome::Patient("started", Some(id)),
        VisitOutcome::Confirmed(id) => TapOutcome::Patient("confirmed", Some(id)),
        VisitOutcome::Ended(id) => TapOutcome::Patient("ended", Some(id)),
        VisitOutcome::Asked(id) => TapOutcome::Patient("asked", Some(id)),
        VisitOutcome::Refused(refusal) => TapOutcome::Refused(refusal.as_str()),
    }))
}

/// A binding began or became usable.
pub(super) async fn session_bound<C: VisitsOn + Feed + Log>(
    conn: &mut C,
    session: &DeskSession,
    by: &By,
) -> Result<(), Error> {
    let bound = SessionBound {
        workstation: session.workstation.clone(),
        session: session.id.clone(),
        staff: session.person,
        at: by.at,
        now: by.now,
    };
    visits::session_bound(conn, &bound).await
}

/// A binding ended.
pub(super) async fn session_ended<C: VisitsOn + Feed + Log>(
    conn: &mut C,
    session: &DeskSession,
    why: EndWhy,
    by: &By,
) -> Result<(), Error> {
    let ended = SessionEnd {
        workstation: session.workstation.clone(),
        session: session.id.clone(),
        at: by.at,
        now: by.now,
        may_return: match why {
            EndWhy::Retap | EndWhy::Elsewhere | EndWhy::Idle => true,
            EndWhy::ByHand
            | EndWhy::AnotherSpecialist
            | EndWhy::FactorMissing
            | EndWhy::CardNotValid
            | EndWhy::StaffLeft
            | EndWhy::ByManager => false,
        },
    };
    visits::session_ended(conn, &ended).await
}
