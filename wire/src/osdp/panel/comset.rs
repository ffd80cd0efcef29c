//! COMSET: the reader may be at its new address and speed, or still at the old ones. Both are
//! tried until it answers at one of them.

use std::time::Duration;

use super::event::{CommandFailure, CommandId, EventKind, SessionEnd};
use super::reader::{Context, Reader};

/// COMSET: after the reply, and after each change of speed, before the next question.
const SETTLE: Duration = Duration::from_millis(200);

/// A COMSET whose outcome is being found out.
pub(super) struct Trial {
    pub id: CommandId,
    pub old: (u8, u32),
    new: (u8, u32),
    tries: u32,
}

impl Reader {
    /// The reader may now be at another address or speed: try both.
    pub fn begin_trial(&mut self, ctx: &mut Context<'_>, id: CommandId, new: (u8, u32)) {
        let old = (self.settings.address, ctx.settings.baud);
        self.inflight = None;
        self.lose_session(ctx, SessionEnd::Requested);
        self.fail_all(ctx, CommandFailure::Offline);
        self.restart();
        self.trial = Some(Trial { id, old, new, tries: 0 });
        self.settings.address = new.0;
        self.baud_wanted = Some(new.1);
        self.due = ctx.now + SETTLE;
    }

    /// No answer: after two tries at one place, the other place.
    pub fn turn_trial(&mut self, ctx: &Context<'_>) {
        let Some(trial) = &mut self.trial else { return };
        trial.tries += 1;
        let at_new = trial.tries / 2 % 2 == 0;
        let (address, baud) = if at_new { trial.new } else { trial.old };
        self.settings.address = address;
        self.baud_wanted = Some(baud);
        self.restart();
        self.due = ctx.now + SETTLE;
    }

    /// It answered: wherever it was asked last is where it is.
    pub fn settle_trial(&mut self, ctx: &mut Context<'_>) {
        let Some(trial) = self.trial.take() else { return };
        let (address, baud) = (self.settings.address, ctx.settings.baud);
        if (address, baud) == trial.new {
            self.report(ctx, EventKind::CommandDone(trial.id));
            self.report(ctx, EventKind::Communication { address, baud });
        } else {
            self.command_failed(ctx, trial.id, CommandFailure::RolledBack);
        }
    }
}
