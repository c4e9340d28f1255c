//! The files of messages that go out: gets them from where their senders say, finds out what they are, and has them as
//! WhatsApp's apps want them.
//!
//! A file comes in pieces and goes to the disk encrypted ([`Spool`]), so its length is no matter of memory. What has to be
//! looked into is of a kind that is small enough, and is read in the workshop: at most two at a time, on threads beside the
//! sockets' own. How many files are in hand is bounded for the daemon, for each subscription and for each instance, so that
//! one that names slow hosts holds up itself alone.

mod audio;
mod away;
mod image;
mod memory;
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
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::StreamExt as _;
use shared::bucket::{Area, Bucket, BucketError, ObjectName};
use shared::domain::content::{Bytes, Content, File, Media, Remote, Source};
use shared::domain::job::SendJob;
use shared::domain::media::{FileKind, Rule};
use shared::domain::message::FailureCode;
use shared::ids::InstanceId;
use shared::reach::Reach;
use shared::telemetry::chain;
use tokio::sync::mpsc;
use tokio::task::{JoinError, spawn_blocking};
use tracing::warn;

pub use self::away::{Away, Place};
use self::memory::Memory;
use self::slots::Slot;
pub use self::slots::{Owner, Slots, Terms};
use crate::fetch::{FetchError, Fetcher, Slowest};
use crate::whatsapp::{Spool, Writer};

/// Files in hand. Each takes a connection, and as much of the disk as it is long. Hosts may be slow.
const IN_HAND: Terms = Terms {
    all: 64,
    of_instance: 2,
    leaves_room: true,
};

/// Files that are looked into at a time. The bytes of each are in memory, and a share of [`Memory`] beside them. None takes
/// long.
const WORKBENCHES: Terms = Terms {
    all: 2,
    of_instance: 2,
    leaves_room: false,
};

/// For how long a file that cannot be had is tried while its chat waits.
const PATIENCE: Duration = Duration::from_mins(1);

/// Pieces between a host and the disk.
const PIECES: usize = 4;

/// How long deleting a file may take. A lane waits for it.
const DELETE_DEADLINE: Duration = Duration::from_secs(3);

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
    /// For how long a file that cannot be had is tried while its chat waits, before its message is put off; `None` for a
    /// minute.
    pub patience: Option<Duration>,
    /// How slow a host may be before it counts as one whose file cannot be had now.
    pub slowest: Slowest,
}

