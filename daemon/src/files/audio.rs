//! Sounds: they go out as they are, with the time that they play where their file tells it.

use shared::domain::content::File;

use super::{About, FileError, Made, mp4, ogg};

/// A sound for a message.
pub fn make(bytes: &[u8], found: Option<&'static str>) -> Result<Made, FileError> {
    let (mime_type, seconds) = match found {
        Some("audio/mp4" | "video/mp4") => {
            let movie =
                mp4::read(bytes).ok_or_else(|| FileError::of_type("the sound is cut: it has no head"))?;
            if movie.has_video || !movie.has_audio {
                return Err(FileError::of_type("the file is no sound"));
            }
            ("audio/mp4", movie.seconds)
        }
        Some("audio/ogg") => {
            let sound = ogg::read(bytes)
                .ok_or_else(|| FileError::of_type("the sound is cut, or none that is known here"))?;
            let mime_type = if sound.is_opus { ogg::OPUS } else { "audio/ogg" };
            (mime_type, sound.seconds)
        }
        Some(mime_type @ "audio/mpeg") => (mime_type, frames(bytes, mpeg)),
        Some(mime_type @ "audio/aac") => (mime_type, frames(bytes, adts)),
        Some(mime_type @ "audio/amr") => (mime_type, amr(bytes)),
        _ => return Err(FileError::of_type("the file is no sound that apps play")),
    };
    let file = File {
        mime_type: Some(mime_type.to_owned()),
        seconds,
        ..File::default()
    };
    let about = About {
        file,
        ..About::default()
    };
    Ok(Made { about, bytes: None })
}

/// A frame: its length in bytes, its samples, and how many of them make a second.
type Frame = (usize, u32, u32);

/// Parts of a second, of which every usual rate has a whole number a sample.
const TICKS: u64 = 705_600_000;

/// How long a file of frames plays, rounded up. What is no frame is passed over, such as tags.
fn frames(bytes: &[u8], frame: fn(&[u8]) -> Option<Frame>) -> Option<u32> {
    let mut at = after_tag(bytes);
    let mut ticks = 0_u64;
    while at + 7 <= bytes.len() {
        match frame(&bytes[at..]) {
            Some((length, samples, rate)) => {
                ticks += u64::from(samples) * TICKS / u64::from(rate);
                at += length;
            }
            None => at += 1,
        }
    }
    let seconds = u32::try_from(ticks.div_ceil(TICKS)).ok()?;
    (seconds > 0).then_some(seconds)
}

/// Where an `ID3v2` tag ends.
fn after_tag(bytes: &[u8]) -> usize {
    let Some([b'I', b'D', b'3', _, _, _, sizes @ ..]) = bytes.first_chunk::<10>() else {
        return 0;
    };
    let size = sizes
        .iter()
        .fold(0, |size, part| (size << 7) | usize::from(part & 0x7f));
    (10 + size).min(bytes.len())
}

/// A frame of MPEG-1, 2 or 2.5, layer III (ISO 11172-3, 2.4.2.3).
fn mpeg(bytes: &[u8]) -> Option<Frame> {
    const RATES: [[u32; 3]; 4] = [
        [11_025, 12_000, 8_000],
        [0; 3],
        [22_050, 24_000, 16_000],
        [44_100, 48_000, 32_000],
    ];
    const KILOBITS: [[usize; 16]; 2] = [
        [
            0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0,
        ],
        [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0],
    ];
    let [0xff, second, third, _] = *bytes.first_chunk::<4>()? else {
        return None;
    };
    let (version, layer) = (usize::from(second >> 3 & 3), second >> 1 & 3);
    if second & 0xe0 != 0xe0 || layer != 1 {
        return None;
    }
    let is_first = version == 3;
    let rate = *RATES[version]
        .get(usize::from(third >> 2 & 3))
        .filter(|rate| **rate > 0)?;
    let kilobits = KILOBITS[usize::from(!is_first)][usize::from(third >> 4)];
    let samples = if is_first { 1_152 } else { 576 };
    let padding = usize::from(third >> 1 & 1);
    let length =
        usize::try_from(samples / 8).ok()? * kilobits * 1_000 / usize::try_from(rate).ok()? + padding;
    (kilobits > 0 && length >= 4).then_some((length, samples, rate))
}

