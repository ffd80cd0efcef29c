//! The erasure of a person: what is planted everywhere is nowhere afterwards, not even after yesterday's copy is put
//! back; what must stay stays; who may not, does not.

use std::path::{Path, PathBuf};

use clinic::acting::Acting;
use clinic::audit::{self, Action, Draft, Purpose};
use clinic::break_glass::{self, Verdict};
use clinic::disclosures::{self, Class, Disclosure};
use clinic::erasure::{self, ErasureError, Fate, What};
use clinic::vault::{Blobs, KeySource, Vault};
use clinic::{Database, requests, subjects};
use domain::vault::{Contact, ContactKind, Document, DocumentKind, Names, PassportChange, Secret};
use domain::{Clock, Shipped};
use store::testing::both;

use crate::{MINUTE, NOW, acting, log, officer, person, register};

/// Words that nothing else holds.
const CANARIES: [&str; 6] =
    ["Kanareikova", "Zinaidaqx", "AX77315599", "+380671239988", "QX-PERSONNEL-4711", "canary in the reason"];
const GROUND: &str = "asked for by the person, contract ended";

fn clock() -> Clock {
    Clock::new(|| NOW)
}

async fn vault(folder: &Path, database: &Database) -> Vault {
    let name = format!("{:?}", database.engine());
    let place = folder.join(&name);
    std::fs::create_dir_all(&place).unwrap();
    let vault = Vault::new(
        database.clone(),
        clock(),
        Blobs::folder(&place.join("photos")),
        KeySource::Own(folder.join(format!("{name}.key"))),
    )
    .remembering(vec![place.join("shredded.log")]);
    vault.start().await.unwrap();
    vault
}

/// Plants the canaries wherever something of a person is kept.
async fn plant(database: &Database, vault: &Vault) {
    register(database, 1, Some(CANARIES[4])).await;
    register(database, 2, Some("OTHER-1")).await;
    let administrator = acting(Shipped::Administrator, '1');
    let change = PassportChange {
        names: Some(Names::new(CANARIES[0], CANARIES[1], "")),
        birth_date: None,
        documents: Some(vec![Document {
            kind: DocumentKind::ALL[0],
            number: Secret::new(CANARIES[2]),
            issued: Secret::new(""),
        }]),
        contacts: Some(vec![Contact { kind: ContactKind::ALL[0], value: Secret::new(CANARIES[3]) }]),
    };
    vault.put(&administrator, person(1), change, Purpose::PassIssue).await.unwrap();
    let glass = break_glass::start(database, &acting(Shipped::Guard, '3'), CANARIES[5], 60, NOW).await.unwrap();
    let look = Draft {
        subject: Some(person(1)),
        note: Some(format!("{} again", CANARIES[5])),
        glass: Some(glass.id.clone()),
        ..administrator.draft(NOW, Action::PersonRevealed)
    };
    audit::write(database, look).await.unwrap();
    let (later, comment) = (glass.ends, format!("{}, and it was so", CANARIES[5]));
    break_glass::review(database, &officer(), &glass.id, Verdict::Justified, &comment, later).await.unwrap();
    let given = Disclosure {
        persons: [person(1)].into(),
        ..Disclosure::export(&administrator, "/journal.csv", &[Class::LocationTrace])
    };
    disclosures::register(database, &administrator, given, None, NOW).await.unwrap();
    let id = person(1).to_string();
    store::transact!(database, "test.plant", |conn| {
        for text in [
            "INSERT INTO credential (id, card, person, kind, category, state, one_time, number, since_ms)
             VALUES (901, 'c1', $1, 'staff', 'surgeon', 'active', 0, 'sealed-number', 1)",
            "UPDATE person SET language = 'fil', language_told = 'tlh', language_by = 'canary-mis' WHERE id = $1",
            "INSERT INTO presence (person, zone, at_ms, card, event) VALUES ($1, 'hall', 1, 'c1', 1)",
            "INSERT INTO command (id, gateway, action, point, person, actor, reason, issued_ms, expires_ms)
             VALUES ('o1', 'g', 'open', 'p', $1, 'a', 'canary in the reason', 1, 2)",
        ] {
            sqlx::query(text).bind(&id).execute(&mut *conn).await?;
        }
        sqlx::query("INSERT INTO journal (no, gateway, epoch, last_seq) VALUES (7, 'g', 'e', 1)")
            .execute(&mut *conn)
            .await?;
        sqlx::query(
            "INSERT INTO event (id, journal, seq, received_ms, at_ms, kind, card, person)
             VALUES (901, 7, 1, 1, 1, 'passed', 'c1', $1)",
        )
        .bind(&id)
        .execute(&mut *conn)
        .await?;
        Ok(())
    })
    .unwrap();
}

