//! What the doctor's page shows before anything is registered: services with what they cost this patient now, and what
//! terms, limits and deposit leave. Nothing here changes anything; registering decides anew.

use std::collections::{BTreeMap, BTreeSet};

use domain::money::{Amount, Currency};
use domain::schedule::LocalDate;
use domain::till::register::price;
use domain::till::terms::Terms;
use domain::till::{Account, Bounds, Mode, Priced, Refusal, Scheme, Step, Wanted};
use domain::{Permission, PersonId};
use store::{Error, read};

use super::batch::read_terms;
use super::decide::World;
use super::ledger::LedgerOn;
use super::resolve::{Known, OF_PATIENT, OF_POT, ResolveOn};
use super::{Till, TillError};
use crate::acting::Acting;
use crate::audit::Purpose;

/// Most services in one answer.
pub const OFFERS_MAX: u32 = 100;
/// Most services that are looked through.
const SERVICES_MAX: i64 = 20_000;
/// What was registered most among so many charges comes first.
const RECENT: i64 = 2_000;

/// A limit and what is left of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// The limit, with what supervisors have allowed on top.
    pub limit: Amount,
    /// What of it they have allowed on top.
    pub extra: Amount,
    /// What is used of it.
    pub used: Amount,
    /// What is left; never below zero.
    pub left: Amount,
}

impl Left {
    /// Of a limit that holds what was allowed on top already.
    pub(super) fn of(limit: Amount, extra: Amount, used: Amount) -> Self {
        let left = limit.minus(used).unwrap_or(Amount::ZERO).max(Amount::ZERO);
        Self { limit, extra, used, left }
    }
}

/// The shared pot that a patient's charges count against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PotLeft {
    /// Whose: the payer's id.
    pub payer: String,
    /// The payer's name.
    pub name: String,
    /// Its limit and what is left.
    pub left: Left,
}

/// A service as a patient could have it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Its code.
    pub service: String,
    /// Its names by language.
    pub names: BTreeMap<String, String>,
    /// Its category.
    pub category: String,
    /// Whether it is given at the patient's home.
    pub at_home: bool,
    /// The version of the price list.
    pub price_version: u64,
    /// The price of one piece; `None`: it has none in this currency.
    pub unit: Option<Amount>,
    /// What all pieces that were asked about cost, with the discount; `None` where there is no price.
    pub price: Option<Priced>,
    /// How it would be paid; `None` without terms.
    pub mode: Option<Mode>,
    /// Why so many pieces could not be registered now.
    pub refusal: Option<Refusal>,
}

/// What can be registered for a patient now, in one currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offers {
    /// For whom: the record that is left.
    pub patient: PersonId,
    /// The clinic's currency.
    pub currency: Currency,
    /// The clinic's day.
    pub day: LocalDate,
    /// The terms that count; `None`: nothing can be registered.
    pub terms: Option<Terms>,
    /// What is owed, paid in, held, and was rendered before.
    pub account: Account,
    /// The patient's own limit, on postpaid terms that have one.
    pub limit: Option<Left>,
    /// The shared pot, on postpaid terms that name one.
    pub pot: Option<PotLeft>,
    /// The scheme of discounts and its version.
    pub scheme: Option<(String, u32)>,
    /// The rate that counts now, in hundredths of a per cent; 0 without a scheme.
    pub rate: u32,
    /// The next step of the scale.
    pub next: Option<Step>,
    /// Services, those registered most of late first, then by code.
    pub services: Vec<Offer>,
    /// Whether there are more that fit.
    pub has_more: bool,
}

/// A service as it is stored: code, names, category, at home.
type ServiceRow = (String, String, String, i64);
/// A service that fits, with its names.
type Fitting = (ServiceRow, BTreeMap<String, String>);

