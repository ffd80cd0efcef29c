//! What the clinic has decided about who may go where: the layout from the configuration and the passes from
//! `people`, put together as a `domain::policy::PolicySource` for gateways.
//!
//! Owns the layout's tables and the policy's version, a number that rises within the same transaction as every change
//! of layout or passes. Never decides who may pass (`domain::decide` does).

pub(crate) mod grants;

use std::collections::HashMap;

use domain::card::SealedNumber;
use domain::ids::IdError;
use domain::pin::PinHash;
use domain::policy::{
    Asked, Credential, Demand, Effect, Layout, Mode, PassKind, PassState, Point, PointKind, PolicyBuilder, PolicyError,
    PolicySource, Rule, Verify,
};
use domain::schedule::{LocalDate, MinuteRange, OnHoliday, Schedule, Weekdays, WeeklyRange};
use domain::zone::{AntiPassback, Zone};
use domain::{CardId, CategoryId, Direction, UtcMillis};
use sqlx::FromRow;
use store::{Database, Error, Fault, read, transact};

use crate::rows::{code, column, number, optional};

/// Passes read by one statement.
const PAGE: i64 = 5000;
/// Rows of one statement.
const ROWS_MAX: usize = 500;
/// How often a source is read anew when passes change meanwhile.
const ATTEMPTS: u32 = 5;

/// Why a layout is not taken.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// It contradicts itself; the text names the item.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The engine.
    #[error(transparent)]
    Store(#[from] Error),
}

/// The policy's version now; 0 before anything was set.
///
/// # Errors
/// Engine errors.
pub async fn version(database: &Database) -> Result<u64, Error> {
    let version: i64 = read!(database, "policy.version", |conn| {
        Ok(sqlx::query_scalar("SELECT value FROM counter WHERE name = 'policy'").fetch_one(&mut *conn).await?)
    })?;
    Ok(version.cast_unsigned())
}

/// Replaces the layout if it differs from the stored one (its `version` and `built_at` do not matter). Returns the
/// policy's version afterwards, and whether it rose.
///
/// # Errors
/// [`LayoutError::Policy`] for a layout that no policy could be made of; nothing is changed then.
pub async fn put_layout(database: &Database, mut layout: Layout, now: UtcMillis) -> Result<(u64, bool), LayoutError> {
    PolicyBuilder::new(layout.clone(), 0, 0)?;
    layout.holidays.sort_unstable();
    layout.holidays.dedup();
    if let Some(stored) = read_layout(database).await? {
        layout.version = stored.version;
        layout.built_at = stored.built_at;
        if layout == stored {
            return Ok((stored.version, false));
        }
    }
    let version = write_layout(database, layout, now).await?;
    Ok((version, true))
}