/// Every form in which a text may lie in a file: as it is, hexadecimal, base64 at each of three places, UTF-16.
fn forms(text: &str) -> Vec<Vec<u8>> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut all = vec![text.as_bytes().to_vec(), hex.to_uppercase().into_bytes(), hex.into_bytes()];
    all.push(text.encode_utf16().flat_map(u16::to_le_bytes).collect());
    all.push(text.encode_utf16().flat_map(u16::to_be_bytes).collect());
    for skip in 0..3 {
        // Only whole groups of the text itself: what stands before and after is not known.
        let whole = &text.as_bytes()[skip..];
        let groups = whole.chunks_exact(3).map(|group| {
            let bits = u32::from(group[0]) << 16 | u32::from(group[1]) << 8 | u32::from(group[2]);
            [18, 12, 6, 0].map(|shift| DIGITS[(bits >> shift & 63) as usize])
        });
        all.push(groups.flatten().collect());
    }
    all
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

/// Where a canary is found, file by file.
fn hits(folder: &Path) -> Vec<String> {
    let (mut all, mut hits) = (Vec::new(), Vec::new());
    files(folder, &mut all);
    assert!(!all.is_empty());
    for file in all {
        let bytes = std::fs::read(&file).unwrap();
        for canary in CANARIES {
            for (n, form) in forms(canary).iter().enumerate() {
                if bytes.windows(form.len()).any(|window| window == form) {
                    hits.push(format!("{}: {canary} (form {n})", file.display()));
                }
            }
        }
    }
    hits
}

/// Every text and every byte of every table, on either engine.
async fn rows(database: &Database) -> String {
    let mut all = String::new();
    for (table, text) in [
        ("person", "SELECT id || COALESCE(external_ref, '') || COALESCE(language_by, '') FROM person"),
        ("credential", "SELECT person || card FROM credential"),
        ("presence", "SELECT person FROM presence"),
        ("command", "SELECT COALESCE(person, '') || COALESCE(reason, '') FROM command"),
        ("event", "SELECT COALESCE(person, '') || COALESCE(card, '-') FROM event"),
        ("audit_entry", "SELECT note FROM audit_entry WHERE note IS NOT NULL"),
        ("glass", "SELECT reason || COALESCE(comment, '') FROM glass"),
    ] {
        let found: Vec<String> =
            store::read!(database, "test.rows", |conn| { Ok(sqlx::query_scalar(text).fetch_all(&mut *conn).await?) })
                .unwrap();
        all += &format!("{table}: {}\n", found.join("|"));
    }
    all
}

