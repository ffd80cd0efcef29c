//! Instants as people read and type them: in the clinic's zone, whatever zone the browser is in.

use chrono::{DateTime, Datelike, NaiveDateTime, TimeDelta, TimeZone, Timelike};
use chrono_tz::Tz;
use domain::UtcMillis;

use crate::language::Texts;

/// Writes and reads instants for one zone and language.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    zone: Tz,
    texts: Texts,
}

impl Times {
    /// For pages in this zone and language.
    pub fn new(zone: Tz, texts: Texts) -> Self {
        Self { zone, texts }
    }

    /// The zone's name, for example `Europe/Kyiv`.
    pub fn zone_name(&self) -> &'static str {
        self.zone.name()
    }

    /// `09:41:07`
    pub fn clock(&self, at: UtcMillis) -> String {
        self.local(at, |at| format!("{:02}:{:02}:{:02}", at.hour(), at.minute(), at.second()))
    }

    /// `Tue 24 Nov`
    pub fn day(&self, at: UtcMillis) -> String {
        self.local(at, |at| {
            let weekday = self.texts.code("weekday-", &at.weekday().num_days_from_monday().to_string());
            let month = self.texts.code("month-", &at.month().to_string());
            format!("{weekday} {} {month}", at.day())
        })
    }

    /// Year, month and day in the clinic's zone; all 0 for an instant beyond every calendar.
    pub fn date(&self, at: UtcMillis) -> (i32, u32, u32) {
        at.to_chrono().map_or((0, 0, 0), |utc| {
            let local = utc.with_timezone(&self.zone);
            (local.year(), local.month(), local.day())
        })
    }

    /// When the day of an instant began in the clinic's zone, and when the next one begins.
    pub fn day_around(&self, at: UtcMillis) -> (UtcMillis, UtcMillis) {
        let (year, month, day) = self.date(at);
        let begin = |days: i64| {
            let date = chrono::NaiveDate::from_ymd_opt(year, month, day)?.checked_add_signed(TimeDelta::days(days))?;
            self.read_field(&date.format("%Y-%m-%dT00:00").to_string())
        };
        match (begin(0), begin(1)) {
            (Some(from), Some(until)) => (from, until),
            _ => (at, at.plus_ms(24 * 60 * 60 * 1000)),
        }
    }

    /// `Tue 24 Nov 09:41:07`
    pub fn full(&self, at: UtcMillis) -> String {
        format!("{} {}", self.day(at), self.clock(at))
    }

    /// `2026-11-24 09:41:07.412 +02:00`, exact and sortable.
    pub fn exact(&self, at: UtcMillis) -> String {
        self.local(at, |at| at.format("%Y-%m-%d %H:%M:%S%.3f %:z").to_string())
    }

    /// Reads a `datetime-local` field in the clinic's zone. A time that happens twice (clocks set back) is the
    /// earlier one; one that never happens (set forward) is the same number of minutes later.
    pub fn read_field(&self, text: &str) -> Option<UtcMillis> {
        let local = NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M")
            .or_else(|_| NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S"))
            .ok()?;
        let found = self.zone.from_local_datetime(&local).earliest();
        let found = found.or_else(|| {
            let hour = TimeDelta::hours(1);
            Some(self.zone.from_local_datetime(&(local.checked_sub_signed(hour)?)).earliest()? + hour)
        });
        found.map(|at| UtcMillis(at.timestamp_millis()))
    }

    /// How long ago or how long: `4 s`, `12 min`, `3 h 05 min`, `2 d 4 h`.
    pub fn span(&self, ms: i64) -> String {
        let seconds = (ms / 1000).max(0);
        let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
        let texts = &self.texts;
        match (days, hours, minutes) {
            (0, 0, 0) => texts.n("span-s", seconds),
            (0, 0, _) => texts.n("span-min", minutes),
            (0, ..) => format!("{} {}", texts.n("span-h", hours), texts.n("span-min", minutes % 60)),
            _ => format!("{} {}", texts.n("span-d", days), texts.n("span-h", hours % 24)),
        }
    }

    fn local(&self, at: UtcMillis, write: impl FnOnce(DateTime<Tz>) -> String) -> String {
        match at.to_chrono() {
            Some(utc) => write(utc.with_timezone(&self.zone)),
            None => "—".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::Language;

    fn times() -> Times {
        Times::new(chrono_tz::Europe::Kyiv, Language::En.texts())
    }

    #[test]
    fn instants_are_shown_in_the_clinics_zone() {
        let at = UtcMillis::from_rfc3339("2026-11-24T07:41:07.412Z").unwrap();
        assert_eq!(times().full(at), "Tue 24 Nov 09:41:07");
        assert_eq!(times().exact(at), "2026-11-24 09:41:07.412 +02:00");
        assert_eq!(Times::new(chrono_tz::Europe::Kyiv, Language::Ru.texts()).day(at), "вт 24 ноября");
        assert_eq!(times().clock(UtcMillis(i64::MAX)), "—");
    }

    #[test]
    fn typed_times_are_read_in_the_clinics_zone_at_both_ends_of_summer_time() {
        let read = |text: &str| times().read_field(text).map(UtcMillis::to_rfc3339);
        assert_eq!(read("2026-11-24T09:41").as_deref(), Some("2026-11-24T07:41:00.000Z"));
        assert_eq!(read("2026-10-25T03:30").as_deref(), Some("2026-10-25T00:30:00.000Z"), "happens twice");
        assert_eq!(read("2026-03-29T03:30").as_deref(), Some("2026-03-29T01:30:00.000Z"), "never happens");
        assert_eq!(read("yesterday"), None);
        assert_eq!(read("' OR 1=1 --"), None);
    }

    #[test]
    fn spans_have_two_units_at_most() {
        assert_eq!(times().span(4_200), "4 s");
        assert_eq!(times().span(-5), "0 s");
        assert_eq!(times().span(185 * 60_000), "3 h 5 min");
        assert_eq!(times().span(100 * 3_600_000), "4 d 4 h");
    }
}
