//! Exports as CSV (RFC 4180), safe to open in a spreadsheet: a cell that would start a formula is made a text
//! (OWASP, "CSV injection").

/// Rows of one export at most.
pub const ROWS_MAX: usize = 100_000;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::fault::Dressed;

/// A table being written.
#[derive(Debug, Default)]
pub struct Csv {
    text: String,
}

impl Csv {
    /// A table that begins with its header row. The mark at the beginning tells spreadsheets that this is UTF-8.
    pub fn new<T: AsRef<str>>(header: &[T]) -> Self {
        let mut csv = Self { text: "\u{feff}".to_owned() };
        csv.row(header);
        csv
    }

    /// Adds a row.
    pub fn row<T: AsRef<str>>(&mut self, cells: &[T]) {
        for (n, cell) in cells.iter().enumerate() {
            if n > 0 {
                self.text.push(',');
            }
            self.cell(cell.as_ref());
        }
        self.text.push_str("\r\n");
    }

    fn cell(&mut self, cell: &str) {
        let formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']);
        let quoted = formula || cell.contains([',', '"', '\r', '\n', ';', '\t']) || cell.starts_with(' ');
        if quoted {
            self.text.push('"');
        }
        if formula {
            self.text.push('\'');
        }
        for c in cell.chars() {
            if c == '"' {
                self.text.push('"');
            }
            self.text.push(c);
        }
        if quoted {
            self.text.push('"');
        }
    }

    /// What was written so far, for a table that is sent in pieces.
    pub fn into_text(self) -> String {
        self.text
    }

    /// As a download; the name is ours, never the visitor's.
    pub fn into_response(self, name: &'static str) -> Response {
        let mut response = (StatusCode::OK, self.text).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8"));
        if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
            headers.insert(header::CONTENT_DISPOSITION, value);
        }
        response.extensions_mut().insert(Dressed);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_and_never_formulas() {
        let mut csv = Csv::new(&["a", "b"]);
        csv.row(&["=HYPERLINK(\"http://evil\")", "plain"]);
        csv.row(&["-1+1", "a,\"b\"\r\nc"]);
        csv.row(&["@SUM", "\t=1"]);
        let expected = "\u{feff}a,b\r\n\"'=HYPERLINK(\"\"http://evil\"\")\",plain\r\n\"'-1+1\",\"a,\"\"b\"\"\r\nc\"\r\n\"'@SUM\",\"'\t=1\"\r\n";
        assert_eq!(csv.text, expected);
    }
}
