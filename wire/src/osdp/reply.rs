//! Replies: what a reader says to its control panel.
//!
//! Owns codes and data layouts, in both directions. Cards and digits are wrapped so that
//! `Debug` never shows them. Imports `command` for [`Opaque`] and [`PayloadFault`].

use zeroize::Zeroize;

use super::command::{Opaque, PayloadFault};

/// Reply codes.
pub mod code {
    /// Nothing to say, or done.
    pub const ACK: u8 = 0x40;
    /// Refused.
    pub const NAK: u8 = 0x41;
    /// Identity.
    pub const PDID: u8 = 0x45;
    /// Capabilities.
    pub const PDCAP: u8 = 0x46;
    /// Tamper and power.
    pub const LSTATR: u8 = 0x48;
    /// Inputs.
    pub const ISTATR: u8 = 0x49;
    /// Outputs.
    pub const OSTATR: u8 = 0x4A;
    /// Attached readers.
    pub const RSTATR: u8 = 0x4B;
    /// A card, as bits.
    pub const RAW: u8 = 0x50;
    /// A card, as characters (deprecated).
    pub const FMT: u8 = 0x51;
    /// Keys pressed.
    pub const KEYPAD: u8 = 0x53;
    /// Address and speed to be used from now on.
    pub const COM: u8 = 0x54;
    /// The reader's cryptogram.
    pub const CCRYPT: u8 = 0x76;
    /// The start of the MAC chain.
    pub const RMAC_I: u8 = 0x78;
    /// Ask again later.
    pub const BUSY: u8 = 0x79;
    /// Manufacturer's own.
    pub const MFGREP: u8 = 0x90;
}

/// Why a reader refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum NakReason {
    /// No error.
    None = 0,
    /// Wrong CRC or checksum, or the kind of check is not supported.
    Check = 1,
    /// Wrong command length.
    Length = 2,
    /// Unknown command.
    UnknownCommand = 3,
    /// Wrong sequence number.
    Sequence = 4,
    /// Secure Channel not supported, or this security block is wrong now.
    SecurityUnsupported = 5,
    /// Secure Channel is required.
    SecurityRequired = 6,
    /// Biometric type not supported.
    BiometricType = 7,
    /// Biometric format not supported.
    BiometricFormat = 8,
    /// Cannot process this command now.
    Unable = 9,
    /// A code this version does not know.
    Unknown = 0xFF,
}

impl NakReason {
    /// The reason of a NAK code.
    pub fn from_code(code: u8) -> Self {
        match code {
            0 => Self::None,
            1 => Self::Check,
            2 => Self::Length,
            3 => Self::UnknownCommand,
            4 => Self::Sequence,
            5 => Self::SecurityUnsupported,
            6 => Self::SecurityRequired,
            7 => Self::BiometricType,
            8 => Self::BiometricFormat,
            9 => Self::Unable,
            _ => Self::Unknown,
        }
    }
}

/// PDID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Vendor code (OUI).
    pub vendor: [u8; 3],
    /// Model number.
    pub model: u8,
    /// Version of the product.
    pub version: u8,
    /// Serial number.
    pub serial: u32,
    /// Firmware: major, minor, build.
    pub firmware: [u8; 3],
}

/// One record of PDCAP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capability {
    /// Function code, see [`capability`].
    pub function: u8,
    /// Level of compliance; low byte of a size for sizes.
    pub compliance: u8,
    /// Number of objects; high byte of a size for sizes.
    pub count: u8,
}

/// Function codes of PDCAP that matter here.
pub mod capability {
    /// Contact inputs.
    pub const CONTACTS: u8 = 1;
    /// Outputs.
    pub const OUTPUTS: u8 = 2;
    /// Card data format.
    pub const CARD_FORMAT: u8 = 3;
    /// LEDs.
    pub const LEDS: u8 = 4;
    /// Buzzer.
    pub const BUZZER: u8 = 5;
    /// Text display.
    pub const TEXT: u8 = 6;
    /// Kind of check value: 0 checksum only, 1 CRC too.
    pub const CHECK: u8 = 8;
    /// Secure Channel: bit 0 of compliance AES-128; bit 0 of count "has only SCBK-D".
    pub const SECURITY: u8 = 9;
    /// Receive buffer, low byte and high byte.
    pub const RECEIVE_BUFFER: u8 = 10;
    /// Attached readers.
    pub const READERS: u8 = 13;
    /// OSDP version.
    pub const VERSION: u8 = 16;
}

/// Bits of a card, left-justified, wiped on drop, never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct CardBits {
    bits: u16,
    bytes: Vec<u8>,
}

impl CardBits {
    /// `bits` bits, left-justified in `bytes`: `None` if there are not exactly enough bytes.
    pub fn new(bits: u16, bytes: Vec<u8>) -> Option<Self> {
        (bytes.len() == usize::from(bits).div_ceil(8)).then_some(Self { bits, bytes })
    }

    /// How many bits.
    pub fn bits(&self) -> u16 {
        self.bits
    }

