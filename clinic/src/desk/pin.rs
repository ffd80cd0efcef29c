//! PINs of specialists, typed on the page of a workstation: hashed slowly (Argon2id), never logged. A few wrong ones block
//! a person's PIN, longer each time; many wrong ones at one workstation block that, whosever they were.
//!
//! A try is counted before it is compared, so that many at once get no more tries than one after another.

use std::fmt;

use domain::desk::{Factor, SessionState};
use domain::pin::{PIN_MAX_DIGITS, PIN_MIN_DIGITS};
use domain::{Permission, PersonId, UtcMillis};
use store::{read, transact};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::sessions::{By, Sessions};
use super::tap::Taps;
use super::{Desk, DeskError, DeskSession};
use crate::accounts::AccountError;
use crate::acting::{Acting, Actor};
use crate::audit::{self, Action, Draft, Outcome};

/// Wrong PINs of one person that block theirs.
pub const PIN_WRONG_MAX: i64 = 5;
/// How long the first block lasts, in milliseconds: 15 minutes. Each further one without a right PIN between lasts
/// twice as long.
pub const PIN_BLOCK_MS: i64 = 15 * 60_000;
/// The longest block, in milliseconds: 24 hours.
pub const PIN_BLOCK_MAX_MS: i64 = 24 * 3_600_000;
/// Wrong PINs at one workstation within [`DESK_WINDOW_MS`] that block PINs there for the rest of that time.
pub const DESK_WRONG_MAX: i64 = 20;
/// See [`DESK_WRONG_MAX`], in milliseconds.
pub const DESK_WINDOW_MS: i64 = 15 * 60_000;

/// Digits as somebody typed them. Wiped when dropped, never printed.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct PinText(String);

impl PinText {
    /// Takes 4 to 8 digits.
    ///
    /// # Errors
    /// [`DeskError::BadPin`].
    pub fn new(typed: &str) -> Result<Self, DeskError> {
        let sound =
            (PIN_MIN_DIGITS..=PIN_MAX_DIGITS).contains(&typed.len()) && typed.bytes().all(|b| b.is_ascii_digit());
        if sound { Ok(Self(typed.to_owned())) } else { Err(DeskError::BadPin) }
    }

    /// Whether whoever guesses tries it first: one digit, a row of digits up or down, two digits in turn.
    fn is_weak(&self) -> bool {
        let digits = self.0.as_bytes();
        let step = |by: i16| digits.windows(2).all(|pair| i16::from(pair[1]) - i16::from(pair[0]) == by);
        let in_turn = digits.windows(3).all(|three| three[0] == three[2]);
        step(1) || step(-1) || in_turn
    }
}

impl fmt::Debug for PinText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PinText(redacted)")
    }
}

/// What a typed PIN came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PinAnswer {
    /// It is right: the workstation can be used.
    Right(Box<DeskSession>),
    /// It is wrong; so many tries are left before it is blocked.
    Wrong {
        /// Tries left.
        left: i64,
    },
    /// It is blocked, until then or until somebody who manages workstations sets it anew. Not compared.
    Blocked {
        /// Milliseconds until it can be tried again.
        wait_ms: i64,
    },
    /// Too many wrong PINs at this workstation. Not compared.
    DeskBlocked {
        /// Milliseconds until one can be tried again here.
        wait_ms: i64,
    },
    /// Nobody has set one yet.
    NotSet,
}

/// What is known of a person's PIN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PinState {
    /// Since when there is one.
    pub set: Option<UtcMillis>,
    /// Until when it is blocked, if it is.
    pub blocked_until: Option<UtcMillis>,
}

/// Before anything is compared.
enum Counted {
    Compare { hash: String, left: i64 },
    Answer(PinAnswer),
}

impl From<AccountError> for DeskError {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::Busy { retry_ms } => Self::Busy { retry_ms },
            AccountError::Store(error) => Self::Store(error),
            other => Self::System(other.to_string()),
        }
    }
}

impl Desk {
    /// Compares a PIN that was typed for the specialist of this binding. When it is right the binding is open, and the
    /// second factor counts from now.
    ///
    /// # Errors
    /// [`DeskError::NoSession`], [`DeskError::NotOpen`] for a locked one (tap first), [`DeskError::Busy`], or engine
    /// errors.
    pub async fn confirm_pin(&self, session: &DeskSession, pin: PinText) -> Result<PinAnswer, DeskError> {
        let session = self.session(&session.id).await?.ok_or(DeskError::NoSession)?;
        match session.state {
            SessionState::Waiting | SessionState::Open => {}
            SessionState::Locked => return Err(DeskError::NotOpen),
            SessionState::Ended => return Err(DeskError::NoSession),
        }
        let turn = self.workers.turn()?;
        let (hash, left) = match self.count_pin(&session).await? {
            Counted::Compare { hash, left } => (hash, left),
            Counted::Answer(answer) => return Ok(answer),
        };
        if self.workers.digits_match(&turn, &pin.0, hash).await? {
            return self.pin_was_right(&session).await;
        }
        let now = self.clock.now();
        let blocked = if left == 0 { "; blocked" } else { "" };
        let acting = Acting { actor: Actor::Staff(session.person), session: Some(session.id), ..Acting::system() };
        let draft = Draft {
            outcome: Outcome::Failed,
            object: Some(session.workstation.to_string()),
            detail: Some(format!("pin_wrong; left={left}{blocked}")),
            ..acting.draft(now, Action::DeskOpened)
        };
        audit::write(&self.database, draft).await?;
        Ok(PinAnswer::Wrong { left })
    }

