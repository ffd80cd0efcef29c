//! A complete document to a message, strictly: what the schema and the limits do not allow is refused, with the place
//! and the rule. Owns the order and the forms of the schema; never keeps a byte of what it refused. May import the
//! scanner, the values and the messages beside it.
//!
//! Accepted is what the schema accepts, within the limits of [`scan`](super::scan), and but for this: elements have no
//! prefix; attributes of foreign namespaces may stand on `Msg` only, and never those of XML Schema instances or of XML
//! itself; numbers have no blanks around them (libxml2 takes none either); and the rule outside the schema holds that
//! durable messages and no others have `stream` and `seq`, the stream being that of their kind.

use std::borrow::Cow;

use super::code::{Code, Refusal};
use super::credential::{CredFormat, Credential};
use super::frame::FRAME_MAX;
use super::instant::Instant;
use super::message::*;
use super::scan::Scan;
use super::token::{ErrCode, Misfit, Reason, Text, Token, Uuid, Version, hex_digit};

type Read<T> = Result<T, Refusal>;
/// What a Welcome has beyond a Hello: version, heartbeat in milliseconds, window.
type Terms = (Version, u32, u16);

/// Reads a message.
///
/// # Errors
/// Always fatal for the connection; the text may be logged, shown and sent, as it repeats no value.
pub fn read(document: &[u8]) -> Read<Msg> {
    if document.len() > FRAME_MAX as usize {
        return Err(Refusal::new(Code::FrameTooLarge, "a document longer than 65536 bytes"));
    }
    let mut reader = Reader { scan: Scan::new(document)?, element: "the root" };
    let msg = reader.msg()?;
    reader.scan.finish()?;
    Ok(msg)
}

struct Reader<'a> {
    scan: Scan<'a>,
    /// Where we are, for texts.
    element: &'static str,
}

impl<'a> Reader<'a> {
    fn msg(&mut self) -> Read<Msg> {
        if self.scan.child()? != Some("Msg") {
            return Err(schema("the root element is not Msg"));
        }
        self.element = "Msg";
        let v = self.must("v", Version::parse)?;
        let id = self.must("id", Uuid::parse)?;
        let stream = self.may("stream", Token::new)?;
        let seq = self.may("seq", one_or_more)?;
        let re = self.may("re", Uuid::parse)?;
        let sent_at = self.must("sentAt", instant)?;
        let replay = self.may("replay", boolean)?.unwrap_or(false);
        self.scan.no_more_attributes(true)?;
        let kind = match self.scan.child()? {
            Some(name) => Kind::parse(name).ok_or_else(|| schema("Msg holds no message of this version"))?,
            None => return Err(schema("Msg is empty")),
        };
        let stream_seq = match (kind.stream(), stream, seq) {
            (None, None, None) => None,
            (Some(own), Some(stream), Some(seq)) if stream.as_str() == own.as_str() => Some((own, seq)),
            (None, ..) => return Err(schema(format!("{kind} has neither stream nor seq"))),
            (Some(own), ..) => return Err(schema(format!("{kind} has stream=\"{own}\" and a seq"))),
        };
        self.element = kind.as_str();
        let body = self.body(kind)?;
        match self.scan.child()? {
            None => Ok(Msg { v, id, stream_seq, re, sent_at, replay, body }),
            Some(_) => Err(schema("Msg holds more than one message")),
        }
    }

    fn body(&mut self, kind: Kind) -> Read<Body> {
        Ok(match kind {
            Kind::Hello => Body::Hello(self.hello(false)?.0),
            Kind::Welcome => Body::Welcome(self.welcome()?),
            Kind::Heartbeat => Body::Heartbeat(self.heartbeat()?),
            Kind::Ack => Body::Ack(self.ack()?),
            Kind::Error => Body::Error(self.failure()?),
            Kind::Bye => Body::Bye(self.bye()?),
            Kind::PassEvent => Body::PassEvent(self.pass_event()?),
            Kind::PointStatus => Body::PointStatus(self.point_status()?),
            Kind::AccessRequest => Body::AccessRequest(self.access_request()?),
            Kind::AccessDecision => Body::AccessDecision(self.access_decision()?),
            Kind::CredentialIssue => Body::CredentialIssue(self.issue()?),
            Kind::CredentialRevoke => Body::CredentialRevoke(self.revoke()?),
            Kind::CredentialResult => Body::CredentialResult(self.result()?),
            Kind::Control => Body::Control(self.control()?),
            Kind::ControlResult => Body::ControlResult(self.result()?),
            Kind::SyncBegin => Body::SyncBegin(self.sync_begin()?),
            Kind::SyncEnd => Body::SyncEnd(self.sync_end()?),
        })
    }

