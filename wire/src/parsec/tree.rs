//! A message as a small tree, read with limits. Whoever sends what a SOAP message never has (a document type, a
//! processing instruction, an entity of its own, a character that XML forbids) is refused.
//!
//! Comments are passed over and CDATA is text, as for any XML reader; nothing here is signed. Elements are told apart
//! by namespace and name together, prefixes mean nothing.

use domain::UtcMillis;
use quick_xml::NsReader;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::{Namespace, ResolveResult};

use super::guid::Guid;
use super::{instant, soap};

/// Deepest nesting. An event's value stands at depth 7.
const DEPTH_MAX: usize = 32;
/// Most elements of a message. 5,000 territories have 30,000; each costs about 150 bytes here.
const ELEMENTS_MAX: usize = 100_000;
/// Most attributes of an element, declarations of namespaces included.
const ATTRIBUTES_MAX: usize = 16;
/// Most namespace declarations in force at once.
const BINDINGS_MAX: usize = 64;
/// Longest text of an element in bytes. A person's photograph would be longer; it is not asked for.
const TEXT_MAX_BYTES: usize = 256 * 1024;
/// Longest name of an element.
const NAME_MAX_BYTES: usize = 128;

/// Why a text is not a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum XmlError {
    /// Not well-formed; what the parser says, shortened.
    #[error("not well-formed XML at byte {at}: {what}")]
    Syntax {
        /// How far it was good.
        at: u64,
        /// Why.
        what: String,
    },
    /// Something that a message never has.
    #[error("{0} has no place in a message")]
    Forbidden(&'static str),
    /// Too much of something.
    #[error("more than {limit} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many are taken.
        limit: usize,
    },
    /// It ended too early, or it goes on after its end.
    #[error("the message {0}")]
    Shape(&'static str),
}

/// Whose name an element has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ns {
    /// The service's own.
    Service,
    /// SOAP 1.1 envelope.
    Soap11,
    /// SOAP 1.2 envelope.
    Soap12,
    /// None.
    Bare,
    /// Somebody else's.
    Other,
}

/// One element. Its text is all of its text, children not counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    /// Whose name.
    pub ns: Ns,
    /// Its name without prefix.
    pub name: Box<str>,
    /// `xsi:type` without prefix, if told.
    pub kind: Option<Box<str>>,
    /// `xsi:nil="true"`.
    pub nil: bool,
    /// Its text as it stands.
    pub text: String,
    /// In order.
    pub children: Vec<Element>,
}

impl Element {
    /// The first child with this name of the service.
    pub fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.ns == Ns::Service && &*child.name == name)
    }

    /// All children with this name of the service.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.ns == Ns::Service && &*child.name == name)
    }

    /// Text without blanks around it; `None` if nil or empty.
    pub fn value(&self) -> Option<&str> {
        let text = self.text.trim();
        (!self.nil && !text.is_empty()).then_some(text)
    }

    /// A child's text; empty if there is none.
    pub fn text_of(&self, name: &str) -> String {
        self.child(name).filter(|child| !child.nil).map(|child| child.text.clone()).unwrap_or_default()
    }

    /// A child's GUID.
    pub fn guid_of(&self, name: &str) -> Option<Guid> {
        self.child(name)?.value()?.parse().ok()
    }

    /// A child's number.
    pub fn int_of(&self, name: &str) -> Option<i64> {
        self.child(name)?.value()?.parse().ok()
    }

    /// A child's truth value.
    pub fn flag_of(&self, name: &str) -> Option<bool> {
        match self.child(name)?.value()? {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        }
    }

    /// A child's instant.
    pub fn instant_of(&self, name: &str) -> Option<UtcMillis> {
        instant::parse(self.child(name)?.value()?)
    }
}

