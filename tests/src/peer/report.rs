//! What the peer tells of its events.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use wacore::download::Downloadable;
use wacore::types::events::Event;
use waproto::whatsapp as wa;
use waproto::whatsapp::message::ProtocolMessage;
use waproto::whatsapp::message::protocol_message::Type;
use whatsapp_rust::Client;

/// The lines for an event; none for what no suite asks about.
pub(super) async fn lines(event: &Event, client: &Client) -> Vec<Value> {
    match event {
        Event::PairingQrCode(qr) => vec![json!({"event": "qr", "code": qr.code})],
        Event::Connected(_) => vec![json!({"event": "connected"})],
        Event::LoggedOut(out) => vec![json!({"event": "logged-out", "reason": format!("{:?}", out.reason)})],
        Event::ServerAck(ack) => vec![json!({
            "event": "ack", "class": ack.class, "id": ack.id, "error": ack.error,
        })],
        Event::Receipt(receipt) => vec![json!({
            "event": "receipt",
            "type": format!("{:?}", receipt.r#type),
            "ids": receipt.message_ids,
            "chat": receipt.source.chat.to_string(),
            "sender": receipt.source.sender.to_string(),
        })],
        Event::UndecryptableMessage(lost) => vec![json!({"event": "undecryptable", "id": lost.info.id})],
        Event::Messages(batch) => {
            let mut lines = Vec::new();
            for one in batch.messages.iter() {
                let mut line = content(&one.message, client).await;
                line["event"] = json!("message");
                line["id"] = json!(one.info.id);
                line["chat"] = json!(one.info.source.chat.to_string());
                line["sender"] = json!(one.info.source.sender.to_string());
                line["pushName"] = json!(one.info.push_name);
                lines.push(line);
            }
            lines
        }
        _ => Vec::new(),
    }
}

async fn content(message: &wa::Message, client: &Client) -> Value {
    if let Some(text) = text(message) {
        json!({"kind": "text", "text": text})
    } else if let Some(image) = message.image_message.as_option() {
        let mut line = json!({"kind": "image", "caption": image.caption, "mimeType": image.mimetype});
        file(&mut line, image, client).await;
        line
    } else if let Some(document) = message.document_message.as_option() {
        let mut line =
            json!({"kind": "document", "fileName": document.file_name, "mimeType": document.mimetype});
        file(&mut line, document, client).await;
        line
    } else if let Some(reaction) = message.reaction_message.as_option() {
        let of = reaction.key.as_option().and_then(|key| key.id.clone());
        json!({"kind": "reaction", "of": of, "text": reaction.text})
    } else if let Some(change) = message.protocol_message.as_option() {
        protocol(change)
    } else {
        json!({"kind": "other"})
    }
}

/// What changes a message that was sent before.
fn protocol(change: &ProtocolMessage) -> Value {
    let of = change.key.as_option().and_then(|key| key.id.clone());
    match change.r#type {
        Some(Type::REVOKE) => json!({"kind": "revoke", "of": of}),
        Some(Type::MESSAGE_EDIT) => {
            let text = change.edited_message.as_option().and_then(text);
            json!({"kind": "edit", "of": of, "text": text})
        }
        _ => json!({"kind": "other"}),
    }
}

fn text(message: &wa::Message) -> Option<&str> {
    let text = message.conversation.as_deref();
    text.or_else(|| message.extended_text_message.as_option()?.text.as_deref())
}

/// Fetches the file and adds the hash of what was decrypted, or why it cannot be had.
async fn file(line: &mut Value, media: &dyn Downloadable, client: &Client) {
    match client.download(media).await {
        Ok(bytes) => line["sha256"] = json!(hex::encode(Sha256::digest(bytes))),
        Err(error) => line["error"] = json!(format!("{error:#}")),
    }
}
