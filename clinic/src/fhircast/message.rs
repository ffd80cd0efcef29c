//! One event as it travels: read from a program that publishes it, kept, and written for those who are told. Pure.

use std::fmt;

use chrono::NaiveDateTime;
use domain::UtcMillis;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::names::{Anchor, EventName};

/// Longest message, in bytes, in either direction; a chart's context is under 4 KiB.
pub const MESSAGE_MAX_BYTES: usize = 64 * 1024;
/// Longest id of a message, in bytes.
pub const ID_MAX_BYTES: usize = 128;
/// Most entries of one context.
const CONTEXT_MAX: usize = 20;
/// Longest id of a resource (FHIR R4 says 64), in bytes.
const RESOURCE_ID_MAX_BYTES: usize = 128;

/// One event. It names no topic: that is added for the one who is told.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// What acknowledgements name.
    pub id: String,
    /// When it happened, in milliseconds; 0 if the sender did not say.
    happened_ms: i64,
    #[serde(with = "name")]
    event: EventName,
    /// Resources, each with its key. Whatever programs put there.
    context: Vec<Value>,
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Message({}, {}, redacted)", self.id, self.event)
    }
}

/// What a program sent.
pub struct Published {
    /// The event.
    pub message: Message,
    /// The topic that it named, if any: a secret.
    pub topic: Option<String>,
}

impl fmt::Debug for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.message.fmt(f)
    }
}

impl Message {
    /// An event of our own.
    pub fn new(id: String, happened: UtcMillis, event: EventName, context: Vec<Value>) -> Self {
        Self { id, happened_ms: happened.0, event, context }
    }

    /// Which event.
    pub const fn event(&self) -> &EventName {
        &self.event
    }

    /// When it happened.
    pub const fn happened(&self) -> UtcMillis {
        UtcMillis(self.happened_ms)
    }

    /// The same event at another time: for senders that did not say when, or whose clock is ahead of ours.
    pub fn at(self, happened: UtcMillis) -> Self {
        Self { happened_ms: happened.0, ..self }
    }

    /// The resources.
    pub fn context(&self) -> &[Value] {
        &self.context
    }

    /// The id of the resource that the event is about.
    pub fn subject_id(&self) -> Option<&str> {
        self.event.anchor().and_then(|anchor| self.resource_id(anchor))
    }

    /// The id of a resource of its context.
    pub fn resource_id(&self, anchor: Anchor) -> Option<&str> {
        self.entry(anchor.key())?.get("resource")?.get("id")?.as_str()
    }

    fn entry(&self, key: &str) -> Option<&Value> {
        self.context.iter().find(|entry| entry.get("key").and_then(Value::as_str) == Some(key))
    }

    /// For those who follow this topic.
    pub fn to_wire(&self, topic: &str) -> String {
        let context = Value::Array(self.context.clone());
        let event = json!({ "hub.topic": topic, "hub.event": self.event.to_string(), "context": context });
        json!({ "timestamp": self.happened().to_rfc3339(), "id": self.id, "event": event }).to_string()
    }

    /// Reads what a program published.
    ///
    /// # Errors
    /// What is wrong, where, and what to do; never what it held.
    pub fn parse(bytes: &[u8]) -> Result<Published, String> {
        if bytes.len() > MESSAGE_MAX_BYTES {
            return Err(format!("the message has {} bytes; at most {MESSAGE_MAX_BYTES} are taken", bytes.len()));
        }
        let value: Value = serde_json::from_slice(bytes).map_err(|error| {
            format!("this is no JSON: line {}, column {}; send one whole object", error.line(), error.column())
        })?;
        let object = value.as_object().ok_or("the message must be a JSON object with timestamp, id and event")?;
        let id = object.get("id").and_then(text_of).ok_or("id is missing: give each event an id of its own")?;
        if id.is_empty() || id.len() > ID_MAX_BYTES || id.chars().any(char::is_control) {
            return Err(format!("id must be a text of 1 to {ID_MAX_BYTES} bytes"));
        }
        let happened = match object.get("timestamp") {
            None | Some(Value::Null) => UtcMillis(0),
            Some(stated) => stated
                .as_str()
                .and_then(instant)
                .ok_or("timestamp must be an instant such as 2026-01-05T06:00:11.120Z; without a zone it is UTC")?,
        };
        let event = object.get("event").and_then(Value::as_object).ok_or("event is missing or is no object")?;
        let given = field(event, "hub.event").and_then(Value::as_str).ok_or("event[\"hub.event\"] is missing")?;
        let name = EventName::parse(given).ok_or_else(|| {
            format!("event[\"hub.event\"] is no event of this hub; it knows {}", EventName::SUPPORTED.join(", "))
        })?;
        let topic = field(event, "hub.topic").and_then(Value::as_str).map(str::to_owned);
        let context = match event.get("context") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(entries)) if entries.len() <= CONTEXT_MAX => {
                entries.iter().map(entry).collect::<Result<_, _>>()?
            }
            Some(Value::Array(_)) => return Err(format!("event.context has more than {CONTEXT_MAX} entries")),
            Some(_) => return Err("event.context must be an array".to_owned()),
        };
        let message = Self { id, happened_ms: happened.0, event: name, context };
        message.check()?;
        Ok(Published { message, topic })
    }

    /// Whether an open or close names what it is about, and one patient only.
    fn check(&self) -> Result<(), String> {
        let Some(anchor) = self.event.anchor().filter(|anchor| *anchor != Anchor::Home) else { return Ok(()) };
        let key = anchor.key();
        let resource = self.entry(key).and_then(|entry| entry.get("resource"));
        let resource =
            resource.ok_or_else(|| format!("event.context has no entry with the key {key:?} and a resource"))?;
        if resource.get("resourceType").and_then(Value::as_str) != Some(anchor.as_str()) {
            return Err(format!("the resource of the entry {key:?} must have the resourceType {anchor}"));
        }
        match resource.get("id").and_then(Value::as_str) {
            Some(id) if !id.is_empty() && id.len() <= RESOURCE_ID_MAX_BYTES => {}
            _ => return Err(format!("the resource of the entry {key:?} must have an id")),
        }
        let patient = self.resource_id(Anchor::Patient);
        let subject = resource.get("subject").and_then(|subject| subject.get("reference")).and_then(Value::as_str);
        if let (Some(patient), Some(subject)) = (patient, subject)
            && subject.rsplit('/').next() != Some(patient)
        {
            return Err(format!("the subject of the {anchor} is not the patient of the same event"));
        }
        Ok(())
    }
}

