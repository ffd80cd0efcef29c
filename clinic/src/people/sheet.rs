//! Reading the list of people from a CSV file, as spreadsheets write it: comma, semicolon or tab, with or without a
//! byte order mark, columns in any order. Owns what each column may contain and how a mistake is explained. Pure: no
//! database. Card numbers and PINs become keyed hashes here and are never part of a message.

use std::collections::HashMap;
use std::fmt;
use std::io::Read;

use chrono::{DateTime, Days, LocalResult, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone};
use chrono_tz::Tz;
use domain::card::{self, CardFormat, CardKey, SealKey, SealedNumber};
use domain::pin::{Pin, PinHash, PinKey};
use domain::policy::PassKind;
use domain::{CardId, CategoryId, PersonId, Spoken, UtcMillis};

use domain::vault::PassportChange;

use super::{Reference, names};

/// The columns that must be there, in any order.
pub const COLUMNS: [&str; 7] =
    ["person", "kind", "category", "card_format", "card_number", "valid_from", "valid_until"];
/// Columns that may be there.
pub const OPTIONAL_COLUMNS: [&str; 3] = ["pin", "duress_pin", "language"];
/// Columns that go into the identity vault; they may be there, too.
pub const NAME_COLUMNS: [&str; 7] = ["family", "given", "middle", "birth_date", "phone", "email", "document"];
/// Largest file, in bytes: ten times a million rows of ordinary length.
pub const FILE_MAX_BYTES: u64 = 1 << 30;
/// Most rows of one file.
pub const ROWS_MAX: usize = 2_000_000;
/// Longest field, in bytes.
pub const FIELD_MAX_BYTES: usize = 256;
/// Mistakes kept for the report; further ones are counted.
pub(super) const ERRORS_MAX: usize = 1000;

/// A mistake in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowError {
    /// Its line, the first being 1.
    pub line: u64,
    /// Its column; empty when the whole line is concerned.
    pub column: &'static str,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub advice: String,
}

impl fmt::Display for RowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)?;
        if !self.column.is_empty() {
            write!(f, ", column {}", self.column)?;
        }
        write!(f, ": {}; {}", self.problem, self.advice)
    }
}

/// Why the file cannot be read as a list at all.
#[derive(Debug, thiserror::Error)]
pub enum SheetError {
    /// The operating system.
    #[error("the file cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// The first line.
    #[error("line 1: {0}")]
    Header(String),
    /// More than [`FILE_MAX_BYTES`] or [`ROWS_MAX`].
    #[error("the file has more than {0}; import it in parts")]
    TooLarge(String),
}

/// Who is meant by the column `person`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Holder {
    /// A pseudonym of ours.
    Pseudonym(PersonId),
    /// What another system calls the person.
    Reference(Reference),
}

impl Holder {
    pub fn pseudonym(&self) -> Option<PersonId> {
        match self {
            Self::Pseudonym(person) => Some(*person),
            Self::Reference(_) => None,
        }
    }

    pub fn reference(&self) -> Option<&str> {
        match self {
            Self::Pseudonym(_) => None,
            Self::Reference(reference) => Some(reference.reveal()),
        }
    }
}

/// A sound row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub line: u64,
    pub holder: Holder,
    pub kind: PassKind,
    pub category: CategoryId,
    pub card: CardId,
    pub valid_from: Option<UtcMillis>,
    pub valid_until: Option<UtcMillis>,
    /// `None`: the file says nothing about it.
    pub pin: Option<PinHash>,
    pub duress: Option<PinHash>,
    /// Only with a key to seal it.
    pub number: Option<SealedNumber>,
    /// What the vault is to know of the holder; `None`: the file says nothing.
    pub passport: Option<PassportChange>,
    /// What the holder is spoken to in; `None`: the file says nothing.
    pub language: Option<Spoken>,
}

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Sheet {
    pub rows: Vec<Wanted>,
    pub count: u64,
    pub errors: Mistakes,
}

/// Mistakes, the first of them kept.
#[derive(Debug, Default)]
pub(super) struct Mistakes {
    pub kept: Vec<RowError>,
    pub more: u64,
}

impl Mistakes {
    pub fn push(&mut self, error: RowError) {
        if self.kept.len() < ERRORS_MAX {
            self.kept.push(error);
        } else {
            self.more += 1;
        }
    }
}

