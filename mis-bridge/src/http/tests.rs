use super::*;

fn url(text: &str) -> Url {
    text.parse().unwrap()
}

#[test]
fn asking_in_clear_is_for_this_machine_unless_allowed() {
    assert_eq!(may_ask(&url("https://mis.example/fhir"), false), Ok(true));
    for here in ["http://127.0.0.1:8080/", "http://[::1]/", "http://localhost/"] {
        assert_eq!(may_ask(&url(here), false), Ok(true), "{here}");
    }
    assert_eq!(may_ask(&url("http://mis.example/fhir"), false), Ok(false));
    assert_eq!(may_ask(&url("http://mis.example/fhir"), true), Ok(true));
    assert_eq!(may_ask(&url("file:///etc/passwd"), true), Err(HttpError::BadRequest));
}

#[test]
fn nothing_of_a_request_or_answer_is_shown() {
    let request = Request::post(url("https://mis.example/Patient?identifier=P-10017"), "text/plain", "Anna")
        .authorization("Bearer abc")
        .unwrap();
    let shown = format!("{request:?}");
    assert!(!shown.contains("mis.example") && !shown.contains("P-10017") && !shown.contains("abc"), "{shown}");
    let answer = Answer { status: 200, headers: HeaderMap::new(), body: Bytes::from_static(b"Anna") };
    assert_eq!(format!("{answer:?}"), "Answer { status: 200, bytes: 4, .. }");
}

#[test]
fn a_peer_may_ask_to_wait_in_seconds_or_until_a_date() {
    let now = UtcMillis::from_rfc3339("2026-11-22T08:00:00Z").unwrap();
    let after = |text: &'static str| {
        let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(text))]);
        Answer { status: 429, headers, body: Bytes::new() }.retry_after(now)
    };
    assert_eq!(after("7"), Some(Duration::from_secs(7)));
    assert_eq!(after("Sun, 22 Nov 2026 08:01:30 GMT"), Some(Duration::from_secs(90)));
    assert_eq!(after("Sun, 22 Nov 2026 07:01:30 GMT"), Some(Duration::ZERO), "already over");
    assert_eq!(after("99999999999999999999"), None);
    assert_eq!(after("999999999"), Some(Duration::from_secs(86_400)), "at most a day");
    assert_eq!(after("soon"), None);
}

#[test]
fn certificates_that_do_not_read_are_refused() {
    let with = |roots| Settings { roots: Roots::Given(roots), ..Settings::default() };
    assert_eq!(Client::new(with(b"no certificate".to_vec())).err(), Some(TlsError::NoRoots));
    let identity = Identity::new(b"nothing".to_vec(), zeroize::Zeroizing::new(b"nothing".to_vec()));
    let settings = Settings { identity: Some(identity), ..Settings::default() };
    assert_eq!(Client::new(settings).err(), Some(TlsError::NoCertificate));
}