async fn write_layout(database: &Database, layout: Layout, now: UtcMillis) -> Result<u64, Error> {
    let ranges = ranges(&layout.schedules);
    let version: i64 = transact!(database, "policy.put_layout", |conn| {
        sqlx::query("DELETE FROM layout").execute(&mut *conn).await?;
        sqlx::query("INSERT INTO layout (id, time_zone, allow_all_if_no_rules, changed_ms) VALUES (1, $1, $2, $3)")
            .bind(&layout.time_zone)
            .bind(i64::from(layout.allow_all_if_no_rules))
            .bind(now.0)
            .execute(&mut *conn)
            .await?;
        sqlx::query("DELETE FROM zone").execute(&mut *conn).await?;
        for chunk in numbered(&layout.zones).chunks(ROWS_MAX) {
            let mut insert = sqlx::QueryBuilder::<Db>::new(
                "INSERT INTO zone (id, position, inside, outside, anti_passback, capacity) ",
            );
            insert.push_values(chunk, |mut row, (position, zone)| {
                row.push_bind(zone.id.to_string())
                    .push_bind(*position)
                    .push_bind(zone.inside.as_ref().map(|it| it.to_string()))
                    .push_bind(i64::from(zone.outside))
                    .push_bind(anti_passback(zone.anti_passback))
                    .push_bind(zone.capacity.map(i64::from));
            });
            insert.build().persistent(false).execute(&mut *conn).await?;
        }
        sqlx::query("DELETE FROM point").execute(&mut *conn).await?;
        for chunk in numbered(&layout.points).chunks(ROWS_MAX) {
            let mut insert = sqlx::QueryBuilder::<Db>::new(
                "INSERT INTO point (id, position, kind, from_zone, to_zone, mode, verify, reuse_ms) ",
            );
            insert.push_values(chunk, |mut row, (position, point)| {
                row.push_bind(point.id.to_string())
                    .push_bind(*position)
                    .push_bind(point.kind.as_str())
                    .push_bind(point.from.to_string())
                    .push_bind(point.to.to_string())
                    .push_bind(point.mode.as_str())
                    .push_bind(point.verify.as_str())
                    .push_bind(point.reuse_ms.map(i64::from));
            });
            insert.build().persistent(false).execute(&mut *conn).await?;
        }
        sqlx::query("DELETE FROM demand").execute(&mut *conn).await?;
        for chunk in numbered(&layout.demands).chunks(ROWS_MAX) {
            let mut insert = sqlx::QueryBuilder::<Db>::new("INSERT INTO demand (position, zone, condition, kinds) ");
            insert.push_values(chunk, |mut row, (position, demand)| {
                row.push_bind(*position)
                    .push_bind(demand.zone.to_string())
                    .push_bind(demand.condition().map(|it| it.to_string()))
                    .push_bind(list(&demand.kinds));
            });
            insert.build().persistent(false).execute(&mut *conn).await?;
        }
        sqlx::query("DELETE FROM category").execute(&mut *conn).await?;
        for chunk in numbered(&layout.categories).chunks(ROWS_MAX) {
            let mut insert = sqlx::QueryBuilder::<Db>::new("INSERT INTO category (id, position) ");
            insert.push_values(chunk, |mut row, (position, category)| {
                row.push_bind(category.to_string()).push_bind(*position);
            });
            insert.build().persistent(false).execute(&mut *conn).await?;
        }
        sqlx::query("DELETE FROM schedule").execute(&mut *conn).await?;
        for chunk in numbered(&layout.schedules).chunks(ROWS_MAX) {
            let mut insert = sqlx::QueryBuilder::<Db>::new("INSERT INTO schedule (id, position, on_holiday) ");
            insert.push_values(chunk, |mut row, (position, schedule)| {
                row.push_bind(schedule.id.to_string())
                    .push_bind(*position)
                    .push_bind(holiday_code(&schedule.on_holiday));
            });
            insert.build().persistent(false).execute(&mut *conn).await?;
        }
        sqlx::query("DELETE FROM schedule_range").execute(&mut *conn).await?;
        for chunk in ranges.chunks(ROWS_MAX) {
            let mut insert = sqlx::QueryBuilder::<Db>::new(
                "INSERT INTO schedule_range (schedule, position, days, from_minute, until_minute, on_holiday) ",
            );
            insert.push_values(chunk, |mut row, range| {
                row.push_bind(range.schedule.clone())
                    .push_bind(range.position)
                    .push_bind(range.days)
                    .push_bind(range.from_minute)
                    .push_bind(range.until_minute)
                    .push_bind(range.on_holiday);
            });
            insert.build().persistent(false).execute(&mut *conn).await?;
        }
        sqlx::query("DELETE FROM holiday").execute(&mut *conn).await?;
        for chunk in layout.holidays.chunks(ROWS_MAX) {
            let mut insert = sqlx::QueryBuilder::<Db>::new("INSERT INTO holiday (day) ");
            insert.push_values(chunk, |mut row, day| {
                row.push_bind(day.to_string());
            });
            insert.build().persistent(false).execute(&mut *conn).await?;
        }
        sqlx::query("DELETE FROM rule").execute(&mut *conn).await?;
        for chunk in numbered(&layout.rules).chunks(ROWS_MAX) {
            let mut insert = sqlx::QueryBuilder::<Db>::new(
                "INSERT INTO rule (position, name, effect, categories, kinds, zone, direction, schedule, valid_from,
                     valid_until) ",
            );
            insert.push_values(chunk, |mut row, (position, rule)| {
                row.push_bind(*position)
                    .push_bind(rule.name.clone())
                    .push_bind(rule.effect.as_str())
                    .push_bind(list(&rule.categories))
                    .push_bind(list(&rule.kinds))
                    .push_bind(rule.zone.as_ref().map(|it| it.to_string()))
                    .push_bind(rule.direction.map(Direction::as_str))
                    .push_bind(rule.schedule.as_ref().map(|it| it.to_string()))
                    .push_bind(rule.valid_from.map(|it| it.0))
                    .push_bind(rule.valid_until.map(|it| it.0));
            });
            insert.build().persistent(false).execute(&mut *conn).await?;
        }
        Ok(sqlx::query_scalar("UPDATE counter SET value = value + 1 WHERE name = 'policy' RETURNING value")
            .fetch_one(&mut *conn)
            .await?)
    })?;
    Ok(version.cast_unsigned())
}

