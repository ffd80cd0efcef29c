//! The till against itself: balances, pots, charges, payments, drawers, numbers, closed days and entries of the audit log,
//! each compared with what the ledger says, and the trial balance. Reads only; repairs nothing.
//!
//! Each comparison is one statement that answers with what differs, so it sees one state of the database even while
//! services are registered beside it, and an answer is as short as the till is right. May import what [`super`] may.

mod texts;

use domain::money::{Amount, Currency};
use domain::schedule::LocalDate;
use domain::till::Ledger;
use domain::{Permission, codes};
use store::{Error, read, transact};

use super::ledger::{amount, currency};
use super::{Till, TillError};
use crate::acting::Acting;
use crate::audit::{self, Action, Draft, Outcome};
use crate::rows::code;

/// Most findings of one code that are handed out; of more it is said that there are more.
pub const FINDINGS_MAX: usize = 200;

codes! {
    /// What was compared, and so what is wrong. Stable codes: they stand in the answer of the command.
    CheckCode {
        /// What a patient owes by the balance is not what the ledger says. The id is the patient's pseudonym.
        Owed = "owed",
        /// What a patient has paid in by the balance is not what the ledger says.
        Deposit = "deposit",
        /// What is held for orders by the balance is not what the ledger says.
        Held = "held",
        /// The sum of services rendered by the balance is not that of the patient's charges.
        Rendered = "rendered",
        /// What a patient owes is not what is open of the services rendered.
        OwedCharges = "owed_charges",
        /// What is held for a patient is not what was paid for services that are ordered and set aside for a card.
        HeldCharges = "held_charges",
        /// What is used of a shared limit is not what is open of the charges that count against it. The id is the payer's.
        Pot = "pot",
        /// A charge's sums or its state contradict each other. The id is the charge's, as with all codes that begin so.
        ChargeState = "charge_state",
        /// A charge's price is not what was posted for it.
        ChargePosted = "charge_posted",
        /// A charge's discount is not what was posted for it.
        ChargeDiscount = "charge_discount",
        /// What is paid of a charge is not what was posted for it.
        ChargePaid = "charge_paid",
        /// What is written off of a charge is not what was posted for it.
        ChargeWrittenOff = "charge_written_off",
        /// A charge that was taken back still has something posted.
        ChargeLeft = "charge_left",
        /// A payment's state contradicts its number or time. The id is the payment's, as with all codes that begin so.
        PaymentState = "payment_state",
        /// A payment's sum is not what was posted for it.
        PaymentPosted = "payment_posted",
        /// A payment's parts are more than its sum.
        PaymentParts = "payment_parts",
        /// A drawer was closed with another sum expected than the ledger says. The id is the shift's.
        DrawerExpected = "drawer_expected",
        /// A closed drawer is not empty by the ledger.
        DrawerLeft = "drawer_left",
        /// Numbers for people have a gap, or the counter stands elsewhere. The id is the counter's name.
        Numbers = "numbers",
        /// A row of the ledger makes no sense by itself: accounts, patient, drawer. The id is the row's number.
        LedgerRow = "ledger_row",
        /// The rows of an entry disagree on what they are about. The id is the entry's number.
        LedgerEntry = "ledger_entry",
        /// An entry of the ledger has no entry in the audit log, or one about something else. The id is the number in the
        /// audit log.
        AuditMissing = "audit_missing",
        /// The entry in the audit log names another sum than the ledger. The id is the number in the audit log.
        AuditSum = "audit_sum",
        /// Something was posted to a day after it was closed. The id is the row's number.
        ClosedDay = "closed_day",
    }
}

/// Something that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was compared.
    pub code: CheckCode,
    /// Where: a pseudonym, an id or a number, as the code says.
    pub id: String,
    /// In which currency, where it is money.
    pub currency: Option<Currency>,
    /// What it must be: minor units, or a count. Not an amount of money that could be used: it may be beyond all bounds.
    pub expected: Option<i64>,
    /// What it is.
    pub found: Option<i64>,
}

/// What a check found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checked {
    /// What is wrong, in the order of [`CheckCode::ALL`]; empty when all is right.
    pub findings: Vec<Finding>,
    /// Codes of which there is more than [`FINDINGS_MAX`].
    pub more: Vec<CheckCode>,
    /// Charges that were looked at.
    pub charges: u64,
    /// Payments that were looked at.
    pub payments: u64,
    /// Rows of the ledger that were looked at.
    pub rows: u64,
    /// Balances that were looked at.
    pub balances: u64,
}

