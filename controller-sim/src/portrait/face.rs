//! Head, eyes, nose, mouth, beard, glasses. The middle of the face is the origin; the chin is at 150, the crown at -150.

use crate::identity::Sex;
use crate::portrait::canvas::{Canvas, Colour, Mask, Shape, darker, lighter, mix};
use crate::portrait::look::{Beard, Glasses, Hair, Look, Mouth};

/// Where the eyes are.
const EYE_Y: f32 = 2.0;
/// Where the mouth is.
const MOUTH_Y: f32 = 88.0;

/// The outline of the head, `more` units outside of the face itself.
pub(super) fn outline(look: &Look, more: f32) -> Shape {
    let (cheeks, jaw, chin) = (look.face.0 + more, look.face.1 + more, look.face.2 + more * 0.5);
    let (top, bottom) = (-150.0 - more, 150.0 + more);
    Shape::at(0.0, top)
        .curve((cheeks * 0.64, top), (cheeks * 1.02, -96.0), (cheeks, -16.0))
        .curve((cheeks, 22.0), (jaw * 1.07, 48.0), (jaw * 0.97, 78.0))
        .curve((jaw * 0.88, 116.0), (chin * 1.25, bottom), (0.0, bottom))
        .both_sides()
}

pub(super) fn ears(canvas: &mut Canvas, look: &Look) {
    if look.hair.0 == Hair::Scarf {
        return;
    }
    let x = look.face.0 + 3.0;
    for side in [-1.0, 1.0] {
        canvas.paint(&Shape::ellipse(x * side, 8.0, 17.0, 29.0), darker(look.skin, 0.06));
        canvas.paint(&Shape::ellipse((x + 2.0) * side, 9.0, 8.0, 17.0), darker(look.skin, 0.18));
        if look.earrings {
            canvas.paint(&Shape::circle((x + 3.0) * side, 43.0, 6.0), [222, 186, 96]);
            canvas.paint(&Shape::circle((x + 2.0) * side, 41.5, 2.0), [255, 240, 196]);
        }
    }
}

pub(super) fn head(canvas: &mut Canvas, look: &Look) {
    let outline = outline(look, 0.0);
    canvas.paint(&outline, look.skin);
    let head = canvas.mask(&outline);
    shade(canvas, look, &head);
    if look.freckles {
        freckles(canvas, look, &head);
    }
    if look.beard != Beard::None {
        beard(canvas, look, &head);
    }
    nose(canvas, look);
    mouth(canvas, look);
    for side in [-1.0, 1.0] {
        eye(canvas, look, side);
    }
    if look.age > 50 {
        years(canvas, look);
    }
}

/// Light from the upper left, warm cheeks.
fn shade(canvas: &mut Canvas, look: &Look, head: &Mask) {
    let cheeks = look.face.0;
    let side = Shape::at(cheeks * 0.60, -160.0)
        .curve((cheeks * 0.98, -70.0), (cheeks * 0.92, 70.0), (cheeks * 0.10, 160.0))
        .line(160.0, 160.0)
        .line(160.0, -160.0);
    canvas.glaze_within(&side, head, darker(look.skin, 0.5), 0.13);
    let warm = mix(look.skin, [222, 92, 84], 0.42);
    let strength = if look.sex == Sex::Woman { 0.40 } else { 0.24 };
    for (size, share) in [(30.0, 0.45), (23.0, 0.5), (15.0, 0.55)] {
        for x in [-cheeks * 0.60, cheeks * 0.60] {
            canvas.glaze_within(&Shape::ellipse(x, 48.0, size, size * 0.66), head, warm, strength * share);
        }
    }
}

fn freckles(canvas: &mut Canvas, look: &Look, head: &Mask) {
    let mut rng = fastrand::Rng::with_seed(u64::from(look.age) + look.face.0.to_bits() as u64);
    for _ in 0..26 {
        let (x, y) = ((rng.f32() - 0.5) * look.face.0 * 1.5, 28.0 + rng.f32() * 34.0);
        let dot = Shape::circle(x, y, 1.3 + rng.f32() * 1.1);
        canvas.glaze_within(&dot, head, darker(mix(look.skin, [190, 110, 60], 0.6), 0.12), 0.7);
    }
}

