//! Where everything stands: from a paper to pages of lines of text and rules. Knows widths of letters, nothing of PDF.

use crate::letters::{Face, Typeface, Weight};
use crate::{Align, Paper, Part, Row, RowKind, Sheet, Table};

/// Points of a millimetre.
const MM: f32 = 72.0 / 25.4;
/// Lines of one cell at most, so that a row is never higher than a page.
const CELL_LINES_MAX: usize = 24;
/// Lines of a paragraph at most on one page.
const TEXT_LINES_MAX: usize = 40;
/// The longest page of a roll: what readers of PDF take.
const ROLL_PAGE_PT: f32 = 14_000.0;
/// Between the cells of a row.
const GAP: f32 = 6.0;

/// Sizes and margins of a sheet, in points.
pub(crate) struct Measure {
    pub(crate) width: f32,
    height: f32,
    side: f32,
    top: f32,
    bottom: f32,
    body: f32,
    title: f32,
    leading: f32,
}

impl Measure {
    const fn of(sheet: Sheet) -> Self {
        match sheet {
            Sheet::A4 => Self {
                width: 210.0 * MM,
                height: 297.0 * MM,
                side: 15.0 * MM,
                top: 15.0 * MM,
                bottom: 18.0 * MM,
                body: 8.5,
                title: 15.0,
                leading: 1.35,
            },
            Sheet::Roll80 => Self {
                width: 80.0 * MM,
                height: ROLL_PAGE_PT,
                side: 4.0 * MM,
                top: 4.0 * MM,
                bottom: 8.0 * MM,
                body: 8.0,
                title: 11.0,
                leading: 1.3,
            },
        }
    }

    const fn inner(&self) -> f32 {
        self.width - 2.0 * self.side
    }
}

/// One line of text.
pub(crate) struct Text {
    pub(crate) x: f32,
    /// The line that letters stand on, from the top.
    pub(crate) y: f32,
    pub(crate) size: f32,
    pub(crate) weight: Weight,
    pub(crate) text: String,
    /// Which piece of the meaning it belongs to; `None`: only for the eye (a repeated head, the number of a page).
    pub(crate) piece: Option<usize>,
}

/// A rule across the page.
pub(crate) struct Rule {
    pub(crate) y: f32,
    pub(crate) from: f32,
    pub(crate) until: f32,
    pub(crate) thickness: f32,
}

/// A page.
#[derive(Default)]
pub(crate) struct Page {
    pub(crate) texts: Vec<Text>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) height: f32,
}

/// What a paper means, for those who have it read to them; numbers are those of pieces.
pub(crate) enum Meaning {
    Title(usize),
    Heading(usize),
    Text(usize),
    /// Rows of cells; whether the first row is the head.
    Table {
        rows: Vec<Vec<usize>>,
        has_head: bool,
    },
}

/// A paper with everything in its place.
pub(crate) struct Laid {
    pub(crate) measure: Measure,
    pub(crate) pages: Vec<Page>,
    pub(crate) meanings: Vec<Meaning>,
    pub(crate) pieces: usize,
}

struct Layer<'a> {
    typeface: &'a Typeface,
    measure: Measure,
    pages: Vec<Page>,
    page: Page,
    y: f32,
    pieces: usize,
    meanings: Vec<Meaning>,
    sheet: Sheet,
}

/// Cells of one row, broken into lines.
struct Cells {
    lines: Vec<Vec<String>>,
    most: usize,
}

/// Puts everything in its place.
pub(crate) fn lay(paper: &Paper, typeface: &Typeface) -> Laid {
    let measure = Measure::of(paper.sheet);
    let y = measure.top;
    let mut layer = Layer {
        typeface,
        measure,
        pages: Vec::new(),
        page: Page::default(),
        y,
        pieces: 0,
        meanings: Vec::new(),
        sheet: paper.sheet,
    };
    layer.head(paper);
    for part in &paper.parts {
        layer.part(part);
    }
    if paper.sheet == Sheet::Roll80 && !paper.foot.is_empty() {
        layer.y += layer.line();
        layer.paragraph(&paper.foot, layer.measure.body, Weight::Regular, Meaning::Text);
    }
    layer.end_page();
    let mut laid = Laid { measure: layer.measure, pages: layer.pages, meanings: layer.meanings, pieces: layer.pieces };
    if paper.sheet == Sheet::A4 {
        number(&mut laid, paper, typeface);
    }
    laid
}

