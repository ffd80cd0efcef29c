//! Scales of discounts, each version of them. Owns the table `discount_scheme`; the arithmetic is
//! `domain::till::discount`'s. Never changes a version: a new scale is a new one, and charges name theirs.

use domain::money::{Amount, Currency};
use domain::till::{Rounding, Scheme, Step};
use domain::{Permission, UtcMillis};
use store::{Error, read, transact};

use super::ledger;
use super::office::{Made, NAME_MAX_CHARS, invalid, read_code, read_name, who};
use super::payers::terms_change;
use super::{Till, TillError};
use crate::acting::Acting;
use crate::audit::{self, Action, Draft};
use crate::changes;
use crate::rows::{code, column, number};

/// Most versions of one answer.
const AT: i64 = 500;

/// A version of a scale, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredScheme {
    /// The scale.
    pub scheme: Scheme,
    /// What people call it.
    pub name: String,
    /// The currency of its sums.
    pub currency: Currency,
    /// Who made this version.
    pub made: Made,
}

/// A scale to be made or changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewScheme {
    /// Its code: a new one makes a scale, a known one its next version.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// The currency of its sums; stays what it was.
    pub currency: Currency,
    /// Steps, the sums rising.
    pub steps: Vec<Step>,
    /// How to round.
    pub rounding: Rounding,
    /// To how many minor units.
    pub unit: i64,
}

/// A stored scale.
#[derive(sqlx::FromRow)]
pub(super) struct SchemeRow {
    id: String,
    version: i64,
    name: String,
    currency: String,
    steps: String,
    rounding: String,
    unit_minor: i64,
    made_ms: i64,
    actor_kind: String,
    actor: Option<String>,
    entry: i64,
}

impl SchemeRow {
    pub(super) fn read(self) -> Result<StoredScheme, Error> {
        const T: &str = "discount_scheme";
        let steps: Vec<(i64, u32)> = column(T, "steps", &self.steps, |text| serde_json::from_str(text))?;
        let step = |(from, rate)| Ok(Step { from: ledger::amount(T, "steps", from)?, rate });
        let scheme = Scheme {
            id: self.id,
            version: number(T, "version", self.version)?,
            steps: steps.into_iter().map(step).collect::<Result<_, Error>>()?,
            rounding: code(T, "rounding", &self.rounding, Rounding::parse)?,
            unit: self.unit_minor,
        };
        let (at, entry) = (UtcMillis(self.made_ms), self.entry.cast_unsigned());
        Ok(StoredScheme {
            scheme,
            name: self.name,
            currency: ledger::currency(T, &self.currency)?,
            made: Made { at, actor_kind: self.actor_kind, actor: self.actor, entry },
        })
    }
}

/// Steps as they are stored: a list of [from, rate].
fn steps_text(steps: &[Step]) -> String {
    let all: Vec<String> = steps.iter().map(|step| format!("[{},{}]", step.from.minor(), step.rate)).collect();
    format!("[{}]", all.join(","))
}

