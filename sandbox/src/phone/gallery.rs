//! The media that phones hold: fetched, opened, and checked against both hashes before an inbox names them.
//!
//! A message with media is shown at once. A task fetches its files, one after the other and outside of the store's
//! thread; then the inbox has the hash of what was really decrypted. A phone keeps the file as it was uploaded, with
//! its key, so that it can show it, and upload it again when the host has dropped it.

use std::io::{self, Read, Write};
use std::sync::Arc;

use rusqlite::OptionalExtension as _;
use sha2::{Digest as _, Sha256};
use tracing::{debug, error};
use wacore::download::{DownloadUtils, Downloadable, MediaType};
use wacore::proto_helpers::MessageExt as _;
use waproto::whatsapp as wa;

use crate::error::{Error, Result};
use crate::media::blobs::Hash;
use crate::media::catalogue::{self, Entry, Kept};
use crate::network::Network;
use crate::store::Unit;

/// The media of one message as a phone holds them.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    /// The name under which it is uploaded.
    pub(crate) kind: MediaType,
    /// Opens it.
    pub(crate) key: Vec<u8>,
    /// The file as it was uploaded.
    pub(crate) file: Kept,
    /// The MIME type, as the sender states it.
    mime: String,
}

/// Notes the media of `message`, under `sender` and `id`, to be fetched. Nothing happens for a message without media,
/// or one that came before.
pub(crate) fn note(
    unit: &mut Unit<'_>,
    phone: &str,
    (sender, id): (&str, &str),
    message: &wa::Message,
) -> Result<()> {
    let Some((media, mime)) = carried(message.get_base_message()) else {
        return Ok(());
    };
    let (Some(path), Some(key), Some(file), Some(hash)) = (
        media.direct_path(),
        media.media_key(),
        media.file_enc_sha256().and_then(Hash::from_slice),
        media.file_sha256().and_then(Hash::from_slice),
    ) else {
        debug!("a phone got media without what it takes to fetch them");
        return Ok(());
    };
    unit.execute(
        "INSERT OR IGNORE INTO phone_media (phone, sender, id, kind, path, mime, media_key, enc_hash, hash, state)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 'waiting')",
        rusqlite::params![
            phone,
            sender,
            id,
            kind_name(media.app_info()),
            path,
            mime.unwrap_or_default(),
            key,
            file.0,
            hash.0
        ],
    )?;
    unit.fetch_media();
    Ok(())
}

/// The media of a message, and their MIME type.
fn carried(message: &wa::Message) -> Option<(&dyn Downloadable, Option<&str>)> {
    macro_rules! first {
        ($($field:ident),+) => {
            $(if let Some(media) = message.$field.as_option() {
                return Some((media, media.mimetype.as_deref()));
            })+
        };
    }
    first!(
        image_message,
        video_message,
        ptv_message,
        audio_message,
        document_message,
        sticker_message
    );
    None
}

/// The media of the messages with this id; most often one. Only those that are fetched and checked.
pub(crate) fn held(unit: &Unit<'_>, phone: &str, id: &str) -> Result<Vec<Held>> {
    let mut statement = unit.prepare(
        "SELECT kind, media_key, enc_hash, length, mime FROM phone_media WHERE phone = ?1 AND id = ?2 AND state = 'held'",
    )?;
    let mut rows = statement.query((phone, id))?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push(Held {
            kind: named_kind(row.get_ref(0)?.as_str().unwrap_or_default())?,
            key: row.get(1)?,
            file: Kept {
                hash: stored_hash(row.get(2)?)?,
                length: row.get::<_, i64>(3)?.unsigned_abs(),
            },
            mime: row.get(4)?,
        });
    }
    Ok(all)
}

/// Gives up the media of the messages with this id. The bytes go where nobody else refers to them.
///
/// # Errors
/// [`Error::NotFound`] where the phone holds none.
pub(crate) fn forget(unit: &Unit<'_>, phone: &str, id: &str) -> Result<()> {
    let forgotten = unit.execute(
        "DELETE FROM phone_media WHERE phone = ?1 AND id = ?2 AND state = 'held'",
        (phone, id),
    )?;
    if forgotten == 0 {
        return Err(Error::NotFound("the phone has no media of this message".into()));
    }
    Ok(())
}

/// Opens the media of the message with this id; answers their MIME type and bytes.
///
/// # Errors
/// [`Error::NotFound`] for a message that is not there, has no media, or media that could not be had;
/// [`Error::Conflict`] while they are being fetched.
pub(crate) async fn open(network: &Arc<Network>, phone: String, id: String) -> Result<(String, Vec<u8>)> {
    let find = move |unit: &mut Unit<'_>| {
        crate::directory::require(unit, &phone)?;
        if let Some(held) = held(unit, &phone, &id)?.pop() {
            return Ok(held);
        }
        let waiting = unit
            .prepare("SELECT 1 FROM phone_media WHERE phone = ?1 AND id = ?2 AND state = 'waiting'")?
            .exists((&phone, &id))?;
        Err(if waiting {
            Error::Conflict("the phone is still fetching these media".into())
        } else {
            Error::NotFound("the phone has no media of this message".into())
        })
    };
    let held = network.store.run(find).await?;
    let other = Arc::clone(network);
    let open = move || {
        let reader = other.media.blobs.reader(&held.file.hash)?;
        let bytes = DownloadUtils::decrypt_stream(reader, &held.key, held.kind)?;
        Ok((held.mime, bytes))
    };
    tokio::task::spawn_blocking(open)
        .await
        .map_err(|error| Error::codec("a phone's media", error))?
        .map_err(|error: anyhow::Error| Error::codec("a phone's media", error))
}

