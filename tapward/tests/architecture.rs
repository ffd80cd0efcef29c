//! The architecture, as a test: which crate may know which, what the pure crates must not have, and the few rules of
//! form that keep the code findable. Reads the manifests and sources of this repository; fails also when it sees too
//! few of them. To add an edge, add it to the table here and say why in ARCHITECTURE.md.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

/// Our crates, and those of ours that each may use. Everything points inward, towards `domain`.
const EDGES: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("wire", &["domain"]),
    ("store", &["domain"]),
    ("bus", &["domain", "wire"]),
    ("clinic", &["domain", "store"]),
    ("gateway", &["domain", "wire", "store", "bus"]),
    ("mis-bridge", &["domain", "wire", "store", "bus", "clinic"]),
    ("reports", &[]),
    ("dashboard", &["domain", "store", "clinic", "reports"]),
    ("controller-sim", &["domain", "wire"]),
    ("audit-verify", &["domain", "store"]),
    (
        "tapward",
        &[
            "domain",
            "wire",
            "store",
            "bus",
            "clinic",
            "gateway",
            "mis-bridge",
            "dashboard",
            "controller-sim",
            "audit-verify",
        ],
    ),
    ("bench", &["domain", "wire", "store", "bus", "clinic", "gateway", "controller-sim", "audit-verify"]),
    ("tapward-fuzz", &["domain", "wire", "clinic"]),
];

/// What tests may use beyond that: test servers behind the feature `testing` of a crate, and the simulator.
const TEST_EDGES: &[(&str, &[&str])] = &[
    ("store", &["store"]),
    ("bus", &["bus"]),
    ("gateway", &["controller-sim"]),
    // A card terminal that dies after it has taken the money.
    ("mis-bridge", &["controller-sim"]),
    // Faces for pages that show some.
    ("dashboard", &["controller-sim"]),
    // The verifier's tests need somebody who writes a log.
    ("audit-verify", &["clinic"]),
];

/// Everything that a pure crate may use from elsewhere. None of these opens a file or a socket, looks at a clock, draws
/// a random number or starts a task (`chrono` without its feature `clock`, see [`PURE_FEATURES`]).
const PURE: &[(&str, &[&str])] = &[
    (
        "domain",
        &[
            "aes",
            "chacha20poly1305",
            "chrono",
            "chrono-tz",
            "hmac",
            "sha2",
            "subtle",
            "thiserror",
            "unicode-normalization",
            "zeroize",
        ],
    ),
    (
        "wire",
        &[
            "aes",
            "chrono",
            "encoding_rs",
            "hmac",
            "md-5",
            "quick-xml",
            "serde",
            "serde_json",
            "sha2",
            "subtle",
            "thiserror",
            "zeroize",
        ],
    ),
];

/// Features that would let a pure crate read the clock.
const PURE_FEATURES: &[(&str, &[&str])] = &[("chrono", &["clock", "now", "default"])];

/// Crates with one home: who else uses them crosses a border.
const HOMES: &[(&str, &[&str])] = &[
    ("sqlx", &["store", "clinic", "audit-verify"]),
    ("rumqttc", &["bus"]),
    ("axum", &["dashboard"]),
    ("askama", &["dashboard"]),
    ("clap", &["tapward", "audit-verify"]),
    ("serde", &["wire", "clinic", "mis-bridge", "dashboard", "controller-sim", "tapward"]),
];

/// Fewer manifests than this means that the test looks in the wrong place.
const MANIFESTS_MIN: usize = 10;
/// Longest source file, in lines: beyond it a file holds two ideas.
const LINES_MAX: usize = 700;
/// Files that outgrew it and are to be divided. A file of good length again must leave this list.
const OUTGROWN: &[&str] = &[];
/// A good length, in lines.
const LINES_GOOD: usize = 600;

struct Manifest {
    name: String,
    table: Table,
}

/// One dependency, by the name of its package.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Dependency {
    package: String,
    for_tests: bool,
    features: Vec<String>,
    default_features: bool,
}

