//! Reading a price list from a CSV file, as spreadsheets write it: comma, semicolon or tab, with or without a byte order mark,
//! columns in any order. Owns what each column may contain and what is wrong with it. Pure: no database.

use std::collections::BTreeMap;
use std::fmt;

use domain::codes;
use domain::money::{Amount, Currency, MoneyError};

use super::office::{NAME_MAX_CHARS, WORD_MAX_CHARS, read_code};

/// The column that must be there.
pub const LIST_COLUMN: &str = "service";
/// Columns that may be there, beside `name_en`, `name_ru` and so on.
pub const LIST_COLUMNS: [&str; 6] = ["price", "currency", "category", "at_home", "external", "ended"];
/// Largest file, in bytes.
pub const LIST_MAX_BYTES: usize = 16 << 20;
/// Most rows of one file.
pub const LIST_ROWS_MAX: usize = 50_000;
/// Longest field, in bytes.
const FIELD_MAX_BYTES: usize = 1000;
/// Faults kept for the report; further ones are counted.
const FAULTS_MAX: usize = 1000;
/// What is written for a service that costs nothing.
pub const FREE: &str = "free";
/// What is written for a service that is not sold any more in a currency.
pub const NONE: &str = "none";

codes! {
    /// What is wrong with a cell, or with a file.
    ListFaultKind {
        /// Not a CSV file in UTF-8.
        NotCsv = "not_csv",
        /// More than [`LIST_MAX_BYTES`] or [`LIST_ROWS_MAX`].
        TooMuch = "too_much",
        /// There is no first line with the names of the columns.
        Empty = "empty",
        /// A column that is not known.
        Column = "column",
        /// A column that is there twice.
        ColumnTwice = "column_twice",
        /// A column that must be there and is not.
        ColumnMissing = "column_missing",
        /// More fields than the first line has.
        Fields = "fields",
        /// A field that is too long.
        Long = "long",
        /// Not a code.
        Code = "code",
        /// The same service and currency stand on an earlier line.
        Twice = "twice",
        /// Another line of the same service says otherwise.
        Differs = "differs",
        /// A service that is new has no name.
        NameMissing = "name_missing",
        /// A text with control characters, or too long.
        Text = "text",
        /// Neither yes nor no.
        Flag = "flag",
        /// Not a currency in use.
        Currency = "currency",
        /// 0: what costs nothing is written as a word, so that a forgotten price is none.
        Zero = "zero",
        /// Below zero.
        Negative = "negative",
        /// Not an amount.
        Amount = "amount",
        /// More digits after the decimal sign than the currency has.
        Digits = "digits",
        /// Beyond what an amount can be.
        Large = "large",
        /// No person, or more than one, has this number.
        Person = "person",
        /// Not a day.
        Day = "day",
        /// The last day lies before the first.
        Days = "days",
    }
}

impl ListFaultKind {
    /// What is wrong and what to do, in words for people who know the command line.
    const fn words(self) -> &'static str {
        match self {
            Self::NotCsv => "this is not a CSV file in UTF-8; save it as \"CSV UTF-8\"",
            Self::TooMuch => "the file has more than 16 MiB or 50000 rows; take it in parts",
            Self::Empty => "the file is empty; its first line names the columns",
            Self::Column => "this column is not known; remove it or correct its name",
            Self::ColumnTwice => "this column is there twice; remove one",
            Self::ColumnMissing => "this column must be there",
            Self::Fields => "there are more fields than columns; put fields with the separator into quotation marks",
            Self::Long => "the field is longer than 1000 bytes",
            Self::Code => "a code has 1 to 40 letters, digits, points, hyphens and underscores",
            Self::Twice => "this stands on an earlier line already; remove one of the two",
            Self::Differs => "another line of this service says otherwise; write the same on both",
            Self::NameMissing => "a new service needs a name; fill in a column like name_en",
            Self::Text => {
                "write one line without control characters, at most 120 characters for a name and 80 otherwise"
            }
            Self::Flag => "write yes or no",
            Self::Currency => "this is no currency in use; write the three capital letters of ISO 4217, like EUR",
            Self::Zero => "a price of 0 is written as the word free; leave the field empty to keep the price",
            Self::Negative => "a price is not negative",
            Self::Amount => "this is not an amount; write it like 1018.00, or free, or none",
            Self::Digits => "this has more digits after the decimal sign than the currency",
            Self::Large => "this amount is too large",
            Self::Person => "no person, or more than one, has this number",
            Self::Day => "write a day as 2027-03-31",
            Self::Days => "the last day lies before the first",
        }
    }
}

