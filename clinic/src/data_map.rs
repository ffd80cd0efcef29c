//! The data map: every column of every table and every file, with its purpose, class, legal basis, term and protection.
//! The map is `docs/privacy/data-map.toml`, compiled in; the papers of the laws are made from it by [`papers`].
//!
//! Reads no database, but for the two numbers of [`papers::counts`]. A test compares it with the schema, so that nothing is kept that is not on the map. May
//! import nothing but the classes of data.

pub mod papers;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use toml::{Table, Value};

use crate::disclosures::Class;

/// The map's text, as it stands in the documents.
pub const TEXT: &str = include_str!("../../docs/privacy/data-map.toml");

/// Where a column or file is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// `database`, `journal` or `file`.
    pub store: String,
    /// The table, or the file's path in the data folder.
    pub table: String,
    /// The column; empty for a file.
    pub column: String,
}

/// One line of the map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where.
    pub place: Place,
    /// The data set it belongs to; a key of [`Map::sets`].
    pub set: String,
    /// What kind of data.
    pub class: Class,
    /// What for.
    pub purpose: String,
    /// Legal bases; keys of [`Map::bases`].
    pub basis: Vec<String>,
    /// How long, from when, and what happens then.
    pub kept: String,
    /// How it is protected where it lies.
    pub protection: String,
    /// Who sees it: codes of permissions, or words.
    pub seen_by: Vec<String>,
}

/// A data set: what belongs together in the records of processing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set {
    /// Its name in words.
    pub title: String,
    /// Whose data.
    pub subjects: String,
    /// What for.
    pub purpose: String,
    /// Who receives them outside the clinic.
    pub recipients: String,
    /// The programs that work with it.
    pub programs: String,
    /// From where they come and to where they go.
    pub flows: String,
}

/// A legal basis, law by law.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Basis {
    /// Regulation (EU) 2016/679.
    pub gdpr: String,
    /// Poland.
    pub pl: String,
    /// Ukraine.
    pub ua: String,
    /// Russia.
    pub ru: String,
}

/// The whole map.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Map {
    /// Every line, in the order of the file.
    pub entries: Vec<Entry>,
    /// Data sets by key.
    pub sets: BTreeMap<String, Set>,
    /// Legal bases by key.
    pub bases: BTreeMap<String, Basis>,
}

/// The map of this program. Empty only if the compiled-in text were broken, which a test rules out.
pub fn map() -> &'static Map {
    static MAP: LazyLock<Map> = LazyLock::new(|| read(TEXT).unwrap_or_default());
    &MAP
}

/// Reads a map.
///
/// # Errors
/// What is wrong and where, in words.
pub fn read(text: &str) -> Result<Map, String> {
    let file: Table = text.parse().map_err(|error: toml::de::Error| error.to_string())?;
    let mut map = Map::default();
    for (key, value) in section(&file, "set")? {
        let of = |name: &str| word(value, name).ok_or(format!("set {key} lacks {name}"));
        let set = Set {
            title: of("title")?,
            subjects: of("subjects")?,
            purpose: of("purpose")?,
            recipients: of("recipients")?,
            programs: of("programs")?,
            flows: of("flows")?,
        };
        map.sets.insert(key.clone(), set);
    }
    for (key, value) in section(&file, "basis")? {
        let of = |name: &str| word(value, name).ok_or(format!("basis {key} lacks {name}"));
        let basis = Basis { gdpr: of("gdpr")?, pl: of("pl")?, ua: of("ua")?, ru: of("ru")? };
        map.bases.insert(key.clone(), basis);
    }
    for store in ["database", "journal", "file"] {
        for (table, value) in section(&file, store)? {
            let columns = value.get("columns").and_then(Value::as_table);
            let Some(columns) = columns else {
                map.entries.push(entry(&map, value, None, Place::new(store, table, ""))?);
                continue;
            };
            for (column, own) in columns {
                map.entries.push(entry(&map, value, Some(own), Place::new(store, table, column))?);
            }
        }
    }
    Ok(map)
}

impl Place {
    fn new(store: &str, table: &str, column: &str) -> Self {
        Self { store: store.to_owned(), table: table.to_owned(), column: column.to_owned() }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.store.as_str(), self.column.as_str()) {
            (_, "") => f.write_str(&self.table),
            ("journal", column) => write!(f, "journal.db {}.{column}", self.table),
            (_, column) => write!(f, "{}.{column}", self.table),
        }
    }
}

fn section<'a>(file: &'a Table, name: &str) -> Result<impl Iterator<Item = (&'a String, &'a Value)>, String> {
    Ok(file.get(name).and_then(Value::as_table).ok_or(format!("the section {name} is missing"))?.iter())
}

fn word(value: &Value, name: &str) -> Option<String> {
    value.get(name).and_then(Value::as_str).filter(|text| !text.trim().is_empty()).map(str::to_owned)
}

fn list(value: &Value, name: &str) -> Option<Vec<String>> {
    let all = value.get(name)?.as_array()?;
    let words: Vec<String> = all.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    (!words.is_empty()).then_some(words)
}

/// A line: what the column says itself, and what its table says for all of them.
fn entry(map: &Map, table: &Value, column: Option<&Value>, place: Place) -> Result<Entry, String> {
    let own = |name: &str| column.and_then(|column| word(column, name)).or_else(|| word(table, name));
    let own_list = |name: &str| column.and_then(|column| list(column, name)).or_else(|| list(table, name));
    let lacks = |name: &str| format!("{place} lacks {name}");
    // A short purpose may stand in place of a table of its own.
    let purpose = column.and_then(Value::as_str).map(str::to_owned).or_else(|| own("purpose"));
    let class = own("class").ok_or_else(|| lacks("class"))?;
    let set = own("set").ok_or_else(|| lacks("set"))?;
    if !map.sets.contains_key(&set) {
        return Err(format!("{place}: there is no set {set}"));
    }
    let basis = own_list("basis").ok_or_else(|| lacks("basis"))?;
    if let Some(unknown) = basis.iter().find(|key| !map.bases.contains_key(*key)) {
        return Err(format!("{place}: there is no basis {unknown}"));
    }
    Ok(Entry {
        set,
        class: Class::parse(&class).ok_or_else(|| format!("{place}: there is no class {class}"))?,
        purpose: purpose.ok_or_else(|| lacks("purpose"))?,
        basis,
        kept: own("kept").ok_or_else(|| lacks("kept"))?,
        protection: own("protection").ok_or_else(|| lacks("protection"))?,
        seen_by: own_list("seen_by").ok_or_else(|| lacks("seen_by"))?,
        place,
    })
}
