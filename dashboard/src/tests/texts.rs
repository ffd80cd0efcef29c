use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::language::Language;
use fluent_bundle::FluentResource;
use fluent_syntax::ast::Entry;

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

fn keys(language: &str) -> BTreeSet<String> {
    let mut found = Vec::new();
    files(&here("locales").join(language), &mut found);
    let mut keys = BTreeSet::new();
    for file in found {
        let source = fs::read_to_string(&file).unwrap();
        let resource =
            FluentResource::try_new(source).unwrap_or_else(|(_, errors)| panic!("{}: {errors:?}", file.display()));
        for entry in resource.entries() {
            match entry {
                Entry::Message(message) => {
                    assert!(keys.insert(message.id.name.to_owned()), "{}: {} twice", file.display(), message.id.name)
                }
                Entry::Junk { content } => panic!("{}: {content}", file.display()),
                _ => {}
            }
        }
    }
    keys
}

#[test]
fn every_language_has_the_same_texts() {
    let english = keys("en");
    assert!(english.len() > 300, "{}", english.len());
    for language in Language::ALL {
        let own = keys(language.code());
        assert_eq!(english.symmetric_difference(&own).collect::<Vec<_>>(), Vec::<&String>::new(), "{language:?}");
    }
}

#[test]
fn every_text_that_is_used_exists() {
    let mut sources = Vec::new();
    files(&here("src"), &mut sources);
    files(&here("templates"), &mut sources);
    let english = keys("en");
    let mut used = 0;
    for file in sources.iter().filter(|file| !file.to_string_lossy().contains("/tests")) {
        let source = fs::read_to_string(file).unwrap();
        for call in [".t(\"", ".n(\"", ".a(\""] {
            for rest in source.split(call).skip(1) {
                let key = rest.split('"').next().unwrap();
                assert!(english.contains(key), "{}: {key}", file.display());
                used += 1;
            }
        }
        for call in [".code(\"", ".code_if_any(\""] {
            for rest in source.split(call).skip(1) {
                let prefix = rest.split('"').next().unwrap();
                assert!(english.iter().any(|key| key.starts_with(prefix)), "{}: {prefix}", file.display());
            }
        }
    }
    assert!(used > 150, "{used}");
}

#[test]
fn codes_of_roles_doors_passes_and_places_have_texts() {
    let english = keys("en");
    let has = |key: String| assert!(english.contains(&key), "{key}");
    for role in domain::Shipped::ALL {
        has(format!("role-{}", role.as_str()));
        has(format!("role-may-{}", role.as_str()));
    }
    for theme in clinic::accounts::Theme::ALL {
        has(format!("theme-{}", theme.as_str()));
    }
    for state in clinic::devices::DoorState::ALL {
        has(format!("door-{}", state.as_str()));
    }
    for kind in clinic::devices::PeerKind::ALL {
        has(format!("peer-kind-{}", kind.as_str()));
    }
    for pass in domain::policy::PassKind::ALL {
        has(format!("pass-{}", pass.as_str()));
    }
    for route in crate::routes::ROUTES {
        if let Some(place) = route.place {
            has(format!("place-{}", place.key));
        }
    }
    for n in 0..7 {
        has(format!("weekday-{n}"));
    }
    for n in 1..13 {
        has(format!("month-{n}"));
    }
}
