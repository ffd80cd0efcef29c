//! The reader at this computer: its port is opened again whenever it is gone, so that it may be unplugged and plugged in.
//! One program reads one port: the port is locked by whoever has it.

use std::io;
use std::time::Duration;

use domain::Clock;
use gateway::port::{OpenPort, Port};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use wire::ascii::{Event, IdentityRule, Profile, Source, Step};

use super::settings::Reader;
use super::{Tap, pcsc};

/// How long until a port that is gone is looked for again.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Reads until `shutdown`.
pub(super) async fn run(
    reader: Reader,
    clock: Clock,
    taps: mpsc::Sender<Tap>,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let (port, baud, profile, number) = match reader {
        Reader::Serial { port, baud, profile, number } => (port, baud, profile, number),
        Reader::PcSc { name } => return pcsc::run(name, clock, taps, shutdown).await,
    };
    let mut is_known_gone = false;
    while !shutdown.is_cancelled() {
        let ended = tokio::select! {
            () = shutdown.cancelled() => break,
            ended = once(&port, baud, &profile, number, &clock, &taps, &mut is_known_gone) => ended,
        };
        if let Err(error) = ended
            && !is_known_gone
        {
            is_known_gone = true;
            tracing::warn!(port = %port, %error, "agent.reader.gone");
        }
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = sleep(LOOK_EVERY) => {}
        }
    }
    Ok(())
}

async fn once(
    port: &Port,
    baud: u32,
    profile: &Profile,
    number: IdentityRule,
    clock: &Clock,
    taps: &mpsc::Sender<Tap>,
    is_known_gone: &mut bool,
) -> io::Result<()> {
    let mut open = OpenPort::open(port, baud).await?;
    *is_known_gone = false;
    tracing::info!(port = %port, "agent.reader.ready");
    if let Some(complaint) = &open.complaint {
        tracing::warn!(port = %port, complaint, "agent.reader.adapter");
    }
    let (started, mut source) = (Instant::now(), Source::new(profile.clone()));
    let mut buffer = [0_u8; 256];
    loop {
        let until = match source.next(started.elapsed()) {
            Step::Send(bytes) => {
                open.write(bytes).await?;
                continue;
            }
            Step::WaitUntil(at) => Some(started + at),
            Step::WaitForBytes => None,
        };
        let timer = async {
            match until {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let n = tokio::select! {
            () = timer => continue,
            read = open.read(&mut buffer) => read?,
        };
        let at = clock.now();
        let mut rest = buffer.get(..n).unwrap_or_default();
        while !rest.is_empty() {
            let taken = source.on_bytes(started.elapsed(), rest);
            rest = rest.get(taken.max(1)..).unwrap_or_default();
            while let Some(event) = source.poll_event() {
                match event {
                    Event::Card(reading) => match reading.identifier.number(number) {
                        Ok(number) => {
                            if taps.send(Tap { at, number }).await.is_err() {
                                return Ok(());
                            }
                        }
                        Err(error) => tracing::warn!(%error, "agent.card.unreadable"),
                    },
                    Event::Removed => {}
                    Event::Rejected(rejection) => tracing::debug!(?rejection, "agent.line.not_understood"),
                }
            }
        }
    }
}
