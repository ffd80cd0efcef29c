//! Events: which fields are asked for, how a row becomes an event, and what a transaction code means.
//!
//! The service's codes are told in its own dictionary (`GetTransactionTypes`), in the server's language and without a
//! public list. The few codes that are public stand in [`KNOWN`]; every other one is judged by its name there
//! ([`Meaning::of`]), and one that says nothing about a passage is left alone.

use domain::{Direction, Reason, UtcMillis};

use super::answer::Value;
use super::code::Code;
use super::guid::Guid;

/// Fields of a report, in the order in which they are asked for.
pub const FIELDS: [Guid; 7] = [
    field::DATE_TIME,
    field::CODE,
    field::SOURCE,
    field::USER_ID,
    field::USER_ID_OTHER,
    field::IDENTIFIER,
    field::DETAILS,
];

/// The report's fields by name. There are more; those with names and photographs of persons are not asked for.
pub mod field {
    use super::Guid;

    /// When.
    pub const DATE_TIME: Guid = Guid::of(0x2C5E_E108_28E3_4DCC_8C95_7F32_22D8_E67F);
    /// The transaction code, a number.
    pub const CODE: Guid = Guid::of(0x57CA_38E4_ED6F_4D12_ADCB_2FAA_16F9_50D7);
    /// The territory, by name.
    pub const SOURCE: Guid = Guid::of(0x6339_04B5_971B_4751_96A0_92DC_03D5_F616);
    /// The person.
    pub const USER_ID: Guid = Guid::of(0x68EF_9FD3_A72D_4520_9C63_5C37_B0AE_8539);
    /// The person, as other clients ask for it.
    pub const USER_ID_OTHER: Guid = Guid::of(0x7C6D_82A0_C8C8_495B_9728_3578_0719_3D23);
    /// The card's code.
    pub const IDENTIFIER: Guid = Guid::of(0x0DE3_58E0_C91B_4333_B902_0000_0000_0005);
    /// Further words.
    pub const DETAILS: Guid = Guid::of(0x03CE_B65F_DCAD_4B56_94B8_BE9F_DB46_3988);
}

/// One row of the report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When it happened, by the clock of the system.
    pub at: UtcMillis,
    /// Which transaction.
    pub code: u32,
    /// Where: the territory's name, or its id where the server gives that.
    pub source: Source,
    /// Who, if known to the system.
    pub person: Option<Guid>,
    /// The card, if there was one that is a code.
    pub card: Option<Code>,
}

/// A territory as the report names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Source {
    /// By name.
    Name(String),
    /// By id.
    Id(Guid),
    /// Not at all.
    Unknown,
}

/// Longest name of a territory that is compared, in characters.
const NAME_MAX_CHARS: usize = 200;

impl Event {
    /// Reads a row that was asked for with [`FIELDS`]. `None`: no time or no code, so it is no event.
    pub fn read(values: &[Value]) -> Option<Self> {
        let value = |wanted: Guid| FIELDS.iter().position(|field| *field == wanted).and_then(|at| values.get(at));
        let source = value(field::SOURCE);
        let source = match (source.and_then(Value::guid), source.and_then(Value::text)) {
            (Some(id), _) => Source::Id(id),
            (None, Some(name)) => {
                Source::Name(name.chars().take(NAME_MAX_CHARS).collect::<String>().trim_end().to_owned())
            }
            (None, None) => Source::Unknown,
        };
        let person = |field| value(field).and_then(Value::guid).filter(|person| !person.is_nil());
        Some(Self {
            at: value(field::DATE_TIME)?.instant()?,
            code: value(field::CODE)?.int()?.try_into().ok()?,
            source,
            person: person(field::USER_ID).or_else(|| person(field::USER_ID_OTHER)),
            card: value(field::IDENTIFIER).and_then(Value::text).and_then(Code::parse),
        })
    }

    /// The row that [`Event::read`] reads, for the other end.
    pub fn write(&self) -> Vec<Value> {
        let person = self.person.map_or(Value::Nil, Value::Guid);
        let card = self.card.as_ref().map_or(Value::Nil, |card| Value::Text(card.text().to_string()));
        let source = match &self.source {
            Source::Name(name) => Value::Text(name.clone()),
            Source::Id(id) => Value::Guid(*id),
            Source::Unknown => Value::Nil,
        };
        let code = Value::Int(self.code.into());
        vec![Value::At(self.at), code, source, person.clone(), person, card, Value::Nil]
    }
}

/// What happened at a point, as far as a transaction tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// The system let somebody in or out.
    Granted,
    /// The system refused.
    Refused,
    /// Somebody went through.
    Passed,
    /// Opened without a grant.
    Forced,
    /// Somebody was forced to use the card.
    Duress,
    /// The system waits for a guard's answer.
    Asks,
}

/// A transaction's meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meaning {
    /// What happened.
    pub what: What,
    /// Which way, if the transaction says it.
    pub direction: Option<Direction>,
    /// Why, if it says more than that the system decided.
    pub reason: Option<Reason>,
}

const fn meaning(what: What, direction: Direction) -> Meaning {
    Meaning { what, direction: Some(direction), reason: None }
}

/// Codes that are public, with what they mean. The last four are used by integrators as further kinds of entry and
/// exit; their names have not been seen, so they count as granted, never as passed.
pub const KNOWN: [(u32, Meaning); 11] = [
    (590_144, meaning(What::Granted, Direction::In)),
    (590_145, meaning(What::Granted, Direction::Out)),
    (590_146, Meaning { what: What::Granted, direction: Some(Direction::Out), reason: Some(Reason::OutsideHours) }),
    (590_152, meaning(What::Passed, Direction::In)),
    (590_153, meaning(What::Passed, Direction::Out)),
    (590_244, meaning(What::Granted, Direction::Out)),
    (590_245, meaning(What::Passed, Direction::Out)),
    (590_165, meaning(What::Granted, Direction::In)),
    (590_166, meaning(What::Granted, Direction::Out)),
    (65_867, meaning(What::Granted, Direction::In)),
    (65_866, meaning(What::Granted, Direction::Out)),
];

