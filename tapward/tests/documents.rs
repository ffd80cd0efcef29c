//! Documents that must not fall behind the code: the reference of the configuration, the table of attacks, links, and
//! the words of the journal.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use domain::{Kind, Reason};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Section headings of the reference, and the Rust structure with the same keys.
const SECTIONS: &[(&str, &str)] = &[
    ("[site]", "Site"),
    ("[data]", "Data"),
    ("[database]", "Database"),
    ("[gateway]", "Gateway"),
    ("[bus]", "Bus"),
    ("[dashboard]", "Dashboard"),
    ("[accounts]", "Accounts"),
    ("[vault]", "Vault"),
    ("[audit]", "Audit"),
    ("[retention]", "Retention"),
    ("[mail]", "Mail"),
    ("[desk]", "Desk"),
    ("[visits]", "Visits"),
    ("[till]", "Till"),
    ("[till.papers]", "Papers"),
    ("[[till.terminal]]", "Terminal"),
    ("[[till.payment_service]]", "PaymentService"),
    ("[identity]", "Identity"),
    ("[feeds]", "Feeds"),
    ("[[system]]", "System"),
    ("[hl7]", "Hl7"),
    ("[[hl7.sender]]", "Hl7Sender"),
    ("[[zone]]", "Zone"),
    ("[[schedule]]", "Schedule"),
    ("[[holiday]]", "Holiday"),
    ("[[rule]]", "Rule"),
    ("[[point]]", "Point"),
    ("[[line]]", "Line"),
    ("[[line.reader]]", "Reader"),
    ("[acs_link]", "AcsLink"),
    ("[push]", "Push"),
    ("[[peer]]", "Peer"),
    ("[[peer.reader]]", "PeerReader"),
    ("[peer.commands]", "PeerCommands"),
];

/// The public fields of each structure of a Rust source.
fn fields(source: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut structures: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut current = String::new();
    for line in source.lines().map(str::trim) {
        if let Some(rest) = line.strip_prefix("pub struct ") {
            current = rest.split_whitespace().next().unwrap().to_owned();
        } else if let Some((name, _)) = line.strip_prefix("pub ").and_then(|rest| rest.split_once(": ")) {
            structures.entry(current.clone()).or_default().insert(name.to_owned());
        }
    }
    structures
}

/// The keys of each section of the reference: the first cells of its tables.
fn documented(page: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut sections: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut current = None;
    for line in page.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            current = title.strip_prefix('`').and_then(|title| title.strip_suffix('`')).map(str::to_owned);
        } else if let (Some(section), Some(rest)) = (&current, line.strip_prefix("| `"))
            && let Some((keys, _)) = rest.split_once('|')
        {
            let keys = keys.split(',').map(|key| key.trim().trim_matches('`').to_owned());
            sections.entry(section.clone()).or_default().extend(keys);
        }
    }
    sections
}

#[test]
fn the_reference_names_every_key_and_no_other() {
    let files =
        ["tapward/src/config/file.rs", "tapward/src/config/file/exchange.rs", "tapward/src/config/file/till.rs"];
    let mut code = fields(&files.map(read).concat());
    let page = documented(&read("docs/configuration.md"));
    let tables = code.remove("File").expect("the structure of the whole file");
    assert_eq!(tables.len(), SECTIONS.len() - 7, "a table was added: give it a section, here and on the page");
    for (section, structure) in SECTIONS {
        let mut keys = code.remove(*structure).unwrap_or_else(|| panic!("no structure {structure}"));
        // Tables inside tables have a section of their own.
        for table in ["reader", "sender", "papers", "terminal", "payment_service"] {
            keys.remove(table);
        }
        assert_eq!(page.get(*section), Some(&keys), "section {section} of docs/configuration.md");
    }
    assert!(code.is_empty(), "structures without a section: {:?}", code.keys());
    assert_eq!(page.len(), SECTIONS.len());
}

#[test]
fn the_configuration_to_start_from_uses_keys_of_the_reference_only() {
    let page = documented(&read("docs/configuration.md"));
    let mut section = String::new();
    let mut seen = 0;
    for line in read("tapward/src/config/default.toml").lines() {
        let text = line.trim_start_matches("# ").trim();
        if text.starts_with('[') {
            section = text.split_whitespace().next().unwrap().to_owned();
        } else if let Some((key, _)) = text.split_once(" = ")
            && key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        {
            seen += 1;
            assert!(page[&section].contains(key), "{section} {key} does not stand in docs/configuration.md");
        }
    }
    assert!(seen > 40, "only {seen} keys seen");
}

