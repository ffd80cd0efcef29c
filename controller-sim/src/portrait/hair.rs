//! Hair, behind the head and before it.

use crate::portrait::canvas::{Canvas, Colour, Shape, darker, lighter};
use crate::portrait::face::outline;
use crate::portrait::look::{Hair, Look};

/// What hangs behind face and shoulders.
pub(super) fn behind(canvas: &mut Canvas, look: &Look) {
    let (style, colour) = look.hair;
    let w = look.face.0;
    let back = darker(colour, 0.24);
    match style {
        Hair::Long => canvas.paint(&mane(w, 300.0, 34.0), back),
        Hair::Waves => {
            let mut shape = mane(w, 270.0, 40.0);
            for (y, out) in [(60.0, 40.0), (130.0, 50.0), (200.0, 42.0), (262.0, 34.0)] {
                for side in [-1.0, 1.0] {
                    shape = shape.and(Shape::ellipse((w + out - 26.0) * side, y, 38.0, 50.0));
                }
            }
            canvas.paint(&shape, back);
        }
        Hair::Bob => canvas.paint(&mane(w, 132.0, 28.0), back),
        Hair::Knot => {
            canvas.paint(&Shape::circle(0.0, -178.0, 46.0), back);
            canvas.paint(&Shape::circle(-4.0, -184.0, 38.0), colour);
            let turn = Shape::at(-30.0, -176.0).curve((-10.0, -160.0), (14.0, -166.0), (28.0, -192.0));
            canvas.glaze(&turn.stroke(4.0), back, 0.6);
        }
        Hair::Tail => {
            let tail = Shape::at(w * 0.5, 40.0).curve((w + 50.0, 60.0), (w + 58.0, 190.0), (w + 4.0, 300.0)).curve(
                (w - 6.0, 240.0),
                (w - 30.0, 150.0),
                (w * 0.4, 120.0),
            );
            canvas.paint(&side(look, tail), back);
            canvas.paint(&outline(look, 16.0), back);
        }
        Hair::Cloud => {
            let mut shape = Shape::default();
            for i in 0..15 {
                let (sin, cos) = ((i as f32 / 14.0 * 1.36 + 0.82) * std::f32::consts::PI).sin_cos();
                shape = shape.and(Shape::circle(cos * (w + 22.0), sin * 150.0 - 10.0, 56.0));
            }
            for (y, r) in [(58.0, 50.0), (100.0, 44.0)] {
                for side in [-1.0, 1.0] {
                    shape = shape.and(Shape::circle((w + 12.0) * side, y, r));
                }
            }
            canvas.paint(&shape, back);
        }
        Hair::Scarf => {
            let cloth = scarf(look);
            let drape = Shape::at(0.0, -174.0)
                .curve((w + 34.0, -172.0), (w + 46.0, -20.0), (w + 30.0, 90.0))
                .curve((w + 40.0, 170.0), (w + 80.0, 210.0), (w + 96.0, 268.0))
                .line(0.0, 300.0)
                .both_sides();
            canvas.paint(&drape, darker(cloth, 0.16));
        }
        Hair::Short
        | Hair::Parted
        | Hair::Cropped
        | Hair::Receding
        | Hair::Sides
        | Hair::None
        | Hair::Curls
        | Hair::Pixie => {}
    }
}

