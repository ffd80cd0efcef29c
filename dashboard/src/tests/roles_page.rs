//! `docs/roles.md` is made from the program and kept current here. To record an intended change:
//! `UPDATE_DOCS=1 cargo test -p dashboard roles_page`.

use std::fmt::Write;

use domain::{Field, Permission, Shipped};

use crate::language::Language;
use crate::pages::roles::GROUPS;

const HEAD: &str = "# Roles, rights and fields

This page is made from the program; a test keeps it current. A role grants rights and shows fields of a person. Shipped
roles come with the program and do not change; a clinic makes as many of its own as it likes on the page **Roles**,
from nothing or from a copy, and gives them on the page **Accounts**, on the whole site or in a zone. What an account
may do is worked out anew at each request, from all of its roles together; open live pages are looked at again every
0.9 s. Everything that is not granted is refused, and every refusal of somebody who is signed in is an entry of the
audit log.

A zone limits the rights marked with ◦: they count at points of which either side lies in the zone or in what lies in
it. The other rights are not about places and count on the whole site. One database is one site.

Nobody gives or takes rights that they do not have themselves, gets hold of an account that can do more (by a link to
it, or by taking its second factor away), or changes their own roles. There is always an account left that can manage
accounts and roles. While somebody has broken glass, they change no role.
";

fn table(out: &mut String, first: &str, rows: &[(String, Vec<bool>)]) {
    let texts = Language::En.texts();
    write!(out, "\n| {first} |").unwrap();
    for role in Shipped::ALL {
        write!(out, " {} |", texts.code("role-", role.as_str())).unwrap();
    }
    writeln!(out, "\n|---|{}", ":-:|".repeat(Shipped::ALL.len())).unwrap();
    for (name, marks) in rows {
        let marks: String = marks.iter().map(|has| if *has { " ● |" } else { "  |" }).collect();
        writeln!(out, "| {name} |{marks}").unwrap();
    }
}

fn page() -> String {
    let (texts, mut out) = (Language::En.texts(), HEAD.to_owned());
    for (group, permissions) in GROUPS {
        writeln!(out, "\n## Rights: {}", texts.code("group-", group.as_str()).to_lowercase()).unwrap();
        let row = |permission: &Permission| {
            let mark = if permission.is_local() { " ◦" } else { "" };
            let name = format!("{}{mark} (`{permission}`)", texts.code("permission-", permission.as_str()));
            (name, Shipped::ALL.iter().map(|role| role.permissions().contains(permission)).collect())
        };
        table(&mut out, "right", &permissions.iter().map(row).collect::<Vec<_>>());
    }
    out.push_str("\n## What a role shows of a person\n");
    let row = |field: &Field| {
        let name = format!("{} (`{field}`)", texts.code("field-", field.as_str()));
        (name, Shipped::ALL.iter().map(|role| role.fields().contains(field)).collect())
    };
    table(&mut out, "field", &Field::ALL.iter().map(row).collect::<Vec<_>>());
    out
}

#[test]
fn the_page_of_roles_says_what_the_program_does() {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/roles.md");
    let made = page();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&file, &made).unwrap();
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(found, made, "record an intended change with UPDATE_DOCS=1 cargo test -p dashboard roles_page");
}
