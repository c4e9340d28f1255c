//! Reads WAV files (RIFF, with samples that are not compressed).

use super::FileError;

/// Samples as numbers, and as floating-point numbers.
const INTEGERS: u16 = 1;
const FLOATS: u16 = 3;
/// The real format stands behind this one.
const EXTENSIBLE: u16 = 0xfffe;

/// The rates of sounds, in samples a second.
const RATES: std::ops::RangeInclusive<u32> = 4_000..=384_000;

const MOST_CHANNELS: usize = 8;

/// What the head tells of the samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wav<'a> {
    /// Samples a second, of each channel.
    pub rate: u32,
    channels: usize,
    format: u16,
    /// Bytes of a sample.
    width: usize,
    data: &'a [u8],
}

impl<'a> Wav<'a> {
    /// Reads the head of a file.
    pub fn read(bytes: &'a [u8]) -> Result<Self, FileError> {
        Self::parse(bytes).ok_or_else(|| FileError::of_type("the file is no WAV that is known here"))
    }

    fn parse(bytes: &'a [u8]) -> Option<Self> {
        if bytes.get(..4)? != b"RIFF" || bytes.get(8..12)? != b"WAVE" {
            return None;
        }
        let mut rest = bytes.get(12..)?;
        let mut format = None;
        loop {
            let (kind, length) = (rest.get(..4)?, le32(rest, 4)?);
            let body = rest.get(8..)?;
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            if kind == b"data" {
                let (format, channels, rate, width) = format?;
                // Whoever writes to a pipe does not know the length.
                let is_known = length > 0 && length <= body.len();
                let data = if is_known { &body[..length] } else { body };
                return Some(Self {
                    rate,
                    channels,
                    format,
                    width,
                    data,
                });
            }
            if kind == b"fmt " {
                format = Some(head(body)?);
            }
            rest = body.get(length.checked_add(length % 2)?..)?;
        }
    }

    /// Each sample of -1 to 1, all channels in one.
    pub fn samples(self) -> impl Iterator<Item = f32> + 'a {
        let Self {
            channels,
            format,
            width,
            data,
            ..
        } = self;
        data.chunks_exact(width * channels).map(move |frame| {
            let sum: f32 = frame
                .chunks_exact(width)
                .map(|sample| value(format, sample))
                .sum();
            #[expect(clippy::cast_precision_loss, reason = "some few")]
            let count = channels as f32;
            sum / count
        })
    }
}

fn head(body: &[u8]) -> Option<(u16, usize, u32, usize)> {
    let format = match le16(body, 0)? {
        EXTENSIBLE => le16(body, 24)?,
        format => format,
    };
    let (channels, rate, bits) = (usize::from(le16(body, 2)?), le32(body, 4)?, le16(body, 14)?);
    let is_known = matches!((format, bits), (INTEGERS, 8 | 16 | 24 | 32) | (FLOATS, 32));
    let is_fine = is_known && (1..=MOST_CHANNELS).contains(&channels) && RATES.contains(&rate);
    is_fine.then_some((format, channels, rate, usize::from(bits / 8)))
}

fn value(format: u16, sample: &[u8]) -> f32 {
    #[expect(clippy::cast_precision_loss, reason = "what is lost is not heard")]
    let scaled = |number: i32| number as f32 / 2_147_483_648.0;
    match *sample {
        // Of one byte, silence is in the middle.
        [a] => scaled((i32::from(a) - 128) << 24),
        [a, b] => scaled(i32::from_le_bytes([0, 0, a, b])),
        [a, b, c] => scaled(i32::from_le_bytes([0, a, b, c])),
        [a, b, c, d] if format == FLOATS => {
            let number = f32::from_le_bytes([a, b, c, d]);
            if number.is_finite() { number } else { 0.0 }
        }
        [a, b, c, d] => scaled(i32::from_le_bytes([a, b, c, d])),
        _ => 0.0,
    }
}

fn le16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..at + 2)?.first_chunk::<2>()?))
}

fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..at + 4)?.first_chunk::<4>()?))
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub fn file(format: u16, channels: u16, rate: u32, bits: u16, data: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::from(&b"RIFF\0\0\0\0WAVELIST\x03\0\0\0abc\0fmt \x10\0\0\0"[..]);
        bytes.extend_from_slice(&format.to_le_bytes());
        bytes.extend_from_slice(&channels.to_le_bytes());
        bytes.extend_from_slice(&rate.to_le_bytes());
        bytes.extend_from_slice(&[0; 6]);
        bytes.extend_from_slice(&bits.to_le_bytes());
        bytes.extend_from_slice(b"data");
        bytes.extend_from_slice(&u32::try_from(data.len()).expect("small").to_le_bytes());
        bytes.extend_from_slice(data);
        bytes
    }

    fn samples(bytes: &[u8]) -> Vec<f32> {
        Wav::read(bytes).expect("a WAV").samples().collect()
    }

    #[test]
    fn samples_of_each_width_are_read() {
        for (format, bits, data) in [
            (INTEGERS, 8, &[192, 64][..]),
            (INTEGERS, 16, &[0, 0x40, 0, 0xc0]),
            (INTEGERS, 24, &[0, 0, 0x40, 0, 0, 0xc0]),
            (INTEGERS, 32, &[0, 0, 0, 0x40, 0, 0, 0, 0xc0]),
            (FLOATS, 32, &[0, 0, 0, 0x3f, 0, 0, 0, 0xbf]),
        ] {
            assert_eq!(
                samples(&file(format, 1, 8_000, bits, data)),
                [0.5, -0.5],
                "{bits} bits"
            );
        }
        let stereo = file(INTEGERS, 2, 44_100, 16, &[0, 0x40, 0, 0, 9]);
        assert_eq!(samples(&stereo), [0.25], "half a frame does not count");
        let mut piped = file(INTEGERS, 1, 8_000, 8, &[192]);
        let at = piped.len() - 5;
        piped[at..at + 4].copy_from_slice(&[0xff; 4]);
        assert_eq!(samples(&piped), [0.5]);
    }

    #[test]
    fn what_is_cut_or_of_another_format_is_refused() {
        let whole = file(INTEGERS, 1, 8_000, 16, &[0; 4]);
        for length in 0..whole.len() - 4 {
            let _ = Wav::read(&whole[..length]);
        }
        assert!(Wav::read(&whole[..40]).is_err());
        // ADPCM, no channel, and a rate of nothing.
        for other in [
            file(2, 1, 8_000, 4, &[0]),
            file(1, 0, 8_000, 16, &[0]),
            file(1, 1, 0, 16, &[0]),
        ] {
            assert!(Wav::read(&other).is_err());
        }
    }
}