#[tokio::test]
async fn whoever_is_erased_is_nowhere_and_what_must_stay_stays() {
    let folder = tempfile::tempdir().unwrap();
    for database in both(folder.path()).await {
        let vault = vault(folder.path(), &database).await;
        plant(&database, &vault).await;
        let before = rows(&database).await;
        assert!(before.contains(CANARIES[4]) && before.contains(CANARIES[5]), "planted");
        let plan = erasure::plan(&database, &officer(), person(1), NOW).await.unwrap();
        for what in [
            What::Passport,
            What::Reference,
            What::Passes,
            What::Numbers,
            What::Presence,
            What::Orders,
            What::Cards,
            What::Notes,
            What::GlassWords,
            What::Memberships,
            What::Events,
            What::Disclosures,
            What::Entries,
        ] {
            assert!(plan.count(what) > 0, "{what}");
        }
        assert_eq!(rows(&database).await, before, "a dry run changes nothing");
        let act = erasure::erase(&database, &vault, &officer(), person(1), GROUND, None, NOW).await.unwrap();
        assert_eq!(
            act.items,
            plan.items
                .iter()
                .map(|item| erasure::Item { count: act_count(&act, item.what), ..*item })
                .collect::<Vec<_>>()
        );
        let after = rows(&database).await;
        for canary in CANARIES {
            assert!(!after.contains(canary), "{canary} in {after}");
        }
        assert!(before.contains("canary-mis") && !after.contains("canary-mis"), "who told the language: {after}");
        assert!(after.contains(&person(1).to_string()), "the pseudonym stays in events");
        assert!(after.contains("OTHER-1"), "others are untouched");
        let plan = erasure::plan(&database, &officer(), person(1), NOW).await.unwrap();
        assert!(!plan.leads_to_somebody(), "{plan:?}");
        assert!(plan.count(What::Events) == 1 && plan.count(What::Disclosures) == 1, "kept: {plan:?}");
        assert!(vault.masked(&officer(), person(1)).await.is_err());
        let written = erasure::of(&database, &officer(), &act.id).await.unwrap();
        assert_eq!((written.ground.as_str(), written.log), (GROUND, act.log));
        let subject = subjects::view(&database, &officer(), person(1), NOW).await.unwrap();
        assert_eq!(subject.erased, Some(NOW));
    }
}

fn act_count(act: &erasure::Act, what: What) -> u64 {
    act.items.iter().find(|item| item.what == what).map_or(0, |item| item.count)
}

/// SQLite only: its files are ours. What a PostgreSQL server leaves on its own disk is its vacuum's matter.
#[tokio::test]
async fn no_byte_of_an_erased_person_is_left_in_any_file() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("data");
    std::fs::create_dir(&place).unwrap();
    let database = Database::open(&format!("sqlite:{}", place.join("tapward.db").display())).await.unwrap();
    let vault = vault(&place, &database).await;
    plant(&database, &vault).await;
    assert!(!hits(&place).is_empty(), "the search finds what is there");
    erasure::erase(&database, &vault, &officer(), person(1), GROUND, None, NOW).await.unwrap();
    assert_eq!(hits(&place), Vec::<String>::new(), "while the program runs: file, log, free pages");
    database.close().await;
    assert_eq!(hits(&place), Vec::<String>::new(), "and after its end");
}

#[tokio::test]
async fn yesterdays_copy_brings_nobody_back() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("data");
    std::fs::create_dir(&place).unwrap();
    let (file, copy) = (place.join("tapward.db"), folder.path().join("yesterday.db"));
    let url = format!("sqlite:{}", file.display());
    let database = Database::open(&url).await.unwrap();
    let first = vault(&place, &database).await;
    plant(&database, &first).await;
    database.close().await;
    std::fs::copy(&file, &copy).unwrap();
    let database = Database::open(&url).await.unwrap();
    let first = vault(&place, &database).await;
    erasure::erase(&database, &first, &officer(), person(1), GROUND, None, NOW).await.unwrap();
    database.close().await;
    // The backup is put back; the list of erased persons lies outside of it.
    for name in ["tapward.db-wal", "tapward.db-shm"] {
        let _ = std::fs::remove_file(place.join(name));
    }
    std::fs::copy(&copy, &file).unwrap();
    assert!(!hits(&place).is_empty(), "the person is back");
    let database = Database::open(&url).await.unwrap();
    let second = vault(&place, &database).await;
    let again = erasure::reapply(&database, &second, NOW.plus_ms(MINUTE)).await.unwrap();
    assert_eq!(again, [person(1)]);
    assert!(erasure::reapply(&database, &second, NOW.plus_ms(MINUTE)).await.unwrap().is_empty(), "once is enough");
    assert_eq!(hits(&place), Vec::<String>::new());
    let acts = erasure::acts(&database, &officer()).await.unwrap();
    assert_eq!((acts.len(), acts[0].by.as_str()), (1, "system"));
}

