//! What a phone sends: messages to people, copies to its own companions, and once more what a device could not read.

use buffa::Message as _;
use rand::RngExt as _;
use rusqlite::OptionalExtension as _;
use wacore::messages::{MessageUtils, wrap_device_sent};
use wacore_binary::builder::NodeBuilder;
use waproto::whatsapp as wa;

use super::history::{self, Seen};
use super::inbox::Said;
use super::shape::Shape;
use super::{chats, room, signal};
use crate::directory::{self, Account, Address, Family};
use crate::error::{Error, Result};
use crate::people::profile;
use crate::relay::{self, Chat, Envelope};
use crate::store::Unit;
use crate::store::queue::{self, Kind, Stanza};

/// The messages a phone keeps for devices that ask again, at least.
const KEPT_FOR_RETRY: i64 = 500;

/// How often a message is encrypted again for one device, as the clients count it.
const MAX_RETRIES: u32 = 5;

/// A message about to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    /// What is said, as the recipient is to decrypt it.
    pub(crate) message: wa::Message,
    /// The id it goes under; without one it gets a new one.
    pub(crate) id: Option<String>,
    /// The JIDs that sender and recipient go by.
    pub(crate) family: Family,
}

impl From<wa::Message> for Draft {
    /// By number, under a new id.
    fn from(message: wa::Message) -> Self {
        Self {
            message,
            id: None,
            family: Family::Pn,
        }
    }
}

/// Sends a message from `account` to `to`: to every device of it, and to the phone's own companions. Answers the id.
///
/// Under an id that was used before, the message is sent once more and takes the place of the former one for
/// devices that ask again.
pub(crate) fn message(unit: &mut Unit<'_>, account: &Account, to: &Account, draft: Draft) -> Result<String> {
    // A migrated account's phone knows people by their LIDs.
    let family = match draft.family {
        Family::Pn => profile::family(unit, &account.phone)?,
        Family::Lid => Family::Lid,
    };
    let id = keep(unit, account, (&to.phone, family), &draft)?;
    let message = draft.message;
    let seen = Seen {
        chat: &to.jid(Family::Pn, 0).to_string(),
        id: &id,
        from_me: true,
        author: None,
    };
    history::keep(unit, account, &seen, &message)?;
    let mut addressees = Vec::new();
    if to.phone != account.phone {
        addressees.extend(
            directory::devices(unit, &to.phone)?
                .into_iter()
                .map(|d| Address::new(&to.phone, d)),
        );
    }
    let own = directory::devices(unit, &account.phone)?
        .into_iter()
        .filter(|device| *device != 0);
    addressees.extend(own.map(|device| Address::new(&account.phone, device)));
    let copy = Copy {
        account,
        chat: to,
        family,
        id: &id,
        message: &message,
        shape: Shape::of(&message),
        retry: None,
    };
    for addressee in addressees {
        copy.deliver(unit, &addressee)?;
    }
    Ok(id)
}

/// Keeps a message for devices that ask for it again, and for its sender to see; answers the id that it goes under.
pub(super) fn keep(
    unit: &mut Unit<'_>,
    account: &Account,
    (chat, family): (&str, Family),
    draft: &Draft,
) -> Result<String> {
    let id = draft.id.clone().unwrap_or_else(new_id);
    unit.execute(
        "INSERT OR REPLACE INTO sent (phone, id, chat, family, message) VALUES (?1, ?2, ?3, ?4, ?5)",
        (
            &account.phone,
            &id,
            chat,
            family.as_str(),
            draft.message.encode_to_vec(),
        ),
    )?;
    if unit.trims("sent", &account.phone) {
        unit.execute(
            "DELETE FROM sent WHERE phone = ?1 AND seq <=
                 (SELECT seq FROM sent WHERE phone = ?1 ORDER BY seq DESC LIMIT 1 OFFSET ?2)",
            (&account.phone, KEPT_FOR_RETRY),
        )?;
    }
    let said = Said {
        author: account,
        family,
        chat,
        id: &id,
        sent: true,
    };
    chats::take(unit, &account.phone, &said, &draft.message)?;
    Ok(id)
}

