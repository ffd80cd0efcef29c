//! The audit log told as a story on both engines: searching, proving, exporting, blotting out, taking over the older log,
//! heads in second places, and what happens when an act fails half-way.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests and what they share")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use clinic::acting::{Acting, Actor};
use clinic::audit::{
    self, Action, AuditError, Blotted, Draft, Filter, HeadKey, Note, Outcome, PlaceState, Position, Publisher,
    Publishing, Purpose,
};
use domain::audit::SignedHead;
use domain::{Clock, Field, Permission, PersonId, Rights, SiteId, UtcMillis};
use store::{Database, read, transact};

const NOW: UtcMillis = UtcMillis(1_790_000_000_000);

fn site() -> SiteId {
    SiteId::new("clinic-1").unwrap()
}

/// An auditor, and what they may.
fn auditor() -> Acting {
    Acting { actor: Actor::Account("ad".repeat(16)), rights: Rights::of(domain::Shipped::Auditor), ..Acting::console() }
}

async fn write(database: &Database, n: i64, draft: Draft) {
    audit::write(database, Draft { at: NOW.plus_ms(n * 1000), ..draft }).await.unwrap();
}

fn by(account: &str, action: Action) -> Draft {
    Draft::new(NOW, Actor::Account(account.to_owned()), action)
}

async fn morning(database: &Database) {
    for n in 0..20_i64 {
        let draft = match n % 4 {
            0 => Draft {
                subject: Some(PersonId([(n % 8) as u8; 16])),
                fields: vec![Field::Name],
                purpose: Some(Purpose::Treatment),
                note: Some(format!("because {n}")),
                ..by("doctor", Action::PersonRevealed)
            },
            1 => Draft { outcome: Outcome::Refused, ..by("guard", Action::Refused) },
            2 => Draft { session: Some("s1".to_owned()), ..by("guard", Action::SignedIn) },
            _ => Draft { object: Some("turnstile-2".to_owned()), ..by("guard", Action::DoorOrdered) },
        };
        write(database, n, draft).await;
    }
}

fn publisher(database: &Database, places: &[&Path]) -> Publisher {
    let clock = Clock::new(|| NOW.plus_ms(3_600_000));
    let publishing = Publishing {
        site: site(),
        key: HeadKey::from_seed(&[7; 32]).unwrap(),
        places: places.iter().map(|place| place.to_path_buf()).collect(),
        every: Duration::from_secs(600),
    };
    Publisher::new(database.clone(), clock, publishing)
}

#[tokio::test]
async fn a_search_narrows_pages_through_and_is_itself_recorded() {
    let folder = tempfile::tempdir().unwrap();
    for database in store::testing::both(folder.path()).await {
        morning(&database).await;
        let auditor = auditor();
        let now = NOW.plus_ms(60_000);
        let find = async |filter: Filter, behind: Option<Position>, limit: u32| {
            audit::search(&database, &auditor, now, &filter, behind, limit).await.unwrap()
        };
        let numbers = |page: &audit::Page| page.entries.iter().map(|it| it.entry.no).collect::<Vec<_>>();
        let guard = Filter { actor: Some(Actor::Account("guard".to_owned())), ..Filter::default() };
        let first = find(guard.clone(), None, 10).await;
        let second = find(guard.clone(), first.next, 10).await;
        assert_eq!((numbers(&first).len(), numbers(&second).len(), second.next), (10, 5, None));
        assert!(numbers(&first).iter().chain(&numbers(&second)).is_sorted_by(|a, b| a > b));
        for (filter, count) in [
            (Filter { actions: vec![Action::SignedIn, Action::Refused], ..Filter::default() }, 10),
            (Filter { outcome: Some(Outcome::Refused), ..Filter::default() }, 5),
            (Filter { subject: Some(PersonId([4; 16])), ..Filter::default() }, 2),
            (Filter { purpose: Some(Purpose::Treatment), ..Filter::default() }, 5),
            (Filter { object: Some("turnstile-2".to_owned()), ..Filter::default() }, 5),
            (Filter { session: Some("s1".to_owned()), ..Filter::default() }, 5),
            (Filter { from: Some(NOW), until: Some(NOW.plus_ms(3000)), ..Filter::default() }, 3),
        ] {
            assert_eq!(find(filter.clone(), None, 50).await.entries.len(), count, "{filter:?}");
        }
        let looks = find(Filter { actions: vec![Action::AuditRead], ..Filter::default() }, None, 50).await;
        assert_eq!(looks.entries.len(), 9, "each search so far is an entry");
        let about = looks.entries.iter().filter(|it| it.entry.subject.is_some()).count();
        assert_eq!(about, 1, "a search about a person is found when one asks who looked");
        let nobody = Acting { rights: Rights::default(), ..auditor.clone() };
        let before = audit::size(&database).await.unwrap();
        let refused = audit::search(&database, &nobody, now, &guard, None, 10).await;
        assert!(matches!(refused, Err(AuditError::Denied(denied)) if denied.0 == Permission::AuditSee));
        assert_eq!(audit::size(&database).await.unwrap(), before);
    }
}

