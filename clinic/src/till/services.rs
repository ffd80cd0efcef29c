//! Services: what the clinic does for money, by code, with a name in each language. Owns the table `service`. Never removes
//! one: charges name it; one that is not given any more has ended.

use std::collections::BTreeMap;

use domain::money::Currency;
use domain::{Permission, UtcMillis};
use store::{Error, read, transact};

use super::office::{NAME_MAX_CHARS, WORD_MAX_CHARS, invalid, read_code, read_name, read_optional, step};
use super::prices::{AT, PriceNow, PriceRow};
use super::{Till, TillError};
use crate::acting::Acting;
use crate::audit::{self, Action, Draft};
use crate::rows::column;

/// Most services of a clinic.
pub const SERVICES_MAX: usize = 50_000;
/// Most languages of one name.
pub const LANGUAGES_MAX: usize = 10;
/// Services of one answer.
pub const SERVICES_PAGE_MAX: u32 = 1000;

/// A service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its code, for ever.
    pub code: String,
    /// Its name by language (`en`, `ru`, `uk` …); at least one.
    pub names: BTreeMap<String, String>,
    /// What it belongs to; may be empty.
    pub category: String,
    /// Rendered at the patient's home: paid before, whatever the terms.
    pub at_home: bool,
    /// What other systems call it; `None`: the same code.
    pub external: Option<String>,
    /// Since when it is not given any more.
    pub ended: Option<UtcMillis>,
    /// When it was last changed.
    pub changed: UtcMillis,
}

impl Service {
    /// Its name in a language, or in English, or in whichever there is; the code if there is none.
    pub fn name(&self, language: &str) -> &str {
        let found = self.names.get(language).or_else(|| self.names.get("en")).or_else(|| self.names.values().next());
        found.map_or(&self.code, String::as_str)
    }
}

/// A service to be made or changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewService {
    /// Its code.
    pub code: String,
    /// Its name by language, at least one.
    pub names: BTreeMap<String, String>,
    /// What it belongs to; may be empty.
    pub category: String,
    /// Rendered at the patient's home.
    pub at_home: bool,
    /// What other systems call it.
    pub external: Option<String>,
    /// Whether it is not given any more.
    pub ended: bool,
}

impl NewService {
    /// A service with an English name.
    pub fn new(code: &str, name: &str) -> Self {
        let names = BTreeMap::from([("en".to_owned(), name.to_owned())]);
        Self { code: code.to_owned(), names, ..Self::default() }
    }

    /// What makes sense of it, trimmed.
    pub(super) fn check(self) -> Result<Self, TillError> {
        let mut names = BTreeMap::new();
        for (language, name) in &self.names {
            let is_language = (2..=3).contains(&language.len()) && language.bytes().all(|it| it.is_ascii_lowercase());
            if !is_language {
                return Err(invalid("names", "a language is two or three small letters, like en"));
            }
            names.insert(language.clone(), read_name("names", name, NAME_MAX_CHARS)?);
        }
        if names.is_empty() || names.len() > LANGUAGES_MAX {
            return Err(invalid("names", format!("a service has a name in 1 to {LANGUAGES_MAX} languages")));
        }
        Ok(Self {
            code: read_code("code", &self.code)?,
            names,
            category: read_optional("category", Some(&self.category), WORD_MAX_CHARS)?.unwrap_or_default(),
            at_home: self.at_home,
            external: read_optional("external", self.external.as_deref(), WORD_MAX_CHARS)?,
            ended: self.ended,
        })
    }

    /// Whether storing it would change nothing.
    pub(super) fn is_like(&self, known: &Service) -> bool {
        self.names == known.names
            && self.category == known.category
            && self.at_home == known.at_home
            && self.external == known.external
            && self.ended == known.ended.is_some()
    }

    /// The names as they are stored.
    pub(super) fn names_text(&self) -> String {
        serde_json::to_string(&self.names).unwrap_or_else(|_| "{}".to_owned())
    }
}

/// Which services.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServiceFilter {
    /// A part of the code, of a name or of the other systems' code, in small or capital letters.
    pub find: String,
    /// Of one category.
    pub category: Option<String>,
    /// Also those that ended.
    pub with_ended: bool,
    /// The currency of the prices; that of the clinic's rules if not given.
    pub currency: Option<Currency>,
    /// Those after this code.
    pub after: Option<String>,
    /// At most so many; 0: as many as there can be in one answer, [`SERVICES_PAGE_MAX`].
    pub limit: u32,
}

/// A service with its price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceLine {
    /// The service.
    pub service: Service,
    /// Its price as of now; `None`: it never had one in this currency.
    pub price: Option<PriceNow>,
    /// The next one that is planned.
    pub next: Option<PriceNow>,
}

/// A stored service.
#[derive(sqlx::FromRow)]
pub(super) struct ServiceRow {
    code: String,
    names: String,
    category: String,
    at_home: i64,
    external: Option<String>,
    ended_ms: Option<i64>,
    changed_ms: i64,
}

