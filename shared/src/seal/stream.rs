//! The sealed form of what is too large to be held in memory.
//!
//! | bytes | what |
//! | --- | --- |
//! | 1 | the version |
//! | 32 | a random salt, from which and the data key this very stream's key derives (HKDF-SHA256) |
//! | 65,536 + 16 each | chunks: the ciphertext and its tag (AES-256-GCM) |
//! | up to as many | the last chunk, which may be empty |
//!
//! The nonce of a chunk is its number and whether it is the last one, so chunks cannot change places, be left out or
//! be cut off at the end. A stream's key is used for nothing else, so no nonce comes twice under it.

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::sealer::SealError;
use super::wrapper::DataKey;

/// The form described above. 1 is that of values (`cipher.rs`).
const VERSION: u8 = 2;
const SALT_LENGTH: usize = 32;
const HEADER_LENGTH: usize = 1 + SALT_LENGTH;
const CHUNK_LENGTH: usize = 64 * 1024;
const TAG_LENGTH: usize = 16;
const SEALED_CHUNK_LENGTH: usize = CHUNK_LENGTH + TAG_LENGTH;

/// What a stream's key is for, beside other keys that may once derive from a data key.
const KEY_INFO: &[u8] = b"waxwing sealed stream";

/// How long a stream of so many bytes was before it was sealed; `None` for fewer than any sealed stream has.
pub fn plain_length(sealed: u64) -> Option<u64> {
    let chunks = sealed.checked_sub(HEADER_LENGTH as u64)?;
    let tags = chunks.div_ceil(SEALED_CHUNK_LENGTH as u64) * TAG_LENGTH as u64;
    if chunks == 0 {
        return None;
    }
    chunks.checked_sub(tags)
}

/// Seals a stream, piece by piece.
pub struct StreamSealer {
    chunks: Chunks,
    plain: Vec<u8>,
    header: Vec<u8>,
}

impl StreamSealer {
    /// `aad` names what the stream is, so that it opens nowhere else.
    pub(super) fn new(key: &DataKey, aad: &[u8]) -> Self {
        let salt: [u8; SALT_LENGTH] = rand::random();
        let mut header = Vec::with_capacity(HEADER_LENGTH);
        header.push(VERSION);
        header.extend_from_slice(&salt);
        Self {
            chunks: Chunks::new(key, &salt, aad),
            plain: Vec::new(),
            header,
        }
    }

    /// Takes more of the stream. Answers what is sealed since the last call.
    pub fn push(&mut self, plain: &[u8]) -> Vec<u8> {
        self.plain.extend_from_slice(plain);
        let mut sealed = std::mem::take(&mut self.header);
        let mut at = 0;
        // The last chunk is known for one only at the end.
        while self.plain.len() - at > CHUNK_LENGTH {
            let end = at + CHUNK_LENGTH;
            self.chunks.seal(&self.plain[at..end], false, &mut sealed);
            at = end;
        }
        self.plain.drain(..at);
        sealed
    }

    /// Ends the stream. Answers the rest.
    pub fn finish(mut self) -> Vec<u8> {
        let mut sealed = std::mem::take(&mut self.header);
        self.chunks.seal(&self.plain, true, &mut sealed);
        sealed
    }
}

/// Opens a stream, piece by piece. What it answers is what was sealed. Whether all of it came is known at the end
/// alone.
pub struct StreamOpener {
    key: DataKey,
    aad: Vec<u8>,
    chunks: Option<Chunks>,
    sealed: Vec<u8>,
}

impl StreamOpener {
    pub(super) fn new(key: DataKey, aad: &[u8]) -> Self {
        Self {
            key,
            aad: aad.to_vec(),
            chunks: None,
            sealed: Vec::new(),
        }
    }

    /// Takes more of the stream. Answers what is opened since the last call.
    pub fn push(&mut self, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        self.sealed.extend_from_slice(sealed);
        let mut plain = Vec::new();
        let Some(mut chunks) = self.begun()? else {
            return Ok(plain);
        };
        let mut at = 0;
        while self.sealed.len() - at > SEALED_CHUNK_LENGTH {
            let end = at + SEALED_CHUNK_LENGTH;
            chunks.open(&self.sealed[at..end], false, &mut plain)?;
            at = end;
        }
        self.sealed.drain(..at);
        self.chunks = Some(chunks);
        Ok(plain)
    }

    /// Ends the stream. Answers the rest; an error where anything is missing.
    pub fn finish(mut self) -> Result<Vec<u8>, SealError> {
        let mut plain = Vec::new();
        let mut chunks = self.begun()?.ok_or(SealError::DoesNotOpen)?;
        chunks.open(&self.sealed, true, &mut plain)?;
        Ok(plain)
    }

    /// Its chunks, once the header has come.
    fn begun(&mut self) -> Result<Option<Chunks>, SealError> {
        if let Some(chunks) = self.chunks.take() {
            return Ok(Some(chunks));
        }
        if self.sealed.len() < HEADER_LENGTH {
            return Ok(None);
        }
        let header: Vec<u8> = self.sealed.drain(..HEADER_LENGTH).collect();
        if header[0] != VERSION {
            return Err(SealError::DoesNotOpen);
        }
        Ok(Some(Chunks::new(&self.key, &header[1..], &self.aad)))
    }
}

/// The chunks of a stream, in their order.
struct Chunks {
    cipher: Aes256Gcm,
    aad: Vec<u8>,
    number: u32,
}

