//! Prices: versions of the price list, each for an instant on. Owns the tables `price` and `price_version`. Never changes a row:
//! a new price is a new version.
//!
//! # Which price counts
//! Of the prices of a service in a currency, the one of the latest instant that has come; of two for the same instant, that
//! of the newer version. So a price that is planned for later stays planned when today's is changed.

use std::collections::BTreeMap;

use domain::money::{Amount, Currency};
use domain::schedule::LocalDate;
use domain::{Permission, UtcMillis};
use store::{Error, read, transact};

use super::ledger;
use super::office::{Made, OfficeOn, check_day, invalid, minor, who};
use super::{Till, TillError};
use crate::acting::Acting;
use crate::audit::{Action, Draft, Log};

/// Most prices of one version.
pub const PRICES_MAX: usize = 50_000;
/// Versions and prices of one answer.
pub(super) const AT: i64 = 500;
/// Rows of one statement.
const MANY_MAX: usize = 500;
/// Room of one entry of the audit log for prices, in bytes.
const DETAIL_MAX_BYTES: usize = 900;

/// A price of a service in a currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PriceNow {
    /// Which currency.
    pub currency: Currency,
    /// By which version of the list.
    pub version: u32,
    /// From when.
    pub from: UtcMillis,
    /// How much for one piece; `None`: it is not sold any more.
    pub amount: Option<Amount>,
}

/// A price to be set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPrice {
    /// The code of the service.
    pub service: String,
    /// Which currency.
    pub currency: Currency,
    /// How much for one piece, not negative; `None`: it is not sold any more.
    pub amount: Option<Amount>,
}

impl NewPrice {
    /// A price.
    pub fn new(service: &str, currency: Currency, amount: Amount) -> Self {
        Self { service: service.to_owned(), currency, amount: Some(amount) }
    }
}

/// What became of prices that were set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PriceSet {
    /// The version that was made; `None`: everything was so already.
    pub version: Option<u32>,
    /// How many prices it changed.
    pub changes: u32,
    /// From when it counts.
    pub from: UtcMillis,
}

/// A version of the price list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceVersion {
    /// 1, 2, 3 …
    pub no: u32,
    /// From when it counts.
    pub from: UtcMillis,
    /// How many prices it changed.
    pub changes: u32,
    /// Who made it.
    pub made: Made,
}

/// A stored price.
#[derive(sqlx::FromRow)]
pub(super) struct PriceRow {
    pub service: String,
    pub currency: String,
    pub version: i64,
    pub from_ms: i64,
    pub minor: Option<i64>,
}

impl PriceRow {
    pub(super) fn read(self) -> Result<(String, PriceNow), Error> {
        const T: &str = "price";
        let price = PriceNow {
            currency: ledger::currency(T, &self.currency)?,
            version: crate::rows::number(T, "version", self.version)?,
            from: UtcMillis(self.from_ms),
            amount: self.minor.map(|minor| ledger::amount(T, "minor", minor)).transpose()?,
        };
        Ok((self.service, price))
    }
}

/// One price that changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PriceStep {
    pub new: NewPrice,
    /// What counted at the instant before; the outer `None`: there was no price.
    pub before: Option<Option<Amount>>,
}

impl PriceStep {
    /// In codes, for the audit log.
    fn words(&self) -> String {
        let before = self.before.map_or_else(|| "none".to_owned(), minor);
        format!("{}:{}:{before}>{}", self.new.service, self.new.currency, minor(self.new.amount))
    }
}

/// An engine's connection inside a transaction, with the price list.
pub(super) trait PricesOn {
    /// The prices of all services as they will count at an instant, by service and currency.
    async fn prices_at(&mut self, at: UtcMillis) -> Result<BTreeMap<(String, Currency), PriceNow>, Error>;

    /// Stores a version and returns its number. `steps` is not empty.
    async fn add_version(
        &mut self,
        acting: &Acting,
        now: UtcMillis,
        from: UtcMillis,
        steps: &[PriceStep],
    ) -> Result<u32, Error>;
}

