use image::{ExtendedColorType, ImageEncoder};
use proptest::prelude::*;

use super::*;

/// A picture whose upper half is red and whose lower half is blue.
fn flag(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |_, y| if y < height / 2 { Rgb([220, 20, 20]) } else { Rgb([20, 20, 220]) })
}

fn jpeg(image: &RgbImage) -> Vec<u8> {
    encode(image).unwrap().to_vec()
}

fn png(width: u32, height: u32, pixels: &[u8], color: ExtendedColorType) -> Vec<u8> {
    let mut bytes = Vec::new();
    image::codecs::png::PngEncoder::new(&mut bytes).write_image(pixels, width, height, color).unwrap();
    bytes
}

/// As a camera writes it: the segment with the orientation stands right behind the start.
fn turned(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    let tiff = [b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".as_slice(), &[orientation], &[0; 6]].concat();
    let secret = b"GPS-CANARY-50.45N-30.52E";
    let length = (2 + 6 + tiff.len() + secret.len()) as u16;
    [&jpeg[..2], &[0xFF, 0xE1], &length.to_be_bytes(), b"Exif\0\0", &tiff, secret, &jpeg[2..]].concat()
}

fn colour_at(jpeg: &[u8], x: u32, y: u32) -> [u8; 3] {
    image::load_from_memory_with_format(jpeg, ImageFormat::Jpeg).unwrap().to_rgb8().get_pixel(x, y).0
}

fn is_red([red, _, blue]: [u8; 3]) -> bool {
    red > 180 && blue < 80
}

/// The header of a PNG file that claims a size and has nothing behind it.
fn claims(width: u32, height: u32) -> Vec<u8> {
    let mut file = png(1, 1, &[0; 3], ExtendedColorType::Rgb8);
    file[16..20].copy_from_slice(&width.to_be_bytes());
    file[20..24].copy_from_slice(&height.to_be_bytes());
    // The checksum of the header must be right, or the claim is not even looked at.
    let mut crc = !0_u32;
    for byte in &file[12..29] {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
        }
    }
    file[29..33].copy_from_slice(&(!crc).to_be_bytes());
    file
}

#[test]
fn whatever_comes_leaves_as_two_jpegs_of_fixed_size() {
    for file in [
        jpeg(&flag(300, 400)),
        jpeg(&flag(1000, 200)),
        png(61, 200, &vec![9; 61 * 200 * 4], ExtendedColorType::Rgba8),
        png(90, 90, &vec![9; 90 * 90], ExtendedColorType::L8),
        png(90, 90, &vec![9; 90 * 90 * 6], ExtendedColorType::Rgb16),
    ] {
        let prepared = prepare(&file).unwrap();
        for (bytes, size) in [(&prepared.full, FULL), (&prepared.small, SMALL)] {
            let image = image::load_from_memory_with_format(bytes, ImageFormat::Jpeg).unwrap();
            assert_eq!((image.width(), image.height()), size);
        }
    }
}

#[test]
fn a_picture_held_sideways_is_turned_upright() {
    let upright = jpeg(&flag(300, 400));
    assert!(is_red(colour_at(&prepare(&upright).unwrap().full, 300, 50)));
    // The camera says: turn by 180 degrees.
    assert!(!is_red(colour_at(&prepare(&turned(&upright, 3)).unwrap().full, 300, 50)));
    // Lying on its side: the red half is at the left, a quarter turn clockwise brings it up.
    let lying = RgbImage::from_fn(400, 300, |x, _| if x < 200 { Rgb([220, 20, 20]) } else { Rgb([20, 20, 220]) });
    assert!(is_red(colour_at(&prepare(&turned(&jpeg(&lying), 6)).unwrap().full, 300, 50)));
    assert!(!is_red(colour_at(&prepare(&turned(&jpeg(&lying), 6)).unwrap().full, 300, 750)));
}

#[test]
fn nothing_of_the_file_that_came_is_kept() {
    let mut file = turned(&jpeg(&flag(300, 400)), 1);
    file.extend_from_slice(b"<script>CANARY</script>PK\x03\x04CANARY");
    let prepared = prepare(&file).unwrap();
    for bytes in [&prepared.full, &prepared.small] {
        assert!(!bytes.windows(6).any(|window| window == b"CANARY"), "metadata or a second file survived");
        assert!(!bytes.windows(4).any(|window| window == b"Exif"));
    }
}

#[test]
fn transparent_parts_become_white() {
    let file = png(90, 120, &vec![0; 90 * 120 * 4], ExtendedColorType::Rgba8);
    assert!(colour_at(&prepare(&file).unwrap().full, 300, 400).iter().all(|part| *part > 250));
}

#[test]
fn what_is_too_large_too_small_or_no_picture_is_refused_with_its_reason() {
    let refused = |file: &[u8]| prepare(file).err();
    assert_eq!(refused(&claims(65_535, 65_535)), Some(PictureRefused::TooWide));
    assert_eq!(refused(&claims(u32::MAX >> 1, 1)), Some(PictureRefused::TooWide));
    assert_eq!(refused(&claims(4097, 100)), Some(PictureRefused::TooWide));
    assert_eq!(refused(&claims(4096, 4096)), Some(PictureRefused::Damaged), "nothing behind the claim");
    assert_eq!(refused(&jpeg(&flag(59, 80))), Some(PictureRefused::TooSmall));
    assert_eq!(refused(&turned(&jpeg(&flag(60, 80)), 6)), Some(PictureRefused::TooSmall), "lying on its side");
    assert_eq!(refused(&jpeg(&flag(60, 80))), None);
    let mut large = jpeg(&flag(300, 400));
    large.resize(PICTURE_MAX_BYTES, 0);
    assert_eq!(refused(&large), None);
    large.push(0);
    assert_eq!(refused(&large), Some(PictureRefused::TooLarge));
    for other in [b"".as_slice(), b"GIF89a", b"<svg onload=alert(1)>", b"%PDF-1.7", b"BM", b"\x89PNG", b"\xFF\xD8"] {
        assert_eq!(refused(other), Some(PictureRefused::Format), "{other:?}");
    }
    // A picture behind something else is something else.
    assert_eq!(refused(&[b"GIF89a", jpeg(&flag(60, 80)).as_slice()].concat()), Some(PictureRefused::Format));
}

#[test]
fn a_truncated_png_is_damaged_wherever_it_ends() {
    let file = png(90, 120, &vec![7; 90 * 120 * 3], ExtendedColorType::Rgb8);
    for length in (8..file.len() - 12).step_by(7) {
        assert_eq!(prepare(&file[..length]).err(), Some(PictureRefused::Damaged), "{length} bytes");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn damaged_pictures_are_refused_or_become_ours(
        is_png in any::<bool>(),
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..12),
    ) {
        let mut file = match is_png {
            true => png(60, 80, &vec![7; 60 * 80 * 3], ExtendedColorType::Rgb8),
            false => jpeg(&flag(60, 80)),
        };
        for (index, byte) in changes {
            let index = index.index(file.len());
            file[index] = byte;
        }
        if let Ok(prepared) = prepare(&file) {
            prop_assert!(prepared.full.starts_with(&[0xFF, 0xD8, 0xFF]));
        }
    }
}