impl Meaning {
    /// What a code means, by [`KNOWN`] or else by its name in the server's dictionary. `None`: nothing about a passage.
    pub fn of(code: u32, name: Option<&str>) -> Option<Self> {
        let known = KNOWN.iter().find(|(known, _)| *known == code).map(|(_, meaning)| *meaning);
        known.or_else(|| Self::by_name(name?))
    }

    /// Judged by words of a name, Russian or English. The order matters: "no entry" is not an entry, and a request
    /// for verification mentions an entry too.
    fn by_name(name: &str) -> Option<Self> {
        let name = name.to_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
        let direction = match (has(&["вход", "entry", "enter"]), has(&["выход", "exit"])) {
            (true, false) => Some(Direction::In),
            (false, true) => Some(Direction::Out),
            _ => None,
        };
        let of = |what, reason| Some(Self { what, direction, reason });
        if has(&["верификац", "verification"]) {
            let waits = has(&["запрос", "ожида", "требу", "request", "wait", "requir"]);
            return if waits { of(What::Asks, None) } else { None };
        }
        if has(&["принужд", "duress"]) {
            return of(What::Duress, Some(Reason::Duress));
        }
        if has(&["взлом", "forced"]) {
            return of(What::Forced, None);
        }
        direction?;
        if has(&["нет входа", "нет выхода", "no entry", "no exit", "denied", "запрещ", "отказ"])
        {
            return of(What::Refused, refusal(&has));
        }
        if has(&["фактический", "actual"]) {
            return of(What::Passed, None);
        }
        if has(&["нормальный", "авторизированный", "авторизованный", "normal", "authorized", "authorised"])
        {
            return of(What::Granted, None);
        }
        None
    }
}

/// The reason that a refusal's name tells.
fn refusal(has: &impl Fn(&[&str]) -> bool) -> Option<Reason> {
    if has(&["нет в бд", "нет в базе", "not in database", "unknown"]) {
        Some(Reason::UnknownCard)
    } else if has(&["временному профилю", "времен", "time profile", "schedule"]) {
        Some(Reason::OutsideHours)
    } else if has(&["нет разрешения", "no permission", "not permitted"]) {
        Some(Reason::NoRule)
    } else if has(&["антипасс", "anti-pass", "antipass", "повторн"]) {
        Some(Reason::AntiPassback)
    } else if has(&["заблокирован", "blocked"]) {
        Some(Reason::Blocked)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_codes_mean_what_their_table_says_whatever_the_dictionary_says() {
        let entered = Meaning::of(590_152, Some("Нет входа")).unwrap();
        assert_eq!(entered, meaning(What::Passed, Direction::In));
        assert_eq!(Meaning::of(0x90140, None), Some(meaning(What::Granted, Direction::In)));
        assert_eq!(Meaning::of(590_146, None).unwrap().reason, Some(Reason::OutsideHours));
    }

    #[test]
    fn other_codes_are_judged_by_their_names() {
        let cases = [
            ("Нет входа - идентификатора нет в БД", What::Refused, Some(Direction::In), Some(Reason::UnknownCard)),
            ("Нет выхода по временному профилю", What::Refused, Some(Direction::Out), Some(Reason::OutsideHours)),
            ("Нет входа - нет разрешения", What::Refused, Some(Direction::In), Some(Reason::NoRule)),
            ("Нет входа по причине", What::Refused, Some(Direction::In), None),
            ("Фактический вход", What::Passed, Some(Direction::In), None),
            ("Авторизированный выход", What::Granted, Some(Direction::Out), None),
            ("Взлом двери", What::Forced, None, None),
            ("Вход под принуждением", What::Duress, Some(Direction::In), Some(Reason::Duress)),
            ("Запрос верификации на вход", What::Asks, Some(Direction::In), None),
            ("Normal entry by key", What::Granted, Some(Direction::In), None),
        ];
        for (name, what, direction, reason) in cases {
            assert_eq!(Meaning::of(1, Some(name)), Some(Meaning { what, direction, reason }), "{name}");
        }
    }

    #[test]
    fn names_that_say_nothing_about_a_passage_mean_nothing() {
        for name in [
            "",
            "Изменение прав доступа",
            "Изменение/создание объекта \"персона\"",
            "Удаление объекта",
            "Вход оператора в систему",
            "Результат верификации: вход",
            "Нормальный режим работы",
        ] {
            assert_eq!(Meaning::of(1, Some(name)), None, "{name}");
        }
        assert_eq!(Meaning::of(1, None), None);
    }

    #[test]
    fn a_row_is_read_however_its_values_are_typed() {
        let event = Event {
            at: UtcMillis::from_rfc3339("2026-11-22T09:15:30Z").unwrap(),
            code: 590_144,
            source: Source::Name("Турникет 1".into()),
            person: Some(Guid::of(7)),
            card: Code::parse("005A0144"),
        };
        assert_eq!(Event::read(&event.write()), Some(event.clone()));
        let text = |text: &str| Value::Text(text.to_owned());
        let person = Guid::of(7).to_string();
        let row = [
            text("2026-11-22T09:15:30"),
            text("590144"),
            text(" Турникет 1 "),
            Value::Nil,
            text(&person),
            text("5A0144"),
        ];
        assert_eq!(Event::read(&row), Some(event));
        assert_eq!(Event::read(&row[..1]), None);
        assert_eq!(Event::read(&[]), None);
    }
}
