//! What a suite can have the peer do.

use std::path::PathBuf;

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::{Value, json};
use wacore::download::MediaType;
use wacore_binary::Jid;
use waproto::whatsapp as wa;
use whatsapp_rust::{Client, UploadOptions};

/// A command, by its `do`. People and groups are JIDs.
#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub(super) enum Command {
    /// Sends a text; answers its `id`.
    Text { to: String, text: String },
    /// Sends the file at `path`; answers the message's `id`.
    Image {
        to: String,
        path: PathBuf,
        mime_type: String,
        caption: Option<String>,
    },
    /// Sends the file at `path`; answers the message's `id`.
    Document {
        to: String,
        path: PathBuf,
        mime_type: String,
        file_name: String,
    },
    /// Marks messages as read. In a group, `sender` wrote them.
    Read {
        chat: String,
        sender: Option<String>,
        ids: Vec<String>,
    },
}

impl Command {
    /// Does it; the answer is an object.
    pub(super) async fn execute(self, client: &Client) -> anyhow::Result<Value> {
        match self {
            Self::Text { to, text } => {
                let message = wa::Message {
                    conversation: Some(text),
                    ..Default::default()
                };
                send(client, &to, message).await
            }
            Self::Image {
                to,
                path,
                mime_type,
                caption,
            } => {
                let file = upload(client, path, MediaType::Image).await?;
                let image = wa::message::ImageMessage {
                    url: Some(file.url),
                    direct_path: Some(file.direct_path),
                    media_key: Some(file.media_key.to_vec()),
                    file_sha256: Some(file.file_sha256.to_vec()),
                    file_enc_sha256: Some(file.file_enc_sha256.to_vec()),
                    file_length: Some(file.file_length),
                    media_key_timestamp: Some(file.media_key_timestamp),
                    mimetype: Some(mime_type),
                    caption,
                    ..Default::default()
                };
                let message = wa::Message {
                    image_message: image.into(),
                    ..Default::default()
                };
                send(client, &to, message).await
            }
            Self::Document {
                to,
                path,
                mime_type,
                file_name,
            } => {
                let file = upload(client, path, MediaType::Document).await?;
                let document = wa::message::DocumentMessage {
                    url: Some(file.url),
                    direct_path: Some(file.direct_path),
                    media_key: Some(file.media_key.to_vec()),
                    file_sha256: Some(file.file_sha256.to_vec()),
                    file_enc_sha256: Some(file.file_enc_sha256.to_vec()),
                    file_length: Some(file.file_length),
                    media_key_timestamp: Some(file.media_key_timestamp),
                    mimetype: Some(mime_type),
                    file_name: Some(file_name),
                    ..Default::default()
                };
                let message = wa::Message {
                    document_message: document.into(),
                    ..Default::default()
                };
                send(client, &to, message).await
            }
            Self::Read { chat, sender, ids } => {
                let sender = sender.as_deref().map(jid).transpose()?;
                let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
                client.mark_as_read(&jid(&chat)?, sender.as_ref(), &ids).await?;
                Ok(json!({}))
            }
        }
    }
}

async fn send(client: &Client, to: &str, message: wa::Message) -> anyhow::Result<Value> {
    let sent = client.send_message(&jid(to)?, message).await?;
    Ok(json!({"id": sent.message_id}))
}

async fn upload(
    client: &Client,
    path: PathBuf,
    kind: MediaType,
) -> anyhow::Result<whatsapp_rust::upload::UploadResponse> {
    let file = tokio::fs::read(&path)
        .await
        .with_context(|| format!("cannot read {}", path.display()))?;
    client.upload(file, kind, UploadOptions::new()).await
}

fn jid(text: &str) -> anyhow::Result<Jid> {
    text.parse().with_context(|| format!("`{text}` is no JID"))
}
