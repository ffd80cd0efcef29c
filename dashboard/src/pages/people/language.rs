//! The language of a person in words: which, and where it is known from.

use clinic::people::{LanguageKnown, LanguageTold, Spoken};

use crate::language::Texts;

/// Languages offered on the form, with their own names.
pub const LANGUAGES: &[(&str, &str)] = &[
    ("en", "English"),
    ("ru", "Русский"),
    ("uk", "Українська"),
    ("pl", "Polski"),
    ("de", "Deutsch"),
    ("fr", "Français"),
    ("es", "Español"),
    ("it", "Italiano"),
    ("ro", "Română"),
    ("hu", "Magyar"),
    ("tr", "Türkçe"),
    ("ar", "العربية"),
    ("zh", "中文"),
];

/// What a language calls itself; its code where we do not know that.
pub fn name(language: &Spoken) -> &str {
    let own = LANGUAGES.iter().find(|(code, _)| *code == language.as_str());
    own.map_or(language.as_str(), |(_, name)| name)
}

/// What another system told.
pub fn told(told: &LanguageTold, texts: &Texts) -> String {
    let language = name(&told.language);
    match &told.by {
        Some(by) => texts.with("language-told", &[("language", language.to_owned()), ("by", by.clone())]),
        None => texts.a("language-listed", language),
    }
}

/// The language that counts; `None` where none is known.
pub fn known(known: &LanguageKnown, texts: &Texts) -> Option<String> {
    let set = known.set.as_ref().map(|set| texts.a("language-set", name(set)));
    set.or_else(|| known.told.as_ref().map(|it| told(it, texts)))
}
