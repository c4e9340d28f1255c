//! A file between where it came from and WhatsApp: on disk, encrypted as WhatsApp has it.
//!
//! So nothing that a message says rests in the clear, and what is uploaded is there already. The file has no name, so the
//! system takes it away when the process ends, however it ends.

use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures::Stream;
use shared::domain::media::FileKind;
use shared::domain::message::Kind;
use shared::domain::upload::MAX_UPLOAD;
use tokio::sync::mpsc;
use wacore::download::{DownloadUtils, DownloadWriter, MediaType};
use wacore::upload::{EncryptedMediaInfo, MediaEncryptor, UploadSource};

/// How many of a file's first bytes are kept, by which its type is told.
const HEAD: usize = 8 * 1_024;

/// Bytes that go to the disk together.
const BLOCK: usize = 64 * 1_024;

/// Pieces of a file between the disk and where it goes.
const PIECES: usize = 4;

/// A file that is being written. It blocks: it belongs on a thread that may.
pub struct Writer {
    encryptor: MediaEncryptor,
    file: BufWriter<File>,
    head: Vec<u8>,
    media_type: MediaType,
}

/// A file that is written.
#[derive(Clone)]
pub struct Spool(Arc<Inner>);

struct Inner {
    file: File,
    head: Vec<u8>,
    media_type: MediaType,
    info: EncryptedMediaInfo,
    /// The length of what is on disk.
    length: u64,
}

impl Writer {
    /// A file for a message of this kind, in this folder or the system's for such files.
    pub fn new(kind: Kind, folder: Option<&Path>) -> io::Result<Self> {
        let media_type = media_type(kind);
        let has_sidecar = matches!(media_type, MediaType::Audio | MediaType::Video);
        let file = match folder {
            Some(folder) => tempfile::tempfile_in(folder)?,
            None => tempfile::tempfile()?,
        };
        Ok(Self {
            encryptor: MediaEncryptor::new_with_sidecar(media_type, has_sidecar).map_err(io::Error::other)?,
            file: BufWriter::with_capacity(BLOCK, file),
            head: Vec::new(),
            media_type,
        })
    }

    /// Writes some more.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let missing = HEAD.saturating_sub(self.head.len()).min(bytes.len());
        self.head.extend_from_slice(&bytes[..missing]);
        self.encryptor.update_to_writer(bytes, &mut self.file)
    }

    /// Ends the file.
    pub fn finish(self) -> io::Result<Spool> {
        let Self {
            encryptor,
            mut file,
            head,
            media_type,
        } = self;
        let info = encryptor
            .finalize_to_writer(&mut file)
            .map_err(io::Error::other)?;
        file.flush()?;
        let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        let length = file.metadata()?.len();
        Ok(Spool(Arc::new(Inner {
            file,
            head,
            media_type,
            info,
            length,
        })))
    }
}

impl Spool {
    /// The length of the file itself, in bytes.
    pub fn size(&self) -> u64 {
        self.0.info.file_length
    }

    /// The SHA-256 of the file itself.
    pub fn sha256(&self) -> &[u8; 32] {
        &self.0.info.file_sha256
    }

    /// Its first bytes, some thousand.
    pub fn head(&self) -> &[u8] {
        &self.0.head
    }

    /// The whole file. It blocks, and takes as much memory as the file is long.
    pub fn read(&self) -> io::Result<Vec<u8>> {
        let Inner { info, media_type, .. } = &*self.0;
        let mut plain = Vec::with_capacity(usize::try_from(info.file_length).unwrap_or_default());
        DownloadUtils::decrypt_stream_to_writer(
            Reader {
                spool: self.clone(),
                at: 0,
            },
            &info.media_key,
            *media_type,
            &mut plain,
        )
        .map_err(io::Error::other)?;
        Ok(plain)
    }

