//! What a phone does with the stanzas that wait for it.

use rusqlite::OptionalExtension as _;
use tracing::{debug, warn};
use wacore::messages::{decode_plaintext, unwrap_device_sent};
use wacore::protocol::retry::{RetryReason, build_retry_keys_node};
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};
use wacore_libsignal::protocol::GenericSignedPreKey as _;
use waproto::whatsapp as wa;

use super::chats::Taken;
use super::inbox::Said;
use super::signal::{self, EncType, Opened};
use super::{auto_reply, chats, identity, inbox, key_share, resend, reupload, send};
use crate::directory::{self, Account, Address, Family};
use crate::error::{Error, Result};
use crate::receipts::{self, Receipt};
use crate::store::Unit;
use crate::store::queue;
use crate::wire;

/// A phone gives a message up after asking for it this often, as the clients do.
const MAX_RETRIES: u32 = 5;

/// Takes the first waiting stanza of `phone`. `false` if there is none, or the phone is off.
pub(crate) fn step(unit: &mut Unit<'_>, phone: &str) -> Result<bool> {
    let Some(account) = directory::by_phone(unit, phone)?.filter(|account| account.online) else {
        return Ok(false);
    };
    let own = Address::primary(phone);
    let Some(row) = queue::after(unit, &own, 0, 1)?.pop() else {
        return Ok(false);
    };
    let node = wire::decode(&row.payload)?;
    match node.tag.as_ref() {
        "message" => message(unit, &account, &node)?,
        "receipt" => receipt(unit, &account, &node)?,
        _ => {}
    }
    queue::remove(unit, row.seq)?;
    Ok(true)
}

/// A message as its stanza presents it.
struct Incoming<'a> {
    sender: Account,
    device: Address,
    family: Family,
    id: &'a str,
    /// Whom an own companion wrote to.
    recipient: Option<Jid>,
}

fn message(unit: &mut Unit<'_>, account: &Account, node: &Node) -> Result<()> {
    let (Some(from), Some(id)) = (wire::attr_jid(node, "from"), wire::attr(node, "id")) else {
        return Ok(());
    };
    let (Some(sender), Some(family)) = (directory::resolve(unit, &from)?, Family::of(&from)) else {
        return Ok(());
    };
    let incoming = Incoming {
        device: Address::new(&sender.phone, from.device),
        sender,
        family,
        id: &id,
        recipient: wire::attr_jid(node, "recipient"),
    };
    let Some((kind, sealed)) = node.get_children_by_tag("enc").find_map(ciphertext) else {
        debug!(
            device = incoming.device.device,
            "a phone got a message without a ciphertext for it"
        );
        return Ok(());
    };
    match signal::decrypt(unit, &account.phone, &incoming.device, (kind, &sealed))? {
        Opened::Plain(padded) => {
            match decode_plaintext(&padded, 2) {
                Ok(message) => show(unit, account, &incoming, message)?,
                Err(error) => warn!(%error, "a phone decrypted a message that does not decode"),
            }
            delivered(unit, account, &incoming)
        }
        Opened::Duplicate => {
            inbox::count_copy(unit, &account.phone, &incoming.sender.phone, incoming.id)?;
            delivered(unit, account, &incoming)
        }
        Opened::Unreadable => {
            debug!("a phone cannot read a message");
            if incoming.sender.phone == account.phone {
                heal(unit, account, &incoming)
            } else {
                ask_again(unit, account, &incoming)
            }
        }
    }
}

fn ciphertext(enc: &Node) -> Option<(EncType, Vec<u8>)> {
    let kind = EncType::parse(&wire::attr(enc, "type")?)?;
    Some((kind, wire::bytes(enc)?.into_owned()))
}

fn show(unit: &mut Unit<'_>, account: &Account, incoming: &Incoming<'_>, message: wa::Message) -> Result<()> {
    let own = incoming.sender.phone == account.phone;
    let message = if own { unwrap_device_sent(message) } else { message };
    if own && asks_for_keys(&message) {
        return key_share::share(unit, account, incoming.device.device);
    }
    if own && let Some(request) = resend::request(&message) {
        return resend::answer(unit, account, (incoming.device.device, incoming.id), request);
    }
    let chat = match &incoming.recipient {
        Some(recipient) if own => directory::resolve(unit, recipient)?.map(|chat| chat.phone),
        _ => Some(incoming.sender.phone.clone()),
    };
    let chat = chat.unwrap_or_else(|| account.phone.clone());
    let said = Said {
        author: &incoming.sender,
        family: incoming.family,
        chat: &chat,
        id: incoming.id,
        sent: false,
    };
    resend::keep(
        unit,
        &account.phone,
        (&incoming.sender.phone, incoming.id),
        &message,
    )?;
    match chats::take(unit, &account.phone, &said, &message)? {
        Taken::New => auto_reply::answer(unit, account, &said, &message),
        Taken::Again | Taken::Unseen => Ok(()),
    }
}

fn asks_for_keys(message: &wa::Message) -> bool {
    message
        .protocol_message
        .as_option()
        .is_some_and(|protocol| protocol.app_state_sync_key_request.is_set())
}

