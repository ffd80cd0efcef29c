//! Faults on demand: what a wire does to bytes, and what a broken or hostile reader answers.
//!
//! Owns the kinds of faults and the seeded damage to bytes. Never touches a port.

use serde::Deserialize;
use wire::osdp::frame::{self, Decoder, Header, MAC_LEN, SecurityBlock, scs};
use wire::osdp::reply::{CardBits, NakReason, Reply};

/// One fault. Rates are 0 to 1, for each byte (`noise`: for each bit).
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Fault {
    /// Line: bits flip, in both directions.
    Noise {
        /// Share of bits.
        rate: f64,
    },
    /// Line: bytes vanish.
    Drop {
        /// Share of bytes.
        rate: f64,
    },
    /// Line: bytes come twice.
    Duplicate {
        /// Share of bytes.
        rate: f64,
    },
    /// Line: bytes that nobody sent appear.
    Insert {
        /// So many for each byte sent.
        rate: f64,
    },
    /// Line: everything comes later.
    Delay {
        /// By so many milliseconds.
        ms: u64,
    },
    /// Line: the panel hears its own commands (two-wire adapters).
    Echo,
    /// Line: the adapter is pulled out; the pseudo-terminal and its link, or the TCP listener, are gone until healed.
    Unplug,
    /// Peer: the cable carries nothing any more, and nobody is told (half-open).
    Freeze,
    /// Peer: sends a byte in so many milliseconds.
    Slow {
        /// Milliseconds a byte.
        ms: u64,
    },
    /// Peer: the connection is reset in the middle of the next frame, once.
    ResetInFrame,
    /// Peer: its clock is wrong.
    Clock {
        /// Ahead by so many milliseconds; behind if negative.
        offset_ms: i64,
    },
    /// Peer: its clock was never set, and it knows that.
    ClockUnset,
    /// Peer: its file is replaced by the copy that was made when it started.
    RestoredBackup,
    /// Peer: begins a new epoch, as somebody does after a restored backup, once.
    NewEpoch,
    /// Peer: acknowledges what it never got, once.
    AckAhead,
    /// Peer: another connection with the same node id, once.
    DoubleNode,
    /// Peer: reports an event of a point that does not exist, once.
    Poison,
    /// Peer: announces a frame of so many bytes and sends nothing of it, once.
    LongFrame {
        /// The announced length.
        bytes: u32,
    },
    /// Reader: says nothing.
    Silent,
    /// Reader: lost its key (and power) and has another one.
    WrongKey,
    /// Reader: loses power for so long, then starts anew.
    PowerCycle {
        /// Milliseconds without power.
        off_ms: u64,
    },
    /// Reader: is set to this address, which may be another reader's.
    Address {
        /// The new address.
        address: u8,
    },
    /// Reader: its case is open.
    Tamper,
    /// Reader: its supply has failed.
    PowerFailed,
    /// Reader: somebody tampers with its answers.
    Hostile {
        /// How.
        mode: Hostile,
    },
}

/// What a hostile reader, or somebody on the wire next to it, does to its answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hostile {
    /// Answers under another sequence number.
    WrongSequence,
    /// Sends the answer before this one again.
    Replay,
    /// NAK 6 to everything, in clear.
    NakStorm,
    /// BUSY to everything, in clear.
    BusyForever,
    /// Answers after 250 ms: too late.
    Late,
    /// Denies having Secure Channel: PDCAP without function 9, NAK 5 to the handshake.
    NoSecurity,
    /// A CCRYPT that nobody asked for.
    UnexpectedCcrypt,
    /// An RMAC_I that nobody asked for.
    UnexpectedRmac,
    /// The right answer with a wrong MAC.
    WrongMac,
    /// A card in clear.
    PlainCard,
}

/// How late [`Hostile::Late`] answers: beyond the 200 ms of the standard.
pub const LATE_MS: u64 = 250;

impl Fault {
    /// Whether only a peer can have it.
    pub fn is_of_peer(&self) -> bool {
        matches!(
            self,
            Self::Freeze
                | Self::Slow { .. }
                | Self::ResetInFrame
                | Self::Clock { .. }
                | Self::ClockUnset
                | Self::RestoredBackup
                | Self::NewEpoch
                | Self::AckAhead
                | Self::DoubleNode
                | Self::Poison
                | Self::LongFrame { .. }
        )
    }

