//! A small painter: closed shapes with smooth edges on a picture of opaque pixels. Each row of pixels is cut into
//! [`SLICES`] thin slices; within a slice the share that a shape covers is exact.

use image::{Rgb, RgbImage};

/// Slices of a row of pixels: more are smoother and slower.
const SLICES: usize = 6;
/// Straight pieces of one curve.
const PIECES: usize = 14;
/// Straight pieces of a circle, and of an ellipse.
const ROUND: usize = 48;

/// A colour: red, green, blue.
pub type Colour = [u8; 3];

/// `from` mixed with `share` of `to`.
pub fn mix(from: Colour, to: Colour, share: f32) -> Colour {
    std::array::from_fn(|i| (f32::from(from[i]) + (f32::from(to[i]) - f32::from(from[i])) * share).round() as u8)
}

/// A darker shade.
pub fn darker(colour: Colour, share: f32) -> Colour {
    mix(colour, [38, 22, 30], share)
}

/// A lighter shade.
pub fn lighter(colour: Colour, share: f32) -> Colour {
    mix(colour, [255, 255, 255], share)
}

/// A point, in units of the drawing.
type Point = (f32, f32);

/// Closed outlines; what lies within any of them belongs to the shape.
#[derive(Debug, Clone, Default)]
pub struct Shape {
    outlines: Vec<Vec<Point>>,
}

impl Shape {
    /// Begins an outline.
    pub fn at(x: f32, y: f32) -> Self {
        Self { outlines: vec![vec![(x, y)]] }
    }

    /// A straight piece.
    pub fn line(mut self, x: f32, y: f32) -> Self {
        self.push((x, y));
        self
    }

    /// A cubic curve by way of two points that pull at it.
    pub fn curve(mut self, a: Point, b: Point, end: Point) -> Self {
        let start = self.last();
        for piece in 1..=PIECES {
            let t = piece as f32 / PIECES as f32;
            let u = 1.0 - t;
            let [p, q, r, s] = [u * u * u, 3.0 * u * u * t, 3.0 * u * t * t, t * t * t];
            self.push((p * start.0 + q * a.0 + r * b.0 + s * end.0, p * start.1 + q * a.1 + r * b.1 + s * end.1));
        }
        self
    }

    /// An ellipse.
    pub fn ellipse(x: f32, y: f32, wide: f32, high: f32) -> Self {
        let point = |i: usize| {
            let (sin, cos) = (i as f32 / ROUND as f32 * std::f32::consts::TAU).sin_cos();
            (x + wide * cos, y + high * sin)
        };
        Self { outlines: vec![(0..ROUND).map(point).collect()] }
    }

    /// A circle.
    pub fn circle(x: f32, y: f32, radius: f32) -> Self {
        Self::ellipse(x, y, radius, radius)
    }

    /// Takes another shape in.
    pub fn and(mut self, other: Self) -> Self {
        self.outlines.extend(other.outlines);
        self
    }

    /// The right half, drawn from the top to the bottom along the middle, with its mirror image.
    pub fn both_sides(mut self) -> Self {
        for outline in &mut self.outlines {
            let left: Vec<Point> = outline.iter().rev().map(|(x, y)| (-x, *y)).collect();
            outline.extend(left);
        }
        self
    }

    /// Mirrored on the middle.
    pub fn flipped(mut self) -> Self {
        for (x, _) in self.outlines.iter_mut().flatten() {
            *x = -*x;
        }
        self
    }

    /// Ends each outline where it began, for a stroke all round.
    pub fn closed(mut self) -> Self {
        for outline in &mut self.outlines {
            outline.extend(outline.first().copied());
        }
        self
    }

