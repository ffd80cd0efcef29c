//! Statements: what an account began with, each fact of money in its order, and what it ended with. Read from the ledger, so
//! that a statement always agrees with it to the last minor unit. Reads only.

use std::collections::{BTreeMap, BTreeSet};

use domain::money::{Amount, Currency};
use domain::schedule::LocalDate;
use domain::till::{EntryKind, Ledger, Method};
use domain::{Permission, PersonId, UtcMillis};
use store::{Error, read, transact};

use super::account::{name_in, names, survivor};
use super::ledger::{amount, day};
use super::{Till, TillError};
use crate::acting::Acting;
use crate::audit::{self, Action, Draft, Purpose};
use crate::rows::{code, number, optional};

/// Most lines of one statement. One that would be longer is refused: choose fewer days.
pub const LINES_MAX: usize = 20_000;

/// Whose account a statement is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatementOf {
    /// What a patient owes (above zero) or has paid in and held (below zero).
    Patient(PersonId),
    /// What members of a group or contract owe for what they received on its terms.
    Payer(String),
    /// What all patients together owe, less what they have paid in: the clinic's book of its days.
    Everybody,
    /// The cash in the drawers of a cashier, by the id of their account; money that did not go through the drawer stands
    /// beside it.
    Cashier(String),
    /// The cash of one shift, by its id.
    Shift(String),
}

impl StatementOf {
    /// A stable code of the kind.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Patient(_) => "patient",
            Self::Payer(_) => "payer",
            Self::Everybody => "everybody",
            Self::Cashier(_) => "cashier",
            Self::Shift(_) => "shift",
        }
    }

    const fn is_cash(&self) -> bool {
        matches!(self, Self::Cashier(_) | Self::Shift(_))
    }
}

/// Which statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementFilter {
    /// Whose.
    pub of: StatementOf,
    /// The first day.
    pub from: LocalDate,
    /// The last day.
    pub until: LocalDate,
    /// In which currency; `None`: the clinic's.
    pub currency: Option<Currency>,
}

/// A statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Whose; a patient is the record that is left.
    pub of: StatementOf,
    /// The first day.
    pub from: LocalDate,
    /// The last day.
    pub until: LocalDate,
    /// The currency of all amounts.
    pub currency: Currency,
    /// The balance before the first day.
    pub opening: Amount,
    /// The lines, in the order of the ledger.
    pub lines: Vec<StatementLine>,
    /// All of [`StatementLine::plus`] together.
    pub plus: Amount,
    /// All of [`StatementLine::minus`] together.
    pub minus: Amount,
    /// The balance after the last day: `opening + plus - minus`.
    pub closing: Amount,
    /// What the services of the lines are called: by code, then by language.
    pub services: BTreeMap<String, BTreeMap<String, String>>,
}

impl Statement {
    /// What a service is called in a language; else in English, else in any, else its code.
    pub fn service<'a>(&'a self, code: &'a str, language: &str) -> &'a str {
        self.services.get(code).map_or(code, |names| name_in(names, code, language))
    }
}

/// One fact of money.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementLine {
    /// The number of its entry in the ledger.
    pub entry: u64,
    /// What it was.
    pub kind: EntryKind,
    /// When.
    pub at: UtcMillis,
    /// The clinic's day it counts to.
    pub day: LocalDate,
    /// About which patient.
    pub patient: Option<PersonId>,
    /// About which charge.
    pub charge: Option<ChargeOf>,
    /// By which payment.
    pub payment: Option<PaymentOf>,
    /// What makes the balance more: charged, or cash that came in.
    pub plus: Amount,
    /// What makes the balance less: paid, or cash that went out.
    pub minus: Amount,
    /// What moved and changes nothing in this balance: what was paid from the deposit; for a cashier, money by card or
    /// transfer.
    pub beside: Amount,
    /// The discount that was given with it (or taken back: below zero).
    pub discount: Amount,
    /// The balance after it.
    pub balance: Amount,
}

/// The charge of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChargeOf {
    /// Its id.
    pub id: String,
    /// Its number.
    pub no: u64,
    /// The code of its service.
    pub service: String,
    /// How many.
    pub quantity: u32,
}

/// The payment of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentOf {
    /// Its id.
    pub id: String,
    /// The number of its receipt.
    pub no: Option<u64>,
    /// How the money came or went.
    pub method: Method,
}

