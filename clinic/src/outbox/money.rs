//! Charges and payments as other systems are told them: what they are now, in minor units of their currency. Pseudonyms,
//! codes and the names of services; no names of people.

use std::collections::{BTreeMap, BTreeSet};

use domain::money::{Amount, Currency};
use domain::schedule::LocalDate;
use domain::till::{ChargeState, Mode};
use domain::{PersonId, UtcMillis};
use store::{Database, Error, read, sqlx};

use super::fact::FactStaff;
use crate::changes::{Change, ChangeKind};
use crate::rows::{code, column, optional};
use crate::till::account::{PaymentLine, PaymentRow, select_payment};
use crate::till::ledger::{amount, currency, day};

/// A charge as it is now, which may be further than at the change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FactCharge {
    /// Its id: a UUID, also that of the charge in other systems.
    pub id: String,
    /// Its number here: 1, 2, 3 …
    pub no: u64,
    /// The patient it was registered for.
    pub patient: PersonId,
    /// In which visit, if in one.
    pub visit: Option<String>,
    /// Whether it was registered without the patient's card: the code of the reason.
    pub irregular: Option<String>,
    /// Who rendered it, or ordered it.
    pub staff: Option<FactStaff>,
    /// At which workstation.
    pub workstation: Option<String>,
    /// The code of the service here.
    pub service: String,
    /// What other systems call the service.
    pub external: Option<String>,
    /// The service's names, by language, in alphabetical order of the languages.
    pub names: Vec<(String, String)>,
    /// The category of the service.
    pub category: String,
    /// How many.
    pub quantity: u32,
    /// The currency of all amounts.
    pub currency: Currency,
    /// The price of all.
    pub gross: Amount,
    /// The discount.
    pub discount: Amount,
    /// What is to be paid: price less discount.
    pub net: Amount,
    /// The rate of the discount, in hundredths of a per cent.
    pub rate: u32,
    /// By which scheme and version of it.
    pub scheme: Option<(String, u64)>,
    /// On which terms.
    pub mode: Mode,
    /// How far it has come.
    pub state: ChargeState,
    /// What was paid of it.
    pub paid: Amount,
    /// What was written off.
    pub written_off: Amount,
    /// When it was registered.
    pub registered: UtcMillis,
    /// The clinic's day of that.
    pub day: LocalDate,
    /// When it was rendered.
    pub rendered: Option<UtcMillis>,
    /// When it was taken back, and the code of the reason.
    pub cancelled: Option<(UtcMillis, String)>,
}

impl FactCharge {
    /// What other systems call the service: their code, or else ours.
    pub fn code(&self) -> &str {
        self.external.as_deref().unwrap_or(&self.service)
    }

    /// The name of the service in a language; in another one where it has none in this; its code without any.
    pub fn name(&self, language: &str) -> &str {
        let own = self.names.iter().find(|(known, _)| known == language).or(self.names.first());
        own.map_or(self.service.as_str(), |(_, name)| name)
    }

    /// What is still to be paid.
    pub fn open(&self) -> Amount {
        self.net.minus(self.paid).and_then(|rest| rest.minus(self.written_off)).unwrap_or(Amount::ZERO)
    }

    /// Whether a service was rendered and all of it is paid, not written off.
    pub fn is_paid(&self) -> bool {
        self.state == ChargeState::Rendered && self.paid >= self.net
    }
}

/// A payment as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FactPayment {
    /// The payment.
    pub line: PaymentLine,
    /// Which charges it pays, and how much of each.
    pub parts: Vec<(String, Amount)>,
    /// Which of these charges are paid in full now.
    pub paid: BTreeSet<String>,
}

impl FactPayment {
    /// Whether the money went back to the patient.
    pub fn is_back(&self) -> bool {
        matches!(self.line.kind.as_str(), "refunded" | "returned")
    }
}

/// Charges and payments of a batch of changes.
#[derive(Debug, Default)]
pub(super) struct Money {
    charges: BTreeMap<String, (FactCharge, Option<PersonId>)>,
    payments: BTreeMap<String, FactPayment>,
}

