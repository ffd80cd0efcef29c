//! Passes as a record wants them. Pure: from the rows that are there to the rows that follow.

use std::collections::{HashMap, HashSet};

use domain::policy::{PassKind, PassState};
use domain::{PersonId, SealedNumber, UtcMillis};
use sqlx::FromRow;

use super::Problem;
use super::digest::hex;

/// A stored pass as it is now.
#[derive(FromRow, Clone, Debug, PartialEq, Eq)]
pub(super) struct PassRow {
    pub id: i64,
    pub card: String,
    pub person: String,
    pub kind: String,
    pub category: String,
    pub state: String,
    pub one_time: i64,
    pub valid_from: Option<i64>,
    pub valid_until: Option<i64>,
    pub pin: Option<String>,
    pub duress_pin: Option<String>,
    pub number: Option<String>,
}

/// The columns of [`PassRow`], for `SELECT`.
macro_rules! pass_columns {
    () => {
        "id, card, person, kind, category, state, one_time, valid_from, valid_until, pin, duress_pin, number"
    };
}
pub(super) use pass_columns;

/// How a pass came from a feed: the column `kind` of `feed_pass`.
pub(super) const BROUGHT: &str = "brought";
/// Brought without an end: the settings say when it is valid.
pub(super) const OPEN: &str = "open";
/// Withdrawn by the feed itself: told again, it works again.
pub(super) const ENDED: &str = "ended";

/// A card as it was told.
#[derive(Debug, Clone)]
pub(super) struct Card {
    pub id: String,
    pub number: Option<SealedNumber>,
    pub kind: PassKind,
    pub from: Option<UtcMillis>,
    pub until: Option<UtcMillis>,
}

/// What a record wants of the passes of a person.
#[derive(Debug, Clone)]
pub(super) struct Wish<'a> {
    pub person: PersonId,
    /// `None`: says nothing of cards.
    pub cards: Option<&'a [Card]>,
    /// `None`: stays as it is.
    pub category: Option<&'a str>,
    pub from: Option<UtcMillis>,
    pub until: Option<UtcMillis>,
    pub active: bool,
    /// Where the settings and not the record say when passes without an end are valid.
    pub window: Option<Window>,
    /// The kinds of passes that end with the record.
    pub kinds: &'a [PassKind],
}

/// When open passes are valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Window {
    /// From and until.
    Within(Option<i64>, Option<i64>),
    /// Not now.
    Never,
}

/// What is there.
pub(super) struct There<'a> {
    /// Passes of the persons and of the cards concerned, by card.
    pub passes: &'a HashMap<String, PassRow>,
    /// From which source each came, and how.
    pub brought: &'a HashMap<String, (String, String)>,
    pub source: &'a str,
    pub now: UtcMillis,
}

/// What is to be written.
#[derive(Debug, Default)]
pub(super) struct Writes {
    /// Rows that end.
    pub close: Vec<i64>,
    /// Rows that begin; their ids are given when they are written.
    pub passes: Vec<PassRow>,
    /// Card, person, and how it came.
    pub brought: Vec<(String, String, &'static str)>,
}

impl Writes {
    pub fn is_empty(&self) -> bool {
        self.close.is_empty() && self.passes.is_empty()
    }

    pub fn add(&mut self, other: Self) {
        self.close.extend(other.close);
        self.passes.extend(other.passes);
        self.brought.extend(other.brought);
    }

