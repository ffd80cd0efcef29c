//! The till: on which terms a patient receives services, what the limits leave, what a service costs after the discount,
//! and which postings a fact of money makes. Pure: what is known comes in, what is to be done comes out; the rows are
//! `clinic::till`'s.
//!
//! # Rules
//! - **Postpaid**: a service is rendered and owed. What a patient owes on postpaid terms never passes the patient's limit,
//!   and what the members of a pot owe never passes the pot's, by one minor unit.
//! - **Deposit**: a service is rendered against what the patient has paid in, at once.
//! - **Prepaid**: a service is ordered, paid, and only then rendered. A visit at home is always prepaid, whatever the terms.
//! - A service whose price is not the one that was shown is not registered.
//! - Amounts are minor units of one currency. There is no conversion: terms, price and account have the same currency.

use crate::codes;

pub mod discount;
pub mod posting;
pub mod register;
pub mod terms;
#[cfg(test)]
mod tests;

pub use discount::{Discount, Rounding, Scheme, SchemeError, Step};
pub use posting::{Posting, PostingError};
pub use register::{Account, Bounds, Priced, Refusal, Registered, Wanted, register, render};
pub use terms::{Mode, Owner, Scope, Terms, TermsError};

codes! {
    /// An account of the ledger. Accounts of patients (`owed`, `deposit`, `held`) are one for each patient, drawers one for
    /// each shift of a cashier; the others are the clinic's.
    Ledger {
        /// What the patient owes for services rendered. An asset.
        Owed = "owed",
        /// What the patient has paid in and not used. A liability.
        Deposit = "deposit",
        /// What the patient has paid for services that are ordered and not rendered yet, and what was set aside to go back
        /// to their card. A liability.
        Held = "held",
        /// What services cost after the discount, and the discount: the price. Income.
        Revenue = "revenue",
        /// Discounts given. Lessens income.
        Discount = "discount",
        /// What was owed and will not be paid. An expense.
        WriteOff = "write_off",
        /// Cash in a cashier's drawer. An asset.
        Drawer = "drawer",
        /// Cash in the safe. An asset.
        Safe = "safe",
        /// What the bank of the card terminals owes. An asset.
        Card = "card",
        /// What came to the clinic's bank account. An asset.
        Bank = "bank",
        /// Cash too much or missing at the closing of a drawer.
        Difference = "difference",
        /// Between two records of one patient that became one; zero after each entry.
        Merged = "merged",
    }
}

impl Ledger {
    /// Whether each patient has their own.
    pub const fn is_patients(self) -> bool {
        matches!(self, Self::Owed | Self::Deposit | Self::Held)
    }
}

codes! {
    /// What an entry of the ledger is about.
    EntryKind {
        /// A service was rendered.
        Rendered = "rendered",
        /// A service was taken back.
        Cancelled = "cancelled",
        /// Services were paid, rendered ones or ordered ones.
        Paid = "paid",
        /// A patient paid in.
        PaidIn = "paid_in",
        /// A patient got money back.
        Refunded = "refunded",
        /// What is to go back to a card is set aside while the terminal is asked.
        SetAside = "set_aside",
        /// It did not go back: it is in the deposit again.
        Released = "released",
        /// A payment was taken back: the terminal or the bank did not keep it.
        Returned = "returned",
        /// What was owed was written off.
        WrittenOff = "written_off",
        /// A drawer was filled with change at the opening of a shift.
        Float = "float",
        /// A drawer was emptied at the closing of a shift.
        Collected = "collected",
        /// What was counted was not what should have been there.
        Difference = "difference",
        /// Two records of a patient became one.
        Merged = "merged",
    }
}

codes! {
    /// How far a charge has come.
    ChargeState {
        /// Ordered on prepaid terms: to be paid, then rendered.
        Ordered = "ordered",
        /// Rendered.
        Rendered = "rendered",
        /// Taken back. It never was.
        Cancelled = "cancelled",
    }
}

codes! {
    /// How money comes or goes.
    Method {
        /// Notes and coins.
        Cash = "cash",
        /// A card at a terminal.
        Card = "card",
        /// A transfer to the clinic's bank account, or a payment service.
        Transfer = "transfer",
        /// What the patient has paid in before.
        Deposit = "deposit",
    }
}

impl Method {
    /// The account that such money goes to or comes from.
    pub const fn ledger(self) -> Ledger {
        match self {
            Self::Cash => Ledger::Drawer,
            Self::Card => Ledger::Card,
            Self::Transfer => Ledger::Bank,
            Self::Deposit => Ledger::Deposit,
        }
    }
}
