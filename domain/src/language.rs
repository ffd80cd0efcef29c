//! The language that a person is spoken to in, as a code, from whatever other systems write: BCP 47 tags, ISO 639 codes of two
//! or three letters, locales. Owns which of them mean the same. Whether there are texts in a language is the pages' affair.

/// Longest tag that is read, in bytes; RFC 5646 asks for 35.
const TAG_MAX_BYTES: usize = 64;

/// A language: its code of two letters (ISO 639-1), or of three where there is none of two (ISO 639-3). Without script and
/// region.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Spoken(String);

impl Spoken {
    /// Reads a code, with or without script and region, in letters of any size: `uk`, `uk-UA`, `ru_RU`, `UKR`, `zh-Hant-TW`.
    /// Codes that mean the same become the same (`rus`, `ru`; `ger`, `deu`, `de`).
    ///
    /// `None`: it is no such code, or one that names no language (`und`, `zxx`, `mul`, `mis`, private ones). Codes of two
    /// letters must be known: `ua` is a country. Of those of three only the form is looked at.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.len() > TAG_MAX_BYTES {
            return None;
        }
        let mut parts = text.split(['-', '_']);
        let main = parts.next()?.to_ascii_lowercase();
        if !main.bytes().all(|byte| byte.is_ascii_lowercase()) || !parts.all(is_subtag) {
            return None;
        }
        let code = match main.len() {
            2 => match RENAMED.iter().find(|(old, _)| *old == main) {
                Some((_, new)) => (*new).to_owned(),
                None => CODES.iter().any(|(_, two)| *two == main).then_some(main)?,
            },
            3 if names_none(&main) => return None,
            3 => match CODES.binary_search_by_key(&main.as_str(), |(three, _)| three) {
                Ok(at) => CODES[at].1.to_owned(),
                Err(_) => main,
            },
            _ => return None,
        };
        Some(Self(code))
    }

    /// The code.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Script, region, variant, extension: one to eight letters and digits.
