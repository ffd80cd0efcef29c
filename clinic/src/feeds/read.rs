//! Records from flat objects: the one description of fields that the HTTP API (JSON) and lists (CSV) share. A value may be
//! of its own type or a text, as spreadsheets write it; lists may be texts with `;` between. What is wrong is said by place
//! and field, never by value. Pure.

use chrono::{DateTime, Days, LocalResult, NaiveDate, NaiveDateTime, NaiveTime, TimeZone};
use chrono_tz::Tz;
use domain::card::{CardFormat, parse};
use domain::policy::PassKind;
use domain::vault::{BirthDate, Contact, ContactKind, Document, DocumentKind, Names, Passport, PassportChange, Secret};
use domain::{CategoryId, ConditionId, PointId, Shipped, Spoken, UtcMillis, ZoneId};
use serde_json::{Map, Value};

use super::records::LIST_MAX;
use super::{
    Alias, AppointmentRecord, AppointmentState, CardRecord, ConditionRecord, ControlRecord, FeedKind, List, Mode,
    Order, PatientRecord, Place, Problem, PurposeRecord, RECORDS_MAX, Records, Refusal, StaffRecord, WorkplaceRecord,
};
use crate::people::Reference;

/// Longest value of a field, in bytes.
pub const VALUE_MAX_BYTES: usize = 1024;

/// One record as it came: names of fields and their values.
pub type Fields = Map<String, Value>;

const ABOUT_A_PERSON: &[&str] = &[
    "id",
    "changed",
    "aliases",
    "family",
    "given",
    "middle",
    "birth_date",
    "phone",
    "email",
    "document",
    "category",
    "cards",
    "card_format",
    "card_number",
    "from",
    "until",
    "active",
];

/// The fields of a kind, as the documentation calls them.
pub fn fields_of(kind: FeedKind) -> Vec<&'static str> {
    let more: &[&str] = match kind {
        FeedKind::Staff => &["role", "login", "practitioner", "specialty"],
        FeedKind::Patients => &["language"],
        FeedKind::Workplaces => return vec!["id", "changed", "name", "zone", "point", "staff", "active"],
        FeedKind::Appointments => {
            return vec![
                "id",
                "changed",
                "patient",
                "staff",
                "zone",
                "workplace",
                "purpose",
                "starts",
                "ends",
                "minutes",
                "state",
            ];
        }
        FeedKind::Purposes => return vec!["id", "changed", "name", "zones", "minutes", "active"],
        FeedKind::Conditions => return vec!["person", "condition", "changed", "holds", "from", "until"],
        FeedKind::Messages => return vec!["id", "at", "person", "order", "note"],
    };
    ABOUT_A_PERSON.iter().chain(more).copied().collect()
}

/// Reads a list of one kind. `zone`: the clinic's, for times that state none. Unreadable records are among the refused.
pub fn read_list(kind: FeedKind, rows: Vec<Fields>, mode: Mode, zone: Tz) -> List {
    let mut refused = Vec::new();
    if rows.len() > RECORDS_MAX {
        refused.push(Refusal::new(0, "", Problem::TooLong));
        return List { records: empty(kind), refused, mode };
    }
    let known = fields_of(kind);
    let mut sound = Vec::with_capacity(rows.len());
    for (row, fields) in (1..).zip(rows) {
        let wrong = fields.iter().find_map(|(name, value)| match known.iter().find(|field| *field == name) {
            None => Some(("", Problem::UnknownField)),
            Some(field) if is_long(value) => Some((*field, Problem::TooLong)),
            Some(_) => None,
        });
        match wrong {
            Some((field, problem)) => refused.push(Refusal::new(row, field, problem)),
            None => sound.push((row, fields)),
        }
    }
    macro_rules! all {
        ($variant:ident, $read:expr) => {{
            let read = $read;
            Records::$variant(
                sound
                    .into_iter()
                    .filter_map(|(row, fields)| {
                        let reading = Reading { fields, zone };
                        read(&reading).map_err(|(field, problem)| refused.push(Refusal::new(row, field, problem))).ok()
                    })
                    .collect(),
            )
        }};
    }
    let records = match kind {
        FeedKind::Staff => all!(Staff, staff),
        FeedKind::Patients => all!(Patients, patient),
        FeedKind::Workplaces => all!(Workplaces, workplace),
        FeedKind::Appointments => all!(Appointments, appointment),
        FeedKind::Purposes => all!(Purposes, purpose),
        FeedKind::Conditions => all!(Conditions, condition),
        FeedKind::Messages => all!(Messages, message),
    };
    List { records, refused, mode }
}

