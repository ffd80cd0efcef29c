//! What a gateway records. One [`Entry`] is one fact about a point, reader or the gateway itself; it names persons
//! and cards by pseudonym only. The journal numbers entries; everything later (bus, store, pages) copies them.

use crate::codes;
use crate::ids::{CardId, Direction, Epoch, GatewayId, PersonId, PointId, ReaderId};
use crate::time::UtcMillis;

codes! {
    /// What happened. "Granted" is not "passed": the first is our answer, the second is what the person did.
    Kind {
        /// A credential was read and is being decided.
        Tap = "tap",
        /// A credential was read while the gateway was not there; recorded with its age, moves nothing.
        LateTap = "late_tap",
        /// A PIN was typed after a card at a workstation; the reason says whether it was right.
        PinEntered = "pin_entered",
        /// The point was released for the holder.
        Granted = "granted",
        /// The point stayed closed.
        Refused = "refused",
        /// The rotor turned or the door opened after a grant.
        Passed = "passed",
        /// Granted, but nobody went through before the release ended.
        NotTaken = "not_taken",
        /// Opened without a grant.
        Forced = "forced",
        /// Closed again after being forced.
        ForcedEnd = "forced_end",
        /// Open for longer than allowed.
        Held = "held",
        /// Closed again after being held open.
        HeldEnd = "held_end",
        /// The button or sensor on the way out was used.
        ExitRequest = "exit_request",
        /// The reader answers.
        Online = "online",
        /// The reader has been silent for too long.
        Offline = "offline",
        /// The reader's Secure Channel is up.
        Secure = "secure",
        /// The reader works without Secure Channel, as somebody accepted by name.
        Insecure = "insecure",
        /// The reader's case was opened or it was moved.
        Tamper = "tamper",
        /// The tamper signal ended.
        TamperEnd = "tamper_end",
        /// The reader reports a power fault.
        PowerFault = "power_fault",
        /// The reader's power is good again.
        PowerGood = "power_good",
        /// Something that a person should look at; the reason says what.
        Alarm = "alarm",
        /// A command by an authorised person was carried out.
        Command = "command",
        /// The gateway started.
        Started = "started",
        /// The gateway stopped in order.
        Stopped = "stopped",
        /// New settings are in force.
        SettingsChanged = "settings_changed",
        /// A new policy snapshot is in force.
        PolicyChanged = "policy_changed",
    }
}

codes! {
    /// Why it happened. A [`Kind::Granted`] entry whose reason is not `allowed` was granted by a soft point in spite
    /// of that reason.
    Reason {
        /// Every rule was met.
        Allowed = "allowed",
        /// The card is not registered.
        UnknownCard = "unknown_card",
        /// The reading is not a card number of a known form (wrong parity, unknown length).
        UnreadableCard = "unreadable_card",
        /// The pass is not valid yet.
        NotYetValid = "not_yet_valid",
        /// The pass has expired.
        Expired = "expired",
        /// The pass was blocked.
        Blocked = "blocked",
        /// The card was reported lost.
        Lost = "lost",
        /// The pass was withdrawn.
        Withdrawn = "withdrawn",
        /// The one-time pass has been used.
        PassUsed = "pass_used",
        /// No rule lets this category into this zone.
        NoRule = "no_rule",
        /// A rule exists but its schedule is closed now.
        OutsideHours = "outside_hours",
        /// A rule refuses this category here.
        DeniedByRule = "denied_by_rule",
        /// No visit leads the holder into this zone today.
        NoPurpose = "no_purpose",
        /// Something that the zone asks for does not hold: a contract, a training.
        ConditionMissing = "condition_missing",
        /// The holder is already on that side.
        AntiPassback = "anti_passback",
        /// The same pass was used here too shortly before.
        ReusedTooSoon = "reused_too_soon",
        /// The zone holds as many persons as it may.
        ZoneFull = "zone_full",
        /// A PIN is needed and was not entered in time.
        PinMissing = "pin_missing",
        /// The PIN is wrong.
        PinWrong = "pin_wrong",
        /// Too many wrong PINs; the card waits.
        PinLocked = "pin_locked",
        /// The PIN says that the holder is being forced.
        Duress = "duress",
        /// Another door of the interlock is open.
        Interlock = "interlock",
        /// Another holder's grant is being taken there; tap again when it is done.
        PointBusy = "point_busy",
        /// The point is locked by command.
        PointLocked = "point_locked",
        /// The point is on free passage by command.
        FreePassage = "free_passage",
        /// Opened by the fire input or emergency release.
        Emergency = "emergency",
        /// The gateway has no policy yet.
        NoPolicy = "no_policy",
        /// The policy snapshot is older than allowed.
        PolicyTooOld = "policy_too_old",
        /// The journal did not take the record in time; the point followed its declared mode.
        JournalStalled = "journal_stalled",
        /// The reading is too old to move a door.
        StaleRead = "stale_read",
        /// The reader belongs to no point that can be opened.
        NoPoint = "no_point",
        /// The reader is not trusted now (no Secure Channel where one is required).
        ReaderUntrusted = "reader_untrusted",
        /// The reader claims fewer security functions than its settings require.
        Downgrade = "downgrade",
        /// The reader refuses or fails the Secure Channel handshake.
        HandshakeFailed = "handshake_failed",
        /// A message authentication code was wrong.
        BadMac = "bad_mac",
        /// A message in clear came inside a secure session.
        PlaintextInSession = "plaintext_in_session",
        /// A handshake message came inside a secure session.
        HandshakeInSession = "handshake_in_session",
        /// Forged or disturbing frames on the line.
        BusInterference = "bus_interference",
        /// Two readers answer to one address.
        AddressConflict = "address_conflict",
        /// The reader's vendor or serial number changed.
        IdentityChanged = "identity_changed",
        /// The reader asked to be provisioned (install mode).
        InstallMode = "install_mode",
        /// A new key was set in the reader.
        KeyChanged = "key_changed",
        /// The secure session ended and is being set up again.
        SessionLost = "session_lost",
        /// The serial line or its adapter is gone.
        LineLost = "line_lost",
        /// The serial line is back.
        LineBack = "line_back",
        /// The serial adapter delays bytes (latency timer above 1 ms).
        AdapterSlow = "adapter_slow",
        /// The wall clock jumped.
        ClockJumped = "clock_jumped",
        /// New settings were refused; the earlier ones stay in force.
        SettingsRefused = "settings_refused",
        /// A policy snapshot was refused; the earlier one stays in force.
        PolicyRefused = "policy_refused",
        /// A command was refused (expired, replayed, wrong signature, unknown).
        CommandRefused = "command_refused",
        /// More events came than can be recorded; reading of devices is paused.
        Overload = "overload",
        /// The controller or system at the point decided by itself, by what it had been told.
        PeerDecision = "peer_decision",
        /// A network peer was refused, or broken off because of what it sent.
        PeerRefused = "peer_refused",
        /// A network peer's journal began anew.
        StreamReset = "stream_reset",
        /// Messages of a network peer are missing.
        StreamGap = "stream_gap",
        /// A network peer has messages that were not sent to it: one side is a restored copy.
        StreamAhead = "stream_ahead",
        /// A message of a network peer makes no sense here and was put aside.
        Quarantined = "quarantined",
        /// A device's clock is wrong.
        DeviceClock = "device_clock",
        /// A device says that it is out of order.
        DeviceFault = "device_fault",
        /// A device did not take a pass or an order.
        PassNotTaken = "pass_not_taken",
        /// What became of a grant was never reported.
        ReportMissing = "report_missing",
    }
}

