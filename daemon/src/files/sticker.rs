//! Stickers: WebP of 512 by 512 pixels, of any picture.

use std::io::Cursor;
use std::time::Duration;

use image::codecs::gif::GifDecoder;
use image::imageops::{self, FilterType};
use image::{AnimationDecoder as _, DynamicImage, ImageDecoder as _, ImageFormat, Limits, RgbaImage};
use shared::domain::content::File;
use webp::{AnimEncoder, AnimFrame, BitstreamFeatures, Encoder, WebPConfig};

use super::image::{decode, format_of, is_animated};
use super::{About, FileError, Made};

/// The side of a sticker in pixels.
const SIDE: u32 = 512;

/// The largest still sticker, and the largest that moves, in bytes: apps show no larger ones.
const MOST_STILL: usize = 100 * 1_024;
const MOST_MOVING: usize = 500 * 1_024;

/// The qualities that are tried until a sticker is small enough.
const QUALITIES: [f32; 5] = [80.0, 60.0, 40.0, 20.0, 5.0];

/// The longest that a sticker moves before it begins anew.
const LONGEST: Duration = Duration::from_secs(10);

/// The shortest time between two frames that are kept: all frames are in memory together.
const SHORTEST_FRAME: Duration = Duration::from_millis(125);

/// The time of a frame that says none.
const USUAL_FRAME: Duration = Duration::from_millis(100);

/// The longest side of a GIF that moves, in pixels.
const LONGEST_SIDE: u32 = 2_048;

/// The most memory that decoding a GIF may take, in bytes.
const MOST_MEMORY: u64 = 64 * 1_024 * 1_024;

/// A sticker for a message.
pub fn make(bytes: &[u8], found: Option<&'static str>) -> Result<Made, FileError> {
    let (_, format) = format_of(found)?;
    let moves = is_animated(bytes, format)?;
    if format == ImageFormat::WebP && is_sticker(bytes, moves) {
        return Ok(made(None, moves));
    }
    let sticker = match (format, moves) {
        (_, false) => {
            let (picture, orientation) = decode(bytes, format)?;
            let mut sticker = DynamicImage::from(framed(&picture));
            drop(picture);
            sticker.apply_orientation(orientation);
            still(&sticker.into_rgba8())?
        }
        (ImageFormat::Gif, true) => moving(bytes)?,
        // Taking it apart would lose what its frames leave of each other.
        _ => {
            return Err(FileError::of_type(format!(
                "a WebP that moves has to be {SIDE} x {SIDE} pixels and {MOST_MOVING} bytes at most"
            )));
        }
    };
    // Frames that are all alike become one.
    let moves = BitstreamFeatures::new(&sticker).is_some_and(|features| features.has_animation());
    Ok(made(Some(sticker), moves))
}

fn made(bytes: Option<Vec<u8>>, moves: bool) -> Made {
    let file = File {
        mime_type: Some("image/webp".to_owned()),
        width: Some(SIDE),
        height: Some(SIDE),
        animated: moves,
        ..File::default()
    };
    let about = About {
        file,
        ..About::default()
    };
    Made { about, bytes }
}

/// Whether a WebP is a sticker as it is.
fn is_sticker(bytes: &[u8], moves: bool) -> bool {
    let most = if moves { MOST_MOVING } else { MOST_STILL };
    let features = BitstreamFeatures::new(bytes);
    bytes.len() <= most
        && features.is_some_and(|features| features.width() == SIDE && features.height() == SIDE)
        // Features are those of its head; a still one is decoded, since it may be cut.
        && (moves || decode(bytes, ImageFormat::WebP).is_ok())
}

/// The picture in the middle of a sticker, with nothing around it.
fn framed(picture: &DynamicImage) -> RgbaImage {
    let (width, height) = (picture.width().max(1), picture.height().max(1));
    let longer = width.max(height);
    // A very long picture would have no pixel left of its other side.
    let side = |length: u32| {
        let scaled = u64::from(length) * u64::from(SIDE) / u64::from(longer);
        u32::try_from(scaled).unwrap_or(SIDE).clamp(1, SIDE)
    };
    let small = picture.resize_exact(side(width), side(height), FilterType::Triangle);
    let mut sticker = RgbaImage::new(SIDE, SIDE);
    let at = |length: u32| i64::from((SIDE - length) / 2);
    imageops::overlay(&mut sticker, &small, at(small.width()), at(small.height()));
    sticker
}

fn still(sticker: &RgbaImage) -> Result<Vec<u8>, FileError> {
    for quality in QUALITIES {
        let encoded = Encoder::from_rgba(sticker, SIDE, SIDE).encode(quality);
        if encoded.len() <= MOST_STILL {
            return Ok(encoded.to_vec());
        }
    }
    Err(FileError::too_large("the sticker cannot be made small enough"))
}

