//! The bucket: files that wait to be sent or fetched, and events that could not be delivered.
//!
//! One port over two stores: S3 in the cloud, a folder on one machine ([`config::Bucket`]). `name.rs` says what is in
//! it, for how long, and how it rests. Everything passes in pieces, in bounded memory, and each call to the store has
//! a deadline. Files that callers put or get themselves go by signed URLs: S3's own, or those of a route of the API
//! where the bucket is a folder (`link.rs`).

mod error;
mod folder;
mod link;
mod name;
mod presign;
mod s3;
mod transfer;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_config::SdkConfig;
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use futures::stream::BoxStream;
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};

use self::error::sorted;
use self::folder::Folder;
use self::s3::S3;
use self::transfer::in_time;
use crate::clock::Clock;
use crate::config;
use crate::ids::InstanceId;
use crate::seal::{Purpose, Sealer, plain_length};

pub use self::error::{BoxError, BucketError, PutError};
pub use self::link::{Allowed, Link, LinkFault, disposition};
pub use self::name::{Area, InvalidName, ObjectName};
pub use self::transfer::Length;

/// The path behind the API's public URL to which links to a folder lead.
pub const LINK_PATH: &str = "/api/media/content";

/// The size of a part of an object. S3 takes no smaller one, but for the last.
const S3_PART: usize = 5 * 1024 * 1024;
const FOLDER_PART: usize = 256 * 1024;

/// Why a bucket cannot be worked with. Whether it is there shows at the first call.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The AWS configuration has no source of credentials.
    #[error("there is no source of AWS credentials")]
    NoCredentials,
    /// The AWS configuration names no region.
    #[error("there is no AWS region")]
    NoRegion,
    /// The store's client could not be made.
    #[error("the bucket's client could not be made")]
    Client(#[source] BoxError),
    /// The folder could not be made or read.
    #[error("the bucket's folder could not be made or read")]
    Folder(#[source] io::Error),
}

/// The bucket. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Bucket(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Arc<dyn ObjectStore>,
    place: Place,
    part: usize,
    sealer: Arc<Sealer>,
    clock: Arc<dyn Clock>,
    requests: AtomicU64,
}

enum Place {
    S3(S3),
    Folder(Folder),
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::S3(_) => "S3",
            Self::Folder(_) => "Folder",
        })
    }
}

