//! From pages to a file: PDF/A-2, with the typeface inside and, unless it is long, its meaning marked.

use std::num::NonZeroU16;

use krilla::Document;
use krilla::SerializeSettings;
use krilla::color::luma;
use krilla::configure::{Archival, ConfigurationBuilder};
use krilla::geom::{PathBuilder, Point, Rect};
use krilla::metadata::{DateTime, Metadata};
use krilla::num::NormalizedF32;
use krilla::page::PageSettings;
use krilla::paint::{Fill, FillRule};
use krilla::surface::Surface;
use krilla::tagging::{
    Artifact, ArtifactType, ContentTag, Identifier, SpanTag, TableHeaderScope, Tag, TagGroup, TagTree,
};

use crate::layout::{Laid, Meaning, Page};
use crate::letters::Typeface;
use crate::{Paper, PaperError};

/// Pages, as a file; marked or not.
pub(crate) fn write(paper: &Paper, typeface: &Typeface, laid: &Laid, is_marked: bool) -> Result<Vec<u8>, PaperError> {
    let broken = |problem: &dyn std::fmt::Debug| PaperError::Broken(format!("{problem:?}"));
    let configuration = ConfigurationBuilder::new()
        .with_archival_validator(if is_marked { Archival::A2_A } else { Archival::A2_U })
        .finish()
        .map_err(|problem| broken(&problem))?;
    let settings = SerializeSettings { configuration, enable_tagging: is_marked, ..SerializeSettings::default() };
    let mut document = Document::new_with(settings);
    let mut pieces: Vec<Vec<Identifier>> = (0..laid.pieces).map(|_| Vec::new()).collect();
    for page in &laid.pages {
        let settings = PageSettings::from_wh(laid.measure.width, page.height).ok_or_else(|| broken(&"a page"))?;
        let mut drawn = document.start_page_with(settings);
        let mut surface = drawn.surface();
        draw(&mut surface, page, typeface, &mut pieces);
        surface.finish();
        drawn.finish();
    }
    if is_marked {
        document.set_tag_tree(tree(paper, laid, pieces));
    }
    let ((year, month, day), (hour, minute, second)) = (paper.made.date, paper.made.time);
    let made = DateTime::new(year)
        .month(month)
        .day(day)
        .hour(hour)
        .minute(minute)
        .second(second)
        .utc_offset_hour(0)
        .utc_offset_minute(0);
    let metadata = Metadata::new()
        .title(paper.title.clone())
        .language(paper.language.clone())
        .creation_date(made)
        .creator("Tapward".to_owned());
    document.set_metadata(metadata);
    document.finish().map_err(|problem| broken(&problem))
}

fn draw(surface: &mut Surface<'_>, page: &Page, typeface: &Typeface, pieces: &mut [Vec<Identifier>]) {
    let black = |lightness: u8| {
        let paint = luma::Color::new(lightness).into();
        Some(Fill { paint, opacity: NormalizedF32::ONE, rule: FillRule::default() })
    };
    surface.set_stroke(None);
    surface.set_fill(black(0));
    for text in &page.texts {
        let face = typeface.face(text.weight);
        let slot = text.piece.and_then(|piece| pieces.get_mut(piece));
        let id = surface.start_tagged(match slot {
            Some(_) => ContentTag::Span(SpanTag::empty()),
            None => ContentTag::Artifact(Artifact::with_kind(ArtifactType::Other)),
        });
        let glyphs = face.glyphs(&text.text);
        surface.draw_glyphs(Point::from_xy(text.x, text.y), &glyphs, face.font.clone(), &text.text, text.size, false);
        surface.end_tagged();
        if let Some(slot) = slot {
            slot.push(id);
        }
    }
    if page.rules.is_empty() {
        return;
    }
    surface.set_fill(black(96));
    surface.start_tagged(ContentTag::Artifact(Artifact::with_kind(ArtifactType::Other)));
    let mut rules = PathBuilder::new();
    for rule in &page.rules {
        if let Some(rect) = Rect::from_ltrb(rule.from, rule.y, rule.until, rule.y + rule.thickness) {
            rules.push_rect(rect);
        }
    }
    if let Some(path) = rules.finish() {
        surface.draw_path(&path);
    }
    surface.end_tagged();
}

/// The meaning of the paper, in the order in which it is read.
fn tree(paper: &Paper, laid: &Laid, mut pieces: Vec<Vec<Identifier>>) -> TagTree {
    let mut tree = TagTree::new().with_lang(Some(paper.language.clone()));
    let mut fill = |mut group: TagGroup, piece: usize| {
        for id in pieces.get_mut(piece).map(std::mem::take).unwrap_or_default() {
            group.push(id);
        }
        group
    };
    let (first, second) = (NonZeroU16::MIN, NonZeroU16::MIN.saturating_add(1));
    for meaning in &laid.meanings {
        match meaning {
            Meaning::Title(piece) => {
                tree.push(fill(TagGroup::new(Tag::Hn(first, Some(paper.title.clone()))), *piece));
            }
            Meaning::Heading(piece) => tree.push(fill(TagGroup::new(Tag::Hn(second, None)), *piece)),
            Meaning::Text(piece) => tree.push(fill(TagGroup::new(Tag::P), *piece)),
            Meaning::Table { rows, has_head } => {
                let mut table = TagGroup::new(Tag::Table);
                for (at, cells) in rows.iter().enumerate() {
                    let mut row = TagGroup::new(Tag::TR);
                    for cell in cells {
                        row.push(match *has_head && at == 0 {
                            true => fill(TagGroup::new(Tag::TH(TableHeaderScope::Column)), *cell),
                            false => fill(TagGroup::new(Tag::TD), *cell),
                        });
                    }
                    table.push(row);
                }
                tree.push(table);
            }
        }
    }
    tree
}
