//! The account of a patient: what is owed, paid in and held, which charges are open, what was charged and paid lately. Each
//! look is in the audit log. Reads only; what is posted is for the modules that post.

mod limits;
mod receipt;

use std::collections::BTreeMap;

use domain::money::{Amount, Currency};
use domain::schedule::LocalDate;
use domain::till::{Account, ChargeState, Method, Mode};
use domain::{Permission, PersonId, PointId, UtcMillis, ZoneId};
use store::{Error, transact};

use super::ledger::{amount, currency, day};
use super::{Till, TillError};
pub use limits::TermsNow;
pub(super) use limits::limits_of;
pub use receipt::Receipt;

use crate::acting::Acting;
use crate::audit::{self, Action, Draft, Purpose};
use crate::people::spoken;
use crate::rows::{code, column, number, optional};

/// Most open charges of one look; the oldest come first.
pub const OPEN_MAX: usize = 1000;
/// Most earlier charges, and most payments, of one look; the newest come first.
pub const LATELY_MAX: usize = 200;

/// The account of a patient as of now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatientAccount {
    /// Whose: the record that is left, where the one asked for became part of another.
    pub patient: PersonId,
    /// As of when.
    pub at: UtcMillis,
    /// What is on it, one for each currency that was ever used; the clinic's own currency is always there, and first.
    pub balances: Vec<Balance>,
    /// The terms that count today, one for each currency that there are terms in.
    pub terms: Vec<TermsNow>,
    /// What the patient is spoken to in: the code of a language.
    pub language: Option<String>,
    /// Charges that are to be paid, or are paid and to be rendered; the oldest first, at most [`OPEN_MAX`].
    pub open: Vec<ChargeLine>,
    /// Other charges, the newest first, at most [`LATELY_MAX`].
    pub lately: Vec<ChargeLine>,
    /// Payments of any state, the newest first, at most [`LATELY_MAX`].
    pub payments: Vec<PaymentLine>,
}

impl PatientAccount {
    /// The balance in a currency; nothing for one that was never used.
    pub fn balance(&self, currency: Currency) -> Balance {
        let found = self.balances.iter().find(|balance| balance.currency == currency);
        found.copied().unwrap_or(Balance { currency, account: Account::default() })
    }

    /// What is to be paid in a currency: for what was rendered, and for what is ordered.
    pub fn to_pay(&self, currency: Currency) -> (Amount, Amount) {
        let sum = |state: ChargeState| {
            let of = self.open.iter().filter(|charge| charge.currency == currency && charge.state == state);
            of.fold(Amount::ZERO, |sum, charge| sum.plus(charge.open()).unwrap_or(sum))
        };
        (sum(ChargeState::Rendered), sum(ChargeState::Ordered))
    }
}

/// What is on an account in one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Balance {
    /// The currency.
    pub currency: Currency,
    /// Owed, paid in, held, rendered.
    pub account: Account,
}

/// A charge as lists and papers show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChargeLine {
    /// Its id.
    pub id: String,
    /// Its number.
    pub no: u64,
    /// Of whom; where records were merged, maybe the earlier one.
    pub patient: PersonId,
    /// In which visit.
    pub visit: Option<String>,
    /// By whom it was rendered or ordered.
    pub staff: Option<PersonId>,
    /// At which workstation.
    pub workstation: Option<PointId>,
    /// In which room.
    pub zone: Option<ZoneId>,
    /// Which service, by its code.
    pub service: String,
    /// What it is called, by language.
    pub names: BTreeMap<String, String>,
    /// How many.
    pub quantity: u32,
    /// The currency of all amounts.
    pub currency: Currency,
    /// The price of all pieces.
    pub gross: Amount,
    /// The discount.
    pub discount: Amount,
    /// To be paid.
    pub net: Amount,
    /// The rate of the discount in hundredths of a per cent.
    pub rate: u32,
    /// How it is paid.
    pub mode: Mode,
    /// The payer whose pot it counts against.
    pub pot: Option<String>,
    /// How far it has come.
    pub state: ChargeState,
    /// Paid of it.
    pub paid: Amount,
    /// Written off of it.
    pub written_off: Amount,
    /// When it was registered.
    pub registered: UtcMillis,
    /// The clinic's day it was registered on.
    pub day: LocalDate,
    /// When it was rendered.
    pub rendered: Option<UtcMillis>,
    /// When it was taken back.
    pub cancelled: Option<UtcMillis>,
}

