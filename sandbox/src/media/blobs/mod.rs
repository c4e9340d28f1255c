//! Files named by the SHA-256 of their bytes: in a directory, or in memory where nothing is kept.
//!
//! The bytes of a file under way are kept beside the complete files, so that an upload goes on after a broken
//! connection or a killed process. A file is complete only when its bytes have the hash that it claims.

mod hash;
mod source;
mod writer;

use std::collections::HashMap;
use std::io::{self, Read, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::Stream;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

pub(crate) use hash::Hash;
use source::Source;
pub(crate) use writer::Writer;

/// Bytes read at once.
const CHUNK: usize = 64 * 1024;

/// What the names of files under way end in.
const UNFINISHED: &str = ".part";

/// Why bytes were not stored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BlobError {
    /// All of it came, and is something else.
    #[error("the body does not have the hash that its token says")]
    Mismatch,
    /// It would go on beyond what is there.
    #[error("only {0} bytes of it have come so far")]
    Gap(u64),
    /// All media together are as large as they may be.
    #[error("the media host is full")]
    Full,
    /// The file system refuses.
    #[error("a media file cannot be read or written")]
    Io(#[from] io::Error),
}

/// All files.
pub(crate) struct Blobs {
    place: Place,
    used: AtomicU64,
    capacity: u64,
}

enum Place {
    Directory(PathBuf),
    Memory(Mutex<Memory>),
}

#[derive(Default)]
struct Memory {
    complete: HashMap<Hash, Bytes>,
    unfinished: HashMap<Hash, Growing>,
}

struct Growing {
    bytes: Vec<u8>,
    /// When the last of them came.
    at: Instant,
}

impl Memory {
    fn growing(&mut self, hash: Hash) -> &mut Vec<u8> {
        let growing = self.unfinished.entry(hash).or_insert_with(|| Growing {
            bytes: Vec::new(),
            at: Instant::now(),
        });
        growing.at = Instant::now();
        &mut growing.bytes
    }
}

/// A file that a sweep found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) hash: Hash,
    /// How long ago the last bytes of an unfinished one came.
    pub(crate) unfinished: Option<Duration>,
}

impl Blobs {
    /// Opens `media` in the directory of the state. Blocks.
    pub(crate) fn open(directory: Option<&Path>, capacity: u64) -> io::Result<Self> {
        let Some(directory) = directory else {
            return Ok(Self {
                place: Place::Memory(Mutex::default()),
                used: AtomicU64::new(0),
                capacity,
            });
        };
        let directory = directory.join("media");
        std::fs::create_dir_all(&directory)?;
        let mut used = 0;
        for entry in std::fs::read_dir(&directory)? {
            used += entry?.metadata()?.len();
        }
        Ok(Self {
            place: Place::Directory(directory),
            used: AtomicU64::new(used),
            capacity,
        })
    }

    /// The length of a complete file; `None` where there is none.
    pub(crate) async fn length(&self, hash: &Hash) -> Option<u64> {
        match &self.place {
            Place::Memory(memory) => lock(memory).complete.get(hash).map(|bytes| bytes.len() as u64),
            Place::Directory(directory) => file_length(&complete(directory, *hash)).await,
        }
    }

    /// How much of an unfinished file is there.
    pub(crate) async fn begun(&self, hash: &Hash) -> u64 {
        match &self.place {
            Place::Memory(memory) => lock(memory)
                .unfinished
                .get(hash)
                .map_or(0, |growing| growing.bytes.len()) as u64,
            Place::Directory(directory) => file_length(&unfinished(directory, *hash)).await.unwrap_or(0),
        }
    }