    // ---- session ----

    /// A Hello, or the part of a Welcome that is one; and what a Welcome has beyond it.
    fn hello(&mut self, welcome: bool) -> Read<(Hello, Option<Terms>)> {
        let node = self.must("node", Token::new)?;
        let role = self.must("role", |word| Role::parse(word).ok_or(Misfit("acs or gw")))?;
        let epoch = self.must("epoch", Uuid::parse)?;
        let min_v = self.must("minV", Version::parse)?;
        let max_v = self.must("maxV", Version::parse)?;
        let max_frame = self.may("maxFrame", unsigned)?;
        let more = match welcome {
            true => Some((
                self.must("useV", Version::parse)?,
                self.must("heartbeatMs", unsigned)?,
                self.must("window", |text| u16::try_from(unsigned(text)?).map_err(|_| Misfit("at most 65535")))?,
            )),
            false => None,
        };
        self.scan.no_more_attributes(false)?;
        let (received, next) = self.received()?;
        let (caps, next) = self.tokens("Cap", CAPS_MAX, next)?;
        self.end(next)?;
        Ok((Hello { node, role, epoch, min_v, max_v, max_frame, received, caps }, more))
    }

    fn welcome(&mut self) -> Read<Welcome> {
        let (hello, more) = self.hello(true)?;
        let (use_v, heartbeat_ms, window) = more.ok_or_else(|| schema("a Welcome without its own attributes"))?;
        Ok(Welcome { hello, use_v, heartbeat_ms, window })
    }

    fn heartbeat(&mut self) -> Read<Heartbeat> {
        let clock = self.must("clock", clock)?;
        let queued = self.may("queued", unsigned)?;
        self.scan.no_more_attributes(false)?;
        let (received, next) = self.received()?;
        self.end(next)?;
        Ok(Heartbeat { clock, queued, received })
    }

    fn ack(&mut self) -> Read<Vec<Received>> {
        self.scan.no_more_attributes(false)?;
        let (received, next) = self.received()?;
        self.end(next)?;
        if received.is_empty() { Err(schema("Ack without Received")) } else { Ok(received) }
    }

    fn received(&mut self) -> Read<(Vec<Received>, Option<&'a str>)> {
        let mut all = Vec::new();
        let mut next = self.scan.child()?;
        while next == Some("Received") {
            let inside = self.enter("Received");
            let stream = self.must("stream", Token::new)?;
            let seq = self.must("seq", zero_or_more)?;
            self.leave_empty(inside)?;
            if all.len() == LIST_MAX {
                return Err(too_many("Received", LIST_MAX));
            }
            all.push(Received { stream, seq });
            next = self.scan.child()?;
        }
        Ok((all, next))
    }

    fn failure(&mut self) -> Read<Failure> {
        let code = self.must("code", ErrCode::new)?;
        let fatal = self.must("fatal", boolean)?;
        let stream = self.may("stream", Token::new)?;
        let seq = self.may("seq", one_or_more)?;
        self.scan.no_more_attributes(false)?;
        let text = self.only_text("Text")?;
        Ok(Failure { code, fatal, stream, seq, text })
    }

    fn bye(&mut self) -> Read<Bye> {
        let reason = self.must("reason", Reason::new)?;
        let retry_after_ms = self.may("retryAfterMs", unsigned)?;
        self.scan.no_more_attributes(false)?;
        self.scan.nothing()?;
        Ok(Bye { reason, retry_after_ms })
    }

    // ---- events ----

    fn pass_event(&mut self) -> Read<PassEvent> {
        let event_id = self.must("eventId", Token::new)?;
        let occurred_at = self.must("occurredAt", instant)?;
        let clock = self.must("clock", clock)?;
        let request = self.may("request", Uuid::parse)?;
        self.scan.no_more_attributes(false)?;
        let first = self.scan.child()?;
        let (point, next) = self.token("Point", first)?;
        let (credential, next) = self.credential(next)?;
        let (person, next) = match next {
            Some("Person") => self.token("Person", next).map(|(person, next)| (Some(person), next))?,
            _ => (None, next),
        };
        let (direction, next) = self.direction(next)?;
        let (result, next) = self.pass_result(next)?;
        let ext = self.ext(next)?;
        Ok(PassEvent { event_id, occurred_at, clock, request, point, credential, person, direction, result, ext })
    }

