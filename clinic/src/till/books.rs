//! Everything that the till keeps of one person: for the package that a person may ask for, and to know whether their account is
//! still open, which forbids to erase them. Charges, payments and the ledger themselves are kept as the law on books wants,
//! by pseudonym. Reads only; who may read is asked by those who call it ([`crate::subjects`], [`crate::erasure`]).

use domain::money::{Amount, Currency};
use domain::schedule::LocalDate;
use domain::till::Account;
use domain::{PersonId, UtcMillis};
use serde_json::{Value, json};
use store::{Database, Error, read};

use super::ledger::{amount, currency, day};

/// Most lines of each kind in one package.
const LINES_MAX: i64 = 100_000;

/// A service, for who received it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookedCharge {
    /// Its number for people.
    pub no: u64,
    /// When it was registered.
    pub registered: UtcMillis,
    /// The code of the service.
    pub service: String,
    /// How many.
    pub quantity: u32,
    /// The currency of all amounts.
    pub currency: Currency,
    /// Price times pieces.
    pub gross: Amount,
    /// The discount.
    pub discount: Amount,
    /// How it is paid; a code of [`domain::till::Mode`].
    pub mode: String,
    /// How far it has come; a code of [`domain::till::ChargeState`].
    pub state: String,
    /// What was paid of it.
    pub paid: Amount,
    /// What was written off.
    pub written_off: Amount,
}

/// A payment, for who paid or got it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookedPayment {
    /// The receipt's number; `None`: it did not come about.
    pub no: Option<u64>,
    /// When it was begun.
    pub begun: UtcMillis,
    /// What it is; a code of [`super::payments::PaymentKind`].
    pub kind: String,
    /// How; a code of [`domain::till::Method`].
    pub method: String,
    /// How it ended; a code of [`super::payments::PaymentState`].
    pub state: String,
    /// How much.
    pub amount: Amount,
    /// In which currency.
    pub currency: Currency,
    /// The slip's or transfer's number.
    pub external: Option<String>,
}

/// Terms of payment of the person alone, a version of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookedTerms {
    /// A code of [`domain::till::Mode`].
    pub mode: String,
    /// The currency.
    pub currency: Currency,
    /// The most that may be owed.
    pub limit: Option<Amount>,
    /// The scale of discounts.
    pub scheme: Option<String>,
    /// The first day.
    pub from: LocalDate,
    /// The last day.
    pub until: Option<LocalDate>,
    /// Whether they count, days apart: the newest version, not withdrawn.
    pub is_current: bool,
}

/// A group or contract that the person belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookedMembership {
    /// A code of [`super::PayerKind`].
    pub kind: String,
    /// Its name.
    pub name: String,
    /// The first day.
    pub from: LocalDate,
    /// The last day.
    pub until: Option<LocalDate>,
}

/// More than a limit, allowed for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookedOverride {
    /// From when.
    pub from: UtcMillis,
    /// Until when.
    pub until: UtcMillis,
    /// How much more.
    pub extra: Amount,
    /// The currency.
    pub currency: Currency,
    /// Why; a code of [`super::OverrideReason`].
    pub reason: String,
}

/// What the till keeps of a person, and of the records that became theirs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Books {
    /// In which language they are spoken to; a code.
    pub language: Option<String>,
    /// What is owed, paid in, held and was rendered, by currency.
    pub balances: Vec<(Currency, Account)>,
    /// Services, the oldest first.
    pub charges: Vec<BookedCharge>,
    /// Payments, the oldest first.
    pub payments: Vec<BookedPayment>,
    /// Their own terms, the oldest first.
    pub terms: Vec<BookedTerms>,
    /// Groups and contracts.
    pub memberships: Vec<BookedMembership>,
    /// What supervisors allowed.
    pub overrides: Vec<BookedOverride>,
}

/// What is still open of an account; as counts, so that it can be told without sums.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OpenAccount {
    /// Currencies in which something is owed.
    pub owing: u64,
    /// Currencies in which a deposit, or money paid for orders, is left.
    pub deposits: u64,
    /// Services ordered or rendered and not paid.
    pub charges: u64,
    /// Payments that wait for a terminal, and requests that wait for a decision.
    pub waiting: u64,
}

