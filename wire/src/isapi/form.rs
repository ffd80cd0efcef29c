//! One small tree for both syntaxes. What a device writes as XML elements or JSON fields becomes a [`Form`], so that the
//! rest of the protocol is written once.
//!
//! Reading is strict about safety and lenient about dialect: no document type, no processing instruction, no control
//! characters, at most [`DEPTH_MAX`] levels, [`NODES_MAX`] nodes and [`TEXT_MAX_BYTES`] of input; but namespaces are
//! ignored (firmware uses at least three), attributes too, and numbers and texts are the same.

use std::borrow::Cow;
use std::fmt::Write;

use quick_xml::Reader;
use quick_xml::events::Event;
use serde_json::Value;
use thiserror::Error;

/// Largest text that is read: a search result of 30 events is about 20 KB, capabilities of large devices 60 KB.
pub const TEXT_MAX_BYTES: usize = 1 << 20;
/// Deepest nesting; real messages have six levels.
pub const DEPTH_MAX: usize = 16;
/// Most nodes; capabilities of large devices have some 2000.
pub const NODES_MAX: usize = 20_000;
/// Most attributes of one element; they are not looked at.
const ATTRIBUTES_MAX: usize = 32;

/// Why a text is not a form.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FormError {
    /// Longer than [`TEXT_MAX_BYTES`].
    #[error("the text has {0} bytes, at most {TEXT_MAX_BYTES} are read")]
    TooLong(usize),
    /// Not UTF-8.
    #[error("the text is not UTF-8")]
    Encoding,
    /// A character that XML 1.0 does not allow.
    #[error("the text has a control character at byte {0}")]
    Control(usize),
    /// Not well-formed.
    #[error("not well-formed: {0}")]
    Syntax(String),
    /// A construct that is never needed and often an attack.
    #[error("{0} is not accepted")]
    Forbidden(&'static str),
    /// A bound was reached.
    #[error("more than {0}")]
    TooMuch(&'static str),
    /// It is something else than was asked for.
    #[error("{0} is missing or not usable")]
    Missing(&'static str),
}

/// A node: an element or field, with its text or its children. Lists are children of one name.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Form {
    /// Local name.
    pub name: String,
    /// Text, trimmed; empty if it has children.
    pub text: String,
    /// Children in their order.
    pub children: Vec<Form>,
    /// A JSON text (as opposed to a number or truth value); only for writing.
    quoted: bool,
    /// A JSON list element; only for writing.
    listed: bool,
}

impl std::fmt::Debug for Form {
    /// Names only: texts may be card numbers, names or passwords.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)?;
        if !self.children.is_empty() {
            f.debug_list().entries(&self.children).finish()?;
        }
        Ok(())
    }
}

impl Form {
    /// A node with children to be added.
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// Adds a text.
    #[must_use]
    pub fn text(mut self, name: &str, text: &str) -> Self {
        self.children.push(Self { text: text.to_owned(), quoted: true, ..Self::new(name) });
        self
    }

    /// Adds a text if there is one.
    #[must_use]
    pub fn maybe(self, name: &str, text: Option<&str>) -> Self {
        match text {
            Some(text) => self.text(name, text),
            None => self,
        }
    }

    /// Adds a number.
    #[must_use]
    pub fn number(mut self, name: &str, number: impl Into<i64>) -> Self {
        self.children.push(Self { text: number.into().to_string(), ..Self::new(name) });
        self
    }

    /// Adds a truth value.
    #[must_use]
    pub fn flag(mut self, name: &str, flag: bool) -> Self {
        self.children.push(Self { text: flag.to_string(), ..Self::new(name) });
        self
    }

    /// Adds a node.
    #[must_use]
    pub fn child(mut self, child: Self) -> Self {
        self.children.push(child);
        self
    }

    /// Adds a node that is an element of a list of its name (JSON writes it in brackets even if it is alone).
    #[must_use]
    pub fn item(mut self, mut child: Self) -> Self {
        child.listed = true;
        self.children.push(child);
        self
    }

