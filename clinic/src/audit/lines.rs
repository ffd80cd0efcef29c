//! The log as lines of JSON: exports that the verifier reads, and the file of one proof. What each member means stands
//! in `docs/audit.md`; members are never renamed.

use domain::SiteId;
use domain::audit::{Peaks, SignedHead};
use serde_json::{Map, Value, json};

use super::proof::Proof;
use super::read::{Note, Recorded};

/// The version of both forms.
const VERSION: u64 = 1;

/// The first line of an export: whose log, and whether it is the whole of it.
pub(super) fn first(site: &SiteId, whole: bool) -> String {
    json!({ "tapward_audit_export": VERSION, "site": site.as_str(), "whole": whole }).to_string()
}

/// The last line of an export: without it, the file was cut off.
pub(super) fn last(peaks: Option<&Peaks>, head: Option<&SignedHead>) -> String {
    let mut line = Map::new();
    line.insert("end".to_owned(), Value::Bool(true));
    if let Some(peaks) = peaks {
        line.insert("size".to_owned(), peaks.size().into());
        line.insert("root".to_owned(), peaks.root().to_string().into());
    }
    if let Some(head) = head {
        line.insert("head".to_owned(), head.to_string().into());
    }
    Value::Object(line).to_string()
}

/// One entry as one line.
pub fn line(recorded: &Recorded) -> String {
    Value::Object(object(recorded)).to_string()
}

/// One entry; absent values are left out.
fn object(recorded: &Recorded) -> Map<String, Value> {
    let entry = &recorded.entry;
    let mut object = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            object.insert(name.to_owned(), value);
        }
    };
    let text = |value: &Option<String>| value.clone().map(Value::from);
    put("no", Some(entry.no.into()));
    put("at_ms", Some(entry.at.0.into()));
    put("at", Some(entry.at.to_rfc3339().into()));
    put("actor_kind", Some(entry.actor_kind.clone().into()));
    put("actor", text(&entry.actor));
    put("session", text(&entry.session));
    put("address", text(&entry.address));
    put("action", Some(entry.action.clone().into()));
    put("outcome", Some(entry.outcome.clone().into()));
    put("subject", text(&entry.subject));
    put("object", text(&entry.object));
    put("fields", text(&entry.fields));
    put("purpose", text(&entry.purpose));
    put("detail", text(&entry.detail));
    if let Note::Kept { text, salt } = &recorded.note {
        put("note", Some(text.clone().into()));
        put("note_salt", Some(salt.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()));
    }
    put("note_hash", entry.note_hash.map(|hash| hash.to_string().into()));
    put("glass", text(&entry.glass));
    put("leaf", Some(recorded.leaf.to_string().into()));
    object
}

impl Proof {
    /// The file that `tapward-audit proof` checks.
    pub fn to_json(&self) -> String {
        let path: Vec<String> = self.inclusion.path.iter().map(ToString::to_string).collect();
        let mut file = json!({
            "tapward_audit_proof": VERSION,
            "entry": object(&self.recorded),
            "size": self.inclusion.size,
            "path": path,
            "root": self.root.to_string(),
        });
        if let (Some(head), Value::Object(file)) = (&self.head, &mut file) {
            file.insert("head".to_owned(), head.to_string().into());
        }
        format!("{file:#}\n")
    }
}