impl OpenAccount {
    /// From what was counted.
    pub(crate) const fn of((owing, deposits, charges, waiting): (i64, i64, i64, i64)) -> Self {
        Self {
            owing: owing.cast_unsigned(),
            deposits: deposits.cast_unsigned(),
            charges: charges.cast_unsigned(),
            waiting: waiting.cast_unsigned(),
        }
    }

    /// Whether nothing is open.
    pub const fn is_settled(&self) -> bool {
        self.owing == 0 && self.deposits == 0 && self.charges == 0 && self.waiting == 0
    }
}

/// What is still open of an account, inside a transaction or a read: `count_open!(conn, &id)`.
macro_rules! count_open {
    ($conn:expr, $id:expr) => {{
        let counts: (i64, i64, i64, i64) =
            sqlx::query_as($crate::till::books::OPEN_ACCOUNT).bind($id).fetch_one(&mut *$conn).await?;
        $crate::till::books::OpenAccount::of(counts)
    }};
}
pub(crate) use count_open;

/// Counts what is open: also of the records that became this one.
pub(crate) const OPEN_ACCOUNT: &str = "WITH own (id) AS (
         SELECT CAST($1 AS TEXT) UNION ALL SELECT person FROM person_merge WHERE into_person = $1
     )
     SELECT (SELECT COUNT(*) FROM till_balance WHERE person IN (SELECT id FROM own) AND owed_minor <> 0),
         (SELECT COUNT(*) FROM till_balance WHERE person IN (SELECT id FROM own)
              AND (deposit_minor <> 0 OR held_minor <> 0)),
         (SELECT COUNT(*) FROM charge WHERE patient IN (SELECT id FROM own) AND state <> 'cancelled'
              AND (state = 'ordered' OR paid_minor + written_off_minor < net_minor)),
         (SELECT COUNT(*) FROM payment WHERE patient IN (SELECT id FROM own) AND state = 'waiting')
             + (SELECT COUNT(*) FROM till_request WHERE patient IN (SELECT id FROM own) AND state = 'asked')";

/// Whether something is still to be paid, given back or decided.
///
/// # Errors
/// Engine errors.
pub(crate) async fn open_account(database: &Database, person: PersonId) -> Result<OpenAccount, Error> {
    let id = person.to_string();
    read!(database, "till.open_account", |conn| { Ok(count_open!(conn, &id)) })
}

type ChargeLine = (i64, i64, String, i64, String, i64, i64, String, String, i64, i64);
type PaymentLine = (Option<i64>, i64, String, String, String, i64, String, Option<String>);
type TermsLine = (String, String, Option<i64>, Option<String>, i64, Option<i64>, i64);

