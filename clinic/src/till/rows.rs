//! The rows of charges: reading them, and the statements that change them, on either engine. No rule.

use std::collections::BTreeMap;

use domain::money::Amount;
use domain::till::{ChargeState, Discount, Mode, Posting, Priced};
use domain::{CardId, PersonId, PointId, UtcMillis, ZoneId};
use sqlx::FromRow;
use store::{Error, padded};

use super::charge::Charge;
use super::ledger::{amount, currency, day};
use super::resolve::in_list;
use crate::rows::{code, column, number, optional};

/// Columns of a charge, in the order of [`ChargeRow`]; the beginning of every statement that reads one.
macro_rules! select_charge {
    ($rest:literal) => {
        concat!(
            "SELECT id, no, patient, visit, irregular, staff, workstation, zone, card, service, price_version, quantity, \
             currency, gross_minor, discount_minor, net_minor, rate, scheme, scheme_version, before_minor, terms, \
             terms_version, mode, pot, state, paid_minor, written_off_minor, actor_kind, actor, registered_ms, day, \
             rendered_ms, cancelled_ms, cancel_reason, entry FROM charge ",
            $rest
        )
    };
}
pub(crate) use select_charge;

/// A stored charge.
#[derive(FromRow)]
pub(crate) struct ChargeRow {
    id: String,
    no: i64,
    patient: String,
    visit: Option<String>,
    irregular: Option<String>,
    staff: Option<String>,
    workstation: Option<String>,
    zone: Option<String>,
    card: Option<String>,
    service: String,
    price_version: i64,
    quantity: i64,
    currency: String,
    gross_minor: i64,
    discount_minor: i64,
    net_minor: i64,
    rate: i64,
    scheme: Option<String>,
    scheme_version: Option<i64>,
    before_minor: i64,
    terms: String,
    terms_version: i64,
    mode: String,
    pot: Option<String>,
    state: String,
    paid_minor: i64,
    written_off_minor: i64,
    actor_kind: String,
    actor: Option<String>,
    registered_ms: i64,
    day: i64,
    rendered_ms: Option<i64>,
    cancelled_ms: Option<i64>,
    cancel_reason: Option<String>,
    entry: i64,
}

impl ChargeRow {
    pub(crate) fn read(self) -> Result<Charge, Error> {
        const T: &str = "charge";
        let money = |name, minor| amount(T, name, minor);
        let scheme = match (self.scheme, self.scheme_version) {
            (Some(id), Some(version)) => Some((id, number(T, "scheme_version", version)?)),
            _ => None,
        };
        let discount: Amount = money("discount_minor", self.discount_minor)?;
        Ok(Charge {
            no: self.no.cast_unsigned(),
            patient: column(T, "patient", &self.patient, str::parse::<PersonId>)?,
            staff: optional(T, "staff", self.staff.as_deref(), str::parse::<PersonId>)?,
            workstation: optional(T, "workstation", self.workstation.as_deref(), PointId::new)?,
            zone: optional(T, "zone", self.zone.as_deref(), ZoneId::new)?,
            card: optional(T, "card", self.card.as_deref(), str::parse::<CardId>)?,
            price_version: self.price_version.cast_unsigned(),
            quantity: number(T, "quantity", self.quantity)?,
            currency: currency(T, &self.currency)?,
            price: Priced {
                gross: money("gross_minor", self.gross_minor)?,
                discount: Discount { rate: number(T, "rate", self.rate)?, amount: discount, next: None },
                net: money("net_minor", self.net_minor)?,
            },
            before: money("before_minor", self.before_minor)?,
            scheme,
            terms: (self.terms, number(T, "terms_version", self.terms_version)?),
            mode: code(T, "mode", &self.mode, Mode::parse)?,
            pot: self.pot,
            state: code(T, "state", &self.state, ChargeState::parse)?,
            paid: money("paid_minor", self.paid_minor)?,
            written_off: money("written_off_minor", self.written_off_minor)?,
            actor_kind: self.actor_kind,
            actor: self.actor,
            registered: UtcMillis(self.registered_ms),
            day: day(T, "day", self.day)?,
            rendered: self.rendered_ms.map(UtcMillis),
            cancelled: self.cancelled_ms.map(|at| (UtcMillis(at), self.cancel_reason.unwrap_or_default())),
            entry: self.entry.cast_unsigned(),
            visit: self.visit,
            irregular: self.irregular,
            service: self.service,
            id: self.id,
        })
    }
}

