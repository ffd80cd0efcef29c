//! The papers that laws ask for, as Markdown made from the map: records of processing (GDPR article 30), and the list
//! of data sets with their programs, structure and flows (Polish security policies). An installation adds its name and
//! its numbers.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use store::{Database, Error, read};

use super::{Entry, Map};

/// From this number of subjects who are not staff on, Decree 1119 raises the level of protection (Russia).
pub const SUBJECTS_WARNED: u64 = 100_000;

/// What an installation knows of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Site {
    /// The site's id.
    pub site: String,
    /// Persons who are known here.
    pub persons: u64,
    /// Those of them with a pass for staff.
    pub staff: u64,
    /// Passages and other events.
    pub events: u64,
    /// Accounts.
    pub accounts: u64,
}

impl Site {
    /// Persons who are not staff: those whom the Russian levels count.
    pub fn outsiders(&self) -> u64 {
        self.persons.saturating_sub(self.staff)
    }

    fn lines(&self, out: &mut String) {
        let _ = writeln!(
            out,
            "Site **{}**: {} persons ({} with a pass for staff), {} events, {} accounts.\n",
            self.site, self.persons, self.staff, self.events, self.accounts
        );
        if self.outsiders() >= SUBJECTS_WARNED {
            let _ = writeln!(
                out,
                "> **{} subjects who are not staff: {SUBJECTS_WARNED} or more.** In Russia, special categories of data \
                 of so many people need protection level UZ-2 instead of UZ-3 (Decree 1119, for threats of type 3): \
                 decide on the level anew and write the act.\n",
                self.outsiders()
            );
        }
    }
}

/// Records of processing activities, set by set.
pub fn records(map: &Map, site: Option<&Site>) -> String {
    let mut out = String::from("# Records of processing\n\n");
    out.push_str(
        "What is processed, for which purpose and on which ground, for whom, how long and how protected (GDPR article \
         30; 152-FZ article 22; the Ukrainian Typical Order). Made from `data-map.toml`; the clinic adds its name, \
         contacts, its privacy officer and its processors.\n\n",
    );
    if let Some(site) = site {
        site.lines(&mut out);
    }
    for (key, set) in &map.sets {
        let entries: Vec<&Entry> = map.entries.iter().filter(|entry| entry.set == *key).collect();
        if entries.is_empty() {
            continue;
        }
        let _ = writeln!(out, "## {}\n", set.title);
        let _ = writeln!(out, "| | |\n|---|---|");
        let _ = writeln!(out, "| Purpose | {} |", set.purpose);
        let _ = writeln!(out, "| Whose data | {} |", set.subjects);
        let _ = writeln!(out, "| Kinds of data | {} |", join(entries.iter().map(|entry| entry.class.as_str())));
        let _ = writeln!(out, "| Recipients | {} |", set.recipients);
        let _ = writeln!(out, "| Kept | {} |", join(entries.iter().map(|entry| entry.kept.as_str())));
        let _ = writeln!(out, "| Protection | {} |", join(entries.iter().map(|entry| entry.protection.as_str())));
        let seen = entries.iter().flat_map(|entry| entry.seen_by.iter().map(String::as_str));
        let _ = writeln!(out, "| Seen by | {} |", join(seen));
        let keys: BTreeSet<&str> = entries.iter().flat_map(|entry| entry.basis.iter().map(String::as_str)).collect();
        for basis in keys.iter().filter_map(|key| map.bases.get(*key)) {
            let _ = writeln!(
                out,
                "| Ground | {} · Poland: {} · Ukraine: {} · Russia: {} |",
                basis.gdpr, basis.pl, basis.ua, basis.ru
            );
        }
        out.push('\n');
    }
    out
}

/// The list of data sets with programs, structure and flows.
pub fn sets(map: &Map, site: Option<&Site>) -> String {
    let mut out = String::from("# Data sets\n\n");
    out.push_str(
        "The data sets, the programs that work with them, the structure of each and how data flow between programs: \
         the lists that a security policy for personal data holds (Poland). Made from `data-map.toml`.\n\n",
    );
    if let Some(site) = site {
        site.lines(&mut out);
    }
    out.push_str("| data set | programs | flows |\n|---|---|---|\n");
    for set in map.sets.values() {
        let _ = writeln!(out, "| {} | {} | {} |", set.title, set.programs, set.flows);
    }
    out.push('\n');
    for (key, set) in &map.sets {
        let mut tables: BTreeMap<String, Vec<&Entry>> = BTreeMap::new();
        for entry in map.entries.iter().filter(|entry| entry.set == *key) {
            let store = match entry.place.store.as_str() {
                "journal" => format!("journal.db `{}`", entry.place.table),
                "file" => format!("file `{}`", entry.place.table),
                _ => format!("table `{}`", entry.place.table),
            };
            tables.entry(store).or_default().push(entry);
        }
        if tables.is_empty() {
            continue;
        }
        let _ = writeln!(out, "## {}\n\n| place | columns | class | purpose |\n|---|---|---|---|", set.title);
        for (place, entries) in tables {
            let mut groups: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
            for entry in entries {
                let group = (entry.class.as_str(), entry.purpose.as_str());
                groups.entry(group).or_default().push(&entry.place.column);
            }
            for ((class, purpose), columns) in groups {
                let columns = columns.iter().filter(|name| !name.is_empty()).map(|name| format!("`{name}`"));
                let columns = columns.collect::<Vec<_>>().join(", ");
                let _ = writeln!(out, "| {place} | {columns} | {class} | {purpose} |");
            }
        }
        out.push('\n');
    }
    out
}

fn join<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let mut seen = BTreeSet::new();
    words.filter(|word| seen.insert(*word)).collect::<Vec<_>>().join("; ")
}

/// How many events and accounts there are, for [`Site`].
///
/// # Errors
/// Engine errors.
pub async fn counts(database: &Database) -> Result<(u64, u64), Error> {
    let (events, accounts): (i64, i64) = read!(database, "data_map.counts", |conn| {
        Ok(sqlx::query_as(
            "SELECT (SELECT COUNT(*) FROM event), (SELECT COUNT(*) FROM account WHERE disabled_at IS NULL)",
        )
        .fetch_one(&mut *conn)
        .await?)
    })?;
    Ok((events.cast_unsigned(), accounts.cast_unsigned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_a_hundred_thousand_subjects_on_the_papers_warn() {
        let site = |persons| Site { site: "clinic-3".to_owned(), persons, staff: 500, ..Site::default() };
        let map = super::super::map();
        assert!(!records(map, Some(&site(100_499))).contains("UZ-2"));
        let warned = records(map, Some(&site(100_500)));
        assert!(warned.contains("UZ-2") && warned.contains("100000 subjects who are not staff"));
        assert!(sets(map, Some(&site(100_500))).contains("UZ-2"));
    }
}
