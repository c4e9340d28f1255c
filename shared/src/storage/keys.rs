//! Every key of the table, built here and nowhere else.
//!
//! | partition | sort key | item |
//! | --- | --- | --- |
//! | `meta` | `config` | what the table was set up with |
//! | | `administrators` | the set of active administrators |
//! | | `first-user` | the first user's place: where only the first may register, nobody else does |
//! | `sub#<subscription>` | `meta` | the subscription |
//! | | `inst#<instance>` | a reference to an instance of it |
//! | | `name#<name>` | holds an instance's name unique |
//! | | `user#<user>` | a user of it |
//! | | `invite#<user>` | an invitation into it, by the id that its user will have |
//! | | `invited#<address>` | keeps an address from being invited into it twice at a time |
//! | `invite#<user>` | `invite` | leads to the invitation |
//! | `email#<address>` | `email` | holds an e-mail address unique, and leads to its user |
//! | `session#<name>` | `session` | a session, with the hash of its refresh token |
//! | `rate#<scope>` | `<length>#<begin>` | a window's count of a rate limit |
//! | `lock#<scope>` | `lock` | failed logins, the lock after too many, and the last login of an account from a network |
//! | `code#<hash>` | `code` | a single-use code sent by e-mail |
//! | `audit#<subscription or none>#<day>` | `<entry>` | an entry of the audit log |
//! | `key#<hash>` | `key` | an API key, as requests read it |
//! | `inst#<instance>` | `meta` | the instance with its pairing link, or its tombstone |
//! | | `key#<key>` | an API key, as lists read it |
//! | | `dek#<purpose>` | a wrapped data key where the version before looks for it |
//! | `dek#<instance>` | `<purpose>` | its wrapped data key for a purpose |
//! | `sess#<instance>` | `<name>` | an entry of its WhatsApp session state |
//! | `msgs#<instance>` | `<message>` | a message's record |
//! | `people#<instance>` | `<name>` | a person whom it has met, by a number or a LID |
//! | `book#<instance>` | `<n>` | a part of its phone's address book |
//! | `read#<instance>` | `<chat>` | up to which message a chat was marked as read |
//! | `rcpt#<instance>` | `wa#<hash>` | leads from another device's WhatsApp id to the message's record |
//! | | `in#<hash>` | leads from a chat and the WhatsApp id of a message that came in to the message |
//! | | `roster#<digest>` | the members of a group at one time |
//! | `ctr#<instance>` | `day#<date>` | a day's counters |
//! | | `doubt` | the doubt whether its messages that are counted as waiting do wait, by the queue |
//! | | `doubt#records` | the same by the messages' records |
//! | | `records` | when these were counted last |
//! | | `scheduled#<date>` | how many of its messages are scheduled for a day |
//! | | `uploads#<date>` | how many files it has announced on a day, and their bytes |
//! | `ctr#<subscription>` | `month#<month>` | a month's messages, for the quota |
//! | `hook#<instance>` | `hook` | its webhook, with how the endpoint does |
//! | | `places` | which attempts to a slow endpoint are under way |
//! | `dlv#<instance>` | `<delivery>` | an event's delivery to the webhook |
//! | `ask#<instance>` | `<question>` | how far a question to its socket is, and the answer |
//! | `media#<instance>` | `<media>` | what is known of a file, uploaded or come with a message |
//! | `kept#<instance>` | `<message>` | a message's content, where its instance keeps it |
//! | `due#<network>#<shard>` | `<time>#<message>` | a message that is due later or put off, with its job |
//! | `idem#<instance>#<hash>` | `idem` | an idempotency key |
//! | `leases#<network>` | `shard#<n>` | a shard's lease |
//! | `daemons#<network>` | `<daemon>` | a daemon's beat |

mod accounts;
pub mod list;

use chrono::{DateTime, SecondsFormat, Utc};
use sha2::{Digest as _, Sha256};