/// Reads a whole document.
///
/// # Errors
/// If it is not well-formed, has what no message has, or is too large in any direction.
pub fn read(text: &str) -> Result<Element, XmlError> {
    if let Some(c) = text.chars().find(|c| !legal(*c)) {
        return Err(XmlError::Forbidden(if c == '\0' { "a zero character" } else { "a control character" }));
    }
    let mut reader = NsReader::from_str(text);
    let config = reader.config_mut();
    config.expand_empty_elements = true;
    config.check_comments = true;
    reader.resolver_mut().set_max_namespace_bindings(BINDINGS_MAX);
    let mut open: Vec<Element> = Vec::new();
    let mut root = None;
    let mut elements = 0;
    let mut declared = false;
    loop {
        let event = reader.read_event().map_err(|error| syntax(&reader, &error))?;
        match event {
            Event::Start(start) => {
                if root.is_some() {
                    return Err(XmlError::Shape("goes on after its end"));
                }
                elements += 1;
                if elements > ELEMENTS_MAX {
                    return Err(XmlError::TooMany { what: "elements", limit: ELEMENTS_MAX });
                }
                if open.len() >= DEPTH_MAX {
                    return Err(XmlError::TooMany { what: "levels of nesting", limit: DEPTH_MAX });
                }
                open.push(element(&reader, &start)?);
            }
            Event::End(_) => {
                let Some(done) = open.pop() else { return Err(XmlError::Shape("ends what it never began")) };
                match open.last_mut() {
                    Some(parent) => parent.children.push(done),
                    None => root = Some(done),
                }
            }
            Event::Text(text) => add(&mut open, &text.xml10_content())?,
            Event::CData(text) => add(&mut open, &text.xml10_content())?,
            Event::GeneralRef(name) => add(&mut open, referred(&name)?.encode_utf8(&mut [0; 4]))?,
            Event::Decl(_) if open.is_empty() && root.is_none() && !declared => declared = true,
            Event::Decl(_) => return Err(XmlError::Forbidden("a second XML declaration")),
            Event::DocType(_) => return Err(XmlError::Forbidden("a document type")),
            Event::PI(_) => return Err(XmlError::Forbidden("a processing instruction")),
            Event::Comment(_) => {}
            Event::Empty(_) => return Err(XmlError::Shape("was not expanded")),
            Event::Eof if open.is_empty() => return root.ok_or(XmlError::Shape("is empty")),
            Event::Eof => return Err(XmlError::Shape("ends too early")),
        }
    }
}

/// Characters of XML 1.0 (production 2).
fn legal(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

fn syntax(reader: &NsReader<&[u8]>, error: &quick_xml::Error) -> XmlError {
    let at = reader.error_position();
    match error {
        quick_xml::Error::Namespace(_) => XmlError::TooMany { what: "namespace declarations", limit: BINDINGS_MAX },
        // The parser's words may repeat names of the document; they are bounded, and never text.
        error => XmlError::Syntax { at, what: error.to_string().chars().take(160).collect() },
    }
}

fn element(reader: &NsReader<&[u8]>, start: &BytesStart<'_>) -> Result<Element, XmlError> {
    let (ns, name) = reader.resolver().resolve_element(start.name());
    let name = name.into_inner();
    if name.len() > NAME_MAX_BYTES {
        return Err(XmlError::TooMany { what: "bytes of a name", limit: NAME_MAX_BYTES });
    }
    let ns = match ns {
        ResolveResult::Unbound => Ns::Bare,
        ResolveResult::Bound(Namespace(super::NAMESPACE)) => Ns::Service,
        ResolveResult::Bound(Namespace(soap::NAMESPACE_11)) => Ns::Soap11,
        ResolveResult::Bound(Namespace(soap::NAMESPACE_12)) => Ns::Soap12,
        ResolveResult::Bound(_) => Ns::Other,
        ResolveResult::Unknown(_) => return Err(XmlError::Forbidden("a prefix that is not declared")),
    };
    let mut made = Element { ns, name: name.into(), kind: None, nil: false, text: String::new(), children: Vec::new() };
    for (count, attribute) in start.attributes().enumerate() {
        if count >= ATTRIBUTES_MAX {
            return Err(XmlError::TooMany { what: "attributes", limit: ATTRIBUTES_MAX });
        }
        let attribute = attribute.map_err(|_| XmlError::Shape("has a wrong or doubled attribute"))?;
        let (ns, name) = reader.resolver().resolve_attribute(attribute.key);
        if !matches!(ns, ResolveResult::Bound(Namespace(super::XSI))) {
            continue;
        }
        match (name.into_inner(), &*attribute.value) {
            ("type", kind) => made.kind = Some(kind.rsplit(':').next().unwrap_or(kind).into()),
            ("nil", nil) => made.nil = matches!(nil, "true" | "1"),
            _ => {}
        }
    }
    Ok(made)
}

fn add(open: &mut [Element], text: &str) -> Result<(), XmlError> {
    let Some(element) = open.last_mut() else {
        // A mark that the decoder left, or line ends around the document.
        let blank = text.chars().all(|c| c.is_ascii_whitespace() || c == '\u{FEFF}');
        return if blank { Ok(()) } else { Err(XmlError::Shape("has text around it")) };
    };
    if element.text.len() + text.len() > TEXT_MAX_BYTES {
        return Err(XmlError::TooMany { what: "bytes of text in one element", limit: TEXT_MAX_BYTES });
    }
    element.text.push_str(text);
    Ok(())
}

/// The character of a reference: the five of XML, or by number.
fn referred(name: &quick_xml::events::BytesRef<'_>) -> Result<char, XmlError> {
    let known = match &**name {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => name.resolve_char_ref().ok().flatten().filter(|c| legal(*c)),
    };
    known.ok_or(XmlError::Forbidden("an entity of its own or a wrong character reference"))
}
