//! OSDP (SIA OSDP v2.2, IEC 60839-11-5): one codec for both ends of the line.
//!
//! | module | owns |
//! |---|---|
//! | [`frame`] | bytes to frames and back: start mark, length, check value, security block |
//! | [`command`] | what a control panel says |
//! | [`reply`] | what a reader says |
//! | [`secure`] | Secure Channel: keys, cryptograms, the chain of MACs |
//! | [`device`] | the other end: one reader, for simulators and tests |
//! | [`panel`] | the control panel of one line: polling, retry, sessions, supervision |
//! | [`trace`] | one redacted line of text for a frame |
//! | [`scan`] | looking for readers whose address or speed is unknown |
//!
//! Nothing here reads a clock, draws randomness or touches a port. Nothing here panics on
//! input from a line, and every buffer is bounded by [`frame::MAX_FRAME`].

pub mod command;
pub mod device;
pub mod frame;
pub mod panel;
pub mod reply;
pub mod scan;
pub mod secure;
pub mod trace;

/// The address every peripheral device answers to; only for ID, CAP and COMSET (050-09-05).
pub const BROADCAST: u8 = 0x7F;
/// The highest address of one device.
pub const MAX_ADDRESS: u8 = 0x7E;
/// The speeds of the standard, bits a second, 8N1 (050-02).
pub const BAUD_RATES: [u32; 6] = [9600, 19200, 38400, 57600, 115_200, 230_400];
