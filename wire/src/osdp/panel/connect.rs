//! Getting a reader into its session: handshake, choice of key, provisioning, inspection.
//!
//! SCBK-D appears here only, and only while [`Provisioning`] lasts.

use std::time::Duration;

use super::super::command::Command;
use super::super::frame::{Frame, SecurityBlock, scs};
use super::super::reply::{Identity, Reply};
use super::super::secure::{Scbk, Session, SessionKeys, same};
use super::event::{Alarm, EventKind, ProvisionFailure, SessionEnd};
use super::reader::{ActiveSession, Context, Inspection, Purpose, Reader, Stage};
use super::settings::Security;

/// A reader's first own key on its way.
pub(super) struct Provisioning {
    pub key: Scbk,
    pub until: Duration,
    pub sent: bool,
    /// The reader took the key; what remains is the proof.
    pub taken: bool,
}

/// A handshake between CCRYPT and RMAC_I.
pub(super) struct Handshake {
    keys: SessionKeys,
    server_cryptogram: [u8; 16],
    install: bool,
    /// Proven by the key given as `next`.
    next_key: bool,
}

/// Status byte of RMAC_I that means "refused".
const RMAC_REFUSED: u8 = 0xFF;

impl Reader {
    /// CHLNG with a fresh random number. Repeating it (no reply, BUSY) repeats the bytes.
    pub(super) fn challenge(&mut self, ctx: &mut Context<'_>) {
        self.session = None;
        let install = self.provisioning.as_ref().is_some_and(|p| !p.taken);
        let mut rnd_a = [0u8; 8];
        (ctx.random)(&mut rnd_a);
        let block = SecurityBlock { kind: scs::CHALLENGE, data: key_flag(install) };
        self.open_with_block(ctx, &Command::Challenge(rnd_a), Purpose::Challenge { rnd_a, install }, Some(block));
    }

    /// SCRYPT.
    pub(super) fn prove(&mut self, ctx: &mut Context<'_>, handshake: Box<Handshake>) {
        let command = Command::ServerCryptogram(handshake.server_cryptogram);
        let block = SecurityBlock { kind: scs::SERVER_CRYPTOGRAM, data: key_flag(handshake.install) };
        self.open_with_block(ctx, &command, Purpose::Prove(handshake), Some(block));
    }

    /// KEYSET inside the install session.
    pub(super) fn install_key(&mut self, ctx: &mut Context<'_>) {
        let Some(provisioning) = &mut self.provisioning else {
            self.stage = Stage::Start;
            return;
        };
        provisioning.sent = true;
        let command = Command::Keyset(provisioning.key.clone());
        self.open(ctx, &command, Purpose::InstallKey);
    }

    /// The reply to CHLNG.
    pub(super) fn challenged(
        &mut self,
        ctx: &mut Context<'_>,
        frame: &Frame<'_>,
        reply: &Reply,
        rnd_a: [u8; 8],
        install: bool,
    ) {
        let Reply::ClientCryptogram { rnd_b, cryptogram, .. } = reply else {
            return self.handshake_refused(ctx, Alarm::HandshakeRefused);
        };
        let flag = frame.security.filter(|s| s.kind == scs::CLIENT_CRYPTOGRAM).map(|s| s.data);
        if flag != Some(key_flag(install)) {
            let default = flag == Some(key_flag(true));
            let alarm = if default { Alarm::DefaultKeyOffered } else { Alarm::HandshakeRefused };
            return self.handshake_refused(ctx, alarm);
        }
        // One exchange tells which of our keys the reader has.
        let default = Scbk::install_default();
        let (first, second) = match &self.settings.security {
            _ if install => (Some(&default), None),
            Security::Keyed { key, next } => (Some(key), next.as_ref()),
            Security::Insecure { .. } | Security::Unprovisioned => (None, None),
        };
        let proven = [first, second].into_iter().enumerate().find_map(|(place, key)| {
            let keys = SessionKeys::derive(key?, &rnd_a);
            same(&keys.client_cryptogram(&rnd_a, rnd_b), cryptogram).then_some((place == 1, keys))
        });
        let Some((next_key, keys)) = proven else { return self.handshake_refused(ctx, Alarm::WrongKey) };
        let server_cryptogram = keys.server_cryptogram(&rnd_a, rnd_b);
        self.stage = Stage::Prove(Box::new(Handshake { keys, server_cryptogram, install, next_key }));
    }

    /// The reply to SCRYPT.
    pub(super) fn proved(&mut self, ctx: &mut Context<'_>, frame: &Frame<'_>, reply: &Reply, handshake: &Handshake) {
        let expected = handshake.keys.initial_rmac(&handshake.server_cryptogram);
        let status = frame.security.filter(|s| s.kind == scs::INITIAL_RMAC).map(|s| s.data.first().copied());
        let good = match (reply, status) {
            // Readers set the status byte to 0 or 1 at will; the value that counts is the R-MAC.
            (Reply::InitialRmac(rmac), Some(status)) => status != Some(RMAC_REFUSED) && same(rmac, &expected),
            _ => false,
        };
        if !good {
            return self.handshake_refused(ctx, Alarm::HandshakeRefused);
        }
        self.session = Some(ActiveSession {
            session: Session::new(handshake.keys.clone(), expected),
            since: ctx.now,
            frames: 0,
            install: handshake.install,
        });
        self.stats.sessions += 1;
        self.handshake_failures = 0;
        if handshake.install {
            self.stage = Stage::InstallKey;
            return;
        }
        self.key_proven(ctx, handshake.next_key);
        if self.secure_announced {
            self.stage = Stage::Ready;
            return;
        }
        self.secure_announced = true;
        self.report(ctx, EventKind::Secure);
        if self.provisioning.take().is_some() {
            self.report(ctx, EventKind::Provisioned);
        }
        self.stage = Stage::Inspect(Inspection::Identity);
    }

