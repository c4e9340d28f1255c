//! A file as it comes in.

use std::io;
use std::sync::atomic::Ordering;

use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWriteExt as _;

use super::{BlobError, Blobs, Hash, Place, complete, lock, unfinished};

/// A file under way. Dropped without [`Writer::finish`] it stays unfinished.
pub(crate) struct Writer<'a> {
    pub(super) blobs: &'a Blobs,
    pub(super) hash: Hash,
    pub(super) digest: Sha256,
    pub(super) length: u64,
    pub(super) file: Option<tokio::fs::File>,
}

impl Writer<'_> {
    /// How much of it is there.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Appends bytes.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        self.blobs.reserve(bytes.len() as u64)?;
        match (&self.blobs.place, &mut self.file) {
            (Place::Memory(memory), _) => {
                lock(memory).growing(self.hash).extend_from_slice(bytes);
            }
            (Place::Directory(_), Some(file)) => file.write_all(bytes).await?,
            (Place::Directory(_), None) => return Err(io::Error::from(io::ErrorKind::NotFound).into()),
        }
        self.digest.update(bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Leaves it unfinished, with all that came on its way to the file.
    pub(crate) async fn pause(mut self) -> Result<(), BlobError> {
        if let Some(file) = &mut self.file {
            file.flush().await?;
        }
        Ok(())
    }

    /// Makes it a complete file; answers its length.
    ///
    /// # Errors
    /// [`BlobError::Mismatch`] if the bytes are not those of its hash: they are gone then.
    pub(crate) async fn finish(mut self) -> Result<u64, BlobError> {
        if let Some(file) = &mut self.file {
            file.flush().await?;
        }
        let right = <[u8; 32]>::from(self.digest.finalize()) == self.hash.0;
        match &self.blobs.place {
            Place::Memory(memory) => {
                let mut memory = lock(memory);
                let grown = memory.unfinished.remove(&self.hash);
                if right {
                    let bytes = grown.map(|growing| growing.bytes).unwrap_or_default();
                    memory.complete.insert(self.hash, bytes.into());
                }
            }
            Place::Directory(directory) => {
                let path = unfinished(directory, self.hash);
                if right {
                    tokio::fs::rename(path, complete(directory, self.hash)).await?;
                } else {
                    tokio::fs::remove_file(path).await?;
                }
            }
        }
        if right {
            Ok(self.length)
        } else {
            self.blobs.used.fetch_sub(self.length, Ordering::AcqRel);
            Err(BlobError::Mismatch)
        }
    }
}
