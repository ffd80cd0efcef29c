//! Postings: what a fact of money writes into the ledger. Each moves one amount from a credit account to a debit account,
//! so that whatever is written sums to zero. Nothing is ever taken out; what was wrong is posted the other way round.

use thiserror::Error;

use super::terms::Mode;
use super::{Ledger, Method};
use crate::money::Amount;

/// One amount, debited to one account and credited to another. Always positive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Posting {
    /// Debited.
    pub debit: Ledger,
    /// Credited.
    pub credit: Ledger,
    /// How much.
    pub amount: Amount,
}

/// Why there are no postings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PostingError {
    /// More is to be taken back or written off than is there.
    #[error("there is not so much")]
    TooMuch,
}

/// Leaves out what is nothing.
fn list(all: impl IntoIterator<Item = (Ledger, Ledger, Amount)>) -> Vec<Posting> {
    all.into_iter()
        .filter(|(.., amount)| amount.is_positive())
        .map(|(debit, credit, amount)| Posting { debit, credit, amount })
        .collect()
}

/// The account that a charge of this mode is paid from when it is rendered.
const fn source(mode: Mode) -> Ledger {
    match mode {
        Mode::Prepaid => Ledger::Held,
        Mode::Deposit => Ledger::Deposit,
        Mode::Postpaid => Ledger::Owed,
    }
}

/// A service is rendered: what is to be paid, and the discount, make the price.
pub fn rendered(mode: Mode, net: Amount, discount: Amount) -> Vec<Posting> {
    list([(source(mode), Ledger::Revenue, net), (Ledger::Discount, Ledger::Revenue, discount)])
}

/// A charge is taken back. What was paid for it becomes the patient's deposit, from which it can be given back.
///
/// # Errors
/// [`PostingError::TooMuch`] when more was paid and written off than the charge is.
pub fn cancelled(
    is_rendered: bool,
    net: Amount,
    discount: Amount,
    paid: Amount,
    written_off: Amount,
) -> Result<Vec<Posting>, PostingError> {
    if !is_rendered {
        return Ok(list([(Ledger::Held, Ledger::Deposit, paid)]));
    }
    // What an order and a deposit pay is paid in full when it is rendered. But a payment that did not hold opens it again,
    // and then the rest is owed as on postpaid terms.
    let open = net.minus(paid).and_then(|rest| rest.minus(written_off)).ok_or(PostingError::TooMuch)?;
    if open.minor() < 0 {
        return Err(PostingError::TooMuch);
    }
    let back = list([
        (Ledger::Revenue, Ledger::Owed, open),
        (Ledger::Revenue, Ledger::Deposit, paid),
        (Ledger::Revenue, Ledger::WriteOff, written_off),
    ]);
    Ok([back, list([(Ledger::Revenue, Ledger::Discount, discount)])].concat())
}

/// A charge is paid: an order's money is held until it is rendered, the rest settles what is owed.
pub fn paid(method: Method, is_rendered: bool, amount: Amount) -> Vec<Posting> {
    let target = if is_rendered { Ledger::Owed } else { Ledger::Held };
    list([(method.ledger(), target, amount)])
}

/// A patient pays in. Not by [`Method::Deposit`], which would move nothing: that gives no posting.
pub fn paid_in(method: Method, amount: Amount) -> Vec<Posting> {
    if method == Method::Deposit { Vec::new() } else { list([(method.ledger(), Ledger::Deposit, amount)]) }
}

/// A patient gets money back from the deposit.
pub fn refunded(method: Method, amount: Amount) -> Vec<Posting> {
    if method == Method::Deposit { Vec::new() } else { list([(Ledger::Deposit, method.ledger(), amount)]) }
}

/// What is to go back to a card leaves the deposit before the terminal is asked, so that nothing else uses it.
pub fn set_aside(amount: Amount) -> Vec<Posting> {
    list([(Ledger::Deposit, Ledger::Held, amount)])
}

/// What was set aside has gone back to the card.
pub fn sent_back(method: Method, amount: Amount) -> Vec<Posting> {
    if method == Method::Deposit { Vec::new() } else { list([(Ledger::Held, method.ledger(), amount)]) }
}

/// What is owed is written off.
pub fn written_off(amount: Amount) -> Vec<Posting> {
    list([(Ledger::WriteOff, Ledger::Owed, amount)])
}

/// A drawer is filled with change.
pub fn float(amount: Amount) -> Vec<Posting> {
    list([(Ledger::Drawer, Ledger::Safe, amount)])
}

/// A drawer is closed with `expected` in it by the ledger and `counted` by hand: what was counted goes to the safe, what is
/// too much or missing to the differences. Negative amounts count as nothing.
pub fn closed(expected: Amount, counted: Amount) -> Vec<Posting> {
    let over = counted.minus(expected).unwrap_or(Amount::ZERO);
    let short = expected.minus(counted).unwrap_or(Amount::ZERO);
    list([
        (Ledger::Drawer, Ledger::Difference, over),
        (Ledger::Difference, Ledger::Drawer, short),
        (Ledger::Safe, Ledger::Drawer, counted),
    ])
}

/// The same the other way round.
pub fn reversed(postings: &[Posting]) -> Vec<Posting> {
    postings
        .iter()
        .map(|posting| Posting { debit: posting.credit, credit: posting.debit, amount: posting.amount })
        .collect()
}
