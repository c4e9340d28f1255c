//! A group's picture. WhatsApp takes a square JPEG, so any other picture is made into one, beside the sockets.

use std::io::Cursor;
use std::sync::Arc;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image::codecs::jpeg::JpegEncoder;
use image::error::{LimitError, LimitErrorKind};
use image::imageops::FilterType;
use image::{DynamicImage, GenericImageView as _, ImageDecoder as _, ImageError, ImageReader, Limits};
use shared::domain::question::{ChangePicture, PictureChanged};
use tokio::sync::Semaphore;

use super::super::{Put, Socket};
use super::changed;
use crate::connection::AskError;
use crate::whatsapp::{notices, people};

/// The edge of the picture that WhatsApp's apps upload, in pixels.
const EDGE: u32 = 640;

/// Its quality, of 100.
const QUALITY: u8 = 80;

/// The longest edge of a picture that is read, in pixels, and how much memory that may take.
const LONGEST_EDGE: u32 = 4_096;
const MEMORY: u64 = 128 * 1024 * 1024;

/// How many pictures are made at once, of all instances.
static AT_ONCE: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(2)));

impl Put for ChangePicture {
    /// WhatsApp may tell the change to others alone, so it is told here.
    async fn put(&self, socket: Socket<'_>) -> Result<PictureChanged, AskError> {
        let client = socket.client;
        let (groups, group) = (client.groups(), people::jid(&self.group));
        let made = match &self.image {
            Some(image) => {
                let jpeg = made_square(image).await?;
                if !client.is_logged_in() {
                    return Err(AskError::NotConnected);
                }
                groups.set_profile_picture(group, jpeg).await
            }
            None => groups.remove_profile_picture(group).await,
        };
        let made = changed(client, &self.group, made).await?;
        let id = Some(made.id).filter(|id| !id.is_empty());
        // WhatsApp may give an id for a picture that is taken away too.
        let shown = id.as_deref().filter(|_| self.image.is_some());
        let notice = notices::own_picture(&self.group, people::own(client), shown, socket.clock.now());
        socket.notices.sink.tell(notice);
        Ok(PictureChanged { id })
    }
}

async fn made_square(image: &str) -> Result<Vec<u8>, AskError> {
    let bytes = STANDARD.decode(image).map_err(|_| AskError::NotAnImage)?;
    let turn = Arc::clone(&AT_ONCE).acquire_owned().await;
    let turn = turn.map_err(|error| AskError::Unavailable(Box::new(error)))?;
    let making = tokio::task::spawn_blocking(move || {
        let jpeg = square(&bytes);
        drop(turn);
        jpeg
    });
    let made = making
        .await
        .map_err(|error| AskError::Unavailable(Box::new(error)))?;
    made.map_err(|_| AskError::NotAnImage)
}

/// The middle of a picture, upright, as a JPEG.
fn square(bytes: &[u8]) -> image::ImageResult<Vec<u8>> {
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(LONGEST_EDGE);
    limits.max_image_height = Some(LONGEST_EDGE);
    limits.max_alloc = Some(MEMORY);
    reader.limits(limits);
    let mut decoder = reader.into_decoder()?;
    if decoder.total_bytes() > MEMORY {
        let kind = LimitErrorKind::InsufficientMemory;
        return Err(ImageError::Limits(LimitError::from_kind(kind)));
    }
    let orientation = decoder.orientation()?;
    let mut picture = DynamicImage::from_decoder(decoder)?;
    picture.apply_orientation(orientation);
    let (width, height) = picture.dimensions();
    let edge = width.min(height);
    let middle = picture.crop_imm((width - edge) / 2, (height - edge) / 2, edge, edge);
    let middle = if edge == EDGE {
        middle
    } else {
        middle.resize_exact(EDGE, EDGE, FilterType::Triangle)
    };
    let mut jpeg = Vec::new();
    // What shows through is white, as in the apps.
    let mut flat = image::RgbImage::from_pixel(EDGE, EDGE, image::Rgb([255; 3]));
    for (x, y, pixel) in middle.to_rgba8().enumerate_pixels() {
        let [red, green, blue, alpha] = pixel.0;
        let over = |shade: u8| {
            let (shade, alpha) = (u32::from(shade), u32::from(alpha));
            u8::try_from((shade * alpha + 255 * (255 - alpha)) / 255).unwrap_or(u8::MAX)
        };
        flat.put_pixel(x, y, image::Rgb([over(red), over(green), over(blue)]));
    }
    flat.write_with_encoder(JpegEncoder::new_with_quality(&mut jpeg, QUALITY))?;
    Ok(jpeg)
}

#[cfg(test)]
mod tests {
    use image::ImageFormat;

    use super::*;

    fn png(picture: &DynamicImage) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, ImageFormat::Png).expect("written");
        bytes.into_inner()
    }

    #[test]
    fn any_picture_becomes_a_square_jpeg_of_its_middle() {
        // Red at the edges that are cut off, clear at the top, blue below.
        let wide = image::RgbaImage::from_fn(300, 100, |x, y| match (x, y) {
            (0..100 | 200.., _) => image::Rgba([255, 0, 0, 255]),
            (_, 0..50) => image::Rgba([0, 0, 0, 0]),
            _ => image::Rgba([0, 0, 255, 255]),
        });
        let jpeg = square(&png(&wide.into())).expect("a picture");
        let made = image::load_from_memory_with_format(&jpeg, ImageFormat::Jpeg).expect("a JPEG");
        assert_eq!(made.dimensions(), (EDGE, EDGE));
        let made = made.to_rgb8();
        let near = |x, y, wanted: [u8; 3]| {
            let is = made.get_pixel(x, y).0;
            let far = is.iter().zip(wanted).any(|(is, wanted)| is.abs_diff(wanted) > 24);
            assert!(!far, "{is:?} at {x}, {y}");
        };
        near(320, 100, [255, 255, 255]);
        near(20, 600, [0, 0, 255]);
        near(620, 600, [0, 0, 255]);
    }

    #[test]
    fn what_is_no_picture_or_too_large_is_refused() {
        let huge = png(&DynamicImage::new_luma8(LONGEST_EDGE + 1, 1));
        for bytes in [&b""[..], b"no picture", &huge, &huge[..40]] {
            assert!(square(bytes).is_err());
        }
    }
}