#[test]
fn crates_know_only_what_lies_further_in() {
    let root = root();
    let (manifests, workspace) = manifests(&root);
    assert!(manifests.len() >= MANIFESTS_MIN, "only {} manifests seen under {}", manifests.len(), root.display());
    let faults = faults(&manifests, &workspace);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn sources_keep_to_their_form() {
    let root = root();
    let mut files = Vec::new();
    for name in folders(&root) {
        sources(&root.join(name), &mut files);
    }
    assert!(files.len() >= 100, "only {} source files seen under {}", files.len(), root.display());
    let mut faults = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let name = file.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
        faults.extend(faults_of_source(&name, &text));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

// ---- reading ----

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Folders with a manifest, members of the workspace or not.
fn folders(root: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(root).unwrap().map(|entry| entry.unwrap());
    entries
        .filter(|entry| entry.path().join("Cargo.toml").is_file())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect()
}

fn manifests(root: &Path) -> (Vec<Manifest>, Table) {
    let read = |path: &Path| fs::read_to_string(path).unwrap().parse::<Table>().unwrap();
    let workspace = read(&root.join("Cargo.toml"));
    let manifests = folders(root).into_iter().map(|folder| {
        let table = read(&root.join(folder).join("Cargo.toml"));
        Manifest { name: table["package"]["name"].as_str().unwrap().to_owned(), table }
    });
    (manifests.collect(), workspace)
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap()) {
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_dir() {
            if !["target", "corpus", "artifacts"].iter().any(|other| name == *other) {
                sources(&path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

// ---- judging ----

/// Everything that a set of manifests does against the tables.
fn faults(manifests: &[Manifest], workspace: &Table) -> Vec<String> {
    let ours: BTreeSet<&str> = manifests.iter().map(|manifest| manifest.name.as_str()).collect();
    let mut faults = Vec::new();
    for (name, _) in EDGES.iter().filter(|(name, _)| !ours.contains(name)) {
        faults.push(format!("{name} stands in the table of crates but has no manifest"));
    }
    for manifest in manifests {
        let name = manifest.name.as_str();
        let Some(edges) = row(EDGES, name) else {
            faults.push(format!("{name} does not stand in the table of crates"));
            continue;
        };
        for dependency in dependencies(&manifest.table, workspace) {
            let package = dependency.package.as_str();
            if ours.contains(package) {
                let for_tests = dependency.for_tests && row(TEST_EDGES, name).is_some_and(|row| row.contains(&package));
                if !edges.contains(&package) && !for_tests {
                    faults.push(format!("{name} must not use {package}"));
                }
            } else if !dependency.for_tests {
                faults.extend(faults_of_foreign(name, &dependency));
            }
        }
        faults.extend(faults_of_lints(manifest, workspace));
    }
    faults
}

fn faults_of_foreign(name: &str, dependency: &Dependency) -> Vec<String> {
    let package = dependency.package.as_str();
    let mut faults = Vec::new();
    if let Some(homes) = row(HOMES, package)
        && !homes.contains(&name)
    {
        faults.push(format!("{name} must not use {package}; its home is {}", homes.join(", ")));
    }
    let Some(allowed) = row(PURE, name) else { return faults };
    if !allowed.contains(&package) {
        faults.push(format!("{name} is pure and must not use {package}"));
    }
    for feature in row(PURE_FEATURES, package).unwrap_or_default() {
        let wanted = match *feature {
            "default" => dependency.default_features,
            feature => dependency.features.iter().any(|wanted| wanted == feature),
        };
        if wanted {
            faults.push(format!("{name} is pure and must not use {package} with its feature {feature}"));
        }
    }
    faults
}

/// No unsafe code, by the lints of the workspace or, outside of it, by the crate's own.
fn faults_of_lints(manifest: &Manifest, workspace: &Table) -> Vec<String> {
    let forbids = |lints: Option<&Value>| {
        lints.and_then(|lints| lints.get("rust")?.get("unsafe_code")?.as_str()) == Some("forbid")
    };
    let own = manifest.table.get("lints");
    let inherits = own.and_then(|lints| lints.get("workspace")?.as_bool()) == Some(true);
    let shared = workspace.get("workspace").and_then(|workspace| workspace.get("lints"));
    match forbids(own) || (inherits && forbids(shared)) {
        true => Vec::new(),
        false => vec![format!("{} does not forbid unsafe code: write [lints] workspace = true", manifest.name)],
    }
}

fn faults_of_source(name: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let lines = text.lines().count();
    if lines > LINES_MAX && !OUTGROWN.contains(&name) {
        faults.push(format!("{name} has {lines} lines; divide it, {LINES_MAX} are the most"));
    }
    if lines <= LINES_GOOD && OUTGROWN.contains(&name) {
        faults.push(format!("{name} is short enough now: take it off the list OUTGROWN"));
    }
    let mut parts = name.split('/').skip(1);
    let in_source = parts.next() == Some("src");
    let is_test_module = in_source && parts.any(|part| part == "tests" || part == "tests.rs");
    if is_test_module {
        return faults;
    }
    let begins = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with("#!["));
    if !begins.is_some_and(|line| line.starts_with("//!")) {
        faults.push(format!("{name} does not begin with //! and what it is for"));
    }
    let home = row(HOMES, "sqlx").unwrap_or_default().iter().any(|home| name.starts_with(&format!("{home}/")));
    let speaks_sql = text.contains(concat!("sqlx", "::")) || text.contains(concat!("store", "::transact!"));
    if in_source && !home && speaks_sql {
        faults.push(format!("{name} speaks SQL; that stands in store and clinic only"));
    }
    faults
}

fn row<'a>(table: &[(&str, &'a [&'a str])], name: &str) -> Option<&'a [&'a str]> {
    table.iter().find(|(row, _)| *row == name).map(|(_, values)| *values)
}

fn dependencies(manifest: &Table, workspace: &Table) -> BTreeSet<Dependency> {
    let shared =
        workspace.get("workspace").and_then(|workspace| workspace.get("dependencies")).and_then(Value::as_table);
    let mut found = BTreeSet::new();
    let targets = manifest.get("target").and_then(Value::as_table).into_iter().flat_map(Table::values);
    for table in std::iter::once(manifest).chain(targets.filter_map(Value::as_table)) {
        for (key, for_tests) in [("dependencies", false), ("build-dependencies", false), ("dev-dependencies", true)] {
            for (name, value) in table.get(key).and_then(Value::as_table).into_iter().flatten() {
                found.insert(dependency(name, value, shared, for_tests));
            }
        }
    }
    found
}

fn dependency(name: &str, value: &Value, shared: Option<&Table>, for_tests: bool) -> Dependency {
    let inherited = (value.get("workspace").and_then(Value::as_bool) == Some(true))
        .then(|| shared.and_then(|shared| shared.get(name)))
        .flatten();
    let both = || std::iter::once(value).chain(inherited);
    let features = both().filter_map(|value| value.get("features")?.as_array()).flatten();
    // Renamed: the name in the code is what the tables speak of, except when it hides one of our own.
    let hidden = both().find_map(|value| value.get("package")?.as_str());
    let package = hidden.filter(|package| row(EDGES, package).is_some()).unwrap_or(name);
    Dependency {
        package: package.to_owned(),
        for_tests,
        features: features.filter_map(|feature| feature.as_str().map(str::to_owned)).collect(),
        default_features: both().find_map(|value| value.get("default-features")?.as_bool()).unwrap_or(true),
    }
}

// ---- the checker itself ----

/// All crates of the table, each without dependencies and with its lints, some with changes.
fn made_up(changes: &[(&str, &str)]) -> Vec<String> {
    let mut texts: BTreeMap<&str, String> =
        EDGES.iter().map(|(name, _)| (*name, "lints.workspace = true\n".to_owned())).collect();
    for (name, text) in changes {
        texts.insert(name, (*text).to_owned());
    }
    let manifests: Vec<Manifest> =
        texts.iter().map(|(name, text)| Manifest { name: (*name).to_owned(), table: text.parse().unwrap() }).collect();
    let workspace = "[workspace.lints.rust]\nunsafe_code = \"forbid\"\n\
        [workspace.dependencies]\nclinic = { path = \"clinic\" }\nchrono = { version = \"0.4\", features = [\"clock\"] }\n";
    faults(&manifests, &workspace.parse().unwrap())
}

#[test]
fn the_checker_accepts_crates_that_keep_to_the_table() {
    let gateway = "lints.workspace = true\n[dependencies]\ndomain.workspace = true\ntokio = \"1\"\n\
                   [dev-dependencies]\ncontroller-sim = { path = \"../controller-sim\" }\n";
    assert_eq!(made_up(&[("gateway", gateway)]), Vec::<String>::new());
}

#[test]
fn the_checker_finds_an_outward_edge_however_it_is_written() {
    for dependency in [
        "[dependencies]\nclinic.workspace = true",
        "[dependencies]\nclinic = { path = \"../clinic\" }",
        "[dependencies]\nfriend = { package = \"clinic\", path = \"../clinic\" }",
        "[dev-dependencies]\nclinic.workspace = true",
        "[build-dependencies]\nclinic.workspace = true",
        "[target.'cfg(unix)'.dependencies]\nclinic.workspace = true",
    ] {
        let manifest = format!("lints.workspace = true\n{dependency}\n");
        assert_eq!(made_up(&[("gateway", &manifest)]), ["gateway must not use clinic"], "{dependency}");
    }
}

#[test]
fn the_checker_finds_impure_crates() {
    let with = |dependency: &str| format!("lints.workspace = true\n[dependencies]\n{dependency}\n");
    for (name, dependency, fault) in [
        ("domain", "tokio = \"1\"", "domain is pure and must not use tokio"),
        ("wire", "getrandom = \"0.4\"", "wire is pure and must not use getrandom"),
        (
            "domain",
            "chrono = { workspace = true, default-features = false }",
            "domain is pure and must not use chrono with its feature clock",
        ),
        ("domain", "chrono = \"0.4\"", "domain is pure and must not use chrono with its feature default"),
        ("dashboard", "sqlx = \"0.9\"", "dashboard must not use sqlx; its home is store, clinic, audit-verify"),
    ] {
        assert_eq!(made_up(&[(name, &with(dependency))]), [fault], "{dependency}");
    }
    let serde = made_up(&[("domain", &with("serde = \"1\""))]);
    assert_eq!(serde.len(), 2, "{serde:?}");
}

#[test]
fn the_checker_finds_unknown_and_missing_crates_and_missing_lints() {
    let stranger = made_up(&[("helpers", "lints.workspace = true")]);
    assert_eq!(stranger, ["helpers does not stand in the table of crates"]);
    let (manifests, workspace) = (Vec::new(), Table::new());
    assert_eq!(faults(&manifests, &workspace).len(), EDGES.len());
    let careless = made_up(&[("wire", "")]);
    assert_eq!(careless, ["wire does not forbid unsafe code: write [lints] workspace = true"]);
}

#[test]
fn the_checker_finds_sources_out_of_form() {
    let fine = "//! What it is for.\n\nfn main() {}\n";
    assert!(faults_of_source("gateway/src/line.rs", fine).is_empty());
    assert!(faults_of_source("gateway/src/line/tests.rs", "use super::*;\n").is_empty());
    assert_eq!(faults_of_source("gateway/src/line.rs", "// nothing said\n").len(), 1);
    let long = format!("{fine}{}", "//\n".repeat(LINES_MAX));
    assert_eq!(faults_of_source("gateway/src/line.rs", &long).len(), 1);
    let query = format!("{fine}{}::query(\"SELECT 1\")\n", "sqlx");
    assert_eq!(faults_of_source("gateway/src/line.rs", &query).len(), 1);
    assert!(faults_of_source("clinic/src/people.rs", &query).is_empty());
    assert!(faults_of_source("gateway/tests/rig/mod.rs", &query).is_empty());
}
