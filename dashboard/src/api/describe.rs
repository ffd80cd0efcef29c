//! What the table of routes says of a call: its parameters, what it takes and gives, how dear it is. The description is
//! made from it, and so are the checks before a handler is reached: a parameter that is not described is refused.

use std::borrow::Cow;

use domain::UtcMillis;
use utoipa::ToSchema;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type};

use crate::rate::Rate;

/// One call of the API.
#[derive(Debug)]
pub struct Operation {
    /// Its stable name.
    pub id: &'static str,
    /// The capability that it belongs to.
    pub tag: &'static str,
    /// What it does, in one line.
    pub summary: &'static str,
    /// What else there is to know.
    pub about: &'static str,
    /// In path, query and headers.
    pub parameters: &'static [Parameter],
    /// The body, if there is one.
    pub takes: Option<Shape>,
    /// The answer when all is well.
    pub gives: Gives,
    /// How dear it is.
    pub rate: Rate,
    /// Whether a repetition under the same `Idempotency-Key` does nothing twice; for calls that change something and
    /// whose answers hold no personal data.
    pub repeatable: bool,
    /// Further statuses of problems beyond those that every call knows.
    pub problems: &'static [u16],
}

impl Operation {
    /// A call that reads.
    pub const fn reads(id: &'static str, tag: &'static str, summary: &'static str, gives: Shape) -> Self {
        Self {
            id,
            tag,
            summary,
            about: "",
            parameters: &[],
            takes: None,
            gives: Gives::Json(200, gives),
            rate: Rate::Page,
            repeatable: false,
            problems: &[],
        }
    }
}

/// A type of the description. `T::name` and so on, without the type.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Its name.
    pub name: fn() -> Cow<'static, str>,
    /// Itself.
    pub schema: fn() -> RefOr<Schema>,
    /// What it is made of.
    pub parts: fn(&mut Vec<(String, RefOr<Schema>)>),
}

impl Shape {
    /// The shape of a type.
    pub const fn of<T: ToSchema>() -> Self {
        Self { name: T::name, schema: T::schema, parts: T::schemas }
    }
}

/// What a call gives.
#[derive(Debug, Clone, Copy)]
pub enum Gives {
    /// JSON of this shape, with this status.
    Json(u16, Shape),
}

impl Gives {
    /// The content type of the answer.
    pub const fn content_type(&self) -> &'static str {
        match self {
            Self::Json(..) => "application/json",
        }
    }

    /// The status of the answer.
    pub const fn status(&self) -> u16 {
        match self {
            Self::Json(status, _) => *status,
        }
    }
}

/// Where a parameter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the path.
    Path,
    /// In the query.
    Query,
    /// In a header.
    Header,
}

/// A parameter. Those of the path are required, the others are not.
#[derive(Debug, Clone, Copy)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// Where it stands.
    pub place: Place,
    /// What it is.
    pub about: &'static str,
    /// What it may be.
    pub form: Form,
}

impl Parameter {
    /// In the path.
    pub const fn path(name: &'static str, form: Form, about: &'static str) -> Self {
        Self { name, place: Place::Path, about, form }
    }

    /// In the query.
    pub const fn query(name: &'static str, form: Form, about: &'static str) -> Self {
        Self { name, place: Place::Query, about, form }
    }

    /// In a header.
    pub const fn header(name: &'static str, form: Form, about: &'static str) -> Self {
        Self { name, place: Place::Header, about, form }
    }
}

