//! From stored texts to domain types. A value that cannot be read is an error that names table and column.

use std::fmt::Display;

use store::Error;

/// Reads a text column.
pub(crate) fn column<T, E: Display>(
    table: &'static str,
    name: &'static str,
    text: &str,
    read: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, Error> {
    read(text).map_err(|problem| Error::bad_row(table, name, problem))
}

/// Reads a text column that may be absent.
pub(crate) fn optional<T, E: Display>(
    table: &'static str,
    name: &'static str,
    text: Option<&str>,
    read: impl FnOnce(&str) -> Result<T, E>,
) -> Result<Option<T>, Error> {
    text.map(|text| column(table, name, text, read)).transpose()
}

/// Reads a column of codes.
pub(crate) fn code<T>(
    table: &'static str,
    name: &'static str,
    text: &str,
    read: impl FnOnce(&str) -> Option<T>,
) -> Result<T, Error> {
    read(text).ok_or_else(|| Error::bad_row(table, name, format!("{text:?} is not known to this version")))
}

/// Reads a number column into a narrower type.
pub(crate) fn number<T: TryFrom<i64>>(table: &'static str, name: &'static str, value: i64) -> Result<T, Error> {
    T::try_from(value).map_err(|_| Error::bad_row(table, name, format!("{value} is out of range")))
}
