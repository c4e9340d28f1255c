//! A phone hands its own companion a message that the companion could not read.
//!
//! A companion that fails to decrypt asks the sender to encrypt again. It also asks its own phone for the message (a
//! peer data operation, `PLACEHOLDER_MESSAGE_RESEND`). The phone answers with the message, or with nothing but its
//! key where it has not read it either.

use buffa::Message as _;
use rusqlite::OptionalExtension as _;
use wacore_binary::Jid;
use waproto::whatsapp as wa;
use waproto::whatsapp::message::peer_data_operation_request_response_message::PeerDataOperationResult;
use waproto::whatsapp::message::peer_data_operation_request_response_message::peer_data_operation_result::PlaceholderMessageResendResponse;
use waproto::whatsapp::message::{
    PeerDataOperationRequestMessage, PeerDataOperationRequestResponseMessage, PeerDataOperationRequestType,
};

use super::{inbox, send};
use crate::directory::{self, Account, Address, Family};
use crate::error::Result;
use crate::store::Unit;

/// The most messages that one request may name.
const MAX_ASKED: usize = 100;

/// Answers the request that came under `id` from one of the phone's companions.
pub(crate) fn answer(
    unit: &mut Unit<'_>,
    account: &Account,
    (device, id): (u16, &str),
    request: &PeerDataOperationRequestMessage,
) -> Result<()> {
    let mut results = Vec::new();
    for asked in request.placeholder_message_resend_request.iter().take(MAX_ASKED) {
        let Some(key) = asked.message_key.as_option() else {
            continue;
        };
        let info = info(unit, account, key)?;
        results.push(PeerDataOperationResult {
            placeholder_message_resend_response: PlaceholderMessageResendResponse {
                web_message_info_bytes: Some(info.encode_to_vec()),
            }
            .into(),
            ..Default::default()
        });
    }
    let response = PeerDataOperationRequestResponseMessage {
        peer_data_operation_request_type: Some(PeerDataOperationRequestType::PLACEHOLDER_MESSAGE_RESEND),
        stanza_id: Some(id.to_owned()),
        peer_data_operation_result: results,
    };
    let message = wa::Message {
        protocol_message: wa::message::ProtocolMessage {
            r#type: Some(wa::message::protocol_message::Type::PEER_DATA_OPERATION_REQUEST_RESPONSE_MESSAGE),
            peer_data_operation_request_response_message: response.into(),
            ..Default::default()
        }
        .into(),
        ..Default::default()
    };
    send::peer_message(unit, account, &Address::new(&account.phone, device), &message)
}

/// What the phone knows of the message that `key` names.
fn info(unit: &Unit<'_>, account: &Account, key: &wa::MessageKey) -> Result<wa::WebMessageInfo> {
    let id = key.id.as_deref().unwrap_or_default();
    let person = |jid: Option<&str>| match jid.and_then(|jid| jid.parse::<Jid>().ok()) {
        Some(jid) => directory::resolve(unit, &jid),
        None => Ok(None),
    };
    let chat = person(key.remote_jid.as_deref())?;
    let from_me = key.from_me == Some(true);
    let sender = if from_me {
        Some(account.clone())
    } else {
        // In a group the key names its author apart from the chat.
        match person(key.participant.as_deref())? {
            Some(author) => Some(author),
            None => chat.clone(),
        }
    };
    let found = match &sender {
        Some(sender) => kept(unit, &account.phone, &sender.phone, id)?,
        None => None,
    };
    let mut key = key.clone();
    if let Some(chat) = chat {
        // Clients look the answer up by the person's number.
        key.remote_jid = Some(chat.jid(Family::Pn, 0).to_string());
    }
    let mut info = wa::WebMessageInfo {
        key: key.into(),
        push_name: sender.map(|sender| sender.name),
        ..Default::default()
    };
    if let Some((message, at)) = found {
        info.message_timestamp = Some(at.unsigned_abs());
        info.message = wa::Message::decode_from_slice(&message)
            .map_err(|error| crate::error::Error::codec("a kept message", error))?
            .into();
    }
    Ok(info)
}

/// A message and its time in Unix seconds: one that the phone shows, or one that it sent itself.
fn kept(unit: &Unit<'_>, phone: &str, sender: &str, id: &str) -> Result<Option<(Vec<u8>, i64)>> {
    // Of what was revoked nothing is left.
    let shown = inbox::find_by(unit, phone, sender, id)?.filter(|found| found.content.kind != "revoked");
    if let Some(shown) = shown {
        return Ok(Some((shown.message, shown.received_at / 1000)));
    }
    if sender != phone {
        return Ok(None);
    }
    let sent: Option<Vec<u8>> = unit
        .prepare("SELECT message FROM sent WHERE phone = ?1 AND id = ?2")?
        .query_row((phone, id), |row| row.get(0))
        .optional()?;
    Ok(sent.map(|message| (message, unit.now_secs())))
}
