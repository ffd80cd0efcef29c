//! The people of a scenario, with their cards: invented, and the same for the same seed. The same list can be
//! written as the file that `tapward people import` takes, so that the clinic knows the cards that will be shown.

use std::collections::HashSet;
use std::fmt::Write;

use domain::card::{self, CardFormat, CardNumber};

use crate::scenario::{PEOPLE_MAX, Scenario};

/// One person.
#[derive(Debug, Clone)]
pub struct Person {
    /// The name in files: `sim-CATEGORY-NUMBER`.
    pub reference: String,
    /// Index of the category in the scenario.
    pub category: usize,
    /// The card.
    pub card: CardNumber,
    /// The pass ran out years ago.
    pub expired: bool,
}

/// Everybody, in the order of categories.
pub fn people(scenario: &Scenario) -> Vec<Person> {
    let mut rng = fastrand::Rng::with_seed(scenario.seed ^ 0x9E0F);
    let mut taken = HashSet::new();
    let mut all = Vec::new();
    for (index, category) in scenario.categories.iter().enumerate() {
        let format = CardFormat::parse(&category.card_format).unwrap_or(CardFormat::FacilityNumber);
        for number in 1..=category.people.min(PEOPLE_MAX) {
            let card = loop {
                // A number drawn twice is drawn again; the formats hold far more cards than a scenario people.
                match draw(format, &mut rng) {
                    Some(card) if taken.insert(card.reveal()) => break card,
                    _ => {}
                }
            };
            let reference = format!("sim-{}-{number:04}", category.name);
            let expired = rng.f64() < scenario.mishaps.expired_pass;
            all.push(Person { reference, category: index, card, expired });
        }
    }
    all
}

/// A card that nobody registered: its facility is one that [`people`] never draws.
pub fn strange_card(rng: &mut fastrand::Rng) -> Option<CardNumber> {
    card::parse(CardFormat::Wiegand26, &format!("255,{}", rng.u16(..))).ok()
}

/// The people as the file that `tapward people import` reads.
pub fn people_csv(scenario: &Scenario) -> String {
    let mut csv = String::from("person,kind,category,card_format,card_number,valid_from,valid_until\n");
    for person in people(scenario) {
        let Some(category) = scenario.categories.get(person.category) else { continue };
        let wanted = CardFormat::parse(&category.card_format).unwrap_or(CardFormat::FacilityNumber);
        let Some((format, number)) = person.card.reveal_as().into_iter().find(|(format, _)| *format == wanted) else {
            continue;
        };
        let until = if person.expired { "2020-12-31" } else { "2099-12-31" };
        let (reference, kind, name) = (&person.reference, &category.kind, &category.name);
        // Writing to a String cannot fail.
        let _ = writeln!(csv, "{reference},{kind},{name},{format},\"{number}\",2020-01-01,{until}");
    }
    csv
}

fn draw(format: CardFormat, rng: &mut fastrand::Rng) -> Option<CardNumber> {
    let text = match format {
        CardFormat::Wiegand26 | CardFormat::FacilityNumber => format!("{},{}", rng.u8(1..255), rng.u16(..)),
        CardFormat::Wiegand34 => format!("{},{}", rng.u16(256..), rng.u16(..)),
        CardFormat::Wiegand37 => format!("{}", rng.u64(1..1 << 35)),
        CardFormat::UidHex | CardFormat::UidHexReversed => {
            // 04: the chip maker's byte of most seven-byte UIDs.
            let (high, low) = (rng.u32(..), rng.u16(..));
            if format == CardFormat::UidHex {
                format!("04{high:08X}{low:04X}")
            } else {
                format!("{high:08X}{low:04X}04")
            }
        }
    };
    card::parse(format, &text).ok()
}
