//! What lines and the core say to each other, and the loop that keeps a serial line open. A network peer
//! ([`crate::peer`]) is a line of its own kind and uses the same words.
//!
//! Each line is one task that owns its port and its protocol's state. Events go to the core through one bounded
//! channel: when it is full the line waits, which stops polling; readers keep their cards until they are polled, so
//! nothing is lost. Orders come through a bounded channel of the line: when that is full the core is told at once.

use std::sync::Arc;
use std::time::Duration;

use domain::card::{CardError, CardNumber};
use domain::equipment::Peer as PeerStatus;
use domain::ids::{LineId, PersonId, ReaderId};
use domain::{Reason, door};
use store::journal::Mark;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::peer::{self, PeerContext};
use crate::port::OpenPort;
use crate::settings::{Attached, LineSettings, Protocol};
use crate::{desktop, osdp_line};

/// Events that may wait for the core, all lines together.
pub const EVENTS_MAX: usize = 1024;
/// Orders that may wait for one line: four for each of 126 readers.
pub const ORDERS_MAX: usize = 504;
/// Reports of one [`Batch`]: each becomes at most four facts, which fill one append of the journal.
pub const BATCH_MAX_REPORTS: usize = 16;
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
    /// What a peer reports as having happened.
    Happened(Batch),
    /// How a peer is doing; to be told when it changes, and of what moves all the time every ten seconds at most.
    Peer(Box<PeerStatus>),
    /// Something about a peer or a listener for a person to look at.
    Notice {
        /// What.
        reason: Reason,
        /// In words, for the operator.
        detail: String,
    },
}

/// What a peer reports, to be recorded before it is acknowledged. One batch of a peer is under way at a time.
#[derive(Debug)]
pub struct Batch {
    /// At most [`BATCH_MAX_REPORTS`], in the order in which the peer tells them.
    pub reports: Vec<Report>,
    /// The place in the peer's stream that is reached with them: durable with the facts or not at all.
    pub mark: Option<Mark>,
    /// Told when everything is durable. While the disk does not take it, it is told nothing and the peer waits;
    /// dropped when the gateway ends before.
    pub done: oneshot::Sender<()>,
}

/// One thing that a peer reports.
#[derive(Debug)]
pub enum Report {
    /// Somebody passed, was let in or was not.
    Passage(Passage),
    /// How a point is.
    State {
        /// A reader of the point, or each of them in turn.
        reader: ReaderId,
        /// What it is now.
        state: PointState,
        /// When it came to be so.
        age: Age,
    },
    /// Something for a person to look at.
    Alarm {
        /// Where, if it concerns one reader.
        reader: Option<ReaderId>,
        /// What.
        reason: Reason,
        /// In words.
        detail: Option<String>,
    },
}

/// What happened at a reader of a peer.
#[derive(Debug)]
pub struct Passage {
    /// Where.
    pub reader: ReaderId,
    /// What.
    pub what: Happened,
    /// Why; for what the peer decided itself, [`Reason::PeerDecision`] if nothing better is known.
    pub reason: Option<Reason>,
    /// The card, if one was read.
    pub number: Option<Result<CardNumber, CardError>>,
    /// The holder as the peer knows it, if it knows our pseudonym. The card counts more.
    pub person: Option<PersonId>,
    /// The question that this ends, by the peer task's number.
    pub ask: Option<u64>,
    /// How long ago.
    pub age: Age,
}

/// What may happen at a reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happened {
    /// Released for the holder.
    Granted,
    /// Kept closed.
    Refused,
    /// The holder went through.
    Passed,
    /// Released, but nobody went through.
    NotTaken,
    /// Opened without a grant.
    Forced,
    /// The holder signalled to be forced.
    Duress,
}

/// How a peer says a point is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PointState {
    /// It answers.
    Online,
    /// It does not.
    Offline,
    /// Back to normal after one of the following three.
    Normal,
    /// Open for everybody.
    FreePassage,
    /// Closed for everybody.
    Locked,
    /// Open because of an emergency.
    Emergency,
    /// Its case was opened.
    Tamper,
    /// It is out of order.
    Fault,
}

/// How long ago something happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Age {
    /// So long.
    Known(Duration),
    /// The device's clock cannot be believed; it is late.
    Unknown,
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
    /// A card was read, and the peer asks whether to let its holder pass.
    Asked {
        /// The number, or why the reading is none.
        number: Result<CardNumber, CardError>,
        /// Its age.
        age: Duration,
        /// To be answered by [`ReaderOrder::Answer`].
        ask: Ask,
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

/// A question of a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask {
    /// The peer task's number for it, never used twice by one task.
    pub no: u64,
    /// An answer after this is of no use.
    pub until: Instant,
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

/// What a reader is to do. The last two are for readers of peers, the others for those on serial lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReaderOrder {
    /// Energise an output for a time.
    Release(u8, Duration),
    /// De-energise an output.
    Secure(u8),
    /// Energise an output and leave it so (emergency only).
    HoldOpen(u8),
    /// Show something by light and sound.
    Show(Signal),
    /// The answer to a question.
    Answer {
        /// Which: [`Ask::no`].
        ask: u64,
        /// Whether the holder may pass.
        granted: bool,
        /// Why.
        reason: Reason,
        /// How long the point is to be released for it.
        release: Duration,
    },
    /// What a person ordered at the reader's point.
    Control {
        /// What.
        order: door::Order,
        /// Who, for the peer's own record: a pseudonymous name of at most 64 letters, digits and `._:/-`.
        actor: Arc<str>,
    },
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

/// The core's end of a line or peer.
#[derive(Debug)]
pub struct LineHandle {
    /// What it was told; a change of it restarts the line.
    pub settings: Attached,
    /// To the line.
    pub orders: mpsc::Sender<LineOrder>,
    /// Ends it.
    pub cancel: CancellationToken,
    /// Its task.
    pub task: tokio::task::JoinHandle<()>,
}

/// Starts the task of a line or peer; it opens its port or connection after `before`.
pub fn start(
    settings: Attached,
    before: impl Future<Output = ()> + Send + 'static,
    events: mpsc::Sender<LineEvent>,
    peers: Arc<PeerContext>,
) -> LineHandle {
    let (orders, queue) = mpsc::channel(ORDERS_MAX);
    let cancel = CancellationToken::new();
    let teller = Teller::new(settings.id().clone(), events);
    let (attached, stop) = (settings.clone(), cancel.clone());
    let task = tokio::spawn(async move {
        before.await;
        match attached {
            Attached::Line(line) => keep_open(line, teller, queue, stop).await,
            Attached::Peer(settings) => peer::run(settings, teller, queue, peers, stop).await,
        }
    });
    LineHandle { settings, orders, cancel, task }
}

/// Where a line's facts go.
#[derive(Debug, Clone)]
pub struct Teller {
    line: LineId,
    events: mpsc::Sender<LineEvent>,
}

impl Teller {
    /// For the facts of `line`.
    pub const fn new(line: LineId, events: mpsc::Sender<LineEvent>) -> Self {
        Self { line, events }
    }

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
    teller: Teller,
    mut orders: mpsc::Receiver<LineOrder>,
    cancel: CancellationToken,
) {
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
