//! HL7 messages from outside: every form of them is read or refused, never a panic; what we write is what the standard
//! wants, said by an implementation that is not ours.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use chrono::FixedOffset;
use domain::UtcMillis;
use domain::money::{Amount, Currency};
use domain::vault::{BirthDate, ContactKind, Names};
use proptest::prelude::*;
use wire::hl7::out::{
    AccountOut, AckOut, ChargeKind, ChargeOut, DoctorOut, Envelope, PatientOut, VisitEvent, VisitOut, ack, adt, dft,
};
use wire::hl7::view::{
    AckCode, AckWhen, AppointmentStatus, Event, Header, Party, Patient, Reply, Schedule, Visit, merges,
};
use wire::hl7::{Charset, Code, Hl7Error, MESSAGE_MAX_BYTES, Message, Place, Told, Value};

fn parse(text: &str) -> Message {
    Message::parse(text.as_bytes(), MESSAGE_MAX_BYTES, Charset::Ascii).unwrap()
}

fn utc(text: &str) -> UtcMillis {
    UtcMillis::from_rfc3339(text).unwrap()
}

// ---- reading ----

const ADMIT: &str = "MSH|^~\\&|MIS|CLINIC1|TAPWARD|CLINIC1|20260105085959+0300||ADT^A04^ADT_A01|M-77|P|2.5.1||||||UNICODE UTF-8\r\
    EVN||20260105090000|||D0042^Петров|20260105085930+0300\r\
    PID|1||X-1^^^OTHER^PI~P-10017^^^CLINIC1&1.2.3&ISO^MR||Nick^^^^^^N~Иванова^Анна^Сергеевна^^^^L||19800201|F|||Street^^Town||+7 495 1234567^PRN^PH~^NET^Internet^anna@example.org||||||||||||||||N\r\
    PV1|1|O|POLI^R204^^CLINIC1||||D0042&x^Петров&von^Иван^^^^^^MIS||||||||||||V-7^^^CLINIC1^VN|||||||||||||||||||||||||20260105090011\r";

#[test]
fn a_message_is_read_field_by_field() {
    let message = parse(ADMIT);
    let header = Header::read(&message).unwrap();
    assert_eq!((header.code.as_str(), header.event.as_str(), header.control.as_str()), ("ADT", "A04", "M-77"));
    assert_eq!(header.application, Party::named("MIS"));
    assert!(!header.is_enhanced());
    let event = Event::read(&message);
    let moscow = FixedOffset::east_opt(10_800).unwrap();
    assert_eq!(event.occurred.unwrap().to_utc(&moscow), Some(utc("2026-01-05T05:59:30Z")));
    assert_eq!(event.recorded.unwrap().to_utc(&moscow), Some(utc("2026-01-05T06:00:00Z")));

    let patient = Patient::read(&message).unwrap();
    assert_eq!(patient.ids.len(), 2);
    assert_eq!((patient.ids[1].value.as_str(), patient.ids[1].kind.as_str()), ("P-10017", "MR"));
    assert!(patient.ids[1].authority.is("CLINIC1") && patient.ids[1].authority.is("1.2.3"));
    let names = patient.names.is().unwrap();
    assert_eq!(names.full().reveal(), "Иванова Анна Сергеевна", "the legal name, not the nickname before it");
    assert_eq!(patient.birth.is().unwrap().reveal(), (1980, 2, 1));
    let contacts = patient.contacts.is().unwrap();
    assert_eq!(contacts[0].kind, ContactKind::Phone);
    assert_eq!((contacts[1].kind, contacts[1].value.reveal()), (ContactKind::Email, "anna@example.org"));
    assert!(!patient.dead);

    let visit = Visit::read(&message).unwrap().unwrap();
    assert_eq!(visit.location.unwrap().name(), "R204");
    let doctor = visit.doctor.unwrap();
    assert_eq!((doctor.id.as_str(), doctor.authority.namespace.as_str()), ("D0042", "MIS"));
    assert_eq!(doctor.names.unwrap().full().reveal(), "Петров Иван");
    assert_eq!(visit.number.unwrap().value, "V-7");
    assert_eq!(visit.admitted.is().unwrap().to_utc(&moscow), Some(utc("2026-01-05T06:00:11Z")));
}