    /// The whole file in pieces, of which few are in memory at a time. An error ends them; without one they are all there.
    pub fn stream(&self) -> impl Stream<Item = io::Result<Bytes>> + Send + use<> {
        let (sender, pieces) = mpsc::channel(PIECES);
        let spool = self.clone();
        tokio::task::spawn_blocking(move || {
            let Inner { info, media_type, .. } = &*spool.0;
            let reader = Reader {
                spool: spool.clone(),
                at: 0,
            };
            let mut pieces = BufWriter::with_capacity(BLOCK, Pieces(sender.clone()));
            let (key, kind) = (&info.media_key, *media_type);
            let decrypted = DownloadUtils::decrypt_stream_to_writer(reader, key, kind, &mut pieces);
            let written = decrypted.map_err(io::Error::other).and_then(|_| pieces.flush());
            if let Err(error) = written {
                // Nobody may be there any more to hear it.
                let _ = sender.blocking_send(Err(error));
            }
        });
        futures::stream::unfold(pieces, async |mut pieces| Some((pieces.recv().await?, pieces)))
    }

    /// What the library uploads it as.
    pub(super) fn media_type(&self) -> MediaType {
        self.0.media_type
    }

    /// What the library knows of it.
    pub(super) fn info(&self) -> EncryptedMediaInfo {
        let info = &self.0.info;
        EncryptedMediaInfo {
            media_key: info.media_key,
            file_sha256: info.file_sha256,
            file_enc_sha256: info.file_enc_sha256,
            file_length: info.file_length,
            streaming_sidecar: info.streaming_sidecar.clone(),
        }
    }
}

/// The key that opens it stays out of logs.
impl fmt::Debug for Spool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spool")
            .field("size", &self.size())
            .finish_non_exhaustive()
    }
}

impl UploadSource for Spool {
    fn len(&self) -> u64 {
        self.0.length
    }

    fn reader_from(&self, offset: u64) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(Reader {
            spool: self.clone(),
            at: offset,
        }))
    }
}

/// Hands on what is written to it.
struct Pieces(mpsc::Sender<io::Result<Bytes>>);

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = Ok(Bytes::copy_from_slice(bytes));
        let sent = self.0.blocking_send(piece);
        sent.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Where the library writes a file that it downloads. It blocks, as [`Writer`] does. Each attempt of the library begins by
/// emptying it.
pub(super) struct Sink {
    kind: Kind,
    folder: Option<PathBuf>,
    writer: Option<Writer>,
    written: u64,
    overflow: Arc<AtomicBool>,
}

impl Sink {
    pub fn new(kind: Kind, folder: Option<&Path>) -> Self {
        Self {
            kind,
            folder: folder.map(Path::to_owned),
            writer: None,
            written: 0,
            overflow: Arc::default(),
        }
    }