    /// A line of this width along the outline, with round ends; the outline is not closed.
    pub fn stroke(&self, width: f32) -> Self {
        let half = width / 2.0;
        let mut stroked = Self::default();
        for pair in self.outlines.iter().flat_map(|outline| outline.windows(2)) {
            let ((x0, y0), (x1, y1)) = (pair[0], pair[1]);
            let long = (x1 - x0).hypot(y1 - y0).max(f32::EPSILON);
            let (dx, dy) = ((x1 - x0) / long * half, (y1 - y0) / long * half);
            let around = [(x0 + dy, y0 - dx), (x1 + dy, y1 - dx), (x1 - dy, y1 + dx), (x0 - dy, y0 + dx)];
            stroked.outlines.push(around.to_vec());
            stroked = stroked.and(Self::circle(x1, y1, half));
        }
        if let Some((x, y)) = self.outlines.first().and_then(|outline| outline.first()) {
            stroked = stroked.and(Self::circle(*x, *y, half));
        }
        stroked
    }

    fn last(&self) -> Point {
        self.outlines.last().and_then(|outline| outline.last()).copied().unwrap_or_default()
    }

    fn push(&mut self, point: Point) {
        if let Some(outline) = self.outlines.last_mut() {
            outline.push(point);
        }
    }
}

/// How much of each pixel a shape covers, within a frame.
#[derive(Debug, Clone)]
pub struct Mask {
    left: usize,
    top: usize,
    wide: usize,
    cover: Vec<f32>,
}

impl Mask {
    fn at(&self, x: usize, y: usize) -> f32 {
        let (Some(x), Some(y)) = (x.checked_sub(self.left), y.checked_sub(self.top)) else { return 0.0 };
        if x < self.wide { self.cover.get(y * self.wide + x).copied().unwrap_or(0.0) } else { 0.0 }
    }
}

/// What is painted on. Its unit is that of the drawing: `scale` pixels; the middle of the face is its origin.
#[derive(Debug)]
pub struct Canvas {
    pixels: RgbImage,
    scale: f32,
    origin: Point,
}

impl Canvas {
    /// A canvas in one colour.
    pub fn new(wide: u32, high: u32, scale: f32, origin: Point, colour: Colour) -> Self {
        Self { pixels: RgbImage::from_pixel(wide, high, Rgb(colour)), scale, origin }
    }

    /// Paints a shape.
    pub fn paint(&mut self, shape: &Shape, colour: Colour) {
        self.lay(&self.mask(shape), None, colour, 1.0);
    }

    /// Paints a shape, only so strongly.
    pub fn glaze(&mut self, shape: &Shape, colour: Colour, strength: f32) {
        self.lay(&self.mask(shape), None, colour, strength);
    }

    /// Paints the part of a shape that lies within `clip`.
    pub fn glaze_within(&mut self, shape: &Shape, clip: &Mask, colour: Colour, strength: f32) {
        self.lay(&self.mask(shape), Some(clip), colour, strength);
    }

    /// Where a shape lies.
    pub fn mask(&self, shape: &Shape) -> Mask {
        let place = |(x, y): &Point| ((x + self.origin.0) * self.scale, (y + self.origin.1) * self.scale);
        let outlines: Vec<Vec<Point>> = shape.outlines.iter().map(|o| o.iter().map(place).collect()).collect();
        let (wide, high) = (self.pixels.width() as usize, self.pixels.height() as usize);
        let bound = |pick: fn(&Point) -> f32, most: usize| {
            let values = outlines.iter().flatten().map(pick);
            let (low, high) = values.fold((f32::MAX, f32::MIN), |(low, high), v| (low.min(v), high.max(v)));
            // A negative number becomes 0.
            let low = (low.floor() as usize).min(most);
            (low, (high.ceil() as usize).clamp(low, most))
        };
        let ((left, right), (top, bottom)) = (bound(|p| p.0, wide), bound(|p| p.1, high));
        let wide = right - left;
        let mut cover = vec![0.0; wide * (bottom - top)];
        let mut crossings: Vec<Vec<(f32, i8)>> = vec![Vec::new(); (bottom - top) * SLICES];
        for outline in &outlines {
            for (index, from) in outline.iter().enumerate() {
                let to = outline[(index + 1) % outline.len()];
                cross(*from, to, top, &mut crossings);
            }
        }
        for (slice, crossed) in crossings.iter_mut().enumerate() {
            crossed.sort_by(|a, b| a.0.total_cmp(&b.0));
            let row = slice / SLICES * wide;
            let mut wound = 0_i32;
            for pair in 0..crossed.len().saturating_sub(1) {
                wound += i32::from(crossed[pair].1);
                if wound != 0 {
                    span(&mut cover[row..row + wide], crossed[pair].0 - left as f32, crossed[pair + 1].0 - left as f32);
                }
            }
        }
        Mask { left, top, wide, cover }
    }