    /// The bits, for the one who makes a card number of them. Never log them.
    pub fn expose(&self) -> &[u8] {
        &self.bytes
    }
}

impl std::fmt::Debug for CardBits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CardBits({} bits)", self.bits)
    }
}

impl Drop for CardBits {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

/// Keys or card characters as the reader sent them, wiped on drop, never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Characters(Vec<u8>);

impl Characters {
    /// Wraps characters.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// How many characters.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True for none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The characters. For a keypad: `0`..`9`, 0x7F for `*` (clear), 0x0D for `#` (enter).
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Characters {
    /// Not even the number: it is the length of somebody's PIN.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Characters(..)")
    }
}

impl Drop for Characters {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// A reply with its data, decoded. Encodes to `code()` and `encode_data()`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// ACK.
    Ack,
    /// NAK.
    Nak(NakReason),
    /// PDID.
    Identity(Identity),
    /// PDCAP.
    Capabilities(Vec<Capability>),
    /// LSTATR.
    LocalStatus {
        /// The case is open.
        tamper: bool,
        /// Power has failed.
        power_failed: bool,
    },
    /// ISTATR: one byte an input, 0 at rest, 1 active.
    Inputs(Vec<u8>),
    /// OSTATR: one byte an output, 0 off, 1 on.
    Outputs(Vec<u8>),
    /// RSTATR: one byte an attached reader, 0 normal, 1 not connected, 2 tamper.
    Readers(Vec<u8>),
    /// RAW.
    Raw {
        /// Reader number at this address, 0 first.
        reader: u8,
        /// 0 unspecified, 1 Wiegand with parity.
        format: u8,
        /// The card.
        card: CardBits,
    },
    /// FMT, deprecated.
    Formatted {
        /// Reader number at this address, 0 first.
        reader: u8,
        /// True if the card was read backwards.
        backward: bool,
        /// The card's characters.
        characters: Characters,
    },
    /// KEYPAD.
    Keypad {
        /// Reader number at this address, 0 first.
        reader: u8,
        /// The keys.
        keys: Characters,
    },
    /// COM.
    Communication {
        /// Address from now on.
        address: u8,
        /// Speed from now on, bits a second.
        baud: u32,
    },
    /// CCRYPT; travels with an SCS_12 block.
    ClientCryptogram {
        /// The reader's unique number.
        uid: [u8; 8],
        /// The reader's random number.
        rnd_b: [u8; 8],
        /// Its proof.
        cryptogram: [u8; 16],
    },
    /// RMAC_I; travels with an SCS_14 block.
    InitialRmac([u8; 16]),
    /// BUSY.
    Busy,
    /// MFGREP.
    Manufacturer {
        /// Vendor code (OUI).
        vendor: [u8; 3],
        /// The vendor's data.
        data: Opaque,
    },
    /// Anything else, as it is.
    Other {
        /// The code.
        code: u8,
        /// The data.
        data: Opaque,
    },
}

impl Reply {
    /// The reply code.
    pub fn code(&self) -> u8 {
        match self {
            Self::Ack => code::ACK,
            Self::Nak(_) => code::NAK,
            Self::Identity(_) => code::PDID,
            Self::Capabilities(_) => code::PDCAP,
            Self::LocalStatus { .. } => code::LSTATR,
            Self::Inputs(_) => code::ISTATR,
            Self::Outputs(_) => code::OSTATR,
            Self::Readers(_) => code::RSTATR,
            Self::Raw { .. } => code::RAW,
            Self::Formatted { .. } => code::FMT,
            Self::Keypad { .. } => code::KEYPAD,
            Self::Communication { .. } => code::COM,
            Self::ClientCryptogram { .. } => code::CCRYPT,
            Self::InitialRmac(_) => code::RMAC_I,
            Self::Busy => code::BUSY,
            Self::Manufacturer { .. } => code::MFGREP,
            Self::Other { code, .. } => *code,
        }
    }

