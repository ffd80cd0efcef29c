//! Schedules compiled for a time zone: the instants at which each opens and closes are worked out once for a year
//! and looked up by day; an instant outside that year is answered exactly, and slower, from the rule itself.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Offset, TimeZone};
use chrono_tz::Tz;
use thiserror::Error;

use super::{
    DAY_MINUTES, HOLIDAYS_MAX, LocalDate, MinuteRange, OnHoliday, RANGES_MAX, SCHEDULES_MAX, Schedule, WeeklyRange,
};
use crate::ids::ScheduleId;
use crate::time::UtcMillis;

const DAY: i64 = 86_400;
/// The worked-out time begins this long before the policy was built, for clocks that run behind, in seconds …
const BEFORE: i64 = 2 * DAY;
/// … and ends this long after: a policy older than a year still works, a little slower.
const AFTER: i64 = 400 * DAY;
/// Offsets from UTC are looked for in steps of this many seconds: no zone changes twice in less.
const STEP: i64 = 3600;

/// Why schedules cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ScheduleError {
    /// Not an IANA name.
    #[error("\"{0}\" is not the name of a time zone; write it like \"Europe/Kyiv\"")]
    TimeZone(String),
    /// More than [`SCHEDULES_MAX`].
    #[error("there are {0} schedules, at most {SCHEDULES_MAX} are possible")]
    TooMany(usize),
    /// More than [`HOLIDAYS_MAX`].
    #[error("there are {0} holidays, at most {HOLIDAYS_MAX} are possible")]
    TooManyHolidays(usize),
    /// Two of one name.
    #[error("schedule \"{0}\" is declared twice")]
    Twice(ScheduleId),
    /// More than [`RANGES_MAX`].
    #[error("schedule \"{0}\" has more than {RANGES_MAX} ranges")]
    TooManyRanges(ScheduleId),
    /// A minute outside the day.
    #[error("schedule \"{0}\" has a range that does not begin within 00:00-23:59 or end within 00:01-24:00")]
    Range(ScheduleId),
}

/// Schedules of one layout, ready to answer.
#[derive(Debug, Clone)]
pub struct Calendar {
    zone: Tz,
    holidays: HashSet<LocalDate>,
    schedules: Vec<Compiled>,
    by_name: HashMap<ScheduleId, u16>,
    begin: i64,
}

#[derive(Debug, Clone)]
struct Compiled {
    weekly: Vec<WeeklyRange>,
    on_holiday: OnHoliday,
    /// Seconds since 1970 at which it opens (even positions) and closes (odd ones), rising.
    changes: Vec<i64>,
    /// For each day of the worked-out time, how many changes lie at or before its first second.
    by_day: Vec<u32>,
}

impl Calendar {
    /// Checks and compiles.
    pub fn new(
        time_zone: &str,
        schedules: &[Schedule],
        holidays: &[LocalDate],
        built_at: UtcMillis,
    ) -> Result<Self, ScheduleError> {
        let zone: Tz = time_zone.parse().map_err(|_| ScheduleError::TimeZone(time_zone.to_owned()))?;
        if schedules.len() > SCHEDULES_MAX {
            return Err(ScheduleError::TooMany(schedules.len()));
        }
        if holidays.len() > HOLIDAYS_MAX {
            return Err(ScheduleError::TooManyHolidays(holidays.len()));
        }
        let mut calendar = Self {
            zone,
            holidays: holidays.iter().copied().collect(),
            schedules: Vec::with_capacity(schedules.len()),
            by_name: HashMap::with_capacity(schedules.len()),
            begin: built_at.0.div_euclid(1000).saturating_sub(BEFORE),
        };
        let periods = calendar.offset_periods();
        for (i, schedule) in schedules.iter().enumerate() {
            check(schedule)?;
            if calendar.by_name.insert(schedule.id.clone(), i as u16).is_some() {
                return Err(ScheduleError::Twice(schedule.id.clone()));
            }
            let mut compiled = Compiled {
                weekly: schedule.weekly.clone(),
                on_holiday: schedule.on_holiday.clone(),
                changes: Vec::new(),
                by_day: Vec::new(),
            };
            calendar.work_out(&mut compiled, &periods);
            calendar.schedules.push(compiled);
        }
        Ok(calendar)
    }

    /// Position of a schedule.
    pub fn find(&self, id: &ScheduleId) -> Option<u16> {
        self.by_name.get(id).copied()
    }

    /// Whether the schedule at that position is open; a position that does not exist never is.
    #[inline]
    pub fn is_open(&self, schedule: u16, now: UtcMillis) -> bool {
        let Some(compiled) = self.schedules.get(usize::from(schedule)) else { return false };
        let second = now.0.div_euclid(1000);
        let day = second.saturating_sub(self.begin).div_euclid(DAY);
        match usize::try_from(day).ok().and_then(|day| compiled.by_day.get(day)) {
            Some(before) => {
                let from = *before as usize;
                let more = compiled.changes[from..].iter().take_while(|change| **change <= second).count();
                (from + more) % 2 == 1
            }
            None => self.is_open_by_rule(compiled, second),
        }
    }

