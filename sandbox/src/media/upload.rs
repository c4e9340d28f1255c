//! `POST /mms/{kind}/{token}`: a client uploads an encrypted file.
//!
//! The token is the SHA-256 of the body in URL-safe base64, in path and query; the body must have it. With
//! `resume=1` the client asks how far an earlier attempt got, and goes on with `file_offset`. Numbers in the answer
//! are text, as on the real host.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use futures::StreamExt as _;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex as Gate, OwnedMutexGuard};
use tokio_util::sync::CancellationToken;

use super::blobs::{BlobError, Hash, Writer};
use super::catalogue::{self, Kept};
use super::{Refusal, auth};
use crate::network::Network;

/// The longest a client may be silent in the middle of its body.
const PATIENCE: Duration = Duration::from_mins(1);

/// What can be uploaded, by the names that clients use in the path. Newsletters and catalogues upload what is not
/// encrypted, under other paths: the sandbox has neither.
const KINDS: [&str; 16] = [
    "image",
    "video",
    "gif",
    "ptv",
    "audio",
    "ptt",
    "document",
    "sticker",
    "sticker-pack",
    "thumbnail-image",
    "thumbnail-video",
    "thumbnail-document",
    "thumbnail-link",
    "thumbnail-sticker-pack",
    "md-app-state",
    "md-msg-hist",
];

/// Clients add more; what is not known is ignored.
#[derive(Debug, Deserialize)]
pub(super) struct Params {
    auth: Option<String>,
    token: Option<String>,
    resume: Option<String>,
    file_offset: Option<u64>,
}

/// Where the file is, or how much of it.
#[derive(Debug, Default, Serialize)]
pub(super) struct Uploaded {
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    direct_path: Option<String>,
    /// `complete`, or the number of bytes that are there.
    #[serde(skip_serializing_if = "Option::is_none")]
    resume: Option<String>,
}

/// Takes a file, or says how much of it is there.
pub(super) async fn upload(
    State(network): State<Arc<Network>>,
    Path((kind, token)): Path<(String, String)>,
    Query(params): Query<Params>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Uploaded>, Refusal> {
    let bad = |message: &str| Refusal::new(StatusCode::BAD_REQUEST, message);
    authorised(&network, params.auth).await?;
    if !KINDS.contains(&kind.as_str()) {
        return Err(bad("this kind of media cannot be uploaded here"));
    }
    let hash = Hash::from_token(&token).ok_or_else(|| bad("the token is no SHA-256 in URL-safe base64"))?;
    if params.token.is_some_and(|other| other != token) {
        return Err(bad("`token` is not the one in the path"));
    }
    if params.resume.is_some() {
        return progress(&network, kind, hash).await.map(Json);
    }
    let offset = params.file_offset.unwrap_or(0);
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok())
        .unwrap_or(0);
    let limit = network.config.media_max_bytes;
    if announced.saturating_add(offset) > limit {
        return Err(too_large(limit));
    }
    let upload = network.media.uploads.begin(hash).await;
    let mut writer = network.media.blobs.resume(&hash, offset).await?;
    let came = tokio::select! {
        came = receive(&mut writer, body, limit) => came,
        () = upload.replaced() => Err(Refusal::new(StatusCode::CONFLICT, "the same upload began anew")),
        () = network.stop.cancelled() => Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "the sandbox is stopping")),
    };
    if let Err(refusal) = came {
        // What came is there for the next attempt.
        writer.pause().await?;
        return Err(refusal);
    }
    let _referring = network.media.referring.read().await;
    let kept = Kept {
        hash,
        length: writer.finish().await?,
    };
    let direct_path = network
        .store
        .run(move |unit| catalogue::add(unit, &kind, &kept))
        .await?;
    Ok(Json(at(&network, direct_path)))
}

async fn authorised(network: &Network, token: Option<String>) -> Result<(), Refusal> {
    let Some(token) = token else {
        return Err(Refusal::new(StatusCode::UNAUTHORIZED, "`auth` is missing"));
    };
    if network.store.run(move |unit| auth::holds(unit, &token)).await? {
        Ok(())
    } else {
        Err(Refusal::new(
            StatusCode::FORBIDDEN,
            "`auth` does not hold, or not any more",
        ))
    }
}

async fn progress(network: &Network, kind: String, hash: Hash) -> Result<Uploaded, Refusal> {
    let standing = network
        .store
        .run(move |unit| catalogue::standing(unit, &kind, &hash, unit.now_ms()))
        .await?;
    if let Some(direct_path) = standing {
        return Ok(Uploaded {
            resume: Some("complete".into()),
            ..at(network, direct_path)
        });
    }
    Ok(Uploaded {
        resume: Some(network.media.blobs.begun(&hash).await.to_string()),
        ..Uploaded::default()
    })
}

