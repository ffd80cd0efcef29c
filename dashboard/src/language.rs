//! The languages of the pages. Owns the translation files (`locales/*/*.ftl`, embedded) and how one is chosen:
//! the account's, else what the browser asks for, else the site's.

use std::sync::LazyLock;

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource};
use unic_langid::{LanguageIdentifier, langid};

/// A language that every text exists in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Language {
    /// English.
    En,
    /// Russian.
    Ru,
}

impl Language {
    /// All languages, in the order of the menu.
    pub const ALL: &'static [Self] = &[Self::En, Self::Ru];

    /// The code in accounts, forms and `lang` attributes.
    pub const fn code(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Ru => "ru",
        }
    }

    /// The language's name in itself.
    pub const fn own_name(self) -> &'static str {
        match self {
            Self::En => "English",
            Self::Ru => "Русский",
        }
    }

    /// Reads a code, with or without a region.
    pub fn parse(code: &str) -> Option<Self> {
        let main = code.split(['-', '_']).next().unwrap_or_default();
        Self::ALL.iter().copied().find(|language| language.code().eq_ignore_ascii_case(main))
    }

    /// The best of ours for an `Accept-Language` header.
    pub fn from_header(header: &str) -> Option<Self> {
        let mut best: Option<(f32, Self)> = None;
        for wish in header.split(',').take(16) {
            let mut parts = wish.split(';');
            let Some(language) = Self::parse(parts.next().unwrap_or_default().trim()) else { continue };
            let weight = parts.find_map(|part| part.trim().strip_prefix("q=")?.trim().parse().ok()).unwrap_or(1.0_f32);
            if weight > 0.0 && best.is_none_or(|(most, _)| weight > most) {
                best = Some((weight, language));
            }
        }
        best.map(|(_, language)| language)
    }

    /// The texts of this language.
    pub fn texts(self) -> Texts {
        Texts { language: self }
    }

    fn sources(self) -> &'static [&'static str] {
        match self {
            Self::En => &[
                include_str!("../locales/en/pages.ftl"),
                include_str!("../locales/en/local.ftl"),
                include_str!("../locales/en/accounts.ftl"),
                include_str!("../locales/en/audit.ftl"),
                include_str!("../locales/en/events.ftl"),
                include_str!("../locales/en/people.ftl"),
                include_str!("../locales/en/privacy.ftl"),
                include_str!("../locales/en/roles.ftl"),
                include_str!("../locales/en/api.ftl"),
                include_str!("../locales/en/vault.ftl"),
                include_str!("../locales/en/me.ftl"),
                include_str!("../locales/en/notices.ftl"),
                include_str!("../locales/en/exchange.ftl"),
                include_str!("../locales/en/openid.ftl"),
                include_str!("../locales/en/desk.ftl"),
                include_str!("../locales/en/visits.ftl"),
                include_str!("../locales/en/feeds.ftl"),
                include_str!("../locales/en/till.ftl"),
                include_str!("../locales/en/cashier.ftl"),
                include_str!("../locales/en/till_office.ftl"),
                include_str!("../locales/en/till_report.ftl"),
                include_str!("../locales/en/reconciliation.ftl"),
            ],
            Self::Ru => &[
                include_str!("../locales/ru/pages.ftl"),
                include_str!("../locales/ru/local.ftl"),
                include_str!("../locales/ru/accounts.ftl"),
                include_str!("../locales/ru/audit.ftl"),
                include_str!("../locales/ru/events.ftl"),
                include_str!("../locales/ru/people.ftl"),
                include_str!("../locales/ru/privacy.ftl"),
                include_str!("../locales/ru/roles.ftl"),
                include_str!("../locales/ru/api.ftl"),
                include_str!("../locales/ru/vault.ftl"),
                include_str!("../locales/ru/me.ftl"),
                include_str!("../locales/ru/notices.ftl"),
                include_str!("../locales/ru/exchange.ftl"),
                include_str!("../locales/ru/openid.ftl"),
                include_str!("../locales/ru/desk.ftl"),
                include_str!("../locales/ru/visits.ftl"),
                include_str!("../locales/ru/feeds.ftl"),
                include_str!("../locales/ru/till.ftl"),
                include_str!("../locales/ru/cashier.ftl"),
                include_str!("../locales/ru/till_office.ftl"),
                include_str!("../locales/ru/till_report.ftl"),
                include_str!("../locales/ru/reconciliation.ftl"),
            ],
        }
    }

    fn bundle(self) -> &'static FluentBundle<FluentResource> {
        match self {
            Self::En => &EN,
            Self::Ru => &RU,
        }
    }
}

