//! What silence, garbage and BUSY mean for a reader: retry, back-off, offline; and how a session
//! ends.

use std::collections::VecDeque;
use std::time::Duration;

use super::event::{Alarm, CommandFailure, EventKind, ReaderCommand, SessionEnd};
use super::reader::{Context, Purpose, Reader, Stage};
use super::settings::{BusSettings, Security};

/// Between tries of a reader that does not answer, before and shortly after it is offline.
const RETRY_SOON: Duration = Duration::from_secs(1);
/// Between tries of a reader that has been away for [`AWAY_LONG`], or never answered.
const RETRY_LATE: Duration = Duration::from_secs(5);
/// From here on a reader is tried at [`RETRY_LATE`] only.
const AWAY_LONG: Duration = Duration::from_secs(60);
/// The shortest time a repeated question waits for its answer.
const SHORTEST_PROBE: Duration = Duration::from_millis(20);
/// Between repetitions after BUSY.
const BUSY_PAUSE: Duration = Duration::from_millis(20);
/// BUSY replies to one question, and their total time, before it is given up.
const BUSY_LIMIT: (u32, Duration) = (100, Duration::from_secs(3));
/// Unauthenticated refusals that may end a session in [`INTERFERENCE_WINDOW`] (attack 9).
const INTERFERENCE_LIMIT: usize = 3;
const INTERFERENCE_WINDOW: Duration = Duration::from_secs(60);
/// One garbled or doubled reply; each clean one takes one off; the alarm's threshold.
const CONFLICT_POINTS: (u32, u32) = (3, 24);

impl Reader {
    /// How long to wait for the begin of the reply to the open question.
    pub fn patience(&self, settings: &BusSettings) -> Duration {
        // A repeated question to a reader whose pace is known waits less; every fourth waits in
        // full, so that a reader that became slow is found.
        match self.stats.turnaround_max {
            Some(longest) if self.misses > 0 && self.misses % 4 != 3 => {
                (longest * 4).clamp(SHORTEST_PROBE.min(settings.reply_timeout), settings.reply_timeout)
            }
            _ => settings.reply_timeout,
        }
    }

    /// The open question was not answered in time. `alone`: no other reader waits for the line.
    pub fn unanswered(&mut self, ctx: &mut Context<'_>, alone: bool) {
        self.stats.timeouts += 1;
        if self.act_on_suspicion(ctx) {
            return;
        }
        self.misses = self.misses.saturating_add(1);
        let silent = ctx.now.saturating_sub(self.heard.unwrap_or(ctx.now));
        let known = self.stats.turnaround_max.is_some();
        self.due = match self.misses {
            1 if self.online || alone => ctx.now,
            _ if silent < ctx.settings.offline_after => ctx.now + RETRY_SOON.min(ctx.settings.offline_after / 4),
            _ if known && silent < AWAY_LONG => ctx.now + RETRY_SOON,
            _ => ctx.now + RETRY_LATE,
        };
        self.turn_trial(ctx);
        let ignored_handshake = self.misses >= 3
            && self
                .inflight
                .as_ref()
                .is_some_and(|i| matches!(i.purpose, Purpose::Challenge { .. } | Purpose::Prove(_)));
        if ignored_handshake && self.online {
            self.inflight = None;
            self.handshake_refused(ctx, Alarm::HandshakeRefused);
            // See by a poll whether it is there at all.
            self.restart();
        }
    }

    /// Something came that was no frame. True: ask again at once.
    pub fn garbled(&mut self, ctx: &mut Context<'_>) -> bool {
        self.stats.check_errors += 1;
        self.conflicting(ctx);
        self.inflight.as_ref().is_some_and(|i| i.attempts < 4)
    }

    /// A reply of this reader that answers nothing.
    pub fn unexpected(&mut self, ctx: &mut Context<'_>) {
        self.stats.unexpected += 1;
        // After a retry one extra reply is normal: the late one and the repeated one.
        self.conflict = (self.conflict + 1).min(CONFLICT_POINTS.1);
        if self.conflict == CONFLICT_POINTS.1 {
            self.alarm(ctx, Alarm::AddressConflict);
        }
    }

    pub fn conflicting(&mut self, ctx: &mut Context<'_>) {
        self.conflict = (self.conflict + CONFLICT_POINTS.0).min(CONFLICT_POINTS.1);
        if self.conflict == CONFLICT_POINTS.1 {
            self.alarm(ctx, Alarm::AddressConflict);
        }
    }

    /// The reader said BUSY: the same question again, a little later, not for ever.
    pub fn busy(&mut self, ctx: &mut Context<'_>) {
        self.stats.busy += 1;
        self.due = ctx.now + BUSY_PAUSE;
        let Some(inflight) = &mut self.inflight else { return };
        inflight.busy += 1;
        if inflight.busy < BUSY_LIMIT.0 && ctx.now.saturating_sub(inflight.first_sent) < BUSY_LIMIT.1 {
            return;
        }
        self.alarm(ctx, Alarm::StuckBusy);
        self.due = ctx.now + RETRY_SOON;
        if self.session.is_some() {
            self.end_session(ctx, SessionEnd::Silence);
        } else {
            self.fail_inflight(ctx, CommandFailure::Unconfirmed);
            self.restart();
        }
    }

