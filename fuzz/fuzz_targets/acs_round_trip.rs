//! Any message that can be made: it is written and read again as the same, or not written at all because a list or a
//! number is not what the schema allows.
#![no_main]

use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use wire::acs_link::message::*;
use wire::acs_link::token::Version;
use wire::acs_link::*;

type Made<'a, 'b> = &'a mut Unstructured<'b>;

fn of<T: Copy>(u: Made, all: &[T]) -> Result<T> {
    u.choose(all).copied()
}

/// Bytes brought into an alphabet.
fn spelt(u: Made, alphabet: &[u8], least: usize, most: usize) -> Result<String> {
    let length = u.int_in_range(least..=most.min(least + u.len()))?;
    (0..length).map(|_| Ok(char::from(alphabet[usize::from(u.arbitrary::<u8>()?) % alphabet.len()]))).collect()
}

const TOKEN: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:/-";

fn token(u: Made) -> Result<Token> {
    let text = spelt(u, TOKEN, 1, 64)?;
    Ok(Token::new(&text).expect("the alphabet of tokens"))
}

fn reason(u: Made) -> Result<Reason> {
    let text = format!("{}{}", spelt(u, &TOKEN[..26], 1, 1)?, spelt(u, b"abcxyz0189-", 0, 47)?);
    Ok(Reason::new(&text).expect("the alphabet of reasons"))
}

fn code(u: Made) -> Result<ErrCode> {
    let text = format!("{}{}", spelt(u, &TOKEN[26..52], 1, 1)?, spelt(u, b"ABCXYZ0189_", 2, 39)?);
    Ok(ErrCode::new(&text).expect("the alphabet of codes"))
}

fn text(u: Made) -> Result<Text> {
    let length = u.int_in_range(0..=300)?;
    let chars: String = (0..length).map(|_| u.arbitrary::<char>()).collect::<Result<_>>()?;
    Ok(Text::new(&chars).unwrap_or_else(|_| Text::lossy(&chars)))
}

fn instant(u: Made) -> Result<Instant> {
    let (micros, offset) = (u.arbitrary::<i64>()?, u.arbitrary::<i16>()?);
    let micros = if u.arbitrary()? { micros } else { micros % 253_402_300_800_000_000 };
    Ok(Instant::new(micros, offset % 841).unwrap_or_else(|_| Instant::from_utc(domain::UtcMillis(micros))))
}

fn uuid(u: Made) -> Result<Uuid> {
    u.arbitrary().map(Uuid)
}

fn maybe<T>(u: Made, make: impl FnOnce(Made) -> Result<T>) -> Result<Option<T>> {
    if u.arbitrary()? { make(u).map(Some) } else { Ok(None) }
}

fn list<T>(u: Made, most: usize, make: impl Fn(Made) -> Result<T>) -> Result<Vec<T>> {
    let length = u.int_in_range(0..=most)?;
    (0..length).map(|_| make(u)).collect()
}

fn credential(u: Made) -> Result<Credential> {
    let format = of(u, &CredFormat::ALL)?;
    let value: String = (0..u.int_in_range(1..=600)?).map(|_| u.arbitrary::<char>()).collect::<Result<_>>()?;
    let spare = || Credential::new(format, "4C1A2B").expect("six characters");
    Ok(Credential::new(format, &value).unwrap_or_else(|_| spare()))
}

fn ext(u: Made) -> Result<Vec<Ext>> {
    list(u, EXT_MAX + 1, |u| Ok(Ext { name: token(u)?, text: text(u)? }))
}

fn received(u: Made) -> Result<Vec<Received>> {
    list(u, LIST_MAX + 1, |u| Ok(Received { stream: token(u)?, seq: u.arbitrary()? }))
}

fn version(u: Made) -> Result<Version> {
    Ok(Version::new(u.arbitrary::<u8>()? % 100).expect("below 100"))
}

fn hello(u: Made) -> Result<Hello> {
    Ok(Hello {
        node: token(u)?,
        role: of(u, Role::ALL)?,
        epoch: uuid(u)?,
        min_v: version(u)?,
        max_v: version(u)?,
        max_frame: u.arbitrary()?,
        received: received(u)?,
        caps: list(u, CAPS_MAX + 1, token)?,
    })
}

fn result(u: Made) -> Result<CommandResult> {
    Ok(CommandResult {
        status: of(u, CommandStatus::ALL)?,
        code: maybe(u, code)?,
        at: instant(u)?,
        text: maybe(u, text)?,
    })
}

