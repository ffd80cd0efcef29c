//! Calls of the service's methods, written and read. The envelopes are made by hand, field by field, in the order of
//! the service's own description.

use std::fmt;

use thiserror::Error;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::code::Code;
use super::guid::Guid;
use super::object::{HistoryQuery, Identifier, Person, VisitorRequest, read_guids, write_codes};
use super::soap::{self, Version};
use super::tree::Element;
use super::writer::Writer;

/// A password. Wiped when dropped, never printed.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Secret(String);

impl Secret {
    /// Takes it over.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// For comparing.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

/// One call. `session` is what `OpenSession` gave, `edit` what `OpenPersonEditingSession` gave.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are the service's own parameters")]
pub enum Request {
    /// The service's version. Needs no session.
    GetVersion,
    /// Begins a session.
    OpenSession { domain: String, user: String, password: Secret },
    /// Keeps it.
    ContinueSession { session: Guid },
    /// Ends it.
    CloseSession { session: Guid },
    /// All territories.
    GetTerritoriesHierarhy { session: Guid },
    /// The dictionary of transactions; -1: all classes.
    GetTransactionTypes { session: Guid, classes: i32 },
    /// Makes a report over events.
    OpenEventHistorySession { session: Guid, query: HistoryQuery },
    /// How many events it has.
    GetEventHistoryResultCount { session: Guid, history: Guid },
    /// A page of it: for each event the values of `fields`, in their order.
    GetEventHistoryResult { session: Guid, history: Guid, fields: Vec<Guid>, offset: i32, count: i32 },
    /// Throws it away.
    CloseEventHistorySession { session: Guid, history: Guid },
    /// Events as lines of text, from a running number on.
    GetHardwareEvents { session: Guid, from: i32 },
    /// Asks the service to call a URL for each event. Without `codes` and `territories`: for all.
    EventsSubscribe { session: Guid, codes: Vec<u32>, territories: Vec<Guid>, format: i32, method: i32, url: String },
    /// Whether it still does.
    EventsSubscribeCheck { session: Guid, subscription: Guid },
    /// That it shall not any more.
    EventsUnsubscribe { session: Guid, subscription: Guid },
    /// A person.
    GetPerson { session: Guid, person: Guid },
    /// A new person.
    CreatePerson { session: Guid, person: Person },
    /// A new visitor.
    CreateVisitor { session: Guid, person: Person },
    /// Takes a person for changing.
    OpenPersonEditingSession { session: Guid, person: Guid },
    /// Gives it back.
    ClosePersonEditingSession { edit: Guid },
    /// Names and number.
    SavePerson { edit: Guid, person: Person },
    /// Blocks a person; the numbers are not public.
    BlockPerson { edit: Guid, kind: i32 },
    /// Unblocks.
    UnblockPerson { edit: Guid },
    /// Removes a person.
    DeletePerson { session: Guid, person: Guid },
    /// A person's cards.
    GetPersonIdentifiers { session: Guid, person: Guid },
    /// Whose card it is.
    FindPersonByIdentifier { session: Guid, code: Code },
    /// Issues a card.
    AddPersonIdentifier { edit: Guid, identifier: Identifier },
    /// Changes what a card may.
    ChangePersonIdentifier { edit: Guid, identifier: Identifier },
    /// Withdraws a card.
    DeleteIdentifier { session: Guid, code: Code },
    /// A new visitor's request.
    CreateVisitorRequest { session: Guid, request: VisitorRequest },
    /// Gives the visitor a card.
    ActivateVisitorRequest { session: Guid, request: Guid, code: Code },
    /// Takes it back.
    CloseVisitorRequest { session: Guid, request: Guid },
    /// Takes back all of a visitor.
    CloseAllActiveVisitorRequests { session: Guid, visitor: Guid },
    /// The guard's answer: let this person through there, or not.
    SendVerificationCommand { session: Guid, territory: Guid, person: Guid, allow: bool },
    /// A command to hardware; the numbers are not public.
    SendHardwareCommand { session: Guid, territory: Guid, command: i32 },
    /// States of hardware.
    GetHardwareState { session: Guid, territories: Vec<Guid> },
}

/// Why an element is not a call.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RequestError {
    /// A method that is not known here.
    #[error("there is no method {0:?}")]
    Method(String),
    /// A parameter is missing or wrong.
    #[error("{method}: the parameter {field} is missing or wrong")]
    Field {
        /// Of which method.
        method: &'static str,
        /// Which.
        field: &'static str,
    },
}

macro_rules! methods {
    ($($name:ident),* $(,)?) => {
        impl Request {
            /// Names of all methods that are known here.
            pub const METHODS: &'static [&'static str] = &[$(stringify!($name)),*];

            /// The method's name.
            pub fn method(&self) -> &'static str {
                match self { $(Self::$name { .. } => stringify!($name),)* }
            }
        }
    };
}

