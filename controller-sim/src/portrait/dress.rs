//! Neck, shoulders and clothes.

use crate::identity::Sex;
use crate::portrait::canvas::{Canvas, Colour, Shape, darker, lighter};
use crate::portrait::look::{Dress, Look};

/// Below the lower edge of the picture.
const BELOW: f32 = 470.0;

pub(super) fn neck(canvas: &mut Canvas, look: &Look) {
    let half = half_neck(look);
    let skin = Shape::at(0.0, 60.0)
        .line(half, 60.0)
        .curve((half, 150.0), (half + 2.0, 180.0), (half + 16.0, 214.0))
        .curve((half + 50.0, 240.0), (look.shoulders * 0.7, 252.0), (look.shoulders * 0.8, 290.0))
        .line(0.0, 380.0)
        .both_sides();
    canvas.paint(&skin, darker(look.skin, 0.05));
    let under = canvas.mask(&skin);
    let shadow = Shape::ellipse(0.0, 128.0, look.face.1 * 0.92, 66.0);
    canvas.glaze_within(&shadow, &under, darker(look.skin, 0.5), 0.34);
    let bone = Shape::at(half * 0.3, 246.0).curve((half * 0.8, 238.0), (half * 1.4, 240.0), (half * 2.0, 234.0));
    canvas.glaze(&bone.clone().stroke(3.0), darker(look.skin, 0.4), 0.3);
    canvas.glaze(&bone.flipped().stroke(3.0), darker(look.skin, 0.4), 0.3);
}

fn half_neck(look: &Look) -> f32 {
    if look.sex == Sex::Woman { 47.0 } else { 61.0 }
}

pub(super) fn clothes(canvas: &mut Canvas, look: &Look) {
    let (dress, colour, under) = look.dress;
    let n = half_neck(look);
    match dress {
        Dress::Tee => body(canvas, look, colour, n + 22.0, 268.0),
        Dress::Pullover => {
            body(canvas, look, colour, n + 14.0, 248.0);
            rim(canvas, n + 14.0, 248.0, 13.0, darker(colour, 0.14));
        }
        Dress::Roll => {
            body(canvas, look, colour, n + 8.0, 216.0);
            let roll = Shape::at(0.0, 168.0)
                .curve((n * 0.6, 172.0), (n + 4.0, 166.0), (n + 5.0, 156.0))
                .curve((n + 10.0, 190.0), (n + 12.0, 206.0), (n + 16.0, 226.0))
                .curve((n * 0.6, 242.0), (n * 0.3, 244.0), (0.0, 244.0))
                .both_sides();
            canvas.paint(&roll, lighter(colour, 0.07));
            let fold = Shape::at(-n - 12.0, 204.0).curve((-n * 0.4, 220.0), (n * 0.4, 220.0), (n + 12.0, 204.0));
            canvas.glaze(&fold.stroke(3.0), darker(colour, 0.4), 0.5);
        }
        Dress::Shirt => {
            body(canvas, look, colour, n + 12.0, 300.0);
            collar(canvas, n, colour);
            buttons(canvas, colour);
        }
        Dress::Jacket => {
            body(canvas, look, under, n + 12.0, 290.0);
            collar(canvas, n, under);
            buttons(canvas, under);
            lapels(canvas, look, n, colour);
        }
        Dress::Coat => {
            body(canvas, look, under, n + 14.0, 282.0);
            if look.left_parted {
                collar(canvas, n, under);
            }
            lapels(canvas, look, n, colour);
            pen(canvas);
        }
        Dress::Tunic => {
            body(canvas, look, colour, n + 18.0, 330.0);
            let edge = Shape::at(n + 16.0, 208.0).line(0.0, 332.0).line(-n - 16.0, 208.0);
            canvas.paint(&edge.stroke(9.0), darker(colour, 0.16));
            badge(canvas);
        }
        Dress::Vest => {
            body(canvas, look, darker(under, 0.2), n + 16.0, 250.0);
            vest(canvas, look, n, colour);
        }
    }
}

/// Shoulders and chest, with an opening for the neck: half its width, and how deep it goes.
fn body(canvas: &mut Canvas, look: &Look, colour: Colour, open: f32, deep: f32) {
    let wide = look.shoulders;
    let shape = Shape::at(0.0, deep)
        .curve((open * 0.6, deep), (open, 244.0), (open, 206.0))
        .curve((open + 44.0, 232.0), (wide * 0.92, 236.0), (wide, 304.0))
        .curve((wide + 14.0, 350.0), (wide + 24.0, 410.0), (wide + 28.0, BELOW))
        .line(0.0, BELOW)
        .both_sides();
    canvas.paint(&shape, colour);
    let inside = canvas.mask(&shape);
    let shade = Shape::at(wide * 0.5, 200.0)
        .curve((wide * 0.75, 300.0), (wide * 0.6, 400.0), (wide * 0.5, BELOW))
        .line(wide + 60.0, BELOW)
        .line(wide + 60.0, 200.0);
    canvas.glaze_within(&shade, &inside, darker(colour, 0.5), 0.16);
    for side in [-1.0, 1.0] {
        let sleeve = Shape::at(side * wide * 0.74, 360.0).curve(
            (side * wide * 0.78, 390.0),
            (side * wide * 0.79, 420.0),
            (side * wide * 0.76, BELOW),
        );
        canvas.glaze(&sleeve.stroke(3.2), darker(colour, 0.45), 0.4);
    }
}

