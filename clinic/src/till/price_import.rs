//! Taking over a price list from a file: services and prices together, after a look at what would change. What was looked at
//! is what is taken: the answer to a look carries a digest of the file and of everything that it would change, and taking it
//! with that digest changes this or nothing.

use std::collections::{BTreeMap, BTreeSet};

use domain::money::{Amount, Currency};
use domain::schedule::LocalDate;
use domain::{Permission, UtcMillis, codes};
use sha2::{Digest, Sha256};
use store::{Error, transact};

use super::price_list::{ListFaultKind, ListFaults, ListPrice, ListRow, read};
use super::prices::{NewPrice, PriceNow, PriceRow, PriceSet, PricesOn, steps};
use super::services::{NewService, SERVICES_MAX, Service, ServiceRow};
use super::{Till, TillError};
use crate::acting::Acting;
use crate::audit::{Action, Draft, Log};

/// Rows of one statement.
const MANY_MAX: usize = 500;
/// Room of one entry of the audit log for services, in bytes.
const DETAIL_MAX_BYTES: usize = 900;

/// Whether a file is looked at or taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Take<'a> {
    /// Nothing is changed.
    Look,
    /// It is taken if it still changes what a look with this digest has shown.
    AsShown(&'a str),
    /// It is taken as it is.
    Now,
}

codes! {
    /// What a line of a list does.
    ListState {
        /// Makes a service.
        New = "new",
        /// Changes a service or its price.
        Changed = "changed",
        /// Changes nothing.
        Unchanged = "unchanged",
    }
}

/// A sound line of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListLine {
    /// Its number in the file, the first being 1.
    pub line: u64,
    /// What the service will be.
    pub service: NewService,
    /// What it does.
    pub state: ListState,
    /// Whether the service itself is made or changed, beside its price.
    pub is_service_changed: bool,
    /// The currency of the price.
    pub currency: Currency,
    /// The price that counts at the instant without the list; the outer `None`: there is none.
    pub before: Option<Option<Amount>>,
    /// The price by the list; `None`: it stays.
    pub after: Option<Option<Amount>>,
    /// A price that was planned for later; it stays planned.
    pub planned: Option<PriceNow>,
}

/// What a list changes, would change, or has wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListReport {
    /// From when its prices count.
    pub from: UtcMillis,
    /// Of the file and of what it changes.
    pub digest: String,
    /// The sound lines, in the order of the file.
    pub lines: Vec<ListLine>,
    /// What is wrong. With any fault nothing is taken.
    pub faults: ListFaults,
    /// Whether it was taken.
    pub is_taken: bool,
    /// The version of the price list that was made, where prices changed.
    pub set: Option<PriceSet>,
}

impl ListReport {
    /// How many lines do this.
    pub fn count(&self, state: ListState) -> usize {
        self.lines.iter().filter(|line| line.state == state).count()
    }
}

/// A service to be stored, with what it was.
type Stored = (NewService, Option<Service>);

/// An engine's connection inside a transaction, with services.
trait ServicesOn {
    /// All services by code.
    async fn all_services(&mut self) -> Result<BTreeMap<String, Service>, Error>;

    /// Prices that are planned for after an instant, the next of each service and currency.
    async fn planned(&mut self, after: UtcMillis) -> Result<BTreeMap<(String, Currency), PriceNow>, Error>;

    /// Stores services with their entries of the audit log.
    async fn save_services(&mut self, acting: &Acting, now: UtcMillis, all: &[Stored]) -> Result<(), Error>;
}

