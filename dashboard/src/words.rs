//! How a recorded fact is said: its tone, its words, what to do about it, and short forms of pseudonyms and names.

use clinic::vault::{Locked, VaultState};
use domain::event::AGE_UNKNOWN_MS;
use domain::{Direction, Draft, Kind, Reason};

use crate::language::Texts;
use crate::times::Times;

/// How much a fact asks of its reader. Shape, word and colour follow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// As it should be.
    Ok,
    /// Worth a look.
    Warn,
    /// Refusal or alarm.
    Bad,
    /// Good to know.
    Info,
}

impl Tone {
    /// The class name in the style sheet.
    pub const fn class(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Bad => "bad",
            Self::Info => "info",
        }
    }
}

/// Where a fact belongs on the live page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Somebody's attempt: the table and the banner.
    Attempt,
    /// What became of a grant: changes the attempt's row.
    Outcome,
    /// Something to look at: the table, and spoken.
    Alert,
    /// The journal only.
    Quiet,
}

/// Where `kind` belongs on the live page.
pub fn place_of(kind: Kind) -> Place {
    match kind {
        Kind::Granted | Kind::Refused | Kind::LateTap => Place::Attempt,
        Kind::Passed | Kind::NotTaken => Place::Outcome,
        Kind::Forced | Kind::Held | Kind::Offline | Kind::Tamper | Kind::PowerFault | Kind::Alarm => Place::Alert,
        Kind::Tap
        | Kind::PinEntered
        | Kind::ForcedEnd
        | Kind::HeldEnd
        | Kind::ExitRequest
        | Kind::Online
        | Kind::Secure
        | Kind::Insecure
        | Kind::TamperEnd
        | Kind::PowerGood
        | Kind::Command
        | Kind::Started
        | Kind::Stopped
        | Kind::SettingsChanged
        | Kind::PolicyChanged => Place::Quiet,
    }
}

/// What happened longer than this before it was recorded is shown as late and moves nothing on the live page, in
/// milliseconds: a controller that was alone tells afterwards. As old as a card may be that still opens a door.
const LATE_MS: u32 = 3_000;

/// How much earlier than recorded something happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Late {
    /// So many milliseconds.
    By(i64),
    /// Nobody knows how much: the clock there cannot be believed.
    Unknown,
}

/// Whether something is told afterwards. A late card is late by its name.
pub fn lateness(fact: &Draft) -> Option<Late> {
    match fact.age_ms.filter(|age| *age >= LATE_MS && fact.kind != Kind::LateTap)? {
        AGE_UNKNOWN_MS => Some(Late::Unknown),
        age => Some(Late::By(i64::from(age))),
    }
}

/// Whether this is told afterwards by somebody who was alone: the table has it, the banner and the voice do not. An
/// alarm is told however late it comes.
pub fn is_told_late(fact: &Draft) -> bool {
    lateness(fact).is_some() && matches!(place_of(fact.kind), Place::Attempt | Place::Outcome)
}

/// "12 min earlier", for what is late.
pub fn late_words(fact: &Draft, texts: &Texts, times: &Times) -> Option<String> {
    lateness(fact).map(|late| match late {
        Late::By(ms) => texts.a("late-by", &times.span(ms)),
        Late::Unknown => texts.t("late-unknown"),
    })
}

/// The tone of a fact.
pub fn tone_of(fact: &Draft) -> Tone {
    match fact.kind {
        Kind::PinEntered if matches!(fact.reason, Some(Reason::PinWrong | Reason::PinLocked)) => Tone::Warn,
        Kind::Granted | Kind::Passed | Kind::PinEntered => match fact.reason {
            // A controller that decides while it is alone does what it was told for that case.
            None | Some(Reason::Allowed | Reason::FreePassage | Reason::PeerDecision) => Tone::Ok,
            Some(Reason::Duress | Reason::Emergency) => Tone::Bad,
            Some(_) => Tone::Warn,
        },
        Kind::Refused | Kind::Forced | Kind::Offline | Kind::Tamper | Kind::PowerFault | Kind::Alarm => Tone::Bad,
        Kind::NotTaken | Kind::Held | Kind::LateTap | Kind::Insecure | Kind::Stopped => Tone::Warn,
        Kind::Online | Kind::Secure | Kind::TamperEnd | Kind::PowerGood | Kind::ForcedEnd | Kind::HeldEnd => Tone::Ok,
        Kind::Tap | Kind::ExitRequest | Kind::Command | Kind::Started | Kind::SettingsChanged | Kind::PolicyChanged => {
            Tone::Info
        }
    }
}