pub use self::accounts::{
    INSTANCE_REFERENCE_PREFIX, INVITATION_PREFIX, USER_PREFIX, audit, audit_partition, email, instance_name,
    instance_reference, invitation, invitation_reference, invited_address, lockout, mail_code, rate, session,
    subscription, user,
};
use super::item::{Item, s};
use crate::domain::network::Network;
use crate::domain::purpose::Purpose;
use crate::domain::recipient::Recipient;
use crate::domain::shard::Shard;
use crate::ids::{DeliveryId, InstanceId, KeyId, MediaId, MessageId, QuestionId, SubscriptionId};

/// An item's place: partition and sort key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    /// The partition key.
    pub pk: String,
    /// The sort key.
    pub sk: String,
}

impl Key {
    pub(crate) fn new(pk: impl Into<String>, sk: impl Into<String>) -> Self {
        Self {
            pk: pk.into(),
            sk: sk.into(),
        }
    }

    /// The key's two attributes, as a request's `Key` or the start of an item.
    pub fn attributes(&self) -> Item {
        Item::from([("pk".to_owned(), s(&self.pk)), ("sk".to_owned(), s(&self.sk))])
    }

    /// The key as one text: for errors, and as the associated data of sealed values in the item.
    pub fn path(&self) -> String {
        format!("{}|{}", self.pk, self.sk)
    }
}

/// What the table was set up with.
pub fn config() -> Key {
    Key::new("meta", "config")
}

/// The set of active administrators.
pub fn administrators() -> Key {
    Key::new("meta", "administrators")
}

/// The item that holds the place of the first user.
pub fn first_user() -> Key {
    Key::new("meta", "first-user")
}

/// An API key by its secret's hash: what a request reads.
pub fn api_key(hash: &str) -> Key {
    Key::new(format!("key#{hash}"), "key")
}

/// The sort keys of the API keys in an instance's list begin with this.
pub const LISTED_KEY_PREFIX: &str = "key#";

/// An API key in its instance's list.
pub fn listed_key(instance: InstanceId, id: KeyId) -> Key {
    Key::new(format!("inst#{instance}"), format!("{LISTED_KEY_PREFIX}{id}"))
}

/// An instance.
pub fn instance(id: InstanceId) -> Key {
    Key::new(format!("inst#{id}"), "meta")
}

/// The partition of an instance's wrapped data keys. It is one of its own, so that functions can
/// be denied to write it.
pub fn data_key_partition(instance: InstanceId) -> String {
    format!("dek#{instance}")
}

/// An instance's wrapped data key for one purpose.
pub fn data_key(instance: InstanceId, purpose: Purpose) -> Key {
    Key::new(data_key_partition(instance), purpose.to_string())
}

/// The same key where the previous version keeps it. It is written there first, so that processes of both versions
/// agree on one key. The next version need not write it there.
pub fn old_data_key(instance: InstanceId, purpose: Purpose) -> Key {
    Key::new(format!("inst#{instance}"), format!("dek#{purpose}"))
}

/// The partition of an instance's WhatsApp session state. It is one of its own, to keep its many writes away from the
/// instance's item.
pub fn session_partition(instance: InstanceId) -> String {
    format!("sess#{instance}")
}

/// An entry of an instance's WhatsApp session state.
pub fn session_entry(instance: InstanceId, name: &str) -> Key {
    Key::new(session_partition(instance), name)
}

/// The value of the index attribute `shardKey` of a shard's instances.
pub fn shard_index(network: Network, shard: Shard) -> String {
    format!("{network}#{shard}")
}

/// The partition of an instance's message records.
pub fn message_partition(instance: InstanceId) -> String {
    format!("msgs#{instance}")
}

/// A message's record.
pub fn message(instance: InstanceId, id: MessageId) -> Key {
    Key::new(message_partition(instance), id.to_string())
}

/// The partition of the people whom an instance has met.
pub fn people_partition(instance: InstanceId) -> String {
    format!("people#{instance}")
}

