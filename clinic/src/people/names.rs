//! The columns of a list that go into the identity vault. What is wrong with them is said without repeating them.

use chrono::NaiveDate;
use domain::vault::{
    BirthDate, Contact, ContactKind, Document, DocumentKind, Names, Passport, PassportChange, PassportRefused, Secret,
};

use super::sheet::{Field, NAME_COLUMNS, RowError};

/// What the columns say, in the order of [`NAME_COLUMNS`]; `None` when all of them are empty or missing.
pub(super) fn read(
    columns: [Option<Field<'_>>; NAME_COLUMNS.len()],
    today: NaiveDate,
    errors: &mut Vec<RowError>,
) -> Option<PassportChange> {
    let line = columns.iter().flatten().map(|field| field.line).next()?;
    if columns.iter().flatten().all(|field| field.text.is_empty()) {
        return None;
    }
    let [family, given, middle, born, phone, email, document] =
        columns.map(|field| field.map_or("", |field| field.text));
    let mut wrong = |column: &'static str, problem: &str, advice: &str| {
        errors.push(RowError { line, column, problem: problem.to_owned(), advice: advice.to_owned() });
    };
    let birth_date = match born {
        "" => None,
        text => {
            let date = BirthDate::parse(text);
            if date.is_none() {
                wrong("birth_date", "this is not a date", "write year-month-day, such as 1984-03-07");
            }
            date
        }
    };
    let contact = |kind, value: &str| (!value.is_empty()).then(|| Contact { kind, value: Secret::from(value) });
    let passport = Passport {
        names: Names::new(family, given, middle),
        birth_date,
        documents: match document {
            "" => Vec::new(),
            number => vec![Document { kind: DocumentKind::Passport, number: number.into(), issued: "".into() }],
        },
        contacts: [contact(ContactKind::Phone, phone), contact(ContactKind::Email, email)]
            .into_iter()
            .flatten()
            .collect(),
    };
    let change = PassportChange::from(passport);
    match change.check(today) {
        Ok(()) => Some(change),
        Err(refused) => {
            let column = match refused {
                PassportRefused::NoName | PassportRefused::LongName => "family",
                PassportRefused::BornLater => "birth_date",
                PassportRefused::LongText
                | PassportRefused::EmptyText
                | PassportRefused::Control
                | PassportRefused::ManyDocuments
                | PassportRefused::ManyContacts => "",
            };
            wrong(column, &refused.to_string(), "correct the line");
            None
        }
    }
}
