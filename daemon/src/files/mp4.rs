//! What the head of an MP4 file tells (ISO 14496-12): how long it plays, and what is in it.

/// How deep boxes lie in each other in what is read here.
const DEEPEST: usize = 6;

/// What a file tells of itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Movie {
    /// How long it plays, rounded up.
    pub seconds: Option<u32>,
    /// The size of its picture, where it has one.
    pub size: Option<(u32, u32)>,
    /// Whether it has a track of pictures.
    pub has_video: bool,
    /// Whether it has a track of sound.
    pub has_audio: bool,
}

/// Reads a whole file. `None` where it has no head: it is cut, or no MP4.
pub fn read(bytes: &[u8]) -> Option<Movie> {
    let mut movie = Movie::default();
    let mut is_found = false;
    walk(bytes, 0, &mut |kind, body| match kind {
        b"moov" => {
            is_found = true;
            true
        }
        b"trak" | b"mdia" => true,
        b"mvhd" => {
            movie.seconds = movie.seconds.or_else(|| seconds(body));
            false
        }
        b"tkhd" => {
            movie.size = movie.size.or_else(|| size(body));
            false
        }
        b"hdlr" => {
            match body.get(8..12) {
                Some(b"vide") => movie.has_video = true,
                Some(b"soun") => movie.has_audio = true,
                _ => {}
            }
            false
        }
        _ => false,
    });
    is_found.then_some(movie)
}

/// Shows every box to `visit`, and those within a box where `visit` says so.
fn walk<'a>(mut bytes: &'a [u8], depth: usize, visit: &mut dyn FnMut(&[u8; 4], &'a [u8]) -> bool) {
    while let Some((kind, head, length)) = header(bytes) {
        // The last box may say that it ends with the file; one that is cut does so.
        let end = length.unwrap_or(bytes.len()).min(bytes.len());
        if end < head {
            return;
        }
        let body = &bytes[head..end];
        if visit(&kind, body) && depth < DEEPEST {
            walk(body, depth + 1, visit);
        }
        bytes = &bytes[end..];
    }
}

/// A box's kind, where its body begins, and where it ends.
fn header(bytes: &[u8]) -> Option<([u8; 4], usize, Option<usize>)> {
    let kind = *bytes.get(4..8)?.first_chunk::<4>()?;
    match be32(bytes, 0)? {
        0 => Some((kind, 8, None)),
        1 => {
            let length = u64::from_be_bytes(*bytes.get(8..16)?.first_chunk::<8>()?);
            Some((kind, 16, Some(usize::try_from(length).unwrap_or(usize::MAX))))
        }
        length => Some((kind, 8, Some(usize::try_from(length).unwrap_or(usize::MAX)))),
    }
}

fn seconds(body: &[u8]) -> Option<u32> {
    let (scale, duration) = if body.first()? == &1 {
        let duration = u64::from_be_bytes(*body.get(24..32)?.first_chunk::<8>()?);
        (be32(body, 20)?, duration)
    } else {
        (be32(body, 12)?, u64::from(be32(body, 16)?))
    };
    // All ones stand for a length that nobody knows.
    let is_known = scale > 0 && duration > 0 && duration != u64::from(u32::MAX) && duration != u64::MAX;
    is_known
        .then(|| u32::try_from(duration.div_ceil(u64::from(scale))).ok())
        .flatten()
}

/// The size of a track's picture, which is written in 65,536ths; `None` for a sound.
fn size(body: &[u8]) -> Option<(u32, u32)> {
    let at = if body.first()? == &1 { 88 } else { 76 };
    let (width, height) = (be32(body, at)? >> 16, be32(body, at + 4)? >> 16);
    // A picture that lies on its side is turned by its matrix.
    let (a, b) = (be32(body, at - 36)?, be32(body, at - 32)?);
    let (width, height) = if a == 0 && b != 0 {
        (height, width)
    } else {
        (width, height)
    };
    (width > 0 && height > 0).then_some((width, height))
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..at + 4)?.first_chunk::<4>()?))
}

#[cfg(test)]
pub mod tests {
    use super::*;

    fn wrapped(kind: [u8; 4], body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 8).expect("small");
        [&length.to_be_bytes(), &kind[..], body].concat()
    }

    /// A file with a track that plays for 2,500 thousandths of a second.
    pub fn file(handler: [u8; 4], width: u16, height: u16, is_turned: bool) -> Vec<u8> {
        let mut head = vec![0; 100];
        head[12..16].copy_from_slice(&1_000_u32.to_be_bytes());
        head[16..20].copy_from_slice(&2_500_u32.to_be_bytes());
        let mut track = vec![0; 84];
        let (a, b) = if is_turned {
            (0, 0x1_0000_u32)
        } else {
            (0x1_0000_u32, 0)
        };
        track[40..44].copy_from_slice(&a.to_be_bytes());
        track[44..48].copy_from_slice(&b.to_be_bytes());
        track[76..78].copy_from_slice(&width.to_be_bytes());
        track[80..82].copy_from_slice(&height.to_be_bytes());
        let handler = [&[0; 8][..], &handler[..], &[0; 12]].concat();
        let media = wrapped(*b"mdia", &wrapped(*b"hdlr", &handler));
        let track = wrapped(*b"trak", &[wrapped(*b"tkhd", &track), media].concat());
        let movie = wrapped(*b"moov", &[wrapped(*b"mvhd", &head), track].concat());
        [
            wrapped(*b"ftyp", b"isom\x00\x00\x02\x00isom"),
            wrapped(*b"mdat", &[7; 1_000]),
            movie,
        ]
        .concat()
    }

    #[test]
    fn a_movie_tells_its_length_and_size() {
        let movie = read(&file(*b"vide", 1_280, 720, false)).expect("a movie");
        let wanted = Movie {
            seconds: Some(3),
            size: Some((1_280, 720)),
            has_video: true,
            has_audio: false,
        };
        assert_eq!(movie, wanted);
        let turned = read(&file(*b"vide", 1_280, 720, true)).expect("a movie");
        assert_eq!(turned.size, Some((720, 1_280)));
        let sound = read(&file(*b"soun", 0, 0, false)).expect("a movie");
        assert!(sound.has_audio && !sound.has_video && sound.size.is_none());
    }

    #[test]
    fn what_is_cut_or_lies_is_read_without_harm() {
        let whole = file(*b"vide", 1_280, 720, false);
        for length in 0..whole.len() {
            let _ = read(&whole[..length]);
        }
        assert_eq!(read(&whole[..500]), None);
        assert_eq!(read(b"\x00\x00\x00\x04moov\x00\x00\x00\x00"), None);
        assert_eq!(read(&[0xff; 64]), None);
        let endless = [&1_u32.to_be_bytes()[..], b"moov", &u64::MAX.to_be_bytes()].concat();
        assert_eq!(read(&endless), Some(Movie::default()));
    }
}