/// Fetches what phones wait for, until the network stops.
pub(crate) async fn run(network: Arc<Network>) {
    loop {
        let told = network.registry.media.notified();
        match fetch_next(&network).await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(Error::Stopped) => return,
            // The store itself fails: the next message with media tries again.
            Err(cause) => error!(cause = %cause.for_log(), "a phone's media were not fetched"),
        }
        tokio::select! {
            () = network.stop.cancelled() => return,
            () = told => {}
        }
    }
}

/// What a phone waits for.
struct Wanted {
    phone: String,
    sender: String,
    id: String,
    kind: MediaType,
    key: Vec<u8>,
    file: Hash,
    hash: Hash,
    /// The length of that file, if the host serves it at the path.
    served: Option<u64>,
}

/// Fetches one file. `false` if no phone waits for one.
async fn fetch_next(network: &Arc<Network>) -> Result<bool> {
    let Some(wanted) = network.store.run(|unit| next(unit)).await? else {
        return Ok(false);
    };
    let other = Arc::clone(network);
    let fetch = move || {
        let right = wanted.served.is_some()
            && fetch(&other, &wanted).unwrap_or_else(|error| {
                debug!(%error, "a phone cannot open media");
                false
            });
        (wanted, right)
    };
    let (wanted, right) = tokio::task::spawn_blocking(fetch)
        .await
        .map_err(|error| Error::codec("a phone's media", error))?;
    let note = move |unit: &mut Unit<'_>| {
        let noted = unit.execute(
            "UPDATE phone_media SET state = ?4, length = ?5 WHERE phone = ?1 AND sender = ?2 AND id = ?3",
            (
                &wanted.phone,
                &wanted.sender,
                &wanted.id,
                if right { "held" } else { "failed" },
                i64::try_from(wanted.served.unwrap_or_default()).unwrap_or(i64::MAX),
            ),
        )?;
        if noted > 0 {
            unit.amended(wanted.phone);
        }
        Ok(true)
    };
    network.store.run(note).await
}

fn next(unit: &Unit<'_>) -> Result<Option<Wanted>> {
    type Row = (String, String, String, String, String, Vec<u8>, Vec<u8>, Vec<u8>);
    let row: Option<Row> = unit
        .prepare(
            "SELECT phone, sender, id, kind, path, media_key, enc_hash, hash FROM phone_media
             WHERE state = 'waiting' LIMIT 1",
        )?
        .query_row([], |row| {
            Ok((
                row.get(0)?,
                row.get(1)?,
                row.get(2)?,
                row.get(3)?,
                row.get(4)?,
                row.get(5)?,
                row.get(6)?,
                row.get(7)?,
            ))
        })
        .optional()?;
    let Some((phone, sender, id, kind, path, key, file, hash)) = row else {
        return Ok(None);
    };
    let file = stored_hash(file)?;
    let entry = match catalogue::name_of(&path) {
        Some(name) => catalogue::find(unit, name, false)?,
        None => None,
    };
    Ok(Some(Wanted {
        phone,
        sender,
        id,
        kind: named_kind(&kind)?,
        key,
        file,
        hash: stored_hash(hash)?,
        served: match entry {
            Some(Entry::Live(kept)) if kept.hash == file => Some(kept.length),
            _ => None,
        },
    }))
}

/// Reads and opens a file; answers whether both hashes are right. Blocks.
fn fetch(network: &Network, wanted: &Wanted) -> anyhow::Result<bool> {
    let mut file = Hashed::new(network.media.blobs.reader(&wanted.file)?);
    let mut content = Hashed::new(io::sink());
    DownloadUtils::decrypt_stream_to_writer(&mut file, &wanted.key, wanted.kind, &mut content)?;
    Ok(file.hash() == wanted.file && content.hash() == wanted.hash)
}

/// Hashes what passes through.
struct Hashed<T> {
    inner: T,
    digest: Sha256,
}

impl<T> Hashed<T> {
    fn new(inner: T) -> Self {
        Self {
            inner,
            digest: Sha256::new(),
        }
    }

    fn hash(self) -> Hash {
        Hash(self.digest.finalize().into())
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.digest.update(&buffer[..read]);
        Ok(read)
    }
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.digest.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

fn stored_hash(bytes: Vec<u8>) -> Result<Hash> {
    bytes
        .try_into()
        .map(Hash)
        .map_err(|_| Error::codec("a hash", "it is not 32 bytes"))
}

/// The kinds that messages carry, by the names they are uploaded under.
const KINDS: [MediaType; 5] = [
    MediaType::Image,
    MediaType::Video,
    MediaType::Audio,
    MediaType::Document,
    MediaType::Sticker,
];

fn kind_name(kind: MediaType) -> &'static str {
    match kind {
        // The keys are an image's; the name is not.
        MediaType::Sticker => "sticker",
        other => other.mms_type(),
    }
}

fn named_kind(name: &str) -> Result<MediaType> {
    KINDS
        .into_iter()
        .find(|kind| kind_name(*kind) == name)
        .ok_or_else(|| Error::codec("a kind of media", "no message carries it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_names_of_their_own() {
        for kind in KINDS {
            assert_eq!(named_kind(kind_name(kind)).unwrap(), kind);
        }
        assert!(named_kind("newsletter-image").is_err());
    }
}
