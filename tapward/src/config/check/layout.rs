//! Who may go where: zones, schedules, holidays, rules, and what a point means to them.

use std::collections::HashSet;

use chrono::NaiveDate;
use domain::ConditionId;
use domain::ids::{CategoryId, PointId, ScheduleId, ZoneId};
use domain::policy::{Asked, Demand, Effect, Layout, Mode, PassKind, Point, PointKind, Rule, Verify};
use domain::schedule::{LocalDate, MinuteRange, OnHoliday, Schedule, Weekdays, WeeklyRange};
use domain::zone::{AntiPassback, Zone};
use toml::Spanned;

use super::super::error::hint;
use super::super::file::{self, File};
use super::{Checker, DIRECTIONS};

impl Checker<'_> {
    pub(super) fn layout(&mut self, file: &File) -> Option<Layout> {
        let mut layout = Layout { time_zone: file.site.time_zone.get_ref().clone(), ..Layout::empty() };
        for zone in &file.zone {
            layout.zones.extend(self.zone(zone));
            layout.demands.extend(self.demands(zone));
        }
        for schedule in &file.schedule {
            layout.schedules.extend(self.schedule(schedule));
        }
        for holiday in &file.holiday {
            layout.holidays.extend(self.date(&holiday.date, "holiday.date"));
        }
        let schedules: HashSet<ScheduleId> = layout.schedules.iter().map(|schedule| schedule.id.clone()).collect();
        for (i, rule) in file.rule.iter().enumerate() {
            layout.rules.extend(self.rule(i, rule, &schedules));
        }
        for point in &file.point {
            layout.points.extend(self.policy_point(point));
        }
        let mut categories: Vec<CategoryId> = layout.rules.iter().flat_map(|rule| rule.categories.clone()).collect();
        categories.sort();
        categories.dedup();
        layout.categories = categories;
        let known: HashSet<ZoneId> = layout
            .points
            .iter()
            .flat_map(|p| [p.from.clone(), p.to.clone()])
            .chain(layout.zones.iter().flat_map(|z| [Some(z.id.clone()), z.inside.clone()]).flatten())
            .collect();
        for rule in &file.rule {
            if let Some(zone) = &rule.zone
                && !known.iter().any(|id| id.as_str() == zone.get_ref())
            {
                let near = hint(zone.get_ref(), known.iter().map(ZoneId::as_str));
                self.fault(zone, "rule.zone", format!("there is no zone \"{}\"{near}", zone.get_ref()));
            }
        }
        layout.complete_zones();
        Some(layout)
    }

    /// What the zone asks of those who enter.
    fn demands(&mut self, zone: &file::Zone) -> Vec<Demand> {
        let Ok(id) = ZoneId::new(zone.id.get_ref()) else { return Vec::new() };
        let asks = zone.needs_purpose.as_ref().is_some_and(|it| *it.get_ref());
        let mut made: Vec<_> = asks.then(|| Demand::purpose(id.clone())).into_iter().collect();
        for condition in &zone.needs {
            if let Some(condition) = self.parse::<ConditionId>(condition, "zone.needs") {
                made.push(Demand { zone: id.clone(), asked: Asked::Condition(condition), kinds: Vec::new() });
            }
        }
        made
    }

    fn zone(&mut self, zone: &file::Zone) -> Option<Zone> {
        let passback = [("none", AntiPassback::None), ("soft", AntiPassback::Soft), ("hard", AntiPassback::Hard)];
        let capacity =
            zone.capacity.as_ref().map(|_| self.number(zone.capacity.as_ref(), "zone.capacity", 1..=1_000_000, 1));
        let inside = match &zone.inside {
            Some(inside) => Some(self.parse::<ZoneId>(inside, "zone.inside")?),
            None => None,
        };
        let mut made = Zone::new(self.parse(&zone.id, "zone.id")?);
        made.inside = inside;
        made.outside = zone.outside.as_ref().is_some_and(|outside| *outside.get_ref());
        made.anti_passback =
            self.word(zone.anti_passback.as_ref(), "zone.anti_passback", &passback, Some(AntiPassback::None))?;
        made.capacity = capacity.and_then(|capacity| u32::try_from(capacity).ok());
        Some(made)
    }

    fn schedule(&mut self, schedule: &file::Schedule) -> Option<Schedule> {
        let id = self.parse::<ScheduleId>(&schedule.id, "schedule.id");
        let mut weekly = Vec::new();
        for hours in &schedule.hours {
            match weekly_range(hours.get_ref()) {
                Ok(range) => weekly.push(range),
                Err(what) => self.fault(hours, "schedule.hours", what),
            }
        }
        let on_holiday = match &schedule.holidays {
            None => OnHoliday::Closed,
            Some(text) => match text.get_ref().as_str() {
                "closed" => OnHoliday::Closed,
                "as-usual" => OnHoliday::AsUsual,
                hours => match minute_range(hours) {
                    Some(range) => OnHoliday::Instead(vec![range]),
                    None => {
                        self.fault(
                            text,
                            "schedule.holidays",
                            format!("\"{hours}\" is none of: closed, as-usual, or hours such as 09:00-13:00"),
                        );
                        return None;
                    }
                },
            },
        };
        Some(Schedule { id: id?, weekly, on_holiday })
    }

    fn date(&mut self, value: &Spanned<String>, key: &str) -> Option<LocalDate> {
        use chrono::Datelike;
        let date = NaiveDate::parse_from_str(value.get_ref(), "%Y-%m-%d").ok();
        let date = date.and_then(|date| LocalDate::new(date.year(), date.month(), date.day()));
        if date.is_none() {
            self.fault(value, key, format!("\"{}\" is no date such as 2026-12-25", value.get_ref()));
        }
        date
    }

    fn rule(&mut self, number: usize, rule: &file::Rule, schedules: &HashSet<ScheduleId>) -> Option<Rule> {
        let effect = self.word(
            rule.effect.as_ref(),
            "rule.effect",
            &[("allow", Effect::Allow), ("deny", Effect::Deny)],
            Some(Effect::Allow),
        );
        let name = rule.name.as_ref().map_or_else(|| format!("rule {}", number + 1), |name| name.get_ref().clone());
        let mut made = Rule::new(&name, effect?);
        for category in &rule.categories {
            made.categories.push(self.parse(category, "rule.categories")?);
        }
        for kind in &rule.kinds {
            match PassKind::parse(kind.get_ref()) {
                Some(kind) => made.kinds.push(kind),
                None => {
                    let valid: Vec<&str> = PassKind::ALL.iter().map(|kind| kind.as_str()).collect();
                    let near = hint(kind.get_ref(), valid.iter().copied());
                    self.fault(
                        kind,
                        "rule.kinds",
                        format!("\"{}\" is not one of: {}{near}", kind.get_ref(), valid.join(", ")),
                    );
                    return None;
                }
            }
        }
        if let Some(zone) = &rule.zone {
            made.zone = Some(self.parse(zone, "rule.zone")?);
        }
        if let Some(direction) = &rule.direction {
            made.direction = Some(self.word(Some(direction), "rule.direction", &DIRECTIONS, None)?);
        }
        if let Some(schedule) = &rule.schedule {
            let id: ScheduleId = self.parse(schedule, "rule.schedule")?;
            if !schedules.contains(&id) {
                let near = hint(id.as_str(), schedules.iter().map(ScheduleId::as_str));
                self.fault(schedule, "rule.schedule", format!("there is no [[schedule]] \"{id}\"{near}"));
                return None;
            }
            made.schedule = Some(id);
        }
        Some(made)
    }

    fn policy_point(&mut self, point: &file::Point) -> Option<Point> {
        let id: PointId = self.parse(&point.id, "point.id")?;
        let kinds: Vec<(&str, PointKind)> = PointKind::ALL.iter().map(|kind| (kind.as_str(), *kind)).collect();
        let kind = self.word(Some(&point.kind), "point.kind", &kinds, None)?;
        let desk = matches!(kind, PointKind::Workstation | PointKind::Enrolment);
        let zone =
            |checker: &mut Self, value: &Option<Spanned<String>>, key: &str, other: &Option<Spanned<String>>| match (
                value, other,
            ) {
                (Some(value), _) => checker.parse::<ZoneId>(value, key),
                // A desk stands in one zone; either key may name it.
                (None, Some(other)) if desk => checker.parse::<ZoneId>(other, key),
                (None, _) => {
                    checker.fault(&point.id, key, format!("point \"{id}\" needs this zone"));
                    None
                }
            };
        let from = zone(self, &point.from, "point.from", &point.to);
        let to = zone(self, &point.to, "point.to", &point.from);
        let mode = self.word(
            point.mode.as_ref(),
            "point.mode",
            &[("hard", Mode::Hard), ("soft", Mode::Soft)],
            Some(if desk { Mode::Soft } else { Mode::Hard }),
        );
        let verify = self.word(
            point.verify.as_ref(),
            "point.verify",
            &[("card", Verify::Card), ("card+pin", Verify::CardPin)],
            Some(Verify::Card),
        );
        let reuse = point.reuse_s.as_ref().map(|_| self.number(point.reuse_s.as_ref(), "point.reuse_s", 1..=86_400, 1));
        let mut made = Point::new(id, kind, from?, to?);
        made.mode = mode?;
        made.verify = verify?;
        made.reuse_ms = reuse.and_then(|s| u32::try_from(s * 1000).ok());
        Some(made)
    }
}