impl ChargeLine {
    /// What is still to be paid. Nothing for what was taken back.
    pub fn open(&self) -> Amount {
        if self.state == ChargeState::Cancelled {
            return Amount::ZERO;
        }
        self.net.minus(self.paid).and_then(|rest| rest.minus(self.written_off)).unwrap_or(Amount::ZERO)
    }

    /// What the service is called in a language; else in English, else in any, else its code.
    pub fn name(&self, language: &str) -> &str {
        name_in(&self.names, &self.service, language)
    }
}

/// A name by language: the one asked for, else English, else any, else the code.
pub(crate) fn name_in<'a>(names: &'a BTreeMap<String, String>, code: &'a str, language: &str) -> &'a str {
    let any = || names.values().next();
    names.get(language).or_else(|| names.get("en")).or_else(any).map_or(code, String::as_str)
}

/// A payment as lists and papers show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentLine {
    /// Its id.
    pub id: String,
    /// The number of its receipt; `None` while it has not come about.
    pub no: Option<u64>,
    /// What it is: a code of the payments.
    pub kind: String,
    /// How the money came or went.
    pub method: Method,
    /// How far it has come: a code of the payments.
    pub state: String,
    /// Whose account.
    pub patient: Option<PersonId>,
    /// Who paid, if a payer did.
    pub payer: Option<String>,
    /// The currency.
    pub currency: Currency,
    /// How much.
    pub amount: Amount,
    /// In which shift of a cashier.
    pub shift: Option<String>,
    /// Which payment it takes back.
    pub reverses: Option<String>,
    /// The terminal or payment service.
    pub source: Option<String>,
    /// The payment at a terminal whose money it sends back to its card.
    pub refunds: Option<String>,
    /// When it began.
    pub begun: UtcMillis,
    /// When it was done.
    pub done: Option<UtcMillis>,
    /// The clinic's day it counts to.
    pub day: Option<LocalDate>,
}

impl Till {
    /// The account of a patient. The look is in the audit log, with its purpose.
    ///
    /// # Errors
    /// [`TillError::Denied`] without `charge_see`; [`TillError::NotFound`] for nobody; engine errors.
    pub async fn account(
        &self,
        acting: &Acting,
        patient: PersonId,
        purpose: Purpose,
    ) -> Result<PatientAccount, TillError> {
        acting.must(Permission::ChargeSee)?;
        let (now, today, own) = (self.clock.now(), self.today(), self.rules.currency);
        let look = Draft { purpose: Some(purpose), ..acting.draft(now, Action::AccountSeen) };
        let found = transact!(self.database, "till.account", |conn| {
            let Some(person) = survivor!(conn, patient) else { return Ok(None) };
            let id = person.to_string();
            let balances: Vec<BalanceRow> = sqlx::query_as(
                "SELECT currency, owed_minor, deposit_minor, held_minor, rendered_minor FROM till_balance
                 WHERE person = $1 ORDER BY currency",
            )
            .bind(&id)
            .fetch_all(&mut *conn)
            .await?;
            let balances = balances.into_iter().map(BalanceRow::read).collect::<Result<Vec<_>, _>>()?;
            let mut terms = limits::terms_now(&mut *conn, person, &balances, today, now).await?;
            for pot in terms.iter_mut().filter_map(|terms| terms.pot.as_mut()) {
                // One for each currency at most.
                let name: Option<String> = sqlx::query_scalar("SELECT name FROM payer WHERE id = $1")
                    .bind(&pot.payer)
                    .fetch_optional(&mut *conn)
                    .await?;
                pot.name = name.unwrap_or_else(|| pot.payer.clone());
            }
            let language = spoken!(conn, &id);
            let open: Vec<ChargeRow> = sqlx::query_as(select_charge!(
                "WHERE c.patient IN (SELECT CAST($1 AS TEXT) UNION ALL SELECT person FROM person_merge WHERE into_person = $1)
                   AND (c.state = 'ordered'
                        OR (c.state = 'rendered' AND c.paid_minor + c.written_off_minor < c.net_minor))
                 ORDER BY c.no LIMIT $2"
            ))
            .bind(&id)
            .bind(OPEN_MAX as i64)
            .fetch_all(&mut *conn)
            .await?;
            let lately: Vec<ChargeRow> = sqlx::query_as(select_charge!(
                "WHERE c.patient IN (SELECT CAST($1 AS TEXT) UNION ALL SELECT person FROM person_merge WHERE into_person = $1)
                   AND (c.state = 'cancelled'
                        OR (c.state = 'rendered' AND c.paid_minor + c.written_off_minor >= c.net_minor))
                 ORDER BY c.no DESC LIMIT $2"
            ))
            .bind(&id)
            .bind(LATELY_MAX as i64)
            .fetch_all(&mut *conn)
            .await?;
            let payments: Vec<PaymentRow> = sqlx::query_as(select_payment!(
                "WHERE patient IN (SELECT CAST($1 AS TEXT) UNION ALL SELECT person FROM person_merge WHERE into_person = $1)
                 ORDER BY begun_ms DESC, id DESC LIMIT $2"
            ))
            .bind(&id)
            .bind(LATELY_MAX as i64)
            .fetch_all(&mut *conn)
            .await?;
            let draft = Draft { subject: Some(person), ..look.clone() };
            audit::record!(conn, &draft);
            Ok(Some((person, balances, (terms, language), open, lately, payments)))
        })?;
        let (patient, mut balances, (terms, language), open, lately, payments) = found.ok_or(TillError::NotFound)?;
        if !balances.iter().any(|balance| balance.currency == own) {
            balances.push(Balance { currency: own, account: Account::default() });
        }
        balances.sort_by_key(|balance| (balance.currency != own, balance.currency));
        Ok(PatientAccount {
            patient,
            at: now,
            balances,
            terms,
            language,
            open: open.into_iter().map(ChargeRow::read).collect::<Result<_, _>>()?,
            lately: lately.into_iter().map(ChargeRow::read).collect::<Result<_, _>>()?,
            payments: payments.into_iter().map(PaymentRow::read).collect::<Result<_, _>>()?,
        })
    }
}

