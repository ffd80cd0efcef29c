//! What a Hikvision device says: texts in either syntax, every message form, digest headers, parts of a stream.
//! The first byte chooses, the second says where the bytes are cut.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::isapi::device::{
    Abilities, Check, DeviceInfo, DoorOrder, PushTarget, RemoteCheck, Status, Time, door_words,
};
use wire::isapi::digest::{Answer, Challenge, Login};
use wire::isapi::event::{Alert, AlertKind};
use wire::isapi::history::{Page, Search};
use wire::isapi::multipart::{Multipart, PART_MAX_BYTES, Part};
use wire::isapi::person::{Card, DeleteProcess, User, read_delete_cards, read_delete_users};
use wire::isapi::time::{DeviceTime, Zone};
use wire::isapi::{Form, NAMESPACE, Syntax, card::CardForm, codes};

/// Whether every name can stand in XML as it is.
fn plain(form: &Form) -> bool {
    let name = form.name.starts_with(|c: char| c.is_ascii_alphabetic())
        && form.name.chars().all(|c| c.is_ascii_alphanumeric());
    name && form.children.iter().all(plain)
}

fn forms(bytes: &[u8]) {
    let Ok(form) = Form::read(bytes) else {
        assert!(Alert::read(bytes).is_err() && Page::read(bytes).is_err());
        return;
    };
    let _ = form.to_json();
    if bytes.trim_ascii().starts_with(b"<")
        && let Some(root) = form.children.first().filter(|root| plain(root))
    {
        let again = Form::read(root.to_xml(NAMESPACE).as_bytes()).expect("what is written can be read");
        assert_eq!(again.children.first(), Some(root), "written and read again it is the same");
    }
    if let Ok(Alert { kind: AlertKind::Access(event), .. }) = Alert::read(bytes) {
        let _ = codes::meaning(event.major, event.minor);
        for syntax in [Syntax::Xml, Syntax::Json] {
            let text = event.write(syntax, "2026-11-21T12:15:30+03:00", false);
            let Ok(Alert { kind: AlertKind::Access(again), .. }) = Alert::read(text.as_bytes()) else {
                panic!("an event that was written cannot be read");
            };
            assert_eq!((again.major, again.minor, again.door, &again.card), (event.major, event.minor, event.door, &event.card));
        }
        if let Some(text) = &event.card {
            for form in CardForm::ALL {
                if let Ok(number) = form.read(text, false) {
                    let written = form.write(&number, false).map(|text| form.read(&text, false));
                    assert!(written.is_none_or(|again| again == Ok(number)), "a number comes back as itself");
                }
            }
        }
    }
    let _ = (Page::read(bytes), Search::read(bytes), DeviceInfo::read(bytes), Abilities::read(bytes));
    let _ = (DoorOrder::read(bytes), door_words(bytes), Time::read(bytes), Check::read(bytes));
    let _ = (RemoteCheck::read(bytes), PushTarget::read(bytes), Status::read(bytes), User::read(bytes));
    let _ = (Card::read(bytes), read_delete_users(bytes), read_delete_cards(bytes), DeleteProcess::read(bytes));
}

fn headers(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let _ = (DeviceTime::read(text).map(|at| at.to_utc(None)), Zone::read(text).map(Zone::write), Answer::read(text));
    if let Ok(challenge) = Challenge::read(text)
        && !challenge.realm.contains(['"', '\\'])
        && !challenge.nonce.contains(['"', '\\'])
        && !challenge.opaque.as_ref().is_some_and(|opaque| opaque.contains(['"', '\\']))
    {
        let login = Login { user: "admin", password: "secret" };
        let header = challenge.answer(&login, "GET", "/x", 1, "0011");
        assert!(!header.contains("secret"), "the password never travels");
        if let Ok(answer) = Answer::read(&header) {
            assert!(answer.is_right(&challenge, &login, "GET"), "our own answer is right");
        }
    }
}

fn parts(bytes: &[u8], piece: usize) {
    let mut parser = Multipart::new("multipart/mixed; boundary=b").expect("a good boundary");
    let mut found = Vec::new();
    for chunk in bytes.chunks(piece) {
        parser.feed(chunk);
        found.extend(std::iter::from_fn(|| parser.poll()));
    }
    found.extend(parser.finish());
    let texts = found.iter().filter_map(|part| if let Part::Text(text) = part { Some(text.len()) } else { None });
    let lengths: Vec<usize> = texts.collect();
    assert!(lengths.iter().all(|length| *length <= PART_MAX_BYTES));
    assert!(lengths.iter().sum::<usize>() <= bytes.len(), "nothing comes out that did not go in");
}

fuzz_target!(|data: &[u8]| {
    let [choice, cut, bytes @ ..] = data else { return };
    match choice % 4 {
        0 | 1 => forms(bytes),
        2 => headers(bytes),
        _ => {
            parts(bytes, bytes.len().max(1));
            parts(bytes, usize::from(cut % 61) + 1);
        }
    }
});
