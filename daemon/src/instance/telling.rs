//! What is told of a message that came in. Its content decides which event that is
//! ([`Kind::told_as`](shared::domain::content::Kind::told_as)); a vote is one of its own.

use shared::domain::content::{Content, Edit, Excerpt, Kind};
use shared::domain::event::{ChatNames, Data, MessageReaction, MessageReceived, MessageRevoked, PollVote};
use shared::domain::message::Truncation;
use shared::domain::recipient::Recipient;
use shared::ids::{InstanceId, MessageId};
use shared::storage::StorageError;
use shared::storage::messages::Messages;

use super::targets;
use crate::connection::InboundMessage;

/// The longest name of a sender that is told, in characters. The apps allow 25.
const MAX_PUSH_NAME: usize = 256;

/// What is told of a message that has the id `id` here, in the canonical chat `chat`.
pub async fn data(
    messages: &Messages,
    instance: InstanceId,
    id: MessageId,
    message: &InboundMessage,
    chat: &Recipient,
) -> Result<Data, StorageError> {
    let (content, reason) = content(message);
    let about = targets::Finder {
        messages,
        instance,
        chat,
    };
    if let Some(vote) = &message.vote {
        return Ok(Data::PollVote(Box::new(PollVote {
            message_id: about.find(&vote.poll).await?.message,
            from: message.from.clone(),
            options: Some(vote.options.clone()),
            tally: Some(vote.tally.clone()),
        })));
    }
    Ok(match content {
        Content::Reaction(reaction) => Data::MessageReaction(Box::new(MessageReaction {
            message_id: about.find(&reaction.target).await?.message,
            from: message.from.clone(),
            emoji: Some(reaction.emoji),
        })),
        Content::Revoke(revoke) => Data::MessageRevoked(Box::new(MessageRevoked {
            message_id: about.find(&revoke.target).await?.message,
            chat: ChatNames::of(&message.chat, &message.with),
            from: message.from.clone(),
        })),
        Content::Edit(Edit { target, text }) => {
            let found = about.find_with_kind(&target).await?;
            let excerpt = match found.kind {
                Kind::Text | Kind::Unknown => Excerpt::Content(Content::text(text)),
                kind => Excerpt::Reworded { kind, text },
            };
            Data::MessageEdited(told(found.message, message, excerpt, reason))
        }
        content => Data::MessageReceived(told(id, message, Excerpt::Content(content), reason)),
    })
}

/// As much of a message's content as an event carries, and why that is not all.
pub fn content(message: &InboundMessage) -> (Content, Option<Truncation>) {
    let mut content = message.content.clone();
    let is_cut = content.shorten();
    let reason = message.truncated.or(is_cut.then_some(Truncation::TooLarge));
    (content, reason)
}

fn told(
    id: MessageId,
    message: &InboundMessage,
    content: Excerpt,
    reason: Option<Truncation>,
) -> Box<MessageReceived> {
    let name = message.push_name.as_deref();
    Box::new(MessageReceived {
        id,
        chat: message.chat.clone(),
        from: message.from.clone(),
        from_me: message.from_me,
        push_name: name.map(|name| cut(name, MAX_PUSH_NAME).unwrap_or(name).to_owned()),
        content,
        timestamp: message.at,
        received_at: Some(message.received_at),
        truncated: reason.is_some(),
        truncation_reason: reason,
    })
}

/// The first `most` characters of a text; `None` where it has no more.
fn cut(text: &str, most: usize) -> Option<&str> {
    let (end, _) = text.char_indices().nth(most)?;
    Some(&text[..end])
}
