//! The SOAP messages of the Parsec adapter: what is written is read back the same by the other end, in every version
//! and encoding; what real servers write is understood; whatever else comes is refused without harm.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

use domain::UtcMillis;
use proptest::prelude::*;
use wire::parsec::answer::Value;
use wire::parsec::encoding::EncodingError;
use wire::parsec::event::Event;
use wire::parsec::object::{
    HardwareState, HistoryQuery, Identifier, Person, Session, Territory, TransactionType, VisitorRequest,
};
use wire::parsec::soap::{self, Body, SoapError};
use wire::parsec::tree::XmlError;
use wire::parsec::{Answer, AnswerError, Charset, Code, Fault, Guid, Request, Secret, Version};

const AT: UtcMillis = UtcMillis(1_795_252_530_412);

fn person() -> Person {
    Person {
        id: Guid::of(21),
        last_name: "Пациент <1> & \"друг\"".into(),
        number: "0017".into(),
        org_unit: Guid::of(5),
        ..Person::default()
    }
}

fn identifier(temporary: bool) -> Identifier {
    Identifier {
        code: Code::parse("005A0144").unwrap(),
        person: Guid::of(21),
        primary: true,
        group: Guid::of(9),
        privileges: 0,
        name: "pass".into(),
        valid: temporary.then_some((AT, AT.plus_ms(1000))),
    }
}

fn visitor_request() -> VisitorRequest {
    VisitorRequest {
        id: Guid::NIL,
        number: 0,
        made: AT,
        org_unit: Guid::of(5),
        person: Guid::of(21),
        person_info: "visitor".into(),
        purpose: "приём".into(),
        status: 0,
        admit: (AT, AT.plus_ms(1000)),
    }
}

fn requests() -> Vec<Request> {
    let (session, edit, person_id, territory) = (Guid::of(1), Guid::of(2), Guid::of(21), Guid::of(31));
    let (history, subscription) = (Guid::of(3), Guid::of(4));
    let code = || Code::parse("005A0144").unwrap();
    let query = HistoryQuery { from: Some(AT), territories: vec![territory], most: Some(9), ..HistoryQuery::default() };
    vec![
        Request::GetVersion,
        Request::OpenSession {
            domain: "SYSTEM".into(),
            user: "parsec".into(),
            password: Secret::new("p&<]]>\"'ß".into()),
        },
        Request::ContinueSession { session },
        Request::CloseSession { session },
        Request::GetTerritoriesHierarhy { session },
        Request::GetTransactionTypes { session, classes: -1 },
        Request::OpenEventHistorySession { session, query: HistoryQuery::default() },
        Request::OpenEventHistorySession { session, query },
        Request::GetEventHistoryResultCount { session, history },
        Request::GetEventHistoryResult { session, history, fields: vec![Guid::of(8)], offset: 0, count: 500 },
        Request::CloseEventHistorySession { session, history },
        Request::GetHardwareEvents { session, from: 7 },
        Request::EventsSubscribe {
            session,
            codes: vec![590_144],
            territories: vec![territory],
            format: 1,
            method: 2,
            url: "http://gateway:8080/a?b=1&c".into(),
        },
        Request::EventsSubscribeCheck { session, subscription },
        Request::EventsUnsubscribe { session, subscription },
        Request::GetPerson { session, person: person_id },
        Request::CreatePerson { session, person: person() },
        Request::CreateVisitor { session, person: person() },
        Request::OpenPersonEditingSession { session, person: person_id },
        Request::ClosePersonEditingSession { edit },
        Request::SavePerson { edit, person: person() },
        Request::BlockPerson { edit, kind: 1 },
        Request::UnblockPerson { edit },
        Request::DeletePerson { session, person: person_id },
        Request::GetPersonIdentifiers { session, person: person_id },
        Request::FindPersonByIdentifier { session, code: code() },
        Request::AddPersonIdentifier { edit, identifier: identifier(false) },
        Request::AddPersonIdentifier { edit, identifier: identifier(true) },
        Request::ChangePersonIdentifier { edit, identifier: identifier(true) },
        Request::DeleteIdentifier { session, code: code() },
        Request::CreateVisitorRequest { session, request: visitor_request() },
        Request::ActivateVisitorRequest { session, request: Guid::of(6), code: code() },
        Request::CloseVisitorRequest { session, request: Guid::of(6) },
        Request::CloseAllActiveVisitorRequests { session, visitor: person_id },
        Request::SendVerificationCommand { session, territory, person: person_id, allow: false },
        Request::SendHardwareCommand { session, territory, command: -3 },
        Request::GetHardwareState { session, territories: vec![territory, Guid::of(32)] },
    ]
}

