//! The rows of payments and their parts, and what payments change of charges, on either engine. Statements only; no rule.

use std::collections::{BTreeMap, BTreeSet};

use domain::money::{Amount, Currency};
use domain::till::Method;
use domain::{PersonId, UtcMillis};
use sqlx::FromRow;
use store::Error;

use super::{Payment, PaymentFault, PaymentKind, PaymentState};
use crate::rows::{code, column, optional};
use crate::till::charge::Charge;
use crate::till::ledger::{amount, currency, day};
use crate::till::rows::ChargeRow;

/// Rows of one statement.
const MANY_MAX: usize = 500;

/// Columns of a payment, in the order of [`PaymentRow`]; the beginning of every statement that reads one.
macro_rules! select_payment {
    ($rest:literal) => {
        concat!(
            "SELECT id, no, asked, kind, method, state, patient, payer, currency, minor, shift, source, external, reverses, refunds, \
             actor_kind, actor, begun_ms, done_ms, day, fault, entry FROM payment ",
            $rest
        )
    };
}
pub(crate) use select_payment;

/// A stored payment.
#[derive(FromRow)]
pub(crate) struct PaymentRow {
    pub(crate) id: String,
    no: Option<i64>,
    pub(crate) asked: String,
    kind: String,
    method: String,
    state: String,
    patient: Option<String>,
    payer: Option<String>,
    currency: String,
    minor: i64,
    shift: Option<String>,
    source: Option<String>,
    external: Option<String>,
    reverses: Option<String>,
    refunds: Option<String>,
    actor_kind: String,
    actor: Option<String>,
    begun_ms: i64,
    done_ms: Option<i64>,
    day: Option<i64>,
    fault: Option<String>,
    entry: Option<i64>,
}

impl PaymentRow {
    /// With its parts, in the order in which they are paid.
    pub(crate) fn read(self, parts: Vec<(String, Amount)>) -> Result<Payment, Error> {
        const T: &str = "payment";
        let all = amount(T, "minor", self.minor)?;
        let of_parts = parts.iter().try_fold(Amount::ZERO, |sum, (_, part)| sum.plus(*part));
        let deposit = of_parts.and_then(|sum| all.minus(sum));
        Ok(Payment {
            no: self.no.map(i64::cast_unsigned),
            kind: code(T, "kind", &self.kind, PaymentKind::parse)?,
            method: code(T, "method", &self.method, Method::parse)?,
            state: code(T, "state", &self.state, PaymentState::parse)?,
            patient: optional(T, "patient", self.patient.as_deref(), str::parse::<PersonId>)?,
            payer: self.payer,
            currency: currency(T, &self.currency)?,
            amount: all,
            parts,
            deposit: deposit.ok_or_else(|| Error::bad_row(T, "minor", "its parts are out of range"))?,
            shift: self.shift,
            source: self.source,
            external: self.external,
            reverses: self.reverses,
            refunds: self.refunds,
            actor_kind: self.actor_kind,
            actor: self.actor,
            begun: UtcMillis(self.begun_ms),
            done: self.done_ms.map(UtcMillis),
            day: self.day.map(|days| day(T, "day", days)).transpose()?,
            fault: self.fault.as_deref().map(|text| code(T, "fault", text, PaymentFault::parse)).transpose()?,
            entry: self.entry.map(i64::cast_unsigned),
            id: self.id,
        })
    }
}

/// Puts parts to the payments that they belong to.
pub(crate) fn with_parts(rows: Vec<PaymentRow>, parts: Vec<(String, String, i64)>) -> Result<Vec<Payment>, Error> {
    let mut of: BTreeMap<String, Vec<(String, Amount)>> = BTreeMap::new();
    for (payment, charge, minor) in parts {
        of.entry(payment).or_default().push((charge, amount("payment_part", "minor", minor)?));
    }
    rows.into_iter()
        .map(|row| {
            let parts = of.remove(&row.id).unwrap_or_default();
            row.read(parts)
        })
        .collect()
}

