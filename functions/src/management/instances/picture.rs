//! A QR code as a picture.

use std::fmt::Write as _;

use qrcode::{Color, EcLevel, QrCode};

/// Pixels of a module's side.
const SCALE: usize = 8;

/// Modules of white around the code (ISO/IEC 18004, 9.1).
const QUIET_ZONE: usize = 4;

/// A text that fits into no QR code, or a picture that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("the QR code cannot be drawn")]
pub struct Undrawable(#[source] Box<dyn std::error::Error + Send + Sync>);

fn code(text: &str) -> Result<QrCode, Undrawable> {
    QrCode::with_error_correction_level(text, EcLevel::L).map_err(|error| Undrawable(error.into()))
}

/// The code as an SVG document. Each row's dark modules that touch are one shape, which makes the document a quarter as large.
pub fn svg(text: &str) -> Result<String, Undrawable> {
    let code = code(text)?;
    let modules = code.width();
    let mut dark = String::new();
    for (y, row) in code.to_colors().chunks(modules).enumerate() {
        let mut x = 0;
        while x < modules {
            let length = row[x..].iter().take_while(|color| **color == Color::Dark).count();
            if length > 0 {
                // Writing to a text does not fail.
                let _ = write!(
                    dark,
                    "M{} {}h{length}v1h-{length}z",
                    x + QUIET_ZONE,
                    y + QUIET_ZONE
                );
            }
            x += length.max(1);
        }
    }
    let side = modules + 2 * QUIET_ZONE;
    let pixels = side * SCALE;
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{pixels}\" height=\"{pixels}\" viewBox=\"0 0 {side} {side}\" \
         shape-rendering=\"crispEdges\"><path fill=\"#fff\" d=\"M0 0h{side}v{side}H0z\"/><path d=\"{dark}\"/></svg>"
    ))
}

/// The code as a PNG of one bit a pixel.
pub fn png(text: &str) -> Result<Vec<u8>, Undrawable> {
    let code = code(text)?;
    let modules = code.width();
    let colors = code.to_colors();
    let side = (modules + 2 * QUIET_ZONE) * SCALE;
    let is_dark = |x: usize, y: usize| {
        let module = |pixel: usize| (pixel / SCALE).checked_sub(QUIET_ZONE).filter(|at| *at < modules);
        match (module(x), module(y)) {
            (Some(x), Some(y)) => colors[y * modules + x] == Color::Dark,
            _ => false,
        }
    };
    let row_bytes = side.div_ceil(8);
    let mut pixels = vec![0; row_bytes * side];
    for y in 0..side {
        for x in 0..side {
            // In grayscale of one bit, 1 is white.
            if !is_dark(x, y) {
                pixels[y * row_bytes + x / 8] |= 0x80 >> (x % 8);
            }
        }
    }
    write(side, &pixels)
}

fn write(side: usize, pixels: &[u8]) -> Result<Vec<u8>, Undrawable> {
    let undrawable = |error: png::EncodingError| Undrawable(error.into());
    let side = u32::try_from(side).map_err(|error| Undrawable(error.into()))?;
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, side, side);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::One);
    let mut writer = encoder.write_header().map_err(undrawable)?;
    writer.write_image_data(pixels).map_err(undrawable)?;
    writer.finish().map_err(undrawable)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_png_shows_the_code_with_its_quiet_zone() {
        let text = "2@abc,def,ghi,jkl";
        let modules = code(text).expect("fits").width();
        let file = png(text).expect("drawn");
        let mut reader = png::Decoder::new(std::io::Cursor::new(&file))
            .read_info()
            .expect("a PNG");
        let mut pixels = vec![0; reader.output_buffer_size().expect("fits into memory")];
        let info = reader.next_frame(&mut pixels).expect("a picture");
        let side = (modules + 2 * QUIET_ZONE) * SCALE;
        assert_eq!(usize::try_from(info.width).expect("small"), side);
        let is_white = |x: usize, y: usize| pixels[y * info.line_size + x / 8] & (0x80 >> (x % 8)) != 0;
        let first = QUIET_ZONE * SCALE;
        assert!(is_white(first - 1, first - 1));
        // The finder pattern's corner is dark.
        assert!(!is_white(first, first));
        assert!(is_white(side - 1, side - 1));
    }

    #[test]
    fn an_svg_has_each_dark_module_once() {
        let text = "2@abc,def,ghi,jkl";
        let code = code(text).expect("fits");
        let drawn = svg(text).expect("drawn");
        let dark = code
            .to_colors()
            .iter()
            .filter(|color| **color == Color::Dark)
            .count();
        let runs = drawn.split('M').skip(2).map(|shape| {
            let (start, rest) = shape.split_once('h').expect("a row's part");
            let (x, y) = start.split_once(' ').expect("a place");
            let length = rest.split('v').next().expect("a length");
            [x, y, length].map(|number| number.parse::<usize>().expect("a number"))
        });
        let mut covered = 0;
        for [x, y, length] in runs {
            for x in x..x + length {
                assert_eq!(code[(x - QUIET_ZONE, y - QUIET_ZONE)], Color::Dark);
            }
            covered += length;
        }
        assert_eq!(covered, dark);
    }

    #[test]
    fn what_is_too_long_is_refused() {
        let text = "x".repeat(3_000);
        assert!(png(&text).is_err());
        assert!(svg(&text).is_err());
    }
}