    /// Whether it strikes a line or a peer as a whole (else a reader).
    pub fn is_of_line(&self) -> bool {
        !matches!(
            self,
            Self::Silent
                | Self::WrongKey
                | Self::PowerCycle { .. }
                | Self::Address { .. }
                | Self::Tamper
                | Self::PowerFailed
                | Self::Hostile { .. }
        )
    }
}

/// The faults of one line that are on.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct LineFaults {
    flip: f64,
    drop: f64,
    duplicate: f64,
    insert: f64,
    pub(crate) delay_ms: u64,
    pub(crate) echo: bool,
    pub(crate) unplugged: bool,
}

impl LineFaults {
    /// Adds a fault; one of a reader or a peer changes nothing.
    pub(crate) fn inject(&mut self, fault: Fault) {
        match fault {
            Fault::Noise { rate } => self.flip = rate,
            Fault::Drop { rate } => self.drop = rate,
            Fault::Duplicate { rate } => self.duplicate = rate,
            Fault::Insert { rate } => self.insert = rate,
            Fault::Delay { ms } => self.delay_ms = ms,
            Fault::Echo => self.echo = true,
            Fault::Unplug => self.unplugged = true,
            // A reader's or a peer's.
            _ => {}
        }
    }

    /// What arrives of `bytes`; borrowed as it is when nothing is wrong.
    pub(crate) fn damage(&self, rng: &mut fastrand::Rng, bytes: &mut Vec<u8>) {
        if self.flip + self.drop + self.duplicate + self.insert <= 0.0 {
            return;
        }
        let sent = std::mem::take(bytes);
        for mut byte in sent {
            if rng.f64() < self.drop {
                continue;
            }
            for bit in 0..8 {
                if rng.f64() < self.flip {
                    byte ^= 1 << bit;
                }
            }
            bytes.push(byte);
            if rng.f64() < self.duplicate {
                bytes.push(byte);
            }
            if rng.f64() < self.insert {
                bytes.push(rng.u8(..));
            }
        }
    }
}

/// Two readers answering at once: the bus carries neither.
pub(crate) fn collide(first: &mut Vec<u8>, second: &[u8]) {
    for (place, byte) in second.iter().enumerate() {
        match first.get_mut(place) {
            Some(own) => *own &= byte,
            None => first.push(*byte),
        }
    }
}

/// Turns the honest answer to a command into a hostile one.
pub(crate) fn pervert(mode: Hostile, answer: &[u8], before: &[u8]) -> Vec<u8> {
    let mut rest = answer;
    let mut decoder = Decoder::new();
    let Some(Ok(frame)) = decoder.next(std::time::Duration::ZERO, &mut rest) else { return answer.to_vec() };
    let header = frame.header;
    let mut out = vec![frame::MARK];
    match mode {
        Hostile::Late => return answer.to_vec(),
        Hostile::Replay if before.is_empty() => return answer.to_vec(),
        Hostile::Replay => return before.to_vec(),
        Hostile::WrongSequence => {
            let wrong = Header { sequence: header.sequence % 3 + 1, ..header };
            // Everything else as it was; the MAC, if any, is then wrong too, as it would be on the wire.
            out.extend_from_slice(frame.bytes());
            resequence(&mut out, wrong);
        }
        Hostile::NakStorm => plain(&mut out, header, &Reply::Nak(NakReason::SecurityRequired)),
        Hostile::BusyForever => plain(&mut out, Header { sequence: 0, ..header }, &Reply::Busy),
        Hostile::NoSecurity => match Reply::decode(frame.code, frame.data) {
            Ok(Reply::Capabilities(mut all)) if frame.mac.is_none() => {
                all.retain(|has| has.function != wire::osdp::reply::capability::SECURITY);
                plain(&mut out, header, &Reply::Capabilities(all));
            }
            Ok(Reply::ClientCryptogram { .. } | Reply::InitialRmac(_)) => {
                plain(&mut out, header, &Reply::Nak(NakReason::SecurityUnsupported));
            }
            _ => return answer.to_vec(),
        },
        Hostile::UnexpectedCcrypt => {
            let forged = Reply::ClientCryptogram { uid: [1; 8], rnd_b: [2; 8], cryptogram: [3; 16] };
            block(&mut out, header, scs::CLIENT_CRYPTOGRAM, &forged);
        }
        Hostile::UnexpectedRmac => block(&mut out, header, scs::INITIAL_RMAC, &Reply::InitialRmac([4; 16])),
        Hostile::WrongMac => {
            if frame.mac.is_none() {
                return answer.to_vec();
            }
            out.extend_from_slice(frame.bytes());
            let mac_at = out.len() - header.check.len() - MAC_LEN;
            out[mac_at] ^= 0x01;
            renew_check(&mut out);
        }
        Hostile::PlainCard => {
            let Some(card) = CardBits::new(26, vec![0x80, 0x80, 0x01, 0xC0]) else { return answer.to_vec() };
            plain(&mut out, header, &Reply::Raw { reader: 0, format: 1, card });
        }
    }
    out
}