/// The layout as it was put, with the policy's version and the time of the layout's last change as `built_at`; `None`
/// before the first was put.
///
/// # Errors
/// Engine errors, or [`Fault::BadRow`].
pub async fn read_layout(database: &Database) -> Result<Option<Layout>, Error> {
    for _ in 0..ATTEMPTS {
        let before = version(database).await?;
        let layout = read_layout_once(database, before).await?;
        if version(database).await? == before {
            return Ok(layout);
        }
    }
    Err(Error::new("policy.layout", Fault::Busy))
}

async fn read_layout_once(database: &Database, version: u64) -> Result<Option<Layout>, Error> {
    let head: Option<(String, i64, i64)> = read!(database, "policy.layout", |conn| {
        Ok(sqlx::query_as("SELECT time_zone, allow_all_if_no_rules, changed_ms FROM layout WHERE id = 1")
            .fetch_optional(&mut *conn)
            .await?)
    })?;
    let Some((time_zone, allow_all, changed_ms)) = head else { return Ok(None) };
    let zones: Vec<ZoneRow> = read!(database, "policy.zones", |conn| {
        Ok(sqlx::query_as("SELECT id, inside, outside, anti_passback, capacity FROM zone ORDER BY position")
            .fetch_all(&mut *conn)
            .await?)
    })?;
    let points: Vec<PointRow> = read!(database, "policy.points", |conn| {
        Ok(sqlx::query_as("SELECT id, kind, from_zone, to_zone, mode, verify, reuse_ms FROM point ORDER BY position")
            .fetch_all(&mut *conn)
            .await?)
    })?;
    let categories: Vec<String> = read!(database, "policy.categories", |conn| {
        Ok(sqlx::query_scalar("SELECT id FROM category ORDER BY position").fetch_all(&mut *conn).await?)
    })?;
    let schedules: Vec<(String, String)> = read!(database, "policy.schedules", |conn| {
        Ok(sqlx::query_as("SELECT id, on_holiday FROM schedule ORDER BY position").fetch_all(&mut *conn).await?)
    })?;
    let ranges: Vec<RangeRow> = read!(database, "policy.ranges", |conn| {
        Ok(sqlx::query_as("SELECT * FROM schedule_range ORDER BY schedule, position").fetch_all(&mut *conn).await?)
    })?;
    let holidays: Vec<String> = read!(database, "policy.holidays", |conn| {
        Ok(sqlx::query_scalar("SELECT day FROM holiday ORDER BY day").fetch_all(&mut *conn).await?)
    })?;
    let rules: Vec<RuleRow> = read!(database, "policy.rules", |conn| {
        Ok(sqlx::query_as("SELECT * FROM rule ORDER BY position").fetch_all(&mut *conn).await?)
    })?;
    let demands: Vec<(String, Option<String>, String)> = read!(database, "policy.demands", |conn| {
        Ok(sqlx::query_as("SELECT zone, condition, kinds FROM demand ORDER BY position").fetch_all(&mut *conn).await?)
    })?;
    Ok(Some(Layout {
        version,
        built_at: UtcMillis(changed_ms),
        time_zone,
        zones: zones.into_iter().map(Zone::try_from).collect::<Result<_, _>>()?,
        categories: categories
            .iter()
            .map(|id| column("category", "id", id, CategoryId::new))
            .collect::<Result<_, _>>()?,
        schedules: schedules
            .iter()
            .map(|(id, on_holiday)| schedule(id, on_holiday, &ranges))
            .collect::<Result<_, _>>()?,
        holidays: holidays
            .iter()
            .map(|day| column("holiday", "day", day, |text| text.parse::<LocalDate>().map_err(|()| "no such day")))
            .collect::<Result<_, _>>()?,
        rules: rules.into_iter().map(Rule::try_from).collect::<Result<_, _>>()?,
        points: points.into_iter().map(Point::try_from).collect::<Result<_, _>>()?,
        demands: demands.into_iter().map(demand).collect::<Result<_, _>>()?,
        allow_all_if_no_rules: allow_all != 0,
    }))
}

