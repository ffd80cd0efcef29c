//! A list as a spreadsheet writes it: comma, semicolon or tab, with or without a byte order mark, columns in any order. Pure.

use chrono_tz::Tz;
use clinic::feeds::read::{Fields, fields_of, read_list};
use clinic::feeds::{FeedKind, List, Mode, RECORDS_MAX};
use serde_json::Value;
use thiserror::Error;

/// Largest file, in bytes.
pub const FILE_MAX_BYTES: u64 = 256 * 1024 * 1024;

/// Why a file is no list at all. Nothing of it is taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NotAList {
    /// Larger than [`FILE_MAX_BYTES`].
    #[error("the file has more than {FILE_MAX_BYTES} bytes; send it in parts")]
    TooLarge,
    /// Not UTF-8.
    #[error("line {0}: the text is not UTF-8; save the file as \"CSV UTF-8\"")]
    Encoding(u64),
    /// Nothing in it.
    #[error("the file is empty; its first line names the columns: {0}")]
    Empty(String),
    /// A column that nobody knows.
    #[error("line 1: column {0} is not known; known are {1}")]
    Column(usize, String),
    /// Two columns of one name.
    #[error("line 1: column {0} is there twice")]
    Twice(usize),
    /// It stops in the middle.
    #[error(
        "line {0}: it has another number of fields than the first line: the file is cut off, or a field needs quotation marks"
    )]
    Ragged(u64),
    /// It stops in the middle of its last line.
    #[error("the last line does not end: the file is cut off, or was copied while it was written")]
    CutOff,
    /// Too many rows.
    #[error("the file has more than {RECORDS_MAX} rows; send it in parts")]
    TooMany,
}

/// What a file is about and whether it is everything, by its name: `staff.csv`, `patients.whole.csv`,
/// `appointments-2026-11-22.csv`. `None`: not one of ours.
pub fn kind_of_file(name: &str) -> Option<(FeedKind, Mode)> {
    let stem = name.strip_suffix(".csv").or_else(|| name.strip_suffix(".CSV"))?;
    let word = stem.split(['.', '-', '_', ' ']).next()?;
    let kind = FeedKind::parse(&word.to_ascii_lowercase())?;
    let is_whole = stem.split(['.', '-', '_', ' ']).any(|part| part.eq_ignore_ascii_case("whole"));
    Some((kind, if is_whole { Mode::Whole } else { Mode::Changes }))
}

/// Reads a file. `zone`: the clinic's.
///
/// # Errors
/// [`NotAList`]: nothing may be taken of it. What is wrong with single rows is in the list.
pub fn read_sheet(kind: FeedKind, bytes: &[u8], mode: Mode, zone: Tz) -> Result<List, NotAList> {
    if bytes.len() as u64 > FILE_MAX_BYTES {
        return Err(NotAList::TooLarge);
    }
    let text = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let text = match std::str::from_utf8(text) {
        Ok(text) => text,
        Err(error) => {
            let lines = text[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count() as u64;
            return Err(NotAList::Encoding(lines + 1));
        }
    };
    let known = fields_of(kind);
    if text.trim().is_empty() {
        return Err(NotAList::Empty(known.join(",")));
    }
    if !text.ends_with(['\n', '\r']) {
        return Err(NotAList::CutOff);
    }
    let first = text.lines().next().unwrap_or_default();
    let count = |wanted: char| first.matches(wanted).count();
    let delimiter =
        [(';', b';'), ('\t', b'\t')].into_iter().filter(|(c, _)| count(*c) > count(',')).max_by_key(|(c, _)| count(*c));
    let mut lines = csv::ReaderBuilder::new()
        .has_headers(false)
        .delimiter(delimiter.map_or(b',', |(_, byte)| byte))
        .from_reader(text.as_bytes());
    let mut columns: Option<Vec<&'static str>> = None;
    let mut rows = Vec::new();
    let mut record = csv::StringRecord::new();
    loop {
        match lines.read_record(&mut record) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => {
                let line = error.position().map_or_else(|| lines.position().line(), csv::Position::line);
                return Err(NotAList::Ragged(line));
            }
        }
        let Some(columns) = &columns else {
            columns = Some(header(&record, &known)?);
            continue;
        };
        if rows.len() >= RECORDS_MAX {
            return Err(NotAList::TooMany);
        }
        if record.iter().all(|field| field.trim().is_empty()) {
            continue;
        }
        let cells = columns.iter().zip(record.iter());
        let filled = cells.filter(|(_, cell)| !cell.trim().is_empty());
        rows.push(filled.map(|(name, cell)| ((*name).to_owned(), Value::String(cell.to_owned()))).collect::<Fields>());
    }
    Ok(read_list(kind, rows, mode, zone))
}

/// Which field each column is.
fn header(record: &csv::StringRecord, known: &[&'static str]) -> Result<Vec<&'static str>, NotAList> {
    let mut columns = Vec::with_capacity(record.len());
    for (place, name) in (1..).zip(record.iter()) {
        let name = name.trim().to_ascii_lowercase();
        let Some(field) = known.iter().find(|field| **field == name) else {
            return Err(NotAList::Column(place, known.join(", ")));
        };
        if columns.contains(field) {
            return Err(NotAList::Twice(place));
        }
        columns.push(*field);
    }
    Ok(columns)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Result<List, NotAList> {
        read_sheet(FeedKind::Patients, text, Mode::Whole, Tz::UTC)
    }

    #[test]
    fn a_list_is_read_whatever_the_spreadsheet_and_half_a_list_is_refused_whole() {
        let list = read("\u{FEFF}id;family;until\r\nP-1;Іваненко;2026-01-02\r\n\r\nP-2;;\r\n".as_bytes()).unwrap();
        assert_eq!((list.records.len(), list.refused.len()), (2, 0));
        assert_eq!(read(b"id,family\nP-1,\"a,b\"\n").unwrap().records.len(), 1);
        assert_eq!(read(b"id,family\nP-1,\n,x\n").unwrap().refused.len(), 1);
        assert_eq!(read(b"id,family\nP-1\n").unwrap_err(), NotAList::Ragged(2));
        assert_eq!(read(b"id,family\nP-1,x").unwrap_err(), NotAList::CutOff);
        assert_eq!(read(b"id\n\xC8\xE2\n").unwrap_err(), NotAList::Encoding(2));
        assert_eq!(read(b"id,id\n").unwrap_err(), NotAList::Twice(2));
        assert!(matches!(read(b"id,nickname\n").unwrap_err(), NotAList::Column(2, _)));
        assert!(matches!(read(b"\n").unwrap_err(), NotAList::Empty(_)));
    }

    #[test]
    fn the_name_of_a_file_says_what_it_is() {
        assert_eq!(kind_of_file("staff.csv"), Some((FeedKind::Staff, Mode::Changes)));
        assert_eq!(kind_of_file("patients.whole.csv"), Some((FeedKind::Patients, Mode::Whole)));
        assert_eq!(kind_of_file("Appointments-2026-11-22.csv"), Some((FeedKind::Appointments, Mode::Changes)));
        for name in ["patient.csv", "staff.txt", "staff.csv.part", ".staff.csv", "notes"] {
            assert_eq!(kind_of_file(name), None, "{name}");
        }
    }
}
