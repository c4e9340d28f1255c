//! How much memory a picture takes while it is looked into, and how much all of them may take together.
//!
//! A picture of some kilobytes may unfold to gigabytes, and what its decoder takes beside its pixels depends on its format. So
//! the memory is reckoned from a picture's head, and taken from one budget, before there is room for its pixels. Other kinds are
//! read in pieces and take little beside their bytes.

use std::io::Cursor;
use std::sync::Arc;

use image::{ImageDecoder as _, ImageFormat, ImageReader};
use shared::domain::media::FileKind;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::FileError;
use super::image::format_of;

const MIB: u64 = 1_024 * 1_024;

/// What all pictures in hand may take together, in bytes. The bytes of the files themselves, two at a time, come on top.
pub const BUDGET: u64 = 224 * MIB;

/// What every look takes: thumbnails, tables of decoders.
const BASE: u64 = MIB;

/// What the frames of a sticker that moves take together, and their encoder.
const FRAMES: u64 = 112 * MIB;

/// The budget.
#[derive(Debug)]
pub struct Memory(Arc<Semaphore>);

/// A share of it, until it is dropped.
#[derive(Debug)]
pub struct Share {
    _permit: OwnedSemaphorePermit,
}

impl Default for Memory {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(
            usize::try_from(BUDGET / MIB).unwrap_or(0),
        )))
    }
}

impl Memory {
    /// Waits until so many bytes are free: [`BUDGET`] at most.
    pub async fn take(&self, bytes: u64) -> Result<Share, FileError> {
        let parts = u32::try_from(bytes.div_ceil(MIB)).unwrap_or(u32::MAX);
        let taking = Arc::clone(&self.0).acquire_many_owned(parts);
        let permit = taking.await.map_err(FileError::waits)?;
        Ok(Share { _permit: permit })
    }
}

/// How many bytes a file of this kind takes while it is looked into, beside its own. An error where that is more than there
/// are, or where it is no picture though its kind is one.
pub fn needed(kind: FileKind, bytes: &[u8], found: Option<&'static str>) -> Result<u64, FileError> {
    let is_sticker = match kind {
        FileKind::Image => false,
        FileKind::Sticker => true,
        FileKind::Video | FileKind::Audio | FileKind::Voice | FileKind::Document => return Ok(BASE),
    };
    let (_, format) = format_of(found)?;
    let decoder = ImageReader::with_format(Cursor::new(bytes), format)
        .into_decoder()
        .map_err(FileError::of_type)?;
    let (width, height) = decoder.dimensions();
    let color = decoder.color_type();
    drop(decoder);
    let pixels = u64::from(width) * u64::from(height);
    let stored = u64::from(color.bytes_per_pixel());
    let of_format = match format {
        // The decoder copies the file.
        ImageFormat::Jpeg => pixels * stored + coefficients(bytes) + bytes.len() as u64,
        ImageFormat::Png => pixels * stored,
        // One that is lossless is unpacked beside its pixels, and so is what one sees through.
        ImageFormat::WebP if color.has_alpha() => pixels * 12,
        ImageFormat::WebP => pixels * 7,
        // The frame before, the frame and what both make, in colors.
        _ => pixels * 16,
    };
    let of_kind = match (is_sticker, format) {
        (true, ImageFormat::Gif) => FRAMES,
        // Rows that are scaled one way are kept as floats until they are scaled the other.
        (true, _) => 512 * 16 * u64::from(width.min(height)) + 8 * MIB,
        // What was of another type is made into a JPEG, which is no longer than its pixels.
        (false, ImageFormat::Jpeg | ImageFormat::Png) => 0,
        (false, _) => pixels,
    };
    let needed = BASE + of_format + of_kind;
    if needed > BUDGET {
        return Err(FileError::too_large(format!(
            "a picture of {width} x {height} pixels takes {needed} bytes to be read"
        )));
    }
    Ok(needed)
}

