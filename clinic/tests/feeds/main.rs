//! What other systems tell, on both engines: taken once, in the right order, from the right source, and never too much
//! ended by a list that lost its half.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests and what they share")]

mod language;
mod merges;
mod order;
mod people;
mod routes;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use clinic::acting::Acting;
use clinic::feeds::{
    Alias, CardRecord, Feeds, Mode, PatientRecord, Records, Report, Settings, SiteKeys, Source, StaffRecord,
};
use clinic::people::Reference;
use clinic::vault::{Blobs, KeySource, Vault};
use domain::card::{CardFormat, CardKey, parse};
use domain::policy::{Layout, Point, PointKind};
use domain::vault::{Names, Passport, PassportChange};
use domain::zone::Zone;
use domain::{CardId, CategoryId, Clock, PersonId, PointId, UtcMillis, ZoneId};
use store::Database;
use store::testing::both;

/// 2026-11-21T08:00:00Z, 10:00 in Kyiv.
pub const NOW: UtcMillis = UtcMillis(1_795_248_000_000);
pub const HOUR: i64 = 3_600_000;

pub struct Scene {
    pub database: Database,
    pub feeds: Feeds,
    pub vault: Vault,
    pub now: Arc<AtomicI64>,
    _folder: Arc<tempfile::TempDir>,
}

pub fn source(name: &str) -> Source {
    Source::new(name).unwrap()
}

pub fn reference(text: &str) -> Reference {
    Reference::new(text).unwrap()
}

pub fn alias(text: &str) -> Alias {
    Alias::own(reference(text))
}

pub fn zone(id: &str) -> ZoneId {
    ZoneId::new(id).unwrap()
}

pub fn card(number: &str) -> CardRecord {
    CardRecord { number: parse(CardFormat::UidHex, number).unwrap(), kind: None, from: None, until: None }
}

pub fn card_id(number: &str) -> CardId {
    CardKey::new([3; 32]).id(&parse(CardFormat::UidHex, number).unwrap())
}

pub fn named(family: &str) -> Option<PassportChange> {
    let passport = Passport { names: Names::new(family, "Olena", ""), ..Passport::default() };
    Some(PassportChange { names: Some(passport.names), ..PassportChange::default() })
}

pub fn staff(id: &str) -> StaffRecord {
    StaffRecord::new(reference(id))
}

pub fn patient(id: &str) -> PatientRecord {
    PatientRecord::new(reference(id))
}

pub fn layout() -> Layout {
    let mut layout = Layout { time_zone: "Europe/Kyiv".to_owned(), ..Layout::empty() };
    let inside = |name: &str| Zone { inside: Some(zone("clinic")), ..Zone::new(zone(name)) };
    layout.zones = vec![
        Zone { outside: true, ..Zone::new(zone("street")) },
        Zone::new(zone("clinic")),
        inside("room-1"),
        inside("room-2"),
    ];
    layout.categories = vec![CategoryId::new("patient").unwrap()];
    let point =
        |name: &str, kind, from: &str, to: &str| Point::new(PointId::new(name).unwrap(), kind, zone(from), zone(to));
    layout.points = vec![
        point("t1", PointKind::Turnstile, "street", "clinic"),
        point("d1", PointKind::Door, "clinic", "room-1"),
        point("d2", PointKind::Door, "clinic", "room-2"),
        point("desk-1", PointKind::Workstation, "room-1", "room-1"),
    ];
    layout
}

/// The same clinic on each engine, its vault open.
pub async fn scenes(settings: impl Fn(&mut Settings)) -> Vec<Scene> {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let mut scenes = Vec::new();
    for (index, database) in both(folder.path()).await.into_iter().enumerate() {
        clinic::policy::put_layout(&database, layout(), NOW).await.unwrap();
        let own = folder.path().join(index.to_string());
        std::fs::create_dir(&own).unwrap();
        let now = Arc::new(AtomicI64::new(NOW.0));
        let vault = vault(&database, &own, &now, KeySource::Own(own.join("vault.key")));
        vault.start().await.unwrap();
        let mut changed = Settings::new(chrono_tz::Europe::Kyiv);
        settings(&mut changed);
        let feeds = feeds(&database, &now, Some(vault.clone()), changed);
        scenes.push(Scene { database, feeds, vault, now, _folder: Arc::clone(&folder) });
    }
    scenes
}

pub fn vault(database: &Database, folder: &Path, now: &Arc<AtomicI64>, source: KeySource) -> Vault {
    let now = Arc::clone(now);
    let clock = Clock::new(move || UtcMillis(now.load(Ordering::Relaxed)));
    Vault::new(database.clone(), clock, Blobs::folder(&folder.join("photos")), source)
}

pub fn feeds(database: &Database, now: &Arc<AtomicI64>, vault: Option<Vault>, settings: Settings) -> Feeds {
    let now = Arc::clone(now);
    let clock = Clock::new(move || UtcMillis(now.load(Ordering::Relaxed)));
    let keys = SiteKeys { card: CardKey::new([3; 32]), seal: None };
    Feeds::new(database.clone(), clock, vault, keys, settings)
}

impl Scene {
    pub fn at(&self) -> UtcMillis {
        UtcMillis(self.now.load(Ordering::Relaxed))
    }

    pub async fn told(&self, by: &str, records: Records, mode: Mode) -> Report {
        let by = source(by);
        self.feeds.take(&Acting::feed(&by), &by, records, mode).await.unwrap()
    }

    pub async fn changes(&self, by: &str, records: Records) -> Report {
        self.told(by, records, Mode::Changes).await
    }

    pub async fn person(&self, by: &str, id: &str) -> PersonId {
        clinic::feeds::person_of_alias(&self.database, by, id).await.unwrap().expect("somebody is called so")
    }

    pub async fn pass(&self, number: &str) -> clinic::people::Pass {
        clinic::people::pass(&self.database, card_id(number)).await.unwrap().expect("there is such a card")
    }

    pub async fn policy_version(&self) -> u64 {
        clinic::policy::version(&self.database).await.unwrap()
    }
}

pub fn counts(report: &Report) -> (u64, u64, u64, u64, u64, u64) {
    assert!(report.held.is_none(), "{report:?}");
    (report.added, report.changed, report.unchanged, report.older, report.ended, report.refusals())
}
