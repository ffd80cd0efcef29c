//! Any bytes from a Parsec server, or for one: envelopes, answers, calls, in every encoding.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::parsec::answer::Answer;
use wire::parsec::event::{Event, Meaning};
use wire::parsec::soap::{self, Body, Version};
use wire::parsec::{Charset, Request};

fuzz_target!(|data: &[u8]| {
    let [choice, bytes @ ..] = data else { return };
    let header = match choice & 3 {
        0 => None,
        1 => Some("text/xml; charset=utf-8"),
        2 => Some("text/xml; charset=windows-1251"),
        _ => Some("text/xml; charset=utf-16"),
    };
    let Ok(Body::Element(_, element)) = soap::read(bytes, header) else { return };
    // What is understood is written and understood again as the same.
    if let Ok(call) = Request::read(&element) {
        for version in [Version::V11, Version::V12] {
            let text = call.envelope(version);
            let Ok(Body::Element(_, again)) = soap::read(text.as_bytes(), None) else { panic!("{call:?}") };
            assert_eq!(Request::read(&again).as_ref(), Ok(&call));
        }
    }
    for method in Request::METHODS {
        let Ok(answer) = Answer::of(method, &element) else { continue };
        if let Answer::Events(rows) = &answer {
            for event in rows.iter().filter_map(|row| Event::read(row)) {
                assert_eq!(Event::read(&event.write()).as_ref(), Some(&event));
            }
        }
        if let Answer::Types(types) = &answer {
            for kind in types {
                let _ = Meaning::of(kind.id, Some(&kind.name));
            }
        }
        for charset in [Charset::Utf8, Charset::Windows1251, Charset::Utf16] {
            let again = charset.encode(&answer.envelope(Version::V12, method));
            assert!(Answer::read(method, &again, None).is_ok(), "{answer:?}");
        }
    }
});