    fn pass_result(&mut self, next: Option<&'a str>) -> Read<(PassResult, Option<&'a str>)> {
        self.is("Result", next)?;
        let inside = self.enter("Result");
        let code = self.must("code", |word| PassCode::parse(word).ok_or(Misfit("a code of a pass")))?;
        let reason = self.may("reason", Reason::new)?;
        let by = self.may("by", |word| Source::parse(word).ok_or(Misfit("who decides")))?;
        self.leave_empty(inside)?;
        Ok((PassResult { code, reason, by }, self.scan.child()?))
    }

    fn point_status(&mut self) -> Read<PointStatus> {
        let state = self.must("state", |word| PointState::parse(word).ok_or(Misfit("a state of a point")))?;
        let occurred_at = self.must("occurredAt", instant)?;
        self.scan.no_more_attributes(false)?;
        let first = self.scan.child()?;
        let (point, next) = self.token("Point", first)?;
        let ext = self.ext(next)?;
        Ok(PointStatus { point, state, occurred_at, ext })
    }

    // ---- decisions ----

    fn access_request(&mut self) -> Read<AccessRequest> {
        let occurred_at = self.must("occurredAt", instant)?;
        let answer_within_ms = self.must("answerWithinMs", |text| {
            unsigned(text).and_then(|ms| match ANSWER_WITHIN_MS.contains(&ms) {
                true => Ok(ms),
                false => Err(Misfit("from 50 to 10000")),
            })
        })?;
        let fallback = self.must("fallback", verdict)?;
        self.scan.no_more_attributes(false)?;
        let first = self.scan.child()?;
        let (point, next) = self.token("Point", first)?;
        let (credential, next) = self.credential(next)?;
        let credential = credential.ok_or_else(|| schema("AccessRequest without Credential"))?;
        let (direction, next) = self.direction(next)?;
        let ext = self.ext(next)?;
        Ok(AccessRequest { occurred_at, answer_within_ms, fallback, point, credential, direction, ext })
    }

    fn access_decision(&mut self) -> Read<AccessDecision> {
        let decision = self.must("decision", verdict)?;
        let reason = self.must("reason", Reason::new)?;
        let valid_until = self.must("validUntil", instant)?;
        self.scan.no_more_attributes(false)?;
        let show = self.only_text("Show")?;
        Ok(AccessDecision { decision, reason, valid_until, show })
    }

    // ---- commands ----

    fn issue(&mut self) -> Read<CredentialIssue> {
        let key = self.must("key", Token::new)?;
        let rev = self.must("rev", one_or_more)?;
        self.scan.no_more_attributes(false)?;
        let first = self.scan.child()?;
        let (credential, next) = self.credential(first)?;
        let credential = credential.ok_or_else(|| schema("CredentialIssue without Credential"))?;
        let (person, next) = self.token("Person", next)?;
        self.is("Valid", next)?;
        let inside = self.enter("Valid");
        let (from, until) = (self.must("from", instant)?, self.must("until", instant)?);
        self.leave_empty(inside)?;
        let next = self.scan.child()?;
        let (levels, next) = self.tokens("Level", LIST_MAX, next)?;
        let ext = self.ext(next)?;
        Ok(CredentialIssue { key, rev, credential, person, from, until, levels, ext })
    }

    fn revoke(&mut self) -> Read<CredentialRevoke> {
        let key = self.must("key", Token::new)?;
        let rev = self.must("rev", one_or_more)?;
        let reason = self.must("reason", Reason::new)?;
        let effective_at = self.may("effectiveAt", instant)?;
        self.scan.no_more_attributes(false)?;
        let first = self.scan.child()?;
        let (credential, next) = self.credential(first)?;
        self.end(next)?;
        Ok(CredentialRevoke { key, rev, reason, effective_at, credential })
    }