/// What lies on the head.
pub(super) fn before(canvas: &mut Canvas, look: &Look) {
    let (style, colour) = look.hair;
    let w = look.face.0;
    match style {
        Hair::None => {
            canvas.glaze(&Shape::ellipse(-w * 0.34, -112.0, 26.0, 14.0), lighter(look.skin, 0.8), 0.32);
        }
        Hair::Cropped => canvas.glaze(&cap(w + 4.0, -157.0, -92.0, 0.70, -38.0), colour, 0.82),
        Hair::Short => {
            canvas.paint(&cap(w + 8.0, -176.0, -88.0, 0.66, -22.0), colour);
            gloss(canvas, look, -146.0);
        }
        Hair::Receding => {
            let shape = Shape::at(0.0, -164.0)
                .curve((w * 0.66, -164.0), (w + 9.0, -104.0), (w + 7.0, -8.0))
                .line(w - 7.0, -26.0)
                .curve((w - 4.0, -70.0), (w * 0.78, -112.0), (w * 0.62, -126.0))
                .curve((w * 0.45, -122.0), (w * 0.3, -98.0), (0.0, -96.0))
                .both_sides();
            canvas.paint(&shape, colour);
        }
        Hair::Sides => {
            for at in [-1.0, 1.0] {
                let patch = Shape::at(at * (w - 20.0), -92.0)
                    .curve((at * (w + 10.0), -92.0), (at * (w + 18.0), -30.0), (at * (w + 9.0), 26.0))
                    .line(at * (w - 5.0), 4.0)
                    .curve((at * (w - 4.0), -40.0), (at * (w - 14.0), -70.0), (at * (w - 20.0), -92.0));
                canvas.paint(&patch, colour);
            }
            canvas.glaze(&Shape::ellipse(-w * 0.34, -112.0, 26.0, 14.0), lighter(look.skin, 0.8), 0.32);
        }
        Hair::Parted => {
            let top = Shape::at(-w - 7.0, -14.0)
                .curve((-w - 18.0, -150.0), (-w * 0.4, -190.0), (w * 0.1, -186.0))
                .curve((w * 0.8, -184.0), (w + 22.0, -120.0), (w + 7.0, -14.0))
                .line(w - 8.0, -34.0)
                .curve((w - 8.0, -74.0), (w * 0.7, -96.0), (w * 0.44, -112.0))
                .curve((w * 0.0, -84.0), (-w * 0.6, -86.0), (-w * 0.78, -88.0))
                .curve((-w * 0.9, -70.0), (-w + 7.0, -50.0), (-w + 8.0, -34.0));
            canvas.paint(&side(look, top), colour);
            let part = Shape::at(w * 0.44, -112.0).curve((w * 0.4, -140.0), (w * 0.3, -160.0), (w * 0.12, -176.0));
            canvas.glaze(&side(look, part).stroke(3.4), darker(colour, 0.5), 0.7);
            gloss(canvas, look, -150.0);
        }
        Hair::Curls => curls(canvas, look, 30.0, -28.0),
        Hair::Cloud => curls(canvas, look, 40.0, -52.0),
        Hair::Pixie => {
            let shape = Shape::at(-w - 8.0, 14.0)
                .curve((-w - 22.0, -140.0), (-w * 0.5, -184.0), (0.0, -182.0))
                .curve((w * 0.6, -182.0), (w + 22.0, -140.0), (w + 8.0, 20.0))
                .curve((w - 2.0, 4.0), (w - 10.0, -30.0), (w - 12.0, -52.0))
                .curve((w * 0.4, -54.0), (-w * 0.1, -84.0), (-w * 0.34, -114.0))
                .curve((-w * 0.6, -84.0), (-w + 4.0, -50.0), (-w - 8.0, 14.0));
            canvas.paint(&side(look, shape), colour);
            strands(canvas, look, &[(-0.3, -112.0, 0.2, -76.0, 0.6, -62.0), (-0.1, -130.0, 0.4, -96.0, 0.8, -70.0)]);
        }
        Hair::Bob => {
            curtain(canvas, look, 96.0, 0.30);
            gloss(canvas, look, -148.0);
        }
        Hair::Long => {
            curtain(canvas, look, 190.0, 0.05);
            gloss(canvas, look, -148.0);
        }
        Hair::Waves => {
            let fringe = Shape::at(-w - 12.0, 60.0)
                .curve((-w - 28.0, -140.0), (-w * 0.5, -188.0), (0.0, -186.0))
                .curve((w * 0.6, -188.0), (w + 28.0, -140.0), (w + 12.0, 60.0))
                .curve((w - 8.0, 20.0), (w - 2.0, -30.0), (w * 0.8, -62.0))
                .curve((w * 0.4, -50.0), (-w * 0.4, -50.0), (-w * 0.8, -62.0))
                .curve((-w + 2.0, -30.0), (-w + 8.0, 20.0), (-w - 12.0, 60.0));
            canvas.paint(&fringe, colour);
            strands(
                canvas,
                look,
                &[
                    (-0.3, -150.0, -0.4, -100.0, -0.3, -58.0),
                    (0.2, -152.0, 0.3, -100.0, 0.2, -56.0),
                    (0.55, -140.0, 0.66, -100.0, 0.6, -60.0),
                ],
            );
        }
        Hair::Knot => {
            canvas.paint(&cap(w + 8.0, -172.0, -98.0, 0.70, -20.0), colour);
            strands(
                canvas,
                look,
                &[
                    (-0.75, -84.0, -0.5, -130.0, -0.1, -160.0),
                    (0.75, -84.0, 0.5, -130.0, 0.1, -160.0),
                    (-0.35, -98.0, -0.24, -130.0, -0.05, -160.0),
                ],
            );
        }
        Hair::Tail => {
            let shape = Shape::at(-w - 7.0, 4.0)
                .curve((-w - 20.0, -140.0), (-w * 0.5, -180.0), (0.0, -178.0))
                .curve((w * 0.6, -180.0), (w + 22.0, -140.0), (w + 9.0, 30.0))
                .curve((w - 4.0, 10.0), (w - 6.0, -50.0), (w * 0.62, -104.0))
                .curve((w * 0.3, -84.0), (-w * 0.5, -76.0), (-w * 0.84, -62.0))
                .curve((-w + 6.0, -44.0), (-w + 2.0, -20.0), (-w - 7.0, 4.0));
            canvas.paint(&side(look, shape), colour);
            gloss(canvas, look, -144.0);
        }
        Hair::Scarf => scarf_before(canvas, look),
    }
}