#[tokio::test]
async fn a_note_is_blotted_out_and_the_entry_still_proves() {
    let folder = tempfile::tempdir().unwrap();
    for database in store::testing::both(folder.path()).await {
        morning(&database).await;
        let console = Acting::console();
        let leaf = audit::entry(&database, &console, NOW, 1).await.unwrap().unwrap().entry.leaf();
        let auditor = auditor();
        assert!(matches!(audit::blot(&database, &auditor, NOW, 1, "erasure").await, Err(AuditError::Denied(_))));
        assert_eq!(audit::blot(&database, &console, NOW, 1, "erasure").await.unwrap(), Blotted::Done);
        assert_eq!(audit::blot(&database, &console, NOW, 1, "erasure").await.unwrap(), Blotted::NoNote);
        assert_eq!(audit::blot(&database, &console, NOW, 999, "erasure").await.unwrap(), Blotted::NoEntry);
        let proof = audit::proof(&database, &console, NOW, 1).await.unwrap().unwrap();
        assert_eq!((&proof.recorded.note, proof.recorded.entry.leaf()), (&Note::Blotted, leaf));
        assert!(proof.head.is_none() && proof.inclusion.holds(leaf, proof.root));
        publisher(&database, &[]).round(true).await;
        let signed = audit::proof(&database, &console, NOW, 1).await.unwrap().unwrap();
        let head = signed.head.unwrap().head;
        assert!(signed.inclusion.holds(leaf, head.root));
        write(&database, 90, by("guard", Action::SignedIn)).await;
        let size = audit::size(&database).await.unwrap();
        let later = audit::consistency(&database, &console, NOW, head.size, size).await.unwrap().unwrap();
        let root = audit::root_at(&database, size).await.unwrap().unwrap();
        assert!(later.holds(head.root, root));
        assert_eq!(audit::root_at(&database, head.size).await.unwrap(), Some(head.root));
        assert_eq!(audit::consistency(&database, &console, NOW, 5, 9999).await.unwrap(), None);
    }
}

#[tokio::test]
async fn lines_of_the_older_log_are_taken_over_once() {
    let folder = tempfile::tempdir().unwrap();
    for database in store::testing::both(folder.path()).await {
        transact!(database, "test.lines", |conn| {
            for (n, action) in ["signed_in", "created", "role_changed", "something_old"].into_iter().enumerate() {
                sqlx::query("INSERT INTO account_log (id, at, actor, action, target) VALUES ($1, $2, 'a1', $3, 'b2')")
                    .bind(format!("line{n}"))
                    .bind(NOW.0 - 1000 + n as i64)
                    .bind(action)
                    .execute(&mut *conn)
                    .await?;
            }
            Ok(())
        })
        .unwrap();
        assert_eq!(audit::adopt(&database, NOW).await.unwrap(), 4);
        assert_eq!(audit::adopt(&database, NOW).await.unwrap(), 0);
        let actions: Vec<String> = read!(database, "test.actions", |conn| {
            Ok(sqlx::query_scalar("SELECT action FROM audit_entry ORDER BY no").fetch_all(&mut *conn).await?)
        })
        .unwrap();
        assert_eq!(actions, ["signed_in", "account_created", "roles_changed", "adopted", "adopted"]);
    }
}

