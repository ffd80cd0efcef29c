//! What a password must be: long enough, and hard to guess by who knows the usual tricks, the person and the site.
//! There are no rules about kinds of characters (ASVS 6.2.5), nothing is cut and no case is changed (6.2.8).

use std::fmt;

use thiserror::Error;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};
use zxcvbn::Score;
use zxcvbn::feedback::Warning;

use super::{PASSWORD_MAX_CHARS, PASSWORD_MIN_CHARS};

/// What a password must score at least: more than 10^8 guesses by the best known tricks.
const LEAST_SCORE: Score = Score::Three;

/// Characters that must stand beside a word that whoever guesses would try first.
const LEAST_BESIDE: usize = 8;

/// A password as somebody typed it. Kept as it is: no trimming, no change of case, no cutting.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Password(String);

impl Password {
    /// Takes what was typed.
    pub fn new(typed: impl Into<String>) -> Self {
        Self(typed.into())
    }

    /// Checks the rule. `known` are words that whoever guesses would try first: sign-in name, shown name, site.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn check(&self, known: &[&str]) -> Result<(), PasswordRefused> {
        let chars = self.0.chars().count();
        if chars < PASSWORD_MIN_CHARS {
            return Err(PasswordRefused::Short);
        }
        if chars > PASSWORD_MAX_CHARS {
            return Err(PasswordRefused::Long);
        }
        // Somebody who sits at a Russian or Ukrainian keyboard also types `qwerty` as `йцукен`, and words of Latin
        // lists have long held `gfhjkm`, which is `пароль`.
        let latin = Zeroizing::new(self.0.chars().map(on_latin_keys).collect::<String>());
        judge(&self.0, known)?;
        if *latin == self.0 { Ok(()) } else { judge(&latin, known) }
    }

    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

fn judge(password: &str, known: &[&str]) -> Result<(), PasswordRefused> {
    let plain = zxcvbn::zxcvbn(password, &[]);
    if plain.score() < LEAST_SCORE {
        return Err(match plain.feedback().and_then(zxcvbn::feedback::Feedback::warning) {
            Some(
                Warning::ThisIsATop10Password
                | Warning::ThisIsATop100Password
                | Warning::ThisIsACommonPassword
                | Warning::ThisIsSimilarToACommonlyUsedPassword,
            ) => PasswordRefused::Common,
            Some(
                Warning::StraightRowsOfKeysAreEasyToGuess
                | Warning::ShortKeyboardPatternsAreEasyToGuess
                | Warning::RepeatsLikeAaaAreEasyToGuess
                | Warning::RepeatsLikeAbcAbcAreOnlySlightlyHarderToGuess
                | Warning::SequencesLikeAbcAreEasyToGuess,
            ) => PasswordRefused::Pattern,
            _ => PasswordRefused::Weak,
        });
    }
    // Each word of a name by itself, too.
    let words: Vec<&str> = known
        .iter()
        .flat_map(|text| std::iter::once(*text).chain(text.split(|c: char| !c.is_alphanumeric())))
        .filter(|word| word.chars().count() >= 3)
        .collect();
    let lower = password.to_lowercase();
    let beside = |word: &&str| {
        let word = word.to_lowercase();
        lower.contains(&word) && lower.chars().count() < word.chars().count() + LEAST_BESIDE
    };
    let about = zxcvbn::zxcvbn(password, &words);
    let is_about = about.score() < LEAST_SCORE || words.iter().any(beside);
    if is_about { Err(PasswordRefused::AboutYou) } else { Ok(()) }
}

/// The character that the same key gives on a Latin keyboard.
fn on_latin_keys(c: char) -> char {
    const CYRILLIC: &str = "йцукенгшщзхъфывапролджэячсмитьбюёіїє";
    const LATIN: &str = "qwertyuiop[]asdfghjkl;'zxcvbnm,.`s]'";
    let lower = c.to_lowercase().next().unwrap_or(c);
    match CYRILLIC.chars().position(|key| key == lower).and_then(|at| LATIN.chars().nth(at)) {
        Some(latin) if c == lower => latin,
        Some(latin) => latin.to_ascii_uppercase(),
        None => c,
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(redacted)")
    }
}

