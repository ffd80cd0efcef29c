//! Discounts worked out again from the beginning: the history of a patient's services, replayed in the order of the audit
//! log, gives the same sums before each one, the same rates and the same totals. If it does not, somebody changed what must
//! not change.
//!
//! What is rendered counts from then on until it is taken back; an order counts from when it is rendered. Its own discount is
//! that of the moment it was ordered. Each record of a patient has its own sum until the records become one.

use std::collections::{BTreeMap, BTreeSet};

use domain::money::Amount;
use domain::till::Scheme;
use domain::{Permission, PersonId};
use store::{Error, read};

use super::charge::Charge;
use super::ledger::{amount, currency};
use super::resolve::steps;
use super::rows::{CANCELLED, ChargeRow, RENDERED, select_charge};
use super::{Till, TillError};
use crate::acting::Acting;
use crate::audit::Purpose;
use crate::rows::{code, column, number};

/// Most charges of one patient that are replayed.
pub const HISTORY_MAX: u32 = 50_000;

/// What happened with a charge, or with a record, in the order of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Moment {
    /// It was registered; the charge is that at this place of the list. By which record.
    Registered(usize, PersonId),
    /// It was rendered, after it was ordered.
    Rendered(usize),
    /// It was taken back.
    Cancelled(usize),
    /// The first record became one with the second.
    Merged(PersonId, PersonId),
}

/// One line worked out again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The number of the charge.
    pub no: u64,
    /// The sum before it, as it was stored and as it is worked out again.
    pub before: (Amount, Amount),
    /// The discount, likewise.
    pub discount: (Amount, Amount),
    /// What was to be paid, likewise.
    pub net: (Amount, Amount),
}

impl Line {
    /// Whether it is the same again.
    pub fn is_same(&self) -> bool {
        self.before.0 == self.before.1 && self.discount.0 == self.discount.1 && self.net.0 == self.net.1
    }
}

/// What was worked out again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recalculated {
    /// Each charge, in the order in which they were registered.
    pub lines: Vec<Line>,
    /// Whether there were more charges than are replayed; then nothing is said.
    pub is_cut: bool,
}

impl Recalculated {
    /// Whether everything is the same again.
    pub fn is_same(&self) -> bool {
        !self.is_cut && self.lines.iter().all(Line::is_same)
    }
}

/// Replays a history. `scheme` finds the version of a scheme by its id.
pub fn recalculate<'a>(
    charges: &[Charge],
    moments: &[Moment],
    scheme: impl Fn(&(String, u32)) -> Option<&'a Scheme>,
) -> Vec<Line> {
    // What was rendered to each record, in each currency; and which record a record has become.
    let mut sums: BTreeMap<(PersonId, &str), Amount> = BTreeMap::new();
    let mut became: BTreeMap<PersonId, PersonId> = BTreeMap::new();
    let mut of: BTreeMap<usize, PersonId> = BTreeMap::new();
    let mut lines = Vec::with_capacity(charges.len());
    let later: BTreeSet<usize> =
        moments.iter().filter_map(|moment| if let Moment::Rendered(at) = moment { Some(*at) } else { None }).collect();
    let now = |became: &BTreeMap<PersonId, PersonId>, person: PersonId| became.get(&person).copied().unwrap_or(person);
    for moment in moments {
        match moment {
            Moment::Merged(from, into) => {
                let moved: Vec<_> = sums.range((*from, "")..).take_while(|((person, _), _)| person == from).collect();
                let moved: Vec<_> = moved.into_iter().map(|((_, currency), sum)| (*currency, *sum)).collect();
                for (currency, sum) in moved {
                    sums.remove(&(*from, currency));
                    add(sums.entry((*into, currency)).or_default(), sum);
                }
                for person in became.values_mut().filter(|person| **person == *from) {
                    *person = *into;
                }
                became.insert(*from, *into);
            }
            Moment::Registered(at, person) => {
                let Some(charge) = charges.get(*at) else { continue };
                let person = now(&became, *person);
                of.insert(*at, person);
                let sum = sums.entry((person, charge.currency.as_str())).or_default();
                let found = charge.scheme.as_ref().and_then(&scheme);
                let discount = found.map_or(Amount::ZERO, |scheme| scheme.discount(*sum, charge.price.gross).amount);
                let net = charge.price.gross.minus(discount).unwrap_or(Amount::ZERO);
                lines.push(Line {
                    no: charge.no,
                    before: (charge.before, *sum),
                    discount: (charge.price.discount.amount, discount),
                    net: (charge.price.net, net),
                });
                // An order that was rendered later has that moment of its own.
                if charge.rendered.is_some() && !later.contains(at) {
                    add(sum, net);
                }
            }
            Moment::Rendered(at) | Moment::Cancelled(at) => {
                let (Some(charge), Some(person)) = (charges.get(*at), of.get(at)) else { continue };
                let sum = sums.entry((now(&became, *person), charge.currency.as_str())).or_default();
                match moment {
                    Moment::Rendered(_) => add(sum, charge.price.net),
                    _ if charge.rendered.is_some() => {
                        *sum = sum.minus(charge.price.net).unwrap_or(*sum);
                    }
                    _ => {}
                }
            }
        }
    }
    lines
}

fn add(sum: &mut Amount, more: Amount) {
    *sum = sum.plus(more).unwrap_or(*sum);
}