    fn result(&mut self) -> Read<CommandResult> {
        let status = self.must("status", |word| CommandStatus::parse(word).ok_or(Misfit("a status of a command")))?;
        let code = self.may("code", ErrCode::new)?;
        let at = self.must("at", instant)?;
        self.scan.no_more_attributes(false)?;
        let text = self.only_text("Text")?;
        Ok(CommandResult { status, code, at, text })
    }

    fn control(&mut self) -> Read<Control> {
        let action = self.must("action", |word| Action::parse(word).ok_or(Misfit("an action")))?;
        let expires_at = self.must("expiresAt", instant)?;
        let actor = self.must("actor", Token::new)?;
        self.scan.no_more_attributes(false)?;
        let first = self.scan.child()?;
        let (points, next) = self.tokens("Point", LIST_MAX, first)?;
        self.end(next)?;
        if points.is_empty() {
            return Err(schema("Control without Point"));
        }
        Ok(Control { action, expires_at, actor, points })
    }

    fn sync_begin(&mut self) -> Read<SyncBegin> {
        let of = self.must("of", |word| SyncOf::parse(word).ok_or(Misfit("credentials or points")))?;
        let sync_id = self.must("syncId", Uuid::parse)?;
        self.scan.no_more_attributes(false)?;
        self.scan.nothing()?;
        Ok(SyncBegin { of, sync_id })
    }

    fn sync_end(&mut self) -> Read<SyncEnd> {
        let sync_id = self.must("syncId", Uuid::parse)?;
        let count = self.must("count", unsigned)?;
        let sha256 = self.may("sha256", digest)?;
        self.scan.no_more_attributes(false)?;
        self.scan.nothing()?;
        Ok(SyncEnd { sync_id, count, sha256 })
    }

    // ---- parts ----

    /// An element that holds a token, and the one behind it.
    fn token(&mut self, name: &'static str, next: Option<&'a str>) -> Read<(Token, Option<&'a str>)> {
        self.is(name, next)?;
        let inside = self.enter(name);
        self.scan.no_more_attributes(false)?;
        let token = self.content(Token::new)?;
        self.element = inside;
        Ok((token, self.scan.child()?))
    }

    /// Elements of one name that hold tokens, and the one behind them.
    fn tokens(
        &mut self,
        name: &'static str,
        most: usize,
        mut next: Option<&'a str>,
    ) -> Read<(Vec<Token>, Option<&'a str>)> {
        let mut all = Vec::new();
        while next == Some(name) {
            if all.len() == most {
                return Err(too_many(name, most));
            }
            let (token, behind) = self.token(name, next)?;
            all.push(token);
            next = behind;
        }
        Ok((all, next))
    }

    fn credential(&mut self, next: Option<&'a str>) -> Read<(Option<Credential>, Option<&'a str>)> {
        if next != Some("Credential") {
            return Ok((None, next));
        }
        let inside = self.enter("Credential");
        let format = self.must("format", |word| {
            CredFormat::ALL.into_iter().find(|format| format.as_str() == word).ok_or(Misfit("a format of a credential"))
        })?;
        self.scan.no_more_attributes(false)?;
        let credential = self.content(|text| Credential::new(format, text))?;
        self.element = inside;
        Ok((Some(credential), self.scan.child()?))
    }

    fn direction(&mut self, next: Option<&'a str>) -> Read<(Direction, Option<&'a str>)> {
        self.is("Direction", next)?;
        let inside = self.enter("Direction");
        self.scan.no_more_attributes(false)?;
        let direction = self.content(|word| Direction::parse(word).ok_or(Misfit("in, out or unknown")))?;
        self.element = inside;
        Ok((direction, self.scan.child()?))
    }

    /// The extensions at the end of an element; passes its end.
    fn ext(&mut self, mut next: Option<&'a str>) -> Read<Vec<Ext>> {
        let mut all = Vec::new();
        while next == Some("Ext") {
            if all.len() == EXT_MAX {
                return Err(Refusal::new(Code::XmlLimit, "at most 16 Ext"));
            }
            let inside = self.enter("Ext");
            let name = self.must("name", Token::new)?;
            self.scan.no_more_attributes(false)?;
            all.push(Ext { name, text: self.content(Text::new)? });
            self.element = inside;
            next = self.scan.child()?;
        }
        self.end(next)?;
        Ok(all)
    }

