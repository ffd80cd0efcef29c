//! One tap, inside a transaction: whose card it is now, what the rules say, what is written.

use domain::desk::{self, Answer, Effect, EndWhy, Factor, Here, Refusal, Rules, SessionState, StaffTap};
use domain::policy::{PassKind, PassState};
use domain::{CardId, PersonId, PointId, UtcMillis, ZoneId};
use sqlx::FromRow;
use store::Error;

use super::sessions::{By, Sessions};
use super::{DeskSession, TapOutcome, patients};
use crate::acting::{Acting, Actor};
use crate::audit::{self, Action, Draft, Outcome};
use crate::changes::{self, Change, ChangeKind};
use crate::rows::{code, column};

/// What a reader told of a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// It was read. `with_pin`: the reader has already checked a PIN.
    Card {
        /// Whether the holder's PIN was checked at the reader.
        with_pin: bool,
    },
    /// The PIN of a card that was read before.
    Pin(Result<(), Refusal>),
    /// It was refused there; the code says why, where that is not plain.
    Not(Refusal, Option<&'static str>),
}

/// One tap.
#[derive(Debug, Clone)]
pub(super) struct Tap {
    pub workstation: PointId,
    pub zone: ZoneId,
    pub heard: Heard,
    pub card: Option<CardId>,
    /// At the reader.
    pub at: UtcMillis,
    pub now: UtcMillis,
    /// Ids for what may begin, drawn before the transaction: it may be run again.
    pub session_id: String,
    pub visit_id: String,
    /// What the clinic has decided about visits.
    pub visit_rules: domain::visit::Rules,
}

/// Who holds a card now.
struct Holder {
    /// Whom the pass names.
    pass_of: PersonId,
    /// Who that is, after merges.
    person: PersonId,
    kind: PassKind,
    works: Result<(), Refusal>,
    /// `None`: nobody of the staff. `Some(true)`: they have left.
    staff_left: Option<bool>,
    factor_until: Option<UtcMillis>,
}

#[derive(FromRow)]
struct HolderRow {
    person: String,
    into_person: Option<String>,
    kind: String,
    state: String,
    valid_from: Option<i64>,
    valid_until: Option<i64>,
    role: Option<String>,
    left_ms: Option<i64>,
    until_ms: Option<i64>,
}

impl HolderRow {
    fn read(self, at: UtcMillis) -> Result<Holder, Error> {
        const T: &str = "credential";
        let state = code(T, "state", &self.state, PassState::parse)?;
        let (from, until) = (self.valid_from.map(UtcMillis), self.valid_until.map(UtcMillis));
        let pass_of = column(T, "person", &self.person, |text: &str| text.parse())?;
        let into = self.into_person.map(|text| column("person_merge", "into_person", &text, |text: &str| text.parse()));
        Ok(Holder {
            pass_of,
            person: into.transpose()?.unwrap_or(pass_of),
            kind: code(T, "kind", &self.kind, PassKind::parse)?,
            works: desk::pass_works(state, from, until, at),
            staff_left: self.role.map(|_| self.left_ms.is_some()),
            factor_until: self.until_ms.map(UtcMillis),
        })
    }
}

/// An engine's connection inside a transaction, on which taps are taken.
pub(super) trait Taps {
    /// Takes one tap.
    async fn take_tap(&mut self, rules: &Rules, tap: &Tap) -> Result<TapOutcome, Error>;

    /// Notes that somebody has shown their second factor.
    async fn give_factor(
        &mut self,
        rules: &Rules,
        person: PersonId,
        workstation: &PointId,
        at: UtcMillis,
    ) -> Result<(), Error>;
}

/// What stands in the log and the feed about a tap that did nothing.
fn refused(tap: &Tap, refusal: Refusal, holder: Option<&Holder>, session: Option<&DeskSession>) -> (Draft, Change) {
    let staff = holder.filter(|holder| holder.staff_left.is_some());
    let patient = holder.filter(|holder| holder.staff_left.is_none());
    let actor = staff.map_or(Actor::Anybody, |holder| Actor::Staff(holder.person));
    let cause = match tap.heard {
        Heard::Not(_, cause) => cause,
        Heard::Card { .. } | Heard::Pin(_) => None,
    };
    let acting = Acting { actor, session: session.map(|session| session.id.clone()), ..Acting::system() };
    let draft = Draft {
        outcome: Outcome::Refused,
        object: Some(tap.workstation.to_string()),
        subject: patient.map(|holder| holder.person),
        detail: Some(match cause {
            Some(cause) => format!("{refusal}; reader={cause}; at={}", tap.at),
            None => format!("{refusal}; at={}", tap.at),
        }),
        ..acting.draft(tap.now, Action::DeskOpened)
    };
    let change = Change {
        reason: Some(refusal.as_str().to_owned()),
        workstation: Some(tap.workstation.clone()),
        session: session.map(|session| session.id.clone()),
        staff: staff.map(|holder| holder.person).or(session.map(|session| session.person)),
        patient: patient.map(|holder| holder.person),
        detail: cause.map(str::to_owned),
        ..Change::new(tap.now, tap.at, ChangeKind::TapRefused)
    };
    (draft, change)
}

