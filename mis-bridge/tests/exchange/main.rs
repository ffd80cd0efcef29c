//! What other systems are told: in order for each patient, once, whatever the system does and however often the program is
//! killed; to peers that we did not write, and to one that lies.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests and what they share")]

mod charge;
mod crash;
mod engine;
mod fhir;
mod http;
mod liar;
mod load;
mod medplum;
mod reconcile;
mod webhook;
mod world;

/// Whoever joins a system finds each code in the documents.
#[test]
fn the_documents_name_each_kind_of_change_and_each_fault() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/exchange.md");
    let text = std::fs::read_to_string(path).unwrap();
    let kinds = clinic::changes::ChangeKind::ALL.iter().map(|kind| kind.as_str());
    let faults = clinic::outbox::FaultCode::ALL.iter().map(|code| code.as_str());
    let missing: Vec<&str> = kinds.chain(faults).filter(|code| !text.contains(&format!("`{code}`"))).collect();
    assert_eq!(missing, Vec::<&str>::new());
}
