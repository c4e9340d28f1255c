//! Uploading again what the media host has dropped, for a companion that asks.
//!
//! A companion that cannot download the media of a message sends its own phone a `server-error` receipt. It is sealed
//! with the media's key, so that only somebody who has them understands it. A phone that holds the file uploads it
//! under a new path, and tells only that companion so, in a `mediaretry` notification that is sealed likewise.

use buffa::Message as _;
use rand::RngExt as _;
use wacore::media_retry::decrypt_media_retry_notification;
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;
use wacore_libsignal::crypto::aes_256_gcm_encrypt;
use waproto::whatsapp as wa;
use waproto::whatsapp::media_retry_notification::ResultType;

use super::gallery::{self, Held};
use crate::directory::{Account, Address, Family};
use crate::error::{Error, Result};
use crate::media::catalogue;
use crate::store::Unit;
use crate::store::queue::{self, Kind, Stanza};
use crate::wire;

/// What the key of these notes is derived for.
const KEY_INFO: &[u8] = b"WhatsApp Media Retry Notification";

/// The codes of an `<error>` in the notification.
const NOT_FOUND: u8 = 2;
const DECRYPTION_ERROR: u8 = 3;

/// Answers the `server-error` receipt of one of the phone's own companions.
pub(crate) fn answer(unit: &mut Unit<'_>, account: &Account, receipt: &Node) -> Result<()> {
    let (Some(from), Some(id)) = (wire::attr_jid(receipt, "from"), wire::attr(receipt, "id")) else {
        return Ok(());
    };
    // Without it the companion asks for a part of the history, which is no message's media.
    let (Some(context), Some(sealed)) = (
        receipt.get_optional_child("rmr"),
        receipt.get_optional_child("encrypt"),
    ) else {
        return Ok(());
    };
    let candidates = gallery::held(unit, &account.phone, &id)?;
    let none = candidates.is_empty();
    let verdict = match candidates.into_iter().find(|held| asks_for(held, &id, sealed)) {
        Some(held) => {
            let path = upload(unit, &held)?;
            Ok(encrypt(&held.key, &id, path)?)
        }
        None if none => Err(NOT_FOUND),
        None => Err(DECRYPTION_ERROR),
    };
    let child = verdict.unwrap_or_else(|code| NodeBuilder::new("error").attr("code", code).build());
    let notification = NodeBuilder::new("notification")
        .attr("from", account.jid(Family::Pn, 0))
        .attr("id", id.as_ref())
        .attr("type", "mediaretry")
        .attr("t", unit.now_secs())
        .children([child, context.clone()])
        .build();
    let stanza = Stanza {
        kind: Kind::Notification,
        id: &id,
        subtype: "mediaretry",
        sender: &Address::primary(&account.phone),
        node: &notification,
    };
    queue::push(unit, &Address::new(&account.phone, from.device), &stanza)
}

/// Whether the request is sealed with the key of these media, and names this message.
fn asks_for(held: &Held, id: &str, sealed: &Node) -> bool {
    let (Some(ciphertext), Some(iv)) = (
        wire::child_bytes(sealed, "enc_p"),
        wire::child_bytes(sealed, "enc_iv"),
    ) else {
        return false;
    };
    // Both directions are sealed alike.
    decrypt_media_retry_notification(&held.key, id, &iv, &ciphertext)
        .ok()
        .and_then(|plain| wa::ServerErrorReceipt::decode_from_slice(&plain).ok())
        .is_some_and(|receipt| receipt.stanza_id.as_deref() == Some(id))
}

/// Uploads the file again. The phone holds the very file that was uploaded, so only the path is new.
fn upload(unit: &Unit<'_>, held: &Held) -> Result<String> {
    catalogue::add(unit, held.kind.mms_type(), &held.file)
}

fn encrypt(media_key: &[u8], id: &str, path: String) -> Result<Node> {
    let note = wa::MediaRetryNotification {
        stanza_id: Some(id.to_owned()),
        direct_path: Some(path),
        result: Some(ResultType::SUCCESS),
        ..Default::default()
    };
    let mut key = [0; 32];
    wacore::crypto::hkdf_sha256_into(media_key, None, KEY_INFO, &mut key)
        .map_err(|error| Error::codec("a media retry key", error))?;
    let iv: [u8; 12] = rand::rng().random();
    let mut sealed = Vec::new();
    aes_256_gcm_encrypt(&key, &iv, id.as_bytes(), &note.encode_to_vec(), &mut sealed)
        .map_err(|error| Error::codec("a media retry notification", error))?;
    Ok(NodeBuilder::new("encrypt")
        .children([wire::bytes_node("enc_p", sealed), wire::bytes_node("enc_iv", iv)])
        .build())
}
