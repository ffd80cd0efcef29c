//! Whether a service may be registered now, and what it then costs: the one place where limits are held.

use thiserror::Error;

use super::discount::{Discount, Scheme};
use super::terms::{Mode, Terms};
use crate::money::{Amount, Currency};

/// Most pieces of one charge.
pub const QUANTITY_MAX: u32 = 10_000;

/// What a patient's account holds, in one currency.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Account {
    /// Owed for what was rendered on postpaid terms.
    pub owed: Amount,
    /// Paid in and not used.
    pub deposit: Amount,
    /// Paid for what is ordered and not rendered.
    pub held: Amount,
    /// The net sum of everything rendered and not taken back: what the scale of discounts goes by.
    pub rendered: Amount,
}

/// What bounds a postpaid charge: limits as they are now, with what supervisors have allowed on top.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bounds {
    /// The most that the patient may owe.
    pub limit: Option<Amount>,
    /// The most that all members of the pot may owe, and what they owe now.
    pub pot: Option<(Amount, Amount)>,
}

/// A service that is to be registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// The price of one piece as of now; `None`: the service has no price in this currency, or is not given any more.
    pub unit: Option<Amount>,
    /// Its currency.
    pub currency: Currency,
    /// How many.
    pub quantity: u32,
    /// At the patient's home: paid before, whatever the terms.
    pub at_home: bool,
    /// What to pay, as it was shown to whoever registers; `None`: nothing was shown.
    pub shown: Option<Amount>,
}

/// What a charge costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Priced {
    /// Price times pieces.
    pub gross: Amount,
    /// The discount and why.
    pub discount: Discount,
    /// What is to be paid.
    pub net: Amount,
}

/// What is registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Registered {
    /// What it costs.
    pub price: Priced,
    /// How it is paid: that of the terms, or prepaid for a service at home.
    pub mode: Mode,
    /// Whether it is rendered now (postpaid, deposit, and what costs nothing) or only ordered (prepaid).
    pub rendered: bool,
    /// The account after it.
    pub account: Account,
    /// What the pot's members owe after it.
    pub pot_used: Option<Amount>,
}

/// Why nothing is registered. Amounts are in the currency of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refusal {
    /// No terms count for this patient today.
    #[error("there are no terms of payment for this patient")]
    NoTerms,
    /// The terms are in another currency.
    #[error("the terms of this patient are in another currency")]
    OtherCurrency,
    /// No price.
    #[error("this service has no price")]
    NoPrice,
    /// Not 1 to [`QUANTITY_MAX`] pieces.
    #[error("the number of pieces is 1 to 10000")]
    Quantity,
    /// The sum is beyond what money can be.
    #[error("the amount is too large")]
    TooLarge,
    /// The price or the discount changed since it was shown.
    #[error("the price has changed")]
    PriceChanged {
        /// To pay, as it was shown.
        shown: Amount,
        /// To pay now.
        now: Amount,
    },
    /// It would pass the patient's limit.
    #[error("this would pass the limit of the patient")]
    PatientLimit {
        /// The limit.
        limit: Amount,
        /// What is left of it; never below zero.
        left: Amount,
        /// How much is missing: what must be paid first.
        missing: Amount,
    },
    /// It would pass the limit of the pot.
    #[error("this would pass the limit of the group")]
    PotLimit {
        /// The limit.
        limit: Amount,
        /// What is left of it; never below zero.
        left: Amount,
        /// How much is missing.
        missing: Amount,
    },
    /// What was paid in does not suffice.
    #[error("the deposit does not suffice")]
    Deposit {
        /// What is left of the deposit.
        left: Amount,
        /// How much is missing.
        missing: Amount,
    },
    /// The order is not paid in full yet.
    #[error("this must be paid before it is rendered")]
    NotPaid {
        /// How much is missing.
        missing: Amount,
    },
}

impl Refusal {
    /// A stable code, the key of its translation.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoTerms => "no_terms",
            Self::OtherCurrency => "other_currency",
            Self::NoPrice => "no_price",
            Self::Quantity => "quantity",
            Self::TooLarge => "too_large",
            Self::PriceChanged { .. } => "price_changed",
            Self::PatientLimit { .. } => "patient_limit",
            Self::PotLimit { .. } => "pot_limit",
            Self::Deposit { .. } => "deposit",
            Self::NotPaid { .. } => "not_paid",
        }
    }

    /// All codes, for completeness of translations.
    pub const CODES: &'static [&'static str] = &[
        "no_terms",
        "other_currency",
        "no_price",
        "quantity",
        "too_large",
        "price_changed",
        "patient_limit",
        "pot_limit",
        "deposit",
        "not_paid",
    ];
}

