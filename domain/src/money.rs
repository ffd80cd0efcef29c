//! Money: whole minor units of a currency, with checked arithmetic. Nothing here rounds; where a rate must, it says how
//! ([`crate::till::discount`]). Never converts one currency into another.

use std::fmt;

use thiserror::Error;

/// Largest amount, in minor units, either way: 10^15. Sums of nine thousand of them still fit into 64 bits, and nothing
/// that a clinic charges comes near.
pub const AMOUNT_MAX: i64 = 1_000_000_000_000_000;

/// ISO 4217: currencies in use and the digits of their minor unit. Funds, metals and codes for tests are left out.
const CURRENCIES: &[(u8, &str)] = &[
    (0, "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"),
    (
        2,
        "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC \
         CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR \
         JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD \
         NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN \
         SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VES WST XCD XCG YER ZAR ZMW ZWG",
    ),
    (3, "BHD IQD JOD KWD LYD OMR TND"),
];

/// A currency by its ISO 4217 code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency {
    /// One of [`CURRENCIES`].
    code: &'static str,
    digits: u8,
}

impl Currency {
    /// Reads a code of three capital letters; `None` for one that is not in use.
    pub fn parse(code: &str) -> Option<Self> {
        let of = |(digits, codes): &(u8, &'static str)| {
            codes.split(' ').find(|known| *known == code).map(|code| Self { code, digits: *digits })
        };
        CURRENCIES.iter().find_map(of).filter(|_| !code.is_empty())
    }

    /// The code.
    pub const fn as_str(&self) -> &'static str {
        self.code
    }

    /// Digits after the decimal sign: 0, 2 or 3.
    pub const fn digits(self) -> u8 {
        self.digits
    }

    /// Minor units of one major unit: 1, 100 or 1000.
    pub const fn unit(self) -> i64 {
        10_i64.pow(self.digits as u32)
    }

    /// An amount as machines write it: `1018.00`, `-0.05`, `500` without a minor unit.
    pub fn decimal(self, amount: Amount) -> String {
        let (sign, minor) = (if amount.0 < 0 { "-" } else { "" }, amount.0.unsigned_abs());
        let unit = self.unit().unsigned_abs();
        match usize::from(self.digits) {
            0 => format!("{sign}{minor}"),
            width => format!("{sign}{}.{:0width$}", minor / unit, minor % unit),
        }
    }

    /// Reads what a person or another system wrote: a point or a comma before the minor units, spaces (also those that
    /// do not break) between groups of three digits, at most as many digits after the sign as the currency has.
    ///
    /// # Errors
    /// [`MoneyError::NotANumber`], [`MoneyError::TooFine`], [`MoneyError::TooLarge`].
    pub fn read(self, text: &str) -> Result<Amount, MoneyError> {
        let text = text.trim();
        let (negative, digits) = match text.strip_prefix(['-', '\u{2212}']) {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, part) = match digits.split_once(['.', ',']) {
            Some((whole, part)) => (whole, part),
            None => (digits, ""),
        };
        let has_sign = digits.len() > whole.len();
        let groups: Vec<&str> = whole.split([' ', '\u{a0}', '\u{202f}']).collect();
        let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let is_grouped = groups.len() == 1 || groups.iter().skip(1).all(|group| group.len() == 3);
        if !groups.iter().all(|group| is_digits(group)) || !is_grouped || (has_sign && !is_digits(part)) {
            return Err(MoneyError::NotANumber);
        }
        if part.len() > usize::from(self.digits) {
            return Err(MoneyError::TooFine(self.digits));
        }
        let all = format!("{}{part:0<width$}", groups.concat(), width = usize::from(self.digits));
        let all = all.trim_start_matches('0');
        if all.len() > 16 {
            return Err(MoneyError::TooLarge);
        }
        let minor: i64 = if all.is_empty() { 0 } else { all.parse().map_err(|_| MoneyError::TooLarge)? };
        Amount::new(if negative { -minor } else { minor }).ok_or(MoneyError::TooLarge)
    }
}