/// Why a message's file is not there.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// No waiting helps.
    #[error("the file cannot be sent: {code}")]
    Final {
        /// What its sender is told.
        code: FailureCode,
        /// What its sender is told besides.
        reason: Option<String>,
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
            reason: None,
            source: source.into(),
        }
    }

    fn too_large(source: impl Into<Cause>) -> Self {
        Self::Final {
            code: FailureCode::MediaTooLarge,
            reason: None,
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
                reason: Some(error.to_string()),
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
#[derive(Default)]
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
    /// For files that come in, so that none that goes out waits for them.
    slots_in: Slots,
    workshop: Slots,
    memory: Memory,
    patience: Duration,
    /// What fails, for all messages.
    pub away: Away,
}

impl Files {
    /// Set up like this. What callers have uploaded is in `bucket`.
    pub fn new(settings: Settings, bucket: Bucket) -> Result<Self, Cause> {
        Ok(Self {
            bucket,
            fetcher: Fetcher::new(settings.reach, settings.roots.as_deref())?.at_slowest(settings.slowest),
            folder: settings.folder,
            slots: Slots::new(IN_HAND),
            slots_in: Slots::new(IN_HAND),
            workshop: Slots::new(WORKBENCHES),
            memory: Memory::default(),
            patience: settings.patience.unwrap_or(PATIENCE),
            away: Away::default(),
        })
    }

    /// For how long a file that cannot be had is tried while its chat waits.
    pub const fn patience(&self) -> Duration {
        self.patience
    }

    /// A place for a file of this owner, which it has until it is uploaded.
    pub async fn slot(&self, owner: Owner) -> Slot {
        self.slots.of(owner).await
    }

    /// A place for a file that came to this owner, which it has until it is in the bucket.
    pub async fn slot_in(&self, owner: Owner) -> Slot {
        self.slots_in.of(owner).await
    }

    /// Where files are kept while they are in hand; `None` for the system's folder for such files.
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// Deletes the file of a message that needs it no more: its state is final, and stored. Where that fails now, the bucket's
    /// own rules do it later.
    pub async fn discard(&self, job: &SendJob) {
        let Some(name) = &job.file else {
            return;
        };
        if name.instance() != job.instance {
            return;
        }
        let deleting = tokio::time::timeout(DELETE_DEADLINE, self.bucket.delete(name));
        let deleted = deleting.await.unwrap_or(Err(BucketError::Timeout("delete")));
        if let Err(error) = deleted {
            warn!(message.id = %job.message, error = %chain(&error), "a file stays in the bucket until its term is over");
        }
    }

    /// Gets the file of a message of this owner, and has it as apps want it.
    pub async fn ready(&self, owner: Owner, content: &Content) -> Result<Ready, FileError> {
        let rule = Rule::of(content.shown().kind());
        let (Some(media), Some(rule)) = (content.media(), rule) else {
            return Err(FileError::of_type("the message has no file"));
        };
        let spool = self.spool(owner.instance, media, rule).await?;
        if spool.size() == 0 {
            return Err(FileError::of_type("the file is empty"));
        }
        let given = media.media.clone();
        let found = sniff::type_of(spool.head());
        if rule.kind == FileKind::Document {
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
        self.look_into(owner, rule.kind, spool, found).await
    }

    /// Looks into a file in the workshop, and changes it where that is needed.
    async fn look_into(
        &self,
        owner: Owner,
        kind: FileKind,
        spool: Spool,
        found: Option<&'static str>,
    ) -> Result<Ready, FileError> {
        let place = self.workshop.of(owner).await;
        let reading = spawn_blocking(move || {
            let bytes = spool.read().map_err(FileError::waits)?;
            let needed = memory::needed(kind, &bytes, found)?;
            Ok::<_, FileError>((spool, bytes, needed))
        });
        let (spool, bytes, needed) = reading.await.unwrap_or_else(|error| Err(unfinished(error)))?;
        let share = self.memory.take(needed).await?;
        let folder = self.folder.clone();
        let working = spawn_blocking(move || {
            let _held = (place, share);
            let made = match kind {
                FileKind::Image => image::make(&bytes, found),
                FileKind::Video => video::make(&bytes, found),
                FileKind::Audio => audio::make(&bytes, found),
                FileKind::Voice => voice::make(&bytes, found),
                FileKind::Sticker => sticker::make(&bytes, found),
                // Nobody looks into one: what it is, its first bytes say.
                FileKind::Document => Ok(Made::default()),
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
        working.await.unwrap_or_else(|error| Err(unfinished(error)))
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
            // Older functions leave uploads where they were put.
            Some(Source::Upload(id)) => {
                let name = ObjectName::new(Area::Upload, instance, *id);
                self.take(&name, rule.max_bytes, pieces).await
            }
            Some(Source::Stored(name)) if name.instance() == instance => {
                self.take(name, rule.max_bytes, pieces).await
            }
            Some(Source::Stored(_)) => Err(FileError::of_type("the file is another instance's")),
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

    /// Takes a file from the bucket, piece by piece. It stays there until its message needs it no more.
    async fn take(
        &self,
        name: &ObjectName,
        most: u64,
        pieces: mpsc::Sender<bytes::Bytes>,
    ) -> Result<(), FileError> {
        let object = self.bucket.get(name).await.map_err(FileError::waits)?;
        let Some(mut object) = object else {
            return Err(FileError::Final {
                code: FailureCode::MediaGone,
                reason: None,
                source: "there is no such file in the bucket".into(),
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
        kind: FileKind,
    ) -> (
        mpsc::Sender<bytes::Bytes>,
        tokio::task::JoinHandle<io::Result<Spool>>,
    ) {
        let (sender, mut pieces) = mpsc::channel::<bytes::Bytes>(PIECES);
        let folder = self.folder.clone();
        let writing = spawn_blocking(move || {
            let mut writer = Writer::new(kind.into(), folder.as_deref())?;
            while let Some(piece) = pieces.blocking_recv() {
                writer.write(&piece)?;
            }
            writer.finish()
        });
        (sender, writing)
    }
}

/// What a picture that is shown small may take while it is looked into, in bytes: less than one that is sent.
const MOST_OF_SMALL: u64 = 64 * 1_024 * 1_024;

/// A small JPEG of a picture whose sides are at most this long, in pixels.
pub fn thumbnail_of(bytes: &[u8], longest_side: u32) -> Result<Vec<u8>, FileError> {
    let found = sniff::type_of(bytes);
    if memory::needed(FileKind::Image, bytes, found)? > MOST_OF_SMALL {
        return Err(FileError::too_large("the picture has too many pixels"));
    }
    image::small(bytes, found, longest_side)
}

/// Why a file was not looked into to its end. A decoder that panics has met a file that it does not understand. Work that was
/// cancelled says nothing of the file: its process ends, and the next one does it.
fn unfinished(error: JoinError) -> FileError {
    if error.is_panic() {
        FileError::of_type(error)
    } else {
        FileError::waits(error)
    }
}

fn respooled(kind: FileKind, folder: Option<&Path>, bytes: &[u8]) -> io::Result<Spool> {
    let mut writer = Writer::new(kind.into(), folder)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_decoder_that_panics_fails_its_file_and_work_that_is_cancelled_waits() {
        let panics = tokio::spawn(async { panic!("as a decoder would") });
        let error = unfinished(panics.await.expect_err("a panic"));
        assert!(
            matches!(
                error,
                FileError::Final {
                    code: FailureCode::MediaType,
                    ..
                }
            ),
            "{error:?}"
        );
        let cancelled = tokio::spawn(std::future::pending::<()>());
        cancelled.abort();
        let error = unfinished(cancelled.await.expect_err("cancelled"));
        assert!(matches!(error, FileError::Waits { code: None, .. }), "{error:?}");
    }
}
