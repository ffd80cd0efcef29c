//! Lists of people: everything or nothing, twice is once, every mistake with its place, no number kept.

use std::io::Cursor;

use clinic::acting::Acting;
use clinic::people::{self, Change, ImportReport, Options, Reference, import_csv};
use clinic::{Database, policy};
use domain::card::{CardFormat, CardKey, SealKey, parse};
use domain::pin::PinKey;
use domain::policy::{PassKind, PassState};
use domain::{CardId, PersonId, UtcMillis};
use store::testing::both;

use crate::NOW;

const HEADER: &str = "person,kind,category,card_format,card_number,valid_from,valid_until\n";

fn key() -> CardKey {
    CardKey::new([3; 32])
}

fn options(dry_run: bool) -> Options {
    Options {
        card_key: key(),
        pin_key: Some(PinKey::new([4; 32])),
        seal_key: None,
        zone: chrono_tz::Europe::Kyiv,
        dry_run,
    }
}

async fn import(database: &Database, text: &str) -> ImportReport {
    import_csv(database, Cursor::new(text.to_owned().into_bytes()), options(false), NOW).await.unwrap()
}

fn uid(text: &str) -> CardId {
    key().id(&parse(CardFormat::UidHex, text).unwrap())
}

#[tokio::test]
async fn a_list_is_taken_once_however_often_it_is_given() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "{HEADER}D-001,staff,surgeon,uid_hex,04A1B2C3,,\n\
         P-77,patient-temporary,patient-paying,wiegand26,\"12,3456\",2026-11-21,2026-11-21\n\
         00112233445566778899aabbccddeeff,visitor,guest,uid-hex,DEADBEEF,2026-11-21T10:00:00+02:00,\n"
    );
    for database in both(folder.path()).await {
        let first = import(&database, &text).await;
        assert_eq!(
            (first.rows, first.persons_added, first.added, first.changed),
            (3, 3, 3, 0),
            "{database:?} {first:?}"
        );
        assert!(first.applied && first.errors.is_empty());
        assert_eq!(first.new_categories.len(), 3, "none was declared");
        let version = policy::version(&database).await.unwrap();
        assert_eq!(version, 1);
        let again = import(&database, &text).await;
        assert_eq!((again.added, again.changed, again.unchanged, again.persons_added), (0, 0, 3, 0), "{again:?}");
        assert!(again.applied);
        assert_eq!(policy::version(&database).await.unwrap(), version, "nothing changed");

        let pass = people::pass(&database, uid("04A1B2C3")).await.unwrap().unwrap();
        assert_eq!((pass.kind, pass.state, pass.one_time), (PassKind::Staff, PassState::Active, false));
        assert_eq!(people::find(&database, &Reference::new("D-001").unwrap()).await.unwrap(), Some(pass.person));
        let back = people::reference_of(&database, pass.person).await.unwrap().unwrap();
        assert_eq!((back.reveal(), format!("{back:?}").as_str()), ("D-001", "Reference(hidden)"));
        let number = parse(CardFormat::Wiegand26, "12,3456").unwrap();
        let temporary = people::pass(&database, key().id(&number)).await.unwrap().unwrap();
        assert!(temporary.one_time);
        // The whole of 21 November in Kyiv (UTC+2).
        assert_eq!(temporary.valid_from, UtcMillis::from_rfc3339("2026-11-20T22:00:00Z"));
        assert_eq!(temporary.valid_until, UtcMillis::from_rfc3339("2026-11-21T22:00:00Z"));
        let visitor = people::pass(&database, uid("DEADBEEF")).await.unwrap().unwrap();
        let own: PersonId = "00112233445566778899aabbccddeeff".parse().unwrap();
        assert_eq!(visitor.person, own, "a pseudonym is used as it is");
        let counts = people::counts(&database).await.unwrap();
        assert_eq!(counts.persons, 3);
        assert!(counts.passes.contains(&(PassKind::Visitor, PassState::Active, 1)), "{counts:?}");
    }
}