    /// Whether more came than a file may have, which the library does not tell apart from other errors.
    pub fn overflow(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.overflow)
    }

    fn writer(&mut self) -> io::Result<&mut Writer> {
        let writer = match self.writer.take() {
            Some(writer) => writer,
            None => Writer::new(self.kind, self.folder.as_deref())?,
        };
        Ok(self.writer.insert(writer))
    }

    /// The file that was written last.
    pub fn finish(mut self) -> io::Result<Spool> {
        self.writer()?;
        self.writer.take().ok_or(io::ErrorKind::NotFound)?.finish()
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.written += bytes.len() as u64;
        if self.written > MAX_UPLOAD {
            self.overflow.store(true, Ordering::Relaxed);
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.writer()?.write(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The library goes back to the beginning before an attempt, when this is empty, and after it, when it is complete.
impl Seek for Sink {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match to {
            SeekFrom::Start(0) => Ok(0),
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

impl DownloadWriter for Sink {
    fn truncate(&mut self, length: u64) -> io::Result<()> {
        if length != 0 {
            return Err(io::ErrorKind::Unsupported.into());
        }
        self.writer = None;
        self.written = 0;
        Ok(())
    }
}

/// Reads what is on disk from a place of its own, since attempts may overlap.
struct Reader {
    spool: Spool,
    at: u64,
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.spool.0.file.read_at(buffer, self.at)?;
        self.at += u64::try_from(read).map_err(io::Error::other)?;
        Ok(read)
    }
}

/// What the library calls the files of messages of this kind.
pub(super) fn media_type(kind: Kind) -> MediaType {
    match FileKind::of(kind) {
        Some(FileKind::Image) => MediaType::Image,
        Some(FileKind::Video) => MediaType::Video,
        Some(FileKind::Audio | FileKind::Voice) => MediaType::Audio,
        Some(FileKind::Sticker) => MediaType::Sticker,
        Some(FileKind::Document) | None => MediaType::Document,
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt as _;

    use super::*;

    fn spooled(kind: Kind, bytes: &[u8]) -> Spool {
        let mut writer = Writer::new(kind, None).expect("a file");
        for chunk in bytes.chunks(1_000) {
            writer.write(chunk).expect("written");
        }
        writer.finish().expect("written")
    }

    /// A file of 32 MiB goes to the disk and comes from it in less than half of one.
    #[test]
    fn a_large_file_takes_little_memory() {
        let counted = allocation_counter::measure(|| {
            let mut writer = Writer::new(Kind::Document, None).expect("a file");
            let piece = vec![7; BLOCK];
            for _ in 0..512 {
                writer.write(&piece).expect("written");
            }
            let spool = writer.finish().expect("written");
            assert_eq!(spool.size(), 32 * 1_024 * 1_024);
            let mut reader = spool.reader_from(0).expect("a reader");
            let mut piece = vec![0; BLOCK];
            while reader.read(&mut piece).expect("read") > 0 {}
        });
        assert!(counted.bytes_max < 512 * 1_024, "{} bytes", counted.bytes_max);
    }

    #[tokio::test]
    async fn a_file_comes_back_in_pieces() {
        for length in [0, 1, BLOCK, 5 * BLOCK + 7] {
            let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(length).collect();
            let spool = spooled(Kind::Video, &bytes);
            let pieces: Vec<_> = spool.stream().collect().await;
            let pieces: Vec<_> = pieces.into_iter().map(|piece| piece.expect("read")).collect();
            assert!(pieces.iter().all(|piece| piece.len() <= BLOCK));
            assert!(pieces.concat() == bytes, "{length}");
        }
    }

    #[test]
    fn of_a_download_that_is_begun_anew_the_last_attempt_counts() {
        let mut sink = Sink::new(Kind::Image, None);
        for attempt in [&b"half of ano"[..], b"the file"] {
            sink.truncate(0).expect("emptied");
            sink.rewind().expect("at its beginning");
            sink.write_all(attempt).expect("written");
        }
        sink.rewind().expect("at its beginning");
        assert!(sink.seek(SeekFrom::Start(1)).is_err() && sink.truncate(1).is_err());
        let spool = sink.finish().expect("written");
        assert_eq!(spool.read().expect("read"), b"the file");
    }

    #[test]
    fn a_file_that_is_longer_than_any_may_be_is_told_apart() {
        let mut sink = Sink::new(Kind::Document, None);
        let overflow = sink.overflow();
        sink.written = MAX_UPLOAD - 1;
        sink.write_all(b"x").expect("as long as one may be");
        assert!(!overflow.load(Ordering::Relaxed));
        sink.write_all(b"x").expect_err("too long");
        assert!(overflow.load(Ordering::Relaxed));
    }

    #[test]
    fn a_file_is_read_back_and_rests_encrypted() {
        let marker = b"nobody reads this on a disk";
        let bytes = marker.repeat(5_000);
        for kind in [Kind::Image, Kind::Audio, Kind::Document, Kind::Sticker] {
            let spool = spooled(kind, &bytes);
            assert_eq!(spool.size(), u64::try_from(bytes.len()).expect("small"));
            assert_eq!(spool.head(), &bytes[..HEAD]);
            assert!(spool.read().expect("read") == bytes, "{kind}");
            let mut rests = Vec::new();
            spool
                .reader_from(0)
                .expect("a reader")
                .read_to_end(&mut rests)
                .expect("read");
            assert_eq!(
                UploadSource::len(&spool),
                u64::try_from(rests.len()).expect("small")
            );
            assert!(!rests.windows(marker.len()).any(|window| window == marker));
            let mut rest = Vec::new();
            spool
                .reader_from(100)
                .expect("a reader")
                .read_to_end(&mut rest)
                .expect("read");
            assert!(rest == rests[100..]);
        }
        let empty = spooled(Kind::Document, b"");
        assert_eq!((empty.size(), empty.read().expect("read").len()), (0, 0));
    }
}