/// The record that is left of a person's: their own, or the one that it became part of; `None` for nobody.
macro_rules! survivor {
    ($conn:expr, $person:expr) => {{
        let id: Option<String> = sqlx::query_scalar(
            "SELECT COALESCE(person_merge.into_person, person.id) FROM person
             LEFT JOIN person_merge ON person_merge.person = person.id WHERE person.id = $1",
        )
        .bind($person.to_string())
        .fetch_optional(&mut *$conn)
        .await?;
        match id {
            Some(id) => Some($crate::rows::column("person_merge", "into_person", &id, str::parse::<domain::PersonId>)?),
            None => None,
        }
    }};
}
pub(super) use survivor;

/// `SELECT` of charges with the names of their services; the text behind it is the rest of the statement. The table is `c`.
macro_rules! select_charge {
    ($rest:literal) => {
        concat!(
            "SELECT c.id, c.no, c.patient, c.visit, c.staff, c.workstation, c.zone, c.service, s.names, c.quantity, c.currency,
                 c.gross_minor, c.discount_minor, c.net_minor, c.rate, c.mode, c.pot, c.state, c.paid_minor,
                 c.written_off_minor, c.registered_ms, c.day, c.rendered_ms, c.cancelled_ms
             FROM charge c LEFT JOIN service s ON s.code = c.service ",
            $rest
        )
    };
}
pub(super) use select_charge;

/// `SELECT` of payments; the text behind it is the rest of the statement.
macro_rules! select_payment {
    ($rest:literal) => {
        concat!(
            "SELECT id, no, kind, method, state, patient, payer, currency, minor, shift, reverses, source, refunds, begun_ms,
                 done_ms, day FROM payment ",
            $rest
        )
    };
}
pub(crate) use select_payment;

#[derive(sqlx::FromRow)]
struct BalanceRow {
    currency: String,
    owed_minor: i64,
    deposit_minor: i64,
    held_minor: i64,
    rendered_minor: i64,
}