#[tokio::test]
async fn every_mistake_is_named_with_its_place_and_nothing_is_applied() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "{HEADER}D-001,staff,surgeon,uid_hex,04A1B2C3,,\n\
         ,staff,surgeon,uid_hex,04A1B2C4,,\n\
         D-002,stuff,surgeon,uid_hex,04A1B2C5,,\n\
         D-003,staff,chief surgeon,uid_hex,04A1B2C6,,\n\
         D-004,staff,surgeon,barcode,04A1B2C7,,\n\
         D-005,staff,surgeon,uid_hex,SECRET99,,\n\
         D-006,staff,surgeon,uid_hex,04A1B2C8,2026-13-01,\n\
         D-007,staff,surgeon,uid_hex,04A1B2C9,2026-11-22,2026-11-20\n\
         D-008,staff,surgeon,uid_hex,04A1B2C3,,\n\
         D-009,staff,surgeon\n\
         D-010,staff,surgeon,uid_hex,04A1B2D0,,,extra\n"
    );
    for database in both(folder.path()).await {
        let report = import(&database, &text).await;
        let found: Vec<_> = report.errors.iter().map(|error| (error.line, error.column)).collect();
        let expected = [
            (3, "person"),
            (4, "kind"),
            (5, "category"),
            (6, "card_format"),
            (7, "card_number"),
            (8, "valid_from"),
            (9, "valid_until"),
            (10, "card_number"),
            (11, "card_format"),
            (11, "card_number"),
            (11, "valid_from"),
            (11, "valid_until"),
            (12, ""),
        ];
        assert_eq!(found, expected, "{:#?}", report.errors);
        assert!(!report.applied);
        assert_eq!(people::counts(&database).await.unwrap().persons, 0);
        assert_eq!(policy::version(&database).await.unwrap(), 0);
        for error in &report.errors {
            let said = error.to_string();
            let numbers = text.lines().skip(1).filter_map(|line| line.split(',').nth(4)).filter(|it| !it.is_empty());
            for number in numbers {
                // The advice shows an example that begins like some of them.
                assert!(!said.replace("04A1B2C3D4E5F6", "").contains(number), "{said}");
            }
            assert!(!error.problem.is_empty() && !error.advice.is_empty(), "{said}");
        }
    }
}

#[tokio::test]
async fn a_dry_run_says_what_would_be_done_and_does_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for database in both(folder.path()).await {
        let text = format!("{HEADER}D-001,staff,surgeon,uid_hex,04A1B2C3,,\n");
        let source = Cursor::new(text.into_bytes());
        let report = import_csv(&database, source, options(true), NOW).await.unwrap();
        assert_eq!((report.added, report.persons_added, report.applied), (1, 1, false));
        assert_eq!(people::counts(&database).await.unwrap().persons, 0);
    }
}

#[tokio::test]
async fn a_card_of_another_person_is_a_mistake_until_it_is_withdrawn() {
    let folder = tempfile::tempdir().unwrap();
    for database in both(folder.path()).await {
        import(&database, &format!("{HEADER}HOLDER-1,staff,surgeon,uid_hex,04A1B2C3,,\n")).await;
        let other = format!("{HEADER}D-002,staff,surgeon,uid_hex,04A1B2C3,,\n");
        people::block(&database, uid("04A1B2C3"), NOW).await.unwrap();
        let refused = import(&database, &other).await;
        assert_eq!((refused.errors.len(), refused.applied), (1, false));
        let text = refused.errors[0].to_string();
        assert!(text.contains("state: blocked") && !text.contains("HOLDER-1"), "{text}");
        let before = people::pass(&database, uid("04A1B2C3")).await.unwrap().unwrap().person;
        people::withdraw(&database, uid("04A1B2C3"), NOW.plus_ms(1)).await.unwrap();
        assert!(import(&database, &other).await.applied);
        let after = people::pass(&database, uid("04A1B2C3")).await.unwrap().unwrap();
        assert_ne!(after.person, before);
        assert_eq!(after.state, PassState::Active);
    }
}