/// What is wrong with a line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListFault {
    /// The line, the first being 1.
    pub line: u64,
    /// The column; empty when the whole line is concerned.
    pub column: String,
    /// What is wrong.
    pub kind: ListFaultKind,
}

impl fmt::Display for ListFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)?;
        if !self.column.is_empty() {
            write!(f, ", column {}", self.column)?;
        }
        write!(f, ": {}", self.kind.words())
    }
}

/// Faults, the first of them kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListFaults {
    /// The first ones.
    pub kept: Vec<ListFault>,
    /// How many more there are.
    pub more: u64,
}

impl ListFaults {
    pub(super) fn add(&mut self, line: u64, column: &str, kind: ListFaultKind) {
        if self.kept.len() < FAULTS_MAX {
            self.kept.push(ListFault { line, column: column.to_owned(), kind });
        } else {
            self.more += 1;
        }
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }
}

/// What a line says of a price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ListPrice {
    /// It stays as it is.
    Keep,
    /// It is this one, or the service is not sold any more.
    Set(Option<Amount>),
}

/// A sound line. `None` in a field: the file has no such column, and it stays as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ListRow {
    pub line: u64,
    pub service: String,
    pub currency: Currency,
    pub price: ListPrice,
    pub names: BTreeMap<String, Option<String>>,
    pub category: Option<String>,
    pub at_home: Option<bool>,
    pub external: Option<Option<String>>,
    pub ended: Option<bool>,
}

/// A file's lines, split into fields.
pub(super) struct Sheet {
    pub columns: Vec<String>,
    pub rows: Vec<(u64, Vec<String>)>,
}

/// Splits a file. Only such columns are taken; `must` has to be there.
pub(super) fn sheet(
    file: &[u8],
    must: &str,
    is_known: impl Fn(&str) -> bool,
    faults: &mut ListFaults,
) -> Option<Sheet> {
    use ListFaultKind as K;
    if file.len() > LIST_MAX_BYTES {
        faults.add(1, "", K::TooMuch);
        return None;
    }
    let file = file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file);
    let Ok(text) = std::str::from_utf8(file) else {
        faults.add(1, "", K::NotCsv);
        return None;
    };
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter(text))
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let mut record = csv::StringRecord::new();
    if text.contains('\0') || text.starts_with("PK") || !reader.read_record(&mut record).unwrap_or(false) {
        faults.add(1, "", if text.trim().is_empty() { K::Empty } else { K::NotCsv });
        return None;
    }
    let columns: Vec<String> =
        record.iter().map(|name| name.chars().take(40).collect::<String>().to_ascii_lowercase()).collect();
    for (at, column) in columns.iter().enumerate() {
        if column != must && !is_known(column) {
            faults.add(1, column, K::Column);
        } else if columns.iter().position(|other| other == column) != Some(at) {
            faults.add(1, column, K::ColumnTwice);
        }
    }
    if !columns.iter().any(|column| column == must) {
        faults.add(1, must, K::ColumnMissing);
    }
    if !faults.is_empty() {
        return None;
    }
    let mut rows = Vec::new();
    loop {
        match reader.read_record(&mut record) {
            Ok(true) => {}
            Ok(false) => break,
            Err(_) => {
                faults.add(1, "", K::NotCsv);
                return None;
            }
        }
        if record.iter().all(str::is_empty) {
            continue;
        }
        let line = record.position().map_or(0, csv::Position::line);
        if rows.len() == LIST_ROWS_MAX {
            faults.add(line, "", K::TooMuch);
            return None;
        }
        if record.len() > columns.len() {
            faults.add(line, "", K::Fields);
            continue;
        }
        if let Some(at) = record.iter().position(|field| field.len() > FIELD_MAX_BYTES) {
            faults.add(line, &columns[at], K::Long);
            continue;
        }
        rows.push((line, record.iter().map(|field| unguarded(field).to_owned()).collect()));
    }
    Some(Sheet { columns, rows })
}

/// The separator that occurs most in the first line: spreadsheets of many languages write semicolons.
fn delimiter(text: &str) -> u8 {
    let first = text.lines().next().unwrap_or_default();
    let count = |wanted: u8| first.bytes().filter(|byte| *byte == wanted).count();
    [b';', b'\t'].into_iter().filter(|byte| count(*byte) > count(b',')).max_by_key(|byte| count(*byte)).unwrap_or(b',')
}

/// Without the quote that our exports put before what a spreadsheet would take for a formula.
fn unguarded(field: &str) -> &str {
    match field.strip_prefix('\'') {
        Some(rest) if rest.starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']) => rest,
        _ => field,
    }
}