/// An engine's connection inside a transaction, with the rows of payments.
pub(crate) trait PaymentsOn {
    /// The payment of a key, with the hash of what was asked.
    async fn payment_of_key(&mut self, key: &str) -> Result<Option<(Payment, String)>, Error>;
    /// The payment of an id.
    async fn payment_of_id(&mut self, id: &str) -> Result<Option<Payment>, Error>;
    /// The payment that came from a terminal or service under its id.
    async fn payment_of_source(&mut self, source: &str, external: &str) -> Result<Option<Payment>, Error>;
    /// Stores a payment and its parts.
    async fn insert_payment(&mut self, payment: &Payment, key: &str, asked: &str) -> Result<(), Error>;
    /// Stores what a payment has become: number, state, external id, time, day, fault, entry, shift.
    async fn update_payment(&mut self, payment: &Payment) -> Result<(), Error>;
    /// Stores the parts of a payment in place of those before.
    async fn replace_parts(&mut self, payment: &Payment) -> Result<(), Error>;
    /// Charges of these ids; what is not there is left out.
    async fn charges_of(&mut self, ids: &BTreeSet<String>) -> Result<BTreeMap<String, Charge>, Error>;
    /// What waiting payments are to pay of charges.
    async fn waiting_for(&mut self, ids: &BTreeSet<String>) -> Result<BTreeMap<String, Amount>, Error>;
    /// Stores what is paid and written off of charges.
    async fn save_paid(&mut self, charges: &BTreeMap<String, Charge>) -> Result<(), Error>;
    /// Which of these charges a payer stands for: their pot is its, or their terms are.
    async fn charges_for_payer(&mut self, ids: &BTreeSet<String>, payer: &str) -> Result<BTreeSet<String>, Error>;
    /// Charges of a patient that something was paid for out of the deposit, newest first, and how much of each.
    async fn paid_from_deposit(
        &mut self,
        patient: PersonId,
        currency: Currency,
    ) -> Result<Vec<(String, Amount)>, Error>;
    /// How much of a payment has gone back to its card, or is on its way.
    async fn refunded_of(&mut self, payment: &str) -> Result<Amount, Error>;
    /// Whether there is such a payer.
    async fn is_payer(&mut self, payer: &str) -> Result<bool, Error>;
    /// Whether there is such a patient whom nobody has erased or is erasing; of a record that became another one, that one.
    async fn is_person(&mut self, person: PersonId) -> Result<bool, Error>;
    /// The records that are left of persons; who was merged into nobody is left as they are.
    async fn survivors(&mut self, persons: &BTreeSet<PersonId>) -> Result<BTreeMap<PersonId, PersonId>, Error>;
    /// The next number of a counter.
    async fn next_no(&mut self, counter: &str) -> Result<u64, Error>;
}

