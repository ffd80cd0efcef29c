//! The part of XML 1.0 that acs-link uses, read from a complete document: a declaration, elements, attributes, text,
//! the five entities and character references. Owns well-formedness, namespaces and the limits; knows no message. May
//! import the codes beside it.
//!
//! It is written by hand because everything else in XML is refused here, and because what general readers let pass
//! (`]]>` in text, `<` in attributes, no blank between attributes, names that are none, junk after the root) is refused
//! by the strict readers at the other end: both must see the same documents. It holds borrowed slices only, goes once
//! over the bytes from left to right, and never goes deeper than [`DEPTH_MAX`]. What it accepts, libxml2 accepts: a
//! fuzz target compares them.
//!
//! References: XML 1.0 fifth edition (productions in brackets), Namespaces in XML 1.0 third edition.

use std::borrow::Cow;

use super::NAMESPACE;
use super::code::{Code, Refusal};
use super::token::is_xml_char;

/// Deepest nesting of elements; the schema needs 3.
pub const DEPTH_MAX: usize = 8;
/// Most elements of a document.
pub const ELEMENTS_MAX: usize = 256;
/// Most attributes of an element, declarations of namespaces included.
pub const ATTRIBUTES_MAX: usize = 24;
/// Most characters of a text or an attribute's value.
pub const TEXT_MAX_CHARS: usize = 512;
/// Most declarations of namespaces on one element.
pub const NAMESPACES_MAX: usize = 8;

/// Attributes of this namespace direct a validator (`xsi:type`, `xsi:nil`): none of that is used here.
const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";
const XML: &str = "http://www.w3.org/XML/1998/namespace";
const XMLNS: &str = "http://www.w3.org/2000/xmlns/";

type Read<T> = Result<T, Refusal>;

#[derive(Debug, Clone, Copy)]
struct Attribute<'a> {
    name: &'a str,
    /// Where the colon is in the name.
    colon: Option<usize>,
    raw: &'a str,
    /// Nothing in the value needs decoding.
    plain: bool,
    taken: bool,
}

/// A document being read. Its owner asks for what the schema lets follow.
#[derive(Debug)]
pub struct Scan<'a> {
    text: &'a str,
    at: usize,
    open: [&'a str; DEPTH_MAX],
    depth: usize,
    elements: usize,
    /// The element begun last was `<a/>`.
    closed: bool,
    /// Of the element begun last.
    attributes: Vec<Attribute<'a>>,
}

impl<'a> Scan<'a> {
    /// Checks bytes and characters, and reads up to the root.
    pub fn new(document: &'a [u8]) -> Read<Self> {
        let text = str::from_utf8(document).map_err(|_| malformed("not UTF-8"))?;
        if !only_xml_chars(document) {
            return Err(malformed("a character that XML does not allow"));
        }
        if text.starts_with('\u{FEFF}') {
            return Err(Refusal::new(Code::XmlForbidden, "a byte order mark"));
        }
        let attributes = Vec::with_capacity(10);
        let mut scan = Self { text, at: 0, open: [""; DEPTH_MAX], depth: 0, elements: 0, closed: false, attributes };
        scan.declaration()?;
        Ok(scan)
    }

