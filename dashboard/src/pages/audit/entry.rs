//! One entry in the side panel: everything that is recorded of it, and what proves that it is.

use clinic::audit::{self, Note, Proof};

use super::{Names, tone, word};
use crate::fault::Fault;
use crate::visit::Visit;

/// One entry, everything that is recorded of it.
pub struct Whole {
    pub tone: &'static str,
    pub title: String,
    pub outcome: String,
    pub note: Option<String>,
    pub facts: Vec<Fact>,
    pub proved: String,
    pub is_proved: bool,
    pub path: Vec<String>,
    pub root: String,
    pub leaf: String,
    pub head: Option<String>,
    pub download: String,
}

/// One thing that is recorded.
pub struct Fact {
    pub name: String,
    pub value: String,
    pub is_code: bool,
    pub link: Option<String>,
}

/// Reads it with its proof; `None` if there is no such entry.
pub async fn whole(visit: &Visit, names: &mut Names<'_>, no: u64) -> Result<Option<Whole>, Fault> {
    let proof = audit::proof(&visit.app.database, &visit.acting()?, visit.app.now(), no).await?;
    let Some(proof) = proof else { return Ok(None) };
    let (texts, times) = (visit.texts(), visit.times());
    let entry = &proof.recorded.entry;
    let mut facts = Vec::new();
    let mut add = |key: &str, value: Option<String>, is_code: bool, link: Option<String>| {
        facts.extend(value.map(|value| Fact { name: texts.t(key), value, is_code, link }));
    };
    let filtered = |key: &str, value: &str| {
        let query = crate::pages::query::Query::default();
        Some(format!("/audit{}", query.with(key, Some(value))))
    };
    let link = |key: &str, value: &Option<String>| value.as_deref().and_then(|value| filtered(key, value));
    add("audit-number", Some(entry.no.to_string()), false, None);
    add("fact-at", Some(times.exact(entry.at)), false, None);
    let who = match (entry.actor_kind.as_str(), &entry.actor) {
        ("account", Some(id)) => filtered("who", id),
        ("api_key", Some(id)) => filtered("who", &format!("key:{id}")),
        ("staff" | "peer", Some(id)) => filtered("who", &format!("{}:{id}", entry.actor_kind)),
        (kind, _) => filtered("who", kind),
    };
    add("col-who", Some(names.actor(entry).await?), false, who);
    add("audit-address", entry.address.clone(), true, None);
    add("audit-session", entry.session.clone(), true, link("session", &entry.session));
    add("fact-person", entry.subject.clone(), true, link("subject", &entry.subject));
    if let (Some(person), true) =
        (&entry.subject, visit.rights().is_some_and(|rights| rights.allows(domain::Permission::PersonSee)))
    {
        add("audit-person-page", Some(texts.t("audit-person-open")), false, Some(format!("/people/{person}")));
    }
    if let Some(object) = &entry.object {
        add("audit-object", Some(names.object(entry, object).await?), false, link("object", &entry.object));
    }
    let fields = entry.fields.as_deref().map(|codes| {
        let words: Vec<String> = codes.split(',').map(|code| word(&texts, "field-", code)).collect();
        words.join(", ")
    });
    add("audit-fields", fields, false, None);
    add("audit-purpose", entry.purpose.as_deref().map(|code| word(&texts, "audit-purpose-", code)), false, None);
    add("fact-detail", entry.detail.clone(), false, None);
    add("audit-glass", entry.glass.clone(), true, link("glass", &entry.glass));
    let note = match &proof.recorded.note {
        Note::None => None,
        Note::Kept { text, .. } => Some(text.clone()),
        Note::Blotted => Some(texts.t("audit-note-blotted")),
    };
    Ok(Some(Whole {
        tone: tone(entry),
        title: word(&texts, "action-", &entry.action),
        outcome: word(&texts, "outcome-", &entry.outcome),
        note,
        facts,
        is_proved: holds(&proof),
        proved: words_of(visit, &proof),
        path: proof.inclusion.path.iter().map(ToString::to_string).collect(),
        root: proof.root.to_string(),
        leaf: entry.leaf().to_string(),
        head: proof.head.as_ref().map(ToString::to_string),
        download: format!("/audit/proof?no={no}"),
    }))
}

/// Whether the entry as it is shown leads to the signed root. The page works it out from the content, not from the
/// stored hash.
fn holds(proof: &Proof) -> bool {
    let leaf = proof.recorded.entry.leaf();
    leaf == proof.recorded.leaf && proof.inclusion.holds(leaf, proof.root)
}

fn words_of(visit: &Visit, proof: &Proof) -> String {
    let (texts, times) = (visit.texts(), visit.times());
    match &proof.head {
        _ if !holds(proof) => texts.t("audit-proof-broken"),
        None => texts.t("audit-proof-unsigned"),
        Some(head) => texts.a("audit-proof-signed", &times.full(head.head.at)),
    }
}