/// A person whom an instance has met, by one of its names.
pub fn person(instance: InstanceId, name: &Recipient) -> Key {
    Key::new(people_partition(instance), name.to_jid())
}

/// The partition of the address book of an instance's phone.
pub fn book_partition(instance: InstanceId) -> String {
    format!("book#{instance}")
}

/// One of the parts of that address book.
pub fn book_part(instance: InstanceId, part: u8) -> Key {
    Key::new(book_partition(instance), format!("{part:02}"))
}

/// The partition of how far an instance's chats were marked as read.
pub fn read_partition(instance: InstanceId) -> String {
    format!("read#{instance}")
}

/// How far a chat was marked as read, by its canonical name.
pub fn read_mark(instance: InstanceId, chat: &Recipient) -> Key {
    Key::new(read_partition(instance), chat.to_jid())
}

/// The partition of what an instance's receipts need beside its message records.
pub fn receipt_partition(instance: InstanceId) -> String {
    format!("rcpt#{instance}")
}

/// The item that leads from a WhatsApp id to the record of a message that another device of the account sent. The id
/// is hashed, since its sender chooses it and it may be long.
pub fn whatsapp_id(instance: InstanceId, id: &str) -> Key {
    let digest = hex::encode(&Sha256::digest(id)[..16]);
    Key::new(receipt_partition(instance), format!("wa#{digest}"))
}

/// The item that leads from a chat and the WhatsApp id of a message that came in to that message.
pub fn received(instance: InstanceId, chat: &Recipient, id: &str) -> Key {
    let digest = Sha256::new()
        .chain_update(chat.to_jid())
        .chain_update("\n")
        .chain_update(id);
    let digest = hex::encode(&digest.finalize()[..16]);
    Key::new(receipt_partition(instance), format!("in#{digest}"))
}

/// The members of a group at one time, by [`crate::domain::roster::Roster::digest`].
pub fn roster(instance: InstanceId, digest: &str) -> Key {
    Key::new(receipt_partition(instance), format!("roster#{digest}"))
}

/// The partition of an instance's counters.
pub fn counter_partition(instance: InstanceId) -> String {
    format!("ctr#{instance}")
}

/// An instance's counters of one day (UTC).
pub fn day(instance: InstanceId, at: DateTime<Utc>) -> Key {
    Key::new(
        counter_partition(instance),
        format!("{DAY_PREFIX}{}", at.format("%Y-%m-%d")),
    )
}

/// The doubt, by the queue, whether an instance's messages that are counted as waiting do wait.
pub fn doubt(instance: InstanceId) -> Key {
    Key::new(counter_partition(instance), "doubt")
}

/// The same doubt by the messages' records.
pub fn doubt_by_records(instance: InstanceId) -> Key {
    Key::new(counter_partition(instance), "doubt#records")
}

/// When an instance's records were counted last.
pub fn records_counted(instance: InstanceId) -> Key {
    Key::new(counter_partition(instance), "records")
}

/// How many of an instance's messages are scheduled for a day (UTC).
pub fn scheduled_for(instance: InstanceId, at: DateTime<Utc>) -> Key {
    Key::new(
        counter_partition(instance),
        format!("scheduled#{}", at.format("%Y-%m-%d")),
    )
}

/// How many files an instance has announced on a day (UTC), and their bytes.
pub fn uploads_of(instance: InstanceId, at: DateTime<Utc>) -> Key {
    Key::new(
        counter_partition(instance),
        format!("uploads#{}", at.format("%Y-%m-%d")),
    )
}

/// The sort keys of daily counters begin with this; the date follows.
pub const DAY_PREFIX: &str = "day#";

/// The partition of a subscription's counters.
pub fn quota_partition(subscription: SubscriptionId) -> String {
    format!("ctr#{subscription}")
}

