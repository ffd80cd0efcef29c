//! Posting: the rows of the ledger and the balances beside it, on either engine. Statements and arithmetic only; who may post
//! what is decided by those who call it, inside their transaction.
//!
//! Order inside a transaction, so that two never wait for each other: balances, then pots, then charges and payments, then the
//! audit log, then the ledger, then the feed of changes.

use std::collections::{BTreeMap, BTreeSet};

use domain::money::{Amount, Currency};
use domain::schedule::LocalDate;
use domain::till::{Account, EntryKind, Posting};
use domain::{PersonId, UtcMillis};
use store::Error;

use crate::rows::column;

/// Names of one list.
const MANY_MAX: usize = 500;

/// One fact of money, about to be posted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewEntry {
    pub kind: EntryKind,
    /// Now.
    pub at: UtcMillis,
    /// The clinic's day it counts to: [`LedgerOn::posting_day`].
    pub day: LocalDate,
    pub currency: Currency,
    /// Whose accounts, where the postings touch a patient's.
    pub patient: Option<PersonId>,
    pub charge: Option<String>,
    pub payment: Option<String>,
    /// Whose drawer, where the postings touch one.
    pub shift: Option<String>,
    /// The number of its entry in the audit log.
    pub audit: u64,
    /// Nothing for what costs nothing.
    pub postings: Vec<Posting>,
}

/// An account of a patient in a currency.
pub(crate) type AccountKey = (PersonId, Currency);
/// A shared pot: the payer and the currency.
pub(crate) type PotKey = (String, Currency);

/// What the members of a payer share, and what they owe of it. One that was never set has nothing in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Pot {
    pub limit: Amount,
    pub used: Amount,
}

/// An engine's connection inside a transaction, to which money can be posted.
pub(crate) trait LedgerOn {
    /// The day that is posted to at a local date: that date, or the first one after the last closed day.
    ///
    /// # Errors
    /// Engine errors.
    async fn posting_day(&mut self, today: LocalDate) -> Result<LocalDate, Error>;

    /// Accounts of patients; one without a row is empty, so every key asked for is in the answer.
    ///
    /// # Errors
    /// Engine errors.
    async fn accounts(&mut self, keys: &BTreeSet<AccountKey>) -> Result<BTreeMap<AccountKey, Account>, Error>;

    /// Stores accounts as they are now.
    ///
    /// # Errors
    /// Engine errors; a deposit below zero is one.
    async fn save_accounts(&mut self, accounts: &BTreeMap<AccountKey, Account>) -> Result<(), Error>;

    /// Pots; one that does not exist is not in the answer.
    ///
    /// # Errors
    /// Engine errors.
    async fn pots(&mut self, keys: &BTreeSet<PotKey>) -> Result<BTreeMap<PotKey, Pot>, Error>;

    /// Stores what is used of pots.
    ///
    /// # Errors
    /// Engine errors.
    async fn save_pots(&mut self, pots: &BTreeMap<PotKey, Pot>, now: UtcMillis) -> Result<(), Error>;

    /// Appends entries to the ledger and returns the number of the first; the others follow it. Numbers have no gap.
    ///
    /// # Errors
    /// Engine errors.
    async fn post(&mut self, entries: &[NewEntry]) -> Result<u64, Error>;
}

/// Reads an amount of minor units.
pub(crate) fn amount(table: &'static str, name: &'static str, minor: i64) -> Result<Amount, Error> {
    Amount::new(minor).ok_or_else(|| Error::bad_row(table, name, format!("{minor} is out of range")))
}

/// Reads a currency.
pub(crate) fn currency(table: &'static str, code: &str) -> Result<Currency, Error> {
    Currency::parse(code).ok_or_else(|| Error::bad_row(table, "currency", format!("{code:?} is no currency")))
}

/// Reads a day.
pub(crate) fn day(table: &'static str, name: &'static str, days: i64) -> Result<LocalDate, Error> {
    crate::rows::number(table, name, days).map(LocalDate)
}

