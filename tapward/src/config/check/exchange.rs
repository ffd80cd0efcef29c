//! Workstations, and how others reach these pages; in [`systems`] the systems that are told or tell something.

mod systems;

use clinic::desk::{Again, Elsewhere, Factor, Rules};
use clinic::feeds::{PatientPasses, Source};
use domain::visit::Unclear;
use domain::{CategoryId, ConditionId};
use toml::Spanned;
use wire::ascii::{IdentityRule, Profile};

use super::Checker;
use crate::config::exchange::{ExchangeSettings, IdentitySettings};
use crate::config::file::{Desk, Feeds, File, Identity, Visits};

const SECOND_MS: i64 = 1000;
const MINUTE_MS: i64 = 60 * SECOND_MS;
const HOUR_MS: i64 = 60 * MINUTE_MS;

impl Checker<'_> {
    pub(super) fn desk(&mut self, given: &Desk) -> Option<Rules> {
        let usual = Rules::default();
        let words: Vec<_> = Again::ALL.iter().map(|it| (it.as_str(), *it)).collect();
        let again = self.word(given.again.as_ref(), "desk.again", &words, Some(usual.again));
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

    pub(super) fn visits(&mut self, given: &Visits) -> Option<domain::visit::Rules> {
        let usual = domain::visit::Rules::default();
        let words: Vec<_> = Unclear::ALL.iter().map(|it| (it.as_str(), *it)).collect();
        let mut unclear = |value: &Option<Spanned<String>>, key: &str, usual: Unclear| {
            self.word(value.as_ref(), key, &words, Some(usual))
        };
        let on_none = unclear(&given.without_appointment, "visits.without_appointment", usual.on_none);
        let on_several = unclear(&given.several_appointments, "visits.several_appointments", usual.on_several);
        let on_wrong = unclear(&given.wrong_place, "visits.wrong_place", usual.on_wrong);
        let mut minutes = |value: &Option<Spanned<u64>>, key: &str, range, usual_ms: i64| {
            let count = self.number(value.as_ref(), key, range, u64::try_from(usual_ms / MINUTE_MS).unwrap_or(0));
            i64::try_from(count).unwrap_or(i64::MAX).saturating_mul(MINUTE_MS)
        };
        Some(domain::visit::Rules {
            early_ms: minutes(&given.early_min, "visits.early_min", 0..=1440, usual.early_ms),
            late_ms: minutes(&given.late_min, "visits.late_min", 0..=1440, usual.late_ms),
            on_none: on_none?,
            on_several: on_several?,
            on_wrong: on_wrong?,
            tap_out_ms: given
                .tap_out_min
                .as_ref()
                .map(|_| minutes(&given.tap_out_min, "visits.tap_out_min", 1..=1440, MINUTE_MS)),
            return_ms: minutes(&given.return_min, "visits.return_min", 0..=240, usual.return_ms),
            longest_ms: minutes(&given.longest_min, "visits.longest_min", 5..=1440, usual.longest_ms),
            question_ms: minutes(&given.question_min, "visits.question_min", 1..=1440, usual.question_ms),
            end_needs_card: given.end_needs_card.as_ref().is_some_and(|it| *it.get_ref()),
        })
    }

    pub(super) fn irregular(&mut self, given: &Visits) -> clinic::irregular::Settings {
        let usual = clinic::irregular::Settings::default();
        let mut time = |value: &Option<Spanned<u64>>, key: &str, range, unit: i64, usual_ms: i64| {
            let count = self.number(value.as_ref(), key, range, u64::try_from(usual_ms / unit).unwrap_or(0));
            i64::try_from(count).unwrap_or(i64::MAX).saturating_mul(unit)
        };
        clinic::irregular::Settings {
            fresh_ms: time(
                &given.out_of_card_fresh_min,
                "visits.out_of_card_fresh_min",
                1..=120,
                MINUTE_MS,
                usual.fresh_ms,
            ),
            scope_ms: time(&given.out_of_card_min, "visits.out_of_card_min", 5..=1440, MINUTE_MS, usual.scope_ms),
            review_ms: time(&given.review_h, "visits.review_h", 1..=720, HOUR_MS, usual.review_ms),
        }
    }

    /// How lines of readers are read that are plugged into doctors' own computers; `Some(None)`: not at all.
    #[expect(clippy::option_option, reason = "a fault, not at all, or how")]
    pub(super) fn web_reader(&mut self, given: &Desk) -> Option<Option<(Profile, IdentityRule)>> {
        let names = [("off", 9), ("ironlogic", 0), ("twn3", 2), ("pattern", 3)];
        let chosen = self.word(given.web_reader.as_ref(), "desk.web_reader", &names, Some(0))?;
        let rules = [("as-printed", IdentityRule::AsRead), ("facility-number", IdentityRule::FacilityNumber)];
        let rule = self.word(given.web_number.as_ref(), "desk.web_number", &rules, Some(IdentityRule::AsRead))?;
        let Some(at) = given.web_reader.as_ref().or(given.web_pattern.as_ref()) else {
            return Some(Some((Profile::IronLogic, rule)));
        };
        if chosen == 9 {
            return Some(None);
        }
        let profile = self.profile_of(chosen, given.web_pattern.as_ref(), at, "desk.web_pattern")?;
        Some(Some((profile, rule)))
    }

    pub(super) fn exchange(&mut self, file: &File, zone: Option<chrono_tz::Tz>) -> Option<ExchangeSettings> {
        let identity = self.identity(&file.identity);
        let feeds = zone.and_then(|zone| self.feeds(&file.feeds, zone));
        let systems = self.systems(file, zone);
        let hl7 = self.hl7_listener(&file.hl7, zone);
        Some(ExchangeSettings { identity, feeds: feeds?, systems: systems?, hl7: hl7? })
    }

    fn identity(&mut self, given: &Identity) -> IdentitySettings {
        let address = given.address.as_ref().and_then(|address| {
            let text = address.get_ref().trim_end_matches('/');
            let sound = url::Url::parse(text).is_ok_and(|url| {
                url.scheme() == "https" && url.host_str().is_some() && url.path() == "/" && url.query().is_none()
            });
            if !sound {
                self.fault(address, "identity.address", "write https://HOST or https://HOST:PORT");
            }
            sound.then(|| text.to_owned())
        });
        let patient_system =
            given.patient_system.as_ref().and_then(|name| self.source(name, "identity.patient_system"));
        IdentitySettings {
            address,
            patient_system: patient_system.map(|name| name.as_str().to_owned()),
            ends_on_lock: given.ends_on_lock.as_ref().is_some_and(|it| *it.get_ref()),
            topic_alone: given.topic_alone.as_ref().is_some_and(|it| *it.get_ref()),
            http: mis_bridge::http::Settings {
                roots: self.roots(given.ca.as_ref(), "identity.ca").unwrap_or(mis_bridge::http::Roots::Public),
                ..mis_bridge::http::Settings::default()
            },
        }
    }

    fn feeds(&mut self, given: &Feeds, zone: chrono_tz::Tz) -> Option<clinic::feeds::Settings> {
        let mut made = clinic::feeds::Settings::new(zone);
        made.order = given.order.iter().filter_map(|name| self.source(name, "feeds.order")).collect();
        let percent = self.number(given.end_max_percent.as_ref(), "feeds.end_max_percent", 0..=100, 10);
        made.end_max_percent = u8::try_from(percent).unwrap_or(100);
        let free = self.number(given.end_free.as_ref(), "feeds.end_free", 0..=100_000, 20);
        made.end_free = u32::try_from(free).unwrap_or(u32::MAX);
        if let Some(category) = &given.staff_category {
            made.staff_category = self.parse::<CategoryId>(category, "feeds.staff_category")?;
        }
        if let Some(category) = &given.patient_category {
            made.patient_category = self.parse::<CategoryId>(category, "feeds.patient_category")?;
        }
        let before = self.number(given.before_min.as_ref(), "feeds.before_min", 0..=10_080, 60);
        let after = self.number(given.after_min.as_ref(), "feeds.after_min", 0..=10_080, 120);
        let minutes = |count: u64| i64::try_from(count).unwrap_or(0) * MINUTE_MS;
        let words = [("given", 0), ("appointments", 1), ("condition", 2)];
        let passes = self.word(given.patient_passes.as_ref(), "feeds.patient_passes", &words, Some(0))?;
        made.patient_passes = match passes {
            0 => PatientPasses::AsGiven,
            1 => PatientPasses::Appointments { before_ms: minutes(before), after_ms: minutes(after) },
            _ => match &given.condition {
                Some(condition) => PatientPasses::Condition(self.parse::<ConditionId>(condition, "feeds.condition")?),
                None => {
                    let at = given.patient_passes.as_ref()?;
                    self.fault(
                        at,
                        "feeds.patient_passes",
                        "\"condition\" needs the key condition, such as \"contract\"",
                    );
                    return None;
                }
            },
        };
        if let Some(same) = &given.same_references {
            made.adopt_references = *same.get_ref();
        }
        Some(made)
    }

    pub(super) fn source(&mut self, name: &Spanned<String>, key: &str) -> Option<Source> {
        match Source::new(name.get_ref()) {
            Ok(source) => Some(source),
            Err(error) => {
                self.fault(name, key, error.to_string());
                None
            }
        }
    }
}
