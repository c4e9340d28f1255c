//! The kinds that refer to another message: votes, reactions, edits, revokes, pins.

use buffa::Message as _;
use wacore::poll::compute_option_hash;
use wacore::proto_helpers::build_reaction_message;
use wacore::secret_enc_addon::ModificationType;
use waproto::whatsapp as wa;
use waproto::whatsapp::message::event_response_message::EventResponseType;
use waproto::whatsapp::message::protocol_message::Type;
use waproto::whatsapp::message::secret_encrypted_message::SecretEncType;

use super::context::{Addressee, Letter};
use super::request::{Edit, EventResponse, Pin, PollVote, Reaction, Revoke};
use super::{MAX_TEXT, length};
use crate::directory;
use crate::error::{Error, Result};
use crate::groups;
use crate::phone::chats;
use crate::phone::content::unwrapped;
use crate::phone::inbox::{self, Found};
use crate::phone::room::Room;
use crate::phone::secrets;
use crate::store::Unit;

/// The longest reaction in bytes: an emoji with all its modifiers.
const MAX_EMOJI: usize = 32;

/// How long a pin may last, in seconds: a day, a week, thirty days.
const PINS: [u32; 3] = [86_400, 604_800, 2_592_000];

/// The message that `messageId` names.
fn target(unit: &Unit<'_>, letter: &Letter<'_>, id: &str) -> Result<Found> {
    let found = inbox::find_in(unit, &letter.account.phone, &letter.chat(), id)?;
    found.ok_or_else(|| Error::NotFound("`messageId` names no message of this chat".into()))
}

/// The key by which the recipients find the message. In a group it names the author, if that is somebody else.
fn key(unit: &Unit<'_>, letter: &Letter<'_>, target: &Found) -> Result<wa::MessageKey> {
    let own = target.sender == letter.account.phone;
    let participant = match &letter.to {
        Addressee::Room(Room::Group(group)) if !own => {
            let author = directory::require(unit, &target.sender)?;
            Some(group.name(&author).to_string())
        }
        _ => None,
    };
    Ok(wa::MessageKey {
        remote_jid: Some(letter.jid().to_string()),
        from_me: Some(own),
        id: Some(target.id.clone()),
        participant,
    })
}

pub(super) fn vote(unit: &Unit<'_>, letter: &Letter<'_>, body: &PollVote) -> Result<wa::Message> {
    let target = target(unit, letter, &body.message_id)?;
    let poll = target.decoded()?;
    let Some(most) = chats::poll(&poll).map(|poll| poll.selectable_options_count.unwrap_or_default()) else {
        return Err(Error::Invalid("`messageId` names no poll".into()));
    };
    let options = chats::poll_options(&poll);
    for (at, option) in body.options.iter().enumerate() {
        if !options.contains(option) || body.options[..at].contains(option) {
            return Err(Error::Invalid(
                "`options` are options of the poll, none twice".into(),
            ));
        }
    }
    if most != 0 && usize::try_from(most).is_ok_and(|most| body.options.len() > most) {
        return Err(Error::Invalid(format!(
            "`options`: the poll takes at most {most}"
        )));
    }
    let vote = wa::message::PollVoteMessage {
        selected_options: body
            .options
            .iter()
            .map(|name| compute_option_hash(name).to_vec())
            .collect(),
    };
    let sealed = letter.seal(unit, &target, ModificationType::PollVote, &vote.encode_to_vec())?;
    Ok(wa::Message {
        poll_update_message: wa::message::PollUpdateMessage {
            poll_creation_message_key: key(unit, letter, &target)?.into(),
            vote: wa::message::PollEncValue {
                enc_payload: Some(sealed.payload),
                enc_iv: Some(sealed.iv),
            }
            .into(),
            sender_timestamp_ms: Some(unit.now_ms()),
            ..Default::default()
        }
        .into(),
        ..Default::default()
    })
}

pub(super) fn event_response(
    unit: &Unit<'_>,
    letter: &Letter<'_>,
    body: &EventResponse,
) -> Result<wa::Message> {
    let response = match body.response.as_str() {
        "going" => EventResponseType::GOING,
        "not-going" => EventResponseType::NOT_GOING,
        "maybe" => EventResponseType::MAYBE,
        _ => {
            return Err(Error::Invalid(
                "`response` is one of going, not-going, maybe".into(),
            ));
        }
    };
    let target = target(unit, letter, &body.message_id)?;
    if target.content.kind != "event" {
        return Err(Error::Invalid("`messageId` names no event".into()));
    }
    let answer = wa::message::EventResponseMessage {
        response: Some(response),
        timestamp_ms: Some(unit.now_ms()),
        ..Default::default()
    };
    let sealed = letter.seal(
        unit,
        &target,
        ModificationType::EventResponse,
        &answer.encode_to_vec(),
    )?;
    Ok(wa::Message {
        enc_event_response_message: wa::message::EncEventResponseMessage {
            event_creation_message_key: key(unit, letter, &target)?.into(),
            enc_payload: Some(sealed.payload),
            enc_iv: Some(sealed.iv),
        }
        .into(),
        ..Default::default()
    })
}

