//! Any bytes on an OSDP line: framing and payloads.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use wire::osdp::command::Command;
use wire::osdp::frame::{Decoder, Frame, MAX_FRAME};
use wire::osdp::reply::Reply;
use wire::osdp::trace;

type Found = Vec<Option<Vec<u8>>>;

fn decode(chunks: impl Iterator<Item = Vec<u8>>) -> (Found, u64) {
    let mut decoder = Decoder::new();
    let mut found = Vec::new();
    for chunk in chunks {
        let mut input = &chunk[..];
        while let Some(outcome) = decoder.next(Duration::ZERO, &mut input) {
            found.push(outcome.ok().map(|frame| frame.bytes().to_vec()));
        }
        assert!(input.is_empty());
        assert!(decoder.pending() <= MAX_FRAME);
    }
    while let Some(outcome) = decoder.next(Duration::from_secs(1), &mut &[][..]) {
        found.push(outcome.ok().map(|frame| frame.bytes().to_vec()));
    }
    assert_eq!(decoder.pending(), 0);
    (found, decoder.noise())
}

fuzz_target!(|data: &[u8]| {
    let Some((&cut, bytes)) = data.split_first() else { return };
    let whole = decode(std::iter::once(bytes.to_vec()));
    let chunked = decode(bytes.chunks(usize::from(cut % 31) + 1).map(<[u8]>::to_vec));
    assert_eq!(whole, chunked);
    for bytes in whole.0.into_iter().flatten() {
        let frame = Frame::parse(&bytes).expect("a found frame is a frame");
        assert_eq!(frame.bytes(), &bytes[..]);
        let _ = trace::describe(&frame);
        let mut again = Vec::new();
        if let Ok(command) = Command::decode(frame.code, frame.data) {
            command.encode_data(&mut again);
            assert_eq!(Command::decode(frame.code, &again).as_ref(), Ok(&command));
        }
        again.clear();
        if let Ok(reply) = Reply::decode(frame.code, frame.data) {
            reply.encode_data(&mut again);
            assert_eq!(Reply::decode(frame.code, &again).as_ref(), Ok(&reply));
        }
    }
});
