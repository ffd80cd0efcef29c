//! What a registration depends on, read for many at once: persons, prices, terms, schemes, what supervisors allowed. A
//! constant number of statements, however many wait. Statements only, no rule; on either engine, inside a transaction or a
//! read.

use std::collections::{BTreeMap, BTreeSet};

use domain::money::{Amount, Currency};
use domain::schedule::LocalDate;
use domain::till::terms::Terms;
use domain::till::{Mode, Owner, Rounding, Scheme, Scope, Step};
use domain::{PersonId, UtcMillis};
use sqlx::FromRow;
use store::{Error, padded};

use super::ledger::{amount, currency, day};
use crate::rows::{code, column, number};

/// The owner of terms for everybody.
pub(crate) const EVERYBODY: &str = "-";
/// [`Override`](OverrideKey) of a patient's limit.
pub(crate) const OF_PATIENT: &str = "patient";
/// Of a pot's.
pub(crate) const OF_POT: &str = "pot";

/// What an override is on top of: `patient` or `pot`, the person's or payer's id, the currency.
pub(crate) type OverrideKey = (&'static str, String, Currency);

/// A person, as a charge needs them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Known {
    /// The record that is left.
    pub survivor: PersonId,
    /// Whether the record that is left was erased, or is being erased.
    pub is_erased: bool,
}

/// A service as it can be had now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ServiceNow {
    pub at_home: bool,
    pub is_over: bool,
    /// By currency: the version of the price list, and the price of one piece where it is sold.
    pub prices: BTreeMap<Currency, (u64, Option<Amount>)>,
}

/// The newest version of a scheme, with its currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SchemeNow {
    pub currency: Currency,
    pub scheme: Scheme,
}

/// Rows of a statement with a list in its middle: `in_list!(self, Connection, "SELECT … IN (", values, ")")`, where values are
/// [`padded`](store::padded); what is bound after the list follows as `, bind, "text"`.
macro_rules! in_list {
    ($conn:expr, $connection:ty, $head:expr, $values:expr $(, $tail:literal $(, $bind:expr)?)*) => {{
        let values: &[String] = $values;
        let mut select = sqlx::QueryBuilder::<<$connection as sqlx::Connection>::Database>::new($head);
        let mut list = select.separated(", ");
        for value in values {
            list.push_bind(value.as_str());
        }
        $(select.push($tail); $(select.push_bind($bind);)?)*
        select.build_query_as().fetch_all(&mut *$conn).await?
    }};
}
pub(crate) use in_list;

/// A stored version of terms.
#[derive(FromRow)]
pub(crate) struct TermsRow {
    id: String,
    version: i64,
    scope: String,
    owner: String,
    mode: String,
    currency: String,
    limit_minor: Option<i64>,
    pot: Option<String>,
    scheme: Option<String>,
    priority: i64,
    from_day: i64,
    until_day: Option<i64>,
}

impl TermsRow {
    pub(crate) fn read(self) -> Result<Terms, Error> {
        const T: &str = "terms";
        let scope = code(T, "scope", &self.scope, Scope::parse)?;
        let owner = match scope {
            Scope::Everybody => Owner::Everybody,
            Scope::Group | Scope::Contract => Owner::Payer(self.owner),
            Scope::Patient => Owner::Patient(column(T, "owner", &self.owner, str::parse)?),
        };
        Ok(Terms {
            version: number(T, "version", self.version)?,
            scope,
            owner,
            mode: code(T, "mode", &self.mode, Mode::parse)?,
            currency: currency(T, &self.currency)?,
            limit: self.limit_minor.map(|minor| amount(T, "limit_minor", minor)).transpose()?,
            pot: self.pot,
            scheme: self.scheme,
            priority: number(T, "priority", self.priority)?,
            from: day(T, "from_day", self.from_day)?,
            until: self.until_day.map(|until| day(T, "until_day", until)).transpose()?,
            id: self.id,
        })
    }
}

/// Reads the steps of a stored scheme.
pub(crate) fn steps(text: &str) -> Result<Vec<Step>, Error> {
    const T: &str = "discount_scheme";
    let bad = |problem: &str| Error::bad_row(T, "steps", problem);
    let pairs: Vec<(i64, u32)> = serde_json::from_str(text).map_err(|_| bad("this is not a list of [from, rate]"))?;
    let step = |(from, rate)| Ok(Step { from: amount(T, "steps", from)?, rate });
    pairs.into_iter().map(step).collect()
}

/// An engine's connection with what registrations depend on.
pub(crate) trait ResolveOn {
    /// Persons, merged records followed; who is not there is not in the answer.
    ///
    /// # Errors
    /// Engine errors.
    async fn persons(&mut self, persons: &BTreeSet<PersonId>) -> Result<BTreeMap<PersonId, Known>, Error>;