    fn replace(&mut self, before: Option<&PassRow>, after: PassRow) {
        if before.is_some_and(|before| *before == after) {
            return;
        }
        self.close.extend(before.map(|before| before.id));
        self.passes.push(after);
    }
}

/// What follows from a wish; nothing is written if it is refused.
pub(super) fn plan(wish: &Wish<'_>, there: &There<'_>) -> Result<Writes, Problem> {
    let person = wish.person.to_string();
    let mut writes = Writes::default();
    let listed: HashSet<&str> = wish.cards.into_iter().flatten().map(|card| card.id.as_str()).collect();
    for card in wish.cards.into_iter().flatten() {
        let before = there.passes.get(&card.id);
        let own = before.filter(|before| before.person == person);
        if before.is_some_and(|before| before.person != person && before.state != PassState::Withdrawn.as_str()) {
            return Err(Problem::CardTaken);
        }
        let how = there.brought.get(&card.id).filter(|_| own.is_some()).map(|(_, how)| how.as_str());
        let state = match own {
            Some(own) if own.state == PassState::Withdrawn.as_str() && how == Some(ENDED) => PassState::Active.as_str(),
            // A list does not make a blocked pass work again.
            Some(own) => own.state.as_str(),
            None => PassState::Active.as_str(),
        };
        let category = wish.category.or(own.map(|own| own.category.as_str())).unwrap_or_default();
        let (from, until) = (card.from.or(wish.from), card.until.or(wish.until));
        let is_open = until.is_none() && wish.window.is_some();
        let mut after = PassRow {
            id: own.map_or(0, |own| own.id),
            card: card.id.clone(),
            person: person.clone(),
            kind: card.kind.as_str().to_owned(),
            category: category.to_owned(),
            state: state.to_owned(),
            one_time: match own {
                Some(own) if own.kind == card.kind.as_str() => own.one_time,
                _ => i64::from(card.kind.is_one_time_by_default()),
            },
            valid_from: from.map(|at| at.0),
            valid_until: until.map(|at| at.0),
            pin: own.and_then(|own| own.pin.clone()),
            duress_pin: own.and_then(|own| own.duress_pin.clone()),
            number: card.number.map(|number| hex(number.0)).or_else(|| before.and_then(|before| before.number.clone())),
        };
        if let (true, Some(window)) = (is_open, wish.window) {
            open(&mut after, window, own, there.now);
        }
        if !wish.active {
            end(&mut after, wish.until, own, there.now);
        }
        writes.brought.push((card.id.clone(), person.clone(), if is_open { OPEN } else { BROUGHT }));
        // A card that was somebody else's and withdrawn: their row ends.
        if own.is_none() {
            writes.close.extend(before.map(|before| before.id));
        }
        writes.replace(own, after);
    }
    for before in there.passes.values().filter(|row| row.person == person && !listed.contains(row.card.as_str())) {
        let source_and_how = there.brought.get(&before.card);
        let is_ours = source_and_how.is_some_and(|(source, how)| source == there.source && how != ENDED);
        let mut after = before.clone();
        if is_ours && wish.cards.is_some() {
            if before.state != PassState::Withdrawn.as_str() {
                after.state = PassState::Withdrawn.as_str().to_owned();
                writes.brought.push((before.card.clone(), person.clone(), ENDED));
            }
        } else if is_ours {
            if let Some(category) = wish.category {
                after.category = category.to_owned();
            }
            after.valid_from = wish.from.map(|at| at.0).or(before.valid_from);
            match (wish.until, wish.window) {
                (Some(until), _) => after.valid_until = Some(until.0),
                (None, Some(window)) if source_and_how.is_some_and(|(_, how)| how == OPEN) => {
                    open(&mut after, window, Some(before), there.now);
                }
                (None, _) => {}
            }
        }
        if !wish.active && wish.kinds.iter().any(|kind| kind.as_str() == before.kind) {
            end(&mut after, wish.until, Some(before), there.now);
        }
        writes.replace(Some(before), after);
    }
    Ok(writes)
}

/// The open passes of a person after appointments or conditions changed.
pub(super) fn reopen(person: PersonId, window: Window, there: &There<'_>) -> Writes {
    let person = person.to_string();
    let mut writes = Writes::default();
    for before in there.passes.values().filter(|row| row.person == person) {
        if there.brought.get(&before.card).is_some_and(|(_, how)| how == OPEN) {
            let mut after = before.clone();
            open(&mut after, window, Some(before), there.now);
            writes.replace(Some(before), after);
        }
    }
    writes
}

fn open(after: &mut PassRow, window: Window, before: Option<&PassRow>, now: UtcMillis) {
    match window {
        Window::Within(from, until) => (after.valid_from, after.valid_until) = (from, until),
        Window::Never => end(after, None, before, now),
    }
}

/// Ends a pass at an instant, or now; one that has ended stays as it ended.
fn end(after: &mut PassRow, at: Option<UtcMillis>, before: Option<&PassRow>, now: UtcMillis) {
    let at = at.map_or(now.0, |at| at.0);
    let ended = before.and_then(|before| before.valid_until).filter(|until| *until <= at.max(now.0));
    after.valid_until = Some(ended.unwrap_or(at).min(after.valid_until.unwrap_or(i64::MAX)));
    // A pass that ends before it begins never was valid; the database keeps its beginning in order.
    if after.valid_from.is_some_and(|from| Some(from) >= after.valid_until) {
        after.valid_from = before.and_then(|before| before.valid_from).filter(|from| Some(*from) < after.valid_until);
    }
}

/// Writes passes inside a transaction, a few statements whatever their number; the policy's version rises if there is any.
macro_rules! write_passes {
    ($conn:expr, $db:ty, $writes:expr, $source:expr, $now:expr) => {{
        let writes: &$crate::feeds::passes::Writes = $writes;
        for close in writes.close.chunks(500) {
            let mut update = sqlx::QueryBuilder::<$db>::new("UPDATE credential SET until_ms = ");
            update.push_bind($now.0).push(", number = NULL WHERE id IN (");
            let mut list = update.separated(", ");
            for id in close {
                list.push_bind(*id);
            }
            update.push(")");
            update.build().persistent(false).execute(&mut *$conn).await?;
        }
        for passes in writes.passes.chunks(500) {
            let count = i64::try_from(passes.len()).unwrap_or(i64::MAX);
            let last: i64 =
                sqlx::query_scalar("UPDATE counter SET value = value + $1 WHERE name = 'credential' RETURNING value")
                    .bind(count)
                    .fetch_one(&mut *$conn)
                    .await?;
            let mut id = last - count;
            let mut insert = sqlx::QueryBuilder::<$db>::new(
                "INSERT INTO credential (id, card, person, kind, category, state, one_time, valid_from, valid_until, pin,
                     duress_pin, number, since_ms) ",
            );
            insert.push_values(passes, |mut row, pass| {
                id += 1;
                row.push_bind(id)
                    .push_bind(pass.card.clone())
                    .push_bind(pass.person.clone())
                    .push_bind(pass.kind.clone())
                    .push_bind(pass.category.clone())
                    .push_bind(pass.state.clone())
                    .push_bind(pass.one_time)
                    .push_bind(pass.valid_from)
                    .push_bind(pass.valid_until)
                    .push_bind(pass.pin.clone())
                    .push_bind(pass.duress_pin.clone())
                    .push_bind(pass.number.clone())
                    .push_bind($now.0);
            });
            insert.build().persistent(false).execute(&mut *$conn).await?;
        }
        for brought in writes.brought.chunks(500) {
            let mut insert = sqlx::QueryBuilder::<$db>::new("INSERT INTO feed_pass (card, person, source, kind) ");
            insert.push_values(brought, |mut row, (card, person, how)| {
                row.push_bind(card.clone()).push_bind(person.clone()).push_bind($source.clone()).push_bind(*how);
            });
            insert.push(
                " ON CONFLICT (card) DO UPDATE SET person = excluded.person, source = excluded.source,
                      kind = excluded.kind",
            );
            insert.build().persistent(false).execute(&mut *$conn).await?;
        }
        if !writes.is_empty() {
            sqlx::query("UPDATE counter SET value = value + 1 WHERE name = 'policy'").execute(&mut *$conn).await?;
        }
    }};
}
pub(super) use write_passes;

