//! Answers of the service, read and written. Most methods answer by its result convention: a number, 0 or more for
//! success and -1 for failure, words for the failure, and a value.

use domain::UtcMillis;
use thiserror::Error;

use super::guid::Guid;
use super::instant;
use super::object::{HardwareState, Identifier, Person, Session, Territory, TransactionType, VisitorRequest};
use super::soap::{self, Body, Fault, SoapError, Version};
use super::tree::Element;
use super::writer::Writer;

/// Longest words of a failure that are kept.
const WORDS_MAX_CHARS: usize = 300;

/// Success with a value, or the service's words about why not.
pub type Outcome<T> = Result<T, String>;

/// A value of a report's field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// None.
    Nil,
    /// Words, or a value whose type was not told.
    Text(String),
    /// A number.
    Int(i64),
    /// A GUID.
    Guid(Guid),
    /// An instant.
    At(UtcMillis),
}

impl Value {
    fn read(from: &Element) -> Self {
        let text = from.text.trim();
        if from.nil {
            return Self::Nil;
        }
        let typed = match from.kind.as_deref() {
            Some("int" | "unsignedInt" | "long" | "short" | "unsignedByte" | "unsignedShort") => {
                text.parse().ok().map(Self::Int)
            }
            Some("guid") => text.parse().ok().map(Self::Guid),
            Some("dateTime") => instant::parse(text).map(Self::At),
            _ => None,
        };
        typed.unwrap_or_else(|| if text.is_empty() { Self::Nil } else { Self::Text(from.text.clone()) })
    }

    fn write(&self, xml: &mut Writer) {
        match self {
            Self::Nil => xml.nil("anyType"),
            Self::Text(text) => xml.any("anyType", "string", text),
            Self::Int(number) => xml.any("anyType", "int", &number.to_string()),
            Self::Guid(guid) => xml.any_guid("anyType", *guid),
            Self::At(at) => xml.any("anyType", "dateTime", &instant::write(*at)),
        }
    }