#[test]
fn absent_empty_and_delete_are_three_things() {
    let message = parse("MSH|^~\\&|A|B|C|D|20260105||ADT^A08|1|P|2.5.1\rPID|1||7^^^C||\"\"||\"\"\r");
    let person = message.segment("PID").unwrap();
    assert_eq!((person.value(2), person.value(7), person.value(8)), (Value::Empty, Value::Delete, Value::Absent));
    let patient = Patient::read(&message).unwrap();
    assert!(matches!((&patient.names, &patient.birth), (Told::Delete, Told::Delete)));
    assert_eq!(patient.contacts, Told::Unsaid);
    let components = message.segment("PID").unwrap().field(3);
    assert_eq!((components.component(2), components.component(5)), (Value::Empty, Value::Absent));
}

#[test]
fn other_delimiters_line_ends_and_charsets_say_the_same() {
    let want = Patient::read(&parse(ADMIT)).unwrap();
    let swap = |letter: char| match letter {
        '|' => '$',
        '^' => '*',
        '~' => '!',
        '\\' => '%',
        '&' => '/',
        other => other,
    };
    let other: String = ADMIT.chars().map(swap).collect();
    for text in [
        other,
        ADMIT.replace('\r', "\n"),
        ADMIT.replace('\r', "\r\n"),
        format!("\u{feff}{ADMIT}\r\r"),
        ADMIT.replace("UNICODE UTF-8", "UTF-8~ASCII"),
    ] {
        assert_eq!(Patient::read(&parse(&text)).unwrap(), want);
    }
    for charset in [Charset::Windows1251, Charset::Cyrillic] {
        let bytes = charset.encode(&ADMIT.replace("UNICODE UTF-8", charset.name())).unwrap();
        let message = Message::parse(&bytes, MESSAGE_MAX_BYTES, Charset::Ascii).unwrap();
        assert_eq!((message.charset(), Patient::read(&message).unwrap()), (charset, want.clone()));
        let unsaid = charset.encode(&ADMIT.replace("UNICODE UTF-8", "")).unwrap();
        let message = Message::parse(&unsaid, MESSAGE_MAX_BYTES, charset).unwrap();
        assert_eq!(Patient::read(&message).unwrap(), want, "as the settings of the sender say");
    }
}

#[test]
fn what_is_wrong_is_said_with_its_place_and_code() {
    let head = "MSH|^~\\&|A|B|C|D|20260105||ADT^A08|1|P|2.5.1";
    let fails = |text: &str| -> Hl7Error {
        match Message::parse(text.as_bytes(), 10_000, Charset::Ascii) {
            Err(error) => error,
            Ok(message) => Patient::read(&message).map(|_| ()).unwrap_err(),
        }
    };
    let place = |field| Place::of("PID", field);
    assert_eq!(fails("PID|1"), Hl7Error::NotHl7);
    assert_eq!(fails(&format!("{head}\rPid|1")), Hl7Error::BadSegment(2));
    assert_eq!(fails(&format!("{head}\rPIDX1")), Hl7Error::BadSegment(2));
    assert_eq!(fails(head), Hl7Error::Missing(Place { segment: "PID", sequence: 0, field: 0 }));
    assert_eq!(fails(&format!("{head}\rPID|1||^^^C")), Hl7Error::Missing(place(3)));
    assert_eq!(fails(&format!("{head}\rPID|1||7||X||19801332")), Hl7Error::BadValue(place(7), "a day, YYYYMMDD"));
    assert_eq!(fails(&format!("{head}\rPID|1||7||Имя")), Hl7Error::NotInCharset(Charset::Ascii));
    assert_eq!(fails(&format!("{head}||||||EBCDIC\rPID|1||7")), Hl7Error::UnknownCharset);
    assert_eq!(fails(&format!("{head}\r{}", "ZZZ|1\r".repeat(1001))), Hl7Error::TooManySegments);
    assert_eq!(fails(&format!("{head}\rPID{}", "|".repeat(301))), Hl7Error::TooManyFields(2));
    assert_eq!(fails(&"M".repeat(10_001)), Hl7Error::TooLong(10_000));
    assert_eq!(fails(&format!("{head}\rPID|1||7||X||19801332")).code(), Code::DataType);
    let silent = parse("MSH|^~\\&|A|B|C|D|20260105||ADT^A08||P|2.5.1");
    assert_eq!(Header::read(&silent), Err(Hl7Error::Missing(Place::of("MSH", 10))));
    for shown in [format!("{:?}", parse(ADMIT)), format!("{:?}", Patient::read(&parse(ADMIT)))] {
        assert!(!shown.contains("Анна") && !shown.contains("10017") && !shown.contains("anna@"), "{shown}");
    }
}

