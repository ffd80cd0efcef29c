//! One connection to one system, one message in flight. An answer counts only if its MSA-2 is the number of the message:
//! whatever else comes is passed over. A connection on which an answer did not come in time is closed, so that a late
//! answer finds nobody; the same message is then sent on another one.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::time::{Instant, timeout, timeout_at};
use tracing::debug;
use wire::hl7::mllp::{Framed, Framer, frame};
use wire::hl7::view::{AckCode, Reply};
use wire::hl7::{Charset, Message};

use super::settings::{AckMode, SenderSettings, SettingsError};
use super::socket::{Dialer, Stream, of_tls};

/// Longest answer, in bytes.
const ANSWER_MAX_BYTES: usize = 64 * 1024;
/// Most answers to something else that are passed over while waiting for one; then the connection is closed.
const FOREIGN_MAX: u32 = 32;
/// Read at once, in bytes.
const PIECE_BYTES: usize = 8 * 1024;

/// What a system said of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It has it.
    Accepted,
    /// It does not want it.
    Refused {
        /// AE, AR, CE or CR.
        code: AckCode,
        /// The code of ERR-3, if there is one.
        error: Option<String>,
    },
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LineFault {
    /// No connection.
    #[error("no connection: the name is not known, nobody listens, or there is no way there")]
    Unreachable,
    /// Certificates.
    #[error("no protected connection: a certificate is not trusted, has expired or is missing")]
    Tls,
    /// Not in time.
    #[error("no acknowledgement in time")]
    Late,
    /// The connection ended.
    #[error("the connection broke before the acknowledgement")]
    Broken,
    /// Only answers to something else, or no answers at all came.
    #[error("what came is no acknowledgement of the message")]
    Wrong,
}

/// The connection.
pub struct Line {
    dialer: Dialer,
    mode: AckMode,
    connect_within: Duration,
    answer_within: Duration,
    result_within: Duration,
    open: Option<Open>,
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Line({})", if self.open.is_some() { "open" } else { "closed" })
    }
}

struct Open {
    stream: Box<dyn Stream>,
    framer: Framer,
    rest: Vec<u8>,
}

impl Line {
    /// Reads the certificates; connects with the first message.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn new(settings: &SenderSettings) -> Result<Self, SettingsError> {
        settings.check()?;
        Ok(Self {
            dialer: Dialer::new(settings)?,
            mode: settings.mode,
            connect_within: settings.connect_within,
            answer_within: settings.answer_within,
            result_within: settings.result_within,
            open: None,
        })
    }

    /// Sends a message with this number and waits for its answer. Call it again with the same message after a fault.
    ///
    /// # Errors
    /// [`LineFault`]; whether the system has the message is not known then.
    pub async fn exchange(&mut self, control: &str, message: &[u8]) -> Result<Verdict, LineFault> {
        let frame = frame(message);
        let kept = match self.open.take() {
            Some(mut open) => open.is_alive().await.then_some(open),
            None => None,
        };
        if let Some(open) = kept {
            match self.on(open, control, &frame).await {
                // The other end may have closed it in the moment of sending: once more on a new one.
                Err(LineFault::Broken) => {}
                done => return done,
            }
        }
        let stream = match timeout(self.connect_within, self.dialer.dial()).await {
            Ok(stream) => stream?,
            Err(_) => return Err(LineFault::Unreachable),
        };
        let open = Open { stream, framer: Framer::new(ANSWER_MAX_BYTES), rest: Vec::new() };
        self.on(open, control, &frame).await
    }

    /// Sends on a connection and keeps it only if the answer came: a caller that goes away in between closes it.
    async fn on(&mut self, mut open: Open, control: &str, frame: &[u8]) -> Result<Verdict, LineFault> {
        let mut until = Instant::now() + self.answer_within;
        let written = async {
            open.stream.write_all(frame).await?;
            open.stream.flush().await
        };
        timeout_at(until, written).await.map_err(|_| LineFault::Late)?.map_err(|error| of_tls(&error))?;
        let mut foreign = 0;
        loop {
            let framed = match timeout_at(until, open.next()).await {
                Ok(framed) => framed?,
                Err(_) if foreign > 0 => return Err(LineFault::Wrong),
                Err(_) => return Err(LineFault::Late),
            };
            let reply = reply_of(&framed).filter(|reply| reply.control == control);
            match reply.map(|reply| (self.mode, reply.code, reply.error)) {
                None => foreign += 1,
                Some((AckMode::Original, AckCode::CommitAccept, _)) => debug!("a commit answer is not the answer"),
                Some((AckMode::CommitAndResult, AckCode::CommitAccept, _)) => {
                    until = Instant::now() + self.result_within;
                }
                Some((_, code, _)) if code.is_good() => {
                    self.open = Some(open);
                    return Ok(Verdict::Accepted);
                }
                Some((_, code, error)) => {
                    self.open = Some(open);
                    return Ok(Verdict::Refused { code, error });
                }
            }
            if foreign > FOREIGN_MAX {
                return Err(LineFault::Wrong);
            }
        }
    }

    /// Closes the connection.
    pub fn close(&mut self) {
        self.open = None;
    }
}

/// An answer, whatever its charset.
fn reply_of(framed: &Framed) -> Option<Reply> {
    let Framed::Message(bytes) = framed else { return None };
    let message = Message::parse_in(bytes, ANSWER_MAX_BYTES, Charset::Latin1).ok()?;
    Reply::read(&message).ok()
}

impl Open {
    /// The next frame.
    async fn next(&mut self) -> Result<Framed, LineFault> {
        loop {
            let mut rest = self.rest.as_slice();
            let framed = self.framer.take(&mut rest);
            let left = rest.len();
            self.rest.drain(..self.rest.len() - left);
            if let Some(framed) = framed {
                return Ok(framed);
            }
            let mut piece = [0; PIECE_BYTES];
            match self.stream.read(&mut piece).await {
                Ok(0) => return Err(LineFault::Broken),
                // With TLS 1.3 the other end says here that it does not accept our certificate.
                Err(error) => return Err(of_tls(&error)),
                Ok(read) => self.rest.extend_from_slice(&piece[..read]),
            }
        }
    }

    /// Whether the connection stands, as far as can be seen without waiting. What came since the last answer answers
    /// nothing that is still open, and is passed over.
    async fn is_alive(&mut self) -> bool {
        let mut read = 0;
        loop {
            let mut piece = [0; PIECE_BYTES];
            let got = poll_fn(|context| {
                let mut buffer = ReadBuf::new(&mut piece);
                match Pin::new(&mut self.stream).poll_read(context, &mut buffer) {
                    Poll::Pending => Poll::Ready(None),
                    Poll::Ready(Ok(())) => Poll::Ready(Some(Ok(buffer.filled().len()))),
                    Poll::Ready(Err(error)) => Poll::Ready(Some(Err(error))),
                }
            });
            match got.await {
                None => break,
                Some(Ok(0) | Err(_)) => return false,
                Some(Ok(more)) => {
                    read += more;
                    // Somebody who talks without being asked is not worth listening to.
                    if read > ANSWER_MAX_BYTES {
                        return false;
                    }
                    self.rest.extend_from_slice(&piece[..more]);
                }
            }
        }
        let mut rest = self.rest.as_slice();
        while self.framer.take(&mut rest).is_some() {}
        self.rest.clear();
        // Half an answer to something else would run into the next one.
        !self.framer.is_inside()
    }
}
