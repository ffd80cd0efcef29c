//! A photograph from outside: refused with a reason, or made into one of ours; never a panic, never much memory.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(prepared) = clinic::vault::picture::prepare(bytes) {
        assert!(prepared.full.starts_with(&[0xFF, 0xD8, 0xFF]));
        assert!(prepared.small.starts_with(&[0xFF, 0xD8, 0xFF]));
    }
});
