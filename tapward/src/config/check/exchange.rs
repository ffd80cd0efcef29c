//! Workstations and other systems.

use clinic::desk::{Again, Elsewhere, Factor, Rules};
use toml::Spanned;

use super::Checker;
use crate::config::file::Desk;

const SECOND_MS: i64 = 1000;
const MINUTE_MS: i64 = 60 * SECOND_MS;
const HOUR_MS: i64 = 60 * MINUTE_MS;

impl Checker<'_> {
    pub(super) fn desk(&mut self, given: &Desk) -> Option<Rules> {
        let usual = Rules::default();
        let words = |all: &[Again]| all.iter().map(|it| (it.as_str(), *it)).collect::<Vec<_>>();
        let again = self.word(given.again.as_ref(), "desk.again", &words(Again::ALL), Some(usual.again));
        let places: Vec<_> = Elsewhere::ALL.iter().map(|it| (it.as_str(), *it)).collect();
        let elsewhere = self.word(given.elsewhere.as_ref(), "desk.elsewhere", &places, Some(usual.elsewhere));
        let factors: Vec<_> = Factor::ALL.iter().map(|it| (it.as_str(), *it)).collect();
        let factor = self.word(given.second_factor.as_ref(), "desk.second_factor", &factors, Some(usual.factor));
        let mut time = |value: &Option<Spanned<u64>>, key: &str, range, unit: i64, usual_ms: i64| {
            let usual = u64::try_from(usual_ms / unit).unwrap_or(0);
            let count = self.number(value.as_ref(), key, range, usual);
            i64::try_from(count).unwrap_or(i64::MAX).saturating_mul(unit)
        };
        let rules = Rules {
            debounce_ms: time(&given.debounce_s, "desk.debounce_s", 0..=60, SECOND_MS, usual.debounce_ms),
            again: again?,
            elsewhere: elsewhere?,
            idle_warn_ms: time(&given.idle_warn_s, "desk.idle_warn_s", 10..=86_400, SECOND_MS, usual.idle_warn_ms),
            idle_lock_ms: time(&given.idle_lock_s, "desk.idle_lock_s", 10..=86_400, SECOND_MS, usual.idle_lock_ms),
            idle_end_ms: time(&given.idle_end_min, "desk.idle_end_min", 1..=1440, MINUTE_MS, usual.idle_end_ms),
            factor: factor?,
            factor_ms: time(&given.second_factor_h, "desk.second_factor_h", 1..=12, HOUR_MS, usual.factor_ms),
            factor_wait_ms: time(
                &given.second_factor_wait_s,
                "desk.second_factor_wait_s",
                10..=3600,
                SECOND_MS,
                usual.factor_wait_ms,
            ),
        };
        if let (Some(problem), Some(at)) =
            (rules.problem(), given.idle_lock_s.as_ref().or(given.idle_warn_s.as_ref()).or(given.idle_end_min.as_ref()))
        {
            self.fault(at, "desk.idle_lock_s", problem);
        }
        Some(rules)
    }
}
