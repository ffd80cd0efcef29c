//! Weekly schedules with holidays, in the clinic's time zone.
//!
//! Owns what "open now" means. Never asks what time it is. May import `time` and the zone database (chrono-tz).
//!
//! # The rule, also at both ends of daylight saving
//! A schedule is open exactly while **a wall clock in the clinic shows a time within its ranges**. So:
//! - a range that begins in the hour that spring skips begins when that hour would have ended; a range wholly within
//!   the skipped hour does not take place that day;
//! - in the hour that autumn repeats the schedule does twice whatever it does once on other days; a range that ends
//!   within that hour closes, opens again when the clock is put back, and closes again.
//!
//! A range belongs to the day on which it begins: `22:00-06:00` on Friday reaches into Saturday morning, also where
//! Saturday is a holiday; and a holiday Friday replaces it.

mod calendar;

use std::fmt;
use std::str::FromStr;

use chrono::{Datelike, NaiveDate};

pub use calendar::{Calendar, ScheduleError};

use crate::ids::ScheduleId;

/// Most schedules of one layout.
pub const SCHEDULES_MAX: usize = 1024;
/// Most ranges of one schedule, in the week and on holidays each.
pub const RANGES_MAX: usize = 64;
/// Most holidays of one layout: some ten years of them.
pub const HOLIDAYS_MAX: usize = 1024;

/// Minutes of a day.
pub const DAY_MINUTES: u16 = 24 * 60;

/// A calendar day of the clinic, as days since 1970-01-01.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalDate(pub i32);

impl LocalDate {
    /// Year, month 1-12, day 1-31; `None` if there is no such day.
    pub fn new(year: i32, month: u32, day: u32) -> Option<Self> {
        NaiveDate::from_ymd_opt(year, month, day).map(Self::from_chrono)
    }

    /// 0 = Monday … 6 = Sunday. 1970-01-01 was a Thursday.
    pub const fn weekday(self) -> u8 {
        (self.0 as i64 + 3).rem_euclid(7) as u8
    }

    /// The day of a calendar date.
    pub fn from_chrono(date: NaiveDate) -> Self {
        Self(date.num_days_from_ce() - EPOCH_DAY)
    }
}

/// 1970-01-01 counted from the first day of year 1.
const EPOCH_DAY: i32 = 719_163;

impl FromStr for LocalDate {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        NaiveDate::parse_from_str(text, "%Y-%m-%d").map(Self::from_chrono).map_err(|_| ())
    }
}

impl fmt::Display for LocalDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.checked_add(EPOCH_DAY).and_then(NaiveDate::from_num_days_from_ce_opt) {
            Some(date) => write!(f, "{date}"),
            None => write!(f, "day {}", self.0),
        }
    }
}

impl fmt::Debug for LocalDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A set of weekdays: bit 0 = Monday … bit 6 = Sunday.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Weekdays(pub u8);

impl Weekdays {
    /// Every day.
    pub const ALL: Self = Self(0b111_1111);
    /// Monday to Friday.
    pub const WORKING: Self = Self(0b001_1111);

    /// Whether the day (0 = Monday) is in the set.
    pub const fn contains(self, weekday: u8) -> bool {
        weekday < 7 && self.0 >> weekday & 1 == 1
    }
}

/// From a minute of the day (0 to 1439, included) until a minute (1 to 1440, excluded). Where `until` is not later
/// than `from`, it is a minute of the next day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MinuteRange {
    /// First minute.
    pub from: u16,
    /// First minute that is no longer in.
    pub until: u16,
}

impl MinuteRange {
    /// The whole day.
    pub const ALL_DAY: Self = Self { from: 0, until: DAY_MINUTES };

    /// How many minutes it lasts on a day without a clock change.
    pub const fn minutes(self) -> u16 {
        if self.until > self.from { self.until - self.from } else { self.until + DAY_MINUTES - self.from }
    }
}

/// One line of a weekly schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WeeklyRange {
    /// On which days it begins.
    pub days: Weekdays,
    /// When.
    pub range: MinuteRange,
}

/// What a schedule does on a holiday.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum OnHoliday {
    /// Nothing begins that day.
    #[default]
    Closed,
    /// As on any such weekday.
    AsUsual,
    /// These ranges instead.
    Instead(Vec<MinuteRange>),
}

/// A weekly schedule as it is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// Its name.
    pub id: ScheduleId,
    /// When it is open in a week without holidays; ranges may overlap.
    pub weekly: Vec<WeeklyRange>,
    /// And on holidays.
    pub on_holiday: OnHoliday,
}
