//! Lines of the table of controllers and systems in the network: connected or not, what waits, whose clock is wrong.

use clinic::devices::{Line, Peer, Seen};

use super::facts::Facts;
use super::grouped;
use crate::post::sort_key;
use crate::words::{Tone, label};

/// A clock further off than this is worth a look, in milliseconds (acs-link, clause 8).
const SKEW_WARN_MS: u64 = 2_000;
/// A clock further off than this is not believed any more, in milliseconds (acs-link, clause 8).
const SKEW_BAD_MS: u64 = 60_000;

pub struct PeerLine {
    pub name: String,
    pub kind: String,
    pub address: String,
    pub tone: &'static str,
    pub state: String,
    /// Since when, or what is wrong.
    pub note: String,
    pub key_tone: &'static str,
    pub key: String,
    /// What waits at either end.
    pub waiting: Vec<String>,
    pub passes: String,
    pub clock_tone: &'static str,
    pub clock: String,
    pub software: String,
    pub is_trouble: bool,
    /// What the filter looks through.
    pub hay: String,
}

impl Facts {
    /// All peers, those that need a look first; within that in the order of their names.
    pub fn peer_lines(&self) -> Vec<PeerLine> {
        let mut peers: Vec<_> =
            self.lines.iter().filter_map(|seen| seen.device.peer.as_ref().map(|peer| (seen, peer))).collect();
        peers.sort_by_cached_key(|(seen, _)| (seen.gateway.to_string(), sort_key(seen.device.id.as_str())));
        let mut lines: Vec<PeerLine> = peers.into_iter().map(|(seen, peer)| self.peer_line(seen, peer)).collect();
        lines.sort_by_key(|line| !line.is_trouble);
        lines
    }

    fn peer_line(&self, seen: &Seen<Line>, peer: &Peer) -> PeerLine {
        let (line, texts) = (&seen.device, &self.texts);
        let (tone, state) = match (self.hears(&seen.gateway), line.open, &line.problem) {
            (false, ..) => (Tone::Bad, texts.t("not-known-now")),
            (true, false, _) => (Tone::Bad, texts.t("peer-away")),
            (true, true, Some(_)) => (Tone::Warn, texts.t("peer-connected")),
            (true, true, None) => (Tone::Ok, texts.t("peer-connected")),
        };
        let since = peer.connected_since.map(|since| texts.a("for-span", &self.times.span(self.now.since_ms(since))));
        let note = line.problem.clone().or(since).unwrap_or_else(|| self.ago(seen.seen));
        let (key_tone, key) = match (peer.secure, line.open) {
            (true, _) => (Tone::Ok, texts.t("peer-secure")),
            (false, true) => (Tone::Warn, texts.t("peer-plain")),
            (false, false) => (Tone::Info, texts.t("peer-secure-unknown")),
        };
        let counts = [
            ("peer-events-held", peer.events_held),
            ("peer-commands-waiting", peer.commands_waiting),
            ("peer-quarantined", peer.quarantined),
        ];
        let waiting = counts.into_iter().filter(|(_, n)| *n > 0).map(|(key, n)| texts.n(key, n)).collect();
        let passes = match (peer.passes_told, peer.passes_wanted) {
            (0, 0) => texts.t("peer-passes-none"),
            (told, wanted) if told == wanted => texts.a("peer-passes-all", &grouped(wanted)),
            (told, wanted) => texts.a("peer-passes-some", &format!("{} / {}", grouped(told), grouped(wanted))),
        };
        let (clock_tone, clock) = self.clock(peer.skew_ms);
        let name = label(line.id.as_str());
        let kind = texts.code("peer-kind-", peer.kind.as_str());
        let node = peer.node.as_deref().filter(|node| !peer.address.contains(node)).unwrap_or_default();
        let address = [node, &peer.address].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" · ");
        let software = peer.software.clone().unwrap_or_default();
        let hay = format!("{} {name} {kind} {address} {software} {state} {note} {key}", line.id).to_lowercase();
        // Not encrypted is shown and is no trouble of today: many devices speak nothing else, as somebody decided.
        let is_trouble = matches!(tone, Tone::Bad | Tone::Warn)
            || matches!(clock_tone, Tone::Bad | Tone::Warn)
            || peer.quarantined > 0;
        PeerLine {
            name,
            kind,
            address,
            tone: tone.class(),
            state,
            note,
            key_tone: key_tone.class(),
            key,
            waiting,
            passes,
            clock_tone: clock_tone.class(),
            clock,
            software,
            is_trouble,
            hay,
        }
    }

    fn clock(&self, skew_ms: Option<i64>) -> (Tone, String) {
        let texts = &self.texts;
        let Some(skew) = skew_ms else { return (Tone::Info, texts.t("peer-clock-unknown")) };
        let off = skew.unsigned_abs();
        if off <= SKEW_WARN_MS {
            return (Tone::Ok, texts.t("peer-clock-good"));
        }
        let tone = if off <= SKEW_BAD_MS { Tone::Warn } else { Tone::Bad };
        let span = self.times.span(i64::try_from(off).unwrap_or(i64::MAX));
        (tone, texts.a(if skew > 0 { "peer-clock-behind" } else { "peer-clock-ahead" }, &span))
    }
}
