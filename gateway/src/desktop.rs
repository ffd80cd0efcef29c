//! A line with one desktop reader that prints cards as text.

use std::io;

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use wire::ascii::{Event, IdentityRule, Source, Step};

use crate::line::{LineFact, ReaderCounters, ReaderFact, Teller};
use crate::port::OpenPort;
use crate::settings::{AsciiReader, Place};

/// One desktop reader's line.
pub struct DesktopLine {
    place: Place,
    number: IdentityRule,
    source: Source,
    started: Instant,
}

impl DesktopLine {
    /// A reader not heard of yet.
    pub fn new(reader: &AsciiReader) -> Self {
        Self {
            place: reader.place.clone(),
            number: reader.number,
            source: Source::new(reader.profile.clone()),
            started: Instant::now(),
        }
    }

    /// Works until the port ends (an error) or the line is cancelled.
    ///
    /// # Errors
    /// What ended the port.
    pub async fn drive(&mut self, port: &mut OpenPort, teller: &Teller, cancel: &CancellationToken) -> io::Result<()> {
        let reader = self.place.reader.clone();
        teller.reader(Instant::now(), &reader, ReaderFact::Online).await;
        let ended = self.listen(port, teller, cancel).await;
        if ended.is_err() {
            teller.reader(Instant::now(), &reader, ReaderFact::Offline(std::time::Duration::ZERO)).await;
        }
        ended
    }

    async fn listen(&mut self, port: &mut OpenPort, teller: &Teller, cancel: &CancellationToken) -> io::Result<()> {
        let mut buffer = [0_u8; 256];
        loop {
            let until = match self.source.next(self.started.elapsed()) {
                Step::Send(bytes) => {
                    port.write(bytes).await?;
                    continue;
                }
                Step::WaitUntil(at) => Some(self.started + at),
                Step::WaitForBytes => None,
            };
            let timer = async {
                match until {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let n = tokio::select! {
                () = cancel.cancelled() => return Ok(()),
                () = timer => continue,
                read = port.read(&mut buffer) => read?,
            };
            let noticed = Instant::now();
            let mut rest = &buffer[..n];
            while !rest.is_empty() {
                let taken = self.source.on_bytes(self.started.elapsed(), rest);
                rest = &rest[taken..];
                self.tell(teller, noticed).await;
            }
        }
    }

    async fn tell(&mut self, teller: &Teller, noticed: Instant) {
        while let Some(event) = self.source.poll_event() {
            match event {
                Event::Card(reading) => {
                    // The reader prints at the moment of placing and has no memory: the reading is as old as its bytes.
                    let fact = ReaderFact::Card {
                        number: reading.identifier.number(self.number),
                        age: std::time::Duration::ZERO,
                    };
                    teller.reader(noticed, &self.place.reader, fact).await;
                }
                Event::Removed => {}
                Event::Rejected(rejection) => {
                    tracing::debug!(reader.id = %self.place.reader, ?rejection, "a line was not understood");
                }
            }
        }
        let counters = self.source.counters();
        let counters =
            ReaderCounters { timeouts: counters.timeouts, crc_errors: counters.rejected, ..Default::default() };
        teller.tell(LineFact::Counters(vec![(self.place.reader.clone(), counters)])).await;
    }
}