fn rim(canvas: &mut Canvas, open: f32, deep: f32, thick: f32, colour: Colour) {
    let line = Shape::at(-open, 208.0).curve((-open, 244.0), (-open * 0.6, deep), (0.0, deep)).curve(
        (open * 0.6, deep),
        (open, 244.0),
        (open, 208.0),
    );
    canvas.paint(&line.stroke(thick), colour);
}

fn collar(canvas: &mut Canvas, n: f32, colour: Colour) {
    let wing = Shape::at(n + 6.0, 192.0)
        .curve((n + 12.0, 214.0), (n * 0.5, 250.0), (4.0, 284.0))
        .line(34.0, 322.0)
        .curve((n * 0.9, 290.0), (n + 30.0, 262.0), (n + 38.0, 226.0))
        .curve((n + 24.0, 216.0), (n + 12.0, 206.0), (n + 6.0, 192.0));
    for shape in [wing.clone(), wing.flipped()] {
        canvas.paint(&shape, lighter(colour, 0.16));
        canvas.glaze(&shape.closed().stroke(2.6), darker(colour, 0.45), 0.4);
    }
}

fn buttons(canvas: &mut Canvas, colour: Colour) {
    let line = Shape::at(0.0, 300.0).line(0.0, BELOW);
    canvas.glaze(&line.stroke(2.6), darker(colour, 0.5), 0.45);
    for y in [338.0, 394.0, 450.0] {
        canvas.paint(&Shape::circle(0.0, y, 5.0), lighter(colour, 0.6));
    }
}

fn lapels(canvas: &mut Canvas, look: &Look, n: f32, colour: Colour) {
    let wide = look.shoulders + 5.0;
    let panel = Shape::at(n + 8.0, 198.0)
        .curve((n + 50.0, 226.0), (wide * 0.92, 232.0), (wide, 302.0))
        .curve((wide + 14.0, 350.0), (wide + 24.0, 410.0), (wide + 30.0, BELOW))
        .line(16.0, BELOW)
        .curve((30.0, 400.0), (n - 6.0, 300.0), (n + 8.0, 198.0));
    let lapel = Shape::at(n + 10.0, 196.0)
        .line(n + 60.0, 250.0)
        .line(n + 74.0, 306.0)
        .line(n + 42.0, 314.0)
        .curve((n + 26.0, 360.0), (50.0, 400.0), (18.0, 452.0))
        .curve((26.0, 380.0), (n - 10.0, 300.0), (n + 10.0, 196.0));
    for flip in [false, true] {
        let turn = |shape: &Shape| if flip { shape.clone().flipped() } else { shape.clone() };
        canvas.paint(&turn(&panel), if flip { colour } else { darker(colour, 0.07) });
        canvas.paint(&turn(&lapel), lighter(colour, 0.10));
        canvas.glaze(&turn(&lapel).closed().stroke(2.8), darker(colour, 0.5), 0.36);
        let sleeve = Shape::at(wide * 0.74, 366.0).line(wide * 0.77, BELOW);
        canvas.glaze(&turn(&sleeve).stroke(3.0), darker(colour, 0.5), 0.3);
    }
}

fn pen(canvas: &mut Canvas) {
    let pocket = Shape::at(-160.0, 408.0).line(-88.0, 408.0);
    canvas.glaze(&pocket.stroke(3.4), [120, 134, 148], 0.6);
    canvas.paint(&Shape::at(-134.0, 388.0).line(-134.0, 424.0).stroke(6.0), [61, 90, 128]);
    canvas.paint(&Shape::at(-118.0, 392.0).line(-118.0, 424.0).stroke(6.0), [164, 62, 64]);
}

fn badge(canvas: &mut Canvas) {
    let card = Shape::at(84.0, 366.0).line(150.0, 366.0).line(150.0, 412.0).line(84.0, 412.0);
    canvas.paint(&card, [250, 251, 252]);
    canvas.paint(&Shape::at(94.0, 380.0).line(94.0, 396.0).stroke(11.0), [150, 166, 180]);
    for (y, to) in [(380.0, 140.0), (390.0, 132.0), (400.0, 136.0)] {
        canvas.paint(&Shape::at(110.0, y).line(to, y).stroke(3.4), [150, 166, 180]);
    }
    canvas.paint(&Shape::at(108.0, 364.0).line(126.0, 364.0).stroke(6.0), [90, 104, 118]);
}

fn vest(canvas: &mut Canvas, look: &Look, n: f32, colour: Colour) {
    let wide = look.shoulders * 0.86;
    let panel = Shape::at(n + 22.0, 218.0)
        .curve((n + 54.0, 232.0), (wide * 0.8, 236.0), (wide * 0.94, 254.0))
        .curve((wide * 0.84, 330.0), (wide, 400.0), (wide + 6.0, BELOW))
        .line(5.0, BELOW)
        .line(5.0, 352.0)
        .curve((n * 0.7, 320.0), (n + 16.0, 280.0), (n + 22.0, 218.0));
    for shape in [panel.clone(), panel.flipped()] {
        canvas.paint(&shape, colour);
        let cloth = canvas.mask(&shape);
        let band = Shape::at(-300.0, 420.0).line(300.0, 420.0).stroke(24.0);
        canvas.glaze_within(&band, &cloth, [226, 230, 232], 0.95);
        for x in [-wide * 0.62, wide * 0.62] {
            let strap = Shape::at(x, 200.0).line(x, 408.0).stroke(22.0);
            canvas.glaze_within(&strap, &cloth, [226, 230, 232], 0.95);
        }
        canvas.glaze(&shape.closed().stroke(3.0), darker(colour, 0.5), 0.35);
    }
}