impl Money {
    /// Visits that charges belong to.
    pub(super) fn visits(&self) -> impl Iterator<Item = String> {
        self.charges.values().filter_map(|(charge, _)| charge.visit.clone())
    }

    /// Patients.
    pub(super) fn patients(&self) -> impl Iterator<Item = PersonId> {
        let of_charges = self.charges.values().map(|(charge, _)| charge.patient);
        of_charges.chain(self.payments.values().filter_map(|payment| payment.line.patient))
    }

    /// Specialists who rendered something.
    pub(super) fn staff(&self) -> impl Iterator<Item = PersonId> {
        self.charges.values().filter_map(|(_, staff)| *staff)
    }

    /// Workstations.
    pub(super) fn desks(&self) -> impl Iterator<Item = String> {
        self.charges.values().filter_map(|(charge, _)| charge.workstation.clone())
    }

    /// The charge that a change is about, and who rendered it.
    pub(super) fn charge(&self, change: &Change) -> Option<(FactCharge, Option<PersonId>)> {
        self.charges.get(charge_of(change)?).cloned()
    }

    /// The payment that a change is about.
    pub(super) fn payment(&self, change: &Change) -> Option<FactPayment> {
        self.payments.get(payment_of(change)?).cloned()
    }
}

fn charge_of(change: &Change) -> Option<&str> {
    use ChangeKind::{ChargeCancelled, ChargeOrdered, ChargeRendered};
    let is = matches!(change.kind, ChargeOrdered | ChargeRendered | ChargeCancelled);
    change.detail.as_deref().filter(|_| is)
}

fn payment_of(change: &Change) -> Option<&str> {
    let is = matches!(change.kind, ChangeKind::PaymentTaken | ChangeKind::PaymentReturned);
    change.detail.as_deref().filter(|_| is)
}

/// Reads what changes say about money.
///
/// # Errors
/// Engine errors, or a row that this version cannot read.
pub(super) async fn money(database: &Database, changes: &[Change]) -> Result<Money, Error> {
    let ids: BTreeSet<&str> = changes.iter().filter_map(charge_of).collect();
    let charges = charges(database, ids.into_iter().map(str::to_owned).collect()).await?;
    let ids: BTreeSet<&str> = changes.iter().filter_map(payment_of).collect();
    let payments = payments(database, ids.into_iter().map(str::to_owned).collect()).await?;
    Ok(Money { charges, payments })
}

#[derive(sqlx::FromRow)]
struct ChargeRow {
    id: String,
    no: i64,
    patient: String,
    visit: Option<String>,
    irregular: Option<String>,
    staff: Option<String>,
    workstation: Option<String>,
    service: String,
    external: Option<String>,
    names: String,
    category: String,
    quantity: i64,
    currency: String,
    gross_minor: i64,
    discount_minor: i64,
    net_minor: i64,
    rate: i64,
    scheme: Option<String>,
    scheme_version: Option<i64>,
    mode: String,
    state: String,
    paid_minor: i64,
    written_off_minor: i64,
    registered_ms: i64,
    day: i64,
    rendered_ms: Option<i64>,
    cancelled_ms: Option<i64>,
    cancel_reason: Option<String>,
}

