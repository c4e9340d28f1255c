//! What the pages of an Ogg file tell (RFC 3533): what is in it, and how long it plays.

/// The samples a second by which Opus counts, whatever it was recorded with (RFC 7845, 4).
const OPUS_RATE: u64 = 48_000;

/// The type of Opus in Ogg, as apps write it.
pub const OPUS: &str = "audio/ogg; codecs=opus";

/// Where a page's position begins, its table of segments, and the end of its head.
const POSITION: usize = 6;
const SEGMENTS: usize = 26;
const HEAD: usize = 27;

/// What a file tells of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sound {
    /// Whether it is Opus.
    pub is_opus: bool,
    /// How long it plays, rounded up.
    pub seconds: Option<u32>,
}

/// Reads a whole file of one stream. `None` where its first page is none, or of something else.
pub fn read(bytes: &[u8]) -> Option<Sound> {
    let (first, length) = page(bytes)?;
    let (is_opus, rate, before) = if first.starts_with(b"OpusHead") {
        let before = u16::from_le_bytes(*first.get(10..12)?.first_chunk::<2>()?);
        (true, OPUS_RATE, u64::from(before))
    } else if first.starts_with(b"\x01vorbis") {
        let rate = u32::from_le_bytes(*first.get(12..16)?.first_chunk::<4>()?);
        (false, u64::from(rate), 0)
    } else {
        return None;
    };
    let mut rest = &bytes[length..];
    let mut last = None;
    while let Some((_, length)) = page(rest) {
        let position = i64::from_le_bytes(*rest.get(POSITION..)?.first_chunk::<8>()?);
        // No packet ends on a page without a position.
        last = u64::try_from(position).ok().or(last);
        rest = &rest[length..];
    }
    let samples = last.and_then(|last| last.checked_sub(before));
    let seconds = samples.filter(|samples| *samples > 0 && rate > 0);
    Some(Sound {
        is_opus,
        seconds: seconds.and_then(|samples| u32::try_from(samples.div_ceil(rate)).ok()),
    })
}

/// The body of the page that the bytes begin with, and the page's length.
fn page(bytes: &[u8]) -> Option<(&[u8], usize)> {
    if !bytes.starts_with(b"OggS\0") {
        return None;
    }
    let count = usize::from(*bytes.get(SEGMENTS)?);
    let segments = bytes.get(HEAD..HEAD + count)?;
    let begin = HEAD + count;
    let end = begin + segments.iter().map(|length| usize::from(*length)).sum::<usize>();
    Some((bytes.get(begin..end)?, end))
}

#[cfg(test)]
pub mod tests {
    use super::*;

    fn written(position: i64, body: &[u8]) -> Vec<u8> {
        let mut page = Vec::from(&b"OggS\0\0"[..]);
        page.extend_from_slice(&position.to_le_bytes());
        page.extend_from_slice(&[0; 12]);
        let segments = body
            .chunks(255)
            .map(|chunk| u8::try_from(chunk.len()).expect("small"));
        let segments: Vec<_> = segments.collect();
        page.push(u8::try_from(segments.len()).expect("small"));
        page.extend_from_slice(&segments);
        page.extend_from_slice(body);
        page
    }

    /// A file of Opus that plays this many samples.
    pub fn opus(samples: i64) -> Vec<u8> {
        let mut head = Vec::from(&b"OpusHead\x01\x01"[..]);
        head.extend_from_slice(&312_u16.to_le_bytes());
        head.extend_from_slice(&48_000_u32.to_le_bytes());
        head.extend_from_slice(&[0; 3]);
        [
            written(0, &head),
            written(0, b"OpusTags"),
            written(-1, &[7; 300]),
            written(samples + 312, &[7; 300]),
        ]
        .concat()
    }

    #[test]
    fn a_sound_tells_its_length() {
        let seconds = |samples| read(&opus(samples)).expect("a sound").seconds;
        assert_eq!(seconds(48_000 * 3), Some(3));
        assert_eq!(seconds(48_000 * 3 + 1), Some(4));
        assert_eq!(seconds(0), None);
        let mut head = Vec::from(&b"\x01vorbis\0\0\0\0\x02"[..]);
        head.extend_from_slice(&44_100_u32.to_le_bytes());
        let vorbis = [written(0, &head), written(88_200, &[1])].concat();
        let wanted = Sound {
            is_opus: false,
            seconds: Some(2),
        };
        assert_eq!(read(&vorbis), Some(wanted));
    }

    #[test]
    fn what_is_cut_or_lies_is_read_without_harm() {
        let whole = opus(48_000);
        for length in 0..whole.len() {
            let _ = read(&whole[..length]);
        }
        assert_eq!(read(b"OggS\0"), None);
        assert_eq!(read(&written(0, b"theora")), None);
    }
}