    /// As words.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text.trim()),
            _ => None,
        }
    }

    /// As a number, however it was sent.
    pub fn int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            Self::Text(text) => text.trim().parse().ok(),
            _ => None,
        }
    }

    /// As a GUID, however it was sent.
    pub fn guid(&self) -> Option<Guid> {
        match self {
            Self::Guid(guid) => Some(*guid),
            Self::Text(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// As an instant, however it was sent.
    pub fn instant(&self) -> Option<UtcMillis> {
        match self {
            Self::At(at) => Some(*at),
            Self::Text(text) => instant::parse(text),
            _ => None,
        }
    }
}

/// What a method answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Nothing.
    Nothing,
    /// A number on its own: of `ContinueSession` (0 is good) or how many.
    Int(i64),
    /// Words on their own.
    Text(String),
    /// Done, or not.
    Done(Outcome<()>),
    /// Done, and this was made.
    Guid(Outcome<Guid>),
    /// The session.
    Session(Outcome<Session>),
    /// A person, if there is one.
    Person(Option<Person>),
    /// A visitor's request, if there is one.
    VisitorRequest(Option<VisitorRequest>),
    /// A person's cards.
    Identifiers(Vec<Identifier>),
    /// Territories.
    Territories(Vec<Territory>),
    /// The dictionary.
    Types(Vec<TransactionType>),
    /// A page of events: the values of the asked fields.
    Events(Vec<Vec<Value>>),
    /// Lines.
    Lines(Vec<String>),
    /// States of hardware.
    Hardware(Vec<HardwareState>),
}

/// Why there is no answer in what came.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AnswerError {
    /// Not a SOAP message.
    #[error(transparent)]
    Soap(#[from] SoapError),
    /// A fault: the service did not take the call, or broke down on it.
    #[error("the service refused the call ({}): {}", .0.code, .0.text)]
    Fault(Fault),
    /// Something else than the answer to this method.
    #[error("the answer to {method} is not of its form: {what}")]
    Form {
        /// What was asked.
        method: &'static str,
        /// What is wrong.
        what: &'static str,
    },
}

impl Answer {
    /// Reads the answer to `method` from an HTTP body.
    ///
    /// # Errors
    /// If it is a fault, or not the answer to this method.
    pub fn read(method: &'static str, bytes: &[u8], content_type: Option<&str>) -> Result<Self, AnswerError> {
        match soap::read(bytes, content_type)? {
            Body::Fault(fault) => Err(AnswerError::Fault(fault)),
            Body::Element(_, response) => Self::of(method, &response),
        }
    }

    /// Reads the answer to `method` from the element in the body.
    ///
    /// # Errors
    /// If it is not the answer to this method.
    pub fn of(method: &'static str, response: &Element) -> Result<Self, AnswerError> {
        let form = |what| AnswerError::Form { method, what };
        if response.name.strip_suffix("Response") != Some(method) {
            return Err(form("it answers another method"));
        }
        let result = response.children.iter().find(|child| child.name.strip_suffix("Result") == Some(method));
        // An object or list that is not there is told by leaving it out.
        let read_list = |name: &'static str| result.into_iter().flat_map(move |list| list.all(name));
        let needed = || result.ok_or_else(|| form("it has no result"));
        let int = |element: &Element| element.value().and_then(|text| text.parse().ok());
        Ok(match method {
            "CloseSession" | "CloseEventHistorySession" | "ClosePersonEditingSession" => Self::Nothing,
            "ContinueSession" | "GetEventHistoryResultCount" => {
                Self::Int(int(needed()?).ok_or_else(|| form("the result is no number"))?)
            }
            "GetVersion" => Self::Text(result.map(|text| text.text.clone()).unwrap_or_default()),
            "OpenSession" => {
                let session = |value: &Element| Session::read(value).ok_or_else(|| form("it has no session"));
                Self::Session(outcome(needed()?, form, session)?)
            }
            "OpenEventHistorySession"
            | "EventsSubscribe"
            | "CreatePerson"
            | "CreateVisitor"
            | "OpenPersonEditingSession" => {
                let guid = |value: &Element| value.value().and_then(|text| text.parse().ok());
                Self::Guid(outcome(needed()?, form, |value| guid(value).ok_or_else(|| form("it has no id")))?)
            }
            "GetPerson" | "FindPersonByIdentifier" => Self::Person(result.and_then(Person::read)),
            "CreateVisitorRequest" => Self::VisitorRequest(result.and_then(VisitorRequest::read)),
            "GetPersonIdentifiers" => Self::Identifiers(read_list("Identifier").filter_map(Identifier::read).collect()),
            "GetTerritoriesHierarhy" => Self::Territories(read_list("Territory").filter_map(Territory::read).collect()),
            "GetTransactionTypes" => {
                Self::Types(read_list("TransactionType").filter_map(TransactionType::read).collect())
            }
            "GetEventHistoryResult" => Self::Events(read_list("EventObject").map(values).collect()),
            "GetHardwareEvents" => Self::Lines(read_list("string").map(|line| line.text.clone()).collect()),
            "GetHardwareState" => Self::Hardware(read_list("HardwareState").filter_map(HardwareState::read).collect()),
            _ => Self::Done(result_of(needed()?, form)?),
        })
    }

    /// The whole envelope without XML declaration.
    pub fn envelope(&self, version: Version, method: &str) -> String {
        let attributes = format!(" xmlns=\"{}\"", super::NAMESPACE);
        soap::envelope(version, |xml| {
            xml.within(&format!("{method}Response"), &attributes, |xml| self.write(xml, &format!("{method}Result")));
        })
    }

    fn write(&self, xml: &mut Writer, name: &str) {
        let list = |xml: &mut Writer, body: &dyn Fn(&mut Writer)| xml.within(name, "", |xml| body(xml));
        match self {
            Self::Nothing | Self::Person(None) | Self::VisitorRequest(None) => {}
            Self::Int(number) => xml.int(name, *number),
            Self::Text(text) => xml.text(name, text),
            Self::Done(done) => write_outcome(xml, name, done, |_, ()| {}),
            Self::Guid(made) => write_outcome(xml, name, made, |xml, guid| xml.guid("Value", *guid)),
            Self::Session(session) => write_outcome(xml, name, session, |xml, session| {
                xml.within("Value", "", |xml| session.write(xml));
            }),
            Self::Person(Some(person)) => xml.within(name, "", |xml| person.write(xml)),
            Self::VisitorRequest(Some(request)) => xml.within(name, "", |xml| request.write(xml)),
            Self::Identifiers(all) => list(xml, &|xml| all.iter().for_each(|one| one.write(xml, "Identifier"))),
            Self::Territories(all) => list(xml, &|xml| all.iter().for_each(|one| one.write(xml))),
            Self::Types(all) => list(xml, &|xml| all.iter().for_each(|one| one.write(xml))),
            Self::Lines(all) => list(xml, &|xml| all.iter().for_each(|line| xml.text("string", line))),
            Self::Hardware(all) => list(xml, &|xml| all.iter().for_each(|one| one.write(xml))),
            Self::Events(all) => list(xml, &|xml| {
                all.iter().for_each(|values| {
                    xml.within("EventObject", "", |xml| {
                        xml.within("Values", "", |xml| values.iter().for_each(|value| value.write(xml)));
                    });
                });
            }),
        }
    }
}

fn values(event: &Element) -> Vec<Value> {
    event.child("Values").map(|values| values.children.iter().map(Value::read).collect()).unwrap_or_default()
}

fn result_of(result: &Element, form: impl Fn(&'static str) -> AnswerError) -> Result<Outcome<()>, AnswerError> {
    match result.int_of("Result").ok_or_else(|| form("it has no number of success or failure"))? {
        0.. => Ok(Ok(())),
        _ => {
            let words = result.text_of("ErrorMessage");
            let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
            Ok(Err(words.chars().filter(|c| !c.is_control()).take(WORDS_MAX_CHARS).collect()))
        }
    }
}

fn outcome<T>(
    result: &Element,
    form: impl Fn(&'static str) -> AnswerError + Copy,
    value: impl Fn(&Element) -> Result<T, AnswerError>,
) -> Result<Outcome<T>, AnswerError> {
    match result_of(result, form)? {
        Ok(()) => value(result.child("Value").ok_or_else(|| form("it has no value"))?).map(Ok),
        Err(words) => Ok(Err(words)),
    }
}

fn write_outcome<T>(xml: &mut Writer, name: &str, outcome: &Outcome<T>, value: impl FnOnce(&mut Writer, &T)) {
    xml.within(name, "", |xml| match outcome {
        Ok(made) => {
            xml.int("Result", 0);
            value(xml, made);
        }
        Err(words) => {
            xml.int("Result", -1);
            xml.text("ErrorMessage", words);
        }
    });
}