/// Writes foot and number on each page.
fn number(laid: &mut Laid, paper: &Paper, typeface: &Typeface) {
    let (face, size) = (typeface.face(Weight::Regular), laid.measure.body - 1.0);
    let (all, measure) = (laid.pages.len(), &laid.measure);
    let y = measure.height - measure.bottom * 0.45;
    for (at, page) in laid.pages.iter_mut().enumerate() {
        let number = paper.page.replace("{n}", &(at + 1).to_string()).replace("{m}", &all.to_string());
        let number = one_line(face, &number, size, measure.inner() / 2.0);
        let used = face.width(&number, size);
        let foot = one_line(face, &paper.foot, size, measure.inner() - used - GAP);
        let mut add = |x: f32, text: String| {
            if !text.is_empty() {
                page.texts.push(Text { x, y, size, weight: Weight::Regular, text, piece: None });
            }
        };
        add(measure.side, foot);
        add(measure.width - measure.side - used, number);
        page.rules.push(Rule {
            y: y - size * 1.4,
            from: measure.side,
            until: measure.width - measure.side,
            thickness: 0.4,
        });
    }
}

fn one_line(face: &Face, text: &str, size: f32, width: f32) -> String {
    face.wrap(text, size, width, 1).into_iter().next().unwrap_or_default()
}

