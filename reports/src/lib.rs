//! Papers: receipts, statements and reports as PDF, made of plain texts and tables. Knows nothing of clinics, money or
//! languages: whoever asks has written every word already. Pure: no file, clock or socket; the same input gives the same
//! bytes.
//!
//! A paper is a PDF/A-2 file (ISO 19005-2): its typeface is within it, so that it prints alike everywhere and after years. One
//! of at most [`MARKED_ROWS_MAX`] rows is of level A: its tables are marked as such for those who have it read to them; a
//! longer one, which nobody has read to them, is of level U, and a fifth of the size. Letters of the Latin, Greek and Cyrillic scripts, and of
//! others written from left to right without joining, as far as DejaVu Sans has them; any other letter becomes a mark that
//! stands for it.

mod layout;
mod letters;
mod write;

use thiserror::Error;

/// Most rows of all tables of one paper.
pub const ROWS_MAX: usize = 25_000;
/// Most rows of a paper whose tables are marked.
pub const MARKED_ROWS_MAX: usize = 2_000;
/// Most columns of a table.
pub const COLUMNS_MAX: usize = 16;
/// Longest text of a cell, fact or paragraph, in characters; the rest is cut off, with a mark.
pub const TEXT_MAX: usize = 2_000;
/// Most facts, and most parts, of one paper.
pub const PARTS_MAX: usize = 1_000;

/// What a paper is printed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sheet {
    /// 210 by 297 mm.
    A4,
    /// The roll of a receipt printer: 80 mm wide, of which 72 can be printed on, and as long as the paper is.
    Roll80,
}

/// How the cells of a column stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// At the left: words.
    Left,
    /// At the right: numbers.
    Right,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its head; repeated on each page.
    pub head: String,
    /// Its share of the width: a column of 20 is twice as wide as one of 10. Not zero.
    pub width: u16,
    /// How its cells stand.
    pub align: Align,
}

/// What a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowKind {
    /// One of many.
    Plain,
    /// A sum: with a line above it, in bold.
    Total,
}

/// A row of a table: a cell for each column; missing cells are empty, further ones are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The cells.
    pub cells: Vec<String>,
    /// What it is.
    pub kind: RowKind,
}

impl Row {
    /// One of many.
    pub const fn plain(cells: Vec<String>) -> Self {
        Self { cells, kind: RowKind::Plain }
    }

    /// A sum.
    pub const fn total(cells: Vec<String>) -> Self {
        Self { cells, kind: RowKind::Total }
    }
}

/// A table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Its columns.
    pub columns: Vec<Column>,
    /// Its rows.
    pub rows: Vec<Row>,
}

/// A part of a paper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// What the parts below it are about.
    Heading(String),
    /// A paragraph.
    Text(String),
    /// Something that must not be overlooked, in bold: what is still to be paid.
    Strong(String, String),
    /// Facts: what, and its value.
    Facts(Vec<(String, String)>),
    /// A table.
    Table(Table),
}

/// When a paper was made, in UTC; it stands in the file only. What people read is a fact like others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Made {
    /// Year, month 1-12, day 1-31.
    pub date: (u16, u8, u8),
    /// Hour, minute, second.
    pub time: (u8, u8, u8),
}

/// A paper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paper {
    /// What it is printed on.
    pub sheet: Sheet,
    /// The language of its texts, as in `en` or `ru`; for those who have it read to them.
    pub language: String,
    /// When it was made.
    pub made: Made,
    /// Who gives it: above the title.
    pub issuer: String,
    /// What it is.
    pub title: String,
    /// What stands below the title: numbers, names, days.
    pub facts: Vec<(String, String)>,
    /// Its parts.
    pub parts: Vec<Part>,
    /// What stands at the foot of each page of an A4 paper, and once at the end of a roll.
    pub foot: String,
    /// The number of the page, with `{n}` for it and `{m}` for how many there are. Empty: no numbers. Never on a roll.
    pub page: String,
}

/// Why there is no paper.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PaperError {
    /// More than [`ROWS_MAX`] rows, [`COLUMNS_MAX`] columns or [`PARTS_MAX`] parts.
    #[error("a paper has at most {ROWS_MAX} rows, {COLUMNS_MAX} columns and {PARTS_MAX} parts; ask for fewer days")]
    TooLong,
    /// A table without a column, or a column of no width.
    #[error("a table has at least one column, and each column some width")]
    NoColumn,
    /// The typeface could not be read, or the file could not be written. A fault of the program.
    #[error("the paper could not be written: {0}")]
    Broken(String),
}

impl Paper {
    /// The paper as a file.
    ///
    /// # Errors
    /// [`PaperError`].
    pub fn pdf(&self) -> Result<Vec<u8>, PaperError> {
        let tables =
            || self.parts.iter().filter_map(|part| if let Part::Table(table) = part { Some(table) } else { None });
        let facts = self.parts.iter().map(|part| if let Part::Facts(facts) = part { facts.len() } else { 0 });
        let is_wide = tables().any(|table| table.columns.len() > COLUMNS_MAX);
        let rows: usize = tables().map(|table| table.rows.len()).sum();
        let parts = self.parts.len() + self.facts.len() + facts.sum::<usize>();
        if rows > ROWS_MAX || is_wide || parts > PARTS_MAX {
            return Err(PaperError::TooLong);
        }
        if tables().any(|table| table.columns.is_empty() || table.columns.iter().any(|column| column.width == 0)) {
            return Err(PaperError::NoColumn);
        }
        let typeface = letters::typeface().ok_or_else(|| PaperError::Broken("no typeface".to_owned()))?;
        let laid = layout::lay(self, typeface);
        write::write(self, typeface, &laid, rows <= MARKED_ROWS_MAX)
    }
}

#[cfg(test)]
mod tests;