impl Till {
    /// Makes a scale of discounts, or the next version of the one of this code. What is so already makes no version.
    ///
    /// # Errors
    /// [`TillError::Denied`] without `terms_edit`, [`TillError::Invalid`] for a scale that makes no sense, or the database.
    pub async fn put_scheme(&self, acting: &Acting, new: NewScheme) -> Result<StoredScheme, TillError> {
        acting.must(Permission::TermsEdit)?;
        let id = read_code("id", &new.id)?;
        let name = read_name("name", &new.name, NAME_MAX_CHARS)?;
        let scheme = Scheme { id: id.clone(), version: 1, steps: new.steps, rounding: new.rounding, unit: new.unit };
        scheme.check().map_err(|problem| invalid("steps", problem.to_string()))?;
        let now = self.clock.now();
        let entry = Draft { object: Some(format!("scheme/{id}")), ..acting.draft(now, Action::TermsChanged) };
        let (kind, actor) = who(acting);
        let currency = new.currency;
        transact!(self.database, "till.put_scheme", |conn| {
            let row: Option<SchemeRow> = sqlx::query_as(
                "SELECT id, version, name, currency, steps, rounding, unit_minor, made_ms, actor_kind, actor, entry
                 FROM discount_scheme WHERE id = $1 ORDER BY version DESC LIMIT 1",
            )
            .bind(&id)
            .fetch_optional(&mut *conn)
            .await?;
            let known = row.map(SchemeRow::read).transpose()?;
            let mut scheme = scheme.clone();
            if let Some(known) = &known {
                if known.currency != currency {
                    let problem = format!("the sums of this scale are in {}; make another scale", known.currency);
                    return Ok(Err(invalid("currency", problem)));
                }
                scheme.version = known.scheme.version;
                if known.scheme == scheme && known.name == name {
                    return Ok(Ok(known.clone()));
                }
                scheme.version += 1;
            }
            let text = steps_text(&scheme.steps);
            let before = known.as_ref().map_or_else(|| "none".to_owned(), |it| steps_text(&it.scheme.steps));
            let head = format!(
                "version={} currency={currency} rounding={} unit={}",
                scheme.version, scheme.rounding, scheme.unit
            );
            let entry = Draft { detail: Some(format!("{head} steps={before}>{text}")), ..entry.clone() };
            let no = audit::record!(conn, &entry);
            sqlx::query(
                "INSERT INTO discount_scheme (id, version, name, currency, steps, rounding, unit_minor, made_ms,
                     actor_kind, actor, entry)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
            )
            .bind(&id)
            .bind(i64::from(scheme.version))
            .bind(&name)
            .bind(currency.to_string())
            .bind(text)
            .bind(scheme.rounding.as_str())
            .bind(scheme.unit)
            .bind(now.0)
            .bind(kind)
            .bind(&actor)
            .bind(no.cast_signed())
            .execute(&mut *conn)
            .await?;
            changes::append!(conn, &terms_change(now, None, format!("scheme={id}")));
            let made = Made { at: now, actor_kind: kind.to_owned(), actor: actor.clone(), entry: no };
            Ok(Ok(StoredScheme { scheme, name: name.clone(), currency, made }))
        })?
    }

    /// The scales of discounts, the newest version of each, in the order of their codes.
    ///
    /// # Errors
    /// [`TillError::Denied`] without `terms_edit`, or the database.
    pub async fn schemes(&self, acting: &Acting) -> Result<Vec<StoredScheme>, TillError> {
        acting.must(Permission::TermsEdit)?;
        let rows: Vec<SchemeRow> = read!(self.database, "till.schemes", |conn| {
            Ok(sqlx::query_as(
                "SELECT id, version, name, currency, steps, rounding, unit_minor, made_ms, actor_kind, actor, entry
                 FROM discount_scheme
                 WHERE version = (SELECT MAX(s.version) FROM discount_scheme s WHERE s.id = discount_scheme.id)
                 ORDER BY id LIMIT $1",
            )
            .bind(AT)
            .fetch_all(&mut *conn)
            .await?)
        })?;
        Ok(rows.into_iter().map(SchemeRow::read).collect::<Result<_, _>>()?)
    }

    /// All versions of a scale, the newest first.
    ///
    /// # Errors
    /// As [`Till::schemes`].
    pub async fn scheme_history(&self, acting: &Acting, id: &str) -> Result<Vec<StoredScheme>, TillError> {
        acting.must(Permission::TermsEdit)?;
        let rows: Vec<SchemeRow> = read!(self.database, "till.scheme_history", |conn| {
            Ok(sqlx::query_as(
                "SELECT id, version, name, currency, steps, rounding, unit_minor, made_ms, actor_kind, actor, entry
                 FROM discount_scheme WHERE id = $1 ORDER BY version DESC LIMIT $2",
            )
            .bind(id)
            .bind(AT)
            .fetch_all(&mut *conn)
            .await?)
        })?;
        Ok(rows.into_iter().map(SchemeRow::read).collect::<Result<_, _>>()?)
    }
}

/// What a scale gives, line by line: each price after all those before it.
///
/// # Errors
/// [`TillError::Invalid`] where a sum is too large.
pub fn explain(scheme: &Scheme, before: Amount, prices: &[Amount]) -> Result<Vec<Explained>, TillError> {
    let mut sum = before;
    let mut lines = Vec::with_capacity(prices.len());
    for price in prices {
        let discount = scheme.discount(sum, *price);
        let too_large = || invalid("price", "the sum is too large");
        let net = price.minus(discount.amount).ok_or_else(too_large)?;
        lines.push(Explained { before: sum, price: *price, discount, net });
        sum = sum.plus(net).ok_or_else(too_large)?;
    }
    Ok(lines)
}

/// One line of [`explain`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Explained {
    /// What was rendered before.
    pub before: Amount,
    /// The price.
    pub price: Amount,
    /// The discount and the step that comes next.
    pub discount: domain::till::Discount,
    /// To pay.
    pub net: Amount,
}
