//! A photograph from outside becomes one of ours: looked at before anything is allocated, decoded under limits, turned
//! upright, cropped, scaled and written anew, so that nothing of the file that came survives, its metadata least of all.
//!
//! Pure computing, up to 64 MiB of memory and some tenths of a second for the largest picture: the vault runs two at a
//! time, on threads that may wait.

mod orientation;

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::imageops::{self, FilterType};
use image::{DynamicImage, ImageFormat, ImageReader, Limits, Rgb, RgbImage};
use thiserror::Error;
use zeroize::Zeroizing;

/// Largest file, in bytes.
pub const PICTURE_MAX_BYTES: usize = 5 << 20;
/// Largest width and height, in pixels.
pub const SIDE_MAX: u32 = 4096;
/// Width and height of the large picture, in pixels: three by four, as on a pass.
pub const FULL: (u32, u32) = (600, 800);
/// Width and height of the small picture, in pixels.
pub const SMALL: (u32, u32) = (150, 200);

/// Smallest width and height, in pixels.
const SIDES_MIN: (u32, u32) = (60, 80);
/// Memory that decoding may take, in bytes: 4096 by 4096 pixels of four bytes.
const DECODING_MAX_BYTES: u64 = 64 << 20;
/// Quality of the JPEG that is stored; a face at 600 by 800 takes some 60 KiB.
const QUALITY: u8 = 85;

/// Why a picture is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PictureRefused {
    /// More than 5 MiB.
    #[error("the picture is larger than 5 MiB")]
    TooLarge,
    /// Wider or higher than 4096 pixels.
    #[error("the picture is wider or higher than 4096 pixels")]
    TooWide,
    /// Too small to recognise anybody.
    #[error("the picture is smaller than 60 by 80 pixels")]
    TooSmall,
    /// Neither JPEG nor PNG.
    #[error("the file is neither a JPEG nor a PNG picture")]
    Format,
    /// It begins well and cannot be read to its end.
    #[error("the picture is damaged")]
    Damaged,
}

/// What is stored of a photograph: two JPEG files without metadata.
pub struct Prepared {
    /// [`FULL`].
    pub full: Zeroizing<Vec<u8>>,
    /// [`SMALL`].
    pub small: Zeroizing<Vec<u8>>,
}

/// Reads a JPEG or PNG file of whatever origin and makes the two pictures.
///
/// # Errors
/// [`PictureRefused`]; sizes are refused before memory is taken for them.
pub fn prepare(file: &[u8]) -> Result<Prepared, PictureRefused> {
    let image = decode(file)?;
    let full = scaled(&portrait(&image), FULL);
    let small = scaled(&full, SMALL);
    Ok(Prepared { full: encode(&full)?, small: encode(&small)? })
}

fn decode(file: &[u8]) -> Result<DynamicImage, PictureRefused> {
    if file.len() > PICTURE_MAX_BYTES {
        return Err(PictureRefused::TooLarge);
    }
    // The first bytes decide, not a name or a type that somebody sent along.
    let format = match file {
        [0xFF, 0xD8, 0xFF, ..] => ImageFormat::Jpeg,
        [0x89, b'P', b'N', b'G', 0x0D, 0x0A, 0x1A, 0x0A, ..] => ImageFormat::Png,
        _ => return Err(PictureRefused::Format),
    };
    let (width, height) = claimed(file, format)?;
    if width > SIDE_MAX || height > SIDE_MAX {
        return Err(PictureRefused::TooWide);
    }
    let orientation = if format == ImageFormat::Jpeg { orientation::of_jpeg(file) } else { orientation::UPRIGHT };
    let is_lying = orientation.swaps_sides();
    let (width, height) = if is_lying { (height, width) } else { (width, height) };
    if width < SIDES_MIN.0 || height < SIDES_MIN.1 {
        return Err(PictureRefused::TooSmall);
    }
    let mut reader = ImageReader::with_format(Cursor::new(file), format);
    let mut limits = Limits::default();
    limits.max_image_width = Some(SIDE_MAX);
    limits.max_image_height = Some(SIDE_MAX);
    limits.max_alloc = Some(DECODING_MAX_BYTES);
    reader.limits(limits);
    let mut image = reader.decode().map_err(|_| PictureRefused::Damaged)?;
    image.apply_orientation(orientation.turn());
    Ok(image)
}

/// Width and height as the file claims them, before anything is decoded.
fn claimed(file: &[u8], format: ImageFormat) -> Result<(u32, u32), PictureRefused> {
    // In a PNG file they stand at a fixed place (PNG 3rd edition, 11.2.1), so no decoder needs to be made for it.
    if format == ImageFormat::Png {
        let (width, height) = (file.get(16..20), file.get(20..24));
        let number = |bytes: Option<&[u8]>| Some(u32::from_be_bytes(bytes?.try_into().ok()?));
        return number(width).zip(number(height)).ok_or(PictureRefused::Damaged);
    }
    ImageReader::with_format(Cursor::new(file), format).into_dimensions().map_err(|_| PictureRefused::Damaged)
}

/// The largest part of three by four: the middle from left to right, and nearer to the top than to the bottom, as
/// faces are.
fn portrait(image: &DynamicImage) -> RgbImage {
    let (width, height) = (image.width(), image.height());
    let (new_width, new_height) = if width * FULL.1 > height * FULL.0 {
        (height * FULL.0 / FULL.1, height)
    } else {
        (width, width * FULL.1 / FULL.0)
    };
    let (new_width, new_height) = (new_width.clamp(1, width), new_height.clamp(1, height));
    let cut = image.crop_imm((width - new_width) / 2, (height - new_height) / 4, new_width, new_height);
    match cut.color().has_alpha() {
        true => on_white(&cut),
        false => cut.into_rgb8(),
    }
}

fn on_white(image: &DynamicImage) -> RgbImage {
    let pixels = image.to_rgba8();
    RgbImage::from_fn(pixels.width(), pixels.height(), |x, y| {
        let [red, green, blue, alpha] = pixels.get_pixel(x, y).0.map(u16::from);
        Rgb([red, green, blue].map(|part| ((part * alpha + 255 * (255 - alpha)) / 255) as u8))
    })
}

fn scaled(image: &RgbImage, (width, height): (u32, u32)) -> RgbImage {
    imageops::resize(image, width, height, FilterType::CatmullRom)
}

fn encode(image: &RgbImage) -> Result<Zeroizing<Vec<u8>>, PictureRefused> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(256 << 10));
    let encoder = JpegEncoder::new_with_quality(&mut *bytes, QUALITY);
    image.write_with_encoder(encoder).map_err(|_| PictureRefused::Damaged)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
