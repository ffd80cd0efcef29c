//! What we write is what we read, and what the schema and libxml2 accept: every document that a test here writes is
//! handed to `xmllint`, many in one process.

use std::fs;
use std::path::Path;
use std::process::Command;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use wire::acs_link::*;

use crate::any_message::any_message;
use crate::samples;

const SCHEMA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/protocol/acs-link.xsd");

/// Which of the documents `xmllint` accepts by the schema.
pub fn accepted_by_xmllint(documents: &[Vec<u8>]) -> Vec<bool> {
    let folder = tempfile::tempdir().unwrap();
    let name = |place: usize| format!("{place}.xml");
    for (place, document) in documents.iter().enumerate() {
        fs::write(folder.path().join(name(place)), document).unwrap();
    }
    let names: Vec<String> = (0..documents.len()).map(name).collect();
    let said = xmllint(folder.path(), &names);
    names.iter().map(|name| said.lines().any(|line| line == format!("{name} validates"))).collect()
}

fn xmllint(folder: &Path, names: &[String]) -> String {
    let mut said = String::new();
    // A command line has an end.
    for names in names.chunks(2_000) {
        let output = Command::new("xmllint")
            .args(["--nonet", "--noout", "--schema", SCHEMA])
            .args(names)
            .current_dir(folder)
            .output()
            .expect("xmllint is missing: make prepare");
        said += &String::from_utf8_lossy(&output.stderr);
    }
    said
}

#[test]
fn whatever_can_be_made_is_written_so_that_the_schema_and_the_reader_accept_it() {
    let mut runner = TestRunner::deterministic();
    let messages: Vec<Msg> = (0..1_500).map(|_| any_message().new_tree(&mut runner).unwrap().current()).collect();
    let all = messages.iter().chain(samples::all().iter().map(|(_, msg)| msg)).cloned().collect::<Vec<_>>();
    let documents: Vec<Vec<u8>> = all.iter().map(|msg| to_vec(msg).unwrap()).collect();
    for ((msg, document), accepted) in all.iter().zip(&documents).zip(accepted_by_xmllint(&documents)) {
        let shown = String::from_utf8_lossy(document);
        assert!(accepted, "refused by xmllint: {shown}");
        assert_eq!(read(document).as_ref(), Ok(msg), "{shown}");
        assert!(document.len() <= write::DOCUMENT_MAX_BYTES, "{} bytes", document.len());
    }
}

#[test]
fn xmllint_refuses_what_the_schema_refuses() {
    let wrong = b"<Msg xmlns=\"urn:acs-link:1\"/>".to_vec();
    assert_eq!(accepted_by_xmllint(&[wrong]), [false]);
}

#[test]
fn the_messages_on_the_page_for_partners_are_messages() {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/protocol/acs-link.md")).unwrap();
    let documents: Vec<Vec<u8>> =
        page.lines().filter(|line| line.starts_with("<Msg")).map(|line| line.as_bytes().to_vec()).collect();
    assert!(documents.len() >= 4, "only {} messages on the page", documents.len());
    for (document, accepted) in documents.iter().zip(accepted_by_xmllint(&documents)) {
        let shown = String::from_utf8_lossy(document);
        assert!(accepted, "refused by xmllint: {shown}");
        assert!(read(document).is_ok(), "{:?}: {shown}", read(document));
    }
}

proptest! {
    #[test]
    fn every_message_round_trips(msg in any_message()) {
        let document = to_vec(&msg).unwrap();
        prop_assert_eq!(read(&document), Ok(msg));
    }

    #[test]
    fn no_document_panics(msg in any_message(), at: prop::sample::Index, bytes in prop::collection::vec(any::<u8>(), 0..4)) {
        let mut document = to_vec(&msg).unwrap();
        let at = at.index(document.len());
        document.splice(at..(at + bytes.len()).min(document.len()), bytes);
        if let Ok(msg) = read(&document) {
            prop_assert_eq!(read(&to_vec(&msg).unwrap()), Ok(msg));
        }
    }
}
