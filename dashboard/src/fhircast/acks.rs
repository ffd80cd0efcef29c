//! What a subscriber has been sent and has not acknowledged yet, and what its acknowledgements mean. Real ones come with a
//! status as text, as number or without one, and not at all. Pure: the instant is a parameter.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

/// Most events that wait for an acknowledgement; the oldest is then taken as not answered.
const WAITING_MAX: usize = 64;

/// An event that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// What a subscriber said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// It followed, or will.
    Followed,
    /// It refused, or could not for a reason of its own (4xx).
    Refused(Sent),
    /// It failed (5xx, or a status that is none).
    Failed(Sent),
    /// Nothing that concerns an event: it is passed over.
    Nothing,
}

/// See the module.
#[derive(Debug)]
pub struct Acks {
    within: Duration,
    waiting: VecDeque<(Sent, Instant)>,
}

impl Acks {
    /// Acknowledgements are wanted within this time.
    pub const fn new(within: Duration) -> Self {
        Self { within, waiting: VecDeque::new() }
    }

    /// An event was sent.
    pub fn expect(&mut self, id: &str, name: String, now: Instant) {
        self.waiting.push_back((Sent { id: id.to_owned(), name }, now + self.within));
    }

    /// When the next one is overdue.
    pub fn deadline(&self) -> Option<Instant> {
        self.waiting.front().map(|(_, until)| *until)
    }

    /// The event that was not acknowledged in time, if there is one.
    pub fn overdue(&mut self, now: Instant) -> Option<Sent> {
        let is_late = self.waiting.front().is_some_and(|(_, until)| *until <= now) || self.waiting.len() > WAITING_MAX;
        if is_late { self.waiting.pop_front().map(|(sent, _)| sent) } else { None }
    }

    /// Reads what came on the socket.
    pub fn heard(&mut self, text: &str) -> Heard {
        let Ok(Value::Object(said)) = serde_json::from_str::<Value>(text) else { return Heard::Nothing };
        if let Some(event) = said.get("event").and_then(Value::as_object) {
            let name = event.get("hub.event").and_then(Value::as_str).unwrap_or_default();
            return if name.eq_ignore_ascii_case("syncerror") {
                self.refusal(event.get("context"))
            } else {
                Heard::Nothing
            };
        }
        let id = match said.get("id") {
            Some(Value::String(id)) => Some(id.clone()),
            Some(Value::Number(id)) => Some(id.to_string()),
            _ => None,
        };
        let status = said.get("status");
        let at = match (&id, status) {
            (Some(id), _) => self.waiting.iter().position(|(sent, _)| sent.id == *id),
            // Without an id it can only mean the oldest.
            (None, Some(_)) if !self.waiting.is_empty() => Some(0),
            (None, _) => None,
        };
        let Some((sent, _)) = at.and_then(|at| self.waiting.remove(at)) else { return Heard::Nothing };
        match status.map_or(Some(200), code) {
            Some(200..=299) => Heard::Followed,
            Some(400..=499) => Heard::Refused(sent),
            _ => Heard::Failed(sent),
        }
    }

    /// An error that came by the socket instead of by a request.
    fn refusal(&mut self, context: Option<&Value>) -> Heard {
        let issues = context.and_then(Value::as_array).into_iter().flatten();
        let codings = issues
            .filter_map(|entry| entry.get("resource")?.get("issue")?.as_array())
            .flatten()
            .filter_map(|issue| issue.get("details")?.get("coding")?.as_array())
            .flatten();
        for coding in codings {
            let is_id = coding.get("system").and_then(Value::as_str).is_some_and(|system| system.ends_with("/eventid"));
            if let (true, Some(id)) = (is_id, coding.get("code").and_then(Value::as_str)) {
                self.waiting.retain(|(sent, _)| sent.id != id);
                return Heard::Refused(Sent { id: id.chars().take(128).collect(), name: String::new() });
            }
        }
        Heard::Nothing
    }
}

