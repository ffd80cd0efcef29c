//! What supervisors allow on top of a limit, for a while and with a reason. Owns the table `limit_override`. Never more than
//! the rules of the till allow.

use domain::money::{Amount, Currency};
use domain::{Permission, PersonId, UtcMillis, codes};
use store::{Error, read, transact};

use super::ledger;
use super::office::{Made, OfficeOn, invalid, read_reason, who};
use super::payers::{PotState, terms_change};
use super::{Till, TillError};
use crate::acting::Acting;
use crate::audit::{self, Action, Draft};
use crate::changes;
use crate::rows::{code, column, number};

/// Most open overrides of one patient or pot: so their sum has a bound, too.
pub const OPEN_MAX: i64 = 10;
/// Most overrides of one answer.
pub const OVERRIDES_PAGE_MAX: u32 = 1000;

codes! {
    /// What an override is for.
    OverrideTarget {
        /// The limit of one patient.
        Patient = "patient",
        /// The pot of a group or contract.
        Pot = "pot",
    }
}

codes! {
    /// Why more than the limit was allowed.
    OverrideReason {
        /// Life or health does not wait.
        Emergency = "emergency",
        /// A treatment that must not be interrupted.
        Treatment = "treatment",
        /// The money is on its way.
        Payment = "payment",
        /// Somebody else stands surety: a letter of an insurer or employer.
        Surety = "surety",
        /// The limit was set wrongly and is being changed.
        Mistake = "mistake",
        /// Something else; the words say what.
        Other = "other",
    }
}

/// Whose limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OverrideOwner {
    /// One patient's.
    Patient(PersonId),
    /// That of the pot of a payer.
    Pot(String),
}

impl OverrideOwner {
    /// What it is.
    pub const fn target(&self) -> OverrideTarget {
        match self {
            Self::Patient(_) => OverrideTarget::Patient,
            Self::Pot(_) => OverrideTarget::Pot,
        }
    }

    /// The id as it is stored.
    pub fn id(&self) -> String {
        match self {
            Self::Patient(person) => person.to_string(),
            Self::Pot(payer) => payer.clone(),
        }
    }

    const fn patient(&self) -> Option<PersonId> {
        match self {
            Self::Patient(person) => Some(*person),
            Self::Pot(_) => None,
        }
    }
}

/// More than a limit, to be allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewOverride {
    /// Whose limit.
    pub owner: OverrideOwner,
    /// In which currency.
    pub currency: Currency,
    /// How much more.
    pub extra: Amount,
    /// Until when.
    pub until: UtcMillis,
    /// Why.
    pub reason: OverrideReason,
    /// Why in words, 10 to 500 characters; kept in the audit log.
    pub words: String,
}

/// What was allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// Its id.
    pub id: String,
    /// Its number for people.
    pub no: u64,
    /// Whose limit.
    pub owner: OverrideOwner,
    /// In which currency.
    pub currency: Currency,
    /// How much more.
    pub extra: Amount,
    /// Why; the words stand in the audit log's entry.
    pub reason: OverrideReason,
    /// From when.
    pub from: UtcMillis,
    /// Until when.
    pub until: UtcMillis,
    /// When it was ended before its time.
    pub ended: Option<UtcMillis>,
    /// Who allowed it.
    pub made: Made,
}

impl Override {
    /// Whether it counts at an instant.
    pub fn is_open_at(&self, at: UtcMillis) -> bool {
        self.ended.is_none() && self.from <= at && at < self.until
    }
}

/// Which overrides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OverrideFilter {
    /// Those only that count now.
    pub open: bool,
    /// Of one patient or pot.
    pub owner: Option<OverrideOwner>,
    /// For one reason.
    pub reason: Option<OverrideReason>,
    /// Made from this instant on.
    pub from: Option<UtcMillis>,
    /// Made before this instant.
    pub until: Option<UtcMillis>,
    /// Those before this number.
    pub before: Option<u64>,
    /// At most so many; 0: [`OVERRIDES_PAGE_MAX`].
    pub limit: u32,
}

/// A stored override.
#[derive(sqlx::FromRow)]
struct OverrideRow {
    id: String,
    no: i64,
    target: String,
    owner: String,
    currency: String,
    extra_minor: i64,
    reason: String,
    from_ms: i64,
    until_ms: i64,
    ended_ms: Option<i64>,
    actor_kind: String,
    actor: Option<String>,
    entry: i64,
}

impl OverrideRow {
    fn read(self) -> Result<Override, Error> {
        const T: &str = "limit_override";
        let owner = match code(T, "target", &self.target, OverrideTarget::parse)? {
            OverrideTarget::Patient => OverrideOwner::Patient(column(T, "owner", &self.owner, str::parse)?),
            OverrideTarget::Pot => OverrideOwner::Pot(self.owner),
        };
        let (at, entry) = (UtcMillis(self.from_ms), self.entry.cast_unsigned());
        Ok(Override {
            id: self.id,
            no: number(T, "no", self.no)?,
            owner,
            currency: ledger::currency(T, &self.currency)?,
            extra: ledger::amount(T, "extra_minor", self.extra_minor)?,
            reason: code(T, "reason", &self.reason, OverrideReason::parse)?,
            from: at,
            until: UtcMillis(self.until_ms),
            ended: self.ended_ms.map(UtcMillis),
            made: Made { at, actor_kind: self.actor_kind, actor: self.actor, entry },
        })
    }
}