#[test]
fn the_command_line_page_explains_every_word_of_the_journal() {
    let page = read("docs/command-line.md");
    let words = Kind::ALL.iter().map(|kind| kind.as_str()).chain(Reason::ALL.iter().map(|reason| reason.as_str()));
    for word in words {
        assert!(page.contains(&format!("`{word}`")), "docs/command-line.md does not mention {word}");
    }
}

#[test]
fn every_test_that_the_pages_on_security_name_exists() {
    let mut sources = String::new();
    for folder in
        ["wire", "gateway", "tapward", "store", "clinic", "bus", "dashboard", "mis-bridge", "domain", "audit-verify"]
    {
        gather(&root().join(folder), &mut sources);
    }
    for (file, fewest) in [("docs/security.md", 20), ("docs/asvs.md", 0)] {
        let page = read(file);
        let named: Vec<&str> =
            page.split('`').skip(1).step_by(2).filter(|word| word.matches('_').count() > 2).collect();
        assert!(named.len() >= fewest, "only {} tests named in {file}", named.len());
        for name in named {
            // A story is told on both engines by a macro that is given its name.
            let forms = [format!("fn {name}("), format!("story!({name},"), format!("story!(\n    {name},")];
            let is_there = forms.iter().any(|form| sources.contains(form));
            assert!(is_there, "{file} names the test {name}, which does not exist");
        }
    }
}

fn gather(folder: &Path, sources: &mut String) {
    if !folder.exists() {
        return;
    }
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap()) {
        let path = entry.path();
        if path.is_dir() {
            gather(&path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut pages = vec![root().join("README.md"), root().join("ARCHITECTURE.md"), root().join("CONTRIBUTING.md")];
    markdown(&root().join("docs"), &mut pages);
    let mut checked = 0;
    for page in pages {
        let text = fs::read_to_string(&page).unwrap_or_else(|error| panic!("{}: {error}", page.display()));
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            checked += 1;
            let path = page.parent().unwrap().join(target);
            assert!(path.exists(), "{} links to {link}, which is not there", page.display());
        }
    }
    assert!(checked > 30, "only {checked} links seen");
}

fn markdown(folder: &Path, pages: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap()) {
        let path = entry.path();
        if path.is_dir() {
            markdown(&path, pages);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            pages.push(path);
        }
    }
}

#[test]
fn the_readers_of_documents_see_what_is_there() {
    let code = fields("pub struct Site {\n    pub id: Spanned<String>,\n    pub time_zone: String,\n}\n");
    assert_eq!(code["Site"], BTreeSet::from(["id".to_owned(), "time_zone".to_owned()]));
    let page =
        documented("## `[site]`\n\n| key | meaning |\n|---|---|\n| `id` | text `other` |\n## Other\n| `x` | |\n");
    assert_eq!(page.len(), 1);
    assert_eq!(page["[site]"], BTreeSet::from(["id".to_owned()]));
}

/// The blocks of code of one language in a page.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    page.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

fn tapward(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_tapward"))
        .current_dir(folder)
        .env_remove("TAPWARD_CONFIG")
        .args(arguments)
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    (output.status.code(), text)
}

fn key_file(path: &Path, digits: &str) {
    use std::os::unix::fs::OpenOptionsExt;
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(path).unwrap();
    std::io::Write::write_all(&mut file, digits.as_bytes()).unwrap();
}

/// The messages of the page's examples, one a line.
#[test]
fn every_message_on_the_acs_link_page_is_one_that_we_take() {
    let page = read("docs/protocol/acs-link.md");
    let blocks = blocks(&page, "xml");
    let messages: Vec<&str> = blocks.iter().flat_map(|block| block.lines()).collect();
    assert!(messages.len() >= 6, "{}", messages.len());
    for message in messages {
        let read = wire::acs_link::read(message.as_bytes()).unwrap_or_else(|refusal| panic!("{refusal}\n{message}"));
        read.check().unwrap();
    }
    for code in wire::acs_link::Code::ALL {
        assert!(page.contains(&format!("`{code}`")), "{code} is not explained");
    }
    for kind in wire::acs_link::Kind::ALL {
        assert!(page.contains(&format!("`{kind}`")), "{kind} is not explained");
    }
}

