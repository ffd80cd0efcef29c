//! What lines and the core say to each other, and the loop that keeps a line open.
//!
//! Each line is one task that owns its port and its protocol's state. Events go to the core through one bounded
//! channel: when it is full the line waits, which stops polling; readers keep their cards until they are polled, so
//! nothing is lost. Orders come through a bounded channel of the line: when that is full the core is told at once.

use std::time::Duration;

use domain::Reason;
use domain::card::{CardError, CardNumber};
use domain::ids::{LineId, ReaderId};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::port::OpenPort;
use crate::settings::{LineSettings, Protocol};
use crate::{desktop, osdp_line};

/// Events that may wait for the core, all lines together.
pub const EVENTS_MAX: usize = 1024;
/// Orders that may wait for one line: four for each of 126 readers.
pub const ORDERS_MAX: usize = 504;
/// First and longest wait before a lost port is opened again.
const REOPEN: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

/// Something that a line has to tell.
#[derive(Debug)]
pub struct LineEvent {
    /// Which line.
    pub line: LineId,
    /// What.
    pub what: LineFact,
    /// When the line noticed. The core may be busy for long after that, and late is not live.
    pub at: Instant,
}

/// What a line has to tell.
#[derive(Debug)]
pub enum LineFact {
    /// The port is open; `complaint` is what the adapter check found.
    Opened {
        /// For the operator.
        complaint: Option<String>,
    },
    /// The port is closed or cannot be opened.
    Closed {
        /// What the system said.
        why: String,
    },
    /// A reader did or said something.
    Reader(ReaderId, ReaderFact),
    /// Counters of all readers of the line, about once a second.
    Counters(Vec<(ReaderId, ReaderCounters)>),
}

/// What a reader did or said. Card numbers and digits are redacted in `Debug`.
#[derive(Debug)]
pub enum ReaderFact {
    /// A card was read; it may have been read up to `age` ago.
    Card {
        /// The number, or why the reading is none.
        number: Result<CardNumber, CardError>,
        /// Upper bound of its age.
        age: Duration,
    },
    /// Keys were pressed.
    Keys(Keys),
    /// Input contacts: bit n is input n.
    Inputs(u32),
    /// It answers.
    Online,
    /// It has been silent for so long.
    Offline(Duration),
    /// Its Secure Channel is up.
    Secure,
    /// It works in clear, as accepted.
    Insecure,
    /// Its Secure Channel ended.
    SessionLost,
    /// Case opened, or closed again.
    Tamper(bool),
    /// Power failed, or is good again.
    PowerFault(bool),
    /// What it says it is.
    Identity {
        /// Vendor and model.
        model: String,
        /// Serial number.
        serial: String,
        /// Firmware version.
        firmware: String,
    },
    /// Something for a person to look at.
    Alarm(Reason, Option<String>),
}

/// Digits from a keypad: `0`-`9`, `*` clears, `#` ends.
pub struct Keys(pub Zeroizing<String>);

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(redacted)")
    }
}

/// How a reader is doing, since the line's start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReaderCounters {
    /// Polls sent.
    pub polls: u64,
    /// Commands repeated.
    pub retries: u64,
    /// Replies that did not come.
    pub timeouts: u64,
    /// Replies with a wrong check value.
    pub crc_errors: u64,
    /// Time from the poll to the reply, microseconds, a running mean.
    pub reply_us: u64,
    /// Silence so far, milliseconds.
    pub silent_ms: u64,
}

/// An order for a reader.
#[derive(Debug, Clone)]
pub struct LineOrder {
    /// Which.
    pub reader: ReaderId,
    /// What.
    pub what: ReaderOrder,
}

/// What a reader is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReaderOrder {
    /// Energise an output for a time.
    Release(u8, Duration),
    /// De-energise an output.
    Secure(u8),
    /// Energise an output and leave it so (emergency only).
    HoldOpen(u8),
    /// Show something by light and sound.
    Show(Signal),
}

/// What a person at the reader is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Green, one tone.
    Granted,
    /// Red, two tones.
    Refused,
    /// Amber: enter the PIN.
    AskPin,
}

