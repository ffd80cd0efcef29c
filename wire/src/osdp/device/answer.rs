//! What each command does and gets as its reply.

use std::time::Duration;

use super::{Device, DeviceEvent, follows_comset};
use crate::osdp::command::Command;
use crate::osdp::reply::{Capability, NakReason, Reply, capability};

impl Device {
    /// Carries out one command whose protection is good.
    pub(super) fn answer(&mut self, now: Duration, code: u8, data: &[u8], broadcast: bool) -> Reply {
        let Ok(command) = Command::decode(code, data) else { return Reply::Nak(NakReason::Length) };
        match command {
            Command::Poll => self.answer_poll(),
            Command::Id => Reply::Identity(self.settings.identity),
            Command::Capabilities => Reply::Capabilities(self.capabilities()),
            Command::LocalStatus => {
                let local = self.reports.local();
                Reply::LocalStatus { tamper: local.tamper, power_failed: local.power_failed }
            }
            Command::InputStatus => Reply::Inputs(self.reports.inputs()),
            Command::OutputStatus => Reply::Outputs(self.outputs.states()),
            Command::ReaderStatus => Reply::Readers(vec![0]),
            Command::Output(records) => {
                if !records.iter().all(|record| self.outputs.has(record)) {
                    return Reply::Nak(NakReason::Unable);
                }
                for record in &records {
                    if let Some(on) = self.outputs.apply(now, record) {
                        self.events.push_back(DeviceEvent::Output { output: record.output, on });
                    }
                }
                Reply::Ack
            }
            Command::Led(records) => {
                records.into_iter().for_each(|record| self.note(DeviceEvent::Led(record)));
                Reply::Ack
            }
            Command::Buzzer(buzzer) => self.ack(DeviceEvent::Buzzer(buzzer)),
            Command::Text(text) => self.ack(DeviceEvent::Text(text)),
            Command::Manufacturer { vendor, data } => self.ack(DeviceEvent::Manufacturer { vendor, data }),
            Command::ReceiveSize(_) | Command::Abort => Reply::Ack,
            Command::Comset { address, baud } => {
                if !follows_comset(address, baud) {
                    return Reply::Nak(NakReason::Unable);
                }
                self.comset = Some((address, baud));
                Reply::Communication { address, baud }
            }
            // A key in clear would be everybody's.
            Command::Keyset(_) if self.session.is_none() || broadcast => Reply::Nak(NakReason::SecurityRequired),
            Command::Keyset(key) => {
                self.settings.key = Some(key.clone());
                self.settings.install_mode = false;
                self.ack(DeviceEvent::KeySet(key))
            }
            // These travel with a block of the handshake or not at all.
            Command::Challenge(_) | Command::ServerCryptogram(_) => Reply::Nak(NakReason::SecurityRequired),
            Command::Other { .. } => Reply::Nak(NakReason::UnknownCommand),
        }
    }

    fn answer_poll(&mut self) -> Reply {
        // In clear a device with a key only says that it is there.
        if self.settings.key.is_some() && self.session.is_none() {
            return Reply::Ack;
        }
        match self.reports.pop() {
            Some((reply, tag)) => {
                if let Some(tag) = tag {
                    self.note(DeviceEvent::CardSent(tag));
                }
                reply
            }
            None => Reply::Ack,
        }
    }

    fn capabilities(&self) -> Vec<Capability> {
        let settings = &self.settings;
        let has = |function, compliance, count| Capability { function, compliance, count };
        let mut all = vec![
            has(capability::CONTACTS, 1, settings.inputs),
            has(capability::OUTPUTS, 1, settings.outputs),
            has(capability::CARD_FORMAT, 1, 0),
            has(capability::LEDS, 4, 1),
            has(capability::BUZZER, 2, 1),
            has(capability::TEXT, 1, 1),
            has(capability::CHECK, 1, 0),
            // 1440 bytes, low and high.
            has(capability::RECEIVE_BUFFER, 0xA0, 0x05),
            has(capability::READERS, 0, 1),
            // 2: SIA OSDP 2.2.
            has(capability::VERSION, 2, 0),
        ];
        if settings.claims_security && (settings.key.is_some() || settings.install_mode) {
            all.push(has(capability::SECURITY, 1, u8::from(settings.key.is_none())));
        }
        all.sort_by_key(|capability| capability.function);
        all
    }

    fn ack(&mut self, event: DeviceEvent) -> Reply {
        self.note(event);
        Reply::Ack
    }
}