/// Why a password is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PasswordRefused {
    /// Fewer than [`PASSWORD_MIN_CHARS`].
    #[error("it needs at least {PASSWORD_MIN_CHARS} characters")]
    Short,
    /// More than [`PASSWORD_MAX_CHARS`].
    #[error("it may have at most {PASSWORD_MAX_CHARS} characters")]
    Long,
    /// One of the passwords that everybody tries first, or nearly one.
    #[error("it is one of the passwords that are tried first")]
    Common,
    /// A run or a repetition.
    #[error("it repeats a few characters or follows the keyboard")]
    Pattern,
    /// The sign-in name, the shown name or the site with little around it.
    #[error("it is made from the sign-in name, the shown name or the name of the site")]
    AboutYou,
    /// Too few unexpected words or characters.
    #[error("it can be guessed; one or two unusual words more make it good")]
    Weak,
}

impl PasswordRefused {
    /// All reasons.
    pub const ALL: &'static [Self] =
        &[Self::Short, Self::Long, Self::Common, Self::Pattern, Self::AboutYou, Self::Weak];

    /// The stable code, key of translations.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Short => "short",
            Self::Long => "long",
            Self::Common => "common",
            Self::Pattern => "pattern",
            Self::AboutYou => "about-you",
            Self::Weak => "weak",
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str) -> Result<(), PasswordRefused> {
        Password::new(text).check(&["ivanenko", "Олена Бондар", "clinic-3", "tapward"])
    }

    #[test]
    fn the_rule_is_length_and_hard_to_guess() {
        assert_eq!(check("elevenchars"), Err(PasswordRefused::Short));
        assert_eq!(check("тихий ранок!"), Ok(()));
        assert_eq!(check("quiet teapot"), Ok(()));
        assert_eq!(check("correct horse battery"), Ok(()));
        assert_eq!(check(&"unlikely teapot 7 ".repeat(14)), Ok(()), "252 characters");
        assert_eq!(check(&"unlikely teapot 7 ".repeat(15)), Err(PasswordRefused::Long));
    }

    #[test]
    fn well_known_passwords_and_patterns_are_refused() {
        // Twelve characters and more out of the lists that are tried first, and their usual disguises.
        for common in [
            "qwertyuiop12",
            "QWERTY123456",
            "iloveyou1234",
            "Password1234",
            "passwordpassword",
            "unbelievable",
            "christopher1",
            "motherfucker",
            "123456789qwe",
            "administrator",
            "Pa$$w0rd1234",
        ] {
            assert!(check(common).is_err(), "{common}");
        }
        for pattern in ["123456789012", "aaaaaaaaaaaa", "abcdefghijkl", "121212121212", "987654321098", "qazwsxedcrfv"]
        {
            assert!(check(pattern).is_err(), "{pattern}");
        }
        // The same keys under another alphabet.
        for typed in ["йцукенгшщзхъ", "парольпароль", "Пароль123456", "фывапролджэ1"]
        {
            assert!(check(typed).is_err(), "{typed}");
        }
        for about in ["Ivanenko2026!", "my-tapward-12", "Олена2026!!!", "бондарбондар", "clinic-3-2026"]
        {
            assert!(check(about).is_err(), "{about}");
        }
        assert_eq!(check("Ivanenko2026!"), Err(PasswordRefused::AboutYou));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn no_kind_of_character_is_asked_for_or_refused(password in "\\PC{24,80}") {
            // Twenty-four random characters are never easy, whatever they are; a repetition may still come up.
            let result = check(&password);
            prop_assert!(matches!(result, Ok(()) | Err(PasswordRefused::Pattern)), "{result:?}");
        }

        #[test]
        fn one_alphabet_is_enough(password in "[a-z]{20,60}") {
            prop_assert!(matches!(check(&password), Ok(()) | Err(PasswordRefused::Pattern)));
        }

        #[test]
        fn whatever_is_typed_gets_an_answer(password in any::<String>()) {
            let short = password.chars().count() < PASSWORD_MIN_CHARS;
            prop_assert_eq!(check(&password) == Err(PasswordRefused::Short), short);
        }
    }
}
