//! The page on workstations names every code that others may see.

use clinic::desk::{EndWhy, LockWhy, Refusal, SessionState};

#[test]
fn the_page_names_every_code() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/desks.md")).unwrap();
    let refusals = Refusal::ALL.iter().map(|it| it.as_str());
    let ends = EndWhy::ALL.iter().map(|it| it.as_str());
    let locks = LockWhy::ALL.iter().map(|it| it.as_str());
    let states = SessionState::ALL.iter().map(|it| it.as_str());
    let missing: Vec<_> =
        refusals.chain(ends).chain(locks).chain(states).filter(|code| !page.contains(&format!("`{code}`"))).collect();
    assert_eq!(missing, Vec::<&str>::new(), "docs/desks.md");
}