/// An object that is read.
pub struct Object {
    /// Its length in bytes, as it was put.
    pub size: u64,
    /// Its bytes. An error ends them; without one they are all there.
    pub content: BoxStream<'static, Result<Bytes, BucketError>>,
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Object")
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

/// A request that a caller may make by itself, without a key of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedRequest {
    /// Where to; whoever has it may make the request.
    pub url: String,
    /// Its method.
    pub method: &'static str,
    /// Headers that it must carry as they are.
    pub headers: Vec<(&'static str, String)>,
    /// Until when it is good.
    pub expires_at: DateTime<Utc>,
}

impl Bucket {
    /// The bucket that a configuration names. A folder is made where there is none.
    pub fn open(
        aws: &SdkConfig,
        config: &config::Bucket,
        sealer: Arc<Sealer>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OpenError> {
        let (store, place, part): (Arc<dyn ObjectStore>, _, _) = match config {
            config::Bucket::S3(name) => {
                let store = s3::open(aws, name, Arc::clone(&clock))?;
                (Arc::new(store.client.clone()), Place::S3(store), S3_PART)
            }
            config::Bucket::Folder { path, public_url } => {
                let base = format!("{}{LINK_PATH}", public_url.trim_end_matches('/'));
                let (folder, store) = Folder::open(path, base)?;
                (Arc::new(store), Place::Folder(folder), FOLDER_PART)
            }
        };
        Ok(Self(Arc::new(Inner {
            store,
            place,
            part,
            sealer,
            clock,
            requests: AtomicU64::new(0),
        })))
    }

    /// How many requests this has made since it was opened that S3 asks money for: all but deletions. In a folder, as many as
    /// it would have been.
    pub fn requests(&self) -> u64 {
        self.0.requests.load(Ordering::Relaxed)
    }

    fn count(&self, requests: u64) {
        self.0.requests.fetch_add(requests, Ordering::Relaxed);
    }

    /// Puts what a stream brings in the place of what was there. Answers how many bytes it were. The object is there
    /// whole or not at all.
    pub async fn put<S, E>(&self, name: &ObjectName, content: S, length: Length) -> Result<u64, PutError<E>>
    where
        S: Stream<Item = Result<Bytes, E>> + Send,
    {
        let put = self.write(name, content, length).await;
        if let Ok(length) = &put {
            // What is larger than a part is begun, put part by part, and ended.
            let parts = length / S3_PART as u64;
            self.count(if parts == 0 { 1 } else { parts + 3 });
        }
        put
    }

    async fn write<S, E>(&self, name: &ObjectName, content: S, length: Length) -> Result<u64, PutError<E>>
    where
        S: Stream<Item = Result<Bytes, E>> + Send,
    {
        let sealer = if self.seals(name) {
            let sealer = &self.0.sealer;
            let aad = name.sealed_as();
            let begun = sealer.seal_stream(name.instance(), Purpose::Content, aad.as_bytes());
            Some(begun.await.map_err(BucketError::from)?)
        } else {
            None
        };
        let store = self.0.store.as_ref();
        transfer::put(store, &name.path(), self.0.part, sealer, content, length).await
    }

    /// An object; `None` where there is none.
    pub async fn get(&self, name: &ObjectName) -> Result<Option<Object>, BucketError> {
        self.count(1);
        self.read(name).await
    }

    async fn read(&self, name: &ObjectName) -> Result<Option<Object>, BucketError> {
        let got = match in_time("get", self.0.store.get(&name.path())).await? {
            Ok(got) => got,
            Err(error) => return sorted(error).map_or(Ok(None), Err),
        };
        let size = self.plain_size(name, got.meta.size)?;
        let opener = if self.seals(name) {
            let aad = name.sealed_as();
            let sealer = &self.0.sealer;
            let begun = sealer.open_stream(name.instance(), Purpose::Content, aad.as_bytes());
            Some(begun.await?)
        } else {
            None
        };
        let content = transfer::content(got, opener);
        Ok(Some(Object { size, content }))
    }

    /// An object's length in bytes, as it was put; `None` where there is none.
    pub async fn size(&self, name: &ObjectName) -> Result<Option<u64>, BucketError> {
        self.count(1);
        match in_time("head", self.0.store.head(&name.path())).await? {
            Ok(found) => self.plain_size(name, found.size).map(Some),
            Err(error) => sorted(error).map_or(Ok(None), Err),
        }
    }

    /// Deletes an object. One that is not there is deleted already.
    pub async fn delete(&self, name: &ObjectName) -> Result<(), BucketError> {
        match in_time("delete", self.0.store.delete(&name.path())).await? {
            Ok(()) => Ok(()),
            Err(error) => sorted(error).map_or(Ok(()), Err),
        }
    }

    /// Copies an object in the place of what is there under the other name; `false` where there is none to copy. What
    /// callers uploaded the store copies by itself, whatever its length.
    pub async fn copy(&self, from: &ObjectName, to: &ObjectName) -> Result<bool, BucketError> {
        if from.sealed_as() == to.sealed_as() {
            self.count(1);
            return match in_time("copy", self.0.store.copy(&from.path(), &to.path())).await? {
                Ok(()) => self.begin_term(to).map(|()| true),
                Err(error) => sorted(error).map_or(Ok(false), Err),
            };
        }
        self.count(2);
        let Some(object) = self.read(from).await? else {
            return Ok(false);
        };
        match self.write(to, object.content, Length::Exactly(object.size)).await {
            Ok(_) => Ok(true),
            Err(PutError::Source(error) | PutError::Bucket(error)) => Err(error),
            Err(PutError::TooLong(_) | PutError::TooShort(_)) => Err(BucketError::CutShort),
        }
    }

    /// A copy in a folder is the same file under another name, and its term begins anew.
    fn begin_term(&self, name: &ObjectName) -> Result<(), BucketError> {
        match &self.0.place {
            Place::S3(_) => Ok(()),
            Place::Folder(folder) => {
                let begun = folder.begin_term(name, self.0.clock.now().into());
                begun.map_err(|error| BucketError::Unknown(error.into()))
            }
        }
    }

    /// Deletes all objects of an instance that goes. It may be broken off and done again.
    pub async fn forget(&self, instance: InstanceId) -> Result<(), BucketError> {
        let store = self.0.store.as_ref();
        for area in Area::ALL {
            let prefix = Path::from(format!("{}/{instance}", area.prefix()));
            // The store lists a page at a time, and deletes as many at once as it can.
            let found = store.list(Some(&prefix)).map_ok(|object| object.location).boxed();
            let mut deleted = store.delete_stream(found);
            while let Some(one) = in_time("delete", async { Ok(deleted.next().await) })
                .await?
                .map_err(error::failed)?
            {
                match one {
                    Ok(_) => {}
                    Err(error) => sorted(error).map_or(Ok(()), Err)?,
                }
            }
        }
        Ok(())
    }

    /// A request by which a caller puts an object of this length and media type. S3 and the API's route refuse another
    /// length.
    pub async fn upload(
        &self,
        name: &ObjectName,
        size: u64,
        mime_type: &str,
        term: TimeDelta,
    ) -> Result<SignedRequest, BucketError> {
        let expires_at = self.0.clock.now() + term;
        let headers = vec![
            ("content-length", size.to_string()),
            ("content-type", mime_type.to_owned()),
        ];
        let url = match &self.0.place {
            Place::S3(store) => signed(store.signed("PUT", name, (&headers, &[]), term)).await?,
            Place::Folder(folder) => folder.url(&Link {
                allowed: Allowed::Put { size },
                object: name.clone(),
                expires: expires_at.timestamp(),
                mime_type: mime_type.to_owned(),
                file_name: None,
            }),
        };
        Ok(SignedRequest {
            url,
            method: "PUT",
            headers,
            expires_at,
        })
    }

    /// A URL from which whoever has it gets an object, as a file of this media type and name.
    pub async fn download(
        &self,
        name: &ObjectName,
        mime_type: &str,
        file_name: Option<&str>,
        term: TimeDelta,
    ) -> Result<String, BucketError> {
        match &self.0.place {
            Place::S3(store) => {
                let query = [
                    ("response-content-disposition", disposition(file_name)),
                    ("response-content-type", mime_type.to_owned()),
                ];
                signed(store.signed("GET", name, (&[], &query), term)).await
            }
            Place::Folder(folder) => Ok(folder.url(&Link {
                allowed: Allowed::Get,
                object: name.clone(),
                expires: (self.0.clock.now() + term).timestamp(),
                mime_type: mime_type.to_owned(),
                file_name: file_name.map(str::to_owned),
            })),
        }
    }

    /// Checks a link to a folder. `None` where the bucket is none: its links lead to S3.
    pub fn check(&self, link: &Link, signature: &str) -> Option<Result<(), LinkFault>> {
        match &self.0.place {
            Place::S3(_) => None,
            Place::Folder(folder) => Some(folder.check(link, signature, self.0.clock.now())),
        }
    }

    /// Removes from a folder what is past its term, and what a process that ended left half written. Answers how many
    /// it were. S3 does this by itself, by the rules of `template.yaml`.
    pub async fn sweep(&self) -> Result<usize, BucketError> {
        self.sweep_with(folder::DRAFT_TERM).await
    }

    /// The same with everything that is half written: for a process that begins, and knows that no other works on the
    /// folder.
    pub async fn sweep_at_start(&self) -> Result<usize, BucketError> {
        self.sweep_with(Duration::ZERO).await
    }

    async fn sweep_with(&self, drafts: Duration) -> Result<usize, BucketError> {
        let bucket = self.clone();
        let now = self.0.clock.now();
        let swept = tokio::task::spawn_blocking(move || match &bucket.0.place {
            Place::S3(_) => Ok(0),
            Place::Folder(folder) => folder.sweep(now.into(), drafts),
        });
        let swept = swept.await.map_err(|panic| BucketError::Unknown(panic.into()))?;
        swept.map_err(|error| BucketError::Unknown(error.into()))
    }

    fn seals(&self, name: &ObjectName) -> bool {
        name.area().is_ours() || matches!(self.0.place, Place::Folder(_))
    }

    fn plain_size(&self, name: &ObjectName, stored: u64) -> Result<u64, BucketError> {
        if self.seals(name) {
            plain_length(stored).ok_or(BucketError::CutShort)
        } else {
            Ok(stored)
        }
    }
}

/// A URL, once there are credentials to sign it with.
async fn signed(signing: impl Future<Output = object_store::Result<String>>) -> Result<String, BucketError> {
    in_time("sign", signing).await?.map_err(error::failed)
}
