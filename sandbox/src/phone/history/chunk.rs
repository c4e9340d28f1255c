//! A piece of history on its way: in a message itself, or as a file on the media host that the message names.

use std::io::Write as _;
use std::sync::Arc;

use buffa::Message as _;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use wacore::download::MediaType;
use waproto::whatsapp as wa;
use waproto::whatsapp::history_sync::HistorySyncType;

use crate::error::{Error, Result};
use crate::network::Network;
use crate::phone::media;

/// The longest payload, compressed, that goes in the message itself; longer ones are files on the media host.
const INLINE: usize = 64 * 1024;

/// A piece of history as it is sent.
pub(super) struct Chunk {
    kind: HistorySyncType,
    order: u32,
    progress: u32,
    oldest: Option<i64>,
    /// `HistorySync`, compressed by zlib.
    payload: Vec<u8>,
}

impl Chunk {
    /// Puts a long payload on the media host; answers what its message says.
    pub(super) async fn carry(self, network: &Arc<Network>) -> Result<wa::message::HistorySyncNotification> {
        if self.payload.len() <= INLINE {
            return Ok(self.inline());
        }
        let notification = self.notification();
        let uploaded = media::upload(network, MediaType::History, self.payload.into()).await?;
        Ok(wa::message::HistorySyncNotification {
            media_key: Some(uploaded.media_key.to_vec()),
            direct_path: Some(uploaded.direct_path),
            file_sha256: Some(uploaded.hash.to_vec()),
            file_enc_sha256: Some(uploaded.enc_hash.to_vec()),
            ..notification
        })
    }

    /// What its message says, with the payload in it.
    pub(super) fn inline(self) -> wa::message::HistorySyncNotification {
        let notification = self.notification();
        wa::message::HistorySyncNotification {
            initial_hist_bootstrap_inline_payload: Some(self.payload),
            ..notification
        }
    }

    fn notification(&self) -> wa::message::HistorySyncNotification {
        wa::message::HistorySyncNotification {
            sync_type: Some(message_type(self.kind)),
            chunk_order: Some(self.order),
            progress: Some(self.progress),
            file_length: Some(self.payload.len() as u64),
            oldest_msg_in_chunk_timestamp_sec: self.oldest,
            ..Default::default()
        }
    }
}

/// The protocol has the same list twice.
fn message_type(kind: HistorySyncType) -> wa::message::HistorySyncType {
    use wa::message::HistorySyncType as Type;
    match kind {
        HistorySyncType::INITIAL_BOOTSTRAP => Type::INITIAL_BOOTSTRAP,
        HistorySyncType::INITIAL_STATUS_V3 => Type::INITIAL_STATUS_V3,
        HistorySyncType::FULL => Type::FULL,
        HistorySyncType::RECENT => Type::RECENT,
        HistorySyncType::PUSH_NAME => Type::PUSH_NAME,
        HistorySyncType::NON_BLOCKING_DATA => Type::NON_BLOCKING_DATA,
        HistorySyncType::ON_DEMAND => Type::ON_DEMAND,
    }
}

/// Encodes and compresses a piece, with its place among those of its kind and the progress after it, in per cent.
pub(super) fn pack(
    mut sync: wa::HistorySync,
    (order, progress): (usize, u32),
    oldest: Option<i64>,
) -> Result<Chunk> {
    let order = u32::try_from(order).unwrap_or(u32::MAX);
    sync.chunk_order = Some(order);
    sync.progress = Some(progress);
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
    let payload = zlib
        .write_all(&sync.encode_to_vec())
        .and_then(|()| zlib.finish())
        .map_err(|error| Error::codec("a history", error))?;
    Ok(Chunk {
        kind: sync.sync_type,
        order,
        progress,
        oldest,
        payload,
    })
}
