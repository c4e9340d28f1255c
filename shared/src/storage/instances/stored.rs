//! Instances as items.

use aws_sdk_dynamodb::types::AttributeValue;
use chrono::{DateTime, Utc};

use crate::domain::event::{Untold, Wants};
use crate::domain::instance::{
    Account, Desired, Instance, Observed, PairingCode, PairingRequest, Pause, QrCode, Status, Wanted,
};
use crate::domain::passkey::{PasskeyAnswer, PasskeyRequest, PasskeyStage};
use crate::domain::person::Person;
use crate::domain::shard::Shard;
use crate::storage::error::StorageError;
use crate::storage::item::{Item, Reader, n, s, strings, text, texts, time};
use crate::storage::keys;

/// Of an answer to a request for a passkey: to which one, and the sealed assertion where it has one.
pub const ANSWER_MARK: &str = "passkeyAnswerMark";
/// See [`ANSWER_MARK`].
pub const ANSWER: &str = "passkeyAnswer";

/// The item of an instance that was just created.
pub fn to_item(instance: &Instance) -> Item {
    let mut item = keys::instance(instance.id).attributes();
    let mut set = |name: &str, value| {
        item.insert(name.to_owned(), value);
    };
    set("id", text(instance.id));
    set("subscription", text(instance.subscription));
    set("name", text(&instance.name));
    set("network", text(instance.network));
    set("shard", n(instance.shard));
    set("shardKey", s(keys::shard_index(instance.network, instance.shard)));
    set("metadata", strings(&instance.metadata));
    set("createdAt", time(instance.created_at));
    set("wanted", text(instance.desired.wanted));
    set("generation", n(instance.desired.generation));
    set("status", text(instance.observed.status));
    set("since", time(instance.observed.since));
    set("observedGeneration", n(instance.observed.generation));
    set("paired", AttributeValue::Bool(instance.account.is_some()));
    if let Some(messages) = instance.messages_per_minute {
        set("messagesPerMinute", n(messages));
    }
    if instance.content_days > 0 {
        set("contentDays", n(instance.content_days));
    }
    if instance.content_in_realtime {
        set("contentInRealtime", AttributeValue::Bool(true));
    }
    if !instance.wants.is_nothing() {
        set("wants", texts(instance.wants.names()));
    }
    item
}

/// The instance of an item.
pub fn from_item(item: &Item) -> Result<Instance, StorageError> {
    let read = Reader::new("instance", item);
    let qr = match read.opt_bytes("qr")? {
        Some(sealed) => Some(QrCode {
            sealed: sealed.to_vec(),
            attempt: read.number("qrAttempt")?,
            expires_at: read.time("qrExpiresAt")?,
        }),
        None => None,
    };
    let pairing_code = match read.opt_bytes("pairingCode")? {
        Some(sealed) => Some(PairingCode {
            sealed: sealed.to_vec(),
            expires_at: read.time("pairingCodeExpiresAt")?,
        }),
        None => None,
    };
    let passkey = match read.opt_bytes("passkey")? {
        Some(sealed) => Some(PasskeyRequest {
            stage: read.known::<PasskeyStage>("passkeyStage")?,
            mark: read.str("passkeyMark")?.to_owned(),
            sealed: sealed.to_vec(),
            expires_at: read.time("passkeyExpiresAt")?,
        }),
        None => None,
    };
    let pause = match read.opt_time("notBefore")? {
        Some(not_before) => Some(Pause {
            reason: read.str("pauseReason")?.to_owned(),
            since: read.time("pauseSince")?,
            not_before,
            strikes: read.number("pauseStrikes")?,
        }),
        None => None,
    };
    let account = if read.flag("paired")? {
        Some(Account {
            person: Person {
                phone: read.opt_str("phone")?.map(str::to_owned),
                lid: read.opt_str("lid")?.map(str::to_owned),
            },
            display_name: read.opt_str("displayName")?.map(str::to_owned),
        })
    } else {
        None
    };
    let since: DateTime<Utc> = read.time("since")?;
    Ok(Instance {
        id: read.parse("id")?,
        subscription: read.parse("subscription")?,
        name: read.parse("name")?,
        network: read.parse("network")?,
        shard: Shard(read.number("shard")?),
        metadata: read.strings("metadata")?,
        created_at: read.time("createdAt")?,
        desired: desired(&read)?,
        suspended: read.flag("suspended")?,
        observed: Observed {
            status: read.known::<Status>("status")?,
            since,
            reason: read.opt_str("reason")?.map(str::to_owned),
            last_error: read.opt_str("lastError")?.map(str::to_owned),
            last_round_trip_at: read.opt_time("lastRoundTripAt")?,
            qr,
            pairing_code,
            passkey,
            generation: read.number("observedGeneration")?,
            pause,
            untold: Untold::from_texts(read.list("untold")?),
        },
        fence: read.opt_number("fence")?,
        account,
        wants: Wants::named(read.list("wants")?),
        messages_per_minute: read.opt_number("messagesPerMinute")?,
        content_days: read.opt_number("contentDays")?.unwrap_or(0),
        content_in_realtime: read.flag("contentInRealtime")?,
    })
}

/// What an instance's item says is wanted.
pub fn desired(read: &Reader<'_>) -> Result<Desired, StorageError> {
    let pairing = match read.opt_parse("pairingPhone")? {
        Some(phone) => Some(PairingRequest {
            phone,
            asked_at: read.time("pairingAskedAt")?,
        }),
        None => None,
    };
    let answer = read.opt_bytes(ANSWER)?;
    Ok(Desired {
        wanted: read.known::<Wanted>("wanted")?,
        generation: read.number("generation")?,
        restart: read.opt_number("restart")?.unwrap_or(0),
        pairing,
        passkey: read
            .opt_str(ANSWER_MARK)?
            .map(str::to_owned)
            .map(|mark| PasskeyAnswer {
                mark,
                sealed: answer.map(<[u8]>::to_vec),
            }),
        unlink_asked_at: read.opt_time("unlinkAskedAt")?,
    })
}
