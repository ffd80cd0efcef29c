use proptest::prelude::*;

use super::codes::{self, Meaning};
use super::device::*;
use super::event::*;
use super::form::{Form, FormError};
use super::history::*;
use super::multipart::Multipart;
use super::person::*;
use super::time::{DeviceTime, Zone};
use super::{Syntax, digest};

const XML_EVENT: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<EventNotificationAlert version="2.0" xmlns="http://www.isapi.org/ver20/XMLSchema">
<ipAddress>192.0.2.64</ipAddress><portNo>80</portNo><macAddress>c0:51:7e:aa:bb:cc</macAddress>
<dateTime>2026-11-21T12:15:30+03:00</dateTime><activePostCount>1</activePostCount>
<eventType>AccessControllerEvent</eventType><eventState>active</eventState>
<AccessControllerEvent><deviceName>Entrance &amp; hall</deviceName><majorEventType>5</majorEventType>
<subEventType>1</subEventType><cardNo>3735928559</cardNo><cardType>1</cardType><cardReaderNo>1</cardReaderNo>
<doorNo>1</doorNo><employeeNoString>00112233445566778899aabbccddeeff</employeeNoString><name>Somebody</name>
<serialNo>1042</serialNo><frontSerialNo>1041</frontSerialNo><currentEvent>true</currentEvent></AccessControllerEvent>
</EventNotificationAlert>"#;

const JSON_EVENT: &str = r#"{"ipAddress":"192.0.2.64","portNo":80,"dateTime":"2026-11-21T12:15:30+03:00","activePostCount":1,
"eventType":"AccessControllerEvent","eventState":"active","eventDescription":"Access Controller Event","AccessControllerEvent":{
"deviceName":"Entrance & hall","majorEventType":5,"subEventType":1,"cardNo":"3735928559","cardReaderNo":1,"doorNo":1,
"employeeNoString":"00112233445566778899aabbccddeeff","name":"Somebody","serialNo":1042,"frontSerialNo":1041,
"currentEvent":true,"picturesNumber":0,"label":null,"FaceRect":{"height":0.1}}}"#;