/// What is needed to understand the columns.
#[derive(Debug)]
pub(super) struct Reading {
    pub card_key: CardKey,
    pub pin_key: Option<PinKey>,
    pub seal_key: Option<SealKey>,
    pub zone: Tz,
    /// The day, for dates of birth.
    pub today: NaiveDate,
}

pub(super) fn read(source: impl Read, reading: &Reading) -> Result<Sheet, SheetError> {
    let mut bytes = Vec::new();
    source.take(FILE_MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_MAX_BYTES {
        return Err(SheetError::TooLarge("1 GiB".to_owned()));
    }
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    if text.starts_with(b"\xff\xfe") || text.starts_with(b"\xfe\xff") || text.starts_with(b"PK") {
        let problem = "this is not a CSV file in UTF-8; save it as \"CSV UTF-8\"";
        return Err(SheetError::Header(problem.to_owned()));
    }
    let mut lines = csv::ReaderBuilder::new()
        .delimiter(delimiter(text))
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(text);
    let mut record = csv::ByteRecord::new();
    let read = |error: csv::Error| SheetError::Header(error.to_string());
    if !lines.read_byte_record(&mut record).map_err(read)? {
        return Err(SheetError::Header(format!("the file is empty; its first line is {}", COLUMNS.join(","))));
    }
    let columns = Columns::find(&record)?;
    let mut sheet = Sheet::default();
    let mut seen: HashMap<CardId, u64> = HashMap::new();
    while lines.read_byte_record(&mut record).map_err(SheetErrorAt::from)? {
        if record.iter().all(<[u8]>::is_empty) {
            continue;
        }
        sheet.count += 1;
        if sheet.count > ROWS_MAX as u64 {
            return Err(SheetError::TooLarge(format!("{ROWS_MAX} rows")));
        }
        let line = record.position().map_or(0, csv::Position::line);
        match columns.row(&record, line, reading) {
            Ok(row) => match seen.insert(row.card, line) {
                None => sheet.rows.push(row),
                Some(earlier) => sheet.errors.push(RowError {
                    line,
                    column: "card_number",
                    problem: format!("this card is already on line {earlier}"),
                    advice: "remove one of the two lines".to_owned(),
                }),
            },
            Err(errors) => errors.into_iter().for_each(|error| sheet.errors.push(error)),
        }
    }
    Ok(sheet)
}

/// A reading error of the CSV layer itself, which after the header can only be one of memory.
struct SheetErrorAt(SheetError);

impl From<csv::Error> for SheetErrorAt {
    fn from(error: csv::Error) -> Self {
        Self(SheetError::Io(error.into()))
    }
}

impl From<SheetErrorAt> for SheetError {
    fn from(error: SheetErrorAt) -> Self {
        error.0
    }
}

/// The separator that occurs most in the first line: spreadsheets of many languages write semicolons.
fn delimiter(text: &[u8]) -> u8 {
    let first = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let count = |wanted: u8| first.iter().filter(|byte| **byte == wanted).count();
    [b';', b'\t'].into_iter().filter(|byte| count(*byte) > count(b',')).max_by_key(|byte| count(*byte)).unwrap_or(b',')
}

/// At which position each column stands.
struct Columns {
    required: [usize; COLUMNS.len()],
    optional: [Option<usize>; OPTIONAL_COLUMNS.len()],
    names: [Option<usize>; NAME_COLUMNS.len()],
    count: usize,
}

impl Columns {
    fn find(header: &csv::ByteRecord) -> Result<Self, SheetError> {
        let names: Vec<String> =
            header.iter().map(|name| String::from_utf8_lossy(name).trim().to_ascii_lowercase()).collect();
        let place = |wanted: &str| names.iter().position(|name| name == wanted);
        for (position, name) in names.iter().enumerate() {
            let all = || COLUMNS.iter().chain(&OPTIONAL_COLUMNS).chain(&NAME_COLUMNS);
            if !all().any(|known| known == name) {
                let shown: String = name.chars().take(40).collect();
                let known = all().copied().collect::<Vec<_>>().join(", ");
                return Err(SheetError::Header(format!("the column {shown:?} is not known; known are {known}")));
            }
            if place(name) != Some(position) {
                return Err(SheetError::Header(format!("the column {name} is there twice")));
            }
        }
        let mut required = [0; COLUMNS.len()];
        for (slot, name) in required.iter_mut().zip(COLUMNS) {
            *slot = place(name).ok_or_else(|| {
                SheetError::Header(format!("the column {name} is missing; the first line is {}", COLUMNS.join(",")))
            })?;
        }
        Ok(Self { required, optional: OPTIONAL_COLUMNS.map(place), names: NAME_COLUMNS.map(place), count: names.len() })
    }

    fn row(&self, record: &csv::ByteRecord, line: u64, reading: &Reading) -> Result<Wanted, Vec<RowError>> {
        let mut errors = Vec::new();
        let [person, kind, category, format, number, from, until] =
            std::array::from_fn(|index| Field::take(record, self.required[index], COLUMNS[index], line, &mut errors));
        let [pin, duress, language] = std::array::from_fn(|index| {
            let name = OPTIONAL_COLUMNS[index];
            self.optional[index].and_then(|position| Field::take(record, position, name, line, &mut errors))
        });
        let named = std::array::from_fn(|index| {
            let name = NAME_COLUMNS[index];
            self.names[index].and_then(|position| Field::take(record, position, name, line, &mut errors))
        });
        let passport = names::read(named, reading.today, &mut errors);
        if record.len() > self.count {
            errors.push(RowError {
                line,
                column: "",
                problem: format!("there are {} fields, the first line has {}", record.len(), self.count),
                advice: "put fields that contain the separator into quotation marks".to_owned(),
            });
        }
        let mut read = Mistaken { errors: &mut errors };
        let holder = read.take(person, holder);
        let kind = read.take(kind, pass_kind);
        let category = read.take(category, |text| {
            CategoryId::new(text).map_err(|error| (error.to_string(), "write for example patient-paying".to_owned()))
        });
        let format = read.take(format, card_format);
        let card = match format {
            Some(format) => read.take(number, |text| {
                let number = card::parse(format, text)
                    .map_err(|error| (error.to_string(), "correct the number or its format".to_owned()))?;
                let sealed = reading.seal_key.as_ref().map(|key| key.seal(&number));
                Ok((reading.card_key.id(&number), sealed))
            }),
            None => None,
        };
        let sealed = card.and_then(|(_, sealed)| sealed);
        let card = card.map(|(card, _)| card);
        let valid_from = read.take(from, |text| instant(text, reading.zone, Edge::From));
        let valid_until = read.take(until, |text| instant(text, reading.zone, Edge::Until));
        let pin = card.and_then(|card| read.take(pin, |text| pin_of(text, card, reading)));
        let duress = card.and_then(|card| read.take(duress, |text| pin_of(text, card, reading)));
        let language = read.take(language, spoken);
        if let (Some(Some(from)), Some(Some(until))) = (valid_from, valid_until)
            && until <= from
        {
            errors.push(RowError {
                line,
                column: "valid_until",
                problem: "the pass ends before it begins".to_owned(),
                advice: "exchange or correct the two dates".to_owned(),
            });
        }
        if let (Some(Some(pin)), Some(Some(duress))) = (pin, duress)
            && pin == duress
        {
            errors.push(RowError {
                line,
                column: "duress_pin",
                problem: "it is the same as the ordinary PIN".to_owned(),
                advice: "choose another, or leave it empty".to_owned(),
            });
        }
        match (holder, kind, category, card) {
            (Some(holder), Some(kind), Some(category), Some(card)) if errors.is_empty() => Ok(Wanted {
                line,
                holder,
                kind,
                category,
                card,
                valid_from: valid_from.flatten(),
                valid_until: valid_until.flatten(),
                pin: pin.flatten(),
                duress: duress.flatten(),
                number: sealed,
                passport,
                language: language.flatten(),
            }),
            _ => Err(errors),
        }
    }
}

/// One field's text with its place.
pub(super) struct Field<'a> {
    pub text: &'a str,
    pub column: &'static str,
    pub line: u64,
}

