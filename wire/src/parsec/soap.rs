//! SOAP envelopes, versions 1.1 and 1.2, and faults. The service takes both and answers in the version it was asked
//! in.

use super::encoding::{self, EncodingError};
use super::tree::{self, Element, Ns, XmlError};
use super::writer::Writer;
use super::{NAMESPACE, XSD, XSI};

/// SOAP 1.1 envelope.
pub const NAMESPACE_11: &str = "http://schemas.xmlsoap.org/soap/envelope/";
/// SOAP 1.2 envelope.
pub const NAMESPACE_12: &str = "http://www.w3.org/2003/05/soap-envelope";
/// Longest words of a fault that are kept.
const WORDS_MAX_CHARS: usize = 300;

/// Which SOAP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Version {
    /// 1.1: `text/xml` and a header SOAPAction.
    #[default]
    V11,
    /// 1.2: `application/soap+xml` with the action in it.
    V12,
}

impl Version {
    /// The Content-Type of a message in UTF-8.
    pub fn content_type(self, method: &str) -> String {
        match self {
            Self::V11 => "text/xml; charset=utf-8".to_owned(),
            Self::V12 => format!("application/soap+xml; charset=utf-8; action=\"{NAMESPACE}/{method}\""),
        }
    }

    /// The header SOAPAction, which 1.2 does not have.
    pub fn action(self, method: &str) -> Option<String> {
        (self == Self::V11).then(|| format!("\"{NAMESPACE}/{method}\""))
    }
}

/// The service's refusal on the level of SOAP: it did not understand, or broke down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// `Client`, `Server`, `Sender`, `Receiver`, without prefix.
    pub code: String,
    /// Its words, shortened.
    pub text: String,
}

/// Why bytes are not an envelope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SoapError {
    /// Not a text.
    #[error(transparent)]
    Encoding(#[from] EncodingError),
    /// Not XML, or too much of it.
    #[error(transparent)]
    Xml(#[from] XmlError),
    /// Another kind of document: a page of a proxy, for example.
    #[error("the document is no SOAP message: its root is {0:?}")]
    Root(String),
    /// Nothing in it, or more than one thing.
    #[error("the SOAP message has no body with one element")]
    Body,
}

/// Puts a method's element into an envelope, without XML declaration. `body` uses the service's namespace as default.
pub(super) fn envelope(version: Version, body: impl FnOnce(&mut Writer)) -> String {
    let namespace = match version {
        Version::V11 => NAMESPACE_11,
        Version::V12 => NAMESPACE_12,
    };
    let mut xml = Writer::new();
    let attributes = format!(" xmlns:soap=\"{namespace}\" xmlns:xsi=\"{XSI}\" xmlns:xsd=\"{XSD}\"");
    xml.within("soap:Envelope", &attributes, |xml| xml.within("soap:Body", "", body));
    xml.into_text()
}

/// A fault in its envelope, without XML declaration.
pub fn fault(version: Version, fault: &Fault) -> String {
    envelope(version, |xml| {
        xml.within("soap:Fault", "", |xml| match version {
            Version::V11 => {
                xml.text("faultcode", &format!("soap:{}", fault.code));
                xml.text("faultstring", &fault.text);
                xml.raw("<detail />");
            }
            Version::V12 => {
                xml.within("soap:Code", "", |xml| xml.text("soap:Value", &format!("soap:{}", fault.code)));
                xml.within("soap:Reason", "", |xml| {
                    xml.within("soap:Text", " xml:lang=\"en\"", |xml| xml.escaped(&fault.text));
                });
            }
        });
    })
}

/// What stands in an envelope's body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// A method's element, or its answer.
    Element(Version, Box<Element>),
    /// A fault.
    Fault(Fault),
}

/// Reads an envelope. Header entries are passed over.
///
/// # Errors
/// If the bytes are no SOAP message, or exceed a limit.
pub fn read(bytes: &[u8], content_type: Option<&str>) -> Result<Body, SoapError> {
    let text = encoding::decode(bytes, content_type)?;
    let root = tree::read(&text)?;
    let version = match (root.ns, &*root.name) {
        (Ns::Soap11, "Envelope") => Version::V11,
        (Ns::Soap12, "Envelope") => Version::V12,
        (_, name) => return Err(SoapError::Root(name.chars().take(40).collect())),
    };
    let ns = root.ns;
    let body = root.children.into_iter().find(|child| child.ns == ns && &*child.name == "Body");
    let mut elements = body.ok_or(SoapError::Body)?.children.into_iter();
    let (Some(element), None) = (elements.next(), elements.next()) else { return Err(SoapError::Body) };
    if element.ns == ns && &*element.name == "Fault" {
        return Ok(Body::Fault(read_fault(&element)));
    }
    Ok(Body::Element(version, Box::new(element)))
}

fn read_fault(fault: &Element) -> Fault {
    // 1.1 has plain names, 1.2 its own ones, nested.
    let under = |element: &Element, name: &str| element.children.iter().find(|child| &*child.name == name).cloned();
    let words = |text: &str| -> String {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        text.chars().filter(|c| !c.is_control()).take(WORDS_MAX_CHARS).collect()
    };
    let code = under(fault, "faultcode").or_else(|| under(&under(fault, "Code")?, "Value"));
    let text = under(fault, "faultstring").or_else(|| under(&under(fault, "Reason")?, "Text"));
    let code = code.map(|code| words(code.text.rsplit(':').next().unwrap_or_default())).unwrap_or_default();
    Fault { code, text: text.map(|text| words(&text.text)).unwrap_or_default() }
}
