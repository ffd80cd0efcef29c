//! Taps out of the events that gateways recorded, in their order, each in one transaction with the follower's row: after
//! a crash nothing is lost and nothing is done twice.

use domain::desk::{Refusal, Rules};
use domain::policy::Verify;
use domain::{CardId, Kind, PointId, Reason, UtcMillis, ZoneId};
use sqlx::FromRow;
use store::{Error, Fault, read, transact};

use super::tap::{Heard, Tap, Taps};
use super::{Desk, DeskError, TapOutcome};
use crate::changes::{self, Change, ChangeKind};
use crate::draw;
use crate::rows::{code, column, optional};

/// Taps read at once.
const TAPS_MAX: i64 = 200;
/// Events looked through at once: behind a long outage the way to the next tap is walked in such steps.
const EVENTS_MAX: i64 = 20_000;

/// What [`Desk::work`] has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Worked {
    /// Taps that were taken by this call.
    pub taps: u64,
    /// Taps that another program took first.
    pub others: u64,
    /// How far the follower is now.
    pub upto: u64,
}

#[derive(FromRow)]
struct Row {
    id: i64,
    at_ms: i64,
    age_ms: Option<i64>,
    kind: String,
    reason: Option<String>,
    point: String,
    card: Option<String>,
    to_zone: String,
    verify: String,
}

/// A tap of the feed.
struct Heards {
    id: i64,
    workstation: PointId,
    zone: ZoneId,
    card: Option<CardId>,
    at: UtcMillis,
    heard: Heard,
}

impl TryFrom<Row> for Heards {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        const T: &str = "event";
        let kind = code(T, "kind", &row.kind, Kind::parse)?;
        let reason = row.reason.map(|text| code(T, "reason", &text, Reason::parse)).transpose()?;
        let verify = code("point", "verify", &row.verify, Verify::parse)?;
        Ok(Self {
            id: row.id,
            workstation: column(T, "point", &row.point, PointId::new)?,
            zone: column("point", "to_zone", &row.to_zone, ZoneId::new)?,
            card: optional(T, "card", row.card.as_deref(), |text: &str| text.parse())?,
            at: UtcMillis(row.at_ms.saturating_sub(row.age_ms.unwrap_or(0))),
            heard: heard(kind, reason, verify),
        })
    }
}

/// What a recorded fact means at a desk.
fn heard(kind: Kind, reason: Option<Reason>, verify: Verify) -> Heard {
    let plain = |refusal| Heard::Not(refusal, None);
    match (kind, reason) {
        (Kind::Granted, Some(Reason::Allowed)) => Heard::Card { with_pin: verify == Verify::CardPin },
        // A soft point grants in spite of a reason; then no PIN was checked for certain.
        (Kind::Granted, _) => Heard::Card { with_pin: false },
        (Kind::LateTap, _) => plain(Refusal::LateTap),
        // Whoever is forced to type it must not be betrayed by the screen; the alarm stands beside it.
        (Kind::PinEntered, Some(Reason::Allowed | Reason::Duress)) => Heard::Pin(Ok(())),
        (Kind::PinEntered, Some(Reason::PinLocked)) => Heard::Pin(Err(Refusal::PinLocked)),
        (Kind::PinEntered, _) => Heard::Pin(Err(Refusal::PinWrong)),
        (_, Some(Reason::UnknownCard)) => plain(Refusal::UnknownCard),
        (_, Some(Reason::UnreadableCard)) => plain(Refusal::UnreadableCard),
        (_, Some(Reason::Blocked)) => plain(Refusal::Blocked),
        (_, Some(Reason::Lost)) => plain(Refusal::Lost),
        (_, Some(Reason::Withdrawn)) => plain(Refusal::Withdrawn),
        (_, Some(Reason::NotYetValid)) => plain(Refusal::NotYetValid),
        (_, Some(Reason::Expired)) => plain(Refusal::Expired),
        (_, reason) => Heard::Not(Refusal::RefusedAtReader, reason.map(Reason::as_str)),
    }
}

impl Desk {
    /// Takes all taps at workstations that are new in the feed of events. Called after each batch that was taken in, and
    /// now and then.
    ///
    /// # Errors
    /// Engine errors: what was done stays done, the rest is done by the next call.
    pub async fn work(&self) -> Result<Worked, DeskError> {
        let mut worked = Worked::default();
        loop {
            let (from, newest): (i64, i64) = read!(self.database, "desk.behind", |conn| {
                Ok(sqlx::query_as(
                    "SELECT COALESCE((SELECT last_id FROM follower WHERE name = 'desk'), 0),
                            (SELECT value FROM counter WHERE name = 'event')",
                )
                .fetch_one(&mut *conn)
                .await?)
            })?;
            worked.upto = from.cast_unsigned();
            if newest <= from {
                return Ok(worked);
            }
            let until = newest.min(from.saturating_add(EVENTS_MAX));
            let rows: Vec<Row> = read!(self.database, "desk.taps", |conn| {
                Ok(sqlx::query_as(
                    "SELECT e.id, e.at_ms, e.age_ms, e.kind, e.reason, e.point, e.card, p.to_zone, p.verify
                     FROM event e JOIN point p ON p.id = e.point AND p.kind = 'workstation'
                     WHERE e.id > $1 AND e.id <= $2 AND e.kind IN ('granted', 'refused', 'late_tap', 'pin_entered')
                     ORDER BY e.id LIMIT $3",
                )
                .bind(from)
                .bind(until)
                .bind(TAPS_MAX)
                .fetch_all(&mut *conn)
                .await?)
            })?;
            let is_full = rows.len() as i64 == TAPS_MAX;
            let mut upto = from;
            for row in rows {
                upto = row.id;
                match self.take_row(row).await? {
                    true => worked.taps += 1,
                    false => worked.others += 1,
                }
            }
            if !is_full && upto < until {
                // Nothing of ours up to there: only the follower moves on.
                transact!(self.database, "desk.pass_by", |conn| {
                    sqlx::query("UPDATE follower SET last_id = $1 WHERE name = 'desk' AND last_id < $1")
                        .bind(until)
                        .execute(&mut *conn)
                        .await?;
                    Ok(())
                })?;
            }
        }
    }

