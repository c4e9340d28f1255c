//! Makes MP3 files into voice messages.

use nanomp3::SliceReader;

use super::FileError;
use super::opus::{Encoded, Voice};

/// Decodes a file frame by frame, and encodes what comes.
pub fn encode(bytes: &[u8], serial: u32) -> Result<Encoded, FileError> {
    let refused = |error: nanomp3::Error| FileError::of_type(format!("the MP3 cannot be decoded: {error:?}"));
    let mut reader = SliceReader::<f32>::new(bytes);
    let mut voice = None;
    loop {
        // They are known once the first frame was found, and stay.
        let (rate, channels) = (reader.sample_rate(), reader.channels());
        let Some(samples) = reader.read_frame().map_err(refused)? else {
            break;
        };
        let channels = channels.map_or(1, |channels| usize::from(channels.num()));
        if voice.is_none() {
            if rate == 0 {
                return Err(FileError::of_type("the MP3 tells no rate"));
            }
            voice = Some(Voice::new(rate, serial)?);
        }
        if let Some(voice) = &mut voice {
            for frame in samples.chunks_exact(channels) {
                #[expect(clippy::cast_precision_loss, reason = "one or two")]
                let sample = frame.iter().sum::<f32>() / channels as f32;
                voice.push(sample)?;
            }
        }
    }
    let voice = voice.ok_or_else(|| FileError::of_type("the file has no sound"))?;
    voice.finish()
}
