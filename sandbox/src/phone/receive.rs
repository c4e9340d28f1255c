//! What a phone does with the stanzas that wait for it.

use buffa::Message as _;
use tracing::{debug, warn};
use wacore::messages::{decode_plaintext, unwrap_device_sent};
use wacore::protocol::retry::{RetryReason, build_retry_keys_node};
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};
use wacore_libsignal::protocol::GenericSignedPreKey as _;
use waproto::whatsapp as wa;

use super::chats::Taken;
use super::history::{self, Seen};
use super::inbox::Said;
use super::signal::{self, EncType, Opened, sender_keys};
use super::{app_state, auto_reply, chats, identity, inbox, key_share, peer, reupload, room, send};
use crate::app_state as collections;
use crate::directory::{self, Account, Address, Family};
use crate::error::Result;
use crate::people::chatstates;
use crate::receipts::{self, Receipt};
use crate::store::Unit;
use crate::store::queue;
use crate::wire;

/// A phone gives a message up after asking for it this often, as the clients do.
const MAX_RETRIES: u32 = 5;

/// What a phone has left to do after its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    /// More may wait.
    More,
    /// A new companion waits for its history.
    History,
    /// Nothing, or nothing while the phone is off.
    Nothing,
}

/// Takes up to `most` waiting stanzas of `phone`, in their order. An error leaves all of them where they are.
pub(crate) fn turn(unit: &mut Unit<'_>, phone: &str, most: u32) -> Result<Left> {
    let own = Address::primary(phone);
    if !is_on(unit, phone)? {
        return Ok(Left::Nothing);
    }
    let rows = queue::after(unit, &own, 0, most)?;
    let mut taken = None;
    for row in &rows {
        // A stanza may have changed the account.
        let Some(account) = directory::by_phone(unit, phone)?.filter(|account| account.online) else {
            break;
        };
        stanza(unit, &account, &row.payload)?;
        taken = Some(row.seq);
    }
    if let Some(last) = taken {
        queue::remove_until(unit, &own, last)?;
    }
    if rows.len() == most as usize {
        Ok(Left::More)
    } else if is_on(unit, phone)? && history::is_due(unit, phone)? {
        Ok(Left::History)
    } else {
        Ok(Left::Nothing)
    }
}

/// A stanza that waits for a phone.
pub(crate) struct Waiting {
    pub(crate) seq: i64,
    /// For the log. Ids of other stanzas than messages and receipts may name people, and are left out.
    pub(crate) id: String,
    pub(crate) kind: String,
}

/// The first stanza that waits for `phone`; `None` where none does, or the phone is off.
pub(crate) fn first(unit: &Unit<'_>, phone: &str) -> Result<Option<Waiting>> {
    if !is_on(unit, phone)? {
        return Ok(None);
    }
    let Some(row) = queue::after(unit, &Address::primary(phone), 0, 1)?.pop() else {
        return Ok(None);
    };
    let waiting = unit
        .prepare(
            "SELECT CASE WHEN kind IN ('message', 'receipt') THEN stanza_id ELSE '' END, kind
             FROM queue WHERE seq = ?1",
        )?
        .query_row([row.seq], |found| {
            Ok(Waiting {
                seq: row.seq,
                id: found.get(0)?,
                kind: found.get(1)?,
            })
        })?;
    Ok(Some(waiting))
}

/// Takes one stanza, if it still waits and the phone is on.
pub(crate) fn take(unit: &mut Unit<'_>, phone: &str, seq: i64) -> Result<()> {
    let Some(account) = directory::by_phone(unit, phone)?.filter(|account| account.online) else {
        return Ok(());
    };
    let rows = queue::after(unit, &Address::primary(phone), seq - 1, 1)?;
    if let Some(row) = rows.iter().find(|row| row.seq == seq) {
        stanza(unit, &account, &row.payload)?;
        queue::remove(unit, seq)?;
    }
    Ok(())
}

fn stanza(unit: &mut Unit<'_>, account: &Account, payload: &[u8]) -> Result<()> {
    let node = wire::decode(payload)?;
    match node.tag.as_ref() {
        "message" => message(unit, account, &node),
        "receipt" => receipt(unit, account, &node),
        "notification" => notification(unit, account, &node),
        "chatstate" => chatstates::see(unit, &account.phone, &node),
        _ => Ok(()),
    }
}

fn is_on(unit: &Unit<'_>, phone: &str) -> Result<bool> {
    Ok(directory::by_phone(unit, phone)?.is_some_and(|account| account.online))
}