/// A text, or a number written as one: ids come as both.
fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A field without regard to case.
fn field<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    object.get(name).or_else(|| object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value))
}

/// An entry of a context with its key in lower case.
fn entry(value: &Value) -> Result<Value, String> {
    let mut entry = value.as_object().cloned().ok_or("an entry of event.context is no object")?;
    let key = entry.get("key").and_then(Value::as_str).ok_or("an entry of event.context has no key")?;
    let key = key.to_lowercase();
    entry.insert("key".to_owned(), Value::String(key));
    Ok(Value::Object(entry))
}

/// An instant; without a zone it is UTC.
pub fn instant(text: &str) -> Option<UtcMillis> {
    UtcMillis::from_rfc3339(text).or_else(|| {
        let local = NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").ok()?;
        Some(UtcMillis(local.and_utc().timestamp_millis()))
    })
}

/// The name of an event as its text.
mod name {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use super::EventName;

    pub(super) fn serialize<S: Serializer>(name: &EventName, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(name)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<EventName, D::Error> {
        let text = String::deserialize(deserializer)?;
        EventName::parse(&text).ok_or_else(|| D::Error::custom("an unknown event"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn patient(id: &str) -> Value {
        json!({ "key": "Patient", "resource": { "resourceType": "Patient", "id": id } })
    }

    fn event(name: &str, context: Value) -> String {
        json!({ "timestamp": "2026-01-05T06:00:11.120", "id": "7", "event": { "Hub.Topic": "t", "hub.event": name, "context": context } })
            .to_string()
    }

    #[test]
    fn what_a_program_publishes_is_read_as_it_is_written() {
        let read = Message::parse(event("patient-OPEN", json!([patient("p-17")])).as_bytes()).unwrap();
        assert_eq!(read.topic.as_deref(), Some("t"));
        assert_eq!(read.message.event(), &EventName::Open(Anchor::Patient));
        assert_eq!(read.message.happened().to_rfc3339(), "2026-01-05T06:00:11.120Z");
        assert_eq!(read.message.subject_id(), Some("p-17"));
        let wire = read.message.to_wire("other");
        let again = Message::parse(wire.as_bytes()).unwrap();
        assert_eq!(again.message, read.message);
        assert_eq!(again.topic.as_deref(), Some("other"));
        assert!(!format!("{:?}", again).contains("p-17"));
    }

    #[test]
    fn a_message_that_cannot_be_followed_says_what_is_wrong() {
        let encounter = json!({ "key": "encounter", "resource":
            { "resourceType": "Encounter", "id": "v", "subject": { "reference": "Patient/other" } } });
        for (text, says) in [
            ("{\"id\":\"1\"".to_owned(), "no JSON: line 1"),
            ("[]".to_owned(), "must be a JSON object"),
            ("{}".to_owned(), "id is missing"),
            (json!({ "id": "1" }).to_string(), "event is missing"),
            (json!({ "id": "1", "timestamp": 5, "event": {} }).to_string(), "timestamp must be"),
            (event("Patient-merge", json!([])), "no event of this hub"),
            (event("Patient-open", json!([])), "no entry with the key \"patient\""),
            (
                event("Patient-open", json!([{ "key": "patient", "resource": { "resourceType": "Patient" } }])),
                "must have an id",
            ),
            (event("Patient-open", json!([{ "resource": {} }])), "has no key"),
            (event("Patient-open", json!({})), "must be an array"),
            (event("Encounter-open", json!([encounter, patient("p-17")])), "is not the patient"),
            (event("Patient-open", json!(vec![patient("p"); 21])), "more than 20"),
            ("x".repeat(MESSAGE_MAX_BYTES + 1), "at most"),
        ] {
            let error = Message::parse(text.as_bytes()).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_the_reader_panic(bytes: Vec<u8>, text in "\\PC*") {
            let _ = Message::parse(&bytes);
            let _ = Message::parse(event("Patient-open", Value::String(text.clone())).as_bytes());
            let _ = (instant(&text), EventName::parse(&text));
        }
    }
}