methods! {
    GetVersion, OpenSession, ContinueSession, CloseSession, GetTerritoriesHierarhy, GetTransactionTypes,
    OpenEventHistorySession, GetEventHistoryResultCount, GetEventHistoryResult, CloseEventHistorySession,
    GetHardwareEvents, EventsSubscribe, EventsSubscribeCheck, EventsUnsubscribe, GetPerson, CreatePerson,
    CreateVisitor, OpenPersonEditingSession, ClosePersonEditingSession, SavePerson, BlockPerson, UnblockPerson,
    DeletePerson, GetPersonIdentifiers, FindPersonByIdentifier, AddPersonIdentifier, ChangePersonIdentifier,
    DeleteIdentifier, CreateVisitorRequest, ActivateVisitorRequest, CloseVisitorRequest,
    CloseAllActiveVisitorRequests, SendVerificationCommand, SendHardwareCommand, GetHardwareState,
}

impl Request {
    /// The whole envelope in UTF-8. May hold a password or a card's code.
    pub fn envelope(&self, version: Version) -> Zeroizing<String> {
        let attributes = format!(" xmlns=\"{}\"", super::NAMESPACE);
        let body = |xml: &mut Writer| xml.within(self.method(), &attributes, |xml| self.write(xml));
        Zeroizing::new(format!("<?xml version=\"1.0\" encoding=\"utf-8\"?>{}", soap::envelope(version, body)))
    }

    /// The session that it is made in, if it is made in one.
    pub fn session(&self) -> Option<Guid> {
        match self {
            Self::GetVersion
            | Self::OpenSession { .. }
            | Self::ClosePersonEditingSession { .. }
            | Self::SavePerson { .. }
            | Self::BlockPerson { .. }
            | Self::UnblockPerson { .. }
            | Self::AddPersonIdentifier { .. }
            | Self::ChangePersonIdentifier { .. } => None,
            Self::ContinueSession { session }
            | Self::CloseSession { session }
            | Self::GetTerritoriesHierarhy { session }
            | Self::GetTransactionTypes { session, .. }
            | Self::OpenEventHistorySession { session, .. }
            | Self::GetEventHistoryResultCount { session, .. }
            | Self::GetEventHistoryResult { session, .. }
            | Self::CloseEventHistorySession { session, .. }
            | Self::GetHardwareEvents { session, .. }
            | Self::EventsSubscribe { session, .. }
            | Self::EventsSubscribeCheck { session, .. }
            | Self::EventsUnsubscribe { session, .. }
            | Self::GetPerson { session, .. }
            | Self::CreatePerson { session, .. }
            | Self::CreateVisitor { session, .. }
            | Self::OpenPersonEditingSession { session, .. }
            | Self::DeletePerson { session, .. }
            | Self::GetPersonIdentifiers { session, .. }
            | Self::FindPersonByIdentifier { session, .. }
            | Self::DeleteIdentifier { session, .. }
            | Self::CreateVisitorRequest { session, .. }
            | Self::ActivateVisitorRequest { session, .. }
            | Self::CloseVisitorRequest { session, .. }
            | Self::CloseAllActiveVisitorRequests { session, .. }
            | Self::SendVerificationCommand { session, .. }
            | Self::SendHardwareCommand { session, .. }
            | Self::GetHardwareState { session, .. } => Some(*session),
        }
    }

