//! Instants (data type TS of 2.5.1): from a year to a ten-thousandth of a second, with an offset or without one. Without
//! one they are local to a zone that the settings name for the peer.

use chrono::{FixedOffset, LocalResult, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeZone, Timelike};
use domain::UtcMillis;

/// How exactly an instant was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Precision {
    /// `2026`.
    Year,
    /// `202601`.
    Month,
    /// `20260105`.
    Day,
    /// `2026010509`.
    Hour,
    /// `202601050900`.
    Minute,
    /// `20260105090012`.
    Second,
    /// `20260105090012.345`.
    Fraction,
}

/// An instant as a message writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    local: NaiveDateTime,
    precision: Precision,
    offset: Option<FixedOffset>,
}

impl Stamp {
    /// Reads `YYYY[MM[DD[HH[MM[SS[.S…]]]]]][+ZZZZ]`.
    pub fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.len() > 40 || !text.is_ascii() {
            return None;
        }
        let (written, offset) = match text.find(['+', '-']) {
            Some(at) => (&text[..at], Some(read_offset(&text[at..])?)),
            None => (text, None),
        };
        let (digits, fraction) = match written.split_once('.') {
            Some((digits, fraction)) => (digits, Some(fraction)),
            None => (written, None),
        };
        let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if !all_digits(digits) || (fraction.is_some() && digits.len() != 14) {
            return None;
        }
        let part = |from: usize, to: usize| digits.get(from..to).map(|text| text.parse::<u32>().ok());
        let precision = match (digits.len(), fraction) {
            (4, None) => Precision::Year,
            (6, None) => Precision::Month,
            (8, None) => Precision::Day,
            (10, None) => Precision::Hour,
            (12, None) => Precision::Minute,
            (14, None) => Precision::Second,
            (14, Some(_)) => Precision::Fraction,
            _ => return None,
        };
        let or = |value: Option<Option<u32>>, least: u32| value.unwrap_or(Some(least));
        let year = i32::try_from(part(0, 4)??).ok()?;
        let day = NaiveDate::from_ymd_opt(year, or(part(4, 6), 1)?, or(part(6, 8), 1)?)?;
        let millis = match fraction {
            Some(digits) if !digits.is_empty() && digits.len() <= 9 && all_digits(digits) => {
                format!("{digits:0<3}").get(..3)?.parse::<u32>().ok()?
            }
            Some(_) => return None,
            None => 0,
        };
        let (hour, minute, second) = (or(part(8, 10), 0)?, or(part(10, 12), 0)?, or(part(12, 14), 0)?);
        // A leap second is the second before it: nobody keeps time of them.
        let time = NaiveTime::from_hms_milli_opt(hour, minute, second.min(59 + u32::from(second > 60) * 40), millis)?;
        Some(Self { local: day.and_time(time), precision, offset })
    }

    /// How exactly it was written.
    pub const fn precision(self) -> Precision {
        self.precision
    }

    /// Whether it says by itself which instant it is.
    pub const fn has_offset(self) -> bool {
        self.offset.is_some()
    }

    /// Its day, as written.
    pub const fn day(self) -> NaiveDate {
        self.local.date()
    }

    /// The instant; without an offset, in `zone`. An hour that comes twice is the first of both, one that a zone leaves
    /// out is taken as if it did not. `None` at the ends of the calendar.
    pub fn to_utc<Z: TimeZone>(self, zone: &Z) -> Option<UtcMillis> {
        let at = match self.offset {
            Some(offset) => offset.from_local_datetime(&self.local).single()?.timestamp_millis(),
            None => match zone.from_local_datetime(&self.local) {
                LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => at.timestamp_millis(),
                LocalResult::None => {
                    let before = self.local.checked_sub_signed(chrono::TimeDelta::hours(3))?;
                    let offset = zone.offset_from_local_datetime(&before).earliest()?.fix();
                    offset.from_local_datetime(&self.local).single()?.timestamp_millis()
                }
            },
        };
        Some(UtcMillis(at))
    }

    /// Writes an instant in a zone, with milliseconds and the zone's offset: `20260105090012.345+0300`.
    pub fn write<Z: TimeZone>(at: UtcMillis, zone: &Z) -> String {
        let Some(at) = at.to_chrono() else { return String::new() };
        let at = at.with_timezone(zone).fixed_offset();
        let seconds = at.offset().local_minus_utc();
        let sign = if seconds < 0 { '-' } else { '+' };
        let minutes = seconds.unsigned_abs() / 60;
        let millis = at.nanosecond() / 1_000_000 % 1000;
        format!("{}.{millis:03}{sign}{:02}{:02}", at.format("%Y%m%d%H%M%S"), minutes / 60, minutes % 60)
    }
}

fn read_offset(text: &str) -> Option<FixedOffset> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'+' => (1, &text[1..]),
        b'-' => (-1, &text[1..]),
        _ => return None,
    };
    if digits.len() != 4 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes): (i32, i32) = (digits[..2].parse().ok()?, digits[2..].parse().ok()?);
    (hours <= 14 && minutes < 60).then(|| FixedOffset::east_opt(sign * (hours * 3600 + minutes * 60)))?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utc(text: &str) -> Option<String> {
        let zone = FixedOffset::east_opt(7200).unwrap();
        Stamp::read(text).and_then(|stamp| stamp.to_utc(&zone)).map(UtcMillis::to_rfc3339)
    }

    #[test]
    fn instants_are_read_in_each_precision_with_and_without_an_offset() {
        for (text, want) in [
            ("20260105090012.345+0300", "2026-01-05T06:00:12.345Z"),
            ("20260105090012.3-0530", "2026-01-05T14:30:12.300Z"),
            ("20260105090012.34567", "2026-01-05T07:00:12.345Z"),
            ("20260105090012", "2026-01-05T07:00:12.000Z"),
            ("202601050900+0000", "2026-01-05T09:00:00.000Z"),
            ("20260105", "2026-01-04T22:00:00.000Z"),
            ("2026", "2025-12-31T22:00:00.000Z"),
            ("20261231235960+0000", "2026-12-31T23:59:59.000Z"),
        ] {
            assert_eq!(utc(text).as_deref(), Some(want), "{text}");
        }
        for bad in [
            "",
            "26",
            "20261301",
            "20260230",
            "2026010524",
            "20260105090061",
            "20260105090012.",
            "2026-01-05",
            "20260105090012+3",
            "20260105090012+9900",
            "2026010509001",
            "двенадцать",
            "20260105.5",
        ] {
            assert_eq!(utc(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_instant_is_written_with_its_offset_and_reads_back() {
        let at = UtcMillis::from_rfc3339("2026-01-05T06:00:12.345Z").unwrap();
        let moscow = FixedOffset::east_opt(10_800).unwrap();
        let west = FixedOffset::west_opt(12_600).unwrap();
        assert_eq!(Stamp::write(at, &moscow), "20260105090012.345+0300");
        assert_eq!(Stamp::write(at, &west), "20260105023012.345-0330");
        assert_eq!(Stamp::read(&Stamp::write(at, &west)).unwrap().to_utc(&moscow), Some(at));
    }
}