/// Reads it all.
///
/// # Errors
/// Engine errors.
pub(crate) async fn of_person(database: &Database, person: PersonId) -> Result<Books, Error> {
    let id = person.to_string();
    let language: Option<String> = read!(database, "till.books.language", |conn| {
        Ok(sqlx::query_scalar("SELECT language FROM person WHERE id = $1")
            .bind(&id)
            .fetch_optional(&mut *conn)
            .await?
            .flatten())
    })?;
    let balances: Vec<(String, i64, i64, i64, i64)> = read!(database, "till.books.balances", |conn| {
        Ok(sqlx::query_as(
            "SELECT currency, owed_minor, deposit_minor, held_minor, rendered_minor FROM till_balance
             WHERE person = $1 ORDER BY currency",
        )
        .bind(&id)
        .fetch_all(&mut *conn)
        .await?)
    })?;
    let charges: Vec<ChargeLine> = read!(database, "till.books.charges", |conn| {
        Ok(sqlx::query_as(
            "SELECT no, registered_ms, service, quantity, currency, gross_minor, discount_minor, mode, state, paid_minor,
                 written_off_minor FROM charge
             WHERE patient IN (SELECT CAST($1 AS TEXT) UNION ALL SELECT person FROM person_merge WHERE into_person = $1)
             ORDER BY no LIMIT $2",
        )
        .bind(&id)
        .bind(LINES_MAX)
        .fetch_all(&mut *conn)
        .await?)
    })?;
    let payments: Vec<PaymentLine> = read!(database, "till.books.payments", |conn| {
        Ok(sqlx::query_as(
            "SELECT no, begun_ms, kind, method, state, minor, currency, external FROM payment
             WHERE patient IN (SELECT CAST($1 AS TEXT) UNION ALL SELECT person FROM person_merge WHERE into_person = $1)
             ORDER BY begun_ms, id LIMIT $2",
        )
        .bind(&id)
        .bind(LINES_MAX)
        .fetch_all(&mut *conn)
        .await?)
    })?;
    let terms: Vec<TermsLine> = read!(database, "till.books.terms", |conn| {
        Ok(sqlx::query_as(
            "SELECT mode, currency, limit_minor, scheme, from_day, until_day,
                 CAST(CASE WHEN is_current = 1 AND withdrawn = 0 THEN 1 ELSE 0 END AS BIGINT) FROM terms
             WHERE scope = 'patient'
                 AND owner IN (SELECT CAST($1 AS TEXT) UNION ALL SELECT person FROM person_merge WHERE into_person = $1)
             ORDER BY made_ms, id, version LIMIT $2",
        )
        .bind(&id)
        .bind(LINES_MAX)
        .fetch_all(&mut *conn)
        .await?)
    })?;
    let memberships: Vec<(String, String, i64, Option<i64>)> = read!(database, "till.books.memberships", |conn| {
        Ok(sqlx::query_as(
            "SELECT p.kind, p.name, m.from_day, m.until_day FROM payer_member m JOIN payer p ON p.id = m.payer
             WHERE m.person = $1 ORDER BY m.from_day, p.id LIMIT $2",
        )
        .bind(&id)
        .bind(LINES_MAX)
        .fetch_all(&mut *conn)
        .await?)
    })?;
    let overrides: Vec<(i64, i64, i64, String, String)> = read!(database, "till.books.overrides", |conn| {
        Ok(sqlx::query_as(
            "SELECT from_ms, COALESCE(ended_ms, until_ms), extra_minor, currency, reason FROM limit_override
             WHERE target = 'patient' AND owner = $1 ORDER BY no LIMIT $2",
        )
        .bind(&id)
        .bind(LINES_MAX)
        .fetch_all(&mut *conn)
        .await?)
    })?;
    Ok(Books {
        language,
        balances: balances.into_iter().map(read_balance).collect::<Result<_, _>>()?,
        charges: charges.into_iter().map(read_charge).collect::<Result<_, _>>()?,
        payments: payments.into_iter().map(read_payment).collect::<Result<_, _>>()?,
        terms: terms.into_iter().map(read_terms).collect::<Result<_, _>>()?,
        memberships: memberships
            .into_iter()
            .map(|(kind, name, from, until)| {
                const T: &str = "payer_member";
                let until = until.map(|until| day(T, "until_day", until)).transpose()?;
                Ok(BookedMembership { kind, name, from: day(T, "from_day", from)?, until })
            })
            .collect::<Result<_, Error>>()?,
        overrides: overrides
            .into_iter()
            .map(|(from, until, extra, money, reason)| {
                const T: &str = "limit_override";
                let (extra, currency) = (amount(T, "extra_minor", extra)?, currency(T, &money)?);
                Ok(BookedOverride { from: UtcMillis(from), until: UtcMillis(until), extra, currency, reason })
            })
            .collect::<Result<_, Error>>()?,
    })
}

fn read_balance(
    (money, owed, deposit, held, rendered): (String, i64, i64, i64, i64),
) -> Result<(Currency, Account), Error> {
    const T: &str = "till_balance";
    let account = Account {
        owed: amount(T, "owed_minor", owed)?,
        deposit: amount(T, "deposit_minor", deposit)?,
        held: amount(T, "held_minor", held)?,
        rendered: amount(T, "rendered_minor", rendered)?,
    };
    Ok((currency(T, &money)?, account))
}

