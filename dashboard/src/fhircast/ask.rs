//! What a program asks of the hub, in all the spellings that programs use: a form or JSON, `hub.lease` for
//! `hub.lease_seconds`, fields in any case. Pure.

use clinic::fhircast::{EventList, Message, Published};
use serde_json::Value;

/// Most fields of a form that are looked at.
const FIELDS_MAX: usize = 40;

/// What is asked.
#[derive(Debug)]
pub enum Asked {
    /// To be told.
    Subscribe(Fields),
    /// To be told no more.
    Unsubscribe(Fields),
    /// To tell others.
    Publish(Box<Published>),
}

/// The fields of a subscription.
#[derive(Default)]
pub struct Fields {
    /// The topic.
    pub topic: Option<String>,
    /// The events.
    pub events: EventList,
    /// For how long, in seconds.
    pub lease_s: Option<i64>,
    /// What the program calls itself.
    pub name: Option<String>,
    /// The address of a socket that it has.
    pub endpoint: Option<String>,
}

impl std::fmt::Debug for Fields {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Fields({}, redacted)", self.events)
    }
}

impl Asked {
    /// Reads a body. What it is, its first character says: real programs send JSON under the name of a form.
    ///
    /// # Errors
    /// What is wrong and what to do.
    pub fn read(body: &[u8]) -> Result<Self, String> {
        let first = body.iter().copied().find(|byte| !byte.is_ascii_whitespace());
        if first == Some(b'{') {
            let is_event = match serde_json::from_slice::<Value>(body) {
                Ok(value) => value.get("event").is_some() || value.get("hub.mode").is_none(),
                Err(_) => true,
            };
            if is_event {
                return Message::parse(body).map(|published| Self::Publish(Box::new(published)));
            }
            let value: Value = serde_json::from_slice(body).map_err(|_| "this is no JSON".to_owned())?;
            let fields = value.as_object().into_iter().flatten().take(FIELDS_MAX);
            return Self::of(fields.filter_map(|(name, value)| Some((name.clone(), text_of(value)?))).collect());
        }
        let text = std::str::from_utf8(body).map_err(|_| "the form is not UTF-8".to_owned())?;
        Self::of(
            url::form_urlencoded::parse(text.trim().as_bytes())
                .take(FIELDS_MAX)
                .map(|(a, b)| (a.into_owned(), b.into_owned()))
                .collect(),
        )
    }

    fn of(fields: Vec<(String, String)>) -> Result<Self, String> {
        let find = |names: &[&str]| {
            let found = fields.iter().find(|(name, _)| names.iter().any(|known| known.eq_ignore_ascii_case(name)));
            found.map(|(_, value)| value.trim().to_owned()).filter(|value| !value.is_empty())
        };
        let mode = find(&["hub.mode"]).ok_or("hub.mode is missing: write subscribe or unsubscribe")?;
        let is_socket = find(&["hub.channel.type"])
            .map_or(find(&["hub.callback"]).is_none(), |kind| kind.eq_ignore_ascii_case("websocket"));
        if !is_socket {
            return Err("hub.channel.type must be websocket: this hub calls no program back".to_owned());
        }
        let read = Fields {
            topic: find(&["hub.topic"]),
            events: find(&["hub.events"]).map(|list| EventList::parse(&list)).unwrap_or_default(),
            lease_s: find(&["hub.lease_seconds", "hub.lease"]).and_then(|text| text.parse().ok()),
            name: find(&["subscriber.name", "hub.subscriber.name"]),
            endpoint: find(&["hub.channel.endpoint", "endpoint", "hub.endpoint"]),
        };
        match mode.to_ascii_lowercase().as_str() {
            "subscribe" => Ok(Self::Subscribe(read)),
            "unsubscribe" => Ok(Self::Unsubscribe(read)),
            _ => Err("hub.mode must be subscribe or unsubscribe".to_owned()),
        }
    }
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Array(list) => Some(list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscription_is_read_in_every_spelling() {
        for body in [
            "hub.channel.type=websocket&hub.mode=subscribe&hub.topic=t-1&hub.events=patient-open%2CUserLogout&hub.lease_seconds=60&subscriber.name=MIS",
            "HUB.MODE=Subscribe&hub.topic=t-1&hub.events=Patient-open,userlogout&hub.lease=60&subscriber.name=MIS",
            r#"{"hub.channel.type":"websocket","hub.mode":"subscribe","hub.topic":"t-1","hub.events":["Patient-open","UserLogout"],"hub.lease":60,"subscriber.name":"MIS"}"#,
            "\n hub.mode=subscribe&hub.topic=t-1&hub.events=Patient-open+UserLogout&hub.lease_seconds=60&subscriber.name=MIS&hub.mode=unsubscribe",
        ] {
            let Ok(Asked::Subscribe(fields)) = Asked::read(body.as_bytes()) else { panic!("{body}") };
            assert_eq!(fields.topic.as_deref(), Some("t-1"), "{body}");
            assert_eq!(fields.events.to_string(), "Patient-open,UserLogout", "{body}");
            assert_eq!((fields.lease_s, fields.name.as_deref()), (Some(60), Some("MIS")), "{body}");
        }
        let body = "hub.channel.type=websocket&hub.mode=unsubscribe&hub.topic=t&endpoint=wss%3A%2F%2Fh%2Fx%0A";
        let Ok(Asked::Unsubscribe(fields)) = Asked::read(body.as_bytes()) else { panic!("{body}") };
        assert_eq!(fields.endpoint.as_deref(), Some("wss://h/x"));
        assert!(!format!("{fields:?}").contains("wss"));
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        for (body, says) in [
            ("", "hub.mode is missing"),
            ("hub.mode=dance", "must be subscribe"),
            ("hub.mode=subscribe&hub.channel.type=webhook", "must be websocket"),
            ("hub.mode=subscribe&hub.callback=http://x", "must be websocket"),
            ("{", "no JSON"),
            ("{}", "id is missing"),
            ("\u{fffd}=&%%%", "hub.mode is missing"),
        ] {
            let error = Asked::read(body.as_bytes()).unwrap_err();
            assert!(error.contains(says), "{body}: {error}");
        }
        assert!(Asked::read(&[0xff, 0xfe]).is_err());
    }
}
