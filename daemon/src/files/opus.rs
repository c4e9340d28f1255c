//! Makes Opus in Ogg (RFC 7845) of a sound, and tells how loud one is from its beginning to its end.

use std::io::Cursor;
use std::mem;

use ogg::{PacketReader, PacketWriteEndInfo, PacketWriter};
use opus_rs::{Application, OpusDecoder, OpusEncoder};

use super::FileError;

/// Samples a second, of all that goes into the encoder.
const RATE: u32 = 48_000;

/// Samples of a packet: 20 ms.
const FRAME: usize = 960;

/// Samples that the encoder begins with before the sound does.
const PRE_SKIP: u16 = 312;

/// What speech needs to sound well, in bits a second.
const BITRATE: i32 = 32_000;

/// The largest packet, in bytes.
const MOST_PACKET: usize = 1_500;

/// The most samples that a packet of others has: 120 ms.
const MOST_SAMPLES: usize = 5_760;

/// The longest sound that is encoded or listened to.
const MOST_SECONDS: u64 = 30 * 60;

/// Packets that share a page: a second of them.
const PAGE: u64 = 50;

/// The values of a waveform.
const BARS: usize = 64;

/// The loudest value.
const LOUDEST: f32 = 100.0;

/// A sound that is being encoded.
pub struct Voice {
    resampler: Resampler,
    encoder: OpusEncoder,
    writer: PacketWriter<'static, Vec<u8>>,
    serial: u32,
    frame: Vec<f32>,
    /// The packet before the next one: the last of all is written as such.
    packet: Option<Vec<u8>>,
    packets: u64,
    /// The sound's own samples so far.
    samples: u64,
    levels: Vec<f32>,
}

/// A sound that is encoded.
pub struct Encoded {
    /// The file.
    pub bytes: Vec<u8>,
    /// How long it plays, rounded up.
    pub seconds: u32,
    /// How loud it is.
    pub waveform: Vec<u8>,
}

impl Voice {
    /// A sound whose samples come this often a second.
    pub fn new(rate: u32, serial: u32) -> Result<Self, FileError> {
        let mut encoder = OpusEncoder::new(48_000, 1, Application::Audio).map_err(FileError::of_type)?;
        encoder.bitrate_bps = BITRATE;
        let mut writer = PacketWriter::new(Vec::new());
        let mut head = Vec::from(&b"OpusHead\x01\x01"[..]);
        head.extend_from_slice(&PRE_SKIP.to_le_bytes());
        head.extend_from_slice(&RATE.to_le_bytes());
        head.extend_from_slice(&[0; 3]);
        let mut tags = Vec::from(&b"OpusTags"[..]);
        tags.extend_from_slice(&7_u32.to_le_bytes());
        tags.extend_from_slice(b"Waxwing");
        tags.extend_from_slice(&0_u32.to_le_bytes());
        for packet in [head, tags] {
            writer
                .write_packet(packet, serial, PacketWriteEndInfo::EndPage, 0)
                .map_err(FileError::waits)?;
        }
        Ok(Self {
            resampler: Resampler::new(rate),
            encoder,
            writer,
            serial,
            frame: Vec::with_capacity(FRAME),
            packet: None,
            packets: 0,
            samples: 0,
            levels: Vec::new(),
        })
    }

    /// Takes the next sample, of -1 to 1.
    pub fn push(&mut self, sample: f32) -> Result<(), FileError> {
        let mut resampler = mem::take(&mut self.resampler);
        let pushed = resampler.push(sample, &mut |sample| {
            self.samples += 1;
            self.take(sample)
        });
        self.resampler = resampler;
        pushed?;
        if self.samples > MOST_SECONDS * u64::from(RATE) {
            return Err(FileError::too_large(format!(
                "a sound that is converted plays for {MOST_SECONDS} seconds at most"
            )));
        }
        Ok(())
    }

    fn take(&mut self, sample: f32) -> Result<(), FileError> {
        self.frame.push(sample.clamp(-1.0, 1.0));
        if self.frame.len() == FRAME {
            self.encode()?;
        }
        Ok(())
    }