/// A list without records.
pub const fn empty(kind: FeedKind) -> Records {
    match kind {
        FeedKind::Staff => Records::Staff(Vec::new()),
        FeedKind::Patients => Records::Patients(Vec::new()),
        FeedKind::Workplaces => Records::Workplaces(Vec::new()),
        FeedKind::Appointments => Records::Appointments(Vec::new()),
        FeedKind::Purposes => Records::Purposes(Vec::new()),
        FeedKind::Conditions => Records::Conditions(Vec::new()),
        FeedKind::Messages => Records::Messages(Vec::new()),
    }
}

fn is_long(value: &Value) -> bool {
    match value {
        Value::String(text) => text.len() > VALUE_MAX_BYTES,
        Value::Array(all) => all.len() > LIST_MAX || all.iter().any(is_long),
        Value::Object(map) => map.len() > 8 || map.values().any(is_long),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

type Wrong = (&'static str, Problem);

/// One record and how to understand its times.
struct Reading {
    fields: Fields,
    zone: Tz,
}

impl Reading {
    /// A text or number as text; empty and absent are the same.
    fn opt(&self, name: &'static str) -> Result<Option<String>, Wrong> {
        let text = match self.fields.get(name) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(text)) => text.trim().to_owned(),
            Some(Value::Number(number)) => number.to_string(),
            Some(Value::Bool(_) | Value::Array(_) | Value::Object(_)) => return Err((name, Problem::Unreadable)),
        };
        Ok((!text.is_empty()).then_some(text))
    }

    fn read<T>(&self, name: &'static str, read: impl Fn(&str) -> Option<T>) -> Result<Option<T>, Wrong> {
        self.opt(name)?.map(|text| read(&text).ok_or((name, Problem::Unreadable))).transpose()
    }

    fn must<T>(&self, name: &'static str, read: impl Fn(&str) -> Option<T>) -> Result<T, Wrong> {
        self.read(name, read)?.ok_or((name, Problem::Missing))
    }

    fn id(&self) -> Result<Reference, Wrong> {
        self.must("id", Reference::new)
    }

    fn flag(&self, name: &'static str, otherwise: bool) -> Result<bool, Wrong> {
        if let Some(Value::Bool(flag)) = self.fields.get(name) {
            return Ok(*flag);
        }
        let read = |text: &str| match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "1" => Some(true),
            "false" | "no" | "0" => Some(false),
            _ => None,
        };
        Ok(self.read(name, read)?.unwrap_or(otherwise))
    }

    fn minutes(&self) -> Result<Option<u32>, Wrong> {
        self.read("minutes", |text| text.parse().ok().filter(|minutes| (1..=1440).contains(minutes)))
    }

    /// `is_end`: a day without a time means its end.
    fn time(&self, name: &'static str, is_end: bool) -> Result<Option<UtcMillis>, Wrong> {
        self.read(name, |text| instant(text, self.zone, is_end))
    }

    fn list(&self, name: &'static str) -> Result<Option<Vec<String>>, Wrong> {
        let all: Vec<String> = match self.fields.get(name) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(text)) => text.split(';').map(|part| part.trim().to_owned()).collect(),
            Some(Value::Array(all)) => {
                let texts = all.iter().map(|item| item.as_str().map(|text| text.trim().to_owned()));
                texts.collect::<Option<_>>().ok_or((name, Problem::Unreadable))?
            }
            Some(_) => return Err((name, Problem::Unreadable)),
        };
        let all: Vec<String> = all.into_iter().filter(|text| !text.is_empty()).collect();
        if all.len() > LIST_MAX { Err((name, Problem::TooLong)) } else { Ok(Some(all)) }
    }

    fn aliases(&self, name: &'static str) -> Result<Option<Vec<Alias>>, Wrong> {
        let Some(all) = self.list(name)? else { return Ok(None) };
        all.iter().map(|text| alias(text).ok_or((name, Problem::Unreadable))).collect::<Result<_, _>>().map(Some)
    }

    fn alias(&self, name: &'static str) -> Result<Option<Alias>, Wrong> {
        self.read(name, alias)
    }

    fn passport(&self) -> Result<Option<PassportChange>, Wrong> {
        let text = |name| Ok::<_, Wrong>(self.opt(name)?.unwrap_or_default());
        let (family, given, middle) = (text("family")?, text("given")?, text("middle")?);
        let birth_date = self.read("birth_date", BirthDate::parse)?;
        let contact = |kind, value: Option<String>| value.map(|value| Contact { kind, value: Secret::new(&value) });
        let contacts: Vec<Contact> =
            [contact(ContactKind::Phone, self.opt("phone")?), contact(ContactKind::Email, self.opt("email")?)]
                .into_iter()
                .flatten()
                .collect();
        let document = self.opt("document")?;
        let names = Names::new(&family, &given, &middle);
        if names.is_empty() && birth_date.is_none() && contacts.is_empty() && document.is_none() {
            return Ok(None);
        }
        let documents = document.map(|number| {
            vec![Document { kind: DocumentKind::Passport, number: Secret::new(&number), issued: Secret::new("") }]
        });
        let all = PassportChange::from(Passport { names, birth_date, documents: Vec::new(), contacts });
        // What is not told stays as it is known.
        Ok(Some(PassportChange {
            names: all.names.filter(|names| !names.is_empty()),
            birth_date: all.birth_date.filter(Option::is_some),
            documents,
            contacts: all.contacts.filter(|contacts| !contacts.is_empty()),
        }))
    }

    fn cards(&self) -> Result<Option<Vec<CardRecord>>, Wrong> {
        let card = |format: &str, number: &str| {
            let number = parse(CardFormat::parse(format)?, number).ok()?;
            Some(CardRecord { number, kind: None, from: None, until: None })
        };
        if let Some(number) = self.opt("card_number")? {
            let format = self.opt("card_format")?.ok_or(("card_format", Problem::Missing))?;
            return Ok(Some(vec![card(&format, &number).ok_or(("card_number", Problem::Unreadable))?]));
        }
        let wrong = || ("cards", Problem::Unreadable);
        match self.fields.get("cards") {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => text
                .split(';')
                .filter(|part| !part.trim().is_empty())
                .map(|part| {
                    part.split_once('=')
                        .and_then(|(format, number)| card(format.trim(), number.trim()))
                        .ok_or_else(wrong)
                })
                .collect::<Result<_, _>>()
                .map(Some),
            Some(Value::Array(all)) => all
                .iter()
                .map(|item| {
                    let reading = Reading { fields: item.as_object().cloned().ok_or_else(wrong)?, zone: self.zone };
                    let known = ["format", "number", "kind", "from", "until"];
                    if reading.fields.keys().any(|name| !known.contains(&name.as_str())) {
                        return Err(("cards", Problem::UnknownField));
                    }
                    let (format, number) = (reading.opt("format")?.ok_or_else(wrong)?, reading.opt("number")?);
                    let mut read = card(&format, &number.ok_or_else(wrong)?).ok_or_else(wrong)?;
                    read.kind = reading.read("kind", PassKind::parse)?;
                    (read.from, read.until) = (reading.time("from", false)?, reading.time("until", true)?);
                    Ok(read)
                })
                .collect::<Result<_, _>>()
                .map(Some),
            Some(_) => Err(wrong()),
        }
    }

    fn period(&self) -> Result<(Option<UtcMillis>, Option<UtcMillis>), Wrong> {
        let (from, until) = (self.time("from", false)?, self.time("until", true)?);
        if from.zip(until).is_some_and(|(from, until)| until <= from) {
            return Err(("until", Problem::Backwards));
        }
        Ok((from, until))
    }
}