fn eye(canvas: &mut Canvas, look: &Look, side: f32) {
    let (x, open) = (look.eyes_apart * side, look.eyes_open);
    let wide = 22.0;
    let lids = Shape::at(x - wide, EYE_Y + 1.5)
        .curve((x - wide * 0.5, EYE_Y - open * 1.35), (x + wide * 0.5, EYE_Y - open * 1.35), (x + wide, EYE_Y))
        .curve((x + wide * 0.5, EYE_Y + open * 0.95), (x - wide * 0.5, EYE_Y + open * 0.95), (x - wide, EYE_Y + 1.5));
    canvas.paint(&lids, [252, 250, 247]);
    let opening = canvas.mask(&lids);
    canvas.glaze_within(&Shape::ellipse(x, EYE_Y - open, wide, 6.0), &opening, darker(look.skin, 0.4), 0.28);
    canvas.glaze_within(&Shape::circle(x, EYE_Y - 0.5, 11.5), &opening, darker(look.eyes, 0.35), 1.0);
    canvas.glaze_within(&Shape::circle(x, EYE_Y - 0.5, 9.8), &opening, look.eyes, 1.0);
    canvas.glaze_within(&Shape::circle(x, EYE_Y - 0.5, 5.0), &opening, [24, 20, 24], 1.0);
    canvas.glaze_within(&Shape::circle(x - 3.6, EYE_Y - 4.2, 2.7), &opening, [255, 255, 255], 0.95);
    let lid = Shape::at(x - wide, EYE_Y + 1.5).curve(
        (x - wide * 0.5, EYE_Y - open * 1.35),
        (x + wide * 0.5, EYE_Y - open * 1.35),
        (x + wide, EYE_Y),
    );
    let lash = mix(darker(look.skin, 0.7), [34, 24, 26], 0.7);
    canvas.paint(&lid.stroke(if look.sex == Sex::Woman { 4.6 } else { 3.2 }), lash);
    if look.sex == Sex::Woman {
        let tip = Shape::at(x + wide * side, EYE_Y).line(x + (wide + 6.0) * side, EYE_Y - 6.5);
        canvas.paint(&tip.stroke(3.2), lash);
    }
    let fold = Shape::at(x - wide + 3.0, EYE_Y - open - 3.0).curve(
        (x - wide * 0.4, EYE_Y - open - 9.5),
        (x + wide * 0.4, EYE_Y - open - 9.5),
        (x + wide - 3.0, EYE_Y - open - 3.0),
    );
    canvas.glaze(&fold.stroke(2.2), darker(look.skin, 0.45), 0.35);
    brow(canvas, look, side);
}

fn brow(canvas: &mut Canvas, look: &Look, side: f32) {
    let (thick, arch) = look.brows;
    let (inner, outer) = (look.eyes_apart - 24.0, look.eyes_apart + 27.0);
    let y = EYE_Y - look.eyes_open - 21.0;
    let colour = if look.hair.0 == Hair::Scarf { darker(look.hair.1, 0.5) } else { darker(look.hair.1, 0.32) };
    let shape = Shape::at(inner, y + 4.0)
        .curve((inner + 16.0, y - arch * 0.7), (outer - 18.0, y - arch - 2.0), (outer, y + 5.0))
        .curve(
            (outer - 18.0, y - arch + thick * 0.7),
            (inner + 16.0, y + thick - arch * 0.4),
            (inner, y + 4.0 + thick),
        );
    let shape = if side < 0.0 { shape.flipped() } else { shape };
    canvas.glaze(&shape.clone().and(shape.stroke(1.5)), colour, 0.92);
}

fn nose(canvas: &mut Canvas, look: &Look) {
    let (long, wide) = look.nose;
    let tip = 8.0 + long;
    let shadow = Shape::at(3.0, EYE_Y + 2.0)
        .curve((5.0, tip * 0.5), (wide + 5.0, tip - 12.0), (wide, tip))
        .curve((wide * 0.5, tip + 5.0), (-wide * 0.3, tip + 5.0), (-wide * 0.2, tip + 1.0))
        .curve((wide * 0.3, tip - 6.0), (2.0, tip * 0.5), (3.0, EYE_Y + 2.0));
    canvas.glaze(&shadow, darker(look.skin, 0.42), 0.26);
    let base = Shape::at(-wide, tip - 2.0)
        .curve((-wide * 0.7, tip + 5.0), (-wide * 0.3, tip + 3.0), (0.0, tip + 5.0))
        .curve((wide * 0.3, tip + 3.0), (wide * 0.7, tip + 5.0), (wide, tip - 2.0));
    canvas.glaze(&base.stroke(3.4), darker(look.skin, 0.5), 0.62);
    canvas.glaze(&Shape::ellipse(-2.0, tip - 12.0, 4.2, 7.0), lighter(look.skin, 0.7), 0.35);
}