/// `mon-fri 08:00-20:00`, `sat,sun 09:00-14:00`, `daily 00:00-24:00`.
fn weekly_range(text: &str) -> Result<WeeklyRange, String> {
    let wrong =
        || format!("\"{text}\" is not days and hours such as \"mon-fri 08:00-20:00\" or \"sat,sun 09:00-14:00\"");
    let (days, hours) = text.trim().split_once(' ').ok_or_else(wrong)?;
    let range = minute_range(hours.trim()).ok_or_else(wrong)?;
    let mut set = 0_u8;
    for part in days.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        if part == "daily" {
            set = Weekdays::ALL.0;
            continue;
        }
        let (mut day, last) = (weekday(first).ok_or_else(wrong)?, weekday(last).ok_or_else(wrong)?);
        loop {
            set |= 1 << day;
            if day == last {
                break;
            }
            day = (day + 1) % 7;
        }
    }
    Ok(WeeklyRange { days: Weekdays(set), range })
}

fn weekday(text: &str) -> Option<u8> {
    const NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    NAMES.iter().position(|name| *name == text).and_then(|day| u8::try_from(day).ok())
}

fn minute_range(text: &str) -> Option<MinuteRange> {
    let minute = |text: &str| {
        let (hour, minute) = text.split_once(':')?;
        let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
        (minute < 60 && hour * 60 + minute <= 1440).then_some(hour * 60 + minute)
    };
    let (from, until) = text.split_once('-')?;
    let (from, until) = (minute(from.trim())?, minute(until.trim())?);
    (from < 1440 && until > 0).then_some(MinuteRange { from, until })
}
