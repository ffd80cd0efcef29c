//! An entry as JSON, in exports and proofs: read strictly, so that nothing stands in a file that its hash does not cover.

use domain::UtcMillis;
use domain::audit::{Entry, TreeHash};
use serde_json::{Map, Value};

use crate::checker::Stored;

/// Reads an entry. A member that is not known, or says something else than the hashed ones, makes it unreadable.
pub fn stored(mut object: Map<String, Value>) -> Result<Stored, String> {
    let no = object.remove("no").and_then(|no| no.as_i64()).ok_or("it has no number")?;
    let leaf = object.remove("leaf").and_then(|leaf| leaf.as_str()?.parse().ok());
    let note = text(&mut object, "note");
    let salt = text(&mut object, "note_salt").and_then(|salt| match salt {
        Some(salt) => salt.parse::<TreeHash>().map(|salt| Some(salt.0.to_vec())).map_err(|_| wrong("note_salt")),
        None => Ok(None),
    });
    let entry = entry(no, object).and_then(|entry| match (&note, &salt) {
        (Err(problem), _) | (_, Err(problem)) => Err(problem.clone()),
        (Ok(_), Ok(_)) => Ok(entry),
    });
    Ok(Stored { no, entry, note: note.ok().flatten(), salt: salt.ok().flatten(), leaf })
}

fn entry(no: i64, mut object: Map<String, Value>) -> Result<Entry, String> {
    let at_ms = object.remove("at_ms").and_then(|at| at.as_i64()).ok_or_else(|| wrong("at_ms"))?;
    let at = UtcMillis(at_ms);
    if text(&mut object, "at")?.is_some_and(|shown| shown != at.to_rfc3339()) {
        return Err("its members at and at_ms tell different times".to_owned());
    }
    let mut must = |name| text(&mut object, name)?.ok_or_else(|| wrong(name));
    let (actor_kind, action, outcome) = (must("actor_kind")?, must("action")?, must("outcome")?);
    let note_hash = match text(&mut object, "note_hash")? {
        Some(hash) => Some(hash.parse().map_err(|_| wrong("note_hash"))?),
        None => None,
    };
    let mut may = |name| text(&mut object, name);
    let entry = Entry {
        no: no.cast_unsigned(),
        at,
        actor_kind,
        actor: may("actor")?,
        session: may("session")?,
        address: may("address")?,
        action,
        outcome,
        subject: may("subject")?,
        object: may("object")?,
        fields: may("fields")?,
        purpose: may("purpose")?,
        detail: may("detail")?,
        note_hash,
        glass: may("glass")?,
    };
    match object.keys().next() {
        Some(stranger) => Err(format!("its member {stranger:?} belongs to no entry")),
        None => Ok(entry),
    }
}

fn text(object: &mut Map<String, Value>, name: &'static str) -> Result<Option<String>, String> {
    match object.remove(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(wrong(name)),
    }
}

fn wrong(name: &str) -> String {
    format!("its member {name} cannot be read")
}
