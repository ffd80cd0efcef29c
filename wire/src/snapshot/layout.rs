//! A layout as JSON. Fields that are absent have the value that domain's constructors give.

use domain::policy::{
    Asked, CATEGORIES_MAX, DEMANDS_MAX, Demand, Effect, Layout, Mode, POINTS_MAX, PassKind, Point, PointKind,
    RULES_MAX, Rule, Verify,
};
use domain::schedule::{
    HOLIDAYS_MAX, LocalDate, MinuteRange, OnHoliday, RANGES_MAX, SCHEDULES_MAX, Schedule, Weekdays, WeeklyRange,
};
use domain::zone::{AntiPassback, ZONES_MAX, Zone};
use domain::{CategoryId, Direction};
use serde_json::{Value, json};

use crate::bus::BusError;
use crate::json::{Fields, opt};

pub(super) fn to_json(layout: &Layout) -> Value {
    json!({
        "version": layout.version,
        "built_at": layout.built_at.0,
        "time_zone": layout.time_zone,
        "zones": layout.zones.iter().map(zone_to_json).collect::<Vec<_>>(),
        "categories": layout.categories.iter().map(CategoryId::as_str).collect::<Vec<_>>(),
        "schedules": layout.schedules.iter().map(schedule_to_json).collect::<Vec<_>>(),
        "holidays": layout.holidays.iter().map(|day| day.0).collect::<Vec<_>>(),
        "rules": layout.rules.iter().map(rule_to_json).collect::<Vec<_>>(),
        "points": layout.points.iter().map(point_to_json).collect::<Vec<_>>(),
        "demands": layout.demands.iter().map(demand_to_json).collect::<Vec<_>>(),
        "allow_all_if_no_rules": layout.allow_all_if_no_rules,
    })
}

pub(super) fn from_bytes(bytes: &[u8]) -> Result<Layout, BusError> {
    let value: Value = serde_json::from_slice(bytes).map_err(|error| BusError::NotJson(error.to_string()))?;
    let fields = Fields::root(&value)?;
    Ok(Layout {
        version: fields.u64("version")?,
        built_at: fields.instant("built_at")?,
        time_zone: fields.text("time_zone")?.to_owned(),
        zones: each(&fields, "zones", ZONES_MAX, zone_from_json)?,
        categories: fields.values("categories", CATEGORIES_MAX, |value| CategoryId::new(value.as_str()?).ok())?,
        schedules: each(&fields, "schedules", SCHEDULES_MAX, schedule_from_json)?,
        holidays: fields.values("holidays", HOLIDAYS_MAX, |value| {
            value.as_i64().and_then(|day| i32::try_from(day).ok()).map(LocalDate)
        })?,
        rules: each(&fields, "rules", RULES_MAX, rule_from_json)?,
        points: each(&fields, "points", POINTS_MAX, point_from_json)?,
        demands: each(&fields, "demands", DEMANDS_MAX, demand_from_json)?,
        allow_all_if_no_rules: fields.flag("allow_all_if_no_rules")?,
    })
}

fn each<T>(
    fields: &Fields<'_>,
    key: &str,
    limit: usize,
    read: impl Fn(&Fields<'_>) -> Result<T, BusError>,
) -> Result<Vec<T>, BusError> {
    fields.list(key, limit)?.iter().map(read).collect()
}

fn zone_to_json(zone: &Zone) -> Value {
    json!({
        "id": zone.id.as_str(), "inside": opt(zone.inside.as_ref()), "outside": zone.outside,
        "anti_passback": anti_passback_code(zone.anti_passback), "capacity": zone.capacity,
    })
}

fn zone_from_json(fields: &Fields<'_>) -> Result<Zone, BusError> {
    Ok(Zone {
        id: fields.parse("id")?,
        inside: fields.opt_parse("inside")?,
        outside: fields.flag("outside")?,
        anti_passback: fields.code("anti_passback", |code| {
            let all = [AntiPassback::None, AntiPassback::Soft, AntiPassback::Hard];
            all.into_iter().find(|value| anti_passback_code(*value) == code)
        })?,
        capacity: fields.opt_number("capacity")?,
    })
}

const fn anti_passback_code(value: AntiPassback) -> &'static str {
    match value {
        AntiPassback::None => "none",
        AntiPassback::Soft => "soft",
        AntiPassback::Hard => "hard",
    }
}

