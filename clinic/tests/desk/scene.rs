//! A clinic with four desks, three doctors, a cleaner and patients; taps come as a gateway records them.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use clinic::acting::{Acting, Actor};
use clinic::changes::{self, Change};
use clinic::desk::{Desk, DeskSession, Factor, Rules, TapOutcome};
use clinic::ingest::{Ingested, ingest};
use clinic::staff::{self, Staff};
use clinic::{Database, policy};
use domain::policy::{Layout, PassKind, Point, PointKind};
use domain::zone::Zone;
use domain::{
    CardId, Clock, Draft, Entry, Epoch, GatewayId, Kind, PersonId, PointId, Reason, Rights, Shipped, UtcMillis, ZoneId,
};

/// 2026-11-20T08:00:00Z.
pub(crate) const NOW: UtcMillis = UtcMillis(1_795_161_600_000);
pub(crate) const SECOND: i64 = 1000;
pub(crate) const MINUTE: i64 = 60_000;
pub(crate) const HOUR: i64 = 60 * MINUTE;

/// Doctors are 1 to 3, a cleaner is 4, patients are 10 and up; a person's card has the person's number.
pub(crate) const CLEANER: u8 = 4;

pub(crate) struct Scene {
    pub(crate) database: Database,
    pub(crate) desk: Desk,
    now: Arc<AtomicI64>,
    seq: AtomicU64,
}

pub(crate) fn person(number: u8) -> PersonId {
    PersonId([number; 16])
}

pub(crate) fn card(number: u8) -> CardId {
    CardId([number; 16])
}

pub(crate) fn point(number: u8) -> PointId {
    PointId::new(&format!("desk-{number}")).unwrap()
}

/// Rules without a second factor.
pub(crate) fn plain() -> Rules {
    Rules { factor: Factor::None, ..Rules::default() }
}

pub(crate) fn manager() -> Acting {
    let rights = Rights::of(Shipped::Administrator);
    Acting { actor: Actor::Account("e".repeat(32)), rights, session: None, address: None, glass: None }
}

/// The same scene on both engines.
pub(crate) async fn both(folder: &Path, rules: Rules) -> Vec<Scene> {
    let mut scenes = Vec::new();
    for database in store::testing::both(folder).await {
        scenes.push(Scene::new(database, rules).await);
    }
    scenes
}

impl Scene {
    pub(crate) async fn new(database: Database, rules: Rules) -> Self {
        let mut layout = Layout {
            time_zone: "Europe/Kyiv".to_owned(),
            zones: vec![
                Zone { outside: true, ..Zone::new(ZoneId::new("street").unwrap()) },
                Zone::new(ZoneId::new("clinic").unwrap()),
            ],
            ..Layout::empty()
        };
        let (street, clinic) = (ZoneId::new("street").unwrap(), ZoneId::new("clinic").unwrap());
        layout.points.push(Point::new(
            PointId::new("turnstile").unwrap(),
            PointKind::Turnstile,
            street,
            clinic.clone(),
        ));
        for number in 1..=4 {
            let room = ZoneId::new(&format!("room-{number}")).unwrap();
            layout.zones.push(Zone { inside: Some(clinic.clone()), ..Zone::new(room.clone()) });
            layout.points.push(Point::new(point(number), PointKind::Workstation, clinic.clone(), room));
        }
        policy::put_layout(&database, layout, NOW).await.unwrap();
        let now = Arc::new(AtomicI64::new(NOW.0));
        let clock = {
            let now = now.clone();
            Clock::new(move || UtcMillis(now.load(Ordering::Relaxed)))
        };
        let desk = Desk::new(database.clone(), clock, rules);
        let scene = Self { database, desk, now, seq: AtomicU64::new(0) };
        for number in 1..=CLEANER {
            scene.pass(number, number, PassKind::Staff).await;
        }
        for number in 10..=20 {
            scene.pass(number, number, PassKind::Patient).await;
        }
        for number in 1..=3 {
            staff::put(&scene.database, &manager(), &Staff::new(person(number), Shipped::Doctor), NOW).await.unwrap();
        }
        scene
    }

