//! Messages on their way to the wire.

use std::time::Duration;

use shared::domain::content::{Content, Said};
use shared::domain::message::FailureCode;
use shared::domain::recipient::Recipient;
use shared::ids::MessageId;
use waproto::whatsapp as wa;
use whatsapp_rust::{Freshness, SendOptions};

use super::WhatsAppSession;
use crate::connection::{Audience, SendError};
use crate::whatsapp::runtime::SessionRuntime;
use crate::whatsapp::{content, failure, people, readable, statuses};

/// How long it may take to find out what a message names of its chat.
const WRITTEN_DEADLINE: Duration = Duration::from_secs(15);

/// How long finding a recipient's devices and their keys may take, before the message is on the wire.
const KEYS_DEADLINE: Duration = Duration::from_secs(10);

/// How long writing a message to the wire may take, with the look-up of a group's devices and their keys. From here on a message
/// may be out where that ends late.
const SEND_DEADLINE: Duration = Duration::from_secs(20);

impl WhatsAppSession {
    /// A message as it goes out, with what it names of the chat. Nothing is on the wire yet.
    pub(super) async fn written(
        &self,
        message: MessageId,
        to: &Recipient,
        said: &Said,
    ) -> Result<wa::Message, SendError> {
        let writing = tokio::time::timeout(WRITTEN_DEADLINE, Box::pin(self.composed(message, to, said)));
        let in_time = async {
            let late = |late| SendError::Unavailable(Box::new(late));
            writing.await.map_err(late)?
        };
        self.unless_over(SendError::NotConnected, in_time).await
    }

    async fn composed(
        &self,
        message: MessageId,
        to: &Recipient,
        said: &Said,
    ) -> Result<wa::Message, SendError> {
        let content = &said.content;
        if let Content::Poll(poll) = content {
            let keeping = self.polls.keep_sent(message, &poll.poll);
            keeping.await.map_err(|error| SendError::State(Box::new(error)))?;
        }
        let Some(mut written) = content::write(content, self.secrets.of(message)) else {
            return Err(SendError::Refused(FailureCode::Unprocessable));
        };
        if let Some(target) = content.target() {
            let addressed = self
                .addressed(message, to, content)
                .await
                .map_err(|error| match error {
                    // A question's: the message itself is not on the wire.
                    SendError::Timeout => SendError::Unavailable("the group was not told of in time".into()),
                    other => other,
                })?;
            content::address(&mut written, &addressed, target);
        }
        if !self.beside(to, &said.context).await?.put(&mut written) {
            return Err(SendError::Refused(FailureCode::Unprocessable));
        }
        Ok(written)
    }

    /// Writes a message to the wire.
    pub(super) async fn send_written(
        &self,
        message: MessageId,
        to: &Recipient,
        written: wa::Message,
    ) -> Result<(), SendError> {
        let mut options = SendOptions::default().with_message_id(message.to_whatsapp());
        let chat = people::jid(to);
        if people::is_own(&self.client, &chat) {
            self.own_chat.note(message.to_whatsapp());
        } else if matches!(to, Recipient::Phone(_) | Recipient::Lid(_)) {
            options = options.with_device_freshness(self.readable(to).await?);
        }
        self.following.meet(&self.client, &chat);
        let sending = Box::pin(self.client.send_message_with_options(chat, written, options));
        self.on_wire(async { sending.await.map_err(|error| failure::of_send(error, to)) })
            .await?;
        self.follow();
        Ok(())
    }

    /// Finds out whether anybody can read a message to this person, and by which list of devices. Nothing is on the wire.
    async fn readable(&self, to: &Recipient) -> Result<Freshness, SendError> {
        let looking = tokio::time::timeout(KEYS_DEADLINE, Box::pin(readable::require(&self.client, to)));
        let in_time = async {
            let late = |late| SendError::Unavailable(Box::new(late));
            looking.await.map_err(late)?
        };
        self.unless_over(SendError::NotConnected, in_time).await
    }

    /// Writes a status to the wire, for those who see it.
    pub(super) async fn show_status(
        &self,
        message: MessageId,
        written: wa::Message,
        audience: &Audience,
    ) -> Result<(), SendError> {
        let showing = statuses::show(&self.client, message.to_whatsapp(), written, audience);
        self.on_wire(Box::pin(showing)).await
    }

    /// What comes of writing to the wire. Where it does not end by itself, it may be out. Nothing is begun while the library waits for
    /// the session's state: it may hold what writing needs.
    async fn on_wire<T>(&self, writing: impl Future<Output = Result<T, SendError>>) -> Result<T, SendError> {
        if self.store.patience().is_waiting() {
            return Err(SendError::State("the session's state cannot be read now".into()));
        }
        let writing = tokio::time::timeout(SEND_DEADLINE, writing);
        let in_time = async { writing.await.unwrap_or(Err(SendError::Timeout)) };
        let ended = SendError::Interrupted { may_be_out: true };
        self.unless_over(ended, in_time).await
    }

    /// Follows the people with whom the account writes, while it is available.
    fn follow(&self) {
        if self.presence.is_available() {
            let runtime = SessionRuntime::new(self.tasks.clone(), self.stop.clone());
            self.following.follow(&self.client, &runtime);
        }
    }
}
