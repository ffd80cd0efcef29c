//! A message to a document. Owns the written form: one line, no declaration, attributes in the schema's order. Writes
//! nothing that [`read`](super::read) or the schema refuses. May import the values and the messages beside it.

use super::NAMESPACE;
use super::credential::Credential;
use super::instant::Instant;
use super::message::*;
use super::token::{Misfit, Text, Token, Uuid};

/// Longest document that can be written, in bytes: a PassEvent or CredentialIssue with every list full and every
/// character in its longest form. All of them fit the usual frame of 65,536 bytes.
pub const DOCUMENT_MAX_BYTES: usize = 40_000;

/// Adds the document of a message to `out`.
///
/// # Errors
/// A list of a length, or a number, that the schema does not allow; then nothing is added.
pub fn write(msg: &Msg, out: &mut Vec<u8>) -> Result<(), Misfit> {
    msg.check()?;
    let mut w = Writer { out };
    w.raw("<Msg xmlns=\"");
    w.raw(NAMESPACE);
    w.raw("\" v=\"1.");
    w.number(msg.v.minor().into());
    w.raw("\"");
    w.uuid("id", msg.id);
    if let Some((stream, seq)) = msg.stream_seq {
        w.word("stream", stream.as_str());
        w.counted("seq", seq);
    }
    if let Some(re) = msg.re {
        w.uuid("re", re);
    }
    w.instant("sentAt", msg.sent_at);
    if msg.replay {
        w.word("replay", "true");
    }
    w.raw(">");
    w.body(&msg.body);
    w.raw("</Msg>");
    Ok(())
}

/// The document of a message.
///
/// # Errors
/// As [`write`].
pub fn to_vec(msg: &Msg) -> Result<Vec<u8>, Misfit> {
    let mut out = Vec::with_capacity(512);
    write(msg, &mut out)?;
    Ok(out)
}

struct Writer<'a> {
    out: &'a mut Vec<u8>,
}

