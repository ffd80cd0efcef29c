//! A photograph from outside becomes one of ours: looked at before anything is allocated, decoded under limits, turned
//! upright, cropped, scaled and written anew, so that nothing of the file that came survives, its metadata least of all.

use thiserror::Error;

/// Largest file, in bytes.
pub const PICTURE_MAX_BYTES: usize = 5 << 20;
/// Largest width and height, in pixels.
pub const SIDE_MAX: u32 = 4096;

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