    /// Appends the data after the code.
    pub fn encode_data(&self, out: &mut Vec<u8>) {
        match self {
            Self::Ack | Self::Busy => {}
            Self::Nak(reason) => out.push(*reason as u8),
            Self::Identity(id) => {
                out.extend_from_slice(&id.vendor);
                out.extend_from_slice(&[id.model, id.version]);
                out.extend_from_slice(&id.serial.to_le_bytes());
                out.extend_from_slice(&id.firmware);
            }
            Self::Capabilities(records) => {
                for record in records {
                    out.extend_from_slice(&[record.function, record.compliance, record.count]);
                }
            }
            Self::LocalStatus { tamper, power_failed } => {
                out.extend_from_slice(&[u8::from(*tamper), u8::from(*power_failed)]);
            }
            Self::Inputs(states) | Self::Outputs(states) | Self::Readers(states) => out.extend_from_slice(states),
            Self::Raw { reader, format, card } => {
                out.extend_from_slice(&[*reader, *format]);
                out.extend_from_slice(&card.bits.to_le_bytes());
                out.extend_from_slice(&card.bytes);
            }
            Self::Formatted { reader, backward, characters } => {
                let shown = &characters.0[..characters.0.len().min(usize::from(u8::MAX))];
                let length = u8::try_from(shown.len()).unwrap_or(u8::MAX);
                out.extend_from_slice(&[*reader, u8::from(*backward), length]);
                out.extend_from_slice(shown);
            }
            Self::Keypad { reader, keys } => {
                let shown = &keys.0[..keys.0.len().min(usize::from(u8::MAX))];
                out.extend_from_slice(&[*reader, u8::try_from(shown.len()).unwrap_or(u8::MAX)]);
                out.extend_from_slice(shown);
            }
            Self::Communication { address, baud } => {
                out.push(*address);
                out.extend_from_slice(&baud.to_le_bytes());
            }
            Self::ClientCryptogram { uid, rnd_b, cryptogram } => {
                out.extend_from_slice(uid);
                out.extend_from_slice(rnd_b);
                out.extend_from_slice(cryptogram);
            }
            Self::InitialRmac(rmac) => out.extend_from_slice(rmac),
            Self::Manufacturer { vendor, data } => {
                out.extend_from_slice(vendor);
                out.extend_from_slice(&data.0);
            }
            Self::Other { data, .. } => out.extend_from_slice(&data.0),
        }
    }

    /// Reads a reply's data. Unknown codes become [`Reply::Other`].
    pub fn decode(code: u8, data: &[u8]) -> Result<Self, PayloadFault> {
        let fault = PayloadFault { code, length: data.len() };
        Ok(match code {
            code::ACK => Self::Ack,
            code::NAK => Self::Nak(NakReason::from_code(data.first().copied().unwrap_or(0xFF))),
            code::PDID => {
                let &[v0, v1, v2, model, version, s0, s1, s2, s3, f0, f1, f2] =
                    data.first_chunk::<12>().ok_or(fault)?;
                Self::Identity(Identity {
                    vendor: [v0, v1, v2],
                    model,
                    version,
                    serial: u32::from_le_bytes([s0, s1, s2, s3]),
                    firmware: [f0, f1, f2],
                })
            }
            code::PDCAP => Self::Capabilities(
                data.chunks_exact(3).map(|c| Capability { function: c[0], compliance: c[1], count: c[2] }).collect(),
            ),
            code::LSTATR => {
                let &[tamper, power] = data.first_chunk::<2>().ok_or(fault)?;
                Self::LocalStatus { tamper: tamper != 0, power_failed: power != 0 }
            }
            code::ISTATR => Self::Inputs(data.to_vec()),
            code::OSTATR => Self::Outputs(data.to_vec()),
            code::RSTATR => Self::Readers(data.to_vec()),
            code::RAW => match *data {
                [reader, format, low, high, ref card @ ..] => {
                    let bits = u16::from_le_bytes([low, high]);
                    // Bytes after the card are padding of a careless reader; too few is a fault.
                    let card = card.get(..usize::from(bits).div_ceil(8)).ok_or(fault)?;
                    let card = CardBits::new(bits, card.to_vec()).ok_or(fault)?;
                    Self::Raw { reader, format, card }
                }
                _ => return Err(fault),
            },
            code::FMT => match *data {
                [reader, direction, length, ref text @ ..] => {
                    // Lenient: some readers count wrongly; take what is there.
                    let text = text.get(..usize::from(length)).unwrap_or(text);
                    let characters = Characters::new(text.to_vec());
                    Self::Formatted { reader, backward: direction != 0, characters }
                }
                _ => return Err(fault),
            },
            code::KEYPAD => match *data {
                [reader, count, ref keys @ ..] => {
                    let keys = keys.get(..usize::from(count)).ok_or(fault)?;
                    Self::Keypad { reader, keys: Characters::new(keys.to_vec()) }
                }
                _ => return Err(fault),
            },
            code::COM => match *data {
                [address, a, b, c, d] => Self::Communication { address, baud: u32::from_le_bytes([a, b, c, d]) },
                _ => return Err(fault),
            },
            code::CCRYPT => {
                let whole: &[u8; 32] = data.try_into().map_err(|_| fault)?;
                let (uid, rest) = whole.split_first_chunk::<8>().ok_or(fault)?;
                let (rnd_b, cryptogram) = rest.split_first_chunk::<8>().ok_or(fault)?;
                let cryptogram = cryptogram.try_into().map_err(|_| fault)?;
                Self::ClientCryptogram { uid: *uid, rnd_b: *rnd_b, cryptogram }
            }
            code::RMAC_I => Self::InitialRmac(data.try_into().map_err(|_| fault)?),
            code::BUSY => Self::Busy,
            code::MFGREP => match *data {
                [a, b, c, ref rest @ ..] => Self::Manufacturer { vendor: [a, b, c], data: Opaque(rest.to_vec()) },
                _ => return Err(fault),
            },
            _ => Self::Other { code, data: Opaque(data.to_vec()) },
        })
    }
}