#[test]
fn an_appointment_is_read_from_whichever_segment_says_it() {
    let whole = parse(
        "MSH|^~\\&|MIS|C|T|C|20260105||SIU^S12^SIU_S12|1|P|2.5.1\r\
         SCH|P-1^MIS|F-9^MIS|||||ROUTINE^R^L||20|min|^^20^202601051000+0300^202601051020+0300||||||||||||||Booked\r\
         PID|1||P-10017^^^C^MR||Ivanova^Anna\rRGS|1\rAIS|1||CARDIO^Cardiology^L|202601051000\r\
         AIP|1||D0042^Petrov^Ivan\rAIL|1||ROOM204^^^C\r",
    );
    let booked = Schedule::read(&whole, AppointmentStatus::of_event("S12").unwrap()).unwrap();
    let zone = FixedOffset::east_opt(0).unwrap();
    assert_eq!((booked.id.value.as_str(), booked.status), ("F-9", AppointmentStatus::Booked));
    assert_eq!(booked.starts.unwrap().to_utc(&zone), Some(utc("2026-01-05T07:00:00Z")));
    assert_eq!(booked.ends.unwrap().to_utc(&zone), Some(utc("2026-01-05T07:20:00Z")));
    assert_eq!((booked.minutes, booked.purpose.as_deref()), (Some(20), Some("CARDIO")));
    assert_eq!(booked.doctor.unwrap().id, "D0042");
    assert_eq!(booked.location.unwrap().name(), "ROOM204");
    assert!(booked.patient.is_some());

    let sparse = parse(
        "MSH|^~\\&|MIS|C|T|C|20260105||SIU^S14|1|P|2.3\rSCH|P-1|||||||||||||||||||||||Complete\r\
         RGS|1\rAIP|1||D1|||202601051000|||1|hour\r",
    );
    let sparse = Schedule::read(&sparse, AppointmentStatus::Booked).unwrap();
    assert_eq!((sparse.id.value.as_str(), sparse.minutes), ("P-1", Some(60)));
    assert_eq!(sparse.starts.unwrap().to_utc(&zone), Some(utc("2026-01-05T10:00:00Z")));
    assert_eq!(sparse.status, AppointmentStatus::Booked, "SCH-25 is empty, SCH-24 says nothing of it");
    assert_eq!(AppointmentStatus::of_event("S26"), Some(AppointmentStatus::NoShow));
    assert_eq!(AppointmentStatus::of_event("S25"), None);
}

#[test]
fn a_message_holds_one_merge_or_several() {
    let two = parse(
        "MSH|^~\\&|MIS|C|T|C|20260105||ADT^A40^ADT_A39|1|P|2.5.1\rEVN||20260105\r\
         PID|1||NEW1^^^C||A^B\rMRG|OLD1^^^C~OLD1B^^^X\rPID|2||NEW2^^^C||C^D\rPD1|\rMRG|OLD2^^^C\r",
    );
    let merges_of = |message: &Message| merges(message);
    let found = merges_of(&two).unwrap();
    let pairs: Vec<_> = found.iter().map(|it| (it.into.ids[0].value.as_str(), it.from[0].value.as_str())).collect();
    assert_eq!(pairs, [("NEW1", "OLD1"), ("NEW2", "OLD2")]);
    assert_eq!(found[0].from.len(), 2);
    let without = parse("MSH|^~\\&|MIS|C|T|C|20260105||ADT^A40|1|P|2.5.1\rPID|1||NEW1\r");
    assert_eq!(merges_of(&without), Err(Hl7Error::Missing(Place { segment: "MRG", sequence: 0, field: 0 })));
}

