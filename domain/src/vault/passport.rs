//! What the vault knows of a person, and the limits of it.

use std::fmt;

use chrono::{Datelike, NaiveDate};
use thiserror::Error;

use super::Secret;
use crate::codes;

/// Longest single name, in characters.
pub const NAME_MAX_CHARS: usize = 100;
/// Longest number of a document, address or other text, in characters.
pub const TEXT_MAX_CHARS: usize = 300;
/// Most documents of one person.
pub const DOCUMENTS_MAX: usize = 8;
/// Most contacts of one person.
pub const CONTACTS_MAX: usize = 16;

/// The year before which nobody alive was born, and a mistyped date is more likely.
const BIRTH_YEAR_MIN: i32 = 1890;

/// A person's names, as their document writes them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// Family name.
    pub family: Secret,
    /// Given name.
    pub given: Secret,
    /// Middle name or patronymic; may be empty.
    pub middle: Secret,
}

impl Names {
    /// Takes the three texts.
    pub fn new(family: &str, given: &str, middle: &str) -> Self {
        Self { family: Secret::new(family), given: Secret::new(given), middle: Secret::new(middle) }
    }

    /// Family, given and middle name with blanks between; what is missing leaves none.
    pub fn full(&self) -> Secret {
        let parts = [&self.family, &self.given, &self.middle];
        let words: Vec<&str> = parts.iter().map(|part| part.reveal()).filter(|text| !text.is_empty()).collect();
        Secret::new(&words.join(" "))
    }

    /// Family name and initials, for narrow places: `Іваненко О. П.`.
    pub fn short(&self) -> Secret {
        let mut text = self.family.reveal().to_owned();
        for part in [&self.given, &self.middle] {
            if let Some(initial) = part.reveal().chars().next() {
                if !text.is_empty() {
                    text.push(' ');
                }
                text.push(initial);
                text.push('.');
            }
        }
        Secret::new(&text)
    }

    /// Whether no name is known.
    pub fn is_empty(&self) -> bool {
        self.family.is_empty() && self.given.is_empty() && self.middle.is_empty()
    }
}

/// A date of birth. Never printed by `Debug`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct BirthDate(NaiveDate);

impl BirthDate {
    /// A day of the calendar from 1890 on; `None` for anything else.
    pub fn new(year: i32, month: u32, day: u32) -> Option<Self> {
        if year < BIRTH_YEAR_MIN {
            return None;
        }
        NaiveDate::from_ymd_opt(year, month, day).map(Self)
    }

    /// Reads `1987-04-21`.
    pub fn parse(text: &str) -> Option<Self> {
        let date = NaiveDate::parse_from_str(text.trim(), "%Y-%m-%d").ok()?;
        Self::new(date.year(), date.month(), date.day())
    }

    /// Year, month and day, for the page or answer that may show them.
    pub fn reveal(self) -> (i32, u32, u32) {
        (self.0.year(), self.0.month(), self.0.day())
    }

    /// `1987-04-21`, for the page or answer that may show it.
    pub fn reveal_iso(self) -> Secret {
        Secret::new(&self.0.format("%Y-%m-%d").to_string())
    }

    /// Whether it lies behind the given day of UTC.
    pub fn is_after(self, day: NaiveDate) -> bool {
        self.0 > day
    }
}

impl fmt::Debug for BirthDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BirthDate(redacted)")
    }
}

codes! {
    /// What kind of identity document.
    DocumentKind {
        /// A passport.
        Passport = "passport",
        /// A national identity card.
        IdCard = "id_card",
        /// A birth certificate.
        BirthCertificate = "birth_certificate",
        /// A driving licence.
        DrivingLicence = "driving_licence",
        /// An insurance policy or number.
        Insurance = "insurance",
        /// A taxpayer's or personal number.
        PersonalNumber = "personal_number",
        /// Something else.
        Other = "other",
    }
}

/// An identity document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// What it is.
    pub kind: DocumentKind,
    /// Series and number as written.
    pub number: Secret,
    /// By whom and when it was issued; may be empty.
    pub issued: Secret,
}

codes! {
    /// How somebody is reached.
    ContactKind {
        /// A telephone number.
        Phone = "phone",
        /// An e-mail address.
        Email = "email",
        /// A postal address.
        Address = "address",
    }
}

/// One way to reach a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// Which way.
    pub kind: ContactKind,
    /// The number or address.
    pub value: Secret,
}

/// What the vault knows of a person.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Passport {
    /// Names.
    pub names: Names,
    /// Date of birth.
    pub birth_date: Option<BirthDate>,
    /// Identity documents, at most [`DOCUMENTS_MAX`].
    pub documents: Vec<Document>,
    /// Ways to reach them, at most [`CONTACTS_MAX`].
    pub contacts: Vec<Contact>,
}

/// What is to be changed; `None` leaves a part as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PassportChange {
    /// New names.
    pub names: Option<Names>,
    /// A new date of birth, or none any more.
    pub birth_date: Option<Option<BirthDate>>,
    /// All documents from now on.
    pub documents: Option<Vec<Document>>,
    /// All contacts from now on.
    pub contacts: Option<Vec<Contact>>,
}

impl From<Passport> for PassportChange {
    /// Everything is set.
    fn from(passport: Passport) -> Self {
        Self {
            names: Some(passport.names),
            birth_date: Some(passport.birth_date),
            documents: Some(passport.documents),
            contacts: Some(passport.contacts),
        }
    }
}