    /// A reply that counts arrived: the link is fine.
    pub fn answered(&mut self, ctx: &mut Context<'_>, turnaround: Duration) {
        self.stats.replies += 1;
        // Whose sending a reply to a repeated question answers is unknown: not measured.
        if self.inflight.as_ref().is_some_and(|i| i.attempts == 1) {
            let mean = self.stats.turnaround_mean.map_or(turnaround, |mean| (mean * 7 + turnaround) / 8);
            self.stats.turnaround_last = Some(turnaround);
            self.stats.turnaround_mean = Some(mean);
            self.stats.turnaround_max = self.stats.turnaround_max.max(Some(turnaround));
        }
        self.misses = 0;
        self.conflict = self.conflict.saturating_sub(1);
        self.heard = Some(ctx.now);
        self.asked_since = None;
        self.due = ctx.now;
        if !self.online {
            self.online = true;
            self.offline_announced = false;
            self.report(ctx, EventKind::Online);
        }
    }

    /// Offline if it was silent too long.
    pub fn supervise(&mut self, ctx: &mut Context<'_>) {
        let heard = *self.heard.get_or_insert(ctx.now);
        if self.offline_at(ctx.settings).is_some_and(|at| ctx.now >= at) {
            self.go_offline(ctx, ctx.now.saturating_sub(heard));
        }
    }

    /// When [`Reader::supervise`] will have something to say. Silence counts only if it was
    /// asked: on a crowded line its turn may come late.
    pub fn offline_at(&self, settings: &BusSettings) -> Option<Duration> {
        let asked = self.asked_since.filter(|_| !self.offline_announced)?;
        let heard = self.heard.unwrap_or(asked);
        Some((heard + settings.offline_after).max(asked + RETRY_SOON.min(settings.offline_after / 2)))
    }

    pub fn go_offline(&mut self, ctx: &mut Context<'_>, silent_for: Duration) {
        self.offline_announced = true;
        self.lose_session(ctx, SessionEnd::Silence);
        self.fail_all(ctx, CommandFailure::Offline);
        if self.online {
            self.stats.outages += 1;
        }
        self.online = false;
        self.misses = self.misses.max(1);
        if let Some(trial) = self.trial.take() {
            self.settings.address = trial.old.0;
            self.baud_wanted = Some(trial.old.1);
            self.command_failed(ctx, trial.id, CommandFailure::Unconfirmed);
        }
        self.report(ctx, EventKind::Offline { silent_for });
        self.restart();
    }

    // ---- ends ----

    /// From the beginning: sequence 0, no session, POLL first.
    pub fn restart(&mut self) {
        self.stage = Stage::Start;
        self.session = None;
        self.inflight = None;
        self.next_sequence = 0;
    }

    /// The session is over: everything that waited fails, and a new handshake begins at once,
    /// or later if sessions keep ending.
    pub fn end_session(&mut self, ctx: &mut Context<'_>, why: SessionEnd) {
        self.lose_session(ctx, why);
        self.fail_all(ctx, CommandFailure::Offline);
        self.restart();
        if self.provisioning.is_none() && matches!(self.settings.security, Security::Keyed { .. }) {
            self.stage = Stage::Challenge;
        }
        let recent = remember(&mut self.session_ends, ctx.now, 8);
        let pause = match recent {
            0..=3 => Duration::ZERO,
            4..=6 => RETRY_SOON,
            _ => RETRY_LATE,
        };
        self.due = self.due.max(ctx.now + pause);
    }

    pub fn lose_session(&mut self, ctx: &mut Context<'_>, why: SessionEnd) {
        self.session = None;
        if std::mem::take(&mut self.secure_announced) {
            self.report(ctx, EventKind::SessionLost(why));
        }
    }

    /// An unauthenticated message says that the session is gone. It may end one session now and
    /// then, never stall the reader (attack 9). False: not believed.
    pub fn suspect_session_gone(&mut self, ctx: &mut Context<'_>, why: SessionEnd) -> bool {
        self.stats.untrusted += 1;
        while self.interference.front().is_some_and(|&at| ctx.now.saturating_sub(at) > INTERFERENCE_WINDOW) {
            self.interference.pop_front();
        }
        if self.interference.len() >= INTERFERENCE_LIMIT {
            self.alarm(ctx, Alarm::BusInterference);
            return false;
        }
        if let Some(inflight) = &mut self.inflight {
            inflight.suspicion = Some(why);
        }
        true
    }

    /// Ends the session if an unauthenticated message asked for it and nothing better came.
    pub fn act_on_suspicion(&mut self, ctx: &mut Context<'_>) -> bool {
        let Some(why) = self.inflight.as_ref().and_then(|i| i.suspicion) else { return false };
        self.interference.push_back(ctx.now);
        self.end_session(ctx, why);
        true
    }

    /// One unauthenticated tear-down happened at once (data in clear, attack 8).
    pub fn note_interference(&mut self, now: Duration) {
        self.interference.push_back(now);
    }

    /// Outputs and COMSET are not repeated for ever.
    /// True if one was given up.
    pub fn withdraw_late(&mut self, ctx: &mut Context<'_>) -> bool {
        let Some(inflight) = &self.inflight else { return false };
        if inflight.withdraw_at.is_none_or(|at| ctx.now < at) || inflight.attempts == 0 {
            return false;
        }
        if let Purpose::Command { id, command: ReaderCommand::SetCommunication { address, baud } } = inflight.purpose {
            self.begin_trial(ctx, id, (address, baud));
            return true;
        }
        // The reader may have taken it or not, so the chain is lost; begin anew.
        if self.session.is_some() {
            self.end_session(ctx, SessionEnd::Withdrawn);
        } else {
            self.fail_inflight(ctx, CommandFailure::Unconfirmed);
            self.restart();
        }
        true
    }
}

/// Remembers `now`, at most `limit` times; returns how many fell into the last minute.
fn remember(times: &mut VecDeque<Duration>, now: Duration, limit: usize) -> usize {
    times.push_back(now);
    while times.len() > limit || times.front().is_some_and(|&at| now.saturating_sub(at) > INTERFERENCE_WINDOW) {
        times.pop_front();
    }
    times.len()
}
