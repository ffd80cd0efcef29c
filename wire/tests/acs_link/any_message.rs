//! Any message that can be made, for properties.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use wire::acs_link::message::*;
use wire::acs_link::token::Version;
use wire::acs_link::*;

fn token() -> impl Strategy<Value = Token> {
    prop_oneof![4 => "[A-Za-z0-9._:/-]{1,12}", 1 => "[A-Za-z0-9._:/-]{64}"].prop_map(|text| Token::new(&text).unwrap())
}

fn reason() -> impl Strategy<Value = Reason> {
    "[a-z][a-z0-9-]{0,47}".prop_map(|text| Reason::new(&text).unwrap())
}

fn code() -> impl Strategy<Value = ErrCode> {
    "[A-Z][A-Z0-9_]{2,39}".prop_map(|text| ErrCode::new(&text).unwrap())
}

/// Everything that XML allows, with what needs escaping more often than by chance.
fn chars(most: usize) -> impl Strategy<Value = String> {
    let c = prop_oneof![
        4 => any::<char>(),
        2 => prop::sample::select(vec!['<', '>', '&', '"', '\'', ']', '\r', '\n', '\t', ' ', 'Ж', '\u{FFFD}', '\u{85}']),
        2 => prop::char::range(' ', '~'),
    ];
    let fits = |c: &char| *c >= ' ' && !matches!(c, '\u{FFFE}' | '\u{FFFF}') || matches!(c, '\r' | '\n' | '\t');
    vec(c, 0..=most).prop_map(move |all| all.into_iter().filter(fits).collect())
}

fn text() -> impl Strategy<Value = Text> {
    prop_oneof![9 => chars(20), 1 => chars(256)].prop_map(|text| Text::new(&text).unwrap())
}

fn uuid() -> impl Strategy<Value = Uuid> {
    any::<[u8; 16]>().prop_map(Uuid)
}

fn instant() -> impl Strategy<Value = Instant> {
    (-62_100_000_000_000_000_i64..253_402_000_000_000_000, -840_i16..=840)
        .prop_map(|(micros, offset)| Instant::new(micros, offset).unwrap())
}

fn of<T: Copy + std::fmt::Debug + 'static>(all: &'static [T]) -> impl Strategy<Value = T> {
    prop::sample::select(all)
}

fn credential() -> impl Strategy<Value = Credential> {
    (of(&CredFormat::ALL), prop_oneof![9 => chars(20), 1 => chars(512)])
        .prop_map(|(format, value)| Credential::new(format, if value.is_empty() { "0" } else { &value }).unwrap())
}

fn ext() -> impl Strategy<Value = Vec<Ext>> {
    vec((token(), text()).prop_map(|(name, text)| Ext { name, text }), 0..=EXT_MAX)
}

fn seq() -> impl Strategy<Value = u64> {
    prop_oneof![1..=1_000_u64, 1..=SEQ_MAX, Just(SEQ_MAX)]
}

fn received(least: usize) -> impl Strategy<Value = Vec<Received>> {
    let known = of(Stream::ALL).prop_map(|stream| Token::new(stream.as_str()).unwrap());
    let one = (prop_oneof![known, token()], prop_oneof![Just(0), seq()]);
    vec(one.prop_map(|(stream, seq)| Received { stream, seq }), least..=LIST_MAX)
}

fn version() -> impl Strategy<Value = Version> {
    (0..=99_u8).prop_map(|minor| Version::new(minor).unwrap())
}

fn hello() -> impl Strategy<Value = Hello> {
    let names = (token(), of(Role::ALL), uuid());
    (names, version(), version(), option::of(any::<u32>()), received(0), vec(token(), 0..=CAPS_MAX)).prop_map(
        |((node, role, epoch), min_v, max_v, max_frame, received, caps)| Hello {
            node,
            role,
            epoch,
            min_v,
            max_v,
            max_frame,
            received,
            caps,
        },
    )
}

fn pass_event() -> impl Strategy<Value = PassEvent> {
    let result = (of(PassCode::ALL), option::of(reason()), option::of(of(Source::ALL)))
        .prop_map(|(code, reason, by)| PassResult { code, reason, by });
    let what = (token(), instant(), of(ClockState::ALL), option::of(uuid()));
    let who = (token(), option::of(credential()), option::of(token()), of(Direction::ALL));
    (what, who, result, ext()).prop_map(
        |((event_id, occurred_at, clock, request), (point, credential, person, direction), result, ext)| PassEvent {
            event_id,
            occurred_at,
            clock,
            request,
            point,
            credential,
            person,
            direction,
            result,
            ext,
        },
    )
}