/// A frame of AAC (ISO 14496-3, 1.A.3).
fn adts(bytes: &[u8]) -> Option<Frame> {
    const RATES: [u32; 13] = [
        96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350,
    ];
    let head = bytes.first_chunk::<7>()?;
    if head[0] != 0xff || head[1] & 0xf6 != 0xf0 {
        return None;
    }
    let rate = *RATES.get(usize::from(head[2] >> 2 & 15))?;
    let length = usize::from(head[3] & 3) << 11 | usize::from(head[4]) << 3 | usize::from(head[5] >> 5);
    let blocks = u32::from(head[6] & 3) + 1;
    (length >= 7).then_some((length, blocks * 1_024, rate))
}

/// How long a file of AMR plays, whose frames have 20 ms each (RFC 4867, 5).
fn amr(bytes: &[u8]) -> Option<u32> {
    const NARROW: [usize; 16] = [12, 13, 15, 17, 19, 20, 26, 31, 5, 0, 0, 0, 0, 0, 0, 0];
    const WIDE: [usize; 16] = [17, 23, 32, 36, 40, 46, 50, 58, 60, 5, 0, 0, 0, 0, 0, 0];
    let (mut rest, lengths) = match bytes.strip_prefix(b"#!AMR-WB\n") {
        Some(rest) => (rest, WIDE),
        None => (bytes.strip_prefix(b"#!AMR\n")?, NARROW),
    };
    let mut frames = 0_u32;
    while let Some(head) = rest.first() {
        let length = 1 + lengths[usize::from(head >> 3 & 15)];
        rest = rest.get(length..).unwrap_or_default();
        frames += 1;
    }
    (frames > 0).then(|| frames.div_ceil(50))
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A file of MPEG-1 frames of 128 kbit/s and 44.1 kHz, with a tag before them.
    pub fn mp3(frames: usize) -> Vec<u8> {
        let mut bytes = Vec::from(&b"ID3\x03\0\0\0\0\0\x0a0123456789"[..]);
        for _ in 0..frames {
            bytes.extend_from_slice(&[0xff, 0xfb, 0x90, 0x64]);
            bytes.extend_from_slice(&[0; 413]);
        }
        bytes
    }

    #[test]
    fn sounds_tell_how_long_they_play() {
        let adts = [
            0xff, 0xf1, 0x50, 0x80, 0x02, 0x1f, 0xfc, 1, 2, 3, 4, 5, 6, 7, 8, 9,
        ]
        .repeat(44);
        let amr = [&b"#!AMR\n"[..], &[[0x3c; 32]; 75].concat()].concat();
        for (bytes, found, mime_type, seconds) in [
            (mp3(77), "audio/mpeg", "audio/mpeg", Some(3)),
            (adts, "audio/aac", "audio/aac", Some(2)),
            (amr, "audio/amr", "audio/amr", Some(2)),
            (
                mp4::tests::file(*b"soun", 0, 0, false),
                "video/mp4",
                "audio/mp4",
                Some(3),
            ),
            (
                ogg::tests::opus(96_000),
                "audio/ogg",
                "audio/ogg; codecs=opus",
                Some(2),
            ),
        ] {
            let file = make(&bytes, Some(found)).expect("a sound").about.file;
            assert_eq!(
                (file.mime_type.as_deref(), file.seconds),
                (Some(mime_type), seconds)
            );
        }
    }

    #[test]
    fn what_is_no_sound_is_refused() {
        for (bytes, found) in [
            (mp4::tests::file(*b"vide", 320, 240, false), Some("video/mp4")),
            (b"fLaC".to_vec(), Some("audio/x-flac")),
            (b"hello".to_vec(), None),
            (b"OggS".to_vec(), Some("audio/ogg")),
        ] {
            assert!(make(&bytes, found).is_err(), "{found:?}");
        }
    }

    #[test]
    fn what_is_cut_is_read_without_harm() {
        let whole = mp3(3);
        for length in 0..whole.len() {
            let _ = frames(&whole[..length], mpeg);
            let _ = frames(&whole[..length], adts);
        }
        assert_eq!(frames(&[0xff; 100], mpeg), None);
    }
}