    fn write(&self, xml: &mut Writer) {
        if let Some(session) = self.session() {
            xml.guid("sessionID", session);
        }
        match self {
            Self::GetVersion
            | Self::ContinueSession { .. }
            | Self::CloseSession { .. }
            | Self::GetTerritoriesHierarhy { .. } => {}
            Self::OpenSession { domain, user, password } => {
                xml.text("domain", domain);
                xml.text("userName", user);
                xml.text("password", password.reveal());
            }
            Self::GetTransactionTypes { classes, .. } => xml.int("classMask", *classes),
            Self::OpenEventHistorySession { query, .. } => xml.within("parameters", "", |xml| query.write(xml)),
            Self::GetEventHistoryResultCount { history, .. } | Self::CloseEventHistorySession { history, .. } => {
                xml.guid("eventHistorySessionID", *history);
            }
            Self::GetEventHistoryResult { history, fields, offset, count, .. } => {
                xml.guid("eventHistorySessionID", *history);
                xml.guids("fields", fields);
                xml.int("offset", *offset);
                xml.int("count", *count);
            }
            Self::GetHardwareEvents { from, .. } => xml.int("fromIndex", *from),
            Self::EventsSubscribe { codes, territories, format, method, url, .. } => {
                xml.typed("eventFilter", "AdvancedEventFilter", |xml| {
                    if !codes.is_empty() {
                        write_codes(xml, codes);
                    }
                    if !territories.is_empty() {
                        xml.guids("Territories", territories);
                    }
                });
                xml.int("eventFormat", *format);
                xml.int("httpMethod", *method);
                xml.text("urlDestination", url);
            }
            Self::EventsSubscribeCheck { subscription, .. } | Self::EventsUnsubscribe { subscription, .. } => {
                xml.guid("subscriptionID", *subscription);
            }
            Self::GetPerson { person, .. }
            | Self::OpenPersonEditingSession { person, .. }
            | Self::DeletePerson { person, .. }
            | Self::GetPersonIdentifiers { person, .. } => xml.guid("personID", *person),
            Self::CreatePerson { person, .. } | Self::CreateVisitor { person, .. } => {
                xml.typed("person", "Person", |xml| person.write(xml));
            }
            Self::ClosePersonEditingSession { edit } | Self::UnblockPerson { edit } => {
                xml.guid("personEditSessionID", *edit);
            }
            Self::SavePerson { edit, person } => {
                xml.guid("personEditSessionID", *edit);
                xml.typed("person", "Person", |xml| person.write(xml));
            }
            Self::BlockPerson { edit, kind } => {
                xml.guid("personEditSessionID", *edit);
                xml.int("typeBlock", *kind);
            }
            Self::FindPersonByIdentifier { code, .. } => xml.text("cardCode", &code.text()),
            Self::AddPersonIdentifier { edit, identifier } | Self::ChangePersonIdentifier { edit, identifier } => {
                xml.guid("personEditSessionID", *edit);
                identifier.write(xml, "identifier");
            }
            // Capital here, as the service has it.
            Self::DeleteIdentifier { code, .. } => xml.text("Code", &code.text()),
            Self::CreateVisitorRequest { request, .. } => xml.within("request", "", |xml| request.write(xml)),
            Self::ActivateVisitorRequest { request, code, .. } => {
                xml.guid("requestID", *request);
                xml.text("cardCode", &code.text());
            }
            Self::CloseVisitorRequest { request, .. } => xml.guid("requestID", *request),
            Self::CloseAllActiveVisitorRequests { visitor, .. } => xml.guid("visitorID", *visitor),
            Self::SendVerificationCommand { territory, person, allow, .. } => {
                xml.guid("territoryID", *territory);
                xml.guid("personID", *person);
                xml.flag("passAllow", *allow);
            }
            Self::SendHardwareCommand { territory, command, .. } => {
                xml.guid("territoryID", *territory);
                xml.int("command", *command);
            }
            Self::GetHardwareState { territories, .. } => xml.guids("territoryIDs", territories),
        }
    }