    /// Counts a try as a wrong one; a right one takes it back.
    async fn count_pin(&self, session: &DeskSession) -> Result<Counted, DeskError> {
        let (person, workstation) = (session.person.to_string(), session.workstation.to_string());
        let now = self.clock.now();
        Ok(transact!(self.database, "desk.pin_try", |conn| {
            let row: Option<(Option<String>, i64, i64, i64)> =
                sqlx::query_as("SELECT hash, wrong, blocks, blocked_until FROM desk_pin WHERE person = $1")
                    .bind(&person)
                    .fetch_optional(&mut *conn)
                    .await?;
            let Some((Some(hash), wrong, blocks, blocked_until)) = row else {
                return Ok(Counted::Answer(PinAnswer::NotSet));
            };
            let wait_ms = blocked_until.saturating_sub(now.0).min(PIN_BLOCK_MAX_MS);
            if wait_ms > 0 {
                return Ok(Counted::Answer(PinAnswer::Blocked { wait_ms }));
            }
            let rate: Option<(i64, i64)> =
                sqlx::query_as("SELECT wrong, since_ms FROM desk_pin_rate WHERE workstation = $1")
                    .bind(&workstation)
                    .fetch_optional(&mut *conn)
                    .await?;
            // A clock that was set back begins a new window.
            let window = |since: i64| (0..DESK_WINDOW_MS).contains(&now.0.saturating_sub(since));
            let (here, since) = rate.filter(|(_, since)| window(*since)).unwrap_or((0, now.0));
            if here >= DESK_WRONG_MAX {
                let wait_ms = since.saturating_add(DESK_WINDOW_MS).saturating_sub(now.0);
                return Ok(Counted::Answer(PinAnswer::DeskBlocked { wait_ms }));
            }
            let wrong = wrong + 1;
            let blocks_now = wrong >= PIN_WRONG_MAX;
            let until = if blocks_now { now.plus_ms(block_ms(blocks)).0 } else { 0 };
            sqlx::query("UPDATE desk_pin SET wrong = $1, blocks = $2, blocked_until = $3 WHERE person = $4")
                .bind(if blocks_now { 0 } else { wrong })
                .bind(if blocks_now { blocks + 1 } else { blocks })
                .bind(until)
                .bind(&person)
                .execute(&mut *conn)
                .await?;
            sqlx::query(
                "INSERT INTO desk_pin_rate (workstation, wrong, since_ms) VALUES ($1, $2, $3)
                 ON CONFLICT (workstation) DO UPDATE SET wrong = excluded.wrong, since_ms = excluded.since_ms",
            )
            .bind(&workstation)
            .bind(here + 1)
            .bind(since)
            .execute(&mut *conn)
            .await?;
            Ok(Counted::Compare { hash, left: PIN_WRONG_MAX - wrong })
        })?)
    }

    async fn pin_was_right(&self, session: &DeskSession) -> Result<PinAnswer, DeskError> {
        let (id, person, rules) = (session.id.clone(), session.person, self.rules);
        let now = self.clock.now();
        let session = transact!(self.database, "desk.pin_right", |conn| {
            let Some(session) = conn.session_by_id(&id).await? else { return Ok(None) };
            if !matches!(session.state, SessionState::Waiting | SessionState::Open) {
                return Ok(None);
            }
            sqlx::query("UPDATE desk_pin SET wrong = 0, blocks = 0, blocked_until = 0 WHERE person = $1")
                .bind(person.to_string())
                .execute(&mut *conn)
                .await?;
            // The workstation keeps its other wrong ones: one's own PIN must not wash away tries on others' cards.
            sqlx::query("UPDATE desk_pin_rate SET wrong = wrong - 1 WHERE workstation = $1 AND wrong > 0")
                .bind(session.workstation.as_str())
                .execute(&mut *conn)
                .await?;
            conn.give_factor(&rules, person, &session.workstation, now).await?;
            let by = By::tap(person, now, now);
            conn.confirm_session(&session, SessionState::Open, Factor::Pin, &by).await?;
            conn.session_by_id(&id).await
        })?;
        session.map(|session| PinAnswer::Right(Box::new(session))).ok_or(DeskError::NoSession)
    }

