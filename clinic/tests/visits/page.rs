//! The page on visits names every code that people and other systems meet.

use domain::visit::{IrregularVerdict, OutOfCardCode, OutOfCardKind, Question, Refusal, VisitEnd};

#[test]
fn the_page_on_visits_names_every_code_and_every_setting() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let page = std::fs::read_to_string(root.join("docs/visits.md")).unwrap();
    let mut words: Vec<String> = Vec::new();
    words.extend(Refusal::ALL.iter().map(ToString::to_string));
    words.extend(Question::ALL.iter().map(ToString::to_string));
    words.extend(VisitEnd::ALL.iter().map(ToString::to_string));
    words.extend(OutOfCardCode::ALL.iter().map(ToString::to_string));
    words.extend(OutOfCardKind::ALL.iter().map(ToString::to_string));
    words.extend(IrregularVerdict::ALL.iter().map(ToString::to_string));
    for (file, begin) in
        [("domain/src/visit.rs", "pub struct Rules {"), ("clinic/src/irregular.rs", "pub struct Settings {")]
    {
        let source = std::fs::read_to_string(root.join(file)).unwrap();
        let fields = source.split(begin).nth(1).unwrap().split("\n}").next().unwrap();
        let names = fields.lines().filter_map(|line| line.trim().strip_prefix("pub ")?.split(':').next());
        words.extend(names.map(str::to_owned));
    }
    let missing: Vec<_> = words.iter().filter(|word| !page.contains(&format!("`{word}`"))).collect();
    assert!(words.len() > 40 && missing.is_empty(), "{missing:?}");
}
