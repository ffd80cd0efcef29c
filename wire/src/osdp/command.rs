//! Commands: what a control panel says to a reader.
//!
//! Owns codes and data layouts, in both directions. Never frames, never encrypts, never
//! decides when to send. Imports `secure` for the key type.

use super::secure::Scbk;

/// Command codes.
pub mod code {
    /// Anything new?
    pub const POLL: u8 = 0x60;
    /// Who are you?
    pub const ID: u8 = 0x61;
    /// What can you do?
    pub const CAP: u8 = 0x62;
    /// Tamper and power.
    pub const LSTAT: u8 = 0x64;
    /// Inputs.
    pub const ISTAT: u8 = 0x65;
    /// Outputs.
    pub const OSTAT: u8 = 0x66;
    /// Attached readers.
    pub const RSTAT: u8 = 0x67;
    /// Set outputs.
    pub const OUT: u8 = 0x68;
    /// Set LEDs.
    pub const LED: u8 = 0x69;
    /// Sound the buzzer.
    pub const BUZ: u8 = 0x6A;
    /// Show text.
    pub const TEXT: u8 = 0x6B;
    /// Set address and speed.
    pub const COMSET: u8 = 0x6E;
    /// Set the base key.
    pub const KEYSET: u8 = 0x75;
    /// Begin a handshake.
    pub const CHLNG: u8 = 0x76;
    /// The panel's cryptogram.
    pub const SCRYPT: u8 = 0x77;
    /// The panel's receive buffer.
    pub const ACURXSIZE: u8 = 0x7B;
    /// Manufacturer's own.
    pub const MFG: u8 = 0x80;
    /// Stop what takes long.
    pub const ABORT: u8 = 0xA2;
    /// Keep the card in the field.
    pub const KEEPACTIVE: u8 = 0xA7;
}

/// Data that did not fit its command or reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("code {code:#04x} does not allow {length} bytes of data like these")]
pub struct PayloadFault {
    /// The command or reply code.
    pub code: u8,
    /// Bytes of data received.
    pub length: usize,
}

/// Bytes whose content is nobody's business in a log: `Debug` shows the length only.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Opaque(pub Vec<u8>);

impl std::fmt::Debug for Opaque {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// What OUT does to one output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum OutputAction {
    /// Nothing; leaves a timer running.
    Nop = 0x00,
    /// Off for good, cancels a timer.
    OffPermanent = 0x01,
    /// On for good, cancels a timer.
    OnPermanent = 0x02,
    /// Off for good, lets a timer finish first.
    OffAfterTimer = 0x03,
    /// On for good, lets a timer finish first.
    OnAfterTimer = 0x04,
    /// On for the given time, then back.
    OnTimed = 0x05,
    /// Off for the given time, then back.
    OffTimed = 0x06,
}

impl OutputAction {
    fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::Nop,
            1 => Self::OffPermanent,
            2 => Self::OnPermanent,
            3 => Self::OffAfterTimer,
            4 => Self::OnAfterTimer,
            5 => Self::OnTimed,
            6 => Self::OffTimed,
            _ => return None,
        })
    }
}

/// One record of OUT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputControl {
    /// Output number, from 0.
    pub output: u8,
    /// What to do.
    pub action: OutputAction,
    /// Timer in units of 100 ms; only for the timed actions.
    pub timer_100ms: u16,
}

/// LED colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Colour {
    /// Dark.
    Black = 0,
    /// Red.
    Red = 1,
    /// Green.
    Green = 2,
    /// Amber.
    Amber = 3,
    /// Blue.
    Blue = 4,
    /// Magenta.
    Magenta = 5,
    /// Cyan.
    Cyan = 6,
    /// White.
    White = 7,
}

impl Colour {
    /// The colour of a code; unknown codes are dark.
    pub fn from_code(code: u8) -> Self {
        match code {
            1 => Self::Red,
            2 => Self::Green,
            3 => Self::Amber,
            4 => Self::Blue,
            5 => Self::Magenta,
            6 => Self::Cyan,
            7 => Self::White,
            _ => Self::Black,
        }
    }
}

/// A blink pattern: on and off in units of 100 ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blink {
    /// Time on, units of 100 ms. Zero with `off_100ms` zero means steady on.
    pub on_100ms: u8,
    /// Time off, units of 100 ms.
    pub off_100ms: u8,
    /// Colour while on.
    pub on: Colour,
    /// Colour while off.
    pub off: Colour,
}

impl Blink {
    /// Always this colour.
    pub fn steady(colour: Colour) -> Self {
        Self { on_100ms: 1, off_100ms: 0, on: colour, off: colour }
    }
}

/// What LED does with its temporary part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TemporaryLed {
    /// Leave it as it is.
    Nop,
    /// Back to the permanent state now.
    Cancel,
    /// Show this for the given time.
    Show {
        /// The pattern.
        blink: Blink,
        /// How long, units of 100 ms.
        timer_100ms: u16,
    },
}