/// Everything for a policy of the present version; `None` before a layout was put. Categories that only passes
/// mention follow the declared ones.
///
/// # Errors
/// Engine errors, or [`Fault::BadRow`]; [`Fault::Busy`] if passes change faster than they can be read.
pub async fn source(database: &Database, built_at: UtcMillis) -> Result<Option<PolicySource>, Error> {
    for _ in 0..ATTEMPTS {
        let Some(mut layout) = read_layout(database).await? else { return Ok(None) };
        layout.built_at = built_at;
        add_categories(database, &mut layout).await?;
        let categories: HashMap<&str, u16> = layout.categories.iter().map(|id| id.as_str()).zip(0..u16::MAX).collect();
        let mut credentials = Vec::new();
        let mut after = 0;
        let complete = loop {
            match credentials_after(database, &categories, after).await? {
                // A category came up that was not there a moment ago.
                None => break false,
                Some((page, _)) if page.is_empty() => break true,
                Some((page, last)) => {
                    after = last;
                    credentials.extend(page);
                }
            }
        };
        let grants = grants::read_grants(database, &layout, built_at).await?;
        if complete && version(database).await? == layout.version {
            return Ok(Some(PolicySource { layout, credentials, grants }));
        }
    }
    Err(Error::new("policy.source", Fault::Busy))
}

async fn add_categories(database: &Database, layout: &mut Layout) -> Result<(), Error> {
    let used: Vec<String> = read!(database, "policy.used_categories", |conn| {
        Ok(sqlx::query_scalar("SELECT DISTINCT category FROM credential WHERE until_ms IS NULL ORDER BY category")
            .fetch_all(&mut *conn)
            .await?)
    })?;
    for id in used {
        let id = column("credential", "category", &id, CategoryId::new)?;
        if !layout.categories.contains(&id) {
            layout.categories.push(id);
        }
    }
    Ok(())
}

/// The passes behind a row number, in the order in which they were set, which is the order in which the engine keeps
/// them: a million are read without going back and forth in the file. Empty at the end; `None` if one has a category
/// that is not among `categories`.
async fn credentials_after(
    database: &Database,
    categories: &HashMap<&str, u16>,
    after: i64,
) -> Result<Option<(Vec<Credential>, i64)>, Error> {
    let rows: Vec<CredentialRow> = read!(database, "policy.credentials", |conn| {
        Ok(sqlx::query_as(
            "SELECT id, card, person, kind, category, state, one_time, valid_from, valid_until, pin, duress_pin, number
             FROM credential WHERE until_ms IS NULL AND id > $1 ORDER BY id LIMIT $2",
        )
        .bind(after)
        .bind(PAGE)
        .fetch_all(&mut *conn)
        .await?)
    })?;
    let last = rows.last().map_or(after, |row| row.id);
    let mut credentials = Vec::with_capacity(rows.len());
    for row in rows {
        let Some(category) = categories.get(row.category.as_str()) else { return Ok(None) };
        credentials.push(row.read(*category)?);
    }
    Ok(Some((credentials, last)))
}

#[derive(FromRow)]
struct CredentialRow {
    id: i64,
    card: String,
    person: String,
    kind: String,
    category: String,
    state: String,
    one_time: i64,
    valid_from: Option<i64>,
    valid_until: Option<i64>,
    pin: Option<String>,
    duress_pin: Option<String>,
    number: Option<String>,
}