macro_rules! taps_on {
    ($connection:ty) => {
        impl Taps for $connection {
            async fn take_tap(&mut self, rules: &Rules, tap: &Tap) -> Result<TapOutcome, Error> {
                let holder = match tap.card {
                    Some(card) => {
                        let row: Option<HolderRow> = sqlx::query_as(
                            "SELECT c.person, m.into_person, c.kind, c.state, c.valid_from, c.valid_until, t.role,
                                    t.ended_ms AS left_ms, f.until_ms
                             FROM credential c LEFT JOIN person_merge m ON m.person = c.person
                             LEFT JOIN staff t ON t.person = COALESCE(m.into_person, c.person)
                             LEFT JOIN desk_factor f ON f.person = COALESCE(m.into_person, c.person)
                             WHERE c.card = $1 AND c.until_ms IS NULL",
                        )
                        .bind(card.to_string())
                        .fetch_optional(&mut *self)
                        .await?;
                        row.map(|row| row.read(tap.at)).transpose()?
                    }
                    None => None,
                };
                let here = self.session_at(tap.workstation.as_str()).await?;
                let answer = staff_answer(rules, tap, holder.as_ref(), here.as_ref());
                let (holder, refusal) = match (holder, answer) {
                    (Some(holder), Ok(Who::Staff)) => return staff_tap!(self, rules, tap, holder, here),
                    (Some(holder), Ok(Who::Patient)) => match patients::take(self, tap, &holder_of(&holder), here.as_ref()).await? {
                        Ok(outcome) => {
                            // Somebody works here: it is not idle.
                            sqlx::query("UPDATE desk_session SET used_ms = $1 WHERE workstation = $2 AND state = 'open' AND used_ms < $1")
                                .bind(tap.now.0)
                                .bind(tap.workstation.as_str())
                                .execute(&mut *self)
                                .await?;
                            return Ok(outcome);
                        }
                        Err(refusal) => (Some(holder), refusal),
                    },
                    (Some(holder), Ok(Who::Pin)) => {
                        let Some(session) = here.as_ref().filter(|session| session.person == holder.person) else {
                            return Ok(TapOutcome::Ignored);
                        };
                        if !matches!(session.state, SessionState::Waiting | SessionState::Open) {
                            return Ok(TapOutcome::Ignored);
                        }
                        self.give_factor(rules, holder.person, &tap.workstation, tap.at).await?;
                        let by = By::tap(holder.person, tap.at, tap.now);
                        self.confirm_session(session, SessionState::Open, Factor::Pin, &by).await?;
                        return after!(self, session);
                    }
                    (holder, Err(refusal)) => (holder, refusal),
                    (None, Ok(_)) => (None, Refusal::UnknownCard),
                };
                let (draft, change) = refused(tap, refusal, holder.as_ref(), here.as_ref());
                audit::record!(self, &draft);
                changes::append!(self, &change);
                Ok(TapOutcome::Refused(refusal.as_str()))
            }

            async fn give_factor(
                &mut self,
                rules: &Rules,
                person: PersonId,
                workstation: &PointId,
                at: UtcMillis,
            ) -> Result<(), Error> {
                sqlx::query(
                    "INSERT INTO desk_factor (person, factor, confirmed_ms, until_ms, workstation)
                     VALUES ($1, $2, $3, $4, $5)
                     ON CONFLICT (person) DO UPDATE SET factor = excluded.factor, confirmed_ms = excluded.confirmed_ms,
                         until_ms = excluded.until_ms, workstation = excluded.workstation",
                )
                .bind(person.to_string())
                .bind(Factor::Pin.as_str())
                .bind(at.0)
                .bind(rules.factor_until(at).0)
                .bind(workstation.as_str())
                .execute(&mut *self)
                .await?;
                Ok(())
            }
        }
    };
}

/// As whom the card is taken.
enum Who {
    Staff,
    Patient,
    Pin,
}

/// What there is to be known before anything is decided about a binding.
fn staff_answer(
    _rules: &Rules,
    tap: &Tap,
    holder: Option<&Holder>,
    here: Option<&DeskSession>,
) -> Result<Who, Refusal> {
    if let Heard::Not(refusal, _) = tap.heard {
        return Err(refusal);
    }
    desk::timely(tap.at, tap.now)?;
    if tap.card.is_none() {
        return Err(Refusal::UnreadableCard);
    }
    let holder = holder.ok_or(Refusal::UnknownCard)?;
    holder.works?;
    if let Heard::Pin(outcome) = tap.heard {
        return outcome.map(|()| Who::Pin);
    }
    let by_another = here.is_some_and(|session| session.is_open() && session.person != holder.person);
    match (holder.kind, holder.staff_left) {
        (PassKind::Staff, None) => Err(Refusal::NotStaff),
        (PassKind::Staff, Some(true)) => Err(Refusal::StaffLeft),
        (PassKind::Staff, Some(false)) => Ok(Who::Staff),
        (_, Some(false)) if !by_another => Ok(Who::Staff),
        _ => Ok(Who::Patient),
    }
}