/// Inside a transaction: the passes of these persons and cards and how they came, as two maps by card.
macro_rules! passes_there {
    ($conn:expr, $db:ty, $persons:expr, $cards:expr) => {{
        let (persons, cards): (&[String], &[String]) = ($persons, $cards);
        let mut passes: std::collections::HashMap<String, $crate::feeds::passes::PassRow> = Default::default();
        let mut brought: std::collections::HashMap<String, (String, String)> = Default::default();
        for (column, ids) in [("person", persons), ("card", cards)] {
            for ids in ids.chunks(1000) {
                let mut select = sqlx::QueryBuilder::<$db>::new(concat!(
                    "SELECT ",
                    $crate::feeds::passes::pass_columns!(),
                    " FROM credential WHERE until_ms IS NULL AND "
                ));
                select.push(column).push(" IN (");
                let mut list = select.separated(", ");
                for id in ids {
                    list.push_bind(id.clone());
                }
                select.push(")");
                let rows: Vec<$crate::feeds::passes::PassRow> =
                    select.build_query_as().persistent(false).fetch_all(&mut *$conn).await?;
                passes.extend(rows.into_iter().map(|row| (row.card.clone(), row)));
                let mut select = sqlx::QueryBuilder::<$db>::new("SELECT card, source, kind FROM feed_pass WHERE ");
                select.push(column).push(" IN (");
                let mut list = select.separated(", ");
                for id in ids {
                    list.push_bind(id.clone());
                }
                select.push(")");
                let rows: Vec<(String, String, String)> =
                    select.build_query_as().persistent(false).fetch_all(&mut *$conn).await?;
                brought.extend(rows.into_iter().map(|(card, source, how)| (card, (source, how))));
            }
        }
        (passes, brought)
    }};
}
pub(super) use passes_there;