impl Layer<'_> {
    /// The height of a line of the body.
    fn line(&self) -> f32 {
        self.measure.body * self.measure.leading
    }

    /// Where the body of a page ends.
    fn floor(&self) -> f32 {
        self.measure.height - self.measure.bottom
    }

    fn piece(&mut self) -> usize {
        self.pieces += 1;
        self.pieces - 1
    }

    fn end_page(&mut self) {
        let mut page = std::mem::take(&mut self.page);
        page.height = match self.sheet {
            Sheet::A4 => self.measure.height,
            Sheet::Roll80 => (self.y + self.measure.bottom).max(30.0 * MM),
        };
        self.pages.push(page);
        self.y = self.measure.top;
    }

    /// Begins a page if so much does not fit on this one.
    fn need(&mut self, height: f32) -> bool {
        let is_full = self.y + height > self.floor() && self.y > self.measure.top;
        if is_full {
            self.end_page();
        }
        is_full
    }

    fn text(&mut self, x: f32, y: f32, size: f32, weight: Weight, text: String, piece: Option<usize>) {
        if !text.is_empty() {
            self.page.texts.push(Text { x, y, size, weight, text, piece });
        }
    }

    fn rule(&mut self, y: f32, thickness: f32) {
        let (from, until) = (self.measure.side, self.measure.width - self.measure.side);
        self.page.rules.push(Rule { y, from, until, thickness });
    }

    fn paragraph(&mut self, text: &str, size: f32, weight: Weight, meaning: fn(usize) -> Meaning) {
        let lines = self.typeface.face(weight).wrap(text, size, self.measure.inner(), TEXT_LINES_MAX);
        if lines.iter().all(String::is_empty) {
            return;
        }
        let piece = self.piece();
        self.meanings.push(meaning(piece));
        let height = size * self.measure.leading;
        for line in lines {
            self.need(height);
            self.text(self.measure.side, self.y + size, size, weight, line, Some(piece));
            self.y += height;
        }
    }

    fn head(&mut self, paper: &Paper) {
        self.paragraph(&paper.issuer, self.measure.body, Weight::Regular, Meaning::Text);
        self.y += 2.0;
        self.paragraph(&paper.title, self.measure.title, Weight::Bold, Meaning::Title);
        self.y += 3.0;
        self.facts(&paper.facts);
    }

    fn part(&mut self, part: &Part) {
        match part {
            Part::Heading(text) => {
                // A heading alone at the foot of a page heads nothing.
                self.need(self.line() * 5.0);
                self.y += self.line() * 0.6;
                self.paragraph(text, self.measure.body + 2.0, Weight::Bold, Meaning::Heading);
                self.y += 2.0;
            }
            Part::Text(text) => {
                self.y += 2.0;
                self.paragraph(text, self.measure.body, Weight::Regular, Meaning::Text);
            }
            Part::Strong(what, value) => self.strong(what, value),
            Part::Facts(facts) => self.facts(facts),
            Part::Table(table) => self.table(table),
        }
    }

    /// Something at the left and its value at the right, in bold.
    fn strong(&mut self, what: &str, value: &str) {
        let size = self.measure.body + 2.0;
        let face = self.typeface.face(Weight::Bold);
        let value = one_line(face, value, size, self.measure.inner() * 0.7);
        let used = face.width(&value, size);
        let lines = face.wrap(what, size, self.measure.inner() - used - GAP, 4);
        let height = size * self.measure.leading;
        self.y += 4.0;
        self.need(height * lines.len() as f32);
        let (left, right) = (self.piece(), self.piece());
        self.meanings.push(Meaning::Table { rows: vec![vec![left, right]], has_head: false });
        self.text(self.measure.width - self.measure.side - used, self.y + size, size, Weight::Bold, value, Some(right));
        for line in lines {
            self.text(self.measure.side, self.y + size, size, Weight::Bold, line, Some(left));
            self.y += height;
        }
        self.y += 2.0;
    }

    /// What at the left, in one third of the width, and the value beside it.
    fn facts(&mut self, facts: &[(String, String)]) {
        if facts.is_empty() {
            return;
        }
        let (size, height, side) = (self.measure.body, self.line(), self.measure.side);
        let left = self.measure.inner() * if self.sheet == Sheet::A4 { 0.3 } else { 0.42 };
        let right = self.measure.inner() - left - GAP;
        let face = self.typeface.face(Weight::Regular);
        let mut rows = Vec::with_capacity(facts.len());
        for (what, value) in facts {
            let (what, value) =
                (face.wrap(what, size, left, CELL_LINES_MAX), face.wrap(value, size, right, CELL_LINES_MAX));
            let most = what.len().max(value.len());
            self.need(height * most as f32);
            let (a, b) = (self.piece(), self.piece());
            for (at, line) in what.into_iter().enumerate() {
                self.text(side, self.y + size + height * at as f32, size, Weight::Regular, line, Some(a));
            }
            for (at, line) in value.into_iter().enumerate() {
                self.text(side + left + GAP, self.y + size + height * at as f32, size, Weight::Regular, line, Some(b));
            }
            self.y += height * most as f32;
            rows.push(vec![a, b]);
        }
        self.meanings.push(Meaning::Table { rows, has_head: false });
        self.y += height * 0.4;
    }

    fn table(&mut self, table: &Table) {
        let all: f32 = table.columns.iter().map(|column| f32::from(column.width)).sum();
        let gaps = GAP * (table.columns.len() - 1) as f32;
        let widths: Vec<f32> =
            table.columns.iter().map(|column| f32::from(column.width) / all * (self.measure.inner() - gaps)).collect();
        let head = table.columns.iter().map(|column| column.head.clone()).collect();
        let head = self.cells(&Row::plain(head), &widths, Weight::Bold);
        let mut rows = Vec::with_capacity(table.rows.len() + 1);
        self.y += 3.0;
        let first = table.rows.first().map_or(1, |row| self.cells(row, &widths, Weight::Regular).most);
        self.need(self.line() * (head.most + first) as f32 + 12.0);
        let pieces: Vec<usize> = widths.iter().map(|_| self.piece()).collect();
        self.table_head(&head, table, &widths, Some(&pieces));
        rows.push(pieces);
        for row in &table.rows {
            let weight = if row.kind == RowKind::Total { Weight::Bold } else { Weight::Regular };
            let cells = self.cells(row, &widths, weight);
            if self.need(self.line() * cells.most as f32 + 4.0) {
                self.table_head(&head, table, &widths, None);
            }
            if row.kind == RowKind::Total {
                self.rule(self.y, 0.6);
                self.y += 1.5;
            }
            let pieces: Vec<usize> = widths.iter().map(|_| self.piece()).collect();
            self.row(&cells, table, &widths, weight, Some(&pieces));
            rows.push(pieces);
            self.y += 1.5;
            if row.kind == RowKind::Plain && self.sheet == Sheet::A4 {
                self.rule(self.y, 0.15);
            }
            self.y += 0.5;
        }
        self.meanings.push(Meaning::Table { rows, has_head: true });
        self.y += self.line() * 0.4;
    }

    fn table_head(&mut self, head: &Cells, table: &Table, widths: &[f32], pieces: Option<&[usize]>) {
        self.row(head, table, widths, Weight::Bold, pieces);
        self.y += 2.0;
        self.rule(self.y, 0.8);
        self.y += 2.0;
    }

    fn cells(&self, row: &Row, widths: &[f32], weight: Weight) -> Cells {
        let (face, size) = (self.typeface.face(weight), self.measure.body);
        let lines: Vec<Vec<String>> = widths
            .iter()
            .enumerate()
            .map(|(at, width)| {
                row.cells.get(at).map_or_else(Vec::new, |cell| face.wrap(cell, size, *width, CELL_LINES_MAX))
            })
            .collect();
        let most = lines.iter().map(Vec::len).max().unwrap_or(1).max(1);
        Cells { lines, most }
    }

    fn row(&mut self, cells: &Cells, table: &Table, widths: &[f32], weight: Weight, pieces: Option<&[usize]>) {
        let (size, height) = (self.measure.body, self.line());
        let mut x = self.measure.side;
        for (at, lines) in cells.lines.iter().enumerate() {
            for (n, line) in lines.iter().enumerate() {
                let shift = match table.columns[at].align {
                    Align::Left => 0.0,
                    Align::Right => widths[at] - self.typeface.face(weight).width(line.trim_end(), size),
                };
                let piece = pieces.map(|pieces| pieces[at]);
                self.text(x + shift, self.y + size + height * n as f32, size, weight, line.clone(), piece);
            }
            x += widths[at] + GAP;
        }
        self.y += height * cells.most as f32;
    }
}