#[test]
fn an_answer_is_read_however_old_its_version_is() {
    let read = |text: &str| Reply::read(&parse(text));
    let head = "MSH|^~\\&|MIS|C|T|C|20260105||ACK^A04^ACK|9|P|2.5.1";
    let plain = read(&format!("{head}\rMSA|AA|00AB")).unwrap();
    assert_eq!((plain.code, plain.control.as_str(), plain.error), (AckCode::Accept, "00AB", None));
    let newer = read(&format!("{head}\rMSA|AE|7|Ivanova is unknown\rERR||PID^1^3|204^Unknown key^HL70357|E")).unwrap();
    assert_eq!((newer.code, newer.error.as_deref()), (AckCode::Error, Some("204")));
    let older = read(&format!("{head}\rMSA|AR|7\rERR|PID^1^5^101&Missing")).unwrap();
    assert_eq!(older.error.as_deref(), Some("101"));
    let oldest = read(&format!("{head}\rMSA|CR|7||||207^x")).unwrap();
    assert_eq!((oldest.code, oldest.error.as_deref()), (AckCode::CommitReject, Some("207")));
    let wordy = read(&format!("{head}\rMSA|AE|7\rERR|||Anna Ivanova is unknown")).unwrap();
    assert_eq!(wordy.error, None, "words are not a code");
    assert!(read(head).is_err() && read(&format!("{head}\rMSA|OK|7")).is_err());
    assert!(read(&format!("{head}\rMSA|AA")).is_err());
}

// ---- any bytes ----

fn look_at(message: &Message) {
    let header = Header::lenient(message);
    let _ = (Header::read(message), Event::read(message), Patient::read(message), Visit::read(message));
    let _ = (Schedule::read(message, AppointmentStatus::Booked), merges(message), Reply::read(message));
    for segment in message.segments() {
        for field in 0..60 {
            for repetition in segment.repetitions(field).take(5) {
                for component in 1..12 {
                    let _ = (repetition.component(component), repetition.subcomponent(component, 2));
                }
            }
        }
    }
    let out = AckOut { code: AckCode::Error, error: Some((Code::Internal, Some(Place::of("MSH", 18)))), advice: "x" };
    let bytes = ack(header.as_ref(), out, "00", UtcMillis(0), &FixedOffset::east_opt(0).unwrap());
    let again = Message::parse(&bytes, MESSAGE_MAX_BYTES, Charset::Ascii).expect("our own answer reads");
    if let Some(header) = header.filter(|header| !header.control.is_empty() && header.control.is_ascii()) {
        let reply = Reply::read(&again).expect("it is an answer");
        let cut: String = header.control.chars().take(227).collect();
        assert_eq!(reply.control, cut.trim(), "it names the message that it answers");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        head in prop::sample::select(vec!["", "MSH|^~\\&|", "MSH|^~\\&|A|B|C|D|1||ADT^A04|9|P|2.5.1\rPID|"]),
    ) {
        let all = [head.as_bytes(), &bytes].concat();
        for unsaid in Charset::ALL {
            if let Ok(message) = Message::parse(&all, 4000, unsaid) {
                look_at(&message);
            }
        }
        if let Some(message) = Message::salvage(&all) {
            look_at(&message);
        }
    }

    #[test]
    fn any_change_to_a_good_message_is_read_or_refused(
        changes in prop::collection::vec((0..ADMIT.len(), any::<u8>()), 1..20),
        cut in 0..ADMIT.len(),
    ) {
        let mut bytes = ADMIT.as_bytes().to_vec();
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        for bytes in [&bytes[..], &bytes[..cut]] {
            if let Ok(message) = Message::parse(bytes, 4000, Charset::Latin1) {
                look_at(&message);
            }
        }
    }

    #[test]
    fn names_of_any_letters_arrive_as_they_were(family in "\\PC{1,40}", given in "[|^~\\\\&\"a-zА-Я .]{0,20}") {
        let names = Names::new(&family, &given, "");
        prop_assume!(!names.family.is_empty());
        let mut visit = visit();
        visit.patient.names = Some(names.clone());
        let bytes = adt(VisitEvent::Started, &envelope("1"), &visit, &zone()).unwrap();
        let message = Message::parse(&bytes, MESSAGE_MAX_BYTES, Charset::Ascii).unwrap();
        let read = Patient::read(&message).unwrap().names.is().unwrap();
        prop_assert_eq!(read.family.reveal(), names.family.reveal());
        prop_assert_eq!(read.given.reveal(), names.given.reveal());
    }
}

