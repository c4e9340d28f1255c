//! Marks what came in a chat as read: which messages that is, the records tell.

use shared::domain::question::{ChatRead, ReadChat};
use shared::ids::InstanceId;
use shared::telemetry::chain;
use tracing::warn;

use crate::connection::{AskError, Connection, Unread};
use crate::deps::Deps;

/// Reads chats of one instance.
pub struct Reader<'a> {
    deps: &'a Deps,
    instance: InstanceId,
    connection: &'a dyn Connection,
}

impl<'a> Reader<'a> {
    /// One who tells the senders through this connection.
    pub fn new(deps: &'a Deps, instance: InstanceId, connection: &'a dyn Connection) -> Self {
        Self {
            deps,
            instance,
            connection,
        }
    }

    /// Marks the messages of a chat.
    pub async fn read(&self, asked: &ReadChat) -> Result<ChatRead, AskError> {
        let ReadChat { chat, up_to } = asked;
        let (messages, instance) = (&self.deps.messages, self.instance);
        let unavailable = |error| AskError::Unavailable(Box::new(error));
        let mark = messages.read_mark(instance, chat).await.map_err(unavailable)?;
        let found = messages.unread(instance, chat, mark, *up_to).await;
        let found = found.map_err(unavailable)?;
        let Some(newest) = found.first().map(|record| record.id) else {
            return Ok(ChatRead { messages: 0 });
        };
        let unread: Vec<Unread> = found
            .into_iter()
            .filter_map(|record| {
                Some(Unread {
                    from: record.sender()?,
                    id: record.whatsapp_id?,
                })
            })
            .collect();
        if !unread.is_empty() {
            self.connection.mark_read(chat, &unread).await?;
        }
        // Without the mark they are told once more, which does no harm.
        let now = self.deps.clock.now();
        if let Err(error) = messages.mark_read(instance, chat, newest, now).await {
            warn!(%instance, error = %chain(&error), "how far a chat was read is not noted");
        }
        let messages = u32::try_from(unread.len()).unwrap_or(u32::MAX);
        Ok(ChatRead { messages })
    }
}