/// Tells the sender that the message arrived. One's own companions need no word.
fn delivered(unit: &mut Unit<'_>, account: &Account, incoming: &Incoming<'_>) -> Result<()> {
    unit.execute(
        "DELETE FROM retries WHERE phone = ?1 AND sender = ?2 AND sender_device = ?3 AND id = ?4",
        (
            &account.phone,
            &incoming.device.phone,
            incoming.device.device,
            incoming.id,
        ),
    )?;
    if incoming.sender.phone == account.phone {
        return Ok(());
    }
    receipts::fan_out(
        unit,
        &Receipt {
            reader: account,
            device: 0,
            family: incoming.family,
            kind: "",
            ids: &[incoming.id.to_owned()],
            only: None,
            extra: Vec::new(),
        },
        &incoming.sender,
    )
}

/// Starts a new session with an own companion, so that what follows can be read.
///
/// The copy itself is lost to the phone. `whatsapp-rust` 0.7 takes a request of its own phone to encrypt again for
/// one of the person written to: it puts the phone's keys, where the request has any, in the place of theirs, and
/// encrypts for their session what it then sends to the phone. A phone must not ask it. Phones have no other way to
/// ask a companion; the way back, a companion that asks its phone, is [`resend`].
fn heal(unit: &mut Unit<'_>, account: &Account, incoming: &Incoming<'_>) -> Result<()> {
    signal::reset(unit, &account.phone, &incoming.device)?;
    key_share::share(unit, account, incoming.device.device)
}

/// Asks the sending device to encrypt again, with keys for a new session.
fn ask_again(unit: &mut Unit<'_>, account: &Account, incoming: &Incoming<'_>) -> Result<()> {
    let device = &incoming.device;
    let count: u32 = unit
        .prepare(
            "INSERT INTO retries (phone, sender, sender_device, id, count) VALUES (?1, ?2, ?3, ?4, 1)
             ON CONFLICT (phone, sender, sender_device, id) DO UPDATE SET count = count + 1 RETURNING count",
        )?
        .query_row(
            (&account.phone, &device.phone, device.device, incoming.id),
            |row| row.get(0),
        )?;
    if count >= MAX_RETRIES {
        warn!("a phone gives up a message that it cannot read");
        return Ok(());
    }
    let secrets = identity::secrets(unit, &account.phone)?;
    let pre_key = identity::make_pre_key(unit, &account.phone)?;
    let retry = NodeBuilder::new("retry")
        .attr("v", "1")
        .attr("id", incoming.id)
        .attr("t", unit.now_secs())
        .attr("count", count)
        .attr("error", RetryReason::InvalidMessage as u8)
        .build();
    let registration = wire::bytes_node("registration", secrets.registration_id.to_be_bytes());
    // A phone has no device identity; its own key is the account's.
    let keys = build_retry_keys_node(
        secrets.identity.public_key(),
        pre_key.id()?.into(),
        &pre_key.public_key()?,
        secrets.signed_pre_key.id()?.into(),
        &secrets.signed_pre_key.public_key()?,
        secrets.signed_pre_key.signature()?,
        Vec::new(),
    );
    let receipt = Receipt {
        reader: account,
        device: 0,
        family: incoming.family,
        kind: "retry",
        ids: &[incoming.id.to_owned()],
        only: Some(device.device),
        extra: vec![retry, registration, keys],
    };
    // Between devices of one account the receipt names the chat, or the client does not know what is meant.
    let recipient = incoming
        .recipient
        .as_ref()
        .filter(|_| incoming.sender.phone == account.phone);
    receipts::fan_out_for(unit, &receipt, &incoming.sender, recipient)
}

/// Of the receipts a phone gets, only requests make it do something: to encrypt again, to upload again.
fn receipt(unit: &mut Unit<'_>, account: &Account, node: &Node) -> Result<()> {
    match wire::attr(node, "type").as_deref() {
        Some("retry") => {}
        Some("server-error") => return reupload::answer(unit, account, node),
        _ => return Ok(()),
    }
    let (Some(from), Some(retry)) = (wire::attr_jid(node, "from"), node.get_optional_child("retry")) else {
        return Ok(());
    };
    let (Some(asker), Some(id)) = (directory::resolve(unit, &from)?, wire::attr(retry, "id")) else {
        return Ok(());
    };
    let count = wire::attr(retry, "count")
        .and_then(|count| count.parse().ok())
        .unwrap_or(1);
    send::again(
        unit,
        account,
        &Address::new(&asker.phone, from.device),
        &id,
        count,
    )
}

/// Drops the stanza at the head of a phone's queue, which cannot be taken: it would block all behind it.
pub(crate) fn skip(unit: &mut Unit<'_>, phone: &str) -> Result<()> {
    let head: Option<i64> = unit
        .prepare("SELECT MIN(seq) FROM queue WHERE phone = ?1 AND device = 0")?
        .query_row([phone], |row| row.get(0))
        .optional()?
        .flatten();
    head.map_or(
        Err(Error::NotFound("nothing waits for this phone".into())),
        |seq| queue::remove(unit, seq),
    )
}