impl Till {
    /// A statement. The look is in the audit log, and that of one patient is about that patient.
    ///
    /// # Errors
    /// [`TillError::Denied`] without `charge_see` for a patient and for one's own shifts, or without `till_report` for all
    /// others; [`TillError::Invalid`] for days the wrong way round and for more than [`LINES_MAX`] lines;
    /// [`TillError::NotFound`]; engine errors.
    pub async fn statement(&self, acting: &Acting, filter: &StatementFilter) -> Result<Statement, TillError> {
        match &filter.of {
            StatementOf::Patient(_) => acting.must(Permission::ChargeSee)?,
            StatementOf::Cashier(account) if acting.account() == Some(account) => {
                acting.must(Permission::PaymentTake)?;
            }
            _ => acting.must(Permission::TillReport)?,
        }
        self.read_statement(acting, filter).await
    }

    /// Writes the look, then reads. The ledger only grows and has no gap, so what has a number up to the last one is the
    /// same for every statement of the reading, and no writer waits for it.
    async fn read_statement(&self, acting: &Acting, filter: &StatementFilter) -> Result<Statement, TillError> {
        if filter.until < filter.from {
            return Err(TillError::Invalid {
                field: "until",
                problem: "the last day lies before the first".to_owned(),
            });
        }
        let of = self.look_at(acting, filter).await?.ok_or(TillError::NotFound)?;
        let currency = filter.currency.unwrap_or(self.rules.currency);
        let (from, until) = (i64::from(filter.from.0), i64::from(filter.until.0));
        let rows: (Vec<SumRow>, Vec<Row>) = read!(self.database, "till.statement", |conn| {
            let last: i64 =
                sqlx::query_scalar("SELECT value FROM counter WHERE name = 'ledger'").fetch_one(&mut *conn).await?;
            let mut before = sqlx::QueryBuilder::<Db>::new(
                "SELECT l.debit, l.credit, CAST(SUM(l.minor) AS BIGINT) AS minor FROM ledger l WHERE l.day < ",
            );
            before.push_bind(from);
            bound!(before, of, currency, last);
            before.push(" GROUP BY l.debit, l.credit");
            let before = before.build_query_as().fetch_all(&mut *conn).await?;
            let mut lines = sqlx::QueryBuilder::<Db>::new(
                "SELECT l.entry, l.kind, l.at_ms, l.day, l.debit, l.credit, l.minor, l.patient, c.id AS charge,
                     c.no AS charge_no, c.service, c.quantity, p.id AS payment, p.no AS receipt, p.method
                 FROM ledger l LEFT JOIN charge c ON c.id = l.charge LEFT JOIN payment p ON p.id = l.payment
                 WHERE l.day >= ",
            );
            lines.push_bind(from).push(" AND l.day <= ").push_bind(until);
            bound!(lines, of, currency, last);
            lines.push(" ORDER BY l.day, l.no LIMIT ").push_bind(ROWS_MAX);
            Ok((before, lines.build_query_as().fetch_all(&mut *conn).await?))
        })?;
        let (before, rows) = rows;
        let is_cut = rows.len() as i64 == ROWS_MAX;
        let mut opening = Line::default();
        for row in before {
            opening.add(of.is_cash(), &row.debit, &row.credit, row.minor)?;
        }
        let opening = amount(T, "minor", opening.plus.checked_sub(opening.minus).ok_or_else(too_much)?)?;
        let lines = lines_of(&of, opening, rows)?;
        if is_cut || lines.len() > LINES_MAX {
            let problem = format!("this statement would have more than {LINES_MAX} lines; choose fewer days");
            return Err(TillError::Invalid { field: "until", problem });
        }
        let services = self.services_of(&lines).await?;
        let sum =
            |of: fn(&StatementLine) -> Amount| lines.iter().try_fold(Amount::ZERO, |sum, line| plus(sum, of(line)));
        let (more, less) = (sum(|line| line.plus)?, sum(|line| line.minus)?);
        let closing = minus(plus(opening, more)?, less)?;
        let (from, until) = (filter.from, filter.until);
        Ok(Statement { of, from, until, currency, opening, lines, plus: more, minus: less, closing, services })
    }

