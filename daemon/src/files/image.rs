//! Pictures: what apps show before they have one, and their size. A few types become JPEG.

use std::io::Cursor;

use image::codecs::gif::GifDecoder;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::webp::WebPDecoder;
use image::metadata::Orientation;
use image::{
    AnimationDecoder as _, DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, Rgb, RgbImage,
};
use shared::domain::content::File;

use super::{About, FileError, Made, memory};

/// The most pixels of a picture: more than any phone's camera makes. A file of some kilobytes may unfold to gigabytes, so
/// its size is looked at before its pixels.
const MOST_PIXELS: u64 = 50_000_000;

/// The longest side in pixels.
const LONGEST_SIDE: u32 = 16_384;

/// The most memory that a decoder may take, in bytes. How much it takes is reckoned before (`memory.rs`).
const MOST_MEMORY: u64 = memory::BUDGET;

/// The longest side of a thumbnail in pixels, as apps make them.
const THUMBNAIL_SIDE: u32 = 100;

/// The quality of thumbnails, which apps show blurred.
const THUMBNAIL_QUALITY: u8 = 50;

/// The quality of a picture that was of another type.
const QUALITY: u8 = 90;

const JPEG: &str = "image/jpeg";

/// A picture for a message.
pub fn make(bytes: &[u8], found: Option<&'static str>) -> Result<Made, FileError> {
    let (found, format) = format_of(found)?;
    if is_animated(bytes, format)? {
        return Err(FileError::of_type("the picture moves"));
    }
    let (picture, orientation) = decode(bytes, format)?;
    let is_kept = matches!(format, ImageFormat::Jpeg | ImageFormat::Png);
    let mut small = picture.thumbnail(THUMBNAIL_SIDE, THUMBNAIL_SIDE);
    small.apply_orientation(orientation);
    let (width, height) = seen_size(&picture, orientation);
    let changed = if is_kept {
        None
    } else {
        let mut whole = DynamicImage::from(on_white(picture));
        whole.apply_orientation(orientation);
        Some(jpeg(&whole.into_rgb8(), QUALITY)?)
    };
    let file = File {
        mime_type: Some(if is_kept { found } else { JPEG }.to_owned()),
        width: Some(width),
        height: Some(height),
        ..File::default()
    };
    let about = About {
        file,
        thumbnail: Some(jpeg(&on_white(small), THUMBNAIL_QUALITY)?),
        waveform: None,
    };
    Ok(Made {
        about,
        bytes: changed,
    })
}

/// A small JPEG of a picture, by its first frame where it moves.
pub fn small(bytes: &[u8], found: Option<&'static str>, longest_side: u32) -> Result<Vec<u8>, FileError> {
    let (_, format) = format_of(found)?;
    let (picture, orientation) = decode(bytes, format)?;
    // It makes small pictures larger, too.
    let side = longest_side.min(picture.width().max(picture.height()));
    let mut small = picture.thumbnail(side, side);
    small.apply_orientation(orientation);
    jpeg(&on_white(small), THUMBNAIL_QUALITY)
}

/// The format of a picture, by its type.
pub fn format_of(found: Option<&'static str>) -> Result<(&'static str, ImageFormat), FileError> {
    let known = found.and_then(|found| Some((found, ImageFormat::from_mime_type(found)?)));
    match known {
        Some((_, ImageFormat::Jpeg | ImageFormat::Png | ImageFormat::WebP | ImageFormat::Gif)) => {
            known.ok_or_else(|| FileError::of_type("no picture"))
        }
        _ => Err(FileError::of_type("the file is no picture that is known here")),
    }
}

/// The size of a picture as it is to be seen.
fn seen_size(picture: &DynamicImage, orientation: Orientation) -> (u32, u32) {
    match orientation {
        Orientation::NoTransforms
        | Orientation::Rotate180
        | Orientation::FlipHorizontal
        | Orientation::FlipVertical => (picture.width(), picture.height()),
        Orientation::Rotate90
        | Orientation::Rotate270
        | Orientation::Rotate90FlipH
        | Orientation::Rotate270FlipH => (picture.height(), picture.width()),
    }
}

