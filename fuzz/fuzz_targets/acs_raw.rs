//! Any bytes as an acs-link document: nothing panics, what is accepted is written and read again as the same, a refusal
//! repeats nothing, and neither time nor memory goes beyond a multiple of the document's length.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use std::alloc::System;
use tapward_fuzz::within;
use wire::acs_link::{read, to_vec, write};

#[global_allocator]
static MEMORY: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fuzz_target!(|data: &[u8]| {
    // A list element of 36 bytes on the line becomes some 40 in memory, and a vector grows by doubling.
    let outcome = within(MEMORY, 4_096 + 8 * data.len(), 2_000 + data.len() as u64, || read(data));
    match outcome {
        Ok(msg) => {
            let written = to_vec(&msg).expect("what is read can be written");
            assert!(written.len() <= write::DOCUMENT_MAX_BYTES);
            assert_eq!(read(&written).as_ref(), Ok(&msg));
        }
        Err(refusal) => assert!(refusal.fatal() && refusal.text.len() < 200, "{refusal}"),
    }
});
