//! Sign-ins to the medical system without a card: reported by that system, or seen on our own provider.

use domain::visit::{OutOfCardCode, OutOfCardKind};
use domain::{Permission, PersonId, PointId, UtcMillis};
use store::{Error, transact};

use super::rows::{IrregularOn, NewCase};
use super::{Case, Irregular, IrregularError};
use crate::acting::Acting;
use crate::audit::{Action, Draft, Log};
use crate::changes::{Change, ChangeKind, Feed};
use crate::draw;
use crate::visits::How;

/// Longest name of a system and longest id there, in characters.
const NAME_MAX_CHARS: usize = 200;

/// A sign-in without a card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignIn {
    /// The system that reports it, by its name in the configuration.
    pub source: String,
    /// Its id there: the same is taken once.
    pub external: String,
    /// Who signed in, where they are known here.
    pub staff: Option<PersonId>,
    /// At which workstation, where that is known.
    pub workstation: Option<PointId>,
    /// When.
    pub at: UtcMillis,
}

impl Irregular {
    /// Records a sign-in without a card. The same one reported again changes nothing; the second value says whether it
    /// was new.
    ///
    /// # Errors
    /// [`IrregularError::Denied`] without `feed_write`, [`IrregularError::BadName`], [`IrregularError::NotFound`] for a
    /// person who is not known; engine errors.
    pub async fn report_sign_in(&self, acting: &Acting, seen: &SignIn) -> Result<(Case, bool), IrregularError> {
        acting.must(Permission::FeedWrite)?;
        self.take_sign_in(acting, seen).await
    }

    /// As [`Irregular::report_sign_in`], by the program itself: what its own provider saw.
    ///
    /// # Errors
    /// As [`Irregular::report_sign_in`], but for the right.
    pub async fn saw_sign_in(&self, seen: &SignIn) -> Result<(Case, bool), IrregularError> {
        self.take_sign_in(&Acting::system(), seen).await
    }

    async fn take_sign_in(&self, acting: &Acting, seen: &SignIn) -> Result<(Case, bool), IrregularError> {
        for (name, text) in [("the source", &seen.source), ("the id of the sign-in", &seen.external)] {
            let length = text.chars().count();
            if length == 0 || length > NAME_MAX_CHARS || text.chars().any(char::is_control) {
                return Err(IrregularError::BadName(name));
            }
        }
        let (now, how) = (self.clock.now(), How::by(acting, self.clock.now()));
        let (settings, id, seen) = (self.settings, draw::id()?, seen.clone());
        let found: Option<(Case, bool)> = transact!(self.database, "irregular.sign_in", |conn| {
            if let Some(known) = conn.reported(&seen.source, &seen.external).await? {
                return Ok(Some((known, false)));
            }
            if let Some(staff) = seen.staff
                && !conn.is_known(staff).await?
            {
                return Ok(None);
            }
            let case = Case {
                id: id.clone(),
                kind: OutOfCardKind::SignIn,
                code: OutOfCardCode::Other,
                staff: seen.staff,
                patient: None,
                visit: None,
                workstation: seen.workstation.clone(),
                zone: None,
                session: None,
                source: Some(seen.source.clone()),
                entry: 0,
                at: seen.at.min(now),
                expires: None,
                ended: Some(now),
                due: now.plus_ms(settings.review_ms),
                review: None,
            };
            Ok(Some((write_sign_in(conn, case, &seen.external, &how).await?, true)))
        })?;
        found.ok_or(IrregularError::NotFound)
    }
}

async fn write_sign_in<C: IrregularOn + Feed + Log>(
    conn: &mut C,
    case: Case,
    external: &str,
    how: &How,
) -> Result<Case, Error> {
    let entry = Draft {
        address: how.address.map(|address| address.to_string()),
        subject: case.staff,
        object: Some(case.id.clone()),
        detail: Some(format!("kind={}; source={}", case.kind, case.source.as_deref().unwrap_or_default())),
        ..Draft::new(how.now, how.actor.clone(), Action::IrregularSignIn)
    };
    let number = conn.append(&entry).await?;
    let case = Case { entry: number, ..case };
    conn.insert_case(&NewCase { case: case.clone(), external: Some(external.to_owned()) }).await?;
    let change = Change {
        workstation: case.workstation.clone(),
        staff: case.staff,
        detail: Some(format!("kind={}; case={}", case.kind, case.id)),
        ..Change::new(how.now, case.at, ChangeKind::IrregularSignIn)
    };
    conn.append_change(&change).await?;
    Ok(case)
}