/// The pixels of a picture, the first ones of one that moves, and how they are to be turned: what is made of them is smaller,
/// and turned in less memory. What is too large is found out before there is room for it.
pub fn decode(bytes: &[u8], format: ImageFormat) -> Result<(DynamicImage, Orientation), FileError> {
    let (width, height) = ImageReader::with_format(Cursor::new(bytes), format)
        .into_dimensions()
        .map_err(FileError::of_type)?;
    if width.max(height) > LONGEST_SIDE || u64::from(width) * u64::from(height) > MOST_PIXELS {
        return Err(FileError::too_large(format!(
            "the picture has {width} x {height} pixels"
        )));
    }
    let mut limits = Limits::default();
    limits.max_image_width = Some(LONGEST_SIDE);
    limits.max_image_height = Some(LONGEST_SIDE);
    limits.max_alloc = Some(MOST_MEMORY);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(FileError::of_type)?;
    // One that is not there, or not read, turns nothing.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let picture = DynamicImage::from_decoder(decoder).map_err(FileError::of_type)?;
    Ok((picture, orientation))
}

/// Whether a picture has more than one frame.
pub fn is_animated(bytes: &[u8], format: ImageFormat) -> Result<bool, FileError> {
    match format {
        ImageFormat::WebP => {
            let decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(FileError::of_type)?;
            Ok(decoder.has_animation())
        }
        ImageFormat::Gif => {
            let mut decoder = GifDecoder::new(Cursor::new(bytes)).map_err(FileError::of_type)?;
            let (width, height) = decoder.dimensions();
            if u64::from(width) * u64::from(height) > MOST_PIXELS {
                return Err(FileError::too_large(format!(
                    "the picture has {width} x {height} pixels"
                )));
            }
            let mut limits = Limits::default();
            limits.max_alloc = Some(MOST_MEMORY);
            decoder.set_limits(limits).map_err(FileError::of_type)?;
            Ok(decoder.into_frames().take(2).flatten().count() > 1)
        }
        _ => Ok(false),
    }
}

/// A picture without holes: what one sees through is white.
fn on_white(picture: DynamicImage) -> RgbImage {
    if !picture.color().has_alpha() {
        return picture.into_rgb8();
    }
    let picture = picture.into_rgba8();
    let mut whole = RgbImage::new(picture.width(), picture.height());
    for (to, from) in whole.pixels_mut().zip(picture.pixels()) {
        let [red, green, blue, alpha] = from.0.map(u16::from);
        let seen = |color: u16| u8::try_from((color * alpha + 255 * (255 - alpha)) / 255).unwrap_or(u8::MAX);
        *to = Rgb([seen(red), seen(green), seen(blue)]);
    }
    whole
}

fn jpeg(picture: &RgbImage, quality: u8) -> Result<Vec<u8>, FileError> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, quality)
        .encode_image(picture)
        .map_err(FileError::of_type)?;
    Ok(bytes)
}

#[cfg(test)]
pub mod tests {
    use image::{Delay, Frame, Rgba, RgbaImage};
    use shared::domain::message::FailureCode;

    use super::*;

    /// A picture with a hole in its middle.
    pub fn picture(width: u32, height: u32) -> RgbaImage {
        RgbaImage::from_fn(width, height, |x, y| {
            let is_hole = x.abs_diff(width / 2) < width / 4 && y.abs_diff(height / 2) < height / 4;
            Rgba([200, 40, 40, if is_hole { 0 } else { 255 }])
        })
    }

    pub fn encoded(picture: &RgbaImage, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        let picture = DynamicImage::from(picture.clone());
        let written = match format {
            ImageFormat::Jpeg => DynamicImage::from(picture.to_rgb8()).write_to(&mut bytes, format),
            _ => picture.write_to(&mut bytes, format),
        };
        written.expect("encoded");
        bytes.into_inner()
    }

    pub fn moving(width: u32, height: u32, frames: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = image::codecs::gif::GifEncoder::new(&mut bytes);
        for number in 0..frames {
            let delay = Delay::from_numer_denom_ms(100, 1);
            let mut picture = picture(width, height);
            let shade = u8::try_from(number % 7 * 30).expect("small");
            picture.pixels_mut().for_each(|pixel| pixel.0[1] = shade);
            let frame = Frame::from_parts(picture, 0, 0, delay);
            encoder.encode_frame(frame).expect("encoded");
        }
        drop(encoder);
        bytes
    }