    /// Finds whose statement it is, and writes the look; `None` if there is no such one, and then no look.
    async fn look_at(&self, acting: &Acting, filter: &StatementFilter) -> Result<Option<StatementOf>, TillError> {
        let detail = format!("statement={} from={} until={}", filter.of.code(), filter.from, filter.until);
        let draft = Draft {
            detail: Some(detail),
            purpose: Some(Purpose::Payment),
            ..acting.draft(self.clock.now(), Action::AccountSeen)
        };
        let asked = filter.of.clone();
        Ok(transact!(self.database, "till.statement.look", |conn| {
            let of = match &asked {
                StatementOf::Patient(person) => survivor!(conn, person).map(StatementOf::Patient),
                StatementOf::Everybody => Some(StatementOf::Everybody),
                StatementOf::Payer(id) => {
                    let found: Option<String> = sqlx::query_scalar("SELECT id FROM payer WHERE id = $1")
                        .bind(id)
                        .fetch_optional(&mut *conn)
                        .await?;
                    found.map(StatementOf::Payer)
                }
                StatementOf::Cashier(id) => {
                    let found: Option<String> =
                        sqlx::query_scalar("SELECT account FROM till_shift WHERE account = $1 LIMIT 1")
                            .bind(id)
                            .fetch_optional(&mut *conn)
                            .await?;
                    found.map(StatementOf::Cashier)
                }
                StatementOf::Shift(id) => {
                    let found: Option<String> = sqlx::query_scalar("SELECT id FROM till_shift WHERE id = $1")
                        .bind(id)
                        .fetch_optional(&mut *conn)
                        .await?;
                    found.map(StatementOf::Shift)
                }
            };
            if let Some(of) = &of {
                let (subject, object) = match of {
                    StatementOf::Patient(person) => (Some(*person), None),
                    StatementOf::Everybody => (None, None),
                    StatementOf::Payer(id) | StatementOf::Cashier(id) | StatementOf::Shift(id) => {
                        (None, Some(id.clone()))
                    }
                };
                let draft = Draft { subject, object, ..draft.clone() };
                audit::record!(conn, &draft);
            }
            Ok(of)
        })?)
    }

    /// What the services of lines are called.
    async fn services_of(
        &self,
        lines: &[StatementLine],
    ) -> Result<BTreeMap<String, BTreeMap<String, String>>, TillError> {
        let codes: BTreeSet<&str> =
            lines.iter().filter_map(|line| line.charge.as_ref().map(|charge| charge.service.as_str())).collect();
        let codes: Vec<&str> = codes.into_iter().collect();
        let mut services = BTreeMap::new();
        for some in codes.chunks(MANY_MAX) {
            let rows: Vec<(String, String)> = read!(self.database, "till.statement.services", |conn| {
                let mut select = sqlx::QueryBuilder::<Db>::new("SELECT code, names FROM service WHERE code IN (");
                let mut list = select.separated(", ");
                for code in some {
                    list.push_bind(*code);
                }
                select.push(")");
                Ok(select.build_query_as().fetch_all(&mut *conn).await?)
            })?;
            for (code, json) in rows {
                services.insert(code, names(Some(&json))?);
            }
        }
        Ok(services)
    }
}

const T: &str = "ledger";
/// Rows of the ledger that are read at most: an entry has up to four.
const ROWS_MAX: i64 = 4 * LINES_MAX as i64;
/// Values of one list.
const MANY_MAX: usize = 500;

/// Adds to a query on `ledger l` which rows belong to whose statement.
macro_rules! bound {
    ($query:ident, $of:expr, $currency:expr, $last:expr) => {
        $query.push(" AND l.no <= ").push_bind($last).push(" AND l.currency = ").push_bind($currency.to_string());
        match &$of {
            StatementOf::Patient(person) => {
                // Entries about records that became one move nothing between the patient and the clinic.
                $query.push(" AND l.kind <> 'merged' AND l.patient IN (SELECT CAST(").push_bind(person.to_string());
                $query.push(" AS TEXT) UNION ALL SELECT person FROM person_merge WHERE into_person = ");
                $query.push_bind(person.to_string()).push(")");
            }
            StatementOf::Payer(id) => {
                $query.push(" AND l.kind <> 'merged' AND l.charge IN (SELECT id FROM charge WHERE pot = ");
                $query.push_bind(id.clone());
                $query.push(" UNION SELECT m.id FROM charge m JOIN payer_member b ON b.person = m.patient WHERE b.payer = ");
                $query.push_bind(id.clone());
                $query.push(" AND m.terms IN (SELECT id FROM terms WHERE owner = ").push_bind(id.clone());
                // Settled charges stand under the record for which they were registered.
                $query.push(") UNION SELECT m.id FROM payer_member b JOIN person_merge g ON g.into_person = b.person JOIN charge m ON m.patient = g.person WHERE b.payer = ");
                $query.push_bind(id.clone());
                $query.push(" AND m.terms IN (SELECT id FROM terms WHERE owner = ").push_bind(id.clone()).push("))");
            }
            StatementOf::Everybody => {
                $query.push(" AND l.kind <> 'merged' AND l.patient IS NOT NULL");
            }
            StatementOf::Cashier(id) => {
                $query.push(" AND (l.shift IN (SELECT id FROM till_shift WHERE account = ").push_bind(id.clone());
                $query.push(") OR l.payment IN (SELECT y.id FROM payment y JOIN till_shift h ON h.id = y.shift WHERE h.account = ");
                $query.push_bind(id.clone()).push("))");
            }
            StatementOf::Shift(id) => {
                $query.push(" AND (l.shift = ").push_bind(id.clone());
                $query.push(" OR l.payment IN (SELECT id FROM payment WHERE shift = ").push_bind(id.clone()).push("))");
            }
        }
    };
}
use bound;