    /// Reads XML or JSON, whichever it is. A JSON document is the unnamed node around its fields; an XML document is
    /// the unnamed node around its root, so that both are asked the same way.
    ///
    /// # Errors
    /// See [`FormError`].
    pub fn read(bytes: &[u8]) -> Result<Self, FormError> {
        if bytes.len() > TEXT_MAX_BYTES {
            return Err(FormError::TooLong(bytes.len()));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| FormError::Encoding)?;
        let text = text.trim_start_matches('\u{feff}').trim();
        // Control characters other than tab and line ends are not XML, and in JSON they must be escaped.
        let bad =
            |c: char| matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}');
        if let Some(at) = text.find(bad) {
            return Err(FormError::Control(at));
        }
        if text.starts_with('<') { read_xml(text) } else { read_json(text) }
    }

    /// The first child of this name.
    pub fn get(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// All children of this name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The node of this name, here or below, nearest first; for dialects that wrap messages.
    pub fn find(&self, name: &str) -> Option<&Self> {
        self.get(name).or_else(|| self.children.iter().find_map(|child| child.find(name)))
    }

    /// A child's text, if it has one that is not empty.
    pub fn str(&self, name: &str) -> Option<&str> {
        self.get(name).map(|child| child.text.as_str()).filter(|text| !text.is_empty())
    }

    /// A child's number.
    pub fn int<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.str(name)?.parse().ok()
    }

    /// A child's truth value.
    pub fn bool(&self, name: &str) -> Option<bool> {
        match self.str(name)? {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        }
    }

    /// Writes XML with this node as its root, in the namespace given.
    pub fn to_xml(&self, namespace: &str) -> String {
        let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        self.write_xml(&mut out, Some(namespace));
        out
    }

    fn write_xml(&self, out: &mut String, namespace: Option<&str>) {
        let name = &self.name;
        // Writing into a String cannot fail.
        let _ = match namespace {
            Some(namespace) => write!(out, "<{name} version=\"2.0\" xmlns=\"{namespace}\">"),
            None => write!(out, "<{name}>"),
        };
        if self.children.is_empty() {
            out.push_str(&escaped(&self.text));
        }
        for child in &self.children {
            child.write_xml(out, None);
        }
        let _ = write!(out, "</{name}>");
    }

    /// Writes a JSON object with this node as its only field; an unnamed node is the object itself.
    pub fn to_json(&self) -> String {
        if self.name.is_empty() {
            return self.value().to_string();
        }
        let mut object = serde_json::Map::new();
        object.insert(self.name.clone(), self.value());
        Value::Object(object).to_string()
    }

    fn value(&self) -> Value {
        if self.children.is_empty() {
            if self.quoted {
                return Value::String(self.text.clone());
            }
            if self.text.is_empty() {
                return Value::Object(serde_json::Map::new());
            }
            let plain =
                self.text.parse::<i64>().map(Value::from).or_else(|_| self.text.parse::<bool>().map(Value::Bool));
            return plain.unwrap_or_else(|_| Value::String(self.text.clone()));
        }
        let mut object = serde_json::Map::new();
        for child in &self.children {
            let value = child.value();
            match object.get_mut(&child.name) {
                Some(Value::Array(list)) => list.push(value),
                Some(_) => {}
                None if child.listed => {
                    object.insert(child.name.clone(), Value::Array(vec![value]));
                }
                None => {
                    object.insert(child.name.clone(), value);
                }
            }
        }
        Value::Object(object)
    }
}

fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(['<', '>', '&', '"']) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;"))
}

fn syntax(error: impl std::fmt::Display) -> FormError {
    // The message of a parser may quote the text: the beginning of it says enough for a person, and cannot hold a card.
    let mut text: String = error.to_string();
    if let Some(cut) = text.find(['`', '"', '\'']) {
        text.truncate(cut);
    }
    FormError::Syntax(text.trim().chars().take(80).collect())
}

