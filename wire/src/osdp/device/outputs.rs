//! Outputs with their timers, by OUT's seven actions.

use std::time::Duration;

use crate::osdp::command::{OutputAction, OutputControl};

#[derive(Debug, Clone, Copy, Default)]
struct Output {
    on: bool,
    /// When a timed action ends, and the state then.
    timer: Option<(Duration, bool)>,
}

/// All outputs of one device.
#[derive(Debug)]
pub(super) struct Outputs(Vec<Output>);

impl Outputs {
    pub(super) fn new(count: u8) -> Self {
        Self(vec![Output::default(); count.into()])
    }

    /// Whether a record can be carried out.
    pub(super) fn has(&self, record: &OutputControl) -> bool {
        usize::from(record.output) < self.0.len()
    }

    /// Carries out one record; the new state if the output changed.
    pub(super) fn apply(&mut self, now: Duration, record: &OutputControl) -> Option<bool> {
        let output = self.0.get_mut(usize::from(record.output))?;
        let before = output.on;
        let running = output.timer;
        let until = now + Duration::from_millis(100) * u32::from(record.timer_100ms);
        // A timed action over a running one returns to where the first would have.
        let back = running.map_or(output.on, |(_, then)| then);
        match record.action {
            OutputAction::Nop => {}
            OutputAction::OffPermanent => *output = Output::default(),
            OutputAction::OnPermanent => *output = Output { on: true, timer: None },
            OutputAction::OffAfterTimer | OutputAction::OnAfterTimer => {
                let then = record.action == OutputAction::OnAfterTimer;
                match &mut output.timer {
                    Some(timer) => timer.1 = then,
                    None => output.on = then,
                }
            }
            OutputAction::OnTimed => *output = Output { on: true, timer: Some((until, back)) },
            OutputAction::OffTimed => *output = Output { on: false, timer: Some((until, back)) },
        }
        (output.on != before).then_some(output.on)
    }

    /// The next output that changed because its timer ended by `now`. Call until `None`.
    pub(super) fn expire(&mut self, now: Duration) -> Option<(u8, bool)> {
        for (number, output) in (0_u8..).zip(&mut self.0) {
            if let Some((_, then)) = output.timer.filter(|(until, _)| *until <= now) {
                output.timer = None;
                if output.on != then {
                    output.on = then;
                    return Some((number, then));
                }
            }
        }
        None
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        self.0.iter().filter_map(|output| output.timer.map(|(until, _)| until)).min()
    }

    /// OSTATR.
    pub(super) fn states(&self) -> Vec<u8> {
        self.0.iter().map(|output| u8::from(output.on)).collect()
    }

    /// Everything off; which were on.
    pub(super) fn all_off(&mut self) -> Vec<u8> {
        let on = (0_u8..).zip(&self.0).filter(|(_, output)| output.on).map(|(number, _)| number).collect();
        self.0.fill(Output::default());
        on
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn act(outputs: &mut Outputs, now: u64, action: OutputAction, timer_100ms: u16) -> Option<bool> {
        outputs.apply(Duration::from_millis(now), &OutputControl { output: 1, action, timer_100ms })
    }

    #[test]
    fn a_timed_action_ends_by_itself_and_a_renewed_one_returns_to_the_first_state() {
        let mut outputs = Outputs::new(2);
        assert_eq!(act(&mut outputs, 0, OutputAction::OnTimed, 30), Some(true));
        assert_eq!(act(&mut outputs, 1000, OutputAction::OnTimed, 30), None);
        assert_eq!(outputs.deadline(), Some(Duration::from_millis(4000)));
        assert_eq!(outputs.expire(Duration::from_millis(3999)), None);
        assert_eq!(outputs.expire(Duration::from_millis(4000)), Some((1, false)));
        assert_eq!(outputs.expire(Duration::from_millis(9000)), None);
        assert_eq!(outputs.states(), [0, 0]);
    }

    #[test]
    fn after_timer_actions_let_the_timer_finish() {
        let mut outputs = Outputs::new(2);
        act(&mut outputs, 0, OutputAction::OnTimed, 10);
        assert_eq!(act(&mut outputs, 0, OutputAction::OnAfterTimer, 0), None);
        assert_eq!(outputs.expire(Duration::from_secs(9)), None, "stays on");
        assert_eq!(act(&mut outputs, 9000, OutputAction::OffAfterTimer, 0), Some(false), "no timer: at once");
    }

    #[test]
    fn off_cancels_a_timer_and_an_unknown_output_is_refused() {
        let mut outputs = Outputs::new(2);
        act(&mut outputs, 0, OutputAction::OnTimed, 10);
        assert_eq!(act(&mut outputs, 1, OutputAction::OffPermanent, 0), Some(false));
        assert_eq!(outputs.deadline(), None);
        assert_eq!(act(&mut outputs, 1, OutputAction::Nop, 0), None);
        assert!(!outputs.has(&OutputControl { output: 2, action: OutputAction::Nop, timer_100ms: 0 }));
    }
}