impl ServiceRow {
    pub(super) fn read(self) -> Result<Service, Error> {
        Ok(Service {
            names: column("service", "names", &self.names, |text| serde_json::from_str(text))?,
            code: self.code,
            category: self.category,
            at_home: self.at_home != 0,
            external: self.external,
            ended: self.ended_ms.map(UtcMillis),
            changed: UtcMillis(self.changed_ms),
        })
    }
}

impl Till {
    /// Makes a service, or changes the one of this code. The prices stay.
    ///
    /// # Errors
    /// [`TillError::Denied`] without `price_edit`, [`TillError::Invalid`], or the database.
    pub async fn put_service(&self, acting: &Acting, new: NewService) -> Result<Service, TillError> {
        acting.must(Permission::PriceEdit)?;
        let new = new.check()?;
        let now = self.clock.now();
        let entry = acting.draft(now, Action::PricesChanged);
        transact!(self.database, "till.put_service", |conn| {
            let known: Option<ServiceRow> = sqlx::query_as(
                "SELECT code, names, category, at_home, external, ended_ms, changed_ms FROM service WHERE code = $1",
            )
            .bind(&new.code)
            .fetch_optional(&mut *conn)
            .await?;
            let known = known.map(ServiceRow::read).transpose()?;
            if let Some(known) = known.as_ref().filter(|known| new.is_like(known)) {
                return Ok(Ok(known.clone()));
            }
            let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM service").fetch_one(&mut *conn).await?;
            if known.is_none() && count >= SERVICES_MAX as i64 {
                return Ok(Err(invalid("code", format!("a clinic has at most {SERVICES_MAX} services"))));
            }
            let stored = new.stored(known.as_ref(), now);
            sqlx::query(
                "INSERT INTO service (code, names, category, at_home, external, ended_ms, changed_ms)
                 VALUES ($1, $2, $3, $4, $5, $6, $7)
                 ON CONFLICT (code) DO UPDATE SET names = excluded.names, category = excluded.category,
                     at_home = excluded.at_home, external = excluded.external, ended_ms = excluded.ended_ms,
                     changed_ms = excluded.changed_ms",
            )
            .bind(&stored.code)
            .bind(new.names_text())
            .bind(&stored.category)
            .bind(i64::from(stored.at_home))
            .bind(&stored.external)
            .bind(stored.ended.map(|at| at.0))
            .bind(now.0)
            .execute(&mut *conn)
            .await?;
            let object = Some(format!("service/{}", stored.code));
            let entry = Draft { object, detail: Some(new.detail(known.as_ref())), ..entry.clone() };
            audit::record!(conn, &entry);
            Ok(Ok(stored))
        })?
    }

    /// Services in the order of their codes, with what they cost now and next.
    ///
    /// # Errors
    /// [`TillError::Denied`] without `charge_see`, or the database.
    pub async fn services(&self, acting: &Acting, filter: &ServiceFilter) -> Result<Vec<ServiceLine>, TillError> {
        acting.must(Permission::ChargeSee)?;
        let now = self.clock.now();
        let currency = filter.currency.unwrap_or(self.rules.currency);
        let wanted = filter.find.trim().to_lowercase();
        let limit = if filter.limit == 0 { SERVICES_PAGE_MAX } else { filter.limit.min(SERVICES_PAGE_MAX) } as usize;
        let mut lines = Vec::new();
        let mut after = filter.after.clone().unwrap_or_default();
        // Small letters of every script are made here, as the engines do not agree about them; so pages are read until
        // enough is found.
        while lines.len() < limit {
            let rows: Vec<ServiceRow> = read!(self.database, "till.services", |conn| {
                Ok(sqlx::query_as(
                    "SELECT code, names, category, at_home, external, ended_ms, changed_ms FROM service
                     WHERE code > $1 AND (CAST($2 AS TEXT) IS NULL OR category = $2) AND ($3 = 1 OR ended_ms IS NULL)
                     ORDER BY code LIMIT $4",
                )
                .bind(&after)
                .bind(filter.category.as_deref())
                .bind(i64::from(filter.with_ended))
                .bind(i64::from(SERVICES_PAGE_MAX))
                .fetch_all(&mut *conn)
                .await?)
            })?;
            let is_last = rows.len() < SERVICES_PAGE_MAX as usize;
            for row in rows {
                let service = row.read()?;
                after.clone_from(&service.code);
                if service.matches(&wanted) && lines.len() < limit {
                    lines.push(ServiceLine { service, price: None, next: None });
                }
            }
            if is_last {
                break;
            }
        }
        self.price_lines(&mut lines, currency, now).await?;
        Ok(lines)
    }