/// Whose card a patient's is.
fn holder_of(holder: &Holder) -> patients::Patient {
    patients::Patient { pass_of: holder.pass_of, person: holder.person, pass: holder.kind }
}

/// The binding as it stands after what was written.
macro_rules! after {
    ($conn:expr, $session:expr) => {{
        let session = $conn.session_by_id(&$session.id).await?;
        Ok(session.map_or(TapOutcome::Ignored, |session| TapOutcome::Staff(Box::new(session))))
    }};
}

macro_rules! staff_tap {
    ($conn:expr, $rules:expr, $tap:expr, $holder:expr, $here:expr) => {{
        let (rules, tap, holder): (&Rules, &Tap, Holder) = ($rules, $tap, $holder);
        let here: Option<DeskSession> = $here;
        let person = holder.person;
        let mut factor_until = holder.factor_until;
        let left = if here.is_none() && rules.again == desk::Again::End {
            let row: Option<(String, i64)> = sqlx::query_as(
                "SELECT person, ended_ms FROM desk_session
                 WHERE workstation = $1 AND ended_why = $2 ORDER BY opened_ms DESC LIMIT 1",
            )
            .bind(tap.workstation.as_str())
            .bind(EndWhy::Retap.as_str())
            .fetch_optional(&mut *$conn)
            .await?;
            row.map(|(person, at)| {
                let person = column("desk_session", "person", &person, |text: &str| text.parse::<PersonId>())?;
                Ok::<_, Error>((person, UtcMillis(at)))
            })
            .transpose()?
        } else {
            None
        };
        if tap.heard == (Heard::Card { with_pin: true }) {
            factor_until = Some(rules.factor_until(tap.at));
        }
        let known = Here { bound: here.as_ref().and_then(DeskSession::bound), left };
        let answer = desk::staff_tap(rules, &known, &StaffTap { person, at: tap.at, factor_until });
        let (first, second) = match answer {
            Answer::Ignored => return Ok(TapOutcome::Ignored),
            Answer::Refused(refusal) => {
                let (draft, change) = refused(tap, refusal, Some(&holder), here.as_ref());
                audit::record!($conn, &draft);
                changes::append!($conn, &change);
                return Ok(TapOutcome::Refused(refusal.as_str()));
            }
            Answer::Done(first, second) => (first, second),
        };
        if tap.heard == (Heard::Card { with_pin: true }) {
            $conn.give_factor(rules, person, &tap.workstation, tap.at).await?;
        }
        let by = By::tap(person, tap.at, tap.now);
        if let (Some(Effect::End(why)), Some(session)) = (first, &here) {
            $conn.end_session(session, why, &by).await?;
        }
        // Before this one can be used, the other one cannot be any more.
        if !matches!(second, Effect::Lock(_) | Effect::End(_)) {
            for other in $conn.sessions_of(person).await? {
                if other.workstation == tap.workstation {
                    continue;
                }
                match desk::elsewhere(rules, other.state) {
                    Some(Effect::End(why)) => $conn.end_session(&other, why, &by).await?,
                    Some(Effect::Lock(why)) => $conn.lock_session(&other, why, &by).await?,
                    _ => {}
                }
            }
        }
        let factor = match rules.factor {
            Factor::Pin if !rules.wants_factor(factor_until, tap.at) => Factor::Pin,
            Factor::Pin | Factor::None => Factor::None,
        };
        match (second, here) {
            (Effect::Open(state), _) => {
                let session = DeskSession {
                    id: tap.session_id.clone(),
                    workstation: tap.workstation.clone(),
                    zone: tap.zone.clone(),
                    person,
                    card: tap.card,
                    state,
                    factor,
                    factor_at: None,
                    factor_until,
                    opened: tap.at,
                    confirmed: tap.at,
                    used: tap.now,
                    ended: None,
                };
                $conn.open_session(&session, &by).await?;
                after!($conn, session)
            }
            (Effect::Confirm | Effect::Unlock, Some(session)) => {
                $conn.confirm_session(&session, SessionState::Open, factor, &by).await?;
                after!($conn, session)
            }
            (Effect::WantFactor, Some(session)) => {
                $conn.confirm_session(&session, SessionState::Waiting, session.factor, &by).await?;
                after!($conn, session)
            }
            (Effect::Lock(why), Some(session)) => {
                $conn.lock_session(&session, why, &by).await?;
                after!($conn, session)
            }
            (Effect::End(why), Some(session)) => {
                $conn.end_session(&session, why, &by).await?;
                after!($conn, session)
            }
            (_, None) => Ok(TapOutcome::Ignored),
        }
    }};
}

store::for_each_connection!(taps_on);