    /// Sets a person's PIN and unblocks it: by who manages workstations, or one's own in an open binding in which the
    /// second factor counts. If another set it, the second factor is asked for at the next tap.
    ///
    /// # Errors
    /// [`DeskError::WeakPin`], [`DeskError::NotStaff`], no right, or engine errors.
    pub async fn set_pin(&self, acting: &Acting, person: PersonId, pin: PinText) -> Result<(), DeskError> {
        let own = self.is_confirmed(acting, person).await?;
        if !own {
            acting.must(Permission::DeskManage)?;
        }
        if pin.is_weak() {
            return Err(DeskError::WeakPin);
        }
        let turn = self.workers.turn()?;
        let hash = self.workers.hash_digits(&turn, &pin.0).await?;
        let (acting, now) = (acting.clone(), self.clock.now());
        let is_staff = transact!(self.database, "desk.set_pin", |conn| {
            let id = person.to_string();
            let staff: Option<String> =
                sqlx::query_scalar("SELECT person FROM staff WHERE person = $1 AND ended_ms IS NULL")
                    .bind(&id)
                    .fetch_optional(&mut *conn)
                    .await?;
            if staff.is_none() {
                return Ok(false);
            }
            sqlx::query(
                "INSERT INTO desk_pin (person, hash, set_ms, wrong, blocks, blocked_until) VALUES ($1, $2, $3, 0, 0, 0)
                 ON CONFLICT (person) DO UPDATE SET hash = excluded.hash, set_ms = excluded.set_ms, wrong = 0,
                     blocks = 0, blocked_until = 0",
            )
            .bind(&id)
            .bind(&hash)
            .bind(now.0)
            .execute(&mut *conn)
            .await?;
            if !own {
                sqlx::query("DELETE FROM desk_factor WHERE person = $1").bind(&id).execute(&mut *conn).await?;
            }
            let draft = Draft {
                subject: Some(person),
                detail: Some(if own { "own pin set" } else { "pin set" }.to_owned()),
                ..acting.draft(now, Action::DeskChanged)
            };
            audit::record!(conn, &draft);
            Ok(true)
        })?;
        if is_staff { Ok(()) } else { Err(DeskError::NotStaff) }
    }

    /// Whether it is this person who acts, in an open binding in which the second factor counts.
    async fn is_confirmed(&self, acting: &Acting, person: PersonId) -> Result<bool, DeskError> {
        let (Actor::Staff(own), Some(session)) = (&acting.actor, &acting.session) else { return Ok(false) };
        if *own != person {
            return Ok(false);
        }
        let session = self.session(session).await?;
        let counts = |session: DeskSession| !self.rules.wants_factor(session.factor_until, self.clock.now());
        Ok(session.filter(|session| session.is_open() && session.person == person).is_some_and(counts))
    }

    /// What is known of a person's PIN.
    ///
    /// # Errors
    /// No right, or engine errors.
    pub async fn pin_state(&self, acting: &Acting, person: PersonId) -> Result<PinState, DeskError> {
        if acting.actor != Actor::Staff(person) {
            acting.must(Permission::DeskManage)?;
        }
        let (person, now) = (person.to_string(), self.clock.now());
        let row: Option<(Option<i64>, i64)> = read!(self.database, "desk.pin_state", |conn| {
            Ok(sqlx::query_as("SELECT set_ms, blocked_until FROM desk_pin WHERE person = $1 AND hash IS NOT NULL")
                .bind(&person)
                .fetch_optional(&mut *conn)
                .await?)
        })?;
        Ok(row.map_or_else(PinState::default, |(set, until)| PinState {
            set: set.map(UtcMillis),
            blocked_until: (until > now.0).then_some(UtcMillis(until)),
        }))
    }
}

/// How long a block lasts that follows so many others.
fn block_ms(earlier: i64) -> i64 {
    let doublings = u32::try_from(earlier).unwrap_or(0).min(10);
    (PIN_BLOCK_MS << doublings).min(PIN_BLOCK_MAX_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_that_are_guessed_first_are_weak() {
        let weak = |text: &str| PinText::new(text).unwrap().is_weak();
        for text in ["0000", "1234", "98765", "121212", "77777777"] {
            assert!(weak(text), "{text}");
        }
        for text in ["4071", "1243", "90210"] {
            assert!(!weak(text), "{text}");
        }
        assert!(PinText::new("123").is_err() && PinText::new("12a4").is_err() && PinText::new("123456789").is_err());
        assert_eq!(format!("{:?}", PinText::new("4071").unwrap()), "PinText(redacted)");
    }

    #[test]
    fn each_block_lasts_longer_up_to_a_day() {
        assert_eq!(block_ms(0), PIN_BLOCK_MS);
        assert_eq!(block_ms(1), 2 * PIN_BLOCK_MS);
        assert_eq!(block_ms(40), PIN_BLOCK_MAX_MS);
    }
}
