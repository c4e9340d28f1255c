//! The option `replyTo`: the message that another one answers.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use shared::domain::content::{MAX_QUOTED, Quoted, Said};
use shared::domain::message::{Direction, MessageRecord};
use shared::domain::person::{Acquaintance, Person};
use shared::domain::recipient::Recipient;
use shared::ids::MessageId;
use utoipa::ToSchema;
use utoipa::openapi::Object;

use crate::http::caller::KeyHolder;
use crate::http::{ApiError, Fields};
use crate::messaging::MessagingState;
use crate::messaging::messages::{about, kept, legible};

/// A message to answer, as a request names it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ReplyTo, example = json!({"id": "msg_01JD0000000000000000000000", "text": "Is the order on its way?"}))]
pub struct GivenReply {
    #[schema(value_type = MessageId)]
    id: String,
    #[schema(schema_with = text_schema)]
    text: Option<String>,
}

/// A message to answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Its id.
    pub id: MessageId,
    /// What the quote shows of its text.
    pub text: Option<String>,
}

fn text_schema() -> Object {
    legible::nullable(MAX_QUOTED)
        .description(Some(
            "What the quote shows. Without it the quote shows the message's own text where the instance keeps that (`contentDays`). \
             Else a text is quoted as `…`: the event of a message that came in has its text",
        ))
        .examples(["Is the order on its way?"])
        .build()
}

impl GivenReply {
    /// Checks its form; faults go to `fields`.
    pub fn check(self, fields: &mut Fields) -> Option<Reply> {
        if let Some(text) = &self.text {
            legible::require(fields, "replyTo.text", text, MAX_QUOTED);
        }
        let id = fields.parse("replyTo.id", &self.id)?;
        Some(Reply { id, text: self.text })
    }
}

impl Reply {
    /// The message as a message to `to` quotes it; `None` with a fault in `fields` where that cannot be, `CONFLICT` while the message
    /// is put off. One read unit, and what [`kept::find`] takes where no text is given.
    pub async fn find(
        &self,
        state: &MessagingState,
        caller: &KeyHolder,
        to: &Recipient,
        now: DateTime<Utc>,
        fields: &mut Fields,
    ) -> Result<Option<Quoted>, ApiError> {
        let instance = caller.grant.instance;
        let kept = async {
            match &self.text {
                Some(_) => Ok(None),
                None => Box::pin(kept::find(state, caller, self.id, now)).await,
            }
        };
        let (record, to, kept) = tokio::try_join!(
            async { Ok(state.messages.get(instance, self.id).await?) },
            async { Ok(state.people.get(instance, to, now).await?) },
            kept,
        )?;
        let fault = match record {
            None => "names no message of this instance",
            Some(record) if !is_in(&record, &to) => "names a message of another chat",
            Some(record) => match whatsapp_id(&record) {
                Some(whatsapp_id) => {
                    return match about::refuse_put_off(&record) {
                        Some(refusal) => Err(refusal),
                        None => Ok(Some(self.quoted(record, whatsapp_id, kept))),
                    };
                }
                None => {
                    "names a message that cannot be quoted, since WhatsApp's id of it is too long to be kept"
                }
            },
        };
        fields.fault("replyTo.id", fault);
        Ok(None)
    }

    fn quoted(&self, record: MessageRecord, whatsapp_id: String, kept: Option<Said>) -> Quoted {
        let kept = kept.filter(|said| said.content.media().is_none_or(|media| !media.view_once));
        let own = kept.as_ref().and_then(|said| kept::excerpt(&said.content));
        let own = own.map(|text| text.chars().take(MAX_QUOTED).collect());
        Quoted {
            id: Some(self.id),
            whatsapp_id,
            from_me: record.direction == Direction::Outgoing,
            from: match record.direction {
                Direction::Outgoing => Person::default(),
                Direction::Incoming => record.person,
            },
            kind: record.kind,
            text: self.text.clone().or(own),
        }
    }
}

/// Whether a message is of this chat, however that is spelt.
fn is_in(record: &MessageRecord, chat: &Acquaintance) -> bool {
    if record.chat == chat.chat {
        return true;
    }
    let is_shared = record.chat.is_shared() || chat.chat.is_shared();
    !is_shared && record.person.is_same_as(&chat.person) == Some(true)
}

/// WhatsApp's id of a message.
fn whatsapp_id(record: &MessageRecord) -> Option<String> {
    match (&record.whatsapp_id, record.received_at) {
        (Some(id), _) => Some(id.clone()),
        (None, None) => Some(record.id.to_whatsapp()),
        // It came in, and its id was too long for its record.
        (None, Some(_)) => None,
    }
}