    fn encode(&mut self) -> Result<(), FileError> {
        let mut packet = vec![0; MOST_PACKET];
        let length = self
            .encoder
            .encode(&self.frame, FRAME, &mut packet)
            .map_err(FileError::of_type)?;
        packet.truncate(length);
        self.levels.push(level(&self.frame));
        self.frame.clear();
        if let Some(before) = self.packet.replace(packet) {
            let end = if self.packets.is_multiple_of(PAGE) {
                PacketWriteEndInfo::EndPage
            } else {
                PacketWriteEndInfo::NormalPacket
            };
            self.write(before, end, self.packets * 960)?;
        }
        self.packets += 1;
        Ok(())
    }

    fn write(&mut self, packet: Vec<u8>, end: PacketWriteEndInfo, position: u64) -> Result<(), FileError> {
        self.writer
            .write_packet(packet, self.serial, end, position)
            .map_err(FileError::waits)
    }

    /// Ends the sound.
    pub fn finish(mut self) -> Result<Encoded, FileError> {
        if self.samples == 0 {
            return Err(FileError::of_type("the sound is empty"));
        }
        // The encoder gives the last samples out behind as many others.
        let end = u64::from(PRE_SKIP) + self.samples;
        while self.packets * 960 < end {
            self.take(0.0)?;
        }
        if let Some(last) = self.packet.take() {
            self.write(last, PacketWriteEndInfo::EndStream, end)?;
        }
        let seconds = self.samples.div_ceil(u64::from(RATE));
        Ok(Encoded {
            bytes: self.writer.into_inner(),
            seconds: u32::try_from(seconds).unwrap_or(u32::MAX),
            waveform: waveform(&self.levels),
        })
    }
}

/// How loud a file of Opus in Ogg is; `None` where it cannot be decoded, or plays for long.
pub fn listen(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut reader = PacketReader::new(Cursor::new(bytes));
    let mut decoder = OpusDecoder::new(48_000, 1).ok()?;
    let mut samples = vec![0.0; MOST_SAMPLES];
    let mut levels = Vec::new();
    let mut total = 0;
    // The head and the tags come first.
    for _ in 0..2 {
        reader.read_packet().ok()??;
    }
    while let Some(packet) = reader.read_packet().ok()? {
        let count = decoder.decode(&packet.data, MOST_SAMPLES, &mut samples).ok()?;
        levels.push(level(samples.get(..count)?));
        total += u64::try_from(count).ok()?;
        if total > MOST_SECONDS * u64::from(RATE) {
            return None;
        }
    }
    (!levels.is_empty()).then(|| waveform(&levels))
}

/// How loud some samples are in the mean.
fn level(samples: &[f32]) -> f32 {
    let sum: f32 = samples.iter().map(|sample| sample.abs()).sum();
    #[expect(clippy::cast_precision_loss, reason = "some thousand")]
    let count = samples.len().max(1) as f32;
    sum / count
}

/// As many values as apps show, of which the loudest is 100.
fn waveform(levels: &[f32]) -> Vec<u8> {
    let bar = |number: usize| {
        let begin = number * levels.len() / BARS;
        let end = ((number + 1) * levels.len() / BARS).max(begin + 1);
        level(levels.get(begin..end.min(levels.len())).unwrap_or_default())
    };
    let bars: Vec<f32> = (0..BARS).map(bar).collect();
    let loudest = bars.iter().copied().fold(0.0, f32::max);
    bars.iter()
        .map(|bar| {
            let value = if loudest > 0.0 {
                bar / loudest * LOUDEST
            } else {
                0.0
            };
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "it is between 0 and 100"
            )]
            let value = value as u8;
            value
        })
        .collect()
}

/// Makes samples of one rate into those of the encoder's.
#[derive(Default)]
struct Resampler {
    /// How far a sample that goes is behind the last one, and how far one that comes is, in the same parts.
    step: u32,
    whole: u32,
    at: u32,
    window: [f32; 4],
    /// Samples that are one, where far too many come.
    together: u32,
    sum: f32,
    summed: u32,
}

impl Resampler {
    fn new(rate: u32) -> Self {
        let together = rate.div_ceil(RATE).max(1);
        Self {
            step: rate,
            whole: RATE * together,
            together,
            ..Self::default()
        }
    }