static EN: LazyLock<FluentBundle<FluentResource>> = LazyLock::new(|| bundle(Language::En, langid!("en")));
static RU: LazyLock<FluentBundle<FluentResource>> = LazyLock::new(|| bundle(Language::Ru, langid!("ru")));

fn bundle(language: Language, id: LanguageIdentifier) -> FluentBundle<FluentResource> {
    let mut bundle = FluentBundle::new_concurrent(vec![id]);
    // HTML has its own direction marks; exports and tests want plain text.
    bundle.set_use_isolating(false);
    for source in language.sources() {
        // A file with an error still gives its good entries; the tests refuse any error.
        let resource = FluentResource::try_new((*source).to_owned()).unwrap_or_else(|(partial, _)| partial);
        let _ = bundle.add_resource(resource);
    }
    bundle
}

/// Looks texts up. A key without a text shows itself, so that a gap is seen and never hides a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Texts {
    language: Language,
}

impl Texts {
    /// Which language this is.
    pub fn language(&self) -> Language {
        self.language
    }

    /// The text of `key`.
    pub fn t(&self, key: &str) -> String {
        self.find(key, None).unwrap_or_else(|| key.to_owned())
    }

    /// The text of `key` for a number `n`, with the plural of the language.
    pub fn n(&self, key: &str, n: impl Into<Number>) -> String {
        let mut args = FluentArgs::new();
        args.set("n", n.into().0);
        self.find(key, Some(&args)).unwrap_or_else(|| key.to_owned())
    }

    /// The text of `key` with `$a` in it.
    pub fn a(&self, key: &str, a: &str) -> String {
        let mut args = FluentArgs::new();
        args.set("a", a.to_owned());
        self.find(key, Some(&args)).unwrap_or_else(|| key.to_owned())
    }

    /// The text of `key` with several named values in it.
    pub fn with(&self, key: &str, values: &[(&str, String)]) -> String {
        let mut args = FluentArgs::new();
        for (name, value) in values {
            args.set((*name).to_owned(), value.clone());
        }
        self.find(key, Some(&args)).unwrap_or_else(|| key.to_owned())
    }

    /// The text of a key built from a code, for example `reason-` and `expired`; the code itself if this version does
    /// not know it (a newer gateway may send it).
    pub fn code(&self, prefix: &str, code: &str) -> String {
        self.find(&format!("{prefix}{code}"), None).unwrap_or_else(|| code.to_owned())
    }

    /// As [`Texts::code`], `None` where there is no text.
    pub fn code_if_any(&self, prefix: &str, code: &str) -> Option<String> {
        self.find(&format!("{prefix}{code}"), None)
    }

    fn find(&self, key: &str, args: Option<&FluentArgs<'_>>) -> Option<String> {
        let bundle = self.language.bundle();
        let pattern = bundle.get_message(key)?.value()?;
        let mut errors = Vec::new();
        Some(bundle.format_pattern(pattern, args, &mut errors).into_owned())
    }
}

/// A count of any width; beyond 2^53 no page counts.
pub struct Number(i64);

macro_rules! number {
    ($($type:ty),*) => {
        $(impl From<$type> for Number {
            fn from(n: $type) -> Self {
                Self(i64::try_from(n).unwrap_or(i64::MAX))
            }
        }
        impl From<&$type> for Number {
            fn from(n: &$type) -> Self {
                Self::from(*n)
            }
        })*
    };
}
number!(i64, u64, usize, i32, u8);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_browser_is_heard_by_weight() {
        assert_eq!(Language::from_header("de, ru-RU;q=0.8, en;q=0.7"), Some(Language::Ru));
        assert_eq!(Language::from_header("en-GB,en;q=0.9,ru;q=0.1"), Some(Language::En));
        assert_eq!(Language::from_header("ru;q=0, fr"), None);
        assert_eq!(Language::from_header(";;;q=,\u{0}"), None);
    }

    #[test]
    fn russian_counts_people_right() {
        let texts = Language::Ru.texts();
        for (n, expected) in [
            (1, "1 человек"),
            (2, "2 человека"),
            (5, "5 человек"),
            (21, "21 человек"),
            (22, "22 человека"),
            (111, "111 человек"),
        ] {
            assert_eq!(texts.n("people-count", n), expected);
        }
        assert_eq!(Language::En.texts().n("people-count", 1), "1 person");
    }
}
