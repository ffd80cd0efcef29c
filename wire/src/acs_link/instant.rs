//! Wall times on the link: `xs:dateTime` with a mandatory offset and at most six fraction digits. Owns the calendar
//! arithmetic for it; reads no clock. May import `domain`'s time.

use std::fmt;
use std::str::FromStr;

use domain::UtcMillis;

use super::token::Misfit;

const MICROS_A_DAY: i64 = 86_400_000_000;
const MICROS_A_MINUTE: i64 = 60_000_000;
/// Largest offset from UTC, in minutes (XML Schema 1.0, 3.2.7.3).
const OFFSET_MAX_MIN: i16 = 14 * 60;
/// 0001-01-01T00:00:00 and 10000-01-01T00:00:00 as microseconds since 1970: written years have four digits and there is
/// no year 0. The latter can be written once, as the end of the day before.
const FIRST: i64 = days_from_civil(1, 1, 1) * MICROS_A_DAY;
const LAST: i64 = days_from_civil(10_000, 1, 1) * MICROS_A_DAY;

const WRONG: Misfit = Misfit("an instant such as 2026-11-21T09:15:30.412+03:00");

/// A wall time in microseconds, and the offset with which it was or will be written. Compare times by
/// [`Instant::micros`]; `==` also compares the offset.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Instant {
    micros: i64,
    offset_min: i16,
}

impl Instant {
    /// `micros` since 1970-01-01T00:00:00Z, to be written with an offset of `offset_min` minutes (east is positive).
    pub const fn new(micros: i64, offset_min: i16) -> Result<Self, Misfit> {
        if offset_min > OFFSET_MAX_MIN || offset_min < -OFFSET_MAX_MIN {
            return Err(WRONG);
        }
        match micros.checked_add(offset_min as i64 * MICROS_A_MINUTE) {
            Some(FIRST..=LAST) => Ok(Self { micros, offset_min }),
            _ => Err(WRONG),
        }
    }