macro_rules! services_on {
    ($connection:ty) => {
        impl ServicesOn for $connection {
            async fn all_services(&mut self) -> Result<BTreeMap<String, Service>, Error> {
                let rows: Vec<ServiceRow> = sqlx::query_as(
                    "SELECT code, names, category, at_home, external, ended_ms, changed_ms FROM service",
                )
                .fetch_all(&mut *self)
                .await?;
                rows.into_iter().map(|row| row.read().map(|service| (service.code.clone(), service))).collect()
            }

            async fn planned(&mut self, after: UtcMillis) -> Result<BTreeMap<(String, Currency), PriceNow>, Error> {
                let rows: Vec<PriceRow> = sqlx::query_as(
                    "SELECT service, currency, version, from_ms, minor FROM price WHERE from_ms > $1
                     ORDER BY from_ms DESC, version",
                )
                .bind(after.0)
                .fetch_all(&mut *self)
                .await?;
                let read = |row: PriceRow| row.read().map(|(service, price)| ((service, price.currency), price));
                // The last one written for a key is the next one: the earliest instant, its newest version.
                rows.into_iter().map(read).collect()
            }

            async fn save_services(&mut self, acting: &Acting, now: UtcMillis, all: &[Stored]) -> Result<(), Error> {
                for some in all.chunks(MANY_MAX) {
                    let mut insert = sqlx::QueryBuilder::<<$connection as sqlx::Connection>::Database>::new(
                        "INSERT INTO service (code, names, category, at_home, external, ended_ms, changed_ms) ",
                    );
                    insert.push_values(some, |mut row, (new, known)| {
                        let stored = new.stored(known.as_ref(), now);
                        row.push_bind(stored.code)
                            .push_bind(new.names_text())
                            .push_bind(stored.category)
                            .push_bind(i64::from(stored.at_home))
                            .push_bind(stored.external)
                            .push_bind(stored.ended.map(|at| at.0))
                            .push_bind(now.0);
                    });
                    insert.push(
                        " ON CONFLICT (code) DO UPDATE SET names = excluded.names, category = excluded.category,
                         at_home = excluded.at_home, external = excluded.external, ended_ms = excluded.ended_ms,
                         changed_ms = excluded.changed_ms",
                    );
                    insert.build().persistent(false).execute(&mut *self).await?;
                }
                self.append_all(&drafts(acting, now, all)).await?;
                Ok(())
            }
        }
    };
}

store::for_each_connection!(services_on);

/// The entries of the audit log about services: each says some of them.
fn drafts(acting: &Acting, now: UtcMillis, all: &[Stored]) -> Vec<Draft> {
    let mut details: Vec<String> = Vec::new();
    for (new, known) in all {
        let words = format!("{} {};", new.code, new.detail(known.as_ref()));
        match details.last_mut() {
            Some(last) if last.len() + 1 + words.len() <= DETAIL_MAX_BYTES => {
                last.push(' ');
                last.push_str(&words);
            }
            _ => details.push(words),
        }
    }
    let object = Some("services".to_owned());
    let draft = |text| Draft { object: object.clone(), detail: Some(text), ..acting.draft(now, Action::PricesChanged) };
    details.into_iter().map(draft).collect()
}

/// What a line makes of a service.
fn merged(row: &ListRow, known: Option<&Service>) -> NewService {
    let mut names = known.map(|known| known.names.clone()).unwrap_or_default();
    for (language, name) in &row.names {
        match name {
            Some(name) => names.insert(language.clone(), name.clone()),
            None => names.remove(language),
        };
    }
    let kept = |text: Option<&String>| text.cloned().unwrap_or_default();
    NewService {
        code: row.service.clone(),
        names,
        category: row.category.clone().unwrap_or_else(|| kept(known.map(|known| &known.category))),
        at_home: row.at_home.unwrap_or_else(|| known.is_some_and(|known| known.at_home)),
        external: row.external.clone().unwrap_or_else(|| known.and_then(|known| known.external.clone())),
        ended: row.ended.unwrap_or_else(|| known.is_some_and(|known| known.ended.is_some())),
    }
}

/// What is there before the list.
struct There {
    services: BTreeMap<String, Service>,
    prices: BTreeMap<(String, Currency), PriceNow>,
    planned: BTreeMap<(String, Currency), PriceNow>,
}