    fn code(made: Result<Made, FileError>) -> FailureCode {
        match made {
            Err(FileError::Final { code, .. }) => code,
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("it is a picture"),
        }
    }

    #[test]
    fn a_picture_goes_out_as_it_is_with_a_small_one() {
        for (format, mime_type) in [(ImageFormat::Jpeg, "image/jpeg"), (ImageFormat::Png, "image/png")] {
            let bytes = encoded(&picture(640, 480), format);
            let made = make(&bytes, Some(mime_type)).expect("a picture");
            assert!(made.bytes.is_none());
            let file = &made.about.file;
            assert_eq!(
                (file.mime_type.as_deref(), file.width, file.height),
                (Some(mime_type), Some(640), Some(480))
            );
            let small = made.about.thumbnail.expect("a small one");
            let small = image::load_from_memory_with_format(&small, ImageFormat::Jpeg).expect("a JPEG");
            assert_eq!((small.width(), small.height()), (100, 75));
            if format == ImageFormat::Png {
                let middle = small.to_rgb8().get_pixel(50, 37).0;
                assert!(
                    middle.iter().all(|color| *color > 240),
                    "a hole is white: {middle:?}"
                );
            }
        }
    }

    #[test]
    fn other_stills_become_jpeg_and_what_moves_is_refused() {
        for (bytes, mime_type) in [
            (encoded(&picture(64, 48), ImageFormat::WebP), "image/webp"),
            (moving(64, 48, 1), "image/gif"),
        ] {
            let made = make(&bytes, Some(mime_type)).expect("a picture");
            let bytes = made.bytes.expect("changed");
            assert_eq!(image::guess_format(&bytes).expect("a picture"), ImageFormat::Jpeg);
            assert_eq!(made.about.file.mime_type.as_deref(), Some("image/jpeg"));
        }
        assert_eq!(
            code(make(&moving(64, 48, 2), Some("image/gif"))),
            FailureCode::MediaType
        );
    }

    #[test]
    fn what_is_no_picture_is_refused() {
        let mut png = encoded(&picture(640, 480), ImageFormat::Png);
        for (bytes, found) in [
            (&b"<html>"[..], Some("text/html")),
            (b"hello", None),
            (b"\x89PNG\r\n\x1a\n", Some("image/png")),
            (b"\xff\xd8\xff\xe0", Some("image/jpeg")),
            (b"BM", Some("image/bmp")),
        ] {
            assert_eq!(code(make(bytes, found)), FailureCode::MediaType, "{found:?}");
        }
        png.truncate(png.len() / 2);
        assert_eq!(code(make(&png, Some("image/png"))), FailureCode::MediaType);
    }

    /// A PNG that says how large it is, and unfolds to that.
    #[test]
    fn a_picture_that_unfolds_to_gigabytes_is_refused_by_its_head() {
        for (width, height) in [(60_000_u32, 60_000_u32), (8_000, 8_000), (20_000, 1)] {
            let mut head = Vec::from(&b"IHDR"[..]);
            head.extend_from_slice(&width.to_be_bytes());
            head.extend_from_slice(&height.to_be_bytes());
            head.extend_from_slice(&[8, 2, 0, 0, 0]);
            let mut bytes = Vec::from(&b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0d"[..]);
            bytes.extend_from_slice(&head);
            bytes.extend_from_slice(&crc32(&head).to_be_bytes());
            bytes.extend_from_slice(b"\x00\x00\x00\x00IDAT\x35\xaf\x06\x1e");
            assert_eq!(
                code(make(&bytes, Some("image/png"))),
                FailureCode::MediaTooLarge,
                "{width} x {height}"
            );
        }
    }

    /// CRC-32 as PNG has it (ISO 3309).
    fn crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(u32::MAX, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
                (crc >> 1) ^ (0xedb8_8320 & (0_u32.wrapping_sub(crc & 1)))
            })
        })
    }
}