/// What a parameter may be.
#[derive(Debug, Clone, Copy)]
pub enum Form {
    /// A whole number from the first to the second.
    Whole(u64, u64),
    /// 32 hexadecimal digits in lower case: an id.
    Id,
    /// The name of a point, zone, gateway: 1 to 64 of `A-Z a-z 0-9 . _ : / -`.
    Name,
    /// An instant (RFC 3339).
    Time,
    /// One of these codes.
    Code(fn() -> Vec<&'static str>),
    /// Visible ASCII up to this length.
    Token(usize),
    /// Visible ASCII and spaces up to this length.
    Line(usize),
    /// A tag that names a state: digits in quotation marks (RFC 9110 section 8.8.3).
    Tag,
    /// Where a page ended: time in milliseconds, a colon, a number.
    Position,
    /// Where a page ended: time in milliseconds, a colon, an id.
    Place,
}

impl Form {
    /// Whether a text has this form; else what is expected, in words.
    pub fn check(&self, text: &str) -> Result<(), String> {
        let good = match self {
            Self::Whole(least, most) => {
                let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
                digits && text.parse::<u64>().is_ok_and(|n| (least..=most).contains(&&n))
            }
            Self::Id => text.len() == 32 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)),
            Self::Name => domain::PointId::new(text).is_ok(),
            Self::Time => UtcMillis::from_rfc3339(text).is_some(),
            Self::Code(all) => all().contains(&text),
            Self::Tag => text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).is_some_and(is_number),
            Self::Position => text.split_once(':').is_some_and(|(at, no)| is_number(at) && is_number(no)),
            Self::Place => text.split_once(':').is_some_and(|(at, id)| is_number(at) && Self::Id.check(id).is_ok()),
            Self::Token(most) => (1..=*most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()),
            Self::Line(most) => {
                (1..=*most).contains(&text.len()) && text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
            }
        };
        if good { Ok(()) } else { Err(self.expected()) }
    }

    fn expected(&self) -> String {
        match self {
            Self::Whole(least, u64::MAX) => format!("expected a whole number from {least}"),
            Self::Whole(least, most) => format!("expected a whole number from {least} to {most}"),
            Self::Id => "expected 32 hexadecimal digits in lower case".to_owned(),
            Self::Name => "expected 1 to 64 of A-Z a-z 0-9 . _ : / -".to_owned(),
            Self::Time => "expected a time like 2026-11-24T07:41:07Z".to_owned(),
            Self::Code(all) => format!("expected one of: {}", all().join(", ")),
            Self::Tag => "expected the ETag of an earlier answer, in quotation marks".to_owned(),
            Self::Position | Self::Place => "expected the `next` of an earlier answer".to_owned(),
            Self::Token(most) => format!("expected 1 to {most} visible ASCII characters"),
            Self::Line(most) => format!("expected 1 to {most} visible ASCII characters or spaces"),
        }
    }

    /// As the description says it.
    pub fn schema(&self) -> Schema {
        let object = ObjectBuilder::new();
        let text = || ObjectBuilder::new().schema_type(Type::String);
        match self {
            Self::Whole(least, most) => {
                let whole = object.schema_type(Type::Integer).minimum(Some(*least));
                let whole = whole.format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)));
                if *most == u64::MAX { whole } else { whole.maximum(Some(*most)) }
            }
            Self::Id => text().pattern(Some("^[0-9a-f]{32}$")),
            Self::Name => text().pattern(Some("^[A-Za-z0-9._:/-]{1,64}$")),
            Self::Time => text().format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime))),
            Self::Code(all) => text().enum_values(Some(all())),
            Self::Tag => text().pattern(Some("^\"[0-9]{1,18}\"$")),
            Self::Position => text().pattern(Some("^[0-9]{1,18}:[0-9]{1,18}$")),
            Self::Place => text().pattern(Some("^[0-9]{1,18}:[0-9a-f]{32}$")),
            Self::Line(most) => text().min_length(Some(1)).max_length(Some(*most)).pattern(Some("^[ -~]+$")),
            Self::Token(most) => text().min_length(Some(1)).max_length(Some(*most)).pattern(Some("^[!-~]+$")),
        }
        .into()
    }
}

/// Digits that fit into 63 bits.
fn is_number(text: &str) -> bool {
    (1..=18).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_of_a_wrong_form_are_refused_with_what_is_expected() {
        let whole = Form::Whole(1, 1000);
        for bad in ["", "0", "1001", "-1", "+1", "1.0", " 1", "1e2", "99999999999999999999999", "٣"] {
            assert!(whole.check(bad).unwrap_err().contains("1 to 1000"), "{bad:?}");
        }
        whole.check("1000").unwrap();
        let id = "0123456789abcdef0123456789abcdef";
        Form::Id.check(id).unwrap();
        for bad in [&id[1..], &id.to_uppercase(), "../../etc/passwd", "0123456789abcdef0123456789abcdeg"] {
            assert!(Form::Id.check(bad).is_err(), "{bad:?}");
        }
        assert!(Form::Name.check("hall; DROP TABLE event").is_err());
        assert!(Form::Token(4).check("a b").is_err() && Form::Token(4).check("abcde").is_err());
        assert!(Form::Time.check("yesterday").unwrap_err().contains("2026"));
    }
}