impl<'a> Field<'a> {
    fn take(
        record: &'a csv::ByteRecord,
        position: usize,
        column: &'static str,
        line: u64,
        errors: &mut Vec<RowError>,
    ) -> Option<Self> {
        let mut wrong = |problem: &str, advice: &str| {
            errors.push(RowError { line, column, problem: problem.to_owned(), advice: advice.to_owned() });
            None
        };
        let Some(bytes) = record.get(position) else {
            return wrong("the line ends before this column", "add the missing separators");
        };
        if bytes.len() > FIELD_MAX_BYTES {
            return wrong("the text is too long", "shorten it to 256 bytes");
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => Some(Self { text, column, line }),
            Err(_) => wrong("the text is not UTF-8", "save the file as \"CSV UTF-8\""),
        }
    }
}

/// Problem and advice.
type Complaint = (String, String);

struct Mistaken<'a> {
    errors: &'a mut Vec<RowError>,
}

impl Mistaken<'_> {
    fn take<T>(&mut self, field: Option<Field<'_>>, read: impl FnOnce(&str) -> Result<T, Complaint>) -> Option<T> {
        let Field { text, column, line } = field?;
        match read(text) {
            Ok(value) => Some(value),
            Err((problem, advice)) => {
                self.errors.push(RowError { line, column, problem, advice });
                None
            }
        }
    }
}