/// A status as a number: `200`, `"200"`, `"200 OK"`, `"OK"`.
fn code(status: &Value) -> Option<u16> {
    match status {
        Value::Null => Some(200),
        Value::Number(number) => number.as_u64().and_then(|number| u16::try_from(number).ok()),
        Value::String(text) => {
            let text = text.trim();
            let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
            match digits.parse() {
                Ok(code) => Some(code),
                Err(_)
                    if text.is_empty() || text.eq_ignore_ascii_case("ok") || text.eq_ignore_ascii_case("accepted") =>
                {
                    Some(200)
                }
                Err(_) => None,
            }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acks(now: Instant, ids: &[&str]) -> Acks {
        let mut acks = Acks::new(Duration::from_secs(10));
        for id in ids {
            acks.expect(id, "Patient-open".to_owned(), now);
        }
        acks
    }

    fn sent(id: &str) -> Sent {
        Sent { id: id.to_owned(), name: "Patient-open".to_owned() }
    }

    #[tokio::test]
    async fn every_spelling_of_an_acknowledgement_is_understood() {
        let now = Instant::now();
        for followed in [
            r#"{"id":"1","status":"200"}"#,
            r#"{"id":"1","status":202}"#,
            r#"{"id":"1","status":"200 OK"}"#,
            r#"{"id":"1","status":"OK"}"#,
            r#"{"id":"1","timestamp":"2026-01-05T06:00:11Z"}"#,
            r#"{"id":"1","status":null}"#,
            r#"{"status":"202"}"#,
        ] {
            let mut acks = acks(now, &["1"]);
            assert_eq!(acks.heard(followed), Heard::Followed, "{followed}");
            assert_eq!(acks.overdue(now + Duration::from_secs(60)), None, "{followed}");
        }
        for (text, heard) in [
            (r#"{"id":"1","status":"409"}"#, Heard::Refused(sent("1"))),
            (r#"{"id":"1","status":404}"#, Heard::Refused(sent("1"))),
            (r#"{"id":"1","status":500}"#, Heard::Failed(sent("1"))),
            (r#"{"id":"1","status":"what"}"#, Heard::Failed(sent("1"))),
            (r#"{"id":"1","status":-1}"#, Heard::Failed(sent("1"))),
        ] {
            assert_eq!(acks(now, &["1", "2"]).heard(text), heard, "{text}");
        }
    }

    #[tokio::test]
    async fn what_is_no_acknowledgement_changes_nothing() {
        let now = Instant::now();
        let mut acks = acks(now, &["1"]);
        for text in [
            "",
            "{",
            "5",
            "[]",
            "{}",
            "null",
            r#"{"hub.mode":"x"}"#,
            r#"{"id":"2","status":"500"}"#,
            r#"{"event":{"hub.event":"heartbeat"}}"#,
        ] {
            assert_eq!(acks.heard(text), Heard::Nothing, "{text}");
        }
        assert_eq!(acks.overdue(now + Duration::from_secs(9)), None);
        assert_eq!(acks.overdue(now + Duration::from_secs(10)), Some(sent("1")));
        assert_eq!(acks.deadline(), None);
    }

    #[tokio::test]
    async fn an_error_that_comes_by_the_socket_is_a_refusal() {
        let now = Instant::now();
        let text = r#"{"id":"9","event":{"hub.event":"syncerror","context":[{"key":"operationoutcome","resource":{"issue":[
            {"details":{"coding":[{"system":"https://fhircast.hl7.org/events/syncerror/eventid","code":"1"}]}}]}}]}}"#;
        let mut acks = acks(now, &["1", "2"]);
        assert!(matches!(acks.heard(text), Heard::Refused(sent) if sent.id == "1"));
        assert_eq!(acks.heard(r#"{"id":"1","status":"200"}"#), Heard::Nothing);
    }

    #[tokio::test]
    async fn more_than_so_many_do_not_wait() {
        let now = Instant::now();
        let ids: Vec<String> = (0..=WAITING_MAX).map(|n| n.to_string()).collect();
        let mut acks = acks(now, &ids.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(acks.overdue(now), Some(sent("0")));
        assert_eq!(acks.overdue(now), None);
    }
}