    /// The one text that an element may hold; passes its end.
    fn only_text(&mut self, name: &'static str) -> Read<Option<Text>> {
        match self.scan.child()? {
            None => Ok(None),
            Some(given) if given == name => {
                let inside = self.enter(name);
                self.scan.no_more_attributes(false)?;
                let text = self.content(Text::new)?;
                self.element = inside;
                let next = self.scan.child()?;
                self.end(next)?;
                Ok(Some(text))
            }
            next => self.end(next).map(|()| None),
        }
    }

    fn is(&self, wanted: &'static str, next: Option<&'a str>) -> Read<()> {
        match next {
            Some(name) if name == wanted => Ok(()),
            _ => Err(schema(format!("{} without {wanted} in its place", self.element))),
        }
    }

    fn end(&self, next: Option<&'a str>) -> Read<()> {
        match next {
            None => Ok(()),
            Some(_) => Err(schema(format!("an element out of place in {}", self.element))),
        }
    }

    /// Gives the element that we were in.
    fn enter(&mut self, element: &'static str) -> &'static str {
        std::mem::replace(&mut self.element, element)
    }

    fn leave_empty(&mut self, outside: &'static str) -> Read<()> {
        self.scan.no_more_attributes(false)?;
        self.scan.nothing()?;
        self.element = outside;
        Ok(())
    }

    fn content<T>(&mut self, form: impl FnOnce(&str) -> Result<T, Misfit>) -> Read<T> {
        let text = self.scan.text()?;
        form(&text).map_err(|misfit| schema(format!("{} is {misfit}", self.element)))
    }

    fn must<T>(&mut self, name: &'static str, form: impl FnOnce(&str) -> Result<T, Misfit>) -> Read<T> {
        self.may(name, form)?.ok_or_else(|| schema(format!("{}/@{name} is missing", self.element)))
    }

    fn may<T>(&mut self, name: &'static str, form: impl FnOnce(&str) -> Result<T, Misfit>) -> Read<Option<T>> {
        let Some(text) = self.scan.attribute(name)? else { return Ok(None) };
        let value = form(&text).map_err(|misfit| schema(format!("{}/@{name} is {misfit}", self.element)))?;
        Ok(Some(value))
    }
}

fn schema(text: impl Into<Cow<'static, str>>) -> Refusal {
    Refusal::new(Code::SchemaInvalid, text)
}

fn too_many(name: &str, most: usize) -> Refusal {
    schema(format!("at most {most} {name}"))
}

/// Blanks around a boolean or an instant do not count (the facet `whiteSpace` is `collapse`).
fn collapsed(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\r', '\n'])
}

fn instant(text: &str) -> Result<Instant, Misfit> {
    Instant::parse(collapsed(text))
}

fn clock(word: &str) -> Result<ClockState, Misfit> {
    ClockState::parse(word).ok_or(Misfit("synced, drifting or unset"))
}

fn verdict(word: &str) -> Result<Verdict, Misfit> {
    Verdict::parse(word).ok_or(Misfit("grant or deny"))
}

fn boolean(text: &str) -> Result<bool, Misfit> {
    match collapsed(text) {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(Misfit("true or false")),
    }
}

/// `xs:unsignedInt`.
fn unsigned(text: &str) -> Result<u32, Misfit> {
    const FORM: Misfit = Misfit("a number from 0 to 4294967295");
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(FORM);
    }
    text.parse().map_err(|_| FORM)
}

/// `xs:long` from 1.
fn one_or_more(text: &str) -> Result<u64, Misfit> {
    zero_or_more(text).ok().filter(|seq| *seq > 0).ok_or(Misfit("a number from 1 to 9223372036854775807"))
}

/// `xs:long` from 0.
fn zero_or_more(text: &str) -> Result<u64, Misfit> {
    let number = text.parse::<i64>().ok();
    number.and_then(|number| u64::try_from(number).ok()).ok_or(Misfit("a number from 0 to 9223372036854775807"))
}

fn digest(text: &str) -> Result<[u8; 32], Misfit> {
    const FORM: Misfit = Misfit("64 hexadecimal digits in lower case");
    let text: &[u8; 64] = text.as_bytes().try_into().map_err(|_| FORM)?;
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = match (hex_digit(pair[0]), hex_digit(pair[1])) {
            (Some(high), Some(low)) => high << 4 | low,
            _ => return Err(FORM),
        };
    }
    Ok(bytes)
}
