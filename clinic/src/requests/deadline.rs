//! By when the law wants an answer. Pure: dates in, a date out.

use std::collections::BTreeSet;

use chrono::{Datelike, Days, Months, NaiveDate, NaiveTime, TimeZone, Weekday};
use chrono_tz::Tz;
use domain::{UtcMillis, codes};

codes! {
    /// Under which law somebody asks.
    Law {
        /// Regulation (EU) 2016/679, article 12(3): one month, two more where it is complex.
        Gdpr = "gdpr",
        /// Russia, 152-FZ article 20: ten working days, five more with reasons.
        Ru152 = "ru_152_fz",
        /// Ukraine, law 2297-VI: thirty days.
        Ua2297 = "ua_2297",
    }
}

impl Law {
    /// The last day for an answer to what was received on `received`; `holidays` are days off beside weekends.
    pub fn due(self, received: NaiveDate, holidays: &BTreeSet<NaiveDate>) -> NaiveDate {
        match self {
            Self::Gdpr => received.checked_add_months(Months::new(1)).unwrap_or(received),
            Self::Ru152 => working_days(received, 10, holidays),
            Self::Ua2297 => received.checked_add_days(Days::new(30)).unwrap_or(received),
        }
    }

    /// The last day when the answer is put off once; the same day where the law knows no delay.
    pub fn extended(self, due: NaiveDate, holidays: &BTreeSet<NaiveDate>) -> NaiveDate {
        match self {
            Self::Gdpr => due.checked_add_months(Months::new(2)).unwrap_or(due),
            Self::Ru152 => working_days(due, 5, holidays),
            Self::Ua2297 => due,
        }
    }

    /// Within how many hours a breach must first be told to the authority.
    pub const fn breach_hours(self) -> i64 {
        match self {
            Self::Gdpr => 72,
            Self::Ru152 => 24,
            // The law sets no hours; the shorter of its neighbours' is safe.
            Self::Ua2297 => 72,
        }
    }
}

fn working_days(from: NaiveDate, count: u32, holidays: &BTreeSet<NaiveDate>) -> NaiveDate {
    let (mut day, mut left) = (from, count);
    while left > 0 {
        let Some(next) = day.succ_opt() else { return day };
        day = next;
        let is_off = matches!(day.weekday(), Weekday::Sat | Weekday::Sun) || holidays.contains(&day);
        if !is_off {
            left -= 1;
        }
    }
    day
}

/// The clinic's date at an instant.
pub(crate) fn local_date(at: UtcMillis, zone: Tz) -> NaiveDate {
    at.to_chrono().unwrap_or_default().with_timezone(&zone).date_naive()
}

/// The instant at which a day of the clinic is over.
pub(crate) fn end_of(day: NaiveDate, zone: Tz) -> UtcMillis {
    let next = day.succ_opt().unwrap_or(day).and_time(NaiveTime::MIN);
    let end = zone.from_local_datetime(&next).earliest().unwrap_or_else(|| zone.from_utc_datetime(&next));
    UtcMillis(end.timestamp_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn a_month_ends_with_the_month_that_has_no_such_day() {
        let none = BTreeSet::new();
        assert_eq!(Law::Gdpr.due(day("2027-01-31"), &none), day("2027-02-28"));
        assert_eq!(Law::Gdpr.due(day("2026-11-22"), &none), day("2026-12-22"));
        assert_eq!(Law::Gdpr.extended(day("2026-12-22"), &none), day("2027-02-22"));
        assert_eq!(Law::Ua2297.due(day("2026-11-22"), &none), day("2026-12-22"));
    }

    #[test]
    fn working_days_leave_weekends_and_holidays_out() {
        // Friday; ten working days later is the Friday after the next.
        assert_eq!(Law::Ru152.due(day("2026-11-20"), &BTreeSet::new()), day("2026-12-04"));
        let holidays = BTreeSet::from([day("2026-11-23"), day("2026-11-28")]);
        assert_eq!(Law::Ru152.due(day("2026-11-20"), &holidays), day("2026-12-07"), "a holiday on a Saturday is none");
        assert_eq!(Law::Ru152.extended(day("2026-12-04"), &BTreeSet::new()), day("2026-12-11"));
    }

    #[test]
    fn a_day_is_over_at_the_clinics_midnight() {
        let end = end_of(day("2026-12-22"), chrono_tz::Europe::Kyiv);
        assert_eq!(end.to_rfc3339(), "2026-12-22T22:00:00.000Z");
        assert_eq!(local_date(end, chrono_tz::Europe::Kyiv), day("2026-12-23"));
        assert_eq!(local_date(end.plus_ms(-1), chrono_tz::Europe::Kyiv), day("2026-12-22"));
    }
}
