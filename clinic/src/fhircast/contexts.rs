//! What is open at one topic, and which events change it. Pure.
//!
//! The rule that keeps two quick taps apart: an event older than the one that changed the context last is not followed.

use domain::UtcMillis;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::message::Message;
use super::names::{Anchor, EventName};

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// It is told to all.
    Taken,
    /// It is older than what is open now.
    Older,
    /// It closes what is not open.
    NotOpen,
}

/// What is open, in the order of opening.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contexts(Vec<Message>);

impl Contexts {
    /// What is open, in the order of opening: what somebody who comes later is told.
    pub fn open(&self) -> &[Message] {
        &self.0
    }

    /// Whether nothing is open.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Follows an event; `latest` is the time of the last change and is moved on.
    pub fn apply(&mut self, message: &Message, latest: &mut UtcMillis) -> Applied {
        let happened = message.happened();
        match message.event() {
            EventName::Open(anchor) => {
                if happened < *latest {
                    return Applied::Older;
                }
                self.open_one(*anchor, message);
            }
            EventName::Close(anchor) => {
                let same = |open: &Message| {
                    open.event() == &EventName::Open(*anchor) && open.subject_id() == message.subject_id()
                };
                let Some(at) = self.0.iter().position(same) else { return Applied::NotOpen };
                self.0.remove(at);
            }
            EventName::UserLogout => self.0.clear(),
            EventName::UserHibernate | EventName::SyncError | EventName::Own(_) => return Applied::Taken,
        }
        *latest = (*latest).max(happened);
        Applied::Taken
    }

    fn open_one(&mut self, anchor: Anchor, message: &Message) {
        let patient = message.resource_id(Anchor::Patient).map(str::to_owned);
        self.0.retain(|open| {
            let is_replaced = open.event() == message.event() || open.event() == &EventName::Open(Anchor::Home);
            // A visit or report of another patient must not stand beside this one.
            let other = match (&patient, open.resource_id(Anchor::Patient)) {
                (Some(patient), Some(other)) => patient != other,
                _ => false,
            };
            !is_replaced && !other
        });
        if anchor == Anchor::Home {
            self.0.clear();
        }
        self.0.push(message.clone());
    }

    /// The answer to somebody who asks what is open.
    pub fn answer(&self) -> Value {
        match self.0.last() {
            Some(last) if last.event() != &EventName::Open(Anchor::Home) => json!({
                "context.type": last.event().anchor().map_or("", Anchor::as_str),
                "context.versionId": last.id,
                "context": last.context(),
            }),
            other => json!({
                "context.type": "",
                "context.versionId": other.map_or("", |last| last.id.as_str()),
                "context": [],
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patient(id: &str) -> Value {
        json!({ "key": "patient", "resource": { "resourceType": "Patient", "id": id } })
    }

    fn encounter(id: &str) -> Value {
        json!({ "key": "encounter", "resource": { "resourceType": "Encounter", "id": id } })
    }

    fn message(name: &str, at: i64, context: Vec<Value>) -> Message {
        Message::new(format!("{name}-{at}"), UtcMillis(at), EventName::parse(name).unwrap(), context)
    }

    fn names(contexts: &Contexts) -> Vec<&str> {
        contexts.open().iter().map(|open| open.id.as_str()).collect()
    }

    #[test]
    fn the_later_patient_wins_whatever_comes_last() {
        let (mut contexts, mut latest) = (Contexts::default(), UtcMillis(0));
        let later = message("Patient-open", 200, vec![patient("b")]);
        let earlier = message("Patient-open", 100, vec![patient("a")]);
        assert_eq!(contexts.apply(&later, &mut latest), Applied::Taken);
        assert_eq!(contexts.apply(&earlier, &mut latest), Applied::Older);
        assert_eq!(contexts.open(), [later]);
    }

    #[test]
    fn a_visit_of_another_patient_does_not_stay_beside_the_new_one() {
        let (mut contexts, mut latest) = (Contexts::default(), UtcMillis(0));
        for open in [
            message("Patient-open", 100, vec![patient("a")]),
            message("Encounter-open", 100, vec![encounter("v"), patient("a")]),
            message("Patient-open", 150, vec![patient("b")]),
        ] {
            assert_eq!(contexts.apply(&open, &mut latest), Applied::Taken);
        }
        assert_eq!(names(&contexts), ["Patient-open-150"]);
    }

    #[test]
    fn closing_takes_away_what_it_names_and_nothing_else() {
        let (mut contexts, mut latest) = (Contexts::default(), UtcMillis(0));
        contexts.apply(&message("Patient-open", 100, vec![patient("a")]), &mut latest);
        contexts.apply(&message("Encounter-open", 100, vec![encounter("v"), patient("a")]), &mut latest);
        let answer = contexts.answer();
        assert_eq!(
            (answer["context.type"].as_str(), answer["context"][1]["resource"]["id"].as_str()),
            (Some("Encounter"), Some("a"))
        );
        assert_eq!(contexts.apply(&message("Patient-close", 120, vec![patient("b")]), &mut latest), Applied::NotOpen);
        assert_eq!(contexts.apply(&message("Encounter-close", 120, vec![encounter("v")]), &mut latest), Applied::Taken);
        assert_eq!(contexts.answer()["context.type"], "Patient");
        assert_eq!(contexts.apply(&message("Patient-close", 121, vec![patient("a")]), &mut latest), Applied::Taken);
        assert_eq!(contexts.answer(), json!({ "context.type": "", "context.versionId": "", "context": [] }));
        assert_eq!(latest, UtcMillis(121));
    }

    #[test]
    fn the_first_page_of_a_program_leaves_nothing_open() {
        let (mut contexts, mut latest) = (Contexts::default(), UtcMillis(0));
        contexts.apply(&message("Patient-open", 100, vec![patient("a")]), &mut latest);
        contexts.apply(&message("Home-open", 110, vec![]), &mut latest);
        assert_eq!((names(&contexts), contexts.answer()["context.type"].as_str()), (vec!["Home-open-110"], Some("")));
        contexts.apply(&message("Patient-open", 120, vec![patient("a")]), &mut latest);
        assert_eq!(names(&contexts), ["Patient-open-120"]);
        contexts.apply(&message("UserLogout", 130, vec![]), &mut latest);
        assert!(contexts.is_empty());
    }
}
