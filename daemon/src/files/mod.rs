//! The files of messages that go out: gets them from where their senders say, finds out what they are, and has them as
//! WhatsApp's apps want them.
//!
//! A file comes in pieces and goes to the disk encrypted ([`Spool`]), so its length is no matter of memory. What has to be
//! looked into is of a kind that is small enough, and is read in the workshop: at most two at a time, on threads beside the
//! sockets' own. How many files are in hand is bounded for the daemon and for each instance, so that one that names slow
//! hosts holds up itself alone.

mod audio;
mod image;
mod mp3;
mod mp4;
mod ogg;
mod opus;
mod slots;
mod sniff;
mod sticker;
mod video;
mod voice;
mod wav;

use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use futures::StreamExt as _;
use shared::bucket::{Area, Bucket, ObjectName};
use shared::domain::content::{Bytes, Content, File, Media, Remote, Source};
use shared::domain::media::Rule;
use shared::domain::message::{FailureCode, Kind};
use shared::ids::{InstanceId, MediaId};
use shared::reach::Reach;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::spawn_blocking;

use self::slots::Slot;
use crate::fetch::{FetchError, Fetcher};
use crate::whatsapp::{Spool, Writer};

pub use self::slots::Slots;

/// Files that are looked into at a time. Each takes as much memory as it has pixels, or seconds.
const WORKBENCHES: usize = 2;

/// Pieces between a host and the disk.
const PIECES: usize = 4;

type Cause = Box<dyn Error + Send + Sync>;

/// What getting files is set up with.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// How far the URLs that callers name may reach.
    pub reach: Reach,
    /// The only root certificates (PEM) of the hosts that they name; `None` for the system's.
    pub roots: Option<String>,
    /// Where files are kept while they are in hand; `None` for the system's folder for such files.
    pub folder: Option<PathBuf>,
}

/// Why a message's file is not there.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// No waiting helps.
    #[error("the file cannot be sent: {code}")]
    Final {
        /// What its sender is told.
        code: FailureCode,
        /// Why.
        source: Cause,
    },
    /// It may pass.
    #[error("the file cannot be had now")]
    Waits {
        /// What its sender is told where it does not pass in time.
        code: Option<FailureCode>,
        /// Why.
        source: Cause,
    },
}

impl FileError {
    fn of_type(source: impl Into<Cause>) -> Self {
        Self::Final {
            code: FailureCode::MediaType,
            source: source.into(),
        }
    }

    fn too_large(source: impl Into<Cause>) -> Self {
        Self::Final {
            code: FailureCode::MediaTooLarge,
            source: source.into(),
        }
    }

    fn waits(source: impl Into<Cause>) -> Self {
        Self::Waits {
            code: None,
            source: source.into(),
        }
    }
}

impl From<FetchError> for FileError {
    fn from(error: FetchError) -> Self {
        let code = FailureCode::MediaUnreachable;
        match error {
            FetchError::TooLarge(_) => Self::too_large(error),
            error if error.may_pass() => Self::Waits {
                code: Some(code),
                source: Box::new(error),
            },
            error => Self::Final {
                code,
                source: Box::new(error),
            },
        }
    }
}

/// A file that is ready to be uploaded.
#[derive(Debug)]
pub struct Ready {
    /// Its bytes.
    pub spool: Spool,
    about: About,
}

/// What was found out of a file, beside its length and its hash.
#[derive(Default)]
struct About {
    file: File,
    thumbnail: Option<Vec<u8>>,
    waveform: Option<Vec<u8>>,
}

/// What is told of a file stays out of logs.
impl std::fmt::Debug for About {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("About").finish_non_exhaustive()
    }
}

/// What came of looking into a file.
struct Made {
    about: About,
    /// Its bytes, where they became others.
    bytes: Option<Vec<u8>>,
}

impl Ready {
    /// The message's content with its file at WhatsApp.
    pub fn content(self, mut content: Content, remote: Remote) -> Content {
        let About {
            file,
            thumbnail,
            waveform,
        } = self.about;
        if let Some(media) = content.media_mut() {
            media.source = Some(Source::Remote(Box::new(Remote {
                thumbnail: thumbnail.map(Bytes),
                waveform: waveform.map(Bytes),
                ..remote
            })));
            media.media = File {
                size: Some(self.spool.size()),
                sha256: Some(hex::encode(self.spool.sha256())),
                ..file
            };
        }
        content
    }
}

/// Gets the files of messages.
#[derive(Debug)]
pub struct Files {
    fetcher: Fetcher,
    bucket: Bucket,
    folder: Option<PathBuf>,
    slots: Slots,
    workshop: Arc<Semaphore>,
}

impl Files {
    /// Set up like this. What callers have uploaded is in `bucket`.
    pub fn new(settings: Settings, bucket: Bucket) -> Result<Self, Cause> {
        Ok(Self {
            bucket,
            fetcher: Fetcher::new(settings.reach, settings.roots.as_deref())?,
            folder: settings.folder,
            slots: Slots::default(),
            workshop: Arc::new(Semaphore::new(WORKBENCHES)),
        })
    }

    /// A place for a file of this instance, which it has until it is uploaded.
    pub async fn slot(&self, instance: InstanceId) -> Slot {
        self.slots.of(instance).await
    }