#[tokio::test]
async fn a_list_changes_what_it_says_and_does_not_unblock() {
    let folder = tempfile::tempdir().unwrap();
    for database in both(folder.path()).await {
        import(&database, &format!("{HEADER}D-001,staff,surgeon,uid_hex,04A1B2C3,,\n")).await;
        assert_eq!(people::block(&database, uid("04A1B2C3"), NOW).await.unwrap(), Change::Changed(2));
        assert_eq!(people::block(&database, uid("04A1B2C3"), NOW).await.unwrap(), Change::Unchanged);
        assert_eq!(people::block(&database, uid("DEADBEEF"), NOW).await.unwrap(), Change::Unknown);
        let report = import(&database, &format!("{HEADER}D-001,staff,chief,uid_hex,04A1B2C3,,2027-01-01\n")).await;
        assert_eq!((report.changed, report.not_active), (1, 1), "{report:?}");
        let pass = people::pass(&database, uid("04A1B2C3")).await.unwrap().unwrap();
        assert_eq!((pass.state, pass.category.as_str()), (PassState::Blocked, "chief"));
        assert_eq!(people::passes_of(&database, pass.person).await.unwrap(), std::slice::from_ref(&pass));
        assert_eq!(people::list(&database, None, 10).await.unwrap(), std::slice::from_ref(&pass));
        assert_eq!(people::list(&database, Some(pass.card), 10).await.unwrap(), []);
    }
}

#[tokio::test]
async fn a_list_tells_a_language_where_no_source_does_and_never_over_what_is_set() {
    let folder = tempfile::tempdir().unwrap();
    let header = HEADER.replace('\n', ",language\n");
    let row = |who: &str, card: &str, code: &str| format!("{who},patient,x,uid_hex,{card},,,{code}\n");
    for database in both(folder.path()).await {
        let language = async |who: &str| {
            let person = people::find(&database, &Reference::new(who).unwrap()).await.unwrap().unwrap();
            let known = people::language_known(&database, &Acting::console(), person).await.unwrap();
            let told = known.told.clone().map(|told| (told.language.as_str().to_owned(), told.by));
            (person, known.spoken().map(|it| it.as_str().to_owned()), told)
        };
        let text = format!("{header}{}{}", row("A", "04A1B2C3", "UKR"), row("B", "04A1B2C4", ""));
        let first = import(&database, &text).await;
        assert_eq!((first.added, first.spoken, first.applied), (2, 1, true), "{first:?}");
        let (person, spoken, told) = language("A").await;
        assert_eq!((spoken.as_deref(), told), (Some("uk"), Some(("uk".to_owned(), None))));
        assert_eq!(language("B").await.1, None);
        let version = policy::version(&database).await.unwrap();
        assert_eq!(import(&database, &text).await.spoken, 0, "again it changes nothing");
        let again = import(&database, &format!("{header}{}", row("A", "04A1B2C3", "pl-PL"))).await;
        assert_eq!((again.spoken, again.unchanged), (1, 1), "a language alone: {again:?}");
        assert_eq!(policy::version(&database).await.unwrap(), version, "no door has to know");
        assert_eq!(import(&database, &format!("{header}{}", row("A", "04A1B2C3", ""))).await.spoken, 0);
        assert_eq!(language("A").await.1.as_deref(), Some("pl"), "an empty field says nothing");
        people::set_language(&database, &Acting::console(), person, people::Spoken::parse("ru"), NOW).await.unwrap();
        import(&database, &text).await;
        assert_eq!(language("A").await.1.as_deref(), Some("ru"), "what is set counts");
        let twice = format!("{header}{}{}", row("B", "04A1B2C4", "de"), row("B", "04A1B2C5", "fr"));
        assert_eq!(import(&database, &twice).await.spoken, 1);
        assert_eq!(language("B").await.1.as_deref(), Some("fr"), "the last line about somebody counts");
        for bad in ["canary", "xx", "русский", "uk,ru", &"uk-".repeat(40)] {
            let refused = import(&database, &format!("{header}{}", row("C", "04A1B2C6", &format!("\"{bad}\"")))).await;
            assert_eq!((refused.errors.len(), refused.applied), (1, false), "{bad}");
            let words = refused.errors[0].to_string();
            assert!(words.starts_with("line 2, column language: ") && !words.contains(bad), "{words}");
        }
    }
}