/// As drawn, or mirrored for whom wears the parting on the other side.
fn side(look: &Look, shape: Shape) -> Shape {
    if look.left_parted { shape.flipped() } else { shape }
}

/// Hair down to `bottom`, `out` units wider than the face.
fn mane(w: f32, bottom: f32, out: f32) -> Shape {
    Shape::at(0.0, -180.0)
        .curve((w * 0.8, -182.0), (w + out + 6.0, -110.0), (w + out * 0.8, 10.0))
        .curve((w + out, bottom * 0.5), (w + out + 8.0, bottom * 0.8), (w + out - 8.0, bottom))
        .curve((w * 0.6, bottom + 16.0), (w * 0.3, bottom + 10.0), (0.0, bottom))
        .both_sides()
}

/// Hair that ends on the forehead: its width, its top, the hairline in the middle, how broad the hairline is, and where
/// it ends before the ears.
fn cap(wide: f32, top: f32, line: f32, broad: f32, ear: f32) -> Shape {
    Shape::at(0.0, top)
        .curve((wide * 0.72, top), (wide * 1.10, -112.0), (wide, ear + 14.0))
        .line(wide - 15.0, ear)
        .curve((wide - 16.0, ear - 26.0), (wide * (broad + 0.16), line + 10.0), (wide * broad, line - 3.0))
        .curve((wide * broad * 0.6, line + 5.0), (wide * 0.2, line - 6.0), (0.0, line - 5.0))
        .both_sides()
}

/// Two halves that fall from a parting, `part` of the face's width beside the middle.
fn curtain(canvas: &mut Canvas, look: &Look, bottom: f32, part: f32) {
    let (w, colour) = (look.face.0, look.hair.1);
    let x = w * part;
    let half = |side: f32, to: f32| {
        let at = |dx: f32| side * dx;
        Shape::at(to, -184.0)
            .curve((at(w * 0.8), -186.0), (at(w + 30.0), -120.0), (at(w + 22.0), 0.0))
            .curve((at(w + 24.0), bottom * 0.6), (at(w + 26.0), bottom * 0.8), (at(w + 14.0), bottom))
            .curve((at(w - 12.0), bottom * 0.6), (at(w - 4.0), 20.0), (at(w - 12.0), -30.0))
            .curve((at(w * 0.74), -74.0), (at(w * 0.5), -112.0), (to, -132.0))
    };
    let shape = half(1.0, x).and(half(-1.0, x));
    canvas.paint(&side(look, shape), colour);
    let line = Shape::at(x, -134.0).curve((x, -150.0), (x, -166.0), (x * 0.8, -180.0));
    canvas.glaze(&side(look, line).stroke(3.0), darker(colour, 0.5), 0.55);
    for at in [-1.0, 1.0] {
        let strand = Shape::at(at * w * 0.4, -150.0).curve(
            (at * w * 0.9, -120.0),
            (at * (w + 8.0), -40.0),
            (at * (w + 8.0), bottom * 0.7),
        );
        canvas.glaze(&strand.stroke(2.6), darker(colour, 0.4), 0.35);
    }
}

