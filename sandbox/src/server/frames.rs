//! Frames: a header once, then three bytes of length (big-endian) and that many bytes, over and over.
//!
//! A WebSocket message may hold part of a frame or several of them.

use bytes::{Buf as _, BytesMut};
use wacore_binary::consts::{WA_CONN_HEADER, WA_MAGIC_VALUE};

const LENGTH: usize = 3;

/// Routing data may come first: this mark, three bytes of length, the data.
const ROUTING_MARK: [u8; 4] = *b"ED\x00\x01";

/// A handshake is some kilobytes; what claims more is no client.
pub(crate) const HANDSHAKE_LIMIT: usize = 64 * 1024;

/// The longest frame of a client that has logged in. Prekey uploads are tens of kilobytes.
pub(crate) const LIMIT: usize = 4 * 1024 * 1024;

/// Bytes that cannot be frames.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("the connection does not begin with WhatsApp's header")]
    Header,
    #[error("a frame of {0} bytes is over the limit")]
    TooLong(usize),
}

/// Collects bytes and splits them into frames.
#[derive(Debug)]
pub(crate) struct Frames {
    buffer: BytesMut,
    limit: usize,
    header_read: bool,
    routed: bool,
}

impl Frames {
    /// For a connection of which nothing has been read.
    pub(crate) fn new() -> Self {
        Self {
            buffer: BytesMut::new(),
            limit: HANDSHAKE_LIMIT,
            header_read: false,
            routed: false,
        }
    }

    /// Whether the connection began with routing data, as the server gave them out at an earlier login.
    pub(crate) fn routed(&self) -> bool {
        self.routed
    }