impl CredentialRow {
    fn read(self, category: u16) -> Result<Credential, Error> {
        const T: &str = "credential";
        Ok(Credential {
            card: column(T, "card", &self.card, |text: &str| text.parse())?,
            person: column(T, "person", &self.person, |text: &str| text.parse())?,
            category,
            kind: code(T, "kind", &self.kind, PassKind::parse)?,
            state: code(T, "state", &self.state, PassState::parse)?,
            one_time: self.one_time != 0,
            valid_from: self.valid_from.map(UtcMillis),
            valid_until: self.valid_until.map(UtcMillis),
            pin: optional(T, "pin", self.pin.as_deref(), pin_hash)?,
            duress_pin: optional(T, "duress_pin", self.duress_pin.as_deref(), pin_hash)?,
            number: optional(T, "number", self.number.as_deref(), sealed_number)?,
        })
    }
}

fn sealed_number(text: &str) -> Result<SealedNumber, IdError> {
    text.parse().map(|CardId(bytes)| SealedNumber(bytes))
}

/// Reads a stored PIN hash: 32 hexadecimal digits, the form of all 128-bit values here.
pub(crate) fn pin_hash(text: &str) -> Result<PinHash, &'static str> {
    text.parse::<CardId>().map(|bytes| PinHash(bytes.0)).map_err(|_| "not 32 hexadecimal digits")
}

#[derive(FromRow)]
struct ZoneRow {
    id: String,
    inside: Option<String>,
    outside: i64,
    anti_passback: String,
    capacity: Option<i64>,
}

impl TryFrom<ZoneRow> for Zone {
    type Error = Error;

    fn try_from(row: ZoneRow) -> Result<Self, Error> {
        const T: &str = "zone";
        Ok(Self {
            id: column(T, "id", &row.id, |text: &str| text.parse())?,
            inside: optional(T, "inside", row.inside.as_deref(), |text: &str| text.parse())?,
            outside: row.outside != 0,
            anti_passback: code(T, "anti_passback", &row.anti_passback, |text| {
                [AntiPassback::None, AntiPassback::Soft, AntiPassback::Hard]
                    .into_iter()
                    .find(|it| anti_passback(*it) == text)
            })?,
            capacity: row.capacity.map(|persons| number(T, "capacity", persons)).transpose()?,
        })
    }
}

const fn anti_passback(demand: AntiPassback) -> &'static str {
    match demand {
        AntiPassback::None => "none",
        AntiPassback::Soft => "soft",
        AntiPassback::Hard => "hard",
    }
}

#[derive(FromRow)]
struct PointRow {
    id: String,
    kind: String,
    from_zone: String,
    to_zone: String,
    mode: String,
    verify: String,
    reuse_ms: Option<i64>,
}

impl TryFrom<PointRow> for Point {
    type Error = Error;

    fn try_from(row: PointRow) -> Result<Self, Error> {
        const T: &str = "point";
        Ok(Self {
            id: column(T, "id", &row.id, |text: &str| text.parse())?,
            kind: code(T, "kind", &row.kind, PointKind::parse)?,
            from: column(T, "from_zone", &row.from_zone, |text: &str| text.parse())?,
            to: column(T, "to_zone", &row.to_zone, |text: &str| text.parse())?,
            mode: code(T, "mode", &row.mode, Mode::parse)?,
            verify: code(T, "verify", &row.verify, Verify::parse)?,
            reuse_ms: row.reuse_ms.map(|time| number(T, "reuse_ms", time)).transpose()?,
        })
    }
}

fn demand((zone, condition, kinds): (String, Option<String>, String)) -> Result<Demand, Error> {
    const T: &str = "demand";
    let kinds = kinds.split(',').filter(|part| !part.is_empty());
    Ok(Demand {
        zone: column(T, "zone", &zone, |text: &str| text.parse())?,
        asked: optional(T, "condition", condition.as_deref(), |text: &str| text.parse())?
            .map_or(Asked::Purpose, Asked::Condition),
        kinds: kinds.map(|part| code(T, "kinds", part, PassKind::parse)).collect::<Result<_, _>>()?,
    })
}