fn access(text: &str) -> Access {
    match Alert::read(text.as_bytes()).unwrap().kind {
        AlertKind::Access(access) => access,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_event_is_the_same_in_every_dialect() {
    let event = access(XML_EVENT);
    assert_eq!((event.major, event.minor, event.serial, event.front_serial), (5, 1, Some(1042), Some(1041)));
    assert_eq!((event.door, event.reader, event.current, event.remote_check), (Some(1), Some(1), true, false));
    assert_eq!(event.card.as_ref().map(|card| card.as_str()), Some("3735928559"));
    assert_eq!(access(JSON_EVENT), event);
    let wrapped = format!("{{\"AccessControllerEvent\":{JSON_EVENT}}}");
    assert_eq!(access(&wrapped), event);
    let prefixed =
        XML_EVENT.replace("<EventN", "<h:EventN").replace("</EventN", "</h:EventN").replace("xmlns=", "xmlns:h=");
    assert_eq!(access(&prefixed), event);
    for space in ["http://www.hikvision.com/ver20/XMLSchema", "http://www.std-cgi.com/ver10/XMLSchema", ""] {
        assert_eq!(access(&XML_EVENT.replace("http://www.isapi.org/ver20/XMLSchema", space)), event);
    }
    for syntax in [Syntax::Xml, Syntax::Json] {
        for old in [false, true] {
            assert_eq!(access(&event.write(syntax, "2026-11-21T12:15:30+03:00", old)), event);
        }
    }
    let beat = heartbeat(Syntax::Xml, "2026-11-21T12:15:30", true);
    assert_eq!(Alert::read(beat.as_bytes()).unwrap().kind, AlertKind::HeartBeat);
}

#[test]
fn an_event_shows_neither_card_nor_name() {
    let alert = Alert::read(XML_EVENT.as_bytes()).unwrap();
    let form = Form::read(XML_EVENT.as_bytes()).unwrap();
    for shown in [format!("{alert:?}"), format!("{form:?}")] {
        assert!(!shown.contains("3735928559") && !shown.contains("Somebody"), "{shown}");
    }
    let card = Card { employee: "7".into(), number: zeroize::Zeroizing::new("3735928559".into()) };
    assert!(!format!("{card:?}").contains("3735928559"));
}

#[test]
fn a_card_number_of_zeros_is_no_card() {
    let none = access(&JSON_EVENT.replace("3735928559", "0000000000"));
    assert_eq!(none.card, None);
    let long = access(&JSON_EVENT.replace("3735928559", &"9".repeat(65)));
    assert_eq!(long.card, None);
}

type Wanted = fn(&FormError) -> bool;

#[test]
fn dangerous_texts_are_refused() {
    let forms: [(&str, Wanted); 12] = [
        ("<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>", |e| matches!(e, FormError::Forbidden(_))),
        ("<a>&x;</a>", |e| matches!(e, FormError::Forbidden(_))),
        ("<a>&#1;</a>", |e| matches!(e, FormError::Forbidden(_) | FormError::Syntax(_))),
        ("<a>\u{1}</a>", |e| matches!(e, FormError::Control(_))),
        ("<?php x?><a/>", |e| matches!(e, FormError::Forbidden(_))),
        ("<a/><b/>", |e| matches!(e, FormError::Forbidden(_))),
        ("<a/>text", |e| matches!(e, FormError::Forbidden(_))),
        ("<a><b></a>", |e| matches!(e, FormError::Syntax(_))),
        ("<a>", |e| matches!(e, FormError::Syntax(_))),
        ("{\"a\":\"\\u0001\"}", |e| matches!(e, FormError::Control(_))),
        ("[1]", |e| matches!(e, FormError::Syntax(_))),
        ("", |e| matches!(e, FormError::Syntax(_))),
    ];
    for (text, expected) in forms {
        let error = Form::read(text.as_bytes()).expect_err(text);
        assert!(expected(&error), "{text}: {error:?}");
    }
    let deep = "<a>".repeat(1000) + &"</a>".repeat(1000);
    assert_eq!(Form::read(deep.as_bytes()), Err(FormError::TooMuch("16 levels")));
    let deep = "{\"a\":".repeat(100) + "1" + &"}".repeat(100);
    assert_eq!(Form::read(deep.as_bytes()), Err(FormError::TooMuch("16 levels")));
    let wide = format!("<a>{}</a>", "<b/>".repeat(30_000));
    assert_eq!(Form::read(wide.as_bytes()), Err(FormError::TooMuch("20000 nodes")));
    assert_eq!(Form::read(&vec![b' '; (1 << 20) + 1]), Err(FormError::TooLong((1 << 20) + 1)));
    let attributes = format!("<a {}/>", (0..40).map(|n| format!("x{n}=\"1\" ")).collect::<String>());
    assert_eq!(Form::read(attributes.as_bytes()), Err(FormError::TooMuch("32 attributes")));
    assert_eq!(Form::read(&[b'<', 0xC3, 0x28]), Err(FormError::Encoding));
}

#[test]
fn an_error_never_quotes_the_text() {
    for text in ["{\"cardNo\":\"3735928559\"", "<cardNo>3735928559</card>", "{\"a\":3735928559x}"] {
        let error = Form::read(text.as_bytes()).unwrap_err().to_string();
        assert!(!error.contains("3735928559"), "{error}");
    }
}

#[test]
fn a_search_and_its_pages_round_trip() {
    let search = Search {
        id: "c1".into(),
        position: 30,
        results: PAGE_MAX,
        between: ("2000-01-01T00:00:00+03:00".into(), "2037-12-31T23:59:59+03:00".into()),
        begin_serial: Some(7),
        end_serial: None,
    };
    assert_eq!(Search::read(search.write().as_bytes()).unwrap(), search);
    let mut event = access(JSON_EVENT);
    event.current = false;
    let stamp = "2026-11-21T12:15:30+03:00";
    let text = Page::write(&search, 31, true, &[(event.clone(), stamp.into())]);
    let page = Page::read(text.as_bytes()).unwrap();
    assert_eq!(page, Page { more: true, total: 31, events: vec![(event, DeviceTime::read(stamp))], unreadable: 0 });
    let none = Page::read(Page::write(&search, 0, false, &[]).as_bytes()).unwrap();
    assert!(none.events.is_empty() && !none.more);
    let odd = r#"{"AcsEvent":{"searchID":"1","responseStatusStrg":"More","numOfMatches":2,"totalMatches":9,
        "InfoList":[{"time":"2026-11-21T12:15:30"},{"major":5,"minor":75,"serialNo":3}]}}"#;
    let page = Page::read(odd.as_bytes()).unwrap();
    assert_eq!((page.more, page.unreadable, page.events.len()), (true, 1, 1));
}