    /// Goes on with an unfinished file from `offset`; what was there beyond it is forgotten.
    pub(crate) async fn resume(&self, hash: &Hash, offset: u64) -> Result<Writer<'_>, BlobError> {
        let begun = self.begun(hash).await;
        if offset > begun {
            return Err(BlobError::Gap(begun));
        }
        let mut digest = Sha256::new();
        let file = match &self.place {
            Place::Memory(memory) => {
                let mut memory = lock(memory);
                let bytes = memory.growing(*hash);
                bytes.truncate(usize::try_from(offset).unwrap_or(usize::MAX));
                digest.update(&*bytes);
                None
            }
            Place::Directory(directory) => {
                let mut file = tokio::fs::OpenOptions::new()
                    .create(true)
                    .truncate(false)
                    .read(true)
                    .write(true)
                    .open(unfinished(directory, *hash))
                    .await?;
                file.set_len(offset).await?;
                let mut buffer = vec![0; CHUNK];
                loop {
                    let read = file.read(&mut buffer).await?;
                    if read == 0 {
                        break;
                    }
                    digest.update(&buffer[..read]);
                }
                Some(file)
            }
        };
        self.used.fetch_sub(begun - offset, Ordering::AcqRel);
        Ok(Writer {
            blobs: self,
            hash: *hash,
            digest,
            length: offset,
            file,
        })
    }

    /// A complete file for blocking code.
    pub(crate) fn reader(&self, hash: &Hash) -> io::Result<Box<dyn Read + Send>> {
        match &self.place {
            Place::Memory(memory) => {
                let bytes = lock(memory).complete.get(hash).cloned();
                let bytes = bytes.ok_or(io::ErrorKind::NotFound)?;
                Ok(Box::new(io::Cursor::new(bytes)))
            }
            Place::Directory(directory) => Ok(Box::new(std::fs::File::open(complete(directory, *hash))?)),
        }
    }

    /// `length` bytes of a complete file from `start`, some at a time. It may be removed meanwhile.
    pub(crate) async fn stream(
        &self,
        hash: &Hash,
        start: u64,
        length: u64,
    ) -> io::Result<impl Stream<Item = io::Result<Bytes>> + Send + use<>> {
        let source = match &self.place {
            Place::Memory(memory) => {
                let bytes = lock(memory).complete.get(hash).cloned();
                let bytes = bytes.ok_or(io::ErrorKind::NotFound)?;
                let end = start.saturating_add(length);
                let range = usize::try_from(start).ok().zip(usize::try_from(end).ok());
                let (start, end) = range
                    .filter(|(start, end)| start <= end && *end <= bytes.len())
                    .ok_or(io::ErrorKind::UnexpectedEof)?;
                Source::Memory(bytes.slice(start..end))
            }
            Place::Directory(directory) => {
                let mut file = tokio::fs::File::open(complete(directory, *hash)).await?;
                file.seek(SeekFrom::Start(start)).await?;
                Source::File(file.take(length))
            }
        };
        Ok(futures::stream::try_unfold(source, Source::next))
    }

    /// Every file, for a sweep. Blocks.
    pub(crate) fn all(&self) -> io::Result<Vec<Found>> {
        match &self.place {
            Place::Memory(memory) => {
                let memory = lock(memory);
                let complete = memory.complete.keys().map(|hash| (*hash, None));
                let unfinished = memory
                    .unfinished
                    .iter()
                    .map(|(hash, growing)| (*hash, Some(growing.at.elapsed())));
                Ok(complete
                    .chain(unfinished)
                    .map(|(hash, unfinished)| Found { hash, unfinished })
                    .collect())
            }
            Place::Directory(directory) => {
                let mut all = Vec::new();
                for entry in std::fs::read_dir(directory)? {
                    let entry = entry?;
                    let name = entry.file_name();
                    let name = name.to_string_lossy();
                    let (name, unfinished) = match name.strip_suffix(UNFINISHED) {
                        Some(name) => {
                            let modified = entry.metadata()?.modified()?;
                            (name, Some(modified.elapsed().unwrap_or_default()))
                        }
                        None => (name.as_ref(), None),
                    };
                    all.extend(Hash::from_name(name).map(|hash| Found { hash, unfinished }));
                }
                Ok(all)
            }
        }
    }

    /// Removes a file that a sweep found. Blocks.
    pub(crate) fn remove(&self, found: Found) -> io::Result<()> {
        let freed = match &self.place {
            Place::Memory(memory) => {
                let mut memory = lock(memory);
                let length = match found.unfinished {
                    None => memory.complete.remove(&found.hash).map(|bytes| bytes.len()),
                    Some(_) => memory
                        .unfinished
                        .remove(&found.hash)
                        .map(|growing| growing.bytes.len()),
                };
                length.unwrap_or(0) as u64
            }
            Place::Directory(directory) => {
                let path = match found.unfinished {
                    None => complete(directory, found.hash),
                    Some(_) => unfinished(directory, found.hash),
                };
                let length = std::fs::metadata(&path)?.len();
                std::fs::remove_file(path)?;
                length
            }
        };
        self.used.fetch_sub(freed, Ordering::AcqRel);
        Ok(())
    }

    /// Takes room for `length` more bytes.
    fn reserve(&self, length: u64) -> Result<(), BlobError> {
        let reserved = self
            .used
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |used| {
                used.checked_add(length).filter(|used| *used <= self.capacity)
            });
        reserved.map(drop).map_err(|_| BlobError::Full)
    }
}