#[test]
fn the_five_minutes_of_the_readme_work() {
    let page = read("README.md");
    let folder = tempfile::tempdir().unwrap();
    let clinic = folder.path();
    fs::write(clinic.join("tapward.toml"), &blocks(&page, "toml")[0]).unwrap();
    fs::write(clinic.join("people.csv"), &blocks(&page, "csv")[0]).unwrap();
    key_file(&clinic.join("keys/front-in"), "9f3c1d7e5b2a4806c1e7d94f3ab85260");
    let (code, text) = tapward(clinic, &["config", "check"]);
    assert_eq!(code, Some(0), "{text}");
    let (code, text) = tapward(clinic, &["people", "import", "people.csv"]);
    assert_eq!(code, Some(0), "{text}");
    let (code, text) = tapward(clinic, &["policy", "explain", "--point", "front", "--person", "E-1001"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("granted"), "{text}");
}

#[test]
fn the_list_on_the_command_line_page_imports_and_the_rules_of_the_guide_mean_what_they_say() {
    let folder = tempfile::tempdir().unwrap();
    let clinic = folder.path();
    let head = "[site]\nid = \"c\"\ntime_zone = \"Europe/Kyiv\"\n[data]\nfolder = \"data\"\n";
    let points = "[[point]]\nid = \"ward-door\"\nkind = \"door\"\nfrom = \"hall\"\nto = \"wards\"\n\
                  [[point]]\nid = \"pharmacy-door\"\nkind = \"door\"\nfrom = \"hall\"\nto = \"pharmacy\"\n";
    let rules = &blocks(&read("docs/guide/administrator.md"), "toml")[0];
    fs::write(clinic.join("tapward.toml"), format!("{head}{points}{rules}")).unwrap();
    let list = &blocks(&read("docs/command-line.md"), "csv")[0];
    fs::write(clinic.join("people.csv"), list).unwrap();
    let visitor = "person,kind,category,card_format,card_number,valid_from,valid_until\n\
                   V-1,visitor,visitor,uid_hex,04A1B2C3D4E5F7,,\nT-1,staff,trainee,uid_hex,04A1B2C3D4E5F8,,\n";
    fs::write(clinic.join("more.csv"), visitor).unwrap();
    for file in ["people.csv", "more.csv"] {
        let (code, text) = tapward(clinic, &["people", "import", file]);
        assert_eq!(code, Some(0), "{text}");
    }
    for (person, point, at, answer) in [
        ("E-1001", "ward-door", "2026-11-23T21:00:00+02:00", "granted (allowed)"),
        ("V-1", "ward-door", "2026-11-23T15:00:00+02:00", "granted (allowed)"),
        ("V-1", "ward-door", "2026-11-23T21:00:00+02:00", "refused (outside_hours)"),
        ("V-1", "pharmacy-door", "2026-11-23T15:00:00+02:00", "refused (no_rule)"),
        ("T-1", "pharmacy-door", "2026-11-23T15:00:00+02:00", "refused (denied_by_rule)"),
    ] {
        let (_, text) = tapward(clinic, &["policy", "explain", "--point", point, "--person", person, "--at", at]);
        assert!(text.contains(answer), "{person} at {point}: {text}");
    }
}

#[test]
fn the_configuration_that_is_printed_is_good() {
    let folder = tempfile::tempdir().unwrap();
    let (code, text) = tapward(folder.path(), &["config", "default"]);
    assert_eq!(code, Some(0), "{text}");
    fs::write(folder.path().join("tapward.toml"), text).unwrap();
    let (code, text) = tapward(folder.path(), &["config", "check"]);
    assert_eq!(code, Some(0), "{text}");
}

#[test]
fn every_command_stands_on_the_command_line_page() {
    let page = read("docs/command-line.md");
    let folder = tempfile::tempdir().unwrap();
    let commands = |arguments: &[&str]| -> Vec<String> {
        let (_, text) = tapward(folder.path(), arguments);
        let list = text.split("Commands:\n").nth(1).unwrap_or_default().split("\n\n").next().unwrap_or_default();
        let names = list.lines().filter_map(|line| line.strip_prefix("  ")).filter(|line| !line.starts_with(' '));
        names
            .filter_map(|line| line.split_whitespace().next())
            .filter(|name| *name != "help")
            .map(str::to_owned)
            .collect()
    };
    let first = commands(&["--help"]);
    assert!(first.len() > 10, "{first:?}");
    for name in first {
        let below = commands(&[&name, "--help"]);
        for sub in &below {
            assert!(page.contains(&format!("`tapward {name} {sub}")), "tapward {name} {sub} is not explained");
        }
        if below.is_empty() {
            let found = page.contains(&format!("`tapward {name}")) || page.contains(&format!("/ `{name}`"));
            assert!(found, "tapward {name} is not explained");
        }
    }
}