#[tokio::test]
async fn heads_reach_second_places_in_order_also_one_that_was_away() {
    let folder = tempfile::tempdir().unwrap();
    for (n, database) in store::testing::both(folder.path()).await.into_iter().enumerate() {
        let (near, far) = (folder.path().join(format!("near-{n}")), folder.path().join(format!("share-{n}/heads")));
        let mut publisher = publisher(&database, &[&near, &far]);
        for _ in 0..3 {
            morning(&database).await;
            publisher.round(true).await;
        }
        let places = audit::places(&database, &auditor()).await.unwrap();
        let state = |path: &Path| places.iter().find(|place| Path::new(&place.name) == path).unwrap().state;
        assert_eq!((state(&near), state(&far)), (PlaceState::Current, PlaceState::Away));
        std::fs::create_dir(far.parent().unwrap()).unwrap();
        publisher.round(false).await;
        let lines = std::fs::read_to_string(&near).unwrap();
        assert_eq!(lines, std::fs::read_to_string(&far).unwrap());
        let sizes: Vec<u64> = lines.lines().map(|line| line.parse::<SignedHead>().unwrap().head.size).collect();
        assert_eq!(sizes, [20, 40, 60]);
    }
}

#[tokio::test]
async fn an_older_copy_put_back_is_told_loudly_and_the_evidence_stays() {
    let folder = tempfile::tempdir().unwrap();
    let (path, kept, heads) =
        (folder.path().join("now.db"), folder.path().join("yesterday.db"), folder.path().join("heads"));
    let open = async || Database::open(&format!("sqlite:{}", path.display())).await.unwrap();
    let database = open().await;
    morning(&database).await;
    publisher(&database, &[&heads]).round(true).await;
    database.close().await;
    std::fs::copy(&path, &kept).unwrap();
    let database = open().await;
    morning(&database).await;
    publisher(&database, &[&heads]).round(true).await;
    database.close().await;
    let evidence = std::fs::read_to_string(&heads).unwrap();
    for extra in ["now.db-wal", "now.db-shm"] {
        let _ = std::fs::remove_file(folder.path().join(extra));
    }
    std::fs::copy(&kept, &path).unwrap();

    let database = open().await;
    let mut again = publisher(&database, &[&heads]);
    again.round(false).await;
    again.round(true).await;
    let places = audit::places(&database, &auditor()).await.unwrap();
    assert_eq!(places[0].state, PlaceState::Ahead);
    assert!(places[0].problem.as_deref().unwrap().contains("a log of 40 entries"), "{places:?}");
    let told = Filter { actions: vec![Action::LogRolledBack], ..Filter::default() };
    let found = audit::search(&database, &auditor(), NOW, &told, None, 10).await.unwrap();
    assert_eq!(found.entries.len(), 1, "told once, not at every round");
    assert_eq!(std::fs::read_to_string(&heads).unwrap(), evidence);
    std::fs::rename(&heads, folder.path().join("evidence")).unwrap();
    again.round(true).await;
    let sizes: Vec<u64> = std::fs::read_to_string(&heads)
        .unwrap()
        .lines()
        .map(|it| it.parse::<SignedHead>().unwrap().head.size)
        .collect();
    assert_eq!(sizes[0], 20, "a new file begins with all heads of the log");
}