    /// The reader showed which key it has.
    fn key_proven(&mut self, ctx: &mut Context<'_>, next_key: bool) {
        let Security::Keyed { key, next } = &mut self.settings.security else { return };
        if next_key && let Some(new) = next.take() {
            *key = new;
            self.rotation_confirmed = false;
            self.report(ctx, EventKind::KeyRotated);
        } else if std::mem::take(&mut self.rotation_confirmed) {
            // It stays a candidate: the reader may switch at its next power-up.
            self.alarm(ctx, Alarm::KeyNotTaken);
        }
    }

    /// KEYSET for a rotation was confirmed inside the session: prove it by a new handshake.
    /// (Both keys are kept until then.)
    pub(super) fn rotation_taken(&mut self) {
        self.rotation_confirmed = true;
        self.stage = Stage::Challenge;
    }

    /// The reply to KEYSET in the install session, authenticated.
    pub(super) fn key_installed(&mut self, ctx: &mut Context<'_>, reply: &Reply) {
        let Some(provisioning) = &mut self.provisioning else { return self.restart() };
        if !matches!(reply, Reply::Ack) {
            return self.provisioning_failed(ctx, ProvisionFailure::Refused);
        }
        provisioning.taken = true;
        self.settings.security = Security::Keyed { key: provisioning.key.clone(), next: None };
        self.stage = Stage::Challenge;
    }

    /// The handshake did not come about: alarm, look in clear who is there, try again later.
    pub(super) fn handshake_refused(&mut self, ctx: &mut Context<'_>, alarm: Alarm) {
        self.alarm(ctx, alarm);
        self.lose_session(ctx, SessionEnd::RenewalFailed);
        self.fail_all(ctx, super::event::CommandFailure::Offline);
        if let Some(provisioning) = &self.provisioning {
            let reason = if provisioning.sent { ProvisionFailure::Unconfirmed } else { ProvisionFailure::Refused };
            return self.provisioning_failed(ctx, reason);
        }
        self.handshake_failures = self.handshake_failures.saturating_add(1);
        if self.handshake_failures == 1 {
            self.stage = Stage::Diagnose(Inspection::Identity);
            self.due = ctx.now;
        } else {
            self.stage = Stage::Challenge;
            self.due = ctx.now + self.handshake_pause();
        }
    }

    /// The pause before the next handshake grows: 1 s, then 5 s.
    pub(super) fn handshake_pause(&self) -> Duration {
        Duration::from_secs(if self.handshake_failures <= 2 { 1 } else { 5 })
    }

    pub(super) fn provisioning_failed(&mut self, ctx: &mut Context<'_>, reason: ProvisionFailure) {
        self.provisioning = None;
        self.report(ctx, EventKind::ProvisionFailed(reason));
        self.restart();
        self.due = ctx.now + Duration::from_secs(1);
    }

    /// Ends provisioning when its time box is over.
    pub(super) fn watch_time_box(&mut self, ctx: &mut Context<'_>) {
        let Some(provisioning) = &self.provisioning else { return };
        if ctx.now >= provisioning.until {
            let reason = if provisioning.sent { ProvisionFailure::Unconfirmed } else { ProvisionFailure::TimedOut };
            self.provisioning_failed(ctx, reason);
        }
    }

    /// The next step of the inspection, skipping what the reader does not have.
    pub(super) fn inspected(&mut self, step: Inspection) {
        let next = match step {
            Inspection::Identity => Some(Inspection::Capabilities),
            Inspection::Capabilities => Some(Inspection::LocalStatus),
            Inspection::LocalStatus if self.has_inputs => Some(Inspection::Inputs),
            Inspection::LocalStatus | Inspection::Inputs if self.has_outputs => Some(Inspection::Outputs),
            Inspection::LocalStatus | Inspection::Inputs | Inspection::Outputs => None,
        };
        self.stage = next.map_or(Stage::Ready, Stage::Inspect);
    }

    /// Compares an authenticated (or accepted) identity with the pinned one (attacks 5, 17).
    pub(super) fn check_identity(&mut self, ctx: &mut Context<'_>, identity: &Identity) {
        let changed = self
            .settings
            .pinned
            .is_some_and(|pinned| pinned.vendor != identity.vendor || pinned.serial != identity.serial);
        if changed {
            self.alarm(ctx, Alarm::IdentityChanged(*identity));
        }
    }
}

fn key_flag(install: bool) -> &'static [u8] {
    if install { &[scs::KEY_DEFAULT] } else { &[scs::KEY_OWN] }
}