fn answers() -> Vec<(&'static str, Answer)> {
    let session = Session { id: Guid::of(1), root_org_unit: Guid::of(5), root_territory: Guid::of(30) };
    let territory =
        Territory {
            id: Guid::of(31), kind: 1, name: "Турникет".into(), about: String::new(), parent: Guid::of(30)
        };
    let kind =
        TransactionType { id: 590_144, classes: 2, name: "Нормальный вход по ключу".into() };
    let values =
        vec![Value::At(AT), Value::Int(590_144), Value::Text("Турникет".into()), Value::Guid(Guid::of(21)), Value::Nil];
    vec![
        ("CloseSession", Answer::Nothing),
        ("ContinueSession", Answer::Int(-1)),
        ("GetEventHistoryResultCount", Answer::Int(12)),
        ("GetVersion", Answer::Text("3.9".into())),
        ("DeleteIdentifier", Answer::Done(Ok(()))),
        ("DeleteIdentifier", Answer::Done(Err("Идентификатор не найден".into()))),
        ("CreatePerson", Answer::Guid(Ok(Guid::of(21)))),
        ("CreatePerson", Answer::Guid(Err("нет прав".into()))),
        ("OpenSession", Answer::Session(Ok(session))),
        ("OpenSession", Answer::Session(Err("wrong password".into()))),
        ("GetPerson", Answer::Person(Some(person()))),
        ("FindPersonByIdentifier", Answer::Person(None)),
        ("CreateVisitorRequest", Answer::VisitorRequest(Some(visitor_request()))),
        ("CreateVisitorRequest", Answer::VisitorRequest(None)),
        ("GetPersonIdentifiers", Answer::Identifiers(vec![identifier(true), identifier(false)])),
        ("GetTerritoriesHierarhy", Answer::Territories(vec![territory])),
        ("GetTransactionTypes", Answer::Types(vec![kind])),
        ("GetEventHistoryResult", Answer::Events(vec![values, Vec::new()])),
        ("GetHardwareEvents", Answer::Lines(vec!["a <b>".into(), "c".into()])),
        ("GetHardwareState", Answer::Hardware(vec![HardwareState { territory: Guid::of(31), state: u64::MAX }])),
    ]
}

fn answer(method: &'static str, body: &str) -> Result<Answer, AnswerError> {
    let text = format!(
        "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body>\
         <{method}Response xmlns=\"http://parsec.ru/Parsec3IntergationService\">{body}</{method}Response>\
         </s:Body></s:Envelope>"
    );
    Answer::read(method, text.as_bytes(), None)
}

#[test]
fn every_call_is_read_as_it_was_written_in_both_versions_of_soap() {
    let all = requests();
    for method in Request::METHODS {
        assert!(all.iter().any(|request| request.method() == *method), "{method} is not tried");
    }
    for version in [Version::V11, Version::V12] {
        for request in &all {
            let text = request.envelope(version);
            let body = soap::read(text.as_bytes(), Some(&version.content_type(request.method()))).unwrap();
            let Body::Element(read, call) = body else { panic!("{body:?}") };
            assert_eq!((read, Request::read(&call)), (version, Ok(request.clone())), "{}", *text);
        }
    }
}

#[test]
fn every_answer_is_read_as_it_was_written_in_every_encoding() {
    for version in [Version::V11, Version::V12] {
        for charset in [Charset::Utf8, Charset::Windows1251, Charset::Utf16] {
            for (method, answer) in answers() {
                let bytes = charset.encode(&answer.envelope(version, method));
                let header = format!("text/xml; charset={}", charset.name());
                for header in [None, Some(header.as_str())] {
                    assert_eq!(Answer::read(method, &bytes, header).as_ref(), Ok(&answer), "{charset:?} {method}");
                }
            }
        }
    }
}

#[test]
fn secrets_and_cards_do_not_show_when_printed() {
    for request in requests() {
        let text = format!("{request:?}");
        assert!(!text.contains("5A0144") && !text.contains("ß"), "{text}");
    }
}

