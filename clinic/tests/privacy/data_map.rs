//! The data map and the schema say the same; the papers made from it are those in the documents.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clinic::data_map::{self, papers};
use clinic::disclosures::Class;
use domain::Permission;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// `table.column` of every `CREATE TABLE` of a text.
fn columns(schema: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for rest in schema.split("CREATE TABLE ").skip(1) {
        let (table, rest) = rest.split_once('(').unwrap();
        let (mut depth, mut parts) = (1, vec![String::new()]);
        for line in rest.lines() {
            let line = line.split("--").next().unwrap();
            for c in line.chars() {
                match c {
                    '(' => depth += 1,
                    ')' => depth -= 1,
                    ',' if depth == 1 => parts.push(String::new()),
                    other if depth > 0 => parts.last_mut().unwrap().push(other),
                    _ => {}
                }
                if depth == 0 {
                    break;
                }
            }
            parts.last_mut().unwrap().push(' ');
            if depth == 0 {
                break;
            }
        }
        for part in parts {
            let Some(name) = part.split_whitespace().next() else { continue };
            if !["PRIMARY", "UNIQUE", "FOREIGN", "CHECK", "CONSTRAINT"].contains(&name) {
                found.insert(format!("{}.{name}", table.trim()));
            }
        }
    }
    found
}

fn mapped(store: &str) -> BTreeSet<String> {
    let entries = data_map::map().entries.iter().filter(|entry| entry.place.store == store);
    entries.map(|entry| format!("{}.{}", entry.place.table, entry.place.column)).collect()
}

#[test]
fn every_column_is_on_the_map_and_no_other() {
    data_map::read(data_map::TEXT).unwrap();
    let schema = std::fs::read_to_string(root().join("migrations/schema.txt")).unwrap();
    let schema = columns(&schema);
    assert!(schema.len() > 250, "the schema was read: {}", schema.len());
    let map = mapped("database");
    let missing: Vec<_> = schema.difference(&map).collect();
    let vanished: Vec<_> = map.difference(&schema).collect();
    assert!(missing.is_empty(), "say in docs/privacy/data-map.toml what these columns are for: {missing:?}");
    assert!(vanished.is_empty(), "these columns are on the map and not in the schema: {vanished:?}");
}

#[test]
fn the_gateways_journal_is_on_the_map_too() {
    let mut sources = String::new();
    for file in ["file.rs", "peer_file.rs"] {
        sources += &std::fs::read_to_string(root().join("store/src/journal").join(file)).unwrap();
    }
    let schema = columns(&sources);
    assert!(schema.len() > 40, "{}", schema.len());
    assert_eq!(schema, mapped("journal"));
}

#[test]
fn each_line_says_who_sees_it_and_secrets_are_never_in_clear() {
    let permissions: BTreeSet<&str> = Permission::ALL.iter().map(|permission| permission.as_str()).collect();
    let words =
        ["nobody", "auditor", "who took them", "whoever administers the server", "whoever administers the gateway"];
    for entry in &data_map::map().entries {
        for seen in &entry.seen_by {
            let known = permissions.contains(seen.as_str()) || words.contains(&seen.as_str());
            assert!(known, "{}: nobody is called {seen}", entry.place);
        }
        let is_personal = matches!(entry.class, Class::Identity | Class::Photo);
        let is_clear = entry.protection.starts_with("in clear");
        if is_personal && is_clear && entry.place.store == "database" {
            // What is left in clear, and why: other systems' numbers are needed without the vault; a consent is a date.
            let known = [
                "person.external_ref",
                "account.shown_name",
                "passport.photo_consent",
                "passport.consent_ms",
                "photo.consent_ms",
            ];
            assert!(known.contains(&entry.place.to_string().as_str()), "{} is in clear", entry.place);
        }
    }
}

/// To write them anew: `UPDATE_PAPERS=1 cargo test -p clinic --test privacy papers`.
#[test]
fn the_papers_are_those_made_from_the_map() {
    let map = data_map::map();
    for (name, text) in
        [("records-of-processing.md", papers::records(map, None)), ("data-sets.md", papers::sets(map, None))]
    {
        let file = root().join("docs/privacy").join(name);
        if std::env::var_os("UPDATE_PAPERS").is_some() {
            std::fs::write(&file, &text).unwrap();
        }
        let found = std::fs::read_to_string(&file).unwrap_or_default();
        assert_eq!(found, text, "{name} is behind the map: UPDATE_PAPERS=1 writes it anew");
    }
}

#[test]
fn a_map_with_a_gap_is_refused_with_its_place() {
    let broken = |from: &str, to: &str| data_map::read(&data_map::TEXT.replacen(from, to, 1)).unwrap_err();
    assert!(broken("[set.people]", "[set.persons]").contains("there is no set people"));
    assert!(broken("[basis.access]", "[basis.entry]").contains("there is no basis access"));
    assert!(broken("class = \"technical\"", "class = \"odd\"").contains("there is no class odd"));
    assert!(broken("kept = ", "keeps = ").contains("lacks kept"));
}