#[test]
fn what_is_asked_and_set_at_a_device_round_trips() {
    let info = DeviceInfo {
        model: "DS-K5671".into(),
        serial: "DS-K5671-20260101".into(),
        firmware: "V3.2.1".into(),
        mac: "c0:51".into(),
    };
    for old in [false, true] {
        assert_eq!(DeviceInfo::read(info.write(old).as_bytes()).unwrap(), info);
    }
    assert!(DeviceInfo::read(b"<DeviceInfo><model>x</model></DeviceInfo>").is_err());
    let abilities = Abilities { people: Some(true), remote_check: Some(false), ..Abilities::default() };
    assert_eq!(Abilities::read(abilities.write(true).as_bytes()).unwrap(), abilities);
    for order in [DoorOrder::Open, DoorOrder::Close, DoorOrder::AlwaysOpen, DoorOrder::AlwaysClose, DoorOrder::Resume] {
        for word in order.words() {
            assert_eq!(DoorOrder::read(DoorOrder::write(word).as_bytes()).unwrap(), order);
        }
    }
    let words = door_words(write_door_words(&["open", "close", "remainOpen"]).as_bytes()).unwrap();
    assert_eq!(DoorOrder::AlwaysOpen.word(&words), Some("remainOpen"));
    assert_eq!(DoorOrder::Resume.word(&words), None);
    assert_eq!(DoorOrder::Resume.word(&[]), Some("resume"));
    let check = Check {
        enabled: true,
        channel: "ISAPIListen".into(),
        sync: true,
        timeout_s: Some(3),
        offline: Some(true),
        own_check: Some(false),
    };
    assert_eq!(Check::read(check.write().as_bytes()).unwrap(), check);
    let decision = RemoteCheck { serial: Some(5), granted: false, info: Some("—".into()) };
    assert_eq!(RemoteCheck::read(decision.write().as_bytes()).unwrap(), decision);
    let target = PushTarget {
        id: 1,
        url: "/push/entrance".into(),
        host: "192.0.2.1".into(),
        port: 8090,
        tls: false,
        json: true,
    };
    assert_eq!(PushTarget::read(target.write().as_bytes()).unwrap(), target);
    let named = PushTarget { host: "gateway.clinic".into(), ..target };
    assert_eq!(PushTarget::read(named.write().as_bytes()).unwrap(), named);
    for json in [false, true] {
        let status = Status { code: 6, sub: "employeeNoAlreadyExist".into() };
        assert_eq!(Status::read(status.write(json).as_bytes()).unwrap(), status);
    }
    let at = domain::UtcMillis::from_rfc3339("2026-11-21T09:15:30Z").unwrap();
    let zone = Zone::ahead_s(10_800);
    for offset in [false, true] {
        let time = Time::read(Time::write(at, zone, offset).as_bytes()).unwrap();
        assert_eq!(time.local.to_utc(time.zone), Some(at));
        assert_eq!(time.local.has_offset(), offset);
    }
}