impl Till {
    /// What is wrong with an override by the rules of the till.
    fn check_override(&self, new: &NewOverride, now: UtcMillis) -> Result<(), TillError> {
        let most = self.rules.override_max;
        if new.currency != self.rules.currency {
            let problem = format!("how much may be allowed is set in {} only", self.rules.currency);
            return Err(invalid("currency", problem));
        }
        if !new.extra.is_positive() || new.extra > most {
            let most = self.rules.currency.decimal(most);
            return Err(invalid("extra", format!("allow more than 0 and at most {most} {}", self.rules.currency)));
        }
        let longest = self.rules.override_longest_ms;
        if new.until <= now || new.until > now.plus_ms(longest) {
            let problem = format!("an override ends in the future, within {} minutes", longest / 60_000);
            return Err(invalid("until", problem));
        }
        Ok(())
    }

    /// Allows more than a limit, from now until an instant.
    ///
    /// # Errors
    /// [`TillError::Denied`] without `limit_override`; [`TillError::Invalid`] for more or longer than the rules allow, or for
    /// an eleventh at once; [`TillError::ReasonWanted`] without words; [`TillError::NotFound`] for an unknown patient or pot;
    /// or the database.
    pub async fn allow_more(&self, acting: &Acting, new: NewOverride) -> Result<Override, TillError> {
        acting.must(Permission::LimitOverride)?;
        let now = self.clock.now();
        self.check_override(&new, now)?;
        let words = read_reason(&new.words)?;
        let id = crate::draw::id()?;
        let entry = Draft {
            object: Some(format!("override/{id}")),
            note: Some(words),
            ..acting.draft(now, Action::LimitOverridden)
        };
        let (kind, actor) = who(acting);
        transact!(self.database, "till.allow_more", |conn| {
            let owner = match &new.owner {
                OverrideOwner::Patient(person) => match conn.survivor(*person).await? {
                    Some(left) => OverrideOwner::Patient(left),
                    None => return Ok(Err(TillError::NotFound)),
                },
                OverrideOwner::Pot(payer) => {
                    let known: Option<i64> =
                        sqlx::query_scalar("SELECT limit_minor FROM pot WHERE payer = $1 AND currency = $2")
                            .bind(payer)
                            .bind(new.currency.to_string())
                            .fetch_optional(&mut *conn)
                            .await?;
                    if known.is_none() {
                        return Ok(Err(TillError::NotFound));
                    }
                    new.owner.clone()
                }
            };
            let open: i64 = sqlx::query_scalar(
                "SELECT COUNT(*) FROM limit_override WHERE owner = $1 AND target = $2 AND until_ms > $3
                     AND ended_ms IS NULL",
            )
            .bind(owner.id())
            .bind(owner.target().as_str())
            .bind(now.0)
            .fetch_one(&mut *conn)
            .await?;
            if open >= OPEN_MAX {
                let problem = format!("{OPEN_MAX} are open already; end one, or change the limit");
                return Ok(Err(invalid("owner", problem)));
            }
            let number = conn.next_no("limit_override").await?;
            let detail = format!(
                "no={number} target={} owner={} currency={} extra={} until={} reason={}",
                owner.target(),
                owner.id(),
                new.currency,
                new.extra.minor(),
                new.until.0,
                new.reason
            );
            let entry = Draft { subject: owner.patient(), detail: Some(detail), ..entry.clone() };
            let no = audit::record!(conn, &entry);
            sqlx::query(
                "INSERT INTO limit_override (id, no, target, owner, currency, extra_minor, reason, from_ms, until_ms,
                     ended_ms, actor_kind, actor, entry)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, NULL, $10, $11, $12)",
            )
            .bind(&id)
            .bind(number)
            .bind(owner.target().as_str())
            .bind(owner.id())
            .bind(new.currency.to_string())
            .bind(new.extra.minor())
            .bind(new.reason.as_str())
            .bind(now.0)
            .bind(new.until.0)
            .bind(kind)
            .bind(&actor)
            .bind(no.cast_signed())
            .execute(&mut *conn)
            .await?;
            changes::append!(conn, &terms_change(now, owner.patient(), format!("override={id}")));
            Ok(Ok(Override {
                id: id.clone(),
                no: number.unsigned_abs(),
                owner,
                currency: new.currency,
                extra: new.extra,
                reason: new.reason,
                from: now,
                until: new.until,
                ended: None,
                made: Made { at: now, actor_kind: kind.to_owned(), actor: actor.clone(), entry: no },
            }))
        })?
    }

    /// Ends an override before its time. What was registered under it stays.
    ///
    /// # Errors
    /// [`TillError::Denied`] without `limit_override`, [`TillError::NotFound`] for one that is unknown or over, or the
    /// database.
    pub async fn end_override(&self, acting: &Acting, id: &str) -> Result<(), TillError> {
        acting.must(Permission::LimitOverride)?;
        let now = self.clock.now();
        let id = id.to_owned();
        let entry = Draft { object: Some(format!("override/{id}")), ..acting.draft(now, Action::LimitOverridden) };
        transact!(self.database, "till.end_override", |conn| {
            let row: Option<OverrideRow> = sqlx::query_as(
                "UPDATE limit_override SET ended_ms = $2 WHERE id = $1 AND ended_ms IS NULL AND until_ms > $2
                 RETURNING id, no, target, owner, currency, extra_minor, reason, from_ms, until_ms, ended_ms, actor_kind,
                     actor, entry",
            )
            .bind(&id)
            .bind(now.0)
            .fetch_optional(&mut *conn)
            .await?;
            let Some(ended) = row.map(OverrideRow::read).transpose()? else { return Ok(Err(TillError::NotFound)) };
            let detail = Some(format!("no={} ended until={}>{}", ended.no, ended.until.0, now.0));
            let entry = Draft { subject: ended.owner.patient(), detail, ..entry.clone() };
            audit::record!(conn, &entry);
            changes::append!(conn, &terms_change(now, ended.owner.patient(), format!("override={id}")));
            Ok(Ok(()))
        })?
    }

    /// The pots of groups and contracts that have not ended, with the name of each, for choosing one: at most
    /// [`OVERRIDES_PAGE_MAX`].
    ///
    /// # Errors
    /// [`TillError::Denied`] without `limit_override`, or the database.
    pub async fn pots_to_override(&self, acting: &Acting) -> Result<Vec<(String, String, PotState)>, TillError> {
        acting.must(Permission::LimitOverride)?;
        let rows: Vec<(String, String, String, i64, i64)> = read!(self.database, "till.pots_to_override", |conn| {
            Ok(sqlx::query_as(
                "SELECT p.id, p.name, pot.currency, pot.limit_minor, pot.used_minor FROM pot
                 JOIN payer p ON p.id = pot.payer WHERE p.ended_ms IS NULL ORDER BY p.name, p.id, pot.currency LIMIT $1",
            )
            .bind(i64::from(OVERRIDES_PAGE_MAX))
            .fetch_all(&mut *conn)
            .await?)
        })?;
        let read = |(id, name, currency, limit, used): (String, String, String, i64, i64)| {
            super::payers::pot(&currency, limit, used).map(|state| (id, name, state))
        };
        Ok(rows.into_iter().map(read).collect::<Result<_, _>>()?)
    }

    /// Overrides, the newest first.
    ///
    /// # Errors
    /// [`TillError::Denied`] without `limit_override`, or the database.
    pub async fn overrides(&self, acting: &Acting, filter: &OverrideFilter) -> Result<Vec<Override>, TillError> {
        acting.must(Permission::LimitOverride)?;
        let now = self.clock.now();
        let limit = if filter.limit == 0 { OVERRIDES_PAGE_MAX } else { filter.limit.min(OVERRIDES_PAGE_MAX) };
        let owner = filter.owner.as_ref().map(|owner| (owner.target().as_str(), owner.id()));
        let rows: Vec<OverrideRow> = read!(self.database, "till.overrides", |conn| {
            Ok(sqlx::query_as(
                "SELECT id, no, target, owner, currency, extra_minor, reason, from_ms, until_ms, ended_ms, actor_kind, actor,
                     entry FROM limit_override
                 WHERE ($1 = 0 OR (ended_ms IS NULL AND until_ms > $2))
                     AND (CAST($3 AS TEXT) IS NULL OR (target = $3 AND owner = $4))
                     AND from_ms >= $5 AND from_ms < $6 AND no < $7
                     AND (CAST($9 AS TEXT) IS NULL OR reason = $9)
                 ORDER BY no DESC LIMIT $8",
            )
            .bind(i64::from(filter.open))
            .bind(now.0)
            .bind(owner.as_ref().map(|(target, _)| *target))
            .bind(owner.as_ref().map(|(_, id)| id.as_str()))
            .bind(filter.from.map_or(i64::MIN, |at| at.0))
            .bind(filter.until.map_or(i64::MAX, |at| at.0))
            .bind(filter.before.and_then(|no| i64::try_from(no).ok()).unwrap_or(i64::MAX))
            .bind(i64::from(limit))
            .bind(filter.reason.map(OverrideReason::as_str))
            .fetch_all(&mut *conn)
            .await?)
        })?;
        Ok(rows.into_iter().map(OverrideRow::read).collect::<Result<_, _>>()?)
    }
}
