//! What a phone sends: texts to people, copies to its own companions, and once more what a device could not read.

use buffa::Message as _;
use rand::RngExt as _;
use rusqlite::OptionalExtension as _;
use wacore::messages::{MessageUtils, wrap_device_sent};
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;
use waproto::whatsapp as wa;

use super::history::{self, Seen};
use super::signal;
use crate::directory::{self, Account, Address, Family};
use crate::error::{Error, Result};
use crate::relay::{self, Envelope};
use crate::store::Unit;
use crate::store::queue::{self, Kind, Stanza};

/// The messages a phone keeps for devices that ask again.
const KEPT_FOR_RETRY: i64 = 500;

/// How often a message is encrypted again for one device, as the clients count it.
const MAX_RETRIES: u32 = 5;

/// Sends a text from `account` to `to`: to every device of it, and to the phone's own companions. Answers the id.
pub(crate) fn text(unit: &mut Unit<'_>, account: &Account, to: &Account, text: String) -> Result<String> {
    let message = wa::Message {
        conversation: Some(text),
        ..Default::default()
    };
    let id = new_id();
    unit.execute(
        "INSERT INTO sent (phone, id, chat, message) VALUES (?1, ?2, ?3, ?4)",
        (&account.phone, &id, &to.phone, message.encode_to_vec()),
    )?;
    let seen = Seen {
        chat: &to.jid(Family::Pn, 0).to_string(),
        id: &id,
        from_me: true,
        author: None,
    };
    history::keep(unit, account, &seen, &message)?;
    unit.execute(
        "DELETE FROM sent WHERE phone = ?1 AND seq <= ?2",
        (&account.phone, unit.last_insert_id() - KEPT_FOR_RETRY),
    )?;
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
    for addressee in addressees {
        deliver(unit, account, to, (&addressee, &id), &message, None)?;
    }
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
        .children([enc(kind, sealed, None)])
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
    let stored: Option<(String, Vec<u8>)> = unit
        .prepare("SELECT chat, message FROM sent WHERE phone = ?1 AND id = ?2")?
        .query_row((&account.phone, id), |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((chat, message)) = stored else {
        return Ok(());
    };
    let Some(to) = directory::by_phone(unit, &chat)? else {
        return Ok(());
    };
    // A device that has no part in the conversation gets nothing by asking.
    if device.phone != to.phone && device.phone != account.phone {
        return Ok(());
    }
    let message =
        wa::Message::decode_from_slice(&message).map_err(|error| Error::codec("a sent message", error))?;
    signal::reset(unit, &account.phone, device)?;
    deliver(unit, account, &to, (device, id), &message, Some(count))
}

fn deliver(
    unit: &mut Unit<'_>,
    account: &Account,
    chat: &Account,
    (addressee, id): (&Address, &str),
    message: &wa::Message,
    retry: Option<u32>,
) -> Result<()> {
    let own = addressee.phone == account.phone;
    let padded = if own {
        let destination = chat.jid(Family::Pn, 0).to_string();
        MessageUtils::encode_and_pad(&wrap_device_sent(message.clone(), destination))
    } else {
        MessageUtils::encode_and_pad(message)
    };
    let Some((kind, sealed)) = signal::encrypt(unit, &account.phone, addressee, &padded)? else {
        return Ok(());
    };
    let envelope = Envelope {
        sender: account,
        device: 0,
        chat,
        family: Family::Pn,
        id,
        stanza_type: "text",
        edit: None,
    };
    relay::queue_for(unit, &envelope, addressee, vec![enc(kind, sealed, retry)])
}

fn enc(kind: signal::EncType, sealed: Vec<u8>, count: Option<u32>) -> Node {
    let mut builder = NodeBuilder::new("enc").attr("v", "2").attr("type", kind.as_str());
    if let Some(count) = count {
        builder = builder.attr("count", count);
    }
    builder.bytes(sealed).build()
}

/// A message id in the form that phones give: 32 hex digits.
fn new_id() -> String {
    hex::encode_upper(rand::rng().random::<[u8; 16]>())
}