/// `value`, or `system=value`.
fn alias(text: &str) -> Option<Alias> {
    match text.split_once('=') {
        Some((system, value)) => {
            let system = super::Source::new(system.trim()).ok()?;
            Some(Alias { system: Some(system.to_string()), value: Reference::new(value)? })
        }
        None => Reference::new(text).map(Alias::own),
    }
}

fn staff(reading: &Reading) -> Result<StaffRecord, Wrong> {
    let (from, until) = reading.period()?;
    Ok(StaffRecord {
        changed: reading.time("changed", false)?,
        aliases: reading.aliases("aliases")?.unwrap_or_default(),
        passport: reading.passport()?,
        role: reading.read("role", Shipped::parse)?,
        login: reading.opt("login")?.map(|login| Secret::new(&login)),
        practitioner: reading.read("practitioner", Reference::new)?,
        specialty: reading.read("specialty", |text| (text.len() <= 64).then(|| text.to_owned()))?,
        category: reading.read("category", |text| CategoryId::new(text).ok())?,
        cards: reading.cards()?,
        from,
        until,
        active: reading.flag("active", true)?,
        ..StaffRecord::new(reading.id()?)
    })
}

fn patient(reading: &Reading) -> Result<PatientRecord, Wrong> {
    let (from, until) = reading.period()?;
    Ok(PatientRecord {
        changed: reading.time("changed", false)?,
        aliases: reading.aliases("aliases")?.unwrap_or_default(),
        passport: reading.passport()?,
        language: reading.read("language", Spoken::parse)?.map(Some),
        category: reading.read("category", |text| CategoryId::new(text).ok())?,
        cards: reading.cards()?,
        from,
        until,
        active: reading.flag("active", true)?,
        ..PatientRecord::new(reading.id()?)
    })
}

