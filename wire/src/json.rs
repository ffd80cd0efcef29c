//! Reading JSON objects field by field, with errors that name the path of the field.

use std::fmt::Display;
use std::str::FromStr;

use domain::UtcMillis;
use serde_json::{Map, Value};

use crate::bus::{BusError, MESSAGE_MAX_BYTES, TEXT_MAX_BYTES, VERSION};

/// One object and where it stands.
pub(crate) struct Fields<'a> {
    map: &'a Map<String, Value>,
    path: String,
}

/// Parses an envelope and checks its version; the caller looks at `type`.
pub(crate) fn envelope(bytes: &[u8]) -> Result<Value, BusError> {
    if bytes.len() > MESSAGE_MAX_BYTES {
        return Err(BusError::TooLong(bytes.len()));
    }
    let value: Value = serde_json::from_slice(bytes).map_err(|error| BusError::NotJson(error.to_string()))?;
    let fields = Fields::root(&value)?;
    match fields.u64("v")? {
        VERSION => Ok(value),
        other => Err(BusError::Version(other)),
    }
}

/// Writes an envelope, refusing one that is too long for the line.
pub(crate) fn write(value: &Value) -> Result<Vec<u8>, BusError> {
    let bytes = value.to_string().into_bytes();
    if bytes.len() > MESSAGE_MAX_BYTES { Err(BusError::TooLong(bytes.len())) } else { Ok(bytes) }
}

impl<'a> Fields<'a> {
    pub(crate) fn root(value: &'a Value) -> Result<Self, BusError> {
        Self::at(value, String::new())
    }

    fn at(value: &'a Value, path: String) -> Result<Self, BusError> {
        match value.as_object() {
            Some(map) => Ok(Self { map, path }),
            None => Err(BusError::Field {
                field: if path.is_empty() { "the message".into() } else { path },
                problem: "must be an object".into(),
            }),
        }
    }

    pub(crate) fn name(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    pub(crate) fn wrong(&self, key: &str, problem: impl Display) -> BusError {
        BusError::Field { field: self.name(key), problem: problem.to_string() }
    }

    fn present(&self, key: &str) -> Option<&'a Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    fn required(&self, key: &str) -> Result<&'a Value, BusError> {
        self.present(key).ok_or_else(|| BusError::Missing(self.name(key)))
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.present(key).is_some()
    }

    pub(crate) fn text(&self, key: &str) -> Result<&'a str, BusError> {
        let text = self.required(key)?.as_str().ok_or_else(|| self.wrong(key, "must be a text"))?;
        if text.len() > TEXT_MAX_BYTES {
            return Err(self.wrong(key, format_args!("has {} bytes, at most {TEXT_MAX_BYTES} are allowed", text.len())));
        }
        Ok(text)
    }

    pub(crate) fn opt_text(&self, key: &str) -> Result<Option<String>, BusError> {
        if self.has(key) { Ok(Some(self.text(key)?.to_owned())) } else { Ok(None) }
    }

    pub(crate) fn parse<T: FromStr<Err: Display>>(&self, key: &str) -> Result<T, BusError> {
        self.text(key)?.parse().map_err(|problem| self.wrong(key, problem))
    }

    pub(crate) fn opt_parse<T: FromStr<Err: Display>>(&self, key: &str) -> Result<Option<T>, BusError> {
        if self.has(key) { self.parse(key).map(Some) } else { Ok(None) }
    }

    /// A code that `read` knows, for example `Kind::parse`.
    pub(crate) fn code<T>(&self, key: &str, read: impl Fn(&str) -> Option<T>) -> Result<T, BusError> {
        let text = self.text(key)?;
        read(text).ok_or_else(|| self.wrong(key, format_args!("{text:?} is not known to this version")))
    }

    pub(crate) fn opt_code<T>(&self, key: &str, read: impl Fn(&str) -> Option<T>) -> Result<Option<T>, BusError> {
        if self.has(key) { self.code(key, read).map(Some) } else { Ok(None) }
    }

