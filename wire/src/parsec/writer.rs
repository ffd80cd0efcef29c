//! Writes elements. Text is escaped, and characters that XML forbids are left out, so what is written is well-formed.

use domain::UtcMillis;

use super::guid::Guid;
use super::{GUID_NAMESPACE, instant};

/// A document being written; elements are of the service's namespace, which the envelope makes the default.
pub(super) struct Writer {
    out: String,
}

impl Writer {
    pub(super) fn new() -> Self {
        Self { out: String::with_capacity(1024) }
    }

    pub(super) fn into_text(self) -> String {
        self.out
    }

    /// Something already well-formed.
    pub(super) fn raw(&mut self, xml: &str) {
        self.out.push_str(xml);
    }

    pub(super) fn within(&mut self, name: &str, attributes: &str, body: impl FnOnce(&mut Self)) {
        self.raw(&format!("<{name}{attributes}>"));
        body(self);
        self.raw(&format!("</{name}>"));
    }

    /// An element whose type is a derived one.
    pub(super) fn typed(&mut self, name: &str, kind: &str, body: impl FnOnce(&mut Self)) {
        self.within(name, &format!(" xsi:type=\"{kind}\""), body);
    }

    pub(super) fn text(&mut self, name: &str, text: &str) {
        self.within(name, "", |xml| xml.escaped(text));
    }

    pub(super) fn escaped(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '<' => self.out.push_str("&lt;"),
                '>' => self.out.push_str("&gt;"),
                '&' => self.out.push_str("&amp;"),
                '"' => self.out.push_str("&quot;"),
                // Otherwise a reader would make a line feed of it.
                '\r' => self.out.push_str("&#13;"),
                '\t' | '\n' => self.out.push(c),
                '\0'..='\u{1F}' | '\u{FFFE}' | '\u{FFFF}' => {}
                c => self.out.push(c),
            }
        }
    }

    pub(super) fn int(&mut self, name: &str, number: impl Into<i128>) {
        self.text(name, &number.into().to_string());
    }

    pub(super) fn flag(&mut self, name: &str, flag: bool) {
        self.text(name, if flag { "true" } else { "false" });
    }

    pub(super) fn guid(&mut self, name: &str, guid: Guid) {
        self.text(name, &guid.to_string());
    }

    pub(super) fn instant(&mut self, name: &str, at: UtcMillis) {
        self.text(name, &instant::write(at));
    }

    pub(super) fn nil(&mut self, name: &str) {
        self.raw(&format!("<{name} xsi:nil=\"true\" />"));
    }

    pub(super) fn guids(&mut self, name: &str, guids: &[Guid]) {
        self.within(name, "", |xml| guids.iter().for_each(|guid| xml.guid("guid", *guid)));
    }

    /// `anyType` with a GUID, as the service writes it.
    pub(super) fn any_guid(&mut self, name: &str, guid: Guid) {
        let attributes = format!(" xmlns:q1=\"{GUID_NAMESPACE}\" xsi:type=\"q1:guid\"");
        self.within(name, &attributes, |xml| xml.escaped(&guid.to_string()));
    }

    /// `anyType` of a simple type of XML Schema.
    pub(super) fn any(&mut self, name: &str, kind: &str, text: &str) {
        self.within(name, &format!(" xsi:type=\"xsd:{kind}\""), |xml| xml.escaped(text));
    }
}
