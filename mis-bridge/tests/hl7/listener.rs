//! Our listener against senders that cut, repeat, shout and lie.

use std::net::SocketAddr;
use std::time::Duration;

use clinic::acting::Acting;
use clinic::feeds::{Feeds, SiteKeys, Source, person_of_alias};
use clinic::people::Reference;
use clinic::vault::{Blobs, KeySource, Vault};
use domain::CardKey;
use mis_bridge::hl7::{Receiver, ReceiverSettings, SenderRule, SettingsError, TlsServer};
use sha2::{Digest, Sha256};
use store::Database;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use wire::hl7::mllp::{Framed, Framer};
use wire::hl7::view::{AckCode, Reply};
use wire::hl7::{Charset, Message};

use super::certificates::{Authority, Made};
use super::clinic_of::{clock, database};
use super::{PATIENCE, ZONE, framed};

/// A listener with its clinic.
pub struct Office {
    pub address: SocketAddr,
    pub database: Database,
    pub vault: Vault,
    shutdown: CancellationToken,
    folder: tempfile::TempDir,
}

impl Office {
    pub async fn open(change: impl FnOnce(&mut ReceiverSettings)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = database(folder.path()).await;
        let blobs = Blobs::folder(&folder.path().join("photographs"));
        let vault = Vault::new(database.clone(), clock(), blobs, KeySource::Own(folder.path().join("vault.key")));
        vault.start().await.unwrap();
        let keys = SiteKeys { card: CardKey::new([7; 32]), seal: None };
        let settings = clinic::feeds::Settings::new(ZONE);
        let feeds = Feeds::new(database.clone(), clock(), Some(vault.clone()), keys, settings);
        let mut settings = ReceiverSettings::new("127.0.0.1:0".parse().unwrap(), ZONE);
        settings.senders = vec![SenderRule {
            authority: Some("CLINIC1".to_owned()),
            ..SenderRule::new(Source::new("mis").unwrap(), "MIS", ZONE)
        }];
        change(&mut settings);
        let receiver = Receiver::bind(settings, database.clone(), feeds, clock()).await.unwrap();
        let address = receiver.address().unwrap();
        let shutdown = CancellationToken::new();
        tokio::spawn(receiver.run(shutdown.clone()));
        Self { address, database, vault, shutdown, folder }
    }

    pub async fn join(&self) -> Caller<TcpStream> {
        Caller::on(TcpStream::connect(self.address).await.unwrap())
    }

    pub async fn knows(&self, number: &str) -> Option<domain::PersonId> {
        person_of_alias(&self.database, "mis", number).await.unwrap()
    }
}

impl Drop for Office {
    fn drop(&mut self) {
        self.shutdown.cancel();
        let _ = self.folder.path();
    }
}