/// What a service costs a patient of this account now.
///
/// # Errors
/// [`Refusal::NoPrice`], [`Refusal::Quantity`], [`Refusal::TooLarge`].
pub fn price(wanted: &Wanted, scheme: Option<&Scheme>, account: &Account) -> Result<Priced, Refusal> {
    let unit = wanted.unit.filter(|unit| unit.minor() >= 0).ok_or(Refusal::NoPrice)?;
    if wanted.quantity == 0 || wanted.quantity > QUANTITY_MAX {
        return Err(Refusal::Quantity);
    }
    let gross = unit.times(i64::from(wanted.quantity)).ok_or(Refusal::TooLarge)?;
    let none = Discount { rate: 0, amount: Amount::ZERO, next: None };
    let discount = scheme.map_or(none, |scheme| scheme.discount(account.rendered, gross));
    let net = gross.minus(discount.amount).ok_or(Refusal::TooLarge)?;
    Ok(Priced { gross, discount, net })
}

/// Decides whether a service is registered.
///
/// # Errors
/// Why not. Nothing has changed then.
pub fn register(
    wanted: &Wanted,
    terms: Option<&Terms>,
    scheme: Option<&Scheme>,
    account: &Account,
    bounds: &Bounds,
) -> Result<Registered, Refusal> {
    let terms = terms.ok_or(Refusal::NoTerms)?;
    if terms.currency != wanted.currency {
        return Err(Refusal::OtherCurrency);
    }
    let price = price(wanted, scheme, account)?;
    if let Some(shown) = wanted.shown.filter(|shown| *shown != price.net) {
        return Err(Refusal::PriceChanged { shown, now: price.net });
    }
    let mode = if wanted.at_home { Mode::Prepaid } else { terms.mode };
    let mut after = *account;
    let mut pot_used = None;
    let rendered = match mode {
        // What costs nothing needs no payment.
        Mode::Prepaid => price.net == Amount::ZERO,
        Mode::Deposit => {
            after.deposit =
                left_of(account.deposit, price.net).map_err(|(left, missing)| Refusal::Deposit { left, missing })?;
            true
        }
        Mode::Postpaid => {
            if let Some(limit) = bounds.limit {
                within(limit, account.owed, price.net).map_err(|(left, missing)| Refusal::PatientLimit {
                    limit,
                    left,
                    missing,
                })?;
            }
            if let Some((limit, used)) = bounds.pot {
                let used = within(limit, used, price.net).map_err(|(left, missing)| Refusal::PotLimit {
                    limit,
                    left,
                    missing,
                })?;
                pot_used = Some(used);
            }
            if bounds.limit.is_none() && bounds.pot.is_none() {
                // Postpaid without a limit does not exist; if a row says so, nothing is given on it.
                return Err(Refusal::NoTerms);
            }
            after.owed = account.owed.plus(price.net).ok_or(Refusal::TooLarge)?;
            true
        }
    };
    if rendered {
        after.rendered = account.rendered.plus(price.net).ok_or(Refusal::TooLarge)?;
    }
    Ok(Registered { price, mode, rendered, account: after, pot_used })
}

/// The account after an order that was paid in full is rendered.
///
/// # Errors
/// [`Refusal::NotPaid`].
pub fn render(net: Amount, paid: Amount, account: &Account) -> Result<Account, Refusal> {
    if paid < net {
        return Err(Refusal::NotPaid { missing: net.minus(paid).unwrap_or(net) });
    }
    let held = account.held.minus(net).ok_or(Refusal::TooLarge)?;
    let rendered = account.rendered.plus(net).ok_or(Refusal::TooLarge)?;
    Ok(Account { held, rendered, ..*account })
}

/// `have - need`, or what is left and what is missing.
fn left_of(have: Amount, need: Amount) -> Result<Amount, (Amount, Amount)> {
    let rest = have.minus(need).unwrap_or(Amount::ZERO);
    if have >= need {
        return Ok(rest);
    }
    Err((floor(have), need.minus(have).unwrap_or(need)))
}

/// `used + more` if that is within the limit, or what is left and what is missing.
fn within(limit: Amount, used: Amount, more: Amount) -> Result<Amount, (Amount, Amount)> {
    let left = limit.minus(used).unwrap_or(Amount::ZERO);
    match used.plus(more) {
        Some(sum) if sum <= limit => Ok(sum),
        // What costs nothing passes no limit, even one that was lowered below what is owed.
        Some(sum) if more == Amount::ZERO => Ok(sum),
        _ => Err((floor(left), more.minus(left).unwrap_or(more))),
    }
}

fn floor(amount: Amount) -> Amount {
    amount.max(Amount::ZERO)
}