async fn receive(writer: &mut Writer<'_>, body: Body, limit: u64) -> Result<(), Refusal> {
    let mut body = body.into_data_stream();
    loop {
        let chunk = tokio::time::timeout(PATIENCE, body.next()).await;
        let chunk =
            chunk.map_err(|_| Refusal::new(StatusCode::REQUEST_TIMEOUT, "the body stopped coming"))?;
        let Some(chunk) = chunk else {
            return Ok(());
        };
        let chunk = chunk.map_err(|_| Refusal::new(StatusCode::BAD_REQUEST, "the body broke off"))?;
        if writer.length() + chunk.len() as u64 > limit {
            return Err(too_large(limit));
        }
        writer.write(&chunk).await?;
    }
}

fn too_large(limit: u64) -> Refusal {
    Refusal::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        format!("a file has at most {limit} bytes"),
    )
}

fn at(network: &Network, direct_path: String) -> Uploaded {
    Uploaded {
        url: Some(network.media.url(&direct_path)),
        direct_path: Some(direct_path),
        resume: None,
    }
}

impl From<BlobError> for Refusal {
    fn from(error: BlobError) -> Self {
        let status = match &error {
            BlobError::Mismatch => StatusCode::BAD_REQUEST,
            BlobError::Gap(_) => StatusCode::RANGE_NOT_SATISFIABLE,
            BlobError::Full => StatusCode::INSUFFICIENT_STORAGE,
            BlobError::Io(cause) => {
                tracing::error!(%cause, "a media file cannot be written");
                StatusCode::INTERNAL_SERVER_ERROR
            }
        };
        Self::new(status, error.to_string())
    }
}

/// The uploads under way. Of several of one file the newest counts: an earlier one is most often a connection that
/// broke without a word.
#[derive(Default)]
pub(super) struct Uploads {
    under_way: Arc<Mutex<HashMap<Hash, Current>>>,
}

struct Current {
    gate: Arc<Gate<()>>,
    replaced: CancellationToken,
    /// How many wait for the file or write it.
    takers: usize,
}

impl Uploads {
    /// Ends an earlier upload of the same file, and waits until it has let go.
    pub(super) async fn begin(&self, hash: Hash) -> Upload {
        let replaced = CancellationToken::new();
        let gate = {
            let mut all = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
            let current = all.entry(hash).or_insert_with(|| Current {
                gate: Arc::default(),
                replaced: replaced.clone(),
                takers: 0,
            });
            current.takers += 1;
            if current.takers > 1 {
                std::mem::replace(&mut current.replaced, replaced.clone()).cancel();
            }
            Arc::clone(&current.gate)
        };
        let taker = Taker {
            under_way: Arc::clone(&self.under_way),
            hash,
        };
        let held = gate.lock_owned().await;
        Upload {
            _held: held,
            replaced,
            _taker: taker,
        }
    }

    /// Whether a file is being uploaded.
    pub(super) fn is_under_way(&self, hash: &Hash) -> bool {
        let all = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        all.contains_key(hash)
    }
}

/// One upload, alone with its file.
pub(super) struct Upload {
    _held: OwnedMutexGuard<()>,
    replaced: CancellationToken,
    _taker: Taker,
}

impl Upload {
    /// Ends when a newer upload wants the file.
    async fn replaced(&self) {
        self.replaced.cancelled().await;
    }
}

/// Counts itself out, also when its upload is dropped while it waits.
struct Taker {
    under_way: Arc<Mutex<HashMap<Hash, Current>>>,
    hash: Hash,
}

impl Drop for Taker {
    fn drop(&mut self) {
        let mut all = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(current) = all.get_mut(&self.hash) {
            current.takers -= 1;
            if current.takers == 0 {
                all.remove(&self.hash);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_newest_upload_of_a_file_takes_over() {
        let uploads = Arc::new(Uploads::default());
        let hash = Hash([1; 32]);
        let first = uploads.begin(hash).await;
        let other = Arc::clone(&uploads);
        let second = tokio::spawn(async move { other.begin(hash).await });
        first.replaced().await;
        assert!(!second.is_finished(), "the first has not let go");
        drop(first);
        let second = second.await.unwrap();
        assert!(uploads.is_under_way(&hash));
        assert!(!second.replaced.is_cancelled());
        drop(second);
        assert!(!uploads.is_under_way(&hash));
    }
}