    /// In an element that holds elements: the name of the next one, whose attributes then can be taken; `None` at the
    /// element's end, which is then passed. In front of the root it is the root.
    pub fn child(&mut self) -> Read<Option<&'a str>> {
        if self.closed {
            self.leave();
            return Ok(None);
        }
        self.blanks();
        if self.rest().first() != Some(&b'<') {
            self.stray_text()?;
        }
        match self.rest() {
            [b'<', b'/', ..] if self.depth > 0 => {
                self.end_tag()?;
                Ok(None)
            }
            [b'<', b'!' | b'?', ..] => Err(forbidden(self.rest())),
            [b'<', ..] => self.start_tag().map(Some),
            _ => Err(malformed("the document ends early")),
        }
    }

    /// In an element that holds text only: the text. Passes the element's end.
    pub fn text(&mut self) -> Read<Cow<'a, str>> {
        if self.closed {
            self.leave();
            return Ok(Cow::Borrowed(""));
        }
        let (raw, plain) = self.raw_text()?;
        match self.rest() {
            [b'<', b'/', ..] => self.end_tag()?,
            [b'<', b'!' | b'?', ..] => return Err(forbidden(self.rest())),
            [] | [b'<'] => return Err(malformed("the document ends early")),
            _ => return Err(Refusal::new(Code::SchemaInvalid, "an element where only text may be")),
        }
        limited(if plain { Cow::Borrowed(raw) } else { Cow::Owned(decode(raw, false)?) })
    }

    /// In an element that holds nothing, not even blanks: passes its end.
    pub fn nothing(&mut self) -> Read<()> {
        if self.closed {
            self.leave();
            return Ok(());
        }
        match self.rest() {
            [b'<', b'/', ..] => self.end_tag(),
            [b'<', b'!' | b'?', ..] => Err(forbidden(self.rest())),
            [] | [b'<'] => Err(malformed("the document ends early")),
            _ => Err(Refusal::new(Code::SchemaInvalid, "something in an element that is empty")),
        }
    }

    /// Behind the root: only blanks up to the end.
    pub fn finish(&mut self) -> Read<()> {
        self.blanks();
        match self.rest() {
            [] => Ok(()),
            rest @ [b'<', b'!' | b'?', ..] => Err(forbidden(rest)),
            _ => Err(malformed("something behind the root element")),
        }
    }

    /// The value of an attribute of the element begun last.
    pub fn attribute(&mut self, name: &str) -> Read<Option<Cow<'a, str>>> {
        let Some(found) = self.attributes.iter_mut().find(|attribute| attribute.name == name) else { return Ok(None) };
        found.taken = true;
        value(*found).map(Some)
    }

    /// No attribute is left that was not asked for; those of foreign namespaces may be, if `foreign`.
    pub fn no_more_attributes(&self, foreign: bool) -> Read<()> {
        match self.attributes.iter().any(|one| !(one.taken || foreign && one.colon.is_some())) {
            true => Err(Refusal::new(Code::SchemaInvalid, "an attribute that the element does not have")),
            false => Ok(()),
        }
    }

    // ---- tags ----

    fn start_tag(&mut self) -> Read<&'a str> {
        self.at += 1;
        let (name, colon) = self.name()?;
        if colon.is_some() {
            return Err(Refusal::new(
                Code::SchemaInvalid,
                "an element with a prefix: acs-link has the default namespace",
            ));
        }
        self.elements += 1;
        if self.depth == DEPTH_MAX || self.elements > ELEMENTS_MAX {
            return Err(Refusal::new(Code::XmlLimit, "at most 256 elements, at most 8 deep"));
        }
        self.attributes.clear();
        loop {
            let blank = self.blanks();
            match self.rest() {
                [b'>', ..] => {
                    (self.at, self.closed) = (self.at + 1, false);
                    break;
                }
                [b'/', b'>', ..] => {
                    (self.at, self.closed) = (self.at + 2, true);
                    break;
                }
                [] => return Err(malformed("the document ends early")),
                _ if !blank => return Err(malformed("no blank between attributes")),
                _ => self.one_attribute()?,
            }
        }
        self.open[self.depth] = name;
        self.depth += 1;
        self.namespaces()?;
        Ok(name)
    }

    fn one_attribute(&mut self) -> Read<()> {
        let (name, colon) = self.name()?;
        self.blanks();
        self.expect(b'=', "no = behind an attribute's name")?;
        self.blanks();
        let quote = match self.rest() {
            [quote @ (b'"' | b'\''), ..] => *quote,
            _ => return Err(malformed("an attribute's value without quotes")),
        };
        self.at += 1;
        let start = self.at;
        let mut plain = true;
        for byte in self.rest() {
            match byte {
                byte if *byte == quote => break,
                b'<' => return Err(malformed("< in an attribute's value")),
                b'&' | b'\t' | b'\n' | b'\r' => plain = false,
                _ => {}
            }
            self.at += 1;
        }
        let raw = &self.text[start..self.at];
        self.expect(quote, "an attribute's value without an end")?;
        if self.attributes.len() == ATTRIBUTES_MAX {
            return Err(Refusal::new(Code::XmlLimit, "at most 24 attributes of an element"));
        }
        if self.attributes.iter().any(|other| other.name == name) {
            return Err(malformed("an attribute twice"));
        }
        self.attributes.push(Attribute { name, colon, raw, plain, taken: false });
        Ok(())
    }

    fn end_tag(&mut self) -> Read<()> {
        self.at += 2;
        let name = self.open[self.depth - 1];
        if !self.text[self.at..].starts_with(name) {
            return Err(malformed("an end of an element that was not begun"));
        }
        self.at += name.len();
        self.blanks();
        self.expect(b'>', "an end of an element that was not begun")?;
        self.leave();
        Ok(())
    }

    fn leave(&mut self) {
        self.closed = false;
        self.depth -= 1;
    }

    // ---- namespaces ----

    /// Checks and takes away the declarations of the element begun last, and that prefixed attributes have one. Only
    /// the root may have attributes of foreign namespaces; elsewhere nobody asks for them, so they are refused.
    fn namespaces(&mut self) -> Read<()> {
        let mut declared: [(&str, Cow<'_, str>); NAMESPACES_MAX] = Default::default();
        let (mut count, mut default, mut foreign) = (0, false, false);
        for place in 0..self.attributes.len() {
            let one = self.attributes[place];
            let prefix = match one.colon {
                None if one.name == "xmlns" => "",
                Some(5) if one.name.starts_with("xmlns") => &one.name[6..],
                Some(_) => {
                    foreign = true;
                    continue;
                }
                None => continue,
            };
            self.attributes[place].taken = true;
            let uri = value(one)?;
            if prefix.is_empty() {
                default = true;
                check_default(&uri)?;
            } else {
                check_prefix(prefix, &uri)?;
                if count == NAMESPACES_MAX {
                    return Err(Refusal::new(Code::XmlLimit, "at most 8 declarations of namespaces"));
                }
                declared[count] = (prefix, uri);
                count += 1;
            }
        }
        if self.depth == 1 && !default {
            return Err(Refusal::new(Code::SchemaInvalid, "the root element is not of the namespace urn:acs-link:1"));
        }
        if foreign { self.foreign(&declared[..count]) } else { Ok(()) }
    }

    fn foreign(&self, declared: &[(&str, Cow<'_, str>)]) -> Read<()> {
        if self.depth > 1 {
            return Err(Refusal::new(Code::SchemaInvalid, "an attribute with a prefix, other than on the root"));
        }
        let mut seen: Vec<(&str, &str)> = Vec::new();
        for one in &self.attributes {
            let Some(colon) = one.colon.filter(|_| !one.taken) else { continue };
            let (prefix, local) = (&one.name[..colon], &one.name[colon + 1..]);
            let uri = match declared.iter().find(|(name, _)| *name == prefix) {
                Some((_, uri)) => &**uri,
                None if prefix == "xml" => XML,
                None => return Err(malformed("a prefix without a declaration")),
            };
            if uri == NAMESPACE || uri == XSI || uri == XML {
                return Err(Refusal::new(Code::SchemaInvalid, "a prefixed attribute of a namespace not allowed here"));
            }
            if seen.contains(&(uri, local)) {
                return Err(malformed("an attribute twice"));
            }
            seen.push((uri, local));
            value(*one)?;
        }
        Ok(())
    }

    // ---- small parts ----

    /// `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>` [23], of which only the version must be there.
    fn declaration(&mut self) -> Read<()> {
        let Some(rest) = self.text.strip_prefix("<?xml") else { return Ok(()) };
        if !rest.starts_with([' ', '\t', '\r', '\n']) {
            return Ok(());
        }
        self.at = 5;
        let wrong = || malformed("an XML declaration that is none");
        let (mut blank, mut given) = (self.blanks(), 0);
        loop {
            if self.rest().starts_with(b"?>") {
                self.at += 2;
                return if given > 0 { Ok(()) } else { Err(wrong()) };
            }
            if !blank {
                return Err(wrong());
            }
            let (name, _) = self.name()?;
            self.blanks();
            self.expect(b'=', "an XML declaration that is none")?;
            self.blanks();
            let quote = match self.rest() {
                [quote @ (b'"' | b'\''), ..] => char::from(*quote),
                _ => return Err(wrong()),
            };
            self.at += 1;
            let (value, _) = self.text[self.at..].split_once(quote).ok_or_else(wrong)?;
            self.at += value.len() + 1;
            match (name, given) {
                ("version", 0) if value == "1.0" => given = 1,
                ("encoding", 1) if value.eq_ignore_ascii_case("UTF-8") => given = 2,
                ("standalone", 1 | 2) if matches!(value, "yes" | "no") => given = 3,
                ("version", 0) | ("encoding", 1) => {
                    return Err(Refusal::new(Code::XmlForbidden, "an XML declaration other than version 1.0, UTF-8"));
                }
                _ => return Err(wrong()),
            }
            blank = self.blanks();
        }
    }

    /// A name with at most one colon inside it (QName), and where the colon is.
    fn name(&mut self) -> Read<(&'a str, Option<usize>)> {
        let wrong = || malformed("a name that is none");
        let rest = &self.text[self.at..];
        let (mut length, mut colon, mut begins) = (0, None, true);
        for byte in rest.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'_' => begins = false,
                b'0'..=b'9' | b'-' | b'.' if !begins => {}
                b':' if !begins && colon.is_none() => (colon, begins) = (Some(length), true),
                0x80.. => return self.wide_name(),
                _ => break,
            }
            length += 1;
        }
        if begins {
            return Err(wrong());
        }
        self.at += length;
        Ok((&rest[..length], colon))
    }

    /// The same for names beyond ASCII: only attributes of foreign namespaces can have one.
    fn wide_name(&mut self) -> Read<(&'a str, Option<usize>)> {
        let rest = &self.text[self.at..];
        let (mut length, mut colon, mut begins) = (0, None, true);
        for c in rest.chars() {
            match c {
                ':' if !begins && colon.is_none() => (colon, begins) = (Some(length), true),
                c if is_name_start(c) => begins = false,
                c if !begins && is_name_char(c) => {}
                _ => break,
            }
            length += c.len_utf8();
        }
        if begins {
            return Err(malformed("a name that is none"));
        }
        self.at += length;
        Ok((&rest[..length], colon))
    }

    /// Text up to the next `<`, and whether nothing in it needs decoding.
    fn raw_text(&mut self) -> Read<(&'a str, bool)> {
        let start = self.at;
        let mut plain = true;
        let bytes = self.rest();
        for (place, byte) in bytes.iter().enumerate() {
            match byte {
                b'<' => break,
                b'&' | b'\r' => plain = false,
                b'>' if bytes[..place].ends_with(b"]]") => return Err(malformed("]]> in a text")),
                _ => {}
            }
            self.at += 1;
        }
        Ok((&self.text[start..self.at], plain))
    }

    /// Text where only elements may be: nothing but blanks, though they may be written as references.
    fn stray_text(&mut self) -> Read<()> {
        if self.depth == 0 {
            return Err(malformed("something in front of the root element"));
        }
        let (raw, plain) = self.raw_text()?;
        let text = if plain { Cow::Borrowed(raw) } else { Cow::Owned(decode(raw, false)?) };
        match text.chars().all(|c| matches!(c, ' ' | '\t' | '\r' | '\n')) {
            true => Ok(()),
            false => Err(Refusal::new(Code::SchemaInvalid, "text between elements")),
        }
    }

    fn rest(&self) -> &'a [u8] {
        &self.text.as_bytes()[self.at..]
    }

    /// Passes blanks [3]; whether there were any.
    fn blanks(&mut self) -> bool {
        let count = self.rest().iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')).count();
        self.at += count;
        count > 0
    }

    fn expect(&mut self, byte: u8, otherwise: &'static str) -> Read<()> {
        if self.rest().first() != Some(&byte) {
            return Err(malformed(otherwise));
        }
        self.at += 1;
        Ok(())
    }
}