    /// Reads what stands in an envelope's body.
    ///
    /// # Errors
    /// If the method is not known here, or a parameter is missing or wrong.
    pub fn read(call: &Element) -> Result<Self, RequestError> {
        let known = Self::METHODS.iter().copied().find(|method| **method == *call.name);
        let method = known.ok_or_else(|| RequestError::Method(call.name.chars().take(80).collect()))?;
        let of = Parameters { method, call };
        let session = || of.guid("sessionID");
        let edit = || of.guid("personEditSessionID");
        Ok(match method {
            "GetVersion" => Self::GetVersion,
            "OpenSession" => Self::OpenSession {
                domain: call.text_of("domain"),
                user: call.text_of("userName"),
                password: Secret::new(call.text_of("password")),
            },
            "ContinueSession" => Self::ContinueSession { session: session()? },
            "CloseSession" => Self::CloseSession { session: session()? },
            "GetTerritoriesHierarhy" => Self::GetTerritoriesHierarhy { session: session()? },
            "GetTransactionTypes" => Self::GetTransactionTypes { session: session()?, classes: of.int("classMask")? },
            "OpenEventHistorySession" => {
                let query = HistoryQuery::read(of.child("parameters")?);
                Self::OpenEventHistorySession { session: session()?, query }
            }
            "GetEventHistoryResultCount" => {
                Self::GetEventHistoryResultCount { session: session()?, history: of.guid("eventHistorySessionID")? }
            }
            "GetEventHistoryResult" => Self::GetEventHistoryResult {
                session: session()?,
                history: of.guid("eventHistorySessionID")?,
                fields: read_guids(of.child("fields")?),
                offset: of.int("offset")?,
                count: of.int("count")?,
            },
            "CloseEventHistorySession" => {
                Self::CloseEventHistorySession { session: session()?, history: of.guid("eventHistorySessionID")? }
            }
            "GetHardwareEvents" => Self::GetHardwareEvents { session: session()?, from: of.int("fromIndex")? },
            "EventsSubscribe" => {
                let filter = HistoryQuery::read(of.child("eventFilter")?);
                Self::EventsSubscribe {
                    session: session()?,
                    codes: filter.codes,
                    territories: filter.territories,
                    format: of.int("eventFormat")?,
                    method: of.int("httpMethod")?,
                    url: call.text_of("urlDestination"),
                }
            }
            "EventsSubscribeCheck" => {
                Self::EventsSubscribeCheck { session: session()?, subscription: of.guid("subscriptionID")? }
            }
            "EventsUnsubscribe" => {
                Self::EventsUnsubscribe { session: session()?, subscription: of.guid("subscriptionID")? }
            }
            "GetPerson" => Self::GetPerson { session: session()?, person: of.guid("personID")? },
            "CreatePerson" => Self::CreatePerson { session: session()?, person: of.person()? },
            "CreateVisitor" => Self::CreateVisitor { session: session()?, person: of.person()? },
            "OpenPersonEditingSession" => {
                Self::OpenPersonEditingSession { session: session()?, person: of.guid("personID")? }
            }
            "ClosePersonEditingSession" => Self::ClosePersonEditingSession { edit: edit()? },
            "SavePerson" => Self::SavePerson { edit: edit()?, person: of.person()? },
            "BlockPerson" => Self::BlockPerson { edit: edit()?, kind: of.int("typeBlock")? },
            "UnblockPerson" => Self::UnblockPerson { edit: edit()? },
            "DeletePerson" => Self::DeletePerson { session: session()?, person: of.guid("personID")? },
            "GetPersonIdentifiers" => Self::GetPersonIdentifiers { session: session()?, person: of.guid("personID")? },
            "FindPersonByIdentifier" => {
                Self::FindPersonByIdentifier { session: session()?, code: of.code("cardCode")? }
            }
            "AddPersonIdentifier" => Self::AddPersonIdentifier { edit: edit()?, identifier: of.identifier()? },
            "ChangePersonIdentifier" => Self::ChangePersonIdentifier { edit: edit()?, identifier: of.identifier()? },
            "DeleteIdentifier" => Self::DeleteIdentifier { session: session()?, code: of.code("Code")? },
            "CreateVisitorRequest" => {
                let request = VisitorRequest::read(of.child("request")?).ok_or_else(|| of.wrong("request"))?;
                Self::CreateVisitorRequest { session: session()?, request }
            }
            "ActivateVisitorRequest" => Self::ActivateVisitorRequest {
                session: session()?,
                request: of.guid("requestID")?,
                code: of.code("cardCode")?,
            },
            "CloseVisitorRequest" => Self::CloseVisitorRequest { session: session()?, request: of.guid("requestID")? },
            "CloseAllActiveVisitorRequests" => {
                Self::CloseAllActiveVisitorRequests { session: session()?, visitor: of.guid("visitorID")? }
            }
            "SendVerificationCommand" => Self::SendVerificationCommand {
                session: session()?,
                territory: of.guid("territoryID")?,
                person: of.guid("personID")?,
                allow: call.flag_of("passAllow").ok_or_else(|| of.wrong("passAllow"))?,
            },
            "SendHardwareCommand" => Self::SendHardwareCommand {
                session: session()?,
                territory: of.guid("territoryID")?,
                command: of.int("command")?,
            },
            _ => {
                let territories = read_guids(of.child("territoryIDs")?);
                Self::GetHardwareState { session: session()?, territories }
            }
        })
    }
}

/// A call's parameters, with errors that name them.
struct Parameters<'a> {
    method: &'static str,
    call: &'a Element,
}

impl<'a> Parameters<'a> {
    fn wrong(&self, field: &'static str) -> RequestError {
        RequestError::Field { method: self.method, field }
    }

    fn child(&self, field: &'static str) -> Result<&'a Element, RequestError> {
        self.call.child(field).ok_or_else(|| self.wrong(field))
    }

    fn guid(&self, field: &'static str) -> Result<Guid, RequestError> {
        self.call.guid_of(field).ok_or_else(|| self.wrong(field))
    }

    fn int(&self, field: &'static str) -> Result<i32, RequestError> {
        self.call.int_of(field).and_then(|number| number.try_into().ok()).ok_or_else(|| self.wrong(field))
    }

    fn code(&self, field: &'static str) -> Result<Code, RequestError> {
        Code::parse(self.child(field)?.value().unwrap_or_default()).ok_or_else(|| self.wrong(field))
    }

    fn person(&self) -> Result<Person, RequestError> {
        Person::read(self.child("person")?).ok_or_else(|| self.wrong("person"))
    }

    fn identifier(&self) -> Result<Identifier, RequestError> {
        Identifier::read(self.child("identifier")?).ok_or_else(|| self.wrong("identifier"))
    }
}