/// The core's end of a line.
#[derive(Debug)]
pub struct LineHandle {
    /// What it was told; a change of it restarts the line.
    pub settings: LineSettings,
    /// To the line.
    pub orders: mpsc::Sender<LineOrder>,
    /// Ends it.
    pub cancel: CancellationToken,
    /// Its task.
    pub task: tokio::task::JoinHandle<()>,
}

/// Starts a line's task; it opens its port after `before`.
pub fn start(
    settings: LineSettings,
    before: impl Future<Output = ()> + Send + 'static,
    events: mpsc::Sender<LineEvent>,
) -> LineHandle {
    let (orders, queue) = mpsc::channel(ORDERS_MAX);
    let cancel = CancellationToken::new();
    let work = keep_open(settings.clone(), events, queue, cancel.clone());
    let task = tokio::spawn(async move {
        before.await;
        work.await;
    });
    LineHandle { settings, orders, cancel, task }
}

/// Where a line's facts go.
pub struct Teller {
    line: LineId,
    events: mpsc::Sender<LineEvent>,
}

impl Teller {
    /// Tells the core, waiting while it is busy.
    pub async fn tell(&self, what: LineFact) {
        self.tell_of(Instant::now(), what).await;
    }

    /// Tells what a reader did, as it was noticed at `at`.
    pub async fn reader(&self, at: Instant, reader: &ReaderId, fact: ReaderFact) {
        self.tell_of(at, LineFact::Reader(reader.clone(), fact)).await;
    }

    async fn tell_of(&self, at: Instant, what: LineFact) {
        // The receiver only goes away at shutdown, when nobody listens any more.
        let _ = self.events.send(LineEvent { line: self.line.clone(), what, at }).await;
    }
}

async fn keep_open(
    settings: LineSettings,
    events: mpsc::Sender<LineEvent>,
    mut orders: mpsc::Receiver<LineOrder>,
    cancel: CancellationToken,
) {
    let teller = Teller { line: settings.id.clone(), events };
    let mut driver = match &settings.protocol {
        Protocol::Osdp(readers) => {
            Driver::Osdp(Box::new(osdp_line::OsdpLine::new(settings.baud, readers, Instant::now())))
        }
        Protocol::Ascii(reader) => Driver::Desktop(Box::new(desktop::DesktopLine::new(reader))),
    };
    let mut wait = REOPEN.0;
    let mut told = false;
    loop {
        let baud = match &driver {
            Driver::Osdp(line) => line.baud(),
            Driver::Desktop(_) => settings.baud,
        };
        let opening = OpenPort::open(&settings.port, baud);
        let port = tokio::select! {
            () = cancel.cancelled() => return,
            port = opening => port,
        };
        let why = match port {
            Ok(mut port) => {
                told = false;
                let opened = Instant::now();
                teller.tell(LineFact::Opened { complaint: port.complaint.take() }).await;
                let ended = match &mut driver {
                    Driver::Osdp(line) => line.drive(&mut port, &teller, &mut orders, &cancel).await,
                    Driver::Desktop(line) => line.drive(&mut port, &teller, &cancel).await,
                };
                // A port that ends as soon as it is open is not tried four times a second for ever.
                if opened.elapsed() > REOPEN.1 {
                    wait = REOPEN.0;
                }
                match ended {
                    Ok(()) => return,
                    Err(error) => error.to_string(),
                }
            }
            Err(error) => error.to_string(),
        };
        if !told {
            tracing::warn!(line.id = %settings.id, line.port = %settings.port, %why, "the line is lost");
            teller.tell(LineFact::Closed { why }).await;
            told = true;
        }
        // Orders for a lost line are void: a late release must never open a door.
        while orders.try_recv().is_ok() {}
        let lost = async {
            if let Driver::Osdp(line) = &mut driver {
                line.without_port(&teller).await;
            }
            sleep(wait).await;
        };
        tokio::select! {
            () = cancel.cancelled() => return,
            () = lost => {}
        }
        wait = (wait * 2).min(REOPEN.1);
    }
}

enum Driver {
    Osdp(Box<osdp_line::OsdpLine>),
    Desktop(Box<desktop::DesktopLine>),
}
