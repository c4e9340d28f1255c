//! Putting and getting: piece by piece, so that an object needs no more memory than a part of it.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt as _};
use object_store::path::Path;
use object_store::{GetResult, MultipartUpload, ObjectStore, ObjectStoreExt as _, PutPayload};
use tokio::time::timeout;

use super::error::{BucketError, PutError, failed};
use crate::seal::{StreamOpener, StreamSealer};

/// One call to the bucket, the library's own retries included. A part of an object is in it.
pub(super) const CALL_DEADLINE: Duration = Duration::from_secs(30);

/// How long what is put may be, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// No longer than this.
    AtMost(u64),
    /// This long.
    Exactly(u64),
}

/// Waits for a call within its deadline.
pub(super) async fn in_time<T>(
    operation: &'static str,
    call: impl Future<Output = object_store::Result<T>>,
) -> Result<object_store::Result<T>, BucketError> {
    timeout(CALL_DEADLINE, call)
        .await
        .map_err(|_| BucketError::Timeout(operation))
}

/// Puts what a stream brings. Answers how long it was before it was sealed. Where it fails, nothing stays.
pub(super) async fn put<S, E>(
    store: &dyn ObjectStore,
    path: &Path,
    part: usize,
    mut sealer: Option<StreamSealer>,
    content: S,
    length: Length,
) -> Result<u64, PutError<E>>
where
    S: Stream<Item = Result<Bytes, E>> + Send,
{
    let mut parts = Parts {
        store,
        path,
        part,
        buffer: Vec::new(),
        upload: None,
    };
    let (Length::AtMost(limit) | Length::Exactly(limit)) = length;
    let mut taken = 0;
    let brought: Result<(), PutError<E>> = async {
        let mut content = pin!(content);
        while let Some(piece) = content.next().await {
            let piece = piece.map_err(PutError::Source)?;
            taken += piece.len() as u64;
            if taken > limit {
                return Err(PutError::TooLong(limit));
            }
            match &mut sealer {
                Some(sealer) => parts.push(&sealer.push(&piece)).await?,
                None => parts.push(&piece).await?,
            }
        }
        if length == Length::Exactly(limit) && taken < limit {
            return Err(PutError::TooShort(taken));
        }
        if let Some(sealer) = sealer.take() {
            parts.push(&sealer.finish()).await?;
        }
        Ok(())
    }
    .await;
    let outcome = match brought {
        Ok(()) => parts.finish().await.map_err(PutError::Bucket),
        Err(error) => Err(error),
    };
    if let Err(error) = outcome {
        parts.abort().await;
        return Err(error);
    }
    Ok(taken)
}

/// An object on its way into the bucket: in one request, or in parts where it is larger than one.
struct Parts<'a> {
    store: &'a dyn ObjectStore,
    path: &'a Path,
    part: usize,
    buffer: Vec<u8>,
    upload: Option<Box<dyn MultipartUpload>>,
}

impl Parts<'_> {
    async fn push(&mut self, bytes: &[u8]) -> Result<(), BucketError> {
        let mut bytes = bytes;
        while !bytes.is_empty() {
            let room = self.part - self.buffer.len();
            let (now, rest) = bytes.split_at(room.min(bytes.len()));
            self.buffer.extend_from_slice(now);
            bytes = rest;
            if self.buffer.len() == self.part {
                self.put_part().await?;
            }
        }
        Ok(())
    }

    /// Puts the buffer as the next part, and waits for it: a second one in memory would be no faster.
    async fn put_part(&mut self) -> Result<(), BucketError> {
        let payload = PutPayload::from(std::mem::take(&mut self.buffer));
        let mut upload = match self.upload.take() {
            Some(upload) => upload,
            None => in_time("put", self.store.put_multipart(self.path))
                .await?
                .map_err(failed)?,
        };
        let put = upload.put_part(payload);
        self.upload = Some(upload);
        in_time("put", put).await?.map_err(failed)
    }

    async fn finish(&mut self) -> Result<(), BucketError> {
        if self.upload.is_none() {
            let payload = PutPayload::from(std::mem::take(&mut self.buffer));
            let put = in_time("put", self.store.put(self.path, payload)).await?;
            return put.map(drop).map_err(failed);
        }
        if !self.buffer.is_empty() {
            self.put_part().await?;
        }
        if let Some(upload) = &mut self.upload {
            in_time("put", upload.complete()).await?.map_err(failed)?;
        }
        Ok(())
    }

    /// Takes back what is there of it. What that fails to take, the bucket's rules take in a day.
    async fn abort(&mut self) {
        if let Some(mut upload) = self.upload.take() {
            let _ = in_time("abort", upload.abort()).await;
        }
    }
}

/// The bytes of an object, opened where it is sealed. An error ends them; without one they are all there.
pub(super) fn content(
    got: GetResult,
    opener: Option<StreamOpener>,
) -> BoxStream<'static, Result<Bytes, BucketError>> {
    let pieces = Pieces {
        stored: got.into_stream(),
        opener,
        has_ended: false,
    };
    let pieces = stream::unfold(pieces, async |mut pieces| {
        let piece = pieces.next().await?;
        if piece.is_err() {
            pieces.has_ended = true;
        }
        Some((piece, pieces))
    });
    pieces.boxed()
}

struct Pieces {
    stored: BoxStream<'static, object_store::Result<Bytes>>,
    opener: Option<StreamOpener>,
    has_ended: bool,
}

impl Pieces {
    async fn next(&mut self) -> Option<Result<Bytes, BucketError>> {
        loop {
            if self.has_ended {
                return None;
            }
            let next = timeout(CALL_DEADLINE, self.stored.next()).await;
            let Ok(next) = next else {
                return Some(Err(BucketError::Timeout("get")));
            };
            let plain = match (next, &mut self.opener) {
                (Some(Err(error)), _) => return Some(Err(failed(error))),
                (Some(Ok(piece)), None) => return Some(Ok(piece)),
                (Some(Ok(piece)), Some(opener)) => opener.push(&piece),
                (None, _) => {
                    self.has_ended = true;
                    match self.opener.take() {
                        Some(opener) => opener.finish(),
                        None => return None,
                    }
                }
            };
            match plain {
                Ok(plain) if plain.is_empty() => {}
                Ok(plain) => return Some(Ok(plain.into())),
                Err(error) => return Some(Err(error.into())),
            }
        }
    }
}