fn body(u: Made) -> Result<Body> {
    Ok(match of(u, Kind::ALL)? {
        Kind::Hello => Body::Hello(hello(u)?),
        Kind::Welcome => Body::Welcome(Welcome {
            hello: hello(u)?,
            use_v: version(u)?,
            heartbeat_ms: u.arbitrary()?,
            window: u.arbitrary()?,
        }),
        Kind::Heartbeat => Body::Heartbeat(Heartbeat {
            clock: of(u, ClockState::ALL)?,
            queued: u.arbitrary()?,
            received: received(u)?,
        }),
        Kind::Ack => Body::Ack(received(u)?),
        Kind::Error => Body::Error(Failure {
            code: code(u)?,
            fatal: u.arbitrary()?,
            stream: maybe(u, token)?,
            seq: u.arbitrary()?,
            text: maybe(u, text)?,
        }),
        Kind::Bye => Body::Bye(Bye { reason: reason(u)?, retry_after_ms: u.arbitrary()? }),
        Kind::PassEvent => Body::PassEvent(PassEvent {
            event_id: token(u)?,
            occurred_at: instant(u)?,
            clock: of(u, ClockState::ALL)?,
            request: maybe(u, uuid)?,
            point: token(u)?,
            credential: maybe(u, credential)?,
            person: maybe(u, token)?,
            direction: of(u, Direction::ALL)?,
            result: PassResult {
                code: of(u, PassCode::ALL)?,
                reason: maybe(u, reason)?,
                by: maybe(u, |u| of(u, Source::ALL))?,
            },
            ext: ext(u)?,
        }),
        Kind::PointStatus => Body::PointStatus(PointStatus {
            point: token(u)?,
            state: of(u, PointState::ALL)?,
            occurred_at: instant(u)?,
            ext: ext(u)?,
        }),
        Kind::AccessRequest => Body::AccessRequest(AccessRequest {
            occurred_at: instant(u)?,
            answer_within_ms: u.int_in_range(40..=10_010)?,
            fallback: of(u, Verdict::ALL)?,
            point: token(u)?,
            credential: credential(u)?,
            direction: of(u, Direction::ALL)?,
            ext: ext(u)?,
        }),
        Kind::AccessDecision => Body::AccessDecision(AccessDecision {
            decision: of(u, Verdict::ALL)?,
            reason: reason(u)?,
            valid_until: instant(u)?,
            show: maybe(u, text)?,
        }),
        Kind::CredentialIssue => Body::CredentialIssue(CredentialIssue {
            key: token(u)?,
            rev: u.arbitrary()?,
            credential: credential(u)?,
            person: token(u)?,
            from: instant(u)?,
            until: instant(u)?,
            levels: list(u, LIST_MAX + 1, token)?,
            ext: ext(u)?,
        }),
        Kind::CredentialRevoke => Body::CredentialRevoke(CredentialRevoke {
            key: token(u)?,
            rev: u.arbitrary()?,
            reason: reason(u)?,
            effective_at: maybe(u, instant)?,
            credential: maybe(u, credential)?,
        }),
        Kind::CredentialResult => Body::CredentialResult(result(u)?),
        Kind::Control => Body::Control(Control {
            action: of(u, Action::ALL)?,
            expires_at: instant(u)?,
            actor: token(u)?,
            points: list(u, LIST_MAX + 1, token)?,
        }),
        Kind::ControlResult => Body::ControlResult(result(u)?),
        Kind::SyncBegin => Body::SyncBegin(SyncBegin { of: of(u, SyncOf::ALL)?, sync_id: uuid(u)? }),
        Kind::SyncEnd => Body::SyncEnd(SyncEnd { sync_id: uuid(u)?, count: u.arbitrary()?, sha256: u.arbitrary()? }),
    })
}

fn msg(u: Made) -> Result<Msg> {
    let body = body(u)?;
    let own = body.kind().stream();
    let stream_seq = if u.ratio(15, 16)? { own } else { maybe(u, |u| of(u, Stream::ALL))? };
    Ok(Msg {
        v: version(u)?,
        id: uuid(u)?,
        stream_seq: stream_seq.map(|stream| Ok((stream, u.arbitrary()?))).transpose()?,
        re: maybe(u, uuid)?,
        sent_at: instant(u)?,
        replay: u.arbitrary()?,
        body,
    })
}

fuzz_target!(|data: &[u8]| {
    let Ok(msg) = msg(&mut Unstructured::new(data)) else { return };
    let mut out = b"before".to_vec();
    match write(&msg, &mut out) {
        Ok(()) => {
            assert!(msg.check().is_ok() && out.len() <= write::DOCUMENT_MAX_BYTES + 6);
            assert_eq!(read(&out[6..]).as_ref(), Ok(&msg));
        }
        Err(misfit) => assert_eq!((out.as_slice(), msg.check()), (b"before".as_slice(), Err(misfit))),
    }
});
