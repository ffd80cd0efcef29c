//! One sample of each message, and of the forms worth showing; partners read them in `docs/protocol/acs-link-samples`.
//! To write them anew after a change: `UPDATE_SAMPLES=1 cargo test -p wire --test acs_link`.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use wire::acs_link::message::*;
use wire::acs_link::*;

pub fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/protocol/acs-link-samples"))
}

pub fn token(text: &str) -> Token {
    Token::new(text).unwrap()
}

pub fn at(text: &str) -> Instant {
    Instant::parse(text).unwrap()
}

pub fn uuid(last: u8) -> Uuid {
    Uuid::v7(1_795_241_730_412, [1, 2, 3, 4, 5, 6, 7, 8, 9, last])
}

pub fn card(value: &str) -> Credential {
    Credential::new(CredFormat::UidHex, value).unwrap()
}

/// An envelope; durable messages get the number `seq`.
pub fn msg(body: Body, seq: u64) -> Msg {
    Msg {
        v: Version::V1_0,
        id: uuid(seq as u8),
        stream_seq: body.kind().stream().map(|stream| (stream, seq)),
        re: None,
        sent_at: at("2026-11-21T06:15:30.412Z"),
        replay: false,
        body,
    }
}

pub fn pass_event() -> PassEvent {
    PassEvent {
        event_id: token("gate-7:20261121:000118"),
        occurred_at: at("2026-11-21T09:15:29.870+03:00"),
        clock: ClockState::Synced,
        request: Some(uuid(40)),
        point: token("north/entrance/gate-7"),
        credential: Some(card("04A1B2C3D4E5F6")),
        person: Some(token("p-5d21c0")),
        direction: Direction::In,
        result: PassResult {
            code: PassCode::Passed,
            reason: Some(Reason::new("appointment-today").unwrap()),
            by: Some(Source::Server),
        },
        ext: vec![Ext {
            name: token("gate"),
            text: Text::new("Северный вход, турникет 7 <левый> & «правый»").unwrap(),
        }],
    }
}