fn complete(directory: &Path, hash: Hash) -> PathBuf {
    directory.join(hash.name())
}

fn unfinished(directory: &Path, hash: Hash) -> PathBuf {
    directory.join(hash.name() + UNFINISHED)
}

async fn file_length(path: &Path) -> Option<u64> {
    Some(tokio::fs::metadata(path).await.ok()?.len())
}

fn lock(memory: &Mutex<Memory>) -> MutexGuard<'_, Memory> {
    memory.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt as _;

    use super::*;

    /// The same for both places.
    async fn everywhere<F: AsyncFn(Blobs)>(test: F) {
        let directory = tempfile::tempdir().unwrap();
        test(Blobs::open(Some(directory.path()), 1000).unwrap()).await;
        test(Blobs::open(None, 1000).unwrap()).await;
    }

    async fn all(blobs: &Blobs, hash: &Hash) -> Vec<u8> {
        let length = blobs.length(hash).await.unwrap();
        let chunks: Vec<Bytes> = blobs
            .stream(hash, 0, length)
            .await
            .unwrap()
            .try_collect()
            .await
            .unwrap();
        chunks.concat()
    }

    #[tokio::test]
    async fn an_upload_goes_on_where_it_stopped() {
        everywhere(async |blobs| {
            let hash = Hash::of(b"hello world");
            let mut writer = blobs.resume(&hash, 0).await.unwrap();
            writer.write(b"hello wXX").await.unwrap();
            writer.pause().await.unwrap();
            assert_eq!((blobs.begun(&hash).await, blobs.length(&hash).await), (9, None));
            assert!(matches!(blobs.resume(&hash, 10).await, Err(BlobError::Gap(9))));
            let mut writer = blobs.resume(&hash, 7).await.unwrap();
            writer.write(b"orld").await.unwrap();
            assert_eq!(writer.finish().await.unwrap(), 11);
            assert_eq!(all(&blobs, &hash).await, b"hello world");
            let mut read = Vec::new();
            blobs.reader(&hash).unwrap().read_to_end(&mut read).unwrap();
            assert_eq!(read, b"hello world");
            let part: Vec<Bytes> = blobs
                .stream(&hash, 6, 3)
                .await
                .unwrap()
                .try_collect()
                .await
                .unwrap();
            assert_eq!(part.concat(), b"wor");
        })
        .await;
    }

    #[tokio::test]
    async fn other_bytes_than_promised_leave_nothing() {
        everywhere(async |blobs| {
            let hash = Hash::of(b"right");
            let mut writer = blobs.resume(&hash, 0).await.unwrap();
            writer.write(b"wrong").await.unwrap();
            assert!(matches!(writer.finish().await, Err(BlobError::Mismatch)));
            assert!(blobs.all().unwrap().is_empty());
            assert_eq!(blobs.used.load(Ordering::Relaxed), 0);
        })
        .await;
    }

    #[tokio::test]
    async fn room_is_bounded_and_comes_back() {
        everywhere(async |blobs| {
            let bytes = vec![7; 900];
            let hash = Hash::of(&bytes);
            let mut writer = blobs.resume(&hash, 0).await.unwrap();
            writer.write(&bytes).await.unwrap();
            writer.finish().await.unwrap();
            let other = Hash::of(b"other");
            let mut writer = blobs.resume(&other, 0).await.unwrap();
            assert!(matches!(writer.write(&[0; 200]).await, Err(BlobError::Full)));
            writer.write(&[0; 50]).await.unwrap();
            writer.pause().await.unwrap();
            let found = blobs.all().unwrap();
            assert_eq!(found.len(), 2);
            for one in found {
                blobs.remove(one).unwrap();
            }
            assert_eq!(blobs.used.load(Ordering::Relaxed), 0);
            assert_eq!(blobs.length(&hash).await, None);
        })
        .await;
    }

    #[tokio::test]
    async fn what_is_there_counts_after_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let hash = Hash::of(b"kept");
        let blobs = Blobs::open(Some(directory.path()), 1000).unwrap();
        let mut writer = blobs.resume(&hash, 0).await.unwrap();
        writer.write(b"kept").await.unwrap();
        writer.finish().await.unwrap();
        drop(blobs);
        let blobs = Blobs::open(Some(directory.path()), 1000).unwrap();
        assert_eq!(blobs.used.load(Ordering::Relaxed), 4);
        assert_eq!(all(&blobs, &hash).await, b"kept");
    }
}
