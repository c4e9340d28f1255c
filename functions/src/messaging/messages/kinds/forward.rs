//! `POST /api/messages/forward`: what another message says, once more.
//!
//! It is no kind of its own: what goes out is a message of the other one's kind, marked as forwarded. Its content is that which
//! the instance keeps (`contentDays`). A file is not uploaded again: the new message leads to where it is at WhatsApp already, as
//! with the apps, and the daemon has the phone upload it again where WhatsApp has lost it.

use serde::Deserialize;
use shared::domain::content::{Content, Context, Kind, Said, Source};
use shared::domain::message::MessageRecord;
use shared::ids::MessageId;
use utoipa::ToSchema;

use crate::endpoint::Endpoint;
use crate::http::{ApiError, Code, Fields};
use crate::messaging::MessagingState;
use crate::messaging::messages::about::a;
use crate::messaging::messages::accept::Accepted;
use crate::messaging::messages::kept;
use crate::messaging::messages::sending::{self, Asked, Sending};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = ForwardRequest, example = json!({"messageId": "msg_01JD0000000000000000000000"}))]
pub struct Request {
    /// The message whose content is sent again: one that came in, or one that was sent.
    #[schema(value_type = MessageId)]
    message_id: String,
}

pub fn endpoint() -> Endpoint<MessagingState> {
    sending::endpoint(
        "/api/messages/forward",
        "forwardMessage",
        "Forwards a message",
        handler,
    )
    .details(
        "Where the instance keeps the content of its messages (`contentDays`), and has kept that of this one. The new message is of \
         the other one's kind, and is shown as forwarded; a poll is a new poll, without its votes. Reactions, edits and revokes \
         cannot be forwarded, nor can what is shown once.",
    )
    .errors(&[Code::ContentNotKept])
}

pub async fn handler(sending: Sending<Request>) -> Result<Accepted, ApiError> {
    sending.accept_found(find).await
}

/// The content of the message, as it goes out again.
async fn find(asked: &Asked<'_>, request: Request, fields: &mut Fields) -> Result<Option<Said>, ApiError> {
    let Some(id) = fields.parse::<MessageId>("messageId", &request.message_id) else {
        return Ok(None);
    };
    let (state, instance) = (asked.state, asked.caller.grant.instance);
    let (record, kept) = tokio::try_join!(
        async { Ok(state.messages.get(instance, id).await?) },
        Box::pin(kept::find(state, asked.caller, id, asked.now)),
    )?;
    if let Some(fault) = refuse(record.as_ref(), kept.as_ref()) {
        fields.fault("messageId", fault);
        return Ok(None);
    }
    kept.filter(has_its_file)
        .map(forwarded)
        .ok_or_else(not_kept)
        .map(Some)
}

/// Whether the file that a content shows can be had, if it shows one. Of a message that another daemon has sent it may not be known
/// where at WhatsApp its file is.
fn has_its_file(said: &Said) -> bool {
    let media = said.content.media();
    media.is_none_or(|media| matches!(media.source, Some(Source::Remote(_) | Source::Inline(_))))
}

/// Why this message can never be forwarded.
fn refuse(record: Option<&MessageRecord>, kept: Option<&Said>) -> Option<String> {
    let Some(record) = record else {
        return Some("names no message of this instance".to_owned());
    };
    let kind = record.kind;
    if kind.is_about_another() || kind == Kind::Unknown {
        return Some(format!(
            "names {}, which cannot be forwarded",
            a(kind).to_lowercase()
        ));
    }
    let media = kept.and_then(|said| said.content.media());
    if media.is_some_and(|media| media.view_once) {
        return Some("names a message that is shown once, which cannot be forwarded".to_owned());
    }
    None
}

/// The same, marked as forwarded once more, without what stood beside it. Of a status it is what that shows.
fn forwarded(said: Said) -> Said {
    let Said { mut content, context } = said;
    if let Content::Status(status) = content {
        content = *status.status;
    }
    if let Content::Location(location) = &mut content {
        // Where somebody is now only they can tell.
        location.location.live = false;
    }
    Said {
        content,
        context: Context {
            forwarded: true,
            forwarding_score: Some(context.forwarding_score.unwrap_or_default().saturating_add(1)),
            ..Context::default()
        },
    }
}

fn not_kept() -> ApiError {
    ApiError::new(
        Code::ContentNotKept,
        "The message's content is not kept, or not any more: the instance's `contentDays` says for how long it is",
    )
}
