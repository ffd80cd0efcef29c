//! ParsecNET 3 IntegrationService: requests and answers of its SOAP service, both ends.
//!
//! Owns the service's names, types and codes, the encodings it answers in, and the translation of its transaction
//! codes. Never opens a connection, keeps no session, decides nothing. May import `domain`.
//!
//! Facts are taken from public clients of the service and its public WSDL, not from a specification: what is not
//! known is left out or told to be unknown (see `docs/protocol/parsec.md`). Names are spelt as the service spells
//! them (`Intergation`, `Hierarhy`).
//!
//! | module | what it is |
//! |---|---|
//! | [`encoding`] | bytes to text: UTF-8, UTF-16, windows-1251 |
//! | [`tree`] | text to a small tree, with limits |
//! | [`soap`] | envelopes of SOAP 1.1 and 1.2, faults |
//! | [`request`], [`answer`] | one method's call and result |
//! | [`object`] | persons, identifiers, visitor requests, territories |
//! | [`event`] | the report's fields, transaction codes |
//! | [`code`] | card codes |

pub mod answer;
pub mod code;
pub mod encoding;
pub mod event;
mod guid;
mod instant;
pub mod object;
pub mod request;
pub mod soap;
pub mod tree;
mod writer;

pub use answer::{Answer, AnswerError, Outcome};
pub use code::{CardForm, Code};
pub use encoding::Charset;
pub use guid::{Guid, GuidError};
pub use request::{Request, Secret};
pub use soap::{Fault, Version};

/// The service's namespace, misspelt by its makers.
pub const NAMESPACE: &str = "http://parsec.ru/Parsec3IntergationService";
/// The namespace of GUIDs.
pub const GUID_NAMESPACE: &str = "http://microsoft.com/wsdl/types/";
/// XML Schema's instance attributes.
pub const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";
/// XML Schema's types.
pub const XSD: &str = "http://www.w3.org/2001/XMLSchema";
/// Where the service is found on a server, and its usual port.
pub const PATH: &str = "/IntegrationService/IntegrationService.asmx";
/// See [`PATH`].
pub const PORT: u16 = 10101;