fn schedule_to_json(schedule: &Schedule) -> Value {
    let weekly = |line: &WeeklyRange| json!([line.days.0, line.range.from, line.range.until]);
    let range = |range: &MinuteRange| json!([range.from, range.until]);
    let (holiday, ranges) = match &schedule.on_holiday {
        OnHoliday::Closed => ("closed", Vec::new()),
        OnHoliday::AsUsual => ("as_usual", Vec::new()),
        OnHoliday::Instead(ranges) => ("instead", ranges.iter().map(range).collect()),
    };
    json!({
        "id": schedule.id.as_str(), "weekly": schedule.weekly.iter().map(weekly).collect::<Vec<_>>(),
        "on_holiday": holiday, "holiday_ranges": ranges,
    })
}

fn schedule_from_json(fields: &Fields<'_>) -> Result<Schedule, BusError> {
    let weekly = fields.values("weekly", RANGES_MAX, |value| {
        let [days, from, until] = numbers(value)?;
        let days = Weekdays(u8::try_from(days).ok()?);
        Some(WeeklyRange { days, range: MinuteRange { from, until } })
    })?;
    let ranges = fields.values("holiday_ranges", RANGES_MAX, |value| {
        let [from, until] = numbers(value)?;
        Some(MinuteRange { from, until })
    })?;
    let on_holiday = match fields.text("on_holiday")? {
        "closed" => OnHoliday::Closed,
        "as_usual" => OnHoliday::AsUsual,
        "instead" => OnHoliday::Instead(ranges),
        other => return Err(fields.wrong("on_holiday", format_args!("{other:?} is not known to this version"))),
    };
    Ok(Schedule { id: fields.parse("id")?, weekly, on_holiday })
}

fn numbers<const N: usize>(value: &Value) -> Option<[u16; N]> {
    let number = |value: &Value| value.as_u64().and_then(|number| u16::try_from(number).ok());
    value.as_array()?.iter().map(number).collect::<Option<Vec<u16>>>()?.try_into().ok()
}

fn rule_to_json(rule: &Rule) -> Value {
    json!({
        "name": rule.name, "effect": rule.effect.as_str(),
        "categories": rule.categories.iter().map(CategoryId::as_str).collect::<Vec<_>>(),
        "kinds": rule.kinds.iter().map(|kind| kind.as_str()).collect::<Vec<_>>(),
        "zone": opt(rule.zone.as_ref()), "direction": opt(rule.direction), "schedule": opt(rule.schedule.as_ref()),
        "valid_from": rule.valid_from.map(|at| at.0), "valid_until": rule.valid_until.map(|at| at.0),
    })
}

fn rule_from_json(fields: &Fields<'_>) -> Result<Rule, BusError> {
    Ok(Rule {
        name: fields.text("name")?.to_owned(),
        effect: fields.code("effect", Effect::parse)?,
        categories: fields.values("categories", CATEGORIES_MAX, |value| CategoryId::new(value.as_str()?).ok())?,
        kinds: fields.values("kinds", PassKind::ALL.len(), |value| PassKind::parse(value.as_str()?))?,
        zone: fields.opt_parse("zone")?,
        direction: fields.opt_code("direction", Direction::parse)?,
        schedule: fields.opt_parse("schedule")?,
        valid_from: fields.opt_instant("valid_from")?,
        valid_until: fields.opt_instant("valid_until")?,
    })
}

fn point_to_json(point: &Point) -> Value {
    json!({
        "id": point.id.as_str(), "kind": point.kind.as_str(), "from": point.from.as_str(), "to": point.to.as_str(),
        "mode": point.mode.as_str(), "verify": point.verify.as_str(), "reuse_ms": point.reuse_ms,
    })
}

fn point_from_json(fields: &Fields<'_>) -> Result<Point, BusError> {
    Ok(Point {
        id: fields.parse("id")?,
        kind: fields.code("kind", PointKind::parse)?,
        from: fields.parse("from")?,
        to: fields.parse("to")?,
        mode: fields.code("mode", Mode::parse)?,
        verify: fields.code("verify", Verify::parse)?,
        reuse_ms: fields.opt_number("reuse_ms")?,
    })
}

fn demand_to_json(demand: &Demand) -> Value {
    json!({
        "zone": demand.zone.as_str(), "condition": opt(demand.condition()),
        "kinds": demand.kinds.iter().map(|kind| kind.as_str()).collect::<Vec<_>>(),
    })
}

fn demand_from_json(fields: &Fields<'_>) -> Result<Demand, BusError> {
    Ok(Demand {
        zone: fields.parse("zone")?,
        asked: fields.opt_parse("condition")?.map_or(Asked::Purpose, Asked::Condition),
        kinds: fields.values("kinds", PassKind::ALL.len(), |value| PassKind::parse(value.as_str()?))?,
    })
}
