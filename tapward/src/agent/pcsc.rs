//! Readers of smart cards by PC/SC, where this program was built with the feature `pcsc`: the number of a contactless card
//! is asked for by the pseudo-APDU `FF CA 00 00 00` (PC/SC part 3, section 3.2.2.1.3).

use domain::Clock;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Tap;

/// Without the feature there is nothing to read with.
#[cfg(not(feature = "pcsc"))]
#[expect(clippy::unused_async, reason = "the same form as with the feature")]
pub(super) async fn run(
    _name: Option<String>,
    _clock: Clock,
    _taps: mpsc::Sender<Tap>,
    _shutdown: CancellationToken,
) -> anyhow::Result<()> {
    anyhow::bail!(
        "this program was built without PC/SC: install libpcsclite-dev and build it with `--features pcsc`, or use a \
         reader that prints on a serial port"
    )
}

/// Reads until `shutdown`, in a thread of its own: PC/SC waits in blocking calls.
#[cfg(feature = "pcsc")]
pub(super) async fn run(
    name: Option<String>,
    clock: Clock,
    taps: mpsc::Sender<Tap>,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    tokio::task::spawn_blocking(move || present::read(name.as_deref(), &clock, &taps, &shutdown)).await?
}

#[cfg(feature = "pcsc")]
mod present {
    use std::ffi::CString;
    use std::time::Duration;

    use domain::Clock;
    use pcsc::{Context, Disposition, Error, Protocols, ReaderState, Scope, ShareMode, State};
    use tokio::sync::mpsc;
    use tokio_util::sync::CancellationToken;
    use wire::ascii::{Identifier, IdentityRule};

    use super::super::Tap;

    /// Asks a contactless card for its number.
    const GET_UID: &[u8] = &[0xFF, 0xCA, 0x00, 0x00, 0x00];
    /// How long one wait for a card is: the end of the program is looked for between two.
    const WAIT: Duration = Duration::from_millis(500);
    /// How long until a service or reader that is gone is looked for again.
    const LOOK_EVERY: Duration = Duration::from_secs(2);

    pub(super) fn read(
        name: Option<&str>,
        clock: &Clock,
        taps: &mpsc::Sender<Tap>,
        shutdown: &CancellationToken,
    ) -> anyhow::Result<()> {
        let mut is_known_gone = false;
        while !shutdown.is_cancelled() && !taps.is_closed() {
            if let Err(error) = session(name, clock, taps, shutdown, &mut is_known_gone)
                && !std::mem::replace(&mut is_known_gone, true)
            {
                tracing::warn!(%error, "agent.reader.gone");
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }

    fn session(
        name: Option<&str>,
        clock: &Clock,
        taps: &mpsc::Sender<Tap>,
        shutdown: &CancellationToken,
        is_known_gone: &mut bool,
    ) -> Result<(), Error> {
        let context = Context::establish(Scope::User)?;
        let mut buffer = [0; 2048];
        let wanted = |reader: &&std::ffi::CStr| name.is_none_or(|name| reader.to_bytes().starts_with(name.as_bytes()));
        let reader: CString =
            context.list_readers(&mut buffer)?.find(|reader| wanted(reader)).ok_or(Error::UnknownReader)?.into();
        *is_known_gone = false;
        tracing::info!(reader = %reader.to_string_lossy(), "agent.reader.ready");
        let mut states = [ReaderState::new(reader.clone(), State::UNAWARE)];
        let mut was_present = true;
        while !shutdown.is_cancelled() && !taps.is_closed() {
            match context.get_status_change(WAIT, &mut states) {
                Ok(()) => {}
                Err(Error::Timeout) => continue,
                Err(error) => return Err(error),
            }
            let state = states[0].event_state();
            states[0].sync_current_state();
            if state.intersects(State::UNKNOWN | State::UNAVAILABLE) {
                return Err(Error::ReaderUnavailable);
            }
            let is_present = state.contains(State::PRESENT) && !state.contains(State::MUTE);
            // A card that lay there when the agent started was not held to the reader now.
            if is_present && !was_present {
                let at = clock.now();
                match uid(&context, &reader) {
                    Ok(number) => {
                        if taps.blocking_send(Tap { at, number }).is_err() {
                            return Ok(());
                        }
                    }
                    Err(error) => tracing::warn!(error, "agent.card.unreadable"),
                }
            }
            was_present = is_present;
        }
        Ok(())
    }

    fn uid(context: &Context, reader: &CString) -> Result<domain::card::CardNumber, String> {
        let card = context.connect(reader, ShareMode::Shared, Protocols::ANY).map_err(|error| error.to_string())?;
        let mut buffer = [0; 64];
        let answer = card.transmit(GET_UID, &mut buffer).map_err(|error| error.to_string())?;
        let uid = match answer {
            [uid @ .., 0x90, 0x00] => uid.to_vec(),
            _ => return Err("the card does not tell its number".to_owned()),
        };
        let _ = card.disconnect(Disposition::LeaveCard);
        let identifier = Identifier::from_bytes(&uid).ok_or("the number has another length than cards have")?;
        identifier.number(IdentityRule::AsRead).map_err(|error| error.to_string())
    }
}