impl Writer<'_> {
    fn body(&mut self, body: &Body) {
        let name = body.kind().as_str();
        self.open(name);
        match body {
            Body::Hello(hello) => {
                self.hello(hello);
                self.hello_content(hello, name);
            }
            Body::Welcome(welcome) => {
                self.hello(&welcome.hello);
                self.version("useV", welcome.use_v);
                self.counted("heartbeatMs", welcome.heartbeat_ms.into());
                self.counted("window", welcome.window.into());
                self.hello_content(&welcome.hello, name);
            }
            Body::Heartbeat(beat) => {
                self.word("clock", beat.clock.as_str());
                self.optional_count("queued", beat.queued.map(u64::from));
                self.received(&beat.received, name);
            }
            Body::Ack(received) => self.received(received, name),
            Body::Error(failure) => {
                self.word("code", failure.code.as_str());
                self.word("fatal", if failure.fatal { "true" } else { "false" });
                self.optional("stream", failure.stream.as_ref().map(Token::as_str));
                self.optional_count("seq", failure.seq);
                self.only_text("Text", failure.text.as_ref(), name);
            }
            Body::Bye(bye) => {
                self.word("reason", bye.reason.as_str());
                self.optional_count("retryAfterMs", bye.retry_after_ms.map(u64::from));
                self.raw("/>");
            }
            Body::PassEvent(event) => self.pass_event(event),
            Body::PointStatus(status) => {
                self.word("state", status.state.as_str());
                self.instant("occurredAt", status.occurred_at);
                self.raw(">");
                self.leaf("Point", status.point.as_str());
                self.ext(&status.ext);
                self.close(name);
            }
            Body::AccessRequest(request) => self.access_request(request),
            Body::AccessDecision(decision) => {
                self.word("decision", decision.decision.as_str());
                self.word("reason", decision.reason.as_str());
                self.instant("validUntil", decision.valid_until);
                self.only_text("Show", decision.show.as_ref(), name);
            }
            Body::CredentialIssue(issue) => self.issue(issue),
            Body::CredentialRevoke(revoke) => self.revoke(revoke),
            Body::CredentialResult(result) | Body::ControlResult(result) => {
                self.word("status", result.status.as_str());
                self.optional("code", result.code.as_ref().map(|code| code.as_str()));
                self.instant("at", result.at);
                self.only_text("Text", result.text.as_ref(), name);
            }
            Body::Control(control) => {
                self.word("action", control.action.as_str());
                self.instant("expiresAt", control.expires_at);
                self.word("actor", control.actor.as_str());
                self.raw(">");
                self.leaves("Point", &control.points);
                self.close(name);
            }
            Body::SyncBegin(begin) => {
                self.word("of", begin.of.as_str());
                self.uuid("syncId", begin.sync_id);
                self.raw("/>");
            }
            Body::SyncEnd(end) => {
                self.uuid("syncId", end.sync_id);
                self.counted("count", end.count.into());
                if let Some(sha256) = &end.sha256 {
                    let hex: String = sha256.iter().map(|byte| format!("{byte:02x}")).collect();
                    self.word("sha256", &hex);
                }
                self.raw("/>");
            }
        }
    }

    fn hello(&mut self, hello: &Hello) {
        self.word("node", hello.node.as_str());
        self.word("role", hello.role.as_str());
        self.uuid("epoch", hello.epoch);
        self.version("minV", hello.min_v);
        self.version("maxV", hello.max_v);
        self.optional_count("maxFrame", hello.max_frame.map(u64::from));
    }

    fn hello_content(&mut self, hello: &Hello, name: &str) {
        if hello.received.is_empty() && hello.caps.is_empty() {
            return self.raw("/>");
        }
        self.raw(">");
        self.positions(&hello.received);
        self.leaves("Cap", &hello.caps);
        self.close(name);
    }

    fn received(&mut self, received: &[Received], name: &str) {
        if received.is_empty() {
            return self.raw("/>");
        }
        self.raw(">");
        self.positions(received);
        self.close(name);
    }

    fn positions(&mut self, received: &[Received]) {
        for one in received {
            self.open("Received");
            self.word("stream", one.stream.as_str());
            self.counted("seq", one.seq);
            self.raw("/>");
        }
    }

    fn pass_event(&mut self, event: &PassEvent) {
        self.word("eventId", event.event_id.as_str());
        self.instant("occurredAt", event.occurred_at);
        self.word("clock", event.clock.as_str());
        if let Some(request) = event.request {
            self.uuid("request", request);
        }
        self.raw(">");
        self.leaf("Point", event.point.as_str());
        self.credential(event.credential.as_ref());
        if let Some(person) = &event.person {
            self.leaf("Person", person.as_str());
        }
        self.leaf("Direction", event.direction.as_str());
        self.open("Result");
        self.word("code", event.result.code.as_str());
        self.optional("reason", event.result.reason.as_ref().map(|reason| reason.as_str()));
        self.optional("by", event.result.by.map(Source::as_str));
        self.raw("/>");
        self.ext(&event.ext);
        self.close("PassEvent");
    }

    fn access_request(&mut self, request: &AccessRequest) {
        self.instant("occurredAt", request.occurred_at);
        self.counted("answerWithinMs", request.answer_within_ms.into());
        self.word("fallback", request.fallback.as_str());
        self.raw(">");
        self.leaf("Point", request.point.as_str());
        self.credential(Some(&request.credential));
        self.leaf("Direction", request.direction.as_str());
        self.ext(&request.ext);
        self.close("AccessRequest");
    }

    fn issue(&mut self, issue: &CredentialIssue) {
        self.word("key", issue.key.as_str());
        self.counted("rev", issue.rev);
        self.raw(">");
        self.credential(Some(&issue.credential));
        self.leaf("Person", issue.person.as_str());
        self.open("Valid");
        self.instant("from", issue.from);
        self.instant("until", issue.until);
        self.raw("/>");
        self.leaves("Level", &issue.levels);
        self.ext(&issue.ext);
        self.close("CredentialIssue");
    }

    fn revoke(&mut self, revoke: &CredentialRevoke) {
        self.word("key", revoke.key.as_str());
        self.counted("rev", revoke.rev);
        self.word("reason", revoke.reason.as_str());
        if let Some(at) = revoke.effective_at {
            self.instant("effectiveAt", at);
        }
        if revoke.credential.is_none() {
            return self.raw("/>");
        }
        self.raw(">");
        self.credential(revoke.credential.as_ref());
        self.close("CredentialRevoke");
    }

    fn credential(&mut self, credential: Option<&Credential>) {
        let Some(credential) = credential else { return };
        self.open("Credential");
        self.word("format", credential.format().as_str());
        self.raw(">");
        self.escaped(credential.reveal());
        self.close("Credential");
    }

    fn ext(&mut self, ext: &[Ext]) {
        for one in ext {
            self.open("Ext");
            self.word("name", one.name.as_str());
            self.raw(">");
            self.escaped(one.text.as_str());
            self.close("Ext");
        }
    }

    /// The rest of an element that holds at most one text.
    fn only_text(&mut self, name: &str, text: Option<&Text>, parent: &str) {
        let Some(text) = text else { return self.raw("/>") };
        self.raw(">");
        self.leaf(name, text.as_str());
        self.close(parent);
    }

    fn leaves(&mut self, name: &str, tokens: &[Token]) {
        for token in tokens {
            self.leaf(name, token.as_str());
        }
    }

    fn leaf(&mut self, name: &str, text: &str) {
        self.open(name);
        self.raw(">");
        self.escaped(text);
        self.close(name);
    }

    // ---- the smallest parts ----

    fn open(&mut self, name: &str) {
        self.raw("<");
        self.raw(name);
    }

    fn close(&mut self, name: &str) {
        self.raw("</");
        self.raw(name);
        self.raw(">");
    }

    /// An attribute; every value that acs-link has in one needs no escaping.
    fn word(&mut self, name: &str, value: &str) {
        self.begin(name);
        self.raw(value);
        self.raw("\"");
    }

    fn optional(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.word(name, value);
        }
    }

    fn counted(&mut self, name: &str, value: u64) {
        self.begin(name);
        self.number(value);
        self.raw("\"");
    }

    fn optional_count(&mut self, name: &str, value: Option<u64>) {
        if let Some(value) = value {
            self.counted(name, value);
        }
    }

    fn version(&mut self, name: &str, version: super::token::Version) {
        self.begin(name);
        self.raw("1.");
        self.number(version.minor().into());
        self.raw("\"");
    }

    fn uuid(&mut self, name: &str, uuid: Uuid) {
        self.begin(name);
        self.out.extend_from_slice(&uuid.to_ascii());
        self.raw("\"");
    }

    fn instant(&mut self, name: &str, at: Instant) {
        self.begin(name);
        at.write(self.out);
        self.raw("\"");
    }

    fn begin(&mut self, name: &str) {
        self.raw(" ");
        self.raw(name);
        self.raw("=\"");
    }

    fn number(&mut self, mut value: u64) {
        let mut digits = [0; 20];
        let mut at = digits.len();
        loop {
            at -= 1;
            digits[at] = b'0' + (value % 10) as u8;
            value /= 10;
            if value == 0 {
                break;
            }
        }
        self.out.extend_from_slice(&digits[at..]);
    }

    /// Text: `>` too, so that `]]>` never stands in one, and carriage returns, which a reader would take for line ends.
    fn escaped(&mut self, text: &str) {
        for byte in text.bytes() {
            match byte {
                b'&' => self.raw("&amp;"),
                b'<' => self.raw("&lt;"),
                b'>' => self.raw("&gt;"),
                b'\r' => self.raw("&#13;"),
                byte => self.out.push(byte),
            }
        }
    }

    fn raw(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }
}