fn short(text: &str, max: usize) -> Option<String> {
    (text.chars().count() <= max && !text.chars().any(char::is_control)).then(|| text.to_owned())
}

fn workplace(reading: &Reading) -> Result<WorkplaceRecord, Wrong> {
    Ok(WorkplaceRecord {
        id: reading.id()?,
        changed: reading.time("changed", false)?,
        name: reading.must("name", |text| short(text, 64))?,
        zone: reading.read("zone", |text| ZoneId::new(text).ok())?,
        point: reading.read("point", |text| PointId::new(text).ok())?,
        staff: reading.aliases("staff")?,
        active: reading.flag("active", true)?,
    })
}

fn appointment(reading: &Reading) -> Result<AppointmentRecord, Wrong> {
    let starts = reading.time("starts", false)?.ok_or(("starts", Problem::Missing))?;
    let planned = reading.minutes()?.map(|minutes| starts.plus_ms(i64::from(minutes) * 60_000));
    let zone = reading.read("zone", |text| ZoneId::new(text).ok())?.map(Place::Zone);
    let ends = reading.time("ends", false)?.or(planned);
    if ends.is_some_and(|ends| ends < starts) {
        return Err(("ends", Problem::Backwards));
    }
    Ok(AppointmentRecord {
        id: reading.id()?,
        changed: reading.time("changed", false)?,
        patient: reading.alias("patient")?.ok_or(("patient", Problem::Missing))?,
        staff: reading.alias("staff")?,
        place: zone.or(reading.read("workplace", Reference::new)?.map(Place::Workplace)),
        purpose: reading.read("purpose", Reference::new)?,
        starts,
        ends,
        state: reading.read("state", AppointmentState::parse)?.unwrap_or(AppointmentState::Booked),
    })
}

