//! The device's time. Devices write local time, with an offset or without one, and name their zone in POSIX form, in
//! which the sign is the opposite of what people expect: `CST-3:00:00` is three hours ahead of UTC.

use chrono::{DateTime, FixedOffset, NaiveDateTime, Offset, TimeZone, Utc};
use domain::UtcMillis;

/// An instant as a device wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceTime {
    local: NaiveDateTime,
    offset: Option<FixedOffset>,
}

impl DeviceTime {
    /// Reads `2026-11-21T09:15:30+03:00`, `…Z`, without offset, without seconds or with a fraction.
    pub fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.len() > 40 || !text.is_ascii() {
            return None;
        }
        if let Ok(at) = DateTime::parse_from_rfc3339(text) {
            return Some(Self { local: at.naive_local(), offset: Some(at.offset().fix()) });
        }
        let (local, offset) = match text.strip_suffix(['Z', 'z']) {
            Some(local) => (local, Some(Utc.fix())),
            None => match text.get(16..).and_then(|tail| tail.find(['+', '-'])) {
                // Without seconds, or with an offset without a colon.
                Some(at) => (&text[..16 + at], Some(read_offset(&text[16 + at..])?)),
                None => (text, None),
            },
        };
        let local = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S%.f"]
            .iter()
            .find_map(|form| NaiveDateTime::parse_from_str(local, form).ok())?;
        Some(Self { local, offset })
    }

    /// The instant, if the text had an offset or the device's zone is known.
    pub fn to_utc(self, zone: Option<Zone>) -> Option<UtcMillis> {
        let offset = self.offset.or_else(|| FixedOffset::east_opt(zone?.offset_s))?;
        let at = offset.from_local_datetime(&self.local).single()?;
        Some(UtcMillis(at.timestamp_millis()))
    }

    /// Whether it says by itself which instant it is.
    pub const fn has_offset(self) -> bool {
        self.offset.is_some()
    }
}

fn read_offset(text: &str) -> Option<FixedOffset> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'+' => (1, &text[1..]),
        b'-' => (-1, &text[1..]),
        _ => return None,
    };
    let plain: String = digits.chars().filter(|c| *c != ':').collect();
    if !(plain.len() == 4 || plain.len() == 2) || !plain.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let hours: i32 = plain[..2].parse().ok()?;
    let minutes: i32 =
        plain.get(2..).filter(|minutes| !minutes.is_empty()).map_or(Some(0), |text| text.parse().ok())?;
    FixedOffset::east_opt(sign * (hours * 3600 + minutes * 60))
}

/// A device's zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Zone {
    /// Seconds ahead of UTC, outside summer time.
    pub offset_s: i32,
    /// The zone changes to summer time: an instant without offset is uncertain by an hour then.
    pub summer: bool,
}

impl Zone {
    /// A zone so far ahead of UTC, without summer time.
    pub const fn ahead_s(offset_s: i32) -> Self {
        Self { offset_s, summer: false }
    }

    /// Reads the POSIX form: letters, sign, hours, and what follows is about summer time.
    pub fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        let at = text.find(|c: char| !c.is_ascii_alphabetic())?;
        if text.len() > 100 || !text.is_ascii() {
            return None;
        }
        let rest = &text[at..];
        let (ahead, rest) = match rest.strip_prefix('-') {
            Some(rest) => (1, rest),
            None => (-1, rest.strip_prefix('+').unwrap_or(rest)),
        };
        let end = rest.find(|c: char| !(c.is_ascii_digit() || c == ':')).unwrap_or(rest.len());
        let mut parts = rest[..end].split(':').map(|part| part.parse::<i32>().ok());
        let hours = parts.next().flatten().filter(|hours| *hours <= 24)?;
        let minutes = parts.next().flatten().unwrap_or(0);
        let offset_s = ahead * (hours * 3600 + minutes.min(59) * 60);
        FixedOffset::east_opt(offset_s)?;
        Some(Self { offset_s, summer: end < rest.len() })
    }

    /// Writes the POSIX form, under the name that the devices use for every zone.
    pub fn write(self) -> String {
        let (sign, off) = if self.offset_s >= 0 { ('-', self.offset_s) } else { ('+', -self.offset_s) };
        format!("CST{sign}{}:{:02}:00", off / 3600, off % 3600 / 60)
    }

    /// Writes an instant as local time with the zone's offset: `2026-11-21T12:15:30+03:00`.
    pub fn stamp(self, at: UtcMillis) -> String {
        self.local(at).map_or_else(|| at.to_rfc3339(), |at| at.format("%Y-%m-%dT%H:%M:%S%:z").to_string())
    }

    /// Writes an instant as local time without an offset, as settings of passes want it.
    pub fn stamp_plain(self, at: UtcMillis) -> String {
        self.local(at).map_or_else(|| at.to_rfc3339(), |at| at.format("%Y-%m-%dT%H:%M:%S").to_string())
    }

    fn local(self, at: UtcMillis) -> Option<DateTime<FixedOffset>> {
        Some(at.to_chrono()?.with_timezone(&FixedOffset::east_opt(self.offset_s)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_and_without_an_offset() {
        let utc = |text: &str, zone| DeviceTime::read(text).and_then(|at| at.to_utc(zone)).map(UtcMillis::to_rfc3339);
        let want = Some("2026-11-21T09:15:30.000Z".to_owned());
        let moscow = Some(Zone::ahead_s(10_800));
        for text in [
            "2026-11-21T12:15:30+03:00",
            "2026-11-21T12:15:30+0300",
            "2026-11-21T09:15:30Z",
            "2026-11-21T04:15:30-05:00",
        ] {
            assert_eq!(utc(text, None), want, "{text}");
        }
        assert_eq!(utc("2026-11-21T12:15:30", None), None);
        assert_eq!(utc("2026-11-21T12:15:30", moscow), want);
        assert_eq!(utc("2026-11-21 12:15:30", moscow), want);
        assert_eq!(utc("2026-11-21T12:15+03:00", None).as_deref(), Some("2026-11-21T09:15:00.000Z"));
        assert_eq!(utc("2009-11-14T15:27Z", None).as_deref(), Some("2009-11-14T15:27:00.000Z"));
        for bad in ["", "yesterday", "2026-13-01T00:00:00", "2026-11-21T12:15:30+99:99", "2026-11-21", "двенадцать"]
        {
            assert_eq!(utc(bad, moscow), None, "{bad}");
        }
    }

    #[test]
    fn zones_have_the_sign_that_devices_mean() {
        assert_eq!(Zone::read("CST-3:00:00"), Some(Zone::ahead_s(10_800)));
        assert_eq!(Zone::read("CST+5:30:00"), Some(Zone::ahead_s(-19_800)));
        let summer = Zone::read("CST-1:00:00DST01:00:00,M3.5.0/02:00:00,M10.5.0/03:00:00").unwrap();
        assert_eq!((summer.offset_s, summer.summer), (3600, true));
        for zone in ["CST-3:00:00", "CST+5:30:00", "CST-0:00:00"] {
            assert_eq!(Zone::read(zone).unwrap().write(), zone);
        }
        for bad in ["", "CST", "-", "CST-99:00:00", "зона-3"] {
            assert_eq!(Zone::read(bad), None, "{bad}");
        }
        let at = UtcMillis::from_rfc3339("2026-11-21T09:15:30Z").unwrap();
        assert_eq!(Zone::ahead_s(10_800).stamp(at), "2026-11-21T12:15:30+03:00");
        assert_eq!(Zone::ahead_s(10_800).stamp_plain(at), "2026-11-21T12:15:30");
    }
}