fn read_charge(line: ChargeLine) -> Result<BookedCharge, Error> {
    const T: &str = "charge";
    let (no, registered, service, quantity, money, gross, discount, mode, state, paid, written_off) = line;
    Ok(BookedCharge {
        no: no.cast_unsigned(),
        registered: UtcMillis(registered),
        service,
        quantity: crate::rows::number(T, "quantity", quantity)?,
        currency: currency(T, &money)?,
        gross: amount(T, "gross_minor", gross)?,
        discount: amount(T, "discount_minor", discount)?,
        mode,
        state,
        paid: amount(T, "paid_minor", paid)?,
        written_off: amount(T, "written_off_minor", written_off)?,
    })
}

fn read_payment(line: PaymentLine) -> Result<BookedPayment, Error> {
    const T: &str = "payment";
    let (no, begun, kind, method, state, minor, money, external) = line;
    Ok(BookedPayment {
        no: no.map(i64::cast_unsigned),
        begun: UtcMillis(begun),
        kind,
        method,
        state,
        amount: amount(T, "minor", minor)?,
        currency: currency(T, &money)?,
        external,
    })
}

fn read_terms(line: TermsLine) -> Result<BookedTerms, Error> {
    const T: &str = "terms";
    let (mode, money, limit, scheme, from, until, is_current) = line;
    Ok(BookedTerms {
        mode,
        currency: currency(T, &money)?,
        limit: limit.map(|minor| amount(T, "limit_minor", minor)).transpose()?,
        scheme,
        from: day(T, "from_day", from)?,
        until: until.map(|until| day(T, "until_day", until)).transpose()?,
        is_current: is_current != 0,
    })
}

impl Books {
    /// For the package for machines. Amounts are decimal texts with their currency beside them.
    pub(crate) fn to_json(&self) -> Value {
        let at = |at: UtcMillis| at.to_rfc3339();
        let day = |day: LocalDate| day.to_string();
        json!({
            "language": self.language,
            "balances": self.balances.iter().map(|(currency, account)| json!({
                "currency": currency.to_string(), "owed": currency.decimal(account.owed),
                "deposit": currency.decimal(account.deposit), "held": currency.decimal(account.held),
                "rendered": currency.decimal(account.rendered),
            })).collect::<Vec<_>>(),
            "charges": self.charges.iter().map(|charge| json!({
                "no": charge.no, "registered": at(charge.registered), "service": charge.service,
                "quantity": charge.quantity, "currency": charge.currency.to_string(),
                "gross": charge.currency.decimal(charge.gross), "discount": charge.currency.decimal(charge.discount),
                "mode": charge.mode, "state": charge.state, "paid": charge.currency.decimal(charge.paid),
                "written_off": charge.currency.decimal(charge.written_off),
            })).collect::<Vec<_>>(),
            "payments": self.payments.iter().map(|payment| json!({
                "no": payment.no, "begun": at(payment.begun), "kind": payment.kind, "method": payment.method,
                "state": payment.state, "currency": payment.currency.to_string(),
                "amount": payment.currency.decimal(payment.amount), "external": payment.external,
            })).collect::<Vec<_>>(),
            "terms": self.terms.iter().map(|terms| json!({
                "mode": terms.mode, "currency": terms.currency.to_string(),
                "limit": terms.limit.map(|limit| terms.currency.decimal(limit)), "scheme": terms.scheme,
                "from": day(terms.from), "until": terms.until.map(day), "current": terms.is_current,
            })).collect::<Vec<_>>(),
            "memberships": self.memberships.iter().map(|member| json!({
                "kind": member.kind, "name": member.name, "from": day(member.from), "until": member.until.map(day),
            })).collect::<Vec<_>>(),
            "overrides": self.overrides.iter().map(|more| json!({
                "from": at(more.from), "until": at(more.until), "currency": more.currency.to_string(),
                "extra": more.currency.decimal(more.extra), "reason": more.reason,
            })).collect::<Vec<_>>(),
        })
    }
}