    /// The terms that are valid for each patient on a day: those of everybody, of the payers whose member the patient is
    /// that day, and of the patient; also what was agreed with records that were merged into theirs. Patients are the
    /// records that are left. Every patient asked for is in the answer.
    ///
    /// # Errors
    /// Engine errors.
    async fn terms_for(
        &mut self,
        patients: &[PersonId],
        day: LocalDate,
    ) -> Result<BTreeMap<PersonId, Vec<Terms>>, Error>;

    /// The newest version of each of these schemes.
    ///
    /// # Errors
    /// Engine errors.
    async fn schemes(&mut self, ids: &BTreeSet<String>) -> Result<BTreeMap<String, SchemeNow>, Error>;

    /// Services and their prices at an instant: of the versions whose instant has come the one with the latest instant,
    /// of several of the same instant the newest. A service that is not there is not in the answer.
    ///
    /// # Errors
    /// Engine errors.
    async fn prices(
        &mut self,
        services: &BTreeSet<String>,
        at: UtcMillis,
    ) -> Result<BTreeMap<String, ServiceNow>, Error>;

    /// What supervisors have allowed on top of the limits of these owners (persons and payers) at an instant.
    ///
    /// # Errors
    /// Engine errors.
    async fn overrides(
        &mut self,
        owners: &BTreeSet<String>,
        at: UtcMillis,
    ) -> Result<BTreeMap<OverrideKey, Amount>, Error>;
}

