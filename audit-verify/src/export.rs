//! Checking an export: lines of JSON, a first one, the entries, a last one.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use domain::audit::{SignedHead, TreeHash};
use serde_json::{Map, Value};

use crate::checker::{Checker, Stored};
use crate::report::FaultKind;
use crate::{Error, Published, Report, json};

/// Longest line read, in bytes: columns are bounded far below.
const LINE_MAX_BYTES: u64 = 256 * 1024;
/// The version of the form that this program reads.
const VERSION: u64 = 1;

/// Checks an export. The head in its last line is compared too, if one of the keys signed it: but that it was published
/// only a second place shows.
///
/// # Errors
/// [`Error::File`]; [`Error::Form`] when it is no export at all.
pub fn verify_export(path: &Path, published: Published) -> Result<Report, Error> {
    let failed = |error| Error::File { path: path.to_owned(), error };
    let file = File::open(path).map_err(failed)?;
    let mut lines = Lines { reader: BufReader::with_capacity(1 << 20, file), bytes: Vec::new() };
    let strange = |problem: &str| Error::Form {
        path: path.to_owned(),
        expected: "an export of an audit log",
        problem: problem.to_owned(),
    };
    let first = match lines.next().map_err(failed)? {
        Some(Ok(object)) => object,
        Some(Err(problem)) => return Err(strange(&problem)),
        None => return Err(strange("it is empty")),
    };
    match first.get("tapward_audit_export").and_then(Value::as_u64) {
        Some(VERSION) => {}
        Some(_) => return Err(strange("it is of a version that this program does not know")),
        None => return Err(strange("its first line does not say so")),
    }
    let whole = first.get("whole").and_then(Value::as_bool).unwrap_or(false);
    let site = first.get("site").and_then(Value::as_str).map(str::to_owned);
    let mut judge = if whole { Judge::Whole(Box::new(Checker::new(published, None))) } else { Judge::selection() };
    let mut number = 1_u64;
    let mut end = None;
    while let Some(line) = lines.next().map_err(failed)? {
        number += 1;
        if end.is_some() {
            judge.fault(FaultKind::EntryExtra, None, format!("line {number} stands behind the end"));
            break;
        }
        let read = line.and_then(|object| {
            if object.get("end").and_then(Value::as_bool) == Some(true) {
                Ok(Line::End(object))
            } else {
                json::stored(object).map(|stored| Line::Entry(Box::new(stored)))
            }
        });
        match read {
            Ok(Line::Entry(stored)) => judge.entry(&stored),
            Ok(Line::End(object)) => end = Some(object),
            Err(problem) => judge.fault(FaultKind::EntryUnreadable, None, format!("line {number}: {problem}")),
        }
    }
    Ok(judge.finish(end, site.as_deref()))
}

enum Line {
    Entry(Box<Stored>),
    End(Map<String, Value>),
}

struct Lines {
    reader: BufReader<File>,
    bytes: Vec<u8>,
}

impl Lines {
    /// The next line as an object, or what is wrong with it.
    fn next(&mut self) -> std::io::Result<Option<Result<Map<String, Value>, String>>> {
        self.bytes.clear();
        if self.reader.by_ref().take(LINE_MAX_BYTES).read_until(b'\n', &mut self.bytes)? == 0 {
            return Ok(None);
        }
        Ok(Some(serde_json::from_slice(&self.bytes).map_err(|error| format!("this is not an object of JSON: {error}"))))
    }
}

/// The whole log is compared with what was published; of a selection each entry is compared with its own hash.
enum Judge {
    Whole(Box<Checker>),
    Selection(Box<Checker>, u64),
}

impl Judge {
    fn selection() -> Self {
        Self::Selection(Box::new(Checker::new(Published::default(), None)), 0)
    }

    fn checker(&mut self) -> &mut Checker {
        match self {
            Self::Whole(checker) | Self::Selection(checker, _) => checker,
        }
    }

    fn fault(&mut self, kind: FaultKind, entries: Option<(u64, u64)>, found: String) {
        self.checker().fault(kind, entries, found);
    }

    fn entry(&mut self, stored: &Stored) {
        match self {
            Self::Whole(checker) => checker.entry(stored),
            Self::Selection(checker, count) => {
                *count += 1;
                checker.lone_entry(stored);
            }
        }
    }

    fn finish(mut self, end: Option<Map<String, Value>>, site: Option<&str>) -> Report {
        let Some(end) = end else {
            self.fault(FaultKind::FileCutOff, None, "the last line is missing".to_owned());
            return self.report();
        };
        if let Self::Whole(checker) = &mut self {
            let root: Option<TreeHash> = end.get("root").and_then(|root| root.as_str()?.parse().ok());
            let size = end.get("size").and_then(Value::as_u64);
            if size != Some(checker.entries()) || root != Some(checker.root()) {
                let found = "size or root in the last line are not those of the entries";
                checker.fault(FaultKind::StateAltered, None, found);
            }
            match end.get("head").map(|head| head.as_str().unwrap_or_default().parse::<SignedHead>()) {
                None => {}
                Some(Ok(head)) => checker.late_head(head, site),
                Some(Err(error)) => {
                    checker.fault(FaultKind::HeadAltered, None, format!("the head in the last line: {error}"));
                }
            }
        }
        self.report()
    }

    fn report(self) -> Report {
        match self {
            Self::Whole(checker) => checker.finish(None),
            Self::Selection(checker, count) => {
                Report { entries: count, root: None, covered: 0, ..checker.finish(None) }
            }
        }
    }
}
