//! Voice messages: Opus in Ogg, which is all that apps play as such. Other sounds are made into it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use shared::domain::content::File;

use super::opus::{self, Encoded, Voice};
use super::wav::Wav;
use super::{About, FileError, Made, mp3, ogg};

/// A voice message.
pub fn make(bytes: &[u8], found: Option<&'static str>) -> Result<Made, FileError> {
    let encoded = match found {
        Some("audio/ogg") => return as_it_is(bytes),
        Some("audio/wav") => of_wav(bytes)?,
        Some("audio/mpeg") => mp3::encode(bytes, rand::random())?,
        _ => {
            return Err(FileError::of_type(
                "the file is no sound that a voice message is made of",
            ));
        }
    };
    Ok(made(
        Some(encoded.bytes),
        Some(encoded.seconds),
        Some(encoded.waveform),
    ))
}

fn as_it_is(bytes: &[u8]) -> Result<Made, FileError> {
    let sound = ogg::read(bytes).filter(|sound| sound.is_opus);
    let sound = sound.ok_or_else(|| FileError::of_type("the file is no Opus in Ogg"))?;
    // A sound that cannot be listened to here may play all the same.
    let waveform = catch_unwind(AssertUnwindSafe(|| opus::listen(bytes))).unwrap_or_default();
    Ok(made(None, sound.seconds, waveform))
}

fn of_wav(bytes: &[u8]) -> Result<Encoded, FileError> {
    let wav = Wav::read(bytes)?;
    let mut voice = Voice::new(wav.rate, rand::random())?;
    for sample in wav.samples() {
        voice.push(sample)?;
    }
    voice.finish()
}

fn made(bytes: Option<Vec<u8>>, seconds: Option<u32>, waveform: Option<Vec<u8>>) -> Made {
    let file = File {
        mime_type: Some(ogg::OPUS.to_owned()),
        seconds,
        voice: true,
        ..File::default()
    };
    let about = About {
        file,
        waveform,
        ..About::default()
    };
    Made { about, bytes }
}

#[cfg(test)]
mod tests {
    use super::super::audio::tests as sounds;
    use super::super::wav::tests::file as wav;
    use super::*;

    #[test]
    fn a_voice_message_is_opus_in_ogg_whatever_it_was() {
        let second = vec![0x20; 16_000];
        for (bytes, found, seconds, is_heard) in [
            (opus::tests::encoded(48_000).bytes, "audio/ogg", 2, true),
            (wav(1, 1, 8_000, 16, &second), "audio/wav", 1, true),
            (wav(1, 2, 8_000, 8, &second), "audio/wav", 1, true),
            (sounds::mp3(77), "audio/mpeg", 3, true),
            // Its packets are garbage.
            (ogg::tests::opus(96_000), "audio/ogg", 2, false),
        ] {
            let made = make(&bytes, Some(found)).expect("a voice message");
            assert_eq!(made.bytes.is_some(), found != "audio/ogg");
            let file = &made.about.file;
            assert_eq!(
                (file.mime_type.as_deref(), file.seconds, file.voice),
                (Some("audio/ogg; codecs=opus"), Some(seconds), true),
                "{found}"
            );
            if is_heard {
                assert_eq!(
                    made.about.waveform.map(|waveform| waveform.len()),
                    Some(64),
                    "{found}"
                );
            }
            if let Some(bytes) = made.bytes {
                let sound = ogg::read(&bytes).expect("a sound");
                assert_eq!((sound.is_opus, sound.seconds), (true, Some(seconds)));
            }
        }
    }

    #[test]
    fn other_sounds_are_refused() {
        for (bytes, found) in [
            (&b"fLaC"[..], Some("audio/x-flac")),
            (b"\x00\x00\x00\x18ftypM4A ", Some("audio/mp4")),
            (b"hello", None),
            (b"OggS", Some("audio/ogg")),
            (b"RIFF\0\0\0\0WAVE", Some("audio/wav")),
            (b"ID3\x03\0\0\0\0\0\0", Some("audio/mpeg")),
        ] {
            assert!(make(bytes, found).is_err(), "{found:?}");
        }
    }
}
