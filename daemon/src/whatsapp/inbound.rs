//! Incoming messages on their way to the sink, with WhatsApp's acknowledgement held back.

use std::sync::Arc;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;
use tracing::warn;
use wacore::types::events::InboundMessage as LibraryMessage;
use whatsapp_rust::{Client, InboundDurabilityHook};

use super::{content, people};
use crate::connection::{InboundMessage, InboundSink};

/// Commits what the library has decrypted and buffered.
pub struct Inbound {
    sink: Arc<dyn InboundSink>,
    /// Cancelled when a commit failed: the server sends an unacknowledged message again
    /// on the next login only, so the session ends to let one come soon.
    failed: CancellationToken,
}

impl Inbound {
    pub fn new(sink: Arc<dyn InboundSink>, failed: CancellationToken) -> Self {
        Self { sink, failed }
    }
}

#[async_trait]
impl InboundDurabilityHook for Inbound {
    async fn on_messages(&self, _client: Arc<Client>, batch: &[LibraryMessage]) -> anyhow::Result<()> {
        let messages: Vec<InboundMessage> = batch.iter().filter_map(translate).collect();
        if messages.is_empty() {
            return Ok(());
        }
        if let Err(error) = self.sink.commit(&messages).await {
            warn!(%error, count = messages.len(), "incoming messages were not committed; they will come again");
            self.failed.cancel();
            return Err(error.into());
        }
        Ok(())
    }
}

/// A message in our types; `None` for what no one is told of.
fn translate(message: &LibraryMessage) -> Option<InboundMessage> {
    let info = &message.info;
    let source = &info.source;
    let (kind, text) = content::read(&message.message)?;
    Some(InboundMessage {
        whatsapp_id: info.id.clone(),
        chat: people::chat(&source.chat)?,
        sender: source.sender.to_non_ad().to_string(),
        from: people::person(
            [Some(&source.sender), source.sender_alt.as_ref()]
                .into_iter()
                .flatten(),
        ),
        push_name: Some(info.push_name.clone()).filter(|name| !name.is_empty()),
        from_me: source.is_from_me,
        kind,
        text,
        at: info.timestamp,
    })
}
