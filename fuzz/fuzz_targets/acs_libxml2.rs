//! What we accept, libxml2 accepts, and the schema as well. The opposite is not asked: we are stricter.
//!
//! An input that begins with a byte from 0x80 on is a script of changes to one of our samples, so that most documents
//! are nearly right; any other is the document itself.
#![no_main]

use std::cell::RefCell;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use libxml::parser::{Parser, ParserOptions};
use libxml::schemas::{SchemaParserContext, SchemaValidationContext};
use wire::acs_link::read;

const SCHEMA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/protocol/acs-link.xsd");

/// Words that a script puts in.
const WORDS: &[&str] = &[
    " ",
    "\n",
    "\r\n",
    "<",
    ">",
    "&",
    "\"",
    "'",
    "=",
    "/",
    "/>",
    "]]>",
    "]]",
    ":",
    "&#32;",
    "&#9;",
    "&lt;",
    "&#x416;",
    "&#0;",
    "Ж",
    "\u{1}",
    "\u{85}",
    "\u{FFFE}",
    "0",
    "1",
    "+",
    "-",
    ".",
    "9",
    "00",
    "a",
    "Z",
    "_",
    " a=\"1\"",
    " xmlns:p=\"urn:x\"",
    " p:a=\"1\"",
    " xmlns=\"urn:acs-link:1\"",
    " xmlns=\"\"",
    " xml:lang=\"ru\"",
    "<Cap>x</Cap>",
    "<Ext name=\"n\"/>",
    "<Text/>",
    "<Received stream=\"events\" seq=\"0\"/>",
    "<Level>x</Level>",
    "<Point>x</Point>",
    "</Msg>",
    "<!---->",
    "<?a?>",
    "<![CDATA[]]>",
    "T24:00:00",
    "Z",
    "+14:00",
    "2026",
    "-02-29",
    "true",
    "events",
    "SEQ_GAP",
    "\u{FEFF}",
    "\u{10FFFF}",
];

static SAMPLES: LazyLock<Vec<String>> = LazyLock::new(|| {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/protocol/acs-link-samples");
    let mut files: Vec<_> =
        std::fs::read_dir(folder).expect("the samples").map(|file| file.expect("a file").path()).collect();
    files.sort();
    files.iter().map(|path| std::fs::read_to_string(path).expect("a sample")).collect()
});

/// A sample with changes: three bytes each, a place and what to do there.
fn changed(which: u8, script: &[u8]) -> String {
    let mut text = SAMPLES[usize::from(which) % SAMPLES.len()].clone();
    for step in script.chunks_exact(3) {
        let mut place = usize::from(u16::from_le_bytes([step[0], step[1]])) % (text.len() + 1);
        while !text.is_char_boundary(place) {
            place -= 1;
        }
        match WORDS.get(usize::from(step[2])) {
            Some(word) => text.insert_str(place, word),
            None => {
                let most = usize::from(step[2]) % 24 + 1;
                let end = text[place..].char_indices().map(|(at, _)| place + at).nth(most).unwrap_or(text.len());
                text.replace_range(place..end, "");
            }
        }
    }
    text
}

thread_local! {
    static VALIDATOR: RefCell<SchemaValidationContext> = RefCell::new({
        let mut parser = SchemaParserContext::from_file(SCHEMA);
        let validator = SchemaValidationContext::from_parser(&mut parser);
        validator.unwrap_or_else(|errors| panic!("the schema has {} errors", errors.len()))
    });
}

fuzz_target!(|data: &[u8]| {
    let made;
    let data = match data.split_first() {
        Some((which @ 0x80.., script)) => {
            made = changed(*which, script);
            made.as_bytes()
        }
        _ => data,
    };
    if read(data).is_err() {
        return;
    }
    let options = ParserOptions {
        recover: false,
        no_error: true,
        no_warning: true,
        no_net: true,
        no_def_dtd: true,
        ..ParserOptions::default()
    };
    let text = String::from_utf8_lossy(data);
    let Ok(document) = Parser::default().parse_string_with_options(data, options) else {
        panic!("libxml2 does not parse: {text:?}");
    };
    let valid = VALIDATOR.with_borrow_mut(|validator| validator.validate_document(&document).is_ok());
    assert!(valid, "the schema refuses: {text:?}");
});