fn plain(out: &mut Vec<u8>, header: Header, reply: &Reply) {
    let mut data = Vec::new();
    reply.encode_data(&mut data);
    frame::encode(out, header, None, reply.code(), &data);
}

fn block(out: &mut Vec<u8>, header: Header, kind: u8, reply: &Reply) {
    let mut data = Vec::new();
    reply.encode_data(&mut data);
    frame::encode(out, header, Some(SecurityBlock { kind, data: &[1] }), reply.code(), &data);
}

/// Changes the sequence bits of the frame after one mark byte.
fn resequence(marked: &mut [u8], header: Header) {
    if let Some(control) = marked.get_mut(5) {
        *control = *control & !0x03 | header.sequence;
    }
    renew_check(marked);
}

/// Makes the CRC after one mark byte fit again, as somebody on the wire can.
fn renew_check(marked: &mut [u8]) {
    let len = marked.len();
    if len > 3 {
        let crc = frame::crc16(&marked[1..len - 2]).to_le_bytes();
        marked[len - 2..].copy_from_slice(&crc);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::osdp::frame::{Check, Direction, Frame};

    fn answer() -> Vec<u8> {
        let header = Header { address: 5, direction: Direction::Reply, sequence: 2, check: Check::Crc };
        let mut out = vec![frame::MARK];
        frame::encode(&mut out, header, None, 0x40, &[]);
        out
    }

    #[test]
    fn damage_of_one_seed_is_the_same_each_time_and_none_is_none() {
        let faults = LineFaults { flip: 0.01, drop: 0.05, duplicate: 0.05, insert: 0.05, ..LineFaults::default() };
        let once = |seed| {
            let mut bytes: Vec<u8> = (0..=255).collect();
            faults.damage(&mut fastrand::Rng::with_seed(seed), &mut bytes);
            bytes
        };
        assert_eq!(once(7), once(7));
        assert_ne!(once(7), once(8));
        let mut bytes: Vec<u8> = (0..=255).collect();
        LineFaults::default().damage(&mut fastrand::Rng::with_seed(1), &mut bytes);
        assert_eq!(bytes, (0..=255).collect::<Vec<u8>>());
    }

    #[test]
    fn every_hostile_answer_is_a_well_formed_frame() {
        for mode in [
            Hostile::WrongSequence,
            Hostile::Replay,
            Hostile::NakStorm,
            Hostile::BusyForever,
            Hostile::Late,
            Hostile::NoSecurity,
            Hostile::UnexpectedCcrypt,
            Hostile::UnexpectedRmac,
            Hostile::WrongMac,
            Hostile::PlainCard,
        ] {
            let hostile = pervert(mode, &answer(), &answer());
            assert!(Frame::parse(&hostile[1..]).is_ok(), "{mode:?}");
        }
        let wrong = pervert(Hostile::WrongSequence, &answer(), &[]);
        assert_eq!(Frame::parse(&wrong[1..]).unwrap().header.sequence, 3);
    }

    #[test]
    fn two_answers_at_once_are_none() {
        let mut first = answer();
        let mut other = Vec::from([frame::MARK]);
        let header = Header { address: 5, direction: Direction::Reply, sequence: 2, check: Check::Crc };
        frame::encode(&mut other, header, None, 0x45, &[1; 12]);
        collide(&mut first, &other);
        assert!(Frame::parse(&first[1..]).is_err());
    }
}