/// Inside a transaction: when the open passes of these patients are valid, by person; empty where records say it.
macro_rules! windows {
    ($conn:expr, $db:ty, $settings:expr, $persons:expr, $now:expr) => {{
        let (settings, persons): (&$crate::feeds::Settings, &[String]) = ($settings, $persons);
        let mut windows: std::collections::HashMap<String, $crate::feeds::passes::Window> = Default::default();
        let (text, margin) = match &settings.patient_passes {
            $crate::feeds::PatientPasses::AsGiven => ("", (0, 0)),
            $crate::feeds::PatientPasses::Appointments { before_ms, after_ms } => (
                "SELECT patient, MIN(starts_ms), MAX(ends_ms) FROM appointment WHERE state IN ('booked', 'arrived')
                 AND ends_ms > ",
                (*before_ms, *after_ms),
            ),
            $crate::feeds::PatientPasses::Condition(_) => {
                ("SELECT person, from_ms, until_ms FROM person_condition WHERE holds = 1 AND condition = ", (0, 0))
            }
        };
        if !text.is_empty() {
            for persons in persons.chunks(1000) {
                windows.extend(persons.iter().map(|it| (it.clone(), $crate::feeds::passes::Window::Never)));
                let mut select = sqlx::QueryBuilder::<$db>::new(text);
                let group = match &settings.patient_passes {
                    $crate::feeds::PatientPasses::Condition(condition) => {
                        select.push_bind(condition.to_string()).push(" AND person IN (");
                        ")"
                    }
                    _ => {
                        select.push_bind($now.0.saturating_sub(margin.1)).push(" AND patient IN (");
                        ") GROUP BY patient"
                    }
                };
                let mut list = select.separated(", ");
                for id in persons {
                    list.push_bind(id.clone());
                }
                select.push(group);
                let rows: Vec<(String, Option<i64>, Option<i64>)> =
                    select.build_query_as().persistent(false).fetch_all(&mut *$conn).await?;
                windows.extend(rows.into_iter().map(|(person, from, until)| {
                    let from = from.map(|at| at.saturating_sub(margin.0));
                    let until = until.map(|at| at.saturating_add(margin.1));
                    (person, $crate::feeds::passes::Window::Within(from, until))
                }));
            }
        }
        windows
    }};
}
pub(super) use windows;

/// Inside a transaction: sets the open passes of these patients anew after appointments or conditions changed.
macro_rules! reopen_passes {
    ($conn:expr, $db:ty, $settings:expr, $persons:expr, $source:expr, $now:expr) => {{
        let persons: &[String] = $persons;
        let windows = $crate::feeds::passes::windows!($conn, $db, $settings, persons, $now);
        if !windows.is_empty() {
            let (passes, brought) = $crate::feeds::passes::passes_there!($conn, $db, persons, &[]);
            let there = $crate::feeds::passes::There { passes: &passes, brought: &brought, source: $source, now: $now };
            let mut writes = $crate::feeds::passes::Writes::default();
            for (person, window) in &windows {
                let person = $crate::rows::column("credential", "person", person, |text: &str| text.parse())?;
                writes.add($crate::feeds::passes::reopen(person, *window, &there));
            }
            $crate::feeds::passes::write_passes!($conn, $db, &writes, $source, $now);
        }
    }};
}
pub(super) use reopen_passes;