#[test]
fn derived_types_are_told() {
    let edit = Guid::of(2);
    let text = Request::AddPersonIdentifier { edit, identifier: identifier(true) }.envelope(Version::V11);
    assert!(text.contains("<identifier xsi:type=\"IdentifierTemp\"><CODE>005A0144</CODE>"), "{}", *text);
    let text = Request::AddPersonIdentifier { edit, identifier: identifier(false) }.envelope(Version::V11);
    assert!(text.contains("<identifier xsi:type=\"Identifier\">") && !text.contains("VALID"), "{}", *text);
}

/// As ASP.NET serializes it: values of any type with their own namespace declarations, times of several kinds.
#[test]
fn a_page_of_events_as_a_server_writes_it_is_understood() {
    let body = r#"<GetEventHistoryResultResult xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
        xmlns:xsd="http://www.w3.org/2001/XMLSchema">
      <EventObject><Values>
        <anyType xsi:type="xsd:dateTime">2026-11-22T09:15:30.4120000</anyType>
        <anyType xsi:type="xsd:int">590144</anyType>
        <anyType xsi:type="xsd:string">Турникет 1</anyType>
        <anyType xmlns:q1="http://microsoft.com/wsdl/types/" xsi:type="q1:guid">1bf8a893-7d21-4c0c-9a2d-2e333a2d769d</anyType>
        <anyType xsi:nil="true" />
        <anyType xsi:type="xsd:string">005A0144</anyType>
        <anyType xsi:type="xsd:string" />
      </Values></EventObject>
      <EventObject xsi:nil="true" />
    </GetEventHistoryResultResult>"#;
    let Ok(Answer::Events(rows)) = answer("GetEventHistoryResult", body) else { panic!("not read") };
    let event = Event::read(&rows[0]).unwrap();
    assert_eq!(event.at.to_rfc3339(), "2026-11-22T09:15:30.412Z");
    assert_eq!((event.code, event.card), (590_144, Code::parse("5A0144")));
    assert_eq!(event.person, "1bf8a893-7d21-4c0c-9a2d-2e333a2d769d".parse().ok());
    assert_eq!((rows.len(), Event::read(&rows[1])), (2, None));
}

#[test]
fn faults_of_both_versions_tell_their_code_and_words() {
    for version in [Version::V11, Version::V12] {
        let fault = Fault { code: "Server".into(), text: "the session is not known".into() };
        let bytes = Charset::Utf8.encode(&soap::fault(version, &fault));
        assert_eq!(Answer::read("GetVersion", &bytes, None), Err(AnswerError::Fault(fault)));
    }
}

#[test]
fn an_answer_to_another_method_and_a_page_of_a_proxy_are_refused() {
    assert!(matches!(answer("GetVersion", ""), Ok(Answer::Text(text)) if text.is_empty()));
    let bytes = Answer::Int(0).envelope(Version::V11, "ContinueSession");
    let error = Answer::read("GetEventHistoryResultCount", bytes.as_bytes(), None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the answer to GetEventHistoryResultCount is not of its form: it answers another method"
    );
    let page = Answer::read("GetVersion", b"<html><body>Bad gateway</body></html>", Some("text/html"));
    assert_eq!(page, Err(AnswerError::Soap(SoapError::Root("html".into()))));
    for body in ["", "<OpenSessionResult/>", "<OpenSessionResult><Result>0</Result></OpenSessionResult>"] {
        assert!(matches!(answer("OpenSession", body), Err(AnswerError::Form { .. })), "{body}");
    }
}

fn refused(text: &str) -> XmlError {
    match soap::read(text.as_bytes(), None) {
        Err(SoapError::Xml(error)) => error,
        other => panic!("{text:.80}: {other:?}"),
    }
}

#[test]
fn what_no_message_has_is_refused() {
    let laughs = "<!DOCTYPE a [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;\">]><a>&b;</a>";
    assert_eq!(refused(laughs), XmlError::Forbidden("a document type"));
    assert_eq!(refused("<!DOCTYPE a SYSTEM \"http://example.org/\"><a/>"), XmlError::Forbidden("a document type"));
    assert_eq!(refused("<a><?php echo 1?></a>"), XmlError::Forbidden("a processing instruction"));
    let entity = XmlError::Forbidden("an entity of its own or a wrong character reference");
    for text in ["<a>&nbsp;</a>", "<a>&#0;</a>", "<a>&#xD800;</a>", "<a>&#1;</a>", "<a>&#x110000;</a>"] {
        assert_eq!(refused(text), entity, "{text}");
    }
    assert_eq!(refused("<a>\u{1}</a>"), XmlError::Forbidden("a control character"));
    assert_eq!(refused("<x:a/>"), XmlError::Forbidden("a prefix that is not declared"));
    for text in ["<a/><b/>", "<a/>text"] {
        assert!(matches!(refused(text), XmlError::Shape(_)), "{text}");
    }
    for text in ["", " ", "<a>", "<a><b></a></b>", "</a>", "<a", "<a b=\"1\" b=\"2\"/>", "text"] {
        assert!(matches!(refused(text), XmlError::Shape(_) | XmlError::Syntax { .. }), "{text}");
    }
    let broken = soap::read(b"<a>\xFF</a>", None);
    assert_eq!(broken, Err(SoapError::Encoding(EncodingError::Wrong("UTF-8"))));
}