/// The fact in two or three words, with its reason where that is the point.
pub fn result_of(fact: &Draft, texts: &Texts) -> String {
    let kind = texts.code("kind-", fact.kind.as_str());
    match fact.reason {
        Some(reason) if reason != Reason::Allowed => {
            format!("{kind}: {}", texts.code("reason-short-", reason.as_str()))
        }
        Some(_) | None => kind,
    }
}

/// The reason as a sentence.
pub fn why_of(fact: &Draft, texts: &Texts) -> Option<String> {
    fact.reason.map(|reason| texts.code("reason-", reason.as_str()))
}

/// What to do about it; nothing for what is as it should be.
pub fn todo_of(fact: &Draft, texts: &Texts) -> Option<String> {
    let by_kind = || texts.code_if_any("todo-kind-", fact.kind.as_str());
    match (fact.kind, fact.reason) {
        (_, Some(Reason::Allowed)) => None,
        (Kind::NotTaken, Some(Reason::PeerDecision)) => by_kind(),
        (Kind::Granted | Kind::Passed | Kind::NotTaken, Some(reason)) if tone_of(fact) != Tone::Ok => {
            Some(texts.code_if_any("todo-soft-", reason.as_str()).unwrap_or_else(|| texts.t("todo-soft")))
        }
        (Kind::Refused | Kind::Alarm, Some(reason)) => texts.code_if_any("todo-", reason.as_str()).or_else(by_kind),
        _ => by_kind(),
    }
}

/// First eight digits of a pseudonym in two groups: enough to compare by eye, never a name.
pub fn short_id(hex: &str) -> String {
    let digits: Vec<char> = hex.chars().take(8).collect();
    let (head, tail) = digits.split_at(digits.len().min(4));
    let (head, tail): (String, String) = (head.iter().collect(), tail.iter().collect());
    // A space that does not break: the two groups are one word.
    if tail.is_empty() { head } else { format!("{head}\u{a0}{tail}") }
}

