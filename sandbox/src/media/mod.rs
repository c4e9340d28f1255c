//! The media host: encrypted files over TLS, on a port of its own.
//!
//! Clients build `https://` URLs whatever they are told, so the host has a certificate, from the sandbox's own root
//! ([`certificates`]). They learn host and authorisation from `media_conn`, upload a file under the hash of its bytes
//! ([`upload`]) and download it by the path they got in return ([`download`]). The host cannot read the files that it
//! keeps, except for pictures of people and groups.
//!
//! The store says which path leads to which bytes ([`catalogue`]). The bytes are files named by their hash
//! ([`blobs`]), and are removed when nothing refers to them any more ([`sweep`]).

mod auth;
pub(crate) mod blobs;
pub(crate) mod catalogue;
mod certificates;
mod download;
mod listener;
mod sweep;
mod upload;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::RwLock;
use tracing::warn;

use crate::config::Config;
use crate::error::{Error, Result};
use crate::network::Network;
use crate::on_this_machine;
use crate::store::{Store, Unit};
use blobs::{BlobError, Blobs, Hash};
use catalogue::Kept;
use certificates::Certificates;
use upload::Uploads;

pub(crate) use auth::authorise;

/// What all parts of the media host share.
pub(crate) struct Media {
    pub(crate) blobs: Blobs,
    certificates: Certificates,
    /// Host and port as clients are told.
    authority: String,
    uploads: Uploads,
    /// Held shared from a file's completion until something refers to it, and exclusively while unused files are
    /// removed.
    referring: RwLock<()>,
}

impl Media {
    /// Opens what is kept. `addr` is the address listened on.
    pub(crate) async fn open(config: &Config, addr: SocketAddr, store: &Store) -> Result<Self> {
        let (directory, capacity) = (config.data_dir.clone(), config.media_capacity);
        let open = move || Blobs::open(directory.as_deref(), capacity);
        let blobs = tokio::task::spawn_blocking(open)
            .await
            .map_err(|error| Error::codec("the media files", error))?
            .map_err(|error| Error::codec("the media files", error))?;
        let lifetime = i64::try_from(config.media_lifetime.as_millis()).unwrap_or(i64::MAX);
        let prepare = move |unit: &mut Unit<'_>| {
            catalogue::set_lifetime(unit, lifetime)?;
            certificates::load_or_make(unit)
        };
        let root = store.run(prepare).await?;
        let address = on_this_machine(addr);
        let authority = match &config.media_host {
            Some(host) => format!("{host}:{}", addr.port()),
            None => address.to_string(),
        };
        let names = [Some(address.ip().to_string()), config.media_host.clone()];
        Ok(Self {
            blobs,
            certificates: Certificates::new(root, names.into_iter().flatten(), Arc::clone(&config.clock)),
            authority,
            uploads: Uploads::default(),
            referring: RwLock::default(),
        })
    }

    /// Host and port as clients are told.
    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }

    /// The certificate of the root, in PEM.
    pub(crate) fn ca_pem(&self) -> &str {
        self.certificates.root_pem()
    }

    /// The whole URL of a path.
    pub(crate) fn url(&self, direct_path: &str) -> String {
        format!("https://{}{direct_path}", self.authority)
    }

    /// Stores files under their hashes, and, in one unit of work, the references that `refer` makes.
    pub(crate) async fn keep<T, F, const N: usize>(
        &self,
        store: &Store,
        files: [Bytes; N],
        refer: F,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Unit<'_>, [Kept; N]) -> Result<T> + Send + 'static,
    {
        // Everybody takes the files first, in one order, and then the gate.
        let mut hashes: Vec<Hash> = files.iter().map(|bytes| Hash::of(bytes)).collect();
        hashes.sort_unstable();
        hashes.dedup();
        let mut alone = Vec::new();
        for hash in hashes {
            alone.push(self.uploads.begin(hash).await);
        }
        let _referring = self.referring.read().await;
        for bytes in &files {
            let hash = Hash::of(bytes);
            if self.blobs.length(&hash).await.is_none() {
                let mut writer = self.blobs.resume(&hash, 0).await.map_err(refused)?;
                writer.write(bytes).await.map_err(refused)?;
                writer.finish().await.map_err(refused)?;
            }
        }
        let kept = files.map(|bytes| Kept {
            hash: Hash::of(&bytes),
            length: bytes.len() as u64,
        });
        store.run(move |unit| refer(unit, kept)).await
    }
}

/// Says to a caller inside what keeps bytes from being stored.
fn refused(error: BlobError) -> Error {
    match error {
        BlobError::Io(error) => Error::codec("a media file", error),
        error => Error::Conflict(error.to_string()),
    }
}

/// Serves the host until the network stops.
pub(crate) async fn serve(network: Arc<Network>, listener: TcpListener) {
    let stop = network.stop.clone();
    network.tasks.spawn(sweep::run(Arc::clone(&network)));
    let listener = match listener::listen(&network, listener) {
        Ok(listener) => listener,
        Err(error) => {
            warn!(%error, "the media host has no address");
            return;
        }
    };
    let served = axum::serve(listener, router(network))
        .with_graceful_shutdown(stop.cancelled_owned())
        .await;
    if let Err(error) = served {
        warn!(%error, "the media host ended");
    }
}

fn router(network: Arc<Network>) -> Router {
    Router::new()
        .route("/mms/{kind}/{token}", post(upload::upload))
        .route("/v/t62/{file}", get(download::media))
        .route("/v/t61/{file}", get(download::picture))
        .fallback(|| async { Refusal::new(StatusCode::NOT_FOUND, "there is no such path") })
        .with_state(network)
}

/// A refusal on its way to a client: clients go by the status, people read the rest.
#[derive(Debug)]
struct Refusal {
    status: StatusCode,
    message: String,
}

impl Refusal {
    fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        tracing::error!(cause = %error.for_log(), "the media host failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "the media host failed")
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = json!({"error": {"code": self.status.as_u16(), "message": self.message}});
        (self.status, axum::Json(body)).into_response()
    }
}
