//! Statements on paper: of a patient for the patient, of anything else for the clinic.

use axum::extract::Path;
use axum::response::Response;
use clinic::till::statement::{Statement, StatementFilter, StatementLine, StatementOf};
use domain::schedule::LocalDate;
use domain::till::EntryKind;
use domain::{PersonId, UtcMillis};
use reports::{Paper, Row, Sheet};

use super::{Words, answer, blank, fact, numbers, patient, table, words};
use crate::fault::Fault;
use crate::pages::query::Query;
use crate::visit::Visit;
use crate::words::short_id;

/// Days of a statement unless said otherwise: a month, up to today.
const DAYS: i32 = 31;

/// `GET /till/patient/{id}/statement.pdf?from&until&currency`
pub async fn of_patient(visit: Visit, Path(id): Path<String>, query: Query) -> Result<Response, Fault> {
    let person: PersonId = id.parse().map_err(|_| Fault::NotFound)?;
    let (from, until) = days_of(&visit, &query, DAYS)?;
    let currency = currency_of(&query)?;
    let filter = StatementFilter { of: StatementOf::Patient(person), from, until, currency };
    let acting = visit.acting()?;
    let statement = visit.app.till.statement(&acting, &filter).await?;
    let language = visit.app.till.language_of(&acting, person).await?;
    let w = Words::of(&visit, language.as_deref());
    let mut paper = paper(&visit, &w, &statement);
    if let StatementOf::Patient(person) = statement.of {
        paper.facts.insert(0, fact(w.t("paper-patient"), patient(&visit, person).await?));
    }
    answer(&visit, paper, &format!("statement-{from}-{until}")).await
}

/// The days of a query: `from` and `until` as dates, so many days up to today unless they are given.
pub fn days_of(visit: &Visit, query: &Query, days: i32) -> Result<(LocalDate, LocalDate), Fault> {
    let read = |key: &str| query.one(key).map(|text| text.parse().map_err(|()| Fault::Invalid)).transpose();
    let until: LocalDate = read("until")?.unwrap_or_else(|| visit.app.till.today());
    let from: LocalDate = read("from")?.unwrap_or(LocalDate(until.0.saturating_sub(days - 1)));
    Ok((from, until))
}

/// The currency of a query.
pub fn currency_of(query: &Query) -> Result<Option<domain::Currency>, Fault> {
    let read = |text: &str| domain::Currency::parse(&text.to_ascii_uppercase()).ok_or(Fault::Invalid);
    query.one("currency").map(read).transpose()
}

/// A statement as a paper.
pub fn paper(visit: &Visit, w: &Words, statement: &Statement) -> Paper {
    let currency = statement.currency;
    let mut paper = blank(visit, w, Sheet::A4, w.texts.code("paper-statement-", statement.of.code()));
    let days = format!("{} – {}", w.date(statement.from), w.date(statement.until));
    paper.facts.push(fact(w.t("paper-days"), days));
    paper.facts.push(fact(w.t("paper-currency"), currency.to_string()));
    paper.facts.push(fact(w.t("paper-made"), w.stamp(visit.app.now())));
    let is_of_one = matches!(statement.of, StatementOf::Patient(_));
    let is_cash = is_cash(statement);
    let mut columns = vec![words(w.t("paper-when"), 17), words(w.t("paper-what"), if is_of_one { 52 } else { 40 })];
    if !is_of_one {
        columns.push(words(w.t("paper-patient"), 12));
    }
    let (plus, minus, beside) = heads(is_cash);
    columns.extend([numbers(w.t(plus), 15), numbers(w.t(minus), 15)]);
    if is_cash {
        columns.push(numbers(w.t(beside), 15));
    }
    columns.push(numbers(w.t("paper-balance"), 16));
    let row = |day: String, what: String, who: String, amounts: [String; 4]| {
        let [plus, minus, beside, balance] = amounts;
        let mut cells = vec![day, what];
        if !is_of_one {
            cells.push(who);
        }
        cells.extend([plus, minus]);
        if is_cash {
            cells.push(beside);
        }
        cells.push(balance);
        cells
    };
    let none = String::new;
    let bare = |amount| w.bare(currency, amount);
    let exact = |amount| crate::money::bare(&w.texts, currency, amount);
    let mut rows = Vec::with_capacity(statement.lines.len() + 2);
    let opening = [none(), none(), none(), exact(statement.opening)];
    rows.push(Row::total(row(w.date(statement.from), w.t("paper-opening"), none(), opening)));
    for line in &statement.lines {
        let who = line.patient.map(|person| short_id(&person.to_string())).unwrap_or_default();
        let amounts = [bare(line.plus), bare(line.minus), bare(line.beside), exact(line.balance)];
        rows.push(Row::plain(row(day_and_time(w, line), what(w, statement, line), who, amounts)));
    }
    let sums = [exact(statement.plus), exact(statement.minus), none(), exact(statement.closing)];
    rows.push(Row::total(row(w.date(statement.until), w.t("paper-closing"), none(), sums)));
    paper.parts.push(table(columns, rows));
    paper
}

/// Whether it is about cash in drawers.
pub fn is_cash(statement: &Statement) -> bool {
    matches!(statement.of, StatementOf::Cashier(_) | StatementOf::Shift(_))
}

/// The heads of the columns of amounts.
pub const fn heads(is_cash: bool) -> (&'static str, &'static str, &'static str) {
    match is_cash {
        true => ("paper-in", "paper-out", "paper-not-cash"),
        false => ("paper-charged", "paper-credited", "paper-within"),
    }
}

/// When a line was: its day, and the time where it was on that day.
fn day_and_time(w: &Words, line: &StatementLine) -> String {
    let noon = UtcMillis(i64::from(line.day.0) * 86_400_000 + 43_200_000);
    let is_same = w.times.date(line.at) == Words::of_utc(noon);
    let clock = w.times.clock(line.at);
    if is_same { format!("{} {}", w.date(line.day), clock.get(..5).unwrap_or_default()) } else { w.date(line.day) }
}

impl Words {
    /// Year, month and day of an instant in UTC.
    fn of_utc(at: UtcMillis) -> (i32, u32, u32) {
        use chrono::Datelike as _;
        at.to_chrono().map_or((0, 0, 0), |at| (at.year(), at.month(), at.day()))
    }
}

/// What a line is, in words.
pub fn what(w: &Words, statement: &Statement, line: &StatementLine) -> String {
    let kind = || w.texts.code("till-entry-", line.kind.as_str());
    let service = line.charge.as_ref().map(|charge| {
        let name = statement.service(&charge.service, w.texts.language().code());
        format!("{} (№\u{a0}{})", w.pieces(name, charge.quantity), charge.no)
    });
    let method = line.payment.as_ref().map(|payment| {
        let method = w.texts.code("till-method-", payment.method.as_str());
        match payment.no {
            Some(no) => format!("{method}, {}\u{a0}{no}", w.t("paper-receipt-short")),
            None => method,
        }
    });
    match (line.kind, service, method) {
        (EntryKind::Rendered, Some(service), _) => service,
        (_, Some(service), Some(method)) => format!("{}: {service}; {method}", kind()),
        (_, Some(service), None) => format!("{}: {service}", kind()),
        (_, None, Some(method)) => format!("{}: {method}", kind()),
        (_, None, None) => kind(),
    }
}