/// A message as its stanza presents it.
struct Incoming<'a> {
    sender: Account,
    device: Address,
    family: Family,
    id: &'a str,
    /// Whom an own companion wrote to.
    recipient: Option<Jid>,
    /// The group, or the place of statuses, that it was written to.
    room: Option<Jid>,
}

/// The sender of a stanza and the room it was sent to: in rooms, the participant.
fn author(node: &Node) -> Option<(Jid, Option<Jid>)> {
    let from = wire::attr_jid(node, "from")?;
    match Family::of(&from) {
        Some(_) => Some((from, None)),
        None => Some((wire::attr_jid(node, "participant")?, Some(from))),
    }
}

fn message(unit: &mut Unit<'_>, account: &Account, node: &Node) -> Result<()> {
    let (Some((from, room)), Some(id)) = (author(node), wire::attr(node, "id")) else {
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
        room,
    };
    let sealed: Vec<Sealed> = node.get_children_by_tag("enc").filter_map(Sealed::read).collect();
    if sealed.is_empty() {
        debug!(
            device = incoming.device.device,
            "a phone got a message without a ciphertext for it"
        );
        return Ok(());
    }
    let mut fresh = false;
    // A key that comes with the message stands before what it opens.
    for sealed in sealed {
        match sealed.open(unit, account, &incoming)? {
            Opened::Plain(padded) => {
                fresh = true;
                match decode_plaintext(&padded, 2) {
                    Ok(message) => {
                        if let Some(message) = learn(unit, account, &incoming, message)? {
                            show(unit, account, &incoming, message)?;
                        }
                    }
                    Err(error) => warn!(%error, "a phone decrypted a message that does not decode"),
                }
            }
            Opened::Duplicate => {}
            Opened::Unreadable => {
                debug!("a phone cannot read a message");
                return if incoming.sender.phone == account.phone && incoming.room.is_none() {
                    heal(unit, account, &incoming)
                } else {
                    ask_again(unit, account, &incoming)
                };
            }
        }
    }
    if !fresh {
        inbox::count_copy(unit, &account.phone, &incoming.sender.phone, incoming.id)?;
    }
    delivered(unit, account, &incoming)
}

/// A ciphertext: for this device alone, or for all who hold the sender's key.
enum Sealed {
    Pairwise(EncType, Vec<u8>),
    ForAll(Vec<u8>),
}

impl Sealed {
    fn read(enc: &Node) -> Option<Self> {
        let kind = wire::attr(enc, "type")?;
        let bytes = wire::bytes(enc)?.into_owned();
        if kind == room::SENDER_KEY {
            return Some(Self::ForAll(bytes));
        }
        Some(Self::Pairwise(EncType::parse(&kind)?, bytes))
    }

    fn open(self, unit: &Unit<'_>, account: &Account, incoming: &Incoming<'_>) -> Result<Opened> {
        let (phone, device) = (account.phone.as_str(), &incoming.device);
        match (self, &incoming.room) {
            (Self::Pairwise(kind, bytes), _) => signal::decrypt(unit, phone, device, (kind, &bytes)),
            (Self::ForAll(bytes), Some(room)) => {
                sender_keys::open(unit, phone, (&room.to_string(), device), &bytes)
            }
            (Self::ForAll(_), None) => Ok(Opened::Unreadable),
        }
    }
}

/// Keeps the sender key that a message brings, if it is for the room that the message was sent to. Answers what
/// the message says besides.
fn learn(
    unit: &Unit<'_>,
    account: &Account,
    incoming: &Incoming<'_>,
    mut message: wa::Message,
) -> Result<Option<wa::Message>> {
    let Some(key) = message.sender_key_distribution_message.take() else {
        return Ok(Some(message));
    };
    let room = incoming.room.as_ref().map(Jid::to_string);
    if let (Some(room), Some(distribution)) = (room, key.axolotl_sender_key_distribution_message)
        && key.group_id.as_ref() == Some(&room)
        && !sender_keys::learn(unit, &account.phone, (&room, &incoming.device), &distribution)?
    {
        warn!("a phone got a sender key that is none");
    }
    let context = std::mem::take(&mut message.message_context_info);
    if message.encode_to_vec().is_empty() {
        return Ok(None);
    }
    message.message_context_info = context;
    Ok(Some(message))
}