pub(super) fn reaction(unit: &Unit<'_>, letter: &Letter<'_>, body: &Reaction) -> Result<wa::Message> {
    if body.emoji.len() > MAX_EMOJI {
        return Err(Error::Invalid(format!("`emoji` has at most {MAX_EMOJI} bytes")));
    }
    let target = target(unit, letter, &body.message_id)?;
    Ok(build_reaction_message(
        key(unit, letter, &target)?,
        body.emoji.as_str(),
        unit.now_ms(),
    ))
}

pub(super) fn edit(unit: &Unit<'_>, letter: &Letter<'_>, body: &Edit) -> Result<wa::Message> {
    length("text", &body.text, 1, MAX_TEXT)?;
    let target = target(unit, letter, &body.message_id)?;
    if target.sender != letter.account.phone {
        return Err(Error::Conflict("only one's own messages can be edited".into()));
    }
    let edited = with_text(&target, &body.text)?;
    let message = wa::Message {
        protocol_message: wa::message::ProtocolMessage {
            r#type: Some(Type::MESSAGE_EDIT),
            key: key(unit, letter, &target)?.into(),
            edited_message: edited.into(),
            timestamp_ms: Some(unit.now_ms()),
            ..Default::default()
        }
        .into(),
        ..Default::default()
    };
    if !body.sealed {
        return Ok(message);
    }
    let sealed = letter.seal(
        unit,
        &target,
        ModificationType::MessageEdit,
        &message.encode_to_vec(),
    )?;
    Ok(wa::Message {
        secret_encrypted_message: wa::message::SecretEncryptedMessage {
            target_message_key: key(unit, letter, &target)?.into(),
            enc_payload: Some(sealed.payload),
            enc_iv: Some(sealed.iv),
            secret_enc_type: Some(SecretEncType::MESSAGE_EDIT),
            ..Default::default()
        }
        .into(),
        ..Default::default()
    })
}

/// The message with another text or caption.
fn with_text(target: &Found, text: &str) -> Result<wa::Message> {
    let mut message = unwrapped(&target.decoded()?).clone();
    message.message_context_info = buffa::MessageField::none();
    let caption = Some(text.to_owned());
    if message.conversation.is_some() {
        message.conversation = caption;
    } else if let Some(part) = message.extended_text_message.as_option_mut() {
        part.text = caption;
    } else if let Some(part) = message.image_message.as_option_mut() {
        part.caption = caption;
    } else if let Some(part) = message.video_message.as_option_mut() {
        part.caption = caption;
    } else if let Some(part) = message.document_message.as_option_mut() {
        part.caption = caption;
    } else {
        return Err(Error::Conflict(
            "`messageId`: only texts and captions can be edited".into(),
        ));
    }
    Ok(message)
}

pub(super) fn revoke(unit: &Unit<'_>, letter: &Letter<'_>, body: &Revoke) -> Result<wa::Message> {
    let target = target(unit, letter, &body.message_id)?;
    if target.sender != letter.account.phone {
        match &letter.to {
            Addressee::Person(_) | Addressee::Room(Room::Status) => {
                return Err(Error::Conflict(
                    "outside of groups only one's own messages can be revoked".into(),
                ));
            }
            Addressee::Room(Room::Group(group)) => {
                groups::enter_as_admin(unit, &group.jid(), letter.account)?;
            }
        }
    }
    Ok(wa::Message {
        protocol_message: wa::message::ProtocolMessage {
            r#type: Some(Type::REVOKE),
            key: key(unit, letter, &target)?.into(),
            ..Default::default()
        }
        .into(),
        ..Default::default()
    })
}

pub(super) fn pin(unit: &Unit<'_>, letter: &Letter<'_>, body: &Pin) -> Result<wa::Message> {
    use wa::message::pin_in_chat_message::Type as PinType;
    let target = target(unit, letter, &body.message_id)?;
    let seconds = body.seconds.unwrap_or(PINS[1]);
    if !PINS.contains(&seconds) {
        return Err(Error::Invalid(format!("`seconds` is one of {PINS:?}")));
    }
    let pinned = body.pinned.unwrap_or(true);
    let duration = pinned.then(|| wa::MessageContextInfo {
        message_add_on_duration_in_secs: Some(seconds),
        ..Default::default()
    });
    Ok(wa::Message {
        pin_in_chat_message: wa::message::PinInChatMessage {
            key: key(unit, letter, &target)?.into(),
            r#type: Some(if pinned {
                PinType::PIN_FOR_ALL
            } else {
                PinType::UNPIN_FOR_ALL
            }),
            sender_timestamp_ms: Some(unit.now_ms()),
        }
        .into(),
        message_context_info: duration.map(buffa::MessageField::some).unwrap_or_default(),
        ..Default::default()
    })
}

impl Letter<'_> {
    fn seal(
        &self,
        unit: &Unit<'_>,
        target: &Found,
        kind: ModificationType,
        plain: &[u8],
    ) -> Result<secrets::Sealed> {
        secrets::seal(unit, (target, self.account, self.family), kind, plain)
    }
}