    /// Fills in the prices of services.
    async fn price_lines(
        &self,
        lines: &mut [ServiceLine],
        currency: Currency,
        now: UtcMillis,
    ) -> Result<(), TillError> {
        let (Some(first), Some(last)) = (lines.first(), lines.last()) else { return Ok(()) };
        let range = (first.service.code.clone(), last.service.code.clone());
        let rows: Vec<PriceRow> = read!(self.database, "till.price_lines", |conn| {
            Ok(sqlx::query_as(
                "SELECT service, currency, version, from_ms, minor FROM price
                 WHERE service >= $1 AND service <= $2 AND currency = $3
                     AND (from_ms > $4 OR from_ms = (SELECT MAX(p.from_ms) FROM price p WHERE p.service = price.service
                         AND p.currency = price.currency AND p.from_ms <= $4))
                 ORDER BY service, from_ms, version",
            )
            .bind(&range.0)
            .bind(&range.1)
            .bind(currency.to_string())
            .bind(now.0)
            .fetch_all(&mut *conn)
            .await?)
        })?;
        let mut by_service: BTreeMap<String, (Option<PriceNow>, Option<PriceNow>)> = BTreeMap::new();
        for row in rows {
            let price = row.read()?;
            let slot = by_service.entry(price.0).or_default();
            let price = price.1;
            if price.from <= now {
                slot.0 = Some(price);
            } else if slot.1.as_ref().is_none_or(|next| next.from == price.from) {
                slot.1 = Some(price);
            }
        }
        for line in lines {
            if let Some((price, next)) = by_service.remove(&line.service.code) {
                (line.price, line.next) = (price, next);
            }
        }
        Ok(())
    }

    /// One service with all its prices, the newest versions first, at most [`AT`] of them; `None` if there is none.
    ///
    /// # Errors
    /// As [`Till::services`].
    pub async fn service(&self, acting: &Acting, code: &str) -> Result<Option<(Service, Vec<PriceNow>)>, TillError> {
        acting.must(Permission::ChargeSee)?;
        let row: Option<ServiceRow> = read!(self.database, "till.service", |conn| {
            Ok(sqlx::query_as(
                "SELECT code, names, category, at_home, external, ended_ms, changed_ms FROM service WHERE code = $1",
            )
            .bind(code)
            .fetch_optional(&mut *conn)
            .await?)
        })?;
        let Some(service) = row.map(ServiceRow::read).transpose()? else { return Ok(None) };
        let rows: Vec<PriceRow> = read!(self.database, "till.service_prices", |conn| {
            Ok(sqlx::query_as(
                "SELECT service, currency, version, from_ms, minor FROM price WHERE service = $1
                 ORDER BY version DESC, currency LIMIT $2",
            )
            .bind(code)
            .bind(AT)
            .fetch_all(&mut *conn)
            .await?)
        })?;
        let prices = rows.into_iter().map(|row| row.read().map(|(_, price)| price)).collect::<Result<_, _>>()?;
        Ok(Some((service, prices)))
    }

    /// The categories that services have, in order.
    ///
    /// # Errors
    /// As [`Till::services`].
    pub async fn categories(&self, acting: &Acting) -> Result<Vec<String>, TillError> {
        acting.must(Permission::ChargeSee)?;
        Ok(read!(self.database, "till.categories", |conn| {
            Ok(sqlx::query_scalar(
                "SELECT DISTINCT category FROM service WHERE category <> '' ORDER BY category LIMIT 1000",
            )
            .fetch_all(&mut *conn)
            .await?)
        })?)
    }
}

impl Service {
    /// Whether a text in small letters is part of it.
    fn matches(&self, wanted: &str) -> bool {
        let has = |text: &str| text.to_lowercase().contains(wanted);
        wanted.is_empty()
            || has(&self.code)
            || self.external.as_deref().is_some_and(has)
            || self.names.values().any(|name| has(name))
    }
}

impl NewService {
    /// As it will be stored.
    pub(super) fn stored(&self, known: Option<&Service>, now: UtcMillis) -> Service {
        let ended = self.ended.then(|| known.and_then(|known| known.ended).unwrap_or(now));
        Service {
            code: self.code.clone(),
            names: self.names.clone(),
            category: self.category.clone(),
            at_home: self.at_home,
            external: self.external.clone(),
            ended,
            changed: now,
        }
    }

    /// What changes, in codes.
    pub(super) fn detail(&self, known: Option<&Service>) -> String {
        let is_new = if known.is_some() { "changed" } else { "new" };
        let names = if known.is_some_and(|known| known.names != self.names) { " names" } else { "" };
        let flag = |it: bool| u8::from(it);
        let text = |it: &Option<String>| it.clone().unwrap_or_else(|| "-".to_owned());
        format!(
            "{is_new}{names} {} {} {} {}",
            step("category", known.map(|it| &it.category), &self.category),
            step("at_home", known.map(|it| flag(it.at_home)).as_ref(), &flag(self.at_home)),
            step("external", known.map(|it| text(&it.external)).as_ref(), &text(&self.external)),
            step("ended", known.map(|it| flag(it.ended.is_some())).as_ref(), &flag(self.ended)),
        )
    }
}
