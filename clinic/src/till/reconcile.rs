//! Comparing our charges with those of another system, for days: what is missing there, what we never told, what costs or
//! counts otherwise. A person asks for it; a bridge does it, because only a bridge talks to other systems; the page shows it.
//!
//! Owns the tables `reconciliation` and `reconciliation_line`. Compared by [`compare`], which is pure; taken, filled and
//! ended by [`run`]'s functions. What is missing can be told again: that makes its delivery wait anew, and repetitions do
//! no harm there. Never shows persons: charges are numbers here.

mod again;
mod compare;
mod lines;
mod run;

use domain::schedule::LocalDate;
use domain::{Permission, UtcMillis, codes};
use store::{Error, read, sqlx, transact};

use super::ledger::day;
use super::office::invalid;
use super::{Till, TillError};
use crate::acting::Acting;
use crate::audit::{self, Action, Draft};
use crate::outbox::Fault;
use crate::rows::code;

pub use compare::{Compared, Difference, Ours, Theirs, compare};
pub use lines::{DifferenceLine, LINES_PAGE_MAX};
pub use run::{Days, Job, Told, claim, end, fail, known, ours, progress, told};

/// Most days compared at once.
pub const DAYS_MAX: i32 = 31;
/// Most charges compared at once; a longer span fails and says so.
pub const CHARGES_MAX: usize = 200_000;
/// Differences kept of one comparison; further ones are counted.
pub const LINES_MAX: usize = 20_000;
/// Most comparisons of one list.
pub const LIST_MAX: u32 = 200;

codes! {
    /// How far a comparison has come.
    ReconciliationState {
        /// It waits for a bridge.
        Asked = "asked",
        /// A bridge does it.
        Running = "running",
        /// It is done.
        Done = "done",
        /// It could not be done; the fault says why.
        Failed = "failed",
    }
}

codes! {
    /// What our charges were compared with.
    Basis {
        /// With the other system's own records, read there.
        Records = "records",
        /// With what it acknowledged, where its records cannot be read.
        Acknowledged = "acknowledged",
    }
}

codes! {
    /// How a charge differs.
    DifferenceKind {
        /// We have it and they do not.
        MissingThere = "missing_there",
        /// They have it and we do not.
        MissingHere = "missing_here",
        /// It costs something else there.
        Amount = "amount",
        /// It counts in one place, and was taken back in the other.
        State = "state",
        /// They have it more than once.
        Twice = "twice",
        /// They wrote it by hand: it bears no id of ours.
        OnlyThere = "only_there",
    }
}

/// A comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reconciliation {
    /// Its id.
    pub id: String,
    /// Its number: 1, 2, 3 …
    pub no: u64,
    /// With which system.
    pub destination: String,
    /// From this day of the clinic.
    pub from: LocalDate,
    /// Until this day, which is included.
    pub until: LocalDate,
    /// With what; `None` while nothing was compared.
    pub basis: Option<Basis>,
    /// How far it has come.
    pub state: ReconciliationState,
    /// When it was asked for.
    pub asked: UtcMillis,
    /// When it ended.
    pub ended: Option<UtcMillis>,
    /// Why it failed.
    pub fault: Option<Fault>,
    /// How many charges of ours count.
    pub ours: u64,
    /// How many of theirs count.
    pub theirs: u64,
    /// How many are alike.
    pub alike: u64,
    /// How many differ.
    pub differences: u64,
}

/// A system whose charges can be compared, and what it speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparable {
    /// Its name.
    pub destination: String,
    /// What it speaks, a code.
    pub kind: String,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, no, destination, from_day, until_day, basis, state, begun_ms, ended_ms, fault, ours, theirs, alike, \
             differences FROM reconciliation ",
            $rest
        )
    };
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    no: i64,
    destination: String,
    from_day: i64,
    until_day: i64,
    basis: Option<String>,
    state: String,
    begun_ms: i64,
    ended_ms: Option<i64>,
    fault: Option<String>,
    ours: i64,
    theirs: i64,
    alike: i64,
    differences: i64,
}

impl Row {
    fn read(self) -> Result<Reconciliation, Error> {
        const T: &str = "reconciliation";
        Ok(Reconciliation {
            id: self.id,
            no: self.no.cast_unsigned(),
            destination: self.destination,
            from: day(T, "from_day", self.from_day)?,
            until: day(T, "until_day", self.until_day)?,
            basis: self.basis.map(|text| code(T, "basis", &text, Basis::parse)).transpose()?,
            state: code(T, "state", &self.state, ReconciliationState::parse)?,
            asked: UtcMillis(self.begun_ms),
            ended: self.ended_ms.map(UtcMillis),
            fault: self.fault.as_deref().and_then(Fault::read),
            ours: self.ours.cast_unsigned(),
            theirs: self.theirs.cast_unsigned(),
            alike: self.alike.cast_unsigned(),
            differences: self.differences.cast_unsigned(),
        })
    }
}

impl Till {
    /// Systems that are told charges, by name.
    ///
    /// # Errors
    /// [`TillError::Denied`] without [`Permission::ExchangeSee`]; engine errors.
    pub async fn comparable(&self, acting: &Acting) -> Result<Vec<Comparable>, TillError> {
        acting.must(Permission::ExchangeSee)?;
        let rows: Vec<(String, String)> = read!(self.database, "till.reconcile.systems", |conn| {
            Ok(sqlx::query_as(
                "SELECT name, kind FROM destination WHERE ',' || wants || ',' LIKE '%,charge_rendered,%' ORDER BY name",
            )
            .fetch_all(&mut *conn)
            .await?)
        })?;
        Ok(rows.into_iter().map(|(destination, kind)| Comparable { destination, kind }).collect())
    }