/// A fact before the journal has numbered it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Wall time at the gateway when it noticed.
    pub at: UtcMillis,
    /// What happened.
    pub kind: Kind,
    /// Why, where there is a why.
    pub reason: Option<Reason>,
    /// The access point concerned.
    pub point: Option<PointId>,
    /// The reader concerned.
    pub reader: Option<ReaderId>,
    /// The reader's direction at that point.
    pub direction: Option<Direction>,
    /// The card read.
    pub card: Option<CardId>,
    /// Its holder, where known.
    pub person: Option<PersonId>,
    /// How long before `at` the device saw it, where the device says so or it can be bounded, in milliseconds;
    /// [`AGE_UNKNOWN_MS`] if it was late and nobody knows how late.
    pub age_ms: Option<u32>,
    /// Up to [`DETAIL_MAX_BYTES`] bytes for operators, never personal data: a serial number, a count, a version.
    pub detail: Option<String>,
}

/// Longest [`Draft::detail`], in bytes.
pub const DETAIL_MAX_BYTES: usize = 200;

/// [`Draft::age_ms`] of what happened at a time that nobody knows.
pub const AGE_UNKNOWN_MS: u32 = u32::MAX;

impl Draft {
    /// A fact with nothing but its time and kind; fill in the rest by struct update.
    pub fn new(at: UtcMillis, kind: Kind) -> Self {
        Self {
            at,
            kind,
            reason: None,
            point: None,
            reader: None,
            direction: None,
            card: None,
            person: None,
            age_ms: None,
            detail: None,
        }
    }

    /// When it happened, as far as is known: [`Draft::at`] less its age.
    pub fn happened_at(&self) -> UtcMillis {
        UtcMillis(self.at.0.saturating_sub(self.age_ms.map_or(0, i64::from)))
    }
}

/// A numbered fact: (gateway, epoch, seq) is its key everywhere and for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Whose journal.
    pub gateway: GatewayId,
    /// Which life of that journal.
    pub epoch: Epoch,
    /// 1, 2, 3 … without a gap within the epoch.
    pub seq: u64,
    /// The fact.
    pub fact: Draft,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_round_trip_and_are_unique() {
        for kind in Kind::ALL {
            assert_eq!(Kind::parse(kind.as_str()), Some(*kind));
        }
        for reason in Reason::ALL {
            assert_eq!(Reason::parse(reason.as_str()), Some(*reason));
        }
        assert_eq!(Kind::parse("Tap"), None);
    }
}