macro_rules! resolve_on {
    ($connection:ty) => {
        impl ResolveOn for $connection {
            async fn persons(&mut self, persons: &BTreeSet<PersonId>) -> Result<BTreeMap<PersonId, Known>, Error> {
                if persons.is_empty() {
                    return Ok(BTreeMap::new());
                }
                let ids = padded(persons.iter().map(ToString::to_string));
                let rows: Vec<(String, Option<String>, i64)> = in_list!(
                    self,
                    $connection,
                    "SELECT p.id, m.into_person, COALESCE(k.shredded_ms, own.erasing_ms, -1) FROM person p
                     LEFT JOIN person_merge m ON m.person = p.id
                     JOIN person own ON own.id = COALESCE(m.into_person, p.id)
                     LEFT JOIN passport k ON k.person = COALESCE(m.into_person, p.id)
                     WHERE p.id IN (",
                    &ids,
                    ")"
                );
                let read = |(id, into, shredded): (String, Option<String>, i64)| {
                    let person = column("person", "id", &id, str::parse)?;
                    let survivor = into.map(|into| column("person_merge", "into_person", &into, str::parse)).transpose()?;
                    Ok((person, Known { survivor: survivor.unwrap_or(person), is_erased: shredded >= 0 }))
                };
                rows.into_iter().map(read).collect()
            }

            async fn terms_for(
                &mut self,
                patients: &[PersonId],
                day: LocalDate,
            ) -> Result<BTreeMap<PersonId, Vec<Terms>>, Error> {
                let mut found: BTreeMap<PersonId, Vec<Terms>> =
                    patients.iter().map(|patient| (*patient, Vec::new())).collect();
                // Whose terms count for whom: owner to patients.
                let mut counts: BTreeMap<String, BTreeSet<PersonId>> = BTreeMap::new();
                let mut records: BTreeMap<String, PersonId> = BTreeMap::new();
                for patient in found.keys() {
                    counts.entry(EVERYBODY.to_owned()).or_default().insert(*patient);
                    records.insert(patient.to_string(), *patient);
                }
                if found.is_empty() {
                    return Ok(found);
                }
                let ids = padded(records.keys());
                let merged: Vec<(String, String)> = in_list!(
                    self,
                    $connection,
                    "SELECT person, into_person FROM person_merge WHERE into_person IN (",
                    &ids,
                    ")"
                );
                for (person, into) in merged {
                    if let Some(patient) = records.get(&into).copied() {
                        records.insert(person, patient);
                    }
                }
                let ids = padded(records.keys());
                let members: Vec<(String, String)> = in_list!(
                    self,
                    $connection,
                    "SELECT m.payer, m.person FROM payer_member m JOIN payer ON payer.id = m.payer
                     WHERE payer.ended_ms IS NULL AND m.person IN (",
                    &ids,
                    ") AND m.from_day <= ",
                    i64::from(day.0),
                    " AND (m.until_day IS NULL OR m.until_day >= ",
                    i64::from(day.0),
                    ")"
                );
                for (payer, person) in members {
                    if let Some(patient) = records.get(&person) {
                        counts.entry(payer).or_default().insert(*patient);
                    }
                }
                for (person, patient) in records {
                    counts.entry(person).or_default().insert(patient);
                }
                let owners = padded(counts.keys());
                let rows: Vec<TermsRow> = in_list!(
                    self,
                    $connection,
                    "SELECT id, version, scope, owner, mode, currency, limit_minor, pot, scheme, priority, from_day,
                         until_day
                     FROM terms WHERE is_current = 1 AND withdrawn = 0 AND owner IN (",
                    &owners,
                    ") AND from_day <= ",
                    i64::from(day.0),
                    " AND (until_day IS NULL OR until_day >= ",
                    i64::from(day.0),
                    ")"
                );
                for row in rows {
                    let patients = counts.get(&row.owner).cloned().unwrap_or_default();
                    let terms = row.read()?;
                    for patient in patients {
                        found.entry(patient).or_default().push(terms.clone());
                    }
                }
                Ok(found)
            }

            async fn schemes(&mut self, ids: &BTreeSet<String>) -> Result<BTreeMap<String, SchemeNow>, Error> {
                const T: &str = "discount_scheme";
                if ids.is_empty() {
                    return Ok(BTreeMap::new());
                }
                let list = padded(ids);
                let rows: Vec<(String, i64, String, String, String, i64)> = in_list!(
                    self,
                    $connection,
                    "SELECT s.id, s.version, s.currency, s.steps, s.rounding, s.unit_minor FROM discount_scheme s
                     WHERE s.version = (SELECT MAX(n.version) FROM discount_scheme n WHERE n.id = s.id) AND s.id IN (",
                    &list,
                    ")"
                );
                let read = |(id, version, code_of, list, rounding, unit): (String, i64, String, String, String, i64)| {
                    let scheme = Scheme {
                        id: id.clone(),
                        version: number(T, "version", version)?,
                        steps: steps(&list)?,
                        rounding: code(T, "rounding", &rounding, Rounding::parse)?,
                        unit,
                    };
                    // A unit of nothing would divide by it.
                    scheme.check().map_err(|problem| Error::bad_row(T, "steps", problem))?;
                    Ok((id, SchemeNow { currency: currency(T, &code_of)?, scheme }))
                };
                rows.into_iter().map(read).collect()
            }

            async fn prices(
                &mut self,
                services: &BTreeSet<String>,
                at: UtcMillis,
            ) -> Result<BTreeMap<String, ServiceNow>, Error> {
                const T: &str = "price";
                if services.is_empty() {
                    return Ok(BTreeMap::new());
                }
                let list = padded(services);
                let rows: Vec<(String, i64, i64)> = in_list!(
                    self,
                    $connection,
                    "SELECT code, at_home, COALESCE(ended_ms, -1) FROM service WHERE code IN (",
                    &list,
                    ")"
                );
                let read = |(service, at_home, ended): (String, i64, i64)| {
                    let is_over = ended >= 0 && ended <= at.0;
                    (service, ServiceNow { at_home: at_home != 0, is_over, prices: BTreeMap::new() })
                };
                let mut found: BTreeMap<String, ServiceNow> = rows.into_iter().map(read).collect();
                let rows: Vec<(String, String, i64, Option<i64>)> = in_list!(
                    self,
                    $connection,
                    "SELECT p.service, p.currency, p.version, p.minor FROM price p WHERE p.service IN (",
                    &list,
                    ") AND p.from_ms <= ",
                    at.0,
                    " AND NOT EXISTS (SELECT 1 FROM price n WHERE n.service = p.service AND n.currency = p.currency
                         AND n.from_ms <= ",
                    at.0,
                    " AND (n.from_ms > p.from_ms OR (n.from_ms = p.from_ms AND n.version > p.version)))"
                );
                for (service, code_of, version, minor) in rows {
                    let price = minor.map(|minor| amount(T, "minor", minor)).transpose()?;
                    if let Some(now) = found.get_mut(&service) {
                        now.prices.insert(currency(T, &code_of)?, (version.cast_unsigned(), price));
                    }
                }
                Ok(found)
            }

            async fn overrides(
                &mut self,
                owners: &BTreeSet<String>,
                at: UtcMillis,
            ) -> Result<BTreeMap<OverrideKey, Amount>, Error> {
                const T: &str = "limit_override";
                if owners.is_empty() {
                    return Ok(BTreeMap::new());
                }
                let list = padded(owners);
                let rows: Vec<(String, String, String, i64)> = in_list!(
                    self,
                    $connection,
                    "SELECT target, owner, currency, extra_minor FROM limit_override
                     WHERE ended_ms IS NULL AND owner IN (",
                    &list,
                    ") AND until_ms > ",
                    at.0,
                    " AND from_ms <= ",
                    at.0
                );
                let mut found: BTreeMap<OverrideKey, Amount> = BTreeMap::new();
                for (target, owner, code_of, extra) in rows {
                    let target = if target == OF_POT { OF_POT } else { OF_PATIENT };
                    let sum = found.entry((target, owner, currency(T, &code_of)?)).or_default();
                    // A sum that no amount can be is no limit at all; what is allowed is bounded far below.
                    *sum = sum.plus(amount(T, "extra_minor", extra)?).unwrap_or(*sum);
                }
                Ok(found)
            }
        }
    };
}

store::for_each_connection!(resolve_on);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_that_are_none_are_an_error_that_names_the_column() {
        assert_eq!(steps("[[0,100],[500,250]]").unwrap()[1].rate, 250);
        for bad in ["", "{}", "[[1]]", "[[0,-1]]", "[[0.5,1]]", "[[9223372036854775807,1]]"] {
            assert!(steps(bad).unwrap_err().to_string().contains("steps"), "{bad}");
        }
    }
}