/// A subscription's messages of one calendar month (UTC).
pub fn month(subscription: SubscriptionId, at: DateTime<Utc>) -> Key {
    Key::new(
        quota_partition(subscription),
        format!("month#{}", at.format("%Y-%m")),
    )
}

/// The partition of what is known of an instance's files.
pub fn media_partition(instance: InstanceId) -> String {
    format!("media#{instance}")
}

/// What is known of a file.
pub fn media(instance: InstanceId, id: MediaId) -> Key {
    Key::new(media_partition(instance), id.to_string())
}

/// The partition of the contents of messages that an instance keeps.
pub fn kept_partition(instance: InstanceId) -> String {
    format!("kept#{instance}")
}

/// The content of a message.
pub fn kept(instance: InstanceId, id: MessageId) -> Key {
    Key::new(kept_partition(instance), id.to_string())
}

/// An instance's webhook.
pub fn webhook(instance: InstanceId) -> Key {
    Key::new(format!("hook#{instance}"), "hook")
}

/// The places of a slow endpoint.
pub fn webhook_places(instance: InstanceId) -> Key {
    Key::new(format!("hook#{instance}"), "places")
}

/// The partitions of deliveries begin with this; the instance follows.
pub const DELIVERY_PARTITION: &str = "dlv#";

/// The partition of the deliveries of an instance's events.
pub fn delivery_partition(instance: InstanceId) -> String {
    format!("{DELIVERY_PARTITION}{instance}")
}

/// An event's delivery.
pub fn delivery(instance: InstanceId, id: DeliveryId) -> Key {
    Key::new(delivery_partition(instance), id.to_string())
}

/// The value of the index attribute `listKey` of an instance's deliveries. They are listed in the order of their first
/// attempts: `listSort` is [`delivery_sort`].
pub fn delivery_list(instance: InstanceId) -> String {
    format!("{DELIVERY_PARTITION}{instance}")
}

/// The place in its list of a delivery whose first attempt was at this time, which has milliseconds.
pub fn delivery_sort(at: DateTime<Utc>, id: DeliveryId) -> String {
    format!("{}#{id}", delivery_time(at))
}

/// The beginning of [`delivery_sort`]: it sorts before all deliveries of that time, and behind all of earlier ones.
pub fn delivery_time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// The partition of the answers to questions to an instance's socket.
pub fn answer_partition(instance: InstanceId) -> String {
    format!("ask#{instance}")
}

/// How far a question is, and the answer to it.
pub fn answer(instance: InstanceId, question: QuestionId) -> Key {
    Key::new(answer_partition(instance), question.to_string())
}

/// The partition of a shard's messages that are due later, in the order of their times.
pub fn due_partition(network: Network, shard: Shard) -> String {
    format!("due#{network}#{shard}")
}

/// A message that is due at this time, which has milliseconds.
pub fn due(network: Network, shard: Shard, at: DateTime<Utc>, id: MessageId) -> Key {
    Key::new(
        due_partition(network, shard),
        format!("{}{DUE_SEPARATOR}{id}", due_time(at)),
    )
}

/// What stands between the time and the message in a sort key of [`due`].
pub const DUE_SEPARATOR: char = '#';

/// The beginning of the sort keys of what is due at this time: they sort as their times do.
pub fn due_time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// An idempotency key of an instance, by its hash: the key itself is the caller's text and may be long.
pub fn idempotency(instance: InstanceId, hash: &str) -> Key {
    Key::new(format!("idem#{instance}#{hash}"), "idem")
}

/// A shard's lease.
pub fn lease(network: Network, shard: Shard) -> Key {
    Key::new(format!("leases#{network}"), format!("shard#{shard}"))
}

/// The shard whose lease has this sort key.
pub fn shard_of_lease(sk: &str) -> Option<Shard> {
    sk.strip_prefix("shard#")?.parse().ok().map(Shard)
}

/// A daemon's beat.
pub fn daemon(network: Network, daemon: &str) -> Key {
    Key::new(format!("daemons#{network}"), daemon)
}