#[tokio::test]
async fn an_act_that_fails_or_is_given_up_anywhere_leaves_neither_act_nor_entry() {
    let folder = tempfile::tempdir().unwrap();
    for database in store::testing::both(folder.path()).await {
        morning(&database).await;
        // The next entry then has an even number and completes a node.
        write(&database, 50, by("guard", Action::SignedIn)).await;
        // The entry's own statements fail one after the other: a rule refuses at each table that it writes.
        for table in ["audit_entry", "audit_node", "audit_state"] {
            let before = state(&database).await;
            refuse(&database, table, true).await;
            let outcome = audit::blot(&database, &Acting::console(), NOW, 1, "erasure").await;
            assert!(outcome.is_err(), "{table}");
            refuse(&database, table, false).await;
            assert_eq!(state(&database).await, before, "{table}");
        }
        assert_eq!(audit::blot(&database, &Acting::console(), NOW, 1, "erasure").await.unwrap(), Blotted::Done);
        assert_eq!(audit::size(&database).await.unwrap(), 22);
    }
}

/// Notes that are there, entries, nodes and the state.
async fn state(database: &Database) -> (i64, i64, i64, String) {
    read!(database, "test.state", |conn| {
        Ok(sqlx::query_as(
            "SELECT (SELECT COUNT(note) FROM audit_entry), (SELECT COUNT(*) FROM audit_entry),
                    (SELECT COUNT(*) FROM audit_node), (SELECT peaks FROM audit_state)",
        )
        .fetch_one(&mut *conn)
        .await?)
    })
    .unwrap()
}

/// Makes every write of a table fail, or not any more.
async fn refuse(database: &Database, table: &'static str, on: bool) {
    let verb = if table == "audit_state" { "UPDATE OF peaks" } else { "INSERT" };
    let statements = match (database.engine(), on) {
        (store::Engine::Sqlite, true) => vec![format!(
            "CREATE TRIGGER test_refuse BEFORE {verb} ON {table} BEGIN SELECT RAISE(ABORT, 'the disk is gone'); END"
        )],
        (store::Engine::Sqlite, false) => vec!["DROP TRIGGER test_refuse".to_owned()],
        (store::Engine::Postgres, true) => vec![format!(
            "CREATE TRIGGER test_refuse BEFORE {verb} ON {table} FOR EACH ROW EXECUTE FUNCTION audit_refuse()"
        )],
        (store::Engine::Postgres, false) => vec![format!("DROP TRIGGER test_refuse ON {table}")],
    };
    transact!(database, "test.refuse", |conn| {
        for statement in &statements {
            sqlx::query(sqlx::AssertSqlSafe(statement.clone())).execute(&mut *conn).await?;
        }
        Ok(())
    })
    .unwrap();
}

#[tokio::test]
async fn events_for_other_systems_have_what_the_profiles_of_ihe_balp_ask_for() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(&format!("sqlite:{}", folder.path().join("now.db").display())).await.unwrap();
    let clock = Arc::new(AtomicI64::new(0));
    for action in Action::ALL {
        let n = clock.fetch_add(1, Ordering::Relaxed);
        let draft = Draft {
            subject: Some(PersonId([9; 16])),
            purpose: Some(Purpose::Treatment),
            address: Some("192.0.2.7".to_owned()),
            note: Some("a canary that must not leave".to_owned()),
            ..by("doctor", *action)
        };
        write(&database, n, draft.clone()).await;
        write(&database, n, Draft { outcome: Outcome::Refused, ..draft }).await;
    }
    let mut export = audit::export(&database, &Acting::console(), NOW, Filter::default(), "test").await.unwrap();
    let mut profiles = 0;
    loop {
        let block = export.next().await.unwrap();
        if block.is_empty() {
            break;
        }
        for recorded in &block {
            let event = audit::fhir::event(recorded, &site());
            let text = event.to_string();
            assert!(!text.contains("canary"), "notes stay here: {text}");
            assert!(
                event["type"]["code"].is_string()
                    && event["recorded"].is_string()
                    && event["source"]["observer"].is_object()
            );
            let agents = event["agent"].as_array().unwrap();
            assert!(agents.len() >= 2 && agents.iter().all(|agent| agent["requestor"].is_boolean()));
            let Some(profile) = event["meta"]["profile"][0].as_str() else { continue };
            profiles += 1;
            assert_eq!(event["outcome"], "0", "profiles speak of successes: {text}");
            let entities = event["entity"].as_array().unwrap();
            let patient = entities.iter().filter(|it| it["type"]["code"] == "1" && it["role"]["code"] == "1").count();
            let system = entities.iter().filter(|it| it["type"]["code"] == "2").count();
            assert_eq!((patient, system), (1, 1), "{text}");
            let sides = |code: &str| agents.iter().filter(|it| it["type"]["coding"][0]["code"] == code).count();
            let (action, from, to) = match profile.rsplit('.').next().unwrap() {
                "PatientRead" => ("R", "110152", "110153"),
                "PatientCreate" => ("C", "110153", "110152"),
                "PatientUpdate" => ("U", "110153", "110152"),
                "Query" => ("E", "110153", "110152"),
                "PatientDelete" => ("D", "110150", "custodian"),
                "Source" => ("R", "110153", "110152"),
                other => panic!("{other}"),
            };
            assert_eq!((event["action"].as_str(), sides(from), sides(to)), (Some(action), 1, 1), "{text}");
        }
    }
    assert_eq!(profiles, 13, "seen, revealed, located, chart, searched, four changes, visits, erased, disclosed");
}