fn malformed(text: &'static str) -> Refusal {
    Refusal::new(Code::XmlMalformed, text)
}

/// What begins with `<!` or `<?`.
fn forbidden(rest: &[u8]) -> Refusal {
    Refusal::new(
        Code::XmlForbidden,
        match rest {
            [b'<', b'?', ..] => "a processing instruction, or a declaration that is not at the beginning",
            [b'<', b'!', b'-', b'-', ..] => "a comment",
            [b'<', b'!', b'[', ..] => "a CDATA section",
            _ => "a document type declaration",
        },
    )
}

/// No control characters but tab, line feed and carriage return, and neither U+FFFE nor U+FFFF. Of valid UTF-8.
fn only_xml_chars(document: &[u8]) -> bool {
    // One pass without a branch a byte; the two rare non-characters are looked for only where they may begin.
    let suspect = document
        .iter()
        .fold(false, |found, byte| found | ((*byte < 0x20) & (*byte != b'\t') & (*byte != b'\n') & (*byte != b'\r')));
    let wide = document.iter().fold(false, |found, byte| found | (*byte == 0xEF));
    !(suspect || wide && document.windows(3).any(|three| matches!(three, [0xEF, 0xBF, 0xBE | 0xBF])))
}

fn value(attribute: Attribute<'_>) -> Read<Cow<'_, str>> {
    limited(match attribute.plain {
        true => Cow::Borrowed(attribute.raw),
        false => Cow::Owned(decode(attribute.raw, true)?),
    })
}

fn limited(text: Cow<'_, str>) -> Read<Cow<'_, str>> {
    match super::token::chars_at_most(&text, TEXT_MAX_CHARS) {
        true => Ok(text),
        false => Err(Refusal::new(Code::XmlLimit, "at most 512 characters in a text")),
    }
}

/// Entities, character references and line ends [66, 68; 2.11, 3.3.3]; in an attribute blanks become spaces.
fn decode(raw: &str, attribute: bool) -> Read<String> {
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(place) = rest.find(['&', '\r', '\t', '\n']) {
        text.push_str(&rest[..place]);
        let mark = rest.as_bytes()[place];
        rest = &rest[place + 1..];
        match mark {
            b'&' => {
                let (c, behind) = reference(rest)?;
                text.push(c);
                rest = behind;
            }
            b'\r' => {
                rest = rest.strip_prefix('\n').unwrap_or(rest);
                text.push(if attribute { ' ' } else { '\n' });
            }
            other => text.push(if attribute { ' ' } else { char::from(other) }),
        }
    }
    text.push_str(rest);
    Ok(text)
}

/// What stands behind a `&`: the character, and the text behind the `;`.
fn reference(text: &str) -> Read<(char, &str)> {
    let wrong = || malformed("a & that begins no reference");
    let (name, behind) = text.split_once(';').ok_or_else(wrong)?;
    let c = match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => match name.strip_prefix('#') {
            Some(number) => {
                numbered(number).ok_or_else(|| malformed("a character reference that XML does not allow"))?
            }
            None => {
                let mut chars = name.chars();
                let named = chars.next().is_some_and(|c| c == ':' || is_name_start(c));
                return Err(if named && chars.all(|c| c == ':' || is_name_char(c)) {
                    Refusal::new(Code::XmlForbidden, "an entity other than amp, lt, gt, quot, apos")
                } else {
                    wrong()
                });
            }
        },
    };
    Ok((c, behind))
}

fn numbered(number: &str) -> Option<char> {
    let (digits, radix) = match number.strip_prefix('x') {
        Some(digits) => (digits, 16),
        None => (number, 10),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| char::from(byte).is_digit(radix)) {
        return None;
    }
    char::from_u32(u32::from_str_radix(digits, radix).ok()?).filter(|c| is_xml_char(*c))
}

fn check_default(uri: &str) -> Read<()> {
    let other_major = uri
        .strip_prefix("urn:acs-link:")
        .is_some_and(|major| !major.is_empty() && major.bytes().all(|byte| byte.is_ascii_digit()));
    match uri {
        NAMESPACE => Ok(()),
        _ if other_major => Err(Refusal::new(Code::VersionUnsupported, "another major version than urn:acs-link:1")),
        _ => Err(Refusal::new(Code::SchemaInvalid, "an element that is not of the namespace urn:acs-link:1")),
    }
}

/// Namespaces in XML, 3: what may be declared.
fn check_prefix(prefix: &str, uri: &str) -> Read<()> {
    let wrong = prefix == "xmlns" || uri.is_empty() || uri == XMLNS || (prefix == "xml") != (uri == XML);
    if wrong { Err(malformed("a declaration of a namespace that is not allowed")) } else { Ok(()) }
}

/// NameStartChar [4] without the colon.
const fn is_name_start(c: char) -> bool {
    matches!(c,
        'A'..='Z' | 'a'..='z' | '_' | '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}' | '\u{F8}'..='\u{2FF}'
        | '\u{370}'..='\u{37D}' | '\u{37F}'..='\u{1FFF}' | '\u{200C}'..='\u{200D}' | '\u{2070}'..='\u{218F}'
        | '\u{2C00}'..='\u{2FEF}' | '\u{3001}'..='\u{D7FF}' | '\u{F900}'..='\u{FDCF}' | '\u{FDF0}'..='\u{FFFD}'
        | '\u{10000}'..='\u{EFFFF}')
}

/// NameChar [4a] without the colon.
const fn is_name_char(c: char) -> bool {
    is_name_start(c) || matches!(c, '-' | '.' | '0'..='9' | '\u{B7}' | '\u{300}'..='\u{36F}' | '\u{203F}'..='\u{2040}')
}