    /// The finished picture.
    pub fn into_pixels(self) -> RgbImage {
        self.pixels
    }

    fn lay(&mut self, mask: &Mask, clip: Option<&Mask>, colour: Colour, strength: f32) {
        for (index, cover) in mask.cover.iter().enumerate().filter(|(_, cover)| **cover > 0.0) {
            let (x, y) = (mask.left + index % mask.wide, mask.top + index / mask.wide);
            let share = cover.min(1.0) * strength * clip.map_or(1.0, |clip| clip.at(x, y).min(1.0));
            let Some(pixel) = self.pixels.get_pixel_mut_checked(x as u32, y as u32) else { continue };
            pixel.0 = if share > 0.997 { colour } else { mix(pixel.0, colour, share) };
        }
    }
}

/// Notes where an edge crosses the slices.
fn cross(from: Point, to: Point, top: usize, crossings: &mut [Vec<(f32, i8)>]) {
    let slices = SLICES as f32;
    let line = |y: f32| (y - top as f32) * slices - 0.5;
    let ((upper, lower), turn) = if from.1 <= to.1 { ((from, to), 1) } else { ((to, from), -1) };
    let (first, end) = (line(upper.1).ceil().max(0.0), line(lower.1).ceil().max(0.0));
    let slope = (lower.0 - upper.0) / (lower.1 - upper.1).max(f32::EPSILON);
    for slice in first as usize..(end as usize).min(crossings.len()) {
        let y = (slice as f32 + 0.5) / slices + top as f32;
        crossings[slice].push((upper.0 + (y - upper.1) * slope, turn));
    }
}

/// Adds one slice's span to a row.
fn span(row: &mut [f32], from: f32, to: f32) {
    let (from, to) = (from.clamp(0.0, row.len() as f32), to.clamp(0.0, row.len() as f32));
    let (first, last) = (from as usize, to.ceil() as usize);
    for (x, cover) in row.iter_mut().enumerate().take(last).skip(first) {
        *cover += (to.min(x as f32 + 1.0) - from.max(x as f32)) / SLICES as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_covers_its_area_and_overlaps_count_once() {
        let canvas = Canvas::new(100, 100, 1.0, (0.0, 0.0), [0; 3]);
        let area = |shape: &Shape| canvas.mask(shape).cover.iter().sum::<f32>();
        let square = Shape::at(10.25, 10.5).line(30.25, 10.5).line(30.25, 30.5).line(10.25, 30.5);
        assert!((area(&square) - 400.0).abs() < 4.0);
        assert!((area(&square.clone().and(square)) - 400.0).abs() < 4.0);
        assert!((area(&Shape::circle(50.0, 50.0, 20.0)) - 1256.6).abs() < 8.0);
        assert!((area(&Shape::at(20.0, 50.0).line(80.0, 50.0).stroke(4.0)) - 252.6).abs() < 3.0);
    }

    #[test]
    fn what_lies_outside_is_cut_off() {
        let mut canvas = Canvas::new(20, 20, 2.0, (5.0, 5.0), [0; 3]);
        canvas.paint(&Shape::circle(-40.0, 300.0, 10.0), [255; 3]);
        canvas.paint(&Shape::circle(0.0, 0.0, 500.0), [9, 8, 7]);
        assert!(canvas.into_pixels().pixels().all(|pixel| pixel.0 == [9, 8, 7]));
    }
}