    fn push(
        &mut self,
        sample: f32,
        emit: &mut dyn FnMut(f32) -> Result<(), FileError>,
    ) -> Result<(), FileError> {
        self.sum += sample;
        self.summed += 1;
        if self.summed < self.together {
            return Ok(());
        }
        #[expect(clippy::cast_precision_loss, reason = "some few")]
        let sample = mem::take(&mut self.sum) / mem::take(&mut self.summed) as f32;
        self.window.rotate_left(1);
        self.window[3] = sample;
        while self.at < self.whole {
            emit(between(self.window, f64::from(self.at) / f64::from(self.whole)))?;
            self.at += self.step;
        }
        self.at -= self.whole;
        Ok(())
    }
}

/// The value between the second and the third of four, by a cubic through them (Catmull and Rom).
fn between([a, b, c, d]: [f32; 4], at: f64) -> f32 {
    #[expect(clippy::cast_possible_truncation, reason = "it is between 0 and 1")]
    let at = at as f32;
    let linear = 0.5 * (c - a);
    let square = a - 2.5 * b + 2.0 * c - 0.5 * d;
    let cube = 0.5 * (d - a) + 1.5 * (b - c);
    ((cube * at + square) * at + linear) * at + b
}

#[cfg(test)]
pub mod tests {
    use super::super::ogg as pages;
    use super::*;

    /// A tone that grows louder for two seconds.
    fn tone(rate: u32) -> Vec<f32> {
        (0..rate * 2)
            .map(|at| {
                let at = f64::from(at) / f64::from(rate);
                #[expect(clippy::cast_possible_truncation, reason = "it is between -1 and 1")]
                let sample = ((at * 440.0 * std::f64::consts::TAU).sin() * at / 2.5) as f32;
                sample
            })
            .collect()
    }

    pub fn encoded(rate: u32) -> Encoded {
        let mut voice = Voice::new(rate, 7).expect("an encoder");
        for sample in tone(rate) {
            voice.push(sample).expect("encoded");
        }
        voice.finish().expect("encoded")
    }

    #[test]
    fn a_tone_is_heard_again() {
        for rate in [8_000, 44_100, 48_000, 96_000] {
            let encoded = encoded(rate);
            assert_eq!(encoded.seconds, 2, "{rate}");
            let sound = pages::read(&encoded.bytes).expect("a sound");
            assert_eq!((sound.is_opus, sound.seconds), (true, Some(2)), "{rate}");
            assert!(encoded.bytes.len() < 30_000, "{} bytes", encoded.bytes.len());
            let heard = listen(&encoded.bytes).expect("heard");
            for waveform in [&encoded.waveform, &heard] {
                assert_eq!(waveform.len(), BARS);
                assert!(waveform.contains(&100));
                assert!(
                    waveform[2] < 20 && waveform[30] > 30 && waveform[60] > 80,
                    "{rate}: {waveform:?}"
                );
            }
        }
    }

    /// The tone's own frequency is there, and not another.
    #[test]
    fn a_tone_keeps_its_pitch() {
        for rate in [8_000, 44_100, 48_000] {
            let bytes = encoded(rate).bytes;
            let mut reader = PacketReader::new(Cursor::new(&bytes[..]));
            let mut decoder = OpusDecoder::new(48_000, 1).expect("a decoder");
            let mut all = Vec::new();
            let mut samples = vec![0.0; MOST_SAMPLES];
            let mut number = 0;
            while let Some(packet) = reader.read_packet().expect("a page") {
                number += 1;
                if number > 2 {
                    let count = decoder
                        .decode(&packet.data, MOST_SAMPLES, &mut samples)
                        .expect("decoded");
                    all.extend_from_slice(&samples[..count]);
                }
            }
            let second = &all[48_000..96_000];
            let crossings = second
                .windows(2)
                .filter(|pair| pair[0] < 0.0 && pair[1] >= 0.0)
                .count();
            assert!((435..=445).contains(&crossings), "{rate}: {crossings} Hz");
        }
    }

    #[test]
    fn what_is_no_sound_is_not_heard() {
        let whole = encoded(8_000).bytes;
        assert!(listen(b"").is_none() && listen(b"OggS").is_none());
        // Nothing of a page counts that is cut, and nothing panics.
        for length in (0..whole.len()).step_by(37) {
            let _ = listen(&whole[..length]);
        }
        let silence = Voice::new(48_000, 7).expect("an encoder").finish();
        assert!(silence.is_err());
    }
}