#[test]
fn messages_have_limits_in_every_direction() {
    let deep = format!("{}{}", "<a>".repeat(1_000_000), "</a>".repeat(10));
    assert_eq!(refused(&deep[..4_000_000 / 2]), XmlError::TooMany { what: "levels of nesting", limit: 32 });
    let wide = format!("<a>{}</a>", "<b/>".repeat(100_001));
    assert_eq!(refused(&wide), XmlError::TooMany { what: "elements", limit: 100_000 });
    let attributes: String = (0..20_000).map(|number| format!(" a{number}=\"\"")).collect();
    assert_eq!(refused(&format!("<a{attributes}/>")), XmlError::TooMany { what: "attributes", limit: 16 });
    let bindings: String = (0..1000).map(|number| format!(" xmlns:a{number}=\"u:{number}\"")).collect();
    assert!(matches!(refused(&format!("<a{bindings}/>")), XmlError::TooMany { .. }));
    let long = format!("<a>{}</a>", "x".repeat(300_000));
    assert!(matches!(refused(&long), XmlError::TooMany { what: "bytes of text in one element", .. }));
    let name = format!("<{}/>", "a".repeat(1000));
    assert!(matches!(refused(&name), XmlError::TooMany { what: "bytes of a name", .. }));
}

#[test]
fn parts_of_a_text_are_joined_and_other_namespaces_passed_over() {
    let envelope = |body: &str| {
        format!(
            "<?xml version=\"1.0\"?><!-- a --><e:Envelope xmlns:e=\"http://www.w3.org/2003/05/soap-envelope\">\
             <e:Header><x xmlns=\"u:other\"/></e:Header><e:Body>{body}</e:Body></e:Envelope>\n"
        )
    };
    let text = envelope(
        "<p:GetVersionResponse xmlns:p=\"http://parsec.ru/Parsec3IntergationService\">\
         <p:GetVersionResult>3.<!-- x -->9<![CDATA[ <b> ]]>&amp;</p:GetVersionResult></p:GetVersionResponse>",
    );
    assert_eq!(Answer::read("GetVersion", text.as_bytes(), None), Ok(Answer::Text("3.9 <b> &".into())));
    for body in ["", "<a/><b/>"] {
        assert_eq!(soap::read(envelope(body).as_bytes(), None), Err(SoapError::Body));
    }
}

proptest! {
    #[test]
    fn whatever_comes_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400), which in 0..20_usize) {
        let method = answers()[which].0;
        let _ = Answer::read(method, &bytes, None);
        let _ = Answer::read(method, &bytes, Some("text/xml; charset=windows-1251"));
    }

    #[test]
    fn a_damaged_message_is_read_or_refused(
        which in 0..37_usize, at in 0.0..1.0_f64, with in any::<u8>(), cut in proptest::bool::ANY,
    ) {
        let mut bytes = requests()[which].envelope(Version::V11).as_bytes().to_vec();
        let at = (at * bytes.len() as f64) as usize;
        if cut { bytes.truncate(at) } else if let Some(byte) = bytes.get_mut(at) { *byte = with }
        if let Ok(Body::Element(_, call)) = soap::read(&bytes, None) {
            let _ = Request::read(&call);
        }
    }

    #[test]
    fn any_text_survives_the_way(text in "\\PC{0,40}") {
        let text = text.trim().to_owned();
        let person = Person { id: Guid::of(1), last_name: text.clone(), ..Person::default() };
        for charset in [Charset::Utf8, Charset::Windows1251, Charset::Utf16] {
            let bytes = charset.encode(&Answer::Person(Some(person.clone())).envelope(Version::V11, "GetPerson"));
            prop_assert_eq!(Answer::read("GetPerson", &bytes, None), Ok(Answer::Person(Some(person.clone()))));
        }
    }
}
