//! Drawn portraits of the invented people: flat illustrations, each face from its seed, so that pages that show photos
//! have something to show. Nobody real is meant, and none of them is made from a photograph.
//!
//! Never reads or writes a file. The picture is a JPEG of 600×800 pixels, as a pass office would upload it.

mod canvas;
mod dress;
mod face;
mod hair;
mod look;

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::{ImageError, RgbImage};

pub use look::{Beard, Dress, Glasses, Hair, Look, Mouth};

use canvas::{Canvas, Shape, lighter};

/// Width of a portrait, in pixels.
pub const WIDTH: u32 = 600;
/// Height of a portrait, in pixels.
pub const HEIGHT: u32 = 800;

/// JPEG quality, of 100: no blocks to be seen in flat colours.
const QUALITY: u8 = 88;
/// Where the middle of the face is.
const FACE_AT: (f32, f32) = (300.0, 350.0);

/// A portrait as a JPEG file.
///
/// # Errors
/// The encoder's; none for a picture of this size.
pub fn portrait(look: &Look) -> Result<Vec<u8>, ImageError> {
    let mut file = Cursor::new(Vec::new());
    JpegEncoder::new_with_quality(&mut file, QUALITY).encode_image(&paint(look, 1.0))?;
    Ok(file.into_inner())
}

/// The picture, `scale` times 600×800 pixels.
fn paint(look: &Look, scale: f32) -> RgbImage {
    let (wide, high) = ((WIDTH as f32 * scale) as u32, (HEIGHT as f32 * scale) as u32);
    let mut canvas = Canvas::new(wide, high, scale, FACE_AT, look.ground);
    canvas.paint(&Shape::circle(0.0, 30.0, 285.0), lighter(look.ground, 0.38));
    hair::behind(&mut canvas, look);
    dress::neck(&mut canvas, look);
    dress::clothes(&mut canvas, look);
    face::ears(&mut canvas, look);
    face::head(&mut canvas, look);
    hair::before(&mut canvas, look);
    face::glasses(&mut canvas, look);
    canvas.into_pixels()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::identity::Sex;

    /// A small picture: a quarter of the size, for speed.
    fn small(seed: u64) -> RgbImage {
        let sex = if seed.is_multiple_of(2) { Sex::Woman } else { Sex::Man };
        paint(&Look::draw(seed, sex, 20 + (seed * 7 % 60) as u8, None), 0.25)
    }

    #[test]
    fn a_portrait_is_a_jpeg_of_its_size_and_the_same_for_the_same_seed() {
        let look = Look::draw(7, Sex::Woman, 34, None);
        let file = portrait(&look).unwrap();
        let picture = image::load_from_memory_with_format(&file, image::ImageFormat::Jpeg).unwrap();
        assert_eq!((picture.width(), picture.height()), (WIDTH, HEIGHT));
        assert!((10_000..200_000).contains(&file.len()), "{} bytes", file.len());
        assert_eq!(file, portrait(&look).unwrap());
    }

    #[test]
    fn people_look_different() {
        let pictures: HashSet<Vec<u8>> = (0..60).map(|seed| small(seed).into_raw()).collect();
        assert_eq!(pictures.len(), 60);
        let looks: Vec<Look> = (0..400).map(|seed| Look::draw(seed, Sex::Man, 40, None)).collect();
        assert!(looks.iter().map(|look| look.hair.0 as u8).collect::<HashSet<_>>().len() >= 6);
        assert!(looks.iter().map(|look| look.skin).collect::<HashSet<_>>().len() >= 6);
        for beard in [Beard::None, Beard::Stubble, Beard::Full, Beard::Round, Beard::Moustache] {
            assert!(looks.iter().any(|look| look.beard == beard));
        }
    }

    #[test]
    fn there_is_a_face_in_the_middle() {
        for seed in 0..40_u64 {
            let sex = if seed.is_multiple_of(2) { Sex::Woman } else { Sex::Man };
            let look = Look { glasses: (Glasses::None, [0; 3]), freckles: false, ..Look::draw(seed, sex, 30, None) };
            let picture = paint(&look, 0.25);
            // The cheek, beside the nose and below the eye.
            let cheek = picture.get_pixel(((300.0 + 52.0) / 4.0) as u32, ((350.0 + 32.0) / 4.0) as u32).0;
            let off: i32 = cheek.iter().zip(look.skin).map(|(a, b)| i32::from(*a).abs_diff(b.into()) as i32).sum();
            assert!(off < 70, "{seed}: {cheek:?} is not {:?}", look.skin);
        }
    }
}