impl Till {
    /// Services whose code or name holds `find` (any language, any case; all when empty), at most `limit` of them, with
    /// what one piece costs this patient now and what is left of limits and deposit.
    ///
    /// # Errors
    /// [`TillError::NotFound`] for a patient who is not there; [`TillError::Denied`]; the database.
    pub async fn offers(
        &self,
        acting: &Acting,
        patient: PersonId,
        find: &str,
        limit: u32,
    ) -> Result<Offers, TillError> {
        acting.must(Permission::ServiceRegister)?;
        let now = self.clock.now();
        let find = find.trim().to_lowercase();
        let limit = usize::try_from(limit.min(OFFERS_MAX)).unwrap_or(0);
        let currency = self.rules.currency;
        let (known, person) = self.whom(acting, patient).await?;
        let (world, rows, has_more, name) = read!(self.database, "till.offers", |conn| {
            let today = super::day_in(self.zone, now);
            let mut world = World::at(now, self.zone, conn.posting_day(today).await?, &self.rules);
            world.persons.clone_from(&known);
            read_terms(conn, &mut world, &[person], &BTreeSet::from([currency])).await?;
            let rows: Vec<ServiceRow> = sqlx::query_as(
                "SELECT s.code, s.names, s.category, s.at_home FROM service s
                 LEFT JOIN (SELECT service, COUNT(*) AS many FROM (SELECT service FROM charge ORDER BY no DESC LIMIT $1)
                     AS late GROUP BY service) AS used ON used.service = s.code
                 WHERE s.ended_ms IS NULL OR s.ended_ms > $2
                 ORDER BY COALESCE(used.many, 0) DESC, s.code LIMIT $3",
            )
            .bind(RECENT)
            .bind(now.0)
            .bind(SERVICES_MAX)
            .fetch_all(&mut *conn)
            .await?;
            let (rows, has_more) = fitting(rows, &find, limit)?;
            let codes: BTreeSet<String> = rows.iter().map(|(row, _)| row.0.clone()).collect();
            world.services = conn.prices(&codes, now).await?;
            let pot = world.terms_of(person, currency).and_then(|terms| terms.pot.clone());
            let name: Option<String> = match pot {
                None => None,
                Some(payer) => {
                    sqlx::query_scalar("SELECT name FROM payer WHERE id = $1")
                        .bind(&payer)
                        .fetch_optional(&mut *conn)
                        .await?
                }
            };
            Ok((world, rows, has_more, name))
        })?;
        Ok(offers_of(&world, person, currency, rows, has_more, name.unwrap_or_default()))
    }

    /// One service in so many pieces: what all of them together cost this patient now, and whether they could be registered.
    /// The discount of several is rounded once, so this is not always that of one, multiplied. `None`: there is no service
    /// of this code, or it is given no more.
    ///
    /// # Errors
    /// [`TillError::NotFound`] for a patient who is not there; [`TillError::Denied`]; the database.
    pub async fn offer(
        &self,
        acting: &Acting,
        patient: PersonId,
        service: &str,
        quantity: u32,
    ) -> Result<Option<Offer>, TillError> {
        acting.must(Permission::ServiceRegister)?;
        let now = self.clock.now();
        let currency = self.rules.currency;
        let (known, person) = self.whom(acting, patient).await?;
        let found = read!(self.database, "till.offer", |conn| {
            let row: Option<ServiceRow> = sqlx::query_as(
                "SELECT code, names, category, at_home FROM service
                 WHERE code = $1 AND (ended_ms IS NULL OR ended_ms > $2)",
            )
            .bind(service)
            .bind(now.0)
            .fetch_optional(&mut *conn)
            .await?;
            let Some(row) = row else { return Ok(None) };
            let today = super::day_in(self.zone, now);
            let mut world = World::at(now, self.zone, conn.posting_day(today).await?, &self.rules);
            world.persons.clone_from(&known);
            read_terms(conn, &mut world, &[person], &BTreeSet::from([currency])).await?;
            world.services = conn.prices(&BTreeSet::from([row.0.clone()]), now).await?;
            Ok(Some((world, row)))
        })?;
        let Some((world, row)) = found else { return Ok(None) };
        let names = names_of(&row)?;
        Ok(Some(Ground::of(&world, person, currency).offer(&world, &row, names, quantity)))
    }

    /// What the members of a group owe of their shared pot, in the clinic's currency: so that a page learns cheaply whether
    /// what it shows of the pot is still so. `None`: the group has no pot.
    ///
    /// # Errors
    /// [`TillError::Denied`]; the database.
    pub async fn pot_used(&self, acting: &Acting, payer: &str) -> Result<Option<Amount>, TillError> {
        acting.must(Permission::ServiceRegister)?;
        let currency = self.rules.currency.to_string();
        let used: Option<i64> = read!(self.database, "till.pot_used", |conn| {
            let query = sqlx::query_scalar("SELECT used_minor FROM pot WHERE payer = $1 AND currency = $2");
            Ok(query.bind(payer).bind(&currency).fetch_optional(&mut *conn).await?)
        })?;
        Ok(used.map(|used| super::ledger::amount("pot", "used_minor", used)).transpose()?)
    }

