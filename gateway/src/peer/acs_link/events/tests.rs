use domain::ids::{Direction, PointId, ReaderId};
use tokio::time::Instant;
use wire::acs_link::message::{ClockState, PassResult};
use wire::acs_link::{CredFormat, Credential, Instant as At, Uuid};

use super::super::switchboard::Switchboard;
use super::*;
use crate::settings::{PeerReader, Place};

const NOW: Received = Received { at: UtcMillis(1_795_255_200_000), skew_ms: Some(0) };

fn points() -> Points {
    let reader = |name: &str, direction| PeerReader {
        place: Place {
            reader: ReaderId::new(name).unwrap(),
            point: Some(PointId::new("t1").unwrap()),
            direction,
            uid_reversed: false,
        },
        at: "gate".to_owned(),
    };
    let readers = [reader("in", Direction::In), reader("out", Direction::Out)];
    Points::new("acs-1", &readers, Switchboard::default())
}

fn event(code: PassCode, credential: Option<Credential>) -> PassEvent {
    PassEvent {
        event_id: Token::new("e:1").unwrap(),
        occurred_at: At::from_utc(NOW.at.plus_ms(-1200)),
        clock: ClockState::Synced,
        request: None,
        point: Token::new("gate").unwrap(),
        credential,
        person: Some(Token::new("0102030405060708090a0b0c0d0e0f10").unwrap()),
        direction: message::Direction::Out,
        result: PassResult { code, reason: None, by: None },
        ext: Vec::new(),
    }
}

fn passage(event: &PassEvent, asks: &Asks) -> Vec<Passage> {
    let told = pass_event(event, NOW, &points(), asks).unwrap();
    told.reports
        .into_iter()
        .map(|report| match report {
            Report::Passage(passage) => passage,
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn an_event_becomes_a_passage_at_our_reader_with_its_age_and_holder() {
    let card = Credential::new(CredFormat::UidHex, "04A1B2C3D4E5F6").unwrap();
    let mut told = event(PassCode::Denied, Some(card));
    told.result.reason = Some(wire::acs_link::Reason::new("credential-expired").unwrap());
    let passages = passage(&told, &Asks::new(0));
    let [one] = &passages[..] else { panic!("{passages:?}") };
    assert_eq!((one.reader.as_str(), one.what, one.reason), ("out", Happened::Refused, Some(Reason::Expired)));
    assert_eq!(one.age, crate::line::Age::Known(std::time::Duration::from_millis(1200)));
    assert!(matches!(one.number, Some(Ok(_))) && one.person.is_some());
}

#[test]
fn a_code_or_pin_is_no_card_and_no_mistake_but_a_wrong_number_is_set_aside() {
    let qr = Credential::new(CredFormat::Qr, "MIS1.eyJ2").unwrap();
    assert!(passage(&event(PassCode::Passed, Some(qr)), &Asks::new(0))[0].number.is_none());
    let wrong = Credential::new(CredFormat::Wiegand26, "ZZZZZZ").unwrap();
    let poison = pass_event(&event(PassCode::Passed, Some(wrong)), NOW, &points(), &Asks::new(0)).unwrap_err();
    assert_eq!(poison.code, Code::CredentialFormat);
    assert!(!poison.why.contains("ZZZZZZ"), "{}", poison.why);
}

#[test]
fn a_grant_of_ours_that_came_too_late_ends_with_the_controllers_refusal() {
    let (now, mut asks) = (Instant::now(), Asks::new(0));
    let request = Uuid([5; 16]);
    let no = asks.ask(request, now, now).unwrap();
    asks.answered(no, true, now + std::time::Duration::from_secs(1));
    let told = PassEvent { request: Some(request), ..event(PassCode::Denied, None) };
    let passages = passage(&told, &asks);
    assert_eq!(passages.len(), 2);
    assert_eq!((passages[0].what, passages[0].ask), (Happened::Refused, None));
    assert_eq!((passages[1].what, passages[1].ask), (Happened::NotTaken, Some(no)));
}

#[test]
fn reasons_have_the_same_words_on_both_sides() {
    for ours in Reason::ALL {
        let word = reason_word(*ours);
        assert_eq!(reason(&word), Some(*ours), "{word}");
    }
    assert_eq!(reason(&wire::acs_link::Reason::new("ok").unwrap()), None);
}

fn states(states: &mut States, state: message::PointState) -> Vec<PointState> {
    let status =
        PointStatus { point: Token::new("gate").unwrap(), state, occurred_at: At::from_utc(NOW.at), ext: Vec::new() };
    let told = states.point_status(&status, NOW, &points()).unwrap();
    told.reports
        .into_iter()
        .map(|report| match report {
            Report::State { state, .. } => state,
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn online_ends_a_mode_that_the_controller_had_reported_and_no_other() {
    let mut known = States::default();
    let online = [PointState::Online, PointState::Online];
    assert_eq!(states(&mut known, message::PointState::Online), online, "what was ordered here stays");
    assert_eq!(states(&mut known, message::PointState::FreePass), [PointState::FreePassage]);
    let ended = [PointState::Online, PointState::Online, PointState::Normal];
    assert_eq!(states(&mut known, message::PointState::Online), ended);
    assert_eq!(states(&mut known, message::PointState::Offline), [PointState::Offline, PointState::Offline]);
    assert!(known.is_offline(&Token::new("gate").unwrap()));
}

#[test]
fn a_place_that_is_not_ours_is_named() {
    let elsewhere = PassEvent { point: Token::new("roof").unwrap(), ..event(PassCode::Passed, None) };
    let poison = pass_event(&elsewhere, NOW, &points(), &Asks::new(0)).unwrap_err();
    assert_eq!(poison.code, Code::PointUnknown);
    assert!(poison.why.contains("roof"));
}