/// What the lines do.
fn compare(rows: &[ListRow], there: &There, faults: &mut ListFaults) -> Vec<ListLine> {
    let mut seen: BTreeMap<&str, NewService> = BTreeMap::new();
    let mut lines = Vec::with_capacity(rows.len());
    for row in rows {
        let known = there.services.get(&row.service);
        let new = merged(row, known);
        if new.names.is_empty() {
            faults.add(row.line, "name_en", ListFaultKind::NameMissing);
            continue;
        }
        let other = seen.entry(&row.service).or_insert_with(|| new.clone());
        if *other != new {
            faults.add(row.line, "service", ListFaultKind::Differs);
            continue;
        }
        let key = (row.service.clone(), row.currency);
        let before = there.prices.get(&key).map(|price| price.amount);
        let after = match row.price {
            ListPrice::Keep => None,
            ListPrice::Set(amount) => Some(amount),
        };
        let is_service_changed = known.is_none_or(|known| !new.is_like(known));
        let is_price_changed = after.is_some_and(|after| after != before.unwrap_or(None));
        let state = match known {
            None => ListState::New,
            Some(_) if is_service_changed || is_price_changed => ListState::Changed,
            Some(_) => ListState::Unchanged,
        };
        let planned = there.planned.get(&key).copied();
        let (line, currency) = (row.line, row.currency);
        lines.push(ListLine { line, service: new, state, is_service_changed, currency, before, after, planned });
    }
    let made: BTreeSet<&str> =
        lines.iter().filter(|line| line.state == ListState::New).map(|line| line.service.code.as_str()).collect();
    if there.services.len() + made.len() > SERVICES_MAX {
        faults.add(1, "service", ListFaultKind::TooMuch);
    }
    lines
}

/// Of the file, the day and everything that it changes.
fn digest(file: &[u8], from: Option<LocalDate>, lines: &[ListLine]) -> String {
    use std::fmt::Write;
    let mut hash = Sha256::new();
    hash.update(Sha256::digest(file));
    hash.update(from.map_or_else(|| "now".to_owned(), |day| day.to_string()));
    for line in lines {
        hash.update(format!(
            "\n{} {} {} {:?} {:?} {}",
            line.line, line.state, line.currency, line.before, line.after, line.is_service_changed
        ));
    }
    let mut text = String::with_capacity(64);
    for byte in hash.finalize() {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

impl Till {
    /// Looks at a price list in CSV, or takes it: whole, or with any fault not at all. Its prices count from a day on, as in
    /// [`Till::prices_from`]; those without a currency are in the clinic's.
    ///
    /// # Errors
    /// [`TillError::Denied`] without `price_edit`; [`TillError::Invalid`] for the day; [`TillError::Changed`] when the list no
    /// longer changes what was shown; or the database. What is wrong with the file stands in the report.
    pub async fn import_prices(
        &self,
        acting: &Acting,
        file: Vec<u8>,
        from: Option<LocalDate>,
        take: Take<'_>,
    ) -> Result<ListReport, TillError> {
        acting.must(Permission::PriceEdit)?;
        let now = self.clock.now();
        let instant = self.prices_from(from)?;
        let mut faults = ListFaults::default();
        let rows = read(&file, self.rules.currency, &mut faults);
        let is_look = take == Take::Look;
        let shown = match take {
            Take::AsShown(digest) => Some(digest.to_owned()),
            Take::Look | Take::Now => None,
        };
        let acting = acting.clone();
        transact!(self.database, "till.import_prices", |conn| {
            let there = There {
                services: conn.all_services().await?,
                prices: conn.prices_at(instant).await?,
                planned: conn.planned(instant).await?,
            };
            let mut faults = faults.clone();
            let lines = compare(&rows, &there, &mut faults);
            let digest = digest(&file, from, &lines);
            let mut report = ListReport { from: instant, digest, lines, faults, is_taken: false, set: None };
            if is_look || !report.faults.is_empty() {
                return Ok(Ok(report));
            }
            if shown.as_ref().is_some_and(|shown| *shown != report.digest) {
                return Ok(Err(TillError::Changed));
            }
            let mut done = BTreeSet::new();
            let changed: Vec<Stored> = report
                .lines
                .iter()
                .filter(|line| line.is_service_changed && done.insert(line.service.code.as_str()))
                .map(|line| (line.service.clone(), there.services.get(&line.service.code).cloned()))
                .collect();
            if !changed.is_empty() {
                conn.save_services(&acting, now, &changed).await?;
            }
            let wanted: Vec<NewPrice> = report
                .lines
                .iter()
                .filter_map(|line| {
                    let (service, currency) = (line.service.code.clone(), line.currency);
                    line.after.map(|amount| NewPrice { service, currency, amount })
                })
                .collect();
            let steps = steps(wanted, &there.prices);
            if !steps.is_empty() {
                let version = conn.add_version(&acting, now, instant, &steps).await?;
                let changes = u32::try_from(steps.len()).unwrap_or(u32::MAX);
                report.set = Some(PriceSet { version: Some(version), changes, from: instant });
            }
            report.is_taken = true;
            Ok(Ok(report))
        })?
    }
}
