//! What a token says, read with care: a claim of the wrong type is as good as none.

use domain::UtcMillis;
use serde_json::{Map, Value};

/// The claims of a token. `Debug` names them without their values: they may be about a person.
#[derive(Clone, Default, PartialEq)]
pub struct Claims(pub Map<String, Value>);

impl std::fmt::Debug for Claims {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Claims").field(&self.0.keys().collect::<Vec<_>>()).finish()
    }
}

/// Who an `aud` names: a text or a list of texts.
pub fn audience_of(value: Option<&Value>) -> Vec<&str> {
    match value {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

impl Claims {
    /// A claim that is a text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    /// A claim that is a time in seconds (RFC 7519 NumericDate; fractions are cut off).
    #[allow(clippy::cast_possible_truncation, reason = "bounded just before")]
    pub fn time(&self, name: &str) -> Option<UtcMillis> {
        let seconds = match self.0.get(name)? {
            Value::Number(number) => match number.as_i64() {
                Some(whole) => whole,
                None => number.as_f64().filter(|at| at.abs() < 1e12)?.floor() as i64,
            },
            _ => return None,
        };
        seconds.checked_mul(1000).map(UtcMillis)
    }

    /// Whether `who` is among those it is for.
    pub fn is_for(&self, who: &str) -> bool {
        audience_of(self.0.get("aud")).contains(&who)
    }

    /// Whether it may be used at `now`: it must have an end (`exp`) ahead, at most `life_ms` away, and must have begun
    /// (`nbf`, `iat`, where given), with `skew_ms` of grace for clocks that differ.
    pub fn is_current(&self, now: UtcMillis, life_ms: i64, skew_ms: i64) -> bool {
        let Some(ends) = self.time("exp") else { return false };
        let begun = |name: &str| match self.0.get(name) {
            None => true,
            Some(_) => self.time(name).is_some_and(|at| at.0 <= now.0.saturating_add(skew_ms)),
        };
        now.0 < ends.0.saturating_add(skew_ms)
            && ends.0 <= now.0.saturating_add(life_ms).saturating_add(skew_ms)
            && begun("nbf")
            && begun("iat")
    }
}