/// The language of a column of names.
fn language(column: &str) -> Option<&str> {
    let language = column.strip_prefix("name_")?;
    ((2..=3).contains(&language.len()) && language.bytes().all(|it| it.is_ascii_lowercase())).then_some(language)
}

/// Reads a list; prices without a currency are in `currency`.
pub(super) fn read(file: &[u8], currency: Currency, faults: &mut ListFaults) -> Vec<ListRow> {
    let is_known = |column: &str| LIST_COLUMNS.contains(&column) || language(column).is_some();
    let Some(sheet) = sheet(file, LIST_COLUMN, is_known, faults) else { return Vec::new() };
    let mut rows = Vec::with_capacity(sheet.rows.len());
    let mut seen: BTreeMap<(String, Currency), u64> = BTreeMap::new();
    for (line, fields) in &sheet.rows {
        let row = read_row(*line, &Fields { columns: &sheet.columns, fields }, currency, faults);
        let Some(row) = row else { continue };
        if seen.insert((row.service.clone(), row.currency), *line).is_some() {
            faults.add(*line, LIST_COLUMN, ListFaultKind::Twice);
            continue;
        }
        rows.push(row);
    }
    rows
}

/// The fields of a line by column; `None`: there is no such column.
pub(super) struct Fields<'a> {
    pub columns: &'a [String],
    pub fields: &'a [String],
}

impl<'a> Fields<'a> {
    pub fn get(&self, name: &str) -> Option<&'a str> {
        let at = self.columns.iter().position(|column| column == name)?;
        Some(self.fields.get(at).map_or("", String::as_str))
    }
}

fn read_row(line: u64, fields: &Fields<'_>, currency: Currency, faults: &mut ListFaults) -> Option<ListRow> {
    use ListFaultKind as K;
    let field = |name: &str| fields.get(name);
    let before = faults.kept.len() + usize::try_from(faults.more).unwrap_or(0);
    let service = read_code("service", field(LIST_COLUMN).unwrap_or_default());
    if service.is_err() {
        faults.add(line, LIST_COLUMN, K::Code);
    }
    let currency = match field("currency") {
        None | Some("") => Some(currency),
        Some(text) => Currency::parse(text),
    };
    if currency.is_none() {
        faults.add(line, "currency", K::Currency);
    }
    let price = match (field("price"), currency) {
        (None | Some(""), _) => Ok(ListPrice::Keep),
        (Some(text), Some(currency)) => price(text, currency).map(ListPrice::Set),
        (Some(_), None) => Ok(ListPrice::Keep),
    };
    if let Err(kind) = price {
        faults.add(line, "price", kind);
    }
    let mut text = |name: &str, max: usize| {
        let text = field(name)?;
        if text.chars().count() > max || text.chars().any(char::is_control) {
            faults.add(line, name, K::Text);
        }
        Some(text.to_owned())
    };
    let (category, external) = (text("category", WORD_MAX_CHARS), text("external", WORD_MAX_CHARS));
    let mut names = BTreeMap::new();
    for column in fields.columns {
        if let (Some(language), Some(name)) = (language(column), text(column, NAME_MAX_CHARS)) {
            names.insert(language.to_owned(), Some(name).filter(|name| !name.is_empty()));
        }
    }
    let mut flag = |name: &str| {
        let read = flag(field(name)?);
        if read.is_none() {
            faults.add(line, name, K::Flag);
        }
        read
    };
    let (at_home, ended) = (flag("at_home"), flag("ended"));
    if faults.kept.len() + usize::try_from(faults.more).unwrap_or(0) > before {
        return None;
    }
    Some(ListRow {
        line,
        service: service.ok()?,
        currency: currency?,
        price: price.ok()?,
        names,
        category,
        at_home,
        external: external.map(|text| Some(text).filter(|text| !text.is_empty())),
        ended,
    })
}

/// A price of a list or a form: an amount above zero, `free`, or `none` (not sold any more).
///
/// # Errors
/// What is wrong with it.
pub fn price(text: &str, currency: Currency) -> Result<Option<Amount>, ListFaultKind> {
    use ListFaultKind as K;
    let text = text.trim();
    if text.eq_ignore_ascii_case(FREE) {
        return Ok(Some(Amount::ZERO));
    }
    if text.eq_ignore_ascii_case(NONE) {
        return Ok(None);
    }
    match currency.read(text) {
        Ok(amount) if amount.minor() < 0 => Err(K::Negative),
        Ok(amount) if amount == Amount::ZERO => Err(K::Zero),
        Ok(amount) => Ok(Some(amount)),
        Err(MoneyError::NotANumber) => Err(K::Amount),
        Err(MoneyError::TooFine(_)) => Err(K::Digits),
        Err(MoneyError::TooLarge) => Err(K::Large),
    }
}