impl Chunks {
    fn new(key: &DataKey, salt: &[u8], aad: &[u8]) -> Self {
        let mut own = Zeroizing::new([0; 32]);
        Hkdf::<Sha256>::new(Some(salt), key.bytes())
            .expand(KEY_INFO, own.as_mut_slice())
            .expect("32 bytes are no more than HKDF gives");
        let mut bound = Vec::with_capacity(1 + aad.len());
        bound.push(VERSION);
        bound.extend_from_slice(aad);
        Self {
            cipher: Aes256Gcm::new((&*own).into()),
            aad: bound,
            number: 0,
        }
    }

    fn seal(&mut self, plain: &[u8], is_last: bool, sealed: &mut Vec<u8>) {
        let nonce = Nonce::from(self.next(is_last));
        let payload = Payload {
            msg: plain,
            aad: &self.aad,
        };
        let chunk = self
            .cipher
            .encrypt(&nonce, payload)
            .expect("a chunk is not too long for AES-GCM");
        sealed.extend_from_slice(&chunk);
    }

    fn open(&mut self, sealed: &[u8], is_last: bool, plain: &mut Vec<u8>) -> Result<(), SealError> {
        let nonce = Nonce::from(self.next(is_last));
        let payload = Payload {
            msg: sealed,
            aad: &self.aad,
        };
        let chunk = self
            .cipher
            .decrypt(&nonce, payload)
            .map_err(|_| SealError::DoesNotOpen)?;
        plain.extend_from_slice(&chunk);
        Ok(())
    }

    fn next(&mut self, is_last: bool) -> [u8; 12] {
        let mut nonce = [0; 12];
        nonce[7..11].copy_from_slice(&self.number.to_be_bytes());
        nonce[11] = u8::from(is_last);
        self.number = self.number.checked_add(1).expect("nothing of 256 TiB is sealed");
        nonce
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(key: &DataKey, aad: &[u8], plain: &[u8], piece: usize) -> Vec<u8> {
        let mut stream = StreamSealer::new(key, aad);
        let mut sealed = Vec::new();
        for piece in plain.chunks(piece) {
            sealed.extend(stream.push(piece));
        }
        sealed.extend(stream.finish());
        sealed
    }

    fn opened(key: &DataKey, aad: &[u8], sealed: &[u8], piece: usize) -> Result<Vec<u8>, SealError> {
        let mut opener = StreamOpener::new(key.clone(), aad);
        let mut plain = Vec::new();
        for piece in sealed.chunks(piece) {
            plain.extend(opener.push(piece)?);
        }
        plain.extend(opener.finish()?);
        Ok(plain)
    }

    fn of(length: usize) -> Vec<u8> {
        (0..length)
            .map(|at| u8::try_from(at % 251).unwrap_or(0))
            .collect()
    }

    #[test]
    fn a_stream_comes_back_whatever_its_length_and_its_pieces() {
        let key = DataKey::generate();
        for length in [
            0,
            1,
            CHUNK_LENGTH - 1,
            CHUNK_LENGTH,
            CHUNK_LENGTH + 1,
            3 * CHUNK_LENGTH,
        ] {
            let plain = of(length);
            for piece in [1_000, CHUNK_LENGTH, 200_000] {
                let sealed = sealed(&key, b"a", &plain, piece);
                assert_eq!(plain_length(sealed.len() as u64), Some(length as u64));
                let opened = opened(&key, b"a", &sealed, piece + 7);
                assert!(opened.is_ok_and(|opened| opened == plain), "{length} in {piece}");
            }
        }
        for length in 0..=HEADER_LENGTH as u64 {
            assert_eq!(plain_length(length), None, "{length}");
        }
    }

    #[test]
    fn it_opens_with_its_key_and_name_alone() {
        let key = DataKey::generate();
        let sealed = sealed(&key, b"a", b"plain", 5);
        assert!(opened(&key, b"b", &sealed, 5).is_err());
        assert!(opened(&DataKey::generate(), b"a", &sealed, 5).is_err());
    }

    #[test]
    fn what_is_cut_off_changed_or_moved_is_found_out() {
        let key = DataKey::generate();
        let sealed = sealed(&key, b"a", &of(2 * CHUNK_LENGTH + 9), 10_000);
        let ends = [
            0,
            1,
            HEADER_LENGTH,
            HEADER_LENGTH + SEALED_CHUNK_LENGTH,
            HEADER_LENGTH + 2 * SEALED_CHUNK_LENGTH,
            sealed.len() - 1,
        ];
        for end in ends {
            assert!(
                opened(&key, b"a", &sealed[..end], 10_000).is_err(),
                "the first {end}"
            );
        }
        for at in [
            0,
            1,
            HEADER_LENGTH,
            HEADER_LENGTH + SEALED_CHUNK_LENGTH,
            sealed.len() - 1,
        ] {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(opened(&key, b"a", &changed, 10_000).is_err(), "byte {at}");
        }
        let (header, chunks) = sealed.split_at(HEADER_LENGTH);
        let (first, rest) = chunks.split_at(SEALED_CHUNK_LENGTH);
        let (second, last) = rest.split_at(SEALED_CHUNK_LENGTH);
        let swapped = [header, second, first, last].concat();
        assert!(opened(&key, b"a", &swapped, 10_000).is_err());
        let left_out = [header, first, last].concat();
        assert!(opened(&key, b"a", &left_out, 10_000).is_err());
    }
}