#[tokio::test]
async fn spreadsheets_of_other_languages_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let [database, _] = both(folder.path()).await;
    let text = "\u{feff}valid_until;valid_from;card_number;card_format;category;kind;person;pin\r\n\
                31.12.2026;;12,3456;wiegand26;surgeon;Staff;D-001;4321\r\n;;;;;;;\r\n";
    let report = import(&database, text).await;
    assert_eq!((report.rows, report.added, report.errors.len()), (1, 1, 0), "{report:?}");
    let pass = people::list(&database, None, 1).await.unwrap().remove(0);
    assert!(pass.has_pin);
    assert_eq!(pass.valid_until, UtcMillis::from_rfc3339("2026-12-31T22:00:00Z"));
}

#[tokio::test]
async fn a_first_line_that_is_no_list_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let [database, _] = both(folder.path()).await;
    for (text, words) in [
        (&b""[..], "empty"),
        (b"person,kind\n", "category is missing"),
        (b"person,kind,category,card_format,card_number,valid_from,valid_until,salary\n", "\"salary\" is not known"),
        (b"person,person,kind,category,card_format,card_number,valid_from,valid_until\n", "person is there twice"),
        (b"\xff\xfep\0e\0", "CSV UTF-8"),
        (b"PK\x03\x04", "CSV UTF-8"),
    ] {
        let outcome = import_csv(&database, Cursor::new(text.to_vec()), options(false), NOW).await;
        let error = outcome.unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[tokio::test]
async fn hours_that_come_twice_or_not_at_all_have_an_answer() {
    let folder = tempfile::tempdir().unwrap();
    let [database, _] = both(folder.path()).await;
    // Kyiv leaves summer time on 2026-10-25 at 04:00 and enters it on 2027-03-28 at 03:00.
    let text = format!(
        "{HEADER}A,staff,x,uid_hex,04A1B2C3,2026-10-25 03:30,2027-03-28 03:30\n\
         B,staff,x,uid_hex,04A1B2C4,2027-03-28 03:30,2026-10-25 03:30\n\
         C,staff,x,uid_hex,04A1B2C5,,2026-10-25 03:30\n"
    );
    let report = import(&database, &text).await;
    assert_eq!(report.errors.len(), 1, "B ends before it begins");
    let text = text.lines().filter(|line| !line.starts_with('B')).collect::<Vec<_>>().join("\n");
    assert!(import(&database, &text).await.applied);
    let a = people::pass(&database, uid("04A1B2C3")).await.unwrap().unwrap();
    assert_eq!(a.valid_from, UtcMillis::from_rfc3339("2026-10-25T00:30:00Z"), "the first of the two");
    assert_eq!(a.valid_until, UtcMillis::from_rfc3339("2027-03-28T01:00:00Z"), "the moment of the change");
    let c = people::pass(&database, uid("04A1B2C5")).await.unwrap().unwrap();
    assert_eq!(c.valid_until, UtcMillis::from_rfc3339("2026-10-25T01:30:00Z"), "the second of the two");
}

#[tokio::test]
async fn no_card_number_is_in_the_file_of_the_database() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clinic.db");
    let database = Database::open(&format!("sqlite:{}", path.display())).await.unwrap();
    import(&database, &format!("{HEADER}D-001,staff,surgeon,uid_hex,04A1B2C3D4E5F6,,\n")).await;
    database.close().await;
    let bytes = std::fs::read(&path).unwrap();
    for form in [&b"04A1B2C3D4E5F6"[..], b"04a1b2c3d4e5f6", b"\x04\xa1\xb2\xc3\xd4\xe5\xf6", b"\xf6\xe5\xd4\xc3"] {
        assert!(!bytes.windows(form.len()).any(|window| window == form), "{form:?}");
    }
    assert!(bytes.windows(5).any(|window| window == b"D-001"), "the search itself works");
}

