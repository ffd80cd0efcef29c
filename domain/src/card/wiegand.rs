//! Wiegand frames of one layout: an even parity bit, the significant bits, an odd parity bit. The first parity
//! covers the first `even` significant bits, the last one the last `odd` of them; in 37 bits both cover the middle
//! one (HID H10302/H10304: 18 and 18 of 35).

/// Takes the significant bits out of `bits` left-justified bits; `None` if a parity bit is wrong.
/// `bytes` holds at least `bits` bits, and `bits` is at most 64.
pub fn unframe(bytes: &[u8], bits: u32, even: u32, odd: u32) -> Option<u64> {
    let whole = bytes.iter().take(8).enumerate().fold(0_u64, |sum, (i, byte)| sum | u64::from(*byte) << (56 - 8 * i));
    let frame = whole >> (64 - bits);
    let value = (frame >> 1) & mask(bits - 2);
    (frame == with_parity(value, bits, even, odd)).then_some(value)
}

/// The opposite: a number of bits and its left-justified bytes, padded with zeros.
pub fn frame(value: u64, bits: u32, even: u32, odd: u32) -> (u16, Vec<u8>) {
    let bytes = (with_parity(value, bits, even, odd) << (64 - bits)).to_be_bytes();
    (bits as u16, bytes[..bits.div_ceil(8) as usize].to_vec())
}

fn with_parity(value: u64, bits: u32, even: u32, odd: u32) -> u64 {
    let first = (value >> (bits - 2 - even)).count_ones() & 1;
    let last = ((value & mask(odd)).count_ones() + 1) & 1;
    u64::from(first) << (bits - 1) | value << 1 | u64::from(last)
}

const fn mask(bits: u32) -> u64 {
    (1 << bits) - 1
}
