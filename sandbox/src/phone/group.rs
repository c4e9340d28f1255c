//! What a phone sends to a group: one ciphertext under its sender key, and the key for each device that lacks it.

use wacore::messages::MessageUtils;
use wacore_binary::{Jid, Node};
use waproto::whatsapp as wa;

use super::history::{self, Seen};
use super::send::{self, Draft};
use super::shape::Shape;
use super::signal::{self, sender_keys};
use crate::directory::{Account, Address};
use crate::error::{Error, Result};
use crate::groups::{self, Group, members};
use crate::relay::{self, Chat, Envelope};
use crate::store::Unit;

/// The `type` of what is encrypted under a sender key.
pub(super) const SENDER_KEY: &str = "skmsg";

/// Sends a message from `account` to a group: to every device of every member. Answers the id.
///
/// # Errors
/// [`Error::NotFound`], or [`Error::Refused`] (403) for those who are not in it or may not write in it.
pub(crate) fn message(unit: &mut Unit<'_>, account: &Account, group: &Jid, draft: Draft) -> Result<String> {
    let (group, role) = groups::enter(unit, group, account)?;
    if group.settings.announcement && !role.is_admin() {
        return Err(Error::forbidden("only admins write in this group"));
    }
    let chat = group.jid().to_string();
    let id = send::keep(unit, account, (&chat, group.addressing), &draft)?;
    let Draft { message, .. } = draft;
    let seen = Seen {
        chat: &chat,
        id: &id,
        from_me: true,
        author: None,
    };
    history::keep(unit, account, &seen, &message)?;
    let own = Address::primary(&account.phone);
    let devices = members::devices(unit, &group.id)?;
    sender_keys::rotate(unit, &account.phone, &chat, &devices)?;
    // The key first: what is sealed before it is given cannot be opened with it.
    let key = sender_keys::distribution(unit, &account.phone, &chat)?;
    let padded = MessageUtils::encode_and_pad(&message);
    let sealed = sender_keys::seal(unit, &account.phone, &chat, &padded)?;
    let copy = Copy {
        account,
        group: &group,
        id: &id,
        shape: Shape::of(&message),
    };
    let common = copy.shape.enc(SENDER_KEY, sealed, None);
    let key = MessageUtils::encode_and_pad(&with_key(wa::Message::default(), &chat, key));
    for device in devices.iter().filter(|device| **device != own) {
        let mut ciphertexts = Vec::new();
        if !sender_keys::holds(unit, &account.phone, &chat, device)?
            && let Some((kind, sealed)) = signal::encrypt(unit, &account.phone, device, &key)?
        {
            ciphertexts.push(copy.shape.enc(kind.as_str(), sealed, None));
            sender_keys::given(unit, &account.phone, &chat, device)?;
        }
        ciphertexts.push(common.clone());
        copy.queue(unit, device, ciphertexts)?;
    }
    Ok(id)
}

/// Encrypts a message for one device that could not read it, with the phone's key for what follows.
///
/// A device whose person is not in the group gets nothing by asking.
pub(super) fn again(
    unit: &mut Unit<'_>,
    account: &Account,
    (device, id, count): (&Address, &str, u32),
    (chat, message): (&str, wa::Message),
) -> Result<()> {
    let jid: Jid = chat
        .parse()
        .map_err(|error| Error::codec("the chat of a sent message", error))?;
    let Some(group) = groups::find(unit, &jid)? else {
        return Ok(());
    };
    if !members::devices(unit, &group.id)?.contains(device) {
        return Ok(());
    }
    signal::reset(unit, &account.phone, device)?;
    let key = sender_keys::distribution(unit, &account.phone, chat)?;
    let shape = Shape::of(&message);
    let padded = MessageUtils::encode_and_pad(&with_key(message, chat, key));
    let Some((kind, sealed)) = signal::encrypt(unit, &account.phone, device, &padded)? else {
        return Ok(());
    };
    sender_keys::given(unit, &account.phone, chat, device)?;
    let copy = Copy {
        account,
        group: &group,
        id,
        shape,
    };
    let ciphertext = copy.shape.enc(kind.as_str(), sealed, Some(count));
    copy.queue(unit, device, vec![ciphertext])
}

/// What the copies of one message have in common.
struct Copy<'a> {
    account: &'a Account,
    group: &'a Group,
    id: &'a str,
    shape: Shape,
}

impl Copy<'_> {
    fn queue(&self, unit: &mut Unit<'_>, device: &Address, ciphertexts: Vec<Node>) -> Result<()> {
        let envelope = Envelope {
            sender: self.account,
            device: 0,
            chat: Chat::Group(self.group),
            family: self.group.addressing,
            id: self.id,
            stanza_type: self.shape.stanza_type,
            edit: self.shape.edit.as_deref(),
        };
        let children = ciphertexts.into_iter().chain(self.shape.meta.clone()).collect();
        relay::queue_for(unit, &envelope, device, children)
    }
}

fn with_key(message: wa::Message, chat: &str, key: Vec<u8>) -> wa::Message {
    wa::Message {
        sender_key_distribution_message: wa::message::SenderKeyDistributionMessage {
            group_id: Some(chat.to_owned()),
            axolotl_sender_key_distribution_message: Some(key),
        }
        .into(),
        ..message
    }
}