fn issue() -> impl Strategy<Value = CredentialIssue> {
    let times = (instant(), instant());
    (token(), seq(), credential(), token(), times, vec(token(), 0..=LIST_MAX), ext()).prop_map(
        |(key, rev, credential, person, (from, until), levels, ext)| CredentialIssue {
            key,
            rev,
            credential,
            person,
            from,
            until,
            levels,
            ext,
        },
    )
}

fn result() -> impl Strategy<Value = CommandResult> {
    (of(CommandStatus::ALL), option::of(code()), instant(), option::of(text()))
        .prop_map(|(status, code, at, text)| CommandResult { status, code, at, text })
}

fn session_body() -> BoxedStrategy<Body> {
    let welcome = (hello(), version(), any::<u32>(), any::<u16>())
        .prop_map(|(hello, use_v, heartbeat_ms, window)| Welcome { hello, use_v, heartbeat_ms, window });
    let beat = (of(ClockState::ALL), option::of(any::<u32>()), received(0))
        .prop_map(|(clock, queued, received)| Heartbeat { clock, queued, received });
    let failure = (code(), any::<bool>(), option::of(token()), option::of(seq()), option::of(text()))
        .prop_map(|(code, fatal, stream, seq, text)| Failure { code, fatal, stream, seq, text });
    let bye = (reason(), option::of(any::<u32>())).prop_map(|(reason, retry_after_ms)| Bye { reason, retry_after_ms });
    prop_oneof![
        hello().prop_map(Body::Hello),
        welcome.prop_map(Body::Welcome),
        beat.prop_map(Body::Heartbeat),
        received(1).prop_map(Body::Ack),
        failure.prop_map(Body::Error),
        bye.prop_map(Body::Bye),
    ]
    .boxed()
}

fn other_body() -> BoxedStrategy<Body> {
    let status = (token(), of(PointState::ALL), instant(), ext())
        .prop_map(|(point, state, occurred_at, ext)| PointStatus { point, state, occurred_at, ext });
    let shown = (token(), credential(), of(Direction::ALL), ext());
    let request = (instant(), 50..=10_000_u32, of(Verdict::ALL), shown).prop_map(
        |(occurred_at, answer_within_ms, fallback, (point, credential, direction, ext))| AccessRequest {
            occurred_at,
            answer_within_ms,
            fallback,
            point,
            credential,
            direction,
            ext,
        },
    );
    let decision = (of(Verdict::ALL), reason(), instant(), option::of(text()))
        .prop_map(|(decision, reason, valid_until, show)| AccessDecision { decision, reason, valid_until, show });
    let revoke = (token(), seq(), reason(), option::of(instant()), option::of(credential())).prop_map(
        |(key, rev, reason, effective_at, credential)| CredentialRevoke { key, rev, reason, effective_at, credential },
    );
    let control = (of(Action::ALL), instant(), token(), vec(token(), 1..=LIST_MAX))
        .prop_map(|(action, expires_at, actor, points)| Control { action, expires_at, actor, points });
    let end = (uuid(), any::<u32>(), option::of(any::<[u8; 32]>())).prop_map(|(sync_id, count, sha256)| SyncEnd {
        sync_id,
        count,
        sha256,
    });
    prop_oneof![
        pass_event().prop_map(Body::PassEvent),
        status.prop_map(Body::PointStatus),
        request.prop_map(Body::AccessRequest),
        decision.prop_map(Body::AccessDecision),
        issue().prop_map(Body::CredentialIssue),
        revoke.prop_map(Body::CredentialRevoke),
        result().prop_map(Body::CredentialResult),
        control.prop_map(Body::Control),
        result().prop_map(Body::ControlResult),
        (of(SyncOf::ALL), uuid()).prop_map(|(of, sync_id)| Body::SyncBegin(SyncBegin { of, sync_id })),
        end.prop_map(Body::SyncEnd),
    ]
    .boxed()
}

/// Any message at all.
pub fn any_message() -> impl Strategy<Value = Msg> {
    let body = prop_oneof![1 => session_body(), 2 => other_body()];
    (version(), uuid(), seq(), option::of(uuid()), instant(), any::<bool>(), body).prop_map(
        |(v, id, seq, re, sent_at, replay, body)| {
            let stream_seq = body.kind().stream().map(|stream| (stream, seq));
            Msg { v, id, stream_seq, re, sent_at, replay, body }
        },
    )
}