fn is_subtag(part: &str) -> bool {
    matches!(part.len(), 1..=8) && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Codes of three letters that say that no language, several or an unlisted one is meant, and the private ones.
fn names_none(code: &str) -> bool {
    matches!(code, "und" | "zxx" | "mul" | "mis") || ("qaa"..="qtz").contains(&code)
}

/// Codes of two letters that were withdrawn and are still written.
const RENAMED: &[(&str, &str)] = &[("in", "id"), ("iw", "he"), ("ji", "yi"), ("mo", "ro")];

/// Codes of three letters (ISO 639-2, both kinds) of the languages that have one of two, in order.
#[rustfmt::skip]
const CODES: &[(&str, &str)] = &[
    ("aar", "aa"), ("abk", "ab"), ("afr", "af"), ("aka", "ak"), ("alb", "sq"), ("amh", "am"), ("ara", "ar"),
    ("arg", "an"), ("arm", "hy"), ("asm", "as"), ("ava", "av"), ("ave", "ae"), ("aym", "ay"), ("aze", "az"),
    ("bak", "ba"), ("bam", "bm"), ("baq", "eu"), ("bel", "be"), ("ben", "bn"), ("bis", "bi"), ("bod", "bo"),
    ("bos", "bs"), ("bre", "br"), ("bul", "bg"), ("bur", "my"), ("cat", "ca"), ("ces", "cs"), ("cha", "ch"),
    ("che", "ce"), ("chi", "zh"), ("chu", "cu"), ("chv", "cv"), ("cor", "kw"), ("cos", "co"), ("cre", "cr"),
    ("cym", "cy"), ("cze", "cs"), ("dan", "da"), ("deu", "de"), ("div", "dv"), ("dut", "nl"), ("dzo", "dz"),
    ("ell", "el"), ("eng", "en"), ("epo", "eo"), ("est", "et"), ("eus", "eu"), ("ewe", "ee"), ("fao", "fo"),
    ("fas", "fa"), ("fij", "fj"), ("fin", "fi"), ("fra", "fr"), ("fre", "fr"), ("fry", "fy"), ("ful", "ff"),
    ("geo", "ka"), ("ger", "de"), ("gla", "gd"), ("gle", "ga"), ("glg", "gl"), ("glv", "gv"), ("gre", "el"),
    ("grn", "gn"), ("guj", "gu"), ("hat", "ht"), ("hau", "ha"), ("hbs", "sh"), ("heb", "he"), ("her", "hz"),
    ("hin", "hi"), ("hmo", "ho"), ("hrv", "hr"), ("hun", "hu"), ("hye", "hy"), ("ibo", "ig"), ("ice", "is"),
    ("ido", "io"), ("iii", "ii"), ("iku", "iu"), ("ile", "ie"), ("ina", "ia"), ("ind", "id"), ("ipk", "ik"),
    ("isl", "is"), ("ita", "it"), ("jav", "jv"), ("jpn", "ja"), ("kal", "kl"), ("kan", "kn"), ("kas", "ks"),
    ("kat", "ka"), ("kau", "kr"), ("kaz", "kk"), ("khm", "km"), ("kik", "ki"), ("kin", "rw"), ("kir", "ky"),
    ("kom", "kv"), ("kon", "kg"), ("kor", "ko"), ("kua", "kj"), ("kur", "ku"), ("lao", "lo"), ("lat", "la"),
    ("lav", "lv"), ("lim", "li"), ("lin", "ln"), ("lit", "lt"), ("ltz", "lb"), ("lub", "lu"), ("lug", "lg"),
    ("mac", "mk"), ("mah", "mh"), ("mal", "ml"), ("mao", "mi"), ("mar", "mr"), ("may", "ms"), ("mkd", "mk"),
    ("mlg", "mg"), ("mlt", "mt"), ("mon", "mn"), ("mri", "mi"), ("msa", "ms"), ("mya", "my"), ("nau", "na"),
    ("nav", "nv"), ("nbl", "nr"), ("nde", "nd"), ("ndo", "ng"), ("nep", "ne"), ("nld", "nl"), ("nno", "nn"),
    ("nob", "nb"), ("nor", "no"), ("nya", "ny"), ("oci", "oc"), ("oji", "oj"), ("ori", "or"), ("orm", "om"),
    ("oss", "os"), ("pan", "pa"), ("per", "fa"), ("pli", "pi"), ("pol", "pl"), ("por", "pt"), ("pus", "ps"),
    ("que", "qu"), ("roh", "rm"), ("ron", "ro"), ("rum", "ro"), ("run", "rn"), ("rus", "ru"), ("sag", "sg"),
    ("san", "sa"), ("sin", "si"), ("slk", "sk"), ("slo", "sk"), ("slv", "sl"), ("sme", "se"), ("smo", "sm"),
    ("sna", "sn"), ("snd", "sd"), ("som", "so"), ("sot", "st"), ("spa", "es"), ("sqi", "sq"), ("srd", "sc"),
    ("srp", "sr"), ("ssw", "ss"), ("sun", "su"), ("swa", "sw"), ("swe", "sv"), ("tah", "ty"), ("tam", "ta"),
    ("tat", "tt"), ("tel", "te"), ("tgk", "tg"), ("tgl", "tl"), ("tha", "th"), ("tib", "bo"), ("tir", "ti"),
    ("ton", "to"), ("tsn", "tn"), ("tso", "ts"), ("tuk", "tk"), ("tur", "tr"), ("twi", "tw"), ("uig", "ug"),
    ("ukr", "uk"), ("urd", "ur"), ("uzb", "uz"), ("ven", "ve"), ("vie", "vi"), ("vol", "vo"), ("wel", "cy"),
    ("wln", "wa"), ("wol", "wo"), ("xho", "xh"), ("yid", "yi"), ("yor", "yo"), ("zha", "za"), ("zho", "zh"),
    ("zul", "zu"),
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn whatever_means_the_same_language_becomes_the_same_code() {
        let same: [(&str, &[&str]); 8] = [
            ("uk", &["uk", " UK-ua ", "uk_UA", "ukr", "UKR", "uk-Cyrl-UA"]),
            ("ru", &["ru", "ru_RU", "rus", "RUS", "rus-UA"]),
            ("pl", &["pl", "pol"]),
            ("en", &["en", "eng", "en-GB-oxendict"]),
            ("de", &["de", "ger", "deu", "de-1996"]),
            ("he", &["iw", "he", "heb"]),
            ("zh", &["zh-Hant-TW", "chi", "zho"]),
            ("fil", &["fil", "fil-PH"]),
        ];
        for (code, tags) in same {
            for tag in tags {
                assert_eq!(Spoken::parse(tag).as_ref().map(Spoken::as_str), Some(code), "{tag:?}");
            }
        }
    }

    #[test]
    fn what_names_no_language_is_none() {
        let long = format!("uk-{}", "a".repeat(80));
        for text in [
            "",
            " ",
            "u",
            "ua",
            "xx",
            "ukrainian",
            "12",
            "u1",
            "українська",
            "-uk",
            "uk-",
            "uk--UA",
            "uk-!",
            "uk UA",
            "uk,ru",
            "i-klingon",
            "x-private",
            "und",
            "ZXX",
            "mul",
            "mis",
            "qaa",
            "qtz-Latn",
            "uk-abcdefghi",
            &long,
            "uk\u{0}",
        ] {
            assert_eq!(Spoken::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn the_table_is_in_order_and_leads_to_codes_of_two_letters() {
        assert!(CODES.is_sorted_by(|a, b| a.0 < b.0));
        let sizes = |(three, two): &(&str, &str)| three.len() == 3 && two.len() == 2;
        assert!(CODES.iter().all(sizes));
        assert!(
            RENAMED
                .iter()
                .all(|(old, new)| CODES.iter().all(|(_, two)| two != old) && CODES.iter().any(|it| it.1 == *new))
        );
    }

    proptest! {
        #[test]
        fn any_text_is_a_code_that_reads_as_itself_or_none(text in "\\PC{0,12}|[a-zA-Z]{2,3}([-_][a-zA-Z0-9]{1,8}){0,3}") {
            if let Some(spoken) = Spoken::parse(&text) {
                prop_assert!(matches!(spoken.as_str().len(), 2 | 3));
                prop_assert_eq!(Spoken::parse(spoken.as_str()), Some(spoken));
            }
        }
    }
}