/// A charge as it is stored first.
pub(crate) struct NewRow<'a> {
    pub charge: &'a Charge,
    pub key: &'a str,
    pub asked: &'a str,
}

/// An engine's connection inside a transaction, with the rows of charges.
pub(crate) trait ChargesOn {
    /// Takes the turn of those who post, until the transaction ends: the first statement of it. On PostgreSQL they wait
    /// here for each other, in order; on SQLite there is one writer anyway.
    ///
    /// # Errors
    /// Engine errors.
    async fn take_turn(&mut self) -> Result<(), Error>;

    /// Charges by the keys they were registered with: key, what was asked with it, the charge.
    ///
    /// # Errors
    /// Engine errors.
    async fn by_keys(&mut self, keys: &[&str]) -> Result<Vec<(String, String, Charge)>, Error>;

    /// One charge.
    ///
    /// # Errors
    /// Engine errors.
    async fn by_id(&mut self, id: &str) -> Result<Option<Charge>, Error>;

    /// Takes numbers for so many charges; the first of them.
    ///
    /// # Errors
    /// Engine errors.
    async fn take_numbers(&mut self, count: usize) -> Result<u64, Error>;

    /// Stores charges, with as few statements as there can be.
    ///
    /// # Errors
    /// Engine errors.
    async fn insert_charges(&mut self, rows: &[NewRow<'_>]) -> Result<(), Error>;

    /// An order is rendered now, as the charge says; whether it was an order.
    ///
    /// # Errors
    /// Engine errors.
    async fn update_rendered(&mut self, charge: &Charge) -> Result<bool, Error>;

    /// A charge is taken back now, as the charge says; whether it was not yet.
    ///
    /// # Errors
    /// Engine errors.
    async fn update_cancelled(&mut self, charge: &Charge) -> Result<bool, Error>;

    /// What is unsettled of a patient belongs to another record of theirs; how many charges.
    ///
    /// # Errors
    /// Engine errors.
    async fn move_unsettled(&mut self, from: PersonId, into: PersonId) -> Result<u64, Error>;

    /// What was done with this key: what was asked, what was done, the charge.
    ///
    /// # Errors
    /// Engine errors.
    async fn act(&mut self, key: &str) -> Result<Option<(String, String, String)>, Error>;

    /// Remembers what was done with a charge.
    ///
    /// # Errors
    /// Engine errors; the same thing done twice is one.
    async fn insert_act(
        &mut self,
        key: &str,
        asked: &str,
        kind: &'static str,
        charge: &str,
        entry: u64,
        at: UtcMillis,
    ) -> Result<(), Error>;
}

/// An order is rendered.
pub(crate) const RENDERED: &str = "rendered";
/// A charge is taken back.
pub(crate) const CANCELLED: &str = "cancelled";

macro_rules! charges_on {
    ($connection:ty, $turn:expr) => {
        impl ChargesOn for $connection {
            async fn take_turn(&mut self) -> Result<(), Error> {
                let turn: Option<&'static str> = $turn;
                if let Some(text) = turn {
                    sqlx::query(text).execute(&mut *self).await?;
                }
                Ok(())
            }

            async fn by_keys(&mut self, keys: &[&str]) -> Result<Vec<(String, String, Charge)>, Error> {
                let list = padded(keys);
                let known: Vec<(String, String, String)> =
                    in_list!(self, $connection, "SELECT id, key, asked FROM charge WHERE key IN (", &list, ")");
                if known.is_empty() {
                    return Ok(Vec::new());
                }
                let ids = padded(known.iter().map(|(id, ..)| id));
                let rows: Vec<ChargeRow> =
                    in_list!(self, $connection, select_charge!("WHERE id IN ("), &ids, ")");
                let mut asked: BTreeMap<String, (String, String)> =
                    known.into_iter().map(|(id, key, asked)| (id, (key, asked))).collect();
                let mut found = Vec::with_capacity(rows.len());
                for row in rows {
                    let charge = row.read()?;
                    if let Some((key, asked)) = asked.remove(&charge.id) {
                        found.push((key, asked, charge));
                    }
                }
                Ok(found)
            }

            async fn by_id(&mut self, id: &str) -> Result<Option<Charge>, Error> {
                let row: Option<ChargeRow> =
                    sqlx::query_as(select_charge!("WHERE id = $1")).bind(id).fetch_optional(&mut *self).await?;
                row.map(ChargeRow::read).transpose()
            }

            async fn take_numbers(&mut self, count: usize) -> Result<u64, Error> {
                let count = i64::try_from(count).unwrap_or(i64::MAX);
                let last: i64 =
                    sqlx::query_scalar("UPDATE counter SET value = value + $1 WHERE name = 'charge' RETURNING value")
                        .bind(count)
                        .fetch_one(&mut *self)
                        .await?;
                Ok((last - count + 1).cast_unsigned())
            }

            async fn insert_charges(&mut self, rows: &[NewRow<'_>]) -> Result<(), Error> {
                for some in store::in_parts(rows) {
                    let mut insert = sqlx::QueryBuilder::<<$connection as sqlx::Connection>::Database>::new(
                        "INSERT INTO charge (id, no, key, asked, patient, visit, irregular, staff, workstation, zone, card,
                             service, price_version, quantity, currency, gross_minor, discount_minor, net_minor, rate,
                             scheme, scheme_version, before_minor, terms, terms_version, mode, pot, state, paid_minor,
                             written_off_minor, actor_kind, actor, registered_ms, day, rendered_ms, entry) ",
                    );
                    insert.push_values(some, |mut row, NewRow { charge, key, asked }| {
                        row.push_bind(charge.id.as_str())
                            .push_bind(charge.no.cast_signed())
                            .push_bind(*key)
                            .push_bind(*asked)
                            .push_bind(charge.patient.to_string())
                            .push_bind(charge.visit.as_deref())
                            .push_bind(charge.irregular.as_deref())
                            .push_bind(charge.staff.map(|it| it.to_string()))
                            .push_bind(charge.workstation.as_ref().map(PointId::as_str))
                            .push_bind(charge.zone.as_ref().map(ZoneId::as_str))
                            .push_bind(charge.card.map(|it| it.to_string()))
                            .push_bind(charge.service.as_str())
                            .push_bind(charge.price_version.cast_signed())
                            .push_bind(i64::from(charge.quantity))
                            .push_bind(charge.currency.to_string())
                            .push_bind(charge.price.gross.minor())
                            .push_bind(charge.price.discount.amount.minor())
                            .push_bind(charge.price.net.minor())
                            .push_bind(i64::from(charge.price.discount.rate))
                            .push_bind(charge.scheme.as_ref().map(|(id, _)| id.as_str()))
                            .push_bind(charge.scheme.as_ref().map(|(_, version)| i64::from(*version)))
                            .push_bind(charge.before.minor())
                            .push_bind(charge.terms.0.as_str())
                            .push_bind(i64::from(charge.terms.1))
                            .push_bind(charge.mode.as_str())
                            .push_bind(charge.pot.as_deref())
                            .push_bind(charge.state.as_str())
                            .push_bind(charge.paid.minor())
                            .push_bind(charge.written_off.minor())
                            .push_bind(charge.actor_kind.as_str())
                            .push_bind(charge.actor.as_deref())
                            .push_bind(charge.registered.0)
                            .push_bind(i64::from(charge.day.0))
                            .push_bind(charge.rendered.map(|at| at.0))
                            .push_bind(charge.entry.cast_signed());
                    });
                    insert.build().execute(&mut *self).await?;
                }
                Ok(())
            }

            async fn update_rendered(&mut self, charge: &Charge) -> Result<bool, Error> {
                let done = sqlx::query(
                    "UPDATE charge SET state = 'rendered', rendered_ms = $1, day = $2, patient = $3, staff = $4,
                         workstation = $5, zone = $6, card = $7
                     WHERE id = $8 AND state = 'ordered' AND paid_minor = net_minor",
                )
                .bind(charge.rendered.map(|at| at.0))
                .bind(i64::from(charge.day.0))
                .bind(charge.patient.to_string())
                .bind(charge.staff.map(|it| it.to_string()))
                .bind(charge.workstation.as_ref().map(PointId::as_str))
                .bind(charge.zone.as_ref().map(ZoneId::as_str))
                .bind(charge.card.map(|it| it.to_string()))
                .bind(&charge.id)
                .execute(&mut *self)
                .await?;
                Ok(done.rows_affected() > 0)
            }

            async fn update_cancelled(&mut self, charge: &Charge) -> Result<bool, Error> {
                let (at, reason) = charge.cancelled.clone().unzip();
                let done = sqlx::query(
                    "UPDATE charge SET state = 'cancelled', cancelled_ms = $1, cancel_reason = $2
                     WHERE id = $3 AND state <> 'cancelled'",
                )
                .bind(at.map(|at| at.0))
                .bind(reason)
                .bind(&charge.id)
                .execute(&mut *self)
                .await?;
                Ok(done.rows_affected() > 0)
            }

            async fn move_unsettled(&mut self, from: PersonId, into: PersonId) -> Result<u64, Error> {
                let done = sqlx::query(
                    "UPDATE charge SET patient = $1 WHERE patient = $2 AND (state = 'ordered'
                         OR (state = 'rendered' AND paid_minor + written_off_minor < net_minor))",
                )
                .bind(into.to_string())
                .bind(from.to_string())
                .execute(&mut *self)
                .await?;
                Ok(done.rows_affected())
            }

            async fn act(&mut self, key: &str) -> Result<Option<(String, String, String)>, Error> {
                Ok(sqlx::query_as("SELECT asked, kind, charge FROM charge_act WHERE key = $1")
                    .bind(key)
                    .fetch_optional(&mut *self)
                    .await?)
            }

            async fn insert_act(
                &mut self,
                key: &str,
                asked: &str,
                kind: &'static str,
                charge: &str,
                entry: u64,
                at: UtcMillis,
            ) -> Result<(), Error> {
                sqlx::query(
                    "INSERT INTO charge_act (key, asked, kind, charge, entry, at_ms) VALUES ($1, $2, $3, $4, $5, $6)",
                )
                .bind(key)
                .bind(asked)
                .bind(kind)
                .bind(charge)
                .bind(entry.cast_signed())
                .bind(at.0)
                .execute(&mut *self)
                .await?;
                Ok(())
            }
        }
    };
}

/// Not one text for both: SQLite has no such statement and needs none. It must be the first one, because it takes no snapshot:
/// what is read after it is what the one before has committed.
fn turn_of<D: sqlx::Database>() -> Option<&'static str> {
    (D::NAME == "PostgreSQL").then_some("LOCK TABLE till_turn IN EXCLUSIVE MODE")
}