/// One record of LED.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LedControl {
    /// Reader number at this address, 0 first.
    pub reader: u8,
    /// LED number, 0 first.
    pub led: u8,
    /// The temporary part.
    pub temporary: TemporaryLed,
    /// The permanent part; `None` leaves it.
    pub permanent: Option<Blink>,
}

/// BUZ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BuzzerControl {
    /// Reader number at this address, 0 first.
    pub reader: u8,
    /// 1 off, 2 the default tone.
    pub tone: u8,
    /// Time on, units of 100 ms.
    pub on_100ms: u8,
    /// Time off, units of 100 ms.
    pub off_100ms: u8,
    /// Repetitions; 0 for ever.
    pub count: u8,
}

/// TEXT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextControl {
    /// Reader number at this address, 0 first.
    pub reader: u8,
    /// `Some(seconds)` for a temporary text.
    pub seconds: Option<u8>,
    /// Row, 1 first.
    pub row: u8,
    /// Column, 1 first.
    pub column: u8,
    /// Characters of the device's code page (ASCII 20 to 7E is safe).
    pub text: Vec<u8>,
}

/// A command with its data, decoded. Encodes to `code()` and `encode_data()`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// POLL.
    Poll,
    /// ID, standard block. Decoded also without its data byte, or with more (pitfall 27).
    Id,
    /// CAP, likewise.
    Capabilities,
    /// LSTAT.
    LocalStatus,
    /// ISTAT.
    InputStatus,
    /// OSTAT.
    OutputStatus,
    /// RSTAT.
    ReaderStatus,
    /// OUT.
    Output(Vec<OutputControl>),
    /// LED.
    Led(Vec<LedControl>),
    /// BUZ.
    Buzzer(BuzzerControl),
    /// TEXT.
    Text(TextControl),
    /// COMSET.
    Comset {
        /// New address.
        address: u8,
        /// New speed, bits a second.
        baud: u32,
    },
    /// KEYSET with a base key (type 1).
    Keyset(Scbk),
    /// CHLNG; travels with an SCS_11 block.
    Challenge([u8; 8]),
    /// SCRYPT; travels with an SCS_13 block.
    ServerCryptogram([u8; 16]),
    /// ACURXSIZE: the panel's receive buffer, bytes.
    ReceiveSize(u16),
    /// ABORT.
    Abort,
    /// MFG.
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

impl Command {
    /// The command code.
    pub fn code(&self) -> u8 {
        match self {
            Self::Poll => code::POLL,
            Self::Id => code::ID,
            Self::Capabilities => code::CAP,
            Self::LocalStatus => code::LSTAT,
            Self::InputStatus => code::ISTAT,
            Self::OutputStatus => code::OSTAT,
            Self::ReaderStatus => code::RSTAT,
            Self::Output(_) => code::OUT,
            Self::Led(_) => code::LED,
            Self::Buzzer(_) => code::BUZ,
            Self::Text(_) => code::TEXT,
            Self::Comset { .. } => code::COMSET,
            Self::Keyset(_) => code::KEYSET,
            Self::Challenge(_) => code::CHLNG,
            Self::ServerCryptogram(_) => code::SCRYPT,
            Self::ReceiveSize(_) => code::ACURXSIZE,
            Self::Abort => code::ABORT,
            Self::Manufacturer { .. } => code::MFG,
            Self::Other { code, .. } => *code,
        }
    }

    /// Appends the data after the code.
    pub fn encode_data(&self, out: &mut Vec<u8>) {
        match self {
            Self::Poll
            | Self::LocalStatus
            | Self::InputStatus
            | Self::OutputStatus
            | Self::ReaderStatus
            | Self::Abort => {}
            Self::Id | Self::Capabilities => out.push(0),
            Self::Output(records) => {
                for record in records {
                    let [low, high] = record.timer_100ms.to_le_bytes();
                    out.extend_from_slice(&[record.output, record.action as u8, low, high]);
                }
            }
            Self::Led(records) => records.iter().for_each(|record| encode_led(record, out)),
            Self::Buzzer(b) => out.extend_from_slice(&[b.reader, b.tone, b.on_100ms, b.off_100ms, b.count]),
            Self::Text(text) => {
                let (kind, seconds) = text.seconds.map_or((1, 0), |seconds| (3, seconds));
                let shown = &text.text[..text.text.len().min(usize::from(u8::MAX))];
                let length = u8::try_from(shown.len()).unwrap_or(u8::MAX);
                out.extend_from_slice(&[text.reader, kind, seconds, text.row, text.column, length]);
                out.extend_from_slice(shown);
            }
            Self::Comset { address, baud } => {
                out.push(*address);
                out.extend_from_slice(&baud.to_le_bytes());
            }
            Self::Keyset(key) => {
                out.extend_from_slice(&[0x01, 16]);
                out.extend_from_slice(key.expose());
            }
            Self::Challenge(rnd_a) => out.extend_from_slice(rnd_a),
            Self::ServerCryptogram(cryptogram) => out.extend_from_slice(cryptogram),
            Self::ReceiveSize(size) => out.extend_from_slice(&size.to_le_bytes()),
            Self::Manufacturer { vendor, data } => {
                out.extend_from_slice(vendor);
                out.extend_from_slice(&data.0);
            }
            Self::Other { data, .. } => out.extend_from_slice(&data.0),
        }
    }