fn read_xml(text: &str) -> Result<Form, FormError> {
    let mut reader = Reader::from_str(text);
    reader.config_mut().check_end_names = true;
    // Nodes that are open: the unnamed document, then the elements.
    let mut open = vec![Form::default()];
    let mut nodes = 0_usize;
    loop {
        match reader.read_event().map_err(syntax)? {
            Event::Start(start) => {
                nodes += 1;
                check(open.len(), nodes, &start)?;
                check_root(&open)?;
                open.push(Form { quoted: true, ..Form::new(start.local_name().as_ref()) });
            }
            Event::Empty(start) => {
                nodes += 1;
                check(open.len(), nodes, &start)?;
                check_root(&open)?;
                let child = Form { quoted: true, ..Form::new(start.local_name().as_ref()) };
                if let Some(parent) = open.last_mut() {
                    parent.children.push(child);
                }
            }
            Event::End(_) => {
                let Some(mut done) = open.pop() else { return Err(FormError::Syntax("an end without a start".into())) };
                done.text = if done.children.is_empty() { done.text.trim().to_owned() } else { String::new() };
                match open.last_mut() {
                    Some(parent) => parent.children.push(done),
                    None => return Err(FormError::Syntax("an end without a start".into())),
                }
            }
            Event::Text(text) => add_text(&mut open, &text.xml10_content())?,
            Event::CData(text) => add_text(&mut open, &text.xml10_content())?,
            Event::GeneralRef(reference) => {
                let resolved = match reference.resolve_char_ref().map_err(syntax)? {
                    Some(c) if c < ' ' && !matches!(c, '\t' | '\n' | '\r') => {
                        return Err(FormError::Forbidden("a reference to a control character"));
                    }
                    Some(c) => c.to_string(),
                    None => match &*reference {
                        "lt" => "<".into(),
                        "gt" => ">".into(),
                        "amp" => "&".into(),
                        "quot" => "\"".into(),
                        "apos" => "'".into(),
                        _ => return Err(FormError::Forbidden("an entity of the document's own")),
                    },
                };
                add_text(&mut open, &resolved)?;
            }
            Event::Comment(_) | Event::Decl(_) => {}
            Event::PI(_) => return Err(FormError::Forbidden("a processing instruction")),
            Event::DocType(_) => return Err(FormError::Forbidden("a document type")),
            Event::Eof => break,
        }
    }
    match (open.pop(), open.is_empty()) {
        (Some(document), true) if !document.children.is_empty() => Ok(document),
        (Some(_), true) => Err(FormError::Syntax("no element".into())),
        _ => Err(FormError::Syntax("an element is not closed".into())),
    }
}

fn check(depth: usize, nodes: usize, start: &quick_xml::events::BytesStart<'_>) -> Result<(), FormError> {
    if depth > DEPTH_MAX {
        return Err(FormError::TooMuch("16 levels"));
    }
    if nodes > NODES_MAX {
        return Err(FormError::TooMuch("20000 nodes"));
    }
    for (number, attribute) in start.attributes().enumerate() {
        if number >= ATTRIBUTES_MAX {
            return Err(FormError::TooMuch("32 attributes"));
        }
        attribute.map_err(syntax)?;
    }
    Ok(())
}

fn check_root(open: &[Form]) -> Result<(), FormError> {
    match open {
        [document] if !document.children.is_empty() => Err(FormError::Forbidden("a second document")),
        _ => Ok(()),
    }
}

fn add_text(open: &mut [Form], text: &str) -> Result<(), FormError> {
    match open {
        [_] if text.trim().is_empty() => Ok(()),
        [] | [_] => Err(FormError::Forbidden("text outside the document")),
        [.., element] => {
            element.text.push_str(text);
            Ok(())
        }
    }
}

fn read_json(text: &str) -> Result<Form, FormError> {
    let value: Value = serde_json::from_str(text).map_err(syntax)?;
    let mut nodes = 0;
    let form = from_value("", &value, 0, &mut nodes)?;
    if value.is_object() { Ok(form) } else { Err(FormError::Syntax("not an object".into())) }
}

fn from_value(name: &str, value: &Value, depth: usize, nodes: &mut usize) -> Result<Form, FormError> {
    *nodes += 1;
    if depth > DEPTH_MAX {
        return Err(FormError::TooMuch("16 levels"));
    }
    if *nodes > NODES_MAX {
        return Err(FormError::TooMuch("20000 nodes"));
    }
    let mut form = Form::new(name);
    match value {
        Value::Null => {}
        Value::Bool(flag) => form.text = flag.to_string(),
        Value::Number(number) => form.text = number.to_string(),
        Value::String(text) => {
            // An escaped control character is as unwelcome as a raw one.
            if let Some(at) = text.find(|c: char| c < ' ' && !matches!(c, '\t' | '\n' | '\r')) {
                return Err(FormError::Control(at));
            }
            text.trim().clone_into(&mut form.text);
            form.quoted = true;
        }
        Value::Array(items) => {
            // A list of lists has no name for its parts; nothing of ours has one.
            for item in items {
                form.children.push(from_value("", item, depth + 1, nodes)?);
            }
        }
        Value::Object(fields) => {
            for (key, value) in fields {
                match value {
                    Value::Array(items) => {
                        for item in items {
                            let mut item = from_value(key, item, depth + 1, nodes)?;
                            item.listed = true;
                            form.children.push(item);
                        }
                    }
                    Value::Null => {}
                    value => form.children.push(from_value(key, value, depth + 1, nodes)?),
                }
            }
        }
    }
    Ok(form)
}