    /// Asks for a comparison with a system, for days of the clinic, both included. Where one with that system waits or runs
    /// already, the value is that one's id: a second would say the same.
    ///
    /// # Errors
    /// [`TillError::Denied`] without [`Permission::ExchangeManage`]; [`TillError::Invalid`] for days that are none or more
    /// than [`DAYS_MAX`]; [`TillError::NotFound`] when no such system is told charges; engine errors.
    pub async fn ask_reconciliation(
        &self,
        acting: &Acting,
        destination: &str,
        from: LocalDate,
        until: LocalDate,
    ) -> Result<String, TillError> {
        acting.must(Permission::ExchangeManage)?;
        match until.0.checked_sub(from.0) {
            Some(0..DAYS_MAX) => {}
            Some(less) if less < 0 => return Err(invalid("until", "the last day lies before the first")),
            _ => return Err(invalid("until", format!("compare at most {DAYS_MAX} days at once"))),
        }
        if from > self.today() {
            return Err(invalid("from", "this day has not come yet"));
        }
        let id = crate::visits::new_id()?;
        let (begins, ends) = (self.day_begins(from), self.day_begins(LocalDate(until.0.saturating_add(1))));
        let (name, now) = (destination.to_owned(), self.clock.now());
        let entry = Draft {
            object: Some(name.clone()),
            detail: Some(format!("reconciliation={id} from={} until={}", from.0, until.0)),
            ..acting.draft(now, Action::ExchangeChanged)
        };
        let actor = (acting.actor.kind().to_owned(), acting.actor.id().map(|id| id.into_owned()));
        transact!(self.database, "till.reconcile.ask", |conn| {
            let known: Option<String> = sqlx::query_scalar(
                "SELECT name FROM destination WHERE name = $1 AND ',' || wants || ',' LIKE '%,charge_rendered,%'",
            )
            .bind(&name)
            .fetch_optional(&mut *conn)
            .await?;
            if known.is_none() {
                return Ok(Err(TillError::NotFound));
            }
            // The number first: of two that ask at once, the second finds the first one's.
            let no: i64 = sqlx::query_scalar(
                "UPDATE counter SET value = value + 1 WHERE name = 'reconciliation' RETURNING value",
            )
            .fetch_one(&mut *conn)
            .await?;
            let open: Option<String> = sqlx::query_scalar(
                "SELECT id FROM reconciliation WHERE destination = $1 AND state IN ('asked', 'running') LIMIT 1",
            )
            .bind(&name)
            .fetch_optional(&mut *conn)
            .await?;
            if let Some(open) = open {
                // No gap in the numbers.
                sqlx::query("UPDATE counter SET value = value - 1 WHERE name = 'reconciliation'")
                    .execute(&mut *conn)
                    .await?;
                return Ok(Ok(open));
            }
            let entry_no = audit::record!(conn, &entry);
            sqlx::query(
                "INSERT INTO reconciliation (id, no, destination, from_day, until_day, from_ms, until_ms, state, begun_ms,
                     ours, theirs, alike, differences, actor_kind, actor, entry)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, 'asked', $8, 0, 0, 0, 0, $9, $10, $11)",
            )
            .bind(&id)
            .bind(no)
            .bind(&name)
            .bind(i64::from(from.0))
            .bind(i64::from(until.0))
            .bind(begins.0)
            .bind(ends.0)
            .bind(now.0)
            .bind(&actor.0)
            .bind(&actor.1)
            .bind(entry_no.cast_signed())
            .execute(&mut *conn)
            .await?;
            Ok(Ok(id.clone()))
        })?
    }

    /// Comparisons, the newest first; `before` goes on behind a number.
    ///
    /// # Errors
    /// As [`Till::comparable`].
    pub async fn reconciliations(
        &self,
        acting: &Acting,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<Reconciliation>, TillError> {
        acting.must(Permission::ExchangeSee)?;
        let before = before.map_or(i64::MAX, u64::cast_signed);
        let rows: Vec<Row> = read!(self.database, "till.reconcile.list", |conn| {
            Ok(sqlx::query_as(select!("WHERE no < $1 ORDER BY no DESC LIMIT $2"))
                .bind(before)
                .bind(i64::from(limit.clamp(1, LIST_MAX)))
                .fetch_all(&mut *conn)
                .await?)
        })?;
        Ok(rows.into_iter().map(Row::read).collect::<Result<_, _>>()?)
    }

    /// One comparison.
    ///
    /// # Errors
    /// As [`Till::comparable`]; [`TillError::NotFound`].
    pub async fn reconciliation(&self, acting: &Acting, id: &str) -> Result<Reconciliation, TillError> {
        acting.must(Permission::ExchangeSee)?;
        let id = id.to_owned();
        let row: Option<Row> = read!(self.database, "till.reconcile.one", |conn| {
            Ok(sqlx::query_as(select!("WHERE id = $1")).bind(&id).fetch_optional(&mut *conn).await?)
        })?;
        Ok(row.ok_or(TillError::NotFound)?.read()?)
    }
}