// ---- writing ----

fn zone() -> FixedOffset {
    FixedOffset::east_opt(10_800).unwrap()
}

fn envelope(control: &str) -> Envelope {
    Envelope {
        application: Party::named("TAPWARD"),
        facility: Party::named("CLINIC1"),
        to_application: Party::named("MIS"),
        to_facility: Party::named("CLINIC1"),
        at: utc("2026-01-05T06:00:12.345Z"),
        control: control.to_owned(),
        processing: 'P',
        accept: None,
        result: None,
        charset: Charset::Utf8,
    }
}

fn visit() -> VisitOut {
    VisitOut {
        patient: PatientOut {
            ids: vec![("P-10017".to_owned(), "CLINIC1".to_owned(), "MR")],
            pseudonym: "0b6a1c52-7f3e-4a35-9d7c-2f1a8a5e6c01".to_owned(),
            names: None,
            birth: None,
        },
        doctor: DoctorOut { id: "D0042".to_owned(), authority: "CLINIC1".to_owned(), names: None },
        room: "ROOM204".to_owned(),
        facility: "CLINIC1".to_owned(),
        number: "7".to_owned(),
        id: "5f0c7c1e-0d9b-4f8e-8a57-3b1f6f0f6c11".to_owned(),
        authority: "CLINIC1".to_owned(),
        started: utc("2026-01-05T06:00:11Z"),
        ended: None,
        occurred: utc("2026-01-05T06:00:11Z"),
    }
}

fn charge(kind: ChargeKind) -> ChargeOut {
    ChargeOut {
        id: "0c9d1f52-6a3e-4b8e-9d51-2f1a8a5e6c77".to_owned(),
        kind,
        at: utc("2026-01-05T06:45:00Z"),
        service: ("ECG-12".to_owned(), "Electrocardiogram".to_owned()),
        system: "TAPWARD".to_owned(),
        quantity: 2,
        amount: Amount::new(101_800).unwrap(),
        price: Amount::new(50_900),
        currency: Currency::parse("UAH").unwrap(),
    }
}

fn account(visit: Option<VisitOut>) -> AccountOut {
    let (patient, doctor) = (self::visit().patient, Some(self::visit().doctor));
    AccountOut { patient, doctor, visit, occurred: utc("2026-01-05T06:45:00Z") }
}

fn paid() -> ChargeOut {
    ChargeOut {
        id: "7d3a0b6e-1c94-4a6e-8f2b-5b0f7f1d2e90".to_owned(),
        kind: ChargeKind::Payment,
        service: ("card".to_owned(), "Payment".to_owned()),
        quantity: 1,
        price: None,
        ..charge(ChargeKind::Payment)
    }
}