    /// The rule itself: what would a wall clock show?
    fn is_open_by_rule(&self, compiled: &Compiled, second: i64) -> bool {
        let Some(offset) = self.offset(second) else { return false };
        let local = second.saturating_add(offset);
        let Ok(day) = i32::try_from(local.div_euclid(DAY)) else { return false };
        let minute = (local.rem_euclid(DAY) / 60) as u16;
        let today = self.ranges(compiled, LocalDate(day)).any(|range| {
            minute >= range.from && u32::from(minute) < u32::from(range.from) + u32::from(range.minutes())
        });
        let yesterday = self.ranges(compiled, LocalDate(day.saturating_sub(1))).any(|range| {
            u32::from(minute) + u32::from(DAY_MINUTES) < u32::from(range.from) + u32::from(range.minutes())
        });
        today || yesterday
    }

    fn ranges<'a>(&self, compiled: &'a Compiled, date: LocalDate) -> impl Iterator<Item = MinuteRange> + 'a {
        let on_holiday = if self.holidays.contains(&date) { Some(&compiled.on_holiday) } else { None };
        let (weekly, instead): (&[WeeklyRange], &[MinuteRange]) = match on_holiday {
            None | Some(OnHoliday::AsUsual) => (&compiled.weekly, &[]),
            Some(OnHoliday::Closed) => (&[], &[]),
            Some(OnHoliday::Instead(ranges)) => (&[], ranges),
        };
        let of_day = move |line: &&WeeklyRange| line.days.contains(date.weekday());
        weekly.iter().filter(of_day).map(|line| line.range).chain(instead.iter().copied())
    }

    /// Seconds to add to UTC for local time; `None` outside chrono's range of years.
    fn offset(&self, second: i64) -> Option<i64> {
        let utc = DateTime::from_timestamp(second, 0)?.naive_utc();
        Some(i64::from(self.zone.offset_from_utc_datetime(&utc).fix().local_minus_utc()))
    }

    /// Spans `[from, until)` of the worked-out time with one offset each.
    fn offset_periods(&self) -> Vec<(i64, i64, i64)> {
        let end = self.begin.saturating_add(BEFORE + AFTER);
        let mut periods = Vec::new();
        let Some(mut offset) = self.offset(self.begin) else { return periods };
        let (mut from, mut seen) = (self.begin, self.begin);
        while seen < end {
            let next = (seen + STEP).min(end);
            let Some(new) = self.offset(next) else { return Vec::new() };
            if new != offset {
                // The offset is `offset` at `low` and something else at `high`.
                let (mut low, mut high) = (seen, next);
                while high - low > 1 {
                    let middle = low + (high - low) / 2;
                    if self.offset(middle) == Some(offset) { low = middle } else { high = middle }
                }
                periods.push((from, high, offset));
                (from, offset) = (high, new);
            }
            seen = next;
        }
        periods.push((from, end, offset));
        periods
    }

    fn work_out(&self, compiled: &mut Compiled, periods: &[(i64, i64, i64)]) {
        let mut spans = Vec::new();
        for &(from, until, offset) in periods {
            for day in (from + offset).div_euclid(DAY) - 1..=(until + offset).div_euclid(DAY) {
                let Ok(date) = i32::try_from(day).map(LocalDate) else { continue };
                for range in self.ranges(compiled, date) {
                    let opens = day * DAY + i64::from(range.from) * 60 - offset;
                    let closes = opens + i64::from(range.minutes()) * 60;
                    let (opens, closes) = (opens.max(from), closes.min(until));
                    if opens < closes {
                        spans.push((opens, closes));
                    }
                }
            }
        }
        spans.sort_unstable();
        for (opens, closes) in spans {
            match compiled.changes.last_mut() {
                Some(last) if opens <= *last => *last = closes.max(*last),
                _ => compiled.changes.extend([opens, closes]),
            }
        }
        let Some((_, end, _)) = periods.last() else { return };
        let mut before = 0;
        for day in 0..(end - self.begin) / DAY {
            let first = self.begin + day * DAY;
            before += compiled.changes[before..].iter().take_while(|change| **change <= first).count();
            compiled.by_day.push(before as u32);
        }
    }
}

fn check(schedule: &Schedule) -> Result<(), ScheduleError> {
    let instead: &[MinuteRange] = match &schedule.on_holiday {
        OnHoliday::Instead(ranges) => ranges,
        OnHoliday::Closed | OnHoliday::AsUsual => &[],
    };
    if schedule.weekly.len() > RANGES_MAX || instead.len() > RANGES_MAX {
        return Err(ScheduleError::TooManyRanges(schedule.id.clone()));
    }
    let mut ranges = schedule.weekly.iter().map(|line| line.range).chain(instead.iter().copied());
    if ranges.any(|range| range.from >= DAY_MINUTES || !(1..=DAY_MINUTES).contains(&range.until)) {
        return Err(ScheduleError::Range(schedule.id.clone()));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