    /// Allows frames of up to `limit` bytes from now on.
    pub(crate) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Adds what arrived.
    ///
    /// # Errors
    /// [`Malformed::TooLong`] when more is there than a header, a frame and the beginning of the next.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        let length = self.buffer.len() + bytes.len();
        if length > 3 * self.limit {
            return Err(Malformed::TooLong(length));
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    /// The next whole frame, if it is there.
    pub(crate) fn next(&mut self) -> Result<Option<BytesMut>, Malformed> {
        if !self.header_read {
            let Some(length) = header_length(&self.buffer)? else {
                return Ok(None);
            };
            self.routed = length > WA_CONN_HEADER.len();
            self.buffer.advance(length);
            self.header_read = true;
        }
        let Some(length) = self.buffer.get(..LENGTH).map(length_of) else {
            return Ok(None);
        };
        if length > self.limit {
            return Err(Malformed::TooLong(length));
        }
        if self.buffer.len() < LENGTH + length {
            return Ok(None);
        }
        self.buffer.advance(LENGTH);
        Ok(Some(self.buffer.split_to(length)))
    }
}

/// How many bytes the header takes, once all of it is there.
fn header_length(bytes: &[u8]) -> Result<Option<usize>, Malformed> {
    let mut at = 0;
    if starts(bytes, &ROUTING_MARK)? {
        let Some(length) = bytes.get(ROUTING_MARK.len()..ROUTING_MARK.len() + LENGTH) else {
            return Ok(None);
        };
        let length = length_of(length);
        if length > HANDSHAKE_LIMIT {
            return Err(Malformed::TooLong(length));
        }
        at = ROUTING_MARK.len() + LENGTH + length;
    }
    let Some(rest) = bytes.get(at..) else {
        return Ok(None);
    };
    let known = &WA_CONN_HEADER[..rest.len().min(3)];
    if !rest.starts_with(known) || WA_CONN_HEADER[2] != WA_MAGIC_VALUE {
        return Err(Malformed::Header);
    }
    match rest.get(3) {
        None => Ok(None),
        // The version of the token dictionary decides how everything after is read.
        Some(version) if *version == WA_CONN_HEADER[3] => Ok(Some(at + WA_CONN_HEADER.len())),
        Some(_) => Err(Malformed::Header),
    }
}

/// Whether `bytes` begin with `mark`, as far as they go; an error if they begin with neither mark nor header.
fn starts(bytes: &[u8], mark: &[u8]) -> Result<bool, Malformed> {
    let common = bytes.len().min(mark.len());
    if common > 0 && bytes[..common] == mark[..common] {
        return Ok(true);
    }
    if common > 0 && bytes[0] != WA_CONN_HEADER[0] {
        Err(Malformed::Header)
    } else {
        Ok(false)
    }
}

fn length_of(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .take(LENGTH)
        .fold(0, |length, byte| length << 8 | usize::from(*byte))
}

/// Appends `payload` as a frame.
pub(crate) fn append(payload: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    let length = u32::try_from(payload.len())
        .ok()
        .filter(|length| *length < 1 << 24);
    let Some(length) = length else {
        return Err(Malformed::TooLong(payload.len()));
    };
    out.extend_from_slice(&length.to_be_bytes()[1..]);
    out.extend_from_slice(payload);
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::memory;

    #[test]
    fn frames_come_whole_however_they_are_cut() {
        let mut wire = WA_CONN_HEADER.to_vec();
        append(b"hello", &mut wire).unwrap();
        append(b"", &mut wire).unwrap();
        append(&[7; 300], &mut wire).unwrap();
        for size in [1, 2, 5, 400] {
            let mut frames = Frames::new();
            let mut seen = Vec::new();
            for piece in wire.chunks(size) {
                frames.push(piece).unwrap();
                while let Some(frame) = frames.next().unwrap() {
                    seen.push(frame.to_vec());
                }
            }
            assert_eq!(
                seen,
                [b"hello".to_vec(), Vec::new(), vec![7; 300]],
                "pieces of {size}"
            );
        }
    }

    #[test]
    fn routing_data_is_skipped() {
        let mut wire = wacore_noise::build_edge_routing_preintro(&[1, 2, 3]).unwrap();
        wire.extend_from_slice(&WA_CONN_HEADER);
        append(b"x", &mut wire).unwrap();
        for cut in 0..wire.len() {
            let mut frames = Frames::new();
            frames.push(&wire[..cut]).unwrap();
            assert_eq!(frames.next(), Ok(None), "cut at {cut}");
            frames.push(&wire[cut..]).unwrap();
            assert_eq!(
                frames.next().unwrap().as_deref(),
                Some(b"x".as_slice()),
                "cut at {cut}"
            );
            assert!(frames.routed(), "cut at {cut}");
        }
    }

    #[test]
    fn other_protocols_and_monsters_are_refused() {
        let mut frames = Frames::new();
        frames.push(b"GET / HTTP/1.1").unwrap();
        assert_eq!(frames.next(), Err(Malformed::Header));
        let mut frames = Frames::new();
        frames.push(&WA_CONN_HEADER).unwrap();
        frames.push(&[0xff, 0xff, 0xff]).unwrap();
        assert_eq!(frames.next(), Err(Malformed::TooLong(0xff_ffff)));
        let mut frames = Frames::new();
        let much = vec![0; 4 * HANDSHAKE_LIMIT];
        assert_eq!(frames.push(&much), Err(Malformed::TooLong(much.len())));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_take_more_than_there_are(
            pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..20),
            header: bool,
            claimed: Option<u16>,
        ) {
            let fed: usize = pieces.iter().map(Vec::len).sum();
            let ((), most) = memory::peak(|| {
                let mut frames = Frames::new();
                if header {
                    frames.push(&WA_CONN_HEADER).unwrap();
                }
                if let Some(length) = claimed {
                    frames.push(&u32::from(length).to_be_bytes()[1..]).unwrap();
                }
                for piece in &pieces {
                    frames.push(piece).unwrap();
                    for _ in 0..piece.len() {
                        let _ = frames.next();
                    }
                }
            });
            prop_assert!(most <= 4 * fed + 512, "{most} bytes for {fed}");
        }
    }

    #[test]
    fn a_flood_is_held_to_a_few_frames_of_the_longest() {
        for limit in [HANDSHAKE_LIMIT, LIMIT] {
            let piece = vec![0xff; 16 * 1024];
            let (refused, most) = memory::peak(|| {
                let mut frames = Frames::new();
                frames.set_limit(limit);
                (0..1_000).find_map(|_| frames.push(&piece).err())
            });
            assert!(matches!(refused, Some(Malformed::TooLong(_))));
            // What is there moves as it grows.
            assert!(most <= 8 * limit, "{most} bytes where frames have {limit}");
        }
    }
}
