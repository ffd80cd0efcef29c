//! Frames in pieces: whole, at every cut, in single bytes; and lengths that are lies.

use std::time::Duration;

use proptest::prelude::*;
use wire::acs_link::Code;
use wire::acs_link::frame::*;

const T: Duration = Duration::from_secs(100);

fn framed(body: &[u8]) -> Vec<u8> {
    [&(body.len() as u32).to_be_bytes()[..], body].concat()
}

/// Everything that comes out of pieces; the code if it ends in a refusal.
fn taken(pieces: &[&[u8]], limit: u32) -> (Vec<Vec<u8>>, Option<Code>) {
    let mut frames = Accumulator::new(limit);
    let mut all = vec![];
    for piece in pieces {
        let mut rest = *piece;
        while !rest.is_empty() {
            match frames.take(&mut rest, T) {
                Ok(Some(body)) => all.push(body.to_vec()),
                Ok(None) => {}
                Err(refusal) => return (all, Some(refusal.code)),
            }
        }
    }
    (all, None)
}

#[test]
fn frames_cut_at_every_byte_are_the_same_frames() {
    let bodies = [b"first".to_vec(), vec![0xAB; 300], b"x".to_vec()];
    let stream: Vec<u8> = bodies.iter().flat_map(|body| framed(body)).collect();
    for cut in 0..=stream.len() {
        assert_eq!(taken(&[&stream[..cut], &stream[cut..]], FRAME_MAX), (bodies.to_vec(), None), "{cut}");
    }
    let bytes: Vec<&[u8]> = stream.chunks(1).collect();
    assert_eq!(taken(&bytes, FRAME_MAX), (bodies.to_vec(), None));
}

#[test]
fn lengths_of_nothing_and_of_too_much_are_refused_before_a_byte_is_kept() {
    for length in [0, FRAME_MAX + 1, 100_000_000, u32::MAX] {
        let stream = [&length.to_be_bytes()[..], &[b'x'; 1_000]].concat();
        assert_eq!(taken(&[&stream], FRAME_MAX), (vec![], Some(Code::FrameTooLarge)), "{length}");
        let mut frames = Accumulator::new(FRAME_MAX);
        let mut rest = stream.as_slice();
        assert!(frames.take(&mut rest, T).is_err());
        assert_eq!((frames.memory(), rest.len()), (0, 1_000), "{length}");
    }
    let longest = framed(&vec![b'x'; FRAME_MAX as usize]);
    assert_eq!(taken(&[&longest], FRAME_MAX).0.len(), 1);
    assert_eq!(taken(&[&framed(&[b'x'; 4_097])], 1).1, Some(Code::FrameTooLarge), "a limit has a floor of 4,096");
}

#[test]
fn an_announced_length_reserves_nothing() {
    let mut frames = Accumulator::new(FRAME_MAX);
    let mut rest: &[u8] = &FRAME_MAX.to_be_bytes();
    assert_eq!(frames.take(&mut rest, T), Ok(None));
    assert_eq!(frames.memory(), 0);
    for _ in 0..FRAME_MAX {
        let mut byte: &[u8] = b"x";
        let done = frames.take(&mut byte, T).unwrap().map(<[u8]>::len);
        assert!(frames.memory() <= FRAME_MAX as usize);
        if let Some(length) = done {
            assert_eq!(length, FRAME_MAX as usize);
        }
    }
    // The next frame gives most of it back.
    let mut next: &[u8] = &[0, 0, 0];
    assert_eq!(frames.take(&mut next, T), Ok(None));
    assert!(frames.memory() <= 4_096, "{}", frames.memory());
}

#[test]
fn a_frame_is_due_ten_seconds_after_its_first_byte() {
    let mut frames = Accumulator::new(FRAME_MAX);
    assert_eq!(frames.deadline(), None);
    let stream = framed(b"hello");
    for (second, byte) in (0_u64..).zip(&stream[..8]) {
        let mut rest = std::slice::from_ref(byte);
        assert_eq!(frames.take(&mut rest, T + Duration::from_secs(second)), Ok(None));
        assert_eq!(frames.deadline(), Some(T + FRAME_TIME), "of the first byte, whatever followed");
    }
    let mut rest = &stream[8..];
    assert_eq!(frames.take(&mut rest, T), Ok(Some(b"hello".as_slice())));
    assert_eq!(frames.deadline(), None);
}

#[test]
fn a_frame_that_waits_for_us_has_its_time_again() {
    let mut frames = Accumulator::new(FRAME_MAX);
    frames.excuse(T);
    assert_eq!(frames.deadline(), None, "nothing has begun");
    let mut rest: &[u8] = &[0, 0];
    assert_eq!(frames.take(&mut rest, T), Ok(None));
    frames.excuse(T * 2);
    assert_eq!(frames.deadline(), Some(T * 2 + FRAME_TIME));
}

proptest! {
    #[test]
    fn pieces_of_any_size_give_the_same_as_the_whole(
        bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..600), 0..8),
        cuts in prop::collection::vec(1_usize..900, 1..40),
        rubbish in prop::collection::vec(any::<u8>(), 0..12),
    ) {
        let mut stream: Vec<u8> = bodies.iter().flat_map(|body| framed(body)).collect();
        stream.extend(rubbish);
        let mut pieces = vec![];
        let mut rest = stream.as_slice();
        for cut in cuts.iter().cycle() {
            let (piece, behind) = rest.split_at(rest.len().min(*cut));
            pieces.push(piece);
            rest = behind;
            if rest.is_empty() { break; }
        }
        prop_assert_eq!(taken(&pieces, 4_096), taken(&[&stream], 4_096));
        prop_assert!(taken(&pieces, 4_096).0.starts_with(&bodies));
    }
}