macro_rules! payments_on {
    ($connection:ty) => {
        impl PaymentsOn for $connection {
            async fn payment_of_key(&mut self, key: &str) -> Result<Option<(Payment, String)>, Error> {
                let row: Option<PaymentRow> = sqlx::query_as(select_payment!("WHERE key = $1"))
                    .bind(key)
                    .fetch_optional(&mut *self)
                    .await?;
                let Some(row) = row else { return Ok(None) };
                let (id, asked) = (row.id.clone(), row.asked.clone());
                let parts = parts_of!(self, &id);
                Ok(with_parts(vec![row], parts)?.pop().map(|payment| (payment, asked)))
            }

            async fn payment_of_id(&mut self, id: &str) -> Result<Option<Payment>, Error> {
                let row: Option<PaymentRow> =
                    sqlx::query_as(select_payment!("WHERE id = $1")).bind(id).fetch_optional(&mut *self).await?;
                let Some(row) = row else { return Ok(None) };
                let parts = parts_of!(self, id);
                Ok(with_parts(vec![row], parts)?.pop())
            }

            async fn payment_of_source(&mut self, source: &str, external: &str) -> Result<Option<Payment>, Error> {
                let row: Option<PaymentRow> =
                    sqlx::query_as(select_payment!("WHERE source = $1 AND external = $2"))
                        .bind(source)
                        .bind(external)
                        .fetch_optional(&mut *self)
                        .await?;
                let Some(row) = row else { return Ok(None) };
                let id = row.id.clone();
                let parts = parts_of!(self, &id);
                Ok(with_parts(vec![row], parts)?.pop())
            }

            async fn insert_payment(&mut self, payment: &Payment, key: &str, asked: &str) -> Result<(), Error> {
                sqlx::query(
                    "INSERT INTO payment (id, no, key, asked, kind, method, state, patient, payer, currency, minor, shift,
                         source, external, reverses, refunds, actor_kind, actor, begun_ms, done_ms, day, fault, entry)
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20,
                         $21, $22, $23)",
                )
                .bind(&payment.id)
                .bind(payment.no.map(u64::cast_signed))
                .bind(key)
                .bind(asked)
                .bind(payment.kind.as_str())
                .bind(payment.method.as_str())
                .bind(payment.state.as_str())
                .bind(payment.patient.map(|person| person.to_string()))
                .bind(payment.payer.as_deref())
                .bind(payment.currency.to_string())
                .bind(payment.amount.minor())
                .bind(payment.shift.as_deref())
                .bind(payment.source.as_deref())
                .bind(payment.external.as_deref())
                .bind(payment.reverses.as_deref())
                .bind(payment.refunds.as_deref())
                .bind(&payment.actor_kind)
                .bind(payment.actor.as_deref())
                .bind(payment.begun.0)
                .bind(payment.done.map(|at| at.0))
                .bind(payment.day.map(|day| i64::from(day.0)))
                .bind(payment.fault.map(PaymentFault::as_str))
                .bind(payment.entry.map(u64::cast_signed))
                .execute(&mut *self)
                .await?;
                insert_parts!(self, payment);
                Ok(())
            }

            async fn update_payment(&mut self, payment: &Payment) -> Result<(), Error> {
                sqlx::query(
                    "UPDATE payment SET no = $2, state = $3, external = $4, done_ms = $5, day = $6, fault = $7, entry = $8,
                         patient = $9
                     WHERE id = $1",
                )
                .bind(&payment.id)
                .bind(payment.no.map(u64::cast_signed))
                .bind(payment.state.as_str())
                .bind(payment.external.as_deref())
                .bind(payment.done.map(|at| at.0))
                .bind(payment.day.map(|day| i64::from(day.0)))
                .bind(payment.fault.map(PaymentFault::as_str))
                .bind(payment.entry.map(u64::cast_signed))
                .bind(payment.patient.map(|person| person.to_string()))
                .execute(&mut *self)
                .await?;
                Ok(())
            }

            async fn replace_parts(&mut self, payment: &Payment) -> Result<(), Error> {
                sqlx::query("DELETE FROM payment_part WHERE payment = $1").bind(&payment.id).execute(&mut *self).await?;
                insert_parts!(self, payment);
                Ok(())
            }

            async fn charges_of(&mut self, ids: &BTreeSet<String>) -> Result<BTreeMap<String, Charge>, Error> {
                let mut found = BTreeMap::new();
                let ids: Vec<&String> = ids.iter().collect();
                for some in ids.chunks(MANY_MAX) {
                    let mut select = sqlx::QueryBuilder::<<$connection as sqlx::Connection>::Database>::new(
                        crate::till::rows::select_charge!("WHERE id IN ("),
                    );
                    let mut list = select.separated(", ");
                    for id in some {
                        list.push_bind(id.as_str());
                    }
                    select.push(")");
                    let rows: Vec<ChargeRow> =
                        select.build_query_as().persistent(some.len() == 1).fetch_all(&mut *self).await?;
                    for row in rows {
                        let charge = row.read()?;
                        found.insert(charge.id.clone(), charge);
                    }
                }
                Ok(found)
            }

            async fn waiting_for(&mut self, ids: &BTreeSet<String>) -> Result<BTreeMap<String, Amount>, Error> {
                // Few payments wait at a time, however many parts this one has.
                let rows: Vec<(String, i64)> = sqlx::query_as(
                    "SELECT payment_part.charge, CAST(SUM(payment_part.minor) AS BIGINT) FROM payment
                     JOIN payment_part ON payment_part.payment = payment.id
                     WHERE payment.state = 'waiting' AND payment.kind = 'paid' GROUP BY payment_part.charge",
                )
                .fetch_all(&mut *self)
                .await?;
                rows.into_iter()
                    .filter(|(charge, _)| ids.contains(charge))
                    .map(|(charge, minor)| Ok((charge, amount("payment_part", "minor", minor)?)))
                    .collect()
            }

            async fn save_paid(&mut self, charges: &BTreeMap<String, Charge>) -> Result<(), Error> {
                let all: Vec<&Charge> = charges.values().collect();
                for some in all.chunks(MANY_MAX) {
                    let mut update = sqlx::QueryBuilder::<<$connection as sqlx::Connection>::Database>::new(
                        "WITH sums (id, paid, written_off) AS (",
                    );
                    update.push_values(some, |mut row, charge| {
                        row.push_bind(charge.id.as_str())
                            .push_bind(charge.paid.minor())
                            .push_bind(charge.written_off.minor());
                    });
                    update.push(
                        ") UPDATE charge SET paid_minor = sums.paid, written_off_minor = sums.written_off
                         FROM sums WHERE charge.id = sums.id",
                    );
                    update.build().persistent(some.len() == 1).execute(&mut *self).await?;
                }
                Ok(())
            }

            async fn charges_for_payer(
                &mut self,
                ids: &BTreeSet<String>,
                payer: &str,
            ) -> Result<BTreeSet<String>, Error> {
                let mut found = BTreeSet::new();
                let ids: Vec<&String> = ids.iter().collect();
                for some in ids.chunks(MANY_MAX) {
                    let mut select = sqlx::QueryBuilder::<<$connection as sqlx::Connection>::Database>::new(
                        "SELECT charge.id FROM charge LEFT JOIN terms
                         ON terms.id = charge.terms AND terms.version = charge.terms_version WHERE (charge.pot = ",
                    );
                    select.push_bind(payer);
                    select.push(" OR terms.owner = ");
                    select.push_bind(payer);
                    select.push(") AND charge.id IN (");
                    let mut list = select.separated(", ");
                    for id in some {
                        list.push_bind(id.as_str());
                    }
                    select.push(")");
                    let rows: Vec<String> =
                        select.build_query_scalar().persistent(false).fetch_all(&mut *self).await?;
                    found.extend(rows);
                }
                Ok(found)
            }

            async fn paid_from_deposit(
                &mut self,
                patient: PersonId,
                wanted: Currency,
            ) -> Result<Vec<(String, Amount)>, Error> {
                let rows: Vec<(String, i64)> = sqlx::query_as(
                    "SELECT charge.id, CAST(SUM(CASE WHEN ledger.debit = 'deposit' THEN ledger.minor
                         ELSE -ledger.minor END) AS BIGINT)
                     FROM ledger JOIN charge ON charge.id = ledger.charge
                     WHERE (ledger.patient = $1
                             OR ledger.patient IN (SELECT person FROM person_merge WHERE into_person = $1))
                         AND ledger.currency = $2 AND charge.state <> 'cancelled'
                         AND (ledger.debit = 'deposit' OR ledger.credit = 'deposit')
                     GROUP BY charge.id, charge.no
                     HAVING SUM(CASE WHEN ledger.debit = 'deposit' THEN ledger.minor ELSE -ledger.minor END) > 0
                     ORDER BY charge.no DESC",
                )
                .bind(patient.to_string())
                .bind(wanted.to_string())
                .fetch_all(&mut *self)
                .await?;
                rows.into_iter().map(|(charge, minor)| Ok((charge, amount("ledger", "minor", minor)?))).collect()
            }

            async fn refunded_of(&mut self, payment: &str) -> Result<Amount, Error> {
                let minor: i64 = sqlx::query_scalar(
                    "SELECT CAST(COALESCE(SUM(minor), 0) AS BIGINT) FROM payment
                     WHERE refunds = $1 AND state IN ('waiting', 'done')",
                )
                .bind(payment)
                .fetch_one(&mut *self)
                .await?;
                amount("payment", "minor", minor)
            }

            async fn is_payer(&mut self, payer: &str) -> Result<bool, Error> {
                let found: Option<String> =
                    sqlx::query_scalar("SELECT id FROM payer WHERE id = $1").bind(payer).fetch_optional(&mut *self).await?;
                Ok(found.is_some())
            }

            async fn is_person(&mut self, person: PersonId) -> Result<bool, Error> {
                let found: Option<String> = sqlx::query_scalar(
                    "SELECT person.id FROM person LEFT JOIN person_merge ON person_merge.person = person.id
                     JOIN person AS own ON own.id = COALESCE(person_merge.into_person, person.id)
                     LEFT JOIN passport ON passport.person = own.id
                     WHERE person.id = $1 AND own.erasing_ms IS NULL AND passport.shredded_ms IS NULL",
                )
                .bind(person.to_string())
                .fetch_optional(&mut *self)
                .await?;
                Ok(found.is_some())
            }

            async fn survivors(&mut self, persons: &BTreeSet<PersonId>) -> Result<BTreeMap<PersonId, PersonId>, Error> {
                const T: &str = "person_merge";
                let mut left: BTreeMap<PersonId, PersonId> = persons.iter().map(|person| (*person, *person)).collect();
                let all: Vec<String> = persons.iter().map(ToString::to_string).collect();
                for some in all.chunks(MANY_MAX) {
                    let mut select = sqlx::QueryBuilder::<<$connection as sqlx::Connection>::Database>::new(
                        "SELECT person, into_person FROM person_merge WHERE person IN (",
                    );
                    let mut list = select.separated(", ");
                    for person in some {
                        list.push_bind(person.as_str());
                    }
                    select.push(")");
                    let rows: Vec<(String, String)> =
                        select.build_query_as().persistent(some.len() == 1).fetch_all(&mut *self).await?;
                    for (person, into) in rows {
                        let person = column(T, "person", &person, str::parse)?;
                        left.insert(person, column(T, "into_person", &into, str::parse)?);
                    }
                }
                Ok(left)
            }

            async fn next_no(&mut self, counter: &str) -> Result<u64, Error> {
                let no: i64 =
                    sqlx::query_scalar("UPDATE counter SET value = value + 1 WHERE name = $1 RETURNING value")
                        .bind(counter)
                        .fetch_one(&mut *self)
                        .await?;
                Ok(no.cast_unsigned())
            }
        }
    };
}

/// The parts of a payment.
macro_rules! parts_of {
    ($conn:expr, $payment:expr) => {
        sqlx::query_as::<_, (String, String, i64)>(
            "SELECT payment_part.payment, payment_part.charge, payment_part.minor FROM payment_part
             JOIN charge ON charge.id = payment_part.charge WHERE payment_part.payment = $1 ORDER BY charge.no",
        )
        .bind($payment)
        .fetch_all(&mut *$conn)
        .await?
    };
}

/// Stores the parts of a payment.
macro_rules! insert_parts {
    ($conn:expr, $payment:expr) => {
        for some in $payment.parts.chunks(MANY_MAX) {
            let mut insert = sqlx::QueryBuilder::new("INSERT INTO payment_part (payment, charge, minor) ");
            insert.push_values(some, |mut row, (charge, part)| {
                row.push_bind($payment.id.as_str()).push_bind(charge.as_str()).push_bind(part.minor());
            });
            insert.build().persistent(some.len() == 1).execute(&mut *$conn).await?;
        }
    };
}
store::for_each_connection!(payments_on);