impl BalanceRow {
    fn read(self) -> Result<Balance, Error> {
        const T: &str = "till_balance";
        let account = Account {
            owed: amount(T, "owed_minor", self.owed_minor)?,
            deposit: amount(T, "deposit_minor", self.deposit_minor)?,
            held: amount(T, "held_minor", self.held_minor)?,
            rendered: amount(T, "rendered_minor", self.rendered_minor)?,
        };
        Ok(Balance { currency: currency(T, &self.currency)?, account })
    }
}

/// A stored charge with the names of its service.
#[derive(sqlx::FromRow)]
pub(super) struct ChargeRow {
    id: String,
    no: i64,
    patient: String,
    visit: Option<String>,
    staff: Option<String>,
    workstation: Option<String>,
    zone: Option<String>,
    service: String,
    names: Option<String>,
    quantity: i64,
    currency: String,
    gross_minor: i64,
    discount_minor: i64,
    net_minor: i64,
    rate: i64,
    mode: String,
    pot: Option<String>,
    state: String,
    paid_minor: i64,
    written_off_minor: i64,
    registered_ms: i64,
    day: i64,
    rendered_ms: Option<i64>,
    cancelled_ms: Option<i64>,
}

impl ChargeRow {
    pub(super) fn read(self) -> Result<ChargeLine, Error> {
        const T: &str = "charge";
        Ok(ChargeLine {
            no: number(T, "no", self.no)?,
            patient: column(T, "patient", &self.patient, str::parse)?,
            visit: self.visit,
            staff: optional(T, "staff", self.staff.as_deref(), str::parse)?,
            workstation: optional(T, "workstation", self.workstation.as_deref(), PointId::new)?,
            zone: optional(T, "zone", self.zone.as_deref(), ZoneId::new)?,
            names: names(self.names.as_deref())?,
            service: self.service,
            quantity: number(T, "quantity", self.quantity)?,
            currency: currency(T, &self.currency)?,
            gross: amount(T, "gross_minor", self.gross_minor)?,
            discount: amount(T, "discount_minor", self.discount_minor)?,
            net: amount(T, "net_minor", self.net_minor)?,
            rate: number(T, "rate", self.rate)?,
            mode: code(T, "mode", &self.mode, Mode::parse)?,
            pot: self.pot,
            state: code(T, "state", &self.state, ChargeState::parse)?,
            paid: amount(T, "paid_minor", self.paid_minor)?,
            written_off: amount(T, "written_off_minor", self.written_off_minor)?,
            registered: UtcMillis(self.registered_ms),
            day: day(T, "day", self.day)?,
            rendered: self.rendered_ms.map(UtcMillis),
            cancelled: self.cancelled_ms.map(UtcMillis),
            id: self.id,
        })
    }
}

/// Reads the names of a service; none for a service that has no row.
pub(super) fn names(json: Option<&str>) -> Result<BTreeMap<String, String>, Error> {
    json.map_or_else(|| Ok(BTreeMap::new()), |json| column("service", "names", json, |json| serde_json::from_str(json)))
}

/// A stored payment.
#[derive(sqlx::FromRow)]
pub(crate) struct PaymentRow {
    id: String,
    no: Option<i64>,
    kind: String,
    method: String,
    state: String,
    patient: Option<String>,
    payer: Option<String>,
    currency: String,
    minor: i64,
    shift: Option<String>,
    reverses: Option<String>,
    source: Option<String>,
    refunds: Option<String>,
    begun_ms: i64,
    done_ms: Option<i64>,
    day: Option<i64>,
}

impl PaymentRow {
    pub(crate) fn read(self) -> Result<PaymentLine, Error> {
        const T: &str = "payment";
        Ok(PaymentLine {
            no: self.no.map(|no| number(T, "no", no)).transpose()?,
            kind: self.kind,
            method: code(T, "method", &self.method, Method::parse)?,
            state: self.state,
            patient: optional(T, "patient", self.patient.as_deref(), str::parse)?,
            payer: self.payer,
            currency: currency(T, &self.currency)?,
            amount: amount(T, "minor", self.minor)?,
            shift: self.shift,
            reverses: self.reverses,
            source: self.source,
            refunds: self.refunds,
            begun: UtcMillis(self.begun_ms),
            done: self.done_ms.map(UtcMillis),
            day: self.day.map(|it| day(T, "day", it)).transpose()?,
            id: self.id,
        })
    }
}
