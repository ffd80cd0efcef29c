//! Speed against a floor measured in the same run: absolute figures move with the machine, ratios less so.

use std::fmt::Display;

/// What a measurement is held against.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Goal {
    /// The measured value is at most this many times the floor.
    AtMost(f64),
    /// The measured value is at least this many times the floor.
    AtLeast(f64),
}

/// One result as a line: name, measured, floor, ratio, goal, `ok` or `MISSED`.
pub fn line(name: impl Display, measured: f64, floor: f64, unit: &str, goal: Goal) -> String {
    let ratio = measured / floor;
    let (wanted, met) = match goal {
        Goal::AtMost(most) => (format!("<={most}x"), ratio <= most),
        Goal::AtLeast(least) => (format!(">={least}x"), ratio >= least),
    };
    let verdict = if met { "ok" } else { "MISSED" };
    format!("{name:<44} {measured:>12.1} {unit:<7} {floor:>12.1} {unit:<7} {ratio:>7.2}x {wanted:>9} {verdict}")
}

/// The value in the middle; sorts the samples.
pub fn median(samples: &mut [f64]) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples.get(samples.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missed_goal_says_so() {
        assert!(line("x", 17.0, 10.0, "us", Goal::AtMost(1.6)).ends_with("MISSED"));
        assert!(line("x", 16.0, 10.0, "us", Goal::AtMost(1.6)).ends_with("ok"));
        assert!(line("x", 4.0, 10.0, "/s", Goal::AtLeast(0.5)).ends_with("MISSED"));
    }
}