/// A sender.
pub struct Caller<S> {
    stream: S,
    framer: Framer,
    rest: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Caller<S> {
    pub fn on(stream: S) -> Self {
        Self { stream, framer: Framer::new(1_000_000), rest: Vec::new() }
    }

    pub async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// The next frame; `None` when the other end has closed.
    pub async fn frame(&mut self) -> Option<Vec<u8>> {
        loop {
            let mut rest = self.rest.as_slice();
            let framed = self.framer.take(&mut rest);
            self.rest = rest.to_vec();
            match framed {
                Some(Framed::Message(bytes)) => return Some(bytes),
                Some(other) => panic!("{other:?}"),
                None => {}
            }
            let mut piece = [0; 4096];
            let read = tokio::time::timeout(PATIENCE, self.stream.read(&mut piece)).await.expect("an answer in time");
            match read {
                Ok(0) | Err(_) => return None,
                Ok(count) => self.rest.extend_from_slice(&piece[..count]),
            }
        }
    }

    pub async fn reply(&mut self) -> Reply {
        let bytes = self.frame().await.expect("an answer");
        Reply::read(&Message::parse(&bytes, 100_000, Charset::Ascii).unwrap()).unwrap()
    }

    pub async fn ask(&mut self, text: &str) -> (AckCode, String, Option<String>) {
        self.write(&framed(text)).await;
        let Reply { code, control, error } = self.reply().await;
        (code, control, error)
    }
}

pub fn admit(control: &str, number: &str, family: &str) -> String {
    format!(
        "MSH|^~\\&|MIS|CLINIC1|TAPWARD|CLINIC1|20260105090000+0300||ADT^A28^ADT_A05|{control}|P|2.5.1||||||UNICODE UTF-8\r\
         EVN||20260105090000+0300\rPID|1||{number}^^^CLINIC1^MR||{family}^Анна||19800201\r"
    )
}

const GOOD: AckCode = AckCode::Accept;

fn of(control: &str) -> (AckCode, String, Option<String>) {
    (GOOD, control.to_owned(), None)
}

fn wrong(code: AckCode, control: &str, error: &str) -> (AckCode, String, Option<String>) {
    (code, control.to_owned(), Some(error.to_owned()))
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_in_one_piece_and_byte_by_byte_are_both_answered_in_order() {
    let office = Office::open(|_| {}).await;
    let mut caller = office.join().await;
    let all: Vec<u8> = (1..=5).flat_map(|n| framed(&admit(&n.to_string(), &format!("P-{n}"), "Иванова"))).collect();
    caller.write(&[b"noise\r\n", &all[..]].concat()).await;
    for number in 1..=5 {
        assert_eq!(caller.reply().await.control, number.to_string());
    }
    for byte in framed(&admit("6", "P-6", "Петрова")) {
        caller.write(&[byte]).await;
    }
    assert_eq!(caller.reply().await.control, "6");
    assert!(office.knows("P-5").await.is_some() && office.knows("P-6").await.is_some());
    assert!(office.knows("P-7").await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_sent_again_gets_the_same_bytes() {
    let office = Office::open(|_| {}).await;
    let message = framed(&admit("1", "P-1", "Иванова"));
    let mut answers = Vec::new();
    for _ in 0..3 {
        let mut caller = office.join().await;
        caller.write(&message).await;
        answers.push(caller.frame().await.unwrap());
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "byte for byte");
    // Another message under the same number is another one, and so is the same one of another facility.
    let mut caller = office.join().await;
    assert_eq!(caller.ask(&admit("1", "P-2", "Петрова")).await, of("1"));
    assert!(office.knows("P-2").await.is_some(), "a sender whose numbers begin anew loses nothing");
    let bad = admit("2", "P-3", "X").replace("19800201", "1980");
    let first = caller.ask(&bad).await;
    assert_eq!(first, wrong(AckCode::Error, "2", "102"));
    caller.write(&framed(&bad)).await;
    let (one, mut other) = (caller.frame().await.unwrap(), office.join().await);
    other.write(&framed(&bad)).await;
    assert_eq!(other.frame().await.unwrap(), one, "refusals too");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_taken_is_refused_with_its_reason_and_the_next_one_is_taken() {
    let office = Office::open(|settings| settings.message_max_bytes = 20_000).await;
    let mut caller = office.join().await;
    let admit = |control: &str| admit(control, "P-1", "Иванова");
    for (text, want) in [
        (admit("1").replace("ADT^A28", "ORU^R01"), wrong(AckCode::Reject, "1", "200")),
        (admit("2").replace("ADT^A28", "ADT^A99"), wrong(AckCode::Reject, "2", "201")),
        (admit("3").replace("|P|2.5.1", "|T|2.5.1"), wrong(AckCode::Reject, "3", "202")),
        (admit("4").replace("|P|2.5.1", "|P|3.0"), wrong(AckCode::Reject, "4", "203")),
        (admit("5").replace("|MIS|", "|STRANGER|"), wrong(AckCode::Reject, "5", "103")),
        (admit("6").replace("UNICODE UTF-8", "EBCDIC"), wrong(AckCode::Error, "6", "103")),
        (admit("7").replace("UNICODE UTF-8", "ASCII"), wrong(AckCode::Error, "7", "102")),
        (admit("8").replace("\rPID", "\rNTE"), wrong(AckCode::Error, "8", "100")),
        (admit("9").replace("P-1^^^CLINIC1^MR", ""), wrong(AckCode::Error, "9", "101")),
        (admit("10").replace("P-1^^^CLINIC1", "P-1^^^ELSEWHERE"), wrong(AckCode::Error, "10", "204")),
        (format!("{}{}", admit("11"), "Z".repeat(30_000)), wrong(AckCode::Reject, "11", "207")),
        (admit("11a").replace("|MIS|", "|МИС|"), wrong(AckCode::Reject, "11a", "103")),
        (admit("12").replace("\rPID|", "\rP|"), wrong(AckCode::Error, "12", "100")),
    ] {
        assert_eq!(caller.ask(&text).await, want);
    }
    caller.write(&framed("this is no HL7")).await;
    let bytes = caller.frame().await.unwrap();
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.contains("\rMSA|AR\r") && text.contains("|100^"), "{text}");
    let without = self::admit("", "P-1", "X");
    caller.write(&framed(&without)).await;
    let text = String::from_utf8(caller.frame().await.unwrap()).unwrap();
    assert!(text.contains("\rMSA|AE\r") && text.contains("MSH^1^10|101^"), "{text}");
    caller.write(b"\x0bMSH|broken off").await;
    assert_eq!(caller.ask(&admit("13")).await, of("13"), "and the connection still serves");
    assert!(office.knows("P-1").await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn other_delimiters_charsets_and_line_ends_are_taken() {
    let office = Office::open(|_| {}).await;
    let mut caller = office.join().await;
    let swapped: String = admit("1", "P-1", "Иванова")
        .chars()
        .map(|letter| match letter {
            '|' => '$',
            '^' => '*',
            '~' => '!',
            '\\' => '%',
            '&' => '/',
            other => other,
        })
        .collect();
    assert_eq!(caller.ask(&swapped).await, of("1"));
    assert_eq!(caller.ask(&admit("2", "P-2", "Петрова").replace('\r', "\n")).await, of("2"));
    let old = admit("3", "P-3", "Сидорова").replace("UNICODE UTF-8", "WINDOWS-1251");
    caller.write(&wire::hl7::mllp::frame(&Charset::Windows1251.encode(&old).unwrap())).await;
    assert_eq!(caller.reply().await.control, "3");
    for number in ["P-1", "P-2", "P-3"] {
        assert!(office.knows(number).await.is_some(), "{number}");
    }
    for (number, family) in [("P-1", "Иванова"), ("P-3", "Сидорова")] {
        let person = office.knows(number).await.unwrap();
        let found = office
            .vault
            .reveal(
                &clinic::acting::Acting::console(),
                person,
                &[domain::Field::Name],
                clinic::audit::Purpose::Maintenance,
                None,
            )
            .await
            .unwrap();
        assert_eq!(found.names.family.reveal(), family);
    }
    assert!(Reference::new("P-1").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_enhanced_mode_is_answered_as_the_sender_wants_it() {
    let office = Office::open(|_| {}).await;
    let mut caller = office.join().await;
    let ask = |control: &str, modes: &str| {
        admit(control, "P-1", "Иванова").replace("|2.5.1||||||", &format!("|2.5.1|||{modes}||"))
    };
    let bad = |control: &str, modes: &str| ask(control, modes).replace("19800201", "never");
    let codes = |text: String, count: usize| (text, count);
    for ((text, count), want) in [
        (codes(ask("1", "AL|NE"), 1), vec![AckCode::CommitAccept]),
        (codes(ask("2", "AL|AL"), 2), vec![AckCode::CommitAccept, AckCode::Accept]),
        (codes(ask("3", "NE|AL"), 1), vec![AckCode::Accept]),
        (codes(bad("4", "AL|NE"), 1), vec![AckCode::CommitError]),
        (codes(bad("5", "AL|ER"), 2), vec![AckCode::CommitAccept, AckCode::Error]),
        (codes(ask("6", "ER|SU"), 1), vec![AckCode::Accept]),
        // Nothing is wanted; the next one is answered.
        (codes(format!("{}\u{1c}\r\u{b}{}", ask("7", "NE|NE"), ask("8", "AL|")), 1), vec![AckCode::CommitAccept]),
    ] {
        caller.write(&framed(&text)).await;
        let mut got = Vec::new();
        for _ in 0..count {
            got.push(caller.reply().await.code);
        }
        assert_eq!(got, want);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_bounded_and_one_that_stalls_in_a_message_is_closed() {
    let office = Office::open(|settings| {
        settings.connections_max = 2;
        settings.message_within = Duration::from_millis(300);
    })
    .await;
    let mut stalling = office.join().await;
    stalling.write(b"\x0bMSH|^~\\&|MIS").await;
    let mut idle = office.join().await;
    assert_eq!(idle.ask(&admit("1", "P-1", "Иванова")).await, of("1"));
    let mut third = office.join().await;
    assert_eq!(third.frame().await, None, "one too many");
    assert_eq!(stalling.frame().await, None, "half a message is not waited for");
    assert_eq!(idle.ask(&admit("2", "P-2", "Иванова")).await, of("2"), "who says nothing may stay");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_is_known_by_name_certificate_and_address() {
    let (authority, other) = (Authority::new(), Authority::new());
    let (ours, sender, second) = (authority.make(), authority.make(), authority.make());
    let pinned: [u8; 32] = Sha256::digest(&sender.der).into();
    let (identity, clients) = (ours.identity(), authority.pem());
    let office = Office::open(move |settings| {
        settings.tls = Some(TlsServer { identity, clients });
        settings.senders[0].certificate = Some(pinned);
    })
    .await;
    let join = async |made: Option<&Made>| {
        let settings = mis_bridge::hl7::SenderSettings {
            tls: Some(mis_bridge::hl7::TlsClient { roots: authority.roots(), identity: made.map(Made::identity) }),
            application: wire::hl7::view::Party::named("MIS"),
            ..mis_bridge::hl7::SenderSettings::new("us", "localhost", office.address.port(), ZONE)
        };
        let mut line = mis_bridge::hl7::Line::new(&settings).unwrap();
        line.exchange("1", admit("1", "P-1", "Иванова").as_bytes()).await
    };
    use mis_bridge::hl7::{LineFault, Verdict};
    assert_eq!(join(Some(&sender)).await, Ok(Verdict::Accepted));
    let stranger = join(Some(&second)).await;
    assert_eq!(stranger, Ok(Verdict::Refused { code: AckCode::Reject, error: Some("103".to_owned()) }));
    for (wrong, what) in [(None, "none"), (Some(&other.make()), "another's"), (Some(&authority.expired()), "expired")] {
        let outcome = join(wrong).await;
        assert!(matches!(outcome, Err(LineFault::Tls | LineFault::Broken)), "{what}: {outcome:?}");
    }
}

#[test]
fn settings_that_cannot_work_are_refused_with_words() {
    let rule = || SenderRule::new(Source::new("mis").unwrap(), "MIS", ZONE);
    let open = || ReceiverSettings::new("0.0.0.0:2575".parse().unwrap(), ZONE);
    assert_eq!(open().check(), Err(SettingsError::PlainListener));
    let mut settings = ReceiverSettings { plain: true, ..open() };
    assert_eq!(settings.check(), Err(SettingsError::NoSender));
    settings.senders = vec![rule(), rule()];
    assert_eq!(settings.check(), Err(SettingsError::SameSender));
    settings.senders = vec![SenderRule { certificate: Some([0; 32]), ..rule() }];
    assert_eq!(settings.check(), Err(SettingsError::CertificateWithoutTls));
    settings.senders = vec![rule()];
    assert_eq!(settings.check(), Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_database_away_nothing_is_acknowledged() {
    let office = Office::open(|_| {}).await;
    let mut caller = office.join().await;
    assert_eq!(caller.ask(&admit("1", "P-1", "Иванова")).await, of("1"));
    office.database.close().await;
    caller.write(&framed(&admit("2", "P-2", "Иванова"))).await;
    assert_eq!(caller.frame().await, None, "the sender keeps it and sends it again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_language_is_known_by_any_code_deleted_by_quotes_and_what_is_no_code_refuses_nobody() {
    let office = Office::open(|_| {}).await;
    let mut caller = office.join().await;
    // A minute later each time: what is older changes nothing.
    let told = |n: usize, field: &str| {
        let at = format!("2026010509{n:02}00+0300");
        admit(&n.to_string(), "P-1", "Иванова")
            .replace("20260105090000+0300", &at)
            .replace("||19800201\r", &format!("||19800201||||||||{field}\r"))
    };
    let long = "x".repeat(5_000);
    let steps = [
        ("rus^Russian^ISO639", Some("ru")),
        ("", Some("ru")),
        ("UKR", Some("uk")),
        ("Ukrainian", Some("uk")),
        (&long, Some("uk")),
        ("ru-UA", Some("ru")),
        ("7^Polish^L^pol^^ISO639", Some("pl")),
        ("\"\"", None),
        ("eng", Some("en")),
    ];
    for (n, (field, spoken)) in (1..).zip(steps) {
        assert_eq!(caller.ask(&told(n, field)).await, of(&n.to_string()), "{field}");
        let person = office.knows("P-1").await.unwrap();
        let known = clinic::people::language_known(&office.database, &Acting::console(), person).await.unwrap();
        assert_eq!(known.spoken().map(clinic::people::Spoken::as_str), spoken, "{field}");
        assert_eq!(known.told.and_then(|told| told.by).as_deref(), spoken.map(|_| "mis"), "{field}");
    }
}

fn merge(control: &str, stays: &str, goes: &str) -> String {
    format!(
        "MSH|^~\\&|MIS|CLINIC1|TAPWARD|CLINIC1|20260105100000+0300||ADT^A40^ADT_A39|{control}|P|2.5.1\r\
         EVN||20260105100000+0300\rPID|1||{stays}^^^CLINIC1^MR||Ivanova^Anna\rMRG|{goes}^^^CLINIC1^MR\r"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn two_records_that_are_one_patient_become_one_person() {
    let office = Office::open(|_| {}).await;
    let mut caller = office.join().await;
    for (control, number) in [("1", "P-1"), ("2", "P-2")] {
        assert_eq!(caller.ask(&admit(control, number, "Иванова")).await, of(control));
    }
    let stays = office.knows("P-2").await.unwrap();
    assert_ne!(office.knows("P-1").await, Some(stays));
    assert_eq!(caller.ask(&merge("3", "P-2", "P-1")).await, of("3"));
    assert_eq!(office.knows("P-1").await, Some(stays));
    // Merged again, and merged with somebody of whom nobody told.
    assert_eq!(caller.ask(&merge("4", "P-2", "P-1")).await, of("4"));
    assert_eq!(caller.ask(&merge("5", "P-2", "P-9")).await, of("5"));
    assert_eq!(office.knows("P-9").await, Some(stays));
    assert_eq!(caller.ask(&merge("6", "P-8", "P-7")).await, of("6"));
    assert!(office.knows("P-7").await.is_some() && office.knows("P-7").await == office.knows("P-8").await);
    assert_eq!(caller.ask(&merge("7", "P-2", "P-2")).await, wrong(AckCode::Error, "7", "205"));
}

fn book(control: &str, event: &str, times: &str) -> String {
    format!(
        "MSH|^~\\&|MIS|CLINIC1|TAPWARD|CLINIC1|20260105100000+0300||SIU^{event}^SIU_S12|{control}|P|2.5.1\r\
         SCH||A-1^MIS|||||ROUTINE|||{times}\rPID|1||P-1^^^CLINIC1^MR||Ivanova^Anna\rRGS|1\r"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn appointments_are_booked_moved_and_called_off() {
    let office = Office::open(|_| {}).await;
    let mut caller = office.join().await;
    let stored = async || -> (i64, i64, String) {
        store::read!(office.database, "test.appointment", |conn| {
            Ok(store::sqlx::query_as(
                "SELECT starts_ms, ends_ms, state FROM appointment WHERE source = 'mis' AND external = 'A-1'",
            )
            .fetch_one(&mut *conn)
            .await?)
        })
        .unwrap()
    };
    let unknown = caller.ask(&book("1", "S15", "|^^")).await;
    assert_eq!(unknown, wrong(AckCode::Error, "1", "101"), "nobody knows when it would have been");
    assert_eq!(caller.ask(&book("2", "S12", "|^^20^202601061000+0300")).await, of("2"));
    let starts = domain::UtcMillis::from_rfc3339("2026-01-06T07:00:00Z").unwrap().0;
    let (begin, _, state) = stored().await;
    assert_eq!((begin, state.as_str()), (starts, "booked"));
    assert_eq!(caller.ask(&book("3", "S13", "|^^^202601061100+0300^202601061130+0300")).await, of("3"));
    let (begin, end, _) = stored().await;
    assert_eq!((begin, end), (starts + 3_600_000, starts + 5_400_000));
    let bare = book("4", "S15", "|").replace("PID|1||P-1^^^CLINIC1^MR||Ivanova^Anna\rRGS|1\r", "");
    assert_eq!(caller.ask(&bare).await, of("4"), "what is not said stays as it is");
    assert_eq!(stored().await, (starts + 3_600_000, starts + 5_400_000, "cancelled".to_owned()));
    let nobody = bare.replace("A-1^MIS", "A-2^MIS").replace("|4|", "|4a|");
    assert_eq!(caller.ask(&nobody).await, wrong(AckCode::Error, "4a", "100"), "nor is it guessed");
    assert_eq!(caller.ask(&book("5", "S26", "|")).await, of("5"));
    assert_eq!(stored().await.2, "no_show");
    assert!(office.knows("P-1").await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_vault_locked_the_sender_keeps_its_message() {
    let office = Office::open(|_| {}).await;
    let console = clinic::acting::Acting::console();
    office.vault.lock(&console).await.unwrap();
    let mut caller = office.join().await;
    caller.write(&framed(&admit("1", "P-1", "Иванова"))).await;
    assert_eq!(caller.frame().await, None);
    office.vault.reopen(&console).await.unwrap();
    let mut caller = office.join().await;
    assert_eq!(caller.ask(&admit("1", "P-1", "Иванова")).await, of("1"));
}