    /// The record that is left of a patient, with what is known of it; that it is looked at stands in the audit log.
    async fn whom(
        &self,
        acting: &Acting,
        patient: PersonId,
    ) -> Result<(BTreeMap<PersonId, Known>, PersonId), TillError> {
        let known =
            read!(self.database, "till.offers.patient", |conn| { conn.persons(&BTreeSet::from([patient])).await })?;
        let person = known.get(&patient).filter(|known| !known.is_erased).ok_or(TillError::NotFound)?.survivor;
        self.looked(acting, person, Purpose::Treatment).await?;
        Ok((known, person))
    }
}

/// The names of a service by language.
fn names_of(row: &ServiceRow) -> Result<BTreeMap<String, String>, Error> {
    serde_json::from_str(&row.1)
        .map_err(|_| Error::bad_row("service", "names", "this is not an object of language to name"))
}

/// Those whose code or a name holds the text, with their names.
fn fitting(rows: Vec<ServiceRow>, find: &str, limit: usize) -> Result<(Vec<Fitting>, bool), Error> {
    let mut fit = Vec::new();
    for row in rows {
        let names = names_of(&row)?;
        let holds = |text: &str| text.to_lowercase().contains(find);
        if !find.is_empty() && !holds(&row.0) && !names.values().any(|name| holds(name)) {
            continue;
        }
        if fit.len() == limit {
            return Ok((fit, true));
        }
        fit.push((row, names));
    }
    Ok((fit, false))
}

fn offers_of(
    world: &World,
    patient: PersonId,
    currency: Currency,
    rows: Vec<Fitting>,
    has_more: bool,
    payer_name: String,
) -> Offers {
    let ground = Ground::of(world, patient, currency);
    let Ground { account, terms, scheme, bounds, .. } = ground;
    // Terms in another currency bound nothing here.
    let own = terms.filter(|terms| terms.currency == currency);
    let limit = own
        .and(bounds.limit)
        .map(|limit| Left::of(limit, world.extra(OF_PATIENT, &patient.to_string(), currency), account.owed));
    let pot = own.and_then(|terms| {
        let (payer, (limit, used)) = (terms.pot.clone()?, bounds.pot?);
        let left = Left::of(limit, world.extra(OF_POT, &payer, currency), used);
        Some(PotLeft { name: payer_name, left, payer })
    });
    let now = scheme.map(|scheme| scheme.discount(account.rendered, Amount::ZERO));
    Offers {
        patient,
        currency,
        day: world.today,
        terms: terms.cloned(),
        account,
        limit,
        pot,
        scheme: scheme.map(|scheme| (scheme.id.clone(), scheme.version)),
        rate: now.map_or(0, |now| now.rate),
        next: now.and_then(|now| now.next),
        services: rows.into_iter().map(|(row, names)| ground.offer(world, &row, names, 1)).collect(),
        has_more,
    }
}

/// What an offer to a patient follows from, worked out once for all services.
struct Ground<'a> {
    currency: Currency,
    account: Account,
    terms: Option<&'a Terms>,
    scheme: Option<&'a Scheme>,
    bounds: Bounds,
}

impl<'a> Ground<'a> {
    fn of(world: &'a World, patient: PersonId, currency: Currency) -> Self {
        let terms = world.terms_of(patient, currency);
        Self {
            currency,
            account: world.accounts.get(&(patient, currency)).copied().unwrap_or_default(),
            terms,
            scheme: terms.and_then(|terms| world.scheme_of(terms)),
            bounds: terms.map(|terms| world.bounds_of(patient, terms)).unwrap_or_default(),
        }
    }

    fn offer(&self, world: &World, row: &ServiceRow, names: BTreeMap<String, String>, quantity: u32) -> Offer {
        let (service, _, category, at_home) = row;
        let price_now = world.services.get(service).and_then(|now| now.prices.get(&self.currency));
        let unit = price_now.and_then(|(_, unit)| *unit);
        let wanted = Wanted { unit, currency: self.currency, quantity, at_home: *at_home != 0, shown: None };
        let mode = self.terms.map(|terms| if wanted.at_home { Mode::Prepaid } else { terms.mode });
        Offer {
            service: service.clone(),
            names,
            category: category.clone(),
            at_home: wanted.at_home,
            price_version: price_now.map_or(0, |(version, _)| *version),
            unit,
            price: price(&wanted, self.scheme, &self.account).ok(),
            mode,
            refusal: domain::till::register(&wanted, self.terms, self.scheme, &self.account, &self.bounds).err(),
        }
    }
}
