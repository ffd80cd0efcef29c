//! One line of text for a frame, for `osdp trace` and for logs. Never a key, a card, a PIN or
//! a cryptogram: data is shown only where it is harmless.

use std::fmt::Write;

use super::command::{Command, code as command};
use super::frame::{Check, Direction, Frame};
use super::reply::{Reply, code as reply};

/// Describes a frame: direction, address, sequence, security block, name, length of the data,
/// and the data itself if it is in clear and harmless.
pub fn describe(frame: &Frame<'_>) -> String {
    let header = frame.header;
    let mut text = String::new();
    let (arrow, name) = match header.direction {
        Direction::Command => ("->", command_name(frame.code)),
        Direction::Reply => ("<-", reply_name(frame.code)),
    };
    let _ = write!(text, "{arrow} {:3} seq {} ", header.address, header.sequence);
    match frame.security {
        Some(block) => {
            let _ = write!(text, "SCS_{:02X} ", block.kind);
        }
        None => text.push_str("clear  "),
    }
    match name {
        Some(name) => text.push_str(name),
        None => {
            let _ = write!(text, "code {:#04x}", frame.code);
        }
    }
    let _ = write!(text, ", {} bytes", frame.data.len());
    if header.check == Check::Checksum {
        text.push_str(", checksum");
    }
    if frame.security.is_none() && harmless(header.direction, frame.code) {
        match header.direction {
            Direction::Command => {
                if let Ok(decoded) = Command::decode(frame.code, frame.data) {
                    let _ = write!(text, ": {decoded:?}");
                }
            }
            Direction::Reply => {
                if let Ok(decoded) = Reply::decode(frame.code, frame.data) {
                    let _ = write!(text, ": {decoded:?}");
                }
            }
        }
    }
    text
}

fn harmless(direction: Direction, code: u8) -> bool {
    match direction {
        Direction::Command => matches!(code, command::OUT | command::LED | command::BUZ | command::COMSET),
        Direction::Reply => matches!(
            code,
            reply::NAK
                | reply::PDID
                | reply::PDCAP
                | reply::LSTATR
                | reply::ISTATR
                | reply::OSTATR
                | reply::RSTATR
                | reply::COM
        ),
    }
}

fn command_name(code: u8) -> Option<&'static str> {
    Some(match code {
        command::POLL => "POLL",
        command::ID => "ID",
        command::CAP => "CAP",
        command::LSTAT => "LSTAT",
        command::ISTAT => "ISTAT",
        command::OSTAT => "OSTAT",
        command::RSTAT => "RSTAT",
        command::OUT => "OUT",
        command::LED => "LED",
        command::BUZ => "BUZ",
        command::TEXT => "TEXT",
        command::COMSET => "COMSET",
        command::KEYSET => "KEYSET",
        command::CHLNG => "CHLNG",
        command::SCRYPT => "SCRYPT",
        command::ACURXSIZE => "ACURXSIZE",
        command::MFG => "MFG",
        command::ABORT => "ABORT",
        command::KEEPACTIVE => "KEEPACTIVE",
        _ => return None,
    })
}

fn reply_name(code: u8) -> Option<&'static str> {
    Some(match code {
        reply::ACK => "ACK",
        reply::NAK => "NAK",
        reply::PDID => "PDID",
        reply::PDCAP => "PDCAP",
        reply::LSTATR => "LSTATR",
        reply::ISTATR => "ISTATR",
        reply::OSTATR => "OSTATR",
        reply::RSTATR => "RSTATR",
        reply::RAW => "RAW",
        reply::FMT => "FMT",
        reply::KEYPAD => "KEYPAD",
        reply::COM => "COM",
        reply::CCRYPT => "CCRYPT",
        reply::RMAC_I => "RMAC_I",
        reply::BUSY => "BUSY",
        reply::MFGREP => "MFGREP",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_poll_and_its_card_read_well_and_hide_the_card() {
        let poll = [0x53, 0x01, 0x08, 0x00, 0x05, 0x60];
        let mut poll = poll.to_vec();
        poll.extend_from_slice(&super::super::frame::crc16(&poll).to_le_bytes());
        assert_eq!(describe(&Frame::parse(&poll).unwrap()), "->   1 seq 1 clear  POLL, 0 bytes");
        let mut card = vec![0x53, 0x81, 0x10, 0x00, 0x05, 0x50, 0, 1, 26, 0, 0xDE, 0xAD, 0xBE, 0xC0];
        card.extend_from_slice(&super::super::frame::crc16(&card).to_le_bytes());
        assert_eq!(describe(&Frame::parse(&card).unwrap()), "<-   1 seq 1 clear  RAW, 8 bytes");
    }
}