macro_rules! charges_on_one {
    ($connection:ty) => {
        charges_on!($connection, turn_of::<<$connection as sqlx::Connection>::Database>());
    };
}

store::for_each_connection!(charges_on_one);

/// Postings as an entry of the audit log tells them: `owed>revenue:1000` is 1000 minor units debited to `owed` and
/// credited to `revenue`; several with commas; `-` for none.
pub(crate) fn told(postings: &[Posting]) -> String {
    if postings.is_empty() {
        return "-".to_owned();
    }
    let one = |posting: &Posting| format!("{}>{}:{}", posting.debit, posting.credit, posting.amount.minor());
    postings.iter().map(one).collect::<Vec<_>>().join(",")
}

/// What the entry of the audit log about a charge says; `more` is `; name=value`, or nothing. The postings come last.
pub(crate) fn detail(charge: &Charge, more: &str, postings: &[Posting]) -> String {
    format!(
        "charge={}; no={}; service={}; quantity={}; gross={}; discount={}; net={}; currency={}; mode={}; \
         state={}{more}; postings={}",
        charge.id,
        charge.no,
        charge.service,
        charge.quantity,
        charge.price.gross.minor(),
        charge.price.discount.amount.minor(),
        charge.price.net.minor(),
        charge.currency,
        charge.mode,
        charge.state,
        told(postings)
    )
}