impl Checked {
    /// Whether all is right.
    pub const fn is_right(&self) -> bool {
        self.findings.is_empty()
    }
}

/// An account of the trial balance, in a currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrialLine {
    /// The currency.
    pub currency: Currency,
    /// The account; those of all patients and all drawers together.
    pub ledger: Ledger,
    /// Everything debited.
    pub debit: Amount,
    /// Everything credited.
    pub credit: Amount,
}

impl TrialLine {
    /// Debited less credited; over all lines of a currency the sum is zero. `None` beyond what money can be.
    pub const fn balance(&self) -> Option<Amount> {
        self.debit.minus(self.credit)
    }
}

/// One line of a comparison: where, in which currency, what it must be, what it is.
type Row = (String, Option<String>, Option<i64>, Option<i64>);

impl Till {
    /// Compares the till with itself and writes into the audit log that it was done, and with what outcome. Takes a
    /// second or so for each 100,000 charges; registering goes on meanwhile.
    ///
    /// # Errors
    /// [`TillError::Denied`] without `till_report`; engine errors.
    pub async fn check(&self, acting: &Acting) -> Result<Checked, TillError> {
        acting.must(Permission::TillReport)?;
        let checked = self.compare().await?;
        let codes: Vec<&str> = CheckCode::ALL
            .iter()
            .filter(|code| checked.findings.iter().any(|finding| finding.code == **code))
            .map(|code| code.as_str())
            .collect();
        let draft = Draft {
            outcome: if checked.is_right() { Outcome::Done } else { Outcome::Failed },
            detail: Some(format!(
                "charges={} payments={} rows={} balances={} findings={} codes={}",
                checked.charges,
                checked.payments,
                checked.rows,
                checked.balances,
                checked.findings.len(),
                codes.join(",")
            )),
            ..acting.draft(self.clock.now(), Action::TillChecked)
        };
        transact!(self.database, "till.checked", |conn| {
            audit::record!(conn, &draft);
            Ok(())
        })?;
        Ok(checked)
    }

    async fn compare(&self) -> Result<Checked, Error> {
        let mut checked = Checked::default();
        let counts: (i64, i64, i64, i64) = read!(self.database, "till.check.counts", |conn| {
            Ok(sqlx::query_as(texts::COUNTS).fetch_one(&mut *conn).await?)
        })?;
        checked.charges = counts.0.cast_unsigned();
        checked.payments = counts.1.cast_unsigned();
        checked.rows = counts.2.cast_unsigned();
        checked.balances = counts.3.cast_unsigned();
        for what in CheckCode::ALL {
            let text = texts::of(*what);
            let limit = i64::try_from(FINDINGS_MAX).unwrap_or(i64::MAX) + 1;
            let rows: Vec<Row> = read!(self.database, "till.check", |conn| {
                Ok(sqlx::query_as(text).bind(limit).fetch_all(&mut *conn).await?)
            })?;
            if rows.len() > FINDINGS_MAX {
                checked.more.push(*what);
            }
            for (id, code, expected, found) in rows.into_iter().take(FINDINGS_MAX) {
                // What cannot be read as a currency is a finding too, not the end of the check.
                let currency = code.as_deref().and_then(Currency::parse);
                checked.findings.push(Finding { code: *what, id, currency, expected, found });
            }
        }
        Ok(checked)
    }

    /// The trial balance at the end of a day of the clinic, or as of now: every account with what was debited and
    /// credited since the beginning. For each currency the balances sum to zero.
    ///
    /// # Errors
    /// [`TillError::Denied`] without `till_report`; engine errors.
    pub async fn trial_balance(&self, acting: &Acting, upto: Option<LocalDate>) -> Result<Vec<TrialLine>, TillError> {
        acting.must(Permission::TillReport)?;
        let last = upto.map_or(i64::from(i32::MAX), |day| i64::from(day.0));
        let rows: Vec<(String, String, i64, i64)> = read!(self.database, "till.trial_balance", |conn| {
            Ok(sqlx::query_as(texts::TRIAL_BALANCE).bind(last).fetch_all(&mut *conn).await?)
        })?;
        const T: &str = "ledger";
        let read = |(money, account, debit, credit): (String, String, i64, i64)| {
            Ok(TrialLine {
                currency: currency(T, &money)?,
                ledger: code(T, "debit", &account, Ledger::parse)?,
                debit: amount(T, "minor", debit)?,
                credit: amount(T, "minor", credit)?,
            })
        };
        Ok(rows.into_iter().map(read).collect::<Result<_, Error>>()?)
    }
}