    /// Gives a person a pass.
    pub(crate) async fn pass(&self, who: u8, number: u8, kind: PassKind) {
        let (person, card) = (person(who).to_string(), card(number).to_string());
        store::transact!(self.database, "test.pass", |conn| {
            sqlx::query("INSERT INTO person (id, created_ms) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING")
                .bind(&person)
                .bind(NOW.0)
                .execute(&mut *conn)
                .await?;
            let id: i64 =
                sqlx::query_scalar("UPDATE counter SET value = value + 1 WHERE name = 'credential' RETURNING value")
                    .fetch_one(&mut *conn)
                    .await?;
            sqlx::query(
                "INSERT INTO credential (id, card, person, kind, category, state, one_time, since_ms)
                 VALUES ($1, $2, $3, $4, 'any', 'active', 0, $5)",
            )
            .bind(id)
            .bind(&card)
            .bind(&person)
            .bind(kind.as_str())
            .bind(NOW.0)
            .execute(&mut *conn)
            .await?;
            Ok(())
        })
        .unwrap();
    }

    pub(crate) fn now(&self) -> UtcMillis {
        UtcMillis(self.now.load(Ordering::Relaxed))
    }

    pub(crate) fn go_on(&self, ms: i64) {
        self.now.fetch_add(ms, Ordering::Relaxed);
    }

    /// A fact at a desk, now.
    pub(crate) fn fact(&self, desk: u8, number: u8, kind: Kind, reason: Reason) -> Draft {
        Draft {
            reason: Some(reason),
            point: Some(point(desk)),
            card: Some(card(number)),
            ..Draft::new(self.now(), kind)
        }
    }

    /// Takes facts in, as the bridge does.
    pub(crate) async fn record(&self, facts: Vec<Draft>) {
        let entries = facts
            .into_iter()
            .map(|fact| Entry {
                gateway: GatewayId::new("gw-1").unwrap(),
                epoch: Epoch([5; 16]),
                seq: self.seq.fetch_add(1, Ordering::Relaxed) + 1,
                fact,
            })
            .collect();
        let taken = ingest(&self.database, entries, self.now()).await.unwrap();
        assert!(matches!(taken, Ingested::Committed { .. }), "{taken:?}");
    }

    /// A card at a desk, as its reader granted it; and the work of the bridge.
    pub(crate) async fn tap(&self, desk: u8, number: u8) {
        self.record(vec![self.fact(desk, number, Kind::Granted, Reason::Allowed)]).await;
        self.desk.work().await.unwrap();
    }

    /// The same through the page.
    pub(crate) async fn page_tap(&self, desk: u8, number: u8) -> TapOutcome {
        self.desk.tap_from_page(&point(desk), card(number), self.now()).await.unwrap()
    }

    pub(crate) async fn at(&self, desk: u8) -> Option<DeskSession> {
        self.desk.current(&point(desk)).await.unwrap()
    }

    /// State and holder at a desk, in short: `open 1`.
    pub(crate) async fn shown(&self, desk: u8) -> String {
        match self.at(desk).await {
            Some(session) => format!("{} {}", session.state, session.person.0[0]),
            None => "free".to_owned(),
        }
    }

    pub(crate) async fn changes(&self) -> Vec<Change> {
        changes::after(&self.database, 0, changes::READ_MAX).await.unwrap()
    }

    /// Changes since the last `skip` of them in short: `session_opened/desk-1/1`, with the reason if there is one.
    pub(crate) async fn told(&self, skip: usize) -> Vec<String> {
        let all = self.changes().await;
        let desks = all.iter().filter(|change| change.workstation.is_some());
        let short = |change: &Change| {
            let desk = change.workstation.as_ref().unwrap();
            let who = change.staff.map_or(0, |person| person.0[0]);
            let reason = change.reason.as_ref().map(|reason| format!(" {reason}")).unwrap_or_default();
            format!("{}/{desk}/{who}{reason}", change.kind)
        };
        desks.skip(skip).map(short).collect()
    }

    /// The audit log of desks, oldest first: action, outcome, actor, detail up to the first semicolon.
    pub(crate) async fn log(&self) -> Vec<String> {
        let rows: Vec<(String, String, Option<String>, Option<String>)> =
            store::read!(self.database, "test.log", |conn| {
                Ok(sqlx::query_as(
                    "SELECT action, outcome, actor, detail FROM audit_entry WHERE action IN ('desk_opened', 'desk_ended')
                     ORDER BY no",
                )
                .fetch_all(&mut *conn)
                .await?)
            })
            .unwrap();
        let short = |(action, outcome, actor, detail): (String, String, Option<String>, Option<String>)| {
            let detail = detail.unwrap_or_default();
            let detail = detail.split(';').next().unwrap_or_default().to_owned();
            let who = actor.map_or_else(|| "-".to_owned(), |actor| actor[..2].to_owned());
            format!("{action} {outcome} {who} {detail}")
        };
        rows.into_iter().map(short).collect()
    }
}