/// Everything that we send, by the names under which the page for integrators shows it.
fn ours() -> Vec<(&'static str, Vec<u8>)> {
    let ended = VisitOut { ended: Some(utc("2026-01-05T06:44:58Z")), occurred: utc("2026-01-05T06:44:58Z"), ..visit() };
    let named = VisitOut {
        patient: PatientOut {
            names: Some(Names::new("Иванова", "Анна", "Сергеевна")),
            birth: BirthDate::new(1980, 2, 1),
            ..visit().patient
        },
        doctor: DoctorOut { names: Some(Names::new("Петров", "Иван", "")), ..visit().doctor },
        ..visit()
    };
    let enhanced =
        Envelope { accept: Some(AckWhen::Always), result: Some(AckWhen::Never), ..envelope("9E1B70AA52C4D83F6E05") };
    let send = |event, control, visit: &VisitOut| adt(event, &envelope(control), visit, &zone()).unwrap();
    let bill = |control, visit, of: ChargeOut| dft(&envelope(control), &account(visit), &[of], &zone()).unwrap();
    let header = Header::read(&parse(ADMIT)).unwrap();
    let at = utc("2026-01-05T06:00:13Z");
    let good = AckOut { code: AckCode::Accept, error: None, advice: "" };
    let bad = AckOut {
        code: AckCode::Error,
        error: Some((Code::RequiredMissing, Some(Place::of("PID", 3)))),
        advice: "correct it; the documentation says what is read",
    };
    vec![
        ("started", send(VisitEvent::Started, "41F0C9A8E27B5D3301AC", &visit())),
        ("ended", send(VisitEvent::Ended, "7C22E0B1945FD86A13E9", &ended)),
        ("changed", send(VisitEvent::Changed, "B5D3301AC41F0C9A8E27", &visit())),
        ("cancelled", send(VisitEvent::Cancelled, "05A1D2C37F9E48B6620D", &visit())),
        ("names", adt(VisitEvent::Started, &enhanced, &named, &zone()).unwrap()),
        ("charge", bill("E4B09C6D12FA7835D0C1", Some(visit()), charge(ChargeKind::Charge))),
        ("credit", bill("12FA7835D0C1E4B09C6D", Some(visit()), charge(ChargeKind::Credit))),
        ("payment", bill("D0C1E4B09C6D12FA7835", None, paid())),
        ("ack", ack(Some(&header), good, "2B7D9F01C3A5E4860F12", at, &zone())),
        ("ack-error", ack(Some(&header), bad, "C3A5E4860F122B7D9F01", at, &zone())),
    ]
}

#[test]
fn the_page_for_integrators_shows_what_we_send() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/hl7.md");
    let text = std::fs::read_to_string(&page).unwrap();
    for (name, bytes) in ours() {
        let shown = String::from_utf8(bytes).unwrap().replace('\r', "\n");
        // To write the page anew: the samples as files.
        if let Ok(folder) = std::env::var("TAPWARD_HL7_SAMPLES") {
            std::fs::write(Path::new(&folder).join(name), &shown).unwrap();
            continue;
        }
        assert!(text.contains(&shown), "docs/hl7.md does not show `{name}` as we send it:\n{shown}");
    }
}

/// One line for each message: its structure and how many errors hl7apy found in it.
fn validate(messages: &[u8]) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let venv = std::env::var_os("TAPWARD_VENV").map_or_else(|| root.join("../target/venv"), PathBuf::from);
    let mut python = Command::new(venv.join("bin/python"))
        .arg(root.join("tests/interop/hl7_validate.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{} is missing ({error}): run `make prepare`", venv.display()));
    python.stdin.take().unwrap().write_all(messages).unwrap();
    let output = python.wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}; is hl7apy there? run `make prepare`");
    said
}

#[test]
fn an_independent_validator_finds_nothing_wrong_with_what_we_send() {
    let all: Vec<u8> = ours().into_iter().flat_map(|(_, bytes)| [&bytes[..], b"\x1c"].concat()).collect();
    let said = validate(&all);
    assert_eq!(said.lines().count(), ours().len(), "one line for each message: {said}");
    assert!(said.lines().all(|line| line.ends_with(" 0")), "{said}");
}

#[test]
fn the_independent_validator_can_find_something_wrong() {
    let broken = ours().swap_remove(0).1;
    let broken = String::from_utf8(broken).unwrap().replace("EVN|A04|", "ZZZ|A04|");
    let said = validate(&[broken.as_bytes(), b"\x1c"].concat());
    assert!(said.lines().count() == 1 && !said.trim_end().ends_with(" 0"), "{said}");
}