    pub(crate) fn u64(&self, key: &str) -> Result<u64, BusError> {
        self.required(key)?.as_u64().ok_or_else(|| self.wrong(key, "must be a whole number of 0 or more"))
    }

    pub(crate) fn opt_u64(&self, key: &str) -> Result<Option<u64>, BusError> {
        if self.has(key) { self.u64(key).map(Some) } else { Ok(None) }
    }

    pub(crate) fn opt_i64(&self, key: &str) -> Result<Option<i64>, BusError> {
        let read = |value: &Value| value.as_i64().ok_or_else(|| self.wrong(key, "must be a whole number"));
        self.present(key).map(read).transpose()
    }

    /// An object within this one, with its own path.
    pub(crate) fn opt_object(&self, key: &str) -> Result<Option<Fields<'a>>, BusError> {
        self.present(key).map(|value| Fields::at(value, self.name(key))).transpose()
    }

    pub(crate) fn number<T: TryFrom<u64>>(&self, key: &str) -> Result<T, BusError> {
        T::try_from(self.u64(key)?).map_err(|_| self.wrong(key, "is too large"))
    }

    pub(crate) fn opt_number<T: TryFrom<u64>>(&self, key: &str) -> Result<Option<T>, BusError> {
        if self.has(key) { self.number(key).map(Some) } else { Ok(None) }
    }

    pub(crate) fn flag(&self, key: &str) -> Result<bool, BusError> {
        self.required(key)?.as_bool().ok_or_else(|| self.wrong(key, "must be true or false"))
    }

    /// Milliseconds since 1970, as an integer.
    pub(crate) fn instant(&self, key: &str) -> Result<UtcMillis, BusError> {
        let ms = self.required(key)?.as_i64();
        ms.map(UtcMillis).ok_or_else(|| self.wrong(key, "must be a whole number of milliseconds since 1970"))
    }

    pub(crate) fn bytes<const N: usize>(&self, key: &str) -> Result<[u8; N], BusError> {
        unhex(self.text(key)?).ok_or_else(|| self.wrong(key, format_args!("must be {} hexadecimal digits", 2 * N)))
    }

    pub(crate) fn opt_instant(&self, key: &str) -> Result<Option<UtcMillis>, BusError> {
        if self.has(key) { self.instant(key).map(Some) } else { Ok(None) }
    }

    /// A list of plain values, each read by `read`; an absent list is empty.
    pub(crate) fn values<T>(
        &self,
        key: &str,
        limit: usize,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<Vec<T>, BusError> {
        let Some(value) = self.present(key) else { return Ok(Vec::new()) };
        let items = value.as_array().ok_or_else(|| self.wrong(key, "must be a list"))?;
        if items.len() > limit {
            return Err(BusError::TooMany { field: self.name(key), count: items.len(), limit });
        }
        let at = |(index, item)| {
            read(item).ok_or_else(|| self.wrong(&format!("{key}[{index}]"), "is not a value that this version knows"))
        };
        items.iter().enumerate().map(at).collect()
    }

    /// The objects of a list, each with its own path; an absent list is empty.
    pub(crate) fn list(&self, key: &str, limit: usize) -> Result<Vec<Fields<'a>>, BusError> {
        let Some(value) = self.present(key) else { return Ok(Vec::new()) };
        let items = value.as_array().ok_or_else(|| self.wrong(key, "must be a list"))?;
        if items.len() > limit {
            return Err(BusError::TooMany { field: self.name(key), count: items.len(), limit });
        }
        let at = |(index, item)| Fields::at(item, format!("{}[{index}]", self.name(key)));
        items.iter().enumerate().map(at).collect()
    }
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|b| [b >> 4, b & 15]).map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

/// Reads exactly `2 * N` hexadecimal digits.
pub(crate) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N {
        return None;
    }
    let digit = |c: u8| char::from(c).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut out = [0; N];
    for (byte, pair) in out.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(out)
}

/// `value` if it is there, else JSON null, which readers treat as absent.
pub(crate) fn opt(value: Option<impl Display>) -> Value {
    value.map_or(Value::Null, |value| Value::String(value.to_string()))
}