impl Till {
    /// Works out the discounts of a patient again, from the first charge on; merged records are followed.
    ///
    /// # Errors
    /// [`TillError::Denied`], the database.
    pub async fn recalculate(&self, acting: &Acting, patient: PersonId) -> Result<Recalculated, TillError> {
        acting.must(Permission::ChargeSee)?;
        self.looked(acting, patient, Purpose::Maintenance).await?;
        let person = patient.to_string();
        let found = read!(self.database, "till.recalculate", |conn| {
            // The records that are one now, and when they became so, in the order of the entries of the audit log.
            let merges: Vec<(String, String, i64)> = sqlx::query_as(
                "SELECT m.person, a.detail, a.no FROM person_merge m
                 JOIN audit_entry a ON a.subject = m.person AND a.action = 'feed_taken' AND a.detail LIKE 'merged into=%'
                 WHERE m.into_person = COALESCE((SELECT into_person FROM person_merge WHERE person = $1), $1)",
            )
            .bind(&person)
            .fetch_all(&mut *conn)
            .await?;
            let rows: Vec<ChargeRow> = sqlx::query_as(select_charge!(
                "WHERE patient IN (SELECT COALESCE((SELECT into_person FROM person_merge WHERE person = $1), $1)
                     UNION ALL SELECT person FROM person_merge
                         WHERE into_person = COALESCE((SELECT into_person FROM person_merge WHERE person = $1), $1))
                 ORDER BY no LIMIT $2"
            ))
            .bind(&person)
            .bind(i64::from(HISTORY_MAX) + 1)
            .fetch_all(&mut *conn)
            .await?;
            let acts: Vec<(String, String, i64)> = sqlx::query_as(
                "SELECT t.charge, t.kind, t.entry FROM charge_act t JOIN charge c ON c.id = t.charge
                 WHERE c.patient IN (SELECT COALESCE((SELECT into_person FROM person_merge WHERE person = $1), $1)
                     UNION ALL SELECT person FROM person_merge
                         WHERE into_person = COALESCE((SELECT into_person FROM person_merge WHERE person = $1), $1))",
            )
            .bind(&person)
            .fetch_all(&mut *conn)
            .await?;
            // By which record: the entry of the audit log names the one of the time.
            let records: Vec<(String, String)> = sqlx::query_as(
                "SELECT c.id, COALESCE(a.subject, c.patient) FROM charge c LEFT JOIN audit_entry a ON a.no = c.entry
                 WHERE c.patient IN (SELECT COALESCE((SELECT into_person FROM person_merge WHERE person = $1), $1)
                     UNION ALL SELECT person FROM person_merge
                         WHERE into_person = COALESCE((SELECT into_person FROM person_merge WHERE person = $1), $1))",
            )
            .bind(&person)
            .fetch_all(&mut *conn)
            .await?;
            let schemes: Vec<SchemeRow> =
                sqlx::query_as("SELECT id, version, steps, rounding, unit_minor, currency FROM discount_scheme")
                    .fetch_all(&mut *conn)
                    .await?;
            Ok((merges, rows, acts, records, schemes))
        })?;
        let (merges, rows, acts, records, schemes) = found;
        if rows.len() > HISTORY_MAX as usize {
            return Ok(Recalculated { is_cut: true, ..Recalculated::default() });
        }
        let schemes: BTreeMap<(String, u32), Scheme> =
            schemes.into_iter().map(read_scheme).collect::<Result<_, Error>>()?;
        let charges: Vec<Charge> = rows.into_iter().map(ChargeRow::read).collect::<Result<_, _>>()?;
        let moments = moments(&charges, merges, acts, records)?;
        let lines = recalculate(&charges, &moments, |key| schemes.get(key));
        Ok(Recalculated { lines, is_cut: false })
    }
}

/// A stored version of a scheme: id, version, steps, rounding, unit, currency.
type SchemeRow = (String, i64, String, String, i64, String);

fn read_scheme(row: SchemeRow) -> Result<((String, u32), Scheme), Error> {
    const T: &str = "discount_scheme";
    let (id, version, list, rounding, unit, code_of) = row;
    currency(T, &code_of)?;
    amount(T, "unit_minor", unit)?;
    let version = number(T, "version", version)?;
    let rounding = code(T, "rounding", &rounding, domain::till::Rounding::parse)?;
    let scheme = Scheme { id: id.clone(), version, steps: steps(&list)?, rounding, unit };
    scheme.check().map_err(|problem| Error::bad_row(T, "steps", problem))?;
    Ok(((id, version), scheme))
}

/// What happened, in the order of the audit log.
fn moments(
    charges: &[Charge],
    merges: Vec<(String, String, i64)>,
    acts: Vec<(String, String, i64)>,
    records: Vec<(String, String)>,
) -> Result<Vec<Moment>, Error> {
    let person = |name, text: &str| column("audit_entry", name, text, str::parse::<PersonId>);
    let at: BTreeMap<&str, usize> = charges.iter().enumerate().map(|(at, charge)| (charge.id.as_str(), at)).collect();
    let records: BTreeMap<String, String> = records.into_iter().collect();
    let mut all: Vec<(u64, Moment)> = Vec::new();
    for (place, charge) in charges.iter().enumerate() {
        let record = match records.get(&charge.id) {
            Some(record) => person("subject", record)?,
            None => charge.patient,
        };
        all.push((charge.entry, Moment::Registered(place, record)));
    }
    for (charge, kind, entry) in acts {
        let Some(place) = at.get(charge.as_str()) else { continue };
        let moment = match kind.as_str() {
            RENDERED => Moment::Rendered(*place),
            CANCELLED => Moment::Cancelled(*place),
            _ => continue,
        };
        all.push((entry.cast_unsigned(), moment));
    }
    for (from, detail, entry) in merges {
        let into = detail.trim_start_matches("merged into=").split(';').next().unwrap_or_default();
        all.push((entry.cast_unsigned(), Moment::Merged(person("subject", &from)?, person("detail", into)?)));
    }
    all.sort_by_key(|(entry, _)| *entry);
    Ok(all.into_iter().map(|(_, moment)| moment).collect())
}