fn holder(text: &str) -> Result<Holder, Complaint> {
    if let Ok(person) = text.parse::<PersonId>() {
        return Ok(Holder::Pseudonym(person));
    }
    Reference::new(text).map(Holder::Reference).ok_or_else(|| {
        let problem = "this is no reference to a person".to_owned();
        (problem, "write the person's number in the other system, 1 to 64 characters".to_owned())
    })
}

fn pass_kind(text: &str) -> Result<PassKind, Complaint> {
    PassKind::parse(&text.to_ascii_lowercase()).ok_or_else(|| {
        let known = PassKind::ALL.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(", ");
        (format!("{text:?} is no kind of pass"), format!("write one of {known}"))
    })
}

fn spoken(text: &str) -> Result<Option<Spoken>, Complaint> {
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = || ("this is no code of a language".to_owned(), "write a code such as uk, uk-UA or ukr".to_owned());
    Spoken::parse(text).map(Some).ok_or_else(wrong)
}

fn card_format(text: &str) -> Result<CardFormat, Complaint> {
    CardFormat::parse(text).ok_or_else(|| {
        let known = CardFormat::ALL.map(CardFormat::as_str).join(", ");
        (format!("{text:?} is no format of card numbers"), format!("write one of {known}"))
    })
}

fn pin_of(text: &str, card: CardId, reading: &Reading) -> Result<Option<PinHash>, Complaint> {
    if text.is_empty() {
        return Ok(None);
    }
    let Some(key) = &reading.pin_key else {
        return Err(("PINs are not set up here".to_owned(), "leave the column empty".to_owned()));
    };
    let pin = Pin::new(text).map_err(|error| (error.to_string(), "correct the PIN".to_owned()))?;
    Ok(Some(key.hash(card, &pin)))
}

/// Which end of a pass's validity a date stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Edge {
    From,
    Until,
}

/// RFC 3339 with its offset; or a local date and time; or a local date, which as the end means the end of that day.
fn instant(text: &str, zone: Tz, edge: Edge) -> Result<Option<UtcMillis>, Complaint> {
    if text.is_empty() {
        return Ok(None);
    }
    if let Some(at) = UtcMillis::from_rfc3339(text) {
        return Ok(Some(at));
    }
    let date = ["%Y-%m-%d", "%d.%m.%Y"].iter().find_map(|form| NaiveDate::parse_from_str(text, form).ok());
    let moment = match (date, edge) {
        (Some(date), Edge::From) => Some(date.and_time(NaiveTime::MIN)),
        (Some(date), Edge::Until) => date.checked_add_days(Days::new(1)).map(|next| next.and_time(NaiveTime::MIN)),
        (None, _) => ["%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%d.%m.%Y %H:%M"]
            .iter()
            .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok()),
    };
    match moment.and_then(|moment| local(moment, zone, edge)) {
        Some(at) => Ok(Some(UtcMillis(at.timestamp_millis()))),
        None => Err((
            "this is no date or time".to_owned(),
            "write 2026-11-30, 2026-11-30 18:00 (the clinic's time) or 2026-11-30T18:00:00+02:00".to_owned(),
        )),
    }
}

/// A local time as an instant. An hour that comes twice is taken so that the pass is valid in both; a time that is
/// skipped in spring is the moment of the change.
fn local(moment: NaiveDateTime, zone: Tz, edge: Edge) -> Option<DateTime<Tz>> {
    /// The longest change of the clock that we look behind, in minutes.
    const SKIPPED_MAX: i64 = 180;
    match zone.from_local_datetime(&moment) {
        LocalResult::Single(at) => Some(at),
        LocalResult::Ambiguous(early, late) => Some(if edge == Edge::From { early } else { late }),
        LocalResult::None => (1..=SKIPPED_MAX)
            .find_map(|minutes| zone.from_local_datetime(&(moment + TimeDelta::minutes(minutes))).earliest()),
    }
}