async fn charges(
    database: &Database,
    ids: Vec<String>,
) -> Result<BTreeMap<String, (FactCharge, Option<PersonId>)>, Error> {
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let rows: Vec<ChargeRow> = read!(database, "outbox.charges", |conn| {
        let mut select = sqlx::QueryBuilder::<Db>::new(
            "SELECT charge.id, no, patient, visit, irregular, staff, workstation, service, external, names, category,
                 quantity, currency, gross_minor, discount_minor, net_minor, rate, scheme, scheme_version, mode, state,
                 paid_minor, written_off_minor, registered_ms, day, rendered_ms, cancelled_ms, cancel_reason
             FROM charge JOIN service ON service.code = charge.service WHERE charge.id IN (",
        );
        let mut list = select.separated(", ");
        for id in &ids {
            list.push_bind(id);
        }
        select.push(")");
        Ok(select.build_query_as().fetch_all(&mut *conn).await?)
    })?;
    rows.into_iter().map(|row| row.read().map(|read| (read.0.id.clone(), read))).collect()
}

impl ChargeRow {
    fn read(self) -> Result<(FactCharge, Option<PersonId>), Error> {
        const T: &str = "charge";
        let small = |name, value: i64| {
            u32::try_from(value).map_err(|_| Error::bad_row(T, name, format!("{value} is out of range")))
        };
        let staff = optional(T, "staff", self.staff.as_deref(), str::parse)?;
        let cancelled = self.cancelled_ms.map(|at| (UtcMillis(at), self.cancel_reason.unwrap_or_default()));
        let charge = FactCharge {
            no: self.no.cast_unsigned(),
            patient: column(T, "patient", &self.patient, str::parse)?,
            visit: self.visit,
            irregular: self.irregular,
            staff: None,
            workstation: self.workstation,
            names: names(&self.names)?,
            service: self.service,
            external: self.external.filter(|code| !code.is_empty()),
            category: self.category,
            quantity: small("quantity", self.quantity)?,
            currency: currency(T, &self.currency)?,
            gross: amount(T, "gross_minor", self.gross_minor)?,
            discount: amount(T, "discount_minor", self.discount_minor)?,
            net: amount(T, "net_minor", self.net_minor)?,
            rate: small("rate", self.rate)?,
            scheme: self.scheme.zip(self.scheme_version.map(i64::cast_unsigned)),
            mode: code(T, "mode", &self.mode, Mode::parse)?,
            state: code(T, "state", &self.state, ChargeState::parse)?,
            paid: amount(T, "paid_minor", self.paid_minor)?,
            written_off: amount(T, "written_off_minor", self.written_off_minor)?,
            registered: UtcMillis(self.registered_ms),
            day: day(T, "day", self.day)?,
            rendered: self.rendered_ms.map(UtcMillis),
            cancelled,
            id: self.id,
        };
        Ok((charge, staff))
    }
}

/// An object of language to name.
fn names(text: &str) -> Result<Vec<(String, String)>, Error> {
    let bad = |error: serde_json::Error| Error::bad_row("service", "names", error.to_string());
    let names: BTreeMap<String, String> = serde_json::from_str(text).map_err(bad)?;
    Ok(names.into_iter().collect())
}

async fn payments(database: &Database, ids: Vec<String>) -> Result<BTreeMap<String, FactPayment>, Error> {
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    type Part = (String, String, i64, String, i64, i64);
    let (rows, parts): (Vec<PaymentRow>, Vec<Part>) = read!(database, "outbox.payments", |conn| {
        let mut select = sqlx::QueryBuilder::<Db>::new(select_payment!("WHERE id IN ("));
        let mut list = select.separated(", ");
        for id in &ids {
            list.push_bind(id);
        }
        select.push(")");
        let rows = select.build_query_as().fetch_all(&mut *conn).await?;
        let mut select = sqlx::QueryBuilder::<Db>::new(
            "SELECT part.payment, part.charge, part.minor, charge.state, charge.paid_minor, charge.net_minor
             FROM payment_part AS part JOIN charge ON charge.id = part.charge WHERE part.payment IN (",
        );
        let mut list = select.separated(", ");
        for id in &ids {
            list.push_bind(id);
        }
        select.push(") ORDER BY part.payment, part.charge");
        Ok((rows, select.build_query_as().fetch_all(&mut *conn).await?))
    })?;
    let mut found = BTreeMap::new();
    for row in rows {
        let line = row.read()?;
        found.insert(line.id.clone(), FactPayment { line, parts: Vec::new(), paid: BTreeSet::new() });
    }
    for (payment, charge, minor, state, paid, net) in parts {
        if let Some(payment) = found.get_mut(&payment) {
            if state == ChargeState::Rendered.as_str() && paid >= net {
                payment.paid.insert(charge.clone());
            }
            payment.parts.push((charge, amount("payment_part", "minor", minor)?));
        }
    }
    Ok(found)
}
