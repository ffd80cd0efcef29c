//! From a reading to a card number. Which of the printed bytes, in which order, are the card that other readers of
//! the house see is a setting of the reader model, found once with one known card.

use domain::card::{self, CardError, CardFormat, CardNumber};

use super::reading::Identifier;

/// How a reader's identifiers become card numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IdentityRule {
    /// The bytes as they were printed.
    #[default]
    AsRead,
    /// The bytes, last one first.
    Reversed,
    /// The bytes, the first so many moved to the end: 4 for readers that print the last three bytes of a seven-byte
    /// UID first.
    RotatedLeft(u8),
    /// The facility and number at the end of the line, as Wiegand readers of the same card send them. Cards that
    /// differ only in the part that Wiegand leaves out are one card then.
    FacilityNumber,
}

impl Identifier {
    /// The card number by a rule. An error if the identifier has a length that no card has, or no facility and
    /// number were printed where the rule wants them.
    pub fn number(&self, rule: IdentityRule) -> Result<CardNumber, CardError> {
        let mut bytes = self.bytes().to_vec();
        match rule {
            IdentityRule::AsRead => match self.facility_number() {
                // Nothing else was printed.
                Some(pair) if self.is_facility_number_only() => from_pair(pair),
                _ => card::from_bits(self.bits(), &bytes),
            },
            IdentityRule::Reversed => {
                bytes.reverse();
                card::from_bits(self.bits(), &bytes)
            }
            IdentityRule::RotatedLeft(places) => {
                let places = usize::from(places) % bytes.len().max(1);
                bytes.rotate_left(places);
                card::from_bits(self.bits(), &bytes)
            }
            IdentityRule::FacilityNumber => from_pair(self.facility_number().ok_or(CardError::Empty)?),
        }
    }
}

fn from_pair((facility, number): (u32, u32)) -> Result<CardNumber, CardError> {
    card::parse(CardFormat::FacilityNumber, &format!("{facility},{number}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ascii::{Event, Pattern, Profile, Source};
    use std::time::Duration;

    fn read(profile: Profile, line: &str) -> Identifier {
        let mut source = Source::new(profile);
        assert_eq!(source.on_bytes(Duration::ZERO, line.as_bytes()), line.len());
        let Some(Event::Card(reading)) = source.poll_event() else { panic!("{line}") };
        reading.identifier
    }

    #[test]
    fn a_proximity_card_is_the_same_at_the_desk_and_at_a_wiegand_reader() {
        let at_the_desk = read(Profile::IronLogic, "Em-Marine[5500] 126,58404\r");
        let at_the_door = card::parse(CardFormat::Wiegand26, "126,58404").unwrap();
        assert_eq!(at_the_desk.number(IdentityRule::FacilityNumber), Ok(at_the_door));
        let whole = card::parse(CardFormat::UidHex, "55007EE424").unwrap();
        assert_eq!(at_the_desk.number(IdentityRule::AsRead), Ok(whole));
    }

    #[test]
    fn a_seven_byte_uid_is_put_in_the_order_of_the_air() {
        let at_the_desk = read(Profile::IronLogic, "Mifare[124A2D80042C27] DF (0144,20) 004,11303\r");
        // If the reader prints bytes 3 to 6 and then 0 to 2, the maker's code 04 (NXP) comes first on the air.
        let on_the_air = card::parse(CardFormat::UidHex, "042C27124A2D80").unwrap();
        assert_eq!(at_the_desk.number(IdentityRule::RotatedLeft(4)), Ok(on_the_air));
        let reversed = card::parse(CardFormat::UidHexReversed, "124A2D80042C27").unwrap();
        assert_eq!(at_the_desk.number(IdentityRule::Reversed), Ok(reversed));
    }

    #[test]
    fn a_configured_line_with_facility_and_number_is_that_card() {
        let pattern = Profile::Pattern(Pattern::new("{facility}-{number}").unwrap());
        let printed = card::parse(CardFormat::FacilityNumber, "126,58404").unwrap();
        assert_eq!(read(pattern, "126-58404\r").number(IdentityRule::AsRead), Ok(printed));
        let uid = read(Profile::Pattern(Pattern::new("{uid}").unwrap()), "BCD14264\r");
        assert!(uid.number(IdentityRule::FacilityNumber).is_err());
    }
}
