//! A file as it goes out.

use std::io;

use bytes::Bytes;
use tokio::io::AsyncReadExt as _;

use super::CHUNK;

/// What is left to hand on.
pub(super) enum Source {
    Memory(Bytes),
    File(tokio::io::Take<tokio::fs::File>),
}

impl Source {
    /// Some of it, and the rest.
    pub(super) async fn next(mut self) -> io::Result<Option<(Bytes, Self)>> {
        let chunk = match &mut self {
            Self::Memory(rest) => rest.split_to(rest.len().min(CHUNK)),
            Self::File(file) => {
                let mut chunk = vec![0; CHUNK];
                let read = file.read(&mut chunk).await?;
                chunk.truncate(read);
                chunk.into()
            }
        };
        Ok((!chunk.is_empty()).then_some((chunk, self)))
    }
}