fn purpose(reading: &Reading) -> Result<PurposeRecord, Wrong> {
    let zones = reading.list("zones")?;
    let zones =
        zones.map(|all| all.iter().map(|text| ZoneId::new(text).map_err(|_| ("zones", Problem::Unreadable))).collect());
    Ok(PurposeRecord {
        id: reading.id()?,
        changed: reading.time("changed", false)?,
        name: reading.must("name", |text| short(text, 128))?,
        zones: zones.transpose()?,
        minutes: reading.minutes()?,
        active: reading.flag("active", true)?,
    })
}

fn condition(reading: &Reading) -> Result<ConditionRecord, Wrong> {
    let (from, until) = reading.period()?;
    Ok(ConditionRecord {
        person: reading.alias("person")?.ok_or(("person", Problem::Missing))?,
        condition: reading.must("condition", |text| ConditionId::new(text).ok())?,
        changed: reading.time("changed", false)?,
        holds: reading.flag("holds", true)?,
        from,
        until,
    })
}

fn message(reading: &Reading) -> Result<ControlRecord, Wrong> {
    let order = reading.opt("order")?.ok_or(("order", Problem::Missing))?;
    Ok(ControlRecord {
        id: reading.id()?,
        at: reading.time("at", false)?.ok_or(("at", Problem::Missing))?,
        person: reading.alias("person")?.ok_or(("person", Problem::Missing))?,
        order: Order::parse(&order).ok_or(("order", Problem::UnknownOrder))?,
        note: reading.read("note", |text| short(text, 300))?.map(|note| Secret::new(&note)),
    })
}