fn show(unit: &mut Unit<'_>, account: &Account, incoming: &Incoming<'_>, message: wa::Message) -> Result<()> {
    let own = incoming.sender.phone == account.phone;
    let message = if own { unwrap_device_sent(message) } else { message };
    if own && peer::take(unit, account, (incoming.device.device, incoming.id), &message)? {
        return Ok(());
    }
    let person = match &incoming.recipient {
        Some(recipient) if own => directory::resolve(unit, recipient)?,
        _ => Some(incoming.sender.clone()),
    };
    let person = person.unwrap_or_else(|| account.clone());
    // A room is known by its JID, a person by the number.
    let (chat, jid, author) = if let Some(room) = &incoming.room {
        let author = (!own).then(|| incoming.sender.jid(incoming.family, 0).to_string());
        (room.to_string(), room.to_string(), author)
    } else {
        let jid = person.jid(Family::Pn, 0).to_string();
        (person.phone, jid, None)
    };
    let seen = Seen {
        chat: &jid,
        id: incoming.id,
        from_me: own,
        author: author.as_deref(),
    };
    history::keep(unit, account, &seen, &message)?;
    let said = Said {
        author: &incoming.sender,
        family: incoming.family,
        chat: &chat,
        id: incoming.id,
        sent: false,
    };
    match chats::take(unit, &account.phone, &said, &message)? {
        Taken::New => auto_reply::answer(unit, account, &said, &message),
        Taken::Again | Taken::Unseen => Ok(()),
    }
}

/// The server says that shared settings have changed.
fn notification(unit: &mut Unit<'_>, account: &Account, node: &Node) -> Result<()> {
    if wire::attr(node, "type").as_deref() != Some("server_sync") {
        return Ok(());
    }
    for changed in node.get_children_by_tag("collection") {
        let name = wire::attr(changed, "name").unwrap_or_default();
        if let Some(collection) = collections::collection(&name) {
            app_state::pull(unit, account, collection)?;
        }
    }
    Ok(())
}

/// Tells the sender that the message arrived. One's own companions are told only of messages to the account itself,
/// of which nobody else can tell them.
fn delivered(unit: &mut Unit<'_>, account: &Account, incoming: &Incoming<'_>) -> Result<()> {
    let is_own = incoming.sender.phone == account.phone;
    if is_own && !is_to_oneself(unit, account, incoming)? {
        return Ok(());
    }
    let receipt = Receipt {
        reader: account,
        device: 0,
        family: incoming.family,
        kind: if is_own { "sender" } else { "" },
        ids: &[incoming.id.to_owned()],
        only: None,
        extra: Vec::new(),
    };
    match &incoming.room {
        Some(room) => receipts::fan_out_in(unit, &receipt, &incoming.sender, room),
        None => receipts::fan_out(unit, &receipt, &incoming.sender),
    }
}

/// Whether an own companion has written to the account itself.
fn is_to_oneself(unit: &Unit<'_>, account: &Account, incoming: &Incoming<'_>) -> Result<bool> {
    let recipient = match &incoming.recipient {
        Some(recipient) => directory::resolve(unit, recipient)?,
        None => None,
    };
    Ok(recipient.is_some_and(|recipient| recipient.phone == account.phone))
}

/// Starts a new session with an own companion, so that what follows can be read.
///
/// The copy itself is lost to the phone. `whatsapp-rust` 0.7 mistakes its own phone's request to encrypt again for
/// one of the recipient's: it replaces the recipient's keys with the phone's, where the request has any, and encrypts
/// for the recipient's session what it then sends to the phone. So a phone must not ask it, and has no other way to
/// ask a companion. The way back, a companion that asks its phone, is [`super::resend`].
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
    if let Some(room) = &incoming.room {
        return receipts::fan_out_in(unit, &receipt, &incoming.sender, room);
    }
    // Between devices of one account the receipt names the chat, or the client does not know what is meant.
    let recipient = incoming
        .recipient
        .as_ref()
        .filter(|_| incoming.sender.phone == account.phone);
    receipts::fan_out_for(unit, &receipt, &incoming.sender, recipient)
}

/// Takes a receipt. Only requests make the phone do something: to encrypt again, to upload again.
fn receipt(unit: &mut Unit<'_>, account: &Account, node: &Node) -> Result<()> {
    match wire::attr(node, "type").as_deref() {
        Some("retry") => {}
        Some("server-error") => return reupload::answer(unit, account, node),
        _ => return Ok(()),
    }
    let (Some((from, _)), Some(retry)) = (author(node), node.get_optional_child("retry")) else {
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