macro_rules! prices_on {
    ($connection:ty) => {
        impl PricesOn for $connection {
            async fn prices_at(&mut self, at: UtcMillis) -> Result<BTreeMap<(String, Currency), PriceNow>, Error> {
                let rows: Vec<PriceRow> = sqlx::query_as(
                    "SELECT service, currency, version, from_ms, minor FROM price
                     WHERE from_ms <= $1 AND NOT EXISTS (SELECT 1 FROM price p WHERE p.service = price.service
                         AND p.currency = price.currency AND p.from_ms <= $1 AND (p.from_ms > price.from_ms
                             OR (p.from_ms = price.from_ms AND p.version > price.version)))",
                )
                .bind(at.0)
                .fetch_all(&mut *self)
                .await?;
                let read = |row: PriceRow| row.read().map(|(service, price)| ((service, price.currency), price));
                rows.into_iter().map(read).collect()
            }

            async fn add_version(
                &mut self,
                acting: &Acting,
                now: UtcMillis,
                from: UtcMillis,
                steps: &[PriceStep],
            ) -> Result<u32, Error> {
                let no = self.next_no("price_version").await?;
                let changes = i64::try_from(steps.len()).unwrap_or(i64::MAX);
                let entry = self.append_all(&drafts(acting, now, from, no, steps)).await?;
                let (kind, actor) = who(acting);
                sqlx::query(
                    "INSERT INTO price_version (no, from_ms, made_ms, actor_kind, actor, changes, entry)
                     VALUES ($1, $2, $3, $4, $5, $6, $7)",
                )
                .bind(no)
                .bind(from.0)
                .bind(now.0)
                .bind(kind)
                .bind(actor)
                .bind(changes)
                .bind(entry.cast_signed())
                .execute(&mut *self)
                .await?;
                for some in steps.chunks(MANY_MAX) {
                    let mut insert = sqlx::QueryBuilder::<<$connection as sqlx::Connection>::Database>::new(
                        "INSERT INTO price (service, currency, version, from_ms, minor) ",
                    );
                    insert.push_values(some, |mut row, step| {
                        row.push_bind(step.new.service.clone())
                            .push_bind(step.new.currency.to_string())
                            .push_bind(no)
                            .push_bind(from.0)
                            .push_bind(step.new.amount.map(Amount::minor));
                    });
                    insert.build().persistent(false).execute(&mut *self).await?;
                }
                crate::rows::number("price_version", "no", no)
            }
        }
    };
}

store::for_each_connection!(prices_on);

/// The entries of the audit log about a version: each says some of its prices, before and after, in minor units.
fn drafts(acting: &Acting, now: UtcMillis, from: UtcMillis, no: i64, steps: &[PriceStep]) -> Vec<Draft> {
    let head = format!("version={no} from={} changes={}", from.0, steps.len());
    let mut details = vec![head.clone()];
    for step in steps {
        let words = step.words();
        match details.last_mut() {
            Some(last) if last.len() + 1 + words.len() <= DETAIL_MAX_BYTES => {
                last.push(' ');
                last.push_str(&words);
            }
            _ => details.push(format!("{head} {words}")),
        }
    }
    let draft = |detail| Draft {
        object: Some(format!("price_list/{no}")),
        detail: Some(detail),
        ..acting.draft(now, Action::PricesChanged)
    };
    details.into_iter().map(draft).collect()
}

/// What of wanted prices is a change, and before it what; in the order given.
pub(super) fn steps(wanted: Vec<NewPrice>, at: &BTreeMap<(String, Currency), PriceNow>) -> Vec<PriceStep> {
    let step = |new: NewPrice| {
        let before = at.get(&(new.service.clone(), new.currency)).map(|price| price.amount);
        // What was never sold and is not to be sold is no change.
        let is_change = before.unwrap_or(None) != new.amount;
        is_change.then_some(PriceStep { new, before })
    };
    wanted.into_iter().filter_map(step).collect()
}

/// A stored version of the list: number, from when, made when and by whom, how many changes, its entry.
type VersionRow = (i64, i64, i64, String, Option<String>, i64, i64);

impl Till {
    /// From when prices count that are set now for a day: `None` and today are now, a later day is its beginning.
    ///
    /// # Errors
    /// [`TillError::Invalid`] for a day that is over: what was registered has its price.
    pub fn prices_from(&self, day: Option<LocalDate>) -> Result<UtcMillis, TillError> {
        let now = self.clock.now();
        let today = self.day_at(now);
        match day {
            None => Ok(now),
            Some(day) if day == today => Ok(now),
            Some(day) if day < today => {
                Err(invalid("from", format!("{day} is over; prices can be set from {today} on")))
            }
            Some(day) => Ok(self.day_begins(check_day("from", day)?)),
        }
    }