/// Why a passport cannot be stored. Never repeats what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PassportRefused {
    /// Neither family nor given name.
    #[error("a family name or a given name is needed")]
    NoName,
    /// A name is too long.
    #[error("a name may have at most {NAME_MAX_CHARS} characters")]
    LongName,
    /// A text is too long.
    #[error("a document or contact may have at most {TEXT_MAX_CHARS} characters")]
    LongText,
    /// A document or contact without its number.
    #[error("a document or contact needs its number or address")]
    EmptyText,
    /// Tabs, line ends and other invisible characters.
    #[error("names, documents and contacts may not hold control characters or line ends")]
    Control,
    /// Born after today.
    #[error("the date of birth lies in the future")]
    BornLater,
    /// Too many documents.
    #[error("a person may have at most {DOCUMENTS_MAX} documents")]
    ManyDocuments,
    /// Too many contacts.
    #[error("a person may have at most {CONTACTS_MAX} contacts")]
    ManyContacts,
}

impl PassportChange {
    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.names.is_none() && self.birth_date.is_none() && self.documents.is_none() && self.contacts.is_none()
    }

    /// Checks everything that is to be set; `today` is the day of UTC.
    ///
    /// # Errors
    /// [`PassportRefused`].
    pub fn check(&self, today: NaiveDate) -> Result<(), PassportRefused> {
        if let Some(names) = &self.names {
            if names.family.is_empty() && names.given.is_empty() {
                return Err(PassportRefused::NoName);
            }
            for part in [&names.family, &names.given, &names.middle] {
                check_text(part, NAME_MAX_CHARS, PassportRefused::LongName)?;
            }
        }
        if let Some(Some(born)) = self.birth_date
            && born.is_after(today)
        {
            return Err(PassportRefused::BornLater);
        }
        if let Some(documents) = &self.documents {
            if documents.len() > DOCUMENTS_MAX {
                return Err(PassportRefused::ManyDocuments);
            }
            for document in documents {
                check_filled(&document.number)?;
                check_text(&document.issued, TEXT_MAX_CHARS, PassportRefused::LongText)?;
            }
        }
        if let Some(contacts) = &self.contacts {
            if contacts.len() > CONTACTS_MAX {
                return Err(PassportRefused::ManyContacts);
            }
            contacts.iter().try_for_each(|contact| check_filled(&contact.value))?;
        }
        Ok(())
    }
}

fn check_filled(text: &Secret) -> Result<(), PassportRefused> {
    if text.is_empty() {
        return Err(PassportRefused::EmptyText);
    }
    check_text(text, TEXT_MAX_CHARS, PassportRefused::LongText)
}

fn check_text(text: &Secret, max: usize, too_long: PassportRefused) -> Result<(), PassportRefused> {
    if text.reveal().chars().count() > max {
        return Err(too_long);
    }
    // Marks that turn the direction of writing could make one name look like another.
    let hidden = |c: char| c.is_control() || matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
    if text.reveal().chars().any(hidden) { Err(PassportRefused::Control) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn today() -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 11, 22).unwrap()
    }

    #[test]
    fn names_read_well_with_parts_missing() {
        assert_eq!(Names::new("Іваненко", "Олена", "Петрівна").full().reveal(), "Іваненко Олена Петрівна");
        assert_eq!(Names::new("Іваненко", "Олена", "Петрівна").short().reveal(), "Іваненко О. П.");
        assert_eq!(Names::new("", " Cher ", "").full().reveal(), "Cher");
        assert_eq!(Names::new("", "Cher", "").short().reveal(), "C.");
    }

    #[test]
    fn what_cannot_be_stored_is_refused_with_its_reason() {
        let names = |family: &str| PassportChange { names: Some(Names::new(family, "", "")), ..Default::default() };
        assert_eq!(names("").check(today()), Err(PassportRefused::NoName));
        assert_eq!(names("a\nb").check(today()), Err(PassportRefused::Control));
        assert_eq!(names("a\u{202E}b").check(today()), Err(PassportRefused::Control));
        assert_eq!(names(&"я".repeat(100)).check(today()), Ok(()));
        assert_eq!(names(&"я".repeat(101)).check(today()), Err(PassportRefused::LongName));
        let born = |text: &str| PassportChange { birth_date: Some(BirthDate::parse(text)), ..Default::default() };
        assert_eq!(born("2026-11-22").check(today()), Ok(()));
        assert_eq!(born("2026-11-23").check(today()), Err(PassportRefused::BornLater));
        let contact = Contact { kind: ContactKind::Phone, value: Secret::new("+380 67 1") };
        let many = |count| PassportChange { contacts: Some(vec![contact.clone(); count]), ..Default::default() };
        assert_eq!(many(16).check(today()), Ok(()));
        assert_eq!(many(17).check(today()), Err(PassportRefused::ManyContacts));
    }

    #[test]
    fn dates_of_birth_are_days_of_the_calendar() {
        assert_eq!(BirthDate::parse("1987-04-21").unwrap().reveal(), (1987, 4, 21));
        for bad in ["1987-02-30", "0087-01-01", "1889-12-31", "21.04.1987", ""] {
            assert!(BirthDate::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn debug_shows_nothing_of_a_passport() {
        let passport = Passport {
            names: Names::new("Canaryova", "Canarina", ""),
            birth_date: BirthDate::parse("1987-04-21"),
            documents: vec![Document { kind: DocumentKind::Passport, number: "CD 771177".into(), issued: "x".into() }],
            contacts: vec![Contact { kind: ContactKind::Phone, value: "+380 67 555 0199".into() }],
        };
        let shown = format!("{passport:?} {:?}", PassportChange::from(passport.clone()));
        for canary in ["Canar", "1987", "771177", "0199"] {
            assert!(!shown.contains(canary), "{shown}");
        }
    }
}