#[derive(FromRow)]
struct RuleRow {
    name: String,
    effect: String,
    categories: String,
    kinds: String,
    zone: Option<String>,
    direction: Option<String>,
    schedule: Option<String>,
    valid_from: Option<i64>,
    valid_until: Option<i64>,
}

impl TryFrom<RuleRow> for Rule {
    type Error = Error;

    fn try_from(row: RuleRow) -> Result<Self, Error> {
        const T: &str = "rule";
        let parts = |text: &str| text.split(',').filter(|part| !part.is_empty()).map(str::to_owned).collect::<Vec<_>>();
        Ok(Self {
            name: row.name,
            effect: code(T, "effect", &row.effect, Effect::parse)?,
            categories: parts(&row.categories)
                .iter()
                .map(|part| column(T, "categories", part, CategoryId::new))
                .collect::<Result<_, _>>()?,
            kinds: parts(&row.kinds)
                .iter()
                .map(|part| code(T, "kinds", part, PassKind::parse))
                .collect::<Result<_, _>>()?,
            zone: optional(T, "zone", row.zone.as_deref(), |text: &str| text.parse())?,
            direction: row.direction.map(|text| code(T, "direction", &text, Direction::parse)).transpose()?,
            schedule: optional(T, "schedule", row.schedule.as_deref(), |text: &str| text.parse())?,
            valid_from: row.valid_from.map(UtcMillis),
            valid_until: row.valid_until.map(UtcMillis),
        })
    }
}

#[derive(FromRow)]
struct RangeRow {
    schedule: String,
    position: i64,
    days: i64,
    from_minute: i64,
    until_minute: i64,
    on_holiday: i64,
}

fn ranges(schedules: &[Schedule]) -> Vec<RangeRow> {
    let row = |schedule: &Schedule, position, days: u8, range: &MinuteRange, on_holiday| RangeRow {
        schedule: schedule.id.to_string(),
        position,
        days: days.into(),
        from_minute: range.from.into(),
        until_minute: range.until.into(),
        on_holiday,
    };
    let mut rows = Vec::new();
    for schedule in schedules {
        let weekly = schedule.weekly.iter().map(|it| (it.days.0, it.range, 0));
        let instead = match &schedule.on_holiday {
            OnHoliday::Instead(ranges) => ranges.as_slice(),
            OnHoliday::Closed | OnHoliday::AsUsual => &[],
        };
        let instead = instead.iter().map(|range| (0, *range, 1));
        let all = weekly.chain(instead).zip(0_i64..);
        rows.extend(all.map(|((days, range, holiday), position)| row(schedule, position, days, &range, holiday)));
    }
    rows
}

const fn holiday_code(on_holiday: &OnHoliday) -> &'static str {
    match on_holiday {
        OnHoliday::Closed => "closed",
        OnHoliday::AsUsual => "as_usual",
        OnHoliday::Instead(_) => "instead",
    }
}

fn schedule(id: &str, on_holiday: &str, ranges: &[RangeRow]) -> Result<Schedule, Error> {
    const T: &str = "schedule_range";
    let (mut weekly, mut instead) = (Vec::new(), Vec::new());
    for row in ranges.iter().filter(|row| row.schedule == id) {
        let range = MinuteRange {
            from: number(T, "from_minute", row.from_minute)?,
            until: number(T, "until_minute", row.until_minute)?,
        };
        if row.on_holiday != 0 {
            instead.push(range);
        } else {
            weekly.push(WeeklyRange { days: Weekdays(number(T, "days", row.days)?), range });
        }
    }
    let on_holiday = code("schedule", "on_holiday", on_holiday, |text| match text {
        "closed" => Some(OnHoliday::Closed),
        "as_usual" => Some(OnHoliday::AsUsual),
        "instead" => Some(OnHoliday::Instead(instead)),
        _ => None,
    })?;
    Ok(Schedule { id: column("schedule", "id", id, |text: &str| text.parse())?, weekly, on_holiday })
}

fn numbered<T>(items: &[T]) -> Vec<(i64, &T)> {
    (0..).zip(items).collect()
}

/// Names and codes have no commas.
fn list<T: ToString>(items: &[T]) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join(",")
}