/// A sticker that moves, of a GIF.
fn moving(bytes: &[u8]) -> Result<Vec<u8>, FileError> {
    let mut decoder = GifDecoder::new(Cursor::new(bytes)).map_err(FileError::of_type)?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(MOST_MEMORY);
    decoder.set_limits(limits).map_err(FileError::of_type)?;
    let (width, height) = decoder.dimensions();
    if width.max(height) > LONGEST_SIDE {
        return Err(FileError::too_large(format!(
            "the picture has {width} x {height} pixels"
        )));
    }
    let mut frames: Vec<(RgbaImage, Duration)> = Vec::new();
    let mut at = Duration::ZERO;
    for frame in decoder.into_frames() {
        let frame = frame.map_err(FileError::of_type)?;
        let lasts = Some(Duration::from(frame.delay())).filter(|lasts| !lasts.is_zero());
        if frames.last().is_none_or(|(_, last)| at >= *last + SHORTEST_FRAME) {
            frames.push((framed(&DynamicImage::from(frame.into_buffer())), at));
        }
        at += lasts.unwrap_or(USUAL_FRAME);
        if at > LONGEST {
            return Err(FileError::too_large(format!(
                "a sticker moves for {LONGEST:?} at most"
            )));
        }
    }
    for quality in QUALITIES {
        let mut config = WebPConfig::new().map_err(|()| FileError::of_type("no encoder"))?;
        config.quality = quality;
        let mut encoder = AnimEncoder::new(SIDE, SIDE, &config);
        encoder.set_bgcolor([0; 4]);
        encoder.set_loop_count(0);
        for (sticker, at) in &frames {
            let at = i32::try_from(at.as_millis()).unwrap_or(i32::MAX);
            encoder.add_frame(AnimFrame::from_rgba(sticker, SIDE, SIDE, at));
        }
        let sticker = encoder
            .try_encode()
            .map_err(|error| FileError::of_type(format!("{error:?}")))?;
        if sticker.len() <= MOST_MOVING {
            return Ok(sticker.to_vec());
        }
    }
    Err(FileError::too_large("the sticker cannot be made small enough"))
}

#[cfg(test)]
mod tests {
    use shared::domain::message::FailureCode;

    use super::super::image::tests::{encoded, moving as gif, picture};
    use super::*;

    fn sticker(bytes: &[u8], found: &'static str) -> RgbaImage {
        let made = make(bytes, Some(found)).expect("a sticker");
        assert_eq!(
            (made.about.file.width, made.about.file.mime_type.as_deref()),
            (Some(SIDE), Some("image/webp"))
        );
        let bytes = made.bytes.unwrap_or_else(|| bytes.to_vec());
        assert!(bytes.len() <= MOST_STILL);
        let sticker = image::load_from_memory_with_format(&bytes, ImageFormat::WebP).expect("a WebP");
        assert_eq!((sticker.width(), sticker.height()), (SIDE, SIDE));
        sticker.to_rgba8()
    }

    #[test]
    fn a_picture_becomes_a_square_and_keeps_its_holes() {
        for (width, height) in [(300, 300), (2_000, 100), (1_000, 1)] {
            let bytes = encoded(&picture(width, height), ImageFormat::Png);
            let sticker = sticker(&bytes, "image/png");
            if width != height {
                assert_eq!(sticker.get_pixel(256, 5).0[3], 0, "nothing above it");
            }
            assert_eq!(
                sticker.get_pixel(256, 255).0[3] == 0,
                height > 1,
                "a hole in its middle"
            );
            assert!(sticker.get_pixel(10, 255).0[3] > 200, "and a picture beside it");
        }
    }

    #[test]
    fn a_sticker_goes_out_as_it_is() {
        let bytes = still(&picture(512, 512)).expect("a sticker");
        let made = make(&bytes, Some("image/webp")).expect("a sticker");
        assert!(made.bytes.is_none() && !made.about.file.animated);
        let small = Encoder::from_rgba(&picture(64, 64), 64, 64).encode(80.0).to_vec();
        sticker(&small, "image/webp");
        assert!(make(&bytes[..200], Some("image/webp")).is_err(), "cut");
    }

    #[test]
    fn what_moves_goes_on_moving() {
        let made = make(&gif(100, 50, 3), Some("image/gif")).expect("a sticker");
        assert!(made.about.file.animated);
        let bytes = made.bytes.expect("a WebP");
        let frames = webp::AnimDecoder::new(&bytes).decode().expect("it moves");
        assert!(frames.has_animation());
        let again = make(&bytes, Some("image/webp")).expect("a sticker");
        assert!(again.bytes.is_none() && again.about.file.animated, "it is one");

        let mut config = WebPConfig::new().expect("an encoder");
        config.quality = 50.0;
        let mut other = AnimEncoder::new(64, 64, &config);
        // Frames that are alike would be made one.
        let frames = [picture(64, 64).into_raw(), vec![200; 64 * 64 * 4]];
        for (frame, at) in frames.iter().zip([0, 100]) {
            other.add_frame(AnimFrame::from_rgba(frame, 64, 64, at));
        }
        let other = other.encode().to_vec();
        let refused = make(&other, Some("image/webp"));
        assert!(matches!(
            refused,
            Err(FileError::Final {
                code: FailureCode::MediaType,
                ..
            })
        ));
    }

    #[test]
    fn what_moves_for_too_long_is_refused() {
        let refused = make(&gif(4, 4, 101), Some("image/gif"));
        assert!(matches!(
            refused,
            Err(FileError::Final {
                code: FailureCode::MediaTooLarge,
                ..
            })
        ));
    }
}