/// Name of the file, and the message.
pub fn all() -> Vec<(&'static str, Msg)> {
    let node = |node: &str, role, received: &[(&str, u64)]| Hello {
        node: token(node),
        role,
        epoch: uuid(200 + role as u8),
        min_v: Version::V1_0,
        max_v: Version::V1_0,
        max_frame: Some(65_536),
        received: received.iter().map(|(stream, seq)| Received { stream: token(stream), seq: *seq }).collect(),
        caps: vec![token("access-request"), token("offline-cache")],
    };
    let reason = |text: &str| Reason::new(text).unwrap();
    let text = |text: &str| Some(Text::new(text).unwrap());
    let expires_at = at("2026-11-21T06:15:35Z");
    let answer = |body, re| Msg { re: Some(uuid(re)), ..msg(body, 120) };
    let bare = PassEvent {
        event_id: token("gate-7:20261121:000098"),
        occurred_at: at("2026-11-21T08:59:01+03:00"),
        clock: ClockState::Drifting,
        request: None,
        credential: None,
        person: None,
        direction: Direction::Unknown,
        result: PassResult { code: PassCode::Forced, reason: None, by: None },
        ext: vec![],
        ..pass_event()
    };
    let result = |status, code: Option<Code>, said: Option<Text>| CommandResult {
        status,
        code: code.map(ErrCode::from),
        at: at("2026-11-21T09:15:40+03:00"),
        text: said,
    };
    vec![
        ("hello", msg(Body::Hello(node("gate-7", Role::Acs, &[("commands", 90_211)])), 1)),
        (
            "welcome",
            answer(
                Body::Welcome(Welcome {
                    hello: node("tapward-1", Role::Gw, &[("events", 117)]),
                    use_v: Version::V1_0,
                    heartbeat_ms: 5_000,
                    window: 256,
                }),
                1,
            ),
        ),
        (
            "heartbeat",
            msg(
                Body::Heartbeat(Heartbeat {
                    clock: ClockState::Synced,
                    queued: Some(3),
                    received: vec![Received::of(Stream::Commands, 90_211)],
                }),
                2,
            ),
        ),
        ("ack", msg(Body::Ack(vec![Received::of(Stream::Events, 118)]), 3)),
        (
            "error",
            msg(
                Body::Error(Failure {
                    code: Code::SeqGap.into(),
                    fatal: true,
                    stream: Some(token("events")),
                    seq: Some(121),
                    text: text("expected 119"),
                }),
                4,
            ),
        ),
        ("bye", msg(Body::Bye(Bye { reason: reason("shutdown"), retry_after_ms: Some(2_000) }), 5)),
        ("passEvent", msg(Body::PassEvent(pass_event()), 118)),
        ("passEventReplay", Msg { replay: true, ..msg(Body::PassEvent(bare), 98) }),
        (
            "pointStatus",
            msg(
                Body::PointStatus(PointStatus {
                    point: token("north/entrance/gate-7"),
                    state: PointState::Tamper,
                    occurred_at: at("2026-11-21T09:15:20+03:00"),
                    ext: vec![],
                }),
                119,
            ),
        ),
        (
            "accessRequest",
            msg(
                Body::AccessRequest(AccessRequest {
                    occurred_at: at("2026-11-21T09:15:30.300+03:00"),
                    answer_within_ms: 700,
                    fallback: Verdict::Deny,
                    point: token("north/entrance/gate-7"),
                    credential: Credential::new(CredFormat::Wiegand26, "4C1A2B").unwrap(),
                    direction: Direction::In,
                    ext: vec![],
                }),
                40,
            ),
        ),
        (
            "accessDecision",
            answer(
                Body::AccessDecision(AccessDecision {
                    decision: Verdict::Grant,
                    reason: reason("appointment-today"),
                    valid_until: at("2026-11-21T06:15:36Z"),
                    show: text("Каб. 214, 09:30"),
                }),
                40,
            ),
        ),
        (
            "credentialIssue",
            msg(
                Body::CredentialIssue(CredentialIssue {
                    key: token("pass:551203"),
                    rev: 3,
                    credential: card("04A1B2C3D4E5F6"),
                    person: token("p-5d21c0"),
                    from: at("2026-11-21T05:00:00Z"),
                    until: at("2026-11-21T15:00:00Z"),
                    levels: vec![token("visitors"), token("floor-2")],
                    ext: vec![],
                }),
                90_212,
            ),
        ),
        (
            "credentialRevoke",
            msg(
                Body::CredentialRevoke(CredentialRevoke {
                    key: token("pass:551203"),
                    rev: 4,
                    reason: reason("visit-closed"),
                    effective_at: Some(at("2026-11-21T15:00:00Z")),
                    credential: Some(card("04A1B2C3D4E5F6")),
                }),
                90_213,
            ),
        ),
        ("credentialResult", answer(Body::CredentialResult(result(CommandStatus::Done, None, None)), 212)),
        (
            "control",
            msg(
                Body::Control(Control {
                    action: Action::PulseIn,
                    expires_at,
                    actor: token("guard-17"),
                    points: vec![token("north/entrance/gate-7"), token("north/entrance/gate-8")],
                }),
                90_214,
            ),
        ),
        (
            "controlResult",
            answer(
                Body::ControlResult(result(
                    CommandStatus::Expired,
                    Some(Code::CommandExpired),
                    text("came 5 s too late"),
                )),
                214,
            ),
        ),
        ("syncBegin", msg(Body::SyncBegin(SyncBegin { of: SyncOf::Credentials, sync_id: uuid(77) }), 90_215)),
        (
            "syncEnd",
            msg(
                Body::SyncEnd(SyncEnd {
                    sync_id: uuid(77),
                    count: 2,
                    sha256: Some(digest::sync_digest(&mut [(token("pass:551203"), 4), (token("pass:551204"), 1)])),
                }),
                90_216,
            ),
        ),
    ]
}

#[test]
fn the_samples_are_what_we_write_and_read() {
    for (name, msg) in all() {
        let path = folder().join(format!("{name}.xml"));
        let written = to_vec(&msg).unwrap();
        if std::env::var_os("UPDATE_SAMPLES").is_some() {
            fs::write(&path, [written.as_slice(), b"\n"].concat()).unwrap();
        }
        let sample = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(String::from_utf8_lossy(sample.trim_ascii_end()), String::from_utf8_lossy(&written), "{name}");
        assert_eq!(read(&sample), Ok(msg), "{name}");
    }
}

#[test]
fn every_kind_has_a_sample_and_every_sample_a_kind() {
    let kinds: BTreeSet<&str> = all().iter().map(|(_, msg)| msg.body.kind().as_str()).collect();
    assert_eq!(kinds, Kind::ALL.iter().map(|kind| kind.as_str()).collect());
    let files = fs::read_dir(folder()).unwrap().filter_map(|file| file.unwrap().file_name().into_string().ok());
    let names: BTreeSet<String> = all().iter().map(|(name, _)| format!("{name}.xml")).collect();
    assert_eq!(files.filter(|name| name.ends_with(".xml")).collect::<BTreeSet<_>>(), names);
}