fn mouth(canvas: &mut Canvas, look: &Look) {
    let (kind, half) = look.mouth;
    let lips = lips(look);
    let up = match kind {
        Mouth::Calm => 1.0,
        Mouth::Smile => 7.0,
        Mouth::Laugh => 9.0,
    };
    let (corner, middle) = (MOUTH_Y - up, MOUTH_Y + up * 0.35);
    if kind == Mouth::Laugh {
        let open = Shape::at(-half, corner)
            .curve((-half * 0.5, middle + 1.0), (half * 0.5, middle + 1.0), (half, corner))
            .curve((half * 0.6, middle + 20.0), (-half * 0.6, middle + 20.0), (-half, corner));
        canvas.paint(&open.clone().and(open.stroke(5.0)), lips);
        canvas.paint(&open, [252, 250, 246]);
        let inside = canvas.mask(&open);
        canvas.glaze_within(&Shape::ellipse(0.0, middle + 19.0, half, 7.5), &inside, [150, 58, 62], 0.9);
        return;
    }
    let upper = Shape::at(-half, corner)
        .curve((-half * 0.5, middle - 9.0), (-5.0, middle - 9.0), (0.0, middle - 5.5))
        .curve((5.0, middle - 9.0), (half * 0.5, middle - 9.0), (half, corner))
        .curve((half * 0.5, middle + 3.0), (-half * 0.5, middle + 3.0), (-half, corner));
    let lower = Shape::at(-half * 0.9, corner + 1.0)
        .curve((-half * 0.5, middle + 3.0), (half * 0.5, middle + 3.0), (half * 0.9, corner + 1.0))
        .curve((half * 0.5, middle + 15.0), (-half * 0.5, middle + 15.0), (-half * 0.9, corner + 1.0));
    canvas.paint(&upper, darker(lips, 0.14));
    canvas.paint(&lower, lips);
    canvas.glaze(&Shape::ellipse(-3.0, middle + 6.5, half * 0.35, 2.4), lighter(lips, 0.6), 0.4);
    let line = Shape::at(-half - 1.0, corner - 0.5).curve(
        (-half * 0.5, middle + 3.0),
        (half * 0.5, middle + 3.0),
        (half + 1.0, corner - 0.5),
    );
    canvas.glaze(&line.stroke(2.6), darker(lips, 0.55), 0.85);
}

fn lips(look: &Look) -> Colour {
    if look.sex == Sex::Woman { mix(look.skin, [190, 58, 74], 0.58) } else { mix(look.skin, [172, 74, 70], 0.36) }
}

fn beard(canvas: &mut Canvas, look: &Look, head: &Mask) {
    let colour = darker(look.hair.1, 0.12);
    let moustache = Shape::at(0.0, 66.0)
        .curve((14.0, 60.0), (32.0, 70.0), (40.0, 90.0))
        .curve((28.0, 84.0), (12.0, 84.0), (0.0, 82.0))
        .both_sides();
    match look.beard {
        Beard::None => {}
        Beard::Moustache => canvas.glaze(&moustache, colour, 0.95),
        Beard::Round => {
            canvas.glaze(&moustache, colour, 0.95);
            let chin = Shape::at(26.0, 88.0)
                .line(40.0, 86.0)
                .curve((46.0, 120.0), (30.0, 152.0), (0.0, 153.0))
                .line(0.0, 110.0)
                .curve((16.0, 112.0), (24.0, 104.0), (26.0, 88.0))
                .both_sides();
            canvas.glaze(&chin, colour, 0.95);
        }
        Beard::Full | Beard::Stubble => {
            let cheeks = look.face.0 + 14.0;
            let lower = Shape::at(0.0, 62.0)
                .curve((20.0, 58.0), (46.0, 66.0), (58.0, 72.0))
                .curve((cheeks * 0.72, 66.0), (cheeks * 0.86, 30.0), (cheeks, -6.0))
                .line(cheeks, 180.0)
                .line(0.0, 180.0)
                .both_sides();
            if look.beard == Beard::Stubble {
                canvas.glaze_within(&lower, head, colour, 0.24);
                return;
            }
            let around = canvas.mask(&outline(look, 9.0));
            canvas.glaze_within(&lower, &around, colour, 1.0);
            let bare = Shape::ellipse(0.0, MOUTH_Y + 3.0, look.mouth.1 + 3.0, 11.0);
            canvas.glaze(&bare, mix(look.skin, colour, 0.6), 0.4);
        }
    }
}

