//! The till: its currency and what may be done alone.

use clinic::till::Rules;
use domain::{Amount, Currency};
use toml::Spanned;

use super::Checker;
use crate::config::file::Till;

const HOUR_MS: i64 = 60 * 60 * 1000;
/// Longest override, in hours: a month. What is needed for longer is a matter of terms.
const OVERRIDE_H_MAX: u64 = 31 * 24;

impl Checker<'_> {
    pub(super) fn till(&mut self, given: &Till) -> Option<Rules> {
        let currency = match &given.currency {
            None => Currency::default(),
            Some(code) => match Currency::parse(code.get_ref()) {
                Some(currency) => currency,
                None => {
                    let problem =
                        format!("\"{}\" is no currency in use; write its ISO 4217 code, like UAH", code.get_ref());
                    self.fault(code, "till.currency", problem);
                    return None;
                }
            },
        };
        let usual = Rules::of(currency);
        let override_max = self.amount(given.override_max.as_ref(), "till.override_max", currency, usual.override_max);
        let refund_alone_max =
            self.amount(given.refund_alone_max.as_ref(), "till.refund_alone_max", currency, usual.refund_alone_max);
        let hours = u64::try_from(usual.override_longest_ms / HOUR_MS).unwrap_or(24);
        let hours = self.number(given.override_h.as_ref(), "till.override_h", 1..=OVERRIDE_H_MAX, hours);
        Some(Rules {
            override_max: override_max?,
            refund_alone_max: refund_alone_max?,
            override_longest_ms: i64::try_from(hours).unwrap_or(24).saturating_mul(HOUR_MS),
            ..usual
        })
    }

    /// An amount of a currency, as people write it; `usual` when nothing is written.
    fn amount(
        &mut self,
        value: Option<&Spanned<String>>,
        key: &str,
        currency: Currency,
        usual: Amount,
    ) -> Option<Amount> {
        let Some(value) = value else { return Some(usual) };
        match currency.read(value.get_ref()) {
            Ok(amount) if amount >= Amount::ZERO => return Some(amount),
            Ok(_) => self.fault(value, key, "this amount cannot be negative".to_owned()),
            Err(error) => self.fault(value, key, format!("{currency}: {error}")),
        }
        None
    }
}
