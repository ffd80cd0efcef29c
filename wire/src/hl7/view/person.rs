//! PID and MRG: whom a message is about.

use domain::Spoken;
use domain::vault::{BirthDate, CONTACTS_MAX, Contact, ContactKind, Names, Secret};

use super::header::Party;
use crate::hl7::error::{Hl7Error, Place};
use crate::hl7::message::{Message, Repetition, Segment};
use crate::hl7::stamp::{Precision, Stamp};
use crate::hl7::value::{Told, Value};

/// Most ids of a person that are read; further ones are left out.
pub const IDS_MAX: usize = 20;
/// Longest id, in characters.
const ID_MAX_CHARS: usize = 200;

/// An id of a person, a visit or an appointment (data types CX, EI). A record number: not to be logged.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Id {
    /// The number.
    pub value: String,
    /// Who gave it.
    pub authority: Party,
    /// Its kind (HL7 table 0203): `MR`, `PI`, …; empty if not said.
    pub kind: String,
}

impl std::fmt::Debug for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Id(redacted, {:?})", self.kind)
    }
}

impl Id {
    /// Reads a CX; `None` if it has no value, or one that nobody would give.
    pub(crate) fn read(field: Repetition<'_>) -> Option<Self> {
        let value = sane(field.text(1)?)?;
        let part = |number| field.subcomponent(4, number).text().unwrap_or_default().to_owned();
        let authority = Party { namespace: part(1), universal: part(2), kind: part(3) };
        Some(Self { value, authority, kind: field.text(5).unwrap_or_default() })
    }

    /// Reads an EI: the number and who gave it.
    pub(crate) fn read_entity(field: Repetition<'_>) -> Option<Self> {
        let value = sane(field.text(1)?)?;
        let part = |number| field.text(number).unwrap_or_default();
        let authority = Party { namespace: part(2), universal: part(3), kind: part(4) };
        Some(Self { value, authority, kind: String::new() })
    }

    fn all(segment: Segment<'_>, field: usize) -> Vec<Self> {
        segment.repetitions(field).filter_map(Self::read).take(IDS_MAX).collect()
    }
}

fn sane(text: String) -> Option<String> {
    (text.chars().count() <= ID_MAX_CHARS && !text.chars().any(char::is_control)).then_some(text)
}

/// A person of the staff (data type XCN).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Practitioner {
    /// Their id in the other system.
    pub id: String,
    /// Who gave it.
    pub authority: Party,
    /// Their names, if said.
    pub names: Option<Names>,
}

impl Practitioner {
    /// Reads an XCN; `None` without an id.
    pub(crate) fn read(field: Repetition<'_>) -> Option<Self> {
        let id = sane(field.text(1)?)?;
        let part = |number| field.subcomponent(9, number).text().unwrap_or_default().to_owned();
        let text = |component| field.text(component).unwrap_or_default();
        let family = field.subcomponent(2, 1).text().unwrap_or_default().to_owned();
        let names = Names::new(&family, &text(3), &text(4));
        let authority = Party { namespace: part(1), universal: part(2), kind: part(3) };
        Some(Self { id, authority, names: (!names.is_empty()).then_some(names) })
    }
}

/// What PID says of a patient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patient {
    /// PID-3; never empty.
    pub ids: Vec<Id>,
    /// PID-5, the legal name if there are several.
    pub names: Told<Names>,
    /// PID-7.
    pub birth: Told<BirthDate>,
    /// PID-13: telephones and mail addresses, all of them from now on.
    pub contacts: Told<Vec<Contact>>,
    /// PID-15: the primary language. What is no code of a language is unsaid: the table behind it is each site's own.
    pub language: Told<Spoken>,
    /// PID-30: the patient is known to be dead.
    pub dead: bool,
}

impl Patient {
    /// Reads the patient of a message.
    ///
    /// # Errors
    /// [`Hl7Error::Missing`] without PID or any id in PID-3; [`Hl7Error::BadValue`].
    pub fn read(message: &Message) -> Result<Self, Hl7Error> {
        Self::of(message.must("PID")?)
    }