fn years(canvas: &mut Canvas, look: &Look) {
    let strength = (f32::from(look.age) - 46.0) / 60.0;
    let colour = darker(look.skin, 0.5);
    for side in [-1.0, 1.0] {
        let x = look.eyes_apart * side;
        let bag = Shape::at(x - 17.0, 19.0).curve((x - 8.0, 26.0), (x + 8.0, 26.0), (x + 17.0, 19.0));
        canvas.glaze(&bag.stroke(2.4), colour, strength * 0.55);
        let fold = Shape::at(side * 21.0, 56.0).curve((side * 32.0, 64.0), (side * 40.0, 74.0), (side * 42.0, 88.0));
        canvas.glaze(&fold.stroke(2.6), colour, strength * 0.7);
        for dy in [-3.0, 4.0] {
            let corner = Shape::at(x + side * 28.0, EYE_Y + dy * 0.5).line(x + side * 37.0, EYE_Y + dy * 1.6);
            canvas.glaze(&corner.stroke(2.0), colour, strength * 0.6);
        }
    }
    if look.age > 60 {
        for y in [-78.0, -64.0] {
            let line = Shape::at(-38.0, y).curve((-14.0, y - 5.0), (14.0, y - 5.0), (38.0, y));
            canvas.glaze(&line.stroke(2.2), colour, strength * 0.5);
        }
    }
}

pub(super) fn glasses(canvas: &mut Canvas, look: &Look) {
    let (kind, frame) = look.glasses;
    let x = look.eyes_apart + 1.0;
    let y = EYE_Y + 5.0;
    let lens = |side: f32| match kind {
        Glasses::Round | Glasses::None => Shape::circle(x * side, y, 33.0),
        Glasses::Broad => {
            let (wide, high) = (36.0, 25.0);
            let at = |dx: f32, dy: f32| (x * side + dx * wide, y + dy * high);
            Shape::at(at(0.0, -1.0).0, at(0.0, -1.0).1)
                .curve(at(0.9, -1.0), at(1.0, -0.8), at(1.0, -0.2))
                .curve(at(1.0, 0.7), at(0.7, 1.0), at(0.0, 1.0))
                .curve(at(-0.7, 1.0), at(-1.0, 0.7), at(-1.0, -0.2))
                .curve(at(-1.0, -0.8), at(-0.9, -1.0), at(0.0, -1.0))
        }
    };
    if kind == Glasses::None {
        return;
    }
    for side in [-1.0, 1.0] {
        let glass = lens(side);
        canvas.glaze(&glass, [236, 244, 250], 0.16);
        let glint = Shape::at(x * side - 18.0, y + 14.0).line(x * side + 6.0, y - 16.0);
        let opening = canvas.mask(&glass);
        canvas.glaze_within(&glint.stroke(7.0), &opening, [255, 255, 255], 0.22);
        canvas.paint(&glass.closed().stroke(4.6), frame);
        let arm = Shape::at((x + 34.0) * side, y - 6.0).line((look.face.0 + 6.0) * side, y - 12.0);
        canvas.paint(&arm.stroke(4.6), frame);
    }
    let inner = x - if kind == Glasses::Round { 33.0 } else { 36.0 };
    let bridge = Shape::at(-inner, y - 4.0).curve((-inner * 0.5, y - 12.0), (inner * 0.5, y - 12.0), (inner, y - 4.0));
    canvas.paint(&bridge.stroke(4.6), frame);
}
