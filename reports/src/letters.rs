//! The typeface: which glyph a letter has and how wide it is, and where lines break. No kerning and no joining of letters:
//! figures stand below each other, and what is copied out of a paper is what was written into it.

use std::sync::OnceLock;

use krilla::text::{Font, GlyphId, KrillaGlyph};
use skrifa::instance::{LocationRef, Size};
use skrifa::{FontRef, MetadataProvider as _};

use crate::TEXT_MAX;

/// Letters that are looked up once: all of the scripts of Europe, and signs.
const COMMON: usize = 0x2600;
/// What stands for a letter that the typeface does not have.
const UNKNOWN: char = '\u{fffd}';
/// What stands where a text was cut off.
const CUT: char = '…';

/// Which of the two cuts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weight {
    Regular,
    Bold,
}

/// Both cuts.
pub(crate) struct Typeface {
    regular: Face,
    bold: Face,
}

/// One cut.
pub(crate) struct Face {
    pub(crate) font: Font,
    bytes: &'static [u8],
    /// Glyph and width, in shares of the size, by letter; 0 for what is not there.
    common: Vec<(u16, f32)>,
    unknown: (u16, f32),
}

/// The typeface, read once.
pub(crate) fn typeface() -> Option<&'static Typeface> {
    static TYPEFACE: OnceLock<Option<Typeface>> = OnceLock::new();
    let read =
        || Some(Typeface { regular: Face::read(dejavu::sans::regular())?, bold: Face::read(dejavu::sans::bold())? });
    TYPEFACE.get_or_init(read).as_ref()
}

impl Typeface {
    pub(crate) fn face(&self, weight: Weight) -> &Face {
        match weight {
            Weight::Regular => &self.regular,
            Weight::Bold => &self.bold,
        }
    }
}

impl Face {
    fn read(bytes: &'static [u8]) -> Option<Self> {
        let font = Font::new(bytes.into(), 0)?;
        let mut face = Self { font, bytes, common: vec![(0, 0.0); COMMON], unknown: (0, 0.0) };
        face.unknown = face.look_up(UNKNOWN)?;
        let known = FontRef::new(bytes).ok()?;
        for (code, glyph) in known.charmap().mappings() {
            if let (Some(slot), Ok(id)) = (face.common.get_mut(code as usize), u16::try_from(glyph.to_u32())) {
                slot.0 = id;
            }
        }
        let metrics = known.glyph_metrics(Size::unscaled(), LocationRef::default());
        let unit = face.font.units_per_em();
        for slot in &mut face.common {
            slot.1 = metrics.advance_width(u32::from(slot.0).into()).unwrap_or(unit) / unit;
        }
        Some(face)
    }

    fn look_up(&self, letter: char) -> Option<(u16, f32)> {
        let font = FontRef::new(self.bytes).ok()?;
        let glyph = font.charmap().map(letter).filter(|glyph| glyph.to_u32() != 0)?;
        let unit = self.font.units_per_em();
        let width = font.glyph_metrics(Size::unscaled(), LocationRef::default()).advance_width(glyph)? / unit;
        Some((u16::try_from(glyph.to_u32()).ok()?, width))
    }

    fn glyph(&self, letter: char) -> (u16, f32) {
        match self.common.get(letter as usize) {
            Some((0, _)) => self.unknown,
            Some(found) => *found,
            None => self.look_up(letter).unwrap_or(self.unknown),
        }
    }

    /// How wide a text is.
    pub(crate) fn width(&self, text: &str, size: f32) -> f32 {
        text.chars().map(|letter| self.glyph(letter).1).sum::<f32>() * size
    }

    /// The glyphs of a text that [`clean`] made.
    pub(crate) fn glyphs(&self, text: &str) -> Vec<KrillaGlyph> {
        let glyph = |(at, letter): (usize, char)| {
            let (id, width) = self.glyph(letter);
            KrillaGlyph::new(GlyphId::new(u32::from(id)), width, 0.0, 0.0, 0.0, at..at + letter.len_utf8(), None)
        };
        text.char_indices().map(glyph).collect()
    }

    /// Whether there is a glyph for a letter.
    fn has(&self, letter: char) -> bool {
        self.glyph(letter) != self.unknown
    }

    /// A text as lines of at most this width: broken at spaces, and within a word that is wider than a line. At most `most`
    /// lines; then the last one ends with a mark.
    pub(crate) fn wrap(&self, text: &str, size: f32, width: f32, most: usize) -> Vec<String> {
        let text = self.clean(text);
        if !text.contains('\n') && self.width(&text, size) <= width {
            return vec![text];
        }
        let mut lines = Vec::new();
        for paragraph in text.split('\n') {
            let mut line = String::new();
            let mut used = 0.0;
            for word in paragraph.split(' ') {
                let (needed, space) = (self.width(word, size), self.width(" ", size));
                if !line.is_empty() && used + space + needed <= width {
                    line.push(' ');
                    line.push_str(word);
                    used += space + needed;
                    continue;
                }
                if !line.is_empty() {
                    // A reader of the file sees where one word ends.
                    line.push(' ');
                    lines.push(std::mem::take(&mut line));
                    used = 0.0;
                }
                for letter in word.chars() {
                    let one = self.glyph(letter).1 * size;
                    if used + one > width && !line.is_empty() {
                        lines.push(std::mem::take(&mut line));
                        used = 0.0;
                    }
                    line.push(letter);
                    used += one;
                }
            }
            lines.push(line);
        }
        if lines.len() > most {
            lines.truncate(most);
            if let Some(last) = lines.last_mut() {
                last.truncate(last.trim_end().len());
                while self.width(last, size) + self.width("…", size) > width && last.pop().is_some() {}
                last.push(CUT);
            }
        }
        lines
    }

    /// A text of letters that can be drawn: at most [`TEXT_MAX`], control characters become spaces, what is
    /// never seen is left out, letters that the typeface
    /// does not have become a mark.
    fn clean(&self, text: &str) -> String {
        let is_long = text.chars().nth(TEXT_MAX).is_some();
        let letters = text.chars().filter(|letter| !is_unseen(*letter)).take(TEXT_MAX).map(|letter| match letter {
            '\n' => '\n',
            letter if letter.is_control() => ' ',
            // Letters that mean something to one program only cannot stand in an archive.
            '\u{e000}'..='\u{f8ff}' | '\u{fff0}'..='\u{ffff}' => UNKNOWN,
            letter if self.has(letter) => letter,
            _ => UNKNOWN,
        });
        letters.chain(is_long.then_some(CUT)).collect()
    }
}

/// Marks of order, of joining and of nothing: a paper goes from left to right.
const fn is_unseen(letter: char) -> bool {
    matches!(letter, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}
