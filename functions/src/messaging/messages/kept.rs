//! The contents of messages that an instance keeps, as sends use them again.

use chrono::{DateTime, Utc};
use shared::domain::content::{Content, Said};
use shared::ids::MessageId;
use shared::storage::contents;

use crate::http::ApiError;
use crate::http::caller::KeyHolder;
use crate::messaging::MessagingState;

/// What is kept of a message of the caller's instance at `now`. Where the instance keeps contents for a shorter time by now than
/// when it was kept, that counts. Half a read unit for each 4 KiB; one and a half where there is none.
pub async fn find(
    state: &MessagingState,
    caller: &KeyHolder,
    id: MessageId,
    now: DateTime<Utc>,
) -> Result<Option<Said>, ApiError> {
    let instance = caller.grant.instance;
    let Some(kept) = state.contents.get_recent(instance, id, now).await? else {
        return Ok(None);
    };
    let owner = caller.recent_instance(&state.instances, now).await?;
    if !owner.is_some_and(|owner| owner.keeps_since(kept.at, now)) {
        return Ok(None);
    }
    let said = contents::open(&state.sealer, instance, id, &kept.sealed).await?;
    Ok(Some(said))
}

/// What a quote shows of a content: its text, or what stands for it as in the apps.
pub fn excerpt(content: &Content) -> Option<&str> {
    match content {
        Content::Text(text) => Some(&text.text),
        Content::Location(location) => location.location.name.as_deref(),
        Content::Contact(contact) => contact.contacts.first().map(|card| card.name.as_str()),
        Content::Poll(poll) => Some(&poll.poll.question),
        Content::Status(status) => excerpt(&status.status),
        Content::Edit(_) | Content::Reaction(_) | Content::Revoke(_) | Content::Unknown => None,
        Content::Image(media)
        | Content::Video(media)
        | Content::Audio(media)
        | Content::Voice(media)
        | Content::Document(media)
        | Content::Sticker(media) => media.text.as_deref().or(media.media.file_name.as_deref()),
    }
}