#[derive(sqlx::FromRow)]
struct SumRow {
    debit: String,
    credit: String,
    minor: i64,
}

#[derive(sqlx::FromRow)]
struct Row {
    entry: i64,
    kind: String,
    at_ms: i64,
    day: i64,
    debit: String,
    credit: String,
    minor: i64,
    patient: Option<String>,
    charge: Option<String>,
    charge_no: Option<i64>,
    service: Option<String>,
    quantity: Option<i64>,
    payment: Option<String>,
    receipt: Option<i64>,
    method: Option<String>,
}

/// What the postings of one entry do to a balance, in minor units.
#[derive(Debug, Clone, Copy, Default)]
struct Line {
    plus: i64,
    minus: i64,
    beside: i64,
    discount: i64,
}

impl Line {
    /// Adds a posting: to the cash of a drawer, or to what a patient owes.
    fn add(&mut self, is_cash: bool, debit: &str, credit: &str, minor: i64) -> Result<(), Error> {
        let (debit, credit) = (code(T, "debit", debit, Ledger::parse)?, code(T, "credit", credit, Ledger::parse)?);
        let add = |to: &mut i64, minor: i64| -> Result<(), Error> {
            *to = to.checked_add(minor).ok_or_else(too_much)?;
            Ok(())
        };
        let is_own = |ledger: Ledger| if is_cash { ledger == Ledger::Drawer } else { ledger.is_patients() };
        match (is_own(debit), is_own(credit)) {
            (true, true) => add(&mut self.beside, minor)?,
            (true, false) => add(&mut self.plus, minor)?,
            (false, true) => add(&mut self.minus, minor)?,
            (false, false) if is_cash => {
                let is_money = |ledger: Ledger| matches!(ledger, Ledger::Card | Ledger::Bank);
                if is_money(debit) {
                    add(&mut self.beside, minor)?;
                }
                if is_money(credit) {
                    add(&mut self.beside, -minor)?;
                }
            }
            (false, false) => {
                if debit == Ledger::Discount {
                    add(&mut self.discount, minor)?;
                }
                if credit == Ledger::Discount {
                    add(&mut self.discount, -minor)?;
                }
            }
        }
        Ok(())
    }
}

/// Rows of one entry stand together; each entry is a line, if it is about this balance at all.
fn lines_of(of: &StatementOf, opening: Amount, rows: Vec<Row>) -> Result<Vec<StatementLine>, Error> {
    let mut lines: Vec<StatementLine> = Vec::new();
    let mut balance = opening;
    let mut rows = rows.into_iter().peekable();
    while let Some(first) = rows.next() {
        let mut line = Line::default();
        line.add(of.is_cash(), &first.debit, &first.credit, first.minor)?;
        while let Some(next) = rows.next_if(|next| next.entry == first.entry) {
            line.add(of.is_cash(), &next.debit, &next.credit, next.minor)?;
        }
        if line.plus == 0 && line.minus == 0 && line.beside == 0 && (of.is_cash() || line.discount == 0) {
            continue;
        }
        let (more, less) = (amount(T, "minor", line.plus)?, amount(T, "minor", line.minus)?);
        balance = minus(plus(balance, more)?, less)?;
        let charge = match (first.charge, first.charge_no, first.service, first.quantity) {
            (Some(id), Some(no), Some(service), Some(quantity)) => {
                let (no, quantity) = (number("charge", "no", no)?, number("charge", "quantity", quantity)?);
                Some(ChargeOf { id, no, service, quantity })
            }
            _ => None,
        };
        let payment = match (first.payment, first.method) {
            (Some(id), Some(method)) => {
                let no = first.receipt.map(|no| number("payment", "no", no)).transpose()?;
                Some(PaymentOf { id, no, method: code("payment", "method", &method, Method::parse)? })
            }
            _ => None,
        };
        lines.push(StatementLine {
            entry: number(T, "entry", first.entry)?,
            kind: code(T, "kind", &first.kind, EntryKind::parse)?,
            at: UtcMillis(first.at_ms),
            day: day(T, "day", first.day)?,
            patient: optional(T, "patient", first.patient.as_deref(), str::parse)?,
            charge,
            payment,
            plus: more,
            minus: less,
            beside: amount(T, "minor", line.beside)?,
            discount: amount(T, "minor", line.discount)?,
            balance,
        });
    }
    Ok(lines)
}

fn too_much() -> Error {
    Error::bad_row(T, "minor", "the sum is beyond what money can be")
}

fn plus(one: Amount, other: Amount) -> Result<Amount, Error> {
    one.plus(other).ok_or_else(too_much)
}

fn minus(one: Amount, other: Amount) -> Result<Amount, Error> {
    one.minus(other).ok_or_else(too_much)
}