#[tokio::test]
async fn work_without_the_card_is_an_override_that_starts_and_stops_and_a_visit_is_its_encounter() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(&format!("sqlite:{}", folder.path().join("now.db").display())).await.unwrap();
    let visit = "0f0e0d0c-0b0a-4908-8706-050403020100";
    let entry = |action, object: &str, detail: &str, purpose| Draft {
        subject: Some(PersonId([9; 16])),
        object: Some(object.to_owned()),
        purpose: Some(purpose),
        detail: Some(detail.to_owned()),
        ..by("doctor", action)
    };
    let drafts = [
        entry(Action::OutOfCard, "case", "started; kind=start; code=card_forgotten", Purpose::Treatment),
        entry(Action::OutOfCard, "case", "started; kind=start; code=emergency", Purpose::Emergency),
        entry(Action::OutOfCard, "case", "ended; by=card", Purpose::Treatment),
        entry(Action::GlassBroken, "glass", "ended by_time", Purpose::Emergency),
        entry(Action::VisitStarted, visit, "no=1; zone=room-1; by=card", Purpose::Treatment),
        entry(Action::DeskOpened, "desk-1", "open; factor=pin", Purpose::Treatment),
        entry(Action::DeskEnded, "desk-1", "ended by_hand", Purpose::Treatment),
    ];
    for (n, draft) in (0..).zip(drafts) {
        write(&database, n, draft).await;
    }
    let found = audit::search(&database, &Acting::console(), NOW, &Filter::default(), None, 100).await.unwrap();
    let mut events: Vec<_> = found.entries.iter().map(|it| audit::fhir::event(it, &site())).collect();
    events.reverse();
    let codes: Vec<_> =
        events.iter().map(|it| format!("{} {}", it["type"]["code"], it["subtype"][0]["code"])).collect();
    let codes: Vec<_> = codes.iter().map(|it| it.replace('"', "")).collect();
    let expected = [
        "110113 110127",
        "110113 110127",
        "110113 110138",
        "110113 110138",
        "rest create",
        "110114 110122",
        "110114 110123",
    ];
    assert_eq!(codes, expected);
    let why = |n: usize| {
        let reasons = events[n]["purposeOfEvent"].as_array().unwrap();
        reasons.iter().map(|it| it["coding"][0]["code"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!((why(0), why(1)), (vec!["TREAT".to_owned(), "BTG".to_owned()], vec!["ETREAT".to_owned()]));
    assert_eq!(events[4]["entity"][0]["what"]["reference"], format!("Encounter/{visit}"));
}
