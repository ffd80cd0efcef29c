//! Which way up a camera held a picture, from its JPEG file: the one thing of its metadata that is read. A reader of our
//! own, because it must be bounded: it looks at the segments before the picture and at one directory of at most
//! [`ENTRIES_MAX`] entries, and whatever it does not understand means upright.
//!
//! Sources: JPEG segments, ISO/IEC 10918-1 annex B; Exif 2.32, 4.5 and 4.6.4 (tag 274, orientation); TIFF 6.0, section 2.

use image::metadata;

/// Segments looked at before the picture begins; cameras write some ten.
const SEGMENTS_MAX: usize = 64;
/// Entries of the directory looked at; cameras write some fifteen.
const ENTRIES_MAX: usize = 64;
const TAG_ORIENTATION: u16 = 274;
const TYPE_SHORT: u16 = 3;

/// An orientation, 1 to 8 as Exif numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Orientation(u8);

/// As it should be.
pub(super) const UPRIGHT: Orientation = Orientation(1);

impl Orientation {
    /// Whether width and height change places.
    pub const fn swaps_sides(self) -> bool {
        self.0 >= 5
    }

    pub fn turn(self) -> metadata::Orientation {
        metadata::Orientation::from_exif(self.0).unwrap_or(metadata::Orientation::NoTransforms)
    }
}

pub(super) fn of_jpeg(file: &[u8]) -> Orientation {
    exif_of(file).and_then(orientation_of).unwrap_or(UPRIGHT)
}

/// The TIFF structure within the first Exif segment.
fn exif_of(file: &[u8]) -> Option<&[u8]> {
    let mut rest = file.strip_prefix(&[0xFF, 0xD8])?;
    for _ in 0..SEGMENTS_MAX {
        let [0xFF, marker, high, low, after @ ..] = rest else { return None };
        // Start of the picture itself, or its end.
        if matches!(marker, 0xDA | 0xD9) {
            return None;
        }
        let length = usize::from(u16::from_be_bytes([*high, *low])).checked_sub(2)?;
        let (segment, after) = after.split_at_checked(length)?;
        if *marker == 0xE1
            && let Some(tiff) = segment.strip_prefix(b"Exif\0\0")
        {
            return Some(tiff);
        }
        rest = after;
    }
    None
}

fn orientation_of(tiff: &[u8]) -> Option<Orientation> {
    let is_little = match tiff.get(..4)? {
        [b'I', b'I', 42, 0] => true,
        [b'M', b'M', 0, 42] => false,
        _ => return None,
    };
    let short = |at: usize| {
        let bytes: [u8; 2] = tiff.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if is_little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) })
    };
    let bytes: [u8; 4] = tiff.get(4..8)?.try_into().ok()?;
    let directory = if is_little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) } as usize;
    let count = usize::from(short(directory)?).min(ENTRIES_MAX);
    for index in 0..count {
        let entry = directory.checked_add(2 + 12 * index)?;
        if short(entry)? == TAG_ORIENTATION && short(entry + 2)? == TYPE_SHORT {
            let value = short(entry + 8)?;
            return u8::try_from(value).ok().filter(|value| (1..=8).contains(value)).map(Orientation);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    pub fn with_exif(is_little: bool, orientation: u16) -> Vec<u8> {
        let short = |value: u16| if is_little { value.to_le_bytes() } else { value.to_be_bytes() };
        let long = |value: u32| if is_little { value.to_le_bytes() } else { value.to_be_bytes() };
        let mut tiff = if is_little { b"II*\0".to_vec() } else { b"MM\0*".to_vec() };
        tiff.extend_from_slice(&long(8));
        tiff.extend_from_slice(&short(1));
        tiff.extend_from_slice(&short(TAG_ORIENTATION));
        tiff.extend_from_slice(&short(TYPE_SHORT));
        tiff.extend_from_slice(&long(1));
        tiff.extend_from_slice(&short(orientation));
        tiff.extend_from_slice(&[0; 6]);
        let mut file = vec![0xFF, 0xD8, 0xFF, 0xE1];
        file.extend_from_slice(&(tiff.len() as u16 + 8).to_be_bytes());
        file.extend_from_slice(b"Exif\0\0");
        file.extend_from_slice(&tiff);
        file.extend_from_slice(&[0xFF, 0xDA]);
        file
    }

    #[test]
    fn cameras_of_both_byte_orders_are_understood() {
        for value in 1..=8 {
            assert_eq!(of_jpeg(&with_exif(true, value)), Orientation(value as u8));
            assert_eq!(of_jpeg(&with_exif(false, value)), Orientation(value as u8));
        }
        for strange in [0, 9, 0x0100, u16::MAX] {
            assert_eq!(of_jpeg(&with_exif(true, strange)), UPRIGHT);
        }
    }

    proptest! {
        #[test]
        fn whatever_stands_there_is_read_or_means_upright(
            mut file in any::<bool>().prop_map(|little| with_exif(little, 6)),
            changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..6),
            cut in any::<proptest::sample::Index>(),
        ) {
            for (index, byte) in changes {
                let index = index.index(file.len());
                file[index] = byte;
            }
            file.truncate(cut.index(file.len() + 1));
            prop_assert!((1..=8).contains(&of_jpeg(&file).0));
        }
    }
}