/// What the decoder keeps of a JPEG until all of it came: nothing where each row of blocks is whole as it comes, else all
/// coefficients, two bytes each (ITU-T T.81, B.2).
fn coefficients(bytes: &[u8]) -> u64 {
    let mut at = 2;
    let (mut blocks, mut parts, mut is_progressive) = (0, 0, false);
    while let Some([0xff, marker, rest @ ..]) = bytes.get(at..) {
        let length = match rest {
            _ if *marker == 0xff => {
                at += 1;
                continue;
            }
            [high, low, ..] => usize::from(*high) << 8 | usize::from(*low),
            _ => break,
        };
        let segment = rest.get(2..length).unwrap_or_default();
        match (marker, segment) {
            (0xc0..=0xc2, [_, h1, h0, w1, w0, count, components @ ..]) => {
                let side = |high: &u8, low: &u8| u64::from(*high) << 8 | u64::from(*low);
                let sampled = || components.chunks_exact(3).map(|component| component[1]);
                let most = |shift: u8| u64::from(sampled().map(|both| both >> shift & 15).max().unwrap_or(1));
                let units = |side: u64, most: u64| side.div_ceil(8 * most.max(1));
                let units = units(side(w1, w0), most(4)) * units(side(h1, h0), most(0));
                let each: u64 = sampled()
                    .map(|both| u64::from(both >> 4) * u64::from(both & 15))
                    .sum();
                (blocks, parts, is_progressive) = (units * each, *count, *marker == 0xc2);
            }
            (0xda, [count, ..]) => {
                let is_kept = is_progressive || *count < parts;
                return if is_kept { blocks * 64 * 2 } else { 0 };
            }
            _ => {}
        }
        at += 2 + length;
    }
    0
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use shared::domain::message::FailureCode;

    use super::super::image::tests::{encoded, moving, picture};
    use super::super::{image, sticker};
    use super::*;

    /// A JPEG of one color in progressive scans: each coefficient is told by the one bit that says "as before".
    fn progressive(width: u16, height: u16) -> Vec<u8> {
        let mut bytes = Vec::from(&b"\xff\xd8\xff\xdb\x00\x43\x00"[..]);
        bytes.extend_from_slice(&[1; 64]);
        bytes.extend_from_slice(b"\xff\xc2\x00\x11\x08");
        bytes.extend_from_slice(&height.to_be_bytes());
        bytes.extend_from_slice(&width.to_be_bytes());
        bytes.extend_from_slice(&[3, 1, 0x22, 0, 2, 0x11, 0, 3, 0x11, 0]);
        bytes.extend_from_slice(b"\xff\xc4\x00\x14\x00\x01");
        bytes.extend_from_slice(&[0; 16]);
        bytes.extend_from_slice(b"\xff\xda\x00\x0c\x03\x01\x00\x02\x00\x03\x00\x00\x00\x00");
        let units = usize::from(width.div_ceil(16)) * usize::from(height.div_ceil(16));
        bytes.resize(bytes.len() + (units * 6).div_ceil(8), 0);
        bytes.extend_from_slice(b"\xff\xd9");
        bytes
    }

    /// What is reckoned is enough, and not much more than enough.
    #[test]
    fn a_picture_takes_no_more_than_is_reckoned() {
        let opaque = |width, height| {
            let mut picture = picture(width, height);
            picture.pixels_mut().for_each(|pixel| pixel.0[3] = 255);
            ::image::DynamicImage::from(picture).to_rgb8()
        };
        let webp = {
            let mut bytes = Cursor::new(Vec::new());
            let picture = ::image::DynamicImage::from(opaque(1_500, 1_000));
            picture.write_to(&mut bytes, ImageFormat::WebP).expect("encoded");
            bytes.into_inner()
        };
        let with_holes = picture(1_500, 1_000);
        for (name, bytes, found) in [
            ("jpeg", encoded(&with_holes, ImageFormat::Jpeg), "image/jpeg"),
            ("progressive", progressive(1_500, 1_000), "image/jpeg"),
            ("png", encoded(&with_holes, ImageFormat::Png), "image/png"),
            ("webp", webp, "image/webp"),
            (
                "webp with holes",
                encoded(&with_holes, ImageFormat::WebP),
                "image/webp",
            ),
            ("gif", moving(1_500, 1_000, 1), "image/gif"),
        ] {
            for kind in [FileKind::Image, FileKind::Sticker] {
                let needed = needed(kind, &bytes, Some(found)).expect("a picture");
                let counted = allocation_counter::measure(|| {
                    let made = match kind {
                        FileKind::Image => image::make(&bytes, Some(found)),
                        _ => sticker::make(&bytes, Some(found)),
                    };
                    assert!(made.is_ok(), "{name} as {kind}");
                });
                let (most, slack) = (counted.bytes_max, if found == "image/gif" { 6 } else { 3 });
                assert!(most <= needed, "{name} as {kind} took {most} bytes, not {needed}");
                let is_frames = kind == FileKind::Sticker && found == "image/gif";
                assert!(
                    is_frames || needed <= most * slack + 10 * MIB,
                    "{name}: {needed} for {most}"
                );
            }
        }
    }

    #[test]
    fn what_takes_more_than_there_is_is_refused_by_its_head() {
        let code = |bytes: &[u8]| match needed(FileKind::Image, bytes, Some("image/jpeg")) {
            Err(FileError::Final { code, .. }) => Some(code),
            _ => None,
        };
        // 24 megapixels of a camera, and as many as take twice their room.
        assert_eq!(code(&progressive(6_000, 4_000)[..700]), None);
        assert_eq!(
            code(&progressive(8_000, 6_250)[..700]),
            Some(FailureCode::MediaTooLarge)
        );
        assert_eq!(
            code(&progressive(8_000, 6_250)[..60]),
            Some(FailureCode::MediaType)
        );
    }

    #[tokio::test]
    async fn a_picture_waits_for_the_memory_of_another() {
        let memory = Memory::default();
        let first = memory.take(BUDGET - 10 * MIB).await.expect("free");
        let small = memory.take(10 * MIB).now_or_never().expect("free");
        assert!(memory.take(1).now_or_never().is_none(), "all is taken");
        drop(first);
        drop(memory.take(BUDGET - 10 * MIB).now_or_never().expect("free again"));
        drop(small);
        drop(memory.take(BUDGET).now_or_never().expect("all of it"));
    }
}