    /// Sets prices from a day on: one version of the list, or none where everything is so already. Days as in
    /// [`Till::prices_from`].
    ///
    /// # Errors
    /// [`TillError::Denied`] without `price_edit`, [`TillError::Invalid`] for an unknown service, a negative price, a service
    /// named twice, or too many, or the database.
    pub async fn set_prices(
        &self,
        acting: &Acting,
        from: Option<LocalDate>,
        prices: Vec<NewPrice>,
    ) -> Result<PriceSet, TillError> {
        acting.must(Permission::PriceEdit)?;
        let now = self.clock.now();
        let from = self.prices_from(from)?;
        if prices.len() > PRICES_MAX {
            return Err(invalid("prices", format!("a version has at most {PRICES_MAX} prices; set them in parts")));
        }
        let mut seen = std::collections::BTreeSet::new();
        for price in &prices {
            if price.amount.is_some_and(|amount| amount.minor() < 0) {
                return Err(invalid("price", format!("{}: a price is not negative", price.service)));
            }
            if !seen.insert((price.service.clone(), price.currency)) {
                return Err(invalid("service", format!("{}: it is there twice in one currency", price.service)));
            }
        }
        let acting = acting.clone();
        transact!(self.database, "till.set_prices", |conn| {
            let known: Vec<String> = sqlx::query_scalar("SELECT code FROM service").fetch_all(&mut *conn).await?;
            let known: std::collections::BTreeSet<&str> = known.iter().map(String::as_str).collect();
            if let Some(missing) = prices.iter().find(|price| !known.contains(price.service.as_str())) {
                let shown: String = missing.service.chars().take(40).collect();
                return Ok(Err(invalid("service", format!("there is no service {shown:?}"))));
            }
            let at = conn.prices_at(from).await?;
            let steps = steps(prices.clone(), &at);
            let changes = u32::try_from(steps.len()).unwrap_or(u32::MAX);
            if steps.is_empty() {
                return Ok(Ok(PriceSet { version: None, changes, from }));
            }
            let version = conn.add_version(&acting, now, from, &steps).await?;
            Ok(Ok(PriceSet { version: Some(version), changes, from }))
        })?
    }

    /// The versions of the price list, the newest first, at most 500.
    ///
    /// # Errors
    /// [`TillError::Denied`] without `charge_see`, or the database.
    pub async fn price_versions(&self, acting: &Acting) -> Result<Vec<PriceVersion>, TillError> {
        acting.must(Permission::ChargeSee)?;
        let rows: Vec<VersionRow> = read!(self.database, "till.price_versions", |conn| {
            Ok(sqlx::query_as(
                "SELECT no, from_ms, made_ms, actor_kind, actor, changes, entry FROM price_version
                     ORDER BY no DESC LIMIT $1",
            )
            .bind(AT)
            .fetch_all(&mut *conn)
            .await?)
        })?;
        let read = |(no, from, made, actor_kind, actor, changes, entry): VersionRow| {
            Ok(PriceVersion {
                no: crate::rows::number("price_version", "no", no)?,
                from: UtcMillis(from),
                changes: crate::rows::number("price_version", "changes", changes)?,
                made: Made { at: UtcMillis(made), actor_kind, actor, entry: entry.cast_unsigned() },
            })
        };
        Ok(rows.into_iter().map(read).collect::<Result<_, Error>>()?)
    }

    /// All prices of a version, in the order of the services, with what each service is.
    ///
    /// # Errors
    /// As [`Till::price_versions`].
    pub async fn prices_of(&self, acting: &Acting, version: u32) -> Result<Vec<(String, PriceNow)>, TillError> {
        acting.must(Permission::ChargeSee)?;
        let rows: Vec<PriceRow> = read!(self.database, "till.prices_of", |conn| {
            Ok(sqlx::query_as(
                "SELECT service, currency, version, from_ms, minor FROM price WHERE version = $1
                 ORDER BY service, currency",
            )
            .bind(i64::from(version))
            .fetch_all(&mut *conn)
            .await?)
        })?;
        Ok(rows.into_iter().map(PriceRow::read).collect::<Result<_, _>>()?)
    }
}
