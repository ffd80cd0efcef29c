//! Instants as the service writes them. It means UTC everywhere unless asked for local time, and does not always say
//! so: `2026-11-22T09:15:30` and `2026-11-22T09:15:30.4120000Z` are the same kind of value.

use domain::UtcMillis;

/// The years that count: 1900 to 9999. `0001-01-01T00:00:00` is how the service writes "none".
const YEARS: std::ops::Range<i64> = -2_208_988_800_000..253_402_300_800_000;

/// An instant for the service, in UTC.
pub fn write(at: UtcMillis) -> String {
    at.to_rfc3339()
}

/// Reads `xs:dateTime` with or without an offset (without: UTC), with a blank in place of `T`, and the Russian form
/// `22.11.2026 9:15:30` that report fields have on some servers.
pub fn parse(text: &str) -> Option<UtcMillis> {
    instant(text.trim()).filter(|at| YEARS.contains(&at.0))
}

fn instant(text: &str) -> Option<UtcMillis> {
    if text.len() > 40 || !text.is_ascii() {
        return None;
    }
    let day_first = || {
        let (day, time) = text.split_once(' ').unwrap_or((text, "0:00:00"));
        let mut parts = day.split('.');
        let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
        let hour_short = time.find(':') == Some(1);
        Some(format!("{year}-{month:0>2}-{day:0>2}T{}{time}Z", if hour_short { "0" } else { "" }))
    };
    let (date, time) = match text.split_once(['T', 't', ' ']) {
        Some((date, time)) if date.contains('-') => (date, time),
        _ => return UtcMillis::from_rfc3339(&day_first()?),
    };
    let offset = time.ends_with(['Z', 'z']) || time.contains('+') || time.contains('-');
    UtcMillis::from_rfc3339(&format!("{date}T{time}{}", if offset { "" } else { "Z" }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_read_in_every_form_that_servers_write() {
        let at = UtcMillis::from_rfc3339("2026-11-22T09:15:30.412Z").unwrap();
        for text in [
            "2026-11-22T09:15:30.412Z",
            "2026-11-22T09:15:30.4120000Z",
            "2026-11-22T09:15:30.412",
            " 2026-11-22T12:15:30.4120000+03:00",
            "2026-11-22T06:15:30.412-03:00",
            "2026-11-22 09:15:30.412",
            "22.11.2026 9:15:30.412",
        ] {
            assert_eq!(parse(text), Some(at), "{text}");
        }
        assert_eq!(parse(&write(at)), Some(at));
        assert_eq!(parse("22.11.2026"), UtcMillis::from_rfc3339("2026-11-22T00:00:00Z"));
    }

    #[test]
    fn what_is_no_instant_is_none() {
        for text in [
            "",
            "now",
            "0001-01-01T00:00:00",
            "2026-11-22",
            "22.11",
            "2026-13-22T00:00:00",
            "9:15",
            "22.11.2026 x",
            "-",
            "1.2.3 é",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
