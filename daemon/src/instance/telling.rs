//! What is told of a message that came in. Its content decides which event that is
//! ([`Kind::told_as`](shared::domain::content::Kind::told_as)); a vote is one of its own.

use shared::domain::content::{Content, Context, Edit, Excerpt, Kind};
use shared::domain::event::{ChatNames, Data, MessageReaction, MessageReceived, MessageRevoked, PollVote};
use shared::domain::message::Truncation;
use shared::domain::recipient::Recipient;
use shared::ids::{InstanceId, MediaId, MessageId};
use shared::storage::StorageError;
use shared::storage::messages::Messages;
use shared::telemetry::chain;
use tracing::warn;

use super::targets;
use crate::connection::InboundMessage;

/// The longest name of a sender that is told, in characters. The apps allow 25.
const MAX_PUSH_NAME: usize = 256;

/// What is told of a message that has the id `id` here, in the canonical chat `chat`, and whose file can be had as `file`.
pub async fn data(
    messages: &Messages,
    instance: InstanceId,
    id: MessageId,
    message: &InboundMessage,
    chat: &Recipient,
    file: Option<MediaId>,
) -> Result<Data, StorageError> {
    let (mut content, reason) = content(message);
    if let Some(media) = content.media_mut() {
        media.media.id = file;
    }
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
            Data::MessageEdited(told(found.message, message, excerpt, Context::default(), reason))
        }
        content => {
            let beside = context(messages, instance, message, chat).await?;
            Data::MessageReceived(told(id, message, Excerpt::Content(content), beside, reason))
        }
    })
}

/// As much of a message's content as an event carries, and why that is not all, or not all that stands beside it.
pub fn content(message: &InboundMessage) -> (Content, Option<Truncation>) {
    let mut content = message.content.clone();
    let is_cut = content.shorten() | message.context.clone().shorten();
    let reason = message.truncated.or(is_cut.then_some(Truncation::TooLarge));
    (content, reason)
}

/// As much of what stands beside the content as an event carries, with the quoted message's own id where that is known.
/// Half a read unit for a message that quotes another one of others or of another device, one more where that is not known.
async fn context(
    messages: &Messages,
    instance: InstanceId,
    message: &InboundMessage,
    chat: &Recipient,
) -> Result<Context, StorageError> {
    let mut context = message.context.clone();
    // The reason for what is left out is told with the content.
    let _ = context.shorten();
    // Nobody is told how often, and no reader need know of it.
    context.forwarding_score = None;
    let Some(quoted) = &mut context.quoted else {
        return Ok(context);
    };
    let id = &quoted.whatsapp_id;
    let found = if !quoted.from_me {
        let chat = message.quoted_in.as_ref().unwrap_or(chat);
        let found = messages.get_received(instance, chat, id).await;
        found.map(|found| found.map(|found| found.message))
    } else if let Some(ours) = MessageId::from_whatsapp(id) {
        Ok(Some(ours))
    } else {
        messages.get_by_whatsapp_id(instance, id).await
    };
    quoted.id = match found {
        Err(error) if error.nature().is_permanent() => {
            // An entry that cannot be read must not hold the message up for ever.
            warn!(instance.id = %instance, error = %chain(&error), "a quoted message is not looked up");
            None
        }
        found => found?,
    };
    Ok(context)
}

fn told(
    id: MessageId,
    message: &InboundMessage,
    content: Excerpt,
    beside: Context,
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
        context: beside,
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