    /// Reads a command's data. Unknown codes become [`Command::Other`].
    pub fn decode(code: u8, data: &[u8]) -> Result<Self, PayloadFault> {
        let fault = PayloadFault { code, length: data.len() };
        Ok(match code {
            code::POLL => Self::Poll,
            code::ID => Self::Id,
            code::CAP => Self::Capabilities,
            code::LSTAT => Self::LocalStatus,
            code::ISTAT => Self::InputStatus,
            code::OSTAT => Self::OutputStatus,
            code::RSTAT => Self::ReaderStatus,
            code::OUT => {
                let records = data.chunks(4).map(|c| match *c {
                    [output, action, low, high] => Some(OutputControl {
                        output,
                        action: OutputAction::from_code(action)?,
                        timer_100ms: u16::from_le_bytes([low, high]),
                    }),
                    _ => None,
                });
                Self::Output(records.collect::<Option<Vec<_>>>().filter(|r| !r.is_empty()).ok_or(fault)?)
            }
            code::LED => {
                let records = data.chunks(14).map(decode_led).collect::<Option<Vec<_>>>();
                Self::Led(records.filter(|r| !r.is_empty()).ok_or(fault)?)
            }
            code::BUZ => match *data {
                [reader, tone, on_100ms, off_100ms, count] => {
                    Self::Buzzer(BuzzerControl { reader, tone, on_100ms, off_100ms, count })
                }
                _ => return Err(fault),
            },
            code::TEXT => match *data {
                [reader, kind @ 1..=4, seconds, row, column, length, ref text @ ..]
                    if text.len() == usize::from(length) =>
                {
                    let seconds = (kind >= 3).then_some(seconds);
                    Self::Text(TextControl { reader, seconds, row, column, text: text.to_vec() })
                }
                _ => return Err(fault),
            },
            code::COMSET => match *data {
                [address, a, b, c, d] => Self::Comset { address, baud: u32::from_le_bytes([a, b, c, d]) },
                _ => return Err(fault),
            },
            code::KEYSET => match *data {
                [0x01, 16, ref key @ ..] => Self::Keyset(Scbk::new(key.try_into().map_err(|_| fault)?)),
                _ => return Err(fault),
            },
            code::CHLNG => Self::Challenge(data.try_into().map_err(|_| fault)?),
            code::SCRYPT => Self::ServerCryptogram(data.try_into().map_err(|_| fault)?),
            code::ACURXSIZE => Self::ReceiveSize(u16::from_le_bytes(data.try_into().map_err(|_| fault)?)),
            code::ABORT => Self::Abort,
            code::MFG => match *data {
                [a, b, c, ref rest @ ..] => Self::Manufacturer { vendor: [a, b, c], data: Opaque(rest.to_vec()) },
                _ => return Err(fault),
            },
            _ => Self::Other { code, data: Opaque(data.to_vec()) },
        })
    }
}

fn encode_led(record: &LedControl, out: &mut Vec<u8>) {
    out.extend_from_slice(&[record.reader, record.led]);
    let dark = Blink { on_100ms: 0, off_100ms: 0, on: Colour::Black, off: Colour::Black };
    let (action, blink, timer) = match record.temporary {
        TemporaryLed::Nop => (0, dark, 0),
        TemporaryLed::Cancel => (1, dark, 0),
        TemporaryLed::Show { blink, timer_100ms } => (2, blink, timer_100ms),
    };
    let [low, high] = timer.to_le_bytes();
    out.extend_from_slice(&[action, blink.on_100ms, blink.off_100ms, blink.on as u8, blink.off as u8, low, high]);
    let (action, blink) = record.permanent.map_or((0, dark), |blink| (1, blink));
    out.extend_from_slice(&[action, blink.on_100ms, blink.off_100ms, blink.on as u8, blink.off as u8]);
}

fn decode_led(data: &[u8]) -> Option<LedControl> {
    let &[reader, led, t_action, t_on, t_off, t_on_c, t_off_c, low, high, p_action, p_on, p_off, p_on_c, p_off_c] =
        data.first_chunk::<14>()?;
    let blink = |on_100ms, off_100ms, on, off| Blink {
        on_100ms,
        off_100ms,
        on: Colour::from_code(on),
        off: Colour::from_code(off),
    };
    let temporary = match t_action {
        0 => TemporaryLed::Nop,
        1 => TemporaryLed::Cancel,
        2 => TemporaryLed::Show {
            blink: blink(t_on, t_off, t_on_c, t_off_c),
            timer_100ms: u16::from_le_bytes([low, high]),
        },
        _ => return None,
    };
    let permanent = match p_action {
        0 => None,
        1 => Some(blink(p_on, p_off, p_on_c, p_off_c)),
        _ => return None,
    };
    Some(LedControl { reader, led, temporary, permanent })
}
