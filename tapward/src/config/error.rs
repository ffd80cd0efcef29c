//! What is wrong with a configuration, told so that a person can mend it: file, line, key, what, and the nearest
//! right word.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

/// Everything found wrong in one file.
#[derive(Debug)]
pub struct ConfigError {
    /// The file.
    pub file: PathBuf,
    /// One at least, in the order of the file.
    pub faults: Vec<Fault>,
}

/// One thing wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Counted from 1; 0 when it concerns the whole file.
    pub line: usize,
    /// The key, for example `point.on_fault`.
    pub key: String,
    /// What is wrong and what to do.
    pub what: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, fault) in self.faults.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            write!(f, "{}", self.file.display())?;
            if fault.line > 0 {
                write!(f, ":{}", fault.line)?;
            }
            if !fault.key.is_empty() {
                write!(f, ": {}", fault.key)?;
            }
            write!(f, ": {}", fault.what)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// The line (from 1) of a byte offset.
pub fn line_of(text: &str, span: &Range<usize>) -> usize {
    text.as_bytes()[..span.start.min(text.len())].iter().filter(|byte| **byte == b'\n').count() + 1
}

/// The candidate that `word` was probably meant to be, if one is near enough.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let bound = (word.chars().count() / 3).max(1) + 1;
    candidates
        .into_iter()
        .map(|candidate| (distance(&word.to_lowercase(), &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= bound)
        .min()
        .map(|(_, candidate)| candidate)
}

/// ` (did you mean "x"?)`, or nothing.
pub fn hint<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, candidates).map_or_else(String::new, |near| format!(" (did you mean \"{near}\"?)"))
}

/// Edits (insert, delete, replace, swap of neighbours) between two words: optimal string alignment.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(64).collect(), b.chars().take(64).collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in rows[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let replace = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replace.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

/// Turns the TOML reader's message into a fault: unknown keys get the nearest valid one.
pub fn from_toml(text: &str, error: &toml::de::Error) -> Fault {
    let line = error.span().map_or(0, |span| line_of(text, &span));
    let message = error.message();
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    if let (Some(rest), Some((wrong, valid))) = (message.strip_prefix("unknown field"), quoted.split_first()) {
        let _ = rest;
        let near = hint(wrong, valid.iter().copied());
        return Fault {
            line,
            key: (*wrong).to_owned(),
            what: format!("unknown key{near}; valid here: {}", valid.join(", ")),
        };
    }
    if let (true, Some(missing)) = (message.starts_with("missing field"), quoted.first()) {
        return Fault { line, key: (*missing).to_owned(), what: "this key is missing here".to_owned() };
    }
    let key = error.span().map_or_else(String::new, |span| key_at(text, &span));
    Fault { line, key, what: message.trim().to_owned() }
}

/// The key of the line that holds a value's first byte.
fn key_at(text: &str, span: &Range<usize>) -> String {
    let start = text[..span.start.min(text.len())].rfind('\n').map_or(0, |at| at + 1);
    let line = text[start..].lines().next().unwrap_or_default();
    line.split_once('=').map_or_else(String::new, |(key, _)| key.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_errors_find_the_word_that_was_meant() {
        let keys = ["id", "kind", "from", "to", "mode", "on_fault", "release_ms"];
        assert_eq!(nearest("onfault", keys), Some("on_fault"));
        assert_eq!(nearest("relaese_ms", keys), Some("release_ms"));
        assert_eq!(nearest("Mode", keys), Some("mode"));
        assert_eq!(nearest("colour", keys), None);
    }
}
