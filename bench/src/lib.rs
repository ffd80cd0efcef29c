//! Speed against a floor measured in the same run: absolute figures move with the machine, ratios less so.
//!
//! Every bench prints a [`heading`] and then a [`line()`] for each result, so that they read as one table.

use std::fmt::Display;

/// What a measurement is held against.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Goal {
    /// The measured value is at most this many times the floor. `AtMost(1.0)`: the floor is a limit.
    AtMost(f64),
    /// The measured value is at least this many times the floor.
    AtLeast(f64),
    /// Shown for comparison only.
    Shown,
}

/// Names the columns; `title` says what the bench is about.
pub fn heading(title: &str) -> String {
    let columns =
        format!("{:<52} {:>11} {:>11} {:<6} {:>9} {:>8}", "name", "measured", "floor", "unit", "ratio", "goal");
    format!("\n== {title}\n{columns}")
}

/// One result as a line: name, measured, floor, ratio, goal, `ok` or `MISSED` (`-` without a goal).
pub fn line(name: impl Display, measured: f64, floor: f64, unit: &str, goal: Goal) -> String {
    let ratio = measured / floor;
    let (wanted, verdict) = match goal {
        Goal::AtMost(most) => (format!("<={most}x"), verdict(ratio <= most)),
        Goal::AtLeast(least) => (format!(">={least}x"), verdict(ratio >= least)),
        Goal::Shown => ("-".to_owned(), "-"),
    };
    let (measured, floor) = (figure(measured), figure(floor));
    format!("{name:<52} {measured:>11} {floor:>11} {unit:<6} {ratio:>8.2}x {wanted:>8} {verdict}")
}

const fn verdict(met: bool) -> &'static str {
    if met { "ok" } else { "MISSED" }
}

fn figure(value: f64) -> String {
    match value.abs() {
        1000.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}

/// The value in the middle; sorts the samples.
pub fn median(samples: &mut [f64]) -> f64 {
    percentile(samples, 0.5)
}

/// The value below which `share` of the samples lie; sorts them.
pub fn percentile(samples: &mut [f64], share: f64) -> f64 {
    samples.sort_by(f64::total_cmp);
    let place = (samples.len() as f64 * share) as usize;
    samples.get(place.min(samples.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
}

/// The mean of the samples.
pub fn mean(samples: &[f64]) -> f64 {
    samples.iter().sum::<f64>() / samples.len() as f64
}

/// Resident memory of this process, megabytes.
pub fn resident_mb() -> f64 {
    status_mb("VmRSS:")
}

/// The most that this process ever had resident, megabytes.
pub fn resident_peak_mb() -> f64 {
    status_mb("VmHWM:")
}

fn status_mb(field: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kilobytes = status.lines().find_map(|line| line.strip_prefix(field)?.trim().strip_suffix(" kB")?.parse().ok());
    kilobytes.map_or(f64::NAN, |kilobytes: f64| kilobytes * 1024.0 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missed_goal_says_so() {
        assert!(line("x", 17.0, 10.0, "us", Goal::AtMost(1.6)).ends_with("MISSED"));
        assert!(line("x", 16.0, 10.0, "us", Goal::AtMost(1.6)).ends_with("ok"));
        assert!(line("x", 4.0, 10.0, "/s", Goal::AtLeast(0.5)).ends_with("MISSED"));
        assert!(line("x", f64::NAN, 10.0, "/s", Goal::AtMost(1.0)).ends_with("MISSED"), "no measurement is no success");
    }

    #[test]
    fn lines_are_aligned_under_the_heading() {
        let heading = heading("x");
        let columns = heading.lines().last().unwrap();
        let line = line("x", 123_456.0, 0.001, "us", Goal::AtLeast(0.5));
        for (title, figure) in [("measured", "123456"), ("floor", "0.001"), ("goal", ">=0.5x")] {
            let end = |text: &str, part: &str| text.find(part).unwrap() + part.len();
            assert_eq!(end(columns, title), end(&line, figure), "{title}");
        }
    }

    #[test]
    fn percentiles_are_of_the_samples() {
        let mut samples: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(percentile(&mut samples, 0.99), 100.0);
        assert_eq!(median(&mut samples), 51.0);
        assert!(median(&mut []).is_nan());
    }
}
