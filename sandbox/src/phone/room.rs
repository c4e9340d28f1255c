//! What a phone sends to many at once, in a group or as a status: one ciphertext under its sender key, and the key for
//! each device that lacks it.
//!
//! The recipients in a group are its members. The author of a status names who sees it; a phone names the contacts
//! that its person has not blocked.

use wacore::messages::MessageUtils;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, JidExt as _, Node};
use waproto::whatsapp as wa;

use super::history::{self, Seen};
use super::send::{self, Draft};
use super::shape::Shape;
use super::signal::{self, sender_keys};
use crate::directory::{self, Account, Address, Family};
use crate::error::{Error, Result};
use crate::groups::{self, Group, members};
use crate::people::{blocks, contacts};
use crate::relay::{self, Chat, Envelope};
use crate::store::Unit;

/// The `type` of what is encrypted under a sender key.
pub(super) const SENDER_KEY: &str = "skmsg";

/// Where many read what is said once.
#[derive(Debug, Clone)]
pub(crate) enum Room {
    Group(Box<Group>),
    /// What a person shows to those who know them.
    Status,
}

impl Room {
    /// The room that an addressee or a chat is named by; `None` for a person, and for a group that is not there.
    pub(crate) fn find(unit: &Unit<'_>, jid: &Jid) -> Result<Option<Self>> {
        if jid.is_status_broadcast() {
            return Ok(Some(Self::Status));
        }
        Ok(groups::find(unit, jid)?.map(|group| Self::Group(Box::new(group))))
    }

    pub(crate) fn jid(&self) -> Jid {
        match self {
            Self::Group(group) => group.jid(),
            Self::Status => Jid::status_broadcast(),
        }
    }

    /// The JIDs that people go by there.
    pub(crate) fn family(&self) -> Family {
        match self {
            Self::Group(group) => group.addressing,
            Self::Status => Family::Lid,
        }
    }

    fn chat(&self) -> Chat<'_> {
        match self {
            Self::Group(group) => Chat::Group(group),
            Self::Status => Chat::Status,
        }
    }

    /// All devices that read what `account` says there, its own among them.
    fn devices(&self, unit: &Unit<'_>, account: &Account) -> Result<Vec<Address>> {
        let mut people = match self {
            Self::Group(group) => return members::devices(unit, &group.id),
            Self::Status => contacts::of(unit, &account.phone)?,
        };
        people.push(account.phone.clone());
        let mut devices = Vec::new();
        for person in people {
            if !blocks::blocks(unit, &account.phone, &person)? {
                let own = directory::devices(unit, &person)?;
                devices.extend(own.into_iter().map(|device| Address::new(&person, device)));
            }
        }
        Ok(devices)
    }

    /// Whether `account` may write there.
    fn admits(&self, unit: &Unit<'_>, account: &Account) -> Result<()> {
        let Self::Group(group) = self else {
            return Ok(());
        };
        let (group, role) = groups::enter(unit, &group.jid(), account)?;
        if group.settings.announcement && !role.is_admin() {
            return Err(Error::forbidden("only admins write in this group"));
        }
        Ok(())
    }
}

/// Sends a message from `account` to a room: to every device that reads there. Answers the id.
///
/// # Errors
/// [`Error::Refused`] (403) for those who are not in the group or may not write in it.
pub(crate) fn message(unit: &mut Unit<'_>, account: &Account, room: &Room, draft: Draft) -> Result<String> {
    room.admits(unit, account)?;
    let chat = room.jid().to_string();
    let id = send::keep(unit, account, (&chat, room.family()), &draft)?;
    let Draft { message, .. } = draft;
    let seen = Seen {
        chat: &chat,
        id: &id,
        from_me: true,
        author: None,
    };
    history::keep(unit, account, &seen, &message)?;
    let own = Address::primary(&account.phone);
    let devices = room.devices(unit, account)?;
    sender_keys::rotate(unit, &account.phone, &chat, &devices)?;
    // The key comes first, since it does not open what was sealed before it was given.
    let key = sender_keys::distribution(unit, &account.phone, &chat)?;
    let padded = MessageUtils::encode_and_pad(&message);
    let sealed = sender_keys::seal(unit, &account.phone, &chat, &padded)?;
    let copy = Copy {
        account,
        room,
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
/// A device that does not read in the room gets nothing.
pub(super) fn again(
    unit: &mut Unit<'_>,
    account: &Account,
    (device, id, count): (&Address, &str, u32),
    (chat, message): (&str, wa::Message),
) -> Result<()> {
    let jid: Jid = chat
        .parse()
        .map_err(|error| Error::codec("the chat of a sent message", error))?;
    let Some(room) = Room::find(unit, &jid)? else {
        return Ok(());
    };
    if !room.devices(unit, account)?.contains(device) {
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
        room: &room,
        id,
        shape,
    };
    let ciphertext = copy.shape.enc(kind.as_str(), sealed, Some(count));
    copy.queue(unit, device, vec![ciphertext])
}

/// What the copies of one message have in common.
struct Copy<'a> {
    account: &'a Account,
    room: &'a Room,
    id: &'a str,
    shape: Shape,
}

impl Copy<'_> {
    fn queue(&self, unit: &mut Unit<'_>, device: &Address, ciphertexts: Vec<Node>) -> Result<()> {
        let envelope = Envelope {
            sender: self.account,
            device: 0,
            chat: self.room.chat(),
            family: self.room.family(),
            id: self.id,
            stanza_type: self.shape.stanza_type,
            edit: self.shape.edit.as_deref(),
        };
        let children = ciphertexts
            .into_iter()
            .chain(self.shape.meta.clone())
            .chain(self.setting());
        relay::queue_for(unit, &envelope, device, children.collect())
    }

    /// The part of a status that says whom its author shows statuses to. A revoke has none.
    fn setting(&self) -> Option<Node> {
        let posted = matches!(self.room, Room::Status) && self.shape.edit.is_none();
        posted.then(|| {
            NodeBuilder::new("meta")
                .attr("status_setting", "contacts")
                .build()
        })
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
