//! One simulated reader: a device of `wire`, what is wired to it, and what is wrong with it.

use std::time::Duration;

use domain::ReaderId;
use tokio::sync::watch;
use wire::osdp::device::{Device, DeviceSettings};
use wire::osdp::reply::Identity;
use wire::osdp::secure::Scbk;

use crate::fault::{Fault, Hostile};
use crate::plant::{EXIT_INPUT, INPUTS, Line, OUTPUTS, PASSAGE_INPUT, Reader};

/// How long a reader keeps a card that its panel does not fetch: less than a person's patience, so that an answer
/// always belongs to the card last shown.
const CARD_HOLD: Duration = Duration::from_secs(3);

/// What a reader is to its panel now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReaderState {
    /// A panel speaks to it.
    pub found: bool,
    /// Secure Channel is up.
    pub secure: bool,
}

/// One reader: its device, its wiring, its faults. Owned by its line.
pub(crate) struct SimReader {
    pub(crate) id: ReaderId,
    pub(crate) settings: Reader,
    pub(crate) device: Device,
    /// Place of its point in [`LineTask::points`].
    pub(crate) point: usize,
    /// When its device has something to do by itself.
    pub(crate) due: Option<Duration>,
    pub(crate) passage_input: Option<u8>,
    pub(crate) exit_input: Option<u8>,
    pub(crate) silent: bool,
    pub(crate) off_until: Option<Duration>,
    pub(crate) hostile: Option<Hostile>,
    pub(crate) answer_before: Vec<u8>,
    /// The key it had before it got a wrong one.
    pub(crate) own_key: Option<Option<Scbk>>,
    pub(crate) moved: bool,
    pub(crate) state: watch::Sender<ReaderState>,
}

impl SimReader {
    pub(crate) fn new(line: &Line, place: usize, state: watch::Sender<ReaderState>, mut rng: fastrand::Rng) -> Self {
        let settings = line.readers[place].clone();
        let first_of_point = line.readers.iter().position(|other| other.point == settings.point) == Some(place);
        let wired = |get: fn(&Reader) -> Option<u8>, usual: u8| {
            let nobody = line.readers.iter().all(|other| other.point != settings.point || get(other).is_none());
            get(&settings).or((nobody && first_of_point).then_some(usual))
        };
        let device = DeviceSettings {
            baud: line.baud,
            key: settings.key.clone(),
            install_mode: settings.install_mode,
            identity: Identity {
                vendor: [0x54, 0x57, 0x44],
                model: 1,
                version: 1,
                serial: settings.serial,
                firmware: [1, 0, 0],
            },
            inputs: INPUTS,
            outputs: OUTPUTS,
            // The line adds its own times to the answer.
            turnaround: Duration::ZERO,
            card_hold: CARD_HOLD,
            ..DeviceSettings::new(settings.address)
        };
        Self {
            id: settings.id.clone(),
            passage_input: wired(|reader| reader.passage_input, PASSAGE_INPUT),
            exit_input: wired(|reader| reader.exit_input, EXIT_INPUT),
            point: 0,
            due: None,
            device: Device::new(device, Box::new(move |bytes| rng.fill(bytes))),
            settings,
            silent: false,
            off_until: None,
            hostile: None,
            answer_before: Vec::new(),
            own_key: None,
            moved: false,
            state,
        }
    }

    /// Switches a fault on; one of a line changes nothing.
    pub(crate) fn inject(&mut self, now: Duration, fault: Fault, rng: &mut fastrand::Rng) {
        match fault {
            Fault::Silent => self.silent = true,
            Fault::WrongKey => {
                let mut other = [0; 16];
                rng.fill(&mut other);
                self.own_key.get_or_insert(self.device.settings().key.clone());
                self.device.set_key(Some(Scbk::new(other)));
                self.device.restart();
            }
            Fault::PowerCycle { off_ms } => self.off_until = Some(now + Duration::from_millis(off_ms)),
            Fault::Address { address } => {
                self.moved = true;
                self.device.set_address(address);
            }
            Fault::Tamper => self.device.set_tamper(true),
            Fault::PowerFailed => self.device.set_power_failed(true),
            Fault::Hostile { mode } => {
                self.hostile = Some(mode);
                if mode == Hostile::NoSecurity {
                    self.device.set_claims_security(false);
                    self.device.restart();
                }
            }
            // A line's or a peer's.
            _ => {}
        }
    }

    /// Ends all faults.
    pub(crate) fn heal(&mut self) {
        self.silent = false;
        self.hostile = None;
        self.device.set_claims_security(true);
        if let Some(key) = self.own_key.take() {
            self.device.set_key(key);
        }
        if std::mem::take(&mut self.moved) {
            self.device.set_address(self.settings.address);
        }
        self.device.set_tamper(false);
        self.device.set_power_failed(false);
    }
}
