//! What we accept, libxml2 accepts, and the schema as well. The opposite is not asked: we are stricter.
#![no_main]

use std::cell::RefCell;

use libfuzzer_sys::fuzz_target;
use libxml::parser::{Parser, ParserOptions};
use libxml::schemas::{SchemaParserContext, SchemaValidationContext};
use wire::acs_link::read;

const SCHEMA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/protocol/acs-link.xsd");

thread_local! {
    static VALIDATOR: RefCell<SchemaValidationContext> = RefCell::new({
        let mut parser = SchemaParserContext::from_file(SCHEMA);
        let validator = SchemaValidationContext::from_parser(&mut parser);
        validator.unwrap_or_else(|errors| panic!("the schema has {} errors", errors.len()))
    });
}

fuzz_target!(|data: &[u8]| {
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
