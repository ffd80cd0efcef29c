//! The reader's part of the Secure Channel handshake.

use super::{Device, DeviceEvent};
use crate::osdp::command::Command;
use crate::osdp::frame::{Frame, scs};
use crate::osdp::reply::{Identity, NakReason, Reply};
use crate::osdp::secure::{self, Scbk, Session, SessionKeys};

/// Between CCRYPT and SCRYPT. An earlier session lives on until the panel has proved itself.
pub(super) struct Handshake {
    keys: SessionKeys,
    rnd_a: [u8; 8],
    rnd_b: [u8; 8],
    install_key: bool,
}

impl Device {
    /// CHLNG: CCRYPT, or why not.
    pub(super) fn challenge(&mut self, frame: &Frame<'_>, key_kind: u8) -> Result<Reply, NakReason> {
        let Ok(Command::Challenge(rnd_a)) = Command::decode(frame.code, frame.data) else {
            return Err(NakReason::Length);
        };
        let install_key = key_kind == scs::KEY_DEFAULT;
        let key = if install_key {
            self.settings.install_mode.then(Scbk::install_default).ok_or(NakReason::SecurityRequired)?
        } else {
            self.settings.key.clone().ok_or(NakReason::SecurityUnsupported)?
        };
        let mut rnd_b = [0; 8];
        (self.random)(&mut rnd_b);
        let keys = SessionKeys::derive(&key, &rnd_a);
        let cryptogram = keys.client_cryptogram(&rnd_a, &rnd_b);
        self.handshake = Some(Handshake { keys, rnd_a, rnd_b, install_key });
        let Identity { vendor: [a, b, c], model, serial, .. } = self.settings.identity;
        let [s0, s1, s2, s3] = serial.to_le_bytes();
        Ok(Reply::ClientCryptogram { uid: [a, b, c, model, s0, s1, s2, s3], rnd_b, cryptogram })
    }

    /// The reply and the status byte of its security block: 1 good, 0xFF refused.
    pub(super) fn server_cryptogram(&mut self, frame: &Frame<'_>) -> Result<(Reply, u8), NakReason> {
        let Ok(Command::ServerCryptogram(claimed)) = Command::decode(frame.code, frame.data) else {
            return Err(NakReason::Length);
        };
        let Handshake { keys, rnd_a, rnd_b, install_key } = self.handshake.take().ok_or(NakReason::SecurityRequired)?;
        if !secure::same(&keys.server_cryptogram(&rnd_a, &rnd_b), &claimed) {
            return Ok((Reply::InitialRmac([0; 16]), 0xFF));
        }
        let rmac = keys.initial_rmac(&claimed);
        self.session = Some(Session::new(keys, rmac));
        self.stats.sessions += 1;
        self.note(DeviceEvent::Secure { install_key });
        Ok((Reply::InitialRmac(rmac), 0x01))
    }
}
