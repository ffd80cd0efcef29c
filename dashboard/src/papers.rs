//! Papers of the till as PDF: receipts, the patient's slip, statements, closings of drawers and days. Owns their words and
//! where each fact stands; the facts are `clinic::till`'s, the drawing is `reports`'. What is for a patient is in the patient's
//! language, the others in the site's. A file is never stored anywhere by us, and its name says nothing of anybody.

pub mod closing;
pub mod receipt;
pub mod slip;
pub mod statement;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::{Datelike, Timelike};
use clinic::audit::Purpose;
use domain::money::{Amount, Currency};
use domain::schedule::LocalDate;
use domain::{PersonId, UtcMillis};
use reports::{Align, Column, Made, Paper, PaperError, Row, Sheet, Table};

use crate::faces::Faces;
use crate::fault::{Dressed, Fault};
use crate::language::{Language, Texts};
use crate::money;
use crate::pages::query::Query;
use crate::times::Times;
use crate::visit::Visit;
use crate::words::{label, short_id};

/// What stands on every paper.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PaperSettings {
    /// The clinic's name, as it is printed; empty: the site's id.
    pub issuer: String,
    /// What stands at the foot: the clinic's address, its number at the tax office.
    pub foot: String,
    /// Whether receipts and slips are for a roll of 80 mm unless the address says `sheet=a4`; otherwise for A4 unless it says
    /// `sheet=roll`.
    pub on_roll: bool,
}

/// The words of a paper: its language, and the clinic's zone.
pub struct Words {
    pub texts: Texts,
    pub times: Times,
}

impl Words {
    /// In the language of somebody, as far as we have it; else in the site's.
    pub fn of(visit: &Visit, language: Option<&str>) -> Self {
        let language = language.and_then(Language::parse).unwrap_or(visit.app.language);
        Self { texts: language.texts(), times: visit.app.times(language.texts()) }
    }

    /// In the language of the one who asks.
    pub fn of_visitor(visit: &Visit) -> Self {
        Self { texts: visit.texts(), times: visit.times() }
    }

    /// `24 Nov 2026`
    pub fn date(&self, day: LocalDate) -> String {
        let iso = day.to_string();
        let mut parts = iso.splitn(3, '-');
        let (year, month, date) = (parts.next(), parts.next(), parts.next());
        match (year, month.and_then(|it| it.parse::<u8>().ok()), date.and_then(|it| it.parse::<u8>().ok())) {
            (Some(year), Some(month), Some(date)) => {
                format!("{date}\u{a0}{}\u{a0}{year}", self.texts.code("month-", &month.to_string()))
            }
            _ => iso,
        }
    }

    /// `24 Nov 2026 09:41`, in the clinic's zone.
    pub fn stamp(&self, at: UtcMillis) -> String {
        let (year, month, date) = self.times.date(at);
        let month = self.texts.code("month-", &month.to_string());
        let clock = self.times.clock(at);
        format!("{date}\u{a0}{month}\u{a0}{year} {}", clock.get(..5).unwrap_or_default())
    }

    /// With the currency.
    pub fn money(&self, currency: Currency, amount: Amount) -> String {
        money::amount(&self.texts, currency, amount)
    }

    /// Without it, for columns; nothing for nothing.
    pub fn bare(&self, currency: Currency, amount: Amount) -> String {
        if amount == Amount::ZERO { String::new() } else { money::bare(&self.texts, currency, amount) }
    }

    /// A name of a service and how many.
    pub fn pieces(&self, name: &str, quantity: u32) -> String {
        if quantity == 1 { name.to_owned() } else { format!("{name} × {quantity}") }
    }

    fn t(&self, key: &str) -> String {
        self.texts.t(key)
    }
}

/// A paper with nothing on it yet.
pub fn blank(visit: &Visit, words: &Words, sheet: Sheet, title: String) -> Paper {
    let settings = &visit.app.settings.till.papers;
    let now = visit.app.now();
    let issuer = match settings.issuer.trim() {
        "" => label(visit.app.settings.site.as_str()),
        name => name.to_owned(),
    };
    Paper {
        sheet,
        language: words.texts.language().code().to_owned(),
        made: made(now),
        issuer,
        title,
        facts: Vec::new(),
        parts: Vec::new(),
        foot: settings.foot.clone(),
        page: words.texts.with("paper-page", &[("n", "{n}".to_owned()), ("m", "{m}".to_owned())]),
    }
}

fn made(at: UtcMillis) -> Made {
    let Some(at) = at.to_chrono() else { return Made { date: (1970, 1, 1), time: (0, 0, 0) } };
    let small = |n: u32| u8::try_from(n).unwrap_or(1);
    Made {
        date: (u16::try_from(at.year()).unwrap_or(1970), small(at.month()), small(at.day())),
        time: (small(at.hour()), small(at.minute()), small(at.second())),
    }
}

/// What a receipt or slip is printed on.
pub fn sheet(visit: &Visit, query: &Query) -> Sheet {
    let is_roll = match query.one("sheet") {
        Some("roll") => true,
        Some("a4") => false,
        _ => visit.app.settings.till.papers.on_roll,
    };
    if is_roll { Sheet::Roll80 } else { Sheet::A4 }
}

/// A patient as a paper names them: by name where the role of the one who prints it shows names, else by the beginning of the
/// pseudonym.
pub async fn patient(visit: &Visit, person: PersonId) -> Result<String, Fault> {
    let faces = Faces::look(&visit.app, &visit.acting()?, vec![person], Purpose::Payment).await?;
    Ok(faces.name(Some(person)).map_or_else(|| short_id(&person.to_string()), str::to_owned))
}

/// A fact of a paper.
pub fn fact(what: String, value: impl Into<String>) -> (String, String) {
    (what, value.into())
}

/// A column of words.
pub const fn words(head: String, width: u16) -> Column {
    Column { head, width, align: Align::Left }
}

/// A column of numbers.
pub const fn numbers(head: String, width: u16) -> Column {
    Column { head, width, align: Align::Right }
}

/// A table.
pub const fn table(columns: Vec<Column>, rows: Vec<Row>) -> reports::Part {
    reports::Part::Table(Table { columns, rows })
}

/// Draws a paper and answers with it; `name` is the file's, without its ending, and must say nothing of anybody.
pub async fn answer(visit: &Visit, paper: Paper, name: &str) -> Result<Response, Fault> {
    let _turn = visit.app.heavy.acquire().await.map_err(|_| Fault::Unavailable)?;
    // Thousands of lines take a second: not on a thread that serves others.
    let drawn = tokio::task::spawn_blocking(move || paper.pdf()).await.map_err(|_| Fault::Unavailable)?;
    let bytes = drawn.map_err(|error| match error {
        PaperError::TooLong | PaperError::NoColumn => Fault::Invalid,
        PaperError::Broken(_) => {
            tracing::error!(error = %error, "page.paper.failed");
            Fault::Unavailable
        }
    })?;
    let mut response = (StatusCode::OK, bytes).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/pdf"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(value) = HeaderValue::from_str(&format!("inline; filename=\"{name}.pdf\"")) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    response.extensions_mut().insert(Dressed);
    Ok(response)
}
