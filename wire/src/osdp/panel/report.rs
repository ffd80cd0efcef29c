//! From replies to events: levels and edges, ages, alarms that do not flood.

use std::time::Duration;

use super::super::reply::{Capability, Reply, capability};
use super::event::{Alarm, BusEvent, EventKind, Level, Levels};
use super::reader::{Context, Reader};
use super::settings::Security;

/// At most one alarm of a kind from a reader in this time; the rest are counted.
const ALARM_PAUSE: Duration = Duration::from_secs(10);

/// Keeps a flood of forged frames from becoming a flood of alarms.
#[derive(Default)]
pub(super) struct AlarmLimiter {
    slots: [Option<(Duration, u32)>; Alarm::KINDS],
}

impl AlarmLimiter {
    /// `Some(repeats)` if this alarm is to be reported.
    fn admit(&mut self, now: Duration, kind: Alarm) -> Option<u32> {
        let slot = self.slots.get_mut(kind.slot())?;
        match slot {
            Some((last, suppressed)) if now.saturating_sub(*last) < ALARM_PAUSE => {
                *suppressed = suppressed.saturating_add(1);
                None
            }
            _ => {
                let repeats = slot.map_or(0, |(_, suppressed)| suppressed);
                *slot = Some((now, 0));
                Some(repeats)
            }
        }
    }
}

/// The last reported states of a reader. They outlive outages, so that a tamper during an
/// outage is an edge afterwards.
#[derive(Default)]
pub(super) struct Levelled {
    local: Option<(bool, bool)>,
    inputs: Option<Levels>,
    outputs: Option<Levels>,
    readers: Option<Levels>,
}

impl Reader {
    pub(super) fn report(&self, ctx: &mut Context<'_>, kind: EventKind) {
        let secured = self.own_session();
        ctx.events.push_back(BusEvent { reader: self.index, secured, kind });
    }

    pub(super) fn alarm(&mut self, ctx: &mut Context<'_>, kind: Alarm) {
        self.stats.alarms += 1;
        if let Some(repeats) = self.alarms.admit(ctx.now, kind) {
            self.report(ctx, EventKind::Alarm { kind, repeats });
        }
    }

    /// Reports what a trusted reply says. Unasked replies are welcome at any time.
    pub(super) fn deliver(&mut self, ctx: &mut Context<'_>, reply: Reply) {
        let age_at_most = self.last_idle.map(|idle| ctx.now.saturating_sub(idle));
        let kind = match reply {
            Reply::Raw { reader, format, card } => EventKind::Card { number: reader, format, card, age_at_most },
            Reply::Formatted { reader, backward, characters } => {
                EventKind::CardText { number: reader, backward, characters, age_at_most }
            }
            Reply::Keypad { reader, keys } => EventKind::Keypad { number: reader, keys, age_at_most },
            Reply::LocalStatus { tamper, power_failed } => {
                // A fault in the very first report is an edge: some readers report only changes.
                let before = self.levelled.local.replace((tamper, power_failed)).unwrap_or_default();
                let level = |active: bool, before: bool| Level { active, edge: active != before };
                EventKind::LocalStatus { tamper: level(tamper, before.0), power_failed: level(power_failed, before.1) }
            }
            Reply::Inputs(states) => EventKind::Inputs(levels(&mut self.levelled.inputs, &states)),
            Reply::Outputs(states) => EventKind::Outputs(levels(&mut self.levelled.outputs, &states)),
            Reply::Readers(states) => EventKind::Readers(levels(&mut self.levelled.readers, &states)),
            Reply::Identity(identity) => {
                self.check_identity(ctx, &identity);
                EventKind::Identity(identity)
            }
            Reply::Capabilities(records) => {
                self.learn(ctx, &records);
                EventKind::Capabilities(records)
            }
            Reply::Manufacturer { vendor, data } => EventKind::Manufacturer { vendor, data },
            Reply::Ack
            | Reply::Nak(_)
            | Reply::Communication { .. }
            | Reply::ClientCryptogram { .. }
            | Reply::InitialRmac(_)
            | Reply::Busy
            | Reply::Other { .. } => return,
        };
        self.report(ctx, kind);
    }

    /// Takes from PDCAP what the panel must obey.
    pub(super) fn learn(&mut self, ctx: &mut Context<'_>, records: &[Capability]) {
        let find = |function: u8| records.iter().find(|record| record.function == function);
        self.has_inputs = find(capability::CONTACTS).is_none_or(|record| record.count > 0);
        self.has_outputs = find(capability::OUTPUTS).is_none_or(|record| record.count > 0);
        if let Some(record) = find(capability::RECEIVE_BUFFER) {
            let size = usize::from(u16::from_le_bytes([record.compliance, record.count]));
            if size > 0 {
                self.receive_buffer = size.min(super::super::frame::MAX_FRAME);
            }
        }
        let keyed = matches!(self.settings.security, Security::Keyed { .. });
        let secure = find(capability::SECURITY).is_some_and(|record| record.compliance & 1 != 0);
        if keyed {
            self.downgraded = !secure;
            if !secure {
                self.alarm(ctx, Alarm::Downgrade);
            }
        }
    }
}

/// Packs states into bits and compares them with the last report.
fn levels(last: &mut Option<Levels>, states: &[u8]) -> Levels {
    let active =
        states.iter().take(64).enumerate().fold(0u64, |bits, (number, &state)| bits | u64::from(state != 0) << number);
    let count = u8::try_from(states.len().min(64)).unwrap_or(64);
    let edges = last.map_or(0, |last| last.active ^ active);
    let now = Levels { count, active, edges };
    *last = Some(now);
    now
}