/// A configured name as it is read: `turnstile-1` is shown as `Turnstile 1`.
pub fn label(name: &str) -> String {
    let spaced: String = name.chars().map(|c| if matches!(c, '-' | '_') { ' ' } else { c }).collect();
    let mut chars = spaced.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// `in` or `out` in words.
pub fn direction(direction: Option<Direction>, texts: &Texts) -> String {
    direction.map_or_else(String::new, |direction| texts.code("direction-", direction.as_str()))
}

/// Where a fact happened: point and direction, else reader, else the gateway.
pub fn where_of(fact: &Draft, gateway: &str, texts: &Texts) -> String {
    match (&fact.point, &fact.reader) {
        (Some(point), _) => match fact.direction {
            // Stays together: the way belongs to the name.
            Some(way) => format!("{} ·\u{a0}{}", label(point.as_str()), direction(Some(way), texts)),
            None => label(point.as_str()),
        },
        (None, Some(reader)) => label(reader.as_str()),
        (None, None) => label(gateway),
    }
}

/// Why the vault shows no names now, and what to do; `None` while it is open.
pub fn locked(state: &VaultState, texts: &Texts) -> Option<String> {
    let key = match state {
        VaultState::Open { .. } => return None,
        VaultState::Locked(Locked::KeyAbsent) => "names-locked-absent",
        VaultState::Locked(Locked::PassphraseNeeded | Locked::NoPassphraseYet) => "names-locked-passphrase",
        VaultState::Locked(Locked::ByHand) => "names-locked-by-hand",
        VaultState::Locked(Locked::Workstation) => "names-locked-workstation",
        VaultState::Locked(Locked::ListDamaged) => "names-locked-list",
        VaultState::Locked(Locked::NotOpened | Locked::KeyUnreadable | Locked::WrongKey) => "names-locked-key",
    };
    Some(texts.t(key))
}

/// Who a fact is about: a person or card by short pseudonym.
pub fn who_of(fact: &Draft, texts: &Texts) -> String {
    match (&fact.person, &fact.card) {
        (Some(person), _) => texts.a("person-short", &short_id(&person.to_string())),
        (None, Some(_)) if fact.reason == Some(Reason::UnknownCard) => texts.t("card-unknown"),
        (None, Some(card)) => texts.a("card-short", &short_id(&card.to_string())),
        (None, None) => texts.t("equipment"),
    }
}

/// As [`who_of`] for a line of a table, where the column says that this is a person.
pub fn who_in_line(fact: &Draft, texts: &Texts) -> String {
    fact.person.map_or_else(|| who_of(fact, texts), |person| short_id(&person.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::Language;
    use domain::{CardId, PersonId, UtcMillis};

    #[test]
    fn every_kind_and_reason_has_words_in_every_language() {
        for language in Language::ALL {
            let texts = language.texts();
            for kind in Kind::ALL {
                assert!(texts.code_if_any("kind-", kind.as_str()).is_some(), "{language:?} kind-{kind}");
            }
            for reason in Reason::ALL {
                for prefix in ["reason-", "reason-short-"] {
                    assert!(texts.code_if_any(prefix, reason.as_str()).is_some(), "{language:?} {prefix}{reason}");
                }
            }
        }
    }

    #[test]
    fn every_refusal_and_alert_says_what_to_do() {
        for language in Language::ALL {
            let texts = language.texts();
            for reason in Reason::ALL.iter().filter(|reason| **reason != Reason::Allowed) {
                for kind in [Kind::Refused, Kind::Alarm, Kind::Granted] {
                    let fact = Draft { reason: Some(*reason), ..Draft::new(UtcMillis(0), kind) };
                    let expected = !(kind == Kind::Granted && tone_of(&fact) == Tone::Ok);
                    assert_eq!(todo_of(&fact, &texts).is_some(), expected, "{language:?} {kind} {reason}");
                }
            }
            for kind in Kind::ALL.iter().filter(|kind| place_of(**kind) == Place::Alert) {
                let fact = Draft::new(UtcMillis(0), *kind);
                assert!(todo_of(&fact, &texts).is_some(), "{language:?} {kind}");
            }
        }
    }

    #[test]
    fn what_is_told_afterwards_is_late_but_an_alarm_is_still_told() {
        let at = |kind, age_ms| Draft { age_ms, ..Draft::new(UtcMillis(0), kind) };
        for (kind, age_ms, late) in [
            (Kind::Granted, None, false),
            (Kind::Granted, Some(LATE_MS - 1), false),
            (Kind::Granted, Some(LATE_MS), true),
            (Kind::Passed, Some(3_600_000), true),
            (Kind::Forced, Some(3_600_000), false),
            (Kind::LateTap, Some(3_600_000), false),
        ] {
            assert_eq!(is_told_late(&at(kind, age_ms)), late, "{kind} {age_ms:?}");
        }
        let (texts, times) = (Language::En.texts(), Times::new(chrono_tz::UTC, Language::En.texts()));
        let words = |kind| late_words(&at(kind, Some(1_800_000)), &texts, &times);
        assert_eq!(words(Kind::Passed).as_deref(), Some("30 min earlier"));
        assert_eq!(words(Kind::Forced).as_deref(), Some("30 min earlier"), "told, with its age");
        let unknown = at(Kind::Passed, Some(AGE_UNKNOWN_MS));
        assert!(is_told_late(&unknown));
        assert_eq!(late_words(&unknown, &texts, &times).as_deref(), Some("earlier, nobody knows when"));
    }

    #[test]
    fn a_person_is_a_short_pseudonym() {
        let mut fact = Draft::new(UtcMillis(0), Kind::Granted);
        fact.card = Some(CardId([0xab; 16]));
        assert_eq!(who_of(&fact, &Language::En.texts()), "Card abab\u{a0}abab");
        fact.person = Some(PersonId([0x12; 16]));
        assert_eq!(who_of(&fact, &Language::En.texts()), "Person 1212\u{a0}1212");
    }

    #[test]
    fn configured_names_become_labels() {
        assert_eq!(label("turnstile-1"), "Turnstile 1");
        assert_eq!(label(""), "");
        assert_eq!(short_id("ab"), "ab");
    }
}