/// How a price is written in a list.
pub fn price_text(price: Option<Amount>, currency: Currency) -> String {
    match price {
        None => NONE.to_owned(),
        Some(amount) if amount == Amount::ZERO => FREE.to_owned(),
        Some(amount) => currency.decimal(amount),
    }
}

fn flag(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "yes" | "1" | "true" | "да" | "так" => Some(true),
        "" | "no" | "0" | "false" | "нет" | "ні" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults_of(text: &str) -> Vec<(u64, String, ListFaultKind)> {
        let mut faults = ListFaults::default();
        read(text.as_bytes(), Currency::parse("UAH").unwrap(), &mut faults);
        faults.kept.into_iter().map(|it| (it.line, it.column, it.kind)).collect()
    }

    #[test]
    fn each_bad_cell_is_named_by_line_column_and_kind() {
        use ListFaultKind as K;
        let all = [
            ("a b,1,UAH", "service", K::Code),
            ("A,0,UAH", "price", K::Zero),
            ("A,0.00,UAH", "price", K::Zero),
            ("A,-5,UAH", "price", K::Negative),
            ("A,1e3,UAH", "price", K::Amount),
            ("A,1.005,UAH", "price", K::Digits),
            ("A,1.5,JPY", "price", K::Digits),
            ("A,99999999999999999999,UAH", "price", K::Large),
            ("A,1,ABC", "currency", K::Currency),
            ("A,1,uah", "currency", K::Currency),
        ];
        for (row, column, kind) in all {
            let text = format!("service,price,currency\nB,5,\n{row}\n");
            assert_eq!(faults_of(&text), [(3, column.to_owned(), kind)], "{row}");
        }
        assert_eq!(faults_of("service,at_home\nA,perhaps\n"), [(2, "at_home".to_owned(), K::Flag)]);
        assert_eq!(faults_of("service,price\nA,1\nA,2\n"), [(3, "service".to_owned(), K::Twice)]);
        assert_eq!(faults_of("service,price\nA,1,2\n"), [(2, String::new(), K::Fields)]);
        assert_eq!(faults_of("price\n1\n"), [(1, "service".to_owned(), K::ColumnMissing)]);
        assert_eq!(faults_of("service,cost\nA,1\n"), [(1, "cost".to_owned(), K::Column)]);
        assert_eq!(faults_of("service,price,price\nA,1,1\n"), [(1, "price".to_owned(), K::ColumnTwice)]);
        assert_eq!(faults_of(""), [(1, String::new(), K::Empty)]);
        assert_eq!(faults_of("service\nA\0"), [(1, String::new(), K::NotCsv)]);
        let mut faults = ListFaults::default();
        read(b"service\n\xff\xfe", Currency::default(), &mut faults);
        assert_eq!(faults.kept[0].kind, K::NotCsv);
    }

    #[test]
    fn what_spreadsheets_write_is_read() {
        let mut faults = ListFaults::default();
        let text = "\u{feff}Service;Price;name_ru;at_home\r\nA-1;1\u{a0}018,50;Осмотр;да\r\nB;free;'=x;\r\nC;none;;0\r\nD;;;\r\n";
        let rows = read(text.as_bytes(), Currency::parse("UAH").unwrap(), &mut faults);
        assert!(faults.is_empty(), "{faults:?}");
        let prices: Vec<_> = rows.iter().map(|row| row.price).collect();
        let set = |minor| ListPrice::Set(Amount::new(minor));
        assert_eq!(prices, [set(101_850), set(0), ListPrice::Set(None), ListPrice::Keep]);
        assert_eq!(rows[0].at_home, Some(true));
        assert_eq!(rows[1].names["ru"].as_deref(), Some("=x"));
        assert_eq!((rows[2].names["ru"].as_deref(), rows[0].ended), (None, None));
        assert_eq!(price_text(Amount::new(101_850), rows[0].currency), "1018.50");
    }

    #[test]
    fn a_file_with_many_faults_says_how_many() {
        let mut text = "service,price\n".to_owned();
        (0..FAULTS_MAX + 7).for_each(|n| text.push_str(&format!("A{n},0\n")));
        let mut faults = ListFaults::default();
        read(text.as_bytes(), Currency::default(), &mut faults);
        assert_eq!((faults.kept.len(), faults.more), (FAULTS_MAX, 7));
    }
}