#[tokio::test]
async fn an_interrupted_erasure_is_finished_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    for database in both(folder.path()).await {
        let vault = vault(folder.path(), &database).await;
        plant(&database, &vault).await;
        // The program ends between the key and the rest.
        vault.shred(&officer(), person(1)).await.unwrap();
        assert!(rows(&database).await.contains(CANARIES[4]));
        let again = erasure::reapply(&database, &vault, NOW).await.unwrap();
        assert_eq!(again, [person(1)]);
        assert!(!rows(&database).await.contains(CANARIES[4]));
    }
}

#[tokio::test]
async fn a_hold_and_a_missing_right_forbid_it() {
    let folder = tempfile::tempdir().unwrap();
    for database in both(folder.path()).await {
        let vault = vault(folder.path(), &database).await;
        plant(&database, &vault).await;
        let before = rows(&database).await;
        let erase = |who: Acting, ground: &'static str| {
            let (database, vault) = (database.clone(), vault.clone());
            async move { erasure::erase(&database, &vault, &who, person(1), ground, None, NOW).await }
        };
        for role in [Shipped::Guard, Shipped::PassOffice, Shipped::Manager, Shipped::Auditor, Shipped::Integrator] {
            assert!(matches!(erase(acting(role, '5'), GROUND).await, Err(ErasureError::Denied(_))), "{role}");
            assert!(erasure::plan(&database, &acting(role, '5'), person(1), NOW).await.is_err(), "{role}");
        }
        assert!(matches!(erase(officer(), "because").await, Err(ErasureError::BadGround)));
        let ground = "Criminal case, order of the court";
        requests::hold(&database, &officer(), person(1), ground, None, NOW).await.unwrap();
        assert!(matches!(erase(officer(), GROUND).await, Err(ErasureError::Held(hold)) if hold.ground == ground));
        let plan = erasure::plan(&database, &officer(), person(1), NOW).await.unwrap();
        assert_eq!(plan.hold.unwrap().ground, ground);
        assert_eq!(
            rows(&database).await.lines().take(5).collect::<Vec<_>>(),
            before.lines().take(5).collect::<Vec<_>>()
        );
        let nobody = erasure::erase(&database, &vault, &officer(), person(9), GROUND, None, NOW).await;
        assert!(matches!(nobody, Err(ErasureError::Unknown)));
    }
}

#[tokio::test]
async fn the_package_holds_everything_of_the_person_and_nothing_of_others() {
    let folder = tempfile::tempdir().unwrap();
    for database in both(folder.path()).await {
        let vault = vault(folder.path(), &database).await;
        plant(&database, &vault).await;
        let package = subjects::package(&database, &vault, &officer(), person(1), NOW).await.unwrap();
        let text = package.to_json("clinic-3").to_string();
        for canary in &CANARIES[..5] {
            assert!(text.contains(canary), "{canary} is missing");
        }
        for word in ["\"language\":\"fil\"", "\"language_told\":\"tlh\"", "\"language_told_by\":\"canary-mis\""] {
            assert!(text.contains(word), "{word} in {text}");
        }
        for word in ["\"passages\":[{", "\"passes\":[{", "\"accesses\":[{", "\"disclosures\":[{"] {
            assert!(text.contains(word), "{word} in {text}");
        }
        assert!(!text.contains("OTHER-1") && !text.contains(&"1".repeat(32)), "nothing of others, no staff by number");
        assert!(!format!("{package:?}").contains(CANARIES[0]), "nothing is printed by accident");
        let lines = disclosures::of_person(&database, &officer(), person(1)).await.unwrap();
        assert!(lines.iter().any(|line| line.route == disclosures::Route::SubjectPackage), "{lines:?}");
        let guard = subjects::package(&database, &vault, &acting(Shipped::Guard, '4'), person(1), NOW).await;
        assert!(guard.is_err());
        assert!(log(&database).await.iter().any(|entry| entry.0 == "disclosed"));
    }
}

#[test]
fn each_kind_has_a_fate() {
    assert!(What::ALL.iter().any(|what| what.fate() == Fate::KeptByLaw));
    assert!(What::ALL.iter().any(|what| what.fate() == Fate::KeptPseudonymous));
}
