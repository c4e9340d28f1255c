//! Messages that change another message: how they say so, and who may send them.

use buffa::Message as _;
use tracing::debug;
use wacore::poll::compute_option_hash;
use wacore::secret_enc_addon::ModificationType;
use wacore_binary::{Jid, JidExt as _};
use waproto::whatsapp as wa;
use waproto::whatsapp::message::protocol_message::Type as Protocol;
use waproto::whatsapp::message::secret_encrypted_message::SecretEncType;

use super::poll_options;
use crate::error::{Error, Result};
use crate::groups;
use crate::phone::content::{Content, Reaction, unwrapped};
use crate::phone::inbox::{self, Found, Said};
use crate::phone::secrets;
use crate::store::Unit;

/// What a message changes about another.
pub(super) enum Change<'m> {
    Edit(&'m wa::Message),
    Revoke,
    React(&'m str),
    /// Encrypted under the other's secret.
    Sealed(ModificationType, Option<&'m [u8]>, Option<&'m [u8]>),
}

impl<'m> Change<'m> {
    /// The change, and the id of the message that it is about.
    pub(super) fn read(message: &'m wa::Message) -> Option<(String, Self)> {
        let message = unwrapped(message);
        let about = |key: Option<&wa::MessageKey>| key.and_then(|key| key.id.clone());
        if let Some(protocol) = message.protocol_message.as_option() {
            let change = match (protocol.r#type, protocol.edited_message.as_option()) {
                (Some(Protocol::REVOKE), _) => Self::Revoke,
                (_, Some(edited)) => Self::Edit(edited),
                _ => return None,
            };
            return Some((about(protocol.key.as_option())?, change));
        }
        if let Some(reaction) = message.reaction_message.as_option() {
            let text = reaction.text.as_deref().unwrap_or_default();
            return Some((about(reaction.key.as_option())?, Self::React(text)));
        }
        let (key, kind, payload, iv) = if let Some(update) = message.poll_update_message.as_option() {
            let vote = update.vote.as_option()?;
            let key = update.poll_creation_message_key.as_option();
            (key, ModificationType::PollVote, &vote.enc_payload, &vote.enc_iv)
        } else if let Some(answer) = message.enc_event_response_message.as_option() {
            let key = answer.event_creation_message_key.as_option();
            (
                key,
                ModificationType::EventResponse,
                &answer.enc_payload,
                &answer.enc_iv,
            )
        } else if let Some(reaction) = message.enc_reaction_message.as_option() {
            let key = reaction.target_message_key.as_option();
            (
                key,
                ModificationType::EncReaction,
                &reaction.enc_payload,
                &reaction.enc_iv,
            )
        } else if let Some(comment) = message.enc_comment_message.as_option() {
            let key = comment.target_message_key.as_option();
            (
                key,
                ModificationType::EncComment,
                &comment.enc_payload,
                &comment.enc_iv,
            )
        } else {
            let edit = message.secret_encrypted_message.as_option()?;
            let kind = match edit.secret_enc_type? {
                SecretEncType::MESSAGE_EDIT => ModificationType::MessageEdit,
                SecretEncType::EVENT_EDIT => ModificationType::EventEdit,
                SecretEncType::POLL_EDIT => ModificationType::PollEdit,
                _ => return None,
            };
            (
                edit.target_message_key.as_option(),
                kind,
                &edit.enc_payload,
                &edit.enc_iv,
            )
        };
        Some((about(key)?, Self::Sealed(kind, payload.as_deref(), iv.as_deref())))
    }
}

/// Does what `change` says to `target`, if its author may.
pub(super) fn apply(
    unit: &mut Unit<'_>,
    phone: &str,
    said: &Said<'_>,
    change: &Change<'_>,
    target: Found,
) -> Result<()> {
    match change {
        Change::Edit(message) => edit(unit, said, message, target),
        Change::Revoke if own(said, &target) || may_moderate(unit, said)? => inbox::amend(
            unit,
            target.seq,
            &Content::revoked(),
            Some(&wa::Message::default()),
        ),
        Change::Revoke => refused(),
        Change::React(text) => react(unit, said, text, target),
        Change::Sealed(kind, payload, iv) => {
            let Some(plain) = secrets::open(unit, (&target, said.author), *kind, (*payload, *iv))? else {
                debug!("a phone cannot read what was added to a message");
                return Ok(());
            };
            unsealed(unit, phone, said, (*kind, &plain), target)
        }
    }
}

fn unsealed(
    unit: &mut Unit<'_>,
    phone: &str,
    said: &Said<'_>,
    (kind, plain): (ModificationType, &[u8]),
    target: Found,
) -> Result<()> {
    let broken = |error: buffa::DecodeError| Error::codec("an addition to a message", error);
    match kind {
        ModificationType::PollVote => {
            let vote = wa::message::PollVoteMessage::decode_from_slice(plain).map_err(broken)?;
            let text = chosen(&target, &vote.selected_options)?;
            inbox::set_text(unit, phone, said, &text)
        }
        ModificationType::EventResponse => {
            use wa::message::event_response_message::EventResponseType;
            let answer = wa::message::EventResponseMessage::decode_from_slice(plain).map_err(broken)?;
            let text = match answer.response {
                Some(EventResponseType::GOING) => "going",
                Some(EventResponseType::NOT_GOING) => "not-going",
                Some(EventResponseType::MAYBE) => "maybe",
                _ => "unknown",
            };
            inbox::set_text(unit, phone, said, text)
        }
        ModificationType::EncReaction => {
            let reaction = wa::message::ReactionMessage::decode_from_slice(plain).map_err(broken)?;
            let text = reaction.text.unwrap_or_default();
            inbox::set_text(unit, phone, said, &text)?;
            react(unit, said, &text, target)
        }
        ModificationType::EncComment => {
            let comment = wa::Message::decode_from_slice(plain).map_err(broken)?;
            let text = Content::read(&comment).and_then(|content| content.text);
            inbox::set_text(unit, phone, said, &text.unwrap_or_default())
        }
        _ => {
            let inner = wa::Message::decode_from_slice(plain).map_err(broken)?;
            let edited = inner
                .protocol_message
                .as_option()
                .and_then(|p| p.edited_message.as_option());
            edit(unit, said, edited.unwrap_or(&inner), target)
        }
    }
}

fn edit(unit: &mut Unit<'_>, said: &Said<'_>, message: &wa::Message, target: Found) -> Result<()> {
    let Some(new) = Content::read(message) else {
        return Ok(());
    };
    if !own(said, &target) || target.content.kind == "revoked" {
        return refused();
    }
    // An edit of a caption names the media by its kind alone; an edit of a text has the whole text.
    let whole = (target.content.kind == "text").then_some(message);
    let content = Content {
        text: new.text,
        edited: true,
        ..target.content
    };
    inbox::amend(unit, target.seq, &content, whole)
}

fn react(unit: &mut Unit<'_>, said: &Said<'_>, text: &str, target: Found) -> Result<()> {
    let mut content = target.content;
    content
        .reactions
        .retain(|reaction| reaction.from != said.author.phone);
    if !text.is_empty() {
        content.reactions.push(Reaction {
            from: said.author.phone.clone(),
            text: text.to_owned(),
        });
    }
    inbox::amend(unit, target.seq, &content, None)
}

/// The names of the options whose hashes a vote has, in the poll's order.
fn chosen(poll: &Found, hashes: &[Vec<u8>]) -> Result<String> {
    let names = poll_options(&poll.decoded()?);
    let chosen = names
        .into_iter()
        .filter(|name| hashes.iter().any(|hash| *hash == compute_option_hash(name)));
    Ok(chosen.collect::<Vec<_>>().join(", "))
}

fn own(said: &Said<'_>, target: &Found) -> bool {
    target.sender == said.author.phone
}

/// Whether the author may revoke what others wrote in this chat: admins of a group may, between two people nobody
/// may.
fn may_moderate(unit: &Unit<'_>, said: &Said<'_>) -> Result<bool> {
    let Some(room) = said.chat.parse::<Jid>().ok().filter(Jid::is_group) else {
        return Ok(false);
    };
    let Some(group) = groups::find(unit, &room)? else {
        return Ok(false);
    };
    let role = groups::role(unit, &group.id, &said.author.phone)?;
    Ok(role.is_some_and(groups::Role::is_admin))
}

#[expect(clippy::unnecessary_wraps, reason = "the other outcomes of a change can fail")]
fn refused() -> Result<()> {
    debug!("a phone ignores a change by someone who may not make it");
    Ok(())
}