fn curls(canvas: &mut Canvas, look: &Look, size: f32, ear: f32) {
    let (w, colour) = (look.face.0, look.hair.1);
    let mut shape = cap(w + 6.0, -172.0, -100.0, 0.74, ear);
    let count = 13;
    for i in 0..count {
        let share = i as f32 / (count - 1) as f32;
        let (sin, cos) = ((1.0 + share) * std::f32::consts::PI).sin_cos();
        let wobble = if i % 2 == 0 { 5.0 } else { -4.0 };
        shape = shape.and(Shape::circle(cos * (w - 2.0 + wobble), sin * 128.0 - 40.0, size));
    }
    for i in -3..=3_i8 {
        let x = f32::from(i) * w * 0.23;
        shape = shape.and(Shape::circle(x, -112.0 + (x / 30.0).powi(2) * 0.9, size * 0.64));
    }
    canvas.paint(&shape, colour);
    for i in 0..9 {
        let share = i as f32 / 8.0;
        let (sin, cos) = ((1.06 + share * 0.88) * std::f32::consts::PI).sin_cos();
        let (x, y) = (cos * w * 0.78, sin * 104.0 - 44.0);
        let curl = Shape::at(x - 10.0, y + 4.0).curve((x - 8.0, y - 12.0), (x + 10.0, y - 12.0), (x + 9.0, y + 5.0));
        canvas.glaze(&curl.stroke(3.0), lighter(colour, 0.35), 0.35);
    }
}

/// Thin darker lines; x as shares of the face's width.
fn strands(canvas: &mut Canvas, look: &Look, lines: &[(f32, f32, f32, f32, f32, f32)]) {
    let w = look.face.0;
    for (x0, y0, x1, y1, x2, y2) in lines {
        let line = Shape::at(x0 * w, *y0).curve((x1 * w, (y0 + y1) / 2.0), (x1 * w, *y1), (x2 * w, *y2));
        canvas.glaze(&side(look, line).stroke(2.6), darker(look.hair.1, 0.45), 0.4);
    }
}

/// Light on smooth hair.
fn gloss(canvas: &mut Canvas, look: &Look, y: f32) {
    let w = look.face.0;
    let shine = Shape::at(-w * 0.66, y + 26.0).curve((-w * 0.4, y), (-w * 0.1, y - 8.0), (w * 0.12, y - 8.0));
    canvas.glaze(&side(look, shine).stroke(8.0), lighter(look.hair.1, 0.6), 0.28);
}

/// The cloth of a scarf has the colour of what is worn under the clothes.
fn scarf(look: &Look) -> Colour {
    lighter(look.dress.2, 0.18)
}

fn scarf_before(canvas: &mut Canvas, look: &Look) {
    let (w, cloth) = (look.face.0, scarf(look));
    let around = Shape::at(0.0, -176.0)
        .curve((w * 0.9, -176.0), (w + 34.0, -90.0), (w + 26.0, 30.0))
        .curve((w + 22.0, 110.0), (w * 0.7, 176.0), (0.0, 196.0))
        .line(0.0, 152.0)
        .curve((w * 0.46, 150.0), (w * 0.86, 110.0), (w * 0.92, 30.0))
        .curve((w * 0.98, -60.0), (w * 0.62, -112.0), (0.0, -112.0))
        .both_sides();
    canvas.paint(&around, cloth);
    for (x, y) in [(0.5, 150.0), (0.34, 168.0)] {
        let fold = Shape::at(-w * x, y).curve((-w * 0.2, y + 22.0), (w * 0.2, y + 24.0), (w * 0.7, y - 30.0));
        canvas.glaze(&fold.stroke(3.0), darker(cloth, 0.4), 0.35);
    }
    let edge = Shape::at(-w * 0.9, 10.0).curve((-w * 0.94, -80.0), (-w * 0.6, -114.0), (0.0, -114.0));
    canvas.glaze(&edge.stroke(3.0), darker(cloth, 0.4), 0.3);
}