    /// Gets the file of a message of this instance, and has it as apps want it.
    pub async fn ready(&self, instance: InstanceId, content: &Content) -> Result<Ready, FileError> {
        let kind = content.shown().kind();
        let (Some(media), Some(rule)) = (content.media(), Rule::of(kind)) else {
            return Err(FileError::of_type("the message has no file"));
        };
        let spool = self.spool(instance, media, rule).await?;
        if spool.size() == 0 {
            return Err(FileError::of_type("the file is empty"));
        }
        let given = media.media.clone();
        let found = sniff::type_of(spool.head());
        if kind == Kind::Document {
            let file = File {
                mime_type: Some(sniff::type_of_document(found, given.mime_type, spool.head())),
                file_name: given.file_name.or_else(|| name_in(media.source.as_ref())),
                ..File::default()
            };
            let about = About {
                file,
                ..About::default()
            };
            return Ok(Ready { spool, about });
        }
        self.look_into(kind, spool, found).await
    }

    /// Looks into a file in the workshop, and changes it where that is needed.
    async fn look_into(
        &self,
        kind: Kind,
        spool: Spool,
        found: Option<&'static str>,
    ) -> Result<Ready, FileError> {
        let workbench = Arc::clone(&self.workshop);
        let place = workbench.acquire_owned().await.map_err(FileError::waits)?;
        let folder = self.folder.clone();
        let working = spawn_blocking(move || {
            let _place = place;
            let bytes = spool.read().map_err(FileError::waits)?;
            let made = match kind {
                Kind::Image => image::make(&bytes, found),
                Kind::Video => video::make(&bytes, found),
                Kind::Audio => audio::make(&bytes, found),
                Kind::Voice => voice::make(&bytes, found),
                _ => sticker::make(&bytes, found),
            }?;
            drop(bytes);
            let spool = match made.bytes {
                None => spool,
                Some(bytes) => respooled(kind, folder.as_deref(), &bytes).map_err(FileError::waits)?,
            };
            Ok(Ready {
                spool,
                about: made.about,
            })
        });
        // A decoder that panics has met a file that it does not understand.
        working
            .await
            .unwrap_or_else(|error| Err(FileError::of_type(error)))
    }

    /// Brings the bytes to the disk.
    async fn spool(&self, instance: InstanceId, media: &Media, rule: &Rule) -> Result<Spool, FileError> {
        let (pieces, writing) = self.begin(rule.kind);
        let came = match &media.source {
            Some(Source::Url(url)) => self.fetch(url, rule.max_bytes, pieces).await,
            Some(Source::Inline(Bytes(bytes))) => {
                // Where the writer has ended, it says why.
                let _ = pieces.send(bytes.clone().into()).await;
                drop(pieces);
                Ok(())
            }
            Some(Source::Upload(id)) => self.take(instance, *id, rule.max_bytes, pieces).await,
            Some(Source::Remote(_)) | None => Err(FileError::of_type("the message has no file of its own")),
        };
        came?;
        let written = writing.await.map_err(FileError::waits)?;
        written.map_err(FileError::waits)
    }

    /// Fetches a URL's file, piece by piece.
    async fn fetch(&self, url: &str, most: u64, pieces: mpsc::Sender<bytes::Bytes>) -> Result<(), FileError> {
        let mut fetched = self.fetcher.get(url, most).await?;
        while let Some(piece) = fetched.chunk().await? {
            if pieces.send(piece).await.is_err() {
                // The writer has ended, and says why.
                break;
            }
        }
        Ok(())
    }

    /// Takes a file from the bucket, piece by piece. It stays there for other messages, until its time is over.
    async fn take(
        &self,
        instance: InstanceId,
        id: MediaId,
        most: u64,
        pieces: mpsc::Sender<bytes::Bytes>,
    ) -> Result<(), FileError> {
        let name = ObjectName::new(Area::Upload, instance, id);
        let object = self.bucket.get(&name).await.map_err(FileError::waits)?;
        let Some(mut object) = object else {
            return Err(FileError::Final {
                code: FailureCode::MediaGone,
                source: "there is no such upload".into(),
            });
        };
        if object.size > most {
            return Err(FileError::too_large(format!(
                "the file has {} bytes",
                object.size
            )));
        }
        while let Some(piece) = object.content.next().await {
            if pieces.send(piece.map_err(FileError::waits)?).await.is_err() {
                // The writer has ended, and says why.
                break;
            }
        }
        Ok(())
    }

    /// Begins to write a file, on a thread that may block. It ends with its last piece.
    fn begin(
        &self,
        kind: Kind,
    ) -> (
        mpsc::Sender<bytes::Bytes>,
        tokio::task::JoinHandle<io::Result<Spool>>,
    ) {
        let (sender, mut pieces) = mpsc::channel::<bytes::Bytes>(PIECES);
        let folder = self.folder.clone();
        let writing = spawn_blocking(move || {
            let mut writer = Writer::new(kind, folder.as_deref())?;
            while let Some(piece) = pieces.blocking_recv() {
                writer.write(&piece)?;
            }
            writer.finish()
        });
        (sender, writing)
    }
}

/// A small JPEG of a picture whose sides are at most this long, in pixels.
pub fn thumbnail_of(bytes: &[u8], longest_side: u32) -> Result<Vec<u8>, FileError> {
    image::small(bytes, sniff::type_of(bytes), longest_side)
}

fn respooled(kind: Kind, folder: Option<&std::path::Path>, bytes: &[u8]) -> io::Result<Spool> {
    let mut writer = Writer::new(kind, folder)?;
    writer.write(bytes)?;
    writer.finish()
}

/// What the last part of a URL's path calls the file.
fn name_in(source: Option<&Source>) -> Option<String> {
    let Some(Source::Url(url)) = source else {
        return None;
    };
    let url = reqwest::Url::parse(url).ok()?;
    let last = url.path_segments()?.next_back()?;
    let name: String = sniff::percent_decoded(last)
        .chars()
        .filter(|c| !c.is_control() && !matches!(c, '/' | '\\'))
        .take(shared::domain::content::MAX_FILE_NAME)
        .collect();
    (!name.trim().is_empty()).then_some(name)
}