/// Sends a message from the phone to one of its own companions, as the devices of one account do among themselves.
pub(crate) fn peer_message(
    unit: &mut Unit<'_>,
    account: &Account,
    to: &Address,
    message: &wa::Message,
) -> Result<()> {
    let padded = MessageUtils::encode_and_pad(message);
    let Some((kind, sealed)) = signal::encrypt(unit, &account.phone, to, &padded)? else {
        return Ok(());
    };
    let id = new_id();
    let node = NodeBuilder::new("message")
        .attr("from", account.jid(Family::Pn, 0))
        .attr("id", id.as_str())
        .attr("type", "text")
        .attr("category", "peer")
        .attr("t", unit.now_secs())
        .children([Shape::of(message).enc(kind.as_str(), sealed, None)])
        .build();
    let sender = Address::primary(&account.phone);
    let stanza = Stanza {
        kind: Kind::Message,
        id: &id,
        subtype: "",
        sender: &sender,
        node: &node,
    };
    queue::push(unit, to, &stanza)
}

/// Encrypts a message again, in a new session, for the device that could not read it.
pub(crate) fn again(
    unit: &mut Unit<'_>,
    account: &Account,
    device: &Address,
    id: &str,
    count: u32,
) -> Result<()> {
    if count >= MAX_RETRIES {
        return Ok(());
    }
    let stored: Option<(String, String, Vec<u8>)> = unit
        .prepare("SELECT chat, family, message FROM sent WHERE phone = ?1 AND id = ?2")?
        .query_row((&account.phone, id), |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()?;
    let Some((chat, family, message)) = stored else {
        return Ok(());
    };
    let message =
        wa::Message::decode_from_slice(&message).map_err(|error| Error::codec("a sent message", error))?;
    if chat.contains('@') {
        return room::again(unit, account, (device, id, count), (&chat, message));
    }
    let Some(to) = directory::by_phone(unit, &chat)? else {
        return Ok(());
    };
    // A device that has no part in the conversation gets nothing by asking.
    if device.phone != to.phone && device.phone != account.phone {
        return Ok(());
    }
    signal::reset(unit, &account.phone, device)?;
    let copy = Copy {
        account,
        chat: &to,
        family: Family::named(&family),
        id,
        message: &message,
        shape: Shape::of(&message),
        retry: Some(count),
    };
    copy.deliver(unit, device)
}

/// What the copies of one message have in common.
struct Copy<'a> {
    account: &'a Account,
    chat: &'a Account,
    family: Family,
    id: &'a str,
    message: &'a wa::Message,
    shape: Shape,
    /// How often the device asked for it.
    retry: Option<u32>,
}

impl Copy<'_> {
    fn deliver(&self, unit: &mut Unit<'_>, addressee: &Address) -> Result<()> {
        let own = addressee.phone == self.account.phone;
        let padded = if own {
            let destination = self.chat.jid(self.family, 0).to_string();
            MessageUtils::encode_and_pad(&wrap_device_sent(self.message.clone(), destination))
        } else {
            MessageUtils::encode_and_pad(self.message)
        };
        let Some((kind, sealed)) = signal::encrypt(unit, &self.account.phone, addressee, &padded)? else {
            return Ok(());
        };
        let envelope = Envelope {
            sender: self.account,
            device: 0,
            chat: Chat::Person(self.chat),
            family: self.family,
            id: self.id,
            stanza_type: self.shape.stanza_type,
            edit: self.shape.edit.as_deref(),
        };
        let mut children = vec![self.shape.enc(kind.as_str(), sealed, self.retry)];
        children.extend(self.shape.meta.clone());
        relay::queue_for(unit, &envelope, addressee, children)
    }
}

/// A message id in the form that phones give: 32 hex digits.
pub(crate) fn new_id() -> String {
    hex::encode_upper(rand::rng().random::<[u8; 16]>())
}
