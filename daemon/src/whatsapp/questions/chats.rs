//! Chats: what the account does in one, how it stands, and whether others see that the account is there.

use shared::domain::chats::Presence as Wanted;
use shared::domain::question::{ChangeChat, ChatRead, Done, ReadChat, SetPresence, ShowActivity};

use super::{Put, Socket};
use crate::connection::AskError;
use crate::whatsapp::{chats, people};

impl Put for ShowActivity {
    async fn put(&self, socket: Socket<'_>) -> Result<Done, AskError> {
        let (client, chat) = (socket.client, people::jid(&self.chat));
        let presence = socket.presence;
        presence
            .show(client, socket.runtime, &chat, self.activity)
            .await?;
        socket.following.meet(client, &chat);
        if presence.is_available() {
            socket.following.follow(client, socket.runtime);
        }
        Ok(Done {})
    }
}

impl Put for SetPresence {
    async fn put(&self, socket: Socket<'_>) -> Result<Done, AskError> {
        let is_available = self.presence == Wanted::Available;
        socket.presence.set(socket.client, is_available).await?;
        if is_available {
            socket.following.follow(socket.client, socket.runtime);
        } else {
            socket.following.forget();
        }
        Ok(Done {})
    }
}

impl Put for ChangeChat {
    async fn put(&self, socket: Socket<'_>) -> Result<Done, AskError> {
        chats::change(socket.client, socket.clock, &self.chat, &self.change).await?;
        Ok(Done {})
    }
}

/// Which messages that is, the daemon's records tell: it is answered beside them (`shard/reading.rs`).
impl Put for ReadChat {
    async fn put(&self, _: Socket<'_>) -> Result<ChatRead, AskError> {
        Err(AskError::Unavailable(
            "a session keeps no records of messages".into(),
        ))
    }
}