    /// Reads one segment PID.
    ///
    /// # Errors
    /// As [`Patient::read`].
    pub fn of(segment: Segment<'_>) -> Result<Self, Hl7Error> {
        let ids = Id::all(segment, 3);
        if ids.is_empty() {
            return Err(Hl7Error::Missing(Place::of("PID", 3)));
        }
        let birth = segment.value(7).told(birth_date, Hl7Error::BadValue(Place::of("PID", 7), "a day, YYYYMMDD"))?;
        Ok(Self {
            ids,
            names: names(segment),
            birth,
            contacts: contacts(segment),
            language: language(segment),
            dead: segment.text(30).is_some_and(|text| text == "Y"),
        })
    }
}

/// A day, if the whole day is said; a year or month alone is not a date of birth, and unsaid.
fn birth_date(text: &str) -> Option<BirthDate> {
    use chrono::Datelike as _;
    let stamp = Stamp::read(text).filter(|stamp| stamp.precision() >= Precision::Day)?;
    let day = stamp.day();
    BirthDate::new(day.year(), day.month(), day.day())
}

/// A language by its code, or by the other code beside it (CE-1, CE-4).
fn language(segment: Segment<'_>) -> Told<Spoken> {
    let field = segment.field(15);
    if field.is_delete() {
        return Told::Delete;
    }
    let code = |component| field.text(component).as_deref().and_then(Spoken::parse);
    code(1).or_else(|| code(4)).map_or(Told::Unsaid, Told::Is)
}

/// What XTN says: the address of a mail, or the number, or the number in one piece.
fn contacts(segment: Segment<'_>) -> Told<Vec<Contact>> {
    if segment.field(13).is_delete() {
        return Told::Delete;
    }
    let one = |repetition: Repetition<'_>| {
        let (mail, number) = (repetition.text(4), repetition.text(1).or_else(|| repetition.text(12)));
        let (kind, value) = match (mail, number) {
            (Some(mail), _) => (ContactKind::Email, mail),
            (None, Some(number)) if number.contains('@') => (ContactKind::Email, number),
            (None, Some(number)) => (ContactKind::Phone, number),
            (None, None) => return None,
        };
        Some(Contact { kind, value: Secret::new(&value) })
    };
    let found: Vec<Contact> = segment.repetitions(13).filter_map(one).take(CONTACTS_MAX).collect();
    if found.is_empty() { Told::Unsaid } else { Told::Is(found) }
}

/// The legal name (kind `L`), or else the first one that is not a nickname or pseudonym.
fn names(segment: Segment<'_>) -> Told<Names> {
    let kind = |name: &Repetition<'_>| name.text(7).unwrap_or_default();
    let all: Vec<Repetition<'_>> = segment.repetitions(5).take(IDS_MAX).collect();
    let legal = all.iter().find(|name| kind(name) == "L");
    let other = || all.iter().find(|name| !matches!(kind(name).as_str(), "N" | "S" | "A" | "M"));
    let Some(name) = legal.or_else(other) else { return Told::Unsaid };
    if name.is_delete() {
        return Told::Delete;
    }
    let part = |value: Value<'_>| value.text().unwrap_or_default().to_owned();
    let names = Names::new(&part(name.subcomponent(1, 1)), &part(name.component(2)), &part(name.component(3)));
    if names.is_empty() { Told::Unsaid } else { Told::Is(names) }
}

/// Two records that turned out to be one person: A40.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merge {
    /// The record that stays: PID.
    pub into: Patient,
    /// The ids of the one that goes: MRG-1; never empty.
    pub from: Vec<Id>,
}

/// The merges of a message, in order; a message may hold several.
///
/// # Errors
/// [`Hl7Error::Missing`], [`Hl7Error::BadValue`].
pub fn merges(message: &Message) -> Result<Vec<Merge>, Hl7Error> {
    message.must("PID")?;
    let mut found = Vec::new();
    for group in message.groups("PID") {
        let mut merges = 0;
        for merge in group.iter().filter(|segment| segment.name() == "MRG") {
            let pid = group.first().copied().ok_or(Hl7Error::Missing(Place::of("PID", 0)))?;
            let from = Id::all(*merge, 1);
            if from.is_empty() {
                return Err(Hl7Error::Missing(Place::of("MRG", 1)));
            }
            found.push(Merge { into: Patient::of(pid)?, from });
            merges += 1;
        }
        if merges == 0 {
            return Err(Hl7Error::Missing(Place { segment: "MRG", sequence: 0, field: 0 }));
        }
    }
    Ok(found)
}