#[test]
fn people_and_cards_round_trip() {
    let user = User {
        employee: "00112233445566778899aabbccddeeff".into(),
        valid: Some(("2026-11-21T00:00:00".into(), "2037-12-31T23:59:59".into())),
        doors: vec![1, 2],
    };
    assert_eq!(User::read(user.write().as_bytes()).unwrap(), user);
    let always = User { valid: None, ..user };
    assert_eq!(User::read(always.write().as_bytes()).unwrap(), always);
    let card = Card { employee: "7".into(), number: zeroize::Zeroizing::new("0012".into()) };
    assert_eq!(Card::read(card.write().as_bytes()).unwrap(), card);
    assert_eq!(read_delete_users(delete_users(&["a", "b"]).as_bytes()).unwrap(), ["a", "b"]);
    let (numbers, people) = read_delete_cards(delete_card("0012").as_bytes()).unwrap();
    assert_eq!((numbers[0].as_str(), people.len()), ("0012", 0));
    assert_eq!(read_delete_cards(delete_cards_of("7").as_bytes()).unwrap().1, ["7"]);
    for process in [DeleteProcess::Processing, DeleteProcess::Success, DeleteProcess::Failed] {
        assert_eq!(DeleteProcess::read(process.write().as_bytes()).unwrap(), process);
    }
}

#[test]
fn the_codes_of_the_common_events_mean_what_they_say() {
    assert_eq!(codes::meaning(5, 1), Meaning::Granted);
    assert_eq!(codes::meaning(5, 75), Meaning::Granted);
    assert_eq!(codes::meaning(5, 9), Meaning::Refused(Some(domain::Reason::UnknownCard)));
    assert_eq!(codes::meaning(5, 27), Meaning::Forced);
    assert_eq!(codes::meaning(3, 1024), Meaning::Echo);
    assert_eq!(codes::meaning(1, 0x40a), Meaning::Duress);
    assert_eq!(codes::meaning(77, 1), Meaning::Unknown);
}

/// Everything that reads what a peer wrote.
pub fn read_all(bytes: &[u8]) {
    let _ = Form::read(bytes).map(|form| (form.to_xml(super::NAMESPACE), form.to_json()));
    let _ = Alert::read(bytes);
    let _ = Page::read(bytes);
    let _ = Search::read(bytes);
    let _ = DeviceInfo::read(bytes);
    let _ = Abilities::read(bytes);
    let _ = DoorOrder::read(bytes);
    let _ = door_words(bytes);
    let _ = Time::read(bytes);
    let _ = Check::read(bytes);
    let _ = RemoteCheck::read(bytes);
    let _ = PushTarget::read(bytes);
    let _ = Status::read(bytes);
    let _ = User::read(bytes);
    let _ = Card::read(bytes);
    let _ = read_delete_users(bytes);
    let _ = read_delete_cards(bytes);
    let _ = DeleteProcess::read(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = digest::Challenge::read(text);
        let _ = digest::Answer::read(text);
        let _ = DeviceTime::read(text);
        let _ = Zone::read(text);
        let _ = Multipart::new(text);
    }
}

proptest! {
    #[test]
    fn nothing_panics_on_rubbish(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        read_all(&bytes);
    }

    #[test]
    fn nothing_panics_on_damaged_messages(at in 0_usize..1000, with in any::<u8>(), cut in 0_usize..1200) {
        for text in [XML_EVENT, JSON_EVENT] {
            let mut bytes = text.as_bytes().to_vec();
            let length = bytes.len();
            bytes[at % length] = with;
            bytes.truncate(cut.min(length));
            read_all(&bytes);
        }
    }

    #[test]
    fn texts_survive_both_syntaxes(text in "[^\u{0}-\u{1f}\u{7f}-\u{9f}\u{fffe}\u{ffff}]{0,40}") {
        let text = text.trim().to_owned();
        let form = Form::new("a").text("b", &text).child(Form::new("c").number("d", 7));
        for written in [form.to_xml(super::NAMESPACE), form.to_json()] {
            let read = Form::read(written.as_bytes()).unwrap();
            let read = read.get("a").unwrap();
            prop_assert_eq!(read.str("b").unwrap_or_default(), text.as_str());
            prop_assert_eq!(read.get("c").unwrap().int::<u32>("d"), Some(7));
        }
    }
}