#[tokio::test]
async fn ten_thousand_rows_go_in_and_again_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut text = String::from(HEADER);
    for number in 0..10_000 {
        text.push_str(&format!("N-{number},patient,patient-paying,uid_hex,{number:08X},,\n"));
    }
    for database in both(folder.path()).await {
        let report = import(&database, &text).await;
        assert_eq!((report.added, report.persons_added, report.applied), (10_000, 10_000, true), "{database:?}");
        let again = import(&database, &text).await;
        assert_eq!((again.unchanged, again.added), (10_000, 0));
        policy::put_layout(&database, crate::layout(), NOW).await.unwrap();
        let source = policy::source(&database, NOW).await.unwrap().unwrap();
        assert_eq!(source.credentials.len(), 10_000);
    }
}

async fn import_sealing(database: &Database, text: &str, key: u8) -> ImportReport {
    let options = Options { seal_key: Some(SealKey::new([key; 32])), ..options(false) };
    import_csv(database, Cursor::new(text.to_owned().into_bytes()), options, NOW).await.unwrap()
}

/// What the policy carries for a card.
async fn sealed(database: &Database, card: CardId) -> Option<domain::SealedNumber> {
    let source = policy::source(database, NOW).await.unwrap().unwrap();
    source.credentials.iter().find(|it| it.card == card).unwrap().number
}

#[tokio::test]
async fn numbers_are_kept_only_with_a_key_and_the_same_list_fills_missing_ones_in() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("{HEADER}D-001,staff,surgeon,uid_hex,04A1B2C3,,\nD-002,staff,surgeon,wiegand26,\"90,324\",,\n");
    let number = parse(CardFormat::Wiegand26, "90,324").unwrap();
    let (card, open) = (key().id(&number), SealKey::new([6; 32]));
    for database in both(folder.path()).await {
        policy::put_layout(&database, domain::policy::Layout::empty(), NOW).await.unwrap();
        import(&database, &text).await;
        assert_eq!(sealed(&database, card).await, None);
        assert!(!people::pass(&database, card).await.unwrap().unwrap().has_number);

        let version = policy::version(&database).await.unwrap();
        let report = import_sealing(&database, &text, 6).await;
        assert_eq!((report.changed, report.unchanged), (2, 0), "{database:?}");
        assert_eq!(policy::version(&database).await.unwrap(), version + 1, "gateways have to hear of it");
        let kept = sealed(&database, card).await.unwrap();
        assert_eq!(open.open_for(kept, card, &key()), Ok(number.clone()));
        assert!(people::pass(&database, card).await.unwrap().unwrap().has_number);

        let again = import_sealing(&database, &text, 6).await;
        assert_eq!((again.changed, again.unchanged), (0, 2));
        let without = import(&database, &text).await;
        assert_eq!((without.changed, without.unchanged), (0, 2), "a list without a key takes nothing away");
        // Another key is another sealed form.
        assert_eq!(import_sealing(&database, &text, 7).await.changed, 2);
        assert!(open.open(sealed(&database, card).await.unwrap()).is_err());
    }
}

#[tokio::test]
async fn a_number_stays_with_its_card_through_blocks_and_new_holders_and_goes_when_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let row = |who: &str| format!("{HEADER}{who},staff,surgeon,uid_hex,04A1B2C3,,\n");
    for database in both(folder.path()).await {
        policy::put_layout(&database, domain::policy::Layout::empty(), NOW).await.unwrap();
        import_sealing(&database, &row("D-001"), 6).await;
        let card = uid("04A1B2C3");
        let kept = sealed(&database, card).await;
        assert!(kept.is_some());
        people::block(&database, card, NOW).await.unwrap();
        assert_eq!(sealed(&database, card).await, kept, "a device must be told of the block by number");
        people::withdraw(&database, card, NOW).await.unwrap();
        import(&database, &row("D-002")).await;
        assert_eq!(sealed(&database, card).await, kept, "it is the card's");

        let version = policy::version(&database).await.unwrap();
        assert_eq!(people::forget_numbers(&database).await.unwrap(), 1, "closed rows keep none");
        assert_eq!(sealed(&database, card).await, None);
        assert_eq!(policy::version(&database).await.unwrap(), version + 1);
        assert_eq!(people::forget_numbers(&database).await.unwrap(), 0);
        assert_eq!(policy::version(&database).await.unwrap(), version + 1);
    }
}