/// RFC 3339 with its offset; or a local date and time; or a local day, which as an end means the end of that day.
fn instant(text: &str, zone: Tz, is_end: bool) -> Option<UtcMillis> {
    if let Some(at) = UtcMillis::from_rfc3339(text) {
        return Some(at);
    }
    let moment =
        match NaiveDate::parse_from_str(text, "%Y-%m-%d").or_else(|_| NaiveDate::parse_from_str(text, "%d.%m.%Y")) {
            Ok(day) if is_end => day.checked_add_days(Days::new(1))?.and_time(NaiveTime::MIN),
            Ok(day) => day.and_time(NaiveTime::MIN),
            Err(_) => ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%d.%m.%Y %H:%M"]
                .iter()
                .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())?,
        };
    let at: DateTime<Tz> = match zone.from_local_datetime(&moment) {
        LocalResult::Single(at) => at,
        LocalResult::Ambiguous(early, late) => {
            if is_end {
                late
            } else {
                early
            }
        }
        LocalResult::None => zone.from_local_datetime(&(moment + chrono::TimeDelta::hours(1))).earliest()?,
    };
    Some(UtcMillis(at.timestamp_millis()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> Fields {
        serde_json::from_str(text).unwrap()
    }

    fn read(kind: FeedKind, text: &str) -> List {
        read_list(kind, vec![fields(text)], Mode::Changes, Tz::Europe__Kyiv)
    }

    #[test]
    fn a_line_of_a_spreadsheet_and_an_object_mean_the_same() {
        let csv = r#"{"id":"7","family":"Koval","cards":"uid_hex=04A1B2C3; uid_hex=04A1B2C4","aliases":"mis=u-7","active":"yes",
            "until":"2026-11-30","role":"doctor","login":"koval","birth_date":""}"#;
        let json = r#"{"id":7,"family":"Koval","cards":[{"format":"uid_hex","number":"04A1B2C3"},
            {"format":"uid_hex","number":"04A1B2C4"}],"aliases":["mis=u-7"],"active":true,
            "until":"2026-12-01T00:00:00+02:00","role":"doctor","login":"koval"}"#;
        let (csv, json) = (read(FeedKind::Staff, csv), read(FeedKind::Staff, json));
        assert!(csv.refused.is_empty(), "{:?}", csv.refused);
        assert_eq!(csv.records, json.records);
    }

    #[test]
    fn what_is_wrong_is_named_by_field_and_never_by_value() {
        let wrong = |kind, text: &str| {
            let list = read(kind, text);
            assert_eq!((list.records.len(), list.refused.len()), (0, 1), "{text}");
            let shown = format!("{:?}", list.refused);
            assert!(!shown.contains("canary"), "{shown}");
            (list.refused[0].field, list.refused[0].problem)
        };
        use FeedKind as K;
        assert_eq!(wrong(K::Staff, r#"{"family":"canary"}"#), ("id", Problem::Missing));
        assert_eq!(wrong(K::Staff, r#"{"id":"1","canary":"x"}"#), ("", Problem::UnknownField));
        assert_eq!(wrong(K::Staff, r#"{"id":"1","role":"canary"}"#), ("role", Problem::Unreadable));
        assert_eq!(wrong(K::Staff, r#"{"id":{"canary":1}}"#), ("id", Problem::Unreadable));
        assert_eq!(
            wrong(K::Patients, r#"{"id":"1","card_format":"uid_hex","card_number":"canary"}"#),
            ("card_number", Problem::Unreadable)
        );
        assert_eq!(wrong(K::Patients, r#"{"id":"1","card_number":"04A1B2C3"}"#), ("card_format", Problem::Missing));
        assert_eq!(wrong(K::Patients, r#"{"id":"1","birth_date":"canary"}"#), ("birth_date", Problem::Unreadable));
        assert_eq!(wrong(K::Patients, r#"{"id":"1","language":"canary"}"#), ("language", Problem::Unreadable));
        assert_eq!(wrong(K::Staff, r#"{"id":"1","language":"uk"}"#), ("", Problem::UnknownField));
        assert_eq!(
            wrong(K::Patients, r#"{"id":"1","from":"2026-01-02","until":"2026-01-01"}"#),
            ("until", Problem::Backwards)
        );
        assert_eq!(wrong(K::Appointments, r#"{"id":"1","patient":"2"}"#), ("starts", Problem::Missing));
        assert_eq!(
            wrong(K::Messages, r#"{"id":"1","at":"2026-01-01","person":"2","order":"canary"}"#),
            ("order", Problem::UnknownOrder)
        );
        let long = format!(r#"{{"id":"1","family":"{}"}}"#, "я".repeat(600));
        assert_eq!(wrong(K::Patients, &long), ("family", Problem::TooLong));
    }

    #[test]
    fn every_field_of_the_list_is_read_and_no_other() {
        for kind in FeedKind::ALL {
            for field in fields_of(*kind) {
                // A value that no field can take: an object. A field that nobody reads would let it pass.
                let all = fields_of(*kind).into_iter().filter(|other| *other != field);
                let mut row: Fields = all
                    .filter(|other| !matches!(*other, "cards" | "zone"))
                    .map(|other| (other.to_owned(), Value::String(sample(other).to_owned())))
                    .collect();
                row.insert(field.to_owned(), serde_json::json!({"x": 1}));
                if field == "card_format" {
                    row.insert("card_number".to_owned(), Value::String("04A1B2C3".to_owned()));
                }
                if field == "cards" {
                    row.remove("card_number");
                }
                let list = read_list(*kind, vec![row], Mode::Changes, Tz::UTC);
                assert_eq!(list.refused.len(), 1, "{kind} {field}");
            }
        }
    }

    fn sample(field: &str) -> &'static str {
        match field {
            "changed" | "at" | "from" | "starts" => "2026-01-01T00:00:00Z",
            "until" | "ends" => "2026-01-01T01:00:00Z",
            "birth_date" => "1980-01-01",
            "language" => "uk-UA",
            "active" | "holds" => "yes",
            "role" => "doctor",
            "card_format" => "uid_hex",
            "card_number" => "04A1B2C3",
            "minutes" => "20",
            "state" => "booked",
            "order" => "block",
            _ => "x",
        }
    }
}