/// The euro, for who has not said which.
impl Default for Currency {
    fn default() -> Self {
        Self { code: "EUR", digits: 2 }
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An amount in minor units of a currency that stands elsewhere. At most [`AMOUNT_MAX`] either way; arithmetic that
/// would go beyond gives `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(i64);

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// An amount of minor units; `None` beyond [`AMOUNT_MAX`].
    pub const fn new(minor: i64) -> Option<Self> {
        if minor >= -AMOUNT_MAX && minor <= AMOUNT_MAX { Some(Self(minor)) } else { None }
    }

    /// Minor units.
    pub const fn minor(self) -> i64 {
        self.0
    }

    /// The sum.
    pub const fn plus(self, other: Self) -> Option<Self> {
        // Two amounts within the bound cannot overflow 64 bits.
        Self::new(self.0 + other.0)
    }

    /// The difference.
    pub const fn minus(self, other: Self) -> Option<Self> {
        Self::new(self.0 - other.0)
    }

    /// So many times.
    pub const fn times(self, count: i64) -> Option<Self> {
        match self.0.checked_mul(count) {
            Some(minor) => Self::new(minor),
            None => None,
        }
    }

    /// Whether there is something.
    pub const fn is_positive(self) -> bool {
        self.0 > 0
    }
}

/// Why a text is no amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum MoneyError {
    /// Not a number of money.
    #[error("this is not an amount; write it like 1018.00")]
    NotANumber,
    /// More digits after the decimal sign than the currency has.
    #[error("this currency has {0} digits after the decimal sign")]
    TooFine(u8),
    /// Beyond [`AMOUNT_MAX`].
    #[error("this amount is too large")]
    TooLarge,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn currency(code: &str) -> Currency {
        Currency::parse(code).unwrap()
    }

    #[test]
    fn only_currencies_in_use_are_known() {
        assert_eq!((currency("UAH").digits(), currency("JPY").digits(), currency("KWD").digits()), (2, 0, 3));
        assert_eq!(Currency::parse("EUR"), Some(Currency::default()));
        for unknown in ["", "uah", "UA", "UAHH", "ABC", "XXX", "A H", "ЕUR"] {
            assert_eq!(Currency::parse(unknown), None, "{unknown:?}");
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        for code in ["UAH", "JPY", "KWD"] {
            for minor in [0, 1, -1, 5, 99, 100, 101_800, -7, AMOUNT_MAX, -AMOUNT_MAX] {
                let amount = Amount::new(minor).unwrap();
                assert_eq!(currency(code).read(&currency(code).decimal(amount)), Ok(amount), "{code} {minor}");
            }
        }
    }

    #[test]
    fn people_write_amounts_in_several_ways() {
        let uah = currency("UAH");
        for (text, minor) in [("1 018,5", 101_850), ("1\u{a0}018.50", 101_850), (" 7 ", 700), ("0,05", 5), ("-3", -300)]
        {
            assert_eq!(uah.read(text).map(Amount::minor), Ok(minor), "{text:?}");
        }
        for text in ["", "-", ".", "1.", ",5", "1e3", "1 01", "1.2.3", "١", "+5", "1 0000", "0x1", "1 018 ,5"] {
            assert_eq!(uah.read(text), Err(MoneyError::NotANumber), "{text:?}");
        }
        assert_eq!(uah.read("1.005"), Err(MoneyError::TooFine(2)));
        assert_eq!(uah.read("99999999999999999999"), Err(MoneyError::TooLarge));
        assert_eq!(uah.read("10000000000000.01"), Err(MoneyError::TooLarge));
    }

    #[test]
    fn arithmetic_stops_at_the_bound() {
        let most = Amount::new(AMOUNT_MAX).unwrap();
        assert_eq!(most.plus(Amount::new(1).unwrap()), None);
        assert_eq!(most.times(i64::MAX), None);
        assert_eq!(most.minus(most), Some(Amount::ZERO));
        assert_eq!(Amount::new(i64::MIN), None);
    }
}