macro_rules! ledger_on {
    ($connection:ty) => {
        impl LedgerOn for $connection {
            async fn posting_day(&mut self, today: LocalDate) -> Result<LocalDate, Error> {
                let last: Option<i64> =
                    sqlx::query_scalar("SELECT MAX(day) FROM till_day").fetch_one(&mut *self).await?;
                let Some(last) = last else { return Ok(today) };
                Ok(today.max(day("till_day", "day", last + 1)?))
            }

            async fn accounts(&mut self, keys: &BTreeSet<AccountKey>) -> Result<BTreeMap<AccountKey, Account>, Error> {
                const T: &str = "till_balance";
                let mut found: BTreeMap<AccountKey, Account> =
                    keys.iter().map(|key| (*key, Account::default())).collect();
                let persons: Vec<String> =
                    keys.iter().map(|(person, _)| person).collect::<BTreeSet<_>>().into_iter().map(ToString::to_string).collect();
                for some in persons.chunks(MANY_MAX) {
                    let mut select = sqlx::QueryBuilder::<<$connection as sqlx::Connection>::Database>::new(
                        "SELECT person, currency, owed_minor, deposit_minor, held_minor, rendered_minor FROM till_balance
                         WHERE person IN (",
                    );
                    let mut list = select.separated(", ");
                    for person in store::padded(some) {
                        list.push_bind(person);
                    }
                    select.push(")");
                    let rows: Vec<(String, String, i64, i64, i64, i64)> =
                        select.build_query_as().fetch_all(&mut *self).await?;
                    for (person, code, owed, deposit, held, rendered) in rows {
                        let key = (column(T, "person", &person, str::parse)?, currency(T, &code)?);
                        if let Some(account) = found.get_mut(&key) {
                            *account = Account {
                                owed: amount(T, "owed_minor", owed)?,
                                deposit: amount(T, "deposit_minor", deposit)?,
                                held: amount(T, "held_minor", held)?,
                                rendered: amount(T, "rendered_minor", rendered)?,
                            };
                        }
                    }
                }
                Ok(found)
            }

            async fn save_accounts(&mut self, accounts: &BTreeMap<AccountKey, Account>) -> Result<(), Error> {
                let all: Vec<_> = accounts.iter().collect();
                for some in store::in_parts(&all) {
                    let mut insert = sqlx::QueryBuilder::<<$connection as sqlx::Connection>::Database>::new(
                        "INSERT INTO till_balance (person, currency, owed_minor, deposit_minor, held_minor, rendered_minor) ",
                    );
                    insert.push_values(some, |mut row, ((person, currency), account)| {
                        row.push_bind(person.to_string())
                            .push_bind(currency.to_string())
                            .push_bind(account.owed.minor())
                            .push_bind(account.deposit.minor())
                            .push_bind(account.held.minor())
                            .push_bind(account.rendered.minor());
                    });
                    insert.push(
                        " ON CONFLICT (person, currency) DO UPDATE SET owed_minor = excluded.owed_minor,
                         deposit_minor = excluded.deposit_minor, held_minor = excluded.held_minor,
                         rendered_minor = excluded.rendered_minor",
                    );
                    insert.build().execute(&mut *self).await?;
                }
                Ok(())
            }

            async fn pots(&mut self, keys: &BTreeSet<PotKey>) -> Result<BTreeMap<PotKey, Pot>, Error> {
                const T: &str = "pot";
                let mut found = BTreeMap::new();
                let payers: Vec<&String> = keys.iter().map(|(payer, _)| payer).collect::<BTreeSet<_>>().into_iter().collect();
                for some in payers.chunks(MANY_MAX) {
                    let mut select = sqlx::QueryBuilder::<<$connection as sqlx::Connection>::Database>::new(
                        "SELECT payer, currency, limit_minor, used_minor FROM pot WHERE payer IN (",
                    );
                    let mut list = select.separated(", ");
                    for payer in store::padded(some) {
                        list.push_bind(payer);
                    }
                    select.push(")");
                    let rows: Vec<(String, String, i64, i64)> = select.build_query_as().fetch_all(&mut *self).await?;
                    for (payer, code, limit, used) in rows {
                        let key = (payer, currency(T, &code)?);
                        if keys.contains(&key) {
                            let pot =
                                Pot { limit: amount(T, "limit_minor", limit)?, used: amount(T, "used_minor", used)? };
                            found.insert(key, pot);
                        }
                    }
                }
                Ok(found)
            }

            async fn save_pots(&mut self, pots: &BTreeMap<PotKey, Pot>, now: UtcMillis) -> Result<(), Error> {
                // Few: a pot is a group or contract.
                for ((payer, currency), pot) in pots {
                    sqlx::query("UPDATE pot SET used_minor = $3, changed_ms = $4 WHERE payer = $1 AND currency = $2")
                        .bind(payer)
                        .bind(currency.to_string())
                        .bind(pot.used.minor())
                        .bind(now.0)
                        .execute(&mut *self)
                        .await?;
                }
                Ok(())
            }

            async fn post(&mut self, entries: &[NewEntry]) -> Result<u64, Error> {
                let count = i64::try_from(entries.len()).unwrap_or(i64::MAX);
                let rows: i64 = entries.iter().map(|entry| i64::try_from(entry.postings.len()).unwrap_or(0)).sum();
                let last_entry: i64 = sqlx::query_scalar(
                    "UPDATE counter SET value = value + $1 WHERE name = 'ledger_entry' RETURNING value",
                )
                .bind(count)
                .fetch_one(&mut *self)
                .await?;
                let last: i64 =
                    sqlx::query_scalar("UPDATE counter SET value = value + $1 WHERE name = 'ledger' RETURNING value")
                        .bind(rows)
                        .fetch_one(&mut *self)
                        .await?;
                let first = last_entry - count + 1;
                let numbered: Vec<(i64, i64, &NewEntry, Posting)> = entries
                    .iter()
                    .zip(first..)
                    .flat_map(|(entry, number)| entry.postings.iter().map(move |posting| (number, entry, *posting)))
                    .zip(last - rows + 1..)
                    .map(|((number, entry, posting), no)| (no, number, entry, posting))
                    .collect();
                for some in store::in_parts(&numbered) {
                    let mut insert = sqlx::QueryBuilder::<<$connection as sqlx::Connection>::Database>::new(
                        "INSERT INTO ledger (no, entry, kind, at_ms, day, debit, credit, currency, minor, patient, charge,
                             payment, shift, audit) ",
                    );
                    insert.push_values(some, |mut row, (no, number, entry, posting)| {
                        row.push_bind(*no)
                            .push_bind(*number)
                            .push_bind(entry.kind.as_str())
                            .push_bind(entry.at.0)
                            .push_bind(i64::from(entry.day.0))
                            .push_bind(posting.debit.as_str())
                            .push_bind(posting.credit.as_str())
                            .push_bind(entry.currency.to_string())
                            .push_bind(posting.amount.minor())
                            .push_bind(entry.patient.map(|person| person.to_string()))
                            .push_bind(entry.charge.as_deref())
                            .push_bind(entry.payment.as_deref())
                            .push_bind(entry.shift.as_deref())
                            .push_bind(entry.audit.cast_signed());
                    });
                    insert.build().execute(&mut *self).await?;
                }
                Ok(first.cast_unsigned())
            }
        }
    };
}

store::for_each_connection!(ledger_on);