    /// One tap of the feed; false if another program has taken it. A tap that cannot be taken, however often it is
    /// tried, must not hold up all others for ever: it is passed by, and whoever tapped is told to tap again.
    async fn take_row(&self, row: Row) -> Result<bool, Error> {
        let (event, point) = (row.id, row.point.clone());
        let error = match Heards::try_from(row) {
            Ok(heard) => match self.take(&heard).await {
                Ok(outcome) => return Ok(outcome.is_some()),
                Err(error) => match self.take(&heard).await {
                    Ok(outcome) => return Ok(outcome.is_some()),
                    Err(_) => error,
                },
            },
            Err(error) => error,
        };
        if !matches!(error.fault(), Fault::Conflict(_) | Fault::BadRow { .. } | Fault::Other) {
            return Err(error);
        }
        tracing::error!(event, point, %error, "desk.tap.passed_by");
        let (point, now) = (PointId::new(&point).ok(), self.clock.now());
        transact!(self.database, "desk.pass_over", |conn| {
            sqlx::query("UPDATE follower SET last_id = $1 WHERE name = 'desk' AND last_id < $1")
                .bind(event)
                .execute(&mut *conn)
                .await?;
            let reason = Some(Refusal::OurFault.as_str().to_owned());
            let change = Change { reason, workstation: point.clone(), ..Change::new(now, now, ChangeKind::TapRefused) };
            changes::append!(conn, &change);
            Ok(true)
        })
    }

    /// One tap of the feed; `None` if another program has taken it.
    async fn take(&self, heard: &Heards) -> Result<Option<TapOutcome>, Error> {
        let tap = Tap {
            workstation: heard.workstation.clone(),
            zone: heard.zone.clone(),
            heard: heard.heard,
            card: heard.card,
            at: heard.at,
            now: self.clock.now(),
            session_id: draw::id()?,
            visit_id: uuid_text()?,
            visit_rules: self.visit_rules,
        };
        let (rules, event): (Rules, i64) = (self.rules, heard.id);
        transact!(self.database, "desk.tap", |conn| {
            // First the follower's row: who has it takes the tap, and who comes later finds it taken.
            let mine = sqlx::query("UPDATE follower SET last_id = $1 WHERE name = 'desk' AND last_id < $1")
                .bind(event)
                .execute(&mut *conn)
                .await?
                .rows_affected();
            if mine == 0 {
                return Ok(None);
            }
            Ok(Some(conn.take_tap(&rules, &tap).await?))
        })
    }

    /// A card that was read by the page of a workstation, with `at` as its reader's time. The same rules, the same
    /// record.
    ///
    /// # Errors
    /// [`DeskError::NoWorkstation`], or engine errors.
    pub async fn tap_from_page(
        &self,
        workstation: &PointId,
        card: CardId,
        at: UtcMillis,
    ) -> Result<TapOutcome, DeskError> {
        let zone: Option<String> = {
            let point = workstation.as_str();
            read!(self.database, "desk.zone_of", |conn| {
                Ok(sqlx::query_scalar("SELECT to_zone FROM point WHERE id = $1 AND kind = 'workstation'")
                    .bind(point)
                    .fetch_optional(&mut *conn)
                    .await?)
            })?
        };
        let zone = zone.ok_or(DeskError::NoWorkstation)?;
        let tap = Tap {
            workstation: workstation.clone(),
            zone: column("point", "to_zone", &zone, ZoneId::new)?,
            heard: Heard::Card { with_pin: false },
            card: Some(card),
            at,
            now: self.clock.now(),
            session_id: draw::id()?,
            visit_id: uuid_text()?,
            visit_rules: self.visit_rules,
        };
        let rules = self.rules;
        Ok(transact!(self.database, "desk.tap_from_page", |conn| {
            // Takes turns with the taps of readers: two that bind at once would collide at the binding itself.
            sqlx::query("UPDATE follower SET last_id = last_id WHERE name = 'desk'").execute(&mut *conn).await?;
            conn.take_tap(&rules, &tap).await
        })?)
    }
}

/// A random UUID (version 4), as other systems want ids.
fn uuid_text() -> Result<String, Error> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(|_| Error::new("drawing an id", store::Fault::Io))?;
    Ok(uuid::Builder::from_random_bytes(bytes).into_uuid().to_string())
}