    /// A wall time in UTC; one outside the years 1 to 9999 becomes the nearest that can be written.
    pub fn from_utc(at: UtcMillis) -> Self {
        Self { micros: at.0.saturating_mul(1000).clamp(FIRST, LAST), offset_min: 0 }
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    pub const fn micros(self) -> i64 {
        self.micros
    }

    /// The offset as written, in minutes east of UTC.
    pub const fn offset_min(self) -> i16 {
        self.offset_min
    }

    /// In whole milliseconds, rounded down.
    pub const fn to_utc(self) -> UtcMillis {
        UtcMillis(self.micros.div_euclid(1000))
    }

    /// Reads `yyyy-mm-ddThh:mm:ss[.ffffff](Z|±hh:mm)`. Refuses what `xs:dateTime` refuses: days that a month does not
    /// have, the year 0, second 60, an offset beyond 14 hours. `24:00:00` is the beginning of the next day.
    pub fn parse(text: &str) -> Result<Self, Misfit> {
        Self::read(text.as_bytes()).ok_or(WRONG)
    }

    fn read(text: &[u8]) -> Option<Self> {
        let (fixed, rest) = text.split_first_chunk::<19>()?;
        if fixed[4] != b'-' || fixed[7] != b'-' || fixed[10] != b'T' || fixed[13] != b':' || fixed[16] != b':' {
            return None;
        }
        let two = |at: usize| digits(&fixed[at..at + 2]);
        let (year, month, day) = (digits(&fixed[..4])?, two(5)?, two(8)?);
        let (hour, minute, second) = (two(11)?, two(14)?, two(17)?);
        let (fraction, rest) = fraction(rest)?;
        let offset_min = offset(rest)?;
        let end_of_day = hour == 24 && minute == 0 && second == 0 && fraction == 0;
        let time_fits = (hour <= 23 && minute <= 59 && second <= 59) || end_of_day;
        if year == 0 || !(1..=12).contains(&month) || day == 0 || day > days_in(year, month) || !time_fits {
            return None;
        }
        let seconds = hour * 3600 + minute * 60 + second;
        let local = days_from_civil(year, month, day) * MICROS_A_DAY + seconds * 1_000_000 + fraction;
        Some(Self { micros: local - i64::from(offset_min) * MICROS_A_MINUTE, offset_min })
    }

    /// Adds the written form to `out`; as many fraction digits as are needed, in threes.
    pub(super) fn write(self, out: &mut Vec<u8>) {
        let local = self.micros + i64::from(self.offset_min) * MICROS_A_MINUTE;
        let (days, within) = (local.div_euclid(MICROS_A_DAY), local.rem_euclid(MICROS_A_DAY));
        let (year, month, day) = civil_from_days(days);
        if year > 9999 {
            out.extend_from_slice(b"9999-12-31T24:00:00");
        } else {
            padded(out, year, 4);
            for (mark, value) in [(b'-', month), (b'-', day)] {
                out.push(mark);
                padded(out, value, 2);
            }
            let seconds = within / 1_000_000;
            for (mark, value) in [(b'T', seconds / 3600), (b':', seconds / 60 % 60), (b':', seconds % 60)] {
                out.push(mark);
                padded(out, value, 2);
            }
        }
        match within % 1_000_000 {
            0 => {}
            fraction if fraction % 1000 == 0 => {
                out.push(b'.');
                padded(out, fraction / 1000, 3);
            }
            fraction => {
                out.push(b'.');
                padded(out, fraction, 6);
            }
        }
        if self.offset_min == 0 {
            out.push(b'Z');
        } else {
            out.push(if self.offset_min < 0 { b'-' } else { b'+' });
            let minutes = i64::from(self.offset_min.unsigned_abs());
            padded(out, minutes / 60, 2);
            out.push(b':');
            padded(out, minutes % 60, 2);
        }
    }
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::with_capacity(32);
        self.write(&mut text);
        f.write_str(str::from_utf8(&text).unwrap_or_default())
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Instant {
    type Err = Misfit;

    fn from_str(text: &str) -> Result<Self, Misfit> {
        Self::parse(text)
    }
}

fn digits(text: &[u8]) -> Option<i64> {
    text.iter().try_fold(0, |value, byte| byte.is_ascii_digit().then(|| value * 10 + i64::from(byte - b'0')))
}

/// One to six digits behind a point, as microseconds; and what follows them.
fn fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let [b'.', rest @ ..] = text else { return Some((0, text)) };
    let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (written, rest) = rest.split_at(count);
    let missing = 6_u32.checked_sub(u32::try_from(count).ok()?)?;
    (count > 0).then_some((digits(written)? * 10_i64.pow(missing), rest))
}

/// The offset in minutes.
fn offset(text: &[u8]) -> Option<i16> {
    let [sign @ (b'+' | b'-'), h0, h1, b':', m0, m1] = text else { return (text == b"Z").then_some(0) };
    let (hours, minutes) = (digits(&[*h0, *h1])?, digits(&[*m0, *m1])?);
    let whole = i16::try_from(hours * 60 + minutes).ok()?;
    (minutes <= 59 && whole <= OFFSET_MAX_MIN).then_some(if *sign == b'-' { -whole } else { whole })
}

fn padded(out: &mut Vec<u8>, value: i64, width: u32) {
    for place in (0..width).rev() {
        out.push(b'0' + (value / 10_i64.pow(place) % 10) as u8);
    }
}

const fn days_in(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days since 1970-01-01 in the Gregorian calendar (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms").
const fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The opposite of [`days_from_civil`], from the same source.
const fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let years = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * years + years / 4 - years / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (years + era * 400 + if month <= 2 { 1 } else { 0 }, month, day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn instants_keep_their_offset_and_compare_in_utc() {
        let at = Instant::parse("2026-11-21T09:15:30.412+03:00").unwrap();
        assert_eq!((at.to_utc().to_rfc3339(), at.offset_min()), ("2026-11-21T06:15:30.412Z".to_owned(), 180));
        assert_eq!(at.to_string(), "2026-11-21T09:15:30.412+03:00");
        assert_eq!(Instant::parse("2026-11-21T06:15:30.4120Z").unwrap().micros(), at.micros());
        assert_eq!(
            Instant::parse("2026-11-21T09:15:30.000001-00:30").unwrap().to_string(),
            "2026-11-21T09:15:30.000001-00:30"
        );
        assert_eq!(Instant::from_utc(UtcMillis(-1)).to_string(), "1969-12-31T23:59:59.999Z");
    }

    #[test]
    fn what_xs_date_time_refuses_is_refused() {
        for wrong in [
            "",
            "2026-11-21T09:15:30",
            "2026-11-21T09:15:30z",
            "2026-11-21 09:15:30Z",
            "2026-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-04-31T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "0000-01-01T00:00:00Z",
            "2026-01-01T24:00:01Z",
            "2026-01-01T24:00:00.1Z",
            "2026-01-01T25:00:00Z",
            "2026-01-01T00:60:00Z",
            "2026-01-01T00:00:60Z",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00.1234567Z",
            "2026-01-01T00:00:00+14:01",
            "2026-01-01T00:00:00+15:00",
            "2026-01-01T00:00:00+03:60",
            "2026-01-01T00:00:00+0300",
            "2026-01-01T00:00:00+03:00 ",
            "12026-01-01T00:00:00Z",
            "-2026-01-01T00:00:00Z",
        ] {
            assert!(Instant::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_ends_of_the_range_can_be_written() {
        for text in [
            "0001-01-01T00:00:00+14:00",
            "0001-01-01T00:00:00-14:00",
            "9999-12-31T23:59:59.999999-14:00",
            "9999-12-31T24:00:00Z",
            "2024-02-29T23:59:59.5Z",
            "2000-02-29T00:00:00-05:30",
        ] {
            let at = Instant::parse(text).unwrap();
            assert_eq!(Instant::parse(&at.to_string()), Ok(at), "{text}");
        }
        assert_eq!(Instant::parse("2026-12-31T24:00:00Z").unwrap().to_string(), "2027-01-01T00:00:00Z");
        for far in [i64::MIN, i64::MAX] {
            let at = Instant::from_utc(UtcMillis(far));
            assert_eq!(Instant::parse(&at.to_string()), Ok(at));
        }
        assert!(Instant::new(LAST, 1).is_err() && Instant::new(LAST, -1).is_ok() && Instant::new(0, 841).is_err());
    }

    proptest! {
        #[test]
        fn every_instant_round_trips(micros in FIRST..=LAST, offset in -840_i16..=840) {
            let Ok(at) = Instant::new(micros, offset) else { return Ok(()) };
            prop_assert_eq!(Instant::parse(&at.to_string()), Ok(at));
            let days = micros.div_euclid(MICROS_A_DAY);
            let (year, month, day) = civil_from_days(days);
            prop_assert_eq!(days_from_civil(year, month, day), days);
        }

        #[test]
        fn calendar_agrees_with_chrono(ms in -62_135_596_800_000_i64..253_402_300_799_000) {
            prop_assert_eq!(Instant::parse(&UtcMillis(ms).to_rfc3339()).unwrap().to_utc(), UtcMillis(ms));
        }

        #[test]
        fn no_text_panics(text in "[0-9TZ:.+-]{0,40}") {
            let _ = Instant::parse(&text);
        }
    }
}
