use domain::card::{self, CardFormat};
use domain::ids::{Direction, PointId};
use wire::isapi::codes::*;
use zeroize::Zeroizing;

use super::*;
use crate::settings::{PeerReader, Place};

const CARD: &str = "3735928559";

fn places() -> Places {
    let reader = |id: &str, at: &str| PeerReader {
        place: Place {
            reader: ReaderId::new(id).unwrap(),
            point: PointId::new("p").ok(),
            direction: Direction::In,
            uid_reversed: false,
        },
        at: at.into(),
    };
    Places::new(&[reader("one", "1"), reader("two", "2")])
}

fn number() -> Number {
    card::parse(CardFormat::UidHex, "DEADBEEF")
}

fn event(minor: u32, card: bool) -> Access {
    let card = card.then(|| Zeroizing::new(CARD.to_owned()));
    Access { major: MAJOR_EVENT, minor, door: Some(1), reader: Some(1), card, current: true, ..Access::default() }
}

/// Kinds of passages that an event became, with the question they end; `!` where the channel is in doubt.
fn say(memory: &mut Memory, event: &Access, age: Age) -> Vec<(Option<Happened>, Option<u64>)> {
    let said = memory.translate(event, age, Instant::now(), &places(), CardForm::UidDecimal);
    said.into_iter()
        .map(|said| match said {
            Said::Report(Report::Passage(passage)) => (Some(passage.what), passage.ask),
            Said::Unheard => (None, Some(u64::MAX)),
            other => panic!("{other:?}"),
        })
        .collect()
}

const NOW: Age = Age::Known(Duration::ZERO);
const DOUBT: (Option<Happened>, Option<u64>) = (None, Some(u64::MAX));

fn answered(memory: &mut Memory, no: u64, granted: bool) {
    let reader = ReaderId::new("one").unwrap();
    memory.answered(Answered { no, door: Some(1), reader, number: number(), granted, at: Instant::now() });
}

#[tokio::test]
async fn what_the_device_does_at_our_word_is_no_second_decision() {
    let mut memory = Memory::new(true, true);
    answered(&mut memory, 7, true);
    assert_eq!(say(&mut memory, &event(CARD_PASS, true), NOW), []);
    assert_eq!(say(&mut memory, &event(UNLOCKED, false), NOW), []);
    assert_eq!(say(&mut memory, &event(OPENED, false), NOW), [(Some(Happened::Passed), Some(7))]);
    assert_eq!(say(&mut memory, &event(LOCKED, false), NOW), [], "a grant ends once");
    answered(&mut memory, 8, false);
    assert_eq!(say(&mut memory, &event(CARD_NO_RIGHT, true), NOW), []);
}

#[tokio::test]
async fn a_release_that_nobody_uses_is_not_taken() {
    let mut memory = Memory::new(true, true);
    answered(&mut memory, 7, true);
    assert_eq!(say(&mut memory, &event(CARD_PASS, true), NOW), []);
    assert_eq!(say(&mut memory, &event(LOCKED, false), NOW), [(Some(Happened::NotTaken), Some(7))]);
}

#[tokio::test]
async fn a_device_without_a_report_of_its_own_still_ends_the_grant() {
    let mut memory = Memory::new(true, true);
    answered(&mut memory, 9, true);
    assert_eq!(say(&mut memory, &event(OPENED, false), NOW), [(Some(Happened::Passed), Some(9))]);
    let mut blind = Memory::new(false, true);
    answered(&mut blind, 9, true);
    assert_eq!(say(&mut blind, &event(OPENED, false), NOW), [], "passage is assumed by the core there");
}

#[tokio::test]
async fn what_the_device_decides_itself_is_reported_and_doubted_while_it_should_ask() {
    let mut memory = Memory::new(true, true);
    assert_eq!(say(&mut memory, &event(CARD_PASS, true), NOW), [(Some(Happened::Granted), None), DOUBT]);
    let mut timeout = event(CARD_UNKNOWN, true);
    timeout.remote_result = Some("timeout".into());
    assert_eq!(say(&mut memory, &timeout, NOW), [(Some(Happened::Refused), None), DOUBT]);
    let late = Age::Known(Duration::from_secs(3600));
    assert_eq!(say(&mut memory, &event(CARD_PASS, true), late), [(Some(Happened::Granted), None)]);
    let mut alone = Memory::new(true, false);
    assert_eq!(say(&mut alone, &event(CARD_PASS, true), NOW), [(Some(Happened::Granted), None)]);
    assert_eq!(say(&mut alone, &event(OPENED, false), NOW), [(Some(Happened::Passed), None)]);
}

#[tokio::test]
async fn a_grant_of_ours_that_the_device_refuses_was_not_taken() {
    let mut memory = Memory::new(true, true);
    answered(&mut memory, 3, true);
    assert_eq!(say(&mut memory, &event(CARD_NO_RIGHT, true), NOW), [(Some(Happened::NotTaken), Some(3)), DOUBT]);
    answered(&mut memory, 4, false);
    assert_eq!(say(&mut memory, &event(CARD_PASS, true), NOW), [(Some(Happened::Granted), None), DOUBT]);
}

#[tokio::test]
async fn echoes_and_an_exit_button_are_nobodys_passage() {
    let mut memory = Memory::new(true, true);
    let echo = Access { major: MAJOR_OPERATION, minor: REMOTE_OPEN, ..event(0, false) };
    assert_eq!(say(&mut memory, &echo, NOW), []);
    for minor in [23, OPENED, CLOSED, LOCKED] {
        assert_eq!(say(&mut memory, &event(minor, false), NOW), []);
    }
    assert_eq!(say(&mut memory, &event(FORCED, false), NOW), [(Some(Happened::Forced), None)]);
}

#[tokio::test]
async fn an_unknown_code_is_said_once_and_a_strange_door_is_put_aside() {
    let mut memory = Memory::new(true, true);
    let odd = Access { major: 5, minor: 60_000, ..event(0, false) };
    let said = |memory: &mut Memory, event: &Access| {
        memory.translate(event, NOW, Instant::now(), &places(), CardForm::UidDecimal)
    };
    assert!(matches!(said(&mut memory, &odd)[..], [Said::Unknown]));
    assert!(said(&mut memory, &odd).is_empty());
    let strange = Access { door: Some(9), ..event(CARD_PASS, true) };
    assert!(matches!(
        &said(&mut memory, &strange)[..],
        [Said::Report(Report::Alarm { reason: Reason::Quarantined, .. })]
    ));
}
